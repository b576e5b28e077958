"""Combinators: fields from fields, the vocabulary in which samplers are edited.

Each is one sentence and one formula, and returns a field, so they compose:
``cached(guided(plain, conditional, 3.0), 5)``. What is affine in the targets
(weights that sum to one: guidance, averages) may be done on any target alike, score,
noise, denoiser or velocity; what is not (clipping, rounding, other weights) may not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..shapes import Points, Times, finite
from .field import Field, per_point, value

Weight = float | int | Tensor | Callable[[Tensor, Tensor], Tensor]


def mix(fields: Sequence[Field], weights: Sequence[Weight]) -> Field:
    """The weighted sum of fields: sum_i w_i(x, t) F_i(x, t).

    A weight is a number, or a function (x, t) -> number or one per point, (*n).
    Responsibilities as weights give the score of a mixture, the sum (1, 1) the score
    of a product of densities. Raises: ValueError for no field, or other numbers of
    weights than of fields. Checked: tests/test_fields.py
    """
    if not fields or len(fields) != len(weights):
        raise ValueError(
            f"{len(fields)} fields and {len(weights)} weights; there must be as many "
            "of the one as of the other, and at least one"
        )
    for w in weights:
        if not callable(w):
            finite("weights", torch.as_tensor(w, dtype=torch.float64))

    def mixed(x: Points, t: Times) -> Points:
        now = [w(x, t) if callable(w) else w for w in weights]
        terms = zip(now, fields, strict=True)
        return sum(per_point("a weight", w, x) * value(F, x, t) for w, F in terms)

    return mixed


def guided(plain: Field, conditional: Field, w: Weight) -> Field:
    """plain + w (conditional - plain): 0 is plain, 1 conditional, beyond it guides.

    The scale w of most software; the paper's own w is this one less 1. With a worse
    model as ``plain`` it is autoguidance; with w(x, t), guidance in an interval.
    Source: ho2022guidance, eq. 6. Checked: tests/test_fields.py
    """
    rest = (lambda x, t: 1 - w(x, t)) if callable(w) else 1 - w
    return mix([plain, conditional], [rest, w])


def clipped(field: Field, low: float | int, high: float | int) -> Field:
    """min(max(F, low), high) in every coordinate, usually of a denoiser.

    Raises: ValueError unless low < high. Checked: tests/test_fields.py
    """
    if not low < high:
        raise ValueError(f"low is {low} and high {high}; it must be low < high")
    return lambda x, t: value(field, x, t).clamp(low, high)


def quantised(field: Field, bits: int, limit: float | int) -> Field:
    """F rounded to the middles of 2^bits equal cells of [-limit, limit].

    Cell width h = 2 limit / 2^bits, so an error of at most h / 2 inside the limit,
    h^2 / 12 in mean square if F is spread evenly. Its derivative is zero.
    Raises: ValueError for bits < 1 or a limit that is not positive and finite.
    Checked: tests/test_fields.py
    """
    if bits < 1 or not 0 < limit < math.inf:
        raise ValueError(
            f"bits is {bits} and limit {limit}; it must be bits >= 1 and a finite "
            "limit > 0"
        )
    half = 2 ** (bits - 1)
    h = limit / half

    def rounded(x: Points, t: Times) -> Points:
        cell = (value(field, x, t) / h).floor().clamp(-half, half - 1)
        return (cell + 0.5) * h

    return rounded


def cast(field: Field, dtype: torch.dtype) -> Field:
    """F evaluated in another precision, points and times included, and cast back.

    For a network of float32 inside a solver of float64, or to see what rounding
    does. Raises: TypeError if dtype is not of floats. Checked: tests/test_fields.py
    """
    if not dtype.is_floating_point:
        raise TypeError(f"dtype is {dtype}; it must be one of floats")

    def other(x: Points, t: Times) -> Points:
        time = t.to(dtype) if isinstance(t, Tensor) else t
        return value(field, x.to(dtype), time).to(x.dtype)

    return other


def retimed(field: Field, clock: Callable[[Tensor], Tensor]) -> Field:
    """F(x, clock(t)): a delay, a reversal, a rounded or a stopped time.

    A velocity on a new clock also wants the factor d clock / dt, by `mix`.
    clock: t -> time, of the same shape or a number. Checked: tests/test_fields.py
    """
    return lambda x, t: value(field, x, clock(t))


def recorded(field: Field, into: list[Tensor]) -> Field:
    """F, whose values are also appended to ``into``: what a sampler was told, in order.

    Over a denoiser, the guesses of the end point along a run. The values are those
    that the sampler gets, not copies. Checked: tests/test_fields.py
    """

    def noted(x: Points, t: Times) -> Points:
        into.append(value(field, x, t))
        return into[-1]

    return noted


class cached:
    """F at every m-th call, in between the value found last, whatever x and t.

    A memory of one run: ``reset()`` begins the next; Heun asks twice a step. The
    tape of ``backward`` goes through it rightly; a Jacobian at one call would not
    know of the point remembered, so torch.func is refused.
    Raises: ValueError for m < 1, other points than before, a time back at the start
    of the run, or inside torch.func.
    Source: ma2023deepcache. Checked: tests/test_fields.py
    """

    def __init__(self, field: Field, every: int) -> None:
        if every < 1:
            raise ValueError(f"every is {every}; it must be at least 1 call")
        self.field, self.every = field, every
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next call evaluates the field."""
        self.calls, self.kept, self.first, self.way = 0, None, None, None

    def __call__(self, x: Points, t: Times) -> Points:
        self._same_run(x, t)
        if self.calls % self.every == 0:
            self.kept = value(self.field, x, t)
        self.calls += 1
        return self.kept

    def _same_run(self, x: Points, t: Times) -> None:
        """Raise if what is remembered belongs to another run."""
        try:
            x.data_ptr()
        except RuntimeError:  # inside torch.func a tensor has no memory of its own
            raise ValueError(
                "a cached field remembers, so torch.func can not differentiate or "
                "map it: take the field inside"
            ) from None
        now = torch.as_tensor(t, dtype=torch.float64)
        if self.kept is None:
            self.first, self.way = now, torch.zeros_like(now)
            return
        if x.shape != self.kept.shape:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, in this run {tuple(self.kept.shape)} "
                "before; reset() begins a new run"
            )
        gone = now - self.first
        if ((self.way != 0) & (gone * self.way <= 0)).any():
            raise ValueError("t is back at the start; reset() begins a new run")
        self.way = torch.where(self.way != 0, self.way, gone)


class counted:
    """F itself, and how often it was asked: ``calls``, and ``points`` in all.

    Differentiation costs a call for the value; its reverse sweeps are not counted.
    Checked: tests/test_fields.py
    """

    def __init__(self, field: Field) -> None:
        self.field = field
        self.reset()

    def reset(self) -> None:
        """Count from zero."""
        self.calls, self.points = 0, 0

    def __call__(self, x: Points, t: Times) -> Points:
        y = value(self.field, x, t)
        self.calls, self.points = self.calls + 1, self.points + x.shape[:-1].numel()
        return y
