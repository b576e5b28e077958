"""tables: tableaus by the exact order conditions, DDIM by dense conditioning.

Tolerances: 1e-12, some roundings of numbers of order one.
"""

import itertools
import math
from fractions import Fraction

import pytest
import torch
from examples import PATHS, TWO_ENDS, D, named, normal, refuses

from diffkit import paths, tables

close = {"rtol": 1e-12, "atol": 1e-12}
DOWN = torch.tensor([0.9, 0.7, 0.4, 0.1, 0.0], dtype=torch.float64)
ORDERS = {"euler": 1, "heun": 2, "rk4": 4}


# -------------------------------------------------------------------- grids


def test_uniform_steps_are_equal_and_the_ends_are_exact():
    ts = tables.uniform(1.0, 0.1, 9)
    assert ts[0] == 1.0 and ts[-1] == 0.1 and len(ts) == 10
    torch.testing.assert_close(
        ts.diff(), torch.full((9,), -0.1, dtype=torch.float64), **close
    )


@named(PATHS)
def test_by_nsr_steps_are_equal_ratios(name):
    path = PATHS[name]
    nsr = path.nsr(tables.by_nsr(path, 4.0, 0.1, 7))
    want = 4.0 * (0.1 / 4.0) ** (torch.arange(8).double() / 7)
    torch.testing.assert_close(nsr, want, rtol=1e-12, atol=0)
    up = tables.by_nsr(path, 0.1, 4.0, 7)
    torch.testing.assert_close(up.flip(0), tables.by_nsr(path, 4.0, 0.1, 7), **close)


# -------------------------------------------------------------- Runge-Kutta

# A rooted tree is the sorted tuple of its branches; a leaf is ().


def trees(order: int) -> set[tuple]:
    """All rooted trees with this many vertices."""
    if order == 1:
        return {()}
    grown = set()
    for small in trees(order - 1):
        grown |= set(graft(small))
    return grown


def graft(tree: tuple):
    """The tree with one more leaf, at any vertex."""
    yield tuple(sorted((*tree, ())))
    for i, branch in enumerate(tree):
        for more in graft(branch):
            yield tuple(sorted((*tree[:i], more, *tree[i + 1 :])))


def vertices(tree: tuple) -> int:
    return 1 + sum(map(vertices, tree))


def density(tree: tuple) -> int:
    """gamma: the product of the sizes of all subtrees."""
    return vertices(tree) * math.prod(map(density, tree))


def weights(a: tuple, tree: tuple) -> list[Fraction]:
    """The elementary weight of the tree at every stage."""
    inner = [weights(a, branch) for branch in tree]
    sums = [
        [sum((r * w for r, w in zip(row, ws, strict=False)), Fraction(0)) for row in a]
        for ws in inner
    ]
    return [math.prod((s[i] for s in sums), start=Fraction(1)) for i in range(len(a))]


def off(method: tables.Stages, tree: tuple) -> Fraction:
    """b . Phi(tree) - 1 / gamma(tree), zero if the order condition holds."""
    phi = weights(method.a, tree)
    return sum(b * w for b, w in zip(method.b, phi, strict=True)) - Fraction(
        1, density(tree)
    )


def test_there_are_as_many_trees_as_cayley_counted():
    assert [len(trees(n)) for n in range(1, 6)] == [1, 1, 2, 4, 9]


@named(ORDERS)
def test_runge_kutta_meets_its_order_conditions_and_no_more(name):
    method, order = getattr(tables, name)(DOWN), ORDERS[name]
    upto = itertools.chain(*(trees(n) for n in range(1, order + 1)))
    assert all(off(method, tree) == 0 for tree in upto)
    assert any(off(method, tree) != 0 for tree in trees(order + 1))


