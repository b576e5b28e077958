# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# Reproduction card: 041

Must a score be a gradient? The paper of this part says: not for sampling, not for
likelihoods, but for reading off the shape of the data it is desirable. Its reviewers
asked for four experiments that it does not have. Here they are, each in a numbered
section, in a world that is curved and exactly known: a circle and a sphere with noise.
The third has an answer that neither the paper nor we expected.

- **You need** [gauges](gauges.ipynb) and the [dimension of a score](dimension.ipynb).
- **You get** four experiments with exact answers, what a gauge does to the singular
values of a flow on a sphere, the price of a step along a gauge on a circle, and each
statement of the paper with ours beside it.
- **Paper** 041, Horvat and Pfister {cite}`horvat2024gauge`.
- **Claims** on the circle, the sphere and twenty trained nets, all named
`questions/...`.
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
The imports, once for the whole chapter, and the world: points $y$ of the unit sphere,
uniformly distributed, with noise, $x = y + \sigma z$.
"""

# %% tags=["setup"]
import functools
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy import integrate, special

# %% tags=["setup"]
from diffkit import fields, figures, paths, recipes, shapes, surfaces
from diffkit.claims import Claim, attempt, check

tensor = functools.partial(torch.tensor, dtype=torch.float64)
sphere = surfaces.Sphere(2)
A = tensor([[0.0, -1.0, 0.5], [1.0, 0.0, -0.3], [-0.5, 0.3, 0.0]])


def score(x, sigma):
    """The exact score of the sphere with noise."""
    return sphere.score(x, sigma**2)


# %% [markdown]
r"""
## Question 1: can one test without the true score?

*The wish.* All statements of the paper compare with the true score. On data nobody has
it. Is there a test that needs samples and the model, and nothing else?

There is: a field $\hat s$ has the right gradient part if and only if
$\mathbb E_p[\nabla\varphi \cdot \hat s + \Delta\varphi] = 0$ for all smooth $\varphi$
(`gauges/test`, with its power in `gauges/power`). Samples of $p_\sigma$ are data with
noise. We now put it to work on nets: denoisers of a sphere in $\mathbb R^5$, five free
ones and five that are gradients of an energy, and the same twenty times earlier in
training. The test functions know nothing of spheres:

$$
\varphi = |x|^2, \qquad |x|^4, \qquad e^{-|x|^2/2} .
$$ (eq-questions-tests)

