# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# The angle calculus: what few steps lose, and where to put them

For Gaussian data the most used first-order sampler has a law in closed form, for any
number of steps, on any grid. Each step loses the cosine of an angle. From this one
fact follow the size of the error, the best grid, the cosine schedule, what a search
over solvers can gain, and what a trip from the image to the noise and back costs.

- **You need** [the flow of a Gaussian](../gaussian/painters.ipynb) and its angle
$\theta$; DDIM as in [the notation](../start/notation.ipynb).
- **You get** exact laws of few-step samplers, best grids, and a rule that replaces
the search for one.
- **Papers** 102, AutoDiffusion {cite}`li2023autodiffusion`; 064
{cite}`li2025hyperparameters`; 079, USF {cite}`liu2024usf`.
- **Claims** on small spectra, on digits and on a mixture, all named `angles/...`.
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
import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
import sympy
import torch
from scipy.optimize import minimize, minimize_scalar
from scipy.special import ndtr

# %% tags=["setup"]
from diffkit import (
    chains,
    data,
    figures,
    laws,
    paths,
    shapes,
    solvers,
    tables,
    worlds,
)
from diffkit.claims import Claim, attempt, check
from diffkit.laws.line import monotone
from diffkit.solvers.line import panels

# %% tags=["setup"]
exactly = functools.partial(torch.tensor, dtype=torch.float64)
even = functools.partial(torch.linspace, dtype=torch.float64)
edm = paths.edm()


def with_digits(values, places=2):
    """The values, and again as they are printed."""
    values = exactly(values)
    return torch.stack([values, values.mul(10**places).round() / 10**places])


# %% [markdown]
r"""
## What does one step do?

Let $x_t = a_t x_0 + g_t z$ with $x_0 \sim \mathcal N(0, \lambda)$ in one dimension,
$\lambda > 0$, and write the path as a moving point of the plane,

$$
P_t = (a_t \sqrt\lambda,\ g_t) = \psi_t\, e_t, \qquad
e_t = (\cos\theta_t, \sin\theta_t) .
$$ (eq-angles-plane)

Its length $\psi_t = \sqrt{a_t^2 \lambda + g_t^2}$ is the standard deviation of $x_t$,
and its direction has the angle $\theta_t = \arctan\frac{g_t}{a_t \sqrt\lambda}$: zero
where all is data, $\frac\pi2$ where all is noise. For a given $\lambda$ the direction
depends on the noise-to-signal ratio alone, and not on the path.

The posterior means of $x_0$ and of $z$ are linear in $x_t$. With $c = x_t/\psi_t$, which
[the exact flow keeps](../gaussian/painters.ipynb),

$$
\begin{aligned}
D &= \frac{a_t \lambda}{\psi_t^2}\, x_t = c\, \sqrt\lambda \cos\theta_t, \\
N &= \frac{g_t}{\psi_t^2}\, x_t = c\, \sin\theta_t .
\end{aligned}
$$ (eq-angles-guesses)

**DDIM** {cite}`song2021ddim` holds both guesses still and moves the coefficients:
$x_s = a_s D + g_s N$. Insert [the guesses](#eq-angles-guesses):

$$
x_s = c\, (a_s \sqrt\lambda \cos\theta_t + g_s \sin\theta_t)
= c\; P_s \cdot e_t = c\, \psi_s \cos(\theta_t - \theta_s) .
$$ (eq-angles-step)

The flow goes to $c\, \psi_s$, the length of the new point. DDIM goes to its
**projection** on the old direction. The step is exact but for one cosine, and the
cosine does not know how long the step is in any clock, nor which way it goes.

[Teleportation](../gaussian/teleport.ipynb) has this for the steps that it skips
(`teleport/cosines`) and [Shortest paths](../gaussian/shortest.ipynb) for filters in
place of $a$ (`shortest/gain`). Here we want the law of whole runs. Let $x_0 \sim
\mathcal N(m, C)$ in $\mathbb R^d$, $C u_k = \lambda_k u_k$. The guesses act on every
$u_k$ separately, so after any grid $t_0 > \dots > t_N$

$$
\begin{gathered}
\operatorname{sd}_k = \psi_k(t_N)\, G_k, \\
G_k = \prod_{n=1}^{N} \cos\bigl(\theta_k(t_{n-1}) - \theta_k(t_n)\bigr),
\end{gathered}
$$ (eq-angles-gain)

if the start is drawn from $p_{t_0}$. Two limits. For $\lambda_k = 0$ the angle is
$\frac\pi2$ at every $t > 0$; we give it that value at $t = 0$ as well, nothing turns,
$G_k = 1$, and $\psi_k(0) = 0$ is hit exactly. At $a_t = 0$ all angles are $\frac\pi2$: a
grid may start from pure noise.
"""

# %% mystnb={"figure": {"caption": "One step for one variance. The point $P_t$ has the standard deviation of $x_t$ as its length. The flow goes to the length of $P_s$, DDIM to the length of its projection on the old direction.", "name": "fig-angles-plane"}, "image": {"alt": "A quarter plane with two arrows from the origin, at 70 and 35 degrees. From the tip of the lower one a dotted line falls at a right angle on the upper one, where a red dashed segment ends, shorter than the lower arrow."}}
figure, axes = figures.canvas(
    "DDIM projects the next point", width=4.4, height=3.0
)
old, new = math.radians(70), math.radians(35)
ahead = 1.15 * exactly([math.cos(new), math.sin(new)])
foot = 1.15 * math.cos(old - new) * exactly([math.cos(old), math.sin(old)])
axes.plot([0, 1.5 * math.cos(old)], [0, 1.5 * math.sin(old)], color="#7d8590")
axes.plot([0, ahead[0]], [0, ahead[1]], color=figures.EXACT, lw=3)
axes.plot([0, foot[0]], [0, foot[1]], color=figures.WRONG, ls="--", lw=2.5)
axes.plot(*torch.stack([ahead, foot]).T, color=figures.EXACT, ls=":")
figures.label_line(axes, 1.5 * math.cos(old), 1.42, "$P_t$")
figures.label_line(axes, *ahead, "$P_s$: the flow")
figures.label_line(axes, foot[0] - 0.34, foot[1], "DDIM", figures.WRONG)
axes.set(xlabel=r"$a\sqrt{\lambda}$", ylabel="$g$", aspect="equal")
axes.set(xlim=(0, 1.7), ylim=(0, 1.5), xticks=[0], yticks=[0])
plt.show()

# %% [markdown]
r"""
The second route knows no angle and no eigenvector. It takes a full $3 \times 3$
covariance with one eigenvalue zero, finds both guesses by linear solves, and carries
mean and covariance through every step of random grids down to $t = 0$, on four paths.
"""

# %% tags=["setup"]
three = exactly([4.0, 0.3, 0.0])
Q = torch.linalg.qr(torch.randn(3, 3, generator=shapes.rng(0)).double())[0]
mean = exactly([1.0, -2.0, 0.5])
four = (paths.vp(), paths.cosine(), paths.edm(20.0), paths.one_sided())


def random_times(path, seed, n=6):
    """A random grid of n steps from T to 0."""
    u = torch.rand(n - 1, generator=shapes.rng(seed)).double()
    u = path.T * u.sort(descending=True)[0] ** 2
    return torch.cat([exactly([path.T]), u, exactly([0.0])])


grids = [random_times(path, i) for i, path in enumerate(four)]


# %%
def by_solves(path, ts, covariance, offset):
    """Mean and covariance at the last time, by full matrices."""
    C, eye = (Q * three) @ Q.mT, torch.eye(3, dtype=torch.float64)
    m, S, c = offset, covariance, path.at(ts)
    for i in range(len(ts) - 1):
        seen = c.a[i] ** 2 * C + c.g2[i] * eye
        D = torch.linalg.solve(seen, c.a[i] * C).mT
        N = c.g[i] * torch.linalg.inv(seen)
        M = c.a[i + 1] * D + c.g[i + 1] * N
        S, off = M @ S @ M.mT, m - c.a[i] * mean
        m = c.a[i + 1] * mean + M @ off
    return m, S


def from_law(path, ts):
    """The covariance after a run from p_T."""
    c = path.at(ts[0])
    S = c.a**2 * (Q * three) @ Q.mT + c.g2 * torch.eye(3).double()
    return by_solves(path, ts, S, c.a * mean)[1]


# %%
def everywhere(f):
    """f(path, grid) on the four paths, stacked."""
    return torch.stack([f(p, ts) for p, ts in zip(four, grids, strict=True)])


def law_with(share):
    """U diag(lam share^2) U', share of each mode from (path, grid)."""

    def law(path, ts):
        return (Q * three * share(path, ts) ** 2) @ Q.mT

    return lambda: everywhere(law)


def turns(path, ts, lam=three):
    """The angles through which each mode turns, (n, k)."""
    thetas = [chains.angle(path, lam, t) for t in ts]
    return torch.stack(thetas).diff(dim=0)


# %% tags=["hide-input"]
law_slips = {
    "the variance for the standard deviation in the angle": law_with(
        lambda p, ts: turns(p, ts, three**2).cos().prod(0)
    ),
    "no variance in the angle": law_with(
        lambda p, ts: turns(p, ts, torch.ones(3).double()).cos().prod(0)
    ),
    "the whole turn at once": law_with(
        lambda p, ts: turns(p, ts).sum(0).cos()
    ),
    "over-dispersion: divided by the cosines": law_with(
        lambda p, ts: 1 / turns(p, ts)[:-1].cos().prod(0)
    ),
}

# %% tags=["hide-input"]
law_claim = Claim(
    id="angles/law",
    says=r"DDIM from $p_T$ to $t = 0$ with the exact denoiser of "
    r"$\mathcal N(m, C)$ ends with the covariance $\sum_k \lambda_k "
    r"\prod_n \cos^2(\theta_{k,n-1} - \theta_{k,n})\, u_k u_k^\top$, "
    r"$\tan\theta_{k,n} = g_n / (a_n \sqrt{\lambda_k})$ (full covariance "
    r"of rank 2 in 3 dimensions, random grids of six steps on four paths).",
    papers=("102", "064"),
    kind="exact",
    formula=law_with(lambda p, ts: chains.cosines(p, three, ts)),
    controls=law_slips,
    tol=1e-13,
    because="float64; six solves, and small noise levels cost a digit",
    truth=lambda: everywhere(from_law),
)
check(law_claim)

