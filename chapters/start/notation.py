# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# The notation, and four dialects

DDPM, EDM, flow matching and stochastic interpolants are four dialects of one
language. This chapter is the dictionary: each translation is derived, run,
and shown beside the mistranslations that people make.

- **You need** the normal density, Bayes' rule, and
[how to read a claim](reading.ipynb).
- **You get** every formula of the field in one set of letters, and back.
- **Papers** 022, a survey that lays out three of the dialects side by side
{cite}`kazerouni2022medical`; 019, 048, 058, 059, 062, 145 and 160 for the
others.
- **Claims** one for each translation, all named `notation/...`.
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
import matplotlib.pyplot as plt
import sympy
import torch
from numpy.polynomial import legendre
from torch.distributions import (
    Categorical,
    MixtureSameFamily,
    MultivariateNormal,
)

from diffkit import fields, figures, laws, paths, solvers, tables, worlds
from diffkit.claims import Claim, attempt, check
from diffkit.shapes import rng

# %% [markdown]
r"""
## How does this book write it?

Data $x_0$ sits at time $t = 0$ and pure noise at $t = T$. In between

$$
x_t = a(t)\, x_0 + g(t)\, z, \qquad z \sim \mathcal N(0, I)
\text{ independent of } x_0,
$$ (eq-notation-path)

and a pair of functions $(a, g)$ is called a **path**. With $p_t$ the density
of $x_t$, the book uses five fields on it:

| field | formula | name in `diffkit` |
|---|---|---|
| denoiser | $D(x, t) = \mathbb E[x_0 \mid x_t = x]$ | `denoise` |
| mean noise | $N(x, t) = \mathbb E[z \mid x_t = x]$ | `noise` |
| score | $\nabla_x \log p_t(x)$ | `score` |
| velocity | $u(x, t) = \mathbb E[\dot x_t \mid x_t = x] = \dot a D + \dot g N$ | `velocity` |
| v | $a N - g D$ | `v` in `fields.convert` |

The **noise-to-signal ratio** is $\sigma = g / a$. It is the one clock that
all dialects share.

### How to read other people's formulas

A row gives the place of the data, the noised point and the network's target
in the letters of the dialect, then the same target in ours. The equation in
the first column is where the derivation starts, and the claim follows it.

| dialect | data at | noised point | the network gives | in our letters |
|---|---|---|---|---|
| DDPM {cite}`ho2020ddpm`, [equation](#eq-notation-ddpm) | $n = 0$ | $\sqrt{\bar\alpha_n}\, x_0 + \sqrt{1 - \bar\alpha_n}\, \epsilon$ | $\epsilon$ | $N$, with $a^2 = \bar\alpha_n$ |
| score SDE {cite}`song2021sde`, [equation](#eq-notation-sde) | $t = 0$ | $dx = -\frac12 \beta x\, dt + \sqrt\beta\, dW$ | score | score, $a^2 = e^{-\int \beta}$ |
| Painters {cite}`wang2023painters`, [equation](#eq-notation-sde) | $t = 0$ | $dx = -\beta x\, dt + \sqrt{2 \beta}\, dW$ | score | score, $a^2 = e^{-2 \int \beta}$ |
| EDM {cite}`karras2022edm`, [equation](#eq-notation-same-world) | $\sigma = 0$ | $x_0 + \sigma n$ | $D(x; \sigma)$ | $D$ at the point $x / a$ and $\sigma = g / a$ |
| flow matching {cite}`lipman2023flow,liu2023rectified`, [equation](#eq-notation-fm) | $\tau = 1$ | $(1 - \tau)\, z + \tau\, x_0$ | $x_0 - z$ | $-u$ at $t = 1 - \tau$ |
| interpolants {cite}`albergo2023interpolants`, [equation](#eq-notation-os) | $t = 1$ | $\alpha z + \beta x_1$ | $b$ or $\eta$ | $-u$ or $N$ at $1 - t$ |
| v-prediction {cite}`salimans2022distillation`, [equation](#eq-notation-v) | $t = 0$ | $\alpha x_0 + \sigma \epsilon$ | $\alpha \epsilon - \sigma x_0$ | $a N - g D$ |
| guidance {cite}`ho2022guidance`, [equation](#eq-notation-guidance) | | | $(1 + w)\, \epsilon_c - w\, \epsilon$ | scale $s = 1 + w$ |

Most accidents come from letters that mean different things:

| letter | in this book | elsewhere |
|---|---|---|
| $t = 0$ | data | noise, in flow matching and interpolants |
| $\alpha$ | not used | $1 - \beta_n$ in DDPM; our $a^2$ in the DDIM paper; our $a$ in v-prediction and DPM-Solver; the coefficient of the *noise* in interpolants |
| $\beta$ | the rate of Song's SDE | the variance of one step in DDPM; half the rate in Painters; the coefficient of the *data* in interpolants |
| $\sigma$ | $g / a$ | our $g$, wherever $x_t = \alpha_t x_0 + \sigma_t \epsilon$; the noise of one step in the DDIM paper |
| $g$ | noise level of $x_t$ | the diffusion coefficient in Song's SDE |
| $\lambda$ | an eigenvalue of a covariance | $\log(a / g)$ in DPM-Solver |
| $\epsilon$ | not used | the noise in DDPM; the strength of the diffusion in interpolants |
| $\eta$ | share of fresh noise in a DDIM step | the mean noise in interpolants |
| $v$ | $a z - g x_0$ | the velocity, in flow matching |

## Which numbers tell one network from another?

Every network of the table is trained by least squares on a target of the form
$c\, x_0 + e\, z$ with known numbers $c$ and $e$: DDPM has $(c, e) = (0, 1)$,
EDM $(1, 0)$, flow matching $(1, -1)$, v-prediction $(-g, a)$. The minimiser
of a mean square error is the conditional mean, as
[the first chapter](reading.ipynb) showed. So a dialect is four numbers at
each time, and what its network learns is

$$
\mathbb E[c\, x_0 + e\, z \mid a\, x_0 + g\, z = x].
$$ (eq-notation-target)

There is no clock and no convention in it, which makes it a fair ruler for all
of them. (A factor one half in the loss, or a mean in place of a sum over
dimensions, does not move the minimiser.)

For a mixture $x_0 \sim \sum_k w_k\, \mathcal N(m_k, C_k)$ it has a closed
form. Fix the component $k$. Then $y = c x_0 + e z$ and $x = a x_0 + g z$ are
jointly Gaussian with

$$
\operatorname{Var} x = a^2 C_k + g^2 I = V_k, \qquad
\operatorname{Cov}(y, x) = a c\, C_k + e g\, I = L_k.
$$ (eq-notation-joint)

The remainder $y - L_k V_k^{-1} x$ has covariance $L_k - L_k V_k^{-1} V_k = 0$
with $x$. Jointly Gaussian and uncorrelated is independent, so knowing $x$
does not move its mean:
$\mathbb E[y \mid x, k] = c\, m_k + L_k V_k^{-1} (x - a\, m_k)$. By Bayes'
rule the components have the posterior weights
$r_k(x) \propto w_k\, \mathcal N(x;\, a m_k, V_k)$, and

$$
\mathbb E[y \mid x]
= \sum_k r_k(x) \left[c\, m_k + L_k V_k^{-1} (x - a\, m_k)\right].
$$ (eq-notation-ruler)

The world of this chapter has unequal weights and full covariances, so that no
two slips can cancel by symmetry.
"""

# %% tags=["setup"]
W = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
M = torch.tensor([[-1.5, 0.4], [1.0, 1.2], [0.6, -1.4]], dtype=torch.float64)
C = torch.tensor(
    [
        [[0.5, 0.2], [0.2, 0.3]],
        [[0.2, -0.1], [-0.1, 0.4]],
        [[0.3, 0.1], [0.1, 0.1]],
    ],
    dtype=torch.float64,
)
joint, eye = laws.mixture(M, C, W), torch.eye(2, dtype=torch.float64)

# %% [markdown]
r"""
The ruler is [the last equation](#eq-notation-ruler) written out with dense
matrices, one solve for each point and component. It shares no code with
`diffkit`.
"""


# %% tags=["setup"]
def target(x, a, g, c, e):
    """E[c x0 + e z | a x0 + g z = x]. x: (n, 2); others: n numbers or one."""
    a, g, c, e = (
        torch.as_tensor(u).to(x).reshape(-1, 1, 1, 1) for u in (a, g, c, e)
    )
    m, V = M.unsqueeze(-1), a**2 * C + g**2 * eye
    off = x[:, None, :, None] - a * m
    solved = torch.linalg.solve(V, off)
    mean = c * m + (a * c * C + e * g * eye) @ solved
    logr = W.log() - (off * solved).sum((-1, -2)) / 2 - V.logdet() / 2
    return (logr.softmax(-1)[:, :, None] * mean.squeeze(-1)).sum(1)


