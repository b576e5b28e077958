"""Three entrances to the book: by part, by claim, by paper.

The tables are made at build time from the catalogue, so they cannot disagree with
the chapters. A verdict on a chapter's page names its papers by number only; here the
numbers get their links.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from catalogue import (
    PARTS,
    Claim,
    Fault,
    Paper,
    beyond,
    by_paper,
    link_papers,
    read_atlas,
    read_claims,
    read_toc,
    tolerance,
)
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

BIBLIOGRAPHY = "book/bibliography"
PAGES = ("book/parts", "book/claims", "book/papers")
PAPERS = PAGES[2]


class Entrance(SphinxDirective):
    """What the three directives share: the data, links, cells and tables."""

    @property
    def data(self) -> tuple[dict[str, Paper], list[Claim]]:
        return self.env.app.entrances

    def uri(self, page: str) -> str:
        return self.env.app.builder.get_relative_uri(self.env.docname, page)

    def link(self, text: str, page: str, anchor: str = "") -> nodes.reference:
        uri = self.uri(page) + (f"#{anchor}" if anchor else "")
        return nodes.reference(text, text, refuri=uri, internal=True)

    def inline(self, text: str) -> list[nodes.Node]:
        return self.state.inline_text(text, self.lineno)[0]

    def chapter(self, slug: str) -> list[nodes.Node]:
        return self.inline(f"{{doc}}`/chapters/{slug}`")

    def cell(self, *content: nodes.Node, markdown: str = "") -> nodes.entry:
        entry = nodes.entry()
        if markdown:
            lines = StringList(markdown.splitlines(), self.env.docname)
            self.state.nested_parse(lines, 0, entry)
        if content:
            entry += nodes.paragraph("", "", *content)
        return entry

    def table(self, name: str, prompt: str, heads: list[str], rows: list[nodes.row]):
        """A filter box and a table that `entrances.js` searches and sorts."""
        box = (
            f'<div class="entrance-filter"><label for="{name}-filter">{prompt}</label>'
            f'<input type="search" id="{name}-filter" data-table="{name}" '
            f'autocomplete="off"><output for="{name}-filter"></output></div>'
        )
        table = nodes.table(ids=[name], classes=["entrance"])
        group = nodes.tgroup(cols=len(heads))
        group += [nodes.colspec(colwidth=1) for _ in heads]
        top = nodes.row("", *[self.cell(nodes.Text(head)) for head in heads])
        group += [nodes.thead("", top), nodes.tbody("", *rows)]
        table += group
        return [nodes.raw("", box, format="html"), table]


class ClaimTable(Entrance):
    """`{claim-table}`: one row a claim, with the wrong formulas it rejects."""

    def run(self) -> list[nodes.Node]:
        claims = self.data[1]
        heads = ["Claim", "Kind", "Papers", "Chapter", "Tolerance", "Rejects"]
        return self.table(
            "claim-table", "Search the claims", heads, [self.row(c) for c in claims]
        )

    def row(self, claim: Claim) -> nodes.row:
        page = f"chapters/{claim.chapter}"
        says = self.cell(self.link(claim.id, page, claim.anchor), markdown=claim.says)
        papers: list[nodes.Node] = []
        for number in claim.papers:
            papers += [self.link(number, PAPERS, f"paper-{number}"), nodes.Text(" ")]
        many = "wrong formula" if len(claim.controls) == 1 else "wrong formulas"
        summary = f"<details><summary>{len(claim.controls)} {many}</summary>"
        gone = "\n".join(f"- {k}: {beyond(v)}" for k, v in claim.controls.items())
        controls = self.cell(markdown=gone)
        controls.insert(0, nodes.raw("", summary, format="html"))
        controls += nodes.raw("", "</details>", format="html")
        return nodes.row(
            "",
            says,
            self.cell(nodes.Text(claim.kind)),
            self.cell(*papers),
            self.cell(*self.chapter(claim.chapter)),
            self.cell(nodes.Text(tolerance(claim))),
            controls,
        )


class PaperTable(Entrance):
    """`{paper-table}`: all rows of the atlas, each with its claims, note or neither."""

    def run(self) -> list[nodes.Node]:
        papers, claims = self.data
        found = by_paper(claims)
        heads = ["Number", "Title", "Part", "Claims"]
        rows = [self.row(paper, found.get(n, [])) for n, paper in papers.items()]
        return self.table("paper-table", "Search the papers", heads, rows)

    def row(self, paper: Paper, claims: list[Claim]) -> nodes.row:
        title: list[nodes.Node] = [nodes.Text(paper.title)]
        if paper.key:
            title += [nodes.Text(" "), *self.inline(f"{{cite}}`{paper.key}`")]
        if claims:
            last = self.cell()
            for slug in dict.fromkeys(claim.chapter for claim in claims):
                line = nodes.paragraph("", "", *self.chapter(slug), nodes.Text(": "))
                mine = [claim for claim in claims if claim.chapter == slug]
                for i, claim in enumerate(mine):
                    line += nodes.Text(" · " if i else "")
                    line += self.link(claim.name, f"chapters/{slug}", claim.anchor)
                last += line
        elif paper.note:
            last = self.cell(markdown=paper.note)
        else:
            last = self.cell(nodes.inline("", "not yet", classes=["not-yet"]))
        cells = [
            self.cell(nodes.Text(paper.number)),
            self.cell(*title),
            self.cell(nodes.Text(PARTS[paper.part])),
            last,
        ]
        return nodes.row("", *cells, ids=[f"paper-{paper.number}"])


class PartList(Entrance):
    """`{part} folder`: the chapters of one part, and how many papers have claims."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        folder, (papers, claims) = self.arguments[0], self.data
        toc = read_toc(Path(self.env.app.confdir, "_toc.yml"))
        chapters = [page for page in toc if page.startswith(f"chapters/{folder}/")]
        bullets = nodes.bullet_list()
        for page in chapters:
            slug = page.removeprefix("chapters/")
            count = sum(claim.chapter == slug for claim in claims)
            text = f" ({count} claim{'' if count == 1 else 's'})" if count else ""
            line = nodes.paragraph("", "", *self.chapter(slug), nodes.Text(text))
            bullets += nodes.list_item("", line)
        result: list[nodes.Node] = [bullets] if chapters else []
        if folder in PARTS:
            mine = {n for n, paper in papers.items() if paper.part == folder}
            done = len(mine & by_paper(claims).keys())
            link = self.link(f"{len(mine)} papers", PAPERS)
            link["refuri"] += "?q=" + PARTS[folder].replace(" ", "+")
            tail = nodes.Text(f", {done} with claims.")
            line = nodes.paragraph("", "", link, tail, classes=["part-count"])
            if not chapters:
                line += nodes.Text(" No chapter yet.")
            result.append(line)
        return result


