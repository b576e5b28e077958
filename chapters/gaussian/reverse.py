# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# Reverse time: one ODE, a family of SDEs

Noise turns data into noise, and that can be undone in infinitely many ways, from a
smooth flow to a wild random walk. We derive them all from one equation, find out
what they share and what they do not, and use them: to sample, to weigh a point, to
repair a sample and to ask for a class.

- **You need** integration by parts, the divergence, and
[how to read a claim](../start/reading.ipynb).
- **You get** the Fokker-Planck equation, the reverse processes, exact likelihoods
with their bits and probes, the corrector's floor and the class-conditional score,
each with the slips that people make.
- **Paper** 059, Song and co-authors {cite}`song2021sde`.
- **Claims** on Gaussian mixtures in one and two dimensions, and on the digits'
Gaussian, all named `reverse/...`.
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
The imports, once for the whole chapter, and a short name for a tensor of numbers:
"""

# %% tags=["setup"]
import functools
import itertools

import matplotlib.pyplot as plt
import numpy as np
import sympy
import torch
from torch import distributions

# %% tags=["setup"]
from diffkit import (
    chains,
    data,
    fields,
    figures,
    laws,
    metrics,
    paths,
    shapes,
    solvers,
    tables,
    worlds,
)
from diffkit.claims import Claim, attempt, check, scaled

tensor = functools.partial(torch.tensor, dtype=torch.float64)

# %% [markdown]
r"""
Our world is a mixture of three tilted Gaussians in the plane: no symmetry in which
a wrong formula could hide.
We look at it on two paths $x_t = a_t x_0 + g_t z$: variance preserving and variance
exploding.
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

# %% [markdown]
r"""
## How does noise move a density?

Let $x_t$ move in small steps: a drift, and a fresh Gaussian kick whose *variance*
is proportional to the step $\delta$,

$$
x_{t+\delta} = x_t + f(x_t, t)\, \delta + h(t) \sqrt\delta\, z,
\qquad z \sim \mathcal N(0, I).
$$ (eq-reverse-step)

In the limit this is written $dx = f\,dt + h\,dW$.
What becomes of the density $p_t$? Assume that $p_t$ is smooth; this is so as soon as
$g_t > 0$, even where the data have no density.
Take a smooth test function $\varphi$ that vanishes outside some ball, and expand to
second order in the step:

$$
\varphi(x_{t+\delta}) = \varphi + \nabla\varphi \cdot (f \delta + h \sqrt\delta\, z)
+ \tfrac12 h^2 \delta\, z^\top \nabla^2 \varphi\, z + \dots
$$

The second-order term counts because the kick is of order $\sqrt\delta$.
Now average: $\mathbb E z = 0$, $\mathbb E z z^\top = I$, and odd moments vanish, so
that what is left out is of order $\delta^2$:

$$
\frac{d}{dt} \mathbb E\, \varphi(x_t)
= \mathbb E \left[ \nabla\varphi \cdot f + \tfrac12 h^2 \Delta\varphi \right]
= \int \varphi \left( -\nabla \cdot (f p_t) + \tfrac12 h^2 \Delta p_t \right) dx .
$$

The last step integrates by parts, once in the first term and twice in the second;
nothing is left at the boundary because $\varphi$ is zero there.
The left side is $\int \varphi\, \partial_t p_t\, dx$, and $\varphi$ is arbitrary:

$$
\partial_t p_t = -\nabla \cdot (f p_t) + \tfrac12 h^2 \Delta p_t ,
$$ (eq-reverse-fp)

the **Fokker-Planck equation**. Divide by $p_t$ and write $s = \nabla \log p_t$ for
the score: $\nabla \cdot (f p)/p = \nabla \cdot f + f \cdot s$ and
$\Delta p / p = \nabla \cdot s + |s|^2$, so

$$
\partial_t \log p_t = -\nabla \cdot f - f \cdot s
+ \tfrac12 h^2 \left( \nabla \cdot s + |s|^2 \right).
$$ (eq-reverse-fplog)

Which $f$ and $h$ belong to a path? The drift is linear, $f(x, t) = f_t x$, because
the mean must go like $a_t$: so $f_t = \dot a / a$, which we also call $f$. A variance
$V = a^2 \lambda + g^2$ changes by $\dot V = 2 f V + h^2$ (expand the
[step](#eq-reverse-step) again), and this for every $\lambda$: so
$h^2 = (g^2)^{\textstyle\cdot} - 2 f g^2$. The package has both in `path.sde`.
"""

# %% [markdown]
r"""
The left side comes from torch's own mixture density, differentiated in *time*; it
knows neither scores nor Fokker and Planck.
"""


# %% tags=["setup"]
def density(path, x, t):
    """log p_t(x) by torch's own mixture; x (n, 2), one time per point (n)."""
    c = path.at(t)
    a, g2 = c.a.reshape(-1, 1, 1), c.g2.reshape(-1, 1, 1, 1)
    cov = a.unsqueeze(-1) ** 2 * tilts + g2 * torch.eye(2).double()
    parts = distributions.MultivariateNormal(a * centres, cov)
    weights = distributions.Categorical(shares.expand(len(t), 3))
    mixture = distributions.MixtureSameFamily(weights, parts)
    return mixture.log_prob(x)


def time_slope(path, x, t):
    """The derivative of log p_t(x) in t, at a point that stands still."""
    t = t.clone().requires_grad_()
    return torch.autograd.grad(density(path, x, t).sum(), t)[0]


# %% [markdown]
r"""
Both paths are looked at in sixty points each, at times all along the way.
"""

# %%
moments = torch.linspace(0.05, 1.0, 60).double()
spots = [w.draw(60, moments, shapes.rng(i))[2] for i, w in enumerate(plane)]
slopes = torch.cat(
    [
        time_slope(w.path, x, moments)
        for w, x in zip(plane, spots, strict=True)
    ]
)
drift = []  # f, h^2, x, the score, (Laplacian of p) / p
for w, x in zip(plane, spots, strict=True):
    s = w.score(x, moments)
    lap = fields.divergence(w.score, x, moments) + (s**2).sum(-1)
    drift.append((*w.path.sde(moments), x, s, lap))
drift = tuple(torch.cat(part) for part in zip(*drift, strict=True))


# %% tags=["hide-input"]


def planck(half=0.5, sign=-1, volume=1, square=1):
    """The right side of Fokker and Planck, over p, with slips."""

    def rate(f, h2, x, s, lap):
        norm = (s**2).sum(-1)
        carried = f * (volume * 2 + (x * s).sum(-1))
        return sign * carried + half * h2 * (lap - (1 - square) * norm)

    return rate


planck_slips = {
    "$h^2$ for $h^2/2$": planck(half=1.0),
    "the sign of the drift": planck(sign=1),
    "carried like a label: no $\\nabla \\cdot f$": planck(volume=0),
    "$\\Delta \\log p$ for $\\Delta p / p$": planck(square=0),
}

# %% tags=["hide-input"]
planck_claim = Claim(
    id="reverse/fokker-planck",
    says=r"Along $dx = f x\,dt + h\,dW$, $f = \dot a/a$, $h^2 = (g^2)"
    r"^{\textstyle\cdot} - 2 f g^2$, the law of $x_t = a_t x_0 + g_t z$ "
    r"has $\partial_t \log p_t = -f (d + x \cdot s) + \frac12 h^2 (\nabla "
    r"\cdot s + |s|^2)$, $s$ the score (three tilted Gaussians, $d = 2$; VP "
    r"and VE).",
    papers=("059",),
    kind="exact",
    formula=planck(),
    controls=planck_slips,
    tol=1e-13,
    because="float64; terms up to twenty times the slope cancel",
    at=drift,
    truth=slopes,
)
check(planck_claim)

