"""metrics: against scipy, torch.distributions, numpy, scikit-learn and mpmath.

Tolerances: 1e-10 for closed forms; for an Estimate what its own error allows; six
standard errors for statistics, with fixed seeds.
"""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.optimize
import scipy.spatial
import scipy.stats
import torch
from examples import LAWS, D, cuda, eigen, named, normal, refuses, rotation, wishart
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import r2_score
from torch.distributions import MultivariateNormal, kl_divergence

from diffkit import laws, metrics, shapes
from diffkit.metrics import gaussians, kernels, quadrature

close = {"rtol": 1e-10, "atol": 1e-10}
P = laws.gaussian(normal(D), wishart())
Q = laws.gaussian(normal(D, seed=1), wishart(seed=2))
FLAT = laws.gaussian(normal(D, seed=3), eigen(2.0, 0.5, 0.0))
POINT = laws.gaussian(normal(D, seed=4), 0.0)
PAIRS = {
    "full": (P, Q),
    "flat": (P, FLAT),
    "flats": (FLAT, POINT),
    "round": (laws.gaussian(normal(D), 0.5), Q),
}


@named(PAIRS)
def test_w2_is_the_bures_formula_by_scipy(name):
    p, q = PAIRS[name]
    C, E = p.cov().numpy(), q.cov().numpy()
    # tr (C E)^1/2 by the eigenvalues of the product, no symmetric root taken
    cross = np.sqrt(np.clip(scipy.linalg.eigvals(C @ E).real, 0, None)).sum()
    square = ((p.mean() - q.mean()) ** 2).sum().item() + np.trace(C + E) - 2 * cross
    want = math.sqrt(square)
    assert metrics.gaussian_w2(p, q).item() == pytest.approx(want, rel=1e-7)
    assert metrics.gaussian_w2(q, p).item() == pytest.approx(want, rel=1e-7)


def test_w2_in_one_dimension_and_between_points():
    p, q = (laws.gaussian(torch.tensor([m]).double(), v) for m, v in ((1, 4), (-2, 9)))
    want = math.sqrt(9 + (2 - 3) ** 2)
    assert metrics.gaussian_w2(p, q).item() == pytest.approx(want, rel=1e-12)
    far = laws.gaussian(POINT.mean() + 2, 0.0)
    got = metrics.gaussian_w2(POINT, far).item()
    assert got == pytest.approx(2 * math.sqrt(D), rel=1e-12)


def test_w2_of_a_law_and_itself_is_nothing_and_turns_with_the_space():
    assert metrics.gaussian_w2(P, P) < 1e-14
    U = rotation(9)
    got = metrics.gaussian_w2(P.push(U), Q.push(U))
    torch.testing.assert_close(got, metrics.gaussian_w2(P, Q), **close)


def test_w2_is_the_cost_of_the_optimal_map():
    # T = C^-1/2 (C^1/2 E C^1/2)^1/2 C^-1/2 pushes P to Q; its cost is W2^2
    C, E = P.cov().numpy(), Q.cov().numpy()
    root = scipy.linalg.sqrtm(C).real
    inner = scipy.linalg.sqrtm(root @ E @ root).real
    T = torch.tensor(np.linalg.inv(root) @ inner @ np.linalg.inv(root))
    torch.testing.assert_close(P.push(T).cov(), Q.cov(), rtol=1e-8, atol=1e-8)
    off = T - torch.eye(D).double()
    moved = ((P.mean() - Q.mean()) ** 2).sum() + (off @ P.cov() @ off.mT).trace()
    torch.testing.assert_close(metrics.gaussian_w2(P, Q) ** 2, moved, **close)


def test_kl_is_that_of_torch_and_has_a_direction():
    for p, q in ((P, Q), (Q, P), (PAIRS["round"][0], P)):
        a, b = (MultivariateNormal(u.mean(), u.cov()) for u in (p, q))
        torch.testing.assert_close(metrics.gaussian_kl(p, q), kl_divergence(a, b))
    assert abs(metrics.gaussian_kl(P, Q) - metrics.gaussian_kl(Q, P)) > 0.1
    assert abs(metrics.gaussian_kl(P, P)) < 1e-12


def test_kl_does_not_see_coordinates():
    A, c = normal(D, D, seed=5), normal(D, seed=6)
    got = metrics.gaussian_kl(P.push(A, c), Q.push(A, c))
    # the condition number of A is below 1e2
    torch.testing.assert_close(got, metrics.gaussian_kl(P, Q), rtol=1e-8, atol=1e-8)


def test_principal_shares_are_the_eigenvalues_of_numpys_covariance():
    x = normal(4, 7, D)
    got = metrics.principal_shares(x)
    for i in range(4):
        lam = np.linalg.eigvalsh(np.cov(x[i].numpy().T))[::-1]
        want = torch.tensor(lam / lam.sum())
        torch.testing.assert_close(got[i], want, **close)
    line = torch.linspace(0, 1, 5).double().unsqueeze(1) * normal(D) + 7
    got = metrics.principal_shares(line)
    torch.testing.assert_close(got, torch.tensor([1.0, 0, 0]).double(), **close)


def test_unexplained_is_one_minus_r2_of_scikit_learn():
    got, want = normal(9, D), normal(9, D, seed=1) + normal(D, seed=2)
    r2 = r2_score(want, got, multioutput="variance_weighted")
    value = metrics.unexplained(got, want).item()
    assert value == pytest.approx(1 - r2, rel=1e-12)
    both = metrics.unexplained(torch.stack([got, want]), torch.stack([want, want]))
    torch.testing.assert_close(
        both, torch.tensor([value, 0.0], dtype=torch.float64), **close
    )


