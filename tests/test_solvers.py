"""solvers: orders by regression, end laws by recursion, log-determinants by autograd.

The test problem is nonlinear, coupled and depends on time: x' = -2 t x^2 and
y' = (cos t - 2 t x) y, so x = 1 / (1/x_0 + t^2) and y = x e^{sin t} up to a factor.
"""

import math

import numpy as np
import pytest
import torch
from examples import LAWS, PATHS, D, named, normal, refuses, uniform

from diffkit import chains, laws, metrics, shapes, solvers, tables, worlds

ORDERS = {"euler": 1, "heun": 2, "rk4": 4}
START, END = 0.3, 1.3


def problem(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """(x', y')."""
    u, v = x.unbind(-1)
    return torch.stack([-2 * t * u**2, (math.cos(t) - 2 * t * u) * v], -1)


def solution(x: torch.Tensor, t: float, s: float) -> torch.Tensor:
    """From time t to time s, exactly."""
    u, v = x.unbind(-1)
    w = 1 / (1 / u + s**2 - t**2)
    return torch.stack([w, v * w / u * math.exp(math.sin(s) - math.sin(t))], -1)


BEGIN = 0.5 + uniform(4, 2)
WAYS = {
    "up": (BEGIN, START, END),
    "down": (solution(BEGIN, START, END), END, START),
}


def slope(steps: list[int], errors: list[float]) -> float:
    """Of log error against log step."""
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


@pytest.mark.parametrize("way", list(WAYS))
@named(ORDERS)
def test_runge_kutta_converges_with_its_order_and_no_other(name, way):
    x, t, s = WAYS[way]
    steps = [64, 128, 256] if name != "rk4" else [24, 48, 96]
    errors = []
    for n in steps:
        table = getattr(tables, name)(tables.uniform(t, s, n))
        off = solvers.solve(table, problem, x) - solution(x, t, s)
        errors.append(off.abs().max().item())
    # the next term of the error is h smaller: 0.1 in the slope at these steps
    assert abs(slope(steps, errors) - ORDERS[name]) < 0.1


def adams_bashforth(ts: torch.Tensor) -> tables.Table:
    """x + h (3/2 F_n - 1/2 F_{n-1}), begun by Euler: a table with a memory."""
    h = ts.diff()
    B = torch.stack([1.5 * h, -0.5 * h], 1)
    B[0] = torch.stack([h[0], 0 * h[0]])
    one = torch.ones_like(h).unsqueeze(1)
    return tables.Table("velocity", ts, one, B, torch.zeros_like(h))


def test_a_table_remembers_its_evaluations_newest_first():
    steps, errors = [64, 128, 256], []
    for n in steps:
        table = adams_bashforth(tables.uniform(START, END, n))
        off = solvers.solve(table, problem, BEGIN) - solution(BEGIN, START, END)
        errors.append(off.abs().max().item())
    assert abs(slope(steps, errors) - 2) < 0.1


@pytest.mark.parametrize("name", ["trig", "edm"])
def test_ddim_converges_with_order_one_to_the_probability_flow(name):
    path, law = PATHS[name], LAWS["gaussian"]
    world, x = worlds.World(path, law), normal(5, D)
    ts = tables.by_nsr(path, 4.0, 0.2, 1)
    want = chains.carry(law, path, x, ts[0], ts[1])
    steps, errors = [64, 128, 256], []
    for n in steps:
        table = tables.ddim(path, tables.by_nsr(path, 4.0, 0.2, n))
        got = solvers.solve(table, world.denoise, x)
        errors.append((got - want).abs().max().item())
    assert abs(slope(steps, errors) - 1) < 0.1


def test_the_trail_is_every_state():
    ts = tables.uniform(START, END, 5)
    table = tables.heun(ts)
    trail = solvers.solve(table, problem, BEGIN, keep=True)
    assert torch.equal(trail[0], BEGIN)
    assert torch.equal(trail[-1], solvers.solve(table, problem, BEGIN))
    for n in range(5):
        one = solvers.solve(tables.heun(ts[n : n + 2]), problem, trail[n])
        torch.testing.assert_close(trail[n + 1], one)


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_random_sampling_ends_in_the_law_of_the_linear_recursion(eta):
    # for Gaussian data the denoiser is affine, D = K x + k, so mean and covariance
    # follow from the table alone; fresh noise at every step is part of that
    path, law = PATHS["trig"], LAWS["gaussian"]
    world = worlds.World(path, law)
    table = tables.ddim(path, tables.uniform(0.95, 0.2, 4), eta)
    n, eye, zero = 20_000, torch.eye(D).double(), torch.zeros(D).double()
    mean, cov = zero, eye
    for i in range(4):
        k = world.denoise(zero, table.ts[i])
        K = (world.denoise(eye, table.ts[i]) - k).mT
        step = table.A[i, 0] * eye + table.B[i, 0] * K
        mean = step @ mean + table.B[i, 0] * k
        cov = step @ cov @ step.mT + table.S[i] ** 2 * eye
    x = solvers.solve(table, world.denoise, normal(n, D, seed=5), shapes.rng(6))
    off = x - mean
    assert (off.mean(0).abs() <= 6 * (cov.diagonal() / n).sqrt()).all()
    error = (cov**2 + torch.outer(cov.diagonal(), cov.diagonal())).sqrt() / n**0.5
    assert ((off.mT @ off / n - cov).abs() <= 6 * error).all()


def test_random_sampling_repeats_with_its_generator():
    table = tables.ddim(PATHS["vp"], tables.uniform(1.0, 0.0, 3), 1.0)
    world, x = worlds.World(PATHS["vp"], LAWS["data"]), normal(4, D)
    runs = [solvers.solve(table, world.denoise, x, shapes.rng(s)) for s in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_ancestral_sampling_of_data_ends_on_data():
    path, law = PATHS["vp"], LAWS["data"]
    table = tables.ddim(path, tables.by_nsr(path, 100.0, 1e-3, 40), 1.0)
    x = solvers.solve(
        table, worlds.World(path, law).denoise, normal(50, D), shapes.rng(3)
    )
    near = torch.cdist(x, law.means).min(1).values
    assert near.max() < 1e-2  # the noise left is 1e-3 a coordinate


def test_single_precision_stays_single():
    for table in (tables.rk4(DOWN), tables.ddim(PATHS["vp"], DOWN, 1.0)):
        got = solvers.solve(table, lambda x, t: -x, BEGIN.float(), shapes.rng(0))
        assert got.dtype == torch.float32


def test_no_points_go_nowhere():
    x = BEGIN[:0]
    assert solvers.solve(tables.rk4(DOWN), problem, x).shape == (0, 2)
    assert solvers.flow(tables.rk4(DOWN), problem, x)[1].shape == (0,)


# --------------------------------------------------------------------- flow

DOWN = tables.uniform(0.9, 0.4, 20)


@pytest.mark.parametrize("way", list(WAYS))
def test_logdet_is_that_of_the_jacobian_of_the_exact_flow(way):
    begin, t, s = WAYS[way]
    end, logdet = solvers.flow(tables.rk4(tables.uniform(t, s, 50)), problem, begin)
    torch.testing.assert_close(end, solution(begin, t, s), rtol=1e-6, atol=0)
    for x, got in zip(begin, logdet, strict=True):
        J = torch.autograd.functional.jacobian(lambda y: solution(y, t, s), x)
        # rk4 at h = 1/50: (1/50)^4 = 1.6e-7
        assert got.item() == pytest.approx(J.det().abs().log().item(), abs=1e-6)
        assert abs(got) > 0.1


@pytest.mark.parametrize("way", ["to data", "to noise"])
@pytest.mark.parametrize(
    "name", ["gaussian", "isotropic", "mixture", "low rank", "data"]
)
def test_densities_agree_along_the_flow(name, way):
    path = PATHS["trig"]
    world = worlds.World(path, LAWS[name])
    ts = DOWN if way == "to data" else DOWN.flip(0)
    t, s = ts[0].item(), ts[-1].item()
    x = world.draw(6, t, shapes.rng(4))[2]
    end, logdet = solvers.flow(tables.rk4(ts), world.velocity, x)
    want = world.log_prob(x, t) - world.log_prob(end, s)
    # rk4 at h = 1/40: fifth derivatives of about 4 times h^4
    torch.testing.assert_close(logdet, want, rtol=0, atol=1e-5)
    assert logdet.abs().max() > 0.05


def test_densities_agree_along_a_flow_that_is_no_gradient():
    # adding J score keeps every law and changes the paths, for J = -J'
    world = worlds.World(PATHS["trig"], laws.mixture(normal(3, 2), 0.5))
    J = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)

    def swirling(x, t):
        return world.velocity(x, t) + 2 * world.score(x, t) @ J.mT

    x = world.draw(6, 0.9, shapes.rng(4))[2]
    end, logdet = solvers.flow(tables.rk4(DOWN), swirling, x)
    plain, _ = solvers.flow(tables.rk4(DOWN), world.velocity, x)
    want = world.log_prob(x, 0.9) - world.log_prob(end, 0.4)
    torch.testing.assert_close(logdet, want, rtol=0, atol=1e-5)
    assert (end - plain).norm(dim=-1).min() > 0.05


def test_flow_there_and_back_is_nothing():
    world, x = worlds.World(PATHS["vp"], LAWS["mixture"]), normal(4, D)
    ts = tables.uniform(0.8, 0.4, 20)
    there, down = solvers.flow(tables.rk4(ts), world.velocity, x)
    back, up = solvers.flow(tables.rk4(ts.flip(0)), world.velocity, there)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-6)
    torch.testing.assert_close(up, -down, rtol=0, atol=1e-6)


