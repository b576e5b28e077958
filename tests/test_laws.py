"""laws: mixtures against torch.distributions, dense algebra and sample moments.

Tolerances: 1e-10 relative, because covariances here have condition numbers below
1e3 and every second route is dense float64 algebra; 6 standard errors for samples.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from examples import (
    LAWS,
    ROUGH,
    SMOOTH,
    D,
    W,
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
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from diffkit import laws, shapes

close = {"rtol": 1e-10, "atol": 1e-10}
few = settings(max_examples=25, deadline=None, derandomize=True)


def reference(law: laws.Mixture) -> MixtureSameFamily:
    """The same law by torch, from dense covariances and their Cholesky factors."""
    return MixtureSameFamily(
        Categorical(logits=law.logw), MultivariateNormal(law.means, law.covs())
    )


def near(law: laws.Mixture, n: int = 20) -> torch.Tensor:
    """Points around the components."""
    return law.means[torch.arange(n) % law.k] + normal(n, law.d, seed=9)


def same_law(p: laws.Mixture, q: laws.Mixture) -> None:
    """Component by component."""
    for u, v in ((p.logw, q.logw), (p.means, q.means), (p.covs(), q.covs())):
        torch.testing.assert_close(u, v, **close)


# ------------------------------------------------------------ constructors


def test_constructors_keep_the_covariance_they_were_given():
    C, many = wishart(), wishart(3, seed=6)
    eye = torch.eye(D, dtype=torch.float64)
    got = laws.gaussian(normal(D), C)
    torch.testing.assert_close(got.covs()[0], C, **close)
    torch.testing.assert_close(laws.mixture(normal(3, D), many).covs(), many, **close)
    got = laws.mixture(normal(3, D), C).covs()
    torch.testing.assert_close(got, C.expand(3, D, D), **close)
    got = laws.mixture(normal(2, D), 0.3).covs()
    torch.testing.assert_close(got, 0.3 * eye.expand(2, D, D), **close)
    assert laws.dataset(normal(4, D)).covs().count_nonzero() == 0


def test_low_rank_storage_is_the_span_plus_a_floor_off_it():
    law = SMOOTH["low ranks"]
    cov = law.covariance
    for k in range(3):
        U, off = cov.basis[k], rotation(k)[:, 2:]
        dense = (U * cov.spectrum[k]) @ U.mT + cov.floor[k] * off @ off.mT
        torch.testing.assert_close(law.covs()[k], dense, **close)


def test_weights_are_made_to_sum_to_one():
    law = laws.mixture(normal(3, D), 1.0, 7 * W)
    torch.testing.assert_close(law.logw.exp(), W)
    assert laws.mixture(normal(4, D), 1.0).logw.exp().tolist() == [0.25] * 4


def test_fit_gaussian_is_numpys_covariance_with_divisor_n():
    x = normal(7, D)
    law = laws.fit_gaussian(x)
    C = torch.tensor(np.cov(x.numpy().T, bias=True))
    torch.testing.assert_close(law.cov(), C, **close)
    torch.testing.assert_close(law.mean(), torch.tensor(x.numpy().mean(0)))


def test_fit_gaussian_of_two_points_is_flat():
    law = laws.fit_gaussian(normal(2, D))
    assert law.singular and (law.covariance.spectrum == 0).sum() == D - 1


# ------------------------------------------------------ density and moments


@named(SMOOTH)
def test_log_prob_is_that_of_torch_distributions(name):
    law = SMOOTH[name]
    x = near(law)
    want = reference(law).log_prob(x)
    torch.testing.assert_close(law.log_prob(x), want, **close)


@named(SMOOTH)
def test_score_is_the_gradient_of_torch_distributions(name):
    law = SMOOTH[name]
    x = near(law).requires_grad_()
    (want,) = torch.autograd.grad(reference(law).log_prob(x).sum(), x)
    torch.testing.assert_close(law.score(x.detach()), want, **close)


@named(SMOOTH)
def test_score_is_the_gradient_of_log_prob(name):
    law = SMOOTH[name]
    x = near(law).requires_grad_()
    (want,) = torch.autograd.grad(law.log_prob(x).sum(), x)
    torch.testing.assert_close(law.score(x.detach()), want, **close)


@named(SMOOTH)
def test_log_prob_may_be_differentiated_twice(name):
    law = SMOOTH[name]
    x = near(law, 3)
    for y in x:
        want = torch.autograd.functional.hessian(reference(law).log_prob, y)
        got = torch.autograd.functional.hessian(law.log_prob, y)
        torch.testing.assert_close(got, want, **close)


@named(SMOOTH)
def test_every_transform_of_torch_func_sees_the_same_slopes(name):
    law, x = SMOOTH[name], near(SMOOTH[name], 4)
    want = torch.stack(
        [torch.autograd.functional.hessian(reference(law).log_prob, y) for y in x]
    )
    back, forth, twice = torch.func.jacrev, torch.func.jacfwd, torch.func.hessian
    for slope in (back(law.score), forth(law.score), twice(law.log_prob)):
        torch.testing.assert_close(torch.func.vmap(slope)(x), want, **close)


@named(SMOOTH)
def test_responsibilities_are_bayes_rule(name):
    law = SMOOTH[name]
    x = near(law)
    each = reference(law).component_distribution.log_prob(x.unsqueeze(1)).exp()
    joint = law.logw.exp() * each
    want = joint / joint.sum(-1, keepdim=True)
    torch.testing.assert_close(law.responsibilities(x), want, **close)


@named(LAWS)
def test_mean_and_cov_are_raw_moments(name):
    law = LAWS[name]
    m, second = 0, 0
    for w, mean, C in zip(law.logw.exp(), law.means, law.covs(), strict=True):
        m, second = m + w * mean, second + w * (C + torch.outer(mean, mean))
    torch.testing.assert_close(law.mean(), m, **close)
    torch.testing.assert_close(law.cov(), second - torch.outer(m, m), **close)


def six_sigma(values: torch.Tensor, want: torch.Tensor) -> None:
    """The mean over the first axis, within six of its own standard errors."""
    error = values.std(0) / math.sqrt(len(values))
    off = (values.mean(0) - want).abs()
    assert (off <= 6 * error + 1e-12).all(), (off / error).max()


@named(LAWS)
def test_samples_have_the_mean_and_the_covariance(name):
    law = LAWS[name]
    x = law.sample(20_000, shapes.rng(1))
    off = x - law.mean()
    six_sigma(x, law.mean())
    six_sigma(off.unsqueeze(-1) * off.unsqueeze(-2), law.cov())
    assert x.std(0).max() > 0.1 or name == "point"


@named(SMOOTH)
def test_samples_come_from_components_in_the_ratio_of_the_weights(name):
    law = SMOOTH[name]
    x = law.sample(20_000, shapes.rng(2))
    six_sigma(law.responsibilities(x), law.logw.exp())
    # E exp(-|x|^2) sees the whole shape; its truth is one Gaussian integral
    seen = law.blur(0.5)
    want = seen.log_prob(torch.zeros(D, dtype=x.dtype)) + D / 2 * math.log(math.pi)
    six_sigma((-(x**2).sum(-1)).exp(), want.exp())


def test_samples_of_a_batch_have_their_own_moments_and_are_independent():
    y = 3 * normal(3, D, seed=11)  # weights, means and covariances that differ
    law = SMOOTH["mixture"].given(0.3, y, 1.0)
    x = law.sample(20_000, shapes.rng(3))
    assert x.shape == (20_000, 3, D)
    six_sigma(x, law.mean())
    off = x - law.mean()
    six_sigma(off.unsqueeze(-1) * off.unsqueeze(-2), law.cov())
    across = off[:, 0].unsqueeze(-1) * off[:, 1].unsqueeze(-2)
    six_sigma(across, torch.zeros(D, D, dtype=x.dtype))


def test_samples_repeat_with_the_generator():
    law = SMOOTH["mixture"]
    first, again = (law.sample(9, shapes.rng(5)) for _ in range(2))
    assert torch.equal(first, again)


@named(LAWS)
def test_samples_of_a_flat_law_stay_on_its_support(name):
    law = LAWS[name]
    x = law.sample(50, shapes.rng(4))
    off = x.unsqueeze(1) - law.means
    covs = law.covs()
    rest = off - (covs @ torch.linalg.pinv(covs, rtol=1e-9) @ off.unsqueeze(-1))[..., 0]
    assert (rest.norm(dim=-1).min(1).values < 1e-9).all()


# -------------------------------------------------------------- the algebra

MATRICES = {
    "square": normal(D, D, seed=20),
    "wide": normal(2, D, seed=21),
    "tall": normal(5, D, seed=22),
    "singular": torch.outer(normal(D, seed=23), normal(D, seed=24)),
    "zero": torch.zeros(2, D, dtype=torch.float64),
}


@pytest.mark.parametrize("shape", list(MATRICES))
@named(LAWS)
def test_a_matrix_pushes_as_dense_algebra_says(name, shape):
    law, A = LAWS[name], MATRICES[shape]
    c = normal(len(A), seed=25)
    got = law.push(A, c)
    torch.testing.assert_close(got.means, law.means @ A.mT + c, **close)
    torch.testing.assert_close(got.covs(), A @ law.covs() @ A.mT, **close)
    rank = int(torch.linalg.matrix_rank(A @ law.covs()[0]))
    assert (got.spectral().covariance.spectrum[..., 0, :] > 0).sum() == rank


@named(LAWS)
def test_a_number_pushes_as_its_matrix(name):
    law, c = LAWS[name], normal(D, seed=26)
    eye = torch.eye(D, dtype=torch.float64)
    same_law(law.push(-1.7, c), law.push(-1.7 * eye, c))
    same_law(law.scale(-1.7), law.push(-1.7))


@pytest.mark.parametrize("size", [1e-9, 1e9])
@named(LAWS)
def test_what_is_small_is_not_dust_and_what_is_large_is_not_signal(name, size):
    law, A = LAWS[name], MATRICES["square"]
    got, want = law.push(size * A).covs(), size**2 * law.push(A).covs()
    top = want.abs().max() + torch.finfo(A.dtype).tiny
    torch.testing.assert_close(got / top, want / top, **close)
    flat = laws.gaussian(normal(D), torch.outer(A[0], A[0]))
    off = torch.linalg.svd(A[:1])[2][1:]
    assert flat.push(size * off).covs().count_nonzero() == 0


def test_projecting_a_flat_law_off_its_span_is_a_point_and_no_error():
    for seed in range(20):
        v = normal(D, seed=seed)
        law = laws.gaussian(normal(D), torch.outer(v, v))
        off = torch.linalg.svd(v[None])[2][1:]
        assert law.push(off).covs().count_nonzero() == 0


@named(LAWS)
def test_blur_adds_the_variance(name):
    law = LAWS[name]
    eye = torch.eye(D, dtype=torch.float64)
    torch.testing.assert_close(law.blur(0.7).covs(), law.covs() + 0.7 * eye, **close)
    torch.testing.assert_close(law.blur(0.7).means, law.means)


@named(SMOOTH)
def test_density_turns_with_the_space(name):
    law, U = SMOOTH[name], rotation(30)
    x = near(law)
    turned = law.push(U)
    torch.testing.assert_close(turned.log_prob(x @ U.mT), law.log_prob(x), **close)
    torch.testing.assert_close(turned.score(x @ U.mT), law.score(x) @ U.mT, **close)


@named(SMOOTH)
def test_pushing_there_and_back_changes_nothing(name):
    law, A = SMOOTH[name], MATRICES["square"]
    back = law.push(A).push(torch.linalg.inv(A))
    x = near(law)
    # the condition number of A, squared, is the loss of digits
    torch.testing.assert_close(back.log_prob(x), law.log_prob(x), rtol=1e-8, atol=1e-8)


def dense_posterior(law, a, y, v):
    """Log weights, means, covariances by conditioning the joint law of (x, y)."""
    eye = torch.eye(law.d, dtype=y.dtype)
    rows = []
    for logw, m, C in zip(law.logw, law.means, law.covs(), strict=True):
        S = a * a * C + v * eye
        gain = torch.linalg.solve(S, a * C).mT
        evidence = MultivariateNormal(a * m, S).log_prob(y)
        rows.append((logw + evidence, m + gain @ (y - a * m), C - a * gain @ C))
    logw, means, covs = map(torch.stack, zip(*rows, strict=True))
    return logw - logw.logsumexp(0), means, covs


@named(LAWS)
def test_given_is_dense_conditioning(name):
    law, y = LAWS[name], normal(4, D, seed=31)
    for a, v in ((0.8, 0.4), (-2.0, 0.05), (0.0, 1.0)):
        got = law.given(a, y, v)
        for i in range(4):
            logw, means, covs = dense_posterior(law, a, y[i], v)
            torch.testing.assert_close(got.logw[i], logw, **close)
            torch.testing.assert_close(got.means[i], means, **close)
            torch.testing.assert_close(got.covs()[i], covs, **close)


@named(SMOOTH)
def test_given_is_the_block_of_the_joint_precision(name):
    law, y, a, v = SMOOTH[name], normal(D, seed=31), 0.8, 0.4
    C, eye = law.covs(), torch.eye(D, dtype=torch.float64)
    top, low = torch.cat([C, a * C], 2), torch.cat([a * C, a * a * C + v * eye], 2)
    P = torch.linalg.inv(torch.cat([top, low], 1))
    covs = torch.linalg.inv(P[:, :D, :D])
    off = (y - a * law.means).unsqueeze(-1)
    means = law.means - (covs @ P[:, :D, D:] @ off).squeeze(-1)
    got = law.given(a, y, v)
    torch.testing.assert_close(got.covs(), covs, **close)
    torch.testing.assert_close(got.means, means, **close)


@named(LAWS)
def test_given_takes_one_number_per_observation_even_where_n_equals_d(name):
    law = LAWS[name]
    for shape in ((D,), (5,), (2, D), (0,)):
        y = normal(*shape, D, seed=32)
        a, v = 0.2 + uniform(*shape, seed=33), 0.1 + uniform(*shape, seed=34)
        got = law.given(a, y, v)
        means, covs = got.means, got.covs()
        assert means.shape == (*shape, law.k, D)
        for i in np.ndindex(*shape):
            logw, m, C = dense_posterior(law, a[i], y[i], v[i])
            torch.testing.assert_close(got.logw[i], logw, **close)
            torch.testing.assert_close(means[i], m, **close)
            torch.testing.assert_close(covs[i], C, **close)


@pytest.mark.parametrize("v", [1e-12, 1e-4, 1.0, 1e8])
def test_given_loses_no_digits(v):
    lam, a, y = 0.7, 0.9, 2.0
    law = laws.gaussian(torch.zeros(1, dtype=torch.float64), torch.tensor([[lam]]))
    got = law.given(a, torch.tensor([y], dtype=torch.float64), v)
    lam, a, y, v = (Fraction(u) for u in (law.cov().item(), a, y, v))
    gain = lam * a / (a * a * lam + v)
    exact = lam - gain * a * lam
    assert got.cov().item() == pytest.approx(float(exact), rel=1e-15, abs=0)
    assert got.mean().item() == pytest.approx(float(gain * y), rel=1e-14, abs=0)


@named(LAWS)
def test_select_keeps_what_it_says_in_any_spelling(name):
    law = LAWS[name]
    keep = [law.k - 1, 0]
    got = law.select(keep)
    w = law.logw[keep].exp()
    torch.testing.assert_close(got.logw.exp(), w / w.sum())
    assert torch.equal(got.means, law.means[keep])
    assert torch.equal(got.covs(), law.covs()[keep])
    mask = torch.arange(law.k) != 1
    same_law(law.select(mask), law.select([k for k in range(law.k) if k != 1]))


def test_select_of_a_batch_selects_in_every_law():
    y = normal(5, D)
    law = SMOOTH["mixture"]
    got, want = law.given(1.0, y, 0.5).select([2]), law.select([2]).given(1.0, y, 0.5)
    same_law(got, want)


# -------------------------------------------------------- batches and types


@named(SMOOTH)
def test_a_batch_of_laws_is_its_laws_one_by_one(name):
    a, v = uniform(D, seed=35) + 0.5, uniform(D, seed=36)
    law = SMOOTH[name].scale(a).blur(v)
    x = normal(4, D, D, seed=37)  # (m, B, d)
    for i in range(D):
        one = SMOOTH[name].scale(a[i]).blur(v[i])
        for what in ("log_prob", "score", "responsibilities"):
            got, want = getattr(law, what)(x)[:, i], getattr(one, what)(x[:, i])
            torch.testing.assert_close(got, want, **close)
            got = getattr(law, what)(x[0])[i]
            torch.testing.assert_close(got, want[0], **close)
        torch.testing.assert_close(law.mean()[i], one.mean(), **close)
        torch.testing.assert_close(law.cov()[i], one.cov(), **close)


@named(SMOOTH)
def test_numbers_keep_the_type_of_the_law(name):
    law = SMOOTH[name]
    single = law.to(torch.float32)
    x = near(law).float()
    for u in (
        single.log_prob(x),
        single.score(x),
        single.push(2.0).blur(1.0).mean(),
        single.push(MATRICES["wide"].float()).cov(),
        single.given(0.5, x, 0.1).means,
        single.sample(3, shapes.rng(0)),
    ):
        assert u.dtype == torch.float32
    want = law.log_prob(x.double())
    # eps is 1e-7, the condition number below 1e3
    torch.testing.assert_close(single.log_prob(x).double(), want, rtol=1e-4, atol=1e-4)


@cuda
@named(SMOOTH)
def test_laws_on_the_gpu_agree(name):
    law = SMOOTH[name]
    far, x = law.to("cuda"), near(law)
    torch.testing.assert_close(far.score(x.cuda()).cpu(), law.score(x), **close)
    torch.testing.assert_close(far.push(2.0).cov().cpu(), law.push(2.0).cov(), **close)
    assert far.sample(3, shapes.rng(0, "cuda")).is_cuda


# ------------------------------------------------------------------ extremes


def test_a_component_of_no_weight_is_not_there():
    means, x = normal(3, D), normal(6, D, seed=1)
    w = torch.tensor([0.4, 0.0, 0.6], dtype=torch.float64)
    law, without = laws.mixture(means, 0.5, w), laws.mixture(means, 0.5, w)
    without = without.select([0, 2])
    torch.testing.assert_close(law.score(x), without.score(x), **close)
    torch.testing.assert_close(law.cov(), without.cov(), **close)
    post, fewer = law.given(1.0, x, 0.1), without.given(1.0, x, 0.1)
    torch.testing.assert_close(post.mean(), fewer.mean(), **close)
    assert torch.isfinite(law.sample(100, shapes.rng(0))).all()


def test_a_component_of_tiny_weight_still_rules_where_it_alone_reaches():
    means = torch.tensor([[0.0], [100.0]], dtype=torch.float64)
    w = torch.tensor([1.0, 1e-300], dtype=torch.float64)
    law = laws.mixture(means, 1.0, w)
    x = torch.tensor([[100.5]], dtype=torch.float64)
    torch.testing.assert_close(law.score(x), torch.full_like(x, -0.5), **close)
    want = math.log(1e-300) - 0.125 - math.log(2 * math.pi) / 2
    assert law.log_prob(x).item() == pytest.approx(want, rel=1e-14)


def test_coincident_components_are_one():
    m, x = normal(1, D), normal(5, D, seed=2)
    law = laws.mixture(m.expand(3, D), wishart(), W)
    one = laws.gaussian(m[0], wishart())
    for what in ("log_prob", "score"):
        torch.testing.assert_close(getattr(law, what)(x), getattr(one, what)(x))
    torch.testing.assert_close(law.cov(), one.cov(), **close)


@named(SMOOTH)
def test_nothing_is_nan_far_away_or_at_a_mean(name):
    law = SMOOTH[name]
    x = torch.cat([law.means, 1e6 * normal(3, D), -1e100 * normal(1, D)])
    assert torch.isfinite(law.score(x)).all()
    assert torch.isfinite(law.log_prob(x)).all()
    x = law.means.clone().requires_grad_()
    (slope,) = torch.autograd.grad(law.log_prob(x).sum(), x)
    torch.testing.assert_close(slope, law.score(law.means), **close)


def test_no_points_and_one_dimension():
    law = laws.gaussian(torch.tensor([1.0]).double(), 4.0)
    x = torch.tensor([[3.0]], dtype=torch.float64)
    assert law.score(x).item() == pytest.approx(-0.5, rel=1e-15)
    for what in ("log_prob", "score"):
        assert len(getattr(law, what)(x[:0])) == 0
    assert law.sample(0, shapes.rng(0)).shape == (0, 1)
    batch = law.scale(torch.ones(0, dtype=torch.float64))
    assert batch.sample(4, shapes.rng(0)).shape == (4, 0, 1)


# ------------------------------------------------------------------ properties

numbers = st.floats(-3, 3, allow_nan=False)
positive = st.floats(0.01, 10)
names = st.sampled_from(sorted(LAWS))


@few
@given(names, numbers.filter(lambda a: abs(a) > 0.01), positive)
def test_noise_then_scale_is_scale_then_more_noise(name, a, v):
    law = LAWS[name]
    got, want = law.blur(v).push(a).covs(), law.push(a).blur(a * a * v).covs()
    torch.testing.assert_close(got, want, **close)


@few
@given(names, numbers, positive, st.integers(0, 1000))
def test_given_is_dense_conditioning_anywhere(name, a, v, seed):
    law, y = LAWS[name], normal(D, seed=seed)
    got = law.given(a, y, v)
    logw, means, covs = dense_posterior(law, a, y, v)
    # the dense route subtracts, and loses up to the signal-to-noise ratio ~1e4
    loose = {"rtol": 1e-8, "atol": 1e-8}
    torch.testing.assert_close(got.logw, logw, **loose)
    torch.testing.assert_close(got.means, means, **loose)
    torch.testing.assert_close(got.covs(), covs, **loose)


@few
@given(names, st.randoms(use_true_random=False))
def test_the_order_of_components_means_nothing(name, random):
    law = LAWS[name].blur(0.1)
    order = list(range(law.k))
    random.shuffle(order)
    x, other = near(law), law.select(order)
    torch.testing.assert_close(other.log_prob(x), law.log_prob(x), **close)
    torch.testing.assert_close(other.score(x), law.score(x), **close)
    torch.testing.assert_close(other.cov(), law.cov(), **close)


# ------------------------------------------------------------------ refusals

ONE, MIX = SMOOTH["gaussian"], SMOOTH["mixture"]
m3, eye = normal(D), torch.eye(D, dtype=torch.float64)
nan, inf = float("nan"), float("inf")
ints = torch.zeros(2, D, dtype=torch.long)
tilted = eye.clone()
tilted[0, 1] = 0.5
BATCH = ONE.scale(torch.ones(4, dtype=torch.float64))


def raw(**change) -> laws.Mixture:
    """A Mixture by its fields, some of them wrong."""
    cov = MIX.covariance
    cov = {n: change.pop(n, getattr(cov, n)) for n in ("basis", "spectrum", "floor")}
    parts = {"logw": MIX.logw, "means": MIX.means} | change
    return laws.Mixture(**parts, covariance=laws.Spectral(**cov))


V, S, T = ValueError, laws.SingularLaw, TypeError
WRONG = {
    "means axis": (V, r"means has shape \(3,\).*\(K, d\)", lambda: laws.mixture(m3, 1)),
    "mean axis": (V, r"mean has shape .*\(d,\)", lambda: laws.gaussian(eye, 1.0)),
    "mean nan": (V, "means holds NaN", lambda: laws.gaussian(m3 * nan, 1.0)),
    "mean ints": (T, "mean is torch.int64", lambda: laws.gaussian(ints[0], 1.0)),
    "mean list": (T, "mean is list", lambda: laws.gaussian([0.0], 1.0)),
    "no data": (V, r"\(0, 3\).*>= 1", lambda: laws.dataset(eye[:0])),
    "no dimension": (V, r"\(3, 0\).*>= 1", lambda: laws.dataset(eye[:, :0])),
    "data nan": (V, "means holds NaN", lambda: laws.dataset(eye * nan)),
    "data ints": (T, "means is torch.int64", lambda: laws.dataset(ints)),
    "variance < 0": (V, "variance is -1.*>= 0", lambda: laws.gaussian(m3, -1.0)),
    "variance nan": (V, "variance is nan", lambda: laws.gaussian(m3, nan)),
    "variance inf": (V, "variance is inf", lambda: laws.gaussian(m3, inf)),
    "cov shape": (V, r"cov has shape \(2, 2\)", lambda: laws.gaussian(m3, eye[:2, :2])),
    "cov vector": (V, r"cov has shape \(3,\)", lambda: laws.gaussian(m3, m3)),
    "cov nan": (V, "cov holds NaN", lambda: laws.gaussian(m3, eye * nan)),
    "cov < 0": (
        V,
        "eigenvalue -1.*semi-definite",
        lambda: laws.gaussian(m3, eigen(1, 1, -1)),
    ),
    "cov slightly < 0": (
        V,
        "eigenvalue -1e-06",
        lambda: laws.gaussian(m3, eigen(1, 1, -1e-6)),
    ),
    "cov tilted": (V, "not symmetric", lambda: laws.gaussian(m3, tilted)),
    "cov tilted beside a large one": (
        V,
        "not symmetric",
        lambda: laws.mixture(normal(2, D), torch.stack([1e9 * eye, tilted])),
    ),
    "weights zero": (V, "all weights are zero", lambda: laws.mixture(eye, 1.0, 0 * W)),
    "weights < 0": (
        V,
        r"weights are \[-.*3 finite numbers >= 0",
        lambda: laws.mixture(eye, 1.0, -W),
    ),
    "weights nan": (V, "weights are .nan", lambda: laws.mixture(eye, 1.0, W * nan)),
    "weights inf": (V, "weights are .inf", lambda: laws.mixture(eye, 1.0, W * inf)),
    "weights few": (V, "must be 3 finite", lambda: laws.mixture(eye, 1.0, W[:2])),
    "weights list": (T, "weights is list", lambda: laws.mixture(eye, 1.0, [1, 2, 3])),
    "fit nothing": (V, r"\(0, 3\).*n > 0", lambda: laws.fit_gaussian(eye[:0])),
    "fit vector": (V, r"x has shape \(3,\)", lambda: laws.fit_gaussian(m3)),
    "fit nan": (V, "x holds NaN", lambda: laws.fit_gaussian(eye * nan)),
    "fit ints": (T, "x is torch.int64", lambda: laws.fit_gaussian(ints)),
    "raw means": (V, "do not belong together", lambda: raw(means=eye[:2])),
    "raw basis axis": (V, "basis has shape .*3 axes", lambda: raw(basis=eye)),
    "raw logw": (V, "axes of a Mixture", lambda: raw(logw=W[0])),
    "raw spectrum axis": (V, "spectrum has shape .*2 axes", lambda: raw(spectrum=m3)),
    "raw spectrum rows": (
        V,
        "spectrum has 2 components; it must have 1 or 3",
        lambda: raw(spectrum=MIX.covariance.spectrum[:2]),
    ),
    "raw basis rows": (
        V,
        "basis has 2 components",
        lambda: raw(basis=MIX.covariance.basis[:2]),
    ),
    "raw floor rows": (V, "floor has 2", lambda: raw(floor=W[:2])),
    "raw spectrum < 0": (
        V,
        "variance is negative",
        lambda: raw(spectrum=-MIX.covariance.spectrum),
    ),
    "raw floor < 0": (V, "variance is negative", lambda: raw(floor=-W)),
    "raw logw nan": (V, "logw holds NaN", lambda: raw(logw=W * nan)),
    "raw logw inf": (V, "logw holds NaN or .inf", lambda: raw(logw=W * inf)),
    "raw logw ints": (T, "logw is torch.int64", lambda: raw(logw=ints[0])),
    "push shape": (
        V,
        r"A has shape \(2, 5\).*\(e, 3\)",
        lambda: ONE.push(eye.new_ones(2, 5)),
    ),
    "push vector": (V, r"A has shape \(3,\)", lambda: ONE.push(m3)),
    "push cube": (V, r"A has shape \(1, 3, 3\)", lambda: ONE.push(eye[None])),
    "push nan": (V, "A holds NaN", lambda: ONE.push(eye * nan)),
    "push nan number": (V, "A holds NaN", lambda: ONE.push(nan)),
    "push c nan": (V, "c holds NaN", lambda: ONE.push(1.0, nan)),
    "push c shape": (V, r"c has shape \(2,\)", lambda: ONE.push(1.0, m3[:2])),
    "push c shape 2": (V, r"c has shape \(3,\)", lambda: ONE.push(eye[:2], m3)),
    "push a batch": (V, r"each law of \(4,\)", lambda: BATCH.push(eye.expand(3, 3, 3))),
    "scale a batch": (V, r"a has shape \(3,\).*\(4,\)", lambda: BATCH.scale(m3)),
    "blur < 0": (V, "variance -1 was added", lambda: ONE.blur(-1.0)),
    "blur nan": (V, "variance nan was added", lambda: ONE.blur(nan)),
    "blur inf": (V, "variance inf was added", lambda: ONE.blur(inf)),
    "blur batch": (V, r"v has shape \(3,\).*\(4,\)", lambda: BATCH.blur(m3.abs())),
    "given y": (V, r"y has shape .*3\)", lambda: ONE.given(1.0, eye[:, :2], 1.0)),
    "given y nan": (V, "y holds NaN", lambda: ONE.given(1.0, m3 * nan, 1.0)),
    "given a": (V, r"A has shape \(3,\).*\(2,\)", lambda: ONE.given(m3, eye[:2], 1.0)),
    "given v": (V, r"v has shape \(3,\).*\(2,\)", lambda: ONE.given(1.0, eye[:2], m3)),
    "given a nan": (V, "A holds NaN", lambda: ONE.given(nan, m3, 1.0)),
    "given v < 0": (V, "variance -1", lambda: ONE.given(1.0, m3, -1.0)),
    "given exactly nothing": (S, "add noise", lambda: ONE.given(0.0, m3, 0.0)),
    "given a flat law exactly": (
        S,
        "zero eigenvalue",
        lambda: ROUGH["flat"].given(1.0, m3, 0.0),
    ),
    "select none": (V, r"components \[\] were", lambda: MIX.select([])),
    "select beyond": (V, r"components \[3\].*0 to 2", lambda: MIX.select([3])),
    "select floats": (V, "were selected", lambda: MIX.select([0.5])),
    "select short mask": (
        V,
        "mask of 3",
        lambda: MIX.select(torch.tensor([True, False])),
    ),
    "select table": (V, "were selected", lambda: MIX.select([[0, 1]])),
    "x shape": (V, r"x has shape \(3, 2\).*3\)", lambda: MIX.score(eye[:, :2])),
    "x nan": (V, "x holds NaN", lambda: MIX.log_prob(m3 * nan)),
    "x ints": (T, "x is torch.int64", lambda: MIX.responsibilities(ints)),
    "x against a batch": (
        V,
        r"x has shape \(3, 3\); it must end in \(4, 3\)",
        lambda: BATCH.score(eye),
    ),
    "flat density": (S, "add noise first", lambda: ROUGH["flat"].log_prob(m3)),
    "flat score": (S, "zero eigenvalue", lambda: ROUGH["data"].score(m3)),
    "flat responsibilities": (
        S,
        "no density",
        lambda: ROUGH["flats"].responsibilities(m3),
    ),
    "n < 0": (V, "-1 samples.*n must be >= 0", lambda: MIX.sample(-1, shapes.rng(0))),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
