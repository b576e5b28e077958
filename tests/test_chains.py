"""chains: closed forms against dense matrix roots, exact worlds and numerical flows;
sweeps through tables against runs of them, forward block matrices and autograd.

Tolerances: 1e-10 relative for closed forms in float64; 1e-12 where a run is a few
dozen operations without cancellation.
"""

import functools
import math

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.optimize
import torch
from examples import (
    LAWS,
    PATHS,
    TWO_ENDS,
    D,
    cuda,
    named,
    normal,
    refuses,
    rotation,
    uniform,
    wishart,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from diffkit import chains, fields, laws, paths, shapes, solvers, tables, worlds


def modes(*variances):
    """Variances in float64."""
    return torch.tensor(variances, dtype=torch.float64)


close = {"rtol": 1e-10, "atol": 1e-10}
tight = {"rtol": 1e-12, "atol": 1e-12}
U2 = rotation(3)[:, :2].unsqueeze(0)
GAUSSIANS = {name: LAWS[name] for name in ("gaussian", "repeated", "flat", "point")} | {
    "low rank": laws.Mixture(
        torch.zeros(1).double(),
        normal(1, D),
        laws.Spectral(U2, torch.tensor([[2.0, 0.5]]).double(), modes(0.3)),
    ),
    "span": laws.Mixture(
        torch.zeros(1).double(),
        normal(1, D),
        laws.Spectral(U2, torch.tensor([[2.0, 0.0]]).double(), torch.zeros(1).double()),
    ),
}
LAM = modes(0.0, 1e-3, 1.0, 9.0)


@named(PATHS)
@pytest.mark.parametrize("law", list(GAUSSIANS))
def test_carry_is_the_product_of_dense_roots(name, law):
    # C_s^1/2 C_t^-1/2, all C_t = a^2 C + g^2 I having common eigenvectors
    path, law, x = PATHS[name], GAUSSIANS[law], normal(5, D)
    t, s = path.T, 0.3 * path.T
    roots = []
    for c in (path.at(t), path.at(s)):
        dense = c.a**2 * law.covs()[0] + c.g2 * torch.eye(D).double()
        roots.append(torch.tensor(scipy.linalg.sqrtm(dense.numpy()).real))
    off = x - path.at(t).a * law.means[0]
    want = (
        path.at(s).a * law.means[0] + off @ (roots[1] @ torch.linalg.inv(roots[0])).mT
    )
    torch.testing.assert_close(chains.carry(law, path, x, t, s), want, **close)


@named(PATHS)
def test_carry_is_where_the_velocity_leads(name):
    path, law, x = PATHS[name], GAUSSIANS["span"], normal(5, D)
    world = worlds.World(path, law)
    ts = tables.by_nsr(path, 3.0, 0.3, 30)
    want = solvers.solve(tables.rk4(ts), world.velocity, x)
    # rk4 with 30 steps of 8 % in the ratio: errors below 2e-5
    got = chains.carry(law, path, x, ts[0], ts[-1])
    torch.testing.assert_close(got, want, rtol=0, atol=1e-4)


@pytest.mark.parametrize("law", list(GAUSSIANS))
def test_carry_composes_and_goes_back(law):
    path, law, x = PATHS["vp"], GAUSSIANS[law], normal(5, D)
    half = chains.carry(law, path, x, 0.9, 0.5)
    want = chains.carry(law, path, x, 0.9, 0.2)
    torch.testing.assert_close(chains.carry(law, path, half, 0.5, 0.2), want, **close)
    torch.testing.assert_close(chains.carry(law, path, half, 0.5, 0.9), x, **close)


@named(PATHS)
@pytest.mark.parametrize("law", list(GAUSSIANS))
def test_endpoint_is_the_denoiser_on_the_carried_point(name, law):
    path, law, x = PATHS[name], GAUSSIANS[law], normal(5, D)
    world, t = worlds.World(path, law), path.T
    for s in (t, 0.6 * t, 0.1 * t):
        want = world.denoise(chains.carry(law, path, x, t, s), s)
        got = chains.endpoint(law, path, x, t, s)
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("law", list(GAUSSIANS))
def test_at_the_data_the_endpoint_is_the_point_itself(law):
    path, law, x = PATHS["edm"], GAUSSIANS[law], normal(5, D)
    got = chains.endpoint(law, path, x, 3.0, 0.0)
    torch.testing.assert_close(got, chains.carry(law, path, x, 3.0, 0.0), **close)


@pytest.mark.parametrize("shape", [(D,), (5,), (2,), (D, D), (2, 1)], ids=str)
@pytest.mark.parametrize("law", ["gaussian", "low rank", "span"])
def test_one_time_per_point_is_the_points_one_by_one(law, shape):
    path, law = PATHS["trig"], GAUSSIANS[law]
    x, t, s = normal(*shape, D), 0.3 + 0.6 * uniform(*shape), uniform(*shape, seed=1)
    for what in (chains.carry, chains.endpoint):
        for late, early in ((t, s), (t, 0.2), (0.9, s)):
            got = what(law, path, x, late, early)
            late, early = (
                torch.as_tensor(u, dtype=torch.float64).expand(shape)
                for u in (late, early)
            )
            flat = zip(
                x.reshape(-1, D), late.reshape(-1), early.reshape(-1), strict=True
            )
            want = torch.stack([what(law, path, *one) for one in flat])
            torch.testing.assert_close(got, want.reshape(x.shape), **close)


@named(PATHS)
def test_spread_is_the_deviation_of_the_law(name):
    path, eye = PATHS[name], torch.eye(4, dtype=torch.float64)
    world = worlds.World(path, laws.gaussian(torch.zeros(4).double(), eye * LAM))
    t = path.T * modes(0.1, 0.5, 1.0)
    var = world.law(t).cov().diagonal(dim1=-2, dim2=-1)
    got = chains.spread(path, LAM, t.unsqueeze(1))
    torch.testing.assert_close(got**2, var, **close)


@named(PATHS)
def test_flow_factor_grows_at_the_rate_of_the_mode(name):
    # d log psi / ds = (a da lam + g dg) / (a^2 lam + g^2), by autograd
    path = PATHS[name]
    s = torch.tensor(0.4 * path.T, dtype=torch.float64, requires_grad=True)
    psi = chains.flow_factor(path, LAM, path.T, s)
    c = path.at(s.detach())
    for lam, value in zip(LAM, psi, strict=True):
        (rate,) = torch.autograd.grad(value.log(), s, retain_graph=True)
        want = (c.a * c.da * lam + c.gdg) / (c.a**2 * lam + c.g2)
        torch.testing.assert_close(rate, want, **close)
    same = chains.flow_factor(path, LAM, s, s)
    torch.testing.assert_close(same.detach(), torch.ones(4).double(), **close)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.floats(1e-6, 1e6), st.floats(0.0, 1.0))
def test_angle_splits_the_variance_into_signal_and_noise(lam, t):
    path, lam = PATHS["trig"], torch.tensor([lam], dtype=torch.float64)
    theta, psi, c = chains.angle(path, lam, t), chains.spread(path, lam, t), path.at(t)
    torch.testing.assert_close(psi * theta.cos(), c.a * lam.sqrt(), **close)
    torch.testing.assert_close(psi * theta.sin(), c.g.expand(1), **close)


