"""Wrong formulas in diffkit.fields."""

HERE = "tests/test_fields.py::"
ROWS = [
    (
        "fields.py",
        '"score": (zero, -1 / c.g)',
        '"score": (zero, -1 / c.g2)',
        HERE + "test_any_target_gives_any_other",
    ),
    (
        "fields.py",
        '"v": (-c.g, c.a)',
        '"v": (c.g, c.a)',
        HERE + "test_any_target_gives_any_other",
    ),
    (
        "fields.py",
        "det = c.a * q - c.g * p",
        "det = c.a * q + c.g * p",
        HERE + "test_any_target_gives_any_other",
    ),
    (
        "fields.py",
        "total.movedim(0, 1).reshape",
        "total.permute(1, 2, 0).reshape",
        HERE + "test_jacobian_is_row_by_row_what_torch_finds_point_by_point",
    ),
    (
        "fields.py",
        'if {have, want} == {"noise", "score"}:',
        "if False:",
        HERE + "test_where_no_signal_is_left_what_is_determined_is_given",
    ),
]
