"""The reference: sources and docstrings as they are read, and the pages made of them.

A small package holds every form that the reader of sources knows; the real one is
compared with what importing it shows, which shares no code with reading it.
"""

from __future__ import annotations

import ast
import functools
import html
import importlib
import inspect
import io
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import docutils_namespace, patch_docutils
from test_house import MAY_IMPORT

import diffkit

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "book/_ext"))
import docstrings  # noqa: E402
from catalogue import Fault, read_atlas, read_claims, read_toc  # noqa: E402
from package import Package  # noqa: E402

from book import site  # noqa: E402

# --------------------------------------------------------------- docstrings


def test_a_docstring_falls_into_paragraphs_formulas_and_parts():
    doc = """The flow, in words.

    y = A x
      + c

    z = y

and more. x: (*n, d). Raises: ValueError where
A = 0. Source: song2021sde, eq. 3. Targets: any.
Checked: painters/score,
tests/test_laws.py
"""
    assert docstrings.items(doc) == [
        ("text", "The flow, in words."),
        ("block", "    y = A x\n      + c\n\n    z = y"),
        ("text", "and more. x: (*n, d). Targets: any."),
        ("Raises", "ValueError where A = 0"),
        ("Source", "song2021sde, eq. 3"),
        ("Checked", "painters/score, tests/test_laws.py"),
    ]
    assert docstrings.items("") == []


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("an axis *B or (*n, *B) of y = a *b* c", ["stress"]),
        ("the *controls*, **Targets.** Next", ["stress", "strong"]),
        ("see `laws.Mixture` and ``x | y``", ["name", "code"]),
        ("x, t: the state; y: unknown", ["code", "code"]),
        ("t (*B, K): times and x (n, d)", ["code", "code"]),
        ("at x (see t) and 2 * x * t * x", []),
        ("t - x (t - x): zero", []),
    ],
)
def test_marks_in_prose(text: str, marked: list):
    """Arguments are code only where they are explained; shapes are not stress."""
    found = list(docstrings.pieces(text, frozenset("xt")))
    assert [kind for kind, _ in found if kind != "plain"] == marked
    assert "".join(said for _, said in found) == re.sub(
        r"`|\*\*|\*(\w+)\*", r"\1", text
    )


def test_the_noun_before_the_colon():
    assert docstrings.noun("Laws: all\nof them.\n\nx: y") == ("Laws", "All of them.")
    assert docstrings.noun("the law of x: exact.") == ("", "The law of x: exact.")


# ---------------------------------------------------------- a small package

TOY = {
    "__init__": '''
"""diffkit: a toy.

Conventions: noise at t = T; denoiser = E[x0 | x_t]. More.
"""
__all__ = ["ends", "maps", "tools"]
''',
    "ends": '''
"""Ends: where a *path* begins, not `path`.

    a = 1    (`LOW`, ``b``)
"""
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple
from jaxtyping import Float
from torch import Tensor

LOW, HIGH = 0.5, "to"  # the ends of
Row = Float[Tensor, " d"]
_HIDDEN = 1
_Rows = Row | float


class LostEnd(ValueError):
    """There is no end."""


class Far(LostEnd):
    """Nor far away."""


class _Stored:
    def __init__(self, size: int) -> None:
        """Inside."""

    def kept(self, n: int, /, *, deep: bool = False) -> Row:
        """Kept for `End`."""


@dataclass(frozen=True)
class End:
    """An end of rows. x: `at`, see `End.moved`. Raises: LostEnd, never KeyError."""

    COUNT: ClassVar[int] = 0
    x: Float[Tensor, " n"]
    more: dict = field(default_factory=dict)
    less: int = field(init=False)

    @property
    def d(self) -> int:
        """The dimension."""

    @classmethod
    def at(cls, x: Row = LOW) -> End:
        """The end at x."""

    @staticmethod
    def zero() -> None:
        """Nothing."""

    def moved(self, by: Row) -> End:
        """A copy, `by` added: A' = "A". Checked: painters/flow-map."""

    def _inside(self) -> None: ...


@dataclass
class Late(End):
    """An end with a time."""

    t: float = 0.0


class Hard(_Stored):
    """An end of a size."""


class Pair(NamedTuple):
    """Two ends."""

    a: End
    b: End
''',
    "maps/__init__": '''
"""Maps: between `ends`; see `ends.End` and `diffkit.tools`."""
from .below import zero
from .above import push, pull
''',
    "maps/above": '''
"""Above: what stands on below."""
from .below import zero
from ..ends import End as E, Row, _Rows

_Many = list[_Rows | None]


def push(e: E, *rest: Row, k: int = zero()) -> tuple[E, Row]:
    """The end behind a map.

    e: where it starts (2, d). Raises: LostEnd. Source: wang2023painters, eq. 2
    and `push`.
    Checked: painters/flow-map, tests/test_maps.py, gaussian/painters
    """


def pull(e: _Many) -> E | None:
    """Back by `push()` of ``e``, at `Row`."""


def aside() -> None:
    """Not handed out."""
''',
    "maps/below": '''
"""Maps: the ground."""
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .above import push


def zero() -> int:
    """It is None."""
''',
    "maps/spare": '''
"""Spare: of the same name, and not handed out."""


def push() -> None:
    """Another one."""
''',
    "tools": '''
"""Tools: from the maps."""
from . import maps


def use(m: maps.push) -> None:
    """Use `maps.pull`."""
''',
}


