"""What of diffkit a chapter stands on, read from its imports.

A chapter is out of date when the text of one of these modules has changed; the
docstrings, comments and blank lines of a module do not count.
"""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from pathlib import Path


def essence(source: str) -> str:
    """Source text without docstrings, comments and blank lines.

    By lines, not by ``ast.unparse``: it is the same in every Python version.
    """
    lines = source.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    scopes = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, scopes) and ast.get_docstring(node, clean=False):
            doc = node.body[0]
            if not lines[doc.lineno - 1][: doc.col_offset].strip():
                lines[doc.lineno - 1 : doc.end_lineno] = [""] * (
                    doc.end_lineno - doc.lineno + 1
                )
    return "\n".join(line.rstrip() for line in lines if line.strip())


def file_of(name: str, root: Path) -> Path | None:
    """The file of ``diffkit.name``, None if it is no module."""
    stem = root.joinpath("diffkit", *name.split("."))
    options = (stem.with_suffix(".py"), stem / "__init__.py")
    return next((p for p in options if p.exists()), None)


def imported(source: str, package: str = "") -> set[str]:
    """Dotted names below ``diffkit`` that a source may import, at any depth.

    A name may turn out to be a class of a module: the caller looks. ``package``
    is where a relative import starts, below diffkit.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = f"diffkit.{package}".rstrip(".").split(".")
                up = parents[: len(parents) - node.level + 1]
                base = ".".join([*up, base]).rstrip(".")
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")  # diffkit.laws
    return {n.removeprefix("diffkit.") for n in found if n.startswith("diffkit.")}


def hashes(source: str, root: Path) -> dict[str, str]:
    """The modules of diffkit that a source uses, directly or not: their hashes."""
    found: dict[str, str] = {}
    wanted = imported(source)
    while wanted:
        name = wanted.pop()
        file = file_of(name, root)
        if file is None or name in found:
            continue
        text = file.read_text()
        found[name] = hashlib.sha256(essence(text).encode()).hexdigest()[:12]
        inside = file.name == "__init__.py"
        wanted |= imported(text, name if inside else name.rpartition(".")[0])
        if "." in name:
            wanted.add(name.rpartition(".")[0])
    return dict(sorted(found.items()))
