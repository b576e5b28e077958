"""solvers.line: laws on the line without samples, against samplers whose law is known.

A linear field makes Gaussians of Gaussians, with mean and variance in closed form;
the mixture's own maps and kernels are held against bisection and scipy's quadrature.
"""

import math

import pytest
import torch
from examples import cuda, named, refuses
from scipy import integrate, optimize, stats

from diffkit import laws, paths, solvers, tables, worlds

F64, V = torch.float64, ValueError
PATH = paths.vp()
POINTS = torch.tensor([[-1.0], [0.5]], dtype=F64)
LAW = laws.mixture(POINTS, torch.full((2, 1, 1), 0.04, dtype=F64))
WORLD = worlds.World(PATH, LAW)
GRID = tables.by_nsr(PATH, 60.0, 0.05, 12)
CLEAN = tables.to_data(GRID)
DDIM = tables.ddim(PATH, CLEAN)
EDGES = torch.tensor([-0.6, -0.2, 0.3], dtype=F64)
X, W = solvers.panels(torch.linspace(-9, 9, 181, dtype=F64))
START = torch.exp(-X * X / 2) / math.sqrt(2 * math.pi)


def affine(x, t):
    """A denoiser that is affine in x."""
    return 0.3 + (0.6 - 0.5 * t) * x


def moments(table):
    """Mean and variance of every state, from N(0, 1), by the rows as they stand."""
    m, v = 0.0, 1.0
    for row in table.rows:
        A, B = (sum(u for _, u in terms) for terms in (row.states, row.past))
        t = row.t.item()
        slope = A + B * (0.6 - 0.5 * t)
        m, v = slope * m + B * 0.3, slope**2 * v + row.noise**2
    return m, v


def run(table, field, x):
    start = torch.tensor([[x]], dtype=F64)
    return solvers.solve(table, field, start).item()


def test_the_rule_in_panels_is_exact_for_polynomials():
    ends = torch.tensor([-1.0, 0.2, 0.5, 2.0], dtype=F64)
    x, w = solvers.panels(ends, 3)
    assert len(x) == 9 and (x.diff() > 0).all()
    for k in range(6):
        want = (2.0 ** (k + 1) - (-1.0) ** (k + 1)) / (k + 1)
        assert (w * x**k).sum().item() == pytest.approx(want, rel=1e-13)
    assert abs((w * x**6).sum().item() - (2.0**7 + 1) / 7) > 1e-3


@pytest.mark.parametrize("low", [-6.0, -9.5])
def test_preimages_are_where_a_root_finder_finds_them(low):
    got = solvers.preimages(DDIM, WORLD.denoise, EDGES, low, 7.0)
    for y, x in zip(EDGES.tolist(), got.tolist(), strict=True):
        want = optimize.brentq(
            lambda x, y=y: run(DDIM, WORLD.denoise, x) - y, -6, 6, xtol=1e-14
        )
        assert x == pytest.approx(want, abs=1e-12)


def test_preimages_of_a_linear_map_to_the_last_digit():
    table = tables.ddim(PATH, GRID)
    offset = run(table, affine, 0.0)
    slope = run(table, affine, 1.0) - offset
    y = offset + slope * torch.tensor([-3.0, 0.0, 1e-3, 2.5], dtype=F64)
    got = solvers.preimages(table, affine, y, -4.0, 4.0)
    torch.testing.assert_close(got, (y - offset) / slope, rtol=0, atol=4e-15)


def test_a_map_that_folds_has_no_edges():
    def folds(x, t):
        return (3 * x).sin()

    one = tables.ddim(PATH, CLEAN[-2:])
    with pytest.raises(V, match="not increasing"):
        solvers.preimages(one, folds, EDGES, -4.0, 4.0)


@pytest.mark.parametrize("variance", ["posterior", "forward"])
def test_a_density_goes_as_a_gaussian_does(variance):
    table = tables.ancestral(PATH, GRID, variance)
    got = solvers.propagate(table, affine, X, W, START)
    m, v = moments(table)
    want = torch.exp(-((X - m) ** 2) / (2 * v)) / math.sqrt(2 * math.pi * v)
    torch.testing.assert_close(got, want, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    "grid", [GRID[:2], GRID, CLEAN], ids=["all noise", "noise last", "a map last"]
)
def test_masses_of_a_gaussian_keep_their_digits_in_both_tails(grid):
    table = tables.ancestral(PATH, grid)
    m, v = moments(table)
    edges = m + math.sqrt(v) * torch.tensor([-6.0, -1.0, 0.5, 5.5, 6.0], dtype=F64)
    x, w = solvers.panels(torch.linspace(-12, 12, 241, dtype=F64))
    p = torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    got = solvers.masses(table, affine, x, w, p, edges)
    law = stats.norm(m, math.sqrt(v))
    ends = [-math.inf, *edges.tolist(), math.inf]
    want = [
        law.cdf(b) - law.cdf(a) if b < m else law.sf(a) - law.sf(b)
        for a, b in zip(ends[:-1], ends[1:], strict=True)
    ]
    want = torch.tensor(want, dtype=F64)
    torch.testing.assert_close(got, want, rtol=1e-9, atol=0)
    assert got.sum().item() == pytest.approx(1, abs=1e-12)


