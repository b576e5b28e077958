# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# The shortest path to noise

Every diffusion model walks from the data to noise, and there are many ways to
walk. We find the shortest one in the geometry of Fisher, the forward process that
walks it, and then ask what nobody may take for granted: whether the shortest path
is also the cheapest one to walk back.

- **You need** eigenvectors, the matrix exponential, and the angle of a mode from
[Painters](painters.ipynb).
- **You get** the Fisher length of a forward process, a complete proof of the
shortest path, its filter (which sharpens), the length of every isotropic schedule
as one integral, and a measured answer to "what is it worth?".
- **Paper** 053, Das et al., *Shortest Path Diffusion* {cite}`das2023spd`.
- **Claims** on made-up spectra, digits and natural patches, all named
`shortest/...`.
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
import numpy as np
import scipy.linalg
import scipy.optimize
import sympy
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from diffkit import chains, data, figures, paths, shapes, tables
from diffkit.claims import Claim, attempt, check

# %% [markdown]
r"""
All laws in this chapter are Gaussians with mean zero: we subtract the mean of the
data and keep it fixed. Three worlds will do: a spectrum of five variances,
one of them turned into a full matrix, and later two sets of images.
"""

# %% tags=["setup"]
exactly = functools.partial(torch.tensor, dtype=torch.float64)
even = functools.partial(torch.linspace, dtype=torch.float64)
eye = functools.partial(torch.eye, dtype=torch.float64)
five = exactly([20.0, 5.0, 1.5, 0.3, 0.02])


def turned(lam, seed):
    """A covariance with eigenvalues lam, and its random eigenvectors."""
    d, rng = len(lam), shapes.rng(seed)
    Q, _ = torch.linalg.qr(torch.randn(d, d, generator=rng).double())
    return (Q * lam) @ Q.mT, Q


# %% [markdown]
r"""
## How far apart are two Gaussians?

A distance between laws should not depend on the units of the pixels, so we do
not measure covariances but how well two laws can be told apart. Let $C$ be
symmetric and positive definite and let $dC$ be a small symmetric change. For
Gaussians with the same mean

$$
\mathrm{KL}(C \,\|\, C') = \tfrac12 \bigl( \operatorname{tr} (C'^{-1} C) - d
- \log\det (C'^{-1} C) \bigr).
$$ (eq-shortest-kl)

Put $C' = C + e\, dC$ and let $\mu_i$ be the eigenvalues of $C^{-1} dC$, which are
real because $C^{-1} dC$ is similar to the symmetric $C^{-1/2} dC\, C^{-1/2}$. Then
$C'^{-1} C = (I + e\, C^{-1} dC)^{-1}$, and [the divergence](#eq-shortest-kl) is

$$
\tfrac12 \sum_i \Bigl( \frac{1}{1 + e\mu_i} - 1 + \log(1 + e \mu_i) \Bigr)
= \tfrac14\, e^2 \sum_i \mu_i^2 + O(e^3).
$$ (eq-shortest-expansion)

The first order cancels, so KL behaves like half of a squared length, as $\frac12
s^2$ does. The **Fisher metric** is that squared length:

$$
ds^2 = \tfrac12 \operatorname{tr} \bigl[ (C^{-1} dC)^2 \bigr].
$$ (eq-shortest-metric)

On a path along which all covariances commute, with eigenvalues $c_k(t)$, it is
$ds^2 = \frac12 \sum_k (d \log c_k)^2$: what counts is by which *factor* a variance
changes. And if the data are multiplied by any invertible matrix $A$, then $C \to A
C A^\top$ and $C^{-1} dC \to A^{-\top} (C^{-1} dC) A^\top$: the trace stays. The
metric has no units, and it stops to exist where $C$ has a zero eigenvalue.

The independent route is the second derivative of the divergence between torch's
own normal distributions, by automatic differentiation.
"""

# %%
C, Q = turned(five, 0)
rng = shapes.rng(1)
half = torch.randn(6, 5, 5, generator=rng).double()
changes = half + half.mT  # six directions dC that do not commute with C


def by_hessian():
    """The second derivative of KL(C || C + e dC) at e = 0, for each dC."""
    p, out = MultivariateNormal(torch.zeros(5).double(), C), []
    for dC in changes:
        e = torch.zeros((), dtype=torch.float64, requires_grad=True)
        q = MultivariateNormal(torch.zeros(5).double(), C + e * dC)
        (slope,) = torch.autograd.grad(
            kl_divergence(p, q), e, create_graph=True
        )
        out.append(torch.autograd.grad(slope, e)[0])
    return torch.stack(out)


# %% tags=["hide-input"]
R = torch.linalg.solve(C, changes)  # C^-1 dC


def trace(A):
    """The trace of each matrix."""
    return A.diagonal(dim1=-2, dim2=-1).sum(-1)


metric_slips = {
    "no $\\frac12$": lambda: trace(R @ R),
    "the squared trace for the trace of the square": lambda: (
        trace(R) ** 2 / 2
    ),
    "$\\operatorname{tr} C^{-2} dC^2$, as if they commuted": lambda: (
        trace(torch.linalg.solve(C @ C, changes @ changes)) / 2
    ),
    "$C^{-1}$ only once": lambda: trace(R @ changes) / 2,
}

# %% tags=["hide-input"]
metric_claim = Claim(
    id="shortest/metric",
    says=r"For Gaussians of equal mean the second derivative of "
    r"$\mathrm{KL}(C \,\|\, C + e\, dC)$ at $e = 0$ is the Fisher metric "
    r"$\frac12 \operatorname{tr}[(C^{-1} dC)^2]$; the divergence itself is "
    r"$\frac12 e^2$ times it, up to $O(e^3)$ (a full $5 \times 5$ matrix, "
    r"six directions).",
    papers=("053",),
    kind="exact",
    formula=lambda: trace(R @ R) / 2,
    controls=metric_slips,
    tol=2e-13,
    because="float64; the condition number of C is 1e3",
    truth=by_hessian,
)
check(metric_claim)

# %% [markdown]
r"""
## What is the shortest way to noise?

Write the covariance as an exponential, $C = e^X$ with $X$ symmetric. The
derivative of the exponential is
$dC = \int_0^1 e^{rX}\, dX\, e^{(1-r)X}\, dr$ (differentiate the product of $n$
factors $e^{X/n}$ and let $n$ grow). In the eigenvectors of $X$, with eigenvalues
$x_i = \log c_i$, the integral is elementary,

$$
(dC)_{ij} = \frac{e^{x_i} - e^{x_j}}{x_i - x_j}\, (dX)_{ij},
$$ (eq-shortest-exp)

with the limit $e^{x_i}$ where $x_i = x_j$. Multiply by $C^{-1/2}$ from both sides,
that is by $e^{-(x_i + x_j)/2}$:

$$
ds^2 = \tfrac12 \sum_{ij} h(x_i - x_j)^2\, (dX)_{ij}^2, \qquad
h(\delta) = \frac{\sinh(\delta/2)}{\delta/2} \ge 1,
$$ (eq-shortest-chart)

with $h(0) = 1$. This is all we need. Let a path of covariances lead from the data,
$\Sigma$, to white noise, $I$, so that $X$ leads from $\log \Sigma$ to $0$. As
$h \ge 1$, its Fisher length is at least the ordinary Euclidean length of the
path $X/\sqrt2$, and that is at least the straight distance:

$$
\text{length} \;\ge\; \frac{1}{\sqrt2} \int |\dot X|\, dt \;\ge\;
\frac{|\log \Sigma|}{\sqrt2} = L^\star, \qquad
L^\star = \sqrt{\tfrac12 \sum_k (\log \lambda_k)^2} .
$$ (eq-shortest-bound)

The second inequality is an equality only if $X$ runs along the straight segment
$X = (1 - t) \log \Sigma$, with any clock. On it $dX$ and $X$ commute, $(dX)_{ij} =
0$ wherever $x_i \ne x_j$, and the first inequality is an equality too. So the
shortest path is unique but for its clock,

$$
C_t = \Sigma^{1-t},
$$ (eq-shortest-geodesic)

every variance running evenly in its *logarithm*. Nothing was assumed about the
detours: leaving the eigenvectors of $\Sigma$ makes $h > 1$ and never pays. For two
arbitrary ends $A, B$ multiply by $A^{-1/2}$ from both sides first, which changes
no length: their distance is
$\sqrt{\frac12 \sum_k (\log \mu_k)^2}$ with $\mu_k$ the eigenvalues of $A^{-1}
B$. (The formula is old; a proof by Riemannian geometry is in {cite}`wells2020cone`.)

The only computed step is [the chart](#eq-shortest-chart). Here is its check, by
automatic differentiation of the matrix exponential.
"""

# %%
X = Q @ torch.diag(five.log()) @ Q.mT


def by_exponential():
    """tr[(C^-1 dC)^2] / 2, C = exp X and dC by automatic derivatives."""
    out = []
    for dX in changes:
        now, dC = torch.func.jvp(torch.matrix_exp, (X,), (dX,))
        step = torch.linalg.solve(now, dC)
        out.append(trace(step @ step) / 2)
    return torch.stack(out)


# %%
def in_chart(h):
    """The metric in the logarithms, with another factor h."""
    gaps = five.log().unsqueeze(1) - five.log()
    return ((h(gaps) * (Q.mT @ changes @ Q)) ** 2).sum((1, 2)) / 2


def sinhc(gaps):
    """sinh(gap / 2) / (gap / 2), and 1 on the diagonal."""
    safe = gaps.where(gaps != 0, 1.0)
    return ((safe / 2).sinh() / (safe / 2)).where(gaps != 0, 1.0)


# %% tags=["hide-input"]
chart_claim = Claim(
    id="shortest/log-chart",
    says=r"With $C = e^X$ and $x_i$ the eigenvalues of $X$, the metric is "
    r"$\frac12 \sum_{ij} h(x_i - x_j)^2 (dX)_{ij}^2$, $h(\delta) = "
    r"\sinh(\delta/2)/(\delta/2)$, in the eigenvectors of $X$.",
    papers=("053",),
    kind="exact",
    formula=lambda: in_chart(sinhc),
    controls={
        "$h = 1$: flat even where nothing commutes": lambda: in_chart(
            torch.ones_like
        ),
        "$\\delta$ for $\\delta/2$": lambda: in_chart(lambda u: sinhc(2 * u)),
        "$\\cosh(\\delta/2)$": lambda: in_chart(lambda u: (u / 2).cosh()),
    },
    tol=1e-12,
    because="float64; the condition number of C is 1e3",
    truth=by_exponential,
)
check(chart_claim)