# %% [markdown]
r"""
**And from pure noise?** A sampler does not know $p_T$; it starts from $\mathcal N(0,
g_T^2 I)$. On mode $k$ the start then has the standard deviation $g_T = \psi_k(T)
\sin\theta_k(T)$ in place of $\psi_k(T)$, and the mean $0$ in place of $a_T m_k$, $m_k =
u_k^\top m$. Both go through the same product. An offset $-a_T m_k$ of the start ends
as $-a_T m_k\, \sqrt{\lambda_k} / \psi_k(T)\; G_k = -m_k \cos\theta_k(T)\, G_k$, so

$$
\begin{aligned}
\operatorname{sd}_k &= \sqrt{\lambda_k}\; \sin\theta_k(T)\; G_k, \\
\operatorname{mean}_k &= m_k\, \bigl(1 - \cos\theta_k(T)\; G_k\bigr) .
\end{aligned}
$$ (eq-angles-start)

The missing prior costs a sine, which is one up to $\frac12 (\frac\pi2 - \theta)^2$, and a
share of the mean, which is of *first* order in $\frac\pi2 - \theta$: the first thing seen
of a schedule that stops too early is that images keep a wrong mean
([as measured](../gaussian/terminal.ipynb)).
"""


# %%
def from_noise(path, ts):
    """Mean and covariance after a run from N(0, g_T^2 I), (4, 3)."""
    S = path.at(ts[0]).g2 * torch.eye(3).double()
    m, S = by_solves(path, ts, S, torch.zeros(3).double())
    return torch.cat([m[None], S])


def start_with(sd, kept):
    """The same by sd and kept(theta_T, G), the share of the mean lost."""

    def end(path, ts):
        G = chains.cosines(path, three, ts)
        theta = chains.angle(path, three, ts[0])
        m = Q @ ((1 - kept(theta, G)) * (Q.mT @ mean))
        return torch.cat([m[None], (Q * three * sd(theta, G) ** 2) @ Q.mT])

    return lambda: everywhere(end)


# %% tags=["hide-input"]
start_slips = {
    "as if from $p_T$": start_with(lambda u, G: G, lambda u, G: 0 * G),
    "sine and cosine exchanged": start_with(
        lambda u, G: u.cos() * G, lambda u, G: u.sin() * G
    ),
    "the mean not shrunk by $G$": start_with(
        lambda u, G: u.sin() * G, lambda u, G: u.cos()
    ),
}

# %% tags=["hide-input"]
start_claim = Claim(
    id="angles/start",
    says=r"Started from $\mathcal N(0, g_T^2 I)$, DDIM ends with standard "
    r"deviations $\sqrt{\lambda_k} \sin\theta_k(T)\, G_k$ and the mean "
    r"$m_k (1 - \cos\theta_k(T)\, G_k)$ on each eigenvector (the worlds of "
    r"`angles/law`).",
    papers=("102",),
    kind="exact",
    formula=start_with(lambda u, G: u.sin() * G, lambda u, G: u.cos() * G),
    controls=start_slips,
    tol=1e-13,
    because="as before",
    truth=lambda: everywhere(from_noise),
)
check(start_claim)

# %% [markdown]
r"""
## Why are few-step samples too narrow, and by how much?

On a grid that goes one way all turns have one sign and add up to $\Theta \le
\frac\pi2$. So each cosine is in $[0, 1]$, and $G_k < 1$ unless nothing turns: **DDIM
under-disperses every mode with $\lambda_k > 0$, on every grid.** No network error is
needed for that. How much can be kept at best has a closed form.

**Theorem.** *Among all grids of $N$ steps between two levels, DDIM keeps most of a
mode of variance $\lambda$ on that of equal angles, and only there:*

$$
\begin{gathered}
\sigma_n = \sqrt\lambda\, \tan \theta_n, \quad
\theta_n = \theta_0 + \tfrac nN (\theta_N - \theta_0), \\
G^* = \cos^N \frac{\Theta}{N}, \qquad \Theta = \theta_0 - \theta_N .
\end{gathered}
$$ (eq-angles-best)

*Proof.* $\log\cos$ is strictly concave on $[0, \frac\pi2)$, as its second derivative is
$-1/\cos^2$. By Jensen's inequality $\frac1N \sum \log\cos\Delta_n \le \log\cos
\bigl(\frac1N \sum \Delta_n\bigr) = \log \cos\frac\Theta N$, with equality only if all
turns are equal. A grid that goes back and forth has turns whose sizes add up to more than
$\Theta$, and loses more. (For $N = 1$ there is nothing to choose, and $\Theta = \frac\pi2$ gives
$0$: one step from pure noise returns the mean.) $\square$

For its size take $\log\cos x = -\frac{x^2}2 - \frac{x^4}{12} - \dots$ at $x =
\Theta/N$, multiply by $N$, and expand the exponential:

$$
\begin{aligned}
\cos^N \frac\Theta N &= 1 - \frac{\Theta^2}{2N} + \frac{\Theta^4}{8 N^2} \\
&\quad - \frac{1}{N^3} \Bigl(\frac{\Theta^6}{48} + \frac{\Theta^4}{12}\Bigr)
+ O(N^{-4}) .
\end{aligned}
$$ (eq-angles-expansion)

From pure noise $\Theta^2/2 = \pi^2/8$: the best grid of $N$ steps leaves every image too
narrow by about $1.23/N$. No grid changes the rate, which is that of a method of first order;
grids change the constant.
"""

# %%
Theta, h = sympy.symbols("Theta h", positive=True)
best_power = sympy.exp(sympy.log(sympy.cos(Theta * h)) / h)
series = sympy.series(sympy.log(sympy.cos(Theta * h)) / h, h, 0, 5).removeO()
third = sympy.series(sympy.exp(series), h, 0, 4).removeO()


def terms(one, two, three_):
    """1 - one h + two h^2 - three h^3, h = 1/N."""
    return 1 - one * h + two * h**2 - three_ * h**3


T2, T4, T6 = Theta**2, Theta**4, Theta**6

# %% tags=["hide-input"]
expansion_claim = Claim(
    id="angles/expansion",
    says=r"$\cos^N(\Theta/N) = 1 - \frac{\Theta^2}{2N} + "
    r"\frac{\Theta^4}{8N^2} - \frac{1}{N^3} (\frac{\Theta^6}{48} + "
    r"\frac{\Theta^4}{12}) + O(N^{-4})$.",
    papers=("102", "064"),
    kind="symbolic",
    formula=terms(T2 / 2, T4 / 8, T6 / 48 + T4 / 12),
    controls={
        "no one half": terms(T2, T4 / 8, T6 / 48 + T4 / 12),
        "the exponential of the first term": terms(T2 / 2, T4 / 8, T6 / 48),
        "the second term from one cosine": terms(T2 / 2, T4 / 24, T6 / 720),
    },
    truth=third,
)
check(expansion_claim)

# %% [markdown]
r"""
To test the theorem by enumeration we need a route without angles. A step from $\sigma$
to $\sigma'$ in $y = x/a$ multiplies a mode by $(\lambda + \sigma\sigma')/(\lambda +
\sigma^2)$. On a lattice of 401 levels there are more than $10^9$ grids of five steps,
and dynamic programming goes through all of them: the best way to level $j$ in $n$ steps
is the best way to some level $i$ in $n - 1$ steps, and a step. For comparison we note what
the usual rules keep in the first case, $\lambda = 0.4$, five steps from $20$.
"""


# %% tags=["setup"]
def factor(kind, lam, s, to):
    """What a step does to a mode in y = x / a: e noise, s score frozen."""
    if kind == "e":
        return (lam + s * to) / (lam + s * s)
    return 1 - (s * s - to * to) / (2 * (lam + s * s))


def relative(kind, lam, s, to):
    """The same over the exact factor."""
    exact = ((lam + to * to) / (lam + s * s)) ** 0.5
    return factor(kind, lam, s, to) / exact


# %%
def of_all_grids(kind, lam, levels, n):
    """The least loss |log| over all grids of n steps on the levels."""
    logs = relative(kind, lam, levels[:, None], levels).log()
    loss = logs.abs() + torch.full_like(logs, math.inf).tril()
    loss.fill_diagonal_(math.inf)
    way = loss[0]
    for _ in range(n - 1):
        way = (way[:, None] + loss).amin(0)
    return way[-1]


cases = [(0.4, 20.0, 5), (1.0, 10.0, 5), (0.4, 20.0, 8), (9.0, 80.0, 4)]


def by_enumeration(lam, high, n):
    """exp(-least loss) of DDIM on 401 levels, among them equal angles."""
    theta = even(math.atan(high / math.sqrt(lam)), 0, 401)
    return (-of_all_grids("e", lam, math.sqrt(lam) * theta.tan(), n)).exp()


# %%
def kept_by(grid):
    """The share that DDIM keeps in the cases, on the levels grid(...)."""

    def kept(lam, high, n):
        s = torch.as_tensor(grid(lam, high, n), dtype=torch.float64)
        return relative("e", lam, s[:-1], s[1:]).prod()

    return lambda: torch.stack([kept(*case) for case in cases])


def power(lam, high, n):
    """cos(Theta / n)^n."""
    return exactly(math.cos(math.atan(high / math.sqrt(lam)) / n) ** n)


# %% tags=["hide-input"]
rules = {
    "equal steps in $\\sigma$": kept_by(lambda v, s, n: even(s, 0, n + 1)),
    "equal steps in $\\log\\sigma$, and one to the data": kept_by(
        lambda v, s, n: tables.to_data(tables.by_nsr(edm, s, 0.02, n - 1))
    ),
    "$\\rho = 7$, and one to the data": kept_by(
        lambda v, s, n: tables.to_data(tables.by_rho(edm, s, 0.02, n - 1))
    ),
    "equal angles of twice the variance": kept_by(
        lambda v, s, n: tables.by_angle(edm, 2 * v, s, 0, n)
    ),
}


# %% tags=["hide-input"]
def and_rules(kept):
    """kept, and what the first three rules keep in the first case."""
    first = [rule()[0].item() for rule in list(rules.values())[:3]]
    return torch.cat([kept, with_digits(first)[1]])


def all_cases():
    """By enumeration, and the three rules as printed."""
    best = [by_enumeration(*case) for case in cases]
    return torch.cat([torch.stack(best), exactly([0.16, 0.66, 0.63])])


