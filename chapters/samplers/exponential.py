# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# From Euler to exponential integrators

Euler's method walks along tangents. For the flow of a diffusion model the tangent
can be taken in many coordinates, and in one of them the large, known part of the
motion costs nothing. We derive the exact formula behind DPM-Solver and DEIS, read
the order of a sampler from its table, and let plausible wrong weights lose it.

- **You need** integration, Taylor's formula,
[the flow of a Gaussian mode](../gaussian/painters.ipynb) and
[the targets](../gaussian/dialects.ipynb) of a network.
- **You get** variation of constants in the log-SNR, order conditions for the rows of
a table, thirteen samplers with measured orders, the best linear part to take out, and
mean-reverting diffusion as a shift.
- **Papers** 062 {cite}`lu2022dpmsolver`, 075 {cite}`zhang2023deis`, 074
{cite}`zheng2023dpmv3`, 042 {cite}`li2025mrsampler`.
- **Claims** on Gaussian modes, point masses and mixtures, all named
`exponential/...`.
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
import math
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import sympy
import torch
from IPython import display
from scipy.integrate import quad, solve_ivp

# %% tags=["setup"]
from diffkit import (
    chains,
    figures,
    laws,
    paths,
    shapes,
    solvers,
    tables,
    worlds,
)
from diffkit.claims import Claim, attempt, check

tensor = functools.partial(torch.tensor, dtype=torch.float64)

# %% [markdown]
r"""
## What does Euler lose?

On a path $x_t = a_t x_0 + g_t z$ let $\sigma = g/a$ be the noise-to-signal ratio and
$y = x/a$. Then $y = x_0 + \sigma z$ on every path: in $y$ all paths explode, and
differ only in the time at which they pass a given $\sigma$.

Take Gaussian data and one eigen-direction of variance $\lambda \ge 0$, with its mean
taken away. By [the flow of a mode](../gaussian/painters.ipynb) the coordinate $x$
moves as $\dot x = (\dot\psi/\psi)\, x$ with $\psi^2 = a^2 \lambda + g^2$, so that
$x/\psi$ stands still. Euler's step from $t$ to $s$ in the clock $t$ multiplies $x$ by

$$
1 + (s - t) \frac{\dot\psi_t}{\psi_t}
= \frac{\psi_t + (s - t)\, \dot\psi_t}{\psi_t} ,
\qquad\text{the flow by } \frac{\psi_s}{\psi_t} .
$$ (eq-exponential-tangent)

Euler replaces the curve $\psi$ by its tangent. That is all it does wrong, and it
depends on the clock and on the unit ($x$ or $y$) in which the curve is drawn. Where
the curve is convex the tangent lies below, and every step takes variance away;
where it is concave, every step adds some. In $y$ the curve is
$\psi = \sqrt{\lambda + \sigma^2}$: convex in $\sigma$ (a hyperbola), concave in
$\sigma^2$.
"""

# %% mystnb={"figure": {"caption": "The standard deviation of a mode of variance 1 (grey) in $y = x/a$, and Euler's tangent (red, dashed) from noise to data: over the clock $\\sigma$ and over the clock $\\sigma^2$.", "name": "fig-exponential-tangent"}, "image": {"alt": "Two panels. Left: a hyperbola over sigma, with a tangent at the right end that meets the axis sigma = 0 below the curve. Right: the same quantity over sigma squared is a concave curve, and the tangent arrives above it."}}
figure, axes = figures.canvas(
    "One curve, two clocks: Euler lands below, or above", columns=2
)
level, here = tables.uniform(0, 3, 100), 2.4
size = math.sqrt(1 + here**2)
for ax, p in zip(axes, (1, 2), strict=True):
    slope = here ** (2 - p) / (p * size)
    ax.plot(level**p, (1 + level**2).sqrt(), color=figures.EXACT, lw=2.5)
    line = size + slope * (level**p - here**p)
    ax.plot(level[:81] ** p, line[:81], "--", color=figures.WRONG)
    ax.plot(here**p, size, "o", color=figures.EXACT)
    ax.set(ylim=(0, 3.4), yticks=[0, 1, 2, 3])
    ax.set_xlabel((r"$\sigma$", r"$\sigma^2$")[p - 1])
axes[0].set_ylabel(r"$\psi$")
plt.show()

# %% [markdown]
r"""
The left panel is a step of DDIM and the right one a step with a frozen score, as the
claim `exponential/cos-cosh` will confirm.

A tangent can do worse than miss. Samplers like steps that are equal in

$$
\rho = \log\frac{a}{g} = -\log\sigma ,
$$

half the log-SNR. (DPM-Solver writes $\lambda$ for it, and DEIS writes $\rho$ for our
$\sigma$.) In the clock $\rho$ a mode moves as

$$
\frac{dy}{d\rho} = -\frac{\sigma^2}{\lambda + \sigma^2}\, y = -\sin^2\theta\; y,
\qquad \tan\theta = \frac{\sigma}{\sqrt\lambda} .
$$

Wherever noise dominates the rate is nearly $1$, however small $\lambda$ is, and one
step $h$ of Euler gives $1 - h \sin^2\theta$: negative as soon as
$h > 1/\sin^2\theta$, growing in size as soon as

$$
h > \frac{2}{\sin^2\theta} = 2 \Big( 1 + \frac{\lambda}{\sigma^2} \Big) .
$$ (eq-exponential-bound)

From $\sigma = 80$ to $0.002$ there are $10.6$ units of $\rho$, so for narrow modes
Euler needs six steps just not to explode, and eleven to keep the sign. This is what
numerical analysts call **stiff**: a rate that bounds the step although the solution
is tame. Yet the rate is no secret. At $\lambda = 0$ it is exactly $1$, and
$y \propto e^{-\rho}$. Euler in the clock $\sigma = e^{-\rho}$ goes along $y \propto
\sigma$ exactly. Written in $\rho$ it has the factor

$$
1 - (1 - e^{-h}) \sin^2\theta \ \in\ [\cos^2\theta, 1] ,
$$ (eq-exponential-safe)

for every $h$, up to $h = \infty$. The only change is $1 - e^{-h}$ for $h$.
"""

# %% tags=["setup"]
vp, straight, edm = paths.vp(), paths.one_sided(), paths.edm()

# %%
modes, strides = tensor([0.0, 1e-4, 0.05, 1.0, 9.0]), (0.3, 1.0, 2.5, 7.0)


def one_step(h, s=3.0):
    """What a step h from sigma = s makes of each mode: Euler in rho, DDIM."""
    table = tables.exponential(edm, tensor([s, s * math.exp(-h)]), 1, "noise")
    euler = replace(table, B=torch.full_like(table.B, -h * s))
    return torch.stack([chains.gain(u, edm, modes) for u in (euler, table)])


def step_factors(*widths, power=1):
    """1 - w(h) sin^2 theta for both, given the two w."""
    sin2 = (9 / (modes + 9)) ** power
    h = tensor(strides).reshape(-1, 1)
    return torch.stack([1 - w(h) * sin2 for w in widths], 1)


def grown(h):
    """1 - e^-h."""
    return -torch.expm1(-h)


# %% tags=["hide-input"]
bound_slips = {
    "$h$ for $1 - e^{-h}$ in DDIM": lambda: step_factors(
        lambda h: h, lambda h: h
    ),
    "$e^h - 1$ for $1 - e^{-h}$": lambda: step_factors(
        lambda h: h, torch.expm1
    ),
    "$\\sin\\theta$ for $\\sin^2\\theta$": lambda: step_factors(
        lambda h: h, grown, power=0.5
    ),
}

# %% tags=["hide-input"]
bound_claim = Claim(
    id="exponential/step-bound",
    says=r"On a Gaussian mode of variance $\lambda \ge 0$ a step $h$ of "
    r"Euler in $\rho$ multiplies $y = x/a$ by $1 - h \sin^2\theta$, "
    r"$\sin^2\theta = \sigma^2/(\lambda + \sigma^2)$, which is below $-1$ "
    r"iff $h > 2/\sin^2\theta$; Euler in $\sigma$, which is DDIM, by $1 - "
    r"(1 - e^{-h}) \sin^2\theta \ge \cos^2\theta$ ($\sigma = 3$, "
    r"$\lambda$ from 0 to 9, $h$ from 0.3 to 7).",
    papers=("062",),
    kind="exact",
    formula=lambda: step_factors(lambda h: h, grown),
    controls=bound_slips,
    tol=1e-14,
    because="float64, one step; errors relative to the largest factor",
    truth=lambda: torch.stack([one_step(h) for h in strides]),
)
check(bound_claim)

# %% [markdown]
r"""
## Can the known part be integrated exactly?

Now any law. Let $D = \mathbb E[x_0 \mid x_t]$ and $N = \mathbb E[z \mid x_t]$, so that
$x = aD + gN$ and the flow is $\dot x = \dot a D + \dot g N$. Eliminate $D = (x - gN)/a$:

$$
\dot x = \frac{\dot a}{a}\, x + \Big( \dot g - \frac{\dot a}{a} g \Big) N .
$$

The first term is linear and known. **Variation of constants** absorbs it: divide by
$a$, and

$$
\frac{d}{dt} \frac{x}{a} = \frac{\dot g a - \dot a g}{a^2}\, N = N\, \dot\sigma ,
\qquad\text{that is}\quad dy = N\, d\sigma .
$$ (eq-exponential-ve)

In the same way, eliminating $N$ and dividing by $g$,
$d(x/g) = D\, d(1/\sigma)$. Integrate from $t$ to $s$ and put $\sigma = e^{-\rho}$:

$$
\begin{aligned}
x_s &= \frac{a_s}{a_t} x_t - a_s \int_{\rho_t}^{\rho_s} e^{-\rho} N(x_\rho, \rho)\, d\rho \\
    &= \frac{g_s}{g_t} x_t + g_s \int_{\rho_t}^{\rho_s} e^{\rho} D(x_\rho, \rho)\, d\rho .
\end{aligned}
$$ (eq-exponential-formula)

Both are exact; nothing has been approximated. The first needs $a_t > 0$, the second
$g_t > 0$; so noise prediction cannot leave pure noise with $a = 0$, and data
prediction cannot leave the data. To *arrive* there is no problem: as $g_s \to 0$ the
second line tends to $D$.

Our world for the rest of the chapter is a mixture of three Gaussians in the plane.
Its field in closed form, with $y = x/a$, weights $w_k$, common variance $\lambda$
and posterior weights $r_k \propto w_k e^{-|y - m_k|^2/2(\lambda + \sigma^2)}$, is
$D = (\lambda y + \sigma^2 \sum_k r_k m_k)/(\lambda + \sigma^2)$.
"""

# %% tags=["setup"]
centres = tensor([[1.0, 0.4], [-0.8, 0.6], [0.1, -1.0]])
shares, width = tensor([0.5, 0.3, 0.2]), 0.5
law = laws.mixture(centres, width, shares)


def answers(path, target):
    """The exact field of the mixture on a path: what a perfect net says."""

    def field(x, t):
        c = path.at(t)
        s2, y = c.g2 / c.a**2, x / c.a
        far = (y.unsqueeze(-2) - centres).square().sum(-1)
        r = (shares.log() - far / (2 * (width + s2))).softmax(-1)
        D = (width * y + s2 * (r @ centres)) / (width + s2)
        if target == "denoise":
            return D
        N = (y - D) / s2.sqrt()
        return N if target == "noise" else c.da * D + c.gdg / c.g * N

    return field


# %% [markdown]
r"""
This agrees with the package, which does it for any mixture, but more slowly. We
start at eight points of the noise with $\sigma = 3$ and stop at $\sigma = 0.3$; an
adaptive method of order 5 tells where the flow ends.
"""

