# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# Diffusion runs downhill

Noise spreads a density by the steepest way down in entropy, if steepness is measured
with the distance of optimal transport. So the velocity that a model learns has a second
meaning: it is minus a gradient in the space of laws, and of all fields that move the
density alike it moves the least. What follows from that for a network whose field is
no gradient, and what does not? And is generation, which goes the other way, a descent?

- **You need** [the split into a gradient and a gauge](helmholtz.ipynb), the
Wasserstein-2 distance, and [how to read a claim](../start/reading.ipynb).
- **You get** the gradient of a functional of laws, dissipation and speed, the implicit
steps of Jordan, Kinderlehrer and Otto in closed form, the sharp rate to the prior, and
the factor by which an error grows on the way back.
- **Paper** 069, Vuong and co-authors {cite}`vuong2025score`.
- **Claims** on Gaussians in three dimensions and mixtures in the plane and on the line,
all named `descent/...`.
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
import scipy.optimize
import sympy
import torch
from torch import distributions

# %% tags=["setup"]
from diffkit import figures, laws, metrics
from diffkit.claims import Claim, attempt, check

tensor = functools.partial(torch.tensor, dtype=torch.float64)
even = functools.partial(torch.linspace, dtype=torch.float64)

# %% [markdown]
r"""
Two worlds: a mixture of three tilted Gaussians in the plane, and a Gaussian in space
whose covariance $\Sigma$ is full.
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
law = laws.mixture(centres, tilts, shares)
J = tensor([[0.0, -1.0], [1.0, 0.0]])
Sigma = np.array([[1.1, 0.4, -0.2], [0.4, 0.6, 0.15], [-0.2, 0.15, 0.3]])
eye = np.eye(3)

# %% [markdown]
r"""
## What is the gradient of a functional of laws?

Points that move with a velocity field $f$ carry their density along,
$\partial_t p = -\nabla \cdot (p f)$. Let $F(p)$ be a number that depends on the law, for
instance

$$
\mathcal E(p) = \tfrac12 \int p \log p\; dx ,
$$ (eq-descent-energy)

minus one half of the entropy $\mathcal H$. How fast does it change? Assume
throughout that $p$ is smooth and positive and decays like a Gaussian, with $f$ and its
derivatives growing at most like polynomials; every mixture of Gaussians with invertible
covariances is of this kind. Then nothing is left at infinity and

$$
\frac{d}{dt} \mathcal E = \tfrac12 \int (\log p + 1)\, \partial_t p\; dx
= \tfrac12 \int p\, f \cdot \nabla (\log p + 1)\; dx
= \mathbb E_p\big[ \tfrac12 s \cdot f \big] .
$$ (eq-descent-slope)

In general let $\delta F/\delta p$ be the function of $x$ for which
$\frac{d}{dt} F = \int \frac{\delta F}{\delta p}\, \partial_t p$, the first variation. The
same step gives $\frac{d}{dt} F = \mathbb E_p[\nabla \frac{\delta F}{\delta p} \cdot f]$.

A gradient is what gives every slope as an inner product with the direction. So two
things are to be said: what a direction is, and which inner product is meant. A direction
is a rate $\partial_t p$, and many fields $f$ have the same one: they differ by
[gauges](helmholtz.ipynb), $\nabla \cdot (p\, r) = 0$. Take the shortest,

$$
\| \partial_t p \|^2 = \min \big\{ \mathbb E_p |f|^2 :\;
-\nabla \cdot (p f) = \partial_t p \big\} .
$$ (eq-descent-metric)

In [the split](helmholtz.ipynb) $f = \nabla\varphi + r$ the parts are orthogonal in
$L^2(p)$ and only the first moves the density. The minimum is at $r = 0$: *the shortest
field is the gradient*, and the inner product of two directions is
$\mathbb E_p[\nabla\varphi_1 \cdot \nabla\varphi_2]$. This is Otto's geometry
{cite}`otto2001geometry`. Benamou and Brenier {cite}`benamou2000fluid` proved that its
distance is Wasserstein's:

$$
W_2^2(p_0, p_1) = \min \int_0^1 \mathbb E_{p_t} |f_t|^2\, dt
\quad \text{over all } f \text{ from } p_0 \text{ to } p_1 ,
$$ (eq-descent-bb)

which we take from them; [bridges](../interpolants/bridges.ipynb) has the argument for
why a gradient that solves Burgers' equation is best.

