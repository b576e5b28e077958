"""Field: what a field is, and the one door through which it is asked."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..shapes import Points, Times, floating, trailing

Field = Callable[[Tensor, Tensor], Tensor]


def value(field: Field, x: Points, t: Times) -> Points:
    """F(x, t), seen to be one vector per point.

    x: (*n, d); t: a number or one per point, (*n). Shapes alone are looked at, so
    it stands inside every transform of torch.func.
    Raises: TypeError where x is no float tensor, ValueError for a shape of x, t or
    F(x, t) that does not fit. Checked: tests/test_fields.py
    """
    if not floating("x", x).ndim:
        raise ValueError("x has shape (); it must be (..., d)")
    if isinstance(t, Tensor):
        _fits("t", t, x)
    y = field(x, t)
    if not isinstance(y, Tensor) or y.shape != x.shape:
        form = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(
            f"the field returned {form} for x of shape {tuple(x.shape)}; it must "
            "return one vector per point, of the same shape"
        )
    return y


def per_point(name: str, u: Tensor | float | int, x: Points) -> Tensor:
    """u against the vectors of x: a number, or one per point, of shape (*n).

    Raises: ValueError for another shape; n = d would else go wrong in silence.
    Checked: tests/test_fields.py
    """
    u = torch.as_tensor(u, dtype=x.dtype, device=x.device)
    _fits(name, u, x)
    return trailing(u, x)


def _fits(name: str, u: Tensor, x: Tensor) -> None:
    if u.shape not in (torch.Size(), x.shape[:-1]):
        raise ValueError(
            f"{name} has shape {tuple(u.shape)}; it must be a number or one per "
            f"point, {tuple(x.shape[:-1])}"
        )
