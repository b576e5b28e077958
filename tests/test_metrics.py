"""metrics: against scipy, torch.distributions, numpy and scikit-learn.

Tolerances: W2 is the root of a difference of traces, so 1e-7 where it is small;
the rest 1e-10.
"""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from examples import LAWS, D, eigen, named, normal, refuses, rotation, wishart
from sklearn.metrics import r2_score
from torch.distributions import MultivariateNormal, kl_divergence

from diffkit import laws, metrics

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
    assert metrics.gaussian_w2(P, P) < 1e-7
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


V, S, T = ValueError, laws.SingularLaw, TypeError
x, nan = normal(5, D), float("nan")
OTHER = laws.gaussian(normal(2), 1.0)
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
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
