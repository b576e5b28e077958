"""solvers, Brownian: its law by dense conditioning and samples, strong convergence.

Statistics: n independent points, 6 standard errors, seeds in the calls.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from examples import PATHS, D, cuda, named, normal, refuses

from diffkit import laws, shapes, solvers, tables, worlds

VP = PATHS["vp"]
ORDERS = {
    "rising": [0.25, 0.5, 1.0, 2.0],
    "falling": [2.0, 1.0, 0.5, 0.25],
    "mixed": [1.0, 0.25, 2.0, 0.5],
    "both sides": [0.5, -1.0, 2.0, -0.5],
}


def motion(*shape: int, seed: int = 0) -> solvers.Brownian:
    return solvers.Brownian(torch.zeros(shape, dtype=torch.float64), shapes.rng(seed))


def cov(s: float, t: float) -> float:
    """Of W(s) and W(t): min(|s|, |t|) on one side of 0, else nothing."""
    return min(abs(s), abs(t)) if s * t > 0 else 0.0


# ------------------------------------------------------------------- the law


@named(ORDERS)
def test_the_law_does_not_depend_on_the_order_of_asking(name):
    times, n = ORDERS[name], 20_000
    W = motion(n, 1)
    x = torch.stack([W(c)[:, 0] for c in times], 1).numpy()
    C = np.array([[cov(s, t) for t in times] for s in times])
    # Gaussian: var(x_i x_j) = C_ij^2 + C_ii C_jj
    error = np.sqrt((C**2 + np.outer(np.diag(C), np.diag(C))) / n)
    assert (np.abs(x.T @ x / n - C) <= 6 * error).all()
    assert (np.abs(x.mean(0)) <= 6 * np.sqrt(np.diag(C) / n)).all()


@named(ORDERS)
def test_each_value_is_drawn_given_all_others(name):
    # by dense Gaussian conditioning on every known value: that neighbours are enough
    # is the Markov property
    W, rng, known = motion(3, 2, seed=1), shapes.rng(1), {}
    for c in [*ORDERS[name], 0.75, 0.7501, -0.1]:
        z = torch.randn(3, 2, generator=rng, dtype=torch.float64)
        mean, var = torch.zeros(3, 2, dtype=torch.float64), abs(c)
        if known:
            times = list(known)
            C = np.array([[cov(s, t) for t in times] for s in times])
            k = np.array([cov(c, t) for t in times])
            gain = np.linalg.solve(C, k)
            mean = sum(w * v for w, v in zip(gain, known.values(), strict=True))
            var = abs(c) - gain @ k
        known[c] = W(c)
        # the dense solve loses digits where times are close
        torch.testing.assert_close(
            known[c], mean + math.sqrt(var) * z, rtol=1e-9, atol=1e-9
        )


def test_coordinates_and_points_are_independent():
    n = 20_000
    x = motion(n, 3)(2.0)
    C = x.mT @ x / n
    error = 2 * ((1 + torch.eye(3).double()) / n).sqrt()
    assert ((C - 2 * torch.eye(3).double()).abs() <= 6 * error).all()
    assert abs((x[1:] * x[:-1]).mean()) <= 6 * 2 / math.sqrt(3 * n)


# -------------------------------------------------------------- what was, stays


def test_a_known_value_is_never_made_again():
    W = motion(4, D)
    first = {c: W(c).clone() for c in (1.0, 0.2, -0.7)}
    for c in (0.5, 0.3, 1e-300, 5.0, -0.1, 0.2000001):
        W(c)
    assert all(torch.equal(W(c), v) for c, v in first.items())
    assert torch.equal(W(torch.tensor(0.2, dtype=torch.float64)), first[0.2])
    assert torch.equal(W(0), torch.zeros(4, D, dtype=torch.float64))
    assert W.times == sorted(W.times) and len(W.times) == 10


def test_increments_add_up():
    W = motion(4, D)
    whole = (W(2.0) - W(0.5)).clone()
    parts = [0.5, 0.7, 1.1, 1.9, 2.0]
    steps = [W.step(c, s) * (s - c) ** 0.5 for c, s in itertools.pairwise(parts)]
    torch.testing.assert_close(sum(steps), whole, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(W.step(2.0, 0.5), -W.step(0.5, 2.0))


def test_one_generator_state_is_one_motion():
    a, b, c = motion(4, D, seed=1), motion(4, D, seed=1), motion(4, D, seed=2)
    for t in (1.0, 0.3, 0.6):
        assert torch.equal(a(t), b(t)) and not torch.equal(a(t), c(t))


def agrees(device: str) -> None:
    for dtype in (torch.float32, torch.float64):
        for shape in ((D,), (0, D), (2, 3, D)):
            like = torch.ones(shape, dtype=dtype, device=device, requires_grad=True)
            W = solvers.Brownian(like, shapes.rng(0, device))
            for u in (W(1.0), W(0.5), W.step(0.5, 1.0)):
                assert (u.shape, u.dtype, u.device) == (shape, dtype, like.device)
                assert not u.requires_grad


def test_shape_and_type_are_those_of_the_points():
    agrees("cpu")


@cuda
def test_shape_and_type_are_those_of_the_points_on_a_gpu():
    agrees("cuda")


# --------------------------------------------------------- one motion, many grids


def finer(ts: torch.Tensor) -> torch.Tensor:
    """The grid and all its midpoints."""
    both = torch.cat([ts, (ts[1:] + ts[:-1]) / 2])
    return both.sort(descending=bool(ts[0] > ts[-1])).values


@pytest.mark.parametrize(("t", "s"), [(4.0, 1.0), (1.0, 4.0)])
def test_pure_noise_ends_where_the_motion_does(t, s):
    # x' = x + sqrt(k2 h) z without a field: the sum of the increments, on any grid
    ts, x, W = tables.uniform(t, s, 3), normal(4, D), motion(4, D, seed=3)
    ends = []
    for grid in (ts, finer(ts), finer(finer(ts))):
        table = tables.euler_maruyama(PATHS["edm"], grid, k2=0 * grid + 0.25)
        ends.append(solvers.solve(table, lambda x, t: 0 * x, x, W))
    for end in ends:
        torch.testing.assert_close(end, x + 0.5 * (W(s) - W(t)), rtol=1e-13, atol=1e-13)


@named(PATHS)
def test_ancestral_steps_toward_one_guess_end_in_one_point_on_any_grid(name):
    # exact for the bridge to fixed data, if the clock of the noise is 1 / nsr^2
    path, x, guess = PATHS[name], normal(4, D), normal(4, D, seed=1)
    ts = tables.uniform(0.9, 0.2, 3) * path.T
    W, ends = motion(4, D, seed=3), []
    for grid in (ts, finer(ts), finer(finer(ts))):
        table = tables.ancestral(path, grid)
        ends.append(solvers.solve(table, lambda x, t: guess, x, W))
    for end in ends[1:]:
        # W is known to a rounding of its size, up to 1e3 in steps of size 1
        torch.testing.assert_close(end, ends[0], rtol=1e-9, atol=1e-9)


MAKERS = {
    "euler_maruyama": lambda ts: tables.euler_maruyama(VP, ts),
    "half": lambda ts: tables.euler_maruyama(VP, ts, 0.5),
    "stochastic_heun": lambda ts: tables.stochastic_heun(VP, ts),
    "ancestral": lambda ts: tables.ancestral(VP, ts),
    "forward": lambda ts: tables.ancestral(VP, ts, "forward"),
    "ddim": lambda ts: tables.ddim(VP, ts, 0.5),
}
WORLD = worlds.World(VP, laws.gaussian(torch.tensor([0.7]).double(), 0.3))
N = 1000


def gaps(name: str, noises, steps: list[int]) -> list[float]:
    """Root mean square of x_N - x_2N, for runs that start alike."""
    x = WORLD.law(0.9).sample(N, shapes.rng(1))
    ends = []
    for n, noise in zip((*steps, 2 * steps[-1]), noises, strict=True):
        table = MAKERS[name](tables.uniform(0.9, 0.1, n))
        ends.append(solvers.solve(table, getattr(WORLD, table.eats), x, noise))
    return [(u - v).square().mean().sqrt().item() for u, v in itertools.pairwise(ends)]


@named(MAKERS)
def test_runs_on_one_motion_converge_with_order_one(name):
    # additive noise: strong order 1; with independent noise there is none
    steps, W = [32, 64, 128], motion(N, 1, seed=2)
    off = gaps(name, [W] * 4, steps)
    slope = -np.polyfit(np.log(steps), np.log(off), 1)[0]
    # the next term of the error is h smaller, and a root mean square of 1000 is known
    # to 2 percent, its ratio to that of the next grid better
    assert abs(slope - 1) < 0.1
    alone = gaps(name, [shapes.rng(s) for s in range(3)], [8, 16])
    assert abs(math.log2(alone[0] / alone[1])) < 0.3
    assert min(alone) > 10 * max(off)


def test_a_step_to_the_data_needs_no_motion():
    ts = tables.uniform(0.9, 0.0, 4)
    x = WORLD.law(0.9).sample(5, shapes.rng(1))
    for name, make in MAKERS.items():
        W = motion(5, 1)
        table = make(ts)
        end = solvers.solve(table, getattr(WORLD, table.eats), x, W)
        assert torch.isfinite(end).all(), name
        assert len(W.times) == 1 + 4  # 0 and the ends of three noisy steps


def test_a_table_without_noise_asks_nothing():
    W, x = motion(4, 1), normal(4, 1)
    table = tables.euler_maruyama(VP, tables.uniform(0.9, 0.1, 4), 0)
    solvers.solve(table, WORLD.score, x, W)
    assert W.times == [0.0]


# ----------------------------------------------------------------- refusals

V, T = ValueError, TypeError
x, ts = normal(4, 1), tables.uniform(0.9, 0.1, 3)
nan, inf = float("nan"), float("inf")
EM = tables.euler_maruyama(VP, ts)
one = torch.ones(3, 1, dtype=torch.float64)


def clocked(*times: float) -> tables.Table:
    """A table that only adds noise, with this clock."""
    clock = torch.tensor(times, dtype=torch.float64)
    return tables.Table("score", ts, one, 0 * one, one[:, 0], clock=clock)


def run(table: tables.Table, x: torch.Tensor = x, W: object = None):
    return lambda: solvers.solve(table, WORLD.score, x, W or motion(4, 1))


WRONG = {
    "seed": (T, "rng is int; it must be a generator", lambda: solvers.Brownian(x, 1)),
    "no rng": (T, "rng is NoneType", lambda: solvers.Brownian(x, None)),
    "like a number": (
        V,
        r"like has shape \(\)",
        lambda: solvers.Brownian(x[0, 0], shapes.rng(0)),
    ),
    "like ints": (
        T,
        "like is torch.int64",
        lambda: solvers.Brownian(x.long(), shapes.rng(0)),
    ),
    "like a list": (T, "like is list", lambda: solvers.Brownian([0.0], shapes.rng(0))),
    "like nan": (
        V,
        "like holds NaN",
        lambda: solvers.Brownian(x * nan, shapes.rng(0)),
    ),
    "elsewhere": (
        V,
        "rng lives on cpu and like on meta",
        lambda: solvers.Brownian(torch.ones(2, 1, device="meta"), shapes.rng(0)),
    ),
    "time nan": (V, "the time is nan", lambda: motion(1)(nan)),
    "time inf": (V, "the time is inf; W has a value", lambda: motion(1)(inf)),
    "no clock": (
        V,
        "this table has no clock",
        run(tables.langevin(VP, ts)),
    ),
    "churn has none": (V, "this table has no clock", run(tables.edm(VP, ts, 1.0))),
    "interleaved has none": (
        V,
        "this table has no clock",
        run(tables.interleaved(EM, tables.langevin(VP, ts))),
    ),
    "shape": (V, r"x is \(3, 1\) torch.float64 on cpu, but the Br", run(EM, x[:3])),
    "dtype": (V, "x is .* torch.float32", run(EM, x.float())),
    "standing clock": (V, "the clock stands there", run(clocked(0, 1, 1, 2))),
    "infinite clock": (V, "or is infinite", run(clocked(0, 1, 2, inf))),
    "two infinities": (V, "or is infinite", run(clocked(0, 1, inf, inf))),
    "nothing": (
        V,
        "adds noise: give a generator",
        lambda: solvers.solve(EM, WORLD.score, x),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
