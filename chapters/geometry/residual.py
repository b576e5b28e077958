# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# The Fokker-Planck residual, and the gap between ODE and SDE

With the exact score the probability flow and the reverse diffusion end in the same
law. With a learned one they do not. How far apart are they, which is nearer to the
data, and can one see it in the field alone, without a sample?

- **You need** the [Fokker-Planck equation](../gaussian/reverse.ipynb),
[gauges](gauges.ipynb), and [how to read a claim](../start/reading.ipynb).
- **You get** the equation that every score obeys, what its residual knows and what
it does not, the gap to first order in the error for every data law, and the noise
level above which the diffusion forgives more than the flow.
- **Paper** 068, Deveney and co-authors {cite}`deveney2023odesde`.
- **Claims** on Gaussians and mixtures in one to three dimensions, all named
`residual/...`.
"""

# %% tags=["remove-cell"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("diffkit") is None:  # on Colab: this release
    pip = [sys.executable, "-m", "pip", "install", "-q"]
    book = "git+https://github.com/OWNER/diffusion-exact@v0.1.0"
    subprocess.check_call([*pip, "jaxtyping"])
    subprocess.check_call([*pip, "--no-deps", book])

# %% [markdown]
r"""
The imports, once for the whole chapter:
"""

# %% tags=["setup"]
import functools

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy import integrate, optimize, special
from torch import distributions

from diffkit import figures, laws, paths, shapes, worlds
from diffkit.claims import Claim, attempt, check

tensor = functools.partial(torch.tensor, dtype=torch.float64)
even = functools.partial(torch.linspace, dtype=torch.float64)

# %% [markdown]
r"""
## Which equation does every score obey?

On the path $x_t = a x_0 + g z$ the density obeys the Fokker-Planck equation with
drift $f x$, $f = \dot a / a$, and noise $h$, $h^2 = (g^2)^{\textstyle\cdot} - 2 f g^2$.
Divided by $p_t$ it is an equation for $\log p_t$
([derived here](../gaussian/reverse.ipynb)):

$$
\partial_t \log p_t = - f\, (d + x \cdot s)
+ \tfrac12 h^2 \left( \nabla \cdot s + |s|^2 \right), \qquad s = \nabla \log p_t .
$$

It holds for $g > 0$, where $p_t$ is smooth and positive. Take the gradient. The
constant $d$ drops out, time and space derivatives commute, and

$$
\partial_t s = \nabla \Big[ - f\, x \cdot s
+ \tfrac12 h^2 \left( \nabla \cdot s + |s|^2 \right) \Big] .
$$ (eq-residual-score)

This is the **score Fokker-Planck equation**. It has no density in it, so it can be
asked of any field $\hat s$, a network for one. What is left over is the **residual**,

$$
R[\hat s] = \partial_t \hat s - \nabla \Big[ - f\, x \cdot \hat s
+ \tfrac12 h^2 \left( \nabla \cdot \hat s + |\hat s|^2 \right) \Big] .
$$ (eq-residual-residual)