# %% [markdown]
r"""
Among commuting paths the same follows from calculus: the shortest path at even
speed makes $\int \frac12 \sum_k (\dot c_k / c_k)^2 dt$ stationary, and each
variance has its own Euler-Lagrange equation. Both ends belong to the claim.
"""

# %%
tau, v = sympy.symbols("t lambda", positive=True)


def euler_lagrange(c):
    """Residuals of d/dt dF/dc' = dF/dc, F = (c'/c)^2 / 2, and the ends."""
    y, rate = sympy.symbols("y r", positive=True)
    F = (rate / y) ** 2 / 2
    along = {y: c, rate: c.diff(tau)}
    moving = F.diff(rate).subs(along).diff(tau) - F.diff(y).subs(along)
    return sympy.Matrix([moving, c.subs(tau, 0) - v, c.subs(tau, 1) - 1])


# %% tags=["hide-input"]
lagrange_claim = Claim(
    id="shortest/euler-lagrange",
    says=r"$c(t) = \lambda^{1-t}$ solves the Euler-Lagrange equation of "
    r"$\int \frac12 (\dot c/c)^2 dt$ with $c(0) = \lambda$, $c(1) = 1$.",
    papers=("053",),
    kind="symbolic",
    formula=v ** (1 - tau),
    controls={
        "straight in the variance": (1 - tau) * v + tau,
        "straight in the standard deviation": (
            ((1 - tau) * sympy.sqrt(v) + tau) ** 2
        ),
        "straight in the precision": 1 / ((1 - tau) / v + tau),
        "$1 - t^2$ for $1 - t$: the right line, another clock": v
        ** (1 - tau**2),
    },
    measure=euler_lagrange,
)
check(lagrange_claim)

# %% [markdown]
r"""
For full matrices we let a computer look for a shorter way. Take two covariances
that do not commute, put a chain of covariances between them, and minimise the sum
of the symmetrised divergences of its $n$ links over *all* chains: by
[the expansion](#eq-shortest-expansion) $n$ times that sum tends to the squared
distance, with an error in even powers of $1/n$, so that three chains and two
extrapolations suffice. The search knows nothing of logarithms of matrices.
"""


# %% tags=["setup"]
def fisher_rao(A, B):
    """The Fisher-Rao distance of N(0, A) and N(0, B), batches allowed."""
    L = torch.linalg.cholesky(A)
    M = torch.linalg.solve_triangular(L, B, upper=False)
    M = torch.linalg.solve_triangular(L, M.mT, upper=False)
    mu = torch.linalg.eigvalsh((M + M.mT) / 2)
    return (mu.log() ** 2 / 2).sum(-1).sqrt()


def links(chain):
    """KL(p || q) + KL(q || p) of neighbours in a chain, by torch."""
    z, L = torch.zeros(chain.shape[-1]).double(), torch.linalg.cholesky(chain)
    p, q = (
        MultivariateNormal(z, scale_tril=some, validate_args=False)
        for some in (L[:-1], L[1:])
    )
    return kl_divergence(p, q) + kl_divergence(q, p)


# %%
ends = [turned(exactly([6.0, 1.0, 0.2]), 2)[0]]
ends.append(turned(exactly([4.0, 0.5, 1.5]), 3)[0])


@functools.cache  # one search serves the formula and its controls
def least_chain(n):
    """n times the least sum over n links between the two ends."""
    w = even(0, 1, n + 1)[1:-1, None, None]
    start = torch.linalg.cholesky((1 - w) * ends[0] + w * ends[1])
    factors = start.contiguous().requires_grad_()

    def cost():
        inner = factors @ factors.mT
        chain = torch.cat([ends[0][None], inner, ends[1][None]])
        return n * links(chain).sum()

    search(cost, factors)
    return cost().item()


# %% tags=["setup"]
def search(cost, x, small=1e-6):
    """Minimise cost over x, in place, until its gradient is small."""

    def both(flat):
        x.data = torch.from_numpy(flat).reshape(x.shape)
        now = cost()
        (slope,) = torch.autograd.grad(now, x)
        return now.item(), slope.flatten().numpy()

    stop = {"maxiter": 400, "maxcor": 40, "gtol": small, "ftol": 1e-15}
    start = x.detach().flatten().numpy().copy()
    found = scipy.optimize.minimize(
        both, start, jac=True, method="L-BFGS-B", options=stop
    )
    x.data = torch.from_numpy(found.x).reshape(x.shape)


# %%
def by_search():
    """The distance, extrapolated from the best chains of 2, 4, 8 links."""
    two, four, eight = (least_chain(n) for n in (2, 4, 8))
    rough, fine = (4 * four - two) / 3, (4 * eight - four) / 3
    return ((16 * fine - rough) / 15) ** 0.5


# %% tags=["hide-input"]
def logs(A):
    """The logarithm of a covariance."""
    lam, U = torch.linalg.eigh(A)
    return (U * lam.log()) @ U.mT


spectra = [torch.linalg.eigvalsh(A).log() for A in ends]
distance_slips = {
    "no $\\frac12$": lambda: 2**0.5 * fisher_rao(*ends),
    "the two spectra compared, their axes forgotten": lambda: (
        ((spectra[0] - spectra[1]) ** 2).sum() / 2
    ).sqrt(),
    "$|\\log A - \\log B|/\\sqrt2$": lambda: (
        ((logs(ends[0]) - logs(ends[1])) ** 2).sum() / 2
    ).sqrt(),
}

# %% tags=["hide-input"]
distance_claim = Claim(
    id="shortest/distance",
    says=r"The Fisher-Rao distance of $\mathcal N(0, A)$ and $\mathcal N(0, "
    r"B)$ is $\sqrt{\frac12 \sum_k (\log \mu_k)^2}$, $\mu_k$ the eigenvalues "
    r"of $A^{-1} B$: no chain of covariances is shorter (two full $3 \times "
    r"3$ matrices).",
    papers=("053",),
    kind="exact",
    formula=lambda: fisher_rao(*ends),
    controls=distance_slips,
    tol=1e-5,
    because="extrapolated from 2, 4 and 8 links: remainder of order 1/8^6",
    truth=by_search,
)
check(distance_claim)

# %% [markdown]
r"""
Two limits of the theory belong here.

**A zero eigenvalue is infinitely far away**: $|\log 0| = \infty$. Real data have
them, the digits three. A path to noise then needs a start with a little noise in
it, and $L^\star$ depends on how little, through $|\log \text{floor}|$ of every dead
direction. We shall name the floor whenever we use one.

**Different means.** With means $m_t$ the metric has a second term,
$ds^2 = dm^\top C^{-1} dm + \frac12 \operatorname{tr}[(C^{-1} dC)^2]$. In one
dimension this is a hyperbolic half-plane, with distances in closed form; if the
covariance is held fixed it is flat; but for general means *and* covariances no
closed form of the distance is known {cite}`nielsen2024fisher`. We subtract the mean.

In the logarithms of two variances the picture is plain geometry. Three ways to
average $\Sigma$ and $I$ come to mind: average the covariances, as
variance-preserving noise does; average the logarithms; average the precisions
$\Sigma^{-1}$ and $I$. They belong to one family, the **power paths**

$$
C_w = \bigl( w\, \Sigma^p + (1 - w)\, I \bigr)^{1/p}, \qquad w \text{ from } 1
\text{ to } 0,
$$ (eq-shortest-power)

with $p = 1$, $p \to 0$ and $p = -1$. The picture follows all three. In code, for the logarithms $x = \log
\lambda$:
"""


# %% tags=["setup"]
def log_variance(x, w, p):
    """log c of a power path; p = 0 is the geodesic, c = lambda^w."""
    return w * x if p == 0 else torch.log1p(w * torch.expm1(p * x)) / p


NAMES = {1: "isotropic", 0: "shortest", -1: "precision"}
COLOURS = {1: figures.LEARNED, 0: figures.EXACT, -1: figures.SECOND}


# %%
def along_modes(logs):
    """The Fisher length of commuting covariances, given as logs (m, d)."""
    return (logs.diff(dim=0) ** 2 / 2).sum(1).sqrt().sum()


pair = exactly([9.0, 0.05]).log()
fine_w = (even(1, -1, 4001) * math.pi / 2).sin().add(1).div(2).unsqueeze(1)
routes = {p: log_variance(pair, fine_w, p) for p in NAMES}


def ellipse(logs):
    """One standard deviation of a covariance with axes at 45 degrees."""
    turn = torch.linspace(0, 2 * math.pi, 80)
    a, b = (logs / 2).exp()
    u, v = a * turn.cos(), b * turn.sin()
    return (u - v) / 2**0.5, (u + v) / 2**0.5


# %% mystnb={"figure": {"caption": "Two variances, 9 and 1/20, on their way to 1 along three power paths. Left: in logarithms, where Fisher's ruler is the ordinary one. Right: the ellipses of one standard deviation at $w = 1, 0.75, 0.5, 0.25, 0$, and the lengths.", "name": "fig-shortest-plane"}, "image": {"alt": "Left: from the point with log variances 2.2 and minus 3 a straight line and two arcs, one to each side, lead to the origin. Right: three rows of five ellipses that turn from a needle into a circle; the outer rows have the same length."}}
figure, axes = figures.canvas(
    "The straight line in the logarithms is the shortest way",
    columns=2,
    height=3.4,
    width_ratios=[1, 1.5],
)
for row, (p, logs) in enumerate(routes.items()):
    axes[0].plot(*logs.T, color=COLOURS[p], lw=3 if p == 0 else 1.6)
    for i in range(5):
        w = exactly(1 - i / 4)
        x, y = ellipse(log_variance(pair, w, p))
        axes[1].plot(6 * i + x, y - 8 * row, color=COLOURS[p])
    label = f"{NAMES[p]}: {along_modes(logs):.2f}"
    axes[1].text(9, 2.5 - 8 * row, label, color=COLOURS[p])
axes[0].set(xlabel=r"$\log c_1$", ylabel=r"$\log c_2$")
axes[1].set(aspect="equal", xticks=[], yticks=[])
axes[1].spines[:].set_visible(False)
plt.show()

