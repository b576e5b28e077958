# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# What does training learn?

A free network is no gradient, and score matching does not ask it to be one. How much of
what it learns wrongly is a gauge, which harms nothing, and how much moves the law? Twenty
small nets on a world where everything is known: we split their errors, measure how far
their laws are from the data, take the parts out one by one, and find that the gauge is
indeed idle, that training removes it last, and that it predicts nothing.

- **You need** [the split of a field](helmholtz.ipynb), [what a gauge does](gauges.ipynb),
and [the change of log-density along a flow](../gaussian/reverse.ipynb).
- **You get** the two parts of the error of trained nets, free ones and gradients of an
energy; a formula of first order for their KL divergence; and an experiment that takes
the gauge out of a net, and one that leaves nothing else in.
- **Papers** 041, Horvat and Pfister {cite}`horvat2024gauge`; 069, Vuong et al.
{cite}`vuong2025score`.
- **Claims** on twenty trained nets, all named `learned/...`.
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
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.interpolate import RectBivariateSpline

# %% tags=["setup"]
from diffkit import (
    fields,
    figures,
    paths,
    recipes,
    shapes,
    solvers,
    tables,
    worlds,
)
from diffkit.claims import Claim, attempt, check

tensor = functools.partial(torch.tensor, dtype=torch.float64)
even = functools.partial(torch.linspace, dtype=torch.float64)

# %% [markdown]
r"""
The world is that of the last chapters, three tilted Gaussians in the plane on EDM's path
$x_\sigma = x_0 + \sigma z$, with $\tau = \sigma^2$ and $u = \log \sigma$. On it four
recipes made five nets each, of three layers of 64, with fresh data in every step:

| | the denoiser is | steps |
|---|---|---|
| free | what the net says | 6,000 |
| energy | the slope of a scalar that a net of the same size makes | 6,000 |
| free, early | as free | 300 |
| energy, early | as energy | 300 |

The members of a recipe differ in their seed alone. Both kinds stand behind EDM's
preconditioning. For the noise levels $0.05$ to $10$, which they were trained on, a net
gives $\hat s = (\hat D - x)/\sigma^2$, and $e = \hat s - s$ is its error.
"""

# %% tags=["setup"]
LOW, HIGH, STEPS, SEEDS = 0.05, 10.0, 10, (0, 1, 2, 3, 4)
law = recipes.conservative.tilted()
world = worlds.World(paths.edm(HIGH), law)
nets = {
    "free": recipes.load("tilted-free"),
    "energy": recipes.load("tilted-energy"),
    "free, early": recipes.load("tilted-free-early"),
    "energy, early": recipes.load("tilted-energy-early"),
}
FREE = ("free", "free, early")
levels = even(math.log(LOW), math.log(HIGH), 2 * STEPS + 1).exp()
levels[-1] = HIGH  # and not the next number above

# %% [markdown]
r"""
A net answers for all five members at once, and with it we want the divergence: two
reverse sweeps. The exact score has both in closed form (as derived in
[the chapter on gauges](gauges.ipynb)).
"""


# %% tags=["setup"]
@torch.no_grad()
def learned(net, x, t):
    """The score of all members and its divergence; x (5, n, 2)."""
    guess, pull = torch.func.vjp(lambda x: net(x, t), x)
    div = -2.0
    for i in range(2):
        probe = torch.zeros_like(x)
        probe[..., i] = 1.0
        div = div + pull(probe)[0][..., i]
    return (guess - x) / t**2, div / t**2


# %% tags=["setup"]
def told(x, t):
    """The exact score and its divergence."""
    inverse = torch.linalg.inv(law.covs() + t**2 * torch.eye(2).double())
    off = x.unsqueeze(-2) - law.means
    each = -(inverse @ off.unsqueeze(-1)).squeeze(-1)
    level = law.logw + (each * off).sum(-1) / 2 + inverse.logdet() / 2
    rho, trace = level.softmax(-1), inverse.diagonal(0, -1, -2).sum(-1)
    s = (rho.unsqueeze(-1) * each).sum(-2)
    div = (rho * ((each**2).sum(-1) - trace)).sum(-1) - (s**2).sum(-1)
    return s, div


# %% [markdown]
r"""
## What is the error made of?

At each noise level the error is a gradient and a gauge, $e = \nabla\varphi + r$, and the
excess loss is [the sum of both](helmholtz.ipynb),
$\mathbb E_p|e|^2 = \mathbb E_p|\nabla\varphi|^2 + \mathbb E_p|r|^2$. Which weight shall
the levels have? The reverse SDE of the net and the exact one have the same noise, and
Girsanov's formula gives the KL divergence of their runs,

$$
T = \frac12 \int \mathbb E_p|e|^2\, d\tau
= \int \sigma^2\, \mathbb E_p|e|^2\, du
= \int \frac{\mathbb E_p|\hat D - D|^2}{\sigma^2}\, du ,
$$ (eq-learned-total)

so that is the natural unit: $T$ is in nats, bounds the divergence of the end laws of the
*diffusion*, and makes a relative error of the denoiser count alike at all levels. It
splits as well, $T = H + G$, with $H$ of the gradient part and $G$ of the gauge.

`fields.Splitter` does it on a grid of $80^2$ cells, in a box that grows with the level.
"""


# %% tags=["setup"]
@functools.cache
def splitter(t, n=80):
    """The grid for one noise level."""
    return fields.Splitter(law.blur(t * t).log_prob, n, 4.2 + 5.5 * t)


def error(net, t):
    """e = learned score - score, of all members, for points (m, 2)."""

    @torch.no_grad()
    def e(x):
        guess = net(x.expand(net.members, *x.shape), t)
        return (guess - x) / t**2 - told(x, t)[0]

    return e


def over_levels(values):
    """The integral over u of sigma^2 E|.|^2, values (..., levels)."""
    return torch.trapezoid(levels**2 * values, levels.log(), dim=-1)


# %% [markdown]
r"""
The potentials of the ten free nets at 21 levels, and the mean squares of both parts:
"""


# %% tags=["setup"]
def parted(net):
    """Potentials, E|grad|^2 and E|gauge|^2 (5, levels), the errors."""
    phis, grads, gauges, fluxes = [], [], [], []
    for t in levels.tolist():
        grid = splitter(t)
        flux = grid.across(error(net, t))
        phis.append(grid.potential(flux))
        slope = grid.slope(phis[-1])
        grads.append(grid.power(slope))
        gauges.append(grid.power(flux - slope))
        fluxes.append(flux)
    return phis, torch.stack(grads, 1), torch.stack(gauges, 1), fluxes


splits = {name: parted(nets[name]) for name in FREE}
H = {name: over_levels(splits[name][1]) for name in FREE}
G = {name: over_levels(splits[name][2]) for name in FREE}

# %% [markdown]
r"""
In the figure look at the distance between the two lines of a colour. The axis is
logarithmic.
"""