# %% [markdown]
r"""
## Which process runs the film backwards?

Read the film from its end: time runs down, and $p$ must change by minus the right
side of [Fokker and Planck](#eq-reverse-fp). The trouble is the sign of the
Laplacian: no process spreads out by $-\Delta p$. But $\nabla p = p\, s$, hence

$$
\Delta p = \nabla \cdot (p\, s),
$$ (eq-reverse-trade)

and so *any part of the noise can be traded for drift*. For a number $k \ge 0$ write
$-\frac12 h^2 \Delta p =
\frac{k^2}{2} h^2 \Delta p - \frac{1 + k^2}{2} h^2\, \nabla \cdot (p\, s)$, which adds and subtracts the same thing. With time
running down, $\tau = T - t$,

$$
\partial_\tau p = \nabla \cdot (f p) - \tfrac12 h^2 \Delta p
= -\nabla \cdot \Big( \big[ -f + \tfrac{1 + k^2}{2} h^2 s \big]\, p \Big)
+ \tfrac{k^2}{2} h^2 \Delta p .
$$

This is again [Fokker and Planck](#eq-reverse-fp), for the process which in the
letters of the field ($dt < 0$, $\bar W$ a Brownian motion in backward time) reads

$$
dx = \Big[ f(x, t) - \frac{1 + k^2}{2}\, h^2\, s(x, t) \Big] dt + k\, h\, d\bar W .
$$ (eq-reverse-family)

If it starts with the law $p_T$, it has the law $p_t$ at every $t$, **for every
$k \ge 0$**; $k$ may even depend on time. At $k = 0$ it is the
[probability flow](painters.ipynb), without noise; at $k = 1$ Anderson's reverse
process {cite}`anderson1982reverse`, with as much noise as the forward one.
The coefficient of the score is $\frac12$ in the first and $1$ in the second; both
are right, each with its own noise.

*What we assumed*: that the [Fokker-Planck equation](#eq-reverse-fp) with given start
has one solution. For a smooth drift of linear growth, as here for $g_t > 0$, it has.

First a Gaussian mode of variance $V = a^2 \lambda + g^2$, whose score is
$-x / V$. One step down multiplies $x$ by $1 - \delta\,(f + c\, h^2/V)$, where $c$ is
the coefficient of the score, and adds $k^2 h^2 \delta$ to its variance, so
$\dot V = 2 (f + c\,h^2/V) V - k^2 h^2$ must hold for arbitrary functions $a$, $g$.
"""

# %%
clock, k, v = sympy.symbols("t k lambda", positive=True)
a, g = (sympy.Function(name)(clock) for name in "ag")
f = a.diff(clock) / a
h2 = (g**2).diff(clock) - 2 * f * g**2
V = a**2 * v + g**2


def lyapunov(c):
    """The residual of the variance equation, with c for the coefficient."""
    return V.diff(clock) - (2 * (f + c * h2 / V) * V - k**2 * h2)


# %% tags=["hide-input"]
half = sympy.Rational(1, 2)
mode_claim = Claim(
    id="reverse/lyapunov",
    says=r"For any smooth $a, g$, any $\lambda$ and every $k$, $V = a^2 "
    r"\lambda + g^2$ solves $\dot V = 2 (f + c\,h^2/V) V - k^2 h^2$ with $c "
    r"= (1 + k^2)/2$: a Gaussian mode keeps its variance for every $k$.",
    papers=("059",),
    kind="symbolic",
    formula=(1 + k**2) / 2,
    controls={
        "$1/2$ at every $k$, right at $k = 0$ only": half,
        "$1$ at every $k$, right at $k = 1$ only": sympy.Integer(1),
        "$(1 + k)/2$, right at $k = 0$ and $1$ only": (1 + k) / 2,
        "$(1 - k^2)/2$, which runs upwards in time": (1 - k**2) / 2,
    },
    measure=lyapunov,
)
check(mode_claim)

# %% [markdown]
r"""
Then the mixture, where nothing is linear. A process with drift $b$ and noise $k h$
running down has $\partial_t \log p = -\nabla \cdot b - b \cdot s -
\frac12 k^2 h^2 (\nabla \cdot s + |s|^2)$, the last sign being the one that time's
direction turns. The divergence of the whole drift is taken by automatic
differentiation, and the truth is again the slope in time of torch's density.
"""


# %% tags=["setup"]
def traded(k):
    """The coefficient of h^2 score at noise level k."""
    return (1 + k**2) / 2


def reverse_drift(world, c, k):
    """The drift f x - c(k) h^2 score."""

    def b(x, t):
        f, h2 = (shapes.trailing(u, x) for u in world.path.sde(t))
        return f * x - c(k) * h2 * world.score(x, t)

    return b


# %%
levels = (0.0, 0.5, 1.0, 2.0)


def family(c):
    """How far the process moves density at another rate than it should."""
    f, h2, x, s, lap = (part.split(60) for part in drift)
    worst = []
    for i, k in itertools.product((0, 1), levels):
        b = reverse_drift(plane[i], c, k)
        flux = fields.divergence(b, x[i], moments)
        flux = flux + (b(x[i], moments) * s[i]).sum(-1)
        rate = -flux - k**2 * h2[i] / 2 * lap[i]
        worst.append((rate - slopes.split(60)[i]).abs().max())
    return max(worst) / slopes.abs().max()


def but(spot, value):
    """The coefficient, but for one k."""
    return lambda k: value if k == spot else traded(k)


# %% tags=["hide-input"]
family_claim = Claim(
    id="reverse/family",
    says=r"The process $dx = [f x - \frac{1 + k^2}{2} h^2 s]\,dt + k h\,d"
    r"\bar W$, run down in time, moves density at the rate $\partial_t p_t$ "
    r"of the path, $k = 0, \frac12, 1, 2$ (three tilted Gaussians; VP, VE).",
    papers=("059",),
    kind="exact",
    formula=traded,
    controls={
        "the flow's $1/2$ kept at $k = 1$": but(1.0, 0.5),
        "the full $h^2$ at $k = 0$": but(0.0, 1.0),
        "$(1 + k)/2$, right at $k = 0$ and $1$": lambda k: (1 + k) / 2,
        "$(1 - k^2)/2$": lambda k: (1 - k**2) / 2,
    },
    tol=1e-13,
    because="float64; terms up to twenty times the slope cancel",
    measure=family,
)
check(family_claim)

# %% [markdown]
r"""
Now we run it. Two narrow Gaussians of unequal weight on the line, the VP path,
Heun's method for SDEs (`tables.stochastic_heun`, which takes $k$ as `eta`). We stop
at a noise-to-signal ratio of $0.2$ and compare with the exact law there, so that
neither end is blurred by an approximation. A finite step has a bias, which could
look like a failed theorem; so each run is made with 16 and with 32 steps.
"""

# %%
line = laws.mixture(tensor([[-1.0], [1.2]]), 0.06, tensor([0.35, 0.65]))
thread = worlds.World(vp, line)


@functools.cache  # a control differs from the formula at some k only
def landing(steps, k, c, seed, n=1500):
    """z-scores of mean, variance and P(x < 0) with c for the coefficient."""
    ts, rng = tables.by_nsr(vp, 20.0, 0.2, steps), shapes.rng(seed)
    field = fields.mix([thread.score], [c / traded(k)])
    start, there = (thread.law(ts[i]) for i in (0, -1))
    table = tables.stochastic_heun(vp, ts, eta=k)
    x = solvers.solve(table, field, start.sample(n, rng), rng)
    p = laws.cdf(there, tensor([0.0]))
    share = ((x < 0).double().mean() - p) / (p * (1 - p) / n).sqrt()
    zs = (*metrics.moment_scores(x, there), share)
    return torch.stack([z.reshape(()) for z in zs])


# %%
def landed(c, rng):
    """The z-scores for k = 0, 1, 2 on both grids."""
    runs = itertools.product((16, 32), (0.0, 1.0, 2.0))
    seed = rng.initial_seed()
    return torch.cat([landing(m, k, c(k), seed) for m, k in runs])


# %% tags=["hide-input"]
landing_claim = Claim(
    id="reverse/landing",
    says=r"Samplers of the family with $k = 0, 1, 2$, started from $p_T$, "
    r"land on the exact law: its mean, its variance and $P(x < 0)$, with 16 "
    r"steps and with 32 (two Gaussians on the line, VP).",
    papers=("059",),
    kind="statistical",
    formula=traded,
    controls={
        "the flow's $1/2$ kept at $k = 1$": but(1.0, 0.5),
        "the full $h^2$ at $k = 0$": but(0.0, 1.0),
        "$1 + k^2$": lambda k: 1 + k**2,
    },
    measure=landed,
    scale=lambda c, e: but(0.0, (1 + 200 * e) * c(0.0)),
    seeds=(0,),
    n=1500,
    because="so the planted error is one of 20 % at k = 0",
)
check(landing_claim)

# %% [markdown]
r"""
What do the paths look like? Look at the left of each panel: all eight paths start
at the *same* point of noise. And look at its right: the histogram has many starts.
"""

# %%
film = tables.by_nsr(vp, 20.0, 0.1, 60)
noise_levels = (0.0, 1.0, 3.0)


def fan(k):
    """Paths at noise level k: 8 from one point, 2,000 from many."""
    crowd = thread.law(film[0]).sample(2000, shapes.rng(5))
    x = torch.cat([tensor([[0.4]]).expand(8, 1), crowd])
    table = tables.stochastic_heun(vp, film, eta=k)
    return solvers.solve(table, thread.score, x, shapes.rng(4), keep=True)


fans = [fan(k) for k in noise_levels]

