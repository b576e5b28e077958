# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# Teleportation

Where the noise is strong, every data law of finite variance looks Gaussian, and
for a Gaussian the flow is known in closed form: so the first steps of a sampler can
be replaced by one line of algebra. We derive how wrong that line is, to leading order and with
its constant, what becomes of the error at the end, and how much it saves.

- **You need** [the flow of a Gaussian](painters.ipynb), Taylor's formula, and
[how to read a claim](../start/reading.ipynb).
- **You get** the error of a teleport on the line and in $d$ dimensions, for a
finite start, its fate on the way down, and the evaluations it spares.
- **Papers** 106 and 048, Wang and Vastola
{cite}`wang2024unreasonable,wang2023painters`.
- **Claims** on mixtures, on digits and on five trained nets, all named
`teleport/...`.
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
import torch

from diffkit import (
    chains,
    data,
    figures,
    laws,
    paths,
    recipes,
    shapes,
    solvers,
    tables,
    worlds,
)
from diffkit.claims import Claim, attempt, check

# %% [markdown]
r"""
## Can the first steps be skipped?

The clock of this chapter is the noise level: $x_\sigma = x_0 + \sigma z$ with
$z \sim \mathcal N(0, I)$, the path `paths.edm`. Every other path with one end is
this one in other units ([why](painters.ipynb)). A sampler starts at a large
$\sigma_T$ and follows the probability flow
$dx/d\sigma = (x - D(x, \sigma))/\sigma$, where $D = \mathbb E[x_0 \mid x_\sigma]$.

For data with mean $m$ and covariance $C$, let $G$ be the Gaussian with the same
$m$ and $C$. [Its flow](painters.ipynb) from $\sigma_T$ to $\sigma$ is

$$
\hat x_\sigma = m + S_\sigma S_{\sigma_T}^{-1} (x_T - m), \qquad
S_\sigma = (C + \sigma^2 I)^{1/2} .
$$ (eq-teleport-jump)

To **teleport** is to use this line down to a level $\sigma$, and the sampler only
below it. If the data are Gaussian, $\hat x_\sigma$ lies on the true flow line, so
that what remains is the error of the sampler on the steps that it does take. No
inverse of $C$ occurs: for an eigenvalue $0$ the factor is $\sigma/\sigma_T$.

Our Gaussian is that of the 1,797 handwritten digits that come with scikit-learn
{cite}`pedregosa2011sklearn,alpaydin1998digits`, with pixels from $-1$ to $1$.
Three of them are never inked, and have variance zero. The pixels' standard
deviation is close to the one half that EDM {cite}`karras2022edm` assumes for
images, so that noise levels here and there can be compared.
"""

# %% tags=["setup"]
pixels, labels = data.digits()
law = laws.fit_gaussian(pixels)
m, C, lam = law.mean(), law.cov(), law.covariance.spectrum[0]
U, edm = law.covariance.basis[0], paths.edm()
{
    "pixel sd": round(math.sqrt(C.trace() / 64), 2),
    "dead pixels": int((lam == 0).sum()),
}

# %% [markdown]
r"""
EDM's grid has $N$ noise levels from $80$ down to $0.002$, equally spaced in
$\sigma^{1/7}$, and then one step to $0$; with $N = 18$ steps of Heun's method,
the last of them Euler's, it asks the network $2N - 1 = 35$ times. To skip $k$
steps is to teleport to level number $k$, and leaves $2(N - k) - 1$ evaluations.
The paper's demonstration lists the levels and the counts for seven choices of
$k$. The claim counts the entries of that table that our grid does not reproduce
to the three digits printed.
"""

# %% tags=["setup"]
skips = (1, 2, 4, 6, 8, 9, 10)
edm_grid = tables.by_rho(edm, 80.0, 0.002, 17)


def heun(ts):
    """Heun's method on a grid, and Euler's from its last level to 0."""
    return tables.heun(tables.to_data(ts), last=tables.EULER)


def listed(ts):
    """Level and evaluations after each skip."""
    return [(float(ts[k]), heun(ts[k:]).evaluations) for k in skips]


# %%
printed = {"57.6": 33, "40.8": 31, "19.4": 27, "8.40": 23}
printed |= {"3.26": 19, "1.92": 17, "1.09": 15}


def wrong_entries(table):
    """How many of the 14 entries differ from what the paper prints."""
    wrong = 0
    rows = zip(table(), printed.items(), strict=True)
    for (level, count), (text, number) in rows:
        decimals = len(text.partition(".")[2])
        wrong += (f"{level:.{decimals}f}" != text) + (count != number)
    return float(wrong)


# %% tags=["hide-input"]
grid_slips = {
    "18 intervals for 18 levels": lambda: listed(
        tables.by_rho(edm, 80.0, 0.002, 18)
    ),
    "equal ratios": lambda: listed(tables.by_nsr(edm, 80.0, 0.002, 17)),
    "two evaluations in the last step too": lambda: [
        (level, count + 1) for level, count in listed(edm_grid)
    ],
}

# %% tags=["hide-input"]
grid_claim = Claim(
    id="teleport/grid",
    says=r"On EDM's 18 levels from 80 to 0.002 ($\rho = 7$), skipping 1, 2, "
    r"4, 6, 8, 9, 10 steps leads to $\sigma = $ 57.6, 40.8, 19.4, 8.40, "
    r"3.26, 1.92, 1.09 and leaves 33, 31, 27, 23, 19, 17, 15 evaluations "
    r"by Heun's method.",
    papers=("106",),
    kind="exact",
    formula=lambda: listed(edm_grid),
    controls=grid_slips,
    tol=0.01,
    because="a count of wrong entries, which is 0 or at least 1",
    measure=wrong_entries,
    scale=lambda f, e: lambda: [(s * (1 + e), n) for s, n in f()],
)
check(grid_claim)

# %% [markdown]
r"""
Now the statement itself. We start eight points at $\sigma_T = 80$, and reach each
of the seven levels twice: by [the jump](#eq-teleport-jump), and by several hundred
small steps of Runge and Kutta along the exact velocity. From there Heun's method
takes the rest of EDM's grid (all runs at once: those of lower levels join the others
on the way). The two end points must agree at every level, though the methods' own
errors differ from level to level.
"""

# %%
digits_gauss = worlds.World(edm, law)
starts = digits_gauss.law(80.0).sample(8, shapes.rng(0))
line = {0: starts}
for j, k in zip((0, *skips[:-1]), skips, strict=True):
    small = tables.rk4(tables.by_nsr(edm, edm_grid[j], edm_grid[k], 30))
    line[k] = solvers.solve(small, digits_gauss.velocity, line[j])


# %%
def relay(field, joins):
    """Heun's method on EDM's grid; joins: (k, batch that joins there)."""
    x, levels = joins[0][1][:0], [k for k, _ in joins]
    for (k, batch), stop in zip(joins, [*levels[1:], None], strict=True):
        x = torch.cat([x, batch])
        if stop is None:
            x = solvers.solve(heun(edm_grid[k:]), field, x)
        elif stop > k:
            table = tables.heun(edm_grid[k : stop + 1])
            x = solvers.solve(table, field, x)
    return x.unflatten(0, (len(joins), -1))


def finished(arrive):
    """End points of Heun's method from arrive(k) at each level."""
    return relay(digits_gauss.velocity, [(k, arrive(k)) for k in skips])


# %%
on_true_lines = finished(line.get)


def jump(factor=torch.sqrt, mean=m, variances=lam):
    """Arrivals by the closed form, with some part of it replaced."""

    def arrive(k):
        s, T = edm_grid[k], edm_grid[0]
        ratio = factor((variances + s**2) / (variances + T**2))
        return m + (ratio * ((starts - mean) @ U)) @ U.mT

    return lambda: finished(arrive)


# %% tags=["hide-input"]
level_slips = {
    "no square root": jump(factor=lambda u: u),
    "only the noise shrinks, $\\sigma/\\sigma_T$": jump(variances=0 * lam),
    "one mean variance for all": jump(variances=lam.mean()),
    "the mean forgotten at the start": jump(mean=0 * m),
}

# %% tags=["hide-input"]
level_claim = Claim(
    id="teleport/any-level",
    says=r"For Gaussian data, zero variances included, a teleport from "
    r"$\sigma_T = 80$ to any level $\sigma$ and Heun's method below it "
    r"end exactly where Heun's method ends that starts at level $\sigma$ "
    r"on the true flow line (digits; the seven levels of "
    r"`teleport/grid`).",
    papers=("106", "048"),
    kind="exact",
    formula=lambda: finished(
        lambda k: chains.carry(law, edm, starts, edm_grid[0], edm_grid[k])
    ),
    controls=level_slips,
    tol=1e-8,
    because="Runge-Kutta of order 4 in steps of ratio 1.04 or less",
    truth=lambda: on_true_lines,
)
check(level_claim)

