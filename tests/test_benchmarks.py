"""The benchmark runs, at smoke size; its numbers meet their bounds, and can miss."""

import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import exact
import twins

from diffkit import worlds

# steps of 7 meet every storage and nearly every path
FEW = [twin for i, twin in enumerate(twins.all_twins(few=True)) if i % 7 == 0]


def holding(rows: list[exact.Row]) -> dict[str, bool]:
    """Which of the rows that have a bound meet it."""
    bound = [row for row in rows if max(row.low, -row.high) > -math.inf]
    assert bound
    return {row.what: row.holds for row in bound}


@pytest.mark.parametrize("part", [exact.fields, exact.equations])
def test_the_exact_parts_meet_their_bounds(part):
    assert all(holding(part(FEW, 10)).values())


def test_a_law_that_is_wrong_by_a_millionth_is_seen():
    twin = FEW[0]
    wrong = worlds.World(twin.world.path, twin.world.joint.push(1 + 1e-6))
    rows = exact.fields([twin._replace(world=wrong)], 10)
    assert not any(holding(rows).values())
    rows = exact.equations([twin._replace(world=wrong)], 10)
    assert not all(holding(rows).values())


def test_both_scores_of_the_digits_agree():
    rows = exact.times(points=5, repeat=1)
    assert len(holding(rows)) == 1 and all(holding(rows).values())


def test_a_process_tells_its_peak():
    peak, growth, spent = exact.fresh(exact.PEAK, "score", "100", "each")
    assert 0 <= growth < peak < 2 and spent > 0


def test_a_number_that_is_none_holds_nowhere():
    assert not exact.Row("", float("nan"), high=1.0).holds
