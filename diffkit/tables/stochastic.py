"""Random samplers: the reverse SDE, churn, Langevin steps, and what they eat.

For every variance rate k^2(t) >= 0 the process

    dx = (f x - h^2/2 s) dt + k^2/2 s |dt| + k dW,    s = grad log p_t

has the laws of the path, in either direction of time: the bracket is the probability
flow, the rest is Langevin motion, which leaves p_t as it is. Down from T, k = h is
the reverse process; up from 0, k = h is the forward process, which needs no score;
k = 0 is the flow. Stochastic interpolants write k^2 = 2 eps(t). In one term,

    v(x, t) = f x - c s,    c = (h^2 + k^2)/2 downwards, (h^2 - k^2)/2 upwards

is the drift, and the noise is additive: it does not look at x.

At noise level 0 there is no score to ask for. The step to it is the denoiser
D = E[x0 | x_t] for the SDE, and Euler's step of the flow for `edm`; neither adds noise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..paths import Path
from ..shapes import finite, floating
from .grids import Grid, steps
from .table import Table

# ------------------------------------------------------------ the reverse SDE


def euler_maruyama(
    path: Path, ts: Grid, eta: float | int = 1.0, k2: Grid | None = None
) -> Table:
    """Euler's step for the SDE of the path: order 1, in law and pathwise.

    x_s = x + h v(x, t) + sqrt(k^2 |h|) z with k^2 = eta^2 h^2(t): eta = 0 is the
    probability flow, eta = 1 the reverse SDE. k2: (m,), variance rates at ts instead.
    The step to noise 0 returns the denoiser a_s D = a_s/a (x + g^2 s), and adds none.
    The clock is the time. Raises: ValueError where a = 0, so that f is infinite, for
    eta < 0, and for k2 < 0 or of another shape.
    Source: song2021sde, albergo2023interpolants. Checked: tests/test_stochastic.py
    """
    f, c, k2 = _drift(path, steps(ts), len(ts) - 1, eta, k2)
    a, b = _last(path, ts)
    h = ts[: len(ts) - len(a)].diff()
    f, c, k2 = (u[: len(h)] for u in (f, c, k2))
    A = torch.cat([(1 + h * f).unsqueeze(1), a])
    B = torch.cat([(-h * c).unsqueeze(1), b])
    S = torch.cat([_root(k2 * h.abs()), torch.zeros_like(a[:, 0])])
    return Table("score", ts, A, B, S, clock=ts)


def stochastic_heun(
    path: Path, ts: Grid, eta: float | int = 1.0, k2: Grid | None = None
) -> Table:
    """The mean of the drifts at both ends: order 2 in law, 1 pathwise.

    x~ = x + h v(x, t) + S z,  x_s = x + h/2 (v(x, t) + v(x~, s)) + S z, the same z,
    with S^2 = |h| (k_t^2 + k_s^2)/2. The second row reads x~ - h/2 v(x, t)
    + h/2 v(x~, s), so the noise of the stage is in it and counts once. Arguments,
    errors, clock and the step to noise 0 as for `euler_maruyama`; that step is of
    order 1 in law, so the order 2 is seen on grids that end above.
    Source: song2021sde. Checked: reverse/landing, tests/test_stochastic.py
    """
    a, b = _last(path, steps(ts))
    body = ts[: len(ts) - len(a)]
    f, c, k2 = _drift(path, ts, len(body), eta, k2)
    h, zero = body.diff(), torch.zeros_like(body[1:])
    (f_t, f_s), (c_t, c_s), (k2_t, k2_s) = ((u[:-1], u[1:]) for u in (f, c, k2))
    one, wide = torch.ones_like(h), a.new_tensor([1.0, 0.0])
    A = _rows([[one + h * f_t, zero], [one + h / 2 * f_s, -h / 2 * f_t]])
    B = _rows([[-h * c_t, zero], [-h / 2 * c_s, h / 2 * c_t]])
    S = torch.stack([_root(h.abs() * (k2_t + k2_s) / 2), zero], 1).flatten()
    times = torch.cat([ts[:1], body[1:].repeat_interleave(2), ts[len(body) :]])
    lands = torch.ones(len(times), dtype=torch.bool)
    lands[1 : 2 * len(h) : 2] = False
    return Table(
        "score",
        times,
        torch.cat([A, a * wide]),
        torch.cat([B, b * wide]),
        torch.cat([S, torch.zeros_like(a[:, 0])]),
        lands,
        times,
    )


def _drift(
    path: Path, ts: Tensor, n: int, eta: float | int, k2: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """f, c and k^2 at the first n times of ts."""
    if not 0 <= eta < math.inf:
        raise ValueError(f"eta is {eta}; it must be >= 0 and finite")
    f, h2 = path.sde(ts[:n])
    if k2 is None:
        k2 = eta**2 * h2
    elif floating("k2", k2).shape != ts.shape or not (finite("k2", k2) >= 0).all():
        raise ValueError(
            f"k2 has shape {tuple(k2.shape)}; it must hold {len(ts)} variance rates "
            ">= 0, one at each time of the grid"
        )
    k2 = k2[:n].to(ts)
    return f, (h2 + k2 if ts[-1] < ts[0] else h2 - k2) / 2, k2


def _last(path: Path, ts: Tensor) -> tuple[Tensor, Tensor]:
    """The step to noise level 0, a_s D = a_s/a x + a_s g^2/a s, as (A, B) of one row.

    No row, (0, 1), where the grid ends above.
    """
    c = path.at(ts[-2:])
    A, B = c.a[1:] / c.a[:1], c.a[1:] * c.g2[:1] / c.a[:1]
    to_data = int(c.g2[1] == 0)
    return A[:to_data].unsqueeze(1), B[:to_data].unsqueeze(1)


def _root(u: Tensor) -> Tensor:
    """sqrt(u), with slope 0 at 0."""
    return torch.where(u > 0, u, 1.0).sqrt() * (u > 0)


def _rows(weights: list[list[Tensor]]) -> Tensor:
    """Rows of a step, each a list of weights (N,), for N steps: (N * rows, ages)."""
    return torch.stack([torch.stack(row, 1) for row in weights], 1).flatten(0, 1)


# ----------------------------------------------------------------------- churn


def edm(
    path: Path,
    ts: Grid,
    churn: float | int = 0.0,
    low: float | int = 0.0,
    high: float | int = math.inf,
    inflate: float | int = 1.0,
) -> Table:
    """Noise is added, then Heun's step taken from the higher level.

    gamma = min(churn / N, sqrt 2 - 1) where low <= nsr <= high, else 0; t^ is the time
    of nsr (1 + gamma), x^ = (a^/a) x + inflate sqrt(g^^2 - (a^/a)^2 g^2) z, and Heun
    carries x^ from t^ to s along the velocity. The step to noise 0 is Euler's.
    The paper's S_churn, S_tmin, S_tmax, S_noise; churn = 0 is its algorithm 1.
    Raises: ValueError for negative numbers, churn on a grid that runs up, and where
    it leads beyond the end of the path. Source: karras2022edm, algorithm 2.
    Checked: tests/test_stochastic.py
    """
    if not (0 <= churn < math.inf and 0 <= inflate < math.inf and 0 <= low <= high):
        raise ValueError(
            f"churn = {churn}, inflate = {inflate}, low = {low}, high = {high}; it "
            "must be 0 <= churn, 0 <= inflate, both finite, and 0 <= low <= high"
        )
    path.one_ended()
    gamma, start = _lifted(path, steps(ts), churn, low, high)
    hat, c = path.at(start), path.at(ts)
    h, zero = ts[1:] - start, torch.zeros_like(start)
    scale = torch.where(gamma > 0, hat.a / c.a[:-1], 1.0)
    # g^^2 - (a^/a)^2 g^2 = g^^2 (1 - 1 / (1 + gamma)^2), without the difference
    S = inflate * hat.g * _root(gamma * (2 + gamma)) / (1 + gamma)
    A = _rows([[scale, zero], [zero + 1, zero], [zero, zero + 1]])
    B = _rows([[zero, zero], [h, zero], [h / 2, h / 2]])
    S = torch.stack([S, zero, zero], 1).flatten()
    times = torch.stack([start, ts[1:], ts[1:]], 1).flatten()
    lands = torch.tensor([False, False, True], device=ts.device).repeat(len(h), 1)
    keep = torch.ones_like(lands)
    keep[:, 0] = gamma > 0
    if c.g2[-1] == 0:
        keep[-1, 2], lands[-1, 1] = False, True
    keep, lands = keep.flatten(), lands.flatten()
    return Table(
        "velocity",
        torch.cat([ts[:1], times[keep]]),
        A[keep],
        B[keep],
        S[keep],
        torch.cat([lands.new_ones(1), lands[keep]]),
    )


def _lifted(
    path: Path, ts: Tensor, churn: float | int, low: float | int, high: float | int
) -> tuple[Tensor, Tensor]:
    """gamma, and the times that steps then start from."""
    t, n = ts[:-1], len(ts) - 1
    nsr = path.nsr(t)
    gamma = ((low <= nsr) & (nsr <= high)).to(ts) * min(churn / n, math.sqrt(2) - 1)
    some = gamma > 0
    if not some.any():
        return gamma, t
    want, top = (nsr * (1 + gamma))[some], path.nsr(path.T).to(ts)
    if ts[-1] > ts[0]:
        raise ValueError("churn needs a grid that runs from noise to data")
    if not (want.isfinite() & (want <= top)).all():
        raise ValueError(
            f"churn lifts nsr to {want.max():g}, and this path ends at {top:g}; start "
            "the grid lower, or give a smaller high"
        )
    start = t.clone()
    start[some] = path.when(want).to(ts)
    return gamma, start


# -------------------------------------------------------------------- Langevin


def langevin(path: Path, ts: Grid, steps: int = 1, snr: float | int = 0.16) -> Table:
    """Langevin motion at standing time, some steps at each time of ts in turn.

    x <- x + eps s + sqrt(2 eps) z with eps = 2 (snr g)^2. In a direction of variance
    V = a^2 lam + g^2 it tends to V / (1 - (snr g)^2 / V), so too wide by at most
    1 / (1 - snr^2). The paper divides by norms over the batch, eps = 2 (snr |z|/|s|)^2;
    for point data and many dimensions that is this one. At g = 0 nothing moves.
    ts: (m,), one time or more. Raises: ValueError unless 0 < snr < 1 and steps >= 1.
    Source: song2021sde, its correctors.
    Checked: reverse/corrector, tests/test_stochastic.py
    """
    if finite("ts", floating("ts", ts)).ndim != 1 or not len(ts):
        raise ValueError(f"ts has shape {tuple(ts.shape)}; it must hold times, (m,)")
    if steps < 1 or not 0 < snr < 1:
        raise ValueError(
            f"steps = {steps}, snr = {snr}; it must be steps >= 1 and 0 < snr < 1"
        )
    times = ts.repeat_interleave(steps)
    c = path.one_ended().at(times)
    return Table(
        "score",
        torch.cat([times, ts[-1:]]),
        torch.ones_like(c.a).unsqueeze(1),
        (2 * snr**2 * c.g2).unsqueeze(1),
        2 * snr * c.g,
        torch.arange(len(times) + 1) % steps == 0,
    )


def interleaved(table: Table, corrector: Table) -> Table:
    """A predictor, and after each state on its way the corrector's rows of that time.

    table: the predictor, with any memory and stages; it goes on from the corrected
    state, which lies on the way in place of the predicted one. corrector: rows without
    memory, such as `langevin`'s; those asked at the time of the state are taken, so
    none at its first. Both eat the same, see `eating`. No clock is left.
    Raises: ValueError for different fields, a corrector that looks back, and one
    that has no row at any of these times.
    Source: song2021sde, predictor-corrector sampling. Checked: tests/test_stochastic.py
    """
    if table.eats != corrector.eats:
        raise ValueError(
            f"the table eats {table.eats} and the corrector {corrector.eats}; "
            "rewrite one of them with `eating`"
        )
    if corrector.A[:, 1:].any() or corrector.B[:, 1:].any():
        raise ValueError("the corrector looks back; its rows must be of one step")
    fixes: dict[float, list[int]] = {}
    for m, t in enumerate(corrector.ts[:-1].tolist()):
        fixes.setdefault(t, []).append(m)
    now, lands = [table.ts[0]], [True]  # of all states so far
    stands, rows = [0], []  # stands[n]: where the table's state n now is
    for n, t in enumerate(table.ts[1:].unbind()):
        rows.append(([len(now) - 1 - m for m in reversed(stands)], table, n))
        now.append(t)
        lands.append(False)
        for m in fixes.get(t.item(), []) if table.lands[n + 1] else []:
            rows.append(([0], corrector, m))
            now.append(t)
            lands.append(False)
        lands[-1] = bool(table.lands[n + 1])
        stands.append(len(now) - 1)
    if len(rows) == len(table):
        raise ValueError("the corrector has no row at any time of the table")
    A, B = (_at_ages(rows, name) for name in ("A", "B"))
    S = torch.stack([source.S[n] for _, source, n in rows])
    return Table(table.eats, torch.stack(now), A, B, S, torch.tensor(lands))


def _at_ages(rows: list[tuple[list[int], Table, int]], name: str) -> Tensor:
    """A or B of these rows, each weight at the age that its state now has."""
    weights = [getattr(source, name)[n] for _, source, n in rows]
    ages = [a[: len(w)] for (a, *_), w in zip(rows, weights, strict=True)]
    W = weights[0].new_zeros(len(rows), 1 + max(max(a) for a in ages))
    for i, (a, w) in enumerate(zip(ages, weights, strict=True)):
        W[i, a] = w[: len(a)]
    return W
