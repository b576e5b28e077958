"""Paths: three functions of time, x_t = a(t) x0 + b(t) x1 + g(t) z.

A path is written once, in sympy. Its LaTeX, its time derivatives and its torch
code all come from that one expression, so they cannot disagree. Noise enters as
g^2, because the derivative of g may be infinite where that of g^2 is not:

    Coef(a, b, g2, da, db, gdg)      gdg = g dg/dt = (g^2)' / 2

Data sits at t = 0, noise (or the second end) at t = T. The noise-to-signal
ratio is nsr = g / a; two one-ended paths are the same world when their nsr
agree (see ``painters/same-world``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import sympy
import torch
from sympy.codegen.rewriting import expm1_opt, optimize
from torch import Tensor

from .shapes import finite, floating

t = sympy.Symbol("t", real=True, nonnegative=True)

KNOWN = "exp expm1 log sqrt sin cos tan asin acos atan sinh cosh tanh erf"
TORCH = {name: getattr(torch, name) for name in KNOWN.split()}


class Coef(NamedTuple):
    """The coefficients of a path at given times, each shaped like t."""

    a: Tensor
    b: Tensor
    g2: Tensor
    da: Tensor
    db: Tensor
    gdg: Tensor

    @property
    def g(self) -> Tensor:
        """The noise level g = sqrt(g^2)."""
        return self.g2.sqrt()


@functools.lru_cache(maxsize=256)
def _compiled(a: sympy.Expr, b: sympy.Expr, g2: sympy.Expr) -> Callable:
    """One torch function for (a, b, g2, da, db, gdg), 1 - exp(u) by expm1."""
    exprs = (a, b, g2, a.diff(t), b.diff(t), g2.diff(t) / 2)

    def number(e: sympy.Expr) -> bool:
        return e.is_number and not e.is_Rational

    exact = [
        optimize(e, [expm1_opt]).replace(number, lambda c: c.evalf(17)) for e in exprs
    ]
    return sympy.lambdify(t, exact, modules=[TORCH, "math"], cse=True)


@dataclass(frozen=True)
class Path:
    """x_t = a(t) x0 + b(t) x1 + g(t) z on [0, T], with z ~ N(0, I).

    a, b, g2: sympy expressions in `paths.t`, with a(0) = 1, b(0) = g2(0) = 0.
    Raises: TypeError for another variable, ValueError where the start is not the
    data. Checked: painters/same-world, notation/ddpm
    """

    a: sympy.Expr | int
    b: sympy.Expr | int
    g2: sympy.Expr | int
    T: float = 1.0
    name: str = "path"

    def __post_init__(self) -> None:
        for letter in ("a", "b", "g2"):
            expr = sympy.sympify(getattr(self, letter))
            object.__setattr__(self, letter, expr)
            other = expr.free_symbols - {t}
            if other:
                raise TypeError(
                    f"{letter} = {expr} depends on {', '.join(map(str, other))}; "
                    "it may depend on paths.t alone"
                )
        start = tuple(e.subs(t, 0).evalf() for e in (self.a, self.b, self.g2))
        offs = [u - v for u, v in zip(start, (1, 0, 0), strict=True)]
        if not all(u.is_finite and abs(u) <= 1e-12 for u in offs):
            raise ValueError(
                f"at t = 0 the path has (a, b, g2) = {start}; it must be (1, 0, 0)"
            )
        if not 0 < self.T < float("inf"):
            raise ValueError(f"T is {self.T}; it must be a positive finite time")

    def at(self, time: Tensor | float | int) -> Coef:
        """The coefficients at time: a number or a tensor of times in [0, T]."""
        if not isinstance(time, Tensor):
            time = torch.tensor(float(time), dtype=torch.float64)
        finite("t", floating("t", time))
        if time.numel() and not (time.min() >= 0 and time.max() <= self.T):
            low, high = time.min().item(), time.max().item()
            raise ValueError(
                f"t runs from {low:g} to {high:g}; this path lives on [0, {self.T:g}]"
            )
        values = _compiled(self.a, self.b, self.g2)(time)
        like = {"dtype": time.dtype, "device": time.device}
        c = Coef(*(torch.as_tensor(v, **like).expand_as(time) for v in values))
        if not ((c.g2 >= 0) & torch.isfinite(c.a + c.b + c.g2)).all():
            raise ValueError(
                "a, b or g^2 is not finite, or g^2 negative, at some t; "
                f"the path is a = {self.a}, b = {self.b}, g^2 = {self.g2}"
            )
        return c

    def one_ended(self) -> Path:
        """This path, or a ValueError if it has a second end."""
        if self.b != 0:
            raise ValueError(
                f"the path has a second end, b = {self.b}; it must have b = 0 here"
            )
        return self

    def nsr(self, time: Tensor | float | int) -> Tensor:
        """The noise-to-signal ratio g / a; infinite where a = 0."""
        c = self.at(time)
        return c.g / c.a

    def logsnr(self, time: Tensor | float | int) -> Tensor:
        """log(a^2 / g^2) = -2 log nsr."""
        return -2 * self.nsr(time).log()

    def when(self, nsr: Tensor | float | int) -> Tensor:
        """The time at which the noise-to-signal ratio is nsr, by bisection.

        nsr: number or tensor in [0, nsr(T)], increasing along the path.
        Raises: ValueError for a ratio that the path does not reach.
        """
        nsr = torch.as_tensor(nsr, dtype=torch.float64)
        self.one_ended()
        end = self.nsr(self.T).to(nsr)
        if not (nsr >= 0).all() or not (nsr <= end * (1 + 1e-12)).all():
            raise ValueError(
                f"nsr runs from {nsr.min():g} to {nsr.max():g}; "
                f"this path reaches 0 to {end:g}"
            )
        low, high = torch.zeros_like(nsr), torch.full_like(nsr, self.T)
        for _ in range(80):
            middle = (low + high) / 2
            below = self.nsr(middle) < nsr
            low, high = low.where(~below, middle), high.where(below, middle)
        return high.where(nsr > 0, 0.0)

    def _repr_latex_(self) -> str:
        terms = [
            (self.a, "x_0"),
            (self.b, "x_1"),
            (sympy.sqrt(self.g2).replace(sympy.Abs, lambda e: e), "z"),
        ]
        shown = [rf"\left({sympy.latex(e)}\right) {x}" for e, x in terms if e != 0]
        return "$x_t = " + " + ".join(shown) + "$"


def vp(beta_min: float = 0.1, beta_max: float = 20.0) -> Path:
    """Variance preserving, beta linear in t: a = exp(-1/2 int beta), g^2 = 1 - a^2.

    The forward process is dx = -beta x / 2 dt + sqrt(beta) dW.
    Source: song2021sde, eq. 32-33. Checked: painters/flow-map, notation/ddpm
    """
    if not 0 < beta_min <= beta_max < float("inf"):
        raise ValueError(
            f"beta runs from {beta_min} to {beta_max}; 0 < beta_min <= beta_max"
        )
    low, high = sympy.Rational(str(beta_min)), sympy.Rational(str(beta_max))
    area = low * t + (high - low) * t**2 / 2
    return Path(sympy.exp(-area / 2), 0, 1 - sympy.exp(-area), 1.0, "VP")


def trig() -> Path:
    """Variance preserving with the angle as clock: a = cos(pi t/2), g = sin(pi t/2).

    Source: salimans2022distillation, section 4. Checked: painters/rotation
    """
    angle = sympy.pi * t / 2
    return Path(sympy.cos(angle), 0, sympy.sin(angle) ** 2, 1.0, "trigonometric")


def edm(sigma_max: float = 80.0) -> Path:
    """Variance exploding with the noise level as clock: a = 1, g = t, T = sigma_max.

    Source: karras2022edm, table 1. Checked: painters/flow-map, notation/edm
    """
    return Path(1, 0, t**2, float(sigma_max), "EDM")


def ve(sigma_min: float = 0.01, sigma_max: float = 50.0) -> Path:
    """Variance exploding, geometric: g^2 = sigma_min^2 ((sigma_max/sigma_min)^2t - 1).

    Source: song2021sde, eq. 30-31. Checked: painters/flow-map
    """
    if not 0 < sigma_min < sigma_max < float("inf"):
        raise ValueError(
            f"sigma runs from {sigma_min} to {sigma_max}; 0 < sigma_min < sigma_max"
        )
    low, high = sympy.Rational(str(sigma_min)), sympy.Rational(str(sigma_max))
    grown = sympy.exp(2 * t * sympy.log(high / low))
    return Path(1, 0, low**2 * (grown - 1), 1.0, "VE")


def one_sided() -> Path:
    """The straight line from the data to noise: x_t = (1 - t) x0 + t z.

    Source: lipman2023flow, eq. 20-22 with s = 0 and time reversed; liu2023rectified.
    Checked: painters/flow-map, notation/flow-matching
    """
    return Path(1 - t, 0, t**2, 1.0, "straight")
