# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# A slope that is too small

Between two modes the exact denoiser is a cliff, and it becomes steeper without end as
the noise fades. A network is smoother than that. We give the denoiser a largest slope
and compute what follows: how many samples stay between the modes, for which kinds of
smoothness more steps towards the data help, what noise does to the trapped ones, and
how to tell this error of the score from an error of the solver.

- **You need** the [denoiser of two points](../start/reading.ipynb), the probability
flow, and [how few steps hallucinate](gap.ipynb).
- **You get** a closed-form share, its power law, one law for every slope profile, and
a rule for telling the two errors apart.
- **Paper** 024, Aithal and co-authors {cite}`aithal2024hallucinations`.
- **Claims** on two modes on the line, all named `slope/...`.
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
import sympy
import torch
from scipy import integrate, linalg, optimize, stats

# %% tags=["setup"]
from diffkit import fields, figures, laws, paths, solvers, tables, worlds
from diffkit.claims import Claim, attempt, check

tensor = functools.partial(torch.tensor, dtype=torch.float64)
even = functools.partial(torch.linspace, dtype=torch.float64)
ndtr = torch.special.ndtr

# %% [markdown]
r"""
The world is the smallest that can hallucinate: two points at $\pm\mu$, equally likely,
on the path $x = x_0 + \sigma z$ whose clock is the noise level $\sigma$. In code
$\mu = 1$, which only fixes the unit of length. (On any other path read $x$ as
$x_t / a$ and $\sigma$ as $g / a$: the flow below is the same.)
"""

# %% tags=["setup"]
edm, ends = paths.edm(), tensor([[-1.0], [1.0]])
coin = worlds.World(edm, laws.dataset(ends))


def between(w, sigma):
    """P(|x| < w) for x = x0 + sigma z, x0 = -1 or 1 with equal chances."""
    w, sigma = (torch.as_tensor(u, dtype=torch.float64) for u in (w, sigma))
    return ndtr((w - 1) / sigma) - ndtr((-w - 1) / sigma)


# %% [markdown]
r"""
## How steep is the truth?

Let the weights of the two points be $w_+$ and $w_-$, both positive. Bayes' rule gives
the log-odds of $+\mu$ given $x$ as
$\log(w_+/w_-) + \frac{(x + \mu)^2 - (x - \mu)^2}{2\sigma^2}$, so

$$
D(x, \sigma) = \mu \tanh\Big( \frac{\mu x}{\sigma^2}
+ \frac12 \log\frac{w_+}{w_-} \Big), \qquad
\max_x \frac{\partial D}{\partial x} = \frac{\mu^2}{\sigma^2} .
$$ (eq-slope-exact)

The steepest point is where the argument vanishes, at
$x_c = -\frac{\sigma^2}{2\mu} \log\frac{w_+}{w_-}$. There the slope is
$\mu^2/\sigma^2$ **whatever the weights**, and it grows without bound as
$\sigma \to 0$.

This already answers a question about data. A training set of $N$ points, $k$ of them at
$+\mu$, is the same world with $w_+ = k/N$. Its own denoiser, which is what a network
with unlimited capacity would learn, is as steep as that of the true law, for
every $N$ with $0 < k < N$. Ten points and ten million ask for the same cliff.
"""

# %%
sets = ((10, 3), (100, 44), (400, 212))
levels = tensor([0.2, 0.3, 0.5])


@functools.cache
def steepest(n, k):
    """The largest slope of the denoiser of n points, k of them at +1."""
    points = torch.cat([torch.ones(k, 1), -torch.ones(n - k, 1)]).double()
    world = worlds.World(edm, laws.dataset(points))
    x = even(-0.25, 0.25, 2001).unsqueeze(1)
    out = []
    for s in levels:
        y = x.clone().requires_grad_()
        D = world.denoise(y, s).sum()
        out.append(torch.autograd.grad(D, y)[0].max())
    return torch.stack(out)


# %% tags=["hide-input"]
def asked(slope):
    """The slope that n points ask for, k of them at +1, at all levels."""
    return lambda: torch.cat([slope(n, k / n, levels) for n, k in sets])


sample_slips = {
    "the slope at $x = 0$: $4 w_+ w_- \\mu^2/\\sigma^2$": asked(
        lambda n, w, s: 4 * w * (1 - w) * s**-2
    ),
    "the variance with divisor $N - 1$": asked(
        lambda n, w, s: n / (n - 1) * s**-2
    ),
    "$\\mu/\\sigma$": asked(lambda n, w, s: 1 / s),
}

# %% tags=["hide-input"]
sample_claim = Claim(
    id="slope/sample",
    says=r"The denoiser of $N$ training points at $\pm\mu$, $k$ of them at "
    r"$+\mu$, has the largest slope $\mu^2/\sigma^2$ at every noise level "
    r"$\sigma$, for all $N$ and $0 < k < N$ ($\mu = 1$; 3 of 10, 44 of 100, "
    r"212 of 400).",
    papers=("024",),
    kind="exact",
    formula=asked(lambda n, w, s: s**-2),
    controls=sample_slips,
    tol=5e-5,
    because="the largest of 2,001 points, at most one spacing off",
    truth=lambda: torch.cat([steepest(n, k) for n, k in sets]),
)
check(sample_claim)

# %% [markdown]
r"""
Modes of some width ask for less. Let each mode be $\mathcal N(\pm\mu, s^2)$ with
$s > 0$ and write $v = s^2 + \sigma^2$. The [chapter before the last](deciding.ipynb)
derives

$$
\begin{gathered}
D(x, \sigma) = \frac{s^2 x + \sigma^2 \mu \tanh(\mu x / v)}{v} , \\
L_*(\sigma) = \frac{\partial D}{\partial x}(0) =
\frac{s^2 + \mu^2}{v} - \frac{s^2 \mu^2}{v^2} ,
\end{gathered}
$$ (eq-slope-wide)

a parabola in $1/v$, whose top (`deciding/top`) is the steepest slope that is ever
needed between them: for $s < \mu$

$$
L_{\max} = \frac{(s^2 + \mu^2)^2}{4 s^2 \mu^2} .
$$ (eq-slope-needed)

Below that level the slope falls again, to $L_* = 1$ at $\sigma = 0$. A denoiser with
Lipschitz constant $L_{\max}$ loses nothing. The paper's modes have distance 1 and
$s = 0.05$, so $\mu = \frac12$ and $L_{\max}$ is about a quarter of
$\mu^2/s^2 = 100$.
"""


# %%
def modes(mu, s):
    """Two modes of width s at -mu and mu."""
    return worlds.World(edm, laws.mixture(mu * ends, s * s))


# %% [markdown]
r"""
## What does a capped slope do to the flow?

The probability flow is $\frac{dx}{d\sigma} = \frac{x - D}{\sigma}$. Now let the slope
be at most $L > 1$. The exact denoiser of the two points stays below that as long as
$\mu^2/\sigma^2 \le L$, so above

$$
\sigma_L = \frac{\mu}{\sqrt L}
$$ (eq-slope-level)

nothing changes. Below, we replace the cliff by a ramp of slope $L$,
$\hat D(x) = \min(\max(L x, -\mu), \mu)$. Like the exact one for small $\sigma$ it
answers $\pm\mu$ at the modes; it is wrong between them, on $|x| < \mu/L$, which we call
the **ramp**. (At $\sigma_L$ itself the field jumps, from $\mu \tanh(L x/\mu)$ to the
ramp. The flow stays continuous.) There

$$
\frac{dx}{d\log\sigma} = (1 - L)\, x
\quad\Longrightarrow\quad
x(\sigma) = x(\sigma_L) \left( \frac{\sigma_L}{\sigma} \right)^{L - 1} .
$$ (eq-slope-growth)

For the exact denoiser the slope is $\mu^2/\sigma^2$. Close to $x = 0$, where
$\tanh u \approx u$, we get $\frac{dx}{d\log\sigma} = (1 - \mu^2/\sigma^2)\, x$, so

$$
x(\sigma) = x(\tau)\, \frac{\sigma}{\tau}\,
\exp\Big( \frac{\mu^2}{2\sigma^2} - \frac{\mu^2}{2\tau^2} \Big) .
$$ (eq-slope-exact-growth)

The exact flow leaves the middle faster than any power of $1/\sigma$; under a cap it
leaves as one.
"""

# %%
sigma, tau, top, eta = sympy.symbols("sigma tau L eta", positive=True)
burst = sympy.exp(1 / (2 * sigma**2) - 1 / (2 * tau**2))


def off_line(ways):
    """Residuals of dx/dlog(sigma) = (1 - slope) x, and of x(tau) = 1."""
    out = []
    for x, slope in zip(ways, (top, sigma**-2), strict=True):
        out += [sigma * x.diff(sigma) - (1 - slope) * x]
        out += [x.subs(sigma, tau) - 1]
    return sympy.Matrix(out)


# %% tags=["hide-input"]
growth_slips = {
    "exponent $L$": ((tau / sigma) ** top, sigma / tau * burst),
    "exponent $1 - L$": ((tau / sigma) ** (1 - top), sigma / tau * burst),
    "no factor $\\sigma/\\tau$": ((tau / sigma) ** (top - 1), burst),
    "$\\mu^2/\\sigma^2$ for half of it": (
        (tau / sigma) ** (top - 1),
        sigma / tau * burst**2,
    ),
}

# %% tags=["hide-input"]
growth_claim = Claim(
    id="slope/growth",
    says=r"Near the middle a point moves as $x(\sigma) = x(\tau) "
    r"(\tau/\sigma)^{L - 1}$ where the slope is $L$, and as $x(\tau) "
    r"\frac{\sigma}{\tau} \exp(\frac{1}{2 \sigma^2} - \frac{1}{2 \tau^2})$ "
    r"where it is $1/\sigma^2$ (any $L > 0$, $\mu = 1$).",
    papers=("024",),
    kind="symbolic",
    formula=((tau / sigma) ** (top - 1), sigma / tau * burst),
    controls=growth_slips,
    measure=off_line,
)
check(growth_claim)

# %% [markdown]
r"""
To see it, run the same starts under both; `cliff` is [the exact
denoiser](#eq-slope-exact) at equal weights. The solver is Dormand and Prince's with
steps of its own, and its clock is $u = \log \sigma$, in which
$\frac{dx}{du} = x - D(x, e^u)$.
"""


# %% tags=["setup"]
def cliff(x, t):
    """The exact denoiser."""
    return torch.tanh(x / t**2)


def ramp(L):
    """min(max(L x, -1), 1): the capped denoiser below sigma_L."""
    return fields.clipped(lambda x, t: L * x, -1, 1)


# %% tags=["setup"]
def along(D, x, start, end, keep=False):
    """The flow of the denoiser D from noise level start to end; x (n)."""

    def pace(x, u):
        return x - D(x, u.exp())

    run = solvers.Adaptive(math.log(start), math.log(end), 1e-11, 1e-30)
    if not keep:
        return solvers.solve(run, pace, x.unsqueeze(1)).squeeze(1)
    log = run.run(pace, x.unsqueeze(1))
    return log.ts.exp(), log.states.squeeze(-1)


# %%
half = 2**-0.5  # sigma_L for L = 2
starts = 0.05 * even(-6, 6, 13)  # with 0 itself
films = [along(D, starts, half, 0.04, True) for D in (cliff, ramp(2))]