# %% tags=["hide-input"]
equal_claim = Claim(
    id="angles/equal",
    says=r"Of all grids of $N$ DDIM steps on 401 levels from $\sigma_0$ to "
    r"0, the best keeps $\cos^N(\Theta/N)$ of the standard deviation, "
    r"$\Theta = \arctan(\sigma_0/\sqrt\lambda)$ (four triples of "
    r"$\lambda$, $\sigma_0$, $N$). At 0.4, 20, 5 that is 0.79; $\rho = 7$ "
    r"(to 0.02, then 0) keeps 0.63, even $\log\sigma$ 0.66, even $\sigma$ "
    r"0.16.",
    papers=("102", "064"),
    kind="exact",
    formula=lambda: and_rules(torch.stack([power(*case) for case in cases])),
    controls={k: lambda f=f: and_rules(f()) for k, f in rules.items()},
    tol=1e-13,
    because="float64; the lattice contains the equal angles",
    truth=all_cases,
)
check(equal_claim)

# %% [markdown]
r"""
## Where does the cosine schedule come from?

A path whose *uniform* times are equal angles for the variance $\lambda$ needs $\theta_t =
\frac\pi2 t$, that is $g/a = \sqrt\lambda \tan\frac{\pi t}2$. If it preserves variance,
$a^2 = 1/(1 + g^2/a^2)$, so

$$
a_t^2 = \frac{\cos^2 \frac{\pi t}{2}}
{\cos^2 \frac{\pi t}{2} + \lambda \sin^2 \frac{\pi t}{2}},
\qquad
\log \frac{a_t^2}{g_t^2} = 2 \log\cot \frac{\pi t}2 - \log\lambda .
$$ (eq-angles-cosine)

For $\lambda = 1$ this is $a = \cos\frac{\pi t}2$: the **cosine schedule**
{cite}`nichol2021improved`, but for its small offset. Proposed on empirical grounds, it is
the best of all schedules for DDIM on data of unit variance. For another variance the
log-SNR is shifted by $-\log\lambda$. Data of small variance want their steps at low
noise.
"""

# %%
c2, v = sympy.symbols("c2 lambda", positive=True)  # c2 = cos^2(pi t / 2)


def speed(a2):
    """(d theta / dt)^2 - pi^2 / 4 of the VP path a^2, theta of lambda."""
    tan2 = sympy.cancel((1 - a2) / (a2 * v))
    pace2 = sympy.pi**2 * c2 * (1 - c2)  # of c2, squared
    turn2 = tan2.diff(c2) ** 2 * pace2 / (4 * tan2 * (1 + tan2) ** 2)
    return sympy.cancel(turn2 - sympy.pi**2 / 4)


# %% tags=["hide-input"]
cosine_claim = Claim(
    id="angles/cosine",
    says=r"On the variance-preserving path $a^2 = \cos^2\frac{\pi t}2 / "
    r"(\cos^2\frac{\pi t}2 + \lambda\sin^2\frac{\pi t}2)$ the angle of "
    r"the variance $\lambda$ has the constant speed $\frac\pi2$; at "
    r"$\lambda = 1$ it is the cosine schedule.",
    papers=("102",),
    kind="symbolic",
    formula=c2 / (c2 + v * (1 - c2)),
    controls={
        "the cosine schedule for every variance": c2,
        "shifted the other way": v * c2 / (v * c2 + 1 - c2),
        "$\\lambda^2$ for $\\lambda$": c2 / (c2 + v**2 * (1 - c2)),
    },
    measure=speed,
)
check(cosine_claim)

# %% [markdown]
r"""
## And if the score is frozen instead?

Freeze the score $S$ of $y = x/a$ over the step, in the clock $\sigma^2$: $y' = y -
\frac12(\sigma'^2 - \sigma^2) S$. With $S = -y/(\lambda + \sigma^2)$ and $\eta = \frac12
\log(\lambda + \sigma^2)$ the step multiplies by

$$
1 + \frac{\sigma'^2 - \sigma^2}{2(\lambda + \sigma^2)}
= \tfrac12 \bigl(1 + e^{2(\eta' - \eta)}\bigr)
= e^{\eta' - \eta} \cosh(\eta' - \eta) .
$$ (eq-angles-cosh)

The exact factor is $e^{\eta' - \eta}$. So this sampler *over-disperses*, by a product of
hyperbolic cosines; as $\log\cosh$ is strictly convex, its least loss is $\cosh^N (H/N)$,
$H = \eta_0 - \eta_N$, on the grid of equal steps in $\log\psi$, and only there. While
$\Theta \le \frac\pi2$ whatever the grid, $H = \frac12 \log(1 + \sigma_0^2/\lambda)$ has no
bound as $\lambda \to 0$. At $\lambda = 0$ the last step to $\sigma = 0$ halves $y$ where
the flow brings it to $0$, and the ratio is infinite: freezing the score is the wrong thing
for thin data.
"""


# %%
def score_route(lam, high, n):
    """Two shares: a random grid, step by step, and the best of 401 levels."""
    u = high * torch.rand(n - 1, generator=shapes.rng(n)).double() ** 3
    s = torch.cat([exactly([high]), u.sort(descending=True)[0], 0 * u[:1]])
    y = math.sqrt(lam + high**2)
    for a, b in zip(s[:-1].tolist(), s[1:].tolist(), strict=True):
        y = y - (b * b - a * a) / 2 * (-y / (lam + a * a))
    psi2 = (even(math.log(lam + high**2), math.log(lam), 401)).exp()
    levels = (psi2 - lam).clamp(min=0).sqrt()
    best = of_all_grids("s", lam, levels, n).exp()
    return s, torch.stack([exactly(y / math.sqrt(lam)), best])


routes = [score_route(*case) for case in cases]


# %%
def coshes_with(f, H=lambda lam, s: (lam + s * s).log() / 2):
    """The same two shares from f(turn), the steps in H."""
    out = []
    for (lam, high, n), (s, _) in zip(cases, routes, strict=True):
        whole = (H(lam, exactly(high)) - H(lam, exactly(0.0))) / n
        out.append(torch.stack([f(H(lam, s).diff()).prod(), f(whole) ** n]))
    return torch.stack(out)


# %% tags=["hide-input"]
cosh_slips = {
    "cosines: under-dispersion": lambda: coshes_with(torch.cos),
    "$\\log(\\lambda + \\sigma^2)$ without the half": lambda: coshes_with(
        torch.cosh, lambda lam, s: (lam + s * s).log()
    ),
    "the angle in the hyperbolic cosine": lambda: coshes_with(
        torch.cosh, lambda lam, s: (s / math.sqrt(lam)).atan()
    ),
}

# %% tags=["hide-input"]
cosh_claim = Claim(
    id="angles/cosh",
    says=r"With the score of $x/a$ frozen in $\sigma^2$, a mode ends "
    r"$\prod\cosh(\eta_{n-1} - \eta_n)$ times too wide, $\eta = \frac12 "
    r"\log(\lambda + \sigma^2)$, on any grid; the best of all grids on 401 "
    r"levels has $\cosh^N(H/N)$ (the four cases of `angles/equal`, one "
    r"random grid each).",
    papers=("064", "079"),
    kind="exact",
    formula=lambda: coshes_with(torch.cosh),
    controls=cosh_slips,
    tol=1e-13,
    because="float64; products of a few factors",
    truth=lambda: torch.stack([want for _, want in routes]),
)
check(cosh_claim)

# %% [markdown]
r"""
## What do the usual grids lose on one variance?

Take a grid rule: $u \mapsto \sigma(u)$, $0 \le u \le 1$, with nodes at $u = n/N$. Then
$\Delta_n \approx \theta'(u)/N$, and by $\log\cos x \approx -\frac12 x^2$

$$
-N \log G \to \tfrac12 \int_0^1 \theta'(u)^2\, du
= \kappa\, \frac{\Theta^2}{2}, \qquad
\kappa = \frac{\int \theta'^2\, du}{\bigl(\int \theta'\, du\bigr)^2} \ge 1 .
$$ (eq-angles-price)

The price $\kappa$ is the factor by which a rule needs more steps than equal angles. Two
of them are elementary, with $r = \sigma_0/\sqrt\lambda$ and $q = \sigma_1/\sqrt\lambda$:

$$
\begin{aligned}
\sigma \text{ even:}\quad
\kappa &= \frac{r}{2 \Theta^2} \Bigl(\Theta + \frac{r}{1 + r^2}\Bigr), \\
\log\sigma \text{ even:}\quad
\kappa &= \frac{\log (r/q)}{2 \Theta^2} \Bigl(\frac{1}{1 + q^2} -
\frac{1}{1 + r^2}\Bigr),
\end{aligned}
$$ (eq-angles-two)

the first down to $\sigma = 0$, with $\Theta = \arctan r$, the second down to $\sigma_1$,
with $\Theta = \arctan r - \arctan q$. For the first, $\theta = \arctan(ru)$ up to the
direction of $u$, and $\int_0^r (1 + x^2)^{-2} dx = \frac12 (\arctan r +
\frac{r}{1 + r^2})$. For the second, $d\theta/d\log\sigma = x/(1 + x^2)$ with $x =
\sigma/\sqrt\lambda$, and $\int x (1 + x^2)^{-2} dx = -\frac12 (1 + x^2)^{-1}$.

For a wide range the first grows as $r/\pi$, in proportion to the range of noise, the
second as $\frac{2}{\pi^2} \log(r/q)$, with its logarithm. That is why logarithmic grids
are usable and uniform ones are not, and why both get worse when the range is made
longer, which costs equal angles next to nothing.
"""


# %%
def measured_price(lam, grid, theta):
    """2 N |log G| / Theta^2 as N -> oo, from runs of the table."""

    def price(n):
        ts = grid(n)
        one = exactly([lam])
        G = chains.gain(tables.ddim(edm, ts), edm, one)
        G = G / chains.flow_factor(edm, one, ts[0], ts[-1])
        return -2 * n * G.log()[0] / theta**2

    return (4 * price(400) - price(200)) / 3  # the next term is of 1 / n^2


worlds_p = [(0.4, 20.0, 0.02), (3.0, 80.0, 0.5)]


# %%
def by_runs():
    """The prices of both rules in two worlds."""
    out = []
    for lam, high, low in worlds_p:
        top, end = (math.atan(s / math.sqrt(lam)) for s in (high, low))
        steps = functools.partial(tables.uniform, high, 0)
        out.append(measured_price(lam, steps, top))
        nsr = functools.partial(tables.by_nsr, edm, high, low)
        out.append(measured_price(lam, nsr, top - end))
    return torch.stack(out)


