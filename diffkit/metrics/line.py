"""The line: exact distances between laws with d = 1, samples among them.

With F, G the distribution functions, f, g the densities of what has one,

    Kolmogorov = sup |F - G|            total variation = (1/2) int |f - g| + atoms
    W1 = int |F - G| dx                 W2^2 = int_0^1 (F^-1(u) - G^-1(u))^2 du.

sup and total variation need only the points where f = g. They are searched in cells
no wider than a quarter of the narrowest component near; a cell is cleared by a
bound on the third derivative, halved until it is, and what stays uncleared bounds
the error. W1 and W2 are Gauss-Legendre sums over cells, redone with cells of half
the width: the change is the error. Beyond 10 standard deviations of every component
lies a mass below 1e-22, left out. All are differentiable once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..laws import Mixture
from ..laws.line import Line, quantile
from ..shapes import Estimate
from .quadrature import plane_variation

REACH, WIDTH = 10.0, 0.25  # standard deviations: of the grid, and of one cell
TOL, HALVINGS, CELLS = 1e-9, 20, 2**18
LEAST = 1e-30  # the first cell of u reaches from 0 to above this
ROOT_2PI = math.sqrt(2 * math.pi)


def kolmogorov(p: Mixture, q: Mixture) -> Estimate:
    """sup_x |F(x) - G(x)|, jumps on both sides; the error is a bound.

    p, q: laws on the line, with a density or atoms or both; against a sample x (n, 1)
    take q = laws.dataset(x). Raises: ValueError unless d = 1 without batch.
    Checked: tests/test_metrics.py
    """
    a, b = Line.of(p), Line.of(q)
    x, missed = _crossings(a, b)
    at = torch.cat([a.at, b.at])
    x = torch.cat([x, at]).detach()
    off = [(a.off_half(x, left) - b.off_half(x, left)).abs() for left in (False, True)]
    top = torch.cat([x.new_zeros(1), *off]).amax()
    return Estimate(top, missed + 8 * torch.finfo(x.dtype).eps)


def total_variation(p: Mixture, q: Mixture) -> Estimate:
    """sup_A |P(A) - Q(A)| = (1/2) int |f - g| dx + (1/2) sum |differences of atoms|.

    d = 1: any laws, the error is a bound. d = 2: laws with densities, by the product
    rule of `mixture_kl`, slow to converge at f = g; the error is the last change.
    Raises: ValueError for other d. Checked: tests/test_metrics.py
    """
    if (p.d, q.d) == (2, 2):
        return plane_variation(p, q)
    a, b = Line.of(p), Line.of(q)
    x, missed = _crossings(a, b)
    whole = (a.logw.exp().sum() - b.logw.exp().sum()).reshape(1) / 2
    smooth = [Line(u.logw, u.m, u.s, u.at[:0], u.loga[:0]) for u in (a, b)]
    x = x.detach().sort().values
    inner = smooth[0].off_half(x) - smooth[1].off_half(x)  # F - G less half the whole
    change = torch.cat([-whole, inner, whole]).diff().abs().sum()
    at, place = torch.cat([a.at, b.at]).unique(return_inverse=True)
    atoms = torch.cat([a.loga.exp(), -b.loga.exp()])
    atoms = torch.zeros_like(at).index_add(0, place, atoms).abs().sum()
    error = missed + 8 * torch.finfo(x.dtype).eps * (1 + len(x))
    return Estimate((change + atoms) / 2, error)


def w1(p: Mixture, q: Mixture) -> Estimate:
    """Wasserstein-1 distance on the line, int |F - G| dx.

    p, q: as in `kolmogorov`. The error is the change at half the width, and rounding.
    Raises: ValueError unless d = 1 without batch. Checked: tests/test_metrics.py
    """
    a, b = Line.of(p), Line.of(q)

    def off(x: Tensor, left: bool = False) -> Tensor:
        return a.off_half(x, left) - b.off_half(x, left)

    def total(width: float) -> Tensor:
        with torch.no_grad():
            x = _nodes(a, b, width)
            low, high = x[:-1], x[1:]
            turns = (off(low) >= 0) != (off(high, left=True) >= 0)
            x = torch.cat([x, _roots(off, low[turns], high[turns])]).sort().values
        y, w = _legendre(x)
        return (w * off(y).abs()).sum()

    fine, span = total(WIDTH / 2), _nodes(a, b, WIDTH)
    rounding = 8 * torch.finfo(span.dtype).eps * (span[-1] - span[0])
    return Estimate(fine, (fine - total(WIDTH)).abs().detach() + rounding)


def w2(p: Mixture, q: Mixture) -> Estimate:
    """Wasserstein-2 distance on the line, by quadrature of both quantiles over u.

    p, q: as in `kolmogorov`. The cells of u end where those of x do, from each tail.
    The error is the change at half the width, and rounding.
    Raises: ValueError unless d = 1 without batch. Checked: tests/test_metrics.py
    """
    a, b = Line.of(p), Line.of(q)

    def total(width: float) -> Tensor:
        parts = []
        for upper in (False, True):
            with torch.no_grad():
                x = _nodes(a, b, width)
                ends = [
                    line.log_tail(x, upper, left).exp()
                    for line in (a, b)
                    for left in (False, True)
                ]
                u = torch.cat([*ends, x.new_tensor([0.5])])
                u = u[(u > LEAST) & (u <= 0.5)].unique()
                u, w = _legendre(torch.cat([u.new_zeros(1), u]))
            gap = quantile(p, u, upper) - quantile(q, u, upper)
            parts.append(w.sqrt() * gap.squeeze(-1))
        return torch.linalg.vector_norm(torch.cat(parts))

    fine, span = total(WIDTH / 2), _nodes(a, b, WIDTH)
    rounding = 8 * torch.finfo(span.dtype).eps * (span[-1] - span[0])
    return Estimate(fine, (fine - total(WIDTH)).abs().detach() + rounding)


def _nodes(a: Line, b: Line, width: float) -> Tensor:
    """Ends of cells, ascending: every atom, and ``width`` of the narrowest component
    that is within REACH of the cell.
    """
    m, s = torch.cat([a.m, b.m]).detach(), torch.cat([a.s, b.s]).detach()
    low, high = m - REACH * s, m + REACH * s
    ends = torch.cat([low, high, a.at.detach(), b.at.detach()]).unique()
    left, right = ends[:-1], ends[1:]
    near = (low < right.unsqueeze(1)) & (high > left.unsqueeze(1))
    wide = torch.full_like(left, math.inf).unsqueeze(1)
    narrow = torch.cat([s.where(near, wide), wide], 1).amin(1)
    parts = ((right - left) / (width * narrow)).ceil().clamp_min(1).long()
    first = (parts.cumsum(0) - parts).repeat_interleave(parts)
    turn = torch.arange(len(first), device=ends.device) - first
    step = ((right - left) / parts).repeat_interleave(parts)
    return torch.cat([left.repeat_interleave(parts) + turn * step, ends[-1:]])


def _legendre(x: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes and weights of the 8-point rule in every cell between ascending x."""
    y, w = (torch.as_tensor(v).to(x) for v in np.polynomial.legendre.leggauss(8))
    half = x.diff().unsqueeze(1) / 2
    middle = x[:-1].unsqueeze(1) + half
    return (middle + half * y).reshape(-1), (half * w).reshape(-1)