# %% [markdown]
r"""
The isotropic path fattens the thin axis at once, while the long one hardly moves;
the precision path shortens the long axis first. The shortest path does both
evenly. The two detours have the same length, which will turn out to be no accident.

## Which process walks it?

So far only the laws move. A forward process says how each image moves; in the
paper it is a *filter* and noise, chosen so that the image and the noise share one
unit of variance in every direction (variance preserving):

$$
x_t = \Phi_t x_0 + (I - \Phi_t^2)^{1/2} z, \qquad \Phi_t \text{ a function of } \Sigma .
$$ (eq-shortest-process)

In the direction $u_k$ of $\Sigma$ its variance is $\phi_k^2 \lambda_k + 1 -
\phi_k^2 = 1 + \phi_k^2 (\lambda_k - 1)$. To be $\lambda_k^{1-t}$ it needs

$$
\phi_k^2 = \frac{\lambda_k^{1-t} - 1}{\lambda_k - 1}, \qquad \text{and }
\phi_k^2 = 1 - t \text{ at } \lambda_k = 1 .
$$ (eq-shortest-filter)

Is this a legal filter, with $\phi_k^2$ between $0$ and $1$? Look at the graph of
$\lambda^s$ with $s = 1 - t$. The right side is the *slope of its chord* from
$(1, 1)$ to $(\lambda, \lambda^s)$. For $0 < s < 1$ the graph is strictly concave,
so the slope falls strictly as $\lambda$ grows: from $1$ at $\lambda = 0$, where the
chord is the diagonal, through the tangent's slope $s$ at $\lambda = 1$, towards
$0$. So $0 < \phi_k^2 \le 1$, always, with $\phi_k = 1$ only for a dead direction.

In floating point the two differences lose all digits near $\lambda = 1$, and every
spectrum that crosses $1$ may come near. With $x = \log \lambda$ it is
$\phi^2 = \operatorname{expm1}(s x)/\operatorname{expm1}(x)$. One function serves all
power paths, $\phi^2 = (c - 1)/(\lambda - 1)$:
"""


# %% tags=["setup"]
def filter2(x, w, p=0):
    """phi^2 of a power path for x = log lambda, with all digits at x = 0."""
    x = torch.where(x == 0, 1e-300, x)  # where expm1 is the identity
    return torch.expm1(log_variance(x, w, p)) / torch.expm1(x)


# %% [markdown]
r"""
The covariance of [the process](#eq-shortest-process) must be the fractional power
$\Sigma^{1-t}$, which scipy computes from the full matrix without eigenvectors. The
first wrong formula is the naive one: to filter with the power $\Sigma^{-t/2}$ of
the target itself.
"""

# %%
moments = exactly([0.1, 0.5, 0.9])
x5 = five.log()


def covariances(phi2):
    """Cov(Phi x0 + (I - Phi^2)^{1/2} z) at three moments, by matrices."""
    out = []
    for t in moments:
        square = (Q * phi2(x5, t)) @ Q.mT
        root = (Q * phi2(x5, t).sqrt()) @ Q.mT
        out.append(root @ C @ root + eye(5) - square)
    return torch.stack(out)


def by_scipy():
    """The fractional powers of the full matrix, by Schur and Pade."""
    power = scipy.linalg.fractional_matrix_power
    found = [power(C.numpy(), 1 - t.item()) for t in moments]
    return torch.from_numpy(np.stack(found))


# %% tags=["hide-input"]
filter_slips = {
    "the power filter $\\Phi^2 = \\Sigma^{-t}$": lambda: covariances(
        lambda x, t: (-t * x).exp()
    ),
    "the isotropic filter $\\Phi^2 = (1 - t) I$": lambda: covariances(
        lambda x, t: (1 - t).expand(5)
    ),
    "$\\Phi$ for $\\Phi^2$": lambda: covariances(
        lambda x, t: filter2(x, 1 - t) ** 2
    ),
    "$t$ for $1 - t$": lambda: covariances(filter2),
}

# %% tags=["hide-input"]
filter_claim = Claim(
    id="shortest/filter",
    says=r"$x_t = \Phi_t x_0 + (I - \Phi_t^2)^{1/2} z$ has covariance "
    r"$\Sigma^{1-t}$ for $\Phi_t^2 = (\Sigma^{1-t} - I)(\Sigma - I)^{-1}$ "
    r"(a full $5 \times 5$ matrix, three times).",
    papers=("053",),
    kind="exact",
    formula=lambda: covariances(lambda x, t: filter2(x, 1 - t)),
    controls=filter_slips,
    tol=1e-13,
    because="float64; scipy's power of a matrix of condition 1e3",
    truth=by_scipy,
)
check(filter_claim)

# %% [markdown]
r"""
Near $\lambda = 1$ we compare with arithmetic of 50 digits, down to
$\lambda - 1 = 10^{-9}$. Here $\lambda = 1 + \delta$ and $x = \log(1 + \delta)$.
"""

# %%
tiny = exactly([1e-9, -1e-9, 1e-7, -1e-5, 1e-3, -0.1, 1.0, 999.0])
shares = exactly([0.1, 0.5, 0.9]).unsqueeze(1)


def by_fifty_digits():
    """(lambda^s - 1) / (lambda - 1) with 50 digits."""
    rows = []
    for s in shares.flatten().tolist():
        s, row = sympy.Float(s, 50), []
        for off in tiny.tolist():
            off = sympy.Float(off, 50)
            row.append(float(((1 + off) ** s - 1) / off))
        rows.append(row)
    return exactly(rows)


# %% tags=["hide-input"]
near_slips = {
    "the plain form": lambda: (((1 + tiny) ** shares) - 1) / ((1 + tiny) - 1),
    "the limit $s$ for all $\\lambda$": lambda: shares.expand(3, 8),
    "the square root of it": lambda: filter2(tiny.log1p(), shares).sqrt(),
}

# %% tags=["hide-input"]
near_claim = Claim(
    id="shortest/near-one",
    says=r"$\operatorname{expm1}(s x)/\operatorname{expm1}(x)$, $x = "
    r"\log\lambda$, is $(\lambda^s - 1)/(\lambda - 1)$ with all digits, also "
    r"as $\lambda \to 1$, where it tends to $s$ ($|\lambda - 1|$ from "
    r"$10^{-9}$ to $999$).",
    papers=("053",),
    kind="exact",
    formula=lambda: filter2(tiny.log1p(), shares),
    controls=near_slips,
    tol=5e-15,
    because="a few roundings of float64",
    truth=by_fifty_digits,
)
check(near_claim)

# %% [markdown]
r"""
The plain form is off in the eighth digit: small, but it is a variance of noise,
and its error grows without bound as $\lambda \to 1$.

## Does the shortest path blur or sharpen?

The chord has already answered: $\phi_k$ is **decreasing in $\lambda_k$**. At $t =
\frac12$, for instance, $\phi_k^2 = 1/(1 + \sqrt{\lambda_k})$. In images the large
variances are the low frequencies. So the shortest path damps the low frequencies
first and keeps the high ones: the image is *sharpened* while it drowns, and the
noise, of variance $1 - \phi_k^2$, enters at low frequencies first.

A blurring process {cite}`hoogeboom2022blurring` does the opposite: the heat
equation multiplies frequency $q$ by $e^{-q^2 \tau}$, so what is large stays. Note
also that heat alone never damps $q = 0$ and so never arrives at white noise; it has
to be multiplied by a factor $\alpha_t \to 0$:

$$
\phi_q(t) = \alpha_t\, e^{-\frac12 b^2 q^2 \sin^2 (\pi t/2)}, \qquad
\alpha_t = \cos (\pi t/2),
$$ (eq-shortest-blur)

with $b$ the width of the blur at the end, in pixels.
"""


# %% tags=["setup"]
def blur2(q2, t, b=2.0):
    """phi^2 of heat times VP, for squared frequencies q2, width b pixels."""
    angle = math.pi / 2 * torch.as_tensor(t)
    return angle.cos() ** 2 * torch.exp(-(b**2) * q2 * angle.sin() ** 2)


# %% [markdown]
r"""
The measurement walks through the variances from small to large and reports the
largest rise of $\phi^2$ in one step. The blur is put on the same axis by the
spectrum of natural images, $\lambda \propto q^{-2}$.
"""

# %%
ladder = 10 ** even(-4, 4, 81)
clock = even(0.05, 0.95, 19).unsqueeze(1)


def largest_rise(phi2):
    """The largest relative rise of phi^2 from one variance to the next."""
    now = phi2(ladder, clock).expand(19, 81)
    return (now[:, 1:] / now[:, :-1] - 1).clamp_min(0).max()


# %% tags=["hide-input"]
sharpen_slips = {
    "heat times VP, $\\lambda \\propto q^{-2}$": lambda v, t: blur2(
        0.01 / v, t
    ),
    "$1/\\lambda$ for $\\lambda$": lambda v, t: filter2(-v.log(), 1 - t),
    "the share $\\phi^2 \\lambda / c$ of the signal": lambda v, t: (
        filter2(v.log(), 1 - t) * v**t
    ),
    "the noise $1 - \\phi^2$": lambda v, t: 1 - filter2(v.log(), 1 - t),
}

# %% tags=["hide-input"]
sharpen_claim = Claim(
    id="shortest/sharpening",
    says=r"For every $0 < t < 1$ the filter of the shortest path falls as "
    r"the variance $\lambda$ grows: low frequencies are damped first "
    r"($\lambda$ from $10^{-4}$ to $10^4$, 19 times).",
    papers=("053",),
    kind="exact",
    formula=lambda v, t: filter2(v.log(), 1 - t),
    controls=sharpen_slips,
    tol=1e-12,
    because="an inequality; it may fail by rounding alone",
    measure=largest_rise,
    scale="an order does not change when the filter is multiplied",
)
check(sharpen_claim)

# %% [markdown]
r"""
Look at the slopes: falling is sharpening, rising is blurring.
"""

# %% mystnb={"figure": {"caption": "The filter $\\phi^2$ against the variance of the direction at four times: the shortest path (grey), the isotropic schedule with the same filter at $\\lambda = 1$ (blue), and heat times VP on natural images, $\\lambda \\propto q^{-2}$ (red, dashed).", "name": "fig-shortest-filters"}, "image": {"alt": "Four panels for t = 0.1, 0.3, 0.6, 0.9. In each a grey curve falls from near 1 to near 0, a horizontal blue line crosses it at variance one, and a red dashed curve rises."}}
figure, axes = figures.canvas(
    "The shortest path sharpens, heat blurs",
    columns=4,
    height=2.4,
    sharey=True,
)
for ax, t in zip(axes, (0.1, 0.3, 0.6, 0.9), strict=True):
    ax.semilogx(
        ladder, filter2(ladder.log(), 1 - t), color=figures.EXACT, lw=3
    )
    ax.axhline(1 - t, color=figures.LEARNED)
    ax.semilogx(ladder, blur2(0.01 / ladder, t), "--", color=figures.WRONG)
    ax.set(
        xlabel=r"variance $\lambda$", xticks=[1e-4, 1, 1e4], ylim=(0, 1.05)
    )
    ax.set_title(f"t = {t:g}", fontsize=9, fontweight="normal")
