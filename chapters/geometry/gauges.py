# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# What a gauge does and does not do

A gauge may be added to a score without moving a single marginal law. That is said of
the equation. Here we put it to work: we sample with it, compute likelihoods with it,
test for it with samples alone, and pay for it when the steps are finite. It changes
every path and no crowd; it leaves likelihoods exact, if nothing is left out; and it
costs accuracy in every solver that does not know it.

- **You need** [the split of a field into a gradient and a gauge](helmholtz.ipynb) and
[the change of log-density along a flow](../gaussian/reverse.ipynb).
- **You get** the flow map with a gauge in closed form, the exact error of a
log-density, a test that needs samples only and its power, and the price of a gauge at
finite steps, with a way not to pay it.
- **Paper** 041, Horvat and Pfister {cite}`horvat2024gauge`.
- **Claims** on Gaussians and a mixture in the plane, all named `gauges/...`.
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
import math

import matplotlib.pyplot as plt
import numpy as np
import scipy.linalg
import torch
from scipy import integrate
from torch import distributions

# %% tags=["setup"]
from diffkit import figures, laws, paths, shapes, solvers, tables, worlds
from diffkit.claims import Claim, attempt, check, scaled

tensor = functools.partial(torch.tensor, dtype=torch.float64)

# %% [markdown]
r"""
The path is EDM's, $x_\sigma = x_0 + \sigma z$, with the noise level $\sigma$ as clock.
The mixture has three tilted Gaussians in the plane. $J$ is the quarter turn.
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
edm = paths.edm()
world = worlds.World(edm, laws.mixture(centres, tilts, shares))
J = np.array([[0.0, -1.0], [1.0, 0.0]])
EYE = np.eye(2)

# %% [markdown]
r"""
## What does a gauge do to a path?

Let $p_\sigma$ be the law of $x_\sigma$ and $s = \nabla \log p_\sigma$ its score. A
model says $\hat s = s + r$, and its flow is

$$
\frac{dx}{d\sigma} = F, \qquad F = -\sigma\, (s + r) ,
\qquad \text{or} \quad
\frac{dx}{d\tau} = -\tfrac12 (s + r), \quad \tau = \sigma^2 .
$$ (eq-gauges-flow)

The [condition](helmholtz.ipynb) for a gauge is $\nabla \cdot r + r \cdot s = 0$. Take
the data $\mathcal N(0, \Sigma)$, $\Sigma$ invertible, so that
$C_\tau = \Sigma + \tau I$ and $s = -C_\tau^{-1} x$, and the gauge
$r = K_\tau C_\tau^{-1} x$ with an antisymmetric matrix $K_\tau$; there are no other
linear ones.

Whiten the state: $y = C_\tau^{-1/2} x$. Since $dC_\tau/d\tau = I$, and all $C_\tau$
have the eigenvectors of $\Sigma$, the derivative of $C_\tau^{-1/2}$ is
$-\frac12 C_\tau^{-3/2}$. So

$$
\begin{aligned}
\frac{dy}{d\tau} &= -\tfrac12 C_\tau^{-3/2} x
+ \tfrac12 C_\tau^{-1/2} \big( C_\tau^{-1} - K_\tau C_\tau^{-1} \big)\, x \\
&= -\tfrac12\, C_\tau^{-1/2} K_\tau C_\tau^{-1/2}\; y .
\end{aligned}
$$ (eq-gauges-white)

The first two terms cancel: *without a gauge, white states stand still*. What is left is
an antisymmetric matrix times $y$, hence $y$ moves by an orthogonal matrix $O$:

$$
x_\tau = C_\tau^{1/2}\, O\, C_{\tau_1}^{-1/2}\, x_{\tau_1} .
$$ (eq-gauges-orthogonal)

If $x_{\tau_1}$ has the covariance $C_{\tau_1}$, then $x_\tau$ has
$C_\tau^{1/2} O O^\top C_\tau^{1/2} = C_\tau$, whatever $O$ is: **other paths, the same
law**.

In the plane $O$ can be written down. Every $K$ is a multiple of $J$, and
$M J M^\top = \det(M)\, J$ for every matrix $M$. Take $r = \alpha J s$, that is
$K = -\alpha J$. Then $y$ turns at the rate $\frac12 \alpha / \sqrt{\det C_\tau}$.
With the eigenvalues $\lambda_1, \lambda_2$ of $\Sigma$ the integral of
$1/\sqrt{(\lambda_1 + \tau)(\lambda_2 + \tau)}$ is
$2 \log(\sqrt{\lambda_1 + \tau} + \sqrt{\lambda_2 + \tau})$, so $O$ is the rotation by

$$
\theta = \alpha\, \log
\frac{\sqrt{\lambda_1 + \tau} + \sqrt{\lambda_2 + \tau}}
{\sqrt{\lambda_1 + \tau_1} + \sqrt{\lambda_2 + \tau_1}} .
$$ (eq-gauges-angle)

On the way to the data this winds like a logarithmic spiral until $\tau$ is well below
the larger $\lambda_i$. If one of them is zero, $\theta$ still has a limit at
$\tau = 0$; if both are, the data are a point, and the spiral never ends.
"""

# %% tags=["setup"]
SIGMA = tilts[0].numpy() + np.diag([1.5, 0.0])
T1, T0 = 9.0, 0.04  # tau at the noise end and at the data end
LAM, U = np.linalg.eigh(SIGMA)


def power(tau, p):
    """C_tau^p."""
    return (U * (LAM + tau) ** p) @ U.T


def carried(B, end=T0):
    """The matrix of the flow of B(tau) x from T1 down, by an ODE solver."""
    how = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-13}
    found = integrate.solve_ivp(
        lambda t, y: (B(t) @ y.reshape(2, 2)).ravel(),
        (T1, end),
        EYE.ravel(),
        **how,
    )
    return found.y[:, -1].reshape(2, 2)


# %%
winds = (-3.0, 0.5, 2.0, 8.0)


def maps(angle, left=0.5):
    """C^left R(angle) C_1^-1/2 C^(1/2 - left), a flow map for each wind."""
    u0, u1 = (np.sqrt(LAM + tau).sum() for tau in (T0, T1))
    out = []
    for a in winds:
        t = angle(a, u0, u1)
        turn = math.cos(t) * EYE + math.sin(t) * J
        rest = power(T1, -0.5) @ power(T0, 0.5 - left)
        out.append(power(T0, left) @ turn @ rest)
    return torch.tensor(np.stack(out))


# %%
def maps_truth():
    """The same by integration; the gauge is written with s = -C^-1 x."""
    flows = [
        carried(lambda t, a=a: 0.5 * (EYE + a * J) @ power(t, -1))
        for a in winds
    ]
    return torch.tensor(np.stack(flows))


# %% tags=["hide-input"]
def log_ratio(a, u0, u1):
    """The angle from the sums of the standard deviations."""
    return a * math.log(u0 / u1)


dets = [((LAM + tau).prod()) ** 0.25 for tau in (T0, T1)]

# %% tags=["hide-input"]
map_slips = {
    "no rotation: the paths do not change": maps(lambda a, u0, u1: 0.0),
    "turned the other way": maps(lambda *of: -log_ratio(*of)),
    "half the angle": maps(lambda *of: log_ratio(*of) / 2),
    "the root of $\\det C$ for the sum of deviations": maps(
        lambda a, u0, u1: a * math.log(dets[0] / dets[1])
    ),
    "turned after colouring, not before": maps(log_ratio, left=0.0),
}

# %% tags=["hide-input"]
map_claim = Claim(
    id="gauges/map",
    says=r"With the gauge $r = \alpha J s$ on $\mathcal N(0, \Sigma)$ in "
    r"the plane the flow map from $\tau_1$ to $\tau$ is $C_\tau^{1/2} "
    r"R(\theta) C_{\tau_1}^{-1/2}$, $C_\tau = \Sigma + \tau I$, with "
    r"$\theta = \alpha \log (u_\tau / u_{\tau_1})$, $u_\tau = "
    r"\sqrt{\lambda_1 + \tau} + \sqrt{\lambda_2 + \tau}$ ($\alpha = "
    r"-3, 0.5, 2, 8$; an ODE solver).",
    papers=("041",),
    kind="exact",
    formula=maps(log_ratio),
    controls=map_slips,
    tol=1e-10,
    because="an ODE solver at relative tolerance 1e-12",
    truth=maps_truth(),
)
check(map_claim)

# %% [markdown]
r"""
The SDEs share the law too, since the condition for a gauge is
[the same at every noise level](helmholtz.ipynb). There the map is random and no closed
form is at hand; so we run one. The mixture, the gauge
$r = J(h s + \nabla h)$ with $h = 2 + 3 \sin(b \cdot x) / (1 + \sigma^2)$, the reverse SDE
with as much noise as the forward process ($k = 1$), from the exact law at $\sigma = 8$
down to $0.4$. The end law is known by its characteristic function,

