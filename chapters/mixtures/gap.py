# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# The exact score never hallucinates; few steps do

Give a sampler the exact score. Does it still put samples between the modes, where
no data are? Run without end, it does not. Run in finitely many steps, it does, and on
the line we can say how many without drawing one. So before a network is blamed, this
is what has to be taken off the bill.

- **You need** the [probability flow](../gaussian/reverse.ipynb), DDIM and DDPM as in
[the notation](../start/notation.ipynb), and
[how to read a claim](../start/reading.ipynb).
- **You get** the share of a gap under the exact flow, under any number of steps, with
and without noise; the law by which it falls; and what folds a sampler's map.
- **Paper** 024, Aithal, Maini, Lipton and Kolter {cite}`aithal2024hallucinations`.
- **Claims** on two and three modes on the line, all named `gap/...`.
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
The imports, once for the whole chapter, and short names for tensors of numbers:
"""

# %% tags=["setup"]
import functools
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy import integrate, interpolate, optimize, stats

# %% tags=["setup"]
from diffkit import figures, laws, paths, solvers, tables, worlds
from diffkit.claims import Claim, attempt, check

tensor = functools.partial(torch.tensor, dtype=torch.float64)
even = functools.partial(torch.linspace, dtype=torch.float64)

# %% [markdown]
r"""
There are two worlds. The **paper's** has three equal modes at 1, 2 and 3, of standard
deviation 0.05. The **pair** has two, at $-1$ and $1$, of standard deviation 0.1: one gap
of the paper, twice as large, and with the symmetry that makes formulas short.
"""

# %% tags=["setup"]
paper = laws.mixture(tensor([[1.0], [2.0], [3.0]]), 0.05**2)
pair = laws.mixture(tensor([[-1.0], [1.0]]), 0.1**2)
edm, chain = paths.edm(), paths.vp(1.0, 200.0)
three, two = worlds.World(edm, paper), worlds.World(edm, pair)

# %% [markdown]
r"""
## What is a gap, and what is a share?

Let two neighbouring modes have means $\mu_1 < \mu_2$ and standard deviations $s_1$,
$s_2$. Their **gap** of depth $k$ is the interval

$$
(a, b) = (\mu_1 + k s_1,\ \mu_2 - k s_2),
$$ (eq-gap-interval)

if $a < b$; else there is none. We take $k = 6$, so the paper's gaps are $(1.3, 1.7)$ and
$(2.3, 2.7)$, and that of the pair is $(-0.4, 0.4)$. The **share** of a law or of a
sampler is the mass that it has in a gap. For a mixture with weights $w_i$

$$
P(a < x < b) = \sum_i w_i \left[ \Phi\Big( \frac{b - \mu_i}{s_i} \Big)
- \Phi\Big( \frac{a - \mu_i}{s_i} \Big) \right] ,
$$ (eq-gap-share)

where $\Phi$ is the normal distribution function. With $k = 6$ nearly all of it is
$(w_1 + w_2)\, \Phi(-6)$, one tail of each neighbour. It is small and it is not zero. This
is the amount that a perfect sampler has to show, and "no hallucination" means no more.

Another definition asks for the density: a sample is a *hallucination* where the true
density is below a level $\epsilon$. At the gap's ends the density is
$\epsilon = w_1 \varphi(k) / s_1$ and $w_2 \varphi(k) / s_2$, up to the far tail of the
other modes. If the two agree, the gap is the set between the modes where the density is
below $\epsilon$; but the set of all such points has two more pieces, beyond the outermost
modes. We come back to them.

In floating point the bracket needs care: left of a mode both values of $\Phi$ are
small and their difference keeps its digits, right of it both are near 1 and it does
not. There we use $\Phi(-u) - \Phi(-v)$ for $\Phi(v) - \Phi(u)$. And $\Phi$ has to come
from the complementary error function: `torch.special.ndtr` takes it from
$1 + \operatorname{erf}$, which has nothing left where $\Phi$ is below $10^{-16}$.
"""

# %% tags=["setup"]
cases = (  # means, sds, weights, a gap
    ((1.0, 2.0, 3.0), (0.05, 0.05, 0.05), (1 / 3, 1 / 3, 1 / 3), (1.3, 1.7)),
    ((-1.0, 1.0), (0.1, 0.1), (0.5, 0.5), (-0.4, 0.4)),
    ((0.0, 2.0), (0.2, 0.1), (0.9, 0.1), (1.2, 1.4)),
)


def below(u):
    """Phi(u), with all digits where it is small."""
    return torch.erfc(-u / math.sqrt(2)) / 2


def share(m, s, w, gap, tails=True):
    """The mass of a mixture in a gap, each part from its smaller tail."""
    m, s, w = tensor(m), tensor(s), tensor(w)
    low, high = (gap[0] - m) / s, (gap[1] - m) / s
    flip = (low > 0) & tails
    start, end = torch.where(flip, -high, low), torch.where(flip, -low, high)
    return (w * (below(end) - below(start))).sum()


# %%
@functools.cache
def share_by_quad(m, s, w, gap):
    """The same by scipy, from the density."""

    def density(x):
        parts = zip(m, s, w, strict=True)
        return sum(v * stats.norm.pdf(x, mu, sd) for mu, sd, v in parts)

    ends = np.linspace(*gap, 5)
    pieces = zip(ends[:-1], ends[1:], strict=True)
    how = {"epsabs": 0, "epsrel": 1e-12}
    return sum(integrate.quad(density, *p, **how)[0] for p in pieces)


def middling(m, s, w, gap):
    """The density in the middle of the gap, times its width."""
    c = sum(gap) / 2
    parts = zip(m, s, w, strict=True)
    p = sum(v * stats.norm.pdf(c, mu, sd) for mu, sd, v in parts)
    return p * (gap[1] - gap[0])


# %% tags=["hide-input"]
def over_cases(f):
    """The logarithms of a share in all cases."""
    return lambda: tensor([float(f(*case)) for case in cases]).log()


share_slips = {
    "one neighbour alone": over_cases(
        lambda m, s, w, g: share(m[:1], s[:1], w[:1], g)
    ),
    "no weights": over_cases(
        lambda m, s, w, g: share(m, s, len(m) * (1.0,), g)
    ),
    "the larger tails": over_cases(lambda *c: share(*c, tails=False)),
    "the density in the middle, times the width": over_cases(middling),
}

# %% tags=["hide-input"]
share_claim = Claim(
    id="gap/share",
    says=r"A mixture of normals has the mass $\sum_i w_i [\Phi((b - \mu_i)/"
    r"s_i) - \Phi((a - \mu_i)/s_i)]$ in a gap $(a, b)$, to all digits if "
    r"the smaller tails are taken (the paper's three modes, the pair, two "
    r"modes of unequal weight and width; compared in logarithms).",
    papers=("024",),
    kind="exact",
    formula=over_cases(share),
    controls=share_slips,
    tol=1e-13,
    because="float64, and quadrature to twelve digits",
    truth=over_cases(share_by_quad),
)
check(share_claim)

# %% [markdown]
r"""
## Why does the exact flow put nothing there?

On the path $x_t = a\, x_0 + g\, z$ let $\sigma = g/a$ be the noise-to-signal ratio and
$y = x_t / a$. Then $y = x_0 + \sigma z$, and all that follows may be done in $y$ and
$\sigma$, whatever the path. Assume that the modes have a positive width or $\sigma > 0$,
so that $y$ has a smooth positive density $p_\sigma$. The probability flow is

$$
\frac{dy}{d\sigma} = u(y, \sigma) = \frac{y - D(y, \sigma)}{\sigma}
= -\sigma\, \partial_y \log p_\sigma(y), \qquad D = \mathbb E[x_0 \mid y] .
$$ (eq-gap-flow)

For a mixture of modes $\mathcal N(\mu_i, s^2)$ write $v = s^2 + \sigma^2$ and let
$\bar\mu$ and $\operatorname{Var}\mu$ be mean and variance of the means under the weights
of the modes given $y$ (how these decide is told [next door](deciding.ipynb)). Then
$u = \sigma (y - \bar\mu)/v$, which is fine at $\sigma = 0$ as well. Since
$\partial_y \bar\mu = \operatorname{Var}\mu / v$,
$\partial_y u = \sigma (1 - \operatorname{Var}\mu / v)/v$.

**Flow lines do not cross.** $u$ is smooth in $y$, so through each point goes one line.
On the line that settles everything. Let $F_\sigma$ be the distribution function of
$p_\sigma$. The continuity equation $\partial_\sigma p = -\partial_y (u p)$, integrated
from $-\infty$, where $u p$ vanishes, is $\partial_\sigma F = -u p$. So along a flow line

$$
\frac{d}{d\sigma} F_\sigma(y_\sigma) = \partial_\sigma F + p\, u = -u p + p u = 0 .
$$ (eq-gap-constant)