axes[0].set(ylabel=r"$\phi^2$", yticks=[0, 1])
plt.show()

# %% [markdown]
r"""
The grey curve turns around the point $\lambda = 1$, $\phi^2 = 1 - t$: a direction
that has the variance of the noise already must not change its law at all, and still
has to be replaced by noise evenly.

## How much longer is every isotropic schedule?

An isotropic variance-preserving schedule filters all directions alike, $c_k = w
\lambda_k + 1 - w$ with $w = \alpha_t^2$. Use the log-SNR $u = \log \frac{w}{1 -
w}$ as the clock. Then $c_k = (1 + e^{u + x_k})/(1 + e^u)$ with $x_k = \log
\lambda_k$, and with the logistic function $\sigma(u) = 1/(1 + e^{-u})$

$$
\begin{gathered}
\frac{d \log c_k}{du} = \sigma(u + x_k) - \sigma(u), \\
L_{\text{iso}} = \int_{-\infty}^{\infty} \Bigl( \tfrac12 \sum_k
\bigl( \sigma(u + x_k) - \sigma(u) \bigr)^2 \Bigr)^{1/2} du .
\end{gathered}
$$ (eq-shortest-iso)

The schedule has dropped out: a length does not know the clock. What is left is one
integral, whose integrand decays as $e^{-|u|}$ and is analytic near the real line,
so that the trapezoidal rule converges exponentially. (If only one or two values
$\lambda \ne 1$ occur it is elementary; for three or more, in the variable $w$, the
root of a polynomial of degree four or more appears, and in general no closed form.)

**Never shorter.** Let $f(u)$ be the vector with entries $\sigma(u + x_k) -
\sigma(u)$. Each integrates to $x_k$, so
$L_{\text{iso}} = \frac{1}{\sqrt2} \int |f| \ge \frac{1}{\sqrt2} |\int f| =
L^\star$. **When equal?** Only if $f(u)$ keeps one direction. Take two modes with
$x_j, x_k \ne 0$. The ratio of their entries tends to $(1 - e^{-x_j})/(1 -
e^{-x_k})$ as $u \to \infty$ and to $(e^{x_j} - 1)/(e^{x_k} - 1)$ as $u \to
-\infty$, which is $e^{x_j - x_k}$ times the former. So the ratio is constant only
if $x_j = x_k$: equality holds **if and only if all eigenvalues other than $1$ are
equal**. Equal sizes $|\log\lambda|$ are not enough, as $3$ and $\frac13$ show.
"""


# %% tags=["setup"]
def isotropic_length(x, n=400):
    """The Fisher length of every isotropic VP schedule; x = log lambda."""
    low, high = -(45 + x.max().clamp_min(0)), 45 - x.min().clamp_max(0)
    u = low + (high - low) * even(0, 1, n).unsqueeze(1)
    speed = torch.sigmoid(u + x) - torch.sigmoid(u)
    steps = (speed**2 / 2).sum(1).sqrt()
    return steps.sum() * (high - low) / (n - 1)


def shortest_length(x):
    """L* = sqrt(sum (log lambda)^2 / 2)."""
    return (x**2 / 2).sum().sqrt()


# %% [markdown]
r"""
The second route is a long chain of full matrices along two different schedules,
$\alpha = \cos(\pi t/2)$ and $\alpha = 1 - t$, measured link by link with torch's
divergences. Both must give the same number.
"""


# %%
@functools.cache  # the truth does not change from formula to formula
def by_chain(n=4000):
    """The lengths of two isotropic schedules, as chains of n links."""
    t = even(0, 1, n + 1)
    out = []
    for w in ((math.pi / 2 * t).cos() ** 2, (1 - t) ** 2):
        w = w[:, None, None]
        out.append(links(w * C + (1 - w) * eye(5)).sqrt().sum())
    return torch.stack(out)


def speeds(speed, norm=lambda s: (s**2 / 2).sum(1).sqrt()):
    """The integral over the log-SNR with another speed or another norm."""
    u = even(-60, 60, 1200).unsqueeze(1)
    return (norm(speed(u)).sum() * 120 / 1199).expand(2)


# %% tags=["hide-input"]
iso_slips = {
    "no $\\frac12$": lambda: 2**0.5 * isotropic_length(x5).expand(2),
    "the modes' lengths added up": lambda: speeds(
        lambda u: torch.sigmoid(u + x5) - torch.sigmoid(u),
        lambda s: s.abs().sum(1) / 2**0.5,
    ),
    "$\\lambda$ for its logarithm": lambda: speeds(
        lambda u: torch.sigmoid(u + five) - torch.sigmoid(u)
    ),
    "the shortest length itself": lambda: shortest_length(x5).expand(2),
}

# %% tags=["hide-input"]
iso_claim = Claim(
    id="shortest/isotropic-length",
    says=r"Every isotropic VP schedule has the Fisher length $\int (\frac12 "
    r"\sum_k (\sigma(u + x_k) - \sigma(u))^2)^{1/2} du$, $x_k = \log "
    r"\lambda_k$, $\sigma$ the logistic function, whatever its clock "
    r"($\lambda$ = 20, 5, 1.5, 0.3, 0.02; two schedules).",
    papers=("053",),
    kind="exact",
    formula=lambda: isotropic_length(x5).expand(2),
    controls=iso_slips,
    tol=1e-5,
    because="a chain of 4,000 links, of second order in the largest link",
    truth=by_chain,
)
check(iso_claim)

# %% [markdown]
r"""
For this spectrum the two lengths are
"""

# %%
print(f"shortest path     {shortest_length(x5):.3f}")
print(f"isotropic schedule {isotropic_length(x5):.3f}")

# %% [markdown]
r"""
and the condition for equality is put to the test on spectra where it is satisfied
and where it is nearly so. A prediction is wrong by $L_{\text{iso}}/L^\star - 1$ if
it promises equality, and by what is missing to $10^{-6}$ if it denies it.
"""

# %%
trials = [
    [7.0, 7.0, 1.0, 1.0],
    [0.2, 0.2, 0.2, 1.0],
    [4.0, 4.0, 4.0],
    [3.0, 1 / 3],
    [3.0, 2.9],
    [9.0, 1 / 9, 9.0, 1.0],
    five.tolist(),
]


def wrong_by(predicts_equal):
    """How wrong the predictions of equality are, at worst."""
    worst = 0.0
    for row in trials:
        x = exactly(row).log()
        excess = (isotropic_length(x) / shortest_length(x) - 1).abs().item()
        missing = max(0.0, 1e-6 - excess)
        worst = max(worst, excess if predicts_equal(x) else missing)
    return worst


# %% tags=["hide-input"]
def all_same(y):
    """Whether all entries agree to 1e-9."""
    return bool((y.max() - y.min()) < 1e-9)


equality_slips = {
    "if all nonzero $|\\log\\lambda|$ are equal": lambda x: all_same(
        x[x.abs() > 1e-12].abs()
    ),
    "only if all eigenvalues are equal, ones included": all_same,
    "never": lambda x: False,
}

# %% tags=["hide-input"]
equality_claim = Claim(
    id="shortest/equality",
    says=r"An isotropic VP schedule is as short as the shortest path if and "
    r"only if all eigenvalues other than 1 are equal (seven spectra; "
    r"$\{3, \frac13\}$ is longer).",
    papers=("053",),
    kind="exact",
    formula=lambda x: all_same(x[x.abs() > 1e-12]),
    controls=equality_slips,
    tol=1e-13,
    because="the quadrature is good to a few roundings",
    measure=wrong_by,
    scale="a yes or no has no size",
)
check(equality_claim)

# %% [markdown]
r"""
## And on images?

The paper's world is the spectrum of natural images. Ours: the $16 \times 16$
patches of two photographs, in the basis of cosines (the discrete cosine transform),
in which heat with insulated edges is diagonal too. We keep the variance of each
cosine and forget the correlations between them.
"""


# %% tags=["setup"]
def cosines(n):
    """The orthonormal basis of cosines of n x n images, and q^2 of each."""
    k = torch.arange(n).double()
    D = (math.pi * k.unsqueeze(1) * (k + 0.5) / n).cos() * (2 / n) ** 0.5
    D[0] /= 2**0.5
    q = (math.pi * k / n) ** 2
    return torch.kron(D, D), (q.unsqueeze(1) + q).reshape(-1)


patches = data.patches(8)
B16, q16 = cosines(16)
waves = (patches - patches.mean(0)) @ B16.mT
natural = waves.var(0, correction=0)

# %% [markdown]
r"""
The spectrum falls like a power of the frequency, $\lambda \propto q^{-p}$. The
exponent depends on the picture, and two pictures are not a law of nature: we
measure it for the temple and for the flower, by a straight line through the
logarithms, all cosines with $0 < q < \pi$ weighing alike.
"""

# %%
temple, flower = waves.chunk(2)


def exponent(lam, q2):
    """p of the best line log lam = const - p log q, for 0 < q < pi."""
    inside = (q2 > 0) & (q2 < math.pi**2)
    slope, _ = np.polyfit(q2[inside].log() / 2, lam[inside].log(), 1)
    return -float(slope)


# %%
def outside(found, interval):
    """How far the found numbers are outside their intervals, at worst."""
    found = exactly(found)
    low, high = exactly(interval).mT
    return torch.maximum(low - found, found - high).clamp_min(0).max()


def exponents_off(ask):
    """How far the two exponents are outside 1.6 and 2.9, give or take 0.1."""
    found = [ask(part.var(0, correction=0)) for part in (temple, flower)]
    return outside(found, [(1.5, 1.7), (2.8, 3.0)])


# %% tags=["hide-input"]
exponent_claim = Claim(
    id="shortest/patch-spectrum",
    says=r"The variances of the cosines of natural patches fall as $q^{-p}$ "
    r"with $p$ within 0.1 of 1.6 (temple) and 2.9 (flower).",
    papers=("053",),
    kind="exact",
    formula=lambda lam: exponent(lam, q16),
    controls={
        "amplitudes for variances": lambda lam: exponent(lam.sqrt(), q16),
        "$q^2$ for $q$": lambda lam: exponent(lam, q16**2),
        "the cosines in another order": lambda lam: exponent(
            lam.flip(0), q16
        ),
    },
    tol=1e-6,
    because="intervals drawn around what was measured; tol is rounding",
    measure=exponents_off,
    scale="an interval this wide does not see a thousandth",
)
check(exponent_claim)