# %% mystnb={"figure": {"caption": "The two parts of the error of free nets against the noise level, in nats per unit of $\\log \\sigma$: the gradient (red) and the gauge (blue), early (dashed) and at the end of training (full). Geometric means of five nets.", "name": "fig-learned-levels"}, "image": {"alt": "Four humps against noise level on logarithmic axes, all highest near level one third and falling steeply to the right. The dashed red one lies thirty times above the dashed blue one. Twenty times more training lowers red by a factor of thirty and blue by five, so that the full lines are close together at high noise."}}
figure, axes = figures.canvas("Training removes harm first, the gauge last")
for name, style in zip(FREE, ("-", "--"), strict=True):
    _, grads, gauges, _ = splits[name]
    kinds = (grads, figures.WRONG), (gauges, figures.LEARNED)
    for part, colour in kinds:
        line = (levels**2 * part).log().mean(0).exp()
        axes.loglog(levels, line, style, color=colour)
figures.label_line(axes, 0.9, 0.06, "gradient, early", figures.WRONG)
figures.label_line(axes, 0.05, 0.0045, "gradient", figures.WRONG)
figures.label_line(axes, 0.051, 0.00042, "gauge, early", figures.LEARNED)
figures.label_line(axes, 0.051, 0.00006, "gauge", figures.LEARNED)
axes.set(xlabel=r"noise level $\sigma$", ylabel="nats", ylim=(1e-6, 0.3))
plt.show()

# %% [markdown]
r"""
First, that we measure what we think. An energy net is a gradient of $x$ at every level by
construction, its preconditioning included: $\hat D$ is a multiple of $x$, plus a multiple
of a gradient, and a number that depends on $\sigma$ alone does no harm to that. So its
Jacobian must be symmetric to rounding. The controls are the energy with the Jacobian of
the net for its transpose, and the free nets.
"""


# %%
def crooked(field):
    """max |J - J'| / max |J| over two models, five members, two levels."""
    worst = 0.0
    x = law.sample(60, shapes.rng(4)).expand(5, -1, -1)
    for t in (0.1, 1.0):
        for name in ("energy", "energy, early"):
            net = field(name)
            J = fields.jacobian(lambda x, t, net=net: net(x, t), x, tensor(t))
            off = (J - J.mT).detach().abs().max() / J.detach().abs().max()
            worst = max(worst, float(off))
    return worst


def plain(name):
    """The net itself."""
    return nets[name]


# %% tags=["hide-input"]
def transposed(name):
    """What the energy net says with J x in the place of J' x."""
    net = nets[name]

    def guess(x, t):
        sd, inner = net.sd, net.net.net
        t = torch.as_tensor(t)
        r, u = (sd**2 + t**2) ** 0.5, t.log().float().expand(x.shape[:2]) / 4
        y, Jx = torch.func.jvp(
            lambda x: inner(x, u), *[((x / r).float(),)] * 2
        )
        return sd**2 / r**2 * x + t * sd / r * (y + Jx).double() / 2

    return guess


# %% tags=["hide-input"]
def bent(build, e):
    """A rotation of size e added to what a net says."""
    turn = tensor([1.0, -1.0])
    return lambda k: lambda x, t: build(k)(x, t) + e * x.flip(-1) * turn


# %% tags=["hide-input"]
symmetric_slips = {
    "$J x$ for $J^\\top x$ in the slope of the energy": transposed,
    "free nets": lambda k: nets[k.replace("energy", "free")],
}

# %% tags=["hide-input"]
symmetric_claim = Claim(
    id="learned/symmetric",
    says=r"The Jacobian of each of the ten energy nets is symmetric (120 "
    r"points, $\sigma = 0.1$ and $1$; $\max |J - J^\top| / \max |J|$).",
    papers=("041", "069"),
    kind="exact",
    formula=plain,
    controls=symmetric_slips,
    tol=9e-6,
    because="nets in float32, three layers",
    measure=crooked,
    scale=lambda f, e: (
        lambda name: (
            lambda x, t: f(name)(x, t) + e * x.flip(-1) * tensor([1.0, -1.0])
        )
    ),
)
check(symmetric_claim)

# %% [markdown]
r"""
So its gauge part is zero, and what the grid finds is the grid's own error. This is a test
of the splitter on fields that nobody designed. The gradient part is wrong by a multiple of
$h^2$, its square by $h^4$: twice as many cells a side must leave a sixteenth.
"""


# %%
def remainder(net, n, t=0.5):
    """E|gauge part|^2 on a grid, for all members."""
    grid = splitter(t, n)
    return grid.power(grid.split(error(net, t)).gauge)


def order_missed(pair, seeds):
    """How far the order is from four, the worse of two nets per seed."""
    ratios = [remainder(nets[k], 64) / remainder(nets[k], 128) for k in pair]
    off = (torch.stack(ratios).log2() - 4).abs().amax(0)
    return [off[k] for k in seeds]


# %% tags=["hide-input"]
remainder_slips = {
    "free nets": FREE,
    "free nets at the end": ("free", "free"),
    "early free nets": ("free, early", "free, early"),
}

# %% tags=["hide-input"]
remainder_claim = Claim(
    id="learned/remainder",
    says=r"What the split leaves of the errors of energy nets is the error "
    r"of the grid: it falls with the fourth power of the width of the cells "
    r"($64^2$ and $128^2$ cells, $\sigma = 0.5$; ten nets).",
    papers=("041",),
    kind="trained",
    formula=("energy", "energy, early"),
    controls=remainder_slips,
    tol=0.5,
    because="the next term of the error is of order h^6; set after measuring",
    measure=order_missed,
    scale="the order does not depend on a factor",
    seeds=SEEDS,
    n=128 * 128,
)
check(remainder_claim)

# %% [markdown]
r"""
Now the free nets. At the end of training about a seventh of their error is gauge. The
controls ask what other splits would say: the textbook's, without the weight $p$, would
call far more of the error harmless.
"""


# %%
def share(name):
    """G / T of five nets."""
    return G[name] / (G[name] + H[name])


def textbook(name):
    """The potentials and the share of the split without the weight."""
    phis, rests = [], []
    for t, flux in zip(levels.tolist(), splits[name][3], strict=True):
        grid = splitter(t)
        flat = fields.Splitter(
            law.log_prob, grid.n, 4.2 + 5.5 * t, lambda x, h: 1 + 0 * x[:, 0]
        )
        phis.append(flat.potential(flux))
        rests.append(grid.power(flux - grid.slope(phis[-1])))
    return phis, over_levels(torch.stack(rests, 1)) / (G[name] + H[name])


flat_phis, flat_share = textbook("free")


# %% tags=["hide-input"]
def share_missed(values, seeds):
    """|log(share / 0.15)|."""
    return [(values[k] / 0.15).log().abs() for k in seeds]


