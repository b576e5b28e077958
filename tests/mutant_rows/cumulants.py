"""Wrong formulas in diffkit.laws.cumulants."""

HERE = "tests/test_cumulants.py::"
FILE = "laws/cumulants.py"
MOMENTS = HERE + "test_it_is_the_third_derivative_of_the_log_moments"
ROWS = [
    (FILE, "law.means - law.mean().unsqueeze(-2)", "law.means", MOMENTS),
    (FILE, "weighted = law.logw.exp().unsqueeze(-1) * off", "weighted = off", MOMENTS),
    (FILE, "if law.covariance.k > 1:", "if law.covariance.k > 9:", MOMENTS),
    (FILE, "third + mixed + mixed.transpose", "third + mixed.transpose", MOMENTS),
    (FILE, " + mixed.transpose(-3, -2)", " - mixed.transpose(-3, -2)", MOMENTS),
    (FILE, " + mixed.transpose(-3, -1)", "", MOMENTS),
    (FILE, "...ki,...kjl->...ijl", "...ki,...kjl->...jil", MOMENTS),
    (
        FILE,
        "third.expand(*law.batch, law.d",
        "third.expand(law.d",
        HERE + "test_a_batch_has_one_for_each_law",
    ),
]
