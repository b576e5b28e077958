"""``solve``: the fold of a table over a field."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from ..fields import Field, value
from ..shapes import Points, points
from ..tables import Table
from .adaptive import Adaptive
from .brownian import Brownian
from .progress import Bar


def solve(
    table: Table | Adaptive,
    field: Field,
    x: Points,
    noise: torch.Generator | Brownian | None = None,
    keep: bool = False,
) -> Tensor:
    """Run a sampler from x at the first time of its grid to the last.

    field: what the table eats, (x, t) -> vector. noise: for tables that add some, a
    generator, or a `Brownian` that many runs share. keep: return all states that lie
    on the way (N + 1, *n, d), at the times table.ts[table.lands], instead of the end
    point (*n, d); `Adaptive.run` also gives the times of its own steps.
    Raises: ValueError without noise where it is needed, for a field of another shape,
    or when the state blows up.
    Checked: painters/flow-map, tests/test_solvers.py
    """
    points(x)
    if isinstance(table, Adaptive):
        run = table.run(field, x, keep).states
        return run if keep else run[-1]
    if table.random and noise is None:
        raise ValueError("this table adds noise: give a generator, noise")
    clock = noise.clock(table, x) if isinstance(noise, Brownian) else None
    field = partial(value, field)
    states, past, trail = [x], [], [x]
    with Bar() as tell:
        for n, row in enumerate(table.rows):
            z = None
            if row.noise and clock:
                z = noise.step(clock[n], clock[n + 1])
            elif row.noise:
                z = torch.randn(
                    x.shape, generator=noise, dtype=x.dtype, device=x.device
                )
            table.step(n, field, states, past, z)
            if keep and table.lands[n + 1]:
                trail.append(states[0])
            tell((n + 1) / len(table.rows))
    if not torch.isfinite(states[0]).all():
        raise ValueError("the state blew up to NaN or inf: take smaller steps")
    return torch.stack(trail) if keep else states[0]
