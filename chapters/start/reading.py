# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# How to read a claim

Every formula in this book is run, next to formulas that are wrong on purpose.
This chapter takes one small claim apart, and then shows what it looks like when
a claim fails.

- **You need** the normal density and Bayes' rule.
- **You get** the one habit on which every other page relies.
- **Paper** 024, whose two-mode world is the smallest one with something to say.
- **Claims** `reading/two-points`, `reading/tweedie`, `reading/orthogonal`.
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

from diffkit import figures, laws, paths, worlds
from diffkit.claims import Claim, attempt, check, judge, scaled

# %% [markdown]
r"""
## What is the best guess of a coin seen through noise?

Somebody tosses a fair coin with the values $x_0 = -1$ and $x_0 = +1$, and tells
us $x = x_0 + \sigma z$ with $z \sim \mathcal N(0, 1)$ and a known noise level
$\sigma > 0$. What is the guess $D(x)$ with the least mean square error?

The guess with the least mean square error is the posterior mean
$D(x) = \mathbb E[x_0 \mid x]$, for any law: write
$\mathbb E[(x_0 - d)^2 \mid x] = \operatorname{Var}[x_0 \mid x] + (D(x) - d)^2$,
which is least at $d = D(x)$. In this book it is called the **denoiser**.

Here Bayes' rule gives it in one line. The two values have the posterior weights
$w_\pm \propto e^{-(x \mp 1)^2 / 2\sigma^2}$, and the factor
$e^{-(x^2 + 1)/2\sigma^2}$ is common to both, so

$$
D(x) = \frac{w_+ - w_-}{w_+ + w_-}
     = \frac{e^{x/\sigma^2} - e^{-x/\sigma^2}}{e^{x/\sigma^2} + e^{-x/\sigma^2}}
     = \tanh\frac{x}{\sigma^2}.
$$ (eq-coin)

No assumption was used but $\sigma > 0$. As $\sigma \to 0$ the guess becomes the
sign of $x$, and at $x = 0$ it stays undecided: $D(0) = 0$.
"""


# %% tags=["setup"]
def coin(x, sigma):
    """E[x0 | x] for a fair coin with the values -1 and +1."""
    return torch.tanh(x / sigma**2)


# %% [markdown]
r"""
A formula on paper can be wrong in ways that look right. Here are three that
people do write: the noise level in place of its square, a factor two from
$(x \mp 1)^2$ that was not cancelled, and the guess that would be right if $x_0$
were Gaussian with the same mean and variance.
"""

# %% tags=["setup"]
slips = {
    "$\\sigma$ for $\\sigma^2$": lambda x, sigma: torch.tanh(x / sigma),
    "a factor 2 left over": lambda x, sigma: torch.tanh(2 * x / sigma**2),
    "the Gaussian guess $x/(1+\\sigma^2)$": lambda x, sigma: (
        x / (1 + sigma**2)
    ),
}

# %% [markdown]
r"""
Look for the places where the right curve and the wrong ones meet: a test that
happens to look only there would pass them all.
"""

# %% mystnb={"figure": {"caption": "The denoiser of the coin at noise level $\\sigma = 0.7$ (grey) and three wrong formulas (red). All four agree at $x = 0$, and two wrong ones agree with the right one far out.", "name": "fig-coin"}, "image": {"alt": "Four increasing curves through the origin; the exact tanh curve is grey, three wrong ones are dashed red, and the Gaussian guess is a straight line."}}
figure, axes = figures.canvas(
    "Wrong formulas agree with the right one somewhere"
)
x = torch.linspace(-2.2, 2.2, 200, dtype=torch.float64)
sigma = torch.tensor(0.7, dtype=torch.float64)
spots = [(-0.75, -0.25, "right"), (-0.25, -0.85, "left"), (1.6, 1.4, "right")]
for (name, wrong), (u, v, side) in zip(slips.items(), spots, strict=True):
    axes.plot(x, wrong(x, sigma), "--", color=figures.WRONG, lw=1.2)
    axes.text(u, v, name, color=figures.WRONG, ha=side, va="center")
axes.plot(x, coin(x, sigma), color=figures.EXACT, lw=3)
axes.set(xlabel="what we see, $x$", ylabel="guess", yticks=[-1, 0, 1])
plt.show()