The code is this formula, with four places to slip:
"""


# %% tags=["setup"]
def slope(y, x):
    """The gradient of the sum of y in x, itself differentiable."""
    return torch.autograd.grad(y.sum(), x, create_graph=True)[0]


def right_side(field, x, t, f, h2, half=0.5, drift=-1, lap=1, square=1):
    """grad [-f x.s + h^2/2 (div s + |s|^2)] at points x (n, d)."""
    x = x.detach().clone().requires_grad_()
    s = field(x, t)
    div = sum(slope(s[:, i], x)[:, i] for i in range(x.shape[1]))
    inner = lap * div + square * (s**2).sum(-1)
    return slope(drift * f * (x * s).sum(-1) + half * h2 * inner, x).detach()


def rate(field, x, t):
    """The derivative of the field in time, at points that stand still."""
    t = t.detach().clone().requires_grad_()
    s = field(x.detach(), t)
    return torch.stack([slope(u, t) for u in s.unbind(1)], 1).detach()


# %% tags=["setup"]
def residual(field, x, t, f=0.0, h2=1.0):
    """The Fokker-Planck residual; in the clock of the noise by default."""
    return rate(field, x, t) - right_side(field, x, t, f, h2)


# %% [markdown]
r"""
The first test is a mixture of three tilted Gaussians in the plane. The left side of
[the equation](#eq-residual-score) comes from torch's own mixture density,
differentiated in space and then in time; the right side from the score of `World`.
"""

# %% tags=["setup"]
centres = tensor([[-1.5, 0.5], [1.0, 1.2], [0.6, -1.4]])
tilts = tensor(
    [
        [[0.30, 0.18], [0.18, 0.24]],
        [[0.12, -0.05], [-0.05, 0.35]],
        [[0.50, 0.10], [0.10, 0.06]],
    ]
)
shares = tensor([0.5, 0.3, 0.2])
law = laws.mixture(centres, tilts, shares)
vp, ve = paths.vp(), paths.ve(0.01, 20.0)
plane = [worlds.World(path, law) for path in (vp, ve)]


# %% tags=["setup"]
def by_torch(path):
    """The score as the gradient of torch's mixture density."""

    def score(x, t):
        x = x.clone().requires_grad_()
        c = path.at(t)
        a, g2 = c.a.reshape(-1, 1, 1), c.g2.reshape(-1, 1, 1, 1)
        cov = a.unsqueeze(-1) ** 2 * tilts + g2 * torch.eye(2).double()
        parts = distributions.MultivariateNormal(a * centres, cov)
        weights = distributions.Categorical(shares.expand(len(t), 3))
        mixture = distributions.MixtureSameFamily(weights, parts)
        return slope(mixture.log_prob(x), x)

    return score


# %%
hours = even(0.1, 0.95, 30)
spots = [w.draw(30, hours, shapes.rng(i))[2] for i, w in enumerate(plane)]
turning = torch.cat(
    [
        rate(by_torch(w.path), x, hours)
        for w, x in zip(plane, spots, strict=True)
    ]
)


def planck(**slips):
    """The right side on both paths."""
    out = []
    for w, x in zip(plane, spots, strict=True):
        f, h2 = w.path.sde(hours)
        out.append(right_side(w.score, x, hours, f, h2, **slips))
    return torch.cat(out)


# %% tags=["hide-input"]
score_slips = {
    "$h^2$ for $h^2/2$": planck(half=1.0),
    "half of $|s|^2$": planck(square=0.5),
    "the divergence left out": planck(lap=0),
    "the sign of the drift": planck(drift=1),
}

# %% tags=["hide-input"]
score_claim = Claim(
    id="residual/score",
    says=r"The score of $x_t = a x_0 + g z$ obeys $\partial_t s = \nabla [-f "
    r"x \cdot s + \frac12 h^2 (\nabla \cdot s + |s|^2)]$, $f = \dot "
    r"a/a$, $h^2 = (g^2)^{\textstyle\cdot} - 2 f g^2$ (three tilted "
    r"Gaussians, $d = 2$; VP and VE).",
    papers=("068",),
    kind="exact",
    formula=planck(),
    controls=score_slips,
    tol=1e-13,
    because="float64; three nested derivatives of a mixture",
    truth=turning,
)
check(score_claim)

# %% [markdown]
r"""
**One clock is enough.** Put $y = x/a$ and $\tau = \sigma^2 = g^2/a^2$, the variance of the
noise on the scale of the data. Then $y = x_0 + \sqrt\tau z$, a path without drift
and with $h = 1$ in the clock $\tau$. A field $u(y, \tau)$ there is the field

$$
\hat s(x, t) = \tfrac1a\, u\big(\tfrac xa, \sigma_t^2\big)
$$

here, because a density in $x$ is one in $y$ times a constant, and its gradient gains
a factor $1/a$. How does the residual change? Use $\dot\tau = h^2/a^2$, which is the
definition of $h^2$ divided by $a^2$. A gradient in $x$ is $\frac1a$ times one in
$y$, so

$$
\begin{aligned}
\partial_t \hat s &= \tfrac{\dot\tau}{a}\, \partial_\tau u
- \tfrac{f}{a} \big[ u + (y \cdot \nabla_y)\, u \big], \\
\nabla (f x \cdot \hat s) &= \tfrac fa \big[ u + (\nabla_y u)^\top y \big] , \\
\tfrac12 h^2\, \nabla(\nabla \cdot \hat s + |\hat s|^2)
&= \tfrac{h^2}{2 a^3}\, \nabla_y (\nabla_y \cdot u + |u|^2) .
\end{aligned}
$$

$(\nabla_y u)_{ij} = \partial_j u_i$. In $R$ the first two add up; if $u$ is a
gradient, its Jacobian is symmetric, the brackets cancel, and

$$
R[\hat s](x, t) = \frac{h^2}{a^3}\, R_\tau[u](y, \tau) , \quad
R_\tau[u] = \partial_\tau u - \tfrac12 \nabla (\nabla \cdot u + |u|^2) .
$$ (eq-residual-clock)

A field that turns leaves
$\frac fa [(\nabla_y u)^\top - \nabla_y u]\, y$ over: its residual depends on the
clock. This is the first sign that the residual is made for gradients.
"""


# %%
def waves(y, tau):
    """A gradient in the plane that is no score: of a potential with waves."""
    crest = torch.cos(y[:, :1] - 0.7 * y[:, 1:]) * torch.exp(-tau[:, None])
    return -y / (1 + tau[:, None]) + 0.4 * crest * tensor([1.0, -0.7])


def carried(x, t):
    """The same field on the VP path."""
    c = vp.at(t)
    return waves(x / c.a[:, None], c.g2 / c.a**2) / c.a[:, None]


early = even(0.1, 0.6, 30)
f_vp, h2_vp = vp.sde(early)
a_vp, tau_vp = vp.at(early).a, vp.at(early).g2 / vp.at(early).a ** 2
there = plane[0].draw(30, early, shapes.rng(2))[2]
left_here = residual(carried, there, early, f_vp, h2_vp)
left_there = residual(waves, there / a_vp[:, None], tau_vp)

# %% tags=["hide-input"]
clock_claim = Claim(
    id="residual/clock",
    says=r"If $u$ is a gradient and $\hat s(x, t) = u(x/a, g^2/a^2)/a$, then "
    r"$R[\hat s](x, t) = (h^2/a^3) R_\tau[u]$, $R_\tau$ the residual on "
    r"the path $y = x_0 + \sqrt\tau z$ (a wavy field in the plane; VP).",
    papers=("068",),
    kind="exact",
    formula=(h2_vp / a_vp**3)[:, None] * left_there,
    controls={
        "$h^2/a^2$, the change of clock only": (
            (h2_vp / a_vp**2)[:, None] * left_there
        ),
        "$1/a$, the change of scale only": left_there / a_vp[:, None],
        "$h^2/(2 a^3)$": (h2_vp / a_vp**3)[:, None] * left_there / 2,
    },
    tol=1e-12,
    because="float64; large terms of the drift cancel",
    truth=left_here,
)
check(clock_claim)

# %% [markdown]
r"""
From now on $a = 1$, the clock is $\tau = g^2$, it runs from $\tau = 0$, the data, to
$\tau = T$, and $p_\tau$ is the law of $x_0 + \sqrt\tau z$.

## What does the residual know?

**It knows scores.** Let $\hat s = \nabla \varphi$ and $R = 0$. Then
$\partial_\tau \varphi - \frac12(\Delta\varphi + |\nabla\varphi|^2)$ has no gradient:
it is a number $c(\tau)$. Subtract $\int c$ from $\varphi$, which does not change
$\hat s$, and put $q = e^\varphi$. Then $\partial_\tau q = q\, \partial_\tau \varphi$ and
$\Delta q = q\, (\Delta\varphi + |\nabla\varphi|^2)$, so

$$
R[\nabla \varphi] = 0 \quad\Longleftrightarrow\quad
\partial_\tau q = \tfrac12 \Delta q , \quad q = e^\varphi .
$$ (eq-residual-heat)

So a gradient without residual is $\nabla \log q$ for a positive solution of the heat
equation. If $q$ has finite mass at $\tau = 0$ and is the heat flow of what it is
there, this is the exact score of *some* data: those with density $q_0$.

**It does not know which data.** For the data $\mathcal N(0, c)$ the score is
$-x/(c + \tau)$, for every $c$. In general, for $\hat s = -k(\tau)\, x$ in one dimension

$$
R = -(k' + k^2)\, x ,
$$ (eq-residual-linear)

and $k' = -k^2$ has the solutions $k = 1/(c + \tau)$ and no other but $k = 0$. None
asks for the true variance $\lambda$. And "some data" needs its provisos:
$c = 0$ is one point; with $-T < c < 0$ the residual vanishes for all $\tau > -c$, and
there are no data at the end; a constant field $\hat s = v$ has no residual either,
and $q = e^{v \cdot x + |v|^2 \tau/2}$ has no finite mass.

**What do the samplers make of such a field?** Run down from a Gaussian of variance
$V_T$. One step of the flow, $dx = -\frac12 \hat s\, d\tau$, and of the family of
reverse processes with noise level $\eta$,
$dx = -\frac{1 + \eta^2}{2} \hat s\, d\tau + \eta\, d\bar W$, give

$$
\frac{dV}{d\tau} = (1 + \eta^2)\, k V - \eta^2 .
$$ (eq-residual-variance)

At $\eta = 0$ it is the flow, at $\eta = 1$ the SDE. The equation is linear. With the
factor $E(\tau) = \exp\big( -(1 + \eta^2) \int_0^\tau k \big)$ it reads
$(E V)' = -\eta^2 E$, hence

$$
V_\eta(0) = V_T\, E(T) + \eta^2 \int_0^T E(\tau)\, d\tau .
$$ (eq-residual-end)

So $V_{\text{ode}} = V_T e^{-\int k}$, and
$V_{\text{sde}} = V_T e^{-2\int k} + \int_0^T e^{-2 \int_0^\tau k} d\tau$.
We write $k = 1/(\lambda + \tau) + \delta(\tau)$ and take three shapes of the error
$\delta$, each with its derivative and its integral from 0.
"""

# %% tags=["setup"]
LAM, T, WIDE = 0.7, 4.0, 0.5
MID = 1.2


def bell(t):
    """A bump at MID of width WIDE."""
    return np.exp(-(((t - MID) / WIDE) ** 2) / 2)


def bell_area(t):
    """Its integral from 0."""
    root, unit = np.sqrt(np.pi / 2) * WIDE, np.sqrt(2) * WIDE
    return root * (special.erf((t - MID) / unit) + special.erf(MID / unit))


# %% tags=["setup"]
SHAPES = {  # the error, its derivative, its integral from 0
    "wave": (
        lambda t: np.sin(1.3 * t) + 0.4,
        lambda t: 1.3 * np.cos(1.3 * t),
        lambda t: (1 - np.cos(1.3 * t)) / 1.3 + 0.4 * t,
    ),
    "fading": (
        lambda t: np.exp(-t),
        lambda t: -np.exp(-t),
        lambda t: 1 - np.exp(-t),
    ),
    "bump": (bell, lambda t: -(t - MID) / WIDE**2 * bell(t), bell_area),
}

# %% tags=["setup"]
nodes, weights = np.polynomial.legendre.leggauss(80)
taus, dtau = (nodes + 1) * T / 2, weights * T / 2


def end(eta, size, shape, noise=1.0, power=1.0, start=LAM + T):
    """The variance at 0, in closed form; noise and power are slips."""
    m = power * (1 + eta**2)

    def decay(t):
        return np.exp(-m * (np.log1p(t / LAM) + size * SHAPES[shape][2](t)))

    spread = noise * eta**2 * (dtau * decay(taus)).sum()
    return start * decay(T) + spread


# %% tags=["setup"]
def run(k, etas, start, last=T):
    """The variances at 0 by Dormand and Prince, one for each eta."""
    etas = np.asarray(etas)

    def slopes(t, V):
        return (1 + etas**2) * k(t) * V - etas**2

    V = np.broadcast_to(start, etas.shape).astype(float)
    how = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-15}
    return integrate.solve_ivp(slopes, (last, 0), V, **how).y[:, -1]


# %%
LEVELS = np.array([0.0, 0.5, 1.0, 2.0])


def wrong(size, shape):
    """k = 1/(lambda + tau) + size delta."""
    return lambda t: 1 / (LAM + t) + size * SHAPES[shape][0](t)


ends_truth = np.array([run(wrong(0.3, s), LEVELS, LAM + T) for s in SHAPES])


def ends(**slips):
    """The closed form for three shapes and four levels."""
    rows = [[end(e, 0.3, s, **slips) for e in LEVELS] for s in SHAPES]
    return np.array(rows)


# %% tags=["hide-input"]
ends_slips = {
    "no noise in the integral": ends(noise=0.0),
    "the exponent halved": ends(power=0.5),
    "twice the noise": ends(noise=2.0),
    "starting from $T$, without the data's variance": ends(start=T),
}

# %% tags=["hide-input"]
ends_claim = Claim(
    id="residual/ends",
    says=r"With $\hat s = -k(\tau) x$, from $\mathcal N(0, V_T)$, the "
    r"process of noise level $\eta$ ends with the variance $V_T E(T) + "
    r"\eta^2 \int_0^T E\,d\tau$, $E = \exp(-(1 + \eta^2) \int_0^\tau "
    r"k)$; $\eta = 0$: flow, $1$: SDE ($\lambda = 0.7$, $T = 4$, three "
    r"shapes of error).",
    papers=("068",),
    kind="exact",
    formula=ends(),
    controls=ends_slips,
    tol=1e-11,
    because="an ODE solver at relative tolerance 1e-12; 80 nodes",
    truth=ends_truth,
)
check(ends_claim)

# %% [markdown]
r"""
Put $k = 1/(c + \tau)$ into [the end](#eq-residual-end): with $q = c/(c + T)$ and a
start that misses the field's own prior by $\Delta = V_T - (c + T)$,

$$
V_{\text{ode}} = c + q \Delta, \quad V_{\text{sde}} = c + q^2 \Delta, \quad
V_{\text{sde}} - V_{\text{ode}} = - q (1 - q) \Delta .
$$ (eq-residual-else)

With $\Delta = 0$ both are right about the wrong data: no residual, no gap, and
the variance $c$ in the place of $\lambda$. With $\Delta \ne 0$ there is a gap
*without* any residual. It comes from the start, which the SDE forgets with the
factor $q^2$ and the flow only with $q$.
"""

# %%
STRANGE = ((1.9, 5.9), (0.2, 4.2), (1.9, 4.7), (0.3, 6.0))  # c, V_T


def stranger(power=2, share=1.0):
    """The two variances for each c and start."""
    out = []
    for c, start in STRANGE:
        q, off = c / (c + T), start - c - T
        out.append([c + share * q * off, c + q**power * off])
    return np.array(out)


