"""UniPC: the multistep predictor, and the corrector that remakes each of its states.

The predictor goes from the corrected x_n to a state p at the next time, F is asked at
p alone, and the corrector steps from x_n again with F(p) among its values:

    p_{n+1} = A x_n + sum_k W_k [theta^k] P,   P through F(p_n), F(p_{n-1}), ...
    x_{n+1} = A x_n + sum_k W_k [theta^k] Q,   Q through F(p_{n+1}) as well

Both are exact exponential steps, so that B(h), which UniPC carries along, cancels
from them. It is seen only where the paper and its code put 1/2 for the solution of a
single equation: W_1 = B(h) a_s / 2 with B = h (bh1) or 1 - e^{-h} (bh2) in place of
W_1 = a_s (h / 2 - h^2 / 6 ...), where P or Q goes through two values.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..paths import Path
from .exponentials import (
    Columns,
    ends,
    moments,
    nodes,
    one_way,
    ordered,
    table,
    weights,
)
from .grids import Grid
from .table import Table

KINDS = ("bh1", "bh2")


def unipc(
    path: Path,
    ts: Grid,
    order: int,
    target: str = "denoise",
    b: str = "bh2",
    corrector: bool = True,
) -> Table:
    """UniPC-p, p = 1 to 3: of order p + 1 by its corrector, at no more evaluations.

    The last state is the predicted one, which is never corrected. The start costs
    h^3 once (h^2 without the corrector): order 4 shows behind a finer first step.
    target: denoise or noise. A step with an end at lam = +-inf is of order 1 and not
    corrected: to noise 0 the denoiser returns D, the noise D + (x_n - p_n) / a.
    Raises: as `exponential`; ValueError for another b.
    Source: zhao2023unipc. Checked: tests/test_exponentials_orders.py,
    tests/test_peers_diffusers.py
    """
    J = ordered(order, 3)
    if b not in KINDS:
        raise ValueError(f"b is {b!r}; it is {' or '.join(KINDS)}")
    a, g = ends(path, ts, target)
    lam = one_way((a / g).log())
    h, A = lam.diff(), g[1:] / g[:-1]
    W = moments(a[1:], a[1:] - A * a[:-1], h, J + 1)
    half = (a[1:] * torch.where(h.isfinite(), h, 0) if b == "bh1" else W[:, 0]) / 2
    theta, known = nodes(lam, J)
    P = weights(theta, known, _simple(W[:, :J], half, known))
    if not corrector:
        return table(target, ts, A, P)
    # behind theta_0 = 0 comes theta = 1, the predicted state
    new = h.isfinite()[:, None]
    theta = torch.cat([theta[:, :1], torch.ones_like(theta[:, :1]), theta[:, 1:]], 1)
    known = torch.cat([known[:, :1], new, known[:, 1:]], 1)
    Q = weights(theta, known, _simple(W, half, known))
    return _woven(target, ts, A, P, Q)


def _simple(W: Columns, half: Tensor, known: Tensor) -> Columns:
    """W with ``half`` for W_1 in the rows that see two values."""
    if W.shape[1] == 1:
        return W
    W_1 = torch.where(known.sum(1) == 2, half, W[:, 1])
    return torch.cat([W[:, :1], W_1[:, None], W[:, 2:]], 1)


def _woven(target: str, ts: Grid, A: Tensor, P: Columns, Q: Tensor) -> Table:
    """Rows p_1, x_1, p_2, x_2, ..., p_N; F is asked at x_0, p_1, p_2, ..., p_{N-1}."""
    N, J = P.shape
    n = torch.arange(N, device=ts.device)[:, None]
    j = torch.arange(J, device=ts.device)
    there = n >= j
    # row 2 n makes p_{n+1} from state 2 n, which is x_n, and F of states 2 (n - j) - 1
    age = 2 * n - (2 * (n - j) - 1).clamp(min=0)
    B = torch.zeros(2 * N, 2 * J + 1).to(ts)
    rows = (2 * n).expand(N, J)
    B = B.index_put((rows[there], age[there]), P[there])
    # row 2 n + 1 makes x_{n+1} from F of state 2 n + 1, which is p_{n+1}, too
    old = Q[:, [0, *range(2, J + 1)]]
    B = B.index_put((rows[there] + 1, age[there] + 1), old[there])
    B = B.index_put((rows[:, 0] + 1, torch.zeros_like(n[:, 0])), Q[:, 1])
    both = torch.zeros(N, 2, 2).to(ts)
    both[:, 0, 0] = both[:, 1, 1] = A
    lands = torch.tensor([True, *[False, True] * N])[:-1]
    lands[-1] = True
    times = torch.cat([ts[:1], ts[1:].repeat_interleave(2)])
    S = ts.new_zeros(2 * N - 1)
    return Table(target, times[:-1], both.flatten(0, 1)[:-1], B[:-1], S, lands)
