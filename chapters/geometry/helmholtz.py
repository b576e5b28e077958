# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# Every field is a gradient plus a gauge

A score is a gradient. A network that imitates it is not one, and nobody forces it to
be. Is that an error? Part of it is, and part of it is not: we split any field into a
gradient, which moves the density, and a *gauge*, which stirs the points along and
never changes how many are where. The split is an orthogonal projection. For linear
fields it is one matrix equation, in the plane one sparse system.

- **You need** integration by parts, orthogonal projections, and the
[family of reverse processes](../gaussian/reverse.ipynb).
- **You get** the gauge condition, the weighted Helmholtz decomposition, its closed
form for Gaussians, a solver of order two for the plane, and all gauges of the plane.
- **Paper** 041, Horvat and Pfister {cite}`horvat2024gauge`.
- **Claims** on Gaussians in three dimensions and a mixture in the plane, all named
`helmholtz/...`.
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
The imports, once for the whole chapter, and two short names:
"""

# %% tags=["setup"]
import functools
import itertools

import matplotlib.pyplot as plt
import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg
import sympy
import torch
from torch import distributions

# %% tags=["setup"]
from diffkit import fields, figures, laws, paths, shapes, worlds
from diffkit.claims import Claim, attempt, check

tensor = functools.partial(torch.tensor, dtype=torch.float64)
even = functools.partial(torch.linspace, dtype=torch.float64)

# %% [markdown]
r"""
The world is a mixture of three tilted Gaussians in the plane, on the path
$x_t = a_t x_0 + g_t z$ with data at $t = 0$ and noise at $t = 1$.
"""

# %% tags=["setup"]
centres = tensor([[-1.5, 0.5], [1.0, 1.2], [0.6, -1.4]])
tilts = tensor(
    [
        [[0.30, 0.18], [0.18, 0.24]],
        [[0.12, -0.05], [-0.05, 0.35]],
        [[0.50, 0.10], [0.10, 0.06]],
    ]
)
shares = tensor([0.5, 0.3, 0.2])
vp = paths.vp()
world = worlds.World(vp, laws.mixture(centres, tilts, shares))
J = tensor([[0.0, -1.0], [1.0, 0.0]])

# %% [markdown]
r"""
## What may be added to a score?

Let $p_t$ be the law of $x_t$ and $s = \nabla \log p_t$. With
$f = \dot a / a$ and $h^2 = (g^2)^{\textstyle\cdot} - 2 f g^2$, the processes

$$
dx = \Big[ f x - \frac{1 + k^2}{2}\, h^2 s \Big] dt + k h\, d\bar W ,
\qquad k \ge 0,
$$ (eq-helmholtz-family)

run down in time and keep the laws $p_t$; [reverse time](../gaussian/reverse.ipynb)
derives them. The flow is $k = 0$, Anderson's process $k = 1$. A model has
$\hat s = s + r$ in the place of $s$. What does $r$ do?

Run down in time, a drift $b$ and noise $k h$ change a density $q_t$ by
$\partial_t q = -\nabla \cdot (b q) - \frac12 k^2 h^2 \Delta q$.
Put $b = f x - \frac{1 + k^2}{2} h^2 (s + r)$ and *suppose* that $q_t = p_t$. All terms
without $r$ add up to $\partial_t p_t$, since they are the case $r = 0$. What is left is

$$
-\nabla \cdot (b\, p) - \tfrac12 k^2 h^2 \Delta p
= \partial_t p + \frac{1 + k^2}{2}\, h^2\; \nabla \cdot (p\, r) .
$$ (eq-helmholtz-rate)

Assume that $h > 0$, that everything is smooth for $g_t > 0$, that $p\,r$ decays at
infinity, and that the Fokker-Planck equation with the drift $b$ has one solution for
a given start $q_T = p_T$. Then

$$
q_t = p_t \text{ for all } t
\iff \nabla \cdot (p_t\, r_t) = 0 \text{ for all } t .
$$ (eq-helmholtz-gauge)

