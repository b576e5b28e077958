"""Metrics: distances between laws in closed form, and shares of variance."""

from __future__ import annotations

import torch
from torch import Tensor

from .laws import Mixture, SingularLaw
from .shapes import Float, points


def _gaussians(p: Mixture, q: Mixture) -> tuple[Tensor, Tensor, Tensor]:
    """The difference of the means, and both covariances."""
    for law in (p, q):
        if law.k != 1 or law.batch:
            raise ValueError(
                f"a law has {law.k} components and batch shape {tuple(law.batch)}; "
                "this distance is between two single Gaussians"
            )
    if p.d != q.d:
        raise ValueError(f"the laws have dimensions {p.d} and {q.d}; they must agree")
    return p.mean() - q.mean(), p.cov(), q.cov()


def gaussian_w2(p: Mixture, q: Mixture) -> Tensor:
    """Wasserstein-2 distance of two Gaussians, singular or not.

    W2^2 = |m_p - m_q|^2 + tr[C_p + C_q - 2 (C_p^1/2 C_q C_p^1/2)^1/2].
    Raises: ValueError for mixtures. Checked: tests/test_metrics.py
    """
    off, C, E = _gaussians(p, q)
    lam, U = torch.linalg.eigh(C)
    root = U * lam.clamp_min(0).sqrt() @ U.mT
    cross = torch.linalg.eigvalsh(root @ E @ root).clamp_min(0).sqrt().sum()
    square = off @ off + C.trace() + E.trace() - 2 * cross
    return square.clamp_min(0).sqrt()  # rounding only: the square is >= 0


def gaussian_kl(p: Mixture, q: Mixture) -> Tensor:
    """KL(p || q) of two Gaussians, in nats.

    (tr C_q^-1 C_p - d + log det C_q - log det C_p + |m_p - m_q|^2_{C_q^-1}) / 2.
    Raises: ValueError for mixtures, SingularLaw where a density is missing.
    Checked: tests/test_metrics.py
    """
    off, C, E = _gaussians(p, q)
    if p.singular or q.singular:
        raise SingularLaw("a law has a zero eigenvalue, so KL is not finite")
    inner = torch.linalg.solve(E, torch.cat([C, off.unsqueeze(1)], 1))
    trace, maha = inner[:, :-1].trace(), off @ inner[:, -1]
    return (trace - p.d + E.logdet() - C.logdet() + maha) / 2


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