# %%
def prices_with(half=0.5, sign=-1, square=2):
    """The closed forms, with slips."""
    out = []
    for lam, high, low in worlds_p:
        r, q = high / math.sqrt(lam), low / math.sqrt(lam)
        top, part = math.atan(r), math.atan(r) - math.atan(q)
        out.append(r * half / top**square * (top - sign * r / (1 + r * r)))
        tails = 1 / (1 + q * q) + sign / (1 + r * r)
        out.append(math.log(r / q) * half / part**square * tails)
    return exactly(out)


# %% tags=["hide-input"]
price_claim = Claim(
    id="angles/price",
    says=r"As $N \to \infty$, $2N|\log G|/\Theta^2$ tends to [the closed "
    r"forms](#eq-angles-two) for even steps in $\sigma$ and in "
    r"$\log\sigma$ ($\lambda = 0.4$ and 3).",
    papers=("064", "102"),
    kind="exact",
    formula=prices_with,
    controls={
        "no one half": lambda: prices_with(half=1.0),
        "the sign of the second term": lambda: prices_with(sign=1),
        "$\\Theta$ for $\\Theta^2$": lambda: prices_with(square=1),
    },
    tol=2e-5,
    because="200 and 400 steps, extrapolated; the rest is of order N^-4",
    truth=by_runs,
)
check(price_claim)

# %% [markdown]
r"""
## Which grid for a whole spectrum?

All modes share one grid, and each has angles of its own. What is minimised is the
distance of the laws. The generated and the true Gaussian have the same eigenvectors, so

$$
W_2^2 = \sum_k \lambda_k \Bigl(1 - \prod_n \cos \Delta_{k,n}\Bigr)^2,
$$ (eq-angles-w2)

from $p_{\sigma_0}$ to the data. There is no closed form for the best grid any more, but a
search in $N - 1$ numbers, which `chains.optimal_grid` does with exact gradients.
AutoDiffusion does it by evolution, with FID in place of $W_2$; here the landscape is known.
A second search, by finite differences over products of fractions, is the other route.
"""

# %% tags=["setup"]
digits = laws.fit_gaussian(data.digits()[0]).covariance.spectrum[0]
spread_out, thin = exactly([0.01, 1.0, 4.0]), exactly([0.001, 0.01, 0.1])


def table(ts):
    """DDIM in the units x / a."""
    return tables.ddim(edm, ts)


@functools.cache
def best_grid(which, n, high):
    """The best grid for a spectrum."""
    lam = {"spread out": spread_out, "thin": thin, "digits": digits}[which]
    return chains.optimal_grid(table, edm, lam, n, high)


def loss(ts, lam, path=edm):
    """W2^2 of DDIM on the grid ts."""
    return chains.spread_error(tables.ddim(path, ts), path, lam)


# %%
def w2_by_fractions(levels, lam):
    """The loss, by the factors of the steps in numpy."""
    s = np.asarray(levels)[:, None]
    G = relative("e", np.asarray(lam), s[:-1], s[1:]).prod(0)
    return float((np.asarray(lam) * (1 - G) ** 2).sum())


# %%
@functools.cache
def second_search(which, n=5, high=10.0):
    """The best levels by differences, from five random starts."""
    lam = {"spread out": spread_out, "thin": thin}[which].numpy()
    draw, ends = np.random.default_rng(0), []

    def levels(w):
        share = np.exp(np.append(w, 0)).cumsum()
        return high * np.append(1 - share / share[-1], 0)[:-1].clip(0)

    def cost(w):
        return w2_by_fractions(np.append(high, levels(w)), lam)

    for start in draw.uniform(0, 3, (5, n - 1)):
        ends.append(minimize(cost, np.sort(start)[::-1], tol=1e-11))
    found = min(ends, key=lambda end: end.fun)
    return np.append(high, levels(found.x))


# %%
@functools.cache
def best_angle(lam, n, high):
    """The variance whose equal angles serve lam best, by a bounded search."""
    lam = exactly(lam)

    def cost(log):
        ts = tables.by_angle(edm, math.exp(log), high, 0, n)
        return loss(ts, lam).item()

    found = minimize_scalar(cost, bounds=(-9, 3), options={"xatol": 1e-6})
    return math.exp(found.x)


def angles_of(lam):
    """Five equal angles of one variance from 10 to 0, by numpy."""
    theta = np.linspace(math.atan(10 / math.sqrt(lam)), 0, 6)
    return math.sqrt(lam) * np.tan(theta)


# %% [markdown]
r"""
Both searches are asked for the best five steps from $\sigma = 10$ on two spectra, and
each grid is tried on both. Beside them stand the equal angles of the best single variance
for $\{0.01, 1, 4\}$, those of its largest, $4$, and even steps.
"""


# %%
def five_grids(first="thin", third=None, search=best_grid):
    """Losses (5 grids, 2 spectra) by the package, and as printed."""
    third = third or best_angle((0.01, 1.0, 4.0), 5, 10.0)
    grids = [search(which, 5, 10.0) for which in (first, "spread out")]
    grids += [tables.by_angle(edm, u, 10.0, 0, 5) for u in (third, 4.0)]
    rows = [
        [loss(ts, lam).item() for lam in (thin, spread_out)]
        for ts in [*grids, even(10.0, 0, 6)]
    ]
    return with_digits(rows, 3).flatten()


# %%
def five_by_hand():
    """The same by the second search, and a search over one variance."""
    one = minimize_scalar(
        lambda log: w2_by_fractions(angles_of(math.exp(log)), spread_out),
        bounds=(-3, 3),
    )
    grids = [second_search("thin"), second_search("spread out")]
    grids += [angles_of(math.exp(one.x)), angles_of(4), np.linspace(10, 0, 6)]
    rows = [
        [w2_by_fractions(ts, lam) for lam in (thin, spread_out)]
        for ts in grids
    ]
    printed = [0.006, 0.993, 0.028, 0.177, 0.03, 0.178]
    printed += [0.036, 0.184, 0.081, 0.787]
    return exactly([*np.ravel(rows), *printed])


# %% tags=["hide-input"]
spectrum_slips = {
    "the best single variance is the optimum": lambda: five_grids(
        search=lambda which, n, high: (
            tables.by_angle(edm, 2.73, high, 0, n)
            if which == "spread out"
            else best_grid(which, n, high)
        ),
    ),
    "the largest variance is the best one": lambda: five_grids(third=4.0),
    "one searched grid serves both": lambda: five_grids("spread out"),
}

# %% tags=["hide-input"]
spectrum_claim = Claim(
    id="angles/spectrum",
    says=r"Five DDIM steps from $\sigma = 10$: the least $W_2^2$ on "
    r"$\{0.01, 1, 4\}$ is 0.177, and equal angles have at least 0.178 "
    r"(best single variance) or 0.184 ($\lambda = 4$). Even steps have "
    r"0.787, and the best grid of $\{0.001, 0.01, 0.1\}$, with 0.006 there, "
    r"has 0.993 here: a grid searched elsewhere can be worse than none.",
    papers=("102", "064"),
    kind="exact",
    formula=five_grids,
    controls=spectrum_slips,
    tol=1e-6,
    because="the second search moves nodes by 1e-7 near a flat minimum",
    truth=five_by_hand,
)
check(spectrum_claim)

# %% [markdown]
r"""
## Is there a rule in place of the search?

For many steps there is. Describe a grid by its density $\rho$ in $\log\sigma$, or in any
other clock $x$, $\int\rho\, dx = 1$: a step has the length $1/(N\rho)$. As in [the
price](#eq-angles-price),

$$
1 - G_k \approx \frac{I_k}{2N}, \quad I_k = \int \frac{\theta_k'^2}{\rho}\, dx,
\qquad N^2\, W_2^2 \to \tfrac14 \sum_k \lambda_k I_k^2 .
$$ (eq-angles-limit)

Each $I_k$ is a convex functional of $\rho$ and positive, so the sum of squares is convex,
and its minimum is where the derivative is a constant: $2 \sum_k \lambda_k I_k\,
\theta_k'^2/\rho^2 = \mu$. Hence

$$
\rho \propto \Bigl(\sum_k \lambda_k I_k\, \theta_k'(x)^2\Bigr)^{1/2} :
$$ (eq-angles-density)

**put the steps where the root mean square angle turns**, modes weighted by their
variance and by their own loss. For one mode this is $\rho \propto |\theta'|$, equal
angles. The $I_k$ depend on $\rho$, but weakly, and thirty rounds of computing one from the
other settle it. No sampler is run in this.
"""

# %% tags=["setup"]
seen = digits[digits > 0]


def density(lam, high, rounds=30, own=True, power=2):
    """Levels from high to 0, and the density of the best grid per cell."""
    mid = (lam**2).sum() / lam.sum()
    s = mid.sqrt() * even(math.atan(high / math.sqrt(mid)), 0, 2001).tan()
    s[-1] = 0
    d = torch.atan2(s[:, None], lam.sqrt()).diff(dim=0).abs()
    loss_k = torch.ones_like(lam)
    for _ in range(rounds if own else 1):
        rho = (d**power @ (lam * loss_k)) ** (1 / power)
        rho = rho / rho.sum()
        loss_k = (d**2 / rho[:, None]).sum(0)
    return s, rho, loss_k


# %% tags=["setup"]
def by_density(lam, n, high, **slips):
    """The grid with n equal shares of the density."""
    s, rho, _ = density(lam, high, **slips)
    share = torch.cat([rho.new_zeros(1), rho.cumsum(0)])
    inner = np.interp(np.arange(1, n) / n, share.numpy(), s.numpy())
    return exactly([high, *inner, 0.0])


# %% [markdown]
r"""
We ask for the price on the digits, whose 61 positive variances cover more than five
orders of magnitude, at five and at ten steps, where "many steps" is not true at all.
"""


# %%
def excess(grid):
    """By how much W2 on a grid is more than 1.001 times the least."""
    worst = 0.0
    for n in (5, 10):
        least = loss(best_grid("digits", n, 80.0), digits)
        rate = (loss(grid(n), digits) / least).sqrt().item()
        worst = max(worst, rate - 1.001)
    return worst


# %% tags=["hide-input"]
density_slips = {
    "the mean angle, not the mean square": lambda n: by_density(
        seen, n, 80.0, power=1
    ),
    "the loss $I_k$ left out": lambda n: by_density(seen, n, 80.0, own=False),
    "equal angles of the weighted mean variance": lambda n: tables.by_angle(
        edm, (seen**2).sum() / seen.sum(), 80.0, 0, n
    ),
}