# %% mystnb={"figure": {"caption": "Thirteen flow lines that start near the middle at $\\sigma_L$, the level where the true slope reaches $L = 2$; the noise level falls to the right. Left: the exact denoiser. Right: its slope capped at 2.", "name": "fig-slope-paths"}, "image": {"alt": "Two panels of curves fanning out from the middle to the modes at plus and minus one. In the left panel all but the one at zero are close to a mode at noise level 0.1. In the right panel several are still spread between the modes there, and the two next to zero even at the lowest level, 0.04."}}
figure, axes = figures.canvas(
    "The exact flow empties the gap, a capped one lets go slowly",
    columns=2,
    sharey=True,
)
colours = (figures.EXACT, figures.LEARNED)
names = ("exact", "slope at most 2")
for ax, (ts, xs), c, name in zip(axes, films, colours, names, strict=True):
    ax.plot(ts, xs, color=c, lw=1.2)
    ax.set_xscale("log")
    ax.set(xlim=(half, 0.04), yticks=[-1, 0, 1], xlabel="$\\sigma$")
    ax.set_title(name, fontsize=9, fontweight="normal")
    ax.set_xticks([0.5, 0.2, 0.1, 0.05], ["0.5", "0.2", "0.1", "0.05"])
    ax.minorticks_off()
axes[0].set_ylabel("$x$")
plt.show()

# %% [markdown]
r"""
The line at zero never leaves, on either side; it has probability zero. On the left its
neighbours turn away early, and all together. On the right they are still under way at
the end, and a sampler that stops there hands them out.

## How large is the share that stays?

Let the sampler stop at $\sigma_{\min} < \sigma_L$ and hand out the guess
$\hat x_0 = \hat D(x, \sigma_{\min})$, as most do. We call it a hallucination if
$|\hat x_0| < \mu (1 - \delta)$, with a margin $0 < \delta < 1$.

1. $|\hat x_0| < \mu(1 - \delta)$ means $|x(\sigma_{\min})| < a = \mu (1 - \delta)/L$,
a part of the ramp.
2. On the line flow lines do not cross, and on the ramp $|x|$ only grows as $\sigma$
falls. So a point that ends within $a$ was on the ramp all the time, and
[its growth](#eq-slope-growth) says where it came from: from $|x(\sigma_L)| < w$,

$$
w = \frac{\mu (1 - \delta)}{L}
\left( \frac{\sigma_{\min}}{\sigma_L} \right)^{L - 1} .
$$ (eq-slope-window)

3. Above $\sigma_L$ the flow is exact, so at $\sigma_L$ the law is the true one,
$\frac12 \mathcal N(\mu, \sigma_L^2) + \frac12 \mathcal N(-\mu, \sigma_L^2)$. The two
halves put the same mass into a symmetric window:

$$
H = P\big( |\hat x_0| < \mu(1 - \delta) \big)
= \Phi\Big( \frac{w - \mu}{\sigma_L} \Big)
- \Phi\Big( \frac{-w - \mu}{\sigma_L} \Big) .
$$ (eq-slope-share)

Measured in units of $\sigma_L$, with $\mu/\sigma_L = \sqrt L$, only three numbers are
left: $L$, $\delta$ and $r = \sigma_{\min}/\sigma_L$.

We check it by two routes that do not know the growth law. The first sends the edges
$\pm a$ up, through the ramp and then the exact flow, to $\sigma = 20$, and takes the
mass between them there. The second carries the density from the same level down to
nodes in the window and integrates.
"""


# %% tags=["setup"]
def share(L, low, d=0.1, power=1.0):
    """The closed form: slope L, down to noise level low, margin d."""
    w = (1 - d) / L * (low * L**0.5) ** (L - power)
    return between(w, L**-0.5)


def by_edges(L, low, d=0.1):
    """The mass between the starts, at noise level 20, of the two edges."""
    x = along(ramp(L), tensor([(1 - d) / L]), low, L**-0.5)
    return between(along(cliff, x, L**-0.5, 20.0)[0], 20.0)


# %% tags=["setup"]
def by_density(L, low, d=0.1):
    """The end's density, by change of variables, summed over the window."""
    nodes, weights = solvers.panels(tensor([0.0, (1 - d) / L]), 12)
    x = nodes.clone().requires_grad_()
    y = x.unsqueeze(1)
    for D, a, b in ((ramp(L), low, L**-0.5), (cliff, L**-0.5, 20.0)):
        clock = tables.uniform(math.log(a), math.log(b), 130)
        pace = functools.partial(lambda D, x, u: x - D(x, u.exp()), D)
        y = solvers.solve(tables.rk4(clock), pace, y)
    stretch = torch.autograd.grad(y.sum(), x)[0]
    p = coin.law(tensor(20.0)).log_prob(y.detach()).exp()
    return 2 * (weights * p * stretch).sum()


# %% tags=["hide-input"]
caps = [(L, low) for L in (1.5, 2.0, 3.0) for low in (0.05, 0.2)]


def shares(f):
    """A share for every case, twice: once for each route of the check."""
    return lambda: torch.stack([f(L, s).reshape(()) for L, s in caps] * 2)


@functools.cache
def share_truth():
    """By both routes."""
    routes = [f(*c).reshape(()) for f in (by_edges, by_density) for c in caps]
    return torch.stack(routes)


# %% tags=["hide-input"]
def share_slip(w):
    """The closed form with another window w(L, r, sigma_L)."""
    return shares(lambda L, s: between(w(L, s * L**0.5, L**-0.5), L**-0.5))


share_slips = {
    "exponent $L$": shares(lambda L, s: share(L, s, power=0.0)),
    "no division by $L$: the window of $x$ for that of $\\hat x_0$": (
        share_slip(lambda L, r, t: 0.9 * r ** (L - 1))
    ),
    "the guess at $\\sigma_L$ instead of the end": share_slip(
        lambda L, r, t: 0.9 / L
    ),
    "$\\sigma_L = \\mu/L$": shares(
        lambda L, s: between(0.9 / L * (s * L) ** (L - 1), 1 / L)
    ),
    "one of the two modes forgotten": shares(lambda L, s: share(L, s) / 2),
}

# %% tags=["hide-input"]
share_claim = Claim(
    id="slope/share",
    says=r"Slope capped at $L$ below $\sigma_L = \mu/\sqrt L$, stopped at "
    r"$\sigma_{\min}$: $P(|\hat x_0| < \mu(1 - \delta)) = \Phi((w - \mu)/"
    r"\sigma_L) - \Phi((-w - \mu)/\sigma_L)$ with $w = \frac{\mu (1 - "
    r"\delta)}{L} (\sigma_{\min}/\sigma_L)^{L - 1}$ (two points, $\mu = 1$, "
    r"$\delta = 0.1$, $L = 1.5, 2, 3$, $\sigma_{\min} = 0.05, 0.2$; by edges "
    r"and by density).",
    papers=("024",),
    kind="exact",
    formula=shares(share),
    controls=share_slips,
    tol=1e-8,
    because="130 + 130 Runge-Kutta steps for the density",
    truth=share_truth,
)
check(share_claim)

# %% [markdown]
r"""
### The power law

Let $\sigma_{\min} \to 0$ with $L > 1$. Then $w \to 0$, and the window sees only the
density in the middle, $p_{\sigma_L}(0) = \varphi(\sqrt L)/\sigma_L$, where $\varphi$ is
the standard normal density. With $y = w/\sigma_L$, expand
$\Phi(y - \sqrt L) - \Phi(-y - \sqrt L) = 2 y\, \varphi(\sqrt L)\,
[1 + \frac{y^2}{6} (L - 1) + O(y^4)]$; the bracket comes from
$\varphi''(u) = (u^2 - 1)\, \varphi(u)$. So

$$
H = (1 - \delta) \sqrt{\frac{2}{\pi L}}\; e^{-L/2}
\Big( \frac{\sigma_{\min}}{\sigma_L} \Big)^{L - 1}
\Big[ 1 + \frac{L - 1}{6}\, y^2 + O(y^4) \Big] .
$$ (eq-slope-power)

*The exponent is $L - 1$, not $L$*: with no guess at all, $D = 0$, a point shrinks in
proportion to $\sigma$, and that costs one of the $L$ powers.

Two cases remain, and they are different in kind.

**$L = 1$.** Now $\sigma_L = \mu$ and $\hat D = x$ on the ramp: nothing moves. The
share is

$$
H = \Phi(-\delta) - \Phi(-2 + \delta)
$$ (eq-slope-one)

for ever, whatever $\sigma_{\min}$.

**$L < 1$.** Now $x = 0$ attracts. A point on the ramp shrinks like
$(\sigma/\sigma_L)^{1 - L}$, and a point outside, $x > \mu/L > \mu$, moves towards
$\mu$ as $x - \mu \propto \sigma$ and so comes onto the ramp, at some level
$\sigma_c$ with $(x_L - \mu)\, \sigma_c/\sigma_L = \mu/L - \mu$. From there it needs
$(\sigma_{\min}/\sigma_c)^{1 - L} < 1 - \delta$ to count. Solve for $x_L$: the
window is

$$
w = \mu + \Big( \frac{\mu}{L} - \mu \Big)
\frac{\sigma_L}{\sigma_{\min}}\, (1 - \delta)^{1/(1 - L)} ,
$$ (eq-slope-below)

as long as this exceeds $\mu/L$, so that the last one to count comes from outside;
before that it is [the window on the ramp](#eq-slope-window). It grows without bound, so
the share tends to 1. A map that contracts sends everything to one point.
"""


# %% tags=["setup"]
def leading(L, low, d=0.1, order=1):
    """The power law, with its next term for order 1."""
    r = low * L**0.5
    y = (1 - d) / L**0.5 * r ** (L - 1)
    first = (1 - d) * (2 / (math.pi * L)) ** 0.5 * math.exp(-L / 2)
    return first * r ** (L - 1) * (1 + order * (L - 1) * y**2 / 6)


# %% tags=["hide-input"]
far = [(L, s) for L in (1.5, 2.0, 3.0) for s in (1e-2, 1e-3)]


def powers(f):
    """f / r^(L - 1), and its exponent over a decade, for all cases."""
    H = tensor([f(L, s) for L, s in far])
    r = tensor([(s * L**0.5) ** (L - 1) for L, s in far])
    decades = H.log10().reshape(3, 2).diff()
    return torch.cat([H / r, -decades.flatten()])


def power_slip(f):
    """Another law for the share, given r and L."""
    return lambda: powers(lambda L, s: f(s * L**0.5, L))


# %% tags=["hide-input"]
power_slips = {
    "exponent $L$": power_slip(lambda r, L: leading(L, r / L**0.5) * r),
    "$p_{\\sigma_L}(0)$ without $e^{-L/2}$": power_slip(
        lambda r, L: leading(L, r / L**0.5) * math.exp(L / 2)
    ),
    "the next term of the other sign": lambda: powers(
        lambda L, s: leading(L, s, order=-1)
    ),
}

# %% tags=["hide-input"]
power_claim = Claim(
    id="slope/power",
    says=r"$H = (1 - \delta) \sqrt{2/(\pi L)}\, e^{-L/2}\, r^{L - 1} [1 + "
    r"\frac{L - 1}{6} y^2]$ up to $O(y^4)$, $r = \sigma_{\min}/\sigma_L$, "
    r"$y = (1 - \delta) r^{L - 1}/\sqrt L$: its coefficient, and its "
    r"exponent over a decade of $\sigma_{\min}$ (two points, $L = 1.5, 2, "
    r"3$, $\delta = 0.1$).",
    papers=("024",),
    kind="exact",
    formula=lambda: powers(leading),
    controls=power_slips,
    tol=1e-6,
    because="y is below 0.09, and the next term is of order y^4/100",
    truth=lambda: powers(share),
)
check(power_claim)

# %% [markdown]
r"""
At $L = 1$ and below we check by edges as well: an edge $a$ that lies on the ramp at
$\sigma_{\min}$ is sent up to $\sigma_L$. Going up it leaves the ramp.
"""


# %% tags=["setup"]
def below_one(L, low, d=0.1):
    """The share for L <= 1."""
    if L == 1:
        return between(1 - d, 1.0)
    r = low * L**0.5
    w = 1 + (1 / L - 1) / r * (1 - d) ** (1 / (1 - L))
    if w < 1 / L:  # the last one to count starts on the ramp
        w = (1 - d) / L * r ** (L - 1)
    return between(w, L**-0.5)


# %% tags=["hide-input"]
low_caps = [(L, s) for L in (1.0, 0.8, 0.5) for s in (0.02, 0.1)]


