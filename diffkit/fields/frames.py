"""Frames: coordinates in which one Gaussian stands still.

Let m and C = U diag(lambda) U' be the mean and covariance of the data. Along the
probability flow of N(m, C) every coordinate

    z_k = u_k . (x - a m) / psi_k,    psi_k = sqrt(a^2 lambda_k + g^2)

keeps its value. Along the flow of any other law, or of a net, z moves by what the
Gaussian does not know. With a length c and the angle theta = arctan(g / (a c)),

    dz_k / dtheta = -(a^2 c^2 + g^2) / (c g psi_k) u_k . (D - D_G)

D the denoiser, D_G that of the Gaussian, u_k . (D_G - m) = a lambda_k z_k / psi_k.
Derivation: dx/dt = da D + dg N with N = (x - a D) / g, so the velocities of both
differ by (da - a dg / g) (D - D_G), and dtheta/dt = c (a dg - g da) / (a^2 c^2 + g^2).
At pure noise, a = 0, all denoisers say the mean, and nothing moves.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..paths import Path
from ..shapes import Float, Points, Times, finite, floating
from .field import Field, per_point, value

SHARE = 0.3  # of the largest standard deviation, for the length


class Frame:
    """The coordinates z in which N(mean, cov) stands still along a path.

    mean: (d,), cov: (d, d), as estimated from data; length: c, by default 0.3 of the
    largest standard deviation: where the modes of a law part, roughly.
    Raises: ValueError for shapes that do not fit, a cov that is not symmetric and
    positive semi-definite or is zero, a length that is not positive and finite.
    Source: hochbruck2010exponential. Checked: race/still, tests/test_frames.py
    """

    def __init__(
        self,
        path: Path,
        mean: Float[Tensor, " d"],
        cov: Float[Tensor, "d d"],
        length: float | int | None = None,
    ) -> None:
        finite("mean", floating("mean", mean))
        finite("cov", floating("cov", cov))
        if mean.ndim != 1 or cov.shape != (len(mean),) * 2:
            raise ValueError(
                f"mean has shape {tuple(mean.shape)} and cov {tuple(cov.shape)}; they "
                "must be (d,) and (d, d)"
            )
        top = cov.abs().max()
        if ((cov - cov.mT).abs() > 1e-6 * top).any():
            raise ValueError("cov is not symmetric")
        lam, U = torch.linalg.eigh(cov)
        if lam[-1] <= 0 or (lam < -1e-6 * lam[-1]).any():
            raise ValueError(
                f"cov has eigenvalues from {lam[0]:.2g} to {lam[-1]:.2g}; none may be "
                "negative, and one must be positive"
            )
        c = SHARE * math.sqrt(lam[-1].item()) if length is None else length
        if not 0 < c < math.inf:
            raise ValueError(f"length is {length}; it must be positive and finite")
        self.path, self.length = path.one_ended(), float(c)
        self.mean, self.variances, self.axes = mean, lam.clamp(min=0), U

    def into(self, x: Points, t: Times) -> Points:
        """z of the points x at time t. Raises: ValueError where psi_k = 0.

        Checked: tests/test_frames.py
        """
        a, psi, _ = self._at(x, t)
        if not (psi > 0).all():
            raise ValueError(
                "a direction has no variance and no noise at this time; z is not "
                "defined there"
            )
        return (x - a * self.mean.to(x)) @ self.axes.to(x) / psi

    def out(self, z: Points, t: Times) -> Points:
        """x of the coordinates z at time t: the inverse of `into`.

        Checked: tests/test_frames.py
        """
        a, psi, _ = self._at(z, t)
        return a * self.mean.to(z) + (psi * z) @ self.axes.mT.to(z)

    def field(self, denoise: Field) -> Field:
        """dz/dtheta at (z, t), of the flow that a denoiser (x, t) gives.

        Raises: ValueError at the call for t without noise.
        Checked: tests/test_frames.py
        """

        def moved(z: Points, t: Times) -> Points:
            a, psi, g = self._at(z, t)
            if not (g > 0).all():
                raise ValueError("the frame has no velocity where g = 0; ask before")
            D = (value(denoise, self.out(z, t), t) - self.mean.to(z)) @ self.axes.to(z)
            still = a * self.variances.to(z) / psi * z
            c = self.length
            return -(a * a * c * c + g * g) / (c * g * psi) * (D - still)

        return moved

    def _at(self, x: Points, t: Times) -> tuple[Tensor, Tensor, Tensor]:
        """a, psi (..., d) and g, as they multiply points."""
        if floating("x", x).shape[-1:] != self.mean.shape:
            form = f"(..., {len(self.mean)})"
            raise ValueError(f"x has shape {tuple(x.shape)}; it must be {form}")
        c = self.path.at(torch.as_tensor(t, dtype=torch.float64))
        a, g = (per_point("t", u.to(x), x) for u in (c.a, c.g))
        psi = (a * a * self.variances.to(x) + g * g).sqrt()
        return a, psi, g