# %% mystnb={"figure": {"caption": "Eight paths from one point of noise (left of each panel) to the data (right), and the end points of 2,000 paths from many starts beside the exact density (grey).", "name": "fig-reverse-fan"}, "image": {"alt": "Three panels. Without noise one single line runs to the upper mode. At k = 1 the paths fan out to both modes; at k = 3 they are rough and mix at once. The three histograms beside them are the same."}}
figure, axes = figures.canvas(
    "One start, many ends, and yet the same crowd for every k",
    columns=6,
    sharey=True,
    gridspec_kw={"width_ratios": [3, 1] * 3},
)
rows = tables.uniform(-3.0, 3.0, 240)
curve = thread.law(film[-1]).log_prob(rows.unsqueeze(-1)).exp()
runs = zip(noise_levels, axes[::2], axes[1::2], fans, strict=True)
for level, wide, slim, lines in runs:
    wide.plot(lines[:, :8, 0], color=figures.LEARNED, lw=0.6)
    wide.set_title(f"$k = {level:g}$", fontsize=9, fontweight="normal")
    wide.set(ylim=(-3, 3), xticks=[], yticks=[-2, 0, 2])
    bars = {"color": figures.LEARNED, "alpha": 0.5, "density": True}
    bars |= {"orientation": "horizontal", "histtype": "stepfilled"}
    slim.hist(lines[-1, 8:, 0], rows[::5], **bars)
    slim.plot(curve, rows, color=figures.EXACT, lw=2)
    slim.axis("off")
plt.show()

# %% [markdown]
r"""
Without noise one start has one end. With noise the same start reaches both modes,
and at $k = 3$ it is forgotten long before the data come in sight; the histograms do
not know which of the three it was.

## If the laws agree, what differs?

The law of each $x_t$ is the same for all $k$; the *joint* law of noise and image is
not. For a Gaussian mode the [process](#eq-reverse-family) is linear, so the
conditional mean $\mathbb E[x_s \mid x_T]$, $s < T$, follows the drift:
$\dot m = \big(f + \frac{1 + k^2}{2} \frac{h^2}{V}\big)\, m$. From
$\dot V = 2 f V + h^2$ we have $f + \frac{h^2}{2V} = \frac{\dot V}{2V}$, so that with
zero means

$$
\mathbb E[x_s \mid x_T] = \sqrt{\frac{V_s}{V_T}}\;
\exp\Big( -\frac{k^2}{2} \int_s^T \frac{h^2}{V} dt \Big)\; x_T .
$$

The square root only changes units; the exponential is the **correlation** of $x_s$
and $x_T$. Now let $\sigma = g/a$ be the noise-to-signal ratio.
Then $h^2 = a^2\, (\sigma^2)^{\textstyle\cdot}$ (differentiate $g^2 = a^2 \sigma^2$)
and $V = a^2 (\lambda + \sigma^2)$, so the integral is that of
$d\sigma^2/(\lambda + \sigma^2)$:

$$
\rho_k = \operatorname{corr}(x_s, x_T) =
\left( \frac{\lambda + \sigma_s^2}{\lambda + \sigma_T^2} \right)^{k^2/2} ,
$$ (eq-reverse-memory)

whatever the schedule. Three cases by name.
$k = 0$: $\rho = 1$, the end is a function of the start.
$k = 1$: at $s = 0$, $\rho = \sqrt{\lambda}/\sqrt{\lambda + \sigma_T^2}$, which is
$a_T \lambda / \sqrt{\lambda V_T}$, the correlation of the *forward* process: indeed
Anderson's process is its reversal, path by path, and not only in its marginals.
$\lambda = 0$: nothing is remembered once $\sigma_s \to 0$, if $k > 0$. So the
directions that are settled last, those with small $\lambda$, are also forgotten
most, and $\rho$ falls like a Gaussian in $k$. In the Gaussian world this is why a
stochastic sampler forgets what went wrong early; and who wants an image to be
remembered by its noise must take $k = 0$.

We compare with the drift itself, integrated from two starts by Runge and Kutta; what
remains of their difference is the slope of the conditional mean.
"""

# %%
spectrum = tensor([4.0, 1.0, 0.1, 0.0])
cloud = laws.gaussian(tensor([1.0, -2.0, 0.5, 1.0]), spectrum.diag())
both = [
    (worlds.World(path, cloud), tables.by_nsr(path, 10.0, 0.2, 32))
    for path in (vp, ve)
]


def remembered(world, ts):
    """corr(x_s, x_T) for all k (rows) and modes, from the drift alone."""
    each = tensor(levels).repeat(2).unsqueeze(1)  # one k for each point
    b = reverse_drift(world, traded, each)
    start = torch.cat([torch.zeros(4, 4), torch.ones(4, 4)]).double()
    low, high = solvers.solve(tables.dormand_prince(ts), b, start).split(4)
    V_T, V_s = (world.law(t).cov().diagonal() for t in ts[[0, -1]])
    return (high - low) * (V_T / V_s).sqrt()


memories = torch.stack([remembered(*run) for run in both], 1)


# %% tags=["hide-input"]


def variance(path, t, lam=spectrum):
    """Of x/a, in every mode."""
    c = path.at(t)
    return lam + c.g2 / c.a**2


def memory(power, V=variance):
    """(variance_s / variance_T)^power(k); k, paths, modes."""
    ends = [[V(w.path, ts[i]) for i in (0, -1)] for w, ts in both]
    ratios = torch.stack([s / T for T, s in ends])
    return torch.stack([ratios ** power(k) for k in levels])


memory_slips = {
    "$k$ for $k^2$": memory(lambda k: k / 2),
    "no half": memory(lambda k: k**2),
}

# %% tags=["hide-input"]
memory_slips["variances of $x$, not of $x/a$"] = memory(
    lambda k: k**2 / 2, lambda p, t: p.at(t).a ** 2 * variance(p, t)
)
memory_slips["the data forgotten, $\\sigma_s/\\sigma_T$"] = memory(
    lambda k: k**2 / 2, lambda p, t: variance(p, t, 0 * spectrum)
)

# %% tags=["hide-input"]
memory_claim = Claim(
    id="reverse/memory",
    says=r"For Gaussian data the correlation of $x_s$ and $x_T$ in a mode of "
    r"variance $\lambda$ is $\big(\frac{\lambda + \sigma_s^2}{\lambda + "
    r"\sigma_T^2}\big)^{k^2/2}$, $\sigma = g/a$ ($\lambda = 4, 1, 0.1, 0$; "
    r"$k = 0, \frac12, 1, 2$; VP and VE, $\sigma$ from 10 to 0.2).",
    papers=("059",),
    kind="exact",
    formula=memory(lambda k: k**2 / 2),
    controls=memory_slips,
    tol=1e-6,
    because="Runge-Kutta of order 5, steps of 13 % in the ratio",
    truth=memories,
)
check(memory_claim)

# %% [markdown]
r"""
## How likely is this point?

At $k = 0$ the process is an ordinary differential equation $\dot x = u(x, t)$ with
$u = f x - \frac12 h^2 s$, and a smooth $u$ carries points by an invertible map.
Let $J = \partial x_t/\partial x_s$ be its Jacobian. Differentiate $\dot x = u$ in the
starting point: $\dot J = (\partial u/\partial x)\, J$. By Jacobi's rule
$\frac{d}{dt} \log \det J = \operatorname{tr}(J^{-1} \dot J)
= \operatorname{tr}(\partial u/\partial x) = \nabla \cdot u$: the divergence is the
rate at which a small volume grows. Mass is kept, so density falls as volume grows,

$$
\begin{gathered}
\frac{d}{dt} \log p_t(x_t) = -\nabla \cdot u(x_t, t), \\
\log p_s(x_s) = \log p_T(x_T) + \int_s^T \nabla \cdot u(x_t, t)\, dt ,
\end{gathered}
$$ (eq-reverse-instant)

the *instantaneous change of variables* {cite}`grathwohl2019ffjord`. (Painters
finds it [from the continuity equation](painters.ipynb); it must be the same.)

For a Gaussian the integral is known. In a mode $u$ has the slope $\dot V/(2V)$ of
the last section, the same at every $x$, so

$$
\int_s^T \nabla \cdot u\, dt = \frac12 \sum_{i=1}^{d} \log \frac{V_i(T)}{V_i(s)}
= d \log \frac{a_T}{a_s} + \frac12 \sum_{i=1}^{d}
\log \frac{\lambda_i + \sigma_T^2}{\lambda_i + \sigma_s^2} .
$$ (eq-reverse-volume)

On an exploding path $a = 1$ and the first term is absent. A direction with
$\lambda_i = 0$ adds $\log(\sigma_T/\sigma_s)$, which is infinite at $\sigma_s = 0$:
there the data have no density, and we stop at positive noise. The truth is the
divergence by automatic differentiation, integrated by Gauss' rule.
"""