# %% tags=["hide-input"]
density_claim = Claim(
    id="angles/density",
    says=r"On the digits' spectrum from $\sigma = 80$ the grid of equal "
    r"shares of $(\sum_k \lambda_k I_k \theta_k'^2)^{1/2}$ has a $W_2$ at "
    r"most 1.001 times that of the best grid, at 5 and at 10 DDIM steps.",
    papers=("102", "064"),
    kind="exact",
    formula=lambda n: by_density(seen, n, 80.0),
    controls=density_slips,
    tol=5e-6,
    because="the factor 1.001 was set after measuring; tol is rounding",
    measure=lambda grid: max(excess(grid), 0.0),
    scale="at a minimum a thousandth in the levels changes a millionth",
)
check(density_claim)

# %% [markdown]
r"""
## What do the usual grids pay on digits?

Now the rules that are in use, each with $N$ evaluations, from the exact law at their first
time: $\rho = 7$ {cite}`karras2022edm` from $80$ to
$0.002$ and on to the data; even steps in log-SNR between the same levels; even times of
the usual variance-preserving path; the cosine schedule; and equal angles of one variance,
the best for the digits.
"""

# %%
vp, cosine = paths.vp(), paths.cosine()


def usual(name, n):
    """(path, grid) of a rule with n evaluations."""
    if name == "one angle":
        lam = best_angle(tuple(seen.tolist()), n, 80.0)
        return edm, tables.by_angle(edm, lam, 80.0, 0, n)
    return {
        "even times, VP": lambda: (vp, even(1, 0, n + 1)),
        "cosine": lambda: (cosine, even(1, 0, n + 1)),
        "Karras": lambda: (
            edm,
            tables.to_data(tables.by_rho(edm, 80.0, 0.002, n - 1)),
        ),
        "even log-SNR": lambda: (
            edm,
            tables.to_data(tables.by_nsr(edm, 80.0, 0.002, n - 1)),
        ),
    }[name]()


# %%
paid_ranges = {
    "one angle": (1.02, 1.045),
    "cosine": (1.05, 1.09),
    "even times, VP": (1.45, 1.7),
    "Karras": (1.85, 2.0),
    "even log-SNR": (1.87, 2.05),
}


@functools.cache
def paid(name, n):
    """W2 of a rule over the least."""
    path, ts = usual(name, n)
    least = loss(best_grid("digits", n, 80.0), digits)
    return (loss(ts, digits, path) / least).sqrt().item()


# %%
def off_range(rename):
    """How far the prices are outside the intervals of the claim."""
    misses = [0.0]
    for name, (low, high) in paid_ranges.items():
        for n in (5, 10):
            price = paid(rename.get(name, name), n)
            misses += [low - price, price - high]
    return max(misses)


# %% tags=["hide-input"]
digits_slips = {
    "$\\rho = 7$ is as good as the cosine schedule": {"cosine": "Karras"},
    "VP's even times are as good": {"cosine": "even times, VP"},
    "the single variance is no better than cosine": {"one angle": "cosine"},
}

# %% tags=["hide-input"]
digits_claim = Claim(
    id="angles/digits",
    says=r"At 5 and 10 DDIM steps on the digits' spectrum the rules pay, in "
    r"units of the least $W_2$: equal angles of the best single variance "
    r"1.02 to 1.045, the cosine schedule 1.05 to 1.09, even times of the VP "
    r"path 1.45 to 1.7, $\rho = 7$ 1.85 to 2.0, even log-SNR 1.87 to 2.05.",
    papers=("064", "102"),
    kind="exact",
    formula={},
    controls=digits_slips,
    tol=1e-5,
    because="intervals set after measuring; tol is rounding",
    measure=off_range,
    scale="an interval this wide does not see a thousandth",
)
check(digits_claim)

# %% [markdown]
r"""
In the picture, look at what the dashed line gains on the left and pays on the right.
"""

# %% mystnb={"figure": {"caption": "What five steps leave of each standard deviation of the digits, against the variance. Grey: the best grid; ochre: the cosine schedule; dashed: $\\rho = 7$ from 80 to 0.002 and to the data.", "name": "fig-angles-kept"}, "image": {"alt": "Three curves of the share kept over variances from a millionth to ten. The grey and the ochre one rise together from zero to nearly 0.8 at variance one and fall a little beyond; the dashed one lies between 0.2 and 0.6, above them at small variances, far below at large ones."}}
figure, axes = figures.canvas("Steps at low noise are paid by large modes")
some = torch.logspace(-5.2, 1, 200, dtype=torch.float64)
shown = [
    ("best", edm, best_grid("digits", 5, 80.0), figures.EXACT, "-"),
    ("cosine", *usual("cosine", 5), figures.SECOND, "-"),
    (r"$\rho = 7$", *usual("Karras", 5), figures.WRONG, "--"),
]
for (name, path, ts, colour, dash), y in zip(
    shown, (0.72, 0.83, 0.53), strict=True
):
    G = chains.cosines(path, some, ts)
    axes.semilogx(some, G, color=colour, ls=dash, lw=2.5 - (dash == "--"))
    figures.label_line(axes, 10.5, y, name, colour)
axes.plot(seen, 0 * seen + 0.02, "|", color=figures.NOISE, ms=7)
axes.set(xlabel=r"variance $\lambda$", ylabel="share kept", ylim=(0, 1))
plt.show()

# %% [markdown]
r"""
The ticks are the variances of the digits. $\rho = 7$ takes two of its five evaluations
below $\sigma = 0.2$, where only modes still turn whose variance is almost nothing. That is
no mistake where fine detail is looked at; it is what a distance in pixels says, and it
says it for a first-order sampler.

## Does the grid transfer to a mixture?

Take two modes in one dimension, at $-2$ with weight $0.35$ and at $1.5$ with $0.65$, each
of variance $0.4$. Which variance should set the angles: that of a component, or the total,
$0.4 + 0.35 \cdot 0.65 \cdot 3.5^2 = 3.19$? The exact flow from $p_{20}$ is the increasing
map between the two laws, and DDIM's map is increasing as well ([proof](../mixtures/gap.ipynb),
`gap/increasing`), so with one standard normal coordinate $z$ of the start

$$
W_2^2 = \int \bigl(x_{\text{DDIM}}(z) - x_{\text{flow}}(z)\bigr)^2 \varphi(z)\, dz .
$$ (eq-angles-mixture)

The package inverts the distribution functions for this; the other route has its own
posterior means, bisects, and sums on another set of nodes.
"""

# %%
pair = laws.mixture(exactly([[-2.0], [1.5]]), 0.4, exactly([0.35, 0.65]))
world, normal = worlds.World(edm, pair), laws.gaussian(exactly([0.0]), 1.0)
nodes, w_nodes = panels(even(-8, 8, 321), 8)
w_nodes = w_nodes * torch.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)
total = 0.4 + 0.35 * 0.65 * 3.5**2
mixture_grids = {
    "total": tables.by_angle(edm, total, 20.0, 0, 5),
    "component": tables.by_angle(edm, 0.4, 20.0, 0, 5),
    "Karras": tables.to_data(tables.by_rho(edm, 20.0, 0.02, 4)),
    "even": even(20.0, 0, 6),
}


# %%
@functools.cache
def pair_w2(name):
    """W2 of DDIM on the pair, by the package."""
    ts = mixture_grids[name]
    x = monotone(normal, world.law(ts[0]), nodes[:, None])
    want = monotone(world.law(ts[0]), pair, x)
    off = solvers.solve(table(ts), world.denoise, x) - want
    return (w_nodes * off.squeeze(1) ** 2).sum().sqrt()


# %%
z = np.linspace(-8, 8, 6401)


def by_bisection(sigma):
    """The points with the distribution function of z, at level sigma."""
    low, high, sd = -200 + 0 * z, 200 + 0 * z, math.sqrt(0.4 + sigma**2)
    for _ in range(70):
        x = (low + high) / 2
        upper = 0.35 * ndtr((-2 - x) / sd) + 0.65 * ndtr((1.5 - x) / sd)
        lower = 0.35 * ndtr((x + 2) / sd) + 0.65 * ndtr((x - 1.5) / sd)
        past = np.where(z < 0, lower > ndtr(z), upper < ndtr(-z))
        low, high = np.where(past, low, x), np.where(past, x, high)
    return x


# %%
@functools.cache
def pair_by_hand(name):
    """W2 by posterior means written out, and the trapezoid rule."""
    x, s = by_bisection(20.0), mixture_grids[name].numpy()
    for a, b in zip(s[:-1], s[1:], strict=True):
        odds = 35 / 65 * np.exp(-3.5 * (x + 0.25) / (0.4 + a * a))
        right = 1 / (1 + odds)
        m = np.where(a > 0, -2 + 3.5 * right, x)
        D = m + 0.4 / (0.4 + a * a) * (x - m)
        x = D + b / a * (x - D)
    off2 = (x - by_bisection(0.0)) ** 2 * np.exp(-z * z / 2)
    return math.sqrt(off2.sum() * (z[1] - z[0]) / math.sqrt(2 * math.pi))


# %%
def pair_with(order=tuple(mixture_grids), f=pair_w2):
    """W2 on the four grids, in some order, and rounded to two digits."""
    values = [float(f(name)) for name in order]
    return with_digits(values).flatten()


# %% tags=["hide-input"]
mixture_slips = {
    "a component sets the angles": lambda: pair_with(
        ("component", "total", "Karras", "even")
    ),
    "$\\rho = 7$ is better than the component's angles": (
        lambda: pair_with(("total", "Karras", "component", "even"))
    ),
    "the pair is one bell, its grid exact": lambda: (
        exactly(2 * [1 - power(u, 20.0, 5) for u in (total, 0.4, total, 0.4)])
        * math.sqrt(total)
    ),
}

# %% tags=["hide-input"]
mixture_claim = Claim(
    id="angles/mixture",
    says=r"On the pair $0.35\, \mathcal N(-2, 0.4) + 0.65\, \mathcal N(1.5, "
    r"0.4)$ five DDIM steps from $p_{20}$ have $W_2$ = 0.27 on the equal "
    r"angles of the total variance, 0.43 on those of a component, 0.50 on "
    r"$\rho = 7$ (20 to 0.02, then 0), 1.10 on even steps, in this order.",
    papers=("064",),
    kind="exact",
    formula=pair_with,
    controls=mixture_slips,
    tol=1e-5,
    because="two quadratures of a map that is steep between the modes",
    truth=lambda: torch.cat(
        [pair_with(f=pair_by_hand)[:4], exactly([0.27, 0.43, 0.50, 1.10])]
    ),
)
check(mixture_claim)

