"""information: closed forms, quadrature, draws and differences against one another.

Tolerances: two quadratures of one number agree to 1e-10; a difference quotient of
step h to h^2; draws to six standard errors, computed.
"""

import math

import numpy as np
import pytest
import torch
from examples import (
    LAWS,
    PATHS,
    ROUGH,
    SMOOTH,
    TWO_ENDS,
    D,
    cuda,
    named,
    normal,
    refuses,
    wishart,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal, kl_divergence

import diffkit.information as I
from diffkit import laws, paths, shapes
from diffkit.laws import entropy
from diffkit.worlds import World

close = {"rtol": 1e-10, "atol": 1e-12}
# thousands of small calls: as readers run it; the other tests execute annotations
quick = pytest.mark.usefixtures("unchecked")
TIMES = torch.tensor([0.9, 0.1, 0.5, 0.1], dtype=torch.float64)
BROWNIAN = paths.Path(1, 0, paths.t, 1.0, "Brownian")
X = np.linspace(-60, 60, 24_001)  # 0.005 apart: the trapezoid rule is exact on it


def line(means, widths, weights):
    """A mixture on the line, from lists."""
    m, s, w = (torch.tensor(u, dtype=torch.float64) for u in (means, widths, weights))
    return laws.mixture(m[:, None], s[:, None, None] ** 2, w)


P = line([-2.0, 0.0, 3.0], [0.5, 0.3, 1.0], [0.3, 0.2, 0.5])
Q = line([-1.0, 1.0], [0.8, 0.7], [0.4, 0.6])
POINTS = laws.dataset(torch.tensor([[-1.0], [0.5], [2.0]], dtype=torch.float64))
LINES = {"three": P, "two": Q, "one": line([0.7], [1.3], [1.0]), "points": POINTS}
N, M = SMOOTH["gaussian"], SMOOTH["mixture"]


def on_the_grid(law, a, g):
    """numpy's own densities of x_t on X: joint with k (K, n), and its derivative."""
    m, v = law.means[:, 0].numpy(), law.covs()[:, 0, 0].numpy()
    total = (a**2 * v + g**2)[:, None]
    off = X - a * m[:, None]
    p = np.exp(-(off**2) / (2 * total)) / np.sqrt(2 * np.pi * total)
    p = law.logw.exp().numpy()[:, None] * p
    return p, -(off / total * p).sum(0)


def mean_of(f):
    return float(f.sum() * (X[1] - X[0]))


def kl(p, q):
    """KL of two laws on the line, by the trapezoid rule; the logs by torch."""
    x = torch.from_numpy(X)[:, None]
    ours, theirs = p.log_prob(x), q.log_prob(x)
    return mean_of((ours.exp() * (ours - theirs)).numpy())


def agree(got, want, scale=0.0):
    """Six standard errors apart at most, and rounding."""
    error = torch.sqrt(got.error**2 + torch.as_tensor(scale) ** 2)
    assert (got.error > 0).all()
    assert (abs(got.value - want) <= 6 * error).all(), (got, want)


# ------------------------------------------------------------ denoising errors


@named(PATHS)
def test_mmse_of_a_gaussian_is_the_trace_of_the_dense_posterior(name):
    path = PATHS[name]
    times = TIMES * path.T
    for law in (N, ROUGH["flat"], SMOOTH["repeated"]):
        world, C = World(path, law), law.cov().numpy()
        got = I.mmse(world, times)
        for t, value in zip(times, got.value, strict=True):
            c = path.at(t)
            a, g2 = c.a.item(), c.g2.item()
            gain = a * C @ np.linalg.inv(a**2 * C + g2 * np.eye(D))
            assert value.item() == pytest.approx(np.trace(C - gain @ C * a), rel=1e-8)
        assert (got.error == 0).all()
        torch.testing.assert_close(got.value, I.linear_mmse(world, times), **close)


@quick
@named(LINES)
def test_mmse_on_the_line_is_what_the_denoiser_leaves(name):
    law = LINES[name]
    for t in (0.2, 0.5, 0.8):
        c = paths.one_sided().at(t)
        a, g = c.a.item(), c.g.item()
        p, slope = on_the_grid(law, a, g)
        total = p.sum(0)
        denoised = (X * total + g**2 * slope) / np.maximum(a * total, 1e-300)
        m, var = law.mean().item(), law.cov().item()
        want = var - mean_of(total * (denoised - m) ** 2)
        got = I.mmse(World(paths.one_sided(), law), t)
        assert got.value.item() == pytest.approx(want, rel=1e-9, abs=1e-12)
        assert got.value.shape == () and got.error == 0


@pytest.mark.parametrize("name", ["mixture", "low ranks", "data", "flats"])
def test_mmse_in_space_is_the_error_of_the_denoiser(name):
    world, n = World(paths.vp(), LAWS[name]), 20_000
    for t in (0.1, 0.4):
        c, x0 = world.path.at(t), world.joint.sample(n, shapes.rng(1))
        x = c.a * x0 + c.g * normal(n, D, seed=2)
        miss = ((x0 - world.denoise(x, t)) ** 2).sum(-1)
        plain = miss.std() / math.sqrt(n)
        got = I.mmse(world, t, n, shapes.rng(3))
        agree(got, miss.mean(), plain)
        assert got.error < plain  # the posterior's trace has averaged x0 already


@quick
def test_two_points_at_distance_two():
    # x0 = +-1: mmse = 1 - E tanh(s + sqrt(s) z),  I = s - E log cosh(s + sqrt(s) z)
    law = laws.dataset(torch.tensor([[-1.0], [1.0]], dtype=torch.float64))
    world, z = World(paths.edm(5.0), law), X / 5
    weight = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    for t in (0.4, 1.0, 4.0):
        s = 1 / t**2
        u = s + np.sqrt(s) * z
        want = 1 - (weight * np.tanh(u)).sum()
        bits = s - (weight * (np.logaddexp(u, -u) - np.log(2))).sum()
        assert I.mmse(world, t).value.item() == pytest.approx(want, rel=1e-9)
        for f in (I.mutual_information, I.mmse_information, I.label_information):
            assert f(world, t).value.item() == pytest.approx(bits, rel=1e-10)


@named(LAWS)
def test_the_linear_guess_is_least_squares_and_no_better(name):
    law, t = LAWS[name], 0.3
    world, c = World(paths.vp(), law), paths.vp().at(t)
    C = law.cov()
    both = torch.cat([torch.cat([C, c.a * C]), torch.cat([c.a * C, c.a**2 * C])], 1)
    both[D:, D:] += c.g2 * torch.eye(D).double()
    schur = C - both[:D, D:] @ torch.linalg.solve(both[D:, D:], both[D:, :D])
    bound = I.linear_mmse(world, t)
    torch.testing.assert_close(bound, schur.trace(), rtol=1e-9, atol=1e-12)
    value, error = I.mmse(world, t, 2000, shapes.rng(0))
    assert value <= bound + 6 * error + 1e-12


def test_noise_free_and_signal_free_ends():
    straight = World(paths.one_sided(), M)
    at_noise = I.mmse(straight, 1.0, 4000, shapes.rng(0))
    torch.testing.assert_close(I.linear_mmse(straight, 1.0), M.cov().trace(), **close)
    # the prior's trace is the same for every draw
    torch.testing.assert_close(at_noise.value, M.cov().trace(), **close)
    for f in (I.mutual_information, I.mmse_information):
        assert abs(f(straight, 1.0, 10, shapes.rng(0)).value) < 1e-14
    tiny = World(paths.edm(5.0), POINTS)
    assert I.mmse(tiny, 1e-6).value == 0  # exp(-1e11) is no number
    torch.testing.assert_close(
        I.mutual_information(tiny, 1e-6).value,
        torch.tensor(3.0).double().log(),
        **close,
    )
    point = World(paths.edm(5.0), ROUGH["point"])
    for f in (I.mmse, I.mmse_information, I.mutual_information):
        assert f(point, 1.0).value == 0


# ----------------------------------------------------------------- information


@quick
@named(LINES)
def test_errors_add_up_to_the_information(name):
    # three roads: errors of denoisers, the chain rule, and a difference of entropies
    for path in (paths.vp(), paths.one_sided()):
        world = World(path, LINES[name])
        errors, chain = (
            f(world, TIMES) for f in (I.mmse_information, I.mutual_information)
        )
        torch.testing.assert_close(errors.value, chain.value, **close)
        for t, value in zip(TIMES, chain.value, strict=True):
            noise = entropy(laws.gaussian(torch.zeros(1).double(), path.at(t).g2))
            torch.testing.assert_close(entropy(world.law(t)) - noise, value, **close)


@quick
def test_errors_add_up_in_space():
    world, rng = World(paths.vp(), M), shapes.rng(0)
    errors = I.mmse_information(world, TIMES, 2000, rng)
    chain = I.mutual_information(world, TIMES, 20_000, rng)
    agree(errors, chain.value, chain.error)
    for t, value, error in zip(TIMES, *chain, strict=True):
        law = world.law(t)
        draws = -law.log_prob(law.sample(20_000, shapes.rng(1)))
        noise = D / 2 * (1 + math.log(2 * math.pi * world.path.at(t).g2))
        agree(I.Estimate(value, error), draws.mean() - noise, draws.std() / 141)


@quick
@named(PATHS)
def test_information_of_a_gaussian(name):
    path = PATHS[name]
    for law in (N, ROUGH["flat"]):
        world, times = World(path, law), TIMES * path.T
        c = path.at(times)
        both = (
            c.a[:, None, None] ** 2 * law.cov()
            + c.g2[:, None, None] * torch.eye(D).double()
        )
        want = (both.logdet() - D * c.g2.log()) / 2
        for got in (
            I.within_information(world, times),
            I.mutual_information(world, times).value,
            I.mmse_information(world, times).value,
        ):
            torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-10)