# %% [markdown]
r"""
The curves meet at $x = 0$ and, all but the straight one, far out. In between
they differ, and that is where a measurement has to look.

## What is a claim made of?

A claim is a measurement that takes the formula as its argument. It needs an
**independent route** to the same number, one that shares no code with the
formula. For the coin this is the plain sum over both values, as `diffkit`
computes it for any law made of points: the two values, the path
$x_t = x_0 + t z$, and the time $t = \sigma$.
"""

# %% tags=["setup"]
both = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
coin_world = worlds.World(paths.edm(), laws.dataset(both))


def by_sum(x, sigma):
    """The same posterior mean by summing over the two values."""
    return coin_world.denoise(x.unsqueeze(-1), sigma).squeeze(-1)


inputs = {
    "x": torch.linspace(-3, 3, 25, dtype=torch.float64),
    "sigma": torch.linspace(0.3, 2.0, 25, dtype=torch.float64),
}

# %% [markdown]
r"""
`check` then measures the formula, and everything that is wrong, with the same
ruler.
"""

# %%
two_points = Claim(
    id="reading/two-points",
    says=r"For $x_0 = \pm 1$ with equal weights and $x = x_0 + \sigma z$, "
    r"$z \sim \mathcal N(0, 1)$, the denoiser is $\mathbb E[x_0 \mid "
    r"x] = \tanh(x / \sigma^2)$.",
    papers=("024",),
    kind="exact",
    formula=coin,
    controls=slips,
    tol=1e-13,
    because="two sums of two terms in float64, exponents below 60",
    at=inputs,
    truth=by_sum,
)
check(two_points)

# %% [markdown]
r"""
Read the box from the top:

- the **name** of the claim, its kind, and the papers it speaks about, each with
  a row in the table [by paper](../../book/papers.md);
- the **statement**, with every symbol in it;
- **HOLDS**, the tolerance, and the *reason* of the tolerance. The error of an
  exact claim is the largest difference over the largest value. A tolerance
  without a reason is a tolerance chosen to pass;
- **Rejected**: the wrong formulas, or *controls*. Each one was beyond the
  tolerance by a factor of at least 100. A claim without a control does not run;
- the last line: the right formula times $1 \pm 0.001$ was rejected as well, so
  the ruler can see an error of one part in a thousand.

The box never shows measured digits, because they change in the last place from
one machine to the next. They are kept beside the chapter and shown in the table
[by claim](../../book/claims.md).

## What does failing look like?

Let us hand the same ruler a wrong formula and call it right. `judge` does the
measurement and does not stop the page; `check` would.
"""

# %%
wrong = Claim(
    id="reading/wrong-on-purpose",
    says=r"*(wrong on purpose)* The denoiser of the coin is $\tanh(x / "
    r"\sigma)$.",
    papers=("024",),
    kind="exact",
    formula=slips["$\\sigma$ for $\\sigma^2$"],
    controls={"a factor 2 left over": slips["a factor 2 left over"]},
    tol=1e-13,
    because="as above",
    at=inputs,
    truth=by_sum,
)
judge(wrong)

# %% [markdown]
r"""
There is a second way to fail, and it is the more instructive one. This time the
formula is right, but the "wrong" formula is the right one in other letters:
$(1 - e^{-2x/\sigma^2}) / (1 + e^{-2x/\sigma^2})$. A test that cannot tell its
control from its formula has tested nothing, so the claim fails although nothing
in its statement is false.
"""


# %%
def in_disguise(x, sigma):
    """(1 - exp(-2x/sigma^2)) / (1 + exp(-2x/sigma^2))"""
    fading = torch.exp(-2 * x / sigma**2)
    return (1 - fading) / (1 + fading)


toothless = Claim(
    id="reading/toothless-on-purpose",
    says=r"*(toothless on purpose)* The denoiser of the coin is "
    r"$\tanh(x/\sigma^2)$.",
    papers=("024",),
    kind="exact",
    formula=coin,
    controls={"with exponentials for the hyperbolic tangent": in_disguise},
    tol=1e-13,
    because="as above",
    at=inputs,
    truth=by_sum,
)
judge(toothless)

