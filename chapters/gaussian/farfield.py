# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# How wrong is the Gaussian score?

[The Gaussian painter](painters.ipynb) knows of the data nothing but a mean and a
covariance. Digits are not Gaussian, and yet its guesses are good while the noise is
strong. We find how good, with the constant: far out in the noise the error is the
first cumulant that was left out, divided by a power of the noise level.

- **You need** [the Gaussian's guess](painters.ipynb), Taylor's formula, and
[how to read a claim](../start/reading.ipynb).
- **You get** the best affine denoiser of any law; the far field of every denoiser
with its constant; where it begins for digits; what a coarse mixture adds; what a
trained net shares with its Gaussian, and what it learns first.
- **Paper** 106, Wang and Vastola {cite}`wang2024unreasonable`.
- **Claims** on a mixture in the plane, on digits and on five nets, all named
`farfield/...`.
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

import matplotlib.pyplot as plt
import sympy
import torch
from numpy.polynomial.hermite_e import hermegauss

from diffkit import (
    data,
    figures,
    laws,
    learning,
    metrics,
    paths,
    recipes,
    shapes,
    worlds,
)
from diffkit.claims import Claim, attempt, check
from diffkit.recipes import digits as recipe

# %% [markdown]
r"""
Noise is added and the data are not scaled, $x = x_0 + s z$ with $z \sim \mathcal
N(0, I)$: the path `EDM`, whose time is the noise level $s$. On any other path the
state divided by $a$ is such an $x$, at the level $s = g/a$
([the notation](../start/notation.ipynb)). Two worlds will do.

The first is a mixture of three Gaussians in the plane, with the weights
$\frac12, \frac3{10}, \frac15$ and the means and covariances of this cell. The second
is the finite set of the 1,797 digits
{cite}`pedregosa2011sklearn,alpaydin1998digits` of $8 \times 8$ pixels.
"""

# %% tags=["setup"]
far = paths.edm(1e6)
pixels, labels = data.digits()
crowd = laws.dataset(pixels)


def real(numbers):
    """A tensor in double precision, with no detour through single."""
    return torch.tensor(numbers, dtype=torch.float64)


def guess(law, x, s):
    """E[x0 | x0 + s z = x], x0 from the law."""
    return worlds.World(far, law).denoise(x, s)


def twin(law):
    """The Gaussian with the law's mean and covariance."""
    return laws.gaussian(law.mean(), law.cov())


# %% tags=["setup"]
centre = real([[-1.2, 0.3], [1.5, 1.0], [1.0, -1.4]])
forms = [
    [[0.5, 0.1], [0.1, 0.3]],
    [[0.2, 0.0], [0.0, 0.4]],
    [[0.3, -0.1], [-0.1, 0.2]],
]
plane = laws.mixture(centre, real(forms), real([0.5, 0.3, 0.2]))
coin = laws.mixture(real([[-1.0], [1.0]]), 0.25)

# %% [markdown]
r"""
## What is the best guess that is affine?

Let $x_0$ have any law with mean $m$ and covariance $C$, and $C_s = C + s^2 I$, the
covariance of $x$, which is invertible for $s > 0$ even where $C$ is not. Among all
affine maps $D'(x) = m + A(x - m) + b$ the mean square error is, $x_0 - m$ and $x - m$
being centred,

$$
\mathbb E |D'(x) - x_0|^2 = |b|^2 + \operatorname{tr}\bigl(A C_s A^\top - 2 A C + C\bigr),
$$ (eq-farfield-risk)

because $\operatorname{Cov}(x_0, x) = C$. It is a convex quadratic in $A$ and $b$; its
gradient $2(A C_s - C)$ vanishes at $A = C C_s^{-1}$, and $b = 0$. But this is
[the guess for Gaussian data](painters.ipynb),

$$
D_G(x) = m + C\, C_s^{-1} (x - m).
$$ (eq-farfield-affine)

So "the Gaussian part" of a denoiser is a notion that needs no Gaussian: it is the
best affine guess of **every** law. To see it on digits we solve the normal equations
of the regression of $x_0$ on $(x, 1)$, with raw moments of the 1,797 digits, no mean
removed and no eigenvector in sight.
"""

# %%
some_s = (0.3, 1.0, 4.0)


def regression():
    """The best affine maps, by normal equations in raw moments."""
    both = torch.cat([pixels, torch.ones(len(pixels), 1)], 1)
    raw = both.mT @ both / len(both)
    noise = torch.diag(real([1.0] * 64 + [0.0]))
    maps = [
        torch.linalg.solve(raw + s**2 * noise, raw[:, :64]) for s in some_s
    ]
    return torch.stack(maps)


def read(field):
    """The same of a field, from its values at 0 and unit vectors."""
    spots = torch.cat([torch.eye(64), torch.zeros(1, 64)]).double()
    rows = torch.stack([field(spots, s) for s in some_s])
    return torch.cat([rows[:, :-1] - rows[:, -1:], rows[:, -1:]], 1)


# %% tags=["hide-input"]
own = twin(crowd)
flat = laws.gaussian(own.mean(), own.cov().trace() / 64)
wide = laws.gaussian(own.mean(), own.cov() * 1797 / 1796)
affine_slips = {
    "one variance for all directions": lambda x, s: guess(flat, x, s),
    "$s$ for $s^2$": lambda x, s: guess(own, x, s**0.5),
    "the mean forgotten": lambda x, s: (
        guess(own, x + own.mean(), s) - own.mean()
    ),
    "divisor $n - 1$ in the covariance": lambda x, s: guess(wide, x, s),
}

# %% tags=["hide-input"]
affine_claim = Claim(
    id="farfield/affine",
    says=r"For every law with mean $m$ and covariance $C$ the affine map "
    r"of $x = x_0 + s z$ with the least mean square error is $m + C (C + "
    r"s^2 I)^{-1} (x - m)$, the guess for Gaussian data (the 1,797 digits; "
    r"$s = 0.3, 1, 4$).",
    papers=("106",),
    kind="exact",
    formula=lambda: read(lambda x, s: guess(own, x, s)),
    controls={k: lambda f=f: read(f) for k, f in affine_slips.items()},
    tol=1e-11,
    because="float64; the raw moments have a condition below 1e5",
    truth=regression,
)
check(affine_claim)

# %% [markdown]
r"""
The normal equations say that the error $x_0 - D_G(x)$ has mean zero and is not
correlated with any coordinate of $x$. That can be seen in a sample, too: we draw
noisy digits, and average the error times 1, times eight random combinations of the
coordinates, and times the guess itself.
"""

# %%
drawn = worlds.World(far, crowd).draw(50_000, 0.2, shapes.rng(0))
told = guess(own, drawn[2], 0.2)


def correlations(field, rng):
    """z-scores of the mean of error times regressor, at s = 0.2."""
    x0, _, x = drawn
    off = x0 - field(x, 0.2)
    u, v = torch.randn(2, 64, 8, generator=rng, dtype=torch.float64) / 8
    whole = (off * told).sum(1, keepdim=True)
    plain = off @ u
    rows = torch.cat([plain, plain * (x @ v), whole], 1)
    return shapes.Estimate.of(rows).z()


# %% tags=["hide-input"]
sampled_claim = Claim(
    id="farfield/least-squares",
    says=r"In a sample of noisy digits ($s = 0.2$) the error $x_0 - "
    r"D_G(x)$ has mean zero and is uncorrelated with the coordinates of "
    r"$x$: the normal equations of least squares.",
    papers=("106",),
    kind="statistical",
    formula=lambda x, s: told,  # the guess at these x, computed once
    controls={k: affine_slips[k] for k in list(affine_slips)[:3]},
    measure=correlations,
    seeds=(0,),
    n=50_000,
)
check(sampled_claim)

# %% [markdown]
r"""
## How fast does a law become Gaussian?

The guess $D = \mathbb E[x_0 \mid x]$ is the best of all functions of $x$, so its
error is not correlated with $D - D_G$, and squares add up as in a right triangle:

$$
\mathbb E |D - D_G|^2 = \underbrace{\sum_k \frac{\lambda_k s^2}{\lambda_k +
s^2}}_{\text{error of } D_G} - \underbrace{\mathbb E |D - x_0|^2}_{\text{error of } D},
$$ (eq-farfield-triangle)

with $\lambda_k$ the eigenvalues of $C$; the first term is [the risk](#eq-farfield-risk)
at its minimum. This gap is what the Gaussian misses. To expand it in $h = 1/s$, put
$\eta = x_0 - m$ and look at the point $x = m + s y$. Given $x$, the law of $x_0$ is
weighted by $e^{-|x - x_0|^2/2s^2}$, up to a constant by
$e^{h y \cdot \eta - h^2 |\eta|^2 / 2}$, so

$$
\begin{gathered}
D(x) = m + \frac1h \nabla_y \log Z(y), \\
Z(y) = \mathbb E\, e^{h y \cdot \eta - h^2 |\eta|^2/2} \sim \sum_{j \ge 0} \frac{h^j}{j!}\,
\mathbb E \bigl\langle \mathrm{He}_j(y), \eta^{\otimes j} \bigr\rangle .
\end{gathered}
$$ (eq-farfield-z)

This Taylor series in $h$ defines the Hermite tensors $\mathrm{He}_j$: one, $y$,
$y y^\top - I$, and on the line $y^3 - 3y$.

**One cumulant at a time.** Let a second law $q$ share all moments of $p$ below
order $n$, $m$ being the mean of $p$. Then $Z_p$ and $Z_q$ differ first in the term
$j = n$, by $h^n \langle \mathrm{He}_n(y), \Delta \rangle / n!$, where $\Delta$ is the
difference of the $n$-th moments. It is also that of the $n$-th **cumulants**
$\kappa_n$, which differ from the moments by products of lower ones. Since $Z = 1 +
O(h)$, the logarithms differ by the same term plus $O(h^{n+1})$, and since the gradient
of $\langle \mathrm{He}_n(y), \Delta \rangle$ is $n \langle \mathrm{He}_{n-1}(y),
\Delta \rangle$ (differentiate the generating function), for fixed $y$

$$
D_p - D_q = \frac{\langle \mathrm{He}_{n-1}(y), \Delta\kappa_n \rangle}{(n-1)!\;
s^{n-1}} + O(s^{-n}).
$$ (eq-farfield-rung)

For $q$ the Gaussian with $p$'s mean and covariance, $n = 3$, and $\Delta \kappa_3 =
\kappa_3 = \mathbb E\, \eta \otimes \eta \otimes \eta$:

$$
D_p - D_G = \frac{\kappa_3[y, y] - \operatorname{tr} \kappa_3}{2 s^2} + O(s^{-3}).
$$ (eq-farfield-point)

Here $\kappa_3[y,y]_i = \sum_{jl} \kappa_{3,ijl}\, y_j y_l$ and
$(\operatorname{tr}\kappa_3)_i = \sum_j \kappa_{3,ijj}$.

*What was assumed.* The function under the expectation is $e^{|y|^2/2 - |h\eta -
y|^2/2}$, a Gaussian bump in $h \eta$, so its derivative of order $r$ in $h$ is at most
$|\eta|^r$ times a number that depends on $y$ alone. Taylor's formula may therefore
be averaged as far as the moments are finite: $\mathbb E |x_0|^{n+1} < \infty$ is
enough for fixed $y$.

On the line the first terms can be compared with a series that knows no Hermite
polynomials: expand the exponential, replace powers of $\eta$ by moments, take the
logarithm.
"""

# %%
y, h, eta = sympy.symbols("y h eta")
k2, k3, k4 = sympy.symbols("kappa2 kappa3 kappa4")
moments = {0: 1, 1: 0, 2: k2, 3: k3, 4: k4 + 3 * k2**2}
exponent = h * y * eta - h**2 * eta**2 / 2
bump = sympy.expand(sum(exponent**j / math.factorial(j) for j in range(5)))
Z = sum(
    bump.coeff(eta, j) * moments[j] for j in moments
)  # eta comes with h: beyond h^4 nothing is complete, or kept
logZ = sympy.series(sympy.log(sympy.expand(Z)), h, 0, 5).removeO()
by_moments = sympy.expand(sympy.diff(logZ, y) / h)


def line_series(third, fourth):
    """D - m to the order h^3, from its terms of order h^2 and h^3."""
    return h * k2 * y + h**2 * third + h**3 * (fourth - k2**2 * y)


# %% tags=["hide-input"]
He2, He3 = y**2 - 1, y**3 - 3 * y
series_claim = Claim(
    id="farfield/series",
    says=r"On the line, with cumulants $\kappa_2, \kappa_3, \kappa_4$, $y "
    r"= (x - m)/s$ and $h = 1/s$: $D - m = h \kappa_2 y + \frac{h^2}{2} "
    r"\kappa_3 (y^2 - 1) + h^3 \bigl(\frac{\kappa_4}{6} (y^3 - 3y) - "
    r"\kappa_2^2 y\bigr) + O(h^4)$.",
    papers=("106",),
    kind="symbolic",
    formula=line_series(k3 * He2 / 2, k4 * He3 / 6),
    controls={
        "the trace forgotten": line_series(k3 * y**2 / 2, k4 * He3 / 6),
        "no $1/2!$": line_series(k3 * He2, k4 * He3 / 6),
        "the fourth moment for the cumulant": line_series(
            k3 * He2 / 2, moments[4] * He3 / 6
        ),
    },
    truth=by_moments,
)
check(series_claim)

# %% [markdown]
r"""
In the plane we ask for the limit itself. Multiplied by $s^2$ the gap is
[the constant](#eq-farfield-point) plus a power series in $h$, so four noise levels,
each twice the last, determine the limit up to their product: Richardson's
extrapolation. The third cumulant of a mixture is in the package,
`laws.third_cumulant`: with $\delta = m_k - m$ it is $\sum_k w_k (\delta^{\otimes 3} +
\delta \otimes C_k + \dots)$, the dots being the two other places for $\delta$.
"""


# %% tags=["setup"]
def limit(f, start, step=1):
    """lim f(s) for f = c + c1 s^-step + c2 s^-2step ..., s doubling."""
    found = [f(start * 2**j) for j in range(4)]
    for k in range(1, 4):
        pairs = zip(found, found[1:], strict=False)
        found = [
            (2 ** (k * step) * b - a) / (2 ** (k * step) - 1)
            for a, b in pairs
        ]
    return found[0]


def bend(third, y, trace=1.0):
    """kappa3[y, y] - tr kappa3 for points y (n, d)."""
    middle = torch.einsum("ijj->i", third)
    return torch.einsum("ijl,nj,nl->ni", third, y, y) - trace * middle


# %%
spots = torch.randn(12, 2, generator=shapes.rng(2), dtype=torch.float64)
skew = laws.third_cumulant(plane)


def scaled_gap(p, q, y, s):
    """s^2 (D_p - D_q) at m + s y, m the mean of p."""
    x = p.mean() + s * y
    return s**2 * (guess(p, x, s) - guess(q, x, s))


# %% tags=["hide-input"]
share = plane.logw.exp()
centres = laws.third_cumulant(laws.mixture(plane.means, 0.0, share))
moment = torch.einsum("i,jl->ijl", plane.mean(), plane.cov())
moment = skew + moment + moment.transpose(0, 1) + moment.transpose(0, 2)
far_gap = limit(lambda s: scaled_gap(plane, twin(plane), spots, s), 100)

# %% tags=["hide-input"]
point_claim = Claim(
    id="farfield/pointwise",
    says=r"In the plane, $s^2 (D_p - D_G)$ at $x = m + s y$ tends to "
    r"$\frac12 (\kappa_3[y, y] - \operatorname{tr} \kappa_3)$ as $s \to "
    r"\infty$, $\kappa_3$ the third cumulant of the mixture.",
    papers=("106",),
    kind="exact",
    formula=lambda: bend(skew, spots) / 2,
    controls={
        "the trace forgotten": lambda: bend(skew, spots, 0.0) / 2,
        "the cumulant of the centres alone": lambda: bend(centres, spots) / 2,
        "the moment about zero": lambda: bend(moment, spots) / 2,
        "no $1/2$": lambda: bend(skew, spots),
    },
    tol=1e-7,
    because="four levels from 100 on: order s^-4 is left, and rounding",
    truth=far_gap,
)
check(point_claim)

# %% [markdown]
r"""
## Where do the square roots come from?

What a sampler meets is the gap at $x \sim p_s$. There $y = z + h \eta$ tends to a
standard normal, and the mean square needs the size of a Hermite tensor. Expand
$\mathbb E\, e^{y \cdot u - |u|^2/2}\, e^{y \cdot v - |v|^2/2} = e^{u \cdot v}$ for $y
\sim \mathcal N(0, I)$ and compare the terms of order $j$ in both $u$ and $v$:

$$
\mathbb E \langle \mathrm{He}_j(y), u^{\otimes j} \rangle \langle \mathrm{He}_j(y),
v^{\otimes j} \rangle = j!\, (u \cdot v)^j .
$$ (eq-farfield-orthogonal)

Symmetric tensors are linear combinations of powers $u^{\otimes j}$, so $\mathbb E \langle \mathrm{He}_j,
T \rangle^2 = j!\, \|T\|_F^2$ for all of them. Summed over the components of
[a rung](#eq-farfield-rung), with $j = n - 1$,

$$
\sqrt{\mathbb E_{p_s} |D_p - D_q|^2} = \frac{\|\Delta \kappa_n\|_F}{\sqrt{(n-1)!}\;
s^{n-1}}\, (1 + o(1)),
$$ (eq-farfield-rms)

where $\|\cdot\|_F$ is the root of the sum of all squared entries. The score is
$(D - x)/s^2$, so **its gap is this one over $s^2$**. Each cumulant that is matched
gains one power of $s$:

| $q$ has the wrong | gap of $D$ | constant |
|---|---|---|
| mean | $s^0$ | $\lvert \Delta m \rvert$ |
| covariance | $s^{-1}$ | $\lVert \Delta C \rVert_F$ |
| third cumulant | $s^{-2}$ | $\lVert \Delta \kappa_3 \rVert_F / \sqrt 2$ |
| fourth cumulant | $s^{-3}$ | $\lVert \Delta \kappa_4 \rVert_F / \sqrt 6$ |

*What was assumed.* To pass from points to the mean square, let $x_0$ be bounded, $|\eta|
\le R$. By Jensen's inequality $\log Z \ge \mathbb E (h y \cdot \eta - h^2
|\eta|^2/2)$, so $Z$ is not small; all derivatives in $h$ under the expectations are at
most a power of $1 + |y|$ times $e^{h R |y|}$. The remainder is therefore at most $h^n$
times a power of $1 + |y|$ times $e^{c h |y|}$, whose square has a bounded mean under
$p_s$ for all $h \le 1$. The same holds if $\mathbb E\, e^{c |\eta|^2} < \infty$ for
some $c > 0$, as for mixtures: then the last factor is $e^{c' h^2 |y|^2}$, harmless once
$h$ is small.

The averages over $p_s$ are computed, not drawn: $p_s$ is a mixture, and on each of its
components Gauss-Hermite quadrature is exact to rounding while the noise is strong.
"""


# %% tags=["setup"]
def nodes(law, s, n=20):
    """Points and weights for averages over x0 + s z."""
    u, v = (torch.from_numpy(a) for a in hermegauss(n))
    v = v / v.sum()
    z, w = (
        torch.cartesian_prod(*[a] * law.d).reshape(-1, law.d) for a in (u, v)
    )
    root = torch.linalg.cholesky(law.blur(s**2).covs())
    x = law.means.unsqueeze(1) + z @ root.mT
    weights = law.logw.exp().unsqueeze(1) * w.prod(1)
    return x.reshape(-1, law.d), weights.reshape(-1)


def size(p, q, s):
    """The root mean square of D_p - D_q over p_s, by quadrature."""
    x, w = nodes(p, s)
    return (w @ (guess(p, x, s) - guess(q, x, s)).square().sum(1)).sqrt()


# %% [markdown]
r"""
The rungs are the plane against a Gaussian with the wrong mean, one
with a round covariance of the right trace, and its own twin; and on the line a
symmetric pair of Gaussians at $\pm 1$ with variance $\frac14$ against its twin. A coin
$\pm 1$ has $\kappa_4 = 1 - 3 = -2$, and the Gaussian added to it has none.
"""

# %%
push = real([0.4, -0.3])
round_twin = laws.gaussian(plane.mean(), plane.cov().trace() / 2)
plane_twin, coin_twin = twin(plane), twin(coin)
rungs = [
    (plane, laws.gaussian(plane.mean() + push, plane.cov()), 0),
    (plane, round_twin, 1),
    (plane, plane_twin, 2),
    (coin, coin_twin, 3),
]


# %%
def constants(third=2**-0.5, fourth=6**-0.5, skew=skew):
    """The four constants, with other factors before the cumulants."""
    shape = plane.cov() - round_twin.cov()
    sizes = [push.norm(), shape.norm(), third * skew.norm(), fourth * 2.0]
    return real([float(u) for u in sizes])


met = [
    limit(lambda s, r=r: s ** r[2] * size(*r[:2], s), 16, 2) for r in rungs
]


# %% tags=["hide-input"]
rms_claim = Claim(
    id="farfield/rms",
    says=r"The root mean square of $s^{n-1} (D_p - D_q)$ over $p_s$ tends "
    r"to $\|\Delta \kappa_n\|_F / \sqrt{(n-1)!}$, $\kappa_n$ the first "
    r"cumulant that differs: $n = 1, 2, 3$ in the plane, $n = 4$ for a "
    r"symmetric law on the line.",
    papers=("106",),
    kind="exact",
    formula=constants,
    controls={
        "$1/2$ for $1/\\sqrt2$": lambda: constants(third=0.5),
        "$1/6$ for $1/\\sqrt6$": lambda: constants(fourth=1 / 6),
        "$n!$ for $(n-1)!$": lambda: constants(6**-0.5, 24**-0.5),
        "the centres alone": lambda: constants(skew=centres),
    },
    tol=1e-9,
    because="four levels from 16 on, extrapolated in even powers of 1/s",
    truth=torch.stack(met),
)
check(rms_claim)

# %% [markdown]
r"""
The powers themselves are measured without the constants: how many halvings does one
doubling of the noise bring? To the four rungs we add the score of the third, and the
remainder that [the leading term](#eq-farfield-point) leaves.
"""


# %%
def left_over(s):
    """The root mean square of what the leading term misses."""
    x, w = nodes(plane, s)
    lead = bend(skew, (x - plane.mean()) / s) / (2 * s**2)
    gap = guess(plane, x, s) - guess(plane_twin, x, s)
    return (w @ (gap - lead).square().sum(1)).sqrt()


def score_size(s):
    """The root mean square of the gap of the scores."""
    x, w = nodes(plane, s)
    pair = [worlds.World(far, q).score(x, s) for q in (plane, plane_twin)]
    return (w @ (pair[0] - pair[1]).square().sum(1)).sqrt()


fs = [lambda s, p=p, q=q: size(p, q, s) for p, q, _ in rungs]
fs += [score_size, left_over]
powers = [limit(lambda s, f=f: (f(2 * s) / f(s)).log2(), 16, 2) for f in fs]


# %% tags=["hide-input"]
slopes_claim = Claim(
    id="farfield/slopes",
    says=r"As $s \to \infty$ the root mean square gap of the denoisers "
    r"goes as $s^0, s^{-1}, s^{-2}, s^{-3}$ if mean, covariance, "
    r"$\kappa_3$, $\kappa_4$ is the first to differ. In the third case that "
    r"of scores goes as $s^{-4}$, what the leading term misses as $s^{-3}$.",
    papers=("106",),
    kind="exact",
    formula=real([0, -1, -2, -3, -4, -3]),
    controls={
        "the covariance does not matter": real([0, -2, -2, -3, -4, -3]),
        "a symmetric law is no better": real([0, -1, -2, -2, -4, -3]),
        "the score like the denoiser": real([0, -1, -2, -3, -2, -3]),
        "the leading term is no help": real([0, -1, -2, -3, -4, -2]),
    },
    tol=1e-8,
    because="levels from 16 to 256, extrapolated in even powers of 1/s",
    truth=torch.stack(powers),
)
check(slopes_claim)

# %% [markdown]
r"""
The four gaps, with the four constants as straight lines. Look for the level at which
a curve joins its line, and for what happens before.
"""

# %% mystnb={"figure": {"caption": "Root mean square gap of two denoisers against the noise level: four pairs of laws that differ first in the mean, the covariance, the third and the fourth cumulant. Dashed: the constants of the far field.", "name": "fig-farfield-ladder"}, "image": {"alt": "Four curves on doubly logarithmic axes; far right they fall with slopes 0, -1, -2 and -3 along dashed lines, at small noise they bend down below them."}}
figure, axes = figures.canvas(
    "Each cumulant that is matched gains a power", height=3.2
)
steps = torch.logspace(-0.3, 2, 12).double()
whose = ("mean", "covariance", "third cumulant", "fourth cumulant")
sizes = [torch.stack([size(p, q, s) for s in steps]) for p, q, _ in rungs]
tints = figures.time_colours(4)
inks = zip(rungs, sizes, constants(), tints, whose, strict=True)
for (_, _, k), gaps, c, colour, word in inks:
    axes.loglog(steps, c / steps**k, "--", color=figures.EXACT, lw=0.9)
    axes.loglog(steps, gaps, color=colour)
    figures.label_line(axes, 100, c / 100**k, word, colour)
axes.set(xlabel="noise level $s$", ylabel="gap of $D$")
axes.set(xlim=(0.5, 100), ylim=(3e-7, 4))
axes.minorticks_off()
plt.show()

# %% [markdown]
r"""
Every curve ends on its line, and leaves it where the noise is no longer wider than the
data. There the steep lines promise errors without bound, although by
[the triangle](#eq-farfield-triangle) no gap to the twin exceeds the error of the twin.

## Where does it begin for digits?

A finite set is a law like another, with moments of all orders. For the 1,797 digits
$\kappa_3$ holds $64^3$ averages of products of three pixels. Beside the Gaussian twin
we set other laws that one might fit: the mixture of ten Gaussians with the mean and covariance of
each class, which has the digits' total mean and covariance (the law of total variance);
the same with the covariances cut down to their diagonals, which has not; and the set
itself, the model that has learned its data by heart.
"""


# %% tags=["setup"]
def stand_ins(x, y):
    """Laws that stand for the points x with class labels y."""
    parts = [laws.fit_gaussian(x[y == k]) for k in range(10)]
    means = torch.stack([part.mean() for part in parts])
    covs = torch.stack([part.cov() for part in parts])
    lines = torch.diag_embed(covs.diagonal(dim1=-2, dim2=-1))
    share, whole = torch.bincount(y).double(), laws.fit_gaussian(x)
    return {
        "isotropic": laws.gaussian(
            whole.mean(), whole.cov().trace() / x.shape[1]
        ),
        "Gaussian": whole,
        "ten modes": laws.mixture(means, covs, share),
        "ten diagonal modes": laws.mixture(means, lines, share),
        "memory": laws.dataset(x),
    }


# %%
models = stand_ins(pixels, labels)
pair = ("memory", "ten modes")
thirds = {name: laws.third_cumulant(models[name]) for name in pair}
rays = torch.randn(10, 64, generator=shapes.rng(3), dtype=torch.float64)


def digit_limits(factor=0.5, trace=1.0, coarse=thirds["ten modes"]):
    """The far fields of set - Gaussian and set - ten modes along ten rays."""
    out = []
    for third in (thirds["memory"], thirds["memory"] - coarse):
        out.append(factor * bend(third, rays, trace))
    return torch.stack(out)


# %%
none = torch.zeros_like(thirds["memory"])
seen_far = [
    limit(lambda s, q=q: scaled_gap(crowd, models[q], rays, s), 200)
    for q in ("Gaussian", "ten modes")
]

# %% tags=["hide-input"]
digits_claim = Claim(
    id="farfield/digits",
    says=r"For $p$ the set of the 1,797 digits, $s^2 (D_p - D_q)$ at $m + "
    r"s y$ tends to $\frac12 (\Delta\kappa_3[y, y] - \operatorname{tr} "
    r"\Delta\kappa_3)$, $q$ being the Gaussian or the mixture of ten class "
    r"Gaussians (ten random directions $y$).",
    papers=("106",),
    kind="exact",
    formula=digit_limits,
    controls={
        "the trace forgotten": lambda: digit_limits(trace=0.0),
        "no $1/2$": lambda: digit_limits(1.0),
        "the mixture has none": lambda: digit_limits(coarse=none),
    },
    tol=1e-6,
    because="levels from 200 on, extrapolated: order s^-4 is left",
    truth=torch.stack(seen_far),
)
check(digits_claim)

# %% [markdown]
r"""
Now at finite noise, with 400 noisy digits, the same digits and the same noise at
every level. How much of the gap to the Gaussian does its leading term leave
unexplained?
"""

# %%
own_rng = shapes.rng(4)
clean = pixels[torch.randint(len(pixels), (400,), generator=own_rng)]
noise = torch.randn(400, 64, generator=own_rng, dtype=torch.float64)
said = {}
for s in [2.0**j for j in range(-2, 6)]:
    said[s] = {k: guess(q, clean + s * noise, s) for k, q in models.items()}


def unexplained_by(third, s):
    """The share of the squared gap that the leading term misses."""
    gap = said[s]["memory"] - said[s]["Gaussian"]
    along = (clean - pixels.mean(0)) / s + noise
    off = gap - bend(third, along) / (2 * s**2)
    return float(off.square().sum() / gap.square().sum())


def where(third):
    """0 if above 1 at s = 2, above 0.2 at 4, below 0.02 at 16."""
    u2, u4, u16 = (unexplained_by(third, s) for s in (2.0, 4.0, 16.0))
    return max(0.0, 1 - u2, 0.2 - u4, u16 - 0.02)


# %% tags=["hide-input"]
where_claim = Claim(
    id="farfield/where",
    says=r"For the digits the leading term is worse than no correction at "
    r"$s = 2$, misses more than a fifth of the squared gap at $s = 4$, and "
    r"less than one part in fifty at $s = 16$ (400 digits with noise).",
    papers=("106",),
    kind="exact",
    formula=thirds["memory"],
    controls={
        "the third cumulant of the ten modes": thirds["ten modes"],
        "half of it": thirds["memory"] / 2,
        "another sign": -thirds["memory"],
    },
    measure=where,
    tol=1e-6,
    because="bounds: nothing is exceeded",
    scale="the statement is a bound, and one part in a thousand keeps it",
)
check(where_claim)

# %% [markdown]
r"""
So the law begins at a few times $\sqrt{\operatorname{tr} C}$, the typical distance of
a digit from the mean, and not at the standard deviation of a pixel: between the two it
promises too much error, and must not be used to place anything.

## Is a coarse mixture better near the data?

Near the data every denoiser of a finite set returns the nearest point: with $s$ far
below the distances between points, $D \to x_0$. A Gaussian with covariance $C$ of rank
$r$ shrinks nothing on its span once $s^2$ is far below the smallest positive eigenvalue,
and removes all noise off it. So $D_G - D \approx s\, P z$ with $P$ the projector on the
span, and a mixture does the same with the span of the component $k(x_0)$ that holds the
point (of several spans through it the one of least dimension, where the density is
highest):

$$
\mathbb E |D_q - D|^2 = s^2\, \mathbb E\, r_{k(x_0)}\, (1 + o(1)).
$$ (eq-farfield-near)

**Both** are wrong by a multiple of $s$, and the multiples are counts of dimensions.
So near a digit all guesses are affine, the squared gap is quadratic in $z$, and its mean
over $z$ is exactly that over the 128 points $\pm \sqrt{64}\, e_i$.
"""

# %%
tiny = 1e-6
some = slice(0, 20)
cross = torch.cat([torch.eye(64), -torch.eye(64)]).double() * 8
around = pixels[some].unsqueeze(1) + tiny * cross
true_near = guess(crowd, around, tiny)


def near(name):
    """|D_name - D_set|^2 / s^2 around twenty digits, on average."""
    gap = guess(models[name], around, tiny) - true_near
    return gap.square().sum(-1).mean(1) / tiny**2


def ranks(name, own=True):
    """The rank of each digit's component, or of the first one."""
    found = torch.linalg.matrix_rank(models[name].covs(), atol=1e-9).double()
    return (
        found[labels[some]] if own and len(found) > 1 else found[0].expand(20)
    )


# %% tags=["hide-input"]
near_claim = Claim(
    id="farfield/near-field",
    says=r"As $s \to 0$, $\mathbb E |D_q - D|^2 / s^2$ at a digit tends to "
    r"the rank of the covariance of the component of $q$ that holds it, for "
    r"the Gaussian and the ten modes (twenty digits, $D$ that of all 1,797).",
    papers=("106",),
    kind="exact",
    formula=torch.stack([ranks("Gaussian"), ranks("ten modes")]),
    controls={
        "all 64 directions": torch.full((2, 20), 64.0),
        "the Gaussian's rank for both": torch.stack([ranks("Gaussian")] * 2),
        "one component's rank for all": torch.stack(
            [ranks("Gaussian"), ranks("ten modes", own=False)]
        ),
    },
    tol=1e-6,
    because="s^2 against the smallest positive eigenvalues, above 1e-6",
    truth=torch.stack([near("Gaussian"), near("ten modes")]),
)
check(near_claim)

# %% [markdown]
r"""
Far out, [a rung](#eq-farfield-rms) with $q$ the mixture says: if its **total** mean and
covariance are those of the data, its gap is of order $s^{-2}$ as well, with $\|\kappa_3 -
\kappa_3^q\|_F$ for $\|\kappa_3\|_F$. If its total covariance is wrong, however good its
modes are, its gap is of order $s^{-1}$, and far enough out the plain Gaussian wins.

It is tempting to read "the mixture is better below a crossing, and the crossing is
where $\|\kappa_3\|_F / (\sqrt2 s^2)$ meets the mixture's error". Neither half is
right. A mixture that matches need not cross at all, and the constant says nothing
about small $s$. In the plane we compare the twin with two coarse mixtures: one in
which the second and third mode are merged into the Gaussian of their common mean and
covariance (it matches), and one that keeps all three centres and weights and makes
each mode round, with the right trace (it does not).
"""

# %%
pair, eye = plane.select([1, 2]), torch.eye(2).double()
merged = laws.mixture(
    torch.stack([plane.means[0], pair.mean()]),
    torch.stack([plane.covs()[0], pair.cov()]),
    real([0.5, 0.5]),
)
halves = plane.covs().diagonal(dim1=-2, dim2=-1).mean(1)
rounded = laws.mixture(
    plane.means, halves[:, None, None] * eye, plane.logw.exp()
)

# %%
shape = (rounded.cov() - plane.cov()).norm()
third = laws.third_cumulant(merged)
offset, norms = (skew - third).norm(), skew.norm() - third.norm()


def ratios(matched, other):
    """The claimed limits of the errors over that of the twin."""
    return torch.stack([matched, other]) / skew.norm()


def measured_ratios(s):
    """The same at the noise level s, the second divided by s."""
    base = size(plane, plane_twin, s)
    return (
        torch.stack([size(plane, merged, s), size(plane, rounded, s) / s])
        / base
    )


# %% tags=["hide-input"]
ratio_claim = Claim(
    id="farfield/ratios",
    says=r"As $s \to \infty$ the gap of a coarse mixture over that of the "
    r"Gaussian twin tends to $\|\kappa_3 - \kappa_3^q\|_F / \|\kappa_3\|_F$ "
    r"if its total covariance is right, and grows as $s \sqrt2 \|\Delta "
    r"C\|_F / \|\kappa_3\|_F$ if not (plane).",
    papers=("106",),
    kind="exact",
    formula=ratios(offset, 2**0.5 * shape),
    controls={
        "as bad as the Gaussian": ratios(skew.norm(), 2**0.5 * shape),
        "no $\\sqrt2$": ratios(offset, shape),
        "norms subtracted": ratios(norms, 2**0.5 * shape),
    },
    tol=1e-9,
    because="four levels from 32 on, extrapolated in even powers of 1/s",
    truth=limit(measured_ratios, 32, 2),
)
check(ratio_claim)

# %% [markdown]
r"""
How often do the curves cross? We count the changes of sign of the difference of the
two errors at twelve levels from $\frac12$ to $100$.
"""

# %%
three = {"EXACT": plane_twin, "SECOND": merged, "WRONG": rounded}
errors = {"EXACT": sizes[2]}  # of the twin, as above
for key in ("SECOND", "WRONG"):
    found = [size(plane, three[key], s) for s in steps]
    errors[key] = torch.stack(found)


def crossings(name):
    """How often this error and that of the twin change places."""
    better = errors[name] < errors["EXACT"]
    return (better[1:] != better[:-1]).sum()


counted = torch.stack([crossings("SECOND"), crossings("WRONG")]).double()

# %% tags=["hide-input"]
crossing_claim = Claim(
    id="farfield/crossings",
    says=r"Between $s = 0.5$ and $100$ the error of the merged mixture, "
    r"whose total covariance is right, crosses that of the Gaussian twin 0 "
    r"times, that of the round one, whose total covariance is wrong, once "
    r"(plane).",
    papers=("106",),
    kind="exact",
    formula=real([0, 1]),
    controls={
        "every mixture crosses": real([1, 1]),
        "no mixture crosses": real([0, 0]),
    },
    tol=1e-6,
    because="a count, of curves that are apart at every level",
    truth=counted,
)
check(crossing_claim)

# %% [markdown]
r"""
The same question for the plane and for digits. Look for the order of the curves on
the left of each panel, and for their slopes on the right.
"""

# %%
octaves, rivals = list(said), {}
for name in ("Gaussian", "ten modes", "ten diagonal modes"):
    gaps = [said[s][name] - said[s]["memory"] for s in octaves]
    rivals[name] = [gap.square().sum(1).mean().sqrt() for gap in gaps]
promised = [thirds["memory"], thirds["memory"] - thirds["ten modes"]]

# %% mystnb={"figure": {"caption": "Root mean square error of three stand-ins against the noise level. Left: the plane. Right: 400 noisy digits against the set of all 1,797. Grey: the Gaussian; ochre: a mixture with the right total covariance; red: one with a wrong one. Thin and dashed: the far fields of the first two.", "name": "fig-farfield-coarse"}, "image": {"alt": "Two panels on doubly logarithmic axes. In both the mixture with the right total covariance stays below the Gaussian everywhere; the one with the wrong total covariance falls with slope -1 and crosses above it."}}
figure, (left, right) = figures.canvas(
    "A wrong total covariance makes the curves cross",
    columns=2,
    height=3.1,
)
for key, name in zip(three, rivals, strict=True):
    colour, how = getattr(figures, key), "--" if key == "WRONG" else "-"
    left.loglog(steps, errors[key], how, color=colour)
    right.loglog(octaves, rivals[name], how, color=colour)
    figures.label_line(right, octaves[-1], rivals[name][-1], name, colour)
left.set(xlabel="noise level $s$", ylabel="gap of $D$")
for third in promised:
    far_line = [third.norm() / (2**0.5 * s**2) for s in octaves]
    right.loglog(octaves, far_line, "--", color=figures.EXACT, lw=0.9)
right.set(xlabel="noise level $s$", xlim=(0.2, 40), ylim=(1e-3, 5))
for panel, word in ((left, "plane"), (right, "digits")):
    panel.set_title(word, fontsize=9)
    panel.minorticks_off()
plt.show()

# %% [markdown]
r"""
On digits, too, the constants are met far out. There the slopes decide: $-2$ below, $-1$
above. Where the noise is weaker than the data are wide, the order is another one, and
no far field tells it.
"""

# %% [markdown]
r"""
## How much of a net is Gaussian?

A trained net is not the denoiser of a known law, but one can ask which law's denoiser
explains it best: the share of its variance,
$1 - \mathbb E |D_q - D|^2 / \mathbb E |D - \mathbb E D|^2$, over noisy data. The paper plots it for denoisers and for scores, and
these are different pictures. Let $D$ be exact for a law in $d$ dimensions, and
$\varepsilon^2 = \mathbb E |D - x_0|^2$ its error. As the error is uncorrelated with
functions of $x$, $\mathbb E |D - m|^2 = \operatorname{tr} C - \varepsilon^2$, and from
$sz = x - x_0 = (x - D) + (D - x_0)$ also $\mathbb E |x - D|^2 = d s^2 - \varepsilon^2$.
The score is $(D - x)/s^2$ with mean zero. So for **every** law and every stand-in

$$
\frac{1 - \text{explained share of the score}}{1 - \text{explained share of the
denoiser}} = \frac{\operatorname{tr} C - \varepsilon^2}{d s^2 - \varepsilon^2} ,
$$ (eq-farfield-inflation)

which knows nothing of the stand-in. At strong noise it tends to zero as $\|C\|_F^2 /
(d s^4)$. Even the model that ignores $x$ and answers $m$, explaining nothing of the
denoiser, then explains almost all of the score: what is explained is the noise,
$-(x - m)/s^2$. Shares of scores flatter everybody at strong noise; we look at
denoisers.
"""


# %%
some_levels = real([3.0, 5.0, 10.0])


def error_of_guess(s):
    """E |D - x0|^2, by the covariance of the posterior at each node."""
    x, w = nodes(plane, s)
    left = worlds.World(far, plane).posterior(x, s).cov()
    return w @ left.diagonal(dim1=-2, dim2=-1).sum(1)


def ratio_of_losses(q, s):
    """The unexplained share of the score over that of the denoiser."""
    x, w = nodes(plane, s)
    lost = []
    for what in ("score", "denoise"):
        fields = (getattr(worlds.World(far, p), what) for p in (plane, q))
        a, b = (field(x, s) for field in fields)
        total = (a - w @ a).square().sum(1)
        lost.append(w @ (a - b).square().sum(1) / (w @ total))
    return lost[0] / lost[1]


# %% tags=["hide-input"]
total, fuzzy = plane.cov().trace(), some_levels**2
least = torch.stack([error_of_guess(s) for s in some_levels])
others = (plane_twin, merged, round_twin)
found = [[ratio_of_losses(q, s) for s in some_levels] for q in others]

# %% tags=["hide-input"]
inflation_claim = Claim(
    id="farfield/inflation",
    says=r"For every law in $d$ dimensions and every stand-in, the "
    r"unexplained share of the score is that of the denoiser times "
    r"$(\operatorname{tr} C - \varepsilon^2)/(d s^2 - \varepsilon^2)$, "
    r"$\varepsilon^2 = \mathbb E|D - x_0|^2$ (plane).",
    papers=("106",),
    kind="exact",
    formula=((total - least) / (2 * fuzzy - least)).expand(3, 3),
    controls={
        "no dimension": ((total - least) / (fuzzy - least)).expand(3, 3),
        "the error of $D$ forgotten": (total / (2 * fuzzy)).expand(3, 3),
        "the ratio of the squared gaps": (1 / fuzzy**2).expand(3, 3),
    },
    tol=1e-10,
    because="float64, and quadrature at s = 3",
    truth=real(found),
)
check(inflation_claim)

# %% [markdown]
r"""
Five small convolutional nets ship with the book (`recipes.load("digits")`), alike but
for their seeds, trained on 1,500 of the digits. All stand-ins are fitted to the same
1,500; the nets are asked at 300 of these digits with noise added (at $x_0 + s z$: probes
without data in them would not be where the net lives).
"""

# %%
model = recipes.load("digits")
kept, held = recipe.split()
nearest = torch.cdist(kept, pixels).argmin(1)
fitted = stand_ins(kept, labels[nearest])
ask = shapes.rng(5)
start = kept[torch.randint(len(kept), (300,), generator=ask)]
z = torch.randn(300, 64, generator=ask, dtype=torch.float64)
levels = [0.1, 0.35, 0.6, 1.0, 2.0, 4.0, 10.0]
names = ["isotropic", "Gaussian", "ten modes", "memory"]


def both_shares(got, want, x, s):
    """The explained shares of a denoiser and of its score."""
    pairs = [(got, want), ((got - x) / s**2, (want - x) / s**2)]
    return torch.stack([1 - metrics.unexplained(a, b) for a, b in pairs])


# %%
explained = {}
for s in levels:
    x = start + s * z
    nets = [model.field(k)(x, s).detach() for k in range(5)]
    answers = {k: [guess(fitted[k], x, s)] * 5 for k in names}
    answers["another seed"] = nets[1:] + nets[:1]
    for name, answer in answers.items():
        rows = zip(answer, nets, strict=True)
        explained[name, s] = torch.stack(
            [both_shares(a, b, x, s) for a, b in rows]
        )

# %% [markdown]
r"""
Look at the left panel first: who explains most at low, middle and strong noise? Then
at the right panel, for the same nets and the same stand-ins.
"""

# %% mystnb={"figure": {"caption": "Share of five nets' denoiser (left) and score (right) that the denoisers of four laws explain, and that another seed's net explains; mean over five seeds.", "name": "fig-farfield-shares"}, "image": {"alt": "Left: curves against noise level. The ten modes lead at low noise, the Gaussian in the middle where the memorising model is lower; beyond noise level five all fall, also that of another seed. Right: all curves rise to one at strong noise."}}
figure, panels = figures.canvas(
    "In the middle the Gaussian explains most of a net", columns=2, height=3.1
)
inks = ("NOISE", "EXACT", "SECOND", "WRONG", "LEARNED")
for j, panel in enumerate(panels):
    for name, ink in zip([*names, "another seed"], inks, strict=True):
        line = [explained[name, s][:, j].mean() for s in levels]
        how = "--" if ink == "WRONG" else "-"
        panel.semilogx(
            levels, line, how, color=getattr(figures, ink), label=name
        )
    panel.set(xlabel="noise level $s$", ylim=(0, 1.02))
    panel.set_title(("denoiser", "score")[j], fontsize=9)
panels[1].legend(fontsize=8)
plt.show()

# %% [markdown]
r"""
At low noise the ten modes lead. In the middle the Gaussian does, and the model that
knows all digits by heart falls behind, as in the paper: there the nets are closer to the
Gaussian than to the exact denoiser of their own training set. They do not memorise.

At strong noise the far field makes all stand-ins but the isotropic one alike. In the
paper the shares rise again there, but its measure leaves the mean image in, which by
then is all there is to explain ([the cards](cards.ipynb)). With the mean taken out they
fall, and the share of a net with another seed falls with them: what these nets say at
strong noise, beyond the mean, is their own invention. A likely reason is their training,
whose log-normal law of levels {cite}`karras2022edm` hardly ever goes there.
The right panel hides all of this.
"""


# %%
order = (  # at the level, the first explains more than the second
    (0.35, "ten modes", "Gaussian"),
    (1.0, "another seed", "Gaussian"),
    (1.0, "Gaussian", "ten modes"),
    (1.0, "ten modes", "memory"),
    (2.0, "Gaussian", "memory"),
    (10.0, "Gaussian", "another seed"),
)
misread = {
    "memory is best in the middle": [(1.0, "memory", "Gaussian")],
    "ten modes are best everywhere": [(1.0, "ten modes", "Gaussian")],
    "nets agree at strong noise": [(10.0, "another seed", "Gaussian")],
}


def violation(order, seeds):
    """By how much the order is violated, for each seed."""
    rows = [explained[b, s] - explained[a, s] for s, a, b in order]
    return torch.stack(rows)[..., 0].clamp(min=0).amax(0)


# %% tags=["hide-input"]
nets_claim = Claim(
    id="farfield/nets",
    says=r"Who explains most of each net's denoiser: at $s = 0.35$ ten "
    r"modes, Gaussian; at 1 another seed, Gaussian, ten modes, memory; at 2 "
    r"Gaussian, memory; at 10 Gaussian, another seed.",
    papers=("106",),
    kind="trained",
    formula=order,
    controls=misread,
    measure=violation,
    tol=0.005,
    because="an order found by measuring; half a percent for the draw",
    scale="the statement is an order, and has no scale",
    seeds=range(5),
    n=300,
)
check(nets_claim)

# %% [markdown]
r"""
What the shares mean, in pictures: two digits that were held out, at three noise levels
each, and the guesses of net and stand-ins.
"""

# %% mystnb={"figure": {"caption": "Two held-out digits with noise at three levels, and what a net and three stand-ins guess.", "name": "fig-farfield-guesses"}, "image": {"alt": "Table of images: at low noise all guesses look like the digit except that of memory, which is another digit; at high noise all are blurred and alike."}}
looks = [(held[i], s) for i in (4, 10) for s in (0.35, 0.7, 2.0)]
grain = torch.randn(6, 64, generator=shapes.rng(7), dtype=torch.float64)
seen = [u + s * e for (u, s), e in zip(looks, grain, strict=True)]
rows, tops = [torch.stack(seen)], [f"$s = {s:g}$" for _, s in looks]
fields = [model.field(0)]
fields += [worlds.World(far, fitted[k]).denoise for k in names[1:]]
for field in fields:
    row = [field(u, s) for u, (_, s) in zip(seen, looks, strict=True)]
    rows.append(torch.stack(row))
words = ["noisy", "net", *names[1:]]
figures.strip(
    rows, words, tops, "Memory can only answer with digits it knows"
)
plt.show()

# %% [markdown]
r"""
At the lowest of the three levels memory takes the new digit for one of its own, and is
as sharp as that; at the highest all of them average over many digits, and are alike.

## What is learned first?

The paper also reports that a net is closest to the Gaussian early in training. Half of
that can be derived. Let a linear denoiser $D_W(x) = m + W (x - m)$ follow the gradient
of its loss at one noise level, from $W = 0$: by [the risk](#eq-farfield-risk)

$$
\frac{dW}{d\tau} = -\nabla_W\, \mathbb E |D_W(x) - x_0|^2 = -2 \bigl(W (C + s^2 I) - C
\bigr).
$$ (eq-farfield-descent)

In the eigenbasis of $C$ the entries do not mix: off the diagonal they stay zero, and
on it $\dot w_k = -2 (\lambda_k + s^2)(w_k - w_k^*)$ with $w_k^* = \lambda_k/(\lambda_k +
s^2)$. So each direction approaches its best gain at its own speed,

$$
w_k(\tau) = \frac{\lambda_k}{\lambda_k + s^2} \Bigl(1 - e^{-2 (\lambda_k + s^2) \tau}
\Bigr) .
$$ (eq-farfield-learned)

**Large variances first**, as long as $s^2$ is below them; at strong noise all speeds
are about $2 s^2$, and everything is learned at once, the sooner the stronger the noise.
A direction with $\lambda_k = 0$ starts at its best gain, zero, and stays. From another
start $w_k(0)$ the difference $w_k - w_k^*$ shrinks by the same factor.

The check knows no eigenvector: automatic differentiation of the loss of 200 digits,
averaged over the noise ($|W s z|^2$ gives $s^2 \|W\|_F^2$), and Runge-Kutta steps in
$\tau$.
"""

# %%
few = pixels[:200] - pixels[:200].mean(0)
slow, end = 0.5, 0.4


def push_down(W):
    """Minus the gradient of the loss on the 200 digits."""
    W = W.clone().requires_grad_()
    off = (few @ W.mT - few).square().sum(1).mean()
    loss = off + slow**2 * W.square().sum()
    return -torch.autograd.grad(loss, W)[0]


W, step = torch.zeros(64, 64).double(), end / 40
for _ in range(40):
    k1 = push_down(W)
    k2 = push_down(W + step / 2 * k1)
    k3 = push_down(W + step / 2 * k2)
    W = W + step / 6 * (k1 + 2 * k2 + 2 * k3 + push_down(W + step * k3))

# %%
lam, U = torch.linalg.eigh(few.mT @ few / 200)
best, speed = lam / (lam + slow**2), 2 * (lam + slow**2)


def learned(rate, best=best):
    """W at the end, with this rate and best gain in each direction."""
    return (U * best * (1 - torch.exp(-rate * end))) @ U.mT


level = speed.mean().expand(64)

# %% tags=["hide-input"]
descent_claim = Claim(
    id="farfield/descent",
    says=r"Under gradient flow of $\mathbb E|W(x - m) - (x_0 - m)|^2$ from "
    r"$W = 0$ at the noise level $s$, the gain along an eigenvector of "
    r"variance $\lambda$ is $\frac{\lambda}{\lambda + s^2} (1 - "
    r"e^{-2(\lambda + s^2)\tau})$ (200 digits, $s = \frac12$).",
    papers=("106",),
    kind="exact",
    formula=learned(speed),
    controls={
        "noise does not speed learning up": learned(2 * lam),
        "no 2 in the rate": learned(speed / 2),
        "all directions at one speed": learned(level),
        "the gain tends to 1": learned(speed, (lam > 1e-9).double()),
    },
    tol=1e-6,
    because="Runge-Kutta of order four in 40 steps",
    truth=W,
)
check(descent_claim)

# %% [markdown]
r"""
The other half needs nets. Five small perceptrons are trained here at the one noise level
$s = \frac12$. Preconditioned as they are, they start as the denoiser of an isotropic
Gaussian. Every 40 steps we ask how much of their denoisers, on held-out digits with
noise, three stand-ins explain.
"""

# %%
exam = held + slow * torch.randn(
    297, 64, generator=shapes.rng(8), dtype=torch.float64
)
three = ("isotropic", "Gaussian", "memory")
right = {name: guess(fitted[name], exam, slow) for name in three}
path = paths.edm(80.0)
net = learning.MLP(64, width=256, depth=1, features=0, seeds=range(5))
pupil = learning.Model(net, path, "denoise", model.sd)
goal = learning.Objective(path, "denoise", "plain", lambda u: 0 * u + slow)


def draw(n, rng):
    """n of the 1,500 digits."""
    return kept[torch.randint(len(kept), (n,), generator=rng)]


# %%
how = {"batch": 64, "lr": 0.004, "ema": 0.95, "decay": "none"}
run = learning.fit(pupil, goal, draw, steps=480, every=40, **how)
story = {name: [] for name in right}
for _ in run:
    nets = [pupil.field(k)(exam, slow).detach() for k in range(5)]
    for name, q in right.items():
        row = [1 - metrics.unexplained(q, D) for D in nets]
        story[name].append(torch.stack(row))
story = {name: torch.stack(rows) for name, rows in story.items()}

# %% [markdown]
r"""
One line for each seed. Look for a maximum.
"""

# %% mystnb={"figure": {"caption": "Share of the denoisers of five perceptrons, at noise level one half, that three stand-ins explain, during training; one line for each seed.", "name": "fig-farfield-story"}, "image": {"alt": "Three bundles of lines against training steps: that of the isotropic Gaussian falls, that of the memorising model rises slowly, that of the Gaussian rises, has a maximum after about a hundred steps, and falls."}}
figure, axes = figures.canvas("First round, then Gaussian, then beyond")
times = [40 * (i + 1) for i in range(12)]
looks = ("-", figures.NOISE), ("-", figures.EXACT), ("--", figures.WRONG)
for (name, rows), (dash, colour), y in zip(
    story.items(), looks, (0.77, 0.92, 0.63), strict=True
):
    axes.plot(times, rows, dash, color=colour, lw=1.1)
    figures.label_line(axes, 150, y, name, colour)
axes.set(xlabel="training steps", ylabel="explained share", ylim=(0.55, 1))
plt.show()


# %% tags=["hide-input"]
def turns(name, seeds):
    """How far the share at step 120 is below an earlier or later one."""
    first, middle, last = (story[name][i] for i in (0, 2, -1))
    return (torch.maximum(first, last) - middle).clamp(min=0)


# %% tags=["hide-input"]
story_claim = Claim(
    id="farfield/gaussian-first",
    says=r"For each of five perceptrons trained at $s = \frac12$, the "
    r"Gaussian explains more of the denoiser after 120 steps than after 40 "
    r"and than after 480; the isotropic Gaussian and memory do not.",
    papers=("106",),
    kind="trained",
    formula="Gaussian",
    controls={
        "the isotropic Gaussian has its turn there": "isotropic",
        "memory has its turn there": "memory",
    },
    measure=turns,
    tol=0.005,
    because="an order found by measuring; half a percent for the draw",
    scale="the statement is an order in time, and has no scale",
    seeds=(0, 1, 2, 3, 4),
    n=297,
)
check(story_claim)

# %% [markdown]
r"""
So at this size the order is seen: round, then Gaussian, then something that no
Gaussian is. It is not the exact denoiser of the training set either, whose share grows
and remains far below.

## Break it

- Write the weights of `plane` as `torch.tensor([0.5, 0.3, 0.2]).double()`: most of
  their digits are lost on the way through single precision. One claim notices,
  `farfield/ratios`. Why this one? (Compare the mean of `merged` with that of `plane`,
  and look at the [ladder](#fig-farfield-ladder).)
- Let the extrapolation in `farfield/pointwise` begin at $s = 2$ in place of $100$. With
  which sentence does `check` stop, and is the formula wrong?
- Put `learning.Linear(64, features=0, seeds=range(5))` in the place of the perceptrons.
  The figure shows what a net looks like that never gets beyond the Gaussian, and
  `farfield/gaussian-first` fails.

## What this does not show

The far field is a statement about exact denoisers. That a trained net is close to a
Gaussian where the noise is *moderate*, below the levels that the constants reach, is
seen here on five nets of one kind, and not explained: the triangle bounds the gap of
the exact denoiser, not that of a net. Eight by eight digits have few dimensions, and
$\|\kappa_3\|_F$ of photographs may be small or large beside their covariance. Gradient
flow was solved for linear denoisers; the perceptrons were trained by Adam, and that
their order is the same is an observation. What the gap means for a *sampler* that uses
the Gaussian at first, [the next chapter](teleport.ipynb) computes.

## Exercises

**1.** Somebody who knows nothing but the mean answers $D = m$, that is, the score $-(x -
m)/s^2$. Let the data be Gaussian with variances `lam`. Which share of the true **score**
does the answer explain at the noise level `s`? (One minus the unexplained part, so it may
be negative; of the denoiser the answer explains nothing.)
"""

# %%
spectra = torch.stack(
    [torch.arange(1, 9).double() ** -p for p in (0.5, 1, 2, 3)]
)
grades = real([[0.5], [1.0], [2.0], [5.0]])


def share_by_points(lam, s):
    """By a score at 2 d points with the moments of the noisy law."""
    out = []
    for v, grade in zip(lam, s, strict=True):
        d, law = (
            len(v),
            laws.gaussian(torch.zeros(len(v)).double(), torch.diag(v)),
        )
        x = torch.diag((d * (v + grade**2)).sqrt())
        x = torch.cat([x, -x])
        want = worlds.World(far, law).score(x, grade.item())
        out.append(1 - metrics.unexplained(-x / grade**2, want))
    return torch.stack(out)


# %% tags=["hide-input"]
def knows(v, s):
    """sum v^2/(v + s^2) and sum 1/(v + s^2), for each row."""
    return (v**2 / (v + s**2)).sum(1), (1 / (v + s**2)).sum(1)


share_slips = {
    "this is what the answer does not explain": lambda lam, s: (
        knows(lam, s)[0] / knows(lam, s)[1] / s[:, 0] ** 4
    ),
    "gaps of scores are those of denoisers over s^2; here squared": (
        lambda lam, s: 1 - knows(lam, s)[0] / knows(lam, s)[1] / s[:, 0] ** 2
    ),
    "the error of the right guess forgotten: tr C / (d s^2)": lambda lam, s: (
        1 - lam.mean(1) / s[:, 0] ** 2
    ),
}

# %% tags=["hide-input"]
share_exercise = Claim(
    id="farfield/share-exercise",
    says=r"the share of a score that the mean explains",
    papers=("106",),
    kind="exact",
    formula=None,
    controls=share_slips,
    tol=1e-10,
    because="float64",
    at={"lam": spectra, "s": grades},
    truth=share_by_points,
)


# %% tags=["solution", "hide-cell"]
def share_of_mean(lam, s):
    """The explained share; lam (n, d) and s (n, 1)."""
    gap = (lam**2 / (lam + s**2)).sum(1) / s[:, 0] ** 4
    return 1 - gap / (1 / (lam + s**2)).sum(1)


# %%
attempt(share_exercise, share_of_mean)

# %% [markdown]
r"""
**2.** Let $p$ and $q$ on the line differ first in the $n$-th cumulant, by $\delta$. The
divergence of the noisy laws is $\mathrm{KL}(p_s \| q_s) = c_n\, \delta^2 s^{-2n} (1 +
o(1))$. Find $c_n$. (Its derivative with respect to $s^2$ is minus half of the mean
squared gap of the scores.)
"""

# %%
origin = torch.zeros(1).double()
unit = laws.gaussian(origin, 1.0)
skewed = laws.mixture(real([[-0.5], [1.5]]), 0.3, real([0.75, 0.25]))
on_line = (  # p, q and the difference of the cumulants; n = 1, 2, 3, 4
    (laws.gaussian(origin + 1, 1.0), unit, 1.0),
    (laws.gaussian(origin, 2.0), unit, 1.0),
    (skewed, twin(skewed), laws.third_cumulant(skewed).item()),
    (coin, twin(coin), -2.0),
)


# %%
def divergence(p, q, s):
    """KL(p_s || q_s): E_p (q/p - 1) = 0 is added against cancellation."""
    x, w = nodes(p, s)
    logs = [worlds.World(far, law).log_prob(x, s) for law in (q, p)]
    return w @ (torch.expm1(logs[0] - logs[1]) - (logs[0] - logs[1]))


def constants_by_worlds(n):
    """The four c_n, by extrapolation from four noise levels."""
    out = []
    for k, (p, q, delta) in enumerate(on_line, 1):

        def grown(s, p=p, q=q, k=k, delta=delta):
            return s ** (2 * k) * divergence(p, q, s) / delta**2

        out.append(limit(grown, 4.0, 2))
    return torch.stack(out)


# %% tags=["hide-input"]
def factorial(n):
    """n! for a tensor."""
    return torch.lgamma(n + 1).exp()


# %% tags=["hide-input"]
kl_exercise = Claim(
    id="farfield/divergence-exercise",
    says=r"the constant of the divergence in the far field",
    papers=("106",),
    kind="exact",
    formula=None,
    controls={
        "half is missing": lambda n: 1 / factorial(n),
        "(n - 1)! belongs to the denoiser": lambda n: n * 0.5 / factorial(n),
        "a factorial too many": lambda n: 0.5 / factorial(n) ** 2,
    },
    tol=1e-6,
    because="four noise levels, extrapolated; c_4 is small",
    at={"n": real([1.0, 2.0, 3.0, 4.0])},
    truth=constants_by_worlds,
)


# %% tags=["solution", "hide-cell"]
def divergence_constant(n):
    """c_n for a tensor of orders n."""
    return 0.5 / torch.lgamma(n + 1).exp()


# %%
attempt(kl_exercise, divergence_constant)

# %% [markdown]
r"""
**3.** A linear denoiser learns by [gradient flow](#eq-farfield-descent) from zero. After
which time $\tau$ has the direction of variance `lam` reached half of its final gain, at the
noise level `s`?
"""

# %%
variances = torch.logspace(-2, 1, 8).double()
strengths = torch.logspace(-0.7, 0.5, 8).double()


def half_by_exponential(lam, s):
    """By bisection on the matrix exponential of the affine flow."""
    out = []
    for v, level in zip(lam, s, strict=True):
        flow = real([[-2 * (v + level**2), 2 * v], [0.0, 0.0]])
        low, high = real(0.0), real(200.0)
        for _ in range(60):
            mid = (low + high) / 2
            gain = torch.linalg.matrix_exp(flow * mid)[0, 1]
            done = gain > v / (v + level**2) / 2
            low, high = (low, mid) if done else (mid, high)
        out.append(high)
    return torch.stack(out)


# %% tags=["hide-input"]
ln2 = math.log(2)
half_slips = {
    "the noise forgotten": lambda lam, s: ln2 / (2 * lam),
    "the 2 of the squared loss": lambda lam, s: ln2 / (lam + s**2),
    "this is the time to 1 - 1/e": lambda lam, s: 0.5 / (lam + s**2),
    "s for s squared": lambda lam, s: ln2 / (2 * (lam + s)),
}
half_exercise = Claim(
    id="farfield/half-time-exercise",
    says=r"the time at which half of a gain is learned",
    papers=("106",),
    kind="exact",
    formula=None,
    controls=half_slips,
    tol=1e-9,
    because="sixty halvings of an interval",
    at={"lam": variances, "s": strengths},
    truth=half_by_exponential,
)


# %% tags=["solution", "hide-cell"]
def half_time(lam, s):
    """The time at which half of the final gain is reached."""
    return math.log(2) / (2 * (lam + s**2))


# %%
attempt(half_exercise, half_time)

# %% [markdown]
r"""
**4.** *A new control.* Find a tensor made from $\kappa_3$ whose norm is $\|\kappa_3\|_F$
on the line but not in the plane, and whose use for it would be an honest mistake. Add it
to the controls of `farfield/rms`: is it rejected?

**5.** *Extend the world.* Merge the modes of `plane` in another way, or make a mixture
of two modes that shares also the third cumulant with it. Which slope does its gap have,
and which constant? (The package has no fourth cumulant in the plane; on the line you
need none.)

## Summary

| what | formula | where |
|---|---|---|
| best affine guess, any law | $m + C C_s^{-1} (x - m)$ | `laws.fit_gaussian` |
| gap | error of $D_G$ minus error of $D$ | |
| far field | $\langle \mathrm{He}_{n-1}(y), \Delta\kappa_n\rangle / ((n-1)!\, s^{n-1})$ | `laws.third_cumulant` |
| its size | $\lVert \Delta\kappa_n \rVert_F / (\sqrt{(n-1)!}\, s^{n-1})$ | |
| gap of the score | the same over $s^2$ | |
| near field | $s \sqrt{\text{rank}}$ | |
| shares of score and denoiser | $(\operatorname{tr} C - \varepsilon^2)/(d s^2 - \varepsilon^2)$ | `metrics.unexplained` |
| gain learned at time $\tau$ | $\frac{\lambda}{\lambda + s^2}(1 - e^{-2(\lambda + s^2)\tau})$ | |

**Where next.** [Teleport](teleport.ipynb) lets the Gaussian do the first part of the
sampling, and computes the error that this leaves in the images.
"""