# %% [markdown]
r"""
For densities and scores the second ruler is the mixture class of torch
itself, and automatic differentiation of its logarithm. `keep` restricts it to
some components, which the section on guidance needs.
"""


# %% tags=["setup"]
def density(x, a, g, keep=(0, 1, 2)):
    """log p(x) for x = a x0 + g z. x: (n, 2); a, g: n numbers, or one."""
    keep = list(keep)
    a, g = (u.to(x).reshape(-1, 1, 1) for u in (a, g))
    V = (a**2).unsqueeze(-1) * C[keep] + (g**2).unsqueeze(-1) * eye
    parts = MultivariateNormal(a * M[keep], V)
    weights = Categorical(W[keep].expand(parts.batch_shape))
    return MixtureSameFamily(weights, parts).log_prob(x)


def slope(x, a, g, keep=(0, 1, 2)):
    """The gradient of `density` in x."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(density(x, a, g, keep).sum(), x)[0]


# %% [markdown]
r"""
Each claim is measured where a network would be used: at points of the world's
own law, every point with its own time. (Points $g z$ without any data in
them, which studies of trained networks sometimes take, lie elsewhere.)
"""


# %% tags=["setup"]
def probe(path, n=64):
    """The world of a path, n times along it, and a point x_t for each."""
    t = torch.linspace(0.02, 0.98, n, dtype=torch.float64) * path.T
    world = worlds.World(path, joint)
    return world, t, world.draw(n, t, rng(0))[2]


def columns(path, t):
    """a, g and their time derivatives, as columns against points."""
    c = path.at(t)
    return (u.unsqueeze(-1) for u in (c.a, c.g, c.da, c.gdg / c.g))


vp, t, x = probe(paths.vp())
a, g, da, dg = columns(vp.path, t)

# %% [markdown]
r"""
## Where are DDPM's betas on our clock?

DDPM {cite}`ho2020ddpm` counts steps $n = 1, \dots, N$ with given
$0 < \beta_n < 1$ and fresh, independent $\epsilon_n \sim \mathcal N(0, I)$:

$$
x_n = \sqrt{1 - \beta_n}\; x_{n-1} + \sqrt{\beta_n}\; \epsilon_n.
$$ (eq-notation-chain)

Write $\bar\alpha_n = \prod_{m \le n} (1 - \beta_m)$ and suppose that
$x_{n-1}$ is $\sqrt{\bar\alpha_{n-1}}\, x_0$ plus independent Gaussian noise
of variance $1 - \bar\alpha_{n-1}$. One step multiplies the first coefficient
by $\sqrt{1 - \beta_n}$, and the variance becomes
$(1 - \beta_n)(1 - \bar\alpha_{n-1}) + \beta_n = 1 - \bar\alpha_n$. So, by
induction,

$$
x_n = \sqrt{\bar\alpha_n}\; x_0 + \sqrt{1 - \bar\alpha_n}\; \epsilon,
\qquad a = \sqrt{\bar\alpha_n}, \quad g = \sqrt{1 - \bar\alpha_n}.
$$ (eq-notation-ddpm)

Our path `paths.vp` has $a^2 = \exp(-\int_0^t \beta)$ with a rate $\beta(t)$
that grows linearly. How do the two fit? DDPM's list is linear as well,
$\beta_m = \beta_1 + (m - 1)\, \delta$,
$\delta = (\beta_N - \beta_1)/(N - 1)$. Put $t = n/N$ and
$\beta(t) = N (\beta_1 + (\beta_N - \beta_1)\, t)$. The integral up to $n / N$
is $n \beta_1 + (\beta_N - \beta_1)\, n^2 / 2N$, the sum up to $n$ is
$n \beta_1 + \delta\, n (n - 1)/2$, and their difference is

$$
\int_0^{n/N} \beta\, dt - \sum_{m \le n} \beta_m
= \frac{\beta_N - \beta_1}{2}\, \frac{n (N - n)}{N (N - 1)},
$$ (eq-notation-riemann)

which vanishes at both ends. The other difference is the logarithm: for
$0 < \beta < 1$, $\log(1 - \beta) = -\beta - \beta^2/2 - \beta^3/3 - \dots$,
so

$$
\begin{aligned}
\log \bar\alpha_n &= -\sum_{m \le n} \beta_m
- \sum_{m \le n} \Big(\frac{\beta_m^2}{2} + \frac{\beta_m^3}{3}
+ \frac{\beta_m^4}{4}\Big) - R_n, \\
0 &< R_n \le \frac{1}{5 (1 - \beta_N)} \sum_{m \le n} \beta_m^5 .
\end{aligned}
$$ (eq-notation-gap)

The bound on $R_n$ is a geometric series: for $k \ge 5$,
$\beta^k / k \le \beta^5 \beta^{k - 5} / 5$. With $N$ steps of size $O(1/N)$
the sum of squares is $O(1/N)$: a DDPM of many steps is the path `vp`, a
little noisier, and we know by how much. With DDPM's $N = 1000$ its rate runs
from $N \beta_1 = 0.1$ to $N \beta_N = 20$, the ends that `paths.vp` has.
"""

# %%
N, first, last = 1000, 1e-4, 0.02
betas = torch.linspace(first, last, N, dtype=torch.float64)
steps = torch.arange(1, N + 1, dtype=torch.float64)


def log_abar(n, powers=(2, 3, 4), riemann=1.0, sign=1.0):
    """log abar_n from the path vp, with the terms of the series."""
    on_path = 2 * paths.vp().at(n / N).a.log()
    between = (last - first) / 2 * n * (N - n) / (N * (N - 1))
    series = sum(torch.cumsum(betas**k / k, 0) for k in powers)
    return on_path + riemann * between - sign * series


# %% [markdown]
r"""
The list is the one of the DDPM paper. The truth is the product itself, as a
running sum of $\log(1 - \beta_m)$.
"""

# %% tags=["hide-input"]
ddpm = Claim(
    id="notation/ddpm",
    says=r"For DDPM's linear $\beta_1 = 10^{-4}, \dots, \beta_{1000} = 0.02$ "
    r"and the path `vp` at $t = n/N$, all $n$: $\log\bar\alpha_n = 2\log a(t)"
    r" + \frac{\beta_N - \beta_1}{2} \frac{n(N - n)}{N(N-1)}"
    r" - \sum_{m \le n} (\beta_m^2/2 + \beta_m^3/3 + \beta_m^4/4)$.",
    papers=("022", "059"),
    kind="exact",
    formula=log_abar,
    controls={
        "no gap at all": lambda n: 2 * paths.vp().at(n / N).a.log(),
        "the gap upside down": lambda n: log_abar(n, sign=-1),
        "a sum is its integral": lambda n: log_abar(n, riemann=0),
    },
    tol=2e-7,
    because="twenty times the bound on $R_N$, over $|\\log \\bar\\alpha_N|$",
    at=steps,
    truth=lambda n: torch.log1p(-betas).cumsum(0),
)
check(ddpm)

# %% [markdown]
r"""
Now the network. With $p_0$ the law of $x_0$,
$p(x) = \int p_0(x_0)\, \mathcal N(x;\, a x_0, g^2 I)\, dx_0$ for $g > 0$.
Differentiate under the integral: the kernel gives the factor
$-(x - a x_0)/g^2$, and $x - a x_0 = g z$. So
$\nabla p(x) = -\frac1g\, \mathbb E[z \mid x]\, p(x)$, and for any law of
$x_0$

$$
\nabla \log p(x) = -\frac{N}{g} = -\frac{\mathbb E[\epsilon \mid x_n = x]}
{\sqrt{1 - \bar\alpha_n}} .
$$ (eq-notation-score)

DDPM's network is thus a score up to the factor $-1/g$, the link between the
first two frameworks of the survey {cite}`kazerouni2022medical`. The claim
takes its left side from the gradient of the density, its right side from a
conditional mean.
"""

# %% tags=["hide-input"]
eps_score = Claim(
    id="notation/eps-score",
    says=r"$\nabla \log p(x) = -\epsilon(x) / \sqrt{1 - \bar\alpha}$ where "
    r"$\epsilon(x) = \mathbb E[\epsilon \mid x]$ and "
    r"$x = \sqrt{\bar\alpha}\, x_0 + \sqrt{1 - \bar\alpha}\, \epsilon$.",
    papers=("022", "058"),
    kind="exact",
    formula=lambda eps, abar: -eps / (1 - abar).sqrt(),
    controls={
        "the root forgotten": lambda eps, abar: -eps / (1 - abar),
        "the sign": lambda eps, abar: eps / (1 - abar).sqrt(),
        "$-\\epsilon$ taken for the score": lambda eps, abar: -eps,
        "$a$ for $g$": lambda eps, abar: -eps / abar.sqrt(),
    },
    tol=1e-12,
    because="float64; $1 - \\bar\\alpha$ loses three digits near the data",
    at={"eps": target(x, a, g, 0, 1), "abar": a**2},
    truth=slope(x, a, g),
)
check(eps_score)

# %% [markdown]
r"""
## Is beta the rate, or half of it?

