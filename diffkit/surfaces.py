"""Surfaces: curved laws whose noisy versions are known in closed form.

The point y lies on a surface of dimension m in a subspace of R^d; x = y + sqrt(v) z
has a density for v > 0. With u the coordinates of x in that subspace and w what is
left of it,

    p(x) = N(w; 0, v) E_y N(u; y, v)        D(x) = E[y | x],  score = (D - x) / v

**Spheres**, |y| = 1, with kappa = |u| / v:

    E_y e^(u . y / v) = M(kappa)    D = A(kappa) u / |u|,  A = M' / M

    circle, m = 1     M = I_0(kappa)                 A = I_1(kappa) / I_0(kappa)
    sphere, m = 2     M = sinh(kappa) / kappa        A = coth(kappa) - 1 / kappa

A is the length of the guess: 1 - m v / (2 |u|) + ... for little noise, kappa / (m + 1)
for much. **The roll** of `data.swiss_roll` is a spiral times a segment: the segment
gives error functions, the spiral one integral on the line, by Gauss-Legendre panels.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .data import sphere as on_sphere
from .data import swiss_roll
from .shapes import Float, Points, Times, finite, floating, trailing

FINEST = 1e-4  # the least v that the panels of the roll resolve
PANELS, NODES = 120, 20


class Surface:
    """A law on a surface: of dimension ``dim``, in the span of ``frame``, in R^d."""

    dim: int

    def __init__(self, k: int, d: int | None, frame: Tensor | None) -> None:
        if frame is None:
            d = k if d is None else d
            if not isinstance(d, int) or d < k:
                raise ValueError(f"d is {d!r}; this surface needs at least {k}")
            frame = torch.eye(d, k, dtype=torch.float64)
        finite("frame", floating("frame", frame))
        if frame.ndim != 2 or frame.shape[1] != k or d not in (None, len(frame)):
            raise ValueError(
                f"frame has shape {tuple(frame.shape)}; it must be ({d or 'd'}, {k})"
            )
        eye = torch.eye(k, dtype=frame.dtype, device=frame.device)
        if ((frame.mT @ frame - eye).abs() > 1e-6).any():
            raise ValueError("the columns of frame are not orthonormal")
        self.frame = frame

    @property
    def d(self) -> int:
        """The dimension of the space around."""
        return len(self.frame)

    def sample(self, n: int, rng: torch.Generator) -> Float[Tensor, "n d"]:
        """n independent points of the surface."""
        return self._points(n, rng) @ self.frame.mT.to(rng.device)

    def log_prob(self, x: Points, v: Times) -> Float[Tensor, "*n"]:
        """log density of y + sqrt(v) z at x. v: a number or one per point.

        Raises: ValueError for v <= 0, points of another dimension.
        Checked: dimension/sphere, tests/test_surfaces.py
        """
        u, v = self._seen(x, v)
        w = x - u @ self.frame.mT.to(x)
        apart = (w * w).sum(-1) / (2 * v) + (self.d / 2) * (2 * math.pi * v).log()
        return self._log_mean(u, v) - apart

    def denoise(self, x: Points, v: Times) -> Points:
        """D(x) = E[y | x], the exact denoiser at noise of variance v.

        Raises: ValueError for v <= 0, points of another dimension.
        Checked: tests/test_surfaces.py
        """
        u, v = self._seen(x, v)
        return self._guess(u, v) @ self.frame.mT.to(x)

    def score(self, x: Points, v: Times) -> Points:
        """grad log density at x, (D - x) / v.

        Raises: ValueError for v <= 0, points of another dimension.
        Checked: tests/test_surfaces.py
        """
        return (self.denoise(x, v) - x) / trailing(_number(v, x), x)

    def _seen(self, x: Points, v: Times) -> tuple[Tensor, Tensor]:
        """The coordinates u (*n, k), and v as (*n) or a number."""
        if not floating("x", x).ndim or x.shape[-1] != self.d:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; it must be (..., {self.d})"
            )
        v = _number(v, x)
        if v.shape not in ((), x.shape[:-1]):
            raise ValueError(
                f"v has shape {tuple(v.shape)}; it must be a number or one per point, "
                f"{tuple(x.shape[:-1])}"
            )
        if not (v > 0).all():
            raise ValueError("v must be positive: on the surface itself is no density")
        return x @ self.frame.to(x), v


class Sphere(Surface):
    """Uniform on the circle (m = 1) or the sphere (m = 2) |y| = 1, in R^d.

    frame: (d, m + 1) with orthonormal columns, by default the first coordinates.
    Raises: ValueError for another m, a d or frame that does not fit.
    Checked: tests/test_surfaces.py
    """

    def __init__(self, m: int, d: int | None = None, frame: Tensor | None = None):
        if m not in (1, 2):
            raise ValueError(f"m is {m!r}; it is 1, the circle, or 2, the sphere")
        super().__init__(m + 1, d, frame)
        self.dim = m

    def _points(self, n: int, rng: torch.Generator) -> Tensor:
        return on_sphere(n, rng, d=self.dim + 1)

    def _log_mean(self, u: Tensor, v: Tensor) -> Tensor:
        r = _length(u)
        kappa = r / v
        if self.dim == 1:
            mean = torch.special.i0e(kappa).log()
        else:
            mean = (-torch.expm1(-2 * kappa) / (2 * kappa)).log()
        return mean - (r - 1) ** 2 / (2 * v)

    def _guess(self, u: Tensor, v: Tensor) -> Tensor:
        kappa = _length(u) / v
        if self.dim == 1:
            rate = torch.special.i1e(kappa) / (torch.special.i0e(kappa) * kappa)
        else:
            rate = _langevin(kappa)
        return (rate / v).unsqueeze(-1) * u


class Roll(Surface):
    """The law of `data.swiss_roll` in R^d, d >= 3: a spiral times a segment.

    frame: (d, 3) with orthonormal columns, by default the first coordinates. Exact to
    rounding for v >= 1e-4. Raises: ValueError for a d or frame that does not fit,
    and for smaller v. Checked: tests/test_surfaces.py
    """

    dim = 2

    def __init__(self, d: int | None = None, frame: Tensor | None = None):
        super().__init__(3, d, frame)
        S = 4.5 * math.pi
        node, weight = (
            torch.from_numpy(u) for u in np.polynomial.legendre.leggauss(NODES)
        )
        ends = torch.linspace(S / 3, S, PANELS + 1, dtype=torch.float64)
        half = (ends[1:] - ends[:-1]).unsqueeze(1) / 2
        s = (ends[:-1].unsqueeze(1) + half * (1 + node)).flatten()
        self.spiral = torch.stack([s * s.cos(), s * s.sin()], -1) / S
        self.logw = (half * weight / (2 * S / 3)).log().flatten()

    def _points(self, n: int, rng: torch.Generator) -> Tensor:
        return swiss_roll(n, rng)[0]

    def _log_mean(self, u: Tensor, v: Tensor) -> Tensor:
        around = torch.logsumexp(self._terms(u, v), -1)
        a, b = _ends(u[..., 1], v)
        return around + _log_between(a, b) + (math.pi * v / 2).log() / 2

    def _guess(self, u: Tensor, v: Tensor) -> Tensor:
        x, z = (self._terms(u, v).softmax(-1) @ self.spiral.to(u)).unbind(-1)
        a, b = _ends(u[..., 1], v)
        size = _log_between(a, b) + math.log(2 * math.pi) / 2
        pull = (-b * b / 2 - size).exp() - (-a * a / 2 - size).exp()
        return torch.stack([x, u[..., 1] + v.sqrt() * pull, z], -1)

    def _terms(self, u: Tensor, v: Tensor) -> Tensor:
        """log of the weights of the spiral's nodes, (*n, nodes)."""
        if not (v >= FINEST).all():
            raise ValueError(
                f"v is {v.min():.2g}; the roll is resolved for v >= {FINEST}"
            )
        off = u[..., None, ::2] - self.spiral.to(u)
        return self.logw.to(u) - (off * off).sum(-1) / (2 * trailing(v, u))


