# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# One process, many dialects

DDPM, score SDEs, EDM and flow matching look like four theories. They are one
process, told in four ways, and that holds for every law of the data: we derive
why, find the places where the tellings really differ, and close with one
identity that makes "variational", "score" and "flow" three names of a number.

- **You need** Bayes' rule, integration by parts, and
[the dictionary](../start/notation.ipynb) of the four dialects, which has the
translations themselves.
- **You get** the reasons behind the dictionary: what any dialect knows about
the data, with which uncertainty, at which price, in nats; and a reading map.
- **Papers** 022, a survey that lays the frameworks side by side
{cite}`kazerouni2022medical`; 058, a monograph that derives them from one
velocity field {cite}`lai2025principles`.
- **Claims** for mixtures and for Gaussians, all named `dialects/...`.
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
import math
from functools import cache, partial

import matplotlib.pyplot as plt
import sympy
import torch
from numpy.polynomial import legendre
from torch.distributions import (
    Categorical,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

# %% [markdown]
r"""
And the book's own package:
"""

# %% tags=["setup"]
from diffkit import (
    fields,
    figures,
    information,
    laws,
    metrics,
    paths,
    shapes,
    tables,
    worlds,
)
from diffkit.claims import Claim, attempt, check

# %% [markdown]
r"""
## Why are all paths one world?

A path mixes data and noise, $x_t = a\, x_0 + g\, z$, with
$z \sim \mathcal N(0, I)$ independent of $x_0$ in $d$ dimensions. Let
$(a', g')$ be the coefficients of another path at some other time. If both have
the same noise-to-signal ratio $\sigma = g/a = g'/a'$, with $a, a' > 0$, then
with the *same* $x_0$ and the *same* $z$

$$
x' = a' (x_0 + \sigma z) = r\, x, \qquad r = a' / a .
$$ (eq-dialects-same)

So the triple $(x_0, z, x)$ of one path becomes that of the other by
multiplying its last entry with a number that we know. To condition on $x$ is
to condition on $r x$. No more than that is needed, and nothing was assumed
about the law of $x_0$:

$$
\begin{aligned}
\operatorname{law}(x_0, z \mid x) &= \operatorname{law}(x_0, z \mid x' = r x), \\
p(x) &= r^{d}\, p'(r x), \qquad
\nabla \log p(x) = r\, \nabla \log p'(r x).
\end{aligned}
$$ (eq-dialects-pay)

*Whatever is a property of the pair $(x_0, z)$ given the picture*, the denoiser,
the mean noise, the posterior covariance, the information, *is the same
function in every dialect*. Whatever is differentiated in $x$ pays a factor $r$
for each derivative, and a density pays the volume $r^d$. The dictionary has
the case [$a' = 1$](../start/notation.ipynb); here we let any path answer for
any other, one of them with a signal that first grows and then shrinks.
Samplers profit too: in the coordinates $x/a$ and $g/a$ the flow is the same, and
DDIM is Euler's step there ([both in the dictionary](../start/notation.ipynb)).
The singular cases: at $a = 0$ the ratio is infinite and only a path that also has
$a' = 0$ can answer; at $g = 0$ a law without density has no score in any
dialect.

The data: three Gaussians in the plane with unequal weights and full
covariances, one of them flat, so that its density exists only with noise on
it. The odd path is shown.
"""

# %% tags=["setup"]
W = torch.tensor([0.5, 0.3, 0.2]).double()
M = torch.tensor([[-1.5, 0.4], [1.0, 1.2], [0.6, -1.4]]).double()
C = torch.tensor(
    [
        [[0.5, 0.2], [0.2, 0.3]],
        [[0.2, -0.1], [-0.1, 0.4]],
        [[0.3, 0.3], [0.3, 0.3]],
    ]
).double()
joint, eye = laws.mixture(M, C, W), torch.eye(2).double()
up = "1 + sin(5*t)/2"
odd = paths.Path(up, 0, f"16*t**4*({up})**2", 1.0, "odd")
three = (paths.vp(), paths.edm(), paths.one_sided())
four = (*three, odd)
four[3]

# %% [markdown]
r"""
The ruler is torch's own mixture density with its first and second derivatives
by automatic differentiation; it shares no code with `diffkit`. It is used at
forty noise-to-signal ratios from a twentieth to three and a half, each looked
up on each path, and at each a point of the world.
"""


# %% tags=["setup"]
def density(x, a, g):
    """log p(x) for x = a x0 + g z. x: (n, 2); a, g: (n, 1)."""
    a, g = a.reshape(-1, 1, 1), g.reshape(-1, 1, 1)
    V = a.unsqueeze(-1) ** 2 * C + g.unsqueeze(-1) ** 2 * eye
    weights = Categorical(W.expand(len(x), 3))
    return MixtureSameFamily(weights, MultivariateNormal(a * M, V)).log_prob(
        x
    )


def by_autograd(x, a, g):
    """The score (n, 2) and the Hessian of log p (n, 2, 2)."""
    x = x.clone().requires_grad_()
    s = torch.autograd.grad(density(x, a, g).sum(), x, create_graph=True)[0]
    rows = [
        torch.autograd.grad(s[:, i].sum(), x, retain_graph=True)[0]
        for i in (0, 1)
    ]
    return s.detach(), torch.stack(rows, -2)


# %% tags=["setup"]
def column(u):
    """Numbers, one a point, as a column beside the points."""
    return u.unsqueeze(-1)


def stage(path, levels, seed):
    """A world, times, points x_t with these ratios, and a, g as columns."""
    world, t = worlds.World(path, joint), path.when(levels)
    x, c = world.draw(len(t), t, shapes.rng(seed))[2], path.at(t)
    return world, t, x, column(c.a), column(c.g)


ratios = torch.logspace(-1.3, 0.55, 40, dtype=torch.float64)
stages = [stage(path, ratios, i) for i, path in enumerate(four)]
hessians = [by_autograd(x, a, g) for _, _, x, a, g in stages]

# %% [markdown]
r"""
Every ordered pair of the four paths is tried. The density is compared in
nats, the score and the denoiser relatively.
"""


# %%
def translated(x, r, world, t, volume=2, pay=1, guess=0):
    """log p, score and denoiser at x, asked of another path at r x."""
    log_p = world.log_prob(r * x, t) + volume * r.squeeze(-1).log()
    score = r**pay * world.score(r * x, t)
    return log_p, score, r**guess * world.denoise(r * x, t)


def apart(got, want):
    """The largest difference, relative to the largest entry."""
    return (got - want).abs().max() / want.abs().max()


# %%
def over_pairs(translate):
    """The largest error over the ordered pairs of paths."""
    found = []
    for (_, _, x, a, g), (s, _) in zip(stages, hessians, strict=True):
        for world, t, _, b, _ in stages:
            log_p, score, D = translate(x, b / a, world, t)
            found += [(log_p - density(x, a, g)).abs().max()]
            found += [apart(score, s), apart(D, (x + g**2 * s) / a)]
    return max(found)


# %% tags=["hide-input"]
one_world_claim = Claim(
    id="dialects/one-world",
    says=r"For any law of $x_0$ and any two paths at times of equal $g/a$, "
    r"with $r = a'/a$: $p(x) = r^d p'(rx)$, $\nabla\log p(x) = r\, (\nabla"
    r"\log p')(rx)$, $D(x) = D'(rx)$ (a mixture in the plane, one part "
    r"flat; all pairs of `vp`, `edm`, `one_sided` and an odd path).",
    papers=("022", "058"),
    kind="exact",
    formula=translated,
    controls={
        "the score without $r$": partial(translated, pay=0),
        "$1/r$ for $r$ in the score": partial(translated, pay=-1),
        "the volume $r^d$ forgotten": partial(translated, volume=0),
        "the denoiser rescaled too": partial(translated, guess=1),
    },
    tol=2e-12,
    because="float64; times by bisection, noise variances down to 0.002",
    measure=over_pairs,
)
check(one_world_claim)

# %% [markdown]
r"""
## Is the whole journey the same, or only each moment?

So far we looked at one time. A *process* also says how the pictures at two
times hang together. The forward equation
$dx = f x\, dt + h\, dW$ with $f = \dot a/a$ and
$h^2 = a^2 \frac{d}{dt} \sigma^2$
([the dictionary](../start/notation.ipynb)) becomes, for $y = x/a$, by the
product rule $dy = h/a\; dW$: the drift is gone, and in a short time $y$
receives independent noise of variance $h^2/a^2\, dt = d\sigma^2$. So

$$
x_t = a_t \left( x_0 + B(\sigma_t^2) \right), \qquad
B \text{ a Brownian motion},
$$ (eq-dialects-brownian)

with *one* $B$ whose clock is the noise variance. All forward equations of the
literature are this one process, for every law of $x_0$: not only moment by
moment, but as journeys. (This needs a ratio $\sigma$ that never falls.)
A Brownian motion at two clock readings has the covariance
$\min(\sigma_s^2, \sigma_t^2)\, I$, so with $\Sigma = \operatorname{Cov} x_0$

$$
\operatorname{Cov}(x_s, x_t)
= a_s a_t \left( \Sigma + \min(\sigma_s^2, \sigma_t^2)\, I \right)
= \frac{a_t}{a_s} \operatorname{Cov}(x_s) \quad (s < t).
$$ (eq-dialects-joint)

Training code often does something else. It draws one $x_0$ and one $z$ and
takes $x_t = a_t x_0 + g_t z$ for whatever $t$. Each moment has the same law as
above, but with one $z$ for all times the covariance is
$a_s a_t \Sigma + g_s g_t I$, the journey in $y$ is a straight line, and any two
pictures of different $\sigma$ on it give $x_0$ away: two equations with two
unknowns. In
[the Brownian journey](#eq-dialects-brownian) a later picture adds nothing at
all to an earlier one, because it is that one, rescaled, plus noise that knows
nothing. **Equal moments do not make equal processes**; what a sampler does
between two times is a choice, which the fields do not fix.

The claim integrates $f$ and $h^2$ of the path numerically from moment to
moment, writes down the precision matrix of the whole chain, which is
tridiagonal because each link sees only its neighbours, and inverts it.
"""

# %%
nodes, mass = map(torch.from_numpy, legendre.leggauss(24))
unit, share = (nodes + 1) / 2, mass / 2  # Gauss-Legendre on (0, 1)


def link(path, s, t):
    """The factor and the added variance of the SDE, by quadrature."""
    u = s + (t - s) * unit
    later = column(u) + column(t - u) * unit
    grown = (path.sde(later).f * share).sum(-1) * (t - u)
    noise = (path.sde(u).h2 * torch.exp(2 * grown) * share).sum() * (t - s)
    return torch.exp((path.sde(u).f * share).sum() * (t - s)), noise


# %%
def chained(path, ts, v):
    """Cov(x_s, x_t) on a grid: the inverse of the chain's precision."""
    P = torch.zeros(len(ts), len(ts), dtype=torch.float64)
    P[0, 0] = 1 / v
    for n in range(len(ts) - 1):
        r, noise = link(path, ts[n], ts[n + 1])
        pair = torch.stack([-r, torch.ones_like(r)])
        P[n : n + 2, n : n + 2] += pair.outer(pair) / noise
    return torch.linalg.inv(P)


# %%
grid = torch.linspace(0, 3, 9, dtype=torch.float64)  # noise-to-signal ratios
spread = 0.7  # the variance of x0


def matrices(cov):
    """cov(a_s, a_t, sigma_s, sigma_t) on the grid, on four paths."""
    out = []
    for path in four:
        a = path.at(path.when(grid)).a
        out.append(cov(column(a), a, column(grid), grid))
    return torch.stack(out)


inverses = torch.stack([chained(q, q.when(grid), spread) for q in four])

# %% tags=["hide-input"]
joint_slips = {
    "one $z$ for all times": lambda a, b, s, t: a * b * (spread + s * t),
    "a new $z$ at every time": lambda a, b, s, t: (
        a * b * (spread + s * t * (s == t))
    ),
    "the larger noise, $\\max$ for $\\min$": lambda a, b, s, t: (
        a * b * (spread + torch.maximum(s, t) ** 2)
    ),
    "$a_s/a_t$ for $a_t/a_s$": lambda a, b, s, t: (
        a * b * (spread + torch.minimum(s, t) ** 2) * (a / b).where(s < t, 1)
    ),
}

# %% tags=["hide-input"]
joint_claim = Claim(
    id="dialects/joint",
    says=r"The process $dx = f x\, dt + h\, dW$ of a path has $\operatorname"
    r"{Cov}(x_s, x_t) = a_s a_t (v + \min(\sigma_s, \sigma_t)^2)$ with $v = "
    r"\operatorname{Var} x_0$ and $\sigma = g/a$ (per coordinate; `vp`, "
    r"`edm`, `one_sided` and an odd path, nine times).",
    papers=("022", "058"),
    kind="exact",
    formula=lambda: matrices(
        lambda a, b, s, t: a * b * (spread + torch.minimum(s, t) ** 2)
    ),
    controls={k: lambda f=f: matrices(f) for k, f in joint_slips.items()},
    tol=3e-14,
    because="24-point quadrature of smooth rates, one small dense inverse",
    truth=lambda: inverses,
)
check(joint_claim)

# %% [markdown]
r"""
Now watch. Each dialect runs its own recursion,
$x_t = \frac{a_t}{a_s} x_s + \sqrt{g_t^2 - (a_t/a_s)^2 g_s^2}\; \zeta$, with
its own coefficients at its own times; all get the same $\zeta$ at the same
noise-to-signal ratios. Two starts are drawn. In the last panel the three are
divided by their $a$ and put on the common clock, thick below thin; the dashed
lines there are journeys with one $z$ for all times.
"""

# %%
ladder = torch.linspace(0.01, 3, 240, dtype=torch.float64)
zetas = torch.randn(240, 2, generator=shapes.rng(11), dtype=torch.float64)
starts = torch.tensor([-1.2, 0.9]).double()


def journey(path):
    """The times, the coefficient a, and x_t from both starts."""
    t = path.when(ladder)
    c, x = path.at(t), []
    for n in range(len(t)):
        r = c.a[n] / c.a[n - 1] if n else c.a[0]
        before = x[-1] if n else starts
        noise = c.g2[n] - r**2 * c.g2[n - 1] if n else c.g2[0]
        x.append(r * before + noise.sqrt() * zetas[n])
    return t, column(c.a), torch.stack(x)


# %% mystnb={"figure": {"caption": "The forward process from two starts, as three dialects run it on their own clocks. Last panel: all six curves divided by $a$, against $g/a$; the dialects are drawn with three widths because they coincide. Dashed: two journeys with one $z$ for all times.", "name": "fig-dialects-collapse"}, "image": {"alt": "Four panels. In the first three, a pair of jagged random curves looks different: shrinking into a band for VP, widening for EDM, in between for the straight path. In the fourth, all curves of the three dialects lie exactly on one pair of curves; two straight dashed lines start at the same points."}}
figure, axes = figures.canvas(
    "Three journeys, divided by $a$, are one", 6.6, 2.5, 4
)
names = ("VP: $x_t$", "EDM: $x_t$", "straight: $x_t$", "all: $x_t / a$")
inks = [(figures.EXACT, 5), (figures.SECOND, 2.5), (figures.NOISE, 0.8)]
for ax, path, (ink, width) in zip(axes, three, inks, strict=False):
    t, a, x = journey(path)
    ax.plot(t, x, color=ink, lw=1.2)
    axes[3].plot(ladder, x / a, color=ink, lw=width)
for ax, name in zip(axes, names, strict=True):
    ax.set_title(name, fontsize=9, fontweight="normal")
    ax.set(yticks=[-4, 0, 4], ylim=(-7, 7), xlabel="$t$")
ray = starts + column(ladder) * zetas[24]
axes[3].plot(ladder, ray, "--", color=figures.LEARNED, lw=1.2)
axes[3].set(xlabel="$g/a$")
plt.show()

# %% [markdown]
r"""
Three shapes, one process. Journeys of the dashed kind have the same law at
every moment, but not at any two. A network that is trained on them learns the
same field, since a field asks about one moment; only a sampler that
keeps a memory of earlier moments, or a loss that compares two of them, can tell
the two processes apart.

## How sure is the guess?

Bayes' rule for $x = a x_0 + g z$, $a, g > 0$, reads
$p(x_0 \mid x)\, p(x) \propto p_0(x_0)\, e^{-|x - a x_0|^2 / 2 g^2}$. Expand the
square and give names to what belongs together:

$$
\begin{gathered}
p(x_0 \mid x) = p_0(x_0)\, e^{-a^2 |x_0|^2 / 2 g^2}\;
e^{\eta \cdot x_0 - \psi(\eta)}, \\
\eta = \frac{a}{g^2}\, x, \qquad
\psi = \log p(x) + \frac{|x|^2}{2 g^2} + \text{const}.
\end{gathered}
$$ (eq-dialects-family)

As $x$ varies, this is an **exponential family** with the parameter $\eta$, and
$\psi$ is its normaliser,
$e^{\psi(\eta)} = \int p_0\, e^{-a^2 |x_0|^2/2g^2} e^{\eta \cdot x_0} dx_0$. The
Gaussian factor makes the integral and all its derivatives converge, for every
law $p_0$, a finite data set included. So we may differentiate under it:

$$
\begin{gathered}
\nabla_\eta \psi = \mathbb E[x_0 \mid x], \qquad
\nabla_\eta^2 \psi = \operatorname{Cov}[x_0 \mid x], \\
\nabla_\eta^3 \psi = \text{the third cumulant of } x_0 \mid x,
\end{gathered}
$$ (eq-dialects-cumulants)

and so on: *the normaliser generates the cumulants*. (First: the derivative of
$e^\psi$ is $e^\psi\, \mathbb E[x_0 \mid x]$. Second: differentiating the mean
$\int x_0\, p(x_0 \mid x)\, dx_0$ in $\eta$ brings down
$x_0 - \nabla \psi = x_0 - \mathbb E[x_0 \mid x]$.) Now
$\nabla_\eta = \frac{g^2}{a} \nabla_x$, and from
[the family](#eq-dialects-family)
$\nabla_x \psi = \nabla \log p + x/g^2$. With $H = \nabla^2 \log p$,

$$
D = \frac{x + g^2\, \nabla \log p}{a}, \qquad
\operatorname{Cov}[x_0 \mid x]
= \frac{g^2}{a}\, \frac{\partial D}{\partial x}
= \frac{g^2}{a^2} \left( I + g^2 H \right).
$$ (eq-dialects-tweedie)

The first is Tweedie's formula {cite}`efron2011tweedie`; the second says what
the guess is worth. **The slope of the denoiser is its uncertainty.** Two things
follow at once. The slope of an exact denoiser is symmetric and has no negative
eigenvalue, which no network is obliged to respect. And all of it is in the
normaliser's derivatives, so by [the scaling above](#eq-dialects-pay) the
covariance is the same in every dialect.

What happens as $g \to 0$? If $p_0$ is smooth and positive, $H$ stays finite and
the covariance is $\sigma^2 (I + O(g^2))$: what the noise hides is hidden. If
all data lie in a plane, then across it $p$ is the noise alone, $g^2 H = -1$ at
every $g$, and the covariance is $0$ there, as it must be. For a finite data set
$p$ has no limit, $g^2 H \to -I$ near each point, and the covariance dies out
faster than any power of $g$. At $g = 0$ nothing is hidden.

The claim asks for both forms, at all points of the four paths, in units of
$\sigma^2$. The truth is the covariance of the exact posterior of the mixture,
computed component by component.
"""

# %%
X, A, G = (torch.cat([row[i] for row in stages]) for i in (2, 3, 4))
H = torch.cat([h for _, h in hessians])
slopes = torch.cat(
    [fields.jacobian(world.denoise, x, t) for world, t, x, *_ in stages]
)
covs = torch.cat([world.posterior(x, t).cov() for world, t, x, *_ in stages])


def two_ways(H, J, a, g, one=1.0, power=2, scale=1):
    """The posterior covariance, from the Hessian and from the slope."""
    a, g = column(a), column(g)
    by_score = g**2 / a**2 * (one * eye + g**power * H)
    return torch.stack([by_score, g**2 / a**scale * J]) * a**2 / g**2


# %% tags=["hide-input"]
tweedie_claim = Claim(
    id="dialects/tweedie-two",
    says=r"For any law of $x_0$, $x = a x_0 + g z$ and $p$ its density: "
    r"$\operatorname{Cov}[x_0 \mid x] = \frac{g^2}{a^2}(I + g^2 \nabla^2 "
    r"\log p) = \frac{g^2}{a}\, \partial D/\partial x$ (four paths).",
    papers=("022", "058"),
    kind="exact",
    formula=two_ways,
    controls={
        "$I$ forgotten": partial(two_ways, one=0.0),
        "$g$ for $g^2$ before $H$": partial(two_ways, power=1),
        "the sign of $H$": lambda H, *rest: two_ways(-H, *rest),
        "$1/a$ forgotten in the slope": partial(two_ways, scale=0),
    },
    tol=5e-13,
    because="float64; $I + g^2 H$ cancels in the flat direction",
    at=(H, slopes, A, G),
    truth=lambda H, J, a, g: torch.stack([covs, covs]) * column(a / g) ** 2,
)
check(tweedie_claim)

# %% [markdown]
r"""
The slider shows the guess and a band of one posterior standard deviation about
it, for data with two modes on the line. Look for the place where the band is
widest, and at the slope of the guess there.
"""

# %% tags=["setup"]
line_law = laws.mixture(
    torch.tensor([[-1.2], [0.9]]).double(),
    torch.tensor([[[0.1]], [[0.25]]]).double(),
    torch.tensor([0.4, 0.6]).double(),
)
exploding = worlds.World(paths.edm(), line_law)
along = torch.linspace(-4, 4, 241, dtype=torch.float64).unsqueeze(-1)


# %%
def band(sigma):
    """The guess at one noise level, with one standard deviation about it."""
    seen = exploding.posterior(along, sigma)
    mid, sd = seen.mean()[:, 0], seen.cov()[:, 0, 0].sqrt()
    figure, axes = figures.canvas(
        "The guess is least sure where it is steepest", 5.6, 2.5
    )
    ink, x = figures.EXACT, along[:, 0]
    axes.fill_between(x, mid - sd, mid + sd, color=ink, alpha=0.25, lw=0)
    axes.plot(x, mid, color=ink, lw=3)
    axes.set(xlabel="what we see, $y$", ylabel="$x_0$", ylim=(-2.6, 2.6))
    axes.set(yticks=[-1.2, 0.9], xticks=[-4, 0, 4])
    return figure


# %%
shown = [0.2, 0.35, 0.5, 0.8, 1.5, 3.0]
figures.Slider(
    [band(sigma) for sigma in shown],
    [f"noise level {sigma:g}" for sigma in shown],
    "The denoiser against what is seen, with a band of one posterior "
    "standard deviation; the band is widest where the curve is steepest",
    "uncertainty",
)

# %% [markdown]
r"""
At low noise the guess follows the picture, and only between the modes, where
it must decide, is it steep and unsure. At high noise it is nearly a constant,
with a band as wide as the data: a small slope now means that the noise, of
variance $\sigma^2$, hides all. The band is $\sigma$ times the root of the
slope, and both factors count.

## Which network must be right where?

Each dialect trains by least squares on its own target $A = p\, x_0 + q\, z$
([the table of targets](../start/notation.ipynb)), and a network in one dialect
can be read in all others, because $a D + g N = x$ is known. Let $A'$ be any
guess, right or wrong, read as a pair $(D', N')$ with $a D' + g N' = x$. The
sample itself has $a x_0 + g z = x$. Subtract: $a (D' - x_0) = -g (N' - z)$, so
there is one vector $e$ with $D' - x_0 = g\, e$ and $N' - z = -a\, e$, and

$$
A' - A = p\, (D' - x_0) + q\, (N' - z) = \kappa\, e, \qquad
\kappa = p g - q a .
$$ (eq-dialects-kappa)

This is an identity *for every sample and every network*, noise floor included:
**the losses of all dialects are one number, with different weights**
$\kappa^2$. In units of the denoiser's loss ($\kappa = g$), and with
$\ell = \log(a^2/g^2)$, the log-SNR,

$$
\begin{gathered}
\frac{|N' - z|^2}{|D' - x_0|^2} = e^{\ell}, \qquad
\text{score: } \frac{a^2}{g^4}, \\
\text{v: } \frac{(a^2 + g^2)^2}{g^2}, \qquad
\text{velocity: } \frac{(\dot a g - a \dot g)^2}{g^2} .
\end{gathered}
$$ (eq-dialects-weights)

The first depends on $\ell$ alone. On a path with $a^2 + g^2 = 1$ the score has
$e^\ell (1 + e^\ell)$ and v has $1 + e^\ell$, since there $1/g^2 = 1 + e^\ell$. On
the straight path $\dot a g - a \dot g = -1$ and $1/g = 1 + e^{\ell/2}$, so the
velocity has $(1 + e^{\ell/2})^2$. What does this change? Nothing in the
minimiser, if the network may be anything at each noise level. Everything in
where a network of finite size spends its effort, and in which errors the loss
forgives: at high noise, noise prediction hardly asks about the data.

The claim takes a network that is plainly wrong, and draws samples.
"""


# %%
def net(x, t):
    """A wrong denoiser: any function of x and t will do."""
    return torch.tanh(x.flip(-1) - column(t)) + x.sin() / 3


ell = torch.linspace(-6, 6, 60, dtype=torch.float64)


def sampled(path, wants):
    """Losses of single samples, over those of the denoiser."""
    t = path.when_logsnr(ell)
    x0, z, x = worlds.World(path, joint).draw(60, t, shapes.rng(5))
    losses = []
    for want in ("denoise", *wants):
        p, q = map(column, paths.combination(path.at(t), want))
        guess = fields.convert(net, path, "denoise", want)(x, t)
        losses.append(((guess - p * x0 - q * z) ** 2).sum(-1))
    return torch.stack(losses[1:]) / losses[0]


# %%
def weights(ell):
    """Of noise, score and v on a VP path, of the straight velocity."""
    snr = ell.exp()
    straight = (1 + snr.sqrt()) ** 2
    return torch.stack([snr, snr * (1 + snr), 1 + snr, straight])


measured = torch.cat(
    [
        sampled(paths.vp(), ("noise", "score", "v")),
        sampled(paths.one_sided(), ("velocity",)),
    ]
)


def in_every_sample(formula):
    """The largest relative error of a single sample's ratio."""
    return (formula(ell) / measured - 1).abs().max()


# %% tags=["hide-input"]
loss_claim = Claim(
    id="dialects/one-loss",
    says=r"For every network and sample, at log-SNR $\ell$, the squared "
    r"errors in noise, score, v (VP) and velocity (straight) are $e^\ell$, "
    r"$e^\ell(1 + e^\ell)$, $1 + e^\ell$, $(1 + e^{\ell/2})^2$ times that "
    r"in $x_0$.",
    papers=("058",),
    kind="exact",
    formula=weights,
    controls={
        "the square forgotten": lambda ell: weights(ell).sqrt(),
        "upside down": lambda ell: weights(-ell),
        "the velocity weighed like v": lambda ell: weights(ell)[[0, 1, 2, 2]],
        "noise for score": lambda ell: weights(ell)[[0, 0, 2, 3]],
    },
    tol=4e-13,
    because="float64; single samples, weights up to e^12 apart",
    measure=in_every_sample,
)
check(loss_claim)

# %% [markdown]
r"""
The same four weights as curves. The names stand in the order of the right
edge. Look at both ends: which loss still asks for the data in pure noise, and
which for the noise in a clean picture?
"""

# %% mystnb={"figure": {"caption": "Weight of each dialect's loss, in units of the denoiser's, against the log-SNR $\\ell$; noise on the left, data on the right.", "name": "fig-dialects-weights"}, "image": {"alt": "Curves on a logarithmic axis against the log-SNR. The denoiser is flat at one. Noise rises as a straight line through one at zero. v and velocity are flat at one on the left and follow the noise on the right. The score follows the noise on the left and rises twice as steeply on the right."}}
figure, axes = figures.canvas("One loss, weighed by dialect", height=3.1)
_, v_ink, u_ink, s_ink = figures.time_colours(4)
noise, score, v, velocity = weights(ell).log()
curves = [
    ("score", score, s_ink),
    ("velocity", velocity, u_ink),
    ("v", v, v_ink),
    ("noise", noise, figures.SECOND),
    ("denoiser", 0 * ell, figures.EXACT),
]
for i, (name, w, ink) in enumerate(curves):
    axes.plot(ell, w, color=ink, lw=2.5)
    axes.text(-3.9, 6.2 - i, name, color=ink)
axes.set(xlim=(-4, 4), ylim=(-4, 7))
axes.set(xlabel=r"log-SNR $\ell$", ylabel="log weight")
plt.show()

# %% [markdown]
r"""
In pure noise (left) only noise and score prediction stop asking for the data;
in a clean picture (right) all but the denoiser ask for more and more. v and the
straight velocity keep both ends, and as $(1 + u)^2 \le 2 (1 + u^2)$, they never
differ by more than a factor of two.
"""

# %% [markdown]
r"""
## Is DDPM an approximation of something?

DDPM {cite}`ho2020ddpm` is a chain,
$x_n = \sqrt{1 - \beta_n}\, x_{n-1} + \sqrt{\beta_n}\, \epsilon_n$. Three
questions hide in the word "discretisation".

**Forwards.** The SDE $dx = -\frac12 \beta x\, dt + \sqrt\beta\, dW$ over a time
with $\int \beta = b$ multiplies $x$ by $e^{-b/2}$ and adds the variance
$1 - e^{-b}$. A DDPM step of size $b$ multiplies by $\sqrt{1 - b}$ and adds $b$.
By the series of the root and of the exponential,

$$
\begin{gathered}
\sqrt{1 - b} - e^{-b/2} = -\frac{b^2}{4} - \frac{b^3}{24} + O(b^4), \\
b - (1 - e^{-b}) = \frac{b^2}{2} - \frac{b^3}{6} + O(b^4) .
\end{gathered}
$$ (eq-dialects-ou)

The local error is $O(b^2)$, so over $N$ steps with $\sum b = O(1)$ it is
$O(1/N)$, as for Euler's method; but it is not Euler's step, whose factor
$1 - b/2$ is off by $-b^2/8$. Better: a step with $b = -\log(1 - \beta_n)$ has
*no* error in either number. The chain **is** the process, at slightly later
times, and the whole discretisation error is in reading $\beta_n$ as
$\beta(t)\, \Delta t$; [the dictionary](../start/notation.ipynb) has that gap.
"""

# %%
b = sympy.symbols("b", positive=True)


def third_order(error):
    """The series of an error in b, up to b^3."""
    return sympy.series(error, b, 0, 4).removeO()


exact_step = sympy.exp(-b / 2), 1 - sympy.exp(-b)
of_ddpm = [
    third_order(sympy.sqrt(1 - b) - exact_step[0]),
    third_order(b - exact_step[1]),
]

# %% tags=["hide-input"]
lost, added = -(b**2) / 4 - b**3 / 24, b**2 / 2 - b**3 / 6
euler = -(b**2) / 8 + b**3 / 48
ou_claim = Claim(
    id="dialects/ou-step",
    says=r"Against the process $dx = -\frac12\beta x\, dt + \sqrt\beta\, dW$ "
    r"with $\int\beta = b$, a DDPM step with $\beta_n = b$ is off by $-b^2/4 "
    r"- b^3/24$ in the factor of $x$ and by $b^2/2 - b^3/6$ in the variance, "
    r"up to $O(b^4)$.",
    papers=("022",),
    kind="symbolic",
    formula=sympy.Matrix([lost, added]),
    controls={
        "Euler's factor $1 - b/2$": sympy.Matrix([euler, added]),
        "the sign of the variance": sympy.Matrix([lost, -added]),
        "third order, no $b^2$": sympy.Matrix([-(b**3) / 24, -(b**3) / 6]),
    },
    truth=sympy.Matrix(of_ddpm),
)
check(ou_claim)

# %% [markdown]
r"""
**Backwards, with the data known.** The dictionary derives
$q(x_{n-1} \mid x_n, x_0)$, a Gaussian of variance
$\tilde\beta_n = \frac{1 - \bar\alpha_{n-1}}{1 - \bar\alpha_n} \beta_n$. DDPM's
authors tried $\beta_n$ in its place. How wrong would that be? Since
$1 - \bar\alpha_n - (1 - \bar\alpha_{n-1}) = \bar\alpha_{n-1} - \bar\alpha_n =
\bar\alpha_{n-1} \beta_n$,

$$
1 - \frac{\tilde\beta_n}{\beta_n} = \frac{\bar\alpha_{n-1}\, \beta_n}
{1 - \bar\alpha_n} .
$$ (eq-dialects-gap)

At $n = 1$ it is $1$: the last step before the data has no variance at all. The
truth is the chain itself: $x_1, \dots, x_{n-1}$ between fixed ends have a
tridiagonal precision matrix, which is inverted.
"""

# %%
betas = paths.linear_betas()
abar = paths.log_abar(betas).exp()
abar = torch.cat([torch.ones(1).double(), abar])  # abar[n], n = 0 .. 1000


def pinned(n):
    """Var(x_{n-1} | x_0, x_n), from all links between the two ends."""
    links = torch.eye(n).double() - torch.diag((1 - betas[1:n]).sqrt(), -1)
    links = links[:, : n - 1]  # x_n itself is fixed
    precision = links.mT @ (links / column(betas[:n]))
    return torch.linalg.inv(precision)[-1, -1]


some = [2, 3, 5, 10, 30, 100, 300]
index = torch.tensor(some)
gaps_seen = 1 - torch.stack([pinned(n) for n in some]) / betas[index - 1]


# %% tags=["hide-input"]
gap_claim = Claim(
    id="dialects/variance-gap",
    says=r"$\beta_n$ exceeds the exact variance $\tilde\beta_n$ of "
    r"$q(x_{n-1} \mid x_n, x_0)$ by the share $\bar\alpha_{n-1} \beta_n / (1 "
    r"- \bar\alpha_n)$ of itself (DDPM's chain, $2 \le n \le 300$).",
    papers=("022",),
    kind="exact",
    formula=lambda n: abar[n - 1] * betas[n - 1] / (1 - abar[n]),
    controls={
        "no gap: $\\beta_n$ is exact": lambda n: 0 * betas[n - 1],
        "$\\bar\\alpha$ forgotten": lambda n: betas[n - 1] / (1 - abar[n]),
        "$n - 1$ for $n$ below": lambda n: (
            abar[n - 1] * betas[n - 1] / (1 - abar[n - 1])
        ),
    },
    tol=2e-11,
    because="one minus a ratio near one, and an inverse of 299 links",
    measure=lambda f: (f(index) / gaps_seen - 1).abs().max(),
)
check(gap_claim)

# %% [markdown]
r"""
**Backwards, with the data unknown.** The sampler does not know $x_0$. What is
the covariance of $x_{n-1}$ given $x_n$ *alone*? Two roads lead there. Given
$x_0$, the mean of $x_{n-1}$ contains $c\, x_0$ with
$c = \sqrt{\bar\alpha_{n-1}}\, \beta_n / (1 - \bar\alpha_n)$; average over $x_0$
by the law of total covariance. Or forget $x_0$: $x_n$ is
$\sqrt{1 - \beta_n}$ times "data" $x_{n-1}$ plus noise of variance $\beta_n$, and
[the second Tweedie formula](#eq-dialects-tweedie) holds for all data:

$$
\operatorname{Cov}[x_{n-1} \mid x_n]
= \tilde\beta_n I + c^2 \operatorname{Cov}[x_0 \mid x_n]
= \frac{\beta_n}{1 - \beta_n} \left( I + \beta_n \nabla^2 \log p_n(x_n) \right).
$$ (eq-dialects-reverse)

So $\tilde\beta_n$ is right if the data are one point, a lower bound otherwise.
For $x_0 \sim \mathcal N(0, I)$ all $x_n$ are $\mathcal N(0, I)$, $H = -I$, and
the right side is $\beta_n I$: *DDPM's two choices are the exact answers for two
laws*, and no law-free variance is exact for both. (Nor is the law of
$x_{n-1}$ given $x_n$ a Gaussian, only nearly so, when $\beta_n$ is small.)
"""

# %%
seven = betas[index - 1], abar[index], abar[index - 1]
chain_t = paths.embed(paths.vp(), betas[:300])[index - 1]
chain_t = chain_t.repeat_interleave(8)
chain_world = worlds.World(paths.vp(), joint)
chain_x = chain_world.draw(len(chain_t), chain_t, shapes.rng(6))[2]
hidden = chain_world.posterior(chain_x, chain_t).cov()


def total(beta, now, before, share=1.0, power=2):
    """Total covariance of a reverse step, in units of beta."""
    short = (1 - before) / (1 - now) * eye
    c = before.sqrt() * beta / (1 - now)
    return short + share * c**power * hidden / beta


def by_hessian(beta, now, before):
    """The same from the second Tweedie formula for one step."""
    a, g = now[:, 0].sqrt(), (1 - now[:, 0]).sqrt()
    H = by_autograd(chain_x, a, g)[1]
    return (eye + beta * H) / (1 - beta)


# %% tags=["hide-input"]
reverse_claim = Claim(
    id="dialects/reverse-step",
    says=r"For any data law, $\operatorname{Cov}[x_{n-1} \mid x_n] = "
    r"\tilde\beta_n I + c^2 \operatorname{Cov}[x_0 \mid x_n] = \frac{\beta_n}"
    r"{1 - \beta_n}(I + \beta_n \nabla^2 \log p_n)$, $c = \sqrt{\bar\alpha"
    r"_{n-1}} \beta_n / (1 - \bar\alpha_n)$ (DDPM's chain, $n \le 300$).",
    papers=("022",),
    kind="exact",
    formula=total,
    controls={
        "$\\tilde\\beta_n$ alone": partial(total, share=0.0),
        "$\\beta_n$": lambda *s: eye.expand(56, 2, 2),
        "$c$ for $c^2$": partial(total, power=1),
    },
    tol=2e-12,
    because="$1 - \\bar\\alpha$ is 2e-4 at $n = 2$, and the Hessian large",
    at=tuple(u.repeat_interleave(8)[:, None, None] for u in seven),
    truth=by_hessian,
)
check(reverse_claim)

# %% [markdown]
r"""
The two choices against the step's number, with the excess in percent at three
steps. Look where they part.
"""

# %% mystnb={"figure": {"caption": "The share of $\\beta_n$ by which $\\beta_n$ exceeds the variance $\\tilde\\beta_n$ of DDPM's reverse step, against the step; dots: from the inverse of the chain's precision. Both axes logarithmic.", "name": "fig-dialects-gap"}, "image": {"alt": "A curve that starts near one at the first step and falls as a nearly straight line over several decades, with seven dots on it, until it drops off at the noise end."}}
figure, axes = figures.canvas(
    "DDPM's two variances differ only next to the data"
)
n = torch.arange(1, 1001)
share_n = abar[n - 1] * betas / (1 - abar[n])
axes.loglog(n, share_n, color=figures.EXACT, lw=3)
axes.loglog(some, gaps_seen, "o", color=figures.SECOND)
for i, k in ((0, 2), (3, 10), (5, 100)):
    note = f"  {100 * gaps_seen[i]:.0f} % at $n$ = {k}"
    figures.label_line(axes, k, 1.6 * gaps_seen[i], note, figures.SECOND)
axes.set(xlabel="step $n$", ylabel="excess of $\\beta_n$")
axes.set(yticks=[1e-6, 1e-4, 1e-2, 1], ylim=(3e-7, 2))
plt.show()

# %% [markdown]
r"""
Next to the data $\beta_n$ is more than twice too large, far from it the two
agree: a test at large $n$ would pass either.

## Does Langevin motion keep the law it samples?

NCSN {cite}`song2019ncsn` samples without any reverse process: it lets points
move by Langevin's rule at one noise level after the other. At a fixed level,
with $p$ the law of $x$ there and $s = \nabla \log p$,

$$
x \leftarrow x + e\, s(x) + \sqrt{2 e}\; z .
$$ (eq-dialects-langevin)

"It leaves $p$ invariant" is true of the limit $e \to 0$ only. For a Gaussian of
variance $V$ the variance $u$ becomes $(1 - e/V)^2 u + 2 e$. From $u = V$ one
step leads to $V + e^2/V$, and the fixed point is

$$
u = \frac{2 e}{1 - (1 - e/V)^2} = \frac{V}{1 - e/(2V)}
= V + \frac e2 + O(e^2), \qquad e < 2 V .
$$ (eq-dialects-fixed)

One step is off by $O(e^2)$, the stationary law by $O(e)$, since $O(1/e)$ steps
pile up before the motion forgets.
"""

# %%
V, e = sympy.symbols("V e", positive=True)


def not_kept(pair):
    """What is left of the two equations for the variance."""
    stationary, stepped = pair
    one = (1 - e / V) ** 2
    return sympy.Matrix(
        [one * stationary + 2 * e - stationary, one * V + 2 * e - stepped]
    )


# %% tags=["hide-input"]
langevin_gauss_claim = Claim(
    id="dialects/langevin-gaussian",
    says=r"For $\mathcal N(0, V)$ and a step $x + e s(x) + \sqrt{2e} z$, the "
    r"stationary variance is $V / (1 - e/(2V))$, and one step from $V$ leads "
    r"to $V + e^2/V$.",
    papers=("022",),
    kind="symbolic",
    formula=(V / (1 - e / (2 * V)), V + e**2 / V),
    controls={
        "no bias": (V, V),
        "the $2$ forgotten": (V / (1 - e / V), V + e**2 / V),
        "too narrow": (V / (1 + e / (2 * V)), V + e**2 / V),
        "noise of variance $e$ in one step": (
            V / (1 - e / (2 * V)),
            V + e**2 / V - e,
        ),
    },
    measure=not_kept,
)
check(langevin_gauss_claim)

# %% [markdown]
r"""
For any smooth law on the line we can do as well, to first order. Let $f$ be a
smooth test function, and expand $f(x + e s + \sqrt{2e}\, z)$ in powers of $e$,
averaging over $z$ (odd powers vanish, $\mathbb E z^2 = 1$,
$\mathbb E z^4 = 3$):

$$
\mathbb E f = f + e\, (s f' + f'')
+ e^2 \left( \tfrac12 s^2 f'' + s f''' + \tfrac12 f'''' \right) + O(e^3).
$$

Integrate against $p$ and by parts, with $p\, s = p'$ and no contributions from
infinity. The term in $e$ is $\int (p' f' + p f'') = 0$. In the term in $e^2$,
$\int p\, s f''' = \int p' f''' = - \int p f''''$, so that
$s f''' + \frac12 f''''$ gives $-\frac12 \int p f'''' = -\frac12 \int p'' f''$,
and $p'' = (s' + s^2)\, p$. The squares of $s$ cancel, and what is left is
$-\frac12 \int p\, s' f''$. So one step changes the density by

$$
p_1 - p = -\frac{e^2}{2} \left( p\, s' \right)'' + O(e^3).
$$ (eq-dialects-one-step)

The stationary density $\pi = p\,(1 + e \rho) + O(e^2)$ has to balance this
change by that of the term in $e$: for densities it reads
$e\, (\pi' - s \pi)'$, and $\pi' - s \pi = e\, p \rho'$, so
$(p \rho')' = \frac12 (p s')''$. Integrate once, $p \rho' = \frac12 (p s')'$,
divide by $p$, $\rho' = \frac12 (s'' + s s')$, and integrate again. The constant
follows from $\int p \rho = 0$ and $\int p s' = -\int p s^2 = -J$:

$$
\pi = p \left[ 1 + e \left( \tfrac12 s' + \tfrac14 s^2 + \tfrac14 J \right)
\right] + O(e^2), \qquad J = \mathbb E_p\, s^2 .
$$ (eq-dialects-bias)

(Check: for $\mathcal N(0, V)$ this adds $e/2$ to the variance, as
[it must](#eq-dialects-fixed).) The measurement knows none of it. It puts the
step on a fine grid as a matrix, solves for its stationary vector, and
extrapolates the change to $e \to 0$ from five steps, each half of the one
before.
"""


# %% tags=["setup"]
def slope(f, x):
    """df/dx, to be differentiated again."""
    return torch.autograd.grad(f.sum(), x, create_graph=True)[0]


# %%
noised = exploding.law(0.5)
spots = torch.linspace(-6, 6, 641, dtype=torch.float64)
width = float(spots[1] - spots[0])


y = spots.clone().requires_grad_()
log_p = noised.log_prob(column(y))
p, s, ds = log_p.exp(), slope(log_p, y), slope(slope(log_p, y), y)
bent = slope(slope(p * ds, y), y).detach()  # (p s')''
p, s, ds = p.detach(), s.detach(), ds.detach()
fisher = (p * s**2).sum() * width


# %%
def kernel(e):
    """The Langevin step as a matrix: row i is the law from spots[i]."""
    off = spots - column(spots + e * s)
    return torch.exp(-(off**2) / (4 * e)) * width / math.sqrt(4 * math.pi * e)


def stationary(e):
    """(pi - p) / e for the stationary density pi."""
    rest = kernel(e).mT - torch.eye(len(spots)).double()
    rest[320] = width  # one equation is spare: the mass is one
    one = torch.zeros_like(spots).index_fill(0, torch.tensor(320), 1.0)
    return (torch.linalg.solve(rest, one) - p) / e


# %%
def to_zero(f, e):
    """f at e -> 0, extrapolated from e, e/2, ..., e/16."""
    row = [f(e / 2**k) for k in range(5)]
    for k in range(1, 5):
        pairs = zip(row[:-1], row[1:], strict=True)
        row = [(2**k * v - u) / (2**k - 1) for u, v in pairs]
    return row[0]


def tilt(s, ds, J, u=0.25, v=0.25, sign=1.0):
    """The first-order bias of the stationary density, over e."""
    return sign * p * (ds / 2 + u * s**2 + v * J)


found = to_zero(stationary, 0.02)
moved = to_zero(lambda e: (p @ kernel(e) - p) / e**2, 0.01)

# %% tags=["hide-input"]
bias_claim = Claim(
    id="dialects/langevin-bias",
    says=r"On the line, the stationary density of $x + e s(x) + \sqrt{2e} "
    r"z$, $s = (\log p)'$, is $p\,[1 + e(\frac12 s' + \frac14 s^2 + "
    r"\frac14 J)] + O(e^2)$, $J = \mathbb E_p s^2$ (two noised modes).",
    papers=("022",),
    kind="exact",
    formula=tilt,
    controls={
        "no bias to first order": partial(tilt, sign=0.0),
        "$s^2$ forgotten": partial(tilt, u=0.0, v=0.5),
        "$\\frac12 s^2$ for $\\frac14 s^2$": partial(tilt, u=0.5, v=0.0),
        "the sign": partial(tilt, sign=-1.0),
    },
    tol=1e-5,
    because="the extrapolation leaves the fifth power of a step below 0.02",
    at={"s": s, "ds": ds, "J": fisher},
    truth=lambda s, ds, J: found,
)
check(bias_claim)

# %% tags=["hide-input"]
step_claim = Claim(
    id="dialects/langevin-step",
    says=r"One Langevin step of size $e$ changes its target $p$ by $-"
    r"\frac{e^2}{2} (p s')'' + O(e^3)$ (the same law).",
    papers=("022",),
    kind="exact",
    formula=lambda bent: -bent / 2,
    controls={
        "the sign": lambda bent: bent / 2,
        "the half forgotten": lambda bent: -bent,
        "$p''$ for $(p s')''$": lambda bent: -p * (ds + s**2) / 2,
    },
    tol=5e-5,
    because="extrapolated from steps of at most 0.01",
    at=(bent,),
    truth=lambda bent: moved,
)
check(step_claim)

# %% [markdown]
r"""
At a mode $s = 0$, and if it is sharp, $s' < -J/2$: modes lose mass, and their
flanks and gaps gain it. The chain is a little too hot. So a survey's "invariant
up to $O(e)$" is a statement about the stationary law; a single step is better
than that.

## How much does a noisy picture know?

The mutual information $I(x_0; x_t)$ asks how many nats the picture tells about
the data. It is a property of the pair, so by [the first
section](#eq-dialects-same) it depends on the signal-to-noise ratio
$\gamma = a^2/g^2 = 1/\sigma^2$ alone: take $y = \sqrt\gamma\, x_0 + z$. Its
growth with $\gamma$ is governed by the denoiser's error
$\operatorname{mmse}(\gamma) = \mathbb E\, |x_0 - D|^2$
{cite}`guo2005immse`:

$$
\frac{d}{d\gamma} I(x_0; y) = \frac12 \operatorname{mmse}(\gamma), \qquad
I(x_0; x_t)
= \frac12 \int_0^{\gamma_t} \operatorname{mmse}(\gamma)\, d\gamma .
$$ (eq-dialects-immse)

*Derivation.* Let $\mathbb E |x_0|^2 < \infty$ and $v = 1/\gamma$. Let $q_v$ be
the density of $x_0 + \sqrt v\, z$ and $\mathcal H$ its entropy. Given $x_0$ the
picture is pure noise, so $I = \mathcal H - \frac d2 \log(2 \pi e v)$; a common
scale cancels.
As $v$ grows, $q_v$ solves the heat equation
$\partial_v q = \frac12 \Delta q$, because the Gaussian kernel does. Hence

$$
\begin{aligned}
\frac{d \mathcal H}{dv} &= -\int \partial_v q\, (\log q + 1)
= -\frac12 \int \Delta q\, \log q \\
&= \frac12 \int \frac{|\nabla q|^2}{q}
= \frac12 J(v), \qquad J = \mathbb E\, |\nabla \log q_v|^2
\end{aligned}
$$ (eq-dialects-bruijn)

(mass is kept, so the $1$ drops out; then by parts, where for $v > 0$ the
Gaussian factor kills the boundary). This is de Bruijn's identity. On the other
side, take the trace of [the second Tweedie formula](#eq-dialects-tweedie) at
$a = 1$, $g^2 = v$ and average it. Since
$\mathbb E\, \Delta \log q = -J$, by parts again,

$$
\operatorname{mmse} = v d - v^2 J .
$$ (eq-dialects-fisher)

So $\frac{dI}{dv} = \frac J2 - \frac{d}{2v} = -\frac{\operatorname{mmse}}{2 v^2}$,
and $d\gamma = -dv/v^2$. At $\gamma \to 0$ nothing is known, $I = 0$, and the integral
starts there. $\square$

For Gaussian data with eigenvalues $\lambda_k$, zeros allowed,
$\operatorname{mmse} = \sum_k \lambda_k / (1 + \gamma \lambda_k)$, and so
$I = \frac12 \sum_k \log(1 + \gamma \lambda_k)$. For any other law with these
eigenvalues the best *linear* guess has that error, so its $I$ is smaller.

The claim integrates errors over the log-SNR, $d\gamma = \gamma\, d\ell$, between eight
levels on three paths. The truth is the information itself, by quadrature of
densities.
"""

# %%
cuts = torch.linspace(-2.5, 4.5, 8, dtype=torch.float64)  # log-SNR
inner = cuts[:-1, None] + cuts.diff()[:, None] * unit  # quadrature nodes
speakers = [
    worlds.World(path, line_law)
    for path in (paths.vp(), paths.one_sided(), odd)
]


def asked(measure):
    """A measure(world, t) at all nodes, on the three paths."""
    rows = []
    for world in speakers:
        t = world.path.when_logsnr(inner.flatten())
        rows.append(measure(world, t).reshape(inner.shape))
    return torch.stack(rows)


# %%
best = asked(lambda w, t: information.mmse(w, t).value)
linear = asked(information.linear_mmse)
known = torch.stack(
    [
        information.mutual_information(w, w.path.when_logsnr(cuts)).value
        for w in speakers
    ]
)


def integrated(rate):
    """The integrals of rate(ell, best, linear) between the levels."""
    return (rate(inner, best, linear) * share).sum(-1) * cuts.diff()


# %% tags=["hide-input"]
immse_claim = Claim(
    id="dialects/i-mmse",
    says=r"In nats, $I(x_0; x_t)$ grows between two signal-to-noise ratios "
    r"by $\frac12 \int \operatorname{mmse} d\gamma$, $\gamma = a^2/g^2$, on "
    r"every path (two modes on the line; `vp`, `one_sided`, an odd path).",
    papers=("058",),
    kind="exact",
    formula=lambda ell, m, lin: m * ell.exp() / 2,
    controls={
        "the half forgotten": lambda ell, m, lin: m * ell.exp(),
        "an integral over $\\sigma^2$": lambda ell, m, lin: m / ell.exp() / 2,
        "an integral over $\\log\\gamma$": lambda ell, m, lin: m / 2,
        "the linear guess": lambda ell, m, lin: lin * ell.exp() / 2,
    },
    tol=5e-14,
    because="24-point quadrature of a function that is smooth in $\\ell$",
    measure=lambda f: apart(integrated(f), known.diff()),
)
check(immse_claim)

# %% [markdown]
r"""
Drawn over $\ell$, the area under the curve is information.
"""

# %% mystnb={"figure": {"caption": "$\\frac12 \\gamma \\operatorname{mmse}(\\gamma)$ against the log-SNR: the area under a curve up to $\\ell$ is the information of a picture at $\\ell$, in nats. Grey: two modes on the line. Ochre: the best linear guess, which is the Gaussian with the same variance.", "name": "fig-dialects-information"}, "image": {"alt": "Two curves that start together at zero on the left. The ochre one rises smoothly to one half. The grey one lags below it, with a step, and meets it on the right."}}
figure, axes = figures.canvas("The area is what the picture tells, in nats")
level = torch.linspace(-6, 8, 90, dtype=torch.float64)
when = exploding.path.when_logsnr(level)
half = level.exp() / 2
mine = half * information.mmse(exploding, when).value
theirs = half * information.linear_mmse(exploding, when)
axes.fill_between(level, mine, color=figures.EXACT, alpha=0.2, lw=0)
axes.plot(level, mine, color=figures.EXACT, lw=3)
axes.plot(level, theirs, color=figures.SECOND)
axes.set(xlabel=r"log-SNR $\ell$", ylabel=r"nats per unit of $\ell$")
axes.set(yticks=[0, 0.25, 0.5], ylim=(0, 0.56))
plt.show()

# %% [markdown]
r"""
The ochre area is larger: a Gaussian has more to tell. Around
$\ell = 1$ the picture settles which mode it is, and the curve pauses; then each
unit of $\ell$ tells the same half nat as for any smooth law on the line. None
of it mentions a schedule.

## Are "variational", "score" and "flow" three losses?

Let two laws $p_0$, $q_0$, say the data and a model's idea of them, go through
one forward process $dx = f x\, dt + h\, dW$. (Many papers write $g$ for our
$h$; here $g$ stays the noise level.) Both densities move with
[their velocities](../start/notation.ipynb),

$$
\begin{gathered}
\partial_t p = -\nabla \cdot (p\, u_p), \qquad
u_p = f x - \frac{h^2}{2} \nabla \log p, \\
u_p - u_q = -\frac{h^2}{2} \left( \nabla \log p - \nabla \log q \right),
\end{gathered}
$$ (eq-dialects-two)

and likewise for $q$. Assume that $p$, $q$ are positive and smooth, and that
$p \log (p/q)$, $p\, |\nabla \log (p/q)|$ and their products with the velocities
vanish fast enough at infinity for the two integrations by parts below; for
mixtures of Gaussians with noise they do, as long as the tails of $q$ are not
much thinner than those of $p$. (If $q$ vanishes where $p$ does not, the
divergence is infinite.) Then

$$
\begin{aligned}
\frac{d}{dt} \operatorname{KL}(p \| q)
&= \int \partial_t p\, \log \frac pq + \int \partial_t p
- \int \frac pq\, \partial_t q \\
&= \int p\, u_p \cdot \nabla \log \frac pq + 0
- \int q\, u_q \cdot \nabla \frac pq \\
&= \mathbb E_p \Big[ (u_p - u_q) \cdot \nabla \log \frac pq \Big],
\end{aligned}
$$ (eq-dialects-parts)

because $q\, \nabla (p/q) = p\, \nabla \log (p/q)$. Put in
[the difference of the velocities](#eq-dialects-two):

$$
\frac{d}{dt} \operatorname{KL}(p_t \| q_t) = -\frac{h^2}{2}\,
\mathbb E_{p_t} \left| \nabla \log p_t - \nabla \log q_t \right|^2 .
$$ (eq-dialects-rate)

The drift has cancelled, and noise only ever makes two laws more alike. Integrate
from $0$ to $T$. The difference of scores is $a/g^2$ times that of denoisers,
that of velocities $-h^2/2$ times it, and with $\gamma = a^2/g^2$,
$h^2 = a^2 \frac{d}{dt} (1/\gamma) = -\dot\gamma\, g^4 / a^2$. So *one* number
has three forms:

$$
\begin{aligned}
\operatorname{KL}(p_0 \| q_0) &- \operatorname{KL}(p_T \| q_T) \\
&= \int_0^T \frac{h^2}{2}\, \mathbb E_p |\Delta \text{score}|^2\, dt
&& \text{score matching} \\
&= \int_0^T \frac{2}{h^2}\, \mathbb E_p |\Delta u|^2\, dt
&& \text{velocity matching} \\
&= \frac12 \int_{\gamma_T}^{\gamma_0} \mathbb E_p |\Delta D|^2\, d\gamma
&& \text{denoising, the variational form.}
\end{aligned}
$$ (eq-dialects-views)

The first form is why score matching with the weight $h^2$ is maximum likelihood
{cite}`song2021likelihood`. First the Gaussian case, with symbols: on the path
with $a = 1$ and the noise variance $\tau$ as clock, $h = 1$, and two laws on the
line have the variances $A_i = \lambda_i + \tau$. The divergence is computed by
sympy from its definition, as the average of $\log p - \log q$, a quadratic, by
the moments of $p$; and as $\tau$ passes, both $A_i$ grow at the rate one.
"""

# %%
m1, m2, at = sympy.symbols("m_1 m_2 x", real=True)
A1, A2 = sympy.symbols("A_1 A_2", positive=True)
p_log, q_log = (
    -((at - m) ** 2) / (2 * A_) - sympy.log(2 * sympy.pi * A_) / 2
    for m, A_ in ((m1, A1), (m2, A2))
)
centred = sympy.expand((p_log - q_log).subs(at, at + m1))
of_x = sympy.Poly(centred, at)  # and E x = 0, E x^2 = A_1
divergence = of_x.coeff_monomial(1) + of_x.coeff_monomial(at**2) * A1


def kl_rate(under=A1, shift=A2, half=2):
    """The rate for two Gaussians, with another variance in its places."""
    square = (1 / A2 - 1 / A1) ** 2 * under + ((m1 - m2) / shift) ** 2
    return -square / half


# %% tags=["hide-input"]
kl_gauss_claim = Claim(
    id="dialects/kl-gaussian",
    says=r"For $\mathcal N(m_i, A_i)$ with $A_i = \lambda_i + \tau$: $\frac"
    r"{d}{d\tau} \operatorname{KL} = -\frac12 \big[ (A_2^{-1} - A_1^{-1})^2 "
    r"A_1 + (m_1 - m_2)^2 / A_2^2 \big]$.",
    papers=("058",),
    kind="symbolic",
    formula=kl_rate(),
    controls={
        "the half forgotten": kl_rate(half=1),
        "the average under $q$": kl_rate(under=A2, shift=A1),
        "the means forgotten": kl_rate().subs(m2, m1),
        "the sign": -kl_rate(),
    },
    truth=divergence.diff(A1) + divergence.diff(A2),
)
check(kl_gauss_claim)

# %% [markdown]
r"""
Now two mixtures on the path `vp`. First the field that all views share: the
difference of the velocities.
"""

# %%
rival_law = laws.mixture(
    torch.tensor([[-0.8], [1.3]]).double(),
    torch.tensor([[[0.2]], [[0.3]]]).double(),
    torch.tensor([0.6, 0.4]).double(),
)
ours, rival = (worlds.World(paths.vp(), u) for u in (line_law, rival_law))
moments = torch.tensor([0.05, 0.1, 0.2, 0.35, 0.6]).double()


def differ(name):
    """The difference of a field of the two worlds, at five times."""
    pairs = (
        getattr(ours, name)(along, t) - getattr(rival, name)(along, t)
        for t in moments
    )
    return torch.stack(list(pairs))


h2_at = ours.path.sde(moments).h2[:, None, None]

# %% tags=["hide-input"]
gap_field_claim = Claim(
    id="dialects/velocity-gap",
    says=r"For two laws under one forward process $dx = fx\,dt + h\,dW$: "
    r"$u_p - u_q = -\frac{h^2}{2} (\nabla\log p_t - \nabla\log q_t)$ (two "
    r"mixtures on `vp`).",
    papers=("058",),
    kind="exact",
    formula=lambda h2, gap: -h2 / 2 * gap,
    controls={
        "$h^2$, as in the reverse SDE": lambda h2, gap: -h2 * gap,
        "the sign": lambda h2, gap: h2 / 2 * gap,
        "$h$ for $h^2$": lambda h2, gap: -h2.sqrt() / 2 * gap,
    },
    tol=1e-13,
    because="float64; differences of velocities of size a hundred",
    at={"h2": h2_at, "gap": differ("score")},
    truth=lambda h2, gap: differ("velocity"),
)
check(gap_field_claim)

# %% [markdown]
r"""
Then the integrals. Averages are trapezoidal sums over the line, time integrals
Gauss-Legendre; the divergences on the other side are adaptive quadratures of
the two densities at the ends of six intervals.
"""

# %%
stops = torch.tensor([0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6]).double()
inside = stops[:-1, None] + stops.diff()[:, None] * unit
wide = torch.linspace(-9, 9, 451, dtype=torch.float64)


def averages(t, *names, under=None):
    """E_p, or that under a world, of the squared gaps of fields, at times."""
    t = t[..., None].expand(*t.shape, 451)
    x = column(wide).expand(*t.shape, 1)
    mass = (under or ours).log_prob(x, t).exp() * 18 / 450
    gaps = (getattr(ours, k)(x, t) - getattr(rival, k)(x, t) for k in names)
    return [(mass * gap[..., 0] ** 2).sum(-1) for gap in gaps]


# %%
E = averages(inside, "score", "velocity", "denoise")
E += averages(inside, "score", under=rival)
c = ours.path.at(inside)
fade = 2 * c.a * (c.a * c.gdg - c.da * c.g2) / c.g2**2  # -d gamma/dt
h2 = ours.path.sde(inside).h2


def kl_at(ts):
    """KL of the two laws at these times, by quadrature of their densities."""
    two = ((ours.law(t), rival.law(t)) for t in ts)
    return torch.stack([metrics.mixture_kl(p, q).value for p, q in two])


kl = kl_at(stops)


# %%
def views(h2, fade, score, velocity, guess, under_q):
    """The three rates at which KL is lost."""
    return torch.stack([h2 / 2 * score, 2 / h2 * velocity, fade / 2 * guess])


def spent(rates):
    """Their integrals over the six intervals."""
    return (rates(h2, fade, *E) * share).sum(-1) * stops.diff()


# %% tags=["hide-input"]
def unweighted(h2, fade, score, velocity, guess, under_q):
    """Velocity errors without the weight 2 / h^2."""
    return torch.stack([h2 / 2 * score, velocity, fade / 2 * guess])


def elsewhere(h2, fade, score, velocity, guess, under_q):
    """All three averages under q, by their ratio to that of the score."""
    move = under_q / score
    return views(h2, fade, under_q, velocity * move, guess * move, score)


views_slips = {
    "$h^2$ for $h^2/2$": lambda h2, fade, *E: views(2 * h2, fade, *E),
    "the average under $q$": elsewhere,
    "velocities without a weight": unweighted,
    "$d\\gamma$ for $\\frac12 d\\gamma$": lambda h2, fade, *E: views(
        h2, 2 * fade, *E
    ),
}

# %% tags=["hide-input"]
views_claim = Claim(
    id="dialects/three-views",
    says=r"For two laws under one forward process, $\operatorname{KL}(p_t \| "
    r"q_t)$ loses in a time interval $\int \frac{h^2}{2} \mathbb E_p |\Delta "
    r"\text{score}|^2 dt$, which is $\int \frac{2}{h^2} \mathbb E_p |\Delta "
    r"u|^2 dt$, and $\frac12 \int \mathbb E_p |\Delta D|^2 d\gamma$ with "
    r"$\gamma = a^2/g^2$ (two mixtures on `vp`, six intervals).",
    papers=("058",),
    kind="exact",
    formula=views,
    controls=views_slips,
    tol=2e-13,
    because="24-point quadrature in time, trapezoidal sums of smooth bells",
    measure=lambda rates: apart(spent(rates), (-kl.diff()).expand(3, 6)),
)
check(views_claim)

# %% [markdown]
r"""
Where is the variational bound in this? Take the steps of DDPM from a time $t$
to an earlier $s$, now on any path. Given both ends $x_0$ and $x_t$ the state between is
Gaussian, with the variance $v^2 = g_s^2 (1 - \sigma_s^2/\sigma_t^2)$ and a mean
that contains $a_s (1 - \sigma_s^2 / \sigma_t^2)\, x_0$
([derived in the dictionary](../start/notation.ipynb) for the chain; the general
form is `tables.ddim` with `eta=1`). A sampler puts a guess $D'$ for $x_0$. Two
Gaussians of the same variance have the divergence
$|\text{difference of means}|^2 / 2 v^2$, so the bound's term for this step is

$$
\operatorname{KL} \big( q(x_s \mid x_t, x_0)\, \big\|\, q(x_s \mid x_t, D') \big)
= \frac12 \left( \gamma_s - \gamma_t \right) |x_0 - D'|^2
$$ (eq-dialects-kernel)

{cite}`kingma2021vdm`: the square of $a_s (1 - \sigma_s^2/\sigma_t^2)$ over
$2 g_s^2 (1 - \sigma_s^2/\sigma_t^2)$ is
$\frac12 \gamma_s (1 - \sigma_s^2/\sigma_t^2)$, and
$\gamma_s\, \sigma_s^2/\sigma_t^2 = \gamma_t$. Averaged over $x_0$
given $x_t$, $|x_0 - D'|^2$ is the posterior variance plus $|D - D'|^2$. The
first part no model can change. The second is the excess of the bound over the
best one:

$$
\text{excess}_N = \sum_{n} \tfrac12 \left( \gamma_{t_{n+1}} -
\gamma_{t_n} \right) \mathbb E\, |D - D'|^2 (x_{t_n}, t_n)
\;\longrightarrow\; \frac12 \int \mathbb E_p |\Delta D|^2\, d\gamma :
$$ (eq-dialects-bound)

a Riemann sum of [the third form](#eq-dialects-views). In the limit of many
steps, the bound, the score error and the velocity error are the same number.
Two claims: one for the step, against the rows of the sampler's table, and one
for the limit, against the divergences at both ends.
"""

# %%
descent = tables.by_nsr(ours.path, 4.0, 0.1, 12)
row = tables.ddim(ours.path, descent, eta=1.0)
snr = ours.path.nsr(descent) ** -2
rolled = ours.draw(12, descent[:-1], shapes.rng(8))[2]
D_ours, D_rival = (
    w.denoise(rolled, descent[:-1])[:, 0] for w in (ours, rival)
)


def kernels():
    """KL between the two reverse kernels of each step, by torch."""
    means = [
        row.A[:, 0] * rolled[:, 0] + row.B[:, 0] * D
        for D in (D_ours, D_rival)
    ]
    return kl_divergence(*(Normal(m, row.S) for m in means))


# %% tags=["hide-input"]
kernel_claim = Claim(
    id="dialects/kernel",
    says=r"Two ancestral steps from $t$ to $s$ that differ in the guess of "
    r"$x_0$ have the divergence $\frac12 (\gamma_s - \gamma_t) "
    r"|D - D'|^2$ (twelve steps on `vp`, `tables.ddim` with `eta=1`).",
    papers=("022", "058"),
    kind="exact",
    formula=lambda u, v, gap: (v - u) / 2 * gap**2,
    controls={
        "the half forgotten": lambda u, v, gap: (v - u) * gap**2,
        "$\\gamma_s$ alone": lambda u, v, gap: v / 2 * gap**2,
        "variances for SNR": lambda u, v, gap: (1 / u - 1 / v) / 2 * gap**2,
    },
    tol=1e-13,
    because="float64; differences of means over small variances",
    at=(snr[:-1], snr[1:], D_ours - D_rival),
    truth=lambda u, v, gap: kernels(),
)
check(kernel_claim)


# %%
@cache
def guesses_apart(N):
    """SNR at N + 1 levels from sigma = 4 to 0.1, and E_p |D_p - D_q|^2."""
    ts = tables.by_nsr(ours.path, 4.0, 0.1, N)
    return ours.path.nsr(ts) ** -2, averages(ts[:-1], "denoise")[0]


def excess(step, weigh=lambda u, v: (v - u) / 2):
    """The bound's excess in 1 / step steps."""
    snr, gaps = guesses_apart(round(1 / step))
    return (weigh(snr[:-1], snr[1:]) * gaps).sum()


def in_the_limit(weigh):
    """The relative error of the excess at N -> infinity."""
    return (to_zero(lambda e: excess(e, weigh), 1 / 8) / whole - 1).abs()


whole = -kl_at(ours.path.when(torch.tensor([0.1, 4.0]).double())).diff()


# %% tags=["hide-input"]
bound_claim = Claim(
    id="dialects/variational",
    says=r"The excess of the variational bound, $\sum \frac12 (\gamma_"
    r"{t_{n+1}} - \gamma_{t_n}) \mathbb E_p |D_p - D_q|^2$, tends to "
    r"$\operatorname{KL}$ at the last time less $\operatorname{KL}$ at the "
    r"first, as the steps become many (`vp`, $\sigma$ from 4 to 0.1).",
    papers=("058",),
    kind="exact",
    formula=lambda u, v: (v - u) / 2,
    controls={
        "the half forgotten": lambda u, v: v - u,
        "noise variances for SNR": lambda u, v: (1 / u - 1 / v) / 2,
        "log-SNR for SNR": lambda u, v: (v / u).log() / 2,
    },
    tol=2e-6,
    because="extrapolated from 8 to 128 steps; the fifth order remains",
    measure=in_the_limit,
)
check(bound_claim)

# %% [markdown]
r"""
The figure adds up what each view has measured, from the noise end on, and
compares it with the divergence itself. On the right is how far a bound of few
steps is from its limit.
"""

# %% mystnb={"figure": {"caption": "Left: $\\operatorname{KL}(p_t \\| q_t)$ of two mixtures on the VP path (grey), and its value rebuilt from integrals of score errors (circles), velocity errors (crosses) and denoiser errors (dots). Right: relative distance of the variational excess of $N$ steps from its limit, with a line of slope $-1$.", "name": "fig-dialects-views"}, "image": {"alt": "Left, a falling curve with three kinds of markers on it at seven times. Right, on logarithmic axes, dots that fall along a dashed line of slope minus one."}}
figure, axes = figures.canvas(
    "Three views lose the same divergence", 6.4, 2.7, 2
)
time = torch.linspace(0, 0.6, 31, dtype=torch.float64)
axes[0].plot(time, kl_at(time), color=figures.EXACT, lw=4)
for lost, mark, size in zip(spent(views), "ox.", (11, 7, 5), strict=True):
    rest = kl[-1] + torch.cat([lost.flip(0).cumsum(0).flip(0), kl[:1] * 0])
    axes[0].plot(stops, rest, mark, mfc="none", ms=size, color=figures.SECOND)
axes[0].set(xlabel="$t$", ylabel=r"KL$(p_t \, \| \, q_t)$", yticks=[0, 0.2])
counts = torch.tensor([8.0, 16, 32, 64, 128])
off = [abs(excess(1 / n) / whole - 1) for n in counts.tolist()]
axes[1].loglog(counts, off, "o", color=figures.SECOND)
axes[1].loglog(counts, off[-1] * 128 / counts, "--", color=figures.NOISE)
axes[1].minorticks_off()
axes[1].set_xticks(counts.tolist(), [f"{n:.0f}" for n in counts])
axes[1].set_yticks([0.03, 0.1, 0.3], ["3 %", "10 %", "30 %"])
axes[1].set(xlabel="steps $N$", ylabel="excess, off by")
plt.show()

# %% [markdown]
r"""
All markers lie on the curve, and what a bound of $N$ steps is off by falls
like $1/N$, as for any Riemann sum.
"""

# %% [markdown]
r"""
## How to read the rest of the book?

The monograph behind this chapter {cite}`lai2025principles` tells the theory
three times, from the variational, the score and the flow side. With what we
derived, the three columns are one.

| | variational (DDPM) | score (SDE, NCSN) | flow (flow matching) |
|---|---|---|---|
| the network gives | the mean noise $N$, or $D$ | the score $-N/g$ | the velocity $\dot a D + \dot g N$ |
| it is trained by | KLs between Gaussian kernels | $\lvert s' + z/g \rvert^2$ | $\lvert u' - \dot a x_0 - \dot g z \rvert^2$ |
| weight that bounds the likelihood | [$\frac12 \Delta\gamma$ on $D$](#eq-dialects-kernel) | [$h^2/2$](#eq-dialects-views) | [$2/h^2$](#eq-dialects-views) |
| it samples by | [ancestral steps](#eq-dialects-reverse) | the reverse SDE, [Langevin](#eq-dialects-langevin) | an ODE solver |
| its process between two times | [Brownian](#eq-dialects-joint) | [Brownian](#eq-dialects-joint) | [one $z$ for all](#eq-dialects-joint), in training |
| what is exact | the step, [not its Gaussian form](#eq-dialects-reverse) | the limit of small steps | the map |
| on from here | [terminal noise](terminal.ipynb) | [reverse time](reverse.ipynb) | [Painters](painters.ipynb) |

And a route through this part: [Painters](painters.ipynb) solves the flow of one
Gaussian to the end; [reverse time](reverse.ipynb) has the whole family of
samplers that share the marginals; [far field](farfield.ipynb) and
[teleport](teleport.ipynb) ask how Gaussian a score is at high noise;
[shortest paths](shortest.ipynb) leave the paths of one number $a$ and one
number $g$; [terminal noise](terminal.ipynb) looks at the end $a_T > 0$.

## Break it

- In `dialects/one-world`, let `stages` hold two paths with $a = 1$,
  `paths.edm()` and `paths.ve()`. All four controls are accepted: between two
  dialects that never rescale nobody notices a forgotten factor.
- In `dialects/three-views`, let both laws be one Gaussian of variance one, with
  two different means. The average under $q$ is no longer rejected, since the
  difference of the scores is then the same everywhere.
- In `dialects/joint`, let `grid` hold two ratios, $0$ and $1$. "One $z$ for all
  times" and "a new $z$ at every time" are both accepted: with one noisy picture
  there is nothing to compare.

## What this does not show

Everything here is about exact fields. Trained networks of different dialects
differ, because [the weights](#eq-dialects-weights) of their losses, their
inputs and their sizes differ; the identities say what is exchanged, not what
training finds. The bound on the likelihood is about laws under a forward
process: a sampler with few steps, or an ODE with a learned velocity that is not
the flow of any forward process, has another law, and
[the rate](#eq-dialects-rate) does not bound its error. The Langevin formulas
are for the line and to first order. And paths with two ends, or with a
different noise for each direction, are not in [the first
equation](#eq-dialects-same): for them "one world" has to be asked again.

## Exercises

**1.** Write the third cumulant of $x_0$ given $x_t = x$ on the line, from the
third derivative `T` of $\log p_t$ and the coefficients `a` and `g`. (For a
single variable it is $\mathbb E[(x_0 - D)^3 \mid x]$.)
"""

# %%
straight = worlds.World(paths.one_sided(), line_law)
skew_t = torch.linspace(0.15, 0.85, 40, dtype=torch.float64)
skew_c = straight.path.at(skew_t)
skew_x = straight.draw(40, skew_t, shapes.rng(9))[2][:, 0].requires_grad_()
log_q = straight.log_prob(column(skew_x), skew_t)
third = slope(slope(slope(log_q, skew_x), skew_x), skew_x).detach()


def third_moment(T, a, g):
    """The third central moment of the exact posterior."""
    law = straight.posterior(column(skew_x.detach()), skew_t)
    off = law.means[..., 0] - law.mean()
    v = law.covs()[..., 0, 0]
    return (law.logw.exp() * (off**3 + 3 * off * v)).sum(-1)


# %% tags=["hide-input"]
skew_claim = Claim(
    id="dialects/third-exercise",
    says="the third cumulant of the data given a picture",
    papers=("022",),
    kind="exact",
    formula=None,
    controls={
        "the power of the covariance, 2": lambda T, a, g: (g**2 / a) ** 2 * T,
        "g for g squared": lambda T, a, g: (g / a) ** 3 * T,
        "1 / a forgotten": lambda T, a, g: g**6 * T,
        "the sign": lambda T, a, g: -((g**2 / a) ** 3) * T,
    },
    tol=5e-12,
    because="three derivatives in float64",
    at={"T": third, "a": skew_c.a, "g": skew_c.g},
    truth=third_moment,
)


# %% tags=["solution", "hide-cell"]
def third_cumulant(T, a, g):
    """E[(x0 - D)^3 | x] from T = (log p)'''. All of shape (n)."""
    return (g**2 / a) ** 3 * T


# %%
attempt(skew_claim, third_cumulant)

# %% [markdown]
r"""
**2.** You see *two* pictures of one $x_0 \sim \mathcal N(0, v)$, with the
signal-to-noise ratios `s1` and `s2` and **independent** noises. Write the
posterior variance of $x_0$. (Then compare: on
[the forward process](#eq-dialects-joint) the noises are not independent. What
is the answer there? And with one $z$ for both?)
"""

# %%
looks = {
    "v": torch.linspace(0.2, 3, 16, dtype=torch.float64),
    "s1": torch.logspace(-1, 1, 16, dtype=torch.float64),
    "s2": torch.logspace(0.7, -0.7, 16, dtype=torch.float64),
}


def by_schur(v, s1, s2):
    """The posterior variance from the dense joint covariance of all three."""
    out = []
    for w, *snr in zip(v, s1, s2, strict=True):
        a = torch.stack([torch.ones_like(w), *(u.sqrt() for u in snr)])
        cov = w * a.outer(a) + torch.diag(torch.tensor([0.0, 1, 1]).double())
        gain = torch.linalg.solve(cov[1:, 1:], cov[1:, 0])
        out.append(cov[0, 0] - cov[0, 1:] @ gain)
    return torch.stack(out)


# %% tags=["hide-input"]
def seen_once(v, s):
    """The posterior variance after one picture."""
    return v / (1 + s * v)


looks_slips = {
    "only the clearer picture, as on the forward process": (
        lambda v, s1, s2: seen_once(v, torch.maximum(s1, s2))
    ),
    "one z for both gives x0 away": lambda v, s1, s2: 0 * v,
    "the mean of two answers": lambda v, s1, s2: (
        (seen_once(v, s1) + seen_once(v, s2)) / 2
    ),
    "the prior counted twice": lambda v, s1, s2: (
        1 / (1 / seen_once(v, s1) + 1 / seen_once(v, s2))
    ),
}

# %% tags=["hide-input"]
looks_claim = Claim(
    id="dialects/looks-exercise",
    says="what two independent pictures leave open",
    papers=("022",),
    kind="exact",
    formula=None,
    controls=looks_slips,
    tol=2e-13,
    because="float64, a dense 2 x 2 solve",
    at=looks,
    truth=by_schur,
)


# %% tags=["solution", "hide-cell"]
def two_looks(v, s1, s2):
    """Var(x0 | two pictures with independent noises). All of shape (n)."""
    return v / (1 + (s1 + s2) * v)


# %%
attempt(looks_claim, two_looks)

# %% [markdown]
r"""
**3.** How many *nats* does $x_t = a x_0 + g z$ tell about Gaussian $x_0$ with
covariance eigenvalues `lam` (a tensor of shape $(d)$, zeros allowed)? `a` and
`g` have shape $(n)$.
"""

# %%
rates_at = torch.linspace(0.1, 0.9, 12, dtype=torch.float64)
variances = torch.tensor([4.0, 1.0, 0.3, 0.0]).double()
mixed = torch.randn(4, 4, generator=shapes.rng(10), dtype=torch.float64)
basis = torch.linalg.qr(mixed).Q
dense = basis @ torch.diag(variances) @ basis.mT


def by_determinants(lam, a, g):
    """h(x_t) - h(x_t | x_0) from determinants of dense matrices."""
    square = column(column(a**2)) * dense
    noise = column(column(g**2)) * torch.eye(4).double()
    return ((square + noise).logdet() - noise.logdet()) / 2


# %% tags=["hide-input"]
def nats(lam, snr):
    """Half the sum of log(1 + snr lambda)."""
    return torch.log1p(column(snr) * lam).sum(-1) / 2


nats_slips = {
    "these are bits": lambda lam, a, g: nats(lam, (a / g) ** 2) / math.log(2),
    "the half is missing": lambda lam, a, g: 2 * nats(lam, (a / g) ** 2),
    "the ratio of amplitudes, not of powers": lambda lam, a, g: nats(
        lam, a / g
    ),
    "noise over signal": lambda lam, a, g: nats(lam, (g / a) ** 2),
}

# %% tags=["hide-input"]
nats_claim = Claim(
    id="dialects/nats-exercise",
    says="the information of a noisy picture of Gaussian data",
    papers=("058",),
    kind="exact",
    formula=None,
    controls=nats_slips,
    tol=3e-14,
    because="float64, determinants of 4 x 4 matrices",
    at=(variances, rates_at, (1 - rates_at**2).sqrt()),
    truth=by_determinants,
)


# %% tags=["solution", "hide-cell"]
def gaussian_nats(lam, a, g):
    """I(x0; x_t) in nats. lam: (d); a, g: (n)."""
    return torch.log1p(column(a**2 / g**2) * lam).sum(-1) / 2


# %%
attempt(nats_claim, gaussian_nats)

# %% [markdown]
r"""
**4.** *A new control.* Find a wrong formula for `dialects/reverse-step` that is
exact for data that are one point *and* for data $\mathcal N(0, I)$, and is still
rejected for the mixture. (Interpolate between DDPM's two variances with a
number that depends on the data only through their covariance.)

**5.** *Extend the world.* Take `dialects/three-views` to the plane: two mixtures
in two dimensions, the averages over draws in place of sums over a grid.
`information.kl_budget` does the integral over the signal-to-noise ratio and
returns a standard error; what kind of claim will it be, and what does its
tolerance mean?

## Summary

| question | answer |
|---|---|
| two paths at equal $g/a$ | [one joint law](#eq-dialects-same) of data, noise and $x/a$ |
| a factor for each derivative in $x$ | [$r = a'/a$](#eq-dialects-pay), and $r^d$ for a density |
| two processes with equal moments | [may differ](#eq-dialects-joint) in all else |
| $\operatorname{Cov}[x_0 \mid x]$ | [$\frac{g^2}{a}\, \partial D / \partial x = \frac{g^2}{a^2}(I + g^2 \nabla^2 \log p)$](#eq-dialects-tweedie) |
| losses of two dialects | [one number](#eq-dialects-kappa), weighed by $\kappa^2$ |
| the covariance of a DDPM step | [$\tilde\beta_n I + c^2 \operatorname{Cov}[x_0 \mid x_n]$](#eq-dialects-reverse) |
| Langevin's bias | [$e\, p\, (\frac12 s' + \frac14 s^2 + \frac14 J)$](#eq-dialects-bias) |
| information | [$\frac12 \int \operatorname{mmse}\, d\gamma$, $\gamma = a^2/g^2$](#eq-dialects-immse) |
| variational = score = flow | [$\operatorname{KL}$ lost at the rate $\frac{h^2}{2} \mathbb E_p \lvert\Delta\text{score}\rvert^2$](#eq-dialects-rate) |

**Where next.** [Painters](painters.ipynb) solves this one process for Gaussian
data with a pencil, and lets it draw.
"""
