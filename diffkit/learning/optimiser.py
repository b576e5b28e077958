"""The optimiser: Adam for K members in one buffer, with the average of their weights.

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
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ..shapes import Float

Each = float | int | Sequence[float | int]  # one for all members, or one for each
EPS = 1e-8  # of Adam
SEEDS = 2**32  # torch's generator reads no more bits of a seed
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
        self.options = {n: for_each(n, u, self.members) for n, u in given.items()}
        self.options["betas"] = for_each("betas", betas, 2)
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


def for_each(name: str, value: Each | None, many: int) -> list | None:
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
