"""Brownian motion that can be asked at any times, in any order.

Runs of a sampler on nested grids, driven by one Brownian motion, come close to each
other point by point: that is strong convergence, and what multilevel estimates live
on. So a value, once asked for, stays; and a new one is drawn from its law given all
that are known. The motion is Markov, so only the neighbours l < c < r count:

    W(c) = W(l) + u (W(r) - W(l)) + sqrt(u (r - c)) z,    u = (c - l) / (r - l)

and beyond the last known time l, W(c) = W(l) + sqrt(c - l) z. A known value is never
made again, so the order of asking changes the numbers but not their law.
"""

from __future__ import annotations

import math
from bisect import bisect_left

import torch

from ..shapes import Points, Scalar, points
from ..tables import Table


class Brownian:
    """One Brownian motion W with W(0) = 0, on the whole line.

    like: (*n, d), whose shape, dtype and device W(c) has; rng: where it draws. Keeps
    a value for each time that it was asked at. To `solve` it is the noise of a table
    with a clock. Raises: TypeError for another rng, ValueError for one that lives on
    another device. Source: kidger2021gradients, who need less memory.
    Checked: tests/test_brownian.py
    """

    def __init__(self, like: Points, rng: torch.Generator) -> None:
        if not isinstance(rng, torch.Generator):
            raise TypeError(f"rng is {type(rng).__name__}; it must be a generator")
        if rng.device.type != points(like, name="like").device.type:
            raise ValueError(
                f"rng lives on {rng.device.type} and like on {like.device.type}; "
                "they must be on one device"
            )
        self.rng = rng
        self.times = [0.0]
        self.values = [torch.zeros_like(like)]

    def __call__(self, c: Scalar | float | int) -> Points:
        """W(c), the same whenever it is asked for.

        Raises: ValueError for a time that is not finite.
        """
        c = float(c)
        if not math.isfinite(c):
            raise ValueError(f"the time is {c}; W has a value at finite times only")
        i = bisect_left(self.times, c)
        if i < len(self.times) and self.times[i] == c:
            return self.values[i]
        if 0 < i < len(self.times):
            left, right = self.times[i - 1 : i + 1]
            u = (c - left) / (right - left)
            mean = torch.lerp(self.values[i - 1], self.values[i], u)
            var = u * (right - c)
        else:
            end = min(i, len(self.times) - 1)
            mean, var = self.values[end], abs(c - self.times[end])
        like = {"dtype": mean.dtype, "device": mean.device}
        z = torch.randn(mean.shape, generator=self.rng, **like)
        self.times.insert(i, c)
        self.values.insert(i, torch.add(mean, z, alpha=math.sqrt(var)))
        return self.values[i]

    def step(self, c: float, s: float) -> Points:
        """(W(s) - W(c)) / sqrt|s - c|: the noise of a step, N(0, I), for c != s."""
        return (self(s) - self(c)) / math.sqrt(abs(s - c))

    def clock(self, table: Table, x: Points) -> list[float]:
        """The times at which a run of this table from x asks.

        Raises: ValueError for a table without clock, noise in a row for which the
        clock does not run from one finite time to another, and an x that is not like W.
        """
        if table.clock is None:
            raise ValueError(
                "this table has no clock, so a Brownian motion can not drive it; give "
                "a generator"
            )
        W = self.values[0]
        if (x.shape, x.dtype, x.device) != (W.shape, W.dtype, W.device):
            raise ValueError(
                f"x is {tuple(x.shape)} {x.dtype} on {x.device}, but the Brownian "
                f"motion {tuple(W.shape)} {W.dtype} on {W.device}"
            )
        h = table.clock.diff()
        if not (((h != 0) & h.isfinite()) | (table.S == 0)).all():
            raise ValueError(
                "a row adds noise, but the clock stands there or is infinite"
            )
        return table.clock.tolist()
