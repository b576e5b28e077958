"""Claims: measurements that take the formula as their argument.

A claim measures the right formula and some named wrong ones, the *controls*.
It holds when the right formula is within the tolerance, every control is
beyond it by a margin, and a planted error of one part in a thousand is seen:

    kind         the measurement                               tol     control beyond
    symbolic     simplified difference, or its size at random   0       not zero
                 rational points
    exact        max |formula - truth| / max |truth|, or the    stated  100 tol
                 float that ``measure`` returns
    statistical  |estimate - truth| / standard error            6       12
    trained      excess over the exact minimum, for each seed   stated  tol + 3 spreads,
                                                                        for every seed

A claim that no wrong formula can fail is not a claim.
"""

from __future__ import annotations

import inspect
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

import sympy
import torch

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


class ClaimFails(AssertionError):
    """A claim that was checked and does not hold."""


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


# ------------------------------------------------------------- measuring


def _arguments(claim: Claim) -> tuple[tuple, dict]:
    if isinstance(claim.at, Mapping):
        return (), dict(claim.at)
    return (claim.at if isinstance(claim.at, tuple) else (claim.at,)), {}


def _value(formula: Any, claim: Claim) -> torch.Tensor:
    """The formula's values at ``claim.at``, as one tensor."""
    args, named = _arguments(claim)
    value = formula(*args, **named) if callable(formula) else formula
    return torch.as_tensor(value)


def _finite(error: float, what: str = "the measurement") -> float:
    error = float(error)
    if not math.isfinite(error):
        raise ClaimError(f"{what} is {error}; a measurement must be finite")
    return error


def _distance(got: torch.Tensor, want: torch.Tensor) -> float:
    if got.shape != want.shape:
        raise ClaimError(
            f"the formula has shape {tuple(got.shape)}, the truth {tuple(want.shape)}"
        )
    if not torch.isfinite(got).all():
        raise ClaimError("the formula gives NaN or inf")
    top = want.abs().max()
    if not 0 < top < math.inf:
        raise ClaimError("the truth is zero or not finite: nothing to be relative to")
    return float((got - want).abs().max() / top)


def _residue(expr: Any) -> float:
    """0 for an expression that is zero, else its size at random rational points."""
    parts = list(expr) if isinstance(expr, sympy.MatrixBase) else [sympy.sympify(expr)]
    parts = [sympy.simplify(part) for part in parts]
    if all(part == 0 for part in parts):
        return 0.0
    draw, worst = torch.Generator().manual_seed(0), 0.0
    for _ in range(3):
        for part in map(_jets, parts):
            names = sorted(part.free_symbols, key=lambda s: s.name)
            ks = torch.randint(1, 97, (len(names),), generator=draw).tolist()
            at = {s: sympy.Rational(k, 97) for s, k in zip(names, ks, strict=True)}
            size = abs(complex(part.subs(at).evalf(40, chop=True)))
            worst = max(worst, _finite(size, "the residual at a rational point"))
    return worst if worst > 1e-30 else 0.0


def _jets(expr: sympy.Expr) -> sympy.Expr:
    """Unknown functions and their derivatives as independent symbols."""
    known = sympy.core.function.AppliedUndef
    jets = sorted(expr.atoms(sympy.Derivative) | expr.atoms(known), key=str)
    return expr.xreplace({j: sympy.Symbol(f"jet{i}") for i, j in enumerate(jets)})


