"""Covariances: the two ways in which a mixture keeps those of its components.

    Spectral    cov_k = U_k diag(spectrum_k) U_k' + floor_k (I - U_k U_k')
    Factored    cov_k = F_k F_k' + floor_k I

Scaling, added noise and conditioning on a noisy copy change the numbers of a
`Spectral`, never its basis: nothing is factorised. A `Factored` follows any linear
map. Where a density is wanted it finds the Cholesky factor of its covariance by a
QR decomposition of [F, floor^1/2 I]': the covariance is never multiplied out, so
no digits are lost by squaring, and the factor may be differentiated where
eigenvalues coincide.

Observed are sums over ends: X = (X_1, ..., X_E) and x = sum_e L_e X_e + sqrt(v) z.
For a target Y = sum_e P_e X_e + (c / sqrt(v)) z the regression on x is the filter

    cov(Y, x) cov(x)^-1 = [P cov L' + c I] [L cov L' + v I]^-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..shapes import Float, finite, floating


class SingularLaw(ValueError):
    """A density, score or velocity was asked of a law that has none there."""


@dataclass(frozen=True, eq=False)
class Spectral:
    """cov_k = U_k diag(spectrum_k) U_k' + floor_k (I - U_k U_k').

    basis (K|1, d, r): orthonormal columns; spectrum (*B, K|1, r) and floor (*B, K|1):
    eigenvalues on and off the span, >= 0. Raises: ValueError, TypeError.
    Checked: tests/test_laws.py
    """

    basis: Tensor
    spectrum: Tensor
    floor: Tensor

    def __post_init__(self) -> None:
        _check(self, basis=3, spectrum=2, floor=1)
        if self.basis.ndim != 3 or self.spectrum.shape[-1] != self.basis.shape[-1]:
            raise ValueError(
                f"basis {tuple(self.basis.shape)} and spectrum "
                f"{tuple(self.spectrum.shape)} do not belong together"
            )
        for name, axis in (("basis", 0), ("spectrum", -2), ("floor", -1)):
            rows = getattr(self, name).shape[axis]
            if rows not in (1, self.k):
                raise ValueError(
                    f"{name} has {rows} components; it must have 1 or {self.k}"
                )
        if (self.spectrum < 0).any() or (self.floor < 0).any():
            raise ValueError("a variance is negative; eigenvalues must be >= 0")
        off = self.basis.mT @ self.basis - _eye(self.basis.shape[-1], self.basis)
        if (off.abs() > 1e-5).any():  # single precision has 1e-7
            raise ValueError("the columns of basis are not orthonormal")

    def _with(self, spectrum: Tensor, floor: Tensor) -> Spectral:
        """Other eigenvalues on the same basis, for numbers that were checked."""
        new = object.__new__(Spectral)
        vars(new).update(basis=self.basis, spectrum=spectrum, floor=floor)
        return new

    @property
    def d(self) -> int:
        """The dimension."""
        return self.basis.shape[-2]

    @property
    def k(self) -> int:
        """The number of covariances: 1 if all components share one."""
        rows = self.basis.shape[0], self.spectrum.shape[-2], self.floor.shape[-1]
        return max(rows)

    @property
    def batch(self) -> torch.Size:
        """The batch shape B."""
        return torch.broadcast_shapes(self.spectrum.shape[:-2], self.floor.shape[:-1])

    @property
    def isotropic(self) -> bool:
        """Whether all is floor, for all components alike."""
        return self.k == 1 and self.basis.shape[-1] == 0

    @property
    def full(self) -> bool:
        """Whether the span is the whole space, so that floor has no meaning."""
        return self.basis.shape[-1] == self.d

    @property
    def singular(self) -> bool:
        """Whether some eigenvalue is zero, so that there is no density."""
        off = not self.full and (self.floor == 0).any()
        return bool((self.spectrum == 0).any() or off)

    def dense(self) -> Float[Tensor, "*B k d d"]:
        """The matrices."""
        lift = self.spectrum - self.floor.unsqueeze(-1)
        span = torch.einsum("kir,...kr,kjr->...kij", self.basis, lift, self.basis)
        return span + self.floor[..., None, None] * _eye(self.d, span)

    def factored(self) -> Factored:
        """The same by a factor: the span's alone where the floor is zero."""
        if self.full or not (self.floor > 0).any():
            factor = self.basis * self.spectrum.sqrt().unsqueeze(-2)
        else:
            lift = self.spectrum.sqrt() - self.floor.sqrt().unsqueeze(-1)
            factor = (self.basis * lift.unsqueeze(-2)) @ self.basis.mT
            factor = factor + self.floor.sqrt()[..., None, None] * _eye(self.d, factor)
        return Factored(factor, factor.new_zeros(factor.shape[:-2]))

    def spectral(self) -> Spectral:
        """Itself."""
        return self

    def to(self, *args: Any) -> Spectral:
        """The same in another dtype, or on another device."""
        return Spectral(*(u.to(*args) for u in (self.basis, self.spectrum, self.floor)))

    def rows(self, keep: Tensor) -> Spectral:
        """The covariances of some components."""
        axes = {"basis": 0, "spectrum": -2, "floor": -1}
        return Spectral(*(_rows(getattr(self, n), keep, i) for n, i in axes.items()))

    def blend(self, L: Sequence[Tensor]) -> Spectral:
        """The covariance of L X; one end. L: a number, or one per batch entry."""
        (a,) = (u.unsqueeze(-1) for u in L)  # (*B, 1) against K
        return self._with((a**2).unsqueeze(-1) * self.spectrum, a**2 * self.floor)

    def blur(self, v: Tensor) -> Spectral:
        """With v I added. v: a number, or one per batch entry."""
        v = v.unsqueeze(-1)
        return self._with(self.spectrum + v.unsqueeze(-1), self.floor + v)

    def left(self, seen: Spectral, v: Tensor, rows: torch.Size) -> Spectral:
        """The covariances of the posterior, lambda v / (L^2 lambda + v) on the basis.

        seen: the covariance of L X + sqrt(v) z. No nearly equal numbers are subtracted.
        """
        v = v.unsqueeze(-1)
        on = v.unsqueeze(-1) * self.spectrum / seen.spectrum
        off = v * self.floor / torch.where(seen.floor == 0, 1.0, seen.floor)
        return self._with(on.expand(*rows, *on.shape[-2:]), off.expand(*rows, -1))

    def apply(self, y: Tensor, on: Tensor, off: Tensor) -> Tensor:
        """h(cov) y for every component: U diag(on) U'y + off (y - U U'y).

        on, off: the eigenvalues of h, shaped like spectrum and floor.
        y: (..., K|1, d).
        """
        c = torch.einsum("kdr,...kd->...kr", self.basis, y)
        span = torch.einsum("kdr,...kr->...kd", self.basis, on * c)
        if self.full:
            return span
        back = torch.einsum("kdr,...kr->...kd", self.basis, c)
        return span + off.unsqueeze(-1) * (y - back)

    def whiten(self, y: Tensor) -> Tensor:
        """u with |u|^2 = y' cov^-1 y, linear in y. y: (..., K|1, d)."""
        c = torch.einsum("kdr,...kd->...kr", self.basis, y)
        if self.full:
            return c * self.spectrum.rsqrt()
        rest = y - torch.einsum("kdr,...kr->...kd", self.basis, c)
        rest = rest * self.floor.rsqrt().unsqueeze(-1)
        return torch.cat([c * self.spectrum.rsqrt(), rest], -1)

    def logdet(self) -> Float[Tensor, "*B k"]:
        """log det cov, of every component."""
        on = self.spectrum.log().sum(-1)
        off = self.d - self.basis.shape[-1]
        return on if self.full else on + off * self.floor.log()

    def noise(self, *size: int, rng: torch.Generator) -> Tensor:
        """Draws of N(0, cov), (*size, K|1, d); not independent over components."""
        z = _normal(*size, 1, self.d, like=self.spectrum, rng=rng)
        z = z.expand(*size, self.k, self.d)
        return self.apply(z, self.spectrum.sqrt(), self.floor.sqrt())

    def filter(
        self,
        seen: Spectral,
        y: Tensor,
        L: Sequence[Tensor],
        P: Sequence[Tensor],
        c: Tensor,
    ) -> Tensor:
        """[P cov L' + c I] seen^-1 y. seen: the covariance of x; y: (*n, K|1, d)."""
        u = (P[0] * L[0]).unsqueeze(-1)  # against K
        c = c.unsqueeze(-1)
        on = u.unsqueeze(-1) * self.spectrum + c.unsqueeze(-1)
        off = (u * self.floor + c) / torch.where(seen.floor == 0, 1.0, seen.floor)
        return self.apply(y, on / seen.spectrum, off)