$$
\mathbb E\, e^{i a \cdot x}
= \sum_k w_k\, e^{i a \cdot m_k - \frac12 a^\top (C_k + \sigma^2 I)\, a} ,
$$ (eq-gauges-wave)

and so we compare $\cos(a \cdot x)$ and $\sin(a \cdot x)$ for four vectors $a$. The law
has no symmetry; a rotation of the crowd would show.
"""

# %% tags=["setup"]
b = tensor([1.0, -0.7])
A = tensor([[1.0, 0.3], [-0.4, 0.9], [0.7, -1.1], [1.5, 1.0]])


def waves(a, sigma):
    """E cos(a x), then E sin(a x), for the rows of a."""
    cov = tilts + sigma**2 * torch.eye(2, dtype=torch.float64)
    decay = torch.einsum("ni,kij,nj->nk", a, cov, a)
    each = shares * torch.exp(1j * (a @ centres.T) - decay / 2)
    return torch.cat([each.sum(1).real, each.sum(1).imag])


# %% [markdown]
r"""
The score we write by hand, with its divergence, for use below. With
$u_k = -(C_k + \sigma^2 I)^{-1} (x - m_k)$ and the shares $\rho_k$ of the components at
$x$, $s = \sum_k \rho_k u_k$. Since $\nabla \rho_k = \rho_k (u_k - s)$,

$$
\nabla \cdot s = \sum_k \rho_k \big( |u_k|^2
- \operatorname{tr} (C_k + \sigma^2 I)^{-1} \big) - |s|^2 .
$$

The divergence of the gauge is

$$
\nabla \cdot r = \nabla h \cdot J s ,
$$ (eq-gauges-div)

for $\operatorname{tr}(J \nabla s)$ and $\operatorname{tr}(J \nabla^2 h)$ vanish: an
antisymmetric matrix meets a symmetric one.
"""

# %% tags=["setup"]
M, S, W = centres.numpy(), tilts.numpy(), shares.numpy()


def told(x, sigma):
    """The score at the points x (n, 2), and its divergence (n)."""
    inv = np.linalg.inv(S + sigma**2 * EYE)
    off = x[:, None] - M
    u = -(off[:, :, None] * inv).sum(-1)
    level = (u * off).sum(-1) / 2 + np.log(W) + np.linalg.slogdet(inv)[1] / 2
    rho = np.exp(level - level.max(1, keepdims=True))
    rho /= rho.sum(1, keepdims=True)
    s = (rho[..., None] * u).sum(1)
    trace = np.trace(inv, axis1=1, axis2=2)
    return s, (rho * ((u**2).sum(-1) - trace)).sum(1) - (s**2).sum(1)


# %% tags=["setup"]
def stirred(x, sigma, s, div, level=1.0, slope=1.0, A=J):
    """The gauge A (h s + grad h) with A = J, and its divergence."""
    v, fade = b.numpy(), 1 + sigma**2
    h = 2 + 3 * np.sin(x @ v) / fade
    dh = 3 * np.cos(x @ v)[:, None] / fade * v
    r = (level * h[:, None] * s + slope * dh) @ A.T
    return r, (dh * (s @ J.T)).sum(1)


def spun(x, sigma, s, div, size=1.0):
    """A rotation J x / (1 + sigma^2), no gauge here, and its divergence."""
    return size * x @ J.T / (1 + sigma**2), 0 * div


# %% [markdown]
r"""
The steps are Heun's: the mean of the drifts at both ends, with one and the same kick.
"""

# %%
high, low, crowd = 8.0, 0.4, 4000
taus = np.geomspace(high**2, low**2, 41)


def landed(r, rng):
    """z-scores of eight waves at the end of the SDE with score s + r."""
    x = world.law(high).sample(crowd, rng).numpy()
    kicks = torch.randn(40, crowd, 2, generator=rng, dtype=torch.float64)

    def drift(x, tau):
        s, div = told(x, math.sqrt(tau))
        return s + r(x, math.sqrt(tau), s, div)[0]

    for t, to, z in zip(taus[:-1], taus[1:], kicks.numpy(), strict=True):
        here, noise = drift(x, t), math.sqrt(t - to) * z
        ahead = drift(x + (t - to) * here + noise, to)
        x = x + (t - to) / 2 * (here + ahead) + noise
    u = torch.tensor(x) @ A.T
    u = torch.cat([torch.cos(u), torch.sin(u)], 1)
    return (u.mean(0) - waves(A, low)) / (u.std(0) / math.sqrt(crowd))


# %% tags=["hide-input"]
mirror = np.array([[0.0, 1.0], [1.0, 0.0]])


def slip(**how):
    """The gauge, with something else in a place of it."""
    return functools.partial(stirred, **how)


# %% tags=["hide-input"]
crowd_slips = {
    "$J h s$, without $\\nabla h$": slip(slope=0.0),
    "$J \\nabla h$, without divergence but no gauge": slip(level=0.0),
    "a reflection for the rotation $J$": slip(A=mirror),
    "a rotation $2 J x / (1 + \\sigma^2)$, which suits round laws": (
        functools.partial(spun, size=2.0)
    ),
}

# %% tags=["hide-input"]
crowd_claim = Claim(
    id="gauges/crowd",
    says=r"The reverse SDE ($k = 1$) with score $s + r$, $r = J(h s + "
    r"\nabla h)$, $h = 2 + 3 \sin(b \cdot x)/(1 + \sigma^2)$, has the "
    r"law of the path at its end: $\cos$ and $\sin$ of four "
    r"projections (three tilted Gaussians; from $\sigma = 8$ to "
    r"$0.4$).",
    papers=("041",),
    kind="statistical",
    formula=stirred,
    controls=crowd_slips,
    measure=landed,
    because="normal tails; n and the steps were raised after a control "
    "without the gradient of h had not been rejected",
    scale="a multiple of a gauge is a gauge; the controls are not small",
    seeds=(11,),
    n=crowd,
)
check(crowd_claim)

# %% [markdown]
r"""
## Is a gradient better than no gradient?

