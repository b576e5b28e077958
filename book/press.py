"""The press: chapters are written as .py, executed here, and committed.

    python book/press.py run [part/slug ...]   execute what is out of date
    python book/press.py prose                 take over new prose, no kernel,
                                               and say what still is out of date
    python book/press.py stale [--check]       what is out of date, and why
    python book/press.py address               write the repository's address

A chapter is four files: ``slug.py``, the only one that people edit;
``slug.ipynb``, executed; ``slug.claims.json``, what its claims measured;
``exercises/slug.ipynb``, the reader's copy. Files are compared by content, never
by time, and executing twice on one machine gives the same bytes twice.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT) if __name__ == "__main__" else sys.path[0]

import jupytext  # noqa: E402
import nbformat  # noqa: E402
from nbformat import NotebookNode  # noqa: E402

from book import address, exercises, modules  # noqa: E402

AT_ONCE = 2  # kernels; each has one thread
SHORT = 0.5  # seconds that are noise
KEPT = ("tags", "mystnb")  # the metadata of a cell that a source may give
FIRST = ("id", "says", "kind", "papers")  # in a claim's record, then its chapter
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
PNG = re.compile(r"(?<=data:image/png;base64,)[A-Za-z0-9+/=]+")


@dataclass(frozen=True)
class Chapter:
    """The files of the chapter ``name``, which reads part/slug."""

    name: str
    root: Path = ROOT

    @property
    def slug(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def source(self) -> Path:
        return self.root / "chapters" / f"{self.name}.py"

    @property
    def notebook(self) -> Path:
        return self.source.with_suffix(".ipynb")

    @property
    def claims(self) -> Path:
        return self.source.with_suffix(".claims.json")

    @property
    def exercises(self) -> Path:
        return self.source.parent / "exercises" / f"{self.slug}.ipynb"

    def read(self) -> NotebookNode:
        """The source as a notebook without outputs, ids and metadata fixed."""
        nb = jupytext.read(self.source)
        nb.metadata = NotebookNode(METADATA)
        for i, cell in enumerate(nb.cells):
            cell["id"] = f"{self.slug}-{i:03d}"
            cell.metadata = NotebookNode(given(cell))
        return nb

    def stored(self) -> NotebookNode | None:
        """The executed notebook, None if there is none."""
        return nbformat.read(self.notebook, 4) if self.notebook.exists() else None

    def record(self) -> dict:
        """The claims file, empty if there is none."""
        return json.loads(self.claims.read_text()) if self.claims.exists() else {}


def chapters(root: Path = ROOT) -> list[Chapter]:
    """All chapters, by name."""
    sources = sorted((root / "chapters").glob("*/*.py"))
    return [Chapter(f"{p.parent.name}/{p.stem}", root) for p in sources]


# ------------------------------------------------------------- out of date


def view(nb: NotebookNode) -> list:
    """What of a notebook stands in its source: types, texts, tags, figures."""
    return [(c.cell_type, c.source.strip(), given(c)) for c in nb.cells]


def given(cell: NotebookNode) -> dict:
    """The metadata of a cell that its source gives."""
    return {key: cell.metadata[key] for key in KEPT if key in cell.metadata}


def code(nb: NotebookNode) -> list:
    """What of a notebook decides its outputs: its code cells and their tags.

    The text of the Colab cell does not: a release need not re-execute the book.
    """
    cells = [c for c in nb.cells if c.cell_type == "code"]
    seen = [(c.source.strip(), exercises.tags(c)) for c in cells]
    if seen and "remove-cell" in seen[0][1]:
        seen[0] = ("", seen[0][1])
    return seen


def ran(nb: NotebookNode) -> bool:
    """Whether the code cells were executed once each, in order."""
    counts = [c.execution_count for c in nb.cells if c.cell_type == "code"]
    return counts == list(range(1, len(counts) + 1))


def used(nb: NotebookNode, root: Path = ROOT) -> dict[str, str]:
    """`modules` of a notebook's code."""
    code = [c.source for c in nb.cells if c.cell_type == "code"]
    return modules.hashes("\n\n".join(code), root)