def test_angle_of_white_data_is_the_clock_and_of_no_data_a_quarter_turn():
    path, t = PATHS["trig"], modes(0.0, 0.25, 0.5)
    for lam, want in ((1.0, t * math.pi / 2), (0.0, torch.full_like(t, math.pi / 2))):
        lam = torch.full_like(t, lam)
        torch.testing.assert_close(chains.angle(path, lam, t), want, **close)


def test_modes_without_variance_are_no_exception():
    path = PATHS["edm"]
    got = chains.endpoint_factor(path, LAM, 3.0, 0.0)
    assert got[0] == 0 and torch.isfinite(got).all()
    got = chains.flow_factor(path, LAM, 3.0, 0.5)
    assert got[0] == pytest.approx(0.5 / 3, rel=1e-15)


def test_extreme_ratios_stay_finite():
    path = paths.edm(1e4)
    for s in (0.0, 1e-6, 1e4):
        for what in (chains.flow_factor, chains.endpoint_factor):
            assert torch.isfinite(what(path, LAM, 1e4, s)).all()


# ------------------------------------------------- tables of every kind, by hand


def built(eats, ts, rows, lands=None):
    """A table from rows {"a": {age: weight}, "b": {age: weight}, "s": noise}."""
    A, B = ts.new_zeros(len(rows), 4), ts.new_zeros(len(rows), 4)
    S = ts.new_tensor([row.get("s", 0.0) for row in rows])
    for n, row in enumerate(rows):
        for weights, name in ((A, "a"), (B, "b")):
            for age, w in row.get(name, {}).items():
                weights[n, age] = w
    return tables.Table(eats, ts, A, B, S, lands)


def adams(path, ts):
    """Adams-Bashforth of order 2 on any grid, begun by Euler."""
    h, rows = ts.diff(), [{"a": {0: 1}, "b": {0: ts[1] - ts[0]}}]
    for n in range(1, len(h)):
        r = h[n] / h[n - 1] / 2
        rows.append({"a": {0: 1}, "b": {0: h[n] * (1 + r), 1: -h[n] * r}})
    return built("velocity", ts, rows)


def one_step(eats, a, b):
    """A table without memory from the weights of x and F, functions of two Coefs."""

    def make(path, ts):
        c = path.at(ts)
        t, s = (paths.Coef(*(u[i] for u in c)) for i in (slice(0, -1), slice(1, None)))
        A, B = a(t, s).unsqueeze(1), b(t, s).unsqueeze(1)
        return tables.Table(eats, ts, A, B, torch.zeros_like(A[:, 0]))

    return make


# DDIM's a_s D + g_s N with D and N from x and the noise, or from x and v
by_noise = one_step("noise", lambda t, s: s.a / t.a, lambda t, s: s.g - s.a * t.g / t.a)
by_v = one_step(
    "v",
    lambda t, s: (s.a * t.a + s.g * t.g) / (t.a**2 + t.g2),
    lambda t, s: (s.g * t.a - s.a * t.g) / (t.a**2 + t.g2),
)
frozen_score = one_step(
    "score",
    lambda t, s: s.a / t.a,
    lambda t, s: -s.a * t.a / 2 * (s.g2 / s.a**2 - t.g2 / t.a**2),
)


def two_step(path, ts):
    """DPM-Solver++(2M): the denoiser extrapolated in log-SNR, begun by DDIM."""
    c, h, rows = path.at(ts), -path.nsr(ts).log().diff(), []
    for n in range(len(h)):
        k = c.g[n + 1] / c.g[n]
        w, r = c.a[n + 1] - c.a[n] * k, h[n] / h[n - 1] / 2 if n else 0.0
        rows.append({"a": {0: k}, "b": {0: w * (1 + r)} | ({1: -w * r} if n else {})})
    return built("denoise", ts, rows)


def corrected(path, ts, s=0.0):
    """A predicted state is asked; the state made again from it and the one before.

    States x_0, p_1, x_1, p_2, x_2, ...: p is DDIM's with the guess at the p before,
    x has the mean of two guesses, and noise of deviation s besides.
    """
    c, rows = path.at(ts), []
    for n in range(len(ts) - 1):
        k = c.g[n + 1] / c.g[n]
        w, old = c.a[n + 1] - c.a[n] * k, 1 if n else 0
        rows.append({"a": {0: k}, "b": {old: w}})
        rows.append({"a": {1: k}, "b": {0: w / 2, old + 1: w / 2}, "s": s})
    lands = torch.tensor([True] + [False, True] * (len(ts) - 1))
    return built("denoise", ts.repeat_interleave(2)[1:], rows, lands)


def churned(path, ts):
    """EDM's churn: up to 1.1 t with fresh noise and no question, then Euler down."""
    times, rows = [ts[0]], []
    for t, s in zip(ts[:-1] * 0.9, ts[1:] * 0.9, strict=True):
        up = 1.1 * times[-1] if times else t
        up = torch.minimum(up, ts.new_tensor(path.T))
        extra = (path.at(up).g2 - path.at(times[-1]).g2).sqrt()
        rows.append({"a": {0: 1}, "s": extra})
        rows.append({"a": {0: 1}, "b": {0: s - up}})
        times += [up, s]
    return built("velocity", torch.stack(times), rows)


def noisy_heun(path, ts):
    """Heun whose second stage refers to the first, so that both share the noise."""
    times, rows = [ts[0]], []
    for t, s in zip(ts[:-1], ts[1:], strict=True):
        h = s - t
        rows.append({"a": {0: 1}, "b": {0: h}, "s": 0.3 * h.abs().sqrt()})
        rows.append({"a": {0: 1}, "b": {0: h / 2, 1: -h / 2}})
        times += [s, s]
    lands = torch.tensor([True] + [False, True] * (len(ts) - 1))
    return built("velocity", torch.stack(times), rows, lands)


CALM = {
    "ddim": tables.ddim,
    "euler": lambda path, ts: tables.euler(ts),
    "heun": lambda path, ts: tables.heun(ts),
    "rk4": lambda path, ts: tables.rk4(ts),
    "adams": adams,
    "noise": by_noise,
    "v": by_v,
    "score": frozen_score,
    "2M": two_step,
    "corrected": corrected,
    "unipc": lambda path, ts: tables.unipc(path, ts, 2),
    "deis": lambda path, ts: tables.deis(path, ts, 3),
    "dpm_solver": lambda path, ts: tables.dpm_solver(path, ts, 2),
}
RANDOM = {
    "eta": lambda path, ts: tables.ddim(path, ts, 0.5),
    "ancestral": lambda path, ts: tables.ddim(path, ts, 1.0),
    "corrected, noisy": lambda path, ts: corrected(path, ts, 0.2),
    "churn": churned,
    "noisy heun": noisy_heun,
    "edm": lambda path, ts: tables.edm(path, ts, churn=0.5),
    "exponential sde": lambda path, ts: tables.exponential_sde(path, ts, 2),
    "stochastic heun": lambda path, ts: tables.stochastic_heun(path, ts),
}
ZOO = CALM | RANDOM
TARGETS = ("velocity", "denoise", "noise", "score", "v")


def grid(path, n=6):
    """Unequal steps between nsr 3 and 0.1."""
    turns = torch.linspace(0, 1, n + 1, dtype=torch.float64) ** 1.3
    return path.when(3.0 * (0.1 / 3.0) ** turns)


def exact(path, law, target):
    """The field of a law by its world, whatever the target."""
    world = worlds.World(path, law)
    return fields.convert(world.denoise, path, "denoise", target)


