"""chains: closed forms against dense matrix roots, exact worlds and numerical flows.

Tolerances: 1e-10 relative for closed forms in float64.
"""

import math

import pytest
import scipy.linalg
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
)
from hypothesis import given, settings
from hypothesis import strategies as st

from diffkit import chains, laws, paths, solvers, tables, worlds

close = {"rtol": 1e-10, "atol": 1e-10}
U2 = rotation(3)[:, :2].unsqueeze(0)
GAUSSIANS = {name: LAWS[name] for name in ("gaussian", "repeated", "flat", "point")} | {
    "low rank": laws.Mixture(
        torch.zeros(1).double(),
        normal(1, D),
        laws.Spectral(
            U2, torch.tensor([[2.0, 0.5]]).double(), torch.tensor([0.3]).double()
        ),
    ),
    "span": laws.Mixture(
        torch.zeros(1).double(),
        normal(1, D),
        laws.Spectral(U2, torch.tensor([[2.0, 0.0]]).double(), torch.zeros(1).double()),
    ),
}
LAM = torch.tensor([0.0, 1e-3, 1.0, 9.0], dtype=torch.float64)


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
@pytest.mark.parametrize("law", list(GAUSSIANS))
def test_carry_is_where_the_velocity_leads(name, law):
    path, law, x = PATHS[name], GAUSSIANS[law], normal(5, D)
    world = worlds.World(path, law)
    ts = tables.by_nsr(path, 3.0, 0.3, 60)
    want = solvers.solve(tables.rk4(ts), world.velocity, x)
    # rk4 with 60 steps of 4 % in the ratio: errors below 1e-6
    got = chains.carry(law, path, x, ts[0], ts[-1])
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)


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
@pytest.mark.parametrize("law", list(GAUSSIANS))
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
    t = path.T * torch.tensor([0.1, 0.5, 1.0]).double()
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
    path, t = PATHS["trig"], torch.tensor([0.25, 0.5]).double()
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
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
