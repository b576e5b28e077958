"""tilted-*, sphere-*, roll-*: free nets, and nets that are gradients, side by side.

    free      the denoiser is what the net says: its score need not be a gradient
    energy    the net gives an energy, the denoiser its slope: always a gradient

In the plane the data are three tilted Gaussians. In R^5 they lie on a surface of two
dimensions, a sphere or a roll, in a subspace that is turned against the axes. The two
of a pair share law, noise levels, architecture and number of steps; ``-early`` has a
twentieth of them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from ..laws import Mixture, mixture
from ..learning import (
    MLP,
    Energy,
    Excess,
    Model,
    Objective,
    Progress,
    edm,
    fit,
    uniform_logsnr,
)
from ..paths import edm as edm_path
from ..shapes import Estimate, rng
from ..surfaces import Roll, Sphere, Surface
from ..worlds import World
from .recipe import Recipe

SEEDS = (0, 1, 2, 3, 4)
POINTS = 4000  # of the measurement
PATH = edm_path(10.0)
CENTRES = ((-1.5, 0.5), (1.0, 1.2), (0.6, -1.4))
TILTS = (
    ((0.30, 0.18), (0.18, 0.24)),
    ((0.12, -0.05), (-0.05, 0.35)),
    ((0.50, 0.10), (0.10, 0.06)),
)
SHARES = (0.5, 0.3, 0.2)


@functools.cache
def tilted() -> Mixture:
    """Three tilted Gaussians in the plane, the world of the part on geometry."""
    parts = (CENTRES, TILTS, SHARES)
    return mixture(*(torch.tensor(u, dtype=torch.float64) for u in parts))


@functools.cache
def surface(name: str) -> Surface:
    """The sphere or the roll in R^5, in a three-dimensional subspace that is turned."""
    z = torch.randn(5, 3, generator=rng(5), dtype=torch.float64)
    frame = torch.linalg.qr(z).Q
    return Sphere(2, frame=frame) if name == "sphere" else Roll(frame=frame)


def _recipe(
    name: str,
    says: str,
    below: float,
    draw: Callable[[int, torch.Generator], Tensor],
    exact: Callable[[Tensor, Tensor], Tensor],
    sd: float,
    finest: float,
    **settings: dict,
) -> Recipe:
    d = draw(1, rng(0)).shape[1]
    settings["net"]["seeds"] = list(SEEDS)
    settings["levels"] = [finest, float(PATH.T)]

    def model() -> Model:
        """Five nets with EDM's preconditioning."""
        net = MLP(d, **settings["net"])
        if "energy" in name:
            net = Energy(net)
        return Model(net, PATH, "denoise", sd)

    def objective() -> Objective:
        levels = uniform_logsnr(PATH, high=-2 * math.log(finest))
        return Objective(PATH, "denoise", edm(sd), levels)

    def train(model: Model, checkpoint: str | Path | None = None) -> Iterator[Progress]:
        """Fresh draws of the law at every step."""
        return fit(model, objective(), draw, checkpoint=checkpoint, **settings["fit"])

    def measure(model: Model) -> Estimate:
        """The excess risk of each member."""
        return Excess(objective(), model, exact, draw(POINTS, rng(1)), rng(2))()

    return Recipe(name, says, settings, model, train, measure, below)


def _pair(
    kind: str, says: str, below: float, early: float | None, width: int, steps: int
) -> tuple[Recipe, ...]:
    """free and energy, and the same early where a bound is given for that."""
    if kind == "tilted":
        law, finest = tilted(), 0.05
        draw, exact = law.sample, World(PATH, law).denoise
        sd = math.sqrt(law.cov().trace().item() / 2)
    else:
        on, finest = surface(kind), 0.02
        mean_square = 1.0 if kind == "sphere" else 13 / 27 + 1 / 3  # of |y|
        draw, sd = on.sample, math.sqrt(mean_square / 5)

        def exact(x: Tensor, t: Tensor) -> Tensor:
            return on.denoise(x, t * t)

    made = []
    for form, words in {"free": "free nets", "energy": "gradients"}.items():
        for late, most in {"": below, "-early": early}.items():
            if most is None:
                continue
            fitted = {"batch": 256, "lr": 0.005}
            if late:
                fitted |= {"steps": steps // 20, "ema": 0.99}
            else:
                fitted |= {"steps": steps, "ema": 0.999}
            made.append(
                _recipe(
                    f"{kind}-{form}{late}",
                    f"five denoisers of {says}, {words}{', early' * bool(late)}",
                    most,
                    draw,
                    exact,
                    sd,
                    finest,
                    net={"width": width, "depth": 3},
                    fit=fitted,
                )
            )
    return tuple(made)


CONSERVATIVE = (
    # set after measuring: 0.0012 to 0.0018, early 0.014 to 0.040; untrained 0.28
    *_pair("tilted", "three tilted Gaussians", 0.006, 0.12, 64, 6000),
    # 0.0029 to 0.0044, early 0.060 to 0.32; untrained 1.5
    *_pair("sphere", "a sphere in R^5", 0.015, 0.8, 96, 6000),
    # 0.0058 to 0.0074; untrained 1.5
    *_pair("roll", "a roll in R^5", 0.03, None, 128, 10_000),
)
