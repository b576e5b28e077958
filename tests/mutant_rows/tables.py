"""Wrong formulas in diffkit.tables."""

SOLVERS = "tests/test_solvers.py::"
HERE = "tests/test_tables.py::"
ROWS = [
    (
        "tables.py",
        '"1/6 1/3 1/3 1/6"',
        '"1/8 3/8 3/8 1/8"',
        HERE + "test_runge_kutta_meets_its_order_conditions_and_no_more",
    ),
    (
        "tables.py",
        'return _stages(ts, "1", "1/2 1/2")',
        'return _stages(ts, "1", "1 0")',
        HERE + "test_runge_kutta_meets_its_order_conditions_and_no_more",
    ),
    (
        "tables.py",
        "S = g_s * eta * (1 - rest).sqrt()",
        "S = g_s * eta * (1 - rest)",
        HERE + "test_ancestral_steps_are_the_bridge_by_dense_conditioning",
    ),
    (
        "tables.py",
        "k = g_s * (1 - eta**2 * (1 - rest)).sqrt()",
        "k = g_s * (1 - eta * (1 - rest)).sqrt()",
        HERE + "test_every_eta_keeps_the_noise_level_of_the_path",
    ),
    (
        "tables.py",
        "(a_s - a_t * k / g_t).unsqueeze(1)",
        "(a_s - k / g_t).unsqueeze(1)",
        HERE + "test_ddim_is_euler_in_the_noise_to_signal_ratio",
    ),
    (
        "tables.py",
        "past.insert(0, field(x, self.ts[n]))",
        "past.append(field(x, self.ts[n]))",
        SOLVERS + "test_a_table_remembers_its_evaluations_newest_first",
    ),
    (
        "tables.py",
        "t + float(c) * h)",
        "t)",
        SOLVERS + "test_runge_kutta_converges_with_its_order_and_no_other",
    ),
    (
        "tables.py",
        "y = y + h * float(a) * f if a else y",
        "y = y + h * float(c) * f / len(row) if a else y",
        SOLVERS + "test_runge_kutta_converges_with_its_order_and_no_other",
    ),
    (
        "tables.py",
        "new + self.S[n] * z",
        "new + self.S[n] ** 2 * z",
        SOLVERS + "test_random_sampling_ends_in_the_law_of_the_linear_recursion",
    ),
]
