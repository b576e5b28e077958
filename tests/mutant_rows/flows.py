"""Wrong formulas in diffkit.solvers.flows."""

HERE = "tests/test_flows.py::"
FILE = "solvers/flows.py"
JACOBIAN = (
    HERE + "test_logdet_is_that_of_the_jacobian_of_the_exact_flow[dormand prince-up]"
)
PROBES = HERE + "test_probes_"
ROWS = [
    (
        FILE,
        "torch.cat([u, du.unsqueeze(-1)], -1)",
        "torch.cat([u, -du.unsqueeze(-1)], -1)",
        JACOBIAN,
    ),
    (
        FILE,
        "divergence(velocity, spot, t) if",
        "divergence(velocity, spot, t) / 2 if",
        JACOBIAN,
    ),
    (FILE, "divergence(velocity, spot, t) if", "0 * u[..., 0] if", JACOBIAN),
    (
        FILE,
        "else div(spot, t)",
        "else divergence(velocity, spot, t)",
        HERE + "test_a_formula_for_the_divergence_will_do[adams bashforth]",
    ),
    (FILE, "spot = y[..., :-1]", "spot = x", JACOBIAN),
    (
        FILE,
        "((table.A.sum(1) - 1).abs() < 1e-5).all()",
        "(table.A.sum(1) < 1 + 1e-5).all()",
        HERE + "test_refuses[decay]",
    ),
    (FILE, "own.manual_seed(seed)", "own", PROBES + "stay_so_that_no_order_is_lost"),
    (
        FILE,
        "t, own, probes, kind)",
        "t, own, probes, 'rademacher')",
        PROBES + "have_no_bias_and_the_variance_that_is_said",
    ),
    (
        FILE,
        "t, own, probes, kind)",
        "t, own, probes + 1, kind)",
        PROBES + "have_no_bias_and_the_variance_that_is_said",
    ),
    (
        FILE,
        "2**62, (), generator=rng",
        "2**62, (), generator=own",
        PROBES + "repeat_with_their_generator_and_differ_else",
    ),
]
