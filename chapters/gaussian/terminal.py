# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# The end that is not noise

Samplers start from pure noise, but many models were never shown any: the last step
of their schedule still holds some data. We compute what that costs, mode by mode,
why the brightness of a picture pays nearly all of it, and what each of the known
repairs repairs.

- **You need** [the painters' flow](painters.ipynb), and
[how to read a claim](../start/reading.ipynb).
- **You get** the exact law of what a sampler makes from the wrong start, for the
flow and for the reverse diffusion; the price in nats; and a start that is right,
with a rule for how little has to be known.
- **Paper** 176, One More Step {cite}`hu2023oms`; also the rescaled schedules of
{cite}`lin2024flawed`.
- **Claims** on made-up spectra, digits and photographs, all named `terminal/...`.
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
import mpmath
import sympy
import torch

from diffkit import (
    chains,
    data,
    fields,
    figures,
    laws,
    metrics,
    paths,
    shapes,
    solvers,
    tables,
    worlds,
)
from diffkit.claims import Claim, attempt, check

# %% [markdown]
r"""
## What is left of the data at the last step?

A chain of $N$ steps with noise shares $\beta_n$ arrives at
$x_N = a_T x_0 + g_T z$ with $a_T^2 = \bar\alpha_N = \prod_n (1 - \beta_n)$ and
$g_T^2 = 1 - a_T^2$ (see [the notation](../start/notation.ipynb)). No factor of the
product is zero, so $a_T > 0$. If the data have the mean $m$ and the covariance
$C$, then for every law of the data, since $z$ is independent of $x_0$,

$$
\mathbb E\, x_T = a_T m, \qquad
\operatorname{Cov} x_T = a_T^2 C + g_T^2 I ,
$$ (eq-terminal-law)

and for Gaussian data that is the whole law, $\mathcal N(a_T m, a_T^2 C + g_T^2
I)$. It is $\mathcal N(0, I)$ only if $a_T m = 0$ and $a_T^2 (C - I) = 0$. How
small is $a_T$? Three chains of a thousand steps: DDPM {cite}`ho2020ddpm`, with
$\beta$ from $0.0001$ to $0.02$ in equal increments; Stable Diffusion, in
whose released configuration $\sqrt\beta$ runs evenly from $\sqrt{0.00085}$ to
$\sqrt{0.012}$; and the cosine chain {cite}`nichol2021improved`, in which
$\bar\alpha$ follows a squared cosine down to zero, but no $\beta$ may exceed
$0.999$. The cell shows $1/a_T$, rounded.
"""

# %%
roots = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64)
betas = [paths.linear_betas(), roots**2, paths.cosine_betas()]
names = ["DDPM", "Stable Diffusion", "cosine"]
{
    name: round((-paths.log_abar(b)[-1] / 2).exp().item(), 1)
    for name, b in zip(names, betas, strict=True)
}

# %% [markdown]
r"""
In Stable Diffusion one part in fifteen of the data is still there. The claim gives the three
numbers; the second route multiplies the chains out with forty digits, from their
definitions.
"""


# %%
def multiplied():
    """sqrt(abar_N) of the three chains, with forty digits on the way."""
    with mpmath.workdps(40):
        q, line = mpmath.mpf, [mpmath.mpf(n) / 999 for n in range(1000)]
        low, high = mpmath.sqrt(q("0.00085")), mpmath.sqrt(q("0.012"))
        ddpm = [q("0.0001") + u * q("0.0199") for u in line]
        sd = [(low + u * (high - low)) ** 2 for u in line]
        turn = [(n / q(1000) + q("0.008")) / q("1.008") for n in range(1001)]
        squares = [mpmath.cos(u * mpmath.pi / 2) ** 2 for u in turn]
        shares = [1 - squares[n + 1] / squares[n] for n in range(1000)]
        cosine = [min(share, q("0.999")) for share in shares]
        ends = [mpmath.fprod([1 - b for b in c]) for c in (ddpm, sd, cosine)]
        lasts = [float(mpmath.sqrt(end)) for end in ends]
        return torch.tensor(lasts, dtype=torch.float64)


def last_signals(chains_of_betas, power=0.5):
    """abar_N to a power, of several chains."""
    ends = [paths.log_abar(b)[-1] for b in chains_of_betas]
    return torch.stack([(power * end).exp() for end in ends])


# %% tags=["hide-input"]
straight = torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64)
by_hand = multiplied()
chain_slips = {
    "$\\bar\\alpha$ for its root": lambda: last_signals(betas, 1.0),
    "Stable Diffusion's $\\beta$ in equal increments, not its root": lambda: (
        last_signals([betas[0], straight, betas[2]])
    ),
    "the cosine chain without its clip": lambda: last_signals(
        [*betas[:2], paths.cosine_betas(clip=1)]
    ),
    "the last step forgotten": lambda: last_signals([b[:-1] for b in betas]),
}

# %% tags=["hide-input"]
chain_claim = Claim(
    id="terminal/chains",
    says=r"After 1000 steps $a_T = \prod_n (1 - \beta_n)^{1/2}$ is 1/157.4 "
    r"for the linear chain of DDPM, 1/14.6 for Stable Diffusion and 1/20291 "
    r"for the clipped cosine chain: never 0.",
    papers=("176",),
    kind="exact",
    formula=lambda: last_signals(betas),
    controls=chain_slips,
    tol=1e-13,
    because="a sum of a thousand logarithms in float64",
    measure=lambda f: (f() / by_hand - 1).abs().max(),
)
check(chain_claim)

# %% [markdown]
r"""
For a flow we need a path in continuous time. The flow depends only on where it
starts and ends, so any path that preserves variance and ends at the same ratio
would do; we take the one with the shape of Stable Diffusion, $\beta(t) \propto (1 +
(r - 1) t)^2$ with $r = \sqrt{0.012/0.00085}$ and $\int_0^1 \beta = -\log \bar
\alpha_N$, both rounded to a few digits.
"""

# %% tags=["setup"]
r = sympy.Rational("3.7573")
shape = ((1 + (r - 1) * paths.t) ** 3 - 1) / (r**3 - 1)
area = sympy.expand(sympy.Rational("5.36872") * shape)
sd = paths.Path(sympy.exp(-area / 2), 0, 1 - sympy.exp(-area), 1.0, "SD")
a, g = sd.at(1.0).a, sd.at(1.0).g
{"noise to signal at the end": round((g / a).item(), 1)}

# %% [markdown]
r"""
## What does a start from pure noise cost?

Take an eigen-direction of $C$ with variance $c > 0$ and mean $m$ (now a number).
[The exact flow](painters.ipynb) from $T$ to the data multiplies the distance from
the mean by $\psi(0)/\psi(T)$, that is

$$
x_0 = m + \sqrt{c/V}\, (x_T - a_T m), \qquad V = a_T^2 c + g_T^2 .
$$ (eq-terminal-map)

This map is right; it is the start that may be wrong. A start $x_T \sim \mathcal
N(\mu, v)$ comes out as

$$
x_0 \sim \mathcal N\Bigl(m + \sqrt{c/V}\,(\mu - a_T m),\ \frac{v}{V}\, c\Bigr) ,
$$ (eq-terminal-rule)

and the whole chapter is this rule, with different starts put in. Pure noise is
$\mu = 0$, $v = 1$:

$$
\text{mean} = m\,\bigl(1 - a_T \sqrt{c/V}\bigr), \qquad
\text{variance} = c / V .
$$ (eq-terminal-shrink)

Read the mean first. Since $a_T \sqrt{c/V} = \sqrt{a_T^2 c/(a_T^2 c + g_T^2)}$ lies
between $0$ and $1$, the mean always shrinks towards $0$, and to *first* order in
$a_T$. Then the variance: $V = 1 + a_T^2 (c - 1)$ on a path that preserves
variance, so directions with $c > 1$ come out too narrow, those with $c < 1$ too
**wide**, and $c = 1$ right. The direction $c = 0$ has no variance to lose and
comes out exactly, by the limit of the rule. The error of the variance is of order
$a_T^2$ for a *fixed* $c$; but not uniformly in $c$: what decides is $a_T^2 c$, and where that is
large, nearly everything is lost.

Is it ever large? Yes, for brightness. If each of $n$ pixels is $b$, the same for
all, with $\operatorname{Var} b = 1$, then $C = \mathbf 1 \mathbf 1^\top$, whose
one eigenvalue is $n$, along $\mathbf 1/\sqrt n$. A latent of $64 \times 64$ has
$c = 4096$, and $a_T^2 c \approx 19$, though $a_T^2$ is below half a percent.

We try seven directions from $c = 0.1$ to $4096$, each with a mean of its own. The
second route solves the flow numerically: the solution is affine in the start, so
running the origin and the unit vectors gives the whole map. Among the wrong
formulas is the one that is said most often: "the bias is $a_T^2$".
"""