The score is a gradient, so one may wish to build models that are gradients by
construction. It is neither necessary nor sufficient for the right law. *Not necessary*:
$r = \alpha J s$ above. *Not sufficient*: $\hat s = c\, s$ with a number $c \ne 1$ is the
gradient of $c \log p_\sigma$. Along its [flow](#eq-gauges-flow) a mode of variance
$V = \lambda + \tau$ has $dx/d\tau = \frac{c}{2} x / V$ with $dV/d\tau = 1$, so
$x \propto V^{c/2}$, and a crowd that starts right at $V_1$ ends with the variance

$$
\hat V_\tau = V_1 \Big( \frac{V_\tau}{V_1} \Big)^{c} .
$$ (eq-gauges-power)

At each moment $\hat s = -c\, C_\tau^{-1} x$ is the exact score of a Gaussian, that of
covariance $C_\tau / c$. But the end is not $C_\tau / c$: the laws of which the model has
the scores are no solution of the equation that moves the crowd. **Exact sampling is
one condition on the gradient part alone**, $\nabla \varphi = s$ at all times.
"""

# %%
models = {  # what stands before s: c I + alpha J
    "shy": 0.9 * EYE,
    "bold": 1.2 * EYE,
    "gauge": EYE + 2 * J,
    "more gauge": EYE - 9 * J,
}


def ends_with(rule):
    """rule(c, antisymmetric part) -> the end covariance, for each model."""
    parts = [(B[0, 0], B[1, 0]) for B in models.values()]
    return torch.tensor(np.stack([rule(*part) for part in parts]))


# %%
def ends_truth():
    """Y C_1 Y' with the flow map Y of an ODE solver."""
    out = []
    for B in models.values():
        Y = carried(lambda t, B=B: 0.5 * B @ power(t, -1))
        out.append(Y @ power(T1, 1) @ Y.T)
    return torch.tensor(np.stack(out))


# %% tags=["hide-input"]
def grown(p):
    """V_1 (V_0 / V_1)^p in every mode."""
    return power(T0, p) @ power(T1, 1 - p)


# %% tags=["hide-input"]
ends_slips = {
    "gradients are exact": ends_with(lambda c, a: grown(1.0)),
    "the law of which $\\hat s$ is the score, $C_\\tau / c$": ends_with(
        lambda c, a: power(T0, 1) / c
    ),
    "a standard deviation: the power $c/2$": ends_with(
        lambda c, a: grown(c / 2)
    ),
    "a gauge is an error of size $|\\alpha|$": ends_with(
        lambda c, a: grown(c + abs(a))
    ),
}

# %% tags=["hide-input"]
ends_claim = Claim(
    id="gauges/conservative",
    says=r"On $\mathcal N(0, \Sigma)$ the flow of $c\,s$ ends with "
    r"$C_{\tau_1} (C_{\tau_1}^{-1} C_\tau)^c$: a gradient, and a wrong "
    r"law unless $c = 1$. The flow of $s + \alpha J s$ ends with "
    r"$C_\tau$: no gradient, and the right law ($c = 0.9, 1.2$; "
    r"$\alpha = 2, -9$; $d = 2$).",
    papers=("041",),
    kind="exact",
    formula=ends_with(lambda c, a: grown(c)),
    controls=ends_slips,
    tol=1e-10,
    because="an ODE solver at relative tolerance 1e-12",
    truth=ends_truth(),
)
check(ends_claim)

# %% [markdown]
r"""
## Is the likelihood still exact?

Let $q_\sigma$ be the law of the points that the flow carries from $q_T = p_T$. For
*every* field, $\log q$ changes along the field's own path by
$d \log q / d\sigma = -\nabla \cdot F$:

$$
\log q_0(x_0) = \log p_T(x_T) + \int_0^T \nabla \cdot F\; d\sigma .
$$ (eq-gauges-own)

This is what an implementation computes; here and below the data end is called $0$,
and is any $\sigma_0 > 0$ if the data have no density. It is the density of the
*model*. When is it that of $p$? Follow $\log p$ along the same path.
The heat equation $\partial_\tau p = \frac12 \Delta p$ gives
$\partial_\sigma \log p = \sigma (\nabla \cdot s + |s|^2)$, and so

$$
\begin{aligned}
\frac{d}{d\sigma} \log p_\sigma(x_\sigma)
&= \sigma (\nabla \cdot s + |s|^2) - \sigma (s + r) \cdot s \\
&= -\nabla \cdot F - \sigma\, ( \nabla \cdot r + r \cdot s ) .
\end{aligned}
$$

Subtract the two equations and integrate:

$$
\log q_0(x_0) - \log p_0(x_0)
= - \int_0^T \sigma\, ( \nabla \cdot r + r \cdot s )\, d\sigma .
$$ (eq-gauges-defect)

For a gauge the right side is zero on every single path. Nothing but the one condition
$\nabla \cdot r + r \cdot s = 0$ is needed, and **the full divergence**,
$\nabla \cdot F = -\sigma (\nabla \cdot s + \nabla \cdot r)$. Whoever leaves $\nabla \cdot r$ out,
because "a gauge does not count", makes the error $\int \sigma\, \nabla \cdot r\,
d\sigma$. This is zero for $r = \alpha J s$, whose divergence is $\alpha
\operatorname{tr}(J \nabla s) = 0$ because $\nabla s$ is symmetric; for $r = J (h s +
\nabla h)$ it is not, by [the formula above](#eq-gauges-div). So an experiment with
$\alpha J s$ alone can not tell the right code from the wrong one.
"""

# %% [markdown]
r"""
Five fields: none added, the two gauges, and two that are none, a rotation and a tenth of
the score. The clock of the solver is $\log \sigma$, in which all scales are alike. Beside
the points it carries three integrals over $\sigma$, from the data end to the noise end.
"""

# %% tags=["setup"]
added = {
    "nothing": lambda x, sigma, s, div: (0 * s, 0 * div),
    "along": lambda x, sigma, s, div: (1.5 * s @ J.T, 0 * div),
    "stirred": stirred,
    "rotation": spun,
    "shrunk": lambda x, sigma, s, div: (0.1 * s, 0.1 * div),
}
TOP, END = 6.0, 0.1


# %% tags=["setup"]
def ride(r, x, end=END, rtol=1e-10, levels=None):
    """From TOP down: x, and the integrals of sigma (div s, div r, r s)."""
    n = len(x)

    def rate(u, y):
        x, sigma = y.reshape(n, 5)[:, :2], math.exp(u)
        s, div = told(x, sigma)
        more, spread = r(x, sigma, s, div)
        parts = -(s + more), -np.stack([div, spread, (more * s).sum(1)], 1)
        return sigma**2 * np.concatenate(parts, 1).ravel()

    span = math.log(TOP), math.log(end)
    y = np.concatenate([x, np.zeros((n, 3))], 1).ravel()
    how = {"method": "DOP853", "rtol": rtol, "atol": rtol / 10}
    found = integrate.solve_ivp(rate, span, y, t_eval=levels, **how).y
    return found.T.reshape(-1, n, 5)


# %%
starts = world.law(TOP).sample(10, shapes.rng(2)).numpy()
rides = {name: ride(r, starts)[-1] for name, r in added.items()}


def log_p(x, sigma):
    """log p_sigma by torch's own mixture."""
    cov = tilts + sigma**2 * torch.eye(2, dtype=torch.float64)
    parts = distributions.MultivariateNormal(centres, cov)
    mixture = distributions.Categorical(shares)
    law = distributions.MixtureSameFamily(mixture, parts)
    return law.log_prob(torch.as_tensor(x))


harmless = ["nothing", "along", "stirred"]


# %%
def own_density(keep_s=1.0, keep_r=1.0, top=1.0, sign=1.0):
    """log p_T(x_T) + the integral of div F, with slips; three fields."""
    out = []
    for name in harmless:
        div_s, div_r, _ = rides[name][:, 2:].T
        change = -sign * (keep_s * div_s + keep_r * div_r)
        out.append(top * log_p(starts, TOP) + torch.tensor(change))
    return torch.stack(out)


# %% tags=["hide-input"]
density_slips = {
    "the divergence of the score only": own_density(keep_r=0.0),
    "the wrong sign": own_density(sign=-1.0),
    "no divergence: density carried like a label": own_density(0.0, 0.0),
    "half the divergence": own_density(0.5, 0.5),
}

# %% tags=["hide-input"]
density_claim = Claim(
    id="gauges/density",
    says=r"Along the path of $s + r$ itself, $\log "
    r"p_{\sigma_0}(x_{\sigma_0}) = \log p_T(x_T) + \int \nabla \cdot "
    r"F\,d\sigma$ with the full divergence of $F = -\sigma(s + r)$, "
    r"for $r = 0$, $1.5\,J s$ and $J(h s + \nabla h)$ (three tilted "
    r"Gaussians, $\sigma$ from $6$ to $0.1$, ten paths).",
    papers=("041",),
    kind="exact",
    formula=own_density(),
    controls=density_slips,
    tol=1e-8,
    because="an ODE solver at relative tolerance 1e-10",
    truth=torch.stack([log_p(rides[k][:, :2], END) for k in harmless]),
)
check(density_claim)

# %% [markdown]
r"""
Drop $\nabla \cdot r$ and look at the gauges one by one: with $1.5\,J s$ the log-density
is still exact, with $J (h s + \nabla h)$ it is off by $-\int \sigma\, r \cdot s\,
d\sigma$. And the two fields that are no gauges have an error, path by path, which
[we know](#eq-gauges-defect):
"""

# %%
harmful = ["stirred", "rotation", "shrunk"]


def gap(div=-1.0, along=-1.0):
    """log q - log p from the integrals of sigma (div r, r s)."""
    out = [rides[k][:, 3] * div + rides[k][:, 4] * along for k in harmful]
    return torch.tensor(np.stack(out))


def gap_truth():
    """The model's own density, against torch's mixture."""
    out = []
    for name in harmful:
        model = log_p(starts, TOP)
        model = model - torch.tensor(rides[name][:, 2:4].sum(1))
        out.append(model - log_p(rides[name][:, :2], END))
    return torch.stack(out)


# %% tags=["hide-input"]
defect_slips = {
    "the divergence of $r$ alone": gap(along=0.0),
    "$r \\cdot s$ alone": gap(div=0.0),
    "the sign of $r \\cdot s$": gap(along=1.0),
    "the wrong sign": gap(1.0, 1.0),
    "a density along its own path is never wrong": gap(0.0, 0.0),
}

# %% tags=["hide-input"]
defect_claim = Claim(
    id="gauges/defect",
    says=r"The density $q$ of a flow with score $s + r$ has $\log q - \log "
    r"p = -\int \sigma(\nabla \cdot r + r \cdot s)\,d\sigma$ at the "
    r"end of each of its paths: zero for $r = J(h s + \nabla h)$, not "
    r"zero for $r = Jx/(1 + \sigma^2)$ and $0.1\,s$ (three tilted "
    r"Gaussians, $\sigma$ from $6$ to $0.1$).",
    papers=("041",),
    kind="exact",
    formula=gap(),
    controls=defect_slips,
    tol=1e-8,
    because="an ODE solver at relative tolerance 1e-10",
    truth=gap_truth(),
)
check(defect_claim)

# %% [markdown]
r"""
In the figure all panels start from the same fifty points of noise. Follow single lines,
then look at where the dots lie.
"""

# %%
noise = world.law(TOP).sample(50, shapes.rng(5)).numpy()
levels = np.linspace(math.log(TOP), math.log(END), 60)
levels[-1] = math.log(END)
axis = torch.linspace(-3.2, 3.2, 80, dtype=torch.float64)
at = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
heights = log_p(at, END)
grey = {"colors": figures.EXACT, "linestyles": "solid", "linewidths": 1.2}
three = added["nothing"], stirred, slip(A=mirror)

# %% mystnb={"figure": {"caption": "Fifty flow lines from the same noise ($\\sigma = 6$, outside the frame) to the data ($\\sigma = 0.1$, dots), without a gauge, with $r = J(h s + \\nabla h)$, and with a reflection in the place of $J$, which is no gauge. Lines of equal exact density in grey.", "name": "fig-gauges-paths"}, "image": {"alt": "Three panels with three tilted groups of contour lines. In the first, lines run straight into the groups. In the second they wind about, and the dots fill the same groups. In the third, dashed red lines run into two small clumps of dots, one of them outside all contours."}}
figure, axes = figures.canvas(
    "A gauge changes the paths, an error the crowd", 6.6, 2.7, columns=3
)
shown = zip(axes, three, ("no gauge", "a gauge", "an error"), strict=True)
for ax, r, name in shown:
    lines = ride(r, noise, rtol=1e-5, levels=levels)[..., :2]
    bad = name == "an error"
    look = {"color": figures.WRONG if bad else figures.LEARNED}
    ax.contour(axis, axis, heights, [-4, -2], **grey)
    ax.plot(*lines.transpose(2, 0, 1), "--" if bad else "-", lw=0.4, **look)
    ax.plot(*lines[-1].T, "o", ms=2.5, **look)
    ax.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), aspect="equal")
    ax.set(xticks=[], yticks=[])
    ax.set_title(name, fontsize=9, fontweight="normal")
