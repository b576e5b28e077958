"""Worlds: a path, and the law it starts from. Every field is then exact.

    x_t = a x0 + g z,    x0 ~ joint = sum_k w_k N(m_k, C_k)
    law(t) = sum_k w_k N(a m_k, a^2 C_k + g^2 I)

Each field is a posterior mean, and each has the same form: with r_k(x) the
probability of component k given x_t = x,

    sum_k r_k [p m_k + h(C_k) (x - a m_k)]

    field              p     h(lambda)                                  meaning
    score              0     -1 / (a^2 lambda + g^2)                     grad log p_t
    denoise            1     a lambda / (a^2 lambda + g^2)               E[x0 | x_t]
    noise              0     g / (a^2 lambda + g^2)                      E[z | x_t]
    velocity           da    (a da lambda + g dg) / (a^2 lambda + g^2)   E[dx_t/dt|x_t]

No form divides by g, so t = 0 is a point like any other unless an eigenvalue
is zero as well; then the law has no density and `laws.SingularLaw` is raised.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .laws import Mixture, SingularLaw, nonzero
from .paths import Coef, Path
from .shapes import Points, Times, points, trailing


@dataclass(frozen=True, eq=False)
class World:
    """The noising of an exact law along a path with one end (b = 0).

    joint: the law of x0, without batch shape. All fields take x (*n, d) and t, a
    number or one time per point (*n); device and dtype follow joint and x.
    Raises: ValueError for a path with two ends or times outside it, SingularLaw.
    Source: song2021sde, section 4. Checked: painters/score, painters/flow-map
    """

    path: Path
    joint: Mixture

    def __post_init__(self) -> None:
        self.path.one_ended()
        if self.joint.batch:
            raise ValueError(
                f"joint has batch shape {tuple(self.joint.batch)}; it must have none"
            )

    def law(self, t: Times) -> Mixture:
        """The exact law of x_t; one law per time if t has a shape."""
        c = self._at(t)
        return self.joint.scale(c.a).blur(c.g2)

    def log_prob(self, x: Points, t: Times) -> Tensor:
        """log p_t(x), of shape (*n)."""
        law, x, _ = self._law(x, t)
        return law.log_prob(x)

    def score(self, x: Points, t: Times) -> Points:
        """grad_x log p_t(x)."""
        law, x, _ = self._law(x, t)
        return law.score(x)

    def velocity(self, x: Points, t: Times) -> Points:
        """The probability-flow velocity E[da x0 + dg z | x_t = x]."""
        law, x, c = self._law(x, t)
        return self._mean(law, x, c, c.da, c.a * c.da, c.gdg)

    def denoise(self, x: Points, t: Times) -> Points:
        """E[x0 | x_t = x], the best guess of the data in mean square."""
        law, x, c = self._law(x, t)
        return self._mean(law, x, c, torch.ones_like(c.a), c.a, torch.zeros_like(c.a))

    def noise(self, x: Points, t: Times) -> Points:
        """E[z | x_t = x] = -g score."""
        law, x, c = self._law(x, t)
        return -trailing(c.g, x) * law.score(x)

    def posterior(self, x: Points, t: Times) -> Mixture:
        """The law of x0 given x_t = x, one for each point."""
        points(x, self.joint.d)
        c = self._at(t, x.shape[:-1])
        return self.joint.given(c.a, x, c.g2)

    def draw(
        self, n: int, t: Times, rng: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """n independent (x0, z, x_t). t: a number, or n times."""
        c = self._at(t, torch.Size([n]))
        x0 = self.joint.sample(n, rng)
        z = torch.randn(x0.shape, generator=rng, dtype=x0.dtype, device=x0.device)
        return x0, z, trailing(c.a, x0) * x0 + trailing(c.g, x0) * z

    def _at(self, t: Times, rows: torch.Size | None = None) -> Coef:
        c = Coef(*(u.to(self.joint.means) for u in self.path.at(t)))
        if rows is not None and c.a.shape not in ((), rows):
            raise ValueError(
                f"t has shape {tuple(c.a.shape)}; it must be a number or one time "
                f"per point, {tuple(rows)}"
            )
        return c

    def _law(self, x: Points, t: Times) -> tuple[Mixture, Tensor, Coef]:
        points(x, self.joint.d)
        c = self._at(t, x.shape[:-1])
        law = self.joint.scale(c.a).blur(c.g2)
        if law.singular:
            raise SingularLaw(
                "at this t the law has a zero eigenvalue and the field no value: "
                "take t > 0"
            )
        return law, x, c

    def _mean(
        self, law: Mixture, x: Tensor, c: Coef, p: Tensor, u: Tensor, v: Tensor
    ) -> Points:
        """sum_k r_k [p m_k + h (x - a m_k)], h = (u lambda + v) / (a^2 lambda + g^2).

        p, u, v are shaped like t. The component means enter unscaled, because
        a may be zero at the noise end.
        """
        j = self.joint
        u1, v1 = u.unsqueeze(-1), v.unsqueeze(-1)  # against K
        u2, v2 = u1.unsqueeze(-1), v1.unsqueeze(-1)  # against K, r
        on = (u2 * j.spectrum + v2) / law.spectrum
        off = (u1 * j.floor + v1) / nonzero(law.floor)
        return law.expect(x, p, on, off, j.means)