def write(root: Path, **changed: str) -> Path:
    """The small package in a folder, some of its files with other text."""
    for name, text in (TOY | changed).items():
        path = root / f"diffkit/{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "diffkit"


@pytest.fixture
def toy(tmp_path: Path) -> Package:
    return Package(write(tmp_path))


def test_names_are_those_a_module_hands_out_in_reading_order(toy: Package):
    ends = "LOW HIGH Row LostEnd Far End Late Hard Pair"
    assert [name.name for name in toy.modules["ends"].names] == ends.split()
    maps = toy.modules["maps"]
    files = ["__init__", "below", "above", "spare"]
    assert [file.path.stem for file in maps.files] == files
    assert [name.name for name in maps.names] == ["zero", "push", "pull"]
    assert maps.imports == {"ends"} and toy.modules["tools"].imports == {"maps"}
    members = {n.name: [m.name for m in n.members] for n in toy.modules["ends"].names}
    assert members["End"] == ["End.d", "End.at", "End.zero", "End.moved"]
    assert members["Hard"] == ["Hard.kept"] and members["Late"] == []
    assert toy.names["diffkit.ends.Late"].bases == ("diffkit.ends.End",)


@pytest.mark.parametrize(
    ("name", "kind", "signature"),
    [
        ("ends.LOW", "data", "0.5"),
        ("ends.HIGH", "data", '"to"'),
        ("ends.Row", "data", 'Float[Tensor, " d"]'),
        ("ends.LostEnd", "exception", ""),
        ("ends.Far", "exception", ""),
        ("ends.End", "class", "(x: Float[Tensor, 'n'], more: dict = {})"),
        (
            "ends.Late",
            "class",
            "(x: Float[Tensor, 'n'], more: dict = {}, t: float = 0.0)",
        ),
        ("ends.Hard", "class", "(size: int)"),
        ("ends.Pair", "class", "(a: ~diffkit.ends.End, b: ~diffkit.ends.End)"),
        ("ends.End.d", "property", "int"),
        ("ends.End.at", "method", "(x: ~diffkit.ends.Row=LOW) -> ~diffkit.ends.End"),
        ("ends.End.zero", "method", "() -> None"),
        (
            "ends.Hard.kept",
            "method",
            "(n: int, /, *, deep: bool=False) -> ~diffkit.ends.Row",
        ),
        (
            "maps.push",
            "function",
            "(e: ~diffkit.ends.End, *rest: ~diffkit.ends.Row, k: int=zero()) "
            "-> tuple[~diffkit.ends.End, ~diffkit.ends.Row]",
        ),
        (
            "maps.pull",
            "function",
            "(e: list[~diffkit.ends.Row | float | None]) -> ~diffkit.ends.End | None",
        ),
        ("tools.use", "function", "(m: ~diffkit.maps.push) -> None"),
    ],
)
def test_signatures_are_as_written(toy: Package, name, kind, signature):
    found = toy.names[f"diffkit.{name}"]
    assert (found.kind, found.signature) == (kind, signature)


