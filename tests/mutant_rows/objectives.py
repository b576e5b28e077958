"""Wrong formulas in diffkit.learning: objectives and levels."""

OBJECTIVES, LEVELS = "learning/objectives.py", "learning/levels.py"
HERE = "tests/test_objectives.py::"
PRINT = HERE + "test_weightings_are_those_in_print[vp]"
FIELDS = HERE + "test_the_plain_loss_is_the_error_of_the_fields[edm-denoise]"
ERROR = HERE + "test_the_excess_tells_its_error[level]"
KNOWN = HERE + "test_the_excess_of_a_wrong_gaussian_is_known_in_closed_form"
ROWS = [
    (OBJECTIVES, "c.g2 / s**2, c.a, c.a", "c.g2 * s**2, c.a, c.a", PRINT),
    (
        OBJECTIVES,
        "minimum(c.a * c.a, most * c.g2)",
        "minimum(c.a * c.a / c.g2, most)",
        PRINT,
    ),
    (
        OBJECTIVES,
        "torch.maximum(c.a * c.a, c.g2)",
        "torch.minimum(c.a * c.a, c.g2)",
        PRINT,
    ),
    (OBJECTIVES, "(c.a * c.gdg - c.da * c.g2)", "(c.a * c.gdg + c.da * c.g2)", PRINT),
    (OBJECTIVES, "c.da * c.g2) / c.g2", "c.da * c.g2) / c.g2 / 2", PRINT),
    (
        OBJECTIVES,
        "* stretch(c, self.target) ** 2",
        "* stretch(c, self.target).abs()",
        FIELDS,
    ),
    (
        OBJECTIVES,
        'same = Weight("as " + self.target, self.omega)',
        "same = self.weight",
        HERE + "test_a_loss_is_the_same_in_every_target[vp-plain]",
    ),
    (
        OBJECTIVES,
        "return self.omega(c) / stretch(c, model.target) ** 2",
        "return self.omega(c)",
        FIELDS,
    ),
    (
        OBJECTIVES,
        "c.g2 / model.sd**2, c.a",
        "c.g2, c.a",
        HERE + "test_edm_s_weight_makes_the_loss_plain_in_what_the_net_says[vp]",
    ),
    (
        OBJECTIVES,
        "return self._own(c)  # where",
        "return self.omega(c)  # where",
        HERE + "test_a_weight_is_finite_where_noise_or_signal_is_not_there",
    ),
    (
        OBJECTIVES,
        "(off * off).sum(-1)\n\n    def weigh",
        "(off * off).mean(-1)\n\n    def weigh",
        FIELDS,
    ),
    (
        OBJECTIVES,
        "F = torch.addcmul(s.q.unsqueeze(-1) * z, s.p.unsqueeze(-1), x0)",
        "F = torch.addcmul(s.p.unsqueeze(-1) * z, s.q.unsqueeze(-1), x0)",
        HERE
        + "test_least_squares_of_an_affine_net_finds_the_exact_field[vp-0.7-noise]",
    ),
    (
        OBJECTIVES,
        "t = self.draw(n, rngs)",
        "t = self.draw(n, rngs).sort().values",
        HERE + "test_stratified_levels_make_the_loss_less_uncertain",
    ),
    (
        OBJECTIVES,
        "F = (value(exact, x, t) - skip.unsqueeze(-1) * x)",
        "F = value(exact, x, t)",
        KNOWN,
    ),
    (
        OBJECTIVES,
        "convert(exact, path, objective.target, model.target)",
        "exact",
        HERE + "test_the_excess_in_any_target_is_that_of_the_fields[edm-None]",
    ),
    (
        OBJECTIVES,
        "(2 * n * (n - 1))",
        "(n * (n - 1))",
        ERROR,
    ),
    (
        OBJECTIVES,
        "if self.independent:",
        "if True:",
        ERROR,
    ),
    (
        OBJECTIVES,
        "self.w, self.F = objective.weigh(model, c)",
        "self.w, self.F = objective.omega(c)",
        KNOWN,
    ),
    (
        OBJECTIVES,
        "if model.path is not self.path and model.path != self.path:",
        "if False:",
        HERE + "test_refuses[other path]",
    ),
    (
        LEVELS,
        "row += torch.randperm(n, generator=own, device=device)",
        "row += torch.arange(n, device=device)",
        HERE + "test_one_draw_falls_in_each_cell_whatever_the_order",
    ),
    (
        LEVELS,
        "row += torch.randperm(n, generator=own, device=device)",
        "row += torch.randint(n, (n,), generator=own, device=device)",
        HERE + "test_one_draw_falls_in_each_cell_whatever_the_order",
    ),
    (
        LEVELS,
        "row.uniform_(TINY, 1, generator=own)",
        "row.fill_(0.5)",
        HERE + "test_one_draw_falls_in_each_cell_whatever_the_order",
    ),
    (
        LEVELS,
        "for own, row in zip(rngs, u, strict=True):\n        row.uniform_(TINY, 1, "
        "generator=own)",
        "for own in rngs[:1]:\n        u.uniform_(TINY, 1, generator=own)",
        HERE + "test_a_member_s_loss_is_of_its_own_generator_alone",
    ),
    (
        LEVELS,
        "return mean + sd * torch",
        "return mean + sd**2 * torch",
        HERE + "test_lognormal_levels_are_the_normal_quantiles_of_log_nsr[vp]",
    ),
    (
        LEVELS,
        "ndtri(first + (last - first) * u)",
        "ndtri(last * u)",
        HERE + "test_levels_reach_their_ends_and_no_further",
    ),
    (
        LEVELS,
        "least, most = -high / 2, -low / 2",
        "least, most = -high, -low",
        HERE + "test_uniform_levels_of_log_snr_are_uniform[vp]",
    ),
    (
        LEVELS,
        "CELLS = 8192",
        "CELLS = 512",
        HERE + "test_lognormal_levels_are_the_normal_quantiles_of_log_nsr[vp]",
    ),
    (
        LEVELS,
        "return t.clamp_(max=self.T)",
        "return t",
        HERE + "test_levels_reach_their_ends_and_no_further",
    ),
    (
        "learning/objectives.py",
        "stratified: bool = True",
        "stratified: bool = False",
        "tests/test_objectives.py::test_levels_are_stratified_unless_that_is_turned_off",
    ),
]