Each gives a mean over samples and its standard error, at three levels of noise. The
verdict on a net is the largest of the nine ratios, in standard errors.
"""


# %% tags=["setup"]
def tests(x):
    """grad phi and Laplace phi of the three test functions."""
    d, square = x.shape[-1], (x * x).sum(-1)
    bell = (-square / 2).exp()
    yield 2 * x, torch.full_like(square, 2 * d)
    yield 4 * square.unsqueeze(-1) * x, (4 * d + 8) * square
    yield -x * bell.unsqueeze(-1), (square - d) * bell


# %% tags=["setup"]
LEVELS, N = (0.03, 0.1, 0.3), 20_000
data = recipes.conservative.surface("sphere").sample(N, shapes.rng(1))


def noisy(sigma, i):
    """The data with noise, and the level."""
    z = torch.randn(N, 5, generator=shapes.rng(10 + i), dtype=torch.float64)
    return data + sigma * z, tensor(sigma)


def sample_test(field):
    """The largest of nine z-scores."""
    worst = []
    for i, sigma in enumerate(LEVELS):
        x, t = noisy(sigma, i)
        s = field(x, t)
        for slope, bend in tests(x):
            q = (slope * s).sum(-1) + bend
            worst.append(q.mean().abs() / q.std() * math.sqrt(N))
    return torch.stack(worst).max()


# %%
def asymmetry(field):
    """The largest mean asymmetry of the Jacobian, at 200 of the samples."""
    return torch.stack(
        [
            fields.asymmetry(field, noisy(sigma, i)[0][:200], sigma).mean()
            for i, sigma in enumerate(LEVELS)
        ]
    ).max()


def curl(field):
    """The same without dividing by the size of the Jacobian."""
    x, t = noisy(0.1, 1)
    return fields.curl(field, x[:200], t).abs().mean()


nets = {
    name: recipes.load(f"sphere-{name}")
    for name in ("free", "energy", "free-early", "energy-early")
}


# %% [markdown]
r"""
A useful rule gives every early net a larger number than every finished one. We compare
the largest number of the finished pair of a seed with the smallest of its early pair.
The other rule is the one in the title of the paper, how far the Jacobian is from being
symmetric:
"""


# %% tags=["hide-input"]
@functools.cache
def told(rule, name, k):
    """What the rule says of member k of the nets of that name."""
    return rule(nets[name].as_target("score", k))


def confusion(rule, seeds):
    """The largest number of finished nets over the least of early ones."""
    out = []
    for k in seeds:
        late = max(told(rule, name, k) for name in ("free", "energy"))
        soon = ("free-early", "energy-early")
        out.append(late / min(told(rule, name, k) for name in soon))
    return torch.stack(out)


# %% tags=["hide-input"]
nets_slips = {
    "how asymmetric the Jacobian is": asymmetry,
    "how large the curl is": curl,
}

# %% tags=["hide-input"]
nets_claim = Claim(
    id="questions/nets",
    says=r"With 20,000 samples of a sphere in $\mathbb R^5$ and no true "
    "score, the test gives the worse of two finished nets (free and "
    "energy) at most 0.6 of what it gives the better of two nets with a "
    "twentieth of the training, for each of five seeds. The asymmetry of "
    "Jacobians does not.",
    papers=("041",),
    kind="trained",
    formula=sample_test,
    controls=nets_slips,
    tol=0.6,
    because="set after measuring, on ten nets of each kind: 0.3 at most, and "
    "0.4 for five other seeds",
    measure=confusion,
    scale="a ratio of two verdicts; a factor cancels",
    seeds=(0, 1, 2, 3, 4),
    n=N,
)
check(nets_claim)

# %% [markdown]
r"""
The asymmetry fails for a plain reason: an energy net that knows nothing is perfectly
symmetric. And the verdict "right" is always one for so many samples: a finished net has
errors too, and enough samples would show them. The figure has all twenty nets:
"""

# %% mystnb={"figure": {"caption": "Twenty nets for a sphere, judged by the test with samples only (up: worse; the line is six standard errors) and by the asymmetry of their Jacobians. Filled: finished. Open: after a twentieth of the training.", "name": "fig-questions-nets"}, "image": {"alt": "A scatter plot with two groups of points at the far left, energy nets, and two at the right, free nets. In both places the open symbols lie far above a horizontal line and the filled ones below it."}}
figure, axes = figures.canvas("The test sees what training lacks")
looks = {"free": ("o", figures.LEARNED), "energy": ("s", figures.EXACT)}
for name in nets:
    form, early = name.split("-")[0], name.endswith("early")
    mark, colour = looks[form]
    across = [told(asymmetry, name, k) for k in range(5)]
    up = [told(sample_test, name, k) for k in range(5)]
    face = "none" if early else colour
    words = f"{form}, {'early' if early else 'finished'}"
    kind = {"color": colour, "markerfacecolor": face, "label": words}
    axes.plot(across, up, mark, ls="", ms=5, **kind)
axes.axhline(6, color=figures.AXES, lw=1)
axes.set(xscale="log", yscale="log", xlabel="asymmetry of the Jacobian")
axes.set(ylabel="largest $|z|$ of the test")
axes.legend(fontsize=8, loc="upper center")
plt.show()

# %% [markdown]
r"""
## Question 2: what if the score has a divergence?

*The wish.* The paper also uses a pair of conditions that is stronger than
$\nabla \cdot r + r \cdot s = 0$: both terms zero. Are its statements empty unless the
divergence of the score vanishes, as in its example?

The divergence of a score never vanishes. If $p$ is smooth and $p\,s = \nabla p$ decays at
infinity, then $\int \nabla \cdot (p\, s) = 0$, and

$$
\mathbb E_p[\nabla \cdot s] = - \mathbb E_p |s|^2 ,
$$ (eq-questions-fisher)

strictly negative for every density on $\mathbb R^d$. So there is no example of the other
kind. On the sphere both sides are integrals over the radius alone:
"""

# %% tags=["setup"]
node, weight = (
    torch.from_numpy(u) for u in np.polynomial.legendre.leggauss(400)
)


def radial(value, sigma):
    """E_p of a function of the radius, by quadrature on a ray."""
    top = 1 + 12 * sigma
    r = top * (1 + node) / 2
    x = r.unsqueeze(1) * tensor([[1.0, 0.0, 0.0]])
    mass = 4 * math.pi * r**2 * sphere.log_prob(x, sigma**2).exp()
    return (value(x, tensor(sigma)) * mass * weight).sum() * top / 2


levels = (0.1, 0.5, 2.0)


# %% tags=["setup"]
def over_levels(value):
    """The same at three levels."""
    return torch.stack([radial(value, sigma) for sigma in levels])


def fisher(x, sigma):
    """|s|^2."""
    return (score(x, sigma) ** 2).sum(-1)


# %% tags=["hide-input"]
fisher_slips = {
    "zero: the score has no divergence": 0 * over_levels(fisher),
    "positive": over_levels(fisher),
    "the mean of $|s|$": -over_levels(lambda x, t: fisher(x, t).sqrt()),
    "the noise alone, $-d/\\sigma^2$": -3 / tensor(levels) ** 2,
}

# %% tags=["hide-input"]
fisher_claim = Claim(
    id="questions/divergence",
    says=r"$\mathbb E_p[\nabla \cdot s] = -\mathbb E_p|s|^2$: the score of "
    r"the sphere in $\mathbb R^3$ with noise $\sigma = 0.1, 0.5, 2$ has a "
    "divergence that is not zero, as every score has.",
    papers=("041",),
    kind="exact",
    formula=-over_levels(fisher),
    controls=fisher_slips,
    tol=1e-12,
    because="quadrature of a smooth integrand with 400 nodes",
    truth=over_levels(lambda x, t: fields.divergence(score, x, t)),
)
check(fisher_claim)

# %% [markdown]
r"""
Is the stronger pair needed? No. [The likelihood](gauges.ipynb) is exact under the one
condition, along the path of $s + r$ and with the *full* divergence (`gauges/density`); that
chapter has a gauge for which both terms are far from zero, and `helmholtz/pair` says
which gauges of the plane obey the pair. Under it one may forget $\nabla \cdot r$. That
is all it is good for.