def test_a_constant_is_explained_by_the_comment_behind_it(toy: Package):
    assert toy.names["diffkit.ends.HIGH"].doc == "The ends of."
    assert toy.names["diffkit.ends.Row"].doc == ""


def test_words_lead_to_names(toy: Package):
    scope = toy.modules["maps"].files[2].scope
    assert toy.full("E.moved()", scope) == "diffkit.ends.End.moved"
    assert toy.full("End", scope) == "" == toy.full("e.moved", scope)
    assert toy.full("ends.End.more", scope) == "diffkit.ends.End"  # a field
    assert toy.full("moved", {}, inside="diffkit.ends.End") == "diffkit.ends.End.moved"
    assert toy.full("tools", scope) == "diffkit.tools" == toy.full("diffkit.tools", {})
    for wrong in ("ends.Start", "diffkit.laws", "maps.aside", "maps._at"):
        with pytest.raises(Fault, match=f"`{wrong}` is no public name"):
            toy.full(wrong, scope)


def test_a_module_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(Fault, match="diffkit.none is in __all__ but not in"):
        Package(write(tmp_path, __init__='__all__ = ["none"]'))


# ------------------------------------------------ its pages, by a small Sphinx

CLAIM = {
    "id": "painters/flow-map",
    "says": "The flow.",
    "kind": "exact",
    "papers": ["048"],
    "chapter": "gaussian/painters",
    "tol": 1e-9,
    "controls": {"no mean": 4e8},
}
CONF = """
import sys
sys.path.insert(0, {ext!r})
project = "book"
extensions = ["myst_parser", "sphinxcontrib.bibtex", "entrances", "reference"]
bibtex_bibfiles = {bibs!r}
suppress_warnings = ["bibtex.missing_field"]
nitpicky = True
html_domain_indices = False
html_theme = "basic"
html_static_path = [{static!r}]
root_doc = "book/index"
exclude_patterns = ["out"]
"""
BIB = "@article{wang2023painters, author={Wang, B.}, title={Painters}, year={2023}}"
BOX = '<div class="claim holds" id="{}">\n\nHolds.\n\n</div>\n'


def book(root: Path, modules: list[str], levels: str) -> None:
    """What a reference needs of a book besides the package, in a folder."""
    claims = read_claims(root / "chapters", read_atlas(root / "book/atlas.yml"))
    chapters = {claim.chapter: "" for claim in claims}
    for claim in claims:
        chapters[claim.chapter] += BOX.format(claim.anchor)
    for name, boxes in chapters.items():
        (root / f"chapters/{name}.md").write_text(f"# {name}\n\n{boxes}")
    bibs = sorted(p.relative_to(root).as_posix() for p in root.rglob("*.bib"))
    own = {name: str(ROOT / f"book/_{name}") for name in ("ext", "static")}
    conf = CONF.format(bibs=bibs, **own)
    (root / "conf.py").write_text(conf)
    files = [f"book/reference/{name}" for name in modules]
    files += ["book/reference", "book/bibliography", "book/papers"]
    files += [f"chapters/{name}" for name in chapters]
    (root / "_toc.yml").write_text("".join(f"- file: {name}\n" for name in files))
    tree = "\n".join(f"/{name}" for name in files)
    index = f"# Book\n\n```{{toctree}}\n{tree}\n```\n"
    (root / "book/index.md").write_text(index)
    (root / "book/papers.md").write_text("# Papers\n\n```{paper-table}\n```\n")
    pages = "# Bibliography\n\n```{bibliography}\n:all:\n```\n"
    (root / "book/bibliography.md").write_text(pages)
    if levels:
        text = f"# Reference\n\n```{{reference-map}}\n{levels}\n```\n\n"
        text += "```{reference-conventions}\n```\n"
        (root / "book/reference.md").write_text(text)