# %% [markdown]
r"""
What was removed? For DDIM there is a formula. In the direction $u_k$ of variance
$\lambda_k$ let $\theta = \arctan(\sigma / \sqrt{\lambda_k})$. On that direction a
step of DDIM from $\sigma$ to $\sigma'$ multiplies $u_k^\top (x - m)$ by
$\sigma'/\sigma + (1 - \sigma'/\sigma) \lambda_k/(\lambda_k + \sigma^2) =
(\lambda_k + \sigma\sigma')/(\lambda_k + \sigma^2)$, while the flow multiplies it
by $\sqrt{\lambda_k + \sigma'^2} / \sqrt{\lambda_k + \sigma^2}$. The quotient is

$$
\frac{\lambda_k + \sigma \sigma'}{\sqrt{\lambda_k + \sigma^2}
\sqrt{\lambda_k + \sigma'^2}} = \cos(\theta - \theta') .
$$ (eq-teleport-cosine)

So DDIM leaves of each mode the product of the cosines of its steps, and a
teleport takes the cosines of the skipped steps out of the product. A mode without
variance stands at $\theta = \pi/2$ throughout, and loses nothing either way.
"""


# %%
def kept_by_ddim():
    """Coordinates of DDIM's end points, of whole runs over teleported."""
    out, D = [], digits_gauss.denoise
    whole = solvers.solve(tables.ddim(edm, edm_grid), D, starts)
    for k in skips:
        x = chains.carry(law, edm, starts, edm_grid[0], edm_grid[k])
        end = solvers.solve(tables.ddim(edm, edm_grid[k:]), D, x)
        out.append((((whole - m) @ U) / ((end - m) @ U)).mean(0))
    return torch.stack(out)


def products(part):
    """prod cos over the part of the grid that part(k) selects."""
    return torch.stack(
        [chains.cosines(edm, lam, edm_grid[part(k)]) for k in skips]
    )


ddim_factors = kept_by_ddim()

# %% tags=["hide-input"]
cosine_slips = {
    "the steps that were kept": lambda: products(lambda k: slice(k, None)),
    "all steps": lambda: products(lambda k: slice(None)),
    "one step for the skipped ones": lambda: products(
        lambda k: torch.tensor([0, k])
    ),
}

# %% tags=["hide-input"]
cosine_claim = Claim(
    id="teleport/cosines",
    says=r"For Gaussian data a teleport removes from the end point of DDIM, "
    r"in each direction of variance $\lambda$, exactly the factor "
    r"$\prod \cos(\theta_n - \theta_{n+1})$ of the skipped steps, "
    r"$\tan\theta_n = \sigma_n/\sqrt\lambda$; the factor is 1 at "
    r"$\lambda = 0$ (digits, EDM's grid).",
    papers=("106", "048"),
    kind="exact",
    formula=lambda: products(lambda k: slice(0, k + 1)),
    controls=cosine_slips,
    tol=1e-11,
    because="float64; quotients of coordinates down to 1e-5",
    truth=lambda: ddim_factors,
)
check(cosine_claim)

# %% [markdown]
r"""
## How wrong is the jump on the line?

Now let the data be no Gaussian, in one dimension, with mean $\mu$, variance $v$
and third and fourth **cumulants** $k_3 = \mathbb E (x_0 - \mu)^3$,
$k_4 = \mathbb E (x_0 - \mu)^4 - 3 v^2$. For a Gaussian $k_3 = k_4 = 0$.

*The flow is the quantile map.* Let $F_\sigma$ be the distribution function of
$x_\sigma$ and $u$ the velocity of the flow, so that
$\partial_\sigma p_\sigma + \partial_x (p_\sigma u) = 0$. Integrated from $-\infty$
to $x$ this reads $\partial_\sigma F_\sigma(x) = - p_\sigma(x) u(x, \sigma)$. Along
a flow line therefore

$$
\frac{d}{d\sigma} F_\sigma(x_\sigma) = \partial_\sigma F_\sigma + p_\sigma u = 0 :
$$ (eq-teleport-quantile)

a point keeps its rank. All lines are $x_\sigma(z) = F_\sigma^{-1}(\Phi(z))$, one
for each $z$, with $\Phi$ the normal distribution function. No line is lost as
$\sigma \to 0$; only where $p_0$ has a gap does a jump of $F_0^{-1}$ appear.

We take a skewed mixture and a symmetric one. `laws.monotone` finds quantiles by
a search that knows no flow; the second route is an adaptive solver that knows no
quantiles.
"""


# %% tags=["setup"]
def on_line(means, variances, weights):
    """A mixture on the line."""
    means, variances, weights = (
        torch.tensor(u, dtype=torch.float64)
        for u in (means, variances, weights)
    )
    cov = variances.reshape(-1, 1, 1)
    return laws.mixture(means.unsqueeze(1), cov, weights)


edm_far = paths.edm(1e6)  # the same path, up to larger levels
normal = laws.gaussian(torch.zeros(1).double(), 1.0)
skewed = on_line([-0.7, 1.3], [0.16, 0.36], [0.7, 0.3])
even = on_line([-1.0, 1.0], [0.25, 0.25], [0.5, 0.5])


# %% tags=["setup"]
def moments(law):
    """Mean, variance, third and fourth cumulant of a law on the line."""
    w, v = law.logw.exp(), law.covs()[:, 0, 0]
    mean = (w * law.means[:, 0]).sum()
    off = law.means[:, 0] - mean
    var = (w * (off**2 + v)).sum()
    third = (w * (off**3 + 3 * off * v)).sum()
    fourth = (w * (off**4 + 6 * off**2 * v + 3 * v**2)).sum()
    return mean, var, third, fourth - 3 * var**2


def gaussian_line(law, sigma, z):
    """The flow line of the Gaussian with the same two moments."""
    mean, var, *_ = moments(law)
    return mean + (var + sigma**2).sqrt() * z


# %% tags=["setup"]
def noisy(law, sigma):
    """The law of x at level sigma."""
    return worlds.World(edm_far, law).law(sigma)


def true_line(law, sigma, z):
    """The exact flow line of rank Phi(z), at level sigma."""
    return laws.monotone(normal, noisy(law, sigma), z.unsqueeze(1))[:, 0]


def missed(law, sigma, z):
    """The error of a teleport from far away, at level sigma."""
    return true_line(law, sigma, z) - gaussian_line(law, sigma, z)


# %%
ranks = torch.linspace(-2, 2, 9).double()
skewed_world = worlds.World(edm, skewed)
high, low = skewed_world.law(20.0), skewed_world.law(0.05)
at_20 = true_line(skewed, 20.0, ranks).unsqueeze(1)
fine = solvers.Adaptive(20.0, 0.05, rtol=1e-11, atol=1e-11)
arrived = solvers.solve(fine, skewed_world.velocity, at_20)
two_moments = laws.gaussian(skewed.mean(), skewed.cov())

# %% tags=["hide-input"]
quantile_slips = {
    "the Gaussian's map": lambda: chains.carry(
        two_moments, edm, at_20, 20.0, 0.05
    ),
    "ranks of pure noise at the start": lambda: laws.monotone(
        laws.gaussian(torch.zeros(1).double(), 400.0), low, at_20
    ),
    "ranks counted from above": lambda: laws.monotone(
        high, low, at_20.flip(0)
    ),
}

# %% tags=["hide-input"]
quantile_claim = Claim(
    id="teleport/quantile-flow",
    says=r"On the line the probability flow from $\sigma$ to $\sigma'$ is "
    r"the monotone map $F_{\sigma'}^{-1} \circ F_\sigma$ (skewed mixture, "
    r"from 20 to 0.05).",
    papers=("106",),
    kind="exact",
    formula=lambda: laws.monotone(high, low, at_20),
    controls=quantile_slips,
    tol=1e-10,
    because="the adaptive solver holds each step to 1e-11",
    truth=lambda: arrived,
)
check(quantile_claim)

# %% [markdown]
r"""
Watch it. Grey lines are exact. The ochre ones are teleported: down to the level of
the red mark they follow the Gaussian's flow, and from there the exact one. Move
the mark, and look how far apart each pair of one rank is there, and at the right
edge. The slider needs no kernel.
"""


# %%
def continued(level):
    """Teleported lines: the Gaussian's above the level, exact below it."""
    landed = gaussian_line(skewed, level, ranks).unsqueeze(1)
    rows, there = [], noisy(skewed, level)
    for s in sigmas:
        if s > level:
            rows.append(gaussian_line(skewed, s, ranks))
        else:
            below = laws.monotone(there, noisy(skewed, s), landed)
            rows.append(below[:, 0])
    return torch.stack(rows)


sigmas = torch.logspace(1, -1.5, 26).double()
exact = torch.stack([true_line(skewed, s, ranks) for s in sigmas])


# %%
def frame(level):
    """Exact and teleported lines of the skewed mixture."""
    figure, axes = figures.canvas("")
    axes.semilogx(sigmas, exact, color=figures.EXACT, lw=2.5)
    axes.semilogx(sigmas, continued(level), "--", color=figures.SECOND)
    axes.axvline(float(level), color=figures.WRONG, lw=1)
    axes.set(xlim=(10, 0.03), ylim=(-5, 5), xlabel=r"noise level $\sigma$")
    axes.set(
        xticks=[10, 1, 0.1], xticklabels=["10", "1", "0.1"], ylabel="$x$"
    )
    axes.minorticks_off()
    return figure


# %%
marks = torch.logspace(0.8, -0.4, 4).double()
figures.Slider(
    [frame(s) for s in marks],
    [f"arrival at noise level {s:.2g}" for s in marks],
    "Exact flow lines of the skewed mixture, and teleported ones that follow "
    "the Gaussian flow above the level of arrival and the exact flow below",
    "teleport",
)

