"""Shares: how much of a squared deviation is along an axis, or explained."""

from __future__ import annotations

import torch
from torch import Tensor

from ..shapes import Float, points


def principal_shares(x: Float[Tensor, "*n m d"]) -> Float[Tensor, "*n r"]:
    """The share of the squared deviation of m points along each principal axis.

    Largest first, summing to one. Raises: ValueError if all points coincide.
    """
    if points(x).ndim < 2 or not x.numel():
        raise ValueError(f"x has shape {tuple(x.shape)}; it must be (..., m, d)")
    squares = torch.linalg.svdvals(x - x.mean(-2, keepdim=True)) ** 2
    total = squares.sum(-1, keepdim=True)
    if not (total > 0).all():
        raise ValueError("all points coincide: there is no deviation to share")
    return squares / total


def unexplained(got: Tensor, want: Tensor) -> Tensor:
    """1 - R^2 = sum |got - want|^2 / sum |want - mean|^2 over the first axis of points.

    got, want: (m, d). 0 is a perfect account, 1 that of the mean.
    """
    for name, x in (("got", got), ("want", want)):
        points(x, name=name)
    if got.shape != want.shape or want.ndim < 2 or not want.numel():
        raise ValueError(
            f"got has shape {tuple(got.shape)} and want {tuple(want.shape)}; "
            "both must be the same (..., m, d)"
        )
    off = ((want - want.mean(-2, keepdim=True)) ** 2).sum((-1, -2))
    if not (off > 0).all():
        raise ValueError("all wanted points coincide: there is nothing to explain")
    return ((got - want) ** 2).sum((-1, -2)) / off