# %% [markdown]
r"""
The digits are the second set. Three of their pixels are never inked, so without a
floor their distance to noise is infinite. The floor we name is *one grey level*:
the pixels come in steps of $\frac18$, and noise of variance $\frac{1}{12}
(\frac18)^2 = \frac1{768}$ is what rounding to such steps would do. Their
covariance is not diagonal in cosines, so the blur of digits leaves the eigenvectors
of $\Sigma$ on its way, and its length needs full matrices: we add up distances
between neighbours on a fine chain.
"""

# %% tags=["setup"]
pixels, _ = data.digits()
ink = torch.cov(pixels.mT, correction=0) + eye(64) / 768
digits = torch.linalg.eigvalsh(ink)


# %%
def chain_length(chain):
    """The length of a chain of covariances (m, d, d)."""
    return fisher_rao(chain[:-1], chain[1:]).sum()


def blurred(cov, q2, b, n=400):
    """The chain of heat times VP, for a covariance given in cosines."""
    t, one = even(0, 1, n + 1), eye(len(cov))
    phi = blur2(q2, t.unsqueeze(1), b).sqrt()
    return phi.unsqueeze(2) * (cov - one) * phi.unsqueeze(1) + one


def times_shortest(cov, q2, b):
    """Lengths over L*: isotropic, and heat times VP of width b."""
    x = torch.linalg.eigvalsh(cov).log()
    heat = chain_length(blurred(cov, q2, b, 400 if len(x) < 100 else 60))
    return torch.stack([isotropic_length(x), heat]) / shortest_length(x)


# %% [markdown]
r"""
For the patches the covariance is diagonal, and the chain is shorter work.
"""


# %%
def patch_lengths(b, n=4000):
    """Lengths over L* of natural patches: isotropic, and heat of width b."""
    t, x = even(0, 1, n + 1).unsqueeze(1), natural.log()
    heat = along_modes(torch.log1p(blur2(q16, t, b) * (natural - 1)))
    return torch.stack([isotropic_length(x), heat]) / shortest_length(x)


# %% tags=["hide-input"]
cut = {"digits": [(1.05, 1.07), (1.11, 1.13)]}
cut["patches"] = [(1.03, 1.05), (1.16, 1.18)]
B8, q8 = cosines(8)
ink8 = B8 @ ink @ B8.mT


# %% tags=["hide-input"]
@functools.cache  # one measurement for the formula and its controls
def lengths_at(b):
    """The lengths of isotropic and heat, on digits and on patches."""
    return times_shortest(ink8, q8, b), patch_lengths(b)


def both(order, b=2.0, power=1):
    """Isotropic and heat, on digits and on patches, in some order."""
    rows = [row[order] ** power for row in lengths_at(b)]
    return torch.cat(rows).tolist()


image_slips = {
    "heat is the shorter one": lambda: both([1, 0]),
    "no blur at all: isotropic twice": lambda: both([0, 1], b=0.0),
    "squared lengths": lambda: both([0, 1], power=2),
}

# %% tags=["hide-input"]
image_claim = Claim(
    id="shortest/images",
    says=r"In units of $L^\star$ the isotropic schedule has the length "
    r"1.06 on the digits (floor $\frac1{768}$) and 1.04 on natural patches, "
    r"heat times VP of 2 pixels 1.12 and 1.17; each give or take 0.01.",
    papers=("053",),
    kind="exact",
    formula=lambda: both([0, 1]),
    controls=image_slips,
    tol=1e-6,
    because="intervals drawn around what was measured; tol is rounding",
    measure=lambda f: outside(f(), cut["digits"] + cut["patches"]),
    scale="an interval this wide does not see a thousandth",
)
check(image_claim)

# %% [markdown]
r"""
So on images the differences are small: a few hundredths between the isotropic
schedule and the shortest path. The reason is in the spectra. Most variances are far
below one and not far from each other, so most $x_k$ have one sign and a similar
size, which is the case of near equality. Blurring is longer, and the longer the
wider it blurs.

Yet the three processes *look* very different. We take one patch along each, at
equal fractions of the path's own length, and show what the filter leaves of the
patch, $\Phi_t x_0$. (The filter acts on the patch without its mean brightness over
all patches.)
"""


# %%
def at_fractions(phi2, fractions, n=2000):
    """phi^2 (m, k) where a process has covered fractions of its length."""
    t = even(0, 1, n + 1).unsqueeze(1)
    all_phi2 = phi2(t)
    logs = torch.log1p(all_phi2 * (natural - 1))
    steps = (logs.diff(dim=0) ** 2 / 2).sum(1).sqrt().cumsum(0)
    gone = torch.cat([steps.new_zeros(1), steps / steps[-1]])
    return all_phi2[torch.searchsorted(gone, fractions).clamp_max(n)]


fractions = exactly([0.0, 0.25, 0.5, 0.75, 0.9, 0.98])
filters = {
    "isotropic": at_fractions(lambda t: (1 - t).expand(-1, 256), fractions),
    "heat, 2 pixels": at_fractions(lambda t: blur2(q16, t), fractions),
    "shortest": at_fractions(
        lambda t: filter2(natural.log(), 1 - t), fractions
    ),
}

# %% mystnb={"figure": {"caption": "What the filter leaves of one patch, $\\Phi_t x_0$, at equal fractions of the Fisher length of each process, with brightness and contrast evened out. The noise is left out.", "name": "fig-shortest-strip"}, "image": {"alt": "Three rows of six small pictures of a roof. Isotropic: the picture stays the same. Heat: from 90 % on it melts into a blur. Shortest: the edges grow bright and dark borders."}}
wave = waves[982]  # a roof of the temple
rows = []
for phi2 in filters.values():
    left = (phi2.sqrt() * wave) @ B16
    left = left - left.mean(1, keepdim=True)
    rows.append(-left / (2.5 * left.std(1, keepdim=True)))
figures.strip(
    rows,
    list(filters),
    [f"{share:.0%}" for share in fractions.tolist()],
    "One patch on three ways to noise: heat melts it, shortest carves it",
)
plt.show()

# %% [markdown]
r"""
The isotropic filter leaves the picture as it is, heat leaves a haze, and the
shortest path leaves the edges, with overshoots as a sharpening filter makes them.
That heat shows itself so late has a reason: most of every path's length is spent on
the many small variances, which noise alone lifts to one.

## Is the shortest path the cheapest?

That the shortest path gives the best images is a hypothesis, and the paper calls it
one. For Gaussian data it can be decided. In continuous time every process is
generated exactly, so all that can differ is the error of finitely many steps. Take
the deterministic first-order step of DDIM {cite}`song2021ddim`, mode by mode,
$x_s = \Phi_s D + S_s N$ with $D$ and $N$ the posterior means of $x_0$ and $z$. A mode
with filter $\phi$ and noise $g$ is a one-dimensional path of its own, and
[Painters](painters.ipynb) has its **angle**, $\tan\theta = g/(\phi\sqrt\lambda)$. The
step multiplies the mode by the exact factor times $\cos(\theta_t - \theta_s)$: with
$D = \phi_t\lambda\, x/c_t$ and $N = g_t x/c_t$,

$$
\frac{\phi_s \phi_t \lambda + g_s g_t}{c_t} = \sqrt{\frac{c_s}{c_t}}\,
\cos(\theta_t - \theta_s), \qquad \text{as } \phi\sqrt\lambda = \sqrt c \cos\theta,\
g = \sqrt c \sin\theta .
$$ (eq-shortest-step)

So $n$ steps keep the share $\prod \cos(\Delta\theta)$ of a mode's standard
deviation. Every mode turns from $0$ to $\frac\pi2$; as $\log\cos$ is concave, equal
turns are best, and **no process and no grid keeps more than $\cos^n
\frac{\pi}{2n}$ of any mode**. The trouble is that all modes share one grid.

For variance-preserving power paths $g^2 = 1 - \phi^2$ and $\phi^2 = (c - 1)/
(\lambda - 1)$, so $\sin^2\theta = g^2/c = (\lambda/c - 1)/(\lambda - 1)$. Now
$(\lambda/c)^{-p} = \lambda^{-p} (w\lambda^p + 1 - w) = w + (1 - w) \lambda^{-p}$: the
quotient $\lambda/c$ is itself the variance of a power path, with $-p$ for $p$ and $1 -
w$ for $w$, and

$$
\sin^2\theta_p(w) = \phi_{-p}^2(1 - w) = \begin{cases}
(1 - w)/(w\lambda + 1 - w) & \text{isotropic},\\
(\lambda^t - 1)/(\lambda - 1) & \text{shortest},\ t = 1 - w,\\
1 - w & \text{precision}.
\end{cases}
$$ (eq-shortest-angle)

The angle on one path is the filter of its dual. On the isotropic path the modes
turn one after another, $\tan\theta \propto \lambda^{-1/2}$. On the shortest path
they turn much closer together: half-way $\tan\theta = \lambda^{-1/4}$. On the
precision path the eigenvalue has *dropped out*: **all modes turn together**, and the
grid $1 - w = \sin^2 (\pi i/2n)$ is the best one for all of them at once.
"""

# %%
w_ = sympy.symbols("w", positive=True)
paths_c = (w_ * v + 1 - w_, v**w_, 1 / (w_ / v + 1 - w_))


square = sympy.symbols("phi2")
solved = [sympy.solve(square * v + 1 - square - c, square) for c in paths_c]


def from_process(sines):
    """sin^2 c - g^2, with phi^2 solved from the variance c."""
    rows = []
    for (phi2,), sine in zip(solved, sines, strict=True):
        rows.append(sine * (phi2 * v + 1 - phi2) - (1 - phi2))
    return sympy.Matrix(rows)


iso_sine = (1 - w_) / (w_ * v + 1 - w_)
short_sine = (v ** (1 - w_) - 1) / (v - 1)

# %% tags=["hide-input"]
angle_slips = {
    "the filter's chord, $\\lambda^w$": (
        iso_sine,
        (v**w_ - 1) / (v - 1),
        1 - w_,
    ),
    "the same angle for all modes of the isotropic path": (
        1 - w_,
        short_sine,
        1 - w_,
    ),
    "the shortest path of $1/\\lambda$": (
        iso_sine,
        short_sine.subs(v, 1 / v),
        1 - w_,
    ),
}

# %% tags=["hide-input"]
angle_claim = Claim(
    id="shortest/angle",
    says=r"On the variance-preserving isotropic, shortest and precision "
    r"paths $\sin^2\theta$ is $(1-w)/(w\lambda+1-w)$, $(\lambda^{1-w}-1)/"
    r"(\lambda-1)$ and $1-w$: on the last, for every $\lambda$ the same.",
    papers=("053",),
    kind="symbolic",
    formula=(iso_sine, short_sine, 1 - w_),
    controls=angle_slips,
    measure=from_process,
)
check(angle_claim)