@given(st.floats(0.05, 0.95), st.floats(0.1, 3), st.floats(-4, 4))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_information_grows_by_half_the_error(t, width, mean):
    law = line([0.0, mean], [1.0, width], [0.5, 0.5])
    world, h = World(paths.edm(1.0), law), 1e-3
    s = [t**-2 * (1 + e) for e in (-h, 0, h)]
    low, _, high = (I.mutual_information(world, u**-0.5).value for u in s if u >= 1)
    slope = (high - low) / (s[2] - s[0])
    assert slope.item() == pytest.approx(I.mmse(world, t).value.item() / 2, rel=1e-5)


def test_labels_and_classes():
    world, t = World(paths.vp(), P), torch.tensor([0.2, 0.6], dtype=torch.float64)
    every = I.label_information(world, t).value
    some = torch.tensor([0, 1, 0])
    merged = I.label_information(world, t, classes=some).value
    none = I.label_information(world, t, classes=torch.tensor([2, 2, 2])).value
    assert (none.abs() < 1e-13).all() and (merged < every).all()
    for at, value in zip(t, merged, strict=True):
        law = world.law(at)
        parts = (law.select([0, 2]), law.select([1]))
        left = 0.8 * entropy(parts[0]) + 0.2 * entropy(parts[1])
        torch.testing.assert_close(value, entropy(law) - left, **close)
    clear = World(paths.edm(1.0), line([0.0, 90.0], [1.0, 1.0], [0.3, 0.7]))
    want = -(0.3 * math.log(0.3) + 0.7 * math.log(0.7))
    assert I.label_information(clear, 0.1).value.item() == pytest.approx(
        want, rel=1e-12
    )


