"""Conditioning on y = A x + noise, for any matrix A and any noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .covariance import Factored, SingularLaw

if TYPE_CHECKING:
    from .mixtures import Mixture


def observed(
    law: Mixture, A: Tensor, y: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor, Factored]:
    """Log weights, means and covariance of x given y, from one orthogonal Q.

        [ A F  noise ]       [  S     0   ]
        [  F     0   ] Q  =  [ gain  post ]      F F' = cov

    S S' = A cov A' + noise noise', gain S' = cov A', post post' = the covariance left.
    A: (*n|(), e, d); y: (*n, e); noise: (*n|(), 1, e, e), a root of its covariance.
    Raises: SingularLaw where y has no density. Checked: tests/test_laws.py
    """
    e, F, A = y.shape[-1], law.covariance.factored().whole(), A.unsqueeze(-3)
    rows = torch.broadcast_shapes(A.shape[:-2], noise.shape[:-2], F.shape[:-2])
    F, noise = F.expand(*rows, -1, -1), noise.expand(*rows, -1, -1)
    top = torch.cat([A @ F, noise], -1)
    low = torch.cat([F, F.new_zeros(*F.shape[:-1], e)], -1)
    T = torch.linalg.qr(torch.cat([top, low], -2).mT).R.mT
    S, gain, post = T[..., :e, :e], T[..., e:, :e], T[..., e:, e:]
    pivots = S.diagonal(dim1=-2, dim2=-1).abs()
    if not (pivots > 4 * e * torch.finfo(y.dtype).eps * S.norm(dim=-1)).all():
        raise SingularLaw("the observation is noiseless in a direction: use v > 0")
    off = y.unsqueeze(-2) - (A @ law.means.unsqueeze(-1)).squeeze(-1)
    eye = torch.eye(e, dtype=y.dtype, device=y.device)
    inverse = torch.linalg.solve_triangular(S, eye, upper=False)
    u = torch.einsum("...kij,...kj->...ki", inverse, off)
    logw = law.logw - (u**2).sum(-1) / 2 - pivots.log().sum(-1)  # and a constant
    means = law.means + torch.einsum("...kij,...kj->...ki", gain, u)
    return logw, means, Factored(post, post.new_zeros(1))
