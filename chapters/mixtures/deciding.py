# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# When is a mode decided?

Pure noise has one mode and the data have three. Somewhere on the way a sample has
become a member of one of them. We look for that moment in worlds where every answer
is exact, and find not one but several: the level where the density splits, the level
where the sampler lets go of the middle, the level where half of the label is known.
A deterministic sampler has decided before it began.

- **You need** [reverse time](../gaussian/reverse.ipynb), the birth of two modes in
[merging](../interpolants/merging.ipynb), and
[how to read a claim](../start/reading.ipynb).
- **You get** the exact score of a mixture and its slope between modes, the critical
noise levels of two modes and of three symmetric ones, and the law of the verdict for
random and for deterministic samplers.
- **Paper** 024, Aithal, Maini, Lipton and Kolter {cite}`aithal2024hallucinations`.
- **Claims** on mixtures on the line and in the plane, all named `deciding/...`.
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
import itertools
import math

import matplotlib.pyplot as plt
import mpmath
import numpy as np
import sympy
import torch
from scipy import integrate, optimize
from torch import distributions

# %% tags=["setup"]
from diffkit import (
    figures,
    information,
    laws,
    paths,
    shapes,
    solvers,
    tables,
    worlds,
)
from diffkit.claims import Claim, attempt, check

tensor = functools.partial(torch.tensor, dtype=torch.float64)
even = functools.partial(torch.linspace, dtype=torch.float64)
ndtr = torch.special.ndtr

# %% [markdown]
r"""
Two worlds go through the chapter. In the plane, three tilted Gaussians without any
symmetry, on the variance-preserving path; a formula that is right there is right
for a reason. On the line, the paper's modes $1, 2, 3$ of standard deviation $0.05$.
"""

# %% tags=["setup"]
centres = tensor([[-1.2, 0.4], [0.9, 1.1], [0.5, -1.3]])
tilts = tensor(
    [
        [[0.28, 0.15], [0.15, 0.20]],
        [[0.10, -0.04], [-0.04, 0.30]],
        [[0.40, 0.12], [0.12, 0.09]],
    ]
)
shares = tensor([0.45, 0.35, 0.20])
vp, edm = paths.vp(), paths.edm()
plane = worlds.World(vp, laws.mixture(centres, tilts, shares))
PAPER, SD = tensor([1.0, 2.0, 3.0]), 0.05
times = even(0.04, 0.9, 48)
spots = plane.draw(48, times, shapes.rng(1))[2]

# %% [markdown]
r"""
## What does the exact score look like?

Let $x_t = a x_0 + g z$ with $x_0 \sim \sum_k w_k\, \mathcal N(m_k, C_k)$ and $g > 0$.
The **label** $k$ says which mode $x_0$ was drawn from. Given the label, $x_t$ is
Gaussian with mean $a m_k$ and covariance $V_k = a^2 C_k + g^2 I$, which is invertible
even where $C_k$ is not. Bayes' rule gives the probability of the label, called the
**responsibility** of mode $k$,

$$
r_k(x) = P(k \mid x_t = x)
= \frac{w_k\, \mathcal N(x; a m_k, V_k)}{\sum_j w_j\, \mathcal N(x; a m_j, V_j)} .
$$ (eq-deciding-r)

Given the label, $x_0$ and $x_t$ are jointly Gaussian, so
$D_k(x) = m_k + a C_k V_k^{-1} (x - a m_k)$ is the denoiser of mode $k$ alone, and the
average over the label, given $x$, is

$$
D(x) = \sum_k r_k(x)\, D_k(x), \qquad
s(x) = - \sum_k r_k(x)\, V_k^{-1} (x - a m_k) .
$$ (eq-deciding-d)

The second follows in the same way from
$\nabla p = \sum_k w_k p_k \nabla \log p_k$. All $D_k$ are affine. Whatever is not
affine in the exact score of a mixture, is in the responsibilities. So look at them:
for two labels

$$
\begin{gathered}
\log \frac{r_j}{r_k} = c + b^\top x - \tfrac12\, x^\top A\, x, \qquad
A = V_j^{-1} - V_k^{-1}, \\
b = a \big( V_j^{-1} m_j - V_k^{-1} m_k \big), \\
c = \log \frac{w_j}{w_k} - \frac12 \log \frac{\det V_j}{\det V_k} \\
{} - \frac{a^2}{2} \big( m_j^\top V_j^{-1} m_j - m_k^\top V_k^{-1} m_k \big),
\end{gathered}
$$ (eq-deciding-logits)

by multiplying out the exponents. If all covariances are equal, $A = 0$: the logits
are *linear* in $x$, the softmax of a linear map, and the borders between modes are
hyperplanes at every noise level. If not, they are quadrics, and a wide mode
owns the region far behind a narrow one.

The truth is a difference of two log-densities by torch.
"""


# %% tags=["setup"]
def parts(x, t, path=vp):
    """log w_k N(x; a m_k, a^2 C_k + g^2 I) by torch; x (n, 2), t (n)."""
    c = path.at(t)
    a, g2 = c.a.reshape(-1, 1, 1), c.g2.reshape(-1, 1, 1, 1)
    V = a.unsqueeze(-1) ** 2 * tilts + g2 * torch.eye(2).double()
    modes = distributions.MultivariateNormal(a * centres, V)
    return shares.log() + modes.log_prob(x.unsqueeze(1))


# %% tags=["setup"]
def odds(noise=1, bend=1, volume=1, prior=1, by=1):
    """log r_0/r_1 and log r_0/r_2 as polynomials in x, with slips."""

    def logits(x, t):
        u = vp.at(t)
        a, g2 = u.a.reshape(-1, 1, 1), u.g2.reshape(-1, 1, 1, 1)
        V = a.unsqueeze(-1) ** 2 * tilts + noise * g2 * torch.eye(2).double()
        A = V.inverse()
        b = a**by * (A @ centres.unsqueeze(-1)).squeeze(-1)
        c = prior * shares.log() - volume * V.logdet() / 2
        c = c - a[..., 0] ** by * (b * centres).sum(-1) / 2
        flat = (b * x.unsqueeze(1)).sum(-1) + c
        square = torch.einsum("ni,nkij,nj->nk", x, A, x)
        pick = flat - bend * square / 2
        return pick[:, :1] - pick[:, 1:]

    return logits


# %% tags=["hide-input"]
logits_slips = {
    "no quadratic term, though covariances differ": odds(bend=0),
    "$C_k$ without the noise": odds(noise=0),
    "no determinant": odds(volume=0),
    "no weights": odds(prior=0),
    "$m$ for $a m$": odds(by=0),
}

# %% tags=["hide-input"]
logits_claim = Claim(
    id="deciding/logits",
    says=r"$\log r_j/r_k = c + b \cdot x - \frac12 x^\top A x$ with $A = "
    r"V_j^{-1} - V_k^{-1}$, $b = a (V_j^{-1} m_j - V_k^{-1} m_k)$, $V_k = "
    r"a^2 C_k + g^2 I$: quadratic in $x$, and linear where the covariances "
    r"agree (three tilted Gaussians in the plane, VP).",
    papers=("024",),
    kind="exact",
    formula=odds(),
    controls=logits_slips,
    tol=2e-14,
    because="float64; terms up to a hundred times the logits cancel",
    at=(spots, times),
    truth=lambda x, t: parts(x, t)[:, :1] - parts(x, t)[:, 1:],
)
check(logits_claim)

# %% [markdown]
r"""
How does $D$ change when $x$ moves? Write $\varphi(x \mid x_0)$ for the density of
$\mathcal N(a x_0, g^2 I)$; then $D = \int x_0\, \varphi\, p(x_0) / \int \varphi\,
p(x_0)$ and $\nabla_x \log \varphi = (a x_0 - x)/g^2$. By the quotient rule, with
averages over $x_0$ given $x$,

$$
\begin{aligned}
\frac{\partial D}{\partial x}
&= \mathbb E\Big[ x_0 \frac{(a x_0 - x)^\top}{g^2} \Big]
- D\, \mathbb E \Big[ \frac{(a x_0 - x)^\top}{g^2} \Big] \\
&= \frac{a}{g^2}\, \operatorname{Cov}[x_0 \mid x_t = x] .
\end{aligned}
$$ (eq-deciding-jacobian)

The terms with $x$ cancel. Nothing about mixtures was used.
**A denoiser is steep exactly where it is unsure.** In a mixture the law of total
covariance, over the label, splits the doubt in two:

$$
\begin{aligned}
\operatorname{Cov}[x_0 \mid x]
&= \sum_k r_k \big( C_k - a^2 C_k V_k^{-1} C_k \big)
&& \text{where in the mode} \\
&+ \sum_k r_k (D_k - D)(D_k - D)^\top && \text{in which mode.}
\end{aligned}
$$ (eq-deciding-doubt)

Only the second part is large between modes; it is what this chapter follows. The
truth is the Hessian of torch's log-density, since $a D = x + g^2 s$.
"""


# %% tags=["setup"]
def doubts(x, t):
    """a, g^2; the doubt within modes and between them, (n, 2, 2) each."""
    u = vp.at(t)
    a, g2 = u.a.reshape(-1, 1, 1), u.g2.reshape(-1, 1, 1, 1)
    V = a.unsqueeze(-1) ** 2 * tilts + g2 * torch.eye(2).double()
    gain = a.unsqueeze(-1) * tilts @ V.inverse()
    off = x.unsqueeze(1) - a * centres
    each = centres + (gain @ off.unsqueeze(-1)).squeeze(-1)
    r = parts(x, t).softmax(-1)[..., None, None]
    inside = (r * (tilts - a.unsqueeze(-1) * gain @ tilts)).sum(1)
    apart = each - (r.squeeze(-1) * each).sum(1, keepdim=True)
    across = (r * apart.unsqueeze(-1) * apart.unsqueeze(-2)).sum(1)
    return a, g2.squeeze(1), inside, across


# %%
def by_hessian(x, t):
    """The Jacobian of (x + g^2 s)/a, by torch and twice autograd."""
    u, y = vp.at(t), x.clone().requires_grad_()
    value = parts(y, t).logsumexp(-1).sum()
    s = torch.autograd.grad(value, y, create_graph=True)[0]
    rows = [torch.autograd.grad(q, y, retain_graph=True)[0] for q in s.sum(0)]
    H, (a, g2) = torch.stack(rows, 1), (q[:, None, None] for q in (u.a, u.g2))
    return (torch.eye(2).double() + g2 * H) / a


# %% tags=["hide-input"]
def steepness(build):
    """The Jacobian from a, g^2 and the two parts of the doubt."""
    return lambda x, t: build(*doubts(x, t))


jacobian_slips = {
    "$1/g^2$ for $a/g^2$": steepness(lambda a, g2, i, b: (i + b) / g2),
    "$a^2/g^2$": steepness(lambda a, g2, i, b: a**2 / g2 * (i + b)),
    "the label taken for known": steepness(lambda a, g2, i, b: a / g2 * i),
    "the modes taken for points": steepness(lambda a, g2, i, b: a / g2 * b),
}

