# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# Reproduction card: 024

Does a diffusion model that was trained on separate modes put samples between them, why,
and does it know? This chapter collects what the part found, statement by statement.
Before that comes a trap: a program that counts hallucinations, and reports none, since
it has lost every sample.

- **You need** [the gap](gap.ipynb), and
[how to read a claim](../start/reading.ipynb).
- **You get** three ways to count zero by mistake, four facts about the paper's program,
and for each of the paper's statements ours, and one word.
- **Paper** 024, Aithal, Maini, Lipton and Kolter {cite}`aithal2024hallucinations`.
- **Claims** on the paper's chain and data, all named `card/...`.
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
The imports, once for the whole chapter, the paper's chain, and its three modes:
"""

# %% tags=["setup"]
import functools
import math

import matplotlib.pyplot as plt
import sympy
import torch

from diffkit import figures, laws, paths, shapes
from diffkit.claims import Claim, attempt, check

tensor = functools.partial(torch.tensor, dtype=torch.float64)

# %% tags=["setup"]
betas = paths.linear_betas(1000, 1e-3, 0.2)
alphas_bar = (1 - betas).cumprod(0)  # float64: the last is e^-108
modes, width = tensor([1.0, 2.0, 3.0]), 0.05
three = laws.mixture(modes.unsqueeze(1), width**2)

# %% [markdown]
r"""
## How do you lose every sample and not notice?

The paper's chain is $x_n = \sqrt{\bar\alpha_n}\, x_0 + \sqrt{1 - \bar\alpha_n}\, z$ with
$\bar\alpha_n = \prod_{m \le n} (1 - \beta_m)$. Here $\beta$ grows in 1,000 equal steps from
$0.001$ to $0.2$, ten times further than usual, so that $\bar\alpha$ becomes very small.
The smallest positive number in float32 is $2^{-149}$, and what is below half of it is
rounded to zero. Hence $\bar\alpha_n$ is zero in float32 as soon as

$$
\sum_{m \le n} \log(1 - \beta_m) < -150 \log 2 .
$$ (eq-card-lost)

From $2^{-126}$ down the numbers are still there, but with fewer and fewer digits
(*subnormal*).
"""


# %% tags=["hide-input"]
def steps_below(bits):
    """Steps whose alpha_bar is below 2^-bits, by its logarithm."""
    return (torch.log1p(-betas).cumsum(0) < -bits * math.log(2)).sum()


def counted():
    """Steps that are zero, and zero or subnormal, in float32."""
    cast = alphas_bar.float()
    return torch.stack([(cast == 0).sum(), (cast < 2.0**-126).sum()])


# %% tags=["hide-input"]
lost_slips = {
    "float32 ends at $2^{-126}$": lambda: steps_below(126).repeat(2).double(),
    "it ends at $10^{-38}$, like its largest number": lambda: torch.stack(
        [steps_below(126.3), steps_below(126.3)]
    ).double(),
    "nothing is lost": lambda: torch.stack(
        [0 * steps_below(1), 0 * steps_below(1)]
    ).double(),
}

# %% tags=["hide-input"]
lost_claim = Claim(
    id="card/lost",
    says=r"Of the 1,000 numbers $\bar\alpha_n$ of the chain, $\beta$ from "
    r"0.001 to 0.2, as many are zero in float32 as have "
    r"$\sum \log(1 - \beta_m) < -150 \log 2$, and as many are zero or "
    r"subnormal as lie below $2^{-126}$.",
    papers=("024",),
    kind="exact",
    formula=lambda: torch.stack(
        [steps_below(150), steps_below(126)]
    ).double(),
    controls=lost_slips,
    tol=1e-6,
    because="two counts: equal or not",
    truth=lambda: counted().double(),
)
check(lost_claim)

# %% mystnb={"figure": {"caption": "The logarithm of $\\bar\\alpha_n$ along the paper's chain, with what float32 can hold: all digits above the upper line, fewer below it, nothing below the lower one.", "name": "fig-card-underflow"}, "image": {"alt": "A curve that falls from zero to minus 108 over a thousand steps, faster and faster. It crosses a line at minus 87 after some nine hundred steps and one at minus 104 twenty steps before the end."}}
figure, axes = figures.canvas(
    "The last steps of the chain do not exist in float32"
)
logs = torch.log1p(-betas).cumsum(0)
steps = torch.arange(1, 1001)
axes.plot(steps, logs, color=figures.EXACT)
gone = logs < -150 * math.log(2)
axes.plot(steps[gone], logs[gone], color=figures.WRONG, lw=4)
for bits, name in ((126, "fewer digits below"), (150, "zero below")):
    axes.axhline(-bits * math.log(2), color=figures.AXES, lw=1)
    axes.annotate(
        name, (20, -bits * math.log(2) + 1.5), color=figures.AXES, fontsize=8
    )
axes.set(xlabel="step $n$", ylabel=r"$\log \bar\alpha_n$")
plt.show()

# %% [markdown]
r"""
A sampler divides by $\sqrt{\bar\alpha_n}$ to get its guess of the data,

