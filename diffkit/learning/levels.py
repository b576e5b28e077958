"""Levels: how the noise levels of a training batch are drawn.

A law of levels is its quantile function Q: for uniform u in (0, 1), t = Q(u) has the
law. So levels are any function from u to t, and

    uniform_times       t = low + (high - low) u
    uniform_logsnr      log snr uniform, log nsr = -log snr / 2
    lognormal_levels    log nsr = m + s Phi^-1(u), the levels of EDM

A law of nsr becomes one of t by the inverse of nsr(t), tabulated once: log t is
interpolated linearly in log nsr over 8192 cells, off by less than 1e-6 of t.

**Stratified.** Of n draws one falls in each cell ((i - 1) / n, i / n) of u,

    u_j = (pi_j + e_j) / n,    pi a random permutation, e_j uniform

Each u_j is uniform, so the mean of f(Q(u_j)) has no bias, and its variance is that of
f inside the cells alone; what f does from cell to cell adds none. The permutation keeps
the level of row j free of whatever the order of the data means.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..paths import Path
from ..shapes import Float

Levels = Callable[[Tensor], Tensor]
CELLS = 8192
TAILS = 6.0  # standard deviations of a normal law; 2e-9 lies beyond
WIDEST = 12.0  # of |log snr|, where a path goes on for ever
TINY = 1e-20  # the least u in its cell: u = 0 may be the level infinity


def stratified(
    n: int, rngs: Sequence[torch.Generator], device: torch.device | str = "cpu"
) -> Float[Tensor, "K n"]:
    """u in (0, 1), one in each of n equal cells, in random order; a row per generator.

    n = 1 is one uniform draw. Raises: ValueError for n < 1.
    Checked: tests/test_objectives.py
    """
    u = _cells(n, rngs, device)
    for own, row in zip(rngs, u, strict=True):
        row += torch.randperm(n, generator=own, device=device)
    return u / n


def independent(
    n: int, rngs: Sequence[torch.Generator], device: torch.device | str = "cpu"
) -> Float[Tensor, "K n"]:
    """u in (0, 1), n independent draws; a row per generator.

    Raises: ValueError for n < 1. Checked: tests/test_objectives.py
    """
    return _cells(n, rngs, device)


def _cells(
    n: int, rngs: Sequence[torch.Generator], device: torch.device | str
) -> Tensor:
    if n < 1:
        raise ValueError(f"n is {n}; there must be at least one draw")
    u = torch.empty(len(rngs), n, dtype=torch.float64, device=device)
    for own, row in zip(rngs, u, strict=True):
        row.uniform_(TINY, 1, generator=own)
    return u


def uniform_times(
    path: Path, low: float | int = 0.0, high: float | int | None = None
) -> Levels:
    """t uniform in (low, high), by default on the whole path.

    A loss that is infinite at t = 0, as that of the score is, wants low > 0.
    Raises: ValueError unless 0 <= low < high <= T. Checked: tests/test_objectives.py
    """
    high = path.T if high is None else high
    if not 0 <= low < high <= path.T:
        raise ValueError(
            f"t from {low:g} to {high:g}; it must be 0 <= low < high <= {path.T:g}"
        )
    return lambda u: torch.lerp(u.new_tensor(low), u.new_tensor(high), u)


def lognormal_levels(
    path: Path, mean: float | int = -1.2, sd: float | int = 1.2
) -> Levels:
    """log nsr normal, N(mean, sd^2), given that the path reaches it and within 6 sd.

    Raises: ValueError for an sd that is not positive and finite, a path along which
    nsr falls, or that does not reach such levels.
    Source: karras2022edm, table 1. Checked: tests/test_objectives.py
    """
    if not (0 < sd < math.inf and math.isfinite(mean)):
        raise ValueError(f"mean is {mean} and sd {sd}; they must be finite, and sd > 0")
    low, high = mean - TAILS * sd, min(mean + TAILS * sd, _reach(path))
    if not low < high:
        raise ValueError(
            f"the path ends at log nsr = {high:.3g}; it must be above {low:.3g}, the "
            "least of these levels"
        )
    ends = torch.tensor([low, high], dtype=torch.float64)
    first, last = torch.special.ndtr((ends - mean) / sd).tolist()

    def lognsr(u: Tensor) -> Tensor:
        return mean + sd * torch.special.ndtri(first + (last - first) * u)

    return _ByRatio.of(path, lognsr, low, high)


def uniform_logsnr(
    path: Path, low: float | int | None = None, high: float | int = WIDEST
) -> Levels:
    """log(a^2 / g^2) uniform in (low, high), falling from high to low as u rises.

    low: by default the least that the path reaches, but not below -12.
    Raises: ValueError unless low < high are reached by the path, and finite.
    Checked: tests/test_objectives.py
    """
    least = -2 * _reach(path)
    low = max(least, -WIDEST) if low is None else low
    if not max(least, -math.inf) <= low < high < math.inf:
        raise ValueError(
            f"log snr from {low:g} to {high:g}; this path has {least:.3g} and above, "
            "and low < high must be finite"
        )
    least, most = -high / 2, -low / 2
    return _ByRatio.of(path, lambda u: least + (most - least) * u, least, most)


def _reach(path: Path) -> float:
    """log nsr(T), the most that there is."""
    return path.nsr(path.T).log().item()


@dataclass(frozen=True, eq=False)
class _ByRatio:
    """u -> t for a law of log nsr: lognsr its quantiles, log t at equal cells of it."""

    lognsr: Callable[[Tensor], Tensor]
    low: float
    cell: float
    logt: Float[Tensor, " nodes"]
    T: float

    @staticmethod
    def of(path: Path, lognsr: Callable, low: float, high: float) -> _ByRatio:
        nodes = torch.linspace(low, high, CELLS + 1, dtype=torch.float64)
        nsr = nodes.exp()
        nsr[-1] = min(nsr[-1].item(), path.nsr(path.T).item())  # but for rounding
        logt, T = path.when(nsr).log(), float(path.T)
        return _ByRatio(lognsr, low, (high - low) / CELLS, logt, T)

    def __call__(self, u: Tensor) -> Tensor:
        place = (self.lognsr(u) - self.low) / self.cell
        i = place.long().clamp_(0, CELLS - 1)  # the ends may be off by rounding
        logt = self.logt.to(u.device)
        t = torch.lerp(logt.take(i), logt.take(i + 1), place - i).exp_()
        return t.clamp_(max=self.T)  # exp(log T) may be above by rounding as well