def test_w2_of_nearly_equal_laws_is_the_size_of_the_step():
    lam = torch.tensor([2.0, 0.5, 1e-3], dtype=torch.float64)
    U = rotation(3)
    for e in (1e-3, 1e-6, 1e-9, 1e-12):
        near = laws.gaussian(P.mean(), (U * (lam.sqrt() + e) ** 2) @ U.mT)
        got = metrics.gaussian_w2(laws.gaussian(P.mean(), (U * lam) @ U.mT), near)
        # the roots commute: W2 = e sqrt(3); dense covariances are rounded by eps
        assert got.item() == pytest.approx(e * math.sqrt(3), rel=1e-8, abs=1e-13)
    turned = FLAT.push(rotation(4)).push(rotation(4).mT)
    assert metrics.gaussian_w2(FLAT, turned) < 1e-13


def test_w2_has_the_gradient_of_the_optimal_map_even_where_eigenvalues_repeat():
    q = Q

    def square(C):
        return metrics.gaussian_w2(laws.gaussian(P.mean(), C), q) ** 2

    for C in (wishart(), torch.eye(D, dtype=torch.float64)):
        root = scipy.linalg.sqrtm(C.numpy()).real
        inner = scipy.linalg.sqrtm(root @ q.cov().numpy() @ root).real
        T = torch.tensor(np.linalg.inv(root) @ inner @ np.linalg.inv(root))
        move = normal(D, D, seed=5)
        move = move + move.mT
        step = 1e-5 * move
        slope = (square(C + step) - square(C - step)) / 2e-5
        want = ((torch.eye(D).double() - T) * move).sum()
        torch.testing.assert_close(slope, want, rtol=1e-7, atol=1e-7)
        # the law stores eigenvalues, so its own graph ends there: the root alone
        R = C.clone().requires_grad_()
        (slope,) = torch.autograd.grad((gaussians.root(R) * move).sum(), R)
        step = 1e-5 * (normal(D, D, seed=6) + normal(D, D, seed=6).mT)
        ends = [
            torch.tensor(scipy.linalg.sqrtm((C + e * step).numpy()).real)
            for e in (1, -1)
        ]
        torch.testing.assert_close(
            (slope * step).sum(),
            ((ends[0] - ends[1]) / 2 * move).sum(),
            rtol=1e-7,
            atol=0,
        )


def test_w2_knows_the_slope_in_mean_and_scale():
    m, a = P.mean().requires_grad_(), torch.tensor(1.3).double().requires_grad_()
    got = metrics.gaussian_w2(laws.gaussian(m, 0.5), Q)
    (slope,) = torch.autograd.grad(got, m)
    torch.testing.assert_close(slope, (m - Q.mean()).detach() / got.detach(), **close)
    # a law and a times it, a - 1 apart in units of its spread about 0
    centred = laws.gaussian(0 * P.mean().detach(), P.cov())
    got = metrics.gaussian_w2(centred.scale(a), centred)
    torch.testing.assert_close(got, (a - 1) * centred.cov().trace().sqrt(), **close)
    (slope,) = torch.autograd.grad(got, a)
    torch.testing.assert_close(slope, centred.cov().trace().sqrt(), **close)


def test_kl_of_nearly_equal_laws_keeps_its_digits_and_is_never_negative():
    for e in (1e-2, 1e-4, 1e-6, 1e-8):
        near = laws.gaussian(P.mean(), (1 + e) * P.cov())
        want = D * (e - math.log1p(e)) / 2 if e > 1e-3 else D * (e**2 / 4 - e**3 / 6)
        got = metrics.gaussian_kl(near, P).item()
        # C_p - C_q is rounded by eps |C| / e of itself
        assert got == pytest.approx(want, rel=1e-12 / e, abs=0)
        assert got >= 0
    wide = laws.gaussian(torch.zeros(2).double(), torch.eye(2).double() * 1e8)
    slim = laws.gaussian(
        torch.zeros(2).double(), torch.diag(torch.tensor([1e-12, 1.0]).double())
    )
    # by log det C_p, where C_q^-1 (C_p - C_q) rounds to -1; 1e-12 is stored to 4e-9
    want = (1e-20 + 1e-8 - 2 + math.log(1e20) + math.log(1e8)) / 2
    assert metrics.gaussian_kl(slim, wide).item() == pytest.approx(want, rel=1e-9)


# ------------------------------------------------------------------ on the line


