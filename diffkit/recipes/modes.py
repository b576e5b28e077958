"""modes and its relatives: small nets on the worlds in which hallucination was found.

On the line the data are three narrow modes, at 1, 2 and 3, or four, at 1, 2, 4 and 5.
The path is the chain of the paper, beta from 0.001 to 0.2 in 1000 steps, in continuous
time; the nets see x itself, say the target itself, and every target's loss is plain,
over uniform times. Each recipe differs from `modes` in one respect. In the plane, 25
modes on a lattice, such nets say little; there they have EDM's path, preconditioning,
loss and levels. Every member has a training set of its own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from .. import paths
from ..laws import Mixture, mixture
from ..learning import MLP, Model, Objective, Progress, edm, fit
from ..shapes import Estimate, rng
from ..worlds import World
from .recipe import Recipe

SEEDS = (0, 1, 2, 3, 4)
PATH = paths.vp(1.0, 200.0)
POINTS = 20_000  # of the measurement
SETTINGS = {
    "net": {"width": 64, "depth": 3, "seeds": list(SEEDS)},
    "fit": {"steps": 20_000, "batch": 512, "lr": 0.006, "ema": 0.999},
    "target": "noise",
    "points": 50_000,
}
PLANE = {"fit": {"steps": 12_000, "lr": 0.005}, "target": "preconditioned"}


@functools.cache
def line(*means: float) -> Mixture:
    """Modes of standard deviation 0.05 and equal weight on the line."""
    at = torch.tensor(means, dtype=torch.float64).unsqueeze(1)
    return mixture(at, 0.05**2)


@functools.cache
def lattice(turned: bool = False) -> Mixture:
    """25 modes on a lattice of spacing 1, of standard deviation 0.05 and equal weight.

    ``turned``: by an eighth of a turn about the middle.
    """
    u = torch.arange(-2.0, 3.0, dtype=torch.float64)
    at = torch.cartesian_prod(u, u)
    if turned:
        at = at @ torch.tensor([[1.0, 1.0], [-1.0, 1.0]], dtype=at.dtype) / math.sqrt(2)
    return mixture(at, 0.05**2)


class Sampled:
    """An objective on training sets, one for each member, drawn from with replacement.

    sets: (K, N, d); ``draw`` of `learning.fit` then only says how many.
    """

    def __init__(self, goal: Objective, sets: Tensor) -> None:
        self.goal, self.sets = goal, sets

    def loss(self, model: Model, x0: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """The losses (K, n) of n points of each member's own set."""
        n, N = x0.shape[-2], self.sets.shape[1]
        own = [
            points[torch.randint(N, (n,), generator=each)]
            for points, each in zip(self.sets, rngs, strict=True)
        ]
        return self.goal.loss(model, torch.stack(own), rngs)


def training_sets(law: Mixture, n: int) -> Tensor:
    """The training set of every member, (5, n, d)."""
    return torch.stack([law.sample(n, rng(1000 + seed)) for seed in SEEDS])


def _recipe(
    name: str, says: str, below: float, law: Mixture, **changes: dict | int | str
) -> Recipe:
    settings = {
        key: {**old, **changes.get(key, {})}
        if isinstance(old, dict)
        else changes.get(key, old)
        for key, old in SETTINGS.items()
    }

    plain = settings["target"] != "preconditioned"
    sd = None if plain else math.sqrt(law.cov().trace().item() / law.d)
    path, target = (PATH, settings["target"]) if plain else (paths.edm(80.0), "denoise")

    def model(target: str = target) -> Model:
        return Model(MLP(law.d, **settings["net"]), path, target, sd)

    def objective(target: str = target) -> Objective:
        if plain:
            return Objective(path, target)
        return Objective(path, target, edm(sd), "lognormal")

    def train(model: Model, checkpoint: str | Path | None = None) -> Iterator[Progress]:
        """Points of each member's training set, at the path's own levels."""
        goal = Sampled(objective(), training_sets(law, settings["points"]).float())
        return fit(
            model,
            goal,
            lambda n, rng: torch.zeros(n, law.d),
            checkpoint=checkpoint,
            **settings["fit"],
        )

    def measure(found: Model) -> Estimate:
        """The excess risk over a blank net's: for noise on the line, else for data."""
        asked = "noise" if plain else target
        goal, exact = objective(asked), getattr(World(path, law), asked)
        here, blank = (
            goal.excess(each, exact, law.sample(POINTS, rng(1)), rng(2))
            for each in (found, model(asked))
        )
        return Estimate(here.value / blank.value, here.error / blank.value)

    return Recipe(name, says, settings, model, train, measure, below)


THREE = line(1.0, 2.0, 3.0)
MODES = (
    _recipe("modes", "three modes on the line, five nets", 0.01, THREE),
    _recipe("modes-few", "from 1,000 points", 0.01, THREE, points=1000),
    _recipe("modes-early", "1,500 steps", 0.05, THREE, fit={"steps": 1500}),
    _recipe("modes-narrow", "width 16", 0.05, THREE, net={"width": 16}),
    _recipe("modes-wide", "width 128", 0.01, THREE, net={"width": 128}),
    _recipe("modes-data", "asked for the data", 0.15, THREE, target="denoise"),
    _recipe("modes-v", "asked for v", 0.01, THREE, target="v"),
    _recipe("modes-gaps", "modes at 1, 2, 4, 5", 0.01, line(1.0, 2.0, 4.0, 5.0)),
    _recipe("lattice", "25 modes in the plane, five nets", 0.05, lattice(), **PLANE),
    _recipe("lattice-turned", "the same, turned", 0.05, lattice(True), **PLANE),
)
