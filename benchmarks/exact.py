"""How exact the exact worlds are, and what they cost: one table.

    python benchmarks/exact.py [fields equations memory imports times coverage]

    fields     score, denoiser, velocity, second end against a dense twin, by autograd
    equations  continuity and Fokker-Planck on the twin's density, with controls
    memory     the peak of a process that asks 100,000 points against 1,797 digits
    imports    of diffkit, against that of torch, in fresh processes
    times      of calls, against torch's own mixture differentiated
    coverage   lines and branches that the tests reach (some minutes)

All but coverage by default. Exits with 1 if a number misses its bound.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable

import torch
import twins
from report import ROOT, Row, reach, show
from torch import Tensor
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from diffkit import data, laws, paths, shapes, worlds

MODULES = (
    *("laws", "data", "paths", "worlds"),
    *("fields", "metrics", "information", "couplings"),
)


# -------------------------------------------------------------------- fields


def relative(got: Tensor, want: Tensor) -> float:
    """The largest difference, in units of the largest entry."""
    return ((got - want).abs().max() / want.abs().max()).item()


def apart(twin: twins.Twin, n: int, rng: torch.Generator) -> dict[str, float]:
    """How far the fields of a world are from its twin's, at n points and times."""
    world, (x, t) = twin.world, twin.draw(n, rng)
    y, s = x.clone().requires_grad_(), t.clone().requires_grad_()
    c = world.path.at(s)
    da, db, gdg = (twins.slope(u, s).detach() for u in (c.a, c.b, c.g2 / 2))
    one, zero, d = torch.ones_like(t), torch.zeros_like(t), x.shape[1]
    score = twins.slope(twin.log_prob(y, t).unsqueeze(-1), y)
    want = {
        "score": score,
        "denoise": twin.mean(x, t, twins.ends(one, zero, d), zero),
        "velocity": twin.mean(x, t, twins.ends(da, db, d), gdg),
    }
    if world.path.b != 0:
        want["end"] = twin.mean(x, t, twins.ends(zero, one, d), zero)
    found = {k: relative(getattr(world, k)(x, t), v) for k, v in want.items()}
    if world.path.b == 0:
        a, g2 = world.path.at(t).a.unsqueeze(-1), world.path.at(t).g2.unsqueeze(-1)
        by_score = (x + g2 * score) / a
        found["denoise by Tweedie"] = relative(world.denoise(x, t), by_score)
    return found


def fields(all_twins: Iterable[twins.Twin], n: int) -> list[Row]:
    """The largest differences over all worlds."""
    worst: dict[str, float] = {}
    rng = shapes.rng(1)
    for twin in all_twins:
        for name, off in apart(twin, n, rng).items():
            worst[name] = max(worst.get(name, 0.0), off)
    return [
        Row(f"{name}: difference of the largest entry", off, high=1e-10)
        for name, off in worst.items()
    ]


# ----------------------------------------------------------------- equations


def trace(v: Tensor, x: Tensor) -> Tensor:
    """The divergence of v at x, by one reverse sweep a coordinate."""
    return sum(twins.slope(v[:, i], x)[:, i] for i in range(x.shape[1]))


