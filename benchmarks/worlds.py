"""What the exact fields cost, beside torch's own mixture differentiated.

    python benchmarks/worlds.py [--points 2000] [--repeat 20]

The digits as a Gaussian and as a finite data set, noised by the VP path. Prints
the time of a call in milliseconds (median), and how far both scores are apart.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from diffkit import data, laws, paths, shapes, worlds

TIME = 0.4


def milliseconds(repeat: int, call: Callable, *args: object) -> float:
    """The median time of call(*args), after one that is not counted."""
    call(*args)
    spent = []
    for _ in range(repeat):
        start = time.perf_counter()
        call(*args)
        spent.append(1000 * (time.perf_counter() - start))
    return statistics.median(spent)


def by_autograd(law: laws.Mixture) -> Callable[[Tensor], Tensor]:
    """The score of a law by torch.distributions and automatic differentiation."""
    if law.k == 1:
        normal = MultivariateNormal(law.means[0], law.cov())
    else:  # isotropic: torch is spared the dense covariances
        parts = Independent(Normal(law.means, law.covariance.floor[..., None].sqrt()), 1)
        normal = MixtureSameFamily(Categorical(law.logw.exp()), parts)

    def score(x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        return torch.autograd.grad(normal.log_prob(x).sum(), x)[0]

    return score


def table(points: int, repeat: int) -> list[tuple[str, str, float]]:
    """Rows (world, what, number)."""
    pixels = data.digits()[0]
    joints = {"Gaussian": laws.fit_gaussian(pixels), "data set": laws.dataset(pixels)}
    rows = []
    for name, joint in joints.items():
        world = worlds.World(paths.vp(), joint)
        x = world.draw(points, TIME, shapes.rng(0))[2]
        for field in ("log_prob", "score", "denoise", "velocity"):
            spent = milliseconds(repeat, getattr(world, field), x, TIME)
            rows.append((name, field, spent))
        peer = by_autograd(world.law(TIME))
        rows.append((name, "score by torch", milliseconds(repeat, peer, x)))
        ours, theirs = world.score(x, TIME), peer(x)
        apart = (ours - theirs).abs().max() / theirs.abs().max()
        rows.append((name, "relative difference", apart.item()))
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    for world, what, number in table(options.points, options.repeat):
        print(f"{world:10} {what:20} {number:10.3g}")


if __name__ == "__main__":
    main()
