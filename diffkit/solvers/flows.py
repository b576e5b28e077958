"""``flow``: points carried along a velocity, and their density with them.

Along dx/dt = u(x, t) the density of a point changes by d log p_t(x_t)/dt = - div u,
for every u, the gradient of something or not. So the log-determinant of the map,
log |d x_s / d x_t| = int_t^s div u dt, is one more coordinate, carried by the same
steps: its error has their order, and an adaptive run holds it to the same tolerance.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..fields import Field, divergence, hutchinson, value
from ..shapes import Float, Points, points
from ..tables import Table
from .adaptive import Adaptive
from .fold import solve

Divergence = Callable[[Tensor, Tensor], Tensor]


def flow(
    table: Table | Adaptive, velocity: Field, x: Points, div: str | Divergence = "exact"
) -> tuple[Points, Float[Tensor, "*n"]]:
    """Carry points along dx/dt = u and integrate div u: (x_s, logdet).

    log p_t(x_t) = log p_s(x_s) + logdet, in either direction of time, for any
    velocity u, conservative or not. table: any that takes steps x + h u and adds no
    noise. div: "exact", by d reverse sweeps for each evaluation of u, or a function
    (x, t) -> (*n): a formula, or the estimate of `probed`.
    Raises: ValueError for another table, or a div of another shape.
    Source: song2021sde, section 4.3.
    Checked: reverse/likelihood, painters/log-density, tests/test_flows.py
    """
    if table.eats != "velocity" or table.random:
        raise ValueError(
            f"this table eats {table.eats}{' and adds noise' * table.random}; "
            "flow needs one that eats velocity and adds none"
        )
    if isinstance(table, Table) and not _consistent(table):
        raise ValueError(
            "a row of A does not sum to 1; flow needs steps x + h u, where log-"
            "determinants add up"
        )
    if isinstance(div, str) and div != "exact":
        raise ValueError(f"div is {div!r}; it must be 'exact' or a function (x, t)")
    points(x)

    def augmented(y: Tensor, t: Tensor) -> Tensor:
        spot = y[..., :-1]
        u = value(velocity, spot, t)
        du = divergence(velocity, spot, t) if div == "exact" else div(spot, t)
        if du.shape != u.shape[:-1]:
            raise ValueError(
                f"div returned {tuple(du.shape)}; it must return one number per point, "
                f"{tuple(u.shape[:-1])}"
            )
        return torch.cat([u, du.unsqueeze(-1)], -1)

    end = solve(table, augmented, torch.cat([x, torch.zeros_like(x[..., :1])], -1))
    return end[..., :-1], end[..., -1]


def _consistent(table: Table) -> bool:
    """Whether a field of zeros leaves the state where it is, to single precision."""
    return bool(((table.A.sum(1) - 1).abs() < 1e-5).all())


def probed(
    velocity: Field,
    rng: torch.Generator,
    probes: int = 2,
    kind: str = "rademacher",
) -> Divergence:
    """An estimate of div u for `flow`, without bias: every point keeps its probes e.

    (x, t) -> (*n), the mean of e'J e over m probes, the same at every time: smooth in
    t, so no order is lost, and steps can adapt. The log-determinant is the mean of
    e'M e, M = int J dt along the path, of variance 2 |S|^2 / m for ``gaussian`` probes
    and 2 |S - diag S|^2 / m for ``rademacher`` ones, S = (M + M') / 2. Costs one more
    evaluation of u, and a reverse sweep for each probe.
    Raises: ValueError as `fields.hutchinson` does.
    Source: grathwohl2019ffjord, hutchinson1990trace.
    Checked: reverse/probed-likelihood, tests/test_flows.py
    """
    own = torch.Generator(rng.device)
    seed = int(torch.randint(2**62, (), generator=rng, device=rng.device))

    def fixed(x: Tensor, t: Tensor) -> Tensor:
        own.manual_seed(seed)
        return hutchinson(velocity, x, t, own, probes, kind).value

    return fixed