def row(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def law_of(w: tuple, m: tuple, s: tuple) -> laws.Mixture:
    """A mixture on the line from weights, means and standard deviations."""
    return laws.mixture(row(*m).unsqueeze(1), row(*s).reshape(-1, 1, 1) ** 2, row(*w))


ONE = law_of((1,), (0.3,), (1.2,))
THREE = law_of((0.3, 0.3, 0.4), (-1, 1.5, 4), (0.5, 0.2, 1.4))
FAR = law_of((0.5, 0.5), (-6, 6), (0.1, 0.3))
DOTS = laws.dataset(row(-1.0, 0.2, 0.2, 3.0).unsqueeze(1))
MIXED = law_of((0.25, 0.25, 0.5), (-1, 2, 0.5), (0, 0, 1))
ON_LINE = {
    "one and three": (ONE, THREE),
    "three and far": (THREE, FAR),
    "law and data": (ONE, DOTS),
    "data and mixed": (DOTS, MIXED),
    "mixed and three": (MIXED, THREE),
    "same": (THREE, THREE),
}


def numbers(law: laws.Mixture) -> zip:
    v = law.covs().flatten().sqrt()
    return zip(*(u.tolist() for u in (law.logw.exp(), law.means[:, 0], v)), strict=True)


def below(law: laws.Mixture, x: np.ndarray) -> np.ndarray:
    """F by scipy, with jumps."""
    parts = [
        w * (scipy.stats.norm.cdf(x, m, s) if s else (x >= m))
        for w, m, s in numbers(law)
    ]
    return np.sum(parts, 0)


def dense_grid(p: laws.Mixture, q: laws.Mixture, n: int = 40_001) -> np.ndarray:
    """Cells of [-20, 20], the atoms among their ends."""
    at = [m for law in (p, q) for _, m, s in numbers(law) if not s]
    return np.unique(np.concatenate([np.linspace(-20, 20, n), at]))


@named(ON_LINE)
def test_kolmogorov_is_the_supremum_on_a_dense_grid(name):
    p, q = ON_LINE[name]
    x = dense_grid(p, q)
    x = np.concatenate([x, np.nextafter(x, -99)])
    want = np.abs(below(p, x) - below(q, x)).max()
    got = metrics.kolmogorov(p, q)
    # the spacing is 1e-3 and |f' - g'| < 10: the grid misses less than 1e-6
    assert got.value.item() == pytest.approx(want, abs=2e-6)
    assert got.error < 1.1e-9
    torch.testing.assert_close(metrics.kolmogorov(q, p).value, got.value)


@named(ON_LINE)
def test_total_variation_is_the_quadrature_of_scipy(name):
    p, q = ON_LINE[name]

    def smooth(law, x):
        return sum(w * scipy.stats.norm.pdf(x, m, s) for w, m, s in numbers(law) if s)

    x = np.linspace(-20, 20, 80_001)
    f, g = (smooth(law, x) + 0 * x for law in (p, q))
    want = scipy.integrate.trapezoid(np.abs(f - g), x) / 2
    jumps = {}
    for sign, law in ((1, p), (-1, q)):
        for w, m, s in numbers(law):
            jumps[m] = jumps.get(m, 0) + sign * w * (not s)
    want += sum(map(abs, jumps.values())) / 2
    got = metrics.total_variation(p, q)
    assert got.value.item() == pytest.approx(want, abs=1e-6)  # h^2 |f''| near kinks
    assert got.error < 1.1e-9
    assert metrics.kolmogorov(p, q).value <= got.value + got.error


def test_two_unit_gaussians_have_the_distances_of_the_textbook():
    for shift in (1e-6, 0.5, 60.0):
        p, q = law_of((1,), (0,), (1,)), law_of((1,), (shift,), (1,))
        want = math.erf(shift / math.sqrt(8))
        for distance in (metrics.kolmogorov, metrics.total_variation):
            assert distance(p, q).value.item() == pytest.approx(want, rel=1e-8)
        for distance in (metrics.w1, metrics.w2):
            assert distance(p, q).value.item() == pytest.approx(shift, rel=1e-8)


def test_a_thin_crossing_is_not_missed():
    # the narrow component lifts f above g in an interval of width about 1e-3 only
    p = law_of((1 - 3e-4, 3e-4), (0, 1.77), (1, 1e-3))
    q = law_of((1,), (0,), (1,))
    got, x = metrics.total_variation(p, q), np.linspace(1.76, 1.78, 400_001)
    lift = 3e-4 * (scipy.stats.norm.pdf(x, 1.77, 1e-3) - scipy.stats.norm.pdf(x))
    want = scipy.integrate.trapezoid(np.maximum(lift, 0), x)
    assert got.value.item() == pytest.approx(want, rel=1e-6)
    assert got.error < 1e-9


@named(ON_LINE)
def test_w1_is_the_area_between_distribution_functions_by_scipy(name):
    p, q = ON_LINE[name]
    x = dense_grid(p, q)
    middle = (x[1:] + x[:-1]) / 2
    want = (np.abs(below(p, middle) - below(q, middle)) * np.diff(x)).sum()
    got = metrics.w1(p, q)
    assert got.value.item() == pytest.approx(
        want, abs=2e-6
    )  # h^2 times the change of f - g
    assert got.error < 1e-9


@named(ON_LINE)
def test_w2_is_the_limit_of_sorted_samples_of_equal_probability(name):
    # the quantiles at (i - 1/2) / n, by numpy from a table of F
    p, q = ON_LINE[name]
    x = np.linspace(-20, 20, 400_001)
    n = 100_000
    u = (np.arange(n) + 0.5) / n
    ends = [x[np.searchsorted(below(law, x), u).clip(0, len(x) - 1)] for law in (p, q)]
    want = math.sqrt(((ends[0] - ends[1]) ** 2).mean())
    got = metrics.w2(p, q)
    # tails beyond 1 / n, and gaps that a whole share of 1 / n falls into
    assert got.value.item() == pytest.approx(want, rel=4e-4, abs=1.1e-4)
    assert got.error < 1e-6 * (1 + want)
    assert metrics.w1(p, q).value <= got.value + 1e-10


def test_w2_of_gaussians_and_of_samples_is_the_closed_form():
    p, q = law_of((1,), (0.3,), (1.2,)), law_of((1,), (-2.0,), (0.1,))
    got = metrics.w2(p, q)
    torch.testing.assert_close(got.value, metrics.gaussian_w2(p, q), **close)
    x, y = normal(50, seed=1), normal(50, seed=2) * 2 + 1
    got = metrics.w2(*(laws.dataset(u.unsqueeze(1)) for u in (x, y)))
    want = ((x.sort().values - y.sort().values) ** 2).mean().sqrt()
    torch.testing.assert_close(got.value, want, **close)
    # half-discrete: the point that is nearest to N(0, 1) is its mean, at W2 = 1
    point = laws.gaussian(row(0.0), 0.0)
    assert metrics.w2(law_of((1,), (0,), (1,)), point).value.item() == pytest.approx(1)


def test_samples_on_the_line_have_the_distances_of_scipy():
    x, y = normal(300, seed=3), 1.5 * normal(170, seed=4)
    got = [laws.dataset(u.unsqueeze(1)) for u in (x, y)]
    u, v = x.numpy(), y.numpy()
    w1 = metrics.w1(*got).value.item()
    assert w1 == pytest.approx(scipy.stats.wasserstein_distance(u, v), rel=1e-12)
    top = metrics.kolmogorov(*got).value.item()
    assert top == pytest.approx(scipy.stats.ks_2samp(u, v).statistic, rel=1e-12)
    for sign in (1, -1):  # the largest gap is before a jump, and after it
        one = scipy.stats.kstest(sign * u, "norm", (0.3 * sign, 1.2))
        test = metrics.ks_test(sign * x.unsqueeze(1), ONE.push(float(sign)))
        assert test.statistic.item() == pytest.approx(one.statistic, rel=1e-12)
        assert test.p == pytest.approx(one.pvalue, rel=1e-10)
    two = metrics.ks_test(x.unsqueeze(1), y.unsqueeze(1))
    assert two.p == pytest.approx(scipy.stats.ks_2samp(u, v).pvalue, rel=1e-12)


@settings(max_examples=4, deadline=None, derandomize=True)
@given(
    st.floats(-3, 3),
    st.floats(0.2, 4),
    st.sampled_from(["one and three", "law and data", "mixed and three"]),
)
def test_distances_on_the_line_know_units_and_origins(c, a, name):
    p, q = ON_LINE[name]
    for a in (a, -a):  # noqa: B020
        moved = [law.push(a).push(1.0, c) for law in (p, q)]
        for distance, unit in (
            (metrics.kolmogorov, 1),
            (metrics.total_variation, 1),
            (metrics.w1, abs(a)),
        ):
            got, want = distance(*moved), distance(p, q)
            slack = float(got.error + unit * want.error) + 1e-12
            assert abs(got.value - unit * want.value) <= slack


def test_distances_on_the_line_have_gradients():
    # one Gaussian moved: all are smooth functions of the shift, W2 is |shift| itself
    for distance, slope in (
        (metrics.kolmogorov, math.exp(-1 / 8) / math.sqrt(2 * math.pi)),
        (metrics.total_variation, math.exp(-1 / 8) / math.sqrt(2 * math.pi)),
        (metrics.w1, 1.0),
        (metrics.w2, 1.0),
    ):
        m = row(1.0).requires_grad_()
        law = laws.gaussian(m, 1.0)
        (got,) = torch.autograd.grad(distance(law, law_of((1,), (0,), (1,))).value, m)
        assert got.item() == pytest.approx(slope, rel=1e-9)


# ------------------------------------------------------------------- quadrature


def test_kl_on_the_line_is_the_sum_on_a_dense_grid_by_scipy():
    x = np.linspace(-20, 20, 40_001)  # analytic integrands: eps, not h^2

    def log_density(law):
        parts = [
            math.log(w) + scipy.stats.norm.logpdf(x, m, s) for w, m, s in numbers(law)
        ]
        return np.logaddexp.reduce(parts, 0)

    for p, q in ((THREE, ONE), (ONE, THREE), (THREE, law_of((1,), (50,), (1,)))):
        f, g = log_density(p), log_density(q)
        want = scipy.integrate.trapezoid(np.exp(f) * (f - g), x)
        got = metrics.mixture_kl(p, q)
        assert got.value.item() == pytest.approx(want, rel=1e-9)
        assert got.error < 1e-9 * (1 + want)
        cross = scipy.integrate.trapezoid(-np.exp(f) * g, x)
        assert metrics.cross_entropy(p, q).value.item() == pytest.approx(
            cross, rel=1e-9
        )


def test_kl_of_gaussians_by_quadrature_is_the_closed_form():
    A, B = (wishart(seed=s)[:2, :2] for s in (1, 2))
    p, q = laws.gaussian(normal(2), A), laws.gaussian(normal(2, seed=1), B)
    torch.testing.assert_close(
        metrics.mixture_kl(p, q).value, metrics.gaussian_kl(p, q), **close
    )
    entropy = metrics.cross_entropy(p, p).value
    want = MultivariateNormal(p.mean(), p.cov()).entropy()
    torch.testing.assert_close(entropy, want, **close)
    both = metrics.cross_entropy(p, q).value - entropy
    torch.testing.assert_close(both, metrics.gaussian_kl(p, q), **close)


def test_kl_of_a_product_is_the_sum_and_does_not_see_coordinates():
    # in the plane: independent coordinates, two x wide against ONE x ONE
    def product(p, q):
        w = (p.logw.unsqueeze(1) + q.logw).exp().flatten()
        m = torch.cartesian_prod(p.means[:, 0], q.means[:, 0])
        v = torch.cartesian_prod(p.covs().flatten(), q.covs().flatten())
        return laws.mixture(m, torch.diag_embed(v), w)

    two, wide = law_of((0.4, 0.6), (-1, 2), (1, 1.5)), law_of((1,), (0,), (2,))
    p, q = product(two, wide), product(ONE, ONE)
    want = metrics.mixture_kl(two, ONE).value + metrics.mixture_kl(wide, ONE).value
    got = metrics.mixture_kl(p, q)
    assert got.error < 1.1e-9
    torch.testing.assert_close(got.value, want, rtol=1e-8, atol=1e-8)
    A = row(1, 2, -1, 0.5).reshape(2, 2)
    torch.testing.assert_close(
        metrics.mixture_kl(p.push(A), q.push(A)).value, want, rtol=1e-8, atol=1e-8
    )


def test_total_variation_in_the_plane_is_that_along_the_line_of_means():
    eye = torch.eye(2, dtype=torch.float64)
    p, q = laws.gaussian(row(0, 0), eye), laws.gaussian(row(0.6, 0.8), eye)
    got = metrics.total_variation(p, q)
    assert got.value.item() == pytest.approx(math.erf(1 / math.sqrt(8)), abs=1e-5)
    assert got.error < 2e-5


def test_memory_of_the_grid_in_pieces_changes_nothing(monkeypatch):
    p = laws.gaussian(row(0, 1), 1.0)
    q = laws.gaussian(row(1, 0), 0.5)
    want = metrics.mixture_kl(p, q).value
    monkeypatch.setattr(quadrature, "PIECE", 500)
    torch.testing.assert_close(metrics.mixture_kl(p, q).value, want, **close)


def test_a_grid_that_ends_says_so(monkeypatch):
    monkeypatch.setattr(quadrature, "LIMIT", 400)
    p = law_of((0.5, 0.5), (-3, 3), (0.6, 0.6))
    got = metrics.mixture_kl(p, ONE)
    monkeypatch.undo()
    assert got.error > 1e-12
    off = abs(got.value - metrics.mixture_kl(p, ONE).value)
    assert off < got.error + 1e-10


# ------------------------------------------------------------------- two samples


def all_pairs(x: torch.Tensor, y: torch.Tensor, kernel) -> float:
    """The U-statistic pair by pair."""
    n, m = len(x), len(y)
    xx = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j)
    yy = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j)
    xy = sum(kernel(a, b) for a in x for b in y)
    return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)