def outdated(app: Sphinx, env, added, changed, removed) -> list[str]:
    """Read the data; have the three pages read again if they changed."""
    root = Path(app.confdir)
    files = [root / "book/atlas.yml", *sorted(root.glob("chapters/*/*.claims.json"))]
    try:
        papers = read_atlas(files[0])
        claims = read_claims(root / "chapters", papers)
        for slug in {claim.chapter for claim in claims}:
            if f"chapters/{slug}" not in env.found_docs:
                raise Fault(f"chapter {slug} has claims but is not in _toc.yml.")
        toc = read_toc(root / "_toc.yml")
        claims.sort(key=lambda claim: toc.index(f"chapters/{claim.chapter}"))
    except Fault as fault:
        raise ExtensionError(str(fault), modname="entrances") from fault
    app.entrances = papers, claims
    files.append(root / "_toc.yml")
    # a new .bib file is not seen before the page that lists it is read again
    sources = {BIBLIOGRAPHY: sorted(root.glob("book/references/*.bib"))}
    sources |= dict.fromkeys(PAGES, files)
    digests = {page: _digest(read) for page, read in sources.items()}
    before = getattr(env, "entrances_digests", {})
    env.entrances_digests = digests
    return [p for p in digests if p in env.found_docs and before.get(p) != digests[p]]


def _digest(files: list[Path]) -> str:
    content = b"\0".join(str(f).encode() + f.read_bytes() for f in files)
    return hashlib.sha256(content).hexdigest()


def page_context(app: Sphinx, pagename, templatename, context, doctree) -> None:
    """Link the papers of a page's verdicts; give the tables their script."""
    body = context.get("body") or ""
    if not doctree:
        return
    base = app.builder.get_relative_uri(pagename, PAPERS)
    try:
        context["body"] = link_papers(body, app.entrances[0], base)
    except Fault as fault:
        raise ExtensionError(f"{pagename}: {fault}", modname="entrances") from fault
    if 'class="entrance-filter"' in body:
        app.add_js_file("entrances.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the three directives and the two steps around them."""
    app.add_directive("claim-table", ClaimTable)
    app.add_directive("paper-table", PaperTable)
    app.add_directive("part", PartList)
    app.connect("env-get-outdated", outdated)
    app.connect("html-page-context", page_context)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