def test_labels_in_space_by_plain_draws():
    world, t, n = World(paths.vp(), M), 0.4, 20_000
    law, k = (
        world.law(t),
        torch.multinomial(M.logw.exp(), 20_000, True, generator=shapes.rng(1)),
    )
    root = torch.linalg.cholesky(law.covs())[k]
    x = law.means[k] + (root @ normal(n, D, 1, seed=2)).squeeze(-1)
    own = torch.stack([law.select([j]).log_prob(x) for j in range(3)], -1)
    gain = own.gather(1, k[:, None])[:, 0] - law.log_prob(x)
    got = I.label_information(world, t, n, shapes.rng(3))
    agree(got, gain.mean(), gain.std() / math.sqrt(n))


@quick
@named({"three": P, "two": Q, "one": LINES["one"]})
def test_entropy_from_denoising_errors(name):
    law = LINES[name]
    for factor in (1.0, 1e-3, 1e3):  # the levels follow the law's scale
        scaled = law.scale(factor)
        got = I.denoising_entropy(scaled)
        torch.testing.assert_close(got.value, entropy(scaled), rtol=1e-10, atol=1e-10)


@quick
def test_entropy_from_denoising_errors_in_space():
    got = I.denoising_entropy(M, 2000, shapes.rng(0))
    draws = -M.log_prob(M.sample(20_000, shapes.rng(1)))
    agree(got, draws.mean(), draws.std() / 141)
    torch.testing.assert_close(I.denoising_entropy(N).value, entropy(N), **close)


