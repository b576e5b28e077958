"""Runs of `fit` that are killed and resumed: they must end as if nothing had been.

    python benchmarks/kill.py [rounds, 20 by default]

Each round trains a small ensemble with a checkpoint in a process of its own. The
process is killed (SIGKILL) twice, in even rounds at a random moment, in odd rounds as
soon as a checkpoint is being written; then it may end. Weights, average, moments and
generators must be those of a run that was never killed, to the last bit, and whatever
file a kill leaves must be whole. Exits with 1 on a miss.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import torch

from diffkit import learning, paths
from diffkit.learning.checkpoints import read

FORK = get_context("fork")  # torch is imported once
KILLS, TRIES = 2, 50  # a round
STEPS, EVERY = 120, {False: 7, True: 2}  # by whether kills are aimed at a checkpoint
LR = (2e-3, 1e-3)


class Tally(NamedTuple):
    """What happened in some rounds."""

    rounds: int
    same: int  # rounds that ended with the very weights of the run without a kill
    kills: int
    inside: int  # kills that fell into the writing of a checkpoint
    half: int  # files that were found half written

    @property
    def holds(self) -> bool:
        """Whether all is as it must be, and was put to the test."""
        tried = self.kills == KILLS * self.rounds and self.inside > 0
        return tried and self.same == self.rounds and not self.half

    def __str__(self) -> str:
        return (
            f"{self.same} of {self.rounds} runs ended with identical weights; "
            f"{self.kills} kills, {self.inside} inside the writing of a checkpoint, "
            f"{self.half} half-written files"
        )


def pairs(n: int, rng: torch.Generator) -> torch.Tensor:
    """n points around (2, 0) and (-2, 0)."""
    sign = torch.randint(0, 2, (n, 1), generator=rng) * 2 - 1
    return torch.randn(n, 2, generator=rng) / 4 + sign * torch.tensor([2.0, 0.0])


def ensemble() -> tuple:
    """The first three arguments of `fit`."""
    path = paths.vp()
    net = learning.MLP(2, width=16, depth=2, seeds=(0, 1))
    return learning.Model(net, path), learning.Objective(path), pairs


def train(made: Callable[[], tuple], file: Path, every: int) -> None:
    """The run that is killed; it goes on from the file, if that is there."""
    torch.set_num_threads(1)
    more = {"batch": 16, "lr": LR, "every": every, "checkpoint": file}
    for _ in learning.fit(*made(), STEPS, **more):
        pass


def partials(file: Path) -> list[Path]:
    """What is being written, or was left half."""
    return list(file.parent.glob(f"{file.name}.*.partial"))


def strike(job: Callable[[], None], file: Path, aimed: bool, wait: float) -> bool:
    """Start, and kill: after a time in seconds, or in the next write after it.

    The answer: whether the process was still there to be killed.
    """
    process, start = FORK.Process(target=job), time.perf_counter()
    process.start()
    while process.is_alive():
        late = time.perf_counter() - start > wait
        if late and (not aimed or partials(file)):
            break
        if not aimed:
            time.sleep(1e-4)
    process.kill()
    process.join()
    return process.exitcode == -9


def finish(job: Callable[[], None]) -> float:
    """Let it end; the answer: how many seconds it took."""
    process, start = FORK.Process(target=job), time.perf_counter()
    process.start()
    process.join()
    return time.perf_counter() - start


def whole(file: Path) -> bool:
    """Whether the file can be read, or is not there."""
    try:
        return not file.exists() or bool(read(file, "run"))
    except ValueError:
        return False


def alike(file: Path, other: Path) -> bool:
    """Whether two runs have ended alike, to the last bit."""
    try:
        (a, told), (b, said) = read(file, "run"), read(other, "run")
    except ValueError:
        return False
    compared = {*a, *b} - {"loss"}  # the mean since the last yield: not the same yields
    ended = told["step"] == said["step"] == STEPS
    return ended and all(torch.equal(a[name], b[name]) for name in compared)


def campaign(
    rounds: int, folder: Path, made: Callable[[], tuple] = ensemble, seed: int = 0
) -> Tally:
    """Kill and resume, that many rounds."""
    chance, truth = random.Random(seed), folder / "never killed"
    span = finish(partial(train, made, truth, EVERY[False]))
    same = kills = inside = half = 0
    for i in range(rounds):
        file, aimed, struck = folder / f"run {i}", i % 2 == 1, 0
        job = partial(train, made, file, EVERY[aimed])
        for _ in range(TRIES):
            if strike(job, file, aimed, span / KILLS * chance.random()):
                struck += 1
                inside += bool(partials(file))
                half += not whole(file)
            else:  # it had ended before that: from the beginning
                file.unlink()
                struck = 0
            if struck == KILLS:
                break
        finish(job)
        kills += struck
        same += alike(file, truth) and not partials(file)
    return Tally(rounds, same, kills, inside, half)


def main(words: list[str]) -> int:
    """Kill, resume, report."""
    with tempfile.TemporaryDirectory() as folder:
        tally = campaign(int(words[0]) if words else 20, Path(folder))
    print(tally)
    return int(not tally.holds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
