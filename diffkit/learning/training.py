"""Training: K nets at once, by stochastic gradients, to be interrupted at will.

    for progress in fit(model, objective, draw, steps=2000):
        print(progress.step, progress.loss)  # a break is allowed at any time

Member k is trained as if alone, by `Adam` of `optimiser`: the losses of the members are
added up, so the gradient of its weights is that of its own loss. Not its weights w_t
are evaluated and shipped but their mean W_t over all steps so far.

**Which weights the model holds.** The average W_t, whenever the caller has the word: at
every yield, after a `break`, at the end, after an interrupt and after an error. The w_t
are in the model only while `fit` itself computes.

**Chance.** Member k draws its data, levels and noise from a generator of its own, made
from its seed alone. A checkpoint holds the generators' states with all of the above, so
a run that was killed goes on as if it had not been: on the same machine it ends with
the same weights, bit for bit.

**Speed.** A step of a small net is some dozens of small kernels. One thread runs them
as fast as many, and on busy cores far faster: `torch.set_num_threads(1)`. At width 64
and a batch of 128 five members take less than twice the time of one; beyond, the
arithmetic of the products counts.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..shapes import Estimate, points, rng
from . import checkpoints
from .optimiser import SEEDS, Adam, Each, for_each, schedule

Risk = Estimate | Tensor | float | int
Draw = Callable[[int, torch.Generator], Tensor]
STREAM, PROBE = 0x9E3779B9, 0x7F4A7C15  # away from what seeds[k] itself begins
LIKE = 1e-3  # how far, relatively, a loss may be off on another machine


class Progress(NamedTuple):
    """How far a run is.

    step: steps done; loss: (K,), the mean over the steps since the last yield;
    seconds: spent on all steps, those before a kill included.
    """

    step: int
    loss: Tensor
    seconds: float


class Reached(NamedTuple):
    """Where `until` stopped; excess: a number or (K,), as measured there."""

    step: int
    excess: Tensor
    seconds: float


class NotReached(RuntimeError):
    """The steps ran out before the excess risk was low enough; ``reached``: where."""

    def __init__(self, reached: Reached, below: float | int) -> None:
        worst = reached.excess.max().item()
        super().__init__(
            f"{reached.step} steps ended at an excess risk of {worst:.3g}, "
            f"not below {below:g}"
        )
        self.reached = reached


# ------------------------------------------------------------------------ the run


def fit(
    model: torch.nn.Module,
    objective: Any,
    draw: Draw,
    steps: int,
    *,
    batch: int = 128,
    lr: Each = 2e-3,
    decay: str = "cosine",
    warmup: int = 0,
    ema: Each = 0.99,
    weight_decay: Each = 0.0,
    clip: Each | None = None,
    betas: tuple[float | int, float | int] = (0.9, 0.999),
    seeds: Sequence[int] | None = None,
    every: int = 100,
    checkpoint: checkpoints.File | None = None,
) -> Iterator[Progress]:
    """Train as far as the caller's loop asks: a yield after each ``every`` steps.

    At a yield, and after, the model holds the averaged weights. objective.loss(model,
    x0 (K, n, d), K generators) -> (K, n); draw(n, generator) -> x0 (n, d), all of its
    randomness from there; seeds: one a member, else those of the model, else 0 ... K-1.
    checkpoint: a file, written before each yield; if it is there, the run goes on from
    it and first yields where it is, a run that has ended nothing else.
    Raises: ValueError or TypeError at once, for what does not fit or another run's
    file; FloatingPointError when a loss becomes NaN or inf (the file stands).
    Source: kingma2015adam, loshchilov2019decoupled, loshchilov2017sgdr.
    Checked: tests/test_training.py, tests/test_checkpoints.py
    """
    for name, count in (("steps", steps), ("batch", batch), ("every", every)):
        _count(name, count)
    share = partial(schedule, steps=steps, decay=decay, warmup=warmup)
    share(0)
    adam = Adam(model, lr, ema, weight_decay, clip, betas)
    if seeds is None:
        known = (part.seeds for part in model.modules() if hasattr(part, "seeds"))
        seeds = next(known, range(adam.members))
    run = _Run(model, objective, draw, adam, share, batch, list(seeds))
    run.settings |= {"steps": steps, "decay": decay, "warmup": warmup}
    if checkpoint is not None:
        checkpoint = Path(checkpoint).resolve()
        if checkpoint.exists():
            run.restore(checkpoint)
        if adam.steps < steps:
            checkpoint = checkpoints.prepare(checkpoint)
    return _yields(run, steps, every, checkpoint)


def _count(name: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; it must be a whole number")
    if value < 1:
        raise ValueError(f"{name} is {value}; it must be at least 1")


def _yields(
    run: _Run, steps: int, every: int, checkpoint: Path | None
) -> Iterator[Progress]:
    """What `fit` returns; what can be refused has been."""
    adam = run.adam
    if adam.steps:
        yield run.progress()
    while adam.steps < steps:
        run.advance(min(steps, adam.steps - adam.steps % every + every))
        if checkpoint is not None:
            run.save(checkpoint)
        yield run.progress()


class _Run:
    """What a run is made of, and how far it is."""

    def __init__(
        self,
        model: torch.nn.Module,
        objective: Any,
        draw: Draw,
        adam: Adam,
        share: Callable[[int], float],
        batch: int,
        seeds: list[int],
    ) -> None:
        self.model, self.objective, self.draw = model, objective, draw
        self.adam, self.share, self.batch = adam, share, batch
        self.device = adam.weights.device
        own = for_each("seeds", seeds, adam.members)
        self.rngs = [rng((seed + STREAM) % SEEDS, self.device) for seed in own]
        self.loss, self.seconds = adam.weights.new_zeros(adam.members), 0.0
        self.settings = {"members": adam.members, "batch": batch, "seeds": own}
        self.settings |= adam.options
        self.settings |= {"dtype": str(adam.weights.dtype), "device": self.device.type}
        for name, p in adam.parameters.items():
            self.settings[f"the shape of {name}"] = list(p.shape)
        self._look()

    def _look(self) -> None:
        """Refuse data and losses that could not be trained on."""
        x0 = points(self.draw(self.batch, self._fresh()[0]), name="what draw returned")
        if x0.ndim != 2 or len(x0) != self.batch:
            raise ValueError(
                f"draw returned shape {tuple(x0.shape)}; it must be ({self.batch}, d)"
            )
        if not callable(getattr(self.objective, "loss", None)):
            kind = type(self.objective).__name__
            raise TypeError(f"objective is {kind}; it must have loss(model, x0, rngs)")
        loss, again = (self.losses(self._fresh()) for _ in range(2))
        want = (self.adam.members, self.batch)
        if not isinstance(loss, Tensor) or loss.shape != want:
            found = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss)
            raise ValueError(f"the loss has shape {found}; it must be {want}")
        if not loss.requires_grad:
            raise ValueError("the loss does not depend on the weights of the model")
        if not torch.allclose(loss, again, LIKE, 0.0, equal_nan=True):
            raise ValueError(
                "one state of the generators gave two losses; draw and objective must "
                "take all of their randomness from the generators they are given"
            )

    def losses(self, rngs: list[torch.Generator]) -> Tensor:
        """The losses (K, n) of a new batch, member k's drawn from generator k."""
        x0 = torch.stack([self.draw(self.batch, own) for own in rngs])
        return self.objective.loss(self.model, x0.to(self.adam.weights), rngs)

    def _fresh(self) -> list[torch.Generator]:
        return [rng(PROBE, self.device) for _ in self.rngs]

    def probe(self) -> Tensor:
        """The losses (K,) on a batch that is always the same: these weights' mark."""
        with torch.no_grad():
            return self.losses(self._fresh()).mean(1)

    def progress(self) -> Progress:
        """How far the run is."""
        return Progress(self.adam.steps, self.loss, self.seconds)

    def advance(self, end: int) -> None:
        """Go on until ``end`` steps are done."""
        begun, start = time.perf_counter(), self.adam.steps
        total = torch.zeros_like(self.loss)
        with self.adam.moving():
            for n in range(start, end):
                loss = self.losses(self.rngs).mean(1)
                self.adam.step(loss, self.share(n))
                total += loss.detach()
        self.loss = total / (end - start)
        self.seconds += time.perf_counter() - begun

    def save(self, file: Path) -> None:
        """Write all that the run needs to go on."""
        states = torch.stack([own.get_state() for own in self.rngs])
        tensors = {"rngs": states, "loss": self.loss, "probe": self.probe()}
        record = {"step": self.adam.steps, "seconds": self.seconds}
        record["settings"] = self.settings
        checkpoints.write(file, tensors | self.adam.state, "run", record)

    def restore(self, file: Path) -> None:
        """Go to where the file is, if it is of this very run.

        Raises: ValueError if not; model and file are then as they were.
        """
        tensors, record = checkpoints.read(file, "run")
        ours, theirs = json.loads(json.dumps(self.settings)), record["settings"]
        for name in [*ours, *theirs]:
            there, here = theirs.get(name), ours.get(name)
            if there != here:
                raise ValueError(
                    f"{file} holds a run of which {name} is {there}, not {here}: "
                    "go on with the same settings, or choose another file"
                )
        before = self.adam.average.clone()
        for name, buffer in self.adam.state.items():
            buffer.copy_(tensors[name])
        self.adam.show()
        found = self.probe()
        kept = tensors["probe"].to(found)
        if not torch.allclose(found, kept, rtol=LIKE, atol=0):
            self.adam.average.copy_(before)
            self.adam.show()
            raise ValueError(
                f"{file} is of another objective, data or net: on one batch its "
                f"weights had a loss of {kept[0].item():.4g}, not {found[0].item():.4g}"
            )
        for own, state in zip(self.rngs, tensors["rngs"], strict=True):
            own.set_state(state.clone())  # of a view torch reads the wrong bytes
        self.adam.steps, self.seconds = record["step"], record["seconds"]
        self.loss = tensors["loss"].to(before)