plt.show()

# %% [markdown]
r"""
## Can you tell a gauge from an error?

You have samples of $p$ and can evaluate $\hat s$; you know neither $p$ nor $s$. For a
smooth test function $\varphi$ that does not grow too fast, integrate by parts:

$$
\mathbb E_p[\nabla\varphi \cdot \hat s + \Delta\varphi]
= \mathbb E_p[\nabla\varphi \cdot r]
= -\mathbb E_p[\varphi\, (\nabla \cdot r + r \cdot s)] ,
$$ (eq-gauges-test)

because $\mathbb E_p[\nabla\varphi \cdot s + \Delta\varphi]
= \int \nabla \cdot (p \nabla\varphi)\, dx = 0$. The left side is an average over samples
of something that can be computed. It is zero **for all $\varphi$ if and only if $r$ is a
gauge**. This is Stein's test restricted to gradients. The full one takes all vector
fields $v$, $\mathbb E_p[v \cdot \hat s + \nabla \cdot v] = \mathbb E_p[v \cdot r]$, and
is zero for all of them if and only if $r = 0$: it condemns every gauge. Take
$v = J \nabla\varphi$, which has no divergence, and $r = \alpha J s$. Since
$\mathbb E_p[J \nabla\varphi \cdot s] = 0$ and
$J \nabla\varphi \cdot J s = \nabla\varphi \cdot s$,

$$
\mathbb E_p[v \cdot \hat s + \nabla \cdot v]
= \alpha\, \mathbb E_p[\nabla\varphi \cdot s] = -\alpha\, \mathbb E_p[\Delta\varphi] .
$$ (eq-gauges-full)

We use six waves $\varphi = \sin(a \cdot x + c)$ and the two quadratics
$\frac12 |x|^2$ and $x_1 x_2$, and divide each mean by its standard error. With $m$ tests
and a bound of $z$ standard errors, the probability that a right model fails any of them
is at most $m$ times the probability of one failure, whatever the dependence between the
tests (Bonferroni). At six standard errors and eight tests that is far below a millionth,
as far as the mean of $n$ samples is normal in its tails.
"""

# %% tags=["setup"]
NOISE, DRAWN = 0.5, 60_000
knots = np.concatenate([A.numpy(), [[0.5, -0.2], [0.2, 1.4]]])
phases = np.array([0.0, 1.0, 2.0, 0.5, 1.5, 2.5])


# %% tags=["setup"]
def tests(x):
    """The gradients (8, n, 2) and Laplacians (8, n) of the tests."""
    u = x @ knots.T + phases
    grads = [np.cos(v)[:, None] * a for v, a in zip(u.T, knots, strict=True)]
    laps = [-np.sin(v) * (a @ a) for v, a in zip(u.T, knots, strict=True)]
    flat = np.zeros(len(x))
    return np.stack([*grads, x, x[:, ::-1]]), np.stack(
        [*laps, flat + 2, flat]
    )


# %% tags=["setup"]
def scores(u):
    """Means in standard errors; u (8, n)."""
    return u.mean(1) / (u.std(1) / math.sqrt(u.shape[1]))


@functools.cache  # every control is tested on the same samples
def drawn(seed):
    """Samples, the score and its divergence there, and the tests."""
    x = world.law(NOISE).sample(DRAWN, shapes.rng(seed)).numpy()
    return x, *told(x, NOISE), *tests(x)


# %%
def passed(r, rng):
    """z-scores of the gradient tests, for each field r of a tuple."""
    x, s, div, grad, lap = drawn(rng.initial_seed())
    found = []
    for more in r:
        model = s + more(x, NOISE, s, div)[0]
        found.append(scores((grad * model).sum(-1) + lap))
    return torch.tensor(np.concatenate(found))


