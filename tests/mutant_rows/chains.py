"""Wrong formulas in diffkit.chains."""

HERE = "tests/test_chains.py::"
ROWS = [
    (
        "chains.py",
        "(c.a.to(lam) ** 2 * lam + c.g2.to(lam)).sqrt()",
        "c.a.to(lam) * lam.sqrt() + c.g.to(lam)",
        HERE + "test_carry_is_the_product_of_dense_roots",
    ),
    (
        "chains.py",
        "return spread(path, lam, s) / start",
        "return start / spread(path, lam, s)",
        HERE + "test_carry_is_where_the_velocity_leads",
    ),
    (
        "chains.py",
        "factor = a * lam / (",
        "factor = lam / (",
        HERE + "test_endpoint_is_the_denoiser_on_the_carried_point",
    ),
    (
        "chains.py",
        "c.a.to(lam) * lam.sqrt())",
        "c.a.to(lam) * lam)",
        HERE + "test_angle_splits_the_variance_into_signal_and_noise",
    ),
    (
        "chains.py",
        "trailing(path.at(s).a.to(x), x) * law.means[0] + off",
        "trailing(path.at(t).a.to(x), x) * law.means[0] + off",
        HERE + "test_carry_is_the_product_of_dense_roots",
    ),
    (
        "chains.py",
        "rows = x.shape[:-1] + (1,) * lam.ndim",
        "rows = (1,) * lam.ndim + x.shape[:-1]",
        HERE + "test_one_time_per_point_is_the_points_one_by_one",
    ),
]