# %%
c = torch.tensor([0.1, 0.5, 1, 10, 100, 1000, 4096]).double()
m = c.sqrt() * torch.tensor([1, -1, 2, 1, -2, 1, 0.5]).double()
modes, pure = laws.gaussian(m, torch.diag(c)), laws.gaussian(0 * m, 1.0)
V = a**2 * c + g**2


def flow_map(path, law, s=0.0, n=80):
    """The matrix and the shift of the flow from T to s, by Runge-Kutta."""
    ts = tables.uniform(path.T, s, n)
    x = torch.cat([torch.zeros(1, law.d), torch.eye(law.d)]).double()
    y = solvers.solve(tables.rk4(ts), worlds.World(path, law).velocity, x)
    return (y[1:] - y[0]).mT, y[0]


def shares(law):
    """Means and variances, in units of those of the data."""
    return torch.stack([law.mean() / m, law.cov().diagonal() / c])


# %% tags=["hide-input"]
numeric = flow_map(sd, modes)


def pair(mean, variance):
    """Both shares, for all modes."""
    return torch.stack([mean + 0 * c, variance + 0 * c])


shrink_slips = {
    "a bias of $a_T^2$, whatever $c$": pair(1 - a**2, 1 - a**2),
    "first order in $a_T^2$: variance share $1 - a_T^2 (c - 1)$": pair(
        1 - a * (c / V).sqrt(), 1 - a**2 * (c - 1)
    ),
    "$a_T$ for $a_T \\sqrt{c/V}$": pair(1 - a, 1 / V),
    "no square root in the mean": pair(1 - a * c / V, 1 / V),
}

# %% tags=["hide-input"]
shrink_claim = Claim(
    id="terminal/shrink",
    says=r"The exact flow of $\mathcal N(m, c)$, started at $\mathcal N(0, "
    r"1)$ where the path has $a_T, g_T$, ends in the mean $m (1 - a_T "
    r"\sqrt{c/V})$ and the variance $c/V$, $V = a_T^2 c + g_T^2$ ($c$ from "
    r"0.1 to 4096, $a_T$ of Stable Diffusion).",
    papers=("176",),
    kind="exact",
    formula=pair(1 - a * (c / V).sqrt(), 1 / V),
    controls=shrink_slips,
    tol=1e-6,
    because="Runge-Kutta of order 4 in 80 steps is good to 5e-7",
    truth=lambda: shares(pure.push(*numeric)),
)
check(shrink_claim)

# %% [markdown]
r"""
The picture shows the share of the variance that comes out, against $c$. Look for
the crossing at $c = 1$, and for the place where a schedule lets go.
"""

# %% mystnb={"figure": {"caption": "Variance of the output as a share of the variance $c$ of the data, when the exact flow is started from pure noise, for three last signals $a_T$. The dot is the brightness of a $64 \\times 64$ latent in Stable Diffusion.", "name": "fig-terminal-share"}, "image": {"alt": "Three falling curves against the variance from 0.1 to a million. All start at 1. The curve of Stable Diffusion falls through one half near 200 and is at one twentieth at 4096, where a dot is drawn; that of DDPM falls a hundred times later, that of a signal of 0.2 ten times earlier."}}
figure, axes = figures.canvas(
    "What counts is the signal power times the variance"
)
span = torch.logspace(-1, 6, 200).double()
ends = {"0.2": 0.2, "SD": a.item(), "DDPM": by_hand[0].item()}
tints = figures.time_colours(3)
for (name, at), tint in zip(ends.items(), tints, strict=True):
    axes.semilogx(span, 1 / (at**2 * span + 1 - at**2), color=tint)
    figures.label_line(axes, 1.2 / at**2, 0.5, f"$a_T$: {name}", tint)
axes.plot(4096, 1 / V[-1], "o", color=tints[1])
axes.set(xlabel="variance $c$", ylabel="share", ylim=(0, 1.1))
plt.show()

# %% [markdown]
r"""
Every curve is the same curve, shifted: half of the variance is gone where $a_T^2
(c - 1) = 1$. DDPM's chain keeps ten times less signal and so survives variances a
hundred times larger.

In $d$ dimensions the rule holds in each eigen-direction at once. Written with
matrices that commute, and down to any time $s$ with $C_t = a_t^2 C + g_t^2 I$,

$$
x_s \sim \mathcal N\bigl(a_s m - a_T\, (C_s C_T^{-1})^{1/2}\, m,\ C_s C_T^{-1}
\bigr) .
$$ (eq-terminal-matrix)

On the $8 \times 8$ digits, with their three dead pixels:
"""

# %%
digit_law = laws.fit_gaussian(data.digits()[0])
mean, C = digit_law.mean(), digit_law.cov()
stop, eye = 0.2, torch.eye(64).double()
landed = laws.gaussian(0 * mean, 1.0).push(*flow_map(sd, digit_law, stop, 30))


def seen(t):
    """The covariance of x_t."""
    return sd.at(t).a ** 2 * C + sd.at(t).g2 * eye


def root(K):
    """The symmetric root of a covariance."""
    values, vectors = torch.linalg.eigh(K)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.mT


ratio = torch.linalg.solve(seen(1.0), seen(stop))
ratio = (ratio + ratio.mT) / 2


# %% tags=["hide-input"]
def off_digits(start):
    """Errors of a mean and a covariance, relative to the numerical ones."""
    first = (start[0] - landed.mean()).norm() / landed.mean().norm()
    second = (start[1] - landed.cov()).norm() / landed.cov().norm()
    return max(first, second)


now = sd.at(stop).a * mean
digit_slips = {
    "a mean error of second order, $a_T^2$": (
        now - a**2 * root(ratio) @ mean,
        ratio,
    ),
    "no root in the mean": (now - a * ratio @ mean, ratio),
    "the covariance right, only the mean shrunk": (
        now - a * root(ratio) @ mean,
        seen(stop),
    ),
}

# %% tags=["hide-input"]
digit_claim = Claim(
    id="terminal/digits",
    says=r"From $\mathcal N(0, I)$ at $T$ the exact flow of $\mathcal N(m, "
    r"C)$ arrives at time $s$ in $\mathcal N(a_s m - a_T (C_s "
    r"C_T^{-1})^{1/2} m,\ C_s C_T^{-1})$, with $C_t = a_t^2 C + g_t^2 I$ "
    r"(the Gaussian of the digits, singular $C$).",
    papers=("176",),
    kind="exact",
    formula=(now - a * root(ratio) @ mean, ratio),
    controls=digit_slips,
    tol=1e-6,
    because="Runge-Kutta of order 4 in 30 steps",
    measure=off_digits,
)
check(digit_claim)

# %% [markdown]
r"""
How much is it? The largest variance of the digits is below $3$, so no variance is
short by more than two percent: small pictures hardly notice. But the mean along
that first axis is short by a tenth, because its error is of order $a_T$.
"""

# %%
top = digit_law.covariance.spectrum[0].max()
V_top = a**2 * top + g**2
{
    "percent of variance lost": round(100 * (1 - 1 / V_top).item()),
    "percent of the mean lost": round(
        100 * (a * (top / V_top).sqrt()).item()
    ),
}

