"""Keep the built site free of everything it does not need or must not load.

MathJax comes from a package that ships every output format; the book uses one.
Prune the rest, so that the site stays small enough to hand around as a folder.
Remove the style sheet that matplotlib's animation player fetches from a CDN.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx

KEEP = ("tex-chtml.js", "output", "input")
CDN_STYLE = re.compile(r"<link[^>]*maxcdn\.bootstrapcdn\.com[^>]*>")


def prune(mathjax: Path) -> None:
    """Leave `tex-chtml.js`, its fonts and the TeX extensions in `mathjax`."""
    for entry in mathjax.iterdir():
        if entry.name not in KEEP:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for folder, kept in (("output", "chtml"), ("input", "tex")):
        for entry in (mathjax / folder).iterdir():
            if entry.name != kept:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def unlink_cdn(page: Path) -> None:
    """Remove from one built page the links to the animation player's CDN."""
    text = page.read_text(encoding="utf-8")
    clean = CDN_STYLE.sub("", text)
    if clean != text:
        page.write_text(clean, encoding="utf-8")


def finish(app: Sphinx, error: Exception | None) -> None:
    """Clean the output folder of a successful HTML build."""
    if error or app.builder.format != "html":
        return
    for bundle in Path(app.outdir).glob("_static/**/tex-chtml.js"):
        prune(bundle.parent)
    for page in Path(app.outdir).rglob("*.html"):
        unlink_cdn(page)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the clean-up after every other extension's last step."""
    app.connect("build-finished", finish, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
