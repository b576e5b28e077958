"""The press: what it executes, what it keeps, what it calls out of date."""

import base64
import io
import json
import shutil

import nbformat
import numpy as np
import pytest
from PIL import Image

from book import address, exercises, modules, press
from book.press import Chapter

HEAD = '# %% tags=["remove-cell"]\npass\n\n'
CLAIM = """\
# %%
from diffkit.claims import Claim, check

claim = Claim(
    id="toy/square", says="$x x$", papers=("048",), kind="exact", tol=1e-12,
    because="rounding", formula=lambda x: x * x, truth=lambda x: x**2, at=2.0,
    controls={"the cube": lambda x: x**3},
)
check(claim)
"""
FIGURE = """\
# %% mystnb={"figure": {"caption": "A line.", "name": "fig-toy"}}
import matplotlib.pyplot as plt

plt.figure(figsize=(2, 1))
plt.plot([0, 1])
plt.show()
"""
PROSE = '# %% [markdown]\nr"""\n# Toy\n\nSome prose.\n"""\n\n'
EXERCISE = '''\
# %% [markdown]
r"""
## Exercises
"""

# %% tags=["solution", "hide-cell"]
def double(x):
    """Twice x."""
    return x + x

'''


def chapter_in(root):
    """A book of one chapter, not yet executed, on a copy of diffkit."""
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(press.ROOT / "diffkit", root / "diffkit", ignore=skip)
    chapter = Chapter("part/toy", root)
    chapter.source.parent.mkdir(parents=True)
    chapter.source.write_text(PROSE + HEAD + CLAIM + "\n" + FIGURE + "\n" + EXERCISE)
    return chapter


@pytest.fixture
def toy(tmp_path):
    """A chapter that was never run."""
    return chapter_in(tmp_path)


@pytest.fixture(scope="session")
def executed(tmp_path_factory):
    """A chapter that was run, once for all tests: do not change it."""
    chapter = chapter_in(tmp_path_factory.mktemp("book"))
    assert press.run_verb(["part/toy"], chapter.root) == 0
    return chapter


@pytest.fixture
def done(executed, tmp_path):
    """A copy of a chapter that was run."""
    shutil.copytree(executed.root, tmp_path / "book")
    return Chapter("part/toy", tmp_path / "book")


@pytest.fixture
def no_kernel(monkeypatch):
    """Executing is an error."""

    async def refuse(chapter):
        raise AssertionError("a kernel was started")

    monkeypatch.setattr(press, "execute", refuse)


def edit(path, old, new):
    """Replace a text that stands in a file once."""
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))


def files(chapter):
    """The bytes of the generated files."""
    made = (chapter.notebook, chapter.claims, chapter.exercises)
    return [p.read_bytes() for p in made]


# ------------------------------------------------------------- executing


def test_executing_twice_gives_the_same_bytes(done):
    before = files(done)
    assert press.run_verb([done.name], done.root) == 0
    assert files(done) == before
    assert press.reasons(done) == []


def test_records_move_from_the_notebook_to_the_claims_file(done):
    record = done.record()
    [claim] = record["claims"]
    order = ["id", "says", "kind", "papers", "chapter", "tol", "error", "controls"]
    assert list(claim) == [*order, "seconds"]
    assert claim["chapter"] == "part/toy" and list(claim["controls"]) == ["the cube"]
    assert "claims" in record["modules"] and 0 < record["seconds"] < 60
    stored = done.stored()
    outputs = [o for c in stored.cells if c.cell_type == "code" for o in c.outputs]
    assert not any(o.get("metadata") for o in outputs)
    assert "toy/square: HOLDS" in [o.data["text/plain"] for o in outputs]


def test_chapter_that_stops_is_reported_and_leaves_its_files(done, capsys):
    before = files(done)
    edit(done.source, "x * x, truth", "x * x * 2, truth")
    assert press.run_verb([], done.root) == 1
    told = capsys.readouterr().err
    assert "part/toy: cell 2" in told and "ClaimFails: toy/square" in told
    assert len(told.splitlines()) < 5
    assert files(done) == before