*If*: by [the rate](#eq-helmholtz-rate) $p_t$ solves the equation of $q_t$, with the
same start; there is one solution. *Only if*: if $q_t = p_t$, then the left side of
[the rate](#eq-helmholtz-rate) is $\partial_t q = \partial_t p$, so the last term
vanishes, and its factor is positive. The factor depends on $k$ and the condition does
not: **a field is harmless at one noise level if and only if it is at all**. For other
initial laws the *if* says nothing.

Such an $r$ is a **gauge** of $p_t$. Divide by $p$ for the form that needs only the score:

$$
\nabla \cdot r + r \cdot s = 0 .
$$ (eq-helmholtz-pointwise)

Our example is $r = J (h\,s + \nabla h)$, with a quarter turn $J$ and any smooth function
$h$; why it is a gauge is said [below](#eq-helmholtz-family-b). It is far from small and its
divergence is not zero. The divergence of the whole drift is taken by automatic
differentiation; the truth is the slope in *time* of torch's own mixture density, which
knows nothing of scores.
"""

# %% tags=["setup"]
moments = even(0.1, 1.0, 40)
spots = world.draw(40, moments, shapes.rng(0))[2]


def wave(x, t):
    """A function h(x) that is not constant on any level line."""
    return 1 + torch.sin(x[..., 0] - 0.7 * x[..., 1])


def time_slope(x, t):
    """d log p_t(x) / dt at a point that stands still, by torch's mixture."""
    t = t.clone().requires_grad_()
    c = vp.at(t)
    a, g2 = c.a.reshape(-1, 1, 1), c.g2.reshape(-1, 1, 1, 1)
    cov = a.unsqueeze(-1) ** 2 * tilts + g2 * torch.eye(2).double()
    parts = distributions.MultivariateNormal(a * centres, cov)
    weights = distributions.Categorical(shares.expand(len(t), 3))
    log_p = distributions.MixtureSameFamily(weights, parts).log_prob(x)
    return torch.autograd.grad(log_p.sum(), t)[0]


# %%
slope = time_slope(spots, moments)
h2 = vp.sde(moments)[1]
s = world.score(spots, moments)
spread = fields.divergence(world.score, spots, moments) + (s**2).sum(-1)


def drift(r, k):
    """f x - (1 + k^2)/2 h^2 (score + r)."""

    def b(x, t):
        f, h2 = (u.unsqueeze(-1) for u in vp.sde(t))
        return f * x - (1 + k**2) / 2 * h2 * (world.score(x, t) + r(x, t))

    return b


# %%
def missed(r):
    """How far score + r moves density at another rate, for k = 0, 1, 2."""
    off = []
    for k in (0.0, 1.0, 2.0):
        b = drift(r, k)
        carried = fields.divergence(b, spots, moments)
        carried = carried + (b(spots, moments) * s).sum(-1)
        rate = -carried - k**2 * h2 / 2 * spread
        off.append((rate - slope).abs().max() / slope.abs().max())
    return max(off)


# %% tags=["hide-input"]
def turned(A, level=True, slope=True):
    """A (h s + grad h), of any matrix A, with parts left out."""

    def r(x, t):
        h = wave(x, t).unsqueeze(-1) if level else 1.0
        dh = torch.cos(x @ tensor([1.0, -0.7])).unsqueeze(-1)
        dh = dh * tensor([1.0, -0.7]) * slope
        return (h * world.score(x, t) + dh) @ A.mT

    return r


# %% tags=["hide-input"]
shear = tensor([[0.0, 1.0], [0.0, 0.0]])
rate_slips = {
    "a rotation $Jx$, which suits round laws only": lambda x, t: x @ J.mT,
    "a shear for the antisymmetric $J$": turned(shear),
    "$J h s$, without $\\nabla h$": turned(J, slope=False),
    "$J \\nabla h$, free of divergence but not a gauge": (
        lambda x, t: turned(J)(x, t) - turned(J, slope=False)(x, t)
    ),
}

# %% tags=["hide-input"]
rate_claim = Claim(
    id="helmholtz/rate",
    says=r"With $r = J(h s + \nabla h)$, $h = 1 + \sin(x_1 - 0.7 x_2)$, $J$ "
    r"a quarter turn, the processes with score $s + r$ and noise level $k = "
    r"0, 1, 2$ move density at the rate $\partial_t p_t$ of the path, ODE "
    r"and SDEs alike (three tilted Gaussians, VP).",
    papers=("041",),
    kind="exact",
    formula=fields.gauge(world.score, J, wave),
    controls=rate_slips,
    tol=1e-13,
    because="float64; terms up to a hundred times the slope cancel",
    measure=missed,
    scale=lambda r, e: lambda x, t: r(x, t) + e * x,
)
check(rate_claim)

# %% [markdown]
r"""
## Can every field be split?

Fix a time, drop it from the notation, and take the inner product of the space
$L^2(p)$ of fields, $\langle f, g \rangle = \mathbb E_p[f \cdot g]$. For a function
$\psi$ and a smooth field with $p\, \psi f \to 0$ at infinity, integrate by parts:

$$
\mathbb E_p[\nabla \psi \cdot f] = \int \nabla\psi \cdot (p f)\, dx
= - \mathbb E_p\big[ \psi\, ( \nabla \cdot f + f \cdot s ) \big].
$$ (eq-helmholtz-adjoint)

So the adjoint of the gradient is not minus the divergence: it is minus the divergence
*weighted* with $p$. Hence a field is
[a gauge](#eq-helmholtz-pointwise) if and only if it is orthogonal to every gradient.
That is also what the word shall mean for fields that are not smooth.

Orthogonality to a subspace asks for a projection. We look for $\varphi$ with

$$
\mathbb E_p[\nabla\varphi \cdot \nabla\psi] = \mathbb E_p[f \cdot \nabla\psi]
\quad \text{for all } \psi ,
$$ (eq-helmholtz-weak)

which by [the adjoint](#eq-helmholtz-adjoint), where all is smooth, is the weighted
Poisson equation

$$
\nabla \cdot (p\, \nabla \varphi) = \nabla \cdot (p f),
\qquad
\Delta\varphi + s \cdot \nabla\varphi = \nabla \cdot f + s \cdot f .
$$ (eq-helmholtz-poisson)

**Existence.** Assume a Poincaré inequality,
$\operatorname{Var}_p \psi \le \kappa\, \mathbb E_p |\nabla\psi|^2$ with one
$\kappa < \infty$ for all $\psi$. Gaussians have it with $\kappa$ the largest
eigenvalue of $C$. Finite mixtures of Gaussians with invertible covariances have it as
well, by a known criterion: far out the score points inwards,
$-x \cdot s \ge c\, |x|^2 - b$ with $c > 0$. But $\kappa$ grows fast as the modes move
apart.
On the Hilbert space of the $\psi$ with mean zero and
$\mathbb E_p|\nabla\psi|^2 < \infty$ the left side of
[the weak form](#eq-helmholtz-weak) is bounded, and it is coercive because
$\mathbb E_p|\nabla\psi|^2 \ge (\mathbb E_p \psi^2 + \mathbb E_p|\nabla\psi|^2)/(1 + \kappa)$.
The right side is a bounded functional if $f \in L^2(p)$. By the lemma of Lax and
Milgram there is exactly one $\varphi$. Without the inequality the projection on the
closure of the gradients still exists; it may then have no potential in $L^2(p)$.

**The split.** Put $r = f - \nabla\varphi$. [The weak form](#eq-helmholtz-weak) says
that $r$ is a gauge, and that

$$
f = \nabla\varphi + r, \quad \mathbb E_p[\nabla\varphi \cdot r] = 0, \quad
\mathbb E_p|f|^2 = \mathbb E_p|\nabla\varphi|^2 + \mathbb E_p|r|^2 .
$$ (eq-helmholtz-split)

**Uniqueness.** The difference of two splits is a gradient that is a gauge; it is
orthogonal to itself, so it is zero.

This is the *weighted* Helmholtz decomposition. The textbook's has $p = 1$, and would
say that $J x$ is free of gradients whatever the law is.
"""

# %% [markdown]
r"""
Averages over the mixture are sums over a regular grid: for a smooth integrand that
dies out at both ends the trapezoidal rule converges faster than any power of the mesh.
We look at the world at the time when $g/a = 0.5$, in units of the data:
"""

# %% tags=["setup"]
now = laws.mixture(centres, tilts, shares).blur(0.25)
R = 7.0  # half the side of the box: p is below 1e-8 of its peak there


def grid(n):
    """The centres of n x n cells, (n, n, 2), and their width."""
    axis = (torch.arange(n, dtype=torch.float64) + 0.5) * (2 * R / n) - R
    return torch.stack(
        torch.meshgrid(axis, axis, indexing="ij"), -1
    ), 2 * R / n


cells, width = grid(72)
points = cells.reshape(-1, 2)
weight = now.log_prob(points).exp() * width**2


def mean(u):
    """E_p of a function given on the grid."""
    return (weight * u).sum(-1)


# %% [markdown]
r"""
The next claim is [the adjoint](#eq-helmholtz-adjoint), with a field that is neither a
gradient nor a gauge, and three test functions $\psi = \sin(a \cdot x)$.
"""

# %% tags=["setup"]
tests = tensor([[1.0, 0.3], [-0.4, 0.9], [0.7, -1.1]])


def arbitrary(x, t=0.0):
    """A field chosen without a thought of the law."""
    u, v = x.unbind(-1)
    return torch.stack(
        [0.3 - 0.8 * torch.sin(1.2 * v), 0.7 * torch.sin(u) + 0.2 * v], -1
    )


# %%
def adjoint(div=1.0, along=1.0, sign=-1.0):
    """-E[psi (div f + f . s)], with slips; div f = 0.2 everywhere."""
    inner = (arbitrary(points) * now.score(points)).sum(-1)
    psi = torch.sin(points @ tests.mT).mT
    return sign * mean(psi * (0.2 * div + along * inner))


waves = torch.cos(points @ tests.mT).mT  # grad sin(a . x) = a cos(a . x)
adjoint_truth = mean(waves * (arbitrary(points) @ tests.mT).mT)

# %% tags=["hide-input"]
adjoint_claim = Claim(
    id="helmholtz/adjoint",
    says=r"$\mathbb E_p[\nabla\psi \cdot f] = -\mathbb E_p[\psi\,(\nabla "
    r"\cdot f + f \cdot s)]$ for $\psi = \sin(a \cdot x)$ and a field $f$ "
    r"that is neither gradient nor gauge (three tilted Gaussians at $\sigma "
    r"= 0.5$).",
    papers=("041",),
    kind="exact",
    formula=adjoint(),
    controls={
        "minus the plain divergence": adjoint(along=0.0),
        "the divergence left out": adjoint(div=0.0),
        "the sign of the score": adjoint(along=-1.0),
        "the sign of the whole": adjoint(sign=1.0),
    },
    tol=1e-9,
    because="the box leaves out less than 1e-10; set after measuring",
    truth=adjoint_truth,
)
check(adjoint_claim)

# %% [markdown]
r"""
## What does score matching punish?

[Pythagoras](#eq-helmholtz-split) for the error of a model. Let
$\hat s = \nabla\varphi + r$. Then $\hat s - s = \nabla(\varphi - \log p) + r$ is the
split of the error, so

$$
\mathbb E_p|\hat s - s|^2 =
\underbrace{\mathbb E_p|\nabla\varphi - s|^2}_{\text{moves the density}}
+ \underbrace{\mathbb E_p|r|^2}_{\text{does not}} .
$$ (eq-helmholtz-loss)

Denoising score matching differs from the left side by a number that does not depend
on $\hat s$, so it pays for both parts in the same coin. A network spends capacity on
removing a term that changes no law, and a small loss bounds both parts, while a large
loss may be all of the second kind.

A model with errors of both kinds, $\hat s = s + u\, \nabla\varphi + w\, r$ with the
potential $\varphi = \sin(x_1 + x_2/2)$ and our gauge $r$:
"""

# %%
a = tensor([1.0, 0.5])
bump = torch.cos(points @ a).unsqueeze(-1) * a  # grad phi


def still(x, t):
    """The score of the law as it is now, whatever the time."""
    return now.score(x)


def squared(field):
    """E_p |field|^2."""
    return mean((field**2).sum(-1))


stir = fields.gauge(still, J, wave)(points, 0.0)
# %%
doses = [(1.0, 0.0), (1.0, 0.5), (-0.7, 1.0), (2.0, -1.5)]
loss = torch.stack([squared(u * bump + w * stir) for u, w in doses])


def paid(parts):
    """The loss from the two parts alone, for the four doses."""
    both = squared(bump), squared(stir)
    return torch.stack(
        [parts(u**2 * both[0], w**2 * both[1]) for u, w in doses]
    )


# %% tags=["hide-input"]
paid_slips = {
    "the harmless part is not seen": paid(lambda harm, idle: harm),
    "lengths add up, not squares": paid(
        lambda harm, idle: (harm.sqrt() + idle.sqrt()) ** 2
    ),
    "half of the harmless part": paid(lambda h, idle: h + idle / 2),
    "the difference": paid(lambda harm, idle: harm - idle),
}

# %% tags=["hide-input"]
loss_claim = Claim(
    id="helmholtz/pythagoras",
    says=r"$\mathbb E_p|\hat s - s|^2 = \mathbb E_p|\nabla\varphi|^2 + "
    r"\mathbb E_p|r|^2$ if $\hat s - s = \nabla\varphi + r$ with a gauge "
    r"$r$: score matching pays for the harmless part in full ($\varphi = "
    r"\sin(x_1 + x_2/2)$, $r = J(hs + \nabla h)$, four doses; three tilted "
    r"Gaussians).",
    papers=("041",),
    kind="exact",
    formula=paid(lambda harm, idle: harm + idle),
    controls=paid_slips,
    tol=1e-11,
    because="set after measuring: what the box leaves out, and rounding",
    truth=loss,
)
check(loss_claim)

# %% [markdown]
r"""
## What is the gradient part of a matrix?

Let $p = \mathcal N(m, C)$ with $C$ invertible, and $f = M (x - m)$. Put $m = 0$. Try
$\nabla\varphi = S x$ with $S$ *symmetric*, and $r = (M - S)\, x$. Since
$s = -C^{-1} x$, [the gauge condition](#eq-helmholtz-pointwise) reads

$$
\operatorname{tr}(M - S) - x^\top C^{-1} (M - S)\, x = 0 \quad \text{for all } x .
$$

The quadratic form vanishes if and only if $C^{-1}(M - S)$ is antisymmetric. Multiply
with $C$ from both sides, which keeps antisymmetry: $(M - S)\, C = K$ with
$K^\top = -K$. The trace $\operatorname{tr}(K C^{-1})$ is then zero by itself. Add
$K + K^\top = 0$:

$$
S C + C S = M C + C M^\top ,
$$ (eq-helmholtz-sylvester)

a Sylvester equation. In the eigenbasis of $C$, with eigenvalues $\lambda_i$, it is
solved entry by entry:

$$
S_{ij} = \frac{\lambda_j M_{ij} + \lambda_i M_{ji}}{\lambda_i + \lambda_j} .
$$ (eq-helmholtz-entries)

This is symmetric, and $\lambda_i + \lambda_j > 0$ makes it the only solution. Since the
split is unique in the whole of $L^2(p)$, no cubic or wilder potential does better than
this quadratic one. So **every linear gauge of a Gaussian is $K C^{-1} x$ with an
antisymmetric $K$**.

The gradient part is a *weighted* average of $M$ and $M^\top$. The weight is that of the
coordinate that the entry multiplies: the wider it varies, the more the entry counts.
With $W = (M - M^\top)/2$,

$$
S_{ij} - \frac{M_{ij} + M_{ji}}{2}
= W_{ij}\, \frac{\lambda_j - \lambda_i}{\lambda_i + \lambda_j} ,
$$

so the everyday symmetric part $(M + M^\top)/2$ is the gradient part if and only if
$W_{ij} = 0$ wherever $\lambda_i \ne \lambda_j$, that is, if and only if $W$ and $C$
commute. A vanishing variance $\lambda_i \to 0 < \lambda_j$ gives $S_{ij} \to M_{ij}$,
and where both vanish the field is never seen.

First the entries, for a symbolic $M$ and $C = \operatorname{diag}(\lambda)$ in three
dimensions. The measure returns [the gauge condition](#eq-helmholtz-pointwise) of what
is left, coefficient by coefficient, and the asymmetry of $S$:
"""

# %%
lam = sympy.symbols("lambda1:4", positive=True)
Ms = sympy.Matrix(3, 3, sympy.symbols("m1:4(1:4)"))


def leftover(entry):
    """tr(M - S), the form x' C^-1 (M - S) x by coefficients, S - S'."""
    S = sympy.Matrix(
        3, 3, lambda i, j: entry(Ms[i, j], Ms[j, i], lam[i], lam[j])
    )
    T = sympy.diag(*(1 / v for v in lam)) * (Ms - S)
    form = [(T + T.T)[i, j] for i in range(3) for j in range(i + 1)]
    return sympy.Matrix([(Ms - S).trace(), *form, *(S - S.T)])


# %% tags=["hide-input"]
entries_claim = Claim(
    id="helmholtz/entries",
    says=r"For any $M$ and $C = \operatorname{diag}(\lambda_1, \lambda_2, "
    r"\lambda_3)$ the matrix $S_{ij} = (\lambda_j M_{ij} + \lambda_i "
    r"M_{ji}) / (\lambda_i + \lambda_j)$ is symmetric and $(M - S) x$ is a "
    r"gauge of $\mathcal N(0, C)$.",
    papers=("041",),
    kind="symbolic",
    formula=lambda m, n, a, b: (b * m + a * n) / (a + b),
    controls={
        "the symmetric part $(M + M')/2$": lambda m, n, a, b: (m + n) / 2,
        "the weights exchanged": lambda m, n, a, b: (a * m + b * n) / (a + b),
        "$\\lambda^2$ for $\\lambda$": lambda m, n, a, b: (
            (b**2 * m + a**2 * n) / (a**2 + b**2)
        ),
        "$M$ itself": lambda m, n, a, b: m,
    },
    measure=leftover,
)
check(entries_claim)

# %% [markdown]
r"""
Then a full $C$ that does not commute with anything in sight, with scipy's Sylvester
solver. The truth does not know the equation: it projects $Mx$ on the gradients of *all*
polynomials of degree at most three, by least squares in the 125 nodes of a
Gauss-Hermite rule, which is exact for every average that appears.
"""

# %% tags=["setup"]
C = np.array([[2.0, 0.6, -0.3], [0.6, 0.8, 0.2], [-0.3, 0.2, 0.3]])
M = np.array([[-0.5, 1.4, 0.2], [-0.9, -1.1, 0.8], [0.6, -0.3, -2.0]])
nodes, masses = np.polynomial.hermite_e.hermegauss(5)
masses = masses / masses.sum()
nodes = np.stack(np.meshgrid(nodes, nodes, nodes), -1).reshape(-1, 3)
nodes = nodes @ np.linalg.cholesky(C).T
masses = np.einsum("i,j,k->ijk", masses, masses, masses).reshape(-1)


def slopes(x, degree=3, low=1):
    """The gradients of the monomials of some degrees, (n, 3, K)."""
    powers = itertools.product(range(degree + 1), repeat=3)
    powers = np.array([q for q in powers if low <= sum(q) <= degree])
    eye = np.eye(3, dtype=int)
    each = [
        powers[:, i] * (x[:, None] ** np.maximum(powers - eye[i], 0)).prod(-1)
        for i in range(3)
    ]
    return np.stack(each, 1)


# %% tags=["setup"]
def projected(values):
    """The nearest gradient in L2(p) to a field in the nodes, (n, 3)."""
    G, root = slopes(nodes), np.sqrt(masses)[:, None]
    rows = (root[..., None] * G).reshape(-1, G.shape[-1])
    best = np.linalg.lstsq(rows, (root * values).reshape(-1), rcond=None)[0]
    return G @ best


def power(values):
    """E_p |field|^2 in the nodes."""
    return torch.tensor((masses[:, None] * values**2).sum())


def sylvester(M, C):
    """The symmetric S with S C + C S = M C + C M'."""
    return scipy.linalg.solve_sylvester(C, C, M @ C + C @ M.T)


# %% tags=["hide-input"]
def in_nodes(S):
    """The field S x in the nodes."""
    return torch.tensor(nodes @ S.T)


def sylvester_with(right, P=C):
    """The solution with another right side or another matrix."""
    return in_nodes(scipy.linalg.solve_sylvester(P, P, right))


sylvester_slips = {
    "the symmetric part $(M + M')/2$": in_nodes((M + M.T) / 2),
    "$M' C + C M$ on the right": sylvester_with(M.T @ C + C @ M),
    "$C^2$ for $C$": sylvester_with(M @ C @ C + C @ C @ M.T, C @ C),
    "$2 M C$ on the right": sylvester_with(2 * M @ C),
}

# %% tags=["hide-input"]
sylvester_claim = Claim(
    id="helmholtz/sylvester",
    says=r"On $\mathcal N(0, C)$ the gradient part of $Mx$ is $Sx$ with $SC "
    r"+ CS = MC + CM^\top$, and no potential of degree three does better "
    r"($d = 3$, $M$ and $C$ full; against least squares on the gradients of "
    r"all monomials).",
    papers=("041",),
    kind="exact",
    formula=in_nodes(sylvester(M, C)),
    controls=sylvester_slips,
    tol=1e-12,
    because="least squares in float64, 19 monomials",
    truth=torch.tensor(projected(nodes @ M.T)),
)
check(sylvester_claim)

# %% [markdown]
r"""
How large is the gauge? In the eigenbasis
$M_{ij} - S_{ij} = (M_{ij} - M_{ji})\, \lambda_i / (\lambda_i + \lambda_j)$, and
$\mathbb E_p|r|^2 = \sum_{ij} (M_{ij} - S_{ij})^2 \lambda_j$. The terms $ij$ and $ji$
together have $(\lambda_i^2 \lambda_j + \lambda_j^2 \lambda_i) /
(\lambda_i + \lambda_j)^2$, so

$$
\mathbb E_p|r|^2 = \sum_{i<j} (M_{ij} - M_{ji})^2\,
\frac{\lambda_i \lambda_j}{\lambda_i + \lambda_j} .
$$ (eq-helmholtz-idle)

Between a wide and a narrow direction the factor is about the *narrow* variance: a field
can hardly circulate in a thin sheet.
"""

# %%
cases = [M, M.T, M @ M, np.triu(M), sylvester(M, C) + np.diag([0, 1, 2]) @ M]


def idle(factor, square=2, basis=True):
    """The sum over pairs, with slips."""
    lam, U = np.linalg.eigh(C) if basis else (np.diag(C), np.eye(3))
    out = []
    for A in cases:
        V = U.T @ A @ U
        i, j = np.triu_indices(3, 1)
        gap = np.abs(V[i, j] - V[j, i]) ** square
        out.append((gap * factor(lam[i], lam[j])).sum())
    return torch.tensor(np.array(out))


def idle_truth():
    """What least squares leaves of the field."""
    all_of = [nodes @ A.T for A in cases]
    return torch.stack([power(v - projected(v)) for v in all_of])


# %% tags=["hide-input"]
idle_slips = {
    "the mean variance": idle(lambda u, v: (u + v) / 2),
    "the antisymmetric part, $\\mathbb E_p|Wx|^2$": idle(
        lambda u, v: (u + v) / 4
    ),
    "the harmonic mean, twice too much": idle(
        lambda u, v: 2 * u * v / (u + v)
    ),
    "the diagonal of $C$ for its eigenvalues": idle(
        lambda u, v: u * v / (u + v), basis=False
    ),
}

# %% tags=["hide-input"]
idle_claim = Claim(
    id="helmholtz/idle",
    says=r"In the eigenbasis of $C$ the gauge part of $Mx$ has $\mathbb "
    r"E_p|r|^2 = \sum_{i<j} (M_{ij} - M_{ji})^2 \lambda_i \lambda_j / "
    r"(\lambda_i + \lambda_j)$ ($\mathcal N(0, C)$, $d = 3$; five matrices, "
    r"against least squares).",
    papers=("041",),
    kind="exact",
    formula=idle(lambda u, v: u * v / (u + v)),
    controls=idle_slips,
    tol=1e-12,
    because="least squares in float64, 19 monomials",
    truth=idle_truth,
)
check(idle_claim)

# %% [markdown]
r"""
## Does an asymmetric Jacobian mean harm?

In a simply connected region a smooth field is a gradient if and only if its Jacobian is
symmetric, and so one would like to read the error of a model from the asymmetry of its
Jacobian. It can not be done, in either direction:

- *not sufficient*: $\hat s = s + K C^{-1} x$ has an asymmetric Jacobian,
as large as you like, and moves no law;
- *not necessary*: $\hat s = -1.1\, C^{-1} x$ is the score of $\mathcal N(0, C/1.1)$,
with a symmetric Jacobian, and is wrong.

What counts is $H = \mathbb E_p|\nabla\varphi - s|^2$, in a Gaussian world
$\operatorname{tr}(E\, C\, E)$ with $E = S + C^{-1}$. We compute it for five models: the two
of the list, one with both errors, the true score with a rotation $0.5\, Jx$ in the first two
coordinates, which is *not* a gauge here, and one with no structure.
"""

# %%
Q = np.linalg.inv(C)
K = np.array([[0.0, 2.0, -1.0], [-2.0, 0.0, 0.5], [1.0, -0.5, 0.0]])
spin = np.zeros((3, 3))
spin[0, 1], spin[1, 0] = -0.5, 0.5
models = [K @ Q - Q, -1.1 * Q, K @ Q - 1.1 * Q, spin - Q, M]


def harms(part):
    """tr(E C E') of the five models, E = part(model) + C^-1."""
    errors = [part(A) + Q for A in models]
    return torch.tensor(np.array([np.trace(E @ C @ E.T) for E in errors]))


def harm_truth():
    """What least squares finds of a gradient in the error."""
    return torch.stack([power(projected(nodes @ (A + Q).T)) for A in models])


# %% tags=["hide-input"]
harm_slips = {
    "the whole loss": harms(lambda A: A),
    "the loss of the symmetric part": harms(lambda A: (A + A.T) / 2),
    "the asymmetry $\\mathbb E_p|Wx|^2$": harms(lambda A: (A - A.T) / 2 - Q),
}

# %% tags=["hide-input"]
harm_claim = Claim(
    id="helmholtz/harm",
    says=r"For $\hat s = Mx$ on $\mathcal N(0, C)$ the part of the loss "
    r"that moves the law is $\operatorname{tr}(E C E)$, $E = S + C^{-1}$: "
    r"zero for $s + K C^{-1} x$ of any asymmetry, positive for the "
    r"symmetric $-1.1\, C^{-1}x$ ($d = 3$; five models, against least "
    r"squares).",
    papers=("041",),
    kind="exact",
    formula=harms(lambda A: sylvester(A, C)),
    controls=harm_slips,
    tol=1e-12,
    because="least squares in float64, 19 monomials",
    truth=harm_truth,
)
check(harm_claim)

# %% [markdown]
r"""
In the plane the same formulas say how much of a rotation $f = J x$ is harmful. With
$\lambda_1, \lambda_2$ in the eigenbasis,
$S_{12} = (\lambda_1 - \lambda_2)/(\lambda_1 + \lambda_2)$ and the share of the gradient
is $S_{12}^2$. Look at where the line is zero:
"""

# %% mystnb={"figure": {"caption": "The share of the gradient in the rotation $Jx$ on a Gaussian, against the ratio of its two variances. Dashed: what the symmetric part of $J$ says, nothing at every ratio.", "name": "fig-helmholtz-rotation"}, "image": {"alt": "A valley against the ratio of variances on a logarithmic axis: zero at ratio one, two thirds at ratio ten, near one at a hundred. A dashed line lies at zero."}}
figure, axes = figures.canvas("A rotation is harmless on a round law only")
ratio = torch.logspace(-2, 2, 201, dtype=torch.float64)
axes.semilogx(ratio, ((ratio - 1) / (ratio + 1)) ** 2, color=figures.EXACT)
axes.axhline(0, ls="--", color=figures.WRONG, lw=1.2)
figures.label_line(axes, 6, 0.1, r"symmetric part of $J$", figures.WRONG)
axes.set(xlabel=r"$\lambda_1 / \lambda_2$", ylabel="share of the gradient")
axes.set(yticks=[0, 0.5, 1])
plt.show()

# %% [markdown]
r"""
## How do you split a field that is not linear?

In the plane, by finite volumes. Cut a box of side $2R$ into $n \times n$ cells of width
$h$, with one value $\varphi_i$ in each. Between neighbours $i$ and $j$ lies a face; there
we need the density $p_{ij}$ in its middle and the component $f_{ij}$ of the field across
it. [Poisson's equation](#eq-helmholtz-poisson), integrated over a cell, says that
the flux of $p(\nabla\varphi - f)$ through its faces adds up to zero:

$$
\sum_{j \sim i} p_{ij} \Big( \frac{\varphi_j - \varphi_i}{h} - f_{ij} \Big) = 0
\quad \text{for every cell } i ,
$$ (eq-helmholtz-cells)

with $f_{ij} = -f_{ji}$ counted from $i$ to $j$, and no flux through the border. One weight
serves both cells of a face: this is the condition of detailed balance, and it makes the
matrix symmetric. With $D$ for the difference quotients, one row per face, and
$P = \operatorname{diag}(p_{ij})$, the cells together read
$D^\top P D\, \varphi = D^\top P f$: the normal equations of least squares, so that
**on the grid [the split](#eq-helmholtz-split) is exact**, for every $n$. Only how far the
grid is from the plane depends on $n$. The difference quotient is off by a multiple of
$h^2$ in the middle of a face, and we expect the order two. The constants are in the
kernel of $D$; we set $\varphi = 0$ in one cell. `fields.Splitter` sets the system up
and factors its matrix; the rule for the weights is ours, so that wrong ones can be tried.
"""


# %% tags=["setup"]
def middle(x, h):
    """The density in the middle of a face."""
    return now.log_prob(x).exp()


@functools.cache
def splitter(n, rule=middle):
    """The grid with a rule for the weights, its matrix factored once."""
    return fields.Splitter(now.log_prob, n, R, rule)


def split(field, n, rule=middle):
    """The gradient part and the gauge part across the faces of the grid."""
    return splitter(n, rule).split(field)


# %% [markdown]
r"""
The test field is one whose split is known: $\nabla\varphi + r$ with
$\varphi = \sin(x_1 + x_2/2)$ and the gauge $r = J(hs + \nabla h)$ of this law. The error
is the distance of the gradient part from $\nabla\varphi$ in $L^2(p)$, relative to
$\nabla\varphi$, and its order is the logarithm to base 2 of the ratio of the errors for
$n = 60$ and $n = 120$.
"""

# %%
swirl = fields.gauge(still, J, wave)


def slope_of_sine(x):
    """grad sin(x_1 + x_2 / 2)."""
    return torch.cos(x @ a).unsqueeze(-1) * a


def known(x):
    """A gradient plus a gauge."""
    return slope_of_sine(x) + swirl(x, 0.0)


# %%
def grid_error(n, rule):
    """How far the gradient part is from the known one, in L2(p)."""
    exact = splitter(n)
    want = exact.across(slope_of_sine)
    off = split(known, n, rule).gradient - want
    return float((exact.power(off) / exact.power(want)).sqrt())


def order_missed(rule):
    """How far the order of convergence is from two."""
    coarse, fine = (grid_error(n, rule) for n in (60, 120))
    return abs(np.log2(coarse / fine) - 2)


# %% tags=["hide-input"]
plain = "no weight: the textbook's decomposition"
rule_slips = {
    "the density of the next cell": lambda x, h: middle(x + h / 2, h),
    plain: lambda x, h: 1 + 0 * x[:, 0],
    "$\\sqrt p$ for $p$": lambda x, h: middle(x, h).sqrt(),
    "$p + 0.01$, against division by zero": lambda x, h: middle(x, h) + 0.01,
}

# %% tags=["hide-input"]
order_claim = Claim(
    id="helmholtz/order",
    says=r"The finite-volume split with the density in the middle of each "
    r"face converges to the known gradient part in $L^2(p)$ with order two, "
    r"$n = 60$ to $120$ cells a side ($\nabla \sin(x_1 + x_2/2)$ plus a "
    r"gauge; three tilted Gaussians, $\sigma = 0.5$).",
    papers=("041",),
    kind="exact",
    formula=middle,
    controls=rule_slips,
    tol=9e-3,
    because="the next term of the error is of order h^4; set after measuring",
    measure=order_missed,
    scale=lambda rule, e: lambda x, h: rule(x, h) ** (1 + 100 * e),
)
check(order_claim)

# %% [markdown]
r"""
Now the error of a model, made without a thought of the law: the field of
`helmholtz/adjoint` as $e = \hat s - s$. Splitting is linear and $s$ is a gradient, so the
split of $e$ is that of $\hat s$. How much of the loss is harmful? We extrapolate the share
$\mathbb E_p|\nabla\varphi|^2 / \mathbb E_p|e|^2$ from two grids, $(4 H_{h/2} - H_h)/3$. The
truth is Galerkin's: least squares on the gradients of many hundred Gaussian bells,
which shares neither faces nor matrix with the other route. More bells can only raise it.
"""


# %%
def on_grid(n, rule=middle):
    """The share of the gradient on one grid."""
    exact, parts = splitter(n), split(arbitrary, n, rule)
    return exact.power(parts.gradient) / exact.power(sum(parts))


def harmful(rule=middle):
    """The share, extrapolated to cells of no size."""
    return tensor([(4 * on_grid(120, rule) - on_grid(60, rule)) / 3])


# %%
def bells(x, step=0.3, size=0.5):
    """Gradients of Gaussian bells on a lattice and of x_i, (2, n, K)."""
    axis = even(-4.5, 4.5, round(9 / step) + 1)
    at = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
    at = at.reshape(-1, 2)
    off = x.unsqueeze(1) - at[now.log_prob(at) > -20]
    bell = torch.exp(-(off**2).sum(-1, keepdim=True) / (2 * size**2)) * off
    lines = torch.eye(2).double().expand(len(x), 2, 2)
    return torch.cat([bell, lines], 1).permute(2, 0, 1)


def by_galerkin():
    """The share by least squares on the gradients of bells."""
    log_p = now.log_prob(points)
    x, root = points[log_p > -20], (log_p[log_p > -20] / 2).exp()
    rows = (root.unsqueeze(-1) * bells(x)).flatten(0, 1).numpy()
    e = (root * arbitrary(x).mT).reshape(-1).numpy()
    best = np.linalg.lstsq(rows, e, rcond=1e-14)[0]
    return tensor([((rows @ best) ** 2).sum() / (e**2).sum()])


# %% tags=["hide-input"]
def jacobian_share():
    """E|sym Jac e|^2 / E|Jac e|^2: asymmetry for harm."""
    jac = fields.jacobian(arbitrary, points, 0.0)
    sizes = (((u**2).sum((-1, -2))) for u in ((jac + jac.mT) / 2, jac))
    return torch.stack([mean(u) for u in sizes])


even_part, all_parts = jacobian_share()
share_slips = {
    "the textbook's decomposition": harmful(rule_slips[plain]),
    "the share of the symmetric Jacobian": (
        (even_part / all_parts).reshape(1)
    ),
    "all of it": tensor([1.0]),
    "the gauge's share": 1 - harmful(),
}

# %% tags=["hide-input"]
share_claim = Claim(
    id="helmholtz/share",
    says=r"Of the loss of the field $e = (0.3 - 0.8 \sin 1.2 x_2,\ 0.7 \sin "
    r"x_1 + 0.2 x_2)$ the share $\mathbb E_p|\nabla\varphi|^2 / \mathbb "
    r"E_p|e|^2$ found by finite volumes is that of Galerkin's method (three "
    r"tilted Gaussians, $\sigma = 0.5$).",
    papers=("041",),
    kind="exact",
    formula=harmful(),
    controls=share_slips,
    tol=9e-5,
    because="finitely many bells and cells; set after measuring",
    truth=by_galerkin(),
)
check(share_claim)

# %% [markdown]
r"""
The two parts, to be seen. Look at whether the arrows run in loops:
"""


# %% tags=["hide-input"]
def in_cells(flux, n):
    """Components across faces as vectors in inner cells, (2, n-2, n-2)."""
    u, v = np.split(flux.numpy(), 2)
    u, v = u.reshape(n - 1, n), v.reshape(n, n - 1)
    u, v = (u[1:] + u[:-1])[:, 1:-1], (v[:, 1:] + v[:, :-1])[1:-1]
    return np.stack([u, v]) / 2


n = 48
level = now.log_prob(grid(n)[0]).exp().numpy()
gradient, gauge_part = (in_cells(u, n) for u in split(arbitrary, n))
panels = {
    "an error": (gradient + gauge_part, figures.EXACT),
    "its gradient: harm": (gradient, figures.WRONG),
    "its gauge: none": (gauge_part, figures.LEARNED),
}
axis = grid(n)[0][:, 0, 0].numpy()

# %% mystnb={"figure": {"caption": "An arbitrary error of a score (left) is the sum of a gradient, which moves the density (middle), and a gauge, which does not (right). Contours: the density. Arrows where it is above one per cent of its peak.", "name": "fig-helmholtz-split"}, "image": {"alt": "Three panels with the same contours of a density with three modes. Grey arrows of the whole error; red arrows of its gradient part, most of which point outwards, across the contours; blue arrows of the gauge part, which run in one large loop through the three modes."}}
figure, row = figures.canvas(
    "A part of this error does no harm", width=7.2, height=2.8, columns=3
)
for ax, (name, (arrows, colour)) in zip(row, panels.items(), strict=True):
    ax.contour(axis, axis, level.T, 5, colors=figures.NOISE, linewidths=0.6)
    seen = level[1:-1, 1:-1] > 0.01 * level.max()
    i, j = np.nonzero(seen & (np.indices(seen.shape) % 2 == 0).all(0))
    where = axis[1 + i], axis[1 + j]
    ax.quiver(*where, *arrows[:, i, j], color=colour, scale=12, width=0.008)
    ax.set_title(name, color=colour, fontsize=9)
    ax.set(xlim=(-3.5, 3), ylim=(-3.2, 3.2), xticks=[], yticks=[], aspect=1)
plt.show()

# %% [markdown]
r"""
The gradient part takes mass out of the modes and puts it elsewhere. The gauge carries
mass round one large loop, and through every closed curve as much of it leaves as
enters: it may cross a contour, and still no density changes.

## Which gauges are there?

**Any dimension.** Let $B(x)$ be an antisymmetric matrix for every $x$, and
$(\nabla \cdot B)_i = \sum_j \partial_j B_{ij}$. Then

$$
r = \frac{\nabla \cdot (p B)}{p} = B s + \nabla \cdot B
$$ (eq-helmholtz-family-b)

is a gauge, since $\nabla \cdot (p\,r) = \sum_{ij} \partial_i \partial_j (p B_{ij})$ and the
terms $ij$ and $ji$ cancel. With a constant $B = A$ this is $r = A s$, along the level
surfaces; with $B = h J$ it is our example.

**The plane.** Conversely, let $r$ be a smooth gauge in the plane. Then $p\,r$ is free of
divergence, so turning it by a quarter gives a field without curl, which in the plane has
a potential $\psi$:

$$
r = \frac1p\, J \nabla \psi = J (h s + \nabla h), \qquad h = \psi / p .
$$ (eq-helmholtz-plane)

So in the plane there are no others.

**A stronger pair.** It is tempting to ask for more than $\nabla \cdot r + r \cdot s = 0$:
that both terms vanish,

$$
\nabla \cdot r = 0 \quad \text{and} \quad r \cdot s = 0 .
$$ (eq-helmholtz-pair)

The paper has both. In the plane the pair means $r = c\, J s$ where $s \ne 0$, for $r \perp s$;
and $\nabla \cdot J s = 0$, so $\nabla \cdot r = \nabla c \cdot J s$ vanishes if and only if
$c$ does not change along the level lines. There

$$
r = F(\log p)\, J\, \nabla \log p .
$$ (eq-helmholtz-pair-form)

The function $F$ may differ from one connected piece of a level line to the next: around
each mode there may be its own. Nothing is said of $\nabla \cdot s$: for
$p = \mathcal N(0, I)$ and $r = Jx$ it is $-2$. What gauges
do to a model is the matter of [the next chapter](gauges.ipynb).

First three dimensions, with a density $p$ and three entries of $B$ that are unknown
functions:
"""

# %%
u = sympy.symbols("x y z")
density = sympy.Function("p", positive=True)(*u)
b = [sympy.Function(name)(*u) for name in ("b12", "b13", "b23")]
B = sympy.Matrix([[0, b[0], b[1]], [-b[0], 0, b[2]], [-b[1], -b[2], 0]])


def rows_div(B):
    """sum_j d_j B_ij."""
    return sympy.Matrix(
        [sum(B[i, j].diff(u[j]) for j in range(3)) for i in range(3)]
    )


def leak(r):
    """div(p r)."""
    return sum((density * r[i]).diff(u[i]) for i in range(3)).expand()


# %% tags=["hide-input"]
log_slope = sympy.Matrix([density.diff(v) / density for v in u])
even_B = B.applyfunc(lambda e: e if not e.could_extract_minus_sign() else -e)
family_claim = Claim(
    id="helmholtz/family",
    says=r"$r = B s + \nabla \cdot B$ has $\nabla \cdot (p r) = 0$ for "
    r"every positive $p$ on $\mathbb R^3$ and every antisymmetric $B(x)$, "
    r"$(\nabla \cdot B)_i = \sum_j \partial_j B_{ij}$.",
    papers=("041",),
    kind="symbolic",
    formula=B * log_slope + rows_div(B),
    controls={
        "$B s$ alone, with a $B$ that varies": B * log_slope,
        "$\\nabla \\cdot B$ alone": rows_div(B),
        "the divergence of the columns": B * log_slope + rows_div(B.T),
        "a symmetric $B$": even_B * log_slope + rows_div(even_B),
    },
    measure=leak,
    scale=lambda r, e: r + sympy.Rational(str(e)) * sympy.Matrix(u),
)
check(family_claim)

# %% [markdown]
r"""
Then the pair in the plane, with an unknown $\ell = \log p$ and an unknown $F$. The
controls are fields of which at least one half of the pair fails.
"""

# %%
X, Y = u[:2]
ell = sympy.Function("l")(X, Y)
F = sympy.Function("F")
round_s = sympy.Matrix([-ell.diff(Y), ell.diff(X)])  # J grad l


def pair(r):
    """div r and r . s."""
    div = r[0].diff(X) + r[1].diff(Y)
    along = r[0] * ell.diff(X) + r[1] * ell.diff(Y)
    return sympy.Matrix([div.doit(), along])


# %% tags=["hide-input"]
straight_s = sympy.Matrix([ell.diff(X), ell.diff(Y)])
h_any = sympy.Function("h")(X, Y)
turned_h = sympy.Matrix([-h_any.diff(Y), h_any.diff(X)])

# %% tags=["hide-input"]
pair_claim = Claim(
    id="helmholtz/pair",
    says=r"In the plane $r = F(\log p)\, J \nabla \log p$ has both $\nabla "
    r"\cdot r = 0$ and $r \cdot s = 0$, for every smooth $F$ and $p$; a "
    r"general gauge $J(hs + \nabla h)$ has neither.",
    papers=("041",),
    kind="symbolic",
    formula=F(ell) * round_s,
    controls={
        "a factor $h(x)$ that varies along the level lines": h_any * round_s,
        "along the score, $F(\\log p)\\, s$": F(ell) * straight_s,
        "$J \\nabla h$, free of divergence only": turned_h,
        "a gauge, but not of the pair": h_any * round_s + turned_h,
    },
    measure=pair,
    scale=lambda r, e: r + sympy.Rational(str(e)) * sympy.Matrix([X, Y]),
)
check(pair_claim)

# %% [markdown]
r"""
That the plane has [no other gauges](#eq-helmholtz-plane) is true on the grid as well.
Give every corner of the cells a value $\psi$, zero on the border; then the flux of $J \nabla \psi$
through a face is a difference of $\psi$ between its two ends. Least squares on *these* fields, with
the weight $1/p$, is a second way to the gauge part, which knows no potential $\varphi$. Both parts
found separately must add up to the field.
"""


# %%
error = splitter(48).across(arbitrary)


def stream(n):
    """Least squares on fields J grad psi / p: the gauge part across faces."""
    P, f = (u.numpy() for u in (splitter(n).weights, error))
    step = scipy.sparse.diags([-1.0, 1.0], [0, 1], (n, n + 1)).tocsc()
    step, eye = step[:, 1:-1], scipy.sparse.eye(n - 1)
    turn = [-scipy.sparse.kron(eye, step), scipy.sparse.kron(step, eye)]
    G = scipy.sparse.vstack(turn).tocsc()
    A = (G.T @ scipy.sparse.diags(1 / P) @ G).tocsc()
    b = G.T @ f
    return G @ scipy.sparse.linalg.spsolve(A, b, "MMD_AT_PLUS_A") / P


def flux(part):
    """Across all faces, times the root of the density."""
    return part * splitter(48).weights.sqrt()


# %% tags=["hide-input"]
stream_slips = {
    "the textbook's decomposition": flux(
        split(arbitrary, 48, rule_slips[plain])[1]
    ),
    "$\\sqrt p$ for $p$": flux(
        split(arbitrary, 48, rule_slips["$\\sqrt p$ for $p$"])[1]
    ),
    "the field itself": flux(error),
    "the gradient part": flux(split(arbitrary, 48)[0]),
}

# %% tags=["hide-input"]
stream_claim = Claim(
    id="helmholtz/stream",
    says=r"On the grid the gauge part of $e$, which is $e - \nabla\varphi$, "
    r"is the nearest field of the form $J \nabla\psi / p$: in the plane "
    r"there are no other gauges ($48^2$ cells; three tilted Gaussians, "
    r"$\sigma = 0.5$).",
    papers=("041",),
    kind="exact",
    formula=flux(split(arbitrary, 48)[1]),
    controls=stream_slips,
    tol=1e-11,
    because="two sparse systems in float64, weights over many decades",
    truth=flux(tensor(stream(48))),
)
check(stream_claim)

# %% [markdown]
r"""
## Break it

- In `helmholtz/sylvester` take $C = I$: the control $(M + M^\top)/2$ passes. A test on
white data can not tell the two apart.
- In `order_missed` take the mean of the densities of both cells for the density in the
middle. The order stays two: it is an even function of $h$. The next cell's alone is not.
- In `helmholtz/pythagoras` take for $r$ the gauge of another noise level. The parts are
no longer orthogonal: a gauge belongs to one law.

## What this does not show

We split fields that we knew. For a network in many dimensions neither a grid nor a
closed form is at hand, and [the weak form](#eq-helmholtz-weak) has to be tested with
samples; that $\nabla\varphi = s$ is a statement about *all* test functions, and a few
say less. The claims about laws are about exact time: with steps of finite length a gauge
costs accuracy, so that "harmless" is said of the equation and not of a solver. Other
initial laws than $p_T$ are moved by a gauge as well. A gauge changes where each point
goes, and whatever reads the field at one point, such as a local dimension, may be
spoiled by it. And our splits say nothing on how large the gauge of a trained model is.

## Exercises

**1.** On $\mathcal N(0, \operatorname{diag}(\lambda_1, \lambda_2))$ a shear
$f = (w\, x_2,\, 0)$ is given. Write the entry $S_{12}$ of its gradient part, as a
function of `w`, `l1`, `l2`.
"""

# %%
sizes = {
    "w": tensor([1.0, -0.5, 2.0]),
    "l1": tensor([1.0, 0.2, 3.0]),
    "l2": tensor([2.0, 0.7, 0.1]),
}


def shear_by_scipy(w, l1, l2):
    """The entry of scipy's solution of the matrix equation."""
    out = []
    for k, u, v in zip(w.tolist(), l1.tolist(), l2.tolist(), strict=True):
        A, D = np.array([[0.0, k], [0.0, 0.0]]), np.diag([u, v])
        out.append(sylvester(A, D)[0, 1])
    return tensor(out)


# %% tags=["hide-input"]
shear_exercise = Claim(
    id="helmholtz/shear-exercise",
    says="the gradient part of a shear",
    papers=("041",),
    kind="exact",
    formula=None,
    controls={
        "the symmetric part; the law is not round": lambda w, l1, l2: w / 2,
        "the entry multiplies x_2: its variance counts": (
            lambda w, l1, l2: w * l1 / (l1 + l2)
        ),
        "the other summand is zero, not w": lambda w, l1, l2: w + 0 * l1,
    },
    tol=1e-12,
    because="float64",
    at=sizes,
    truth=shear_by_scipy,
)


# %% tags=["solution", "hide-cell"]
def shear_entry(w, l1, l2):
    """(l2 M_12 + l1 M_21) / (l1 + l2) with M_21 = 0."""
    return w * l2 / (l1 + l2)


# %%
attempt(shear_exercise, shear_entry)

# %% [markdown]
r"""
**2.** *Derive.* A model of $\mathcal N(0, \operatorname{diag}(\lambda_1, \lambda_2))$ has
learned $\hat s = s + w\, (x_2, 0)$. What share of its loss
$\mathbb E_p|\hat s - s|^2$ moves the law? Write it as a function of `l1` and `l2`.
"""

# %%
pairs = {"l1": tensor([1.0, 0.2, 3.0, 1.0]), "l2": tensor([2.0, 0.7, 0.1, 1])}


def share_by_points(l1, l2):
    """Least squares on quadratic potentials, in four points of the law."""
    out = []
    for u, v in zip(l1.sqrt().tolist(), l2.sqrt().tolist(), strict=True):
        x = np.array([[u, v], [u, -v], [-u, v], [-u, -v]])
        f = np.stack([x[:, 1], 0 * x[:, 1]], 1)
        zero = 0 * x[:, 0]
        slopes = [(x[:, 0], zero), (zero, x[:, 1]), (x[:, 1], x[:, 0])]
        G = np.stack([np.stack(g, 1).reshape(-1) for g in slopes], 1)
        best = np.linalg.lstsq(G, f.reshape(-1), rcond=None)[0]
        out.append(((G @ best) ** 2).sum() / (f**2).sum())
    return tensor(out)


# %% tags=["hide-input"]
loss_slips = {
    "this is the gauge's share": lambda l1, l2: l1 / (l1 + l2),
    "the symmetric part is not the gradient part": (
        lambda l1, l2: (l1 + l2) / (4 * l2)
    ),
    "S_12 squared acts on both coordinates": (
        lambda l1, l2: l2**2 / (l1 + l2) ** 2
    ),
    "half holds on a round law only": lambda l1, l2: 0.5 + 0 * l1,
}

# %% tags=["hide-input"]
loss_exercise = Claim(
    id="helmholtz/loss-exercise",
    says="the share of a shear's loss that moves the law",
    papers=("041",),
    kind="exact",
    formula=None,
    controls=loss_slips,
    tol=1e-12,
    because="float64",
    at=pairs,
    truth=share_by_points,
)


# %% tags=["solution", "hide-cell"]
def shear_share(l1, l2):
    """S_12^2 (l1 + l2) over w^2 l2, with S_12 = w l2 / (l1 + l2)."""
    return l2 / (l1 + l2)


# %%
attempt(loss_exercise, shear_share)

# %% [markdown]
r"""
**3.** *Experiment.* All that you have of a model's error is `n` samples `x` of the law,
with mean zero, and the values `e` of the error there, both (n, d). Write a function that
finds the share of a *quadratic* potential's gradient in the mean of $|e|^2$ over the
samples. (Then give it samples of the plane's mixture and `arbitrary`: how far is a
quadratic potential from the best?)
"""

# %%
root = torch.tensor(np.linalg.cholesky(C))
drawn = torch.randn(300, 3, generator=shapes.rng(5), dtype=torch.float64)
drawn = drawn @ root.mT
bent = torch.tensor(M) + torch.sin(drawn).diag_embed()
trials = [drawn @ torch.tensor(M).mT, (bent @ drawn.unsqueeze(-1))[..., 0]]


def share_missed(answer):
    """The largest distance from least squares on six quadratic slopes."""
    off, G = [], slopes(drawn.numpy(), 2, low=2).reshape(-1, 6)
    for e in trials:
        y = e.numpy().reshape(-1)
        best = G @ np.linalg.lstsq(G, y, rcond=None)[0]
        off.append(abs(float(answer(drawn, e)) - best @ best / (y @ y)))
    return max(off)


# %% tags=["hide-input"]
def share_with(make):
    """The share of x -> S x with S from the moments E e x' and E x x'."""

    def answer(x, e):
        E, V = ((u.mT @ x / len(x)).numpy() for u in (e, x))
        S = torch.tensor(make(E, V))
        return ((x @ S.mT) ** 2).sum() / (e**2).sum()

    return answer


# %% tags=["hide-input"]
sample_slips = {
    "S must be symmetric; this is the best matrix": share_with(
        lambda E, V: E @ np.linalg.inv(V)
    ),
    "the best matrix, made symmetric afterwards": share_with(
        lambda E, V: (E @ np.linalg.inv(V) + np.linalg.inv(V) @ E.T) / 2
    ),
    "the moments are divided by the covariance": share_with(
        lambda E, V: (E + E.T) / 2
    ),
}

# %% tags=["hide-input"]
sample_exercise = Claim(
    id="helmholtz/sample-exercise",
    says="the share of a quadratic potential's gradient, from samples",
    papers=("041",),
    kind="exact",
    formula=None,
    controls=sample_slips,
    tol=1e-9,
    because="normal equations in float64",
    measure=share_missed,
)


# %% tags=["solution", "hide-cell"]
def quadratic_share(x, e):
    """S V + V S = E e x' + (E e x')', V the second moments of the samples."""
    E, V = ((u.mT @ x / len(x)).numpy() for u in (e, x))
    S = torch.tensor(scipy.linalg.solve_sylvester(V, V, E + E.T))
    return ((x @ S) ** 2).sum() / (e**2).sum()


# %%
attempt(sample_exercise, quadratic_share)

# %% [markdown]
r"""
## Summary

| what | formula | in `diffkit` |
|---|---|---|
| gauge | $\nabla \cdot r + r \cdot s = 0$ | `fields.gauge_residual` |
| split | $\nabla\cdot(p \nabla\varphi) = \nabla\cdot(p f)$ | `fields.Splitter` |
| loss | $\mathbb E_p\lvert\nabla\varphi - s\rvert^2 + \mathbb E_p\lvert r\rvert^2$ | |
| Gaussian | $SC + CS = MC + CM^\top$ | |
| its gauge | $\sum_{i<j} (M_{ij} - M_{ji})^2 \frac{\lambda_i \lambda_j}{\lambda_i + \lambda_j}$ | |
| all $d$ | $r = B s + \nabla \cdot B$ | `fields.gauge` |
| asymmetry | measures no harm | `fields.asymmetry` |

**Where next.** [Gauges](gauges.ipynb) asks what a gauge does to paths, likelihoods and
solvers; [the residual](residual.ipynb) asks how an error shows in the equation of
Fokker and Planck.
"""
