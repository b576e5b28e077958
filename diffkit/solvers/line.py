"""The line: what a sampler does to a law with d = 1, without a single sample.

A table without noise is a map. Where the map is increasing, the mass between two end
points is the mass between their `preimages` at the start: two numbers tell a share of
1e-12 that 1e12 samples would not.

A row with noise, x' = m(x) + S z with m = A x + B F, is a Gaussian kernel,

    p'(y) = int p(x) phi((y - m(x)) / S) / S dx ~ sum_i w_i p_i phi((y - m_i) / S) / S

by any quadrature (x, w), such as `panels` gives: small cells where the field is steep.
What is integrated is smooth on the scale of the cells as long as m moves by less than
S from node to node; `propagate` refuses else, and is otherwise exact but for what lies
beyond the ends. `masses` ends in intervals: in the last row with noise the kernel is
integrated, and rows without noise after it are undone by `preimages`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..fields import Field, value
from ..shapes import Float, finite, floating
from ..tables import Table
from ..tables.table import Row
from .fold import solve

Line = Float[Tensor, " m"]
SCAN, CELL, ROUNDS = 1000, 100, 7  # down to 1e-17 of the interval
MISSED = 1e-12  # of the mass may lie where a row's noise does not cover the cells


def preimages(
    table: Table,
    field: Field,
    y: Float[Tensor, " k"],
    low: float | int,
    high: float | int,
) -> Float[Tensor, " k"]:
    """The start points in [low, high] from which a run ends at y.

    The map is run on 1001 starts, then on 101 in the cell of each y, and so on until
    doubles are exhausted. Raises: ValueError for a table with noise, a y that
    no start reaches, and where the map is seen not to increase: then the mass between
    two starts is not that between their ends.
    Checked: gap/edges, tests/test_solvers_line.py
    """
    if table.random:
        raise ValueError("this table adds noise: a start has no single end point")
    if finite("y", floating("y", y)).ndim != 1 or not low < high:
        raise ValueError(
            f"y has shape {tuple(y.shape)}, and starts run from {low} to {high}; "
            "it must be (k,), and low < high"
        )
    x = torch.linspace(low, high, SCAN + 1, dtype=y.dtype, device=y.device)
    ends = solve(table, field, x.unsqueeze(1)).squeeze(1)
    if not (ends.diff() >= 0).all():
        n = int(ends.diff().argmin())
        raise ValueError(
            f"the map is not increasing: it takes {x[n]:.6g} to {ends[n]:.6g}, and "
            f"{x[n + 1]:.6g} to {ends[n + 1]:.6g}; masses cannot be read off edges"
        )
    if not ((y >= ends[0]) & (y <= ends[-1])).all():
        raise ValueError(
            f"starts from {low} to {high} end between {ends[0]:.6g} and "
            f"{ends[-1]:.6g}; every y must lie there"
        )
    u = torch.linspace(0, 1, CELL + 1, dtype=y.dtype, device=y.device)
    x, ends = x.expand(len(y), -1), ends.expand(len(y), -1)
    for turn in range(ROUNDS + 1):
        # the last start that ends at or below y; rounding may shuffle the finest
        n = (ends <= y.unsqueeze(1)).sum(1, keepdim=True) - 1
        n = n.clamp(0, x.shape[1] - 2)
        left, right = x.gather(1, n), x.gather(1, n + 1)
        if turn < ROUNDS:
            x = torch.lerp(left, right, u)
            ends = solve(table, field, x.reshape(-1, 1)).reshape(x.shape)
    return (left + right).squeeze(1) / 2


def panels(ends: Float[Tensor, " c"], n: int = 8) -> tuple[Line, Line]:
    """Nodes and weights of the n-point Gauss-Legendre rule in each cell, as (m,) each.

    ends: of the cells, ascending; m = (c - 1) n. Raises: ValueError for other ends.
    Checked: tests/test_solvers_line.py
    """
    if finite("ends", ends).ndim != 1 or len(ends) < 2 or not (ends.diff() > 0).all():
        raise ValueError("ends must be two numbers or more, ascending")
    y, w = (torch.as_tensor(u).to(ends) for u in np.polynomial.legendre.leggauss(n))
    half = ends.diff().unsqueeze(1) / 2
    x = ends[:-1].unsqueeze(1) + half * (1 + y)
    return x.flatten(), (half * w).flatten()


def propagate(table: Table, field: Field, x: Line, w: Line, p: Line) -> Line:
    """The density at the nodes x after a table whose every row adds noise.

    x, w: ascending nodes and their weights, (m,); p: the density of the start there.
    What moves beyond the ends is lost, so (w * p).sum() tells whether they reach far
    enough. Raises: ValueError where a row's mean moves by more than its noise from
    node to node, and 1e-12 of the mass lies there; for a row without noise, or one
    that looks back. Checked: gap/ancestral, tests/test_solvers_line.py
    """
    _fits(x, w, p)
    for row in table.rows:
        mean = _mean(row, field, x, w * p)
        p = _bell((x.unsqueeze(1) - mean) / row.noise) @ (w * p) / row.noise
    return p


def masses(
    table: Table, field: Field, x: Line, w: Line, p: Line, edges: Float[Tensor, " k"]
) -> Float[Tensor, " masses"]:
    """The mass of the end state below, between and above ascending edges, (k + 1,).

    As `propagate`, with the kernel of the last row with noise integrated; the edges
    are pulled back through the rows after it, DDPM's last one, by `preimages` on the
    span of x. Raises: ValueError as both, and for edges that do not ascend.
    Checked: gap/ancestral, tests/test_solvers_line.py
    """
    _fits(x, w, p)
    if edges.ndim != 1 or not (edges.diff() > 0).all():
        raise ValueError("edges must be (k,), ascending")
    noisy = [n for n, row in enumerate(table.rows) if row.noise]
    if not noisy:
        raise ValueError("this table adds no noise: use preimages, and the start's law")
    last = noisy[-1]
    if last + 1 < len(table):
        span = x[0].item(), x[-1].item()
        edges = preimages(_part(table, last + 1, None), field, edges, *span)
    if last:
        p = propagate(_part(table, 0, last), field, x, w, p)
    row = table.rows[last]
    off = (edges.unsqueeze(1) - _mean(row, field, x, w * p)) / row.noise
    low = torch.nn.functional.pad(off, (0, 0, 1, 0), value=-torch.inf)
    high = torch.nn.functional.pad(off, (0, 0, 0, 1), value=torch.inf)
    # by the smaller tails, so that small masses keep their digits
    above = low > 0
    low, high = torch.where(above, -high, low), torch.where(above, -low, high)
    return (_tail(-high) - _tail(-low)) @ (w * p)


def _bell(z: Tensor) -> Tensor:
    """The density of N(0, 1)."""
    return (z * z).mul_(-0.5).exp_().mul_(1 / math.sqrt(2 * math.pi))


def _tail(z: Tensor) -> Tensor:
    """P(Z > z) for Z of N(0, 1); torch.special.ndtr has no digits beyond 6."""
    return torch.erfc(z / math.sqrt(2)) / 2


def _fits(x: Tensor, w: Tensor, p: Tensor) -> None:
    for name, u in (("x", x), ("w", w), ("p", p)):
        finite(name, floating(name, u))
        if u.ndim != 1 or u.shape != x.shape:
            raise ValueError(
                f"{name} has shape {tuple(u.shape)} and x {tuple(x.shape)}; x, w and p "
                "must be (m,)"
            )
    if len(x) < 2 or not (x.diff() > 0).all():
        raise ValueError("the nodes x must ascend")


def _mean(row: Row, field: Field, x: Tensor, mass: Tensor) -> Tensor:
    """A x + B F at the nodes; refused where the row's noise does not cover a cell."""
    if any(age for age, _ in row.states + row.past) or not row.noise:
        raise ValueError(
            "every row must be one step that adds noise, x' = A x + B F + S z"
        )
    mean = sum(a for _, a in row.states) * x
    if row.asks:
        mean = mean + row.past[0][1] * value(field, x.unsqueeze(1), row.t).squeeze(1)
    move = mean.diff().abs()
    missed = torch.maximum(mass[:-1], mass[1:]) * (move > row.noise)
    if not missed.sum() <= MISSED * mass.sum():
        n = int(missed.argmax())
        raise ValueError(
            f"at t = {row.t:.4g} a row adds noise {row.noise:.3g}, and its mean moves "
            f"by {move[n]:.3g} from the node {x[n]:.4g} to the next; take smaller cells"
        )
    return mean


def _part(table: Table, first: int, last: int | None) -> Table:
    """The rows from first up to last."""
    ts = table.ts[first : None if last is None else last + 1]
    A, B, S = (u[first:last] for u in (table.A, table.B, table.S))
    return replace(table, ts=ts, A=A, B=B, S=S, lands=None, clock=None)
