"""Wrong formulas in diffkit.solvers: the fold."""

HERE = "tests/test_solvers.py::test_"
ROWS = [
    (
        "solvers/fold.py",
        "states, past, trail = [x], [], [x]",
        "states, past, trail = [x], [], []",
        HERE + "the_trail_is_every_state",
    ),
    (
        "solvers/fold.py",
        "if keep and table.lands[n + 1]:",
        "if keep:",
        "tests/test_tables.py::test_stages_are_no_part_of_the_trail",
    ),
    (
        "solvers/fold.py",
        "field = partial(value, field)",
        "field = partial(field)",
        HERE + "refuses[broad field]",
    ),
]
