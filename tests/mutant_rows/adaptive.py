"""Wrong formulas in diffkit.solvers.adaptive and progress."""

HERE = "tests/test_adaptive.py::"
FILE = "solvers/adaptive.py"
LAW = HERE + "test_every_step_is_the_one_that_the_law_wants"
GUESS = HERE + "test_the_first_step_is_guessed_as_scipy_guesses_it"
SHOWN = "tests/test_progress.py::"
ROWS = [
    (
        FILE,
        "AIM, SHRINK, GROW = 0.5, 0.2, 5.0",
        "AIM, SHRINK, GROW = 1.0, 0.2, 5.0",
        LAW,
    ),
    (
        FILE,
        "AIM, SHRINK, GROW = 0.5, 0.2, 5.0",
        "AIM, SHRINK, GROW = 0.5, 0.1, 5.0",
        LAW,
    ),
    (
        FILE,
        "AIM, SHRINK, GROW = 0.5, 0.2, 5.0",
        "AIM, SHRINK, GROW = 0.5, 0.2, 10.0",
        LAW,
    ),
    (FILE, "(0.7 / self.k)", "(1 / self.k)", LAW),
    (FILE, "(self.before / AIM)", "(AIM / self.before)", LAW),
    (FILE, "(AIM / e) ** (1 / self.k)", "(AIM / e) ** (1 / (self.k + 1))", LAW),
    (
        FILE,
        "self.h, self.grow = h * max(SHRINK, factor), 1.0",
        "self.h = h * max(SHRINK, factor)",
        LAW,
    ),
    (
        FILE,
        "return self.tableau.embedded.order + 1",
        "return self.tableau.order + 1",
        LAW,
    ),
    (FILE, "if e <= 1:", "if e <= 2:", LAW),
    (FILE, "torch.maximum(x.abs(), y.abs())", "x.abs()", LAW),
    (
        FILE,
        "return (u / scale).square().mean(-1).sqrt().max().item()",
        "return (u / scale).square().mean().sqrt().item()",
        LAW,
    ),
    (
        FILE,
        "return (u / scale).square().mean(-1).sqrt().max().item()",
        "return (u / scale).abs().max().item()",
        LAW,
    ),
    (FILE, "_floats(u - v for u, v", "_floats(u for u, v", LAW),
    (FILE, "t, slope = to, end", "t = to", LAW),
    (
        FILE,
        "to if c == 1 else t + c * h",
        "t",
        HERE + "test_a_table_on_its_times_repeats_the_run",
    ),
    (
        FILE,
        "math.copysign(h, left)",
        "h",
        HERE + "test_the_other_direction_is_the_field_reversed",
    ),
    (
        FILE,
        "abs(left) <= 1.1 * h",
        "abs(left) <= h",
        HERE + "test_no_crumb_is_left_for_the_last_step",
    ),
    (
        FILE,
        "d2 = _size(ahead - slope, scale) / h",
        "d2 = _size(ahead - slope, scale)",
        GUESS,
    ),
    (FILE, "0.01 * d0 / d1", "0.01 * d1 / d0", GUESS),
    (FILE, "min(100 * h, (0.01 / bend)", "max(100 * h, (0.01 / bend)", GUESS),
    (FILE, "evaluations=1 + (self.first is None)", "evaluations=1", LAW),
    (FILE, "refused=tries - (len(times) - 1)", "refused=tries - len(times)", LAW),
    (
        FILE,
        "states = states if keep else []",
        "states = states",
        HERE + "test_the_end_alone_is_held",
    ),
    (
        "solvers/progress.py",
        "(1 - part) / part",
        "part / (1 - part)",
        SHOWN + "test_a_longer_run_shows_how_much_is_done_and_what_is_left",
    ),
    (
        "solvers/progress.py",
        'getattr(stream, "isatty", bool)()',
        "stream",
        SHOWN + "test_pipes_and_files_see_nothing",
    ),
    (
        "solvers/fold.py",
        "tell((n + 1) / len(table.rows))",
        "tell(n / len(table.rows))",
        SHOWN + "test_solve_tells_how_far_it_is",
    ),
    (
        FILE,
        "to if c == 1 else t",
        "to if c == 2 else t",
        HERE + "test_no_time_falls_outside",
    ),
]