@quick
@pytest.mark.parametrize("law", [P, M, N], ids=["line", "space", "gaussian"])
def test_log_density_from_denoising_errors(law):
    x = law.sample(6, shapes.rng(1)).reshape(2, 3, law.d)
    got = I.denoising_log_prob(law, x, 400, shapes.rng(2))
    want = law.log_prob(x)
    assert got.value.shape == (2, 3)
    assert (abs(got.value - want) <= 6 * got.error + 1e-10).all()
    assert (got.error < 0.15).all()  # so that six of them decide something


# ----------------------------------------------------------------- divergences


def test_fisher_divergence_on_the_line():
    for p, q in (
        (P, Q),
        (Q, P),
        (LINES["one"], Q),
        (LINES["one"], line([0.0], [2.0], [1.0])),
    ):
        ours, theirs = (on_the_grid(u, 1.0, 0.0) for u in (p, q))
        gap = [d / np.maximum(r.sum(0), 1e-300) for r, d in (ours, theirs)]
        seen = np.abs(X) < 25  # beyond it numpy's densities underflow
        want = mean_of(np.where(seen, ours[0].sum(0) * (gap[0] - gap[1]) ** 2, 0))
        got = I.fisher_divergence(p, q)
        assert got.value.item() == pytest.approx(want, rel=1e-8)
    assert I.fisher_divergence(P, P).value == 0


def test_fisher_divergence_of_gaussians_and_in_space():
    other = laws.gaussian(normal(D, seed=1), wishart(seed=2))
    got = I.fisher_divergence(N, other)
    x = N.sample(40_000, shapes.rng(0))
    square = ((N.score(x) - other.score(x)) ** 2).sum(-1)
    assert got.error == 0
    agree(I.Estimate(square.mean(), square.std() / 200), got.value)
    drawn = I.fisher_divergence(M, other, 1000, shapes.rng(1))
    x = M.sample(20_000, shapes.rng(2))
    square = ((M.score(x) - other.score(x)) ** 2).sum(-1)
    agree(drawn, square.mean(), square.std() / 141)


@quick
def test_a_sharp_switch_inside_the_other_law_is_seen():
    # q's score turns over within 1e-3 where p is at its densest
    p, q = LINES["one"], line([-30.0, 32.0], [0.2, 0.2], [0.5, 0.5])
    x = np.linspace(-20, 20, 4_000_001)
    m, s = 0.7, 1.3
    far = [-np.log(2) - (x - c) ** 2 / 0.08 for c in (-30.0, 32.0)]
    r = 1 / (1 + np.exp(np.clip(far[1] - far[0], -700, 700)))
    theirs = (-30 * r + 32 * (1 - r) - x) / 0.04
    weight = np.exp(-((x - m) ** 2) / (2 * s * s)) / np.sqrt(2 * np.pi) / s
    want = (weight * ((m - x) / s**2 - theirs) ** 2).sum() * (x[1] - x[0])
    assert I.fisher_divergence(p, q).value.item() == pytest.approx(want, rel=1e-9)


@quick
@named(PATHS)
def test_budget_of_gaussians_is_closed(name):
    other = laws.gaussian(normal(D, seed=1), wishart(seed=2))
    p, q = (World(PATHS[name], law) for law in (N, other))
    times = torch.tensor([0.0, 0.1, 0.5, 1.0], dtype=torch.float64) * p.path.T
    left = []
    for t in times:
        ours, theirs = (
            MultivariateNormal(u.law(t).mean(), u.law(t).cov()) for u in (p, q)
        )
        left.append(kl_divergence(ours, theirs))
    got = I.kl_budget(p, q, times)
    want = -torch.stack(left).diff()
    torch.testing.assert_close(got.value, want, rtol=1e-9, atol=1e-9)
    assert (got.error == 0).all() and (got.value > 0).all()


