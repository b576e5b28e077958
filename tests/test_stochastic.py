"""tables, stochastic: end laws without statistics, the papers' loops, and mixtures.

For Gaussian data every field is affine, so all states of a run are jointly Gaussian
and one dense solve gives their law: orders are measured on it, without sampling.
Tolerances: 1e-12, some roundings of numbers of order one, and 1e-10 after a run.
"""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import torch
from examples import PATHS, TWO_ENDS, D, cuda, named, normal, refuses

from diffkit import fields, laws, metrics, paths, shapes, solvers, tables, worlds

close = {"rtol": 1e-12, "atol": 1e-12}
after = {"rtol": 1e-10, "atol": 1e-10}  # a run of ten steps
inf = math.inf
VP, EDM = PATHS["vp"], PATHS["edm"]


def line(mean: float = 0.7, lam: float = 0.3) -> laws.Mixture:
    """A Gaussian on the line."""
    m = torch.tensor([mean], dtype=torch.float64)
    return laws.gaussian(m, lam)


def affine(eats: str, path: paths.Path, t: torch.Tensor, m: float, lam: float):
    """The field of N(m, lam) at times t as K x + k: score -(x - a m) / psi^2."""
    c = path.at(t)
    psi2 = c.a**2 * lam + c.g2
    K = {
        "score": -1 / psi2,
        "denoise": c.a * lam / psi2,
        "velocity": (c.a * c.da * lam + c.gdg) / psi2,
    }[eats]
    mean = {"score": 0 * c.a, "denoise": 0 * c.a + m, "velocity": c.da * m}[eats]
    return K.numpy(), (mean - K * c.a * m).numpy()


def end_of_run(table, path, start, m=0.7, lam=0.3) -> tuple[float, float]:
    """Mean and variance of the last state, from the rows: X = P X + q + noise.

    start: mean and variance of the first.
    """
    M = len(table)
    K, k = affine(table.eats, path, table.ts, m, lam)
    P, q, V = np.eye(M + 1), np.zeros(M + 1), np.zeros(M + 1)
    q[0], V[0] = start
    V[1:] = table.S.numpy() ** 2
    for n in range(M):
        for age, w in enumerate(table.A[n].tolist()):
            if w:
                P[n + 1, n - age] -= w
        for age, w in enumerate(table.B[n].tolist()):
            if w:
                P[n + 1, n - age] -= w * K[n - age]
                q[n + 1] += w * k[n - age]
    last = np.zeros(M + 1)
    last[-1] = 1
    R = scipy.linalg.solve_triangular(P, last, trans="T", lower=True)
    return R @ q, R**2 @ V


def exact(path: paths.Path, t: float, m=0.7, lam=0.3) -> tuple[float, float]:
    """Mean and variance of x_t."""
    c = path.at(t)
    return (c.a * m).item(), (c.a**2 * lam + c.g2).item()


def biases(make, path: paths.Path, t: float, s: float, steps: list[int]) -> np.ndarray:
    """|mean - truth| and |variance - truth| of the end, a row for each n."""
    ends = [
        end_of_run(make(tables.uniform(t, s, n)), path, exact(path, t)) for n in steps
    ]
    return np.abs(np.array(ends) - exact(path, s))


def slope(steps: list[int], errors: list[float]) -> float:
    """Of log error against log step."""
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


# --------------------------------------------------------------- orders in law

FLAT = {"k2": lambda ts: 2 * ts * (1.2 - ts)}  # 2 eps(t) of stochastic interpolants
SDES = {
    "euler_maruyama": {
        "flow": {"eta": 0.0},
        "half": {"eta": 0.5},
        "reverse": {},
        "rough": {"eta": 2},
        "eps": FLAT,
    },
    "stochastic_heun": {
        "flow": {"eta": 0},
        "half": {"eta": 0.5},
        "reverse": {},
        "eps": FLAT,
    },
}
ORDER = {"euler_maruyama": 1, "stochastic_heun": 2}
CASES = {f"{m} {k}": (m, SDES[m][k]) for m in SDES for k in SDES[m]}
WAYS = {"down": (0.9, 0.1), "up": (0.1, 0.9)}
STEPS = {1: [128, 256, 512], 2: [96, 192, 384]}


def made(method: str, path: paths.Path, ts: torch.Tensor, how: dict) -> tables.Table:
    """The table, with k2 taken at the grid."""
    how = {k: v(ts) if callable(v) else v for k, v in how.items()}
    return getattr(tables, method)(path, ts, **how)


@pytest.mark.parametrize("method", list(SDES))
def test_without_a_variance_rate_it_is_the_flow(method):
    path, ts = paths.vp(), tables.uniform(0.9, 0.1, 5)
    none = made(method, path, ts, {"k2": lambda ts: 0 * ts})
    flow = made(method, path, ts, {"eta": 0})
    for got, want in ((none.A, flow.A), (none.B, flow.B), (none.S, flow.S)):
        torch.testing.assert_close(got, want)
    assert not none.random