def reasons(chapter: Chapter) -> list[str]:
    """Why a chapter is out of date; empty if it is not."""
    old, record = chapter.stored(), chapter.record()
    if old is None or not record or not ran(old):
        return ["never run"]
    new = chapter.read()
    if code(new) != code(old):
        return ["source changed"]
    before, now = record["modules"], used(new, chapter.root)
    names = sorted(n for n in {*before, *now} if before.get(n) != now.get(n))
    found = [f"diffkit.{n} changed" for n in names]
    if view(new) != view(old):
        found.insert(0, "prose changed")
    if _text(exercises.student(new, chapter.name)) != _read(chapter.exercises):
        found.append("exercises old")
    return found


WITHOUT_KERNEL = {"prose changed", "exercises old"}


# ---------------------------------------------------------------- executing


class Stopped(RuntimeError):
    """A chapter that does not run: which, where and why, in a few lines."""


async def execute(chapter: Chapter) -> tuple[NotebookNode, float]:
    """The source's notebook with its outputs, and the seconds of processor time.

    Not of the clock: that would count what else the machine does meanwhile.
    """
    import psutil
    from nbclient import NotebookClient
    from nbclient.exceptions import (
        CellExecutionError,
        CellTimeoutError,
        DeadKernelError,
    )

    nb, spent = chapter.read(), [0.0]

    def count(**_: object) -> None:  # after each cell, while there is a kernel
        times = psutil.Process(client.km.provisioner.pid).cpu_times()
        spent[0] = times.user + times.system

    client = NotebookClient(
        nb,
        timeout=300,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        extra_arguments=["--log-level=ERROR"],
        on_cell_executed=count,
        resources={"metadata": {"path": str(chapter.source.parent)}},
    )
    try:
        await client.async_execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as broken:
        begun = [i for i, c in enumerate(nb.cells) if c.get("execution_count")]
        at = begun[-1] if begun else 0
        first = nb.cells[at].source.strip().split("\n")[0]
        name = getattr(broken, "ename", type(broken).__name__)
        why = getattr(broken, "evalue", str(broken)).strip().split("\n")[0]
        raise Stopped(f"{chapter.name}: cell {at} ({first})\n  {name}: {why}") from None
    nb.metadata = NotebookNode(METADATA)
    return nb, spent[0]


def harvest(nb: NotebookNode, chapter: Chapter) -> list[dict]:
    """The claims' records, taken out of the metadata of the outputs."""
    found = []
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            if "metadata" in output:
                record = output.metadata.get("diffkit")
                output.metadata = NotebookNode()
                if record:
                    head = {key: record[key] for key in FIRST}
                    found.append(head | {"chapter": chapter.name} | record)
    ids = [record["id"] for record in found]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise Stopped(f"{chapter.name}: checked more than once: {', '.join(twice)}")
    return found


def steady(old: float | None, new: float) -> float:
    """The old number of seconds, unless the new one differs by a factor of two."""
    if old is None:
        return new
    a, b = max(old, SHORT), max(new, SHORT)
    return old if a <= 2 * b and b <= 2 * a else new


def same_picture(a: str, b: str) -> bool:
    """Whether two PNGs in base64 differ by less than 2/255 in every pixel."""
    if a == b:
        return True
    import numpy as np
    from PIL import Image

    first, second = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(s))).convert("RGBA"), int)
        for s in (a, b)
    )
    return first.shape == second.shape and bool(abs(first - second).max() < 2)


def keep_pictures(new: NotebookNode, old: NotebookNode) -> None:
    """Where a new picture looks like the stored one, keep the stored bytes."""
    before = {c.source.strip(): c.outputs for c in old.cells if c.cell_type == "code"}
    for cell in new.cells:
        stored = before.get(cell.source.strip(), [])
        for output, kept in zip(cell.get("outputs", []), stored, strict=False):
            data, kept = output.get("data", {}), kept.get("data", {})
            png = [d["image/png"] for d in (data, kept) if "image/png" in d]
            if len(png) == 2 and same_picture(*png):
                data["image/png"] = png[1]
            html, frames = data.get("text/html", ""), kept.get("text/html", "")
            if html and same_frames(html, frames):
                data["text/html"] = frames


def same_frames(a: str, b: str) -> bool:
    """Whether two pieces of HTML are alike but for pictures that look alike."""
    pairs = zip(PNG.findall(a), PNG.findall(b), strict=False)
    return PNG.sub("", a) == PNG.sub("", b) and all(same_picture(*p) for p in pairs)


