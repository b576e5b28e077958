"""Wrong formulas in diffkit.surfaces."""

HERE = "tests/test_surfaces.py::"
MEANS = HERE + "test_density_and_guess_are_means_over_the_surface"
ROWS = [
    (
        "surfaces.py",
        "(w * w).sum(-1) / (2 * v) + (self.d / 2)",
        "(w * w).sum(-1) / (2 * v) + (self.dim / 2)",
        MEANS,
    ),
    ("surfaces.py", "mean - (r - 1) ** 2 / (2 * v)", "mean - (r - 1) ** 2 / v", MEANS),
    (
        "surfaces.py",
        "torch.special.i1e(kappa) / (",
        "torch.special.i0e(kappa) / (",
        MEANS,
    ),
    (
        "surfaces.py",
        "torch.expm1(-2 * kappa) / (2 *",
        "torch.expm1(-kappa) / (2 *",
        MEANS,
    ),
    (
        "surfaces.py",
        "near = near * q + c",
        "near = near * kappa + c",
        HERE + "test_the_series_meets_the_formula",
    ),
    ("surfaces.py", "(2 * S / 3)).log()", "S).log()", MEANS),
    ("surfaces.py", "return around + _log_between(a, b) + ", "return around + ", MEANS),
    (
        "surfaces.py",
        "pull = (-b * b / 2 - size).exp() - (",
        "pull = (-b * b / 2 - size).exp() + (",
        MEANS,
    ),
    (
        "surfaces.py",
        "return (1 - h) / sd, (-1 - h) / sd",
        "return (1 - h) / sd, -h / sd",
        MEANS,
    ),
]
