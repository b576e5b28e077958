"""moons: five small denoisers of two moons, one for each seed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ..laws import moons
from ..learning import MLP, Excess, Model, Objective, Progress, edm, fit
from ..paths import edm as edm_path
from ..shapes import Estimate, rng
from ..worlds import World
from .recipe import Recipe

SEEDS = (0, 1, 2, 3, 4)
SETTINGS = {
    "net": {"width": 64, "depth": 3, "seeds": list(SEEDS)},
    "fit": {"steps": 4000, "batch": 128, "lr": 0.01, "ema": 0.99},
}
SD = 0.1  # of each of the 32 Gaussians
POINTS = 20_000  # of the measurement


def world() -> World:
    """Two moons of 16 Gaussians each, sd 0.1, under the noise of EDM."""
    return World(edm_path(80.0), moons(16, SD))


def _sd() -> float:
    law = world().joint
    return math.sqrt(law.cov().trace().item() / law.d)


def model() -> Model:
    """Five multilayer perceptrons with EDM's preconditioning."""
    return Model(MLP(2, **SETTINGS["net"]), world().path, "denoise", _sd())


def objective() -> Objective:
    """EDM's loss: the plain one of what the net itself says, at log-normal levels."""
    return Objective(world().path, "denoise", edm(_sd()), "lognormal")


def train(model: Model, checkpoint: str | Path | None = None) -> Iterator[Progress]:
    """Fresh draws of the law at every step."""
    means = world().joint.means

    def draw(n: int, rng: torch.Generator) -> Tensor:
        # law.sample, which knows weights and covariances too, takes five times as long
        x = means[torch.randint(len(means), (n,), generator=rng)]
        return x + SD * torch.randn(n, 2, generator=rng, dtype=torch.float64)

    return fit(model, objective(), draw, checkpoint=checkpoint, **SETTINGS["fit"])


def excess(model: Model) -> Excess:
    """The excess risk, E w |D' - D|^2 with the exact D, on 20,000 new points."""
    x0 = world().joint.sample(POINTS, rng(1))
    return Excess(objective(), model, world().denoise, x0, rng(2))


def measure(model: Model) -> Estimate:
    """The excess risk of each member."""
    return excess(model)()


MOONS = Recipe(
    "moons",
    "five denoisers of two moons as 32 Gaussians, excess risk below 0.02",
    SETTINGS,
    model,
    train,
    measure,
    0.02,
)
