"""The recommended method beside the schedulers of diffusers, called as users call them.

    python benchmarks/race.py [schedulers digits]

    schedulers   on four mixtures, 5 to 20 evaluations, a latent model's noise levels
    digits       on the net of digits that ships with the book

It needs the extra ``peers`` (prints that and stops, without it). Every scheduler gets
its constructor's defaults, the betas of a latent diffusion model (0.00085 to 0.012,
"scaled_linear", 1000 steps), ``set_timesteps(n)``, and what it calls Karras levels
where it has them; the better of the two counts. Data have unit variance, as latents
do. All ask for the noise of x = a x0 + g z at their own time steps. The recommended
method gets the same start, at the same highest level, 14.6, and as many evaluations.
The end is that of the exact flow from that start. Versions and figures are written to
benchmarks/race.json.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import math
import statistics
import sys
from collections.abc import Callable

import torch
from report import ROOT, Row, show
from torch import Tensor

from diffkit import fields, laws, paths, recipes, shapes, solvers, tables
from diffkit.recipes.digits import split
from diffkit.worlds import World

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
NAMES = {  # class: constructor's arguments, tried one after the other
    "DDIMScheduler": [{}],
    "EulerDiscreteScheduler": [{}, {"use_karras_sigmas": True}],
    "HeunDiscreteScheduler": [{}, {"use_karras_sigmas": True}],
    "LMSDiscreteScheduler": [{}, {"use_karras_sigmas": True}],
    "DPMSolverMultistepScheduler": [{}, {"use_karras_sigmas": True}],
    "DPMSolverSinglestepScheduler": [{}, {"use_karras_sigmas": True}],
    "DEISMultistepScheduler": [{}, {"use_karras_sigmas": True}],
    "UniPCMultistepScheduler": [{}, {"use_karras_sigmas": True}],
}
COUNTS = (5, 8, 12, 20)
FILE = ROOT / "benchmarks" / "race.json"
EDM = paths.edm(200.0)
Denoise = Callable[[Tensor, Tensor], Tensor]


def theirs(name: str, extra: dict, n: int, denoise: Denoise, z: Tensor) -> Tensor:
    """The end point of a scheduler with at most n evaluations; its start is z."""
    import diffusers

    for steps in range(n, 0, -1):
        scheduler = getattr(diffusers, name)(**BETAS, **extra)
        scheduler.set_timesteps(steps)
        if len(scheduler.timesteps) <= n:
            break
    bar = scheduler.alphas_cumprod.double()
    x = z * float(scheduler.init_noise_sigma)
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(x, t).double()
        low, high = int(math.floor(float(t))), int(math.ceil(float(t)))
        between = torch.lerp(bar[low].log(), bar[high].log(), float(t) - low).exp()
        a, g = between.sqrt(), (1 - between).sqrt()
        noise = (seen - a * denoise(seen / a, g / a)) / g
        x = scheduler.step(noise, t, x).prev_sample.double()
    return x


def ours(n: int, law: tuple, denoise: Denoise, y: Tensor, top: float) -> Tensor:
    """The recommended method from y = x / a at the level top."""
    frame = fields.Frame(EDM, *law)
    table = tables.recommended(EDM, frame.length, n, top)
    z = solvers.solve(table, frame.field(denoise), frame.into(y, top))
    return frame.out(z, 0.0)


def cell(n: int, law: tuple, denoise: Denoise, z: Tensor) -> dict:
    """The best scheduler and the recommended method, root mean square errors."""
    import diffusers

    bar = diffusers.DDIMScheduler(**BETAS).alphas_cumprod.double()[-1]
    top = float(((1 - bar) / bar).sqrt())
    frame, sd = fields.Frame(EDM, *law), float(law[1].trace() / len(law[0])) ** 0.5
    fine = tables.recommended(EDM, frame.length, 400, top, order=3)
    own_start = z * math.hypot(1.0, top)  # as x / a of a unit-variance start
    errors = {}

    def missed(x: Tensor, y: Tensor) -> float:
        """Against the exact flow from the start y at the level top."""
        end = solvers.solve(fine, frame.field(denoise), frame.into(y, top))
        return float((x - frame.out(end, 0.0)).square().mean().sqrt()) / sd

    for name, choices in NAMES.items():
        for extra in choices:
            key = name.removesuffix("Scheduler") + ("+karras" if extra else "")
            sigma = getattr(diffusers, name)(**BETAS, **extra).init_noise_sigma
            start = z * top if float(sigma) > 1.5 else own_start
            try:
                errors[key] = missed(theirs(name, extra, n, denoise, z), start)
            except (IndexError, ValueError):  # n is too small for it
                continue
    best = min(errors, key=errors.get)
    mine = missed(ours(n, law, denoise, z * top, top), z * top)
    return {"best": best, "theirs": errors[best], "ours": mine}


def told(found: dict[str, dict]) -> list[Row]:
    """Rows of the ratios, and the figures with versions to the file."""
    kept = json.loads(FILE.read_text()) if FILE.exists() else {"cells": {}}
    kept["cells"] |= {
        k: {u: v if isinstance(v, str) else float(f"{v:.2g}") for u, v in c.items()}
        for k, c in found.items()
    }
    names = ("diffusers", "torch")
    kept["versions"] = {name: importlib.metadata.version(name) for name in names}
    FILE.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    ratios = {k: c["theirs"] / c["ours"] for k, c in found.items()}
    rows = [Row(f"{k}: {found[k]['best']}", r, "x") for k, r in ratios.items()]
    middle = statistics.median(ratios.values())
    return [*rows, Row("median of the ratios", middle, "x", low=1.0)]


def schedulers() -> list[Row]:
    """Mixtures of 2 to 16 dimensions that nothing was tuned on."""
    found = {}
    for i, (d, k, spread, sd) in enumerate(
        [(2, 5, 1.0, 0.2), (4, 10, 1.0, 0.3), (8, 4, 0.7, 0.5), (16, 8, 1.5, 0.7)]
    ):
        rng = shapes.rng(900 + i)
        means = spread * torch.randn(k, d, generator=rng, dtype=torch.float64)
        root = torch.randn(k, d, d, generator=rng, dtype=torch.float64) / math.sqrt(d)
        eye = torch.eye(d, dtype=torch.float64)
        law = laws.mixture(means, sd**2 * (0.7 * root @ root.mT + 0.1 * eye))
        law = law.push((d / law.cov().trace()).sqrt())
        denoise = World(EDM, law).denoise
        z = torch.randn(64, d, generator=rng, dtype=torch.float64)
        for n in COUNTS:
            name = f"{d} dimensions, {k} modes, {n}"
            found[name] = cell(n, (law.mean(), law.cov()), denoise, z)
    return told(found)


def digits() -> list[Row]:
    """The net of digits; EDM's path is the one that it was trained on."""
    x, _ = split()
    net = recipes.load("digits").as_target("denoise")
    z = torch.randn(16, 64, generator=shapes.rng(1), dtype=torch.float64)
    law = (x.mean(0), torch.cov(x.mT))
    return told({f"digits, {n}": cell(n, law, net, z) for n in COUNTS})


if __name__ == "__main__":
    if importlib.util.find_spec("diffusers") is None:
        sys.exit('diffusers is not installed: pip install -e ".[peers]"')
    show(__doc__, {"schedulers": schedulers, "digits": digits})