def has_order(order: int, off: np.ndarray, path: paths.Path) -> None:
    """Both biases fall with this order, and no other."""
    mean, var = off.T
    # the next term of the error is h smaller: 0.1 in the slope at these steps
    assert abs(slope(STEPS[order], var) - order) < 0.1
    if path.a.diff(paths.t, 2) == 0:  # E x = a m is a straight line
        assert mean.max() < 1e-12
    else:
        assert abs(slope(STEPS[order], mean) - order) < 0.1
        assert mean[-1] > 1e-9  # an error, not rounding


@pytest.mark.parametrize("path", ["vp", "straight"])
@pytest.mark.parametrize("way", list(WAYS))
@named(CASES)
def test_the_sde_of_every_noise_level_has_the_laws_of_the_path(name, way, path):
    (method, how), (t, s), path = CASES[name], WAYS[way], PATHS[path]
    order = ORDER[method]
    off = biases(lambda ts: made(method, path, ts, how), path, t, s, STEPS[order])
    has_order(order, off, path)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_has_order_one_in_law_for_every_eta(eta):
    mean, var = biases(lambda ts: tables.ddim(VP, ts, eta), VP, 0.9, 0.1, STEPS[1]).T
    # the mean is exact: so is that of the bridge, and E D = m
    assert mean.max() < 1e-12
    assert abs(slope(STEPS[1], var) - 1) < 0.1


@pytest.mark.parametrize("churn", [0.0, 4.0])
@pytest.mark.parametrize("name", ["vp", "edm", "straight"])
def test_churn_keeps_the_order_of_heun(name, churn):
    path = PATHS[name]
    t, s = 0.8 * path.T, 0.1 * path.T
    off = biases(lambda ts: tables.edm(path, ts, churn), path, t, s, STEPS[2])
    has_order(2, off, path)


def test_a_wrong_amount_of_noise_is_seen():
    # the control of the tests above: these chains do not converge
    ts = tables.uniform(0.9, 0.1, 256)
    table = tables.euler_maruyama(VP, ts)
    for S in (2**0.5 * table.S, table.S**2, 0 * table.S):
        wrong = tables.Table("score", ts, table.A, table.B, S)
        _, var = end_of_run(wrong, VP, exact(VP, 0.9))
        assert abs(var - exact(VP, 0.1)[1]) > 0.05


# ---------------------------------------------------------------- plain loops


def draws(x: torch.Tensor, seed: int = 1):
    """The noises that `solve` draws, one after the other."""
    rng = shapes.rng(seed)
    while True:
        yield torch.randn(x.shape, generator=rng, dtype=x.dtype)


MANY = laws.mixture(normal(3, D), 0.2)


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_euler_maruyama_is_the_loop_in_beta(eta):
    # dx = (-beta/2 x - (1 + eta^2)/2 beta score) dt + eta sqrt(beta) dW, backwards
    world, ts = worlds.World(VP, MANY), tables.uniform(0.9, 0.1, 10)
    x, z = normal(5, D), draws(normal(5, D))
    got = solvers.solve(
        tables.euler_maruyama(VP, ts, eta), world.score, x, shapes.rng(1)
    )
    for t, s in itertools.pairwise(ts):
        beta, dt = 0.1 + t * (20 - 0.1), s - t
        drift = -beta / 2 * x - (1 + eta**2) / 2 * beta * world.score(x, t)
        x = x + drift * dt
        if eta:
            x = x + eta * (beta * (t - s)).sqrt() * next(z)
    torch.testing.assert_close(got, x, **after)


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_stochastic_heun_is_the_loop_with_one_noise_a_step(eta):
    world, ts = worlds.World(VP, MANY), tables.uniform(0.9, 0.1, 10)
    x, z = normal(5, D), draws(normal(5, D))
    table = tables.stochastic_heun(VP, ts, eta)
    got = solvers.solve(table, world.score, x, shapes.rng(1))

    def beta(t):
        return 0.1 + t * (20 - 0.1)

    def v(x, t):
        return -beta(t) / 2 * x - (1 + eta**2) / 2 * beta(t) * world.score(x, t)

    for t, s in itertools.pairwise(ts):
        noise = next(z) * eta * ((beta(t) + beta(s)) / 2 * (t - s)).sqrt() if eta else 0
        guess = x + (s - t) * v(x, t) + noise
        x = x + (s - t) / 2 * (v(x, t) + v(guess, s)) + noise
    torch.testing.assert_close(got, x, **after)
    assert table.lands.tolist() == [True] + [False, True] * 10
    assert table.evaluations == 20


def test_euler_maruyama_on_ve_is_the_loop_in_sigma():
    # dx = -d(sigma^2)/dt score dt + sqrt(d(sigma^2)/dt) dW, on sigma = t
    world, ts = worlds.World(EDM, MANY), tables.uniform(4.0, 0.5, 10)
    x, z = 4 * normal(5, D), draws(normal(5, D))
    got = solvers.solve(tables.euler_maruyama(EDM, ts), world.score, x, shapes.rng(1))
    for t, s in itertools.pairwise(ts):
        x = x + 2 * t * (t - s) * world.score(x, t) + (2 * t * (t - s)).sqrt() * next(z)
    torch.testing.assert_close(got, x, **after)


