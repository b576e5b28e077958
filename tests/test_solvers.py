"""solvers: the fold, its trail, its end laws by recursion."""

import math

import numpy as np
import pytest
import torch
from examples import LAWS, PATHS, D, named, normal, refuses, uniform

from diffkit import chains, laws, metrics, shapes, solvers, tables, worlds

DOWN = tables.uniform(0.9, 0.4, 20)


def problem(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """x' = -2 t x^2 and y' = (cos t - 2 t x) y: coupled, and not autonomous."""
    u, v = x.unbind(-1)
    return torch.stack([-2 * t * u**2, (math.cos(t) - 2 * t * u) * v], -1)


BEGIN = 0.5 + uniform(4, 2)


def slope(steps: list[int], errors: list[float]) -> float:
    """Of log error against log step."""
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


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
    ts = tables.uniform(0.3, 1.3, 5)
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
    "broad field": (
        V,
        r"returned \(4, 1\) for x of shape \(4, 2\)",
        lambda: solvers.solve(RK, lambda x, t: x[:, :1], x),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
