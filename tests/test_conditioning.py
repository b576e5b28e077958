"""laws: conditioning on any linear observation, against dense linear algebra.

Tolerances: 1e-9 relative where the second route solves with matrices of condition
number below 1e4; each looser one has its reason beside it.
"""

import math

import pytest
import torch
from examples import (
    LAWS,
    SMOOTH,
    D,
    cuda,
    eigen,
    named,
    normal,
    refuses,
    rotation,
    uniform,
    wishart,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal

from diffkit import laws

close = {"rtol": 1e-9, "atol": 1e-9}
few = settings(max_examples=25, deadline=None, derandomize=True)
names = st.sampled_from(sorted(LAWS))


def dense(law: laws.Mixture, A: torch.Tensor, y: torch.Tensor, V: torch.Tensor):
    """Log weights, means and covariances by the textbook formula, pair by pair."""
    rows = []
    for logw, m, C in zip(law.logw, law.means, law.covs(), strict=True):
        S = A @ C @ A.mT + V
        gain = torch.linalg.solve(S, A @ C).mT
        evidence = MultivariateNormal(A @ m, S).log_prob(y)
        rows.append((logw + evidence, m + gain @ (y - A @ m), C - gain @ A @ C))
    logw, means, covs = map(torch.stack, zip(*rows, strict=True))
    return logw - logw.logsumexp(0), means, covs


def noise(e: int, seed: int = 40) -> torch.Tensor:
    root = normal(e, e, seed=seed)
    return root @ root.mT + 0.1 * torch.eye(e, dtype=torch.float64)


@pytest.mark.parametrize("e", [1, 2, D, 5])
@named(LAWS)
def test_a_matrix_observed_in_coloured_noise(name, e):
    law, A, V = LAWS[name], normal(e, D, seed=41), noise(e)
    y = normal(4, e, seed=42)
    got = law.given(A, y, V)
    covs = got.covs()
    for i in range(4):
        logw, means, left = dense(law, A, y[i], V)
        torch.testing.assert_close(got.logw[i], logw, **close)
        torch.testing.assert_close(got.means[i], means, **close)
        torch.testing.assert_close(covs[i], left, **close)


@named(LAWS)
def test_one_matrix_and_one_variance_for_each_observation(name):
    law, A, y = LAWS[name], normal(4, 2, D, seed=43), normal(4, 2, seed=44)
    v, eye = 0.1 + uniform(4, seed=45), torch.eye(2, dtype=torch.float64)
    got, covs = law.given(A, y, v), law.given(A, y, v).covs()
    for i in range(4):
        logw, means, left = dense(law, A[i], y[i], v[i] * eye)
        torch.testing.assert_close(got.logw[i], logw, **close)
        torch.testing.assert_close(got.means[i], means, **close)
        torch.testing.assert_close(covs[i], left, **close)


@named(LAWS)
def test_a_number_is_its_matrix(name):
    law, y = LAWS[name], normal(4, D, seed=46)
    eye = torch.eye(D, dtype=torch.float64)
    one, two = law.given(0.7, y, 0.2), law.given(0.7 * eye, y, 0.2 * eye)
    torch.testing.assert_close(one.logw, two.logw, **close)
    torch.testing.assert_close(one.means, two.means, **close)
    torch.testing.assert_close(one.covs(), two.covs(), **close)


@named(SMOOTH)
def test_without_noise_what_was_seen_is_known(name):
    law, A, y = SMOOTH[name], normal(2, D, seed=47), normal(4, 2, seed=48)
    got = law.given(A, y, 0.0)
    want = y.unsqueeze(1).expand(4, law.k, 2)
    torch.testing.assert_close(got.means @ A.mT, want, **close)
    assert (A @ got.covs() @ A.mT).abs().max() < 1e-12
    logw, means, left = dense(law, A, y[0], torch.zeros(2, 2, dtype=y.dtype))
    torch.testing.assert_close(got.means[0], means, **close)
    torch.testing.assert_close(got.covs()[0], left, **close)


@named(LAWS)
def test_seeing_part_after_part_is_seeing_all(name):
    law, y = LAWS[name], normal(3, seed=49)
    A, V = normal(3, D, seed=50), torch.diag(0.1 + uniform(3, seed=51))
    once = law.given(A, y, V)
    step = law
    for i in range(3):
        step = step.given(A[i : i + 1], y[i : i + 1], V[i, i].item())
    torch.testing.assert_close(step.logw, once.logw, **close)
    torch.testing.assert_close(step.means, once.means, **close)
    torch.testing.assert_close(step.covs(), once.covs(), **close)


@pytest.mark.parametrize("v", [1e-12, 1e-4, 1e8])
def test_a_direction_keeps_its_share_from_little_noise_to_much(v):
    # lam v / (lam + v) in mixed directions, lam from 1 to 1e-8 to nothing
    lam = torch.tensor([1.0, 1e-8, 0.0], dtype=torch.float64)
    law = laws.gaussian(torch.zeros(D, dtype=torch.float64), eigen(*lam.tolist()))
    U, eye = rotation(), torch.eye(D, dtype=torch.float64)
    left = law.given(eye, normal(D), v * eye).push(U.mT).covs()[0]
    # eigenvectors of 1e-8 and 0 are told apart to 1e-16 / 1e-8
    slack = {"rtol": 1e-6, "atol": 1e-20}
    torch.testing.assert_close(left.diagonal(), lam * v / (lam + v), **slack)


@few
@given(names, st.integers(1, 5), st.integers(0, 1000))
def test_given_never_widens_a_component(name, e, seed):
    law = LAWS[name]
    left = law.given(normal(e, D, seed=seed), normal(e, seed=seed + 1), noise(e, seed))
    fall = law.covs() - left.covs()
    size = law.covs().abs().max() + 1e-300
    assert (torch.linalg.eigvalsh(fall) >= -1e-12 * size).all()


@few
@given(names, st.integers(0, 1000))
def test_the_mean_of_posteriors_is_the_prior(name, seed):
    # E[x | y] averaged over y by exact second moments: cov(E[x|y]) + cov[x|y] = cov x
    law = LAWS[name].select([0])
    A, V = normal(2, D, seed=seed), noise(2, seed)
    left = law.given(A, normal(2), V).covs()[0]
    C = law.cov()
    gain = torch.linalg.solve(A @ C @ A.mT + V, A @ C).mT
    seen = gain @ (A @ C @ A.mT + V) @ gain.mT
    torch.testing.assert_close(left + seen, C, **close)


@cuda
def test_conditioning_on_the_gpu_agrees():
    law, A, y = SMOOTH["mixture"], normal(2, D), normal(4, 2)
    far = law.to("cuda").given(A.cuda(), y.cuda(), noise(2).cuda())
    near = law.given(A, y, noise(2))
    torch.testing.assert_close(far.means.cpu(), near.means, **close)


def test_conditioning_keeps_single_precision():
    law, A, y = SMOOTH["mixture"], normal(2, D), normal(4, 2)
    got = law.to(torch.float32).given(A.float(), y.float(), 0.3)
    want = law.given(A, y, 0.3)
    assert got.means.dtype == torch.float32
    # eps is 1e-7, the condition numbers below 1e3
    torch.testing.assert_close(got.means.double(), want.means, rtol=1e-3, atol=1e-3)


# ------------------------------------------------------------------ refusals

V, S = ValueError, laws.SingularLaw
MIX, m3 = SMOOTH["mixture"], normal(D)
A2, eye = normal(2, D), torch.eye(D, dtype=torch.float64)
BATCH = SMOOTH["gaussian"].scale(torch.ones(4, dtype=torch.float64))
nan = float("nan")
WRONG = {
    "A columns": (
        V,
        r"A has shape \(2, 3\).*matrix \(4, 3\)",
        lambda: MIX.given(A2, normal(4), 1.0),
    ),
    "A many": (
        V,
        r"A has shape \(5, 2, 3\).*observation \(4,\)",
        lambda: MIX.given(normal(5, 2, D), normal(4, 2), 1.0),
    ),
    "A as both": (
        V,
        "not look like both",
        lambda: MIX.given(eye, normal(D, D, D), 1.0),
    ),
    "v shape": (
        V,
        r"v has shape \(3, 3\).*matrix \(2, 2\)",
        lambda: MIX.given(A2, normal(4, 2), eye),
    ),
    "v tilted": (
        V,
        "not symmetric",
        lambda: MIX.given(A2, normal(2), torch.tensor([[1.0, 0.5], [0.0, 1.0]])),
    ),
    "v < 0": (V, "variance -1", lambda: MIX.given(A2, normal(2), -1.0)),
    "v indefinite": (
        V,
        "semi-definite",
        lambda: MIX.given(eye, m3, eigen(1.0, 1.0, -1.0)),
    ),
    "v nan": (V, "variance nan", lambda: MIX.given(A2, normal(2), nan)),
    "A nan": (V, "A holds NaN", lambda: MIX.given(nan * A2, normal(2), 1.0)),
    "y nan": (V, "y holds NaN", lambda: MIX.given(A2, nan * normal(2), 1.0)),
    "batch": (V, r"batch shape \(4,\)", lambda: BATCH.given(A2, normal(2), 1.0)),
    "seen twice, no noise": (
        S,
        "noiseless in a direction",
        lambda: MIX.given(torch.cat([A2[:1], A2[:1]]), normal(2), 0.0),
    ),
    "more rows than dimensions, no noise": (
        S,
        "noiseless in a direction",
        lambda: MIX.given(normal(5, D), normal(5), 0.0),
    ),
    "coefficient": (
        V,
        r"a coefficient has shape \(3,\).*\(4,\)",
        lambda: MIX.expect(normal(4, D), (m3,), 1.0, (1.0,), 0.0),
    ),
    "ends": (V, "3 dimensions are no 2 ends", lambda: MIX.blend((1.0, 1.0))),
    "no ends": (V, "3 dimensions are no 0 ends", lambda: MIX.blend(())),
    "ends wanted": (
        V,
        "1 ends are observed, but 2 wanted",
        lambda: MIX.expect(m3, (1.0,), 1.0, (1.0, 0.0), 0.0),
    ),
    "posterior variance": (
        V,
        "variance -1",
        lambda: MIX.posterior(m3, (1.0,), -1.0),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])


def test_evidence_is_the_density_of_what_is_seen():
    law, A, y = SMOOTH["mixture"], normal(2, D), normal(4, 2)
    # p(x | y) p(y) = p(x) p(y | x), at any x
    x, V = normal(4, D, seed=3), noise(2)
    post, seen = law.given(A, y, V), law.push(A).blur(cov=V)
    left = post.log_prob(x) + seen.log_prob(y)
    right = law.log_prob(x) + MultivariateNormal(x @ A.mT, V).log_prob(y)
    torch.testing.assert_close(left, right, **close)
    assert math.isfinite(left.sum())


def test_covariances_of_the_noise_add():
    law, one, two = SMOOTH["low ranks"], wishart(seed=1), eigen(1.0, 0.0, 0.0)
    got = law.blur(0.3, cov=one).blur(cov=two)
    eye = torch.eye(D, dtype=torch.float64)
    torch.testing.assert_close(got.covs(), law.covs() + 0.3 * eye + one + two, **close)
