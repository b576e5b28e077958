"""Wrong formulas in diffkit.information."""

HERE = "tests/test_information.py::test_"
FILE = "information.py"
ROWS = [
    (
        FILE,
        "(within + (off**2).sum(-1))",
        "within",
        HERE + "two_points_at_distance_two",
    ),
    (
        FILE,
        "_errors(joint, u, upto / 2, n, rng)",
        "_errors(joint, u, upto, n, rng)",
        HERE + "two_points_at_distance_two",
    ),
    (
        FILE,
        "return (c.a**2 / c.g2)",
        "return (c.a / c.g2.sqrt())",
        HERE + "information_of_a_gaussian",
    ),
    (
        FILE,
        "torch.log1p(s * lam).sum(-1)).sum(-1) / 2",
        "torch.log1p(s * lam).sum(-1)).sum(-1)",
        HERE + "information_of_a_gaussian",
    ),
    (
        FILE,
        "torch.xlogy(r, r) - torch.xlogy(r, prior)",
        "torch.xlogy(prior, prior) - torch.xlogy(prior, r)",
        HERE + "labels_and_classes",
    ),
    (
        FILE,
        "top - linear + value",
        "top + linear - value",
        HERE + "entropy_from_denoising_errors",
    ),
    (
        FILE,
        "normal.log_prob(x) - value",
        "normal.log_prob(x) + value",
        HERE + "log_density_from_denoising_errors",
    ),
    (
        FILE,
        "(Q - P) @ C @ (Q - P)",
        "(Q - P) @ E @ (Q - P)",
        HERE + "fisher_divergence_of_gaussians_and_in_space",
    ),
    (
        FILE,
        "/ (2 * u.unsqueeze(-1))",
        "/ (2 * u.unsqueeze(-1) ** 2)",
        HERE + "budget_of_data_sets_lasts_from_the_first_noise_on",
    ),
    (
        FILE,
        "weights.flip(-1) / (2",
        "weights / (2",
        HERE + "budget_of_data_sets_lasts_from_the_first_noise_on",
    ),
    (
        FILE,
        "p.velocity(x, t) - q.velocity(x, t)",
        "q.velocity(x, t) - p.velocity(x, t)",
        HERE + "rate_of_two_worlds_is_a_slope",
    ),
    (
        FILE,
        "world.path.T / (8 * eps)",
        "world.path.T / (4 * eps)",
        HERE + "a_drift_error_in_space_and_in_time",
    ),
    (
        FILE,
        "s.where(u <= u1, s**2 / s1)",
        "s.where(u <= u1, s / s1)",
        HERE + "entropy_from_denoising_errors",
    ),
]