def dense(path, law, target, t):
    """(K, k) of F = K x + k for one Gaussian, by a dense inverse."""
    c, eye = path.at(t), torch.eye(law.d, dtype=torch.float64)
    C, m = law.covs()[0], law.means[0]
    inverse = torch.linalg.inv(c.a**2 * C + c.g2 * eye)
    D, N = c.a * C @ inverse, c.g * inverse
    score = -inverse
    velocity = (c.a * c.da * C + c.gdg * eye) @ inverse
    K = dict(zip(TARGETS, (velocity, D, N, score, c.a * N - c.g * D), strict=True))
    at_mean = {"velocity": c.da * m, "denoise": m, "v": -c.g * m}
    K = K[target]
    return K, at_mean.get(target, 0 * m) - K @ (c.a * m)


def forward(table, affine, d):
    """Every state as a matrix (d, d + 1 + M d) on (x_0, 1, z_0, ..., z_{M-1})."""
    eye, M = torch.eye(d, dtype=torch.float64), len(table)
    X = [torch.zeros(d, d + 1 + M * d, dtype=torch.float64)]
    X[0][:, :d], F = eye, []
    for n in range(M):
        K, k = affine(table.ts[n])
        F.append(K @ X[n])
        F[n][:, d] += k
        new = torch.zeros_like(X[0])
        for i, w in enumerate(table.A[n].tolist()):
            new = new + w * X[n - i] if w else new
        for j, w in enumerate(table.B[n].tolist()):
            new = new + w * F[n - j] if w else new
        new[:, d + 1 + n * d : d + 1 + (n + 1) * d] += table.S[n] * eye
        X.append(new)
    return X


# ----------------------------------------------------------------------- gain


@pytest.mark.parametrize("kind", list(CALM))
@named(["vp", "edm", "straight"])
def test_gain_is_what_solve_does_to_a_mode(name, kind):
    path = PATHS[name]
    table = CALM[kind](path, grid(path, 3))
    law = laws.gaussian(torch.zeros(4).double(), torch.diag(LAM))
    end = solvers.solve(table, exact(path, law, table.eats), torch.ones(4).double())
    torch.testing.assert_close(chains.gain(table, path, LAM), end, **close)


@pytest.mark.parametrize("target", TARGETS)
@named(PATHS)
def test_rates_are_those_of_the_world(name, target):
    path, t = PATHS[name], PATHS[name].T * modes(0.05, 0.5, 0.9)
    law = laws.gaussian(torch.zeros(4).double(), torch.diag(LAM))
    want = torch.stack([exact(path, law, target)(torch.ones(4).double(), u) for u in t])
    got = chains.rate(path, LAM, t.unsqueeze(1), target)
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


def test_the_guess_of_a_mode_without_variance_is_its_mean_even_at_the_data():
    path = PATHS["edm"]
    assert chains.rate(path, LAM, 0.0, "denoise").tolist() == [0.0, 1.0, 1.0, 1.0]
    ts, w = modes(0.0, 0.5, 1.0), torch.ones(2, 1).double()
    ends = [
        chains.gain(tables.Table("denoise", u, w, w, 0 * w[:, 0]), path, LAM[:1])
        for u in (ts, ts + modes(1e-9, 0.0, 0.0))
    ]
    assert ends[0] == ends[1]


def test_gain_of_a_table_that_asks_nothing_is_the_product_of_its_weights():
    ts, w = tables.uniform(1.0, 0.0, 2), torch.tensor([[0.5], [3.0]]).double()
    table = tables.Table("score", ts, w, 0 * w, 0 * w[:, 0])
    assert chains.gain(table, PATHS["vp"], LAM).tolist() == [1.5] * 4
    assert chains.response(table, PATHS["vp"], LAM).abs().max() == 0


@named(["ddim", "heun", "2M", "corrected"])
def test_gain_has_the_derivatives_that_differences_show(name):
    path, lam = PATHS["trig"], LAM[1:].clone().requires_grad_()
    ts = grid(path, 4).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda u, v: chains.gain(ZOO[name](path, u), path, v), (ts, lam)
    )


@named(PATHS)
def test_one_sampler_in_three_targets_has_one_gain(name):
    path = PATHS[name]
    want = chains.gain(tables.ddim(path, grid(path)), path, LAM)
    for make in (by_noise, by_v):
        got = chains.gain(make(path, grid(path)), path, LAM)
        torch.testing.assert_close(got, want, **tight)


# ------------------------------------------------------------- the angle calculus


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(list(PATHS)),
    st.floats(-6, 6).map(lambda u: 10.0**u),
    st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=12, unique=True),
    st.booleans(),
)
def test_ddim_loses_the_product_of_cosines_on_any_grid(name, lam, ts, ends):
    path, lam = PATHS[name], torch.tensor([lam], dtype=torch.float64)
    ts = sorted(ts, reverse=True) + [0.0] * (ends or len(ts) == 1)
    ts = path.T * torch.tensor(ts, dtype=torch.float64)
    theta = chains.angle(path, lam, ts)
    flow = chains.flow_factor(path, lam, ts[0], ts[-1])
    kept = chains.gain(tables.ddim(path, ts), path, lam) / flow
    # angles near pi/2 have an absolute error, and so has the product of their cosines
    want = theta.diff().cos().prod(0, keepdim=True)
    torch.testing.assert_close(kept, want, rtol=0, atol=1e-12)
    got = chains.cosines(path, lam, ts)
    torch.testing.assert_close(got, kept, rtol=1e-12, atol=0)


@named(PATHS)
def test_ddim_loses_cosines_upwards_too_and_neither_none_nor_sines(name):
    path, down, lam = PATHS[name], grid(PATHS[name]), LAM[1:]
    for ts in (down, down.flip(0)):
        flow = chains.flow_factor(path, lam, ts[0], ts[-1])
        kept = chains.gain(tables.ddim(path, ts), path, lam) / flow
        # nsr changes by 30, so the two terms of a step cancel one digit and a half
        torch.testing.assert_close(kept, chains.cosines(path, lam, ts), **tight)
        turns = torch.stack([chains.angle(path, lam, t) for t in ts]).diff(dim=0)
        assert ((kept - 1).abs() > 1e-3).all()
        assert ((kept - turns.sin().prod(0)).abs() > 1e-3).all()


def test_without_variance_ddim_is_exact():
    path, zero = PATHS["edm"], torch.zeros(1).double()
    down = modes(5.0, 1.0, 0.2)
    for ts in (down, tables.to_data(down)):
        assert chains.cosines(path, zero, ts) == 1
        want = chains.flow_factor(path, zero, ts[0], ts[-1])
        got = chains.gain(tables.ddim(path, ts), path, zero)
        torch.testing.assert_close(got, want, **tight)


@named(PATHS)
def test_a_frozen_score_adds_the_product_of_hyperbolic_cosines(name):
    path, down = PATHS[name], grid(PATHS[name])
    cases = (down, LAM), (tables.to_data(down), LAM[1:]), (down.flip(0), LAM)
    for ts, lam in cases:
        flow = chains.flow_factor(path, lam, ts[0], ts[-1])
        got = chains.gain(frozen_score(path, ts), path, lam)
        want = flow * chains.coshes(path, lam, ts)
        # upwards the terms of a step are up to nsr_s^2 / nsr_t^2 ~ 10 times the sum
        torch.testing.assert_close(got, want, rtol=1e-11, atol=0)
        eta = (path.nsr(ts).unsqueeze(1) ** 2 + lam).log() / 2
        law = flow * eta.diff(dim=0).cosh().prod(0)
        torch.testing.assert_close(want, law, rtol=1e-12, atol=0)


