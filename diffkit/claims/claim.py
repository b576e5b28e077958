"""The claim: a statement, its formula, and the wrong formulas that must fail."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy

KINDS = ("symbolic", "exact", "statistical", "trained")
PROBE = 1e-3  # the relative error that every claim must see
SIGMAS = 6.0  # tolerance of statistical claims, in standard errors


FIELDS = (  # of a claim: what each may be, and in words
    ("id", str, "text"),
    ("says", str, "text"),
    ("because", str, "text"),
    ("papers", tuple | list, "a tuple such as ('048',)"),
    ("controls", Mapping, "a mapping from names to wrong formulas"),
    ("seeds", tuple | list | range, "a tuple of integers"),
    ("tol", float | int | None, "a number"),
)


class ClaimError(ValueError):
    """A claim that is not well posed."""


def scaled(formula: Any, e: float) -> Any:
    """The formula times ``1 + e``: the default one-parameter error."""
    if isinstance(formula, sympy.Basic | sympy.MatrixBase):
        return formula * (1 + sympy.Rational(str(e)))
    if callable(formula):
        return lambda *args, **named: scaled(formula(*args, **named), e)
    if isinstance(formula, tuple | list):
        return type(formula)(scaled(part, e) for part in formula)
    return formula * (1 + e)


@dataclass(frozen=True, eq=False)
class Claim:
    """A statement, its formula, and the wrong formulas that must fail.

    id: ``part/name``; says: the statement in Markdown, every symbol named;
    papers: atlas numbers; tol: the tolerance, ``because``: its reason.
    Give ``truth`` (a function or values, compared at the arguments ``at``), or
    ``measure``, which maps a formula to its error: ``measure(formula)``, for a
    statistical claim ``measure(formula, rng) -> z-scores``, for a trained one
    ``measure(formula, seeds) -> excess per seed``.
    scale: plants a relative error, or a sentence that says why none can be.
    A claim with ``formula=None`` is an exercise: see `attempt`.
    Raises: ClaimError, in one sentence. Checked: tests/test_claims.py
    """

    id: str
    says: str
    papers: tuple[str, ...]
    kind: str
    formula: Any
    controls: Mapping[str, Any]
    tol: float | None = None
    because: str = ""
    at: Any = ()
    truth: Any = None
    measure: Callable | None = None
    scale: Callable | str = scaled
    seeds: tuple[int, ...] = ()
    n: int | None = None
    margin: float | None = None

    def __post_init__(self) -> None:
        fill = {"symbolic": 0.0, "statistical": SIGMAS}.get(self.kind)
        margin = {"symbolic": 1.0, "statistical": 2.0, "trained": 1.0}.get(self.kind)
        if self.tol is None:
            object.__setattr__(self, "tol", fill)
        if self.margin is None:
            object.__setattr__(self, "margin", margin or 100.0)
        for wrong, sentence in self._faults():
            if wrong:
                raise ClaimError(f"claim {self.id!r}: {sentence}")

    def _faults(self):
        for name, kind, word in FIELDS:
            value = getattr(self, name)
            wrong = not isinstance(value, kind)
            yield wrong, f"{name} must be {word}, not {type(value).__name__}"
        yield (
            not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*", self.id),
            "the id must read part/name in lower case, digits and hyphens",
        )
        yield not self.says.strip(), "it says nothing; give the statement"
        yield (
            self.kind not in KINDS,
            f"kind {self.kind!r} is unknown; the kinds are {', '.join(KINDS)}",
        )
        yield (
            not all(re.fullmatch(r"\d{3}", str(p)) for p in self.papers),
            f"papers {self.papers!r} must be atlas numbers such as '048'",
        )
        yield not self.papers, "it names no paper; give a tuple such as ('048',)"
        yield not self.controls, "it has no control: a wrong formula that must fail"
        yield (
            (self.truth is None) == (self.measure is None),
            ("give either truth (with at) or measure"),
        )
        yield (
            self.kind in ("statistical", "trained") and self.measure is None,
            f"a {self.kind} claim needs measure",
        )
        tol = self.tol
        yield (
            tol is None or not math.isfinite(tol) or tol < 0,
            f"tolerance {tol!r} must be a finite number >= 0",
        )
        yield (
            self.kind == "symbolic" and tol != 0,
            f"a symbolic claim is exact: its tolerance is 0, not {tol!r}",
        )
        yield (
            self.kind != "symbolic" and not tol,
            f"a {self.kind} claim needs a tolerance > 0",
        )
        yield (
            self.kind in ("exact", "trained") and not self.because.strip(),
            "the tolerance needs its reason: give because",
        )
        yield (
            self.kind in ("statistical", "trained") and not (self.seeds and self.n),
            f"a {self.kind} claim reports its seeds and its sample size n",
        )
        yield (
            self.kind == "trained" and len(set(self.seeds)) < 5,
            "a trained claim needs at least five different seeds",
        )
        floor = {"exact": 100.0, "statistical": 2.0}.get(self.kind, 1.0)
        yield (
            not self.margin >= floor,
            f"margin {self.margin!r} is below {floor:g}, the least of its kind",
        )
        yield (
            isinstance(self.scale, str) and not self.scale.strip(),
            "scale must plant an error, or be a sentence that says why none can be",
        )
