"""Quadrature: expectations under a mixture in one or two dimensions.

E_p f = sum_k w_k E f(m_k + R_k z), R_k the root of cov_k, z ~ N(0, I). For each
component the trapezoid rule on a grid of spacing h over |z_i| <= 9, which converges
faster than any power of h where f is analytic. The mass outside is below 1e-18. The
spacing starts below half the narrowest width that any component has in the units of
this one, so no feature falls between the nodes; it is halved until the sum settles,
and the last change is the error.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..laws import Mixture, SingularLaw
from ..shapes import Estimate
from .gaussians import root

REACH, LIMIT, PIECE = 9.0, 2**22, 2**20  # half width; nodes a component; entries
ANALYTIC, KINKED = 1e-10, 1e-5  # where halving stops


def mixture_kl(p: Mixture, q: Mixture) -> Estimate:
    """KL(p || q) = int p log(p / q), in nats, for d = 1 or 2.

    The error is the change at the last halving of the spacing, <= 1e-10 (1 + KL)
    unless 4 million nodes a component are reached. Raises: ValueError for d > 2 and
    where widths differ too much for the grid; SingularLaw without a density.
    Checked: dialects/three-views, tests/test_metrics.py
    """
    return _expectation(p, q, lambda x: p.log_prob(x) - q.log_prob(x), ANALYTIC)


def cross_entropy(p: Mixture, q: Mixture) -> Estimate:
    """-int p log q, in nats, for d = 1 or 2; with q = p the entropy of p.

    Errors and refusals as in `mixture_kl`. Checked: tests/test_metrics.py
    """
    return _expectation(p, q, lambda x: -q.log_prob(x), ANALYTIC)


def plane_variation(p: Mixture, q: Mixture) -> Estimate:
    """Total variation E_p (1 - q / p)_+, as in `mixture_kl`, to about 2e-5."""

    def short(x: Tensor) -> Tensor:
        return -(q.log_prob(x) - p.log_prob(x)).clamp_max(0).expm1()

    return _expectation(p, q, short, KINKED)


def _expectation(
    p: Mixture, q: Mixture, f: Callable[[Tensor], Tensor], tol: float
) -> Estimate:
    """E_p f with the error of the grid; q only says how fine f can be."""
    if p.d != q.d or p.d > 2 or p.batch or q.batch:
        raise ValueError(
            f"the laws have dimensions {p.d} and {q.d}, batches {tuple(p.batch)} and "
            f"{tuple(q.batch)}; quadrature needs both in 1 or both in 2, no batch"
        )
    if p.singular or q.singular:
        raise SingularLaw("a law has a zero eigenvalue, so no density; add noise first")
    value, error = p.means.new_zeros(()), p.means.new_zeros(())
    covs = torch.cat([p.covs(), q.covs()])
    for w, m, C in zip(p.logw.exp(), p.means, p.covs(), strict=True):
        if w > 0:
            got = _settled(f, m, root(C), _spacing(C, covs), tol)
            value, error = value + w * got.value, error + w * got.error
    return Estimate(value, error.detach())


@torch.no_grad()
def _spacing(C: Tensor, covs: Tensor) -> float:
    """The spacing to start from: half the narrowest width, in units of C, <= 1/2."""
    L = torch.linalg.cholesky(C)
    half = torch.linalg.solve_triangular(L, covs, upper=False)
    seen = torch.linalg.solve_triangular(L, half.mT, upper=False)
    narrow = torch.linalg.eigvalsh((seen + seen.mT) / 2)[:, 0].amin()
    narrow = float(narrow.clamp_min(0).sqrt())
    h = min(0.5, narrow / 2)
    if (4 * REACH) ** len(C) > LIMIT * h ** len(C):
        raise ValueError(
            f"a component is {narrow:.2g} times as wide as another, too narrow for "
            f"a grid of {LIMIT} nodes in {len(C)} dimensions"
        )
    return h


def _settled(
    f: Callable[[Tensor], Tensor], m: Tensor, R: Tensor, h: float, tol: float
) -> Estimate:
    """E f(m + R z), the spacing halved until two sums agree to tol (1 + |sum|)."""
    new, d = _trapezoid(f, m, R, h), len(m)
    while True:
        h, old = h / 2, new
        new = _trapezoid(f, m, R, h)
        error = (new - old).abs()
        if error <= tol * (1 + new.abs()) or (4 * REACH / h) ** d > LIMIT:
            return Estimate(new, error)


def _trapezoid(f: Callable[[Tensor], Tensor], m: Tensor, R: Tensor, h: float) -> Tensor:
    """sum of phi(z) h^d f(m + R z) over the grid of spacing h."""
    n, d = math.ceil(REACH / h), len(m)
    line = h * torch.arange(-n, n + 1, dtype=m.dtype, device=m.device)
    total = m.new_zeros(())
    for rows in line.split(max(1, PIECE // len(line))):
        z = torch.cartesian_prod(rows, line) if d == 2 else rows.unsqueeze(-1)
        weight = torch.exp(-(z**2).sum(-1) / 2) * (h / math.sqrt(2 * math.pi)) ** d
        total = total + (weight * f(m + z @ R.mT)).sum()
    return total
