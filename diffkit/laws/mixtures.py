"""Mixtures of Gaussians: densities, scores, posteriors and couplings in closed form.

With r_k(x) the probability of component k given the observation
x = sum_e L_e X_e + sqrt(v) z of X = (X_1, ..., X_E), every regression is a mean of
linear ones: for the target Y = sum_e P_e X_e + (c / sqrt(v)) z

    E[Y | x] = sum_k r_k [P m_k + cov_k(Y, x) cov_k(x)^-1 (x - L m_k)].

Scores, denoisers and velocities are this formula with different P and c.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..shapes import Float, Points, finite, floating, points, trailing
from .conditioning import observed
from .covariance import Factored, SingularLaw, Spectral, spectral
from .distances import squares
from .pairing import paired

Number = Tensor | float | int
Numbers = Sequence[Number]
LOG_2PI = math.log(2 * math.pi)
ROOM = 2**23  # numbers held at once, by one step over the points: 64 MB


@dataclass(frozen=True, eq=False)
class Mixture:
    """sum_k w_k N(m_k, cov_k), or a batch of such laws; B is the batch shape.

    logw (*B, K): log weights, made to sum to one; means (*B, K, d); covariance:
    `Spectral` or `Factored`, of K components or of one that all share.
    Raises: ValueError in one sentence. Checked: painters/score, tests/test_laws.py
    """

    logw: Tensor
    means: Tensor
    covariance: Spectral | Factored

    def __post_init__(self) -> None:
        floating("logw", self.logw)
        finite("means", floating("means", self.means))
        if self.logw.ndim < 1 or self.means.ndim < 2:
            raise ValueError(
                f"logw {tuple(self.logw.shape)} and means {tuple(self.means.shape)} "
                "do not have the axes of a Mixture, (*B, K) and (*B, K, d)"
            )
        (k, d), cov = self.means.shape[-2:], self.covariance
        if not k or not d:
            raise ValueError(f"{k} components in {d} dimensions; both must be >= 1")
        if self.logw.shape[-1] != k or cov.d != d or cov.k not in (1, k):
            raise ValueError(
                f"{self.logw.shape[-1]} weights, means {tuple(self.means.shape)} and "
                f"{cov.k} covariances in {cov.d} dimensions do not belong together"
            )
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
        own = self.logw.shape[:-1], self.means.shape[:-2]
        return torch.broadcast_shapes(*own, self.covariance.batch)

    @property
    def singular(self) -> bool:
        """Whether some component has a zero eigenvalue, so no density."""
        return self.covariance.singular

    def mean(self) -> Float[Tensor, "*B d"]:
        """sum_k w_k m_k."""
        return (self.logw.exp().unsqueeze(-1) * self.means).sum(-2)

    def cov(self) -> Float[Tensor, "*B d d"]:
        """sum_k w_k (cov_k + m_k m_k') - m m'."""
        w = self.logw.exp().unsqueeze(-1)
        off = self.means - self.mean().unsqueeze(-2)
        within = self.covariance.dense()
        if self.covariance.k > 1:
            within = (w.unsqueeze(-1) * within).sum(-3)
        else:
            within = within.squeeze(-3)
        return within + (w * off).mT @ off

    def covs(self) -> Float[Tensor, "*B K d d"]:
        """The dense covariance of every component."""
        dense = self.covariance.dense()
        return dense.expand(*self.batch, self.k, self.d, self.d)

    def spectral(self) -> Mixture:
        """The same law, its covariances by their eigenvalues. No batch."""
        return replace(self, covariance=self.covariance.spectral())

    def to(self, *args: Any) -> Mixture:
        """The same law in another dtype, or on another device."""
        parts = (u.to(*args) for u in (self.logw, self.means, self.covariance))
        return Mixture(*parts)

    # -------------------------------------------------- the closed algebra

    def push(self, A: Number, c: Number = 0.0) -> Mixture:
        """The law of A x + c. A: a number or a matrix (*B, e, d); c: a number or (e,).

        Singular and non-square matrices are allowed. One number per law: `scale`.
        """
        A, c = finite("A", self._number(A)), finite("c", self._number(c))
        e = A.shape[-2] if A.ndim > 1 else self.d
        if c.shape not in ((), (e,)):
            raise ValueError(f"c has shape {tuple(c.shape)}; it must be () or ({e},)")
        if A.ndim == 0:
            moved = self.scale(A)
        elif A.shape[-1] == self.d and A.shape[:-2] in ((), self.batch) and A.ndim > 1:
            covariance = self.covariance.factored().push(A)
            moved = Mixture(self.logw, self.means @ A.mT, covariance)
        else:
            raise ValueError(
                f"A has shape {tuple(A.shape)}; it must be a number, a matrix "
                f"(e, {self.d}), or one matrix for each law of {tuple(self.batch)}"
            )
        return replace(moved, means=moved.means + c)

    def scale(self, a: Number) -> Mixture:
        """The law of a x. a: a number, or one per batch entry (*B)."""
        return self.blend((self._per_law("a", a),))

    def blur(self, v: Number = 0.0, cov: Tensor | None = None) -> Mixture:
        """The law of x + sqrt(v) z. v: a variance, or one per batch entry (*B).

        cov: a matrix (d, d), for noise N(0, cov) besides.
        """
        covariance = self.covariance.blur(_variance(self._per_law("v", v)))
        if cov is not None:
            root = spectral(self._number(cov), self.d).factored().whole()
            covariance = covariance.factored().widen(root.squeeze(0))
        return replace(self, covariance=covariance)

    def blend(self, L: Numbers, v: Number = 0.0) -> Mixture:
        """The law of sum_e L_e X_e + sqrt(v) z, where X = (X_1, ..., X_E).

        L, v: numbers, or one per law of the batch (*B); E divides d.
        """
        self._size(L)
        L = [finite("L", self._number(u)) for u in L]
        cov = self.covariance if len(L) == 1 else self.covariance.factored()
        covariance = cov.blend(L).blur(_variance(self._number(v)))
        return Mixture(self.logw, _blend(L, self.means, 2), covariance)

    def given(self, A: Number, y: Points, v: Number) -> Mixture:
        """The law of x given y = A x + sqrt(v) z, with batch shape y.shape[:-1].

        A: a number, one per observation (*n), or a matrix (e, d) or (*n, e, d);
        y: (*n, e); v: a variance, one per observation, or the noise's cov (e, e).
        Raises: SingularLaw where the observation has no density (v = 0 meets a zero
        eigenvalue, say). Checked: painters/endpoint, tests/test_laws.py
        """
        A, v = finite("A", self._number(A)), self._number(v)
        points(y, self.d if A.ndim < 2 or A.shape == y.shape[:-1] else None, "y")
        rows, e = y.shape[:-1], y.shape[-1]
        matrix = A.shape[-2:] == (e, self.d) and A.shape[:-2] in ((), rows)
        forms = {"A": (A, matrix, (e, self.d)), "v": (v, v.shape == (e, e), (e, e))}
        for name, (u, matrix, size) in forms.items():
            if (u.shape in ((), rows)) is matrix:  # neither, or readable as both
                raise ValueError(
                    f"{name} has shape {tuple(u.shape)}; it must be a number, one per "
                    f"observation {tuple(rows)} or a matrix {size}, and not look like "
                    "both"
                )
        if A.shape in ((), rows) and v.shape in ((), rows):
            return self.posterior(y, (A,), v)
        if self.batch:
            raise ValueError(
                f"the law has batch shape {tuple(self.batch)}; a matrix is observed "
                "of a law without batch"
            )
        eye = torch.eye(e, dtype=y.dtype, device=y.device)
        A = A if A.ndim > 1 else A[..., None, None] * eye
        noise = spectral(v, e).factored().factor if v.ndim > 1 else None
        if noise is None:
            noise = _variance(v).sqrt()[..., None, None, None] * eye
        return Mixture(*observed(self, A, y, noise))

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
        covariance = self.covariance.rows(keep)
        return Mixture(self.logw[..., keep], self.means[..., keep, :], covariance)

    def pair(
        self,
        other: Mixture,
        cross: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Mixture:
        """A joint law of (x0, x1) in R^(d + e), with this law and ``other`` as margins.

        cross: the covariance of x0 and x1 within a pair of components, (d, e) or
        (K, L, d, e), zero by default. weights: (K, L), the probability of each pair,
        independent by default. Pairs of weight zero are dropped.
        Raises: ValueError if the margins differ from the weights of the two laws, if
        cross fits no joint law, or for more than 100,000 pairs.
        Checked: tests/test_laws.py
        """
        return Mixture(*paired(self, other, cross, weights))

    # ------------------------------------------------- density and moments

    def log_prob(self, x: Points) -> Float[Tensor, "*n"]:
        """log sum_k w_k N(x; m_k, cov_k), by log-sum-exp.

        x: (*n, d), or (*B, d) against a batch. Raises: SingularLaw without density.
        """
        return self.log_seen(self._points(x), (1.0,), 0.0)

    def responsibilities(self, x: Points) -> Float[Tensor, "*n K"]:
        """The probability that x came from each component."""
        one = (self._number(1.0),)
        return self._log_joint(self._points(x), one, self._seen(one)).softmax(-1)

    def score(self, x: Points) -> Points:
        """grad_x log p(x) = sum_k r_k cov_k^-1 (m_k - x)."""
        return self.expect(self._points(x), (1.0,), 0.0, (0.0,), -1.0)

    def log_seen(self, x: Points, L: Numbers, v: Number) -> Float[Tensor, "*n"]:
        """log p(x) of the observation x = sum_e L_e X_e + sqrt(v) z.

        L, v: numbers, or one per point (*n); x: (*n, d / E).
        Raises: SingularLaw where x has no density.
        """
        v, *L = self._observation(x, L, v, *L)
        return self._by_parts(self._log_part, x, v, *L)

    def expect(self, x: Points, L: Numbers, v: Number, P: Numbers, c: Number) -> Points:
        """E[sum_e P_e X_e + (c / sqrt(v)) z | x] for x = sum_e L_e X_e + sqrt(v) z.

        The form of every field. L, v, P, c: numbers, or one per point (*n);
        x: (*n, d / E). Raises: SingularLaw where x has no density.
        """
        if len(P) != len(L):
            raise ValueError(f"{len(L)} ends are observed, but {len(P)} wanted")
        numbers = self._observation(x, L, v, c, *L, *P)
        return self._by_parts(self._field_part, x, *numbers)

    def posterior(self, x: Points, L: Numbers, v: Number) -> Mixture:
        """The law of X given x = sum_e L_e X_e + sqrt(v) z, one for each point.

        L, v: numbers, or one per point (*n); x: (*n, d / E).
        Raises: SingularLaw where x has no density.
        """
        v, *L = self._observation(x, L, v, *L)
        cov, rows = self.covariance, x.shape[:-1]
        if len(L) > 1 or isinstance(cov, Factored):
            eye = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
            A = torch.cat([u[..., None, None] * eye for u in L], -1)
            noise = v.sqrt()[..., None, None, None] * eye
            return Mixture(*observed(self, A, x, noise))
        seen, one = self._seen(L, v), torch.ones_like(v)
        off = x.unsqueeze(-2) - _blend(L, self.means, 2)
        means = self.means + cov.filter(seen, off, L, (one,), one - one)
        left = cov.left(seen, v, rows)
        return Mixture(self._log_joint(x, L, seen), means, left)

    def sample(self, n: int, rng: torch.Generator) -> Float[Tensor, "n *B d"]:
        """n independent draws for every law of the batch."""
        if n < 0:
            raise ValueError(f"{n} samples were asked for; n must be >= 0")
        size = self.batch
        w = self.logw.exp().expand(*size, self.k).reshape(-1, self.k)
        k = torch.multinomial(w, max(n, 1), replacement=True, generator=rng)[:, :n]
        k = k.mT.reshape(n, *size)[..., None, None]  # (n, *B, 1, 1)
        means = self.means.expand(n, *size, self.k, self.d)
        noise = self.covariance.noise(n, *size, rng=rng)
        if self.covariance.k > 1:
            noise = torch.take_along_dim(noise, k, -2)
        return (torch.take_along_dim(means, k, -2) + noise).squeeze(-2)

    # ------------------------------------------------------------- inside

    def _size(self, L: Numbers) -> int:
        """The dimension of sum_e L_e X_e."""
        if not len(L) or self.d % len(L):
            raise ValueError(f"{self.d} dimensions are no {len(L)} ends of one size")
        return self.d // len(L)

    def _observation(
        self, x: Points, L: Numbers, v: Number, *more: Number
    ) -> list[Tensor]:
        """v and more as tensors, if they and x fit an observation of the ends L."""
        points(x, self._size(L))
        numbers = [_variance(self._number(v)), *map(self._number, more)]
        for u in numbers:
            finite("a coefficient", u)
            if u.shape not in ((), x.shape[:-1]):
                raise ValueError(
                    f"a coefficient has shape {tuple(u.shape)}; it must be a number or "
                    f"one per point, {tuple(x.shape[:-1])}"
                )
        return numbers

    def _seen(self, L: Sequence[Tensor], v: Number = 0.0) -> Spectral | Factored:
        """The covariances of sum_e L_e X_e + sqrt(v) z, none of them singular."""
        cov = self.covariance if len(L) == 1 else self.covariance.factored()
        seen = cov.blend(L).blur(self._number(v))
        if seen.singular:
            raise SingularLaw(
                "the law has a zero eigenvalue here, so no density: add noise "
                "first, or take t > 0"
            )
        return seen

    def _log_joint(
        self, x: Tensor, L: Sequence[Tensor], seen: Spectral | Factored
    ) -> Float[Tensor, "*n K"]:
        """log w_k + log N(x; L m_k, seen_k)."""
        single = self.means.ndim == 2 and seen.k == 1
        if single and not seen.batch and all(u.ndim == 0 for u in L):
            # one whitening for all components, then plain distances
            m = _blend(L, self.means, 2)
            u, v = (seen.whiten(y.unsqueeze(-2)).squeeze(-2) for y in (x, m))
            maha = squares(u, v)
        elif single and len(L) == 1 and seen.isotropic:
            # one noise level a point: distances of x / a, or of x alone at a = 0
            a, zero = trailing(L[0], x), trailing(L[0] == 0, x)
            near = squares(x / torch.where(zero, 1.0, a), self.means) * a**2
            far = (x**2).sum(-1, keepdim=True)
            maha = torch.where(zero, far, near) / seen.floor
        else:
            y = x.unsqueeze(-2) - _blend(L, self.means, 2)
            maha = (seen.whiten(y) ** 2).sum(-1)
        return self.logw - (maha + seen.logdet() + x.shape[-1] * LOG_2PI) / 2

    def _log_part(self, x: Tensor, v: Tensor, *L: Tensor) -> Tensor:
        """`log_seen` for points that fit into memory at once."""
        return self._log_joint(x, L, self._seen(L, v)).logsumexp(-1)

    def _field_part(self, x: Tensor, v: Tensor, c: Tensor, *ends: Tensor) -> Tensor:
        """`expect` for points that fit into memory at once. ends: L, then P."""
        L, P = ends[: len(ends) // 2], ends[len(ends) // 2 :]
        seen, cov = self._seen(L, v), self.covariance
        if len(L) > 1:
            cov = cov.factored()
        r = x.new_ones(*x.shape[:-1], 1)
        if self.k > 1:
            r = self._log_joint(x, L, seen).softmax(-1)
        if seen.k == 1:  # the filter is linear: average over components first
            m = (r.unsqueeze(-2) @ self.means).squeeze(-2)
            y = (x - _blend(L, m, 1)).unsqueeze(-2)
            return _blend(P, m, 1) + cov.filter(seen, y, L, P, c).squeeze(-2)
        y = x.unsqueeze(-2) - _blend(L, self.means, 2)
        h = cov.filter(seen, y, L, P, c)
        return (r.unsqueeze(-1) * (_blend(P, self.means, 2) + h)).sum(-2)

    def _by_parts(
        self, part: Callable[..., Tensor], x: Tensor, *numbers: Tensor
    ) -> Tensor:
        """part(x, *numbers) on so many points at a time that memory stays bounded.

        numbers: () or one per point (*n).
        """
        rows, each = x.shape[:-1], any(u.ndim for u in numbers)
        wide = self.covariance.k > 1 or (each and not self.covariance.isotropic)
        size = max(1, ROOM // (self.k * (self.d if wide else 1)))
        n = rows.numel()
        if self.batch or n <= size:
            return part(x, *numbers)
        x = x.reshape(n, x.shape[-1])
        numbers = [u.reshape(n) if u.ndim else u for u in numbers]
        done = []
        for i in range(0, n, size):
            some = (u[i : i + size] if u.ndim else u for u in numbers)
            done.append(part(x[i : i + size], *some))
        return torch.cat(done).unflatten(0, rows)

    def _number(self, value: Number) -> Tensor:
        """A tensor like the means; never by way of float32, torch's default."""
        like = {"dtype": self.means.dtype, "device": self.means.device}
        return torch.as_tensor(value, **like)

    def _per_law(self, name: str, value: Number) -> Tensor:
        """A number, or a tensor of numbers that goes with the batch shape."""
        value = self._number(value)
        if not self._goes(value.shape):
            raise ValueError(
                f"{name} has shape {tuple(value.shape)}; it must be a number or one "
                f"per law of the batch, {tuple(self.batch)}"
            )
        return value

    def _goes(self, shape: torch.Size) -> bool:
        """Whether a shape broadcasts with the batch shape."""
        pairs = zip(reversed(shape), reversed(self.batch), strict=False)
        return all(m == n or 1 in (m, n) for m, n in pairs)

    def _points(self, x: Points) -> Points:
        if not self._goes(points(x, self.d).shape[:-1]):
            raise ValueError(
                f"x has shape {tuple(x.shape)}; it must end in "
                f"{(*self.batch, self.d)}, one point per law of the batch"
            )
        return x


def _blend(L: Sequence[Tensor], m: Tensor, axes: int) -> Tensor:
    """sum_e L_e m_e for m (..., E d). L_e: shaped like m without its last axes."""
    ends = m.unflatten(-1, (len(L), -1)).unbind(-2)
    return sum(u[(...,) + (None,) * axes] * w for u, w in zip(L, ends, strict=True))


def _variance(v: Tensor) -> Tensor:
    """v, or a ValueError if a variance is not a number >= 0."""
    if not ((v >= 0) & (v < math.inf)).all():
        raise ValueError(f"variance {v.min().item():g} was added; it must be >= 0")
    return v
