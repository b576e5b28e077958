"""Shapes: the names of array shapes, one broadcasting helper, generators, estimates.

Annotations such as ``Float[Tensor, "*n d"]`` are documentation at run time; the
tests execute them (jaxtyping with beartype).

    n  points    d  dimensions    K  components    r  rank    B  batch of laws
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

Scalar = Float[Tensor, ""]
Points = Float[Tensor, "*n d"]
Times = Float[Tensor, "*#n"] | float | int
Square = Float[Tensor, "*B d d"]
__all__ = ["Estimate", "Float", "Int", "Points", "Scalar", "Square", "Tensor", "Times"]


def trailing(t: Tensor, like: Tensor) -> Tensor:
    """t with axes of length one appended until it has as many axes as ``like``.

    t: (*n), like: (*n, ...). A number per point then multiplies its vector.
    """
    return t.reshape(t.shape + (1,) * (like.ndim - t.ndim))


def rng(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own; the book has no global seed."""
    return torch.Generator(device).manual_seed(seed)


def finite(name: str, value: Tensor) -> Tensor:
    """value, or a ValueError that names it if it holds NaN or inf.

    Inside torch.func.vmap values cannot be looked at, and pass.
    """
    try:
        good = bool(torch.isfinite(value).all())
    except RuntimeError:
        return value
    if not good:
        raise ValueError(f"{name} holds NaN or inf; all entries must be finite")
    return value


def floating(name: str, value: Tensor) -> Tensor:
    """value, or a TypeError if it is no tensor of real floating point numbers."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"{name} is {kind}; it must be a tensor of floats")
    return value


def points(x: Tensor, d: int | None = None, name: str = "x") -> Tensor:
    """x, or one sentence: it must be a finite float tensor of shape (..., d).

    d: None for any dimension.
    """
    floating(name, x)
    if x.ndim == 0 or d not in (None, x.shape[-1]):
        form = "(..., d)" if d is None else f"(..., {d})"
        raise ValueError(f"{name} has shape {tuple(x.shape)}; it must be {form}")
    return finite(name, x)


class Estimate(NamedTuple):
    """A value and its error: one standard error, or a bound where that is said.

    Checked: tests/test_metrics.py
    """

    value: Tensor
    error: Tensor

    @staticmethod
    def of(x: Tensor) -> Estimate:
        """The mean over the first axis of independent rows, and its standard error.

        x: (n, ...) with n >= 2. error = sqrt(sum (x - mean)^2 / (n (n - 1))).
        """
        if finite("x", floating("x", x)).ndim == 0 or len(x) < 2:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; a standard error needs two rows or more"
            )
        return Estimate(x.mean(0), (x.var(0) / len(x)).sqrt())

    def z(self, truth: Tensor | float | int = 0.0) -> Tensor:
        """(value - truth) / error, 0 where they agree exactly."""
        return ratio(self.value - truth, self.error)


def ratio(off: Tensor, error: Tensor) -> Tensor:
    """off / error, with 0 / 0 = 0."""
    return torch.where(off == 0, torch.zeros_like(off), off / error)
