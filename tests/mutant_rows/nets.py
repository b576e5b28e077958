"""Wrong formulas in diffkit.learning: nets and models."""

NETS, MODELS = "learning/nets.py", "learning/models.py"
HERE = "tests/test_nets.py::"
THERE = "tests/test_models.py::"
MOMENTS = (
    THERE + "test_what_the_net_says_has_variance_one_and_the_rest_is_least_squares"
)
EDM = THERE + "test_it_is_the_preconditioning_of_edm_as_printed[vp]"
CLOCK = THERE + "test_the_clock_is_a_quarter_of_log_nsr[vp]"
SAMPLE = THERE + "test_the_target_of_a_sample_is_what_the_denoiser_x0_would_mean[vp-"
STRETCH = THERE + "test_all_targets_are_off_by_one_vector_times_their_stretch[vp-"
ROWS = [
    (
        NETS,
        '"generator": rng(seed)',
        '"generator": rng(self.seeds[0])',
        HERE + "test_a_member_is_the_net_of_its_seed_alone[mlp]",
    ),
    (
        NETS,
        "torch.float64}",
        "dtype}",
        HERE + "test_single_precision_is_the_double_net_rounded[mlp]",
    ),
    (
        NETS,
        "p.detach()[k : k + 1]",
        "p.detach()[:1]",
        HERE + "test_members_know_nothing_of_each_other[mlp]",
    ),
    (
        NETS,
        "p.detach()[k : k + 1]",
        "p[k : k + 1]",
        HERE + "test_one_member_is_asked_without_gradient_to_its_weights[mlp]",
    ),
    (
        NETS,
        "phase[features:] = math.pi / 2",
        "phase[features:] = math.pi",
        HERE + "test_features_are_a_trigonometric_basis",
    ),
    (
        NETS,
        "SLOWEST = math.pi / 5",
        "SLOWEST = math.pi",
        HERE + "test_features_are_a_trigonometric_basis",
    ),
    (
        NETS,
        "return torch.baddbmm(b, h, W)",
        "return torch.bmm(h, W)",
        HERE + "test_mlp_is_the_plain_loop[mlp]",
    ),
    (
        NETS,
        "GAIN = 1.6765325",
        "GAIN = 1.4142136",
        HERE + "test_the_gain_keeps_the_mean_square",
    ),
    (
        NETS,
        "[1.0, *[GAIN]",
        "[1.0, *[1.0]",
        HERE + "test_drawn_weights_have_their_variance[mlp]",
    ),
    (
        NETS,
        "GAIN, 9 * C * blocks,",
        "GAIN, 9 * C,",
        HERE + "test_drawn_weights_have_their_variance[conv]",
    ),
    (
        NETS,
        "[one, self.phi(u)]",
        "[one, 2 * self.phi(u)]",
        HERE + "test_linear_is_affine_with_a_matrix_for_every_time",
    ),
    (
        NETS,
        "y, pull = torch.func.vjp(lambda x: self.net(x, u, k), x)\n        "
        "return (y + pull(x)[0]) / 2",
        "y = self.net(x, u, k)\n        return y",
        HERE + "test_energy_has_no_curl_and_its_net_has[mlp]",
    ),
    (
        NETS,
        "return (y + pull(x)[0]) / 2",
        "return y + pull(x)[0]",
        HERE + "test_energy_is_the_slope_of_its_scalar[mlp]",
    ),
    (
        NETS,
        "permute(2, 1, 0, 3)",
        "permute(2, 1, 3, 0)",
        HERE + "test_convnet_is_the_loop_over_plain_convolutions",
    ),
    (
        NETS,
        "h = h + conv2d(silu(r), V",
        "h = conv2d(silu(r), V",
        HERE + "test_convnet_is_the_loop_over_plain_convolutions",
    ),
    (
        NETS,
        "r = conv2d(silu(h), U, padding=1, groups=K) + more",
        "r = conv2d(torch.nn.functional.pad(silu(h), (1,) * 4, 'circular'), U, "
        "groups=K) + more",
        HERE + "test_convnet_moves_with_the_image_and_does_not_wrap_around",
    ),
    (MODELS, "return (up / down).log() / 8", "return (up / down).log() / 4", CLOCK),
    (MODELS, "down = (c.g2 + FINEST**2 * a2), (a2", "down = c.g2, (a2", CLOCK),
    (
        "paths/targets.py",
        "return zero, -1 / c.g",
        "return zero, -1 / c.g2",
        SAMPLE + "score]",
    ),
    ("paths/targets.py", "(c.da, c.gdg / c.g)", "(c.da, c.gdg)", SAMPLE + "velocity]"),
    ("paths/targets.py", "else (-c.g, c.a)", "else (c.g, -c.a)", SAMPLE + "v]"),
    (MODELS, "return c.a / c.g", "return -c.a / c.g", STRETCH + "score]"),
    (
        MODELS,
        "return (c.da * c.g2 - c.a * c.gdg) / c.g",
        "return (c.da * c.g2 + c.a * c.gdg) / c.g",
        STRETCH + "velocity]",
    ),
    (
        MODELS,
        "return -(c.a * c.a + c.g2)",
        "return -torch.ones_like(c.a)",
        STRETCH.replace("[vp-", "[edm-") + "v]",
    ),
    (MODELS, "-self.sd * c.a * shrink", "-c.a * shrink", MOMENTS + "[vp-denoise]"),
    (MODELS, "c.g * shrink / self.sd", "c.g * shrink", MOMENTS + "[vp-denoise]"),
    (MODELS, "(p * c.a * self.sd**2 + q * c.g)", "(p * c.a * self.sd + q * c.g)", EDM),
    (MODELS, "stretch(c, target) * self.sd *", "stretch(c, target) *", EDM),
    (MODELS, "Scales(shrink, clock", "Scales(shrink**2, clock", EDM),
    (
        MODELS,
        "have = self.target if self.sd is None else known(target)",
        "have = self.target",
        THERE + "test_single_precision_keeps_the_digits_of_the_score_at_small_noise",
    ),
    (
        MODELS,
        "return asked if have == target else",
        "return asked or",
        THERE + "test_any_model_gives_any_target[vp-noise]",
    ),
]