# %% [markdown]
r"""
## What happens to dark and bright pictures?

Brightness is rarely Gaussian. Take a collection in which most pictures are dark
and some are bright: in the brightness direction alone, the coordinate $y$ has a law
$p_0$ with two humps. On the line the flow cannot let points overtake each other,
so it is the increasing map that carries $p_T$ to $p_0$: with distribution
functions $F_T, F_0$ it sends $x$ to $F_0^{-1}(F_T(x))$ (continuous densities on
the line, positive between the ends). Then a start with distribution function
$G$ has, at the data end,

$$
P(\alpha < y \le \beta) = G(Q(\beta)) - G(Q(\alpha)), \qquad
Q = F_T^{-1} \circ F_0 ,
$$ (eq-terminal-mass)

which is the share that $p_0$ has only if $G = F_T$. Two collections: a made-up one
of $64 \times 64$ latents, 70 % near brightness $-0.6$ and 30 % near $0.6$; and the
brightness of 2,080 patches of $16 \times 16$ pixels from two photographs, each
smeared by a narrow Gaussian so that there is a density. A coordinate along
$\mathbf 1/\sqrt n$ is $\sqrt n$ times the brightness.
"""

# %%
two = torch.tensor([[-0.6], [0.6]]).double()
made_up = laws.mixture(64 * two, (64 * 0.2) ** 2, torch.tensor([0.7, 0.3]))
patches = data.patches()
u = torch.full((256,), 1 / 16).double()
light = (patches @ u).unsqueeze(1)
photos = laws.mixture(light, (16 * 0.05) ** 2)
white = laws.gaussian(torch.zeros(1).double(), 1.0)
edges = (
    torch.tensor([-2.0, -0.5, -0.25, 0.25, 0.5, 2.0]).double().unsqueeze(1)
)
collections = [(made_up, 64 * edges), (photos, 16 * edges)]


def noisy(law, at=a):
    """The law at the last step, where a and g = sqrt(1 - a^2)."""
    return law.push(at).blur(1 - at**2)


# %% [markdown]
r"""
The second route runs the five cuts numerically up the flow, from the data to the
last step, and asks the error function for the noise between them.
"""


# %%
def outcome_by_flow(law, cuts):
    """The shares between cuts, by Runge-Kutta and the error function."""
    table = tables.rk4(tables.uniform(0.0, 1.0, 80))
    up = solvers.solve(table, worlds.World(sd, law).velocity, cuts)
    return torch.special.erf(up / 2**0.5).diff(dim=0).squeeze(1) / 2


def both(f):
    """f for the two collections."""
    return torch.stack([f(law, cuts) for law, cuts in collections])


by_flow = both(outcome_by_flow)


# %% tags=["hide-input"]
def between(back):
    """Shares between cuts, from a rule that takes them to the noise."""

    def share(law, cuts):
        x = back(law, cuts)
        return laws.mass(white, x[:-1], x[1:])

    return lambda: both(share)


def as_gaussian(law, cuts):
    """Where the cuts come from, if the law were a Gaussian."""
    mid, var = law.mean(), law.cov().squeeze()
    return a * mid + ((a**2 * var + g**2) / var).sqrt() * (cuts - mid)


def rising(law, cuts):
    """Where the cuts come from, by the increasing map."""
    return laws.monotone(law, noisy(law), cuts)


# %% tags=["hide-input"]
mass_claim = Claim(
    id="terminal/brightness",
    says=r"On the line the exact flow started from $\mathcal N(0, 1)$ puts "
    r"the mass $\Phi(Q(\beta)) - \Phi(Q(\alpha))$ between $\alpha$ and "
    r"$\beta$, $Q = F_T^{-1} \circ F_0$ (two humps; photographs).",
    papers=("176",),
    kind="exact",
    formula=between(rising),
    controls={
        "no bias": lambda: both(lambda p, y: laws.mass(p, y[:-1], y[1:])),
        "the flow of a Gaussian with the same moments": between(as_gaussian),
        "the cuts multiplied by $a_T$": between(lambda law, cuts: a * cuts),
    },
    tol=1e-5,
    because="Runge-Kutta of order 4 in 80 steps",
    truth=by_flow,
)
check(mass_claim)

# %% [markdown]
r"""
The slider shows the made-up collection, and what the exact flow makes of pure
noise, as the last step keeps more and more of the data. The density of the output
at $y$ is $\varphi(x)\, p_0(y)/p_T(x)$ at $x = Q(y)$. Watch the middle.
"""


# %%
def frame(ratio):
    """The brightness of data and output, at a last noise-to-signal ratio."""
    figure, axes = figures.canvas(
        "Pure noise pulls light to the middle", 6.0, 2.4
    )
    y = torch.linspace(-1.3, 1.3, 160).double().unsqueeze(1)
    end = noisy(made_up, (1 + ratio**2) ** -0.5)
    x = laws.monotone(made_up, end, 64 * y)
    true = 64 * made_up.log_prob(64 * y).exp()
    made = true * (white.log_prob(x) - end.log_prob(x)).exp()
    axes.plot(y, true, color=figures.EXACT, lw=2.5, label="data")
    axes.plot(y, made, "--", color=figures.WRONG, label="output")
    axes.set(xlabel="brightness", yticks=[], ylim=(0, 4))
    axes.legend(loc="upper right")
    return figure


# %%
steps_of_end = torch.tensor([157.4, 40.0, 14.6, 8.0, 5.0]).double()
figures.Slider(
    [frame(q) for q in steps_of_end],
    [f"noise to signal at the last step: {q:.0f}" for q in steps_of_end],
    "Density of brightness: the data with two humps, and the output of the "
    "exact flow from pure noise, which moves into the middle",
    "terminal_middle",
)

# %% [markdown]
r"""
With DDPM's last step the two curves are close. With that of Stable Diffusion (15)
both humps have moved half of the way to the middle, and pictures as dark or as
bright as most of the data are hardly made at all. With a larger signal the two
kinds run into one, in greys that the data avoid. A perfect network does not help:
all fields here are exact.

## Does a random sampler forgive?

The exact reverse diffusion, started at $T$, draws $x_0$ from the true posterior
given $x_T$: time reversal has the transition laws of the forward process read
backwards {cite}`song2021sde`. In one mode the posterior is Gaussian,

$$
x_0 \mid x_T \sim \mathcal N\Bigl(m + \frac{a_T c}{V} (x_T - a_T m),\
\frac{c\, g_T^2}{V}\Bigr) .
$$ (eq-terminal-posterior)

So a start $x_T \sim \mathcal N(0, 1)$ gives

$$
\text{mean} = m\, \frac{g_T^2}{V}, \qquad
\text{variance} = c\, \Bigl( \frac{g_T^2}{V} + \frac{a_T^2 c}{V^2} \Bigr)
= c\, \Bigl(1 - \frac{a_T^2 c\, (V - 1)}{V^2}\Bigr) .
$$ (eq-terminal-sde)

(For the last step put $g_T^2 = V - a_T^2 c$.) The factor of the start is $a_T c/V$
here and $\sqrt{c/V}$ for the flow, smaller by $a_T \sqrt{c/V} \le 1$: the random
sampler forgets its start, except for the correlation that the data themselves
keep. Its errors are of second order in the mean and, on a path that preserves
variance, of fourth in the variance, at fixed $c$. But where $a_T^2 c$ is large it
is no help. The second route integrates the moments: with drift $f x - h^2 s(x,
t)$ and noise $h$ (`Path.sde`), and with $J$ the slope of the score,
$\dot \mu = f \mu - h^2 s(\mu, t)$ and $\dot v = 2 (f - h^2 J) v - h^2$.
"""


# %%
def moments_move(x, t):
    """The slopes of means and variances under the exact reverse diffusion."""
    mid, var = x.chunk(2, -1)
    k, world = sd.sde(t), worlds.World(sd, modes)
    score, ahead = world.score(torch.cat([mid, mid + 1]), t).split(1)
    J = ahead - score
    return torch.cat(
        [k.f * mid - k.h2 * score, 2 * (k.f - k.h2 * J) * var - k.h2], -1
    )


begin = torch.cat([0 * m, 0 * m + 1]).unsqueeze(0)
clock = tables.rk4(tables.uniform(1.0, 0.0, 128))
sde_mean, sde_var = solvers.solve(clock, moments_move, begin)[0].chunk(2)

