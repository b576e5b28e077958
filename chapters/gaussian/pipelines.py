# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# Your own model

Everything that this part says about Gaussian worlds can be asked of a model that
somebody trained. Here is the whole analysis on one page, for any unconditional
pixel model in the format of [diffusers](https://github.com/huggingface/diffusers): put
its folder into one cell and run the rest.

- **You need** [Painters](painters.ipynb), [how to read a
claim](../start/reading.ipynb); for a model of your own `pip install diffusers` (the
extra `peers` of this book), a folder made by `save_pretrained` or a name on the hub,
the space for it on your disk, and a folder of images like those it was trained on.
- **You get** how much of a model is Gaussian and at which noise, whether its
trajectories are flat, in which order it paints, how many of its steps algebra can
take, and how much data is left in its last level.
- **Papers** 048 and 106 {cite}`wang2023painters,wang2024unreasonable`.
- **Claims** on five small nets that stand in for a model, all named
`pipelines/...`.
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
import copy
import functools
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch

# %% tags=["setup"]
from diffkit import (
    chains,
    fields,
    figures,
    laws,
    learning,
    metrics,
    paths,
    recipes,
    shapes,
    solvers,
    tables,
    worlds,
)
from diffkit.claims import Claim, attempt, check, scaled
from diffkit.recipes.digits import split

# %% [markdown]
r"""
**The one cell to edit.** `MODEL` is a folder or a name on the hub, `IMAGES` a folder
of pictures of the kind that the model was trained on, a thousand or more. As long as
`MODEL` is empty, five nets of this book stand in for a model, as told below. The
stored page was made so, without `diffusers`.
"""

# %%
MODEL = ""
IMAGES = ""

# %% [markdown]
r"""
## What is inside a pipeline?

A pipeline of `diffusers` holds a `unet` $F$ and a `scheduler`, and the scheduler the
numbers $\bar\alpha_n$ of a chain of $N$ noising steps {cite}`ho2020ddpm`. The net
was trained on

$$
y_n = \sqrt{\bar\alpha_n}\, x_0 + \sqrt{1 - \bar\alpha_n}\, z,
\qquad z \sim \mathcal N(0, I),\quad n = 0, \dots, N - 1,
$$ (eq-pipelines-chain)

and $F(y_n, n)$ is an estimate of one of three things, which `prediction_type` names:
the noise, the image, or $v$ {cite}`salimans2022distillation`. With the
noise-to-signal ratio $\sigma_n = \sqrt{1/\bar\alpha_n - 1}$ and
$r_n = \sqrt{1 + \sigma_n^2} = 1/\sqrt{\bar\alpha_n}$, put $x = r_n y_n = x_0 +
\sigma_n z$. Then

$$
\begin{gathered}
D(x, \sigma_n) = \mathbb E[x_0 \mid x] =
\begin{cases}
x - \sigma_n F & \texttt{epsilon},\quad F = \mathbb E[z \mid x], \\
F & \texttt{sample}, \\
(x / r_n - \sigma_n F) / r_n & \texttt{v\_prediction},
\end{cases} \\
F = F(x / r_n,\, n).
\end{gathered}
$$ (eq-pipelines-denoiser)

The first line is $x = D + \sigma_n \mathbb E[z \mid x]$, solved for $D$. In the
third, $v = a\,\mathbb E[z \mid x] - g D$ with $a = 1/r_n$, $g = \sigma_n / r_n$, and
$y_n = a D + g\, \mathbb E[z \mid x]$; multiply $v$ by $g$, $y_n$ by $a$, subtract,
and use $a^2 + g^2 = 1$: $a y_n - g v = D$.

Two slips are common and quiet: to forget that $F$ sees $x / r_n$ and not $x$, and
to count the steps from one where the library counts from zero. The net answers in
either case, and the answer looks like an image.

The function `fields.pipeline` holds these three lines. It makes a field $D$ on the
path of EDM out of anything that answers like a pipeline; it never imports the
library. It refuses what it cannot read: latent models (they have a `vae`), models
that are told a class or a text, schedules without $\bar\alpha$, nets in training
mode. What a *sampler* does to a guess, such as `clip_sample`, is not part of the
field. And because a net was trained on $N$ levels, it is asked on those only:
`snap` gives the nearest.

The stand-in is a net of this book, which was trained in another format altogether,
behind the interface of a pipeline: with the linear chain of DDPM, it turns $y_n$
into its own units, asks, and answers in any of the three targets. (Its levels in
training ended at $\sigma = 80$, the chain ends at about twice that; there is nothing
but noise in between.)
"""

# %%
kept, held = split()  # digits to train on, digits held out
shipped = recipes.load("digits")
net = learning.Model(shipped.net, paths.edm(200.0), "denoise", shipped.sd)
exact_net = copy.deepcopy(net).double()
circle = paths.trig()  # a = cos, g = sin: where y lives
clock = paths.embed(circle, paths.linear_betas(1000))
TARGET = {"epsilon": "noise", "sample": "denoise", "v_prediction": "v"}


def stand_in(k, kind="epsilon", net=net):
    """Member k of the book's net, behind the interface of a pipeline."""

    def denoise(y, t):
        return net.field(k)(y / circle.at(t).a.unsqueeze(-1), circle.nsr(t))

    field = fields.convert(denoise, circle, "denoise", TARGET[kind])
    return pretend(lambda y, n: field(y, clock[n]), kind)


# %%
class Unet:
    """A function (flat y, n) -> flat answer, asked as a UNet is asked."""

    config = SimpleNamespace(sample_size=8, in_channels=1, out_channels=1)

    def __init__(self, answer):
        self.answer = answer

    def __call__(self, y, n):
        out = self.answer(y.flatten(1), n)
        return SimpleNamespace(sample=out.reshape(y.shape))


def pretend(answer, kind):
    """A pipeline with that net, on DDPM's linear chain of 1,000 steps."""
    abar = paths.log_abar(paths.linear_betas(1000)).exp()
    about = SimpleNamespace(prediction_type=kind, clip_sample=True)
    scheduler = SimpleNamespace(alphas_cumprod=abar, config=about)
    return SimpleNamespace(unet=Unet(answer), scheduler=scheduler)


# %% [markdown]
r"""
Does the adapter give back the net's own denoiser? The stand-in converts by
`fields.convert`, a $2 \times 2$ solve that knows nothing of
[the three lines](#eq-pipelines-denoiser), and the truth is the net itself, which has
never heard of chains. The wrong adapters are the two slips, and three more.
"""

# %%
own_levels = fields.pipeline(stand_in(0)).nsr[
    [0, 50, 200, 400, 600, 800, 950]
]
probes = held[:7] + own_levels.unsqueeze(1) * torch.randn(
    7, 64, generator=shapes.rng(0), dtype=torch.float64
)


def adapted(spoil=lambda F, y, n: F(y, n), told=lambda kind: kind):
    """The adapter's D for each kind, the net asked in a spoilt way."""
    out = []
    for kind in TARGET:
        pipe = stand_in(0, kind, exact_net)
        pipe.scheduler.config.prediction_type = told(kind)
        right = pipe.unet.answer
        pipe.unet.answer = lambda y, n, F=right: spoil(F, y, n)
        out.append(fields.pipeline(pipe).denoise(probes, own_levels))
    return torch.stack(out)


# %% tags=["hide-input"]
spread_r = (1 + own_levels**2).sqrt().unsqueeze(1)
adapter_slips = {
    "the step counted from one": lambda: adapted(
        lambda F, y, n: F(y, (n + 1).clamp_max(999))
    ),
    "$x$ not divided by $\\sqrt{1 + \\sigma^2}$": lambda: adapted(
        lambda F, y, n: F(spread_r * y, n)
    ),
    "$x$ divided by $1 + \\sigma^2$": lambda: adapted(
        lambda F, y, n: F(y / spread_r, n)
    ),
    "the sign of the prediction": lambda: adapted(lambda F, y, n: -F(y, n)),
    "$v$ taken for the noise": lambda: adapted(
        told=lambda kind: {"v_prediction": "epsilon"}.get(kind, kind)
    ),
}

# %% tags=["hide-input"]
adapter_claim = Claim(
    id="pipelines/adapter",
    says=r"With $r = \sqrt{1 + \sigma_n^2}$, $F = F(x/r, n)$, the denoiser "
    r"of a pipeline is $x - \sigma_n F$ for `epsilon`, $F$ for `sample`, "
    r"$(x/r - \sigma_n F)/r$ for `v_prediction`: all three give back the "
    "net that stands inside (seven levels, the first of the chain "
    "included).",
    papers=("048", "106"),
    kind="exact",
    formula=adapted,
    controls=adapter_slips,
    tol=1e-12,
    because="float64 throughout, the net included",
    truth=lambda: exact_net.field(0)(probes, own_levels).expand(3, -1, -1),
)
check(adapter_claim)

# %% [markdown]
r"""
## Which Gaussian?

For a model of your own, images are read from `IMAGES`, brought to the model's size,
and scaled to $[-1, 1]$, as `diffusers` does in training. Five of six are kept for
the mean and covariance, the rest is held out. The stand-in has the digits.
"""


# %%
def load(name):
    """A pipeline of diffusers, from a folder or the hub."""
    from diffusers import DiffusionPipeline

    return DiffusionPipeline.from_pretrained(name)


# %%
def read(folder, shape):
    """The pictures of a folder as flat points in [-1, 1]."""
    from PIL import Image

    kinds = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
    rows = []
    for file in sorted(Path(folder).iterdir()):
        if file.suffix.lower() in kinds:
            picture = Image.open(file).convert(
                "L" if shape[0] == 1 else "RGB"
            )
            rows.append(np.asarray(picture.resize(shape[:0:-1]), float))
    points = torch.from_numpy(np.stack(rows) / 127.5 - 1)
    return points.reshape(len(rows), *shape[1:], shape[0]).movedim(-1, 1)


# %% [markdown]
r"""
With $n$ images $x_i$ in $d$ dimensions, and $d$ in the thousands, nobody wants the
$d \times d$ covariance. The singular value decomposition of the $n \times d$ matrix
with rows $(x_i - m)/\sqrt n = \sum_k s_k\, p_{ik} u_k^\top$ has all of it:

$$
C = \frac1n \sum_i (x_i - m)(x_i - m)^\top = \sum_k s_k^2\, u_k u_k^\top .
$$ (eq-pipelines-svd)

If $n \le d$, at most $n - 1$ variances are positive, and in every other direction
the Gaussian guesses the mean. That is a statement about your folder and not about
your model: give more images than you have pixels where you can.
"""


# %%
def gaussian_of(points):
    """The Gaussian of n points (n, d), without a d x d matrix."""
    m, n = points.mean(0), len(points)
    _, s, V = torch.linalg.svd((points - m) / n**0.5, full_matrices=False)
    kept, zero = s > 1e-9 * s[0], points.new_zeros(1)
    spectral = laws.Spectral(
        V[kept].mT.unsqueeze(0), s[kept].square().unsqueeze(0), zero
    )
    return laws.Mixture(zero, m.unsqueeze(0), spectral)


class Case(NamedTuple):
    """A model, images like its own, their Gaussian, and images held out."""

    model: fields.Pipeline
    kept: torch.Tensor
    law: laws.Mixture
    held: torch.Tensor


# %%
digits_law = gaussian_of(kept)

members = [
    Case(fields.pipeline(stand_in(k)), kept, digits_law, held)
    for k in range(net.members)
]


def own(name, folder):
    """The reader's model; without a folder, the digits are its images."""
    pipe = name if hasattr(name, "unet") else load(name)
    model = fields.pipeline(pipe)
    if not folder and model.shape == (1, 8, 8):
        return Case(model, kept, digits_law, held)
    points = read(folder, model.shape).flatten(1)
    order = torch.randperm(len(points), generator=shapes.rng(0))
    rest, some = points[order].split(len(points) - len(points) // 6)
    return Case(model, rest, gaussian_of(rest), some[:300])


# %%
cases = [own(MODEL, IMAGES)] if MODEL else members

{"models": len(cases), "shape": cases[0].model.shape}

# %% [markdown]
r"""
The claim takes fewer digits than pixels, 40 of them, and compares the denoiser of
this Gaussian with the one of the dense covariance, at points off the span as well.
"""

# %%
forty = kept[:40]

off_span = 2.0 * torch.randn(
    5, 64, generator=shapes.rng(1), dtype=torch.float64
)

some_levels = torch.tensor([0.1, 1.0, 10.0]).double()


def guesses(law):
    """Its denoiser at the points off the span, at three levels."""
    world = worlds.World(paths.edm(), law)
    return torch.stack([world.denoise(off_span, t) for t in some_levels])


# %%
def dense(C, shift=1.0):
    """The denoiser m + C (C + t^2 I)^-1 (x - m), by a dense solve."""
    m, out = forty.mean(0), []
    for t in some_levels:
        V = C + t**2 * torch.eye(64).double()
        out.append(
            m + torch.linalg.solve(V, (off_span - shift * m).mT).mT @ C
        )
    return torch.stack(out)


# %% tags=["hide-input"]
def pushed(change):
    """The Gaussian of the forty with its variances changed."""
    g = gaussian_of(forty)
    spectral = g.covariance
    new = laws.Spectral(
        spectral.basis, change(spectral.spectrum), spectral.floor
    )
    return guesses(laws.Mixture(g.logw, g.means, new))


fit_slips = {
    "$s_k$ for $s_k^2$": lambda: pushed(torch.sqrt),
    "no division by $n$": lambda: pushed(lambda v: 40 * v),
    "$n - 1$ for $n$": lambda: pushed(lambda v: v * 40 / 39),
    "the mean not taken out": lambda: guesses(
        gaussian_of(torch.cat([forty, -forty]))
    ),
}

# %% tags=["hide-input"]
fit_claim = Claim(
    id="pipelines/few-images",
    says="The Gaussian of $n$ images from the singular values of the $n "
    r"\times d$ matrix, $C = \sum_k s_k^2 u_k u_k^\top$, has the "
    r"denoiser of the dense $d \times d$ covariance (divisor $n$), for "
    "$n < d$ too: 40 digits of 64 pixels.",
    papers=("106",),
    kind="exact",
    formula=lambda: guesses(gaussian_of(forty)),
    controls=fit_slips,
    tol=1e-12,
    because="float64; the dense matrix has condition below 1e4",
    truth=lambda: dense(
        (forty - forty.mean(0)).mT @ (forty - forty.mean(0)) / 40
    ),
)
check(fit_claim)

# %% [markdown]
r"""
## How much of the model is Gaussian?

At a level $\sigma$ we draw $x = x_0 + \sigma z$ with held-out $x_0$. (Pure noise
$\sigma z$ would be off the distribution that the model was trained on.) For a guess
$G(x, \sigma)$ in place of the model's $D$, the **explained share of the denoiser**
is

$$
R_D = 1 - \frac{\sum |D - G|^2}{\sum |D - \bar D|^2},
$$ (eq-pipelines-share)

the bar being the mean over the points. The model's noise $N = (x - D)/\sigma$, which
up to the factor $-1/\sigma$ is its score, has a share $R_N$ of its own. Since
$N - N_G = (G - D)/\sigma$, both have the same residual, over two denominators:

$$
(1 - R_D) \sum |D - \bar D|^2 = \sigma^2\, (1 - R_N) \sum |N - \bar N|^2 .
$$ (eq-pipelines-two)

Two ways to be misled. Where $\sigma$ is small, $D \approx x$ for every guess that
deserves the name, and $R_D$ is near one for all. Where $\sigma$ is large,
$N \approx z$ for every guess, and $R_N$ is near one for all; a small error of $N$
becomes an error of $D$ that is $\sigma$ times as large, while $D$ itself hardly
varies any more. So a share means nothing without its rivals: the Gaussian with one
variance for all pixels, and the exact denoiser of the kept images, which knows them
by heart.
"""


# %%
def rivals(law, kept, path):
    """The Gaussian, one variance for all, and the images by heart."""
    one = laws.gaussian(law.means[0], law.covariance.spectrum.sum() / law.d)
    all_laws = (law, one, laws.dataset(kept))
    return [worlds.World(path, law).denoise for law in all_laws]


def noisy(images, t):
    """Images with noise of the level t."""
    z = torch.randn(images.shape, generator=shapes.rng(2), dtype=images.dtype)
    return images + t * z


# %%
@functools.cache  # every formula sees the same guesses
def asked(case, level):
    """Noisy images held out, their level of the ladder, and the guesses."""
    t = case.model.snap(level)
    x = noisy(case.held, t)
    return x, t, case.model.denoise(x, t)


@functools.cache  # models of the same images have the same rivals
def guessed(law, kept, path, held, t):
    """What the three rivals make of the same images."""
    return [G(noisy(held, t), t) for G in rivals(law, kept, path)]


# %%
@functools.cache
def shares(case, level):
    """R_D and R_N of the three rivals: (2, 3)."""
    x, t, D = asked(case, level)
    _, kept, law, held = case
    guesses = guessed(law, kept, case.model.path, held, float(t))
    by_D = [1 - metrics.unexplained(G, D) for G in guesses]
    by_N = [
        1 - metrics.unexplained((x - G) / t, (x - D) / t) for G in guesses
    ]
    return torch.stack([torch.stack(by_D), torch.stack(by_N)])


levels = [0.1, 0.2, 0.5, 1.0, 3.0, 6.0, 15.0, 40.0]
table = torch.stack(
    [torch.stack([shares(case, s) for s in levels]) for case in cases]
)

# %% mystnb={"figure": {"caption": "Explained share of the model's denoiser (left) and of its noise (right) on held-out images, against the noise level. Grey: the Gaussian; ochre: one variance for all pixels; red: the training images by heart. One line for each model.", "name": "fig-pipelines-shares"}, "image": {"alt": "Left: three families of curves that fall with the noise level, grey on top up to level two, and drop below zero beyond ten. Right: the same three rise to one with the noise; red is far below zero at small noise, grey is on top everywhere."}}
figure, axes = figures.canvas(
    "The same residual, over two denominators", columns=2, height=3.0
)
colours = (figures.EXACT, figures.SECOND, figures.WRONG)
styles = ("-", "-", "--")
for ax, part, name in zip(axes, (0, 1), ("denoiser", "noise"), strict=True):
    for line in table[:, :, part]:
        for law, colour in enumerate(colours):
            ax.semilogx(levels, line[:, law], styles[law], color=colour)
    ax.set(ylim=(-0.05, 1.05), xlabel=r"$\sigma$", xticks=[0.1, 1, 10])
    ax.set_title(f"share of the {name}", fontsize=9, fontweight="normal")
figures.label_line(axes[1], 2.0, 0.5, "Gaussian", figures.EXACT)
figures.label_line(axes[1], 2.0, 0.38, "one variance", figures.SECOND)
figures.label_line(axes[1], 2.0, 0.26, "by heart", figures.WRONG)
plt.show()

# %% [markdown]
r"""
Look at the grey curves first. On the right they rise to one: where the noise is
strong the model's score is that of a Gaussian. But so do the others, and on the left
the same models have a denoiser of which nobody explains anything beyond
$\sigma = 20$: there the true denoiser is nearly constant, and what varies is the
net's own error. (The paper prints high shares there, in a measure that leaves
the mean image in: see [the cards](cards.ipynb).) At small noise
the Gaussian beats the images known by heart by far: the nets have *not* learned their
training set by heart. First the identity, for one of the nets; then the claim about
all five at $\sigma = 1$, where the rivals are far apart.
"""

# %%
x_two, t_two, D_two = asked(members[0], 3.0)
path_80 = members[0].model.path
gauss, one_variance, by_heart = rivals(digits_law, kept, path_80)
G_two = gauss(x_two, t_two)


def spread_of(F):
    """Summed squared deviation from the mean over points."""
    return ((F - F.mean(0)) ** 2).sum()


def from_noise(power, of=lambda x, D, t: (x - D) / t):
    """1 - R_D from the share of the noise, at another power of sigma."""
    N, N_G = of(x_two, D_two, t_two), of(x_two, G_two, t_two)
    left = metrics.unexplained(N_G, N)
    return t_two**power * left * spread_of(N) / spread_of(D_two)


# %% tags=["hide-input"]
two_slips = {
    "$\\sigma$ for $\\sigma^2$": lambda: from_noise(1),
    "one share for the other": lambda: metrics.unexplained(
        (x_two - G_two) / t_two, (x_two - D_two) / t_two
    ),
    "the score taken for the noise": lambda: from_noise(
        2, lambda x, D, t: (x - D) / t**2
    ),
}

# %% tags=["hide-input"]
two_claim = Claim(
    id="pipelines/two-shares",
    says=r"With $N = (x - D)/\sigma$: $(1 - R_D) \sum |D - \bar D|^2 = "
    r"\sigma^2 (1 - R_N) \sum |N - \bar N|^2$, for any model and any "
    "guess.",
    papers=("106",),
    kind="exact",
    formula=lambda: from_noise(2),
    controls=two_slips,
    tol=1e-14,
    because="float64 sums over 300 points",
    truth=lambda: metrics.unexplained(G_two, D_two),
)
check(two_claim)


# %%
def unexplained_at(level):
    """For each member, what a rival leaves unexplained of its denoiser."""

    def measured(rival, seeds):
        G = rival(*asked(members[0], level)[:2])  # all see the same points
        D = [asked(members[k], level)[2] for k in seeds]
        return [metrics.unexplained(G, guess) for guess in D]

    return measured


# %% tags=["hide-input"]
diagonal = laws.gaussian(
    digits_law.mean(), digits_law.cov().diagonal().diag()
)
centred = laws.Mixture(
    digits_law.logw, 0 * digits_law.means, digits_law.covariance
)
share_slips = {
    "one variance for all pixels": one_variance,
    "the training images by heart": by_heart,
    "every pixel on its own": worlds.World(path_80, diagonal).denoise,
    "the mean forgotten": worlds.World(path_80, centred).denoise,
}

# %% tags=["hide-input"]
share_claim = Claim(
    id="pipelines/gaussian-share",
    says=r"At $\sigma = 1$ the Gaussian with the mean and covariance of the "
    "training digits leaves at most a fifth of the denoiser of each of "
    "the five nets unexplained, on held-out digits.",
    papers=("106",),
    kind="trained",
    formula=gauss,
    controls=share_slips,
    tol=0.2,
    because="set after measuring: these nets gave 0.18 to 0.19",
    measure=unexplained_at(1.0),
    scale=lambda f, e: scaled(f, 300 * e),
    seeds=(0, 1, 2, 3, 4),
    n=297,
)
check(share_claim)

# %% [markdown]
r"""
## Is a trajectory flat?

We sample with DDIM on fifty levels of the chain and look at
$y = x/\sqrt{1 + \sigma^2}$, the state as the net sees it. (In $x$ itself every
trajectory looks like a straight line, because it starts $\sigma_N$ times as far out
as it ends: a picture of the units.) Two principal axes of its points, how much of
the squared deviation do they hold? The controls are Brownian paths and the *same
nets* with the noise of the ancestral sampler.
"""


# %%
def ladder(case):
    """Fifty levels at which we sample, from the last down to the first."""
    nsr = case.model.nsr[case.model.nsr.isfinite()]
    return nsr[torch.linspace(len(nsr) - 1, 0, 50).round().long()]


def beginnings(case, n, seed=3):
    """Pure noise, in units of x."""
    rng = shapes.rng(seed)
    z = torch.randn(n, case.model.d, generator=rng, dtype=torch.float64)
    return z * (1 + ladder(case)[0] ** 2).sqrt()


@functools.cache
def lines(case, n=32, eta=0.0):
    """Trajectories in units of y: (n, steps, d)."""
    ts, x = ladder(case), beginnings(case, n)
    table, rng = tables.ddim(case.model.path, ts, eta), shapes.rng(4)
    run = solvers.solve(table, case.model.denoise, x, rng, keep=True)
    return (run / (1 + ts**2).sqrt()[:, None, None]).movedim(0, 1)


# %% tags=["hide-input"]
def not_flat(sampler, seeds):
    """For each member, the share that two axes do not hold."""
    return [
        1 - metrics.principal_shares(sampler(members[k]))[:, :2].sum(1).mean()
        for k in seeds
    ]


def brownian(case, n=32):
    """Brownian paths of as many steps."""
    steps = torch.randn(n, 50, case.model.d, generator=shapes.rng(5))
    return steps.double().cumsum(1)


plane_slips = {
    "Brownian paths": brownian,
    "the same nets with ancestral noise": lambda case: lines(case, 8, 1.0),
}

# %% tags=["hide-input"]
plane_claim = Claim(
    id="pipelines/plane",
    says="Of the DDIM trajectories of each of the five nets, 50 levels, in "
    "units of $y$, two principal axes hold on average all but 0.2 % of "
    "the squared deviation.",
    papers=("048",),
    kind="trained",
    formula=lines,
    controls=plane_slips,
    tol=0.002,
    because="set after measuring: these nets gave 0.001 to 0.002",
    measure=not_flat,
    scale="shares do not change when a line is scaled",
    seeds=(0, 1, 2, 3, 4),
    n=32,
)
check(plane_claim)

# %% mystnb={"figure": {"caption": "Three trajectories of the model, each in the plane of its own two principal axes, from noise (dark) to image (bright).", "name": "fig-pipelines-plane"}, "image": {"alt": "Three panels, each with fifty dots along a smooth arc that bends once."}}
figure, axes = figures.canvas(
    "From noise to image in a plane", columns=3, height=1.5
)
shades = figures.time_colours(100)
for ax, line in zip(axes, lines(cases[0])[:3], strict=True):
    off = line - line.mean(0)
    p, q = (off @ torch.linalg.svd(off)[2][:2].mT).T
    ax.scatter(
        p, q, c=[shades[i * 100 // len(p)] for i in range(len(p))], s=9
    )
    ax.set(aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
plt.show()

# %% [markdown]
r"""
Each run is an arc. [Painters](painters.ipynb) derives it for Gaussian data, and says
how far it is from a rotation.

## In which order does it paint?

Along direction $u_k$ with variance $\lambda_k$, the painted fraction $f_k$ of a guess
is given by its covariance with the image that it guesses,
$f_k^2 = \mathbb E\, u_k^\top(D - m)\, u_k^\top(x_0 - m) / \lambda_k$, over held-out
images, whose own variances we take for $\lambda_k$. For an exact denoiser this is
$\mathbb E (u_k^\top(D - m))^2 / \lambda_k$, because $x_0 - D$ is uncorrelated with
$D$; for a net the covariance is the better measure, because the net's own errors,
which at high noise are all that varies, do not enter it. For Gaussian data

$$
f_k = \sqrt{\frac{\lambda_k}{\lambda_k + \sigma^2}},
$$ (eq-pipelines-order)

so that features with large variance come first, and every feature is half painted at
$\sigma = \sqrt{3 \lambda_k}$: a line of slope $\frac12$ in logarithms.
"""


# %%
def painted(case, sigmas):
    """f_k^2 at some levels, and the variances, largest first."""
    m, U = case.law.means[0], case.law.covariance.basis[0][:, :36]
    true, rows, ts = (case.held - m) @ U, [], case.model.snap(sigmas).unique()
    for t in ts:
        guess = (asked(case, float(t))[2] - m) @ U
        rows.append((guess * true).mean(0))
    variance = true.square().mean(0)
    return torch.stack(rows) / variance, ts, variance


def half(squares, ts):
    """The level at which f falls through one half, for each feature."""
    i = (squares > 0.25).sum(0).clamp(1, len(ts) - 1)
    high, low = (squares.gather(0, j.unsqueeze(0))[0] for j in (i - 1, i))
    u = ((high - 0.25) / (high - low)).clamp(0, 1)
    return ts[i - 1] * (ts[i] / ts[i - 1]) ** u


# %%
@functools.cache
def halves(case):
    """Variances of 36 features, and where each is half painted."""
    s = (3 * case.law.covariance.spectrum[0, 0]).sqrt()
    grid = s * torch.logspace(-1.1, 0.5, 9).double()
    squares, ts, own = painted(case, grid)
    return own, half(squares, ts)


# %% mystnb={"figure": {"caption": "Noise level at which each of the 36 largest features is half painted in the model's guesses, against its variance; dots: every model; line: Gaussian data, $\\sqrt{3\\lambda}$.", "name": "fig-pipelines-order"}, "image": {"alt": "On logarithmic axes a rising grey line of slope one half; blue dots lie on it at large variances and rise more slowly, above it, at small ones."}}
found = [halves(case) for case in cases]
figure, axes = figures.canvas(
    "Large features first, small ones before their time"
)
for own_k, level_k in found:
    axes.loglog(own_k, level_k, "o", color=figures.LEARNED, ms=3)
edge = torch.stack([found[0][0].min(), found[0][0].max()])
axes.loglog(edge, (3 * edge).sqrt(), color=figures.EXACT, lw=3)
figures.label_line(
    axes, 0.2 * edge[1], 0.8 * (0.6 * edge[1]).sqrt(), r"$\sqrt{3\lambda}$"
)
axes.set(xlabel=r"variance $\lambda$", ylabel=r"$\sigma$ at half")
axes.set_yticks([0.5, 1, 2], ["0.5", "1", "2"])
axes.minorticks_off()
plt.show()

# %% [markdown]
r"""
The large features are on the line. The small ones keep their order, but come long
before their time: where the model sees *which* digit it is, it sees all of it. So
outline comes first, but not by the Gaussian clock; the claim is the slope, a
measurement and not a theorem. That no feature of an exact denoiser comes later than
the line is a theorem, `painters/never-later`.
"""


# %%
def slope(case):
    """The slope of log half-level over log variance, by least squares."""
    own_k, level_k = (u.log() for u in halves(case))
    off = own_k - own_k.mean()
    return (off * level_k).sum() / (off**2).sum()


slopes = [slope(case) for case in members]

# %% tags=["hide-input"]
order_slips = {
    "the Gaussian clock, one half": 0.5,
    "all at once, zero": 0.0,
    "details first": -0.32,
}

# %% tags=["hide-input"]
order_claim = Claim(
    id="pipelines/order",
    says="Over the 36 largest features of digits, the level at which each of "
    "the five nets has half painted a feature grows with its variance "
    r"like $\lambda^p$ with $p$ between 0.30 and 0.34, and not like "
    r"$\lambda^{1/2}$.",
    papers=("048",),
    kind="trained",
    formula=0.32,
    controls=order_slips,
    tol=0.02,
    because="set after measuring: all five nets within 0.004 of 0.32",
    measure=lambda p, seeds: [(slopes[k] - p).abs() for k in seeds],
    scale=lambda p, e: p + 100 * e,
    seeds=(0, 1, 2, 3, 4),
    n=297,
)
check(order_claim)

# %% [markdown]
r"""
## How many steps can algebra take?

Where the model is Gaussian its flow is known: from the noise end to a level $s$ in
one line, `chains.carry` ([the flow](painters.ipynb), and
[how wrong it is](teleport.ipynb)). We go there, hand over to the model, and compare
with the model's own end, from the same noise. The ruler is
$\sqrt{2 \operatorname{tr} C}$, the root mean square distance of two unrelated images.
"""


# %%
def gaussian_jump(case, x, t, s):
    """The exact flow of the Gaussian from level t to level s."""
    return chains.carry(case.law, case.model.path, x, t, s)


def ends(case, skips, jump):
    """Where the model ends, if the first steps are left to a jump."""
    ts, start = ladder(case), beginnings(case, 32)
    path, x = case.model.path, start[:0]
    for skip, until in zip(skips, (*skips[1:], 49), strict=True):
        x = torch.cat([x, jump(case, start, ts[0], ts[skip])])
        table = tables.ddim(path, ts[skip : until + 1])
        x = solvers.solve(table, case.model.denoise, x)
    return x.unflatten(0, (len(skips), 32))


# %%
@functools.cache
def missed(case, skips, jump=gaussian_jump):
    """Mean distance of the ends, over that of unrelated images."""
    whole = lines(case)[:, -1] * (1 + ladder(case)[-1] ** 2).sqrt()
    gap = (ends(case, skips, jump) - whole).norm(dim=-1).mean(1)
    return gap / (2 * case.law.covariance.spectrum.sum()).sqrt()


# %%
def isotropic_jump(case, x, t, s):
    """The flow of the Gaussian with one variance for all pixels."""
    v = case.law.covariance.spectrum.sum() / case.model.d
    law = laws.gaussian(case.law.means[0], v)
    return chains.carry(law, case.model.path, x, t, s)


skips = (10, 20, 35, 40)
jumps = [missed(case, skips) for case in cases]
cruder = missed(cases[0], skips, isotropic_jump)

# %% mystnb={"figure": {"caption": "Mean distance between the model's image and the one it makes after a jump to level $\\sigma$, over that of two unrelated images. Blue: Gaussian jump, one line for each model; ochre: one variance for all pixels, first model.", "name": "fig-pipelines-jump"}, "image": {"alt": "On logarithmic axes blue lines close together, falling from a fifth at level 0.7 to less than a hundredth at level 25; an ochre line lies above them and meets them at the right."}}
figure, axes = figures.canvas("A jump to high noise costs little")
at = ladder(cases[0])[list(skips)]
for line in jumps:
    axes.loglog(at, line, "o-", color=figures.LEARNED, ms=3)
axes.loglog(at, cruder, color=figures.SECOND)
axes.set(xlabel=r"level $\sigma$ where the model takes over", ylabel="missed")
spot = (at[1:3].prod().sqrt(), 1.8 * cruder[1:3].prod().sqrt())
figures.label_line(axes, *spot, "one variance", figures.SECOND)
axes.minorticks_off()
plt.show()

# %% [markdown]
r"""
Twenty of fifty steps, down to $\sigma = 6$, can go without being seen, and there even
one variance for all pixels is nearly as good. Further down it is not: correlations
decide. The claim is one level, after 35 steps, for all five nets.
"""


# %% tags=["hide-input"]
def after_35(jump, seeds):
    """What each member misses after a jump over 35 steps."""
    if jump is gaussian_jump:  # as in the figure
        return [missed(members[k], skips)[2] for k in seeds]
    return [missed(members[k], (35,), jump) for k in seeds]


jump_slips = {
    "one variance for all pixels": isotropic_jump,
    "the noise shrunk, no data": lambda case, x, t, s: x * s / t,
    "variances for standard deviations": lambda case, x, t, s: (
        case.law.means[0] + (x - case.law.means[0]) * (s / t) ** 2
    ),
}

# %% tags=["hide-input"]
jump_claim = Claim(
    id="pipelines/jump",
    says="A jump of the Gaussian flow over the first 35 of 50 levels, to "
    r"$\sigma = 1.2$, moves the end of DDIM on average by less than an "
    r"eighth of $\sqrt{2 \operatorname{tr} C}$, for each of the five "
    "nets.",
    papers=("048", "106"),
    kind="trained",
    formula=gaussian_jump,
    controls=jump_slips,
    tol=0.125,
    because="set after measuring: these nets gave 0.11 to 0.12",
    measure=after_35,
    scale=lambda jump, e: lambda *asked: jump(*asked) * (1 + 300 * e),
    seeds=(0, 1, 2, 3, 4),
    n=32,
)
check(jump_claim)

# %% [markdown]
r"""
## How much data is left at the end?

Sampling starts from $\mathcal N(0, I)$, as if the last level held no data. It holds
$a_N = \sqrt{\bar\alpha_N}$ of it. For a direction $u$ of variance $c = u^\top C u$
the quantity to look at is $a_N^2 c$, the variance of the signal where the noise has
variance $1 - a_N^2$: [the chapter on the terminal signal](terminal.ipynb) says what
a start without it costs. The direction that suffers first is brightness,
$u = \mathbf 1 / \sqrt d$. Its variance is not an eigenvalue; with eigenpairs
$\lambda_k, u_k$ it is

$$
c = \frac{\mathbf 1^\top C\, \mathbf 1}{d}
  = \frac1d \sum_k \lambda_k\, (u_k^\top \mathbf 1)^2 .
$$ (eq-pipelines-brightness)
"""


# %%
def brightness(law):
    """The variance of the unit mode of brightness."""
    C = law.covariance
    sums = C.basis[0].sum(0)
    return (C.spectrum[0] * sums**2).sum() / law.d


def by_images():
    """d times the variance of the mean pixel, over the images themselves."""
    return 64 * kept.mean(1).var(correction=0)


# %% tags=["hide-input"]
bright_slips = {
    "the largest eigenvalue": lambda law: law.covariance.spectrum.max(),
    "the mean variance of a pixel": lambda law: (
        law.covariance.spectrum.sum() / law.d
    ),
    "the variance of the mean pixel": lambda law: brightness(law) / law.d,
}

# %% tags=["hide-input"]
bright_claim = Claim(
    id="pipelines/brightness",
    says=r"The variance of the brightness mode $\mathbf 1/\sqrt d$ is "
    r"$\frac1d \sum_k \lambda_k (u_k^\top \mathbf 1)^2$: $d$ times the "
    "variance of an image's mean pixel.",
    papers=("048", "106"),
    kind="exact",
    formula=brightness,
    controls=bright_slips,
    tol=5e-14,
    because="float64",
    at=digits_law,
    truth=lambda law: by_images(),
)
check(bright_claim)

# %% [markdown]
r"""
The last level of the model, and what of brightness is left in it:
"""


# %%
def terminal(case):
    """a_N, and a_N^2 c of brightness."""
    a = (1 + case.model.path.T**2) ** -0.5
    return a, float(a**2 * brightness(case.law))


signal, left = terminal(cases[0])
print(f"signal in the last level: below {'1 %' if signal < 0.01 else '10 %'}")
print("brightness lost at the start:", "no" if left < 0.01 else "yes, look")

# %% [markdown]
r"""
Digits have little brightness and DDPM's linear chain a long end. A chain that ends
earlier, as that of Stable Diffusion does, and images of many correlated pixels give
another answer; exercise 2 asks for it.

## What does it come to?

One function gives the answers as yes or no, for any model:
"""


# %%
def findings(case):
    """What this page asks of a model, each yes or no."""
    low, middle, high = (shares(case, s) for s in (0.2, 0.5, 3.0))
    own_k, level_k = (u.log() for u in halves(case))
    held = metrics.principal_shares(lines(case))[:, :2].sum(1).mean()
    costs = missed(case, skips)
    return {
        "score Gaussian at high noise": bool(high[1, 0] > 0.9),
        "less so at low noise": bool(low[1, 0] < high[1, 0]),
        "correlations matter": bool(middle[1, 0] > middle[1, 1] + 0.1),
        "not learned by heart": bool(low[1, 0] > low[1, 2] + 0.1),
        "trajectories flat": bool(held > 0.95),
        "large features first": bool(
            torch.corrcoef(torch.stack([own_k, level_k]))[0, 1] > 0.5
        ),
        "jumps cheap at high noise": bool(costs[0] < 0.2 and costs[1] < 0.25),
        "dearer at low": bool(costs[3] > 1.5 * costs[1]),
    }


# %%
verdicts = [findings(case) for case in cases]
for question in verdicts[0]:
    votes = sum(found[question] for found in verdicts)
    print(f"{question:30} {votes} of {len(verdicts)}")

# %% [markdown]
r"""
## Try it on a model that is not ours

The script `benchmarks/pipeline.py` trains a small `UNet2DModel` on the digits with
DDPM's own loss, in about a minute, and saves it by `save_pretrained`. Put the folder
that it names, `_build/pipeline`, into `MODEL`, and run the page again: `IMAGES` may
stay empty, since the images are digits. Two things to look for. The shares of its
*noise* look like those above. The share of its *denoiser* is gone already at
$\sigma = 10$: it was trained to tell the noise, its error there is a few
percent, and [the identity](#eq-pipelines-two) multiplies it by $\sigma$.

## Break it

- In `noisy`, leave the images out, `return t * z`, which is what one gets by probing a
model with pure noise. At $\sigma = 1$ and below, the Gaussian's share of the denoiser
falls: the nets were never shown such points.
- In `members`, put `kept[:297]` in the place of `held`. The grey curves stay where
they are: the nets treat what they were trained on as what they never saw. The red
ones rise at small noise, because now the images known by heart contain the answer,
and still stay below the grey ones in the share of the noise.
- In `stand_in`, take `clock[n]` from another chain, `paths.cosine_betas(1000)`, and
leave the scheduler as it is. `pipelines/adapter` fails: a net that is asked at levels
that are not its own answers all the same.

## What this does not show

The stand-in is a net of about ten thousand weights on $8 \times 8$ pixels, and its numbers
are those of five runs of one recipe: they say nothing about your model. Shares are
relative to your images; a folder that is not like the training set measures the
folder. Class and text conditions, latents and samplers that edit the guess are left
out. That a jump leaves the image of one model where it was says nothing of the
quality of either image: for that the papers use FID, which needs a large net and many
thousand images.

## Exercises

**1.** Your model predicts $v$. Write the denoiser from the net's answer `F` at
$x/\sqrt{1 + \sigma^2}$, the point `x` and the level `sigma`.
"""

# %%
rows_1 = torch.randn(3, 8, generator=shapes.rng(6), dtype=torch.float64)
asked_1 = {"F": rows_1[0], "x": 3 * rows_1[1], "sigma": rows_1[2].exp()}


def by_two_equations(F, x, sigma):
    """D from a D + g N = y and a N - g D = F, solved as they stand."""
    r = (1 + sigma**2).sqrt()
    a, g = 1 / r, sigma / r
    rows = torch.stack(
        [torch.stack([a, g], -1), torch.stack([-g, a], -1)], -2
    )
    return torch.linalg.solve(rows, torch.stack([x / r, F], -1))[:, 0]


# %% tags=["hide-input"]
v_slips = {
    "that is the formula for the noise": lambda F, x, sigma: x - sigma * F,
    "y is x over the root, and it enters once more": lambda F, x, sigma: (
        (x - sigma * F) / (1 + sigma**2).sqrt()
    ),
    "the sign of F": lambda F, x, sigma: (
        x / (1 + sigma**2) + sigma * F / (1 + sigma**2).sqrt()
    ),
    "that is the noise, not the image": lambda F, x, sigma: (
        sigma * x / (1 + sigma**2) + F / (1 + sigma**2).sqrt()
    ),
}

# %% tags=["hide-input"]
v_exercise = Claim(
    id="pipelines/v-exercise",
    says="the denoiser from a v-prediction",
    papers=("106",),
    kind="exact",
    formula=None,
    controls=v_slips,
    tol=1e-12,
    because="float64",
    at=asked_1,
    truth=by_two_equations,
)


# %% tags=["solution", "hide-cell"]
def denoiser_from_v(F, x, sigma):
    """a y - g F with a = 1/r, g = sigma/r, y = x/r."""
    return x / (1 + sigma**2) - sigma * F / (1 + sigma**2).sqrt()


# %%
attempt(v_exercise, denoiser_from_v)

# %% [markdown]
r"""
**2.** Images of `d` pixels, each of variance one, any two with correlation `rho`. A
chain ends at $\bar\alpha_N$ = `abar`. Write $a_N^2 c$ of the brightness mode. Then
try `d = 4096`, `rho = 0.5` and `abar = 0.0047`, about the last of Stable Diffusion:
is its start without brightness a small matter?
"""

# %%
asked_2 = {
    "abar": torch.tensor([0.5, 0.1, 0.0047, 4e-5], dtype=torch.float64),
    "d": torch.tensor([2.0, 16.0, 64.0, 100.0], dtype=torch.float64),
    "rho": torch.tensor([0.0, 0.9, 0.5, 0.2], dtype=torch.float64),
}


def by_matrix(abar, d, rho):
    """abar times the quadratic form of a dense correlation matrix."""
    out = []
    for a2, n, r in zip(abar, d.int().tolist(), rho, strict=True):
        ones = torch.ones(n, n).double()
        C = r * ones + (1 - r) * torch.eye(n).double()
        out.append(a2 * (C * ones / n).sum())
    return torch.stack(out)


# %% tags=["hide-input"]
start_slips = {
    "the variance of one pixel": lambda abar, d, rho: (
        abar * torch.ones_like(d)
    ),
    "a pixel's correlation with itself is one": lambda abar, d, rho: (
        abar * d * rho
    ),
    "the square root of abar": lambda abar, d, rho: (
        abar.sqrt() * (1 + (d - 1) * rho)
    ),
    "the mean pixel, which is d times smaller": lambda abar, d, rho: (
        abar * (1 + (d - 1) * rho) / d
    ),
}

# %% tags=["hide-input"]
start_exercise = Claim(
    id="pipelines/start-exercise",
    says="the signal that is left in brightness at the end of a chain",
    papers=("048",),
    kind="exact",
    formula=None,
    controls=start_slips,
    tol=1e-12,
    because="float64; sums of ten thousand entries",
    at=asked_2,
    truth=by_matrix,
)


# %% tags=["solution", "hide-cell"]
def left_at_the_end(abar, d, rho):
    """a_N^2 c, c = 1 + (d - 1) rho."""
    return abar * (1 + (d - 1) * rho)


# %%
attempt(start_exercise, left_at_the_end)

# %% [markdown]
r"""
**3.** *Extend the page.* Both shares flatter a guess where every guess is good.
Write a share that does not: of what the guess `one` with one variance for all
pixels leaves unexplained of `D`, the part that the Gaussian guess `G` explains. All
three are of shape $(n, d)$; the answer is a number, zero if `G` is no better than
`one`, and one if it is perfect.
"""

# %%
rows_3 = torch.randn(3, 30, 4, generator=shapes.rng(7), dtype=torch.float64)
asked_3 = {
    "D": 2 + rows_3[0],
    "G": 2 + rows_3[0] + 0.3 * rows_3[1],
    "one": 2 + rows_3[0] + rows_3[2],
}


def by_shares(D, G, one):
    """One less the ratio of two unexplained shares."""
    return 1 - metrics.unexplained(G, D) / metrics.unexplained(one, D)


# %% tags=["hide-input"]
beyond_slips = {
    "the difference of the two shares": lambda D, G, one: (
        metrics.unexplained(one, D) - metrics.unexplained(G, D)
    ),
    "lengths for squares": lambda D, G, one: (
        1 - (D - G).norm() / (D - one).norm()
    ),
    "that compares the two guesses and forgets D": lambda D, G, one: (
        1 - ((G - one) ** 2).sum() / ((D - one) ** 2).sum()
    ),
}

# %% tags=["hide-input"]
beyond_exercise = Claim(
    id="pipelines/beyond-exercise",
    says="the share of the rest that the Gaussian explains",
    papers=("106",),
    kind="exact",
    formula=None,
    controls=beyond_slips,
    tol=1e-12,
    because="float64",
    at=asked_3,
    truth=by_shares,
)


# %% tags=["solution", "hide-cell"]
def beyond(D, G, one):
    """1 - sum |D - G|^2 / sum |D - one|^2."""
    return 1 - ((D - G) ** 2).sum() / ((D - one) ** 2).sum()


# %%
attempt(beyond_exercise, beyond)

# %% [markdown]
r"""
**4.** *A new control.* Find a jump for `pipelines/jump` that is right for images of
mean zero and wrong for digits, and add it to the controls. By what factor over the
tolerance is it rejected?

## Summary

| question | answer here | in `diffkit` |
|---|---|---|
| the denoiser of a pipeline | [three lines](#eq-pipelines-denoiser) | `fields.pipeline` |
| the levels it knows | $\sigma_n = \sqrt{1/\bar\alpha_n - 1}$ | `Pipeline.nsr`, `snap` |
| how Gaussian | shares beside their rivals | `metrics.unexplained` |
| flat? | two principal axes | `metrics.principal_shares` |
| which first | large variances, small ones too early | |
| steps that algebra takes | jump, then compare the ends | `chains.carry` |
| what is left at the end | $a_N^2 c$ of brightness | |

**Where next.** [The reproduction cards](cards.ipynb) put these numbers beside those
of the papers; [the terminal signal](terminal.ipynb) says what the last level costs.
"""