@pytest.mark.parametrize("name", ["vp", "edm", "ve", "straight", "trig"])
def test_without_noise_both_are_the_flow(name):
    path = PATHS[name]
    world = worlds.World(path, MANY)
    velocity = fields.convert(world.score, path, "score", "velocity")
    for ts in (tables.uniform(0.9, 0.2, 7), tables.uniform(0.2, 0.9, 7)):
        ts, x = ts * path.T, normal(5, D)
        for ours, theirs in (
            (tables.euler_maruyama, tables.euler),
            (tables.stochastic_heun, tables.heun),
        ):
            got = solvers.solve(ours(path, ts, 0), world.score, x)
            want = solvers.solve(theirs(ts), velocity, x)
            torch.testing.assert_close(got, want, **after)


def test_churn_of_nothing_is_heun():
    ts = tables.uniform(0.9, 0.0, 6)
    world, x = worlds.World(VP, MANY), normal(5, D)
    got = solvers.solve(tables.edm(VP, ts), world.velocity, x, keep=True)
    # all but the last step; and that is Euler's
    want = solvers.solve(tables.heun(ts[:-1]), world.velocity, x, keep=True)
    torch.testing.assert_close(got[:-1], want, **close)
    last = solvers.solve(tables.euler(ts[-2:]), world.velocity, got[-2])
    torch.testing.assert_close(got[-1], last, **close)
    up = tables.edm(VP, ts.flip(0))
    there = solvers.solve(up, world.velocity, x)
    torch.testing.assert_close(
        there, solvers.solve(tables.heun(ts.flip(0)), world.velocity, x), **close
    )


def karras(denoise, sigmas, x, z, churn, low, high, inflate):
    """Karras et al., algorithm 2, in their letters: t is sigma."""
    N = len(sigmas) - 1
    for i in range(N):
        t = sigmas[i]
        gamma = min(churn / N, math.sqrt(2) - 1) if low <= t <= high else 0.0
        hat = t + gamma * t
        if gamma > 0:
            x = x + (hat**2 - t**2).sqrt() * inflate * next(z)
        d = (x - denoise(x, hat)) / hat
        new = x + (sigmas[i + 1] - hat) * d
        if sigmas[i + 1] != 0:
            second = (new - denoise(new, sigmas[i + 1])) / sigmas[i + 1]
            new = x + (sigmas[i + 1] - hat) * (d / 2 + second / 2)
        x = new
    return x


SETTINGS = {
    "none": (0.0, 0.0, inf, 1.0),
    "all": (2.0, 0.0, inf, 1.0),
    "capped": (30.0, 0.0, inf, 1.003),
    "middle": (3.0, 0.2, 2.0, 1.007),
}


@named(SETTINGS)
def test_churn_is_the_algorithm_as_printed(name):
    path = paths.edm(10.0)
    world = worlds.World(path, MANY)
    ts = tables.to_data(tables.by_rho(path, 5.0, 0.05, 8))
    x = 5 * normal(6, D)
    table = tables.edm(path, ts, *SETTINGS[name])
    got = solvers.solve(table, world.velocity, x, shapes.rng(1))
    want = karras(world.denoise, ts, x, draws(x), *SETTINGS[name])
    torch.testing.assert_close(got, want, **after)
    assert table.evaluations == 2 * 9 - 1


def test_churn_includes_both_ends_of_its_band():
    path, ts = paths.edm(10.0), torch.tensor([4.0, 2.0, 1.0, 0.5]).double()
    table = tables.edm(path, ts, 3.0, 1.0, 2.0)
    noisy = table.ts[:-1][table.S > 0]
    assert noisy.tolist() == [2.0, 1.0]
    # S_churn / N = 1 is more than sqrt 2 - 1, and twice the variance is the most
    np.testing.assert_allclose(
        table.ts[1:][table.S > 0].numpy(), [2 * 2**0.5, 2**0.5], rtol=1e-12
    )


@pytest.mark.parametrize("name", ["vp", "trig", "cosine"])
def test_churn_on_another_path_is_the_paper_s_scaled(name):
    # x = s y with y on sigma = nsr; Heun is in t, so the slopes are those of x
    path = PATHS[name]
    world, ts = worlds.World(path, MANY), tables.uniform(0.8, 0.1, 7)
    ts = torch.cat([ts, ts.new_zeros(1)])
    x, z = normal(6, D), draws(normal(6, D))
    got = solvers.solve(
        tables.edm(path, ts, 2.0, 0.1, inf, 1.01), world.velocity, x, shapes.rng(1)
    )
    for t, s in itertools.pairwise(ts):
        c = path.at(t)
        gamma = 2 / 8 if c.g / c.a >= 0.1 else 0.0
        hat = path.when((c.g / c.a).item() * (1 + gamma))
        b = path.at(hat)
        if gamma:
            level = b.g2 - (b.a / c.a) ** 2 * c.g2
            x = b.a / c.a * x + 1.01 * level.sqrt() * next(z)
        k = world.velocity(x, hat)
        if s > 0:
            k = (k + world.velocity(x + (s - hat) * k, s)) / 2
        x = x + (s - hat) * k
    torch.testing.assert_close(got, x, **after)