def test_mmd_and_energy_are_sums_over_pairs():
    x, y = normal(7, 2), normal(5, 2, seed=1) + 0.5

    def gauss(a, b):
        r2 = ((a - b) ** 2).sum().item()
        return math.exp(-r2 / 2) + math.exp(-r2 / (2 * 0.3**2))

    got = metrics.mmd(x, y, row(1.0, 0.3)).value.item()
    assert got == pytest.approx(all_pairs(x, y, gauss), rel=1e-12)
    got = metrics.energy_distance(x, y).value.item()
    want = all_pairs(x, y, lambda a, b: -(a - b).norm().item())
    assert got == pytest.approx(want, rel=1e-12)
    far = metrics.energy_distance(x + 1e8, y + 1e8).value.item()
    assert far == pytest.approx(got, rel=1e-5)  # differences, never |x|^2 - 2 x y


def test_blocks_of_the_kernel_change_nothing(monkeypatch):
    x, y = normal(40, 2), normal(30, 2, seed=1)
    want = metrics.mmd(x, y, 1.0)
    monkeypatch.setattr(kernels, "ENTRIES", 70)
    for u, v in zip(metrics.mmd(x, y, 1.0), want, strict=True):
        torch.testing.assert_close(u, v, **close)


def test_exact_mmd_is_the_integral_of_both_densities():
    b = 0.7

    def mean(p, q):
        x = torch.linspace(-12, 14, 1301, dtype=torch.float64)  # analytic: trapezoid
        fx, gy = (u.log_prob(x.unsqueeze(1)).exp() for u in (p, q))
        k = torch.exp(-((x.unsqueeze(1) - x) ** 2) / (2 * b * b))
        return fx @ k @ gy * 0.02**2

    want = mean(ONE, ONE) + mean(THREE, THREE) - 2 * mean(ONE, THREE)
    torch.testing.assert_close(metrics.mixture_mmd(ONE, THREE, b), want, **close)
    both = metrics.mixture_mmd(ONE, THREE, row(0.7, 2.0))
    torch.testing.assert_close(both, want + metrics.mixture_mmd(ONE, THREE, 2.0))