def own(c):
    """The exact k of the data N(0, c)."""
    return lambda t: 1 / (c + t)


else_truth = np.array([run(own(c), [0.0, 1.0], v) for c, v in STRANGE])

# %% tags=["hide-input"]
else_slips = {
    "both forget the start alike": stranger(power=1),
    "no residual, no gap: the start does not count": stranger(9, 0.0),
    "the data's variance whatever the field": 0 * stranger() + LAM,
}

# %% tags=["hide-input"]
else_claim = Claim(
    id="residual/else",
    says=r"$\hat s = -x/(c + \tau)$ has no residual for any $c$. From "
    r"$\mathcal N(0, c + T + \Delta)$ the flow ends with $c + q \Delta$ "
    r"and the SDE with $c + q^2 \Delta$, $q = c/(c + T)$: with $\Delta "
    r"= 0$ there is no gap and the wrong law, with $\Delta \ne 0$ a gap "
    r"without residual ($T = 4$).",
    papers=("068",),
    kind="exact",
    formula=stranger(),
    controls=else_slips,
    tol=1e-11,
    because="an ODE solver at relative tolerance 1e-12",
    truth=else_truth,
)
check(else_claim)

# %% [markdown]
r"""
**It does not know how far.** Take the score of $\mathcal N(0, V)$ at one $\tau$,
$s = -x/V$, and the ripple $r = \epsilon \sin \omega x$, constant in
time. Since $s$ has no residual,
$R[s + r] = -\frac12 \partial_x (r' + 2 s r + r^2)$, term by term

$$
\begin{aligned}
R = {} & \tfrac12 \epsilon \omega^2 \sin \omega x
+ \tfrac{\epsilon}{V} \left( \sin \omega x + \omega x \cos \omega x \right) \\
& - \tfrac12 \epsilon^2 \omega \sin 2 \omega x .
\end{aligned}
$$ (eq-residual-ripple)

With $\epsilon = 1/\omega$ and $\omega \to \infty$ the error goes to zero everywhere, and
the residual grows like $\omega/2$. The other way round, a score of the wrong data has
a large error and no residual at all. Neither of the two bounds the other.
"""

# %%
comb = even(-3.0, 3.0, 61).unsqueeze(1)
always = torch.full((61,), 0.5, dtype=torch.float64)
RIPPLES = ((0.5, 2.0), (0.125, 8.0), (0.03125, 32.0))  # epsilon, omega


def rippled(eps, omega):
    """The score of N(0, 0.7 + tau) and a ripple."""
    return lambda x, t: -x / (LAM + t[:, None]) + eps * torch.sin(omega * x)


def ripple(half=0.5, cross=1.0, square=0.5):
    """The closed form for the three ripples."""
    rows, V = [], LAM + 0.5
    for eps, w in RIPPLES:
        rise = torch.sin(w * comb) + w * comb * torch.cos(w * comb)
        row = half * eps * w**2 * torch.sin(w * comb) + cross * eps * rise / V
        rows.append(row - square * eps**2 * w * torch.sin(2 * w * comb))
    return torch.stack(rows)


# %% tags=["hide-input"]
ripple_truth = [residual(rippled(*r), comb, always) for r in RIPPLES]
# %% tags=["hide-input"]
ripple_slips = {
    "$\\omega^2$ for $\\omega^2/2$": ripple(half=1.0),
    "no product of score and error": ripple(cross=0.0),
    "no square of the error": ripple(square=0.0),
}

# %% tags=["hide-input"]
ripple_claim = Claim(
    id="residual/ripple",
    says=r"The ripple $\epsilon \sin \omega x$ on the score of $\mathcal "
    r"N(0, V)$ has the residual $\frac12 \epsilon \omega^2 \sin \omega "
    r"x + \frac{\epsilon}{V} (\sin \omega x + \omega x \cos \omega x) - "
    r"\frac12 \epsilon^2 \omega \sin 2 \omega x$: at $\epsilon = "
    r"1/\omega$ it grows while the error shrinks ($V = 1.2$, $\omega = "
    r"2, 8, 32$).",
    papers=("068",),
    kind="exact",
    formula=ripple(),
    controls=ripple_slips,
    tol=1e-13,
    because="float64, derivatives of sines",
    truth=torch.stack(ripple_truth),
)
check(ripple_claim)

# %% [markdown]
r"""
## When do flow and diffusion agree?

Let $q_\tau$ be the law of the **flow** of $\hat s$, from whatever start. The flow
moves it by $\partial_\tau q = \frac12 \nabla \cdot (q \hat s)$. The SDE would move the
same density by $\nabla \cdot (q \hat s) - \frac12 \Delta q$, with both signs turned
because it runs down. Since $\Delta q = \nabla \cdot (q \nabla \log q)$, the
difference is half of $\nabla \cdot (q e)$ with the **mismatch**

$$
e = \hat s - \nabla \log q ,
$$ (eq-residual-mismatch)

what the field says minus the score of its own flow's law. So, from one start,

> flow and SDE have the same law at every $\tau$ if and only if
> $\nabla \cdot (q_\tau e) = 0$ at every $\tau$: **the mismatch is a gauge.**

("If": $q$ solves the equation of the SDE. "Only if": it then must. Fields are taken
smooth and of linear growth, so that the equations have one solution.)
In that case $\partial_\tau q = \frac12 \nabla \cdot (q \nabla \log q) = \frac12 \Delta q$:
the flow's law is the noised law of some data.
If $\hat s$ is a gradient, then so is $e$, and a gradient that is a gauge is zero:
$\int q |e|^2 = \int q\, e \cdot \nabla \chi = - \int \chi\, \nabla \cdot (q e) = 0$ for
$e = \nabla \chi$, with decay at infinity. On the line every field is a gradient.

Where does $e$ come from? Write $l = \nabla \log q$. Divided by $q$, the flow's
equation is $\partial_\tau \log q = \frac12 (\nabla \cdot \hat s + \hat s \cdot l)$.
Subtract its gradient from
$\partial_\tau \hat s = R + \frac12 \nabla (\nabla \cdot \hat s + |\hat s|^2)$:

$$
\partial_\tau e = R + \tfrac12 \nabla ( \hat s \cdot e ) .
$$ (eq-residual-source)

This is the bridge. **The residual is the source of the mismatch**, and the rest of
the equation is linear in $e$. With
$e(T) = \hat s(T) - \nabla \log p_T = 0$, no residual means no mismatch: $e$ is then a
gradient $\nabla \chi$ with $\partial_\tau \chi = \frac12 \hat s \cdot \nabla \chi$ up to a number, so
$\chi$ is only carried along the flow, and it starts constant. Flow and SDE agree.
If $\hat s$ is a gradient the converse holds: they agree only if $e = 0$
throughout, hence $R = 0$. A wrong start is a source too, at $T$.

To test it on the line, choose the flow's law first: a mixture whose means and
variances move in a way that no noise would move them. With $F$ its distribution
function, $\partial_\tau q = \frac12 \partial_x (q \hat s)$ gives
$\hat s = 2\, \partial_\tau F / q$, in closed form.
"""


# %% tags=["setup"]
def moving(t):
    """Weights, means, deviations of a law that is no heat flow."""
    mean = torch.stack([-1 + 0.3 * t, 1.3 + 0.2 * t**2], -1)
    var = torch.stack([0.5 + 0.3 * t, 0.4 + 0.8 * t], -1)
    return tensor([0.4, 0.6]), mean, var.sqrt()


# %% tags=["setup"]
def mass(x, t):
    """The distribution function and the log-density; x (n, 1)."""
    w, mean, sd = moving(t)
    z = (x - mean) / sd
    bells = torch.exp(-(z**2) / 2) / (sd * (2 * torch.pi) ** 0.5)
    return (w * torch.special.ndtr(z)).sum(-1), (w * bells).sum(-1).log()


def steering(x, t):
    """The field whose flow has this law."""
    if not t.requires_grad:
        t = t.clone().requires_grad_()
    F, log_q = mass(x, t)
    return (2 * slope(F, t) / log_q.exp()).unsqueeze(1)


# %% tags=["setup"]
def mismatch(x, t):
    """The field minus the score of its flow's law."""
    if not x.requires_grad:
        x = x.clone().requires_grad_()
    return steering(x, t) - slope(mass(x, t)[1], x)


# %%
stage = even(-2.0, 3.0, 26).unsqueeze(1)
clock = even(0.2, 1.5, 26)


def source(half=0.5, turn=1.0, other=0.0):
    """R + half grad(s . e), with slips; other: |e|^2 in addition."""
    x = stage.clone().requires_grad_()
    s, e = steering(x, clock), mismatch(x, clock)
    product = half * s * e + other * e**2
    return (
        turn * residual(steering, stage, clock) + slope(product, x).detach()
    )


# %% tags=["hide-input"]
source_slips = {
    "$\\nabla(\\hat s \\cdot e)$ for half of it": source(half=1.0),
    "the sign of the transport": source(half=-0.5),
    "the sign of the residual": source(turn=-1.0),
    "half of $|e|^2$ taken off": source(other=-0.5),
}

