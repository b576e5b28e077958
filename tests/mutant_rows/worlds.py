"""Wrong formulas in diffkit.worlds."""

HERE = "tests/test_worlds.py::test_"
ROWS = [
    (
        "worlds.py",
        "return self.joint.blend(self._two(c.a, c.b), c.g2)",
        "return self.joint.blend(self._two(c.a, c.b), c.g)",
        HERE + "draws_are_of_the_law_and_of_the_posterior[gaussian]",
    ),
    (
        "worlds.py",
        "return self.joint.log_seen(x, self._two(c.a, c.b), c.g2)",
        "return self.joint.log_seen(x, self._two(c.a, c.b), c.g)",
        HERE + "log_prob_and_score_are_those_of_the_dense_law[vp-mixture]",
    ),
    (
        "worlds.py",
        "c.da, c.db, c.gdg)",
        "c.da, c.db, 2 * c.gdg)",
        HERE + "velocity_solves_the_continuity_equation[vp-mixture]",
    ),
    (
        "worlds.py",
        "c.da, c.db, c.gdg)",
        "c.a, c.db, c.gdg)",
        HERE + "velocity_solves_the_continuity_equation[vp-mixture]",
    ),
    (
        "worlds.py",
        "c.da, c.db, c.gdg)",
        "c.db, c.da, c.gdg)",
        HERE
        + "between_two_ends_velocity_solves_the_continuity_equation[bridge-mixtures]",
    ),
    (
        "worlds.py",
        "zero + 1, zero, zero)",
        "zero, zero + 1, zero)",
        HERE + "between_two_ends_fields_are_dense_regressions[bridge-mixtures]",
    ),
    (
        "worlds.py",
        "return self._expect(x, c, zero, zero + 1, zero)",
        "return self._expect(x, c, zero, c.b, zero)",
        HERE + "between_two_ends_fields_are_dense_regressions[bridge-mixtures]",
    ),
    (
        "worlds.py",
        "zero, zero, c.g)",
        "zero, zero, c.g2)",
        HERE + "fields_are_posterior_means_by_quadrature[vp]",
    ),
    (
        "worlds.py",
        "zero, zero, zero - 1)",
        "zero, zero, zero + 1)",
        HERE + "log_prob_and_score_are_those_of_the_dense_law[vp-mixture]",
    ),
    (
        "worlds.py",
        "return self.joint.posterior(x, self._two(c.a, c.b), c.g2)",
        "return self.joint.posterior(x, self._two(c.a, c.b), c.g)",
        HERE + "posterior_has_the_moments_that_the_denoiser_gives[vp-mixture]",
    ),
    (
        "worlds.py",
        "x = trailing(c.g, z) * z",
        "x = trailing(c.g2, z) * z",
        HERE + "draws_are_of_the_law_and_of_the_posterior[gaussian]",
    ),
    (
        "worlds.py",
        "for u, end in zip(self._two(c.a, c.b), ends, strict=True):",
        "for u, end in zip(self._two(c.b, c.a), ends, strict=True):",
        HERE + "between_two_ends_draws_fit_the_fields[bridge-mixtures]",
    ),
]
