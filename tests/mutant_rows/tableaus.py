"""Wrong formulas in diffkit.tables.tableaus."""

HERE = "tests/test_tableaus.py::"
FILE = "tables/tableaus.py"
ORDER = HERE + "test_order_by_trees_is_order_by_power_series_and_no_more"
TREES = HERE + "test_every_tree_is_a_differential_equation"
LOOP = HERE + "test_the_table_is_the_loop_of_the_textbooks"
LAST = HERE + "test_the_last_step_may_be_any"
BACK = HERE + "test_reversible_heun_"
ROWS = [
    (FILE, '"1/6 1/3 1/3 1/6"', '"1/8 3/8 3/8 1/8"', ORDER + "[rk4]"),
    (FILE, 'of("1", "1/2 1/2")', 'of("1", "1 0")', ORDER + "[heun]"),
    (FILE, '"1/2; -1 2"', '"1/2; 0 1"', ORDER + "[kutta3]"),
    (FILE, "-212/729", "212/729", ORDER + "[dormand_prince]"),
    (
        FILE,
        'MIDPOINT = Tableau.of("1/2", "0 1")',
        'MIDPOINT = Tableau.of("2/3", "1/4 3/4")',
        HERE + "test_the_rules_of_integration_behind_them",
    ),
    (
        FILE,
        'RALSTON3 = Tableau.of("1/2; 0 3/4", "2/9 1/3 4/9")',
        'RALSTON3 = Tableau.of("1/3; 0 2/3", "1/4 0 3/4")',
        HERE + "test_ralston_has_the_least_bound_on_the_error",
    ),
    (
        FILE,
        '"5179/57600 0 7571/16695 393/640 -92097/339200 187/2100 1/40"',
        '"35/384 0 500/1113 125/192 -2187/6784 11/84 0"',
        HERE + "test_the_embedded_method_is_of_lower_order",
    ),
    (
        FILE,
        "return runge_kutta(RK38, ts, last)",
        "return runge_kutta(RK4, ts, last)",
        LOOP,
    ),
    (
        FILE,
        "return _vertices(tree) * math.prod(map(density, tree))",
        "return math.prod(map(density, tree))",
        HERE + "test_labels_that_grow_from_the_root_are_counted_by_density",
    ),
    (
        FILE,
        "_dot(row, phi) for phi in inner), start=one) for row",
        "_dot(row, phi) for phi in inner[:1]), start=one) for row",
        TREES,
    ),
    (
        FILE,
        "return _dot(self.b, self._phi(tree))",
        "return _dot(self.b, self.c)",
        TREES,
    ),
    (
        FILE,
        "yield tuple(sorted((*tree, ())))",
        "yield (*tree, ())",
        HERE + "test_there_are_as_many_trees_as_cayley_counted",
    ),
    (FILE, "for u in trees(p + 1)):", "for u in trees(p + 1)[:1]):", ORDER),
    (FILE, "for u in (*tableau.c[1:], 1)]", "for u in (*tableau.c[:-1], 1)]", LOOP),
    (FILE, "h[:, None] * c)", "0 * h[:, None] * c)", LOOP),
    (FILE, "B[i, i - j] = float(weight)", "B[i, j] = float(weight)", LOOP),
    (FILE, "A[i, i] = 1.0  # x_n", "A[i, 0] = 1.0  # x_n", LOOP),
    (FILE, "(h[:, None, None] * B)", "(h[0] * B + 0 * h[:, None, None])", LOOP),
    (
        FILE,
        "torch.where(c == 1, ts[1:, None], ts",
        "torch.where(c == 2, ts[1:, None], ts",
        HERE + "test_the_end_of_a_step_is_the_time_of_the_grid",
    ),
    (FILE, "end = _repeated(last, ts[-2:])", "end = _repeated(last, ts[:2])", LAST),
    (FILE, "body = _repeated(tableau, ts[:-1])", "body = _repeated(tableau, ts)", LAST),
    (FILE, "(0, wide - u.shape[1])", "(wide - u.shape[1], 0)", LAST),
    (
        FILE,
        "torch.stack([o, h, o], 1)",
        "torch.stack([h, o, o], 1)",
        BACK + "is_the_printed_recursion",
    ),
    (
        FILE,
        "torch.stack([h, o, h], 1) / 2",
        "torch.stack([h, h, o], 1) / 2",
        BACK + "is_the_printed_recursion",
    ),
    (
        FILE,
        "[[2.0, -1.0], [0.0, 1.0]]",
        "[[1.0, 0.0], [0.0, 1.0]]",
        BACK + "goes_back_to_rounding_and_heun_does_not",
    ),
    (
        FILE,
        "[[1, 0, 0], [0.5, 0.5, 0]]",
        "[[1, 0, 0], [1, 0, 0]]",
        BACK + "is_the_printed_recursion",
    ),
    (
        FILE,
        "{'-' * (u < 0)}",
        "",
        HERE + "test_the_array_that_is_shown_is_the_tableau",
    ),
]