@dataclass(frozen=True, eq=False)
class Factored:
    """cov_k = F_k F_k' + floor_k I.

    factor (*B, K|1, d, r): any real matrices, r = 0 included; floor (*B, K|1): >= 0.
    Raises: ValueError, TypeError. Checked: tests/test_laws.py
    """

    factor: Tensor
    floor: Tensor

    def __post_init__(self) -> None:
        _check(self, factor=3, floor=1)
        rows = self.floor.shape[-1]
        if rows not in (1, self.k) or self.factor.shape[-3] not in (1, self.k):
            raise ValueError(
                f"factor {tuple(self.factor.shape)} and floor "
                f"{tuple(self.floor.shape)} do not belong together"
            )
        if (self.floor < 0).any():
            raise ValueError("a variance is negative; floor must be >= 0")

    @property
    def d(self) -> int:
        """The dimension."""
        return self.factor.shape[-2]

    @property
    def k(self) -> int:
        """The number of covariances: 1 if all components share one."""
        return max(self.factor.shape[-3], self.floor.shape[-1])

    @property
    def batch(self) -> torch.Size:
        """The batch shape B."""
        return torch.broadcast_shapes(self.factor.shape[:-3], self.floor.shape[:-1])

    @property
    def isotropic(self) -> bool:
        """Never by its storage."""
        return False

    def whole(self) -> Float[Tensor, "*B k d q"]:
        """A factor of everything, the floor included."""
        if not (self.floor > 0).any():
            return self.factor
        level = self.floor.sqrt()[..., None, None] * _eye(self.d, self.factor)
        size = torch.broadcast_shapes(self.factor.shape[:-2], level.shape[:-2])
        both = (u.expand(*size, *u.shape[-2:]) for u in (self.factor, level))
        return torch.cat([*both], -1)

    @cached_property
    def _cholesky(self) -> Tensor:
        """R (*B, K|1, d, d), upper triangular, with R' R = cov."""
        root = self.whole().mT
        if root.shape[-2] < self.d:  # fewer columns than dimensions
            root = torch.nn.functional.pad(root, (0, 0, 0, self.d - root.shape[-2]))
        return torch.linalg.qr(root).R

    @cached_property
    def _whitener(self) -> Tensor:
        """R^-T, so that |R^-T y|^2 = y' cov^-1 y."""
        eye = _eye(self.d, self.factor)
        return torch.linalg.solve_triangular(self._cholesky.mT, eye, upper=False)

    @property
    def singular(self) -> bool:
        """Whether some covariance has no inverse to working precision.

        A pivot is what the coordinates before leave of a standard deviation.
        """
        R = self._cholesky
        slack = 4 * self.d * torch.finfo(R.dtype).eps * R.norm(dim=-2)
        return bool((R.diagonal(dim1=-2, dim2=-1).abs() <= slack).any())

    def dense(self) -> Float[Tensor, "*B k d d"]:
        """The matrices."""
        span = self.factor @ self.factor.mT
        return span + self.floor[..., None, None] * _eye(self.d, span)

    def factored(self) -> Factored:
        """Itself."""
        return self

    def to(self, *args: Any) -> Factored:
        """The same in another dtype, or on another device."""
        return Factored(self.factor.to(*args), self.floor.to(*args))

    def spectral(self) -> Spectral:
        """The same by its eigenvalues; what is rounding error becomes zero.

        Raises: ValueError for a batch, whose laws have a basis each.
        """
        if self.batch:
            raise ValueError(
                f"the law has batch shape {tuple(self.batch)}; one basis for all "
                "needs a law without batch"
            )
        basis, size, _ = torch.linalg.svd(self.factor, full_matrices=False)
        eps = torch.finfo(size.dtype).eps * max(self.factor.shape[-2:])
        size = torch.where(size > eps * size[..., :1], size, 0.0)
        return Spectral(basis, size**2 + self.floor.unsqueeze(-1), self.floor)

    def rows(self, keep: Tensor) -> Factored:
        """The covariances of some components."""
        return Factored(_rows(self.factor, keep, -3), _rows(self.floor, keep, -1))

    def blend(self, L: Sequence[Tensor]) -> Factored:
        """The covariance of sum_e L_e X_e. L: numbers, or one per batch entry."""
        ends = self.factor.unflatten(-2, (len(L), -1)).unbind(-3)
        factor = sum(u[..., None, None, None] * F for u, F in zip(L, ends, strict=True))
        return Factored(factor, sum(u.unsqueeze(-1) ** 2 for u in L) * self.floor)

    def push(self, A: Float[Tensor, "*B e d"]) -> Factored:
        """The covariance of A X. Entries that are rounding errors become zero."""
        A, factor = A.unsqueeze(-3), self.whole()
        moved = A @ factor
        dust = 8 * torch.finfo(A.dtype).eps * self.d * (A.abs() @ factor.abs())
        dust = torch.where(moved.abs() > dust, 0.0, moved).detach()  # keeps the slope
        return Factored(moved - dust, torch.zeros_like(self.floor))

    def blur(self, v: Tensor) -> Factored:
        """With v I added. v: a number, or one per batch entry."""
        return Factored(self.factor, self.floor + v.unsqueeze(-1))

    def widen(self, root: Float[Tensor, "d q"]) -> Factored:
        """With root root' added."""
        size = self.factor.shape[:-2]
        return Factored(
            torch.cat([self.factor, root.expand(*size, *root.shape)], -1), self.floor
        )

    def whiten(self, y: Tensor) -> Tensor:
        """u with |u|^2 = y' cov^-1 y, linear in y. y: (..., K|1, d)."""
        return torch.einsum("...kij,...kj->...ki", self._whitener, y)

    def logdet(self) -> Float[Tensor, "*B k"]:
        """log det cov, of every component."""
        pivots = self._cholesky.diagonal(dim1=-2, dim2=-1)
        return 2 * pivots.abs().log().sum(-1)

    def noise(self, *size: int, rng: torch.Generator) -> Tensor:
        """Draws of N(0, cov), (*size, K|1, d); not independent over components."""
        like = {"like": self.factor, "rng": rng}
        z = _normal(*size, 1, self.factor.shape[-1], **like)
        wide = _normal(*size, 1, self.d, **like)
        span = torch.einsum("...kdr,...kr->...kd", self.factor, z)
        return span + self.floor.sqrt().unsqueeze(-1) * wide

    def filter(
        self,
        seen: Factored,
        y: Tensor,
        L: Sequence[Tensor],
        P: Sequence[Tensor],
        c: Tensor,
    ) -> Tensor:
        """[P cov L' + c I] seen^-1 y. seen: the covariance of x; y: (*n, K|1, d)."""
        w = torch.einsum("...kij,...ki->...kj", seen._whitener, seen.whiten(y))
        target = self.blend(P).factor
        span = torch.einsum("...kdr,...kd->...kr", self.blend(L).factor, w)
        span = torch.einsum("...kdr,...kr->...kd", target, span)
        inner = sum(p * u for p, u in zip(P, L, strict=True)).unsqueeze(-1)
        return span + (inner * self.floor + c.unsqueeze(-1)).unsqueeze(-1) * w