def test_the_flow_carries_one_gaussian_into_the_other():
    path, law = PATHS["straight"], LAWS["repeated"]
    world = worlds.World(path, law)
    ts = tables.uniform(0.9, 0.2, 40)
    x = torch.cat([torch.eye(D), torch.zeros(1, D)]).double()
    end = solvers.solve(tables.rk4(ts), world.velocity, x)
    M, m = (end[:D] - end[D]).mT, end[D]
    start = world.law(0.9)
    got = laws.gaussian(M @ start.mean() + m, M @ start.cov() @ M.mT)
    assert metrics.gaussian_w2(got, world.law(0.2)) < 1e-5


# ----------------------------------------------------------------- refusals

V, T = ValueError, TypeError
nan = float("nan")
NOISY = tables.ddim(PATHS["vp"], DOWN, 1.0)
RK, x = tables.rk4(DOWN), BEGIN


def still(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """A field that does not move."""
    return 0 * x


def burst(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """A field that runs away."""
    return x**9


WRONG = {
    "no rng": (
        V,
        "adds noise: give a generator",
        lambda: solvers.solve(NOISY, still, x),
    ),
    "x nan": (V, "x holds NaN", lambda: solvers.solve(RK, still, x * nan)),
    "x ints": (T, "x is torch.int64", lambda: solvers.solve(RK, still, x.long())),
    "x number": (V, r"x has shape \(\)", lambda: solvers.solve(RK, still, x[0, 0])),
    "x list": (T, "x is list", lambda: solvers.solve(RK, still, [1.0])),
    "blow up": (V, "blew up", lambda: solvers.solve(RK, burst, 1e9 * x)),
    "nan field": (
        V,
        "blew up to NaN or inf",
        lambda: solvers.solve(RK, lambda x, t: x * nan, x),
    ),
    "outside the path": (
        V,
        r"lives on \[0, 1\]",
        lambda: solvers.solve(
            tables.euler(DOWN + 0.5),
            worlds.World(PATHS["vp"], LAWS["gaussian"]).score,
            normal(2, D),
        ),
    ),
    "flow of a denoiser": (
        V,
        "eats denoise; flow needs",
        lambda: solvers.flow(tables.ddim(PATHS["vp"], DOWN), still, x),
    ),
    "flow with noise": (V, "adds noise; flow", lambda: solvers.flow(NOISY, still, x)),
    "flow x": (V, r"x has shape \(\)", lambda: solvers.flow(RK, still, x[0, 0])),
    "flow nan": (V, "x holds NaN", lambda: solvers.flow(RK, still, x * nan)),
    "flow ints": (T, "x is torch.int64", lambda: solvers.flow(RK, still, x.long())),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