def flat(f):
    """A share for every case with L <= 1."""
    return lambda: torch.stack([f(L, s).reshape(()) for L, s in low_caps])


@functools.cache
def low_truth(L, low):
    """By edges: up the ramp, and out of it."""
    x = along(ramp(L), tensor([0.9 / L]), low, L**-0.5)
    return between(x[0], L**-0.5)


# %% tags=["hide-input"]
below_slips = {
    "the ramp's law alone: nothing comes in from outside": flat(
        lambda L, s: between(
            min(0.9 / L * (s * L**0.5) ** (L - 1), 1 / L), L**-0.5
        )
    ),
    "a fixed share below 1 as well": flat(
        lambda L, s: between(0.9 / L, L**-0.5)
    ),
    "$1 - L$ for $1/(1 - L)$": flat(
        lambda L, s: between(
            1 + (1 / L - 1) / (s * L**0.5) * 0.9 ** (1 - L), L**-0.5
        )
    ),
}

# %% tags=["hide-input"]
below_claim = Claim(
    id="slope/below",
    says=r"Slope 1 traps the share $\Phi(-\delta) - \Phi(-2 + \delta)$ for "
    r"every $\sigma_{\min}$; below 1 the window is $w = \mu + (\mu/L - \mu) "
    r"\frac{\sigma_L}{\sigma_{\min}} (1 - \delta)^{1/(1 - L)}$ and the share "
    r"tends to 1 (two points, $\mu = 1$, $\delta = 0.1$, $L = 1, 0.8, 0.5$).",
    papers=("024",),
    kind="exact",
    formula=flat(below_one),
    controls=below_slips,
    tol=1e-8,
    because="adaptive steps at 1e-11 across the kink of the ramp",
    truth=flat(low_truth),
)
check(below_claim)

# %% [markdown]
r"""
### The cliff

For comparison the exact denoiser. Its flow keeps the law, so at $\sigma_{\min}$ the
point has the true law, and $|\hat x_0| < \mu (1 - \delta)$ means
$\mu |x|/\sigma_{\min}^2 < \operatorname{artanh}(1 - \delta)$:

$$
H_* = \Phi\Big( \frac{w_* - \mu}{\sigma_{\min}} \Big)
- \Phi\Big( \frac{- w_* - \mu}{\sigma_{\min}} \Big), \quad
w_* = \frac{\sigma_{\min}^2}{\mu} \operatorname{artanh}(1 - \delta) .
$$ (eq-slope-cliff)

This is of the order of $\sigma_{\min}\, e^{-\mu^2/(2 \sigma_{\min}^2)}$, below every
power: the reciprocal of [the growth above](#eq-slope-exact-growth), times
$\sigma_{\min}^2$ for the window.
"""


# %% tags=["setup"]
def exact_share(low, d=0.1):
    """The share under the exact denoiser."""
    return between(low**2 * math.atanh(1 - d), low)


# %% tags=["hide-input"]
cliff_levels = (0.5, 0.3, 0.2, 0.15)


def cliff_share(w):
    """log of the share at all levels, by a window w(level)."""
    return lambda: torch.stack([between(w(s), s).log() for s in cliff_levels])


@functools.cache
def cliff_truth():
    """By edges, up the exact flow to noise level 20."""
    x = [
        along(cliff, tensor([s**2 * math.atanh(0.9)]), s, 20.0)
        for s in cliff_levels
    ]
    return between(torch.cat(x), 20.0).log()


# %% tags=["hide-input"]
cliff_slips = {
    "$1 - \\delta$ for its artanh": cliff_share(lambda s: 0.9 * s**2),
    "$\\sigma$ for $\\sigma^2$": cliff_share(lambda s: s * math.atanh(0.9)),
    "the state in place of the guess": cliff_share(lambda s: 0.9),
}

# %% tags=["hide-input"]
cliff_claim = Claim(
    id="slope/cliff",
    says=r"Under the exact denoiser the share is $\Phi((w - \mu)/\sigma) - "
    r"\Phi((-w - \mu)/\sigma)$ at $\sigma = \sigma_{\min}$, $w = \sigma^2 "
    r"\operatorname{artanh}(1 - \delta)/\mu$: its logarithm goes like "
    r"$-\mu^2/(2\sigma^2)$ (two points, $\mu = 1$, $\delta = 0.1$).",
    papers=("024",),
    kind="exact",
    formula=cliff_share(lambda s: s**2 * math.atanh(0.9)),
    controls=cliff_slips,
    tol=1e-10,
    because="adaptive steps at 1e-11",
    truth=cliff_truth,
)
check(cliff_claim)

# %% mystnb={"figure": {"caption": "The share of guesses between the modes ($\\delta = 0.1$) against the last noise level, for the exact denoiser (grey) and for slopes capped at $L$ (blue); both axes logarithmic.", "name": "fig-slope-power"}, "image": {"alt": "Straight lines on logarithmic axes fall to the right with slopes one half, 1 and 2 for L = 1.5, 2 and 3; the one for L = 1 is level, and the grey one of the exact denoiser drops almost vertically."}}
figure, ax = figures.canvas(
    "A cap turns a cliff into a power law", height=3.2
)
lows = torch.logspace(math.log10(0.5), -3, 120, dtype=torch.float64)
for L in (1.0, 1.5, 2.0, 3.0):
    f = below_one if L == 1 else share
    curve = tensor([float(f(L, s)) for s in lows.tolist()])
    ax.plot(lows, curve, color=figures.LEARNED)
    text = f"$L = {L:g}$"
    figures.label_line(ax, lows[-1], curve[-1], text, figures.LEARNED)
curve = exact_share(lows)
ax.plot(lows, curve, color=figures.EXACT, lw=2.5)
ax.text(0.16, 1e-6, "exact", color=figures.EXACT, ha="left")
ax.set(xscale="log", yscale="log", xlim=(0.5, 1e-3), ylim=(1e-8, 1))
ax.set(xlabel="last noise level $\\sigma_{\\min}$", ylabel="share")
plt.show()

# %% [markdown]
r"""
The slope of each blue line is $L - 1$. To gain a factor of ten the last noise level
must fall by $10^{1/(L - 1)}$: ten at $L = 2$, a hundred at $L = 1.5$.

## Does more data help?

We can now say exactly what does not depend on the number $N$ of training points. Take
a training set of $N$ points, $k$ at $+\mu$. Its denoiser has [its steepest
point](#eq-slope-exact) at $x_c$, with slope $\mu^2/\sigma^2$. A cap at $L$ again binds
below $\sigma_L = \mu/\sqrt L$, for every $N$, and we put the ramp where the cliff
stands at that level, $\hat D = \min(\max(L (x - x_c), -\mu), \mu)$ with
$x_c = -\frac{\mu}{2L} \log \frac{k}{N - k}$. (The cliff itself moves on, towards 0;
we leave the ramp where it is.)

The point that does not move has $x = L(x - x_c)$, so
$x_* = \frac{L}{L - 1} x_c$. It lies on the ramp if
$|x_* - x_c| < \mu/L$, that is if the odds are within

$$
\Big| \log \frac{k}{N - k} \Big| < 2 (L - 1) ,
$$ (eq-slope-odds)

which we assume. (For odds beyond, the ramp swallows the rare mode, say $+\mu$: then
$\hat D(\mu) < \mu$ and $x - \hat D > 0$ for all $x > -\mu$, so that in the end every
point goes to the frequent one.) Distances from $x_*$ grow as before. Upwards in $\sigma$
they shrink, so a point that ends on the ramp was on it all the time, and the share is
the mass, under the law of the training set at $\sigma_L$, of the interval between

$$
x_* + \big( x_c \pm a - x_* \big)
\Big( \frac{\sigma_{\min}}{\sigma_L} \Big)^{L - 1} .
$$ (eq-slope-unequal)

$N$ does not occur. *Level, exponent and ramp are set by $L$; the training set enters by
its odds $k/(N - k)$ alone*, and these settle: once $k/N$ is near $\frac12$, more data
change nothing.
"""


# %% tags=["setup"]
def odds(k, n):
    """log(k / (n - k)), from numbers of points."""
    return math.log(k / (n - k))


def sampled(k, n):
    """The world of n training points, k of them at +1."""
    weights = tensor([(n - k) / n, k / n])
    return worlds.World(edm, laws.mixture(ends, 0.0, weights))


def leaning(k, n):
    """The exact denoiser of that world."""
    return lambda x, t: torch.tanh(x / t**2 + odds(k, n) / 2)


# %% tags=["setup"]
def window(k, n, L, low, d=0.1):
    """The interval at sigma_L whose points end between the modes."""
    c = -odds(k, n) / (2 * L)
    fixed, r = L * c / (L - 1), (low * L**0.5) ** (L - 1)
    side = tensor([-1.0, 1.0]) * (1 - d) / L
    return fixed + (c + side - fixed) * r


def held(k, n, L, x, s):
    """The mass between x[0] and x[1] at noise level s."""
    return laws.mass(sampled(k, n).law(tensor(s)), x[:1, None], x[1:, None])


# %% tags=["hide-input"]
drawn = [(k, n, L) for k, n in ((3, 10), (44, 100)) for L in (1.6, 2.0, 3.0)]


@functools.cache
def odds_truth():
    """By edges: up the shifted ramp, then the set's own flow, to 20."""
    out = []
    for k, n, L in drawn:
        c, s = -odds(k, n) / (2 * L), L**-0.5
        shifted = fields.clipped(lambda x, t, L=L, c=c: L * (x - c), -1, 1)
        x = along(shifted, c + tensor([-0.9, 0.9]) / L, 0.05, s)
        x = along(leaning(k, n), x, s, 20.0)
        out.append(held(k, n, L, x, 20.0))
    return torch.cat(out)


# %% tags=["hide-input"]
def odds_share(place):
    """The shares for all training sets, by an interval."""
    return lambda: torch.cat(
        [held(k, n, L, place(k, n, L, 0.05), L**-0.5) for k, n, L in drawn]
    )


# %% tags=["hide-input"]
def unmoved(k, n, L, low):
    """Growth from x_c in place of the fixed point."""
    c = -odds(k, n) / (2 * L)
    return c + window(n / 2, n, L, low)


odds_slips = {
    "equal weights": odds_share(lambda k, n, L, s: window(n, 2 * n, L, s)),
    "growth away from $x_c$": odds_share(unmoved),
    "the odds of the other mode": odds_share(
        lambda k, n, L, s: window(n - k, n, L, s)
    ),
}

# %% tags=["hide-input"]
odds_claim = Claim(
    id="slope/odds",
    says=r"For a training set with $k$ of $N$ points at $+\mu$, capped at "
    r"$L$ around its steepest point $x_c = -\frac{\mu}{2 L} \log \frac{k}{N "
    r"- k}$, the share is the set's own mass at $\sigma_L$ between $x_* + "
    r"(x_c \pm a - x_*) (\sigma_{\min}/\sigma_L)^{L - 1}$, $x_* = L x_c/(L "
    r"- 1)$: $N$ enters by the odds only (3 of 10, 44 of 100; $L = 1.6, 2, "
    r"3$).",
    papers=("024",),
    kind="exact",
    formula=odds_share(window),
    controls=odds_slips,
    tol=1e-8,
    because="adaptive steps at 1e-11",
    truth=odds_truth,
)
check(odds_claim)

