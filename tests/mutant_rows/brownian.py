"""Wrong formulas in diffkit.solvers.brownian, and in what `solve` does with it."""

HERE = "tests/test_brownian.py::"
FILE = "solvers/brownian.py"
GIVEN = HERE + "test_each_value_is_drawn_given_all_others"
ROWS = [
    (FILE, "var = u * (right - c)", "var = u * (right - left)", GIVEN),
    (FILE, "var = u * (right - c)", "var = right - c", GIVEN),
    (
        FILE,
        "u = (c - left) / (right - left)",
        "u = (right - c) / (right - left)",
        GIVEN,
    ),
    (  # mid-way, wherever the new time is
        FILE,
        "mean = torch.lerp(self.values[i - 1], self.values[i], u)",
        "mean = (self.values[i - 1] + self.values[i]) / 2",
        GIVEN,
    ),
    (FILE, "alpha=math.sqrt(var)", "alpha=var", GIVEN),
    (
        FILE,
        "mean, var = self.values[end], abs(c - self.times[end])",
        "mean, var = self.values[0], abs(c)",
        GIVEN,
    ),
    (
        FILE,
        "if i < len(self.times) and self.times[i] == c:",
        "if c == 0:",
        HERE + "test_a_known_value_is_never_made_again",
    ),
    (
        FILE,
        "self.times.insert(i, c)",
        "self.times.append(c)",
        HERE + "test_a_known_value_is_never_made_again",
    ),
    (
        FILE,
        "/ math.sqrt(abs(s - c))",
        "/ abs(s - c)",
        HERE + "test_increments_add_up",
    ),
    (
        FILE,
        "return (self(s) - self(c))",
        "return (self(c) - self(s))",
        HERE + "test_pure_noise_ends_where_the_motion_does",
    ),
    (
        "solvers/fold.py",
        "noise.step(clock[n], clock[n + 1])",
        "noise.step(clock[0], clock[n + 1])",
        HERE + "test_pure_noise_ends_where_the_motion_does",
    ),
]
