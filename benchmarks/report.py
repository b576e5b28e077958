"""What the benchmarks share: rows with bounds, reach, and how parts are printed."""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

ROOT = Path(__file__).resolve().parents[1]


class Row(NamedTuple):
    """What was measured, the number, its unit, and where it must lie."""

    what: str
    number: float
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf

    @property
    def holds(self) -> bool:
        """Whether the number lies within its bounds; NaN does not."""
        return self.low <= self.number <= self.high

    def __str__(self) -> str:
        bounds = [f">= {self.low:g}"] * (self.low > -math.inf)
        bounds += [f"<= {self.high:g}"] * (self.high < math.inf)
        said = f"{', '.join(bounds)}" + ("" if self.holds else "   MISSED")
        return f"{self.what:58} {self.number:9.3g} {self.unit:3} {said}"


def reach(modules: Sequence[str]) -> list[Row]:
    """The shares of lines and branches of the modules that their tests reach."""
    nouns = {p.stem for m in modules for p in (ROOT / "diffkit" / m).glob("*.py")}
    tests = [ROOT / "tests" / f"test_{noun}.py" for noun in {*modules, *nouns}]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["-n", "2", "--dist", "loadfile"]
        command += ["--cov", f"--cov-report=json:{report}"]
        command += sorted(str(p) for p in tests if p.exists())
        # without the decorators of annotations: they look like jumps not taken
        env = os.environ | {"COVERAGE_FILE": f"{folder}/coverage", "UNCHECKED": "1"}
        done = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"the tests fail, so their reach means nothing:\n{done.stdout}")
        files = json.loads(report.read_text())["files"]
    rows = []
    for module in modules:
        own = [
            f["summary"]
            for name, f in files.items()
            if Path(name).with_suffix("").parts[1] == module
        ]
        for what, of in (("lines", "statements"), ("branches", "branches")):
            reached = sum(s[f"covered_{what}"] for s in own)
            there = sum(s[f"num_{of}"] for s in own)
            if there:
                share = 100 * reached / there
                rows.append(Row(f"{module}: {what} reached", share, "%", low=97))
    return rows


def show(about: str, parts: dict[str, Callable], by_name: Sequence[str] = ()) -> None:
    """Print the parts that were asked for, and exit with 1 if a number misses.

    about: the first line of the help; by_name: parts that run only when named.
    """
    parser = argparse.ArgumentParser(description=about.split("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(parts))
    chosen = parser.parse_args().parts or [p for p in parts if p not in by_name]
    if unknown := set(chosen) - set(parts):
        parser.error(f"there is no part {', '.join(unknown)}; give {', '.join(parts)}")
    torch.set_num_threads(1)
    missed = 0
    for part in chosen:
        print(f"\n{part}")
        for row in parts[part]():
            print(row, flush=True)
            missed += not row.holds
    sys.exit(missed > 0)