# %% [markdown]
r"""
*What this says and what it does not.* In this world the number of points does not set
the share, the slope does. A network's slope is not given, though: it comes out of
training, and there $N$, the number of steps, the weights of the loss and the size of
the net all have their say. [Five nets each](nets.ipynb) measure how much.

## Which other smoothness traps?

A clipped ramp is a caricature. Let $D$ be any denoiser that is odd in $x$ and has a
slope $L(\sigma)$ at zero, integrable in $\log\sigma$. Then $x = 0$ stays, and a
neighbour $\delta x$ obeys
$\frac{d\, \delta x}{d \log\sigma} = (1 - L(\sigma))\, \delta x$. Start from a density
$p_\tau$ at level $\tau$ that is continuous at 0. The density in the middle changes by the
reciprocal of the growth, so at $\sigma_{\min}$ it is **exactly**

$$
q(0) = p_\tau(0)\, \exp\Big( - \int_{\sigma_{\min}}^{\tau}
\big( L(\sigma) - 1 \big) \frac{d\sigma}{\sigma} \Big) ,
$$ (eq-slope-law)

and a gap of half-width $a$ holds about $2 a\, q(0)$.

*When does it hold?* The density at the one point: always. The share: as far as the slope
hardly changes over the gap. If on all flow lines that end within $a$ the slope is
between $L_-(\sigma)$ and $L_+(\sigma)$, then the half-width from which they start lies
between $a\, e^{-\int (L_+ - 1)\, d\sigma/\sigma}$ and
$a\, e^{-\int (L_- - 1)\, d\sigma/\sigma}$, and the share is the mass that $p_\tau$ has
there. If $D$ is smooth, $L_\pm$ differ from $L$ by terms of order $a^2$, and the share
is $2 a\, q(0)\, (1 + O(a^2))$ at a given $\sigma_{\min}$. On a ramp $L_+ = L_-$ as far as
it reaches, and nothing is lost but the curvature of $p_\tau$.

Without the symmetry the same holds along any one flow line $x(\sigma)$ that stays in
the gap, with $L(\sigma)$ the slope on it. In $d$ dimensions $L - 1$ becomes
$\nabla \cdot D - d$. So what matters is one number per noise level, and it can be read
off a trained net.

*A density stays in the middle for ever if and only if the integral stays bounded from
above.* As $\sigma_{\min} \to 0$:

- slope $L > 1$: the integral grows like a logarithm, and the share falls as a power;
- slope $1$ and an excess that is summable in $\log\sigma$: a fixed density stays;
- slope $\mu^2/\sigma^2$: the exact law, and $q(0)$ is its true density there.

Four ways of being too smooth, beside the exact profile, put this to the test:

| kind | slope at zero |
|---|---|
| slope of the guess $D$ capped at $L$ | $\min(\mu^2/\sigma^2, L)$ |
| slope of the noise prediction $(x - D)/\sigma$ capped at $K$ | $\min(\mu^2/\sigma^2, 1 + K \sigma)$ |
| nothing learned below $\sigma_0$, the field of $\sigma_0$ kept | $\mu^2/\max(\sigma, \sigma_0)^2$ |
| the denoiser averaged over $x + h \xi$, $\xi \sim \mathcal N(0, 1)$ | $\mathbb E\, \frac{\mu^2}{\sigma^2} \operatorname{sech}^2 \frac{\mu h \xi}{\sigma^2}$ |

The first three we give the shape $\mu \tanh(L(\sigma) x/\mu)$, a smooth step in
place of the ramp. The last may be said of the score or of the noise prediction as well:
averaging $D = x + \sigma^2 s$ over a symmetric kernel leaves $x$ as it is, so all
three are the same. As $\sigma \to 0$ its slope tends to
$\sqrt{2/\pi}\, \mu/h$, so a kernel of fixed width is a cap, and one wider than
$\sqrt{2/\pi}\, \mu$ contracts. A width in proportion to $\sigma$ leaves a slope in
proportion to $1/\sigma$, and a density that falls faster than any power.
"""

# %% tags=["setup"]
profiles = {
    "guess": lambda s: (s**-2).clamp(max=2.0),
    "noise": lambda s: torch.minimum(s**-2, 1 + 3 * s),
    "frozen": lambda s: s.clamp(min=0.5) ** -2,
    "exact": lambda s: s**-2,
}
kernel = even(-6, 6, 401)
bell = (-(kernel**2) / 2).exp() / (-(kernel**2) / 2).exp().sum()
BLUR, HIGH = 0.4, 3.0  # the kernel's width; tau


def step_field(slope):
    """tanh(L(sigma) x): a smooth step with a given slope at zero."""
    return lambda x, t: torch.tanh(slope(t) * x)


def blurred(x, t):
    """The exact denoiser averaged over a kernel of width BLUR."""
    D = torch.tanh((x + BLUR * kernel) / t**2)
    return (D * bell).sum(-1, keepdim=True)


# %% tags=["setup"]
def blurred_slope(s):
    """Its slope at zero, at levels s (n)."""
    z = BLUR * kernel / s.reshape(-1, 1) ** 2
    return (bell / z.cosh() ** 2).sum(-1) / s**2


kinds = {name: (step_field(f), f) for name, f in profiles.items()}
kinds["blurred"] = blurred, blurred_slope
stops = {name: 0.4 if name == "exact" else 0.15 for name in kinds}


def middle(low, slope, excess=lambda L, s: L - 1):
    """q(0) by the law, from level HIGH down to low."""
    u = even(math.log(low), math.log(HIGH), 8001)
    total = torch.trapezoid(excess(slope(u.exp()), u.exp()), u)
    return between(1e-9, HIGH) / 2e-9 * (-total).exp()


# %% tags=["hide-input"]
def middles(f):
    """log q(0) for all kinds of smoothness."""
    return lambda: torch.stack(
        [f(stops[k], slope).log() for k, (_, slope) in kinds.items()]
    )


@functools.cache
def profile_truth():
    """How far apart two points must start to end 2e-6 apart."""
    out = []
    for name, (D, _) in kinds.items():
        w = along(D, tensor([1e-6]), stops[name], HIGH)
        out.append(between(w[0], HIGH) / 2e-6)
    return torch.stack(out).log()


def excess_slip(f):
    """The law with another integrand."""
    return middles(lambda low, slope: middle(low, slope, f))


# %% tags=["hide-input"]
profile_slips = {
    "$L$ for $L - 1$": excess_slip(lambda L, s: L),
    "$d\\sigma$ for $d\\sigma/\\sigma$": excess_slip(
        lambda L, s: (L - 1) * s
    ),
    "one slope, that at the end, for all levels": excess_slip(
        lambda L, s: L[0] - 1 + 0 * L
    ),
    "only where the slope exceeds 1": excess_slip(
        lambda L, s: (L - 1).clamp(min=0)
    ),
}

# %% tags=["hide-input"]
profile_claim = Claim(
    id="slope/profile",
    says=r"For a denoiser that is odd in $x$, with slope $L(\sigma)$ at "
    r"zero, the density in the middle is $q(0) = p_\tau(0) \exp(-\int (L - "
    r"1) d\sigma/\sigma)$, the integral from $\sigma_{\min}$ to $\tau$: its "
    r"logarithm for a capped guess, a capped noise prediction, a field "
    r"frozen below $\sigma_0$, an average over a kernel, and the exact one "
    r"(two points).",
    papers=("024",),
    kind="exact",
    formula=middles(middle),
    controls=profile_slips,
    tol=2e-6,
    because="a trapezoidal rule across kinks, 8,001 levels",
    truth=profile_truth,
)
check(profile_claim)

# %% [markdown]
r"""
### What the network predicts decides

A bound on the slope of a network is a different bound on $L(\sigma)$ for every target,
because the target is turned into a guess with factors that depend on the level. Let
the network's slope in its own input $x_t$ be at most $K$ in absolute value, and let
$y = x_t / a$, the variable of our flow.

| the network gives | the guess $D$ | $L(\sigma) = \partial D/\partial y$ at most | $I = \int_{\sigma_{\min}}^\tau (L - 1)\, d\sigma/\sigma$ |
|---|---|---|---|
| $x_0$, $a = 1$ | itself | $K$ | $(K - 1) \log \frac{\tau}{\sigma_{\min}}$ |
| noise, $a = 1$ | $x - \sigma N$ | $1 + K\sigma$ | $K (\tau - \sigma_{\min})$ |
| noise, $a^2 + g^2 = 1$ | $(x - g N)/a$ | $1 + K g$ | $K\, [\operatorname{arsinh} \sigma]$ |
| v, $a^2 + g^2 = 1$ | $a x - g v$ | $a^2 + K a g$ | $K\, [\arctan \sigma] - \frac12 [\log(1 + \sigma^2)]$ |
| velocity, $a = 1 - t$, $g = t$ | $x - t u$ | $(1 - t)(1 + K t)$ | $- [\tfrac{K}{1 + \sigma}] - [\log(1 + \sigma)]$ |

Brackets are differences between $\tau$ and $\sigma_{\min}$. For the fourth row put
$a^2 = 1/(1 + \sigma^2)$, $a g = \sigma/(1 + \sigma^2)$; for the last
$t = \sigma/(1 + \sigma)$. The network inside EDM's preconditioning, for data of
variance 1, has the v-row's $L$: its skip weight is $1/(1 + \sigma^2)$, and
$\sigma/(1 + \sigma^2)$ is what multiplies its slope.

Only the first integral diverges. In all other rows the part $x$ of the guess comes
from a skip connection and contributes the slope 1, and what the network adds is
multiplied by a factor that vanishes like $\sigma$. So **a bound on the slope of a network that predicts noise, v or
velocity traps a fixed share**, however small $\sigma_{\min}$; a bound on that of one
that predicts $x_0$ need not, if $K > 1$. Put differently, the exact noise prediction has
the slope $(1 - \mu^2/\sigma^2)/\sigma$, one power of $1/\sigma$ more than the guess.

For ramps $\hat D = \min(\max(L(\sigma)\, y, -\mu), \mu)$ below the level $\tau$ where
$\mu^2/\tau^2 = L(\tau)$, the share is again closed: a window $\mu(1 - \delta)/L(\sigma_{\min})$
at the end, times $e^{-\text{integral}}$ at $\tau$. (It requires that the whole way up
stays on the ramp; the check runs it.)
"""

# %% tags=["setup"]
K = 4.0
targets = {
    "x0": (lambda s: 2.0 + 0 * s, lambda s: math.log(s)),
    "noise": (lambda s: 1 + K * s, lambda s: K * s),
    "noise, VP": (
        lambda s: 1 + K * s / (1 + s**2) ** 0.5,
        lambda s: K * math.asinh(s),
    ),
    "v": (
        lambda s: (1 + K * s) / (1 + s**2),
        lambda s: K * math.atan(s) - math.log(1 + s**2) / 2,
    ),
    "velocity": (
        lambda s: (1 + K * s / (1 + s)) / (1 + s),
        lambda s: -K / (1 + s) - math.log(1 + s),
    ),
}


# %% tags=["setup"]
def reached(slope):
    """The level tau at which the true slope 1/tau^2 meets the bound."""
    return optimize.brentq(
        lambda s: s**2 * slope(s) - 1, 1e-3, 10, xtol=1e-15
    )


def kept(name, low, bracket=None, end=None):
    """The share that a bounded target leaves between the modes, d = 0.1."""
    slope, integral = targets[name]
    integral, tau = bracket or integral, reached(slope)
    w = 0.9 / (end or slope(low)) * math.exp(integral(low) - integral(tau))
    return between(w, tau)


# %% tags=["hide-input"]
ends_at = [(name, s) for name in targets for s in (0.1, 1e-3)]


def keeps(f):
    """The shares of all targets, stopped early and late."""
    return lambda: torch.stack([f(*case).reshape(()) for case in ends_at])


@functools.cache
def kept_truth(name, low):
    """By edges, up the ramp whose slope changes with the level."""
    slope, _ = targets[name]
    D = fields.clipped(lambda x, t: slope(t) * x, -1, 1)
    tau = reached(slope)
    return between(along(D, tensor([0.9 / slope(low)]), low, tau)[0], tau)


def same_bracket(f):
    """All targets with one integral."""
    return keeps(lambda name, s: kept(name, s, bracket=f))


# %% tags=["hide-input"]
targets_slips = {
    "the power law of $x_0$ for all": same_bracket(math.log),
    "$K \\tau$ for all: the noise, $a = 1$": same_bracket(lambda s: K * s),
    "the window of $x$ for that of $\\hat x_0$: no $1/L$": keeps(
        lambda name, s: kept(name, s, end=1.0)
    ),
}