# %% tags=["hide-input"]
jacobian_claim = Claim(
    id="deciding/jacobian",
    says=r"$\partial D / \partial x = (a/g^2) \operatorname{Cov}[x_0 \mid "
    r"x]$, and $\operatorname{Cov}[x_0 \mid x] = \sum r_k (C_k - a^2 C_k "
    r"V_k^{-1} C_k) + \sum r_k (D_k - D)(D_k - D)^\top$ (three tilted "
    r"Gaussians in the plane, VP).",
    papers=("024",),
    kind="exact",
    formula=steepness(
        lambda a, g2, inside, across: a / g2 * (inside + across)
    ),
    controls=jacobian_slips,
    tol=1e-12,
    because="float64; a Hessian by automatic differentiation",
    at=(spots, times),
    truth=by_hessian,
)
check(jacobian_claim)

# %% [markdown]
r"""
A word on computing $r_k$. Far from all modes every
$\mathcal N(x; a m_k, V_k)$ is smaller than the smallest double, and the quotient of
[Bayes' rule](#eq-deciding-r) is $0/0$. Samplers do go there: at low noise, a step
that lands 60 standard deviations off is enough, since $e^{-60^2/2}$ is zero to a
computer. The remedy is to subtract the largest logarithm before taking exponentials
(log-sum-exp): one term is then $1$. Other remedies are popular and wrong. A
small number in the denominator sends $D$ to zero, a bound on the exponents makes all modes
equal, and a NaN replaced by a number is a silent lie; [the card](card.ipynb) shows what a
NaN does to a count of hallucinations. The claim looks at the paper's modes from up to
3 units away at $\sigma = 0.02$; the truth uses naive quotients in arithmetic of 60 digits and
unbounded exponents.
"""

# %%
far = tensor([-2.0, -0.4, 0.9, 1.5003, 2.2, 2.4999, 3.7, 5.0, 6.0])
LOW = SD**2 + 0.02**2


def by_digits(x):
    """D by Bayes' rule as it stands, with 60 digits."""
    with mpmath.workdps(60):
        v, out = mpmath.mpf(LOW), []
        for y in map(mpmath.mpf, x.tolist()):
            w = [mpmath.exp(-((y - m) ** 2) / (2 * v)) for m in (1, 2, 3)]
            mean = sum(m * q for m, q in enumerate(w, 1)) / sum(w)
            out.append(float((SD**2 * y + (v - SD**2) * mean) / v))
    return tensor(out)


# %%
def guess(weigh):
    """D with responsibilities from the logarithms of the densities."""

    def D(x):
        r = weigh(-((x.unsqueeze(1) - PAPER) ** 2) / (2 * LOW))
        return (SD**2 * x + (LOW - SD**2) * (r @ PAPER)) / LOW

    return D


def naive(log, floor=0.0):
    """Exponentials over their sum."""
    return log.exp() / (log.exp().sum(1, keepdim=True) + floor)


# %% tags=["hide-input"]
far_slips = {
    "a small number in the denominator": guess(lambda log: naive(log, 1e-12)),
    "NaN replaced by 0": guess(lambda log: naive(log).nan_to_num(0.0)),
    "exponents cut at $-80$": guess(lambda log: naive(log.clamp(min=-80))),
}

# %% tags=["hide-input"]
far_claim = Claim(
    id="deciding/far",
    says=r"With responsibilities by log-sum-exp the denoiser of the modes "
    r"$1, 2, 3$, sd $0.05$, is right to rounding at $\sigma = 0.02$ up to 3 "
    r"units from all modes, where every density is zero to a computer.",
    papers=("024",),
    kind="exact",
    formula=guess(lambda log: log.softmax(1)),
    controls=far_slips,
    tol=1e-14,
    because="float64; the exponents near a border lose three digits",
    at=far,
    truth=by_digits,
)
check(far_claim)

# %% [markdown]
r"""
## How steep is it in the middle of two modes?

From here on, $x$ stands for $x_t/a$ and $\sigma$ for the noise-to-signal ratio $g/a$;
then $x = x_0 + \sigma z$, and every path is the path with $a = 1$. Put two equal modes
of standard deviation $s$ at $\pm m$ on the line and let

$$
v = s^2 + \sigma^2
$$

be the variance of each mode with its noise. The log-odds are $2 m x/v$, so
$r_+ - r_- = \tanh(m x/v)$, and [the sums](#eq-deciding-d) become

$$
D(x) = \frac{s^2 x + \sigma^2 m \tanh(m x/v)}{v}, \qquad
D'(0) = \frac{s^2}{v} + \frac{\sigma^2 m^2}{v^2} .
$$ (eq-deciding-middle)

The two terms are the two doubts, over $\sigma^2$. For the score
$s(x) = (D - x)/\sigma^2$ write $1 = (s^2 + \sigma^2)/v$; the terms with $s^2$ cancel:

$$
s'(0) = \frac{D'(0) - 1}{\sigma^2} = \frac{m^2 - v}{v^2} .
$$ (eq-deciding-sign)

So three statements are one: $D'(0) > 1$; the score pushes away from the middle; and
$m^2 > v$. Above the level $\sigma_c^2 = m^2 - s^2$ the middle attracts and there is one
maximum, below it repels. If $m \le s$, it never repels.

As a function of $\sigma$ the slope is $1$ at $\sigma = 0$, where $D(x) = x$, and falls
like $(s^2 + m^2)/\sigma^2$ at the other end. With $q = 1/v$ it is the parabola
$(s^2 + m^2)\, q - s^2 m^2 q^2$, with its top at

$$
v = \frac{2 s^2 m^2}{s^2 + m^2}, \qquad
\max_\sigma D'(0) = \frac14 \Big( \frac ms + \frac sm \Big)^2 \quad (m \ge s) .
$$ (eq-deciding-top)

For two *points* the cliff becomes steeper without end as the noise fades
([a slope that is too small](slope.ipynb)). Modes with a width never ask for more than
this. Two neighbours among the paper's modes have $m = 0.5$, $s = 0.05$: a slope
of 25.5, at $\sigma$ just below $s$. That number, and not the number of modes, is what
a network has to reach.
"""


# %% tags=["setup"]
def pair(m, s, weights=(0.5, 0.5)):
    """The world of modes at -m and m on the path with a = 1."""
    ends = tensor([[-m], [m]])
    return worlds.World(edm, laws.mixture(ends, s**2, tensor(weights)))


def slope_at(field, x, t):
    """The slope of a field on the line at one point."""
    y = tensor([[x]]).requires_grad_()
    return torch.autograd.grad(field(y, t).sum(), y)[0].item()


# %%
gaps = [(0.5, 0.05, q) for q in (0.02, 0.047, 0.149, 0.363, 0.497, 0.8)]
gaps += [(1.0, 0.6, q) for q in (0.1, 0.5, 0.9, 2.0)]


def slopes_by_world():
    """Slopes of D and of the score at 0, by automatic differentiation."""
    rows = []
    for m, s, q in gaps:
        w = pair(m, s)
        rows.append([slope_at(f, 0.0, q) for f in (w.denoise, w.score)])
    return tensor(rows)


# %%
def middle(m, s, q, wide=1, power=2, gain=1):
    """Slopes of D and of the score in the middle, with slips."""
    v = wide * s**2 + q**2
    return torch.stack(
        [s**2 / v + gain * q**2 * m**2 / v**power, (m**2 - v) / v**power], -1
    )


# %% tags=["hide-input"]
middle_slips = {
    "the width forgotten in $v$": functools.partial(middle, wide=0),
    "$v$ for $v^2$": functools.partial(middle, power=1),
    "modes at distance $m$, not $2 m$": functools.partial(middle, gain=0.25),
    "no doubt between modes": functools.partial(middle, gain=0),
}

# %% tags=["hide-input"]
middle_claim = Claim(
    id="deciding/middle",
    says=r"Between equal modes at $\pm m$ of standard deviation $s$, with $v "
    r"= s^2 + \sigma^2$: $D'(0) = s^2/v + \sigma^2 m^2/v^2$ and $s'(0) = "
    r"(m^2 - v)/v^2$, which changes sign at $\sigma^2 = m^2 - s^2$ ($m = "
    r"0.5$, $s = 0.05$ and $m = 1$, $s = 0.6$; both sides of the level).",
    papers=("024",),
    kind="exact",
    formula=middle,
    controls=middle_slips,
    tol=1e-14,
    because="float64; automatic differentiation of a softmax",
    at=tuple(tensor(gaps).unbind(1)),
    truth=slopes_by_world(),
)
check(middle_claim)

# %%
shapes_of = ((0.5, 0.05), (1.0, 0.3), (2.0, 0.25), (1.0, 0.8))


def climbed():
    """The largest slope over all levels, and its v, by a search."""
    rows = []
    for m, s in shapes_of:
        world = pair(m, s)
        found = optimize.minimize_scalar(
            lambda u, w=world: -slope_at(w.denoise, 0.0, math.exp(u)),
            bounds=(math.log(s) - 3, math.log(m) + 1),
            method="bounded",
            options={"xatol": 1e-7},
        )
        rows.append([-found.fun, s**2 + math.exp(2 * found.x)])
    return tensor(rows)


# %%
def tops(top, place):
    """The formulas for the top and for its v, in all worlds."""
    return tensor([[top(m, s), place(m, s)] for m, s in shapes_of])


# %% tags=["hide-input"]
def parabola(m, s):
    """v at the top of the parabola."""
    return 2 * s**2 * m**2 / (s**2 + m**2)


top_slips = {
    "$m^2/4s^2$, the narrow limit": lambda: tops(
        lambda m, s: (m / s) ** 2 / 4, parabola
    ),
    "$m^2/s^2$, points at the level $s$": lambda: tops(
        lambda m, s: (m / s) ** 2, parabola
    ),
    "the top at $\\sigma = s$": lambda: tops(
        lambda m, s: (m / s + s / m) ** 2 / 4, lambda m, s: 2 * s**2
    ),
}

# %% tags=["hide-input"]
top_claim = Claim(
    id="deciding/top",
    says=r"Between equal modes of width $s$ the denoiser's slope in the "
    r"middle is largest at $v = 2 s^2 m^2/(s^2 + m^2)$, where it is "
    r"$\frac14 (m/s + s/m)^2$: $25.5$ for neighbours at distance $1$ of sd "
    r"$0.05$ (four worlds, $m > s$).",
    papers=("024",),
    kind="exact",
    formula=lambda: tops(lambda m, s: (m / s + s / m) ** 2 / 4, parabola),
    controls=top_slips,
    tol=1e-8,
    because="the place of a maximum is found to half of the digits",
    truth=climbed(),
)
check(top_claim)

