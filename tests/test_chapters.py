"""Every chapter: its four files agree, and it was executed as it stands."""

import ast
import json
import re
from functools import cache

import pytest
import yaml

from book import press

ALL = press.chapters()
CHAPTERS = [c for c in ALL if c.notebook.exists() and c.claims.exists()]
LARGEST = 1_500_000  # bytes of a notebook
LONGEST, AVERAGE = 40.0, 10.0  # seconds on one core
LINES, COLUMNS = 20, 78  # of a code cell
PATH = re.compile(r"(?<![\w.])(/(home|root|tmp|work|usr|opt|Users)/|[A-Z]:\\)\w")
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}")
DIGITS = re.compile(r"\d\.\d{4,}|\d\.\d+e[-+]?\d")  # more than a reader needs
HOLDS = re.compile(r"^(\S+): HOLDS$")

every = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.name)


@cache
def notebook(chapter):
    """The stored notebook."""
    return chapter.stored()


def code_cells(chapter):
    """The code cells of the stored notebook."""
    return [c for c in notebook(chapter).cells if c.cell_type == "code"]


def calls(cell, name):
    """How often a cell calls a function of this name, also as claims.name."""
    functions = [n.func for n in ast.walk(ast.parse(cell.source)) if _is_call(n)]
    return sum(name == getattr(f, "id", getattr(f, "attr", "")) for f in functions)


def _is_call(node):
    return isinstance(node, ast.Call)


def shown(cell, mime):
    """What a cell stores of a MIME type."""
    return [o["data"][mime] for o in cell.outputs if mime in o.get("data", {})]


def texts(cell):
    """Everything that a cell stores as text, pictures and markup taken out."""
    for output in cell.outputs:
        yield output.get("text", "")
        for mime, data in output.get("data", {}).items():
            if not mime.startswith("image/"):
                yield re.sub(r"<[^>]*>", "", data) if "html" in mime else data


def verdicts(cell):
    """The ids of the claims that a cell shows to hold."""
    return [m[1] for t in shown(cell, "text/plain") if (m := HOLDS.match(t))]


def in_toc(node):
    """All files of a table of contents."""
    if isinstance(node, dict):
        return [node.get("file", "")] + in_toc(list(node.values()))
    return [f for n in node for f in in_toc(n)] if isinstance(node, list) else []


def test_every_chapter_was_run():
    late = [c.name for c in ALL if c not in CHAPTERS]
    assert ALL and not late, f"never run: {', '.join(late)} (make run)"


def test_every_chapter_stands_in_the_contents():
    files = in_toc(yaml.safe_load((press.ROOT / "_toc.yml").read_text()))
    listed = sorted(f for f in files if f.startswith("chapters/"))
    assert listed == sorted(f"chapters/{c.name}" for c in ALL)


@every
def test_notebook_is_its_source(chapter):
    assert press.view(chapter.read()) == press.view(notebook(chapter))


@every
def test_notebook_is_as_the_press_writes_it(chapter):
    stored = notebook(chapter)
    assert stored.metadata == press.METADATA
    assert [c["id"] for c in stored.cells] == [c["id"] for c in chapter.read().cells]
    for cell in code_cells(chapter):
        assert not any(o.get("metadata") for o in cell.outputs), cell["id"]


@every
def test_cells_ran_once_in_order(chapter):
    counts = [c.execution_count for c in code_cells(chapter)]
    assert counts == list(range(1, len(counts) + 1))


@every
def test_no_error_and_no_warning_is_stored(chapter):
    for cell in code_cells(chapter):
        for output in cell.outputs:
            assert output.output_type != "error", cell["id"]
            assert output.get("name") != "stderr", f"{cell['id']}: {output.text}"


@every
def test_it_stands_on_the_diffkit_of_today(chapter):
    before = chapter.record()["modules"]
    now = press.used(notebook(chapter))
    old = sorted(n for n in {*before, *now} if before.get(n) != now.get(n))
    assert not old, f"{chapter.name} is out of date with diffkit.{', '.join(old)}"


@every
def test_each_check_stores_that_it_holds(chapter):
    for cell in code_cells(chapter):
        if calls(cell, "check"):
            assert verdicts(cell), f"{cell['id']} checks, and shows no verdict"


