"""The method that the book recommends, fixed before any race: see chapters/samplers."""

from __future__ import annotations

import math
from numbers import Integral

import torch

from ..paths import Path
from .exponentials import even, nodes, ordered, table, weights
from .grids import uniform
from .table import Table

MANY = 10  # evaluations, from which the third order pays


def recommended(
    path: Path,
    length: float | int,
    n: int,
    high: float | int,
    low: float | int = 0,
    order: int | None = None,
) -> Table:
    """n evaluations from nsr high to low, for the velocity dz/dtheta of a `Frame`.

    x_{s} = x_t + int P dtheta with P the polynomial in theta = arctan(nsr / length)
    through the last ``order`` velocities, 2 below 10 evaluations and 3 from there on,
    if None. At the start the velocity counts as zero and is not asked: all denoisers
    agree with the Gaussian's there, so the first step is free. n + 1 steps in theta,
    equal ones for order 2, else as (i / (n + 1))^1.25: shorter where little is known
    of the past. length: that of the frame.
    Raises: ValueError for n < 1, a length, an order (1 to 4) or ratios out of range.
    Checked: race/order, race/weights, race/default, tests/test_frames.py
    """
    if not isinstance(n, Integral) or n < 1:
        raise ValueError(f"n is {n!r}; there must be at least one evaluation")
    if not 0 < length < math.inf:
        raise ValueError(f"length is {length}; it must be positive and finite")
    if not 0 <= low < high:
        raise ValueError(
            f"nsr runs from {high} to {low}; it must fall, and not below 0"
        )
    J = ordered((2 if n < MANY else 3) if order is None else order, 4)
    i = uniform(0, 1, n + 1) ** (1.25 if J > 2 else 1.0)
    first, last = (math.atan(u / length) for u in (high, low))
    theta = first + (last - first) * i
    ts = path.when(
        torch.cat(
            [
                theta.new_tensor([high]),
                length * theta[1:-1].tan(),
                theta.new_tensor([low]),
            ]
        )
    )
    B = weights(*nodes(theta, J), even(theta.diff(), J))
    for age in range(J):
        B[age, age] = 0  # what refers to the start, where the velocity is zero
    return table("velocity", ts, torch.ones(n + 1, dtype=ts.dtype), B)