# %% [markdown]
r"""
## Can a claim hold for every input at once?

The claim above was measured at 25 inputs. A **symbolic** claim is an identity
between expressions: the difference is simplified to zero by computer algebra, or
vanishes at random rational points, and no tolerance is needed.

Write $p(x) \propto e^{-(x-1)^2/2\sigma^2} + e^{-(x+1)^2/2\sigma^2}$ for the
density of $x$. Differentiating one term gives
$\partial_x e^{-(x-c)^2/2\sigma^2} = \frac{c - x}{\sigma^2} e^{-(x-c)^2/2\sigma^2}$.
Add the terms with their weights and divide by $p$: on the left stands
$\partial_x \log p$, on the right $(\mathbb E[x_0 \mid x] - x)/\sigma^2$. So for
any law of $x_0$

$$
\mathbb E[x_0 \mid x] = x + \sigma^2\, \partial_x \log p(x),
$$ (eq-tweedie)

which is **Tweedie's formula** {cite}`efron2011tweedie`. It is why learning to
denoise is the same as learning the *score* $\partial_x \log p$
{cite}`vincent2011connection`.
"""

# %%
X, S = sympy.symbols("x sigma", positive=True)
density = sum(sympy.exp(-((X - c) ** 2) / (2 * S**2)) for c in (-1, 1))
slope = sympy.diff(sympy.log(density), X)

tweedie_slips = {
    "$\\sigma$ for $\\sigma^2$": X + S * slope,
    "the sign of the score": X - S**2 * slope,
    "half the score": X + S**2 * slope / 2,
}

# %%
tweedie = Claim(
    id="reading/tweedie",
    says=r"With $p$ the density of $x = x_0 + \sigma z$ for the coin $x_0 = "
    r"\pm 1$, $x + \sigma^2\, \partial_x \log p(x) = "
    r"\tanh(x/\sigma^2)$ for all $x$ and $\sigma > 0$.",
    papers=("024",),
    kind="symbolic",
    formula=X + S**2 * slope,
    controls=tweedie_slips,
    measure=lambda f: (f - sympy.tanh(X / S**2)).rewrite(sympy.exp),
)
check(tweedie)

# %% [markdown]
r"""
## What if there is no formula, only samples?

Some statements are about averages, and an average over samples has an error of
its own. A **statistical** claim therefore measures in standard errors: the
estimate may miss the truth by at most six, and every control must miss it by
more than twelve. Six standard errors come up by chance about twice in a thousand
million times; the box shows this *false-alarm bound*, the seeds and the number
of samples.

Here is one. The error of the denoiser is uncorrelated with every function of
$x$: $\mathbb E[(x_0 - D(x))\, h(x)] = \mathbb E[(\mathbb E[x_0 \mid x] - D(x))\,
h(x)] = 0$ by conditioning on $x$ first. We take $h(x) = x$ and $h(x) = x^3$, and
average over tosses.
"""


# %%
def orthogonality(guess, rng):
    """z-scores of the mean of (x0 - guess) h(x), for h = x and h = x^3."""
    sigma = torch.tensor(0.7, dtype=torch.float64)
    x0, _, x = (v.squeeze(-1) for v in coin_world.draw(200_000, sigma, rng))
    terms = (x0 - guess(x, sigma)) * torch.stack([x, x**3])
    return terms.mean(1) / (terms.std(1) / terms.shape[1] ** 0.5)


# %%
orthogonal = Claim(
    id="reading/orthogonal",
    says=r"For the coin at $\sigma = 0.7$ the error $x_0 - "
    r"\tanh(x/\sigma^2)$ is uncorrelated with $x$ and with $x^3$.",
    papers=("024",),
    kind="statistical",
    formula=coin,
    controls=slips,
    measure=orthogonality,
    scale=lambda formula, e: scaled(formula, 10 * e),
    seeds=(0,),
    n=200_000,
)
check(orthogonal)

# %% [markdown]
r"""
With 200,000 tosses this ruler sees an error of one part in a hundred, not one in
a thousand; so the claim plants ten times the usual error. Where an exact route
exists, it is the better ruler, and the book uses it.

The fourth kind, **trained**, measures a small network against the least error
that any function can reach, over at least five seeds. It comes in later parts.

## Break it

Change the formula of the claim `reading/two-points` to one of the slips and run
its cell again: `check` stops with one sentence. Or look only
far out, at $x = -500, 0, 500$ and $\sigma = 0.5, 1, 2$: now two of the slips are
"right", and the verdict says which controls were not rejected. At $x = 0$ alone
the truth is zero, and the verdict says that nothing can be relative to it.

## What this does not show

A claim that holds says: at these inputs, to this accuracy, this formula is right
and these wrong ones are not. It does not say that a trained network computes the
formula, nor that the world of the claim resembles photographs. Each chapter ends
with what its worlds leave out.

## Exercises

**1.** The coin is loaded: $x_0 = +1$ with probability $q$, $-1$ with probability
$1 - q$. Write the denoiser as a function of $x$, $\sigma$ and $q$.
"""

