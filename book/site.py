"""Check the built book: `python book/site.py _build/html`.

Prints one line a fault and exits with 1 if there is any. A fault is a link or a
fragment that leads nowhere, anything loaded from outside, an image without a real
text alternative, TeX that no formula contains, or an id used twice on a page.
Only the standard library is needed.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {  # what a browser fetches without being asked
    "script": ("src",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "track": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "input": ("src",),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
}
QUIET = ("canonical", "next", "prev", "search", "index", "author", "license")
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta"}
VOID |= {"source", "track", "wbr"}
CODE = {"script", "style", "code", "pre", "title", "textarea"}
CSS_URL = re.compile(r"""(?:url\(\s*|@import\s+)["']?([^"'()\s;]+)""", re.IGNORECASE)
TEX = re.compile(
    r"\$[^\s$](?:[^$\n]*[^\s$])?\$|\\\(|\\\[|\\(?:begin|frac|sqrt|math\w+)(?![a-z])"
)


def external(uri: str) -> bool:
    """Whether a browser would leave the book to load this."""
    return urlsplit(uri.strip()).scheme in ("http", "https") or uri.startswith("//")


def styles(css: str) -> list[str]:
    """The addresses a style sheet loads from outside."""
    return [uri for uri in CSS_URL.findall(css) if external(uri)]


class Page(HTMLParser):
    """What one page holds: ids, links, and the faults that it alone can show."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.ids: Counter[str] = Counter()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.local: list[str] = []
        self.faults: list[str] = []
        self.open: list[tuple[str, bool]] = []  # tag, and whether TeX is at home in it
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if "id" in at:
            self.ids[at["id"]] += 1
        if tag == "a":
            self.names.add(at.get("name", ""))
            if "href" in at:
                self.links.append(at["href"])
        if tag == "img":
            self.image(at)
        loads = [at[name] for name in LOADS.get(tag, ()) if name in at]
        if tag == "link" and not set(at.get("rel", "").split()) & set(QUIET):
            loads.append(at.get("href", ""))
        for uri in loads:
            for part in uri.split(",") if " " in uri.strip() else [uri]:
                self.load(part.strip().split(" ")[0])
        for uri in styles(at.get("style", "")):
            self.load(uri)
        quiet = tag in CODE or "math" in at.get("class", "").split()
        if tag not in VOID:
            self.open.append((tag, quiet or (bool(self.open) and self.open[-1][1])))

    def handle_endtag(self, tag: str) -> None:
        for i in range(len(self.open) - 1, -1, -1):
            if self.open[i][0] == tag:
                del self.open[i:]
                return

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1][0] == "style":
            for uri in styles(data):
                self.load(uri)
        if not (self.open and self.open[-1][1]):
            for match in TEX.finditer(data):
                self.faults.append(f"raw TeX: {match[0][:60]}")

    def load(self, uri: str) -> None:
        if external(uri):
            self.faults.append(f"external resource: {uri}")
        elif uri and not uri.startswith(("data:", "#")):
            self.local.append(uri)

    def image(self, at: dict[str, str]) -> None:
        alt, name = at.get("alt", "").strip(), at.get("src", "")[:80]
        path = "_images/" in alt or re.fullmatch(r"\S+\.(png|svg|jpe?g|gif)", alt)
        if not alt or path:
            self.faults.append(f"image without alt text: {name}")


def target(root: Path, page: Path, path: str) -> Path:
    """The file that a relative address on a page means."""
    base = root if path.startswith("/") else page.parent
    found = (base / unquote(path).lstrip("/")).resolve() if path else page
    return found / "index.html" if found.is_dir() else found


def lost(root: Path, page: Path, uri: str, pages: dict[Path, Page]) -> str:
    """Why a link leads nowhere, or an empty string."""
    parts = urlsplit(uri)
    if parts.scheme or parts.netloc:
        return ""
    found = target(root, page, parts.path)
    if not found.is_file():
        return f"broken link: {uri}"
    anchor = unquote(parts.fragment)
    if not anchor or anchor == "top" or found not in pages:
        return ""
    known = pages[found]
    there = anchor in known.ids or anchor in known.names
    return "" if there else f"no such place: {uri}"


def faults(root: Path | str) -> list[str]:
    """One line a fault, `page: what is wrong`; raises FileNotFoundError if no site."""
    root = Path(root).resolve()
    files = sorted(
        path
        for path in root.rglob("*.html")
        if not path.relative_to(root).parts[0].startswith("_")
    )
    if not files:
        raise FileNotFoundError(f"{root} holds no pages; build the book first")
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in files}
    lines = []
    for path, page in pages.items():
        found = [f"id used {n} times: {i}" for i, n in page.ids.items() if n > 1]
        found += [lost(root, path, uri, pages) for uri in page.links]
        for uri in page.local:
            if not target(root, path, urlsplit(uri).path).is_file():
                found.append(f"missing file: {uri}")
        name = path.relative_to(root).as_posix()
        lines += [f"{name}: {fault}" for fault in page.faults + found if fault]
    for path in sorted(root.rglob("*.css")):
        text = path.read_text(encoding="utf-8", errors="replace")
        name = path.relative_to(root).as_posix()
        lines += [f"{name}: external resource: {uri}" for uri in styles(text)]
    return list(dict.fromkeys(lines))


def main(arguments: list[str]) -> int:
    """Print the faults of the site named first, or of `_build/html`."""
    root = arguments[0] if arguments else "_build/html"
    lines = faults(root)
    print("\n".join(lines) if lines else f"{root}: no faults")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