$$
\hat x_0 = \frac{x - \sqrt{1 - \bar\alpha_n}\; \epsilon(x, n)}
{\sqrt{\bar\alpha_n}} , \qquad
x \leftarrow \sqrt{\bar\alpha_{n-1}}\, \hat x_0 + \sqrt{1 - \bar\alpha_{n-1}}\;
\epsilon(x, n) ,
$$ (eq-card-guess)

the second being a DDIM step. With a zero below, $\hat x_0 = \pm\infty$, or $0/0$. With
$\bar\alpha_{n-1} = 0$ as well, $0 \cdot \infty$ is *not a number*, NaN, and stays it. So
the first step loses all samples, whatever the model says. And then the program counts:
"""


# %% tags=["setup"]
def counted_each(x):
    """One for a sample in one of the two gaps, as most would count it."""
    return ((x > 1.3) & (x < 1.7) | (x > 2.3) & (x < 2.7)).double()


def ddim(noise, dtype, n=2000):
    """The chain of the paper as one writes it down, all in one dtype."""
    bar = torch.cat([tensor([1.0]), alphas_bar]).to(dtype)
    x = torch.randn(n, generator=shapes.rng(0), dtype=torch.float64).to(dtype)
    for now, before in zip(bar.flip(0)[:-1], bar.flip(0)[1:], strict=True):
        e = noise(x, now)
        guess = (x - (1 - now).sqrt() * e) / now.sqrt()
        x = before.sqrt() * guess + (1 - before).sqrt() * e
    return x


# %% [markdown]
r"""
A comparison with NaN is false. So no sample is in a gap, and the share is zero. We let
three models run. The first has the exact noise prediction of the three modes. The second
knows only the mean and variance of the data, and fills the gaps. The third says $1.5$
for every guess: all that it makes is a hallucination.
"""


# %% tags=["setup"]
def exact(x, bar):
    """The noise prediction of the three modes."""
    at = bar.sqrt() * modes.to(x)
    v = 1 - bar + bar * width**2
    off = x.unsqueeze(1) - at
    r = (-(off**2) / (2 * v)).softmax(1)
    return (1 - bar).sqrt() * (r * off).sum(1) / v


def blunt(x, bar):
    """That of the Gaussian with their mean and variance."""
    v = 1 - bar + bar * (2 / 3 + width**2)
    return (1 - bar).sqrt() * (x - 2 * bar.sqrt()) / v


def stuck(x, bar):
    """That of a model whose guess is always 1.5."""
    return (x - 1.5 * bar.sqrt()) / (1 - bar).sqrt()


# %%
MODELS = (exact, blunt, stuck)


@functools.cache
def told(dtype):
    """For each model: the share counted, and the share of finite samples."""
    out = []
    for model in MODELS:
        x = ddim(model, dtype)
        out += [counted_each(x).mean(), x.isfinite().double().mean()]
    return torch.stack(out).view(3, 2)


# %% tags=["hide-input"]
zero_slips = {
    "the shares in float64": lambda: told(torch.float64),
    "only the exact model counts zero": lambda: tensor(
        [[0.0, 0.0], [0.3, 0.0], [1.0, 0.0]]
    ),
    "zero, and the samples are there": lambda: tensor([[0.0, 1.0]] * 3),
}

# %% tags=["hide-input"]
zero_claim = Claim(
    id="card/false-zero",
    says=r"With $\bar\alpha$ in float32 the DDIM run loses every sample, and "
    "counting the samples between 1.3 and 1.7 or 2.3 and 2.7 gives zero, for "
    "the exact model, for one that knows only mean and variance, and for one "
    "whose every sample is 1.5 (2,000 starts).",
    papers=("024",),
    kind="exact",
    formula=lambda: torch.zeros(3, 2, dtype=torch.float64),
    controls=zero_slips,
    tol=1e-6,
    because="shares of 2,000: equal or not",
    measure=lambda f: float((f() - told(torch.float32)).abs().max()),
    scale="zero has no relative error",
)
check(zero_claim)

# %% [markdown]
r"""
In float64 nothing is lost, and the same lines of code say what they should. The second
model makes $\mathcal N(2, \tfrac23 + 0.05^2)$, whose mass in the two gaps is known:
"""


# %% tags=["hide-input"]
def mass_of(sd, both=True):
    """The mass of N(2, sd^2) in the gaps."""
    law = laws.gaussian(tensor([2.0]), tensor([[sd**2]]))
    return (2 if both else 1) * laws.mass(law, 1.3, 1.7)


spread = math.sqrt(2 / 3 + width**2)
shares_slips = {
    "zero, as float32 has it": tensor(0.0),
    "one gap of the two": mass_of(spread, both=False),
    "the variance of a mode": mass_of(width),
}

# %% tags=["hide-input"]
shares_claim = Claim(
    id="card/true-share",
    says="In float64 the run of the model that knows only mean and variance "
    r"has the mass of $\mathcal N(2, \frac23 + 0.05^2)$ in the two gaps.",
    papers=("024",),
    kind="statistical",
    formula=mass_of(spread),
    controls=shares_slips,
    measure=lambda share, rng: shapes.Estimate.of(
        counted_each(ddim(blunt, torch.float64))
    ).z(share),
    scale=lambda share, e: share * (1 + 400 * e),
    because="so the planted error is one of 40 %",
    seeds=(0,),
    n=2000,
)
check(shares_claim)

# %% [markdown]
r"""
What saves one? Three habits, each of one line.