# %% tags=["setup"]
high, low = 3.0, 0.3
begin = shapes.rng(0)
y_start = high * torch.randn(8, 2, generator=begin, dtype=torch.float64)


@functools.cache
def flow_end(path, target="velocity"):
    """y at sigma = 0.3, by an adaptive method, from y_start at sigma = 3."""
    t, s = (path.when(tensor(u)) for u in (high, low))
    method = solvers.Adaptive(t.item(), s.item(), rtol=1e-13, atol=1e-13)
    x = path.at(t).a * y_start
    return solvers.solve(method, answers(path, target), x) / path.at(s).a


world = worlds.World(vp, law)
torch.allclose(
    answers(vp, "velocity")(y_start, tensor(0.4)),
    world.velocity(y_start, tensor(0.4)),
)

# %% [markdown]
r"""
To check [the formula](#eq-exponential-formula) we need $N$ and $D$ all along the
trajectory. We walk it with a fine Runge-Kutta method of order 5 that stops at the 24
nodes of Gauss' quadrature, and compare with where the adaptive method ended.
"""

# %%
nodes, weights = (tensor(u) for u in np.polynomial.legendre.leggauss(24))
span = math.log(high / low)
stops = -math.log(high) + span * (nodes + 1) / 2
fine = tables.uniform(-math.log(high), -math.log(low), 60)
clock = torch.cat([stops, fine]).sort().values
table = tables.dormand_prince(vp.when((-clock).exp()))
c_0, c_1 = (vp.at(vp.when(tensor(u))) for u in (high, low))
walk = solvers.solve(
    table, answers(vp, "velocity"), c_0.a * y_start, keep=True
)
at_stops = torch.searchsorted(clock, stops)
seen = {
    target: torch.stack(
        [
            answers(vp, target)(walk[i], table.ts[table.lands][i])
            for i in at_stops
        ]
    )
    for target in ("noise", "denoise")
}


# %%
def by_quadrature(linear, front, kernel):
    """linear x + front int kernel F d rho, F the noise and the denoiser."""
    out = []
    for i, target in enumerate(("noise", "denoise")):
        w = span / 2 * weights * kernel[i](stops)
        total = (w.reshape(-1, 1, 1) * seen[target]).sum(0)
        out.append(linear[i] * c_0.a * y_start + front[i] * total)
    return torch.stack(out)


down, up = (lambda r: (-r).exp()), torch.exp
ratios = (c_1.a / c_0.a, c_1.g / c_0.g)

# %% tags=["hide-input"]
formula_slips = {
    "$e^{\\rho}$ for $e^{-\\rho}$": lambda: by_quadrature(
        ratios, (-c_1.a, c_1.g), (up, down)
    ),
    "$g_s$ for $a_s$ in front": lambda: by_quadrature(
        ratios, (-c_1.g, c_1.a), (down, up)
    ),
    "$x_t$ not rescaled": lambda: by_quadrature(
        (1.0, 1.0), (-c_1.a, c_1.g), (down, up)
    ),
    "the whole log-SNR, $e^{-2\\rho}$": lambda: by_quadrature(
        ratios,
        (-c_1.a, c_1.g),
        (lambda r: (-2 * r).exp(), lambda r: (2 * r).exp()),
    ),
}

# %% tags=["hide-input"]
formula_claim = Claim(
    id="exponential/formula",
    says=r"Along the flow of a mixture in the plane $x_s = \frac{a_s}{a_t} "
    r"x_t - a_s \int e^{-\rho} N d\rho = \frac{g_s}{g_t} x_t + g_s \int "
    r"e^{\rho} D\,d\rho$, integrals from $\rho_t$ to $\rho_s$, $\rho = "
    r"\log(a/g)$ (VP, $\sigma$ from 3 to 0.3).",
    papers=("062",),
    kind="exact",
    formula=lambda: by_quadrature(ratios, (-c_1.a, c_1.g), (down, up)),
    controls=formula_slips,
    tol=1e-11,
    because="Runge-Kutta of order 5 in steps of 0.04 in rho",
    truth=lambda: (c_1.a * flow_end(vp)).expand(2, 8, 2),
)
check(formula_claim)

# %% [markdown]
r"""
## What is the first order?

Freeze $N$ at the start of the step and integrate what is left. With
$h = \rho_s - \rho_t$, $-a_s \int e^{-\rho} d\rho = a_s (\sigma_s - \sigma_t) =
g_s - a_s \sigma_t$, and so

$$
x_s = \frac{a_s}{a_t} x_t + \Big( g_s - \frac{a_s}{a_t} g_t \Big) N
    = \frac{a_s}{a_t} x_t - g_s (e^{h} - 1)\, N ,
$$ (eq-exponential-ddim)

which is **DDIM** {cite}`song2021ddim`, and DPM-Solver-1. Freeze $D$ in the second
line instead, and

$$
x_s = \frac{g_s}{g_t} x_t + \Big( a_s - \frac{g_s}{g_t} a_t \Big) D
    = \frac{g_s}{g_t} x_t + a_s (1 - e^{-h})\, D .
$$

Put $x_t = a_t D + g_t N$ into both: each is $a_s D + g_s N$. **At order 1 noise and
data prediction are the same sampler.** From order 2 on they are not, because a
polynomial $N$ is not a polynomial $D$. So a test that compares the two at order 1
compares nothing. The claim says so with its controls: it measures how far the two end
points are apart, and rejects the same sentence about orders 2 and 3. (What does
follow from the choice is the subject of [data or noise?](prediction.ipynb).)
"""

# %%
three = (vp, straight, paths.cosine())


def apart(order):
    """The largest distance of the two end points, six steps, three paths."""
    found = []
    for path in three:
        ts = tables.by_nsr(path, high, low, 6)
        noise, data = (
            solvers.solve(
                tables.exponential(path, ts, order, target),
                answers(path, target),
                path.at(ts[0]).a * y_start,
            )
            for target in ("noise", "denoise")
        )
        found.append((noise - data).norm() / data.norm())
    return max(found)


# %% tags=["hide-input"]
first_slips = {"order 2 as well": 2, "order 3 as well": 3}

# %% tags=["hide-input"]
first_claim = Claim(
    id="exponential/first-order",
    says=r"Exponential integrators of order 1 for the noise $N$ and for the "
    r"data $D$ have the same end points; those of order 2, and of order 3, "
    r"have not (mixture in the plane, six steps, three paths).",
    papers=("062", "074"),
    kind="exact",
    formula=1,
    controls=first_slips,
    tol=1e-14,
    because="float64, six steps",
    measure=apart,
    scale="an order is a whole number",
)
check(first_claim)

# %% [markdown]
r"""
## Does the schedule matter?

In [$dy = N\, d\sigma$](#eq-exponential-ve) there is no $a$, no $g$ and no $t$: the
best guess of the noise depends on $y$ and $\sigma$ only. A sampler that is built from
$y$, $\sigma$ and $N$ (or $D = y - \sigma N$) alone therefore visits the same points
$y_n$ on every path, provided the grid has the same $\sigma_n$. The schedule decides
only *where the grid lies* when someone says "equal steps in $t$". Euler in $t$ is
not of this kind: $t$ enters its weights. Nor is a midpoint taken in $t$, although
it costs no order, as we shall see.
"""


# %% tags=["setup"]
def two_stages(path, ts, middle, share=1.0):
    """DPM-Solver-2, its stage at times ``middle``; the share it counts."""
    c, u = path.at(ts), path.at(middle)
    A, B = (ts.new_zeros(len(middle), 2, 2) for _ in "AB")
    for row, to in enumerate((u, type(c)(*(v[1:] for v in c)))):
        A[:, row, row] = to.a / c.a[:-1]
        B[:, row, 0] = to.g - to.a / c.a[:-1] * c.g[:-1]
    B[:, 1, 1] = (1 - share) * B[:, 1, 0]
    B[:, 1, 0] = share * B[:, 1, 0]
    times = torch.cat([ts[:1], torch.stack([middle, ts[1:]], 1).flatten()])
    lands = torch.tensor([True, *[False, True] * len(middle)])
    A, B, S = A.flatten(0, 1), B.flatten(0, 1), times[1:] * 0
    return tables.Table("noise", times, A, B, S, lands)


def half_in_t(path, ts):
    """DPM-Solver-2 with the middle taken in t."""
    return two_stages(path, ts, (ts[:-1] + ts[1:]) / 2)


# %% tags=["setup"]
part = functools.partial
FREE = {
    "DDIM": tables.ddim,
    "DPM-Solver-2": part(tables.dpm_solver, order=2),
    "DPM-Solver-3": part(tables.dpm_solver, order=3),
    "DEIS-3": part(tables.deis, order=3),
    "2M": part(tables.dpmpp, order=2),
    "UniPC-2": part(tables.unipc, order=2),
}


# %% tags=["setup"]
def scatter(makers):
    """How far y_N differs between paths with the same sigma_n, at most."""
    worst = tensor(0.0)
    for make in makers.values():
        ends = []
        for path in (*three, edm):
            ts = tables.by_nsr(path, high, low, 7)
            table, x = make(path, ts), path.at(ts[0]).a * y_start
            x = solvers.solve(table, answers(path, table.eats), x)
            ends.append(x / path.at(ts[-1]).a)
        off = torch.stack(ends) - ends[0]
        worst = max(worst, off.abs().max() / ends[0].abs().max())
    return worst


# %% tags=["hide-input"]
timed = {
    "Euler in $t$": lambda path, ts: tables.euler(ts),
    "Heun in $t$": lambda path, ts: tables.heun(ts),
    "Adams-Bashforth 2 in $t$": lambda p, ts: tables.adams_bashforth(ts, 2),
    "DPM-Solver-2 with the middle in $t$": half_in_t,
}

# %% tags=["hide-input"]
free_claim = Claim(
    id="exponential/schedule-free",
    says=r"On the VP, straight, cosine and EDM paths, with the same grid of "
    r"$\sigma$, DDIM, DPM-Solver-2 and -3, DEIS-3, DPM-Solver++ 2M and "
    r"UniPC-2 end at the same $x/a$ (mixture in the plane, seven steps).",
    papers=("062",),
    kind="exact",
    formula=FREE,
    controls={name: {name: make} for name, make in timed.items()},
    tol=1e-13,
    because="float64; times and sigma are converted to and fro",
    measure=scatter,
    scale="a factor on all weights is the same on every path, and no error "
    "of this kind",
)
check(free_claim)

# %% [markdown]
r"""
## Why freeze the noise and not the score?

The score is $S = -N/g$, and that of the law of $y$ is $S_y = -N/\sigma$. In $y$ the
flow is $dy = N d\sigma = -\frac12 S_y\, d(\sigma^2)$.
To freeze the score is to take Euler's tangent in the clock $\sigma^2$: the right
panel of [the figure](#fig-exponential-tangent). Let $\psi^2 = \lambda + \sigma^2$ and
$c = \psi_s/\psi_t$, the factor of the flow. The two tangents are

$$
\begin{aligned}
\text{noise frozen:}\quad
& 1 + \frac{(\sigma_s - \sigma_t) \sigma_t}{\psi_t^2}
= \frac{\lambda + \sigma_s \sigma_t}{\psi_t^2}
= c\, \cos(\theta_t - \theta_s) , \\
\text{score frozen:}\quad
& 1 + \frac{\sigma_s^2 - \sigma_t^2}{2 \psi_t^2}
= \frac{1 + c^2}{2} = c\, \cosh(\eta_t - \eta_s) ,
\end{aligned}
$$ (eq-exponential-cosh)

with $\tan\theta = \sigma/\sqrt\lambda$ and $\eta = \log\psi$. The first line uses
$\sqrt\lambda = \psi \cos\theta$, $\sigma = \psi\sin\theta$; the second
$\sigma_s^2 - \sigma_t^2 = \psi_s^2 - \psi_t^2$ and $(c + 1/c)/2 = \cosh\log c$. Both
lose half the square of their step, $\frac12 \Delta\theta^2$ and
$\frac12\Delta\eta^2$. The difference is that $\theta$ is bounded and $\eta$ is not.
(What follows for grids is [the angle calculus](angles.ipynb); on whole runs the
products are the claims `teleport/cosines` and `angles/cosh`.)
"""