# %% [markdown]
r"""
## When do two modes become one?

A maximum of $p_\sigma$ is where the score vanishes while falling. By
[the sums](#eq-deciding-d) that is a fixed point of a map: for modes at $\pm m$ with
weights $w_\pm$, let $\eta = \frac12 \log (w_+/w_-)$. Then

$$
s(x) = \frac{F(x) - x}{v}, \qquad F(x) = m \tanh\Big( \frac{m x}{v} + \eta \Big) .
$$ (eq-deciding-f)

With equal weights this is [the birth of two modes](../interpolants/merging.ipynb): the
middle loses its maximum exactly at $m^2 = v$, in a *pitchfork*, and the new modes
leave it like $\pm m \sqrt{3 (1 - v/m^2)}$ (expand $\tanh$ to third order). For diffusion
models this was called spontaneous symmetry breaking {cite}`raya2023symmetry`.

With unequal weights nothing is symmetric. Let $\eta > 0$. The strong mode then never
dies. The weak one exists if $F(x) = x$ has three solutions, and disappears where two
of them meet: $F(x) = x$ and $F'(x) = 1$. Write $x = m T$ with $T = \tanh(\cdot)$; the
second condition is $\frac{m^2}{v} (1 - T^2) = 1$, hence $T = -\sqrt{1 - v/m^2}$ on the
weak side, and the first is $\eta = \operatorname{artanh} T - \frac{m^2}{v}\, T$. As a
function of $T < 0$ the right side rises from $-\infty$ to its top, which is at this very
$T$, and falls to $0$; so there are two solutions below the top and none above. With the
sign taken out,

$$
\begin{gathered}
\text{two modes} \iff v < m^2 \ \text{ and } \
|\eta| < \frac{T}{1 - T^2} - \operatorname{artanh} T, \\
T = \sqrt{1 - v/m^2} .
\end{gathered}
$$ (eq-deciding-fold)

This is a *fold*. Near $T = 0$ the bound is $\frac23 T^3$: a cusp. So the
weak mode is born later than a twin would be, and not at the middle, but at
$-m\sqrt{1 - v/m^2}$ on its own side. At $v = m^2/2$ it needs about $0.344$ times
the strong one's weight to exist. The denoiser knows of it before; no maximum
marks it yet.

The claim finds the critical $\eta$ by counting maxima of torch's density.
"""


# %% tags=["setup"]
def cusp(ratio):
    """The largest |eta| with two modes, at v/m^2 = ratio < 1."""
    T = (1 - torch.as_tensor(ratio, dtype=torch.float64)).sqrt()
    return T / (1 - T**2) - T.atanh()


def peaks(x, means, v, logits):
    """The number of maxima of torch's mixture density on a grid."""
    modes = distributions.Normal(means, torch.as_tensor(v).sqrt())
    which = distributions.Categorical(logits=logits)
    p = distributions.MixtureSameFamily(which, modes).log_prob(x)
    return int(((p[1:-1] > p[:-2]) & (p[1:-1] > p[2:])).sum())


# %%
ratios = tensor([0.15, 0.5, 0.7, 0.9])


def critical_odds(ratio, m=1.3):
    """The eta at which a maximum is lost, by bisection of the count."""
    low, high, x = 0.0, 12.0, even(-1.1 * m, 1.1 * m, 8001)
    for _ in range(24):
        eta = (low + high) / 2
        logits = tensor([-eta, eta])
        two = peaks(x, tensor([-m, m]), ratio * m**2, logits) == 2
        low, high = (eta, high) if two else (low, eta)
    return low


weak = torch.stack([tensor(critical_odds(u.item())) for u in ratios])

# %% tags=["hide-input"]
fold_slips = {
    "$\\log w_+/w_-$ without the half": lambda u: 2 * cusp(u),
    "the cusp, $\\frac23 T^3$, everywhere": lambda u: 2 / 3 * (1 - u) ** 1.5,
    "$T = 1 - v/m^2$": lambda u: cusp(1 - (1 - u) ** 2),
    "weights do not matter below $m^2$": lambda u: 12 + 0 * u,
}

# %% tags=["hide-input"]
fold_claim = Claim(
    id="deciding/fold",
    says=r"Modes at $\pm m$ of variance $v$ (noise included) and weights $w_"
    r"\pm$ make a density with two maxima exactly if $v < m^2$ and $\frac12 "
    r"|\log w_+/w_-| < T/(1 - T^2) - \operatorname{artanh} T$, $T^2 = 1 - "
    r"v/m^2$: a ratio of weights above $0.344$ if $v = m^2/2$ ($v/m^2 = .15, "
    r".5, .7, .9$).",
    papers=("024",),
    kind="exact",
    formula=cusp,
    controls=fold_slips,
    tol=5e-6,
    because="bisection of counts; two extrema closer than the grid are lost",
    at=ratios,
    truth=weak,
)
check(fold_claim)

# %% [markdown]
r"""
The figure draws all zeros of the score against the noise level. It needs no solver:
for given $\eta$ and $x = m T$ the level follows from $F(x) = x$ as
$v = m^2 T/(\operatorname{artanh} T - \eta)$, where that is positive.
"""

# %% mystnb={"figure": {"caption": "Zeros of the score of modes at $\\pm 1$ against $v = s^2 + \\sigma^2$. Solid: maxima of the density, dotted: minima. Grey: equal weights. Ochre: weights 0.7 and 0.3.", "name": "fig-deciding-pitchfork"}, "image": {"alt": "A grey pitchfork with its tip at v equal to one. In ochre one branch runs smoothly from the upper mode to the right, the lower branch turns back at a fold at a smaller v."}}
figure, axes = figures.canvas("The weak mode is born later, and on its side")
T = torch.cat([even(-16, -1e-3, 4000), even(1e-3, 16, 4000)]).tanh()
for w, colour in ((0.5, figures.EXACT), (0.7, figures.SECOND)):
    eta = math.log(w / (1 - w)) / 2
    v = T / (T.atanh() - eta)
    stable = (1 - T**2) / v < 1
    for keep, style in ((stable, "-"), (~stable, ":")):
        y = torch.where(keep & (v > 0.02) & (v < 1.6), T, math.nan)
        axes.plot(v, y, style, color=colour, lw=3 if w == 0.5 else 1.8)
axes.plot([1, 1.6], [0, 0], color=figures.EXACT, lw=3)
axes.plot([0, 1], [0, 0], ":", color=figures.EXACT, lw=3)
figures.label_line(axes, 1.1, 0.65, "weights .7, .3", figures.SECOND)
figures.label_line(axes, 1.2, -0.15, "equal weights", figures.EXACT)
axes.set(xlabel="$v$", ylabel="$x$", yticks=[-1, 0, 1], xlim=(0, 1.6))
plt.show()

# %% [markdown]
r"""
The ochre branch that runs through to the right never bifurcates: of two unequal modes, the
strong one *is* the mode of the noise.

## Is that when the sampler breaks the symmetry?

Not quite. A sampler moves along a drift, and the drift of a path contains more than
the score. Run [the reverse family](../gaussian/reverse.ipynb) downwards on a general
path, in its own coordinates $x_t$:

$$
\frac{d x_t}{d\tau} = - f x_t + \frac{c}{2}\, h^2\, s(x_t), \qquad c = 1 + k^2,
$$

plus noise of strength $k h$; $k = 0$ is the flow, $k = 1$ the reverse SDE. Take
variance-preserving paths, $h^2 = -2 f$, $a^2 + g^2 = 1$, and two points at
$\pm 1$, which have unit variance. Linearise at $0$. Each mode has the variance
$V = g^2$ and sits at $\pm a$, so [$s'(0)$](#eq-deciding-sign) is $(a^2 - V)/V^2$ with
$a^2 = 1 - V$. The middle lets go where

$$
\begin{gathered}
1 + c\, \frac{1 - 2 V}{V^2} = 0
\iff V^2 - 2 c V + c = 0, \\
V_c = c - \sqrt{c^2 - c},
\end{gathered}
$$ (eq-deciding-drift)

(the other root exceeds 1). Read the list: $k = 0$ gives $V_c = 1$, the very start: the
flow repels from the middle *always*. The SDE gives $V_c = 2 - \sqrt2$, so
$a = \sqrt{\sqrt2 - 1}$. As $k \to \infty$ it falls to $\frac12$, which is $a^2 = V$,
the split of the density: with infinite noise the sampler is a Langevin motion and
sees nothing but the density.

In the coordinates $x_t/a$ there is no $f$, the drift is a positive multiple of the
score for every $k$, and all members agree on the split. So "the critical time",
read from a fixed point of the drift as in {cite}`raya2023symmetry`, is a statement
about a drift *and* its coordinates. Stretching $x$ by a factor that depends on time
moves it. The split of the density does not move.
"""

# %%
coin = worlds.World(vp, laws.dataset(tensor([[-1.0], [1.0]])))
noises = tensor([0.5, 1.0, 2.0, 4.0])


def let_go(k):
    """The variance g^2 at which the drift's slope at 0 vanishes."""

    def pull(V):
        t = vp.when(tensor((V / (1 - V)) ** 0.5))
        f, h2 = vp.sde(t)
        return -f + (1 + k**2) / 2 * h2 * slope_at(coin.score, 0.0, t)

    return optimize.brentq(pull, 0.4, 0.999, xtol=1e-14)


released = tensor([let_go(k) for k in noises.tolist()])


# %% tags=["hide-input"]
def root_of(c):
    """c - sqrt(c^2 - c) as a function of k."""
    return lambda k: c(k) - (c(k) ** 2 - c(k)).sqrt()


drift_slips = {
    "the density's split for all": lambda k: 0 * k + 0.5,
    "the SDE's level for all": lambda k: 0 * k + 2 - 2**0.5,
    "$c = 1 + k$": root_of(lambda k: 1 + k),
    "$c = 1 + k^2/2$": root_of(lambda k: 1 + k**2 / 2),
}

# %% tags=["hide-input"]
drift_claim = Claim(
    id="deciding/drift",
    says=r"On the VP path with data $\pm 1$ the reverse drift of noise "
    r"strength $k$ stops attracting to the middle at $g^2 = c - \sqrt{c^2 - "
    r"c}$, $c = 1 + k^2$: $2 - \sqrt2$ for the SDE, not $\frac12$, where the "
    r"density splits ($k = \frac12, 1, 2, 4$).",
    papers=("024",),
    kind="exact",
    formula=root_of(lambda k: 1 + k**2),
    controls=drift_slips,
    tol=1e-13,
    because="a root in float64; the path's time is found from g/a",
    at=noises,
    truth=released,
)
check(drift_claim)

# %% [markdown]
r"""
A third criterion is used for images, where nobody knows the modes: the **spectral**
one {cite}`biroli2024dynamical`. In its simplest form: on a variance-preserving path, the
class begins to show when $a^2 \Lambda$, with $\Lambda$ the largest variance of the data in any
direction, has come up to $1$, the variance of pure noise. With
$a^2 = 1/(1 + \sigma^2)$ this reads $\sigma^2 = \Lambda - 1$. Two modes at $\pm m$ in $d$
dimensions with covariance $s^2 I$ have $\Lambda = |m|^2 + s^2$, and the density
splits at $\sigma^2 = |m|^2 - s^2$ (across the line through the modes it is Gaussian;
along it we know the answer). The difference of the two is

$$
\sigma^2_{\text{spectral}} - \sigma^2_{\text{split}} = 2 s^2 - 1 .
$$ (eq-deciding-spectral)

The $1$ is in the unit of the data, so it can be anything: scale the data by $u$
before training and it becomes $1/u^2$. The criterion is meant for $|m|^2$ of order
$d$, and there the difference is relatively small, like $1/d$. On the line it is not.
"""

# %%
u, m_, s_, q_, v_ = sympy.symbols("u m s q v", positive=True)
x_ = sympy.Symbol("x", real=True)  # and q is sigma^2


def between_criteria(gap):
    """Residual: the spectral level less the split, in units of the data."""
    a2 = 1 / (1 + q_ * u**2)  # g/a is sigma in units of the scaled data
    spectral = sympy.solve(a2 * u**2 * (m_**2 + s_**2) - 1, q_)[0]
    bells = [sympy.exp(-((x_ - e * m_) ** 2) / (2 * v_)) for e in (1, -1)]
    bend = sum(bells).diff(x_, 2).subs(x_, 0)
    split = sympy.solve(sympy.simplify(bend), v_)[0] - s_**2
    return spectral - split - gap