def test_the_last_step_of_a_frozen_score_errs_without_bound_and_ddims_does_not():
    path, lam = PATHS["edm"], modes(1e-4)
    ts = modes(1.0, 0.0)
    large = 1 / (2 * lam.sqrt())  # psi / (2 sqrt lam), to order lam
    torch.testing.assert_close(chains.coshes(path, lam, ts), large, rtol=2e-4, atol=0)
    assert 0.5 < chains.gain(frozen_score(path, ts), path, lam) < 0.501
    assert chains.gain(tables.ddim(path, ts), path, lam) <= lam.sqrt() ** 2


@named(PATHS)
def test_equal_angles_lose_least(name):
    path, n, lam = PATHS[name], 5, modes(0.4)
    ts = tables.by_angle(path, 0.4, 4.0, 0.0, n)
    best = chains.best_cosines(path, lam, ts[0].item(), 0.0, n)
    torch.testing.assert_close(chains.cosines(path, lam, ts), best, **tight)
    sure = chains.gain(tables.ddim(path, ts), path, lam)
    flow = chains.flow_factor(path, lam, ts[0], 0.0)
    torch.testing.assert_close(sure, flow * best, **tight)
    assert kept_by_cosines(0.4, random_grids(n, 4.0)).max() < best.item()
    later = chains.best_cosines(path, lam, 0.0, ts[0].item(), n)
    torch.testing.assert_close(later, best, **tight)


def kept_by_cosines(lam, nsr):
    """prod cos of the angles of many grids (m, n + 1), in numpy."""
    return np.cos(np.diff(np.arctan(nsr / math.sqrt(lam)), axis=1)).prod(1)


def test_the_best_of_a_whole_quarter_turn_is_as_known():
    # cos(pi / 2N)^N: 0.650 at N = 3, 0.778 at 5, 0.856 at 8, and 1 - pi^2 / 8N far on
    path, one = PATHS["trig"], torch.ones(1).double()
    for n, want in ((3, 0.6495), (5, 0.7781), (8, 0.8562)):
        got = chains.best_cosines(path, one, 1.0, 0.0, n)
        assert got.item() == pytest.approx(want, abs=5e-5)
    rest = (1 - chains.best_cosines(path, one, 1.0, 0.0, 1000)) * 8000 / math.pi**2
    assert rest.item() == pytest.approx(1, rel=2e-3, abs=0)


# -------------------------------------------------------------------- moments