def until(
    progresses: Iterable[Progress],
    excess: Callable[[], Risk],
    below: float | int,
    every: int = 1,
) -> Reached:
    """Train until the known excess risk of every member is low enough.

    progresses: from `fit`, which can be asked for more afterwards; excess: an `Excess`
    or any function that measures the averaged weights, a number, (K,) or an Estimate of
    it, called at each ``every``-th yield and at the last.
    Raises: NotReached where the steps run out before; ValueError for an excess that is
    NaN, below <= 0, and a run that yields nothing. Checked: tests/test_training.py
    """
    _count("every", every)
    if not 0 < below < math.inf:
        raise ValueError(f"below is {below}; it must be a finite excess risk above 0")
    reached = last = None
    for count, last in enumerate(progresses, 1):
        reached = _measured(last, excess) if count % every == 0 else None
        if reached and (reached.excess < below).all():
            return reached
    if last is None:
        raise ValueError("the run yields nothing: it has been used up before")
    reached = reached or _measured(last, excess)
    if (reached.excess < below).all():
        return reached
    raise NotReached(reached, below)


def _measured(at: Progress, excess: Callable[[], Risk]) -> Reached:
    found = excess()
    found = found.value if isinstance(found, Estimate) else found
    found = torch.as_tensor(found, dtype=torch.float64)
    if found.isnan().any():
        raise ValueError(f"the excess risk after {at.step} steps is NaN")
    return Reached(at.step, found, at.seconds)