def _errors(claim: Claim, formula: Any) -> torch.Tensor:
    """The errors of a formula: one, or one for each seed of a trained claim."""
    if claim.kind == "symbolic":
        expr = claim.measure(formula) if claim.measure else formula - claim.truth
        found = [_residue(expr)]
    elif claim.kind == "exact":
        if claim.measure is not None:
            found = [_finite(claim.measure(formula))]
            if found[0] < 0:  # a signed difference would pass whatever it is
                raise ClaimError("the measurement is negative; give its size")
        else:
            found = [_distance(_value(formula, claim), _value(claim.truth, claim))]
    elif claim.kind == "statistical":
        found = []
        for seed in claim.seeds:
            rng = torch.Generator().manual_seed(seed)
            zs = torch.as_tensor(claim.measure(formula, rng), dtype=torch.float64)
            found += zs.reshape(-1).abs().tolist()
    else:
        excess = torch.as_tensor(claim.measure(formula, claim.seeds))
        found = excess.double().reshape(-1).tolist()
        if len(found) != len(claim.seeds):
            raise ClaimError(f"{len(claim.seeds)} seeds gave {len(found)} excesses")
        if min(found) < -claim.tol:
            raise ClaimError("an excess is below the exact minimum, by more than tol")
    if not found:
        raise ClaimError("the measurement gave no number")
    return torch.tensor([_finite(e) for e in found], dtype=torch.float64)


# -------------------------------------------------------------- verdicts


@dataclass(frozen=True, eq=False)
class Verdict:
    """What `judge` found: the errors of the formula, its controls and probes.

    ``controls`` and ``probes`` map names to the least error found (None where
    the measurement broke). It renders as Markdown without measured digits; the
    digits travel in the metadata of the cell's output.
    """

    claim: Claim
    error: float | None = None
    controls: Mapping[str, float | None] = field(default_factory=dict)
    probes: Mapping[str, float | None] = field(default_factory=dict)
    spread: float = 0.0
    looks: int = 1
    seconds: float = 0.0
    problem: str = ""
    asserted: bool = False

    def _bar(self) -> float:
        """What a control must exceed."""
        if self.claim.kind == "trained":
            return self.claim.tol * self.claim.margin + 3 * self.spread
        return self.claim.tol * self.claim.margin

    @property
    def accepted(self) -> list[str]:
        """Controls and probes that were not rejected."""
        bars = [(self.controls, self._bar()), (self.probes, self.claim.tol)]
        return [k for d, bar in bars for k, e in d.items() if e is None or not e > bar]

    @property
    def holds(self) -> bool:
        """Right within the tolerance, and everything wrong rejected."""
        right = self.error is not None and self.error <= self.claim.tol
        return right and not self.problem and not self.accepted

    @property
    def why(self) -> str:
        """In one sentence, why the claim does not hold; empty if it does."""
        if self.problem:
            return self.problem
        if self.error is None or self.error > self.claim.tol:
            return f"the formula is off by more than {self._tolerance()}"
        if self.accepted:
            return "not rejected, though wrong: " + "; ".join(self.accepted)
        return ""

    def _tolerance(self) -> str:
        if self.claim.kind == "statistical":
            return f"{self.claim.tol:g} standard errors"
        return "0" if self.claim.kind == "symbolic" else f"{self.claim.tol:g}"

    def _reason(self) -> str:
        c = self.claim
        if c.kind == "symbolic":
            return "identically" + (f" ({c.because})" if c.because else "")
        text = f"to within {self._tolerance()}: {c.because.rstrip('.')}"
        if c.kind == "statistical":
            alarm = self.looks * math.erfc(c.tol / math.sqrt(2))
            text = f"to within {self._tolerance()}" + (
                f": {c.because.rstrip('.')}" if c.because else ""
            )
            text += f"; false alarm below {alarm:.0e} (normal tails)"
        if c.seeds:
            text += f"; n = {c.n}, seeds {', '.join(map(str, c.seeds))}"
        return text

    def _repr_markdown_(self) -> str:
        c, holds = self.claim, self.holds
        papers = ", ".join(
            f'<a class="paper" data-paper="{p}">{p}</a>' for p in c.papers
        )
        state = "holds" if holds else "fails"
        lines = [
            f'<div class="claim {state}" id="claim-{c.id.replace("/", "-")}">',
            f"**Claim** `{c.id}` · {c.kind} · paper {papers}",
            c.says.strip(),
            f"**HOLDS** {self._reason()}." if holds else f"**FAILS**: {self.why}.",
        ]
        gone = [k for k in self.controls if k not in self.accepted]
        if gone:
            lines.append("*Rejected*: " + "; ".join(gone) + ".")
        if isinstance(c.scale, str):
            lines.append(f"*No planted scale error*: {c.scale.rstrip('.')}.")
        elif holds:
            own = "with a small error of the claim's own choice"
            planted = f"times 1 ± {PROBE:g}" if c.scale is scaled else own
            lines.append(f"*Rejected too*: the formula {planted}.")
        return "\n\n".join([*lines, "</div>"])

    def __repr__(self) -> str:
        return f"{self.claim.id}: " + ("HOLDS" if self.holds else f"FAILS, {self.why}")

    def record(self) -> dict:
        """What the claims file keeps, errors to one significant digit."""

        def factor(e):
            return None if not self.claim.tol else float(f"{e / self.claim.tol:.0e}")

        return {
            "id": self.claim.id,
            "says": self.claim.says.strip(),
            "kind": self.claim.kind,
            "papers": list(self.claim.papers),
            "tol": self.claim.tol,
            "error": float(f"{self.error:.0e}"),
            "controls": {k: factor(e) for k, e in self.controls.items()},
            "seconds": float(f"{self.seconds:.1g}"),
        }

    def _repr_mimebundle_(self, include=None, exclude=None):
        data = {"text/plain": repr(self), "text/markdown": self._repr_markdown_()}
        return data, ({"diffkit": self.record()} if self.asserted else {})