# %%
trio = (vp, ve, paths.one_sided())
nodes, gauss = map(tensor, np.polynomial.legendre.leggauss(200))
reach = [path.when(tensor([0.2, 10.0])) for path in trio]


def swollen(path, s, T):
    """The integral of div u from s to T, by 200 nodes."""
    world = worlds.World(path, cloud)
    t = (T + s) / 2 + (T - s) / 2 * nodes
    x = world.draw(200, t, shapes.rng(6))[2]
    return (T - s) / 2 * gauss @ fields.divergence(world.velocity, x, t)


# %% tags=["hide-input"]


def volume(scale=1, sigma=2, keep=slice(None), sign=1):
    """The closed form on the three paths, with slips."""
    out = []
    for path, ends in zip(trio, reach, strict=True):
        c = path.at(ends)
        lam = spectrum[keep].unsqueeze(1)
        wide = (lam + (c.g / c.a) ** sigma).log().diff()
        out.append(scale * len(lam) * c.a.log().diff() + wide.sum() / 2)
    return sign * torch.cat(out)


volume_slips = {
    "VE's formula on every path": volume(scale=0),
    "$\\sigma$ for $\\sigma^2$": volume(sigma=1),
    "the singular direction left out": volume(keep=slice(3)),
    "the sign": volume(sign=-1),
}

# %% tags=["hide-input"]
volume_claim = Claim(
    id="reverse/volume",
    says=r"For Gaussian data $\int_s^T \nabla \cdot u\,dt = d \log "
    r"\frac{a_T}{a_s} + \frac12 \sum_i \log \frac{\lambda_i + "
    r"\sigma_T^2}{\lambda_i + \sigma_s^2}$ ($\lambda = 4, 1, 0.1, 0$; VP, VE "
    r"and straight path, $\sigma$ from 0.2 to 10).",
    papers=("059",),
    kind="exact",
    formula=volume(),
    controls=volume_slips,
    tol=1e-13,
    because="200 nodes of Gauss' rule on a smooth function",
    truth=torch.stack(
        [swollen(p, *ends) for p, ends in zip(trio, reach, strict=True)]
    ),
)
check(volume_claim)

# %% [markdown]
r"""
For the mixture the divergence differs from point to point, and `solvers.flow`
carries it along. We start near the data and run into the noise, in ten steps of
Dormand and Prince's method {cite}`dormand1980family`, and stop after each.
"""


# %%
def voyage(path):
    """Twelve points into the noise: times, states, integrals of div u."""
    world = worlds.World(path, law)
    ts = tables.by_nsr(path, 0.2, 10.0, 10)
    x = world.law(ts[0]).sample(12, shapes.rng(7))
    states, volumes = [x], [torch.zeros(12).double()]
    for leg in ts.unfold(0, 2, 1):
        table = tables.dormand_prince(leg)
        x, grown = solvers.flow(table, world.velocity, x)
        states.append(x)
        volumes.append(volumes[-1] + grown)
    return ts, torch.stack(states), torch.stack(volumes)


# %%
voyages = [voyage(path) for path in trio]


def nats_along(path, ts, states, _):
    """log p at all stops, by torch."""
    stops = zip(ts, states, strict=True)
    return torch.stack([density(path, x, t.expand(12)) for t, x in stops])


logs = [nats_along(p, *v) for p, v in zip(trio, voyages, strict=True)]


def nats_off(c):
    """log p_T(x_T) + c times the rest of the integral, less log p; nats."""
    runs = zip(logs, voyages, strict=True)
    off = [p[-1] + c * (vol[-1] - vol) - p for p, (_, _, vol) in runs]
    return torch.stack(off).abs().max()


# %% tags=["hide-input"]
likelihood_claim = Claim(
    id="reverse/likelihood",
    says=r"Along the flow $\log p_s(x_s) = \log p_T(x_T) + \int_s^T \nabla "
    r"\cdot u\, dt$ (three tilted Gaussians; VP, VE and straight path; "
    r"twelve points, ten values of $\sigma_s$ from 0.2 on, $\sigma_T = 10$).",
    papers=("059",),
    kind="exact",
    formula=1.0,
    controls={"no divergence": 0.0, "half of it": 0.5, "the sign": -1.0},
    tol=4e-5,
    because="nats; Runge-Kutta of order 5, ten steps of 48 % in the ratio",
    measure=nats_off,
)
check(likelihood_claim)

# %% [markdown]
r"""
All four formulas start at the noise end, on the left, with the right value. Look at
how far from the grey line they are at the data, on the right.
"""

# %% mystnb={"figure": {"caption": "Log-density of one point along its flow line (VP, grey), and what is computed from its noise end with the divergence (dots) and with three wrong multiples of it (dashed).", "name": "fig-reverse-logp"}, "image": {"alt": "A grey curve that rises towards the data, with dots on it. Three dashed red curves start with it at the noise end and part from it, most of all the one with the wrong sign."}}
figure, axes = figures.canvas(
    "Only the whole divergence, with its sign, keeps to log p"
)
ts, _, vol = voyages[0]
rest, sigma, truth = (vol[-1] - vol)[:, 0], vp.nsr(ts), logs[0][:, 0]
axes.plot(sigma, truth, color=figures.EXACT, lw=4)
axes.plot(sigma, truth[-1] + rest, "o", color=figures.LEARNED, ms=4)
for c, name in ((0.5, "half"), (0.0, "none"), (-1.0, "wrong sign")):
    axes.plot(sigma, truth[-1] + c * rest, "--", color=figures.WRONG, lw=1.2)
    figures.label_line(
        axes, sigma[0], (truth[-1] + c * rest)[0], name, figures.WRONG
    )
axes.set(
    xscale="log",
    xlim=(10, 0.12),
    xlabel="noise-to-signal ratio",
    ylabel="nats",
)
plt.show()

# %% [markdown]
r"""
The wrong curves cross the right one where the volume around this point, having grown
and shrunk, is back at its value at the noise end: whoever tests at that one noise
level finds nothing wrong.

How does a wrong sign survive in a code that has tests? Try the first test that
comes to mind: a *constant* velocity, for which the answer is known because the
density is merely shifted. Its divergence is zero, and $c \cdot 0 = 0$ for every
$c$. The same holds for a rotation, and even for $u = (x_1, -x_2)$, which stretches
one axis as fast as it squeezes the other. A test whose divergence vanishes is no
test of the divergence.

The claim makes it exact: for $u = M x + b$ the map is a matrix exponential and the
carried mixture is known (`Mixture.push`). Its formula is a set of test fields, and
the measurement is the worst error, in nats, of all *four* formulas with
$c = 1, \frac12, 0, -1$, three of them wrong.
"""

# %%
shift = tensor([0.3, -0.2])
turn = tensor([[0.0, -1.0], [1.0, 0.0]])
saddle = tensor([[1.0, 0.0], [0.0, -1.0]])


def test_sees(matrices):
    """The worst error of four formulas on u = M x + b, 0 < t < 1; nats."""
    table, worst = tables.dormand_prince(tables.uniform(0.0, 1.0, 6)), []
    for M in matrices:
        big = torch.zeros(3, 3).double()
        big[:2, :2], big[:2, 2] = M, shift
        move = torch.matrix_exp(big)
        after = law.push(move[:2, :2], move[:2, 2])
        x = law.sample(50, shapes.rng(8))
        y, grown = solvers.flow(table, lambda x, t, M=M: x @ M.mT + shift, x)
        off = after.log_prob(y) - law.log_prob(x)
        worst += [(off + c * grown).abs().max() for c in (1, 0.5, 0, -1)]
    return max(worst)


# %% tags=["hide-input"]
eye = torch.eye(2).double()
blind_claim = Claim(
    id="reverse/blind-test",
    says=r"On $u = Mx + b$ with $\operatorname{tr} M = 0$ (constant, "
    r"rotation, saddle) $\log p_0(x_0) = \log p_1(x_1) + c \int_0^1 \nabla "
    r"\cdot u\,dt$ is exact for $c = 1, \frac12, 0, -1$ alike.",
    papers=("059",),
    kind="exact",
    formula=(0 * eye, turn, saddle),
    controls={
        "a contraction, $M = -I/2$": (-eye / 2,),
        "one axis stretched": ((eye + saddle) / 4,),
        "a spiral": (turn - eye / 10,),
    },
    tol=1e-5,
    because="nats; Runge-Kutta of order 5 in 6 steps, over the variance",
    measure=test_sees,
    scale=lambda ms, e: tuple(m + e * eye for m in ms),
)
check(blind_claim)

