"""Quadrature: integrals over the line of smooth functions of laws, to rounding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..shapes import Float
from .covariance import SingularLaw
from .mixtures import Mixture

REACH = 12  # standard deviations: the density there is 5e-32 of its peak
PIECES = 2**17  # of the line, in one level of splitting


def edges(*laws: Mixture) -> list[Tensor]:
    """Where to cut the line for integrals of smooth functions of these laws.

    One list of cuts, or one for each law of a batch (Q,): multiples of a power of two
    near 2 s_k, out to 12 s_k from every mean, so that similar widths share them. What
    is left out has a mass below 1e-30. Raises: ValueError off the line, SingularLaw.
    Checked: tests/test_entropies.py
    """
    rows = []
    for law in laws:
        if law.d != 1 or len(law.batch) > 1:
            raise ValueError(
                f"the law has dimension {law.d} and batch shape {tuple(law.batch)}; "
                "quadrature is for laws on the line, one or a row of them"
            )
        if law.singular:
            raise SingularLaw("a law has a zero eigenvalue, so no density to integrate")
        s = law.covs().detach().reshape(-1, law.k, 1).sqrt()
        s = 2 ** (2 * s).log2().floor()  # between s and 2 s
        steps = torch.arange(-REACH - 1, REACH + 2).to(s)
        rows.append((((law.means.detach() / s).round() + steps) * s).flatten(1))
    return [row.unique() for row in torch.cat(rows, 1)]


def integral(
    f: Callable[[Tensor, Tensor], Tensor], cuts: list[Tensor], floor: float = 0.0
) -> Float[Tensor, " Q"]:
    """int f(x, q) dx from the first to the last cut of row q, to the rounding of x.

    Ten Gauss-Legendre points a piece; pieces are halved until that changes nothing.
    f takes points x (n) and their rows q (n); floor: rounding is measured against
    int |f|, and at least this. Raises: ValueError if f is not finite, or rough down
    to the finest pieces. Checked: tests/test_entropies.py
    """
    like = cuts[0]
    x, w = (torch.as_tensor(u).to(like) for u in np.polynomial.legendre.leggauss(10))
    none = like.new_zeros(len(cuts))

    def rule(low: Tensor, high: Tensor, row: Tensor) -> Tensor:
        half = ((high - low) / 2).unsqueeze(-1)
        at = low.unsqueeze(-1) + half * (1 + x)
        f_at = f(at.reshape(-1), row.repeat_interleave(len(x)))
        return (half * w * f_at.reshape(at.shape)).sum(-1)

    low, high = torch.cat([u[:-1] for u in cuts]), torch.cat([u[1:] for u in cuts])
    row = torch.cat([torch.full_like(u[1:], q) for q, u in enumerate(cuts)]).long()
    whole = rule(low, high, row)
    size = none.index_add(0, row, whole.detach().abs()).clamp_min(floor)
    total, eps = none, 64 * torch.finfo(like.dtype).eps
    while len(low):
        if not torch.isfinite(whole).all() or len(low) > PIECES * len(cuts):
            raise ValueError("the integrand is not finite, or rough at every scale")
        middle = (low + high) / 2
        ends = torch.cat([low, middle]), torch.cat([middle, high]), row.repeat(2)
        left, right = rule(*ends).split(len(low))
        # a piece far out on the line knows its own points to so many digits only
        noise = eps * (1 + middle.abs() / (high - low)) * size[row]
        bad = (left + right - whole).detach().abs() > noise
        total = total.index_add(0, row[~bad], (left + right)[~bad])
        low, high = (
            torch.cat([low[bad], middle[bad]]),
            torch.cat([middle[bad], high[bad]]),
        )
        whole, row = torch.cat([left[bad], right[bad]]), row[bad].repeat(2)
    return total