1. **Schedules in float64**, to float32 only at the end. The numbers that a step needs are
all of moderate size: $1/\sqrt{\bar\alpha}$ reaches $e^{54}$, and float32 goes up to
$e^{88}$. The paper's own code does this, reciprocals first, and is not caught.
2. **Count both sides.** Samples between the modes, samples at the modes and samples
elsewhere must add up to all. A single count cannot tell "none" from "none left".
3. **Ask for finite numbers** before any verdict. `diffkit` refuses a field or a state with
NaN in it, and its chains start where $\sqrt{(1 - \bar\alpha)/\bar\alpha} < 10^6$.

The first habit as a claim: the weight of $\epsilon$ in a step of DDPM is a product of
a very small and a very large number.
"""

# %%
before = torch.cat([tensor([1.0]), alphas_bar[:-1]])
small = betas * before.sqrt() / (1 - alphas_bar)  # of the guess, in the mean
large = (1 / alphas_bar - 1).sqrt()  # of the noise, in the guess


def cast_late():
    """Reciprocal and root in float64, then the products in float32."""
    return (small.float() * large.float()).double()


def cast_early():
    """The product of the alphas to float32 first; a lost weight is zero."""
    bar, b = alphas_bar.float(), betas.float()
    first = b * before.float().sqrt() / (1 - bar)
    return (first * (1 / bar - 1).sqrt()).double().nan_to_num(0.0, 0.0)


# %% tags=["hide-input"]
order_slips = {
    r"$\bar\alpha$ rounded first": cast_early,
    r"the same, with $10^{-12}$ under the fraction": lambda: (
        small * (1 / (alphas_bar.float() + 1e-12) - 1).double().sqrt()
    ),
    r"$\bar\alpha_n$ for $\bar\alpha_{n-1}$": lambda: (
        cast_late() * (1 - betas).sqrt()
    ),
}

# %% tags=["hide-input"]
order_claim = Claim(
    id="card/cast-late",
    says=r"The weight $\frac{\beta_n \sqrt{\bar\alpha_{n-1}}}"
    r"{1 - \bar\alpha_n} \sqrt{1/\bar\alpha_n - 1}$ of the noise in "
    "the mean of a DDPM step is right in float32 at all 1,000 steps if each "
    "factor is rounded last.",
    papers=("024",),
    kind="exact",
    formula=cast_late,
    controls=order_slips,
    tol=5e-7,
    because="three roundings of float32, 6e-8 each, of numbers up to one",
    truth=lambda: betas / ((1 - betas) * (1 - alphas_bar)).sqrt(),
)
check(order_claim)

# %% [markdown]
r"""
(The truth is the same weight after cancelling: $\sqrt{\bar\alpha_{n-1}/\bar\alpha_n} = 1/\sqrt{1 -
\beta_n}$.) The second control is a common cure. It ends the NaN, and gives the wrong
weight to hundreds of steps.