# %% [markdown]
r"""
**Is Fisher's even clock the equal-angle clock?** On the shortest path at even
speed, at $\lambda = 1$, [the angle](#eq-shortest-angle) is $\theta = \arcsin \sqrt
t$, which is not linear; and for every other $\lambda$ it starts as $\sqrt{t \log
\lambda/(\lambda - 1)}$, infinitely fast, which no linear function does. So the
answer is *no, for no variance*. With $n$ even steps the first and the last turn by
about $n^{-1/2}$, and the squares of the turns near the ends add up to something
like $\frac1n \log n$ where equal angles have $\frac1n$. The remedy is another
clock on the same path, $t = \sin^2(\pi i/2n)$: equal angles at $\lambda = 1$.

The sampler itself, with full matrices and linear solves, is the second route to all
of this.
"""


# %% tags=["setup"]
def turning(x, p):
    """The angles of a power path as a function of u = 1 - w in (0, 1)."""
    return lambda u: filter2(x, u, -p).sqrt().asin()


def kept(angle, u):
    """prod cos of the turns on the grid 0, u, 1: what DDIM keeps of each."""
    inner = angle(u.unsqueeze(1))
    start, end = torch.zeros_like(inner[:1]), torch.zeros_like(inner[:1])
    turns = torch.cat([start, inner, end + math.pi / 2])
    return turns.diff(dim=0).cos().prod(0)


# %%
def run_ddim(phi, g, ts):
    """What a run from t = 1 to 0 keeps of each mode, by full matrices."""
    M = eye(5)
    for t, s in zip(ts[:-1], ts[1:], strict=True):
        Ft, Gt, Fs, Gs = (
            (Q * f) @ Q.mT for f in (phi(t), g(t), phi(s), g(s))
        )
        seen = Ft @ C @ Ft + Gt @ Gt
        D = torch.linalg.solve(seen, Ft @ C).mT  # x0 from x_t
        N = torch.linalg.solve(seen, Gt).mT
        M = (Fs @ D + Gs @ N) @ M
    return (Q.mT @ M @ Q).diagonal() / five.sqrt()


# %%
def preserving(p):
    """phi and g of a variance-preserving power path, on the five modes."""

    def noise2(t):  # c sin^2; 1 - phi^2 would leave sqrt(eps) at t = 0
        return log_variance(x5, 1 - t, p).exp() * filter2(x5, t, -p)

    return lambda t: filter2(x5, 1 - t, p).sqrt(), lambda t: noise2(t).sqrt()


uneven = exactly([0.04, 0.3, 0.45, 0.8, 0.97])
run_times = torch.cat([exactly([1.0]), uneven.flip(0), exactly([0.0])])


# %% tags=["hide-input"]
def thrice(share):
    """share(p) on the three power paths, stacked."""
    return torch.stack([share(p) for p in NAMES])


gain_slips = {
    "one $\\theta$ for all modes": lambda: thrice(
        lambda p: kept(turning(0 * x5, p), uneven)
    ),
    "the squares: variances": lambda: thrice(
        lambda p: kept(turning(x5, p), uneven) ** 2
    ),
    "the grid reversed": lambda: thrice(
        lambda p: kept(turning(x5, p), 1 - uneven.flip(0))
    ),
}

# %% tags=["hide-input"]
gain_claim = Claim(
    id="shortest/gain",
    says=r"DDIM through a filter process keeps $\prod \cos(\theta_i - "
    r"\theta_{i+1})$ of the standard deviation of each mode, $\tan\theta = "
    r"g/(\phi\sqrt\lambda)$ (five modes, six uneven steps, three power "
    r"paths).",
    papers=("053",),
    kind="exact",
    formula=lambda: thrice(lambda p: kept(turning(x5, p), uneven)),
    controls=gain_slips,
    tol=5e-13,
    because="float64; six solves of condition below 1e3",
    truth=lambda: thrice(lambda p: run_ddim(*preserving(p), run_times)),
)
check(gain_claim)

# %% [markdown]
r"""
Now the surprise. What is the *Fisher length* of the precision path? For any power
path $\log c_k = \frac1p \log(w \lambda_k^p + 1 - w)$, so it is an isotropic path
for the data $\Sigma^p$ with all logarithms divided by $p$, and

$$
L_p(x) = \frac{1}{|p|}\, L_{\text{iso}}(p\, x), \qquad L_{-p} = L_p .
$$ (eq-shortest-dual)

The second equation holds because $u \to -u$ in [the integral](#eq-shortest-iso)
turns $\sigma(u + x) - \sigma(u)$ into $\sigma(u) - \sigma(u - x)$, as $\sigma(-u) = 1 -
\sigma(u)$; this is the speed for $-x$ up to its sign. (Inverting all covariances
changes no Fisher length.) **The precision path is exactly as long as the isotropic
one**, which for the price of a grid is its opposite.
"""

# %%
powers = (-1.0, -0.5, 1.0, 2.0)


@functools.cache
def power_chains(n=2000):
    """The lengths of four power paths, by torch's divergences."""
    t, out = even(0, 1, n + 1), []
    for p in powers:
        w = (math.pi / 2 * t).cos() ** 2
        c = log_variance(x5, w.unsqueeze(1), p).exp()
        out.append(links((Q * c.unsqueeze(1)) @ Q.mT).sqrt().sum())
    return torch.stack(out)


def power_lengths(scale, inner=lambda p: p):
    """scale(p) L_iso(inner(p) x) at the four powers."""
    return torch.stack(
        [scale(p) * isotropic_length(inner(p) * x5) for p in powers]
    )


# %% tags=["hide-input"]
dual_claim = Claim(
    id="shortest/dual",
    says=r"The power path $(w\Sigma^p + (1-w)I)^{1/p}$ has the length "
    r"$L_{\text{iso}}(p \log\lambda)/|p|$; averaging precisions ($p = -1$) "
    r"is exactly as long as averaging covariances ($p = 1$).",
    papers=("053",),
    kind="exact",
    formula=lambda: power_lengths(lambda p: 1 / abs(p)),
    controls={
        "no $1/|p|$": lambda: power_lengths(lambda p: 1.0),
        "$L_{\\text{iso}}(x)$ for all": lambda: power_lengths(
            lambda p: 1.0, lambda p: 1.0
        ),
        "the shortest length for all": lambda: shortest_length(x5).expand(4),
    },
    tol=2e-5,
    because="chains of 2,000 links, of second order in the largest link",
    truth=power_chains,
)
check(dual_claim)

# %% [markdown]
r"""
It gets worse for the hypothesis. The angles do not even depend on the laws of $x_t$:
multiply a mode of the state by any number $r_k(t)$, and $\phi$ and $g$ change but
$\theta$ does not. So the *shortest* path of laws can be walked with *equal angles in
all modes*, too,

$$
x_t = \Sigma^{-t/2} \cos\tfrac{\pi t}{2}\, x_0 + \Sigma^{(1-t)/2}
\sin\tfrac{\pi t}{2}\, z, \qquad \operatorname{Cov} x_t = \Sigma^{1-t},
$$ (eq-shortest-both)

only not with variance-preserving noise. Both this process and the precision path
reach the bound. The precision path has a plain meaning, too: common angles are what
an isotropic schedule gives to data whose variances are all equal. Up to the scale of
each direction, it is the isotropic diffusion of *whitened* data, whose laws do not
move at all. Their Fisher length is zero.
"""


# %%
def with_equal_angles():
    """phi and g of the process that has both."""
    return (
        lambda t: (-t / 2 * x5).exp() * (math.pi / 2 * t).cos(),
        lambda t: ((1 - t) / 2 * x5).exp() * (math.pi / 2 * t).sin(),
    )


def two_runs(n=7):
    """n steps of the precision path, and of the process with both."""
    t = even(1, 0, n + 1)
    w = (math.pi / 2 * t).cos() ** 2  # equal angles: 1 - w = sin^2
    return torch.stack(
        [
            run_ddim(*preserving(-1), 1 - w),
            run_ddim(*with_equal_angles(), t),
        ]
    )


# %% tags=["hide-input"]
bound_slips = {
    "$\\cos^n(\\pi/n)$": lambda n: exactly(math.pi / n).cos() ** n,
    "$1 - \\pi^2/8n$, its first order": lambda n: exactly(
        1 - math.pi**2 / 8 / n
    ),
    "$\\cos(\\pi/2n)$: one step": lambda n: exactly(math.pi / 2 / n).cos(),
}

# %% tags=["hide-input"]
bound_claim = Claim(
    id="shortest/bound",
    says=r"With $n$ equal angles the precision path, and the process of "
    r"covariance $\Sigma^{1-t}$ with equal angles, keep $\cos^n(\pi/2n)$ of "
    r"*every* mode, which is the most that any process can keep ($n = 7$).",
    papers=("053",),
    kind="exact",
    formula=lambda n: exactly(math.pi / 2 / n).cos() ** n,
    controls=bound_slips,
    tol=5e-13,
    because="float64; seven solves of condition below 1e3",
    measure=lambda f: float((two_runs() - f(7)).abs().max()),
)
check(bound_claim)

# %% [markdown]
r"""
The slider shows why. Each ray is a mode, upright for noise, flat for data; a grid
of steps has to serve all rays of a panel at once.
"""


# %%
fanned = even(math.log(0.002), math.log(80), 7)  # log-variances
quarter = even(0, math.pi / 2, 60)


def halfway(x, p, turn):
    """The u at which the angles of a power path have the mean turn."""
    u = torch.sigmoid(even(-12, 12, 4001)).unsqueeze(1)
    mean = turning(x, p)(u).mean(1)
    return u[torch.searchsorted(mean, turn).clamp_max(4000), 0]


# %%
def fan(turn):
    """The angles of seven modes on the three paths, at one mean angle."""
    figure, axes = figures.canvas("", columns=3, width=6.0, height=2.2)
    for ax, p in zip(axes, NAMES, strict=True):
        ax.plot(quarter.cos(), quarter.sin(), color=figures.NOISE, lw=1)
        rays = turning(fanned, p)(halfway(fanned, p, turn))
        for ray, hue in zip(rays, figures.time_colours(7), strict=True):
            ax.plot([0, ray.cos()], [0, ray.sin()], color=hue, lw=2)
        ax.set(aspect="equal", xticks=[], yticks=[])
        ax.set_xlabel(NAMES[p], color=COLOURS[p])
        ax.spines[:].set_visible(False)
    return figure