# %% [markdown]
r"""
For an arrival at 2.5 or above the eye sees no difference at the right edge; at one
and below, some lines end in the wrong place. How small is the error on arrival? In
this section both flows start at the same rank, which is to start at
$\sigma_T = \infty$; the next section lets them start at one finite point. Let
$W = x_0 - \mu$ have a finite fifth moment. Since $x_\sigma = \mu + W + \sigma z$,

$$
\begin{gathered}
F_\sigma(\mu + \sigma y) = \mathbb E\, \Phi(y - W/\sigma)
= \sum_{n=0}^{4} \frac{(-1)^n \mathbb E W^n}{n!\, \sigma^n} \Phi^{(n)}(y) + R, \\
|R| \le \frac{\mathbb E |W|^5}{120\, \sigma^5} \max |\Phi^{(5)}|,
\end{gathered}
$$ (eq-teleport-taylor)

by Taylor's formula, with no approximation besides. The derivatives are
$\Phi' = \varphi$, $\Phi''' = (y^2 - 1) \varphi$ and
$\Phi'''' = -(y^3 - 3y) \varphi$. The Gaussian $G$ has the same expansion with the
same $\mathbb E W^2$ but $\mathbb E W^3 = 0$, $\mathbb E W^4 = 3v^2$. So the two
distribution functions differ by

$$
F_\sigma^G - F_\sigma = \varphi(y) \Bigl[ \frac{k_3 (y^2 - 1)}{6 \sigma^3}
+ \frac{k_4 (y^3 - 3y)}{24 \sigma^4} \Bigr] + O(\sigma^{-5}).
$$ (eq-teleport-gap)

The Gaussian's line of rank $z$ is at $y_G = z \sqrt{1 + v/\sigma^2} =
z + O(\sigma^{-2})$, the true one at $y_G + \delta$ with
$F_\sigma(\mu + \sigma(y_G + \delta)) = F_\sigma^G(\mu + \sigma y_G) = \Phi(z)$. The
slope of $y \mapsto F_\sigma(\mu + \sigma y)$ is $\varphi(y) (1 + O(\sigma^{-2}))$,
so $\delta$ is the bracket, and the error $e_\sigma = \sigma \delta$ is

$$
e_\sigma(z) = x_\sigma(z) - \bigl[\mu + \sqrt{v + \sigma^2}\, z\bigr]
= \frac{k_3 (z^2 - 1)}{6 \sigma^2} + \frac{k_4 (z^3 - 3z)}{24 \sigma^3}
+ O(\sigma^{-4}) .
$$ (eq-teleport-error)

These are the first terms of Cornish and Fisher. The first is even in $z$ and the
second odd. To exchange $W$ for $-W$ and $z$ for $-z$ turns $e_\sigma$ round, and to
scale $W$ and $\sigma$ by $c$ scales it by $c$. So a term in $\sigma^{-j}$ holds
cumulants of total order $j + 1$, and is even in $z$ if $j$ is even, else odd. The
even part of $\sigma^2 e_\sigma$ is thus right up to $O(\sigma^{-2})$, and so is the
odd part of $\sigma^3 e_\sigma$; two levels, $\sigma$ and $2\sigma$, remove that too.
"""


# %%
def at_infinity(f, sigma):
    """The limit of f + O(sigma^-2), up to O(sigma^-4)."""
    return (4 * f(2 * sigma) - f(sigma)) / 3


def parts(sigma):
    """Even part times sigma^2, and odd part times sigma^3."""
    e = missed(skewed, sigma, ranks)
    halves = (e + e.flip(0)) / 2, (e - e.flip(0)) / 2
    return torch.stack([halves[0] * sigma**2, halves[1] * sigma**3])


two_parts = at_infinity(parts, 32.0)


# %%
def terms(first=1 / 6, second=1 / 24, fourth=0.0, one=1.0):
    """The two terms; fourth adds to k4 what a slip leaves in it."""
    _, v, k3, k4 = moments(skewed)
    k4, z = k4 + fourth * v**2, ranks
    even = first * k3 * (z**2 - one)
    return torch.stack([even, second * k4 * (z**3 - 3 * z)])


# %% tags=["hide-input"]
term_slips = {
    "1/2 for 1/6": lambda: terms(first=1 / 2),
    "1/6 for 1/24": lambda: terms(second=1 / 6),
    "the fourth moment for the cumulant": lambda: terms(fourth=3.0),
    "$z^2$ for $z^2 - 1$": lambda: terms(one=0.0),
}

# %% tags=["hide-input"]
term_claim = Claim(
    id="teleport/two-terms",
    says=r"On the line the true flow and that of the Gaussian of the same "
    r"mean $\mu$ and variance $v$, at the same rank $\Phi(z)$, differ by "
    r"$\frac{k_3 (z^2 - 1)}{6\sigma^2} + \frac{k_4 (z^3 - 3z)}{24 "
    r"\sigma^3} + O(\sigma^{-4})$ with the cumulants $k_3, k_4$ of the "
    r"data (skewed mixture, $|z| \le 2$).",
    papers=("106",),
    kind="exact",
    formula=terms,
    controls=term_slips,
    tol=2e-6,
    because="the next term of the limit is 32^-4 = 1e-6 times a constant",
    truth=lambda: two_parts,
)
check(term_claim)

# %% [markdown]
r"""
How large is that on average over the lines? With $z \sim \mathcal N(0, 1)$,
$\mathbb E (z^2 - 1)^2 = 3 - 2 + 1 = 2$ and
$\mathbb E (z^3 - 3z)^2 = 15 - 18 + 9 = 6$, so

$$
\sqrt{\mathbb E\, e_\sigma^2} \approx \frac{|k_3|}{3\sqrt2\, \sigma^2},
\qquad \text{and if } k_3 = 0 \qquad
\sqrt{\mathbb E\, e_\sigma^2} \approx \frac{|k_4|}{4\sqrt6\, \sigma^3} .
$$ (eq-teleport-rms)

The claim averages the exact error over a fine grid of ranks out to $|z| = 8$.
"""


# %% tags=["setup"]
every_rank = torch.linspace(-8, 8, 201).double()
normal_weights = (-(every_rank**2) / 2).exp()
normal_weights /= normal_weights.sum()


def rms(e):
    """The root of the mean square over all ranks."""
    return (normal_weights * e**2).sum().sqrt()


# %%
def mean_squares(sigma):
    """Squares of the rms error, times its power of sigma, for both laws."""
    first = rms(missed(skewed, sigma, every_rank)) * sigma**2
    second = rms(missed(even, sigma, every_rank)) * sigma**3
    return torch.stack([first, second]) ** 2


def constants(first=3 * 2**0.5, second=4 * 6**0.5):
    """The two constants."""
    k3, k4 = moments(skewed)[2], moments(even)[3]
    return torch.stack([k3.abs() / first, k4.abs() / second])


two_constants = at_infinity(mean_squares, 32.0).sqrt()

# %% tags=["hide-input"]
rms_slips = {
    "$\\sqrt 2$, the constant of the denoiser": lambda: constants(2**0.5),
    "$\\mathbb E (z^2 - 1)^2 = 3$, that of $z^4$": lambda: constants(
        6 / 3**0.5
    ),
    "$\\mathbb E (z^3 - 3z)^2 = 15$, that of $z^6$": lambda: constants(
        second=24 / 15**0.5
    ),
}

# %% tags=["hide-input"]
rms_claim = Claim(
    id="teleport/rms",
    says=r"As $\sigma$ grows, the root mean square over all lines of the "
    r"error of a teleport is $|k_3| / (3\sqrt2\, \sigma^2)$, and "
    r"$|k_4| / (4\sqrt6\, \sigma^3)$ if the data are symmetric (a skewed "
    r"and a symmetric mixture).",
    papers=("106",),
    kind="exact",
    formula=constants,
    controls=rms_slips,
    tol=1e-5,
    because="the next term of the limit is 32^-4 = 1e-6 times a constant",
    truth=lambda: two_constants,
)
check(rms_claim)

# %% [markdown]
r"""
What if the jump uses wrong moments? The figure has both laws, and the skewed one
with a variance off by a tenth, or a mean off by $0.01$. Look at the slopes; the
next section derives them.
"""


# %%
def with_wrong(mean=0.0, variance=1.0):
    """The rms error on the skewed law, its moments given wrongly."""
    mu, v, *_ = moments(skewed)
    there = zip(arrivals, skewed_lines, strict=True)
    here = mu + mean
    return [
        rms(x - here - (v * variance + s**2).sqrt() * every_rank)
        for s, x in there
    ]


arrivals = torch.logspace(0, 2, 10).double()
skewed_lines = [true_line(skewed, s, every_rank) for s in arrivals]
curves = {
    "symmetric: $-3$": [rms(missed(even, s, every_rank)) for s in arrivals],
    "skewed: $-2$": with_wrong(),
    "wrong variance: $-1$": with_wrong(variance=1.1),
    "wrong mean: $0$": with_wrong(mean=0.01),
}

