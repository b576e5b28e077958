"""Angles: what first-order samplers lose on a mode, in closed form for any grid."""

from __future__ import annotations

from ..paths import Coef, Path
from ..shapes import Float, Tensor, Times
from ..tables import steps
from .modes import angle, variance


def _coefficients(path: Path, lam: Tensor, ts: Tensor) -> tuple[Coef, Tensor]:
    """The coefficients at the times of a grid, (m, *k), and psi."""
    at = path.one_ended().at(steps(ts).reshape(-1, *[1] * variance(lam).ndim))
    c = Coef(*(u.to(lam) for u in at))
    return c, (c.a**2 * lam + c.g2).sqrt()


def cosines(
    path: Path, lam: Float[Tensor, "*k"], ts: Float[Tensor, " m"]
) -> Float[Tensor, "*k"]:
    """prod cos(theta_n - theta_{n+1}): what DDIM leaves of each mode, for any grid.

    cos(theta_t - theta_s) = (a_t a_s lam + g_t g_s) / (psi_t psi_s), no small angle
    being subtracted. `gain` of `tables.ddim` is this times `flow_factor`: proof in
    the docstring of `chains`. At lam = 0 all angles are pi/2 and nothing is lost.
    Source: song2021ddim; zhang2023deis; li2023autodiffusion.
    Checked: teleport/cosines, angles/law, angles/inversion, tests/test_chains.py
    """
    c, psi = _coefficients(path, lam, ts)
    dot = c.a[:-1] * c.a[1:] * lam + c.g[:-1] * c.g[1:]
    size = psi[:-1] * psi[1:]
    still = (lam == 0).expand_as(dot)
    return (dot.where(~still, 1.0) / size.where(~still, 1.0)).prod(0)


def coshes(
    path: Path, lam: Float[Tensor, "*k"], ts: Float[Tensor, " m"]
) -> Float[Tensor, "*k"]:
    """prod cosh(eta_n - eta_{n+1}), eta = log(psi / a): what a frozen score adds.

    The table is Euler's in nsr^2 for y = x / a, the score a S of y being frozen:
    x_s = (a_s / a_t) x - (a_s a_t / 2) (nsr_s^2 - nsr_t^2) S. It multiplies y by
    1 - (1 - c^2) / 2 = c (c + 1/c) / 2 with c = e^{eta_s - eta_t}, the flow by c.
    Raises: ValueError where eta is infinite: a = 0, or lam = 0 at noise level 0.
    Source: zhang2023deis. Checked: angles/cosh, tests/test_chains.py
    """
    c, psi = _coefficients(path, lam, ts)
    if not ((c.a != 0) & (psi > 0)).all():
        raise ValueError(
            "the grid touches a = 0, or noise level 0 in a mode without variance: a "
            "frozen score errs without bound there"
        )
    ratio = (psi[1:] / psi[:-1]) * (c.a[:-1] / c.a[1:])
    return ((ratio + 1 / ratio) / 2).prod(0)


def best_cosines(
    path: Path, lam: Float[Tensor, "*k"], t: Times, s: Times, n: int
) -> Tensor:
    """cos(Theta / n)^n, Theta = |theta_t - theta_s|: the most of DDIM in n steps.

    `tables.by_angle` attains it for one lam; each mode would have a grid of its own.
    1 - Theta^2 / (2 n) + O(n^-2). Raises: ValueError for n < 1.
    Source: sun2026scheduling, the tangent law.
    Checked: angles/equal, angles/expansion, tests/test_chains.py
    """
    if n < 1:
        raise ValueError(f"n is {n}; a grid has at least one step")
    turn = angle(path, lam, t) - angle(path, lam, s)
    return (turn / n).cos() ** n
