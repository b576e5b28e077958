"""Faults that `make test` must catch: how each is planted, and who catches it.

`tests/test_faults.py` plants each in a copy of the tree, runs the stage of `make
test` that should see it (no more of it than is needed), and demands its sentence.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

NAME = "start/reading"  # the chapter that suffers
CHAPTER = f"chapters/{NAME}"
SHORT = f"CHAPTERS={CHAPTER}.ipynb"
PAGE = "book/run.md"


class Fault(NamedTuple):
    """What to plant, the make targets and variables that see it, and the words."""

    plant: Callable[[Path], None]
    make: tuple[str, ...]
    says: str


CHAPTERS = ("unit", "TESTS=tests/test_chapters.py", "JOBS=0")
EXERCISES = ("unit", "TESTS=tests/test_exercises.py -k blank", "JOBS=0")
OUTPUTS = ("outputs", SHORT, "JOBS=0")
SITE = ("site",)


def make(root: Path, venv: Path, *words: str) -> subprocess.CompletedProcess:
    """Run make in a copy of the tree, with the environment of this one."""
    ours = ("MAKE", "MFLAGS", "PYTEST", "COV", "VIRTUAL_ENV")
    env = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    command = ["make", "-C", str(root), f"VENV={venv}", "READY=", *words]
    return subprocess.run(
        command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


# ------------------------------------------------------------------ planting


def swap(path: Path, old: str, new: str) -> None:
    """Replace a text wherever it stands; it must stand somewhere."""
    text = path.read_text()
    if old not in text:
        raise LookupError(f"{path.name} no longer holds {old!r}: plant another fault")
    path.write_text(text.replace(old, new))


def notebook(root: Path, change: Callable[[list], None], name: str = CHAPTER) -> None:
    """Change the cells of a stored notebook."""
    path = root / f"{name}.ipynb"
    nb = json.loads(path.read_text())
    change(nb["cells"])
    path.write_text(json.dumps(nb, indent=1, ensure_ascii=False) + "\n")


def claims(root: Path, change: Callable[[dict], None]) -> None:
    """Change the claims file."""
    path = root / f"{CHAPTER}.claims.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def both(root: Path, old: str, new: str) -> None:
    """Change the source and its notebook alike."""
    swap(root / f"{CHAPTER}.py", old, new)
    inside = json.dumps(old, ensure_ascii=False)[1:-1]
    swap(root / f"{CHAPTER}.ipynb", inside, json.dumps(new, ensure_ascii=False)[1:-1])


def append(root: Path, text: str) -> None:
    """Add a paragraph to a page."""
    path = root / PAGE
    path.write_text(f"{path.read_text()}\n\n{text}\n")


# -------------------------------------------------------------------- faults


def changed_verdict(root: Path) -> None:
    def change(cells: list) -> None:
        shown = [o for c in cells for o in c.get("outputs", [])]
        verdict = next(o for o in shown if "text/markdown" in o.get("data", {}))
        text = "".join(verdict["data"]["text/markdown"])
        more = text.replace("*Rejected*: ", "*Rejected*: all else; ")
        assert more != text
        verdict["data"]["text/markdown"] = more

    notebook(root, change)


def cleared_notebook(root: Path) -> None:
    def change(cells: list) -> None:
        for cell in cells:
            if cell["cell_type"] == "code":
                cell |= {"outputs": [], "execution_count": None}

    notebook(root, change)


def edited_source(root: Path) -> None:
    swap(root / f"{CHAPTER}.py", "import torch\n", "import torch as torch\n")


def changed_formula(root: Path) -> None:
    swap(
        root / "diffkit/paths/families.py",
        "t**2, float(sigma_max)",
        "t**3, float(sigma_max)",
    )


def changed_formula_with_its_hash(root: Path) -> None:
    """As if the claims file were newer: only computing again can see it."""
    changed_formula(root)
    from book import modules  # of this tree: it only reads

    source = (root / f"{CHAPTER}.py").read_text()
    claims(root, lambda file: file.update(modules=modules.hashes(source, root)))


def no_control_in_the_source(root: Path) -> None:
    both(root, "controls=slips,", "controls={},")


def no_control_in_the_claims_file(root: Path) -> None:
    claims(root, lambda file: file["claims"][0].update(controls={}))


def unknown_citation(root: Path) -> None:
    append(root, "As is well known {cite}`nobody2099`.")


def bad_reference(root: Path) -> None:
    append(root, "See [there](#no-such-place).")


def missing_alt_text(root: Path) -> None:
    source = (root / f"{CHAPTER}.py").read_text()
    alt = re.search(r'"image": \{"alt": "[^"]*"\}', source)[0]
    swap(root / f"{CHAPTER}.py", alt, '"image": {}')

    def change(cells: list) -> None:
        for cell in cells:
            if "mystnb" in cell["metadata"]:
                cell["metadata"]["mystnb"]["image"] = {}

    notebook(root, change)


def external_resource(root: Path) -> None:
    append(root, '<script src="https://cdn.example.org/widget.js"></script>')


def duplicate_claim(root: Path) -> None:
    claims(root, lambda file: file["claims"].append(file["claims"][0]))


def blank_that_passes(root: Path) -> None:
    solution = re.search(
        r'tags=\["solution", "hide-cell"\]\n(.*?)\n\n\n?# %%',
        (root / f"{CHAPTER}.py").read_text(),
        re.DOTALL,
    )[1]

    def change(cells: list) -> None:
        blanks = [c for c in cells if "# your answer" in "".join(c["source"])]
        blanks[0]["source"] = solution

    folder, slug = CHAPTER.rsplit("/", 1)
    notebook(root, change, f"{folder}/exercises/{slug}")


FAULTS = {
    "a changed verdict": Fault(changed_verdict, OUTPUTS, "all else"),
    "a cleared notebook": Fault(cleared_notebook, CHAPTERS, "ran_once_in_order"),
    "an edited source": Fault(edited_source, CHAPTERS, "notebook_is_its_source"),
    "a changed formula": Fault(changed_formula, CHAPTERS, "with diffkit.paths"),
    "a changed formula, newly hashed": Fault(
        changed_formula_with_its_hash, OUTPUTS, "the formula is off by more than"
    ),
    "no control, in the source": Fault(
        no_control_in_the_source, OUTPUTS, "it has no control"
    ),
    "no control, in the claims file": Fault(
        no_control_in_the_claims_file, CHAPTERS, "has no control"
    ),
    "an unknown citation key": Fault(unknown_citation, SITE, "nobody2099"),
    "a bad reference": Fault(bad_reference, SITE, "no-such-place"),
    "a missing alt text": Fault(missing_alt_text, CHAPTERS, "no alt text"),
    "an external resource": Fault(external_resource, SITE, "cdn.example.org"),
    "a duplicate claim id": Fault(
        duplicate_claim, CHAPTERS, "claims of the same id: reading/"
    ),
    "a blank exercise that passes": Fault(
        blank_that_passes, EXERCISES, "the blank solves"
    ),
}