# %% tags=["hide-input"]
source_claim = Claim(
    id="residual/source",
    says=r"The mismatch $e = \hat s - \nabla \log q$ between a field and the "
    r"score of its own flow's law $q_\tau$ obeys $\partial_\tau e = "
    r"R[\hat s] + \frac12 \nabla(\hat s \cdot e)$ (a mixture on the "
    r"line that is no heat flow).",
    papers=("068",),
    kind="exact",
    formula=source(),
    controls=source_slips,
    tol=1e-12,
    because="float64; three nested derivatives of a quotient",
    truth=rate(mismatch, stage, clock),
)
check(source_claim)

# %% [markdown]
r"""
**A gauge: residual, curl, and no gap.** In the statement above $\hat s$ need not be a
gradient. Take $\hat s = -K x$ with a matrix $K(\tau)$. Then
$|\hat s|^2 = x^\top K^\top K x$, and

$$
R = -\left( K' + K^\top K \right) x ,
$$ (eq-residual-matrix)

with $K^\top K$, not $K^2$. The exact score of $\mathcal N(0, \Sigma)$ has
$K = C^{-1}$, $C = \Sigma + \tau I$. Add the gauge $A s$ with constant
$A^\top = -A$, [harmless for every marginal](gauges.ipynb) {cite}`horvat2024gauge`: $K = (I + A)\, C^{-1}$.
Now $K' = -(I + A)\, C^{-2}$ and $K^\top K = C^{-1} (I - A^2)\, C^{-1}$, so

$$
R = \left( A\, C^{-2} + C^{-1} A^2 C^{-1} \right) x .
$$ (eq-residual-gauge)

Unless $A = 0$ this is not zero. The first matrix has no trace, being a product of an
antisymmetric and a symmetric one; the trace of the second is $-|A C^{-1}|^2 < 0$. And yet a covariance $V$ that is
run down by the noise level $\eta$ changes by
$V' = \frac{1 + \eta^2}{2} (K V + V K^\top) - \eta^2 I$, and at $V = C$ the gauge gives
$A + A^\top = 0$: every member of the family ends with $\Sigma$.
A penalty on the residual would punish this field, which makes no error at all in
law. Note also that $R = 0$ makes $\partial_\tau \hat s$ a gradient, so what curl a
field without residual has, it has at all times.
"""

# %%
SIGMA = tensor([[1.0, 0.3, 0.1], [0.3, 0.5, -0.2], [0.1, -0.2, 0.8]])
A = tensor([[0.0, 0.7, -0.4], [-0.7, 0.0, 0.5], [0.4, -0.5, 0.0]])
EYE = torch.eye(3, dtype=torch.float64)
near = shapes.rng(3)
some = torch.randn(20, 3, generator=near, dtype=torch.float64)
when = even(0.1, 3.0, 20)


def inverse(t):
    """C^-1, one for each time."""
    return torch.linalg.inv(SIGMA + t.reshape(-1, 1, 1) * EYE)


def turned(x, t):
    """The exact score and the gauge A s."""
    K = (EYE + A) @ inverse(t)
    return -(K @ x.unsqueeze(-1)).squeeze(-1)


# %%
K0, K1 = torch.randn(2, 3, 3, generator=shapes.rng(4), dtype=torch.float64)
Kt = K0 + when.reshape(-1, 1, 1) * K1


def skewed(x, t):
    """The field -(K0 + tau K1) x, with any two matrices."""
    K = K0 + t.reshape(-1, 1, 1) * K1
    return -(K @ x.unsqueeze(-1)).squeeze(-1)


def quadratic(M):
    """-(K' + M) x."""
    return -((K1 + M) @ some.unsqueeze(-1)).squeeze(-1)


# %% tags=["hide-input"]
linear_claim = Claim(
    id="residual/linear",
    says=r"The field $-K(\tau) x$ has the residual $-(K' + K^\top K) x$; on "
    r"a line $-(k' + k^2) x$, which is zero for $k = 1/(c + \tau)$ with any "
    r"$c$ ($d = 3$, $K$ without symmetry).",
    papers=("068",),
    kind="exact",
    formula=quadratic(Kt.mT @ Kt),
    controls={
        "$K^2$": quadratic(Kt @ Kt),
        "$K K^\\top$": quadratic(Kt @ Kt.mT),
        "half of it": quadratic(Kt.mT @ Kt / 2),
        "the sign": quadratic(-Kt.mT @ Kt),
    },
    tol=1e-14,
    because="float64, derivatives of a quadratic form",
    truth=residual(skewed, some, when),
)
check(linear_claim)

# %%
P = inverse(when)


def gauged(first, second):
    """(first + second) x."""
    return ((first + second) @ some.unsqueeze(-1)).squeeze(-1)


# %% tags=["hide-input"]
gauge_slips = {
    "no residual: a gauge changes no law": gauged(0 * P, 0 * P),
    "$K^2$ for $K^\\top K$": gauged(
        A @ P @ P, EYE * 0 - (EYE + A) @ P @ (EYE + A) @ P + P @ P
    ),
    "to first order in $A$": gauged(A @ P @ P, 0 * P),
    "the sign of $A^2$: $A^\\top A$": gauged(A @ P @ P, -P @ A @ A @ P),
}

# %% tags=["hide-input"]
gauge_claim = Claim(
    id="residual/gauge",
    says=r"The exact score of $\mathcal N(0, C)$, $C = \Sigma + \tau I$, "
    r"with the gauge $A s$ added, $A^\top = -A$, has the residual $(A "
    r"C^{-2} + C^{-1} A^2 C^{-1}) x$, which is not zero ($d = 3$).",
    papers=("068", "041"),
    kind="exact",
    formula=gauged(A @ P @ P, P @ A @ A @ P),
    controls=gauge_slips,
    tol=1e-13,
    because="float64, second derivatives of a quadratic form",
    truth=residual(turned, some, when),
)
check(gauge_claim)


# %%
def covariances(K):
    """How far flow and SDE end from Sigma, with the matrix K(tau)."""
    sigma, eye = SIGMA.numpy(), np.eye(3)

    def slopes(t, y):
        M, out = K(sigma + t * eye), []
        for V, eta in zip(y.reshape(2, 3, 3), (0.0, 1.0), strict=True):
            out.append((1 + eta**2) / 2 * (M @ V + V @ M.T) - eta**2 * eye)
        return np.stack(out).ravel()

    V = np.stack([sigma + T * eye] * 2).ravel()
    how = {"method": "DOP853", "rtol": 1e-11, "atol": 1e-13}
    found = integrate.solve_ivp(slopes, (T, 0), V, **how).y[:, -1]
    return float(abs(found.reshape(2, 3, 3) - sigma).max())


def added(B):
    """K = (I + B) C^-1."""
    return lambda C: (np.eye(3) + B) @ np.linalg.inv(C)


# %% tags=["hide-input"]
turn = A.numpy()
harmless_claim = Claim(
    id="residual/harmless",
    says=r"With $\hat s = s + A s$, $A^\top = -A$, the flow and the SDE both "
    r"end with the covariance $\Sigma$, residual or not ($d = 3$, $T = "
    r"4$).",
    papers=("068", "041"),
    kind="exact",
    formula=added(turn),
    controls={
        "$|A|$, symmetric": added(abs(turn)),
        "$A x$ for $A s$": lambda C: np.linalg.inv(C) + turn,
        "one half of $A$ only": added(np.triu(turn)),
    },
    tol=1e-11,
    because="an ODE solver at relative tolerance 1e-11",
    measure=covariances,
    scale=lambda K, e: lambda C: K(C) * (1 + e),
)
check(harmless_claim)

# %% [markdown]
r"""
## How large is the gap?

Back to the line and to $k = 1/(\lambda + \tau) + \delta$, started at the right
variance $V_T = \lambda + T$. Expand [the end](#eq-residual-end) to first order in
$\delta$. Perturb [the variance equation](#eq-residual-variance) by $\delta$ at a
time $\tau$: per unit of $d\tau$ the variance falls by
$(1 + \eta^2)\, \delta\, (\lambda + \tau)$, and what falls there reaches $\tau = 0$
multiplied by $q^{1 + \eta^2}$, $q = \lambda/(\lambda + \tau)$. So

$$
V_\eta(0) - \lambda = - \lambda \int_0^T (1 + \eta^2)\, q_\tau^{\eta^2}\, \delta\, d\tau
+ O(\delta^2) .
$$ (eq-residual-weight)

For the flow the weight is $\lambda$ at every noise level; for the SDE it is
$2 \lambda^2/(\lambda + \tau)$. The gap is their difference,

$$
V_{\text{sde}} - V_{\text{ode}} = \lambda \int_0^T
\frac{\tau - \lambda}{\tau + \lambda}\, \delta\, d\tau + O(\delta^2) .
$$ (eq-residual-gap)

Where is the residual? By [the linear case](#eq-residual-linear), with
$k_0 = 1/(\lambda + \tau)$ and $k_0' = -k_0^2$, it is $R = -\rho x + O(\delta^2)$ with
$\rho = \delta' + 2 \delta/(\lambda + \tau)$. Integrate by parts,
$\int_0^T \tau \delta' = T \delta(T) - \int_0^T \delta$, and use
$\frac{2 \tau}{\lambda + \tau} - 1 = \frac{\tau - \lambda}{\tau + \lambda}$:

$$
V_{\text{sde}} - V_{\text{ode}} = \lambda \int_0^T \tau \rho\, d\tau
- \lambda T \delta(T) + O(\delta^2) .
$$ (eq-residual-law)

A field that is right at the prior, $\delta(T) = 0$, has a gap that is linear in its
residual, each noise level weighted by $\tau$. The measurement divides the
gap at $\pm\delta$ by $2\delta$: what is even in $\delta$ cancels.
"""