# %% [markdown]
r"""
The planted error is a trace of one part in a thousand: any field with a divergence,
however plain, is a better test than a constant.

### How many bits is that?

Likelihoods of images are quoted in **bits per dimension**. A pixel takes whole
values $n = 0, \dots, 255$; a uniform number $r \in [0, 1)$ is added, and
$x = (n + r)/c - 1$ is modelled, $c$ being the number of grey levels in a unit of
$x$. A cell of size 1 in each of the $d$ pixels is mapped to one of volume $c^{-d}$,
so the density of $n + r$ is $p(x)\,c^{-d}$ and

$$
\text{bits per dimension} = -\frac{\log_2 p(x)}{d} + \log_2 c .
$$ (eq-reverse-bits)

By Jensen's inequality its mean over $r$ is an upper bound of the bits of the
whole-valued image, $-\frac1d \log_2 \int p(x)\,c^{-d}\,dr$, with equality where $p$
is constant on cells {cite}`theis2016evaluation`. The constant is **exactly 7** if the
256 cells fill $[-1, 1]$, $c = 128$; with the other common scaling
$x = (n + r)/127.5 - 1$ it is $\log_2 127.5$, a little less. Here is the case of
equality, with $d = 2$ pixels, a random probability for each of the 65,536 images,
and cells whose area is measured.
"""

# %%
images = torch.rand(256, 256, generator=shapes.rng(9), dtype=torch.float64)
images = images / images.sum()


def offset(c):
    """Bits of the image less those of x, per pixel, by enumeration."""
    edges = (torch.arange(257).double() / c - 1).diff()
    height = images / (edges.unsqueeze(1) * edges)  # the density of x
    bits = torch.stack([-(images * p.log2()).sum() for p in (images, height)])
    return (bits[0] - bits[1]) / 2


# %% tags=["hide-input"]
bits_claim = Claim(
    id="reverse/bits",
    says=r"If $x = (n + r)/c - 1$, $r$ uniform on $[0, 1)^d$, has a density "
    r"constant on cells, an image $n$ takes on average $\log_2 c$ bits a "
    r"pixel more than $x$: 7 if $c = 128$ (256 levels, $d = 2$).",
    papers=("059",),
    kind="exact",
    formula=torch.log2,
    controls={
        "7 for $c = 127.5$ too": lambda c: 7 + 0 * c,
        "8: $[-1, 1]$ taken for $[0, 1]$": lambda c: 8 + 0 * c,
        "nats": torch.log,
        "one offset for both pixels": lambda c: c.log2() / 2,
    },
    tol=1e-13,
    because="a sum of 65,536 terms in float64",
    at=tensor([128.0, 127.5]),
    truth=lambda c: torch.stack([offset(u) for u in c]),
)
check(bits_claim)

# %% [markdown]
r"""
## What does the divergence cost?

An exact divergence needs $d$ derivatives of $u$. Hutchinson's trick
{cite}`hutchinson1990trace` needs one: for a random probe $e$ with
$\mathbb E\, e e^\top = I$,

$$
\mathbb E\, e^\top J e = \operatorname{tr}(J\, \mathbb E\, e e^\top)
= \operatorname{tr} J .
$$ (eq-reverse-hutchinson)

How noisy is it? Only the symmetric part $S = (J + J^\top)/2$ is seen. For
**Rademacher** probes, independent signs,
$e^\top J e = \operatorname{tr} S + 2 \sum_{i<j} S_{ij}\, e_i e_j$, and the products
$e_i e_j$ of different pairs are uncorrelated with variance 1. For **Gaussian**
probes turn to the eigenvectors of $S$: $e^\top J e = \sum_i s_i \xi_i^2$ with
independent standard $\xi_i$, and $\xi^2$ has variance 2. So

$$
\operatorname{Var}_{\pm 1} = 4 \sum_{i<j} S_{ij}^2 = 2\, |S - \operatorname{diag} S|^2 ,
\qquad \operatorname{Var}_{\mathcal N} = 2\, |S|^2 ,
$$ (eq-reverse-probes)

in Frobenius norms. Signs are never worse, and exact if $S$ is diagonal.

In six dimensions there are 64 sign vectors, and we take them all. A Gaussian can
be enumerated too: the values $0, \pm\sqrt 3$ with probabilities $\frac23, \frac16,
\frac16$ have its moments up to the fifth, and the variance asks for four. The
Jacobian is random and not symmetric.
"""

# %%
jacobian = torch.randn(6, 6, generator=shapes.rng(10), dtype=torch.float64)
root = 3**0.5


def enumerated(J):
    """Mean and variance of e'Je: all signs, then all of 0 and +-sqrt 3."""
    out = []
    for values, odds in (
        ((-1, 1), (0.5, 0.5)),
        ((0, -root, root), (4, 1, 1)),
    ):
        e = torch.cartesian_prod(*[tensor(values)] * 6)
        w = torch.cartesian_prod(*[tensor(odds)] * 6).prod(1)
        q = ((e @ J) * e).sum(1)
        mean = (w * q).sum() / w.sum()
        out += [mean, (w * (q - mean) ** 2).sum() / w.sum()]
    return torch.stack(out)


# %% tags=["hide-input"]


def probe_moments(part=lambda J: (J + J.mT) / 2, two=2.0, keep=0.0):
    """Mean and variance for signs, then for Gaussians, with slips."""

    def moments(J):
        S = part(J)
        off = S - (1 - keep) * S.diag().diag()
        two_vars = [two * (part**2).sum() for part in (off, S)]
        return torch.stack([J.trace(), two_vars[0], J.trace(), two_vars[1]])

    return moments


probe_slips = {
    "$|J|$ for $|S|$": probe_moments(part=lambda J: J),
    "no 2": probe_moments(two=1.0),
    "the diagonal kept for signs": probe_moments(keep=1.0),
}

# %% tags=["hide-input"]
probe_claim = Claim(
    id="reverse/hutchinson",
    says=r"For probes with $\mathbb E\, e e^\top = I$, $e^\top J e$ has the "
    r"mean $\operatorname{tr} J$; its variance is $2|S - \operatorname{diag} "
    r"S|^2$ for independent signs and $2|S|^2$ for Gaussians, $S = (J + "
    r"J^\top)/2$ (all probes in six dimensions, $J$ not symmetric).",
    papers=("059",),
    kind="exact",
    formula=probe_moments(),
    controls=probe_slips,
    tol=1e-14,
    because="sums of at most 729 terms in float64",
    at=jacobian,
    truth=enumerated,
)
check(probe_claim)

# %% [markdown]
r"""
Along a flow the probes are kept, so that the path stays smooth, and the
log-likelihood inherits the error $e^\top M e - \operatorname{tr} M$ with
$M = \int \frac{\partial u}{\partial x}\, dt$: [the same formula](#eq-reverse-probes)
for $M$, divided by the number of probes. For Gaussian data
$M = U \operatorname{diag}\big(\frac12 \log \frac{V_i(T)}{V_i(s)}\big) U^\top$. Take
the Gaussian of the 1,797 [digits](painters.ipynb), 64 pixels, at noise levels from
$0.1$ to $10$: how many nats is a likelihood off with few probes?
"""

# %%
digits = laws.fit_gaussian(data.digits()[0])
edm = paths.edm()
gallery = worlds.World(edm, digits)
lam, U = digits.covariance.spectrum[0], digits.covariance.basis[0]
grown = ((lam + 10.0**2) / (lam + 0.1**2)).log() / 2
M = (U * grown) @ U.mT
upward = tables.dormand_prince(tables.by_nsr(edm, 0.1, 10.0, 4))
volume_up = solvers.flow(upward, gallery.velocity, digits.means)[1]
kinds = ("rademacher", "gaussian")


@functools.cache
def guesses(kind, n, probes, seed):
    """Errors, in nats, of n likelihoods by few probes."""
    rng = shapes.rng(seed)
    x = gallery.law(0.1).sample(n, rng)
    div = solvers.probed(gallery.velocity, rng, probes, kind)
    return solvers.flow(upward, gallery.velocity, x, div)[1] - volume_up


# %% tags=["hide-input"]


def by_two(J):
    """The variances of two probes, signs and Gaussians."""
    return probe_moments()(J)[1::2] / 2


def probe_error(formula, rng):
    """z-scores of mean and variance of the errors: signs, then Gaussians."""
    zs = []
    for kind, var in zip(kinds, formula(M), strict=True):
        off = guesses(kind, 1500, 2, rng.initial_seed())
        found = shapes.Estimate.of(torch.stack([off, off**2], 1))
        zs.append(found.z(torch.stack([0 * var, var])))
    return torch.stack(zs)


