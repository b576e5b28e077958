"""The reader's exercises, generated from a chapter.

The statement and the solution are written once, in the chapter. The reader's
notebook holds the cells tagged ``setup``, then the section "Exercises" with the
bodies of the functions in the cells tagged ``solution`` taken out.
"""

from __future__ import annotations

import ast
import re

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

BLANK = "return ...  # your answer"
HEADING = re.compile(r"^## ", re.MULTILINE)
EXERCISES = re.compile(r"^## Exercises\s*$", re.MULTILINE)


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return list(cell.metadata.get("tags", []))


def section(nb: NotebookNode) -> list[NotebookNode]:
    """The cells from the heading "## Exercises" to the next of its level.

    A heading may stand inside a Markdown cell, which is then cut there.
    """
    found: list[NotebookNode] = []
    for cell in nb.cells:
        text = cell.source
        if cell.cell_type != "markdown":
            found += [cell] if found else []
            continue
        if not found:
            start = EXERCISES.search(text)
            if not start:
                continue
            text = text[start.start() :]
        end = HEADING.search(text, 0 if found else 1)
        text = text[: end.start()] if end else text
        if text.strip():
            found.append(NotebookNode({**cell, "source": text.strip()}))
        if end:
            break
    return found


def setup(nb: NotebookNode) -> list[NotebookNode]:
    """What the exercises need of the chapter: its Colab cell and its setup."""
    asked = {cell["id"] for cell in section(nb)}
    code = [c for c in nb.cells if c.cell_type == "code" and c["id"] not in asked]
    colab = [c for c in code[:1] if "remove-cell" in tags(c)]
    return colab + [c for c in code if "setup" in tags(c)]


def blank(source: str) -> str:
    """A solution with its function bodies taken out; docstrings stay.

    Raises: ValueError if the cell holds more than functions and imports, since
    the rest would give the answer away.
    """
    lines, kept = source.split("\n"), []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            kept += lines[node.lineno - 1 : node.end_lineno]
        elif isinstance(node, ast.FunctionDef):
            kept += _signature(node, lines)
        else:
            raise ValueError(
                f"a solution cell may hold functions and imports, not line"
                f" {node.lineno}: {lines[node.lineno - 1]}"
            )
    return "\n".join(kept).strip("\n")


def student(nb: NotebookNode, name: str) -> NotebookNode | None:
    """The reader's notebook of the chapter ``name``, None if it has no exercises."""
    asked = section(nb)
    if not asked:
        return None
    slug = name.rpartition("/")[2]
    title = re.search(r"^# (.+)$", nb.cells[0].source, re.MULTILINE)
    head = new_markdown_cell(
        f"# Exercises: {title[1] if title else slug}\n\n"
        f"From the chapter [{title[1] if title else slug}](../{slug}.ipynb). "
        "Write each function, run its cell, then run the cell that judges it."
    )
    cells = [head]
    for cell in setup(nb) + asked:
        if cell.cell_type == "markdown" and "solution" not in tags(cell):
            cells.append(new_markdown_cell(_from_below(cell.source, slug)))
        elif cell.cell_type == "code":
            solved = "solution" in tags(cell)
            cells.append(new_code_cell(blank(cell.source) if solved else cell.source))
    for i, cell in enumerate(cells):
        cell["id"] = f"{slug}-exercises-{i:03d}"
    return new_notebook(cells=cells, metadata=nb.metadata)


def _from_below(text: str, slug: str) -> str:
    """A text with its relative links as they read one folder further down."""
    text = re.sub(r"\]\((?!#|[a-z]+:)", "](../", text)
    return text.replace("](#", f"](../{slug}.ipynb#")


def _signature(node: ast.FunctionDef, lines: list[str]) -> list[str]:
    """The lines of a function up to its body, with a blank for its body."""
    start = min([node.lineno] + [d.lineno for d in node.decorator_list])
    first, has_doc = node.body[0], ast.get_docstring(node) is not None
    if has_doc:
        kept = lines[start - 1 : first.end_lineno]
    elif first.lineno == node.lineno:  # def f(x): return x
        line = lines[first.lineno - 1].encode()[: first.col_offset].decode()
        kept = [*lines[start - 1 : first.lineno - 1], line.rstrip()]
    else:  # up to the colon: comments above the body may tell the answer
        kept = lines[start - 1 : first.lineno - 1]
        while not kept[-1].split("#")[0].rstrip().endswith(":"):
            kept.pop()
    return ["", "", *kept, f"    {BLANK}"]