def test_exact_mmd_of_data_is_the_sum_over_all_pairs_and_turns_with_the_space():
    x, y = normal(4, D), normal(3, D, seed=1)
    r = [scipy.spatial.distance.cdist(*u) for u in ((x, x), (y, y), (x, y))]
    k = [np.exp(-(u**2) / (2 * 0.9**2)).mean() for u in r]
    got = metrics.mixture_mmd(laws.dataset(x), laws.dataset(y), 0.9).item()
    assert got == pytest.approx(k[0] + k[1] - 2 * k[2], rel=1e-12)
    U = rotation(8)
    moved = metrics.mixture_mmd(LAWS["mixture"].push(U, 2.0), P.push(U, 2.0), 1.3)
    want = metrics.mixture_mmd(LAWS["mixture"], P, 1.3)
    torch.testing.assert_close(moved, want, **close)
    assert abs(metrics.mixture_mmd(P, P, 1.0)) < 1e-15


def test_statistics_of_samples_mean_the_exact_distances():
    p, q = LAWS["mixture"], LAWS["repeated"]
    x, y = p.sample(1500, shapes.rng(1)), q.sample(1200, shapes.rng(2))
    b = metrics.median_bandwidth(x, y)
    got = metrics.mmd(x, y, b)
    assert abs(got.z(metrics.mixture_mmd(p, q, b))) < 6
    assert got.z() > 12
    # on the line the energy distance is 2 int (F - G)^2
    x, y = ONE.sample(1500, shapes.rng(3)), THREE.sample(1200, shapes.rng(4))
    t = np.linspace(-20, 20, 100_001)
    want = 2 * scipy.integrate.trapezoid((below(ONE, t) - below(THREE, t)) ** 2, t)
    got = metrics.energy_distance(x, y)
    assert abs(got.z(want)) < 6 and got.z() > 12


def within(count: int, n: int, share: float) -> bool:
    """Whether a count is within six standard deviations of n share."""
    return abs(count - n * share) < 6 * math.sqrt(n * share * (1 - share))