## How small is nothing?

Two more ways to count zero. The true law has mass between its modes, about $10^{-9}$;
that is what an exact sampler must show. A difference of two cumulative probabilities,
both close to $\frac13$, cannot: float32 rounds it to zero, float64 keeps seven
digits. `laws.mass` works with the tails and keeps all. The truth has fifty digits.
"""


# %%
@functools.cache
def fifty():
    """The mass of the three modes between 1.3 and 1.7, with 50 digits."""
    at = [sympy.Rational(k) for k in (1, 2, 3)]
    a, b = sympy.Rational(13, 10), sympy.Rational(17, 10)
    root = sympy.sqrt(2) / 20
    parts = [
        sympy.erfc((a - m) / root) - sympy.erfc((b - m) / root) for m in at
    ]
    return tensor(float((sum(parts) / 6).evalf(30, maxn=400)))


def by_difference(dtype):
    """F(1.7) - F(1.3), in one dtype."""
    z = (tensor([[1.3], [1.7]]) - modes) / (width * math.sqrt(2))
    F = ((1 + torch.erf(z.to(dtype))) / 2).mean(1)
    return (F[1] - F[0]).double()


# %% tags=["hide-input"]
mass_slips = {
    "difference of the cumulative probabilities, float64": lambda: (
        by_difference(torch.float64)
    ),
    "the same in float32": lambda: by_difference(torch.float32),
    "the tails of all three modes": lambda: laws.mass(three, 1.3, 1.7) * 1.5,
}

# %% tags=["hide-input"]
mass_claim = Claim(
    id="card/gap-mass",
    says="The mass of the three modes between 1.3 and 1.7 is that of two "
    "tails of six standard deviations, each of a third of the law, to 12 "
    "digits.",
    papers=("024",),
    kind="exact",
    formula=lambda: laws.mass(three, 1.3, 1.7),
    controls=mass_slips,
    tol=1e-12,
    because="float64; the mass is relative to two tails",
    measure=lambda f: float((f() / fifty() - 1).abs()),
)
check(mass_claim)

# %% [markdown]
r"""
The third way is in the definition. The paper calls a sample an $\epsilon$-hallucination
if its true density is at most $\epsilon$. A density has a unit, one over a length, and a
small enough $\epsilon$ makes any sampler perfect. It should be stated together with
the share that the *true* law has. For modes of weight $\frac1K$, width $s$ and at
distances much larger than $s$, the density at $c$ widths from a mode is
$\frac{1}{K s \sqrt{2\pi}}\, e^{-c^2/2}$, so

$$
P\big( p(X) \le \epsilon \big) = 2\, \Phi(-c) , \qquad
c = \sqrt{ -2 \log\big( K s \sqrt{2\pi}\, \epsilon \big) } ,
$$ (eq-card-own)

