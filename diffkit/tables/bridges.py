"""Steps along the exact bridge of the path: DDIM and the ancestral sampler.

Given both ends of a step, x_t and the data x0, the state in between is Gaussian: the
path is a Markov chain from the data to the noise, x_t = r x_s + w z with r = a_t / a_s
and w^2 = g_t^2 - r^2 g_s^2, and conditioning gives

    x_s | x_t, x0 ~ N(a_s x0 + k/g_t (x_t - a_t x0), v^2),    k^2 + v^2 = g_s^2
    v^2 = g_s^2 (1 - nsr_s^2 / nsr_t^2)

A sampler knows x_t but not x0, and puts the denoiser D = E[x0 | x_t] in its place. Any
other split k^2 + (eta v)^2 = g_s^2 keeps the law of x_s given x0: that is DDIM.

With y = x a / g^2 the ancestral step reads y_s = y_t + (1/nsr_s^2 - 1/nsr_t^2) D
+ noise of variance 1/nsr_s^2 - 1/nsr_t^2. So its noise is that of one Brownian motion,
and the clock of that motion is 1 / nsr^2, the signal-to-noise ratio.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from ..paths import Path
from .grids import Grid, steps
from .table import Table

VARIANCES = ("posterior", "forward")


def ddim(path: Path, ts: Grid, eta: float | int = 0.0) -> Table:
    """The exact bridge of the path, with the data replaced by the denoiser.

    x_s = (k / g_t) x_t + (a_s - a_t k / g_t) D + eta v z with k^2 = g_s^2 - eta^2 v^2
    and v^2 = g_s^2 (1 - nsr_s^2 / nsr_t^2). eta = 0 is DDIM, eta = 1 the ancestral
    sampler of DDPM. At g_s = 0 the step returns D, and adds no noise. The clock of
    the noise is 1 / nsr^2: exactly at eta = 1, else to first order in the step.
    Raises: ValueError unless 0 <= eta <= 1, from noise level 0, and for eta > 0 on a
    grid that runs up. Source: song2021ddim, eq. 12 and 16.
    Checked: teleport/cosines, notation/ddpm-step, tests/test_bridges.py
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta is {eta}; it must be between 0 and 1")
    c = path.one_ended().at(steps(ts))
    a_t, a_s, g_t, g_s = c.a[:-1], c.a[1:], c.g[:-1], c.g[1:]
    if not (g_t > 0).all():
        raise ValueError("the grid leaves from noise level 0, where DDIM has no step")
    k, S, clock = g_s, torch.zeros_like(g_s), None
    if eta:
        rest = (a_t * g_s / (a_s * g_t)) ** 2  # 1 - v^2 / g_s^2, at most 1
        if not (rest <= 1).all():
            raise ValueError("eta > 0 needs a grid that runs from noise to data")
        # where g_s = 0 any number does; 0 would make the slope in ts infinite
        rest = torch.where(g_s > 0, rest, 0.5)
        k = g_s * ((1 - eta**2) + eta**2 * rest).sqrt()
        S = g_s * eta * (1 - rest).sqrt()
        clock = (c.a / c.g).square()
    A, B = (k / g_t).unsqueeze(1), (a_s - a_t * k / g_t).unsqueeze(1)
    return Table("denoise", ts, A, B, S, clock=clock)


def ancestral(path: Path, ts: Grid, variance: str = "posterior") -> Table:
    """DDPM's sampler: the mean of the bridge, and the noise of either of its bounds.

    posterior: v^2 = g_s^2 (1 - nsr_s^2 / nsr_t^2), exact where the data are a point;
    this is `ddim` at eta = 1. forward: w^2 = g_t^2 - (a_t / a_s)^2 g_s^2, what the
    forward step adds, DDPM's beta; exact in a step where the data have the variance
    (g_t^2 - g_s^2) / (a_s^2 - a_t^2), so 1 if the path preserves variance. The step
    to noise 0 returns the denoiser, and adds none. Raises: ValueError for another
    variance, and as `ddim`. Source: ho2020ddpm.
    Checked: tests/test_bridges.py
    """
    if variance not in VARIANCES:
        raise ValueError(f"variance is {variance!r}; it must be one of {VARIANCES}")
    table = ddim(path, ts, 1)
    if variance == "posterior":
        return table
    g_t, g_s = path.at(ts).g.unfold(0, 2, 1).unbind(-1)
    # w / v; 0 at noise 0, where S = 0 already, so that slopes in ts are finite
    up = g_t / torch.where(g_s > 0, g_s, math.inf)
    return replace(table, S=table.S * up)
