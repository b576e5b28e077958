"""Runge-Kutta: stages inside a step, with weights that are rational numbers.

    k_i = F(x_n + h sum_{j<i} a_ij k_j, t_n + c_i h),   x_{n+1} = x_n + h sum_i b_i k_i

Row i of ``a`` sums to c_i, and b to 1. The step and the solution itself are series in
h with one term for each rooted tree: a vertex is a value of F, its branches are what
a derivative of F there is applied to. With branches u, v, ... the two terms differ in

    gamma(tree) = vertices * gamma(u) gamma(v) ...             (the solution: 1 / gamma)
    Phi_i(tree) = (sum_j a_ij Phi_j(u)) (sum_j a_ij Phi_j(v)) ...  (the step: b . Phi)

and the method has order p if and only if b . Phi = 1 / gamma for every tree with up to
p vertices (Butcher). All of it is rational, so `Tableau.order` decides it exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property

import torch
from torch.nn.functional import pad

from .grids import Grid, steps
from .table import Table

Fractions = tuple[Fraction, ...]
Tree = tuple  # of its branches, which are trees, sorted; a leaf is ()


@cache
def trees(n: int) -> tuple[Tree, ...]:
    """All rooted trees with n vertices: 1, 1, 2, 4, 9, 20, 48, ... of them.

    A tree is the sorted tuple of its branches, so () is one vertex.
    Raises: ValueError for n < 1. Checked: tests/test_tableaus.py
    """
    if n < 1:
        raise ValueError(f"n is {n}; a rooted tree has at least one vertex")
    if n == 1:
        return ((),)
    return tuple(sorted({more for tree in trees(n - 1) for more in _grown(tree)}))


def _grown(tree: Tree) -> Iterator[Tree]:
    """The tree with one more leaf, at any vertex."""
    yield tuple(sorted((*tree, ())))
    for i, branch in enumerate(tree):
        for more in _grown(branch):
            yield tuple(sorted((*tree[:i], more, *tree[i + 1 :])))


def _vertices(tree: Tree) -> int:
    return 1 + sum(map(_vertices, tree))


def density(tree: Tree) -> int:
    """gamma: the product, over all vertices, of how many vertices hang on it.

    The vertex itself counts. Source: butcher2016numerical.
    Checked: tests/test_tableaus.py
    """
    return _vertices(tree) * math.prod(map(density, tree))


@dataclass(frozen=True)
class Tableau:
    """An explicit method. a: row i has i entries, from the empty row on; b: weights.

    low: the weights of an embedded method of lower order, which tells the error of
    a step; one more than b, the last on the slope at the end of the step.
    Raises: TypeError for weights that are not rational, ValueError for another form,
    or where b or low does not sum to 1.
    Source: butcher2016numerical. Checked: tests/test_tableaus.py
    """

    a: tuple[Fractions, ...]
    b: Fractions
    low: Fractions = ()

    def __post_init__(self) -> None:
        if [len(row) for row in self.a] != list(range(len(self.b))):
            raise ValueError("row i of a must have i entries, one row for each of b")
        if self.low and len(self.low) != len(self.b) + 1:
            raise ValueError(
                f"low has {len(self.low)} weights and b {len(self.b)}; low must have "
                "one more"
            )
        for weight in (*sum(self.a, ()), *self.b, *self.low):
            if not isinstance(weight, Fraction | int):
                raise TypeError(f"{weight!r} is no Fraction or int; weights are exact")
        for name, weights in (("b", self.b), ("low", self.low)):
            if sum(weights) != 1 and (name == "b" or weights):
                raise ValueError(f"{name} sums to {sum(weights)}; it must sum to 1")

    @staticmethod
    def of(a: str, b: str, low: str = "") -> Tableau:
        """From text: rows of a after the first, which is empty, parted by ``;``."""
        rows = a.split(";") if a else ()
        return Tableau(((), *map(_fractions, rows)), _fractions(b), _fractions(low))

    @property
    def c(self) -> Fractions:
        """The times of the stages, as parts of a step: the sums of the rows of a."""
        return tuple(sum(row, Fraction(0)) for row in self.a)

    @cached_property
    def embedded(self) -> Tableau:
        """The method of lower order: the end of the step is one stage more."""
        if not self.low:
            raise ValueError("this method has no embedded one, low")
        return Tableau((*self.a, self.b), self.low)

    def weight(self, tree: Tree) -> Fraction:
        """b . Phi(tree): the step's term where the solution's is 1 / `density`."""
        return _dot(self.b, self._phi(tree))

    def _phi(self, tree: Tree) -> Fractions:
        inner, one = [self._phi(branch) for branch in tree], Fraction(1)
        return tuple(
            math.prod((_dot(row, phi) for phi in inner), start=one) for row in self.a
        )

    @cached_property
    def order(self) -> int:
        """The largest p such that all trees with up to p vertices agree, exactly."""
        p = 0
        while all(self.weight(u) * density(u) == 1 for u in trees(p + 1)):
            p += 1
        return p

    def _repr_latex_(self) -> str:
        """The array of Butcher: c | a, and under the line b, and low."""
        rows = self.embedded.a if self.low else self.a
        s = len(rows)
        stages = [_line(_latex(sum(row, Fraction(0))), row, s) for row in rows]
        below = [_line("", row, s) for row in (self.b, self.low) if row]
        body = r" \\ ".join(stages) + r" \\ \hline " + r" \\ ".join(below)
        return rf"$\begin{{array}}{{c|{'c' * s}}} {body} \end{{array}}$"


def _dot(row: Fractions, phi: Fractions) -> Fraction:
    """The sum of the products; a row of a stops before the diagonal."""
    return sum((u * v for u, v in zip(row, phi, strict=False)), Fraction(0))


def _fractions(row: str) -> Fractions:
    try:
        return tuple(map(Fraction, row.split()))
    except (ValueError, ZeroDivisionError):
        raise ValueError(
            f"{row.strip()!r} is no row of rational numbers such as '1/2 -3 0'"
        ) from None


def _line(first: str, row: Fractions, s: int) -> str:
    return " & ".join([first, *map(_latex, row), *[""] * (s - len(row))])


def _latex(u: Fraction | int) -> str:
    u = Fraction(u)
    if u.denominator == 1:
        return str(u)
    return rf"{'-' * (u < 0)}\tfrac{{{abs(u.numerator)}}}{{{u.denominator}}}"


EULER = Tableau.of("", "1")
MIDPOINT = Tableau.of("1/2", "0 1")
HEUN = Tableau.of("1", "1/2 1/2")
RALSTON = Tableau.of("2/3", "1/4 3/4")
HEUN3 = Tableau.of("1/3; 0 2/3", "1/4 0 3/4")
KUTTA3 = Tableau.of("1/2; -1 2", "1/6 2/3 1/6")
RALSTON3 = Tableau.of("1/2; 0 3/4", "2/9 1/3 4/9")
BOGACKI_SHAMPINE = Tableau.of("1/2; 0 3/4", "2/9 1/3 4/9", "7/24 1/4 1/3 1/8")
RK4 = Tableau.of("1/2; 0 1/2; 0 0 1", "1/6 1/3 1/3 1/6")
RK38 = Tableau.of("1/3; -1/3 1; 1 -1 1", "1/8 3/8 3/8 1/8")
DORMAND_PRINCE = Tableau.of(
    "1/5; 3/40 9/40; 44/45 -56/15 32/9;"
    "19372/6561 -25360/2187 64448/6561 -212/729;"
    "9017/3168 -355/33 46732/5247 49/176 -5103/18656",
    "35/384 0 500/1113 125/192 -2187/6784 11/84",
    "5179/57600 0 7571/16695 393/640 -92097/339200 187/2100 1/40",
)


def runge_kutta(tableau: Tableau, ts: Grid, last: Tableau | None = None) -> Table:
    """The table of a method on a grid; eats the velocity.

    Stage i of step n is a state that lies off the way. Its weights stand in the
    table newest first, as those of all states do. last: the method of the last step.
    A stage with c = 1 asks the field at the end of its step; where that is noise 0
    and the field has no value, last=EULER asks only where the step begins.
    Checked: tests/test_tableaus.py
    """
    steps(ts)
    if last is None or last == tableau:
        return _repeated(tableau, ts)
    end = _repeated(last, ts[-2:])
    if len(ts) == 2:
        return end
    body = _repeated(tableau, ts[:-1])
    wide = max(len(tableau.b), len(last.b))
    A, B = (
        torch.cat([pad(u, (0, wide - u.shape[1])) for u in pair])
        for pair in ((body.A, end.A), (body.B, end.B))
    )
    times = torch.cat([body.ts, end.ts[1:]])
    lands = torch.cat([body.lands, end.lands[1:]])
    return Table("velocity", times, A, B, torch.cat([body.S, end.S]), lands)


def _repeated(tableau: Tableau, ts: Grid) -> Table:
    """The same method at every step."""
    h, s = ts.diff(), len(tableau.b)
    A, B = torch.zeros(s, s).to(ts), torch.zeros(s, s).to(ts)
    for i, row in enumerate((*tableau.a[1:], tableau.b)):
        A[i, i] = 1.0  # x_n is i states old
        for j, weight in enumerate(row):
            B[i, i - j] = float(weight)
    c = ts.new_tensor([float(u) for u in (*tableau.c[1:], 1)])
    # the end of a step as it stands in the grid: t + h may miss it by a rounding
    inner = torch.where(c == 1, ts[1:, None], ts[:-1, None] + h[:, None] * c)
    n = len(h)
    lands = torch.tensor([True, *([False] * (s - 1) + [True]) * n])
    return Table(
        "velocity",
        torch.cat([ts[:1], inner.flatten()]),
        A.repeat(n, 1),
        (h[:, None, None] * B).reshape(n * s, s),
        ts.new_zeros(n * s),
        lands,
    )


# The methods by name; ``last`` is that of `runge_kutta`.


def euler(ts: Grid) -> Table:
    """x + h F(x, t), order 1. It never asks at the last time of the grid."""
    return runge_kutta(EULER, ts)


def midpoint(ts: Grid, last: Tableau | None = None) -> Table:
    """The slope at the middle of the step, order 2. Never asks at the last time."""
    return runge_kutta(MIDPOINT, ts, last)


def heun(ts: Grid, last: Tableau | None = None) -> Table:
    """The mean of the slopes at both ends, order 2.

    With last=EULER the deterministic sampler of EDM, whose last step is to noise 0.
    Source: karras2022edm, algorithm 1. Checked: tests/test_tableaus.py
    """
    return runge_kutta(HEUN, ts, last)


def ralston(ts: Grid, last: Tableau | None = None) -> Table:
    """Two stages with the least bound on the error, order 2. Never asks at the end.

    Source: ralston1962bounds. Checked: tests/test_tableaus.py
    """
    return runge_kutta(RALSTON, ts, last)


def heun3(ts: Grid, last: Tableau | None = None) -> Table:
    """Heun's method of order 3. Never asks at the last time."""
    return runge_kutta(HEUN3, ts, last)


