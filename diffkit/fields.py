"""Fields: functions (x, t) -> vector, and what can be asked of any of them.

At a path x_t = a x0 + g z with one end, the targets of the literature are linear
images of the pair (E[x0 | x_t], E[z | x_t]), whose own combination a D + g N = x is
known. So each determines all others by one 2 x 2 solve:

    denoise = D    noise = N    score = -N / g    velocity = da D + dg N
    v = a N - g D  (the v-prediction of progressive distillation)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .paths import Coef, Path
from .shapes import Float, Points, Times, trailing

Field = Callable[[Tensor, Tensor], Tensor]


def _row(c: Coef, target: str) -> tuple[Tensor, Tensor]:
    """The target as (p, q): p D + q N."""
    one, zero = torch.ones_like(c.a), torch.zeros_like(c.a)
    rows = {
        "denoise": (one, zero),
        "noise": (zero, one),
        "score": (zero, -1 / c.g),
        "velocity": (c.da, c.gdg / c.g),
        "v": (-c.g, c.a),
    }
    if target not in rows:
        raise ValueError(
            f"target {target!r} is unknown; it is one of {', '.join(rows)}"
        )
    return rows[target]


def convert(field: Field, path: Path, have: str, want: str) -> Field:
    """The field of target ``want``, from a field of target ``have``, at any point.

    Targets: denoise, noise, score, velocity, v. Raises: ValueError for an unknown
    target, for a path with two ends, and where the pair does not determine ``want``
    (at g = 0, say). Source: salimans2022distillation, karras2022edm, lipman2023flow.
    Checked: notation/one-solve
    """
    path.one_ended()
    for target in (have, want):
        _row(path.at(path.T / 2), target)
    if have == want:
        return field

    def wanted(x: Points, t: Times) -> Points:
        c = Coef(*(u.to(x) for u in path.at(t)))
        (p, q), (u, v) = _row(c, have), _row(c, want)
        det = c.a * q - c.g * p  # of [[a, g], [p, q]] (D, N)' = (x, F)'
        on_x, on_f = (u * q - v * p) / det, (v * c.a - u * c.g) / det
        if {have, want} == {"noise", "score"}:  # parallel: true at a = 0 as well
            on_x, on_f = torch.zeros_like(det), v / q
        if not (torch.isfinite(on_x) & torch.isfinite(on_f)).all():
            raise ValueError(f"{have} does not determine {want} at this time")
        return trailing(on_x, x) * x + trailing(on_f, x) * field(x, t)

    return wanted


def jacobian(field: Field, x: Points, t: Times) -> Float[Tensor, "*n d d"]:
    """d field_i / d x_j at every point, by automatic differentiation.

    x: (*n, d). The field must treat points one by one, as all fields here do.
    """
    flat = x.reshape(-1, x.shape[-1])
    time = t.reshape(-1) if isinstance(t, Tensor) and t.ndim else t
    total = torch.func.jacrev(lambda y: field(y, time).sum(0))(flat)  # (d, n, d)
    return total.movedim(0, 1).reshape(*x.shape, x.shape[-1])


def divergence(field: Field, x: Points, t: Times) -> Float[Tensor, "*n"]:
    """sum_i d field_i / d x_i at every point, exactly: d reverse sweeps."""
    return jacobian(field, x, t).diagonal(dim1=-2, dim2=-1).sum(-1)