# %% mystnb={"figure": {"caption": "Root mean square error of a teleport against the level at which it arrives: the symmetric and the skewed mixture (grey), and the skewed one with a wrong variance or a wrong mean (red, dashed). Thin lines: [the two constants](#eq-teleport-rms).", "name": "fig-teleport-orders"}, "image": {"alt": "Four curves on logarithmic axes. The symmetric mixture falls with slope minus three, the skewed one with minus two, the one with the wrong variance with minus one, and the one with the wrong mean is flat."}}
figure, axes = figures.canvas("Each moment that is matched gains one order")
for p, c in zip((2, 3), constants(), strict=True):
    axes.loglog(arrivals, c / arrivals**p, color=figures.SECOND, lw=1)
for name, e in curves.items():
    bad = "wrong" in name
    colour = figures.WRONG if bad else figures.EXACT
    axes.loglog(arrivals, e, "--" if bad else "-", color=colour, lw=3 - bad)
    figures.label_line(axes, arrivals[-1], e[-1], name, colour)
axes.set(xlabel=r"level of arrival $\sigma$", ylabel="rms error")
axes.minorticks_off()
plt.show()

# %% [markdown]
r"""
The grey curves settle on the ochre lines from $\sigma = 3$ on; the data have
standard deviation one. A wrong variance spoils the order, and a wrong mean never
wears off.
"""

# %% [markdown]
r"""
## What if the start is finite, or the data not on a line?

In $d$ dimensions there are no quantiles, and a real sampler starts at a finite
$\sigma_T$, where both flows leave from the same *point*, not from the same rank.
Let $r = D - D_G$ be the gap between the true denoiser and the affine one,
$D_G(x, \sigma) = m + C (C + \sigma^2 I)^{-1} (x - m)$. The error
$e = x - \hat x$ obeys

$$
\frac{de}{d\sigma} = \frac{e - C (C + \sigma^2)^{-1} e - r(x_\sigma, \sigma)}
{\sigma} = \sigma (C + \sigma^2)^{-1} e - \frac{r(x_\sigma, \sigma)}{\sigma} .
$$ (eq-teleport-ode)

Since $\frac{d}{d\sigma} S_\sigma = \sigma (C + \sigma^2)^{-1} S_\sigma$, the
derivative of $S_\sigma^{-1} e$ is $-S_\sigma^{-1} r / \sigma$, and with
$e = 0$ at $\sigma_T$

$$
e_\sigma = \int_\sigma^{\sigma_T} S_\sigma S_\tau^{-1}\, r(x_\tau, \tau)\,
\frac{d\tau}{\tau} .
$$ (eq-teleport-variation)

This is exact for every law. At strong noise $r$ is known
([the far field](farfield.ipynb) has the whole expansion). With
$\eta = x_0 - m$ and $x = m + \tau z$, the posterior weighs $\eta$ by
$w = \exp(\eta \cdot z / \tau - |\eta|^2 / 2\tau^2) = 1 + \eta \cdot z/\tau +
\frac{1}{2\tau^2} [(\eta \cdot z)^2 - |\eta|^2] + O(\tau^{-3})$, and
$\mathbb E w = 1 + O(\tau^{-2})$. Hence

$$
D - m = \frac{\mathbb E\, \eta w}{\mathbb E w} = \frac{C z}{\tau} +
\frac{1}{2\tau^2} \bigl( K[z, z] - \operatorname{tr} K \bigr) + O(\tau^{-3}),
$$ (eq-teleport-far)

with the third cumulant tensor $K_{ijl} = \mathbb E\, \eta_i \eta_j \eta_l$,
$K[z, z]_i = \sum_{jl} K_{ijl} z_j z_l$ and
$(\operatorname{tr} K)_i = \sum_j K_{ijj}$. (Gaussian tails of $\eta$ are enough to
exchange expectation and expansion.) For $G$ the first term is the same and
$K = 0$, so $r$ is the second term. Along a line $z$ changes only by
$O(\sigma^{-2})$, and $S_\sigma S_\tau^{-1} = (\sigma/\tau) (1 + O(\sigma^{-2}))$.
What is left is $\int_\sigma^{\sigma_T} \sigma\, \tau^{-4}\, d\tau$, and

$$
e_\sigma = \frac{K[z, z] - \operatorname{tr} K}{6}
\Bigl( \frac{1}{\sigma^2} - \frac{\sigma}{\sigma_T^3} \Bigr) + O(\sigma^{-3}),
\qquad
\sqrt{\mathbb E |e_\sigma|^2} \approx \frac{\lVert K \rVert_F}{3 \sqrt 2\,
\sigma^2},
$$ (eq-teleport-plane)

the latter for $\sigma \ll \sigma_T$, since for a symmetric tensor
$\mathbb E |K[z, z] - \operatorname{tr} K|^2 = 2 \lVert K \rVert_F^2$. A finite
start takes away from the error: at $\sigma = \sigma_T/4$ one part in 64.

The same integral ranks all jumps by the gap that their Gaussian leaves:

| gap $r$ | because | error $e_\sigma$ at $\sigma_T = \infty$ | order |
|---|---|---|---|
| $m - m'$ | wrong mean | $m - m'$ | 0 |
| $(C - C') z/\tau$ | wrong covariance | $(C - C') z / 2\sigma$ | $-1$ |
| $O(\tau^{-2})$ | $K \ne 0$ | $(K[z, z] - \operatorname{tr} K)/6\sigma^2$ | $-2$ |
| $O(\tau^{-3})$ | $K = 0$ | from the fourth cumulants | $-3$ |

A covariance of the right trace, but isotropic, belongs to the second row. Where
$C$ has a zero eigenvalue, that direction holds no data: $K$ and $e$ have no
component along it.

The claim runs a tight adaptive solver in the plane, on three Gaussians with
covariances that do not commute. It starts pairs of lines at $m \pm \sigma_T z$,
whose mean error is even in $z$, at $\sigma_T = 4\sigma$.
"""


# %% tags=["setup"]
def on_plane(means, covs, weights):
    """A mixture in the plane."""
    means, covs, weights = (
        torch.tensor(u, dtype=torch.float64) for u in (means, covs, weights)
    )
    return laws.mixture(means, covs, weights)


slant, tall = [[0.3, 0.1], [0.1, 0.2]], [[0.1, 0.0], [0.0, 0.3]]
back = [[0.2, -0.15], [-0.15, 0.5]]
three = on_plane(
    [[-1.0, -0.3], [1.2, 0.2], [0.2, 1.4]],
    [slant, back, tall],
    [0.5, 0.3, 0.2],
)
two = on_plane([[-1.0, -0.5], [1.0, 0.5]], [slant, slant], [0.5, 0.5])


# %% tags=["setup"]
def matched(law):
    """The Gaussian with the mean and covariance of a law."""
    return laws.gaussian(law.mean(), law.cov())


def by_solver(law, x, high, low):
    """The true flow line through x, by a tight adaptive solver."""
    world = worlds.World(edm_far, law)
    steps = solvers.Adaptive(high, low, rtol=1e-12, atol=1e-12)
    return solvers.solve(steps, world.velocity, x)


# %%
z = torch.randn(8, 2, generator=shapes.rng(1), dtype=torch.float64)


def even_part(sigma):
    """sigma^2 times the even part of the error at sigma = sigma_T / 4."""
    own, both = matched(three), torch.cat([z, -z])
    start = own.mean() + 4 * sigma * both
    error = by_solver(three, start, 4 * sigma, sigma)
    error = error - chains.carry(own, edm_far, start, 4 * sigma, sigma)
    return sigma**2 * error.unflatten(0, (2, 8)).mean(0)


even_limit = at_infinity(even_part, 32.0)


# %%
def leading(share=1 / 6, trace=1.0, start=4.0**-3):
    """sigma^2 times the leading term at sigma = sigma_T / 4."""
    K = laws.third_cumulant(three)
    pull = torch.einsum("ijl,nj,nl->ni", K, z, z)
    rest = torch.einsum("ijj->i", K)
    return share * (pull - trace * rest) * (1 - start)


# %% tags=["hide-input"]
plane_slips = {
    "1/2 for 1/6": lambda: leading(share=1 / 2),
    "the trace not subtracted": lambda: leading(trace=0.0),
    "a start at infinity": lambda: leading(start=0.0),
    "$(\\sigma/\\sigma_T)^2$ for $(\\sigma/\\sigma_T)^3$": lambda: leading(
        start=4.0**-2
    ),
}

# %% tags=["hide-input"]
plane_claim = Claim(
    id="teleport/plane",
    says=r"In $d$ dimensions, from a common point $m + \sigma_T z$, the "
    r"even part in $z$ of the error of a teleport to $\sigma$ is "
    r"$\frac16 (K[z, z] - \operatorname{tr} K)(\sigma^{-2} - \sigma "
    r"\sigma_T^{-3}) + O(\sigma^{-4})$ with the third cumulant tensor "
    r"$K$ (three Gaussians in the plane, $\sigma_T = 4\sigma$).",
    papers=("106",),
    kind="exact",
    formula=leading,
    controls=plane_slips,
    tol=2e-6,
    because="the next term of the limit is 32^-4 = 1e-6 times a constant",
    truth=lambda: even_limit,
)
check(plane_claim)

# %% [markdown]
r"""
And the orders. Between $\sigma = 64$ and $128$ the root mean square error falls by
a power of two, from which we read the exponent, for a law with $K \ne 0$ and for a
symmetric one. The formula that is put to the test is the Gaussian that jumps; as a
planted error its covariance is wrong by one part in a thousand.
"""