@pytest.mark.parametrize("churn", [0.0, 2.0])
def test_the_numbers_have_slopes_in_the_grid(churn):
    # `when` has none; the lifted time moves with the grid all the same
    inner = torch.tensor([0.6, 0.4], dtype=torch.float64)
    makers = [
        lambda ts: tables.edm(VP, ts, churn),
        lambda ts: tables.euler_maruyama(VP, ts, churn / 2),
        lambda ts: tables.stochastic_heun(VP, ts, churn / 2),
    ]

    for make in makers:

        def numbers(inner, make=make):
            ends = inner.new_tensor([0.8, 0.1, 0.0])
            table = make(torch.cat([ends[:1], inner, ends[1:]]))
            parts = (table.A, table.B, table.S, table.ts)
            return torch.cat([u.flatten() for u in parts])

        got = torch.autograd.functional.jacobian(numbers, inner)
        eye = 1e-6 * torch.eye(2).double()
        want = [(numbers(inner + e) - numbers(inner - e)) / 2e-6 for e in eye]
        # central differences: h^2 times a third derivative, and rounding over h
        torch.testing.assert_close(got, torch.stack(want, 1), rtol=1e-5, atol=1e-7)


# ------------------------------------------------------------- the step to 0

SCORED = pytest.mark.parametrize("method", ["euler_maruyama", "stochastic_heun"])


@SCORED
@named({k: v for k, v in PATHS.items() if k != "edm"} | {"edm": EDM})
def test_the_step_to_noise_0_returns_the_denoiser_and_adds_none(name, method):
    path = PATHS[name]
    world = worlds.World(path, laws.dataset(normal(4, D, seed=8)))
    ts = tables.uniform(0.9, 0.0, 5) * path.T
    table = getattr(tables, method)(path, ts)
    assert table.S[-1] == 0 and table.lands[-1] and table.ts[-1] == 0
    assert (table.S != 0).sum() == 4
    trail = solvers.solve(table, world.score, normal(6, D), shapes.rng(2), keep=True)
    guess = world.denoise(trail[-2], ts[-2])
    # the score is divided by g^2, down to 0.1 on the path of smallest noise
    torch.testing.assert_close(trail[-1], guess, rtol=1e-9, atol=1e-9)
    assert len(trail) == 6


@SCORED
def test_one_step_to_the_data_is_a_table_too(method):
    path = PATHS["edm"]
    world = worlds.World(path, MANY)
    table = getattr(tables, method)(path, tables.uniform(3.0, 0.0, 1))
    x = normal(5, D)
    got = solvers.solve(table, world.score, x)
    torch.testing.assert_close(got, world.denoise(x, 3.0), **after)
    assert len(table) == 1 and not table.random
    one = tables.edm(path, tables.uniform(3.0, 0.0, 1))
    torch.testing.assert_close(
        solvers.solve(one, world.velocity, x), world.denoise(x, 3.0), **after
    )


def test_up_with_all_its_noise_is_the_forward_process():
    # no score is asked, and the end without signal may be reached
    for name in ("vp", "trig", "edm"):
        path = PATHS[name]
        table = tables.euler_maruyama(path, tables.uniform(0.0, path.T, 4))
        assert table.evaluations == 0
        f, h2 = path.sde(table.ts[:-1])
        torch.testing.assert_close(table.A[:, 0], 1 + f * path.T / 4, **close)
        torch.testing.assert_close(table.S**2, h2 * path.T / 4, **close)


# -------------------------------------------------------------- mixtures, drawn


def two_bumps() -> laws.Mixture:
    means = torch.tensor([[-1.5], [1.0]], dtype=torch.float64)
    weights = torch.tensor([0.35, 0.65], dtype=torch.float64)
    return laws.mixture(means, 0.05, weights)


END_LAWS = {  # method, its arguments, steps at which the bias is below the error
    "euler_maruyama": (tables.euler_maruyama, {}, 200),
    "rough": (tables.stochastic_heun, {"eta": 1.5}, 60),
    "stochastic_heun": (tables.stochastic_heun, {}, 40),
    "ancestral": (tables.ancestral, {}, 200),
    "large": (tables.ancestral, {"variance": "forward"}, 200),
    "churn": (tables.edm, {"churn": 8.0}, 40),
}
N = 3000