# %% tags=["hide-input"]
targets_claim = Claim(
    id="slope/targets",
    says=r"With its slope bounded, a network that predicts noise (two "
    r"paths), v or velocity leaves the share $\Phi((w - \mu)/\tau) - "
    r"\Phi((-w - \mu)/\tau)$, $w = \frac{\mu (1 - "
    r"\delta)}{L(\sigma_{\min})} e^{-I}$ with the integrals $I$ of the "
    r"table, which stay finite as $\sigma_{\min} \to 0$; with $x_0$ the "
    r"share falls to 0 (two points, $K = 4$, for $x_0$ the slope 2).",
    papers=("024",),
    kind="exact",
    formula=keeps(kept),
    controls=targets_slips,
    tol=1e-8,
    because="adaptive steps at 1e-11",
    truth=keeps(kept_truth),
)
check(targets_claim)

# %% mystnb={"figure": {"caption": "The share between the modes against the last noise level, if the slope of the network is bounded: by 2 where it predicts the data $x_0$, by 4 where it predicts something else.", "name": "fig-slope-targets"}, "image": {"alt": "Five curves against the falling noise level on logarithmic axes. The one for x0 falls as a straight line; the other four bend and become level."}}
figure, ax = figures.canvas(
    "Only a bound on the slope of the guess itself lets go", height=3.2
)
lows = torch.logspace(-0.5, -3, 60, dtype=torch.float64).tolist()
green = figures.time_colours(4)[1:]
colours = (figures.LEARNED, figures.SECOND, *green)
for name, c in zip(targets, colours, strict=True):
    curve = tensor([float(kept(name, s)) for s in lows])
    ax.plot(lows, curve, color=c, lw=2.2 if name == "x0" else 1.6)
    text = "$x_0$" if name == "x0" else name
    nudge = {"noise": 0.7, "v": 1.15}.get(name, 1.0)
    figures.label_line(ax, lows[-1], nudge * curve[-1], text, c)
ax.set(xscale="log", yscale="log", xlim=(0.3, 1e-3), ylim=(2e-4, 0.4))
ax.set(xlabel="last noise level $\\sigma_{\\min}$", ylabel="share")
plt.show()

# %% [markdown]
r"""
Whether a real network behaves so is another question: it has no given bound, and which
target it fits best is decided by the loss. The law only asks for its slopes.

### Modes of some width

With $s > 0$ the true slope [rises and falls again](#eq-slope-wide), so a cap
$1 < L < L_{\max}$ binds between two levels. They are the roots of $L_*(\sigma) = L$, in
$v = s^2 + \sigma^2$

$$
v_\pm = \frac{s^2 + \mu^2}{2 L} \left( 1 \pm
\sqrt{1 - \frac{4 L s^2 \mu^2}{(s^2 + \mu^2)^2}} \right) .
$$ (eq-slope-levels)

For $s \ll \mu$ these are about $\sigma_+ = \mu/\sqrt L$, as before, and
$\sigma_- = s^2 \sqrt{L - 1}/\mu$, which is far *below* the width of the modes. Outside
of $[\sigma_-, \sigma_+]$ the flow carries the true slope, for which [the
law](#eq-slope-law) gives the true densities $p_\sigma(0)$. Inside it gives
$(\sigma_-/\sigma_+)^{L - 1}$. Multiply the three parts:

$$
\frac{q(0)}{p_{\sigma_{\min}}(0)} = \frac{p_{\sigma_+}(0)}{p_{\sigma_-}(0)}
\Big( \frac{\sigma_-}{\sigma_+} \Big)^{L - 1} ,
\qquad \sigma_{\min} \le \sigma_- .
$$ (eq-slope-factor)

The power law now ends at $\sigma_-$: a smaller last level changes nothing more, and a
finite density stays in the middle. As a field we take
$\hat D = [s^2 x + \sigma^2 \mu \tanh(\kappa x)]/v$ with
$\kappa$ the smaller of the exact $\mu/v$ and the value that makes the slope at zero
equal to $L$. It is exact far from the middle.
"""


# %% tags=["setup"]
def capped_modes(L, mu, s):
    """The denoiser of two modes of width s, its slope at most L."""

    def D(x, t):
        v = s * s + t * t
        k = torch.minimum(mu / v, (L - s * s / v) * v / (t * t * mu))
        return (s * s * x + t * t * mu * torch.tanh(k * x)) / v

    return D


def levels_of(L, mu, s):
    """sigma_- and sigma_+, between which the cap binds."""
    b = s * s + mu * mu
    root = (1 - 4 * L * s * s * mu * mu / b**2) ** 0.5
    v = (b / (2 * L) * (1 - root), b / (2 * L) * (1 + root))
    return [(u - s * s) ** 0.5 for u in v]


# %% tags=["hide-input"]
paper = modes(0.5, 0.05)
wide_caps = (1.5, 2.0, 4.0)


def log_middle(s):
    """log p_sigma(0) of the paper's two neighbouring modes."""
    return paper.law(tensor(s)).log_prob(tensor([0.0]))


def residue(L, power=-1.0, ends=levels_of):
    """log q(0) at sigma = 0.001, by the three parts."""
    low, high = ends(L, 0.5, 0.05)
    gain = log_middle(high) - log_middle(low)
    return log_middle(1e-3) + gain + (L + power) * math.log(low / high)


# %% tags=["hide-input"]
def residues(f):
    """log q(0) for all caps."""
    return lambda: torch.stack([f(L).reshape(()) for L in wide_caps])


@functools.cache
def wide_truth(L):
    """From the starts, at noise level 5, of two points 2e-6 apart."""
    x = along(capped_modes(L, 0.5, 0.05), tensor([1e-6]), 1e-3, 5.0)[:, None]
    return (laws.mass(paper.law(tensor(5.0)), -x, x) / 2e-6).log()


# %% tags=["hide-input"]
width_slips = {
    "exponent $L$": residues(lambda L: residue(L, 0.0)),
    "the power law down to $\\sigma_{\\min}$": residues(
        lambda L: residue(L, ends=lambda *a: (1e-3, levels_of(*a)[1]))
    ),
    "the power law down to $s$": residues(
        lambda L: residue(L, ends=lambda *a: (a[2], levels_of(*a)[1]))
    ),
}

# %% tags=["hide-input"]
width_claim = Claim(
    id="slope/width",
    says=r"For two modes of width $s$ a cap $L$ acts between the two levels "
    r"$\sigma_-, \sigma_+$ where the true slope is $L$, and leaves the "
    r"density $q(0) = p_{\sigma_{\min}}(0) "
    r"\frac{p_{\sigma_+}(0)}{p_{\sigma_-}(0)} (\sigma_-/\sigma_+)^{L - 1}$ "
    r"in the middle: its logarithm ($\mu = 1/2$, $s = 0.05$ as in the "
    r"paper, $L = 1.5, 2, 4$).",
    papers=("024",),
    kind="exact",
    formula=residues(residue),
    controls=width_slips,
    tol=2e-6,
    because="adaptive steps at 1e-11, kinks in time; nats of up to 50 cancel",
    truth=residues(wide_truth),
)
check(width_claim)

# %% [markdown]
r"""
## Does noise help?

The [reverse family](../gaussian/reverse.ipynb) on this path has
$f = 0$, $h^2 = 2\sigma$ and the score $(D - x)/\sigma^2$:

$$
dx = (1 + k^2)\, \frac{x - D}{\sigma}\, d\sigma
+ k \sqrt{2\sigma}\; d\bar W , \qquad d\sigma < 0 .
$$ (eq-slope-sde)

$k = 0$ is the flow, $k = 1$ the process whose steps are DDPM's. With the exact denoiser
every $k$ ends in the true law. Under a cap they part.

**On the ramp** the process is linear. Write $m = (1 + k^2)(L - 1)$. Running down, the
mean grows as $x_L (\sigma_L/\sigma)^m$, and the variance $V$ of what the noise adds obeys
$-\sigma \frac{dV}{d\sigma} = 2 m V + 2 k^2 \sigma^2$ with $V(\sigma_L) = 0$. This is solved
by (put it in; $m > -1$)

$$
V(\sigma) = \frac{k^2 \sigma_L^2}{1 + m} \Big( \frac{\sigma_L}{\sigma} \Big)^{2m}
\big[ 1 - r^{2 + 2m} \big] , \qquad r = \frac{\sigma}{\sigma_L} ,
$$ (eq-slope-noise)

or, in words, $x(\sigma) = r^{-m} (x_L + \nu)$ with
$\operatorname{Var} \nu = \frac{k^2 \sigma_L^2}{1 + m} [1 - r^{2 + 2m}]$. *The noise moves
the start by a little, mostly in the first halving of $\sigma$; then the point leaves
the middle with exponent $m$ in place of $L - 1$.* For $k = 1$ it is twice as large.
The reason is the drift: to make up for its noise the process follows the score harder,
by the factor $1 + k^2$.
"""

# %%
age = sympy.Symbol("s", positive=True)  # log(sigma_L / sigma); sigma_L = 1
noisy, m = sympy.symbols("k m", positive=True)
slope = 1 + m / (1 + noisy**2)  # L, written by m


def added(power, c):
    """The mean, from 1, and the variance c (exp(2 power s) - exp(-2 s))."""
    mean = sympy.exp(power * age)
    return mean, c * (mean**2 - sympy.exp(-2 * age))


def moments_off(answer):
    """Residuals of the mean and of the variance, and V(0)."""
    mean, V = answer
    pull = sympy.cancel((1 + noisy**2) * (slope - 1))
    kick = 2 * noisy**2 * sympy.exp(-2 * age)
    rates = [mean.diff(age) - pull * mean, V.diff(age) - 2 * pull * V - kick]
    return sympy.Matrix([*map(sympy.expand, rates), V.subs(age, 0)])


# %% tags=["hide-input"]
noise_slips = {
    "the flow's exponent $L - 1$": added(slope - 1, noisy**2 / (1 + m)),
    "exponent $(1 + k^2) L - 1$": added(
        m + noisy**2, noisy**2 / (1 + m + noisy**2)
    ),
    "half of the noise, $k \\sqrt\\sigma\\, dW$": added(
        m, noisy**2 / (2 + 2 * m)
    ),
    "$m$ for $1 + m$": added(m, noisy**2 / m),
}

# %% tags=["hide-input"]
noise_claim = Claim(
    id="slope/noise",
    says=r"Where the slope is $L$, the process $dx = (1 + k^2) \frac{x - "
    r"D}{\sigma} d\sigma + k \sqrt{2 \sigma}\, d\bar W$ has the mean $x_L "
    r"(\sigma_L/\sigma)^m$ and the variance $\frac{k^2 \sigma_L^2}{1 + m} "
    r"(\sigma_L/\sigma)^{2m} [1 - (\sigma/\sigma_L)^{2 + 2m}]$, $m = (1 + "
    r"k^2)(L - 1)$.",
    papers=("024",),
    kind="symbolic",
    formula=added(m, noisy**2 / (1 + m)),
    controls=noise_slips,
    measure=moments_off,
)
check(noise_claim)