# %%
@functools.cache  # all Gaussians are compared with the same lines
def lines(law):
    """Starts at 4096, and the true points at 128 and at 64."""
    start = law.mean() + 4096.0 * torch.cat([z, -z])
    first = by_solver(law, start, 4096.0, 128.0)
    return start, (128.0, first), (64.0, by_solver(law, first, 128.0, 64.0))


def exponent(law, own):
    """The power of sigma with which the error of a jump goes."""
    start, *points = lines(law)
    sizes = [
        (x - chains.carry(own, edm_far, start, 4096.0, s)).norm()
        for s, x in points
    ]
    return torch.log2(sizes[0] / sizes[1])


# %%
def off_the_orders(choose):
    """How far the two exponents are from -2 and -3, the worse of them."""
    found = [exponent(world, choose(world)) for world in (three, two)]
    return max(abs(found[0] + 2), abs(found[1] + 3))


# %% tags=["hide-input"]
def isotropic(law):
    """The right mean, and a multiple of the identity of the right trace."""
    return laws.gaussian(law.mean(), law.cov().trace() / law.d)


order_slips = {
    "isotropic covariance of the right trace": isotropic,
    "only the variances, no correlation": lambda law: laws.gaussian(
        law.mean(), law.cov().diag().diag()
    ),
    "the mean off by 0.01": lambda law: laws.gaussian(
        law.mean() + 0.01, law.cov()
    ),
    "the covariance within components, not the total": lambda law: (
        laws.gaussian(law.mean(), law.covs().mean(0))
    ),
}

# %% tags=["hide-input"]
order_claim = Claim(
    id="teleport/orders",
    says=r"In the plane the error of a teleport with the data's mean and "
    r"full covariance goes as $\sigma^{-2}$ where the third cumulants do "
    r"not vanish, and as $\sigma^{-3}$ for a symmetric law (two "
    r"mixtures, $\sigma$ from 64 to 128, $\sigma_T = 4096$).",
    papers=("106", "048"),
    kind="exact",
    formula=matched,
    controls=order_slips,
    tol=2e-3,
    because="an exponent; the next orders change it by some 64^-2 = 2e-4",
    measure=off_the_orders,
    scale=lambda f, e: (
        lambda law: laws.gaussian(f(law).mean(), f(law).cov() * (1 + e))
    ),
)
check(order_claim)

# %% [markdown]
r"""
## What is left of the error at the end?

Nobody looks at $x_\sigma$. Below the level of arrival the sampler follows the true
flow, which moves errors too. On the line a point keeps its rank,
$F_0(x_0) = F_\sigma(x_\sigma)$; differentiated, this is the Jacobian of the rest of
the flow,

$$
\frac{dx_0}{dx_\sigma} = \frac{p_\sigma(x_\sigma)}{p_0(x_0)},
\qquad\text{so}\qquad
\text{error at the end} \approx e_\sigma(z)\,
\frac{p_\sigma(x_\sigma)}{p_0(x_0)} .
$$ (eq-teleport-end)

Since $p_\sigma(x_\sigma(z)) \approx \varphi(z)/\sigma$, the flow shrinks what the
teleport did wrong by another factor of $\sigma$: a skewed law has an end error of
order $-3$ and a symmetric one of order $-4$, with constants that depend on
$p_0(x_0)$. Where $p_0$ is small the shrinking fails. The claim measures the end
error without any linearisation.
"""


# %% tags=["setup"]
@functools.cache  # the lines of the data end are the same for all levels
def data_line(law, z):
    """The exact flow line of rank Phi(z), at level 0."""
    return true_line(law, 0.0, z)


def end_error(law, sigma, z):
    """What a teleport to sigma, then the exact flow, miss at level 0."""
    landed = gaussian_line(law, sigma, z).unsqueeze(1)
    ended = laws.monotone(noisy(law, sigma), law, landed)[:, 0]
    return data_line(law, z) - ended


# %%
def carried(law, sigma, z, first=1 / 6, jacobian=lambda p, q: p / q):
    """The two terms of the error, times a Jacobian of the rest."""
    _, _, k3, k4 = moments(law)
    x, x0 = (true_line(law, s, z).unsqueeze(1) for s in (sigma, 0.0))
    world = worlds.World(edm_far, law)
    p, q = world.log_prob(x, sigma).exp(), world.log_prob(x0, 0.0).exp()
    two = first * k3 * (z**2 - 1) / sigma**2
    two = two + k4 * (z**3 - 3 * z) / (24 * sigma**3)
    return two * jacobian(p, q)


def both_laws(f):
    """f for the skewed and the symmetric law at sigma = 128, rescaled."""
    sizes = (128.0**3, 128.0**4)
    pairs = zip((skewed, even), sizes, strict=True)
    return torch.stack([size * f(law, 128.0, ranks) for law, size in pairs])


end_errors = both_laws(end_error)

# %% tags=["hide-input"]
end_slips = {
    name: lambda how=how: both_laws(functools.partial(carried, **how))
    for name, how in {
        "no Jacobian": {"jacobian": lambda p, q: 1.0},
        "the Jacobian upside down": {"jacobian": lambda p, q: q / p},
        "the Jacobian of a standard Gaussian": {
            "jacobian": lambda p, q: (1 + 128.0**2) ** -0.5
        },
        "1/2 for 1/6": {"first": 1 / 2},
    }.items()
}

# %% tags=["hide-input"]
end_claim = Claim(
    id="teleport/end-error",
    says=r"A teleport to a high level $\sigma$, followed by the exact flow, "
    r"ends with the error $\bigl[\frac{k_3 (z^2 - 1)}{6\sigma^2} + "
    r"\frac{k_4 (z^3 - 3z)}{24\sigma^3}\bigr] \frac{p_\sigma(x_\sigma)}"
    r"{p_0(x_0)}$ up to two orders more: it is of order $-3$ for a "
    r"skewed law and $-4$ for a symmetric one (mixtures on the line, "
    r"$\sigma = 128$, $|z| \le 2$).",
    papers=("106", "048"),
    kind="exact",
    formula=lambda: both_laws(carried),
    controls=end_slips,
    tol=9e-5,
    because="terms left out are smaller by 128^-2 = 6e-5 times a constant",
    truth=lambda: end_errors,
)
check(end_claim)

# %% [markdown]
r"""
*Modes far apart.* The formula asks for $p_0(x_0) > 0$. If $p_0$ has a gap with the
share $w$ of the mass below it, lines of rank just under $w$ and just over it end on
different sides. A teleport puts the line of rank $\Phi(z)$ on rank
$F_\sigma(\hat x_\sigma(z))$, which is off by $p_\sigma(x_\sigma) e_\sigma$ to first
order. So the lines that change sides have the share

$$
\bigl| p_\sigma(x_\sigma)\, e_\sigma(z_w) \bigr| \approx
\frac{\varphi(z_w)}{\sigma}\, |e_\sigma(z_w)|, \qquad \Phi(z_w) = w ,
$$ (eq-teleport-share)

of order $\sigma^{-3}$ again. But each of them misses by the width of the gap, so
that the root mean square of the end error falls only about as $\sigma^{-3/2}$. The claim follows
the line that ends in the middle of the gap up the exact flow, and asks for its rank
among the lines of the jump.
"""

# %% tags=["setup"]
far = on_line([-1.5, 1.5], [0.01, 0.01], [0.6, 0.4])
border = torch.special.ndtri(torch.tensor([0.6]).double())


def changed_sides(sigma):
    """The share of lines that a teleport to sigma sends across the gap."""
    middle = torch.zeros(1, 1).double()
    x = laws.monotone(far, noisy(far, sigma), middle)[:, 0]
    mean, var, *_ = moments(far)
    z = (x - mean) / (var + sigma**2).sqrt()
    return (torch.special.ndtr(z) - 0.6).abs()


# %%
gap_levels = (128.0, 256.0, 512.0)


def shares(first=1 / 6, at=border, extra=0):
    """sigma^3 times the predicted share, at three levels."""
    _, _, k3, k4 = moments(far)
    density = (-(at**2) / 2).exp() / (2 * math.pi) ** 0.5
    out = []
    for s in gap_levels:
        e = first * k3 * (at**2 - 1) + k4 * (at**3 - 3 * at) / (24 * s)
        out.append((density * e).abs() * s**extra)
    return torch.cat(out)


crossed = torch.cat([s**3 * changed_sides(s) for s in gap_levels])

# %% tags=["hide-input"]
share_slips = {
    "1/2 for 1/6": lambda: shares(first=1 / 2),
    "the median in place of the border": lambda: shares(at=0 * border),
    "order $-2$: ranks not divided by $\\sigma$": lambda: shares(extra=1),
}

# %% tags=["hide-input"]
share_claim = Claim(
    id="teleport/wrong-mode",
    says=r"If the data leave a gap with the share $w$ of the mass below it, "
    r"a teleport to $\sigma$ sends the share $\varphi(z_w)\, "
    r"|e_\sigma(z_w)|/\sigma$ of all lines to the wrong side, up to "
    r"$O(\sigma^{-5})$, with $\Phi(z_w) = w$ and the two terms of "
    r"$e_\sigma$ (modes at $\pm 1.5$ with weights 0.6, 0.4; $\sigma = $ "
    r"128, 256, 512).",
    papers=("106", "048"),
    kind="exact",
    formula=shares,
    controls=share_slips,
    tol=9e-5,
    because="terms left out are smaller by 128^-2 = 6e-5 times a constant",
    truth=lambda: crossed,
)
check(share_claim)

