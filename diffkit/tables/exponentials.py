"""Exponential integrators: what is linear in x exactly, the target by a polynomial.

On a path x_t = a x0 + g z with one end, every target F is the slope of some x / c
against some w, where c and w are functions of time alone:

    target     flow                       polynomial in (the first is the default)
    denoise    d(x / g) = D d(a / g)      lam = log(a / g), or nsr = g / a
    noise      d(x / a) = N d(g / a)      lam, or nsr
    v          d(x / r) = v / r dphi      phi = arctan(g / a),  r^2 = a^2 + g^2
    velocity   dx = u dt                  t

The noise is the denoiser with a and g exchanged, and so lam with -lam. A step from t
to s replaces F by the polynomial P through its last values, in a variable u of which
theta = (u - u_t) / (u_s - u_t) runs from 0 to 1, and integrates that exactly:

    x_s = A x_t + sum_k W_k [theta^k] P,   A = c_s / c_t,   W_k = c_s int theta^k dw

For the denoiser in lam, with h = lam_s - lam_t,

    W_0 = a_s - A a_t,   W_k = a_s int_0^1 h e^{-h (1 - theta)} theta^k dtheta
                             = a_s k! h^{k+1} phi_{k+1}(-h)

in the phi functions of exponential integrators. W_0 alone is DDIM, by either target.
A method of order p begins with the orders 1 .. p - 1. On equal steps this costs an
error of h^2 once, so that no order above 2 is seen unless the first steps are finer.
"""

from __future__ import annotations

import math
from numbers import Integral

import torch
from torch import Tensor

from ..paths import Path
from ..shapes import Float
from .grids import Grid, steps
from .table import Table

VARIABLES = {  # the default first
    "denoise": ("logsnr", "nsr"),
    "noise": ("logsnr", "nsr"),
    "v": ("angle",),
    "velocity": ("time",),
}
TERMS = 60  # of the series: the last is below 2^-60 of the first
Column = Float[Tensor, " N"]
Columns = Float[Tensor, "N J"]


# ------------------------------------------------------------------ the methods


def exponential(
    path: Path, ts: Grid, order: int, target: str = "denoise", by: str | None = None
) -> Table:
    """Multistep, and exact where the target is a polynomial in ``by``.

    Of degree below ``order``, 1 to 4, after a start that grows to it. target, by: see
    the module. Any steps, either way. A step with an end at lam = +-inf is of order
    1: to noise 0 it returns D. In nsr and in the angle the order stays, and the last
    step extrapolates. Raises: ValueError for an unknown target, variable or order,
    where the denoiser leaves from g = 0 or the noise from a = 0, and if nsr turns.
    Source: hochbruck2010exponential; zhang2023deis; lu2022dpmpp.
    Checked: exponential/orders, exponential/polynomial, prediction/constants,
    tests/test_exponentials.py
    """
    by = _variable(path, target, by)
    J = ordered(order, 4)
    if target == "velocity":
        return adams_bashforth(ts, order)
    if target == "v":
        c = path.at(steps(ts))
        r, phi = (c.a**2 + c.g2).sqrt(), one_way(torch.atan2(c.g, c.a))
        B = weights(*nodes(phi, J), even(r[1:] * phi.diff(), J)) / past(r, J)
        return table(target, ts, r[1:] / r[:-1], B)
    a, g = ends(path, ts, target)
    A = g[1:] / g[:-1]
    a_s, total = a[1:], a[1:] - A * a[:-1]
    if by == "logsnr":
        u = one_way((a / g).log())
        W = moments(a_s, total, u.diff(), J)
    elif target == "noise":
        u, W = one_way(a / g), even(total, J)
    else:
        u = one_way(g / a)
        W = _inverse(a_s, total, u[1:] / u[:-1], J)
    return table(target, ts, A, weights(*nodes(u, J), W))


def adams_bashforth(ts: Grid, order: int) -> Table:
    """x plus the integral of the polynomial in t through the last velocities.

    x + h u_n, x + h (3/2 u_n - 1/2 u_{n-1}), ... on equal steps; order 1 to 4, any
    steps, after a start that grows. Raises: ValueError for another order.
    Source: hairer1993solving. Checked: tests/test_exponentials.py
    """
    J, h = ordered(order, 4), steps(ts).diff()
    return table("velocity", ts, torch.ones_like(h), weights(*nodes(ts, J), even(h, J)))


