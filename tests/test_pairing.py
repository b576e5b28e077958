"""laws: joint laws of two ends have the right margins, and are laws like any other."""

import math

import pytest
import torch
from examples import (
    JOINTS,
    LAWS,
    SMOOTH,
    D,
    W,
    cuda,
    named,
    normal,
    refuses,
    wishart,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal

from diffkit import laws, shapes

close = {"rtol": 1e-10, "atol": 1e-10}
few = settings(max_examples=25, deadline=None, derandomize=True)
names = st.sampled_from(sorted(LAWS))
eye, none = torch.eye(D, dtype=torch.float64), torch.zeros(D, D, dtype=torch.float64)
FIRST, SECOND = torch.cat([eye, none], 1), torch.cat([none, eye], 1)


def plan(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """A coupling of two weight vectors, not independent: mass moved in squares."""
    w = torch.outer(p, q)
    step = 0.9 * w.min()
    for i in range(min(w.shape) - 1):
        w[i, i] += step
        w[i + 1, i + 1] += step
        w[i, i + 1] -= step
        w[i + 1, i] -= step
        step = 0.9 * w.min()
    return w


@few
@given(names, names, st.booleans())
def test_the_margins_are_the_two_laws(one, two, coupled):
    p, q = LAWS[one], LAWS[two]
    w = plan(p.logw.exp(), q.logw.exp()) if coupled else None
    joint = p.pair(q, weights=w)
    for A, law in ((FIRST, p), (SECOND, q)):
        margin = joint.push(A)
        torch.testing.assert_close(margin.mean(), law.mean(), **close)
        torch.testing.assert_close(margin.cov(), law.cov(), **close)
        x = normal(5, D, seed=1)
        got, want = margin.blur(0.1).log_prob(x), law.blur(0.1).log_prob(x)
        torch.testing.assert_close(got, want, **close)
    if not coupled:  # independent ends: densities multiply
        x, y = normal(5, D, seed=2), normal(5, D, seed=3)
        got = joint.blur(0.1).log_prob(torch.cat([x, y], 1))
        want = p.blur(0.1).log_prob(x) + q.blur(0.1).log_prob(y)
        torch.testing.assert_close(got, want, **close)


def test_cross_covariance_stands_in_its_place():
    p, q = laws.gaussian(normal(D), wishart()), laws.gaussian(normal(2), 1.0)
    X = 0.1 * normal(D, 2)
    C = p.pair(q, X).cov()
    torch.testing.assert_close(C[:D, D:], X, **close)
    torch.testing.assert_close(C[D:, :D], X.mT, **close)
    torch.testing.assert_close(C[:D, :D], p.cov(), **close)
    torch.testing.assert_close(C[D:, D:], q.cov(), **close)


def test_each_pair_may_have_its_own_cross_covariance():
    p = laws.mixture(2 * normal(3, D), wishart(3, seed=6), W)
    q = laws.mixture(2 * normal(2, D, seed=3), wishart(2, seed=7))
    X = 0.05 * normal(3, 2, D, D)
    covs = p.pair(q, X).covs()
    assert covs.shape == (6, 2 * D, 2 * D)
    for i in range(3):
        for j in range(2):
            torch.testing.assert_close(covs[2 * i + j, :D, D:], X[i, j], **close)
            torch.testing.assert_close(covs[2 * i + j, :D, :D], p.covs()[i], **close)
            torch.testing.assert_close(covs[2 * i + j, D:, D:], q.covs()[j], **close)


def test_a_plan_of_two_data_sets_keeps_only_its_pairs():
    x, y = normal(4, D), normal(4, D, seed=1)
    turn = torch.tensor([2, 0, 3, 1])
    w = torch.zeros(4, 4, dtype=torch.float64)
    w[torch.arange(4), turn] = 0.25
    joint = laws.dataset(x).pair(laws.dataset(y), weights=w)
    assert joint.k == 4 and joint.singular
    torch.testing.assert_close(joint.means, torch.cat([x, y[turn]], 1))
    # the weights need not sum to one
    again = laws.dataset(x).pair(laws.dataset(y), weights=3 * w)
    torch.testing.assert_close(again.logw, joint.logw)


def test_weights_of_zero_are_no_pairs():
    p = laws.mixture(normal(3, D), 1.0, torch.tensor([0.5, 0.0, 0.5]).double())
    assert p.pair(p).k == 4
    torch.testing.assert_close(p.pair(p).push(FIRST).mean(), p.mean(), **close)


def test_a_thousand_data_points_meet_noise():
    # one covariance for all pairs: 2 d x 2 d numbers, not a thousand times as many
    joint = laws.dataset(normal(1000, D)).pair(
        laws.gaussian(torch.zeros(D).double(), 1.0)
    )
    assert joint.k == 1000 and joint.covariance.k == 1


@named(JOINTS)
def test_a_joint_is_a_law_like_any_other(name):
    joint = JOINTS[name].blur(0.2)
    x = joint.sample(6, shapes.rng(0))
    each = MultivariateNormal(joint.means, joint.covs()).log_prob(x.unsqueeze(1))
    want = (each + joint.logw).logsumexp(-1)
    torch.testing.assert_close(joint.log_prob(x), want, **close)
    y = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(joint.log_prob(y).sum(), y)
    torch.testing.assert_close(joint.score(x), slope, **close)


@named(JOINTS)
def test_one_end_given_the_other(name):
    joint = JOINTS[name]
    y, v = normal(4, D, seed=5), 0.3
    got = joint.given(SECOND, y, v).push(FIRST)
    x = normal(4, D, seed=6)
    got = got.blur(0.1).log_prob(x)
    # p(x, y) / p(y), both with their own noise
    noise = torch.diag(torch.tensor([0.1] * D + [v] * D, dtype=torch.float64))
    both = joint.blur(cov=noise).log_prob(torch.cat([x, y], 1))
    want = both - joint.push(SECOND).blur(v).log_prob(y)
    torch.testing.assert_close(got, want, **close)


@named(JOINTS)
def test_draws_of_a_joint_have_its_covariance(name):
    joint, n = JOINTS[name], 20_000
    off = joint.sample(n, shapes.rng(1)) - joint.mean()
    square = off.unsqueeze(-1) * off.unsqueeze(-2)
    error = square.std(0) / math.sqrt(n)
    assert ((square.mean(0) - joint.cov()).abs() <= 6 * error + 1e-12).all()


@cuda
@named(JOINTS)
def test_joints_on_the_gpu_agree(name):
    joint = JOINTS[name].blur(0.2)
    x = joint.sample(6, shapes.rng(0))
    got = joint.to("cuda").score(x.cuda())
    torch.testing.assert_close(got.cpu(), joint.score(x), **close)


# ------------------------------------------------------------------ refusals

V = ValueError
P, Q = SMOOTH["mixture"], laws.gaussian(normal(2), 1.0)
BATCH = P.scale(torch.ones(4, dtype=torch.float64))
ONE = laws.gaussian(normal(D), 1.0)
many = laws.dataset(normal(400, 2))
nan = float("nan")
WRONG = {
    "batch": (V, "batch shape were paired", lambda: BATCH.pair(Q)),
    "second batch": (V, "batch shape were paired", lambda: Q.pair(BATCH)),
    "cross shape": (
        V,
        r"cross has shape \(2, 3\); it must be \(3, 2\) or \(3, 1, 3, 2\)",
        lambda: P.pair(Q, normal(2, D)),
    ),
    "cross too large": (
        V,
        "eigenvalue -.*positive semi-definite",
        lambda: ONE.pair(ONE, 1.01 * eye),
    ),
    "cross nan": (V, "cov holds NaN", lambda: ONE.pair(ONE, nan * eye)),
    "weights shape": (
        V,
        r"weights have shape \(3,\); .*\(3, 1\)",
        lambda: P.pair(Q, weights=W),
    ),
    "weights < 0": (
        V,
        "finite numbers >= 0",
        lambda: P.pair(Q, weights=-W.unsqueeze(1)),
    ),
    "weights nan": (
        V,
        "finite numbers >= 0",
        lambda: P.pair(Q, weights=nan * W.unsqueeze(1)),
    ),
    "weights with other margins": (
        V,
        "margins of the weights differ by 0.2",
        lambda: P.pair(Q, weights=W.flip(0).roll(1).unsqueeze(1)),
    ),
    "weights with another second margin": (
        V,
        "margins of the weights differ by 0.2",
        lambda: Q.pair(P, weights=W.flip(0).roll(1).unsqueeze(0)),
    ),
    "weights zero": (V, "margins", lambda: P.pair(Q, weights=0 * W.unsqueeze(1))),
    "too many": (
        V,
        "160000 pairs of components; at most 100000",
        lambda: many.pair(many),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])


@pytest.mark.parametrize("c", [1.0, -1.0])
def test_full_correlation_is_the_edge_and_is_allowed(c):
    joint = ONE.pair(ONE, c * eye)
    assert joint.singular
    x = joint.sample(10, shapes.rng(0)) - joint.mean()
    torch.testing.assert_close(x[:, D:], c * x[:, :D], rtol=1e-7, atol=1e-7)
