"""Targets: what a field of a path with one end may give.

At x_t = a x0 + g z the targets of the literature are linear in the pair (x0, z); of
the field that knows x_t alone, in (D, N) = (E[x0 | x_t], E[z | x_t]):

    denoise = D    noise = N    score = S = -N / g    velocity = da D + dg N
    v = a N - g D  (the v-prediction of progressive distillation)
"""

from __future__ import annotations

import torch
from torch import Tensor

from .path import Coef

TARGETS = ("denoise", "noise", "score", "velocity", "v")


def known(target: str) -> str:
    """target, or a ValueError if it is none of these."""
    if target not in TARGETS:
        raise ValueError(
            f"target {target!r} is unknown; it is one of {', '.join(TARGETS)}"
        )
    return target


def combination(c: Coef, target: str) -> tuple[Tensor, Tensor]:
    """(p, q): the target of a sample is p x0 + q z, that of a field p D + q N.

    Infinite or NaN where g = 0 leaves it open (score, velocity).
    Raises: ValueError for an unknown target.
    Source: salimans2022distillation. Checked: tests/test_models.py
    """
    one, zero = torch.ones_like(c.a), torch.zeros_like(c.a)
    if known(target) == "denoise":
        return one, zero
    if target == "noise":
        return zero, one
    if target == "score":
        return zero, -1 / c.g
    return (c.da, c.gdg / c.g) if target == "velocity" else (-c.g, c.a)
