"""Wrong formulas in diffkit.fields.pipelines."""

HERE = "tests/test_pipelines.py::"
INSIDE = HERE + "test_the_field_is_that_of_the_world_inside"
LADDER = HERE + "test_the_ladder_is_that_of_the_chain"
REFUSED = HERE + "test_what_is_no_denoiser_of_pixels_is_refused"
SIZES = HERE + "test_wrong_sizes_and_answers_are_refused"
PIPELINES = "fields/pipelines.py"
ROWS = [
    (PIPELINES, "D = flat - sigma * F", "D = flat + sigma * F", INSIDE),
    (PIPELINES, "D = flat - sigma * F", "D = flat - sigma * F / r", INSIDE),
    (PIPELINES, "D = flat - sigma * F", "D = flat / r - sigma * F", INSIDE),
    (PIPELINES, "(flat / r - sigma * F) / r", "(flat - sigma * F) / r", INSIDE),
    (PIPELINES, "(flat / r - sigma * F) / r", "flat / r - sigma * F", INSIDE),
    (PIPELINES, "(flat / r - sigma * F) / r", "(sigma * flat - F) / r", INSIDE),
    (PIPELINES, "self._asked(flat / r, steps)", "self._asked(flat, steps)", INSIDE),
    (
        PIPELINES,
        "self._asked(flat / r, steps)",
        "self._asked(flat / r, (steps - 1).clamp(0))",
        INSIDE,
    ),
    (PIPELINES, "r = (1 + sigma**2).sqrt()", "r = 1 + sigma**2", INSIDE),
    (PIPELINES, "((1 - abar) / abar).sqrt()", "(1 - abar) / abar", LADDER),
    (PIPELINES, "((1 - abar) / abar).sqrt()", "(1 / abar).sqrt()", LADDER),
    (PIPELINES, ".cpu().double()", ".cpu()", LADDER),
    (
        PIPELINES,
        "middles = (log[1:] + log[:-1]) / 2",
        "middles = log[1:]",
        HERE + "test_snap_finds_the_nearest_level_in_the_ratio",
    ),
    (
        PIPELINES,
        "torch.bucketize(t.to(log).log(), middles)",
        "torch.bucketize(t.to(log), middles)",
        HERE + "test_a_net_is_not_asked_between_its_levels",
    ),
    (
        PIPELINES,
        "if off.any():",
        "if False:",
        HERE + "test_a_net_is_not_asked_between_its_levels",
    ),
    (
        PIPELINES,
        "out[:, :c].flatten(1)",
        "out[:, -c:].flatten(1)",
        HERE + "test_a_learned_variance_is_left_out",
    ),
    (
        PIPELINES,
        "some.reshape(-1, *self.shape).to(**like)",
        "some.reshape(-1, *self.shape)",
        HERE + "test_a_net_in_float32_is_asked_in_float32",
    ),
    (
        PIPELINES,
        "    @torch.no_grad()\n",
        "",
        INSIDE,
    ),
    (
        PIPELINES,
        "y.split(self.batch), steps.split(self.batch)",
        "y.split(len(y)), steps.split(len(y))",
        HERE + "test_batches_do_not_change_the_answer_and_no_gradient_flows",
    ),
    (PIPELINES, '("vae", "vqvae", "movq")', '("vae", "vqvae")', REFUSED),
    (PIPELINES, "out not in (c, 2 * c)", "out < c", REFUSED),
    (PIPELINES, "(abar.diff() < 0).all()", "(abar.diff() <= 0).all()", REFUSED),
    (PIPELINES, "out.ndim != 4 or out", "out", SIZES),
]
