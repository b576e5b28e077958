"""Wrong formulas in diffkit.paths."""

HERE = "tests/test_paths.py::"
ROWS = [
    (
        "paths.py",
        "optimize(e, [expm1_opt]).replace",
        "e.replace",
        HERE + "test_coefficients_are_the_papers_to_every_digit",
    ),
    (
        "paths.py",
        "g2.diff(t) / 2)",
        "g2.diff(t))",
        HERE + "test_slopes_are_differences",
    ),
    (
        "paths.py",
        "area = low * t + (high - low) * t**2 / 2",
        "area = low * t + (high - low) * t**2",
        HERE + "test_coefficients_are_the_papers_to_every_digit",
    ),
    (
        "paths.py",
        "grown = sympy.exp(2 * t *",
        "grown = sympy.exp(t *",
        HERE + "test_coefficients_are_the_papers_to_every_digit",
    ),
    (
        "paths.py",
        "return -2 * self.nsr(time).log()",
        "return -self.nsr(time).log()",
        HERE + "test_coefficients_are_the_papers_to_every_digit",
    ),
    (
        "paths.py",
        "for _ in range(80):",
        "for _ in range(30):",
        HERE + "test_when_inverts_nsr",
    ),
    (
        "paths.py",
        "torch.as_tensor(v, **like).expand_as(time)",
        "torch.as_tensor(v).to(time).expand_as(time)",
        HERE + "test_constants_have_all_their_digits_and_the_shape_of_time",
    ),
]
