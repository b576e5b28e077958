"""Adaptive steps: an embedded pair tells the error of a step, a controller the next.

Two sets of weights on the same stages give x_{n+1}, of order p, and a state of lower
order q, whose difference from it, in units of what is tolerated,

    e = max_points rms_coordinates |x_{n+1} - low| / (atol + rtol max(|x_n|, |x_{n+1}|))

is the error of the step. The step is taken, with the better state, if e <= 1, and the
next one aims at e = r = 1/2 by a controller that is proportional and integral in
log e (Soderlind and Wang's PI.3.4), with k = q + 1 because e goes with h^k:

    h' = h clip((r / e_n)^{0.7/k} (e_{n-1} / r)^{0.4/k}, 1/5, 5).

A step refused is tried again with h max((r / e)^{1/k}, 1/5); the one after it does
not grow. The maximum over points holds each point to its own tolerance: neighbours
make steps shorter and never an error larger than it would be allowed alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from ..fields import Field, value
from ..shapes import Float, Points, points
from ..tables import DORMAND_PRINCE, Tableau
from .progress import Bar

AIM, SHRINK, GROW = 0.5, 0.2, 5.0
LEAST = 16 * torch.finfo(torch.float64).eps  # of times, float64 for every dtype


class Run(NamedTuple):
    """What an adaptive run did. `tables.runge_kutta` on its times repeats it.

    ts: (M + 1,), the ends of its steps; states: (M + 1, *n, d), or the last one alone,
    (1, *n, d); evaluations: how often it asked the field; refused: steps that were
    tried in vain. Checked: tests/test_adaptive.py
    """

    ts: Float[Tensor, " m"]
    states: Float[Tensor, "k *n d"]
    evaluations: int
    refused: int


@dataclass(frozen=True)
class Adaptive:
    """Steps of its own from time t to s, for `solve` and `flow` in a table's place.

    rtol, atol: what the error of a step is measured by, relative and absolute.
    first: the length of the first step, None to guess it (one evaluation). most: steps
    tried at most. tableau: a method with an embedded one. It asks the field at both
    ends, so s must be a time where the field has a value; stop short of noise 0 else.
    Raises: ValueError for numbers out of range.
    Source: dormand1980family, soderlind2006adaptive, hairer1993solving.
    Checked: tests/test_adaptive.py
    """

    t: float | int
    s: float | int
    rtol: float | int = 1e-6
    atol: float | int = 1e-9
    first: float | int | None = None
    most: int = 10_000
    tableau: Tableau = DORMAND_PRINCE
    eats: ClassVar[str] = "velocity"
    random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 < abs(self.t - self.s) < math.inf:
            raise ValueError(
                f"t is {self.t} and s {self.s}; they must be two different finite times"
            )
        if not (0 <= self.rtol < 1 and 0 < self.atol < math.inf):
            raise ValueError(
                f"rtol is {self.rtol} and atol {self.atol}; it must be 0 <= rtol < 1 "
                "and atol > 0"
            )
        if self.first is not None and not 0 < self.first < math.inf:
            raise ValueError(f"first is {self.first}; it must be a length > 0, or None")
        if self.most < 1:
            raise ValueError(f"most is {self.most}; it must be at least 1 step")
        _ = self.tableau.embedded  # or it says that there is none

    def run(self, field: Field, x: Points, keep: bool = True) -> Run:
        """Run from x; keep: hold the state after every step, not the last alone.

        field: (x, t) -> dx/dt. Evaluations: one, one for the guess of the first step,
        and then as many for each step tried as the method has stages (the slope at
        the end of one is the first of the next).
        Raises: ValueError if more than ``most`` steps are tried, if one falls below
        the rounding of times, or where the field gives NaN or inf.
        """
        t = float(self.t)
        slope = value(field, points(x), self._clock(t, x))
        if not torch.isfinite(slope).all():
            raise ValueError(f"the field gives NaN or inf at t = {t:g}, at the start")
        first = self.first or self._guess(field, x, slope)
        pace = _Pace(float(first), self._k)
        times, states, tries, e = [t], [x], 0, 0.0
        with Bar() as tell:
            while t != self.s:
                self._allow(tries, t, pace.h, e)
                tries += 1
                to = self._after(t, pace.h)
                y, end, e = self._step(field, states[-1], slope, t, to)
                if e <= 1:
                    pace.taken(abs(to - t), e)
                    t, slope = to, end
                    times.append(t)
                    states = states if keep else []
                    states.append(y)
                    tell((t - self.t) / (self.s - self.t))
                else:
                    pace.refused(abs(to - t), e)
        if not torch.isfinite(states[-1]).all():  # an error relative to inf is 0
            raise ValueError(f"the state overflowed on its way to t = {self.s:g}")
        return Run(
            torch.tensor(times, dtype=torch.float64, device=x.device),
            torch.stack(states),
            evaluations=1 + (self.first is None) + tries * len(self.tableau.b),
            refused=tries - (len(times) - 1),
        )

    @cached_property
    def _k(self) -> int:
        """An error of the lower order is of order h^k in a step."""
        return self.tableau.embedded.order + 1

    @cached_property
    def _stages(self) -> tuple[tuple, ...]:
        """(c, row) of the stages after the first as floats, and the weights of e."""
        low = self.tableau.embedded
        stages = tuple(zip(map(float, low.c), map(_floats, low.a), strict=True))
        high = (*self.tableau.b, 0)
        return stages[1:], _floats(u - v for u, v in zip(high, low.b, strict=True))

    def _clock(self, t: float, x: Tensor) -> Tensor:
        return torch.tensor(t, dtype=torch.float64, device=x.device)

    def _after(self, t: float, h: float) -> float:
        """The end of a step of length h, or s itself where little would be left."""
        left = self.s - t
        return float(self.s) if abs(left) <= 1.1 * h else t + math.copysign(h, left)

    def _allow(self, tries: int, t: float, h: float, e: float) -> None:
        """Raise unless one more step may be tried, of length h after an error e."""
        if tries == self.most:
            raise ValueError(
                f"{tries} steps came from {self.t:g} to {t:g}, not to {self.s:g}: "
                "allow more, or a larger tolerance"
            )
        if h > LEAST * max(abs(t), abs(self.s - self.t)):
            return
        if e < math.inf:
            raise ValueError(
                f"steps at t = {t:g} fell below the rounding of times: the solution "
                "blows up there, or the field jumps"
            )
        raise ValueError(f"the field gives NaN or inf right after t = {t:g}")

    def _step(
        self, field: Field, x: Points, slope: Points, t: float, to: float
    ) -> tuple[Points, Points, float]:
        """The state at ``to``, the slope there, and the error e."""
        h, slopes, y = to - t, [slope], x
        stages, weights = self._stages
        for c, row in stages:
            y = _moved(x, h, row, slopes)
            slopes.append(field(y, self._clock(to if c == 1 else t + c * h, x)))
        off = _moved(torch.zeros_like(x), h, weights, slopes)
        scale = self.atol + self.rtol * torch.maximum(x.abs(), y.abs())
        return y, slopes[-1], _size(off, scale)

    def _guess(self, field: Field, x: Points, slope: Points) -> float:
        """A first step by the slope and its change over a small Euler step."""
        span = abs(self.s - self.t)
        scale = self.atol + self.rtol * x.abs()
        d0, d1 = _size(x, scale), _size(slope, scale)
        h = min(span, 0.01 * d0 / d1) if min(d0, d1) > 1e-5 else 0.0
        h = h or 1e-6 * span  # also where a slope beyond all scales leaves nothing
        to = self._after(float(self.t), h)
        ahead = field(x + (to - self.t) * slope, self._clock(to, x))
        d2 = _size(ahead - slope, scale) / h
        bend = max(d1, d2)
        if not 1e-15 < bend < math.inf:
            return max(1e-6 * span, 1e-3 * h)
        return min(100 * h, (0.01 / bend) ** (1 / self._k))


@dataclass
class _Pace:
    """The length h of the next step, and what it goes by."""

    h: float
    k: int
    before: float = AIM
    grow: float = GROW

    def taken(self, h: float, e: float) -> None:
        """A step of length h was taken, with error e."""
        e = max(e, 1e-10)  # a step without error has no logarithm
        factor = (AIM / e) ** (0.7 / self.k) * (self.before / AIM) ** (0.4 / self.k)
        self.h = h * min(self.grow, max(SHRINK, factor))
        self.before, self.grow = max(e, 1e-4), GROW

    def refused(self, h: float, e: float) -> None:
        """A step of length h was refused, with error e > 1, inf or NaN."""
        factor = (AIM / e) ** (1 / self.k) if e < math.inf else SHRINK
        self.h, self.grow = h * max(SHRINK, factor), 1.0


def _floats(weights: Iterable[Fraction]) -> tuple[float, ...]:
    return tuple(map(float, weights))


def _moved(
    x: Tensor, h: float, weights: tuple[float, ...], slopes: list[Tensor]
) -> Tensor:
    """x + h sum_j w_j k_j."""
    for w, slope in zip(weights, slopes, strict=True):
        if w:
            x = torch.add(x, slope, alpha=h * w)
    return x


def _size(u: Tensor, scale: Tensor) -> float:
    """The largest of the points of the root mean square of u / scale; 0 for none."""
    if not u.numel():
        return 0.0
    return (u / scale).square().mean(-1).sqrt().max().item()
