"""Laws: mixtures of Gaussians, closed under everything the book does.

One class is a Gaussian (one component), a Gaussian mixture, a finite data set
(zero covariance), and the exact posterior of any of them. Covariances are kept
by their spectrum,

    cov_k = U_k diag(spectrum_k) U_k' + floor_k (I - U_k U_k'),

so scaling, added noise and conditioning on a noisy copy change numbers, never
the basis: nothing is factorised twice. Zero eigenvalues are first class; what
needs a density then raises `SingularLaw`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..shapes import Float, Points, finite, floating, points, trailing

LOG_2PI = math.log(2 * math.pi)


class SingularLaw(ValueError):
    """A density, score or velocity was asked of a law that has none there."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """sum_k w_k N(m_k, cov_k), or a batch of such laws; B is the batch shape.

    logw (*B, K): log weights, made to sum to one; means (*B, K, d);
    basis (K|1, d, r): orthonormal columns; spectrum (*B, K|1, r) and floor
    (*B, K|1): eigenvalues on and off the span, >= 0.
    Raises: ValueError in one sentence. Checked: painters/score, tests/test_laws.py
    """

    logw: Tensor
    means: Tensor
    basis: Tensor
    spectrum: Tensor
    floor: Tensor

    def __post_init__(self) -> None:
        for name in ("logw", "means", "basis", "spectrum", "floor"):
            floating(name, getattr(self, name))
        for name in ("means", "basis", "spectrum", "floor"):
            finite(name, getattr(self, name))
        for name, axes in (("logw", 1), ("means", 2), ("spectrum", 2), ("floor", 1)):
            if getattr(self, name).ndim < axes or self.basis.ndim != 3:
                raise ValueError(
                    f"{name} {tuple(getattr(self, name).shape)} and basis "
                    f"{tuple(self.basis.shape)} do not have the axes of a Mixture"
                )
        k, (_, d, r) = self.logw.shape[-1], self.basis.shape
        if not k or not d:
            raise ValueError(f"{k} components in {d} dimensions; both must be >= 1")
        if self.means.shape[-2:] != (k, d) or self.spectrum.shape[-1] != r:
            raise ValueError(
                f"{k} weights, means {tuple(self.means.shape)}, basis "
                f"{tuple(self.basis.shape)} and spectrum "
                f"{tuple(self.spectrum.shape)} do not belong together"
            )
        for name, axis in (("basis", 0), ("spectrum", -2), ("floor", -1)):
            if getattr(self, name).shape[axis] not in (1, k):
                raise ValueError(
                    f"{name} has {getattr(self, name).shape[axis]} components; "
                    f"it must have 1 or {k}"
                )
        if (self.spectrum < 0).any() or (self.floor < 0).any():
            raise ValueError("a variance is negative; eigenvalues must be >= 0")
        if torch.isnan(self.logw).any() or not (self.logw < math.inf).all():
            raise ValueError("logw holds NaN or +inf; weights must be finite")
        total = self.logw.logsumexp(-1, keepdim=True)
        if torch.isneginf(total).any():
            raise ValueError("all weights are zero; at least one must be positive")
        object.__setattr__(self, "logw", self.logw - total)

    # ---------------------------------------------------------- reading it

    @property
    def d(self) -> int:
        """The dimension."""
        return self.means.shape[-1]

    @property
    def k(self) -> int:
        """The number of components."""
        return self.logw.shape[-1]

    @property
    def batch(self) -> torch.Size:
        """The batch shape B."""
        return torch.broadcast_shapes(
            self.logw.shape[:-1],
            self.means.shape[:-2],
            self.spectrum.shape[:-2],
            self.floor.shape[:-1],
        )

    @property
    def one_shape(self) -> bool:
        """Whether all components share one covariance."""
        return (
            max(self.basis.shape[0], self.spectrum.shape[-2], self.floor.shape[-1]) == 1
        )

    @property
    def singular(self) -> bool:
        """Whether some component has a zero eigenvalue, so no density."""
        full = self.basis.shape[-1] == self.d
        return bool(
            (self.spectrum == 0).any() or (not full and (self.floor == 0).any())
        )

    def mean(self) -> Float[Tensor, "*B d"]:
        """sum_k w_k m_k."""
        return (self.logw.exp().unsqueeze(-1) * self.means).sum(-2)

    def cov(self) -> Float[Tensor, "*B d d"]:
        """sum_k w_k (cov_k + m_k m_k') - m m'."""
        w = self.logw.exp()
        off = self.means - self.mean().unsqueeze(-2)
        between = torch.einsum("...k,...ki,...kj->...ij", w, off, off)
        within = (w[..., None, None] * self.covs()).sum(-3)
        return within + between

    def covs(self) -> Float[Tensor, "*B K d d"]:
        """The dense covariance of every component."""
        lift = self.spectrum - self.floor.unsqueeze(-1)
        span = torch.einsum("kir,...kr,kjr->...kij", self.basis, lift, self.basis)
        eye = torch.eye(self.d, dtype=self.means.dtype, device=self.means.device)
        dense = span + self.floor[..., None, None] * eye
        return dense.expand(*dense.shape[:-3], self.k, self.d, self.d)

    # -------------------------------------------------- the closed algebra

    def push(self, A: Tensor | float | int, c: Tensor | float | int = 0.0) -> Mixture:
        """The law of A x + c. A: a number or a matrix (e, d); c: a number or (e,).

        A number keeps the basis. A matrix gets a new one, from the singular values
        of A cov^1/2: those of A cov A' could come out negative by rounding.
        """
        A, c = self._number(A), finite("c", self._number(c))
        e = len(A) if A.ndim == 2 else self.d
        if c.shape not in ((), (e,)):
            raise ValueError(f"c has shape {tuple(c.shape)}; it must be () or ({e},)")
        if A.ndim == 0:
            scaled = self.scale(A)
            return replace(scaled, means=scaled.means + c)
        if A.shape != (e, self.d) or self.batch:
            raise ValueError(
                f"A has shape {tuple(A.shape)} and the law batch shape "
                f"{tuple(self.batch)}; A must be a number, or ({e}, {self.d}) and "
                "the law without batch"
            )
        finite("A", A)
        lift = self.spectrum.sqrt() - self.floor.sqrt().unsqueeze(-1)
        root = (self.basis * lift.unsqueeze(-2)) @ self.basis.mT + self.floor.sqrt()[
            ..., None, None
        ] * torch.eye(self.d).to(A)
        basis, size, _ = torch.linalg.svd(A @ root, full_matrices=False)
        dust = torch.finfo(A.dtype).eps * (e + self.d) * torch.linalg.matrix_norm(A)
        dust = (dust * torch.linalg.matrix_norm(root)).unsqueeze(-1)
        spectrum = size.where(size > dust, torch.zeros_like(size)) ** 2
        floor = torch.zeros_like(spectrum[..., 0])
        return Mixture(self.logw, self.means @ A.mT + c, basis, spectrum, floor)

    def scale(self, a: Tensor | float | int) -> Mixture:
        """The law of a x. a: a number, or one per batch entry (*B)."""
        a = finite("a", self._per_law("a", a)).unsqueeze(-1)  # (*B, 1) against K
        return replace(
            self,
            means=a.unsqueeze(-1) * self.means,
            spectrum=(a**2).unsqueeze(-1) * self.spectrum,
            floor=a**2 * self.floor,
        )

    def blur(self, v: Tensor | float | int) -> Mixture:
        """The law of x + sqrt(v) z. v: a variance, or one per batch entry (*B)."""
        v = self._per_law("v", v)
        if not (v >= 0).all():
            raise ValueError(f"variance {v.min().item():g} was added; it must be >= 0")
        v = v.unsqueeze(-1)
        return replace(
            self, spectrum=self.spectrum + v.unsqueeze(-1), floor=self.floor + v
        )

    def given(
        self, a: Tensor | float | int, y: Points, v: Tensor | float | int
    ) -> Mixture:
        """The law of x given y = a x + sqrt(v) z, with batch shape y.shape[:-1].

        a, v: numbers, or one per observation. The posterior eigenvalues are
        lambda v / (a^2 lambda + v): no difference of nearly equal numbers.
        Raises: SingularLaw where v = 0 meets a zero eigenvalue or a = 0.
        Checked: painters/endpoint, tests/test_laws.py
        """
        points(y, self.d, "y")
        a, v = self._number(a), self._number(v)
        for name, u in (("a", a), ("v", v)):
            if u.ndim and u.shape != y.shape[:-1]:
                raise ValueError(
                    f"{name} has shape {tuple(u.shape)}; it must be a number or one "
                    f"per observation, {tuple(y.shape[:-1])}"
                )
        seen = self.scale(a).blur(v)
        if seen.singular:
            raise SingularLaw("the observation is noiseless in a direction: use v > 0")
        on, off = self.spectrum / seen.spectrum, self.floor / nonzero(seen.floor)
        a1, v1, rows = a.unsqueeze(-1), v.unsqueeze(-1), y.shape[:-1]  # against K
        a2, v2 = a1.unsqueeze(-1), v1.unsqueeze(-1)  # against K, r
        shift = seen.apply(y.unsqueeze(-2) - seen.means, a2 * on, a1 * off)
        on, off = v2 * on, v1 * off
        return Mixture(
            seen._log_joint(y),
            self.means + shift,
            self.basis,
            on.expand(*rows, *on.shape[-2:]),
            off.expand(*rows, off.shape[-1]),
        )

    def select(self, keep: Tensor | list[int]) -> Mixture:
        """The law of some of the components, their weights made to sum to one."""
        keep = torch.as_tensor(keep, device=self.means.device)
        if keep.dtype == torch.bool and keep.shape == (self.k,):
            keep = keep.nonzero().squeeze(-1)
        listed = keep.dtype == torch.int64 and keep.ndim == 1 and keep.numel()
        if not listed or not 0 <= keep.min() <= keep.max() < self.k:
            raise ValueError(
                f"components {keep.tolist()} were selected; give at least one of "
                f"0 to {self.k - 1}, or a mask of {self.k}"
            )
        one = {n: getattr(self, n) for n in ("basis", "spectrum", "floor")}
        axis = {"basis": 0, "spectrum": -2, "floor": -1}
        for name, value in one.items():
            if value.shape[axis[name]] > 1:
                one[name] = value.movedim(axis[name], 0)[keep].movedim(0, axis[name])
        return Mixture(self.logw[..., keep], self.means[..., keep, :], **one)

    # ------------------------------------------------- density and moments

    def log_prob(self, x: Points) -> Float[Tensor, "*n"]:
        """log sum_k w_k N(x; m_k, cov_k), by log-sum-exp.

        x: (*n, d), or (*B, d) against a batch. Raises: SingularLaw without density.
        """
        self._dense()
        return self._log_joint(self._points(x)).logsumexp(-1)

    def responsibilities(self, x: Points) -> Float[Tensor, "*n K"]:
        """The probability that x came from each component."""
        self._dense()
        return self._log_joint(self._points(x)).softmax(-1)

    def score(self, x: Points) -> Points:
        """grad_x log p(x) = sum_k r_k cov_k^-1 (m_k - x)."""
        self._dense()
        return -self.expect(
            self._points(x), 0.0, 1 / self.spectrum, 1 / nonzero(self.floor)
        )

    def apply(self, v: Tensor, on: Tensor, off: Tensor) -> Tensor:
        """h v for every component: U diag(on) U'v + off (v - U U'v).

        A function h of the covariance, given by its eigenvalues ``on`` (shaped like
        spectrum) and ``off`` (shaped like floor). v: (..., K|1, d).
        """
        c = torch.einsum("kdr,...kd->...kr", self.basis, v)
        span = torch.einsum("kdr,...kr->...kd", self.basis, on * c)
        if self.basis.shape[-1] == self.d:
            return span
        back = torch.einsum("kdr,...kr->...kd", self.basis, c)
        return span + off.unsqueeze(-1) * (v - back)

    def expect(
        self,
        x: Points,
        p: Tensor | float | int,
        on: Tensor,
        off: Tensor,
        q: Tensor | None = None,
    ) -> Points:
        """sum_k r_k(x) [p q_k + h_k (x - m_k)], the form of every mean field.

        h_k is given by its eigenvalues as in `apply`; p: a number or one per point;
        q: (K, d), the means by default.
        """
        one = self.k == 1  # then nothing is to be weighed, and nothing to compute
        r = x.new_ones(*x.shape[:-1], 1) if one else self._log_joint(x).softmax(-1)
        p, q = self._number(p), self.means if q is None else q
        if self.one_shape:  # the filter is linear: average over components first
            m, q = ((r.unsqueeze(-2) @ v).squeeze(-2) for v in (self.means, q))
            h = self.apply((x - m).unsqueeze(-2), on, off).squeeze(-2)
            return trailing(p, m) * q + h
        h = self.apply(x.unsqueeze(-2) - self.means, on, off)
        return (r.unsqueeze(-1) * (trailing(p, h) * q + h)).sum(-2)

    def sample(self, n: int, rng: torch.Generator) -> Float[Tensor, "n *B d"]:
        """n independent draws for every law of the batch."""
        if n < 0:
            raise ValueError(f"{n} samples were asked for; n must be >= 0")
        like = {"dtype": self.means.dtype, "device": self.means.device}
        size = self.batch
        w = self.logw.exp().expand(*size, self.k).reshape(-1, self.k)
        k = torch.multinomial(w, max(n, 1), replacement=True, generator=rng)[:, :n]
        k = k.mT.reshape(n, *size)  # (n, *B)
        z = torch.randn(n, *size, self.d, generator=rng, **like)
        means = self.means.expand(*size, self.k, self.d)
        m = torch.take_along_dim(means.expand(n, *means.shape), k[..., None, None], -2)
        if self.one_shape:
            roots = self.spectrum.sqrt(), self.floor.sqrt()
            return m.squeeze(-2) + self.apply(z.unsqueeze(-2), *roots).squeeze(-2)
        wide = z.unsqueeze(-2).expand(*z.shape[:-1], self.k, self.d)
        noise = self.apply(wide, self.spectrum.sqrt(), self.floor.sqrt())
        return (m + torch.take_along_dim(noise, k[..., None, None], -2)).squeeze(-2)

    # ------------------------------------------------------------- inside

    def _dense(self) -> None:
        if self.singular:
            raise SingularLaw(
                "this law has a zero eigenvalue, so no density; add noise first"
            )

    def _number(self, value: Tensor | float | int) -> Tensor:
        """A tensor like the means; never by way of float32, torch's default."""
        like = {"dtype": self.means.dtype, "device": self.means.device}
        return torch.as_tensor(value, **like)

    def _per_law(self, name: str, value: Tensor | float | int) -> Tensor:
        """A number, or a tensor of numbers that goes with the batch shape."""
        value = self._number(value)
        if not _together(value.shape, self.batch):
            raise ValueError(
                f"{name} has shape {tuple(value.shape)}; it must be a number or one "
                f"per law of the batch, {tuple(self.batch)}"
            )
        return value

    def _points(self, x: Points) -> Points:
        if not _together(points(x, self.d).shape[:-1], self.batch):
            raise ValueError(
                f"x has shape {tuple(x.shape)}; it must end in "
                f"{(*self.batch, self.d)}, one point per law of the batch"
            )
        return x

    def _log_joint(self, x: Tensor) -> Tensor:
        """log w_k + log N(x; m_k, cov_k), of shape (*n, K)."""
        r, full = self.basis.shape[-1], self.basis.shape[-1] == self.d
        logdet = self.spectrum.log().sum(-1)
        if not full:
            logdet = logdet + (self.d - r) * self.floor.log()
        if self.one_shape and self.means.ndim == 2 and self.spectrum.ndim == 2:
            # one whitening for all components, then plain distances: O(n K) memory
            root = self.spectrum.rsqrt(), nonzero(self.floor).rsqrt()
            u, v = (
                self.apply(y.unsqueeze(-2), *root).squeeze(-2) for y in (x, self.means)
            )
            maha = _Squares.apply(u.reshape(-1, self.d), v)
            maha = maha.reshape(*x.shape[:-1], self.k)
        else:
            y = x.unsqueeze(-2) - self.means
            c = torch.einsum("kdr,...kd->...kr", self.basis, y)
            maha = (c**2 / self.spectrum).sum(-1)
            if not full:
                rest = y - torch.einsum("kdr,...kr->...kd", self.basis, c)
                maha = maha + (rest**2).sum(-1) / self.floor
        return self.logw - (maha + logdet + self.d * LOG_2PI) / 2


class _Squares(torch.autograd.Function):
    """|u_i - v_k|^2 of the rows of u and v, by differences and in O(n K) memory.

    The derivative of cdist itself is silently wrong under vmap, so in `jacobian`.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(u: Tensor, v: Tensor) -> Tensor:
        return torch.cdist(u, v, compute_mode="donot_use_mm_for_euclid_dist") ** 2

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        u, v = ctx.saved_tensors
        rows, columns = grad.sum(1, keepdim=True), grad.sum(0).unsqueeze(1)
        return 2 * (rows * u - grad @ v), 2 * (columns * v - grad.mT @ u)


def _together(u: torch.Size, v: torch.Size) -> bool:
    """Whether two shapes broadcast."""
    pairs = zip(reversed(u), reversed(v), strict=False)
    return all(m == n or 1 in (m, n) for m, n in pairs)


def nonzero(floor: Tensor) -> Tensor:
    """The floor, with ones for the zeros of a span that is the whole space."""
    return torch.where(floor == 0, torch.ones_like(floor), floor)
