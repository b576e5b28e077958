"""Metrics: distances between laws and between samples, each with its error.

A closed form returns a number: `gaussian_w2`, `gaussian_kl`, `mixture_mmd`. All else
returns an `Estimate` of a value and its error: a bound or a doubling of the grid for
an integral, one standard error for a statistic. Samples x are (n, d); the empirical
law of a sample on the line is `laws.dataset(x)`, exact in every distance there.
"""

from ..shapes import Estimate
from .gaussians import gaussian_kl, gaussian_w2
from .kernels import energy_distance, median_bandwidth, mixture_mmd, mmd
from .line import kolmogorov, total_variation, w1, w2
from .quadrature import cross_entropy, mixture_kl
from .samples import KS, Scores, ks_test, moment_scores, sliced_w2
from .shares import principal_shares, unexplained

__all__ = [
    "KS",
    "Estimate",
    "Scores",
    "cross_entropy",
    "energy_distance",
    "gaussian_kl",
    "gaussian_w2",
    "kolmogorov",
    "ks_test",
    "median_bandwidth",
    "mixture_kl",
    "mixture_mmd",
    "mmd",
    "moment_scores",
    "principal_shares",
    "sliced_w2",
    "total_variation",
    "unexplained",
    "w1",
    "w2",
]
