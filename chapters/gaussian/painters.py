# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# Painters: outline first, details later

If the data are Gaussian, a diffusion model can be solved with a pencil: every
image it makes is one line of algebra. We derive that line, let it paint a
handwritten digit, and find where the picture of "a rotation from noise to data"
is right, and by how much it is off.

- **You need** eigenvectors, the chain rule, and
[how to read a claim](../start/reading.ipynb).
- **You get** the score, the flow, the guess, the likelihood and the order of
emergence in closed form, for every schedule, zero variances included.
- **Paper** 048, Wang and Vastola {cite}`wang2023painters,wang2024unreasonable`.
- **Claims** on digits and on made-up spectra, all named `painters/...`.
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
import sympy
import torch
from torch.distributions import MultivariateNormal

from diffkit import (
    chains,
    data,
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

# %% [markdown]
r"""
Our data are the 1,797 handwritten digits that come with scikit-learn
{cite}`pedregosa2011sklearn,alpaydin1998digits`, $8 \times 8$ pixels from $-1$
(paper) to $1$ (ink). In most of this chapter we keep only their mean $m$ and
covariance $C$ and pretend that digits are Gaussian. Three pixels are never inked,
so three eigenvalues of $C$ are exactly zero: a case that every formula below has
to survive.
"""

# %% tags=["setup"]
pixels, labels = data.digits()
law = laws.fit_gaussian(pixels)
m, C, lam = law.mean(), law.cov(), law.covariance.spectrum[0]
U = law.covariance.basis[0]
{"eigenvalues": len(lam), "zero": int((lam == 0).sum())}

# %% [markdown]
r"""
## What is the best guess if the data are Gaussian?

Let $x_0 \sim \mathcal N(m, C)$ in $\mathbb R^d$, where $C$ is symmetric and
positive semi-definite, and let noise be mixed in along a path

$$
x_t = a_t x_0 + g_t z, \qquad z \sim \mathcal N(0, I) \text{ independent of } x_0,
\qquad a_0 = 1,\ g_0 = 0.
$$ (eq-path)

A sum of independent Gaussians is Gaussian, so $x_t \sim \mathcal N(a_t m, C_t)$
with $C_t = a_t^2 C + g_t^2 I$, which is invertible as soon as $g_t > 0$. The
score is the gradient of $-\frac12 (x - a_t m)^\top C_t^{-1} (x - a_t m)$:

$$
s(x, t) = -C_t^{-1} (x - a_t m).
$$ (eq-score)

For the guess, put $K = a_t C C_t^{-1}$ and look at the remainder
$r = (x_0 - m) - K (x_t - a_t m)$. Since $\operatorname{Cov}(x_0, x_t) = a_t C$,
its covariance with $x_t$ is $a_t C - K C_t = 0$. Jointly Gaussian and
uncorrelated means independent, so
$\mathbb E[r \mid x_t] = \mathbb E[r] = 0$, and the **denoiser** is

$$
D(x, t) = \mathbb E[x_0 \mid x_t = x] = m + a_t C\, C_t^{-1} (x - a_t m).
$$ (eq-denoiser)

Now take the eigenvectors $C u_k = \lambda_k u_k$. Everything above is a function
of $C$, so it acts on each direction separately: the score multiplies the
coordinate $y_k = u_k^\top (x - a_t m)$ by $-1/\psi_k^2$, the denoiser by
$a_t \lambda_k / \psi_k^2$, where

$$
\psi_k(t) = \sqrt{a_t^2 \lambda_k + g_t^2}
$$ (eq-psi)

is the standard deviation of $y_k$. A direction with $\lambda_k = 0$ is not
special: $\psi_k = g_t$, and the guess there is the mean.

The package evaluates these formulas in `worlds.World`. The independent route is
automatic differentiation of torch's own normal density, which knows nothing of
eigenvectors.
"""

# %% tags=["setup"]
three = (paths.vp(), paths.edm(), paths.one_sided())
three[0]

# %% [markdown]
r"""
That is the variance-preserving path; its code and its derivatives come from the
expression shown. We look at three times on each of the three paths, at points
drawn from the world itself.
"""

# %%
eye = torch.eye(64, dtype=torch.float64)
spots = [
    (path, t, worlds.World(path, law).draw(20, t, shapes.rng(i))[2])
    for i, path in enumerate(three)
    for t in (0.1 * path.T, 0.5 * path.T, 0.99 * path.T)
]


def by_autograd(path, t, x):
    """The score, by differentiating torch's normal log-density."""
    c, x = path.at(t), x.clone().requires_grad_()
    normal = MultivariateNormal(c.a * m, c.a**2 * C + c.g2 * eye)
    return torch.autograd.grad(normal.log_prob(x).sum(), x)[0]


def everywhere(f):
    """f(path, t, x) at all spots, rescaled by g so that all weigh alike."""
    return torch.stack([path.at(t).g * f(path, t, x) for path, t, x in spots])


# %% [markdown]
r"""
Each wrong formula below differs by one symbol: $g$ for $g^2$, $a$ for $a^2$, a
mean that was not scaled, a sign.
"""


# %% tags=["hide-input"]
def score_with(cov, scale=lambda c: c.a, sign=-1):
    """The score with another covariance or another scale of the mean."""

    def score(path, t, x):
        c = path.at(t)
        off = (x - scale(c) * m).mT
        return sign * torch.linalg.solve(cov(c), off).mT

    return score


score_slips = {
    "$g$ for $g^2$": score_with(lambda c: c.a**2 * C + c.g * eye),
    "$a$ for $a^2$": score_with(lambda c: c.a * C + c.g2 * eye),
    "the mean not scaled by $a$": score_with(
        lambda c: c.a**2 * C + c.g2 * eye, lambda c: 1
    ),
    "the sign": score_with(lambda c: c.a**2 * C + c.g2 * eye, sign=1),
}

# %% tags=["hide-input"]
score_claim = Claim(
    id="painters/score",
    says=r"For $x_0 \sim \mathcal N(m, C)$, $C$ singular or not, and $x_t = "
    r"a_t x_0 + g_t z$ with $g_t > 0$, the score is $-(a_t^2 C + g_t^2 "
    r"I)^{-1}(x - a_t m)$ (digits; VP, EDM and straight path).",
    papers=("048",),
    kind="exact",
    formula=lambda: everywhere(
        lambda path, t, x: worlds.World(path, law).score(x, t)
    ),
    controls={k: lambda f=f: everywhere(f) for k, f in score_slips.items()},
    tol=1e-12,
    because="float64 against a Cholesky factor of condition below 1e4",
    truth=lambda: everywhere(by_autograd),
)
check(score_claim)

# %% [markdown]
r"""
A remark for large images, where $C$ has a small rank $r$ and nobody wants a
$d \times d$ inverse. At $a = 1$, $g = \sigma$ the inverse has the eigenvalues
$1/(\lambda + \sigma^2) = \sigma^{-2} \bigl(1 - \lambda/(\lambda + \sigma^2)\bigr)$,
and the bracket is $1$ wherever $\lambda = 0$. So the $r$ eigenvectors with
positive variance, the columns of $U_r$, are enough:

$$
s(x, \sigma) = \frac{1}{\sigma^2} \bigl(I - U_r \tilde\Lambda U_r^\top\bigr)
(m - x), \qquad \tilde\Lambda = \operatorname{diag}
\frac{\lambda_k}{\lambda_k + \sigma^2}.
$$ (eq-low-rank)
"""

# %%
U_r, lam_r = U[:, lam > 0], lam[lam > 0]
edm_spots = [(path, t, x) for path, t, x in spots if path.name == "EDM"]


def low_rank(shrink, identity=1.0):
    """sigma s at the EDM spots, with another shrinkage of the span."""
    out = []
    for _, sigma, x in edm_spots:
        off = m - x
        span = (shrink(lam_r, sigma) * (off @ U_r)) @ U_r.mT
        out.append((identity * off - span) / sigma)
    return torch.stack(out)


# %% tags=["hide-input"]
low_rank_slips = {
    "$\\sigma$ for $\\sigma^2$": lambda: low_rank(lambda v, s: v / (v + s)),
    "only the span, no identity": lambda: low_rank(
        lambda v, s: v / (v + s**2), identity=0.0
    ),
    "the sign inside the bracket": lambda: low_rank(
        lambda v, s: -v / (v + s**2)
    ),
}

# %% tags=["hide-input"]
low_rank_claim = Claim(
    id="painters/low-rank",
    says=r"With $U_r$ the eigenvectors of positive variance, the score of "
    r"the EDM world is $\sigma^{-2} (I - U_r \tilde\Lambda U_r^\top)(m "
    r"- x)$, $\tilde\Lambda = \operatorname{diag} \lambda_k / "
    r"(\lambda_k + \sigma^2)$.",
    papers=("048",),
    kind="exact",
    formula=lambda: low_rank(lambda v, s: v / (v + s**2)),
    controls=low_rank_slips,
    tol=1e-12,
    because="float64; the noise levels are 8 and more",
    truth=lambda: torch.stack(
        [sigma * by_autograd(path, sigma, x) for path, sigma, x in edm_spots]
    ),
)
check(low_rank_claim)

# %% [markdown]
r"""
The guess can be measured against the score: by Tweedie's formula
{cite}`efron2011tweedie` it is $D = (x + g^2 s)/a$, for any law.
"""


# %%
def guess_with(gain, shift=1.0):
    """m + gain(C) (x - a m), the gain given for each eigenvalue."""

    def guess(path, t, x):
        c = path.at(t)
        y = (x - shift * c.a * m) @ U
        return m + (gain(c, lam) * y) @ U.mT

    return guess


def tweedie(path, t, x):
    """(x + g^2 score) / a with the score by automatic differentiation."""
    c = path.at(t)
    return (x + c.g2 * by_autograd(path, t, x)) / c.a


# %% tags=["hide-input"]
denoiser_slips = {
    name: lambda f=f: everywhere(f)
    for name, f in {
        "$g$ for $g^2$": guess_with(
            lambda c, v: c.a * v / (c.a**2 * v + c.g)
        ),
        "no $a$ in the gain": guess_with(lambda c, v: v / (v + c.g2)),
        "the mean forgotten in $x - a m$": guess_with(
            lambda c, v: c.a * v / (c.a**2 * v + c.g2), shift=0.0
        ),
        "one mean eigenvalue for all": guess_with(
            lambda c, v: c.a * v.mean() / (c.a**2 * v.mean() + c.g2)
        ),
    }.items()
}

# %% tags=["hide-input"]
denoiser_claim = Claim(
    id="painters/denoiser",
    says=r"In the same world $\mathbb E[x_0 \mid x_t = x] = m + \sum_k "
    r"\frac{a_t \lambda_k}{a_t^2 \lambda_k + g_t^2}\, u_k u_k^\top (x "
    r"- a_t m)$, with $\lambda_k, u_k$ the eigenpairs of $C$.",
    papers=("048",),
    kind="exact",
    formula=lambda: everywhere(
        lambda path, t, x: worlds.World(path, law).denoise(x, t)
    ),
    controls=denoiser_slips,
    tol=1e-11,
    because="float64; dividing by a costs two digits at the noise end",
    truth=lambda: everywhere(tweedie),
)
check(denoiser_claim)

# %% [markdown]
r"""
## Can the flow be solved?

The law of $x_t$ is carried by the **probability flow** $\dot x = u(x, t)$ with
$u(x, t) = \mathbb E[\dot a_t x_0 + \dot g_t z \mid x_t = x]$
{cite}`song2021sde`. To see why, take any smooth test function $h$: the chain rule
and conditioning on $x_t$ give
$\frac{d}{dt} \mathbb E\, h(x_t) = \mathbb E[\nabla h(x_t) \cdot (\dot a x_0 +
\dot g z)] = \mathbb E[\nabla h(x_t) \cdot u(x_t, t)]$, which is what moving along
$u$ does to the average of $h$. So a point that starts with the law of $x_T$ and
follows $u$ has the law of $x_t$ at every later moment.

In direction $u_k$ the conditional means are linear in $y_k$: from
[the denoiser](#eq-denoiser)
$\mathbb E[u_k^\top (x_0 - m) \mid x_t] = a \lambda_k y_k /
\psi_k^2$, and in the same way $\mathbb E[u_k^\top z \mid x_t] = g\, y_k /
\psi_k^2$. Since $\dot y_k = u_k^\top(\dot x - \dot a m)$,

$$
\dot y_k = \frac{a \dot a \lambda_k + g \dot g}{a^2 \lambda_k + g^2}\, y_k
         = \frac{\dot \psi_k}{\psi_k}\, y_k,
$$ (eq-mode)

because $2 \psi_k \dot \psi_k = \frac{d}{dt}(a^2 \lambda_k + g^2)$. So
$y_k / \psi_k$ does not move at all, and with $c_k = u_k^\top (x_T - a_T m)$ the
whole trajectory is

$$
x_t = a_t m + \sum_k \frac{\psi_k(t)}{\psi_k(T)}\, c_k u_k.
$$ (eq-flow)

The only singular case is $\psi_k = 0$, that is $\lambda_k = 0$ at $g = 0$: the
coordinate arrives at $0$, and no flow leaves from there. First the mode equation,
for arbitrary functions $a(t)$, $g(t)$. The equation is linear, so a wrong
constant factor would pass; the claim asks for the starting value as well.
"""

# %%
tau, end, v = sympy.symbols("t T lambda", positive=True)
a, g = sympy.Function("a")(tau), sympy.Function("g")(tau)


def residuals(y):
    """Of the mode equation, and of y(T) = 1."""
    rate = a * a.diff(tau) * v + g * g.diff(tau)
    moving = y.diff(tau) - rate / (a**2 * v + g**2) * y
    return sympy.Matrix([moving, y.subs(tau, end) - 1])


def factor(psi):
    """psi(t) / psi(T)."""
    return psi / psi.subs(tau, end)


# %% tags=["hide-input"]
mode_slips = {
    "no square root": factor(a**2 * v + g**2),
    "$a$ for $a^2$": factor(sympy.sqrt(a * v + g**2)),
    "$\\lambda^2$ for $\\lambda$": factor(sympy.sqrt(a**2 * v**2 + g**2)),
}

# %% tags=["hide-input"]
mode_claim = Claim(
    id="painters/mode-equation",
    says=r"For any smooth $a, g$ and any $\lambda$, $y = \psi(t)/\psi(T)$ "
    r"with $\psi = \sqrt{a^2 \lambda + g^2}$ solves $\dot y = \frac{a "
    r"\dot a \lambda + g \dot g}{a^2 \lambda + g^2}\, y$, $y(T) = 1$.",
    papers=("048",),
    kind="symbolic",
    formula=factor(sympy.sqrt(a**2 * v + g**2)),
    controls=mode_slips,
    measure=residuals,
)
check(mode_claim)

# %% [markdown]
r"""
Now for the digits. We start at the noise end of three paths and run the method of
Dormand and Prince {cite}`dormand1980family`, of order 5, along the exact velocity,
in 80 steps of equal ratio, down to a noise-to-signal ratio $g/a$ of $0.01$, with
all 64 directions, the three dead ones included. The map [above](#eq-flow) must arrive at the same points.
"""

# %%
grids = [tables.by_nsr(path, 80.0, 0.01, 80) for path in three]
starts = [
    worlds.World(path, law).law(ts[0]).sample(8, shapes.rng(1))
    for path, ts in zip(three, grids, strict=True)
]
lines = [
    solvers.solve(
        tables.dormand_prince(ts),
        worlds.World(path, law).velocity,
        x,
        keep=True,
    )
    for path, ts, x in zip(three, grids, starts, strict=True)
]


def ends(carry):
    """The end points carry(path, x, t, s) on the three paths."""
    runs = zip(three, starts, grids, strict=True)
    return torch.stack([carry(p, x, ts[0], ts[-1]) for p, x, ts in runs])


# %%
def flow_with(psi, shift=1.0):
    """The flow with another psi(c, lambda), or another share of the mean."""

    def carry(path, x, t, s):
        start, stop = path.at(t), path.at(s)
        y = (x - shift * start.a * m) @ U
        return stop.a * m + (psi(stop, lam) / psi(start, lam) * y) @ U.mT

    return carry


def no_prior(path, x, t, s):
    """The flow with psi(T) replaced by g(T): noise without data in it."""
    start, stop = path.at(t), path.at(s)
    y = (x - start.a * m) @ U / start.g
    return stop.a * m + ((stop.a**2 * lam + stop.g2).sqrt() * y) @ U.mT


# %% tags=["hide-input"]
flow_slips = {
    name: lambda f=f: ends(f)
    for name, f in {
        "$g$ for $g^2$": flow_with(lambda c, v: (c.a**2 * v + c.g).sqrt()),
        "no square root": flow_with(lambda c, v: c.a**2 * v + c.g2),
        "the data's share of $\\psi(T)$ forgotten": no_prior,
        "the mean forgotten at the start": flow_with(
            lambda c, v: (c.a**2 * v + c.g2).sqrt(), shift=0.0
        ),
    }.items()
}

# %% tags=["hide-input"]
flow_claim = Claim(
    id="painters/flow-map",
    says=r"For Gaussian data the probability flow is $x_s = a_s m + \sum_k "
    r"\frac{\psi_k(s)}{\psi_k(t)}\, u_k u_k^\top (x_t - a_t m)$, "
    r"$\psi_k = \sqrt{a^2 \lambda_k + g^2}$, zero eigenvalues included "
    r"(digits; VP, EDM and straight path, $g/a$ from 80 to 0.01).",
    papers=("048",),
    kind="exact",
    formula=lambda: ends(lambda p, x, t, s: chains.carry(law, p, x, t, s)),
    controls=flow_slips,
    tol=1e-8,
    because="order 5 in 80 steps of ratio 1.12 is good to a few 1e-10",
    truth=lambda: torch.stack([line[-1] for line in lines]),
)
check(flow_claim)

# %% [markdown]
r"""
The mean forgotten at the start is a small mistake, because at $g/a = 80$ the mean
is small beside the noise; it is still far outside what an exact ruler allows.

## What does the painter see along the way?

Put [the flow](#eq-flow) into [the denoiser](#eq-denoiser): along the flow line through $x_T$ the
guess is

$$
D(x_t, t) = m + \sum_k \frac{a_t \lambda_k}{\psi_k(t)\, \psi_k(T)}\, c_k u_k .
$$ (eq-endpoint)

Two things can be read off. The factor vanishes where $\lambda_k = 0$: the guess
never leaves the plane on which the data live, not even at the first step. And
for $\lambda_k > 0$ the factor grows from nearly $0$ to
$\sqrt{\lambda_k}/\psi_k(T)$, each direction at its own time. Let us watch. We take
a real digit, run the flow backwards into noise, and then forwards again.
"""

# %%
vp = three[0]
ratios = [64.0, 8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.1, 0.02]
times = vp.when(torch.tensor(ratios, dtype=torch.float64))
digit = pixels[23:24]
noise_end = chains.carry(law, vp, digit, times[-1], times[0])
states = [chains.carry(law, vp, noise_end, times[0], t) for t in times]
guesses = [chains.endpoint(law, vp, noise_end, times[0], t) for t in times]

# %% mystnb={"figure": {"caption": "A real digit on its flow line in the Gaussian world, from noise (left) to data (right); above each column the noise-to-signal ratio $g/a$. Top: the state $x_t$. Bottom: the guess $D(x_t, t)$.", "name": "fig-painted"}, "image": {"alt": "Two rows of nine small pictures. The noisy states in the top row show a digit only in the last columns; the guesses in the bottom row go from a grey blur over a soft outline to the sharp digit."}}
figures.strip(
    [torch.cat(states), torch.cat(guesses)],
    ["state", "guess"],
    [f"{r:g}" for r in ratios],
    "The guess has the outline long before the state does",
)
plt.show()

# %% [markdown]
r"""
Read the bottom row from the left: first the average digit, then a soft outline,
then strokes, and the last details only when the ratio is far below one. The claim
compares [the guess on a line](#eq-endpoint) with the denoiser evaluated on the numerically solved
flow lines of the last section, at nine moments of each.
"""


# %%
def along(guess):
    """guess(path, x_T, t_T, t, x_t) at nine moments of all lines."""
    out = []
    for path, ts, x, line in zip(three, grids, starts, lines, strict=True):
        for n in range(0, 81, 10):
            out.append(guess(path, x, ts[0], ts[n], line[n]))
    return torch.stack(out)


guessed = along(lambda p, x, T, t, x_t: worlds.World(p, law).denoise(x_t, t))


# %%
def guess_along(amplitude):
    """m + sum_k amplitude(c_t, c_T, lambda_k) c_k u_k."""

    def guess(path, x, t_end, t, _):
        c, c_end = path.at(t), path.at(t_end)
        y = (x - c_end.a * m) @ U
        return m + (amplitude(c, c_end, lam) * y) @ U.mT

    return guess


def psi(c, v):
    """The standard deviation of a mode."""
    return (c.a**2 * v + c.g2).sqrt()


# %% tags=["hide-input"]
endpoint_slips = {
    name: lambda f=f: along(guess_along(f))
    for name, f in {
        "$\\psi(t)^2$ for $\\psi(t)\\psi(T)$": lambda c, e, v: (
            c.a * v / psi(c, v) ** 2
        ),
        "$\\sqrt\\lambda$ for $\\lambda$": lambda c, e, v: (
            c.a * v.sqrt() / (psi(c, v) * psi(e, v))
        ),
        "no $a$": lambda c, e, v: v / (psi(c, v) * psi(e, v)),
    }.items()
}

# %% tags=["hide-input"]
endpoint_claim = Claim(
    id="painters/endpoint",
    says=r"Along the flow line through $x_T$ the denoiser is $D(x_t, t) = m "
    r"+ \sum_k \frac{a_t \lambda_k}{\psi_k(t) \psi_k(T)} c_k u_k$, "
    r"with $c_k = u_k^\top (x_T - a_T m)$.",
    papers=("048",),
    kind="exact",
    formula=lambda: along(
        lambda p, x, T, t, _: chains.endpoint(law, p, x, T, t)
    ),
    controls=endpoint_slips,
    tol=1e-8,
    because="as for the flow map",
    truth=guessed,
)
check(endpoint_claim)

# %% [markdown]
r"""
The second statement, that the guess stays on the plane of the data, is exact at
every noise level. Its plausible enemy is a habit: adding a small multiple of the
identity to an estimated covariance "for stability" lifts the guess off the plane.
"""

# %% tags=["hide-input"]
dead = U[:, lam == 0]


def leaves(guess):
    """How far the guess is from m along the three dead directions."""
    at = along(lambda p, x, T, t, x_t: guess(p, x_t, t)) - m
    return (at @ dead).abs().max() / at.abs().max()


def ridge(p, x, t):
    """The guess with 1e-3 I added to the covariance."""
    return worlds.World(p, laws.gaussian(m, C + 1e-3 * eye)).denoise(x, t)


span_slips = {
    "a ridge of 0.001 on the covariance": ridge,
    "the state $x/a$ as the guess": lambda p, x, t: x / p.at(t).a,
}

# %% tags=["hide-input"]
span_claim = Claim(
    id="painters/span",
    says="If $C$ is singular, $D(x, t) - m$ lies in the range of $C$ at "
    "every noise level and for every $x$: the guess never leaves the "
    "plane of the data.",
    papers=("048",),
    kind="exact",
    formula=lambda p, x, t: worlds.World(p, law).denoise(x, t),
    controls=span_slips,
    tol=1e-13,
    because="projections in float64",
    measure=leaves,
)
check(span_claim)

# %% [markdown]
r"""
## How likely is the image?

The flow map [above](#eq-flow) is affine, and its Jacobian has the eigenvalues
$\psi_k(t)/\psi_k(T)$. Densities are divided by the determinant of the map that
carries them, so along a flow line

$$
\log p_t(x_t) = \log p_T(x_T) - \sum_{k=1}^{d} \log \frac{\psi_k(t)}{\psi_k(T)} .
$$ (eq-logp)

All $d$ directions count. Those with $\lambda_k = 0$ give
$\log (g_t / g_T)$ each, which tends to $-\infty$ at the data end: the digits'
Gaussian has no density there, and we stop before it.
"""


# %%
def change(factor_log):
    """log p at the end of each line, from that at its start."""
    out = []
    for path, ts, x in zip(three, grids, starts, strict=True):
        world = worlds.World(path, law)
        logs = torch.log(chains.flow_factor(path, lam, ts[0], ts[-1]))
        out.append(world.log_prob(x, ts[0]) - factor_log(logs))
    return torch.stack(out)


def by_torch():
    """log p at the numerical end points, by torch's own normal density."""
    out = []
    for path, ts, line in zip(three, grids, lines, strict=True):
        c = path.at(ts[-1])
        normal = MultivariateNormal(c.a * m, c.a**2 * C + c.g2 * eye)
        out.append(normal.log_prob(line[-1]))
    return torch.stack(out)


# %% tags=["hide-input"]
density_slips = {
    "the sign of the logarithms": lambda logs: -logs.sum(),
    "variances for standard deviations": lambda logs: 2 * logs.sum(),
    "only the directions with variance": lambda logs: logs[lam > 0].sum(),
}

# %% tags=["hide-input"]
density_claim = Claim(
    id="painters/log-density",
    says=r"Along a flow line $\log p_t(x_t) = \log p_T(x_T) - \sum_k \log "
    r"\frac{\psi_k(t)}{\psi_k(T)}$, the sum over all $d$ directions.",
    papers=("048",),
    kind="exact",
    formula=lambda logs: logs.sum(),
    controls=density_slips,
    tol=1e-6,
    because="nats; end points to 1e-9, amplified by 1/g in dead pixels",
    measure=lambda f: (change(f) - by_torch()).abs().max(),
)
check(density_claim)

# %% [markdown]
r"""
For a flow that is not affine the sum becomes an integral. By the continuity
equation $\partial_t p + \nabla \cdot (p u) = 0$, along $\dot x = u$

$$
\frac{d}{dt} \log p_t(x_t) = \frac{\partial_t p + u \cdot \nabla p}{p}
= -\nabla \cdot u (x_t, t),
$$ (eq-instant)

and `solvers.flow` integrates the divergence next to the point. This is how
likelihoods are computed for trained models, and a wrong sign goes unnoticed
whenever the divergence happens to vanish. Here it does not. The spectrum is
synthetic, from $9$ down to $0$, and the wrong formulas are the ones found in
practice.
"""

# %%
spectrum = torch.tensor([9.0, 4.0, 1.0, 0.25, 0.01, 0.0]).double()
small = laws.gaussian(torch.ones(6).double(), torch.diag(spectrum))
small_world = worlds.World(paths.one_sided(), small)
fine = tables.by_nsr(small_world.path, 10.0, 0.1, 24)
noisy = small_world.law(fine[0]).sample(4, shapes.rng(2))
landed, logdet = solvers.flow(
    tables.dormand_prince(fine), small_world.velocity, noisy
)
exact_change = small_world.log_prob(noisy, fine[0]) - small_world.log_prob(
    landed, fine[-1]
)

# %% tags=["hide-input"]
ode_slips = {
    "the sign of the divergence": lambda: -logdet,
    "no divergence": lambda: torch.zeros_like(logdet),
    "the dead direction left out": lambda: (
        logdet - (fine[-1] / fine[0]).log()
    ),
}

# %% tags=["hide-input"]
ode_claim = Claim(
    id="painters/likelihood-ode",
    says=r"With $\ell = \int_t^s \nabla \cdot u(x_r, r)\, dr$ along the "
    r"flow, $\log p_t(x_t) = \log p_s(x_s) + \ell$ (spectrum 9, 4, 1, "
    r"0.25, 0.01, 0; straight path, $g/a$ from 10 to 0.1).",
    papers=("048",),
    kind="exact",
    formula=lambda: logdet,
    controls=ode_slips,
    tol=1e-6,
    because="relative; order 5 in 24 steps of ratio 1.21",
    truth=lambda: exact_change,
)
check(ode_claim)

# %% [markdown]
r"""
## Are the schedules different worlds?

Divide [the path](#eq-path) by $a_t$: $x_t / a_t = x_0 + \tilde\sigma_t z$ with
$\tilde\sigma = g/a$, the noise-to-signal ratio. This is a variance-exploding path
with the clock $\tilde\sigma$. So every path with one end is the same world, seen
through a rescaling and another clock, and in particular

$$
\frac{\psi^{\text{VP}}(t)}{\psi^{\text{VP}}(T)} \cdot \frac{a_T}{a_t}
= \sqrt{\frac{\lambda + \tilde\sigma_t^2}{\lambda + \tilde\sigma_T^2}} .
$$ (eq-same)

Whatever is said about emergence is best said in $\tilde\sigma$: then no schedule
is left in it. (At $a_T = 0$ the clock is infinite; the left side of
[this equation](#eq-same) is then a limit.)
"""

# %%
edm = paths.edm()
moments = torch.tensor([0.05, 0.3, 0.6, 0.9]).double()
variances = torch.cat(
    [torch.zeros(1).double(), torch.logspace(-2, 2, 9).double()]
)


# %% tags=["hide-input"]
def same_world(rescale=True, clock=True):
    """Flow factors of VE, from those of VP and of the straight path."""
    out = []
    for path in (paths.vp(), paths.one_sided(), paths.trig()):
        for s, t in zip(moments[:-1], moments[1:], strict=True):
            factor = chains.flow_factor(path, variances, t, s)
            ratio = path.at(t).a / path.at(s).a if rescale else 1.0
            u, v = (path.nsr(t), path.nsr(s)) if clock else (t, s)
            out.append(
                (factor * ratio, chains.flow_factor(edm, variances, u, v))
            )
    ours, theirs = map(torch.stack, zip(*out, strict=True))
    return float((ours / theirs - 1).abs().max())


same_slips = {
    "$x$ not divided by $a$": {"rescale": False, "clock": True},
    "the clock left as it was": {"rescale": True, "clock": False},
}

# %% tags=["hide-input"]
same_claim = Claim(
    id="painters/same-world",
    says=r"With $\tilde\sigma = g/a$, $\frac{\psi(t)\, a_T}{\psi(T)\, a_t} "
    r"= \sqrt{(\lambda + \tilde\sigma_t^2)/(\lambda + "
    r"\tilde\sigma_T^2)}$ on every path: in $x/a$ and on the clock "
    r"$\tilde\sigma$ all schedules are one world.",
    papers=("048",),
    kind="exact",
    formula={"rescale": True, "clock": True},
    controls=same_slips,
    tol=1e-13,
    because="ratios of square roots in float64",
    measure=lambda how: same_world(**how),
    scale="the formula is a pair of choices, which has no size to scale",
)
check(same_claim)

# %% [markdown]
r"""
## Is it a rotation?

On the path $a = \cos\varphi$, $g = \sin\varphi$ with the angle as the clock,
$dx/d\varphi = \mathbb E[-\sin\varphi\, x_0 + \cos\varphi\, z \mid x]$. Write
$N = \mathbb E[z \mid x]$ for the mean noise. Then, *for every law of the data*,

$$
x = \cos\varphi\, D + \sin\varphi\, N, \qquad
\frac{dx}{d\varphi} = \cos\varphi\, N - \sin\varphi\, D .
$$ (eq-rotation)

The state and its velocity are turned by the same angle from the pair $(D, N)$: if
$D$ and $N$ stood still, $x$ would turn in their plane like the hand of a clock.
The claim takes the 1,797 digits themselves as the law, not their Gaussian.
"""

# %% tags=["hide-input"]
trig = paths.trig()
crowd = worlds.World(trig, laws.dataset(pixels))
phases = torch.linspace(0.2, 0.95, 12).double()
seen = crowd.draw(12, phases, shapes.rng(3))[2]
phi = (torch.pi / 2 * phases).unsqueeze(-1)
D, N = crowd.denoise(seen, phases), crowd.noise(seen, phases)

rotation_slips = {
    "the sign of $D$": lambda: phi.cos() * N + phi.sin() * D,
    "cosine and sine exchanged": lambda: phi.sin() * N - phi.cos() * D,
    "the chord $N - D$": lambda: N - D,
}

# %% tags=["hide-input"]
rotation_claim = Claim(
    id="painters/rotation",
    says=r"For every data law, on $a = \cos\varphi$, $g = \sin\varphi$: "
    r"$dx/d\varphi = \cos\varphi\, N - \sin\varphi\, D$ with $D = "
    r"\mathbb E[x_0 \mid x]$, $N = \mathbb E[z \mid x]$ (the 1,797 "
    r"digits as a finite data set).",
    papers=("048",),
    kind="exact",
    formula=lambda: phi.cos() * N - phi.sin() * D,
    controls=rotation_slips,
    tol=1e-13,
    because="float64; the velocity is evaluated without D and N",
    truth=lambda: crowd.velocity(seen, phases) / (torch.pi / 2),
)
check(rotation_claim)

# %% [markdown]
r"""
But $D$ and $N$ do not stand still. The paper offers the approximation
$x_t \approx a_t x_0 + g_t x_T$ for the whole line. How good is it? With
$a_T = 0$, $g_T = 1$, [the flow](#eq-flow) says that coordinate $k$ starts at $c_k$ and
ends at $\sqrt{\lambda_k} c_k$, so the approximation has
$(a \sqrt{\lambda_k} + g)\, c_k$ where the truth is
$\sqrt{a^2 \lambda_k + g^2}\, c_k$. With the angle
$\theta_k = \arctan \frac{g}{a \sqrt{\lambda_k}}$,

$$
\frac{a \sqrt{\lambda_k} + g}{\sqrt{a^2 \lambda_k + g^2}}
= \cos\theta_k + \sin\theta_k = \sqrt{1 + \sin 2\theta_k} \in [1, \sqrt 2].
$$ (eq-ansatz)

It is exact at both ends and for $\lambda_k = 0$, and otherwise too long, by up to
41 % where $a\sqrt{\lambda_k} = g$, *whatever* the eigenvalue.
"""

# %%
A, G = sympy.symbols("a g", positive=True)


def stretch(square):
    """The excess over the squared ratio; value and slope at the peak."""
    peak = {G: A * sympy.sqrt(v)}
    truth = (A * sympy.sqrt(v) + G) ** 2 / (A**2 * v + G**2)
    return sympy.Matrix(
        [square - truth, (square.subs(peak) - 2), square.diff(G).subs(peak)]
    )


# %% tags=["hide-input"]
def turned(k):
    """1 + sin(k theta), theta = arctan(g / (a sqrt(lambda)))."""
    tangent = G / (A * sympy.sqrt(v))
    return sympy.expand_trig(1 + sympy.sin(k * sympy.atan(tangent)))


ansatz_slips = {
    "$\\sin\\theta$": turned(1),
    "$\\sin 4\\theta$": turned(4),
    "no excess at all": sympy.Integer(1),
}

# %% tags=["hide-input"]
ansatz_claim = Claim(
    id="painters/ansatz-limit",
    says=r"The squared length of $a x_0 + g x_T$ over that of $x_t$ is $1 + "
    r"\sin 2\theta$ in each direction, $\tan\theta = "
    r"g/(a\sqrt\lambda)$, with its maximum $2$ at $a \sqrt\lambda = g$ "
    r"for every $\lambda > 0$.",
    papers=("048",),
    kind="symbolic",
    formula=turned(2),
    controls=ansatz_slips,
    measure=stretch,
)
check(ansatz_claim)

# %% mystnb={"figure": {"caption": "The angle of each mode, from pure noise (upright) to pure signal (flat), at four moments; colour by variance.", "name": "fig-fan"}, "image": {"alt": "Four quarter circles at noise-to-signal ratios 4, 2, 1 and 0.3. In each, five rays fan out; the rays of large variance lie flat first, those of small variance last."}}
fan = torch.tensor([0.01, 0.1, 1.0, 4.0, 16.0]).double()
figure, axes = figures.canvas(
    "Every mode turns from noise to signal, large variances first",
    columns=4,
    height=2.2,
    sharey=True,
)
arc = torch.linspace(0, torch.pi / 2, 60)
for ax, ratio in zip(axes, (4.0, 2.0, 1.0, 0.3), strict=True):
    angles = chains.angle(edm, fan, ratio)
    ax.plot(arc.cos(), arc.sin(), color=figures.NOISE, lw=1)
    for angle, colour in zip(angles, figures.time_colours(5), strict=True):
        ax.plot([0, angle.cos()], [0, angle.sin()], color=colour, lw=2)
    ax.set(aspect="equal", xticks=[], yticks=[], xlabel="signal")
    ax.set_title(f"g/a = {ratio:g}", fontsize=9, fontweight="normal")
    ax.spines[:].set_visible(False)
axes[0].set_ylabel("noise")
plt.show()

# %% [markdown]
r"""
Read the panels from the left: the bright rays, with variances 16 and 4, have
turned while the dark ones, 0.01 and 0.1, still stand upright.

How far off is the approximation for digits? Average over $c_k \sim \mathcal N(0,
1)$, on a grid of equal angles. Its squared error is $E = \sum_t \sum_k
(a_t\sqrt{\lambda_k} + g_t - \psi_k(t))^2$, since the mean is carried exactly.
"Off by how much" depends on what $E$ is compared with, and there are three
natural choices, bars being averages over the grid:

- the squared length of the line, $\sum_t a_t^2 |m|^2 + \sum_{t,k} \psi_k(t)^2$;
- its squared deviation from its own mean point,
  $\sum_t (a_t - \bar a)^2 |m|^2 + \sum_{t,k} (\psi_k(t) - \bar\psi_k)^2$;
- the same without the mean image, which is merely faded in: what the modes do.
"""

# %%
turns = torch.linspace(0, 1, 51).double()
spreads = torch.stack([chains.spread(trig, lam, t) for t in turns])
c_all = trig.at(turns)
fade = c_all.a.unsqueeze(1)
ansatz = fade * lam.sqrt() + c_all.g.unsqueeze(1)


def missed(ansatz):
    """The three shares that the approximation misses."""
    error = ((ansatz - spreads) ** 2).sum()
    length = ((fade * m) ** 2).sum() + (spreads**2).sum()
    image = (((fade - fade.mean()) * m) ** 2).sum()
    modes = ((spreads - spreads.mean(0)) ** 2).sum()
    return error / torch.stack([length, image + modes, modes])


# %% [markdown]
r"""
The claim simulates lines, in the basis of the eigenvectors, and compares the mean
of their errors with each share of the mean of the reference.
"""


# %%
def flow_lines(rng, n):
    """n centred lines (n, 51, 64), their mean image, the approximation."""
    c = torch.randn(n, 1, 64, generator=rng, dtype=torch.float64)
    return c * spreads, fade * (m @ U), c * ansatz


@functools.cache  # the formula and its controls see the same lines
def simulated(seed):
    """The errors of 2,000 lines, and the three references of each."""
    line, image, rotation = flow_lines(shapes.rng(seed), 2000)
    whole = line + image
    references = [
        (whole**2).sum((1, 2)),
        ((whole - whole.mean(1, keepdim=True)) ** 2).sum((1, 2)),
        ((line - line.mean(1, keepdim=True)) ** 2).sum((1, 2)),
    ]
    return ((rotation - line) ** 2).sum((1, 2)), torch.stack(references)


# %%
def missed_in_lines(shares, rng):
    """z-scores of the mean of error - share * reference over 2,000 lines."""
    error, references = simulated(rng.initial_seed())
    gap = error - shares().unsqueeze(1) * references
    return gap.mean(1) / (gap.std(1) / gap.shape[1] ** 0.5)


# %% tags=["hide-input"]
worst = torch.full((3,), (2**0.5 - 1) ** 2).double()
share_slips = {
    "the worst case $(\\sqrt 2 - 1)^2$ everywhere": lambda: worst,
    "$\\lambda$ for $\\sqrt\\lambda$": lambda: missed(
        fade * lam + c_all.g.unsqueeze(1)
    ),
    "references exchanged": lambda: missed(ansatz).flip(0),
}

# %% tags=["hide-input"]
share_claim = Claim(
    id="painters/ansatz-on-digits",
    says=r"On 51 equal angles the approximation $a_t x_0 + g_t x_T$ misses, "
    r"of the flow lines of the digits' Gaussian, the three shares $E / "
    r"\text{reference}$ given above, with $E = \sum_{t,k} "
    r"(a\sqrt{\lambda_k} + g - \psi_k)^2$.",
    papers=("048",),
    kind="statistical",
    formula=lambda: missed(ansatz),
    controls=share_slips,
    measure=missed_in_lines,
    scale=lambda f, e: scaled(f, 100 * e),
    seeds=(0,),
    n=2000,
)
check(share_claim)

# %% [markdown]
r"""
Is a line at least nearly flat? Its principal axes tell. A Brownian path with as
many steps is the control: it, too, is "mostly two-dimensional" at first sight.
"""


# %%
def brownian_lines(rng, n):
    """Brownian paths with as many steps, and no mean image."""
    steps = torch.randn(n, 51, 64, generator=rng, dtype=torch.float64)
    return steps.cumsum(1), 0.0, None


def not_flat(lines, rng):
    """How far two axes fall short of 99.8 %, in standard errors; else 0."""
    line, image, _ = lines(rng, 200)
    flat = metrics.principal_shares(line + image)[:, :2].sum(1)
    error = flat.std() / len(flat) ** 0.5
    return ((0.998 - flat.mean()) / error).clamp_min(0)


# %% tags=["hide-input"]
plane_claim = Claim(
    id="painters/plane",
    says="On 51 equal angles, two principal axes hold on average more than "
    "99.8 % of the squared deviation of a flow line of the digits' "
    "Gaussian.",
    papers=("048",),
    kind="statistical",
    formula=flow_lines,
    controls={"Brownian paths": brownian_lines},
    measure=not_flat,
    scale="shares do not change when a line is scaled",
    seeds=(0,),
    n=200,
)
check(plane_claim)

# %% [markdown]
r"""
The shares themselves; the claims above hold them to a simulation.
"""

# %%
line, image, _ = flow_lines(shapes.rng(0), 200)
flat = metrics.principal_shares(line + image)[:, :2].sum(1).mean()
print(f"two axes hold {flat:.1%} of a line; the rotation misses")
for share, name in zip(
    missed(ansatz), ("length", "deviation", "modes"), strict=True
):
    print(f"{share:6.1%} of its {name}")

# %% [markdown]
r"""
So a flow line is flat, and measured by its length the rotation looks excellent.
Measured by what actually moves it is a fair picture, and once the mean image,
which needs no mode to turn, is taken out, it misses about half: most variances of
the digits are small, such a mode hardly moves, and [the ratio](#eq-ansatz) makes it bulge.
A flat line is not yet a rotation, and a small error is small only beside what it
is compared with.

## Which feature comes first?

In the guess [above](#eq-endpoint) feature $k$ has reached the fraction

$$
f_k = \frac{a \sqrt{\lambda_k}}{\psi_k} = \cos\theta_k
    = \sqrt{\frac{\lambda_k}{\lambda_k + \tilde\sigma^2}}
$$ (eq-fraction)

of its final value. It is one half when $\lambda + \tilde\sigma^2 = 4\lambda$,
that is at $\tilde\sigma = \sqrt{3 \lambda}$. It grows fastest per
*ratio* of noise levels where $w (1 + w)^{-3/2}$ with $w = \tilde\sigma^2/\lambda$
is largest, since $-\partial f / \partial \log\tilde\sigma$ is just that; its
derivative vanishes when $1 + w = \frac32 w$, so at $\tilde\sigma = \sqrt{2\lambda}$.
Both grow with $\lambda$. Large variances are painted first: in images, the
outline.
"""

# %% tags=["hide-input"]
w = sympy.symbols("w", real=True)
fraction = (1 + sympy.exp(2 * w) / v) ** sympy.Rational(-1, 2)


def timing(levels):
    """f - 1/2 at the first noise level, f'' in log sigma at the second."""
    half, steep = levels
    return sympy.Matrix(
        [
            fraction.subs(w, sympy.log(half)) - sympy.Rational(1, 2),
            fraction.diff(w, 2).subs(w, sympy.log(steep)),
        ]
    )


half_slips = {
    "half at $\\sqrt\\lambda$": (sympy.sqrt(v), sympy.sqrt(2 * v)),
    "fastest at $\\sqrt\\lambda$": (sympy.sqrt(3 * v), sympy.sqrt(v)),
    "variance for standard deviation": (3 * v, 2 * v),
}

# %% tags=["hide-input"]
half_claim = Claim(
    id="painters/half-painted",
    says=r"Feature $k$ of the guess is half painted at $\tilde\sigma = "
    r"\sqrt{3\lambda_k}$ and grows fastest in $\log\tilde\sigma$ at "
    r"$\tilde\sigma = \sqrt{2\lambda_k}$.",
    papers=("048",),
    kind="symbolic",
    formula=(sympy.sqrt(3 * v), sympy.sqrt(2 * v)),
    controls=half_slips,
    measure=timing,
)
check(half_claim)

# %% [markdown]
r"""
Are real digits painted in this order too? Let $D$ now be the exact denoiser of
the 1,797 digits themselves. Define the painted fraction by mean squares,
$f_k^2 = \mathbb E[(u_k^\top (D - m))^2] / \lambda_k$; for a Gaussian this is
[the fraction](#eq-fraction). There is a bound for *every* law: the guess
[from before](#eq-denoiser) with the true $m$ and $C$ is an affine function of $x$, and the
posterior mean is at least as good as any function of $x$. In direction $u_k$ the
affine guess leaves the error $\lambda_k \tilde\sigma^2 / (\lambda_k +
\tilde\sigma^2)$, and the posterior mean leaves $\lambda_k - \mathbb E[(u_k^\top
(D - m))^2]$, because $x_0 - D$ is uncorrelated with $D$. So

$$
\mathbb E[(u_k^\top (D - m))^2] \ge
\frac{\lambda_k^2}{\lambda_k + \tilde\sigma^2} :
$$ (eq-never-later)

no feature of any data set emerges later than the Gaussian theory says.
"""

# %%
levels = torch.logspace(-0.7, 1.3, 9).double()
crowd_ve = worlds.World(edm, laws.dataset(pixels))
top = lam > 0.05


@functools.cache  # the formula and its controls see the same draws
def painted(seed, n=1200):
    """Mean and error of (u_k'(D - m))^2 at each noise level: (9, K)."""
    out, rng = [], shapes.rng(seed)
    for sigma in levels:
        noisy = crowd_ve.draw(n, sigma, rng)[2]
        guess = (crowd_ve.denoise(noisy, sigma) - m) @ U[:, top]
        out.append(shapes.Estimate.of(guess**2))
    return shapes.Estimate(*map(torch.stack, zip(*out, strict=True)))


# %%
def gap_below(bound, rng):
    """How far below the bound the digits are, in standard errors; else 0."""
    found, error = painted(rng.initial_seed())
    need = bound(lam[top], levels.unsqueeze(1))
    return ((need - found) / error).clamp_min(0)


# %% tags=["hide-input"]
later_slips = {
    "$\\sqrt\\lambda$ for $\\lambda$ in the gain": lambda v, s: (
        v**1.5 / (v.sqrt() + s**2)
    ),
    "$\\tilde\\sigma$ for $\\tilde\\sigma^2$": lambda v, s: v**2 / (v + s),
    "the amplitude $f$ for $f^2$": lambda v, s: v * (v / (v + s**2)).sqrt(),
}

# %% tags=["hide-input"]
later_claim = Claim(
    id="painters/never-later",
    says=r"For the exact denoiser $D$ of any data with mean $m$ and "
    r"covariance $C$, $\mathbb E[(u_k^\top (D - m))^2] \ge "
    r"\lambda_k^2/(\lambda_k + \tilde\sigma^2)$ (the 1,797 digits, all "
    r"$\lambda_k > 0.05$).",
    papers=("048",),
    kind="statistical",
    formula=lambda v, s: v**2 / (v + s**2),
    controls=later_slips,
    measure=gap_below,
    scale=lambda f, e: scaled(f, 300 * abs(e)),
    seeds=(0,),
    n=1200,
    because="one-sided, so only a larger bound is planted, by 30 %",
)
check(later_claim)

# %% mystnb={"figure": {"caption": "Noise-to-signal ratio at which each feature is half painted, against its variance: the Gaussian law $\\sqrt{3\\lambda}$ (line) and the exact denoiser of the 1,797 digits (dots).", "name": "fig-order"}, "image": {"alt": "A rising straight line on logarithmic axes with dots along it; the dots of small variance lie above the line."}}
squares = painted(0)[0] / lam[top]
half = []
for f2 in squares.T:  # f^2 falls with the noise level; where is it 1/4?
    i = int((f2 > 0.25).sum())
    u = (f2[i - 1] - 0.25) / (f2[i - 1] - f2[i])
    logs = levels[i - 1].log() + u * (levels[i] / levels[i - 1]).log()
    half.append(logs.exp())
figure, axes = figures.canvas(
    "Digits are painted in order of variance, never late"
)
axes.loglog(lam[top], (3 * lam[top]).sqrt(), color=figures.EXACT, lw=3)
axes.loglog(lam[top], half, "o", color=figures.LEARNED, ms=4)
axes.set(xlabel=r"variance $\lambda$", ylabel="g/a at half")
axes.set_yticks([0.5, 1, 2], ["0.5", "1", "2"])
axes.set_yticks([], minor=True)
axes.set_xticks([0.1, 1], ["0.1", "1"])
figures.label_line(axes, 0.5, 1.0, r"Gaussian: $\sqrt{3\lambda}$")
plt.show()

# %% [markdown]
r"""
The dots follow the line where the noise is strong, and part from it upwards, which
is earlier: at a noise-to-signal ratio near one the denoiser of a finite data set
recognises *which* digit it is, and then all small features come at once. The
slider shows the same on one digit. It needs no kernel.
"""


# %%
crowd_vp = worlds.World(vp, laws.dataset(pixels))


def frame(ratio):
    """The state and two guesses at one noise level."""
    t = vp.when(ratio)
    x = chains.carry(law, vp, noise_end, times[0], t)
    crowd_guess = crowd_vp.denoise(x, t)
    gauss = chains.endpoint(law, vp, noise_end, times[0], t)
    figure, axes = figures.canvas("", columns=4, width=6.4, height=1.9)
    names = ("state", "Gaussian guess", "guess of the data set")
    for ax, image, name in zip(
        axes[:3], (x, gauss, crowd_guess), names, strict=True
    ):
        figures.paint(ax, image[0], name)
    f = chains.angle(edm, lam.flip(0)[:20], ratio).cos()
    axes[3].vlines(range(20), 0, f, color=figures.EXACT, lw=3)
    axes[3].set(ylim=(0, 1), xticks=[], yticks=[0, 1])
    axes[3].set_title("painted fraction", fontsize=8)
    return figure


# %%
ratios = torch.logspace(1.8, -1.6, 9).double()
figures.Slider(
    [frame(r) for r in ratios],
    [f"noise-to-signal ratio {r:.2g}" for r in ratios],
    "The state, the guess of the Gaussian world, that of the data set, and "
    "the painted fraction of the twenty largest features",
    "painting",
)

# %% [markdown]
r"""
## What does a small push do?

Push the state at time $t$ by $\delta$ along $u_k$. By [the flow](#eq-flow) the image
moves by

$$
\delta\, \frac{\psi_k(0)}{\psi_k(t)} = \delta\, \sqrt{\frac{\lambda_k}{a_t^2
\lambda_k + g_t^2}}.
$$ (eq-kick)

Do early pushes matter more, as the paper's picture of a committed outline
suggests? On a variance-preserving path $g^2 = 1 - a^2$, and

$$
\frac{d}{da}\, \frac{\lambda}{a^2 \lambda + 1 - a^2}
= -\frac{2 a \lambda (\lambda - 1)}{(a^2 \lambda + 1 - a^2)^2} :
$$ (eq-rider)

early (small $a$) pushes act **more if $\lambda > 1$, less if $\lambda < 1$**, and
alike if $\lambda = 1$. In units where the state is not rescaled, $a = 1$, a fixed
push always acts less when it comes early; but a push in proportion to the noise,
$\delta = \kappa g$, gives $\kappa \sqrt\lambda \sin\theta_k$, which always acts
more. The statement needs its units.
"""

# %%
gain_vp = v / (A**2 * v + 1 - A**2)
fixed_ve = sympy.sqrt(v) / sympy.sqrt(v + G**2)


def rider(slopes):
    """Slopes: squared gain on VP; fixed and proportional push at a = 1."""
    gains = [(gain_vp, A), (fixed_ve, G), (fixed_ve * G, G)]
    return sympy.Matrix(
        [
            gain.diff(by) - slope
            for (gain, by), slope in zip(gains, slopes, strict=True)
        ]
    )


vp_slope = -2 * A * v * (v - 1) / (A**2 * v + 1 - A**2) ** 2
cube = (v + G**2) ** sympy.Rational(3, 2)
ve_slopes = (-sympy.sqrt(v) * G / cube, v * sympy.sqrt(v) / cube)

# %% tags=["hide-input"]
rider_slips = {
    "early always more: no factor $\\lambda - 1$": (
        vp_slope / (v - 1),
        *ve_slopes,
    ),
    "the sign on VP": (-vp_slope, *ve_slopes),
    "a fixed push for a proportional one": (vp_slope, *ve_slopes[::-1]),
}

# %% tags=["hide-input"]
rider_claim = Claim(
    id="painters/kick-rider",
    says=r"On VP the squared gain of a push changes with $a$ at the rate "
    r"$-2a\lambda(\lambda-1)/(a^2\lambda+1-a^2)^2$: early pushes act "
    r"more only if $\lambda > 1$. At $a = 1$ the effect changes with "
    r"$g$ at the rate $-\sqrt\lambda\, g/(\lambda+g^2)^{3/2} < 0$ for "
    r"a unit push and $\lambda^{3/2}/(\lambda+g^2)^{3/2} > 0$ for a "
    r"push $g$.",
    papers=("048",),
    kind="symbolic",
    formula=(vp_slope, *ve_slopes),
    controls=rider_slips,
    measure=rider,
)
check(rider_claim)

# %% mystnb={"figure": {"caption": "Effect on the image of a unit push along one eigenvector, against the signal level $a$ at which it is given (VP; early is left).", "name": "fig-kick"}, "image": {"alt": "Three curves against a from 0 to 1: for variance 4 falling from 2 to 1, for variance 1 flat at 1, for variance one quarter rising from one half to 1."}}
figure, axes = figures.canvas(
    "Early pushes act more only if the variance is above 1"
)
signal = torch.linspace(0, 1, 100).double()
for value, colour in zip(
    (4.0, 1.0, 0.25), figures.time_colours(3), strict=True
):
    gain = (value / (signal**2 * value + 1 - signal**2)).sqrt()
    axes.plot(signal, gain, color=colour)
    figures.label_line(
        axes, 0.02, gain[2] + 0.1, rf"$\lambda = {value:g}$", colour
    )
axes.set(
    xlabel="signal level $a$ at the push", ylabel="effect", ylim=(0, 2.3)
)
plt.show()

# %% [markdown]
r"""
The curves meet at $a = 1$, where the image is finished and a push is a push. The
gain itself is measured on the numerical flow: we push the digits' flow lines in
three quarters of the way, along every fourth eigenvector, and run them to the end again.
"""

# %%
middle = 60  # of 80 steps
pushed_modes = list(range(63, 2, -4))


def pushed():
    """The shift of the end point per unit push, along each pushed mode."""
    out = []
    for path, ts, line in zip(three, grids, lines, strict=True):
        world = worlds.World(path, law)
        rest = tables.dormand_prince(ts[middle:])
        start = line[middle][:1] + 0.1 * U.mT[pushed_modes]
        end = solvers.solve(rest, world.velocity, start)
        shift = (end - line[-1][:1]) / 0.1
        out.append((shift * U.mT[pushed_modes]).sum(1))
    return torch.stack(out)


# %%
def gains(gain):
    """gain(c_t, c_s, lambda) of the pushed modes, on the three paths."""
    some = lam[pushed_modes]
    runs = zip(three, grids, strict=True)
    return torch.stack(
        [gain(p.at(ts[middle]), p.at(ts[-1]), some) for p, ts in runs]
    )


# %% tags=["hide-input"]
effects = pushed()
kick_slips = {
    "upside down": lambda: gains(lambda c, s, v: psi(c, v) / psi(s, v)),
    "no square root": lambda: gains(
        lambda c, s, v: (psi(s, v) / psi(c, v)) ** 2
    ),
    "only the schedule, $g_s/g_t$": lambda: gains(
        lambda c, s, v: (s.g / c.g).expand_as(v)
    ),
}

# %% tags=["hide-input"]
kick_claim = Claim(
    id="painters/kick",
    says=r"A push $\delta u_k$ at time $t$ moves the flow at time $s$ by "
    r"$\delta\, \psi_k(s)/\psi_k(t)$ along $u_k$; at the data end by "
    r"$\delta \sqrt{\lambda_k}/\psi_k(t)$.",
    papers=("048",),
    kind="exact",
    formula=lambda: torch.stack(
        [
            chains.flow_factor(p, lam[pushed_modes], ts[middle], ts[-1])
            for p, ts in zip(three, grids, strict=True)
        ]
    ),
    controls=kick_slips,
    tol=1e-8,
    because="as for the flow map",
    truth=lambda: effects,
)
check(kick_claim)

# %% [markdown]
r"""
## Break it

- In `painters/flow-map`, let `no_prior` be the formula and the true one a
  control. Which sentence does `check` stop with?
- Keep only the straight path in `three` (skip `painters/low-rank`, which has then no
  EDM to look at), and let its grid start at the ratio $10^6$ in place of $80$. Two
  controls of `painters/flow-map` are no longer
  rejected: so close to $a_T = 0$ the noise end holds almost no data, so that
  forgetting its share, or the mean, hardly matters. The verdict names both.
- Replace the digits by a spectrum with all eigenvalues equal to one. What is
  left of `painters/ansatz-on-digits`, and why?

## What this does not show

The claims are about Gaussian data; `painters/rotation` and `painters/never-later`
hold for every law. Digits
are not Gaussian: [the figure](#fig-order) shows where, and at low noise the exact
denoiser of a finite data set returns the training digits themselves. A trained
network is neither; how close it is to the Gaussian at high noise is asked
[in the far field](farfield.ipynb), and how far one can jump with
[the flow](#eq-flow) before handing over to it [in Teleportation](teleport.ipynb).

## Exercises

**1.** Write the painted fraction $f$ [from above](#eq-fraction) for any path, as a
function of the variance `lam` and the coefficients `a` and `g`.
"""

# %%
exploding = paths.edm()
grid = {
    "lam": torch.logspace(-2, 2, 12).double(),
    "a": torch.linspace(0.9, 0.1, 12).double(),
    "g": torch.linspace(0.1, 0.95, 12).double(),
}


def fraction_by_world(lam, a, g):
    """The guess in a one-dimensional world, over its final value."""
    out = []
    for v, s in zip(lam, g / a, strict=True):
        mode = laws.gaussian(torch.zeros(1).double(), v)
        x = chains.carry(mode, exploding, torch.ones(1, 1).double(), s, s * 0)
        start = chains.carry(mode, exploding, x, s * 0, s)
        out.append(worlds.World(exploding, mode).denoise(start, s) / x)
    return torch.stack(out).reshape(-1)


# %% tags=["hide-input"]
fraction_slips = {
    "the square: this is the gain of one guess": lambda lam, a, g: (
        a**2 * lam / (a**2 * lam + g**2)
    ),
    "lam for its square root": lambda lam, a, g: (
        a * lam / (a**2 * lam + g**2).sqrt()
    ),
    "sine for cosine: this is the noise that is left": lambda lam, a, g: (
        g / (a**2 * lam + g**2).sqrt()
    ),
    "g for g squared": lambda lam, a, g: (
        a * lam.sqrt() / (a**2 * lam + g).sqrt()
    ),
}

# %% tags=["hide-input"]
fraction_exercise = Claim(
    id="painters/fraction-exercise",
    says="the painted fraction of a mode",
    papers=("048",),
    kind="exact",
    formula=None,
    controls=fraction_slips,
    tol=1e-12,
    because="float64",
    at=grid,
    truth=fraction_by_world,
)


# %% tags=["solution", "hide-cell"]
def painted_fraction(lam, a, g):
    """The fraction of its final value that a mode has in the guess."""
    return a * lam.sqrt() / (a**2 * lam + g**2).sqrt()


# %%
attempt(fraction_exercise, painted_fraction)

# %% [markdown]
r"""
**2.** The noise level of an EDM world goes from $\sigma_1$ to $\sigma_0$, the data
have rank $r$ in $d$ dimensions, with positive variances `lam` (a tensor of $r$
numbers). By how many nats does $\log p$ change along the flow,
$\log p_{\sigma_0}(x_{\sigma_0}) - \log p_{\sigma_1}(x_{\sigma_1})$?
"""

# %%
levels_2 = {
    "sigma1": torch.tensor([80.0, 10.0, 2.0, 30.0]).double(),
    "sigma0": torch.tensor([0.1, 0.5, 0.02, 1.0]).double(),
}
seen = torch.tensor([9.0, 4.0, 1.0]).double()
flat_law = laws.gaussian(
    torch.zeros(5).double(), torch.diag(torch.cat([seen, torch.zeros(2)]))
)


# %%
def nats_by_density(lam, d, sigma1, sigma0):
    """The change of the exact log-density along exact flow lines."""
    world = worlds.World(exploding, flat_law)
    x1 = torch.ones(4, 5).double() * sigma1.unsqueeze(1)
    out = []
    for x, s1, s0 in zip(x1, sigma1, sigma0, strict=True):
        x0 = chains.carry(flat_law, exploding, x, s1, s0)
        out.append(world.log_prob(x0, s0) - world.log_prob(x, s1))
    return torch.stack(out)


def nats(lam, sigma1, sigma0):
    """log psi(sigma1) / psi(sigma0), summed over the given modes."""
    wide = lam.unsqueeze(1)
    return 0.5 * ((wide + sigma1**2) / (wide + sigma0**2)).log().sum(0)


# %% tags=["hide-input"]
nats_slips = {
    "the d - r directions without variance count too": (
        lambda lam, d, s1, s0: nats(lam, s1, s0)
    ),
    "the sign: volume shrinks, so density grows": (
        lambda lam, d, s1, s0: (
            -nats(lam, s1, s0) - (d - len(lam)) * (s1 / s0).log()
        )
    ),
    "variances for standard deviations": lambda lam, d, s1, s0: (
        2 * nats(lam, s1, s0) + 2 * (d - len(lam)) * (s1 / s0).log()
    ),
}

# %% tags=["hide-input"]
nats_exercise = Claim(
    id="painters/nats-exercise",
    says="the change of log p along the flow of a rank-deficient Gaussian",
    papers=("048",),
    kind="exact",
    formula=None,
    controls=nats_slips,
    tol=1e-10,
    because="differences of log-densities in float64, up to 1e3 nats",
    at=(seen, 5, levels_2["sigma1"], levels_2["sigma0"]),
    truth=nats_by_density,
)


# %% tags=["solution", "hide-cell"]
def change_in_nats(lam, d, sigma1, sigma0):
    """log p(x at sigma0) - log p(x at sigma1); both sigmas of shape (n)."""
    wide = lam.unsqueeze(1)
    seen = 0.5 * ((wide + sigma1**2) / (wide + sigma0**2)).log().sum(0)
    return seen + (d - len(lam)) * (sigma1 / sigma0).log()


# %%
attempt(nats_exercise, change_in_nats)

# %% [markdown]
r"""
**3.** *Extend the world.* Write a function that returns the noise-to-signal ratio
at which **half of the total variance** is painted, that is
$\sum_k \lambda_k f_k^2 = \frac12 \sum_k \lambda_k$, for any spectrum `lam` of
positive variances. (Bisection is fine; then try a power law.)
"""

# %% tags=["hide-input"]
spectra = torch.stack(
    [torch.arange(1, 33).double() ** -p for p in (0.0, 1.0, 2.0, 3.0)]
)


def balance(answer):
    """How far from one half the painted share is, at the answer's ratio."""
    level = torch.stack([torch.as_tensor(answer(row)) for row in spectra])
    share = spectra**2 / (spectra + level.reshape(-1, 1) ** 2)
    return (share.sum(1) / spectra.sum(1) - 0.5).abs().max()


half_slips = {
    "half in amplitude, not in variance": lambda lam: (3 * lam.mean()).sqrt(),
    "the mean variance stands for all": lambda lam: lam.mean().sqrt(),
    "the largest variance stands for all": lambda lam: lam.max().sqrt(),
}

# %% tags=["hide-input"]
half_exercise = Claim(
    id="painters/half-exercise",
    says="the ratio at which half of the total variance is painted",
    papers=("048",),
    kind="exact",
    formula=None,
    controls=half_slips,
    tol=1e-9,
    because="forty halvings of an interval",
    measure=balance,
)


# %% tags=["solution", "hide-cell"]
def half_level(lam):
    """The ratio sigma with sum lam^2 / (lam + sigma^2) = sum lam / 2."""
    low, high = 0.0 * lam.max(), lam.max().sqrt() * 2
    for _ in range(60):
        middle = (low + high) / 2
        painted = (lam**2 / (lam + middle**2)).sum() > lam.sum() / 2
        low, high = (middle, high) if painted else (low, middle)
    return high


# %%
attempt(half_exercise, half_level)

# %% [markdown]
r"""
**4.** *A new control.* Find a formula for $\psi_k$ that is right at both ends of
every VP path, at $a = 1, g = 0$ and at $a = 0, g = 1$, and wrong in between.
(One of the formulas of this chapter has this property.) Add it to the controls of
`painters/flow-map`: with what factor is it rejected?

## Summary

| what | closed form, $\psi = \sqrt{a^2\lambda + g^2}$ | in `diffkit` |
|---|---|---|
| score | $-1/\psi^2$ | `World.score` |
| guess | $a\lambda/\psi^2$ | `World.denoise` |
| flow from $t$ to $s$ | $\psi(s)/\psi(t)$ | `chains.carry` |
| guess on the line | $a_t\lambda/(\psi(t)\psi(T))$ | `chains.endpoint` |
| change of $\log p$ | $-\sum\log\psi(s)/\psi(t)$ | `solvers.flow` |
| angle | $\arctan\, g/(a\sqrt\lambda)$ | `chains.angle` |
| half painted | $g/a = \sqrt{3\lambda}$ | |
| effect of a push | $\psi(s)/\psi(t)$ | `chains.flow_factor` |

**Where next.** [Reverse time](reverse.ipynb) puts noise into the flow and asks what
stays; [the notation](../start/notation.ipynb) has the same formulas in the letters of
other papers.
"""
