"""Families: the constructors of laws."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..shapes import Float, Square, finite, floating
from .mixture import Mixture


def _eigen(cov: Square) -> tuple[Tensor, Tensor]:
    """Basis and spectrum of dense covariances; rounding errors below 0 become 0.

    Raises: ValueError if a matrix is not symmetric or not positive semi-definite.
    """
    finite("cov", floating("cov", cov))
    if cov.ndim < 2 or cov.shape[-1] != cov.shape[-2]:
        raise ValueError(f"cov has shape {tuple(cov.shape)}; it must be square")
    top = cov.abs().amax((-2, -1), keepdim=True)
    if ((cov - cov.mT).abs() > 1e-6 * top).any():
        raise ValueError("cov is not symmetric")
    spectrum, basis = torch.linalg.eigh((cov + cov.mT) / 2)
    slack = cov.shape[-1] * torch.finfo(cov.dtype).eps * spectrum.abs().amax(-1)
    if (spectrum < -slack.unsqueeze(-1)).any():
        raise ValueError(
            f"cov has the eigenvalue {spectrum.min().item():.3g}; "
            "it must be positive semi-definite"
        )
    dust = spectrum < slack.unsqueeze(-1)
    return basis, spectrum.where(~dust, torch.zeros_like(spectrum))


def mixture(
    means: Float[Tensor, "K d"],
    cov: Tensor | float | int,
    weights: Float[Tensor, " K"] | None = None,
) -> Mixture:
    """A Gaussian mixture. cov: a variance, (d, d) for all, or (K, d, d).

    weights: >= 0, equal by default; they are made to sum to one.
    """
    floating("means", means)
    if means.ndim != 2:
        raise ValueError(f"means has shape {tuple(means.shape)}; it must be (K, d)")
    k, d = means.shape
    if not k or not d:
        raise ValueError(f"means has shape {(k, d)}; (K, d) must both be >= 1")
    if weights is None:
        weights = means.new_ones(k)
    weights = floating("weights", weights).to(means)
    if weights.shape != (k,) or not ((weights >= 0) & (weights < math.inf)).all():
        raise ValueError(
            f"weights are {weights.tolist()}; they must be {k} finite numbers >= 0"
        )
    cov = torch.as_tensor(cov, dtype=means.dtype, device=means.device)
    if cov.ndim == 0:
        if not 0 <= cov < math.inf:
            raise ValueError(f"the variance is {cov.item():g}; it must be >= 0")
        none = means.new_zeros(1, d, 0)
        return Mixture(weights.log(), means, none, none[:, 0], cov.reshape(1))
    if cov.shape not in ((d, d), (k, d, d)):
        raise ValueError(
            f"cov has shape {tuple(cov.shape)}; it must be ({d}, {d}) or "
            f"({k}, {d}, {d})"
        )
    basis, spectrum = _eigen(cov if cov.ndim == 3 else cov.unsqueeze(0))
    return Mixture(weights.log(), means, basis, spectrum, spectrum.new_zeros(1))


def gaussian(mean: Float[Tensor, " d"], cov: Tensor | float | int) -> Mixture:
    """N(mean, cov): one component. cov: a variance or (d, d), rank-deficient or not."""
    floating("mean", mean)
    if mean.ndim != 1:
        raise ValueError(f"mean has shape {tuple(mean.shape)}; it must be (d,)")
    return mixture(mean.unsqueeze(0), cov)


def dataset(x: Float[Tensor, "K d"]) -> Mixture:
    """The empirical law of the rows of x: a mixture of points, covariance zero."""
    return mixture(x, 0.0)


def fit_gaussian(x: Float[Tensor, "n d"]) -> Mixture:
    """The Gaussian with the mean and covariance (divisor n) of the rows of x."""
    floating("x", x)
    if x.ndim != 2 or not len(x):
        raise ValueError(f"x has shape {tuple(x.shape)}; it must be (n, d) with n > 0")
    off = finite("x", x) - x.mean(0)
    return gaussian(x.mean(0), off.mT @ off / len(x))