def balances(twin: twins.Twin, n: int, rng: torch.Generator) -> dict[str, Tensor]:
    """|d/dt p + div(v p) - eps lap p| of the largest term, at n points and times.

    All divided by p: d/dt log p + div v + v . s - eps (div s + s . s), where p and s
    are the twin's and v is made of the world's fields: u + eps score.
    """
    x, t = twin.draw(n, rng)
    x, t = x.requires_grad_(), t.requires_grad_()
    c, logp = twin.world.path.at(t), twin.log_prob(x, t)
    rate, s = twins.slope(logp, t), twins.slope(logp.unsqueeze(-1), x)
    curve = trace(s, x) + (s**2).sum(-1)
    u, score = twin.world.velocity(x, t.detach()), twin.world.score(x, t.detach())
    gdg, dg = c.gdg.detach().unsqueeze(-1), (c.gdg / c.g).detach().unsqueeze(-1)
    eps = torch.exp(4 * torch.rand(n, generator=rng, dtype=twins.FLOAT) - 2)
    e = eps.unsqueeze(-1)

    def off(v: Tensor, eps: Tensor | float) -> Tensor:
        terms = torch.stack([rate, trace(v, x), (v * s).sum(-1), -eps * curve])
        return (terms.sum(0).abs() / terms.abs().amax(0)).detach()

    found = {
        "continuity": off(u, 0.0),
        "Fokker-Planck": off(u + e * score, eps),
        "control: velocity backwards": off(-u, 0.0),
        "control: score with the wrong sign": off(u - e * score, eps),
    }
    if twin.world.path.g2 != 0:
        found["control: d(g^2) for d(g^2)/2"] = off(u - gdg * score, 0.0)
        found["control: dg for g dg"] = off(u + (gdg - dg) * score, 0.0)
    return found


def equations(all_twins: Iterable[twins.Twin], n: int) -> list[Row]:
    """The largest residuals over all worlds, and the typical ones of the controls."""
    found: dict[str, list[Tensor]] = {}
    rng = shapes.rng(2)
    for twin in all_twins:
        for name, off in balances(twin, n, rng).items():
            found.setdefault(name, []).append(off)
    rows = []
    for name, offs in found.items():
        every, control = torch.cat(offs), name.startswith("control")
        bound = {"low": 1.0} if control else {"high": 1e-9}
        rows.append(Row(f"{name}: of the largest term", every.max().item(), **bound))
        if control:
            rows.append(Row("    the median point", every.median().item()))
    return rows


# -------------------------------------------------------------------- memory

PEAK = """
import resource, sys, time
from pathlib import Path
import torch
from diffkit import data, laws, paths, shapes, worlds

torch.set_num_threads(1)
what, n, each = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "each"
resource.setrlimit(resource.RLIMIT_DATA, (10 * 2**30,) * 2)  # rather than the machine's
pixels, rng, like = data.digits()[0], shapes.rng(0), {"dtype": torch.float64}
world = worlds.World(paths.vp(), laws.dataset(pixels))
t = 0.3 + 0.2 * torch.rand(n, generator=rng, **like) if each else 0.4
c = world.path.at(t)
x = pixels[torch.arange(n) % len(pixels)] * c.a.reshape(-1, 1)
x += torch.randn(x.shape, generator=rng, **like) * c.g.reshape(-1, 1)

def kilobytes(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(s.split()[1]) for s in lines if s.startswith(key))

before, start = kilobytes("VmRSS"), time.perf_counter()
try:
    getattr(world, what)(x, t)
    peak = kilobytes("VmHWM")
except RuntimeError as error:  # torch's word for no memory left
    if "memory" not in str(error):
        raise
    peak = float("inf")
print(peak / 2**20, (peak - before) / 2**20, time.perf_counter() - start)
"""


def fresh(script: str, *words: str) -> list[float]:
    """The numbers that a script prints in a Python process of its own."""
    command = [sys.executable, "-c", script, *words]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def memory(one: int = 100_000, each: int = 100_000) -> list[Row]:
    """Peak memory of a field at many points, each in a process of its own (Linux).

    The peak that Linux keeps for the process image: getrusage's also counts that of
    the process it was started from.
    """
    rows = []
    for n, times in ((one, "one"), (each, "each")):
        said = "one time" if times == "one" else "a time for each"
        for what in ("score", "denoise", "velocity"):
            peak, growth, spent = fresh(PEAK, what, str(n), times)
            name = f"{what} of the digits, {n:,} points, {said}: "
            rows += [
                Row(name + "peak", peak, "GB", high=2.0),
                Row("    growth during the call", growth, "GB"),
                Row("    time of the call", spent, "s"),
            ]
    return rows