def test_standard_errors_are_the_spread_over_repetitions():
    # under equality, where the first-order part vanishes, and under a difference
    for shift, same in ((0.0, True), (1.0, False)):
        values, errors = [], []
        for seed in range(300):
            x = normal(60, 2, seed=seed)
            y = normal(40, 2, seed=1000 + seed) + shift
            for found in (metrics.mmd(x, y, 1.0), metrics.energy_distance(x, y)):
                values.append(found.value)
                errors.append(found.error)
        for i in (0, 1):
            v, e = torch.stack(values[i::2]), torch.stack(errors[i::2])
            # 300 heavy-tailed values know their variance to 15 per cent; under
            # equality a floor on the first-order part adds about a half
            ratio = ((e**2).mean() / v.var()).item()
            assert 0.75 < ratio < (1.85 if same else 1.35), (shift, i, ratio)
            if same:
                assert abs(metrics.Estimate.of(v).z()) < 6


def test_z_scores_are_calibrated_and_see_a_planted_difference():
    law, other = LAWS["mixture"], LAWS["mixture"].push(1.0, 0.3)
    scores, pairs, planted = [], [], []
    for seed in range(200):
        x, y = (law.sample(400, shapes.rng(10 * seed + i)) for i in (0, 1))
        for found, kept in (
            (metrics.moment_scores(x, law), scores),
            (metrics.moment_scores(x, y), pairs),
            (metrics.moment_scores(x, other), planted),
        ):
            kept.append(
                torch.cat([found.mean, found.cov[torch.triu_indices(D, D).unbind()]])
            )
    for kept in (scores, pairs):
        z = torch.stack(kept)  # (200, 9)
        for share, bar in ((0.3173, 1.0), (0.0455, 2.0)):
            for count in (z.abs() > bar).sum(0).tolist():
                # 0.03: the studentised mean of 400 skew products is not quite normal
                low, high = share - 0.03, share + 0.03
                edge = 6 * math.sqrt(share * (1 - share) / 200)
                assert low - edge < count / 200 < high + edge
    z = torch.stack(planted)
    assert z[:, 0].abs().median() > 1.5
    x = law.sample(40_000, shapes.rng(5))
    assert metrics.moment_scores(x, other).mean.abs().amin() > 12
    assert metrics.moment_scores(x, law).worst() < 6
    twice = metrics.moment_scores(x, law.blur(2.0))
    assert twice.cov.diagonal().abs().amin() > 12


def test_moment_scores_are_the_t_statistics_of_scipy():
    law = LAWS["mixture"]
    x, y = law.sample(40, shapes.rng(0)), law.sample(25, shapes.rng(1))
    got = metrics.moment_scores(x, law)
    want = scipy.stats.ttest_1samp(x.numpy(), law.mean().numpy()).statistic
    np.testing.assert_allclose(got.mean.numpy(), want, rtol=1e-10)
    off = x - law.mean()
    products = (off.unsqueeze(1) * off.unsqueeze(2)).numpy()
    want = scipy.stats.ttest_1samp(products, law.cov().numpy()).statistic
    np.testing.assert_allclose(got.cov.numpy(), want, rtol=1e-10)
    two = metrics.moment_scores(x, y)
    want = scipy.stats.ttest_ind(x.numpy(), y.numpy(), equal_var=False).statistic
    np.testing.assert_allclose(two.mean.numpy(), want, rtol=1e-10)
    gap = np.cov(x.numpy().T) - np.cov(y.numpy().T)
    errors = []
    for u in (x, y):
        off = u - u.mean(0)
        errors.append(scipy.stats.sem((off.unsqueeze(1) * off.unsqueeze(2)).numpy()))
    np.testing.assert_allclose(two.cov.numpy(), gap / np.hypot(*errors), rtol=1e-10)
    assert got.worst() == torch.cat([got.mean, got.cov.flatten()]).abs().max()


def test_scores_of_directions_without_spread_are_zero_or_huge():
    x = LAWS["point"].sample(50, shapes.rng(0))
    assert metrics.moment_scores(x, LAWS["point"]).worst() < 1
    assert metrics.moment_scores(x, x + 0).worst() == 0
    assert metrics.moment_scores(x + 1e-6, LAWS["point"]).mean.abs().amin() > 1e6
    assert metrics.moment_scores(0 * x, 0 * x).worst() == 0


def test_ks_p_values_are_uniform_under_equality_and_tiny_under_a_difference():
    found = [[], []]
    for seed in range(100):
        x = ONE.sample(50, shapes.rng(seed))
        y = ONE.sample(50, shapes.rng(1000 + seed))
        found[0].append(metrics.ks_test(x, ONE).p)
        found[1].append(metrics.ks_test(x, y).p)
    assert within(sum(p < 0.3 for p in found[0]), 100, 0.3)
    assert sum(p < 0.3 for p in found[1]) < 100 * 0.3 + 6 * math.sqrt(100 * 0.3 * 0.7)
    x = ONE.sample(2000, shapes.rng(0))
    assert metrics.ks_test(x, THREE).p < 1e-20
    assert metrics.ks_test(x, x * 1.5).p < 1e-6


def test_sliced_w2_is_the_mean_of_assignments():
    x, y = normal(6, D), normal(6, D, seed=1) + 1
    got = metrics.sliced_w2(x, y, 40, shapes.rng(2))
    z = torch.randn(D, 40, generator=shapes.rng(2), dtype=torch.float64)
    squares = []
    for theta in (z / z.norm(dim=0)).mT:
        cost = ((x @ theta).unsqueeze(1) - y @ theta).numpy() ** 2
        i, j = scipy.optimize.linear_sum_assignment(cost)
        squares.append(cost[i, j].mean())
    assert got.value.item() == pytest.approx(np.mean(squares), rel=1e-12)
    want = np.std(squares, ddof=1) / math.sqrt(40)
    assert got.error.item() == pytest.approx(want, rel=1e-12)
    # unequal sizes: both copied up to their common multiple, 12
    short = metrics.sliced_w2(x, y[:4], 40, shapes.rng(2))
    copies = x.repeat(2, 1), y[:4].repeat(3, 1)
    full = metrics.sliced_w2(*copies, 40, shapes.rng(2))
    torch.testing.assert_close(short.value, full.value, **close)


