"""Wrong formulas in diffkit.laws.line."""

HERE = "tests/test_line.py::"
ROWS = [
    (
        "laws/line.py",
        "base = base + self.steps[0][i].exp() - self.steps[1][i].exp()",
        "base = base + self.steps[0][i].exp()",
        HERE + "test_the_level_between_the_tails_is_the_same_probability",
    ),
    (
        "laws/line.py",
        "torch.where(near, z.erf(), -sign * z.abs().erfc())",
        "torch.where(near, z.erf(), sign * z.abs().erfc())",
        HERE + "test_the_level_between_the_tails_is_the_same_probability",
    ),
    (
        "laws/line.py",
        "sign.masked_fill(near, 0)",
        "sign",
        HERE + "test_the_level_between_the_tails_is_the_same_probability",
    ),
    (
        "laws/line.py",
        "near, sign = z.abs() < 0.5, z.sign()",
        "near, sign = z.abs() < 99, z.sign()",
        HERE + "test_into_a_gap_of_mass_far_below_eps",
    ),
    (
        "laws/line.py",
        "log_ndtr(-self.z(x) if upper else self.z(x))",
        "(-log_ndtr(self.z(x)).expm1()).log() if upper else log_ndtr(self.z(x))",
        HERE + "test_both_tails_keep_their_digits",
    ),
    (
        "laws/line.py",
        "z, w = self.z(x) / ROOT2, self.logw.exp()",
        "z, w = self.z(x), self.logw.exp()",
        HERE + "test_the_level_between_the_tails_is_the_same_probability",
    ),
    (
        "laws/line.py",
        "goals = {LOWER: lower, UPPER: -upper, MIDDLE: off}",
        "goals = {LOWER: lower, UPPER: -lower, MIDDLE: off}",
        HERE + "test_quantile_has_the_probability_it_was_asked_for",
    ),
    (
        "laws/line.py",
        "after = self.level(kind, self.at)",
        "after = self.level(kind, self.at, left=True)",
        HERE + "test_quantile_of_data_is_numpys_inverted_cdf",
    ),
    (
        "laws/line.py",
        "y - (g - g.detach()) * pace",
        "y + (g - g.detach()) * pace",
        HERE + "test_an_atom_moves_its_own_quantile_alone",
    ),
    (
        "laws/line.py",
        "(-part.expm1()).log()",
        "(-part).log()",
        HERE + "test_the_mass_of_a_gap_has_all_its_digits",
    ),
    (
        "laws/line.py",
        "terms = self.logw - self.s.log() - self.z(x) ** 2 / 2",
        "terms = self.logw - self.z(x) ** 2 / 2",
        HERE + "test_the_map_carries_one_density_to_the_other",
    ),
    (
        "laws/line.py",
        "b - a <= 2 * eps * new.abs()",
        "b - a <= 2 * eps / new.abs()",
        "tests/test_line.py::test_quantiles_do_not_depend_on_the_unit_of_length",
    ),
]