@pytest.mark.parametrize("law", ["gaussian", "flat"])
@named(ZOO)
def test_moments_are_those_of_the_forward_block_matrix(name, law):
    path, law = PATHS["edm"], GAUSSIANS[law]
    table = ZOO[name](path, grid(path, 3))
    X = forward(table, lambda t: dense(path, law, table.eats, t), D)[-1]
    noise, k = X[:, D + 1 :], X[:, D]
    for start in (LAWS["gaussian"], LAWS["flat"]):
        end = chains.moments(table, exact(path, law, table.eats), start)
        mean = X[:, :D] @ start.mean() + k
        cov = X[:, :D] @ start.cov() @ X[:, :D].mT + noise @ noise.mT
        torch.testing.assert_close(end.mean(), mean, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(end.cov(), cov, rtol=1e-9, atol=1e-9)


@named(["rk4", "2M", "corrected, noisy"])
def test_fields_that_turn_are_read_the_right_way_round(name):
    # a matrix that is not symmetric, as the slope of a gauge field is not
    table, K = ZOO[name](PATHS["edm"], grid(PATHS["edm"], 3)), normal(D, D, seed=2)
    affine = lambda t: (K * t.cos(), K[0] * t)  # noqa: E731
    field = lambda x, t: x @ affine(t)[0].mT + affine(t)[1]  # noqa: E731
    X, start = forward(table, affine, D)[-1], LAWS["gaussian"]
    end = chains.moments(table, field, start)
    torch.testing.assert_close(end.mean(), X[:, :D] @ start.mean() + X[:, D], **close)
    moved = X[:, :D] @ start.cov() @ X[:, :D].mT + X[:, D + 1 :] @ X[:, D + 1 :].mT
    torch.testing.assert_close(end.cov(), moved, **close)
    R = chains.responses(table, field, normal(2, D), shapes.rng(1))
    first = forward(table, lambda t: (affine(t)[0], 0 * K[0]), D)[-1]
    pulse = forward(table, lambda t: (affine(t)[0], K[0] * (t == table.ts[0])), D)[-1]
    want = pulse[:, D] - first[:, D]
    torch.testing.assert_close(R[0] @ K[0], want.expand(2, D), **close)


def test_moments_of_a_mixture_are_those_of_its_components():
    path, table = PATHS["trig"], RANDOM["eta"](PATHS["trig"], grid(PATHS["trig"]))
    field, start = exact(path, LAWS["gaussian"], "denoise"), LAWS["mixture"]
    end = chains.moments(table, field, start)
    torch.testing.assert_close(end.logw, start.logw)
    for k in range(start.k):
        one = laws.gaussian(start.means[k], start.covs()[k])
        want = chains.moments(table, field, one)
        torch.testing.assert_close(end.means[k], want.mean(), **close)
        torch.testing.assert_close(end.covs()[k], want.cov(), **close)


@pytest.mark.parametrize("kind", ["corrected, noisy", "noisy heun"])
def test_moments_are_those_of_many_runs(kind):
    path, law, n = PATHS["edm"], LAWS["gaussian"], 20_000
    table = RANDOM[kind](path, grid(path, 4))
    start = laws.gaussian(normal(D), wishart())
    field = exact(path, law, table.eats)
    x = solvers.solve(table, field, start.sample(n, shapes.rng(5)), shapes.rng(6))
    end = chains.moments(table, field, start)
    off, var = x - end.mean(), end.cov().diagonal()
    assert (off.mean(0).abs() <= 6 * (var / n).sqrt()).all()
    error = ((end.cov() ** 2 + torch.outer(var, var)) / n).sqrt()  # of normal draws
    assert ((off.mT @ off / n - end.cov()).abs() <= 6 * error).all()


@named(["cosine", "ve"])
def test_many_steps_end_in_the_law_of_the_world(name):
    path, law = PATHS[name], LAWS["flat"]
    world, ts = worlds.World(path, law), tables.by_nsr(PATHS[name], 3.0, 0.3, 40)
    end = chains.moments(tables.rk4(ts), world.velocity, world.law(ts[0]))
    want = world.law(ts[-1])
    # 40 steps of 6 % in the ratio: rk4 errs by less than 1e-5 of the state
    torch.testing.assert_close(end.mean(), want.mean(), rtol=0, atol=1e-5)
    torch.testing.assert_close(end.cov(), want.cov(), rtol=0, atol=1e-5)


@named(ZOO)
def test_variances_are_the_moments_of_a_diagonal_law(name):
    path, zero = PATHS["edm"], torch.zeros(4).double()
    law, table = laws.gaussian(zero, torch.diag(LAM)), ZOO[name](path, grid(path))
    start = modes(2.0, 0.0, 1.0, 0.3)
    end = chains.moments(
        table, exact(path, law, table.eats), laws.gaussian(zero, torch.diag(start))
    )
    got = chains.variances(table, path, LAM, start)
    torch.testing.assert_close(end.cov(), torch.diag(got), **close)
    one = chains.variances(table, path, LAM, 2.0)
    torch.testing.assert_close(one[0], got[0], **tight)
    if not table.random:
        want = chains.gain(table, path, LAM) ** 2 * start
        torch.testing.assert_close(got, want, **tight)


def test_the_ancestral_sampler_is_told_from_ddim_by_its_variances():
    # exact for lam = 0 and from pure noise; both lose variance elsewhere
    path = PATHS["trig"]
    ts = modes(1.0, 0.6, 0.3, 0.0)
    for make in (tables.ddim, RANDOM["ancestral"]):
        end = chains.variances(make(path, ts), path, LAM, 1.0)
        assert end[0] == 0 and (end[1:] < LAM[1:]).all()
    # all noise at a = 0: one ancestral step from there forgets the start
    table = RANDOM["ancestral"](path, ts[:2])
    start = modes(7.0)
    end = chains.variances(table, path, torch.ones(1).double(), start)
    torch.testing.assert_close(end, path.at(ts[1]).g2.reshape(1), **tight)


# ------------------------------------------------------------------- responses


def pushed(field, at, e):
    """The field with e added at its call number ``at``."""
    calls = iter(range(10**6))
    return lambda x, t: field(x, t) + e * (next(calls) == at)


@named(ZOO)
def test_responses_are_runs_on_a_perturbed_field(name):
    # exactly, for an affine field, and so for each mode
    path, law = PATHS["edm"], laws.gaussian(torch.zeros(4).double(), torch.diag(LAM))
    table, x = ZOO[name](path, grid(path, 3)), normal(4)
    field, e = exact(path, law, table.eats), normal(4, seed=3)
    run = lambda f: solvers.solve(table, f, x, shapes.rng(1))  # noqa: E731
    still = run(field)
    modes = chains.response(table, path, LAM)
    whole = chains.responses(table, field, x, shapes.rng(1))
    assert modes.shape == (len(table), 4) and whole.shape == (len(table), 4, 4)
    calls = 0
    for n, row in enumerate(table.rows):
        want = run(pushed(field, calls, e)) - still if row.asks else 0 * e
        torch.testing.assert_close(modes[n] * e, want, **close)
        torch.testing.assert_close(whole[n] @ e, want, **close)
        calls += row.asks
    assert calls == table.evaluations


def test_responses_of_a_nonlinear_field_leave_a_second_order_rest():
    path, x, e = PATHS["trig"], normal(2, D), normal(2, D, seed=3)
    world = worlds.World(path, LAWS["mixture"])
    table = two_step(path, grid(path, 4))
    R = chains.responses(table, world.denoise, x)
    first = (R @ e.unsqueeze(-1)).sum(0)[..., 0]
    still = solvers.solve(table, world.denoise, x)
    sizes, rests = np.array([1e-2, 5e-3, 2.5e-3]), []
    for eps in sizes.tolist():
        field = fields.mix([world.denoise, lambda y, t: e], [1, eps])
        end = solvers.solve(table, field, x)
        rests.append((end - still - eps * first).abs().max().item())
    slope = np.polyfit(np.log(sizes), np.log(rests), 1)[0]
    assert abs(slope - 2) < 0.1


def test_responses_are_the_derivative_by_autograd_of_random_runs_too():
    path = PATHS["edm"]
    world, x = worlds.World(path, LAWS["mixture"]), normal(2, D)
    table = noisy_heun(path, grid(path, 3))
    e = torch.zeros(len(table), 2, D, dtype=torch.float64, requires_grad=True)
    calls = iter(e)
    field = lambda y, t: world.velocity(y, t) + next(calls)  # noqa: E731
    end = solvers.solve(table, field, x, shapes.rng(2))
    R = chains.responses(table, world.velocity, x, shapes.rng(2))
    for i in range(D):
        (want,) = torch.autograd.grad(end[:, i].sum(), e, retain_graph=True)
        torch.testing.assert_close(R[..., i, :], want, **close)


def test_independent_errors_add_their_variances():
    path, n = PATHS["trig"], 20_000
    lam = modes(0.5)
    table = two_step(path, grid(path, 4))
    law, g = laws.gaussian(torch.zeros(1).double(), 0.5), shapes.rng(8)
    world = worlds.World(path, law)

    def noisy(x, t):
        return world.denoise(x, t) + 0.1 * torch.randn(x.shape, generator=g).to(x)

    end = solvers.solve(table, noisy, torch.zeros(n, 1).double())
    want = (chains.response(table, path, lam) ** 2 * 0.01).sum()
    assert abs((end**2).mean() - want) < 6 * want * math.sqrt(2 / n)


@pytest.mark.parametrize("target", TARGETS)
@named(["vp", "straight"])
def test_the_response_of_the_flow_is_that_of_a_perturbed_flow(name, target):
    # a constant error of the target from t to s, by an adaptive solver
    path, lam = PATHS[name], modes(0.7)
    law = laws.gaussian(torch.zeros(1).double(), 0.7)
    t, s = path.when(modes(2.0, 0.5)).tolist()
    sharp = fields.convert(worlds.World(path, law).velocity, path, "velocity", target)
    off = lambda x, u: sharp(x, u) + 0.1  # noqa: E731

    def slope(u, x):
        u = torch.tensor(u, dtype=torch.float64)
        x = torch.tensor(x, dtype=torch.float64)
        return fields.convert(off, path, target, "velocity")(x, u).numpy()

    run = scipy.integrate.solve_ivp(slope, (t, s), [0.0], rtol=1e-6, atol=1e-8)
    nodes, weights = np.polynomial.legendre.leggauss(16)
    at = torch.tensor((t + s) / 2 + (s - t) / 2 * nodes).unsqueeze(1)
    R = chains.flow_response(path, lam, at, s, target)[:, 0].numpy()
    want = 0.1 * (weights * R).sum() * (s - t) / 2
    assert run.y[0, -1] == pytest.approx(want, rel=1e-4, abs=0)


@pytest.mark.parametrize("kind", ["euler 1", "ddim 1", "heun 2", "adams 2", "rk4 4"])
def test_the_response_of_a_table_tends_to_that_of_the_flow_with_its_order(kind):
    # to the smooth error e(t) = cos 3t, at the times where the field is asked
    kind, order = kind.split()[0], int(kind.split()[1])
    path, lam, t, s = PATHS["trig"], LAM[1:], 0.8, 0.2
    target = ZOO[kind](path, tables.uniform(t, s, 1)).eats
    nodes, weights = np.polynomial.legendre.leggauss(40)
    at = torch.tensor((t + s) / 2 + (s - t) / 2 * nodes).unsqueeze(1)
    R = chains.flow_response(path, lam, at, s, target) * (3 * at).cos()
    want = (torch.tensor(weights).unsqueeze(1) * R).sum(0) * (s - t) / 2
    steps, errors = [12, 24, 48] if order == 4 else [40, 80, 160], []
    for n in steps:
        table = ZOO[kind](path, tables.uniform(t, s, n))
        R = chains.response(table, path, lam)
        end = (R * (3 * table.ts[:-1]).cos().unsqueeze(1)).sum(0)
        errors.append((end - want)[1].abs().item())
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert abs(slope - order) < 0.15  # the next term is a step smaller


def test_each_response_per_step_tends_to_that_of_the_flow():
    path, lam, errors = PATHS["trig"], LAM[1:], []
    for n in (50, 100, 200):
        table = tables.ddim(path, tables.uniform(0.8, 0.2, n))
        got = chains.response(table, path, lam) / table.ts.diff().unsqueeze(1)
        want = chains.flow_response(
            path, lam, table.ts[:-1].unsqueeze(1), 0.2, "denoise"
        )
        errors.append((got / want - 1).abs().max().item())
    assert abs(-np.polyfit(np.log([50, 100, 200]), np.log(errors), 1)[0] - 1) < 0.1


# ---------------------------------------------------------------- the best grid

EDM = paths.edm(10.0)
WIDE = modes(0.01, 1.0, 4.0)


@functools.cache
def best_on_wide(name):
    return chains.optimal_grid(METHODS[name][0], EDM, WIDE, 5, 10.0)


def ddim_on(path):
    return lambda ts: tables.ddim(path, ts)


def random_grids(n, high, seed=0):
    """2000 grids (2000, n + 1) from high to 0, of many shapes."""
    g = np.random.default_rng(seed)
    inner = np.sort(g.random((2000, n - 1)) ** g.choice([1, 2, 3, 5], (2000, 1)))
    inner = high * inner[:, ::-1]
    return np.pad(inner, ((0, 0), (1, 1)), constant_values=((0, 0), (high, 0)))


def errors_of(step, grids, lam):
    """sum_k lam_k (1 - G_k)^2 of many grids on the path a = 1, g = t, in numpy."""
    total = 0.0
    for v in lam.tolist():
        exact = math.sqrt(v / (v + grids[0, 0] ** 2))
        total = total + v * (1 - step(v, grids) / exact) ** 2
    return total


def heun_gain(v, t):
    """x' = t / (v + t^2) x by Heun, written out."""
    x = 1.0
    for a, b in zip(t.T[:-1], t.T[1:], strict=True):
        h, first = b - a, a / (v + a**2)
        x = x * (1 + h / 2 * (first + b / (v + b**2) * (1 + h * first)))
    return x


def adams_gain(v, t):
    """The same by Adams and Bashforth, two steps, begun by Euler."""
    x, last, before = 1.0, None, None
    for a, b in zip(t.T[:-1], t.T[1:], strict=True):
        h, f = b - a, x * a / (v + a**2)
        x = x + h * f if last is None else x + h * f + h**2 / (2 * before) * (f - last)
        last, before = f, h
    return x


def ddim_gain(v, t):
    return kept_by_cosines(v, t) * math.sqrt(v / (v + t[0, 0] ** 2))


METHODS = {
    "ddim": (ddim_on(EDM), ddim_gain),
    "heun": (tables.heun, heun_gain),
    "adams": (lambda ts: differentiable_adams(ts), adams_gain),
}


def differentiable_adams(ts):
    """`adams` with weights that keep the gradient in the grid."""
    h = ts.diff()
    r = torch.cat([0 * h[:1], h[1:] / h[:-1] / 2])
    B = torch.stack([h * (1 + r), -h * r], 1)
    return tables.Table("velocity", ts, torch.ones_like(B[:, :1]), B, 0 * B[:, 0])


@named(METHODS)
def test_no_random_grid_errs_less_than_the_best(name):
    make, step = METHODS[name]
    ts = best_on_wide(name)
    best = chains.spread_error(make(ts), EDM, WIDE).item()
    again = errors_of(step, ts.numpy()[None], WIDE)[0]
    assert best == pytest.approx(again, rel=1e-9, abs=0)
    assert errors_of(step, random_grids(5, 10.0), WIDE).min() > best


def single_angle(lam):
    """The error of WIDE on the grid of equal angles for another variance."""
    turns = np.linspace(math.atan(10 / math.sqrt(lam)), 0, 6)
    return errors_of(ddim_gain, math.sqrt(lam) * np.tan(turns)[None], WIDE)[0]


def test_the_best_grids_of_the_literature_are_found():
    # spectrum {.01, 1, 4}, N = 5, s_0 = 10, to the digits that were known before
    def loss(ts, lam=WIDE):
        return chains.spread_error(tables.ddim(EDM, ts), EDM, lam).item()

    make = ddim_on(EDM)
    best = best_on_wide("ddim")
    assert loss(best) == pytest.approx(0.177499, abs=5e-7)
    assert loss(tables.uniform(10.0, 0.0, 5)) == pytest.approx(0.78729, abs=5e-6)
    single = scipy.optimize.minimize_scalar(single_angle, bounds=(0.01, 4))
    assert single.fun == pytest.approx(0.17834, abs=5e-6)
    assert single.x == pytest.approx(2.73, abs=5e-3)
    # the grid of another spectrum is not its best
    other = chains.optimal_grid(make, EDM, 0.1 * WIDE / WIDE.max(), 5, 10.0)
    assert loss(other) > 2 * loss(best)


@named(["vp", "straight"])
def test_the_best_grid_is_the_same_in_nsr_on_every_path(name):
    path = PATHS[name]
    ts = chains.optimal_grid(ddim_on(path), path, WIDE, 5, 10.0)
    # the error is flat at its least: the nodes are known to the root of its digits
    torch.testing.assert_close(path.nsr(ts), best_on_wide("ddim"), rtol=1e-5, atol=0)


@pytest.mark.parametrize("low", [0.0, 0.1])
@named(["edm", "trig", "vp"])
def test_the_best_grid_of_one_variance_has_equal_angles(name, low):
    path, one = PATHS[name], torch.ones(1).double()
    ts = chains.optimal_grid(ddim_on(path), path, one, 5, 5.0, low)
    want = tables.by_angle(path, 1.0, 5.0, low, 5)
    torch.testing.assert_close(ts, want, rtol=0, atol=1e-5)
    errors = [
        chains.spread_error(tables.ddim(path, u), path, one).item() for u in (ts, want)
    ]
    assert errors[0] == pytest.approx(errors[1], abs=1e-10)
    if name == "edm" and not low:
        got = chains.optimal_grid(ddim_on(EDM), EDM, one, 5, 10.0)
        loss = chains.spread_error(tables.ddim(EDM, got), EDM, one)
        assert loss.item() == pytest.approx(0.0388778954, abs=1e-10)


def test_the_best_grid_of_a_frozen_score_is_equal_in_log_psi():
    # found by the search: no start has equal steps of eta = log(lam + s^2) / 2
    lam, n = modes(0.4), 4
    make = lambda ts: frozen_score(EDM, ts)  # noqa: E731
    ts = chains.optimal_grid(make, EDM, lam, n, 10.0)
    eta = tables.uniform(math.log(0.4 + 100) / 2, math.log(0.4) / 2, n)
    want = ((2 * eta).exp() - 0.4).clamp(min=0).sqrt()
    torch.testing.assert_close(ts, want, rtol=0, atol=1e-5)
    top = math.cosh((eta[0] - eta[-1]).item() / n) ** n
    loss = chains.spread_error(make(ts), EDM, lam, torch.ones(1).double())
    assert loss.item() == pytest.approx((1 - top) ** 2, rel=1e-9, abs=0)


def test_weights_choose_between_absolute_and_relative_errors():
    make, one = ddim_on(EDM), torch.ones(3).double()
    both = [chains.optimal_grid(make, EDM, WIDE, 4, 10.0, 0.1, w) for w in (None, one)]
    errors = [
        [chains.spread_error(make(ts), EDM, WIDE, w).item() for ts in both]
        for w in (None, one)
    ]
    assert errors[0][0] < errors[0][1] and errors[1][1] < errors[1][0]
    # by default the squared distance of the end points from those of the flow
    flow = chains.flow_factor(EDM, WIDE, 10.0, 0.1)
    off = chains.gain(make(both[0]), EDM, WIDE) - flow
    off = off * chains.spread(EDM, WIDE, 10.0)
    assert errors[0][0] == pytest.approx((off**2).sum().item(), rel=1e-12, abs=0)
    psi2 = chains.spread(EDM, WIDE, 0.1) ** 2
    same = chains.spread_error(make(both[0]), EDM, WIDE, psi2)
    assert errors[0][0] == pytest.approx(same.item(), rel=1e-12, abs=0)


def test_a_mode_without_variance_neither_counts_nor_hurts():
    lam = torch.cat([0 * WIDE[:1], WIDE])
    make, w = ddim_on(EDM), modes(0.0, 1.0, 1.0, 1.0)
    more, less = (chains.optimal_grid(make, EDM, v, 3, 10.0) for v in (lam, WIDE))
    torch.testing.assert_close(more, less, rtol=0, atol=1e-6)
    errors = [
        chains.spread_error(make(more), EDM, v, u).item()
        for v, u in ((lam, w), (WIDE, w[1:]))
    ]
    assert errors[0] == pytest.approx(errors[1], rel=1e-12, abs=0)
    alone = chains.optimal_grid(make, EDM, lam[:1], 3, 10.0)  # DDIM is exact there
    assert chains.spread_error(make(alone), EDM, lam[:1]) < 1e-25


def test_the_best_grid_of_a_random_table_counts_its_noise():
    path = PATHS["trig"]
    make = lambda ts: tables.ddim(path, ts, 1.0)  # noqa: E731
    ts = chains.optimal_grid(make, path, WIDE, 4, 20.0)
    best = chains.spread_error(make(ts), path, WIDE).item()
    end = chains.variances(make(ts), path, WIDE, chains.spread(path, WIDE, ts[0]) ** 2)
    off = end.sqrt() - WIDE.sqrt()
    assert best == pytest.approx((off**2).sum().item(), rel=1e-10, abs=0)
    for u in path.when(torch.tensor(random_grids(4, 20.0)[:100].copy())):
        assert chains.spread_error(make(u), path, WIDE) > best


def test_one_step_and_pure_noise_are_no_exception():
    path = PATHS["trig"]
    make = ddim_on(path)
    ts = chains.optimal_grid(make, path, WIDE, 1, 20.0, 0.1)
    assert ts.tolist() == [path.when(20.0).item(), path.when(0.1).item()]
    ts = chains.optimal_grid(make, path, WIDE, 2, math.inf)
    assert ts[0] == 1 and ts[-1] == 0 and (ts.diff() < 0).all()
    twice = [chains.optimal_grid(make, path, WIDE, 2, 20.0) for _ in range(2)]
    assert torch.equal(*twice)


def test_no_points_have_no_responses():
    table = tables.heun(grid(PATHS["vp"]))
    R = chains.responses(table, lambda x, t: -x, torch.zeros(0, D))
    assert R.shape == (len(table), 0, D, D)


def test_single_precision_and_stacked_modes():
    path, table = PATHS["vp"], tables.ddim(PATHS["vp"], grid(PATHS["vp"]), 0.5)
    lam = LAM.reshape(2, 2)
    for what in (
        lambda v: chains.gain(table, path, v),
        lambda v: chains.variances(table, path, v, 1.0),
        lambda v: chains.response(table, path, v),
        lambda v: chains.cosines(path, v, table.ts),
    ):
        want = what(LAM)
        got = what(lam)
        torch.testing.assert_close(got.reshape(want.shape), want, **tight)
        single = what(LAM.float())
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), want, rtol=1e-5, atol=1e-6)