## Question 3: does a gauge spoil the dimension?

*The wish.* The paper reads the dimension of the data off the singular values of the
flow's Jacobian $Y = \partial x_\sigma / \partial x_T$: those along the manifold stay, those
across it go to zero. It proves this for gradients, and shows nets where a free field has
no clean split. But a free net has errors as well. What does a field do that is not a
gradient, and satisfies the gauge condition exactly?

[The sibling chapter](dimension.ipynb) has two answers. For Gaussians the whitened values
are the same for every gauge (`dimension/white`); on circle and sphere the gauge $A s$
keeps the split (`dimension/split`). But $A s$ is the mildest of all gauges. It runs along
level lines. We now stir: $r = A (h s + \nabla h)$ with $h = 1 + \sin(x_1 - 0.7\, x_2)$. The law
is still exact at every level, and so is the volume (`dimension/volume`),

$$
\sum_i \log (\text{singular values of } Y) =
\log p_T(x_T) - \log p_\sigma(x_\sigma) .
$$

But only this *sum* is protected. How it is divided is the gauge's affair. $Y$ solves
$dY/d\sigma = -\sigma\, \nabla(s + r)\, Y$ along the path.
"""


# %% tags=["setup"]
def wave(x, t):
    """h(x)."""
    return 1 + torch.sin(x[..., 0] - 0.7 * x[..., 1])


def plus(r):
    """score + r."""
    return lambda x, t: score(x, t) + r(x, t)


kinds = {
    "no gauge": score,
    "$A s$": plus(fields.gauge(score, A)),
    "stirred": plus(fields.gauge(score, A, wave)),
}
TOP = 4.0
ends = tuple((0.0125 * 2 ** (torch.arange(21, -1, -1) / 3)).tolist())


# %% tags=["setup"]
@functools.cache
def ride(field, n=6):
    """x and the flow's Jacobian Y at the levels `ends`, from TOP."""
    x0 = sphere.sample(n, shapes.rng(1))
    z = torch.randn(n, 3, generator=shapes.rng(2), dtype=torch.float64)

    def rate(u, y):
        z, sigma = tensor(y).reshape(n, 4, 3), tensor(math.exp(u))
        x, Y = z[:, 0], z[:, 1:]
        grown = fields.jacobian(field, x, sigma) @ Y
        back = torch.cat([field(x, sigma).unsqueeze(1), grown], 1)
        return (-(sigma**2) * back).flatten().numpy()

    eye = torch.eye(3, dtype=torch.float64).expand(n, 3, 3)
    y0 = torch.cat([(x0 + TOP * z).unsqueeze(1), eye], 1).flatten().numpy()
    span, stops = (math.log(TOP), math.log(ends[-1])), np.log(ends)
    how = {"method": "DOP853", "rtol": 1e-6, "atol": 1e-9}
    found = integrate.solve_ivp(rate, span, y0, t_eval=stops, **how)
    z = tensor(found.y.T.copy()).reshape(-1, n, 4, 3)
    return z[:, :, 0], z[:, :, 1:]


# %% mystnb={"figure": {"caption": "The three singular values of the flow's Jacobian on six paths, from noise (right) to data (left), on a sphere of dimension two. Dotted: a line that falls with $\\sigma$ itself.", "name": "fig-questions-values"}, "image": {"alt": "Three panels of curves against the noise level, both axes logarithmic. Without a gauge two values level off together and the third falls with the noise. With the gauge A s it is much the same. With the stirred gauge the upper values are spread over more than a decade, and the third lies lower but falls along the same line."}}
figure, row = figures.canvas(
    "A gauge divides the values anew, and cannot stop the last",
    width=7.2,
    height=2.9,
    columns=3,
)
colours = (figures.EXACT, figures.LEARNED, figures.WRONG)
for ax, (name, field) in zip(row, kinds.items(), strict=True):
    values = torch.linalg.svdvals(ride(field)[1])
    for i, colour in enumerate(colours):
        ax.loglog(ends, values[..., i], color=colour, lw=0.9)
    ax.loglog(ends, 0.2 * np.array(ends), ":", color=figures.AXES)
    ax.set_title(name, fontsize=9)
    ax.set(xlabel=r"$\sigma$", ylim=(3e-4, 9))