def exponential_sde(path: Path, ts: Grid, order: int, eta: float | int = 1) -> Table:
    """The reverse process with eta times its noise, the denoiser polynomial in lam.

    x_s = A x_t + sum_k W_k [theta^k] P + S z with q = nsr_s / nsr_t,
    A = g_s / g_t q^{eta^2}, S^2 = g_s^2 (1 - q^{2 eta^2}), and (1 + eta^2) h for h in
    W_k; order 1 to 3. eta = 0 is `exponential`; eta = 1 of order 1 is `ddim` with eta
    = 1, while in between `ddim` is another method for the same process. x / (g
    nsr^{eta^2}) moves by a Brownian motion in the clock nsr^{-2 eta^2}.
    A step to noise 0 returns D without noise, and the clock stands.
    Raises: as `exponential`; ValueError for eta < 0, and noise on a rising nsr.
    Source: lu2022dpmpp. Checked: tests/test_exponentials.py
    """
    ordered(order, 3)
    return denoising(path, ts, order, eta)


# ------------------------------------------------------------ what they share


def denoising(
    path: Path, ts: Grid, order: int, eta: float | int, published: bool = False
) -> Table:
    """`exponential_sde`, if asked with the weights of the published code."""
    if not 0 <= eta < math.inf:
        raise ValueError(f"eta is {eta}; it must be >= 0 and finite")
    a, g = ends(path, ts, "denoise")
    lam = one_way((a / g).log())
    h, p = lam.diff(), float(eta) ** 2
    if eta and not (h > 0).all():
        raise ValueError("eta > 0 needs a grid that runs from noise to data")
    A = g[1:] / g[:-1]
    if eta:
        A = A * (-p * h).exp()
    theta, known = nodes(lam, order)
    W = moments(a[1:], a[1:] - A * a[:-1], (1 + p) * h, order)
    if published:
        W = halved(W, known)
    B = weights(theta, known, W)
    if not eta:
        return table("denoise", ts, A, B)
    S = g[1:] * (-torch.expm1(-2 * p * h)).sqrt()
    clock = (2 * p * lam).exp()
    clock = torch.where(clock.isinf(), clock[-2], clock)
    return Table("denoise", ts, A.unsqueeze(1), B, S, clock=clock)


def table(eats: str, ts: Grid, A: Column, B: Columns) -> Table:
    """A table without noise in which one state is enough."""
    return Table(eats, ts, A.unsqueeze(1), B, torch.zeros_like(A))


def _variable(path: Path, target: str, by: str | None) -> str:
    path.one_ended()
    if target not in VARIABLES:
        raise ValueError(
            f"target {target!r} is unknown; it is one of {', '.join(VARIABLES)}"
        )
    known = VARIABLES[target]
    if by not in (None, *known):
        raise ValueError(
            f"{target} by {by!r} has no weights in closed form; it goes by "
            f"{' or '.join(known)}"
        )
    return by or known[0]


def ordered(order: int, most: int) -> int:
    """order, or an error: a whole number from 1 to ``most``."""
    if not isinstance(order, Integral) or not 1 <= order <= most:
        raise ValueError(f"order is {order}; it is a whole number from 1 to {most}")
    return int(order)


def ends(path: Path, ts: Grid, target: str) -> tuple[Tensor, Tensor]:
    """(a, g) on the grid, exchanged for the noise; the second must not be left at 0."""
    if target not in ("denoise", "noise"):
        raise ValueError(f"target is {target!r}; it must be denoise or noise here")
    c = path.one_ended().at(steps(ts))
    a, g = c.a + 0.0, c.g  # of minus zero, zero
    if target == "noise":
        a, g = g, a
    if not (g[:-1] > 0).all():
        at, of = ("g = 0", "x / g") if target == "denoise" else ("a = 0", "x / a")
        raise ValueError(
            f"the grid leaves from {at}, where {of} is infinite: "
            f"the {target} has no step there"
        )
    return a, g


def one_way(u: Grid) -> Grid:
    """u, or an error if it turns or stands."""
    h = u.diff()
    if not ((h > 0).all() or (h < 0).all()):
        raise ValueError(
            "the noise-to-signal ratio turns or stands still on this grid; it must "
            "rise all the way or fall all the way"
        )
    return u