# %% tags=["hide-input"]
spectral_claim = Claim(
    id="deciding/spectral",
    says=r"For modes at $\pm m$ of covariance $s^2 I$, scaled by $u$ before "
    r"a variance-preserving path, $a^2 \Lambda = 1$ at a level $\sigma^2$ "
    r"that exceeds the split's by $2 s^2 - 1/u^2$ in the unit of the data.",
    papers=("024",),
    kind="symbolic",
    formula=2 * s_**2 - 1 / u**2,
    controls={
        "one and the same level": sympy.Integer(0),
        "no matter of units": 2 * s_**2 - 1,
        "$\\Lambda = m^2$": s_**2 - 1 / u**2,
        "$1/u$ for $1/u^2$": 2 * s_**2 - 1 / u,
    },
    measure=between_criteria,
)
check(spectral_claim)

# %% [markdown]
r"""
## Three modes: at once, or in two steps?

Put modes of equal width at $-\Delta, 0, \Delta$ with weights proportional to
$1, \beta, 1$, and measure lengths in $\Delta$. As noise grows, three maxima become one.
Is there a stage with two?

Collect the part of the density that does not depend on the label:
$p(x) \propto e^{-x^2/2v} \big( \beta + 2 q \cosh \frac xv \big)$ with
$q = e^{-1/2v}$. With $y = x/v$ and the function $K(y) = \log (\beta + 2 q \cosh y)$,
the score is $K'(y) - x$ over $v$. $K$ is a cumulant generating function: $K'$ and
$K''$ are mean and variance of the *position of the mode* given $x$. So

$$
\text{extrema: } K'(y) = v\, y, \qquad
\text{they meet where also } K''(y) = v .
$$ (eq-deciding-extrema)

**The centre.** At $y = 0$ the variance is $K''(0) = 2 q/(\beta + 2 q)$. The centre is a
maximum if this is below $v$, which is

$$
\beta > b(v) = 2\, e^{-1/2v}\, \frac{1 - v}{v} .
$$ (eq-deciding-centre)

$\log b$ has the derivative $\frac1{2 v^2} - \frac1{v (1 - v)}$, which vanishes at
$1 - v = 2 v$: $b$ is largest at $v = \frac13$, where it is $4 e^{-3/2}$.

**The sides.** Let $y > 0$ and write $P = 2 q \cosh y/(\beta + 2 q \cosh y)$. Then
$K' = P \tanh y$ and $K'' = P - K'^2$. The [conditions](#eq-deciding-extrema) say
$P \tanh y = v y$ and $P = v + v^2 y^2$. Divide: $\tanh y = y/(1 + v y^2)$. So the whole
fold is a curve with $y$ as its parameter:

$$
\begin{gathered}
v = \frac{y \coth y - 1}{y^2}, \qquad P = v + v^2 y^2, \\
\beta = 2\, e^{-1/2v} \cosh y\, \Big( \frac1P - 1 \Big) .
\end{gathered}
$$ (eq-deciding-sides)

It starts at $y = 0$, in the very point $v = \frac13$, $\beta = 4 e^{-3/2}$ where the
curve $b$ has its top, and runs to larger $\beta$ and smaller $v$.

**The answer.** In a symmetric density the number of maxima is odd exactly if the
centre is one. And on the line noise never makes new maxima: $p'$ solves the heat
equation $\partial_v p' = \frac12 p'''$ as $p$ does, and the number of sign changes of a
solution cannot grow (Sturm's theorem). There are three at $v \to 0$ and one at
$v \to \infty$. For $\beta \ge 4 e^{-3/2}$ the number is odd all along; for smaller $\beta$
it is even exactly where $b(v) > \beta$. So

$$
\begin{aligned}
\beta \ge 4 e^{-3/2}: &\quad 3 \to 1 \text{ at once, on the fold;} \\
\beta < 4 e^{-3/2}: &\quad 3 \to 2 \to 1, \text{ where } b(v) = \beta .
\end{aligned}
$$ (eq-deciding-answer)

The bound is $0.893$, whatever the distance and the width. Equal weights are above it,
if not by much: the paper's three modes are gone **at once**. A middle mode
with 11 percent less weight would be swallowed first, and leave two.
"""


# %% tags=["setup"]
def centre(v):
    """b(v): the least weight with which the centre is a maximum."""
    return 2 * np.exp(-1 / (2 * v)) * (1 - v) / v


def side(y):
    """v and beta on the fold, y > 0."""
    v = (y / np.tanh(y) - 1) / y**2
    P = v + v**2 * y**2
    return v, 2 * np.exp(-1 / (2 * v)) * np.cosh(y) * (1 / P - 1)


# %% tags=["setup"]
def merges(beta):
    """The values of v at which modes are lost, ascending."""
    if beta > centre(1 / 3):
        y = optimize.brentq(lambda y: side(y)[1] - beta, 1e-3, 30, xtol=1e-14)
        return [side(y)[0]]
    ends = ((0.02, 1 / 3), (1 / 3, 1 - 1e-9))
    return [
        optimize.brentq(lambda v: centre(v) - beta, *end, xtol=1e-15)
        for end in ends
    ]


# %% [markdown]
r"""
The truth knows neither $K$ nor $y$. It takes the score of the mixture, and asks at
which $v$ its largest value between the modes sinks to zero (a fold), or its slope at
the centre changes sign (a pitchfork).
"""


# %% tags=["setup"]
def pull(x, v, beta):
    """v times the score: the mean position of the mode, less x."""
    logs = np.array([0.0, np.log(beta), 0.0])
    logs = logs - (x - np.array([-1.0, 0.0, 1.0])) ** 2 / (2 * v)
    r = np.exp(logs - logs.max())
    return (r[2] - r[0]) / r.sum() - x


def largest_pull(v, beta):
    """The largest score between 0.3 and 1, times v."""
    found = optimize.minimize_scalar(
        lambda x: -pull(x, v, beta),
        bounds=(0.3, 1),
        method="bounded",
        options={"xatol": 1e-8},
    )
    return -found.fun


# %%
def centre_slope(v, beta):
    """v times the slope of the score at the centre, by a complex step."""
    return pull(1e-20j, v, beta).imag / 1e-20


weights = (0.3, 0.6, 0.85, 1.0, 1.5, 3.0)


def merges_by_search():
    """All levels, ascending in the order of the weights."""
    found = []
    for beta in weights:
        cut = {"args": (beta,), "xtol": 1e-14}
        if beta < 0.89:
            for end in ((0.05, 1 / 3), (1 / 3, 0.9)):
                found.append(optimize.brentq(centre_slope, *end, **cut))
        else:
            found.append(optimize.brentq(largest_pull, 0.1, 0.33, **cut))
    return tensor(found)


# %% tags=["hide-input"]
def with_pairs(level):
    """Slips: the same list of levels, those of folds by another rule."""
    rows = [merges(beta) for beta in weights]
    return tensor([q for r in rows for q in (r if len(r) > 1 else level(r))])


three_slips = {
    "two neighbours alone, $v = \\frac14$": lambda: with_pairs(
        lambda r: [0.25]
    ),
    "the outer modes alone, $v = 1$": lambda: with_pairs(lambda r: [1.0]),
    "the centre's condition for equal weights too": lambda: with_pairs(
        lambda r: [1 / 3]
    ),
    "the standard deviation for the variance": lambda: with_pairs(
        lambda r: [r[0] ** 0.5]
    ),
}

# %% tags=["hide-input"]
three_claim = Claim(
    id="deciding/three",
    says=r"Modes at $-1, 0, 1$ of weights $1 : \beta : 1$ and variance $v$, "
    r"noise included, merge at the $v$ with $2 e^{-1/2v} (1 - v)/v = \beta$ "
    r"(two levels) if $\beta < 4 e^{-3/2}$, and else on the fold $v = (y "
    r"\coth y - 1)/y^2$ (one level), at $v = 0.235$ for equal weights "
    r"($\beta = .3, .6, .85, 1, 1.5, 3$).",
    papers=("024",),
    kind="exact",
    formula=lambda: with_pairs(lambda r: r),
    controls=three_slips,
    tol=1e-12,
    because="roots in float64, of a maximum that is itself searched for",
    truth=merges_by_search(),
)
check(three_claim)

# %% [markdown]
r"""
For the paper's modes $\Delta = 1$ and $s = 0.05$, so they merge at
$\sigma = \sqrt{0.235 - 0.0025} = 0.482$. The curves divide the plane of weight and
noise; the next claim counts maxima on both sides of each.
"""


# %% tags=["setup"]
def outer(v):
    """The weight beta above which the outer modes are gone."""
    if v >= 1 / 3:
        return centre(v) if v < 1 else 0.0
    y = optimize.brentq(lambda y: side(y)[0] - v, 1e-4, 2 / v)
    return side(y)[1]


def modes_of(beta, v):
    """The number of maxima."""
    return int(beta > centre(v)) + 2 * int(beta < outer(v))


# %%
both = itertools.product((0.4, 0.7, 0.88, 0.92, 1.0, 2.0), (0.97, 1.03))
near = [(b, v * f) for b, f in both for v in merges(b)] + [(0.88, 0.33)]
line = even(-1.1, 1.1, 2201)
steps = tensor([-1.0, 0.0, 1.0])
maxima = tensor(
    [
        float(peaks(line, steps, tensor(v), tensor([1.0, b, 1.0]).log()))
        for b, v in near
    ]
)


# %% tags=["hide-input"]
def tally(rule):
    """The counts by a rule of beta and v."""
    return tensor([float(rule(b, v)) for b, v in near])


count_slips = {
    "always at once": tally(lambda b, v: 3 if v < merges(b)[-1] else 1),
    "always in two steps": tally(
        lambda b, v: 3 if v < merges(b)[0] else 2 if v < 1 else 1
    ),
    "the level of equal weights for all": tally(
        lambda b, v: 3 if v < merges(1.0)[0] else 1
    ),
    "the centre is there if it has the most weight": tally(
        lambda b, v: (b > 1) + 2 * (b < outer(v))
    ),
}

# %% tags=["hide-input"]
count_claim = Claim(
    id="deciding/count",
    says=r"With weights $1 : \beta : 1$ there are three maxima, then two, "
    r"then one as noise grows if $\beta < 4 e^{-3/2} = 0.893$, and three, "
    r"then one, if not ($\beta = .4, .7, .88, .92, 1, 2$; 3 percent below "
    r"and above each level).",
    papers=("024",),
    kind="exact",
    formula=tally(modes_of),
    controls=count_slips,
    tol=1e-6,
    because="counts are whole numbers",
    truth=maxima,
)
check(count_claim)

# %% [markdown]
r"""
The two curves meet in one point. Look at which of them the paper's modes stand on:
"""

# %% mystnb={"figure": {"caption": "The number of maxima of modes at $-1, 0, 1$ with weights $1 : \\beta : 1$. Grey: the centre stops being a maximum, or becomes one; ochre: the outer modes are lost on a fold. Dot: the paper's world.", "name": "fig-deciding-three"}, "image": {"alt": "A grey hill with its top near a weight of 0.89 and a variance of one third; inside it the number is 2. From the top an ochre curve runs to the right and down, with 3 below and 1 above. A dot lies on the ochre curve at weight one."}}
figure, axes = figures.canvas("Equal weights lose three modes at once")
v = np.linspace(0.06, 0.999, 300)
axes.plot(centre(v), v, color=figures.EXACT, lw=3)
fold = side(np.linspace(1e-3, 6, 300))
axes.plot(fold[1], fold[0], color=figures.SECOND)
axes.plot([1], merges(1.0), "o", color=figures.LEARNED)
figures.label_line(axes, 0.98, 0.33, "the paper's modes", figures.LEARNED)
for x, y, n in ((0.8, 0.14, 3), (0.3, 0.4, 2), (1.25, 0.5, 1)):
    axes.text(x, y, n, ha="center", va="center", fontsize=13)