async def run(chapter: Chapter) -> None:
    """Execute a chapter and write its three generated files."""
    exercises.student(chapter.read(), chapter.name)  # refuses before a kernel starts
    nb, seconds = await execute(chapter)
    records, before = harvest(nb, chapter), chapter.record()
    known = {r["id"]: r["seconds"] for r in before.get("claims", [])}
    for record in records:
        record["seconds"] = steady(known.get(record["id"]), record["seconds"])
    old = chapter.stored()
    if old is not None:
        keep_pictures(nb, old)
    full = {
        "claims": records,
        "modules": used(nb, chapter.root),
        "seconds": steady(before.get("seconds"), round(seconds, 1)),
    }
    _write(chapter.notebook, _text(nb))
    _write(chapter.claims, json.dumps(full, indent=1, ensure_ascii=False) + "\n")
    write_exercises(chapter)


def prose(chapter: Chapter) -> None:
    """Write a chapter whose code has not changed, with the outputs it has."""
    new, old = chapter.read(), chapter.stored()
    assert old is not None and code(new) == code(old)
    outputs = [c for c in old.cells if c.cell_type == "code"]
    cells = [c for c in new.cells if c.cell_type == "code"]
    for cell, stored in zip(cells, outputs, strict=True):
        cell.outputs, cell.execution_count = stored.outputs, stored.execution_count
    _write(chapter.notebook, _text(new))
    write_exercises(chapter)


def write_exercises(chapter: Chapter) -> None:
    """Generate the reader's notebook, or remove one that has lost its section."""
    text = _text(exercises.student(chapter.read(), chapter.name))
    if text:
        chapter.exercises.parent.mkdir(exist_ok=True)
        _write(chapter.exercises, text)
    else:
        chapter.exercises.unlink(missing_ok=True)


def _text(nb: NotebookNode | None) -> str:
    return nbformat.writes(nb, version=4).rstrip("\n") + "\n" if nb else ""


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _write(path: Path, text: str) -> None:
    if _read(path) != text:  # an untouched file is not built again
        path.write_text(text)


# ------------------------------------------------------------------- verbs


async def _run_all(todo: list[Chapter]) -> bool:
    room, fine = asyncio.Semaphore(AT_ONCE), True

    async def one(chapter: Chapter) -> None:
        nonlocal fine
        async with room:
            try:
                await run(chapter)
                print(f"{chapter.name}: executed")
            except (Stopped, ValueError) as why:
                print(why, file=sys.stderr)
                fine = False

    await asyncio.gather(*(one(chapter) for chapter in todo))
    return fine


def run_verb(names: list[str], root: Path = ROOT) -> int:
    """Execute the named chapters, or all those that are out of date."""
    known = {chapter.name: chapter for chapter in chapters(root)}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no chapter {', '.join(unknown)}; there are {', '.join(known)}")
        return 1
    if not names:
        take_over(root)
    todo = [known[n] for n in names] or [c for c in known.values() if reasons(c)]
    for name in ("OMP", "MKL", "OPENBLAS"):
        os.environ[f"{name}_NUM_THREADS"] = "1"
    return 0 if asyncio.run(_run_all(todo)) else 1


def take_over(root: Path) -> None:
    """Write the prose and the exercises that need no kernel."""
    for chapter in chapters(root):
        if WITHOUT_KERNEL.intersection(reasons(chapter)):
            prose(chapter)
            print(f"{chapter.name}: prose taken over")


def prose_verb(root: Path = ROOT) -> int:
    """Take over changes that need no kernel; print what still is out of date."""
    take_over(root)
    stale_verb(root)
    return 0


def stale_verb(root: Path = ROOT) -> int:
    """Print the chapters that are out of date; how many there are."""
    late = [(c.name, found) for c in chapters(root) if (found := reasons(c))]
    for name, found in late:
        print(f"{name}: out of date, {', '.join(found)}; make run")
    return len(late)


def address_verb(root: Path = ROOT) -> int:
    """Write the repository's address wherever it is needed."""
    for path, text in address.written(root).items():
        if _read(path) != text:
            path.write_text(text)
            print(path.relative_to(root))
    take_over(root)
    return 0


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="press", description="see book/press.py")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("run").add_argument("chapters", nargs="*")
    verbs.add_parser("prose")
    verbs.add_parser("stale").add_argument("--check", action="store_true")
    verbs.add_parser("address")
    args = parser.parse_args(argv)
    try:
        if args.verb == "run":
            return run_verb(args.chapters)
        if args.verb == "stale":
            return min(stale_verb(), int(args.check))
        return prose_verb() if args.verb == "prose" else address_verb()
    except (ValueError, SyntaxError) as why:
        print(why, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