# %%
TINY = 3e-4


def sensitivity(etas, shape):
    """The derivative of the end variances in the size of the error."""
    up, down = (
        run(wrong(size, shape), etas, LAM + T) for size in (TINY, -TINY)
    )
    return (up - down) / (2 * TINY)


# %%
tilted = np.array([sensitivity(LEVELS, s) for s in SHAPES])
gaps_truth = tilted[:, 2] - tilted[:, 0]


def gaps(weight=1, prior=1.0, square=2.0):
    """lambda int tau^weight rho - prior lambda T delta(T)."""
    out = []
    for d, slope_d, _ in SHAPES.values():
        rho = slope_d(taus) + square * d(taus) / (LAM + taus)
        area = (dtau * taus**weight * rho).sum()
        out.append(LAM * area - prior * LAM * T * d(T))
    return np.array(out)


# %% tags=["hide-input"]
gap_slips = {
    "no weight $\\tau$": gaps(weight=0),
    "without the error at the prior": gaps(prior=0.0),
    "the residual with half of $|\\hat s|^2$": gaps(square=1.0),
    "the sign": -gaps(),
}

# %% tags=["hide-input"]
gap_claim = Claim(
    id="residual/gap",
    says=r"To first order $V_{\text{sde}} - V_{\text{ode}} = \lambda "
    r"\int_0^T \tau \rho\,d\tau - \lambda T \delta(T)$, where $-\rho "
    r"x$, $\rho = \delta' + 2\delta/(\lambda + \tau)$, is the residual "
    r"of $\hat s = -(1/(\lambda + \tau) + \delta)\, x$ (three shapes of "
    r"$\delta$).",
    papers=("068",),
    kind="exact",
    formula=gaps(),
    controls=gap_slips,
    tol=2e-5,
    because="central differences of size 3e-4; the rest is of third order",
    truth=gaps_truth,
)
check(gap_claim)

# %% [markdown]
r"""
**"Gap if and only if residual" is false at the end point.** The theorem of the last
section is about all $\tau$. At $\tau = 0$ alone the contributions of different noise
levels may cancel. Take $\delta = \frac15 (1 - m \tau)$. The first-order gap vanishes
at some $m$, but then a gap of order $\delta^2$ is left; a root of the exact gap is
another $m$, close by. There flow and SDE end in the same law, $\mathcal N(0, V)$, with
a residual, and with $V \ne \lambda$.
"""


# %%
def line_gap(m):
    """The gap at 0 for the error (1 - m tau)/5, in closed form."""
    area = np.log1p(taus / LAM) + 0.2 * (taus - m * taus**2 / 2)
    last = np.log1p(T / LAM) + 0.2 * (T - m * T**2 / 2)
    decay, last = np.exp(-area), np.exp(-last)
    return (LAM + T) * (last**2 - last) + (dtau * decay**2).sum()


def signed(moment):
    """The integral of (tau - lambda)/(tau + lambda) tau^moment."""
    return (dtau * (taus - LAM) / (taus + LAM) * taus**moment).sum()


# %%
def line_run(m):
    """The gap, by the ODE solver."""
    k = wrong_line(m)
    ode, sde = run(k, [0.0, 1.0], LAM + T)
    right = abs(ode - LAM) < LAM / 10  # then there would be nothing to say
    return float(abs(sde - ode) + right)


def wrong_line(m):
    """The field with that error."""
    return lambda t: 1 / (LAM + t) + 0.2 * (1 - m * t)


# %% tags=["hide-input"]
cancel_slips = {
    "the root of the first-order gap": signed(0) / signed(1),
    "mean error zero, $m = 2/T$": 2 / T,
    "an error that ends at zero, $m = 1/T$": 1 / T,
}

# %% tags=["hide-input"]
root = optimize.brentq(line_gap, 0.1, 0.6, xtol=1e-14)
cancel_claim = Claim(
    id="residual/cancel",
    says=r"For $\delta = \frac15 (1 - m \tau)$ there is an $m$, a root "
    r"of the exact gap, at which flow and SDE end with one variance, "
    r"wrong by more than a tenth, although the residual is not zero "
    r"($\lambda = 0.7$, $T = 4$).",
    papers=("068",),
    kind="exact",
    formula=root,
    controls=cancel_slips,
    tol=1e-11,
    because="an ODE solver at relative tolerance 1e-12",
    measure=line_run,
)
check(cancel_claim)

# %% [markdown]
r"""
## Which of the two is nearer to the truth?

Compare [the weights](#eq-residual-weight). An error at the noise level $\tau$ counts

$$
\text{flow: } \lambda, \qquad \text{SDE: } \lambda \cdot
\frac{2 \lambda}{\lambda + \tau} .
$$ (eq-residual-nearer)

The SDE uses the field twice as strongly, so an error low down counts double. But it
also forgets: what happened at a high level is washed out by the noise that is added
later, with the factor $q = \lambda/(\lambda + \tau)$. The two balance at
$\tau = \lambda$:

- **errors at noise above the data's own spread, $\sigma > \sqrt\lambda$: the SDE is
nearer;**
- **errors below it: the flow is nearer.**

That is for the variance of one mode. Neither is better as such. An error of one sign that lives on one side of
$\tau = \lambda$ decides the matter, to first order; an error that lives on both
may cancel in either. A wrong start is an error at the highest level, and we saw
$q^2$ against $q$. With many modes each has its own $\lambda$: the same error can be
high for one and low for another.
"""


# %%
def forgetting(count=1.0, power=1.0, base=0.0):
    """The derivatives for three shapes and four levels, with slips."""
    out = []
    for d, _, _ in SHAPES.values():
        for m in LEVELS**2:
            q = LAM / (LAM + taus)
            weight = (1 + count * m) * q ** (power * m + base)
            out.append(-LAM * (dtau * weight * d(taus)).sum())
    return np.array(out).reshape(len(SHAPES), -1)


# %% tags=["hide-input"]
weight_slips = {
    "the field used once by all": forgetting(count=0.0),
    "a flow that forgets as well": forgetting(base=1.0),
    "an SDE that forgets nothing": forgetting(power=0.0),
    "forgetting with $q^{\\eta^2/2}$": forgetting(power=0.5),
}

# %% tags=["hide-input"]
weight_claim = Claim(
    id="residual/weight",
    says=r"To first order an error $\delta(\tau)$ changes the end variance "
    r"of noise level $\eta$ by $-\lambda \int (1 + \eta^2) q^{\eta^2} "
    r"\delta\,d\tau$, $q = \lambda/(\lambda + \tau)$: flow ($\eta = 0$) "
    r"and SDE ($\eta = 1$) weigh it alike at $\tau = \lambda$ (three "
    r"shapes, four levels).",
    papers=("068",),
    kind="exact",
    formula=forgetting(),
    controls=weight_slips,
    tol=2e-5,
    because="central differences of size 3e-4; the rest is of third order",
    truth=tilted,
)
check(weight_claim)

# %% mystnb={"figure": {"caption": "Share of an error at noise level $\\tau$ that arrives in the end variance, over that of the flow: flow ($\\eta = 0$), SDE ($\\eta = 1$) and two other members of the family. Dotted: $\\tau = \\lambda$.", "name": "fig-residual-weights"}, "image": {"alt": "A logarithmic axis of noise level over data variance. The flow is a horizontal line at one. The SDE falls from two to zero and crosses it where the noise equals the variance of the data; the member with more noise starts at five and falls faster."}}
figure, axes = figures.canvas(
    "The SDE doubles errors below, and forgets above"
)
ratio = np.geomspace(0.02, 50, 300)
tags = (
    (0.0, 0.02, 0.82),
    (0.5, 0.02, 1.4),
    (1.0, 0.02, 2.2),
    (2.0, 0.1, 4.0),
)
colours = (figures.LEARNED, figures.NOISE, figures.SECOND, figures.NOISE)
for (eta, x, y), colour in zip(tags, colours, strict=True):
    axes.semilogx(
        ratio, (1 + eta**2) * (1 + ratio) ** -(eta**2), color=colour
    )
    figures.label_line(axes, x, y, rf"$\eta = {eta:g}$", colour)
axes.axvline(1, color=figures.AXES, lw=0.8, ls=":")
axes.set(xlabel=r"$\tau / \lambda$", ylabel="weight", xlim=(0.02, 50))
plt.show()

# %% [markdown]
r"""
**The balance depends on the question.** Let the error be a push, $\hat s = -x/(\lambda +
\tau) + c(\tau)$. It leaves the variance alone. The mean $m$ starts at 0 and obeys
$m' = \frac{1 + \eta^2}{2} \left( \frac{m}{\lambda + \tau} - c \right)$, so that, for $c$ of any
size,

$$
m_\eta(0) = \int_0^T \tfrac{1 + \eta^2}{2}\, q_\tau^{(1 + \eta^2)/2}\, c\, d\tau .
$$ (eq-residual-push)

The flow's weight is $\frac12 \sqrt q$ and the SDE's $q$. They balance at $q = \frac14$,
which is $\tau = 3 \lambda$ and not $\lambda$: for a push at $\lambda < \tau < 3 \lambda$
the flow is still nearer.
"""


# %%
def means(shape):
    """The end means of four levels, by Dormand and Prince."""
    half = (1 + LEVELS**2) / 2

    def slopes(t, m):
        return half * (m / (LAM + t) - SHAPES[shape][0](t))

    how = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-15}
    return integrate.solve_ivp(slopes, (T, 0), 0 * half, **how).y[:, -1]


