"""The docstrings of the house, taken apart: plain text, not markup.

A docstring is paragraphs, indented formulas, and the parts `Raises:`, `Source:` and
`Checked:`, which may stand anywhere in a paragraph and reach to the next label.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LABELS = ("Raises", "Source", "Checked")
PART = re.compile(rf"\b({'|'.join(LABELS)}): (.*?)(?=\b[A-Z]\w+: |\Z)", re.DOTALL)
NOUN = re.compile(r"([A-Z][\w ]*): (?=\S)")
# In prose: code, **strong** and *stressed* words, names as in "x, y: " and "x (n, d)".
TOKEN = re.compile(
    r"``(?P<code>.+?)``|`(?P<name>[^`]+)`"
    r"|\*\*(?P<strong>\w[^*]*)\*\*"
    r"|(?<![\w*(])\*(?P<stress>\w[\w -]*)\*(?![\w*])"
    r"|\b(?P<label>\w+(?:, \w+)*)(?=: | \(\*?[\w|]+,)"
)


def noun(doc: str) -> tuple[str, str]:
    """The first paragraph, "Laws: mixtures.", as ("Laws", "Mixtures.")."""
    first = " ".join(doc.split("\n\n")[0].split())
    found = NOUN.match(first)
    name, rest = (found[1], first[found.end() :]) if found else ("", first)
    return name, rest[:1].upper() + rest[1:]


def items(doc: str) -> list[tuple[str, str]]:
    """The paragraphs ("text") and indented blocks ("block"), then the parts."""
    runs: list[tuple[str, list[str]]] = []
    kind = ""
    for line in doc.strip().splitlines():
        if not line.strip():  # ends a paragraph; a block only if prose follows
            kind = kind if kind == "block" else ""
            runs[-1][1].append("")
            continue
        old, kind = kind, "block" if line[0] == " " else "text"
        if kind != old:
            runs.append((kind, []))
        runs[-1][1].append(line.rstrip())
    parts: list[tuple[str, str]] = []

    def keep(match: re.Match[str]) -> str:
        parts.append((match[1], " ".join(match[2].split()).rstrip(".")))
        return ""

    found = []
    for kind, lines in runs:
        text = "\n".join(lines).rstrip()
        if kind == "text":
            text = " ".join(PART.sub(keep, text).split())
        found += [(kind, text)] * bool(text)
    return found + [part for label in LABELS for part in parts if part[0] == label]


def pieces(text: str, known: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
    """Prose as (kind, text): plain, code, name (code in single `), stress, strong.

    known: the parameters; where a sentence explains one, "x: ", x is code.
    """
    at = 0
    for match in TOKEN.finditer(text):
        kind, said = match.lastgroup, match[match.lastgroup]
        words = said.split(", ")
        if kind == "label" and not known.issuperset(words):
            continue
        yield "plain", text[at : match.start()]
        at = match.end()
        if kind != "label":
            yield kind, said
            continue
        for i, word in enumerate(words):
            yield "plain", ", " * bool(i)
            yield "code", word
    yield "plain", text[at:]
