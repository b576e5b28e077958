"""Wrong formulas in diffkit.shapes."""

HERE = "tests/test_shapes.py::"
ROWS = [
    (
        "shapes.py",
        "t.shape + (1,) * (like.ndim - t.ndim)",
        "(1,) * (like.ndim - t.ndim) + t.shape",
        HERE + "test_trailing_multiplies_rows_even_where_n_equals_d",
    ),
]
