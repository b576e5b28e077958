"""Pairing: the joint law of two ends, component by component."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .covariance import Factored, Spectral, spectral

if TYPE_CHECKING:
    from .mixtures import Mixture

PAIRS = 100_000  # components of a joint law
MARGIN = 1e-6  # how well a coupling must have the weights of its ends


def paired(
    p: Mixture, q: Mixture, cross: Tensor | None, weights: Tensor | None
) -> tuple[Tensor, Tensor, Factored | Spectral]:
    """Log weights, means and covariance of the law that `Mixture.pair` describes."""
    if p.batch or q.batch:
        raise ValueError("laws with a batch shape were paired; give single laws")
    logw = p.logw.unsqueeze(1) + q.logw if weights is None else _coupled(p, q, weights)
    i, j = torch.nonzero(logw > -math.inf, as_tuple=True)
    if len(i) > PAIRS:
        raise ValueError(f"{len(i)} pairs of components; at most {PAIRS} can be paired")
    mine, theirs = p.covariance.rows(i), q.covariance.rows(j)
    if cross is None:
        a, b = mine.factored().whole(), theirs.factored().whole()
        right = a.new_zeros(1, a.shape[1], b.shape[2])
        left = a.new_zeros(1, b.shape[1], a.shape[2])
        covariance = Factored(_blocks(a, right, left, b), a.new_zeros(1))
    else:
        X = _crossed(p, q, cross, i, j)
        joint = _blocks(mine.dense(), X, X.mT, theirs.dense())
        covariance = spectral(joint, p.d + q.d)
    return logw[i, j], torch.cat([p.means[i], q.means[j]], -1), covariance


def _coupled(p: Mixture, q: Mixture, weights: Tensor) -> Tensor:
    """log weights of the pairs, whose margins must be those of the two laws."""
    w = torch.as_tensor(weights).to(p.means)
    if w.shape != (p.k, q.k) or not ((w >= 0) & (w < math.inf)).all():
        raise ValueError(
            f"weights have shape {tuple(w.shape)}; they must be finite numbers >= 0 of "
            f"shape {(p.k, q.k)}"
        )
    w = w / w.sum()
    for axis, law in ((1, p), (0, q)):
        off = (w.sum(axis) - law.logw.exp()).abs().max()
        if not off <= MARGIN:
            raise ValueError(
                f"the margins of the weights differ by {off.item():.2g} from the "
                f"weights of the laws; at most {MARGIN:g} is allowed"
            )
    return w.log()


def _crossed(p: Mixture, q: Mixture, cross: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """The covariance of x0 and x1 for the pairs (i, j), or one that all share."""
    X, whole = torch.as_tensor(cross).to(p.means), (p.k, q.k, p.d, q.d)
    if X.shape not in (whole, whole[2:]):
        raise ValueError(
            f"cross has shape {tuple(X.shape)}; it must be {whole[2:]} or {whole}"
        )
    return X[i, j] if X.ndim == 4 else X.unsqueeze(0)


def _blocks(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """[[a, b], [c, d]], for one matrix each or as many as the others have."""
    k = max(u.shape[0] for u in (a, b, c, d))
    a, b, c, d = (u.expand(k, -1, -1) for u in (a, b, c, d))
    return torch.cat([torch.cat([a, b], -1), torch.cat([c, d], -1)], -2)