# %%
lam, one, two = sympy.symbols("lambda sigma_t sigma_s", positive=True)
psi_t, psi_s = (sympy.sqrt(lam + s**2) for s in (one, two))


def frozen(losses):
    """Step by step, what is not the flow times the stated loss."""
    noise_slope, score_slope = one / psi_t**2, 1 / (2 * psi_t**2)
    steps = (
        1 + (two - one) * noise_slope,
        1 + (two**2 - one**2) * score_slope,
    )
    flow = psi_s / psi_t
    return sympy.Matrix(
        [s - flow * w for s, w in zip(steps, losses, strict=True)]
    )


turn = sympy.atan(one / sympy.sqrt(lam)) - sympy.atan(two / sympy.sqrt(lam))
cos = sympy.expand_trig(sympy.cos(turn))
eta = sympy.log(psi_t) - sympy.log(psi_s)

# %%
cosh = sympy.cosh(eta).rewrite(sympy.exp)

# %% tags=["hide-input"]
cosh_slips = {
    "cos and cosh exchanged": (cosh, cos),
    "$\\eta = \\log(\\lambda + \\sigma^2)$": (
        cos,
        sympy.cosh(2 * eta).rewrite(sympy.exp),
    ),
    "$\\tan\\theta = \\sigma/\\lambda$": (
        sympy.expand_trig(
            sympy.cos(sympy.atan(one / lam) - sympy.atan(two / lam))
        ),
        cosh,
    ),
}

# %% tags=["hide-input"]
cosh_claim = Claim(
    id="exponential/cos-cosh",
    says=r"One step on a Gaussian mode with the noise frozen is the flow "
    r"times $\cos(\theta_t - \theta_s)$, $\tan\theta = \sigma/\sqrt\lambda$; "
    r"with the score frozen it is the flow times $\cosh(\eta_t - \eta_s)$, "
    r"$\eta = \frac12 \log(\lambda + \sigma^2)$.",
    papers=("075", "062"),
    kind="symbolic",
    formula=(cos, cosh),
    controls=cosh_slips,
    measure=frozen,
)
check(cosh_claim)

# %% [markdown]
r"""
The last step shows it. Let it go to $\sigma_s = 0$ and let $\lambda$ be small. The
flow multiplies by $\sqrt\lambda/\psi$, which is nearly zero: the mode is thin. The
score-frozen step multiplies by at least $\frac12$, because its tangent falls by
$\sigma^2/2\psi^2 \le \frac12$. The quotients of step and flow are

$$
\begin{aligned}
\text{score frozen:}\quad
& \cosh\Delta\eta = \frac{1 + u^2}{2 u} \to \infty , \\
\text{noise frozen:}\quad
& \cos\Delta\theta = u \in (0, 1] , \qquad u = \frac{\sqrt\lambda}{\psi} ,
\end{aligned}
$$ (eq-exponential-last)

as $\lambda \to 0$; the first goes like $\psi/2\sqrt\lambda$. Freezing the score
leaves a visible cloud of noise around a thin mode. Freezing the noise makes the mode
thinner than it is: the step returns $D$, with $\lambda/\psi^2$ in place of
$\sqrt\lambda/\psi$, a relative error below one. The claim measures both on steps of
the world itself.
"""

# %%
thin, leap = tensor([1e-6, 1e-4, 1e-2, 1.0]), tensor([0.7, 0.0])


def last_steps():
    """Step over flow, to sigma = 0: score frozen by hand, then DDIM."""
    mode = laws.gaussian(torch.zeros(4).double(), thin.diag())
    x, t = torch.ones(1, 4).double(), leap[0]
    score = x + t**2 / 2 * worlds.World(edm, mode).score(x, t)
    noise = chains.gain(tables.ddim(edm, leap), edm, thin)
    flow = chains.carry(mode, edm, x, t, leap[1])
    return torch.cat([score, noise.unsqueeze(0)]) / flow


def off_by(losses):
    """The largest relative error of two functions of sqrt lambda / psi."""
    thinness = (thin / (thin + leap[0] ** 2)).sqrt()
    told = torch.stack([loss(thinness) for loss in losses])
    return (told / last_steps() - 1).abs().max()


# %% tags=["hide-input"]
def thick(u):
    """(1 + u^2) / (2 u)."""
    return (1 + u**2) / (2 * u)


last_slips = {
    "the limit $1/2u$ alone": (lambda u: 1 / (2 * u), lambda u: u),
    "exchanged": (lambda u: u, thick),
    "no square root, $\\lambda/\\psi^2$": (thick, torch.square),
}

# %% tags=["hide-input"]
last_claim = Claim(
    id="exponential/last-step",
    says=r"A last step to $\sigma = 0$ on a Gaussian mode is the flow times "
    r"$(1 + u^2)/2u$ with the score frozen, and times $u$ with the noise "
    r"frozen, $u = \sqrt\lambda/\psi \le 1$, $\psi^2 = \lambda + \sigma^2$ "
    r"($\lambda$ from $10^{-6}$ to 1).",
    papers=("075",),
    kind="exact",
    formula=(thick, lambda u: u),
    controls=last_slips,
    tol=1e-13,
    because="float64, one step",
    measure=off_by,
)
check(last_claim)

# %% [markdown]
r"""
## When is one step enough?

If the data are a single point $m$, then $D = m$ everywhere, and along a trajectory
$N = (y - m)/\sigma$ does not change, by [$dy = N d\sigma$](#eq-exponential-ve):
$d(y - m) = \frac{y - m}{\sigma}\, d\sigma$. A frozen $N$ is then no approximation, so
**DDIM is exact in one step of any length**, down to the point itself; and so are all
higher orders, whose polynomials reproduce a constant. This is the limit
$\lambda \to 0$, $\theta \to \pi/2$ of the cosine, and it is the reason why DDIM is
good at the fine end: near a data set of points every trajectory ends like this.

For comparison, two slips. Euler in $t$ does not know which part of the motion is
known. And $h$ in place of $e^h - 1$ in [DDIM](#eq-exponential-ddim) is Taylor's
formula to first order. It keeps order 1, as the section on orders shows, so no
convergence plot would find it. This test does.
"""

# %%
point = laws.gaussian(tensor([0.7, -1.2]), 0.0)


def linear_h(path, ts):
    """DDIM with h in place of e^h - 1."""
    table = tables.exponential(path, ts, 1, "noise")
    rho = path.logsnr(ts) / 2
    return replace(table, B=(-path.at(ts[1:]).g * rho.diff()).unsqueeze(1))


def point_ends(makers):
    """One step from sigma = 3 to 0.05 on three paths, in y."""
    out = []
    for make, path in itertools.product(makers, three):
        ts = tables.by_nsr(path, high, 0.05, 1)
        table, one = make(path, ts), worlds.World(path, point)
        x = path.at(ts[0]).a * y_start
        x = solvers.solve(table, getattr(one, table.eats), x)
        out.append(x / path.at(ts[-1]).a)
    return torch.stack(out)


# %% tags=["hide-input"]
leapers = (FREE["DDIM"], FREE["DPM-Solver-2"], part(tables.unipc, order=1))
toward = point.mean() + 0.05 / high * (y_start - point.mean())


point_slips = {
    "Euler in $t$": lambda: point_ends(
        [lambda path, ts: tables.euler(ts)] * 3
    ),
    "$h$ for $e^h - 1$": lambda: point_ends([linear_h] * 3),
}

# %% tags=["hide-input"]
point_claim = Claim(
    id="exponential/point-mass",
    says=r"For data at a single point one step of DDIM, of DPM-Solver-2 and "
    r"of UniPC from $\sigma = 3$ to $0.05$ is exact: $y$ goes along the "
    r"straight line to the point (VP, straight and cosine path).",
    papers=("062",),
    kind="exact",
    formula=lambda: point_ends(leapers),
    controls=point_slips,
    tol=5e-13,
    because="float64; on the paths with small a the times cost digits",
    truth=lambda: toward.expand(9, 8, 2),
)
check(point_claim)

# %% [markdown]
r"""
## What does a table look like?

In this book a sampler is a table of numbers, computed once from the grid:

$$
x_{n+1} = \sum_i A_{ni}\, x_{n-i} + \sum_j B_{nj}\, F_{n-j} ,
$$ (eq-exponential-row)

where $F_{n-j}$ is the network's answer at state $n - j$, and newer ages come first.
An exponential integrator replaces $F$ by the polynomial $P$ through its last $J$
values, in some variable $u$, and integrates that exactly. With
$\vartheta = (u - u_n)/(u_{n+1} - u_n)$, so that the step is $0 \le \vartheta \le 1$,
and $P = \sum_k c_k \vartheta^k$,

$$
\begin{gathered}
x_{n+1} = A\, x_n + \sum_k W_k c_k , \\
W_k = a_s \int_t^s \vartheta^k\, d\sigma \ \text{ for } N,
\quad g_s \int_t^s \vartheta^k\, d\tfrac{1}{\sigma} \ \text{ for } D.
\end{gathered}
$$ (eq-exponential-moments)

The $c_k$ are linear in the values of $F$, so $\sum_k W_k c_k = \sum_j B_j F_{n-j}$
with weights that depend on the grid alone: this is DEIS for $N$, by Lagrange's
polynomials $B_j = a_s \int \prod_{i \ne j} \frac{u - u_{n-i}}{u_{n-j} - u_{n-i}}
d\sigma$, with $u = t$ (tAB), $u = \sigma$ ($\rho$AB in the paper's letters) or
$u = \rho$; and for $D$ with $u = \rho$ it is DPM-Solver++ but for one number.

Here are rows of four samplers in one language: $a = 1$, each step halves $\sigma$,
and all eat $D$ (a table that eats $N$ is rewritten with $N = (x - D)/\sigma$, which
is exact). Only UniPC has two lines, a predictor $p_{n+1}$ and a corrector that uses
$D$ at it; its other values of $D$ are those at $p_n$, $p_{n-1}$.
"""

# %%
halving = tables.by_nsr(edm, 16.0, 0.5, 5)
uni = FREE["UniPC-2"](edm, halving)
deis = tables.eating(tables.deis(edm, halving, 2), edm, "denoise")
SHOWN = {  # the row; the ages of x_n, x_{n-1}; of D_{n+1}, D_n, D_{n-1}
    "DDIM": (tables.ddim(edm, halving).rows[4], (0, 1), (None, 0, 1)),
    "2M": (FREE["2M"](edm, halving).rows[4], (0, 1), (None, 0, 1)),
    "DEIS-2": (deis.rows[4], (0, 1), (None, 0, 1)),
    "UniPC-2: $p_{n+1}$": (uni.rows[6], (0, None), (None, 1, 3)),
    "UniPC-2: $x_{n+1}$": (uni.rows[7], (1, None), (0, 2, 4)),
}
head = ["$x_n$", "$x_{n-1}$", "$D_{n+1}$", "$D_n$", "$D_{n-1}$"]
lines = ["| row | " + " | ".join(head) + " |", "|---" * 6 + "|"]
for name, (row, states, past) in SHOWN.items():
    A, B = dict(row.states), dict(row.past)
    cells = [A.get(i, 0.0) for i in states] + [B.get(j, 0.0) for j in past]
    told = [f"${u:.3f}$" if u else "" for u in cells]
    lines.append(f"| {name} | " + " | ".join(told) + " |")