# %% tags=["hide-input"]
share_slips = {
    "the textbook's split, without the weight": flat_share,
    "the share of the gradient": 1 - share("free"),
    "early nets": share("free, early"),
}

# %% tags=["hide-input"]
share_claim = Claim(
    id="learned/shares",
    says="At the end of training $G/T$, the share of the gauge in the "
    "error, is between $0.11$ and $0.20$ for each of five free nets.",
    papers=("041", "069"),
    kind="trained",
    formula=share("free"),
    controls=share_slips,
    tol=0.3,
    because="set after measuring on ten nets, five of them with other seeds: "
    "0.13 to 0.18",
    measure=share_missed,
    scale=lambda v, e: v * (1 + 1000 * abs(e)),
    seeds=SEEDS,
    n=80 * 80,
)
check(share_claim)

# %% [markdown]
r"""
Early in training it was a thirtieth. Both parts fall, but at different rates. The first
thing that a net gets wrong is large and smooth, the modes are not there yet, and that is
a gradient. What is left at the end looks more like noise. To be fair: a noise that did
not know the law at all would be of both kinds alike.
"""


# %%
def outlived(part, seeds):
    """How much faster H falls than another part, nets paired by seed."""
    harm = H["free"] / H["free, early"]
    return [(harm / (part["free"] / part["free, early"]))[k] for k in seeds]


def both_parts():
    """H + G."""
    return {name: H[name] + G[name] for name in FREE}


# %% tags=["hide-input"]
outlived_slips = {
    "the gradient part falls as itself": H,
    "the whole error": both_parts(),
}

# %% tags=["hide-input"]
outlived_claim = Claim(
    id="learned/outlives",
    says=r"From 300 to 6,000 steps $H$ falls by a factor that is more than "
    r"twice that of $G$, for each of five pairs of free nets.",
    papers=("041", "069"),
    kind="trained",
    formula=G,
    controls=outlived_slips,
    tol=0.5,
    because="set after measuring on ten pairs: 0.11 to 0.27",
    measure=outlived,
    scale=lambda v, e: {
        k: u / (1 + 4000 * abs(e) * (k == "free")) for k, u in v.items()
    },
    seeds=SEEDS,
    n=80 * 80,
)
check(outlived_claim)

# %% [markdown]
r"""
## How far is the law of a net from the data?

The flow of a net is $dx/d\sigma = -\sigma \hat s$, and $q_\sigma$ the law that it carries
down from $q_{10} = p_{10}$. We want $\mathrm{KL}(p \,\|\, q)$ at the finest level,
$\sigma = 0.05$. [A sibling chapter](gauges.ipynb) derived that along the model's *own* path

$$
\delta(x) = \log \frac{p(x)}{q(x)} = \int \sigma\, ( \nabla \cdot e + e \cdot s )\, d\sigma ,
$$ (eq-learned-delta)

for every error $e$: the terms of the exact score have cancelled, so that nothing large is
left to be subtracted. The integrand vanishes where $e$ is a gauge. `solvers.flow` integrates
it with the path, in $u = \log\sigma$, in ten steps of Runge-Kutta's order four.
"""


# %% tags=["setup"]
def ride(rule, x, steps=STEPS):
    """log p/q at x; rule(x, t) -> the model's score, div e + e . s."""
    last = [None, None, None]

    def told_once(x, u):
        if last[0] is not x:  # the solver asks for both at the same points
            t = u.exp().clamp(max=HIGH)
            last[:] = x, *(-(t**2) * v for v in rule(x, t))
        return last

    clock = tables.uniform(math.log(LOW), math.log(HIGH), steps)
    _, delta = solvers.flow(
        tables.rk4(clock),
        lambda x, u: told_once(x, u)[1],
        x.expand(5, -1, -1),
        lambda x, u: -told_once(x, u)[2],
    )
    return delta


# %% tags=["setup"]
def whole(net):
    """The rule of a net as it is."""

    def rule(x, t):
        (hat, div), (s, div_s) = learned(net, x, t), told(x, t)
        return hat, div - div_s + ((hat - s) * s).sum(-1)

    return rule


# %% [markdown]
r"""
A formula that looks so convenient wants a second route: the model's log-density by the
change of variables, $\log q(x) = \log p_{10}(x_{10}) + \int \nabla \cdot F\, d\sigma$ with
the divergence of the drift $F = -\sigma \hat s$ by automatic differentiation, and $\log p$ of
the mixture. Both with forty steps, at four points, for all twenty nets.
"""

# %%
spots = law.blur(LOW**2).sample(4, shapes.rng(7))


@functools.cache
def part(div, along):
    """The integral of div e, or of e . s, for all nets."""

    def rule(net, x, t):
        (hat, div_hat), (s, div_s) = learned(net, x, t), told(x, t)
        rest = div * (div_hat - div_s) + along * ((hat - s) * s).sum(-1)
        return hat, rest

    every = [functools.partial(rule, net) for net in nets.values()]
    return torch.cat([ride(r, spots, 40) for r in every])


def by_rate(div=1.0, along=1.0, sign=1.0):
    """log p/q of all nets by the formula, with slips."""
    return sign * (div * part(1.0, 0.0) + along * part(0.0, 1.0))


# %%
@torch.no_grad()
def by_volume():
    """log p - log p_10(end) - the log-determinant, by autograd."""
    out, clock = [], tables.uniform(math.log(LOW), math.log(HIGH), 40)
    for net in nets.values():

        def drift(x, u, net=net):
            return x - net(x, u.exp().clamp(max=HIGH))

        x = spots.expand(5, -1, -1)
        end, volume = solvers.flow(tables.rk4(clock), drift, x)
        out.append(-law.blur(HIGH**2).log_prob(end) - volume)
    return torch.cat(out) + law.blur(LOW**2).log_prob(spots)


# %% tags=["hide-input"]
route_claim = Claim(
    id="learned/two-routes",
    says=r"$\log p - \log q = \int \sigma(\nabla \cdot e + e \cdot s)\, "
    r"d\sigma$ along the path of the net itself, by the change of variables "
    r"(four points, twenty nets, $\sigma$ from $0.05$ to $10$, forty steps).",
    papers=("041",),
    kind="exact",
    formula=by_rate(),
    controls={
        "the divergence alone": by_rate(along=0.0),
        "$e \\cdot s$ alone": by_rate(div=0.0),
        "the sign of $e \\cdot s$": by_rate(along=-1.0),
        "$\\log q - \\log p$": by_rate(sign=-1.0),
    },
    tol=9e-5,
    because="forty steps of order four; set after measuring",
    truth=by_volume(),
)
check(route_claim)

