"""The exercise: a claim whose formula the reader writes, and the hint that answers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import torch

from .claim import Claim, ClaimError
from .measure import arguments, errors, values
from .verdict import least


@dataclass(frozen=True)
class Hint:
    """What `attempt` has to say about an answer; ``slip`` is a known mistake."""

    id: str
    solved: bool
    text: str
    slip: str | None = None

    def __repr__(self) -> str:
        return ("SOLVED: " if self.solved else "NOT YET: ") + self.text

    def _repr_mimebundle_(self, include=None, exclude=None):
        state = "holds" if self.solved else "hint"
        head = "**SOLVED**" if self.solved else "**NOT YET**"
        parts = [f'<div class="claim {state}">', f"{head}: {self.text}", "</div>"]
        return {"text/plain": repr(self), "text/markdown": "\n\n".join(parts)}


def attempt(claim: Claim, answer: Callable) -> Hint:
    """Judge a reader's answer to an exercise: what differs, where, which slip.

    claim: with ``formula=None``; its controls are the catalogue of slips.
    answer: the function that the exercise asks for. Never raises for a wrong
    answer, never shows the right one. Raises: ClaimError if the claim is no
    exercise.
    """
    if claim.formula is not None:
        raise ClaimError(f"claim {claim.id!r} has its formula: it is no exercise")
    if not callable(answer):
        return Hint(claim.id, False, "give a function; this is no function.")

    def written(*args, **named):
        value = answer(*args, **named)
        if value is None or value is Ellipsis:
            raise _Blank
        return value

    try:
        error = float(errors(claim, written).max())
    except _Blank:
        return Hint(claim.id, False, "nothing is written here yet.")
    except ClaimError as broken:
        return Hint(claim.id, False, f"{broken}.")
    except Exception as broken:
        kind, text = type(broken).__name__, escape(str(broken).split("\n")[0])
        return Hint(claim.id, False, f"your function stopped with {kind}: {text}.")
    if error <= claim.tol:
        return Hint(claim.id, True, "your formula agrees with the exact answer.")
    for name, wrong in claim.controls.items():
        if _same(claim, answer, wrong, error):
            return Hint(claim.id, False, f"this is a known slip: {name}.", name)
    return Hint(claim.id, False, _where(claim, answer))


class _Blank(Exception):
    """The answer returned nothing."""


def _same(claim: Claim, answer: Any, wrong: Any, error: float) -> bool:
    """Whether an answer is a known wrong formula, as far as can be measured."""
    try:
        if claim.truth is not None:
            got, slip, want = (values(f, claim) for f in (answer, wrong, claim.truth))
            apart = (got - slip).abs().max() / want.abs().max()
            return got.shape == slip.shape and float(apart) <= claim.tol
        return math.isclose(least(claim, wrong) or 0.0, error, rel_tol=1e-6)
    except Exception:  # a slip that cannot be evaluated is not this answer
        return False


def _letters(answer: Callable, n: int) -> list[str]:
    """The answer's own names for its n arguments, as far as it has some."""
    try:
        own = list(inspect.signature(answer).parameters)
    except (TypeError, ValueError):  # builtins may have no signature
        own = []
    return own[:n] + [f"argument {i + 1}" for i in range(len(own), n)]


def _where(claim: Claim, answer: Callable) -> str:
    """How much of an answer is right, and the input where it is worst."""
    if claim.truth is None:
        return "your formula does not pass the measurement, and is no known slip."
    got, want = values(answer, claim), values(claim.truth, claim)
    off = (got - want).abs() / want.abs().max()
    right, worst = int((off <= claim.tol).sum()), int(off.argmax())
    text = f"right at {right} of {off.numel()} inputs; it differs most"
    args, named = arguments(claim)
    named = named or dict(zip(_letters(answer, len(args)), args, strict=True))
    spots = []
    for name, value in named.items():
        if not isinstance(value, torch.Tensor | float | int):
            continue
        value = torch.as_tensor(value)
        if value.numel() == 1 or value.shape == got.shape:
            spot = value.expand(got.shape).reshape(-1)[worst]
            spots.append(f"{name} = {spot.item():.4g}")
    side = "large" if got.reshape(-1)[worst] > want.reshape(-1)[worst] else "small"
    where = f" at {', '.join(spots)}" if spots else f" in entry {worst}"
    return f"{text}{where}, where it is too {side}."