def test_no_stage_falls_outside_the_grid_by_a_rounding_error():
    ts = tables.uniform(1.0, 0.0, 49)
    seen = []
    for name in ORDERS:
        method = getattr(tables, name)(ts)
        for n in range(len(method)):
            method.step(n, lambda x, t: seen.append(t) or x, normal(D), [], None)
    assert min(seen) >= 0 and max(seen) <= 1 and len(seen) == 49 * 7


# ---------------------------------------------------------------------- DDIM


def span(path: paths.Path) -> torch.Tensor:
    return DOWN * path.T


@named(PATHS)
def test_ancestral_steps_are_the_bridge_by_dense_conditioning(name):
    # given x0, (x_s, x_t) is Gaussian with covariance [[g_s^2, r g_s^2], [., g_t^2]]
    # because x_t = r x_s + fresh noise, r = a_t / a_s; then condition on x_t
    path = PATHS[name]
    table = tables.ddim(path, span(path), 1.0)
    c = path.at(span(path))
    for n in range(4):
        r = c.a[n] / c.a[n + 1]
        gain = r * c.g2[n + 1] / c.g2[n]
        var = c.g2[n + 1] - gain * r * c.g2[n + 1]
        torch.testing.assert_close(table.A[n], gain, **close)
        torch.testing.assert_close(table.B[n, 0], c.a[n + 1] - gain * c.a[n], **close)
        torch.testing.assert_close(table.S[n] ** 2, var, **close)
    assert table.eats == "denoise" and table.random


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@named(PATHS)
def test_every_eta_keeps_the_noise_level_of_the_path(name, eta):
    path = PATHS[name]
    table, c = tables.ddim(path, span(path), eta), path.at(span(path))
    torch.testing.assert_close(table.A * c.a[:-1] + table.B[:, 0], c.a[1:], **close)
    level = table.A**2 * c.g2[:-1] + table.S**2
    torch.testing.assert_close(level, c.g2[1:], **close)
    top = tables.ddim(path, span(path), 1.0).S
    torch.testing.assert_close(table.S, eta * top, **close)
    assert table.random == (eta > 0)


@named(PATHS)
def test_ddim_is_euler_in_the_noise_to_signal_ratio(name):
    # y = x / a, dy / d nsr = (y - D) / nsr
    path = PATHS[name]
    ts = span(path)
    table, nsr, a = tables.ddim(path, ts), path.nsr(ts), path.at(ts).a
    x, guess = normal(D), normal(D, seed=1)
    for n in range(4):
        y = x / a[n]
        y = y + (nsr[n + 1] - nsr[n]) * (y - guess) / nsr[n]
        got = table.step(n, lambda x, t: guess, x, [], None)
        torch.testing.assert_close(got, a[n + 1] * y, **close)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@named(PATHS)
def test_the_last_step_to_the_data_is_the_denoiser(name, eta):
    path = PATHS[name]
    table = tables.ddim(path, span(path), eta)
    assert table.A[-1] == 0 and table.S[-1] == 0
    # a(0) is 1 to rounding: cosine and zero terminal compute a quotient there
    assert table.B[-1, 0].item() == pytest.approx(1, rel=1e-15, abs=0)


@named(PATHS)
def test_ddim_steps_back_where_it_came_from(name):
    path = PATHS[name]
    ts = span(path)[:-1]
    there, back = tables.ddim(path, ts), tables.ddim(path, ts.flip(0))
    torch.testing.assert_close(there.A * back.A.flip(0), torch.ones(3).double())
    B = there.B + there.A.unsqueeze(1) * back.B.flip(0)
    torch.testing.assert_close(B, torch.zeros(3, 1).double(), **close)


def test_ddim_runs_to_and_from_the_end_without_signal():
    path = paths.one_sided()
    up = tables.ddim(path, tables.uniform(0.5, 1.0, 2))
    torch.testing.assert_close(
        up.A, torch.tensor([1.5, 4 / 3], dtype=torch.float64), **close
    )
    down = tables.ddim(path, tables.uniform(1.0, 0.5, 2), 1.0)
    # from all noise the ancestral step forgets x and draws from the path
    c = path.at(0.75)
    assert down.A[0] == 0 and down.S[0] == pytest.approx(c.g.item(), rel=1e-14)