@named(END_LAWS)
def test_the_end_law_is_that_of_the_mixture(name):
    # n = 3000, seeds 3 and 4; the false alarm of the KS test is 1e-9, as 6 sigma
    method, how, steps = END_LAWS[name]
    world = worlds.World(VP, two_bumps())
    start = world.law(0.8).sample(N, shapes.rng(3))
    table = method(VP, tables.uniform(0.8, 0.1, steps), **how)
    x = solvers.solve(table, getattr(world, table.eats), start, shapes.rng(4))
    assert metrics.moment_scores(x, world.law(0.1)).worst() < 6
    assert metrics.ks_test(x, world.law(0.1)).p > 1e-9
    few = method(VP, tables.uniform(0.8, 0.1, 4), **how)  # the test sees a wrong law
    x = solvers.solve(few, getattr(world, few.eats), start, shapes.rng(4))
    assert metrics.ks_test(x, world.law(0.1)).p < 1e-9


HALVED = {
    "euler_maruyama": (tables.euler_maruyama, 16, 1),
    "stochastic_heun": (tables.stochastic_heun, 6, 2),
}


@named(HALVED)
def test_halving_the_step_shrinks_the_bias_on_a_mixture(name):
    # on one Brownian motion, runs differ little: E cos 2 x_N - E cos 2 x_2N is seen
    # to some percent of itself, and falls by 2^order; n = 20,000, seeds 3 and 4
    method, steps, order = HALVED[name]
    world = worlds.World(VP, two_bumps())
    start = world.law(0.7).sample(20_000, shapes.rng(3))
    W, ends = solvers.Brownian(start, shapes.rng(4)), []
    for n in (steps, 2 * steps, 4 * steps):
        table = method(VP, tables.uniform(0.7, 0.2, n))
        ends.append((2 * solvers.solve(table, world.score, start, W)).cos())
    one, two = (shapes.Estimate.of(u - v) for u, v in itertools.pairwise(ends))
    error = math.hypot(one.error / one.value, two.error / two.value)
    ratio = math.log2(one.value / two.value)
    assert error < 0.08
    # 6 sigma of log2 of the ratio, and 0.1 for the next order at these steps
    assert abs(ratio - order) < 6 * error / math.log(2) + 0.1


# -------------------------------------------------------------------- Langevin


@pytest.mark.parametrize(
    ("name", "lam", "snr"), [("vp", 0.3, 0.4), ("edm", 2.0, 0.16), ("straight", 0, 0.9)]
)
def test_langevin_tends_to_its_own_variance(name, lam, snr):
    # of the chain x <- (1 - eps/V) x + sqrt(2 eps) z, V = a^2 lam + g^2
    path = PATHS[name]
    t = 0.6 * path.T
    (mean, V), g2 = exact(path, t, lam=lam), path.at(t).g2.item()
    table = tables.langevin(path, torch.tensor([t], dtype=torch.float64), 900, snr)
    got = end_of_run(table, path, (5.0, 9.0), lam=lam)
    want = (mean, V / (1 - snr**2 * g2 / V))
    assert got == pytest.approx(want, rel=1e-10, abs=0)


def test_one_langevin_step_keeps_the_law_to_second_order():
    ts, V = torch.tensor([0.5], dtype=torch.float64), exact(VP, 0.5)[1]
    for snr in (0.2, 0.1, 0.05):
        got = end_of_run(tables.langevin(VP, ts, 1, snr), VP, exact(VP, 0.5))
        eps = 2 * snr**2 * VP.at(0.5).g2.item()
        # (1 - eps/V)^2 V + 2 eps = V + eps^2/V; a difference of numbers near V
        assert got[1] - V == pytest.approx(eps**2 / V, rel=0, abs=1e-14)
        assert got[0] == pytest.approx(exact(VP, 0.5)[0], rel=1e-14, abs=0)


def test_the_rule_of_the_paper_is_ours_for_point_data_and_many_dimensions():
    # eps = 2 (snr |z| / |s|)^2, with norms averaged over the batch
    d, n, snr, t = 4000, 50, 0.16, 0.4
    world = worlds.World(VP, laws.gaussian(torch.zeros(d).double(), 0.0))
    x = world.law(t).sample(n, shapes.rng(1))
    z = torch.randn(n, d, generator=shapes.rng(2), dtype=torch.float64)
    ratio = z.norm(dim=-1).mean() / world.score(x, t).norm(dim=-1).mean()
    table = tables.langevin(VP, torch.tensor([t], dtype=torch.float64), 1, snr)
    # a norm is sqrt(d) (1 +- 1 / sqrt(2 d)); of 2 n norms, squared: 2 / sqrt(d n)
    assert table.B[0, 0].item() == pytest.approx(
        2 * (snr * ratio.item()) ** 2, rel=6 * 2 / math.sqrt(d * n), abs=0
    )
    assert table.S[0] ** 2 == pytest.approx(2 * table.B[0, 0].item(), rel=1e-14)


