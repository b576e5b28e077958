"""What the samplers and trainers reach, and what they cost: one table.

    python benchmarks/samplers.py [orders gain overhead ensemble moons kill coverage]

    orders     of every deterministic table, by regression, on a mixture in the plane
    gain       of DDIM on random grids, against the exact one times prod cos
    overhead   of `solve` over a bare loop, with a field that costs nothing
    ensemble   the time of five seeds over that of one
    moons      seconds to an excess risk of 0.02 on two moons of 16 Gaussians each
    kill       resumed runs that end with the weights of one that was never killed
    coverage   lines and branches that the tests reach (some minutes)

All but kill and coverage by default. Exits with 1 if a number misses its bound.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from report import ROOT, Row, reach, show
from torch import Tensor

from diffkit import chains, fields, laws, learning, paths, shapes, solvers, tables
from diffkit.recipes import moons as recipe
from diffkit.tables.exponentials import VARIABLES
from diffkit.worlds import World

MODULES = ("tables", "solvers", "chains", "learning", "recipes")
Make = Callable[[paths.Path, Tensor], tables.Table]


def alone(make: Callable[[Tensor], tables.Table]) -> Make:
    """A maker that wants no path."""
    return lambda path, ts: make(ts)


MULTISTEP: dict[str, tuple[Make, int]] = {
    "ddim": (tables.ddim, 1),
    **{
        f"{target} by {by}, order {p}": (
            partial(tables.exponential, order=p, target=target, by=by),
            p,
        )
        for target, variables in VARIABLES.items()
        for by in variables
        for p in (1, 2, 3)
    },
    "deis 3": (partial(tables.deis, order=3), 3),
    "dpm-solver++ 2M": (partial(tables.dpmpp, order=2), 2),
    # as published, and of order 2: see its docstring
    "dpm-solver++ 3M": (partial(tables.dpmpp, order=3), 2),
    **{f"unipc {p}": (partial(tables.unipc, order=p), p + 1) for p in (1, 2)},
    "unip 3": (partial(tables.unipc, order=3, corrector=False), 3),
}
STAGES: dict[str, tuple[Make, int]] = {
    "dpm-solver 2": (partial(tables.dpm_solver, order=2), 2),
    "dpm-solver 3": (partial(tables.dpm_solver, order=3), 3),
    "dpm-solver++ 2S": (tables.dpmpp_2s, 2),
    "edm, no churn": (tables.edm, 2),
    **{
        make.__name__: (alone(make), p)
        for make, p in (
            (tables.euler, 1),
            (tables.midpoint, 2),
            (tables.heun, 2),
            (tables.ralston, 2),
            (tables.reversible_heun, 2),
            (tables.heun3, 3),
            (tables.kutta3, 3),
            (tables.ralston3, 3),
            (tables.rk4, 4),
            (tables.rk38, 4),
        )
    },
}


# -------------------------------------------------------------------- orders


def refined(path: paths.Path, n: int) -> Tensor:
    """n steps in log nsr of which the first is h^2: a start of order 1 is not seen."""
    u = torch.linspace(0, 1, n, dtype=torch.float64)
    u = torch.cat([u[:1], (u[1:2] / 4) ** 2, u[1:]])
    return path.when((math.log(3.0) + u * math.log(0.3 / 3.0)).exp())


def orders() -> list[Row]:
    """Each slope, from both sides: the error over 96, 144 and 216 steps."""
    path = paths.vp()
    world = World(
        path, laws.mixture(torch.tensor([[1.0, 0.4], [-0.8, 0.6]]).double(), 0.5)
    )
    x = torch.randn(64, 2, generator=shapes.rng(0), dtype=torch.float64)
    counts, rows = (96, 144, 216), []
    ends = refined(path, 4)[[0, -1]].tolist()
    truth = solvers.solve(
        solvers.Adaptive(*ends, rtol=1e-13, atol=1e-13), world.velocity, x
    )
    for name, (make, p) in (MULTISTEP | STAGES).items():
        errors = []
        for n in counts:
            table = make(path, refined(path, n))
            F = fields.convert(world.denoise, path, "denoise", table.eats)
            errors.append((solvers.solve(table, F, x) - truth).square().mean().sqrt())
        logs = torch.tensor([math.log(n) for n in counts]), torch.stack(errors).log()
        off = [u - u.mean() for u in logs]
        slope = -((off[0] * off[1]).sum() / (off[0] ** 2).sum()).item()
        rows.append(Row(f"order of {name}", slope, "", p - 0.1, p + 0.1))
    return rows


# ---------------------------------------------------------------------- gain


def gain() -> list[Row]:
    """The largest relative difference, over 200 grids and variances 1e-6 ... 1e6."""
    lam = torch.logspace(-6, 6, 25, dtype=torch.float64)
    own, worst = shapes.rng(1), 0.0
    for path in (paths.vp(), paths.trig(), paths.edm(80.0), paths.one_sided()):
        for _ in range(50):
            n = int(torch.randint(1, 30, (), generator=own))
            u = torch.rand(n + 1, generator=own, dtype=torch.float64).sort().values
            ts = path.T * u.flip(0)
            got = chains.gain(tables.ddim(path, ts), path, lam)
            want = chains.flow_factor(path, lam, ts[0], ts[-1])
            want = want * chains.cosines(path, lam, ts)
            worst = max(worst, (got / want - 1).abs().max().item())
    return [Row("DDIM's gain, off exact x product of cosines", worst, high=1e-12)]


# ------------------------------------------------------------------ overhead


def seconds(call: Callable[[], object], times: int) -> float:
    """The least time of a call, over seven rounds."""
    found = []
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(times):
            call()
        found.append((time.perf_counter() - start) / times)
    return min(found)


def free(x: Tensor, t: Tensor) -> Tensor:
    """A field that costs nothing."""
    return x


def bare(x: Tensor, weights: list[tuple[float, float]]) -> Tensor:
    """A first-order sampler as one writes it by hand."""
    for a, b in weights:
        x = a * x + b * free(x, 0.0)
    return x


def overhead() -> list[Row]:
    """Twenty evaluations at N = 1: `solve` against the bare loop beside it."""
    path, x = paths.vp(), torch.randn(1, 2, dtype=torch.float64)
    hand, rows = [(0.9, 0.1)] * 20, []
    for name, (make, p) in MULTISTEP.items():
        if p > 3:
            continue
        table = make(path, tables.by_nsr(path, 3.0, 0.3, 20))
        table.rows  # noqa: B018  made once for many runs, as a table is
        ratio = seconds(partial(solvers.solve, table, free, x), 50)
        ratio /= seconds(partial(bare, x, hand), 50)
        rows.append(Row(f"overhead of {name}", ratio, "x", high=8))
    return rows


# ------------------------------------------------------------------ learning


def run(seeds: int) -> tuple:
    """The recipe of the moons for so many seeds: the run, and the excess risk."""
    how = recipe.SETTINGS
    recipe.SETTINGS = how | {"net": how["net"] | {"seeds": list(range(seeds))}}
    model = recipe.model()
    found = recipe.train(model, None), recipe.excess(model)
    recipe.SETTINGS = how
    return found


def ensemble() -> list[Row]:
    """Seconds for 500 steps, five seeds over one, alternating."""
    ratios = []
    for _ in range(5):
        took = []
        for seeds in (1, 5):
            progress, _ = run(seeds)
            first = next(progress).seconds
            last = [next(progress).seconds for _ in range(5)][-1]
            took.append(last - first)
        ratios.append(took[1] / took[0])
    return [
        Row(
            "five seeds over one, width 64, batch 128",
            statistics.median(ratios),
            "x",
            high=2,
        )
    ]


def moons() -> list[Row]:
    """From nothing to an excess risk of 0.02, measured on 20,000 points as it goes."""
    start = time.perf_counter()
    progress, excess = run(1)
    reached = learning.until(progress, excess, 0.02, every=2)
    took = time.perf_counter() - start
    return [
        Row("two moons to an excess risk of 0.02", took, "s", high=6),
        Row("steps to it", reached.step),
    ]


def kill() -> list[Row]:
    """Twenty runs killed with SIGKILL, resumed to the end; see kill.py."""
    done = subprocess.run([sys.executable, ROOT / "benchmarks" / "kill.py"], cwd=ROOT)
    return [Row("kill.py misses", done.returncode, high=0)]


def main() -> None:
    """Print the parts that were asked for."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parts = {
        "orders": orders,
        "gain": gain,
        "overhead": overhead,
        "ensemble": ensemble,
        "moons": moons,
        "kill": kill,
        "coverage": lambda: reach(MODULES),
    }
    show(__doc__, parts, by_name=["kill", "coverage"])


if __name__ == "__main__":
    main()
