"""Cumulants: what a mixture is beyond its mean and covariance.

The third cumulant is the first that a Gaussian lacks, so far out in the noise it is
the first by which a law differs from the Gaussian with its mean and covariance.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..shapes import Float
from .mixtures import Mixture


def third_cumulant(law: Mixture) -> Float[Tensor, "*B d d d"]:
    """The third cumulant, E of the triple product of x - m with itself, m the mean.

    k3_ijl = sum_k w_k [e_i e_j e_l + e_i C_jl + e_j C_il + e_l C_ij],
    e = m_k - m, C = cov_k. Finite data sets too: no array of K d^2 numbers is made for
    them, nor wherever all components share their covariance, which then cancels.
    Raises: TypeError for what is no Mixture.
    Source: wang2024unreasonable. Checked: farfield/rms, tests/test_cumulants.py
    """
    if not isinstance(law, Mixture):
        raise TypeError(f"law is {type(law).__name__}; it must be a Mixture")
    off = law.means - law.mean().unsqueeze(-2)
    weighted = law.logw.exp().unsqueeze(-1) * off
    third = torch.stack(
        [(weighted[..., i : i + 1] * off).mT @ off for i in range(law.d)], -3
    )
    if law.covariance.k > 1:
        mixed = torch.einsum("...ki,...kjl->...ijl", weighted, law.covariance.dense())
        third = third + mixed + mixed.transpose(-3, -2) + mixed.transpose(-3, -1)
    return third.expand(*law.batch, law.d, law.d, law.d)
