"""Mutants: wrong formulas planted in diffkit, each of which a test must kill.

    python tests/mutants.py [word ...]     only mutants whose line has the words

Each row is planted in a copy of the package, and its test run there. The test
must pass without the mutant and fail with it. Exits with 1 if one survives.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import hypothesis  # noqa: F401  the heavy imports of the tests, done once
import pytest
import scipy.stats  # noqa: F401
import sympy  # noqa: F401
import torch  # noqa: F401
from mutant_rows import ROWS

sys.dont_write_bytecode = True

ROOT = Path(__file__).resolve().parents[1]
AT_ONCE = 2


class Mutant(NamedTuple):
    """A wrong text for a right one, and the test that must see it."""

    module: str
    right: str
    wrong: str
    test: str


CLAIM, MEASURE = "claims/claim.py", "claims/measure.py"
VERDICT, EXERCISE = "claims/verdict.py", "claims/exercise.py"
IN_CLAIMS = "tests/test_claims.py::test_"
MUTANTS = [
    Mutant(
        VERDICT,
        "bars = [(self.controls, self._bar())",
        "bars = [(self.controls, self.claim.tol)",
        IN_CLAIMS + "exact_control_must_exceed_a_hundred_tolerances",
    ),
    Mutant(
        VERDICT,
        "(self.probes, self.claim.tol)]",
        "({}, self.claim.tol)]",
        IN_CLAIMS + "probe_that_is_not_seen_fails_the_claim",
    ),
    Mutant(
        VERDICT,
        "for e in (PROBE, -PROBE):",
        "for e in (PROBE, PROBE):",
        IN_CLAIMS + "scale_must_be_seen_in_both_directions",
    ),
    Mutant(
        VERDICT,
        "if e is None or not e > bar]",
        "if e is not None and not e > bar]",
        IN_CLAIMS + "control_without_a_number_is_not_rejected",
    ),
    Mutant(
        MEASURE,
        "if not torch.isfinite(got).all():",
        "if torch.isinf(got).all():",
        IN_CLAIMS + "formula_without_a_number_fails",
    ),
    Mutant(
        MEASURE,
        "return float((got - want).abs().max() / top)",
        "return float((got - want).abs().min() / top)",
        IN_CLAIMS + "unknown_wrong_answer_is_told_the_input",
    ),
    Mutant(
        VERDICT,
        'found.min() if claim.kind == "trained"',
        'found.max() if claim.kind == "trained"',
        IN_CLAIMS + "trained_control_must_be_wrong_for_every_seed",
    ),
    Mutant(
        VERDICT,
        "self.claim.tol * self.claim.margin + 3 * self.spread",
        "self.claim.tol * self.claim.margin",
        IN_CLAIMS + "trained_control_must_exceed_three_spreads",
    ),
    Mutant(
        VERDICT,
        "        float(found.max()),\n",
        "        float(found.min()),\n",
        IN_CLAIMS + "trained_formula_must_hold_for_every_seed",
    ),
    Mutant(
        MEASURE,
        "found += zs.reshape(-1).abs().tolist()",
        "found += zs.reshape(-1).tolist()",
        IN_CLAIMS + "statistical_formula_may_miss_by_six",
    ),
    Mutant(
        MEASURE,
        "return worst if worst > 1e-30 else 0.0",
        "return worst if worst > 1e-3 else 0.0",
        IN_CLAIMS + "symbolic_difference_that_is_small_is_not_zero",
    ),
    Mutant(
        VERDICT,
        "self.looks * math.erfc(c.tol / math.sqrt(2))",
        "self.looks * math.erfc(c.tol)",
        IN_CLAIMS + "false_alarm_is_the_normal_tail_over_all_looks",
    ),
    Mutant(
        VERDICT,
        '({"diffkit": self.record()} if self.asserted else {})',
        '({"diffkit": self.record()} if self.holds else {})',
        IN_CLAIMS + "metadata_travels_only_when_checked",
    ),
    Mutant(
        EXERCISE,
        "return got.shape == slip.shape and float(apart) <= claim.tol",
        "return got.shape == slip.shape",
        IN_CLAIMS + "each_slip_is_known_by_its_name",
    ),
    Mutant(
        EXERCISE,
        "if value is None or value is Ellipsis:",
        "if value is None:",
        IN_CLAIMS + "blank_answer_is_not_solved",
    ),
    *(Mutant(*row) for row in ROWS),
]


def passes(tests: list[str], root: Path) -> bool:
    """Whether tests pass on the package in ``root``; to be called once a process."""
    os.chdir(root)
    sys.path.insert(0, str(root))
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests])
    if code not in (0, 1):  # no such test, a broken conftest, ...
        raise RuntimeError(f"{tests}: pytest ended with {code!r}")
    return code == 0


def copy(to: Path) -> Path:
    """What the tests of the package need, copied."""
    skip = shutil.ignore_patterns("__pycache__", "_build", "*.ipynb")
    for name in ("diffkit", "tests", "book", "chapters"):
        shutil.copytree(ROOT / name, to / name, ignore=skip)
    for path in ROOT.glob("*.toml"):
        shutil.copy(path, to)
    return to


def killed(mutant: Mutant) -> str:
    """Empty if the mutant's test kills it, else what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        root = copy(Path(folder))
        file = root / "diffkit" / mutant.module
        text = file.read_text()
        if text.count(mutant.right) != 1:
            return f"stands {text.count(mutant.right)} times in the file, not once"
        file.write_text(text.replace(mutant.right, mutant.wrong))
        return "survives" if passes([mutant.test], root) else ""


def main(words: list[str]) -> int:
    """Plant them all and report."""
    chosen = [m for m in MUTANTS if all(w in " ".join(m) for w in words)]
    # each task gets a process of its own, forked with the heavy imports done
    with get_context("fork").Pool(AT_ONCE, maxtasksperchild=1) as pool:
        tests = sorted({m.test for m in chosen})
        if not chosen or not pool.apply(passes, (tests, ROOT)):
            print("no such mutant, or its tests fail without it")
            return 1
        verdicts = pool.map(killed, chosen, chunksize=1)
    for mutant, wrong in zip(chosen, verdicts, strict=True):
        if wrong:
            print(f"{mutant.module}: {mutant.wrong.strip()}: {wrong}; {mutant.test}")
    dead = sum(not wrong for wrong in verdicts)
    print(f"{dead} of {len(chosen)} mutants killed")
    return int(dead < len(chosen))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
