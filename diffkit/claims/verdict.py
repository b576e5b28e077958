"""The verdict: what the measurement of a claim found, and how it is shown."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .claim import PROBE, Claim, scaled
from .measure import errors


class ClaimFails(AssertionError):
    """A claim that was checked and does not hold."""


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


def least(claim: Claim, formula: Any) -> float | None:
    """The error by which a wrong formula is judged; None if it did not measure."""
    try:
        found = errors(claim, formula)
    except Exception:  # a control that cannot be measured is not rejected
        return None
    return float(found.min() if claim.kind == "trained" else found.max())


def judge(claim: Claim) -> Verdict:
    """Measure the formula, its controls and the probes. Never raises."""
    start = time.perf_counter()
    if claim.formula is None:
        return Verdict(claim, problem="this is an exercise: its formula is not given")
    try:
        found = errors(claim, claim.formula)
    except Exception as broken:  # whatever a formula may throw is a verdict
        text = str(broken).strip().split("\n")[0]
        return Verdict(claim, problem=text or type(broken).__name__)
    probes = {}
    if not isinstance(claim.scale, str):
        for e in (PROBE, -PROBE):
            name = f"planted error {e:+g}"
            try:
                probes[name] = least(claim, claim.scale(claim.formula, e))
            except Exception:
                probes[name] = None
    spread = float(found.std()) if claim.kind == "trained" else 0.0
    return Verdict(
        claim,
        float(found.max()),
        {name: least(claim, wrong) for name, wrong in claim.controls.items()},
        probes,
        spread,
        len(found),
        time.perf_counter() - start,
    )


def check(claim: Claim) -> Verdict:
    """`judge`, then raise ClaimFails if the claim does not hold."""
    verdict = judge(claim)
    if not verdict.holds:
        raise ClaimFails(f"{claim.id}: {verdict.why}")
    return replace(verdict, asserted=True)