# %% tags=["hide-input"]
nats_claim = Claim(
    id="reverse/probed-likelihood",
    says=r"With $m$ probes kept along the flow a log-likelihood has no bias "
    r"and the variance $\frac2m |M - \operatorname{diag} M|^2$ for signs, "
    r"$\frac2m |M|^2$ for Gaussians, $M$ above (digits, $m = 2$).",
    papers=("059",),
    kind="statistical",
    formula=by_two,
    controls={
        "the variance of one probe": lambda J: 2 * by_two(J),
        "the diagonal kept for signs": lambda J: by_two(J)[1].expand(2),
        "no 2": lambda J: by_two(J) / 2,
    },
    measure=probe_error,
    scale=lambda f, e: scaled(f, 300 * e),
    seeds=(0,),
    n=1500,
    because="so the planted error is one of 30 %",
)
check(nats_claim)

# %% [markdown]
r"""
In the figure look at the distance of the two lines, and at the scale: nats.
"""

# %% mystnb={"figure": {"caption": "Standard error, in nats, of one log-likelihood of the digits' Gaussian against the number of probes: the formula (lines), the 1,500 likelihoods of the claim and 200 more (dots).", "name": "fig-reverse-probes"}, "image": {"alt": "Two falling straight lines on logarithmic axes, signs far below Gaussian probes, with dots on both."}}
figure, axes = figures.canvas(
    "Signs beat Gaussian probes, and both want many"
)
m = tensor([1.0, 2.0, 8.0, 100.0])
names = zip(kinds, (figures.EXACT, figures.SECOND), strict=True)
for i, (kind, colour) in enumerate(names):
    error = (2 * by_two(M)[i] / m).sqrt()
    axes.loglog(m, error, color=colour, lw=2.5)
    runs = (1500, 2, 0), (200, 8, 1)
    dots = [guesses(kind, *run).std() for run in runs]
    axes.loglog(m[1:3], dots, "o", color=figures.LEARNED, ms=5)
    figures.label_line(axes, 100, error[-1], ("signs", "Gaussian")[i], colour)
axes.set(xlabel="probes", ylabel="nats", xlim=(0.9, 180))
plt.show()

# %% [markdown]
r"""
Most of $|M|$ stands on the diagonal, where signs make no error at all; but what is
left is several nats with one probe, and a hundredfold effort gains one digit.

## Can a sampler repair itself?

A predictor has made an error; the state at time $t$ has a wrong law. A **corrector**
stays at $t$ and lets the score pull the law back: *Langevin* steps

$$
x \leftarrow x + \eta\, s(x, t) + \sqrt{2\eta}\; \xi, \qquad \xi \sim \mathcal N(0, I).
$$ (eq-reverse-langevin)

With $\eta = \delta$ this is [a step](#eq-reverse-step) with drift $s$ and $h^2 = 2$,
and $p_t$ does not move under it, because $-\nabla \cdot (p s) + \Delta p = 0$ by
[the trade](#eq-reverse-trade). But the step is finite. In a Gaussian mode of
variance $V_*$ it multiplies the deviation from the mean by $1 - \eta/V_*$, so a
variance $v$ becomes

$$
\begin{gathered}
v' = \Big(1 - \frac{\eta}{V_*}\Big)^2 v + 2\eta, \qquad
v_\infty = \frac{V_*}{1 - \eta/(2 V_*)}, \\
v' - v_\infty = \Big(1 - \frac{\eta}{V_*}\Big)^2 (v - v_\infty) .
\end{gathered}
$$ (eq-reverse-floor)

(Solve $v = v'$: $v\,(2\eta/V_* - \eta^2/V_*^2) = 2\eta$.) So an error shrinks
geometrically, but towards $v_\infty$, which is too wide by the share
$\frac{\eta}{2V_*} + O(\eta^2)$: a *floor*. The factor is below 1 only for
$0 < \eta < 2 V_*$; at $\eta = 2V_*$ the variance grows without end, and at
$\eta = V_*$ everything is forgotten in one step, to land on $2 V_*$.
"""

# %%
eta, target, now = sympy.symbols("eta V v", positive=True)


def corrected(floor, rate):
    """Residuals: the floor stands still, and errors shrink by the rate."""
    step = sympy.Lambda(now, (1 - eta / target) ** 2 * now + 2 * eta)
    return sympy.Matrix(
        [step(floor) - floor, step(now) - floor - rate * (now - floor)]
    )


# %% tags=["hide-input"]
floor, rate = target / (1 - eta / (2 * target)), (1 - eta / target) ** 2
floor_claim = Claim(
    id="reverse/corrector-floor",
    says=r"$v \mapsto (1 - \eta/V)^2 v + 2\eta$ has the fixed point $V/(1 - "
    r"\eta/(2V))$ and shrinks the distance from it by $(1 - \eta/V)^2$.",
    papers=("059",),
    kind="symbolic",
    formula=(floor, rate),
    controls={
        "no floor": (target, rate),
        "$V/(1 - \\eta/V)$": (target / (1 - eta / target), rate),
        "too narrow, $V/(1 + \\eta/(2V))$": (
            target / (1 + eta / target / 2),
            rate,
        ),
        "the rate $1 - \\eta/V$ of the mean": (floor, 1 - eta / target),
    },
    measure=lambda answer: corrected(*answer),
)
check(floor_claim)

# %% [markdown]
r"""
In `tables.langevin` the step is $\eta = 2 (r g)^2$ with a signal-to-noise ratio $r$.
Is it the same table? `chains.variances` sweeps any table, mode by mode; and a
sample shows that the pieces work together: Euler's method for the flow, in two huge
steps, leaves a wrong variance, and Langevin steps repair it.
"""

# %%
spot = vp.when(0.5)
c = vp.at(spot)
V_star = c.a**2 * spectrum + c.g2
start = V_star * tensor([2.0, 0.3, 3.0, 0.5])
counts, snr = (1, 4, 16, 64), 0.6


def swept(n):
    """The variance of every mode after n Langevin steps, from their table."""
    table = tables.langevin(vp, spot.reshape(1), n, snr)
    return chains.variances(table, vp, spectrum, start)


# %% tags=["hide-input"]


def repair(floor=lambda V, e: V / (1 - e / (2 * V)), power=2):
    """v after n steps, from the floor and the rate."""

    def after(V, v, n):
        e = 2 * (snr * c.g) ** 2
        return floor(V, e) + (1 - e / V) ** (power * n) * (v - floor(V, e))

    return after


repair_slips = {
    "no floor": repair(lambda V, e: V),
    "$V/(1 - \\eta/V)$": repair(lambda V, e: V / (1 - e / V)),
    "the rate of the mean": repair(power=1),
}

# %% tags=["hide-input"]
repair_claim = Claim(
    id="reverse/corrector",
    says=r"After $n$ steps of `tables.langevin`, $\eta = 2 (r g)^2$, a mode "
    r"has the variance $v_\infty + (1 - \eta/V)^{2n} (v - v_\infty)$, "
    r"$v_\infty = V/(1 - \eta/(2V))$ (VP; $\lambda = 4, 1, 0.1, 0$; $r = "
    r"0.6$; $n = 1, 4, 16, 64$).",
    papers=("059",),
    kind="exact",
    formula=repair(),
    controls=repair_slips,
    tol=3e-14,
    because="sixty-four products in float64",
    at=(V_star, start, tensor(counts).unsqueeze(1)),
    truth=lambda *_: torch.stack([swept(n) for n in counts]),
)
check(repair_claim)

# %%
coarse = tables.by_nsr(vp, 20.0, 0.5, 2)
euler = tables.euler_maruyama(vp, coarse, eta=0.0)
tilted = worlds.World(vp, laws.gaussian(tensor([1.0, 2.0]), tilts[0]))
lam_2, U_2 = torch.linalg.eigh(tilts[0])
V_2 = c.a**2 * lam_2 + c.g2
wide = chains.spread(vp, lam_2, coarse[0]) ** 2
predicted = chains.variances(euler, vp, lam_2, wide)


# %%
def repaired(after, rng, n=20000):
    """z-scores of the variances after the predictor and 0, 1, 3, 10 steps."""
    x = tilted.law(coarse[0]).sample(n, rng)
    x, zs = solvers.solve(euler, tilted.score, x), []
    for steps in (0, 1, 3, 10):
        y = x
        if steps:
            table = tables.langevin(vp, spot.reshape(1), steps, snr)
            y = solvers.solve(table, tilted.score, x, rng)
        y = (y - y.mean(0)) @ U_2
        found = shapes.Estimate.of(y**2)
        zs.append(found.z(after(V_2, predicted, steps)))
    return torch.stack(zs)


