"""Entropy: what is exact, what is bounded, and a quadrature rule on the line.

The differential entropy H(p) = -int p log p, in nats, is closed for a Gaussian,

    H(N(m, C)) = [d log(2 pi e) + log det C] / 2,

and has no closed form for a mixture p = sum_k w_k p_k. On the line it is an
integral, done here by a rule that splits its pieces until two halves agree with
the whole. In space it lies between bounds that need no integral:

    sum_k w_k H(p_k)  <=  H(p)  <=  sum_k w_k H(p_k) + H(w),
    H(p)  <=  H(N(mean p, cov p)),

and, with a distance D of two components, between two values of

    sum_k w_k H(p_k) - sum_i w_i log sum_j w_j exp(-D(p_i, p_j)):

the Chernoff distance -log int p_i^alpha p_j^(1-alpha) for D gives a lower bound,
KL(p_i || p_j) an upper one. Both are exact where components coincide or are far
apart. A law with a zero eigenvalue has entropy -inf; it is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..shapes import Float
from .covariance import SingularLaw
from .mixtures import Mixture
from .quadrature import edges, integral

CHUNK = 2**22  # numbers held at once
WORK = 1e11  # multiplications of one call


class Bounds(NamedTuple):
    """lower <= truth <= upper, each of the law's batch shape."""

    lower: Tensor
    upper: Tensor


def entropy(law: Mixture) -> Float[Tensor, "*B"]:
    """H(p) = -int p log p: of a Gaussian in closed form, on the line by quadrature.

    Nats; the error on the line is below 1e-12 (1 + |H|) in float64. Raises:
    ValueError for several components in space (see `entropy_bounds`), SingularLaw.
    Checked: tests/test_entropies.py
    """
    _dense(law)
    if law.k == 1:
        return _gaussian(law.covs().squeeze(-3)).expand(law.batch)
    if law.d > 1:
        raise ValueError(
            f"the entropy of {law.k} components in {law.d} dimensions has no closed "
            "form; take entropy_bounds, or one dimension"
        )

    if law.batch:
        raise ValueError(
            f"the law has batch shape {tuple(law.batch)}; quadrature is for one law"
        )

    def density(x: Tensor, _: Tensor) -> Tensor:
        log = law.log_prob(x.unsqueeze(-1))
        return -log.exp() * log

    return integral(density, edges(law))[0]


def component_bounds(law: Mixture) -> Bounds:
    """sum_k w_k H(p_k) <= H(p) <= sum_k w_k H(p_k) + H(w), in nats.

    Equal to the truth if all components coincide, or if they do not overlap.
    Raises: SingularLaw. Checked: tests/test_entropies.py
    """
    _dense(law)
    w = law.logw.exp()
    lower = (w * _gaussian(law.covs())).sum(-1)
    return Bounds(lower, lower + torch.special.entr(w).sum(-1))


def pairwise_bounds(law: Mixture, alpha: float = 0.5) -> Bounds:
    """Bounds on the entropy from the distances of all pairs of components, in nats.

    sum_k w_k H_k - sum_i w_i log sum_j w_j exp(-D_ij); D is the Chernoff distance of
    order alpha below (1/2: Bhattacharyya), the Kullback-Leibler divergence above.
    Pairs are met in chunks. Raises: ValueError for alpha outside (0, 1) or more than
    1e11 multiplications, SingularLaw.
    Source: kolchinsky2017mixture, section 4. Checked: tests/test_entropies.py
    """
    _dense(law)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}; it must lie between 0 and 1")
    covs, means = law.covs(), law.means
    d, k = law.d, law.k
    shared = law.covariance.k == 1
    if k**2 * (d if shared else d**3) > WORK:
        raise ValueError(
            f"{k} components in {d} dimensions have too many pairs: more than "
            f"{WORK:.0e} multiplications; take component_bounds"
        )
    # laws of a batch may share their means
    means = means.expand(*law.batch, k, d)
    pairs = _shared(covs, means, alpha) if shared else _general(covs, means, alpha)
    below, above = zip(
        *((_smooth(law, far), _smooth(law, kl)) for far, kl in pairs), strict=True
    )
    w, base = law.logw.exp(), component_bounds(law).lower
    return Bounds(*(base + (w * torch.cat(u, -1)).sum(-1) for u in (below, above)))


def entropy_bounds(law: Mixture) -> Bounds:
    """The tightest of all bounds here: H(p) lies between them, in nats.

    Below: pairs by Bhattacharyya. Above: the smaller of pairs by Kullback-Leibler
    and the Gaussian with the covariance of the law. Raises: SingularLaw.
    Source: kolchinsky2017mixture, section 4. Checked: tests/test_entropies.py
    """
    lower, upper = pairwise_bounds(law)
    return Bounds(lower, torch.minimum(upper, _gaussian(law.cov())))


# ------------------------------------------------------------------- inside


def _dense(law: Mixture) -> None:
    if law.singular:
        raise SingularLaw(
            "this law has a zero eigenvalue, so its differential entropy is -inf; "
            "add noise first"
        )


def _gaussian(cov: Tensor) -> Tensor:
    """[d log(2 pi e) + log det cov] / 2."""
    return (cov.shape[-1] * (1 + math.log(2 * math.pi)) + cov.logdet()) / 2


def _rows(width: int) -> int:
    """How many rows of this width are held at once."""
    return max(1, CHUNK // width)


def _smooth(law: Mixture, far: Float[Tensor, "*B c K"]) -> Float[Tensor, "*B c"]:
    """-log sum_j w_j exp(-D_ij) for some i."""
    return -(law.logw.unsqueeze(-2) - far).logsumexp(-1)


def _shared(covs: Tensor, means: Tensor, alpha: float) -> Iterator[tuple]:
    """(Chernoff, KL) of some rows i with all j, all of one covariance."""
    root = torch.linalg.cholesky(covs[..., 0, :, :])
    u = torch.linalg.solve_triangular(root, means.mT, upper=False).mT
    for v in u.split(_rows(means.numel()), -2):
        square = ((v.unsqueeze(-2) - u.unsqueeze(-3)) ** 2).sum(-1)
        yield alpha * (1 - alpha) / 2 * square, square / 2


def _general(covs: Tensor, means: Tensor, alpha: float) -> Iterator[tuple]:
    """The same, for covariances of their own."""
    d, root, logdet = means.shape[-1], torch.linalg.cholesky(covs), covs.logdet()
    rows = _rows(covs.numel())
    for at in range(0, means.shape[-2], rows):
        some = slice(at, at + rows)
        C, own = covs[..., some, None, :, :], logdet[..., some, None]
        other = logdet.unsqueeze(-2)
        off = (means[..., some, None, :] - means.unsqueeze(-3)).unsqueeze(-1)
        mid = torch.linalg.cholesky((1 - alpha) * C + alpha * covs.unsqueeze(-4))
        maha = (torch.linalg.solve_triangular(mid, off, upper=False) ** 2).sum((-2, -1))
        size = 2 * mid.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        far = alpha * (1 - alpha) * maha + size - (1 - alpha) * own - alpha * other
        both = off @ off.mT + C  # tr C_j^-1 (C_i + off off') at once
        trace = torch.cholesky_solve(both, root.unsqueeze(-4)).diagonal(
            dim1=-2, dim2=-1
        )
        yield far / 2, (trace.sum(-1) - d + other - own) / 2