@cuda
def test_sweeps_on_the_gpu_agree():
    path, law, x = PATHS["vp"], LAWS["gaussian"], normal(2, D)
    far, lam = law.to("cuda"), LAM.cuda()
    table = tables.ddim(path, grid(path), 0.5)
    for got, want in (
        (
            chains.variances(table, path, lam, 1.0),
            chains.variances(table, path, LAM, 1),
        ),
        (chains.response(table, path, lam), chains.response(table, path, LAM)),
        (chains.cosines(path, lam, table.ts), chains.cosines(path, LAM, table.ts)),
        (
            chains.moments(table, worlds.World(path, far).denoise, far).cov(),
            chains.moments(table, worlds.World(path, law).denoise, law).cov(),
        ),
    ):
        torch.testing.assert_close(got.cpu(), want, **close)
    table = tables.ddim(path, grid(path))
    got = chains.responses(table, worlds.World(path, far).denoise, x.cuda())
    want = chains.responses(table, worlds.World(path, law).denoise, x)
    torch.testing.assert_close(got.cpu(), want, **close)


@cuda
@pytest.mark.parametrize("law", list(GAUSSIANS))
def test_chains_on_the_gpu_agree(law):
    path, law, x, t = PATHS["vp"], GAUSSIANS[law], normal(5, D), 0.3 + 0.5 * uniform(5)
    far = law.to("cuda")
    got = chains.carry(far, path, x.cuda(), t.cuda(), 0.1)
    torch.testing.assert_close(got.cpu(), chains.carry(law, path, x, t, 0.1), **close)