display.Markdown("\n".join(lines))

# %% [markdown]
r"""
Each line sums to one: if $x_n = D_n = \dots$ is the same vector, nothing moves. DDIM
and 2M differ by a transfer of $\frac14$ from the last but one value to the last. DEIS-2
mixes the last two *states* when it is written for $D$: a straight line in $N$ is no
straight line in $D$, and this is how order 2 tells the targets apart. The predictor of
UniPC-2 is 2M. All of this can be seen without running anything.

Is the polynomial integrated exactly? We take a grid of random steps on the straight
path and an $N$ that depends on $u$ alone, $N = \vartheta^k$. The rows must give
$a_s \int \vartheta^k d\sigma$ for $k < J$; scipy integrates in $\sigma$ and knows no
weights. The package has $u = \sigma$ and $u = \rho$; for $u = t$ we take Lagrange's
polynomials at Gauss' nodes ourselves. "One degree more" is a control: there the rows
must fail.
"""


# %%
def in_time(path, ts, J):
    """tAB: rows B (J newest first) for N as a polynomial in t; a = 1 - t."""
    x, w = (tensor(u) for u in np.polynomial.legendre.leggauss(20))
    rows = []
    for n in range(J - 1, len(ts) - 1):
        t, h = ts[n - J + 1 : n + 1].flip(0), ts[n + 1] - ts[n]
        u = ts[n] + h * (x + 1) / 2
        speed = h / 2 * w * (1 - ts[n + 1]) / (1 - u) ** 2
        for j in range(J):
            others = [(u - t[i]) / (t[j] - t[i]) for i in range(J) if i != j]
            rows.append((speed * math.prod(others)).sum())
    return torch.stack(rows).reshape(-1, J)


def packaged(by):
    """The rows of the package behind the start."""
    return lambda path, ts, J: tables.exponential(path, ts, J, "noise", by).B[
        J - 1 :
    ]


# %%
VARIABLE = {
    "t": lambda t: t,
    "nsr": lambda t: t / (1 - t),
    "logsnr": lambda t: math.log((1 - t) / t),
}
RULES = {"t": in_time, "nsr": packaged("nsr"), "logsnr": packaged("logsnr")}
drawn = torch.rand(6, generator=shapes.rng(3), dtype=torch.float64)
uneven = 0.85 - 0.75 * drawn.cumsum(0) / drawn.sum()
uneven = torch.cat([tensor([0.85]), uneven])


@functools.cache
def integral(by, n, k):
    """a_s int theta^k d sigma by adaptive quadrature in sigma."""
    t, s = uneven[n].item(), uneven[n + 1].item()
    u = VARIABLE[by]
    theta = lambda v: (u(v / (1 + v)) - u(t)) / (u(s) - u(t))  # noqa: E731
    ends = t / (1 - t), s / (1 - s)
    found = quad(lambda v: theta(v) ** k, *ends, epsabs=1e-14, epsrel=1e-13)
    return (1 - s) * found[0]


# %%
def missed(answer):
    """The largest misfit of a row, over W_0, for monomials of low degree."""
    rules, more, worst = *answer, 0.0
    for by, J in itertools.product(RULES, (1, 2, 3)):
        B, u = rules[by](straight, uneven, J), VARIABLE[by]
        for i, row in enumerate(B.tolist()):
            n = i + J - 1
            at = [u(t) for t in uneven[n - J + 1 : n + 2].flip(0).tolist()]
            theta = [(v - at[1]) / (at[0] - at[1]) for v in at[1:]]
            for k in range(J + int(more)):
                got = sum(b * v**k for b, v in zip(row, theta, strict=True))
                off = abs(got - integral(by, n, k))
                worst = max(worst, off / abs(integral(by, n, 0)))
    return worst


# %% tags=["hide-input"]
EQUAL = {1: (1.0,), 2: (3 / 2, -1 / 2), 3: (23 / 12, -16 / 12, 5 / 12)}


def as_if_equal(path, ts, J):
    """Adams and Bashforth's fixed weights, times W_0."""
    W_0 = packaged("nsr")(path, ts, 1)[J - 1 :]
    return W_0 * tensor(EQUAL[J])


polynomial_slips = {
    "one degree more": (RULES, 1),
    "the weights of equal steps, 3/2 and -1/2": (
        dict.fromkeys(RULES, as_if_equal),
        0,
    ),
    "weights for $\\sigma$ where $N$ is a polynomial in $\\log\\sigma$": (
        RULES | {"logsnr": RULES["nsr"]},
        0,
    ),
}

# %% tags=["hide-input"]
polynomial_claim = Claim(
    id="exponential/polynomial",
    says=r"A row of order $J = 1, 2, 3$ with exact coefficients gives $a_s "
    r"\int N d\sigma$ exactly if $N$ is a polynomial of degree below $J$ in "
    r"$t$, in $\sigma$, in $\log\sigma$, whichever the row was made for "
    r"(straight path, random steps).",
    papers=("075",),
    kind="exact",
    formula=({by: RULES[by] for by in RULES}, 0),
    controls=polynomial_slips,
    tol=1e-12,
    because="float64; weights of both signs, on uneven random steps",
    measure=missed,
    scale=lambda answer, e: (
        RULES | {"nsr": lambda *at: (1 + e) * RULES["nsr"](*at)},
        0,
    ),
)
check(polynomial_claim)

# %% [markdown]
r"""
## Which tables have order $p$?

Exactness is more than order needs. Let $h$ be a bound on the steps in $\rho$, let $F$
be smooth along the trajectory, and let the ratios of consecutive steps stay bounded,
above and below.
In $\vartheta = (\rho - \rho_n)/h_n$ the answer along the exact trajectory is
$F = \sum_k c_k \vartheta^k$ with $c_k = F^{(k)} h_n^k / k! = O(h^k)$. Insert the exact
trajectory into a [row](#eq-exponential-row) with one state, $A = $ the exact linear
part, and the answers at $\vartheta_j = (\rho_{n-j} - \rho_n)/h_n$. What is missing is

$$
\sum_k r_k c_k , \qquad r_k = \sum_j B_j \vartheta_j^k - W_k .
$$ (eq-exponential-residuals)

**Order conditions.** *The sampler has order $p$ if*

$$
r_k = O(h^{p + 1 - k}), \qquad k = 0, 1, \dots, p .
$$ (eq-exponential-conditions)

*Why.* Then every step misses $O(h^{p+1})$. An error made at one step is carried to the
end by a bounded factor: in the unit $x/a$ or $x/g$ the state enters a row with weight
$1$, and $F$, which is Lipschitz in $x$, with weight $O(h)$. That is the whole
stability theory here, because $A$ looks at the newest state only. There are $O(1/h)$
steps, so the errors add up to $O(h^p)$. If a condition fails by one power, the misses
are of size $h^p$ and the order is lost, unless the misses of neighbouring steps happen
to cancel. For $k > p$ nothing is asked, because $r_k$ itself is $O(h)$; we read the
order off as

$$
p = \min_k\, (e_k + k) - 1 , \qquad r_k \sim h^{e_k} .
$$ (eq-exponential-read)

*Stages.* If a row uses an answer at a state that is off the way, and that state
misses the trajectory by $O(h^q)$, then the row misses $O(h^{q+1})$ through it, the
weight being $O(h)$. So the local exponent of a row is the least of $e_k + k$ and of
$q + 1$ over the stages that it uses. This covers DPM-Solver-2 and -3, and UniPC: its
predictor of order $p$ misses $h^{p+1}$, which enters the corrector as $h^{p+2}$. So if
the corrector's own weights satisfy one condition more, the whole has **order $p + 1$
at no more evaluations** {cite}`zhao2023unipc`.

*What follows for multistep methods with two values?* Let $r = h_{n-1}/h_n$, so
$\vartheta_1 = -r$. $r_0 = 0$ says $B_0 + B_1 = W_0$, and then $r_1 = -r B_1 - W_1$
with $W_1 = \frac12 W_0 + O(h^2)$. Order 2 asks that $r_1 = O(h^2)$:

$$
B_1 = -\frac{W_0}{2 r} + O(h^2) .
$$ (eq-exponential-two)

So 2M, which has exactly $-W_0/2r$, is of order 2 although it is not exact for straight
lines. The famous weights $\frac32, -\frac12$ put $r = 1$: then
$r_1 = \frac12 (r - 1) W_0 + O(h^2)$. If the steps alternate, $h, 2h, h, \dots$, this is
of size $h$, and the order is 1. But if the grid is a smooth function of $n/N$, such as
a geometric or a Karras grid {cite}`karras2022edm`, then $r = 1 + O(h)$, and the wrong
weights **keep order 2**. On such a grid no plot of errors finds the mistake.

*And with three?* Condition $k = 2$ asks $r_2 = O(h^2)$, so the coefficient of
$\vartheta^2$ needs the whole of $W_2 = W_0/3 + O(h^2)$. DPM-Solver++ 3M
{cite}`lu2022dpmpp` multiplies that coefficient by half of it, and so has order 2. In
the package `tables.dpmpp` is this one, and `tables.exponential` has order 3.

A reader for the theorem. It takes the rows of one kind (a stage, a landing), finds
$r_k$ on finer and finer grids and reads $e_k$ from the last two halvings. The first
rows, where a multistep method has no past yet, are left out: they happen once.
"""


# %% tags=["setup"]
def equal(n):
    """The parts of the way in rho where n equal steps land."""
    return torch.arange(n + 1).double() / n