def field(of):
    """A field of (x, s) as one that also tells a divergence."""
    return lambda x, sigma, s, div: (of(x, s), div)


# %% tags=["hide-input"]
def only_level(x, s):
    """J h s, without the slope of h."""
    return (2 + 3 * np.sin(x @ b.numpy()) / 1.25)[:, None] * (s @ J.T)


# %% tags=["hide-input"]
test_slips = {
    "a small gradient, $0.12\\,s$": (field(lambda x, s: 0.12 * s),),
    "a small rotation, $0.2\\,Jx$": (field(lambda x, s: 0.2 * x @ J.T),),
    "a gauge without its slope, $J h s$": (field(only_level),),
    "a small shift, by $0.2$": (field(lambda x, s: 0.2 + 0 * s),),
}

# %% tags=["hide-input"]
test_claim = Claim(
    id="gauges/test",
    says=r"$\mathbb E_p[\nabla\varphi \cdot \hat s + \Delta\varphi] = 0$ "
    r"for $\hat s = s + r$ with $r = 0$, $3\,J s$ and $J(h s + \nabla "
    r"h)$, eight tests each; errors of $0.12\,s$, with a mean square "
    r"$600$ times below that of $3\,J s$, are found (three tilted "
    r"Gaussians, $\sigma = 0.5$).",
    papers=("041",),
    kind="statistical",
    formula=(added["nothing"], field(lambda x, s: 3 * s @ J.T), stirred),
    controls=test_slips,
    because="eight tests of each field; the sizes of the controls were set "
    "after measuring: half the small ones would not be rejected",
    measure=passed,
    scale="a multiple of a gauge is a gauge; the controls say what is seen",
    seeds=(3,),
    n=DRAWN,
)
check(test_claim)


# %%
def full(formula, rng, alpha=3.0):
    """z-scores of the full test with v = J grad phi, against a formula."""
    _, s, _, grad, _ = drawn(rng.initial_seed())
    u = ((grad @ J.T) * (s + alpha * s @ J.T)).sum(-1)
    at = waves(torch.tensor(knots), NOISE).numpy().reshape(2, 6)
    wave = np.sin(phases) * at[0] + np.cos(phases) * at[1]
    laps = np.array([*(-(knots**2).sum(1) * wave), 2.0, 0.0])
    return torch.tensor(scores(u - formula(alpha, laps)[:, None]))


# %% tags=["hide-input"]
full_slips = {
    "nothing: a gauge passes every test": lambda alpha, lap: 0 * lap,
    "the wrong sign": lambda alpha, lap: alpha * lap,
    "one half": lambda alpha, lap: -alpha / 2 * lap,
    "the square of $\\alpha$": lambda alpha, lap: -(alpha**2) * lap,
}

# %% tags=["hide-input"]
full_claim = Claim(
    id="gauges/full",
    says=r"Stein's test with the fields $v = J \nabla\varphi$ finds "
    r"$-\alpha\, \mathbb E_p[\Delta\varphi]$ where $\hat s = s + "
    r"\alpha J s$, $\alpha = 3$: it rejects a model whose law is exact "
    r"(eight tests, three tilted Gaussians, $\sigma = 0.5$).",
    papers=("041",),
    kind="statistical",
    formula=lambda alpha, lap: -alpha * lap,
    controls=full_slips,
    measure=full,
    scale=lambda f, e: scaled(f, 200 * e),
    seeds=(3,),
    n=DRAWN,
)
check(full_claim)

# %% [markdown]
r"""
Does a gauge disturb the test? It has mean zero in it, but not variance zero. Let
$p = \mathcal N(0, C)$ in the plane, $\hat s = c\, s + \alpha J s$ and
$\varphi = \frac12 |x|^2$. The statistic of one sample is
$2 - x^\top Q\, x$ with $Q = (c I + \alpha J)\, C^{-1}$. Its mean is
$2 - \operatorname{tr}(Q C) = 2 (1 - c)$. With $B$ the symmetric part of $Q$ its
variance is $2 \operatorname{tr}(B C B C)$, and
$B C = c I + \frac{\alpha}{2} (J - C^{-1} J C)$. Since $J C^{-1} J = -C / \det C$,

$$
\begin{aligned}
2 \operatorname{tr} (BC)^2
&= 4 c^2 + \alpha^2 \Big( \frac{\operatorname{tr} C^2}{\det C} - 2 \Big) \\
&= 4 c^2 + \alpha^2\, \frac{(\lambda_1 - \lambda_2)^2}{\lambda_1 \lambda_2} .
\end{aligned}
$$

So $n$ samples see the error with

$$
z = \sqrt n\; \frac{2 (1 - c)}
{\sqrt{4 c^2 + \alpha^2 (\lambda_1 - \lambda_2)^2 / (\lambda_1 \lambda_2)}}
$$ (eq-gauges-power-of-test)

standard errors, on average. A gauge hides nothing for ever, but behind a large one it
takes samples in proportion to $\alpha^2$ to see as much. On a round law it does not
disturb at all: there $J s$ is at right angles to $x$.
"""

# %%
trials = {
    "c": tensor([0.7, 0.9, 1.2, 0.95]),
    "alpha": tensor([0.0, 2.0, -1.0, 8.0]),
    "l1": tensor([1.0, 3.0, 0.5, 2.0]),
    "l2": tensor([2.0, 0.2, 1.5, 0.1]),
}


# %%
def seen_truth(c, alpha, l1, l2):
    """Mean over deviation, by a product rule of Gauss and Hermite."""
    u, w = np.polynomial.hermite_e.hermegauss(6)
    x = np.stack(np.meshgrid(u, u, indexing="ij"), -1).reshape(-1, 2)
    w, out = np.outer(w, w).ravel() / (2 * math.pi), []
    for c_i, a_i, *lam in zip(c, alpha, l1, l2, strict=True):
        y = x * np.sqrt(np.array(lam))
        s = -y / np.array(lam)
        value = (y * (float(c_i) * s + float(a_i) * s @ J.T)).sum(1) + 2
        mean = w @ value
        out.append(mean / math.sqrt(w @ (value - mean) ** 2))
    return tensor(out)


def seen(gauge=lambda a, l1, l2: a**2 * (l1 - l2) ** 2 / (l1 * l2), p=2):
    """Standard errors of one sample, with slips."""
    return lambda c, alpha, l1, l2: (
        2 * (1 - c) / (4 * c**p + gauge(alpha, l1, l2)).sqrt()
    )


# %% tags=["hide-input"]
power_slips = {
    "a gauge adds no variance": seen(lambda a, l1, l2: 0 * a),
    "a gauge disturbs on round laws too": seen(
        lambda a, l1, l2: a**2 * (l1**2 + l2**2) / (l1 * l2)
    ),
    "$|\\alpha|$ for $\\alpha^2$": seen(
        lambda a, l1, l2: a.abs() * (l1 - l2) ** 2 / (l1 * l2)
    ),
    "the variance at the true score, $4$ for $4c^2$": seen(p=0),
}

# %% tags=["hide-input"]
power_claim = Claim(
    id="gauges/power",
    says=r"On $\mathcal N(0, C)$ in the plane, with $\hat s = c\,s + \alpha "
    r"J s$ and $\varphi = \frac12 |x|^2$, the test has mean over "
    r"deviation $2(1 - c) / \sqrt{4 c^2 + \alpha^2 (\lambda_1 - "
    r"\lambda_2)^2 / (\lambda_1 \lambda_2)}$ for each sample (four "
    r"cases, against quadrature).",
    papers=("041",),
    kind="exact",
    formula=seen(),
    controls=power_slips,
    tol=1e-12,
    because="float64; the quadrature is exact for these polynomials",
    at=trials,
    truth=seen_truth,
)
check(power_claim)

