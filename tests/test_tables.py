"""tables: the one form against a plain loop, grids by what they keep equal.

Tolerances: 1e-12, some roundings of numbers of order one.
"""

import math

import numpy as np
import pytest
import torch
from examples import PATHS, TWO_ENDS, D, named, normal, refuses, uniform

from diffkit import chains, paths, shapes, solvers, tables

close = {"rtol": 1e-12, "atol": 1e-12}
DOWN = torch.tensor([0.9, 0.7, 0.4, 0.1, 0.0], dtype=torch.float64)


# -------------------------------------------------------------------- table


def pull(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """A field that is neither linear nor autonomous."""
    return torch.sin(x + t) - 0.3 * x


@pytest.mark.parametrize("back", [(1, 1), (3, 2), (1, 4), (2, 2)], ids=str)
def test_a_table_is_the_sum_it_says(back):
    # every state and every value of the field kept, in numpy, one entry at a time
    m, (width, length) = 7, back
    ts, x = 0.2 + uniform(m + 1), normal(5, D)
    A, B = normal(m, width, seed=1).tril(), normal(m, length, seed=2).tril()
    B[:, 0] *= uniform(m, seed=3) > 0.4  # at some states nobody asks
    S = uniform(m, seed=4) * (uniform(m, seed=5) > 0.5)
    A[4:6], B[4:6], B[4, -1], S[5] = 0, 0, 1.5, 0.7  # of one old F, of noise alone
    table = tables.Table("score", ts, A, B, S)
    got = solvers.solve(table, pull, x, shapes.rng(6), keep=True)
    rng, states, past = shapes.rng(6), [x.numpy()], []
    for n in range(m):
        past.append(np.sin(states[n] + ts[n].item()) - 0.3 * states[n])
        new = np.zeros((5, D))
        for i in range(min(width, n + 1)):
            new += A[n, i].item() * states[n - i]
        for j in range(min(length, n + 1)):
            new += B[n, j].item() * past[n - j]
        if S[n] != 0:
            z = torch.randn(x.shape, generator=rng, dtype=torch.float64)
            new += S[n].item() * z.numpy()
        states.append(new)
    torch.testing.assert_close(got, torch.tensor(np.stack(states)), **close)
    assert table.random


def test_the_field_is_asked_only_where_it_is_used():
    times = []

    def seen(x, t):
        times.append(t.item())
        return x

    one = torch.ones(4, 1).double()
    B = torch.tensor([[1.0, 0], [0, 0], [0, 1], [0, 0]]).double()
    table = tables.Table("score", DOWN, one, B, torch.zeros(4).double())
    solvers.solve(table, seen, normal(D))
    assert times == DOWN[[0, 1]].tolist() and table.evaluations == 2


def test_stages_are_no_part_of_the_trail():
    ts = tables.uniform(1.0, 0.0, 3)
    table = tables.rk4(ts)
    assert torch.equal(table.ts[table.lands], ts) and table.evaluations == 12
    assert len(solvers.solve(table, pull, normal(D), keep=True)) == 4


def test_a_row_of_zeros_forgets():
    zero = torch.zeros(4, 1).double()
    table = tables.Table("score", DOWN, zero, zero, torch.zeros(4).double())
    assert torch.equal(solvers.solve(table, pull, normal(D)), torch.zeros(D).double())
    assert not table.random and table.evaluations == 0


# ------------------------------------------------------------------- slopes

MAKERS = {
    "ddim": tables.ddim,
    "ddim 1/2": lambda path, ts: tables.ddim(path, ts, 0.5),
    "ancestral": tables.ancestral,
    "forward": lambda path, ts: tables.ancestral(path, ts, "forward"),
    "exponential": lambda path, ts: tables.exponential(path, ts, 3),
    "by nsr": lambda path, ts: tables.exponential(path, ts, 3, "denoise", "nsr"),
    "v": lambda path, ts: tables.exponential(path, ts, 2, "v"),
    "velocity": lambda path, ts: tables.exponential(path, ts, 3, "velocity"),
    "sde": lambda path, ts: tables.exponential_sde(path, ts, 2, 0.7),
    "dpmpp": lambda path, ts: tables.dpmpp(path, ts, 3),
    "2s": tables.dpmpp_2s,
    "dpm solver": lambda path, ts: tables.dpm_solver(path, ts, 3),
    "unipc": lambda path, ts: tables.unipc(path, ts, 2),
    "edm": tables.edm,
    "churned": lambda path, ts: tables.edm(path, ts, churn=0.5),
    "euler maruyama": tables.euler_maruyama,
    "stochastic heun": tables.stochastic_heun,
    "rk4": lambda path, ts: tables.rk4(ts),
}


@pytest.mark.parametrize("path", ["vp", "edm"])
@named(MAKERS)
def test_weights_have_their_slopes_in_the_grid(name, path):
    # central differences of 1e-6: errors of 1e-12 / 6 times third derivatives, and of
    # 1e-16 / 1e-6 by rounding
    path = PATHS[path]
    ts = path.T * torch.tensor([0.8, 0.5, 0.35, 0.2, 0.12], dtype=torch.float64)
    ts.requires_grad_()

    def weights(ts):
        table = MAKERS[name](path, ts)
        return torch.cat([table.A.flatten(), table.B.flatten(), table.S])

    assert torch.autograd.gradcheck(weights, ts, eps=1e-6, rtol=1e-5, atol=1e-7)


# -------------------------------------------------------------------- grids


def test_uniform_steps_are_equal_and_the_ends_are_exact():
    ts = tables.uniform(1.0, 0.1, 9)
    assert ts[0] == 1.0 and ts[-1] == 0.1 and len(ts) == 10
    torch.testing.assert_close(
        ts.diff(), torch.full((9,), -0.1, dtype=torch.float64), **close
    )


EQUAL = {  # what a grid keeps equal, as a function of the nsr
    "by_nsr": (tables.by_nsr, torch.log),
    "by_rho": (tables.by_rho, lambda nsr: nsr ** (1 / 7)),
    "by_rho 1": (lambda *a: tables.by_rho(*a, rho=1), lambda nsr: nsr),
    "by_angle": (
        lambda path, *a: tables.by_angle(path, 2.5, *a),
        lambda nsr: torch.atan2(nsr, torch.tensor(2.5).double().sqrt()),
    ),
}


@pytest.mark.parametrize("kind", list(EQUAL))
@named(PATHS)
def test_steps_are_equal_in_what_the_name_says(name, kind):
    path, (make, clock) = PATHS[name], EQUAL[kind]
    ts = make(path, 4.0, 0.1, 7)
    h = clock(path.nsr(ts)).diff()
    torch.testing.assert_close(h, h.mean().expand(7), rtol=1e-9, atol=0)
    ends = path.nsr(ts[[0, -1]])
    torch.testing.assert_close(
        ends, torch.tensor([4.0, 0.1], dtype=torch.float64), **close
    )
    torch.testing.assert_close(make(path, 0.1, 4.0, 7).flip(0), ts, **close)


def test_a_large_rho_is_equal_in_logarithms():
    # nsr^(1/rho) = 1 + log(nsr) / rho + O(1 / rho^2)
    path = PATHS["edm"]
    far = tables.by_rho(path, 4.0, 0.1, 5, rho=1e6)
    torch.testing.assert_close(far, tables.by_nsr(path, 4.0, 0.1, 5), rtol=1e-5, atol=0)


def test_equal_angles_run_from_pure_noise_to_the_data():
    ts = tables.by_angle(paths.one_sided(), 1.0, math.inf, 0.0, 6)
    assert ts[0] == 1 and ts[-1] == 0
    theta = chains.angle(paths.one_sided(), torch.ones(7).double(), ts)
    torch.testing.assert_close(
        theta.diff(), torch.full((6,), -math.pi / 12, dtype=torch.float64), **close
    )


def test_to_data_adds_the_last_step():
    ts = tables.by_rho(PATHS["edm"], 4.0, 0.01, 5)
    assert torch.equal(tables.to_data(ts)[:-1], ts) and tables.to_data(ts)[-1] == 0


# ----------------------------------------------------------------- refusals

V, T = ValueError, TypeError
nan, inf = float("nan"), float("inf")
VP, grid = PATHS["vp"], DOWN
one = torch.ones(4, 1, dtype=torch.float64)


def table(**change) -> tables.Table:
    """A table, some of it wrong."""
    parts = {"eats": "noise", "ts": grid, "A": one, "B": one, "S": 0 * one[:, 0]}
    return tables.Table(**(parts | change))


yes = torch.ones(5, dtype=torch.bool)
order = "at least two times, all increasing or all decreasing"
WRONG = {
    "no steps": (V, "0 steps from 1.0 to 0.0", lambda: tables.uniform(1.0, 0.0, 0)),
    "same ends": (V, "two different", lambda: tables.uniform(1.0, 1.0, 3)),
    "nan end": (V, "from nan to 0.0", lambda: tables.uniform(nan, 0.0, 3)),
    "inf end": (V, "finite times", lambda: tables.uniform(inf, 0.0, 3)),
    "nsr 0": (V, "nsr runs from 1.0 to 0.0", lambda: tables.by_nsr(VP, 1.0, 0.0, 3)),
    "nsr nan": (V, "ratios > 0", lambda: tables.by_nsr(VP, nan, 1.0, 3)),
    "nsr same": (V, "two different", lambda: tables.by_nsr(VP, 1.0, 1.0, 3)),
    "nsr beyond": (V, "reaches 0 to", lambda: tables.by_nsr(VP, 1e9, 1.0, 3)),
    "nsr two ends": (V, "second end", lambda: tables.by_nsr(TWO_ENDS, 2.0, 1.0, 3)),
    "nsr no steps": (V, "0 steps", lambda: tables.by_nsr(VP, 2.0, 1.0, 0)),
    "rho 0": (V, "rho is 0", lambda: tables.by_rho(VP, 2.0, 1.0, 3, rho=0)),
    "rho nan": (V, "rho is nan", lambda: tables.by_rho(VP, 2.0, 1.0, 3, rho=nan)),
    "rho low": (V, "ratios > 0", lambda: tables.by_rho(VP, 2.0, 0.0, 3)),
    "angle same": (V, "two different", lambda: tables.by_angle(VP, 1.0, 1.0, 1.0, 3)),
    "angle < 0": (
        V,
        "from 1.0 to -1.0",
        lambda: tables.by_angle(VP, 1.0, 1.0, -1.0, 3),
    ),
    "angle nan": (V, "from nan", lambda: tables.by_angle(VP, 1.0, nan, 0.0, 3)),
    "angle lam": (V, "lam is 0", lambda: tables.by_angle(VP, 0.0, 1.0, 0.0, 3)),
    "angle inf": (V, "reaches 0 to", lambda: tables.by_angle(VP, 1.0, inf, 0.0, 3)),
    "to data from data": (V, "end above 0", lambda: tables.to_data(grid)),
    "to data upwards": (V, "must run down", lambda: tables.to_data(grid[:4].flip(0))),
    "empty grid": (V, order, lambda: tables.steps(grid[:0])),
    "one time": (V, order, lambda: tables.steps(grid[:1])),
    "a number": (V, order, lambda: tables.steps(grid[0])),
    "a table of times": (V, order, lambda: tables.steps(grid[:4].reshape(2, 2))),
    "back and forth": (V, order, lambda: tables.steps(grid[[0, 2, 1]])),
    "standing still": (V, order, lambda: tables.steps(grid[[0, 1, 1]])),
    "nan time": (V, "ts holds NaN", lambda: tables.steps(grid * nan)),
    "ints": (T, "ts is torch.int64", lambda: tables.steps(torch.arange(3))),
    "list": (T, "ts is list", lambda: tables.steps([1.0, 0.0])),
    "eats": (V, "target 'x0' is unknown", lambda: table(eats="x0")),
    "A rows": (V, "must have 4 rows", lambda: table(A=one[:3])),
    "A axis": (V, "A and B two axes", lambda: table(A=one[:, 0])),
    "B axis": (V, "must have 4 rows", lambda: table(B=one[:, 0])),
    "S rows": (V, "must have 4 rows", lambda: table(S=one)),
    "A nan": (V, "A holds NaN", lambda: table(A=one * nan)),
    "S nan": (V, "S holds NaN", lambda: table(S=one[:, 0] * nan)),
    "times nan": (V, "ts holds NaN", lambda: table(ts=grid * nan)),
    "one state": (V, "two times or more", lambda: table(ts=grid[:1])),
    "ts list": (T, "ts is list", lambda: table(ts=[1.0, 0.0])),
    "A too far": (V, "A reaches back", lambda: table(A=one.expand(4, 2))),
    "B too far": (V, "B reaches back", lambda: table(B=one.expand(4, 2))),
    "lands": (V, "mark 5 states", lambda: table(lands=yes[:4])),
    "lands nowhere": (V, "the first and the last", lambda: table(lands=~yes)),
    "clock": (V, "hold 5 times", lambda: table(clock=grid[:4])),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