def _number(v: Times, x: Tensor) -> Tensor:
    """v in the precision of x: a number must not pass through single precision."""
    return torch.as_tensor(v, dtype=x.dtype, device=x.device)


def _length(u: Tensor) -> Tensor:
    """|u|, never zero: all that is done with it is even."""
    return (u * u).sum(-1).clamp(min=torch.finfo(u.dtype).tiny).sqrt()


def _langevin(kappa: Tensor) -> Tensor:
    """(coth kappa - 1 / kappa) / kappa; a series below 0.2."""
    small = kappa < 0.2
    k = kappa.where(~small, 1.0)
    far = (1 / torch.tanh(k) - 1 / k) / k
    q = (kappa * kappa).where(small, 0.0)
    near = torch.zeros_like(q)
    for c in (-1382 / 638512875, 2 / 93555, -1 / 4725, 2 / 945, -1 / 45, 1 / 3):
        near = near * q + c
    return near.where(small, far)


def _ends(h: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The ends of the segment [-1, 1] seen from h, in standard deviations."""
    sd = v.sqrt()
    return (1 - h) / sd, (-1 - h) / sd


def _log_between(a: Tensor, b: Tensor) -> Tensor:
    """log(Phi(a) - Phi(b)) for a > b, by the tail on the side of the nearer end."""
    turn = a + b > 0
    a, b = (-b).where(turn, a), (-a).where(turn, b)
    high = torch.special.log_ndtr(a)
    return high + torch.log1p(-(torch.special.log_ndtr(b) - high).exp())