def spectral(cov: Tensor, d: int) -> Spectral:
    """Dense covariances (k, d, d) or (d, d) by their eigenvalues.

    Rounding errors below zero become zero. Raises: ValueError if a matrix is not
    symmetric or not positive semi-definite.
    """
    finite("cov", floating("cov", cov))
    if cov.shape[-2:] != (d, d) or cov.ndim > 3:
        raise ValueError(f"cov has shape {tuple(cov.shape)}; it must be ({d}, {d})")
    top = cov.abs().amax((-2, -1), keepdim=True)
    if ((cov - cov.mT).abs() > 1e-6 * top).any():
        raise ValueError("cov is not symmetric")
    spectrum, basis = torch.linalg.eigh((cov + cov.mT).reshape(-1, d, d) / 2)
    slack = d * torch.finfo(cov.dtype).eps * spectrum.abs().amax(-1, keepdim=True)
    if (spectrum < -slack).any():
        raise ValueError(
            f"cov has the eigenvalue {spectrum.min().item():.3g}; "
            "it must be positive semi-definite"
        )
    spectrum = torch.where(spectrum < slack, 0.0, spectrum)
    return Spectral(basis, spectrum, spectrum.new_zeros(1))


def _check(storage: Spectral | Factored, **axes: int) -> None:
    """Refuse fields that are not finite tensors of floats with so many axes."""
    for name, least in axes.items():
        value = finite(name, floating(name, getattr(storage, name)))
        if value.ndim < least:
            raise ValueError(
                f"{name} has shape {tuple(value.shape)}; it needs {least} axes"
            )


def _eye(d: int, like: Tensor) -> Tensor:
    return torch.eye(d, dtype=like.dtype, device=like.device)


def _normal(*size: int, like: Tensor, rng: torch.Generator) -> Tensor:
    return torch.randn(*size, generator=rng, dtype=like.dtype, device=like.device)


def _rows(value: Tensor, keep: Tensor, axis: int) -> Tensor:
    """Some entries of an axis that runs over components, unless they share one."""
    return value if value.shape[axis] == 1 else value.index_select(axis, keep)