# %% [markdown]
r"""
## What does a gauge cost at finite steps?

One Euler step of length $\delta$ along a gauge takes $x$ to $x + \delta\, r$. For a
quadratic $\varphi$ the expansion ends after two terms:

$$
\mathbb E_p\, \varphi(x + \delta r) = \mathbb E_p\, \varphi
+ \delta\, \mathbb E_p[\nabla\varphi \cdot r]
+ \tfrac{\delta^2}{2}\, \mathbb E_p[ r^\top \nabla^2\varphi\; r] .
$$

The middle term is zero: that is what a gauge is. So the second moments
become, exactly,

$$
\mathbb E_p[x x^\top] + \delta^2\, \mathbb E_p[r r^\top] ,
$$ (eq-gauges-inflation)

for every gauge of every law with these moments. An Euler step is tangential, and so it
leads outwards. The error acts like noise of variance $\delta\, \mathbb E_p[r r^\top]$ for
each unit of time, and goes to zero like $\delta$.
"""


# %%
def cells(n, R=7.0):
    """Points of a square grid and their masses under p at NOISE."""
    axis = (torch.arange(n, dtype=torch.float64) + 0.5) * (2 * R / n) - R
    x = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
    x = x.reshape(-1, 2)
    return x, (log_p(x, NOISE)).exp() * (2 * R / n) ** 2


def second(x, w, of):
    """E of the outer product."""
    y = of(x)
    return torch.einsum("n,ni,nj->ij", w, y, y)


def gauge_at(x):
    """J (h s + grad h) at NOISE."""
    x = x.numpy()
    return torch.tensor(stirred(x, NOISE, *told(x, NOISE))[0])


# %%
steps = (0.05, 0.3, 1.0)
stress = second(*cells(110), gauge_at)  # E r r'


def swollen(factor, cross=1.0):
    """The moments of the mixture plus a multiple of those of r."""
    at = centres.unsqueeze(-1) * centres.unsqueeze(-2)
    blurred = tilts + at + NOISE**2 * torch.eye(2, dtype=torch.float64)
    rr = stress
    rr = torch.diag(rr.diagonal()) * (1 - cross) + rr * cross
    start = torch.einsum("k,kij->ij", shares, blurred)
    return torch.stack([start + factor(step) * rr for step in steps])


def swollen_truth():
    """The moments of the points after the step, on another grid."""
    x, w = cells(127)
    r = gauge_at(x)
    ends = [x + h * r for h in steps]
    return torch.stack([second(y, w, torch.clone) for y in ends])


# %% tags=["hide-input"]
inflation_slips = {
    "a step along a gauge keeps the moments": swollen(lambda h: 0.0),
    "one half, as in Taylor's formula": swollen(lambda h: h**2 / 2),
    "$\\delta$ for $\\delta^2$": swollen(lambda h: h),
    "no correlation between the components": swollen(
        lambda h: h**2, cross=0.0
    ),
}

# %% tags=["hide-input"]
inflation_claim = Claim(
    id="gauges/inflation",
    says=r"One Euler step $\delta$ along a gauge $r$ takes $\mathbb E[x "
    r"x^\top]$ to $\mathbb E[x x^\top] + \delta^2\, \mathbb E[r "
    r"r^\top]$, exactly ($r = J(h s + \nabla h)$, three tilted "
    r"Gaussians, $\sigma = 0.5$, $\delta = 0.05, 0.3, 1$; quadrature "
    r"on two grids).",
    papers=("041",),
    kind="exact",
    formula=swollen(lambda h: h**2),
    controls=inflation_slips,
    tol=1e-9,
    because="what the box leaves out, and the rounding of sums",
    truth=swollen_truth(),
)
check(inflation_claim)

# %% [markdown]
r"""
Now many steps. On $\mathcal N(0, I)$ take the rotation $r = \omega J x$, over one unit of
time in $N$ steps of $\delta = 1/N$, with $\theta = \omega \delta$. The eigenvalues of
$\omega J$ are $\pm i \omega$, so a method multiplies the radius by the modulus of its
polynomial at $i \theta$. For Euler, for the two methods with two stages of order two, and
for the classical one of order four,

$$
\begin{aligned}
|1 + i\theta|^2 &= 1 + \theta^2, \\
\big|1 + i\theta - \tfrac{\theta^2}{2}\big|^2 &= 1 + \tfrac{\theta^4}{4}, \\
\big|1 + i\theta - \tfrac{\theta^2}{2} - \tfrac{i\theta^3}{6}
+ \tfrac{\theta^4}{24}\big|^2
&= 1 - \tfrac{\theta^6}{72} + \tfrac{\theta^8}{576} .
\end{aligned}
$$

The variance is multiplied by the $N$th power. For Euler this is
$(1 + \omega^2/N^2)^N \approx e^{\omega^2 / N}$: *blurred*. The method of order four loses
variance at small steps, and explodes where $\theta^2 > 8$.

An orthogonal step costs nothing. The implicit midpoint rule
$x' = x + \frac{\theta}{2} J (x + x')$ is Cayley's matrix

$$
x' = \big(I - \tfrac\theta2 J\big)^{-1} \big(I + \tfrac\theta2 J\big)\, x ,
\qquad
\Big| \frac{1 + i\theta/2}{1 - i\theta/2} \Big| = 1 .
$$ (eq-gauges-cayley)

Its angle is $2 \arctan(\theta/2)$ and not $\theta$. It puts each point at the wrong place
and the crowd at the right one.
"""

# %%
rules = (tables.EULER, tables.HEUN, tables.RK4)
spins = [(1.0, 10), (5.0, 10), (5.0, 60), (9.0, 150), (12.0, 5)]


def factors(euler, heun, rk4, times=True):
    """The factor of the variance for each method and pair (omega, N)."""
    out = []
    for rule in (euler, heun, rk4):
        row = [rule(omega / N) ** (N if times else 1) for omega, N in spins]
        out.append(row)
    return tensor(out).log()


# %%
def factors_truth():
    """The same, of the solvers themselves."""
    out = []
    for rule in rules:
        for omega, N in spins:
            ts = tables.uniform(0.0, 1.0, N)
            F = functools.partial(
                lambda w, x, t: w * x @ torch.tensor(J.T), omega
            )
            start = torch.eye(2, dtype=torch.float64)
            end = solvers.solve(tables.runge_kutta(rule, ts), F, start)
            out.append((end**2).sum() / 2)
    return torch.stack(out).reshape(3, -1).log()


# %% tags=["hide-input"]
def by_order(t, p, c):
    """1 + c t^p."""
    return 1 + c * t**p


one = functools.partial(by_order, p=2, c=1)
two = functools.partial(by_order, p=4, c=0.25)


def four(t):
    """The factor of RK4."""
    return 1 - t**6 / 72 + t**8 / 576


# %% tags=["hide-input"]
steps_slips = {
    "a rotation keeps the variance": factors(*[lambda t: 1.0] * 3),
    "one step only": factors(one, two, four, times=False),
    "Euler's deviation for its variance": factors(
        lambda t: one(t) ** 0.5, two, four
    ),
    "Heun: the first term that Euler's misses, $1 + \\theta^4/8$": (
        factors(one, lambda t: 1 + t**4 / 8, four)
    ),
    "RK4 without its last term": factors(
        one, two, lambda t: abs(1 - t**6 / 72)
    ),
}

# %% tags=["hide-input"]
steps_claim = Claim(
    id="gauges/steps",
    says=r"$N$ steps over unit time of $dx/dt = \omega J x$ multiply the "
    r"variance of $\mathcal N(0, I)$ by the $N$th power of $1 + "
    r"\theta^2$ (Euler), $1 + \theta^4/4$ (Heun), $1 - \theta^6/72 + "
    r"\theta^8/576$ (RK4), $\theta = \omega/N$ (five pairs; logarithms "
    r"compared).",
    papers=("041",),
    kind="exact",
    formula=factors(one, two, four),
    controls=steps_slips,
    tol=1e-12,
    because="float64, up to 150 steps",
    truth=factors_truth(),
)
check(steps_claim)

# %% [markdown]
r"""
In the figure look at the distance to the grey line, for a rotation that turns almost once
($\omega = 6$).
"""