# %% [markdown]
r"""
For the mean over $p$ we do not draw points. In the plane a sum over a regular grid is far
better: 500 points with the weights $p$, the spacing being about the least width of a mode.
And since $\mathbb E_p[q/p] = 1$ we may add $q/p - 1$ to the integrand:

$$
\mathrm{KL}(p \,\|\, q) = \mathbb E_p\, \big[ \delta + e^{-\delta} - 1 \big] ,
$$ (eq-learned-kl)

which is never negative, point by point, and small where $\delta$ is small. A grid of half
the spacing changes the divergences by up to six per cent, a common factor for the most
part.
"""

# %% tags=["setup"]
axis = torch.arange(-20, 21, dtype=torch.float64) / 4
x0 = torch.cartesian_prod(axis, axis)
w0 = law.blur(LOW**2).log_prob(x0).exp()
x0, w0 = x0[w0 > 1e-5 * w0.max()], w0[w0 > 1e-5 * w0.max()]
w0 = w0 / w0.sum()


def divergence(delta):
    """KL(p | q) from log p/q at the points."""
    return (w0 * (delta + torch.expm1(-delta))).sum(-1)


deltas = {name: ride(whole(net), x0) for name, net in nets.items()}
KL = {name: divergence(delta) for name, delta in deltas.items()}

# %% [markdown]
r"""
At the end all ten nets are about a hundredth of a nat from the data, at 300 steps about a
tenth.
"""

# %% [markdown]
r"""
## What predicts the divergence?

For small errors the formula becomes linear. Since $\mathbb E_p[e^{-\delta}] = 1$, we have
$\mathbb E_p \delta = \frac12 \mathbb E_p \delta^2 + O(\delta^3)$, so the divergence is
$\frac12 \mathbb E_p \delta^2$ to leading order, or half the variance. And $\delta$ itself
is linear in $e$ but for the path, which is off by $O(e)$ from the exact one. Hence with
$x_\sigma$ the *exact* flow line through $x$

$$
\mathrm{KL} \approx \tfrac12 \operatorname{Var}_p \delta_1, \qquad
\delta_1(x) = \int \sigma\, ( \nabla \cdot e + e \cdot s )(x_\sigma)\, d\sigma .
$$ (eq-learned-first)

This says three things. The gauge does not enter at all, at first order. The gradient part
enters not by its size but by $\Delta\varphi + s \cdot \nabla\varphi$, a second derivative:
wiggles cost more than slopes. And errors at different levels on the same flow line *add*
before they are squared, so they may cancel or pile up. No weighted sum of squares over the
levels can know that; neither $T$ nor $H$ is $\mathrm{KL}$, whatever the weight is.

All nets share the exact paths, so that one sweep over the levels serves all:
"""

# %%
clock = tables.uniform(math.log(LOW), math.log(HIGH), 2 * STEPS)
track = solvers.solve(
    tables.rk4(clock),
    lambda x, u: -(u.exp() ** 2) * told(x, u.exp())[0],
    x0,
    keep=True,
)


def along(net):
    """div e, e . s and |e|^2 on the exact paths, each (5, n, levels)."""
    parts = []
    for x, t in zip(track, levels, strict=True):
        (hat, div), (s, div_s) = (
            learned(net, x.expand(5, -1, -1), t),
            told(x, t),
        )
        e = hat - s
        parts.append([div - div_s, (e * s).sum(-1), (e**2).sum(-1)])
    return [torch.stack(part, -1) for part in zip(*parts, strict=True)]


# %%
seen = {name: along(net) for name, net in nets.items()}
T = {
    name: (w0 * over_levels(square)).sum(-1)
    for name, (_, _, square) in seen.items()
}


def first(div=1.0, inner=1.0, half=0.5, power=2):
    """Half the variance of delta_1 for all nets, with slips."""
    out = {}
    for name, (spread, dot, _) in seen.items():
        rate = levels**power * (div * spread + inner * dot)
        delta = torch.trapezoid(rate, levels.log(), dim=-1)
        mean = (w0 * delta).sum(-1, keepdim=True)
        out[name] = half * (w0 * (delta - mean) ** 2).sum(-1)
    return out


# %% tags=["hide-input"]
def first_missed(values, seeds):
    """|log(first order / KL)|, the worse of two final nets per seed."""
    off = [(values[k] / KL[k]).log().abs() for k in ("free", "energy")]
    return [torch.stack(off).amax(0)[k] for k in seeds]


# %% tags=["hide-input"]
first_slips = {
    "without the half": first(half=1.0),
    "$e \\cdot s$ alone": first(div=0.0),
    "$\\sigma$ for $\\sigma\\, d\\sigma = \\sigma^2 du$": first(power=1),
}

# %% tags=["hide-input"]
first_claim = Claim(
    id="learned/first-order",
    says=r"$\frac12 \operatorname{Var}_p \int \sigma(\nabla \cdot e + e "
    r"\cdot s)\, d\sigma$ along exact flow lines is $\mathrm{KL}(p \| q)$ "
    "to within a fifth for each of ten nets at the end of training.",
    papers=("041", "069"),
    kind="trained",
    formula=first(),
    controls=first_slips,
    tol=0.2,
    because="set after measuring on twenty nets: 0.97 to 1.16",
    measure=first_missed,
    scale=lambda v, e: {k: u * (1 + 300 * abs(e)) for k, u in v.items()},
    seeds=SEEDS,
    n=len(x0),
)
check(first_claim)

# %% [markdown]
r"""
(The divergence of $e$ alone does nearly as well on these nets; nothing says that it must.)
At 300 steps, where the divergences are tenths, the first order overestimates them by a
fifth to two fifths. Now the question of the title: which number of the training predicts the
divergence? The usual way is a correlation of logarithms over all nets. It is close to one
for the loss, for its gradient part, and among the free nets for the *gauge* part too,
which we know to be idle: everything falls in training, and two heaps of points make a
line of anything. So look at the ratio of the divergence to its predictor. A predictor is
good if the ratio is the same for every net.
"""


# %%
def scatter(values, seeds):
    """Deviation of log(KL / value) over the nets, one seed left out."""
    logs = torch.stack([(KL[k] / values[k]).log() for k in nets])
    keep = [[j for j in seeds if j != k] for k in seeds]
    return [logs[:, others].flatten().std() for others in keep]


harm = {k: H[k] if k in FREE else T[k] for k in nets}

# %% tags=["hide-input"]
predictor_claim = Claim(
    id="learned/predictor",
    says=r"Over nets of four recipes the logarithm of $\mathrm{KL}$ over "
    r"$\frac12 \operatorname{Var}_p \delta_1$ has a deviation below 0.17, "
    r"whichever seed is left out; with the loss $T$, or its gradient part "
    r"$H$, below the line it is above 0.2.",
    papers=("041", "069"),
    kind="trained",
    formula=first(),
    controls={"the loss $T$": T, "its gradient part $H$": harm},
    tol=0.17,
    because="set after measuring on ten nets of each kind: 0.09 to 0.12",
    measure=scatter,
    scale=lambda v, e: {
        k: u * (1 + 500 * abs(e) * ("early" in k)) for k, u in v.items()
    },
    seeds=SEEDS,
    n=len(x0),
)
check(predictor_claim)

