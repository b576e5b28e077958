"""Which wrong formulas, drawn at random, do the tests of diffkit miss?

    pip install -e ".[mutation]"
    python benchmarks/mutation.py [--mutants 200] [--seed 0] [--only laws]

The operators are mutmut's: another sign or operator, a number plus one, an argument
dropped or None, a comparison turned, a name assigned None, ... They are applied to
every node of these modules, or of --only some, apart from what is no formula: imports,
annotations, decorators, docstrings, what is raised (its condition is not spared), and
`__init__.py`, a list of names. Mutants that do not compile or do not change the syntax
tree are not counted. Out of all the rest the asked number is drawn, each as likely.

Each mutant meets the tests of its own module, then those of the ones that import it,
in a process of its own (tests/mutants.py). It is killed if a test fails or nothing can
be imported, or after LATE times the seconds that all tests need without it. Survivors
are printed with their line, to be read one by one; the table at the end says how many
there are.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import libcst
from mutmut.mutation.mutators import mutation_operators

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import mutants

MODULES = (
    *("laws", "paths", "worlds", "fields"),
    *("tables", "solvers", "chains", "learning"),
)
SEEN_BY = {
    "laws": "laws worlds",
    "paths": "paths worlds fields",
    "worlds": "worlds",
    "fields": "fields",
    "tables": "tables solvers chains",
    "solvers": "solvers",
    "chains": "chains",
    "learning": "recipes",
}
SPARED = (
    libcst.Annotation,
    libcst.Decorator,
    libcst.Import,
    libcst.ImportFrom,
    libcst.Raise,
)
LATE = 2


class Mutant(NamedTuple):
    """A file, its text before and after one change, and the kind of what changed."""

    file: Path
    before: str
    text: str
    kind: str


class Sites(libcst.CSTVisitor):
    """All changes that the operators know, as pairs (node, node in its place)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[libcst.CSTNode, libcst.CSTNode]] = []

    def on_visit(self, node: libcst.CSTNode) -> bool:
        if isinstance(node, SPARED):
            return False
        for kind, operator in mutation_operators:
            if isinstance(node, kind):
                self.found += [(node, other) for other in operator(node)]
        return True


def files(modules: tuple[str, ...]) -> list[Path]:
    """The sources of the modules, files or folders."""
    found = [p for p in mutants.PACKAGE.rglob("*.py") if p.stem != "__init__"]
    return sorted(p for p in found if _noun(p) in modules)


def _noun(file: Path) -> str:
    return file.relative_to(mutants.PACKAGE).with_suffix("").parts[0]


def tests(file: Path) -> list[str]:
    """The test files that can see a mutant of this file, its own first.

    Those of its module, and of the modules that import it.
    """
    own = [file.stem, *(f.stem for f in files((_noun(file),)))]
    nouns = dict.fromkeys([*own, *SEEN_BY[_noun(file)].split()])
    folder = mutants.ROOT / "tests"
    found = [
        file
        for noun in nouns
        for form in (f"test_{noun}.py", f"test_{noun}_*.py")
        for file in sorted(folder.glob(form))
    ]
    return [str(file.relative_to(mutants.ROOT)) for file in found]


def _tree(text: str) -> str | None:
    try:
        return ast.dump(ast.parse(text))
    except (SyntaxError, ValueError):
        return None


def drawn(modules: tuple[str, ...], seed: int) -> Iterator[Mutant]:
    """All different mutants of the modules, in random order."""
    every, sources = [], files(modules)
    for file in sources:
        module, sites = libcst.parse_module(file.read_text()), Sites()
        module.visit(sites)
        every += [(file, module, *pair) for pair in sites.found]
    print(f"{len(every)} changes of {len(sources)} files")
    random.Random(seed).shuffle(every)
    seen = {None, *(_tree(file.read_text()) for file in sources)}
    for file, module, old, new in every:
        text = module.deep_replace(old, new).code
        if (tree := _tree(text)) not in seen:
            seen.add(tree)
            yield Mutant(file, module.code, text, type(old).__name__)


def difference(mutant: Mutant) -> str:
    """Its file and line, and the lines before and after."""
    texts = mutant.before.splitlines(), mutant.text.splitlines()
    lines = list(difflib.unified_diff(*texts, n=0, lineterm=""))
    line = lines[2].split()[1].lstrip("-").split(",")[0]
    place = mutant.file.relative_to(mutants.ROOT)
    return "\n".join([f"{place}:{line}", *("    " + s for s in lines[3:])])


def end(mutant: Mutant, limit: float) -> int:
    """How the tests of a mutant end."""
    return mutants.ending(tests(mutant.file), (mutant.file, mutant.text), limit)


def main() -> None:
    """Draw, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mutants", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=MODULES, default=MODULES)
    options = parser.parse_args()
    every = drawn(tuple(options.only), options.seed)
    chosen = [m for m, _ in zip(every, range(options.mutants), strict=False)]
    start, survive, count = time.monotonic(), Counter(), Counter()
    with mutants.workers() as pool:
        used = list(dict.fromkeys(t for m in chosen for t in tests(m.file)))
        if pool.submit(mutants.ending, used, None, None).result() != mutants.PASSED:
            sys.exit("the tests fail without a mutant")
        limit = LATE * (time.monotonic() - start)
        print(f"{', '.join(used)}: stopped after {limit:.0f} s")
        ends = pool.map(partial(end, limit=limit), chosen)
        for mutant, ended in zip(chosen, ends, strict=True):
            count[ended] += 1
            count[mutant.kind] += 1
            if ended in (mutants.PASSED, mutants.UNSEEN):
                survive[mutant.kind] += 1
                print(f"survives: {difference(mutant)}", flush=True)
    for kind in sorted({m.kind for m in chosen}):
        print(f"{kind:20} {count[kind]:4} drawn {survive[kind]:4} survive")
    print(f"{count[mutants.BROKEN]} cannot be imported, {count[mutants.LATE]} are late")
    alive, n = sum(survive.values()), len(chosen)
    print(f"{n - alive} of {n} killed ({100 - 100 * alive / n:.1f} %), {alive} survive")
    print(f"{(time.monotonic() - start) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