# %% tags=["hide-input"]
loaded_inputs = {
    **inputs,
    "q": torch.linspace(0.05, 0.95, 25, dtype=torch.float64),
}


def loaded_by_sum(x, sigma, q):
    """The posterior mean by summing over the two values."""
    down = (1 - q) * torch.exp(-((x + 1) ** 2) / (2 * sigma**2))
    up = q * torch.exp(-((x - 1) ** 2) / (2 * sigma**2))
    return (up - down) / (up + down)


# %% tags=["hide-input"]
loaded_slips = {
    "the coin is taken for fair": lambda x, sigma, q: torch.tanh(
        x / sigma**2
    ),
    "the log odds enter without their half": lambda x, sigma, q: torch.tanh(
        x / sigma**2 + torch.log(q / (1 - q))
    ),
    "the odds are upside down": lambda x, sigma, q: torch.tanh(
        x / sigma**2 - torch.log(q / (1 - q)) / 2
    ),
}

# %% tags=["hide-input"]
loaded_claim = Claim(
    id="reading/loaded-coin",
    says="the denoiser of a coin with $P(x_0 = 1) = q$",
    papers=("024",),
    kind="exact",
    formula=None,
    controls=loaded_slips,
    tol=1e-12,
    because="two terms in float64",
    at=loaded_inputs,
    truth=loaded_by_sum,
)


# %% tags=["solution", "hide-cell"]
def loaded(x, sigma, q):
    """E[x0 | x] if +1 has probability q; x, sigma, q of one shape."""
    return torch.tanh(x / sigma**2 + torch.log(q / (1 - q)) / 2)


# %%
attempt(loaded_claim, loaded)

# %% [markdown]
r"""
**2.** Write the score $\partial_x \log p(x)$ of the fair coin at noise level
$\sigma$, from the denoiser and Tweedie's formula.
"""

# %% tags=["hide-input"]
score_slips = {
    "one power of sigma is missing": lambda x, s: (coin(x, s) - x) / s,
    "the sign: the score points to where the density grows": lambda x, s: (
        (x - coin(x, s)) / s**2
    ),
    "this is the mean noise, not the score": lambda x, s: (
        (x - coin(x, s)) / s
    ),
}

# %% tags=["hide-input"]
score_claim = Claim(
    id="reading/coin-score",
    says=r"the score of the fair coin at noise level $\sigma$",
    papers=("024",),
    kind="exact",
    formula=None,
    controls=score_slips,
    tol=1e-12,
    because="float64, noise levels above 0.3",
    at=tuple(inputs.values()),
    truth=lambda x, s: coin_world.score(x.unsqueeze(-1), s).squeeze(-1),
)


# %% tags=["solution", "hide-cell"]
def coin_score(x, sigma):
    """d/dx log p(x) for the fair coin: tensors x, sigma of one shape."""
    return (coin(x, sigma) - x) / sigma**2


# %%
attempt(score_claim, coin_score)

# %% [markdown]
r"""
**3.** Find a fourth slip: a formula that a tired person might write for the
denoiser of the fair coin, that is right at $x = 0$ *and* far out, and is still
rejected. Add it to `slips` and run the claims again. If the verdict says "not
rejected", you have found a formula that is right.

## Summary

| word | meaning |
|---|---|
| claim | a measurement that takes the formula as its argument |
| control | a plausible wrong formula that the same measurement must reject |
| exact | compared with an independent route; tolerance with its reason |
| symbolic | an identity; no tolerance |
| statistical | six standard errors for the formula, twelve for controls |
| trained | excess over the exact minimum, at least five seeds |

**Where next.** [The notation](notation.ipynb) translates between four dialects
of the field, each translation a claim; [Painters](../gaussian/painters.ipynb)
is the first chapter with pictures.
"""