# %% [markdown]
r"""
An answer that we did not expect: to take the gauge out of the loss does *not* make it a
better predictor. In these nets it is too small a part to matter, and what is wrong with $H$
is something else: it adds squares where $\delta$ adds errors.
"""

# %% mystnb={"figure": {"caption": "The divergence of twenty nets from the data over three numbers that might predict it: the loss $T$, its gradient part $H$, and the first order. Full: at the end of training, open: early; circles: free nets, squares: energy nets.", "name": "fig-learned-predict"}, "image": {"alt": "Three columns of twenty marks each, on a vertical axis of ratios. In the first two columns the marks spread from 0.7 to 2, in four groups; in the third they lie close together, between 0.75 and 1."}}
figure, axes = figures.canvas(
    "Neither the loss nor its harmful part tells KL"
)
rows = (T, harm, first())
for i, values in enumerate(rows):
    for j, name in enumerate(nets):
        ratio = KL[name] / values[name]
        colour = figures.LEARNED if i == 2 else figures.WRONG
        face = "none" if "early" in name else colour
        spot = i + 0.12 * (j - 1.5) + 0 * ratio
        mark = "o" if "free" in name else "s"
        look = {"mec": colour, "mfc": face, "ms": 5}
        axes.plot(spot, ratio, mark, **look)
axes.axhline(1.0, color=figures.EXACT, lw=1)
axes.set_xticks([0, 1, 2], ["KL / $T$", "KL / $H$", "KL / first order"])
axes.set(xlim=(-0.6, 2.6), yscale="log", yticks=[0.5, 1, 2])
axes.set(ylim=(0.5, 2.3))
axes.set_yticklabels(["0.5", "1", "2"])
axes.minorticks_off()
plt.show()

# %% [markdown]
r"""
One more thing is in the first two columns. $T$ bounds the divergence of the *diffusion*,
but the flow has [no such bound](../interpolants/noise.ipynb): it loses the errors that the
diffusion forgets. For the energy nets at the end of training, which have less loss than
the free ones, the flow is beyond the bound in every case.
"""


# %% tags=["hide-input"]
def within(values, seeds):
    """The bound of the diffusion over the divergence of the flow."""
    return [(values["energy"] / KL["energy"])[k] for k in seeds]


# %% tags=["hide-input"]
bound_claim = Claim(
    id="learned/beyond",
    says="For each of five energy nets the divergence of the flow is "
    r"larger than $T = \frac12 \int \mathbb E_p|e|^2 d\tau$, which bounds "
    r"that of the diffusion with the same net: $T < 0.8\, \mathrm{KL}$.",
    papers=("041",),
    kind="trained",
    formula=T,
    controls={
        "without the half": {k: 2 * u for k, u in T.items()},
        "the first order": first(),
    },
    tol=0.8,
    because="set after measuring on ten nets: 0.51 to 0.68",
    measure=within,
    scale=lambda v, e: {k: u * (1 + 700 * abs(e)) for k, u in v.items()},
    seeds=SEEDS,
    n=len(x0),
)
check(bound_claim)

# %% [markdown]
r"""
## Does asymmetry see harm?

The curl of the learned score is that of the gauge part, since a gradient has none. So the
asymmetry of the Jacobian, which [is no measure of harm](helmholtz.ipynb) in theory, sees
exactly the idle part in practice. Here the two rankings are opposite: a free net at the end
of training against an early energy net. By the asymmetry, and by $G$, the early energy net
is perfect.
"""

# %%
cloud = law.blur(0.09).sample(400, shapes.rng(3)).expand(5, -1, -1)


def skew(net, t=0.3):
    """E |J - J'|^2 of the learned score at sigma = 0.3, each member."""
    J = fields.jacobian(lambda x, t: net(x, t), cloud, tensor(t)).detach()
    return ((J - J.mT) ** 2).sum((-1, -2)).mean(-1) / t**4


asymmetry = {name: skew(nets[name]) for name in ("free", "energy, early")}
idle = {name: remainder(nets[name], 72, 0.3) for name in asymmetry}


# %% tags=["hide-input"]
def ranked(values, seeds):
    """Free at the end over early energy, nets paired by seed."""
    return [(values["free"] / values["energy, early"])[k] for k in seeds]


# %% tags=["hide-input"]
ranked_slips = {
    "the asymmetry $\\mathbb E|J - J^\\top|^2$": asymmetry,
    "the gauge part at $\\sigma = 0.3$, on the grid": idle,
}

# %% tags=["hide-input"]
ranked_claim = Claim(
    id="learned/asymmetry",
    says="A free net at the end of training is five times nearer to the "
    r"data than an early energy net, in $\mathrm{KL}$, for each of five "
    "pairs; the asymmetry of the Jacobian says the opposite.",
    papers=("041", "069"),
    kind="trained",
    formula=KL,
    controls=ranked_slips,
    tol=0.2,
    because="set after measuring on ten pairs: 0.07 to 0.15",
    measure=ranked,
    scale=lambda v, e: {
        k: u * (1 + 2000 * abs(e) * (k == "free")) for k, u in v.items()
    },
    seeds=SEEDS,
    n=len(x0),
)
check(ranked_claim)

# %% [markdown]
r"""
## What does the gauge do?

Correlations did not say; an experiment does. Take the gauge out of a net: sample with
$s + \nabla\varphi$. And take everything else out: sample with $s + r$. By
[the theory](helmholtz.ipynb) the second has no error at all, and the first has the same
$\delta_1$ as the net. Between the cells of the grid, $\varphi$ is a bicubic spline, with its
gradient and Laplacian; the levels are those at which the solver asks.
"""


# %%
def spline(phis):
    """(level, x) -> gradient and Laplacian of the potentials, (5, n, ...)."""
    table = []
    for t, phi in zip(levels.tolist(), phis, strict=True):
        at = splitter(t).cells[:, 0, 0].numpy()
        table.append([RectBivariateSpline(at, at, u) for u in phi.numpy()])

    def slopes(x, t):
        level = int((levels - t).abs().argmin())
        five = zip(table[level], x.numpy(), strict=True)
        out = [[f.ev(*y.T, i, j) for i, j in ORDERS] for f, y in five]
        dx, dy, dxx, dyy = tensor(np.array(out)).unbind(1)
        return torch.stack([dx, dy], -1), dxx + dyy

    return slopes


ORDERS = (1, 0), (0, 1), (2, 0), (0, 2)


# %%
def without_gauge(net, slopes):
    """The rule of s + grad phi."""

    def rule(x, t):
        s, (grad, lap) = told(x, t)[0], slopes(x, t)
        return s + grad, lap + (grad * s).sum(-1)

    return rule


