"""Tables: a sampler is a table of numbers, computed once from the grid of times.

    x_{n+1} = A_n x_n + sum_j B_nj F_{n-j} + S_n z_n        Table
    x_{n+1} = x_n + h_n sum_i b_i F(x_n + h_n sum_j a_ij F_j, t_n + c_i h_n)   Stages

F is the field that the table ``eats``. The order of the grid is the direction;
there is no flag for it. Each function below is one sampler, in its paper's letters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from .paths import Path
from .shapes import Float, Points, finite, floating

Field = Callable[[Tensor, Tensor], Tensor]
EATS = ("velocity", "denoise", "noise", "score")


def uniform(start: float | int, end: float | int, n: int) -> Float[Tensor, " m"]:
    """n equal steps in time: n + 1 times from start to end."""
    if n < 1 or not abs(start - end) > 0 or math.isinf(start - end):
        raise ValueError(
            f"{n} steps from {start} to {end}: a grid has at least one step, "
            "between two different finite times"
        )
    return torch.linspace(start, end, n + 1, dtype=torch.float64)


def by_nsr(
    path: Path, high: float | int, low: float | int, n: int
) -> Float[Tensor, " m"]:
    """n steps, equal in log noise-to-signal ratio, from high to low (or back)."""
    if not (0 < high < math.inf and 0 < low < math.inf and high != low):
        raise ValueError(
            f"nsr runs from {high} to {low}; they must be two different finite "
            "ratios > 0"
        )
    logs = torch.tensor([high, low], dtype=torch.float64).log()
    return path.when(uniform(logs[0].item(), logs[1].item(), n).exp())


def _checked(ts: Tensor) -> Tensor:
    finite("ts", floating("ts", ts))
    steps = ts.diff() if ts.ndim == 1 else ts.new_zeros(0)
    if not steps.numel() or not ((steps > 0).all() or (steps < 0).all()):
        raise ValueError(
            "ts must be at least two times, all increasing or all decreasing"
        )
    return ts


@dataclass(frozen=True, eq=False)
class Table:
    """A linear multistep sampler. A, S: (N,); B: (N, J), newest evaluation first.

    eats: the field it wants; ts: (N + 1,). Raises: ValueError for what does not fit.
    """

    eats: str
    ts: Tensor
    A: Tensor
    B: Tensor
    S: Tensor

    def __post_init__(self) -> None:
        n = len(_checked(self.ts)) - 1
        if self.eats not in EATS:
            raise ValueError(f"eats is {self.eats!r}; it must be one of {EATS}")
        shapes = self.A.shape, self.B.shape[:1], self.S.shape
        if self.B.ndim != 2 or any(s != (n,) for s in shapes):
            raise ValueError(f"A, B, S must have {n} rows, one for each step")
        for name in "ABS":
            finite(name, getattr(self, name))

    def __len__(self) -> int:
        return len(self.A)

    @property
    def random(self) -> bool:
        """Whether some step adds noise."""
        return bool((self.S != 0).any())

    def step(
        self, n: int, field: Field, x: Points, past: list, z: Tensor | None
    ) -> Points:
        """x at ts[n + 1] from x at ts[n]; ``past`` holds earlier evaluations."""
        past.insert(0, field(x, self.ts[n]))
        del past[self.B.shape[1] :]
        new = self.A[n] * x
        for b, f in zip(self.B[n], past, strict=False):
            new = new + b * f
        return new if z is None else new + self.S[n] * z


@dataclass(frozen=True, eq=False)
class Stages:
    """An explicit Runge-Kutta sampler with rational entries; eats the velocity."""

    ts: Tensor
    c: tuple[Fraction, ...]
    a: tuple[tuple[Fraction, ...], ...]
    b: tuple[Fraction, ...]
    eats: str = "velocity"
    random: bool = False

    def __post_init__(self) -> None:
        _checked(self.ts)
        if tuple(sum(row) for row in self.a) != self.c or sum(self.b) != 1:
            raise ValueError("the rows of a must sum to c, and b to 1")
        if [len(row) for row in self.a] != list(range(len(self.b))):
            raise ValueError("row i of a must have i entries, one row for each of b")

    def __len__(self) -> int:
        return len(self.ts) - 1

    def step(
        self, n: int, field: Field, x: Points, past: list, z: Tensor | None
    ) -> Points:
        """x at ts[n + 1] from x at ts[n]."""
        t, h, k = self.ts[n], self.ts[n + 1] - self.ts[n], []
        for c, row in zip(self.c, self.a, strict=True):
            y = x
            for a, f in zip(row, k, strict=True):
                y = y + h * float(a) * f if a else y
            last = c == 1  # t + h may miss the end of the path by a rounding error
            k.append(field(y, self.ts[n + 1] if last else t + float(c) * h))
        for b, f in zip(self.b, k, strict=True):
            x = x + h * float(b) * f
        return x


def _fractions(rows: str) -> tuple[tuple[Fraction, ...], ...]:
    return tuple(tuple(map(Fraction, row.split())) for row in rows.split(";"))


def _stages(ts: Tensor, a: str, b: str) -> Stages:
    rows = ((), *_fractions(a)) if a else ((),)
    return Stages(ts, tuple(sum(r, Fraction(0)) for r in rows), rows, _fractions(b)[0])


def euler(ts: Tensor) -> Stages:
    """x + h F(x, t), order 1."""
    return _stages(ts, "", "1")


def heun(ts: Tensor) -> Stages:
    """The mean of the slopes at both ends, order 2. Source: karras2022edm, alg. 1."""
    return _stages(ts, "1", "1/2 1/2")


def rk4(ts: Tensor) -> Stages:
    """The classical Runge-Kutta method, order 4."""
    return _stages(ts, "1/2; 0 1/2; 0 0 1", "1/6 1/3 1/3 1/6")


def ddim(path: Path, ts: Tensor, eta: float | int = 0.0) -> Table:
    """The exact bridge of the path, with the data replaced by the denoiser.

    x_s = (k / g_t) x_t + (a_s - a_t k / g_t) D + eta w z with k^2 = g_s^2 - eta^2 w^2
    and w^2 = g_s^2 (1 - nsr_s^2 / nsr_t^2). eta = 0 is DDIM, eta = 1 the ancestral
    sampler of DDPM. At g_s = 0 the step returns D, and adds no noise.
    Source: song2021ddim, eq. 12 and 16. Checked: notation/ddpm-step
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta is {eta}; it must be between 0 and 1")
    ts = _checked(ts)
    c = path.one_ended().at(ts)
    a_t, a_s, g_t, g_s = c.a[:-1], c.a[1:], c.g[:-1], c.g[1:]
    if not (g_t > 0).all():
        raise ValueError("the grid leaves from noise level 0, where DDIM has no step")
    k, S = g_s, torch.zeros_like(g_s)
    if eta:
        rest = (a_t * g_s / (a_s * g_t)) ** 2  # 1 - w^2 / g_s^2, at most 1
        if not (rest <= 1).all():
            raise ValueError("eta > 0 needs a grid that runs from noise to data")
        k = g_s * (1 - eta**2 * (1 - rest)).sqrt()
        S = g_s * eta * (1 - rest).sqrt()
    return Table("denoise", ts, k / g_t, (a_s - a_t * k / g_t).unsqueeze(1), S)