# %% tags=["hide-input"]
sde_claim = Claim(
    id="terminal/sde",
    says=r"The exact reverse diffusion of $\mathcal N(m, c)$ started at "
    r"$\mathcal N(0, 1)$ ends in the mean $m\, g_T^2/V$ and the variance "
    r"$c\, (g_T^2/V + a_T^2 c/V^2)$, $V = a_T^2 c + g_T^2$ ($c$ from 0.1 to "
    r"4096).",
    papers=("176",),
    kind="exact",
    formula=pair(g**2 / V, g**2 / V + a**2 * c / V**2),
    controls={
        "the flow's: $1 - a_T \\sqrt{c/V}$ and $1/V$": shrink_claim.formula,
        "the start's variance forgotten: $g_T^2/V$": pair(g**2 / V, g**2 / V),
        "unbiased, since the noise is fresh": pair(1.0, 1.0),
    },
    tol=3e-6,
    because="Runge-Kutta of order 4 in 128 steps, stiffer than the flow",
    truth=lambda: torch.stack([sde_mean / m, sde_var / c]),
)
check(sde_claim)

# %% [markdown]
r"""
Next to each other: what the two exact samplers keep of the mean and of the
variance, with the last step of Stable Diffusion.
"""

# %% mystnb={"figure": {"caption": "Share of the mean (left) and of the variance (right) that comes out of pure noise, against the variance $c$ of the data, at the last step of Stable Diffusion: exact flow and exact reverse diffusion.", "name": "fig-terminal-samplers"}, "image": {"alt": "Two panels with falling curves from 1 to 0 for variances from 0.1 to a hundred thousand. The curve of the diffusion lies to the right of that of the flow, but falls as well."}}
figure, panels = figures.canvas(
    "Fresh noise helps, until it does not", columns=2
)
span = torch.logspace(-1, 5, 200).double()
wide = a**2 * span + g**2
kept = [
    (1 - a * (span / wide).sqrt(), g**2 / wide),
    (1 / wide, g**2 / wide + a**2 * span / wide**2),
]
for axes, curves, what in zip(
    panels, kept, ("mean", "variance"), strict=True
):
    axes.semilogx(span, curves[0], color=figures.EXACT, lw=2.5, label="flow")
    axes.semilogx(span, curves[1], color=figures.SECOND, label="diffusion")
    axes.set(xlabel="variance $c$", title=what, ylim=(0, 1.1))
panels[1].legend(loc="lower left")
plt.show()

# %% [markdown]
r"""
At $c = 10$ the flow has lost a fifth of the mean, the diffusion a twentieth, and
of the variance next to nothing. At $c = 4096$ both have lost nearly everything: the last step *knows*
the brightness, and no sampler that trusts it can find another one.

## Does one more step repair it?

One More Step {cite}`hu2023oms` puts a second network in front: it sees only noise
(and the prompt), predicts $x_0$, and one step of a sampler leads from there to the
state at $T$ where the old model takes over. Pure noise says nothing about $x_0$,
so the prediction of least mean square error is the mean, and the step makes

$$
x_T = a_T m + g_T \varepsilon, \qquad \varepsilon \sim \mathcal N(0, I) .
$$ (eq-terminal-oms)

Put $\mu = a_T m$, $v = g_T^2$ into [the rule](#eq-terminal-rule): the mean comes
out **exactly**, and the variance is

$$
c\, \frac{g_T^2}{V} = c\, \Bigl(1 - \frac{a_T^2 c}{V}\Bigr) :
$$ (eq-terminal-deficit)

a relative deficit of $a_T^2 c/V$ (an absolute one of $a_T^2 c^2/V$), slightly
*more* than from pure noise. What is missing is the data's own share of the
variance at $T$. It has to be drawn: with $x_0'$ from the law of the data,
$x_T = a_T x_0' + g_T \varepsilon$ has the law at $T$ by definition, so that
everything after it is exact, for every law. For Gaussian data it is enough to
draw the directions that need it: if $x_0'$ has the variance $c$ along the
brightness and none elsewhere, the brightness is exact and every other
eigen-direction keeps its own deficit.
"""


# %%
def drawn(which):
    """Start at the mean, with the data's share drawn in some modes."""
    return laws.gaussian(a * m, torch.diag(a**2 * c * which + g**2))


choices = [0 * c, (c >= 100).double(), 0 * c + 1]  # none, three, all


def for_choices(variance):
    """Shares of mean and variance, for the three starts."""
    return torch.stack([pair(1.0, variance(which)) for which in choices])


# %% tags=["hide-input"]
oms_slips = {
    "exact without the draw": lambda: for_choices(lambda w: 1.0),
    "noise of variance 1, $x_T = a_T m + \\varepsilon$": lambda: for_choices(
        lambda w: (a**2 * c * w + 1) / V
    ),
    "the deficit $a_T^2 c^2/V$, which is the absolute one": lambda: (
        for_choices(lambda w: 1 - (1 - w) * a**2 * c**2 / V)
    ),
    "the deficit $a_T^2 c$": lambda: for_choices(
        lambda w: 1 - (1 - w) * a**2 * c
    ),
}

# %% tags=["hide-input"]
oms_claim = Claim(
    id="terminal/one-more-step",
    says=r"From $x_T = a_T m + g_T \varepsilon$ the exact flow has the right "
    r"mean and the variance $c\,(1 - a_T^2 c/V)$; from $x_T = a_T x_0' + "
    r"g_T \varepsilon$ with $x_0' \sim \mathcal N(m, c)$ drawn in some "
    r"modes, the variance is exact in those modes, and only there.",
    papers=("176",),
    kind="exact",
    formula=lambda: for_choices(lambda w: 1 - (1 - w) * a**2 * c / V),
    controls=oms_slips,
    tol=1e-6,
    because="as for terminal/shrink",
    truth=lambda: torch.stack(
        [shares(drawn(which).push(*numeric)) for which in choices]
    ),
)
check(oms_claim)

# %% [markdown]
r"""
So in an unconditional world one more step mends half of the fault, the mean. Its
strength is the prompt: a conditional model lives in the world of its prompt, with
the prompt's own mean and a smaller variance, and [the deficit](#eq-terminal-deficit)
is that of the variance *within* a prompt. Exercise 3 works this out.

## Can the schedule be mended instead?

{cite:t}`lin2024flawed` change the schedule before training: shift $\sqrt{\bar
\alpha}$ so that it ends at zero, and scale it so that its beginning stays. An
affine map $a \mapsto p\, a + q$ with $p\, a_T + q = 0$ and $p + q = 1$ (that keeps
$a_0 = 1$; the paper keeps the first step instead, which changes $p$ a little) is

$$
\bar a_t = \frac{a_t - a_T}{1 - a_T}, \qquad \bar g_t^2 = 1 - \bar a_t^2 .
$$ (eq-terminal-zero)

Now $\bar a_T = 0$, so $V = 1$, and all of [the bias](#eq-terminal-shrink) is gone,
for every law: the state at $T$ *is* noise. The package has it as
`paths.zero_terminal`, and for chains as `paths.zero_terminal_betas`. The claim
measures the largest error of mean and variance, in shares, after a numerical run
from pure noise; its planted error leaves a thousandth of $a_T$ standing.
"""

# %%
zero = paths.zero_terminal(sd)
doubled = paths.Path(sympy.exp(-area), 0, 1 - sympy.exp(-2 * area))


def rescaled(left):
    """The path shifted until a share ``left`` of a_T is left, and scaled."""
    off = (1 - left) * sympy.exp(-sympy.Rational("5.36872") / 2)
    signal = (sympy.exp(-area / 2) - off) / (1 - off)
    return paths.Path(signal, 0, 1 - signal**2)


maps = {sd: numeric}  # no flow is solved twice


def bias(path):
    """The largest error of mean or variance after the flow from noise."""
    if path not in maps:
        maps[path] = flow_map(path, modes)
    return (shares(pure.push(*maps[path])) - 1).abs().max()