row[0].set(ylabel="singular values of $Y$")
plt.show()

# %% [markdown]
r"""
The usual rule puts the dimension where the largest gap of the spectrum is. At $\sigma =
0.1$ it fails on two of the six stirred paths: the first of three values is
further from the second than the second from the third. The field is exact, its samples are
exact, its likelihoods are exact, and the rule says *one*. Without a gauge it says *two*, on
all paths. We measure by how much all paths are read as two,
$\min\, (\log \varsigma_2 / \varsigma_3 - \log \varsigma_1 / \varsigma_2)$,
or zero if one is not:
"""


# %%
def read_as_two(field):
    """By how much every path has its largest gap after the second value."""
    logs = torch.linalg.svdvals(ride(field)[1][-10]).log()  # at 0.1
    margin = logs[:, 1] - logs[:, 2] - (logs[:, 0] - logs[:, 1])
    return float(margin.min().clamp(min=0))


# %% tags=["hide-input"]
stirred_claim = Claim(
    id="questions/stirred",
    says=r"An exact gauge can mislead the rule of the largest gap: with $r = "
    r"A(h s + \nabla h)$ at least one of six flow Jacobians on the sphere in "
    r"$\mathbb R^3$ ($\sigma$ from 4 to 0.1) is not read as of rank two; "
    r"without a gauge, and with $A s$, all are.",
    papers=("041",),
    kind="exact",
    formula=kinds["stirred"],
    controls={name: kinds[name] for name in ("no gauge", "$A s$")},
    tol=9e-3,
    because="zero if a path is misread; the solver's error is far smaller",
    measure=read_as_two,
    scale="a field is planted, not a number",
)
check(stirred_claim)

# %% [markdown]
r"""
So is the paper right, and a gauge spoils the dimension? At a fixed level it can. In the
limit it cannot. Near the surface $s \approx -\delta\, n / \sigma^2$, with $n$ the normal
and $\delta$ the signed distance, a multiple of $\sigma$. The gauge moves the distance by
$n \cdot r = \delta$ times nothing, since $n \cdot A n = 0$, and by the bounded term
$n \cdot A \nabla h$. Hence $d\delta/d\sigma = \delta/\sigma + O(\sigma)$: **the row $n^\top Y$ of
the Jacobian falls like $\sigma$, for every smooth $h$**, and with it the third value,
while the two others stay, as the volume demands. For the rate we take the row at four levels,
each half of the one before. That gives three slopes in $\log \sigma$; twice
extrapolated, they give the slope at $\sigma = 0$:
"""


# %%
def rate_of(field, tangent=False):
    """The extrapolated slope of log |n Y| in log sigma, six paths."""
    x, Y = (u[[-10, -7, -4, -1]] for u in ride(field))
    n = x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    if tangent:
        n = torch.linalg.cross(n, tensor([0.0, 0.0, 1.0]).expand_as(n))
    row = (n.unsqueeze(-2) @ Y).squeeze(-2)
    logs = torch.linalg.vector_norm(row, dim=-1).log() / math.log(2)
    slopes = logs[:-1] - logs[1:]
    once = 2 * slopes[1:] - slopes[:-1]
    return (4 * once[1] - once[0]) / 3


def rates_missed(build):
    """How far the rate is from one, worst of the three fields."""
    return max(float((build(f) - 1).abs().max()) for f in kinds.values())


# %% tags=["hide-input"]
limit_claim = Claim(
    id="questions/limit",
    says=r"In the limit no gauge hides the dimension: $|n^\top Y|$, $n$ the "
    r"normal at the end point, goes like $\sigma$ without a gauge, with $A "
    r"s$ and with $A(h s + \nabla h)$ (sphere in $\mathbb R^3$, slopes from "
    r"$\sigma = 1/10$ to $1/80$, extrapolated).",
    papers=("041",),
    kind="exact",
    formula=rate_of,
    controls={
        "a tangent for the normal": functools.partial(rate_of, tangent=True),
        "the square": lambda field: 2 * rate_of(field),
    },
    tol=9e-3,
    because="third order in the noise; set after measuring",
    measure=rates_missed,
    scale=lambda build, e: lambda field: build(field) * (1 + 20 * e),
)
check(limit_claim)

