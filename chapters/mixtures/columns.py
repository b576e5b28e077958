# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# Shapes that never occurred together

A model is shown images with at most one square. It paints images with two. In this
chapter the world is so small that every image can be listed, so that nothing is a
matter of taste: an image is legal or it is not. We derive what a denoiser does that
cannot see everything at once, count its forbidden images before it has made one, and
find the same mechanism behind images that are forbidden and images that are new.

- **You need** conditional expectations, the probability flow of
[reverse time](../gaussian/reverse.ipynb), and
[how to read a claim](../start/reading.ipynb).
- **You get** the law of a denoiser that sees parts, its price in nats, exact shares of
forbidden and of novel images, a number that says how much of an image a net uses, and
nets of three kinds against all of these.
- **Paper** 024, Aithal, Maini, Lipton and Kolter {cite}`aithal2024hallucinations`.
- **Claims** on two points in the plane, on images of 64 pixels and on fifteen trained
nets, all named `columns/...`.
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
The imports, once for the whole chapter, and a short name for a tensor of numbers:
"""

# %% tags=["setup"]
import functools
import itertools
import math

import matplotlib.pyplot as plt
import torch

from diffkit import figures, laws, paths, shapes, solvers, tables, worlds
from diffkit.claims import Claim, attempt, check
from diffkit.recipes import columns

tensor = functools.partial(torch.tensor, dtype=torch.float64)
even = functools.partial(torch.linspace, dtype=torch.float64)

# %% [markdown]
r"""
## What is the world?