# %% tags=["hide-input"]
zero_claim = Claim(
    id="terminal/zero-terminal",
    says=r"On the path $\bar a = (a - a_T)/(1 - a_T)$, $\bar g^2 = 1 - \bar "
    r"a^2$ the exact flow from $\mathcal N(0, I)$ has the mean and the "
    r"variance of the data in every mode ($c$ from 0.1 to 4096).",
    papers=("176",),
    kind="exact",
    formula=zero,
    controls={
        "not rescaled": sd,
        "nine tenths of the shift": rescaled(sympy.Rational(1, 10)),
        "all $\\beta$ doubled instead": doubled,
    },
    tol=5e-5,
    because="Runge-Kutta of order 4 in 80 steps",
    measure=bias,
    scale=lambda path, e: rescaled(sympy.Rational(str(abs(e)))),
)
check(zero_claim)

# %% [markdown]
r"""
There is a price. At $\bar a_T = 0$ a network that predicts the noise has nothing
to learn: $x_T$ is the noise, and the prediction $N = x_T$ says nothing about the
data. From $x = a D + g N$ the guess is $D = (x - g N)/a$, so an error $\delta$ of
the network becomes $\delta\, g/a$ in the guess, without bound. The $v$-prediction
{cite}`salimans2022distillation` $v = a N - g D$ gives $D = a x - g v$ (from $a^2 +
g^2 = 1$), where errors are multiplied by $g \le 1$; and a score network's by
$g^2/a$, from $D = (x + g^2 s)/a$. At the end itself only $v$ is left: $D = -v$, and `fields.convert` refuses the
other two.
"""

# %%
near = zero.when(torch.tensor([0.3, 1.0, 10.0, 1e3, 1e5]).double())


def amplified(target):
    """Change of the guess per unit error of a network, by autograd."""
    wrong = torch.zeros(len(near), 1).double().requires_grad_()
    guess = fields.convert(lambda x, t: wrong, zero, target, "denoise")
    return torch.autograd.grad(
        guess(torch.ones_like(wrong), near).sum(), wrong
    )[0].abs()


measured = torch.cat([amplified(k) for k in ("noise", "v", "score")], 1)

# %% tags=["hide-input"]
k = zero.at(near)


def three(noise, v, score):
    """The factors of the three targets, at all times."""
    return torch.stack([noise, v, score], 1)


amplify_slips = {
    "$1/a$ for the noise": three(1 / k.a, k.g, k.g2 / k.a),
    "$g/a$ for $v$ as well": three(k.g / k.a, k.g / k.a, k.g2 / k.a),
    "$a$ for $v$": three(k.g / k.a, k.a, k.g2 / k.a),
    "$g/a$ for the score": three(k.g / k.a, k.g, k.g / k.a),
}

# %% tags=["hide-input"]
amplify_claim = Claim(
    id="terminal/amplification",
    says=r"An error $\delta$ of a network that predicts the noise, $v$ or "
    r"the score moves the guess $D$ by $\delta\, g/a$, $\delta\, g$ and "
    r"$\delta\, g^2/a$ ($a^2 + g^2 = 1$, $a > 0$): at the zero end only the "
    r"$v$-prediction stays bounded.",
    papers=("176",),
    kind="exact",
    formula=three(k.g / k.a, k.g, k.g2 / k.a),
    controls=amplify_slips,
    tol=1e-14,
    because="float64, relative at each time",
    measure=lambda f: (f / measured - 1).abs().max(),
)
check(amplify_claim)

# %% [markdown]
r"""
Now put the two repairs side by side. On the mended path the guess at $T$ is the
mean, for *every* law, because $x_T$ is independent of $x_0$. DDIM's step
{cite}`song2021ddim` to a time $s$ goes to $\bar a_s D + \bar g_s N$, so its first
step is

$$
x_s = \bar a_s m + \bar g_s x_T .
$$ (eq-terminal-first)

Choose $s$ where the mended path has the signal $a_T$ that the old one had at its
end: this *is* [one more step](#eq-terminal-oms). And it has the same deficit: in a
mode the exact flow multiplies by $\sqrt V$ here, DDIM by $g_T$. A schedule with a
zero end removes the bias of the start, but a sampler that leaps from the end to
$a_s$ in one step puts $g_s^2/V$ of it back. The claim takes the 1,797 digits as
the law.
"""

# %%
crowd = worlds.World(zero, laws.dataset(data.digits()[0]))
handover = zero.when(sd.nsr(1.0))
leap = tables.ddim(zero, torch.stack([torch.ones_like(handover), handover]))
z = torch.randn(20, 64, generator=shapes.rng(0), dtype=torch.float64)

# %% tags=["hide-input"]
leap_claim = Claim(
    id="terminal/first-leap",
    says=r"On a path with $\bar a_T = 0$ DDIM's first step, to the time "
    r"where $\bar a_s = a_T$ of the old path, is $a_T m + g_T x_T$, for "
    r"every law of the data with mean $m$ (the digits as a data set).",
    papers=("176",),
    kind="exact",
    formula=a * mean + g * z,
    controls={
        "the noise as it is": z,
        "the mean not scaled": mean + g * z,
        "$g^2$ for $g$": a * mean + g**2 * z,
        "the noise not scaled": a * mean + z,
    },
    tol=1e-14,
    because="float64",
    truth=lambda: solvers.solve(leap, crowd.denoise, z),
)
check(leap_claim)

# %% [markdown]
r"""
## What does offset noise change?

A third repair trains with noise that is brighter or darker as a whole: $\varepsilon
\sim \mathcal N(0, N)$ with $N = I + \kappa\, \mathbf 1 \mathbf 1^\top$
{cite}`kutsuna2024offset`. Its eigenvalue along $\mathbf 1/\sqrt n$ is $\nu = 1 +
\kappa n$, all others are $1$. If the brightness is an eigen-direction of the data,
with variance $c$, the state there has the variance $V_\nu = a_t^2 c + g_t^2 \nu$,
and the signal at the last step is weaker, $a_T^2 c/(g_T^2 \nu)$ in place of $a_T^2
c/g_T^2$. Divide the coordinate by $\sqrt\nu$: a mode of variance $c/\nu$ in white
noise, for which [the rule](#eq-terminal-rule) holds. Back in the old units a start
of variance $v$ gives $c\, v/V_\nu$ (at $t = T$), so

$$
\mathcal N(0, I):\ \frac{1}{V_\nu}, \qquad
\mathcal N(0, N):\ \frac{\nu}{V_\nu}, \qquad
\mathcal N(a_T m, a_T^2 C + g_T^2 N):\ 1
$$ (eq-terminal-offset)

are the shares of the variance. A model trained with an offset has to be *started*
with one: from white noise it loses a factor of about $\nu$, far more than was
missing before. With the offset it is close, and exact only if $a_T = 0$ or, by
luck, $c = \nu$. We test it in 16 dimensions with $\kappa = 0.1$, $c = 5$, as a
matrix problem in whitened coordinates $N^{-1/2} x$.
"""

# %%
n, kappa = 16, 0.1
draw = torch.randn(n, n, generator=shapes.rng(1), dtype=torch.float64)
dc = torch.full((n, 1), n**-0.5).double()
Q = torch.linalg.qr(torch.cat([dc, draw[:, 1:]], 1))[0]
spread = torch.cat([torch.tensor([5.0]), torch.linspace(0.2, 2, n - 1)])
K = (Q * spread.double()) @ Q.mT
noise_cov = torch.eye(n).double() + kappa * torch.ones(n, n).double()
N_half = root(noise_cov)
whiten = torch.linalg.inv(N_half)
inner = laws.gaussian(torch.zeros(n).double(), whiten @ K @ whiten)
move = N_half @ flow_map(sd, inner)[0] @ whiten
starts = [torch.eye(n).double(), noise_cov, a**2 * K + g**2 * noise_cov]


def brightness_shares():
    """Variance along the brightness over that of the data, three starts."""
    ends = [dc.mT @ move @ S @ move.mT @ dc / 5 for S in starts]
    return torch.stack(ends).squeeze()


# %% tags=["hide-input"]
def offset_shares(nu, exact_family=False):
    """1 / V, nu / V and 1."""
    V_nu = a**2 * 5 + g**2 * nu
    near_one = V_nu if exact_family else nu
    return torch.stack([1 / V_nu, near_one / V_nu, V_nu / V_nu])