# %% [markdown]
r"""
The verdict has three parts. Conservativity is *sufficient* (for a gradient, in the limit).
It is *not necessary*. But at the levels where one works, the gap of the
spectrum does depend on the gauge, so that a threshold tuned on one net may fail on another,
with the same law. Ask for the slope in $\log \sigma$, not for the gap. Trained
nets are the next witness: [manifolds](manifolds.ipynb).

**Where do the values go that stay?** Reviewers doubted a sentence about "1". For a
Gaussian with variance $\lambda$ in a direction, on any path $x_t = a_t x_0 + g_t z$,

$$
\varsigma(t) = \sqrt{\frac{a_t^2 \lambda + g_t^2}{a_T^2 \lambda + g_T^2}}
\;\longrightarrow\; \sqrt{\frac{\lambda}{a_T^2 \lambda + g_T^2}}
\qquad (t \to 0) .
$$ (eq-questions-saturation)

On a path that ends in $\mathcal N(0, I)$ this is the standard deviation $\sqrt\lambda$; with
$a = 1$ and $\sigma_T^2 \gg \lambda$ it is $\sqrt\lambda / \sigma_T$. It is one for data of unit
variance only. The truth is an ODE solver's, with the velocity of the path:
"""

# %%
vp = paths.vp()
spread = tensor([4.0, 1.0, 0.25, 0.01])
START, STOP = 1.0, 1e-3


def saturation(value=lambda top, end: (end / top).sqrt()):
    """From the variances at the two ends of the path."""
    c, e = (vp.at(tensor(t)) for t in (START, STOP))
    return value(c.a**2 * spread + c.g2, e.a**2 * spread + e.g2)


# %%
def solved():
    """d log varsigma/dt = f + h^2/(2 V), integrated."""

    def rate(t, y):
        f, h2 = vp.sde(tensor(t))
        c = vp.at(tensor(t))
        return (f + h2 / (2 * (c.a**2 * spread + c.g2))).numpy()

    how = {"rtol": 1e-11, "atol": 1e-13, "method": "DOP853"}
    found = integrate.solve_ivp(rate, (START, STOP), np.zeros(4), **how)
    return tensor(found.y[:, -1]).exp()


# %% tags=["hide-input"]
saturation_slips = {
    "they go to one": torch.ones_like(spread),
    "the ratio of variances": saturation(lambda top, end: end / top),
    "relative to $\\sigma_T$, as on VE": saturation(
        lambda top, end: (spread / (spread + 1)).sqrt()
    ),
}

# %% tags=["hide-input"]
saturation_claim = Claim(
    id="questions/saturation",
    says="A singular value of $Y$ on the path `vp`, from $t = 1$ to "
    r"$10^{-3}$, is $\sqrt{(a_t^2\lambda + g_t^2)/(a_T^2\lambda + g_T^2)}$, "
    r"about the standard deviation $\sqrt\lambda$ of the data ($\lambda = "
    "4, 1, 0.25, 0.01$): one for unit variance only.",
    papers=("041",),
    kind="exact",
    formula=saturation(),
    controls=saturation_slips,
    tol=1e-10,
    because="an ODE solver at relative tolerance 1e-11",
    truth=solved(),
)
check(saturation_claim)

# %% [markdown]
r"""
## Question 4: what does discretisation do?

*The wish.* All statements are for continuous time. A gauge makes paths longer and
bends them. What is left of "harmless" with finitely many steps?

On a circle in the plane this has an exact answer. There $s = f(|x|, \sigma)\, x/|x|$ with
$f = (I_1/I_0(|x|/\sigma^2) - |x|)/\sigma^2$, and the gauge $\alpha J s$ runs along circles. One
step of Euler from $\sigma$ to $\sigma'$, with $\delta = \sigma (\sigma - \sigma')$, adds
$\delta f$ along the radius and $\alpha\delta f$ across it, so that

$$
|x'|^2 = (|x| + \delta f)^2 + (\alpha\, \delta f)^2 .
$$ (eq-questions-ring)

The radius has a recursion of its own, and **the gauge always pushes outwards**: a tangent
leaves the circle on one side only. Each step adds $\alpha^2 \delta^2 f^2 / (2|x|)$ and
more of higher order. Let the grid be even in $\log \sigma$: $N$ steps over
$L = \log(T/\sigma_0)$, $\delta = \sigma^2 L/N$ to leading order. What a step adds is
carried on by the flow to the end. With the clock $u = \log(T/\sigma)$ the excess of the
radius over the run without a gauge is $c\,\alpha^2/N + O(N^{-2})$,

$$
\frac{dw}{du} = \sigma^2\, \frac{\partial f}{\partial \rho}\, w
+ \frac{L\, \sigma^4 f^2}{2 \rho} , \quad w(0) = 0 , \qquad
\frac{d\rho}{du} = \sigma^2 f , \qquad c = w(L) ,
$$ (eq-questions-price)

where $\rho$ is the radius along the exact flow. Four starts; the truth runs Euler in
the plane with 4,000 and 8,000 steps, subtracts, and extrapolates.
"""


# %% tags=["setup"]
def pull(r, sigma):
    """f, the radial score of the circle with noise."""
    k = r / sigma**2
    return (special.ive(1, k) / special.ive(0, k) - r) / sigma**2


FAR, NEAR = 6.0, 0.05
radii = np.array([2.0, 5.0, 8.0, 12.0])
L = math.log(FAR / NEAR)