def test_sliced_w2_has_the_expectation_over_directions():
    x = normal(200, D)
    shift = normal(D, seed=1)
    got = metrics.sliced_w2(x, x + shift, 500, shapes.rng(0))
    assert abs(got.z((shift**2).sum() / D)) < 6
    got = metrics.sliced_w2(x, 3 * x, 500, shapes.rng(1))
    assert abs(got.z(4 * (x**2).mean())) < 6
    # laws: E (theta.m)^2 + (|C^1/2 theta| - |E^1/2 theta|)^2, and samples near them
    p, q = laws.gaussian(normal(2), 4.0), laws.gaussian(normal(2, seed=1), 0.25)
    u, v = p.sample(20_000, shapes.rng(2)), q.sample(20_000, shapes.rng(3))
    want = ((p.mean() - q.mean()) ** 2).mean() + 1.5**2
    got = metrics.sliced_w2(u, v, 400, shapes.rng(4))
    # besides the directions, 20,000 samples move W2^2 by about 2 W2 (2 + 0.5) / 141
    assert abs(got.value - want) < 6 * math.hypot(got.error, 0.1)


def test_an_estimate_counts_its_errors():
    x = normal(30, 2)
    got = metrics.Estimate.of(x)
    np.testing.assert_allclose(
        got.error.numpy(), scipy.stats.sem(x.numpy()), rtol=1e-12
    )
    torch.testing.assert_close(
        got.z(got.value - 3 * got.error), 3 * torch.ones(2).double()
    )
    flat = metrics.Estimate.of(torch.ones(3, 1))
    assert flat.z(1.0).item() == 0 and flat.z(2.0).item() == -math.inf


