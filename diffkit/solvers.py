"""Solvers: ``solve`` folds a table over a field; ``flow`` carries the density along."""

from __future__ import annotations

import torch
from torch import Tensor

from .fields import Field, divergence
from .shapes import Float, Points, points
from .tables import Stages, Table


def solve(
    table: Table | Stages,
    field: Field,
    x: Points,
    rng: torch.Generator | None = None,
    keep: bool = False,
) -> Tensor:
    """Run a sampler from x at the first time of its grid to the last.

    field: what the table eats, (x, t) -> vector. rng: for tables that add noise.
    keep: return all states (N + 1, *n, d) instead of the end point (*n, d).
    Raises: ValueError without rng where it is needed, or when the state blows up.
    Checked: painters/flow-map, tests/test_solvers.py
    """
    points(x)
    if table.random and rng is None:
        raise ValueError("this table adds noise: give a generator, rng")
    past: list[Tensor] = []
    trail = [x]
    for n in range(len(table)):
        z = None
        if table.random:
            z = torch.randn(x.shape, generator=rng, dtype=x.dtype, device=x.device)
        x = table.step(n, field, x, past, z)
        if keep:
            trail.append(x)
    if not torch.isfinite(x).all():
        raise ValueError("the state blew up to NaN or inf: take smaller steps")
    return torch.stack(trail) if keep else x


def flow(
    table: Stages, velocity: Field, x: Points
) -> tuple[Points, Float[Tensor, "*n"]]:
    """Carry points along dx/dt = u and integrate div u: (x_s, logdet).

    log p_t(x_t) = log p_s(x_s) + logdet, in either direction of time, for any
    velocity u, conservative or not. Costs d sweeps a step.
    Raises: ValueError for a table that does not eat the velocity.
    Source: song2021sde, section 4.3. Checked: painters/log-density
    """
    if table.eats != "velocity" or table.random:
        raise ValueError(
            f"this table eats {table.eats}{' and adds noise' * table.random}; "
            "flow needs one that eats velocity and adds none"
        )
    points(x)

    def augmented(y: Tensor, t: Tensor) -> Tensor:
        spot = y[..., :-1]
        u, div = velocity(spot, t), divergence(velocity, spot, t)
        return torch.cat([u, div.unsqueeze(-1)], -1)

    end = solve(table, augmented, torch.cat([x, torch.zeros_like(x[..., :1])], -1))
    return end[..., :-1], end[..., -1]