# %% [markdown]
r"""
The total variance is the better guess: half of its turn lies above $\sigma = 1.79$, its
root, where the two modes are still one bell. So the calculus transfers, with the total
variance for $\lambda$, in this world and among these four grids. That the decision between
the modes is a sharp event of its own is told in [another chapter](../mixtures/deciding.ipynb).

## Can a search over solvers beat every solver?

USF lets every step choose its own solver, and searches. In our world the search can be
done by hand. Let each of $N = 4$ steps freeze the noise (e) or the score (s); on mode
$\lambda$ the schedule $S$ then makes the standard deviation

$$
A_S = \prod_{n \in \text{e}} \cos\Delta\theta_n \prod_{n \in \text{s}}
\cosh\Delta\eta_n
$$ (eq-angles-schedule)

times the true one: there are $2^4$ schedules. One factor is below one, the other above,
so errors of different steps can *cancel*. On $\sigma = 20, \dots, 0.3$ in equal ratios,
and then $0$, at $\lambda = 0.4$, the error $A_S - 1$ is about $-0.33$ for `eeee`, $+4.2$ for
`ssss`, and $+0.04$ for `eese`.
"""

# %% tags=["setup"]
schedules = ["".join(kinds) for kinds in itertools.product("es", repeat=4)]
geometric = np.append(np.geomspace(20, 0.3, 4), 0.0)


def run(schedule, lam, s=geometric):
    """A - 1, step by step in numpy's floats."""
    y = 1.0
    for kind, a, b in zip(schedule, s[:-1], s[1:], strict=True):
        y *= factor(kind, lam, a, b)
    return y / math.sqrt((lam + s[-1] ** 2) / (lam + s[0] ** 2)) - 1


def logs_of(lam, s=geometric):
    """log cos of the turns and log cosh of the steps in eta, (2, n)."""
    e = np.log(np.cos(np.diff(np.arctan(s / math.sqrt(lam)))))
    return np.stack([e, np.log(np.cosh(np.diff(np.log(lam + s * s) / 2)))])


# %% tags=["setup"]
def closed(lam, add=np.sum, s=geometric):
    """The errors of all schedules from the logs of their steps."""
    both, n = logs_of(lam, s), np.arange(4)
    picked = [[int(k == "s") for k in S] for S in schedules]
    return exactly([math.expm1(add(both[p, n])) for p in picked])


def ranked(errors):
    """The errors, three of them as printed, and the place of each, 0 best."""
    some = [errors[schedules.index(S)] for S in ("eeee", "ssss", "eese")]
    places = errors.abs().argsort().argsort().double()
    return torch.cat([errors, with_digits(some)[1], places])


def by_run(lam):
    """The errors of all schedules, step by step."""
    return exactly([run(S, lam) for S in schedules])


# %% tags=["hide-input"]
schedule_slips = {
    "the sizes of the local errors, added": lambda: ranked(
        closed(0.4, lambda x: np.log1p(np.abs(np.expm1(x)).sum()))
    ),
    "the largest local error": lambda: ranked(
        closed(0.4, lambda x: x[np.abs(x).argmax()])
    ),
    "the nodes rounded to 4.93 and 1.22": lambda: ranked(
        closed(0.4, s=np.array([20, 4.93, 1.22, 0.3, 0]))
    ),
    "the schedules read backwards": lambda: ranked(
        closed(0.4).reshape([2] * 4).permute(3, 2, 1, 0).flatten()
    ),
}

# %% tags=["hide-input"]
schedule_claim = Claim(
    id="angles/schedules",
    says=r"The relative errors of the standard deviation of all 16 "
    r"schedules of frozen noise and frozen score are products of cosines "
    r"and hyperbolic cosines minus one ($\lambda = 0.4$; $\sigma$ from 20 "
    r"to 0.3 in three equal ratios, then 0): $-0.33$ for `eeee`, 4.17 for "
    r"`ssss`, 0.04 for `eese`, the best. The sum of the sizes of local "
    r"errors gives another order.",
    papers=("079",),
    kind="exact",
    formula=lambda: ranked(closed(0.4)),
    controls=schedule_slips,
    tol=1e-13,
    because="float64",
    truth=lambda: torch.cat(
        [by_run(0.4), exactly([-0.33, 4.17, 0.04]), ranked(by_run(0.4))[19:]]
    ),
)
check(schedule_claim)

# %% [markdown]
r"""
**What a search must look at.** Theory usually adds the *sizes* of local errors. That
mis-ranks: it puts `eese`, the best of all sixteen, on the fourth place, behind `eees`,
`eess` and `eeee`, because cancellation is what it does not see. Signed logarithms add
exactly. (The grid's third digit matters too: cancellation is a difference, and the nodes
rounded to three digits are a control of the claim.)
"""

# %% [markdown]
r"""
**What the search can gain.** The two uniform schedules are among the sixteen, so the best of
all is never worse than they are; here it is almost eight times better. A schedule drawn at
random is no good idea: the mean size of the sixteen errors is $1.27$.

**One schedule for several modes?** The best of sixteen is `eees` at $\lambda = 0.05$, `eese`
at $0.2$, $0.4$ and $0.6$, `eess` at $0.8$ and $2$, `esee` at $10$. So near modes agree,
and modes far apart do not: over $\{0.05, 10\}$ no schedule is best for both, three of them
are not beaten in both modes at once, and the one with the least sum of squares, `esee`,
is the best for one of the two.
"""

# %%
probes = (0.05, 0.2, 0.4, 0.6, 0.8, 2.0, 10.0)


def winners(errors):
    """The number of the best schedule at each variance; the Pareto set."""
    best = [int(errors(lam).abs().argmin()) for lam in probes]
    E = torch.stack([errors(lam).abs() for lam in (0.05, 10.0)], 1)
    beats = (E[:, None] <= E).all(2) & (E[:, None] < E).any(2)
    alone = (~beats.any(0)).double()
    total = (E**2).sum(1).argmin()
    return torch.cat([exactly([*best, int(total)]), alone])


# %% [markdown]
r"""
In the picture each narrow valley is a cancellation, and belongs to one variance.
"""

# %% mystnb={"figure": {"caption": "The size of the error of the standard deviation against the variance, for all schedules of four steps. Grey: frozen noise throughout; blue: eese; dashed: eees, searched at $\\lambda = 0.05$.", "name": "fig-angles-schedules"}, "image": {"alt": "Sixteen curves over variances from a thousandth to thirty, on logarithmic axes. Most are thin and light. The grey one is flat near 0.3. The blue one dips at about one half. The dashed one dips deeply at 0.05 and rises above one to the left."}}
figure, axes = figures.canvas("Each searched schedule is tuned to a variance")
some = np.geomspace(1e-3, 30, 160)
curves = np.abs(np.stack([closed(lam).numpy() for lam in some]))
axes.loglog(some, curves, color=figures.NOISE, lw=0.6)
for S, colour, dash in (
    ("eeee", figures.EXACT, "-"),
    ("eese", figures.LEARNED, "-"),
    ("eees", figures.WRONG, "--"),
):
    line = curves[:, schedules.index(S)]
    axes.loglog(some, line, color=colour, ls=dash, lw=2.2)
axes.text(1.1e-3, 1.15, "eeee", color=figures.EXACT)
axes.text(0.16, 0.02, "eese", color=figures.LEARNED)
axes.text(2e-3, 3.4, "eees", color=figures.WRONG)
axes.set(xlabel=r"variance $\lambda$", ylabel="error", ylim=(5e-3, 30))
plt.show()

# %% [markdown]
r"""
**Over-fitting, measured.** What is found on one spectrum is paid on another. A schedule
that ends with a frozen score has there $\cosh\Delta\eta \ge
\frac{\sigma}{2\sqrt\lambda}$, and no bound as $\lambda \to 0$; `eeee` errs by less than
one always. `eees`, found at $0.05$, where it promises an error below a hundredth, errs
at $\lambda = 0.001$ four times as much as plain DDIM. `eese`, found at $0.4$, is more
robust: it has its frozen score in the middle, where $\sigma$ does not go to $0$, and is
not worse than `eeee` at any of ten variances. No search on one spectrum can see that
difference.
"""


# %%
def tuned(errors):
    """What eees promises and costs, what eese does, and what search gains."""
    at = {lam: errors(lam).abs() for lam in (*probes, 0.001, 0.01, 30.0)}
    e, es, see = (schedules.index(S) for S in ("eeee", "eees", "eese"))
    eese = max((row[see] / row[e]).item() for row in at.values())
    small, wide = at[0.05], at[0.001]
    rates = [small[es].item() * 1e3, (wide[es] / wide[e]).item()]
    gain = (at[0.4][e] / at[0.4].min()).item()
    rates += [wide[es].item(), eese, gain, at[0.4].mean().item()]
    return with_digits(rates)


def searched(errors, printed=None):
    """Winners and prices, the latter also as printed."""
    values, shown_ = tuned(errors)
    shown_ = shown_ if printed is None else exactly(printed)
    return torch.cat([winners(errors), values, shown_])


# %% tags=["hide-input"]
modes_slips = {
    "the best at 0.4 is the best everywhere": lambda: searched(
        lambda lam: closed(0.4)
    ),
    "sizes of the local errors, added": lambda: searched(
        lambda lam: closed(lam, lambda x: np.abs(x).sum())
    ),
    "DDIM is always the best": lambda: searched(
        lambda lam: closed(lam) + 9 * (closed(lam) > -0.2)
    ),
}

# %% tags=["hide-input"]
modes_claim = Claim(
    id="angles/search",
    says=r"Of the 16 schedules the best is `eees` at $\lambda = 0.05$, "
    r"`eese` at 0.2, 0.4, 0.6, `eess` at 0.8 and 2, `esee` at 10; over "
    r"$\{0.05, 10\}$ the Pareto set is `eees`, `eese`, `esee`, and `esee` "
    r"has the least sum of squares. `eees` errs by 0.008 at 0.05 and by "
    r"3.81 at 0.001, 4.25 times as much as `eeee`; `eese` at ten variances "
    r"from 0.001 to 30 by at most 0.96 times as much as `eeee`. At 0.4 it "
    r"errs 7.7 times less than `eeee`; the mean over all schedules is 1.27.",
    papers=("079",),
    kind="exact",
    formula=lambda: searched(closed),
    controls=modes_slips,
    tol=1e-11,
    because="float64; an error of 0.008 is a difference of products",
    truth=lambda: searched(by_run, [8.02, 4.25, 3.81, 0.96, 7.74, 1.27]),
)
check(modes_claim)

