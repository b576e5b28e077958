"""Wrong formulas in diffkit.tables.bridges."""

HERE = "tests/test_bridges.py::"
BRIDGES = "tables/bridges.py"
ROWS = [
    (
        BRIDGES,
        "S = g_s * eta * (1 - rest).sqrt()",
        "S = g_s * eta * (1 - rest)",
        HERE + "test_ancestral_steps_are_the_bridge_by_dense_conditioning",
    ),
    (
        BRIDGES,
        "k = g_s * ((1 - eta**2) + eta**2 * rest).sqrt()",
        "k = g_s * ((1 - eta) + eta * rest).sqrt()",
        HERE + "test_every_eta_keeps_the_noise_level_of_the_path",
    ),
    (
        BRIDGES,
        "(a_s - a_t * k / g_t).unsqueeze(1)",
        "(a_s - k / g_t).unsqueeze(1)",
        HERE + "test_ddim_is_euler_in_the_noise_to_signal_ratio",
    ),
    (
        BRIDGES,
        "rest = (a_t * g_s / (a_s * g_t)) ** 2 ",
        "rest = (a_s * g_s / (a_t * g_t)) ** 2 ",
        HERE + "test_two_steps_toward_one_guess_are_one_step",
    ),
    (
        BRIDGES,
        "rest = torch.where(g_s > 0, rest, 0.5)",
        "rest = rest",
        HERE + "test_the_numbers_have_slopes_in_the_grid",
    ),
    (
        BRIDGES,
        "clock = (c.a / c.g).square()",
        "clock = c.a / c.g",
        HERE + "test_in_its_own_coordinate_the_ancestral_step_adds_noise_and_guess",
    ),
    (  # noise in the last step
        BRIDGES,
        "return replace(table, S=table.S * up)",
        "return replace(table, S=(g_t**2 - g_s**2).sqrt())",
        HERE + "test_the_last_step_to_the_data_is_the_denoiser",
    ),
    (
        BRIDGES,
        "up = g_t / torch.where(g_s > 0, g_s, math.inf)",
        "up = (g_t / torch.where(g_s > 0, g_s, math.inf)) ** 2",
        HERE + "test_the_forward_variance_is_what_the_forward_step_adds",
    ),
    (
        BRIDGES,
        'if variance == "posterior":',
        'if variance == "forward":',
        HERE + "test_ancestral_is_ddpm_as_printed",
    ),
    (
        BRIDGES,
        "table = ddim(path, ts, 1)",
        "table = ddim(path, ts, 0.9)",
        HERE + "test_ancestral_is_ddpm_as_printed",
    ),
]