def _least(claim: Claim, formula: Any) -> float | None:
    """The error by which a wrong formula is judged; None if it did not measure."""
    try:
        errors = _errors(claim, formula)
    except Exception:  # a control that cannot be measured is not rejected
        return None
    return float(errors.min() if claim.kind == "trained" else errors.max())


def judge(claim: Claim) -> Verdict:
    """Measure the formula, its controls and the probes. Never raises."""
    start = time.perf_counter()
    if claim.formula is None:
        return Verdict(claim, problem="this is an exercise: its formula is not given")
    try:
        errors = _errors(claim, claim.formula)
    except Exception as broken:  # whatever a formula may throw is a verdict
        text = str(broken).strip().split("\n")[0]
        return Verdict(claim, problem=text or type(broken).__name__)
    probes = {}
    if not isinstance(claim.scale, str):
        for e in (PROBE, -PROBE):
            name = f"planted error {e:+g}"
            try:
                probes[name] = _least(claim, claim.scale(claim.formula, e))
            except Exception:
                probes[name] = None
    spread = float(errors.std()) if claim.kind == "trained" else 0.0
    return Verdict(
        claim,
        float(errors.max()),
        {name: _least(claim, wrong) for name, wrong in claim.controls.items()},
        probes,
        spread,
        len(errors),
        time.perf_counter() - start,
    )


def check(claim: Claim) -> Verdict:
    """`judge`, then raise ClaimFails if the claim does not hold."""
    verdict = judge(claim)
    if not verdict.holds:
        raise ClaimFails(f"{claim.id}: {verdict.why}")
    return replace(verdict, asserted=True)


# ------------------------------------------------------------- exercises


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
        error = float(_errors(claim, written).max())
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
            got, slip, want = (_value(f, claim) for f in (answer, wrong, claim.truth))
            apart = (got - slip).abs().max() / want.abs().max()
            return got.shape == slip.shape and float(apart) <= claim.tol
        return math.isclose(_least(claim, wrong) or 0.0, error, rel_tol=1e-6)
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
    got, want = _value(answer, claim), _value(claim.truth, claim)
    off = (got - want).abs() / want.abs().max()
    right, worst = int((off <= claim.tol).sum()), int(off.argmax())
    text = f"right at {right} of {off.numel()} inputs; it differs most"
    args, named = _arguments(claim)
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