def alternating(n):
    """Steps h, 2h, h, 2h, ..."""
    h = tensor([1.0, 2.0]).repeat(n // 2)
    return torch.cat([tensor([0.0]), h.cumsum(0)]) / h.sum()


def graded(n):
    """Karras' steps: equal in nsr^(1/7)."""
    sigma = tables.uniform(high ** (1 / 7), low ** (1 / 7), n) ** 7
    return (sigma / high).log() / math.log(low / high)


def geometric(n):
    """Each step longer than the last, by one factor, threefold in all."""
    return (3 ** equal(n) - 1) / 2


# %% tags=["setup"]
def times(path, parts):
    """The times at parts of the way from sigma = 3 to 0.3."""
    return path.when(high * (low / high) ** parts)


def rate(values):
    """The order in h at three halvings, extrapolated to h = 0."""
    slopes = -torch.stack(list(values)).log2().diff(dim=0)
    return 2 * slopes[1] - slopes[0]


# %%
@functools.cache
def made(make, grid, n):
    """A table, rho and the coefficients at its times."""
    table = make(vp, times(vp, grid(n)))
    return table, vp.logsnr(table.ts) / 2, vp.at(table.ts)


# %%
@functools.cache
def residuals(make, grid, n, kind, kinds):
    """max |r_k|, k = 0..4, of the rows of one kind; their off-way ages."""
    table, rho, c = made(make, grid, n)
    rows = torch.arange(5 * kinds + kind, len(table), kinds)
    base = rows - int(table.A[rows[0]].nonzero()[0])
    stride = rho[rows + 1] - rho[base]
    ages = table.B[rows].any(0).nonzero().flatten()
    theta = (rho[rows[:, None] - ages] - rho[base][:, None]) / stride[:, None]
    x, w = (nodes[:, None] + 1) / 2, weights[:, None] / 2
    sign = -1 if table.eats == "noise" else 1
    front = (c.a if table.eats == "noise" else c.g)[rows + 1]
    kernel = sign * stride * (sign * (rho[base] + x * stride)).exp()
    out = []
    for k in range(5):
        W = front * (w * x**k * kernel).sum(0)
        got = (table.B[rows][:, ages] * theta**k).sum(1)
        out.append((got - W).abs().max())
    off = [a for a in ages.tolist() if not table.lands[rows[0] - a]]
    return torch.stack(out), {(kind - a - 1) % kinds for a in off}


# %% tags=["setup"]
KINDS = {"DPM-Solver-2": 2, "DPM-Solver-3": 3, "UniPC": 2, "two stages": 2}


def kinds_of(name):
    """How many rows make a step."""
    return next((v for k, v in KINDS.items() if name.startswith(k)), 1)


# %%
def reading(name, make, grid, power=1, through=1, most=5):
    """p = min (e_k + power k) - 1, and over stages q + through."""
    kinds, local = kinds_of(name), []
    for kind in range(kinds):
        found = [residuals(make, grid, n, kind, kinds) for n in (32, 64, 128)]
        r = torch.stack([part for part, _ in found])
        e = torch.where(r.amin(0) < 1e-12, 9.0, rate(r).round())
        own = (e + power * torch.arange(5))[:most].min().item()
        used = [local[j] + through for j in found[0][1] if j < kind]
        local.append(min([own, *used]))
    return local[-1] - 1


# %% [markdown]
r"""
Now run them. The slope of $\log$ error against $\log N$ between $N$ and $2N$ is
$p + c/N + \dots$, so from two slopes at $N = 40, 80, 160$ the constant $p$ can be
extrapolated, twice the second minus the first. This makes slopes sharp to a
hundredth, and a lost order stands out by a hundred times that. The grids begin with
one more step, of length $h^2$: a method that has no past begins with DDIM, which costs
$h^2$ once on a step $h$, and $h^4$ on a step $h^2$. The error is measured at the eight
points in the plane, against the adaptive reference.
"""


# %%
@functools.cache
def miss(make, grid, n, extra=True):
    """The error of n steps, in y; extra: one more step at the start."""
    parts = grid(n)
    if extra:
        parts = torch.cat([parts[:1], parts[1:2] ** 2, parts[1:]])
    ts = times(vp, parts)
    table = make(vp, ts)
    x = solvers.solve(table, answers(vp, table.eats), c_0.a * y_start)
    return (x / c_1.a - flow_end(vp)).norm()


@functools.cache
def order(make, grid, extra=True):
    """The slope, extrapolated from N = 40, 80 and 160."""
    return rate(miss(make, grid, n, extra) for n in (40, 80, 160)).item()


# %% tags=["setup"]
def exponential(order, target, by="logsnr"):
    """The maker of a plain exponential integrator."""
    return part(tables.exponential, order=order, target=target, by=by)


STATED = {
    "DDIM": (tables.ddim, equal, 1),
    "DPM-Solver-2": (FREE["DPM-Solver-2"], equal, 2),
    "DPM-Solver-3": (FREE["DPM-Solver-3"], graded, 3),
    "two stages, the middle in $t$": (half_in_t, equal, 2),
    "DEIS-2": (part(tables.deis, order=2), alternating, 2),
    "DEIS-3": (FREE["DEIS-3"], alternating, 3),
    "AB2 in $\\sigma$": (exponential(2, "noise", "nsr"), alternating, 2),
    "AB3 in $\\sigma$": (exponential(3, "noise", "nsr"), geometric, 3),
    "2M": (FREE["2M"], alternating, 2),
    "third order in $D$": (exponential(3, "denoise"), alternating, 3),
    "UniPC-1": (part(tables.unipc, order=1), equal, 2),
    "UniPC-2": (FREE["UniPC-2"], graded, 3),
    "UniPC-3": (part(tables.unipc, order=3), alternating, 4),
}


# %% [markdown]
r"""
And the slips: the weights of equal steps where steps alternate; the slope of 2M
counted whole; a stage that counts half (the trapezoid's share, at the midpoint); in
DPM-Solver-3 the first stage's place in the denominator of the second; 3M as
published, believed to be of order 3; UniPC without its corrector, believed to keep
the order.
"""


# %% tags=["setup"]
def fixed_weights(path, ts):
    """AB2 in sigma with 3/2 and -1/2, whatever the steps, behind DDIM."""
    table = tables.exponential(path, ts, 2, "noise", "nsr")
    B = table.B.sum(1, keepdim=True) * tensor([1.5, -0.5])
    B[0] = table.B[0]
    return replace(table, B=B)


def whole_slope(path, ts):
    """2M with D1 in place of half of it."""
    table = tables.dpmpp(path, ts, 2)
    older = 2 * table.B[:, 1]
    return replace(table, B=torch.stack([table.B.sum(1) - older, older], 1))


# %% tags=["setup"]
def half_stage(path, ts):
    """The mean of both answers, the second being at the middle in rho."""
    return two_stages(
        path,
        ts,
        path.when(path.nsr(ts).log().unfold(0, 2, 1).mean(1).exp()),
        share=0.5,
    )


def wrong_third(path, ts):
    """DPM-Solver-3 with r_1 for r_2 in its last row."""
    table = tables.dpm_solver(path, ts, 3)
    B = table.B.clone()
    last = B[2::3]
    last[:, 2] -= last[:, 0]
    last[:, 0] *= 2
    return replace(table, B=B)


# %% tags=["hide-input"]
def but(name, make):
    """The right list, with another maker under one name."""
    return STATED | {name: (make, *STATED[name][1:])}


def faulty(answer, e):
    """Weights of one sampler off by a relative error e."""

    def make(path, ts):
        table = tables.deis(path, ts, 2)
        return replace(table, B=(1 + e) * table.B)

    return but("DEIS-2", make)


# %% tags=["hide-input"]
order_slips = {
    "3/2 and -1/2 on alternating steps": but(
        "AB2 in $\\sigma$", fixed_weights
    ),
    "2M with the whole slope": but("2M", whole_slope),
    "a stage that counts half": but("DPM-Solver-2", half_stage),
    "$r_1$ for $r_2$ in DPM-Solver-3": but("DPM-Solver-3", wrong_third),
    "3M as published, for order 3": but(
        "third order in $D$", part(tables.dpmpp, order=3)
    ),
    "UniPC-2 without its corrector": but(
        "UniPC-2", part(tables.unipc, order=2, corrector=False)
    ),
}

# %% tags=["hide-input"]
order_claim = Claim(
    id="exponential/orders",
    says=r"On a mixture in the plane (VP, $\sigma$ from 3 to 0.3) the error "
    r"after $N$ steps falls like $N^{-p}$: $p = 1$ for DDIM; 2 for "
    r"DPM-Solver-2, with the middle in $\rho$ or in $t$, DEIS-2, "
    r"Adams-Bashforth 2 in $\sigma$, DPM-Solver++ 2M and UniPC-1; 3 for "
    r"DPM-Solver-3, DEIS-3, Adams-Bashforth 3, third order in $D$ and "
    r"UniPC-2; 4 for UniPC-3. Steps equal, alternating 1 : 2, or graded.",
    papers=("062", "075"),
    kind="exact",
    formula=STATED,
    controls=order_slips,
    tol=9e-3,
    because="set after measuring: slopes extrapolated from N = 40, 80, 160, "
    "up to an order 1/N^2",
    measure=lambda list_: max(
        abs(order(make, grid) - p) for make, grid, p in list_.values()
    ),
    scale=faulty,
)

# %% tags=["hide-input"]
check(order_claim)

# %% [markdown]
r"""
And the theorem: its readings of the rows, wrong rows included, against the slopes
that were measured.
"""

# %%
READ = STATED | {
    "3/2 and -1/2, alternating": (fixed_weights, alternating, 1),
    "3/2 and -1/2, Karras' grid": (fixed_weights, graded, 2),
    "3/2 and -1/2, geometric": (fixed_weights, geometric, 2),
    "2M with the whole slope": (whole_slope, equal, 1),
    "two stages, one counts half": (half_stage, equal, 1),
    "DPM-Solver-3, wrong": (wrong_third, graded, 2),
    "3M as published": (part(tables.dpmpp, order=3), alternating, 2),
    "$h$ for $e^h - 1$": (linear_h, equal, 1),
}


def misread(read):
    """The largest difference of a reading and a measured order."""
    off = [
        read(name, make, grid) - order(make, grid)
        for name, (make, grid, _) in READ.items()
    ]
    return max(map(abs, off))


# %% tags=["hide-input"]
reading_slips = {
    "consistency is enough: $r_0$ alone": part(reading, most=1),
    "$r_k = O(h^{p+1})$ for every $k$": part(reading, power=0),
    "stages count with weight 1, not $h$": part(reading, through=0),
    "3/2 and -1/2 lose an order on every uneven grid": lambda n, m, g: (
        1 if m is fixed_weights else reading(n, m, g)
    ),
}

# %% tags=["hide-input"]
reading_claim = Claim(
    id="exponential/order-conditions",
    says=r"The order of a table is $\min_k (e_k + k) - 1$, $r_k = \sum_j "
    r"B_j \vartheta_j^k - W_k \sim h^{e_k}$, stages that miss $h^q$ counting "
    r"as $h^{q+1}$: so read from the rows alone, it is the slope measured on "
    r"the mixture, for thirteen right samplers and eight wrong ones. "
    r"Adams-Bashforth's 3/2, -1/2 have order 1 on alternating steps, and "
    r"order 2 on Karras' and on a geometric grid; 3M as published has 2.",
    papers=("075", "062"),
    kind="exact",
    formula=reading,
    controls=reading_slips,
    tol=9e-3,
    because="set after measuring, as for the orders; readings are whole "
    "numbers",
    measure=misread,
    scale="a whole number has no small error",
)
check(reading_claim)

# %%
counts = (20, 40, 80, 160)
drawn = [
    (make, figures.LEARNED, "-", name)
    for name, make in {
        "DDIM": tables.ddim,
        "AB2": exponential(2, "noise", "nsr"),
        "DEIS-3": FREE["DEIS-3"],
        "UniPC-3": STATED["UniPC-3"][0],
    }.items()
]
drawn += [
    (make, figures.WRONG, "--", name)
    for name, make in {
        "3/2, -1/2": fixed_weights,
        "3M": part(tables.dpmpp, order=3),
    }.items()
]

# %% mystnb={"figure": {"caption": "Error at $\\sigma = 0.3$ against the number of steps on the mixture, right samplers (blue) and slips (red, dashed); steps alternate 1 : 2.", "name": "fig-exponential-orders"}, "image": {"alt": "On logarithmic axes solid lines of slope minus 1, 2, 3 and 4 and two dashed lines: fixed weights fall in parallel to DDIM, far above exact weights; 3M as published falls in parallel to 2M."}}
figure, axes = figures.canvas(
    "A wrong weight costs an order, not a factor", height=3.4
)
for make, colour, style, name in drawn:
    e = [miss(make, alternating, n) for n in counts]
    axes.loglog(counts, e, style, color=colour)
    figures.label_line(axes, 160, e[-1], name, colour)
axes.set(xlabel="steps", ylabel="error", xlim=(18, 300))
axes.set_xticks(counts, [str(n) for n in counts])
axes.minorticks_off()
plt.show()

# %% [markdown]
r"""
An order is a statement about the limit. It does not say which sampler is best with
five steps, nor that a wrong weight is worse on the grid at hand: on the geometric grid
the fixed weights have order 2 like the right ones, and may well have the smaller
constant.

## Which linear part is best?

So far the linear part was what the path dictates: in $y$ nothing at all, since
[$dy = N d\sigma$](#eq-exponential-ve). DPM-Solver-v3 {cite}`zheng2023dpmv3` asks for
more. Split

$$
N(y, \sigma) = l(\sigma)\, y + b(\sigma) + R(y, \sigma) ,
$$ (eq-exponential-split)

integrate the first two parts exactly and freeze only $R$. With
$F(\tau, \sigma) = \int_\tau^\sigma l$, a step from $\sigma_t$ to $\sigma_s$ is

$$
y_s = e^{F(\sigma_t, \sigma_s)} y_t
+ \int_{\sigma_t}^{\sigma_s} e^{F(\tau, \sigma_s)}\, b(\tau)\, d\tau
+ R_t \int_{\sigma_t}^{\sigma_s} e^{F(\tau, \sigma_s)}\, d\tau .
$$ (eq-exponential-leap)

Which $l$? We want $R$ to depend on $y$ as little as possible and minimise
$\mathbb E|\partial_y N - l|^2$ over the law of $y$, so $l^* = \mathbb E[\partial_y N]$,
and $b^* = \mathbb E N - l^*\, \mathbb E y$. In $d$ dimensions the diagonal of the
matrix $\mathbb E[\partial N]$ is used, because the whole is too large. No Jacobian is
needed: $N = -\sigma \nabla \log p$, so $\nabla p = -p N/\sigma$, and by parts (Stein)

$$
\mathbb E[\partial_j N_i] = \int p\, \partial_j N_i
= -\int (\partial_j p)\, N_i
= \frac1\sigma\, \mathbb E[N_i N_j] .
$$ (eq-exponential-stein)

This is $\sigma$ times the Fisher information of $y$. The boundary terms vanish since
$p$ falls like a Gaussian and $N$ grows linearly. We check it by the trapezoid rule on
a large square, on which it is exact to rounding for densities like these.
"""

# %%
levels = (0.3, 1.0, 3.0)
flat_world = worlds.World(edm, law)


@functools.cache
def stein(s):
    """p, N and the Jacobian of N on a square grid, at noise level s."""
    side = 1.5 + 8 * math.sqrt(width + s**2)
    line = tables.uniform(-side, side, 90)
    y = torch.cartesian_prod(line, line).requires_grad_()
    N = answers(edm, "noise")(y, tensor(s))
    J = [
        torch.autograd.grad(N[:, i].sum(), y, retain_graph=True)[0]
        for i in (0, 1)
    ]
    p = flat_world.log_prob(y.detach(), tensor(s)).softmax(0)
    return p, N.detach(), torch.stack(J, 1)


# %%
def averages(rule):
    """rule(p, N, s) as a matrix, at the three levels."""
    return torch.stack([rule(*stein(s)[:2], s) for s in levels])


def products(p, N, s, power=1):
    """E[N N'] / s^power."""
    return N.mT @ (p[:, None] * N) / s**power


# %% tags=["hide-input"]
def gauss_guess(p, N, s):
    """s (C + s^2)^-1 with the mixture's C: right for one Gaussian."""
    return s * torch.linalg.inv(law.cov() + s**2 * torch.eye(2).double())


stein_slips = {
    "$\\mathbb E[N] \\mathbb E[N]^\\top/\\sigma$": lambda: averages(
        lambda p, N, s: torch.outer(p @ N, p @ N) / s
    ),
    "$\\mathbb E[N N^\\top]$, no $1/\\sigma$": lambda: averages(
        part(products, power=0)
    ),
    "$\\sigma^2$ for $\\sigma$": lambda: averages(part(products, power=2)),
    "of the Gaussian with the same covariance": lambda: averages(gauss_guess),
}

# %% tags=["hide-input"]
stein_claim = Claim(
    id="exponential/stein",
    says=r"At noise level $\sigma$ the mean Jacobian of the exact noise "
    r"prediction is $\mathbb E[\partial_j N_i] = \mathbb E[N_i N_j]/\sigma$ "
    r"(mixture in the plane, $\sigma = 0.3, 1, 3$): its diagonal is the best "
    r"linear part $l^*$.",
    papers=("074",),
    kind="exact",
    formula=lambda: averages(products),
    controls=stein_slips,
    tol=1e-12,
    because="the trapezoid rule on 8 standard deviations, float64",
    truth=lambda: torch.stack(
        [torch.einsum("n,nij->ij", stein(s)[0], stein(s)[2]) for s in levels]
    ),
)
check(stein_claim)

# %% [markdown]
r"""
*Gaussian data $\mathcal N(m, \lambda)$.* $N = \sigma (y - m)/(\lambda + \sigma^2)$ is
itself of the form $l y + b$ with $l^* = \sigma/(\lambda + \sigma^2)$, $b^* = -m\, l^*$
and $R = 0$. Since $e^{F(\tau, \sigma)} = \psi_\sigma/\psi_\tau$ and
$\int \tau\, \psi_\tau^{-3} d\tau = -1/\psi_\tau$, [the step](#eq-exponential-leap) is
$\frac{\psi_s}{\psi_t} y_t + m\,(1 - \frac{\psi_s}{\psi_t})$: the flow, **exact in one
evaluation for any step**. But only if $b^*$ is integrated as well. With $l^*$ alone the
rest $R = b^*(\sigma)$ moves with $\sigma$, and to freeze it is an error unless $m = 0$.

*Rotated covariance.* Let $C = U \Lambda U^\top$ with eigenvectors that are not the
coordinate axes. With the whole matrix $\mathbb E[\partial N] = \sigma
(C + \sigma^2)^{-1}$ as linear part the step is exact. With its diagonal it is not: $R$
keeps the off-diagonal part, which depends on $y$, and the method is of order 1 again,
like DDIM. So "optimal" means: the best among the diagonal ones, in the coordinates at
hand.

One function does all of this. In a basis $V$ let
$l_i = \sum_k P_{ik}\, \sigma/(\lambda_k + \sigma^2)$, so that
$F_i = \frac12 \sum_k P_{ik} \log(\lambda_k + \sigma^2)$ between the ends. The whole
matrix is $V = U$, $P = I$, the diagonal $V = I$, $P_{ik} = U_{ik}^2$; integrals by
Gauss' rule in $\log\sigma$.
"""

# %%
cosine, sine = math.cos(0.6), math.sin(0.6)
tilt, eye = tensor([[cosine, -sine], [sine, cosine]]), torch.eye(2).double()
lams, m, y_far = tensor([2.0, 0.1]), tensor([0.4, -1.0]), tensor([[1.0, 2.0]])
oval = laws.gaussian(m, tilt @ lams.diag() @ tilt.mT)
oval_end = chains.carry(oval, edm, y_far, tensor(high), tensor(low))


# %%
def walk_with(V, P, n, variances=lams, bias=True, y=y_far):
    """n steps from sigma = 3 to 0.3, linear part P in basis V."""
    grid, centre = tables.uniform(math.log(high), math.log(low), n), m @ V
    for r_0, r_1 in itertools.pairwise(grid):
        tau = (r_0 + (r_1 - r_0) * (nodes[:, None] + 1) / 2).exp()
        dtau, s, z = (
            weights[:, None] / 2 * (r_1 - r_0) * tau,
            r_0.exp(),
            y @ V,
        )
        N = s * (y - m) @ tilt / (lams + s**2) @ tilt.mT @ V
        l_0, l_tau = (u / (variances + u**2) @ P.mT for u in (s, tau))
        F_0, F, F_1 = (
            (variances + u**2).log() @ P.mT / 2 for u in (s, tau, r_1.exp())
        )
        b_0, b = -centre * l_0 * bias, -centre * l_tau * bias
        rest = N - l_0 * z - b_0
        total = (dtau * (F_1 - F).exp() * (b + rest)).sum(0)
        y = ((F_1 - F_0).exp() * z + total) @ V.mT
    return y


# %% tags=["hide-input"]
leap_slips = {
    "$l = \\sigma/(1 + \\sigma^2)$: the wrong variance": lambda: walk_with(
        tilt, eye, 1, torch.ones(2).double()
    ),
    "$b$ frozen with the rest": lambda: walk_with(tilt, eye, 1, bias=False),
    "the diagonal in the coordinates at hand": lambda: walk_with(
        eye, tilt**2, 1
    ),
    "one number for all, the mean": lambda: walk_with(
        eye, torch.full_like(eye, 0.5), 1
    ),
}

# %% tags=["hide-input"]
leap_claim = Claim(
    id="exponential/one-step",
    says=r"For a Gaussian $\mathcal N(m, C)$ in the plane, with rotated "
    r"axes, one step from $\sigma = 3$ to $0.3$ with the linear part "
    r"$\mathbb E[\partial N] = \sigma (C + \sigma^2)^{-1}$, diagonal in the "
    r"right coordinates, and $b^* = -l^* m$, both integrated exactly, is "
    r"the flow. With the diagonal in other coordinates it is not.",
    papers=("074",),
    kind="exact",
    formula=lambda: walk_with(tilt, eye, 1),
    controls=leap_slips,
    tol=1e-13,
    because="Gauss' rule with 24 nodes in log sigma",
    truth=lambda: oval_end,
)
check(leap_claim)

# %% [markdown]
r"""
The mean has been put in on purpose. At $m = 0$ the control "$b$ frozen" would be the
formula itself. And the order that returns with the diagonal:
"""

# %% tags=["hide-input"]
diagonal_slips = {"like $1/N^2$": 2.0, "not at all": 0.0}

# %% tags=["hide-input"]
diagonal_claim = Claim(
    id="exponential/rotated-order",
    says=r"On the rotated Gaussian the error of the diagonal linear part "
    r"falls like $1/N$.",
    papers=("074",),
    kind="exact",
    formula=1.0,
    controls=diagonal_slips,
    tol=9e-5,
    because="set after measuring: the slope extrapolated from N = 80, 160, "
    "320 is off by a third of it",
    truth=lambda: rate(
        (walk_with(eye, tilt**2, n) - oval_end).norm() for n in (80, 160, 320)
    ),
)
check(diagonal_claim)

# %% [markdown]
r"""
*Mixtures.* Is the best linear part better than none? For $l = 0$ the method is DDIM, so
the question is whether $l^*$ beats DDIM. The paper's answer, for trained networks and
its whole method, is yes. For a mixture the answer depends on how far its components
are apart. $\partial N$ is $\sigma/(\lambda + \sigma^2)$ inside a component, and between
two of them it is far lower, even negative, since there $D$ jumps. If the components
overlap, an average represents both; if they are far apart, no trajectory sees the
average. So we take two mixtures on the line and compare, at $N = 5, 8, 16, 32$ steps,
the root mean square distance from the flow, with $l^*$ ($b$ left in the rest) and without. The
variance between components is 0.7 times that within them in the first, 43 times in
the second.
"""

# %%
MIXTURES = {  # means, variance, weights
    "overlapping": (tensor([-1.0, 0.0, 1.2]), 1.0, tensor([0.3, 0.4, 0.3])),
    "separated": (tensor([-4.0, 0.0, 4.0]), 0.25, torch.ones(3).double() / 3),
}
ladder = tables.uniform(math.log(5.0), math.log(0.02), 160).exp()


def on_line(mix, y, s):
    """N and its slope for a mixture on the line; s against y."""
    means, v, w = mix
    off, V = y[..., None] - means, v + s[..., None] ** 2
    r = (w.log() - off**2 / (2 * V)).softmax(-1)
    mean, square = (r * off).sum(-1), (r * off**2).sum(-1)
    V = V[..., 0]
    return s * mean / V, s / V * (1 - (square - mean**2) / V)


# %%
@functools.cache
def statistics(name):
    """E[N^2] / sigma on the ladder, and the spread of the slope of N."""
    means, v, w = mix = MIXTURES[name]
    s = ladder[:, None]
    y = tables.uniform(-1, 1, 800) * (4 + 9 * (v + s**2).sqrt())
    far = (y[..., None] - means) ** 2 / (2 * (v + s[..., None] ** 2))
    p = (w * (-far).exp()).sum(-1)
    N, slope = on_line(mix, y, s)
    p = p / p.sum(1, keepdim=True)
    best = (p * N**2).sum(1) / ladder
    return best, ((p * slope**2).sum(1) - best**2).clamp(min=0).sqrt()


# %%
def integrated(f):
    """int f d sigma along the ladder, by the trapezoid rule in log sigma."""
    g = f * ladder
    return torch.cumulative_trapezoid(g, ladder.log(), dim=0)


def on_ladder(name, y, n, linear):
    """n steps equal in log sigma, the linear part given on the ladder."""
    F = torch.cat([tensor([0.0]), integrated(linear)])
    rungs = torch.linspace(0, 160, n + 1).round().long().tolist()
    for a, b in itertools.pairwise(rungs):
        N = on_line(MIXTURES[name], y, ladder[a])[0]
        way = (F[b] - F[a : b + 1]).exp() * ladder[a : b + 1]
        hold = torch.trapezoid(way, ladder[a : b + 1].log())
        y = (F[b] - F[a]).exp() * y + hold * (N - linear[a] * y)
    return y


# %%
def line_flow(name, y):
    """The flow, by the classical Runge-Kutta method in log sigma."""
    rungs = tables.uniform(math.log(5.0), math.log(0.02), 200)

    def field(y, r):
        return r.exp() * on_line(MIXTURES[name], y, r.exp())[0]

    return solvers.solve(tables.rk4(rungs), field, y[:, None])[:, 0]


# %%
@functools.cache
def gains(name):
    """Root mean square error with l*, over that of DDIM, N = 5, 8, 16, 32."""
    means, v, w = MIXTURES[name]
    u = (torch.arange(400).double() + 0.5) / 400
    sd = ((w * means**2).sum() - (w @ means) ** 2 + v + 25).sqrt()
    y = w @ means + sd * torch.special.ndtri(u)
    flow, out = line_flow(name, y), []
    for n in (5, 8, 16, 32):
        with_l, without = (
            (on_ladder(name, y, n, linear) - flow).square().mean().sqrt()
            for linear in (statistics(name)[0], torch.zeros(161).double())
        )
        out.append(with_l / without)
    return torch.stack(out)


# %%
def outside(bounds):
    """How far the ratios lie outside the bounds, overlapping, separated."""
    far = [
        torch.maximum(a - gains(name), gains(name) - b).clamp(min=0).max()
        for name, (a, b) in zip(MIXTURES, bounds, strict=True)
    ]
    return max(far)


# %% tags=["hide-input"]
sign_slips = {
    "$l^*$ always wins": ((0.0, 1.0), (0.0, 1.0)),
    "$l^*$ never wins": ((1.0, 9.0), (1.0, 9.0)),
    "the two mixtures exchanged": ((1.3, 1.5), (0.0, 0.05)),
}

# %% tags=["hide-input"]
sign_claim = Claim(
    id="exponential/linear-part",
    says=r"With the best linear part $l^*$ the error over that of DDIM is, "
    r"at 5, 8, 16 and 32 steps from $\sigma = 5$ to $0.02$, below $0.05$ on "
    r"the mixture of means $-1, 0, 1.2$, weights $.3, .4, .3$, variance 1, "
    r"and between $1.3$ and $1.5$ on that of means $-4, 0, 4$, equal "
    r"weights, variance $1/4$: its sign depends on the law.",
    papers=("074",),
    kind="exact",
    formula=((0.0, 0.05), (1.3, 1.5)),
    controls=sign_slips,
    tol=1e-3,
    because="set after measuring: the bounds leave 0.01 on each side",
    measure=outside,
    scale="an interval this wide does not see a thousandth",
)
check(sign_claim)

# %% mystnb={"figure": {"caption": "The best linear part, in units of $1/\\sigma$ (grey line), and one standard deviation of the slope $\\partial_y N$ around it (band), against the noise level, for the two mixtures. DDIM takes out 0 (dashed).", "name": "fig-exponential-linear"}, "image": {"alt": "Two panels, curves that fall from nearly 1 at high noise, left, to 0 at low noise. For the overlapping mixture the band is hardly wider than the line; for the separated one it is very wide around noise level 1 to 2."}}
figure, axes = figures.canvas(
    "An average slope helps only if all slopes are near it",
    columns=2,
    sharey=True,
)
for ax, name in zip(axes, MIXTURES, strict=True):
    best, spread = (ladder * part_ for part_ in statistics(name))
    ax.fill_between(
        ladder, best - spread, best + spread, color=figures.LEARNED, alpha=0.3
    )
    ax.semilogx(ladder, best, color=figures.EXACT, lw=2.5)
    ax.axhline(0, ls="--", color=figures.SECOND)
    ax.set_title(name, fontsize=9, fontweight="normal")
    ax.set(xlabel=r"$\sigma$", xlim=(5, 0.02), ylim=(-0.6, 1.4))
axes[0].set_ylabel(r"$\sigma\, \partial_y N$")
plt.show()

# %% [markdown]
r"""
On the left the slope is almost the same everywhere, and to take it out leaves almost
nothing. On the right the band is wide just where the trajectories decide: the average
fits nobody. A trained network on images is a third case, which this does not decide.

## What if the noise has a mean?

Restoration models let the image drift towards a degraded image $\mu$ instead of
towards zero {cite}`li2025mrsampler`:

$$
dx = \beta_t (\mu - x)\, dt + s_\infty \sqrt{2 \beta_t}\, dW .
$$ (eq-exponential-mr)

Subtract $\mu$: $y = x - \mu$ obeys $dy = -\beta y\, dt + s_\infty \sqrt{2\beta}\, dW$. So
$y_t = a_t (x_0 - \mu) + g_t z$ with $a = e^{-\int \beta}$, and the variance
$\dot V = -2 \beta V + 2 \beta s_\infty^2$, $V_0 = 0$, gives
$g^2 = s_\infty^2 (1 - a^2)$: a variance-preserving path up to the unit $s_\infty$, for the
data $x_0 - \mu$. **Every integrator of this chapter transfers** by solving for
$x - \mu$ with the denoiser $D - \mu$. In the letters of $x$, to order 1,

$$
x_s = \mu + \frac{g_s}{g_t} (x_t - \mu) + a_s (1 - e^{-h})\, (D - \mu) ,
$$

and 2M puts $D + \frac{h_n}{2 h_{n-1}} (D - D_{n-1})$ for $D$. The rows need no change.
What must not be forgotten is the shift, in the state and in the answer; without it
the sampler converges to something else.

The world: $x_0 \sim \mathcal N(1.3, 0.4)$, $\mu = -2.1$, $s_\infty = 0.7$,
$\beta = 0.3 + 1.7 t$. The truth is scipy's solution of the flow of
[the SDE](#eq-exponential-mr) as it stands, $\dot x = \beta (\mu - x) - \beta s_\infty^2
S$, with the score $S$ of $x_t$.
"""

# %%
clock, m_0, v_0, mu = paths.t, 1.3, 0.4, -2.1
pull = sympy.exp(
    -(sympy.Rational(3, 10) + sympy.Rational(17, 20) * clock) * clock
)
spring = paths.Path(
    pull, 0, sympy.Rational(49, 100) * (1 - pull**2), 1.6, "mean reverting"
)
mr_start = torch.linspace(-4, 0, 8, dtype=torch.float64)[:, None]


def mr_denoiser(x, t):
    """E[x0 | x_t] for x_t = mu + a (x0 - mu) + g z."""
    c = spring.at(t)
    off = x - mu - c.a * (m_0 - mu)
    return m_0 + c.a * v_0 / (c.a**2 * v_0 + c.g2) * off


# %%
@functools.cache
def mr_flow():
    """The flow from sigma = 3 to 0.1, in the letters of the SDE."""

    def slope(t, x):
        a = math.exp(-0.3 * t - 0.85 * t**2)
        V = a**2 * v_0 + 0.49 * (1 - a**2)
        score = -(x - mu - a * (m_0 - mu)) / V
        return (0.3 + 1.7 * t) * (mu - x - 0.49 * score)

    ends = spring.when(tensor([3.0, 0.1])).tolist()
    x = mr_start[:, 0].numpy()
    run = solve_ivp(slope, ends, x, "DOP853", rtol=1e-13, atol=1e-13)
    return tensor(run.y[:, -1:])


# %%
@functools.cache
def mr_order(make, state, answer):
    """The order of a sampler that shifts state and answer by these."""
    errors = []
    for n in (40, 80, 160):
        ts = tables.by_nsr(spring, 3.0, 0.1, n)
        y = solvers.solve(
            make(spring, ts),
            lambda y, t: mr_denoiser(y + state, t) - answer,
            mr_start - state,
        )
        errors.append((y + state - mr_flow()).norm())
    return rate(errors).item()


def mr_off(shifts):
    """The distance of the two orders from 1 and 2."""
    made = ((tables.ddim, 1), (FREE["2M"], 2))
    return max(abs(mr_order(make, *shifts) - p) for make, p in made)


# %% tags=["hide-input"]
mr_slips = {
    "no shift": (0.0, 0.0),
    "the state shifted, not the answer": (mu, 0.0),
    "the answer shifted, not the state": (0.0, mu),
    "the sign of $\\mu$": (-mu, -mu),
}

# %% tags=["hide-input"]
mr_claim = Claim(
    id="exponential/mean-reversion",
    says=r"For $dx = \beta(\mu - x) dt + s_\infty \sqrt{2\beta}\, dW$, run "
    r"for $x - \mu$ with the denoiser $D - \mu$ on the path $a = e^{-\int "
    r"\beta}$, $g^2 = s_\infty^2 (1 - a^2)$, DDIM converges to its flow with "
    r"order 1 and 2M with order 2 ($\mu = -2.1$, Gaussian data, $\sigma$ "
    r"from 3 to 0.1); without the "
    r"shift the error tends to a constant other than 0.",
    papers=("042",),
    kind="exact",
    formula=(mu, mu),
    controls=mr_slips,
    tol=9e-3,
    because="set after measuring, as for the orders; not down to 0.3 as "
    "before, where the leading constant of 2M nearly vanishes in this world",
    measure=mr_off,
)
check(mr_claim)

# %% [markdown]
r"""
It is tempting to add that Euler in $t$, though of order 1 too, has the larger
constant. It has not, in general. Take $x_0 \sim \mathcal N(\mu, \lambda)$, so that only
the spread matters. Both methods multiply it by known factors, products of
[tangents](#eq-exponential-tangent) and of [cosines](#eq-exponential-cosh), and the
package reads both off their tables. If $\lambda = s_\infty^2$, then $\psi$ is constant
in $t$, its tangent is exact, and Euler makes *no error at all*, while DDIM errs. If
$\lambda$ is small, $\psi$ behaves like $\sqrt t$ near the data, and Euler is the worse
one. We compare at $s_\infty^2 = 0.49$, with 160 steps that are equal in $\rho$ and
that are equal in $t$, from $t = 1.6$ to $0.01$.
"""

# %%
spreads = tensor([1e-3, 0.4])
mr_grids = (
    tables.by_nsr(spring, *spring.nsr(tensor([1.6, 0.01])).tolist(), 160),
    tables.uniform(1.6, 0.01, 160),
)


def error_ratio():
    """|Euler's error| / |DDIM's error|: rows rho-equal, t-equal."""
    out = []
    for ts in mr_grids:
        flow = chains.flow_factor(spring, spreads, ts[0], ts[-1])
        euler, ddim = (
            chains.gain(table, spring, spreads) - flow
            for table in (tables.euler(ts), tables.ddim(spring, ts))
        )
        out.append((euler / ddim).abs().log())
    return torch.stack(out)


# %%
ratios = error_ratio()


# %% tags=["hide-input"]
def misjudged(signs):
    """How far log ratios are from the side of 0 told, beyond log 5."""
    return (math.log(5) - tensor(signs) * ratios).clamp(min=0).max()


negative_slips = {
    "Euler's constant is the larger one": ((1.0, 1.0), (1.0, 1.0)),
    "Euler's constant is the smaller one": ((-1.0, -1.0), (-1.0, -1.0)),
    "it is a matter of the grid": ((1.0, 1.0), (-1.0, -1.0)),
}

# %% tags=["hide-input"]
negative_claim = Claim(
    id="exponential/no-larger-constant",
    says=r"In the mean-reverting world ($s_\infty^2 = 0.49$, $\beta = 0.3 + "
    r"1.7 t$, 160 steps from $t = 1.6$ to $0.01$) with data $\mathcal N(\mu, "
    r"\lambda)$ the error of Euler in $t$ is more than five times that of "
    r"DDIM if $\lambda = 0.001$ and less than a fifth if $\lambda = 0.4$, "
    r"with steps equal in $\rho$ and with steps equal in $t$: neither has "
    r"the larger constant in general.",
    papers=("042",),
    kind="exact",
    formula=((1.0, -1.0), (1.0, -1.0)),
    controls=negative_slips,
    tol=1e-3,
    because="set after measuring: the ratios lie beyond 5 and 1/5",
    measure=misjudged,
    scale="a sign has no small error",
)
check(negative_claim)

# %% [markdown]
r"""
What the exponential step does have, and Euler has not, is exactness where $D$ is
constant, and freedom from the schedule. Those are theorems. "Smaller error" is a race,
and depends on the world and on the grid.

## Break it

- In `fixed_weights` replace `tensor([1.5, -0.5])` by `tensor([1.4, -0.4])`, and read
the order on all four grids with `reading`. Which condition fails now?
- In `order` use `extra=False`: which of the samplers of `STATED` lose an order, and why
not UniPC-2?
- Set $\mu = 0$ in the last world. Which controls of `exponential/mean-reversion` are
no longer rejected?

## What this does not show

The fields are exact. A network errs, and its errors are multiplied by the weights of
the table whatever its order; large negative weights, as in high-order multistep rows,
multiply them most. Orders are limits: `exponential/orders` has 40 steps and more
where people take ten. The sections on the linear part isolate one ingredient of
DPM-Solver-v3; its scaling coefficient, multistep and corrector parts are left out. So are
the SDE solvers for mean reversion. In what coordinates the polynomial is best taken
is a question for [data or noise?](prediction.ipynb); which grid, for
[the angles](angles.ipynb).

## Exercises

**1.** Write the weight of $N$ in one step of DDIM, as a function of `a_t, g_t, a_s,
g_s`.
"""

# %%
spots = {
    "a_t": tensor([0.1, 0.3, 1.0, 0.6]),
    "g_t": tensor([0.9, 0.8, 3.0, 0.8]),
    "a_s": tensor([0.4, 0.7, 1.0, 0.99]),
    "g_s": tensor([0.6, 0.7, 0.2, 0.1]),
}


def weight_by_quadrature(a_t, g_t, a_s, g_s):
    """-a_s int e^-rho d rho, by scipy."""
    found = []
    for at, gt, as_, gs in zip(a_t, g_t, a_s, g_s, strict=True):
        ends = math.log(at / gt), math.log(as_ / gs)
        found.append(-as_ * quad(lambda r: math.exp(-r), *ends)[0])
    return torch.stack(found)


# %% tags=["hide-input"]
def half_logsnr_step(a_t, g_t, a_s, g_s):
    """h."""
    return (a_s * g_t / (g_s * a_t)).log()


weight_slips = {
    "h for e^h - 1": lambda a_t, g_t, a_s, g_s: (
        -g_s * half_logsnr_step(a_t, g_t, a_s, g_s)
    ),
    "this is the weight of D, with a and g exchanged": (
        lambda a_t, g_t, a_s, g_s: a_s - g_s * a_t / g_t
    ),
    "the state is rescaled by a_s / a_t, so is its noise": (
        lambda a_t, g_t, a_s, g_s: g_s - g_t
    ),
    "the sign: noise is taken away": (
        lambda a_t, g_t, a_s, g_s: a_s * g_t / a_t - g_s
    ),
}

# %% tags=["hide-input"]
weight_exercise = Claim(
    id="exponential/weight-exercise",
    says="the weight of the noise in a step of DDIM",
    papers=("062",),
    kind="exact",
    formula=None,
    controls=weight_slips,
    tol=1e-12,
    because="float64",
    at=spots,
    truth=weight_by_quadrature,
)


# %% tags=["solution", "hide-cell"]
def noise_weight(a_t, g_t, a_s, g_s):
    """g_s - a_s g_t / a_t."""
    return g_s - a_s / a_t * g_t


# %%
attempt(weight_exercise, noise_weight)

# %% [markdown]
r"""
**2.** *Derive.* In a variable $u$ with $dy = F\, du$ the last step was `before`, the
next is `now`. Which weights $B_0, B_1$ of $F_n, F_{n-1}$ make the step exact for every
$F$ that is linear in $u$? Return them as a tensor of shape `(2, n)`.
"""

# %%
pairs = {
    "before": tensor([1.0, 2.0, 1.0, 0.3]),
    "now": tensor([1.0, 1.0, 2.0, 0.7]),
}


def by_moments(before, now):
    """The two conditions r_0 = r_1 = 0, as a linear system."""
    one = torch.ones_like(now)
    left = torch.stack([one, one, 0 * one, -before], 1).reshape(-1, 2, 2)
    right = torch.stack([now, now**2 / 2], 1)
    return torch.linalg.solve(left, right).mT


# %% tags=["hide-input"]
def two_weights(B_1):
    """The pair with the right sum."""

    def pair(before, now):
        older = B_1(before, now) + 0 * now
        return torch.stack([now - older, older])

    return pair


two_slips = {
    "3/2 and -1/2 hold for equal steps": two_weights(lambda b, n: -n / 2),
    "the ratio of the steps is upside down": two_weights(lambda b, n: -b / 2),
    "the slope counts half: the integral of u over the step": (
        two_weights(lambda b, n: -(n**2) / b)
    ),
    "the sign: this interpolates, it must extrapolate": two_weights(
        lambda b, n: n**2 / (2 * b)
    ),
}

# %% tags=["hide-input"]
two_exercise = Claim(
    id="exponential/two-exercise",
    says="the weights of two values on uneven steps",
    papers=("075",),
    kind="exact",
    formula=None,
    controls=two_slips,
    tol=1e-12,
    because="float64",
    at=pairs,
    truth=by_moments,
)


# %% tags=["solution", "hide-cell"]
def uneven_weights(before, now):
    """now (1 + r / 2) and -now r / 2 with r = now / before."""
    older = -(now**2) / (2 * before)
    return torch.stack([now - older, older])


# %%
attempt(two_exercise, uneven_weights)

# %% [markdown]
r"""
**3.** *Experiment.* Measure an order yourself. `landing(make, n)` runs the sampler that
`make(path, ts)` makes for `n` steps on the mixture and returns the eight end points;
`flow_end(vp)` is where the flow ends. Write a function of `make` that returns its order
to within a tenth. (Then let it judge a table of your own.)
"""


# %%
@functools.cache
def landing(make, n):
    """The end points y of n equal steps in rho."""
    ts = times(vp, equal(n))
    table, x = make(vp, ts), vp.at(ts[0]).a * y_start
    x = solvers.solve(table, answers(vp, table.eats), x)
    return x / vp.at(ts[-1]).a


judged = {
    FREE["DDIM"]: 1,
    FREE["DPM-Solver-2"]: 2,
    FREE["DPM-Solver-3"]: 3,
}


def misjudging(answer):
    """The largest distance of the answer from the order, in orders."""
    return max(abs(float(answer(make)) - p) for make, p in judged.items())


# %% tags=["hide-input"]
def errors_of(make, truth=None, counts=(24, 48)):
    """Two errors, the second with twice the steps."""
    truth = flow_end(vp) if truth is None else truth
    return [(landing(make, n) - truth).norm() for n in counts]


def by_finest(make):
    """With the run of 96 steps in place of the truth."""
    one, two = errors_of(make, landing(make, 96))
    return (one / two).log2()


# %% tags=["hide-input"]
order_slips = {
    "this is the ratio of the errors, 2 to the order": lambda make: (
        errors_of(make)[0] / errors_of(make)[1]
    ),
    "the natural logarithm, over a doubling": lambda make: (
        errors_of(make)[0] / errors_of(make)[1]
    ).log(),
    "the sign: errors fall": lambda make: (
        errors_of(make)[1] / errors_of(make)[0]
    ).log2(),
    "a finer run is not the truth: it errs too": by_finest,
}

# %% tags=["hide-input"]
order_exercise = Claim(
    id="exponential/order-exercise",
    says="the order of a sampler, measured",
    papers=("062", "075"),
    kind="exact",
    formula=None,
    controls=order_slips,
    tol=0.1,
    because="slopes between 24 and 48 steps",
    measure=misjudging,
)


# %% tags=["solution", "hide-cell"]
def measured_order(make):
    """log2 of the ratio of two errors, the second with twice the steps."""
    one, two = ((landing(make, n) - flow_end(vp)).norm() for n in (24, 48))
    return (one / two).log2()


# %%
attempt(order_exercise, measured_order)

# %% [markdown]
r"""
**4.** *A new control.* Find weights for two values that satisfy
[the condition for order 2](#eq-exponential-two) on alternating steps, and whose
$r_0$ is not zero but $O(h^3)$. Which order does `reading` tell, which does `order`
measure, and why does the sampler now miss a single point?

## Summary

| what | formula, $\rho = \log(a/g)$, $\sigma = e^{-\rho}$ | claim |
|---|---|---|
| the bound on Euler in $\rho$ | $h \le 2/\sin^2\theta$ | `step-bound` |
| the exact step | $x_s = \frac{a_s}{a_t} x_t + a_s \int N d\sigma$ | `formula` |
| order 1 | $\frac{a_s}{a_t} x_t - g_s (e^h - 1) N$ | `first-order` |
| schedule | enters only through $\sigma_n$ | `schedule-free` |
| loss, noise or score frozen | $\cos\Delta\theta$, $\cosh\Delta\eta$ | `cos-cosh` |
| order of a row | $\min_k (e_k + k) - 1$ | `order-conditions` |
| best linear part | $l^* = \mathbb E[N^2]/\sigma$ | `stein` |
| mean reversion | solve for $x - \mu$ | `mean-reversion` |

**Where next.** [The angles](angles.ipynb) choose the grid on which DDIM loses least, and
[data or noise?](prediction.ipynb) asks what the target does from order 2 on. What
a few steps do to a mixture is shown in
[the gap](../mixtures/gap.ipynb).
"""
