"""Models: a net, a path, and what the net is asked for.

On a one-ended path x = a x0 + g z every target of a sample is A = p x0 + q z:

    target    denoise   noise   score    velocity   v
    p, q      1, 0      0, 1    0, -1/g  da, dg     -g, a

and its best guess from x alone, E[A | x], is the field of that name. All know x. So a
guess that is off in one target is off in all, by one vector e times the *stretch* of
each, kappa = p g - q a:

    A' - A = kappa e    kappa: g    -a    a/g    (da g^2 - a g dg) / g    -(a^2 + g^2)

and |A' - A|^2 / kappa^2 is the same number in every target. Losses differ by it alone.

**Preconditioning** for data of standard deviation s (0 mean) asks the net for what
x does not tell. With r^2 = a^2 s^2 + g^2, the mean square of x in each coordinate,

    F = (g x0 - a s^2 z) / (s r)    A = skip x + out F
    skip = (p a s^2 + q g) / r^2    out = kappa s / r

the net sees x / r, of mean square 1, and F has mean square 1 too and is not
correlated with x; `skip` is the best linear guess, so that `out` is the least there
is. F is the same for every target. For denoise and a = 1 this is EDM's c_in, c_skip,
c_out; on any path it is EDM in y = x / a at the level nsr = g / a, written without
dividing by a, so that a = 0 is a level like others. With s = 1 on a path with
a^2 + g^2 = 1 it is v-prediction: F = -v.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor

from ..fields import Field, convert
from ..paths import Coef, Path, combination
from ..paths.targets import known
from ..shapes import Points, Times, floating, trailing
from .nets import Batch, Net

FINEST = 1e-4  # the clock stands still where nsr or 1 / nsr is far below


class Scales(NamedTuple):
    """What a net sees, x / r and a clock u, and what it shall say, p x0 + q z.

    shrink: 1 / r, or None where x is seen as it is.
    """

    shrink: Tensor | None
    u: Tensor
    p: Tensor
    q: Tensor


def clock(c: Coef) -> Tensor:
    """A quarter of log nsr, bent so as to stay finite: |u| <= 2.31.

    u = 1/8 log((g^2 + f^2 a^2) / (a^2 + f^2 g^2)), f = 1e-4; off log(nsr) / 4 by less
    than f^2 max(nsr^2, 1 / nsr^2) / 8. Source: karras2022edm, table 1 (c_noise).
    Checked: tests/test_models.py
    """
    a2 = c.a * c.a
    up, down = (c.g2 + FINEST**2 * a2), (a2 + FINEST**2 * c.g2)
    return (up / down).log() / 8


def stretch(c: Coef, target: str) -> Tensor:
    """kappa = p g - q a: how far the target moves, when all targets move together.

    Raises: ValueError for an unknown target.
    Checked: dialects/one-loss, tests/test_models.py
    """
    if known(target) == "denoise":
        return c.g
    if target == "noise":
        return -c.a
    if target == "score":
        return c.a / c.g
    if target == "velocity":
        return (c.da * c.g2 - c.a * c.gdg) / c.g
    return -(c.a * c.a + c.g2)


class Model(torch.nn.Module):
    """A net on a path, asked for a target, for all members at once.

    sd: the standard deviation of the data, for preconditioning; None: the net sees x
    itself and says the target itself. Precision is that of the net; fields keep
    that of the points. Raises: TypeError where net is no `Net`, ValueError for a path
    with two ends, an unknown target, an sd that is not positive and finite.
    Source: karras2022edm, table 1; salimans2022distillation.
    Checked: tests/test_models.py
    """

    def __init__(
        self,
        net: Net,
        path: Path,
        target: str = "denoise",
        sd: float | int | None = 1.0,
    ) -> None:
        super().__init__()
        if not isinstance(net, Net):
            raise TypeError(f"net is {type(net).__name__}; it must be a Net")
        self.net, self.path, self.target = net, path.one_ended(), known(target)
        self.sd = None if sd is None else positive("sd", sd)

    @property
    def d(self) -> int:
        """The dimension of the points."""
        return self.net.d

    @property
    def members(self) -> int:
        """K, the number of members."""
        return self.net.members

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return self.net.dtype

    def scales(self, c: Coef) -> Scales:
        """What the net sees and shall say at these levels."""
        if self.sd is None:
            return Scales(None, clock(c), *combination(c, self.target))
        shrink = torch.addcmul(c.g2, c.a, c.a, value=self.sd**2).rsqrt()
        return Scales(shrink, clock(c), c.g * shrink / self.sd, -self.sd * c.a * shrink)

    def answer(self, x: Tensor, s: Scales, k: int | None = None) -> Tensor:
        """What the net says itself. x: (1 or K, n, d) -> (K, n, d), or of member k."""
        if s.shrink is not None:
            x = x * trailing(s.shrink, x)
        K = self.members if k is None else 1
        return self.net(x.expand(K, -1, -1), s.u.expand(K, x.shape[1]), k)

    def parts(self, c: Coef, target: str) -> tuple[Tensor, Tensor]:
        """(skip, out): a target is skip x + out F, if the net says F."""
        r2 = torch.addcmul(c.g2, c.a, c.a, value=self.sd**2)
        p, q = combination(c, target)
        skip = (p * c.a * self.sd**2 + q * c.g) / r2
        return skip, stretch(c, target) * self.sd * r2.rsqrt()

    def forward(self, x: Batch, t: Times) -> Batch:
        """The target at x, by all members. x: (K, n, d), t: a number or (K, n).

        Raises: ValueError for shapes that do not fit, a time off the path.
        Checked: tests/test_models.py
        """
        K, d = self.members, self.d
        if x.ndim != 3 or (len(x), x.shape[-1]) != (K, d):
            form = f"({K}, n, {d}), one row for each member"
            raise ValueError(f"x has shape {tuple(x.shape)}; it must be {form}")
        _per_point(t, x)
        return self._complete(x, self.path.at(t), self.target, None)

    def field(self, k: int = 0) -> Field:
        """The target as a field (x (*n, d), t) of member k; see `as_target`."""
        return self.as_target(self.target, k)

    def as_target(self, target: str, k: int = 0) -> Field:
        """Any target as a field (x (*n, d), t) of member k, as it is when asked.

        With sd directly, skip x + out F in the precision of x, so that the score at
        small noise keeps its digits; without sd by `fields.convert`. No gradient flows
        to the weights; one to x does.
        Raises: ValueError for an unknown target, no such member; at the call for x
        of another dimension, and for a score or velocity where g = 0 leaves it open.
        Checked: tests/test_models.py
        """
        if not isinstance(k, int) or not 0 <= k < self.members:
            raise ValueError(f"k is {k!r}; there are members 0 to {self.members - 1}")
        have = self.target if self.sd is None else known(target)

        def asked(x: Points, t: Times) -> Points:
            if not floating("x", x).ndim or x.shape[-1] != self.d:
                form = f"(..., {self.d})"
                raise ValueError(f"x has shape {tuple(x.shape)}; it must be {form}")
            _per_point(t, x)
            c = self.path.at(t)
            if c.a.ndim:
                c = Coef(*(u.reshape(1, -1) for u in c))
            y = x.reshape(1, -1, self.d)
            return self._complete(y, c, have, k).reshape(x.shape)

        return asked if have == target else convert(asked, self.path, have, target)

    def _complete(self, x: Tensor, c: Coef, target: str, k: int | None) -> Tensor:
        """skip x + out F in the precision of x, the net in its own."""
        c = Coef(*(u.to(x) for u in c))
        seen = Coef(*(u.to(self.dtype) for u in c))
        F = self.answer(x.to(self.dtype), self.scales(seen), k).to(x.dtype)
        if self.sd is None:
            return F
        skip, out = self.parts(c, target)
        if not (skip.isfinite() & out.isfinite()).all():
            raise ValueError(
                f"where g = 0 the net does not determine the {target}; ask for t > 0, "
                "or for denoise, noise or v"
            )
        return trailing(skip, x) * x + trailing(out, x) * F


def _per_point(t: Times, x: Tensor) -> None:
    if isinstance(t, Tensor) and t.shape not in ((), x.shape[:-1]):
        raise ValueError(
            f"t has shape {tuple(t.shape)}; it must be a number or one per point, "
            f"{tuple(x.shape[:-1])}"
        )


def positive(name: str, value: float | int) -> float:
    """value, or a ValueError that names it unless it is positive and finite."""
    if not isinstance(value, Real) or not 0 < value < math.inf:
        raise ValueError(f"{name} is {value!r}; it must be a positive finite number")
    return float(value)
