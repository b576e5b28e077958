"""Wrong formulas in diffkit.laws.entropies."""

HERE = "tests/test_entropies.py::"
FILE = "laws/entropies.py"
ROWS = [
    (
        FILE,
        "alpha * (1 - alpha) * maha + size",
        "alpha * (1 - alpha) * maha / 2 + size",
        HERE + "test_pairs_use_the_distances_that_integrals_give",
    ),
    (
        FILE,
        "alpha * (1 - alpha) / 2 * square, square / 2",
        "alpha * (1 - alpha) / 2 * square, square",
        HERE + "test_shared_covariances_are_a_case_of_general_ones",
    ),
    (
        FILE,
        "size - (1 - alpha) * own - alpha * other",
        "size - alpha * own - (1 - alpha) * other",
        HERE + "test_pairs_use_the_distances_that_integrals_give",
    ),
    (
        FILE,
        "trace.sum(-1) - d + other - own",
        "trace.sum(-1) - d + own - other",
        HERE + "test_pairs_use_the_distances_that_integrals_give",
    ),
    (
        FILE,
        "lower + torch.special.entr(w).sum(-1)",
        "lower - torch.special.entr(w).sum(-1)",
        HERE + "test_bounds_hold_on_the_line",
    ),
    (
        FILE,
        "(1 + math.log(2 * math.pi)) + cov.logdet()",
        "math.log(2 * math.pi) + cov.logdet()",
        HERE + "test_a_gaussian_is_that_of_torch_and_its_bounds_are_equal",
    ),
    (
        FILE,
        "return -log.exp() * log",
        "return -log.exp() * (log - 1)",
        HERE + "test_on_the_line_it_is_the_integral_by_scipy",
    ),
]
