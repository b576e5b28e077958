"""The catalogue behind the entrances: papers of the atlas, claims of the chapters.

Plain functions over `book/atlas.yml` (one row a paper) and over the claims files
that executing the chapters leaves beside them. Data that do not fit together raise
`Fault`, which ends the build with one sentence.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

PARTS = {
    "gaussian": "Gaussian worlds",
    "interpolants": "Stochastic interpolants",
    "samplers": "Samplers",
    "mixtures": "Mixtures",
    "geometry": "Geometry",
    "learning": "Learning",
    "inverse": "Inverse problems",
    "discrete": "Discrete states",
    "systems": "Systems",
    "representation": "Representation and safety",
}
KINDS = ("symbolic", "exact", "statistical", "trained")
PAPER_LINK = re.compile(r'<a class="paper" data-paper="(\d+)">')
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Fault(ValueError):
    """The claims files and the atlas do not fit together; says where, in a sentence."""


@dataclass(frozen=True)
class Paper:
    """One row of the atlas; `key` is its bibliography entry, or empty."""

    number: str
    title: str
    part: str
    note: str = ""
    key: str = ""


@dataclass(frozen=True)
class Claim:
    """One claim of one chapter; `controls` maps a wrong formula to error / tol."""

    id: str
    says: str
    kind: str
    papers: tuple[str, ...]
    chapter: str
    tol: float
    controls: dict[str, float | None]

    @property
    def anchor(self) -> str:
        """The id of the verdict box on the chapter's page."""
        return "claim-" + self.id.replace("/", "-")

    @property
    def name(self) -> str:
        """The claim's own name in words, without its chapter's."""
        return self.id.rpartition("/")[2].replace("-", " ")


def read_atlas(path: Path) -> dict[str, Paper]:
    """The rows of the atlas by number. Raises Fault for a bad or repeated row."""
    papers: dict[str, Paper] = {}
    for row in yaml.safe_load(path.read_text(encoding="utf-8")) or []:
        number = str(row.get("paper", ""))
        if not re.fullmatch(r"\d{3}", number):
            raise Fault(f"{path.name}: paper {number!r} is not a three-digit number.")
        if number in papers:
            raise Fault(f"{path.name}: paper {number} has two rows.")
        if not row.get("title"):
            raise Fault(f"{path.name}: paper {number} has no title.")
        if row.get("part") not in PARTS:
            part = row.get("part")
            raise Fault(f"{path.name}: paper {number} has unknown part {part}.")
        papers[number] = Paper(
            number,
            row["title"],
            row["part"],
            str(row.get("note") or "").strip(),
            row.get("key") or "",
        )
    return papers


def read_claims(folder: Path, papers: dict[str, Paper]) -> list[Claim]:
    """All claims below `chapters/`, in the order of files and of their cells.

    Raises Fault for a file that is not a claims file, an id used twice, an unknown
    kind or paper, a claim without a control, or a claim filed under another chapter.
    """
    claims: dict[str, Claim] = {}
    for path in sorted(folder.glob("*/*.claims.json")):
        home = path.relative_to(folder).as_posix().removesuffix(".claims.json")
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))["claims"]
            found = [
                Claim(
                    row["id"],
                    row["says"],
                    row["kind"],
                    tuple(row["papers"]),
                    row["chapter"],
                    row["tol"],
                    row["controls"],
                )
                for row in rows
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise Fault(f"{home}: not a claims file ({error!r}).") from error
        for claim in found:
            where = f"{home}: claim {claim.id}"
            if claim.id in claims:
                raise Fault(f"{where} is already in {claims[claim.id].chapter}.")
            if not claim.controls:
                raise Fault(f"{where} has no control, so nothing could fail it.")
            if claim.kind not in KINDS:
                raise Fault(f"{where} has unknown kind {claim.kind!r}.")
            if claim.chapter != home:
                raise Fault(f"{where} says it belongs to chapter {claim.chapter}.")
            for number in claim.papers:
                if number not in papers:
                    raise Fault(f"{where} cites paper {number}, not in the atlas.")
            claims[claim.id] = claim
    return list(claims.values())


def read_toc(path: Path) -> list[str]:
    """The pages in the order of `_toc.yml`."""
    text = path.read_text(encoding="utf-8")
    return re.findall(r"^\s*- file: (\S+)", text, flags=re.MULTILINE)


def by_paper(claims: list[Claim]) -> dict[str, list[Claim]]:
    """The claims of each paper that has any."""
    table: dict[str, list[Claim]] = {}
    for claim in claims:
        for number in claim.papers:
            table.setdefault(number, []).append(claim)
    return table


def beyond(factor: float | None) -> str:
    """In words, how far a wrong formula is beyond the tolerance."""
    if factor is None or math.isinf(factor):
        return "not zero"
    if factor < 10:
        return f"{factor:g} times the tolerance"
    power = str(math.floor(math.log10(factor))).translate(RAISED)
    return f"10{power} times the tolerance"


def tolerance(claim: Claim) -> str:
    """The tolerance as a reader should see it, its number first."""
    number = re.sub(r"e([+-])0*", r"e\1", f"{claim.tol:g}").replace("e+", "e")
    return f"{number} standard errors" if claim.kind == "statistical" else number


def link_papers(body: str, papers: dict[str, Paper], base: str) -> str:
    """Give each paper number of a page's verdicts its link. Raises Fault."""

    def link(match: re.Match[str]) -> str:
        number = match[1]
        if number not in papers:
            raise Fault(f"a verdict cites paper {number}, not in the atlas.")
        return f'{match[0][:-1]} href="{base}#paper-{number}">'

    return PAPER_LINK.sub(link, body)