# %%
turns = [k * math.pi / 18 for k in range(1, 9)]
figures.Slider(
    [fan(turn) for turn in reversed(turns)],
    [f"mean angle {10 * k} degrees" for k in range(8, 0, -1)],
    "Seven modes as rays on the isotropic, the shortest and the precision "
    "path, turning from noise (upright) to data (flat)",
    "fan",
)

# %% [markdown]
r"""
## What is it worth, in numbers?

We give every process the best grid it can have, found by a search over the grids of
$n$ steps, for two errors: the divergence
$\mathrm{KL} = \sum_k \bigl( \frac12 (s_k^2 - 1) - \log s_k \bigr)$ of the generated law from the data, $s_k$ being the share of
[the standard deviation](#eq-shortest-step) that is kept, in which all modes weigh
alike; and the Wasserstein distance $W_2 = (\sum_k \lambda_k (1 - s_k)^2)^{1/2}$, in
which large variances count most. Both are divided by what the bound $s_k =
\cos^n(\pi/2n)$ gives.
"""


# %%
def kl(kept_share, lam):
    """KL of the generated Gaussian from the data's."""
    logs = kept_share.log()
    return (torch.expm1(2 * logs) / 2 - logs).sum()


def w2(kept_share, lam):
    """W2 between the generated Gaussian and the data's."""
    return (lam * (1 - kept_share) ** 2).sum().sqrt()


# %%
def best(angle, lam, n, error):
    """The least error of n steps of a process, over all grids."""
    fine = torch.sigmoid(even(-12, 12, 2001))  # u, dense at both ends
    mean = angle(fine.unsqueeze(1)).mean(1).numpy()
    steps = np.linspace(0, math.pi / 2, n + 1)[1:-1]  # equal mean angles
    u = torch.from_numpy(np.interp(steps, mean, fine.numpy()))
    z = u.diff(prepend=exactly([0.0]), append=exactly([1.0])).log()
    z.requires_grad_()

    def cost():
        share = z.softmax(0) + 1e-9  # no step vanishes
        return error(kept(angle, (share / share.sum()).cumsum(0)[:-1]), lam)

    search(cost, z)
    return cost().item()


# %%
def floor_error(lam, n, error):
    """The error of the bound, cos^n(pi / 2n) in every mode."""
    bound = math.cos(math.pi / 2 / n) ** n
    return error(torch.full_like(lam, bound), lam).item()


def price(angle, lam, n, error):
    """The least error of a process over that of the bound."""
    return best(angle, lam, n, error) / floor_error(lam, n, error)


def heat_angle(t):
    """The angles of heat times VP on natural patches."""
    phi2 = blur2(q16, t)
    return torch.atan2((1 - phi2).sqrt(), (phi2 * natural).sqrt())


# %% [markdown]
r"""
A search can miss. For the isotropic schedule the package has a search of its own,
`chains.optimal_grid`, by another parametrisation, other starts and another
minimiser, over tables of DDIM; the two must find the same error.
"""


# %%
@functools.cache
def by_package(n=10):
    """W2 of the digits with the package's best DDIM grid, over the bound."""
    trig = paths.trig()

    def table(ts):
        return tables.ddim(trig, ts)

    ts = chains.optimal_grid(table, trig, digits, n, math.inf)
    found = w2(chains.cosines(trig, digits, ts), digits)
    return found / floor_error(digits, n, w2)


@functools.cache
def our_price(p):
    """The same by our search, on any power path."""
    return exactly(price(turning(digits.log(), p), digits, 10, w2))


# %% tags=["hide-input"]
u10 = even(0, 1, 11)[1:-1]
nsr2 = digits.log().mean().exp() * (math.pi / 2 * u10).tan() ** 2
equal = kept(turning(digits.log(), 1), nsr2 / (1 + nsr2))

# %% tags=["hide-input"]
grid_claim = Claim(
    id="shortest/best-grid",
    says=r"The least $W_2$ error of ten isotropic DDIM steps on the digits "
    r"(floor $\frac1{768}$), found by our search, is that of "
    r"`chains.optimal_grid`.",
    papers=("053",),
    kind="exact",
    formula=lambda: our_price(1),
    controls={
        "the shortest path": lambda: our_price(0),
        "equal angles for the middle variance": lambda: (
            w2(equal, digits) / floor_error(digits, 10, w2)
        ),
        "the bound": lambda: exactly(1.0),
    },
    tol=1e-10,
    because="at a minimum, gradients below 1e-6 leave errors near 1e-12",
    truth=by_package,
)
check(grid_claim)

# %% [markdown]
r"""
Now the comparison, on both sets of images, from 5 to 40 steps.
"""

# %%
counts = (5, 10, 20, 40)
prices = {
    (name, NAMES[p], error.__name__): [
        price(turning(lam.log(), p), lam, n, error) for n in counts
    ]
    for name, lam in (("digits", digits), ("patches", natural))
    for p in NAMES
    for error in (kl, w2)
}
floors = [floor_error(natural, n, kl) for n in counts]
short = turning(natural.log(), 0)
prices["patches", "heat", "kl"] = [
    price(heat_angle, natural, n, kl) for n in counts
]
prices["patches", "even Fisher steps", "kl"] = [
    kl(kept(short, even(0, 1, n + 1)[1:-1]), natural).item() / floor
    for n, floor in zip(counts, floors, strict=True)
]


# %% tags=["hide-input"]
bounds = {
    ("digits", "isotropic", "kl"): (2.05, 2.20),
    ("digits", "isotropic", "w2"): (1.13, 1.20),
    ("digits", "shortest", "kl"): (1.18, 1.22),
    ("digits", "shortest", "w2"): (1.02, 1.05),
    ("patches", "isotropic", "kl"): (1.45, 1.65),
    ("patches", "isotropic", "w2"): (1.35, 1.47),
    ("patches", "shortest", "kl"): (1.08, 1.12),
    ("patches", "shortest", "w2"): (1.12, 1.16),
    ("patches", "heat", "kl"): (2.25, 2.70),
    ("patches", "even Fisher steps", "kl"): (3.5, 7.8),
}


# %%
def worth(rename):
    """How far the prices are outside the intervals of the claim."""
    misses = [
        outside(prices[rename(*key)], [interval] * len(counts))
        for key, interval in bounds.items()
    ]
    return max(miss.item() for miss in misses)


# %% tags=["hide-input"]
def exchanged(one, two):
    """The key with two processes exchanged, where both were priced."""

    def rename(name, process, error):
        other = {one: two, two: one}.get(process, process)
        new = (name, other, error)
        return new if new in prices else (name, process, error)

    return rename


worth_slips = {
    "isotropic and shortest exchanged": exchanged("isotropic", "shortest"),
    "the precision path for the shortest": exchanged("precision", "shortest"),
    "heat is the better one": exchanged("isotropic", "heat"),
    "even steps are as good as the best": exchanged(
        "even Fisher steps", "shortest"
    ),
}

# %% tags=["hide-input"]
worth_claim = Claim(
    id="shortest/worth",
    says=r"With the best grid each, the KL error is 2.05 to 2.20 (digits) "
    r"and 1.45 to 1.65 (patches) times the bound on the isotropic path, "
    r"1.18 to 1.22 and 1.08 to 1.12 times on the shortest; $W_2$ 1.13 to "
    r"1.20 and 1.35 to 1.47 against 1.02 to 1.05 and 1.12 to 1.16. On "
    r"patches heat takes 2.25 to 2.70 times the KL bound, and the shortest "
    r"path in equal Fisher steps 3.5 to 7.8 times (5, 10, 20, 40 steps).",
    papers=("053",),
    kind="exact",
    formula=lambda *key: key,
    controls=worth_slips,
    tol=1e-6,
    because="intervals drawn around what was measured; tol is rounding",
    measure=worth,
    scale="an interval this wide does not see a thousandth",
)
check(worth_claim)

# %% [markdown]
r"""
In the picture, look at the order of the lines and at the one slope that differs.
"""

# %%
looks = {
    "isotropic": (figures.LEARNED, "-"),
    "precision": (figures.SECOND, "-"),
}
looks |= {"heat": (figures.WRONG, "--"), "shortest": (figures.EXACT, "-")}
looks["even Fisher steps"] = (figures.EXACT, ":")
lift = {"isotropic": 1.15, "shortest": 1.1, "precision": 0.8}

# %% mystnb={"figure": {"caption": "KL error of $n$ DDIM steps on natural patches. Each process has its own best grid, but for the dotted line: the shortest path in steps of equal Fisher length.", "name": "fig-shortest-error"}, "image": {"alt": "Five falling lines on logarithmic axes. From above: even Fisher steps (dotted), heat (red, dashed), isotropic (blue), shortest (thick grey), and precision (ochre), the lowest."}}
figure, axes = figures.canvas(
    "The shortest path beats the isotropic one; precision beats both",
    height=3.2,
)
for name, (colour, line) in looks.items():
    row = prices["patches", name, "kl"]
    found = [q * f for q, f in zip(row, floors, strict=True)]
    axes.loglog(counts, found, line, color=colour)
    figures.label_line(axes, 40, found[-1] * lift.get(name, 1), name, colour)
axes.set(
    xlabel="steps", ylabel="KL error, nats", xlim=(4.5, 80), ylim=(0.13, 70)
)
axes.set_xticks(counts, [str(n) for n in counts])
axes.set_xticks([], minor=True)
plt.show()

# %% [markdown]
r"""
All lines but the dotted one fall as $n^{-2}$; the dotted one falls more slowly, as
the squares of its turns do. So on the shortest path, in steps of equal Fisher length, one is *worse* off
than with the isotropic schedule and a good grid; with a good grid on both, the
shortest path wins clearly, and heat loses. The power paths show what is at work.
"""

# %%
powers_seen = even(-3, 1.5, 19).tolist()
logs_seen = natural.log()
lengths = [
    isotropic_length(p * logs_seen) / abs(p) / shortest_length(logs_seen)
    if p
    else exactly(1.0)
    for p in powers_seen
]
errors = [price(turning(logs_seen, p), natural, 10, kl) for p in powers_seen]

# %% mystnb={"figure": {"caption": "One family of paths, two rulers, on natural patches, against the power $p$: the Fisher length in units of the least, and the KL error of ten steps with the best grid in units of the bound.", "name": "fig-shortest-powers"}, "image": {"alt": "Two curves against p from minus 3 to 1.5. The grey length is a flat symmetric valley with its lowest point at 0; the blue error touches 1 at minus 1 and rises steeply to the right."}}
figure, axes = figures.canvas(
    "Length is least at p = 0, the error of ten steps at p = -1"
)
axes.plot(powers_seen, lengths, color=figures.EXACT, lw=3)
axes.plot(powers_seen, errors, color=figures.LEARNED)
for p, name in NAMES.items():
    axes.axvline(p, color=figures.NOISE, lw=0.8, zorder=0)
    axes.text(p, 2.02, name, ha="center", fontsize=9)