def pushed(power=0.5, count=0.5):
    """The closed form for three shapes and four levels, with slips."""
    n, q = 1 + LEVELS[:, None] ** 2, LAM / (LAM + taus)
    weight = dtau * count * n * q ** (power * n)
    return np.array([weight @ d(taus) for d, _, _ in SHAPES.values()])


# %% tags=["hide-input"]
push_claim = Claim(
    id="residual/push",
    says=r"A push $c(\tau)$ on the exact field ends as the mean $\int "
    r"\frac{1 + \eta^2}{2} q^{(1 + \eta^2)/2} c\,d\tau$, $q = "
    r"\lambda/(\lambda + \tau)$: flow and SDE weigh it alike at $\tau = "
    r"3\lambda$ (three shapes, four levels).",
    papers=("068",),
    kind="exact",
    formula=pushed(),
    controls={
        "the weights of the variance": pushed(power=1.0, count=1.0),
        "the balance of the variance, $q^{1 + \\eta^2}$": pushed(power=1.0),
        "the whole error for the flow": pushed(count=1.0),
    },
    tol=1e-10,
    because="an ODE solver at relative tolerance 1e-12",
    truth=np.array([means(shape) for shape in SHAPES]),
)
check(push_claim)

# %% [markdown]
r"""
**Any data, any small error.** The same can be said for every law. Let
$\hat s = s + r$ with $r$ small, from the exact start, and ask for the mean of a test
function $\varphi$ at the end. The extra drift $r$, or $\frac12 r$ for the flow,
acts at $\tau$ and is then carried down by the *exact* process. For the SDE the
expected end value of a path that is at $x$ is $\mathbb E[\varphi(x_0) \mid x_\tau = x]$, since
the exact reverse process and the forward one have the same joint law. For the flow it is
$\varphi(\Phi_\tau(x))$, with $\Phi_\tau$ the exact flow map. Hence, to first order,

$$
\begin{aligned}
\delta\, \mathbb E_{\text{sde}}\, \varphi &= \int_0^T \mathbb E_{p_\tau} \big[ r \cdot
\nabla\, \mathbb E[\varphi(x_0) \mid x_\tau] \big] d\tau , \\
\delta\, \mathbb E_{\text{ode}}\, \varphi &= \tfrac12 \int_0^T \mathbb E_{p_\tau} \big[
r \cdot \nabla\, ( \varphi \circ \Phi_\tau ) \big] d\tau .
\end{aligned}
$$ (eq-residual-kernels)

For a Gaussian and $\varphi = x^2$ this gives [the weights](#eq-residual-weight) again.
The gradient of a posterior mean is a covariance,
$\nabla\, \mathbb E[\varphi \mid x_\tau] = \operatorname{Cov}(\varphi(x_0), x_0 \mid x_\tau)/\tau$.
It is large where the posterior is undecided and small at high noise, where
$\operatorname{Cov}$ stays bounded and $\tau$ does not. The flow map has no such
$1/\tau$: it decays only like a ratio of widths.

We test both on two Gaussians on the line. On the line
$\Phi_\tau = F_0^{-1} \circ F_\tau$, and with $y = \Phi_\tau(x)$ as variable the flow's
integral is $\frac12 \int p_0(y)\, \varphi'(y)\, r(x_\tau(y))\, / x_\tau'(y)\, dy$,
$x_\tau' = p_0/p_\tau$.
The error is a wave that fades with noise.
"""

# %% tags=["setup"]
W2, M2, V2 = np.array([0.4, 0.6]), np.array([-1.2, 1.0]), 0.2


def parts(x, t):
    """Posterior weights, offsets, the variance, the density."""
    var = V2 + t
    z = (np.asarray(x)[..., None] - M2) / np.sqrt(var)[..., None]
    bells = W2 * np.exp(-(z**2) / 2)
    total = bells.sum(-1)
    norm = np.sqrt(2 * np.pi * var)
    return bells / np.maximum(total, 1e-300)[..., None], z, var, total / norm


# %% tags=["setup"]
def score2(x, t):
    """The exact score of the two Gaussians."""
    w, z, var, _ = parts(x, t)
    return -(w * z).sum(-1) / np.sqrt(var)


def wave(x, t):
    """The error of the field, at size one."""
    return np.sin(x + 0.3) * np.exp(-t / 2)


# %% [markdown]
r"""
The truth takes no first order and no posterior. The flow's end points are computed
one by one with the wrong field (Runge and Kutta). The SDE's law solves its
own equation $\partial_\tau Q = \partial_x(\hat s Q) - \frac12 \partial_x^2 Q$ downwards, on
a periodic grid with Fourier derivatives; far out, where $Q$ is below rounding, the
exact score is cut off so that it does not stiffen the equation.
"""

# %% tags=["setup"]
GRID = 256
HALF = 18.0
xs = np.arange(GRID) * 2 * HALF / GRID - HALF
freq = 2j * np.pi * np.fft.rfftfreq(GRID, 2 * HALF / GRID)
freq[-1] = 0


def downhill(y, speed, steps=900):
    """Runge and Kutta for dy/dtau = speed(y, tau), from T to 0."""
    d = -T / steps
    for t in T + d * np.arange(steps):
        one = speed(y, t)
        two = speed(y + d / 2 * one, t + d / 2)
        three = speed(y + d / 2 * two, t + d / 2)
        four = speed(y + d * three, t + d)
        y = y + d / 6 * (one + 2 * two + 2 * three + four)
    return y


# %% tags=["setup"]
def diffused(error, sizes):
    """The SDE's densities at 0 on the grid, one row for each size."""

    def speed(Q, t):
        t = max(t, 0.0)
        reach = 1.2 + 7 * np.sqrt(V2 + t)
        s = score2(np.clip(xs, -reach, reach), t)
        field = s + np.outer(sizes, error(xs, t))
        flux = np.fft.rfft(field * Q) - freq * np.fft.rfft(Q) / 2
        return np.fft.irfft(freq * flux, GRID)

    start = parts(xs, T)[3] * np.ones((len(sizes), 1))
    return downhill(start, speed)


# %% tags=["setup"]
fine = np.linspace(-16.0, 16.0, 801)


def flowed(error, sizes, steps=150):
    """Where the flow takes the fine grid, one row for each size."""

    def speed(y, t):
        t = max(t, 0.0)
        return -(score2(y, t) + np.reshape(sizes, (-1, 1)) * error(y, t)) / 2

    return downhill(fine * np.ones((len(sizes), 1)), speed, steps)


# %%
BIT = 3e-3
cell = xs[1] - xs[0]
tests = (lambda x: x, lambda x: x**2)
landed = flowed(wave, (BIT, -BIT))
laws_at_0 = diffused(wave, (BIT, -BIT))
chance = parts(fine, T)[3] * (fine[1] - fine[0])
moves = []
for phi in tests:
    ode = (chance * phi(landed)).sum(1)
    sde = (laws_at_0 * phi(xs)).sum(1) * cell
    moves.append([np.diff(u)[0] / (-2 * BIT) for u in (ode, sde)])
moves = np.array(moves)

# %% [markdown]
r"""
Now the formulas. The posterior of two Gaussians is two Gaussians, so its first three
moments give both covariances.
"""

# %%
grid_t = taus[:, None]
line, gap_x = fine, fine[1] - fine[0]


def posterior_slopes(x, t):
    """Cov(x0, x0 | x)/t and Cov(x0^2, x0 | x)/t."""
    w, _, var, _ = parts(x, t)
    shrink, v = (V2 / var)[..., None], (V2 * t / var)[..., None]
    m = M2 + shrink * (x[..., None] - M2)
    one, two = (w * m).sum(-1), (w * (m**2 + v)).sum(-1)
    three = (w * (m**3 + 3 * m * v)).sum(-1)
    return (two - one**2) / t, (three - two * one) / t


def washed(x):
    """The same with nothing learned of x0: its variance over t."""
    prior = (W2 * M2).sum(), (W2 * (M2**2 + V2)).sum()
    flat = prior[1] - prior[0] ** 2
    return flat / grid_t + 0 * x, 2 * prior[0] * flat / grid_t + 0 * x


# %%
def quantiles(y, rounds=55):
    """x_tau(y) with F_tau(x) = F_0(y), by halving; one row for each tau."""

    def cdf(x, t):
        z = (x[..., None] - M2) / np.sqrt(V2 + t)[..., None]
        return (W2 * special.ndtr(z)).sum(-1)

    goal, low, high = (
        cdf(y, 0 * y),
        -16.0 + 0 * grid_t * y,
        16.0 + 0 * grid_t * y,
    )
    for _ in range(rounds):
        middle = (low + high) / 2
        below = cdf(middle, grid_t + 0 * middle) < goal
        low, high = (
            np.where(below, middle, low),
            np.where(below, high, middle),
        )
    return (low + high) / 2


# %%
y0, wy = np.polynomial.legendre.leggauss(90)
y0, wy = 3.7 * y0, 3.7 * wy
x_of_y = quantiles(y0)
p_there = parts(x_of_y, grid_t + 0 * x_of_y)[3]