# %% [markdown]
r"""
## What does a round trip lose?

Editing begins by running DDIM backwards {cite}`song2021ddim`: from an image up to its
noise, on the same grid. Nothing in [the step](#eq-angles-step) asked for a direction.
From $s$ up to $t$ the new point is projected on the old direction again, and
$\cos(\theta_s - \theta_t)$ is the same number. The ascent does **not** undo the
descent; both lose. With $G_k$ [from above](#eq-angles-gain)

$$
\begin{aligned}
\text{up:} \quad & \operatorname{sd}_k = \psi_k(T)\, G_k, \\
\text{up and down:} \quad & x_0' - m = \textstyle\sum_k G_k^2\,
u_k u_k^\top (x_0 - m) .
\end{aligned}
$$ (eq-angles-inversion)

The latent is too narrow, and the image comes back shrunk towards the mean, by exactly
$1 - G_k^2$ in direction $k$. On equal angles that is $1 - \cos^{2N}\frac\Theta N \approx
\Theta^2/N$: for a defect $\delta$ one needs about

$$
N \approx \frac{\Theta^2}{\delta} \le \frac{\pi^2}{4 \delta}
$$ (eq-angles-many)

steps, some 250 for one per cent, in one mode; others are worse. Thin modes are hit
hardest on the way up: the first step leaves from $\theta = 0$ and keeps
$\sqrt\lambda/\sqrt{\lambda + \sigma_1^2}$. Directions with $\lambda \ll \sigma_1^2$ have
hardly any noise in the latent. In the limit $\lambda = 0$ there is none, as $0/0$ has to be
read as $\mathbb E[z \mid x_0] = 0$: an inverted image is recognised by the noise that it
lacks. (The trip the other way, from noise to image and back, has the same factor $G_k^2$.)

The second route runs two tables with the field of a world: frozen noise upwards from $t
= 0$, DDIM downwards.
"""

# %%
five = exactly([20.0, 5.0, 1.5, 0.3, 0.02])
both_ways = (paths.vp(), paths.one_sided())


def trips(path, seed):
    """What an ascent and a round trip make of each mode, by runs."""
    ts = random_times(path, seed)
    law = laws.gaussian(torch.zeros(5).double(), five.diag())
    here, x = worlds.World(path, law), torch.ones(1, 5).double()
    up = tables.exponential(path, ts.flip(0), 1, "noise")
    top = solvers.solve(up, here.noise, x)
    low = solvers.solve(tables.ddim(path, ts), here.denoise, top)
    flow = chains.flow_factor(path, five, ts[-1], ts[0])
    return torch.cat([top / flow, low])


# %%
def trips_with(up, both):
    """The same as functions of G."""
    out = []
    for seed, path in enumerate(both_ways):
        G = chains.cosines(path, five, random_times(path, seed))
        out.append(torch.stack([up(G), both(G)]))
    return torch.stack(out)


# %% tags=["hide-input"]
inversion_slips = {
    "the ascent undoes the descent": lambda: trips_with(
        lambda G: 1 / G, lambda G: 0 * G + 1
    ),
    "the ascent is exact": lambda: trips_with(
        lambda G: 0 * G + 1, lambda G: G
    ),
    "the same loss up and in all": lambda: trips_with(
        lambda G: G, lambda G: G
    ),
}

# %% tags=["hide-input"]
inversion_claim = Claim(
    id="angles/inversion",
    says=r"From $t = 0$ up to $T$, DDIM keeps $G_k = \prod_n "
    r"\cos\Delta_{k,n}$ of the standard deviation $\psi_k(T)$; up and down "
    r"on one grid multiply mode $k$ by $G_k^2$ (five modes, random grids of "
    r"six steps, VP and straight path).",
    papers=("102",),
    kind="exact",
    formula=lambda: trips_with(lambda G: G, lambda G: G**2),
    controls=inversion_slips,
    tol=1e-12,
    because="float64; on VP a small noise level costs two digits",
    truth=lambda: torch.stack([trips(p, i) for i, p in enumerate(both_ways)]),
)
check(inversion_claim)

# %% [markdown]
r"""
## One budget for steps and errors

AutoDiffusion searches steps and network blocks together: a step with a smaller network
is cheaper and errs more. What does an error of one step do? Let the guess be
$\hat D - m = (1 + \delta)(D - m)$ at $t$, in one mode. The state fixes the other guess,
$x_t = a_t \hat D + g_t \hat N$, so $\hat N = N - \delta\, \frac{a_t}{g_t} D$ (take $m = 0$), and

$$
x_s = c\, \psi_s \cos\Delta + \delta D\, \frac{a_s g_t - g_s a_t}{g_t},
\qquad \Delta = \theta_t - \theta_s .
$$

The area spanned by $P_s$ and $P_t$ is $\sqrt\lambda\, (a_s g_t - g_s a_t) = \psi_s \psi_t
\sin\Delta$, and $D = c \sqrt\lambda\cos\theta_t$, $g_t = \psi_t \sin\theta_t$. So the
cosine becomes

$$
\cos\Delta + \delta \cot\theta_t \sin\Delta,
$$ (eq-angles-error)

exactly, and the run has

$$
\log\frac{\operatorname{sd}}{\psi} = \sum_n \log\cos\Delta_n + \sum_n \delta_n
\cot\theta_{n-1} \tan\Delta_n + O(\delta^2) .
$$ (eq-angles-budget)

**Errors of steps and errors of networks add** in the logarithm, to first order in
$\delta$: one budget. An error in pure noise costs nothing ($\cot\frac\pi2 = 0$), and $\delta$
has a sign: with

$$
\delta_n = \tan\tfrac{\Delta_n}2 \tan\theta_{n-1}
$$ (eq-angles-repair)

the factor is $\cos\Delta + \sin\Delta \tan\frac\Delta2 = 1$, and DDIM is exact in one mode.
So scaling a network's output on purpose, as epsilon scaling does {cite}`ning2024exposure`,
can repair what looks like an error of the network and is one of the step. It repairs one
$\lambda$.
"""

# %%
vp_times = exactly([0.98, 0.7, 0.45, 0.3, 0.12, 0.0])
modes = exactly([2.0, 0.7, 0.05])
slips_of_nets = exactly([0.2, -0.1, 0.05, 0.15, -0.03])


def theta_of(lam):
    """The angles on the grid, (n + 1, k)."""
    return torch.stack([chains.angle(vp, lam, t) for t in vp_times])


def repair():
    """The errors that make the middle mode exact."""
    th = theta_of(modes[1:2]).squeeze(1)
    return (-th.diff() / 2).tan() * th[:-1].tan()


# %%
def with_errors(delta):
    """The shares kept, by the solver on a field that errs."""
    law = laws.gaussian(torch.zeros(3).double(), modes.diag())
    here, count = worlds.World(vp, law), iter(delta)
    start = chains.spread(vp, modes, vp_times[0])[None]
    end = solvers.solve(
        tables.ddim(vp, vp_times),
        lambda x, t: (1 + next(count)) * here.denoise(x, t),
        start,
    )
    return end[0] / modes.sqrt()


# %%
def shares_with(step):
    """prod step(theta_t, Delta, delta), for both sets of errors."""
    th = theta_of(modes)
    turn = -th.diff(dim=0)
    sets = (slips_of_nets, repair())
    return torch.stack(
        [step(th[:-1], turn, d[:, None]).prod(0) for d in sets]
    )


# %% tags=["hide-input"]
error_slips = {
    "the sign": lambda: shares_with(
        lambda th, u, d: u.cos() - d * u.sin() / th.tan()
    ),
    "the tangent of the angle": lambda: shares_with(
        lambda th, u, d: u.cos() + d * u.sin() * th.tan()
    ),
    "all of the step errs": lambda: shares_with(
        lambda th, u, d: u.cos() * (1 + d)
    ),
    "the angle at the end of the step": lambda: shares_with(
        lambda th, u, d: u.cos() + d * u.sin() / (th - u / 2).tan()
    ),
}

# %% tags=["hide-input"]
error_claim = Claim(
    id="angles/errors",
    says=r"A relative error $\delta_n$ of the guess at step $n$ turns "
    r"$\cos\Delta_n$ into $\cos\Delta_n + \delta_n \cot\theta_{n-1} "
    r"\sin\Delta_n$; with $\delta_n = \tan\frac{\Delta_n}2 "
    r"\tan\theta_{n-1}$ a mode is sampled exactly (three modes, five VP "
    r"steps; arbitrary errors, and the repair of $\lambda = 0.7$).",
    papers=("102",),
    kind="exact",
    formula=lambda: shares_with(
        lambda th, u, d: u.cos() + d * u.sin() / th.tan()
    ),
    controls=error_slips,
    tol=1e-13,
    because="float64; five steps",
    truth=lambda: torch.stack(
        [with_errors(slips_of_nets), with_errors(repair())]
    ),
)
check(error_claim)

# %% [markdown]
r"""
**Allocation.** Suppose a step run at the cost $c$ errs by $\kappa/c$ in the logarithm, and
$N$ steps share the cost $B$. As $\kappa/c$ is convex, equal costs $c = B/N$ are best, and
with equal angles the loss is

$$
\frac{\Theta^2}{2N} + \frac{\kappa N^2}{B} :
$$ (eq-angles-allocation)

more steps are not better beyond some $N$, which is the fourth exercise.

## Break it

- In `angles/law`, let the truth start from `path.at(ts[0]).g2` alone, as
  `angles/start` does. The claim fails; on which of the four paths would it hold?
- Give `of_all_grids` a lattice of even steps in $\sigma$. `angles/equal` fails:
  the best grid is then not among those that were tried.
- In `angles/digits` let $\rho = 7$ end at $0.2$ in place of $0.002$. How much of its
  price was the range?

## What this does not show

The laws are Gaussian, but for one pair of modes in one dimension. A distance in
pixels weighs modes by their variance; a person, or FID, does not, and a grid that is
best for one is not for the other. The score is exact: with a network, errors at low noise
decide as well. Samplers of higher order have other products and other grids; what is best
for DDIM need not be so for them. That a search over schedules over-fits on two variances
does not say that it must on a million images; it says what to measure.

## Exercises

**1.** DDIM starts from $\mathcal N(0, \sigma_0^2)$ at the first of the noise levels `s`
($a = 1$) and runs through all of them; the last is $0$. With which standard deviation do
samples of $\mathcal N(0, \lambda)$ end? Write it as a function of `lam` (a tensor) and
`s` (a tensor of levels).
"""