def euler(N, alpha):
    """The radii after N Euler steps in the plane, of complex points."""
    sigma, x = FAR * (NEAR / FAR) ** (np.arange(N + 1) / N), radii + 0j
    for a, b in zip(sigma[:-1], sigma[1:], strict=True):
        r = abs(x)
        x = x + a * (a - b) * pull(r, a) * x / r * (1 + 1j * alpha)
    return abs(x)


# %%
def recursion(N, alpha, across=2):
    """The radii by the recursion of the radius alone."""
    sigma, r = FAR * (NEAR / FAR) ** (np.arange(N + 1) / N), radii
    for a, b in zip(sigma[:-1], sigma[1:], strict=True):
        df = a * (a - b) * pull(r, a)
        r = np.sqrt((r + df) ** 2 + abs(alpha * df) ** across)
    return r


turned = [(30, 1.0), (30, 3.0), (200, 3.0)]


def rings(rule):
    """For three pairs of N and alpha."""
    return tensor(np.stack([rule(N, alpha) for N, alpha in turned]))


# %% tags=["hide-input"]
ring_claim = Claim(
    id="questions/ring",
    says="On the circle in the plane the radius of Euler's steps with the "
    r"gauge $\alpha J s$ obeys $|x'|^2 = (|x| + \delta f)^2 + "
    r"(\alpha\,\delta f)^2$, whatever the angle ($\sigma$ from 6 to 0.05, "
    r"30 and 200 steps, $\alpha = 1, 3$).",
    papers=("041",),
    kind="exact",
    formula=rings(recursion),
    controls={
        "the gauge leaves the radius": rings(lambda N, c: recursion(N, 0.0)),
        "lengths added": rings(lambda N, c: recursion(N, c, across=1)),
        "half the strength": rings(lambda N, c: recursion(N, c / 2)),
    },
    tol=1e-13,
    because="float64",
    truth=rings(euler),
)
check(ring_claim)


# %%
def price(carried=1.0, size=lambda r: 2 * r):
    """c, by an adaptive solver, with slips."""
    out = []
    for start in radii:

        def rate(u, y):
            s, (r, w) = FAR * math.exp(-u), y
            e = 1e-5 * r
            f, up, down = pull(r, s), pull(r + e, s), pull(r - e, s)
            grown = carried * s**2 * (up - down) / (2 * e) * w
            return [s**2 * f, grown + L * s**4 * f**2 / size(r)]

        how = {"rtol": 1e-9, "atol": 1e-12, "method": "DOP853"}
        found = integrate.solve_ivp(rate, (0.0, L), [start, 0.0], **how)
        out.append(found.y[1, -1])
    return tensor(out)


# %%
def bought():
    """N (radius with alpha - radius without) / alpha^2, extrapolated."""
    out = []
    for alpha in (1.0, 3.0):
        coarse, fine = (
            N * (recursion(N, alpha) - recursion(N, 0.0)) / alpha**2
            for N in (4000, 8000)
        )
        out.append(2 * fine - coarse)
    return tensor(np.stack(out))


# %% tags=["hide-input"]
price_slips = {
    "not carried on to the end": torch.stack([price(0.0)] * 2),
    r"proportional to $\alpha$": torch.stack([price(), price() / 3]),
    "$r$ for $2r$": torch.stack([price(size=lambda r: r)] * 2),
    "the radius one": torch.stack([price(size=lambda r: 2.0)] * 2),
}

# %% tags=["hide-input"]
price_claim = Claim(
    id="questions/price",
    says=r"With $N$ Euler steps, even in $\log\sigma$, the gauge $\alpha J "
    r"s$ makes the radius too large by $c\,\alpha^2/N$ to first order, $c$ "
    "from the linear equation along the exact flow (circle in the plane, "
    r"$\sigma$ from 6 to 0.05, $\alpha = 1, 3$, four starts).",
    papers=("041",),
    kind="exact",
    formula=torch.stack([price()] * 2),
    controls=price_slips,
    tol=9e-5,
    because="extrapolated from 4,000 and 8,000 steps, next term alpha^2/N^2; "
    "set after measuring",
    truth=bought(),
)
check(price_claim)

# %% mystnb={"figure": {"caption": "What Euler's method misses in the radius at the end of one path (from 8, on a circle in the plane), against the number of steps, without a gauge and with an exact one of strength 3. Dotted: the excess $c\\,\\alpha^2/N$.", "name": "fig-questions-steps"}, "image": {"alt": "Log-log plot of two falling curves. The one with the gauge lies more than ten times above the one without, far more for few steps, and joins a dotted line of slope minus one."}}
figure, axes = figures.canvas("A gauge is harmless for infinitely many steps")
counts = (2 ** np.arange(4, 12)).tolist()
settled = 2 * recursion(8192, 0.0)[2] - recursion(4096, 0.0)[2]
c = float(price()[2])
for alpha, colour in ((0, figures.EXACT), (3, figures.WRONG)):
    missed = [abs(recursion(N, float(alpha))[2] - settled) for N in counts]
    axes.loglog(counts, missed, color=colour)