def gauge_alone(net, slopes):
    """The rule of s + r, r = e - grad phi."""

    def rule(x, t):
        (hat, rate), (grad, lap) = whole(net)(x, t), slopes(x, t)
        return hat - grad, rate - lap - (grad * told(x, t)[0]).sum(-1)

    return rule


# %%
curves = {name: spline(splits[name][0]) for name in FREE}


def kept(rule, name, slopes=None):
    """KL with a part of the error over KL with all of it."""
    slopes = slopes or curves[name]
    return divergence(ride(rule(nets[name], slopes), x0)) / KL[name]


removed = {name: kept(without_gauge, name) for name in FREE}
alone = {name: kept(gauge_alone, name) for name in FREE}

# %% [markdown]
r"""
The control makes both experiments with the textbook's decomposition, which has no weight
$p$: a field free of divergence is not a gauge.
"""


# %%
unweighted = spline(flat_phis)

# %% tags=["hide-input"]
removed_slips = {
    "the gradient part removed in its stead": alone,
    "the textbook's gauge removed": {
        "free": kept(without_gauge, "free", unweighted),
        "free, early": removed["free, early"],
    },
}

# %% tags=["hide-input"]
removed_claim = Claim(
    id="learned/removed",
    says=r"Without the gauge part of its error, as $s + \nabla\varphi$, "
    r"each of ten free nets has the same $\mathrm{KL}$ as with it, to "
    "within a seventh.",
    papers=("041", "069"),
    kind="trained",
    formula=removed,
    controls=removed_slips,
    tol=0.15,
    because="what the grid adds, 2 to 9 %, the more the coarser it is; set "
    "after measuring on twenty nets",
    measure=lambda v, seeds: [
        max(abs(math.log(v[name][k])) for name in FREE) for k in seeds
    ],
    scale=lambda v, e: {k: u * (1 + 300 * abs(e)) for k, u in v.items()},
    seeds=SEEDS,
    n=len(x0),
)
check(removed_claim)

# %% tags=["hide-input"]
alone_slips = {
    "the gradient part alone": removed,
    "the textbook's gauge alone": {
        "free": kept(gauge_alone, "free", unweighted),
        "free, early": alone["free, early"],
    },
}

# %% tags=["hide-input"]
alone_claim = Claim(
    id="learned/gauge-alone",
    says=r"With nothing but the gauge part of its error, as $s + r$, each of "
    r"ten free nets has less than a fiftieth of its $\mathrm{KL}$ left.",
    papers=("041", "069"),
    kind="trained",
    formula=alone,
    controls=alone_slips,
    tol=0.02,
    because="the error of the grid, whose square falls with the fourth power "
    "of the width of the cells; set after measuring on twenty nets",
    measure=lambda v, seeds: [
        max(v[name][k] for name in FREE) for k in seeds
    ],
    scale="the right value is zero",
    seeds=SEEDS,
    n=len(x0),
)
check(alone_claim)

# %% mystnb={"figure": {"caption": "The divergence of ten free nets, with their whole error, without the gauge part, and with the gauge part alone. What is left at the right is the error of the grid.", "name": "fig-learned-causal"}, "image": {"alt": "Ten lines over three stations on a logarithmic axis. Five start at a tenth, five at a hundredth. All are level from the first station to the second, and fall by a factor of a hundred or more to the third, where the lines are dashed."}}
figure, axes = figures.canvas("A trained gauge is idle")
for name, colour in zip(FREE, (figures.LEARNED, figures.WRONG), strict=True):
    lines = torch.stack([0 * KL[name] + 1, removed[name], alone[name]])
    lines = (lines * KL[name]).numpy()
    axes.semilogy([0, 1], lines[:2], "o-", color=colour, ms=4, lw=1)
    axes.semilogy([1, 2], lines[1:], "o--", color=colour, ms=4, lw=0.6)
figures.label_line(axes, -0.42, 0.13, "early", figures.WRONG)
figures.label_line(axes, -0.42, 0.009, "at the end", figures.LEARNED)
axes.set_xticks([0, 1, 2], ["the net", "gauge removed", "gauge alone"])
axes.set(xlim=(-0.5, 2.2), ylabel="KL in nats")
plt.show()

# %% [markdown]
r"""
The gauge changes the paths, and the paths change where the gradient part is met; but that
is of second order, and we do not see it beside the error of the grid. With finer grids both
numbers go to one and to zero: at $128^2$ cells, tried once on the five final nets, they were
within three per cent and below a thousandth.

## Can samples tell?

Nobody who trains has $p$ on a grid. The [test with gradients](gauges.ipynb),
$\mathbb E_p[\nabla\psi \cdot \hat s + \Delta\psi] = \mathbb E_p[\nabla\psi \cdot \nabla\varphi]$,
needs only samples of $p$ and the net. We run the eight tests of that chapter, six waves and
two quadratics, with 20,000 samples at $\sigma = 0.3$ on all twenty nets.
"""

# %%
knots = tensor(
    [[1, 0.3], [-0.4, 0.9], [0.7, -1.1], [1.5, 1], [0.5, -0.2], [0.2, 1.4]]
)
phases = tensor([0.0, 1.0, 2.0, 0.5, 1.5, 2.5])
drawn = law.blur(0.3**2).sample(20_000, shapes.rng(3))


def tests(x):
    """Gradients (8, n, 2) and Laplacians (8, n)."""
    u = (x @ knots.mT + phases).mT
    grads = u.cos().unsqueeze(-1) * knots.unsqueeze(1)
    laps = -u.sin() * (knots**2).sum(1, keepdim=True)
    flat = 0 * u[:1]
    grads = torch.cat([grads, x.unsqueeze(0), x.flip(-1).unsqueeze(0)])
    return grads, torch.cat([laps, flat + 2, flat])


# %%
def loudest(score):
    """The largest |z| of eight tests for a score at the samples (5, n, 2)."""
    grads, laps = tests(drawn)
    each = torch.einsum("tni,kni->tkn", grads, score) + laps.unsqueeze(1)
    z = each.mean(-1) / each.std(-1) * len(drawn) ** 0.5
    return z.abs().amax(0)


exact = told(drawn, 0.3)[0]
errors = {name: error(net, 0.3)(drawn) for name, net in nets.items()}
alarm = {name: loudest(exact + e) for name, e in errors.items()}

# %% tags=["hide-input"]
samples_claim = Claim(
    id="learned/samples",
    says=r"With 20,000 samples and eight tests at $\sigma = 0.3$ none of "
    "the ten nets at the end of training fails at six standard errors, "
    "free or energy; early free nets all fail.",
    papers=("041",),
    kind="trained",
    formula=torch.maximum(alarm["free"], alarm["energy"]),
    controls={"early free nets": alarm["free, early"]},
    tol=6.0,
    because="the bound of the test; measured on twenty nets: up to 3",
    measure=lambda z, seeds: [z[k] for k in seeds],
    scale="a test either fails or does not",
    seeds=SEEDS,
    n=len(drawn),
)
check(samples_claim)