def build(root: Path) -> tuple[Path, str]:
    """The folder of pages, and the warnings."""
    warnings, out = io.StringIO(), root / "out"
    with patch_docutils(str(root)), docutils_namespace():
        app = Sphinx(root, root, out, root / "trees", "html", None, None, warnings)
        app.build()
    return out, re.sub(r"\x1b\[[\d;]*m", "", warnings.getvalue())


def small(root: Path, levels: str = "ends\nmaps\ntools", **changed: str) -> Path:
    """A book of the small package."""
    write(root, **changed)
    for folder in ("book/reference", "book/references", "chapters/gaussian", "tests"):
        (root / folder).mkdir(parents=True)
    (root / "tests/test_maps.py").touch()
    (root / "_config.yml").write_text('repository: {url: "https://github.com/a/b"}')
    (root / "book/references/a.bib").write_text(BIB)
    atlas = '- {paper: "048", title: "Painters", part: gaussian, note: ""}\n'
    (root / "book/atlas.yml").write_text(atlas)
    record = json.dumps({"claims": [CLAIM]})
    (root / "chapters/gaussian/painters.claims.json").write_text(record)
    for name in ("ends", "maps", "tools"):
        (root / f"book/reference/{name}.md").write_text(stub(name))
    book(root, ["ends", "maps", "tools"], levels)
    return root


def stub(name: str) -> str:
    """The source of a module's page."""
    return f"# diffkit.{name}\n\n```{{reference}} {name}\n```\n"


def text(page: Path) -> str:
    """The words of a page."""
    body = re.search(
        r'<div class="body" .*?<div class="clearer">', page.read_text(), re.S
    )
    return html.unescape(re.sub(r"<[^>]+>", "", body[0]))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out, warnings = build(small(tmp_path_factory.mktemp("toy")))
    assert warnings == ""
    return out / "book/reference"


def test_a_name_leads_to_its_place(pages: Path):
    ends, maps = ((pages / f"{n}.html").read_text() for n in ("ends", "maps"))
    assert 'id="diffkit.ends.End.moved"' in ends and 'id="diffkit.maps.push"' in maps
    assert 'href="ends.html#diffkit.ends.End"' in maps  # from a signature
    assert 'href="#diffkit.ends.End.moved"' in ends  # from a sentence
    assert 'href="#diffkit.maps.push"' in maps
    assert 'href="ends.html#diffkit.ends.LostEnd"' in maps  # from what is raised
    assert "aside" not in maps and "_inside" not in ends and "_HIDDEN" not in ends
    for page in (ends, maps):
        assert re.search(r"blob/main/diffkit/[\w/]+\.py#L\d+-L\d+", page)


def test_checks_and_sources_have_links(pages: Path):
    maps = (pages / "maps.html").read_text()
    assert 'painters.html#claim-painters-flow-map">painters/flow-map</a>' in maps
    assert 'chapters/gaussian/painters.html">gaussian/painters</a>' in maps
    assert "https://github.com/a/b/blob/main/tests/test_maps.py" in maps
    assert "bibliography.html#id" in maps and "eq. 2 and" in text(pages / "maps.html")


def test_the_words_stay_as_they_are(pages: Path):
    ends = text(pages / "ends.html")
    assert "Where a path begins, not path." in ends and "a = 1    (LOW, b)" in ends
    assert 'A\' = "A"' in ends  # no typographer's quotes
    assert 'x: Float[Tensor, "n"]' in ends and "ends.LOW" in ends
    assert "\nmoved(by: Row) → End" in ends  # within its class
    assert "KeyError" in ends and "A kind of ends.End" in ends
    assert "`" not in ends and "diffkit.ends.LOW" not in ends
    assert "The ground." in text(pages / "maps.html")