def test_median_bandwidth_is_the_median_distance():
    x, y = normal(20, 2), normal(11, 2, seed=1)
    r = scipy.spatial.distance.pdist(np.concatenate([x, y]))
    assert metrics.median_bandwidth(x, y).item() == pytest.approx(
        np.median(r), rel=1e-12
    )
    long = metrics.median_bandwidth(normal(5000, 2), normal(3000, 2)).item()
    # the median of |x - x'| with |x - x'|^2 / 2 of chi-squared, 2 degrees
    assert long == pytest.approx(math.sqrt(4 * math.log(2)), rel=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_follows_the_inputs(dtype):
    p, q = (
        laws.mixture(u.means.to(dtype), u.covs().to(dtype), u.logw.exp().to(dtype))
        for u in (ONE, THREE)
    )
    near = {"rtol": 2e-3, "atol": 2e-3} if dtype == torch.float32 else close
    for f in ("kolmogorov", "total_variation", "w1", "w2", "mixture_kl"):
        got, want = (getattr(metrics, f)(*u).value for u in ((p, q), (ONE, THREE)))
        assert got.dtype == dtype
        torch.testing.assert_close(got.double(), want, **near)
    x, y = p.sample(50, shapes.rng(0)), q.sample(60, shapes.rng(1))
    for got in (
        metrics.mmd(x, y, 1.0),
        metrics.energy_distance(x, y),
        metrics.sliced_w2(x, y, 10, shapes.rng(2)),
        metrics.moment_scores(x, q),
        [metrics.mixture_mmd(p, q, 1.0), metrics.gaussian_w2(p, p)],
    ):
        assert {u.dtype for u in got} == {dtype}


@cuda
def test_on_the_gpu_as_on_the_cpu():
    p, q = (
        laws.mixture(u.means.cuda(), u.covs().cuda(), u.logw.exp().cuda())
        for u in (ONE, THREE)
    )
    for f in ("kolmogorov", "total_variation", "w1", "w2", "mixture_kl"):
        got, want = (getattr(metrics, f)(*u).value for u in ((p, q), (ONE, THREE)))
        torch.testing.assert_close(got.cpu(), want, rtol=1e-8, atol=1e-8)
    x, y = normal(50, 2), normal(40, 2, seed=1)
    got, want = metrics.mmd(x.cuda(), y.cuda(), 1.0), metrics.mmd(x, y, 1.0)
    torch.testing.assert_close(got.value.cpu(), want.value, **close)


def test_nothing_is_nan_at_the_extremes():
    rare = law_of((1, 1e-300), (0, 1e8), (1e-4, 1e3))
    point = laws.gaussian(row(2.0), 0.0)
    for f in ("kolmogorov", "total_variation", "w1", "w2"):
        for p, q in ((rare, ONE), (point, point), (point, ONE), (rare, rare)):
            got = getattr(metrics, f)(p, q)
            assert torch.isfinite(got.value) and torch.isfinite(got.error), f
            assert got.value == 0 or p is not q
    x = normal(2, 1)
    for got in (metrics.mmd(x, x, 1.0), metrics.energy_distance(x, x)):
        assert torch.isfinite(got.value) and torch.isfinite(got.error)


V, S, T = ValueError, laws.SingularLaw, TypeError
x, nan = normal(5, D), float("nan")
OTHER = laws.gaussian(normal(2), 1.0)
line1 = "one dimension and no batch"
same = r"both must be the same \(\.\.\., m, d\)"
WRONG = {
    "w2 mixture": (
        V,
        "4 components.*single Gaussians",
        lambda: metrics.gaussian_w2(LAWS["data"], P),
    ),
    "kl mixture": (
        V,
        "3 components.*single Gaussians",
        lambda: metrics.gaussian_kl(P, LAWS["mixture"]),
    ),
    "w2 batch": (
        V,
        r"batch shape \(2,\)",
        lambda: metrics.gaussian_w2(P.scale(x[:2, 0]), P),
    ),
    "w2 dimension": (
        V,
        "dimensions 3 and 2; they must agree",
        lambda: metrics.gaussian_w2(P, OTHER),
    ),
    "kl flat": (
        S,
        "zero eigenvalue, so KL is not finite",
        lambda: metrics.gaussian_kl(P, FLAT),
    ),
    "kl of flat": (S, "KL is not finite", lambda: metrics.gaussian_kl(FLAT, P)),
    "shares coincide": (
        V,
        "all points coincide",
        lambda: metrics.principal_shares(0 * x),
    ),
    "shares of one": (
        V,
        "all points coincide",
        lambda: metrics.principal_shares(x[:1]),
    ),
    "shares of none": (
        V,
        r"x has shape \(0, 3\)",
        lambda: metrics.principal_shares(x[:0]),
    ),
    "shares vector": (V, r"x has shape \(3,\)", lambda: metrics.principal_shares(x[0])),
    "shares nan": (V, "x holds NaN", lambda: metrics.principal_shares(x * nan)),
    "shares ints": (T, "x is torch.int64", lambda: metrics.principal_shares(x.long())),
    "unexplained shapes": (V, same, lambda: metrics.unexplained(x[:1], x)),
    "unexplained vector": (V, same, lambda: metrics.unexplained(x[0], x[0])),
    "unexplained nothing": (V, same, lambda: metrics.unexplained(x[:0], x[:0])),
    "unexplained number": (
        V,
        r"got has shape \(\)",
        lambda: metrics.unexplained(x[0, 0], x),
    ),
    "unexplained nan": (V, "want holds NaN", lambda: metrics.unexplained(x, x * nan)),
    "unexplained constant": (
        V,
        "nothing to explain",
        lambda: metrics.unexplained(x, 0 * x),
    ),
    "unexplained ints": (
        T,
        "got is torch.int64",
        lambda: metrics.unexplained(x.long(), x),
    ),
    "line plane": (V, line1, lambda: metrics.w1(P, ONE)),
    "w2 plane": (V, line1, lambda: metrics.w2(ONE, P)),
    "sup plane": (V, line1, lambda: metrics.kolmogorov(P, P)),
    "variation in three": (V, line1, lambda: metrics.total_variation(P, P)),
    "variation of two and one": (V, line1, lambda: metrics.total_variation(OTHER, ONE)),
    "kl in three": (
        V,
        "dimensions 3 and 3.*both in 1 or both in 2",
        lambda: metrics.mixture_kl(P, Q),
    ),
    "kl of two and one": (
        V,
        "dimensions 2 and 1",
        lambda: metrics.cross_entropy(OTHER, ONE),
    ),
    "kl of data": (S, "no density; add noise", lambda: metrics.mixture_kl(ONE, DOTS)),
    "kl too narrow": (
        V,
        "0.001 times as wide as another, too narrow for a grid",
        lambda: metrics.mixture_kl(OTHER, laws.gaussian(normal(2), 1e-6)),
    ),
    "mmd one point": (
        V,
        r"y has shape \(1, 3\); a sample is \(n, d\) with n >= 2",
        lambda: metrics.mmd(x, x[:1], 1.0),
    ),
    "mmd dimensions": (
        V,
        "dimensions 3 and 2; they must agree",
        lambda: metrics.mmd(x, x[:, :2], 1.0),
    ),
    "mmd bandwidth": (V, "bandwidths are 0.0", lambda: metrics.mmd(x, x, 0)),
    "mmd no bandwidth": (V, "bandwidths are", lambda: metrics.mmd(x, x, x[0, :0])),
    "mmd nan": (V, "x holds NaN", lambda: metrics.mmd(x * nan, x, 1.0)),
    "mmd ints": (T, "y is torch.int64", lambda: metrics.mmd(x, x.long(), 1.0)),
    "energy vector": (
        V,
        r"x has shape \(3,\); a sample",
        lambda: metrics.energy_distance(x[0], x),
    ),
    "exact mmd dimensions": (
        V,
        "dimensions 3 and 2",
        lambda: metrics.mixture_mmd(P, OTHER, 1.0),
    ),
    "exact mmd bandwidth": (
        V,
        "bandwidths are -1",
        lambda: metrics.mixture_mmd(P, P, -1.0),
    ),
    "median of a point": (
        V,
        "half of all distances are zero",
        lambda: metrics.median_bandwidth(0 * x, 0 * x),
    ),
    "scores dimension": (
        V,
        "the law has dimension 2.*in 3 dimensions",
        lambda: metrics.moment_scores(x, OTHER),
    ),
    "scores batch": (
        V,
        r"batch shape \(2,\); it must be one law",
        lambda: metrics.moment_scores(x, P.scale(x[:2, 0])),
    ),
    "scores one": (V, "n >= 2", lambda: metrics.moment_scores(x[:1], P)),
    "ks plane": (V, line1, lambda: metrics.ks_test(x, ONE)),
    "ks one": (V, "n >= 2", lambda: metrics.ks_test(x[:1, :1], ONE)),
    "sliced none": (
        V,
        "1 projections.*at least 2",
        lambda: metrics.sliced_w2(x, x, 1, shapes.rng(0)),
    ),
    "sliced dimensions": (
        V,
        "must agree",
        lambda: metrics.sliced_w2(x, x[:, :2], 9, shapes.rng(0)),
    ),
    "estimate of one": (V, "two rows or more", lambda: metrics.Estimate.of(x[:1])),
    "estimate of a number": (
        V,
        r"x has shape \(\)",
        lambda: metrics.Estimate.of(x[0, 0]),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