def kutta3(ts: Grid, last: Tableau | None = None) -> Table:
    """Kutta's method of order 3, Simpson's rule where F depends on t alone."""
    return runge_kutta(KUTTA3, ts, last)


def ralston3(ts: Grid, last: Tableau | None = None) -> Table:
    """Three stages with the least bound on the error, order 3. Never asks at the end.

    In fixed steps it is also the method of Bogacki and Shampine, whose pair adds an
    embedded one. Source: ralston1962bounds, bogacki1989pair.
    Checked: tests/test_tableaus.py
    """
    return runge_kutta(RALSTON3, ts, last)


def rk4(ts: Grid, last: Tableau | None = None) -> Table:
    """The classical Runge-Kutta method, order 4: Simpson's rule, the middle twice."""
    return runge_kutta(RK4, ts, last)


def rk38(ts: Grid, last: Tableau | None = None) -> Table:
    """Kutta's 3/8 rule, order 4."""
    return runge_kutta(RK38, ts, last)


def dormand_prince(ts: Grid, last: Tableau | None = None) -> Table:
    """Dormand and Prince's method of order 5, six evaluations a step.

    The seventh of the pair, at the end of the step, tells the error and is not asked
    here; `solvers.Adaptive` uses it. Source: dormand1980family.
    Checked: tests/test_tableaus.py
    """
    return runge_kutta(DORMAND_PRINCE, ts, last)


