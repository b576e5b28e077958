"""Wrong formulas in diffkit.solvers."""

HERE = "tests/test_solvers.py::"
ROWS = [
    (
        "solvers.py",
        "torch.cat([u, div.unsqueeze(-1)], -1)",
        "torch.cat([u, -div.unsqueeze(-1)], -1)",
        HERE + "test_densities_agree_along_the_flow",
    ),
    (
        "solvers.py",
        "divergence(velocity, spot, t)",
        "divergence(velocity, spot, t) / 2",
        HERE + "test_logdet_is_that_of_the_jacobian_of_the_exact_flow",
    ),
    (
        "solvers.py",
        "    trail = [x]",
        "    trail = []",
        HERE + "test_the_trail_is_every_state",
    ),
]