# %% [markdown]
r"""
So the test sees the harm of the early nets, and not that of the final ones, which is ten times
smaller in divergence. That is a matter of *which* test: an error is seen through the
functions that resemble its potential. The best test is the potential itself, which we
happen to know. It has
$\mathbb E_p[\nabla\varphi \cdot \hat s + \Delta\varphi] = \mathbb E_p|\nabla\varphi|^2$:
"""


# %%
MANY = 80_000


def own_test(name, fault=1.0):
    """z-scores of each net in the test with its own potential."""
    t = float(levels[int((levels - 0.3).abs().argmin())])
    x = law.blur(t * t).sample(MANY, shapes.rng(6)).expand(5, -1, -1)
    grad, lap = curves[name](x, t)
    hat = told(x, t)[0] + fault * error(nets[name], t)(x[0])
    each = (grad * hat).sum(-1) + lap
    return each.mean(-1) / each.std(-1) * MANY**0.5


# %% tags=["hide-input"]
own_claim = Claim(
    id="learned/own-test",
    says=r"Tested with the potential $\varphi$ of its own error and 80,000 "
    "samples, each of the five final free nets is at least four standard "
    "errors off; the exact score is not.",
    papers=("041",),
    kind="trained",
    formula=own_test("free"),
    controls={"the exact score": own_test("free", fault=0.0)},
    tol=0.25,
    because="set after measuring on ten nets: 0.09 to 0.11",
    measure=lambda z, seeds: [1 / z[k].abs() for k in seeds],
    scale="a test either fails or does not",
    seeds=SEEDS,
    n=MANY,
)
check(own_claim)

# %% [markdown]
r"""
## How much motion does the gauge waste?

The flow of score matching is [a descent](descent.ipynb): in the time $\tau = \sigma^2$ the
velocity $-\frac12 s$ moves the law with the least kinetic energy, and a gauge is motion for
nothing. The action of the exact flow is
$\int \mathbb E_p|\frac12 s|^2\, d\tau = \frac12 \int \sigma^2\, \mathbb E_p|s|^2\, du$, and by
Pythagoras a net with a gauge $r$ has $\frac12 \int \sigma^2\, \mathbb E_p|r|^2\, du = \frac12 G$
more than the same net without it. So $G$ over the integral for $s$ is the share that is
wasted:
"""

# %%
motion = over_levels(
    torch.stack(
        [
            splitter(t).power(
                splitter(t).across(lambda x, t=t: told(x, t)[0])
            )
            for t in levels.tolist()
        ]
    )
)


# %% tags=["hide-input"]
motion_slips = {
    "early nets": G["free, early"],
    "the gradient part": H["free"],
}

# %% tags=["hide-input"]
motion_claim = Claim(
    id="learned/motion",
    says="At the end of training the gauge of each of five free nets "
    "wastes less than 0.4 parts in a thousand of the kinetic energy of the "
    r"exact flow, in the time $\tau = \sigma^2$.",
    papers=("069",),
    kind="trained",
    formula=G["free"],
    controls=motion_slips,
    tol=0.4,
    because="parts in a thousand; set after measuring on ten nets: 0.17 to "
    "0.26",
    measure=lambda value, seeds: [(1e3 * value / motion)[k] for k in seeds],
    scale=lambda v, e: v * (1 + 3000 * abs(e)),
    seeds=SEEDS,
    n=80 * 80,
)
check(motion_claim)

# %% [markdown]
r"""
## Is a gradient the better net?

An energy net has no gauge, so it should have less to learn. After 300 steps its loss is
about half of that of a free net. At the end the advantage is small, and in divergence there
is none.
"""

# %% tags=["hide-input"]
steps_claim = Claim(
    id="learned/steps",
    says="After 300 steps the loss $T$ of an energy net is below 0.7 of "
    "that of a free net with the same seed, for each of five pairs.",
    papers=("041",),
    kind="trained",
    formula=T["energy, early"],
    controls={"the free nets themselves": T["free, early"]},
    tol=0.7,
    because="set after measuring on ten pairs: 0.39 to 0.57",
    measure=lambda value, seeds: [
        (value / T["free, early"])[k] for k in seeds
    ],
    scale=lambda v, e: v * (1 + 1200 * abs(e)),
    seeds=SEEDS,
    n=len(x0),
)
check(steps_claim)

# %% [markdown]
r"""
*At equal steps*, that is. A step of an energy net takes about twice as long, and a free net
that is given the same time is ahead again: `manifolds/equal-cost` has this
comparison on a sphere.

## Break it

- In `learned/shares` give `textbook` the right weight, without its last argument. The
control is no longer one.
- In `learned/gauge-alone` take coarser levels, `STEPS = 4`. The gauge seems to do harm,
which is the error of the solver.
- In `learned/samples` move the noise to $\sigma = 3$. No net fails, not even an early one:
there is little to be wrong about.

## What this does not show

Twenty nets of one size, in one world, in the plane, behind one preconditioning, fed with
fresh data in every step. That the gauge part of a large network is as small is not shown;
what is shown is that it was idle here, whatever its size. We found that the first to go is
the gradient part, and offer no theory of it. The test with the own potential needs the
exact score, and is no tool. Where data are few and learnt by heart, the error is of
another kind.

## Exercises

**1.** A net's error has at one level $\mathbb E_p|e|^2$ = `total`, of which the share `gauge`
is a gauge. By how much would the denoising loss of the *denoiser*,
$\mathbb E|\hat D - x_0|^2$, fall if only the gauge were removed? Write it as a function of
`total`, `gauge`, `sigma`.
"""

# %%
parts_of = {
    "total": tensor([0.4, 2.0, 0.1]),
    "gauge": tensor([0.1, 0.25, 0.9]),
    "sigma": tensor([0.5, 1.5, 2.0]),
}


# %%
def saved_truth(total, gauge, sigma):
    """By a linear gauge and a gradient on N(0, I), and their losses."""
    out = []
    for E, share_of, t in zip(total, gauge, sigma, strict=True):
        v = 1 + t**2  # the variance of x, x0 standard normal in the plane
        turn = (E * share_of / (2 * v)).sqrt()  # r = turn J x
        pull = (E * (1 - share_of) / (2 * v)).sqrt()  # grad = pull x
        losses = []
        for c in (turn, 0.0):
            # D = x / v + t^2 (pull + c J) x;  |D - x0|^2 with x = x0 + t z
            a = 1 / v + t**2 * pull
            b = t**2 * c
            losses.append(2 * ((a - 1) ** 2 + b**2 + t**2 * (a**2 + b**2)))
        out.append(losses[0] - losses[1])
    return torch.stack(out)