# %% [markdown]
r"""
**The whole process** leaves the ramp, and may come back. Two things can be said about
it.

*It keeps at least what the ramp alone would keep.* Drive $|x|$ under $\hat D$, and $|y|$
under $L y$ on the whole line, by the same noise, from the same start. Off the ramp
$\hat D = \mu < L x$, so the outward drift of $|x|$ is nowhere larger than that of $|y|$
at the same place, and $|x| \le |y|$ at all levels. Hence with $w = a\, r^m$ and
$\varsigma^2 = \sigma_L^2 + \operatorname{Var} \nu$

$$
H_k \ge \Phi\Big( \frac{w - \mu}{\varsigma} \Big)
- \Phi\Big( \frac{-w - \mu}{\varsigma} \Big) .
$$ (eq-slope-least)

*It has the same exponent.* Suppose $k > 0$ and $L > 1$, and take a level
$\varepsilon \ll \mu/L$. Below it, a path that stays on the ramp follows the linear law;
whatever its start, its density at the end is at most
$1/\sqrt{2\pi V}$, which is of the order of $(\sigma_{\min}/\varepsilon)^m / \varepsilon$. A path
that leaves the ramp at a level $\sigma < \varepsilon$ must come back against the drift, with
a noise of size $\sigma$; that has a chance of the order of $e^{-c/\sigma^2}$, and then
the power $(\sigma_{\min}/\sigma)^m$ is still to be paid. The sum over the levels is
$\sigma_{\min}^m$ times a number. So

$$
H_k \approx C_k\, r^{(1 + k^2)(L - 1)} \qquad (r \to 0)
$$ (eq-slope-doubled)

with a constant $C_k$ that has no short formula, as paths that return at levels near
$\sigma_L$ count in it.

For $L = 1$ the exponent is zero for every $k$: **noise does not free what a slope of 1
holds**. The bound says how much stays at least.

For the exact denoiser none of this is true, and it is good to see why. The linear law
with $L = \mu^2/\sigma^2$ would raise the small factor $e^{-\mu^2/2\sigma^2}$ to the power
$1 + k^2$, but the true law has that factor for every $k$. The cliff has the width
$\sigma^2/\mu$, less than the noise $\sigma$: paths do not stay on it but jump over it, to
and fro. The argument needs *a ramp that is wide against the noise*.

To check all this without the formulas we solve Kolmogorov's backward equation for
$v(x, \sigma)$, the chance to end within $a$ when at $x$ at level $\sigma$. With
$u = \log\sigma$

$$
\partial_u v = (1 + k^2)(D - x)\, \partial_x v + k^2 \sigma^2\, \partial_x^2 v ,
\qquad v = 1_{|x| < a} \text{ at } \sigma_{\min} ,
$$ (eq-slope-backward)

by Crank and Nicolson's method: with $A$ half a step of the right side, solve
$(1 - A) w = v$ and set $v \leftarrow 2 w - v$. $v$ is even, so $x \ge 0$ will do.
"""


# %% tags=["setup"]
def chance(D, k, a, low, high, n=1000, h=0.01, far=3.5):
    """x >= 0, and P(|x| < a at level low) for the process at x at high."""
    x = np.linspace(0, far, n + 1)
    v = np.clip((a - x) / x[1] + 0.5, 0, 1)  # its mean over each cell
    steps = round(math.log(high / low) / h)
    u, h = np.linspace(math.log(low), math.log(high), steps + 1, retstep=True)
    for s in np.exp(u[1:] - h / 2):
        drift = (1 + k**2) * (D(x, s) - x) / (2 * x[1])
        spread = (k * s / x[1]) ** 2 + 0 * x
        A = np.stack([spread + drift, -2 * spread, spread - drift]) * h / 2
        A[0, 0] *= 2  # even in x
        A[1:, -1] = 0  # the far end stands still
        A = np.stack([np.roll(A[0], 1), A[1], np.roll(A[2], -1)])
        A[1] -= 1
        v = 2 * linalg.solve_banded((1, 1), -A, v) - v
    return x, v


# %% tags=["setup"]
def trapped(D, k, a, low, high, **how):
    """The share within a at level low, from the true law at level high."""
    x, v = chance(D, k, a, low, high, **how)
    bell = stats.norm(0, high)
    return integrate.trapezoid((bell.pdf(x - 1) + bell.pdf(x + 1)) * v, x)


def noisy_share(L, k, low, **how):
    """The share under a ramp of slope L with noise k."""

    def D(x, s):
        return np.clip(L * x, -1, 1)

    return trapped(D, k, 0.9 / L, low, L**-0.5, **how)


# %% [markdown]
r"""
First the exact denoiser: with the drift's factor $1 + k^2$ noise changes nothing, with
any other it does. This also tests the solver.
"""

# %% tags=["hide-input"]
fine = {"n": 1600, "h": 0.004, "far": 5}


def disturbed(factor):
    """The largest relative change of the exact share, for a factor c(k)."""
    want = float(exact_share(tensor(0.3)))
    worst = 0.0
    for k in (0.5, 1.5):
        lift = factor(k) / (1 + k**2)  # the drift is (1 + k^2) (D - x)

        def D(x, s, lift=lift):
            return x + lift * (np.tanh(x / s**2) - x)

        got = trapped(D, k, 0.09 * math.atanh(0.9), 0.3, 1.0, **fine)
        worst = max(worst, abs(got / want - 1))
    return worst


# %% tags=["hide-input"]
unharmed_claim = Claim(
    id="slope/unharmed",
    says=r"With the exact denoiser the share is that of the flow for every "
    r"$k$: the process with the drift $(1 + k^2) (x - D)/\sigma$ keeps the "
    r"law (two points, $\delta = 0.1$, $\sigma_{\min} = 0.3$, $k = 1/2, "
    r"3/2$).",
    papers=("024",),
    kind="exact",
    formula=lambda k: 1 + k**2,
    controls={
        "the flow's drift, with noise": lambda k: 1.0,
        "$1 + k$": lambda k: 1 + k,
        "$k = 1$'s drift for all": lambda k: 2.0,
    },
    measure=disturbed,
    tol=1e-3,
    because="set after measuring: 1,600 cells, steps of 0.004 in log sigma",
)
check(unharmed_claim)

# %% [markdown]
r"""
Now the ramp: the exponent over one halving of $\sigma_{\min}$, far down.
"""

# %% tags=["hide-input"]
walks = [(1.0, 1.0), (1.5, 1.0), (2.0, 0.5), (2.0, 1.0), (3.0, 0.5)]


def exponents(m):
    """An exponent for all pairs of slope and noise."""
    return lambda: tensor([m(L, k) for L, k in walks])


@functools.cache
def fallen(L, k):
    """log2 of the share's fall over the ninth halving of the noise."""
    h = math.log(2) / 64
    high, low = (noisy_share(L, k, L**-0.5 / n, h=h) for n in (256, 512))
    return math.log2(high / low)


# %% tags=["hide-input"]
doubled_slips = {
    "the flow's exponent $L - 1$": exponents(lambda L, k: L - 1),
    "$(1 + k)(L - 1)$": exponents(lambda L, k: (1 + k) * (L - 1)),
    "$(1 + k^2) L - 1$": exponents(lambda L, k: (1 + k**2) * L - 1),
    "$L - 1 + k^2$": exponents(lambda L, k: L - 1 + k**2),
}

# %% tags=["hide-input"]
doubled_claim = Claim(
    id="slope/doubled",
    says=r"Under a slope capped at $L$ the share of the process with noise "
    r"$k > 0$ falls as $\sigma_{\min}^m$ with $m = (1 + k^2)(L - 1)$ (two "
    r"points, from $\sigma_{\min} = \sigma_L/256$ to $\sigma_L/512$; $(L, "
    r"k) = (1, 1)$, $(1.5, 1)$, $(2, \frac12)$, $(2, 1)$, $(3, \frac12)$).",
    papers=("024",),
    kind="exact",
    formula=exponents(lambda L, k: (1 + k**2) * (L - 1)),
    controls=doubled_slips,
    tol=9e-5,
    because="set after measuring: the law is of leading order, steps of 0.01",
    truth=exponents(fallen),
)
check(doubled_claim)

# %% tags=["hide-input"]
corners = [
    (L, k, s) for L in (1.0, 1.5, 2.0) for k in (0.5, 1) for s in (0.2, 0.02)
]


def least_share(L, k, low, m=None, wide=1.0):
    """The bound: the linear process on the whole line."""
    m = (1 + k**2) * (L - 1) if m is None else m
    r = low * L**0.5
    spread = (1 + wide * k**2 / (1 + m) * (1 - r ** (2 + 2 * m))) / L
    return float(between(0.9 / L * r**m, spread**0.5))


@functools.cache
def walked(L, k, low):
    """The share of the whole process."""
    return noisy_share(L, k, low, h=0.015)


# %% tags=["hide-input"]
def exceeds(bound):
    """By how much a lower bound is above the share, at most."""
    return max(max(bound(*c) / walked(*c) - 1, 0.0) for c in corners)


# %% tags=["hide-input"]
least_slips = {
    "the flow's exponent": lambda L, k, s: least_share(L, k, s, L - 1),
    "the spread grows as the mean does, $\\varsigma^2 = \\sigma_L^2 "
    "r^{-2m}$": lambda L, k, s: least_share(L, k, s, 0.0),
}

# %% tags=["hide-input"]
least_claim = Claim(
    id="slope/least",
    says=r"With noise $k$ the share is at least $\Phi((w - \mu)/\varsigma) - "
    r"\Phi((-w - \mu)/\varsigma)$, $w = \frac{\mu (1 - \delta)}{L} r^m$, "
    r"$\varsigma^2 = \sigma_L^2 [1 + \frac{k^2}{1 + m} (1 - r^{2 + 2m})]$; "
    r"at $L = 1$ it does not fall to 0 (two points, $L = 1, 1.5, 2$, $k = "
    r"\frac12, 1$, $\sigma_{\min} = 0.2, 0.02$).",
    papers=("024",),
    kind="exact",
    formula=least_share,
    controls=least_slips,
    measure=exceeds,
    tol=1e-3,
    because="set after measuring: the bound itself is not tight",
    scale="a bound: the share may be larger by any amount",
)
check(least_claim)

# %% mystnb={"figure": {"caption": "The share between the modes against the last noise level, slope capped at 2, for the flow ($k = 0$) and with noise $k$. Thin: the lower bound, the ramp's law on the whole line.", "name": "fig-slope-noise"}, "image": {"alt": "Three lines fall to the right on logarithmic axes. That of the flow has slope 1, that of noise one half slope 1.25, that of noise 1 slope 2. A thin grey line runs closely below each of the noisy ones."}}
figure, ax = figures.canvas(
    "Noise multiplies the exponent by $1 + k^2$", height=3.2
)
lows = np.logspace(-0.5, -2.3, 9).tolist()
colours = (figures.LEARNED, *figures.time_colours(3)[1:])
for k, c in zip((0, 0.5, 1), colours, strict=True):
    least = [least_share(2.0, k, s) for s in lows]  # exact for k = 0
    curve = (
        [noisy_share(2.0, k, s, n=600, h=0.02) for s in lows] if k else least
    )
    ax.plot(lows, curve, color=c)
    if k:
        ax.plot(lows, least, color=figures.NOISE, lw=0.8)
    figures.label_line(ax, lows[-1], curve[-1], f"$k = {k:g}$", c)
ax.set(xscale="log", yscale="log", xlim=(lows[0], lows[-1]))
ax.set(xlabel="last noise level $\\sigma_{\\min}$", ylabel="share")
plt.show()

# %% [markdown]
r"""
At the left, close to $\sigma_L$, noise gains little; its lead then grows as a power. So
with the same smooth score and fine steps DDPM hallucinates less than DDIM, and the
ratio of the shares is a power of the last noise level. That DDIM gets stuck between two
modes of a mixture, and that noise frees it, is the finding of {cite}`ashiq2026ddim`.
Under a cap it has an exponent, and a limit: at slope 1, and for profiles with
[a bounded integral](#eq-slope-law), the exponent is zero, and noise gains a factor at
most.

## Whose error is it?

Few steps leave points between the modes too, [with the exact score](gap.ipynb). In this
world the two errors can be compared. A DDIM step from level $\sigma$ to $q\sigma$,
$0 < q < 1$, is

$$
x' = q\, x + (1 - q)\, D(x, \sigma)
$$ (eq-slope-ddim)

(here also Euler's step in $\sigma$). If $D$ does not decrease in $x$, and neither the
exact denoiser nor our ramps do, the map increases however large the step. So on the line
masses can be read off the edges at any number of steps. In the middle the step
multiplies distances by $1 + (L(\sigma) - 1)(1 - q)$, and instead of
[the slope law](#eq-slope-law) we get

$$
q_N(0) = p_\tau(0) \prod_i
\frac{1}{1 + \big(L(\sigma_i) - 1\big)(1 - q_i)} ,
$$ (eq-slope-steps)

the product over the steps, $\sigma_i$ the level where step $i$ asks. Compare one step
with the flow under a constant slope, which multiplies by $q^{1 - L}$. The step does
what the flow does under the slope

$$
L_q = 1 + \frac{\log\big( 1 + (L - 1)(1 - q) \big)}{\log (1/q)}
\le L .
$$ (eq-slope-effective)

(The function $q^{1 - L}$ is convex for $L \ge 1$, so it lies above its tangent at
$q = 1$, which is $1 + (L - 1)(1 - q)$.) As $L \to \infty$ this grows like $\log L$ only:
**a large step is itself a cap on the slope**. A smooth score and a coarse grid do the
same thing to a sample, and a single run can not tell them apart.
"""