# %% [markdown]
r"""
At the other extreme, $\sigma = 0$, nothing but the jump is left: the Gaussian's
sample $\mu + \sqrt v\, z$, paired with the data by rank. On the line pairing by rank
is optimal, so this error is the Wasserstein distance $W_2$ of the data and their
Gaussian. Now all levels: look at the ochre curve, at its slope on the right, and at
what happens below the distance of the modes, which is three.
"""


# %%
finest = border + 0.6 * torch.linspace(-1, 1, 401).double() ** 5
by_gap = torch.cat([every_rank, finest]).sort().values  # fine around the gap


def end_rms(law, sigma):
    """The rms end error, over ranks that suit the law."""
    z = by_gap if law is far else every_rank
    weight = (-(z**2) / 2).exp() / (2 * math.pi) ** 0.5
    return torch.trapezoid(weight * end_error(law, sigma, z) ** 2, z).sqrt()


slopes = {
    "symmetric: $-4$": even,
    "skewed: $-3$": skewed,
    "far modes: $-3/2$": far,
}

# %% mystnb={"figure": {"caption": "Root mean square error at level 0 after a teleport to $\\sigma$ and the exact flow below it, for three mixtures.", "name": "fig-teleport-end"}, "image": {"alt": "Three curves on logarithmic axes, all falling to the right. The symmetric and the skewed mixture fall steeply from level one on; the one with far modes lies far above them, is flat around level one half, and falls slowly."}}
figure, axes = figures.canvas("A gap in the data makes the end error large")
levels = torch.logspace(1.5, -0.5, 8).double()
for name, law_1d in slopes.items():
    e = [end_rms(law_1d, s) for s in levels]
    colour = figures.SECOND if law_1d is far else figures.EXACT
    axes.loglog(levels, e, color=colour, lw=3)
    figures.label_line(axes, levels[0], e[0], name, colour)
axes.set(xlabel=r"level of arrival $\sigma$", ylabel="rms end error")
axes.minorticks_off()
plt.show()

# %% [markdown]
r"""
Without a gap the end error is small as soon as $\sigma$ exceeds the spread of the
data. With a gap it decays slowly, since a line that arrives on the wrong side is
pulled all the way to the wrong mode; and below the distance of the modes it grows
at no fixed rate.
"""


# %% [markdown]
r"""
## What does it save?

A teleport gives an error and takes one away. It gives $e_\sigma$, which the flow
below shrinks. It takes away the sampler's own error on the skipped steps
([the cosines](#eq-teleport-cosine), for DDIM), and their evaluations. These can be
saved, or spent below $\sigma$: the same number of steps then covers a shorter range.

Which wins, on digits? First in an exact world with a smooth end: **one Gaussian
for each of the ten digits**, with the mean and covariance of its class. The
mixture of the ten has the mean and covariance of all digits, hence the same
teleport. Its denoiser is exact, and a fine run of a third-order method from
$\sigma_T$ gives the end point that each start should reach. The error of a start
is the root mean square over the pixels of its distance from there.
"""


# %% tags=["setup"]
def by_class():
    """One Gaussian for each digit, weighted by how often it occurs."""
    fits = [laws.fit_gaussian(pixels[labels == k]) for k in range(10)]
    means = torch.stack([fit.mean() for fit in fits])
    covs = torch.stack([fit.cov() for fit in fits])
    return laws.mixture(means, covs, labels.bincount().double())


classes = worlds.World(edm, by_class())


# %% tags=["setup"]
def slope_of(guess):
    """The velocity of a denoiser; one time, or one for each point."""
    return lambda y, t: (y - guess(y, t)) / t.unsqueeze(-1)


def sampled(guess, ts, x, method):
    """The end point of a run from the grid's first level to 0."""
    if method == "Heun":
        return solvers.solve(heun(ts), slope_of(guess), x)
    order = {"multistep": 2, "reference": 3}[method]
    down = tables.to_data(ts)
    return solvers.solve(tables.exponential(edm, down, order), guess, x)


# %% tags=["setup"]
def reference(guess, x):
    """The end point of a run of 60 steps of order 3 from 80."""
    levels = tables.by_rho(edm, 80.0, 0.002, 59)
    return sampled(guess, levels, x, "reference")


def end_distance(guess, x, ts, method, goal, own=law):
    """Teleport from 80 to ts[0], sample, and measure the error per pixel."""
    if ts[0] < 80:
        x = chains.carry(own, edm, x, 80.0, ts[0])
    end = sampled(guess, ts, x, method)
    return (end - goal).square().mean(-1).sqrt()


# %% [markdown]
r"""
The statistical claim takes the paper's grid and skips eight of its 18 steps, so
that Heun's method asks 19 times in place of 35, and the second-order multistep
method 10 times in place of 18. Over 128 starts it compares, start by start, the
logarithm of the error with that of the whole run. A jump that is no worse has a
score of 0 or below; only a loss counts.
"""


# %%
@functools.cache  # the formula and its controls see the same starts
def whole_runs(seed, n=128):
    """Starts, their end points, and the errors of the 18-step runs."""
    x = classes.law(80.0).sample(n, shapes.rng(seed))
    goal = reference(classes.denoise, x)
    args = (classes.denoise, x, edm_grid)
    two = ("Heun", "multistep")
    return x, goal, {name: end_distance(*args, name, goal) for name in two}


def loss(skip, rng):
    """By how much a skip loses, in standard errors; 0 if it does not."""
    (k, own), (x, goal, runs) = skip, whole_runs(rng.initial_seed())
    out = []
    for method, whole in runs.items():
        args = (classes.denoise, x, edm_grid[k:], method, goal, own)
        log = (end_distance(*args) / whole).log()
        out.append(log.mean() / (log.std() / len(log) ** 0.5))
    return torch.stack(out).clamp_min(0)


# %% tags=["hide-input"]
saved_slips = {
    "ten steps skipped, to 1.09": (10, law),
    "eleven steps skipped, to 0.59": (11, law),
    "the mean forgotten": (8, laws.gaussian(0 * m, C)),
}

# %% tags=["hide-input"]
saved_claim = Claim(
    id="teleport/saved",
    says=r"In the mixture of ten Gaussians fitted to the digits, skipping 8 "
    r"of EDM's 18 steps (to $\sigma = 3.26$) does not raise the typical "
    r"error of the end point, the geometric mean over starts, though it "
    r"spares 16 of 35 evaluations of Heun's method, and 8 of 18 of the "
    r"exponential multistep method of order 2.",
    papers=("106",),
    kind="statistical",
    formula=(8, law),
    controls=saved_slips,
    measure=loss,
    scale="a number of steps and a law, which have no factor to scale",
    seeds=(0,),
    n=128,
)
check(saved_claim)

# %% [markdown]
r"""
The whole picture: error against evaluations, each line one level of arrival.
Below it the grid has the same form, with as many steps as the evaluations allow.
Runs of equally many steps from several levels go abreast, as one batch with a time
for each point. Look where the lines stop falling.
"""


# %% tags=["setup"]
def abreast(many, field, x):
    """Several tables, with as many rows, at once; x: (L, n, d)."""
    A, B = torch.stack([u.A for u in many]), torch.stack([u.B for u in many])
    states, past, ts = [x], [], torch.stack([u.ts for u in many])
    for row in range(len(many[0])):
        t = ts[:, row, None].expand(x.shape[:2]).flatten()
        value = field(states[0].flatten(0, 1), t).view_as(x)
        past = [value, *past][: B.shape[2]]
        old = zip(A[:, row].unbind(1), states, strict=False)
        new = zip(B[:, row].unbind(1), past, strict=False)
        x = sum(w[:, None, None] * u for w, u in [*old, *new])
        states = [x, *states][: A.shape[2]]
    return x


# %% tags=["setup"]
def typical(guess, x, jumps, n, method, goal):
    """The typical errors of runs of n steps after jumps: (level, law)."""
    starts = [
        chains.carry(own, edm, x, 80.0, level) if level < 80 else x
        for level, own in jumps
    ]
    grids = [tables.by_rho(edm, level, 0.002, n - 1) for level, _ in jumps]
    field, make = guess, lambda ts: tables.exponential(edm, ts, 2)
    if method == "Heun":
        field, make = slope_of(guess), lambda ts: heun(ts[:-1])
    many = [make(tables.to_data(ts)) for ts in grids]
    ends = abreast(many, field, torch.stack(starts))
    return (ends - goal).square().mean(-1).sqrt().log().mean(-1).exp()