axes.set(xlabel=r"weight of the middle $\beta$", ylabel="$v$")
axes.set(xlim=(0, 1.6), ylim=(0, 1), xticks=[0, 0.5, 1, 1.5])
axes.set(yticks=[0, 1 / 3, 1], yticklabels=["0", "1/3", "1"])
plt.show()

# %% [markdown]
r"""
To the left of the tip a rising noise crosses the grey curve twice, to the right it crosses
the ochre one once.

**Twenty-five modes.** The paper's lattice of $5 \times 5$ equal modes is a product of
two lines with five modes each, and stays one under isotropic noise:
$p(x, y) = f(x) f(y)$. A point is a strict maximum of the product exactly if both
coordinates are maxima of $f$. So there are $n^2$ modes, where $n$ is the number on one
line. A line loses its modes in two stages: the end modes go first, because they have
neighbours on one side only, and then the remaining three become one. The two
levels have no closed form, but are roots of the same two conditions, $F(x) = x$ and
$F'(x) = 1$ with $F(x) = \sum_k r_k m_k$. By symmetry each happens on both sides at once:

$$
25 \to 9 \to 1, \qquad v/\Delta^2 = 0.235 \text{ and } 0.401 .
$$ (eq-deciding-lattice)

The first level is that of three modes to three digits: a second neighbour hardly matters
for the end of the line.
"""


# %% tags=["setup"]
def meeting(m, x, v):
    """A level where two extrema of equal modes m meet, near (x, v)."""

    def conditions(z):
        logs = -((z[0] - m) ** 2) / (2 * z[1])
        r = np.exp(logs - logs.max())
        r = r / r.sum()
        mean = r @ m
        return mean - z[0], r @ (m - mean) ** 2 - z[1]

    return optimize.fsolve(conditions, (x, v), xtol=1e-13)[1]


five = np.arange(5) - 2.0
FIRST, LAST = meeting(five, 1.6, 0.235), meeting(five, 0.6, 0.4)

# %%
levels = tensor([0.5, 0.97, 1.03]) * FIRST
levels = torch.cat([levels, tensor([0.97, 1.03, 1.5]) * LAST])
quarter = even(-0.05, 2.3, 95)  # by symmetry; the axes are inside
spread = torch.cartesian_prod(quarter, quarter)
lattice = laws.grid(5, 1.0, 0.0)


def hills(v):
    """The number of modes in the plane, from those of one quarter."""
    p = lattice.blur(v).log_prob(spread).reshape(95, 95)
    near = [
        p.roll((i, j), (0, 1))
        for i, j in itertools.product((-1, 0, 1), repeat=2)
        if i or j
    ]
    top = (p > torch.stack(near).amax(0))[1:-1, 1:-1].nonzero() + 1
    on_axis = (quarter[top].abs() < 0.02).sum(1)
    return float((4.0 / 2**on_axis).sum())


# %% tags=["hide-input"]
def ladder(first, last, *counts):
    """The number at each level: before, between and after two levels."""
    stage = (levels > first).long() + (levels > last).long()
    return tensor([float(n) for n in counts])[stage]


lattice_slips = {
    "as two modes alone, $v = \\Delta^2/4$": ladder(0.25, LAST, 25, 9, 1),
    "all at once": ladder(FIRST, FIRST, 25, 9, 1),
    "the four edges of each side first": ladder(FIRST, LAST, 25, 16, 1),
    "the corners alone": ladder(FIRST, LAST, 25, 21, 1),
}

# %% tags=["hide-input"]
lattice_claim = Claim(
    id="deciding/lattice",
    says=r"The density of the $5 \times 5$ lattice of equal modes at "
    r"distance $\Delta$ has 25 maxima up to $v = 0.235\,\Delta^2$, then 9 up "
    r"to $0.401\,\Delta^2$, then one, $v$ being the variance of a mode with "
    r"its noise (3 percent below and above, and further off).",
    papers=("024",),
    kind="exact",
    formula=ladder(FIRST, LAST, 25, 9, 1),
    controls=lattice_slips,
    tol=1e-6,
    because="counts are whole numbers",
    truth=tensor([hills(v.item()) for v in levels]),
)
check(lattice_claim)

# %% [markdown]
r"""
## Who casts the vote?

Whether the density has two maxima is not what a sample cares about. Ask instead: of
all runs of the sampler that pass through $x$ at time $t$, which share ends in mode
$k$? (For two paragraphs $x$ is again $x_t$, on any path.)

**The reverse SDE.** At $k = 1$ the reverse process is the forward process, run
backwards: not only its laws at single times agree, but its joint law
([reverse time](../gaussian/reverse.ipynb)). So given $x_t = x$ its end is a draw from
the posterior of $x_0$. The label enters through $x_0$ only, and therefore

$$
P(\text{label of the end} = k \mid x_t = x)
= \mathbb E\big[ r_k(x_0) \mid x_t = x \big] = r_k(x) ,
$$ (eq-deciding-vote)

by the tower rule. **A responsibility is the forecast of the election**, exactly, at
every level; and forecasts of an honest forecaster are a martingale. Is that so for the
other members of the family? Let $w_k p_k$ be the part of mode $k$ in $p$, so
$r = w_k p_k/p$. Both $p_k$ and $p$ solve
$\partial_t p = -\nabla \cdot (f x p) + \frac12 h^2 \Delta p$. From
$\Delta p_k = \Delta (r p)/w_k$ and the product rule,

$$
\partial_t r = - f x \cdot \nabla r + \tfrac12 h^2 \big( \Delta r
+ 2\, s \cdot \nabla r \big) .
$$ (eq-deciding-rt)

Along a member with noise $k h$ (time $\tau$ runs down) the mean of $r$ changes, by
Itô's formula, at the rate

$$
-\partial_t r + \Big( -f x + \frac{1 + k^2}{2}\, h^2 s \Big) \cdot \nabla r
+ \frac{k^2}{2}\, h^2 \Delta r .
$$

Insert the line before. The terms with $f$ cancel, and what is left is

$$
\begin{aligned}
\frac{d}{d\tau} \mathbb E\, r
&= \frac{k^2 - 1}{2}\, h^2 \big( \Delta r + s \cdot \nabla r \big) \\
&= \frac{k^2 - 1}{2}\, \frac{h^2}{p}\, \nabla \cdot (p \nabla r) .
\end{aligned}
$$ (eq-deciding-martingale)

Zero at $k = 1$ and only there. Averaged over $p$ it is zero for all $k$, as it
must be: the shares of the modes are the same. At each $x$, a sampler with less noise than
the SDE drifts from its forecast in one direction, and one with more noise in the other.
"""


# %%
def rates(x, t):
    """d r/dt, grad r, Laplacian of r for mode 0, and s, all by autograd."""
    y, u = x.clone().requires_grad_(), t.clone().requires_grad_()
    logs = parts(y, u)
    r, total = logs.softmax(-1)[:, 0], logs.logsumexp(-1)
    grad = functools.partial(torch.autograd.grad, retain_graph=True)
    dt = grad(r.sum(), u)[0]
    dr = torch.autograd.grad(r.sum(), y, create_graph=True)[0]
    lap = sum(grad(q, y)[0][:, i] for i, q in enumerate(dr.sum(0)))
    s = grad(total.sum(), y)[0]
    return dt, dr.detach(), lap, s


dt_r, grad_r, lap_r, score = rates(spots, times)
drag, h2 = vp.sde(times)
strength = tensor([0.0, 0.5, 1.0, 2.0]).unsqueeze(1)
lean = (score * grad_r).sum(1)


# %%
def truly(k):
    """The mean rate of r along the member with noise k h."""
    drift = -drag[:, None] * spots
    plain = -dt_r + (drift * grad_r).sum(1)
    return plain + h2 * ((1 + k**2) / 2 * lean + k**2 / 2 * lap_r)


# %% tags=["hide-input"]
martingale_slips = {
    "$k^2 - 1$ without the half": lambda k: (k**2 - 1) * h2 * (lap_r + lean),
    "$(k - 1)/2$, right at $k = 0$ and $1$ only": lambda k: (
        (k - 1) / 2 * h2 * (lap_r + lean)
    ),
    "no drift along the score": lambda k: (k**2 - 1) / 2 * h2 * lap_r,
    "twice the drift, as in $\\partial_t r$": lambda k: (
        (k**2 - 1) / 2 * h2 * (lap_r + 2 * lean)
    ),
}

# %% tags=["hide-input"]
martingale_claim = Claim(
    id="deciding/martingale",
    says=r"Along the reverse process with noise $k h$ the mean of $r_k(x_t)$ "
    r"changes at the rate $\frac{k^2 - 1}{2} h^2 (\Delta r + s \cdot \nabla "
    r"r)$: responsibilities are a martingale for the reverse SDE, and for no "
    r"other member (three tilted Gaussians, VP; noise $0, \frac12, 1, 2$).",
    papers=("024",),
    kind="exact",
    formula=lambda k: (k**2 - 1) / 2 * h2 * (lap_r + lean),
    controls=martingale_slips,
    tol=2e-14,
    because="float64; second derivatives by automatic differentiation",
    at=strength,
    truth=truly,
)
check(martingale_claim)

# %% [markdown]
r"""
Now run it: the paper's modes with weights $.5, .2, .3$, four starts at
$\sigma = 0.5$, Heun's method for the SDE, each end given to its nearest mode.
"""

# %% tags=["setup"]
uneven = tensor([0.5, 0.2, 0.3])
trio = worlds.World(edm, laws.mixture(PAPER.unsqueeze(1), SD**2, uneven))
starts = tensor([1.4, 1.8, 2.1, 2.6])
LEVEL, RUNS = 0.5, 2500


@functools.cache
def ends(steps, seed):
    """Shares of the ends in each mode, (4, 3), by the reverse SDE."""
    ts = tables.by_nsr(edm, LEVEL, 0.01, steps)
    rng = shapes.rng(seed)
    x = starts.repeat_interleave(RUNS).unsqueeze(1)
    table = tables.stochastic_heun(edm, ts)
    x = solvers.solve(table, trio.score, x, rng).reshape(4, RUNS, 1)
    return (
        ((x - PAPER).abs().argmin(-1, keepdim=True) == torch.arange(3))
        .double()
        .mean(1)
    )


# %%
def poll(forecast, rng):
    """z-scores of the shares against a forecast, with 24 and 48 steps."""
    p = forecast(starts, LEVEL).clamp(1e-9, 1 - 1e-9)
    error = (p * (1 - p) / RUNS).sqrt().clamp_min(1 / RUNS)
    seed = rng.initial_seed()
    return torch.stack([(ends(n, seed) - p) / error for n in (24, 48)])


def by_responsibility(x, q, weights=uneven, power=1.0, width=SD):
    """r_k(x) at level q, with slips."""
    logs = weights.log() - (x.unsqueeze(1) - PAPER) ** 2 / (
        2 * (width**2 + q ** (2 * power))
    )
    return logs.softmax(1)