def test_langevin_at_many_times_is_annealed():
    world, x, z = worlds.World(VP, MANY), normal(5, D), draws(normal(5, D))
    ts = torch.tensor([0.9, 0.4, 0.4, 0.0], dtype=torch.float64)
    table = tables.langevin(VP, ts, 3, 0.3)
    trail = solvers.solve(table, world.score, x, shapes.rng(1), keep=True)
    for t in ts[:-1]:
        for _ in range(3):
            eps = 2 * (0.3 * VP.at(t).g) ** 2
            x = x + eps * world.score(x, t) + (2 * eps).sqrt() * next(z)
    torch.testing.assert_close(trail[-1], x, **after)
    assert len(trail) == 5 and torch.equal(trail[-1], trail[-2])  # nothing moves at 0
    assert table.evaluations == 9


# ---------------------------------------------------------- interleaved, eating


def test_predictor_and_corrector_are_the_algorithm_as_printed():
    # Song et al.: predict to the next time, then correct there M times
    world, ts = worlds.World(VP, MANY), tables.uniform(0.9, 0.0, 6)
    x, z = normal(5, D), draws(normal(5, D))
    table = tables.interleaved(
        tables.euler_maruyama(VP, ts), tables.langevin(VP, ts, 2, 0.3)
    )
    trail = solvers.solve(table, world.score, x, shapes.rng(1), keep=True)
    for n, (t, s) in enumerate(itertools.pairwise(ts)):
        f, h2 = VP.sde(t)
        if s > 0:
            x = x + (s - t) * (f * x - h2 * world.score(x, t))
            x = x + (h2 * (t - s)).sqrt() * next(z)
            for _ in range(2):
                eps = 2 * (0.3 * VP.at(s).g) ** 2
                x = x + eps * world.score(x, s) + (2 * eps).sqrt() * next(z)
        else:
            x = world.denoise(x, t)
        torch.testing.assert_close(trail[n + 1], x, **after)
    assert table.clock is None and table.evaluations == 6 + 2 * 5


def adams_bashforth(ts: torch.Tensor) -> tables.Table:
    """x + h (3/2 F_n - 1/2 F_{n-1}), begun by Euler: a table with a memory."""
    h = ts.diff()
    B = torch.stack([1.5 * h, -0.5 * h], 1)
    B[0] = torch.stack([h[0], 0 * h[0]])
    ones = torch.ones_like(h).unsqueeze(1)
    return tables.Table("velocity", ts, ones, B, torch.zeros_like(h))


def test_a_predictor_keeps_its_memory_between_corrections():
    world, ts = worlds.World(VP, MANY), tables.uniform(0.9, 0.2, 6)
    fix = tables.eating(tables.langevin(VP, ts[1:-1], 1, 0.3), VP, "velocity")
    table = tables.interleaved(adams_bashforth(ts), fix)
    x, z = normal(5, D), draws(normal(5, D))
    got = solvers.solve(table, world.velocity, x, shapes.rng(1))
    old = None
    for n, (t, s) in enumerate(itertools.pairwise(ts)):
        k = world.velocity(x, t)
        x = x + (s - t) * (k if old is None else 1.5 * k - 0.5 * old)
        old = k
        if n < 5:
            eps = 2 * (0.3 * VP.at(s).g) ** 2
            x = x + eps * world.score(x, s) + (2 * eps).sqrt() * next(z)
    torch.testing.assert_close(got, x, **after)


@pytest.mark.parametrize("name", ["heun", "adams", "churn"])
def test_corrections_that_do_nothing_change_nothing(name):
    world, ts, x = worlds.World(VP, MANY), tables.uniform(0.9, 0.2, 6), normal(5, D)
    table = {
        "heun": tables.heun(ts),
        "adams": adams_bashforth(ts),
        "churn": tables.edm(VP, ts, 2.0),
    }[name]
    n = len(ts) - 1
    none = torch.zeros(2 * n, 1).double()
    times = ts[1:].repeat_interleave(2)
    idle = tables.Table(
        "velocity", torch.cat([times, ts[-1:]]), none + 1, none, none[:, 0]
    )
    both = tables.interleaved(table, idle)
    assert len(both) == len(table) + 2 * n
    runs = [
        solvers.solve(u, world.velocity, x, shapes.rng(1), keep=True)
        for u in (table, both)
    ]
    torch.testing.assert_close(*runs, **close)
    assert torch.equal(table.ts[table.lands], both.ts[both.lands])


def test_corrections_bring_a_wrong_law_home():
    # eight steps of Euler-Maruyama end too wide; Langevin then tends to its own law
    ts = tables.uniform(0.9, 0.1, 8)
    plain = tables.euler_maruyama(VP, ts)
    both = tables.interleaved(plain, tables.langevin(VP, ts, 150, 0.3))
    V, g2 = exact(VP, 0.1)[1], VP.at(0.1).g2.item()
    _, wide = end_of_run(plain, VP, exact(VP, 0.9))
    _, home = end_of_run(both, VP, exact(VP, 0.9))
    assert wide > 1.1 * V
    # (1 - eps/V)^300 of the first is left: e^-15
    assert home == pytest.approx(V / (1 - 0.09 * g2 / V), rel=1e-5, abs=0)


TARGETS = ("denoise", "noise", "score", "velocity", "v")


