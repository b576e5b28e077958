"""Gauges: what may be added to a score and leaves every marginal law as it is.

A field r is a gauge of the density p if div(p r) = 0, which is
div r + r . grad log p = 0: it stirs the points along and never changes how many are
where. For an antisymmetric matrix B(x) the field r = (div(p B)) / p is one, because
the second derivatives d_i d_j (p B_ij) cancel in pairs. With B = h A, A constant:

    r = A (h score + grad h)

and every B(x) is a sum of such terms. Sums of gauges are gauges.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..shapes import Float, Points, Times, finite, floating, trailing
from .derivatives import divergence
from .field import Field, value


def gauge(
    score: Field,
    A: Float[Tensor, "d d"],
    h: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Field:
    """The gauge field r = A (h score + grad h): div r + r . score = 0, exactly.

    A: antisymmetric; h: any smooth (x, t) -> (*n), one by default: then r = A score
    runs along the level lines of the density, and has no divergence.
    Raises: ValueError if A is not antisymmetric or does not fit x, or h not (*n).
    Source: horvat2024gauge. Checked: tests/test_fields.py
    """
    finite("A", floating("A", A))
    if A.ndim != 2 or A.shape[0] != A.shape[1] or not len(A):
        raise ValueError(f"A has shape {tuple(A.shape)}; it must be square")
    if ((A + A.mT).abs() > 8 * torch.finfo(A.dtype).eps * A.abs().max()).any():
        raise ValueError("A is not antisymmetric; take (M - M') / 2 of a matrix M")

    def r(x: Points, t: Times) -> Points:
        s = value(score, x, t)
        if x.shape[-1] != len(A):
            raise ValueError(
                f"A is {tuple(A.shape)} and the points have {x.shape[-1]}"
                " coordinates; they must agree"
            )
        if h is not None:
            slope, level = torch.func.grad(_level(h, t), has_aux=True)(x)
            s = trailing(level, x) * s + slope
        return s @ A.mT.to(x)

    return r


def _level(h: Callable[[Tensor, Tensor], Tensor], t: Times) -> Callable:
    """x -> (sum of h, h), seen to be one number per point."""

    def levels(x: Tensor) -> tuple[Tensor, Tensor]:
        level = h(x, t)
        if level.shape != x.shape[:-1]:
            raise ValueError(
                f"h returned shape {tuple(level.shape)}; it must be one number per "
                f"point, {tuple(x.shape[:-1])}"
            )
        return level.sum(), level

    return levels


def gauge_residual(r: Field, score: Field, x: Points, t: Times) -> Float[Tensor, "*n"]:
    """div r + r . score = div(p r) / p, at every point: zero if r is a gauge.

    In units of 1/time, if r is a velocity: the rate at which r alone would change
    log p, with the sign turned. Source: horvat2024gauge. Checked: tests/test_fields.py
    """
    along = (value(r, x, t) * value(score, x, t)).sum(-1)
    return divergence(r, x, t) + along