up to the overlap of the modes. If $\epsilon \ge 1/(K s \sqrt{2\pi})$ it is everything.
"""


# %%
levels = tensor([1e-3, 1e-2, 1e-1, 1.0])


peak = 1 / (3 * width * math.sqrt(2 * math.pi))


def own_share(c2):
    """2 Phi(-c) at each level, for c squared."""
    return torch.special.erfc((c2 / 2).sqrt())


@functools.cache
def own_measured():
    """The mass of all points where the density is at most the level."""
    x = torch.linspace(0, 4, 1_000_001, dtype=torch.float64)
    p = three.log_prob(x.unsqueeze(1)).exp()
    return torch.stack([(p * (p <= e)).sum() * (x[1] - x[0]) for e in levels])


# %% tags=["hide-input"]
own_slips = {
    "$c^2 = -\\log(\\dots)$": lambda: own_share(-(levels / peak).log()),
    "one mode with the whole weight": lambda: own_share(
        -2 * (levels / peak / 3).log()
    ),
    "no peak: $c^2 = -2 \\log \\epsilon$": lambda: own_share(
        -2 * levels.log()
    ),
    "one side": lambda: own_share(-2 * (levels / peak).log()) / 2,
}

# %% tags=["hide-input"]
own_claim = Claim(
    id="card/own-share",
    says=r"Of the true law of the three modes a share $2\Phi(-c)$, $c^2 = -2 "
    r"\log(3 \cdot 0.05 \sqrt{2\pi}\, \epsilon)$, has a density of at most "
    r"$\epsilon$ ($\epsilon$ from 0.001 to 1).",
    papers=("024",),
    kind="exact",
    formula=lambda: own_share(-2 * (levels / peak).log()),
    controls=own_slips,
    tol=9e-5,
    because="the level is crossed between two of 1,000,001 points",
    truth=own_measured,
)
check(own_claim)

# %% [markdown]
r"""
Therefore this part counts *masses of gaps*, and sets the exact one beside each.

## What does their program do?

The repository has the programs for the Gaussian experiments (commit `7cd5f35`). We read
four facts there that a reader of the figures should know.

**The modes are dealt, not drawn.** A training set of $N$ points has $N/25$ of each mode,
in order. The weights of the modes are exact; in our training sets they fluctuate, as
they would in data.

**The turned lattice is narrower.** The straight one has the points $2 (i, j)$, with
$i, j$ from $-2$ to $2$; the turned one has $(i + j, i - j)$. Both have width $0.05$, and
both are divided by $\sqrt{8 + 0.05^2}$, the standard deviation of the straight one. A turn
by an eighth with a factor $r$ multiplies all distances by $r$; here $r = 1/\sqrt 2$. So
in the paper's comparison of straight and turned two things change, the
direction *and* the nearest distance; so does the variance of what the net is shown.
[Our chapter](lattice.ipynb) turns alone.
"""

# %%
i, j = torch.meshgrid(*[torch.arange(-2.0, 3.0)] * 2, indexing="ij")
straight = torch.stack([2 * i, 2 * j], -1).view(25, 2).double()
turned = torch.stack([i + j, i - j], -1).view(25, 2).double()


def shown(points):
    """Nearest distance and standard deviation of a coordinate, scaled."""
    unit = math.sqrt(8 + width**2)
    near = torch.cdist(points, points).fill_diagonal_(math.inf).min()
    sd = (points[:, 0].square().mean() + width**2).sqrt()
    return torch.stack([near / unit, sd / unit])


# %% tags=["hide-input"]
def both_shown(r, own_unit=False):
    """Distances and deviations, straight and turned; r is the factor."""
    unit = 8 + width**2
    turned_unit = 8 * r * r + width**2
    second = turned_unit if own_unit else unit
    return tensor(
        [
            2 / unit**0.5,
            1.0,
            2 * r / second**0.5,
            (turned_unit / second) ** 0.5,
        ]
    )


turned_slips = {
    "the same distances, only turned": lambda: both_shown(1.0),
    "each divided by its own deviation": lambda: both_shown(0.5**0.5, True),
    "half the distances": lambda: both_shown(0.5),
}

# %% tags=["hide-input"]
turned_claim = Claim(
    id="card/turned",
    says="As the program scales them, the straight lattice has nearest "
    r"distance $2/\sqrt{8 + 0.05^2}$ and standard deviation 1; "
    r"the turned one has $\sqrt 2/\sqrt{8 + 0.05^2}$ and "
    r"$\sqrt{4 + 0.05^2}/\sqrt{8 + 0.05^2}$.",
    papers=("024",),
    kind="exact",
    formula=lambda: both_shown(0.5**0.5),
    controls=turned_slips,
    tol=1e-12,
    because="float64",
    truth=lambda: torch.cat([shown(straight), shown(turned)]),
)
check(turned_claim)

# %% [markdown]
r"""
**The filter keeps a fixed number.** It samples $N + 2500$ points, sorts them by the
variance of their last ten guesses, and keeps the $N$ lowest, $N = 100{,}000$. Let $h$ be
the share of hallucinations, $c$ the share of them that is caught, and $k$ the share of
the others that is kept. What is thrown away is thrown away:

$$
c\, h + (1 - k)(1 - h) = \rho = \frac{2500}{N + 2500} .
$$ (eq-card-filter)

This holds for *every* score, in every sample. So $c$ and $k$ are not two findings: given
$h$, one follows from the other. And $1 - k \le \rho/(1 - h)$, whatever the score: for
small $h$ this filter keeps 97.5 % of the good samples even if it knows nothing. The
paper's "95 % caught, 96 % kept" needs $0.95\, h + 0.04\, (1 - h) = \rho$, which has no
solution with $h \ge 0$, as $\rho < 0.04$. It was measured with another threshold than the
one that is used for recursive training.
"""


# %% tags=["setup"]
def filtered(h, N=40_000, extra=1000, seed=0):
    """c and k of the filter, for a score that is larger in the gap."""
    rng = shapes.rng(seed)
    bad = torch.arange(N + extra) < round(h * (N + extra))
    score = (
        torch.randn(N + extra, generator=rng, dtype=torch.float64) + 2 * bad
    )
    out = torch.ones(N + extra, dtype=torch.bool)
    out[score.argsort()[:N]] = False
    h = bad.double().mean()
    return h, out[bad].double().mean(), (~out)[~bad].double().mean()


runs = [filtered(h, seed=n) for n, h in enumerate((0.002, 0.01, 0.05))]
hs, cs, ks = torch.tensor(runs, dtype=torch.float64).T
rho = 1000 / 41_000

# %% tags=["hide-input"]
filter_slips = {
    "all that is thrown away is good": lambda h, c: 1 - rho / (1 - h),
    "shares of all samples": lambda h, c: 1 - (rho - c * h),
    "$\\rho = M/N$": lambda h, c: 1 - (rho / (1 - rho) - c * h) / (1 - h),
}

# %% tags=["hide-input"]
filter_claim = Claim(
    id="card/filter",
    says=r"A filter that keeps $N$ of $N + M$ samples, by any score, keeps "
    r"$k = 1 - (\rho - c h)/(1 - h)$ of the good ones if it catches $c$ of "
    r"the share $h$ of hallucinations, $\rho = M/(N + M)$ (three shares, "
    r"$\rho = 1/41$).",
    papers=("024",),
    kind="exact",
    formula=lambda h, c: 1 - (rho - c * h) / (1 - h),
    controls=filter_slips,
    tol=1e-7,
    because="an identity between counts; shares of 41,000 in float64",
    at=(hs, cs),
    truth=lambda h, c: ks,
)
check(filter_claim)

# %% [markdown]
r"""
**Where is their chain honest?** The betas are float64, as the program demands by an
`assert`, and [the trap](#eq-card-lost) does not close.
"""

# %% [markdown]
r"""
## The card

Their statements are those of the abstract and of the captions, as quoted in reviews of
the paper, and of the program. *Agreed* means that our nets, in our worlds, do the same.

| their statement | here | verdict | claims |
|---|---|---|---|
| sampling with the true score shows nothing between the modes | exactly the mass that the truth has, for the flow; next to nothing in a thousand steps; but few steps hallucinate | agreed, for many steps | `gap/flow`, `gap/chain`, `gap/ancestral` |
| the learned score is a smoothed step, and that is why | nets reach a sixth of the slope that is needed; their slopes predict the share | agreed, and made a formula | `nets/slopes`, `nets/law`, `slope/share` |
| samples appear between *nearest* modes only (line) | so on average, for nets that are nearly right; not for one net of five, nor for early nets | agreed, with a rider | `nets/outer`, `nets/gap` |
| the same on a lattice | middles are as rare as two accidents at once, $h_x h_y$ | agreed, for another reason | `lattice/nearest`, `lattice/product` |
| the same on a turned one | no preference for axes, within a factor of three; theirs was also narrower | agreed, with a rider | `lattice/turned`, `card/turned` |
| less with more training data | from 1,000 to 50,000 points no effect beyond that of the seed; the best denoiser of $N$ points is as steep as the truth's | not seen | `nets/points`, `slope/sample` |
| less for modes that are far apart | several times less in the wide gap | agreed | `nets/gap` |
| a model knows: variance of the last guesses, 95 % caught, 96 % kept | so for nets that are nearly right, sampled with noise | agreed, with two riders | `detector/caught`, `detector/ddim`, `detector/early` |
| filtering slows the decay under recursive training | the share stays within twice its first value; unfiltered it grows severalfold | agreed | `generations/grows`, `generations/filtered` |
| combinations of shapes that never occurred | the exact law of a denoiser that sees parts; counted in $8 \times 8$ pixels | agreed, and counted | `columns/ladder`, `columns/rule` |
| hands, MNIST | | not testable here | |

What the part adds to it: training time matters more than anything else that we varied
(`nets/time`), the target does because of the weights that come with it (`nets/target`,
`nets/chimera`), every fourth step only costs a factor of six (`nets/stride`), and the slope of
the finished net is a better witness than the variance of its guesses (`detector/slope`).

## Break it

- In `ddim`, start at the first step whose $\bar\alpha$ is above $2^{-126}$. In float32 all
samples come back, and the three shares with them.
- In `counted_each`, count the samples *outside* of the three modes instead, by
`~(...)`. In float32 every model then hallucinates always. Both numbers are wrong; only
together do they say so.
- Let $\beta$ end at $0.02$, as most chains do. Nothing underflows, and a program with the
trap in it passes all its tests.

## What this does not show

The card speaks of the mechanism, in worlds where the true law is known. It does not
repeat the paper's image experiments: for hands and for MNIST no one can say
of each sample whether it has probability zero. Our nets are smaller than theirs and are trained for minutes. What was read is
the abstract, captions, and the program for the Gaussian experiments; figures and stored
results were not, and so no number of theirs is compared but the two of the abstract.

## Exercises

**1.** A chain has $\beta$ in $T$ equal steps from $0.001$ to `end`. How many of its
$\bar\alpha_n$ are zero in float32? Write it for a tensor of values `end`, with $T = 1000$.
"""

# %%
ends = tensor([0.1, 0.19, 0.195, 0.2, 0.25, 0.3, 0.4])


def zeros_in_float32(end):
    """By rounding the product, for each end."""
    out = [
        (1 - paths.linear_betas(1000, 1e-3, e)).cumprod(0)
        for e in end.tolist()
    ]
    return torch.stack([(bar.float() == 0).sum() for bar in out]).double()


def zeros_if(small, end, log=torch.log1p):
    """Steps whose sum of log(-beta) is below a bound."""
    steps = torch.linspace(0, 1, 1000, dtype=torch.float64)
    beta = 1e-3 + (end.unsqueeze(1) - 1e-3) * steps
    return (log(-beta).cumsum(1) < small).sum(1).double()


# %% tags=["hide-input"]
zeros_slips = {
    "the smallest normal number: below it there are still numbers": (
        lambda end: zeros_if(-126 * math.log(2), end)
    ),
    "the smallest number: half of it still rounds up": (
        lambda end: zeros_if(-149 * math.log(2), end)
    ),
    "the sum of beta for that of -log(1 - beta)": (
        lambda end: zeros_if(-150 * math.log(2), end, lambda u: u)
    ),
    "the root of alpha-bar, not alpha-bar": (
        lambda end: zeros_if(-300 * math.log(2), end)
    ),
}

# %% tags=["hide-input"]
zeros_exercise = Claim(
    id="card/zeros-exercise",
    says="how many steps of a chain are zero in float32",
    papers=("024",),
    kind="exact",
    formula=None,
    controls=zeros_slips,
    tol=1e-6,
    because="counts: equal or not",
    at=(ends,),
    truth=zeros_in_float32,
)


# %% tags=["solution", "hide-cell"]
def lost_steps(end):
    """How many of 1,000 alpha-bars are zero in float32, for each end."""
    steps = torch.linspace(0, 1, 1000, dtype=torch.float64)
    beta = 1e-3 + (end.unsqueeze(1) - 1e-3) * steps
    logs = torch.log1p(-beta).cumsum(1)
    return (logs < -150 * math.log(2)).sum(1).double()


# %%
attempt(zeros_exercise, lost_steps)

# %% [markdown]
r"""
**2.** A share $h$ of a sample are hallucinations. A filter throws away the share $\rho$
of all, and with it the share $c$ of the hallucinations. Derive the share $h'$ of
hallucinations in what is left, as a function `(h, c, rho)`. (The counts of
[the filter](#eq-card-filter) check it.)
"""


# %%
def left_over(h, c, rho):
    """Hallucinations among the kept, by counting."""
    N, extra = 40_000, 1000
    out = []
    for each, caught in zip(h, c, strict=True):
        bad = round(float(each) * (N + extra))
        out.append((bad - round(float(caught) * bad)) / N)
    return tensor(out)


# %% tags=["hide-input"]
after_slips = {
    "shares of what there was, not of what is left": lambda h, c, rho: (
        h * (1 - c)
    ),
    "only hallucinations are thrown away": lambda h, c, rho: (
        h * (1 - c) / (1 - c * h)
    ),
    "good samples are thrown away on top": lambda h, c, rho: (
        h * (1 - c) / (1 - c * h - rho)
    ),
}

# %% tags=["hide-input"]
after_exercise = Claim(
    id="card/after-exercise",
    says="the share of hallucinations after a filter of fixed size",
    papers=("024",),
    kind="exact",
    formula=None,
    controls=after_slips,
    tol=1e-7,
    because="an identity between counts",
    at=(hs, cs, rho),
    truth=left_over,
)


# %% tags=["solution", "hide-cell"]
def share_after(h, c, rho):
    """The share of hallucinations among what is kept."""
    return h * (1 - c) / (1 - rho)


# %%
attempt(after_exercise, share_after)

# %% [markdown]
r"""
**3.** *Extend the program.* Write a counter that cannot be fooled: a function of samples
`x` (n), some of which may be NaN or infinite, that returns three shares as a tensor: within
five widths ($0.05$) of one of the modes 1, 2, 3; between two modes but not at one; and all
the rest, lost ones included. They must add up to one for every `x`.
"""

# %%
nan, inf = math.nan, math.inf
crowd = tensor(
    [1.0, 1.2, 1.5, 2.5, 3.1, 3.6, -4.0, nan, inf, -inf, 2.0, 2.76]
)
SORTED = tensor([5, 2, 5]) / 12  # counted by hand


def counter(x, finite_only=False, rest="other", within=0.25):
    """The counter and its mistakes."""
    near = (x.unsqueeze(1) - modes).abs().amin(1) <= within
    amid = (x > 1) & (x < 3) & ~near
    other = ~near & ~amid if rest == "other" else (x < 1) | (x > 3)
    other = other & ~near
    total = x.isfinite().sum() if finite_only else len(x)
    return torch.stack([near.sum(), amid.sum(), other.sum()]) / total


# %% tags=["hide-input"]
counter_slips = {
    "shares of the finite samples only: who is lost is not counted": (
        lambda x: counter(x, finite_only=True).double()
    ),
    "NaN is neither below 1 nor above 3: it fell out of all three": (
        lambda x: counter(x, rest="comparison").double()
    ),
    "five widths are 0.25, not five": lambda x: counter(x, within=5).double(),
}

# %% tags=["hide-input"]
counter_exercise = Claim(
    id="card/counter-exercise",
    says="shares of samples at modes, between them, and elsewhere or lost",
    papers=("024",),
    kind="exact",
    formula=None,
    controls=counter_slips,
    tol=1e-6,
    because="counts of twelve samples",
    at=(crowd,),
    truth=lambda x: SORTED,
)


# %% tags=["solution", "hide-cell"]
def honest_count(x):
    """Shares at the modes, between them, and of all others."""
    near = (x.unsqueeze(1) - modes).abs().amin(1) <= 0.25
    amid = (x > 1) & (x < 3) & ~near
    rest = ~near & ~amid  # also what no comparison is true for
    return torch.stack([u.double().mean() for u in (near, amid, rest)])


# %%
attempt(counter_exercise, honest_count)

# %% [markdown]
r"""
## Summary

| what | formula | in `diffkit` |
|---|---|---|
| zero in float32 | $\sum \log(1 - \beta_m) < -150 \log 2$ | chains start below nsr $10^6$ |
| mass of a gap | two tails, not a difference | `laws.mass` |
| the truth's own $\epsilon$-hallucinations | $2\Phi(-c)$, $c^2 = -2\log(K s \sqrt{2\pi}\,\epsilon)$ | |
| a filter of fixed size | $c h + (1 - k)(1 - h) = \rho$ | |

**Where next.** [The gap](gap.ipynb), from the beginning; or
[training on one's own samples](generations.ipynb), where a filter has to live.
"""
