"""exponential: orders, by regression on the flow of a mixture.

A slope is told to 0.1: the numbers of steps are large enough that the next term of the
error changes it by less, and small enough that rounding, 1e-16 an evaluation, does not.
"""

import functools
import math

import numpy as np
import pytest
import torch
from examples import PATHS, named
from scipy.integrate import solve_ivp
from test_exponentials import VARIABLES

from diffkit import fields, laws, tables, worlds

# Data +-1 of variance v on the straight path: a = 1 - t, g = t, so that r is not 1,
# and none of the variables is another. lam runs where the two groups part: before and
# behind, the targets bend the other way, and errors of opposite sign would cancel at
# some N. The norm over eight points does not pass through zero where one of them does.
PATH, m, v, w = PATHS["straight"], 1.0, 0.25, 0.7
LAM = (-0.3, 0.9)
ODD = math.log(w / (1 - w)) / 2
START = torch.linspace(-1.5, 2, 8, dtype=torch.float64)[:, None]


def denoise(x, t):
    a, g2 = 1 - t, t * t
    V = a * a * v + g2
    return (a * v * x + g2 * m * (a * m / V * x + ODD).tanh()) / V


LEAN = {
    "denoise": denoise,
    "noise": lambda x, t: (x - (1 - t) * denoise(x, t)) / t,
    "velocity": lambda x, t: (x - denoise(x, t)) / t,
    "v": lambda x, t: ((1 - t) * x - ((1 - t) ** 2 + t * t) * denoise(x, t)) / t,
}


def test_the_lean_problem_is_a_world():
    means, weights = torch.tensor([[m], [-m]]), torch.tensor([w, 1 - w])
    world = worlds.World(PATH, laws.mixture(means.double(), v, weights.double()))
    for target, F in LEAN.items():
        t = torch.tensor(0.37).double()
        torch.testing.assert_close(
            F(START, t),
            fields.convert(world.denoise, PATH, "denoise", target)(START, t),
        )


def times(s: torch.Tensor) -> torch.Tensor:
    """At parts s of the way in lam; nsr = t / (1 - t) by hand."""
    nsr = (-(LAM[0] + (LAM[1] - LAM[0]) * s)).exp()
    return nsr / (1 + nsr)


def slope_of_flow(t, x):
    """The velocity in numpy."""
    a, V = 1 - t, (1 - t) ** 2 * v + t * t
    return (x - (a * v * x + t * t * m * np.tanh(a * m / V * x + ODD)) / V) / t


@functools.cache
def exact(time: float) -> torch.Tensor:
    """The flow from the start by an explicit Runge-Kutta of order 8, to 1e-13."""
    first = times(torch.zeros(1).double()).item()
    if time == first:
        return START
    end = solve_ivp(
        slope_of_flow, (first, time), START[:, 0], "DOP853", rtol=1e-13, atol=1e-14
    )
    return torch.tensor(end.y[:, -1:])


def equal(N):
    return torch.arange(N + 1).double() / N


def growing(N):
    """Every step by the same factor longer than the one before, twice in all."""
    return 2 ** equal(N) - 1


