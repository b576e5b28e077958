"""Grids of times: where a sampler asks. Their order is the direction."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..paths import Path
from ..shapes import Float, finite, floating

Grid = Float[Tensor, " m"]


def steps(ts: Tensor) -> Tensor:
    """ts, or an error: two finite times or more, all increasing or all decreasing.

    Checked: tests/test_tables.py
    """
    finite("ts", floating("ts", ts))
    h = ts.diff() if ts.ndim == 1 else ts.new_zeros(0)
    if not h.numel() or not ((h > 0).all() or (h < 0).all()):
        raise ValueError(
            "ts must be at least two times, all increasing or all decreasing"
        )
    return ts


def uniform(start: float | int, end: float | int, n: int) -> Grid:
    """n equal steps in time: n + 1 times from start to end.

    Raises: ValueError for n < 1, and for ends that are equal or not finite.
    Checked: tests/test_tables.py
    """
    if n < 1 or not abs(start - end) > 0 or math.isinf(start - end):
        raise ValueError(
            f"{n} steps from {start} to {end}: a grid has at least one step, "
            "between two different finite times"
        )
    return torch.linspace(start, end, n + 1, dtype=torch.float64)


def _ratios(high: float | int, low: float | int) -> None:
    if not (0 < high < math.inf and 0 < low < math.inf and high != low):
        raise ValueError(
            f"nsr runs from {high} to {low}; they must be two different finite "
            "ratios > 0"
        )


def by_nsr(path: Path, high: float | int, low: float | int, n: int) -> Grid:
    """n steps, equal in log nsr (and so in log-SNR), from high to low, or back.

    log nsr_i = log high + i/n (log low - log high). Checked: tests/test_tables.py
    """
    _ratios(high, low)
    return path.when(uniform(math.log(high), math.log(low), n).exp())


def by_rho(
    path: Path, high: float | int, low: float | int, n: int, rho: float | int = 7
) -> Grid:
    """n steps, equal in nsr^{1/rho}: rho = 1 is uniform, rho -> inf is `by_nsr`.

    nsr_i = (high^{1/rho} + i/n (low^{1/rho} - high^{1/rho}))^rho.
    Source: karras2022edm, eq. 5, without its last step to 0: see `to_data`.
    Raises: ValueError unless rho is positive and finite.
    Checked: teleport/grid, tests/test_tables.py
    """
    _ratios(high, low)
    if not 0 < rho < math.inf:
        raise ValueError(f"rho is {rho}; it must be positive and finite")
    return path.when(uniform(high ** (1 / rho), low ** (1 / rho), n) ** rho)


def by_angle(
    path: Path, lam: float | int, high: float | int, low: float | int, n: int
) -> Grid:
    """n steps, equal in theta = arctan(nsr / sqrt(lam)), from high to low, or back.

    For data of variance lam these are the times at which DDIM loses the least:
    its gain is the exact one times prod cos(theta_i - theta_{i+1}), log cos is
    concave, and the sum of the steps is given. low = 0 includes the last step to the
    data, and high = inf the first from pure noise.
    Source: li2023autodiffusion. Checked: angles/equal, tests/test_tables.py
    """
    if not (high >= 0 and low >= 0 and high != low):
        raise ValueError(f"nsr runs from {high} to {low}; two different ratios >= 0")
    if not 0 < lam < math.inf:
        raise ValueError(f"lam is {lam}; a variance is positive and finite here")
    sd = math.sqrt(lam)
    turns = uniform(math.atan(high / sd), math.atan(low / sd), n)
    nsr = sd * turns.tan()
    nsr[0], nsr[-1] = high, low
    return path.when(nsr)


def to_data(ts: Grid) -> Float[Tensor, " k"]:
    """The grid with one more step, to t = 0, where nothing is left of the noise.

    Samplers that ask the field there say so. Raises: ValueError unless the grid runs
    down and ends above 0. Checked: tests/test_tables.py
    """
    if not (steps(ts)[-1] < ts[0] and ts[-1] > 0):
        raise ValueError(
            f"the grid runs from {ts[0]:g} to {ts[-1]:g}; it must run down and end "
            "above 0"
        )
    return torch.cat([ts, ts.new_zeros(1)])