@quick
def test_budget_on_the_line():
    for path in (paths.edm(5.0), paths.one_sided()):
        for ours, theirs in ((P, Q), (LINES["one"], Q)):
            p, q = World(path, ours), World(path, theirs)
            times = torch.tensor([0.0, 0.02, 0.3, 1.0], dtype=torch.float64)
            left = [kl(p.law(t), q.law(t)) for t in times]
            got = I.kl_budget(p, q, times).value
            np.testing.assert_allclose(got, -np.diff(left), rtol=1e-9, atol=1e-11)


@quick
def test_budget_of_data_sets_lasts_from_the_first_noise_on():
    other = laws.dataset(torch.tensor([[-1.2], [1.0]], dtype=torch.float64))
    p, q = World(paths.edm(2.0), POINTS), World(paths.edm(2.0), other)
    times = torch.tensor([0.4, 0.9, 2.0], dtype=torch.float64)
    want = -np.diff([kl(p.law(t), q.law(t)) for t in times])
    np.testing.assert_allclose(I.kl_budget(p, q, times).value, want, rtol=1e-9)


@quick
def test_budget_in_space():
    p, q = World(paths.vp(), M), World(paths.vp(), SMOOTH["shared"])
    times = torch.tensor([0.05, 0.3, 1.0], dtype=torch.float64)
    got = I.kl_budget(p, q, times, 2000, shapes.rng(0))
    for i, (s, t) in enumerate(zip(times, times[1:], strict=False)):
        gain = []
        for u in (s, t):
            x = p.law(u).sample(20_000, shapes.rng(i))
            gain.append(p.law(u).log_prob(x) - q.law(u).log_prob(x))
        drop = gain[0].mean() - gain[1].mean()
        error = (gain[0].var() + gain[1].var()).sqrt() / 141
        agree(I.Estimate(got.value[i], got.error[i]), drop, error)


def test_rate_of_two_worlds_is_a_slope():
    pairs = [(paths.vp(), paths.vp()), (paths.edm(1.0), paths.one_sided())]
    for first, second in pairs:
        p, q, t, h = World(first, P), World(second, Q), 0.3, 1e-4
        ends = [kl(p.law(u), q.law(u)) for u in (t - h, t + h)]
        slope = (ends[1] - ends[0]) / (2 * h)
        assert I.kl_rate(p, q, t).value.item() == pytest.approx(slope, rel=1e-6)
    # two worlds that differ by rounding only have no rate
    near = World(paths.vp(), P.push(1.0, 1e-9))
    assert abs(I.kl_rate(World(paths.vp(), P), near, 0.3).value) < 1e-15


@quick
@named(PATHS)
def test_rate_along_one_path_is_half_the_fisher_divergence(name):
    path, t = PATHS[name], 0.4 * PATHS[name].T
    c, h = path.at(t), 1e-5 * PATHS[name].T
    slope = (path.nsr(t + h) ** 2 - path.nsr(t - h) ** 2) / (2 * h)
    p, q = World(path, P), World(path, Q)
    fisher = I.fisher_divergence(p.law(t), q.law(t)).value
    want = -(c.a**2) * slope * fisher / 2
    torch.testing.assert_close(I.kl_rate(p, q, t).value, want, rtol=1e-7, atol=1e-12)


def test_rate_in_space():
    other = laws.gaussian(normal(D, seed=1), wishart(seed=2))
    p, q, t, h = World(paths.vp(), N), World(paths.vp(), other), 0.3, 1e-4
    ends = []
    for u in (t - h, t + h):
        ours, theirs = (
            MultivariateNormal(w.law(u).mean(), w.law(u).cov()) for w in (p, q)
        )
        ends.append(kl_divergence(ours, theirs))
    agree(I.kl_rate(p, q, t, 20_000, shapes.rng(0)), (ends[1] - ends[0]) / (2 * h))


@quick
def test_a_drift_error_costs_at_most_its_square_over_four_eps():
    # dX = dW from N(0, v0), against the drift 1: N(1, v0 + 1) at the end
    v0, eps = 0.1, 0.5
    start = laws.gaussian(torch.zeros(1).double(), v0)
    world = World(BROWNIAN, start)
    got = I.drift_bound(world, lambda x, t: torch.ones_like(x), eps)
    true = 1 / (2 * (v0 + 1))
    assert got.value.item() == pytest.approx(0.5, rel=1e-12)
    assert true == pytest.approx(0.4545, abs=1e-4) and got.value >= true
    # against the drift c x: variances v' = 2 c v + 1
    for c in (-1.0, -0.2, 0.2, 1.0):
        end = (v0 + 1 / (2 * c)) * math.exp(2 * c) - 1 / (2 * c)
        true = ((v0 + 1) / end - 1 - math.log((v0 + 1) / end)) / 2
        got = I.drift_bound(world, lambda x, t, c=c: c * x, eps)
        assert got.value.item() == pytest.approx(c**2 * (v0 + 0.5) / 2, rel=1e-12)
        assert true <= got.value