axes.loglog(counts, 9 * c / np.array(counts), ":", color=figures.AXES)
figures.label_line(axes, 20, 1.2e-3, "no gauge", figures.EXACT)
figures.label_line(axes, 200, 5e-2, r"$\alpha = 3$", figures.WRONG)
axes.set(xlabel="steps $N$", ylabel="error of the radius")
plt.show()

# %% [markdown]
r"""
So conservativity is a *numerical* virtue, and a cheap one to have: a step that follows the
score first and then turns by an angle leaves the radius alone, and the gauge costs
nothing (`gauges/split` has such steps for all Gaussians). A net does not come with its
error in two parts, though. There the price is paid.

## What does the paper say, and what holds?

| the paper | here | |
|---|---|---|
| every field is a gradient plus an orthogonal gauge, uniquely | `helmholtz/...`, in the plane and for all linear fields | holds |
| sampling and density are exact iff the gradient part is the score | `gauges/density`, `gauges/defect` | holds, for the same initial law, along the field's own path |
| conservativity is not necessary | `gauges/crowd` | holds |
| conservativity is not sufficient | `gauges/conservative` | holds |
| local information needs care: $\operatorname{sv}(Y)$ of a gradient split | `dimension/split`, `questions/limit` | holds in the limit for every gauge |
| a field that is no gradient has no clean split | `questions/stirred`; [trained nets](manifolds.ipynb) | at finite noise, for a strong gauge; nets that are trained well do split |
| values along the manifold go to "1" | `questions/saturation` | for unit variance on a path to $\mathcal N(0, I)$ |

## Break it

- In `questions/nets` leave out $\varphi = |x|^4$. Is the worst early net still told from the
best finished one?
- In `questions/stirred` go down to $\sigma = 1/80$, the last entry. The rule now reads
two on every path: only the levels in between mislead it.
- In `questions/price` make the grid even in $\sigma$ instead of $\log \sigma$. The constant is
another one. Where is most of it collected?

## What this does not show

We read the paper's abstract, its figures' captions and what was written about it. Its nets
and training are not ours, and the gap between its figure and our nets is not explained.
The test of question 1 was calibrated on nets for one sphere; which functions see which
errors in high dimensions is open. Question 3 has one gauge of one strength. That the
gauge part of a trained net is ever so strong is not shown, and on
[nets in the plane](learned.ipynb) it is not.

## Exercises

**1.** What is $\mathbb E_p[x \cdot s]$, for any smooth density on $\mathbb R^d$? Write it as
a function of `d` and `sigma`, one of which may not matter.
"""

# %%
circle = surfaces.Sphere(1)
cases = {
    "d": tensor([3.0, 3.0, 2.0, 2.0]),
    "sigma": tensor([0.2, 1.0, 0.3, 2.0]),
}


def mean_push(d, sigma):
    """E[x s] on sphere and circle, by quadrature on a ray."""
    out = []
    for dim, t in zip(d, sigma, strict=True):
        on = sphere if dim == 3 else circle
        top = 1 + 12 * t
        r = top * (1 + node) / 2
        x = r.unsqueeze(1) * torch.eye(int(dim)).double()[:1]
        shell = (4 * math.pi * r**2) if dim == 3 else 2 * math.pi * r
        mass = shell * on.log_prob(x, t**2).exp() * weight * top / 2
        out.append(((x * on.score(x, t**2)).sum(1) * mass).sum())
    return torch.stack(out)


# %% tags=["hide-input"]
push_wrongs = {
    "the sign: scores point inwards": lambda d, sigma: d,
    "the noise alone; x and the noise are not the same": lambda d, sigma: (
        -d / sigma**2
    ),
    "one for each dimension, and there are d": lambda d, sigma: -1 + 0 * d,
    "the tangent directions count as well": lambda d, sigma: -1.0 * (d - 2),
}

# %% tags=["hide-input"]
push_exercise = Claim(
    id="questions/push-exercise",
    says="the mean of x . s",
    papers=("041",),
    kind="exact",
    formula=None,
    controls=push_wrongs,
    tol=1e-11,
    because="quadrature of a smooth integrand",
    at=cases,
    truth=mean_push,
)


# %% tags=["solution", "hide-cell"]
def mean_of_push(d, sigma):
    """By parts: the integral of x . grad p is that of -p div x."""
    return -d


# %%
attempt(push_exercise, mean_of_push)

# %% [markdown]
r"""
**2.** *Derive.* In $\mathbb R^d$ the flow of an exact gauge on a surface of dimension
`m` has the log-densities `top` at the start and `end` at the end of a path, and the
geometric mean of its $m$ largest singular values is `kept`. What is the geometric
mean of the other $d - m$?
"""

# %%
paths_of = {
    "d": tensor([3.0, 5.0, 4.0]),
    "m": tensor([2.0, 2.0, 1.0]),
    "top": tensor([-5.0, -11.0, -6.5]),
    "end": tensor([1.2, 4.0, 3.3]),
    "kept": tensor([0.2, 0.5, 1.5]),
}