# %% tags=["hide-input"]
saved_wrongs = {
    "that is the loss of the score; D = x + sigma^2 s": (
        lambda total, gauge, sigma: gauge * total
    ),
    "squared errors scale with sigma^4": lambda total, gauge, sigma: (
        sigma**2 * gauge * total
    ),
    "this is what remains": lambda total, gauge, sigma: (
        sigma**4 * (1 - gauge) * total
    ),
    "nothing: a gauge does no harm to the law, but it costs loss": (
        lambda total, gauge, sigma: 0 * total
    ),
}

# %% tags=["hide-input"]
saved_exercise = Claim(
    id="learned/saved-exercise",
    says="the fall of the denoising loss when the gauge is removed",
    papers=("041",),
    kind="exact",
    formula=None,
    controls=saved_wrongs,
    tol=1e-12,
    because="float64",
    at=parts_of,
    truth=saved_truth,
)


# %% tags=["solution", "hide-cell"]
def saved(total, gauge, sigma):
    """D' - D = sigma^2 r, orthogonal to the rest."""
    return sigma**4 * gauge * total


# %%
attempt(saved_exercise, saved)

# %% [markdown]
r"""
**2.** *Derive.* One dimension, data $\mathcal N(0, \lambda)$, a net with $\hat s = (1 + c)\, s$
at all levels from $\sigma_0$ to $\sigma_1$, $c$ small. What is $\mathrm{KL}(p \| q)$ at
$\sigma_0$ to second order in $c$? With $V_i = \lambda + \sigma_i^2$ write it as a function
of `c`, `V0`, `V1`. ([First order](#eq-learned-first): the exact line through $x$ is
$x \sqrt{V/V_0}$.)
"""

# %%
scaled_nets = {
    "c": tensor([1e-5, -1e-5, 2e-5]),
    "V0": tensor([0.5, 1.0, 0.2]),
    "V1": tensor([9.0, 4.0, 50.0]),
}


def scaled_truth(c, V0, V1):
    """KL of two Gaussians: the flow ends with V1 (V0 / V1)^(1 + c)."""
    grow = c * (V0 / V1).log()  # log of the variance ratio q / p
    return (torch.expm1(-grow) + grow) / 2


# %% tags=["hide-input"]
scaled_wrongs = {
    "half of it: KL is half the variance": lambda c, V0, V1: (
        c**2 * (V1 / V0).log() ** 2 / 2
    ),
    "Var x^2 = 2 V^2, not V^2": lambda c, V0, V1: (
        c**2 * (V1 / V0).log() ** 2 / 8
    ),
    "errors add before they are squared": lambda c, V0, V1: (
        c**2 * (V1 / V0).log() / 4
    ),
    "the variance is V, d tau = dV": lambda c, V0, V1: (
        c**2 * (V1 - V0) ** 2 / 4
    ),
}

# %% tags=["hide-input"]
scaled_exercise = Claim(
    id="learned/scaled-exercise",
    says="the divergence of a scaled score, to second order",
    papers=("041",),
    kind="exact",
    formula=None,
    controls=scaled_wrongs,
    tol=9e-5,
    because="the next order in c, 1e-5 times a logarithm; and rounding",
    at=scaled_nets,
    truth=scaled_truth,
)


# %% tags=["solution", "hide-cell"]
def scaled_divergence(c, V0, V1):
    """delta_1 = c/2 log(V1/V0) (x^2/V0 - 1); half its variance."""
    return c**2 * (V1 / V0).log() ** 2 / 4


# %%
attempt(scaled_exercise, scaled_divergence)

# %% [markdown]
r"""
**3.** *Extend.* Write a function that returns $\mathbb E_p|r|^2 / \mathbb E_p|e|^2$, the share
of the gauge, of a field `e` (a function of points `(m, 2)`) on a grid: use
`fields.Splitter(log_p, n, half)`, its `split` and its `power`. Then give it errors of your
own. Is there one that is more than half a gauge?
"""

# %%
at_half = law.blur(0.25)


def pushed(x):
    """A gradient and a rotation."""
    turn = torch.stack([-x[..., 1], x[..., 0]], -1)
    return torch.sin(x) + 0.5 * turn


def share_truth(e, log_p, n, half):
    """By least squares on the differences, written out with numpy."""
    grid = fields.Splitter(log_p, n, half)
    flux, weight = grid.across(e).numpy(), grid.weights.numpy()
    rows = grid.slope(torch.eye(n * n).double().view(-1, n, n)).numpy().T
    root = np.sqrt(weight)
    best = np.linalg.lstsq(root[:, None] * rows, root * flux, rcond=None)[0]
    rest = flux - rows @ best
    return tensor((weight * rest**2).sum() / (weight * flux**2).sum())


# %% tags=["hide-input"]
def share_by(rule):
    """An answer from the two parts."""

    def answer(e, log_p, n, half):
        grid = fields.Splitter(log_p, n, half)
        return rule(grid, grid.split(e))

    return answer


# %% tags=["hide-input"]
share_wrongs = {
    "this is the share of the gradient": share_by(
        lambda g, p: g.power(p.gradient) / g.power(p.gradient + p.gauge)
    ),
    "the whole is gradient plus gauge": share_by(
        lambda g, p: g.power(p.gauge) / g.power(p.gradient)
    ),
    "squares are asked for, not roots": share_by(
        lambda g, p: (g.power(p.gauge) / g.power(p.gradient + p.gauge)).sqrt()
    ),
    "means over p: use power, which has the weights": share_by(
        lambda g, p: (p.gauge**2).sum() / ((p.gradient + p.gauge) ** 2).sum()
    ),
}

# %% tags=["hide-input"]
share_exercise = Claim(
    id="learned/share-exercise",
    says="the share of the gauge in a field",
    papers=("041",),
    kind="exact",
    formula=None,
    controls=share_wrongs,
    tol=1e-8,
    because="least squares in float64, weights over many decades",
    at=(pushed, at_half.log_prob, 16, 3.0),
    truth=share_truth,
)


# %% tags=["solution", "hide-cell"]
def gauge_share(e, log_p, n, half):
    """The power of the gauge over that of both."""
    grid = fields.Splitter(log_p, n, half)
    parts = grid.split(e)
    return grid.power(parts.gauge) / grid.power(sum(parts))


# %%
attempt(share_exercise, gauge_share)

# %% [markdown]
r"""
## Summary

| question | answer |
|---|---|
| what is the error made of? | mostly gradient; the gauge's share grows as training goes on |
| what gives the divergence? | $\frac12 \operatorname{Var}_p \int \sigma (\nabla\cdot e + e \cdot s)\, d\sigma$; no gauge in it |
| what predicts it? | that number; neither the loss nor its gradient part |
| the gauge taken out | same divergence; alone it has almost none |
| can samples tell? | an early net, yes; a finished one only with the right function |

**Where next.** [Dimension](dimension.ipynb), the one thing for which a gauge was said to
matter.
"""