@pytest.mark.parametrize("have", TARGETS)
@pytest.mark.parametrize("name", ["vp", "edm", "straight"])
def test_a_table_may_eat_any_target(name, have):
    path = PATHS[name]
    world, ts = worlds.World(path, MANY), tables.uniform(0.9, 0.2, 5) * path.T
    x = normal(5, D)
    makers = {
        "heun": tables.heun(ts),
        "adams": adams_bashforth(ts),
        "half": tables.ddim(path, ts, 0.5),
        "reverse": tables.stochastic_heun(path, ts),
        "of noise": tables.eating(tables.ancestral(path, ts), path, "noise"),
        "of v": tables.eating(tables.ancestral(path, ts), path, "v"),
    }
    for table in makers.values():
        own = fields.convert(world.denoise, path, "denoise", table.eats)
        other = fields.convert(world.denoise, path, "denoise", have)
        want = solvers.solve(table, own, x, shapes.rng(1), keep=True)
        new = tables.eating(table, path, have)
        got = solvers.solve(new, other, x, shapes.rng(1), keep=True)
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)
        assert new.eats == have and new.evaluations == table.evaluations
        assert new.clock is table.clock and torch.equal(new.S, table.S)


def test_there_and_back_is_the_same_table():
    ts = tables.uniform(0.9, 0.2, 5)
    table = tables.stochastic_heun(VP, ts)
    for target in TARGETS:
        back = tables.eating(tables.eating(table, VP, target), VP, "score")
        torch.testing.assert_close(back.A, table.A, **after)
        torch.testing.assert_close(back.B, table.B, **after)
    assert tables.eating(table, VP, "score") is table


def test_noise_and_score_tell_each_other_where_nothing_is_left_of_the_data():
    path, ts = PATHS["straight"], tables.uniform(1.0, 0.4, 3)
    world, x = worlds.World(path, MANY), normal(5, D)
    noise = tables.Table(
        "noise", ts, torch.ones(3, 1).double(), ts.diff()[:, None], torch.zeros(3)
    )
    want = solvers.solve(noise, world.noise, x)
    got = solvers.solve(tables.eating(noise, path, "score"), world.score, x)
    torch.testing.assert_close(got, want, **after)
    # and DDIM may begin there with a velocity
    ddim = tables.ddim(path, ts)
    got = solvers.solve(tables.eating(ddim, path, "velocity"), world.velocity, x)
    torch.testing.assert_close(got, solvers.solve(ddim, world.denoise, x), **after)


# -------------------------------------------------------------- dtype and device

MAKERS = {
    "euler_maruyama": lambda ts: tables.euler_maruyama(VP, ts, k2=0 * ts + 0.3),
    "stochastic_heun": lambda ts: tables.stochastic_heun(VP, ts, 0.5),
    "edm": lambda ts: tables.edm(VP, ts, 2.0),
    "langevin": lambda ts: tables.langevin(VP, ts, 2),
    "interleaved": lambda ts: tables.interleaved(
        tables.euler_maruyama(VP, ts), tables.langevin(VP, ts)
    ),
    "eating": lambda ts: tables.eating(tables.edm(VP, ts, 2.0), VP, "denoise"),
}


@named(MAKERS)
def test_precision_follows_the_grid(name):
    ts = tables.uniform(0.9, 0.0, 6)
    single, double = MAKERS[name](ts.float()), MAKERS[name](ts)
    for part in ("ts", "A", "B", "S"):
        got, want = getattr(single, part), getattr(double, part)
        assert got.dtype == torch.float32
        # g^2 = 1 - exp(-u) and differences of nsr lose some of the seven digits
        torch.testing.assert_close(got.double(), want, rtol=1e-3, atol=1e-4)


@cuda
@named(MAKERS)
def test_tables_are_made_on_a_gpu(name):
    ts = tables.uniform(0.9, 0.0, 6).cuda()
    table = MAKERS[name](ts)
    assert all(u.is_cuda for u in (table.ts, table.A, table.B, table.S))
    x = torch.ones(4, 2, dtype=torch.float64, device="cuda")
    y = solvers.solve(table, lambda x, t: -x, x, shapes.rng(0, "cuda"))
    assert y.is_cuda


# ----------------------------------------------------------------- refusals

