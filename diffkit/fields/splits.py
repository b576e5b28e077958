"""Splits: a field in the plane as a gradient and a gauge, by finite volumes.

In L2(p) every field is grad phi + r with div(p r) = 0, in one way, and the parts are
orthogonal. A box of n x n cells of width h has one phi in each; on the face between
neighbours i and j stand the density p_ij and the component f_ij of the field across:

    sum_j p_ij ((phi_j - phi_i) / h - f_ij) = 0    for every cell i

no flux through the border. With D for the difference quotients and P = diag(p_ij)
this is D'P D phi = D'P f, the normal equations of least squares: on the grid the
parts are orthogonal to rounding, and with p in the middle of a face they are those
of the plane up to O(h^2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..shapes import Float

Density = Callable[[Tensor, float], Tensor]


class Parts(NamedTuple):
    """The components of the two parts of a field across the faces, (*K, m) each."""

    gradient: Tensor
    gauge: Tensor


class Splitter:
    """The weighted Helmholtz decomposition of fields on a square grid in the plane.

    log_density: x (m, 2) -> (m), any constant added; n: cells a side; half: half the
    side of the box, whose middle is 0; density: (x, h) -> (m), the weight of a face
    with middle x, exp(log_density(x)) by default. Attributes: ``cells`` (n, n, 2)
    and ``faces`` (m, 2), their middles, first the faces across x_1, then those
    across x_2; ``width`` h; ``weights`` (m), h^2 times density.
    Raises: ValueError for n < 2, a half that is not positive and finite, a weight
    that is not: the box is too wide for float64.
    Source: horvat2024gauge. Checked: helmholtz/order, helmholtz/share,
    helmholtz/stream, tests/test_splits.py
    """

    def __init__(
        self,
        log_density: Callable[[Tensor], Tensor],
        n: int,
        half: float | int,
        density: Density | None = None,
    ) -> None:
        if not isinstance(n, int) or n < 2:
            raise ValueError(f"n is {n!r}; it must be a whole number >= 2 of cells")
        if not 0 < half < math.inf:
            raise ValueError(f"half is {half}; it must be positive and finite")
        h = 2 * half / n
        axis = (torch.arange(n, dtype=torch.float64) + 0.5) * h - half
        cells = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
        shift = h / 2 * torch.eye(2, dtype=torch.float64)
        across = cells[:-1] + shift[0], cells[:, :-1] + shift[1]
        self.n, self.width, self.cells = n, h, cells
        self.faces = torch.cat([x.reshape(-1, 2) for x in across])
        p = density(self.faces, h) if density else log_density(self.faces).exp()
        self.weights = h**2 * p
        if not ((self.weights > 0) & self.weights.isfinite()).all():
            raise ValueError(
                "a face has a weight that is not positive and finite; make the box "
                f"smaller, half is {half}"
            )
        self._factor()

    def _factor(self) -> None:
        """D without the column of the middle cell, where phi = 0, and D'P D."""
        import numpy as np
        from scipy import sparse
        from scipy.sparse.linalg import splu

        n, h = self.n, self.width
        step = sparse.diags([-1.0, 1.0], [0, 1], (n - 1, n)) / h
        eye = sparse.eye(n)
        D = sparse.vstack([sparse.kron(step, eye), sparse.kron(eye, step)])
        self._free = np.arange(n * n) != n * n // 2 + n // 2
        self._D = D.tocsc()[:, self._free]
        P = sparse.diags(self.weights.numpy())
        self._solve = splu((self._D.T @ P @ self._D).tocsc(), "MMD_AT_PLUS_A").solve

    def across(self, field: Callable[[Tensor], Tensor]) -> Float[Tensor, "*K m"]:
        """The component of a field across every face.

        field: x (m, 2) -> (*K, m, 2), at one time, K fields at once or one.
        Raises: ValueError for another shape. Checked: tests/test_splits.py
        """
        f = field(self.faces)
        if f.shape[-2:] != self.faces.shape:
            raise ValueError(
                f"the field returned {tuple(f.shape)}; it must return "
                f"(..., {len(self.faces)}, 2), one vector for each face"
            )
        m = len(self.faces) // 2  # as many across x_1 as across x_2
        return torch.cat([f[..., :m, 0], f[..., m:, 1]], -1)

    def potential(self, flux: Float[Tensor, "*K m"]) -> Float[Tensor, "*K n n"]:
        """phi in the cells, zero in the middle one, of components across the faces.

        Checked: tests/test_splits.py
        """
        right = self._D.T @ (self.weights * flux).reshape(-1, len(self.faces)).numpy().T
        phi = self.weights.new_zeros(flux.shape[:-1].numel(), self.n**2)
        phi[:, torch.from_numpy(self._free)] = torch.from_numpy(self._solve(right).T)
        return phi.reshape(*flux.shape[:-1], self.n, self.n)

    def slope(self, phi: Float[Tensor, "*K n n"]) -> Float[Tensor, "*K m"]:
        """(phi_j - phi_i) / h across every face.

        Checked: tests/test_splits.py
        """
        rows = phi.diff(dim=-2).flatten(-2), phi.diff(dim=-1).flatten(-2)
        return torch.cat(rows, -1) / self.width

    def split(self, field: Callable[[Tensor], Tensor]) -> Parts:
        """(gradient, gauge) across the faces; their sum is `across`.

        field: as in `across`. Checked: helmholtz/order, tests/test_splits.py
        """
        f = self.across(field)
        gradient = self.slope(self.potential(f))
        return Parts(gradient, f - gradient)

    def power(self, part: Float[Tensor, "*K m"]) -> Float[Tensor, "*K"]:
        """E_p |f|^2 = sum of weights f^2 over the faces, p as its total mass says.

        Checked: helmholtz/share, tests/test_splits.py
        """
        return (self.weights * part**2).sum(-1)