# %% mystnb={"figure": {"caption": "The variance of $\\mathcal N(0, I)$ after unit time of the gauge $6\\,Jx$, against the number of steps. Grey: Cayley's step, exactly one. Dashed: explicit methods.", "name": "fig-gauges-price"}, "image": {"alt": "A grey horizontal line at one. A dashed line for Euler falls towards it slowly from far above, one for Heun faster; that for RK4 falls steeply from five to almost zero and then joins the grey line from below."}}
figure, axes = figures.canvas(
    "Explicit steps pay for a gauge, orthogonal ones do not"
)
N = torch.logspace(math.log10(2), 3, 90, dtype=torch.float64).round()
N = N.unique()
axes.axhline(1.0, color=figures.EXACT, lw=3)
figures.label_line(axes, 1000, 1.0, "Cayley")
spots = (one, "Euler", 28.0), (two, "Heun", 8.0), (four, "RK4", 2.0)
for rule, name, spot in spots:
    axes.semilogx(N, rule(6 / N) ** N, "--", color=figures.WRONG, lw=1.4)
    height = rule(6 / spot) ** spot
    figures.label_line(axes, spot, height, name, figures.WRONG)
axes.set(xlim=(1.8, 1000), ylim=(0, 6), xlabel="steps", ylabel="variance")
plt.show()

# %% [markdown]
r"""
## Can one have the gauge for nothing?

By splitting. A step from $\tau$ to $\tau'$ first moves along the gradient part, by
whatever solver serves without a gauge, then along the gauge at the *new* level, by a map
that keeps $p_{\tau'}$. On $\mathcal N(0, \Sigma)$ the first part can be exact,
$x \to C_{\tau'}^{1/2} C_\tau^{-1/2} x$. For the second put $C = C_{\tau'}$,
$\delta = \tau' - \tau < 0$, and apply Cayley's step to $dx/d\tau = -\frac12 K C^{-1} x$:

$$
Z = \Big( I + \tfrac\delta4 K C^{-1} \Big)^{-1}
\Big( I - \tfrac\delta4 K C^{-1} \Big) .
$$ (eq-gauges-split)

In white coordinates $C^{-1/2} Z\, C^{1/2}$ is Cayley's matrix of the antisymmetric
$-\frac\delta2 C^{-1/2} K C^{-1/2}$, hence orthogonal. So $Z C Z^\top = C$: the
covariance is exact for **every number of steps**, one included, however large the gauge
is. The inverse always exists, since an antisymmetric matrix has no real eigenvalue but
zero. The end of each path is right to first order in $\delta$ only.

The gauge has to be that of the law at hand. With the covariance of the old level, or
with none, the matrix is "orthogonal" with respect to another law.
"""

# %% tags=["setup"]
K = np.array([[0.0, 4.0, -2.0], [-4.0, 0.0, 1.0], [2.0, -1.0, 0.0]])
WIDE = np.diag([2.0, 0.5, 0.05]) + 0.04


def cayley(B):
    """(1 - B/2)^-1 (1 + B/2)."""
    return np.linalg.solve(np.eye(3) - B / 2, np.eye(3) + B / 2)


# %%
def split(step, counts=(1, 2, 7)):
    """End covariances with N splitting steps; step(K, C, C old, delta)."""
    out, eye = [], np.eye(3)
    for n in counts:
        ts, C = np.geomspace(T1, T0, n + 1), WIDE + T1 * eye
        for old, new in zip(ts[:-1], ts[1:], strict=True):
            P, Q = WIDE + new * eye, WIDE + old * eye
            score = scipy.linalg.sqrtm(P) @ scipy.linalg.inv(
                scipy.linalg.sqrtm(Q)
            )
            Z = step(K, P, Q, new - old) @ score
            C = Z @ C @ Z.T
        out.append(C)
    return torch.tensor(np.stack(out))


# %%
def split_off(step):
    """The largest error of the end covariance, over its largest entry."""
    want = torch.tensor(WIDE + T0 * np.eye(3))
    return (split(step) - want).abs().max() / want.abs().max()


def kept(K, C, old, delta):
    """Cayley's step along the gauge K C^-1 x of the new level."""
    return cayley(-delta / 2 * K @ np.linalg.inv(C))


# %% tags=["hide-input"]
split_slips = {
    "an Euler step of the gauge": lambda K, C, old, delta: (
        np.eye(3) - delta / 2 * K @ np.linalg.inv(C)
    ),
    "the gauge of the old level": lambda K, C, old, delta: kept(
        K, old, old, delta
    ),
    "orthogonal, but for round laws": lambda K, C, old, delta: cayley(
        -delta / 2 * K
    ),
    "$C^{-1} K$ for $K C^{-1}$": lambda K, C, old, delta: cayley(
        -delta / 2 * np.linalg.inv(C) @ K
    ),
}

# %% tags=["hide-input"]
split_claim = Claim(
    id="gauges/split",
    says=r"Steps that first follow the score exactly and then the gauge $K "
    r"C_{\tau'}^{-1} x$ by Cayley's matrix end with the exact "
    r"covariance for $1$, $2$ and $7$ steps alike ($\mathcal N(0, "
    r"\Sigma)$, $d = 3$, $\tau$ from $9$ to $0.04$).",
    papers=("041",),
    kind="exact",
    formula=kept,
    controls=split_slips,
    tol=1e-13,
    because="float64; matrix roots and inverses, some 20 steps",
    measure=split_off,
)
check(split_claim)

# %% [markdown]
r"""
So conservativity is a *numerical* virtue. A model without a gauge loses no law to
rotation, at any step; a model with one does, unless the solver knows the split. And
nobody who has only a network knows it: [the split](helmholtz.ipynb) needs an equation in
all of space. It is cheaper not to have a gauge than to treat it well.

## Break it

- In `gauges/density` remove `"stirred"` from `harmless`. The control without
$\nabla \cdot r$ is no longer rejected: the other gauge has no divergence.
- Set $\Sigma$ to a multiple of $I$ in `gauges/map`. The root of the determinant and the
sum of deviations then give one angle, and left and right do not matter.
- In `gauges/test` raise the gauge from $3\,J s$ to $300\,J s$. It still passes. Then add
$0.12\,s$ to it: it passes too, because of [the power](#eq-gauges-power-of-test).

## What this does not show

The test is about all $\varphi$; we used eight. A model that passes is right in eight
averages at one noise level, and an error orthogonal to these gradients is not seen. In
many dimensions eight are next to none. The standard errors are those of independent
samples of $p$, of which one has as many as data. Nothing here says that trained
networks err by gauges: score matching punishes both parts alike. The exact likelihoods
assume that the start is drawn from $p_T$ itself and the integral is exact; with probes
in place of the divergence the symmetric part of $\nabla r$ adds to their variance. A
method of high order at many steps pays so little that nobody will notice. Splitting on
a law that is not Gaussian needs a map that keeps $p_{\tau}$ and that we did not
construct. And a gauge that harms no law may harm whatever reads the field at one point.

## Exercises

**1.** A gauge $r = \omega J C^{-1} x$ of $\mathcal N(0, C)$ in the plane. By which factor
do `N` Euler steps of length `step` along it multiply the covariance? Write it as a
function of `omega`, `det` ($= \det C$), `step` and `N`.
"""

# %%
turns = {
    "omega": tensor([1.0, 2.0, -3.0, 0.5]),
    "det": tensor([0.2, 4.0, 1.5, 0.6]),
    "step": tensor([0.1, 0.2, 0.05, 0.3]),
    "N": tensor([3.0, 5.0, 20.0, 1.0]),
}


def factor_truth(omega, det, step, N):
    """By N steps of one covariance with the given determinant."""
    out = []
    for w, D, h, n in zip(omega, det, step, N, strict=True):
        C = np.array([[2.0, 0.3], [0.3, (float(D) + 0.09) / 2]])
        Z = EYE + float(h * w) * J @ np.linalg.inv(C)
        Z = np.linalg.matrix_power(Z, int(n))
        out.append((Z @ C @ Z.T)[0, 0] / C[0, 0])
    return tensor(out)