@every
def test_claims_file_agrees_with_the_notebook(chapter):
    cells = code_cells(chapter)
    claims = chapter.record()["claims"]
    assert [c["id"] for c in claims] == [i for cell in cells for i in verdicts(cell)]
    pages = [t for cell in cells for t in shown(cell, "text/markdown")]
    for claim in claims:
        mine = [p for p in pages if f"`{claim['id']}`" in p and "**HOLDS**" in p]
        assert mine and claim["says"] in mine[0], claim["id"]
        assert claim["chapter"] == chapter.name


@every
def test_each_claim_has_a_control_and_a_paper(chapter):
    atlas = yaml.safe_load((press.ROOT / "book" / "atlas.yml").read_text())
    papers = {row["paper"] for row in atlas}
    for claim in chapter.record()["claims"]:
        assert claim["controls"], f"{claim['id']} has no control"
        assert claim["papers"], f"{claim['id']} has no paper"
        assert set(claim["papers"]) <= papers, f"{claim['id']}: no such paper"


def test_claim_ids_are_unique():
    ids = [claim["id"] for c in CHAPTERS for claim in c.record()["claims"]]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    assert not twice, f"claims of the same id: {', '.join(twice)}"


@every
def test_figures_have_caption_name_and_text(chapter):
    for cell in code_cells(chapter):
        given = cell.metadata.get("mystnb", {})
        figure, drawn = given.get("figure", {}), shown(cell, "image/png")
        if figure or drawn:
            assert drawn, f"{cell['id']} is a figure and stores no picture"
            assert figure.get("caption"), f"{cell['id']}: a figure without caption"
            assert figure.get("name"), f"{cell['id']}: a figure without name"
            assert given.get("image", {}).get("alt"), f"{cell['id']}: no alt text"
        for html in shown(cell, "text/html"):
            for image in re.findall(r"<img\b[^>]*>", html):
                assert re.search(r'\balt="[^"]+"', image), f"{cell['id']}: no alt text"


def test_figure_names_are_unique():
    cells = [cell for c in CHAPTERS for cell in code_cells(c)]
    names = [c.metadata.get("mystnb", {}).get("figure", {}).get("name") for c in cells]
    named = [n for n in names if n]
    assert len(named) == len(set(named)), sorted(named)


@every
def test_outputs_are_the_same_everywhere(chapter):
    for cell in code_cells(chapter):
        tags = cell.metadata.get("tags", [])
        for text in texts(cell):
            for mark in (PATH, ADDRESS):
                assert not mark.search(text), f"{cell['id']}: {mark.search(text)[0]}"
            if "nbval-ignore-output" not in tags:
                digits = DIGITS.search(text)
                assert not digits, f"{cell['id']} prints measured {digits[0]}"


@every
def test_code_fits_the_page(chapter):
    for cell in code_cells(chapter):
        if "remove-cell" not in cell.metadata.get("tags", []):
            lines = cell.source.split("\n")
            assert len(lines) <= LINES, f"{cell['id']} has {len(lines)} lines"
            widest = max(lines, key=len)
            assert len(widest) <= COLUMNS, f"{cell['id']}: too wide: {widest}"


@every
def test_first_code_cell_is_for_colab(chapter):
    assert "remove-cell" in code_cells(chapter)[0].metadata.get("tags", [])


@every
def test_size_and_time(chapter):
    assert chapter.notebook.stat().st_size <= LARGEST
    assert 0 < chapter.record()["seconds"] <= LONGEST


def test_average_time():
    seconds = [c.record()["seconds"] for c in CHAPTERS]
    assert sum(seconds) / len(seconds) <= AVERAGE


def test_no_file_is_left_of_a_chapter_that_is_gone():
    made = {p for c in ALL for p in (c.notebook, c.claims, c.exercises)}
    folder = press.ROOT / "chapters"
    found = {p for p in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts}
    assert found | set(folder.rglob("*.claims.json")) <= made


@every
def test_claims_file_is_as_the_press_writes_it(chapter):
    text = json.dumps(chapter.record(), indent=1, ensure_ascii=False) + "\n"
    assert chapter.claims.read_text() == text