one_more = torch.tensor(1 + kappa * n).double()
offset_slips = {
    "$\\kappa$ for $\\kappa n$": offset_shares(1 + kappa),
    "$\\kappa^2 n$ for $\\kappa n$": offset_shares(1 + kappa**2 * n),
    "exact from $\\mathcal N(0, N)$": offset_shares(one_more, True),
    "the terminal law of white noise": offset_shares(one_more / one_more),
}

# %% tags=["hide-input"]
offset_claim = Claim(
    id="terminal/offset",
    says=r"With noise $\mathcal N(0, I + \kappa \mathbf 1 \mathbf 1^\top)$, "
    r"$\nu = 1 + \kappa n$ and $V_\nu = a_T^2 c + g_T^2 \nu$, the exact flow "
    r"keeps the shares $1/V_\nu$, $\nu/V_\nu$ and 1 of the brightness "
    r"variance $c$ from $\mathcal N(0, I)$, $\mathcal N(0, N)$ and the exact "
    r"start: 38.3 %, 99.6 % and 100 % for $n = 16$, $\kappa = 0.1$, $c = 5$.",
    papers=("176",),
    kind="exact",
    formula=offset_shares(one_more),
    controls=offset_slips,
    tol=1e-7,
    because="Runge-Kutta of order 4 in 80 steps, on moderate variances",
    truth=brightness_shares,
)
check(offset_claim)

# %% [markdown]
r"""
## How many nats is the wrong start?

Between Gaussians the divergence from the law at $T$ to pure noise is, mode by
mode,

$$
\mathrm{KL}\bigl(\mathcal N(a_T m, V)\,\|\,\mathcal N(0, 1)\bigr)
= \tfrac12 \bigl( V - 1 - \ln V + a_T^2 m^2 \bigr) ,
$$ (eq-terminal-kl)

and independent directions add. Now run both laws through the same map. An
invertible map moves densities without changing their ratio at corresponding
points, so the divergence between data and output of the flow, $\mathrm{KL}(p_0\,\|\,
q_0)$, **equals** [this number](#eq-terminal-kl), for every law of the data and
every start. For the reverse diffusion both laws go through the same random
channel; the joint laws of $(x_T, x_0)$ have the divergence
[above](#eq-terminal-kl) and looking at $x_0$ alone can only lose some of it (data
processing). So the same number is an **upper bound**, and from
[the diffusion's moments](#eq-terminal-sde) the exact value per mode is, with $R =
V^2/(g_T^2 V + a_T^2 c)$,

$$
\mathrm{KL}_{\text{diffusion}} = \tfrac12 \Bigl( R - 1 - \ln R +
R\, \frac{a_T^4 c\, m^2}{V^2} \Bigr) .
$$ (eq-terminal-kl-sde)
"""

# %%
out_flow = pure.push(*numeric)
out_sde = laws.gaussian(sde_mean, torch.diag(sde_var))
exact_kl = torch.stack(
    [
        metrics.gaussian_kl(modes, out_flow),
        metrics.gaussian_kl(modes, out_sde),
    ]
)


def nats(var, off):
    """KL from N(off, var) to N(0, 1), summed over modes."""
    return 0.5 * (var - 1 - var.log() + off**2).sum()


R = V**2 / (g**2 * V + a**2 * c)
kl_sde = nats(R, R.sqrt() * a**2 * c.sqrt() * m / V)

# %% tags=["hide-input"]
kl_slips = {
    "the other direction, KL of noise from data": torch.stack(
        [nats(1 / V, a * m / V.sqrt()), kl_sde]
    ),
    "the logarithm forgotten": torch.stack(
        [0.5 * (V - 1 + (a * m) ** 2).sum(), kl_sde]
    ),
    "the means forgotten": torch.stack([nats(V, 0 * m), nats(R, 0 * m)]),
    "the diffusion as bad as the flow": torch.stack(
        [nats(V, a * m), nats(V, a * m)]
    ),
}

# %% tags=["hide-input"]
kl_claim = Claim(
    id="terminal/kl",
    says=r"From $\mathcal N(0, I)$, $\mathrm{KL}(\text{data}\,\|\,"
    r"\text{output})$ is $\sum \frac12 (V - 1 - \ln V + a_T^2 m^2)$ for the "
    r"exact flow, and $\sum \frac12 (R - 1 - \ln R + R a_T^4 c\, m^2/V^2)$, "
    r"$R = V^2/(g_T^2 V + a_T^2 c)$, for the exact reverse diffusion (sums "
    r"over the modes).",
    papers=("176",),
    kind="exact",
    formula=torch.stack([nats(V, a * m), kl_sde]),
    controls=kl_slips,
    tol=1e-6,
    because="moments to a few 1e-7, from the runs above",
    truth=exact_kl,
)
check(kl_claim)

# %% mystnb={"figure": {"caption": "Nats between data of mean 0 and the output from pure noise, against the variance $c$, at the last step of Stable Diffusion. For the flow it is the divergence at the start itself; for the diffusion that is an upper bound.", "name": "fig-terminal-nats"}, "image": {"alt": "Two rising curves on double logarithmic axes for variances from 2 to a hundred thousand. The curve of the diffusion runs below that of the flow, by four orders of magnitude on the left and a factor near two on the right."}}
figure, axes = figures.canvas("The start's divergence bounds the diffusion's")
span = torch.logspace(0.3, 5, 200).double()
wide = a**2 * span + g**2
rate = wide**2 / (g**2 * wide + a**2 * span)
for value, tint, name in (
    (wide, figures.EXACT, "flow = bound"),
    (rate, figures.SECOND, "diffusion"),
):
    loss = (value - 1 - value.log()) / 2
    axes.loglog(span, loss, color=tint, lw=2.5 if name[0] == "f" else 1.6)
    at, by = (40, 200) if name[0] == "f" else (90, 0.1)
    figures.label_line(axes, span[at], loss[at] * by, name, tint)
axes.set(xlabel="variance $c$", ylabel="nats", ylim=(1e-10, 1e3))
plt.show()

# %% [markdown]
r"""
For small variances the diffusion's curve is steeper: its error is of higher order.
For large ones the two run together, and by then the start is wrong by several
nats in this one direction.

## What is the exact repair?

Start from the law at $T$. For Gaussian data it is $\mathcal N(a_T m, a_T^2 C +
g_T^2 I)$, and nearly always a few directions are enough. Let $u_1, \dots, u_r$ be
the eigenvectors with the largest variances, and

$$
x_T = a_T m + g_T \varepsilon + a_T \sum_{k \le r} \sqrt{\lambda_k}\, \xi_k u_k,
\qquad \varepsilon \sim \mathcal N(0, I),\ \xi_k \sim \mathcal N(0, 1) .
$$ (eq-terminal-low-rank)

The mean and the first $r$ directions are exact. A direction that was left out
has the start's variance $g_T^2$ in place of $a_T^2 \lambda_k + g_T^2$. With $e_k =
a_T^2 \lambda_k/g_T^2$, its signal-to-noise ratio at the last step,

$$
\mathrm{KL} = \tfrac12 \sum_{k > r} \bigl( e_k - \ln(1 + e_k) \bigr)
\le \tfrac14 \sum_{k > r} e_k^2 ,
$$ (eq-terminal-left)

and the relative deficit of its variance is $e_k/(1 + e_k)$. The rule: **draw every
direction whose $e_k$ is above the relative error that you can bear.** The patches
of the photographs have 256 directions; the largest variance, that of the brightness, is
fifty times the second.
"""

# %%
patch_law = laws.fit_gaussian(patches)
lam = patch_law.covariance.spectrum[0].flip(0)  # the largest first
axes_256 = patch_law.covariance.basis[0].flip(1)
{
    "first over second": round((lam[0] / lam[1]).item()),
    "percent of the variance": round(100 * (lam[0] / lam.sum()).item()),
    "percent of it kept from noise": round(
        100 / (a**2 * lam[0] + g**2).item()
    ),
}

# %% [markdown]
r"""
For a Gaussian brightness, nearly a third of the variance is lost in patches as small
as $16 \times 16$ (with its own law a little less, as we shall see). The claim measures the divergence part of the way down the flow, where
it is the same, between the exact law and the numerical image of
[the start](#eq-terminal-low-rank) with $r = 0, 1, 4$ directions.
"""

