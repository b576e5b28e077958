"""Wrong formulas in diffkit.data."""

ROWS = [
    (
        "data.py",
        "dtype=torch.float64) / 8 - 1",
        "dtype=torch.float64) / 16",
        "tests/test_data.py::test_digits_are_the_images_in_order_between_paper_and_ink",
    ),
]