# %%
def rest_truth(d, m, top, end, kept):
    """By bisection on a spectrum with that product."""
    out = []
    for D, k, a, b, q in zip(d, m, top, end, kept, strict=True):
        D, k = int(D), int(k)
        low, high = -60.0, 60.0
        for _ in range(200):
            guess = (low + high) / 2
            logs = [math.log(q)] * k + [guess] * (D - k)
            low, high = (guess, high) if sum(logs) < a - b else (low, guess)
        out.append(math.exp(guess))
    return tensor(out)


# %% tags=["hide-input"]
rest_wrongs = {
    "the volume is squeezed on the way to the data: start minus end": (
        lambda d, m, top, end, kept: (
            (end - top - m * kept.log()) / (d - m)
        ).exp()
    ),
    "this is the product of all the others": lambda d, m, top, end, kept: (
        top - end - m * kept.log()
    ).exp(),
    "kept is the mean of m values, each counts": (
        lambda d, m, top, end, kept: (
            (top - end - kept.log()) / (d - m)
        ).exp()
    ),
    "this is the mean of all d": lambda d, m, top, end, kept: (
        (top - end) / d
    ).exp(),
}

# %% tags=["hide-input"]
rest_exercise = Claim(
    id="questions/rest-exercise",
    says="the geometric mean of the singular values across the surface",
    papers=("041",),
    kind="exact",
    formula=None,
    controls=rest_wrongs,
    tol=1e-11,
    because="bisection to rounding",
    at=paths_of,
    truth=rest_truth,
)


# %% tags=["solution", "hide-cell"]
def across_the_surface(d, m, top, end, kept):
    """m log kept + (d - m) log rest = top - end."""
    return ((top - end - m * kept.log()) / (d - m)).exp()


# %%
attempt(rest_exercise, across_the_surface)

# %% [markdown]
r"""
**3.** *Extend the test.* Write one more test, for $\varphi = \sin(k \cdot x)$: a function
of points `x` (n, d), values `s` of the model's score there, and `k` (d), that returns
$\nabla\varphi \cdot s + \Delta\varphi$ at each point. Then add it to `tests`, with several
$k$. Does it see an early net sooner?
"""

# %%
spots = torch.randn(6, 3, generator=shapes.rng(4), dtype=torch.float64)
told_there = torch.randn(6, 3, generator=shapes.rng(5), dtype=torch.float64)
waves = {"x": spots, "s": told_there, "k": tensor([1.0, -2.0, 0.5])}


def wave_truth(x, s, k):
    """By automatic differentiation, twice."""

    def phi(y):
        return torch.sin(y @ k)

    slope = torch.func.vmap(torch.func.grad(phi))(x)
    bend = torch.func.vmap(torch.func.hessian(phi))(x)
    return (slope * s).sum(-1) + bend.diagonal(dim1=-2, dim2=-1).sum(-1)


# %% tags=["hide-input"]
wave_wrongs = {
    "the sign of the second derivative of a sine": lambda x, s, k: (
        (x @ k).cos() * (s @ k) + (k @ k) * (x @ k).sin()
    ),
    "the Laplacian has the factor k . k": lambda x, s, k: (
        (x @ k).cos() * (s @ k) - (x @ k).sin()
    ),
    "the gradient is k cos(k . x)": lambda x, s, k: (
        (x @ k).cos() * s.sum(-1) - (k @ k) * (x @ k).sin()
    ),
    "the Laplacian is missing": lambda x, s, k: (x @ k).cos() * (s @ k),
}

# %% tags=["hide-input"]
wave_exercise = Claim(
    id="questions/wave-exercise",
    says="the test for a wave, at every point",
    papers=("041",),
    kind="exact",
    formula=None,
    controls=wave_wrongs,
    tol=1e-12,
    because="float64",
    at=waves,
    truth=wave_truth,
)


# %% tags=["solution", "hide-cell"]
def wave_test(x, s, k):
    """grad phi = k cos(k x), Laplace phi = -k k sin(k x)."""
    return (x @ k).cos() * (s @ k) - (k @ k) * (x @ k).sin()


# %%
attempt(wave_exercise, wave_test)

# %% [markdown]
r"""
## Summary

| question | answer |
|---|---|
| a test without the score | $\mathbb E_p[\nabla\varphi \cdot \hat s + \Delta\varphi]$ ranks nets, asymmetry does not |
| a score with a divergence | every one: $\mathbb E_p[\nabla \cdot s] = -\mathbb E_p \lvert s \rvert^2$ |
| a gauge and the dimension | right slope in $\log\sigma$, at finite noise perhaps the wrong gap |
| discretisation | excess $c\,\alpha^2/N$, outwards |

**Where next.** [Trained nets on curved worlds](manifolds.ipynb), and
[what training learns](learned.ipynb).
"""