# %% tags=["hide-input"]
def draw_sweeps(title, guess, x, goal, own=law):
    """One panel a method, one line a level."""
    figure, axes = figures.canvas(title, columns=2, sharey=True, width=6.4)
    inks = (figures.EXACT, *figures.time_colours(2), figures.WRONG)
    jumps = [(level, own) for level in (80.0, 8.40, 3.26, 1.09)]
    steps, counts = (4, 6, 10, 18), (7, 11, 19, 35)
    for ax, method in zip(axes, ("Heun", "multistep"), strict=True):
        rows, sizes = [], steps if method == "Heun" else counts
        for n in sizes:
            rows.append(typical(guess, x, jumps, n, method, goal))
        lines_of = zip(jumps, inks, torch.stack(rows).mT, strict=True)
        for (level, _), ink, e in lines_of:
            style, name = "--" if level == 1.09 else "-", f"{level:g}"
            width = 3 if level == 80 else 1.8
            ax.loglog(counts, e, style, color=ink, lw=width, label=name)
        ax.set_xticks(counts, map(str, counts))
        ax.minorticks_off()
        ax.set(xlabel=f"evaluations, {method}")
    axes[0].set(ylabel="error per pixel")
    axes[1].legend(title="arrival", fontsize=8, title_fontsize=8, ncols=2)


# %% mystnb={"figure": {"caption": "Typical error of the end point (geometric mean over 32 starts) against the number of evaluations in the mixture of ten Gaussians: from 80 (grey), and teleported to 8.40, 3.26 and 1.09.", "name": "fig-teleport-saved"}, "image": {"alt": "Two panels, Heun and multistep. In both, the lines that start at 8.40 and 3.26 lie below the one from 80; the dashed one from 1.09 starts lowest for Heun but stops falling at once."}}
x, goal, _ = whole_runs(0)
draw_sweeps(
    "A jump helps until its own error shows",
    classes.denoise,
    x[:32],
    goal[:32],
)
plt.show()

# %% [markdown]
r"""
Every line of a jump reaches a floor, sooner or later: its own error, carried to
the end. Above the
floor the lower level is the better one, at every budget: with seven evaluations
even the jump to 1.09 beats the run from 80, most clearly for Heun's method. There
is no best level, only one for each budget.

Is this true of networks, whose denoiser is nobody's posterior mean? Five small
denoisers were trained on 1,500 of the digits, from five seeds; the teleport uses
the mean and covariance of these 1,500. Each net is its own judge: its end point is
that of a fine run of the same net from 80. Two statements, both for Heun's method
and 32 starts, with errors averaged geometrically.
"""

# %% tags=["setup"]
net = recipes.load("digits").requires_grad_(False)
train_law = laws.fit_gaussian(recipes.digits.split()[0])
noise_start = worlds.World(edm, train_law).law(80.0)
net_starts = noise_start.sample(32, shapes.rng(5))
all_goals = reference(net, net_starts.expand(5, -1, -1))  # five nets at once
forgot = laws.gaussian(0 * m, train_law.cov())


# %%
@functools.cache  # a net makes all these runs at once
def budget_errors(i):
    """Typical errors of 15 evaluations, from 80 and below several jumps."""
    jumps = [(u, train_law) for u in (80.0, 5.32, 1.09, 0.59)]
    jumps.append((5.32, forgot))
    args = (net.field(i), net_starts, jumps, 8, "Heun", all_goals[i])
    return dict(zip(jumps, typical(*args), strict=True))


# %%
@functools.cache
def grid_errors(i):
    """Typical errors on EDM's grid, with several numbers of steps skipped."""
    jumps = [(0, train_law), (4, train_law), (4, forgot)]
    jumps += [(8, train_law), (10, train_law)]
    joins = []
    for k, own in jumps:
        args = own, edm, net_starts, 80.0, edm_grid[k]
        joins.append((k, chains.carry(*args) if k else net_starts))
    ends = relay(slope_of(net.field(i)), joins)
    errors = (ends - all_goals[i]).square().mean(-1).sqrt().log().mean(-1)
    return dict(zip(jumps, errors.exp(), strict=True))


# %%
def same_budget(jump, seeds):
    """15 evaluations below a jump, over 15 from 80: the ratio of errors."""
    found = [budget_errors(i) for i in seeds]
    return torch.stack([e[jump] / e[80.0, train_law] for e in found])


def same_grid(skip, seeds):
    """Some steps of EDM's grid skipped, over all: the ratio of errors."""
    found = [grid_errors(i) for i in seeds]
    return torch.stack([e[skip] / e[0, train_law] for e in found])


# %% tags=["hide-input"]
budget_slips = {
    "too low, to 1.09": (1.09, train_law),
    "too low, to 0.59": (0.59, train_law),
    "the mean forgotten": (5.32, forgot),
}

# %% tags=["hide-input"]
budget_claim = Claim(
    id="teleport/nets-budget",
    says=r"For each of five trained denoisers of digits, 15 evaluations of "
    r"Heun's method below a teleport to $\sigma = 5.32$ end with less "
    r"than half of the typical error of 15 evaluations from $\sigma_T = "
    r"80$.",
    papers=("106",),
    kind="trained",
    formula=(5.32, train_law),
    controls=budget_slips,
    tol=0.5,
    because="set after measuring: these nets gave 0.32 to 0.36",
    measure=same_budget,
    scale="a level and a law, which have no factor to scale",
    seeds=(0, 1, 2, 3, 4),
    n=32,
)
check(budget_claim)

# %% tags=["hide-input"]
net_slips = {
    "eight steps skipped, to 3.26": (8, train_law),
    "ten steps skipped, to 1.09": (10, train_law),
    "the mean forgotten": (4, forgot),
}

# %% tags=["hide-input"]
net_claim = Claim(
    id="teleport/nets-saved",
    says=r"For each of the five nets, skipping 4 of EDM's 18 steps (to "
    r"$\sigma = 19.4$) spares 8 of 35 evaluations and raises the typical "
    r"error by less than a tenth; skipping 8 raises it by more.",
    papers=("106",),
    kind="trained",
    formula=(4, train_law),
    controls=net_slips,
    tol=1.1,
    because="set after measuring: 0.96 to 1.02; other starts up to 1.04",
    measure=same_grid,
    scale="a number of steps and a law, which have no factor to scale",
    seeds=(0, 1, 2, 3, 4),
    n=32,
)
check(net_claim)

# %% mystnb={"figure": {"caption": "The same for the first of the five trained nets, over 16 of the 32 starts.", "name": "fig-teleport-nets"}, "image": {"alt": "Two panels, Heun and multistep. The lines from 8.40 and 3.26 lie below that from 80 for few evaluations; the one from 1.09 is flat, far above the others at the right end, and the one from 3.26 flattens too."}}
draw_sweeps(
    "A trained net has floors too",
    net.field(0),
    net_starts[:16],
    all_goals[0, :16],
    train_law,
)
plt.show()

# %% [markdown]
r"""
The nets agree with the exact world in form and differ in numbers: at 3.26 the floor
lies higher, and eight steps are too many. Four of 18
are nearly free; the paper's abstract speaks of the first 15-30 % of the steps, on
much larger images. What does a jump too far look like? Each
column below is one start, finished by a fine run of the first net.
"""


# %%
def finished_from(level):
    """The net's fine end points after a teleport to a level."""
    x = chains.carry(train_law, edm, net_starts[:6], 80.0, level)
    ts = tables.by_rho(edm, level, 0.002, 29)
    return sampled(net.field(0), ts, x, "reference")


rows = [all_goals[0, :6], *map(finished_from, (8.40, 1.09, 0.30, 0.05))]

# %% mystnb={"figure": {"caption": "Six digits of the first net: without a teleport, and teleported to 8.40, 1.09, 0.30 and 0.05 before a fine run.", "name": "fig-teleport-strip"}, "image": {"alt": "Five rows of six digits. The rows none and 8.40 look alike; at 1.09 some strokes differ; at 0.30 some digits are smeared, and at 0.05 most of them are."}}
figures.strip(
    rows,
    ["none", "8.40", "1.09", "0.30", "0.05"],
    [f"start {i}" for i in range(6)],
    "A jump too far leaves a Gaussian's ghost of a digit",
)
plt.show()

# %% [markdown]
r"""
The first two rows look the same, and the third nearly: those jumps end above the
standard deviation of a pixel. Below it the Gaussian has already decided what only
the net knows.

## Break it

- In `teleport/orders`, make `isotropic` the formula and `matched` a control. The
verdict says that the formula is off: one wrong matrix costs the exponent a whole
unit, and two for the symmetric law.
- In `teleport/saved`, add the control `"the covariance forgotten": (6,
laws.gaussian(m, 0.0))`. It is not rejected: at a level as high as 8.40 it does not
lose, because a wrong covariance costs $1/\sigma$ at arrival but only
$1/\sigma^2$ at the end, and Heun's own error is larger than that. The mean
cannot be forgotten: the same with `laws.gaussian(0 * m, C)` is rejected.
- Let `levels` in [the figure of end errors](#fig-teleport-end) run down to
$0.01$. The ochre curve rises above $W_2$, which is impossible. It is rounding: in
the gap all points have the rank $0.6$ up to less than the last digit, and
`laws.monotone`, which goes through ranks, no longer knows which side they are
on. An adaptive solver on the velocity stays below $W_2$.

## What this does not show

The rates hold for the exact denoiser of a law and for strong noise; the constants
say where strong begins, the saving does not follow from them. The end points of
digits were compared with fine runs of the same field. That is no statement about
the quality of pictures: a teleport that ends elsewhere may end at an equally good
digit, and [the strip](#fig-teleport-strip) shows some. How much is saved depends on
the grid, on the method and on the data: EDM's grid starts at 80, far above the
scale of our digits, and spends many steps there. Larger images have larger
variances in their main directions, so the same level of noise is less far away.

## Exercises

**1.** EDM's grid has $n$ levels from $80$ to $0.002$ with $\rho = 7$. Write the
level at which one arrives when $k$ steps are skipped, for tensors `k` and `n`.
"""