V, T = ValueError, TypeError
VP, G, x, nan = PATHS["vp"], LAWS["gaussian"], normal(4, D), float("nan")
per_point = r"has shape \(3,\); it must be a number or one time per point, \(4,\)"
DDIM = tables.ddim(VP, modes(0.9, 0.6, 0.2, 0.0))


half_detached = one_step(  # DDIM, with part of its gradient in the grid lost
    "noise", lambda t, s: s.a / t.a, lambda t, s: s.g - (s.a * t.g / t.a).detach()
)


def kinked(t, s):
    """Weights of one, with an infinite slope in the grid."""
    return 1 + (0 * t.a).sqrt()


def best(**change):
    """An optimal grid, some of it asked for wrongly."""
    parts = {"make": ddim_on(VP), "path": VP, "lam": LAM, "n": 3, "high": 2.0}
    return chains.optimal_grid(**(parts | change))


WRONG = {
    "a mixture": (
        V,
        "3 components.*single Gaussian",
        lambda: chains.carry(LAWS["mixture"], VP, x, 0.9, 0.1),
    ),
    "a mixture's endpoint": (
        V,
        "single Gaussian",
        lambda: chains.endpoint(LAWS["data"], VP, x, 0.9, 0.1),
    ),
    "a batch": (
        V,
        r"batch shape \(4,\)",
        lambda: chains.carry(G.scale(torch.ones(4).double()), VP, x, 0.9, 0.1),
    ),
    "x": (V, r"x has shape \(4, 2\)", lambda: chains.carry(G, VP, x[:, :2], 0.9, 0.1)),
    "x nan": (V, "x holds NaN", lambda: chains.carry(G, VP, x * nan, 0.9, 0.1)),
    "x ints": (T, "x is torch.int64", lambda: chains.carry(G, VP, x.long(), 0.9, 0.1)),
    "t": (V, r"lives on \[0, 1\]", lambda: chains.carry(G, VP, x, 1.9, 0.1)),
    "s": (V, r"lives on \[0, 1\]", lambda: chains.carry(G, VP, x, 0.9, -0.1)),
    "s nan": (V, "t holds NaN", lambda: chains.endpoint(G, VP, x, 0.9, nan)),
    "times t": (V, "t " + per_point, lambda: chains.carry(G, VP, x, uniform(3), 0.1)),
    "times s": (
        V,
        "s " + per_point,
        lambda: chains.endpoint(G, VP, x, 0.9, uniform(3)),
    ),
    "from data": (
        V,
        "no flow from noise level 0",
        lambda: chains.carry(LAWS["flat"], VP, x, 0.0, 0.5),
    ),
    "lam < 0": (V, "lam runs down to -1", lambda: chains.spread(VP, LAM - 1, 0.5)),
    "lam nan": (V, "lam runs down to nan", lambda: chains.angle(VP, LAM * nan, 0.5)),
    "lam ints": (
        T,
        "lam is torch.int64",
        lambda: chains.flow_factor(VP, torch.arange(3), 0.9, 0.5),
    ),
    "lam < 0, endpoint": (
        V,
        "must be >= 0",
        lambda: chains.endpoint_factor(VP, LAM - 1, 0.9, 0.5),
    ),
    "two ends": (V, "second end", lambda: chains.spread(TWO_ENDS, LAM, 0.5)),
    "two ends, angle": (V, "second end", lambda: chains.angle(TWO_ENDS, LAM, 0.5)),
    "two ends, carry": (
        V,
        "second end",
        lambda: chains.carry(G, TWO_ENDS, x, 0.9, 0.5),
    ),
    "gain two ends": (
        V,
        "second end",
        lambda: chains.gain(DDIM, TWO_ENDS, LAM),
    ),
    "gain lam < 0": (V, "must be >= 0", lambda: chains.gain(DDIM, VP, LAM - 1)),
    "gain lam list": (T, "lam is list", lambda: chains.gain(DDIM, VP, [1.0])),
    "start lam list": (
        T,
        "lam is list",
        lambda: chains.variances(DDIM, VP, [1.0], 1.0),
    ),
    "gain off the path": (
        V,
        r"lives on \[0, 0.5\]",
        lambda: chains.gain(DDIM, paths.cosine(T=0.5), LAM),
    ),
    "velocity at the data": (
        V,
        "velocity of a mode without variance is infinite at noise level 0",
        lambda: chains.gain(tables.heun(DDIM.ts), VP, LAM),
    ),
    "noise at the data": (
        V,
        "noise of a mode without variance",
        lambda: chains.rate(VP, LAM, 0.0, "noise"),
    ),
    "target": (V, "target 'x0' is unknown", lambda: chains.rate(VP, LAM, 0.5, "x0")),
    "flow target": (
        V,
        "it is one of denoise, noise",
        lambda: chains.flow_response(VP, LAM, 0.5, 0.1, "eps"),
    ),
    "flow response at the data": (
        V,
        "denoise does not determine the velocity",
        lambda: chains.flow_response(VP, LAM[1:], 0.0, 0.5, "denoise"),
    ),
    "flow response at all noise": (
        V,
        "score does not determine the velocity",
        lambda: chains.flow_response(PATHS["trig"], LAM, 1.0, 0.5, "score"),
    ),
    "start < 0": (
        V,
        "one variance >= 0",
        lambda: chains.variances(DDIM, VP, LAM, -1.0),
    ),
    "start shape": (
        V,
        r"start has shape \(2,\).*one per mode, \(4,\)",
        lambda: chains.variances(DDIM, VP, LAM, LAM[:2]),
    ),
    "start nan": (V, "start holds NaN", lambda: chains.variances(DDIM, VP, LAM, nan)),
    "cosines grid": (
        V,
        "all increasing or all decreasing",
        lambda: chains.cosines(VP, LAM, DDIM.ts[[0, 2, 1]]),
    ),
    "cosines two ends": (
        V,
        "second end",
        lambda: chains.cosines(TWO_ENDS, LAM, DDIM.ts),
    ),
    "cosh at the data": (
        V,
        "errs without bound",
        lambda: chains.coshes(VP, LAM, DDIM.ts),
    ),
    "cosh of all noise": (
        V,
        "errs without bound",
        lambda: chains.coshes(PATHS["trig"], LAM[1:], modes(1.0, 0.5)),
    ),
    "no steps": (V, "n is 0", lambda: chains.best_cosines(VP, LAM, 0.9, 0.0, 0)),
    "not affine": (
        V,
        "not affine in x at t = 0.9",
        lambda: chains.moments(DDIM, lambda x, t: x.tanh(), G),
    ),
    "clipped": (
        V,
        "not affine",
        lambda: chains.moments(
            DDIM, fields.clipped(worlds.World(VP, G).denoise, -1, 1), G
        ),
    ),
    "cached": (
        V,
        "not affine in x at t = 0.6",
        lambda: chains.moments(DDIM, fields.cached(worlds.World(VP, G).denoise, 2), G),
    ),
    "batch of laws": (
        V,
        r"law has batch shape \(4,\)",
        lambda: chains.moments(DDIM, lambda x, t: x, G.scale(torch.ones(4).double())),
    ),
    "field shape": (
        V,
        "one vector per point",
        lambda: chains.moments(DDIM, lambda x, t: x[..., :2], G),
    ),
    "field list": (
        V,
        "returned list",
        lambda: chains.moments(DDIM, lambda *_: [], G),
    ),
    "field nan": (
        V,
        r"F\(x, t\) holds NaN",
        lambda: chains.moments(DDIM, lambda x, t: x * nan, G),
    ),
    "responses x": (
        V,
        r"x has shape \(\)",
        lambda: chains.responses(DDIM, lambda x, t: x, x[0, 0]),
    ),
    "responses without noise": (
        V,
        "adds noise: give a generator",
        lambda: chains.responses(tables.ddim(VP, DDIM.ts, 1.0), lambda x, t: x, x),
    ),
    "responses field": (
        V,
        "one vector per point",
        lambda: chains.responses(DDIM, lambda x, t: x.sum(), x),
    ),
    "weights": (
        V,
        r"weights have shape \(2,\)",
        lambda: chains.spread_error(DDIM, VP, LAM, LAM[:2]),
    ),
    "weights < 0": (
        V,
        "must be >= 0",
        lambda: chains.spread_error(DDIM, VP, LAM, LAM - 1),
    ),
    "relative error of nothing": (
        V,
        "relative error is infinite",
        lambda: chains.spread_error(DDIM, VP, LAM, LAM + 1),
    ),
    "best of no steps": (V, "0 steps from nsr 2.0 to 0.0", lambda: best(n=0)),
    "best upwards": (V, "high > low >= 0", lambda: best(high=0.1, low=1.0)),
    "best below 0": (V, "high > low >= 0", lambda: best(low=-1.0)),
    "best nan": (V, "high > low >= 0", lambda: best(high=nan)),
    "best lam": (V, r"lam has shape \(2, 2\)", lambda: best(lam=LAM.reshape(2, 2))),
    "best of no mode": (V, r"lam has shape \(0,\)", lambda: best(lam=LAM[:0])),
    "best lam < 0": (V, "must be >= 0", lambda: best(lam=LAM - 1)),
    "best beyond": (V, "this path reaches", lambda: best(high=1e9)),
    "best of no table": (
        T,
        "make returned Tensor",
        lambda: best(make=lambda ts: ts),
    ),
    "best with a bad gradient": (
        V,
        "NaN or inf, or such a slope",
        lambda: best(make=lambda ts: one_step("denoise", kinked, kinked)(VP, ts)),
    ),
    "best with half a gradient": (
        V,
        "some of the table.*no gradient in the grid",
        lambda: best(make=lambda ts: half_detached(VP, ts)),
    ),
    "best without gradient": (
        V,
        "no gradient in the grid",
        lambda: best(make=lambda ts: tables.ddim(VP, ts.detach())),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
