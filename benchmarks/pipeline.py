"""Train a tiny pixel model of 8 x 8 digits in the format of diffusers, and save it.

    python benchmarks/pipeline.py [--steps 1200] [--seed 0] [--folder _build/pipeline]

A `UNet2DModel` of 160,000 weights with a `DDPMScheduler`, by DDPM's own loss, on the
digits that the nets of the book were trained on: a model for the page
chapters/gaussian/pipelines that is built by diffusers alone. About 80 seconds on one
core. It needs the extra ``peers``. Prints the loss, and the share of the model's noise
that the Gaussian of the data explains on held-out digits, at a high level and at a low
one; exits with 1 unless the first is above 0.95 and the second between 0 and that.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from report import ROOT
from torch import Tensor

from diffkit import fields, laws, metrics, shapes
from diffkit.recipes.digits import split
from diffkit.worlds import World

FOLDER = ROOT / "_build" / "pipeline"
HIGH, LOW = 3.0, 0.2  # levels sigma


def untrained(seed: int = 0) -> Any:
    """A DDPMPipeline with its first weights."""
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    with torch.random.fork_rng():
        torch.manual_seed(seed)  # diffusers draws its weights from the global one
        unet = UNet2DModel(
            sample_size=8,
            in_channels=1,
            out_channels=1,
            block_out_channels=(16, 32),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D"),
            norm_num_groups=8,
            add_attention=False,
        )
    return DDPMPipeline(unet=unet.eval(), scheduler=DDPMScheduler())


def train(
    pipe: Any, x0: Tensor, steps: int, batch: int = 128, lr: float = 2e-3, seed: int = 0
) -> Iterator[float]:
    """DDPM's loss, E |z - F(y_n, n)|^2 at uniform n; each step's, in place."""
    own, unet = shapes.rng(seed), pipe.unet.train()
    images = x0.float().reshape(-1, 1, 8, 8)
    descent = torch.optim.Adam(unet.parameters(), lr=lr)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(descent, steps)
    N = pipe.scheduler.config.num_train_timesteps
    for _ in range(steps):
        some = images[torch.randint(len(images), (batch,), generator=own)]
        z = torch.randn(some.shape, generator=own)
        n = torch.randint(N, (batch,), generator=own)
        y = pipe.scheduler.add_noise(some, z, n)
        loss = (unet(y, n).sample - z).square().mean()
        descent.zero_grad()
        loss.backward()
        descent.step()
        slower.step()
        yield loss.item()
    unet.eval()


def explained(pipe: Any, level: float, seed: int = 1) -> float:
    """1 - |N - N_Gauss|^2 / |N - mean N|^2, of held-out digits at a level sigma.

    Not of the denoiser x - sigma N, in which an error of N counts sigma times.
    """
    kept, held = split()
    model, own = fields.pipeline(pipe), shapes.rng(seed)
    t = model.snap(level)
    x = held + t * torch.randn(held.shape, generator=own, dtype=torch.float64)
    gaussian = World(model.path, laws.fit_gaussian(kept))
    off = metrics.unexplained(x - gaussian.denoise(x, t), x - model.denoise(x, t))
    return 1 - off.item()


def main() -> int:
    """Train, save, load from disk, and look."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    from diffusers import DiffusionPipeline
    from diffusers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    pipe, start, recent = untrained(asked.seed), time.perf_counter(), []
    for i, loss in enumerate(train(pipe, split()[0], asked.steps, seed=asked.seed), 1):
        recent = [*recent[-99:], loss]
        if i % 500 == 0 or i == asked.steps:
            took, mean = time.perf_counter() - start, sum(recent) / len(recent)
            print(f"step {i}, {took:.0f} s, loss {mean:.4f}", flush=True)
    pipe.save_pretrained(asked.folder)
    pipe = DiffusionPipeline.from_pretrained(asked.folder, local_files_only=True)
    high, low = (explained(pipe, level) for level in (HIGH, LOW))
    print(f"explained by the Gaussian: {high:.3f} at {HIGH:g}, {low:.3f} at {LOW:g}")
    print(f"{asked.folder} is written")
    return int(not high > 0.95 > low > 0)


if __name__ == "__main__":
    sys.exit(main())