# %% tags=["hide-input"]
def by_rank(x, q):
    """All for the mode to which the flow goes."""
    rank = laws.cdf(trio.law(q), x.unsqueeze(1))
    edges = uneven.cumsum(0)[:2]
    chosen = (rank.unsqueeze(1) > edges).sum(1)
    return torch.nn.functional.one_hot(chosen, 3).double()


vote_slips = {
    "the weights of the modes": lambda x, q: uneven.expand(4, 3),
    "the nearest mode": lambda x, q: by_responsibility(x, 0.01 * q),
    "the flow's verdict": by_rank,
    "no weights": functools.partial(by_responsibility, weights=PAPER**0),
    "$\\sigma$ for $\\sigma^2$": functools.partial(
        by_responsibility, power=0.5
    ),
}

# %% tags=["hide-input"]
vote_claim = Claim(
    id="deciding/vote",
    says=r"From $x$ at level $\sigma$ the reverse SDE ends in mode $k$ with "
    r"probability $r_k(x)$ (modes $1, 2, 3$, sd $0.05$, weights $.5, .2, "
    r".3$; $\sigma = 0.5$; $x = 1.4, 1.8, 2.1, 2.6$; 24 and 48 steps).",
    papers=("024",),
    kind="statistical",
    formula=by_responsibility,
    controls=vote_slips,
    measure=poll,
    scale=lambda f, e: lambda x, q: f(x, (1 + 200 * e) * q),
    because="the planted error is one of 20 % in the level",
    seeds=(0,),
    n=4 * RUNS,
)
check(vote_claim)

# %% [markdown]
r"""
**The flow.** On the line the probability flow keeps ranks, for it cannot cross itself:
$F_0(x_0) = F_t(x_t)$ with the distribution functions $F$
([merging](../interpolants/merging.ipynb)). Let $c_k$ be a point in the gap above the
$k$-th mode. The runs that end below it are exactly those that are at time $t$ below

$$
e_k(t) = F_t^{-1} \big( F_0(c_k) \big),
$$ (eq-deciding-basin)

and $F_0(c_k) = w_1 + \dots + w_k$ up to the mass beyond the gap, which is below
$10^{-20}$ for the paper's modes. So **the basins of the flow are quantile intervals**,
and at every level, pure noise included, the label of the end is known with certainty.
Where is the border of Bayes' rule? Two modes tie where their
[log-odds](#eq-deciding-logits) vanish, at
$\frac{m_k + m_{k+1}}{2} + \frac{v}{\Delta} \log \frac{w_k}{w_{k+1}}$. With equal weights
of two modes both are the middle. With unequal ones they part company as noise grows: a
quantile moves away like $\sigma$, the tie like $\sigma^2$.
"""

# %%
climb = (0.1, 0.2, 0.4, 0.8, 1.6)


def wind(q, x):
    """The flow's velocity -sigma s(x), by numpy."""
    m, v = PAPER.numpy(), SD**2 + q**2
    logs = np.log(uneven.numpy()) - (x[:, None] - m) ** 2 / (2 * v)
    r = np.exp(logs - logs.max(1, keepdims=True))
    return q * (x - (r @ m) / r.sum(1)) / v


def carried():
    """The gaps' middles carried up by the flow, by a stiff solver."""
    tight = {"rtol": 1e-11, "atol": 1e-13}
    span = (0.0, climb[-1])
    run = integrate.solve_ivp(wind, span, [1.5, 2.5], "LSODA", climb, **tight)
    return torch.from_numpy(run.y.T)


# %%
def all_levels(edge):
    """The two borders at all levels."""
    return torch.stack([edge(q) for q in climb])


def basin(q):
    """The quantiles of p at the cumulated weights, (2)."""
    return laws.quantile(trio.law(q), uneven.cumsum(0)[:2])[:, 0]


def tie(q):
    """Where neighbours tie."""
    wins = (uneven[:-1] / uneven[1:]).log()
    return PAPER[:-1] + 0.5 + (SD**2 + q**2) * wins


# %% tags=["hide-input"]
def gauss(q):
    """The quantiles of a Gaussian with the same mean and variance."""
    law = trio.law(q)
    z = torch.special.ndtri(uneven.cumsum(0)[:2])
    return law.mean() + law.cov().sqrt()[0] * z


basin_slips = {
    "where neighbours tie": lambda: all_levels(tie),
    "the middle between modes": lambda: all_levels(
        lambda q: PAPER[:-1] + 0.5
    ),
    "quantiles of a Gaussian": lambda: all_levels(gauss),
}

# %% tags=["hide-input"]
basin_claim = Claim(
    id="deciding/basin",
    says=r"On the line the flow from $x$ at level $\sigma$ ends in mode $k$ "
    r"exactly if $x$ lies between the quantiles of $p_\sigma$ at $w_1 + "
    r"\dots + w_{k-1}$ and $w_1 + \dots + w_k$ (modes $1, 2, 3$, sd $0.05$, "
    r"weights $.5, .2, .3$; $\sigma$ from $0.1$ to $1.6$).",
    papers=("024",),
    kind="exact",
    formula=lambda: all_levels(basin),
    controls=basin_slips,
    tol=1e-9,
    because="set after measuring: the steps of a stiff solver at a relative "
    "tolerance of 1e-11 add up",
    truth=carried(),
)
check(basin_claim)

# %% [markdown]
r"""
How often do the two samplers agree, if both continue from the same $x_t$? The flow
ends in the mode of its basin, the SDE draws its label from $r(x_t)$. Since
$r_k\, p = w_k\, p_k$,

$$
\begin{aligned}
P(\text{agree}) &= \sum_k \int_{e_{k-1}}^{e_k} r_k\, p\, dx \\
&= \sum_k w_k \Big[ \Phi \Big( \frac{e_k - m_k}{\sqrt v} \Big)
- \Phi \Big( \frac{e_{k-1} - m_k}{\sqrt v} \Big) \Big],
\end{aligned}
$$ (eq-deciding-agree)

with $e_0 = -\infty$ and $e_K = \infty$. At low noise this is one. At high noise it is
$\sum_k w_k^2$, as for two strangers: the flow then follows a decision that the
data have no part in.
"""


# %%
def agreement(edge, wide=1, prior=None):
    """P(agree) at all levels, with slips."""
    w, rows = uneven if prior is None else prior, []
    for q in climb:
        e = torch.nn.functional.pad(edge(q), (1, 1), value=torch.inf)
        e[0] = -torch.inf
        z = (wide * SD**2 + q**2) ** 0.5
        upper, lower = ndtr((e[1:] - PAPER) / z), ndtr((e[:-1] - PAPER) / z)
        rows.append((w * (upper - lower)).sum())
    return torch.stack(rows)


# %%
def agreement_by_density():
    """The integral of r_basin p over the line, cell by cell."""
    rows = []
    for q in climb:
        cuts = torch.cat([tensor([-15.0]), basin(q), tensor([19.0])])
        total = 0.0
        for k in range(3):
            x, w = solvers.panels(
                even(cuts[k].item(), cuts[k + 1].item(), 201)
            )
            law, x = trio.law(q), x.unsqueeze(1)
            r = law.responsibilities(x)[:, k]
            total = total + (w * r * law.log_prob(x).exp()).sum()
        rows.append(total)
    return torch.stack(rows)


# %% tags=["hide-input"]
agree_slips = {
    "they always agree": lambda: torch.ones(5).double(),
    "as strangers": lambda: (uneven**2).sum().expand(5),
    "borders where neighbours tie": lambda: agreement(tie),
    "equal weights in the sum": lambda: agreement(
        basin, prior=torch.full((3,), 1 / 3).double()
    ),
}

# %% tags=["hide-input"]
agree_claim = Claim(
    id="deciding/agree",
    says=r"The flow and the SDE, continued from one $x_t$, end in the same "
    r"mode with probability $\sum w_k [\Phi((e_k - m_k)/\sqrt v) - \Phi(("
    r"e_{k-1} - m_k)/\sqrt v)]$, $e_k$ the quantile at $w_1 + \dots + w_k$ "
    r"(modes $1, 2, 3$, sd $0.05$, weights $.5, .2, .3$; $\sigma$ from "
    r"$0.1$ to $1.6$).",
    papers=("024",),
    kind="exact",
    formula=lambda: agreement(basin),
    controls=agree_slips,
    tol=1e-13,
    because="quadrature in 200 cells; tails beyond nine standard deviations",
    truth=agreement_by_density(),
)
check(agree_claim)

# %% [markdown]
r"""
For the picture, two modes are enough. Look at where the thick line and the ochre one go:
"""

# %%
q = torch.logspace(-1.3, 0.5, 60, dtype=torch.float64)
lop = pair(1.0, 0.2, (0.3, 0.7))
ranks = torch.cat([(torch.arange(20) + 0.5).double() / 20, tensor([0.3])])
rows = torch.stack([laws.quantile(lop.law(u), ranks)[:, 0] for u in q])

# %% mystnb={"figure": {"caption": "Two modes at $\\pm 1$, sd 0.2, weights 0.3 and 0.7. Grey lines: the flow, at equal ranks; thick: the border of its basins. Ochre: where Bayes' rule is undecided; dotted: where it says 9 to 1. In the shaded region the flow goes to the lower mode although the upper one is more probable.", "name": "fig-deciding-borders"}, "image": {"alt": "Flow lines over the noise level fan out from two bundles. A thick grey border runs downwards slowly with growing noise; an ochre curve leaves it and falls much faster. Between them the region is shaded."}}
figure, axes = figures.canvas("The flow and Bayes draw different borders")
axes.plot(q, rows[:, :-1], color=figures.NOISE, lw=0.7)
axes.plot(q, rows[:, -1], color=figures.EXACT, lw=3)
bayes = [(0.04 + q**2) / 2 * math.log(n * 3 / 7) for n in (1, 9, 1 / 9)]
for x, style in zip(bayes, "-::", strict=True):
    axes.plot(q, x, style, color=figures.SECOND)
torn = bayes[0] < rows[:, -1]
axes.fill_between(
    q, bayes[0], rows[:, -1], torn, color=figures.SECOND, alpha=0.2, lw=0
)
figures.label_line(axes, 0.9, -3.4, "9 to 1", figures.SECOND)
axes.set(xscale="log", xlabel=r"$\sigma$", ylabel="$x$", ylim=(-4, 4))
axes.set(xticks=[0.1, 1], yticks=[-4, -1, 1, 4], xlim=(0.05, 3.16))
axes.set_xticklabels(["0.1", "1"])
plt.show()

# %% [markdown]
r"""
Look at the left end: all borders are one, and nobody doubts. To the right, Bayes' border
leaves the bulk of the lines altogether: with much noise the best forecast is the mode with
more weight, wherever $x$ is. The flow keeps its border inside. Two points on either side of
it have nearly the same forecast, and different ends.

## How much of the label is known?

There is a number that does not ask for a threshold. The label has an entropy
$H = -\sum_k w_k \log w_k$, and $x_t$ tells

$$
I(k; x_t) = \mathbb E \sum_k r_k \log \frac{r_k}{w_k}
$$ (eq-deciding-info)

nats of it, between $0$ and $H$. (The entropy that is left, and its rate, were proposed
as a clock of "semantic decisions" by {cite}`handke2025semantic`.) How does it grow?
All of $x_t$'s knowledge of the label is knowledge of $x_0$, so by the chain rule
$I(x_0; x_t) = I(k; x_t) + I(x_0; x_t \mid k)$. Apply
[the I-MMSE identity](../gaussian/dialects.ipynb) {cite}`guo2005immse` to the first and
the last, with $\gamma = 1/\sigma^2$:

$$
\frac{d}{d\gamma} I(k; x_t) = \frac12 \Big( \mathbb E |x_0 - D|^2
- \sum_k w_k\, \mathbb E_k |x_0 - D_k|^2 \Big) .
$$ (eq-deciding-rate)

In words: *the label is learned at the rate at which knowing it would improve the
denoiser.* If all modes have the variance $s^2$, the [two doubts](#eq-deciding-doubt)
make this $\frac12 (\sigma^2/v)^2\, \mathbb E \operatorname{Var}_r(m)$, the mean variance
of the mode's position given $x_t$. The claim takes three modes of different widths,
and integrates the rate between six levels; the truth is the information
by quadrature of the densities.
"""

