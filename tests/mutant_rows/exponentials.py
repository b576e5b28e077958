"""Mutants of the exponential integrators."""

TESTS = "tests/test_exponentials.py::"
EXACT = TESTS + "test_a_polynomial_target_is_integrated_exactly"
ORDERS = "tests/test_exponentials_orders.py::"
ORDER = ORDERS + "test_from_exact_starting_values_the_order_is_the_one_told"
STAGES = TESTS + "test_the_stages_stand_at_equal_parts_of_a_step_in_lam"
FILE = "tables/exponentials.py"

ROWS = [
    (FILE, "a - k / h * W[-1]", "a - W[-1] / h", EXACT),
    (FILE, "term = -term * h / i", "term = term * h / i", EXACT),
    (FILE, "series = term = a * h / (k + 1)", "series = term = a * h / k", EXACT),
    (FILE, "torch.where(h.abs() > 1,", "torch.where(h > -9,", EXACT),
    (
        FILE,
        "torch.arange(1, J + 1).to(total)",
        "torch.arange(J).add(1).square().to(total)",
        EXACT,
    ),
    (FILE, "w[j] = w[j] - x[k] * w[j - 1]", "w[j] = w[j] + x[k] * w[j - 1]", EXACT),
    (FILE, "w[j] / (x[j] - x[j - k - 1])", "w[j] / (x[j] - x[j - 1])", EXACT),
    (FILE, "for j in range(k, J - 1):", "for j in range(k + 1, J - 1):", EXACT),
    (FILE, "(n[:, None] >= j)", "(n[:, None] > j)", EXACT),
    (
        FILE,
        "even(r[1:] * phi.diff(), J)) / past(r, J)",
        "even(r[1:] * phi.diff(), J)) / r[:-1, None]",
        EXACT,
    ),
    (FILE, "1 - k * L, q * e * series", "1 - L, q * e * series", EXACT),
    (FILE, "1 - k * L, q * e * series", "1 - k * L, e * series", EXACT),
    (FILE, "L = (L - q / k) / e", "L = (L - 1 / k) / e", EXACT),
    (FILE, "a, g = g, a", "a, g = a, g", EXACT),
    (
        FILE,
        "A = A * (-p * h).exp()",
        "A = A * (-h).exp()",
        TESTS + "test_every_eta_solves_the_linear_process_exactly",
    ),
    (
        FILE,
        "-torch.expm1(-2 * p * h)",
        "-torch.expm1(-p * h)",
        TESTS + "test_every_eta_solves_the_linear_process_exactly",
    ),
    (
        FILE,
        "(1 + p) * h, order)",
        "h, order)",
        ORDERS + "test_the_law_at_the_end_converges_with_the_order_told[2]",
    ),
    (
        FILE,
        "clock = (2 * p * lam).exp()",
        "clock = (2 * lam).exp()",
        TESTS + "test_nested_grids_share_one_brownian_motion",
    ),
    (
        FILE,
        "clock = torch.where(clock.isinf(), clock[-2], clock)",
        "clock = clock * 1",
        TESTS + "test_with_all_its_noise_the_first_order_is_ancestral",
    ),
    (
        FILE,
        "known.sum(1) == 2, W[0] / 2",
        "known.sum(1) == 2, W[0]",
        TESTS + "test_what_public_code_prints_differs_from_the_exact_weights_as_told",
    ),
    (
        FILE,
        "known.sum(1) == 2, W[0] / 2",
        "known.sum(1) >= 2, W[0] / 2",
        TESTS + "test_what_public_code_prints_differs_from_the_exact_weights_as_told",
    ),
    (
        FILE,
        "W[2] = W[2] / 2",
        "W[2] = W[2] * 1",
        TESTS + "test_what_public_code_prints_differs_from_the_exact_weights_as_told",
    ),
    (
        FILE,
        "off.isfinite() & h.isfinite()",
        "off.isfinite()",
        TESTS + "test_to_noise_0_a_step_in_lam_returns_the_denoiser",
    ),
    (
        "tables/multistep.py",
        'ordered(order, 3), "noise")',
        'ordered(order, 3), "noise", "nsr")',
        TESTS + "test_to_noise_0_a_step_in_lam_returns_the_denoiser",
    ),
    (
        "tables/multistep.py",
        "ordered(order, 2), 1, published=True",
        "ordered(order, 2), 0.9, published=True",
        TESTS + "test_with_all_its_noise_the_first_order_is_ancestral",
    ),
    (
        "tables/singlestep.py",
        "3: (1 / 3, 2 / 3)",
        "3: (1 / 3, 1 / 2)",
        STAGES,
    ),
    (
        "tables/singlestep.py",
        "W * r / before",
        "W / before",
        ORDER + "[dpm_solver 3]",
    ),
    (
        "tables/singlestep.py",
        "total / 2 if order == 2",
        "total if order == 2",
        ORDER + "[dpm_solver 2]",
    ),
    (
        "tables/singlestep.py",
        "torch.where(whole, t ** (1 - r) * s**r, 0)",
        "torch.where(whole, t**r * s ** (1 - r), 0)",
        STAGES,
    ),
    (
        "tables/singlestep.py",
        "return torch.where(whole, times, ts[:-1])",
        "return torch.where(whole, times, 0.0)",
        STAGES,
    ),
    (
        "tables/correctors.py",
        'if b == "bh1" else W[:, 0]) / 2',
        'if b == "bh2" else W[:, 0]) / 2',
        TESTS + "test_bh_is_seen_only_where_two_values_are",
    ),
    (
        "tables/correctors.py",
        "known.sum(1) == 2, half",
        "known.sum(1) == 3, half",
        TESTS + "test_bh_is_seen_only_where_two_values_are",
    ),
    (
        "tables/correctors.py",
        "torch.ones_like(theta[:, :1])",
        "-torch.ones_like(theta[:, :1])",
        ORDER + "[unipc 3 denoise bh2]",
    ),
    (
        "tables/correctors.py",
        "age[there] + 1)",
        "age[there])",
        ORDER + "[unipc 3 denoise bh2]",
    ),
    (
        "tables/correctors.py",
        "old = Q[:, [0, *range(2, J + 1)]]",
        "old = Q[:, 1:]",
        ORDER + "[unipc 3 denoise bh2]",
    ),
    (
        "tables/correctors.py",
        "both[:, 0, 0] = both[:, 1, 1] = A",
        "both[:, 0, 0] = both[:, 1, 0] = A",
        ORDER + "[unipc 3 denoise bh2]",
    ),
    (
        "tables/exponentials.py",
        "if not 0 <= eta < math.inf:",
        "if not 0 <= eta <= math.inf:",
        "tests/test_exponentials.py::test_refuses[eta inf]",
    ),
]