def test_masses_of_a_mixture_against_quadrature_by_scipy():
    # two noisy steps, then the map to the denoiser: one double integral
    table = tables.ancestral(PATH, tables.to_data(tables.by_nsr(PATH, 2.0, 0.3, 2)))
    (first, second, _), rows = table.rows, table.rows
    assert rows[0].noise and rows[1].noise and not rows[2].noise
    a, b = solvers.preimages(
        tables.ddim(PATH, table.ts[-2:]), WORLD.denoise, EDGES[:2], -7.0, 7.0
    ).tolist()

    def mean(row, x):
        x = torch.tensor([[x]], dtype=F64)
        F = WORLD.denoise(x, row.t)
        return (row.states[0][1] * x + row.past[0][1] * F).item()

    def inner(y):
        m = mean(second, y)
        return stats.norm.cdf((b - m) / second.noise) - stats.norm.cdf(
            (a - m) / second.noise
        )

    def density(y):
        return integrate.quad(
            lambda x: (
                stats.norm.pdf(x) * stats.norm.pdf(y, mean(first, x), first.noise)
            ),
            -7,
            7,
            epsabs=1e-8,
        )[0]

    y, w = solvers.panels(torch.linspace(-4, 4, 9, dtype=F64), 6)
    want = sum(
        v * density(u) * inner(u) for u, v in zip(y.tolist(), w.tolist(), strict=True)
    )
    got = solvers.masses(table, WORLD.denoise, X, W, START, EDGES)[1].item()
    assert got == pytest.approx(want, rel=2e-4)


def test_cells_that_are_too_wide_are_refused_where_there_is_mass():
    table = tables.ancestral(PATH, GRID)
    x, w = solvers.panels(torch.linspace(-7, 7, 11, dtype=F64))
    p = torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    with pytest.raises(V, match="take smaller cells"):
        solvers.propagate(table, WORLD.denoise, x, w, p)
    # where no mass is, cells may be wide
    ends = torch.linspace(-9, 9, 181, dtype=F64)
    ends = torch.cat([ends, torch.tensor([30.0, 60.0], dtype=F64)])
    x, w = solvers.panels(ends)
    p = torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    got = solvers.propagate(table, WORLD.denoise, x, w, p)[: len(X)]
    want = solvers.propagate(table, WORLD.denoise, X, W, START)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)


RANDOM = tables.ancestral(PATH, GRID)
TWO = tables.dpmpp(PATH, GRID, order=2)
GIVEN = {"table": RANDOM, "field": affine, "x": X, "w": W, "p": START}


def pull(y=EDGES, low=-1.0, high=1.0, table=DDIM, field=affine):
    return lambda: solvers.preimages(table, field, y, low, high)


def push(**named):
    return lambda: solvers.propagate(**{**GIVEN, **named})


def mass(edges, **named):
    return lambda: solvers.masses(**{**GIVEN, **named}, edges=edges)


WRONG = {
    "noise": (V, "no single end point", pull(table=RANDOM)),
    "span": (V, "low < high", pull(low=1.0)),
    "shape": (V, r"it must be .k,.", pull(X.unsqueeze(1))),
    "beyond": (V, "every y must lie there", pull(EDGES + 9)),
    "ends": (V, "ascending", lambda: solvers.panels(EDGES.flip(0))),
    "nodes": (V, "must ascend", push(x=X.flip(0))),
    "weights": (V, "w has shape .3,. and x", push(w=W[:3])),
    "density": (V, "p holds NaN", push(p=START * math.nan)),
    "a row without noise": (V, "must be one step that adds noise", push(table=DDIM)),
    "a past": (V, "must be one step", push(table=TWO)),
    "edges": (V, "edges must be .k,., ascending", mass(EDGES.flip(0))),
    "a map": (V, "use preimages", mass(EDGES, table=DDIM)),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])


@cuda
def test_on_a_gpu():
    table = tables.ancestral(PATH, CLEAN)
    want = solvers.masses(table, affine, X, W, START, EDGES)
    got = solvers.masses(table, affine, *(u.cuda() for u in (X, W, START, EDGES)))
    torch.testing.assert_close(got.cpu(), want, rtol=0, atol=1e-12)
