"""Targets: what a network may be trained to give, and the way between them.

At a path x_t = a x0 + g z with one end, the targets of the literature are linear
images of the pair (D, N) = (E[x0 | x_t], E[z | x_t]), whose own combination
a D + g N = x is known. So each determines all others by one 2 x 2 solve:

    denoise = D    noise = N    score = S = -N / g    velocity = da D + dg N
    v = a N - g D  (the v-prediction of progressive distillation)

Where g = 0, the score is known to more digits than N = -g S = 0, and the velocity is
da D - g dg S with g dg finite: from these two the solve is for (D, S), with
a D - g^2 S = x, and divides by g nowhere.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..paths import Coef, Path
from ..paths.targets import known
from ..shapes import Points, Times
from .field import Field, per_point, value


def _row(c: Coef, target: str, by_noise: bool) -> tuple[Tensor, Tensor]:
    """The target as (p, q): p D + q N, or p D + q S."""
    one, zero = torch.ones_like(c.a), torch.zeros_like(c.a)
    n, s = (one, -1 / c.g) if by_noise else (-c.g, one)  # N, S by the second unknown
    rows = {
        "denoise": (one, zero),
        "noise": (zero, n),
        "score": (zero, s),
        "velocity": (c.da, -c.gdg * s),
        "v": (-c.g, c.a * n),
    }
    return rows[target]


def convert(field: Field, path: Path, have: str, want: str) -> Field:
    """The field of target ``want``, from a field of target ``have``, at any point.

    Targets: denoise, noise, score, velocity, v. Raises: ValueError for an unknown
    target, for a path with two ends, and where the pair does not determine ``want``
    (the score from the noise at g = 0, say).
    Source: salimans2022distillation, karras2022edm, lipman2023flow.
    Checked: notation/one-solve, tests/test_fields.py
    """
    path.one_ended()
    for target in (have, want):
        known(target)
    if have == want:
        return field
    by_noise = have in ("noise", "v")

    def wanted(x: Points, t: Times) -> Points:
        c = Coef(*(u.to(x) for u in path.at(t)))
        (p, q), (u, v) = (_row(c, target, by_noise) for target in (have, want))
        g = c.g if by_noise else -c.g2
        det = c.a * q - g * p  # of [[a, g], [p, q]] (D, N)' = (x, F)'
        on_x, on_f = (u * q - v * p) / det, (v * c.a - u * g) / det
        if {have, want} == {"noise", "score"}:  # parallel: true at a = 0 as well
            on_x, on_f = torch.zeros_like(det), v / q
        if not (torch.isfinite(on_x) & torch.isfinite(on_f)).all():
            raise ValueError(f"{have} does not determine {want} at this time")
        F = value(field, x, t)
        return per_point("t", on_x, x) * x + per_point("t", on_f, x) * F

    return wanted