# %%
def kernels(ode=0.5, sde=1.0, map_too=False, stretch=1.0, seen=None):
    """Both integrals for x and x^2, with slips."""
    p = parts(line + 0 * grid_t, grid_t + 0 * line)[3]
    seen = seen or (lambda x: posterior_slopes(x, grid_t + 0 * x))
    hits = seen(line + 0 * grid_t)
    out = []
    for i, dphi in enumerate((np.ones_like(y0), 2 * y0)):
        flow = p_there**stretch * parts(y0, 0 * y0)[3] ** (1 - stretch)
        flow = (wy * dphi * wave(x_of_y, grid_t) * flow).sum(1)
        noise = (p * wave(line, grid_t) * hits[i]).sum(1) * gap_x
        noise = flow if map_too else noise
        out.append([ode * (dtau * flow).sum(), sde * (dtau * noise).sum()])
    return np.array(out)


# %% tags=["hide-input"]
kernel_slips = {
    "the flow with the whole error": kernels(ode=1.0),
    "the SDE with half of it": kernels(sde=0.5),
    "the flow map for the posterior mean": kernels(map_too=True),
    "the flow without its stretch": kernels(stretch=0.0),
    "the prior's variance for the posterior's": kernels(seen=washed),
}

# %% tags=["hide-input"]
kernel_claim = Claim(
    id="residual/kernels",
    says=r"A small error $r$ moves $\mathbb E \varphi$ at the end of the SDE "
    r"by $\int \mathbb E[r\, \partial_x \mathbb E[\varphi(x_0) \mid "
    r"x_\tau]]\,d\tau$ and at the end of the flow by $\frac12 \int "
    r"\mathbb E[r\, \partial_x (\varphi \circ \Phi_\tau)]\,d\tau$ "
    r"($\varphi = x, x^2$; two Gaussians on the line, $r = e^{-\tau/2} "
    r"\sin(x + 0.3)$).",
    papers=("068",),
    kind="exact",
    formula=kernels(),
    controls=kernel_slips,
    tol=2e-5,
    because="set after measuring: central differences of size 3e-3, whose "
    "rest is of third order, and the truth's own grid",
    truth=moves,
)
check(kernel_claim)

# %% [markdown]
r"""
Two errors of finite size, seen in the densities: the field pulls too much to the
middle, once at low and once at high noise.
"""


# %%
def squeeze(at, width):
    """An error towards the middle at noise levels near one."""
    return lambda x, t: -x * np.exp(-(((t - at) / width) ** 2) / 2)


errors = ((1.5, squeeze(0.05, 0.05)), (0.3, squeeze(3.0, 0.4)))
pairs = [
    (flowed(error, (size,))[0], diffused(error, (size,))[0])
    for size, error in errors
]

# %% mystnb={"figure": {"caption": "The data (grey, thick), the end of the flow (blue) and of the SDE (ochre, dashed), when the field errs by a multiple of $-x$ at low noise, $\\tau \\approx 0.05$ (left), and at high noise, $\\tau \\approx 3$ (right).", "name": "fig-residual-push"}, "image": {"alt": "Two panels with two humps each. On the left the humps are pulled to the middle, the dashed ones about twice as far as the blue ones. On the right it is the blue curve that departs more from the data."}}
figure, panels = figures.canvas(
    "Low errors spare the flow, high errors the SDE", columns=2
)
dense = np.arange(8 * GRID) * 2 * HALF / (8 * GRID) - HALF
for axes, (landing, Q) in zip(panels, pairs, strict=True):
    axes.plot(dense, parts(dense, 0 * dense)[3], color=figures.EXACT, lw=3)
    flow = parts(fine, T)[3] / np.gradient(landing, fine)
    axes.plot(landing, flow, color=figures.LEARNED)
    seen = np.fft.irfft(np.fft.rfft(Q), 8 * GRID) * 8
    axes.plot(dense, seen, "--", color=figures.SECOND)
    axes.set(xlim=(-3, 3), xlabel="$x$", yticks=[])
figures.label_line(panels[1], -2.9, 0.54, "data", figures.EXACT)
figures.label_line(panels[1], -2.9, 0.47, "flow", figures.LEARNED)
figures.label_line(panels[1], -2.9, 0.40, "SDE", figures.SECOND)
plt.show()

# %% [markdown]
r"""
## Can the residual bound the gap?

The paper's theorem is an upper bound of the Wasserstein-2 distance between the two
end laws by the residual. We derive one of this kind from
[the source equation](#eq-residual-source); its constants are ours.

*Step 1: the mismatch.* Let $\hat s$ be a gradient with symmetric Jacobian
$J \ge -\ell$, $\ell = \ell(\tau)$ a number. Write $\|\cdot\|$ for the root mean square under
$q_\tau$, the flow's law. Along the flow, $dx/d\tau = -\frac12 \hat s$, and because
$\nabla(\hat s \cdot e) = J e + J_e \hat s$ for gradients, the source equation becomes
$de/d\tau = R + \frac12 J e$. The mean under $q$ is a mean over flow lines, so that
$-\frac{d}{d\tau} \|e\| \le \|R\| + \frac12 \ell\, \|e\|$, and downwards from $T$

$$
\|e\|_\tau \le e^{\frac12 \int_\tau^T \ell}\, \|e\|_T
+ \int_\tau^T e^{\frac12 \int_\tau^u \ell}\, \|R\|_u\, du .
$$ (eq-residual-growth)

*Step 2: the laws.* The flow's law is also the law of a *diffusion*: with $\frac12 e$ taken
off its field, for
$\nabla \cdot (q\, [\hat s - \frac12 e]) - \frac12 \Delta q
= \frac12 \nabla \cdot (q \hat s)$. Drive this
diffusion $Y$ and the SDE $X$ with the same noise from the same start. If
$J \le \kappa$, their distance $D = X - Y$ obeys, downwards,
$-\frac{d}{d\tau} |D| \le \kappa |D| + \frac12 |e(Y)|$. The root mean square of $D$ at 0
is no less than the Wasserstein distance:

$$
W_2 \le \tfrac12 \int_0^T e^{\int_0^\tau \kappa}\, \|e\|_\tau\, d\tau .
$$ (eq-residual-bound)

For $\hat s = -k x$ we have $\ell = k$, $\kappa = -k$, $\|R\| = |k' + k^2| \sqrt{V_{\text{ode}}(\tau)}$
and $W_2 = |\sqrt{V_{\text{sde}}} - \sqrt{V_{\text{ode}}}|$, so everything can be computed.
Both steps throw signs away, so contributions that cancel in the gap do not cancel in the
bound. And the bound needs both terms of the first step: with a field of
[some other data](#eq-residual-else) the residual is zero, and all of the gap comes
from the start.
"""

# %%
CASES = (  # size, shape, start over lambda + last, last
    (0.3, "fading", 1.0, T),
    (-0.2, "wave", 1.0, T),
    (0.3, "bump", 1.0, T),
    (0.0, "bump", 1.3, T),
    (0.0, "bump", 1.3, 0.05),
)


def pieces(size, shape, stretch, last):
    """Times, weights, int_0^tau k, |R|, |e| at the end, the flow's V."""
    t, w = (nodes + 1) * last / 2, weights * last / 2
    d, dd, area = SHAPES[shape]
    K = [np.log1p(u / LAM) + size * area(u) for u in (t, last)]
    start = stretch * (LAM + last)
    V = start * np.exp(K[0] - K[1])
    rho = size * (dd(t) + 2 * d(t) / (LAM + t)) + size**2 * d(t) ** 2
    gap = abs(wrong(size, shape)(last) - 1 / start) * np.sqrt(start)
    return t, w, K[0], K[1], abs(rho) * np.sqrt(V), gap


# %%
def above(t, R, last):
    """A function of tau: the integral of R from tau to the end."""
    sub = (nodes + 1) / 2
    u = t[:, None] + (last - t[:, None]) * sub
    return u, (last - t[:, None]) * weights / 2 * np.interp(u, t, R)


def bound(outer=0.5, prior=1.0, res=1.0, forget=1.0):
    """The upper bounds of W2, with slips."""
    out = []
    for case in CASES:
        t, w, K, K_end, R, gap = pieces(*case)
        u, inside = above(t, R, case[3])
        grown = np.exp((np.interp(u, t, K) - K[:, None]) / 2) * inside
        e = prior * np.exp((K_end - K) / 2) * gap + res * grown.sum(1)
        out.append(outer * (w * np.exp(-forget * K) * e).sum())
    return np.array(out)


# %%
found = []
for size, shape, stretch, last in CASES:
    both = run(wrong(size, shape), [0, 1], stretch * (LAM + last), last)
    found.append(abs(np.diff(both**0.5)[0]))
found = np.array(found)


def broken(bounds):
    """By what share of the distance the worst bound fails."""
    return float(np.maximum(0, 1 - bounds / found).max())


# %% tags=["hide-input"]
bound_slips = {
    "no term of the start": bound(prior=0.0),
    "no residual, the start only": bound(res=0.0),
    "a quarter for one half": bound(outer=0.25),
    "errors forgotten with $e^{3 \\int \\kappa}$": bound(forget=3.0),
}

# %% tags=["hide-input"]
bound_claim = Claim(
    id="residual/bound",
    says=r"$W_2(\text{ode}, \text{sde}) \le \frac12 \int_0^T e^{\int_0^\tau "
    r"\kappa} \|e\|_\tau d\tau$, with $\|e\|_\tau \le e^{\frac12 "
    r"\int_\tau^T \ell} \|e\|_T + \int_\tau^T e^{\frac12 \int_\tau^u "
    r"\ell} \|R\|_u du$ and $-\ell \le J \le \kappa$ (linear fields on "
    r"a line, five cases of error and start).",
    papers=("068",),
    kind="exact",
    formula=bound(),
    controls=bound_slips,
    tol=1e-9,
    because="an inequality: the margin for rounding only",
    measure=broken,
    scale="a bound with one part in a thousand to spare stays a bound",
)
check(bound_claim)

