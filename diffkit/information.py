"""Information: what noise hides, what a denoiser recovers, in nats.

Along a path with one end, x_t = a x0 + g z, all that matters is the signal-to-noise
ratio s = a^2 / g^2: the unit-noise channel y = sqrt(s) x0 + z carries the same
information. With mmse(s) = E|x0 - E[x0 | y]|^2, the integrals of this module are

    I(x0; y)  =  1/2 int_0^s mmse(u) du                               (I-MMSE)
    I(x0; y)  =  I(k; y) + I(x0; y | k)             (k: the component of x0)
    KL(p|N)   =  1/2 int_0^inf [lmmse(u) - mmse(u)] du  (N: p's mean and covariance)
    KL(p|q)   =  1/2 int_0^inf E_p|D_p - D_q|^2 du           (D: the denoisers)

with lmmse the error of the best linear guess. The last line cut at any s is the KL
that remains of the noised laws; in the variance v = 1/s it reads

    d/dv KL(p * N(0, v) | q * N(0, v)) = -1/2 E_p|grad log p_v - grad log q_v|^2.

A `shapes.Estimate` comes with its standard error. It is zero where the value is
closed (one component) or a quadrature (one dimension); elsewhere n draws and a
generator must be given. No function takes t = 0, where s is infinite, unless it
says so; a = 0, where s = 0, is a time like any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from .laws import Mixture, SingularLaw, gaussian
from .laws.quadrature import edges, integral
from .shapes import Estimate, Float, Int, Points, Times, points
from .worlds import World

CHUNK = 2**22  # numbers held at once
Rng = torch.Generator | None
Field = Callable[[Tensor, Tensor], Tensor]


# ------------------------------------------------------------ denoising errors


def linear_mmse(world: World, t: Times) -> Float[Tensor, "*n"]:
    """The mean square error of the best affine guess of x0 from x_t.

    sum_j lambda_j / (1 + s lambda_j) over the eigenvalues of cov(x0); of a Gaussian
    the mmse itself, of other laws an upper bound. t: a number or times.
    Raises: ValueError at t = 0. Checked: tests/test_information.py
    """
    lam, s = _spectrum(world.joint), _snr(world, t).unsqueeze(-1)
    return (lam / (1 + s * lam)).sum(-1)


def mmse(world: World, t: Times, n: int = 0, rng: Rng = None) -> Estimate:
    """E|x0 - E[x0 | x_t]|^2, the least mean square error, at one or more times.

    Averaged is the trace of the exact posterior covariance; all times share the
    draws. Raises: ValueError at t = 0. Source: guo2005immse.
    Checked: tests/test_information.py
    """
    s = _snr(world, t)
    return _errors(world.joint, s, _each(s), n, rng)


def mmse_information(world: World, t: Times, n: int = 0, rng: Rng = None) -> Estimate:
    """I(x0; x_t) = 1/2 int_0^s mmse(u) du, the second road to `mutual_information`.

    The integral is over the signal-to-noise ratio, from nothing (which the path need
    not reach) to that of t. Raises: ValueError at t = 0.
    Source: guo2005immse, theorem 1. Checked: dialects/i-mmse, tests/test_information.py
    """
    joint, s = world.joint, _snr(world, t)
    cuts, place = torch.cat([s.new_zeros(1), s.reshape(-1)]).unique(return_inverse=True)
    if len(cuts) == 1:
        return Estimate(torch.zeros_like(s), torch.zeros_like(s))
    u, parts = _levels(cuts, joint)
    upto = torch.nn.functional.pad(parts.cumsum(-1), (1, 0))  # nothing up to s = 0
    upto = upto[:, place[1:]].reshape(-1, *s.shape)
    return _errors(joint, u, upto / 2, n, rng)


# ----------------------------------------------------------------- information


def within_information(world: World, t: Times) -> Float[Tensor, "*n"]:
    """I(x0; x_t | k) = sum_k w_k log det(I + s C_k) / 2: what a label leaves to say.

    k is the component that x0 came from. Raises: ValueError at t = 0.
    Checked: tests/test_information.py
    """
    lam, s = _spectra(world.joint), _snr(world, t)[..., None, None]
    return (world.joint.logw.exp() * torch.log1p(s * lam).sum(-1)).sum(-1) / 2


def label_information(
    world: World,
    t: Times,
    n: int = 0,
    rng: Rng = None,
    classes: Int[Tensor, " K"] | None = None,
) -> Estimate:
    """I(c; x_t) = E KL(p(c | x_t) || p(c)): what x_t knows of the class of x0.

    classes: the class 0, 1, ... of every component; by default each is its own.
    It rises from 0 to H(c) where the noise stops hiding the classes.
    Raises: ValueError at t = 0. Checked: tests/test_information.py
    """
    joint, s = world.joint, _snr(world, t)
    own = torch.arange(joint.k, device=s.device) if classes is None else classes
    if own.shape != (joint.k,) or own.dtype != torch.int64 or (own < 0).any():
        raise ValueError(
            f"classes has shape {tuple(own.shape)} and type {own.dtype}; it must hold "
            f"one integer >= 0 for each of the {joint.k} components"
        )
    member = torch.nn.functional.one_hot(own).to(joint.means)
    prior = joint.logw.exp() @ member

    def divergence(y: Tensor, s: Tensor) -> Tensor:
        r = _seen(joint, s).responsibilities(y) @ member
        return (torch.xlogy(r, r) - torch.xlogy(r, prior)).sum(-1)

    return _channel(divergence, s, _each(s), n, rng, joint, floor=1.0)


def mutual_information(world: World, t: Times, n: int = 0, rng: Rng = None) -> Estimate:
    """I(x0; x_t) = I(k; x_t) + I(x0; x_t | k), the chain rule over components.

    Only the first term needs draws. Raises: ValueError at t = 0, where it is the
    entropy of x0: infinite, but for a finite data set.
    Checked: tests/test_information.py
    """
    value, error = label_information(world, t, n, rng)
    return Estimate(value + within_information(world, t), error)


def denoising_entropy(law: Mixture, n: int = 0, rng: Rng = None) -> Estimate:
    """H(p) = H(N) - 1/2 int_0^inf [lmmse(s) - mmse(s)] ds: entropy from errors alone.

    N is the Gaussian of p's mean and covariance; the integral is what a denoiser
    gains on the best linear one, and equals KL(p || N). Raises: SingularLaw.
    Source: kong2023information, eq. 10. Checked: tests/test_information.py
    """
    _alike(law, dense=True)
    lam = _spectrum(law)
    s, weights = _all_levels(law)
    linear = weights @ (lam / (1 + s.unsqueeze(-1) * lam)).sum(-1) / 2
    value, error = _errors(law, s, weights / 2, n, rng)
    top = (law.d * (1 + math.log(2 * math.pi)) + lam.log().sum()) / 2
    return Estimate(top - linear + value, error)


def denoising_log_prob(
    law: Mixture, x: Points, n: int, rng: torch.Generator
) -> Estimate:
    """log p(x) = log N(x) - 1/2 int_0^inf E_z[|x - D|^2 - |x - D_N|^2] ds.

    The density at a point from the errors made in denoising it, D of the law and D_N
    of the Gaussian N with its moments, both at sqrt(s) x + z. n pairs +-z, shared by
    all points. x: (*n, d). Raises: SingularLaw. Source: kong2023information.
    Checked: tests/test_information.py
    """
    points(x, law.d)
    _alike(law, dense=True)
    normal = gaussian(law.mean(), law.cov())
    s, weights = _all_levels(law)
    like = {"dtype": x.dtype, "device": x.device, "generator": rng}
    z = torch.randn(_enough(law, n, rng), *(1,) * (x.ndim - 1), law.d, **like)

    def gain(e: Tensor, s: Tensor) -> Tensor:
        both = torch.stack([s.sqrt() * x + e, s.sqrt() * x - e])
        ours, theirs = (m.given(s.sqrt(), both, 1.0).mean() for m in (law, normal))
        return ((theirs - ours) * (2 * x - ours - theirs)).sum(-1).mean(0)

    total = torch.zeros_like((x + z)[..., 0])
    for u, w in zip(s, weights, strict=True):
        total = total + w / 2 * _rows(partial(gain, s=u), 2 * law.k * x.numel(), z)
    value, error = _moments(total)
    return Estimate(normal.log_prob(x) - value, error)


# ----------------------------------------------------------------- divergences


def fisher_divergence(p: Mixture, q: Mixture, n: int = 0, rng: Rng = None) -> Estimate:
    """E_p|grad log p - grad log q|^2; of two Gaussians in closed form.

    tr[(Q - P) C_p (Q - P)] + |Q (m_p - m_q)|^2 with the precisions P and Q.
    Raises: ValueError for different dimensions, SingularLaw.
    Checked: tests/test_information.py
    """
    _alike(p, q, dense=True)
    if p.k == q.k == 1:
        value = _gaussian_fisher(p, q)
        return Estimate(value, torch.zeros_like(value))

    def square(x: Tensor) -> Tensor:
        return ((p.score(x) - q.score(x)) ** 2).sum(-1)

    scale = (p.logw.exp() * (1 / _spectra(p)).sum(-1)).sum().item()
    return _average(p, square, n, rng, q, floor=scale)


def kl_budget(
    p: World,
    q: World,
    times: Float[Tensor, " m"],
    n: int = 0,
    rng: Rng = None,
) -> Estimate:
    """KL(p_t | q_t) lost between consecutive times: 1/2 int E_p|D_p - D_q|^2 ds.

    Two laws noised along one path. Entry i is KL at times[i] less KL at times[i+1],
    so the sum is KL at the first time less KL at the last. times: increasing, the
    first may be 0 if both laws have densities; all entries share the draws.
    Raises: ValueError for two paths, unordered times, or 0 without densities.
    Checked: tests/test_information.py
    """
    _alike(p.joint, q.joint)
    if p.path != q.path:
        raise ValueError("the worlds have different paths; a budget is along one path")
    s = _snr(p, times, at_zero=not (p.joint.singular or q.joint.singular))
    if s.ndim != 1 or len(s) < 2 or not (s.diff() < 0).all():
        raise ValueError(
            f"times has shape {tuple(s.shape)}; it must be two or more times along "
            "which the noise grows"
        )
    u, weights = _levels(s.flip(0), p.joint, q.joint)
    closed = p.joint.k == q.joint.k == 1

    def rate(y: Tensor, s: Tensor) -> Tensor:
        a, b = (_seen(law, s) for law in (p.joint, q.joint))
        if closed:
            return _gaussian_fisher(a, b).expand(y.shape[:-1])
        return ((a.score(y) - b.score(y)) ** 2).sum(-1)

    # |D_p - D_q|^2 = |difference of scores|^2 / s in the unit-noise channel
    weights = weights.flip(-1) / (2 * u.unsqueeze(-1))
    return _channel(rate, u, weights, n, rng, p.joint, q.joint, floor=1.0)


def kl_rate(p: World, q: World, t: float, n: int = 0, rng: Rng = None) -> Estimate:
    """d/dt KL(p_t | q_t) = E_p[(v_p - v_q) . (grad log p_t - grad log q_t)].

    For any two worlds, v their velocities. Along one path with one end it is
    -1/2 a^2 (nsr^2)' times the Fisher divergence. Raises: SingularLaw.
    Source: albergo2023interpolants. Checked: tests/test_information.py
    """
    _alike(p.law(t), q.law(t), dense=True)

    def product(x: Tensor) -> Tensor:
        slip = p.velocity(x, t) - q.velocity(x, t)
        return (slip * (p.score(x, t) - q.score(x, t))).sum(-1)

    law, scale = p.law(t), 0.0
    if law.d == 1:
        own = _average(law, lambda x: (p.velocity(x, t) * p.score(x, t))[:, 0] ** 2)
        scale = own.value.sqrt().item()
    return _average(law, product, n, rng, q.law(t), floor=scale)


def drift_bound(
    world: World,
    gap: Field,
    eps: float,
    n: int = 0,
    rng: Rng = None,
    nodes: int = 32,
) -> Estimate:
    """(1 / 4 eps) int_0^T E|gap(x_t, t)|^2 dt, a bound on KL at the end of an SDE.

    Of dX = b dt + sqrt(2 eps) dW, whose laws are world.law(t), against the same start
    with the drift b + gap. eps > 0; nodes: Gauss-Legendre times in (0, T).
    Raises: ValueError for eps or nodes <= 0.
    Source: albergo2023interpolants. Checked: tests/test_information.py
    """
    if not (0 < eps < math.inf and nodes > 0):
        raise ValueError(f"eps is {eps} and nodes {nodes}; both must be positive")
    at, weights = np.polynomial.legendre.leggauss(nodes)

    def size(x: Tensor, t: Tensor) -> Tensor:
        return (gap(x, t) ** 2).sum(-1)

    parts = []
    for u, w in zip(at, weights * world.path.T / (8 * eps), strict=True):
        t = world.joint.means.new_tensor(world.path.T * (1 + u) / 2)
        value, error = _average(world.law(t), partial(size, t=t), n, rng)
        parts.append((w * value, w * error))
    values, errors = (torch.stack(u) for u in zip(*parts, strict=True))
    return Estimate(values.sum(), errors.norm())


# ---------------------------------------------------------------------- inside


def _snr(world: World, t: Times, at_zero: bool = False) -> Tensor:
    """a^2 / g^2, shaped like t."""
    c = world.path.one_ended().at(t)
    if not c.a.numel():
        raise ValueError("t is empty; give at least one time")
    if not at_zero and not (c.g2 > 0).all():
        raise ValueError(
            "at t = 0 nothing is hidden: the signal-to-noise ratio is infinite; "
            "take t > 0"
        )
    return (c.a**2 / c.g2).to(world.joint.means)


def _seen(law: Mixture, s: Tensor) -> Mixture:
    """The law of sqrt(s) x0 + z."""
    return law.scale(s.sqrt()).blur(1.0)


def _alike(*laws: Mixture, dense: bool = False) -> None:
    """Laws of one dimension without batch shape, and with a density if asked."""
    shapes = [(law.d, *law.batch) for law in laws]
    if len({*shapes}) > 1 or len(shapes[0]) > 1:
        raise ValueError(
            f"the laws have dimensions and batch shapes {shapes}; they must agree in "
            "dimension and have no batch"
        )
    if dense and any(law.singular for law in laws):
        raise SingularLaw("a law has a zero eigenvalue, so no density; add noise first")


def _spectra(law: Mixture) -> Tensor:
    """The eigenvalues (K|1, d) of the components; one row if all share them."""
    cov = law.spectral().covariance
    floor = cov.floor.unsqueeze(-1).expand(-1, cov.d - cov.spectrum.shape[-1])
    return torch.cat([u.expand(cov.k, -1) for u in (cov.spectrum, floor)], -1)


def _spectrum(law: Mixture) -> Float[Tensor, " d"]:
    """The eigenvalues of the whole covariance."""
    if law.k == 1:
        return _spectra(law)[0]
    return torch.linalg.eigvalsh(law.cov()).clamp_min(0)  # below 0 by rounding only


def _errors(joint: Mixture, s: Tensor, weights: Tensor, n: int, rng: Rng) -> Estimate:
    """sum_q weights[q] mmse(s_q), by the trace of the posterior covariance."""
    lam = _spectra(joint)

    def trace(y: Tensor, s: Tensor) -> Tensor:
        seen = joint.given(s.sqrt(), y, 1.0)
        off = seen.means - seen.mean().unsqueeze(-2)
        within = (lam / (1 + s[..., None, None] * lam)).sum(-1)
        return (seen.logw.exp() * (within + (off**2).sum(-1))).sum(-1)

    size = joint.cov().trace().item() * torch.finfo(s.dtype).eps
    return _channel(trace, s, weights, n, rng, joint, floor=size)


def _gaussian_fisher(p: Mixture, q: Mixture) -> Tensor:
    C, E, eye = p.cov(), q.cov(), torch.eye(p.d).to(p.means)
    P, Q = torch.linalg.solve(C, eye), torch.linalg.solve(E, eye)
    off = Q @ (p.mean() - q.mean())
    return ((Q - P) @ C @ (Q - P)).trace() + off @ off


def _levels(cuts: Float[Tensor, " m"], *laws: Mixture) -> tuple[Tensor, Tensor]:
    """Signal-to-noise ratios s (Q,), and weights (Q, m - 1) of each interval of cuts.

    The clock is s up to an eighth of 1 / (largest variance), then log s, and for a
    last cut of inf -1/s from 1 / (least variance) on: laws are smooth in it.
    Gauss-Legendre with ten points on pieces of length one.
    """
    w = cuts.new_full((len(laws),), 1 / len(laws))
    means = torch.stack([law.mean() for law in laws])
    off = means - w @ means
    pooled = torch.einsum("l,lij->ij", w, torch.stack([law.cov() for law in laws]))
    top = torch.linalg.matrix_norm(pooled + (off.mT * w) @ off)
    s0 = 1 / (8 * top) if top > 0 else torch.ones_like(top)
    s1 = cuts[-1]
    if torch.isinf(s1):
        s1 = 1 / torch.stack([_spectra(law).min() for law in laws]).min()
    s0, s1 = s0.detach(), torch.maximum(s0, s1).detach()
    u1 = 1 + (s1 / s0).log()
    late = 1 + (cuts / s0).clamp_min(1).log()
    clock = (cuts / s0).where(cuts <= s0, late.where(cuts <= s1, u1 + 1 - s1 / cuts))
    ticks = torch.arange(0, math.ceil(u1.item()) + 1).to(cuts)
    ends = torch.cat([clock, ticks, u1.reshape(1)]).clamp(clock[0], clock[-1]).unique()
    x, w = (torch.as_tensor(v).to(cuts) for v in np.polynomial.legendre.leggauss(10))
    half = ends.diff().unsqueeze(-1) / 2
    u = (ends[:-1].unsqueeze(-1) + half * (1 + x)).reshape(-1)
    s = (s0 * u).where(u <= 1, s0 * (u - 1).exp())
    s = s.where(u <= u1, s1 / (u1 + 1 - u))
    pace = s0.where(u <= 1, s.where(u <= u1, s**2 / s1))  # ds / du
    one = torch.arange(len(cuts) - 1, device=u.device)
    inside = (torch.searchsorted(clock, u) - 1).unsqueeze(-1) == one
    return s, ((half * w).reshape(-1) * pace).unsqueeze(-1) * inside


def _all_levels(law: Mixture) -> tuple[Tensor, Tensor]:
    """s and weights from no signal to no noise; the law has a density."""
    s, weights = _levels(law.means.new_tensor([0.0, math.inf]), law)
    return s, weights.squeeze(-1)


def _enough(law: Mixture, n: int, rng: Rng) -> int:
    if n < 2 or rng is None:
        raise ValueError(
            f"{law.k} components in {law.d} dimensions are averaged over draws: give "
            f"n >= 2 and a generator; n is {n}"
        )
    return n


def _moments(x: Tensor) -> Estimate:
    """Mean over the first axis and its standard error."""
    return Estimate(x.mean(0), x.std(0) / math.sqrt(len(x)))


def _rows(f: Callable[..., Tensor], width: int, *x: Tensor) -> Tensor:
    """f(*x) over chunks of rows, each of which needs this many numbers."""
    parts = (u.split(max(1, CHUNK // width)) for u in x)
    return torch.cat([f(*some) for some in zip(*parts, strict=True)])


def _average(
    law: Mixture,
    f: Callable[[Tensor], Tensor],
    n: int = 0,
    rng: Rng = None,
    *others: Mixture,
    floor: float = 0.0,
) -> Estimate:
    """E f(x), x ~ law; others: laws that f is made of; floor as in `integral`."""
    if law.d > 1:
        x = law.sample(_enough(law, n, rng), rng)
        return _moments(_rows(f, law.means.numel(), x))

    def density(x: Tensor, _: Tensor) -> Tensor:
        x = x.unsqueeze(-1)
        return law.log_prob(x).exp() * f(x)

    value = integral(density, edges(law, *others), floor)[0]
    return Estimate(value, torch.zeros_like(value))


def _channel(
    f: Callable[[Tensor, Tensor], Tensor],
    s: Tensor,
    weights: Tensor,
    n: int,
    rng: Rng,
    joint: Mixture,
    *others: Mixture,
    floor: float = 0.0,
) -> Estimate:
    """sum_q weights[q] E f(y, s_q), y = sqrt(s_q) x0 + z, on one set of draws.

    weights: (Q, *n). joint is the law of x0, others are laws that f is made of as
    well; if all have one component, f must not depend on y. s is one number for all
    y (n, d), or has one for each (n).
    """
    s, laws = s.reshape(-1), (joint, *others)
    if all(law.k == 1 for law in laws):
        means = torch.cat([f(joint.means[:1], s=u) for u in s])
    elif joint.d == 1:

        def density(y: Tensor, s: Tensor) -> Tensor:
            return _seen(joint, s).log_prob(y).exp() * f(y, s=s)

        cuts = edges(*(_seen(law, s) for law in laws))
        means = integral(
            lambda y, q: _rows(density, joint.k, y.unsqueeze(-1), s[q]), cuts, floor
        )
    else:
        x0 = joint.sample(_enough(joint, n, rng), rng)
        like = {"dtype": x0.dtype, "device": x0.device, "generator": rng}
        z, width = torch.randn(x0.shape, **like), joint.means.numel()
        draws = [_rows(partial(f, s=u), width, u.sqrt() * x0 + z) for u in s]
        return _moments(torch.tensordot(torch.stack(draws, -1), weights, 1))
    total = torch.tensordot(means, weights, 1)
    return Estimate(total, torch.zeros_like(total))


def _each(s: Tensor) -> Tensor:
    """Weights by which every s stands for itself."""
    return torch.eye(s.numel()).to(s).reshape(-1, *s.shape)
