"""Wrong formulas in diffkit.couplings."""

HERE = "tests/test_couplings.py::test_"
ROWS = [
    (
        "couplings.py",
        "seen, 1 - seen)",
        "seen, 0 * seen)",
        HERE + "transport_keeps_both_marginals_and_costs_w2_squared",
    ),
    (
        "couplings.py",
        "s.where(seen, torch.ones_like(s)).rsqrt()",
        "s.where(seen, torch.ones_like(s)).reciprocal()",
        HERE + "monge_is_the_formula_by_matrix_roots",
    ),
    (
        "couplings.py",
        "root = eps + torch.hypot(eps, s)",
        "root = 2 * eps + torch.hypot(2 * eps, s)",
        HERE + "bridge_in_one_dimension",
    ),
    (
        "couplings.py",
        "s / root, (2 * eps / root).sqrt()",
        "s / root, (eps / root).sqrt()",
        HERE + "bridge_is_the_formula_by_scipys_matrix_roots",
    ),
    (
        "couplings.py",
        "torch.linalg.svd(L.mT @ M)",
        "torch.linalg.svd(L @ M)",
        HERE + "bridge_couples_the_ends_by_the_brownian_kernel_alone",
    ),
    (
        "couplings.py",
        "X @ X + 2 * eps * X - A @ B",
        "X @ X + eps * X - A @ B",
        HERE + "defect_of_other_couplings",
    ),
    (
        "couplings.py",
        "ratio = arc / (u * (((r + 1) + k) / 2).sqrt())",
        "ratio = arc / (u * ((r + 1) + k).sqrt())",
        HERE + "bridge_alone_is_fixed_and_all_else_moves_towards_it",
    ),
    (
        "couplings.py",
        "torch.asinh(u).where(off > 0",
        "torch.asinh(u).where(off < 0",
        HERE + "markovian_where_the_hyperbola_turns_into_a_circle",
    ),
    (
        "couplings.py",
        "ratio = (1 - off / 3)",
        "ratio = (1 + off / 3)",
        HERE + "markovian_where_the_hyperbola_turns_into_a_circle",
    ),
    (
        "couplings.py",
        "torch.expm1(-2 * k * ratio)",
        "torch.expm1(-k * ratio)",
        HERE + "markovian_steps_reach_the_bridge",
    ),
    (
        "couplings.py",
        "torch.cat([-eye, eye], 1)",
        "torch.cat([eye, eye], 1)",
        HERE + "sinkhorn_gives_the_weights_of_a_law_of_pairs",
    ),
    (
        "couplings.py",
        "source.push(torch.cat([eye, A])",
        "source.push(torch.cat([eye, A.mT])",
        HERE + "reflow_of_a_law_is_the_law_of_its_pairs",
    ),
    (
        "couplings.py",
        "linear_sum_assignment(square.detach().cpu())[1]",
        "linear_sum_assignment(square.detach().cpu())[1].argsort()",
        HERE + "assignment_finds_a_permutation_and_follows_another",
    ),
    (
        "couplings.py",
        "squares(x.double() / top, y.double() / top)",
        "squares(x.double(), y.double())",
        HERE + "assignment_does_not_see_units",
    ),
    (
        "couplings.py",
        "squares(x.double(), y.double()) / (4 * eps)",
        "squares(x.double(), y.double()) / (2 * eps)",
        HERE + "sinkhorn_of_two_and_two_points",
    ),
    (
        "couplings.py",
        "return (log_a.unsqueeze(1) + (log_b + log_g - K)",
        "return (log_a.unsqueeze(1) + (log_g - K)",
        HERE + "sinkhorn_gives_nothing_to_points_of_no_weight",
    ),
]
