"""Progress: a line on the terminal for runs that last, and silence everywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from io import TextIOBase

AFTER, EVERY, WIDTH = 2.0, 0.1, 30  # seconds, seconds, characters


class Bar:
    """How much of a run is done and what is left: ``with Bar() as tell: tell(0.3)``.

    Written to standard error, only if that is a terminal, after 2 seconds, at most
    ten times a second, and wiped at the end: notebooks, tests and pipes see nothing.
    Checked: tests/test_progress.py
    """

    def __init__(
        self,
        stream: TextIOBase | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        stream = sys.stderr if stream is None else stream
        self.stream = stream if getattr(stream, "isatty", bool)() else None
        self.clock, self.begun, self.drawn = clock, clock(), 0
        self.due = self.begun + AFTER

    def __enter__(self) -> Bar:
        return self

    def __call__(self, part: float) -> None:
        """Show that this part of the run is done, a number in [0, 1]."""
        if self.stream is None or (now := self.clock()) < self.due:
            return
        full = round(WIDTH * part)
        line = f"\r{'=' * full}{'.' * (WIDTH - full)} {part:4.0%}"
        if part > 0:
            line += f", {(now - self.begun) * (1 - part) / part:.0f} s left"
        self._write(line.ljust(self.drawn))
        self.drawn, self.due = len(line), now + EVERY

    def __exit__(self, *error: object) -> None:
        if self.drawn:
            self._write("\r" + " " * (self.drawn - 1) + "\r")

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()