# %%
halfway = 0.5
patch_map = flow_map(sd, patch_law, halfway, 25)
kept_ranks = (0, 1, 4)


def nats_of_rank(r):
    """Data from output, in nats, when r directions are drawn."""
    some = axes_256[:, :r] * lam[:r].sqrt()
    start = laws.gaussian(a * patch_law.mean(), g**2).blur(
        cov=a**2 * some @ some.mT
    )
    there = worlds.World(sd, patch_law).law(halfway)
    return metrics.gaussian_kl(there, start.push(*patch_map))


left = torch.stack([nats_of_rank(r) for r in kept_ranks])

# %% tags=["hide-input"]
e = a**2 * lam / g**2


def tails(term):
    """A term of each direction, summed beyond the first r."""
    return torch.stack([term[r:].sum() for r in kept_ranks])


rank_slips = {
    "the bound for the value": tails(e**2 / 4),
    "no half": tails(e - e.log1p()),
    "the start of variance 1 elsewhere": tails(
        0.5 * (a**2 * (lam - 1) - (a**2 * (lam - 1)).log1p())
    ),
    "the last direction drawn counted as left": torch.stack(
        [(0.5 * (e - e.log1p()))[max(r - 1, 0) :].sum() for r in kept_ranks]
    ),
}

# %% tags=["hide-input"]
rank_claim = Claim(
    id="terminal/low-rank",
    says=r"From $a_T m + g_T \varepsilon + a_T \sum_{k \le r} "
    r"\sqrt{\lambda_k}\, \xi_k u_k$ the exact flow ends $\frac12 "
    r"\sum_{k > r} (e_k - \ln (1 + e_k))$ nats from the data, $e_k = a_T^2 "
    r"\lambda_k/g_T^2$ (patches of photographs, $r = 0, 1, 4$).",
    papers=("176",),
    kind="exact",
    formula=tails(0.5 * (e - e.log1p())),
    controls=rank_slips,
    tol=1e-5,
    because="relative in each; Runge-Kutta of order 4 in 25 steps",
    measure=lambda f: (f / left - 1).abs().max(),
)
check(rank_claim)

# %% [markdown]
r"""
Now the photographs themselves. Their brightness has more than one hump, so we
keep its own law, as in [the masses above](#eq-terminal-mass), and model only the
rest of a patch as a Gaussian, independent of it. Then the flow acts on both parts
separately: the increasing map on the brightness, the painters' factors on the
rest. Since the map increases, it sends the $q$-quantile of the start to the
$q$-quantile of the output, and a row of pictures at nine equal steps of $q$ shows a
whole law. Four starts: the law at $T$ itself, which a real patch times $a_T$ plus
noise has (with the brightness drawn, or from a zero end, the row is the same but
for texture); one more step with the mean; pure noise; and pure noise once more, if
the pictures had $64 \times 64$ pixels and the same law of brightness. Of those we
show a patch of $16 \times 16$. Look at both ends of the rows.
"""

# %%
rest_law, average = laws.fit_gaussian(patches - light * u), patches.mean(0)
eps = torch.randn(9, 256, generator=shapes.rng(6), dtype=torch.float64)
q = torch.arange(1, 18, 2).double() / 18
larger = photos.push(4.0)  # 64 for 16 times the brightness


def one_step(law):
    """The mean of the state at T, and the noise of that step."""
    return laws.gaussian(a * law.mean(), g**2)


def grown(law, start, side, x):
    """Light at nine quantiles of a start, with the texture of x."""
    y = laws.monotone(noisy(law), law, laws.quantile(start, q)) / side
    rest = x - (x @ u).unsqueeze(1) * u
    return 16 * y * u + chains.carry(rest_law, sd, rest, 1.0, 0.0)


# %% mystnb={"figure": {"caption": "Nine pictures at equal steps of probability (above the columns), from dark to light, by the exact flow of a world with the brightness of photographs and a Gaussian for all else.", "name": "fig-terminal-strips"}, "image": {"alt": "Four rows of nine small pictures, from dark to light. The first row goes from black to white. The second and third begin and end a little nearer to grey; the last row goes only from dark grey to a middle grey."}}
middling = a * average + g * eps
strips = {
    "law at $T$": grown(photos, noisy(photos), 16, middling),
    "one more step": grown(photos, one_step(photos), 16, middling),
    "pure noise": grown(photos, white, 16, eps),
    "the same, 64 x 64": grown(larger, white, 64, eps),
}
light_is_high = [-images for images in strips.values()]
title = "From the wrong start the range of light is lost"
figures.strip(light_is_high, list(strips), [f"{v:.2f}" for v in q], title)
plt.show()

# %% [markdown]
r"""
The texture is that of a Gaussian, soft and cloudy in all rows; what changes with
the start is the light: a little in small patches, and much of it in large ones.
The same as densities, for both sizes:
"""

# %% mystnb={"figure": {"caption": "Brightness of photographs (grey) and of what the exact flow makes of pure noise and of one more step with the mean, for pictures of $16 \\times 16$ and of $64 \\times 64$ pixels.", "name": "fig-terminal-light"}, "image": {"alt": "Two panels with the same grey density of brightness, high near minus 0.7, lower in the middle, with further humps near 0.6 and 0.9. On the left two dashed curves are a little higher in the middle and lower at both ends; on the right both are high in the middle and nearly zero at the ends."}}
figure, panels = figures.canvas(
    "The larger the picture, the greyer", 6.0, 2.8, 2
)
y = torch.linspace(-1.1, 1.1, 121).double().unsqueeze(1)
for axes, law, side in zip(panels, (photos, larger), (16, 64), strict=True):
    x = laws.monotone(law, noisy(law), side * y)
    true = side * law.log_prob(side * y).exp()
    axes.plot(y, true, color=figures.EXACT, lw=2.5, label="data")
    tints = {"noise": figures.WRONG, "one step": figures.SECOND}
    both_starts = zip(tints.items(), (white, one_step(law)), strict=True)
    for (name, tint), start in both_starts:
        made = true * (start.log_prob(x) - noisy(law).log_prob(x)).exp()
        axes.plot(y, made, "--", color=tint, label=name)
    axes.set(xlabel="brightness", title=f"{side} x {side}", yticks=[])
panels[0].legend(loc="upper center")
plt.show()

# %% [markdown]
r"""
How much of the width is left from pure noise, in percent, next to what a Gaussian
brightness of the same variance would keep:
"""


# %%
def width_left(law):
    """Standard deviation from pure noise, in percent: own law, Gaussian."""
    fine = (torch.arange(200).double() + 0.5) / 200
    made = laws.monotone(noisy(law), law, laws.quantile(white, fine))
    var = law.cov().squeeze()
    own = (made.var() / var).sqrt()
    return [round(100 * w.item()) for w in (own, (a**2 * var + g**2) ** -0.5)]


{"16 x 16": width_left(photos), "64 x 64": width_left(larger)}

# %% [markdown]
r"""
With several humps a little less is lost than by the Gaussian rule; the order is the
same, and the size of the picture decides.

## Break it

- In `terminal/shrink`, let no variance be above $2$: replace 10, 100, 1000 and 4096
by 2. The control "first order in $a_T^2$" is no longer rejected. For moderate
variances the gloss is right; it is not uniform.
- Add `rescaled(sympy.Rational(7, 10000))` to the controls of
`terminal/zero-terminal`. It leaves about the signal of the clipped cosine chain, and
`check` says that it is not rejected: at that end even $c = 4096$ hardly matters.
- Start with louder noise: in [the histogram](#fig-terminal-light), let `white` have
the variance 1.44. In the patches of $16 \times 16$ the width of the light comes
back, in the pictures of $64 \times 64$ only a little of it; and by [the
rule](#eq-terminal-rule) every other variance would be 1.44 times too large.

## What this does not show

All fields here are exact. A trained network near $T$ may not know the brightness
as well as it could, and then it does not insist on it; what offset noise does to
*training* is outside this chapter. One More Step in the paper is a network with
a prompt, which also steers style and layout; we model its best answer for a
given prompt and no more. Guidance, which sharpens the prompt, changes the law that
a sampler aims at. In the photographs' world brightness and texture are
independent, which real patches are not.

## Exercises

**1.** A path preserves variance and ends at the signal `a`. From pure noise, at
which variance $c$ does the exact flow lose half of it?
"""