@quick
def test_a_drift_error_in_space_and_in_time():
    world, eps = World(paths.edm(2.0), M), 0.3
    got = I.drift_bound(world, lambda x, t: t * x, eps, 2000, shapes.rng(0), nodes=8)
    # int_0^2 t^2 (|m|^2 + tr C + d t^2) dt
    second = M.mean() @ M.mean() + M.cov().trace()
    agree(got, (second * 8 / 3 + D * 32 / 5) / (4 * eps))


# --------------------------------------------------------- ways of asking for it


@quick
def test_chunks_change_nothing(monkeypatch):
    world, x = World(paths.vp(), M), normal(1, D)
    other = World(paths.vp(), SMOOTH["shared"])

    def everything():
        rng = shapes.rng(0)
        return torch.stack(
            [
                I.mmse(world, 0.3, 9, rng).value,
                I.mutual_information(world, 0.3, 9, rng).value,
                I.fisher_divergence(M, other.joint, 9, rng).value,
                *I.denoising_log_prob(M, x, 5, rng).value,
                *I.kl_budget(world, other, TIMES[[1, 0]], 9, rng).value,
            ]
        )

    whole, on_the_line = everything(), I.mmse(LINE, TIMES).value
    monkeypatch.setattr(I, "CHUNK", 80)  # a few points at a time
    torch.testing.assert_close(everything(), whole, **close)
    monkeypatch.setattr(I, "CHUNK", 1000)
    torch.testing.assert_close(I.mmse(LINE, TIMES).value, on_the_line, **close)


def test_many_dimensions_and_extreme_noise():
    d = 4096
    wide = laws.mixture(normal(2, d), 0.5)
    between = ((wide.means[0] - wide.means[1]) ** 2).sum() / 4
    for t, share in ((1e-6, 0.0), (1e4, 1.0)):  # the label is known, or nothing is
        world = World(paths.edm(1e4), wide)
        value, _ = I.mmse(world, t, 2, shapes.rng(0))
        want = d * 0.5 / (1 + 0.5 / t**2) + share * between
        torch.testing.assert_close(value, want, rtol=1e-3, atol=0)  # s d is 4e-5
        told = I.label_information(world, t, 2, shapes.rng(0)).value
        assert told.item() == pytest.approx((1 - share) * math.log(2), abs=1e-4)


def test_a_data_set_of_many_points():
    law = laws.dataset(normal(500, 32))
    got = I.mmse(World(paths.edm(5.0), law), TIMES, 200, shapes.rng(0))
    assert got.value.shape == (4,) and (got.value[1] < 1e-3 < got.value[0])
    known = I.label_information(World(paths.edm(5.0), law), 0.01, 50, shapes.rng(0))
    torch.testing.assert_close(known.value, torch.tensor(500.0).double().log(), **close)


@quick
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_follows_the_law(dtype):
    scale = 3e-5 if dtype == torch.float32 else 1e-11
    for law in (P, M):
        coarse = laws.mixture(law.means.to(dtype), law.covs().to(dtype), law.logw.exp())
        worlds = [World(paths.vp(), u) for u in (coarse, law)]
        for f in (I.mmse, I.mutual_information, I.mmse_information):
            got = f(worlds[0], 0.3, 100, shapes.rng(0))
            assert got.value.dtype == got.error.dtype == dtype
            if law is P:
                want = f(worlds[1], 0.3).value
                assert abs(got.value.double() - want) <= scale * (1 + want)