V, T = ValueError, TypeError
nan = float("nan")
grid = tables.uniform(0.9, 0.0, 4)
TRIG, MIRROR = PATHS["trig"], paths.mirror()
up = grid.flip(0)
BOTH = tables.euler_maruyama(VP, grid)
order = "at least two times, all increasing or all decreasing"
WRONG = {
    "order": (V, order, lambda: tables.euler_maruyama(VP, grid[[0, 2, 1]])),
    "heun order": (V, order, lambda: tables.stochastic_heun(VP, grid[:1])),
    "edm order": (V, order, lambda: tables.edm(VP, grid[[0, 2, 1]])),
    "ints": (T, "ts is torch.int64", lambda: tables.edm(VP, torch.arange(3))),
    "late": (V, r"lives on \[0, 1\]", lambda: tables.stochastic_heun(VP, grid + 0.5)),
    "two ends": (V, "second end", lambda: tables.euler_maruyama(TWO_ENDS, grid)),
    "heun two ends": (V, "second end", lambda: tables.stochastic_heun(TWO_ENDS, grid)),
    "edm two ends": (V, "second end", lambda: tables.edm(TWO_ENDS, grid)),
    "langevin two ends": (V, "second end", lambda: tables.langevin(TWO_ENDS, grid)),
    "eating two ends": (
        V,
        "second end",
        lambda: tables.eating(BOTH, TWO_ENDS, "noise"),
    ),
    "no signal": (
        V,
        "rate a'/a is infinite",
        lambda: tables.euler_maruyama(TRIG, tables.uniform(1.0, 0.0, 3)),
    ),
    "no signal, one step": (
        V,
        "rate a'/a is infinite",
        lambda: tables.stochastic_heun(TRIG, tables.uniform(1.0, 0.0, 1)),
    ),
    "no signal at the end": (
        V,
        "rate a'/a is infinite",
        lambda: tables.stochastic_heun(TRIG, tables.uniform(0.0, 1.0, 3)),
    ),
    "mirror": (
        V,
        "ratio falls",
        lambda: tables.euler_maruyama(MIRROR, tables.uniform(0.9, 0.1, 3)),
    ),
    "eta": (
        V,
        "eta is -1; it must be >= 0",
        lambda: tables.euler_maruyama(VP, grid, -1),
    ),
    "eta inf": (V, "eta is inf", lambda: tables.stochastic_heun(VP, grid, inf)),
    "eta nan": (V, "eta is nan", lambda: tables.euler_maruyama(VP, grid, nan)),
    "k2 shape": (
        V,
        r"k2 has shape \(4,\); it must hold 5 variance rates",
        lambda: tables.euler_maruyama(VP, grid, k2=grid[:-1]),
    ),
    "k2 negative": (
        V,
        ">= 0, one at each time",
        lambda: tables.stochastic_heun(VP, grid, k2=-grid),
    ),
    "k2 nan": (
        V,
        "k2 holds NaN",
        lambda: tables.stochastic_heun(VP, grid, k2=grid * nan),
    ),
    "k2 list": (T, "k2 is list", lambda: tables.euler_maruyama(VP, grid, k2=[1.0])),
    "churn": (V, "churn = -1", lambda: tables.edm(VP, grid, -1)),
    "churn nan": (V, "churn = nan", lambda: tables.edm(VP, grid, nan)),
    "inflate": (V, "inflate = inf", lambda: tables.edm(VP, grid, inflate=inf)),
    "band": (V, "low = 2, high = 1", lambda: tables.edm(VP, grid, 1, 2, 1)),
    "churn upwards": (
        V,
        "from noise to data",
        lambda: tables.edm(VP, up[1:], 2.0),
    ),
    "churn beyond": (
        V,
        "lifts nsr to 7.07.* ends at 5; start the grid lower",
        lambda: tables.edm(EDM, tables.uniform(5.0, 0.0, 3), 9.0),
    ),
    "churn without signal": (
        V,
        "lifts nsr to inf",
        lambda: tables.edm(TRIG, tables.uniform(1.0, 0.0, 3), 1.0),
    ),
    "langevin times": (
        V,
        r"ts has shape \(0,\)",
        lambda: tables.langevin(VP, grid[:0]),
    ),
    "langevin number": (V, r"ts has shape \(\)", lambda: tables.langevin(VP, grid[0])),
    "langevin ints": (
        T,
        "ts is torch.int64",
        lambda: tables.langevin(VP, torch.arange(1)),
    ),
    "langevin steps": (V, "steps = 0", lambda: tables.langevin(VP, grid, 0)),
    "snr": (V, "snr = 1; .* snr < 1", lambda: tables.langevin(VP, grid, 1, 1)),
    "snr 0": (V, "snr = 0", lambda: tables.langevin(VP, grid, 1, 0)),
    "appetites": (
        V,
        "the table eats score and the corrector velocity; rewrite",
        lambda: tables.interleaved(BOTH, tables.euler(grid)),
    ),
    "corrector looks back": (
        V,
        "the corrector looks back",
        lambda: tables.interleaved(BOTH, tables.stochastic_heun(VP, grid)),
    ),
    "corrector elsewhere": (
        V,
        "no row at any time of the table",
        lambda: tables.interleaved(BOTH, tables.langevin(VP, grid[:-1] + 0.01)),
    ),
    "target": (
        V,
        "target 'eps' is unknown",
        lambda: tables.eating(BOTH, VP, "eps"),
    ),
    "no way": (
        V,
        "noise does not determine denoise",
        lambda: tables.eating(
            tables.ddim(TRIG, tables.uniform(1, 0, 3)), TRIG, "noise"
        ),
    ),
    "no way at 0": (
        V,
        "denoise does not determine velocity",
        lambda: tables.eating(tables.euler(up), VP, "denoise"),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
