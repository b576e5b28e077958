"""Mutants: wrong formulas planted in diffkit, each of which a test must kill.

    python tests/mutants.py [word ...]     only mutants whose line has the words

Each row is planted where Python reads the source, in a process of its own; the file
is left alone. Its test must pass without the mutant, and with it be run and fail, or
still run after a minute. Exits with 1 if one survives.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import import_module
from importlib.machinery import SourceFileLoader
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pytest
from mutant_rows import ROWS

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PACKAGE = ROOT / "diffkit"
AT_ONCE = 2
LIMIT = 60.0  # seconds
HEAVY = (  # what the tests import, done once, before the first fork
    "beartype hypothesis jaxtyping matplotlib.pyplot scipy.optimize scipy.stats "
    "sklearn.datasets sympy torch"
)
# What `examples` imports of diffkit. For mutants of anything else it is imported once.
EARLY = ("shapes", "laws", "paths")
# Two plugins that collect all garbage at the end, in vain: the process ends anyway.
SLOW = ("cacheprovider", "unraisableexception", "threadexception")
FORK = get_context("fork")
PASSED, FAILED, LATE = 0, 1, -9  # as pytest and kill number them
UNSEEN, BROKEN = 101, 102


class Mutant(NamedTuple):
    """A wrong text for a right one, and the test that must see it."""

    module: str
    right: str
    wrong: str
    test: str


MUTANTS = [Mutant(*row) for row in ROWS]


class Run:
    """A plugin of pytest that knows whether a test was begun."""

    begun = False

    def pytest_runtest_call(self) -> None:
        self.begun = True


def plant(file: Path, text: str) -> Callable[[], bool]:
    """Have this process import ``text`` for ``file``; the answer: was it imported?"""
    read, stats, uses = SourceFileLoader.get_data, SourceFileLoader.path_stats, []

    def get_data(self: SourceFileLoader, path: str) -> bytes:
        if Path(path) != file:
            return read(self, path)
        uses.append(path)
        return text.encode()

    def path_stats(self: SourceFileLoader, path: str) -> dict:
        if Path(path) == file:
            raise OSError("no time of change, so no bytecode is kept or used")
        return stats(self, path)

    SourceFileLoader.get_data, SourceFileLoader.path_stats = get_data, path_stats
    return lambda: bool(uses)


def examine(tests: list[str], planted: tuple[Path, str] | None) -> None:
    """Run tests, stop at the first failure and end this process with the result."""
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # those need two seconds
    seen, run = plant(*planted) if planted else lambda: True, Run()
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        command = ["-x", "-q", *(f"-pno:{name}" for name in SLOW), *tests]
        code = pytest.main(command, plugins=[run])
    sys.exit(int(code) if run.begun and seen() else BROKEN if seen() else UNSEEN)


def ending(
    tests: list[str],
    planted: tuple[Path, str] | None = None,
    limit: float | None = LIMIT,
) -> int:
    """How tests end, in a process of their own: PASSED, FAILED, LATE, ...

    planted: a file of diffkit and the text to import for it. UNSEEN: it was not
    imported; BROKEN: it was, and no test began.
    """
    process = FORK.Process(target=examine, args=(tests, planted))
    process.start()
    process.join(limit)
    process.kill()  # nothing, if it has ended
    process.join()
    return process.exitcode


def killed(mutant: Mutant) -> str:
    """Empty if the mutant's test kills it, else what is wrong."""
    file = PACKAGE / mutant.module
    if not file.exists():
        return "has no file to be planted in"
    right = file.read_text()
    if right.count(mutant.right) != 1:
        return f"stands {right.count(mutant.right)} times in the file, not once"
    wrong = right.replace(mutant.right, mutant.wrong)
    try:
        compile(wrong, file, "exec")
    except SyntaxError as error:
        return f"is no Python: {error.msg}"
    end = ending([mutant.test], (file, wrong))
    if end == LATE:  # as a rule a search for a smaller example: choose another test
        print(f"{mutant.module}: {mutant.wrong.strip()}: killed by the clock alone")
    says = {
        FAILED: "",
        LATE: "",
        PASSED: "survives",
        UNSEEN: "its test does not import that file",
        BROKEN: "no test was begun",
    }
    return says.get(end, f"pytest ended with {end}")


def workers(*more: str) -> ProcessPoolExecutor:
    """Processes that may fork others, with the heavy imports done, and some more."""
    os.environ["UNCHECKED"] = "1"  # a formula must fail by its value, not its shape
    os.environ["OMP_NUM_THREADS"] = "1"  # threads that work do not survive a fork
    for name in [*HEAVY.split(), *more]:
        import_module(name)
    gc.freeze()  # what is there need not be searched again by every child
    return ProcessPoolExecutor(AT_ONCE, FORK)


def main(words: list[str]) -> int:
    """Plant them all and report."""
    chosen = [m for m in MUTANTS if all(w in " ".join(m) for w in words)]
    early = [m for m in chosen if m.module.split("/")[0].removesuffix(".py") in EARLY]
    late = [m for m in chosen if m not in early]
    with workers() as pool:
        bad = failing(pool, chosen)
        if bad or not chosen:
            print("without a mutant, tests fail in:", *bad or ["(no such mutant)"])
            return 1
        dead = examined(pool, early)
    with workers("examples") as pool:
        dead += examined(pool, late)
    print(f"{dead} of {len(chosen)} mutants killed")
    return int(dead < len(chosen))


def failing(pool: ProcessPoolExecutor, chosen: list[Mutant]) -> list[str]:
    """The files of tests that fail without a mutant."""
    files: dict[str, set[str]] = {}
    for mutant in chosen:
        files.setdefault(mutant.test.split("::")[0], set()).add(mutant.test)
    alone = partial(ending, limit=None)
    ends = pool.map(alone, [sorted(tests) for tests in files.values()])
    return [file for file, end in zip(files, ends, strict=True) if end != PASSED]


def examined(pool: ProcessPoolExecutor, chosen: list[Mutant]) -> int:
    """How many are killed; the others are printed."""
    dead = 0
    for mutant, wrong in zip(chosen, pool.map(killed, chosen), strict=True):
        dead += not wrong
        if wrong:
            lost = f"{mutant.module}: {mutant.wrong.strip()}: {wrong}"
            print(f"{lost}; {mutant.test}", flush=True)
    return dead


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