# %%
wide_law = laws.mixture(
    tensor([[-1.0], [0.3], [1.6]]),
    tensor([0.04, 0.25, 0.01]).reshape(3, 1, 1),
    tensor([0.3, 0.45, 0.25]),
)
wide = worlds.World(edm, wide_law)
cuts = even(-3.0, 4.5, 6)  # log gamma
nodes, mass = solvers.panels(cuts, 20)
at_nodes = (-nodes / 2).exp()
whole = information.mmse(wide, at_nodes).value
known = nodes.exp().unsqueeze(1) * wide_law.covs()[:, 0, 0]
told = wide_law.logw.exp() * wide_law.covs()[:, 0, 0] / (1 + known)
growth = information.label_information(wide, (-cuts / 2).exp()).value.diff()


def learned(rate):
    """The integrals of rate(gamma, mmse, mmse of each mode) d gamma."""
    total = mass * nodes.exp() * rate(nodes.exp(), whole, told)
    return total.reshape(5, 20).sum(1)


# %% tags=["hide-input"]
rate_slips = {
    "the half forgotten": lambda: learned(lambda s, a, b: a - b.sum(1)),
    "all that is learned about $x_0$": lambda: learned(lambda s, a, b: a / 2),
    "an integral over $\\log \\gamma$": lambda: learned(
        lambda s, a, b: (a - b.sum(1)) / (2 * s)
    ),
    "modes of equal weight": lambda: learned(
        lambda s, a, b: (a - (b / wide_law.logw.exp()).mean(1)) / 2
    ),
}

# %% tags=["hide-input"]
rate_claim = Claim(
    id="deciding/rate",
    says=r"$\frac{d}{d\gamma} I(k; x_t) = \frac12 (\mathbb E |x_0 - D|^2 - "
    r"\sum w_k \mathbb E_k |x_0 - D_k|^2)$, $\gamma = 1/\sigma^2$: the label "
    r"is learned at the rate at which knowing it would improve the denoiser "
    r"(three modes of different widths on the line, five intervals).",
    papers=("024",),
    kind="exact",
    formula=lambda: learned(lambda s, a, b: (a - b.sum(1)) / 2),
    controls=rate_slips,
    tol=1e-13,
    because="20-point quadrature of a rate that is smooth in log gamma",
    truth=lambda: growth,
)
check(rate_claim)

# %% [markdown]
r"""
**Two equal modes are one function.** Let them sit at $\pm m$ in $d$ dimensions, with
covariance $s^2 I$. The log-odds are $2 m \cdot x/v$. Given $k = +$ they are Gaussian,
with mean $2 |m|^2/v$ and variance $4 |m|^2/v$; so all that matters is

$$
\begin{gathered}
\rho = \frac{|m|^2}{s^2 + \sigma^2}, \qquad z \sim \mathcal N(0, 1), \\
I = \log 2 - \mathbb E \log \big( 1 + e^{-2 \rho - 2 \sqrt\rho\, z} \big) .
\end{gathered}
$$ (eq-deciding-one)

The density splits at $\rho = 1$. At that level, for every distance, width and
dimension, $48.6$ percent of the label's information is there, and half of it at
$\rho = 1.044$. So for two equal modes the split of the density and "half decided"
nearly coincide, and this is an accident of numbers, not an identity. Two *clones*, that is two
independent runs of the SDE from one $x_t$, end together with probability
$\mathbb E \sum_k r_k^2$, which is $0.775$ at the split; [clones of the
flow](#eq-deciding-basin) always do.

For the paper's three modes it is different: half of the label is known at
$\sigma = 0.557$, *before* the maxima appear at $0.482$, and when they do, $58$ percent
is known. Neither order is a law.
"""

# %% tags=["setup"]
z = even(-10, 10, 1001)
bell = (-(z**2) / 2).exp() * 0.02 / (2 * math.pi) ** 0.5


def coin_information(rho, factor=2.0, root=0.5, base=1.0):
    """I in nats for two equal modes, with slips; rho (n)."""
    rho = torch.as_tensor(rho, dtype=torch.float64).unsqueeze(-1)
    logit = factor * (rho + rho**root * z)
    return base * math.log(2) - (bell * torch.log1p((-logit).exp())).sum(-1)


# %%
tips = ((tensor([0.9, -1.2]), 0.3), (tensor([0.4, 0.2]), 0.1))
louder = (0.25, 0.6, 1.0, 1.7)
h = even(-9, 9, 241)
cloud = torch.cartesian_prod(h, h)
heap = (-(cloud**2).sum(1) / 2).exp() * (h[1] - h[0]) ** 2 / (2 * math.pi)
rhos = tensor(
    [[(m @ m) / (s**2 + q**2) for q in louder] for m, s in tips]
).flatten()


def by_plane():
    """I from responsibilities in the plane, by quadrature there."""
    rows = []
    for (m, s), q in itertools.product(tips, louder):
        law = laws.mixture(torch.stack([m, -m]), s**2 + q**2)
        r = law.responsibilities(m + (s**2 + q**2) ** 0.5 * cloud)[:, 0]
        rows.append((heap * (2 * r).log()).sum())
    return torch.stack(rows)


# %% tags=["hide-input"]
slipped = functools.partial(functools.partial, coin_information)
one_slips = {
    "the log-odds without the 2": slipped(factor=1.0),
    "$\\rho z$ for $\\sqrt\\rho z$": slipped(root=1.0),
    "bits, where nats are meant": slipped(base=1 / math.log(2)),
    "a Gaussian label, $\\frac12 \\log(1 + \\rho)$": lambda rho: (
        torch.log1p(rho) / 2
    ),
}

# %% tags=["hide-input"]
one_claim = Claim(
    id="deciding/one",
    says=r"For two equal modes at $\pm m$ of covariance $s^2 I$ in any "
    r"dimension, $I(k; x_t) = \log 2 - \mathbb E \log (1 + e^{-2\rho - 2 "
    r"\sqrt\rho z})$ nats, $\rho = |m|^2/(s^2 + \sigma^2)$ (two worlds in "
    r"the plane, four levels each).",
    papers=("024",),
    kind="exact",
    formula=coin_information,
    controls=one_slips,
    tol=2e-13,
    because="the trapezoidal rule on smooth functions, in float64",
    at=rhos,
    truth=by_plane(),
)
check(one_claim)


# %%
def label_known(law, v):
    """I(k; x) over its entropy, by the package's quadrature."""
    K = law.k
    world = worlds.World(edm, law)
    found = information.label_information(world, tensor(v**0.5))
    return found.value.item() / math.log(K)


# %%
points_2 = laws.dataset(tensor([[-1.0], [1.0]]))
points_3 = laws.dataset(PAPER.unsqueeze(1))


def by_package():
    """The five numbers, by quadrature of the package and root finding."""
    half_2 = optimize.brentq(
        lambda v: label_known(points_2, v) - 0.5, 0.8, 1.2
    )
    half_3 = optimize.brentq(
        lambda v: label_known(points_3, v) - 0.5, 0.2, 0.5
    )
    merged = optimize.brentq(largest_pull, 0.2, 0.3, args=(1.0,), xtol=1e-14)
    x = even(-12, 12, 4801).unsqueeze(1)
    law = points_2.blur(1.0)
    r = law.responsibilities(x)
    twins = (law.log_prob(x).exp() * (r**2).sum(1)).sum() * 0.005
    rest = label_known(points_2, 1.0), label_known(points_3, merged)
    return tensor([1 / half_2, half_3, *rest, twins])


# %%
def three_information(v):
    """I over log 3 for three equal modes: a mean over each mode's noise."""
    x = PAPER[:, None] + v**0.5 * z
    logs = -((x.unsqueeze(-1) - PAPER) ** 2) / (2 * v)
    own = logs.log_softmax(-1).diagonal(dim1=0, dim2=2).mT
    return 1 + ((bell * own).sum() / 3).item() / math.log(3)


# %%
def numbers():
    """rho and v with half; the shares at split and merge; the clones."""
    half_2 = optimize.brentq(
        lambda u: coin_information(u).item() - math.log(2) / 2, 0.5, 2
    )
    half_3 = optimize.brentq(lambda v: three_information(v) - 0.5, 0.2, 0.5)
    at_split = coin_information(1.0).item() / math.log(2)
    at_merge = three_information(merges(1.0)[0])
    twins = (1 + (bell * (1 + z).tanh() ** 2).sum().item()) / 2
    return tensor([half_2, half_3, at_split, at_merge, twins])


found = numbers()


# %% tags=["hide-input"]
def instead(place, value):
    """The list with one number replaced."""
    out = found.clone()
    out[place] = value
    return out


levels_slips = {
    "the split is where half is known": instead(0, 1.0),
    "three modes too: half where they merge": instead(1, merges(1.0)[0]),
    "half of the information at the split": instead(2, 0.5),
    "as two neighbours, three modes": instead(3, found[2]),
    "clones agree in 3 of 4 cases": instead(4, 0.75),
}

# %% tags=["hide-input"]
levels_claim = Claim(
    id="deciding/levels",
    says=r"Two equal modes: half of the label's information at $\rho = "
    r"1.044$, $48.6$ percent at the split $\rho = 1$, where two clones of "
    r"the SDE agree with probability $0.775$. Modes $1, 2, 3$: half at $v = "
    r"0.313$, and $58$ percent at $v = 0.235$, where they merge.",
    papers=("024",),
    kind="exact",
    formula=found,
    controls=levels_slips,
    tol=1e-11,
    because="quadratures of smooth functions and roots in float64",
    truth=by_package(),
)
check(levels_claim)

# %% [markdown]
r"""
The whole curves, for points at distance 1. Look at how wide they are, and at the dots:
"""

# %%
scale = torch.logspace(-1, 0.6, 33, dtype=torch.float64)
crowds = {
    n: laws.dataset(torch.arange(n).double()[:, None]) for n in (2, 3, 5)
}
told_by = {
    n: [label_known(law, u.item() ** 2) for u in scale]
    for n, law in crowds.items()
}
last = {2: 0.25, 3: merges(1.0)[0], 5: LAST}
places = {2: (1.4, 0.74), 3: (1.4, 0.84), 5: (1.4, 0.94)}

# %% mystnb={"figure": {"caption": "Share of the label's information in $x_t$ against the noise level, for points at distance 1: two (grey), three (blue), five (ochre). Dots: the level at which the last two maxima merge into one. Dotted: one half.", "name": "fig-deciding-information"}, "image": {"alt": "Three falling S-shaped curves over a logarithmic noise level, shifted to the right for more modes. The dot of the grey curve lies just below one half, those of the others above it or near it."}}
figure, axes = figures.canvas("No step in any curve, and no dot at one half")
hues = (figures.EXACT, figures.LEARNED, figures.SECOND)
for (n, law), hue in zip(crowds.items(), hues, strict=True):
    axes.plot(scale, told_by[n], color=hue, lw=3 if n == 2 else 1.8)
    axes.plot(last[n] ** 0.5, label_known(law, last[n]), "o", color=hue)
    figures.label_line(axes, *places[n], f"{n} modes", hue)
