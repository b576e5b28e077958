"""DPM-Solver singlestep: stages inside a step, at equal parts of it in lam.

The stage at lam_t + r h is itself an exponential step from t, of the order that the
values so far allow; no past is needed, so the first step is like all others.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..paths import Path
from .exponentials import ends, exponential, moments, one_way, ordered
from .grids import Grid
from .table import Table

STAGES = {2: (1 / 2,), 3: (1 / 3, 2 / 3)}


def dpm_solver(path: Path, ts: Grid, order: int) -> Table:
    """DPM-Solver-1, -2 or -3: the noise, at 1, 2 or 3 evaluations a step.

    -2: u at the middle in lam, x_s = a_s / a_t x_t + W_0 N(u).
    -3: u_1 at 1/3, u_2 at 2/3 by W_1 (N(u_1) - N(x_t)) of that step times r_2 / r_1,
    x_s = a_s / a_t x_t + W_0 N(x_t) + W_1 / r_2 (N(u_2) - N(x_t)).
    A step with an end at lam = +-inf is of order 1, its stages not asked.
    Raises: as `exponential`. Source: lu2022dpmsolver.
    Checked: exponential/orders, tests/test_exponentials_orders.py,
    tests/test_peers_diffusers.py
    """
    return _singlestep(path, ts, ordered(order, 3), "noise")


def dpmpp_2s(path: Path, ts: Grid) -> Table:
    """DPM-Solver++(2S): the denoiser at the middle of the step, in lam.

    u = g_r / g_t x_t + (a_r - g_r / g_t a_t) D(x_t), x_s = g_s / g_t x_t + W_0 D(u).
    A step to noise 0 is of order 1. Raises: as `exponential`.
    Source: lu2022dpmpp. Checked: tests/test_exponentials_orders.py,
    tests/test_peers_diffusers.py
    """
    return _singlestep(path, ts, 2, "denoise")


def _singlestep(path: Path, ts: Grid, order: int, target: str) -> Table:
    """Rows newest first: of stage i, x_t is i states old."""
    if order == 1:
        return exponential(path, ts, 1, target)
    a, g = ends(path, ts, target)
    lam = one_way((a / g).log())
    h, N = lam.diff(), len(ts) - 1
    whole = h.isfinite()
    h = torch.where(whole, h, 1)
    inner = [_between(path, ts, r, whole) for r in STAGES[order]]
    A, B = (ts.new_zeros(N, order, order) for _ in "AB")
    before = h  # unused: the first stage has none before it
    for i, times in enumerate([*inner, ts[1:]]):
        at = path.at(times)
        a_r, g_r = (at.a, at.g) if target == "denoise" else (at.g, at.a)
        r = torch.where(whole, ((a_r / g_r).log() - lam[:-1]) / h, 1)
        gain = g_r / g[:-1]
        total = a_r - gain * a[:-1]
        A[:, i, i], B[:, i, i] = gain, total
        if i:
            W = total / 2 if order == 2 else moments(a_r, total, r * h, 2)[:, 1]
            slope = torch.where(whole, W * r / before, 0)
            B[:, i, 0], B[:, i, i] = slope, total - slope
        before = r
    inside = torch.stack([*inner, ts[1:]], 1)
    lands = torch.tensor([True, *([False] * (order - 1) + [True]) * N])
    shape = N * order, order
    return Table(
        target,
        torch.cat([ts[:1], inside.flatten()]),
        A.reshape(shape),
        B.reshape(shape),
        ts.new_zeros(N * order),
        lands,
    )


def _between(path: Path, ts: Grid, r: float, whole: Tensor) -> Tensor:
    """The times at lam_t + r h; where a step has an infinite end, its start."""
    nsr = path.nsr(ts)
    t, s = (torch.where(whole, u, 1) for u in (nsr[:-1], nsr[1:]))
    times = path.when(torch.where(whole, t ** (1 - r) * s**r, 0)).to(ts)
    return torch.where(whole, times, ts[:-1])
