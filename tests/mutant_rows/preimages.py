"""Wrong formulas in diffkit.solvers.line, and in fields.recorded."""

HERE = "tests/test_solvers_line.py::"
FILE = "solvers/line.py"
MAP = HERE + "test_preimages_of_a_linear_map_to_the_last_digit"
ROOT = HERE + "test_preimages_are_where_a_root_finder_finds_them"
LAW = HERE + "test_a_density_goes_as_a_gaussian_does"
TAILS = HERE + "test_masses_of_a_gaussian_keep_their_digits_in_both_tails"
CELLS = HERE + "test_cells_that_are_too_wide_are_refused_where_there_is_mass"
ROWS = [
    (
        FILE,
        "SCAN, CELL, ROUNDS = 1000, 100, 7",
        "SCAN, CELL, ROUNDS = 1000, 100, 3",
        MAP,
    ),
    (
        FILE,
        "(ends <= y.unsqueeze(1)).sum(1, keepdim=True) - 1",
        "(ends <= y.unsqueeze(1)).sum(1, keepdim=True)",
        ROOT,
    ),
    (
        FILE,
        "return (left + right).squeeze(1) / 2",
        "return left.squeeze(1) + 1e-9",
        MAP,
    ),
    (
        FILE,
        "if not (ends.diff() >= 0).all():\n        n = int(ends.diff().argmin())",
        "if False:\n        n = int(ends.diff().argmin())",
        HERE + "test_a_map_that_folds_has_no_edges",
    ),
    (
        FILE,
        "half = ends.diff().unsqueeze(1) / 2",
        "half = ends.diff().unsqueeze(1)",
        HERE + "test_the_rule_in_panels_is_exact_for_polynomials",
    ),
    (
        FILE,
        "(x.unsqueeze(1) - mean) / row.noise) @ (w * p) / row.noise",
        "(x.unsqueeze(1) - mean) / row.noise) @ (w * p)",
        LAW,
    ),
    (
        FILE,
        "(x.unsqueeze(1) - mean) / row.noise) @ (w * p)",
        "(x.unsqueeze(1) - mean) / row.noise) @ p",
        LAW,
    ),
    (FILE, "above = low > 0", "above = low > torch.inf", TAILS + "[all noise]"),
    (
        FILE,
        "torch.where(above, -high, low), torch.where(above, -low, high)",
        "torch.where(above, -low, low), torch.where(above, -high, high)",
        TAILS,
    ),
    (
        FILE,
        "edges = preimages(_part(table, last + 1, None), field, edges, *span)",
        "pass",
        TAILS + "[a map last]",
    ),
    (
        FILE,
        "p = propagate(_part(table, 0, last), field, x, w, p)",
        "p = propagate(_part(table, 0, last - 1), field, x, w, p)",
        TAILS,
    ),
    (
        FILE,
        "mean = mean + row.past[0][1] * value",
        "mean = mean - row.past[0][1] * value",
        LAW,
    ),
    (FILE, "mean = sum(a for _, a in row.states) * x", "mean = x.clone()", LAW),
    (FILE, "* (move > row.noise)", "* (move > 99 * row.noise)", CELLS),
    (
        FILE,
        "torch.maximum(mass[:-1], mass[1:]) * (move > row.noise)",
        "1.0 * (move > row.noise)",
        CELLS,
    ),
    (FILE, "(z * z).mul_(-0.5).exp_()", "(z * z).mul_(-1.0).exp_()", LAW),
    (
        "fields/combinators.py",
        "into.append(value(field, x, t))\n        return into[-1]",
        "into.append(value(field, x, t))\n        return into[0]",
        "tests/test_fields.py::test_what_is_recorded_is_what_the_caller_got_in_order",
    ),
]
