"""progress: what a terminal and a clock, both of the test's own, come to see."""

import io
import sys

import pytest
import torch

from diffkit import solvers, tables
from diffkit.solvers import progress
from diffkit.solvers.progress import Bar


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_run_of_two_seconds_shows_nothing():
    screen, clock = Terminal(), Clock()
    with Bar(screen, clock) as tell:
        for part in (0.1, 0.5, 1.0):
            clock.now += 0.66
            tell(part)
    assert screen.getvalue() == ""


def test_a_longer_run_shows_how_much_is_done_and_what_is_left():
    screen, clock = Terminal(), Clock()
    with Bar(screen, clock) as tell:
        clock.now += 3
        tell(0.25)
        line = screen.getvalue().split("\r")[-1]
        # a quarter of 30 characters is rounded to even; 3 s more for each quarter
        assert line.rstrip() == "=" * 8 + "." * 22 + "  25%, 9 s left"
        clock.now += 3
        tell(1.0)
        line = screen.getvalue().split("\r")[-1]
        assert line.rstrip() == "=" * 30 + " 100%, 0 s left"


def test_at_the_start_nothing_is_known_of_the_end():
    screen, clock = Terminal(), Clock()
    with Bar(screen, clock) as tell:
        clock.now += 3
        tell(0.0)
    assert "  0%" in screen.getvalue() and "left" not in screen.getvalue()


def rendered(text: str) -> str:
    """What is seen of a line after all returns of the carriage."""
    seen: list[str] = []
    for part in text.split("\r"):
        seen[: len(part)] = part
    return "".join(seen)


def test_a_line_covers_the_one_before_and_is_wiped_at_the_end():
    screen, clock = Terminal(), Clock()
    with pytest.raises(KeyboardInterrupt), Bar(screen, clock) as tell:
        clock.now += 1000
        tell(0.001)
        long = len(rendered(screen.getvalue()))
        clock.now += 1
        tell(0.999)
        seen = rendered(screen.getvalue())
        assert len(seen) <= long and seen.endswith("100%, 1 s left".ljust(long - 31))
        raise KeyboardInterrupt
    assert rendered(screen.getvalue()).strip() == ""
    assert screen.getvalue().endswith("\r") and "\n" not in screen.getvalue()


def test_it_writes_at_most_ten_times_a_second():
    screen, clock = Terminal(), Clock()
    with Bar(screen, clock) as tell:
        for i in range(1000):
            clock.now += 0.01
            tell(i / 1000)
    # 8 of the 10 seconds are shown, then it is wiped
    assert 70 <= screen.getvalue().count("%") <= 81


def test_pipes_and_files_see_nothing():
    stream, clock = io.StringIO(), Clock()
    with Bar(stream, clock) as tell:
        clock.now += 100
        tell(0.5)
    assert stream.getvalue() == ""


def test_a_notebook_kernel_is_no_terminal():
    iostream = pytest.importorskip("ipykernel.iostream", reason="no kernel here")
    assert iostream.OutStream.isatty(type("Kernel", (), {"_isatty": False})()) is False


@pytest.mark.parametrize("stream", [None, object()])
def test_without_a_standard_error_it_is_silent(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "AFTER", 0.0)
    with Bar() as tell:
        tell(0.5)


def test_it_writes_to_standard_error_by_its_own_clock(monkeypatch):
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    monkeypatch.setattr(progress, "AFTER", 0.0)
    with Bar() as tell:
        tell(0.5)
    assert " 50%" in screen.getvalue()


STEPS = {
    "table": tables.euler(tables.uniform(0.0, 1.0, 4)),
    "adaptive": solvers.Adaptive(0.0, 1.0, first=0.25),
}


@pytest.mark.parametrize("name", list(STEPS))
def test_solve_tells_how_far_it_is(name, monkeypatch):
    screen, clock = Terminal(), Clock()
    for module in ("fold", "adaptive"):
        module = sys.modules[f"diffkit.solvers.{module}"]
        monkeypatch.setattr(module, "Bar", lambda: Bar(screen, clock))

    def slow(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        clock.now += 1
        return 0 * x

    solvers.solve(STEPS[name], slow, torch.zeros(1, 1).double())
    told = [line.split()[1] for line in screen.getvalue().split("\r") if "%" in line]
    # the table's second step of four ends at two seconds; of the other's the first is
    # a quarter, and the next, five times as long, all the rest
    assert told == (["50%,", "75%,", "100%,"] if name == "table" else ["25%,", "100%,"])
