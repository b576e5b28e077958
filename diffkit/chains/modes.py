"""Modes: what the exact flow of a Gaussian law does to each eigen-direction."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from ..laws import Mixture
from ..paths import Path
from ..shapes import Points, Tensor, Times, floating, points, trailing


def variance(lam: Tensor) -> Tensor:
    """lam, or an error: a tensor of variances >= 0."""
    if not (floating("lam", lam) >= 0).all():
        raise ValueError(f"lam runs down to {lam.min().item():g}; it must be >= 0")
    return lam


def spread(path: Path, lam: Tensor, t: Times) -> Tensor:
    """psi = sqrt(a^2 lam + g^2), the standard deviation of a mode at time t."""
    c, lam = path.one_ended().at(t), variance(lam)
    return (c.a.to(lam) ** 2 * lam + c.g2.to(lam)).sqrt()


def flow_factor(path: Path, lam: Tensor, t: Times, s: Times) -> Tensor:
    """psi(s) / psi(t): what the flow from t to s multiplies a mode by.

    lam: variances >= 0. Raises: ValueError where psi(t) = 0.
    Source: wang2023painters. Checked: painters/flow-map, painters/mode-equation
    """
    start = spread(path, lam, t)
    if not (start > 0).all():
        raise ValueError("a mode without variance has no flow from noise level 0")
    return spread(path, lam, s) / start


def angle(path: Path, lam: Tensor, t: Times) -> Tensor:
    """theta = arctan(g / (a sqrt(lam))): 0 is signal, pi/2 is noise.

    Without variance there is no signal: pi/2 for lam = 0 at all times, 0 included.
    Checked: painters/half-painted, tests/test_chains.py
    """
    c, lam = path.one_ended().at(t), variance(lam)
    theta = torch.atan2(c.g.to(lam), c.a.to(lam) * lam.sqrt())
    return theta.where(lam > 0, math.pi / 2)


def endpoint_factor(path: Path, lam: Tensor, t: Times, s: Times) -> Tensor:
    """a_s lam / (psi(s) psi(t)): a mode's share of E[x0 | x_s] on the line through x_t.

    Zero where lam = 0, the limit s -> 0 included.
    Source: wang2023painters. Checked: painters/endpoint
    """
    a = path.at(s).a.to(variance(lam))
    factor = a * lam / (spread(path, lam, s) * spread(path, lam, t))
    return torch.where(lam == 0, torch.zeros_like(factor), factor)


def carry(law: Mixture, path: Path, x: Points, t: Times, s: Times) -> Points:
    """The probability flow of a Gaussian law, from x at time t to time s.

    law: one component; x: (*n, d). Raises: ValueError for a mixture of several.
    Source: wang2023painters. Checked: painters/flow-map
    """
    off = _along(law, path, x, t, s, flow_factor)
    return trailing(path.at(s).a.to(x), x) * law.means[0] + off


def endpoint(law: Mixture, path: Path, x: Points, t: Times, s: Times) -> Points:
    """E[x0 | x_s] on the flow line that passes through x at time t.

    Arguments and errors as for `carry`.
    Source: wang2023painters. Checked: painters/endpoint
    """
    off = _along(law, path, x, t, s, endpoint_factor)
    return law.means[0] + off


def _along(
    law: Mixture, path: Path, x: Points, t: Times, s: Times, factor: Callable
) -> Points:
    """x - a_t m, with the factor of its variance put on every mode."""
    if law.k != 1 or law.batch:
        raise ValueError(
            f"the law has {law.k} components and batch shape {tuple(law.batch)}; "
            "the flow map needs a single Gaussian"
        )
    points(x, law.d)
    for name, time in (("t", t), ("s", s)):
        if isinstance(time, Tensor) and time.shape not in ((), x.shape[:-1]):
            raise ValueError(
                f"{name} has shape {tuple(time.shape)}; it must be a number or one "
                f"time per point, {tuple(x.shape[:-1])}"
            )

    def filtered(lam: Tensor) -> Tensor:
        rows = x.shape[:-1] + (1,) * lam.ndim  # one time per point, against modes
        times = (
            u.expand(x.shape[:-1]).reshape(rows) if isinstance(u, Tensor) else u
            for u in (t, s)
        )
        return factor(path, lam, *times)

    cov = law.spectral().covariance
    on, off = filtered(cov.spectrum), cov.floor if cov.full else filtered(cov.floor)
    start = x - trailing(path.at(t).a.to(x), x) * law.means[0]
    return cov.apply(start.unsqueeze(-2), on, off).squeeze(-2)
