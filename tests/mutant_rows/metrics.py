"""Wrong formulas in diffkit.metrics."""

HERE = "tests/test_metrics.py::"
ROWS = [
    (
        "metrics.py",
        "C.trace() + E.trace() - 2 * cross",
        "C.trace() + E.trace() - cross",
        HERE + "test_w2_is_the_bures_formula_by_scipy",
    ),
    (
        "metrics.py",
        "(root @ E @ root).clamp_min(0).sqrt().sum()",
        "(root @ E @ root).clamp_min(0).sum()",
        HERE + "test_w2_is_the_cost_of_the_optimal_map",
    ),
    (
        "metrics.py",
        "E.logdet() - C.logdet() + maha",
        "C.logdet() - E.logdet() + maha",
        HERE + "test_kl_is_that_of_torch_and_has_a_direction",
    ),
    (
        "metrics.py",
        "trace - p.d + ",
        "trace + ",
        HERE + "test_kl_is_that_of_torch_and_has_a_direction",
    ),
    (
        "metrics.py",
        "keepdim=True)) ** 2\n    total",
        "keepdim=True))\n    total",
        HERE + "test_principal_shares_are_the_eigenvalues_of_numpys_covariance",
    ),
    (
        "metrics.py",
        "off = ((want - want.mean(-2, keepdim=True)) ** 2)",
        "off = (want**2)",
        HERE + "test_unexplained_is_one_minus_r2_of_scikit_learn",
    ),
]
