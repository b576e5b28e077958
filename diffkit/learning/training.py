"""Training: K nets at once, by stochastic gradients, to be interrupted at will.

    for progress in fit(model, objective, draw, steps=2000):
        print(progress.step, progress.loss)  # a break is allowed at any time

Every parameter has a leading axis K, row k is member k's, and the losses of the
members are added up: the gradient of row k is that of member k's own loss. So K seeds
or K hyper-parameters train as one batched net, each as if alone. With g_t the gradient
of the t-th batch and w_t all the weights of a member, entry by entry,

    m_t = b1 m_{t-1} + (1 - b1) g_t,    v_t = b2 v_{t-1} + (1 - b2) g_t^2
    w_t = (1 - r_t c) w_{t-1} - r_t m_t / (1 - b1^t) / (sqrt(v_t / (1 - b2^t)) + eps)

This is Adam with decoupled weight decay c, in the form of `torch.optim.AdamW`. The rate
r_t = lr * `schedule`(t - 1, steps) falls to 0. Not w_t is evaluated and shipped, but
the mean of all weights so far, each weighted by B^age, without bias at the start:

    W_t = sum_i B^(t-i) w_i / sum_i B^(t-i),    i = 1 ... t
        = W_{t-1} + (1 - B) / (1 - B^t) (w_t - W_{t-1})

It begins as the plain mean and goes over into an exponential one of
1 / (1 - B) steps; the initial weights w_0 have no share in it.

**Which weights the model holds.** The average W_t, whenever the caller has the word: at
every yield, after a `break`, at the end, after an interrupt and after an error. The w_t
are in the model only while `fit` itself computes.

**Chance.** Member k draws its data, levels and noise from a generator of its own, made
from its seed alone. A checkpoint holds the generators' states with all of the above, so
a run that was killed goes on as if it had not been: on the same machine it ends with
the same weights, bit for bit.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..shapes import Estimate, Float, points, rng
from . import checkpoints

Each = float | int | Sequence[float | int]  # one for all members, or one for each
Risk = Estimate | Tensor | float | int
Draw = Callable[[int, torch.Generator], Tensor]
EPS = 1e-8  # of Adam
SEEDS = 2**32  # torch's generator reads no more bits of a seed
STREAM, PROBE = 0x9E3779B9, 0x7F4A7C15  # away from what seeds[k] itself begins
LIKE = 1e-3  # how far, relatively, a loss may be off on another machine
DECAYS = {
    "cosine": lambda u: (1 + math.cos(math.pi * u)) / 2,
    "linear": lambda u: 1 - u,
    "none": lambda u: 1.0,
}
RANGES = {
    "lr": ("above 0", lambda u: u > 0),
    "ema": ("at least 0 and below 1", lambda u: 0 <= u < 1),
    "weight_decay": ("at least 0", lambda u: u >= 0),
    "clip": ("above 0", lambda u: u > 0),
    "betas": ("at least 0 and below 1", lambda u: 0 <= u < 1),
    "seeds": (
        f"a whole number from 0 to {SEEDS - 1}",
        lambda u: type(u) is int and 0 <= u < SEEDS,
    ),
}


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


# ------------------------------------------------------------------ the optimiser


def schedule(n: int, steps: int, decay: str = "cosine", warmup: int = 0) -> float:
    """The share of the learning rate for the step after n of N steps: 1, falling to 0.

    f(u), u = (n - warmup) / (N - warmup), with f = (1 + cos pi u) / 2 ("cosine"),
    1 - u ("linear") or 1 ("none"); and (n + 1) / (warmup + 1) while n < warmup.
    f = 0 at n = N, when nothing is left to do; without warm-up the shares of N steps
    add up to (N + 1) / 2.
    Raises: ValueError for an unknown decay, warmup outside 0 ... N - 1, n outside
    0 ... N. Source: loshchilov2017sgdr. Checked: tests/test_training.py
    """
    if decay not in DECAYS:
        raise ValueError(f"decay is {decay!r}; it is one of {', '.join(DECAYS)}")
    for name, value, most in (("warmup", warmup, steps - 1), ("n", n, steps)):
        if not 0 <= value <= most:
            raise ValueError(f"{name} is {value}; it must be from 0 to {most} steps")
    if n < warmup:
        return (n + 1) / (warmup + 1)
    return DECAYS[decay]((n - warmup) / (steps - warmup))


class Adam:
    """Adam with decoupled weight decay and an average of the weights, for K members.

    Row k of ``weights, average, m, v``, each (K, P), is member k; ``steps`` counts t.
    The trainable parameters of the model become views of one more such buffer: inside
    ``with adam.moving()`` it holds the weights, else their average. Options are one
    number, or one for each member; clip: the largest norm of a member's gradient.
    Raises: ValueError for parameters without a common axis K, and an option out of its
    range. Source: kingma2015adam, algorithm 1 and section 7.2;
    loshchilov2019decoupled. Checked: tests/test_training.py
    """

    def __init__(
        self,
        model: torch.nn.Module,
        lr: Each = 2e-3,
        ema: Each = 0.99,
        weight_decay: Each = 0.0,
        clip: Each | None = None,
        betas: tuple[float | int, float | int] = (0.9, 0.999),
    ) -> None:
        self.parameters = trainable(model)
        first = next(iter(self.parameters.values()))
        self.members, self.steps, self._moves = len(first), 0, False
        given = {"lr": lr, "ema": ema, "weight_decay": weight_decay, "clip": clip}
        self.options = {n: _each(n, u, self.members) for n, u in given.items()}
        self.options["betas"] = _each("betas", betas, 2)
        for r, c in zip(self.options["lr"], self.options["weight_decay"], strict=True):
            if r * c >= 1:
                raise ValueError(
                    f"lr {r:g} times weight_decay {c:g} is not below 1: a step would "
                    "turn the weights around"
                )
        self._lay_out(first)

    def _lay_out(self, like: Tensor) -> None:
        """The buffers; the parameters become views of the one that is shown."""
        rows = [p.detach().reshape(len(p), -1) for p in self.parameters.values()]
        self._shown = torch.cat(rows, 1)
        self.weights, self.average = self._shown.clone(), self._shown.clone()
        self.m, self.v = (torch.zeros_like(self._shown) for _ in range(2))
        parts = self._shown.split([row.shape[1] for row in rows], 1)
        for p, part in zip(self.parameters.values(), parts, strict=True):
            p.data = part.view(p.shape)
        self._places = [p.data_ptr() for p in self.parameters.values()]
        column = {
            name: None if each is None else like.new_tensor(each).unsqueeze(1)
            for name, each in self.options.items()
        }
        self._lr, self._clip = column["lr"], column["clip"]
        self._shrink = column["lr"] * column["weight_decay"]
        self._decays = any(self.options["weight_decay"])

    @property
    def state(self) -> dict[str, Tensor]:
        """The buffers that a checkpoint holds."""
        names = ("weights", "average", "m", "v")
        return {name: getattr(self, name) for name in names}

    @contextmanager
    def moving(self) -> Iterator[None]:
        """The weights are in the model, to be trained; afterwards their average again.

        Raises: RuntimeError if the average was changed meanwhile, which would be lost.
        """
        places = [p.data_ptr() for p in self.parameters.values()]
        if places != self._places or not torch.equal(self._shown, self.average):
            raise RuntimeError(
                "the weights of the model were changed between two steps of its run, "
                "which would undo it: change a copy, or begin another run"
            )
        self._shown.copy_(self.weights)
        self._moves = True
        try:
            yield
        finally:
            self._moves = False
            self.weights.copy_(self._shown)
            self.show()

    def show(self) -> None:
        """Put the average into the model."""
        self._shown.copy_(self.average)

    @torch.no_grad()
    def step(self, loss: Float[Tensor, " K"], share: float | int = 1.0) -> None:
        """One step down the gradient of each member's loss, with a share of the rate.

        Raises: FloatingPointError where a loss or a gradient is NaN or inf, before
        anything has moved; RuntimeError outside `moving`.
        """
        if not self._moves:
            raise RuntimeError("the model holds the average: step inside moving()")
        # not p.grad: autograd warns of views of a buffer, and must be told to zero them
        grads = torch.autograd.grad(
            loss,
            list(self.parameters.values()),
            torch.ones_like(loss),
            materialize_grads=True,
        )
        g = torch.cat([u.reshape(self.members, -1) for u in grads], 1)
        norm = torch.linalg.vector_norm(g, dim=1, keepdim=True)
        if not math.isfinite((loss + norm[:, 0]).sum().item()):
            self._diverged(loss, norm[:, 0])
        if self._clip is not None:
            g *= (self._clip / norm).clamp(max=1)
        self.steps += 1
        t, (b1, b2) = self.steps, self.options["betas"]
        w, W, c = self._shown, self.average, math.sqrt(1 - b2**t)
        if self._decays:
            w.mul_(1 - share * self._shrink)
        self.m.lerp_(g, 1 - b1)
        self.v.mul_(b2).addcmul_(g, g, value=1 - b2)
        # 1 / c is taken out of the root: a pass less over the buffer
        down = torch.div(self.m, torch.sqrt(self.v, out=g).add_(EPS * c), out=g)
        w.addcmul_(down, self._lr, value=-share * c / (1 - b1**t))
        W.lerp_(w, w.new_tensor([[(1 - B) / (1 - B**t)] for B in self.options["ema"]]))

    def _diverged(self, loss: Tensor, norm: Tensor) -> None:
        for what, each in (("loss", loss), ("gradient", norm)):
            for k, value in enumerate(each.tolist()):
                if not math.isfinite(value):
                    raise FloatingPointError(
                        f"in step {self.steps + 1} the {what} of member {k} became "
                        f"{value}; the model holds the average of the steps before"
                    )


def trainable(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The parameters that are trained, by name; seen to have one leading axis K.

    Raises: TypeError for what is no module, ValueError where there are none, or they
    differ in K, dtype or device. Checked: tests/test_training.py
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model is {type(model).__name__}; it must be a torch module")
    found = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not found:
        raise ValueError("the model has no parameter to train")
    name, first = next(iter(found.items()))
    for other, p in found.items():
        if not p.numel() or not p.ndim or len(p) != len(first):
            raise ValueError(
                f"parameters {name} and {other} have shapes {tuple(first.shape)} and "
                f"{tuple(p.shape)}; all must begin with the number of members"
            )
        if (p.dtype, p.device) != (first.dtype, first.device):
            raise ValueError(
                f"parameters {name} and {other} are {first.dtype} on {first.device} "
                f"and {p.dtype} on {p.device}; all must be alike"
            )
    return found


def _each(name: str, value: Each | None, many: int) -> list | None:
    """One value for each, all in the range of that option."""
    if value is None and name == "clip":
        return None
    each = list(value) if isinstance(value, Sequence) else [value] * many
    words, fits = RANGES[name]
    for u in each:
        if not isinstance(u, float | int) or not math.isfinite(u) or not fits(u):
            raise ValueError(f"{name} is {u!r}; it must be {words}")
    if len(each) != many:
        raise ValueError(f"{name} has {len(each)} values; {many} are wanted")
    return each


# ------------------------------------------------------------------------ the run


def fit(
    model: torch.nn.Module,
    objective: Any,
    draw: Draw,
    steps: int,
    *,
    batch: int = 256,
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
        own = _each("seeds", seeds, adam.members)
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