def past(u: Grid, J: int) -> Columns:
    """u_{n-j} for j < J, newest first; before the first there is the first."""
    n = torch.arange(len(u) - 1, device=u.device)
    j = torch.arange(J, device=u.device)
    return u[(n[:, None] - j).clamp(min=0)]


def nodes(u: Grid, J: int) -> tuple[Columns, Tensor]:
    """theta_j = (u_{n-j} - u_n) / (u_{n+1} - u_n), and which of them are there.

    Not those before the first state, nor those at infinity: from there and to there
    only theta_0 = 0 is left. In place of the others stand numbers unlike all the rest.
    """
    n = torch.arange(len(u) - 1, device=u.device)
    j = torch.arange(J, device=u.device)
    h, off = u.diff()[:, None], past(u, J) - u[:-1, None]
    known = (n[:, None] >= j) & off.isfinite() & h.isfinite()
    theta = torch.where(known, off, 0) / torch.where(h.isfinite(), h, 1)
    known = known | (j == 0)
    return torch.where(known, theta, 1.0 + j), known


def weights(theta: Columns, known: Tensor, W: Columns) -> Columns:
    """w with sum_j w_j P(theta_j) = sum_k W_k [theta^k] P for all P of degree < J.

    Where only the first p nodes are known, for degree < p. A Vandermonde system, by
    way of Newton's basis.
    Source: bjorck1970vandermonde. Checked: tests/test_exponentials.py
    """
    w, x = list(W.unbind(1)), theta.unbind(1)
    J = len(w)
    for k in range(J - 1):
        for j in range(J - 1, k, -1):
            w[j] = w[j] - x[k] * w[j - 1]
    w = [torch.where(there, u, 0) for there, u in zip(known.unbind(1), w, strict=True)]
    for k in range(J - 2, -1, -1):
        for j in range(k + 1, J):
            w[j] = w[j] / (x[j] - x[j - k - 1])
        for j in range(k, J - 1):
            w[j] = w[j] - w[j + 1]
    return torch.stack(w, 1)


def even(total: Column, J: int) -> Columns:
    """W_k = total int_0^1 theta^k dtheta."""
    return total[:, None] / torch.arange(1, J + 1).to(total)


def moments(a: Column, total: Column, h: Column, J: int) -> Columns:
    """W_k = a int_0^1 h e^{-h (1 - theta)} theta^k dtheta, and W_0 = total.

    By parts, W_k = a - k / h W_{k-1}; by the series where that would cancel. An
    infinite h has no weight but W_0: the others are then without meaning.
    """
    h = torch.where(h.isfinite(), h, 1)
    W = [total]
    for k in range(1, J):
        series = term = a * h / (k + 1)
        for i in range(k + 2, k + 22):
            term = -term * h / i
            series = series + term
        W.append(torch.where(h.abs() > 1, a - k / h * W[-1], series))
    return torch.stack(W, 1)


def halved(W: Columns, known: Tensor) -> Columns:
    """The weights that the published code has in place of W_1 and W_2.

    W_0 / 2 for W_1 where two values are known, W_2 / 2 for W_2.
    """
    W = list(W.unbind(1))
    if len(W) > 1:
        W[1] = torch.where(known.sum(1) == 2, W[0] / 2, W[1])
    if len(W) > 2:
        W[2] = W[2] / 2
    return torch.stack(W, 1)


def _inverse(a: Column, total: Column, q: Column, J: int) -> Columns:
    """W_k = g_s int theta^k d(1 / nsr), theta linear in nsr, q = nsr_s / nsr_t.

    a q e int_0^1 theta^k / (1 - e theta)^2 dtheta with e = 1 - q: by parts, or by
    the series where that would cancel.
    """
    q = torch.where(q.isfinite(), q, 0)
    e = 1 - q
    far = e.abs() > 0.5
    near = torch.where(far, 0, e)
    L = -q * torch.where(q > 0, q, 1).log() / e
    W = [total]
    for k in range(1, J):
        series = sum((i + 1) / (k + i + 1) * near**i for i in range(TERMS))
        W.append(a * torch.where(far, 1 - k * L, q * e * series))
        L = (L - q / k) / e  # q int_0^1 theta^k / (1 - e theta) dtheta
    return torch.stack(W, 1)