The third framework is a stochastic differential equation {cite}`song2021sde`.
Let $dx = f(t)\, x\, dt + h(t)\, dW$ from $x_0$ at $t = 0$. In a short time
$dt$ every part of $x$ is multiplied by $1 + f\, dt$, and independent noise of
variance $h^2 dt$ is added. So $x_t = a x_0 + g z$ with

$$
\dot a = f a, \qquad \tfrac{d}{dt} g^2 = 2 f g^2 + h^2 ,
\qquad a(0) = 1, \quad g(0) = 0,
$$ (eq-notation-sde)

where the two comes from $(1 + f\, dt)^2 = 1 + 2 f\, dt + \dots$ Read
backwards, this tells which equation belongs to a given path:

$$
f = \frac{\dot a}{a}, \qquad
h^2 = \tfrac{d}{dt} g^2 - 2 f g^2 = a^2\, \tfrac{d}{dt} \sigma^2.
$$ (eq-notation-sde-back)

Song writes $f = -\beta/2$, $h^2 = \beta$; Wang and Vastola
{cite}`wang2023painters` write $f = -\beta$, $h^2 = 2\beta$. In both
$h^2 = -2 f$, and then $g^2 = 1 - a^2$ solves the second equation, as
$-2 a \dot a = -2 f a^2 = 2 f (1 - a^2) - 2 f$. But $a = \exp \int f$ differs:
the same letter $\beta$ gives $e^{-\frac12 \int \beta}$ in one and
$e^{-\int \beta}$ in the other. The claim keeps both ends of a linear rate as
symbols.
"""

# %%
time = paths.t
low, high = sympy.symbols("beta_0 beta_1", positive=True)
beta = low + (high - low) * time
area = sympy.integrate(beta, (time, 0, time))


def residue(pair):
    """What is left of both SDEs for the two coefficients a."""
    left = []
    for a_t, f in zip(pair, (-beta / 2, -beta), strict=True):
        g2, h2 = 1 - a_t**2, -2 * f
        left += [a_t.diff(time) - f * a_t, g2.diff(time) - 2 * f * g2 - h2]
        left += [a_t.subs(time, 0) - 1]
    return sympy.Matrix(left).expand()


# %% [markdown]
r"""
The formula is the pair of the two coefficients $a$, and `residue` puts them
into [the equations](#eq-notation-sde).
"""

# %% tags=["hide-input"]
half, full, most = (sympy.exp(-area * k / 2) for k in (1, 2, 4))
beta_factor = Claim(
    id="notation/beta-factor",
    says=r"For every linear $\beta(t) > 0$: $dx = -\frac12 \beta x\, dt + "
    r"\sqrt\beta\, dW$ is the path $a = e^{-\frac12 \int \beta}$, and $dx = "
    r"-\beta x\, dt + \sqrt{2\beta}\, dW$ is $a = e^{-\int \beta}$, both "
    r"with $g^2 = 1 - a^2$.",
    papers=("048", "059"),
    kind="symbolic",
    formula=(half, full),
    controls={
        "one $\\beta$ for both, Song's": (half, half),
        "one $\\beta$ for both, Wang's": (full, full),
        "the papers exchanged": (full, half),
        "$a^2$ taken for $a$": (full, most),
    },
    measure=residue,
)
check(beta_factor)

# %% [markdown]
r"""
The deterministic twin of the SDE, the probability-flow equation
$\dot x = f x - \frac12 h^2 \nabla \log p_t$, is the book's velocity. In
$u = \dot a D + \dot g N$ put $D = (x - g N)/a$ and $N = -g \nabla \log p$:

$$
u = \frac{\dot a}{a}\, x + \Big(\dot g - \frac{\dot a}{a}\, g\Big) N
= f x - (g \dot g - f g^2)\, \nabla \log p_t
= f x - \tfrac12 h^2\, \nabla \log p_t .
$$ (eq-notation-pfode)

The half is where people stumble: the drift of the *reverse SDE* is
$f x - h^2 \nabla \log p_t$, without it.
"""

# %% tags=["hide-input"]
rate, score = (0.1 + 19.9 * t).unsqueeze(-1), slope(x, a, g)
pf_ode = Claim(
    id="notation/pf-ode",
    says=r"On `vp`, with $\beta(t) = 0.1 + 19.9\, t$, the velocity is "
    r"$u = -\frac12 \beta x - \frac12 \beta \nabla \log p_t$.",
    papers=("022", "059"),
    kind="exact",
    formula=lambda rate, score: -rate / 2 * x - rate / 2 * score,
    controls={
        "the drift of the reverse SDE": lambda r, s: -r / 2 * x - r * s,
        "the sign of the score": lambda r, s: -r / 2 * x + r / 2 * s,
        "Wang's equation with Song's rate": lambda r, s: -r * x - r * s,
        "no drift, as for VE": lambda r, s: -r / 2 * s,
    },
    tol=1e-12,
    because="float64; near the noise end two large terms nearly cancel",
    at=(rate, score),
    truth=lambda rate, score: vp.velocity(x, t),
)
check(pf_ode)

# %% [markdown]
r"""
## Why are there two noise levels, $g$ and $\sigma$?

Divide [the path](#eq-notation-path) by $a > 0$: $x_t / a = x_0 + \sigma z$
with $\sigma = g / a$. That is EDM's noised point {cite}`karras2022edm`, or a
variance-exploding one, at noise level $\sigma$. No assumption is needed but
$a > 0$: *all paths with one end show the same world*, at another
magnification.

Let $q_\sigma$ be the density of $y = x_0 + \sigma z$ in $d$ dimensions.
Scaling by $a$ spreads the mass over $a^d$ times the volume, and conditioning
on $x$ is conditioning on $x / a$:

$$
\begin{aligned}
p_t(x) &= a^{-d}\, q_\sigma(x / a), \qquad
\nabla \log p_t(x) = \tfrac1a\, (\nabla \log q_\sigma)(x / a), \\
D(x, t) &= D^{\text{EDM}}(x / a;\, \sigma).
\end{aligned}
$$ (eq-notation-same-world)

The mean noise $N$ translates as $D$ does, without a factor; only what is
differentiated in $x$ pays $1/a$, and only the density pays $a^{-d}$.
"""

# %%
edm = worlds.World(paths.edm(200.0), joint)


def from_edm(power=2, pay=1, level=lambda a, g: g / a):
    """(log p, score) of the path (a, g), asked of EDM at x / a."""

    def asked(x, a, g):
        y, sigma = x / a, level(a, g).squeeze(-1)
        log_p = edm.log_prob(y, sigma) - power * a.squeeze(-1).log()
        return log_p, edm.score(y, sigma) / a**pay

    return asked


def against_vp(formula):
    """Nats in the density, or the relative error of the score, if larger."""
    log_p, score = formula(x, a, g)
    nats, want = (log_p - density(x, a, g)).abs().max(), slope(x, a, g)
    return max(nats, (score - want).abs().max() / want.abs().max())


# %% [markdown]
r"""
Look at the first control: whoever forgets the volume has a density that is
off by many nats, and a score that is still right.
"""

# %% tags=["hide-input"]
same_world = Claim(
    id="notation/edm",
    says=r"With $q_\sigma$ the density of $x_0 + \sigma z$, $\sigma = g/a$: "
    r"$p_t(x) = a^{-d} q_\sigma(x/a)$ and "
    r"$\nabla\log p_t(x) = (\nabla \log q_\sigma)(x/a) / a$; `vp`, $d = 2$.",
    papers=("022", "048"),
    kind="exact",
    formula=from_edm(),
    controls={
        "the volume $a^{-d}$ forgotten": from_edm(power=0),
        "$a^{-1}$ for $a^{-d}$": from_edm(power=1),
        "the score without $1/a$": from_edm(pay=0),
        "$a$ for $1/a$ in the score": from_edm(pay=-1),
        "$\\sigma = g$": from_edm(level=lambda a, g: g),
    },
    tol=1e-12,
    because="float64; log-densities of order ten, in nats",
    measure=against_vp,
)
check(same_world)

# %% [markdown]
r"""
EDM's clock is $\sigma$ itself, so its velocity is
$dy/d\sigma = \mathbb E[z \mid y] = (y - D)/\sigma$. Is that the flow of the
other path? If $x$ moves with $u$, the chain rule moves $y = x / a$ with

$$
\frac{dy}{d\sigma} = \frac{\dot y}{\dot \sigma}, \qquad
\dot y = \frac{1}{a} \Big(u - \frac{\dot a}{a}\, x\Big), \qquad
\dot\sigma = \frac{1}{a} \Big(\dot g - \frac{\dot a}{a}\, g\Big).
$$ (eq-notation-edm-ode)

By [the velocity above](#eq-notation-pfode), $u - \frac{\dot a}{a} x$ is
$(\dot g - \frac{\dot a}{a} g) N$, so the quotient is $N$: yes. The claim asks
EDM's denoiser on one side and the velocity of `vp` on the other.
"""

# %%
by_chain_rule = (vp.velocity(x, t) - da / a * x) / (dg - da / a * g)


def edm_slope(y, sigma, power=1):
    """EDM's velocity from its denoiser; power 2 makes it minus the score."""
    return (y - edm.denoise(y, sigma.squeeze(-1))) / sigma**power


# %% [markdown]
r"""
The wrong slopes are a sign, a score taken for a noise, and a point that was
not divided by $a$.
"""

# %% tags=["hide-input"]
edm_ode = Claim(
    id="notation/edm-ode",
    says=r"Along the flow of `vp`, $y = x/a$ moves with $dy/d\sigma = "
    r"(y - D^{\text{EDM}}(y; \sigma)) / \sigma$.",
    papers=("022", "048"),
    kind="exact",
    formula=edm_slope,
    controls={
        "the sign": lambda y, s: -edm_slope(y, s),
        "this is minus the score": lambda y, s: edm_slope(y, s, 2),
        "$x$ where $x/a$ is meant": lambda y, s: edm_slope(a * y, s),
    },
    tol=1e-12,
    because="float64; $y$ and $D$ nearly cancel at the smallest $\\sigma$",
    at=(x / a, g / a),
    truth=by_chain_rule,
)
check(edm_ode)

# %% [markdown]
r"""
So one flow line is one curve in three drawings. For data with two modes in
one dimension, we solve nine lines once, in EDM's coordinates.
"""

# %%
ends = torch.tensor([[-1.5], [1.0]], dtype=torch.float64)
line_law = laws.mixture(ends, 0.04, torch.tensor([0.35, 0.65]))
wide = worlds.World(paths.edm(150.0), line_law)
grid = tables.by_nsr(wide.path, 150.0, 0.005, 200)
start = 150 * torch.linspace(-1.5, 1.5, 9, dtype=torch.float64)[:, None]
lines = solvers.solve(tables.rk4(grid), wide.velocity, start, keep=True)

# %% [markdown]
r"""
The other drawings are another clock, and the factor $a$ that belongs to the
same $\sigma$.
"""

# %%
drawings = [
    ("DDPM, SDE: $x$", paths.vp(), lambda t: t),
    ("EDM: $x/a$", paths.edm(150.0), lambda t: t),
    ("flow matching: $x_\\tau$", paths.one_sided(), lambda t: 1 - t),
]
marks = [
    {0: "0\ndata", 0.5: "$t$", 1: "1\nnoise"},
    {0: "0\ndata", 2: r"$\sigma$", 4: "4"},
    {0: "0\nnoise", 0.5: r"$\tau$", 1: "1\ndata"},
]

# %% [markdown]
r"""
Follow the coloured line, and look where each drawing bends it.
"""

# %% mystnb={"figure": {"caption": "Nine lines of the same probability flow, for data with two modes in one dimension, as three dialects draw them; one line is coloured in all three. The third drawing runs from noise to data, and EDM's fan goes on beyond the frame.", "name": "fig-notation-three"}, "image": {"alt": "Three panels of nine curves. In the first they leave two bundles, bend early and go on level; in the second they fan out from two bundles; in the third they run from a band on the left into two bundles on the right and bend gently all the way."}}
figure, axes = figures.canvas("Three dialects bend one flow", 6.4, 2.8, 3)
for ax, (name, path, clock) in zip(axes, drawings, strict=True):
    when = path.when(grid)
    drawn = path.at(when).a.unsqueeze(-1) * lines.squeeze(-1)
    ax.plot(clock(when), drawn, color=figures.EXACT, lw=1.2)
    ax.plot(clock(when), drawn[:, 3], color=figures.SECOND, lw=2.5)
    ax.set(yticks=[-2, 0, 2], ylim=(-2.6, 2.6))
    ax.set_title(name, fontsize=9, fontweight="normal")
for ax, ticks in zip(axes, marks, strict=True):
    ax.set_xticks(list(ticks), list(ticks.values()))
axes[1].set(xlim=(-0.1, 4), ylim=(-6.5, 6.5), yticks=[-5, 0, 5])
plt.show()

# %% [markdown]
r"""
The first drawing bends its lines near the data and lets them rest, the second
fans them out, the third spreads the bends over the whole time. A solver with
few steps will notice the difference; the exact flow does not.

## Which way does time run?

Flow matching {cite}`lipman2023flow,liu2023rectified` puts the noise at
$\tau = 0$ and the data at $\tau = 1$ (we write $\tau$ for its time and keep
$t$ for ours):

$$
x_\tau = (1 - \tau)\, z + \tau\, x_0, \qquad
F(x, \tau) = \mathbb E[x_0 - z \mid x_\tau = x].
$$ (eq-notation-fm)

Put $t = 1 - \tau$: this is our straight path `paths.one_sided`,
$x_t = (1 - t)\, x_0 + t z$, whose velocity is
$u = \mathbb E[z - x_0 \mid x_t]$. So $F(x, \tau) = -u(x, 1 - \tau)$: two
changes, a sign *and* a time. A step of flow matching, $x + \Delta\tau\, F$
with $\Delta \tau > 0$, and one of ours, $x + \Delta t\, u$ with
$\Delta t = -\Delta\tau$, are the same numbers. The name of a method does not
tell the direction: some rectified flows, that of paper 160 among them, have
the data at $t = 0$ as this book does.
"""

# %% tags=["hide-input"]
line, line_t, line_x = probe(paths.one_sided())
flow_matching = Claim(
    id="notation/flow-matching",
    says=r"For $x_\tau = (1 - \tau) z + \tau x_0$: $\mathbb E[x_0 - z \mid "
    r"x_\tau = x] = -u(x, 1 - \tau)$, where $u$ is the velocity of "
    r"$x_t = (1 - t) x_0 + t z$.",
    papers=("058", "160"),
    kind="exact",
    formula=lambda x, tau: -line.velocity(x, 1 - tau),
    controls={
        "the sign only": lambda x, tau: -line.velocity(x, tau),
        "the time only": lambda x, tau: line.velocity(x, 1 - tau),
        "neither": lambda x, tau: line.velocity(x, tau),
    },
    tol=1e-13,
    because="float64, all coefficients between zero and one",
    at={"x": line_x, "tau": 1 - line_t},
    truth=lambda x, tau: target(x, tau, 1 - tau, 1, -1),
)
check(flow_matching)

# %% [markdown]
r"""
Stochastic interpolants {cite}`albergo2023interpolants` run the same way,
noise first. In their one-sided form, with $\alpha(0) = 1$, $\alpha(1) = 0$,
$\beta(0) = 0$, $\beta(1) = 1$,

$$
x_\tau = \alpha(\tau)\, z + \beta(\tau)\, x_1, \qquad
\eta = \mathbb E[z \mid x_\tau], \qquad
b = \mathbb E[\dot\alpha z + \dot\beta x_1 \mid x_\tau],
$$ (eq-notation-os)

where $x_1$ is the *data*, and $\alpha$ belongs to the *noise*. Taking the
mean of the first equation gives
$x = \alpha \eta + \beta\, \mathbb E[x_1 \mid x]$; put it into $b$:

$$
b = \frac{\dot\beta}{\beta}\, x
+ \Big(\dot\alpha - \alpha\, \frac{\dot\beta}{\beta}\Big)\, \eta, \qquad
\nabla \log p = -\frac{\eta}{\alpha}, \qquad 0 < \tau < 1.
$$ (eq-notation-b)

The second formula is [DDPM's](#eq-notation-score) in other letters. It holds
with two ends as well, $x_\tau = I(\tau, x_0, x_1) + \gamma(\tau) z$, with
$\gamma$ for $\alpha$, since its proof used only that the last term is
independent Gaussian noise. The field $\eta$ is a mean noise, not a score: it
has the *opposite sign*, and no division by a noise level that vanishes.

We check both formulas on the pair $\alpha = \cos \frac{\pi\tau}{2}$,
$\beta = \sin \frac{\pi\tau}{2}$. It is our path `paths.trig` at
$t = 1 - \tau$, so that $\eta(x, \tau) = N(x, 1 - \tau)$.
"""

# %%
trig, trig_t, trig_x = probe(paths.trig())
half_pi_tau = torch.pi / 2 * (1 - trig_t).unsqueeze(-1)
alpha, beta = torch.cos(half_pi_tau), torch.sin(half_pi_tau)
dalpha, dbeta = -torch.pi / 2 * beta, torch.pi / 2 * alpha
eta = trig.noise(trig_x, trig_t)


def b_and_score(eta, lift=dalpha - alpha * dbeta / beta, score=-1 / alpha):
    """The velocity b and the score, from eta."""
    return torch.stack([dbeta / beta * trig_x + lift * eta, score * eta])


b_true = target(trig_x, beta, alpha, dbeta, dalpha)

# %% [markdown]
r"""
The truth is the ruler for $b$, with $(c, e) = (\dot\beta, \dot\alpha)$, and
the gradient of the log-density for the score.
"""

# %% tags=["hide-input"]
interpolant = Claim(
    id="notation/interpolant",
    says=r"With $x_\tau = \alpha z + \beta x_1$ (`trig` read backwards), "
    r"$\eta = \mathbb E[z \mid x_\tau]$, $r = \dot\beta / \beta$: $b = r x + "
    r"(\dot\alpha - r \alpha)\, \eta$ and $\nabla \log p = -\eta / \alpha$.",
    papers=("019",),
    kind="exact",
    formula=b_and_score,
    controls={
        "$\\eta$ with a minus": lambda eta: b_and_score(-eta),
        "the score's sign": lambda eta: b_and_score(eta, score=1 / alpha),
        "$\\eta$ is the score": lambda eta: b_and_score(eta, score=1.0),
        "$\\dot\\beta$ forgotten": lambda eta: b_and_score(eta, dalpha),
    },
    tol=1e-12,
    because="float64; $1/\\alpha$ and $1/\\beta$ stay below forty",
    at=(eta,),
    truth=torch.stack([b_true, slope(trig_x, beta, alpha)]),
)
check(interpolant)

# %% [markdown]
r"""
## Do all networks know the same?

Progressive distillation {cite}`salimans2022distillation` trains a network on
$v = a z - g x_0$, for paths with $a^2 + g^2 = 1$. It is not the velocity
$z - x_0$ of flow matching. Write $a = \cos\phi$, $g = \sin\phi$: then
$x = \cos\phi\, x_0 + \sin\phi\, z$ has the derivative
$dx/d\phi = \cos\phi\, z - \sin\phi\, x_0 = v$. So $\mathbb E[v \mid x]$ is a
velocity after all, on the clock $\phi$: with $\dot a = -g\, \dot\phi$,

$$
\mathbb E[v \mid x] = a N - g D = \frac{a x - D}{g}
= \frac{u}{\dot\phi}, \qquad \dot\phi = -\frac{\dot a}{g} .
$$ (eq-notation-v)

In the middle $N = (x - a D)/g$ was put in, and $a^2 + g^2 = 1$ was used. The
way back is the rotation $D = a x - g v$, $N = g x + a v$. The claim holds
both formulas, the one from the denoiser and the one from the velocity,
against the ruler.
"""

# %%
D, N_mean, u = (f(x, t) for f in (vp.denoise, vp.noise, vp.velocity))


def twice(field):
    """One field, held against both formulas."""
    return torch.stack([field, field])


# %% [markdown]
r"""
The wrong answers come from another dialect, another sign, another letter and
another clock.
"""

# %% tags=["hide-input"]
v_prediction = Claim(
    id="notation/v-prediction",
    says=r"On `vp`, where $a^2 + g^2 = 1$: $\mathbb E[a z - g x_0 \mid x_t "
    r"= x] = (a x - D)/g$, and it is $dx/d\phi$ for $a = \cos\phi$.",
    papers=("048", "145"),
    kind="exact",
    formula=lambda a, g: torch.stack([(a * x - D) / g, -g * u / da]),
    controls={
        "flow matching's $z - x_0$": lambda a, g: twice(N_mean - D),
        "the sign": lambda a, g: twice((D - a * x) / g),
        "$a$ on the wrong letter": lambda a, g: twice((x - a * D) / g),
        "the clock $t$": lambda a, g: twice(u),
    },
    tol=1e-12,
    because="float64; $a x$ and $D$ nearly cancel near the data",
    at=(a, g),
    truth=lambda a, g: twice(target(x, a, g, -g, a)),
)
check(v_prediction)

# %% [markdown]
r"""
All these targets have the form $F = p D + q N$ with known numbers $p, q$, and
the noised point itself gives a second equation, $a D + g N = x$. Two
equations, two unknowns, determinant $\Delta = a q - g p$:

$$
D = \frac{q\, x - g\, F}{\Delta}, \qquad N = \frac{a\, F - p\, x}{\Delta}.
$$ (eq-notation-solve)

| target | $p$ | $q$ | $\Delta$ | vanishes |
|---|---|---|---|---|
| denoiser | $1$ | $0$ | $-g$ | at the data, $g = 0$ |
| mean noise | $0$ | $1$ | $a$ | at the noise end, if $a = 0$ there |
| score | $0$ | $-1/g$ | $-a/g$ | as for the mean noise |
| velocity | $\dot a$ | $\dot g$ | $a \dot g - g \dot a = a^2 \dot\sigma$ | nowhere on the straight path, where it is $1$ |
| v | $-g$ | $a$ | $a^2 + g^2$ | nowhere |

So any network can be turned into any other without training, and
`fields.convert` does it. The claim takes all pairs of targets on three paths.
It hands `convert` the ruler's answer for one target, and compares what comes
out with the ruler's answer for the other.
"""

# %%
ROWS = {
    "denoise": lambda a, g, da, dg: (1, 0),
    "noise": lambda a, g, da, dg: (0, 1),
    "score": lambda a, g, da, dg: (0, -1 / g),
    "velocity": lambda a, g, da, dg: (da, dg),
    "v": lambda a, g, da, dg: (-g, a),
}


def answers(path):
    """A path, times, points, and the ruler's answer for every target."""
    _, t, x = probe(path)
    coef = tuple(columns(path, t))
    F = {k: target(x, *coef[:2], *row(*coef)) for k, row in ROWS.items()}
    return path, t, x, F


three = [answers(p) for p in (paths.vp(), paths.trig(), paths.one_sided())]


# %% [markdown]
r"""
The measurement, and three ways to get it wrong:
"""


# %%
def worst_pair(convert):
    """The largest relative error over pairs of targets, on three paths."""
    found = []
    for path, t, x, F in three:
        for have, given in F.items():
            for want, truth in F.items():
                field = convert(lambda x, t, F=given: F, path, have, want)
                off = (field(x, t) - truth).abs().max()
                found.append(off / truth.abs().max())
    return max(found)


def mixed_up(field, path, have, want):
    """v and the velocity are taken for one thing."""
    other = {"v": "velocity", "velocity": "v"}
    return fields.convert(field, path, other.get(have, have), want)


# %% [markdown]
r"""
And two more, the wrong schedule and the wrong direction of time:
"""


# %%
def other_path(field, path, have, want):
    """The coefficients are those of EDM, whatever the path."""
    return fields.convert(field, paths.edm(1.0), have, want)


def backwards(field, path, have, want):
    """The time of flow matching, with the data at one."""
    turned = fields.convert(lambda x, t: field(x, 1 - t), path, have, want)
    return lambda x, t: turned(x, 1 - t)


# %% [markdown]
r"""
All pairs on all three paths:
"""

# %% tags=["hide-input"]
one_solve = Claim(
    id="notation/one-solve",
    says=r"Each of denoiser, mean noise, score, velocity and v determines "
    r"all others by one 2 x 2 solve at $(x, t)$: `fields.convert`, all "
    r"pairs, on `vp`, `trig` and `one_sided`, every point with its own time.",
    papers=("022", "058"),
    kind="exact",
    formula=fields.convert,
    controls={
        "v is the velocity": mixed_up,
        "one path for all": other_path,
        "the time of flow matching": backwards,
    },
    tol=1e-10,
    because="float64; $1/\\Delta$ costs three digits at the ends of a path",
    measure=worst_pair,
)
check(one_solve)

# %% [markdown]
r"""
At the very ends $\Delta$ may vanish, and then `convert` refuses rather than
divide by zero. Here are the noise end of the straight path, where $a = 0$,
and its data end, where $g = 0$. From which targets can it find the denoiser,
and from which the mean noise? (Its values do not matter, only its type.)
"""


# %%
def able(want, time_end):
    """The targets from which `want` can be had at one end."""
    found = []
    for have in ROWS:
        field = fields.convert(lambda x, t: x, line.path, have, want)
        try:
            field(M, time_end)
        except ValueError:
            continue
        found.append(have)
    return ", ".join(found)


for end, time_end in {"noise end": 1.0, "data end": 0.0}.items():
    for want in ("denoise", "noise"):
        print(f"{end}: {want} from {able(want, time_end)}")

# %% [markdown]
r"""
At the data the denoiser is $x$, and at the noise end the mean noise is $x$,
in every world: such an answer carries no news, and nothing else can be read
off it. (The velocity is refused at the data end for a lesser reason: a path
keeps $g^2$, and $\dot g = g \dot g / g$ is $0/0$ to it.)

Near the ends the same determinant decides how much the error of a *learned*
field spoils. If the network's $F$ is wrong by $\varepsilon$, then
[the solve](#eq-notation-solve) makes the denoiser wrong by
$g\, \varepsilon/\Delta$ in size. With $\sigma = g/a$:

$$
\text{mean noise: } \sigma\, \varepsilon, \qquad
\text{denoiser: } \varepsilon, \qquad
\text{v: } \frac{\sigma\, \varepsilon}{\sqrt{1 + \sigma^2}}, \qquad
\text{velocity: } \frac{\sigma\, \varepsilon}{1 + \sigma}.
$$ (eq-notation-factor)

The last two have $\Delta = 1$, so they are $g$ itself, on a path with
$a^2 + g^2 = 1$, where $g = \sigma/\sqrt{1 + \sigma^2}$, and on the straight
path, where $g = t = \sigma/(1 + \sigma)$.
"""


# %%
def factors(s):
    """What an error of one in noise, v and velocity does to the denoiser."""
    return torch.stack([s, s / (1 + s**2).sqrt(), s / (1 + s)])


def felt(s):
    """The same from `fields.convert`: its answers to F = 1 and to F = 0."""
    rows, zero = [], torch.zeros(len(s), 1, dtype=s.dtype)
    of = {"noise": vp.path, "v": vp.path, "velocity": line.path}
    for have, path in of.items():
        on, off = (
            fields.convert(lambda x, t, f=f: x + f, path, have, "denoise")
            for f in (1, 0)
        )
        at = path.when(s)
        rows.append((on(zero, at) - off(zero, at)).abs().squeeze(-1))
    return torch.stack(rows)


# %% [markdown]
r"""
The claim covers four decades of $\sigma$.
"""

# %% tags=["hide-input"]
levels = torch.logspace(-2, 2, 41, dtype=torch.float64)
error_factor = Claim(
    id="notation/error-factor",
    says=r"An error $\varepsilon$ of the network moves the denoiser by "
    r"$\sigma\varepsilon$ if it gives the mean noise, by $\sigma\varepsilon /"
    r" \sqrt{1 + \sigma^2}$ if v (on `vp`), by $\sigma\varepsilon / (1 + "
    r"\sigma)$ if the velocity (straight path), where $\sigma = g/a$.",
    papers=("058",),
    kind="exact",
    formula=factors,
    controls={
        "v and velocity exchanged": lambda s: factors(s)[[0, 2, 1]],
        "$g$ for $g/a$ in the noise": lambda s: factors(s)[[1, 1, 2]],
    },
    tol=1e-12,
    because="float64; times found by bisection to the last digit",
    at=levels,
    truth=felt(levels),
)
check(error_factor)

# %% [markdown]
r"""
The figure draws these factors. Look at the right edge, where sampling starts.
"""

# %% mystnb={"figure": {"caption": "The error of the denoiser for an error of one in the network's output, against the noise-to-signal ratio, both axes logarithmic. The factor of noise prediction grows without bound; those of the velocity and of v stay below one.", "name": "fig-notation-factors"}, "image": {"alt": "Four curves on logarithmic axes. The denoiser is level at one; the noise rises as a straight line from far below to far above it; v and velocity rise with the noise and then level off towards one from below."}}
figure, axes = figures.canvas(
    "At high noise, noise prediction magnifies its errors"
)
s = torch.logspace(-1, 1, 100)
axes.loglog(s, torch.stack([s**0, *factors(s)[1:]]).T, color=figures.EXACT)
axes.loglog(s, factors(s)[0], color=figures.SECOND, lw=2.5)
axes.text(4.3, 5.5, "noise", color=figures.SECOND, ha="right")
axes.text(0.105, 1.12, "denoiser", color=figures.EXACT)
axes.text(1.3, 0.62, "v", color=figures.EXACT)
axes.text(1.3, 0.38, "velocity", color=figures.EXACT)
axes.set(xlabel=r"$\sigma = g/a$", ylabel="error of $D$")
plt.show()

# %% [markdown]
r"""
An error in the noise costs little near the data and more and more towards the
start of sampling; v and the velocity never make it larger.

## What is one step?

On the clock $\sigma$ the point $y = x/a$ moves with $dy/d\sigma = N$, as we
saw in [EDM's equation](#eq-notation-edm-ode). Euler's method, from time $t$
to $s$, keeps $N$ for the whole step:

$$
\frac{x_s}{a_s} = \frac{x_t}{a_t} + (\sigma_s - \sigma_t)\, N(x_t, t).
$$ (eq-notation-ddim)

Multiply by $a_s$ and put $x_t = a_t D + g_t N$: the terms with $N$ leave
$a_s \sigma_s = g_s$, so $x_s = a_s D + g_s N$. *Guess the data and the noise,
and mix them again for the new time*: that is DDIM {cite}`song2021ddim`. The
claim runs a dozen steps both ways. The truth is the table `tables.ddim`,
which eats the denoiser; the formula eats the mean noise.
"""

# %%
ts = tables.uniform(1.0, 0.01, 12)
c = vp.path.at(ts)
begin = vp.draw(32, 1.0, rng(1))[2]


def euler_on(clock, scale):
    """Euler's method for d(x / scale) / d clock = N, along the grid ts."""

    def run(x):
        y = x / scale[0]
        for n in range(len(ts) - 1):
            noise = vp.noise(scale[n] * y, ts[n])
            y = y + (clock[n + 1] - clock[n]) * noise
        return scale[-1] * y

    return run


# %% [markdown]
r"""
Its controls are Euler steps as well, each with a wrong clock or for a wrong
variable.
"""

# %% tags=["hide-input"]
ddim_step = Claim(
    id="notation/ddim-step",
    says=r"DDIM is Euler's method for $x/a$ on the clock $\sigma = g/a$: "
    r"$x_s / a_s = x_t / a_t + (\sigma_s - \sigma_t) N$; on `vp`.",
    papers=("022", "062"),
    kind="exact",
    formula=euler_on(c.g / c.a, c.a),
    controls={
        "the clock $g$": euler_on(c.g, c.a),
        "$x$ for $x/a$": euler_on(c.g, torch.ones_like(c.a)),
        "Euler on the clock $t$": lambda x: solvers.solve(
            tables.euler(ts), vp.velocity, x
        ),
    },
    tol=1e-11,
    because="float64; $1/a$ is large at the start, and twelve steps add up",
    at=(begin,),
    truth=lambda x: solvers.solve(tables.ddim(vp.path, ts), vp.denoise, x),
)
check(ddim_step)

# %% [markdown]
r"""
DPM-Solver (paper 062) writes the same step with $\lambda = \log(a/g)$ and
$h = \lambda_s - \lambda_t$. Since $e^h = \sigma_t / \sigma_s$, we have
$a_s (\sigma_s - \sigma_t) = g_s (1 - e^h)$, and

$$
x_s = \frac{a_s}{a_t}\, x_t - g_s \left(e^h - 1\right) N.
$$ (eq-notation-dpm)

Elsewhere "log-SNR" is the logarithm of the ratio of *powers*,
$\log(a^2/g^2) = 2 \lambda$: the book's `Path.logsnr`. Who puts that into the
step takes $e^{2h}$ for $e^h$.
"""

# %%
a_t, g_t, a_s, g_s = sympy.symbols("a_t g_t a_s g_s", positive=True)


def against_euler(lam):
    """DPM-Solver's coefficient of N, less the one of Euler's step."""
    h = lam(a_s, g_s) - lam(a_t, g_t)
    return -g_s * (sympy.exp(h) - 1) - a_s * (g_s / a_s - g_t / a_t)


# %% [markdown]
r"""
The argument of the measurement is the definition of $\lambda$.
"""

# %% tags=["hide-input"]
log_snr = Claim(
    id="notation/log-snr",
    says=r"$-g_s (e^{\lambda_s - \lambda_t} - 1) = a_s (g_s/a_s - g_t/a_t)$ "
    r"with $\lambda = \log(a/g)$, half of $\log \mathrm{SNR}$.",
    papers=("062",),
    kind="symbolic",
    formula=lambda a, g: sympy.log(a / g),
    controls={
        "$\\lambda$ is the log-SNR": lambda a, g: 2 * sympy.log(a / g),
        "upside down": lambda a, g: sympy.log(g / a),
        "$\\lambda = \\log a$": lambda a, g: sympy.log(a),
    },
    measure=against_euler,
)
check(log_snr)

# %% [markdown]
r"""
DDPM's own step is random. It draws $x_{n-1}$ from the law that it would have
if $D$ were the data, $q(x_{n-1} \mid x_n, x_0 = D)$. For
[the chain](#eq-notation-chain), given $x_0$, minus twice the log-density of
$(x_{n-1}, x_n)$ is, up to a constant,

$$
\frac{|x_{n-1} - \sqrt{\bar\alpha_{n-1}}\, x_0|^2}{1 - \bar\alpha_{n-1}}
+ \frac{|x_n - \sqrt{1 - \beta_n}\, x_{n-1}|^2}{\beta_n} .
$$

As a function of $x_{n-1}$ it is quadratic, so the law is Gaussian. Half the
second derivative is its precision, in every direction

$$
\frac{1}{\tilde\beta_n}
= \frac{1}{1 - \bar\alpha_{n-1}} + \frac{1 - \beta_n}{\beta_n}
= \frac{1 - \bar\alpha_n}{(1 - \bar\alpha_{n-1})\, \beta_n},
$$ (eq-notation-posterior)

because $\beta_n + (1 - \beta_n)(1 - \bar\alpha_{n-1}) = 1 - \bar\alpha_n$.
The mean is where the first derivative vanishes:

$$
\begin{aligned}
\tilde\mu_n &= \tilde\beta_n \Big(
\frac{\sqrt{\bar\alpha_{n-1}}}{1 - \bar\alpha_{n-1}}\, x_0
+ \frac{\sqrt{1 - \beta_n}}{\beta_n}\, x_n \Big) \\
&= \frac{\sqrt{\bar\alpha_{n-1}}\, \beta_n}{1 - \bar\alpha_n}\, x_0
+ \frac{\sqrt{1 - \beta_n}\, (1 - \bar\alpha_{n-1})}{1 - \bar\alpha_n}\, x_n .
\end{aligned}
$$ (eq-notation-bridge)

In `tables.ddim` this is the row with `eta=1`. DDPM's authors also try
$\beta_n$ as the variance of their step; for large $n$ it agrees with
$\tilde\beta_n$, so the claim looks at the steps next to the data, where the
two differ.
"""

# %%
near = torch.arange(40, 0, -1, dtype=torch.float64) / 1000
row = tables.ddim(vp.path, near, eta=1.0)
rows = torch.stack([row.A[:, 0], row.B[:, 0], row.S**2])
a2 = vp.path.at(near).a ** 2
chain = 1 - a2[:-1] / a2[1:], a2[:-1], a2[1:]


def ho(beta, abar, before):
    """DDPM's coefficients of x_n and of x0, and its variance."""
    on_x = (1 - beta).sqrt() * (1 - before) / (1 - abar)
    on_x0 = before.sqrt() * beta / (1 - abar)
    return torch.stack([on_x, on_x0, (1 - before) / (1 - abar) * beta])


# %% [markdown]
r"""
The truth inverts the covariance matrix of the pair $(x_{n-1}, x_n)$ given
$x_0$: a diagonal entry of the inverse is the precision of that variable given
the other. The same measurement also holds the rows of the table against it.
"""


# %%
def conditioned(beta, abar, before):
    """The same three numbers from a dense 2 x 2 inverse."""
    r, v = (1 - beta).sqrt(), 1 - before
    cov = torch.stack([v, r * v, r * v, r**2 * v + beta], -1)
    P = torch.linalg.inv(cov.reshape(-1, 2, 2))
    gain = -P[:, 0, 1] / P[:, 0, 0]
    return torch.stack([gain, before.sqrt() * (1 - r * gain), 1 / P[:, 0, 0]])


def off_bridge(formula):
    """The largest relative error of the formula and of the table's rows."""
    want = conditioned(*chain)
    return ((torch.stack([formula(*chain), rows]) - want) / want).abs().max()


def with_variance(v):
    """DDPM's mean with another variance v(beta, abar, before)."""
    return lambda *three: torch.stack([*ho(*three)[:2], v(*three)])


# %% [markdown]
r"""
The claim, with $\beta_n$ among its controls:
"""

# %% tags=["hide-input"]
ddpm_step = Claim(
    id="notation/ddpm-step",
    says=r"$q(x_{n-1} \mid x_n, x_0)$ has the variance $\frac{1 - "
    r"\bar\alpha_{n-1}}{1 - \bar\alpha_n} \beta_n$ and the mean "
    r"$\frac{\sqrt{\bar\alpha_{n-1}} \beta_n x_0 + \sqrt{1 - \beta_n} (1 - "
    r"\bar\alpha_{n-1}) x_n}{1 - \bar\alpha_n}$, and so has `tables.ddim` "
    r"with `eta=1`; $2 \le n \le 40$.",
    papers=("022",),
    kind="exact",
    formula=ho,
    controls={
        "variance $\\beta_n$": with_variance(lambda b, n, m: b),
        "upside down": with_variance(lambda b, n, m: (1 - n) / (1 - m) * b),
        "$x_n$ and $x_0$ exchanged": lambda *three: ho(*three)[[1, 0, 2]],
    },
    tol=1e-10,
    because="$1 - \\bar\\alpha$ and $\\beta$ lose four digits near the data",
    measure=off_bridge,
)
check(ddpm_step)

# %% [markdown]
r"""
## What does a guidance of one mean?

Classifier-free guidance {cite}`ho2022guidance` mixes the noise $\epsilon_c$
of a class with the noise $\epsilon$ of the whole world. The paper, and the
distillation of guided models (paper 145), write it with $w$; many libraries
write it with a *scale* $s$:

$$
(1 + w)\, \epsilon_c - w\, \epsilon = \epsilon + s\, (\epsilon_c - \epsilon),
\qquad s = 1 + w .
$$ (eq-notation-guidance)

So "no guidance" is $w = 0$ but $s = 1$, and $s = 0$ forgets the class. What
do the two numbers count? Divide by $-g$, and use
$\log p(x \mid c) = \log p(c \mid x) + \log p(x) - \log p(c)$:

$$
\begin{aligned}
(1 + w)\, \nabla \log p(x \mid c) - w\, \nabla \log p(x)
&= \nabla \log p(x) + s\, \nabla \log p(c \mid x) \\
&= \nabla \log p(x \mid c) + w\, \nabla \log p(c \mid x).
\end{aligned}
$$ (eq-notation-guided)

The classifier $p(c \mid x)$ enters with the power $s$ seen from the whole
world, and with $w$ seen from the class. By [the solve](#eq-notation-solve) a
conversion is a multiple of $x$ plus a multiple of $F$, and the weights
$1 + w$ and $-w$ sum to one; so mixing before or after converting is the same,
and the formula holds for $D$, $u$, $v$ and the score as well.

Here the class is two of the three components. The truth is the gradient of
$\log p(x) + (1 + w) \log p(c \mid x)$, with the densities by torch; the time
is one number for all points, and every point has its own $w$.
"""

# %%
classy, level = worlds.World(paths.vp(), joint.select([0, 2])), 0.4
spot = vp.draw(64, level, rng(2))[2]
w = torch.linspace(0, 4, 64, dtype=torch.float64).unsqueeze(-1)
c = vp.path.at(level)


def powers(cond, free, w):
    """-g times the gradient of log p(x) + (1 + w) log p(c | x)."""
    y = spot.clone().requires_grad_()
    whole = density(y, c.a, c.g)
    classifier = density(y, c.a, c.g, keep=(0, 2)) - whole
    total = (whole + (1 + w.squeeze(-1)) * classifier).sum()
    return -c.g * torch.autograd.grad(total, y)[0]


# %% [markdown]
r"""
The libraries' formula takes the scale:
"""


# %%
def guided(cond, free, s):
    """The libraries' formula, with a scale s."""
    return free + s * (cond - free)


# %% [markdown]
r"""
To type the paper's $w$ where a library wants $s$ is the first control.
"""

# %% tags=["hide-input"]
guidance = Claim(
    id="notation/guidance",
    says=r"$\epsilon + s (\epsilon_c - \epsilon)$ with $s = 1 + w$, which is "
    r"$(1 + w) \epsilon_c - w \epsilon$, is $-g \nabla [\log p_t(x) + (1 + w)"
    r" \log p_t(c \mid x)]$; $c$ is two of three components, $w \le 4$.",
    papers=("145",),
    kind="exact",
    formula=lambda cond, free, w: guided(cond, free, 1 + w),
    controls={
        "$s = w$": guided,
        "$s$ counted from the class": lambda c, f, w: guided(c, f, 2 + w),
        "class and world exchanged": lambda c, f, w: guided(f, c, 1 + w),
        "$+w$ for $-w$": lambda c, f, w: (1 + w) * c + w * f,
    },
    tol=1e-13,
    because="float64, weights up to five",
    at=(classy.noise(spot, level), vp.noise(spot, level), w),
    truth=powers,
)
check(guidance)

# %% [markdown]
r"""
## Break it

Let all points of `notation/flow-matching` have $\tau = 1/2$ and run it again:
one of its controls now passes, and the verdict says which. Or run
`notation/ddpm-step` on the forty steps from $n = 1000$ down, with a tolerance
of a millionth, as a careless test might: the wrong variance $\beta_n$ is no
longer rejected.

## What this does not show

The translations are exact for exact fields. A trained network has errors,
which a translation magnifies by [the factors](#eq-notation-factor) above.
Training on $\epsilon$, $D$ or $v$ also weighs the noise levels differently,
so networks of different dialects differ after finite training. The discrete
chain of DDPM and the path `vp` agree only up to [the gap](#eq-notation-gap).
Libraries disagree about more than letters: two of them may call different
functions $a(t)$ "VP", so compare numbers of $a$ and $g$ before anything else.
And $p(x)\, p(c \mid x)^s$ at each time is not the noised version of one
sharpened law: guidance has a translation here, not yet a justification.

## Exercises

**1.** A flow-matching network gives
$F(x, \tau) = \mathbb E[x_0 - z \mid x_\tau = x]$ for
$x_\tau = (1 - \tau) z + \tau x_0$. Write the score of $x_\tau$.
"""

# %% tags=["hide-input"]
_, line_time, flow_x = probe(paths.one_sided())
flow_tau = (1 - line_time).unsqueeze(-1)
flow_F = target(flow_x, flow_tau, 1 - flow_tau, 1, -1)
flow_score_claim = Claim(
    id="notation/flow-score",
    says="the score of flow matching, from its network",
    papers=("058",),
    kind="exact",
    formula=None,
    controls={
        "tau is not the noise level": lambda x, s, F: (s * F - x) / s,
        "the sign of the score": lambda x, s, F: (x - s * F) / (1 - s),
        "this is the mean noise": lambda x, s, F: x - s * F,
        "the data is at tau = 1": lambda x, s, F: ((1 - s) * F - x) / s,
    },
    tol=1e-12,
    because="float64; the division by 1 - tau",
    at=(flow_x, flow_tau, flow_F),
    truth=slope(flow_x, flow_tau, 1 - flow_tau),
)


# %% tags=["solution", "hide-cell"]
def flow_score(x, tau, F):
    """The score of x_tau. x, F: (n, 2); tau: (n, 1)."""
    return (tau * F - x) / (1 - tau)


# %%
attempt(flow_score_claim, flow_score)

# %% [markdown]
r"""
**2.** Song's third equation, "sub-VP", is
$dx = -\frac12 \beta x\, dt + \sqrt{\beta\, (1 - e^{-2B})}\, dW$ with
$B = \int_0^t \beta$. It has the $a$ of `vp`. Write its noise level $g$ as a
function of $B$. The truth adds up all noise that entered, each part damped
since: $g^2 = \int_0^B e^{-(B - b)} (1 - e^{-2b})\, db$, by quadrature.
"""

# %%
nodes, mass = map(torch.from_numpy, legendre.leggauss(40))
areas = torch.linspace(0.1, 10, 25, dtype=torch.float64)
inside = (nodes + 1) / 2 * areas.unsqueeze(-1)
entered = torch.exp(inside - areas.unsqueeze(-1)) * -torch.expm1(-2 * inside)

# %% tags=["hide-input"]
sub_vp_claim = Claim(
    id="notation/sub-vp",
    says="the noise level of the sub-VP equation",
    papers=("059",),
    kind="exact",
    formula=None,
    controls={
        "this is the square of g": lambda B: (1 - torch.exp(-B)) ** 2,
        "this is the g of vp": lambda B: (1 - torch.exp(-B)).sqrt(),
        "the rate counts twice": lambda B: 1 - torch.exp(-2 * B),
        "no damping": lambda B: (B - (1 - torch.exp(-2 * B)) / 2).sqrt(),
    },
    tol=1e-12,
    because="Gauss quadrature of an entire function, in float64",
    at={"B": areas},
    truth=((entered * mass).sum(-1) * areas / 2).sqrt(),
)


# %% tags=["solution", "hide-cell"]
def sub_vp(B):
    """The noise level g of sub-VP, for a tensor of values of B."""
    return 1 - torch.exp(-B)


# %%
attempt(sub_vp_claim, sub_vp)

# %% [markdown]
r"""
**3.** You have EDM's network `edm_network(y, sigma)`, which returns
$\mathbb E[x_0 \mid x_0 + \sigma z = y]$, and stand at a point
$x = a x_0 + g z$ of a path with $a^2 + g^2 = 1$. Write
$\mathbb E[a z - g x_0 \mid x]$.
"""

# %%
edm_world = worlds.World(paths.edm(200.0), joint)
_, vp_time, vp_x = probe(paths.vp())
vp_a, vp_g, _, _ = columns(paths.vp(), vp_time)


def edm_network(y, sigma):
    """EDM's denoiser. y: (n, 2); sigma: (n, 1)."""
    return edm_world.denoise(y, sigma.squeeze(-1))


def v_from(D, x, a, g):
    """E[a z - g x0 | x] from a denoiser, as derived above."""
    return (a * x - D) / g


# %%
wrong_denoisers = {
    "EDM is asked at x": lambda x, a, g: edm_network(x, g / a),
    "EDM's level is not g": lambda x, a, g: edm_network(x / a, g),
    "EDM's level is not a / g": lambda x, a, g: edm_network(x / a, a / g),
    "D is not scaled": lambda x, a, g: edm_network(x, g) / a,
}

# %% tags=["hide-input"]
to_v_claim = Claim(
    id="notation/edm-to-v",
    says="the v-prediction of a path, from EDM's network",
    papers=("058", "145"),
    kind="exact",
    formula=None,
    controls={
        name: lambda x, a, g, D=D: v_from(D(x, a, g), x, a, g)
        for name, D in wrong_denoisers.items()
    },
    tol=1e-12,
    because="float64; the difference near the data is divided by g",
    at=(vp_x, vp_a, vp_g),
    truth=lambda x, a, g: target(x, a, g, -g, a),
)


# %% tags=["solution", "hide-cell"]
def edm_to_v(x, a, g):
    """E[a z - g x0 | x], by `edm_network`. x: (n, 2); a, g: (n, 1)."""
    return (a * x - edm_network(x / a, g / a)) / g


# %%
attempt(to_v_claim, edm_to_v)

# %% [markdown]
r"""
**4.** Write a new control for `notation/one-solve`: a conversion with one
wrong sign. Which pairs of targets does it leave right, and would a test that
looks only at them see it?

**5.** Give the world of this chapter a third dimension. One claim fails until
you change one number in it: which, and why only that one?

## Summary

| question | answer |
|---|---|
| DDPM's $\bar\alpha_n$, $\epsilon$ | $a^2$, and $N = -g\, \nabla \log p$ |
| Song's $\beta$, Wang's $\beta$ | $a^2 = e^{-\int \beta}$, $a^2 = e^{-2 \int \beta}$ |
| EDM's $y$, $\sigma$, $D$ | $x / a$, $g / a$, the same $D$ |
| flow matching's $F(x, \tau)$ | $-u(x, 1 - \tau)$ on the straight path |
| interpolants' $\eta$, $b$ | $N$, $-u$, at $1 - \tau$; score $= -\eta/\alpha$ |
| v-prediction | $a N - g D = dx / d\phi$ |
| any target from any other | one 2 x 2 solve with $a D + g N = x$ |
| a DDIM step | Euler for $x / a$ on the clock $g / a$ |
| a DDPM step | the bridge between $x_n$ and $x_0 = D$ |
| guidance $w$ | scale $s = 1 + w$ |

**Where next.** [Painters](../gaussian/painters.ipynb) follows the flow of one
Gaussian to the end, in closed form, and draws it.
"""
