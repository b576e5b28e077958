"""Wrong formulas in diffkit.fields."""

HERE = "tests/test_fields.py::"
ANY = HERE + "test_any_target_gives_any_other[straight-"
PROBES = HERE + "test_hutchinson_has_no_bias_and_tells_its_error"
GAUGE = HERE + "test_a_gauge_field_has_no_residual"
CACHE = HERE + "test_a_cached_branch_multiplies_as_the_lagged_scheme_must"
TARGETS = "fields/targets.py"
DERIVATIVES = "fields/derivatives.py"
COMBINATORS = "fields/combinators.py"
ROWS = [
    (TARGETS, "(one, -1 / c.g) if", "(one, -1 / c.g2) if", ANY + "noise-score]"),
    (TARGETS, '"v": (-c.g, c.a * n)', '"v": (c.g, c.a * n)', ANY + "v-denoise]"),
    (TARGETS, "det = c.a * q - g * p", "det = c.a * q + g * p", ANY + "v-denoise]"),
    (TARGETS, "-c.gdg * s)", "-2 * c.gdg * s)", ANY + "score-velocity]"),
    (
        TARGETS,
        'by_noise = have in ("noise", "v")',
        "by_noise = True",
        HERE + "test_without_noise_the_score_gives_everything",
    ),
    (
        TARGETS,
        'by_noise = have in ("noise", "v")',
        "by_noise = False",
        HERE + "test_without_noise_the_noise_field_still_gives_the_data",
    ),
    (
        TARGETS,
        'if {have, want} == {"noise", "score"}:',
        "if False:",
        HERE + "test_where_no_signal_is_left_what_is_determined_is_given",
    ),
    (
        DERIVATIVES,
        "J.movedim(0, -2)",
        "J.movedim(0, -1)",
        HERE + "test_jacobian_is_the_complex_step",
    ),
    (
        DERIVATIVES,
        "return J - J.mT",
        "return J.mT - J",
        HERE + "test_curl_over_a_patch_is_the_integral_around_it",
    ),
    (
        DERIVATIVES,
        "matrix_norm((J - J.mT) / 2)",
        "matrix_norm(J - J.mT)",
        HERE + "test_a_linear_field_by_dense_algebra",
    ),
    (DERIVATIVES, "2 * torch.randint(0, 2", "3 * torch.randint(0, 2", PROBES),
    (
        DERIVATIVES,
        "math.sqrt(probes * (probes - 1))",
        "math.sqrt(probes * probes)",
        PROBES,
    ),
    (
        DERIVATIVES,
        "(e * pull(e)[0]).sum(-1)",
        "(e * pull(e)[0]).sum(-1) * x.shape[-1] / (e * e).sum(-1)",
        PROBES,
    ),
    (
        "fields/gauges.py",
        "trailing(level, x) * s + slope",
        "trailing(level, x) * s",
        GAUGE,
    ),
    ("fields/gauges.py", "* s + slope", "* s - slope", GAUGE),
    (
        "fields/gauges.py",
        "return divergence(r, x, t) + along",
        "return divergence(r, x, t) - along",
        GAUGE,
    ),
    (
        COMBINATORS,
        "if callable(w) else 1 - w",
        "if callable(w) else -w",
        HERE + "test_guidance_in_both_conventions_and_in_an_interval",
    ),
    (
        COMBINATORS,
        "return (cell + 0.5) * h",
        "return cell * h",
        HERE + "test_quantising_rounds_to_the_nearest_of_two_to_the_bits",
    ),
    (
        COMBINATORS,
        "half = 2 ** (bits - 1)",
        "half = 2**bits",
        HERE + "test_quantising_rounds_to_the_nearest_of_two_to_the_bits",
    ),
    (
        COMBINATORS,
        "time = t.to(dtype) if isinstance(t, Tensor) else t",
        "time = t",
        HERE + "test_cast_runs_a_float32_network_in_a_float64_solver",
    ),
    (COMBINATORS, "if self.calls % self.every == 0:", "if self.kept is None:", CACHE),
    (
        COMBINATORS,
        "self.points + x.shape[:-1].numel()",
        "self.points + x.numel()",
        HERE + "test_counting_through_a_solver",
    ),
    (
        "fields/field.py",
        "not in (torch.Size(), x.shape[:-1])",
        "not in (torch.Size(), x.shape[:-1], x.shape[-1:])",
        HERE + "test_refuses",
    ),
]
