"""The plan of the house: imports, names, addresses, pins, sizes."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from book import address, modules, press

ROOT = press.ROOT
PACKAGE = ROOT / "diffkit"
# All of diffkit that a module may import, besides shapes.
MAY_IMPORT = {
    "__init__": "",
    "shapes": "",
    "claims": "",
    "figures": "",
    "data": "",
    "laws": "",
    "surfaces": "data",
    "paths": "",
    "discrete": "",
    "groups": "",
    "worlds": "laws paths",
    "tables": "paths",
    "fields": "paths",
    "metrics": "laws",
    "couplings": "laws",
    "solvers": "tables fields",
    "chains": "paths laws tables fields",
    "information": "worlds laws",
    "learning": "paths fields",
    "recipes": "learning laws data paths surfaces worlds",
}
LATE = {
    "matplotlib",
    "scipy",
    "sklearn",
    "IPython",
    "safetensors",
}  # only inside functions
LONGEST = 550  # lines of a file of diffkit or the book; the aim is 400
LARGEST = 1_500_000  # bytes
MODULES = sorted(PACKAGE.rglob("*.py"))
every = pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)


def name_of(path: Path) -> str:
    """The noun that a file belongs to: its folder's name, or its own."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def public(node: ast.AST, prefix: str = ""):
    """Public functions and classes, and the methods of public classes."""
    for child in getattr(node, "body", []):
        named = isinstance(child, ast.FunctionDef | ast.ClassDef)
        if named and not child.name.startswith("_"):
            yield f"{prefix}{child.name}", child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{child.name}.")