figures.label_line(axes, 1.5, lengths[-1], "length", figures.EXACT)
figures.label_line(axes, 1.5, errors[-1], "error", figures.LEARNED)
axes.set(xlabel="power $p$", yticks=[1, 1.5, 2], ylim=(0.95, 2.0))
plt.show()

# %% [markdown]
r"""
The two rulers agree about one thing: coming from the isotropic path at $p = 1$,
going towards the shortest one is right. They disagree about where to stop. Length
is blind to the sign of $p$; the error is not.

**So the hypothesis, for Gaussian data and DDIM, is half right.** Sharpening instead
of blurring helps, and for a good reason: it lets the modes turn together. But what
is bought is common angles, not length: a path as long as the isotropic one is the
best of all, and the shortest path, walked at even Fisher speed, is a poor one.

## Break it

- Take the two spectra that contain $x$ and $1/x$ out of `trials`. One control of
  `shortest/equality` is then no longer rejected. Which one, and why?
- Lower the floor of the digits from $\frac1{768}$ to $10^{-4}$. The isotropic
  schedule becomes nine per cent longer than the shortest path in place of six, and
  `shortest/images` fails: the lengths of digits are statements about the floor.
- In `preserving` compute $g^2$ as $1 - \phi^2$. `shortest/gain` fails, though the
  formula is right: at $t = 0$ the difference is not $0$ but a rounding error, and its
  root is a noise of $10^{-8}$.

## What this does not show

A trained network makes errors of its own, which differ from direction to direction;
a process that keeps the angles together also asks the network to guess all
frequencies at once, and nothing here says how hard that is to learn. Data are not
Gaussian, and their modes are not independent. For Gaussian data one could use the
exact factor $\sqrt{c_s/c_t}$ in place of DDIM and be done in one step; and another
sampler would have another best path. The paper's own evidence is in the quality of
images, which we have not measured. The length of a path with moving means was left
out.

## Exercises

**1.** Noise need not have variance one. Which white noise, $\mathcal N(0, v I)$, is
*nearest* to a Gaussian with the variances `lam`, in Fisher's metric? Return $v$.
"""

# %% tags=["setup"]
rows_1 = exactly([[20.0, 5.0, 0.3], [1.0, 2.0, 64.0], [0.5, 0.02, 0.1]])


# %%
def nearest_by_search(rows):
    """The same, by minimising the distance of full matrices."""
    out = []
    for lam in rows:
        log_v = torch.zeros(1, dtype=torch.float64, requires_grad=True)

        def cost(lam=lam, log_v=log_v):
            return fisher_rao(torch.diag(lam), log_v.exp() * eye(3)) ** 2

        search(cost, log_v, 1e-9)
        out.append(log_v.detach().exp())
    return torch.cat(out)


# %% tags=["hide-input"]
nearest_exercise = Claim(
    id="shortest/nearest-exercise",
    says="the variance of the nearest white noise",
    papers=("053",),
    kind="exact",
    formula=None,
    controls={
        "the mean variance: noise of the same power": lambda r: r.mean(1),
        "the harmonic mean": lambda r: 1 / (1 / r).mean(1),
        "a standard deviation for a variance": lambda r: (
            r.log().mean(1) / 2
        ).exp(),
    },
    tol=1e-7,
    because="a search that stops at a small gradient",
    at=(rows_1,),
    truth=nearest_by_search,
)


# %% tags=["solution", "hide-cell"]
def nearest_white(rows):
    """The geometric mean of the variances in each row."""
    return rows.log().mean(1).exp()


# %%
attempt(nearest_exercise, nearest_white)

# %% [markdown]
r"""
**2.** Write the filter $\phi^2$ of the variance-preserving *precision* path,
$C_w = (w \Sigma^{-1} + (1 - w) I)^{-1}$, for variances `lam` and weights `w` (both
tensors of one shape). Does it sharpen more or less than the shortest path?
"""

# %% tags=["setup"]
lam_2 = exactly([0.02, 0.3, 0.7, 1.5, 5.0, 20.0])
w_2 = exactly([0.9, 0.5, 0.1, 0.3, 0.5, 0.8])


# %%
def by_inverses(lam, w):
    """phi^2 from the variances of inverted sums of full matrices."""
    out = []
    for v, share in zip(lam, w, strict=True):
        S, _ = turned(torch.stack([v, v]), 4)
        c = torch.linalg.inv(
            share * torch.linalg.inv(S) + (1 - share) * eye(2)
        )
        out.append((c[0, 0] - 1) / (v - 1))
    return torch.stack(out)


# %% tags=["hide-input"]
precision_slips = {
    "the isotropic filter: this averages covariances": lambda lam, w: w,
    "the filter of the shortest path": lambda lam, w: (
        (lam**w - 1) / (lam - 1)
    ),
    "1 / lam for lam: this would blur": lambda lam, w: (
        w / (w + (1 - w) / lam)
    ),
    "the variance c, not yet the filter": lambda lam, w: (
        1 / (w / lam + 1 - w)
    ),
}

# %% tags=["hide-input"]
precision_exercise = Claim(
    id="shortest/precision-exercise",
    says="the filter of the precision path",
    papers=("053",),
    kind="exact",
    formula=None,
    controls=precision_slips,
    tol=1e-12,
    because="float64",
    at={"lam": lam_2, "w": w_2},
    truth=by_inverses,
)


# %% tags=["solution", "hide-cell"]
def precision_filter(lam, w):
    """phi^2 = (c - 1) / (lam - 1) with 1 / c = w / lam + 1 - w."""
    return w / (w + lam * (1 - w))


# %%
attempt(precision_exercise, precision_filter)

# %% [markdown]
r"""
**3.** Walk the shortest path in $n$ steps of *equal Fisher length*. Which share of
its standard deviation does DDIM keep of a mode of variance `lam` (a tensor, no entry
equal to one)?
"""


# %%
def by_steps(lam, n):
    """DDIM on one mode after the other, step by step."""
    x, phi, g = torch.ones_like(lam), 0 * lam, torch.ones_like(lam)
    for i in range(n - 1, -1, -1):
        c = phi**2 * lam + g**2
        D, N = phi * lam * x / c, g * x / c
        phi = ((lam ** (1 - i / n) - 1) / (lam - 1)).sqrt()
        g = (1 - phi**2).clamp_min(0).sqrt()
        x = phi * D + g * N if i else D
    return x / lam.sqrt()


def share_of(angles):
    """prod cos of the differences of angles (n + 1, k)."""
    return angles.diff(dim=0).cos().prod(0)


# %% tags=["hide-input"]
def clock_3(n):
    """t = i / n as a column."""
    return even(0, 1, n + 1).unsqueeze(1)


steps_slips = {
    "equal angles: Fisher's clock is not theirs": lambda lam, n: (
        torch.full_like(lam, math.cos(math.pi / 2 / n) ** n)
    ),
    "lam = 1 for every mode": lambda lam, n: share_of(
        clock_3(n).sqrt().asin().expand(-1, len(lam))
    ),
    "the isotropic path with w = 1 - t": lambda lam, n: share_of(
        filter2(lam.log(), clock_3(n), -1).sqrt().asin()
    ),
    "a variance for a standard deviation": lambda lam, n: (
        share_of(filter2(lam.log(), clock_3(n)).sqrt().asin()) ** 2
    ),
}

# %% tags=["hide-input"]
steps_exercise = Claim(
    id="shortest/steps-exercise",
    says="the share that n steps of equal Fisher length keep",
    papers=("053",),
    kind="exact",
    formula=None,
    controls=steps_slips,
    tol=1e-12,
    because="float64",
    at={"lam": lam_2, "n": 8},
    truth=by_steps,
)


# %% tags=["solution", "hide-cell"]
def share_kept(lam, n):
    """prod cos of the turns of arcsin sqrt((lam^t - 1) / (lam - 1))."""
    t = torch.arange(n + 1, dtype=torch.float64).unsqueeze(1) / n
    angles = ((lam**t - 1) / (lam - 1)).clamp(0, 1).sqrt().asin()
    return angles.diff(dim=0).cos().prod(0)


# %%
attempt(steps_exercise, share_kept)

# %% [markdown]
r"""
**4.** *A new control.* Find a filter that is right for every $\lambda$ at $t = 0$,
$\frac12$ and $1$, and wrong in between; add it to the controls of
`shortest/filter`. With what factor is it rejected? (Another clock will do.)

**5.** *Extend the world.* In one dimension, with means, the metric is $ds^2 = (dm^2 +
2\, d\sigma^2)/\sigma^2$. Minimise a chain as in `shortest/distance`, now with means,
between $\mathcal N(3, 1)$ and $\mathcal N(0, 1)$. Its middle is not $\mathcal
N(1.5, 1)$: is it wider or narrower? Compare the length with the half-plane's $\sqrt2
\operatorname{arcosh}\bigl(1 + \frac{\frac12 (m - m')^2 + (\sigma -
\sigma')^2}{2\sigma\sigma'}\bigr)$.

## Summary

| what | formula | claim |
|---|---|---|
| Fisher metric | $\frac12\operatorname{tr}[(C^{-1}dC)^2]$ | `shortest/metric` |
| shortest path | $\Sigma^{1-t}$, length $(\frac12\sum\log^2\lambda_k)^{1/2}$ | `shortest/log-chart`, `shortest/distance` |
| its filter | $(\lambda^{1-t}-1)/(\lambda-1)$, falls with $\lambda$ | `shortest/filter`, `shortest/sharpening` |
| isotropic length | $\int(\frac12\sum(\sigma(u+x_k)-\sigma(u))^2)^{1/2}du$ | `shortest/isotropic-length` |
| equality | all $\lambda_k\ne1$ equal | `shortest/equality` |
| angle | $\sin^2\theta_p(w)=\phi_{-p}^2(1-w)$ | `shortest/angle` |
| duality | $p$ and $-p$ are equally long | `shortest/dual` |
| best for DDIM | common angles: $p=-1$ | `shortest/bound` |
| what it is worth | shortest beats isotropic, precision beats both | `shortest/worth` |

**Where next.** [The terminal law](terminal.ipynb) asks what happens when a schedule
does not reach its noise; [Painters](painters.ipynb) has the angles of ordinary
schedules.
"""
