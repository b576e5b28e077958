# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# Data or noise?

A network that predicts the noise also predicts the data: one is the other, moved and
rescaled. Still, papers report that samplers built on one of them beat those built on
the other. We compute what the choice changes, when data prediction wins, when it
loses, and what the sampler does with the errors of the network.

- **You need** the [flow of a Gaussian](../gaussian/painters.ipynb), Taylor's formula,
and [how to read a claim](../start/reading.ipynb).
- **You get** the price of a wrong variance, the error of every two-step method in
closed form, the step that makes no error, and the step size above which noise
prediction amplifies mistakes.
- **Paper** 104, EVODiff {cite}`li2025evodiff`.
- **Claims** on Gaussian modes, the digits' spectrum and mixtures on the line, all
named `prediction/...`.
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
import itertools
import math

import matplotlib.pyplot as plt
import sympy
import torch
from torch.distributions import MultivariateNormal, kl_divergence

# %% tags=["setup"]
from diffkit import (
    chains,
    data,
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
ve = paths.edm(2e4)

# %% [markdown]
r"""
Everything is said in the coordinates $y = x/a$, where each path is
$y_s = x_0 + s z$ with the noise-to-signal ratio $s = g/a$ as the level. The predictions
are $D = \mathbb E[x_0 \mid y]$ and $E = \mathbb E[z \mid y]$, and $y = D + s E$ links
them. A mode of variance $\lambda$ has $\psi = \sqrt{\lambda + s^2}$ and the angle
$\theta = \arctan(s/\sqrt\lambda)$; we also write

$$
u = \sin^2\theta = \frac{s^2}{\lambda + s^2} ,
$$ (eq-prediction-u)

the share of noise in the variance. Time runs down: a step goes from $s$ to $t < s$.

## What is left to guess in one step?

The exact reverse step draws $y_t$ from its law given $y_s$. If $x_0$ is known, $y_t$
given $y_s$ is a Gaussian with mean $x_0 + (t^2/s^2)(y_s - x_0)$ and variance
$t^2 (s^2 - t^2)/s^2$: the noises at the two levels are a Brownian motion in the
clock $s^2$, pinned at its end. Average over $x_0$, which keeps the factor
$1 - t^2/s^2$. The law of total variance, which [another
chapter](../gaussian/dialects.ipynb) proves for DDPM's chain, gives for **any** data

$$
\operatorname{Cov}(y_t \mid y_s) = \frac{t^2 (s^2 - t^2)}{s^2} I
+ \Big( 1 - \frac{t^2}{s^2} \Big)^2 \operatorname{Cov}(x_0 \mid y_s) .
$$ (eq-prediction-total)

The first term alone is called $\tilde\beta$. Here is already a first answer to our
question. Given $y_s$ the pair obeys $x_0 = y_s - s z$, so
$\operatorname{Cov}(x_0 \mid y_s) = s^2 \operatorname{Cov}(z \mid y_s)$: the
uncertainty of the data and that of the noise are one thing in two units, and
[the covariance](#eq-prediction-total) is the same number whichever of them is
predicted. The paper's quantity is the **conditional entropy** of $y_t$ given $y_s$,
which for a Gaussian mode is $\frac12 \log (2 \pi e\, v)$ with the variance

$$
v = \frac{(\lambda + t^2)(s^2 - t^2)}{\lambda + s^2} .
$$ (eq-prediction-v)

(Put $\operatorname{Var}(x_0 \mid y_s) = \lambda s^2/(\lambda + s^2)$ into the formula
above and collect.) It belongs to the law of the data and to the two levels. *It
cannot prefer one prediction to the other.*

What can be chosen is the mean $m'$ and the variance $v'$ of the Gaussian that a sampler
draws from. For any law $p$ of mean $m$ and variance $v$, Gaussian or not,
$-\mathbb E_p \log \mathcal N(m', v')$ contains $p$ through its first two moments only,
and

$$
\begin{aligned}
&\mathrm{KL}(p \,\|\, \mathcal N(m', v')) - \mathrm{KL}(p \,\|\, \mathcal N(m, v)) \\
&\quad = \tfrac12 \Big[ \frac{v + (m - m')^2}{v'} - 1 - \log \frac{v}{v'} \Big]
\ge 0,
\end{aligned}
$$ (eq-prediction-excess)

since $r - 1 \ge \log r$. Equality holds at the exact moments only. The claim takes
a mixture, computes the moments of $y_t$ given $y_s$ from the covariance of the
**noise**, and compares with a quadrature of Bayes' rule
$p(y_t \mid y_s) \propto p_t(y_t)\, \mathcal N(y_s; y_t, s^2 - t^2)$, which knows
nothing of $x_0$ or $z$.
"""

# %%
pair = laws.mixture(tensor([[-1.0], [1.2]]), 0.06, tensor([0.35, 0.65]))
line = worlds.World(ve, pair)
high, low = 1.1, 0.5
seen = tensor([-2.0, -0.4, 0.1, 0.5, 2.5]).unsqueeze(1)
nodes = torch.linspace(-8.0, 8.0, 4001, dtype=torch.float64)
prior = line.log_prob(nodes.unsqueeze(1), low)
bayes = prior - (seen - nodes) ** 2 / (2 * (high**2 - low**2))
kernel = bayes.softmax(1)  # equal cells: a spectral rule for such functions
mean_seen = kernel @ nodes
spread_seen = (kernel * (nodes - mean_seen[:, None]) ** 2).sum(1)


# %%
bridge = low**2 * (high**2 - low**2) / high**2


def step_moments(form=lambda s, t: (s**2 - t**2) / s, short=1.0):
    """Mean and variance of the step from those of the noise."""
    z_mean = line.noise(seen, high)[:, 0]
    z_var = line.posterior(seen, high).cov()[:, 0, 0] / high**2
    factor = form(high, low)
    v = short * bridge + factor**2 * z_var
    return torch.stack([seen[:, 0] - factor * z_mean, v])


# %% tags=["hide-input"]
entropy_slips = {
    "DDIM's $s - t$ for $(s^2 - t^2)/s$": lambda: step_moments(
        lambda s, t: s - t
    ),
    "the pinned bridge forgotten": lambda: step_moments(short=0.0),
    "$\\tilde\\beta$ alone, the mean kept": lambda: torch.stack(
        [step_moments()[0], bridge + 0 * seen[:, 0]]
    ),
}

# %% tags=["hide-input"]
entropy_claim = Claim(
    id="prediction/one-uncertainty",
    says=r"For any data law the reverse step from $s$ to $t$ has the mean "
    r"$y - k E$ and the variance $t^2(s^2 - t^2)/s^2 + k^2 \operatorname{Var}"
    r"(z \mid y_s)$, $k = (s^2 - t^2)/s$: the same numbers as from $D$ and "
    r"$\operatorname{Var}(x_0 \mid y_s)$, so that conditional entropy does "
    r"not tell data from noise prediction (two modes on the line).",
    papers=("104",),
    kind="exact",
    formula=step_moments,
    controls=entropy_slips,
    tol=1e-13,
    because="float64; equal cells converge faster than any power",
    truth=torch.stack([mean_seen, spread_seen]),
)
check(entropy_claim)

# %% [markdown]
r"""
What does a wrong variance cost? On a Gaussian mode the ratios are shares of noise and
of signal at the two levels. From [the variance](#eq-prediction-v)

$$
\frac{v}{\tilde\beta} = \frac{u_s}{u_t}, \qquad
\frac{v}{s^2 - t^2} = \frac{1 - u_s}{1 - u_t},
$$ (eq-prediction-ratios)

where $s^2 - t^2$ is the variance of the forward step. So each step costs
$\frac12 (r - 1 - \log r)$ nats with $r$ one of the two ratios:
$\tilde\beta$ is too small, the forward variance too large, and both are strictly
worse than $v$ unless $\lambda = 0$ (then $u = 1$, $\tilde\beta$ is right) or
$\lambda = \infty$. In small steps $\log r$ is $2 (1 - u) h$ or $-2 u h$ with
$h = \log(s/t)$, and the cost $\frac14 (\log r)^2$:
$\tilde\beta$ is the better of the two exactly where $u > \frac12$, in the noise.
The claim computes the KL divergence of the joint laws of $(y_s, y_t)$ as matrices.
"""


# %%
modes = tensor([0.05, 0.7, 4.0])
jumps = ((2.0, 1.0), (0.6, 0.5), (10.0, 0.3))


def nats(ratio):
    """(r - 1 - log r) / 2."""
    return (ratio - 1 - ratio.log()) / 2


def share(s):
    """u = s^2 / (lambda + s^2)."""
    return s**2 / (modes + s**2)


def costs(short, long):
    """The nats of the two wrong variances for each jump."""
    return torch.stack(
        [nats(r(s, t)) for s, t in jumps for r in (short, long)]
    )


# %%
def joint_cost(s, t, variance):
    """KL of the exact joint law of (y_s, y_t) from a sampler's."""
    out = []
    for lam in modes:
        S = tensor([[lam + s**2, lam + t**2], [lam + t**2, lam + t**2]])
        pull = (lam + t**2) / (lam + s**2)
        corner = pull**2 * S[0, 0] + variance
        Q = tensor([[S[0, 0], S[0, 1]], [S[0, 1], corner]])
        zero = torch.zeros(2, dtype=torch.float64)
        p, q = (MultivariateNormal(zero, covariance_matrix=C) for C in (S, Q))
        out.append(kl_divergence(p, q))
    return torch.stack(out)


# %% tags=["hide-input"]
by_share = lambda s, t: share(s) / share(t)  # noqa: E731
by_signal = lambda s, t: (1 - share(s)) / (1 - share(t))  # noqa: E731
wrong_variances = [
    joint_cost(s, t, w)
    for s, t in jumps
    for w in (t**2 * (s**2 - t**2) / s**2, s**2 - t**2)
]

# %% tags=["hide-input"]
cost_slips = {
    "the two exchanged": lambda: costs(by_signal, by_share),
    "the KL in the other direction": lambda: costs(
        lambda s, t: 1 / by_share(s, t), lambda s, t: 1 / by_signal(s, t)
    ),
    "standard deviations for variances": lambda: costs(
        lambda s, t: by_share(s, t).sqrt(),
        lambda s, t: by_signal(s, t).sqrt(),
    ),
    "$(1 - t/s)^2$ in the law of total variance": lambda: costs(
        lambda s, t: 1 + (s - t) / (s + t) * modes / t**2 * (1 - share(s)),
        by_signal,
    ),
}

# %% tags=["hide-input"]
cost_claim = Claim(
    id="prediction/variance-cost",
    says=r"A reverse step from $s$ to $t$ of a mode with the exact mean "
    r"costs $\frac12(r - 1 - \log r)$ nats with $r = u_s/u_t$ if its "
    r"variance is $\tilde\beta$ and $r = (1 - u_s)/(1 - u_t)$ if it is that "
    r"of the forward step, $u = s^2/(\lambda + s^2)$ ($\lambda = 0.05, 0.7, "
    r"4$; three steps).",
    papers=("104",),
    kind="exact",
    formula=lambda: costs(by_share, by_signal),
    controls=cost_slips,
    tol=1e-13,
    because="float64; determinants of 2 x 2 matrices",
    truth=torch.stack(wrong_variances),
)
check(cost_claim)

# %% [markdown]
r"""
## Where do the two predictions part?

A sampler without noise follows the flow. In $y$ it can be written in two ways,

$$
d\Big(\frac ys\Big) = D\, d\Big(\frac1s\Big), \qquad dy = E\, ds ,
$$ (eq-prediction-flows)

and an exponential step replaces $D$, or $E$, by a polynomial through its last values
(see [the sibling chapter](exponential.ipynb)). With a **constant** the two steps are
$y_t = (t/s) y_s + (1 - t/s) D$ and $y_t = y_s + (t - s) E$. Insert $E = (y_s - D)/s$:
they are the same map, DDIM {cite}`song2021ddim`, for every law
(`exponential/first-order`).

With two values each prediction is extrapolated from the last two points, with a
weight $z$ on the difference:

$$
\begin{aligned}
y_t &= \tfrac ts y_s + \big(1 - \tfrac ts\big)
\big[ D_s + z (D_s - D_p) \big] , \\
y_t &= y_s + (t - s) \big[ E_s + z (E_s - E_p) \big] ,
\end{aligned}
$$ (eq-prediction-2m)

where $p$ is the level before $s$. With the steps $h = \log (s/t)$ and
$h_p = \log (p/s)$, published code sets $z = h/(2 h_p)$ in both: the first is
DPM-Solver++ 2M {cite}`lu2022dpmpp`, `tables.dpmpp`; the second its noise twin. A
polynomial in $\log s$, integrated without approximation, has another $z$: with equal
steps

$$
z_D = \frac{1}{1 - e^{-h}} - \frac1h = \frac12 + \frac{h}{12} + \dots, \quad
z_E = \frac1h - \frac{1}{e^h - 1} = \frac12 - \frac{h}{12} + \dots
$$ (eq-prediction-z)

This is `tables.exponential` of order 2 for the two targets (for the noise also
`tables.deis` {cite}`zhang2023deis`). All of them begin with one step of DDIM, and this
will matter. We write
$z = \frac12 + \beta h$; published code has $\beta = 0$, the integrated weights have
$\beta = \pm\frac1{12}$ to the order that counts.

On a mode all this is trigonometry. Along the exact flow $y = c\,\psi$, so that
$D = c \sqrt\lambda \cos\theta$ and $E = c \sin\theta$. Let $R_n$ be the computed state
over the exact one, and $\Delta = \theta_s - \theta_t$. From
$\psi = \sqrt\lambda/\cos\theta$ one finds
$\frac ts \frac{\psi_s}{\psi_t} = \frac{\sin\theta_t}{\sin\theta_s}$ and
$(1 - \frac ts) \frac{\sqrt\lambda}{\psi_t} = \frac{\sin\Delta}{\sin\theta_s}$, and
with $\sin\theta_t + \sin\Delta \cos\theta_s = \sin\theta_s \cos\Delta$ the
[data step](#eq-prediction-2m) becomes the first line of

$$
\begin{aligned}
R_t &= R_s \cos\Delta
 + z \sin\Delta\, \frac{R_s \cos\theta_s - R_p \cos\theta_p}{\sin\theta_s} ,\\
R_t &= R_s \cos\Delta
 + z \sin\Delta\, \frac{R_p \sin\theta_p - R_s \sin\theta_s}{\cos\theta_s} ,
\end{aligned}
$$ (eq-prediction-angles)

the second being the noise step, found in the same way. The cosine is
[what DDIM loses](../gaussian/teleport.ipynb); the rest is what the second value wins
back. Take the second line from the first with $R_s = R_p = 1$:

$$
z \sin\Delta\, \frac{1 - \cos\Delta_p}{\sin\theta_s \cos\theta_s} \ge 0,
\qquad \Delta_p = \theta_p - \theta_s .
$$ (eq-prediction-gap)

*From the same history and with the same $z$ a data step always ends wider than a
noise step*, on any mode and for any sizes of steps.
"""


# %% tags=["setup"]
def levels(high, low, n):
    """n equal steps in log s, ends exact."""
    s = tables.uniform(math.log(high), math.log(low), n).exp()
    s[0], s[-1] = high, low
    return s


def two_step(s, eats, z=0.5, first=None):
    """The two-step method as a table; first: a factor in place of DDIM."""
    q = s[1:] / s[:-1]
    z = torch.as_tensor(z, dtype=s.dtype).expand(len(q)).clone()
    z[0] = 0.0
    noisy = eats == "noise"
    A, W = (torch.ones_like(q), s.diff()) if noisy else (q.clone(), 1 - q)
    B = torch.stack([W * (1 + z), -W * z], 1)
    if first is not None:
        A[0], B[0] = first, 0.0
    return tables.Table(eats, s, A[:, None], B, torch.zeros_like(q))


# %% tags=["setup"]
def ratios(theta, eats, z=0.5, exact=False, swap=False, sign=1):
    """R at the end by the recursion; theta, z: (steps + 1, ...)."""
    z = torch.as_tensor(z, dtype=theta.dtype)
    z = z.expand(len(theta), *theta.shape[1:])
    turn = -theta.diff(dim=0)
    c, s = (theta.sin(), theta.cos()) if swap else (theta.cos(), theta.sin())
    old = torch.ones_like(theta[0])
    new = old if exact else turn[0].cos()
    for n in range(1, len(turn)):
        data_gain = (new * c[n] - old * c[n - 1]) / s[n]
        noise_gain = (old * s[n - 1] - new * s[n]) / c[n]
        gain = data_gain if eats == "denoise" else noise_gain
        push = sign * z[n] * turn[n].sin() * gain
        old, new = new, new * turn[n].cos() + push
    return new


# %% [markdown]
r"""
The truth comes from `chains.gain`, which reads the numbers of a table and knows no
angles. The grid is random, so that steps differ by factors.
"""

# %%
rough = shapes.rng(1)
draws = torch.rand(9, generator=rough, dtype=torch.float64)
uneven = torch.cat([tensor([30.0]), 30.0 * (-draws.cumsum(0) * 1.6).exp()])
sizes = tensor([0.02, 0.5, 3.0])
turns = torch.atan2(uneven[:, None], sizes.sqrt())
rises = -uneven.log().diff()
middle = torch.cat([tensor([0.5]), rises[1:] / (2 * rises[:-1]), tensor([0])])
PREDICTIONS = ("denoise", "noise")


def by_angles(**slip):
    """R of the data and of the noise method on three modes."""
    z = middle[:, None]
    return torch.stack([ratios(turns, e, z, **slip) for e in PREDICTIONS])


# %%
def by_tables(first=None):
    """The same from the package's gain."""
    flow = chains.flow_factor(ve, sizes, uneven[0], uneven[-1])
    made = (two_step(uneven, e, middle[:-1]) for e in PREDICTIONS)
    return torch.stack([chains.gain(m, ve, sizes) / flow for m in made])


# %% tags=["hide-input"]
angle_slips = {
    "sine and cosine exchanged": lambda: by_angles(swap=True),
    "the sign of the difference": lambda: by_angles(sign=-1),
    "the difference forgotten: DDIM": lambda: by_angles(sign=0),
    "an exact first step": lambda: by_angles(exact=True),
}

# %% tags=["hide-input"]
angle_claim = Claim(
    id="prediction/two-step-angles",
    says=r"On a mode, two-step methods multiply the exact state by $R$ with "
    r"$R_t = R_s \cos\Delta + z \sin\Delta\, (R_s \cos\theta_s - R_p \cos"
    r"\theta_p)/\sin\theta_s$ for data and $R_s \cos\Delta + z \sin\Delta\, "
    r"(R_p \sin\theta_p - R_s \sin\theta_s)/\cos\theta_s$ for noise "
    r"prediction (nine random steps, $\lambda = 0.02, 0.5, 3$).",
    papers=("104",),
    kind="exact",
    formula=by_angles,
    controls=angle_slips,
    tol=1e-13,
    because="float64; ten steps",
    truth=by_tables,
)
check(angle_claim)

# %% [markdown]
r"""
## How large is the error of a step?

Take equal steps $h$, as samplers that are uniform in the log-SNR do. With
$\tau = -\log s$ as time, [the flow](#eq-prediction-flows) is $d(e^\tau y) =
D e^\tau d\tau$; let a dash be the derivative in $\tau$. Over one step, with
$D_p = D - h D' + \frac{h^2}{2} D'' - \dots$, divided by $e^{\tau_s}$:

$$
\begin{aligned}
\text{exact:}\quad & (e^h - 1) D + \big(\tfrac{h^2}{2} + \tfrac{h^3}{3}\big) D'
 + \tfrac{h^3}{6} D'' , \\
\text{2M:}\quad & (e^h - 1) D + \big(\tfrac{h^2}{2} + \tfrac{h^3}{4}
 + \beta h^3 \big) D' - \tfrac{h^3}{4} D'' ,
\end{aligned}
$$

up to $h^4$. The difference is $h^3 [(\beta - \frac1{12}) D' - \frac5{12} D'']$.
On a mode $u' = -2 u (1 - u)$ and $D \propto (1 - u)^{1/2}$, so that
$D' = u D$ and $D'' = u (3 u - 2) D$; and $D = (1 - u)\, y$. Relative to $y$ the
step errs by

$$
\begin{aligned}
\text{data:}\quad & h^3 u (1 - u) \big[ \tfrac{3 - 5u}{4} + \beta \big] , \\
\text{noise:}\quad & h^3 u (1 - u) \big[ \tfrac{2 - 5u}{4} + \beta \big] .
\end{aligned}
$$ (eq-prediction-local)

The noise line needs no new work. In the letters of $x = a D + g E$ the noise is the
data with $a$ and $g$ exchanged. This turns $u$ into $1 - u$ and $h$ into $-h$, hence
$h^3 f(u, \beta)$ into $-h^3 f(1 - u, -\beta)$, since $\beta h$ is a weight and keeps
its value. The claim expands the exact step in the form without
roots of $\lambda$: with $Q_t^2 = 1 - u + u e^{-2h}$ and
$Q_p^2 = 1 - u + u e^{2h}$, [the angles](#eq-prediction-angles) give for the data step

$$
\frac{1 - u + u e^{-h} + z (1 - u)(1 - e^{-h})(1 - 1/Q_p)}{Q_t} ,
$$

and for the noise step the same with $u\,(e^h/Q_p - 1)$ for $(1 - u)(1 - 1/Q_p)$.
"""

# %%
U, H, beta = sympy.symbols("u h beta", positive=True)
Qt = sympy.sqrt(1 - U + U * sympy.exp(-2 * H))
Qp = sympy.sqrt(1 - U + U * sympy.exp(2 * H))
back = {
    "denoise": (1 - U) * (1 - 1 / Qp),
    "noise": U * (sympy.exp(H) / Qp - 1),
}


@functools.cache
def taylor(eats):
    """1, h, h^2 and h^3 of the multiplier with z = 1/2 + beta h."""
    z = sympy.Rational(1, 2) + beta * H
    top = 1 - U + U * sympy.exp(-H) + z * (1 - sympy.exp(-H)) * back[eats]
    f, out = top / Qt, []
    for n in range(4):
        out.append(sympy.factor(f.subs(H, 0)) / math.factorial(n))
        f = f.diff(H) if n < 3 else f
    return out


# %%
def off_by(brackets):
    """What is left of both expansions."""
    rest = []
    for eats, bracket in zip(PREDICTIONS, brackets, strict=True):
        one, first, second, third = taylor(eats)
        rest += [one - 1, first, second, third - U * (1 - U) * bracket]
    return sympy.Matrix(rest)


quarter = sympy.Rational(1, 4)
brackets = [(n - 5 * U) * quarter + beta for n in (3, 2)]

# %% tags=["hide-input"]
local_slips = {
    "the two exchanged": brackets[::-1],
    "one formula for both": [brackets[0], brackets[0]],
    "$-\\beta$ for the noise": [brackets[0], brackets[1] - 2 * beta],
    "only the second derivative: $5/12$": [
        5 * (2 - 3 * U) / 12,
        5 * (1 - 3 * U) / 12,
    ],
}

# %% tags=["hide-input"]
local_claim = Claim(
    id="prediction/local-error",
    says=r"With equal steps $h$ and $z = \frac12 + \beta h$ one step from an "
    r"exact history has the relative error $h^3 u(1-u)[(3 - 5u)/4 + \beta] + "
    r"O(h^4)$ for data and $h^3 u(1-u)[(2 - 5u)/4 + \beta] + O(h^4)$ for "
    r"noise prediction, for every $\lambda$.",
    papers=("104",),
    kind="symbolic",
    formula=brackets,
    controls=local_slips,
    measure=off_by,
)
check(local_claim)

# %% [markdown]
r"""
Now add up. A relative error is carried along unchanged, as the method is linear, and
what it does through $D_p$ is of higher order. Replace the sum by an integral over
$\tau$, with $d\tau = -du/(2u(1-u))$: the factors $u(1-u)$ cancel, and from $u_0$ at the
start to $u_1$ at the end

$$
\begin{aligned}
\text{data:}\quad & h^2 \Big[ \tfrac{6u - 5u^2}{16} + \tfrac{\beta u}{2}
 \Big]_{u_1}^{u_0} , \\
\text{noise:}\quad & h^2 \Big[ \tfrac{4u - 5u^2}{16} + \tfrac{\beta u}{2}
 \Big]_{u_1}^{u_0} .
\end{aligned}
$$ (eq-prediction-constants)

This holds if the *first* step is exact. It has no history, and the usual choice
for it, also in all tables of the package, is DDIM: a factor
$\cos\Delta$ with $\Delta^2 = h^2 u_0 (1 - u_0)$ to leading order. So the usual start
adds

$$
- \tfrac12 h^2 u_0 (1 - u_0)
$$ (eq-prediction-start)

to both lines: one step of lower order, felt at the order of all the others
together. From pure noise, $u_0 = 1$, it is nothing. Between pure noise and
clean data the constants are $\pm\frac1{16}$ with published weights and
$\pm\frac5{48}$ with the integrated ones.

The claim takes five ranges and both starts, and compares with `chains.gain` of the
package's own tables at 200 and 400 steps; the combination $2 e_{400} - e_{200}$ of
$e = (R - 1)/h^2$ removes what is linear in $h$.
"""

# %%
ranges = (
    (1.0, 1e3, 1e-3),
    (1.0, 1e3, 0.3),
    (2.0, 3.0, 0.1),
    (0.5, 1.0, 0.2),
    (1.0, 0.8, 0.05),
)
STARTS = ("exact", "ddim")
makers = {
    "2M": lambda s: tables.dpmpp(ve, s, 2),
    "twin": lambda s: two_step(s, "noise"),
    "data": lambda s: tables.exponential(ve, s, 2, "denoise"),
    "noise": lambda s: tables.exponential(ve, s, 2, "noise"),
}


# %%
def constant(make, lam, high, low, start, n):
    """(R - 1) / h^2 by the table, its first row exact if asked."""
    s, lam = levels(high, low, n), tensor([lam])
    table = make(s)
    if start == "exact":
        factor = chains.flow_factor(ve, lam, s[0], s[1])
        table.A[0], table.B[0] = factor, 0.0
    R = chains.gain(table, ve, lam) / chains.flow_factor(ve, lam, s[0], s[-1])
    return (R[0] - 1) / math.log(high / low) ** 2 * n**2


def seen_constants():
    """Four methods, five ranges, two starts: (4, 10)."""
    out = []
    for make in makers.values():
        for r, start in itertools.product(ranges, STARTS):
            e = [constant(make, *r, start, n) for n in (200, 400)]
            out.append(2 * e[1] - e[0])
    return torch.stack(out).reshape(4, 10)


# %% tags=["setup"]
BETA = (0.0, 0.0, 1 / 12, -1 / 12)  # of the four methods


def closed(u0, u1, noise, beta=0.0, start="exact"):
    """The constant of h^2."""
    top = 4 if noise else 6
    pot = [(top * u - 5 * u * u) / 16 + beta * u / 2 for u in (u0, u1)]
    return pot[0] - pot[1] - (u0 * (1 - u0) / 2 if start == "ddim" else 0)


# %%
def all_closed(beta=1.0, starter=closed):
    """The closed constants in the order of `seen_constants`."""
    out = []
    for noise, b in zip((0, 1, 0, 1), BETA, strict=True):
        for (lam, *s), start in itertools.product(ranges, STARTS):
            u = [v**2 / (lam + v**2) for v in s]
            out.append(starter(*u, noise, beta * b, start))
    return tensor(out).reshape(4, 10)


# %% tags=["hide-input"]
constant_slips = {
    "published weights taken for integrated ones": lambda: all_closed(0),
    "no starter term": lambda: all_closed(starter=lambda *a: closed(*a[:4])),
    "the starter's $\\frac12$ forgotten": lambda: all_closed(
        starter=lambda *a: 2 * closed(*a) - closed(*a[:4])
    ),
    "the other sign of $\\beta$": lambda: all_closed(-1),
}

# %% tags=["hide-input"]
constant_claim = Claim(
    id="prediction/constants",
    says=r"Over a range $u_0 \to u_1$ in equal steps $h$ of $\log s$ the end "
    r"is off by $h^2 [(6u - 5u^2)/16 + \beta u/2]_{u_1}^{u_0}$ (data) or "
    r"$h^2 [(4u - 5u^2)/16 + \beta u/2]_{u_1}^{u_0}$ (noise), and by $-h^2 "
    r"u_0(1 - u_0)/2$ more if the first step is DDIM's, where $\beta = 0$ "
    r"for DPM-Solver++ 2M and its noise twin, $\pm 1/12$ for "
    r"`exponential` (five "
    r"ranges, both starts).",
    papers=("104",),
    kind="exact",
    formula=all_closed,
    controls=constant_slips,
    tol=7e-5,
    because="$2 e_{400} - e_{200}$ leaves $h^2$; set after measuring",
    measure=lambda f: (f() - truth_constants).abs().max(),
)
truth_constants = seen_constants()
check(constant_claim)

# %% [markdown]
r"""
## Who wins?

Let $A$ and $B$ be [the constants](#eq-prediction-constants) of data and noise
prediction, both with published or both with integrated weights. Then
$A - B = \frac18 (u_0 - u_1) + \frac12 (\beta_D - \beta_E)(u_0 - u_1) > 0$, and since
$\beta_D = -\beta_E$ in both cases, $\beta$ drops out of the sum:

$$
A + B = \tfrac58 \big[ u_0 (1 - u_0) - u_1 (1 - u_1) \big]
\quad \text{(exact first step)} .
$$ (eq-prediction-sum)

Now $A^2 - B^2 = (A - B)(A + B)$, so the sign of the sum decides. **With an exact
first step noise prediction wins if and only if $u_0 (1 - u_0) > u_1 (1 - u_1)$.** The
usual start subtracts $u_0 (1 - u_0)$ from the sum, which becomes
$-\frac38 u_0 (1 - u_0) - \frac58 u_1 (1 - u_1) \le 0$: **with DDIM's start data
prediction wins on every range**, to leading order and on every mode. The theorem is
partly about the starter.

From pure noise, $u_0 = 1$, the starter does not matter. With published weights the
constants are $\frac1{16} (1 - u)(1 - 5u)$ and $-\frac1{16} (1 - u)(1 + 5u)$ at
$u = u_1$: data prediction is better by the factor $|1 - 5u| / (1 + 5u)$, which
is no advantage at all in the limit of clean data, $u \to 0$. And take $\lambda = 2$
from $s = 3$ to $0.1$, the part of a run that a teleported start leaves over. With an exact first step the constants are about $0.096$ and $-0.006$: noise
prediction wins by far. With DDIM's step they are $0.021$ and $-0.080$.

The claim counts mistakes on 150 random ranges, 75 of them with the published and 75
with the integrated pair, 600 steps each, by [the recursion](#eq-prediction-angles).
"""

# %%
pick = torch.rand(2, 4000, generator=shapes.rng(4), dtype=torch.float64)
u_end, u_start = (0.02 + 0.96 * pick).sort(0).values
tie = (u_start * (1 - u_start) - u_end * (1 - u_end)).abs() < 0.02
fair = (~tie & (u_start - u_end > 0.05)).nonzero()[:150, 0]
u_start, u_end = u_start[fair], u_end[fair]
tangents = [(u / (1 - u)).sqrt().log() for u in (u_start, u_end)]
fine = torch.linspace(0, 1, 601, dtype=torch.float64)[:, None]
fans = (tangents[0] + fine * (tangents[1] - tangents[0])).exp().atan()
hs = (tangents[0] - tangents[1]) / 600
whole = torch.arange(150) < 75  # published weights
inner = 1 / (1 - (-hs).exp()) - 1 / hs
z_data = torch.where(whole, 0.5, inner)


# %%
def noise_won():
    """Whether the noise method ends nearer, for both starts: (2, 150)."""
    rows = []
    for exact in (True, False):
        zs = zip(PREDICTIONS, (z_data, 1 - z_data), strict=True)
        d, e = (ratios(fans, p, z[None], exact) for p, z in zs)
        rows.append((e - 1).abs() < (d - 1).abs())
    return torch.stack(rows)


won = noise_won()


def mistakes(rule):
    """The share of the 300 runs in which the rule is wrong."""
    guess = [rule(u_start, u_end, exact) for exact in (True, False)]
    return (torch.stack(guess) != won).double().mean()


# %% tags=["hide-input"]
def criterion(u0, u1, exact):
    """Noise wins iff the first step is exact and u(1 - u) falls."""
    return (u0 * (1 - u0) > u1 * (1 - u1)) & exact


winner_slips = {
    "data prediction always wins": lambda u0, u1, exact: u0 < u1,
    "the starter does not matter": lambda u0, u1, exact: criterion(
        u0, u1, True
    ),
    "noise wins if the range is mostly noise": lambda u0, u1, exact: (
        (u0 + u1 > 0.8) & exact
    ),
    "the inequality turned round": lambda u0, u1, exact: (
        ~criterion(u0, u1, True) & exact
    ),
}

# %% tags=["hide-input"]
winner_claim = Claim(
    id="prediction/who-wins",
    says=r"In small steps from $u_0$ to $u_1$ noise prediction errs less "
    r"than data prediction if and only if the first step is exact and $u_0(1 "
    r"- u_0) > u_1(1 - u_1)$; with DDIM's first step it never does (150 "
    r"ranges no nearer than 0.02 to a tie, 600 steps, published or "
    r"integrated weights).",
    papers=("104",),
    kind="exact",
    formula=criterion,
    controls=winner_slips,
    tol=9e-5,
    because="a share of mistakes in 300 runs: none is allowed",
    measure=mistakes,
    scale="the formula is a rule, which has no size to scale",
)
check(winner_claim)

# %% mystnb={"figure": {"caption": "The constants of $h^2$ from pure noise down to the level at which a mode's noise share is $u$ (published weights, then integrated ones dashed); the average of the published pair is dotted.", "name": "fig-prediction-constants"}, "image": {"alt": "Against u from 0 to 1, the blue data curve starts at one sixteenth, falls through zero at one fifth and returns to zero; the ochre noise curve starts at minus one sixteenth and stays below. Dashed curves of the same kind start further out. A dotted curve starts at zero and sags below it."}}
figure, axes = figures.canvas(
    "Errors of opposite sign, equal in size at u = 0"
)
shares = torch.linspace(0, 1, 101, dtype=torch.float64)
both = [closed(tensor(1.0), shares, noise) for noise in (0, 1)]
inside = [closed(tensor(1.0), shares, i, (1 - 2 * i) / 12) for i in (0, 1)]
colours = (figures.LEARNED, figures.SECOND)
for curve, dashed, colour in zip(both, inside, colours, strict=True):
    axes.plot(shares, curve, color=colour)
    axes.plot(shares, dashed, "--", color=colour, lw=1.1)
axes.plot(shares, (both[0] + both[1]) / 2, ":", color=figures.EXACT)
axes.axhline(0, color=figures.NOISE, lw=0.8)
figures.label_line(axes, 0.1, 0.08, "data", colours[0])
figures.label_line(axes, 0.3, -0.095, "noise", colours[1])
figures.label_line(axes, 0.36, -0.062, "average", figures.EXACT)
axes.set(xlabel="share of noise $u$ at the end", ylabel="error / $h^2$")
axes.set_xlim(0, 1)
plt.show()

# %% [markdown]
r"""
Look at the left edge, where a sampler that runs to clean data ends. The two errors are
equal and opposite there, whatever the mode, and further right the blue curve is the
nearer to zero.

## Can a step be exact?

Ask [the recursion](#eq-prediction-angles) for $R_t = R_s = R_p = 1$ and solve for $z$.
With $(1 - \cos\Delta)/\sin\Delta = \tan\frac\Delta2$,

$$
z_D^* = \frac{\tan\frac\Delta2\, \sin\theta_s}{\cos\theta_s - \cos\theta_p},
\qquad
z_E^* = \frac{\tan\frac\Delta2\, \cos\theta_s}{\sin\theta_p - \sin\theta_s} .
$$ (eq-prediction-star)

These are the variance-exact coefficients, at any size of steps. (An equal form for
the first is $[\cos\frac{\theta_s + \theta_t}{2} / \cos\frac\Delta2 - \cos\theta_s] /
(\cos\theta_s - \cos\theta_p)$, whose first term is the mean of $D/(c\sqrt\lambda)$ that
the exact step sees.) In small steps $\tan\frac\Delta2 \approx \frac12
\frac{d\theta}{d\tau} h$ and the denominator is $\sin\theta_s \frac{d\theta}{d\tau}
h_p$, up to sign: $z^* \to h/(2 h_p)$. The next order, for equal steps, is read off
[the local error](#eq-prediction-local): the bracket vanishes at

$$
\beta_D = \frac{5u - 3}{4}, \qquad \beta_E = \frac{5u - 2}{4} .
$$ (eq-prediction-beta)

Since $u$ depends on $\lambda$, *no common $z$ is exact for two variances*. Two
conditions come with exactness. The first step must be exact too, because $z^*$
needs $D_p$ on the exact trajectory; and $z_D^*$ is $0/0$ at $u = 0$, $z_E^*$ at
$u = 1$, where nothing needs correction.
"""

# %%
lone = tensor([0.7])
bends = torch.atan2(uneven, lone.sqrt())
entrance = chains.flow_factor(ve, lone, uneven[0], uneven[1])


def star(theta):
    """z* of both predictions for every step after the first."""
    p, s, t = theta[:-2], theta[1:-1], theta[2:]
    half = ((s - t) / 2).tan()
    return torch.stack(
        [
            half * s.sin() / (s.cos() - p.cos()),
            half * s.cos() / (p.sin() - s.sin()),
        ]
    )


# %%
def not_exact(formula, first=entrance):
    """The largest |R - 1| of both methods on the random grid."""
    worst = []
    for eats, z in zip(PREDICTIONS, formula(bends), strict=True):
        z = torch.cat([tensor([0.0]), z])
        table = two_step(uneven, eats, z, first)
        flow = chains.flow_factor(ve, lone, uneven[0], uneven[-1])
        worst.append((chains.gain(table, ve, lone) / flow - 1).abs().max())
    return max(worst)


# %% tags=["hide-input"]
star_slips = {
    "$h/(2 h_p)$, its limit": lambda theta: middle[1:-1].expand(2, -1),
    "sine and cosine exchanged": lambda theta: star(theta).flip(0),
    "$\\Delta/2$ for its tangent": lambda theta: (
        star(theta)
        * (theta[1:-1] - theta[2:])
        / (2 * ((theta[1:-1] - theta[2:]) / 2).tan())
    ),
    "$z^*$ of another variance": lambda theta: star(
        torch.atan2(uneven, (2 * lone).sqrt())
    ),
}

# %% tags=["hide-input"]
star_claim = Claim(
    id="prediction/exact-step",
    says=r"After an exact first step the coefficients $z_D^* = \tan\frac"
    r"\Delta2 \sin\theta_s / (\cos\theta_s - \cos\theta_p)$ and $z_E^* = "
    r"\tan\frac\Delta2 \cos\theta_s / (\sin\theta_p - \sin\theta_s)$ "
    r"carry a mode to "
    r"its exact variance on any grid (nine random steps, $\lambda = 0.7$).",
    papers=("104",),
    kind="exact",
    formula=star,
    controls=star_slips,
    tol=1e-12,
    because="float64; a difference of cosines loses two digits",
    measure=not_exact,
)
check(star_claim)

# %% [markdown]
r"""
If not exact for all, how good can a common $z$ be? Keep one number,
$z = \frac12 + \beta h$. Over the full range from noise to data
[the constants](#eq-prediction-constants) are $\frac1{16} + \frac\beta2$ and
$-\frac1{16} + \frac\beta2$, the same for every $\lambda$: **$z = \frac12 - \frac h8$
for data and $z = \frac12 + \frac h8$ for noise prediction are of third order for all
variances at once**, though no step is. The integrated weights go the other way, to
$\beta = \pm\frac1{12}$, and make the error larger by two thirds.

A real run stops at some noise, where modes differ in $u_1$. For a spectrum
minimise the squared Wasserstein distance of the end, $h^4 \sum_k \psi_k^2 C_k^2$,
where $C_k = C_k^0 + \frac\beta2 (u_{0k} - u_{1k})$ is the constant with DDIM's start.
This is a least-squares problem with the solution

$$
\beta^* = -\, \frac{2 \sum_k \psi_k^2\, (u_{0k} - u_{1k})\, C_k^0}
{\sum_k \psi_k^2\, (u_{0k} - u_{1k})^2} ,
$$ (eq-prediction-best)

with $\psi_k$ at the end. We try it on the 64 variances of the digits, from $s = 80$ to
$0.02$. Three pixels are never inked: for them $\lambda = 0$, $u = 1$ at both ends, and
$C_k = 0$.
"""

# %%
pixels, _ = data.digits()
spectrum = laws.fit_gaussian(pixels).covariance.spectrum[0]
u_first, u_last = (v**2 / (spectrum + v**2) for v in (80.0, 0.02))
weight = spectrum + 0.02**2


def best_beta(noise, weight=weight):
    """The least-squares answer for the digits."""
    C = closed(u_first, u_last, noise, start="ddim")
    d = u_first - u_last
    return -2 * (weight * d * C).sum() / (weight * d * d).sum()


# %%
choices = [
    (b, noise)
    for noise in (0, 1)
    for b in (0.0, noise / 4 - 1 / 8, noise / 6 - 1 / 12)
]


def each_mode(n, beta, noise):
    """(R - 1) / h^2 of the 64 modes, by the table."""
    s, h = levels(80.0, 0.02, n), math.log(4000) / n
    table = two_step(s, PREDICTIONS[noise], 0.5 + beta * h)
    flow = chains.flow_factor(ve, spectrum, s[0], s[-1])
    return (chains.gain(table, ve, spectrum) / flow - 1) / h**2


runs = [[each_mode(n, *c) for n in (250, 500)] for c in choices]
mode_truth = torch.stack([2 * e[1] - e[0] for e in runs])


# %%
def off_digits(f):
    """Root of sum psi^2 (C - truth)^2 / sum psi^2, the worst of six."""
    got = torch.stack([f(b, noise) for b, noise in choices])
    square = (weight * (got - mode_truth) ** 2).sum(1) / weight.sum()
    return square.max().sqrt()


# %% tags=["hide-input"]
def spectral(beta, noise, start="ddim"):
    """The constants of all modes."""
    return closed(u_first, u_last, noise, beta, start)


spectrum_slips = {
    "the sign of $\\beta$": lambda b, noise: spectral(-b, noise),
    "$\\beta$ for $\\beta/2$": lambda b, noise: spectral(2 * b, noise),
    "data and noise exchanged": lambda b, noise: spectral(b, 1 - noise),
    "published weights taken for all": lambda b, noise: spectral(0.0, noise),
}

# %% tags=["hide-input"]
spectrum_claim = Claim(
    id="prediction/spectrum",
    says=r"With $z = \frac12 + \beta h$ and DDIM's start the $W_2$ error on "
    r"a spectrum is $h^2 (\sum \psi_k^2 C_k^2)^{1/2}$, $C_k$ the closed "
    r"constant of each mode, here for $\beta = 0$, $\mp\frac1{12}$, $\mp"
    r"\frac18$ (the digits' 64 variances, three of them zero, $s = 80$ "
    r"to $0.02$).",
    papers=("104",),
    kind="exact",
    formula=spectral,
    controls=spectrum_slips,
    tol=3e-5,
    because="$2 e_{500} - e_{250}$ leaves $h^2$; set after measuring",
    measure=off_digits,
)
check(spectrum_claim)


# %%
def missed(n, beta, noise):
    """The relative W2 error of a run with n steps."""
    s, h = levels(80.0, 0.02, n), math.log(4000) / n
    table = two_step(s, PREDICTIONS[noise], 0.5 + beta * h)
    return (chains.spread_error(table, ve, spectrum) / weight.sum()).sqrt()


# %% mystnb={"figure": {"caption": "Relative error of the spread on the digits' spectrum against the number of steps, from $s = 80$ to $0.02$. Solid: published weights; dashed: $z = 1/2 \\mp h/8$; dotted: $z = 1/2 + \\beta^* h$.", "name": "fig-prediction-digits"}, "image": {"alt": "Six falling curves on logarithmic axes. The solid blue and ochre curves of data and noise prediction meet at forty steps. The dashed ones fall faster; dashed ochre lies below solid from the start, dashed blue only from ten steps on. The dotted curves stay near the dashed ones."}}
figure, axes = figures.canvas(
    "One number for all modes, and a whole order more"
)
counts = [6, 8, 10, 12, 15, 20, 28, 40]
for noise, colour in enumerate(colours):
    betas = (0.0, noise / 4 - 1 / 8, best_beta(noise))
    for b, dash in zip(betas, ("-", "--", ":"), strict=True):
        curve = [missed(n, b, noise) for n in counts]
        axes.loglog(counts, curve, dash, color=colour)
figures.label_line(axes, 40, 0.0034, "noise", colours[1])
figures.label_line(axes, 40, 0.0022, "data", colours[0])
axes.set(xlabel="steps", ylabel="error", xlim=(6, 40))
axes.set_xticks([6, 10, 20, 40], ["6", "10", "20", "40"])
axes.set_xticks([], minor=True)
plt.show()

# %% [markdown]
r"""
The dashed lines fall with a steeper slope, and for the data prediction the price is
visible at the left: below ten steps $h$ is about one, and $\frac12 - \frac h8$, an
expansion in $h$, is worse than $\frac12$.

## What about a mixture of both?

Take the share $w$ of the data step and $1 - w$ of the noise step. On one
mode this, too, can be made exact. With the brackets of
[the recursion](#eq-prediction-angles),
$a = (\cos\theta_s - \cos\theta_p)/\sin\theta_s$ and
$b = (\sin\theta_p - \sin\theta_s)/\cos\theta_s$, the condition is
$z\,[w a + (1 - w)\, b] = \tan\frac\Delta2$, so

$$
w^* = \frac{\tan\frac\Delta2 / z - b}{a - b}
\;\longrightarrow\; 5 u - 2 \quad (h \to 0,\ \text{equal steps}) ,
$$ (eq-prediction-mix)

where the limit makes $\frac{3 - 5u}{4} w + \frac{2 - 5u}{4} (1 - w)$ vanish. This is
a share between 0 and 1 only for $\frac25 < u < \frac35$, in a window around equal
parts of signal and noise: everywhere else the exact step *extrapolates* beyond one of
the two predictions. A fixed $w$ for a whole range has the constant
$[((4 + 2w)\, u - 5u^2)/16]_{u_1}^{u_0}$, which is zero at

$$
w = \tfrac52 (u_0 + u_1) - 2 + \frac{4 u_0 (1 - u_0)}{u_0 - u_1}\, [\text{DDIM's start}] .
$$ (eq-prediction-range)

From pure noise to clean data $w = \frac12$ for every mode: the plain average is
of third order there. And *only* there does it serve all: on another
range $w$ depends on $\lambda$ through $u_0$ and $u_1$, and from pure noise to $u_1$
it is $\frac12 + \frac52 u_1$.

A mixed sampler is a table: `tables.eating` rewrites the noise step in terms of the
denoiser, and the rows are averaged.
"""


# %%
def mixed(s, w, first=None, z=0.5):
    """w data steps and 1 - w noise steps, as one table that eats D."""
    d = two_step(s, "denoise", z, first)
    e = tables.eating(two_step(s, "noise", z, first), ve, "denoise")
    w = torch.as_tensor(w, dtype=s.dtype).reshape(-1, 1)
    A = (1 - w) * e.A
    A[:, :1] += w * d.A
    B = w * d.B + (1 - w) * e.B
    return tables.Table("denoise", s, A, B, torch.zeros_like(s[1:]))


def best_share(p, s, t, z, turned=False):
    """w* from three angles."""
    a = (s.cos() - p.cos()) / s.sin()
    b = (p.sin() - s.sin()) / s.cos()
    a, b = (b, a) if turned else (a, b)
    return (((s - t) / 2).tan() / z - b) / (a - b)


# %%
def not_mixed(formula):
    """|R - 1| of the mixed method on the random grid."""
    z = middle[1:-1]
    w = formula(bends[:-2], bends[1:-1], bends[2:], z)
    w = torch.cat([tensor([1.0]), w])
    table = mixed(uneven, w, entrance, middle[:-1])
    flow = chains.flow_factor(ve, lone, uneven[0], uneven[-1])
    return (chains.gain(table, ve, lone) / flow - 1).abs().max()


# %% tags=["hide-input"]
mix_slips = {
    "the shares exchanged": functools.partial(best_share, turned=True),
    "the average": lambda p, s, t, z: 0 * s + 0.5,
    "the limit $5u - 2$": lambda p, s, t, z: 5 * s.sin() ** 2 - 2,
    "clipped to $[0, 1]$": lambda *u: best_share(*u).clamp(0, 1),
}

# %% tags=["hide-input"]
mix_claim = Claim(
    id="prediction/exact-mix",
    says=r"With $a = (\cos\theta_s - \cos\theta_p)/\sin\theta_s$, $b = (\sin"
    r"\theta_p - \sin\theta_s)/\cos\theta_s$ the share $w^* = (\tan\frac"
    r"\Delta2/z - b)/(a - b)$ of the data step makes the mixed step exact "
    r"after an exact first step (nine random steps, $z = h/(2h_p)$, $\lambda "
    r"= 0.7$).",
    papers=("104",),
    kind="exact",
    formula=best_share,
    controls=mix_slips,
    tol=1e-12,
    because="float64; w is a ratio of small differences",
    measure=not_mixed,
)
check(mix_claim)


# %%
def blended(w_of):
    """The largest constant of h^2 that is left on three ranges."""
    worst = []
    for (lam, *s), start in itertools.product(ranges[::2], STARTS):
        w = w_of(*[v**2 / (lam + v**2) for v in s], start)
        make = functools.partial(mixed, w=w)
        e = [constant(make, lam, *s, start, n) for n in (80, 160)]
        worst.append((2 * e[1] - e[0]).abs())
    return max(worst)


def range_share(u0, u1, start):
    """The w that cancels h^2."""
    w = 2.5 * (u0 + u1) - 2
    return w + (4 * u0 * (1 - u0) / (u0 - u1) if start == "ddim" else 0)


# %% tags=["hide-input"]
range_slips = {
    "$\\frac12$ on every range": lambda u0, u1, start: 0.5,
    "clipped to $[0, 1]$": lambda *u: min(max(range_share(*u), 0), 1),
    "no starter term": lambda u0, u1, start: range_share(u0, u1, ""),
    "the share of the noise steps": lambda *u: 1 - range_share(*u),
}

# %% tags=["hide-input"]
range_claim = Claim(
    id="prediction/range-mix",
    says=r"One share $w = \frac52(u_0 + u_1) - 2$ of data steps, with $4 u_0 "
    r"(1 - u_0)/(u_0 - u_1)$ more after DDIM's start, cancels the $h^2$ "
    r"error of a mode over the range $u_0 \to u_1$; it is $\frac12$ from "
    r"pure noise to clean data (published weights; three ranges).",
    papers=("104",),
    kind="exact",
    formula=range_share,
    controls=range_slips,
    tol=4e-5,
    because="$2 e_{160} - e_{80}$ leaves $h^2$; set after measuring",
    measure=blended,
    scale=lambda f, e: lambda *u: f(*u) + 10 * e,
)
check(range_claim)

# %% [markdown]
r"""
## What happens to the errors of a network?

Let the network be off by $\delta$ in the noise at one state; then it is off by
$-s\,\delta$ in the data. DDIM is one map, so it cannot care. Two-step methods do.
Take a direction in which the data have no variance (for digits, a pixel
that is never inked), or the early part of a run, where $u \approx 1$. There
$D$ is constant and $E = y/s$. Put $r = y/s$, equal steps, and let an error
$\delta$ enter at state $n$ with $m = N - n \ge 2$ steps to go, not at the first.

*Data.* The state feels the error in the two steps that use it, with the
weights $-s_n \delta (1 - e^{-h})(1 + z)$ and, one step later, $+ s_n \delta
(1 - e^{-h})\, z$, and shrinks by $e^{-h}$ per step. So the end moves by
$s_N (e^h - 1) [ z e^h - (1 + z) ]\,\delta$ with $s_N$ the last level, or

$$
s_N (e^h - 1)(q - 1)\, \delta, \qquad q = z\,(e^h - 1) ,
$$ (eq-prediction-response)

for every $n$. *Noise.* The increments $d_n = r_{n} - r_{n-1}$ obey
$d_{n+1} = -q\, d_n - (e^h - 1) [(1 + z) \delta_n - z \delta_{n-1}]$: the sampler
answers its own last move with a move in the other direction. Sum the geometric series
of one error:

$$
- s_N (e^h - 1) \Big[ \frac{1}{1 + q}
+ \Big( z + \frac{q}{1 + q} \Big) (-q)^{m - 1} \Big]\, \delta .
$$ (eq-prediction-echo)

Here is the instability of noise prediction. For $q > 1$ an early error grows by the
factor $q$ in **every** step that remains in the noise, with alternating signs. With
$z = \frac12$ that is so for $h > \log 3$, when the level falls by more than three per
step: fewer than eight steps from 80 to 0.02. The data method never does this; its
response is small, and at $h = \log 3$ it is zero. An exact network shows nothing of it,
for then $E$ is constant along the trajectory and both are right.

By the exchange of $a$ and $g$ the data prediction has the same defect when a sampler
runs **up**, from data to noise (exercise 3).
The echo is not the fate of noise prediction either: extrapolate
linearly in $s$ instead of $\log s$ (`tables.exponential(..., "noise", "nsr")`), then
$z = e^{-h}/2$ and $q = \frac12 (1 - e^{-h}) < \frac12$ for any step.
"""

# %%
still = tensor([0.0])
drops = [(n, z) for n in (5, 8, 12) for z in (0.5, 0.3)]


def closed_echo(n, z, sign=-1, own=1.0, last=0.02):
    """Per unit noise error at states 1 .. n - 2: data, then noise."""
    h = math.log(4000) / n
    q, rise = z * math.expm1(h), math.expm1(h)
    m = n - torch.arange(1, n - 1, dtype=torch.float64)
    d = last * rise * (q - 1) + 0 * m
    echo = (own * z + q / (1 + q)) * (sign * q) ** (m - 1)
    return torch.cat([d, -last * rise * (1 / (1 + q) + echo)])


def echoes(**slip):
    """All six runs, one after the other, each in units of its largest."""
    runs = zip(drops, tops, strict=True)
    return torch.cat([closed_echo(*r, **slip) / top for r, top in runs])


# %%
def by_response(n, z):
    """The same from the package's sweep."""
    s = levels(80.0, 0.02, n)
    d, e = (
        chains.response(two_step(s, p, z), ve, still)[:, 0]
        for p in PREDICTIONS
    )
    return torch.cat([(-s[:-1] * d)[1:-1], e[1:-1]])


swept = [by_response(*r) for r in drops]
tops = [r.abs().max() for r in swept]

# %% tags=["hide-input"]
echo_slips = {
    "no alternation": lambda: echoes(sign=1),
    "the second use of the error forgotten": lambda: echoes(own=0.0),
    "the first level for the last": lambda: echoes(last=80.0),
    "the sign of the conversion, $D + s\\delta$": lambda: -echoes(),
}

# %% tags=["hide-input"]
echo_claim = Claim(
    id="prediction/echo",
    says=r"Where the data have no variance an error $\delta$ of the noise "
    r"moves the end of the data method by $s_N (e^h - 1)(q - 1)\delta$, that "
    r"of the noise method by $-s_N (e^h - 1)[\frac{1}{1+q} + (z + \frac{q}{1 "
    r"+ q})(-q)^{m-1}]\delta$, $q = z(e^h - 1)$, with $m$ steps to go: an "
    r"echo that grows if $q > 1$ (5, 8, 12 steps, $z = 0.5, 0.3$).",
    papers=("104",),
    kind="exact",
    formula=echoes,
    controls=echo_slips,
    tol=1e-12,
    because="float64; levels over four decades",
    truth=torch.cat([r / top for r, top in zip(swept, tops, strict=True)]),
)
check(echo_claim)

# %% [markdown]
r"""
Modes with variance have no such closed form, but `chains.response` computes them. Let
the errors be independent with the same variance at every state; then the end has the
variance $\sum_n R_n^2$ times that. Which prediction suffers more?
"""

# %%
noisy_modes = tensor([0.0, 0.01, 1.0])


def suffering(n):
    """Root of the sum of squared responses: data, noise (2, 3)."""
    s, out = levels(80.0, 0.02, n), []
    for p in PREDICTIONS:
        R = chains.response(two_step(s, p), ve, noisy_modes)
        R = s[:-1, None] * R if p == "denoise" else R
        out.append((R**2).sum(0).sqrt())
    return torch.stack(out)


# %%
tolls = torch.stack([suffering(n) for n in (5, 8, 10, 12, 20, 40)])
data_suffers = tolls[:, 0] > tolls[:, 1]
only_few = torch.zeros(6, 3, dtype=torch.bool)
only_few[0, 1:] = True  # five steps, and some variance


def differs(seen):
    """The measurement: the share of cells in which a table is wrong."""
    return lambda table: (table != seen).double().mean()


# %% tags=["hide-input"]
toll_slips = {
    "noise prediction always suffers more": tolls[:, 0] < 0,
    "data prediction suffers more, by $s\\delta$": tolls[:, 0] > 0,
    "with 5 steps without variance, too": only_few.any(1, keepdim=True),
    "it depends on the variance alone": noisy_modes.expand(6, 3) > 0,
}

# %% tags=["hide-input"]
no_size = "the formula is a table of winners, which has no size to scale"
none_wrong = "a share of wrong cells in a small table: none is allowed"
toll_claim = Claim(
    id="prediction/model-errors",
    says=r"Independent errors of the network move the end of the data method "
    r"less than that of the noise method with 8, 10, 12, 20 and 40 steps, "
    r"and more with 5 steps unless $\lambda = 0$ ($\lambda = 0, 0.01, 1$; "
    r"$s = 80$ to $0.02$, published weights).",
    papers=("104",),
    kind="exact",
    formula=only_few,
    controls=toll_slips,
    tol=9e-5,
    because=none_wrong,
    measure=differs(data_suffers),
    scale=no_size,
)
check(toll_claim)

# %% [markdown]
r"""
So the factor in "an error of the noise is $s$ times as large in the data" decides
nothing: a step to $t$ gives the two the weights $1 - t/s$ and $t - s$, which undo it.
What decides is how the method extrapolates.

## And with few steps?

All constants above are limits. Nothing but [the recursion](#eq-prediction-angles)
speaks about three or ten steps. We know one inequality for any $h$: data ends wider
than noise prediction [after one step](#eq-prediction-gap). With few steps DDIM and the
two-step methods end too narrow, and wider is better. With more, the data
method ends too wide, and it depends on the weights who wins. The claim is a table of
five variances and eight numbers of steps.
"""

# %%
five = tensor([0.01, 0.1, 1.0, 10.0, 100.0])


def nearer(n, names):
    """For each mode: whether the first method is nearer to one."""
    s = levels(80.0, 0.002, n)
    flow = chains.flow_factor(ve, five, s[0], s[-1])
    d, e = (chains.gain(makers[k](s), ve, five) / flow - 1 for k in names)
    return d.abs() < e.abs()


sure = [3, 4, 5, 9, 10]  # of steps, for the integrated weights
few_seen = torch.stack(
    [nearer(n, ("2M", "twin")) for n in range(3, 11)]
    + [nearer(n, ("data", "noise")) for n in sure]
)
few_rule = torch.ones(13, 5, dtype=torch.bool)
few_rule[-2:] = False


# %% tags=["hide-input"]
few_slips = {
    "data prediction always wins": few_rule | True,
    "noise prediction always wins": few_rule & False,
    "the pairs of weights exchanged": few_rule.flip(0),
    "noise wins as soon as it can, at 5 steps": few_rule
    & (torch.arange(13) != 10)[:, None],
}

# %% tags=["hide-input"]
few_claim = Claim(
    id="prediction/few-steps",
    says=r"From $s = 80$ to $0.002$ with 3 to 10 steps DPM-Solver++ 2M ends "
    r"nearer to the true spread than its noise twin. With integrated weights "
    r"the data method does so with 3 to 5 steps, and the noise method with 9 "
    r"and 10 ($\lambda = 0.01, 0.1, 1, 10, 100$).",
    papers=("104",),
    kind="exact",
    formula=few_rule,
    controls=few_slips,
    tol=9e-5,
    because=none_wrong,
    measure=differs(few_seen),
    scale=no_size,
)
check(few_claim)

# %% [markdown]
r"""
## And if the data are not Gaussian?

On the line a sampler is a map; where it increases, the $W_2$ distance of its law from
the exact one is the root mean square of the difference between the sampler's end and
the exact end, which is the monotone map between the laws. Two mixtures, from $s = 80$
to $0.02$ with DDIM's start and published weights: the pair of narrow, uneven modes of
the first section, and an even pair at $\pm1$ with variance $\frac12$. On every Gaussian
mode data prediction would win in small steps. Look at the claim:
it does on the first mixture and does not on the second, and with five steps both
answers turn round.
"""

# %%
broad = laws.mixture(tensor([[-1.0], [1.0]]), 0.5, tensor([0.5, 0.5]))
laps = (5, 10, 20, 40)
quantiles = (torch.arange(200, dtype=torch.float64) + 0.5) / 200


def ends(world):
    """W2 of the two methods from the exact law, on 200 quantiles: (4, 2)."""
    first, last = world.law(80.0), world.law(0.02)
    x = laws.quantile(first, quantiles).reshape(-1, 1)
    exact, out = laws.monotone(first, last, x), []
    fields = (("denoise", world.denoise), ("noise", world.noise))
    for n, (p, F) in itertools.product(laps, fields):
        y = solvers.solve(two_step(levels(80.0, 0.02, n), p), F, x)
        assert (y.diff(dim=0) > 0).all()
        out.append(((y - exact) ** 2).mean().sqrt())
    return torch.stack(out).reshape(4, 2)


# %%
meetings = [worlds.World(ve, law) for law in (pair, broad)]
gaps = torch.stack([ends(w) for w in meetings])
won_by_data = gaps[..., 0] < gaps[..., 1]
turned_round = torch.tensor([[0, 1, 1, 1], [1, 0, 0, 0]]) == 1

# %% tags=["hide-input"]
mixture_slips = {
    "the Gaussian theorem: data always": turned_round | True,
    "noise always": turned_round & False,
    "the law does not matter": turned_round[:1].expand(2, 4),
    "the number of steps does not matter": turned_round[:, 1:2],
}

# %% tags=["hide-input"]
mixture_claim = Claim(
    id="prediction/mixtures",
    says=r"DPM-Solver++ 2M with DDIM's start ends nearer in $W_2$ than its "
    r"noise twin with 10, 20 and 40 steps and not with 5 on two uneven "
    r"narrow modes ($-1, 1.2$, variance 0.06); on two even broad modes ($\pm "
    r"1$, variance 0.5) it is the other way round ($s = 80$ to $0.02$).",
    papers=("104",),
    kind="exact",
    formula=turned_round,
    controls=mixture_slips,
    tol=9e-5,
    because=none_wrong,
    measure=differs(won_by_data),
    scale=no_size,
)
check(mixture_claim)

# %% mystnb={"figure": {"caption": "Noise error over data error against the number of steps (published weights, $s = 80$ to $0.02$): above 1 data prediction is better. Grey: a Gaussian of variance 1.", "name": "fig-prediction-mixtures"}, "image": {"alt": "Three curves around the level one. The grey Gaussian curve stays above one and tends to it. The uneven pair starts below one and rises above it. The broad pair starts far above one and falls below it for good."}}
figure, axes = figures.canvas("The winner depends on the law")
gauss = ends(worlds.World(ve, laws.gaussian(tensor([0.0]), 1.0)))
names = ("Gaussian", "uneven, narrow", "even, broad")
tints = (figures.EXACT, figures.LEARNED, figures.SECOND)
for e, name, tint in zip((gauss, *gaps), names, tints, strict=True):
    axes.loglog(laps, e[:, 1] / e[:, 0], "o-", color=tint, ms=4)
    figures.label_line(axes, 40, e[-1, 1] / e[-1, 0], name, tint)
axes.axhline(1, color=figures.NOISE, lw=0.8)
axes.set(xlabel="steps", ylabel="noise / data", xlim=(4.7, 41))
axes.set_xticks([5, 10, 20, 40], ["5", "10", "20", "40"])
axes.set_yticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
axes.minorticks_off()
plt.show()

# %% [markdown]
r"""
## What do statements in print rest on?

"Data prediction is better" is said with at least five meanings. It is worth asking
which one is meant.

- *At first order*: there is no difference, for any law. A comparison of DDIM with DDIM
shows the two networks, not the two samplers.
- *By entropy or variance of the reverse step*: [this number](#eq-prediction-total)
belongs to the data, not to the prediction. An argument that derives the preference from
it has put something else in: a Gaussian of the wrong variance, or errors of unequal
size in the two networks.
- *By discretisation on Gaussians, DDIM's start*: true in the limit, on every range,
and partly owed to the starter. With an exact first step it fails on nearly
half of the ranges we drew. From pure noise to clean data the errors are equal and opposite, and a
change of $z$ by $h/8$ matters more than the choice.
- *With few steps*: true for published weights on the modes we tried, false for
the integrated ones with nine and ten steps. Compare two samplers and you have
compared two pairs of weights.
- *By stability*: true for steps beyond $h = \log 3$ downwards, and a matter of the
variable in which one extrapolates, not of the prediction. Thresholding, which clips $D$
to the range of the pixels, is available where $D$ is at hand, in both.

## Break it

- In `noise_won` let the first step always be exact. `prediction/who-wins` fails in its
second half: the theorem "data always wins" needs the bad starter.
- Give `mixed` the share of one range on another. The error is of order $h^2$
again.
- Move the broad pair of the last claim to $\pm 0.1$. It is then nearly a Gaussian,
and data prediction wins again.

## What this does not show

The winners on mixtures are measurements on two laws; we have no criterion for a general
law. The errors in the network were independent and equal at all levels, which
those of a trained network are not. EVODiff chooses its coefficients from the data of a
run, state by state, and reports gains for image networks; nothing here measures that,
and a common $z$ that depends on $h$ alone is not its method. Guidance, where the field
is no score of a law, is not treated. And a standard deviation is not a picture: the
best $z$ for a spectrum is not the best for the eye.

## Exercises

**1.** How many nats does a step from `s` down to `t` keep: what is the mutual
information of $y_t$ and $y_s$ on a mode of variance `lam`?
"""

# %%
steps_asked = {
    "lam": tensor([0.1, 1.0, 5.0, 1.0]),
    "s": tensor([1.0, 2.0, 0.7, 10.0]),
    "t": tensor([0.5, 1.9, 0.1, 0.2]),
}


def information(lam, s, t):
    """By the determinant of the joint covariance."""
    out = []
    for v, high, low in zip(lam, s, t, strict=True):
        a, b = v + high**2, v + low**2
        S = tensor([[a, b], [b, b]])
        out.append((a.log() + b.log() - torch.linalg.slogdet(S)[1]) / 2)
    return torch.stack(out)


# %% tags=["hide-input"]
information_hints = {
    "the one half is missing": lambda lam, s, t: (
        (lam + s**2) / (s**2 - t**2)
    ).log(),
    "the sign: information is not negative": lambda lam, s, t: (
        ((s**2 - t**2) / (lam + s**2)).log() / 2
    ),
    "this is the entropy that is left, without its constant": (
        lambda lam, s, t: (
            ((lam + t**2) * (s**2 - t**2) / (lam + s**2)).log() / 2
        )
    ),
    "divide by v, not by beta-tilde": lambda lam, s, t: (
        ((lam + t**2) * s**2 / (t**2 * (s**2 - t**2))).log() / 2
    ),
}

# %% tags=["hide-input"]
information_exercise = Claim(
    id="prediction/information-exercise",
    says="the mutual information of two levels of a mode",
    papers=("104",),
    kind="exact",
    formula=None,
    controls=information_hints,
    tol=1e-12,
    because="float64",
    at=steps_asked,
    truth=information,
)


# %% tags=["solution", "hide-cell"]
def kept(lam, s, t):
    """H(y_t) - H(y_t | y_s) = log((lam + t^2) / v) / 2."""
    return ((lam + s**2) / (s**2 - t**2)).log() / 2


# %%
attempt(information_exercise, kept)

# %% [markdown]
r"""
**2.** *Derive.* On a grid of equal angles, as in [the angle calculus](angles.ipynb),
every step turns by the same `turn`. Write the exact coefficient $z_D^*$ as a function of
the angle `theta` that the step leaves from and of `turn`, without a difference of
nearly equal numbers. (What is it at small `turn`?)
"""

# %%
corners = {
    "theta": tensor([0.3, 0.8, 1.2, 0.6]),
    "turn": tensor([0.1, 0.3, 0.2, 0.01]),
}


def star_by_solving(theta, turn):
    """z from the step itself, which is affine in z."""
    s, t, p = theta.tan(), (theta - turn).tan(), (theta + turn).tan()
    psi = [(1 + v**2).sqrt() for v in (p, s, t)]
    D = [1 / w for w in psi[:2]]
    plain = t / s * psi[1] + (1 - t / s) * D[1]
    return (psi[2] - plain) / ((1 - t / s) * (D[1] - D[0]))


# %% tags=["hide-input"]
equal_hints = {
    "this is the noise's": lambda theta, turn: (
        theta.cos() / (2 * (turn / 2).cos() * (theta + turn / 2).cos())
    ),
    "the previous angle is larger": lambda theta, turn: (
        theta.sin() / (2 * (turn / 2).cos() * (theta - turn / 2).sin())
    ),
    "the tangent has a cosine": lambda theta, turn: (
        theta.sin() / (2 * (theta + turn / 2).sin())
    ),
    "only its limit": lambda theta, turn: 0 * theta + 0.5,
}

# %% tags=["hide-input"]
equal_exercise = Claim(
    id="prediction/equal-angles-exercise",
    says="the exact coefficient on a grid of equal angles",
    papers=("104",),
    kind="exact",
    formula=None,
    controls=equal_hints,
    tol=1e-9,
    because="the truth is a ratio of small differences",
    at=corners,
    truth=star_by_solving,
)


# %% tags=["solution", "hide-cell"]
def equal_star(theta, turn):
    """cos s - cos p = 2 sin((s + p)/2) sin((p - s)/2) cancels the sine."""
    return theta.sin() / (2 * (turn / 2).cos() * (theta + turn / 2).sin())


# %%
attempt(equal_exercise, equal_star)

# %% [markdown]
r"""
**3.** *Experiment.* Run the data method **up**, from data to noise, in equal ratios
of the level, in a mode whose variance is much larger than the noise. An error at the
first state comes back in every step. From which ratio `t / s` on does it grow, as
a function of the weight `z`?
"""

# %%
wide_world = paths.edm(2e4)


def echo_grows(ratio, z):
    """The growth of the response per step, seen in the package's sweep."""
    s = torch.logspace(0, 9, 10, base=ratio, dtype=torch.float64) * 1e-3
    table = two_step(s, "denoise", z)
    R = chains.response(table, wide_world, tensor([1e16]))[:, 0]
    move = R[1:-1].diff().abs()
    return (move[0] / move[-1]) ** (1 / (len(move) - 1))


def threshold_missed(answer):
    """How far the growth is from one at the ratio that was given."""
    return max(abs(echo_grows(answer(z), z) - 1) for z in (0.3, 0.5, 0.8))


# %% tags=["hide-input"]
up_exercise = Claim(
    id="prediction/upward-exercise",
    says="the ratio above which the data method echoes on the way up",
    papers=("104",),
    kind="exact",
    formula=None,
    controls={
        "this is q, not the ratio": lambda z: 1 / z,
        "the ratio, not its logarithm": lambda z: math.log(1 + 1 / z),
        "right for one z only": lambda z: 3.0,
        "the other sign of the rise": lambda z: 1 / z - 1 + 1e-3,
    },
    tol=1e-4,
    because="the variance is large, not infinite",
    measure=threshold_missed,
)


# %% tags=["solution", "hide-cell"]
def threshold(z):
    """q = z (ratio - 1) = 1."""
    return 1 + 1 / z


# %%
attempt(up_exercise, threshold)

# %% [markdown]
r"""
## Summary

| what | formula | in `diffkit` |
|---|---|---|
| data, from $u_0$ to $u_1$ | $h^2 [(6u - 5u^2)/16 + \beta u/2]$ | `tables.dpmpp`, $\beta = 0$ |
| noise | $h^2 [(4u - 5u^2)/16 + \beta u/2]$ | `tables.exponential`, $\beta = -\frac1{12}$ |
| DDIM's first step | $-\frac12 h^2 u_0 (1 - u_0)$ more | |
| noise wins | exact start and $u_0(1 - u_0) > u_1(1 - u_1)$ | |
| exact step | $z_D^* = \tan\frac\Delta2 \sin\theta_s/(\cos\theta_s - \cos\theta_p)$ | |
| echo of an error | $q = z\,(e^h - 1)$ per step | `chains.response` |

**Where next.** [The angle calculus](angles.ipynb) finds the best grid for a mode;
[exponential integrators](exponential.ipynb) derive the weights used here. What few
steps do to two modes is the subject of [the gap](../mixtures/gap.ipynb).
"""