def test_claim_checked_twice_is_refused(toy, capsys):
    toy.source.write_text(HEAD + CLAIM + "\n# %%\ncheck(claim)\n")
    assert press.run_verb([], toy.root) == 1
    assert "checked more than once: toy/square" in capsys.readouterr().err


def test_unknown_chapter_is_named(toy, capsys):
    assert press.run_verb(["part/tyo"], toy.root) == 1
    assert "no chapter part/tyo; there are part/toy" in capsys.readouterr().out


def test_solution_that_would_leak_is_refused_before_a_kernel(toy, no_kernel, capsys):
    edit(toy.source, "    return x + x\n", "    return x + x\n\nanswer = double(2)\n")
    assert press.run_verb(["part/toy"], toy.root) == 1
    assert "answer = double(2)" in capsys.readouterr().err


# ------------------------------------------------------------ out of date


def test_never_run(toy):
    assert press.reasons(toy) == ["never run"]


def test_cleared_notebook_counts_as_never_run(done):
    nb = done.stored()
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(nb, done.notebook)
    assert press.reasons(done) == ["never run"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("[0, 1]", "[0, 2]"), ('# %% tags=["solution", "hide-cell"]', "# %%")],
    ids=["code", "tags"],
)
def test_changed_code_needs_a_kernel(done, old, new):
    edit(done.source, old, new)
    assert press.reasons(done) == ["source changed"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Some prose.", "Other prose.\n\nAnd more."),
        ("A line.", "A better caption."),
        (PROSE, PROSE + '# %% [markdown]\nr"""\nA new cell.\n"""\n\n'),
        ("\npass\n", "\nimport sys\n"),
    ],
    ids=["text", "caption", "cell", "colab"],
)
def test_changed_prose_needs_no_kernel(done, no_kernel, old, new):
    claims, before = done.record(), press.view(done.stored())
    edit(done.source, old, new)
    found = press.reasons(done)
    assert found[0] == "prose changed" and press.WITHOUT_KERNEL.issuperset(found)
    assert press.run_verb([], done.root) == 0
    assert press.reasons(done) == [] and done.record() == claims
    assert before != press.view(done.stored()) == press.view(done.read())
    assert press.ran(done.stored())


def test_changed_module_is_named_and_its_docstring_is_not(done):
    module = done.root / "diffkit" / "claims" / "claim.py"
    edit(module, "# the relative error that every claim must see", "# a comment")
    edit(module, '"""A claim that is not well posed."""', '"""Not well posed."""')
    assert press.reasons(done) == []
    edit(module, "PROBE = 1e-3", "PROBE = 2e-3")
    assert press.reasons(done) == ["diffkit.claims.claim changed"]


def test_changed_module_that_is_not_used_is_not_named(done):
    module = done.root / "diffkit" / "couplings.py"
    assert "couplings" not in done.record()["modules"]
    module.write_text(module.read_text() + "\nNEW = 1\n")
    assert press.reasons(done) == []


def test_old_exercises_are_named_and_written(done, no_kernel):
    text = done.exercises.read_text()
    edit(done.exercises, exercises.BLANK, "return x + x")
    assert press.reasons(done) == ["exercises old"]
    press.prose_verb(done.root)
    assert done.exercises.read_text() == text


def test_stale_counts(done, capsys):
    assert press.stale_verb(done.root) == 0
    edit(done.source, "[0, 1]", "[0, 2]")
    assert press.stale_verb(done.root) == 1
    assert capsys.readouterr().out.endswith(
        "part/toy: out of date, source changed; make run\n"
    )


def test_unchanged_files_are_not_written_again(done):
    times = [p.stat().st_mtime_ns for p in (done.notebook, done.exercises)]
    press.prose(done)
    assert [p.stat().st_mtime_ns for p in (done.notebook, done.exercises)] == times


# ------------------------------------------------------ what is kept steady


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        (None, 3.0, 3.0),
        (3.0, 5.9, 3.0),
        (3.0, 6.1, 6.1),
        (3.0, 1.4, 1.4),
        (0.01, 0.4, 0.01),
    ],
)
def test_steady_seconds(old, new, kept):
    assert press.steady(old, new) == kept