# ------------------------------------------------------------- a reversible method


def reversible_heun(ts: Grid) -> Table:
    """Heun's method beside a companion y^, order 2, one evaluation a step: exact back.

    y^_{n+1} = 2 y_n - y^_n + h F(y^_n),   y_{n+1} = y_n + h/2 (F(y^_n) + F(y^_{n+1})),
    y^_0 = y_0. Solved for (y_n, y^_n) it is itself with -h, so the pair at the end
    gives the pair at the start to rounding. The companions are states off the way.
    It asks at the last time too. On x' = -l x it grows: stable only on [-i, i].
    Source: kidger2021gradients, kidger2022nde. Checked: tests/test_tableaus.py
    """
    h = steps(ts).diff()
    n, o = len(h), torch.zeros_like(h)
    B = torch.stack([torch.stack([o, h, o], 1), torch.stack([h, o, h], 1) / 2], 1)
    B = B.reshape(2 * n, 3)
    A = ts.new_tensor([[2.0, -1.0], [0.0, 1.0]]).repeat(n, 1)
    # the first state is y_0 and y^_0 in one, so all behind it is one state nearer
    A[0] = ts.new_tensor([1.0, 0.0])
    B[:2] = torch.stack([h[0] * u for u in ts.new_tensor([[1, 0, 0], [0.5, 0.5, 0]])])
    lands = torch.tensor([True, *[False, True] * n])
    return Table("velocity", ts.repeat_interleave(2)[1:], A, B, o.repeat(2), lands)