# %%
last_signal = torch.tensor([0.01, 0.07, 0.2, 0.5], dtype=torch.float64)


def half_by_bisection(a):
    """Where the output share is one half, on paths of constant beta."""
    found = []
    for rate in (-2 * a.log()).tolist():
        path, low, high = paths.vp(rate, rate), 0 * a[:1] + 1, 0 * a[:1] + 1e6
        for _ in range(60):
            mid = (low + high) / 2
            share = chains.flow_factor(path, mid, 1.0, 0.0) ** 2 / mid
            low, high = (mid, high) if share > 0.5 else (low, mid)
        found.append(high)
    return torch.cat(found)


# %% tags=["hide-input"]
half_exercise = Claim(
    id="terminal/half-exercise",
    says="the variance of which half is lost from pure noise",
    papers=("176",),
    kind="exact",
    formula=None,
    controls={
        "half of the state is data, $a^2 c = g^2$": lambda a: 1 / a**2 - 1,
        "$g^2$ taken as 1 in $V$": lambda a: 1 / a**2,
        "half of the standard deviation, not of the variance": lambda a: (
            1 + 3 / a**2
        ),
    },
    tol=1e-10,
    because="bisection to the last bits",
    measure=lambda f: (f(last_signal) / half_truth - 1).abs().max(),
)
half_truth = half_by_bisection(last_signal)


# %% tags=["solution", "hide-cell"]
def half_gone(a):
    """The variance c with 1 / V = 1 / 2."""
    return 1 + 1 / a**2


# %%
attempt(half_exercise, half_gone)

# %% [markdown]
r"""
**2.** The start draws the `r` directions with the largest variances, and leaves
out the data's share in all others, as [above](#eq-terminal-low-rank). How many nats
are left between data and output? `lam` holds the variances, the largest first; the
path preserves variance.
"""


# %%
lam_2 = torch.tensor([500, 60, 9, 2, 1, 0.3], dtype=torch.float64)


def nats_by_law(lam, a, r):
    """The divergence of the law at T from the start, by its covariances."""
    part = torch.where(torch.arange(len(lam)) < r, lam, 0 * lam)
    law, start = (
        laws.gaussian(0 * lam, torch.diag(a**2 * v + 1 - a**2))
        for v in (lam, part)
    )
    return metrics.gaussian_kl(law, start)


def off_nats(answer):
    """The largest relative error, over several ranks and signals."""
    cases = [(lam_2, q, k) for q in (0.05, 0.2) for k in (0, 1, 3)]
    pairs = [(answer(*case), nats_by_law(*case)) for case in cases]
    return max(abs(float(ours / true) - 1) for ours, true in pairs)


# %% tags=["hide-input"]
def term(e):
    """Nats of directions that are left out."""
    return 0.5 * (e - e.log1p()).sum()


nats_slips = {
    "no half": lambda v, a, r: 2 * term(a**2 * v[r:] / (1 - a**2)),
    "the directions drawn, not those left out": lambda v, a, r: term(
        a**2 * v[:r] / (1 - a**2)
    ),
    "the bound, not the value": lambda v, a, r: (
        (a**2 * v[r:] / (1 - a**2)) ** 2 / 4
    ).sum(),
    "noise of variance 1 in the directions left out": lambda v, a, r: term(
        a**2 * (v[r:] - 1)
    ),
}

# %% tags=["hide-input"]
nats_exercise = Claim(
    id="terminal/nats-exercise",
    says="the nats left when r directions are drawn",
    papers=("176",),
    kind="exact",
    formula=None,
    controls=nats_slips,
    tol=1e-9,
    because="differences of logarithms in float64",
    measure=off_nats,
)


# %% tags=["solution", "hide-cell"]
def nats_left(lam, a, r):
    """Data from output, when the first r directions are drawn."""
    e = a**2 * lam[r:] / (1 - a**2)
    return 0.5 * (e - torch.log1p(e)).sum()


# %%
attempt(nats_exercise, nats_left)

# %% [markdown]
r"""
**3.** *Prompts.* The brightness of pictures of one prompt is Gaussian with variance
`within`; the prompts' means have the variance `between`. The model is exact and
knows the prompt. One more step starts at $a\, m_p + g\, \varepsilon$ with the mean
$m_p$ of the prompt. Which share of the total variance, over all prompts, comes
out? (The path preserves variance.)
"""

# %%
prompts = {
    "between": torch.tensor([3000.0, 50.0, 1000.0, 4.0]).double(),
    "within": torch.tensor([1096.0, 500.0, 10.0, 9.0]).double(),
    "a": a.expand(4),
}


def share_by_flow(between, within, a):
    """Two prompts, two noises each, by the flow of their prompt."""
    out = []
    for b, w, q in zip(between, within, a, strict=True):
        ends = []
        for side in (-1, 1):
            law = laws.gaussian(side * b.sqrt().reshape(1), w)
            x = q * law.mean() + g * torch.tensor([[-1.0], [1.0]]).double()
            ends.append(chains.carry(law, sd, x, 1.0, 0.0))
        out.append(torch.cat(ends).var(correction=0) / (b + w))
    return torch.stack(out)


# %% tags=["hide-input"]
def kept_share(c, a):
    """The share of a variance c that is left after one more step."""
    return (1 - a**2) / (a**2 * c + 1 - a**2)


prompt_slips = {
    "the deficit of the total variance": lambda b, w, a: kept_share(b + w, a),
    "all variance within a prompt is lost": lambda b, w, a: b / (b + w),
    "the variance within a prompt comes out whole": lambda b, w, a: (
        (b * kept_share(b, a) + w) / (b + w)
    ),
    "the share within a prompt, not of the total": lambda b, w, a: kept_share(
        w, a
    ),
}

# %% tags=["hide-input"]
prompt_exercise = Claim(
    id="terminal/prompt-exercise",
    says="the share of the total variance after one more step with prompts",
    papers=("176",),
    kind="exact",
    formula=None,
    controls=prompt_slips,
    tol=1e-12,
    because="float64",
    at=tuple(prompts.values()),
    truth=share_by_flow,
)


# %% tags=["solution", "hide-cell"]
def prompted(between, within, a):
    """The share of between + within that comes out."""
    V = a**2 * within + 1 - a**2
    return (between + within * (1 - a**2) / V) / (between + within)


# %%
attempt(prompt_exercise, prompted)

# %% [markdown]
r"""
**4.** *A new control.* For which $\kappa$ is the start $\mathcal N(0, N)$ exact for
the brightness in `terminal/offset`? Put it in: which control is then no longer
rejected, and what does that say about choosing the noise like the data?

**5.** *Extend the world.* A film of 25 frames of $64 \times 64$ pixels has one
brightness throughout. Put its variance into [the shares](#eq-terminal-shrink) of the
flow and [of the diffusion](#eq-terminal-sde). At which $a_T$ would the flow keep
99 % of it, and how many directions would the low-rank start have to draw?

## Summary

| start at $T$ | mean | share of the variance, $V = a_T^2 c + g_T^2$ |
|---|---|---|
| pure noise, flow | $m\,(1 - a_T \sqrt{c/V})$ | $1/V$ |
| pure noise, diffusion | $m\, g_T^2/V$ | $g_T^2/V + a_T^2 c/V^2$ |
| one more step, the mean | $m$ | $g_T^2/V$ |
| one more step, drawn | $m$ | $1$ in the modes drawn |
| pure noise, zero end | $m$ | $1$, but $v$-prediction, and no leap |
| offset noise, white start | as above with $c/\nu$ | $1/V_\nu$ |
| offset noise, its own start | as above with $c/\nu$ | $\nu/V_\nu$ |
| the law at $T$ | $m$ | $1$ |

**Where next.** [The shortest path to noise](shortest.ipynb) asks which way there is
best; with [your own model](pipelines.ipynb) the start can be measured on a network.
"""