axes.axhline(0.5, color=figures.AXES, lw=0.8, ls=":")
axes.set(xscale="log", xlabel=r"$\sigma$", ylabel="share", ylim=(0, 1.04))
axes.set(xticks=[0.1, 1], yticks=[0, 0.5, 1], xlim=(0.1, 4))
axes.minorticks_off()
axes.set_xticklabels(["0.1", "1"])
plt.show()

# %% [markdown]
r"""
All three curves need about a decade of $\sigma$ from nearly nothing to nearly all. In
$d$ dimensions $|m|$ may grow like $\sqrt d$; then the whole curve moves to higher
$\sigma$, but its shape over $\log \sigma$, which depends on $\rho$ alone, does not become a
step. It only becomes narrow compared with the way that leads there.

## Break it

- Give all tilts of the plane the same matrix, `tilts[:1].expand(3, 2, 2)`. In
`deciding/logits` the control without a quadratic term is no longer rejected.
- In `deciding/vote` use `tables.stochastic_heun(edm, ts, eta=0.0)`, the flow. All
forecasts fail but one, which was a control before.
- In `deciding/count` keep the weights from $0.92$ on. The control "always at once" is
then no longer rejected: from there on it is true.
- In `deciding/martingale` keep only the strengths $0$ and $1$. The control
$(k - 1)/2$ then passes: it is right at both.

## What this does not show

All modes were Gaussian and all scores exact. Then nothing stays between the modes, at any
level, as [the gap](gap.ipynb) shows; what a limited slope does there is the matter of
[the next chapter](slope.ipynb). In images the label is not given, modes are not Gaussian,
and the levels of fine and coarse classes overlap. Counting maxima says little in high
dimension, where the maxima of a density are far from where its mass is. The basins of a
flow in the plane are no quantile intervals, and we know no closed form for them. For members
of the family other than $k = 0$ and $1$ we know the rate at which forecasts go wrong,
not the election's result. And that the flow decides at the start does not mean that its
decision can be read there: near a border, the distance that decides is
multiplied on the way down.

## Exercises

**1.** Two modes at `m1 < m2` of one standard deviation `s` have the weights `w1` and
`w2`. Where, on the scale of $x_t = a x_0 + g z$, is the tie between them?
"""

# %%
ties = {
    "m1": tensor([-1.0, 0.5, 2.0]),
    "m2": tensor([1.0, 3.0, 2.8]),
    "s": tensor([0.3, 0.5, 0.1]),
    "w1": tensor([0.2, 0.5, 0.9]),
    "w2": tensor([0.8, 0.1, 0.1]),
    "a": tensor([0.9, 0.5, 0.2]),
    "g": tensor([0.4, 0.8, 0.9]),
}


# %%
def tie_missed(answer):
    """|log-odds| at the answer, by torch's densities."""
    q = ties
    x = answer(**q)
    sd = (q["a"] ** 2 * q["s"] ** 2 + q["g"] ** 2).sqrt()
    logs = [
        distributions.Normal(q["a"] * q[m], sd).log_prob(x) + q[w].log()
        for m, w in (("m1", "w1"), ("m2", "w2"))
    ]
    return (logs[0] - logs[1]).abs().max()


# %% tags=["hide-input"]
def tie_with(width=1, prior=1, scaled=1):
    """The tie, with slips."""

    def x(m1, m2, s, w1, w2, a, g):
        v = width * a**2 * s**2 + g**2
        a = a**scaled
        return (
            a * (m1 + m2) / 2 + prior * v / (a * (m2 - m1)) * (w1 / w2).log()
        )

    return x


tie_slips = {
    "the modes have a width": tie_with(width=0),
    "the weights move the tie": tie_with(prior=0),
    "the larger weight pushes the tie away": tie_with(prior=-1),
    "x_t / a is not x_t": tie_with(scaled=0),
}

# %% tags=["hide-input"]
tie_exercise = Claim(
    id="deciding/tie-exercise",
    says="the tie between two modes",
    papers=("024",),
    kind="exact",
    formula=None,
    controls=tie_slips,
    tol=1e-10,
    because="float64",
    measure=tie_missed,
)


# %% tags=["solution", "hide-cell"]
def tie_point(m1, m2, s, w1, w2, a, g):
    """Where w1 N(x; a m1, v) = w2 N(x; a m2, v)."""
    v = a**2 * s**2 + g**2
    return a * (m1 + m2) / 2 + v / (a * (m2 - m1)) * (w1 / w2).log()


# %%
attempt(tie_exercise, tie_point)

# %% [markdown]
r"""
**2.** Equal weights, a narrow mode $\mathcal N(0, s_1^2)$ and a wide one
$\mathcal N(\mu, s_2^2)$, $s_1 < s_2$. Where the narrow one is more probable is an
interval. Derive its two ends at noise level $\sigma$, as a tensor `[low, high]` (one
world). If you like, show that it is never empty.
"""

# %%
lenses = ((0.2, 1.0, 0.5, 0.1), (0.1, 0.6, 2.0, 0.5), (0.5, 0.8, 0.0, 1.0))


def lens_missed(answer):
    """How far from one half the responsibility is at the ends."""
    worst = []
    for s1, s2, mu, q in lenses:
        ends = torch.as_tensor(answer(s1, s2, mu, q))
        if ends.shape != (2,) or not ends[0] < ends[1]:
            return tensor(1.0)
        sds = tensor([s1, s2]).square().add(q**2).sqrt()
        logs = distributions.Normal(tensor([0.0, mu]), sds).log_prob(
            ends.unsqueeze(1)
        )
        worst.append((logs.softmax(1)[:, 0] - 0.5).abs().max())
    return max(worst)


# %% tags=["hide-input"]
def lens_with(noise=1, volume=1.0):
    """The roots of the quadratic, with slips."""

    def ends(s1, s2, mu, q):
        v1, v2 = (s**2 + noise * q**2 for s in (s1, s2))
        A, B = 1 / v1 - 1 / v2, mu / v2
        C = -(mu**2) / v2 - volume * math.log(v2 / v1)
        root = abs(B**2 - A * C) ** 0.5
        return tensor([(-B - root) / A, (-B + root) / A])

    return ends


lens_slips = {
    "the noise widens both modes": lens_with(noise=0),
    "the heights of the bells differ: log(v2/v1)": lens_with(volume=0.0),
    "log(v2/v1) stands for twice log(s2/s1)": lens_with(volume=2.0),
}

# %% tags=["hide-input"]
lens_exercise = Claim(
    id="deciding/lens-exercise",
    says="the interval that a narrow mode owns",
    papers=("024",),
    kind="exact",
    formula=None,
    controls=lens_slips,
    tol=1e-11,
    because="float64",
    measure=lens_missed,
)


# %% tags=["solution", "hide-cell"]
def lens(s1, s2, mu, q):
    """x^2/v1 - (x - mu)^2/v2 = log(v2/v1): a quadratic in x."""
    v1, v2 = s1**2 + q**2, s2**2 + q**2
    A, B = 1 / v1 - 1 / v2, mu / v2
    C = -(mu**2) / v2 - math.log(v2 / v1)
    root = (B**2 - A * C) ** 0.5
    return tensor([(-B - root) / A, (-B + root) / A])


# %%
attempt(lens_exercise, lens)

# %% [markdown]
r"""
**3.** *An experiment.* The paper also uses modes at $1, 2, 4, 5$ (standard deviation
$0.05$, equal weights). Find the two noise levels $\sigma$, to four digits, at which
the number of maxima changes, as a tensor `[first, second]`. Count, do not
guess; then compare with two pairs taken for two modes.
"""


# %%
def stages(answer):
    """Relative distance of the levels from those found by bisection."""
    x, means = even(0.9, 5.1, 6001), tensor([1.0, 2.0, 4.0, 5.0])
    found = []
    for n, low, high in ((4, 0.2, 1.0), (2, 0.7, 2.0)):
        for _ in range(17):
            q = (low + high) / 2
            many = peaks(x, means, tensor(SD**2 + q**2), torch.zeros(4)) >= n
            low, high = (q, high) if many else (low, q)
        found.append(q)
    got = torch.as_tensor(answer(), dtype=torch.float64)
    return (got / tensor(found) - 1).abs().max()


# %% tags=["hide-input"]
stages_slips = {
    "the pairs are no points: they have a width when they merge": (
        lambda: tensor([0.4975, 1.5])
    ),
    "these are the values of v": lambda: tensor([0.25, 1.947]),
    "the gaps are 1, 2 and 1: no three equal modes here": (
        lambda: tensor([0.482, 0.631])
    ),
}

# %% tags=["hide-input"]
stages_exercise = Claim(
    id="deciding/stages-exercise",
    says="the levels at which the modes 1, 2, 4, 5 merge",
    papers=("024",),
    kind="exact",
    formula=None,
    controls=stages_slips,
    tol=2e-4,
    because="four digits were asked for",
    measure=stages,
)


# %% tags=["solution", "hide-cell"]
def two_levels():
    """By counting maxima on a fine grid, and halving."""
    x, means = even(0.9, 5.1, 5001), tensor([1.0, 2.0, 4.0, 5.0])

    def level(n, low, high):
        for _ in range(16):
            q = (low + high) / 2
            k = peaks(x, means, SD**2 + q**2, 0 * means)
            low, high = (q, high) if k >= n else (low, q)
        return q

    return tensor([level(4, 0.3, 0.9), level(2, 0.7, 1.8)])


# %%
attempt(stages_exercise, two_levels)

# %% [markdown]
r"""
**4.** *A new control.* Find a rate in the place of
[$\frac{k^2 - 1}{2} h^2 (\dots)$](#eq-deciding-martingale) that is right at
$k = 0, \frac12$ and $1$ and wrong at $k = 2$. Add it to the controls of
`deciding/martingale`. How many strengths must a test contain to tell all polynomials of
degree three in $k$ apart?

## Summary

| question | answer |
|---|---|
| slope between modes | $s^2/v + \sigma^2 m^2/v^2$, at most $\frac14 (m/s + s/m)^2$ |
| two maxima, equal weights | $v < m^2$ |
| two maxima, weights $e^{\pm \eta}$ | $\lvert\eta\rvert < T/(1 - T^2) - \operatorname{artanh} T$ |
| the sampler lets go, VP, data $\pm 1$ | $g^2 = c - \sqrt{c^2 - c}$, $c = 1 + k^2$ |
| three modes, weights $1 : \beta : 1$ | at once if $\beta \ge 4 e^{-3/2}$ |
| the lattice | $25 \to 9 \to 1$ |
| the SDE's verdict | $r_k(x_t)$ |
| the flow's verdict | the quantile of $x_t$ |
| rate of the label's information | $\frac12 (\operatorname{mmse} - \operatorname{mmse} \text{ given } k)$ |
| half of it, two equal modes | $\lvert m\rvert^2 = 1.044\, v$ |

**Where next.** [The gap](gap.ipynb) follows the exact score to the end and finds no
sample between the modes, until the steps become few.
"""
