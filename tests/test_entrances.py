"""The catalogue, and the three pages that are made from it."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import docutils_namespace, patch_docutils

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "book/_ext"))
import catalogue  # noqa: E402

ATLAS = """
- {paper: "001", title: "First of all", part: gaussian, note: ""}
- {paper: "002", title: "A survey", part: systems, note: "A survey makes no claim."}
- {paper: "048", title: "Painters", part: gaussian, note: ""}
"""
CLAIM = {
    "id": "painters/flow-map",
    "says": r"The flow is $\psi_k$.",
    "kind": "exact",
    "papers": ["048"],
    "chapter": "gaussian/painters",
    "tol": 1e-9,
    "error": 2e-12,
    "controls": {r"$\sigma$ for $\sigma^2$": 3e6, "no mean": 4e8},
    "seconds": 0.4,
}
PAGE = """# Painters

<div class="claim holds" id="claim-painters-flow-map">

**Claim** paper <a class="paper" data-paper="048">048</a>

</div>
"""
CONF = """
import sys
sys.path.insert(0, {path!r})
project = "book"
extensions = ["myst_parser", "sphinx.ext.mathjax", "entrances"]
myst_enable_extensions = ["dollarmath"]
html_theme = "basic"
root_doc = "book/index"
"""


def write(root: Path, *claims: dict, atlas: str = ATLAS) -> Path:
    """A small book: an atlas and the claims of one chapter."""
    folder = root / "chapters/gaussian"
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"claims": claims, "modules": {}})
    (folder / "painters.claims.json").write_text(text)
    (root / "book").mkdir(exist_ok=True)
    (root / "book/atlas.yml").write_text(atlas)
    return root


def read(root: Path) -> tuple[dict, list]:
    papers = catalogue.read_atlas(root / "book/atlas.yml")
    return papers, catalogue.read_claims(root / "chapters", papers)


def test_a_claim_is_read_and_named(tmp_path: Path):
    papers, (claim,) = read(write(tmp_path, CLAIM))
    assert claim.anchor == "claim-painters-flow-map" and claim.name == "flow map"
    assert catalogue.by_paper([claim]) == {"048": [claim]}
    assert papers["002"].note == "A survey makes no claim."


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ([CLAIM, CLAIM], "claim painters/flow-map is already in gaussian/painters"),
        ([CLAIM | {"controls": {}}], "has no control, so nothing could fail it"),
        ([CLAIM | {"papers": ["999"]}], "cites paper 999, not in the atlas"),
        ([CLAIM | {"kind": "likely"}], "has unknown kind 'likely'"),
        ([CLAIM | {"chapter": "start/x"}], "says it belongs to chapter start/x"),
        ([{"id": "painters/flow-map"}], "not a claims file"),
    ],
)
def test_claims_that_do_not_fit_are_refused(
    tmp_path: Path, claims: list, sentence: str
):
    with pytest.raises(catalogue.Fault, match=re.escape(sentence)):
        read(write(tmp_path, *claims))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"002"', '"001"', "paper 001 has two rows"),
        ('"002"', "2", "paper '2' is not a three-digit number"),
        ("part: systems", "part: system", "paper 002 has unknown part system"),
        ('"A survey"', '""', "paper 002 has no title"),
    ],
)
def test_rows_that_do_not_fit_are_refused(tmp_path: Path, old, new, sentence):
    with pytest.raises(catalogue.Fault, match=sentence):
        read(write(tmp_path, atlas=ATLAS.replace(old, new)))


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (3e6, "10⁶ times the tolerance"),
        (100, "10² times the tolerance"),
        (2.5, "2.5 times the tolerance"),
        (None, "not zero"),
        (float("inf"), "not zero"),
    ],
)
def test_factors_in_words(factor: float | None, words: str):
    assert catalogue.beyond(factor) == words


@pytest.mark.parametrize(
    ("kind", "tol", "words"),
    [
        ("exact", 1e-9, "1e-9"),
        ("exact", 1e-12, "1e-12"),
        ("trained", 0.05, "0.05"),
        ("symbolic", 0, "0"),
        ("statistical", 6.0, "6 standard errors"),
    ],
)
def test_tolerances_in_words(kind: str, tol: float, words: str):
    claim = catalogue.Claim("a/b", "", kind, (), "a/b", tol, {})
    assert catalogue.tolerance(claim) == words


def test_papers_of_a_verdict_get_links(tmp_path: Path):
    papers, _ = read(write(tmp_path))
    body = '<a class="paper" data-paper="048">048</a>'
    linked = catalogue.link_papers(body, papers, "../papers.html")
    want = '<a class="paper" data-paper="048" href="../papers.html#paper-048">048</a>'
    assert linked == want
    with pytest.raises(catalogue.Fault, match="999"):
        catalogue.link_papers(body.replace("048", "999"), papers, "")


def test_the_atlas_has_its_179_papers():
    papers = catalogue.read_atlas(ROOT / "book/atlas.yml")
    assert list(papers) == [f"{n:03d}" for n in range(1, 180)]
    assert {paper.part for paper in papers.values()} == set(catalogue.PARTS)
    bib = "".join(p.read_text() for p in ROOT.glob("book/references/*.bib"))
    for paper in papers.values():
        assert not paper.key or f"{{{paper.key},\n" in bib, paper.key


def test_the_claims_of_the_book_fit_together():
    read(ROOT)


def test_the_page_by_part_has_the_ten_parts_in_order():
    page = (ROOT / "book/parts.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)", page, re.M)[1:] == list(catalogue.PARTS.values())
    assert re.findall(r"^```\{part\} (\w+)", page, re.M)[1:] == list(catalogue.PARTS)


# ---- the pages, built by a small Sphinx of their own


def build(root: Path) -> dict[str, str]:
    """Build the small book; the pages by name."""
    (root / "conf.py").write_text(CONF.format(path=str(ROOT / "book/_ext")))
    (root / "_toc.yml").write_text("- file: chapters/gaussian/painters\n")
    (root / "chapters/gaussian/painters.md").write_text(PAGE)
    for name in ("claims", "papers"):
        text = f"# {name}\n\n```{{{name[:-1]}-table}}\n```\n"
        (root / f"book/{name}.md").write_text(text)
    (root / "book/parts.md").write_text("# Parts\n\n```{part} gaussian\n```\n")
    tree = "```{toctree}\nclaims\npapers\nparts\n../chapters/gaussian/painters\n```\n"
    (root / "book/index.md").write_text(f"# Book\n\n{tree}")
    out = root / "out"
    warnings = io.StringIO()
    with patch_docutils(str(root)), docutils_namespace():
        Sphinx(
            root, root, out, out / "trees", "html", status=None, warning=warnings
        ).build()
    assert warnings.getvalue() == ""
    return {p.stem: p.read_text() for p in out.rglob("*.html")}


def test_from_a_paper_to_its_claim_and_back(tmp_path: Path):
    pages = build(write(tmp_path, CLAIM))
    row = pages["papers"].split('id="paper-048"')[1].split("</tr>")[0]
    place = "../chapters/gaussian/painters.html#claim-painters-flow-map"
    assert f'href="{place}">flow map</a>' in row
    assert 'href="../../book/papers.html#paper-048">048</a>' in pages["painters"]
    assert f'href="{place}"' in pages["claims"]
    assert 'href="papers.html#paper-048"' in pages["claims"]


def test_rows_say_what_there_is(tmp_path: Path):
    pages = build(write(tmp_path, CLAIM))
    first = pages["papers"].split('id="paper-001"')[1].split("</tr>")[0]
    second = pages["papers"].split('id="paper-002"')[1].split("</tr>")[0]
    assert "not yet" in first and "A survey makes no claim." in second
    assert "2 papers</a>, 1 with claims." in pages["parts"]
    assert "Painters</span></a> (1 claim)" in pages["parts"]
    assert r"\(\psi_k\)" in pages["claims"] and "2 wrong formulas" in pages["claims"]
    assert "10⁶ times the tolerance" in pages["claims"]
    assert "entrances.js" in pages["claims"] and "entrances.js" not in pages["painters"]


def test_a_changed_claims_file_changes_the_pages(tmp_path: Path):
    build(write(tmp_path, CLAIM))
    write(tmp_path, CLAIM | {"says": "Something new."})
    assert "Something new." in build(tmp_path)["claims"]


@pytest.mark.parametrize(
    "claims",
    [[CLAIM, CLAIM], [CLAIM | {"controls": {}}], [CLAIM | {"papers": ["999"]}]],
)
def test_a_fault_ends_the_build(tmp_path: Path, claims: list):
    with pytest.raises(ExtensionError, match="claim painters/flow-map"):
        build(write(tmp_path, *claims))


def test_a_chapter_outside_the_book_ends_the_build(tmp_path: Path):
    write(tmp_path, CLAIM)
    (tmp_path / "chapters/samplers").mkdir()
    stray = json.dumps({"claims": [CLAIM | {"id": "x/y", "chapter": "samplers/x"}]})
    (tmp_path / "chapters/samplers/x.claims.json").write_text(stray)
    with pytest.raises(ExtensionError, match=r"samplers/x .* not in _toc\.yml"):
        build(tmp_path)
