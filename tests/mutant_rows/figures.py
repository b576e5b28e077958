"""Wrong formulas in diffkit.figures."""

ROWS = [
    (
        "figures.py",
        "image.reshape(side, side).numpy()",
        "image.reshape(side, side).T.numpy()",
        "tests/test_figures.py::"
        "test_a_strip_shows_every_image_upright_under_its_labels",
    ),
]