Now [the slope](#eq-descent-slope) is read as
$\frac{d}{dt} \mathcal E = \langle \frac12 s, f \rangle$, and $\frac12 s$ is a gradient
already. So it is *the* gradient of $\mathcal E$, and steepest descent is the field

$$
v = -\nabla \frac{\delta F}{\delta p} , \qquad
v = -\tfrac12 \nabla \log p \quad \text{for } \mathcal E .
$$ (eq-descent-velocity)

What does it do? $-\nabla \cdot (p v) = \frac12 \nabla \cdot (p\, s) = \frac12 \Delta p$, the
heat equation, whose solution is the density of $x_0 + \sqrt\tau\, z$ in the time
$\tau = \sigma^2$. And $\frac{dx}{d\tau} = -\frac12 s$ is the probability flow,
[in reverse time](../gaussian/reverse.ipynb) found as one member of a family of
processes. Here no process with noise was asked for. This is the paper's point: the
velocity is defined by the density alone.

With a potential $V$ take the divergence to the law $\gamma \propto e^{-V}$,

$$
F(p) = \mathrm{KL}(p \,\|\, \gamma) = \int p \log p + \int p\, V + \text{const},
\qquad v = -\nabla \log p - \nabla V .
$$ (eq-descent-kl)

It moves the density as $dx = -\nabla V\, d\theta + \sqrt2\, dW$ does. For
$V = \frac12 |x|^2$ this is the process of Ornstein and Uhlenbeck, in the time $\theta$ with
$a = e^{-\theta}$, $g^2 = 1 - e^{-2\theta}$: the variance preserving path. So both common
ways of adding noise are descents, of two functionals, in one geometry.
"""

# %%
X, Y = sympy.symbols("x y")
dense = sympy.Function("p", positive=True)(X, Y)
hill = sympy.Function("V")(X, Y)


def slope2(u):
    """The gradient in the plane."""
    return sympy.Matrix([u.diff(X), u.diff(Y)])


def flux2(f):
    """The divergence in the plane."""
    return f[0].diff(X) + f[1].diff(Y)


def off_rate(v):
    """-div(p v) less what dx = -grad V + sqrt(2) dW does to p."""
    noise = flux2(slope2(dense)) + flux2(dense * slope2(hill))
    return (-flux2(dense * v) - noise).expand()


# %% tags=["hide-input"]
langevin_slips = {
    "the score's share of the flow of VP, $\\frac12$": (
        -slope2(sympy.log(dense)) / 2 - slope2(hill)
    ),
    "$-\\nabla p - \\nabla V$, the gradient of $L^2$": (
        -slope2(dense) - slope2(hill)
    ),
    "the Langevin drift alone": -slope2(hill),
    "up in $V$": -slope2(sympy.log(dense)) + slope2(hill),
}

# %% tags=["hide-input"]
langevin_claim = Claim(
    id="descent/langevin",
    says=r"For every smooth $p > 0$ and $V$ in the plane the field $v = "
    r"-\nabla \log p - \nabla V$, minus the Wasserstein gradient of "
    r"$\mathrm{KL}(p \| e^{-V})$, moves $p$ at the rate $\Delta p + \nabla "
    r"\cdot (p \nabla V)$ of $dx = -\nabla V\,dt + \sqrt2\,dW$.",
    papers=("069",),
    kind="symbolic",
    formula=-slope2(sympy.log(dense)) - slope2(hill),
    controls=langevin_slips,
    measure=off_rate,
)
check(langevin_claim)

# %% [markdown]
r"""
Next [the slope](#eq-descent-slope) itself, for three fields: an arbitrary one, a gauge,
and the descent. The truth does not use the score. If all points move by $\epsilon f$,
then the density at the new place is $p / |\det(I + \epsilon \nabla f)|$, so that
$\mathcal E$ changes by $-\frac12 \mathbb E_p \log |\det(I + \epsilon \nabla f)|$, exactly.
Averages are sums over a regular grid, at $\tau = 0.25$.
"""

# %% tags=["setup"]
R, N = 9.5, 128  # half a side, cells a side
axis = (torch.arange(N, dtype=torch.float64) + 0.5) * (2 * R / N) - R
points = torch.cartesian_prod(axis, axis)
area = (2 * R / N) ** 2
now = law.blur(0.25)
s_now, log_now = now.score(points), now.log_prob(points)
weight = log_now.exp() * area


def mean(u):
    """E_p of a function given on the grid."""
    return (weight * u).sum(-1)


# %%
def arbitrary(x):
    """A field chosen without a thought of the law."""
    u, w = x.unbind(-1)
    return torch.stack([0.3 * u - torch.sin(w), torch.sin(u) + 0.2 * w], -1)


def stirring(x):
    """The gauge J (h s + grad h), h = 1 + sin(b . x)."""
    b = tensor([1.0, -0.7])
    h, dh = 1 + torch.sin(x @ b), torch.cos(x @ b)
    return (h.unsqueeze(-1) * now.score(x) + dh.unsqueeze(-1) * b) @ J.mT


def descent(x):
    """-score / 2."""
    return -now.score(x) / 2


# %%
def stretched(f):
    """The change of the energy per unit of epsilon, by determinants."""
    x = points.clone().requires_grad_()
    rows = [
        torch.autograd.grad(u.sum(), x, retain_graph=True)[0] for u in f(x).mT
    ]
    D = torch.stack(rows, -2)

    def odd(e):
        up, down = (
            torch.linalg.det(torch.eye(2).double() + k * D).abs().log()
            for k in (e, -e)
        )
        return -mean(up - down) / (4 * e)

    return (4 * odd(5e-5) - odd(1e-4)) / 3


# %%
trio = (arbitrary, stirring, descent)
spots = [f(points) for f in trio]


def along(rule):
    """One number for each of the three fields."""
    return torch.stack([mean(rule(s_now, f, log_now)) for f in spots])


slope_truth = torch.stack([stretched(f) for f in trio])

# %% tags=["hide-input"]
slope_slips = {
    "the rate of $\\int p \\log p$": along(lambda s, f, lp: (s * f).sum(-1)),
    "the rate of the entropy": along(lambda s, f, lp: -(s * f).sum(-1)),
    "$-\\frac12 \\mathbb E |f|^2$, the descent's own": along(
        lambda s, f, lp: -(f**2).sum(-1) / 2
    ),
    "the first variation for its gradient": along(
        lambda s, f, lp: (lp + 1) * f.sum(-1) / 2
    ),
}

# %% tags=["hide-input"]
slope_claim = Claim(
    id="descent/slope",
    says=r"Along a field $f$ the energy $\frac12 \int p \log p$ changes at "
    r"the rate $\mathbb E_p[\frac12 s \cdot f]$: for an arbitrary field, for "
    r"a gauge, where it is zero, and for $-\frac12 s$ (three tilted "
    r"Gaussians, $\tau = 0.25$).",
    papers=("069",),
    kind="exact",
    formula=along(lambda s, f, lp: (s * f).sum(-1) / 2),
    controls=slope_slips,
    tol=1e-10,
    because="rounding of a difference over 1e-4",
    truth=slope_truth,
)
check(slope_claim)

# %% [markdown]
r"""
## How fast does it fall, and how far does it go?

Put $f = v = -\nabla \frac{\delta F}{\delta p}$ into the slope:

$$
\frac{d}{dt} F(p_t) = -\, \mathbb E_{p_t} |v_t|^2 .
$$ (eq-descent-dissipation)

What is lost is the square of the speed, as for any gradient descent. For the heat flow
$\mathbb E|v|^2 = \frac14 \mathbb E|s|^2$, and with $\mathcal E = -\frac12 \mathcal H$ this is
$\frac{d\mathcal H}{d\tau} = \frac12 \mathbb E|s|^2$: de Bruijn's identity, which
[dialects](../gaussian/dialects.ipynb) uses to count information. For the process of
Ornstein and Uhlenbeck the loss of $\mathrm{KL}(p \| \gamma)$ is $\mathbb E|s + x|^2$, the
relative Fisher information.

The truth is the derivative of the functional in *time*, through torch's own mixture
density on the grid. A field that stirs as well, $v + u$ with a gauge $u$, falls no faster
and has more speed: one control takes its square.
"""


# %%
def functional(kind, when):
    """E (heat) or KL (OU), up to a constant, by torch's mixture."""
    a = (-when).exp() if kind == "ou" else 1.0 + 0 * when
    g2 = -(-2 * when).expm1() if kind == "ou" else when
    cov = a**2 * tilts + g2 * torch.eye(2).double()
    parts = distributions.MultivariateNormal(a * centres, cov)
    weights = distributions.Categorical(shares)
    log_p = distributions.MixtureSameFamily(weights, parts).log_prob(points)
    well = (points**2).sum(-1) / 2 if kind == "ou" else 0.0
    inner = log_p / 2 if kind == "heat" else log_p + well
    return (log_p.exp() * inner).sum() * area


def fall(kind, when):
    """Minus the slope of the functional in time."""
    when = when.clone().requires_grad_()
    return -torch.autograd.grad(functional(kind, when), when)[0]


# %%
stops = [("heat", tensor(u)) for u in (0.25, 0.6)]
stops += [("ou", tensor(u)) for u in (0.3, 0.8)]


def seen_at(kind, u):
    """Score and weight of the exact law on the grid."""
    a = (-u).exp() if kind == "ou" else tensor(1.0)
    here = law.scale(a).blur(1 - a**2 if kind == "ou" else u)
    return kind, here.score(points), here.log_prob(points).exp() * area


views = [seen_at(*stop) for stop in stops]


def squares(rule):
    """E of rule(kind, score, x) at the four stops."""
    return torch.stack(
        [(w * rule(kind, s, points)).sum() for kind, s, w in views]
    )


# %% tags=["hide-input"]
def speed2(kind, s, x, half=0.5, pull=1.0, whirl=0.0):
    """|v|^2 with slips; whirl adds the gauge J s."""
    v = -half * s if kind == "heat" else -s - pull * x
    return ((v + whirl * s @ J.mT) ** 2).sum(-1)


def slip(**how):
    return squares(functools.partial(speed2, **how))


dissipation_slips = {
    "a gauge $\\frac12 J s$ paid for": slip(whirl=0.5),
    "$-s$ in the heat flow": slip(half=1.0),
    "the Fisher information, not the relative one": slip(pull=0.0),
    "$\\frac12 |v|^2$": slip() / 2,
}

# %% tags=["hide-input"]
dissipation_claim = Claim(
    id="descent/dissipation",
    says=r"Along its steepest descent $v$ a functional falls at the rate "
    r"$\mathbb E_p|v|^2$: $\frac12 \int p \log p$ with $v = -\frac12 s$ "
    r"under heat ($\tau = 0.25, 0.6$), and $\mathrm{KL}$ to $\mathcal "
    r"N(0, I)$ with $v = -s - x$ under Ornstein and Uhlenbeck ($\theta = "
    r"0.3, 0.8$; three tilted Gaussians).",
    papers=("069",),
    kind="exact",
    formula=slip(),
    controls=dissipation_slips,
    tol=5e-9,
    because="a grid of mesh 0.15 for modes of deviation 0.5; "
    "set after measuring",
    truth=torch.stack([fall(kind, u) for kind, u in stops]),
)
check(dissipation_claim)

# %% [markdown]
r"""
The speed $\sqrt{\mathbb E|v|^2}$ is a speed in the metric sense: since $v$ is a
gradient, [the metric](#eq-descent-metric) gives
$\| \partial_\tau p \| = \sqrt{\mathbb E|v|^2}$, and by
[Benamou and Brenier](#eq-descent-bb) a small step covers the distance

$$
\lim_{h \to 0} \frac{W_2(p_\tau, p_{\tau + h})}{h} = \sqrt{\mathbb E_{p_\tau} |v_\tau|^2}
= \tfrac12 \sqrt{\mathbb E_{p_\tau} |s|^2} .
$$ (eq-descent-speed)

For a Gaussian one sees it without their theorem. Covariances
$C = \Sigma + \tau I$ and $C + hI$ commute, so
$W_2^2 = \sum_i (\sqrt{\lambda_i + \tau + h} - \sqrt{\lambda_i + \tau})^2$, and the limit is
$\frac12 \sqrt{\operatorname{tr} C^{-1}}$. A field with a gauge moves its *points* faster,
and the law no faster.

We take exact distances between $\tau - h$ and $\tau + h$, at $h = 0.02$ and $0.01$, and
remove the error of order $h^2$: for the Gaussian in space, and for two Gaussians on the
line, where the distance is that of the quantiles.
"""

# %%
line = laws.mixture(
    tensor([[-1.2], [1.0]]), tensor([[[0.10]], [[0.30]]]), tensor([0.4, 0.6])
)
space = laws.gaussian(torch.zeros(3).double(), torch.tensor(Sigma))
hours = (0.1, 0.5, 2.0)


def crawl(distance, start, tau):
    """W2 per unit of tau, from central differences."""
    rough, fine = (
        distance(start.blur(tau - h), start.blur(tau + h)) / (2 * h)
        for h in (0.02, 0.01)
    )
    return (4 * fine - rough) / 3


pace = [crawl(metrics.gaussian_w2, space, u) for u in hours]
pace += [
    crawl(lambda p, q: metrics.w2(p, q).value, line, u) for u in hours[:2]
]

# %%
thread = even(-16.0, 16.0, 4001)


def fisher(tau):
    """E |s|^2 for the two worlds."""
    C = torch.tensor(Sigma) + tau * torch.eye(3).double()
    here, x = line.blur(tau), thread.unsqueeze(1)
    p = here.log_prob(x).exp() * (thread[1] - thread[0])
    return C.inverse().trace(), (p * here.score(x)[:, 0] ** 2).sum()


I2 = torch.stack(
    [fisher(u)[0] for u in hours] + [fisher(u)[1] for u in hours[:2]]
)

# %% tags=["hide-input"]
linear = tensor([(1 / np.trace(Sigma + u * eye)) ** 0.5 for u in hours])
G = np.array([[0.0, 0.5, -0.3], [-0.5, 0.0, 0.4], [0.3, -0.4, 0.0]])
gauge2 = tensor(
    [np.trace(G @ np.linalg.inv(Sigma + u * eye) @ G.T) for u in hours]
)
pace_slips = {
    "the speed of the points with a gauge": (
        I2 / 4 + torch.cat([gauge2, 0 * gauge2[:2]])
    ).sqrt(),
    "$\\sqrt{\\mathbb E|s|^2}$": I2.sqrt(),
    "the square, $\\frac14 \\mathbb E |s|^2$": I2 / 4,
    "$1/\\operatorname{tr} C$ for $\\operatorname{tr} C^{-1}$": torch.cat(
        [linear / 2, I2[3:].sqrt() / 2]
    ),
}

# %% tags=["hide-input"]
speed_claim = Claim(
    id="descent/speed",
    says=r"$W_2(p_{\tau - h}, p_{\tau + h})/(2h) \to \frac12 \sqrt{\mathbb "
    r"E|s|^2}$ as $h \to 0$ along the heat flow ($\mathcal N(0, \Sigma)$ in "
    r"space, $\tau = 0.1, 0.5, 2$; two Gaussians on the line, $\tau = 0.1, "
    r"0.5$).",
    papers=("069",),
    kind="exact",
    formula=I2.sqrt() / 2,
    controls=pace_slips,
    tol=9e-6,
    because="$h^4$ against the variance 0.15 of the narrowest direction; "
    "set after measuring",
    truth=torch.stack(pace),
)
check(speed_claim)

# %% [markdown]
r"""
*Singular start.* Where the data fill only $r < d$ directions, $\mathcal E$ begins at
$+\infty$ and so does the speed, like $\frac12 \sqrt{(d - r)/\tau}$. Its integral is
finite: the law leaves at once and has gone the distance $\sqrt{(d - r)\tau}$, to leading
order.

## Why is a gauge always a waste?

For Gaussians [the metric](#eq-descent-metric) is a matrix equation. A linear field $W x$
changes the covariance by $\dot C = WC + CW^\top$. Given the rate $\dot C = Q$, the
shortest field is the gradient, so $W$ is symmetric:

$$
WC + CW = Q , \qquad \mathbb E|Wx|^2 = \operatorname{tr}(W C W)
= \tfrac12 \operatorname{tr}(W Q) .
$$ (eq-descent-lyapunov)

(The last step: $\operatorname{tr} W(WC + CW) = 2 \operatorname{tr} WCW$.) In the
eigenbasis $W_{ij} = Q_{ij}/(\lambda_i + \lambda_j)$, one solution, whatever $Q$. Heat has
$Q = I$ and $W = \frac12 C^{-1}$, the velocity that we know. Any other linear field with
the same rate is $W + K$ with $KC + CK^\top = 0$, thus $K = G C^{-1}$ with $G^\top = -G$.

No formula of this kind enters the truth: all nine entries of a matrix are free, the six
equations $WC + CW^\top = Q$ are imposed, and the shortest solution is found by least
squares. $Q = I$, and a $Q$ that does not commute with $C$.
"""

# %%
C = Sigma + 0.2 * eye
bend = np.array([[0.8, -0.5, 0.3], [-0.5, 1.4, 0.2], [0.3, 0.2, -0.3]])
basis = [np.eye(9)[k].reshape(3, 3) for k in range(9)]


def shortest(Q):
    """min E|Wx|^2 under WC + CW' = Q: the entries of W, and the minimum."""
    root = scipy.linalg.sqrtm(C).real  # W x = Y z with Y = W root
    A = np.stack([(E @ root + root @ E.T).ravel() for E in basis], 1)
    found = np.linalg.lstsq(A, Q.ravel(), rcond=1e-12)[0].reshape(3, 3)
    return np.append(found @ np.linalg.inv(root), (found**2).sum())


def told(rule):
    """W and its kinetic energy for both rates."""
    out = []
    for Q in (eye, bend):
        W = rule(Q)
        out.append(np.append(W, np.trace(W @ C @ W.T)))
    return torch.tensor(np.stack(out))


# %% tags=["hide-input"]
def by_cholesky(Q):
    """The triangular field with the same rate."""
    L = np.linalg.cholesky(C)
    inner = np.linalg.solve(L, np.linalg.solve(L, Q).T)
    low = np.tril(inner) - np.diag(np.diag(inner)) / 2
    return L @ low @ np.linalg.inv(L)


# %% tags=["hide-input"]
Ci = np.linalg.inv(C)
least_slips = {
    "$\\frac12 Q C^{-1}$, right for heat": told(lambda Q: Q @ Ci / 2),
    "that, made symmetric": told(lambda Q: (Q @ Ci + Ci @ Q) / 4),
    "the triangular field, by Cholesky": told(by_cholesky),
    "$W = C^{-1}$ for heat: twice the velocity": told(
        lambda Q: 2 * scipy.linalg.solve_sylvester(C, C, Q)
    ),
}

# %% tags=["hide-input"]
least_claim = Claim(
    id="descent/least",
    says=r"Of all $W$ with $WC + CW^\top = Q$ the symmetric one has the "
    r"least $\mathbb E|Wx|^2$ on $\mathcal N(0, C)$; heat, $Q = I$, has $W = "
    r"\frac12 C^{-1}$ ($d = 3$; $Q = I$ and a $Q$ that does not commute).",
    papers=("069",),
    kind="exact",
    formula=told(lambda Q: scipy.linalg.solve_sylvester(C, C, Q)),
    controls=least_slips,
    tol=2e-13,
    because="float64, matrices of condition below ten",
    truth=torch.tensor(np.stack([shortest(Q) for Q in (eye, bend)])),
)
check(least_claim)

# %% [markdown]
r"""
A network is not trained by kinetic energy but by a regression, and the regression pays
for a gauge in the same coin. In the time $\tau$ a pair $x = x_0 + \sqrt\tau z$ moves with
$\dot x = z/(2\sqrt\tau)$, whose mean given $x$ is $v$. So matching it with $v + u$ costs
$\mathbb E|u|^2$ more than with $v$. Denoising score matching has the target
$-z/\sqrt\tau$. Its answer is $\hat s = -2(v + u)$: the gauge is doubled, and the excess is
four times as large. With $u = G C^{-1} x$,

$$
\begin{aligned}
\mathbb E|u|^2 &= \operatorname{tr}(G C^{-1} G^\top) &&\text{(velocity)}, \\
\mathbb E|2u|^2 &= 4 \operatorname{tr}(G C^{-1} G^\top) &&\text{(score)} .
\end{aligned}
$$ (eq-descent-excess)

No law is changed by it. That a gauge is paid for in full holds for
[any law](helmholtz.ipynb); what is measured here are the two *losses*, as a trainer would
have them: squared distances from the noisy targets, over the joint law of $(x_0, z)$.
"""


# %%
def losses(K, tau):
    """Velocity and score losses of the velocity K x, targets included."""
    joint = scipy.linalg.block_diag(Sigma, eye)  # of (x0, z)
    r = tau**0.5
    out = []
    for M, target in ((K, 1 / (2 * r)), (-2 * K, -1 / r)):
        A = np.hstack([M, r * M - target * eye])
        out.append(np.trace(A @ joint @ A.T))
    return np.array(out)


gaps = []
for tau in hours:
    P = np.linalg.inv(Sigma + tau * eye)
    gaps.append(losses((eye / 2 + G) @ P, tau) - losses(P / 2, tau))


def priced(rule):
    """The two excesses from a rule of G and C, at three times."""
    return tensor([rule(Sigma + tau * eye) for tau in hours])


# %% tags=["hide-input"]
def tax(C, four=4.0, power=-1):
    """(1, 4) times tr(G C^power G')."""
    M = np.linalg.matrix_power(np.linalg.inv(C), -power)
    e = np.trace(G @ M @ G.T)
    return [e, four * e]


# %% tags=["hide-input"]
excess_slips = {
    "the same excess in both losses": priced(lambda C: tax(C, four=1.0)),
    "twice in the score": priced(lambda C: tax(C, four=2.0)),
    "$\\operatorname{tr} G G^\\top$": priced(lambda C: tax(C, power=0)),
    "$G C^{-2} G^\\top$, without the law's spread": priced(
        lambda C: tax(C, power=-2)
    ),
}

# %% tags=["hide-input"]
excess_claim = Claim(
    id="descent/excess",
    says=r"The gauge $u = G C^{-1} x$, $G^\top = -G$, adds $\operatorname{tr}"
    r"(G C^{-1} G^\top)$ to the loss of velocity matching in $\tau$ and four "
    r"times that to denoising score matching ($\mathcal N(0, \Sigma)$, $C = "
    r"\Sigma + \tau I$; $\tau = 0.1, 0.5, 2$).",
    papers=("069",),
    kind="exact",
    formula=priced(tax),
    controls=excess_slips,
    tol=5e-14,
    because="float64; losses up to a few times the excess cancel",
    truth=torch.tensor(np.stack(gaps)),
)
check(excess_claim)

# %% [markdown]
r"""
## Does curl tell whether a model is right?

The paper integrates trained fields along closed loops and finds that they are no
gradients. It then says, rightly, that this need not harm the density. Both halves can
be made exact for Gaussians. Let $\hat v = \big(\frac12 I + G\big) C^{-1} x$ with
$G^\top = -G$. Its Jacobian has the antisymmetric part

$$
K - K^\top = G C^{-1} + C^{-1} G , \qquad
(K - K^\top)_{ij} = \Big( \frac1{\lambda_i} + \frac1{\lambda_j} \Big) G_{ij}
$$ (eq-descent-curl)

in the eigenbasis of $C$; the plus sign comes from $G^\top = -G$. No factor is zero. So
$\hat v$ is a gradient only for $G = 0$: **a Gaussian has no gauge that is a gradient**,
except zero. (No law has, for [gauges are orthogonal to gradients](helmholtz.ipynb); here
it comes with a size.) In Frobenius norms, with $\lambda_1 \ge \lambda_2$ the two largest
variances,

$$
|K - K^\top| \ge \Big( \frac1{\lambda_1} + \frac1{\lambda_2} \Big)\, |G| ,
$$ (eq-descent-curl-bound)

with equality if $G$ turns in their plane. A gauge of a given size has the
least curl where the data are widest.
"""

# %%
pairs = list(itertools.combinations(range(3), 2))
turns = []
for i, j in pairs:
    A = np.zeros((3, 3))
    A[i, j], A[j, i] = 1.0, -1.0
    turns.append(A / 2**0.5)


def extremes(tau):
    """The least and the largest |K - K'|/|G|, by singular values."""
    P = np.linalg.inv(Sigma + tau * eye)
    rows = [((A @ P) - (A @ P).T).ravel() for A in turns]
    found = np.linalg.svd(np.stack(rows, 1), compute_uv=False)
    return [found[-1], found[0]]


# %%
def paired(rule):
    """Extremes over the pairs of eigenvalues of a rule(l1, l2)."""
    out = []
    for tau in hours:
        lam = np.linalg.eigvalsh(Sigma + tau * eye)
        every = [abs(rule(lam[i], lam[j])) for i, j in pairs]
        out.append([min(every), max(every)])
    return tensor(out)


# %% tags=["hide-input"]
curl_slips = {
    "$G C^{-1} - C^{-1} G$, where $G^\\top = -G$ is forgotten": paired(
        lambda u, w: 1 / u - 1 / w
    ),
    "half of it: $(K - K^\\top)/2$": paired(lambda u, w: (1 / u + 1 / w) / 2),
    "twice the inverse mean": paired(lambda u, w: 4 / (u + w)),
    "one inverse twice": paired(lambda u, w: 2 / u),
}

# %% tags=["hide-input"]
curl_claim = Claim(
    id="descent/curl",
    says=r"On $\mathcal N(0, C)$ a gauge $G C^{-1} x$ has $|K - K^\top| \ge "
    r"(1/\lambda_1 + 1/\lambda_2) |G|$, $\lambda_1, \lambda_2$ the largest "
    r"variances, and at most that with the smallest two, both attained: it "
    r"is no gradient unless $G = 0$ ($C = \Sigma + \tau I$, $d = 3$).",
    papers=("069",),
    kind="exact",
    formula=paired(lambda u, w: 1 / u + 1 / w),
    controls=curl_slips,
    tol=1e-13,
    because="float64, singular values of three columns",
    truth=tensor([extremes(tau) for tau in hours]),
)
check(curl_claim)

# %% [markdown]
r"""
Now four models. Two know the right data, $\Sigma$; two have learned the score of other
data, $\Sigma' \ne \Sigma$. One of each pair is a gradient, the other stirs with the gauge
$G C'^{-1} x$ of *its own* law. By Stokes a linear field has round an ellipse with the
half axes $a e$ and $b f$, $e \perp f$, whatever its centre,

$$
\oint \hat v \cdot dx = \pi a b\; f^\top (K - K^\top)\, e ,
$$ (eq-descent-loop)

since only the antisymmetric part of $K$ is left. And each model, started from
its own law at $T$, ends with its own data, $\mathcal N(0, \Sigma)$ or
$\mathcal N(0, \Sigma')$, with or without the gauge. So the loop reads $G$ and the
divergence to the data reads $\Sigma'$: two independent dials. Here $\Sigma'$ has all
variances a fifth too large, and $G$ is not small. The truth is a line integral by sums
over the loop, and the covariance's differential equation by Runge and Kutta, from
$T = 4$.
"""

# %%
Wrong, none = 1.2 * Sigma, np.zeros((3, 3))
models = [(Sigma, none), (Sigma, G), (Wrong, none), (Wrong, G)]
T, ring = 4.0, (0.7, 0.4)  # the start, the half axes
e1, e2 = np.linalg.qr(np.array([[1.0, 0.2], [0.3, -1.0], [-0.5, 0.4]]))[0].T
turn = np.linspace(0, 2 * np.pi, 33)[:-1]


def field(S, A, tau):
    """The matrix (I/2 + A)(S + tau I)^-1."""
    return (eye / 2 + A) @ np.linalg.inv(S + tau * eye)


def around(K):
    """The line integral of K x round an ellipse that is off the centre."""
    x = 0.3 + ring[0] * np.outer(np.cos(turn), e1)
    x = x + ring[1] * np.outer(np.sin(turn), e2)
    dx = ring[1] * np.outer(np.cos(turn), e2)
    dx = dx - ring[0] * np.outer(np.sin(turn), e1)
    return ((x @ K.T) * dx).sum() * (turn[1] - turn[0])


# %%
def carried(S, A, steps=500):
    """The covariance at 0, from the model's own at T, by Runge and Kutta."""

    def rate(M, u):  # in u = log(tau + 0.1)
        K = field(S, A, np.exp(u) - 0.1)
        return (K @ M + M @ K.T) * np.exp(u)

    us = np.linspace(np.log(T + 0.1), np.log(0.1), steps + 1)
    M, d = S + T * eye, us[1] - us[0]
    for u in us[:-1]:
        k1 = rate(M, u)
        k2 = rate(M + d / 2 * k1, u + d / 2)
        k3 = rate(M + d / 2 * k2, u + d / 2)
        M = M + d / 6 * (k1 + 2 * k2 + 2 * k3 + rate(M + d * k3, u + d))
    return torch.tensor(M)


# %%
def normal(M):
    """torch's Gaussian of covariance M."""
    return distributions.MultivariateNormal(torch.zeros(3).double(), M)


data = normal(torch.tensor(Sigma))
seen = [
    [
        around(field(S, A, 0.2)),
        float(distributions.kl_divergence(normal(carried(S, A)), data)),
    ]
    for S, A in models
]


# %%
def dials(twist=1, whole=1.0, price=0.0):
    """(loop, KL) of the four models, with slips."""
    out = []
    for S, A in models:
        P = np.linalg.inv(S + 0.2 * eye)
        loop = np.pi * ring[0] * ring[1] * e2 @ (A @ P + twist * P @ A) @ e1
        M = np.linalg.solve(Sigma, S)
        kl = (np.trace(M) - 3 - np.log(np.linalg.det(M))) / 2
        lam, U = np.linalg.eigh(S)  # int tr(A (S + tau)^-1 A') over tau
        waste = ((A @ U) ** 2 @ np.log1p(T / lam)).sum()
        out.append([whole * loop, kl + price * waste])
    return tensor(out)


# %% tags=["hide-input"]
loops_slips = {
    "$G C^{-1} - C^{-1} G$ for the curl": dials(twist=-1),
    "the antisymmetric *part*, half of the curl": dials(whole=0.5),
    "KL plus half of the gauge's loss on the score": dials(price=2.0),
    "KL plus half of its loss on the velocity": dials(price=0.5),
}

# %% tags=["hide-input"]
loops_claim = Claim(
    id="descent/loops",
    says=r"Of the four models $(\frac12 I + A)(S + \tau I)^{-1} x$, $S = "
    r"\Sigma$ or $1.2\,\Sigma$, $A = 0$ or $G$, the loop integral is the "
    r"area times the curl, zero if and only if $A = 0$; the divergence of "
    r"the end law from the data depends on $S$ alone, zero for $S = \Sigma$ "
    r"($d = 3$, $T = 4$, loop at $\tau = 0.2$).",
    papers=("069",),
    kind="exact",
    formula=dials(),
    controls=loops_slips,
    tol=1e-10,
    because="Runge-Kutta of order 4, 500 steps in log time",
    truth=tensor(seen),
)
check(loops_claim)

# %% [markdown]
r"""
A field with no curl may be wrong: the third. A field with much may be right: the second.
([Gauges](gauges.ipynb) has another such pair, a scaled score and a stirred one.)
So the question in the paper's title splits in two. *Is it a score?* A loop can refute
that. *Does it carry the law?* To that a loop has nothing to say.

Half of the score's excess loss, integrated over $\tau$, bounds the divergence of the
*diffusion*'s law for any error whatever
([the price of an error](../interpolants/noise.ipynb)). For a gauge that bound is positive
and the divergence is zero; the third control takes the one for the other.

## Can the descent be made of finite steps?

Jordan, Kinderlehrer and Otto {cite}`jordan1998variational` replace the differential
equation by a chain of minimisations,

$$
p_{n+1} = \arg\min_q \; F(q) + \frac{1}{2h} W_2^2(q, p_n) ,
$$ (eq-descent-jko)

which needs no derivative of a law. It is the implicit Euler step: let $q$ be the
minimiser, and move its points a little by $\epsilon f$. Let $x_0$ be the point of $p_n$
from which the optimal map takes mass to $x_1$; then
$\frac{d}{d\epsilon} \frac1{2h} W_2^2 \le \frac1h \mathbb E[(x_1 - x_0) \cdot f(x_1)]$ (the old
pairing is still allowed), so with both signs of $f$ and
[the slope](#eq-descent-slope)

$$
x_1 - x_0 = -h\, \nabla \frac{\delta F}{\delta p} (x_1) \Big|_{p = q} :
$$ (eq-descent-implicit)

the old point plus $h$ times the descent's velocity *at the new point, in the new law*.

For a Gaussian start $\mathcal N(m, C_0)$ the minimiser is Gaussian. For among laws
of given mean and covariance the Gaussian has the largest entropy; the terms with $V$
see these two only; and $W_2$ is least between Gaussians, for $W_2^2$ is the infimum of
$\mathbb E|x_1 - x_0|^2$ over couplings, which depends on the cross covariance alone, and a
Gaussian pair may have any that is possible. Insert $s(x_1) = -C_1^{-1} (x_1 - m_1)$:
for $\mathcal E$ the mean stays, and
$x_0 - m = (I - \frac h2 C_1^{-1})(x_1 - m)$. So $C_0$ and $C_1$ commute, and the standard
deviation $s$ of a mode obeys

$$
s_0 = s_1 - \frac{h}{2 s_1} , \qquad
s_1 = \tfrac12 \Big( s_0 + \sqrt{s_0^2 + 2h} \Big) .
$$ (eq-descent-heatstep)

For $\mathrm{KL}(p \| \mathcal N(0, I))$ in the same way $m_0 = (1 + h)\, m_1$ and

$$
s_0 = (1 + h) s_1 - \frac{h}{s_1} , \qquad
s_1 = \frac{s_0 + \sqrt{s_0^2 + 4h(1 + h)}}{2(1 + h)} .
$$ (eq-descent-oustep)

Both steps make sense for $s_0 = 0$: a point becomes a small ball at once. The prior
$s = 1$ is a fixed point of the second, at every $h$.

The truth knows none of this. Any pairing $x_1 = L(x_0 - m) + n$ with a matrix $L$
of nine free entries and a vector $n$ gives a law and a cost; we minimise $F + \mathbb E|x_1 - x_0|^2/(2h)$ over all twelve numbers. No
root, no symmetry and no distance of Gaussians is used.
"""

# %%
offset = np.array([0.9, -0.4, 0.3])


# %%
def minimised(h, kind):
    """Mean and covariance of the implicit step, by BFGS over (L, n)."""
    half = 0.5 if kind == "heat" else 1.0
    well = 0.0 if kind == "heat" else 1.0

    def cost(y):
        L, n = y[:9].reshape(3, 3), y[9:]
        D, move = L - eye, n - offset
        F = -half * np.linalg.slogdet(L)[1]
        F += well * (np.trace(L @ Sigma @ L.T) + n @ n) / 2
        F += (np.trace(D @ Sigma @ D.T) + move @ move) / (2 * h)
        dL = -half * np.linalg.inv(L).T + (well * L + D / h) @ Sigma
        return F, np.append(dL, well * n + move / h)

    y = scipy.optimize.minimize(
        cost, np.append(1.1 * eye, offset), jac=True, options={"gtol": 1e-10}
    ).x
    L = y[:9].reshape(3, 3)
    return torch.tensor(np.append(L @ Sigma @ L.T, y[9:]))


# %% tags=["setup"]
def heat_step(s, h):
    """The root of s0 = s - h/(2 s)."""
    return (s + np.sqrt(s**2 + 2 * h)) / 2


def ou_step(s, h):
    """The root of s0 = (1 + h) s - h/s."""
    return (s + np.sqrt(s**2 + 4 * h * (1 + h))) / (2 * (1 + h))


# %%
def stepped(heat, ou, pull=lambda h: 1 / (1 + h)):
    """Covariances and means after a step, for two h and both functionals."""
    lam, U = np.linalg.eigh(Sigma)
    out = []
    for h in (0.05, 0.6):
        for step, c in ((heat, 1.0), (ou, pull(h))):
            new = (U * step(lam**0.5, h) ** 2) @ U.T
            out.append(torch.tensor(np.append(new, c * offset)))
    return torch.stack(out)


# %%
runs = itertools.product((0.05, 0.6), ("heat", "ou"))
jko_truth = torch.stack([minimised(h, kind) for h, kind in runs])

# %% tags=["hide-input"]
jko_slips = {
    "the exact flow": stepped(
        lambda s, h: np.sqrt(s**2 + h),
        lambda s, h: np.sqrt(1 + (s**2 - 1) * np.exp(-2 * h)),
        lambda h: np.exp(-h),
    ),
    "the explicit step": stepped(
        lambda s, h: s + h / (2 * s),
        lambda s, h: s + h * (1 / s - s),
        lambda h: 1 - h,
    ),
    "$W_2^2/h$ for $W_2^2/(2h)$": stepped(
        lambda s, h: heat_step(s, h / 2),
        lambda s, h: ou_step(s, h / 2),
        lambda h: 1 / (1 + h / 2),
    ),
    "the energy $\\int p \\log p$ for its half": stepped(
        lambda s, h: heat_step(s, 2 * h), ou_step
    ),
}

# %% tags=["hide-input"]
jko_claim = Claim(
    id="descent/jko",
    says=r"The step $\arg\min F(q) + W_2^2(q, p)/(2h)$ from $\mathcal N(m, "
    r"\Sigma)$ keeps the eigenvectors and takes $s$ to $\frac12 (s + "
    r"\sqrt{s^2 + 2h})$ for $\frac12 \int p \log p$; for $\mathrm{KL}$ to "
    r"$\mathcal N(0, I)$ to $(s + \sqrt{s^2 + 4h(1 + h)})/(2 + 2h)$, and "
    r"$m$ to $m/(1 + h)$ ($d = 3$; $h = 0.05, 0.6$).",
    papers=("069",),
    kind="exact",
    formula=stepped(heat_step, ou_step),
    controls=jko_slips,
    tol=3e-8,
    because="a minimum found to a gradient of 1e-10; set after measuring",
    truth=jko_truth,
)
check(jko_claim)

# %% [markdown]
r"""
In the coordinates $s$ the steps are *the* implicit Euler method: for $\dot s = f(s)$ with
$f = \frac1{2s}$ and $f = \frac1s - s$, both read $s_1 = s_0 + h f(s_1)$. No accident: on
Gaussians with common eigenvectors $W_2$ is the Euclidean distance of the vectors of standard
deviations (and means), so there the space of laws is flat, and the descent is that
of an ordinary function, $-\frac12 \sum \log s_i$ and
$\frac12 \sum (s_i^2 - 1 - 2\log s_i)$.

How large is the error of $n = T/h$ steps? Expand:
$s_1 = s_0 + h f + h^2 f f' + \dots$, and the flow has half of the last term. So
the error $e$ grows by $\frac12 h^2 f f'$ a step and is carried by the linearised flow,
$\dot e = f'(s)\, e + \frac h2 f f'$. Try $e = f c$: since $\frac{d}{dt} f(s) = f' f$, what is
left is $\dot c = \frac h2 f'$, and $f' = \frac{d}{dt} \log |f|$. Hence, if $f$ is not zero,

$$
s_n - s(T) = \frac h2\, f(s_T) \log \frac{f(s_T)}{f(s_0)} + O(h^2) .
$$ (eq-descent-order)

For heat, in variances, this is $-\frac h4 \log\frac{\lambda + T}{\lambda}$: the chain
is late. (At the fixed point $s = 1$, $f = 0$ and there is no error.)
"""


# %%
def chain(step, s, end, n):
    """n implicit steps to the time end."""
    for _ in range(n):
        s = step(s, end / n)
    return s


def heat_exact(s, t):
    return np.sqrt(s**2 + t)


def ou_exact(s, t):
    return np.sqrt(1 + (s**2 - 1) * np.exp(-2 * t))


# %%
heights = np.array([0.3, 0.7, 1.6])  # standard deviations at the start


def lag(step, exact, end):
    """The limit of error/h, by Richardson from three chains."""
    e = [
        (chain(step, heights, end, n) - exact(heights, end)) * n / end
        for n in (200, 400, 800)
    ]
    first = [2 * e[1] - e[0], 2 * e[2] - e[1]]
    return torch.tensor((4 * first[1] - first[0]) / 3)


order_truth = torch.stack(
    [lag(heat_step, heat_exact, 1.0), lag(ou_step, ou_exact, 0.5)]
)


# %%
def late(half=0.5, flip=1, at_end=True, power=1):
    """h/2 f(s_T) log(f(s_T)/f(s_0)) over h, with slips."""
    out = []
    for f, exact, end in (
        (lambda s: 1 / (2 * s), heat_exact, 1.0),
        (lambda s: 1 / s - s, ou_exact, 0.5),
    ):
        last = exact(heights, end)
        ratio = (f(last) / f(heights)) ** power
        spot = last if at_end else heights
        out.append(half * flip * f(spot) * np.log(ratio))
    return torch.tensor(np.stack(out))


# %% tags=["hide-input"]
order_claim = Claim(
    id="descent/order",
    says=r"The implicit steps converge with order one: $(s_n - s(T))/h \to "
    r"\frac12 f(s_T) \log (f(s_T)/f(s_0))$, with $f = 1/(2s)$ for heat ($T "
    r"= 1$) and $f = 1/s - s$ for Ornstein and Uhlenbeck ($T = 0.5$; $s_0 = "
    r"0.3, 0.7, 1.6$).",
    papers=("069",),
    kind="exact",
    formula=late(),
    controls={
        "the explicit step's sign": late(flip=-1),
        "without the half": late(half=1.0),
        "the speed at the start": late(at_end=False),
        "$f^2$ in the logarithm": late(power=2),
    },
    tol=9e-6,
    because="chains of up to 800 steps leave $h^3$; set after measuring",
    truth=order_truth,
)
check(order_claim)

# %% [markdown]
r"""
Two modes, drawn in these coordinates: look at the right angle between the path and the
level lines, and at where the large implicit steps run.
"""

# %% mystnb={"figure": {"caption": "Gaussians with two modes, as points $(s_1, s_2)$: level lines of $\\mathrm{KL}(p \\| \\mathcal N(0, I))$, the process of Ornstein and Uhlenbeck from two starts (thick), implicit steps of $h = 0.3$ (blue), and the shortest way (ochre, thin).", "name": "fig-descent-plane"}, "image": {"alt": "Oval level lines around the point (1, 1). Two thick curves bend down to it, crossing the ovals at right angles; blue dots lie a little beside them and lag behind; straight thin lines join the starts to the centre."}}
figure, axes = figures.canvas("Noise takes the steepest way down", 6.0, 3.6)
s1, s2 = np.meshgrid(np.linspace(0.06, 2.3, 200), np.linspace(0.06, 1.7, 160))
depth = (s1**2 + s2**2 - 2) / 2 - np.log(s1 * s2)
levels = (0.05, 0.2, 0.5, 1, 1.7, 2.6)
axes.contour(s1, s2, depth, levels, colors=figures.NOISE, linewidths=0.7)
for start in np.array([[2.2, 0.12], [0.1, 0.45]]):
    way = np.stack([ou_exact(start, t) for t in np.linspace(0, 4, 300)])
    dots = [start]
    for _ in range(12):
        dots.append(ou_step(dots[-1], 0.3))
    axes.plot(*zip(start, (1, 1), strict=True), color=figures.SECOND, lw=1)
    axes.plot(*way.T, color=figures.EXACT, lw=3)
    axes.plot(*np.stack(dots).T, "o", color=figures.LEARNED, ms=4)
figures.label_line(axes, 1.98, 0.72, "flow")
figures.label_line(axes, 0.24, 0.76, "steps", figures.LEARNED)
figures.label_line(axes, 1.17, 0.5, "shortest", figures.SECOND)
axes.set(xlabel="$s_1$", ylabel="$s_2$", aspect="equal")
plt.show()

# %% [markdown]
r"""
Steepest is not shortest: a narrow mode is widened first, for there the hill is steep.
Steps as large as these cut the corner, and still end in the prior, their fixed point.
For a round Gaussian all modes agree and the flow goes straight.

## How fast does it reach the prior?

Let $\gamma = \mathcal N(0, I)$ and let $p_\theta$ follow
[its descent](#eq-descent-kl), from a start as in the first section. Then

$$
\mathrm{KL}(p_\theta \,\|\, \gamma) \le e^{-2\theta}\, \mathrm{KL}(p_0 \,\|\, \gamma) ,
$$ (eq-descent-contraction)

in every dimension; by approximation also for every start of finite divergence and second
moment. *Proof.* Let $r_\theta = p_\theta / \gamma$ and
$\mathrm I(\theta) = \mathbb E_{p_\theta} |\nabla \log r_\theta|^2$, the square of the speed.
The process is reversible, so the ratio is averaged by Mehler's formula,

$$
r_\theta(x) = \mathbb E\, r_0 \big( e^{-\theta} x + \sqrt{1 - e^{-2\theta}}\, z \big)
=: (P r_0)(x), \qquad \nabla r_\theta = e^{-\theta}\, P (\nabla r_0) .
$$ (eq-descent-mehler)

(Write $p_\theta(x)$ as the integral of $p_0(y)$ times the transition density
$\mathcal N(x; e^{-\theta} y, 1 - e^{-2\theta})$; times $\gamma(y)$ that density is
symmetric in $x$ and $y$.) By Cauchy and Schwarz
$|P \nabla r_0|^2 \le P\big( |\nabla r_0|^2/r_0 \big)\, P r_0$, thus

$$
\frac{|\nabla r_\theta|^2}{r_\theta} \le e^{-2\theta} P \frac{|\nabla r_0|^2}{r_0} ,
\qquad \mathrm I(\theta) \le e^{-2\theta}\, \mathrm I(0) ,
$$

the second by integrating over $\gamma$, which $P$ leaves alone. And
[dissipation](#eq-descent-dissipation) says
$\frac{d}{d\theta} \mathrm{KL} = -\mathrm I$. At infinity KL vanishes, for all means and
covariances of the mixture tend to the prior's. So

$$
\mathrm{KL}(p_\theta \| \gamma) = \int_\theta^\infty \mathrm I \le \tfrac12 \mathrm I(\theta)
= -\tfrac12 \frac{d}{d\theta} \mathrm{KL}(p_\theta \| \gamma) .
$$ (eq-descent-sobolev)

The first inequality is the logarithmic Sobolev inequality of the Gaussian; from the
ends follows [the contraction](#eq-descent-contraction). $\square$

*Equality* needs equality in Cauchy and Schwarz at all points, so $\nabla \log r_0$ is
constant: $p_0 = \mathcal N(m, I)$, a shifted prior. For a Gaussian all is explicit,

$$
\begin{gathered}
\mathrm{KL} = \tfrac12 |m|^2 e^{-2\theta}
+ \tfrac12 \sum_i \big( \delta_i - \log(1 + \delta_i) \big), \\
\delta_i = (\lambda_i - 1)\, e^{-2\theta} ,
\end{gathered}
$$ (eq-descent-rates)

and while the mean falls at exactly the rate $2$, a variance ends with the rate $4$, since
$\delta - \log(1 + \delta) \approx \frac12 \delta^2$. In general the rate is $2k$ if
the first Hermite moment of $p_0$ that differs from the prior's is of order $k$, late on
the way.

The claim is about a number, the rate. It must bound six starts at eight times and be
attained by the shift; a larger one is no bound, a smaller one is not attained.
Divergences are sums on a grid over the line.
"""

# %%
wide = even(-14.0, 14.0, 2801)
gamma = distributions.Normal(tensor(0.0), tensor(1.0)).log_prob(wide)
starts = {  # weights, means, variances
    "shift": ([1.0], [1.3], [1.0]),
    "wide": ([1.0], [0.0], [4.0]),
    "narrow": ([1.0], [0.0], [0.05]),
    "two": ([0.5, 0.5], [-1.5, 1.5], [0.2, 0.2]),
    "odd": ([0.8, 0.2], [-0.4, 2.5], [0.3, 0.6]),
    "far": ([0.1, 0.9], [3.0, 2.0], [0.1, 0.9]),
}
clock = even(0.0, 2.0, 9)


# %%
def divergence(start, theta):
    """KL(p_theta || N(0, 1)) by torch's mixture on the grid."""
    w, m, v = map(tensor, start)
    a = (-theta).exp()
    parts = distributions.Normal(a * m, (a**2 * v + 1 - a**2).sqrt())
    which = distributions.Categorical(w)
    log_p = distributions.MixtureSameFamily(which, parts).log_prob(wide)
    return (log_p.exp() * (log_p - gamma)).sum() * (wide[1] - wide[0])


tracks = {
    name: torch.stack([divergence(start, u) for u in clock])
    for name, start in starts.items()
}


# %%
def missed(rate):
    """Excess over exp(-rate theta) anywhere, and the shift's distance."""
    bound = (-rate * clock).exp()
    over = [((k - bound * k[0]) / k[0]).max() for k in tracks.values()]
    shift = tracks["shift"] / tracks["shift"][0] - bound
    return max([*over, shift.abs().max()])


# %% tags=["hide-input"]
contraction_claim = Claim(
    id="descent/contraction",
    says=r"$\mathrm{KL}(p_\theta \| \mathcal N(0, 1)) \le e^{-c\theta}\, "
    r"\mathrm{KL}(p_0 \| \mathcal N(0, 1))$ with $c = 2$ along $dx = -x\,d"
    r"\theta + \sqrt2\,dW$, attained by $\mathcal N(1.3, 1)$ (six starts on "
    r"the line, $\theta \le 2$).",
    papers=("069",),
    kind="exact",
    formula=2.0,
    controls={
        "$c = 1$, right in the time of $dx = -\\frac12 x\\,dt + dW$": 1.0,
        "$c = 4$, a variance's": 4.0,
    },
    tol=1e-13,
    because="float64 sums on a fine grid",
    measure=missed,
)
check(contraction_claim)

# %% [markdown]
r"""
The figure has $\mathrm{KL}$ over its start on a logarithmic axis: no curve may run above
the dashed line of slope $-2$.
"""

# %% mystnb={"figure": {"caption": "$\\mathrm{KL}(p_\\theta \\| \\mathcal N(0, 1))$ over its start, against $\\theta$, for four starts; ochre, dashed: $e^{-2\\theta}$.", "name": "fig-descent-rate"}, "image": {"alt": "Four falling curves on a logarithmic axis. The shifted prior lies on the ochre straight line. The wide and the symmetric law fall at least twice as steeply in the end, the odd one ends parallel to the line, below it."}}
figure, axes = figures.canvas("The mean is the last to be forgotten")
fine = even(0.0, 2.0, 41)
names = {"shift": "shifted prior", "odd": "uneven modes"}
names |= {"wide": "too wide", "two": "even modes"}
for name, colour in zip(names, figures.time_colours(4), strict=True):
    curve = torch.stack([divergence(starts[name], u) for u in fine])
    axes.semilogy(fine, curve / curve[0], color=colour, lw=2.4)
    end = curve[-1] / curve[0]
    end = end * {"shift": 1.6, "wide": 1.3, "two": 0.8}.get(name, 0.75)
    figures.label_line(axes, 2.0, end, names[name], colour)
axes.semilogy(fine, (-2 * fine).exp(), "--", color=figures.SECOND, lw=1.2)
axes.set(xlabel=r"$\theta$", ylabel="KL, relative", xlim=(0, 2))
plt.show()

# %% [markdown]
r"""
## Is generation a descent?

It is the same curve of laws, run up: from $p_T$ to the data
$\mathcal E$ *grows*, at the rate $\mathbb E|v|^2$. There are two ways to go up, and they
agree on the exact curve alone.

- **Ascent**: follow $+\nabla \frac{\delta \mathcal E}{\delta q} = \frac12 \nabla \log q$ of
the law $q$ that the points have at the moment.
- **Generation**: follow the fixed field $\frac12 \nabla \log p_\tau$ of the exact
curve, or a network's, whatever law the points have.

Start both from a law that is not quite $p_T$. Take a Gaussian mode and errors of its
standard deviation $s$ and its mean $m$; $\lambda + \tau$ is the exact variance. With its
own score a law has $\frac{ds}{d\tau} = \frac1{2s}$ and $\frac{dm}{d\tau} = 0$; in the fixed
field *every* point has $\frac{dx}{d\tau} = \frac{x}{2(\lambda + \tau)}$. Linearise at
$s = \sqrt{\lambda + \tau}$:

$$
\frac{d\,\delta s}{d\tau} = -\frac{\delta s}{2(\lambda + \tau)} \;\; \text{(own)}, \qquad
\frac{d\,\delta s}{d\tau} = +\frac{\delta s}{2(\lambda + \tau)} \;\; \text{(fixed)} .
$$

The two have opposite signs. From $T$ to $0$

$$
\begin{gathered}
\delta s_0 = \sqrt{\frac{\lambda + T}{\lambda}}\; \delta s_T \;\; \text{(own)}, \qquad
\delta s_0 = \sqrt{\frac{\lambda}{\lambda + T}}\; \delta s_T \;\; \text{(fixed)}, \\
\delta m_0 = \delta m_T \;\; \text{(own)}, \qquad
\delta m_0 = \sqrt{\frac{\lambda}{\lambda + T}}\; \delta m_T \;\; \text{(fixed)} .
\end{gathered}
$$ (eq-descent-ascent)

The descent brings laws together, so the ascent drives them apart, the more the narrower
the mode, without bound as $\lambda \to 0$. In the fixed field points come together by the
same factor. A sampler is stable because it is *no* ascent: it does not ask what law it has.

The truth is an experiment with crowds of two points: they move with the slope of their
own Gaussian, or with the fixed field.
"""

# %%
modes = np.array([0.05, 0.7, 3.0])


# %%
def raised(own, dm, ds, steps=1000):
    """(mean, deviation) at 0 of two points from m + dm -+ (s + ds) at T."""
    s = np.sqrt(modes + T) + ds
    x, d = np.stack([dm - s, dm + s]), -T / steps

    def rate(x, tau):
        if own:
            mid = x.mean(0)
            return (x - mid) / (2 * ((x - mid) ** 2).mean(0))
        return x / (2 * (modes + tau))

    for tau in np.linspace(T, 0, steps + 1)[:-1]:
        k1 = rate(x, tau)
        k2 = rate(x + d / 2 * k1, tau + d / 2)
        k3 = rate(x + d / 2 * k2, tau + d / 2)
        k4 = rate(x + d * k3, tau + d)
        x = x + d / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x.mean(0), (x[1] - x[0]) / 2


# %%
def gains(own, e=2e-5):
    """d(mean at 0)/d(mean at T) and the same for the deviation."""
    m = [raised(own, k * e, 0.0)[0] for k in (1, -1)]
    s = [raised(own, 0.0, k * e)[1] for k in (1, -1)]
    return [(m[0] - m[1]) / (2 * e), (s[0] - s[1]) / (2 * e)]


gain_truth = torch.tensor(np.array([gains(own) for own in (True, False)]))


# %%
def gain(own_s=0.5, own_m=0.0, fixed_s=-0.5, fixed_m=-0.5):
    """The four factors as powers of (lambda + T)/lambda."""
    up = (modes + T) / modes
    rows = [[up**own_m, up**own_s], [up**fixed_m, up**fixed_s]]
    return torch.tensor(np.array(rows))


# %% tags=["hide-input"]
ascent_slips = {
    "the ascent as stable as the sampler": gain(own_s=-0.5),
    "the sampler as unstable as the ascent": gain(fixed_s=0.5, fixed_m=0.5),
    "the factor of a variance's relative error": gain(own_s=1.0),
    "the mean grows as well": gain(own_m=0.5),
}

# %% tags=["hide-input"]
ascent_claim = Claim(
    id="descent/ascent",
    says=r"From $T$ to $0$ a small error of a mode's deviation grows by "
    r"$\sqrt{(\lambda + T)/\lambda}$ in the ascent with the law's own score, "
    r"and shrinks by its inverse in the fixed field $\frac12 \nabla \log p_"
    r"\tau$; one of the mean stays, and shrinks alike ($\lambda = 0.05, 0.7, "
    r"3$; $T = 4$).",
    papers=("069",),
    kind="exact",
    formula=gain(),
    controls=ascent_slips,
    tol=3e-6,
    because="the second order of a difference of 2e-5 in a mode of "
    "deviation 0.2; set after measuring",
    truth=gain_truth,
)
check(ascent_claim)

# %% [markdown]
r"""
Widths are the mild case. Put a ripple on the data, $q_0 = p_0\, (1 + \epsilon \cos \omega x)$
with $p_0 = \mathcal N(0, \lambda)$; its mass is not quite one, and heat keeps it. The noisy density is an average over the posterior
$x_0 \mid x \sim \mathcal N(\rho x, \rho T)$, $\rho = \lambda/(\lambda + T)$, and a Gaussian
average of a cosine is a cosine:

$$
\frac{q_T}{p_T}(x) \propto 1 + \epsilon\, e^{-\omega^2 \rho T / 2} \cos(\omega \rho x) .
$$ (eq-descent-ripple)

The ascent has to undo that: it multiplies the height of a wave by
$e^{+\omega^2 \rho T/2}$, for every $\omega$, and there is no bound. With $\lambda \to \infty$
this is the backward heat equation. A law near $p_T$ whose waves do not fall off that fast
is at the end of no descent at all. The fixed field carries $q$ and $p$ alike, so $q/p$
is constant along its lines, and the height stays what it is: the divergence of the two
laws does not change. The truth for [the ripple](#eq-descent-ripple) is a convolution by quadrature.
"""

# %%
waves = np.array([0.5, 1.5, 3.0])
lam, late_t = 0.7, 0.4
places = even(-1.5, 1.5, 7)
inner = even(-9.0, 9.0, 1801)
p0 = distributions.Normal(0.0, tensor(lam).sqrt()).log_prob(inner).exp()
spread = distributions.Normal(places.unsqueeze(1), tensor(late_t).sqrt())
kernel = spread.log_prob(inner).exp() * p0
ripples = torch.stack([torch.cos(w * inner) for w in waves])
ratio = (kernel @ ripples.mT) / kernel.sum(1, keepdim=True)


def ripple(height, turns):
    """height(w) cos(turns(w) x) for the three waves."""
    return torch.stack(
        [height(w) * torch.cos(turns(w) * places) for w in waves], 1
    )


# %% tags=["hide-input"]
rho = lam / (lam + late_t)
ripple_slips = {
    "a flat background: $e^{-\\omega^2 T/2}$": ripple(
        lambda w: np.exp(-(w**2) * late_t / 2), lambda w: rho * w
    ),
    "the wave keeps its length": ripple(
        lambda w: np.exp(-(w**2) * rho * late_t / 2), lambda w: w
    ),
    "without the half": ripple(
        lambda w: np.exp(-(w**2) * rho * late_t), lambda w: rho * w
    ),
    "the fixed field's: the height stays": ripple(
        lambda w: 1.0, lambda w: rho**0.5 * w
    ),
}

# %% tags=["hide-input"]
ripple_claim = Claim(
    id="descent/ripple",
    says=r"Heat takes $p_0(1 + \epsilon \cos \omega x)$, $p_0 = \mathcal N"
    r"(0, \lambda)$, to $p_T (1 + \epsilon e^{-\omega^2 \rho T/2} \cos \rho "
    r"\omega x)$, $\rho = \lambda/(\lambda + T)$, up to the total mass: the "
    r"ascent multiplies its height by $e^{\omega^2 \rho T/2}$ ($\lambda = "
    r"0.7$, $T = 0.4$, $\omega = 0.5, 1.5, 3$).",
    papers=("069",),
    kind="exact",
    formula=ripple(
        lambda w: np.exp(-(w**2) * rho * late_t / 2), lambda w: rho * w
    ),
    controls=ripple_slips,
    tol=1e-13,
    because="float64 sums of smooth functions over the whole line",
    truth=ratio,
)
check(ripple_claim)

# %% [markdown]
r"""
Both ways back from one start, whose deviation is slightly wrong, for three modes: look at
which way the errors go.
"""

# %% mystnb={"figure": {"caption": "Error of a mode's standard deviation on the way from $\\tau = 4$ to $0$, relative to the error at the start, for three data variances: with the law's own score (dashed) and with the fixed field (thick).", "name": "fig-descent-ascent"}, "image": {"alt": "Three dashed curves rise and three thick ones fall as tau goes to the right towards small values, mirror images on a logarithmic axis; the smallest variance departs the most."}}
figure, axes = figures.canvas("To climb is unstable, to be carried is not")
taus = torch.logspace(-2, np.log10(T), 80, dtype=torch.float64)
for v, colour in zip(modes, figures.time_colours(3), strict=True):
    fixed = ((v + taus) / (v + T)) ** 0.5
    axes.loglog(taus, fixed, color=colour, lw=2.6)
    axes.loglog(taus, 1 / fixed, "--", color=colour, lw=1.4)
    for end in (fixed[0], 1 / fixed[0]):
        figures.label_line(axes, 0.01, end, rf"$\lambda = {v:g}$", colour)
axes.set(xlabel=r"$\tau$", ylabel="error, relative", xlim=(4, 0.01))
axes.set(yticks=[0.1, 1, 10], ylim=(0.08, 12))
plt.show()

# %% [markdown]
r"""
## Break it

- Before `descent/least` set $C = I$. Two of the controls pass, and Cholesky's does not:
round data hide most slips.
- Leave in `models` those with $A = 0$ only. All controls of `descent/loops` pass: a loop
integral of zero does not tell the whole curl from its half.
- In `missed` leave out the shift. Then $c = 2.001$ passes: a bound without its case of
equality is not sharp.

## What this does not show

That a trained network's error is a gauge. The formulas say what a gauge costs and what
it does not harm; an error from training is some field, and [its split](helmholtz.ipynb)
has two parts, which [what training learns](learned.ipynb) measures. "The model is not a score,
and yet its law is right" is proved here for fields that were built so, started from their
own law at $T$; a gauge does move other laws.

That the loss should be another one. Velocity and score differ by the factor $-2$ in the
time $\tau$, so [their losses](#eq-descent-excess) differ by a weight and have the same
minimiser; to call it flow matching changes the view and not the training. Nor
does the geometry choose a schedule: heat and Ornstein and Uhlenbeck are descents of two
functionals, and other paths are descents only up to scale and clock.

Existence and uniqueness were used for Gaussians and mixtures, where formulas give them.
For general laws the gradient needs more care than we took. The rate $e^{-2\theta}$ is
about reaching the prior, and says nothing of the way back: there the instability was
shown for one mode and one wave. And that a sampler is stable in the fixed field is a
statement about its start; errors of the field itself are
[another matter](residual.ipynb).

## Exercises

**1.** How fast, in $W_2$ per unit of $\theta$, does Ornstein and Uhlenbeck's process
move $\mathcal N(m, V)$ on the line at the moment when it starts? Write the speed as a
function of `m` and `V`.
"""

# %%
spots_1 = {
    "m": tensor([0.0, 1.5, -0.7, 2.0]),
    "V": tensor([4.0, 1.0, 0.3, 2.0]),
}


# %%
def speed_by_distance(m, V):
    """Exact distances of the laws at -h and h, without the error h^2."""

    def law_at(c, v, h):
        a2 = np.exp(-2 * h)
        return laws.gaussian(c * tensor([a2**0.5]), 1 + (v - 1) * a2)

    def apart(c, v, h):
        ends = law_at(c, v, -h), law_at(c, v, h)
        return metrics.gaussian_w2(*ends) / (2 * h)

    out = []
    for c, v in zip(m.tolist(), V.tolist(), strict=True):
        out.append((4 * apart(c, v, 0.002) - apart(c, v, 0.004)) / 3)
    return torch.stack(out)


# %% tags=["hide-input"]
speed_slips = {
    "the mean moves too": lambda m, V: abs(V - 1) / V.sqrt(),
    "this is the rate of the variance": lambda m, V: (
        m**2 + 4 * (V - 1) ** 2
    ).sqrt(),
    "this is the square, the loss of KL": lambda m, V: (
        m**2 + (V - 1) ** 2 / V
    ),
    "the score alone; the drift pulls back": lambda m, V: (
        m**2 + 1 / V
    ).sqrt(),
}

# %% tags=["hide-input"]
speed_exercise = Claim(
    id="descent/speed-exercise",
    says="the speed of the descent to the prior",
    papers=("069",),
    kind="exact",
    formula=None,
    controls=speed_slips,
    tol=1e-6,
    because="central differences of exact distances, of order four",
    at=spots_1,
    truth=speed_by_distance,
)


# %% tags=["solution", "hide-cell"]
def prior_speed(m, V):
    """The root of E (s + x)^2 = m^2 + (V - 1)^2 / V."""
    return (m**2 + (V - 1) ** 2 / V).sqrt()


# %%
attempt(speed_exercise, prior_speed)

# %% [markdown]
r"""
**2.** *Derive.* The prior is $\mathcal N(0, v)$. Where does one implicit step of size $h$
for $\mathrm{KL}(p \| \mathcal N(0, v))$ take the standard deviation `s` of a centred Gaussian
on the line? Write it as a function of `s`, `h`, `v`. The checker differentiates the
quantity that is to be least.
"""

# %%
tries = list(itertools.product((0.2, 1.0, 2.5), (0.05, 0.8), (0.5, 9.0)))


def not_least(answer):
    """The largest slope of KL + distance^2/(2 h) at the answer."""
    worst = []
    for s0, h, v in tries:
        s = tensor(float(answer(s0, h, v)), requires_grad=True)
        kl = (s**2 / v - 1) / 2 - torch.log(s / v**0.5)
        cost = kl + (s - s0) ** 2 / (2 * h)
        worst.append(torch.autograd.grad(cost, s)[0].abs())
    return max(worst)


# %% tags=["hide-input"]
step_slips = {
    "this is the step for v = 1": lambda s, h, v: ou_step(s, h),
    "this is the flow itself": lambda s, h, v: np.sqrt(
        v + (s**2 - v) * np.exp(-2 * h / v)
    ),
    "the explicit step": lambda s, h, v: s + h * (1 / s - s / v),
    "the entropy counts in full, not by half": lambda s, h, v: (
        (s + np.sqrt(s**2 + 2 * h * (1 + h / v))) / (2 * (1 + h / v))
    ),
}

# %% tags=["hide-input"]
step_exercise = Claim(
    id="descent/step-exercise",
    says="the implicit step to a prior of variance v",
    papers=("069",),
    kind="exact",
    formula=None,
    controls=step_slips,
    tol=1e-11,
    because="float64; slopes of order ten cancel",
    measure=not_least,
)


# %% tags=["solution", "hide-cell"]
def implicit_step(s, h, v):
    """The positive root of s0 = (1 + h/v) s - h/s."""
    c = 1 + h / v
    return (s + np.sqrt(s**2 + 4 * h * c)) / (2 * c)


# %%
attempt(step_exercise, implicit_step)

# %% [markdown]
r"""
**3.** *Experiment.* Steepest is not shortest. Write a function that takes the variances
`lam` of a Gaussian's modes and a time `T`, and returns the length of the heat flow's
path from $0$ to $T$ over the $W_2$ distance of its ends. (Then use it: for which two
variances is the detour longest? Is there a limit?)
"""

# %%
spectra = [
    (np.array([0.01, 2.0]), 4.0),
    (np.array([1.0, 1.0, 1.0]), 2.0),
    (np.array([0.05, 0.4, 3.0]), 10.0),
]


def polygon(lam, end):
    """The length of a chain of 4,000 points, over the distance."""
    taus = end * np.linspace(0, 1, 4001)[:, None] ** 2
    s = np.sqrt(lam + taus)
    steps = np.sqrt((np.diff(s, axis=0) ** 2).sum(1)).sum()
    return steps / np.sqrt(((s[-1] - s[0]) ** 2).sum())


def detour_missed(answer):
    """The largest distance from the polygon's ratio."""
    return max(abs(float(answer(*w)) - polygon(*w)) for w in spectra)


# %% tags=["hide-input"]
def ends(lam, end):
    """The steps of the standard deviations, mode by mode."""
    return np.sqrt(lam + end) - np.sqrt(lam)


def by_ends(speed):
    """The speed at one moment times T, over the distance."""
    return lambda lam, T: (
        speed(lam, T) * T / np.sqrt((ends(lam, T) ** 2).sum())
    )


# %% tags=["hide-input"]
detour_slips = {
    "in the coordinates s the path is curved": lambda lam, T: 1.0,
    "the modes' lengths add by Pythagoras": lambda lam, T: (
        ends(lam, T).sum() / np.sqrt((ends(lam, T) ** 2).sum())
    ),
    "the speed changes on the way; this is the first": by_ends(
        lambda lam, T: np.sqrt((1 / lam).sum()) / 2
    ),
}

# %% tags=["hide-input"]
detour_exercise = Claim(
    id="descent/detour-exercise",
    says="the length of the heat flow's path over the distance",
    papers=("069",),
    kind="exact",
    formula=None,
    controls=detour_slips,
    tol=9e-5,
    because="a polygon of 4,000 sides; any decent quadrature will do",
    measure=detour_missed,
)


# %% tags=["solution", "hide-cell"]
def detour(lam, T):
    """int sqrt(tr C^-1)/2 over tau = u^2, by Gauss and Legendre."""
    x, w = np.polynomial.legendre.leggauss(200)
    u = np.sqrt(T) * (x + 1) / 2
    pace = np.sqrt((1 / (lam + u[:, None] ** 2)).sum(1)) / 2
    length = (w * pace * 2 * u).sum() * np.sqrt(T) / 2
    return length / np.sqrt(((np.sqrt(lam + T) - np.sqrt(lam)) ** 2).sum())


# %%
attempt(detour_exercise, detour)

# %% [markdown]
r"""
## Summary

| what | formula |
|---|---|
| descent | $v = -\nabla \frac{\delta F}{\delta p}$; heat: $-\frac12 s$ for $\frac12 \int p \log p$; prior: $-s - x$ for KL |
| slope, loss, speed | $\mathbb E[\nabla \frac{\delta F}{\delta p} \cdot f]$, $\mathbb E\lvert v\rvert^2$, $\sqrt{\mathbb E\lvert v\rvert^2}$ |
| least energy | $WC + CW = Q$, $\mathbb E\lvert Wx\rvert^2 = \frac12 \operatorname{tr} WQ$ |
| price of a gauge | $\operatorname{tr} G C^{-1} G^\top$ on the velocity, four times that on the score |
| curl of a gauge | $(1/\lambda_i + 1/\lambda_j)\, G_{ij}$, zero for $G = 0$ only |
| loop and law | two independent dials |
| implicit step | $s_0 = s_1 - h f(s_1)$, error $\frac h2 f(s_T) \log(f(s_T)/f(s_0))$ |
| to the prior | $\mathrm{KL}(\theta) \le e^{-2\theta}\, \mathrm{KL}(0)$, sharp for a shift |
| way back | ascent $\sqrt{(\lambda + T)/\lambda}$, fixed field its inverse |

**Where next.** [What training learns](learned.ipynb) asks how much of a network's error is
a gauge. [Gauges](gauges.ipynb) has what a gauge costs a solver, and
[the residual](residual.ipynb) when flow and diffusion part.
"""