def picture(shift=0, size=(4, 3)):
    """A grey PNG in base64, one of its pixels ``shift`` brighter."""
    pixels = np.full((*size, 4), 100, np.uint8)
    pixels[1, 2, 0] += shift
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=shift % 9 + 1)
    return base64.b64encode(out.getvalue()).decode()


def test_same_picture():
    assert press.same_picture(picture(), picture(1))
    assert not press.same_picture(picture(), picture(2))
    assert not press.same_picture(picture(), picture(0, (3, 4)))


def shows(data):
    """A notebook of one cell with one output."""
    out = nbformat.v4.new_output("display_data", data=data)
    cell = nbformat.v4.new_code_cell("plot()", outputs=[out], execution_count=1)
    return nbformat.v4.new_notebook(cells=[cell])


def slider(png, text="t"):
    return f'<figure><img src="data:image/png;base64,{png}" alt="{text}"></figure>'


@pytest.mark.parametrize(
    ("mime", "old", "new", "kept"),
    [
        ("image/png", picture(), picture(1), True),
        ("image/png", picture(), picture(9), False),
        ("text/html", slider(picture()), slider(picture(1)), True),
        ("text/html", slider(picture()), slider(picture(9)), False),
        ("text/html", slider(picture()), slider(picture(1), "s"), False),
    ],
)
def test_keep_pictures(mime, old, new, kept):
    fresh = shows({mime: new})
    press.keep_pictures(fresh, shows({mime: old}))
    assert fresh.cells[0].outputs[0].data[mime] == (old if kept else new)


# ---------------------------------------------------------------- modules


def test_modules_are_followed_through_imports(tmp_path):
    package = tmp_path / "diffkit"
    (package / "fields").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "laws.py").write_text("from .shapes import rng\n")
    (package / "shapes.py").write_text("x = 1\n")
    (package / "paths.py").write_text("def f():\n    import diffkit.data as d\n")
    (package / "data.py").write_text("y = 1\n")
    (package / "chains.py").write_text("z = 1\n")
    (package / "fields" / "__init__.py").write_text("from . import guidance\n")
    (package / "fields" / "guidance.py").write_text("from ..chains import z\n")

    def names(source):
        return list(modules.hashes(source, tmp_path))

    assert names("from diffkit import laws, paths") == [
        "data",
        "laws",
        "paths",
        "shapes",
    ]
    assert names("import diffkit\ndiffkit.laws.gaussian()") == ["laws", "shapes"]
    assert names("from diffkit.laws import Mixture") == ["laws", "shapes"]
    assert names("from diffkit.fields.guidance import cfg") == [
        "chains",
        "fields",
        "fields.guidance",
    ]
    assert names("import torch\nfrom math import pi") == []


def test_essence_keeps_code_and_strings():
    source = '''"""Doc."""
# comment
x = 1  # why

class A:
    """Doc
    of two lines."""

    text = """
    # no comment
    """

    def f(self):
        """Doc."""
        return "# not a comment"
'''
    assert modules.essence(source).split("\n") == [
        "x = 1",
        "class A:",
        '    text = """',
        "    # no comment",
        '    """',
        "    def f(self):",
        '        return "# not a comment"',
    ]


# -------------------------------------------------------------- exercises


SOLUTIONS = {
    'def f(x):\n    """Doc."""\n    y = 1\n    return y': 'def f(x):\n    """Doc."""',
    "def f(x):\n    # the trick\n    return x": "def f(x):",
    "def f(\n    x,  # a\n    y,\n):\n    return x": "def f(\n    x,  # a\n    y,\n):",
    "def f(x): return x": "def f(x):",
    "@cache\ndef f(x):\n    def g(): pass\n    return g": "@cache\ndef f(x):",
    "import math\n\ndef f(x):\n    return math.pi": "import math\n\n\ndef f(x):",
}