# %% [markdown]
r"""
The controls show that the bound is not idle: half of it is broken in one of the
five cases. But look at its exponents. With $\hat s \approx s$ and several modes,
$J$ has positive eigenvalues between them at low noise, so $\kappa > 0$ there, and the
bound grows exponentially.
For image models its use is qualitative.

## Break it

- In `residual/score`, replace the mixture by one Gaussian. The control "the
divergence left out" is no longer rejected: a linear score has a constant divergence.
- In `residual/harmless`, give `added` the matrix $A$ plus a small multiple of $I$. The
claim fails: the part that is not antisymmetric is no gauge.
- In `residual/kernels`, put the two modes at the same place. The flow map becomes
linear, and the control "the flow without its stretch" is still rejected: why?

## What this does not show

The penalty itself. The paper adds the size of the residual to the training loss,
finds that flow and SDE come closer, and that the SDE's samples may get worse. Nothing
was trained here. What the formulas say is that a small gap is no aim in itself: it is
zero for [the score of other data](#eq-residual-else), and where
[two errors cancel](#eq-residual-gap). Nor does a penalty see a harmless
[gauge](#eq-residual-gauge) as harmless.

The question "flow or SDE?" was asked with exact integration. With few steps an SDE has
a large error of its own, which can outweigh all of this. The first-order laws need
small errors and a smooth field, the bound needs a gradient. And "nearer" was
measured by variances and means: for the divergence of the two laws
[a ripple of short wave](../interpolants/noise.ipynb) is another matter.

## Exercises

**1.** In one dimension a model has the score $\hat s = -k(\tau)\, x$ in the clock
$\tau$. Return the factor of $x$ in its residual, as a function of the values `k` and
`dk` of $k$ and its derivative.
"""

# %%
slopes_in = {
    "k": tensor([0.3, 1.2, -0.5, 2.0]),
    "dk": tensor([-0.2, 0.7, 0.1, -4.0]),
}


def factor_by_autograd(k, dk):
    """The residual at x = 1 of the field -(k + dk (t - 1)) x."""

    def field(x, t):
        return -(k + dk * (t - 1)).unsqueeze(1) * x

    one = torch.ones(len(k), dtype=torch.float64)
    return residual(field, one.unsqueeze(1), one).squeeze(1)


# %% tags=["hide-input"]
factor_exercise = Claim(
    id="residual/factor-exercise",
    says="the residual of a linear field on the line",
    papers=("068",),
    kind="exact",
    formula=None,
    controls={
        "the sign: the field is minus k x": lambda k, dk: dk + k**2,
        "the sign of the square": lambda k, dk: -dk + k**2,
        "the gradient of x squared is 2 x": lambda k, dk: -dk - k**2 / 2,
        "a residual is linear in k only without the square": (
            lambda k, dk: -dk - k
        ),
    },
    tol=1e-12,
    because="float64",
    at=slopes_in,
    truth=factor_by_autograd,
)


# %% tags=["solution", "hide-cell"]
def residual_factor(k, dk):
    """-(k' + k^2)."""
    return -(dk + k**2)


# %%
attempt(factor_exercise, residual_factor)

# %% [markdown]
r"""
**2.** *Derive.* Two members of the family, with noise levels `low` < `high`, and a mode of
variance `lam`. At which $\tau$ does a small error of the field change both end
variances by the same amount? (For the flow and the SDE it is $\lambda$.)
"""

# %%
PAIRS = ((0.0, 1.0, 0.7), (0.0, 2.0, 0.7), (0.5, 1.0, 0.7), (1.0, 1.5, 0.4))


def equal_missed(answer):
    """Relative difference of the effects of a narrow error there."""
    worst = []
    for low, high, lam in PAIRS:
        at, etas = float(answer(low, high, lam)), np.array([low, high])
        far, effects = at + lam, []
        carry = 1 + etas**2
        for kick in (1e-4, -1e-4):  # a jump of V at tau, then exact steps
            V = far * np.exp(-carry * kick)
            q = lam / far
            effects.append((V - far) * q**carry)
        up, down = effects
        moved = (up - down) / lam
        worst.append(abs(moved[1] - moved[0]) / abs(moved[0]))
    return max(worst)


# %% tags=["hide-input"]
def crossing(power=1.0, count=1.0, shift=1.0):
    """lam (((1 + b) / (1 + a))^(1/(b - a)) - 1), a, b squares, with slips."""

    def level(low, high, lam):
        a, b = (low, high) if power == 0.5 else (low**2, high**2)
        return lam * (((1 + b) / (1 + a)) ** (count / (b - a)) - shift)

    return level


# %% tags=["hide-input"]
equal_exercise = Claim(
    id="residual/equal-exercise",
    says="the noise level at which two members of the family err alike",
    papers=("068",),
    kind="exact",
    formula=None,
    controls={
        "the noise level enters squared": crossing(power=0.5),
        "this is tau plus lambda": crossing(shift=0.0),
        "the flow and the SDE's answer for all": lambda lo, hi, lam: lam,
        "q carries the exponent eta squared, not half of it": crossing(
            count=2.0
        ),
    },
    tol=1e-6,
    because="an error of size 1e-4, its even part removed",
    measure=equal_missed,
)


# %% tags=["solution", "hide-cell"]
def equal_level(low, high, lam):
    """(1 + a) q^a = (1 + b) q^b with q = lam / (lam + tau)."""
    a, b = low**2, high**2
    return lam * (((1 + b) / (1 + a)) ** (1 / (b - a)) - 1)


# %%
attempt(equal_exercise, equal_level)

# %% [markdown]
r"""
**3.** *Experiment.* The field of a model errs by $\delta = d\, (1 - \frac45 \tau)$, that
is $\hat s = -k x$ with $k = 1/(\lambda + \tau) + \delta$: one sign at low noise, the other
at high. Here $\lambda = 0.7$, $T = 4$, and `d` is not small. The flow's end variance is
too large, that of a very noisy member of the family too small. Write a function of `d`
that returns the noise level $\eta$ in between, $0 < \eta < 3$, at which it is exactly
$\lambda$. (`run` solves [the variance equation](#eq-residual-variance) for any $k$;
search.)
"""

# %%
OFFS = (0.05, 0.15, 0.3)


def bent(d):
    """k = 1/(lambda + tau) + d (1 - 4/5 tau)."""
    return lambda t: 1 / (LAM + t) + d * (1 - 0.8 * t)


def level_missed(answer):
    """The largest relative error of the end variance."""
    ends = [run(bent(d), [float(answer(d))], LAM + T)[0] for d in OFFS]
    return float(max(abs(v - LAM) for v in ends) / LAM)


# %%
def first_order(m):
    """What the weights make of the error."""
    weight = (1 + m) * (LAM / (LAM + taus)) ** m
    return (dtau * weight * (1 - 0.8 * taus)).sum()


# %% tags=["hide-input"]
level_slips = {
    "the SDE is one member of the family, not the best": lambda d: 1.0,
    "the flow weighs all noise levels alike": lambda d: 0.0,
    "first order in d is not enough here": lambda d: (
        optimize.brentq(first_order, 0.0, 9.0) ** 0.5
    ),
}

# %% tags=["hide-input"]
level_exercise = Claim(
    id="residual/level-exercise",
    says="the noise level at which two errors cancel",
    papers=("068",),
    kind="exact",
    formula=None,
    controls=level_slips,
    tol=1e-8,
    because="a root of a smooth function, by an ODE solver at 1e-12",
    measure=level_missed,
)


# %% tags=["solution", "hide-cell"]
def best_level(d):
    """A root in eta."""

    def miss(eta):
        return run(bent(d), [eta], LAM + T)[0] - LAM

    return optimize.brentq(miss, 0.0, 3.0)


# %%
attempt(level_exercise, best_level)

# %% [markdown]
r"""
## Summary

| what | formula ($a = 1$, $\tau = g^2$) |
|---|---|
| residual | $R = \partial_\tau \hat s - \frac12 \nabla(\nabla \cdot \hat s + \lvert\hat s\rvert^2)$ |
| no residual, a gradient | the score of some data, perhaps not ours |
| mismatch $e = \hat s - \nabla \log q_{\text{ode}}$ | $\partial_\tau e = R + \frac12 \nabla(\hat s \cdot e)$ |
| flow and SDE agree at all $\tau$ | $e$ is a gauge of the flow's law |
| gap, linear field | $\lambda \int \tau \rho - \lambda T \delta(T) = \lambda \int \frac{\tau - \lambda}{\tau + \lambda} \delta$ |
| weight of an error at $\tau$ | flow $\lambda$, SDE $2\lambda^2/(\lambda + \tau)$ |
| any law, small error | posterior mean for the SDE, half the flow map for the flow |
| gauge $A s$ | no gap; residual $(A C^{-2} + C^{-1} A^2 C^{-1})\, x$ |

**Where next.** [Gauges](gauges.ipynb) has the errors that move no law,
[every field](helmholtz.ipynb) the split of any error into a gradient and a gauge, and
[the price of an error in nats](../interpolants/noise.ipynb) the same two processes in
another currency.
"""