# %%
levels_1 = exactly([20.0, 5.0, 2.0, 0.6, 0.0])
lam_1 = torch.logspace(-2, 1, 7, dtype=torch.float64)


def sd_by_steps(lam, s):
    """The spread, step by step."""
    y = s[0].expand(lam.shape)
    for old_, new_ in zip(s[:-1], s[1:], strict=True):
        D = lam / (lam + old_**2) * y
        y = D + new_ / old_ * (y - D)
    return y


# %% tags=["hide-input"]
def sd_with(lam, s, first):
    """sqrt(lam) first(theta_0) G."""
    th = (s[:, None] / lam.sqrt()).atan()
    return lam.sqrt() * first(th[0]) * th.diff(dim=0).cos().prod(0)


sd_slips = {
    "this starts from $p_T$": lambda lam, s: sd_with(lam, s, torch.ones_like),
    "the cosine of the first angle": lambda lam, s: sd_with(
        lam, s, torch.cos
    ),
    "the variance": lambda lam, s: sd_with(lam, s, torch.sin) ** 2,
    "relative to the true one": lambda lam, s: (
        sd_with(lam, s, torch.sin) / lam.sqrt()
    ),
}

# %% tags=["hide-input"]
sd_exercise = Claim(
    id="angles/sd-exercise",
    says="the standard deviation after DDIM from pure noise",
    papers=("102",),
    kind="exact",
    formula=None,
    controls=sd_slips,
    tol=1e-12,
    because="float64",
    at={"lam": lam_1, "s": levels_1},
    truth=sd_by_steps,
)


# %% tags=["solution", "hide-cell"]
def sd_after(lam, s):
    """sqrt(lam) sin(theta_0) prod cos(theta_n - theta_{n+1})."""
    theta = torch.atan2(s[:, None], lam.sqrt())
    kept = theta.diff(dim=0).cos().prod(0)
    return lam.sqrt() * theta[0].sin() * kept


# %%
attempt(sd_exercise, sd_after)

# %% [markdown]
r"""
**2.** *Derive.* In $y = x/a$ a step from `s` to `to` is $y + (\sigma' - \sigma)\, \nu N$.
Which multiple $\nu$ of the exact noise guess makes the step exact for the variance
`lam`? Is it above or below one?
"""

# %%
multiple_at = {
    "lam": exactly([0.1, 1.0, 4.0, 0.5, 2.0]),
    "s": exactly([3.0, 2.0, 10.0, 0.5, 80.0]),
    "to": exactly([1.0, 0.0, 4.0, 0.2, 1.0]),
}


def multiple_by_runs(lam, s, to):
    """From two runs, without the noise and with all of it."""
    out = []
    for v_, a_, b_ in zip(lam, s, to, strict=True):
        here = worlds.World(edm, laws.gaussian(exactly([0.0]), v_))
        y = exactly([[1.0]])
        full = solvers.solve(table(torch.stack([a_, b_])), here.denoise, y)
        want = chains.carry(here.joint, edm, y, a_, b_)
        out.append(((want - y) / (full - y)).squeeze())
    return torch.stack(out)


# %% tags=["hide-input"]
def multiple_with(lam, s, to, share=0.5, sign=-1, upside=-1):
    """1 - tan(Delta / 2) cot(theta), with slips."""
    th = (s / lam.sqrt()).atan()
    turn = th - (to / lam.sqrt()).atan()
    return 1 + sign * (share * turn).tan() * th.tan() ** upside


multiple_slips = {
    "the sign: DDIM moves too far already": functools.partial(
        multiple_with, sign=1
    ),
    "this repairs the denoiser": functools.partial(
        multiple_with, sign=1, upside=1
    ),
    "half of the turn": functools.partial(multiple_with, share=1.0),
    "one over the cosine": lambda lam, s, to: (
        1 / ((s / lam.sqrt()).atan() - (to / lam.sqrt()).atan()).cos()
    ),
}

# %% tags=["hide-input"]
multiple_exercise = Claim(
    id="angles/multiple-exercise",
    says="the multiple of the noise guess that makes DDIM exact",
    papers=("102",),
    kind="exact",
    formula=None,
    controls=multiple_slips,
    tol=1e-11,
    because="float64; a quotient of differences",
    at=multiple_at,
    truth=multiple_by_runs,
)


# %% tags=["solution", "hide-cell"]
def noise_multiple(lam, s, to):
    """1 - tan(Delta / 2) cot(theta) <= 1: the guess is scaled down."""
    theta = torch.atan2(s, lam.sqrt())
    turn = theta - torch.atan2(to, lam.sqrt())
    return 1 - (turn / 2).tan() / theta.tan()


# %%
attempt(multiple_exercise, noise_multiple)

# %% [markdown]
r"""
**3.** *An experiment.* An image of variance one is sent up to pure noise and down again, on
the grid of $N$ equal angles. What is the least $N$ for which at least $1 - \delta$ of its
standard deviation comes back? Return the counts for a tensor `delta`.
"""

# %%
delta_3 = exactly([0.3, 0.1, 0.03, 0.01])


def counts_by_trips(delta):
    """The least counts, by going up and down step by step."""
    out, n = [], 1
    for d in delta.tolist():
        while True:
            th = even(0, math.pi / 2, n + 1)
            keep = 1.0
            for u, w in zip(th[:-1].tolist(), th[1:].tolist(), strict=True):
                keep *= math.cos(u) * math.cos(w) + math.sin(u) * math.sin(w)
            if keep * keep >= 1 - d:
                break
            n += 1
        out.append(n)
    return exactly(out)


# %%
def least_count(delta, power_, ok=lambda d: 1 - d):
    """The least n with cos(pi / 2n)^(power n) >= ok."""
    n = torch.arange(1, 2000, dtype=torch.float64)
    kept = (math.pi / 2 / n).cos() ** (power_ * n)
    return (kept < ok(delta)[:, None]).sum(1) + 1.0


# %% tags=["hide-input"]
count_exercise = Claim(
    id="angles/count-exercise",
    says="the least number of steps for a round trip",
    papers=("102",),
    kind="exact",
    formula=None,
    controls={
        "one way only": lambda d: least_count(d, 1),
        "the variance, not the standard deviation": lambda d: least_count(
            d, 4
        ),
        "the first term of the expansion, rounded up": lambda d: (
            math.pi**2 / 4 / d
        ).ceil(),
    },
    tol=1e-4,
    because="counts are whole",
    at=(delta_3,),
    truth=counts_by_trips,
)


# %% tags=["solution", "hide-cell"]
def steps_for(delta):
    """The least N with cos(pi / 2N)^(2N) >= 1 - delta."""
    n = torch.arange(1, 2000, dtype=torch.float64)
    kept = (math.pi / 2 / n).cos() ** (2 * n)
    return (kept < 1 - delta[:, None]).sum(1) + 1.0


# %%
attempt(count_exercise, steps_for)

# %% [markdown]
r"""
**4.** *One budget.* For which $N$, as a real number, is [the loss](#eq-angles-allocation)
least? Write it as a function of `Theta`, `kappa`, `B`. Then search the whole $N$ with the
exact $-N \log\cos\frac\Theta N$ in place of its first term: how far off is your formula?
"""

# %%
budget_at = {
    "Theta": exactly([1.57, 1.2, 1.5, 0.8]),
    "kappa": exactly([0.01, 0.002, 0.1, 0.01]),
    "B": exactly([20.0, 50.0, 100.0, 10.0]),
}


def slope2(log, u, k, b):
    """The squared slope of the loss at N = exp(log)."""
    n = math.exp(log)
    return (-(u**2) / (2 * n**2) + 2 * k * n / b) ** 2


# %%
def by_search(Theta, kappa, B):
    """Where the slope of the loss is 0, by a bounded search."""
    out = []
    for case in torch.stack([Theta, kappa, B], 1).tolist():
        how = {"args": tuple(case), "bounds": (-1, 6)}
        end = minimize_scalar(slope2, options={"xatol": 1e-12}, **how)
        out.append(math.exp(end.x))
    return exactly(out)


# %% tags=["hide-input"]
budget_slips = {
    "the two losses made equal": lambda Theta, kappa, B: (
        (Theta**2 * B / (2 * kappa)) ** (1 / 3)
    ),
    "errors do not grow with cheaper steps": lambda Theta, kappa, B: (
        Theta**2 / (2 * kappa)
    ).sqrt(),
    "the square root": lambda Theta, kappa, B: (
        Theta**2 * B / (4 * kappa)
    ).sqrt(),
}

# %% tags=["hide-input"]
budget_exercise = Claim(
    id="angles/budget-exercise",
    says="the best number of steps for one budget",
    papers=("102",),
    kind="exact",
    formula=None,
    controls=budget_slips,
    tol=1e-6,
    because="a search sees a flat minimum to the root of eps",
    at=budget_at,
    truth=by_search,
)


# %% tags=["solution", "hide-cell"]
def best_steps(Theta, kappa, B):
    """Theta^2 / (2 N^2) = 2 kappa N / B."""
    return (Theta**2 * B / (4 * kappa)) ** (1 / 3)


# %%
attempt(budget_exercise, best_steps)

# %% [markdown]
r"""
## Summary

| what | formula | claim |
|---|---|---|
| a DDIM run, any grid, any path | $\sqrt{\lambda} \prod\cos\Delta_n$ | `angles/law` |
| from pure noise | $\times \sin\theta_T$; mean $m (1 - \cos\theta_T G)$ | `angles/start` |
| best grid of one variance | $\sqrt\lambda\tan\theta$, even in $\theta$ | `angles/equal` |
| what it keeps | $\cos^N(\Theta/N) = 1 - \Theta^2/2N + \dots$ | `angles/expansion` |
| frozen score | $\prod\cosh\Delta\eta_n$, even in $\log\psi$ | `angles/cosh` |
| price of a rule | $\int\theta'^2/(\int\theta')^2$ | `angles/price` |
| best density, many modes | $(\sum\lambda_k I_k \theta_k'^2)^{1/2}$ | `angles/density` |
| mixed schedules | signed logs add | `angles/schedules`, `angles/search` |
| up and down | $G^2$ | `angles/inversion` |
| an error $\delta$ of the guess | $\cos\Delta + \delta\cot\theta\sin\Delta$ | `angles/errors` |

**Where next.** Steps of higher order, exact for a target that moves:
[exponential integrators](exponential.ipynb). Which guess to freeze, and what changes if it
is the data: [data or noise?](prediction.ipynb)
"""