# %% tags=["hide-input"]
run_claim = Claim(
    id="reverse/corrector-run",
    says=r"Samples that Euler's method brought down in two steps, and $n$ "
    r"Langevin steps then corrected, have the variances $v_\infty + (1 - "
    r"\eta/V)^{2n} (v - v_\infty)$ along both axes of a tilted Gaussian "
    r"($n = 0, 1, 3, 10$; $v$ the predictor's).",
    papers=("059",),
    kind="statistical",
    formula=repair(),
    controls=repair_slips,
    measure=repaired,
    scale=lambda f, e: scaled(f, 100 * e),
    seeds=(0,),
    n=20000,
    because="so the planted error is one of 10 %",
)
check(run_claim)

# %% [markdown]
r"""
Each curve below is one step size. Look at its slope, then at where it ends.
"""

# %% mystnb={"figure": {"caption": "Relative error of a variance that starts 100 % too large, against the number of Langevin steps, for three step sizes; dotted: the floors.", "name": "fig-reverse-corrector"}, "image": {"alt": "Three curves on a logarithmic axis. The largest step falls fastest and soon stays at a high floor; the smallest falls slowly and ends much lower."}}
figure, axes = figures.canvas(
    "Long steps repair fast, short steps repair well"
)
n = torch.arange(0, 151).double()
for share, colour in zip(
    (0.5, 0.1, 0.02), figures.time_colours(3), strict=True
):
    end = 1 / (1 - share / 2)
    error = end + (1 - share) ** (2 * n) * (2 - end) - 1
    axes.semilogy(n, error, color=colour)
    axes.axhline(end - 1, color=colour, lw=0.8, ls=":")
    figures.label_line(
        axes, 150, error[-1], rf"$\eta = {share:g}\, V$", colour
    )
axes.set(xlabel="Langevin steps", ylabel="error", ylim=(0.007, 1.3))
axes.set_xlim(0, 150)
plt.show()

# %% [markdown]
r"""
There is a price that one mode does not show. A step must suit the *narrowest*
direction, $\eta < 2 V_{\min}$, and then the widest is repaired at the rate
$(1 - \eta/V_{\max})^2$, which is close to 1 if the two are far apart. At low noise a
corrector polishes the small details and leaves the large ones as they are.

## How do you ask for a class?

Let the data come with a label $y$. Noise is added without looking at the label, so
at each time Bayes' rule holds for the pair $(x_t, y)$:
$p_t(x \mid y) = p_t(x)\, p_t(y \mid x) / p(y)$. The last factor does not depend on
$x$, so

$$
\begin{gathered}
\nabla \log p_t(x \mid y) = \nabla \log p_t(x) + \nabla \log p_t(y \mid x), \\
p_t(y \mid x) = \mathbb E[\, p(y \mid x_0) \mid x_t = x\,] .
\end{gathered}
$$ (eq-reverse-class)

The second formula holds because $y$ and $x_t$ are independent given $x_0$. It says
what kind of classifier is wanted: one that is shown **noisy** points and does as
well as can be done with them. A classifier of clean data, $p_0(y \mid x)$, is another
function. It may be evaluated at $x_t$, at $x_t/a$ or at the guess $D(x_t)$: all three
are tempting and none is [the formula](#eq-reverse-class), for an average of
probabilities is not the probability at the average. In a mixture all are known. The class is the first and third component; its exact score is that of the
conditional mixture (`Mixture.select`), which involves no classifier at all.
"""

# %%
whole, wanted = plane[0], worlds.World(vp, law.select([0, 2]))
hours = vp.when(tensor([0.3, 1.0, 3.0]))
places = [whole.draw(40, t, shapes.rng(11))[2] for t in hours]


def in_class(mixture, x):
    """The probability of the class at x."""
    return mixture.responsibilities(x)[:, [0, 2]].sum(1)


def steered(classifier):
    """The score plus the gradient of a classifier's log-probability."""
    out = []
    for t, x in zip(hours, places, strict=True):
        y = x.clone().requires_grad_()
        push = torch.autograd.grad(classifier(y, t).log().sum(), y)[0]
        out.append(whole.score(x, t) + push)
    return torch.stack(out)


# %% tags=["hide-input"]
class_slips = {
    "the clean classifier at $x_t$": lambda x, t: in_class(law, x),
    "the clean classifier at $x_t/a$": lambda x, t: in_class(
        law, x / vp.at(t).a
    ),
    "the clean classifier at the guess": lambda x, t: in_class(
        law, whole.denoise(x, t)
    ),
}
class_truth = [wanted.score(x, t) for t, x in zip(hours, places, strict=True)]

# %% tags=["hide-input"]
class_claim = Claim(
    id="reverse/class",
    says=r"$\nabla \log p_t(x \mid y) = \nabla \log p_t(x) + \nabla \log "
    r"p_t(y \mid x)$ with the classifier of *noisy* points, $p_t(y \mid x) = "
    r"P(y \mid x_t = x)$ (two of three tilted Gaussians as the class; VP, "
    r"$\sigma = 0.3, 1, 3$).",
    papers=("059",),
    kind="exact",
    formula=steered(lambda x, t: in_class(whole.law(t), x)),
    controls={name: steered(f) for name, f in class_slips.items()},
    tol=3e-14,
    because="float64; the logarithm of a probability is differentiated",
    truth=torch.stack(class_truth),
)
check(class_claim)

# %% [markdown]
r"""
Why the clean classifier is wrong can be seen on the line: look at how steep the
curves are, for the slope of their logarithm is the push.
"""

# %% mystnb={"figure": {"caption": "Probability of the right-hand mode given $x_t/a$, at three noise-to-signal ratios (solid), and the clean classifier (dashed).", "name": "fig-reverse-class"}, "image": {"alt": "Sigmoid curves, the steeper the less noise; the dashed clean classifier is almost a step."}}
figure, axes = figures.canvas("Noise makes an honest classifier hesitate")
wide = torch.linspace(-5, 5, 400).double().unsqueeze(1)
sigmas, tags = (1.0, 2.0, 4.0), ((-1.1, 0.07), (-3.2, 0.2), (-5, 0.41))
for sigma, tag, colour in zip(
    sigmas, tags, figures.time_colours(3), strict=True
):
    odds = line.blur(sigma**2).responsibilities(wide)[:, 1]
    axes.plot(wide[:, 0], odds, color=colour)
    figures.label_line(axes, *tag, rf"$\sigma = {sigma:g}$", colour)
odds = line.responsibilities(wide)[:, 1]
axes.plot(wide[:, 0], odds, "--", color=figures.WRONG, lw=1.2)
figures.label_line(axes, 0.1, 0.3, "clean", figures.WRONG)
axes.set(xlabel="$x_t / a_t$", ylabel="probability", yticks=[0, 0.5, 1])
plt.show()

# %% [markdown]
r"""
The clean classifier is sure almost everywhere. On the wrong side of its boundary
its logarithm falls steeply, so there it pushes too hard, and on the right side not
at all. An honest classifier of noisy points pushes gently, from everywhere. How
strong to push beyond what is exact is the matter of
[guidance](../start/notation.ipynb).

## Break it

- In `family`, replace `levels` by `(0.0, 1.0)`: the two values of $k$ that every
  paper has. The control $(1 + k)/2$ is no longer rejected.
- Make `jacobian` symmetric before `reverse/hutchinson`. The control $|J|$ for $|S|$
  passes: an exact score has a symmetric Jacobian, so an exact world would never
  have found this slip. A network's need not be symmetric.
- Give `tables.langevin` the ratio $r = 1.1$. It refuses: $\eta = 2 (r g)^2$ could
  then exceed $2V$ in a direction without data variance, where $V = g^2$.

## What this does not show

All scores here were exact. With a learned score $\hat s$ the trade of
[noise for drift](#eq-reverse-trade) still uses $\hat s$ where it needs
$\nabla \log p$, so members of the family no longer agree: which $k$ is best is then
a question about the error, not about mathematics, and belongs to later chapters.
What a wrong score costs in nats is known [if it is the score of a law](dialects.ipynb);
for one that is no density's gradient there are only bounds.
Finite steps are a subject of their own: here they were small, or their error was
computed. And no number above is a number of a trained image model.

## Exercises

**1.** On the path $x_t = x_0 + t z$ write the drift of [the family](#eq-reverse-family)
as a function of the score `s`, the time `t` and `k`.
"""

# %%
exploding = paths.edm()
inputs = {
    "s": tensor([[0.3, -1.2], [2.0, 0.1], [-0.7, 0.4]]),
    "t": tensor([[0.2], [1.5], [6.0]]),
    "k": tensor([[0.0], [1.0], [2.0]]),
}


def drift_by_path(s, t, k):
    """f and h^2 from the path; f = 0, so that x does not matter."""
    f, h2 = exploding.sde(t)
    return f * s - (1 + k**2) / 2 * h2 * s