# ------------------------------------------------------------------- imports

IMPORT = "import time; s = time.perf_counter(); {}; print(time.perf_counter() - s)"
FIRST = """
import time, torch
from diffkit import laws, paths, worlds
s = time.perf_counter()
world = worlds.World(paths.vp(), laws.dataset(torch.zeros(2, 2).double()))
world.velocity(torch.zeros(2, 2).double(), 0.5)
print(time.perf_counter() - s)
"""


def imports(repeat: int = 9) -> list[Row]:
    """Median seconds of imports in fresh processes, taken in turns."""
    words = (
        "import torch",
        "import diffkit",
        "from diffkit import laws, paths, worlds",
    )
    scripts = [*(IMPORT.format(w) for w in words), FIRST]
    rounds = [[fresh(script)[0] for script in scripts] for _ in range(repeat + 1)][1:]
    torchs, bare, full, first = (
        statistics.median(r) for r in zip(*rounds, strict=True)
    )
    return [
        Row("import torch", torchs, "s"),
        Row("import diffkit, over import torch", bare / torchs, "", high=1.1),
        Row("from diffkit import laws, paths, worlds, over it", full / torchs),
        Row("the first velocity of a process, VP", first, "s"),
    ]


# --------------------------------------------------------------------- times


def milliseconds(repeat: int, call: Callable, *args: object) -> float:
    """The median time of call(*args), after one that is not counted."""
    call(*args)
    spent = []
    for _ in range(repeat):
        start = time.perf_counter()
        call(*args)
        spent.append(1000 * (time.perf_counter() - start))
    return statistics.median(spent)


def times(points: int = 2000, repeat: int = 20) -> list[Row]:
    """What a call costs, beside torch's own mixture differentiated."""
    pixels, t = data.digits()[0], torch.tensor(0.4, dtype=torch.float64)
    c, eye = paths.vp().at(t), torch.eye(64, dtype=torch.float64)
    cov = c.a**2 * pixels.mT.cov(correction=0) + c.g2 * eye
    parts = Independent(Normal(c.a * pixels, c.g), 1)
    equal = Categorical(torch.ones(len(pixels), dtype=torch.float64))
    peers = {
        "Gaussian": MultivariateNormal(c.a * pixels.mean(0), cov),
        "data set": MixtureSameFamily(equal, parts),
    }
    joints = {"Gaussian": laws.fit_gaussian(pixels), "data set": laws.dataset(pixels)}
    rows = []
    for name, joint in joints.items():
        world = worlds.World(paths.vp(), joint)
        x = world.draw(points, 0.4, shapes.rng(0))[-1]

        def by_torch(x: Tensor, peer: torch.distributions.Distribution) -> Tensor:
            x = x.clone().requires_grad_()
            return torch.autograd.grad(peer.log_prob(x).sum(), x)[0]

        for field in ("log_prob", "score", "denoise", "velocity"):
            spent = milliseconds(repeat, getattr(world, field), x, 0.4)
            rows.append(Row(f"{name}, {points} points: {field}", spent, "ms"))
        spent = milliseconds(min(repeat, 3), by_torch, x, peers[name])  # seconds each
        rows.append(Row("    the score by torch", spent, "ms"))
        off = relative(world.score(x, t), by_torch(x, peers[name]))
        rows.append(Row("    both scores apart", off, high=1e-10))
    return rows


# ------------------------------------------------------------------ coverage


def main() -> None:
    """Print the parts that were asked for."""
    parts = {
        "fields": lambda: fields(twins.all_twins(), 20),
        "equations": lambda: equations(twins.all_twins(), 20),
        "memory": memory,
        "imports": imports,
        "times": times,
        "coverage": lambda: reach(MODULES),
    }
    show(__doc__, parts, by_name=["coverage"])


if __name__ == "__main__":
    main()