def alternating(N):
    h = torch.tensor([1.0, 2.0]).double().repeat(N // 2)
    return torch.cat([torch.zeros(1).double(), h.cumsum(0)]) / h.sum()


GRIDS = {"equal": equal, "growing": growing, "alternating": alternating}
NUMBERS = dict.fromkeys((1, 2, 3), (32, 48, 72)) | {4: (48, 72, 108)}


def run(table: tables.Table, given: int = 0) -> torch.Tensor:
    """The end point; the states that end the first ``given`` steps are exact."""
    states, past, F = [START], [], LEAN[table.eats]
    last = table.ts.unique().flip(0)[given]
    for n in range(len(table)):
        table.step(n, F, states, past)
        if given and table.ts[n + 1] >= last:
            states[0] = exact(table.ts[n + 1].item())
    return states[0]


def slope(build, grid, given=0, numbers=NUMBERS[3]) -> float:
    """The order, by regression of log error on log N."""
    errors = []
    for N in numbers:
        ts = times(grid(N))
        errors.append((run(build(ts), given) - exact(ts[-1].item())).norm())
    assert min(errors) > 1e-11  # the reference is good to 1e-13
    return -np.polyfit(np.log(numbers), np.log(errors), 1)[0]


def builders() -> dict:
    """name: (its order, how many starting values it wants, the builder)."""
    found = {"2s": (2, 0, tables.dpmpp_2s)}
    for p in (1, 2, 3, 4):
        for target, by in VARIABLES:
            build = functools.partial(tables.exponential, order=p, target=target, by=by)
            found[f"{target} in {by} {p}"] = (p, p - 1, build)
    for p in (2, 3):
        found[f"dpm_solver {p}"] = (p, 0, functools.partial(tables.dpm_solver, order=p))
        # both of order 2, the other for want of a factor 2
        found[f"dpmpp {p}"] = (2, p - 1, functools.partial(tables.dpmpp, order=p))
    for p in (1, 2, 3):
        for target in ("denoise", "noise"):
            for b in ("bh1", "bh2"):
                build = functools.partial(tables.unipc, order=p, target=target, b=b)
                found[f"unipc {p} {target} {b}"] = (p + 1, p - 1, build)
    build = functools.partial(tables.unipc, order=2, b="bh1", corrector=False)
    found["unip 2 bh1"] = (2, 1, build)
    return found


ORDERS = builders()


@named(ORDERS)
def test_from_exact_starting_values_the_order_is_the_one_told(name):
    order, given, build = ORDERS[name]
    for kind in GRIDS.values():
        got = slope(lambda ts: build(PATH, ts), kind, given, NUMBERS[order])
        assert abs(got - order) < 0.1


STARTED = [n for n, (_, given, _) in ORDERS.items() if given > 1 or "dpmpp 3" in n]


@pytest.mark.parametrize("name", STARTED)
def test_on_equal_steps_the_start_costs_h_squared_or_cubed(name):
    """h^2 is lost by the first step, DDIM; a corrector leaves h^3 of it."""
    build = ORDERS[name][2]
    order, numbers = (3, (96, 144, 216)) if "unipc" in name else (2, NUMBERS[4])
    got = slope(lambda ts: build(PATH, ts), equal, numbers=numbers)
    assert abs(got - order) < 0.1


FIRST = [n for n in STARTED if n[-1] != "4"]


@pytest.mark.parametrize("name", FIRST)
def test_one_more_step_at_the_start_of_length_h_squared_mends_that(name):
    """It loses h^4; divided by its length in the next slope, h^2, times h^2 again."""
    order, _, build = ORDERS[name]

    def prepared(N):
        s = equal(N)
        return torch.cat([s[:1], s[1:2] ** 2, s[1:]])

    got = slope(lambda ts: build(PATH, ts), prepared, numbers=NUMBERS[order])
    assert abs(got - order) < 0.1


def end_variance(table: tables.Table, lam: float) -> float:
    """Of the end for data N(0, lam), by the weight of every noise in every state."""
    c = PATH.at(table.ts)
    gain = (c.a * lam / (c.a**2 * lam + c.g2)).tolist()
    A, B, S = table.A.numpy(), table.B.numpy(), table.S.numpy()
    x = np.zeros(len(S) + 1)
    x[0] = (c.a**2 * lam + c.g2)[0].sqrt()
    states, past = [x], []
    for n in range(len(S)):
        past.insert(0, gain[n] * states[0])
        new = sum(w * y for w, y in zip(A[n], states, strict=False))
        new = new + sum(w * y for w, y in zip(B[n], past, strict=False))
        new[n + 1] = S[n]
        states, past = [new], past[:3]
    return (states[0] ** 2).sum()


WEAK = {
    "ancestral": (1, lambda ts: tables.exponential_sde(PATH, ts, 1)),
    "half of it": (1, lambda ts: tables.exponential_sde(PATH, ts, 1, 0.5)),
    "2": (2, lambda ts: tables.exponential_sde(PATH, ts, 2)),
    "2, half": (2, lambda ts: tables.exponential_sde(PATH, ts, 2, 0.5)),
    "dpmpp_sde 2": (2, lambda ts: tables.dpmpp_sde(PATH, ts, 2)),
}


@named(WEAK)
def test_the_law_at_the_end_converges_with_the_order_told(name):
    """The variance for Gaussian data; no chance is left in it."""
    order, build = WEAK[name]
    errors = []
    for N in (64, 128, 256):
        ts = times(equal(N))
        truth = ((1 - ts[-1]) ** 2 * v + ts[-1] ** 2).item()
        errors.append(abs(end_variance(build(ts), v) - truth))
    got = np.polyfit(np.log([64, 128, 256]), np.log(errors), 1)[0]
    assert abs(-got - order) < 0.1
