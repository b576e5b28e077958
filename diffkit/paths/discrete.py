"""Chains of N noising steps, and the paths they sit on.

A step n = 1 .. N multiplies by sqrt(1 - beta_n) and adds noise of variance beta_n:
x_n = sqrt(abar_n) x0 + sqrt(1 - abar_n) z with abar_n = prod (1 - beta_m). Kept as
log abar, because the product underflows: abar_N may be e^-1000 and still matter.
On a path that preserves variance, `embed` finds the times at which the path *is*
the chain, a = sqrt(abar_n) and g^2 = 1 - abar_n; on any other, up to a scale.
"""

from __future__ import annotations

import math
from numbers import Integral

import torch

from ..shapes import Float, Tensor, finite, floating
from .path import Path

Steps = Float[Tensor, " N"]


def _counted(N: int) -> int:
    if not isinstance(N, Integral) or N < 1:
        raise ValueError(f"N is {N}; it must be a whole number of steps >= 1")
    return int(N)


def _betas(betas: Tensor) -> Tensor:
    finite("betas", floating("betas", betas))
    if betas.ndim != 1 or not len(betas):
        raise ValueError(
            f"betas has shape {tuple(betas.shape)}; it must be (N,) with N >= 1"
        )
    if not ((betas >= 0) & (betas <= 1)).all():
        raise ValueError(
            f"betas run from {betas.min():g} to {betas.max():g}; "
            "they must lie in [0, 1]"
        )
    return betas


def linear_betas(
    N: int = 1000, first: float | int = 1e-4, last: float | int = 0.02
) -> Steps:
    """beta_n from first to last in equal increments, float64; DDPM's as they stand.

    A chain of another length N is close to the same path when first and last are
    scaled by 1000 / N. Raises: ValueError unless 0 < first <= last < 1.
    Source: ho2020ddpm, section 4.
    Checked: terminal/chains, notation/ddpm, tests/test_paths.py
    """
    if not 0 < first <= last < 1:
        raise ValueError(f"beta runs from {first} to {last}; 0 < first <= last < 1")
    return torch.linspace(first, last, _counted(N), dtype=torch.float64)


def cosine_betas(
    N: int = 1000, s: float | int = 0.008, clip: float | int = 0.999
) -> Steps:
    """The steps of the path `cosine` at t = n / N, each at most clip; float64.

    beta_n = 1 - cos^2 phi_n / cos^2 phi_{n-1}, phi_n = (n/N + s) / (1 + s) pi / 2.
    The last step is 1 before the clip; with clip = 1 the chain ends in pure noise.
    Raises: ValueError for an offset s < 0 or a clip outside (0, 1].
    Source: nichol2021improved, eq. 17. Checked: tests/test_paths.py
    """
    if not 0 <= s < math.inf:
        raise ValueError(f"the offset s is {s}; it must be >= 0 and finite")
    if not 0 < clip <= 1:
        raise ValueError(f"clip is {clip}; it must lie in (0, 1]")
    n = torch.arange(_counted(N) + 1, dtype=torch.float64)
    # by the angle left to a quarter turn: no digit is lost at the last steps
    left = (N - n) / N / (1 + s) * math.pi / 2
    turn = math.pi / (2 * N * (1 + s))
    # cos^2 u - cos^2 v = sin(v + u) sin(v - u), for u before v
    total = (left[1:] + left[:-1]).sin()
    return (total * math.sin(turn) / left[:-1].sin() ** 2).clamp(max=clip)


def log_abar(betas: Steps) -> Steps:
    """log abar_n = sum_{m <= n} log(1 - beta_m), the log of the signal's power.

    betas: (N,) in [0, 1]; -inf from a beta of 1 on.
    Source: ho2020ddpm, eq. 4. Checked: notation/ddpm, tests/test_paths.py
    """
    return torch.log1p(-_betas(betas)).cumsum(0)


def chain_nsr(betas: Steps) -> Steps:
    """sqrt(1 / abar_n - 1), the noise-to-signal ratio after each step; (N,).

    Checked: tests/test_paths.py
    """
    log = log_abar(betas)
    return (-log / 2).exp() * (-torch.expm1(log)).sqrt()


def embed(path: Path, betas: Steps) -> Steps:
    """The times t_n in [0, T] at which a path has the chain's nsr, n = 1 .. N.

    Raises: ValueError where the chain is noisier than the path ever is.
    Checked: tests/test_paths.py
    """
    return path.when(chain_nsr(betas))


def betas_on(path: Path, times: Float[Tensor, " N"]) -> Steps:
    """The chain whose steps end at these times of a path: 1 - abar_n / abar_{n-1}.

    times: (N,), increasing, 0 < times <= T; step 1 starts at t = 0. Raises:
    ValueError for other times, or where nsr falls. Checked: tests/test_paths.py
    """
    finite("times", floating("times", times))
    if times.ndim != 1 or not len(times) or not (times.diff() > 0).all():
        raise ValueError("times must be (N,) with N >= 1, increasing")
    log = -torch.log1p(path.one_ended().nsr(times) ** 2)
    betas = -torch.expm1(torch.diff(log, prepend=log.new_zeros(1)))
    return _betas(betas)


def zero_terminal_betas(betas: Steps, keep: int = 1) -> Steps:
    """The chain with sqrt(abar_n) shifted so that abar_N = 0, and scaled.

    The scale keeps abar at n = keep: 1, the first step, as in the paper, or 0, the
    data, as in `zero_terminal`. A chain that ends at 0 is returned as it is.
    Raises: ValueError where no signal would be left to keep.
    Source: lin2024flawed, algorithm 1. Checked: tests/test_paths.py
    """
    if keep not in (0, 1):
        raise ValueError(
            f"keep is {keep}; it must be 0, the data, or 1, the first step"
        )
    log = torch.cat([betas.new_zeros(1), log_abar(betas)])
    if log[-1] == -math.inf:
        return betas
    if not (log[keep] > log[-1] and log[-2] > log[-1]):
        raise ValueError(
            f"the chain must add noise after n = {keep} and in its last step"
        )
    # log of the root shifted: log(r_n - r_N) - log r_N = log(exp(d_n) - 1)
    d = (log - log[-1]) / 2
    steps = 2 * (d + (-torch.expm1(-d)).log()).diff()
    if keep == 1:  # the scale stands in the first step alone
        steps = torch.cat([log[1:2], steps[1:]])
    return -torch.expm1(steps)
