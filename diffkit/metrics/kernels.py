"""Kernels: the maximum mean discrepancy and the energy distance.

For a kernel k the discrepancy of two laws is

    MMD^2 = E k(X, X') + E k(Y, Y') - 2 E k(X, Y),

with X, X', Y, Y' independent. From samples: the U-statistic, which leaves out the
pairs i = i and so has no bias. Its variance has a part of order 1/n, which vanishes
where the laws agree, and one of order 1/n^2, which stays. The spread of the row
means counts the second one twice, so it is taken off once, and what is left is at
least that part: where the laws agree the standard error is up to a third too large
on average, never too small. k(x, y) = -|x - y| gives the energy distance.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..laws import Mixture
from ..shapes import Estimate, Float
from .samples import samples

ENTRIES = 2**16  # of a block of the kernel matrix: half a MiB stays in cache
EXACT = "donot_use_mm_for_euclid_dist"  # else coincident points are 1e-8 apart
Kernel = Callable[[Tensor], Tensor]  # of the distance


def mmd(
    x: Float[Tensor, "n d"], y: Float[Tensor, "m d"], bandwidths: Tensor | float | int
) -> Estimate:
    """The squared MMD of two samples, unbiased, with its standard error.

    k(x, y) = sum_b exp(-|x - y|^2 / (2 b^2)) over the bandwidths b > 0 (a number or
    (B,)); see `median_bandwidth`. n, m >= 2; time O(n m d), memory under 30 MB above
    the samples (all n m numbers under autograd). Raises: ValueError.
    Source: gretton2012kernel. Checked: tests/test_metrics.py
    """
    b = _bandwidths(bandwidths, x)

    def gauss(r: Tensor) -> Tensor:
        return sum(torch.exp(-(r**2) / (2 * c**2)) for c in b)

    return _u_statistic(gauss, x, y)


def energy_distance(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Estimate:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| of two samples, unbiased.

    On the line it is 2 int (F - G)^2 dx. The standard error, sizes and refusals are
    those of `mmd`. Source: szekely2013energy. Checked: tests/test_metrics.py
    """
    return _u_statistic(lambda r: -r, x, y)


def median_bandwidth(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Tensor:
    """The median distance between the pooled points: the median heuristic.

    Of samples longer than 1000, every (n / 1000)-th row. Raises: ValueError where
    it is zero. Source: gretton2012kernel. Checked: tests/test_metrics.py
    """
    both = samples(x, y)
    rows = [u[:: math.ceil(len(u) / 1000)] for u in both]
    middle = torch.nn.functional.pdist(torch.cat(rows)).median()
    if not middle > 0:
        raise ValueError("half of all distances are zero; give a bandwidth yourself")
    return middle


def mixture_mmd(p: Mixture, q: Mixture, bandwidths: Tensor | float | int) -> Tensor:
    """The squared MMD of two mixtures, exactly; the kernel is that of `mmd`.

    E k(X, Y) = sum_kj w_k v_j |I + S_kj / b^2|^-1/2 exp(-|m_k - n_j|^2_{(S + b^2)^-1}
    / 2), S_kj = C_k + E_j. Singular laws too. Accurate to eps of E k.
    Raises: ValueError. Checked: tests/test_metrics.py
    """
    if p.d != q.d or p.batch or q.batch:
        raise ValueError(
            f"the laws have dimensions {p.d} and {q.d}, batches {tuple(p.batch)} and "
            f"{tuple(q.batch)}; they must agree and have no batch"
        )
    b = _bandwidths(bandwidths, p.means)
    pairs = ((p, p, 1), (q, q, 1), (p, q, -2))
    return sum(n * _overlap(u, v, c) for c in b for u, v, n in pairs)


def _overlap(p: Mixture, q: Mixture, b: Tensor) -> Tensor:
    """E exp(-|X - Y|^2 / (2 b^2)) for independent X ~ p, Y ~ q."""
    total, covs = p.means.new_zeros(()), q.covs()
    eye = torch.eye(p.d, dtype=b.dtype, device=b.device)
    for w, m, C in zip(p.logw.exp(), p.means, p.covs(), strict=True):
        L = torch.linalg.cholesky((C + covs) / b**2 + eye)
        off = ((m - q.means) / b).unsqueeze(-1)
        u = torch.linalg.solve_triangular(L, off, upper=False)
        logs = -((u**2).sum((-2, -1)) / 2) - L.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        total = total + w * (q.logw + logs).exp().sum()
    return total


def _bandwidths(b: Tensor | float | int, like: Tensor) -> Tensor:
    b = torch.as_tensor(b, dtype=like.dtype, device=like.device)
    if b.ndim > 1 or not b.numel() or not ((b > 0) & (b < math.inf)).all():
        raise ValueError(
            f"bandwidths are {b.tolist()}; give a positive number or some (B,)"
        )
    return b.reshape(-1)


def _means(kernel: Kernel, x: Tensor, y: Tensor, same: bool) -> tuple[Tensor, ...]:
    """Row means, column means and the mean square of k(x_i, y_j), block by block.

    same: y is x, and the pairs i = i are left out.
    """
    size = max(1, ENTRIES // len(y))
    rows, columns, squares = torch.empty_like(x[:, 0]), 0, 0
    for i, block in enumerate(x.split(size)):
        k = kernel(torch.cdist(block, y, compute_mode=EXACT))
        # written in place: small tensors kept between large ones break up the heap
        rows[i * size : i * size + len(block)] = k.sum(1)
        columns, squares = columns + k.sum(0), squares + (k**2).sum()
    self_pair = kernel(x.new_zeros(())) if same else x.new_zeros(())
    n, m = len(x) - same, len(y) - same
    mean_square = (squares - len(x) * self_pair**2) / (len(x) * m)
    return (rows - self_pair) / m, (columns - self_pair) / n, mean_square


def _u_statistic(kernel: Kernel, x: Tensor, y: Tensor) -> Estimate:
    """E k(X, X') + E k(Y, Y') - 2 E k(X, Y) without bias, and its standard error."""
    x, y = samples(x, y)
    n, m = len(x), len(y)
    xx, _, xx2 = _means(kernel, x, x, True)
    yy, _, yy2 = _means(kernel, y, y, True)
    xy, yx, xy2 = _means(kernel, x, y, False)
    value = xx.mean() + yy.mean() - 2 * xy.mean()
    # what is left of k once its row and column means are taken off
    v_xx = xx2 - 2 * (xx**2).mean() + xx.mean() ** 2
    v_yy = yy2 - 2 * (yy**2).mean() + yy.mean() ** 2
    v_xy = xy2 - (xy**2).mean() - (yx**2).mean() + xy.mean() ** 2
    second = 2 * v_xx / (n * (n - 1)) + 2 * v_yy / (m * (m - 1)) + 4 * v_xy / (n * m)
    second = second.clamp_min(0)  # an estimate of a variance
    spread = 4 * (xx - xy).var() / n + 4 * (yy - yx).var() / m
    return Estimate(value, (spread - second).maximum(second).sqrt())