# %% tags=["hide-input"]
factor_wrongs = {
    "this is the factor on a round law, C = I": lambda omega, det, step, N: (
        (1 + (omega * step) ** 2) ** N
    ),
    "the eigenvalues of J C^-1 have the modulus 1 / sqrt(det)": (
        lambda omega, det, step, N: (1 + (omega * step / det) ** 2) ** N
    ),
    "of the deviation; the covariance has its square": (
        lambda omega, det, step, N: (1 + (omega * step) ** 2 / det) ** (N / 2)
    ),
    "N steps multiply, they do not add": lambda omega, det, step, N: (
        1 + N * (omega * step) ** 2 / det
    ),
}

# %% tags=["hide-input"]
factor_exercise = Claim(
    id="gauges/factor-exercise",
    says="the factor of the covariance in Euler steps along a gauge",
    papers=("041",),
    kind="exact",
    formula=None,
    controls=factor_wrongs,
    tol=1e-12,
    because="float64",
    at=turns,
    truth=factor_truth,
)


# %% tags=["solution", "hide-cell"]
def euler_factor(omega, det, step, N):
    """J C^-1 J' = C / det: the increments add (omega step)^2 / det."""
    return (1 + (omega * step) ** 2 / det) ** N


# %%
attempt(factor_exercise, euler_factor)

# %% [markdown]
r"""
**2.** *Derive.* A model on $\mathcal N(0, \lambda)$, one dimension, has $\hat s = c\,s$.
Its own density $q$ at the end of a path is exact as a density of the model. By how much
is $\log q_0(x) - \log p_0(x)$ wrong at the point `x`, if the flow ran from the variance
`V1` to `V0`? ([The defect](#eq-gauges-defect) is one way,
[the end variance](#eq-gauges-power) another.)
"""

# %%
lines = {
    "x": tensor([0.3, -1.0, 2.0, 0.1]),
    "c": tensor([0.9, 1.3, 1.1, 0.5]),
    "V0": tensor([0.5, 1.0, 2.0, 0.2]),
    "V1": tensor([9.0, 4.0, 30.0, 2.0]),
}


def wrong_truth(x, c, V0, V1):
    """The integral of (c - 1)(1/V - y^2/V^2) / 2 along y, by quadrature."""
    out = []
    for y, k, low, high in zip(x, c, V0, V1, strict=True):
        y, k, low, high = map(float, (y, k, low, high))

        def rate(V, y=y, k=k, low=low):
            path = y**2 * (V / low) ** k
            return (k - 1) / 2 * (1 / V - path / V**2)

        out.append(integrate.quad(rate, low, high, epsabs=1e-13)[0])
    return tensor(out)


# %% tags=["hide-input"]
def two_bells(variance):
    """log N(x; 0, variance) - log N(x; 0, V0)."""

    def answer(x, c, V0, V1):
        v = variance(c, V0, V1)
        return ((V0 / v).log() + x**2 / V0 - x**2 / v) / 2

    return answer


# %% tags=["hide-input"]
defect_wrongs = {
    "this is the law of which c s is the score": two_bells(
        lambda c, V0, V1: V0 / c
    ),
    "the sign: log q - log p": lambda x, c, V0, V1: (
        -two_bells(lambda c, V0, V1: V1 * (V0 / V1) ** c)(x, c, V0, V1)
    ),
    "V0 and V1 changed places": two_bells(
        lambda c, V0, V1: V0 * (V1 / V0) ** c
    ),
    "x moves like V^(c/2), so its variance like V^c": two_bells(
        lambda c, V0, V1: V1 * (V0 / V1) ** (c / 2)
    ),
}

# %% tags=["hide-input"]
defect_exercise = Claim(
    id="gauges/defect-exercise",
    says="the error of the log-density of a scaled score",
    papers=("041",),
    kind="exact",
    formula=None,
    controls=defect_wrongs,
    tol=1e-10,
    because="quadrature",
    at=lines,
    truth=wrong_truth,
)


# %% tags=["solution", "hide-cell"]
def wrong_by(x, c, V0, V1):
    """Two centred Gaussians, of variances V1 (V0 / V1)^c and V0."""
    v = V1 * (V0 / V1) ** c
    return ((V0 / v).log() + x**2 / V0 - x**2 / v) / 2


# %%
attempt(defect_exercise, wrong_by)

# %% [markdown]
r"""
**3.** *Experiment.* Given `K` (antisymmetric), `C` and a length `step`, return the matrix
of a step along $dx/dt = K C^{-1} x$ that keeps the covariance `C` exactly, whatever the
length, **and** misses the true end by $O(\delta^3)$ or better. (Then put it into `split`,
in one of the two factors or half in each, and measure the order in which the *paths*
converge.)
"""

# %%
SOFT = np.array([[1.0, 0.2, 0.0], [0.2, 0.6, 0.1], [0.0, 0.1, 0.3]])


def kept_and_near(answer):
    """The larger of: the change of C, and what is left after two terms."""
    errors = []
    for h in (0.02, 0.01):
        Z = np.asarray(answer(K, SOFT, h))
        B = h * K @ np.linalg.inv(SOFT)
        errors.append(abs(Z @ SOFT @ Z.T - SOFT).max())
        left = abs(Z - np.eye(3) - B - B @ B / 2).max()
        size = np.linalg.norm(B, 2)
        errors.append(max(0.0, left - size**3))
    return max(errors)


# %% tags=["hide-input"]
def whitened(K, C, h):
    """Orthogonal with respect to the identity, not to C."""
    return cayley(h * K)


# %% tags=["hide-input"]
order_wrongs = {
    "an Euler step leads outwards": lambda K, C, h: (
        np.eye(3) + h * K @ np.linalg.inv(C)
    ),
    "this keeps round laws only": whitened,
    "two terms of the series are near, but do not keep C": (
        lambda K, C, h: (
            np.eye(3)
            + h * K @ np.linalg.inv(C)
            + h**2 / 2 * K @ np.linalg.inv(C) @ K @ np.linalg.inv(C)
        )
    ),
    "it keeps C, but goes half the way": lambda K, C, h: cayley(
        h / 2 * K @ np.linalg.inv(C)
    ),
    "the gauge is K C^-1, not C^-1 K": lambda K, C, h: cayley(
        h * np.linalg.inv(C) @ K
    ),
}

# %% tags=["hide-input"]
order_exercise = Claim(
    id="gauges/order-exercise",
    says="a step along a linear gauge that keeps the covariance",
    papers=("041",),
    kind="exact",
    formula=None,
    controls=order_wrongs,
    tol=1e-11,
    because="float64, matrices of condition below ten",
    measure=kept_and_near,
)


# %% tags=["solution", "hide-cell"]
def gauge_step(K, C, step):
    """Cayley's matrix; the exponential would do as well."""
    B = step * K @ np.linalg.inv(C)
    return np.linalg.solve(np.eye(3) - B / 2, np.eye(3) + B / 2)


# %%
attempt(order_exercise, gauge_step)

# %% [markdown]
r"""
## Summary

| what | formula | in `diffkit` |
|---|---|---|
| path | $C_\tau^{1/2}\, O\, C_{\tau_1}^{-1/2}$, $O$ orthogonal | |
| wrong gradient | $V_1 (V_\tau / V_1)^c$ for $c\,s$ | |
| likelihood | $\log p_T(x_T) + \int \nabla \cdot F\, d\sigma$, all of $F$ | `solvers.flow` |
| its error | $-\int \sigma (\nabla \cdot r + r \cdot s)\, d\sigma$ | `fields.gauge_residual` |
| test | $\mathbb E_p[\nabla\varphi \cdot \hat s + \Delta\varphi] = 0$ | |
| Euler | adds $\delta^2\, \mathbb E_p[r r^\top]$ | |
| rotation | $(1 + \omega^2/N^2)^N$ | |
| no price | Cayley's step at the new level | |

**Where next.** [The residual](residual.ipynb) asks how an error shows in the equation of
Fokker and Planck, and when flow and diffusion part.
"""
