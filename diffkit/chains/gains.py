"""Gains: what the run of any table does to a mode of a Gaussian law."""

from __future__ import annotations

import torch

from ..paths import Coef, Path
from ..paths.targets import known
from ..shapes import Float, Tensor, Times, finite
from ..tables import Table
from .modes import flow_factor, variance
from .sweep import asked, swept


def rate(path: Path, lam: Tensor, t: Times, target: str) -> Tensor:
    """J = F / x: what the exact field multiplies a mode by, its mean taken away.

    denoise a lam / psi^2, noise g / psi^2, score -1 / psi^2, v = a N - g D, and
    velocity (a da lam + g dg) / psi^2. lam: variances >= 0; t against lam.
    Raises: ValueError for an unknown target, and where J is infinite: lam = 0 at
    noise level 0. The denoiser alone has a value there, the mean, and J = 0.
    Checked: tests/test_chains.py
    """
    known(target)
    c = Coef(*(u.to(variance(lam)) for u in path.one_ended().at(t)))
    psi2 = c.a**2 * lam + c.g2
    if target != "denoise" and not (psi2 > 0).all():
        raise ValueError(
            f"the {target} of a mode without variance is infinite at noise level 0"
        )
    tops = {
        "denoise": c.a * lam,
        "noise": c.g,
        "score": -torch.ones_like(psi2),
        "velocity": c.a * c.da * lam + c.gdg,
        "v": c.a * c.g * (1 - lam),
    }
    return finite("the rate", tops[target] / psi2.where(psi2 > 0, 1.0))


def _swept(table: Table, path: Path, lam: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """P and R of every state, one number per mode."""
    at = asked(table)
    ts = table.ts[at].reshape(-1, *[1] * variance(lam).ndim)
    J = rate(path, lam, ts, table.eats) if at else ()
    return swept(table, dict(zip(at, J, strict=True)), torch.ones_like(lam), torch.mul)


def gain(table: Table, path: Path, lam: Float[Tensor, "*k"]) -> Float[Tensor, "*k"]:
    """P_0: what a run multiplies a mode of variance lam by, noise apart.

    The exact flow gives `flow_factor` from the first time to the last. Differentiable
    in lam and, where the table is, in the grid. Raises: as `rate` does.
    Checked: tests/test_chains.py
    """
    return _swept(table, path, lam)[0][0]


def variances(
    table: Table, path: Path, lam: Float[Tensor, "*k"], start: Tensor | float | int
) -> Float[Tensor, "*k"]:
    """P_0^2 start + sum_n S_n^2 P_{n+1}^2: the variance of each mode after a run.

    start: the variance at the first time, >= 0, a number or one per mode; that of the
    law itself is spread^2. Raises: as `rate` does, and for start < 0.
    Checked: tests/test_chains.py
    """
    start = torch.as_tensor(start, dtype=variance(lam).dtype, device=lam.device)
    if start.shape not in ((), lam.shape) or not (finite("start", start) >= 0).all():
        raise ValueError(
            f"start has shape {tuple(start.shape)}; it must be one variance >= 0, or "
            f"one per mode, {tuple(lam.shape)}"
        )
    P, _ = _swept(table, path, lam)
    S = table.S.to(lam)
    return P[0] ** 2 * start + sum(s**2 * p**2 for s, p in zip(S, P[1:], strict=True))


def response(
    table: Table, path: Path, lam: Float[Tensor, "*k"]
) -> Float[Tensor, " m *k"]:
    """R_n: the change of the end point per unit error of F_n, for every state.

    A run on the field F + e ends sum_n R_n e_n further, exactly; independent errors
    of variances v_n add sum_n R_n^2 v_n. Zero where no row uses F_n. Divided by the
    step it tends to `flow_response`. Raises: as `rate` does.
    Checked: prediction/echo, tests/test_chains.py
    """
    return torch.stack(_swept(table, path, lam)[1])


def flow_response(
    path: Path, lam: Float[Tensor, "*k"], t: Times, s: Times, target: str
) -> Tensor:
    """psi(s) / psi(t) q(t): the end at s per unit error of the target and unit time.

    q = d velocity / d target at fixed x: with w = a g dg - g^2 da it is 1 for the
    velocity, -w / g^2 for denoise, w / (a g) noise, -w / a score, w / (g (a^2 + g^2))
    v. Raises: ValueError where that is infinite: at g = 0 or a = 0.
    Checked: tests/test_chains.py
    """
    known(target)
    c = Coef(*(u.to(variance(lam)) for u in path.one_ended().at(t)))
    w = c.a * c.gdg - c.g2 * c.da
    entries = {
        "velocity": torch.ones_like(w),
        "denoise": -w / c.g2,
        "noise": w / (c.a * c.g),
        "score": -w / c.a,
        "v": w / (c.g * (c.a**2 + c.g2)),
    }
    if not torch.isfinite(entries[target]).all():
        raise ValueError(f"the {target} does not determine the velocity at this time")
    return flow_factor(path, lam, t, s) * entries[target]
