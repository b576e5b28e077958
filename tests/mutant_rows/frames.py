"""Wrong formulas in diffkit.fields.frames and diffkit.tables.recommended."""

HERE = "tests/test_frames.py::"
STILL = HERE + "test_a_gaussian_stands_still"
FLOW = HERE + "test_the_velocity_is_that_of_the_flow"
ORDER = HERE + "test_the_recommended_table_has_its_order"
ROWS = [
    ("fields/frames.py", "still = a * self.variances", "still = self.variances", STILL),
    (
        "fields/frames.py",
        "return -(a * a * c * c + g * g)",
        "return -(a * a + g * g)",
        FLOW,
    ),
    (
        "fields/frames.py",
        "(c * g * psi) * (D - still)",
        "(c * g * g) * (D - still)",
        FLOW,
    ),
    (
        "fields/frames.py",
        "psi = (a * a * self.variances.to(x) + g * g).sqrt()",
        "psi = (self.variances.to(x) + g * g).sqrt()",
        STILL,
    ),
    (
        "fields/frames.py",
        "(x - a * self.mean.to(x)) @ self.axes.to(x)",
        "(x - self.mean.to(x)) @ self.axes.to(x)",
        HERE + "test_out_undoes_into_and_z_is_white",
    ),
    (
        "tables/recommended.py",
        "even(theta.diff(), J)",
        "even(ts.diff(), J)",
        ORDER,
    ),
    (
        "tables/recommended.py",
        "B[age, age] = 0",
        "B[0, 0] = 0",
        HERE + "test_the_first_step_is_free_and_the_rest_are_counted",
    ),
]