@pytest.mark.parametrize("solution", SOLUTIONS)
def test_blank_keeps_the_signature_alone(solution):
    blank = exercises.blank(solution)
    assert blank == f"{SOLUTIONS[solution]}\n    {exercises.BLANK}"
    compile(blank, "blank", "exec")


@pytest.mark.parametrize("leak", ["f = lambda x: x", "class A: pass", "print(1)"])
def test_blank_refuses_what_would_leak(leak):
    with pytest.raises(ValueError, match="functions and imports, not line 2"):
        exercises.blank(f"import math\n{leak}")


def test_readers_notebook_of_headings_inside_cells():
    md, py = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    cells = [
        md("# Toy $x$"),
        py("pass", metadata={"tags": ["remove-cell"]}),
        py("import torch", metadata={"tags": ["setup"]}),
        py("secret = 1"),
        md(
            "The end.\n\n## Exercises\n\nSee [two](two.ipynb), [eq](#eq-a), [w](http://w)."
        ),
        py("def f():\n    return 1", metadata={"tags": ["solution"]}),
        md("Because.", metadata={"tags": ["solution"]}),
        md("Last one.\n\n## Summary\n\nDone."),
        py("after = 1"),
    ]
    nb = nbformat.v4.new_notebook(cells=cells)
    made = exercises.student(nb, "part/toy")
    texts = [c.source for c in made.cells]
    assert texts[0].startswith("# Exercises: Toy $x$\n") and "../toy.ipynb" in texts[0]
    assert texts[1:] == [
        "pass",
        "import torch",
        "## Exercises\n\nSee [two](../two.ipynb), [eq](../toy.ipynb#eq-a), [w](http://w).",
        f"def f():\n    {exercises.BLANK}",
        "Last one.",
    ]
    assert exercises.student(nbformat.v4.new_notebook(cells=cells[:4]), "a/b") is None


# ---------------------------------------------------------------- address


@pytest.fixture
def addressed(tmp_path):
    """A book that is to move."""
    (tmp_path / "_config.yml").write_text(
        "repository: {url: https://github.com/new/home}\n"
        "html: {baseurl: https://old.github.io/place/}\n"
    )
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "2.0.0"\n')
    (tmp_path / "README.md").write_text(
        "[a](https://mybinder.org/v2/gh/old/place/main?x) https://old.github.io/place/.\n"
        "git clone https://github.com/old/place.git\nhttps://example.org/old/place\n"
    )
    (tmp_path / "chapters" / "part").mkdir(parents=True)
    (tmp_path / "chapters" / "part" / "toy.py").write_text(PROSE + HEAD + CLAIM)
    return tmp_path


def test_address_is_written(addressed):
    press.address_verb(addressed)
    found = {p: p.read_text() for p in address.written(addressed)}
    assert found[addressed / "README.md"] == (
        "[a](https://mybinder.org/v2/gh/new/home/main?x) https://new.github.io/home/.\n"
        "git clone https://github.com/new/home\nhttps://example.org/old/place\n"
    )
    assert "https://new.github.io/home/" in found[addressed / "_config.yml"]
    chapter = found[addressed / "chapters" / "part" / "toy.py"]
    assert "git+https://github.com/new/home@v2.0.0" in chapter
    assert chapter.endswith(CLAIM) and chapter.startswith(PROSE)
    assert address.written(addressed) == found


def test_chapter_without_a_colab_cell_is_named(addressed):
    (addressed / "chapters" / "part" / "bare.py").write_text(PROSE + CLAIM)
    with pytest.raises(ValueError, match="bare.py: its first code cell must be"):
        address.written(addressed)


def test_address_must_be_one(addressed):
    (addressed / "_config.yml").write_text("repository: {url: here}\n")
    with pytest.raises(ValueError, match="'here' is not https://github.com/owner"):
        address.release(addressed)


def test_verbs(capsys):
    with pytest.raises(SystemExit):
        press.main(["fly"])
    assert "invalid choice" in capsys.readouterr().err


def test_claims_files_are_json_in_utf8(done):
    assert json.loads(done.claims.read_text(encoding="utf-8")) == done.record()