In the paper an image consists of three strips side by side. The first holds a triangle
or nothing, the second a square or nothing, the third a pentagon or nothing, each with
probability $\frac12$ and at a random place of its strip; images with no shape at all
are left out, and 5,000 are kept (so the authors' code). No strip ever holds two. A
trained diffusion model paints some strips with two all the same.

Ours has $8 \times 8$ pixels, $1$ for ink and $-1$ for paper. Each of three columns, two
pixels wide, holds a copy of its own $2 \times 2$ shape with probability $\frac12$, and
then at the top or at the bottom with equal probabilities. Columns are independent. So a
column has three states, nothing ($\frac12$), top ($\frac14$) and bottom ($\frac14$), and
there are $3^3 = 27$ **legal** images; we keep the empty one. `columns.law()` is their
law, a mixture of 27 points, whose exact denoiser is a softmax over the 27.

Every other image is **forbidden**. We call it **double** if all its ink belongs to whole
copies, but some column holds two; there are $4^3 - 27 = 37$ of these. All others are
**torn**. An image with a pixel further than $\frac12$ from both $1$ and $-1$ is called
**unclear** and is not sorted any further. Later there will be a training set, and a legal
image that is not in it will be **novel**. An image of ink and paper is a number of 64
bits, so that sorting is looking up.
"""


# %% tags=["setup"]
def codes(x):
    """Images (..., 64) as whole numbers: one bit for each pixel of ink."""
    return ((x > 0).long() << torch.arange(64)).sum(-1)


copies = ((), (0,), (1,), (0, 1))  # in a column: none, top, bottom, both
whole = [
    tuple((c, end) for c, ends in enumerate(row) for end in ends)
    for row in itertools.product(copies, repeat=3)
]
twice = torch.tensor(
    [any((c, 0) in w and (c, 1) in w for c in range(3)) for w in whole]
)
whole = torch.stack([columns.image(w) for w in whole])
law = columns.law()


# %% tags=["setup"]
def sort(code, known=law):
    """The kind of each image, by its number; seen: of a training set."""
    kind = torch.full_like(code, 3)
    kind[torch.isin(code, codes(whole[twice]))] = 2
    kind[torch.isin(code, codes(whole[~twice]))] = 1
    kind[torch.isin(code, codes(known.means))] = 0
    return kind


def kinds(x, known=law):
    """One-hot (n, 5): seen, novel, double, torn, unclear; x (n, 64)."""
    clear = ((x.abs() - 1).abs() < 0.5).all(1)
    kind = torch.where(clear, sort(codes(x), known), 4)
    return torch.nn.functional.one_hot(kind, 5).double()


# %% [markdown]
r"""
## What does a denoiser do that sees only parts?

Let $x_t = a_t x_0 + g_t z$ with $z \sim \mathcal N(0, I)$ independent of $x_0 \in
\mathbb R^d$. Cut the coordinates into disjoint **blocks** $B$ that cover all of them, and
write $x_B$ for the part of a vector in a block. Suppose that a denoiser must say
$x_{0,B}$ from $x_{t,B}$ alone: $D'_B(x, t) = f_B(x_B, t)$. What is the best $f_B$?

For any $f_B$ put $m = \mathbb E[x_{0,B} \mid x_{t,B}]$ and split
$x_{0,B} - f_B = (x_{0,B} - m) + (m - f_B)$. The second bracket is a function of
$x_{t,B}$, and the first has mean zero given $x_{t,B}$. So the cross term vanishes,

$$
\mathbb E |x_{0,B} - f_B|^2 = \mathbb E |x_{0,B} - m|^2 + \mathbb E |m - f_B|^2 ,
$$ (eq-columns-pythagoras)

and the best is $f_B = m$, for any weighting of the noise levels. Now
$x_{t,B} = a_t x_{0,B} + g_t z_B$, and $z_B$ is independent of $x_{0,B}$. Nothing
outside the block occurs. So $m$ is the *exact* denoiser of another world, in which the
data are $x_{0,B} \sim p_B$, the marginal law of the block:

$$
D'_B(x, t) = \mathbb E_{p_B}[x_{0,B} \mid x_{t,B} = x_B]
= \frac{\sum_k w_k\, \mathcal N(x_B;\, a_t u_k,\, g_t^2 I)\, u_k}
{\sum_k w_k\, \mathcal N(x_B;\, a_t u_k,\, g_t^2 I)} ,
$$ (eq-columns-blind)

where the second form is for data that take finitely many values, $u_k$ in the block with
probability $w_k$.

**What it samples.** The velocity of the flow is $\dot x = (\dot g/g)\, x +
(\dot a - a \dot g/g)\, D'$. In block $B$ it is a function of $x_B$: each block moves as if
the others did not exist, along the exact flow of its own world. Let the start have
independent blocks, each with the law of its world at the noise end (exactly, or as pure
noise in the limit). Then every block ends with its marginal law, and the blocks are
independent as they were at the start:

$$
\text{the samples have the law} \quad p' = \prod_B p_B .
$$ (eq-columns-product)

The same holds for the reverse SDE, since its noise is independent over coordinates. So
an optimal denoiser that sees parts is not an inexact sampler of $p$. It is an *exact*
sampler of a law in which the parts have forgotten each other. Two singular cases: if a
block has zero variance its denoiser is a constant, and nothing above changes; at $g = 0$
the fields are limits, and the flow is followed as far as $g > 0$ is small, with one last
step to the denoiser.

The smallest example: two points $(1, 0)$ and $(0, 1)$ in the plane, each with probability
$\frac12$. There is always one thing, never none and never two. On the path $a = 1$,
$g = \sigma$ the exact denoiser has $D_1 = 1/(1 + e^{-(x_1 - x_2)/\sigma^2})$. Each
coordinate alone is $0$ or $1$ with equal probabilities, so the blind denoiser has
$D'_1 = 1/(1 + e^{-(2 x_1 - 1)/(2\sigma^2)})$. The second route is an integral: average
$D_1$ over $x_2$, given $x_1$.
"""


# %% tags=["setup"]
def seeing(x, s):
    """D_1 of the two points."""
    return ((x[..., 0] - x[..., 1]) / s**2).sigmoid()


def blind_plane(x1, s):
    """D_1 from x_1 alone."""
    return ((2 * x1 - 1) / (2 * s**2)).sigmoid()


def averaged(x1, s):
    """The mean of D_1 over x_2, given x_1, by the trapezoidal rule."""
    x2 = even(-12.0, 13.0, 4001).unsqueeze(1)
    ends = tensor([[1.0, 0.0], [0.0, 1.0]])
    x = torch.stack(torch.broadcast_tensors(x1, x2), -1)
    p = torch.stack(
        [(-((x - e) ** 2).sum(-1) / (2 * s**2)).exp() for e in ends]
    )
    p = p.sum(0)
    return (seeing(x, s) * p).sum(0) / p.sum(0)


# %% tags=["hide-input"]
spots = {"x1": even(-1.0, 2.0, 13), "s": even(0.4, 1.6, 13)}
blind_slips = {
    r"$\sigma$ for $\sigma^2$": lambda x1, s: ((x1 - 0.5) / s).sigmoid(),
    "$x_2$ set to zero, where it often is": lambda x1, s: (
        x1 / s**2
    ).sigmoid(),
    "the factor 2 forgotten": lambda x1, s: ((2 * x1 - 1) / s**2).sigmoid(),
    "the best affine guess": lambda x1, s: (
        0.5 + 0.25 * (x1 - 0.5) / (0.25 + s**2)
    ),
}

# %% tags=["hide-input"]
blind_claim = Claim(
    id="columns/blind",
    says=r"For the points $(1, 0)$ and $(0, 1)$, $x = x_0 + \sigma z$, the "
    r"mean of the exact denoiser $D_1(x)$ given $x_1$ alone is the "
    r"denoiser of the marginal law, $1/(1 + e^{-(2x_1 - 1)/(2\sigma^2)})$.",
    papers=("024",),
    kind="exact",
    formula=blind_plane,
    controls=blind_slips,
    tol=1e-12,
    because="float64; the trapezoidal rule is spectrally accurate here",
    at=spots,
    truth=averaged,
)
check(blind_claim)

# %% [markdown]
r"""
The flow with $D'$ ends in all four corners, a quarter of the samples in each. Half of
them never existed: $(0, 0)$, nothing, and $(1, 1)$, two.
"""

# %% tags=["setup"]
path = paths.edm(80.0)


def run(denoiser, n, d=64, seed=0, steps=40, low=0.05):
    """Samples (n, d): DDIM from pure noise; the last step to D."""
    ts = tables.to_data(tables.by_rho(path, 80.0, low, steps))
    rng = shapes.rng(seed)
    x = 80.0 * torch.randn(n, d, generator=rng, dtype=torch.float64)
    with torch.no_grad():
        return solvers.solve(tables.ddim(path, ts), denoiser, x)


# %%
corners = tensor([[0, 0], [0, 1], [1, 0], [1, 1]])


def landed(n=6000):
    """z-scores of the shares of the four corners."""
    x = run(blind_plane, n, 2, steps=60)
    return shapes.Estimate.of(
        ((x.unsqueeze(1) - corners).abs() < 0.5).all(-1).double()
    )


# %% tags=["hide-input"]
corner_slips = {
    "no hallucination": tensor([0.01, 0.49, 0.49, 0.01]),
    "a third of the samples": tensor([1, 2, 2, 1]) / 6,
    "two, but never none": tensor([0, 1, 1, 1]) / 3,
}

# %% tags=["hide-input"]
corners_claim = Claim(
    id="columns/corners",
    says=r"The probability flow with the best denoiser of separate "
    r"coordinates, for data at $(1, 0)$ and $(0, 1)$, ends at each of "
    r"$(0,0), (0,1), (1,0), (1,1)$ with probability $\frac14$: half of its "
    "samples never occur in the data.",
    papers=("024",),
    kind="statistical",
    formula=tensor([0.25, 0.25, 0.25, 0.25]),
    controls=corner_slips,
    measure=lambda shares, rng: landed().z(shares),
    scale=lambda shares, e: shares * (1 + 200 * e),
    because="so the planted error is one of a fifth",
    seeds=(0,),
    n=6000,
)
check(corners_claim)

# %% [markdown]
r"""
## What does blindness cost?

Pythagoras [above](#eq-columns-pythagoras), for one block that is the whole image and
$f = D'$, says that the risk of a blind denoiser exceeds the least risk by
$\mathbb E |D - D'|^2$ at each noise level. Added up over all of them it is a divergence.
For two laws $p, q$ with denoisers $D_p, D_q$ on the path $x_0 + \sigma z$,

$$
\mathrm{KL}(p \,\|\, q) = \int_0^\infty \mathbb E_p |D_p - D_q|^2\,
\frac{d\sigma}{\sigma^3} .
$$ (eq-columns-kl)

*Proof.* Let $p_\sigma, q_\sigma$ be the laws with noise and $v = \sigma^2$. Both solve
$\partial_v p = \frac12 \Delta p$. Hence $\frac{d}{dv} \mathrm{KL} = \frac12 \int
\bigl( \Delta p \log \frac pq - \frac pq \Delta q \bigr)$, the derivative of the logarithm
of $p$ giving $\frac12 \int \Delta p = 0$. Integrate by parts: the first term is
$-\frac12 \int \nabla p \cdot \nabla \log \frac pq$, the second $+\frac12 \int
\nabla \frac pq \cdot \nabla q = \frac12 \int p\, \nabla \log \frac pq \cdot \nabla \log q$.
Together $-\frac12 \mathbb E_p |\nabla \log p - \nabla \log q|^2$, and by Tweedie's
formula {cite}`efron2011tweedie` the scores differ by $(D_p - D_q)/\sigma^2$. So
$\frac{d}{d\sigma} \mathrm{KL} = 2\sigma \frac{d}{dv} \mathrm{KL} = -\sigma^{-3}\, \mathbb E_p
|D_p - D_q|^2$; as $\sigma \to \infty$ the divergence of bounded data goes to zero, and
at $\sigma = 0$ it is that of the data. For finitely many points the limit is the sum
over points, as soon as $q$ charges all of them; if it does not, both sides are infinite.
$\square$ In information theory this is known as the price of mismatched estimation (Verdú,
2010).

With $q = \prod_B p_B$ the left side is the **total correlation** of the blocks: how many
nats the parts know about each other. This is what blindness costs, no more, no less. For
the two points it is $\log 2$: each of two points has $\frac12$ and gets $\frac14$.
"""


# %%
def paid():
    """The integral over all noise levels, for the two points."""
    z, levels = even(-9.0, 9.0, 121), even(-3.0, 6.0, 121)
    z1, z2 = torch.meshgrid(z, z, indexing="ij")
    w = (-(z1**2 + z2**2) / 2).exp()
    total = 0.0
    for s in levels.exp():  # by symmetry x0 = (1, 0), both coordinates alike
        x = torch.stack([1 + s * z1, s * z2], -1)
        off = seeing(x, s) - blind_plane(x[..., 0], s)
        total += 2 * (w * off**2).sum() / w.sum() / s**2
    return total * (levels[1] - levels[0])


# %% tags=["hide-input"]
price_claim = Claim(
    id="columns/price",
    says=r"For the points $(1, 0)$ and $(0, 1)$, $\int \mathbb E |D - D'|^2 "
    r"\sigma^{-3} d\sigma = \log 2$, the total correlation of the two "
    r"coordinates, $D'$ the best denoiser of separate coordinates.",
    papers=("024",),
    kind="exact",
    formula=tensor(math.log(2)),
    controls={
        "half of it, as if one coordinate paid": tensor(math.log(2) / 2),
        "two bits for one": tensor(2 * math.log(2)),
        "the share of forbidden samples": tensor(0.5),
    },
    tol=1e-8,
    because="trapezoidal rules; what lies beyond the last levels is smaller",
    truth=paid,
)
check(price_claim)

# %% [markdown]
r"""
## How many images are forbidden?

Now cut our images. The columns of paper between the shapes never change and have no say;
let each be a block of its own. Within the columns of shapes there is a ladder of cuts,
from all pixels in one block to each pixel alone. `product_law` lists the law
$\prod_B p_B$: the images by number, with their probabilities.
"""


# %% tags=["setup"]
def box(rows, cols):
    """The pixels of a rectangle."""
    return [8 * i + j for i in rows for j in cols]


def cut(height):
    """Each column of shapes cut into pieces of this many rows."""
    tops = range(0, 8, height)
    return [
        box(range(i, i + height), (j, j + 1)) for j in (0, 3, 6) for i in tops
    ]


# %% tags=["setup"]
gaps = [box(range(8), (2, 5))]
LADDER = {
    "all pixels": [box(range(8), range(8))],
    "columns": [*cut(8), *gaps],
    "halves": [*cut(4), *gaps],
    "rows": [*cut(1), *gaps],
    "pixels": [[i] for i in range(64)],
}


# %% tags=["setup"]
def patterns(law, block):
    """The different values in a block and their probabilities."""
    u, where = law.means[:, block].unique(dim=0, return_inverse=True)
    return u, u.new_zeros(len(u)).index_add(0, where, law.logw.exp())


def product_law(law, blocks):
    """All images of the product of the marginals: numbers, probabilities."""
    code, p = torch.zeros(1, dtype=torch.long), tensor([1.0])
    for block in blocks:
        u, w = patterns(law, block)
        more = ((u > 0).long() << torch.tensor(block)).sum(1)
        code = (code.unsqueeze(1) + more).flatten()
        p = (p.unsqueeze(1) * w).flatten()
    return code, p


# %% tags=["setup"]
def listed(law, blocks, known=law):
    """The shares of seen, novel, double and torn images, by listing."""
    code, p = product_law(law, blocks)
    return p.new_zeros(4).index_add(0, sort(code, known), p)


# %% [markdown]
r"""
With a pencil. Let $q = \frac14$ be the probability that a given half of a column holds
its shape.

*Columns* are independent in truth, so cutting between them changes nothing: all is legal.

*Halves.* Top and bottom copy become independent, and both are there with probability
$q^2$ in each column. Nothing can be torn, because a half is empty or whole. So

$$
\text{double} = 1 - (1 - q^2)^3 = 1 - \left( \tfrac{15}{16} \right)^3
= \tfrac{721}{4096} .
$$ (eq-columns-halves)

More than a sixth of all images are of the paper's kind.

*Pieces.* Let the shape be cut into $k$ pieces that see nothing of each other; for a row
$k = 2$, for pixels $k = s$, the number of pixels of ink of the shape. A half is whole if
all $k$ pieces are there, $q^k$, or none, $(1 - q)^k$. So a column is whole with
probability $(q^k + (1 - q)^k)^2$, and legal with

$$
\ell_k = (1 - q)^{2k} + 2\, q^k (1 - q)^k ,
$$ (eq-columns-pieces)

of which $k = 1$ is the case of halves again. The image is legal with probability
$\prod_c \ell_{k(c)}$ over the columns. Our shapes have 4, 3 and 2 pixels of ink.
"""

# %% tags=["setup"]
INK = {"columns": None, "halves": (1, 1, 1), "rows": (2, 2, 2)}
INK |= {"all pixels": None, "pixels": (4, 3, 2)}


def by_pencil(q=0.25, only_two=True, power=3, tear=True):
    """Legal, double and torn shares, with slips to switch on."""
    rows = []
    for name in LADDER:
        legal = all_whole = 1.0
        for k in INK[name] or ():
            both, none = q**k, (1 - q) ** k
            one = (both + none) ** 2 if tear else 1.0
            legal *= one - both**2 if only_two else one - both
            all_whole *= one
        legal, all_whole = legal ** (power / 3), all_whole ** (power / 3)
        rows.append([legal, all_whole - legal, 1 - all_whole])
    return tensor(rows)


# %% tags=["hide-input"]
def enumerated():
    """The same by listing up to 262,144 images."""
    return torch.stack([listed(law, b)[[0, 2, 3]] for b in LADDER.values()])


ladder_slips = {
    r"$q = \frac12$, as if a shape were always there": by_pencil(q=0.5),
    "one column for three": by_pencil(power=1),
    "one copy forbidden, not two": by_pencil(only_two=False),
    "torn shapes taken for whole ones": by_pencil(tear=False),
}

# %% tags=["hide-input"]
ladder_claim = Claim(
    id="columns/ladder",
    says=r"Three columns, each with its shape at the top ($q = \frac14$), "
    r"at the bottom ($\frac14$) or not at all: the product law of the "
    r"blocks has the legal share $\prod_c [(1-q)^{2k} + 2q^k(1-q)^k]$ and "
    r"the whole share $\prod_c (q^k + (1-q)^k)^2$ if each shape falls into "
    r"$k$ pieces (halves: 1; rows: 2; pixels: 4, 3, 2), and is legal "
    r"throughout for whole columns.",
    papers=("024",),
    kind="exact",
    formula=by_pencil(),
    controls=ladder_slips,
    tol=1e-12,
    because="float64, sums of up to 262,144 products",
    truth=enumerated,
)
check(ladder_claim)

# %% [markdown]
r"""
Does the flow know this? `blind` is the [best denoiser](#eq-columns-blind) under a
restriction, written a little more generally: a list of what is said and what may be seen
for it. For a cut into blocks the two are the same.
"""


# %% tags=["setup"]
def blind(law, rules):
    """The best denoiser that says each part from what it sees of x alone.

    rules: pairs (says, sees) of lists of pixels.
    """
    known = []
    for says, sees in rules:
        u, w = patterns(law, sees)
        same = (law.means[:, None, sees] == u).all(-1).double()
        mean = (same * law.logw.exp()[:, None]).T @ law.means[:, says]
        known.append((says, sees, u, w.log(), mean / w.unsqueeze(1)))

    def denoise(x, t):
        c, out = path.at(t), torch.empty_like(x)
        for says, sees, u, logw, mean in known:
            near = c.a * x[:, sees] @ u.mT - c.a**2 * (u * u).sum(1) / 2
            out[:, says] = (logw + near / c.g2).softmax(1) @ mean
        return out

    return denoise


# %% tags=["setup"]
def of_blocks(blocks):
    """The rules of a cut: each block says itself from itself."""
    return [(block, block) for block in blocks]


# %%
climbed = {
    name: run(blind(law, of_blocks(b)), 1500) for name, b in LADDER.items()
}


# %% mystnb={"figure": {"caption": "The same nine starts, carried by the exact denoiser (top row) and by the best denoisers that see one column, half a column, one row of a column, one pixel at a time.", "name": "fig-columns-strip"}, "image": {"alt": "Five rows of nine small images. In the first two rows each column holds at most one copy of its shape. In the third row some columns hold two copies, at the top and at the bottom. In the fourth shapes are torn into rows, in the last into loose pixels."}}
figures.strip(
    [x[:9] for x in climbed.values()],
    list(LADDER),
    [""] * 9,
    "The less it sees, the more it invents",
)
plt.show()

# %% [markdown]
r"""
What to see: down to *columns* nothing forbidden happens. At *halves* copies double, each
of them perfect. Below, shapes tear. The numbers of 1,500 runs each, against the list:
"""

# %% tags=["hide-input"]
runs_slips = {
    "all legal, as for the exact denoiser": tensor([[1.0, 0.0, 0.0]] * 5),
    "one column for three": by_pencil(power=1),
    "one copy forbidden, not two": by_pencil(only_two=False),
    "torn shapes taken for whole ones": by_pencil(tear=False),
}


def counted(x):
    """The shares of legal, double and torn images among samples."""
    return shapes.Estimate.of(kinds(x)[:, [0, 2, 3]])


def off_list(shares):
    """z-scores on the ladder, with the binomial error of the larger share."""
    got = torch.stack([counted(x).value for x in climbed.values()])
    p = torch.stack([shares, got]).clamp(1e-3, 1 - 1e-3)
    return (got - shares) / (p * (1 - p) / 1500).sqrt().amax(0)


# %% tags=["hide-input"]
runs_claim = Claim(
    id="columns/ladder-runs",
    says=r"The probability flow with the best denoiser of a cut (all "
    r"pixels, columns, halves, rows, pixels; 40 DDIM steps) samples legal, "
    r"double and torn images with the shares of the product law.",
    papers=("024",),
    kind="statistical",
    formula=by_pencil(),
    controls=runs_slips,
    measure=lambda shares, rng: off_list(shares),
    scale=lambda s, e: s * (1 + 500 * e),
    because="so the planted error is one of a half",
    seeds=(0,),
    n=1500,
)
check(runs_claim)

# %% [markdown]
r"""
## How far must a pixel see?

A convolutional net does not cut an image into blocks. Each pixel is said from a
**window** around it, all pixels at most $r$ rows and $r$ columns away, where $r$ is the
*reach* of the net: a $3 \times 3$ convolution adds one. Pythagoras
[above](#eq-columns-pythagoras) holds for each pixel by itself, so the best denoiser is
$D'_i(x, t) = \mathbb E[x_{0,i} \mid x_{t,W(i)}]$ with the window $W(i)$ in the place of
the block. This is the local score machine of Kamb and Ganguli
{cite}`kamb2025creativity`. Windows overlap, and in general the field need not be the
exact denoiser of any law. In our world one case is simple.

*For reach 1 to 4 the best denoiser is that of the halves.* A pixel of the upper copy is
in row 0 or 1. With reach $1 \le r \le 4$ its window contains the whole upper copy, and
it ends at row 5 or before: of the lower copy, rows 6 and 7, it sees nothing. Rows 2 to 5
are paper, which is no news, and other columns are independent of its own. So what is
known of the pixel is what its half says. The same holds from below. Pixels that are
never inked are said to be paper in any case.

(A convolution is the same everywhere, and learns where a pixel is from the zeros around
the image. This can only restrict a net further: the best denoiser of windows may be
another function for each pixel.) So a net of reach 4 can be trained for ever. No such net
has a smaller risk than the denoiser of the halves, and that one paints
[721 double images in 4096](#eq-columns-halves).
"""


# %%
def windows(reach):
    """The rules of a net that sees so far: each pixel from its window."""

    def near(i):
        return range(max(0, i - reach), min(8, i + reach + 1))

    return [
        ([8 * i + j], box(near(i), near(j)))
        for i in range(8)
        for j in range(8)
    ]


# %%
levels = even(-1.5, 2.0, 40).exp()
noisy = worlds.World(path, law).draw(40, levels, shapes.rng(5))[2]


def asked(rules):
    """The best denoiser under some rules, at forty noisy images."""
    D, pairs = blind(law, rules), zip(noisy, levels, strict=True)
    return torch.cat([D(x[None], s) for x, s in pairs])


# %%
def half_by_half():
    """The denoisers of the halves, by the package, from their own laws."""
    out = -torch.ones_like(noisy)
    for block in cut(4):
        u, w = patterns(law, block)
        part = worlds.World(path, laws.mixture(u, 0.0, w))
        out[:, block] = part.denoise(noisy[:, block], levels)
    return out


# %% tags=["hide-input"]
reach_claim = Claim(
    id="columns/reach",
    says=r"In the world of the columns the best denoiser that says each "
    r"pixel from a window of reach $r$ is that of the six halves for $r = "
    r"1$ and $4$; it is not for $r = 0$ and $r = 5$ (40 noisy images, "
    r"$\sigma$ from 0.2 to 7).",
    papers=("024",),
    kind="exact",
    formula=torch.stack([asked(windows(r)) for r in (1, 4)]),
    controls={
        f"reach {r}": asked(windows(r)).expand(2, -1, -1) for r in (0, 5)
    },
    tol=1e-12,
    because="float64; differences of squares are taken inside the "
    "exponential",
    truth=half_by_half().expand(2, -1, -1),
)
check(reach_claim)

# %% [markdown]
r"""
How strongly does training pull at a net of longer reach? By what blindness
[costs](#eq-columns-kl): the total correlation of the pieces, if the loss weighs levels by
$\sigma^{-3}$. In one column the state
*nothing* has probability $\frac12$ and gets $(1 - q)^{2k}$ from the product law, each of
the other two has $\frac14$ and gets $q^k (1 - q)^k$. So

$$
T_k = \tfrac12 \log \frac{1/2}{(1 - q)^{2k}} + \tfrac12 \log
\frac{1/4}{q^k (1 - q)^k}
$$ (eq-columns-nats)

nats for each column, and $\frac12 \log \frac{32}{27}$ for halves, which is less than a
tenth of a nat: *all that there is to gain from never painting two*. For comparison, the
pixels of one column know several nats of each other. The second route is the integral,
by chance: noise levels, images and noise are drawn, and two denoisers compared.
"""


# %% tags=["hide-input"]
def total_correlation(q=0.25, columns=3, joint=(0.5, 0.25)):
    """T_k, added up over the columns, on the ladder below columns."""
    none, one = joint
    out = []
    for name in ("halves", "rows", "pixels"):
        out.append(
            sum(
                none * math.log(none / (1 - q) ** (2 * k))
                + 2 * one * math.log(one / (q**k * (1 - q) ** k))
                for k in INK[name][:columns]
            )
        )
    return tensor(out)


# %% tags=["hide-input"]
@functools.cache
def integrals(seed, n=12000):
    """The integral of E|D - D'|^2 / s^3, s random from 0.1 to 40."""
    rng, (low, high) = shapes.rng(seed), (math.log(0.1), math.log(40.0))
    u = torch.rand(n, generator=rng, dtype=torch.float64)
    s = (low + (high - low) * u).exp()
    x = worlds.World(path, law).draw(n, s, rng)[2]
    exact, s = worlds.World(path, law).denoise(x, s), s.unsqueeze(1)
    off = [
        (blind(law, of_blocks(LADDER[name]))(x, s) - exact).square() / s**2
        for name in ("halves", "rows", "pixels")
    ]
    each = torch.stack([o.sum(1) for o in off], 1) * (high - low)
    return shapes.Estimate.of(each)


# %% tags=["hide-input"]
nats_slips = {
    "one column for three": total_correlation(columns=1),
    "bits for nats": total_correlation() / math.log(2),
    "half of it": total_correlation() / 2,
}

# %% tags=["hide-input"]
nats_claim = Claim(
    id="columns/nats",
    says=r"$\int \mathbb E |D - D'|^2 \sigma^{-3} d\sigma$ is the total "
    r"correlation $\sum_c T_{k(c)}$ of the pieces: $\frac32 \log "
    r"\frac{32}{27}$ nats for halves (less than a third of a nat for three "
    r"columns), and as [above](#eq-columns-nats) for rows and pixels.",
    papers=("024",),
    kind="statistical",
    formula=total_correlation(),
    controls=nats_slips,
    measure=lambda v, rng: integrals(rng.initial_seed()).z(v),
    scale=lambda v, e: v * (1 + 300 * e),
    because="so the planted error is one of three tenths",
    seeds=(0,),
    n=12000,
)
check(nats_claim)

# %% [markdown]
r"""
## Is a new image a hallucination?

So far the model knew the law. Let it know 24 draws instead, `columns.seen()`, in which
some legal images are missing: they never occurred, though nothing forbids them. What do
the best denoisers of *this* data set paint?

All pixels in one block: the training set, and nothing else, ever. That is **memory**.
Cut between the columns, and the law is the product of three tables of frequencies, one
for each column: new combinations come up, all of them legal. That is **novelty**. Cut
into halves, and they come up doubled. That is **hallucination**. Formula
[above](#eq-columns-product) is the same in all three cases. Let $m_c(s)$ be the
frequency of the state $s$ in column $c$ among the draws, $u_c, l_c$ those of top and
bottom, and $h_c(s)$ equal to $(1 - u_c)(1 - l_c)$, $u_c (1 - l_c)$ and
$(1 - u_c)\, l_c$ for nothing, top and bottom. With $S$ the set of different images that
were drawn,

$$
\begin{gathered}
\text{columns:} \quad \text{seen} = \sum_{s \in S} \prod_c m_c(s_c), \quad
\text{double} = 0, \\
\text{halves:} \quad \text{seen} = \sum_{s \in S} \prod_c h_c(s_c), \quad
\text{double} = 1 - \prod_c (1 - u_c l_c),
\end{gathered}
$$ (eq-columns-few)

and what is left is novel.
"""

# %%
few = columns.seen()
ends = few.means.unflatten(-1, (8, 8))[:, (1, 7)][..., (0, 3, 6)] > 0
state = torch.where(ends[:, 0], 1, torch.where(ends[:, 1], 2, 0))  # (K, 3)


def few_by_pencil(weights=None, mass=None, either=False):
    """Seen, novel and double shares: all pixels, columns, halves."""
    w = few.logw.exp() if weights is None else weights
    m = torch.stack([((state == s) * w[:, None]).sum(0) for s in range(3)])
    m = m if mass is None else mass.unsqueeze(1).expand(3, 3)
    u, low = m[1], m[2]
    h = torch.stack([(1 - u) * (1 - low), u * (1 - low), (1 - u) * low])
    legal = 1 - (u + low - u * low if either else u * low)
    rows = [[1.0, 0.0, 0.0]]
    for table, whole in ((m, tensor(1.0)), (h, legal.prod())):
        seen = table.gather(0, state).prod(1).sum()
        rows.append([seen, whole - seen, 1 - whole])
    return tensor(rows)


# %% tags=["hide-input"]
equal = torch.full((few.k,), 1 / few.k, dtype=torch.float64)
few_slips = {
    "the true frequencies for those of the draws": few_by_pencil(
        mass=tensor([0.5, 0.25, 0.25])
    ),
    "each image once, however often it was drawn": few_by_pencil(equal),
    "one copy forbidden, not two": few_by_pencil(either=True),
}
three_cuts = ("all pixels", "columns", "halves")

# %% tags=["hide-input"]
memory_claim = Claim(
    id="columns/memory",
    says="The best denoisers of 24 draws paint seen, novel and double "
    "images with these shares: all pixels, only seen ones; columns, the "
    "products of the frequencies of the columns, with novel images and no "
    "forbidden one; halves, the products of their frequencies, with novel "
    "and double images.",
    papers=("024",),
    kind="exact",
    formula=few_by_pencil(),
    controls=few_slips,
    tol=1e-12,
    because="float64",
    truth=lambda: torch.stack(
        [listed(few, LADDER[name], few)[:3] for name in three_cuts]
    ),
)
check(memory_claim)

# %% [markdown]
r"""
And by the flow:
"""

# %%
painted = [run(blind(few, of_blocks(LADDER[c])), 1500) for c in three_cuts]


# %% tags=["hide-input"]
def off_few(shares):
    """z-scores of the three kinds under the three cuts."""
    got = torch.stack([kinds(x, few)[:, :3].mean(0) for x in painted])
    p = torch.stack([shares, got]).clamp(1e-3, 1 - 1e-3)
    return (got - shares) / (p * (1 - p) / 1500).sqrt().amax(0)


three_slips = {
    "one copy forbidden, not two": few_by_pencil(either=True),
    "novel for double": few_by_pencil()[:, [0, 2, 1]],
    "memory throughout": tensor([[1.0, 0.0, 0.0]] * 3),
}

# %% tags=["hide-input"]
three_claim = Claim(
    id="columns/memory-runs",
    says="The probability flow with the best denoisers of 24 draws (all "
    "pixels, columns, halves) paints seen, novel and double images with "
    "these shares.",
    papers=("024",),
    kind="statistical",
    formula=few_by_pencil(),
    controls=three_slips,
    measure=lambda shares, rng: off_few(shares),
    scale=lambda s, e: s * (1 + 300 * e),
    because="so the planted error is one of three tenths",
    seeds=(0,),
    n=1500,
)
check(three_claim)

# %% [markdown]
r"""
**Novelty and hallucination are one mechanism.** A denoiser that does not use all of the
image, or cannot, assumes that its parts are independent. If the assumption is true it
finds legal images that it was never shown; if it is false it finds forbidden ones. The
training set cannot tell the two apart: in it, neither kind has ever occurred.

## What do nets use?

Now nets, trained on fresh draws of the law, five seeds of each kind:

- **near**: convolutions of reach 4, one residual block of 24 channels;
- **far**: convolutions of reach 8, three blocks of 16 channels, so that every pixel can
see every other;
- **whole**: a multilayer perceptron with two layers of 112, which has no notion of far.

Before they paint anything we ask how much of the image they use. Let $D$ be the exact
denoiser and $D'$ that of the halves, which for reach 4 is the best one. What is to be
gained by looking further is $D - D'$; what a net $N$ says beyond $D'$ is $N - D'$. The
**use** of the net is the coefficient of regression of the second on the first,

$$
c = \frac{\mathbb E\, \sigma^{-2}\, (N - D') \cdot (D - D')}
{\mathbb E\, \sigma^{-2}\, |D - D'|^2} ,
$$ (eq-columns-use)

the mean over the law, the noise, and noise levels as in training. It is $1$ for $D$ and
$0$ for $D'$. And it is $0$ *for every net of reach 4, whatever its weights*: for a pixel $i$ the
difference $N_i - D'_i$ is a function of the window $W(i)$, and given the window the mean
of $D_i$ is $D'_i$, so that the product has mean zero. The number needs no sampler, and
errors that a net makes with what its window holds do not move it.
"""


# %%
nets = {r.name.split("-")[1]: r.shipped() for r in columns.COLUMNS}
halves = of_blocks(LADDER["halves"])


@functools.cache
def gain(n=3000):
    """Noisy images, their levels, D' there, and (D - D') / sigma."""
    rng, level = shapes.rng(7), columns.LEVELS
    z = torch.randn(n, generator=rng, dtype=torch.float64)
    t = (level["mean"] + level["sd"] * z).exp()
    x = worlds.World(path, law).draw(n, t, rng)[2]
    near = blind(law, halves)(x, t.unsqueeze(1))
    more = worlds.World(path, law).denoise(x, t) - near
    return x, t, near, more / t.unsqueeze(1)


# %%
def use(field):
    """The use c of a field, with its standard error."""
    x, t, near, more = gain()
    with torch.no_grad():
        said = (field(x, t) - near) / t.unsqueeze(1)
    product, square = (said * more).sum(1), more.square().sum(1)
    c = product.mean() / square.mean()
    error = (product - c * square).std() / len(x) ** 0.5 / square.mean()
    return shapes.Estimate(c, error)


uses = {
    name: [use(net.field(k)) for k in range(5)] for name, net in nets.items()
}
near_use = shapes.Estimate(*map(torch.stack, zip(*uses["near"], strict=True)))

# %% tags=["hide-input"]
use_claim = Claim(
    id="columns/use",
    says=r"Five trained nets of reach 4 use nothing of what lies beyond: the "
    r"regression of $N - D'$ on $D - D'$ is zero ($D$ exact, $D'$ best for "
    "halves).",
    papers=("024",),
    kind="statistical",
    formula=0.0,
    controls={
        "a third of it": 1 / 3,
        "half of it": 0.5,
        "all of it, as a converged net": 1.0,
    },
    measure=lambda c, rng: near_use.z(c),
    scale=lambda c, e: c + 300 * e,
    because="so the planted error is a use of three tenths",
    seeds=(7,),
    n=3000,
)
check(use_claim)

# %% [markdown]
r"""
## Do nets that look further double less?

Each net paints 400 images. Sorting them as above would leave out those that are unclear,
and of these nets paint some. So we ask every image, by signs alone, whether some column
holds ink at both ends. For the product law of the halves the probability is
[again](#eq-columns-halves) $1 - (15/16)^3$, because a half holds ink if and only if it
holds the shape.

What do we expect of a net of use $c$? There is no theorem: $c$ is one number for a whole
field. The simplest guess is that in each column a fraction $1 - c$ of what a blind
sampler doubles is doubled still,

$$
\text{share}(c) = 1 - \Bigl( 1 - \frac{1 - c}{16} \Bigr)^3 .
$$ (eq-columns-rule)

It has no constant to fit. At $c = 0$ and $c = 1$ it is exact for $D'$ and $D$.
"""


# %% tags=["setup"]
def twice_held(x):
    """Whether some column holds ink, by sign, at both ends; x (n, 64)."""
    ink = torch.stack([(x[:, half] > 0).any(1) for half in cut(4)], 1)
    return (ink[:, ::2] & ink[:, 1::2]).any(1).double()


# %%
pictures = {
    name: [run(net.field(k), 400, seed=10 + k, steps=20) for k in range(5)]
    for name, net in nets.items()
}
doubled = {
    name: [twice_held(x).mean() for x in rows]
    for name, rows in pictures.items()
}

# %% [markdown]
r"""
First a look at some pictures.
"""

# %% mystnb={"figure": {"caption": "From the same nine starts: one net of reach 4, two of reach 8 that differ in their seed alone, those of least and most use, and a perceptron.", "name": "fig-columns-nets"}, "image": {"alt": "Four rows of nine small images of three columns. In the first two rows some columns hold two copies, at the top and at the bottom; in the third and the fourth hardly any do, and some shapes of the last row are grey."}}
blindest, sharpest = (
    pick(range(5), key=lambda k: uses["far"][k].value) for pick in (min, max)
)
shown = {"near": ("near", 0), "far, least use": ("far", blindest)}
shown |= {"far, most": ("far", sharpest), "whole": ("whole", 1)}
starts = {name: nets[kind].field(k) for name, (kind, k) in shown.items()}
figures.strip(
    [run(field, 9, seed=3, steps=20) for field in starts.values()],
    list(shown),
    [""] * 9,
    "Whoever cannot see the other end doubles; who can, may",
)
plt.show()

# %% mystnb={"figure": {"caption": "Fifteen nets: their use of what lies beyond reach 4, and the share of their images in which some column holds ink at both ends. Grey: the guess, without a fitted constant; dotted: the exact share of the product of halves.", "name": "fig-columns-rule"}, "image": {"alt": "A falling grey curve from 0.18 at use zero to zero at use one. The five nets of reach 4 lie at its left end, on it or a little below, the five perceptrons near its right end at shares close to zero. The five nets of reach 8 are scattered along it, from the left end to the right."}}
figure, axes = figures.canvas("Doubles fall as nets look further")
along = even(0.0, 1.0, 101)
axes.plot(along, 1 - (1 - (1 - along) / 16) ** 3, color=figures.EXACT, lw=3)
axes.axhline(721 / 4096, color=figures.NOISE, ls=":")
marks = {"near": "s", "far": "o", "whole": "^"}
for name, mark in marks.items():
    xs = [u.value for u in uses[name]]
    hollow = {"far": figures.LEARNED}.get(name, "none")
    axes.plot(
        xs, doubled[name], mark, color=figures.LEARNED, mfc=hollow, label=name
    )
axes.legend(loc="lower left", labelcolor=figures.LEARNED)
axes.set(xlabel="use $c$", ylabel="share of doubles", yticks=[0, 0.1, 0.2])
plt.show()


# %% tags=["hide-input"]
def off_rule(rule, seeds):
    """For each seed, how far the worst kind of net is from a rule."""
    return [
        max(
            abs(float(doubled[name][k] - rule(uses[name][k].value)))
            for name in nets
        )
        for k in seeds
    ]


rule_slips = {
    "hallucination whatever a net uses, $c = 0$": lambda c: 721 / 4096,
    "none, as for the exact denoiser": lambda c: 0.0,
    "upside down, $c$ for $1 - c$": lambda c: 1 - (1 - c / 16) ** 3,
}

# %% tags=["hide-input"]
rule_claim = Claim(
    id="columns/rule",
    says=r"Fifteen nets, five each of reach 4, of reach 8 and perceptrons: "
    r"the share of images in which a column holds ink at both ends is $1 - "
    r"(1 - (1 - c)/16)^3$ up to 0.08, where $c$ is the use of the net.",
    papers=("024",),
    kind="trained",
    formula=lambda c: 1 - (1 - (1 - c) / 16) ** 3,
    controls=rule_slips,
    tol=0.08,
    because="set after measuring: at most 0.05 here and with five other "
    "seeds, of which 400 images can give 0.06 by chance (three standard "
    "errors)",
    measure=off_rule,
    scale=lambda rule, e: lambda c: rule(c) + 150 * e,
    seeds=(0, 1, 2, 3, 4),
    n=400,
)
check(rule_claim)

# %% [markdown]
r"""
What was seen. Nets of reach 4 double about as often as the exact count says, and could
not do otherwise. Nets of reach 8 lie where their use puts them: same data, same steps,
same architecture, and how far they have learned to look differs from seed to seed.
*That a net can see is not that it looks.* The pull is [weak](#eq-columns-nats), and a net
that has not followed it yet fails as the blind do. How often can be read off its use, in
rough numbers, before it has painted a single image. For perceptrons the other end of a
column is as near as the next pixel, and they have found it:
"""

# %% tags=["hide-input"]
whole_claim = Claim(
    id="columns/whole-nets",
    says=r"Each of five perceptrons has a use $c$ above 0.6, and doubles "
    r"less than 4 images in 100.",
    papers=("024",),
    kind="trained",
    formula="whole",
    controls={"nets of reach 4": "near"},
    tol=0.4,
    because="of $1 - c$ and of ten times the share; set after measuring: "
    "below 0.2 here, below 0.25 with five other seeds",
    measure=lambda name, seeds: [
        max(1 - float(uses[name][k].value), 10 * float(doubled[name][k]))
        for k in seeds
    ],
    scale="kinds of nets are compared, and a kind has no scale",
    seeds=(0, 1, 2, 3, 4),
    n=400,
)
check(whole_claim)

# %% [markdown]
r"""
The rule is no theorem, and here is a field that breaks it. $\frac12 (D + D')$ has the use
$\frac12$ at every level, by construction. But it does not look at half of the columns; it
looks at all of them by half. Where both copies have begun to show, $D$ takes one of them
back and $D'$ none, so the mean says that its pixels are neither ink nor paper. From
there $D'$ gives it up as well, or it ends unclear:
"""

# %% tags=["hide-input"]
both = worlds.World(path, law).denoise, blind(law, halves)
by_half = run(
    lambda x, t: (both[0](x, t) + both[1](x, t)) / 2, 2000, seed=3, steps=20
)


def off_share(p):
    """How many standard errors the share of doubles is from p."""
    error = math.sqrt(max(p, 1e-3) * (1 - p) / 2000)
    return (twice_held(by_half).mean() - p) / error


# %% tags=["hide-input"]
broken_claim = Claim(
    id="columns/rule-fails",
    says=r"The field $\frac12 (D + D')$, of use $c = \frac12$, paints hardly "
    r"any image in which a column holds ink at both ends.",
    papers=("024",),
    kind="statistical",
    formula=0.0,
    controls={
        r"the rule, at $c = \frac12$": 1 - (1 - 1 / 32) ** 3,
        "the blind": 721 / 4096,
    },
    measure=lambda p, rng: off_share(p),
    scale=lambda p, e: abs(150 * e),
    because="so the planted error is a share of three twentieths",
    seeds=(3,),
    n=2000,
)
check(broken_claim)

# %% [markdown]
r"""
## Break it

Give `columns/ladder` only the row of the halves. Then "torn shapes taken for whole ones"
is no longer wrong, since halves do not tear, and the verdict says that this control was
not rejected. Or measure $c$ of the near nets with $D'$ for *pixels* in the place of that
for halves: now they use a great deal, and reach 4 is no longer what is measured.

## What this does not show

*The world is built for it.* Its parts are independent in truth but for one rule, so that
the product law is easy to write down; in photographs no cut is right, and what is
forbidden stands in no list. *The paper's nets were not trained here.* Whether they paint
two squares for want of reach, or because they had not learned to look, or for a third
reason, is not shown. *The other half of the story is missing.* Mode interpolation proper,
samples [between neighbouring modes](gap.ipynb), is what we called unclear and did not
study. *The rule from use to doubles is no theorem*; why nets obey it, to the accuracy of
the claim, is open. And fifteen small nets on one world say nothing about how use grows
with size, data or steps.

## Exercises

**1.** The data are $(1, 0)$ with probability `p` and $(0, 1)$ with probability $1 - p$.
Which share of the samples of the best denoiser of separate coordinates never occurs in
the data?
"""

# %%
chances = {"p": tensor([0.5, 0.1, 0.25, 0.9, 0.01, 1.0])}


def never_by_list(p):
    """The forbidden mass, by listing the product law."""
    points, out = tensor([[1.0, 0.0], [0.0, 1.0]]), []
    for each in p:
        weights = torch.stack([each, 1 - each]).clamp_min(1e-300)
        two = laws.mixture(points, 0.0, weights)
        seen = product_law(two, [[0], [1]])
        legal = (seen[0] == 1) | (seen[0] == 2)
        out.append(seen[1][~legal].sum())
    return torch.stack(out)


# %% tags=["hide-input"]
pair_exercise = Claim(
    id="columns/pair-exercise",
    says="the forbidden share of two points under the product law",
    papers=("024",),
    kind="exact",
    formula=None,
    controls={
        "half of the samples, as for p = 1/2": lambda p: 0.5 + 0 * p,
        "only both, but none is forbidden too": lambda p: p * (1 - p),
        "this is the legal share": lambda p: p**2 + (1 - p) ** 2,
    },
    tol=1e-12,
    because="float64",
    at=chances,
    truth=never_by_list,
)


# %% tags=["solution", "hide-cell"]
def forbidden(p):
    """The share of (0, 0) and (1, 1); p: (n)."""
    return 2 * p * (1 - p)


# %%
attempt(pair_exercise, forbidden)

# %% [markdown]
r"""
**2.** A column has `m` places for its shape instead of two. It is empty with probability
$1 - h$, and each place holds it with probability $h/m$. A net sees one place at a time.
Derive what its blindness costs in nats, as a function of tensors `h` (in $(0, 1)$) and
`m`. (Check yourself: with one place there is nothing to know, and [two](#eq-columns-nats)
you have seen.)
"""

# %%
many = {
    "h": tensor([0.5, 0.5, 0.9, 0.2, 0.7, 0.3]),
    "m": tensor([2.0, 1.0, 3.0, 5.0, 8.0, 4.0]),
}


def cost_by_entropies(h, m):
    """Entropies of the places, less that of the column, by torch."""
    out = []
    for each, places in zip(h, m.long().tolist(), strict=True):
        p = torch.cat([(1 - each)[None], (each / places).expand(places)])
        whole = torch.distributions.Categorical(probs=p).entropy()
        one = torch.distributions.Bernoulli(probs=each / places).entropy()
        out.append(places * one - whole)
    return torch.stack(out)


# %% tags=["hide-input"]
def cost_of(h, m, none=1.0, others=1.0, unit=1.0):
    """The cost, with slips to switch on."""
    q = h / m
    empty = (1 - h) * ((1 - h).log() - none * m * (1 - q).log())
    return (empty - others * h * (m - 1) * (1 - q).log()) / unit


places_slips = {
    "only the empty column pays": lambda h, m: cost_of(h, m, others=0.0),
    "only columns with the shape pay": lambda h, m: (
        -h * (m - 1) * (1 - h / m).log()
    ),
    "an empty column has m empty places": lambda h, m: cost_of(
        h, m, none=1 / m
    ),
    "bits, not nats": lambda h, m: cost_of(h, m, unit=math.log(2)),
}

# %% tags=["hide-input"]
places_exercise = Claim(
    id="columns/places-exercise",
    says="the total correlation of m places of which at most one is taken",
    papers=("024",),
    kind="exact",
    formula=None,
    controls=places_slips,
    tol=1e-9,
    because="float64, and torch keeps probabilities away from 0 and 1",
    at=many,
    truth=cost_by_entropies,
)


# %% tags=["solution", "hide-cell"]
def cost(h, m):
    """The total correlation in nats; h, m: (n)."""
    left = (1 - h / m).log()
    return (1 - h) * ((1 - h).log() - m * left) - h * (m - 1) * left


# %%
attempt(places_exercise, cost)

# %% [markdown]
r"""
**3.** *An experiment.* When must one look? `late_blind(tau)` is the share of doubles of a
sampler that sees the whole image while $\sigma > \tau$, and after that only halves. It
grows from zero to the share of the blind. Write a function that is given `late_blind` and
returns the level $\tau$ at which half of that share is reached. (Then turn the sampler
round: halves first, and the whole image below $\tau$. How late may it begin to look, and
why is so little enough?)
"""


# %% tags=["setup"]
@functools.cache
def late_blind(tau):
    """The share of doubles if D is asked above tau and D' below."""
    exact = worlds.World(path, law).denoise
    near = blind(law, of_blocks(LADDER["halves"]))
    x = run(
        lambda x, t: exact(x, t) if t > tau else near(x, t),
        600,
        seed=21,
        steps=20,
    )
    return twice_held(x).mean().item()


# %% tags=["hide-input"]
when_exercise = Claim(
    id="columns/when-exercise",
    says="the level below which half of the doubles arise",
    papers=("024",),
    kind="exact",
    formula=None,
    controls={
        "halfway between the first and the last level": lambda f: 40.0,
        "here hardly anything is decided yet": lambda f: 5.0,
        "the ink of a pixel is no scale": lambda f: 1.0,
    },
    tol=0.08,
    because="the share is a step function: levels and 600 starts are finite",
    measure=lambda answer: abs(
        late_blind(float(answer(late_blind))) / late_blind(80.0) - 0.5
    ),
)


# %% tags=["solution", "hide-cell"]
def half_way(share):
    """tau with share(tau) = share(80) / 2, by halving an interval of logs."""
    low, high = math.log(0.05), math.log(80.0)
    for _ in range(8):
        middle = (low + high) / 2
        rare = share(math.exp(middle)) < share(80.0) / 2
        low, high = (middle, high) if rare else (low, middle)
    return math.exp(middle)


# %%
attempt(when_exercise, half_way)

# %% [markdown]
r"""
**4.** *A new control.* `windows` takes the same reach for rows and columns. Write windows
that reach over four rows and all columns, and windows that reach over all rows and one
column. One of the two passes as a formula of `columns/reach`. The other is rejected,
though it is the best denoiser of all: why does no pixel need to see sideways?

## Summary

| what | formula |
|---|---|
| best denoiser of blocks | exact denoiser of $\prod_B p_B$ |
| its excess over all noise levels | total correlation, in nats |
| two points, one each | half of the samples forbidden, $\log 2$ nats |
| halves of three columns | $1 - (15/16)^3$ double, $\frac32 \log \frac{32}{27}$ nats |
| pieces of a shape, $k$ each | legal $\prod_c [(1-q)^{2k} + 2 q^k (1-q)^k]$ |
| reach 1 to 4 | as halves |
| 24 draws | all pixels: memory; columns: novelty; halves: novelty and doubles |
| use of a net | regression of $N - D'$ on $D - D'$; zero for reach 4 |
| doubles of a net, a guess | $1 - (1 - (1 - c)/16)^3$; not for $\frac12 (D + D')$ |

**Where next.** [Nets](nets.ipynb) counts the samples of trained nets between modes on
the line; [the detector](detector.ipynb) asks whether a model knows when it hallucinates;
[the card](card.ipynb) holds the paper's statements against ours.
"""