# %%
grids = [(kind, N) for kind in kinds for N in (10, 40)]


def stretch(gain):
    """log of how much N steps stretch the middle, for all kinds."""
    out = []
    for kind, N in grids:
        ts = tables.by_nsr(edm, HIGH, stops[kind], N)
        slope = kinds[kind][1](ts[:-1])
        out.append(gain(slope, ts[1:] / ts[:-1]).log().sum())
    return torch.stack(out)


# %%
@functools.cache
def stretched():
    """The same by the sampler, from two starts 2e-6 apart."""
    out = []
    for kind, N in grids:
        table = tables.ddim(edm, tables.by_nsr(edm, HIGH, stops[kind], N))
        x = solvers.solve(table, kinds[kind][0], tensor([[-1e-6], [1e-6]]))
        out.append((x.diff(dim=0)[0, 0] / 2e-6).log())
    return torch.stack(out)


# %% tags=["hide-input"]
steps_slips = {
    "the flow's $q^{1 - L}$": lambda: stretch(lambda L, q: q ** (1 - L)),
    "Euler in $\\log\\sigma$: $1 + (L - 1) \\log(1/q)$": lambda: stretch(
        lambda L, q: 1 + (L - 1) * (1 / q).log()
    ),
    "$L$ for $L - 1$": lambda: stretch(lambda L, q: 1 + L * (1 - q)),
    "the weights exchanged, $q$ for $1 - q$": lambda: stretch(
        lambda L, q: 1 + (L - 1) * q
    ),
}

# %% tags=["hide-input"]
steps_claim = Claim(
    id="slope/steps",
    says=r"$N$ steps of DDIM stretch the middle by $\prod_i [1 + "
    r"(L(\sigma_i) - 1)(1 - q_i)]$, $q_i = \sigma_{i+1}/\sigma_i$: its "
    r"logarithm for a capped guess, a capped noise prediction, a frozen "
    r"field, an average over a kernel, and the exact denoiser (two points, "
    r"$N = 10, 40$).",
    papers=("024",),
    kind="exact",
    formula=lambda: stretch(lambda L, q: 1 + (L - 1) * (1 - q)),
    controls=steps_slips,
    tol=1e-8,
    because="the denoisers bend: a tanh at 1e-4 by 3e-9",
    truth=stretched,
)
check(steps_claim)

# %% [markdown]
r"""
What tells them apart is *refinement*. Under a cap, with $N$ equal ratios
$q = r^{1/N}$ on the ramp and $\ell = \log(1/r)$, put
$1 - q = \frac{\ell}{N} - \frac{\ell^2}{2N^2} + \dots$ into the logarithm of the gain:

$$
N \log\big( 1 + (L - 1)(1 - q) \big)
= (L - 1)\, \ell - \frac{L (L - 1)\, \ell^2}{2 N} + O(N^{-2}) .
$$ (eq-slope-first)

So the solver multiplies the share by about $e^{L (L - 1) \ell^2 / (2N)}$. That factor
goes to 1, and what remains is $H$, the score's share. For the exact denoiser the limit
is the true mass. This gives a rule:

> Keep the last noise level and the margin. Measure the share at $N$, $2N$ and $4N$
> steps. Extrapolate,
>
> $$ E = \tfrac13 \big( 8 H_{4N} - 6 H_{2N} + H_N \big) . $$
>
> $E$, less the mass that the true law has there, is the error of the score. $H_N - E$
> is the error of the solver.

(Where $H_N = E + c_1/N + c_2/N^2$ up to higher powers, $2 H_{2N} - H_N$ is off by
$-\frac12 c_2/N^2$ and $2 H_{4N} - H_{2N}$ by a quarter of that. Four times the second
less the first, over three, is $E$.) $N$ is large enough once
$H_{2N} - H_{4N}$ is about one half of $H_N - H_{2N}$; by the formula that needs
more than $L (L - 1) \ell^2$ steps below $\sigma_L$.

A third knob is neither: the last noise level. Lowering it shrinks $E$ if the slope stays
above 1, and raises the number of steps that the rule needs, as $\ell^2$.
"""

# %%
step = sympy.Symbol("h", positive=True)


def second_order(c):
    """The h^2 term of log(1 + (L - 1)(1 - exp(-h))), less c."""
    gain = sympy.log(1 + (top - 1) * (1 - sympy.exp(-step)))
    return gain.diff(step, 2).subs(step, 0) / 2 - c


# %% tags=["hide-input"]
first_claim = Claim(
    id="slope/first-order",
    says=r"A step of DDIM from $\sigma$ to $\sigma e^{-h}$ on a ramp of "
    r"slope $L$ gains $(L - 1) h - \frac12 L (L - 1) h^2$ in $\log x$, up "
    r"to $h^3$: the term of order $h^2$.",
    papers=("024",),
    kind="symbolic",
    formula=-top * (top - 1) / 2,
    controls={
        "$(L - 1)^2$: Euler in $\\log\\sigma$": -((top - 1) ** 2) / 2,
        "$L^2$": -(top**2) / 2,
        "without the one half": -top * (top - 1),
        "the other sign": top * (top - 1) / 2,
    },
    measure=second_order,
)
check(first_claim)

# %% [markdown]
r"""
Now the rule on whole runs, from $\sigma = 20$ to $\sigma_{\min} = 0.05$, with the field
that is exact above $\sigma_L$ and capped below. $N$ steps lie on either side of
$\sigma_L$, so that nothing but the step size changes with $N$. The gap is that of the
guess under the cap, $|x| < (1 - \delta) \mu/L$, for both fields. Shares are exact, by
`solvers.preimages` of the edge.
"""


# %% tags=["setup"]
def both(L):
    """Exact above sigma_L, the ramp below."""

    def D(x, t):
        low = t <= 1.000001 * L**-0.5  # the level itself counts as below
        return (L * x).clamp(-1, 1) if low else cliff(x, t)

    return D


def share_of(D, N, L=2.0, low=0.05, d=0.1):
    """The share of DDIM with N steps above sigma_L and N below."""
    upper = tables.by_nsr(edm, 20.0, L**-0.5, N)
    ts = torch.cat([upper, tables.by_nsr(edm, L**-0.5, low, N)[1:]])
    edge = tensor([(1 - d) / L])
    x = solvers.preimages(tables.ddim(edm, ts), D, edge, 0.0, 150.0)
    return between(x[0], 20.0)


# %%
counts = (2, 4, 8, 16, 32, 64, 128)
pair = {"exact": cliff, "capped": both(2.0)}
runs = {name: [share_of(D, N) for N in counts] for name, D in pair.items()}

# %% mystnb={"figure": {"caption": "The share that DDIM leaves in the gap against the number of steps, for the exact denoiser (grey) and with its slope capped at 2 (blue). Dashed: the closed form of the capped flow. Ochre: what the solver adds to it.", "name": "fig-slope-refine"}, "image": {"alt": "Three falling curves on logarithmic axes. The grey one drops out of the picture before 32 steps. The blue one levels off at a dashed line. The ochre one, its distance from that line, goes on falling in a straight line of slope minus one."}}
figure, ax = figures.canvas(
    "Refine the grid: what stays is the score's", height=3.2
)
total = 2 * np.array(counts)
level_2 = float(share(2.0, 0.05))
capped = tensor(runs["capped"])
ax.plot(total, runs["exact"], "o-", ms=4, color=figures.EXACT)
ax.plot(total, capped, "o-", ms=4, color=figures.LEARNED)
ax.plot(total, capped - level_2, "o-", ms=4, color=figures.SECOND)
ax.axhline(level_2, color=figures.LEARNED, lw=0.8, ls="--")
ax.text(10, 1e-4, "exact score", color=figures.EXACT, ha="left")
figures.label_line(ax, total[-1], 1.7 * capped[-1], "capped", figures.LEARNED)
figures.label_line(
    ax, total[-1], capped[-1] - level_2, "solver's part", figures.SECOND
)
ax.set(xscale="log", yscale="log", ylim=(1e-6, 1), xlabel="steps")
ax.set(ylabel="share in the gap", xticks=total, xticklabels=total)
ax.minorticks_off()
plt.show()

# %% tags=["hide-input"]
slopes_3 = (1.5, 2.0, 2.5)


@functools.cache
def three(L):
    """The shares at 64, 128 and 256 steps on either side, capped at L."""
    return [share_of(both(L), N, L) for N in (64, 128, 256)]


def extrapolated(rule):
    """What a rule makes of them, over the closed form, for all slopes."""
    return lambda: torch.stack(
        [rule(*three(L)) / share(L, 0.05) for L in slopes_3]
    )


# %% tags=["hide-input"]
refine_slips = {
    "the finest run alone": extrapolated(lambda a, b, c: c),
    "second order assumed, $(4 H_{4N} - H_{2N})/3$": extrapolated(
        lambda a, b, c: (4 * c - b) / 3
    ),
    "$2 H_{2N} - H_{4N}$": extrapolated(lambda a, b, c: 2 * b - c),
}

# %% tags=["hide-input"]
refine_claim = Claim(
    id="slope/refine",
    says=r"The shares of DDIM under a capped slope at $N$, $2N$ and $4N$ "
    r"steps extrapolate to the closed form of the flow, $\frac13 (8 H_{4N} "
    r"- 6 H_{2N} + H_N) = H$: the ratio is 1 (two points, $L = 1.5, 2, "
    r"2.5$, from $\sigma = 20$ to $0.05$, $N = 128$, half of the steps on "
    r"either side of $\sigma_L$).",
    papers=("024",),
    kind="exact",
    formula=extrapolated(lambda a, b, c: (8 * c - 6 * b + a) / 3),
    controls=refine_slips,
    tol=9e-5,
    because="set after measuring: the next term of the expansion, order N^-3",
    truth=lambda: torch.ones(3, dtype=torch.float64),
)
check(refine_claim)

# %% [markdown]
r"""
The grey line falls out of the picture; the blue one bends and stays. What a finer grid
can still win under the cap is the ochre line, of slope $-1$ in the end. To the right of
the place where it leaves the blue one, most of the share is the score's, and steps win
next to nothing.

The rule works on samples as well, if all three runs share their starts; then the number
of samples in the gap limits it. A chain with noise also has an error of first order in
$1/N$, and there the counts are the limit.

A last sign of a bad score is the guess itself. On the ramp $\hat x_0 = L x$, which
still grows as $\sigma^{1 - L}$ when the run ends, while the guess of a sample that has
arrived stands still. [The detector](detector.ipynb) asks how much that is worth.

## What this does not show

- *That a trained net has a cap.* The cap, the frozen field, the average over a kernel
are caricatures. A net has some slope at each level, and
[the law](#eq-slope-law) takes it as it is; why training leaves it too small is not
explained here. [The nets](nets.ipynb) are measured.
- *That the number of data does not matter.* It does not enter at a given slope. It may
well act on the slope.
- *More than the line.* Between two modes in the plane a flow line may also leave
sideways, and the transverse slopes enter by the divergence.
[The lattice](lattice.ipynb) looks at that.
- *Errors far from the middle.* Our fields are exact above $\sigma_L$ and answer $\pm\mu$
outside of the ramp. An error of the score before $\sigma_L$ changes $p_\tau(0)$, and so
the share, by its own factor.
- *That noise is always better.* It multiplies an exponent. At a large last level, on a
coarse grid, or at a slope near 1 it gains little.
- *What hallucination means for pictures.* Here it is mass between two points. A hand with
six fingers is another matter, of which this is one possible cause.

## Exercises

**1.** A capped slope $L > 1$ and a flow that runs to a small $\sigma_{\min}$. By what
factor must $\sigma_{\min}$ be lowered to divide the share by `c`? Both arguments are
tensors of the same shape.
"""