# %% tags=["hide-input"]
drift_exercise = Claim(
    id="reverse/drift-exercise",
    says="the drift of the family on the path with g = t",
    papers=("059",),
    kind="exact",
    formula=None,
    controls={
        "t squared for its growth": lambda s, t, k: -traded(k) * t**2 * s,
        "t squared grows by 2 t, not t": lambda s, t, k: -traded(k) * t * s,
        "k squared is traded, not k": lambda s, t, k: -(1 + k) * t * s,
        "the sign: dt is negative": lambda s, t, k: 2 * traded(k) * t * s,
    },
    tol=1e-12,
    because="float64",
    at=inputs,
    truth=drift_by_path,
)


# %% tags=["solution", "hide-cell"]
def edm_drift(s, t, k):
    """-(1 + k^2)/2 h^2 s with h^2 = 2 t."""
    return -(1 + k**2) * t * s


# %%
attempt(drift_exercise, edm_drift)

# %% [markdown]
r"""
**2.** A mode has the variance `lam`. For which $k$ is the correlation between the
state at noise level `high` and that at `low` equal to `rho`?
"""

# %%
wishes = ((0.5, 1.0, 0.1, 10.0), (0.9, 0.01, 0.1, 5.0), (0.2, 4.0, 0.5, 20.0))


def correlation(k, lam, low, high):
    """By Runge and Kutta along the drift, in a one-dimensional world."""
    world = worlds.World(exploding, laws.gaussian(tensor([0.0]), lam))
    b = reverse_drift(world, traded, k)
    ts = tables.by_nsr(exploding, high, low, 16)
    end = solvers.solve(tables.dormand_prince(ts), b, tensor([[1.0]]))[0, 0]
    return end * ((lam + high**2) / (lam + low**2)) ** 0.5


def wish_missed(answer):
    """The largest distance of the correlation from what was asked for."""
    return max(abs(correlation(answer(*w), *w[1:]) - w[0]) for w in wishes)


# %% tags=["hide-input"]
def level_with(factor=2.0, power=0.5, data=1.0):
    """k from rho, with slips."""

    def k(rho, lam, low, high):
        ratio = (data * lam + low**2) / (data * lam + high**2)
        return float((factor * np.log(rho) / np.log(ratio)) ** power)

    return k


# %% tags=["hide-input"]
memory_exercise = Claim(
    id="reverse/memory-exercise",
    says="the noise level k at which a mode keeps a given correlation",
    papers=("059",),
    kind="exact",
    formula=None,
    controls={
        "the exponent is half of k squared": level_with(factor=1.0),
        "this is k squared": level_with(power=1.0),
        "the data's variance counts too": level_with(data=0.0),
    },
    tol=1e-4,
    because="Runge-Kutta of order 5 in 16 steps",
    measure=wish_missed,
)


# %% tags=["solution", "hide-cell"]
def level(rho, lam, low, high):
    """rho = ratio^(k^2 / 2), solved for k."""
    ratio = (lam + low**2) / (lam + high**2)
    return float((2 * np.log(rho) / np.log(ratio)) ** 0.5)


# %%
attempt(memory_exercise, level)

# %% [markdown]
r"""
**3.** A model returns the log-density `nats` (natural logarithm) of an image of `d`
pixels, scaled so that `levels` cells of equal size fill an interval of length
`width`. How many bits per dimension is that?
"""

# %%
reports = {
    "nats": tensor([5000.0, -120.0, 9000.0]),
    "d": tensor([3072.0, 64.0, 3072.0]),
    "levels": tensor([256.0, 17.0, 256.0]),
    "width": tensor([2.0, 2.0, 1.0]),
}


def bits_by_torch(nats, d, levels, width):
    """Equal Gaussian pixels of that density, moved to the grey levels."""
    sd = (-nats / d).exp() / (2 * torch.pi) ** 0.5
    pixel = distributions.Normal(0 * sd, sd)
    to_levels = distributions.AffineTransform(0.0, levels / width)
    grey = distributions.TransformedDistribution(pixel, to_levels)
    return -grey.log_prob(0 * sd) / torch.log(tensor(2.0))


# %% tags=["hide-input"]
def bits_with(offset, unit=0.6931471805599453):
    """-nats/(d log 2) + offset."""
    return lambda nats, d, levels, width: (
        -nats / d / unit + offset(levels, width)
    )


bits_slips = {
    "the first term is in nats": bits_with(lambda n, w: (n / w).log2(), 1.0),
    "the interval has a length": bits_with(lambda n, w: n.log2()),
    "the sign of the offset": bits_with(lambda n, w: (w / n).log2()),
    "a cell has a size: no offset": bits_with(lambda n, w: 0 * n),
}

# %% tags=["hide-input"]
bits_exercise = Claim(
    id="reverse/bits-exercise",
    says="bits per dimension from nats",
    papers=("059",),
    kind="exact",
    formula=None,
    controls=bits_slips,
    tol=1e-12,
    because="float64",
    at=reports,
    truth=bits_by_torch,
)


# %% tags=["solution", "hide-cell"]
def bits_per_dimension(nats, d, levels, width):
    """-log2 p / d + log2 of the levels in a unit."""
    return -nats / d / torch.log(tensor(2.0)) + (levels / width).log2()


# %%
attempt(bits_exercise, bits_per_dimension)

# %% [markdown]
r"""
**4.** *Extend the world* from one mode to a spectrum `V` of variances: what is the
largest Langevin step with which *no* mode ends wider than $1 + \delta$ times its
variance? Write it as a function of `V` and `delta`. (Then ask how many steps the
widest mode needs.)
"""

# %%
spectra = (tensor([1.0, 0.7, 0.5]), tensor([3.0, 2.0, 1.2, 1.1]))


def excess_missed(answer):
    """The distance of the worst excess from delta, by 2,000 steps."""
    off = []
    for V, delta in itertools.product(spectra, (0.02, 0.2)):
        eta, v = answer(V, delta), V.clone()
        for _ in range(2000):
            v = (1 - eta / V) ** 2 * v + 2 * eta
        off.append(abs((v / V - 1).max() - delta))
    return max(off)


# %% tags=["hide-input"]
def step(V, delta):
    """2 V delta / (1 + delta)."""
    return 2 * V * delta / (1 + delta)


step_slips = {
    "the widest mode is in no danger": lambda V, d: step(V.max(), d),
    "a division, not a product with 1 + eta/(2 V)": lambda V, d: (
        2 * V.min() * d
    ),
    "the excess is about eta/(2 V)": lambda V, d: step(V.min(), d) / 2,
}

# %% tags=["hide-input"]
step_exercise = Claim(
    id="reverse/step-exercise",
    says="the largest Langevin step for a spectrum and a tolerated excess",
    papers=("059",),
    kind="exact",
    formula=None,
    controls=step_slips,
    tol=1e-10,
    because="2,000 steps of a contraction in float64",
    measure=excess_missed,
)


# %% tags=["solution", "hide-cell"]
def largest_step(V, delta):
    """1 / (1 - eta/(2 V)) = 1 + delta, for the narrowest mode."""
    return 2 * V.min() * delta / (1 + delta)


# %%
attempt(step_exercise, largest_step)

# %% [markdown]
r"""
**5.** *A new control.* Find a coefficient $c(k)$ that is right at $k = 0$, $1$ and
$2$ and wrong at every other $k > 0$. Add it to the controls of `reverse/family`: is it
rejected, and by which of the four values? Then find a polynomial of degree four
that is not: a test at four values of $k$ cannot see it, and any fifth can.

## Summary

| what | formula | in `diffkit` |
|---|---|---|
| density under noise | $\partial_t p = -\nabla\cdot(f p) + \frac12 h^2 \Delta p$ | `path.sde` |
| reverse family | $dx = [f - \frac{1+k^2}{2} h^2 s]\,dt + k h\,d\bar W$ | `tables.stochastic_heun` |
| memory | $\rho_k = \big(\frac{\lambda+\sigma_s^2}{\lambda+\sigma_T^2}\big)^{k^2/2}$ | |
| likelihood | $\log p_s = \log p_T + \int_s^T \nabla\cdot u\,dt$ | `solvers.flow` |
| bits per dimension | $-\frac1d \log_2 p + \log_2 c$, 7 for $c = 128$ | |
| probes | variance $2\lvert S - \operatorname{diag} S\rvert^2$ or $2\lvert S\rvert^2$ | `fields.hutchinson`, `solvers.probed` |
| corrector | floor $V/(1 - \eta/(2V))$, rate $(1 - \eta/V)^2$ | `tables.langevin` |
| class | $s(x \mid y) = s(x) + \nabla \log p_t(y \mid x)$ | `Mixture.select` |

**Where next.** [The far field](farfield.ipynb) asks how much of a score is Gaussian;
[teleportation](teleport.ipynb) uses the answer to skip steps. The
[notation](../start/notation.ipynb) translates $h$, $k$ and $\sigma$.
"""