# %%
skipped = {
    "k": torch.tensor([1.0, 4.0, 6.0, 10.0, 3.0]).double(),
    "n": torch.tensor([18.0, 18.0, 18.0, 40.0, 10.0]).double(),
}


def level_by_grid(k, n):
    """From the package's grids, one for each n."""
    pairs = zip(k.long().tolist(), n.long().tolist(), strict=True)
    rows = [tables.by_rho(edm, 80.0, 0.002, j - 1)[i] for i, j in pairs]
    return torch.stack(rows)


def spaced(share, power=7.0):
    """The level at a share of the way, equally spaced in sigma^(1/power)."""
    a, b = 80.0 ** (1 / power), 0.002 ** (1 / power)
    return (a + share * (b - a)) ** power


# %% tags=["hide-input"]
arrival_slips = {
    "n levels have n - 1 steps between them": lambda k, n: spaced(k / n),
    "the k-th level is number k - 1": lambda k, n: spaced((k - 1) / (n - 1)),
    "equal steps in sigma, rho is missing": lambda k, n: spaced(
        k / (n - 1), power=1.0
    ),
    "counted from the data end": lambda k, n: spaced(1 - k / (n - 1)),
}

# %% tags=["hide-input"]
arrival_exercise = Claim(
    id="teleport/arrival-exercise",
    says="the level of arrival after k skipped steps",
    papers=("106",),
    kind="exact",
    formula=None,
    controls=arrival_slips,
    tol=1e-10,
    because="float64",
    at=skipped,
    truth=level_by_grid,
)


# %% tags=["solution", "hide-cell"]
def arrival(k, n):
    """The noise level number k of n, counted from 0."""
    a, b = 80.0 ** (1 / 7), 0.002 ** (1 / 7)
    return (a + k / (n - 1) * (b - a)) ** 7


# %%
attempt(arrival_exercise, arrival)

# %% [markdown]
r"""
**2.** Gaussian data on the line have variance `v`, but the teleport from `T` to `s`
believes in the variance `w`. It starts at $x_T \sim \mathcal N(\mu, v + T^2)$ and
knows the mean. What is the root mean square error on arrival, exactly? (For
$T = \infty$ and a large `s` it must become $|v - w|/2s$, as in the table.)
"""

# %%
beliefs = {
    "v": torch.tensor([1.0, 4.0, 0.0, 2.0, 0.5]).double(),
    "w": torch.tensor([2.0, 1.0, 1.0, 0.0, 0.6]).double(),
    "s": torch.tensor([1.0, 3.0, 2.0, 0.5, 8.0]).double(),
    "T": torch.tensor([10.0, 20.0, 5.0, 4.0, 80.0]).double(),
}


def belief_by_solver(v, w, s, T):
    """One standard deviation, carried by both flows numerically."""
    out = []
    for true, own, low, high in zip(v, w, s, T, strict=True):
        x = (true + high**2).sqrt().reshape(1, 1)
        fine = tables.rk4(tables.by_nsr(edm, float(high), float(low), 200))
        ends = [
            solvers.solve(fine, lambda y, t, u=u: y * t / (u + t**2), x)
            for u in (true, own)
        ]
        out.append((ends[0] - ends[1]).abs().reshape(()))
    return torch.stack(out)


# %% tags=["hide-input"]
belief_slips = {
    "T is finite: x_T is not on the line of rank z of both": (
        lambda v, w, s, T: ((v + s**2).sqrt() - (w + s**2).sqrt()).abs()
    ),
    "x_T has the true variance v + T^2, not T^2": lambda v, w, s, T: (
        T * ((v + s**2) / (v + T**2)).sqrt()
        - T * ((w + s**2) / (w + T**2)).sqrt()
    ).abs(),
    "only the leading term": lambda v, w, s, T: (
        (v - w).abs() / 2 * (1 / s - s / T**2)
    ),
    "variances subtracted, then the root": lambda v, w, s, T: (
        (v + s**2 - (w + s**2) * (v + T**2) / (w + T**2)).abs().sqrt()
    ),
}

# %% tags=["hide-input"]
belief_exercise = Claim(
    id="teleport/belief-exercise",
    says="the error on arrival of a teleport with a wrong variance",
    papers=("106",),
    kind="exact",
    formula=None,
    controls=belief_slips,
    tol=1e-7,
    because="Runge-Kutta of order 4 in 200 steps",
    at=beliefs,
    truth=belief_by_solver,
)


# %% tags=["solution", "hide-cell"]
def arrives_with(v, w, s, T):
    """The rms error on arrival at s, from T, true variance v, believed w."""
    truth = (v + s**2).sqrt()
    jumped = ((w + s**2) / (w + T**2) * (v + T**2)).sqrt()
    return (truth - jumped).abs()


# %%
attempt(belief_exercise, arrives_with)

# %% [markdown]
r"""
**3.** *Choose the level.* The data have the third cumulant `k3` and third cumulants
only. To which level may one teleport, at most, so that the root mean square error
on arrival is `e`? Use the leading order; `e` is small.
"""

# %%
wishes = {
    "k3": moments(skewed)[2] * torch.tensor([1.0, 8.0]).double(),
    "e": torch.tensor([1e-5, 2e-5]).double(),
}


def level_by_search(k3, e):
    """Halving an interval of levels, on the exact error of scaled data."""
    out = []
    for third_one, goal in zip(k3, e, strict=True):
        size = (third_one / moments(skewed)[2]).abs() ** (1 / 3)
        low, high = torch.tensor([50.0, 1000.0]).double()
        for _ in range(16):
            middle = (low * high).sqrt()
            error = size * rms(missed(skewed, middle / size, every_rank))
            low, high = (middle, high) if error > goal else (low, middle)
        out.append(middle)
    return torch.stack(out)


# %% tags=["hide-input"]
by_search = level_by_search(**wishes)
wish_slips = {
    "the error of the denoiser, not of the teleport": lambda k3, e: (
        k3.abs() / (2**0.5 * e)
    ).sqrt(),
    "order 2 wants a square root": lambda k3, e: k3.abs() / (3 * 2**0.5 * e),
    "the error on one line, z = 0, not the mean over lines": lambda k3, e: (
        k3.abs() / (6 * e)
    ).sqrt(),
    "symmetric data: the fourth cumulant": lambda k3, e: (
        (k3.abs() / (4 * 6**0.5 * e)) ** (1 / 3)
    ),
}

# %% tags=["hide-input"]
wish_exercise = Claim(
    id="teleport/wish-exercise",
    says="the level of arrival that keeps the error at a wish",
    papers=("106",),
    kind="exact",
    formula=None,
    controls=wish_slips,
    tol=1e-3,
    because="the leading order at levels above 100",
    at=wishes,
    truth=by_search,
)


# %% tags=["solution", "hide-cell"]
def level_for(k3, e):
    """The level with |k3| / (3 sqrt 2 level^2) = e."""
    return (k3.abs() / (3 * 2**0.5 * e)).sqrt()


# %%
attempt(wish_exercise, level_for)

# %% [markdown]
r"""
**4.** *A new control.* `torch.cov` divides by $n - 1$ where we divide by $n$. Add the
covariance times $n/(n - 1)$ with $n = 1500$ to the controls of `teleport/orders`.
Is it rejected, and what does that say about the planted error of the same claim?

**5.** *Extend the world.* If the class of a digit is known, the teleport may use the
class's own Gaussian, and the field the class's own denoiser. In the mixture of ten
Gaussians, what is then the error at every level? Now let only the teleport know the
class, and the field not. Which floor of [the figure](#fig-teleport-saved) moves?

## Summary

| what | formula | claim |
|---|---|---|
| the jump | $m + S_\sigma S_{\sigma_T}^{-1}(x_T - m)$, $S = (C + \sigma^2)^{1/2}$ | `any-level` |
| what DDIM is spared | $\prod \cos(\theta_n - \theta_{n+1})$ of the skipped steps | `cosines` |
| the flow on the line | $F_{\sigma'}^{-1} \circ F_\sigma$ | `quantile-flow` |
| error on arrival | $k_3(z^2-1)/6\sigma^2 + k_4(z^3-3z)/24\sigma^3$ | `two-terms`, `rms` |
| finite start, $d$ dimensions | $\frac16 (K[z,z] - \operatorname{tr} K)(\sigma^{-2} - \sigma\sigma_T^{-3})$ | `plane` |
| wrong mean, wrong covariance | orders $0$ and $-1$ | `orders` |
| error at the end | times $p_\sigma(x_\sigma)/p_0(x_0)$: one order more | `end-error` |
| lines that change sides | $\varphi(z_w) \lvert e_\sigma(z_w) \rvert/\sigma$ | `wrong-mode` |
| saved on digits | 16 of 35 evaluations; nets: 8 of 35 | `saved`, `nets-saved` |

**Where next.** [The shortest path to noise](shortest.ipynb) asks which noise is
best for a given covariance; [the far field](farfield.ipynb) has the expansion of
the denoiser that drives all errors here.
"""