# %%
goals = {
    "L": tensor([1.5, 2.0, 3.0, 1.5, 2.5]),
    "c": tensor([10.0, 10.0, 10.0, 2.0, 100.0]),
}


def factor_by_search(L, c):
    """From the closed form of the share, by bisection, below 0.0001."""
    out = []
    for slope, times in zip(L.tolist(), c.tolist(), strict=True):

        def excess(u, slope=slope, times=times):
            ratio = share(slope, 1e-4) / share(slope, 1e-4 * math.exp(-u))
            return float(ratio.log()) - math.log(times)

        out.append(math.exp(optimize.brentq(excess, 0.0, 8.0)))
    return tensor(out)


# %% tags=["hide-input"]
factor_wrong = {
    "exponent L for L - 1: the noise level shrinks as well": lambda L, c: (
        c ** (1 / L)
    ),
    "the power for its inverse: the share is the power of the level": (
        lambda L, c: c ** (L - 1)
    ),
    "with the noise of DDPM, the exponent is 2 (L - 1)": lambda L, c: (
        c ** (1 / (2 * L - 2))
    ),
}

# %% tags=["hide-input"]
factor_exercise = Claim(
    id="slope/factor-exercise",
    says="the factor on the last noise level that divides the share by c",
    papers=("024",),
    kind="exact",
    formula=None,
    controls=factor_wrong,
    tol=1e-3,
    because="the power law is of leading order at 0.0001",
    at=goals,
    truth=factor_by_search,
)


# %% tags=["solution", "hide-cell"]
def lowering(L, c):
    """The share goes as the level to the power L - 1."""
    return c ** (1 / (L - 1))


# %%
attempt(factor_exercise, lowering)

# %% [markdown]
r"""
**2.** *Derive.* A training set has the share `p` of its points at $+1$ and the others
at $-1$. Under [the cap around its steepest point](#eq-slope-odds), which share of the
samples ends at $+1$ as $\sigma_{\min} \to 0$? (It is not `p`. Which point separates
those that go up from those that go down?) `p` and `L` are tensors of the same shape;
`ndtr` is $\Phi$.
"""

# %%
sides = {
    "p": tensor([0.3, 0.7, 0.45, 0.2, 0.9]),
    "L": tensor([1.6, 2.0, 3.0, 2.0, 4.0]),
}


def up_by_flow(p, L):
    """The mass above the point to which the flow upwards brings the ramp."""
    out = []
    for w, slope in zip(p.tolist(), L.tolist(), strict=True):
        s, c = slope**-0.5, -math.log(w / (1 - w)) / (2 * slope)
        D = fields.clipped(lambda x, t, L=slope, c=c: L * (x - c), -1, 1)
        x = along(D, tensor([c]), 1e-16, s)
        law = laws.mixture(ends, s * s, tensor([1 - w, w]))
        out.append(1 - laws.cdf(law, x[:, None])[0])
    return torch.stack(out)


# %% tags=["hide-input"]
def above(x, p, L):
    """The mass above x at sigma_L."""
    s = L.sqrt()
    return p * ndtr(s * (1 - x)) + (1 - p) * ndtr(-s * (1 + x))


# %% tags=["hide-input"]
up_wrong = {
    "the share of the points: right for the exact denoiser": lambda p, L: p,
    "cut at 0, where nothing stands still": lambda p, L: above(0 * p, p, L),
    "cut at the steepest point, which still moves": lambda p, L: above(
        -(p / (1 - p)).log() / (2 * L), p, L
    ),
    "the sign: the rare mode gets less": lambda p, L: above(
        (p / (1 - p)).log() / (2 * L - 2), p, L
    ),
}

# %% tags=["hide-input"]
up_exercise = Claim(
    id="slope/up-exercise",
    says="the share of samples that end at +1 under a capped slope",
    papers=("024",),
    kind="exact",
    formula=None,
    controls=up_wrong,
    tol=1e-6,
    because="the ramp contracts by 1e-9 on the way up",
    at=sides,
    truth=up_by_flow,
)


# %% tags=["solution", "hide-cell"]
def going_up(p, L):
    """The mass at sigma_L above the point x = L (x - x_c) that stays."""
    stays = -(p / (1 - p)).log() / (2 * (L - 1))
    s = L.sqrt()
    return p * ndtr(s * (1 - stays)) + (1 - p) * ndtr(-s * (1 + stays))


# %%
attempt(up_exercise, going_up)

# %% [markdown]
r"""
So a smooth score makes the rare mode rarer as well: the ramp sends part of its own
points to the other one.

**3.** *Derive.* Start DDIM at $\sigma_L$ from the true law there, under the ramp of slope
`L`, and let it take `N` steps of equal ratio down to `low`. What is its share
$P(|\hat x_0| < 0.9)$? Numbers in, a tensor without shape out; `between(w, s)` is at
hand.
"""

# %% tags=["hide-input"]
some_runs = [
    (L, s, N) for L in (1.5, 2.0, 3.0) for s, N in ((0.1, 5), (0.02, 20))
]


def each(f):
    """An answer for all runs."""
    return torch.stack(
        [torch.as_tensor(f(*run)).reshape(()) for run in some_runs]
    )


# %% tags=["hide-input"]
@functools.cache
def ddim_truth():
    """By the preimages of the edge."""

    def one(L, low, N):
        table = tables.ddim(edm, tables.by_nsr(edm, L**-0.5, low, N))
        edge = tensor([0.9 / L])
        x = solvers.preimages(table, ramp(L), edge, 0.0, 10.0)
        return between(x[0], L**-0.5)

    return each(one)


# %% tags=["hide-input"]
def by_gain(gain):
    """The share, from the gain of one step to the fraction q."""

    def f(L, low, N):
        q = (low * L**0.5) ** (1 / N)
        return between(0.9 / L / gain(L, q) ** N, L**-0.5)

    return f


# %% tags=["hide-input"]
def off_runs(answer):
    """The largest difference over the largest share."""
    return float(
        (each(answer) - ddim_truth()).abs().max() / ddim_truth().max()
    )


ddim_wrong = {
    "the flow's growth: right for N to infinity": by_gain(
        lambda L, q: q ** (1 - L)
    ),
    "Euler's step in log sigma; DDIM's is one in sigma": by_gain(
        lambda L, q: 1 - (L - 1) * math.log(q)
    ),
    "q and 1 - q exchanged": by_gain(lambda L, q: 1 - q + L * q),
    "the part q x of the step forgotten": by_gain(lambda L, q: L * (1 - q)),
}

# %% tags=["hide-input"]
ddim_exercise = Claim(
    id="slope/ddim-exercise",
    says="the share that N steps of DDIM leave on a ramp",
    papers=("024",),
    kind="exact",
    formula=None,
    controls=ddim_wrong,
    tol=1e-9,
    because="edges to the last digits of a double",
    measure=off_runs,
)


# %% tags=["solution", "hide-cell"]
def few_steps(L, low, N):
    """Each step multiplies x by q + (1 - q) L on the ramp."""
    q = (low * L**0.5) ** (1 / N)
    return between(0.9 / L / (q + (1 - q) * L) ** N, L**-0.5)


# %%
attempt(ddim_exercise, few_steps)

# %% [markdown]
r"""
**4.** *An experiment.* The exact denoiser is averaged over a Gaussian kernel of fixed
width `h`. Measure the exponent with which the density in the middle falls as
$\sigma_{\min} \to 0$, for some widths: run two close starts to two small noise levels,
with `along` and a kernel of your own. Then find the formula. `h` is a tensor. For which
`h` does the density grow?
"""

# %% tags=["hide-input"]
widths = {"h": tensor([0.2, 0.35, 0.5, 0.7, 1.2])}
nodes, node_weights = solvers.panels(even(-20, 20, 81), 8)


def exponent_by_flow(h):
    """log2 of the growth of a tiny x from noise level 0.002 to 0.001."""
    out = []
    for width in h.tolist():

        def D(x, t, width=width):
            z = nodes * t / width * t  # the kernel's xi, times t^2 / h
            bell = (-(z**2) / 2).exp() * t**2 / width / math.sqrt(2 * math.pi)
            rise = (x / t**2 + nodes).tanh() - nodes.tanh()
            return (rise * bell * node_weights).sum(-1, keepdim=True)

        x = along(D, tensor([1e-10]), 0.002, 0.001)
        out.append((x[0] / 1e-10).log2())
    return torch.stack(out)


# %% tags=["hide-input"]
kernel_wrong = {
    "the slope for the exponent: L, not L - 1": lambda h: (
        math.sqrt(2 / math.pi) / h
    ),
    "the exact slope at the level sigma = h": lambda h: h**-2 - 1,
    "a step averaged over a box: its slope is 1/h": lambda h: 1 / h - 1,
    "one half of the step, from 0 to 1": lambda h: (
        1 / (h * math.sqrt(2 * math.pi)) - 1
    ),
}

# %% tags=["hide-input"]
kernel_exercise = Claim(
    id="slope/kernel-exercise",
    says="the exponent of the density in the middle under a fixed kernel",
    papers=("024",),
    kind="exact",
    formula=None,
    controls=kernel_wrong,
    tol=1e-4,
    because="the limit is reached to order (sigma^2/h)^2",
    at=widths,
    truth=exponent_by_flow,
)


# %% tags=["solution", "hide-cell"]
def kernel_power(h):
    """A step from -1 to 1 under a Gaussian of width h, less the 1 of x."""
    return math.sqrt(2 / math.pi) / h - 1


# %%
attempt(kernel_exercise, kernel_power)

# %% [markdown]
r"""
**5.** *On a trained net.* Load the five nets of [the line](nets.ipynb), take the
derivative of their guess along the flow line that ends in the middle of a gap, and put
the slopes into [the law](#eq-slope-law). How close is $2 a\, q$ to the share that is
found there? Is any of the slopes ever as large as
[what the truth needs](#eq-slope-needed)?

## Summary

| what | formula | in `diffkit` |
|---|---|---|
| steepest slope, two points | $\mu^2/\sigma^2$, for any weights | `World.denoise` |
| two modes of width $s$ | at most $(s^2 + \mu^2)^2/(4 s^2 \mu^2)$ | |
| window of a capped slope | $w = \frac{\mu(1-\delta)}{L} (\sigma_{\min}/\sigma_L)^{L-1}$, $\sigma_L = \mu/\sqrt L$ | `fields.clipped` |
| share | $\Phi(\frac{w-\mu}{\sigma_L}) - \Phi(\frac{-w-\mu}{\sigma_L}) \propto \sigma_{\min}^{L-1}$ | `laws.mass` |
| any slope profile | $q(0) = p_\tau(0)\, e^{-\int (L - 1)\, d\sigma/\sigma}$ | |
| with noise $k$ | exponent $(1+k^2)(L-1)$ | `tables.ancestral` is $k = 1$ |
| steps of DDIM | $\prod 1/(1+(L-1)(1-q))$ for the exponential | `solvers.preimages` |
| the score's part | $\frac13(8 H_{4N} - 6 H_{2N} + H_N)$ | |

**Where next.** [The nets](nets.ipynb) have slopes of their own;
[the detector](detector.ipynb) watches the guess while it moves.
"""