def test_the_map_and_the_conventions(pages: Path):
    home = text(pages.with_suffix(".html"))
    assert re.search(r"Level 1\s+maps\s+Between ends; see .*\s+imports ends", home)
    assert "noise at t = T" in home and "denoiser = E[x0 | x_t]" in home


def test_the_site_has_no_fault(pages: Path):
    """No link of any page leads nowhere, in the eyes of the checker of the book."""
    assert site.faults(pages.parents[1]) == []


E = TOY["ends"]


@pytest.mark.parametrize(
    ("levels", "changed", "sentence"),
    [
        ("ends\nmaps", {}, "the map and __all__ differ in tools"),
        ("ends\nmaps tools", {}, "tools imports maps, not below it"),
        ("", {"ends": E.replace("End.moved", "ends.Start")}, "`ends.Start` is no pub"),
        ("", {"ends": E.replace("painters/flow-map", "painters/x")}, "painters/x does"),
        (
            "",
            {"ends": E.replace("painters/flow-map", "tests/test_x.py")},
            "test_x.py do",
        ),
        (
            "",
            {"maps/above": TOY["maps/above"].replace("wang", "wong")},
            "wong2023paint",
        ),
        ("", {"__init__": '__all__ = ["ends", "maps"]'}, "has no module tools"),
    ],
)
def test_what_does_not_exist_is_a_warning(tmp_path, levels, changed, sentence):
    _, warnings = build(small(tmp_path, levels or "ends\nmaps\ntools", **changed))
    assert sentence in warnings


def test_other_pages_may_not_name_what_is_not_there(tmp_path: Path):
    root = small(tmp_path)
    (root / "book/papers.md").write_text("# Papers\n\n{py:func}`solve` and `no`.\n")
    assert "py:func reference target not found: solve" in build(root)[1]


def test_a_page_may_name_what_is_to_be_read_first(tmp_path: Path):
    root = small(tmp_path)
    page = root / "book/reference/maps.md"
    page.write_text(page.read_text().replace("maps\n`", "maps\npush none\n`"))
    out, warnings = build(root)
    assert "maps has no none." in warnings
    told = text(out / "book/reference/maps.html")
    assert told.index("maps.push") < told.index("maps.zero")


def test_a_package_that_cannot_be_read_ends_the_build(tmp_path: Path):
    with pytest.raises(ExtensionError, match="none is in __all__ but not in"):
        build(small(tmp_path, __init__='__all__ = ["none"]'))


def test_pages_are_as_old_as_the_sources(tmp_path: Path):
    """An edit of the package is seen by the next build; without one nothing is made."""
    out, _ = build(small(tmp_path))
    page = out / "book/reference/maps.html"
    before = page.stat().st_mtime_ns
    build(tmp_path)
    assert page.stat().st_mtime_ns == before
    write(tmp_path, **{"maps/below": TOY["maps/below"].replace("It is", "It was")})
    assert build(tmp_path)[1] == "" and "It was None." in text(page)
    write(tmp_path, ends=E.replace("class End:", "class Start:"))
    for _ in range(2):  # a fault does not hide in a page that is not read again
        assert "`ends.End` is no public name of diffkit" in build(tmp_path)[1]


