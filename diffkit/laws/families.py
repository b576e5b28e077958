"""Families: the constructors of laws."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..shapes import Float, finite, floating
from .covariance import Spectral, spectral
from .mixtures import Mixture


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
        flat = Spectral(none, none[:, 0], cov.reshape(1))
        return Mixture(weights.log(), means, flat)
    if cov.shape not in ((d, d), (k, d, d)):
        raise ValueError(
            f"cov has shape {tuple(cov.shape)}; it must be ({d}, {d}) or "
            f"({k}, {d}, {d})"
        )
    return Mixture(weights.log(), means, spectral(cov, d))


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


def ring(k: int, radius: float | int = 1.0, sd: float | int = 0.1) -> Mixture:
    """k equal Gaussians of standard deviation sd, evenly on a circle in the plane.

    The first stands at (radius, 0). Raises: ValueError for k < 1 or numbers < 0.
    """
    angle = 2 * math.pi * torch.arange(_modes("k", k), dtype=torch.float64) / k
    circle = torch.stack([angle.cos(), angle.sin()], -1)
    return mixture(_size("radius", radius) * circle, _size("sd", sd) ** 2)


def grid(
    side: int, spacing: float | int = 1.0, sd: float | int = 0.1, d: int = 2
) -> Mixture:
    """side^d equal Gaussians of standard deviation sd, on a cubic grid around 0.

    spacing: the distance of neighbours. Raises: ValueError as for `ring`.
    """
    line = torch.arange(_modes("side", side), dtype=torch.float64) - (side - 1) / 2
    knots = torch.cartesian_prod(*[line] * _modes("d", d)).reshape(-1, d)
    return mixture(_size("spacing", spacing) * knots, _size("sd", sd) ** 2)


def moons(k: int, sd: float | int = 0.1) -> Mixture:
    """2 k equal Gaussians of standard deviation sd, evenly on two half circles.

    (cos s, sin s) and (1 - cos s, 1/2 - sin s) at s = pi (i + 1/2) / k, the arcs of
    `data.moons`. Raises: ValueError as for `ring`. Checked: tests/test_families.py
    """
    s = math.pi * (torch.arange(_modes("k", k), dtype=torch.float64) + 0.5) / k
    one, other = (s.cos(), s.sin()), (1 - s.cos(), 0.5 - s.sin())
    arcs = torch.cat([torch.stack(arc, -1) for arc in (one, other)])
    return mixture(arcs, _size("sd", sd) ** 2)


def _modes(name: str, n: int) -> int:
    if n < 1:
        raise ValueError(f"{name} is {n}; it must be >= 1")
    return n


def _size(name: str, value: float | int) -> float | int:
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} is {value}; it must be finite and >= 0")
    return value