def documented(path: Path):
    """The docstrings of a module, with the name that each stands under."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    for node in ast.walk(tree(path)):
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            yield f"{path.stem}.{getattr(node, 'name', '')}", text


def entries(label: str, pattern: str) -> list[tuple[str, str]]:
    """(where, name) for all names after ``label`` in the docstrings of diffkit.

    The part of a label reaches to the next label, an empty line, or the end.
    """
    part = re.compile(rf"\b{label}: (.*?)(?=\b[A-Z]\w+: |\n\s*\n|\Z)", re.DOTALL)
    found = []
    for path in MODULES:
        for where, text in documented(path):
            for said in part.findall(text):
                names = [n.rstrip(".") for n in re.findall(pattern, said)]
                assert names, f"{where}: {label} names nothing"
                found += [(where, n) for n in names]
    return found


# ----------------------------------------------------------------- imports


@every
def test_imports_go_down(path):
    name = name_of(path)
    assert name in MAY_IMPORT, f"{name} is not in the plan of the house"
    below = str(path.parent.relative_to(PACKAGE)).strip(".").replace("/", ".")
    found = {n.split(".")[0] for n in modules.imported(path.read_text(), below)}
    found = {n for n in found if modules.file_of(n, ROOT)}
    allowed = {name, "shapes", *MAY_IMPORT[name].split()}
    assert found <= allowed, f"{name} may not import {', '.join(found - allowed)}"


def test_the_plan_itself_has_no_circle():
    level = {}
    while len(level) < len(MAY_IMPORT):
        free = {
            name
            for name, below in MAY_IMPORT.items()
            if name not in level and all(b in level for b in below.split())
        }
        assert free, set(MAY_IMPORT) - set(level)
        level |= dict.fromkeys(free, len(level))


@every
def test_heavy_libraries_are_imported_late(path):
    for node in tree(path).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a.name for a in node.names] + [getattr(node, "module", "") or ""]
            early = LATE & {n.split(".")[0] for n in names}
            assert not early, f"{path.name}, line {node.lineno}: {early}"


@every
def test_only_data_knows_scikit_learn(path):
    assert name_of(path) == "data" or "sklearn" not in path.read_text()


def test_nothing_imports_chapters_or_tests():
    for path in [*MODULES, *(ROOT / "book").rglob("*.py")]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] + [getattr(node, "module", "")]
                tops = {(n or "").split(".")[0] for n in names}
                assert not tops & {"chapters", "tests"}, path.name


# --------------------------------------------------------------- docstrings


@every
def test_public_names_are_documented(path):
    assert ast.get_docstring(tree(path)), f"{path.name} has no docstring"
    bare = [name for name, node in public(tree(path)) if not ast.get_docstring(node)]
    assert not bare, f"{path.stem}: no docstring on {', '.join(bare)}"


@every
def test_nothing_is_printed_or_left_to_do(path):
    text = path.read_text()
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)
    calls = [n for n in ast.walk(tree(path)) if isinstance(n, ast.Call)]
    assert not any(getattr(c.func, "id", "") == "print" for c in calls)


def test_sources_stand_in_the_bibliography():
    text = "".join(p.read_text() for p in (ROOT / "book/references").glob("*.bib"))
    keys = set(re.findall(r"^@\w+\{([^,\s]+),", text, re.MULTILINE))
    cited = entries("Source", r"\b[a-z]+\d{4}[a-z]*\b")
    assert cited
    assert [(where, k) for where, k in cited if k not in keys] == []


def test_checks_that_are_named_exist():
    claims = {c["id"] for ch in press.chapters() for c in ch.record().get("claims", [])}
    named = entries("Checked", r"[\w-]+/[\w./-]+")
    assert named
    lost = [(w, n) for w, n in named if n not in claims and not (ROOT / n).is_file()]
    assert lost == []


# ------------------------------------------------------------------ address


@pytest.mark.parametrize("path", address.written(ROOT), ids=lambda p: p.name)
def test_address_is_the_one_of_the_settings(path):
    assert path.read_text() == address.written(ROOT)[path], "make address"


def test_citation_file():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    url, version = address.release(ROOT)
    assert cited["repository-code"] == url
    assert str(cited["version"]) == version
    assert cited["title"] == yaml.safe_load((ROOT / "_config.yml").read_text())["title"]


def test_package_says_its_version():
    version = address.release(ROOT)[1]
    assert f'__version__ = "{version}"' in (PACKAGE / "__init__.py").read_text()


# --------------------------------------------------------------------- pins


def pins(name: str) -> dict[str, str]:
    """The exact versions of a requirements file; every line must be one."""
    lines = [s.split("#")[0].strip() for s in (ROOT / name).read_text().splitlines()]
    kept = [s for s in lines if s and not s.startswith("--")]
    assert all("==" in s for s in kept), kept
    return dict(s.split("==") for s in kept)


def test_binder_has_the_pins_of_the_book():
    book, binder = pins("requirements.txt"), pins(".binder/requirements.txt")
    shared = set(book) & set(binder)
    assert {"torch", "numpy", "sympy", "matplotlib", "jaxtyping"} <= shared
    assert {n: binder[n] for n in shared} == {n: book[n] for n in shared}


def test_direct_pins_and_the_frozen_rest_do_not_overlap():
    direct, rest = pins("requirements.txt"), pins("constraints.txt")
    assert not {n.lower() for n in direct} & {n.lower() for n in rest}
    assert "torch" not in rest


def test_binder_builds_what_it_needs():
    assert (ROOT / ".binder/runtime.txt").read_text().strip() == "python-3.11"
    build = ROOT / ".binder/postBuild"
    assert build.stat().st_mode & 0o111, "postBuild must be executable"
    assert "pip install --no-deps -e ." in build.read_text()


# -------------------------------------------------------------------- sizes


def tree_files() -> list[Path]:
    """What git would commit."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    shown = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [p for line in shown.stdout.split("\n") if (p := ROOT / line).is_file()]


def test_files_are_of_a_size_to_read():
    for path in tree_files():
        assert path.stat().st_size <= LARGEST, path
        if path.suffix == ".py" and {"diffkit", "book"} & set(path.parts):
            lines = len(path.read_text().splitlines())
            assert lines <= LONGEST, f"{path}: {lines} lines"


def test_names_are_nouns_of_the_theory():
    vague = {"utils", "util", "common", "core", "base", "helpers", "misc"}
    assert not vague & {p.stem for p in tree_files()}