def _roots(f: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """Where f changes its sign between low and high, by halving 60 times."""
    start = f(low) >= 0
    for _ in range(60):
        x = (low + high) / 2
        same = (f(x) >= 0) == start
        low, high = torch.where(same, x, low), torch.where(same, high, x)
    return (low + high) / 2


def _slopes(a: Line, b: Line, x: Tensor, order: int = 0) -> Tensor:
    """The derivative of f - g of order 0, 1 or 2."""
    f, g = (partial(_derivative, line, order) for line in (a, b))
    return a.rows(f, x) - b.rows(g, x)


def _derivative(line: Line, order: int, x: Tensor) -> Tensor:
    """d^order f / dx^order = sum_k w_k s_k^-(1 + order) (-1)^order He(z) phi(z)."""
    z = line.z(x)
    hermite = (torch.ones_like(z), -z, z**2 - 1)[order]
    phi = torch.exp(-(z**2) / 2) / ROOT_2PI
    return (line.logw.exp() / line.s ** (1 + order) * hermite * phi).sum(-1)


def _third(line: Line, cells: Tensor) -> Tensor:
    """A bound on the third derivative of the density in cells (n, 2).

    |(z^3 - 3 z) phi(z)| is below 0.551 everywhere and falls beyond z = 2.34, so the
    point of the cell that is nearest to a component decides.
    """
    z = torch.maximum(line.z(cells[:, 0]), -line.z(cells[:, 1])).clamp_min(0)
    far = (z**3 - 3 * z) * torch.exp(-(z**2) / 2) / ROOT_2PI
    bound = torch.where(z > 2.34, far, torch.full_like(z, 0.551))
    return (line.logw.exp() / line.s**4 * bound).sum(-1)


@torch.no_grad()
def _crossings(a: Line, b: Line) -> tuple[Tensor, Tensor]:
    """Where f = g, and a bound on the area of f - g that a missed pair could hide.

    In a cell of width h with |f'' - g''| <= M, f - g is within M h^2 / 8 of its
    chord, and the area between them is below M h^3 / 12. So nothing is missed where
    both ends have one sign and exceed M h^2 / 8, or the slope keeps its sign; else
    at most that area, nor more than all the mass there.
    """
    x, f = _nodes(a, b, WIDTH), partial(_slopes, a, b)
    low, high, found, missed = x[:-1], x[1:], [x[:0]], x.new_zeros(())
    # for a cell, or its parts
    enough = max(TOL, 16 * torch.finfo(x.dtype).eps) / len(x)
    both = len(a.m) and len(b.m)  # else the one density never meets zero
    for turn in range(HALVINGS if both else 0):
        h, middle = high - low, (low + high) / 2
        cells = torch.stack([low, high], 1)
        third = sum(u.rows(partial(_third, u), cells) for u in (a, b))
        M = f(middle, order=2).abs() + third * h / 2
        mass = sum(u.off_half(high, left=True) - u.off_half(low) for u in (a, b))
        area = torch.minimum(M * h**3 / 12, mass)
        ends = torch.stack([f(low), f(high)])
        cross = (ends[0] >= 0) != (ends[1] >= 0)
        clear = ~cross & (ends.abs().amin(0) >= M * h**2 / 8)
        clear = clear | (f(middle, order=1).abs() > M * h / 2)
        last = turn == HALVINGS - 1 or len(low) > CELLS
        done = clear | (area <= enough / 2**turn) | last
        missed = missed + area[done & ~clear].sum()
        found.append(_roots(f, low[done & cross], high[done & cross]))
        low, middle, high = low[~done], middle[~done], high[~done]
        low, high = torch.cat([low, middle]), torch.cat([middle, high])
        if not len(low):
            break
    return torch.cat(found), missed
