"""One path: its expressions, its coefficients at a time, its inverse."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import NamedTuple

import sympy
import torch
from sympy.codegen.cfunctions import expm1
from sympy.printing.pycode import PythonCodePrinter
from torch import Tensor

from ..shapes import finite, floating

t = sympy.Symbol("t", real=True, nonnegative=True)

KNOWN = (
    "exp expm1 log sqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf"
)
TORCH = {name: getattr(torch, name) for name in KNOWN.split()}
ALLOWED = {*KNOWN.split(), "Abs", "Min", "Max", "Piecewise", "ExprCondPair"}
PLAIN = (sympy.Add, sympy.Mul, sympy.Pow, sympy.Number, sympy.NumberSymbol)
LOGIC = (sympy.Symbol, sympy.logic.boolalg.Boolean)


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


class Sde(NamedTuple):
    """dx = f x dt + h dW, at given times: the rate f and the variance rate h2 = h^2."""

    f: Tensor
    h2: Tensor


def exact(number: float | int) -> sympy.Expr:
    """A number as it is written: 0.1 is one tenth."""
    return sympy.Rational(str(number))


def expression(name: str, value: sympy.Expr | str | float | int) -> sympy.Expr:
    """value as a sympy expression in t alone, in functions that torch has too.

    Raises: TypeError for another variable, another function, or no expression.
    """
    try:
        expr = sympy.sympify(value, locals={"t": t})
    except (sympy.SympifyError, TypeError, AttributeError):
        expr = None
    if not isinstance(expr, sympy.Expr):
        raise TypeError(f"{name} = {value!r}; it must be an expression in paths.t")
    other = expr.free_symbols - {t}
    if other:
        raise TypeError(
            f"{name} = {expr} depends on {', '.join(map(str, other))}; "
            "it may depend on paths.t alone: put numbers in place of the rest"
        )
    for part in sympy.preorder_traversal(expr):
        kind = part.func.__name__
        if not isinstance(part, PLAIN + LOGIC) and kind not in ALLOWED:
            raise TypeError(
                f"{name} = {expr} uses {kind}; it may use powers, Abs, Min, Max, "
                f"Piecewise, {KNOWN.replace(' ', ', ')}"
            )
    return expr


# ------------------------------------------------------------------ torch code


class _Code(PythonCodePrinter):
    """Python code in which conditions are tensors."""

    _operators = {"and": "&", "or": "|", "not": "~"}

    def _print_Piecewise(self, expr: sympy.Expr) -> str:
        code = "nan"  # where no case holds
        for value, holds in reversed(expr.args):
            value = self._print(value)
            if holds == sympy.true:
                code = value
            else:
                code = (
                    f"choose({self._print(t)}, {self._print(holds)}, {value}, {code})"
                )
        return code


def _choose(time: Tensor, holds: Tensor, *values: Tensor | float | int) -> Tensor:
    u, v = (v if isinstance(v, Tensor) else time.new_full((), v) for v in values)
    return torch.where(holds, u, v)


def _minus_one(total: sympy.Expr) -> sympy.Expr:
    """A sum with c exp(u) - c written c expm1(u): no digit is lost near u = 0."""
    for c in (v for v in total.args if v.is_number):
        for term in total.args:
            if isinstance(-term / c, sympy.exp):
                return total - term - c - c * expm1((-term / c).exp)
    return total


def _quarter(angle: sympy.Expr) -> sympy.Expr:
    """cos(pi u) as sin(pi (1/2 - u)): exactly 0, and with all digits, near u = 1/2."""
    turns = angle / sympy.pi
    if turns.has(sympy.pi):
        return sympy.cos(angle)
    return sympy.sin(sympy.pi * sympy.together(sympy.Rational(1, 2) - turns))


def _number(e: sympy.Basic) -> bool:
    """Whether e is a number that Python could not print, or torch not multiply by."""
    if not isinstance(e, sympy.Expr) or not e.is_number:
        return False
    return abs(e.p) >= 2**53 if e.is_Rational else e is not sympy.pi


@functools.lru_cache(maxsize=256)
def _compiled(a: sympy.Expr, b: sympy.Expr, g2: sympy.Expr) -> Callable:
    """One torch function for (a, b, g2, da, db, gdg), 1 - exp(u) by expm1."""
    exprs = (a, b, g2, a.diff(t), b.diff(t), g2.diff(t) / 2)
    exprs = [
        e.rewrite(sympy.Piecewise)
        .replace(lambda u: u.is_Add, _minus_one)
        .replace(sympy.cos, _quarter)
        for e in exprs
    ]
    # named, not written: a number in front of a sum would be multiplied out
    parts = {p for e in exprs for p in sympy.preorder_traversal(e) if _number(p)}
    names = {p: sympy.Symbol(f"k{i}") for i, p in enumerate(sorted(parts, key=str))}
    table = {s.name: float(p.evalf(17)) for p, s in names.items()}
    printer = _Code({"fully_qualified_modules": False, "inline": True})
    return sympy.lambdify(
        t,
        [e.xreplace(names) for e in exprs],
        modules=[table, TORCH, {"choose": _choose}, "math"],
        printer=printer,
        cse=True,
    )


# ------------------------------------------------------------------- the path


@dataclass(frozen=True)
class Path:
    """x_t = a(t) x0 + b(t) x1 + g(t) z on [0, T], with z ~ N(0, I).

    a, b, g2: expressions in `paths.t`, with a(0) = 1, b(0) = g2(0) = 0. pinned: the
    path ends on x1 itself, a(T) = g2(T) = 0, b(T) = 1, and is held to it; so are all
    named paths with two ends. Paths are equal when all but their names are.
    Raises: TypeError for another variable or function, ValueError where the start
    is not the data or a pinned end not x1.
    Checked: painters/same-world, notation/ddpm, tests/test_paths.py
    """

    a: sympy.Expr | str | float | int
    b: sympy.Expr | str | float | int
    g2: sympy.Expr | str | float | int
    T: float | int = 1.0
    name: str = field(default="path", compare=False)
    pinned: bool = False

    def __post_init__(self) -> None:
        for letter in ("a", "b", "g2"):
            value = expression(letter, getattr(self, letter))
            object.__setattr__(self, letter, value)
        if not isinstance(self.T, Real):
            raise TypeError(f"T is {type(self.T).__name__}; it must be a number")
        if not 0 < self.T < math.inf:
            raise ValueError(f"T is {self.T}; it must be a positive finite time")
        self._stands(0, "0", (1, 0, 0), "it must be")
        if self.pinned:
            says = "a pinned path must have"
            self._stands(exact(self.T), f"T = {self.T:g}", (0, 1, 0), says)

    def _stands(self, time: sympy.Expr | int, where: str, at: tuple, says: str) -> None:
        now = tuple(e.subs(t, time).evalf() for e in (self.a, self.b, self.g2))
        offs = [u - v for u, v in zip(now, at, strict=True)]
        if not all(u.is_finite and abs(u) <= 1e-12 for u in offs):
            raise ValueError(
                f"at t = {where} the path has (a, b, g2) = {now}; {says} {at}"
            )

    def at(self, time: Tensor | float | int) -> Coef:
        """The coefficients at time: a number or a tensor of times in [0, T].

        Device and dtype are those of time, float64 for a number. Raises: ValueError
        for times off the path, and where a, b, g2 or a slope has no value.
        """
        if isinstance(time, Real):
            time = torch.tensor(float(time), dtype=torch.float64)
        if floating("t", time).numel():
            low, high = (end.item() for end in time.aminmax())
            if not (low >= 0 and high <= self.T):
                finite("t", time)
                raise ValueError(
                    f"t runs from {low:g} to {high:g}; "
                    f"this path lives on [0, {self.T:g}]"
                )
        values = _compiled(self.a, self.b, self.g2)(time)
        c = Coef(
            *(v if isinstance(v, Tensor) else torch.full_like(time, v) for v in values)
        )
        if not math.isfinite(torch.stack(c).sum().item()) or (c.g2 < 0).any():
            self._sound(c)
        return c

    def _sound(self, c: Coef) -> None:
        """A ValueError unless a, b, g2 are finite, g2 >= 0, and no slope is NaN."""
        says = f"the path is a = {self.a}, b = {self.b}, g^2 = {self.g2}"
        if not all(u.isfinite().all() for u in c[:3]) or (c.g2 < 0).any():
            raise ValueError(
                f"a, b or g^2 is not finite, or g^2 negative, at some t; {says}"
            )
        if any(slope.isnan().any() for slope in c[3:]):
            raise ValueError(f"a slope of the path is 0/0 at some t; {says}")

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
        return c.g / (c.a + 0.0)  # of minus zero, zero

    def logsnr(self, time: Tensor | float | int) -> Tensor:
        """log(a^2 / g^2) = -2 log nsr, in nats."""
        return -2 * self.nsr(time).log()

    def sde(self, time: Tensor | float | int) -> Sde:
        """The forward process dx = f x dt + h dW that has the laws of this path.

        f = a'/a,  h^2 = (g^2)' - 2 f g^2. Raises: ValueError for two ends, where
        a = 0, and where h^2 < 0: there the ratio g / a falls, and no noise is added.
        Checked: dialects/joint, reverse/fokker-planck, tests/test_paths.py
        """
        c = self.one_ended().at(time)
        if not (c.a != 0).all():
            raise ValueError("a = 0 at some t; the rate a'/a is infinite there")
        if not (c.da.isfinite() & c.gdg.isfinite()).all():
            raise ValueError("a slope of the path is infinite at some t")
        f = c.da / c.a
        gain, loss = 2 * c.gdg, 2 * f * c.g2
        h2 = gain - loss
        rounding = 8 * torch.finfo(h2.dtype).eps * (gain.abs() + loss.abs())
        if not (h2 >= -rounding).all():
            raise ValueError(
                "the noise-to-signal ratio falls at some t; no process that adds "
                "noise has the laws of this path"
            )
        return Sde(f, h2.clamp(min=0))  # zero to rounding is zero

    def when(self, nsr: Tensor | float | int) -> Tensor:
        """The first time at which the noise-to-signal ratio is nsr, to the last bit.

        nsr: number or tensor in [0, nsr(T)]; times are float64. Bisection over the
        floating point numbers themselves: tiny times keep their digits. A gradient
        flows by the slope of nsr, once; none where that is 0 or infinite.
        Raises: ValueError for a ratio that the path does not reach, and for a path
        along which the ratio falls somewhere (seen at 1025 times).
        """
        nsr = torch.as_tensor(nsr, dtype=torch.float64)
        end = _rising(self.one_ended())
        if not (nsr >= 0).all() or not (nsr <= end * (1 + 1e-12)).all():
            raise ValueError(
                f"nsr runs from {nsr.min():g} to {nsr.max():g}; "
                f"this path reaches 0 to {end:g}"
            )
        high = torch.full_like(nsr, self.T).view(torch.int64)  # ordered like times
        low = torch.zeros_like(high)
        for _ in range(63):
            middle = low + (high - low) // 2
            below = self.nsr(middle.view(torch.float64)) < nsr.detach()
            low, high = low.where(~below, middle), high.where(below, middle)
        time = high.view(torch.float64).where(nsr > 0, 0.0)
        return self._through(time, nsr) if nsr.requires_grad else time

    def _through(self, time: Tensor, nsr: Tensor) -> Tensor:
        """time, with the slope d time / d nsr = 1 / nsr'(time)."""
        c = self.at(time)
        slope = (c.gdg / c.g - c.g * c.da / c.a) / c.a
        flows = slope.isfinite() & (slope > 0)
        return time + (nsr - nsr.detach()) / slope.where(flows, math.inf)

    def when_logsnr(self, logsnr: Tensor | float | int) -> Tensor:
        """The first time at which log(a^2 / g^2) is logsnr; see `when`."""
        if not torch.is_tensor(logsnr):
            logsnr = torch.tensor(logsnr, dtype=torch.float64)
        return self.when((-logsnr / 2).exp())

    def _repr_latex_(self) -> str:
        terms = [
            (self.a, "x_0"),
            (self.b, "x_1"),
            (sympy.sqrt(self.g2).replace(sympy.Abs, lambda e: e), "z"),
        ]
        shown = [rf"\left({sympy.latex(e)}\right) {x}" for e, x in terms if e != 0]
        return "$x_t = " + " + ".join(shown) + "$"


@functools.lru_cache(maxsize=256)
def _rising(path: Path) -> float:
    """nsr(T), or a ValueError if nsr falls before: it then has no inverse."""
    time = torch.linspace(0, path.T, 1025, dtype=torch.float64)
    nsr = path.nsr(time)
    if (nsr[1:] < nsr[:-1] * (1 - 1e-12)).any():
        raise ValueError(
            "the noise-to-signal ratio falls along this path; it has no inverse"
        )
    return nsr[-1].item()
