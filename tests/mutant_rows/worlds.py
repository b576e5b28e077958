"""Wrong formulas in diffkit.worlds."""

HERE = "tests/test_worlds.py::"
ROWS = [
    (
        "worlds.py",
        "return self.joint.scale(c.a).blur(c.g2)\n\n    def log_prob",
        "return self.joint.scale(c.a).blur(c.g)\n\n    def log_prob",
        HERE + "test_draws_are_of_the_law_and_of_the_posterior",
    ),
    (
        "worlds.py",
        "law = self.joint.scale(c.a).blur(c.g2)",
        "law = self.joint.scale(c.a).blur(c.g)",
        HERE + "test_log_prob_and_score_are_those_of_the_dense_law",
    ),
    (
        "worlds.py",
        "c.da, c.a * c.da, c.gdg)",
        "c.da, c.a * c.da, 2 * c.gdg)",
        HERE + "test_velocity_solves_the_continuity_equation",
    ),
    (
        "worlds.py",
        "c.da, c.a * c.da, c.gdg)",
        "c.da, c.da, c.gdg)",
        HERE + "test_velocity_solves_the_continuity_equation",
    ),
    (
        "worlds.py",
        "torch.ones_like(c.a), c.a, torch.zeros_like(c.a)",
        "c.a, c.a, torch.zeros_like(c.a)",
        HERE + "test_fields_are_posterior_means_by_quadrature",
    ),
    (
        "worlds.py",
        "return -trailing(c.g, x) * law.score(x)",
        "return -trailing(c.g2, x) * law.score(x)",
        HERE + "test_fields_are_posterior_means_by_quadrature",
    ),
    (
        "worlds.py",
        "return self.joint.given(c.a, x, c.g2)",
        "return self.joint.given(c.a, x, c.g)",
        HERE + "test_posterior_has_the_moments_that_the_denoiser_gives",
    ),
    (
        "worlds.py",
        "trailing(c.a, x0) * x0 + trailing(c.g, x0) * z",
        "trailing(c.a, x0) * x0 + trailing(c.g2, x0) * z",
        HERE + "test_draws_are_of_the_law_and_of_the_posterior",
    ),
]