# ----------------------------------------------------------- the real package


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The reference of diffkit, with empty chapters around it."""
    root = tmp_path_factory.mktemp("book")
    shutil.copytree(ROOT / "diffkit", root / "diffkit")
    for name in ("book/reference", "book/references"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("book/reference.md", "book/atlas.yml", "_config.yml"):
        shutil.copy(ROOT / name, root / name)
    tested = [*ROOT.glob("tests/*.py"), *ROOT.glob("chapters/*/*.claims.json")]
    for path in tested:
        copy = root / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    book(root, diffkit.__all__, "")
    return build(root)


@pytest.fixture
def real(built: tuple[Path, str]) -> Path:
    return built[0]


def test_all_that_the_docstrings_name_exists(built: tuple[Path, str]):
    assert built[1] == ""


@pytest.fixture(scope="module")
def package() -> Package:
    return Package(ROOT / "diffkit")


def test_every_module_has_its_page_in_the_contents():
    pages = {path.stem: path.read_text() for path in ROOT.glob("book/reference/*.md")}
    assert sorted(pages) == sorted(diffkit.__all__), "book/reference/<module>.md"
    for name, source in pages.items():
        assert source.startswith(stub(name)[:-4])  # then, maybe, names to read first
    toc = read_toc(ROOT / "_toc.yml")
    listed = [name for name in toc if name.startswith("book/reference")]
    assert listed[0] == "book/reference"
    assert {f"book/reference/{name}" for name in pages} == set(listed[1:])
    assert len(listed) == len(set(listed))


def test_the_map_is_the_plan_of_the_house():
    page = (ROOT / "book/reference.md").read_text()
    lines = re.search(r"\{reference-map\}\n(.*?)```", page, re.S)[1].splitlines()
    level = {name: i for i, line in enumerate(lines) for name in line.split()}
    assert sorted(level) == sorted(diffkit.__all__)
    for name, i in level.items():
        assert all(level.get(n, 0) < i for n in MAY_IMPORT[name].split()), name


def shown(module) -> dict[str, object]:
    """The public functions, classes, methods of an imported module, by full name."""
    home, found = module.__name__, {}
    inner = (property, functools.cached_property, classmethod, staticmethod)
    handed = getattr(module, "__all__", []) if hasattr(module, "__path__") else []
    for name, value in vars(module).items():
        own = f"{getattr(value, '__module__', '')}.".startswith(f"{home}.")
        kind = inspect.isfunction(value) or inspect.isclass(value)
        if name[0] == "_" or not (kind and own) or (handed and name not in handed):
            continue
        found[f"{home}.{name}"] = value
        if not inspect.isclass(value):
            continue
        fields = getattr(value, "__dataclass_fields__", {})
        for base in value.__mro__:
            mine = base is value or base.__name__[0] == "_"
            for key, member in vars(base).items() if mine else ():
                if key[0] == "_" or key in fields:
                    continue
                if inspect.isfunction(member) or isinstance(member, inner):
                    found[f"{home}.{name}.{key}"] = getattr(value, key)
    return found


every = pytest.mark.parametrize("name", diffkit.__all__)


@every
def test_every_public_name_is_on_its_page_and_no_other(real: Path, name: str):
    module = importlib.import_module(f"diffkit.{name}")
    page = (real / f"book/reference/{name}.html").read_text()
    ids = set(re.findall(r'id="(diffkit\.[\w.]+)"', page))
    assert set(shown(module)) <= ids
    for full in ids:
        functools.reduce(
            getattr, full.split(".")[1:], diffkit
        )  # raises if there is none
    assert len(page) < 400_000  # characters; the theme adds some twenty thousand


@every
def test_signatures_have_the_arguments_that_calls_take(package: Package, name: str):
    for full, value in shown(importlib.import_module(f"diffkit.{name}")).items():
        told = package.names[full]
        if told.kind in ("function", "method", "class") and told.signature:
            node = ast.parse(f"def f{told.signature}: ...").body[0].args
            args = [a.arg for a in ast.walk(node) if isinstance(a, ast.arg)]
            taken = set(inspect.signature(value).parameters) - {"self"}
            assert sorted(args) == sorted(taken), full


def test_no_page_shows_markup(real: Path):
    for page in real.glob("book/reference/*.html"):
        assert not re.findall(r".*(?:`|\*\*\w+\.|\{\w+\}`).*", text(page)), page.name


def test_no_link_of_the_reference_leads_nowhere(real: Path):
    """To names, claims, papers, and files of this repository."""
    assert site.faults(real) == []
    for page in real.glob("book/reference/*.html"):
        for path in re.findall(
            r'"https://github.com/a/b/blob/main/([^"#]*)', page.read_text()
        ):
            assert (ROOT / path).is_file(), path
