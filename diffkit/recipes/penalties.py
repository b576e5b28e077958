"""penalty-*: five denoisers on the line, with the Fokker-Planck residual in the loss.

The data are two Gaussians, tau = sigma^2 is the clock, and s the model's score. To the
loss of denoising is added ``weight`` times the mean of (sigma^3 R)^2, with

    whole    R = ds/dtau - s''/2 - s s'        the residual: zero for the score of data
    half     R = ds/dtau - s''/2 - s s' / 2    half of |s|^2 lost: a slip
    twice    R = ds/dtau - s''   - 2 s s'      the half in front lost: another

at the same points as the loss. ``jet`` carries the derivatives through the net: a
layer h -> silu(h W + b) is linear in them but for the chain rule,

    a = h W + b    a' = h' W    a'' = h'' W    f(a), f' a', f'' a'^2 + f' a''.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..laws import Mixture, mixture
from ..learning import (
    MLP,
    Excess,
    Model,
    Objective,
    Progress,
    edm,
    fit,
    uniform_logsnr,
)
from ..learning.models import FINEST
from ..paths import edm as edm_path
from ..shapes import Estimate, rng
from ..worlds import World
from .recipe import Recipe

SEEDS = (0, 1, 2, 3, 4)
LOW, HIGH = 0.05, 8.0  # noise levels
PATH = edm_path(HIGH)
POINTS = 4000  # of the measurement
SETTINGS = {
    "net": {"width": 32, "depth": 3, "seeds": list(SEEDS)},
    "fit": {"steps": 1000, "batch": 128, "lr": 0.005, "ema": 0.99},
    "levels": [LOW, HIGH],
    "penalty": "whole",
    "weight": 0.0,
}


@functools.cache
def two() -> Mixture:
    """Two Gaussians on the line: 3/5 N(-1, 0.3^2) + 2/5 N(1.2, 0.2^2)."""
    parts = [[-1.0], [1.2]], [[[0.09]], [[0.04]]], [0.6, 0.4]
    return mixture(*(torch.tensor(u, dtype=torch.float64) for u in parts))


def spread() -> float:
    """The standard deviation of the data."""
    return math.sqrt(two().cov().item())


class Jet(NamedTuple):
    """A function of x and a clock, with its derivatives, (K, n) each."""

    value: Tensor
    dx: Tensor
    dxx: Tensor
    dt: Tensor


def jet(net: MLP, x: Tensor, u: Tensor) -> Jet:
    """F(x, u) of all members on the line and its derivatives in x, x x and u.

    x, u: (K, n). Gradients flow to weights and points.
    Checked: penalty/jet
    """
    *hidden, W, b = net.weights()
    angle = torch.addcmul(net.phase, u.unsqueeze(-1), net.omega)
    one, none = torch.ones_like(x).unsqueeze(-1), torch.zeros_like(angle)
    h = torch.cat([x.unsqueeze(-1), u.unsqueeze(-1), angle.sin()], -1)
    along = torch.cat([one, 0 * one, none], -1)
    later = torch.cat([0 * one, one, net.omega * angle.cos()], -1)
    h = torch.cat([h, along, torch.zeros_like(h), later], 1)
    for i in range(0, len(hidden), 2):
        a, dx, dxx, dt = (h @ hidden[i]).chunk(4, 1)
        a = a + hidden[i + 1]
        g = a.sigmoid()
        c = g * (1 - g)
        first, second = g + a * c, c * (2 + a * (1 - 2 * g))
        parts = a * g, first * dx, second * dx * dx + first * dxx, first * dt
        h = torch.cat(parts, 1)
    F, dx, dxx, dt = (h @ W).squeeze(-1).chunk(4, 1)
    return Jet(F + b[..., 0], dx, dxx, dt)


def score_jet(model: Model, x: Tensor, tau: Tensor) -> Jet:
    """The score of all members and its derivatives in x, x x and tau; (K, n) each.

    For a preconditioned MLP on the line, a = 1, g^2 = tau.
    Checked: penalty/jet
    """
    r2, f2 = tau + model.sd**2, FINEST**2
    r, k = r2.sqrt(), model.sd * (tau * r2).rsqrt()
    z, u = x / r, ((tau + f2) / (1 + f2 * tau)).log() / 8
    ticks = (1 / (tau + f2) - f2 / (1 + f2 * tau)) / 8  # du/dtau
    F = jet(model.net, z, u)
    dt = k * (F.dt * ticks - F.dx * z / (2 * r2)) - k * F.value * (1 / tau + 1 / r2) / 2
    return Jet(
        k * F.value - z / r, k * F.dx / r - 1 / r2, k * F.dxx / r2, dt + z / r**3
    )


WAYS = {"whole": (0.5, 1.0), "half": (0.5, 0.5), "twice": (1.0, 2.0)}


def residual(model: Model, x: Tensor, tau: Tensor, kind: str = "whole") -> Tensor:
    """ds/dtau - s''/2 - s s' of all members, or one of the two slips; (K, n).

    Checked: penalty/jet
    """
    bends, square = WAYS[kind]
    s = score_jet(model, x, tau)
    return s.dt - bends * s.dxx - square * s.value * s.dx


@dataclass(frozen=True)
class Penalised:
    """The loss of ``goal``, and ``weight`` times (sigma^3 R)^2 at the same points."""

    goal: Objective
    weight: float
    kind: str

    def loss(self, model: Model, x0: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """The losses (K, n) of x0 (K, n, 1)."""
        t = self.goal.draw(x0.shape[-2], rngs)
        z = torch.stack([torch.randn(x0.shape[-2:], generator=own) for own in rngs])
        found = self.goal.losses(model, x0, z, t)
        if not self.weight:
            return found
        t = t.to(x0)
        x = (x0 + t.unsqueeze(-1) * z).squeeze(-1)
        return found + self.weight * (t**3 * residual(model, x, t * t, self.kind)) ** 2


def _recipe(name: str, says: str, below: float, **changes: str | float | int) -> Recipe:
    fitted = dict(SETTINGS["fit"])
    if "steps" in changes:
        fitted["steps"] = changes.pop("steps")
    settings = {**SETTINGS, **changes, "fit": fitted}

    def model() -> Model:
        return Model(MLP(1, **settings["net"]), PATH, "denoise", spread())

    def objective() -> Objective:
        levels = uniform_logsnr(PATH, high=-2 * math.log(LOW))
        return Objective(PATH, "denoise", edm(spread()), levels)

    def train(model: Model, checkpoint: str | Path | None = None) -> Iterator[Progress]:
        """Fresh draws of the law at every step."""
        goal = Penalised(objective(), settings["weight"], settings["penalty"])
        return fit(model, goal, two().sample, checkpoint=checkpoint, **fitted)

    def measure(model: Model) -> Estimate:
        """The excess risk of each member, without the penalty."""
        exact = World(PATH, two()).denoise
        return Excess(objective(), model, exact, two().sample(POINTS, rng(1)), rng(2))()

    return Recipe(name, says, settings, model, train, measure, below)


LATE = 3000  # steps: what a step with the penalty costs, in steps without
PENALTIES = (
    _recipe("penalty-none", "two Gaussians on the line, five nets", 0.05),
    _recipe("penalty-weak", "with the residual in the loss", 0.05, weight=1.0),
    _recipe("penalty-middle", "with ten times of it", 0.05, weight=10.0),
    _recipe("penalty-strong", "with a hundred times of it", 0.08, weight=100.0),
    _recipe(
        "penalty-half", "with half of |s|^2 lost", 0.08, weight=1.0, penalty="half"
    ),
    _recipe(
        "penalty-twice",
        "with the factor 1/2 lost, a tenth of it",
        0.15,
        weight=0.1,
        penalty="twice",
    ),
    _recipe("penalty-long", "without penalty, three times the steps", 0.02, steps=LATE),
    _recipe(
        "penalty-late", "with it, three times the steps", 0.02, weight=1.0, steps=LATE
    ),
)