**Each point keeps its quantile.** The flow from noise to data is the map
$F_0^{-1} \circ F_\sigma$; started from $p_\sigma$ it makes $p_0$, and the share of a gap
is the mixture's own, to the last digit. There is no hallucination beyond
[the truth](#eq-gap-share).

The [reverse SDE](../gaussian/reverse.ipynb) has the same laws $p_\sigma$ at all levels,
so the same holds for it, though its points do not keep their quantiles.

To measure this, carry points of the gap up to $\sigma_T = 80$, together with the
logarithm $\ell$ of how far the flow spreads their neighbours, $\ell = \int \partial_y u\,
d\sigma$. What the flow from $p_T$ puts into the gap is
$\int_a^b p_T(y_T(x))\, e^{\ell(x)} dx$. (Reading it off the two ends alone would
lose seven digits: at $\sigma_T$ the whole gap is some $10^{-7}$ wide.)
"""


# %%
def weighed(y, t):
    """v, the mean and the variance of the means, given y, for the paper."""
    m, v = paper.means.squeeze(1), 0.05**2 + t**2
    r = (-((y - m) ** 2) / (2 * v)).softmax(-1)
    mean = (r * m).sum(-1, keepdim=True)
    return v, mean, (r * (m - mean) ** 2).sum(-1)


def speed(y, t):
    """u = sigma (y - mean) / v."""
    v, mean, _ = weighed(y, t)
    return t * (y - mean) / v


def spreading(y, t):
    """The derivative of u in y."""
    v, _, var = weighed(y, t)
    return t * (1 - var / v) / v


# %%
gap, wT = solvers.panels(tensor([1.3, 1.5, 1.7]), 12)
gap, top, pT = gap.unsqueeze(1), tensor(80.0), three.law(tensor(80.0))
truth = laws.mass(paper, 1.3, 1.7)
adaptive = solvers.Adaptive(0, 80.0, rtol=4e-11, atol=1e-13)
carried, spread = solvers.flow(adaptive, speed, gap, div=spreading)


def kept(run):
    """How far share and quantiles are from the truth, given y_T and l."""
    y, ell = run
    found = (pT.log_prob(y) + ell).exp() @ wT
    moved = laws.cdf(pT, y) - laws.cdf(paper, gap)
    return max(abs(found / truth - 1), moved.abs().max())


# %% tags=["hide-input"]
def one_gaussian():
    """The flow of the normal law with the same mean and variance."""
    m, V = paper.mean(), paper.cov().squeeze()
    grow = ((V + top**2) / V).sqrt()
    return m + (gap - m) * grow, grow.log().expand(len(gap))


# %% tags=["hide-input"]
flow_claim = Claim(
    id="gap/flow",
    says=r"Along the exact probability flow $F_\sigma(y_\sigma)$ is "
    r"constant, and the flow from $p_T$ puts into a gap the mixture's own "
    r"mass: to $10^{-9}$ of a share that is itself below $10^{-9}$ (three "
    r"modes, $(1.3, 1.7)$, from $\sigma = 80$ to $0$).",
    papers=("024",),
    kind="exact",
    formula=(carried, spread),
    controls={
        "the density carried unchanged": (carried, 0 * spread),
        "the sign of $\\ell$": (carried, -spread),
        "the flow of one Gaussian": one_gaussian(),
    },
    tol=1e-9,
    because="adaptive steps with a relative tolerance of 4e-11",
    measure=kept,
    scale=lambda run, e: (run[0], run[1] * (1 + e)),
)
check(flow_claim)

# %% [markdown]
r"""
**Where the sampler starts.** Nobody starts from $p_T$; one starts from a normal law
$q$. For any sampler, with any score, the law of the end points then changes by at most
the total variation distance of $p_T$ and $q$: an event at the end is an event at the
start (and about the noise, which is independent). For a small share that is a weak bound,
and the flow allows an exact statement. Each point of the gap has the start $y_T(x)$
whatever the law of the starts is, so the share becomes
$\int_a^b q(y_T(x))\, e^{\ell(x)} dx$. All these starts lie within $10^{-7}$ of

$$
y^* = F_T^{-1}\big( F_0(c) \big), \qquad c = \tfrac{a + b}{2},
\qquad
\frac{\text{share from } q}{\text{share}} = \frac{q(y^*)}{p_T(y^*)}
$$ (eq-gap-start)

up to the relative change of $q/p_T$ in an interval of that width. It is no matter of
hallucination: a wrong start makes some quantiles a little more frequent, and the gap is
one of them.
"""

# %%
starts = [laws.gaussian(tensor([m]), v) for m, v in ((0, 80.0**2), (2, 6401))]
starts.append(laws.gaussian(tensor([0.0]), 60.0**2))


def ratio(where):
    """q / p_T at one point, for all starts, less 1."""
    return lambda: torch.stack(
        [(q.log_prob(where) - pT.log_prob(where)).expm1()[0] for q in starts]
    )


def ratio_by_flow():
    """The share from q over that from p_T, less 1."""
    logs = [q.log_prob(carried) - pT.log_prob(carried) for q in starts]
    mass = (pT.log_prob(carried) + spread).exp() * wT
    return torch.stack([(u.expm1() * mass).sum() / mass.sum() for u in logs])


# %% tags=["hide-input"]
middle = tensor([[1.5]])
at_quantile = laws.quantile(pT, laws.cdf(paper, middle))

# %% tags=["hide-input"]
start_claim = Claim(
    id="gap/start",
    says=r"Started from $q$ in the place of $p_T$, the exact flow changes "
    r"the share of a gap by the factor $q(y^*)/p_T(y^*)$, $y^*$ the point "
    r"whose quantile under $p_T$ is that of the gap under the data (three "
    r"modes, $\sigma_T = 80$; $q$ is $\mathcal N(0, 80^2)$, $\mathcal N(2, "
    r"80^2 + 1)$ and $\mathcal N(0, 60^2)$; the factor less 1).",
    papers=("024",),
    kind="exact",
    formula=ratio(at_quantile),
    controls={
        "at the gap itself: no transport": ratio(middle),
        "at the median of $p_T$": ratio(laws.quantile(pT, 0.5).reshape(1, 1)),
        "at the mirror image, quantile $2/3$": ratio(4 - at_quantile),
    },
    tol=1e-8,
    because="the starts of a gap lie within 1e-7 of each other",
    truth=ratio_by_flow,
)
check(start_claim)

# %% [markdown]
r"""
Starting from $\mathcal N(0, 80^2)$ changes the share by about a hundredth of itself.
Since $y^*$ is of the size of $\sigma_T$, the factor differs from 1 by about
$\mu / \sigma_T$, and a chain that starts at $\sigma = 10^6$ shows nothing of it.

## What do few steps do to the map?

In $y$ and $\sigma$ a step of DDIM from $\sigma$ to $\sigma' = \rho\, \sigma$ is Euler's
step for [the flow](#eq-gap-flow), on every path:

$$
y' = y + (\sigma' - \sigma)\, \frac{y - D}{\sigma}
= \rho\, y + (1 - \rho)\, D(y, \sigma) .
$$ (eq-gap-ddim)

(DDIM's own form is $x_s = \frac{g_s}{g_t} x_t + (a_s - \frac{a_t g_s}{g_t}) D$; divide
by $a_s$.) What is the slope of this map? The Jacobian of a denoiser is the posterior
covariance over the noise ([derivation](deciding.ipynb), claim `deciding/jacobian`). On the
line

$$
\frac{\partial D}{\partial y}
= \frac{\operatorname{Var}(x_0 \mid y)}{\sigma^2} \ \ge\ 0 .
$$ (eq-gap-slope)

So the slope of a step is $\rho + (1 - \rho) \operatorname{Var}(x_0 \mid y)/\sigma^2$, a
sum of terms that are not negative, and positive as long as $\rho > 0$:

**With the exact denoiser, the map of DDIM is increasing on any grid, with any number of
steps.** The last step to the data has $\rho = 0$; it is increasing if the data are not a
single point.
"""

# %%
few = tables.to_data(tables.by_nsr(edm, 80.0, 0.02, 4))
lines = 80 * even(-2.0, 2.0, 40).unsqueeze(1)
lines = torch.cat([lines, tensor([[-34.39], [-34.4], [38.38]])])


@functools.cache
def slope_by_autograd():
    """The log of the slope of the map of five steps."""
    y = lines.clone().requires_grad_()
    end = solvers.solve(tables.ddim(edm, few), three.denoise, y)
    return torch.autograd.grad(end.sum(), y)[0].squeeze(1).log()


# %%
def slope_with(part=lambda V, s: V / s**2, keep=lambda r: r, late=0):
    """The log of the product of the steps' slopes, with slips."""

    def log_slope():
        states = solvers.solve(
            tables.ddim(edm, few), three.denoise, lines, keep=True
        )
        out = 0
        for n in range(len(few) - 1):
            s, rho = few[n], keep(few[n + 1] / few[n])
            at = min(n + late, len(few) - 2)
            V = three.posterior(states[at], few[at]).cov().reshape(-1)
            out = out + (rho + (1 - rho) * part(V, s)).log()
        return out

    return log_slope


# %% tags=["hide-input"]
increasing_slips = {
    "$\\operatorname{Var}/\\sigma$": slope_with(lambda V, s: V / s),
    "the standard deviation": slope_with(lambda V, s: V.sqrt() / s),
    "$\\rho^2$ for $\\rho$": slope_with(keep=lambda r: r**2),
    "the variance at the step's end": slope_with(late=1),
}

# %% tags=["hide-input"]
increasing_claim = Claim(
    id="gap/increasing",
    says=r"The map of DDIM has the slope $\prod_n [\rho_n + (1 - \rho_n) "
    r"\operatorname{Var}(x_0 \mid y_n) / \sigma_n^2] > 0$, $\rho_n = "
    r"\sigma_{n+1}/\sigma_n$: it is increasing on every grid (three modes; "
    r"five steps from $\sigma = 80$ to 0.02 and to the data; the logarithm "
    r"of the slope).",
    papers=("024",),
    kind="exact",
    formula=slope_with(),
    controls=increasing_slips,
    tol=1e-12,
    because="float64; variances down to 1e-9 of a mean squared, weighted",
    truth=slope_by_autograd,
)
check(increasing_claim)

# %% [markdown]
r"""
An increasing map takes intervals to intervals. So the share of DDIM is the mass of
$p_T$ between the two starts that end at the gap's ends:

$$
\text{share} = F_T(y_b) - F_T(y_a), \qquad
y_a \mapsto a, \quad y_b \mapsto b .
$$ (eq-gap-edges)

`solvers.preimages` finds the two starts, with all digits that a float has. No sample is
drawn, so a share of $10^{-9}$ costs as much as one of a half. We run the pair on $n$
evaluations of the denoiser: $n$ noise levels, in equal ratios from 80 to 0.02, and
then the data. The second route writes the denoiser anew, in numpy, and finds the
starts by Brent's method.
"""

# %% tags=["setup"]
HIGH, LOW = 80.0, 0.02
wide = two.law(tensor(HIGH))


def levels(n):
    """n noise levels from 80 to 0.02 in equal ratios, and then 0."""
    return tables.to_data(tables.by_nsr(edm, HIGH, LOW, n - 1))


@functools.cache
def ddim_share(n, edge=0.4, order=1):
    """The share of (-edge, edge) by DDIM, or its second-order relative."""
    ts = levels(n)
    table = tables.ddim(edm, ts) if order == 1 else tables.dpmpp(edm, ts, 2)
    y = solvers.preimages(
        table, two.denoise, tensor([-edge, edge]), -8 * HIGH, 8 * HIGH
    )
    return laws.mass(wide, *y.reshape(2, 1, 1))[0].item()


# %% tags=["setup"]
def guess(y, t, m=(-1.0, 1.0), s=0.1):
    """The denoiser in numpy, from the weights of the modes."""
    v, m = s**2 + t**2, np.array(m)
    odds = -((np.asarray(y)[..., None] - m) ** 2) / (2 * v)
    r = np.exp(odds - odds.max(-1, keepdims=True))
    mean = (r * m).sum(-1) / r.sum(-1)
    return (s**2 * y + t**2 * mean) / v


# %% tags=["setup"]
def walk(y, sig, step=lambda r: 1 - r, D=guess):
    """Steps y + kappa (D - y); kappa = 1 - ratio is DDIM."""
    for now, then in zip(sig[:-1], sig[1:], strict=True):
        y = y + step(then / now) * (D(y, now) - y)
    return D(y, sig[-1])


@functools.cache
def share_by_brent(n, edge=0.4):
    """The share of DDIM on the pair."""
    sig = np.geomspace(HIGH, LOW, n)
    y = optimize.brentq(lambda y: walk(y, sig) - edge, 0, 400, xtol=1e-15)
    sd = np.hypot(HIGH, 0.1)
    return stats.norm.cdf(y, 1, sd) - stats.norm.cdf(-y, 1, sd)


# %% tags=["hide-input"]
counts = (3, 5, 10, 20, 40)


def log_shares(f, counts=counts):
    """The logarithm of a share for all numbers of evaluations."""
    return lambda: tensor([float(f(n)) for n in counts]).log()


edges_slips = {
    "the exact flow": log_shares(lambda n: laws.mass(pair, -0.4, 0.4)),
    "one evaluation more": log_shares(lambda n: share_by_brent(n + 1)),
    "one half of the gap": log_shares(lambda n: ddim_share(n) / 2),
    "five times $s$ for the ends": log_shares(
        lambda n: share_by_brent(n, 0.5)
    ),
}

# %% tags=["hide-input"]
edges_claim = Claim(
    id="gap/edges",
    says=r"With the exact score, DDIM in $n$ evaluations has in the gap the "
    r"mass of $p_T$ between the starts that end at its ends (the pair, "
    r"$(-0.4, 0.4)$, $n = 3, 5, 10, 20, 40$: from more than a third to about "
    r"$10^{-5}$, where the law has less than $10^{-9}$; compared in "
    r"logarithms).",
    papers=("024",),
    kind="exact",
    formula=log_shares(ddim_share),
    controls=edges_slips,
    tol=1e-10,
    because="starts to 1e-13, of an interval of 1e-3 or more",
    truth=log_shares(share_by_brent),
)
check(edges_claim)

# %% [markdown]
r"""
Where do they come from? The map takes quantiles to end points. Look at how steep it is
in the middle: the exact one jumps from one mode to the other.
"""

# %% mystnb={"figure": {"caption": "Where a start ends, against its quantile under $p_T$, for the pair: the exact flow (grey) and DDIM with 3, 6 and 20 evaluations of the exact score. The band is the gap.", "name": "fig-gap-maps"}, "image": {"alt": "Increasing curves from minus one to one. The grey curve jumps at the quantile one half; with twenty evaluations the curve almost does, with three it is a slanted line that crosses the shaded gap over a third of the quantiles."}}
figure, axes = figures.canvas("Few steps make a ramp of the cliff")
u = torch.cat([even(0.001, 0.49, 200), even(0.49, 0.51, 200)])
u = torch.cat([u, even(0.51, 0.999, 200)])
begin = laws.quantile(wide, u)
axes.axhspan(-0.4, 0.4, color=figures.NOISE, alpha=0.25, lw=0)
axes.plot(u, laws.quantile(pair, u)[:, 0], color=figures.EXACT, lw=3)
for n, colour in zip((3, 6, 20), figures.time_colours(3), strict=True):
    end = solvers.solve(tables.ddim(edm, levels(n)), two.denoise, begin)
    axes.plot(u, end[:, 0], color=colour, label=f"{n} evaluations")
axes.legend(loc="upper left")
axes.set(xlabel="quantile of the start", ylabel="end", yticks=[-1, 0, 1])
plt.show()

# %% [markdown]
r"""
## How fast does it fall?

In the middle of the pair's gap everything is known. By symmetry $y = 0$ stays where it
is, the two modes have the weights $\frac12$, so $\operatorname{Var}\mu = m^2$ with
$m = 1$ half of the distance, and [the slope](#eq-gap-slope) of the denoiser is

$$
D'(0, \sigma) = \frac{s^2}{v} + \frac{\sigma^2 m^2}{v^2}, \qquad v = s^2 + \sigma^2 .
$$ (eq-gap-middle)

A map with slope $\gamma$ divides a density by $\gamma$. So after the levels
$\sigma_0 > \sigma_1 > \dots > \sigma_N$ the density in the middle is exactly

$$
p_N(0) = p_{\sigma_0}(0) \prod_{n=0}^{N-1} \frac{1}{\gamma_n}, \qquad
\gamma_n = \rho_n + (1 - \rho_n)\, D'(0, \sigma_n) .
$$ (eq-gap-gains)

The exact flow has the product over infinitely many small steps. A long step holds $D'$ at the
value of its noisy end, while $D'$ grows like $m^2/\sigma^2$ on the way down to $\sigma \approx s$:
the product comes out too small, and too much is left in the middle.
"""

# %%
grids = [tables.by_nsr(edm, HIGH, LOW, n) for n in (4, 10, 30, 80)]


def needed(t, s=0.1):
    """The slope of the exact denoiser of the pair at 0."""
    v = s**2 + t**2
    return s**2 / v + t**2 / v**2


def log_middle(slope=needed, keep=lambda r: r):
    """log p_N(0) on all grids, with slips."""
    out = []
    for ts in grids:
        rho = keep(ts[1:] / ts[:-1])
        gain = rho + (1 - rho) * slope(ts[:-1])
        out.append(wide.log_prob(tensor([[0.0]]))[0] - gain.log().sum())
    return torch.stack(out)


# %%
@functools.cache
def log_middle_by_map():
    """The same from the automatic derivative of the whole map."""
    out = []
    for ts in grids:
        y = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
        end = solvers.solve(tables.ddim(edm, ts), two.denoise, y)
        slope = torch.autograd.grad(end.sum(), y)[0]
        out.append(wide.log_prob(y.detach())[0] - slope.log().squeeze())
    return torch.stack(out)


# %% tags=["hide-input"]
def spared(t, v=0.01):
    """The slope without s^2/v."""
    return needed(t) - v / (v + t**2)


gains_slips = {
    "two points: $m^2/\\sigma^2$": lambda: log_middle(lambda t: t**-2),
    "no $s^2/v$": lambda: log_middle(spared),
    "$v$ for $v^2$": lambda: log_middle(lambda t: t**0),
    "$\\rho^2$, as for a variance": lambda: log_middle(keep=lambda r: r**2),
}

# %% tags=["hide-input"]
gains_claim = Claim(
    id="gap/gains",
    says=r"DDIM makes the density $p_{\sigma_0}(0) / \prod_n [\rho_n + (1 - "
    r"\rho_n) D'(0, \sigma_n)]$ in the middle of a symmetric gap, $D' = "
    r"s^2/v + \sigma^2 m^2/v^2$, $v = s^2 + \sigma^2$ (the pair, $m = 1$, $s "
    r"= 0.1$, from 80 to 0.02 in 4 to 80 steps; its logarithm).",
    papers=("024",),
    kind="exact",
    formula=log_middle,
    controls=gains_slips,
    tol=1e-13,
    because="float64; a sum of up to 80 logarithms",
    truth=log_middle_by_map,
)
check(gains_claim)

# %% [markdown]
r"""
How many steps are enough? Let all steps be equal in $\log\sigma$, of length $h = L/N$
with $L = \log(\sigma_0/\sigma_N)$, and write $\lambda = D' - 1$. Then $\rho = e^{-h}$ and

$$
\log \gamma = \log\big( 1 + (1 - \rho) \lambda \big)
= h \lambda - \tfrac12 h^2 (\lambda + \lambda^2) + O(h^3) .
$$

The exact flow stretches by $\exp \int \lambda\, d\log\sigma$ (the limit $h \to 0$). The
sum of $h \lambda$ takes $\lambda$ at the noisy end of each step, so it exceeds the
integral by $\frac h2 [\lambda(\sigma_0) - \lambda(\sigma_N)] + O(h^2)$. Together

$$
\log \frac{p_N(0)}{p_{\sigma_N}(0)} = \frac{L}{2N} \left[ \int (\lambda + \lambda^2)\,
d\log\sigma + \lambda(\sigma_N) - \lambda(\sigma_0) \right] + O(N^{-2}) .
$$ (eq-gap-excess)

The integrals are elementary. With $d\log\sigma = dv/(2\sigma^2)$ and
$\lambda = \sigma^2 (m^2 - v)/v^2$

$$
\begin{aligned}
\int \lambda\, d\log\sigma &= \tfrac12 \Big[ -\frac{m^2}{v} - \log v \Big], \\
\int \lambda^2\, d\log\sigma &= \tfrac12 \Big[ \log v + \frac{2 m^2 + s^2}{v}
- \frac{m^4 + 2 s^2 m^2}{2 v^2} + \frac{s^2 m^4}{3 v^3} \Big] ,
\end{aligned}
$$ (eq-gap-integrals)

between $v = s^2 + \sigma_N^2$ and $s^2 + \sigma_0^2$. For narrow modes and
$\sigma_N \ll s$ one term is larger than all others, $\int \lambda^2 \approx
m^4/(12 s^4)$. So the share in the middle is within a factor $e$ of the truth after about

$$
N \approx \frac{L}{24} \left( \frac{m}{s} \right)^4
$$ (eq-gap-count)

steps. For $m/s = 10$, the paper's and ours, these are thousands. It is the
fourth power that matters: modes half as wide need sixteen times as many.
"""

# %%
HALF = 0.01 + tensor([LOW, HIGH]) ** 2  # v at both ends


def integrals(v, m2=1.0, s2=0.01):
    """Antiderivatives of lambda and of its square, in log sigma."""
    first = -m2 / v - v.log()
    second = v.log() + (2 * m2 + s2) / v + s2 * m2**2 / (3 * v**3)
    return first / 2, (second - (m2**2 + 2 * s2 * m2) / (2 * v**2)) / 2


def limit(first=1.0, second=1.0, ends=1.0, half=0.5):
    """lim N log(p_N(0) / p(0)), with slips."""
    f, g = (u[1] - u[0] for u in integrals(HALF))
    lam = needed(tensor([LOW, HIGH])) - 1
    whole = first * f + second * g + ends * (lam[0] - lam[1])
    return half * math.log(HIGH / LOW) * whole


# %%
@functools.cache
def limit_by_product():
    """The same from the product of the gains, N = 1e5 and 2e5."""
    exact = (HALF[1] / HALF[0]).log() / 2 + (1 / HALF[1] - 1 / HALF[0]) / 2
    out = []
    for n in (100_000, 200_000):
        rho = (LOW / HIGH) ** (1 / n)
        t = HIGH * rho ** torch.arange(n, dtype=torch.float64)
        lost = torch.log1p((1 - rho) * (needed(t) - 1)).sum()
        out.append(-n * (lost + exact))
    return 2 * out[1] - out[0]


# %% tags=["hide-input"]
leading = math.log(HIGH / LOW) / 2 * tensor(1e4 / 12)
excess_slips = {
    "no ends: the sum taken for the integral": lambda: limit(ends=0),
    "the sign of the ends": lambda: limit(ends=-1),
    "no $\\lambda$ beside $\\lambda^2$": lambda: limit(first=0),
    "$L$ for $L/2$": lambda: limit(half=1.0),
    "$m^4/(12 s^4)$ alone": lambda: leading,
}

# %% tags=["hide-input"]
excess_claim = Claim(
    id="gap/excess",
    says=r"In $N$ steps equal in $\log\sigma$, DDIM's density in the middle "
    r"of a gap exceeds the exact one by $\frac{L}{2N} [\int (\lambda + "
    r"\lambda^2)\, d\log\sigma + \lambda(\sigma_N) - "
    r"\lambda(\sigma_0)]$ nats as $N \to \infty$, $\lambda = D'(0, \sigma) "
    r"- 1$, $L = \log(\sigma_0/\sigma_N)$ (the pair, from 80 to 0.02: more "
    r"than $3000/N$ nats).",
    papers=("024",),
    kind="exact",
    formula=limit,
    controls=excess_slips,
    tol=5e-6,
    because="extrapolated from 1e5 and 2e5 steps, to an error of order 1e-6",
    truth=limit_by_product,
)
check(excess_claim)

# %% [markdown]
r"""
## Does noise help?

DDPM's step adds noise. In $y$ and $\sigma$ its **posterior** and its **forward**
variance read, with $\rho = \sigma'/\sigma$ and the weights $a$, $a'$ of the data at the
two times,

$$
y' = \rho^2 y + (1 - \rho^2) D + S z, \qquad
S^2 = \sigma'^2 (1 - \rho^2) \ \text{ or }\ \frac{a^2}{a'^2} (\sigma^2 - \sigma'^2) .
$$ (eq-gap-ddpm)

There is no map now, but a Gaussian kernel for each step, and $d = 1$: `solvers.propagate`
carries the density from node to node and `solvers.masses` integrates the last kernel
over the gap. The step to the data adds nothing and is undone by `preimages`.

Our chain is the paper's: 1000 steps, $\beta$ from 0.001 to 0.2. We start it where
$\sigma < 0.6$, from the exact law there, and with all its 51 levels from there or with
every fourth. The modes are 1 apart, so almost nothing is decided before.

The second route goes **the other way**. Let $h_n(y)$ be the probability to end in the
gap from $y$ after step $n$. The last noisy step gives it in closed form, and

$$
h_{n-1}(y) = \mathbb E\, h_n\big( \rho^2 y + (1 - \rho^2) D + S z \big), \qquad
\text{share} = \int p_{\sigma_0} h_0 .
$$ (eq-gap-back)

It carries a function back, by splines and sums over $z$, where the first carries a
density forward.
"""

# %%
betas = paths.linear_betas(1000, 1e-3, 0.2)
ratios = paths.chain_nsr(betas)
fine = tables.to_data(paths.embed(chain, betas[ratios < 0.6]).flip(0))
coarse = tables.to_data(fine[:-1].flip(0)[3::4].flip(0))
runs = [(ts, v) for ts in (fine, coarse) for v in tables.bridges.VARIANCES]


def cells(start, *parts):
    """Ends of cells, from a start, each part up to an end by a width."""
    ends = [start]
    for end, width in parts:
        n = round((end - ends[-1]) / width)
        ends += even(ends[-1], end, n + 1)[1:].tolist()
    return tensor(ends)


near = ((1.36, 0.1), (1.58, 0.008), (2.36, 0.1), (2.58, 0.008), (4.0, 0.1))
far = ((-1.2, 0.35), (0.0, 0.2)), ((5.0, 0.2), (6.0, 0.35))
nodes = solvers.panels(cells(-4.2, *far[0], *near, *far[1]))
steep = worlds.World(chain, paper)


# %%
@functools.cache
def forward_in_time(run):
    """The share of (1.3, 1.7), by densities."""
    ts, variance = runs[run]
    p = steep.log_prob(nodes[0].unsqueeze(1), ts[0]).exp()
    table = tables.ancestral(chain, ts, variance)
    edges = tensor([1.3, 1.7])
    return solvers.masses(table, steep.denoise, *nodes, p, edges)[1]


# %%
def back_in_time(sig, posterior, y, D, gap, Z=300):
    """h_0 on the points y as a spline: the chance to end in the gap."""
    a, h, z = 1 / np.sqrt(1 + sig**2), None, np.linspace(-8.5, 8.5, Z)
    w = stats.norm.pdf(z) * (z[1] - z[0])
    root = functools.partial(optimize.brentq, a=-5, b=8)
    ends = [root(lambda y, e=e: float(D(y, sig[-1])) - e) for e in gap]
    for n in range(len(sig) - 2, -1, -1):
        r2, S = (sig[n + 1] / sig[n]) ** 2, a[n] / a[n + 1]
        S = S * np.sqrt(sig[n] ** 2 - sig[n + 1] ** 2)
        S = sig[n + 1] * np.sqrt(1 - r2) if posterior else S
        mean = r2 * y + (1 - r2) * D(y, sig[n])
        if h is None:
            low, high = (stats.norm.cdf((e - mean) / S) for e in ends)
            h = interpolate.CubicSpline(y, high - low)
        else:
            to = (mean[:, None] + S * z).clip(y[0], y[-1])
            h = interpolate.CubicSpline(y, h(to) @ w)
    return h


# %%
knots = ((-6, 0, 40), (0, 1.35, 80), (1.35, 1.65, 250), (1.65, 4, 140))
line = [np.linspace(*part, endpoint=False) for part in knots]
line = np.concatenate([*line, np.linspace(4, 10, 40)])


@functools.cache
def backward_shares():
    """The logs of the four shares by functions carried back."""
    D = functools.partial(guess, m=(1.0, 2.0, 3.0), s=0.05)
    x, w = solvers.panels(even(-6.0, 10.0, 800))
    out = []
    for ts, variance in runs:
        sig = chain.nsr(ts[:-1]).numpy()
        h = back_in_time(sig, variance == "posterior", line, D, (1.3, 1.7))
        start = paper.blur(sig[0] ** 2).log_prob(x.unsqueeze(1)).exp()
        out.append((w * start) @ torch.as_tensor(h(x.numpy())))
    return torch.stack(out).log()


# %% tags=["hide-input"]
def four(f):
    """The logs of the four shares."""
    return lambda: torch.stack([f(n) for n in range(4)]).log()


ancestral_slips = {
    "the two variances exchanged": four(lambda n: forward_in_time(n ^ 1)),
    "the law's own mass": four(lambda n: truth),
    "every fourth step for all steps": four(lambda n: forward_in_time(n | 2)),
}

# %% tags=["hide-input"]
ancestral_claim = Claim(
    id="gap/ancestral",
    says=r"With the exact score the paper's chain from $\sigma = 0.6$ on has "
    r"between two modes: in all its steps less than $5 \times 10^{-9}$ "
    r"(posterior variance) and about $10^{-8}$ (forward), in every fourth "
    r"step more than $4 \times 10^{-5}$ and about $10^{-4}$; densities "
    r"carried forward and functions carried back agree (in logarithms).",
    papers=("024",),
    kind="exact",
    formula=four(forward_in_time),
    controls=ancestral_slips,
    tol=5e-5,
    because="splines; set after doubling their points, which moves the "
    "shares by 1e-4 of themselves",
    truth=backward_shares,
)
check(ancestral_claim)

# %% [markdown]
r"""
DDIM on the same two grids, with edges instead of densities; again Brent's method is the
second route.
"""


# %%
@functools.cache
def chain_share(ts):
    """The share of (1.3, 1.7) by DDIM on a grid of the chain."""
    sig = torch.cat([chain.nsr(ts[:-1]), tensor([0.0])])
    table, ends = tables.ddim(edm, sig), tensor([1.3, 1.7])
    y = solvers.preimages(table, three.denoise, ends, -4, 6)
    return laws.mass(paper.blur(sig[0] ** 2), *y.reshape(2, 1, 1))[0]


# %%
@functools.cache
def chain_shares_by_brent(shift=0):
    """The logs of both, with numpy's denoiser."""
    D, out = functools.partial(guess, m=(1.0, 2.0, 3.0), s=0.05), []
    for ts in (fine, coarse):
        sig = chain.nsr(ts[: -1 - shift]).numpy()
        f = functools.partial(walk, sig=sig, D=D)
        root = functools.partial(optimize.brentq, a=0, b=4, xtol=1e-15)
        y = [root(lambda y, e=e, f=f: f(y) - e) for e in (1.3, 1.7)]
        start = stats.norm([1, 2, 3], np.hypot(0.05, sig[0]))
        out.append((start.cdf(y[1]) - start.cdf(y[0])).mean())
    return tensor(out).log()


# %% tags=["hide-input"]
def chain_shares():
    """The logs of DDIM's shares in all steps and in every fourth."""
    return torch.stack([chain_share(ts) for ts in (fine, coarse)]).log()


chain_slips = {
    "the law's own mass": lambda: truth.log().expand(2),
    "DDPM, posterior variance": lambda: four(forward_in_time)()[::2],
    "DDPM, forward variance": lambda: four(forward_in_time)()[1::2],
    "without the last level": lambda: chain_shares_by_brent(1),
}

# %% tags=["hide-input"]
chain_claim = Claim(
    id="gap/chain",
    says=r"On the paper's chain from $\sigma = 0.6$ on, DDIM with the exact "
    r"score has between two modes about $7 \times 10^{-8}$ in all steps and "
    r"$8 \times 10^{-5}$ in every fourth: in all steps five times the share "
    r"of DDPM or more, in every fourth between its two variances (in "
    r"logarithms).",
    papers=("024",),
    kind="exact",
    formula=chain_shares,
    controls=chain_slips,
    tol=1e-8,
    because="starts to 1e-15, of an interval of 1e-7 or more",
    truth=chain_shares_by_brent,
)
check(chain_claim)

# %% [markdown]
r"""
The comparisons in the last two statements, as verdicts:
"""

# %%
all_steps, fourth = chain_shares().exp()
ddpm = torch.stack([forward_in_time(n) for n in range(4)])
{
    "all steps: DDIM is five times DDPM": bool(all_steps > 5 * ddpm[1]),
    "posterior below forward": bool((ddpm[::2] < ddpm[1::2]).all()),
    "every fourth: DDIM between": bool(ddpm[2] < fourth < ddpm[3]),
    "all steps below 1e-7": bool(all_steps < 1e-7),
    "posterior, all steps below 5e-9": bool(ddpm[0] < 5e-9),
    "every fourth above 4e-5": bool(ddpm[2] > 4e-5),
    "every fourth: a thousand times": bool(
        fourth > 1000 * all_steps and (ddpm[2:] > 1000 * ddpm[:2]).all()
    ),
}

# %% [markdown]
r"""
So the paper's full chain is beyond blame: what the exact score puts into a gap in its
thousand steps would take ten million samples to be seen once. But a chain with every fourth
step taken has a share near $10^{-4}$ in each gap, more than a thousand times as much, and that
is no fault of any network.

**A second-order method** does better for the same number of evaluations. DPM-Solver++ 2M
with equal steps replaces $D$ in [the step](#eq-gap-ddim) by
$\frac32 D_n - \frac12 D_{n-1}$, but for its first step and the last one to the data. We
compare at equal evaluations, by edges and by Brent's method as before. (`preimages`
looks whether the map is increasing, since now nothing promises it.)
"""


# %%
@functools.cache
def multistep_by_brent(n, new=1.5):
    """The share of 2M on the pair, with numpy's denoiser."""
    sig = np.geomspace(HIGH, LOW, n)
    rho = sig[1] / sig[0]

    def end(y):
        old = None
        for t in sig[:-1]:
            D = guess(y, t)
            to = D if old is None else new * D + (1 - new) * old
            y, old = rho * y + (1 - rho) * to, D
        return guess(y, sig[-1])

    y = optimize.brentq(lambda y: end(y) - 0.4, 0, 400, xtol=1e-15)
    sd = np.hypot(HIGH, 0.1)
    return stats.norm.cdf(y, 1, sd) - stats.norm.cdf(-y, 1, sd)


# %% tags=["hide-input"]
tens = (10, 20, 40)
second_slips = {
    "DDIM": share_by_brent,
    "the weights $2, -1$": lambda n: multistep_by_brent(n, 2.0),
    "DDIM with twice as many": lambda n: share_by_brent(2 * n),
}

# %% tags=["hide-input"]
second_claim = Claim(
    id="gap/second-order",
    says=r"DPM-Solver++ 2M puts into the gap less than DDIM with as many "
    r"evaluations of the exact score: about a quarter with 10, a seventh "
    r"with 20, a tenth with 40 (the pair; in logarithms).",
    papers=("024",),
    kind="exact",
    formula=log_shares(lambda n: ddim_share(n, order=2), tens),
    controls={k: log_shares(f, tens) for k, f in second_slips.items()},
    tol=1e-9,
    because="starts to 1e-13, of an interval of 1e-4 or more",
    truth=log_shares(multistep_by_brent, tens),
)
check(second_claim)

# %% [markdown]
r"""
Now all four on the pair, for more and more evaluations. Look at how steep the curves are.
"""

# %%
reach = np.concatenate([np.linspace(0, 0.3, 150), np.linspace(0.32, 3, 80)])
reach = np.concatenate([reach, np.geomspace(3.1, 640, 60)])
reach = np.concatenate([-reach[:0:-1], reach])
wide_x, wide_w = solvers.panels(tensor(reach[::4].tolist()))
wide_p = wide.log_prob(wide_x.unsqueeze(1)).exp() * wide_w


@functools.cache
def ddpm_share(n, posterior):
    """The share of DDPM on the pair, by functions carried back."""
    sig = np.geomspace(HIGH, LOW, n)
    h = back_in_time(sig, posterior, reach, guess, (-0.4, 0.4))
    return float(wide_p @ torch.as_tensor(h(wide_x.numpy())))


# %% mystnb={"figure": {"caption": "The share in the gap of the pair against the number of evaluations of the exact score: DDIM, the second-order 2M, and DDPM with both variances. Dotted: the law's own share.", "name": "fig-gap-steps"}, "image": {"alt": "Four falling curves on logarithmic axes, nearly straight. From ten evaluations on DDIM is highest; at forty 2M is below it, DDPM with the forward variance lower, and with the posterior variance lowest. A dotted line far below marks the law's own share."}}
figure, axes = figures.canvas("With noise the share falls faster")
ns = (6, 10, 20, 40)
shades = figures.LEARNED, figures.time_colours(2)[1]
axes.axhline(laws.mass(pair, -0.4, 0.4), color=figures.EXACT, lw=1, ls=":")
many = (4, 6, 10, 20, 40)
curves = [("DDIM", many, share_by_brent, figures.EXACT)]
curves.append(("2M", (6, *tens), multistep_by_brent, figures.SECOND))
for k, name in enumerate(("DDPM, forward", "DDPM, posterior")):
    f = functools.partial(ddpm_share, posterior=bool(k))
    curves.append((name, ns, f, shades[k]))
for name, at, f, colour in curves:
    p = [f(n) for n in at]
    axes.loglog(at, p, "o-", color=colour, ms=3)
    figures.label_line(axes, at[-1], p[-1], name, colour)
axes.set(xlabel="evaluations", ylabel="share", xticks=many, xlim=(3.6, 90))
axes.set_xticks(many, map(str, many))
axes.minorticks_off()
plt.show()

# %% [markdown]
r"""
Over this range they look like powers of the number of evaluations: about the fourth for DDIM
and for 2M, the sixth or seventh for DDPM. That is what is seen here and no law. The exponents
drift along the curves, and for DDIM we know the end: the excess in nats goes
[like $1/N$](#eq-gap-excess), so its curve must level off at the dotted line. And with
6 evaluations the forward variance is worse than no noise. As verdicts:
"""

# %%
seen = {name: [f(n) for n in (6, *tens)] for name, _, f, _ in curves}


def powers(name):
    """The exponents from 10 to 20 and from 20 to 40 evaluations."""
    p = seen[name][1:]
    return [math.log2(a / b) for a, b in zip(p[:-1], p[1:], strict=True)]


def within(low, *names, high):
    """Whether all exponents lie in an interval."""
    return all(low < e < high for name in names for e in powers(name))


# %%
{
    "DDIM, 2M: between 3.5 and 4.5": within(3.5, "DDIM", "2M", high=4.5),
    "DDPM: between 5.5 and 7.5": within(
        5.5, "DDPM, forward", "DDPM, posterior", high=7.5
    ),
    "6: forward above DDIM": bool(seen["DDPM, forward"][0] > seen["DDIM"][0]),
}

# %% [markdown]
r"""
As the steps shrink, DDPM with either variance tends to the reverse SDE, and so to the
exact law: both variances are $\sigma^2 - \sigma'^2$ to first order in the step. The error
goes with the first power of the step. We check this where the share is large enough to
have digits, on two modes of standard deviation 0.3, from $\sigma = 3$ to $0.3$, where we
stop, and compare with the law $p_\sigma$ there. With errors $e_n$ in $n$ steps,
$\frac13 (e_n - 6 e_{2n} + 8 e_{4n})$ cancels the powers $\frac1n$ and $\frac1{n^2}$.
"""

# %%
soft = laws.mixture(tensor([[-1.0], [1.0]]), 0.3**2)
loose = worlds.World(chain, soft)
soft_x, soft_w = solvers.panels(even(-5.5, 5.5, 51), 6)


@functools.cache
def soft_error(n, variance, louder=1.0):
    """The relative error of the share of |y| < 0.2 in n steps."""
    ts = tables.by_nsr(chain, 3.0, 0.3, n)
    base = tables.ancestral(chain, ts, variance)
    table = tables.Table("denoise", ts, base.A, base.B, louder * base.S)
    p = loose.log_prob(soft_x.unsqueeze(1), ts[0]).exp()
    edge = 0.2 * chain.at(ts[-1]).a
    edges = torch.stack([-edge, edge])
    run = (table, loose.denoise, soft_x, soft_w, p, edges)
    exact = laws.mass(loose.law(ts[-1]), *edges.reshape(2, 1, 1))[0]
    return solvers.masses(*run)[1] / exact - 1


# %% tags=["hide-input"]
def remainder(noises):
    """The extrapolated error of the share, for all kinds of noise."""
    errors = [[soft_error(n, *S) for n in (12, 24, 48)] for S in noises]
    return max(abs(a - 6 * b + 8 * c) / 3 for a, b, c in errors)


# %% tags=["hide-input"]
order_claim = Claim(
    id="gap/first-order",
    says=r"As its steps shrink, DDPM with the posterior and the forward "
    r"variance puts into the gap the mass of the exact law: errors in powers "
    r"of the step have no constant term (modes of standard deviation 0.3, "
    r"$|y| < 0.2$, $\sigma$ from 3 to 0.3 in 12, 24, 48 steps).",
    papers=("024",),
    kind="exact",
    formula=(("posterior",), ("forward",)),
    controls={"the standard deviation doubled": (("posterior", 2.0),)},
    tol=3e-3,
    because="the third power of a step, set after measuring; the planted "
    "error is one of 1 % in the noise",
    measure=remainder,
    scale=lambda f, e: (("posterior", 1 + 10 * e),),
)
check(order_claim)

# %% [markdown]
r"""
That the error is of first order, and of no higher one, shows in its ratio when the steps are
doubled, which is near 2:
"""

# %%
kinds = tables.bridges.VARIANCES
halved = [soft_error(24, v) / soft_error(48, v) for v in kinds]
{"the error is halved": all(1.8 < r < 2.3 for r in halved)}

# %% [markdown]
r"""
## When does a map fold?

A map that is not increasing *folds*: it takes two starts past each other. Then the mass
between the starts of two edges is not that between the edges, and accounts kept by
quantiles are wrong. DDIM with the exact score [cannot fold](#eq-gap-slope). Which
samplers can?

Every first-order sampler makes, in $y$, steps of the form

$$
y' = y + \kappa\, (D(y, \sigma) - y),
$$ (eq-gap-kappa)

with a $\kappa$ of its own. Euler's method for [the flow](#eq-gap-flow) with the clock
$\tau(\sigma)$ has $\kappa = |\Delta\tau|\, |d\log\sigma/d\tau|$. With the clock $\sigma$ this
is DDIM's $1 - \rho < 1$; with the clock $\log\sigma$ it is $h = \log(1/\rho)$, which may
exceed 1, and then the step goes beyond the guess. The slope is
$1 - \kappa\, (1 - D')$. It is negative somewhere if and only if

$$
\kappa\, \big( 1 - \inf_y D'(y, \sigma) \big) > 1 .
$$ (eq-gap-fold)

So **it is not a steep denoiser that folds a map but a flat one.** In a gap
$D'$ is large and neighbours are driven apart. For a mixture of modes of the same width
$D' = s^2/v + \sigma^2 \operatorname{Var}\mu/v^2$ comes arbitrarily close to $s^2/v$ far out,
and a step can fold if and only if

$$
\kappa > \kappa^* = \frac{1}{1 - s^2/v} = 1 + \frac{s^2}{\sigma^2} .
$$ (eq-gap-fold-modes)

DDIM has $\kappa < 1$: it folds only if $D' < -\rho/(1 - \rho)$, and a *learned* denoiser
may well fall somewhere. (Then a finer grid helps: $\rho \to 1$.) Methods of higher order
have negative weights and no such guarantee.
"""

# %%
heights = tensor([0.05, 0.1, 0.3, 1.0])


@functools.cache
def fold_by_scan():
    """1 / (1 - the least slope of the denoiser) at each level."""
    y = even(-40.0, 40.0, 4001).unsqueeze(1).requires_grad_()
    least = []
    for t in heights:
        D = two.denoise(y, t).sum()
        least.append(torch.autograd.grad(D, y)[0].min())
    return 1 / (1 - torch.stack(least))


# %% tags=["hide-input"]
fold_slips = {
    "1: no step beyond the guess": lambda: heights**0,
    "the limit of stability, twice as large": lambda: 2 + 0.02 / heights**2,
    "$1 + s/\\sigma$": lambda: 1 + 0.1 / heights,
    "$1 + \\sigma^2/s^2$": lambda: 1 + heights**2 / 0.01,
}

# %% tags=["hide-input"]
fold_claim = Claim(
    id="gap/fold",
    says=r"A step $y + \kappa (D - y)$ is increasing for all $y$ as long as "
    r"$\kappa \le 1 + s^2/\sigma^2$, and folds beyond: never for DDIM, "
    r"$\kappa = 1 - \rho$ (the pair, $\sigma = 0.05, 0.1, 0.3, 1$).",
    papers=("024",),
    kind="exact",
    formula=lambda: 1 + 0.01 / heights**2,
    controls=fold_slips,
    tol=1e-12,
    because="float64; far out the slope is s^2/v to rounding",
    truth=fold_by_scan,
)
check(fold_claim)

# %% [markdown]
r"""
What is the share of a map that folds? **All** starts that end in the gap count,
$\text{share} = \sum_j \big| F_T(r_j) - F_T(l_j) \big|$ over all intervals $(l_j, r_j)$ of
starts whose ends lie there. To find them, run many starts, refine by bisection each place
where an end crosses an edge, and ask in the middle of each piece. We try it on two samplers
that fold: Euler's method in $\log\sigma$ with 6 evaluations, and Heun's method
(`tables.edm`) with 9. The second route counts 400,000 starts of known mass, with a numpy
version of each sampler.
"""

# %%
grown = even(-22.0, 22.0, 6001).sinh() / math.sinh(22.0)
begins = 9 * HIGH * grown


def crossings(end, y, x):
    """All starts, to rounding, at which the end passes y."""
    past = end(x) > y
    n = (past[1:] != past[:-1]).nonzero()
    low, high, up = x[n], x[n + 1], past[n + 1]
    for _ in range(8):
        fan = torch.lerp(low, high, even(0.0, 1.0, 33))
        there = end(fan.flatten()).reshape(fan.shape) > y
        k = (there != up).sum(1, keepdim=True).clamp(1, 32)
        low, high = fan.gather(1, k - 1), fan.gather(1, k)
    return high.squeeze(1)


# %%
def pieces(end, a, b):
    """The masses of the pieces of starts, and which of them end in (a, b)."""
    cuts = [crossings(end, y, begins) for y in (a, b)]
    c = torch.cat([begins[:1], *cuts, begins[-1:]]).sort().values
    ends = end((c[1:] + c[:-1]) / 2)
    mass = laws.mass(wide, c[:-1, None], c[1:, None])
    return mass, (ends > a) & (ends < b)


def log_euler(n):
    """Euler's method in log sigma, and a last step to the guess."""
    ts = levels(n)
    h = (ts[:-1] / ts[1:]).log()
    h[-1] = 1.0
    return tables.Table("denoise", ts, 1 - h[:, None], h[:, None], 0 * h)


# %%
def runner(table, field):
    """The map of a table on the line."""
    return lambda x: solvers.solve(table, field, x.unsqueeze(1)).squeeze(1)


# %%
folding = {
    "euler": runner(log_euler(6), two.denoise),
    "heun": runner(tables.edm(edm, levels(5)), two.velocity),
}
places = (("euler", -0.4, 0.4), ("heun", -0.4, 0.4), ("heun", 1.6, 1e3))
found = [pieces(folding[name], a, b) for name, a, b in places]


def hull(mass, inside):
    """All mass from the first piece that counts to the last."""
    at = inside.nonzero().squeeze(1)
    return mass[at[0] : at[-1] + 1].sum()


def accounts(way=lambda mass, inside: mass[inside].sum()):
    """The logs of the shares in all places, by one way to keep accounts."""
    return lambda: torch.stack([way(*piece) for piece in found]).log()


# %%
def heun(y, sig):
    """Heun's method for dy/dsigma = (y - D)/sigma; Euler's to the data."""
    for now, then in zip(sig[:-1], sig[1:], strict=True):
        u = (y - guess(y, now)) / now
        to = y + (then - now) * u
        y = y + (then - now) * (u + (to - guess(to, then)) / then) / 2
    return guess(y, sig[-1])


# %%
def mass_by_brent(end, a, b, x):
    """The mass of the starts that end in (a, b)."""
    y, cuts = end(x), []
    for e in (a, b):
        n = np.flatnonzero(np.diff(y > e))
        pairs = zip(x[n], x[n + 1], strict=True)
        f = functools.partial(lambda x, e: float(end(x)) - e, e=e)
        cuts += [optimize.brentq(f, *pair, xtol=1e-15) for pair in pairs]
    cuts = np.sort([x[0], *cuts, x[-1]])
    ends = end((cuts[1:] + cuts[:-1]) / 2)
    law = stats.norm([[-1], [1]], np.hypot(HIGH, 0.1))
    return np.diff(law.cdf(cuts).mean(0))[(ends > a) & (ends < b)].sum()


# %%
@functools.cache
def accounts_by_brent():
    """The same logs, with numpy's denoiser and 5,000 other starts."""
    x = np.sinh(np.linspace(-20, 20, 5000)) / np.sinh(20) * 9 * HIGH
    maps = {
        "heun": functools.partial(heun, sig=np.geomspace(HIGH, LOW, 5)),
        "euler": functools.partial(
            walk, sig=np.geomspace(HIGH, LOW, 6), step=lambda r: -np.log(r)
        ),
    }
    masses = [mass_by_brent(maps[k], a, b, x) for k, a, b in places]
    return tensor(masses).log()


# %% tags=["hide-input"]
pieces_claim = Claim(
    id="gap/pieces",
    says=r"The share of a sampler that folds is the mass of *all* pieces of "
    r"starts that end in the gap (the pair; Euler's method in $\log\sigma$ "
    r"with 6 evaluations, Heun's with 9; for Heun also the mass beyond six "
    r"standard deviations outside, nearly a tenth on each side; in "
    r"logarithms).",
    papers=("024",),
    kind="exact",
    formula=accounts(),
    controls={
        "from the first such start to the last": accounts(hull),
        "the largest piece alone": accounts(lambda m, on: m[on].max()),
    },
    tol=1e-10,
    because="crossings to 1e-13, of an interval of 1e-3 or more",
    truth=accounts_by_brent,
)
check(pieces_claim)

# %% [markdown]
r"""
Heun's method shows why a share in the gap is not the whole story. It has fewer samples in
the gap than DDIM with one evaluation more, and a fifth of its samples lie where the density
is just as low, outside. Watch where the folded map takes the quantiles.
"""

# %% mystnb={"figure": {"caption": "End points against the quantile of the start, for DDIM (grey) and for Euler's method in the clock $\\log\\sigma$ (dashed), both with 6 evaluations of the exact score, and Heun's method with 9. The inner band is the gap, the outer ones lie beyond six standard deviations.", "name": "fig-gap-fold"}, "image": {"alt": "A grey increasing curve from minus one to one. A dashed curve runs up and down several times, and a third curve leaves the modes and enters the outer bands."}}
figure, axes = figures.canvas("Where a map folds, quantiles are of no use")
u = even(0.002, 0.998, 999)
begin = laws.quantile(wide, u).squeeze(1)
for low, high in ((-2.1, -1.6), (-0.4, 0.4), (1.6, 2.1)):
    axes.axhspan(low, high, color=figures.NOISE, alpha=0.25, lw=0)
exact = runner(tables.ddim(edm, levels(6)), two.denoise)(begin)
axes.plot(u, exact, color=figures.EXACT, lw=3, label="DDIM")
wrong = folding["euler"](begin)
axes.plot(u, wrong, "--", color=figures.WRONG, lw=1.2, label="Euler")
end = folding["heun"](begin)
axes.plot(u, end, color=figures.SECOND, label="Heun")
axes.legend(loc=(0.02, 0.48), fontsize=8)
axes.set(xlabel="quantile of the start", ylabel="end", ylim=(-2.1, 2.1))
plt.show()

# %% [markdown]
r"""
## What counts: the last state or the last guess?

A sampler stops at a level $\sigma_1 > 0$. Either it hands out its state $y$, or it steps to
the data and hands out the guess $D(y, \sigma_1)$. Both differ from the data's law, and the
shares differ by many powers of ten. Let the sampler be exact down to $\sigma_1$. For the
mixture with modes of standard deviation $s$

$$
\begin{aligned}
\text{the data:} \quad & \text{the share with } s, \\
\text{the state:} \quad & \text{the same with } \sqrt{s^2 + \sigma_1^2}, \\
\text{the guess:} \quad & P_{\sigma_1}\big( D^{-1}(a) < y < D^{-1}(b) \big) .
\end{aligned}
$$

The state's modes are wider than the data's and spill into the gap. And the guess's are
narrower. Left of the middle, where one mode has all the weight,
$D = \mu_i + \frac{s^2}{v} (y - \mu_i)$ makes of the standard deviation $\sqrt v$ the smaller
$s^2/\sqrt v$. Where the weights change hands $D$ crosses the gap in one leap, but hardly any
mass is there at a level $\sigma_1 \ll m$. So the share of the guess is, nearly, that of modes of
standard deviation $s^2/\sqrt v$. All three, for the lowest level of the paper's chain:
"""

# %%
low = ratios[0].item()
mixed = math.sqrt(0.05**2 + low**2)


def last(state=mixed, guessed=0.05**2 / mixed):
    """The logs of the shares of the data, the state and the guess."""
    m, w = (1.0, 2.0, 3.0), (1 / 3, 1 / 3, 1 / 3)
    sds = (0.05, state, guessed)
    return torch.stack([share(m, 3 * (s,), w, (1.3, 1.7)) for s in sds]).log()


# %%
@functools.cache
def last_by_quad():
    """The same by quadrature and, for the guess, by Brent's method."""
    m, w = (1.0, 2.0, 3.0), (1 / 3, 1 / 3, 1 / 3)
    D = functools.partial(guess, t=low, m=m, s=0.05)
    f = functools.partial(lambda y, e: float(D(y)) - e)
    root = functools.partial(optimize.brentq, f, 1, 2, xtol=1e-15)
    ends = [root(args=(e,)) for e in (1.3, 1.7)]
    runs = ((0.05, (1.3, 1.7)), (mixed, (1.3, 1.7)), (mixed, tuple(ends)))
    shares = [share_by_quad(m, 3 * (s,), w, g) for s, g in runs]
    return tensor(shares).log()


# %% tags=["hide-input"]
last_slips = {
    "standard deviations added": lambda: last(state=0.05 + low),
    "the state's for the guess": lambda: last(guessed=mixed),
    "$s^2/v$ times $s$": lambda: last(guessed=0.05**3 / mixed**2),
    "the data's for the guess": lambda: last(guessed=0.05),
}

# %% tags=["hide-input"]
last_claim = Claim(
    id="gap/last",
    says=r"An exact sampler that stops at the level $\sigma_1$ has the share "
    r"of modes of standard deviation $\sqrt{s^2 + \sigma_1^2}$ if the state "
    r"is counted, of $s^2/\sqrt{s^2 + \sigma_1^2}$ if the guess is: more "
    r"than a hundred times the data's share and less than a thousandth of it "
    r"(three modes, $(1.3, 1.7)$, the paper's lowest level; in logarithms).",
    papers=("024",),
    kind="exact",
    formula=last,
    controls=last_slips,
    tol=1e-9,
    because="where the weights change hands the mass is below 1e-8 of the "
    "share",
    truth=last_by_quad,
)
check(last_claim)

# %% [markdown]
r"""
So two teams with the same network and the same chain can report shares that differ by a
factor of $10^5$, and both are right about what they count. We always count the guess: all
chains of this part end with a step to the data.

## Break it

- Set `LOW` to 0.05 before `levels` is used. With 5 evaluations the share rises, from 10 on
it falls: where the levels lie matters as well as how many there are.
- Give `folding` the sampler `log_euler(10)`: then $h < 1$, the map is increasing, and Euler's
entry is the same for all ways to keep accounts.
- Start the chain of `gap/ancestral` at $\sigma = 3$ instead of $0.6$. The shares move in
the third digit.

## What this does not show

All scores were exact. How a learned score fills a gap is [its slope's](slope.ipynb) matter,
and [five nets](nets.ipynb) are measured in the same way, with the shares above as the part
that is not theirs. The count of steps is for a gap of twice six standard deviations on each
side of modes of equal width; data on a curved set have no such gap. The line is special:
only there do flow lines keep quantiles, only there can a map be judged by its slope. (For 25
modes in the plane [two lines](lattice.ipynb) tell the shares.) And 6 is a convention. With another depth all shares
change, by powers of ten.

## Exercises

**1.** Two modes, and no others, have the weights `w1`, `w2` and the standard deviations
`s1`, `s2`. Their distance is many times both. Write the *logarithm* of the share of
their gap of depth `k`. (Far tails may be left out; not all five numbers matter.)
"""

# %%
depths = {
    "w1": tensor([0.5, 0.2, 0.7, 0.9]),
    "w2": tensor([0.5, 0.8, 0.3, 0.1]),
    "s1": tensor([0.1, 0.05, 0.2, 0.03]),
    "s2": tensor([0.1, 0.02, 0.1, 0.05]),
    "k": tensor([3.0, 4.0, 5.0, 10.0]),
}


def deep_by_law(w1, w2, s1, s2, k):
    """The log of the mass, with the modes at 0 and 10."""
    rows = zip((0 * s1 + k * s1), 10 - k * s2, w1, w2, s1, s2, strict=True)
    gaps = [
        share((0.0, 10.0), (s, r), (u, v), (a, b))
        for a, b, u, v, s, r in rows
    ]
    return torch.stack(gaps).log()


# %% tags=["hide-input"]
def tail(k):
    """The mass beyond k standard deviations on one side."""
    return below(-k)


deep_slips = {
    "one tail of each neighbour, not two": lambda w1, w2, s1, s2, k: (
        2 * (w1 + w2) * tail(k)
    ).log(),
    "k is already in standard deviations": lambda w1, w2, s1, s2, k: (
        w1 * tail(k * s1) + w2 * tail(k * s2)
    ).log(),
    "both neighbours have a tail there": lambda w1, w2, s1, s2, k: (
        w1 * tail(k)
    ).log(),
    "this is the share itself": lambda w1, w2, s1, s2, k: (w1 + w2) * tail(k),
}

# %% tags=["hide-input"]
deep_exercise = Claim(
    id="gap/depth-exercise",
    says="the logarithm of the share of a gap of depth k",
    papers=("024",),
    kind="exact",
    formula=None,
    controls=deep_slips,
    tol=1e-12,
    because="float64",
    at=depths,
    truth=deep_by_law,
)


# %% tags=["solution", "hide-cell"]
def log_depth(w1, w2, s1, s2, k):
    """log (w1 + w2) Phi(-k): the widths do not matter."""
    return (w1 + w2).log() + torch.special.log_ndtr(-k)


# %%
attempt(deep_exercise, log_depth)

# %% [markdown]
r"""
**2.** A network's denoiser $\hat D$ is smooth, and its slope is nowhere below $-\ell$ (it
comes close to that somewhere), with $\ell > 0$. What is the smallest ratio
$\rho = \sigma'/\sigma$ for which a step of DDIM cannot fold? Write it as a function of `ell`.
"""

# %%
falls = tensor([0.1, 0.5, 1.0, 4.0, 20.0])


def ratio_by_scan(ell):
    """The same by bisection, for the denoiser -ell sin y."""
    y = even(-0.01, 0.01, 3)
    out = []
    for fall in ell:

        def slack(rho, fall=fall):
            end = rho * y - (1 - rho) * fall * y.sin()
            return float(end.diff().min() / y.diff()[0])

        out.append(optimize.brentq(slack, 0.0, 1.0, xtol=1e-14))
    return tensor(out)


# %% tags=["hide-input"]
ratio_slips = {
    "this is 1 less the ratio": lambda ell: 1 / (1 + ell),
    "y itself is pulled too: D - y falls by 1 + ell": lambda ell: (
        1 - 1 / ell
    ).clamp(min=0),
    "this is the step in the logarithm of the level": lambda ell: (
        1 + 1 / ell
    ).log(),
    "the fall counts with weight 1 - rho": lambda ell: ell.clamp(max=1),
}

# %% tags=["hide-input"]
ratio_exercise = Claim(
    id="gap/ratio-exercise",
    says="the smallest ratio of noise levels at which DDIM cannot fold",
    papers=("024",),
    kind="exact",
    formula=None,
    controls=ratio_slips,
    tol=9e-5,
    because="the slope is seen in steps of 0.01",
    at={"ell": falls},
    truth=ratio_by_scan,
)


# %% tags=["solution", "hide-cell"]
def least_ratio(ell):
    """rho - (1 - rho) ell >= 0."""
    return ell / (1 + ell)


# %%
attempt(ratio_exercise, least_ratio)

# %% [markdown]
r"""
**3.** *An experiment.* From which number of evaluations on does the share of DDIM on the
pair stay below `level`? Use `ddim_share(n)` for $3 \le n \le 12$, and do not stop at the
first success: write a function of `level` that returns the number.
"""

# %%
wanted = (0.1, 0.01, 0.003)


def counts_by_brent():
    """One more than the last number whose share is not below each level."""
    tried = {n: share_by_brent(n) for n in range(3, 13)}
    bad = [[n for n, p in tried.items() if p >= level] for level in wanted]
    return tensor([max(ns) + 1 for ns in bad])


# %% tags=["hide-input"]
def first(level):
    """The first number with a share below the level."""
    return next(n for n in range(3, 13) if share_by_brent(n) < level)


def on_from(level):
    """The number from which on it stays below."""
    bad = [n for n in range(3, 13) if share_by_brent(n) >= level]
    return max(bad) + 1


def count_missed(answer):
    """The largest distance from the right numbers."""
    found = tensor([float(answer(level)) for level in wanted])
    return (found - counts_by_brent()).abs().max()


# %% tags=["hide-input"]
count_exercise = Claim(
    id="gap/count-exercise",
    says="the number of evaluations from which on the share stays below",
    papers=("024",),
    kind="exact",
    formula=None,
    controls={
        "the first success: the share may rise again": first,
        "the last failure: one more is wanted": lambda p: on_from(p) - 1,
        "the steps without the first evaluation": lambda p: on_from(p) + 3,
    },
    tol=0.5,
    because="whole numbers",
    measure=count_missed,
)


# %% tags=["solution", "hide-cell"]
def evaluations(level):
    """One more than the last number whose share is not below the level."""
    bad = [n for n in range(3, 13) if ddim_share(n) >= level]
    return max(bad) + 1


# %%
attempt(count_exercise, evaluations)

# %% [markdown]
r"""
**4.** *Extend the world.* Few steps also get the weights wrong. With `solvers.preimages` at
1.5 and 2.5 find the mass of the middle mode of the paper's world for DDIM with 5, 10, 20
and 40 evaluations. Which step is to blame? (Ask what $D$ is at $\sigma = 80$.)

## Summary

| what | formula | in `diffkit` |
|---|---|---|
| share of a law | $\sum_i w_i [\Phi(\frac{b-\mu_i}{s_i}) - \Phi(\frac{a-\mu_i}{s_i})]$ | `laws.mass` |
| exact flow | $F_\sigma(y_\sigma)$ constant: the law's share | `laws.monotone`, `solvers.flow` |
| another start $q$ | times $q(y^*)/p_T(y^*)$ | |
| share of DDIM | $F_T(y_b) - F_T(y_a)$ | `solvers.preimages` |
| slope of a step | $\rho + (1-\rho) \operatorname{Var}(x_0 \mid y)/\sigma^2 > 0$ | |
| excess in the middle | about $\frac{L}{24 N} (m/s)^4$ nats | |
| share of DDPM | kernels, then the last one integrated | `solvers.masses` |
| fold | $\kappa > 1 + s^2/\sigma^2$ | |
| state, guess | widths $\sqrt v$ and $s^2/\sqrt v$ | |

**Where next.** [A slope that is too small](slope.ipynb) gives the score an error, and
[the nets](nets.ipynb) have one.
"""
