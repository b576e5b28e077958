"""The checker of the built pages, on planted faults; the home page; the sources."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("book_site", ROOT / "book/site.py")
site = importlib.util.module_from_spec(spec)
spec.loader.exec_module(site)

GOOD = """<!doctype html><html><head><title>A $x$</title>
<link rel="stylesheet" href="_static/a.css"><link rel="canonical" href="https://a.b/">
<script src="_static/a.js?v=1"></script></head><body>
<h1 id="top-of-it">A</h1><p>It costs $5 and $6, <code>$x$</code>.</p>
<span class="math">\\(x_t\\)</span><div class="math"><p>\\[x\\]</p></div>
<img src="_static/a.png" alt="A plot of the error."><hr>
<a href="#top-of-it">up</a><a href="sub/b.html?q=1#there">b</a><a href="sub/">b</a>
<a href="https://example.org">out</a></body></html>"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A site of two pages without a fault."""
    (tmp_path / "_static").mkdir()
    (tmp_path / "sub").mkdir()
    for name in ("a.css", "a.js", "a.png"):
        (tmp_path / "_static" / name).write_text("a{background:url(a.png)}")
    (tmp_path / "a.html").write_text(GOOD)
    (tmp_path / "sub/b.html").write_text('<p id="there"><a href="../a.html">a</a>')
    (tmp_path / "sub/index.html").write_text("<p>b</p>")
    (tmp_path / "_static/webpack.html").write_text('<script src="https://cdn/x.js">')
    return tmp_path


def test_a_good_site_has_no_fault(book: Path):
    assert site.faults(book) == []


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ('<img src="_static/a.png">', "image without alt text"),
        ('<img src="_static/a.png" alt=" ">', "image without alt text"),
        ('<img src="_static/a.png" alt="../_images/a.png">', "image without alt text"),
        ('<img src="_static/a.png" alt="a.png">', "image without alt text"),
        ('<img src="https://x.org/a.png" alt="A plot.">', "external resource"),
        ('<img src="_static/a.png" srcset="//x/a 2x" alt="A p.">', "external resource"),
        ('<script src="https://cdn.org/plotly.js"></script>', "external resource"),
        ('<link rel="stylesheet" href="//cdn.org/a.css">', "external resource"),
        ('<link rel="preconnect" href="https://fonts.org">', "external resource"),
        ('<iframe src="https://x.org"></iframe>', "external resource"),
        ("<style>@import 'https://x.org/a.css';</style>", "external resource"),
        ('<p style="background: url(https://x.org/a)">', "external resource"),
        ('<script src="_static/none.js"></script>', "missing file"),
        ('<a href="none.html">a</a>', "broken link"),
        ('<a href="sub/b.html#nowhere">a</a>', "no such place"),
        ('<a href="#nowhere">a</a>', "no such place"),
        ('<p id="top-of-it">again</p>', "id used 2 times"),
        ("<p>The state $x_t$ moves.</p>", "raw TeX"),
        (r"<p>So \(x\) moves.</p>", "raw TeX"),
        (r"<p>Half: \frac12.</p>", "raw TeX"),
    ],
)
def test_a_planted_fault_is_found(book: Path, planted: str, fault: str):
    (book / "a.html").write_text(GOOD.replace("<hr>", planted))
    found = site.faults(book)
    assert len(found) == 1 and found[0].startswith(f"a.html: {fault}"), found


def test_style_sheets_are_read(book: Path):
    (book / "_static/a.css").write_text('@import "https://x.org/font.css";')
    found = ["_static/a.css: external resource: https://x.org/font.css"]
    assert site.faults(book) == found


def test_the_command_fails_with_one_line_a_fault(book: Path):
    (book / "a.html").write_text(GOOD.replace("<hr>", '<a href="x.html">x</a>'))
    command = [sys.executable, str(ROOT / "book/site.py"), str(book)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (1, "a.html: broken link: x.html\n")
    (book / "a.html").write_text(GOOD)
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_no_site_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="build the book first"):
        site.faults(tmp_path)


EQUATIONS = """# A page

$$ a = b $$ (eq-one)

By [the *first* line](#eq-one), and by [](#eq-one).
"""


@pytest.mark.parametrize("kept", [True, False])
def test_links_to_equations_keep_their_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
):
    from sphinx.application import Sphinx

    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    (tmp_path / "index.md").write_text(EQUATIONS)
    used = ["myst_parser"] + kept * ["equations"]
    options = {"extensions": used, "myst_enable_extensions": ["dollarmath"]}
    places = (tmp_path, None, tmp_path / "out", tmp_path / "tree")
    Sphinx(*places, "html", options, status=None, warning=None).build()
    page = (tmp_path / "out" / "index.html").read_text()
    links = re.findall(r'href="#equation-eq-one">(.*?)</a>', page)
    plain = [re.sub("<.*?>", "", text) for text in links]
    assert plain == ["the first line" if kept else "(1)", "(1)"]


def keys() -> list[str]:
    """The keys of all bibliography entries."""
    text = "".join(p.read_text() for p in sorted(ROOT.glob("book/references/*.bib")))
    return re.findall(r"^@\w+\{([^,]+),", text, flags=re.MULTILINE)


def test_bibliography_keys_are_unique_and_all_files_are_read():
    assert len(keys()) == len(set(keys())) > 0
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    files = {p.relative_to(ROOT).as_posix() for p in ROOT.glob("book/references/*.bib")}
    assert set(config["bibtex_bibfiles"]) == files


def test_every_entry_names_what_confirmed_it():
    for path in ROOT.glob("book/references/*.bib"):
        for comment, key in re.findall(r"(.*)\n@\w+\{([^,]+),", path.read_text()):
            confirmed = re.match(
                r"% (arXiv:\d{4}\.\d{4,5}|doi:10\.|jmlr\.org/)", comment
            )
            assert confirmed, f"{path.name}: {key}"


def test_every_cited_key_exists():
    sources = [*ROOT.glob("book/*.md"), *ROOT.glob("chapters/*/*.py")]
    cited = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")
    lost = [
        f"{path.name}: {key.strip()}"
        for path in sources
        for group in cited.findall(path.read_text(encoding="utf-8"))
        for key in group.split(",")
        if key.strip() not in keys()
    ]
    assert lost == []


def test_the_example_on_the_home_page_runs(capsys: pytest.CaptureFixture):
    page = (ROOT / "book/index.md").read_text(encoding="utf-8")
    exec(re.search(r"```python\n(.*?)```", page, flags=re.DOTALL)[1], {})
    assert capsys.readouterr().out.startswith("tensor(")
