"""Wrong formulas in diffkit.fields.splits."""

HERE = "tests/test_splits.py::"
LEAST = HERE + "test_the_gradient_is_the_least_squares_one"
KNOWN = HERE + "test_known_parts_are_found_with_order_two"
MEAN = HERE + "test_power_is_a_mean_over_the_density"
ROWS = [
    ("fields/splits.py", "(self.weights * flux).reshape", "flux.reshape", LEAST),
    ("fields/splits.py", "shift = h / 2 *", "shift = h *", KNOWN),
    ("fields/splits.py", "self.weights = h**2 * p", "self.weights = h * p", MEAN),
    (
        "fields/splits.py",
        "return torch.cat([f[..., :m, 0], f[..., m:, 1]], -1)",
        "return torch.cat([f[..., :m, 1], f[..., m:, 0]], -1)",
        KNOWN,
    ),
    (
        "fields/splits.py",
        "return (self.weights * part**2).sum(-1)",
        "return (self.weights**2 * part**2).sum(-1)",
        MEAN,
    ),
    (
        "fields/splits.py",
        "return Parts(gradient, f - gradient)",
        "return Parts(gradient, f + gradient)",
        LEAST,
    ),
]
