"""Samples: is this sample from that law, or are these two from one law?

A z-score is a difference over its standard error: about N(0, 1) if the laws agree.
Of many, the largest counts: with N scores and bound c the false alarm is below
N erfc(c / sqrt 2), that is 2e-9 N for c = 6.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..laws import Mixture, dataset
from ..shapes import Estimate, Float, points, ratio
from .line import kolmogorov


def sample(name: str, x: Tensor) -> Tensor:
    """x, or one sentence: a sample is (n, d) with n >= 2."""
    if points(x, name=name).ndim != 2 or len(x) < 2:
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}; a sample is (n, d) with n >= 2"
        )
    return x


def samples(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both samples, or one sentence: they must have one dimension."""
    if sample("x", x).shape[1] != sample("y", y).shape[1]:
        raise ValueError(
            f"the samples have dimensions {x.shape[1]} and {y.shape[1]}; "
            "they must agree"
        )
    return x, y


class KS(NamedTuple):
    """A Kolmogorov-Smirnov statistic and its p-value."""

    statistic: Tensor
    p: float


class Scores(NamedTuple):
    """z-scores of the means (d,) and of the covariances (d, d)."""

    mean: Tensor
    cov: Tensor

    def worst(self) -> Tensor:
        """The largest of all in absolute value."""
        return torch.maximum(self.mean.abs().amax(), self.cov.abs().amax())


def ks_test(x: Float[Tensor, "n 1"], other: Mixture | Tensor) -> KS:
    """Kolmogorov-Smirnov: sup |F_n - G| of a sample on the line, and its p-value.

    other: a law, G its distribution function, p exact for continuous G; or a sample
    (m, 1), p exact up to 10,000 points, asymptotic beyond. With ties or atoms p is
    too large, so a small one still counts. Raises: ValueError unless d = 1.
    Checked: tests/test_metrics.py
    """
    from scipy import stats

    if isinstance(other, Tensor):
        u, v = (s.detach().cpu().numpy() for s in samples(x, other))
        top = kolmogorov(dataset(x), dataset(other)).value
        return KS(top, float(stats.ks_2samp(u[:, 0], v[:, 0]).pvalue))
    top = kolmogorov(dataset(sample("x", x)), other).value
    return KS(top, float(stats.kstwo.sf(float(top), len(x))))


def moment_scores(x: Float[Tensor, "n d"], other: Mixture | Tensor) -> Scores:
    """z-scores of the mean and covariance of x against a law, or another sample.

    Against a law: z_i = (mean x_i - m_i) / se, and the mean of (x_i - m_i)(x_j - m_j)
    against C_ij. Against a sample: differences, with errors added in squares. The
    errors are those of x, and rounding, so that constants where they belong score 0.
    x: n >= 2. Raises: ValueError. Checked: tests/test_metrics.py
    """
    if isinstance(other, Tensor):
        x, y = samples(x, other)
        (m, C), (n, E) = (_moments(u, u.mean(0), 1) for u in (x, y))
        off, gap = m.value - n.value, C.value - E.value
        return Scores(
            ratio(off, m.error.hypot(n.error)), ratio(gap, C.error.hypot(E.error))
        )
    if other.batch or other.d != sample("x", x).shape[-1]:
        raise ValueError(
            f"the law has dimension {other.d} and batch shape {tuple(other.batch)}; "
            f"it must be one law in {x.shape[-1]} dimensions"
        )
    m, C = _moments(x, other.mean(), 0)
    return Scores(m.z(other.mean()), C.z(other.cov()))


def _moments(x: Tensor, m: Tensor, lost: int) -> tuple[Estimate, Estimate]:
    """The mean of x; the covariance about m, ``lost`` degrees of freedom; errors."""
    n, off, mean = len(x), x - m, Estimate.of(x)
    C = off.mT @ off / n
    # var of the products o_i o_j, without a tensor (n, d, d)
    spread = ((off**2).mT @ off**2 / n - C**2).clamp_min(0)
    size = x.abs().amax(0)
    grain = 8 * torch.finfo(x.dtype).eps * size
    error = (spread / (n - 1)).sqrt().hypot(grain.unsqueeze(1) * size)
    return mean._replace(error=mean.error.hypot(grain)), Estimate(
        C * n / (n - lost), error
    )


def sliced_w2(
    x: Float[Tensor, "n d"],
    y: Float[Tensor, "m d"],
    projections: int,
    rng: torch.Generator,
) -> Estimate:
    """The squared sliced Wasserstein-2 distance of two samples.

    The mean of W2^2 over random directions, each exact for the projected samples, of
    equal size or not; the error is the standard error over the directions alone.
    projections >= 2. Raises: ValueError. Checked: tests/test_metrics.py
    """
    samples(x, y)
    if projections < 2:
        raise ValueError(f"{projections} projections were asked for; give at least 2")
    like = {"dtype": x.dtype, "device": x.device}
    z = torch.randn(x.shape[1], projections, generator=rng, **like)
    z = z / torch.linalg.vector_norm(z, dim=0)
    n, m = len(x), len(y)
    # the merged steps i / n and j / m, in units of 1 / (n m): whole numbers
    steps = [torch.arange(1, u + 1, device=x.device) * v for u, v in ((n, m), (m, n))]
    ends = torch.cat(steps).unique()
    i, j = (torch.searchsorted(s, ends) for s in steps)
    share = ends.diff(prepend=ends[:1] * 0).to(x) / (n * m)
    parts = []
    for some in z.split(max(1, 2**21 // (n + m)), dim=1):
        u, v = ((s @ some).sort(0).values for s in (x, y))
        parts.append(share @ (u[i] - v[j]) ** 2)
    return Estimate.of(torch.cat(parts))