def test_tiny_ratios_give_no_nan():
    path = paths.edm(1e4)
    ts = torch.tensor([1e4, 1.0, 1e-6, 0.0], dtype=torch.float64)
    for eta in (0.0, 0.5, 1.0):
        table = tables.ddim(path, ts, eta)
        assert all(torch.isfinite(u).all() for u in (table.A, table.B, table.S))


# ----------------------------------------------------------------- refusals

V, T = ValueError, TypeError
nan, inf = float("nan"), float("inf")
VP, grid = PATHS["vp"], DOWN
one = torch.ones(4, dtype=torch.float64)


def table(**change) -> tables.Table:
    """A table, some of it wrong."""
    parts = {"eats": "noise", "ts": grid, "A": one, "B": one[:, None], "S": 0 * one}
    return tables.Table(**(parts | change))


def stages(a: tuple, b: tuple) -> tables.Stages:
    return tables.Stages(grid, tuple(sum(r, Fraction(0)) for r in a), a, b)


F = Fraction
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
    "empty grid": (V, order, lambda: tables.euler(grid[:0])),
    "one time": (V, order, lambda: tables.heun(grid[:1])),
    "a number": (V, order, lambda: tables.rk4(grid[0])),
    "a table of times": (V, order, lambda: tables.rk4(grid[:4].reshape(2, 2))),
    "back and forth": (V, order, lambda: tables.euler(grid[[0, 2, 1]])),
    "standing still": (V, order, lambda: tables.euler(grid[[0, 1, 1]])),
    "nan time": (V, "ts holds NaN", lambda: tables.euler(grid * nan)),
    "ints": (T, "ts is torch.int64", lambda: tables.euler(torch.arange(3))),
    "list": (T, "ts is list", lambda: tables.euler([1.0, 0.0])),
    "ddim grid": (V, order, lambda: tables.ddim(VP, grid[[0, 2, 1]])),
    "ddim late": (V, r"lives on \[0, 1\]", lambda: tables.ddim(VP, grid + 0.5)),
    "ddim from 0": (
        V,
        "leaves from noise level 0",
        lambda: tables.ddim(VP, grid.flip(0)),
    ),
    "eta < 0": (V, "eta is -0.1.*between 0 and 1", lambda: tables.ddim(VP, grid, -0.1)),
    "eta > 1": (V, "eta is 1.1", lambda: tables.ddim(VP, grid, 1.1)),
    "eta nan": (V, "eta is nan", lambda: tables.ddim(VP, grid, nan)),
    "eta upwards": (
        V,
        "from noise to data",
        lambda: tables.ddim(VP, grid[:4].flip(0), 0.5),
    ),
    "ddim two ends": (V, "second end", lambda: tables.ddim(TWO_ENDS, grid[1:])),
    "eats": (V, "eats is 'x0'; it must be one of", lambda: table(eats="x0")),
    "A rows": (V, "must have 4 rows", lambda: table(A=one[:3])),
    "B axis": (V, "must have 4 rows", lambda: table(B=one)),
    "S rows": (V, "must have 4 rows", lambda: table(S=one[:, None])),
    "A nan": (V, "A holds NaN", lambda: table(A=one * nan)),
    "c": (
        V,
        "rows of a must sum to c",
        lambda: tables.Stages(grid, (F(1),), ((),), (F(1),)),
    ),
    "b": (V, "and b to 1", lambda: stages(((),), (F(1, 2),))),
    "implicit": (
        V,
        "row i of a must have i entries",
        lambda: stages(((F(1),),), (F(1),)),
    ),
    "b too long": (V, "row for each of b", lambda: stages(((),), (F(1), F(0)))),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