@cuda
def test_device_follows_the_law():
    there = World(
        paths.vp(), laws.mixture(P.means.cuda(), P.covs().cuda(), P.logw.exp().cuda())
    )
    here = World(paths.vp(), P)
    for f in (I.mmse, I.mutual_information, I.mmse_information, I.linear_mmse):
        got, want = (torch.stack([*f(w, TIMES)]) for w in (there, here))
        torch.testing.assert_close(got.cpu(), want, **close)
    space = World(paths.vp(), laws.mixture(M.means.cuda(), M.covs().cuda()))
    assert I.mmse(space, 0.3, 10, shapes.rng(0, "cuda")).value.device.type == "cuda"


V, S = ValueError, laws.SingularLaw
VP, LINE = World(paths.vp(), M), World(paths.vp(), P)
FLAT = World(paths.vp(), ROUGH["flat"])
zero, rng = torch.tensor([0.0, 0.5], dtype=torch.float64), shapes.rng(0)
WRONG = {
    "no draws": (V, "3 components in 3 dim.*give n >= 2", lambda: I.mmse(VP, 0.3)),
    "one draw": (V, "n is 1", lambda: I.label_information(VP, 0.3, 1, rng)),
    "no generator": (V, "and a generator", lambda: I.mutual_information(VP, 0.3, 9)),
    "classes missing": (
        V,
        r"classes has shape \(2,\)",
        lambda: I.label_information(LINE, 0.3, classes=torch.tensor([0, 1])),
    ),
    "classes negative": (
        V,
        "one integer >= 0",
        lambda: I.label_information(LINE, 0.3, classes=torch.tensor([0, 1, -1])),
    ),
    "classes floats": (
        V,
        "type torch.float64",
        lambda: I.label_information(LINE, 0.3, classes=zero[[0, 0, 0]]),
    ),
    "entropy of points": (S, "no density", lambda: I.denoising_entropy(POINTS)),
    "density of points": (
        S,
        "no density",
        lambda: I.denoising_log_prob(POINTS, normal(2, 1), 9, rng),
    ),
    "density elsewhere": (
        V,
        r"must be \(\.\.\., 1\)",
        lambda: I.denoising_log_prob(P, normal(2, 2), 9, rng),
    ),
    "entropy of a batch": (
        V,
        "have no batch",
        lambda: I.denoising_entropy(P.scale(normal(2))),
    ),
    "fisher dimensions": (V, "agree in dimension", lambda: I.fisher_divergence(P, M)),
    "fisher flat": (S, "no density", lambda: I.fisher_divergence(N, ROUGH["flat"])),
    "fisher draws": (V, "give n >= 2", lambda: I.fisher_divergence(M, N)),
    "budget dimensions": (V, "agree in", lambda: I.kl_budget(VP, LINE, zero)),
    "budget paths": (
        V,
        "different paths",
        lambda: I.kl_budget(VP, World(paths.trig(), M), zero),
    ),
    "budget backwards": (
        V,
        "along which the noise grows",
        lambda: I.kl_budget(VP, VP, zero.flip(0)),
    ),
    "budget of one time": (V, "two or more", lambda: I.kl_budget(VP, VP, zero[:1])),
    "budget from points": (V, "take t > 0", lambda: I.kl_budget(FLAT, FLAT, zero)),
    "rate at points": (S, "no density", lambda: I.kl_rate(FLAT, FLAT, 0.0)),
    "rate draws": (V, "give n >= 2", lambda: I.kl_rate(VP, VP, 0.3)),
    "drift without noise": (
        V,
        "eps is 0",
        lambda: I.drift_bound(LINE, lambda x, t: x, 0.0),
    ),
    "drift without nodes": (
        V,
        "nodes 0",
        lambda: I.drift_bound(LINE, lambda x, t: x, 1.0, nodes=0),
    ),
    "no times": (V, "t is empty", lambda: I.mmse(LINE, zero[:0])),
    "budget of no interval": (
        V,
        "along which the noise grows",
        lambda: I.kl_budget(LINE, LINE, zero[[1, 1]]),
    ),
    "two ends": (
        V,
        "second end",
        lambda: I.mmse(World(TWO_ENDS, M.pair(M)), 0.3),
    ),
    "time beyond the path": (V, "lives on", lambda: I.mmse(LINE, 2.0)),
}
for f in (
    I.linear_mmse,
    I.mmse,
    I.mmse_information,
    I.within_information,
    I.label_information,
    I.mutual_information,
):
    WRONG[f"{f.__name__} at zero"] = (V, "t > 0", lambda f=f: f(LINE, zero))


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
