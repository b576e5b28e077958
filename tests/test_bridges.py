"""tables, bridges: DDIM and ancestral steps by dense conditioning and by the papers.

Tolerances: 1e-12, some roundings of numbers of order one.
"""

import pytest
import torch
from examples import PATHS, TWO_ENDS, D, named, normal, refuses

from diffkit import fields, laws, paths, shapes, solvers, tables, worlds

close = {"rtol": 1e-12, "atol": 1e-12}
DOWN = torch.tensor([0.9, 0.7, 0.4, 0.1, 0.0], dtype=torch.float64)
ETAS = pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
EITHER = pytest.mark.parametrize("variance", ["posterior", "forward"])


def span(path: paths.Path) -> torch.Tensor:
    return DOWN * path.T


# ---------------------------------------------------------------- the bridge


@named(PATHS)
def test_ancestral_steps_are_the_bridge_by_dense_conditioning(name):
    # given x0, (x_s, x_t) is Gaussian with covariance [[g_s^2, r g_s^2], [., g_t^2]]
    # because x_t = r x_s + fresh noise, r = a_t / a_s; then condition on x_t
    path = PATHS[name]
    table = tables.ddim(path, span(path), 1.0)
    c = path.at(span(path))
    for n in range(4):
        r = c.a[n] / c.a[n + 1]
        gain = r * c.g2[n + 1] / c.g2[n]
        var = c.g2[n + 1] - gain * r * c.g2[n + 1]
        torch.testing.assert_close(table.A[n, 0], gain, **close)
        torch.testing.assert_close(table.B[n, 0], c.a[n + 1] - gain * c.a[n], **close)
        torch.testing.assert_close(table.S[n] ** 2, var, **close)
    assert table.eats == "denoise" and table.random


@ETAS
@named(PATHS)
def test_every_eta_keeps_the_noise_level_of_the_path(name, eta):
    path = PATHS[name]
    table, c = tables.ddim(path, span(path), eta), path.at(span(path))
    A, B = table.A[:, 0], table.B[:, 0]
    torch.testing.assert_close(A * c.a[:-1] + B, c.a[1:], **close)
    torch.testing.assert_close(A**2 * c.g2[:-1] + table.S**2, c.g2[1:], **close)
    top = tables.ancestral(path, span(path)).S
    torch.testing.assert_close(table.S, eta * top, **close)
    assert table.random == (eta > 0)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@named(PATHS)
def test_two_steps_toward_one_guess_are_one_step(name, eta):
    # the bridge to a fixed x0 is a Markov chain: Chapman and Kolmogorov
    path, (t, u, s) = PATHS[name], span(PATHS[name])[[0, 1, 3]]
    one = tables.ddim(path, torch.stack([t, s]), eta)
    two = tables.ddim(path, torch.stack([t, u, s]), eta)
    (A, K), (B, C) = two.A[:, 0], two.B[:, 0]
    torch.testing.assert_close(one.A[0, 0], K * A, **close)
    torch.testing.assert_close(one.B[0, 0], K * B + C, **close)
    level = (K * two.S[0]) ** 2 + two.S[1] ** 2
    torch.testing.assert_close(one.S[0] ** 2, level, **close)


@named(PATHS)
def test_ddim_is_euler_in_the_noise_to_signal_ratio(name):
    # y = x / a, dy / d nsr = (y - D) / nsr
    path = PATHS[name]
    ts = span(path)
    table, nsr, a = tables.ddim(path, ts), path.nsr(ts), path.at(ts).a
    x, guess = normal(D), normal(D, seed=1)
    for n in range(4):
        y = x / a[n]
        y = y + (nsr[n + 1] - nsr[n]) * (y - guess) / nsr[n]
        got = table.step(n, lambda x, t: guess, [x], [], None)
        torch.testing.assert_close(got, a[n + 1] * y, **close)


# ---------------------------------------------------------- the papers' loops


def run_of_ddpm(path, ts, x, eps, rng, large):
    """The sampler of Ho, Jain and Abbeel, with their alpha_n and alpha-bar_n."""
    bar = path.at(ts).a ** 2
    for n in range(len(ts) - 1):
        alpha, last = bar[n] / bar[n + 1], n == len(ts) - 2
        noise = eps(x, ts[n])
        x = (x - (1 - alpha) / (1 - bar[n]).sqrt() * noise) / alpha.sqrt()
        beta = 1 - alpha
        var = beta if large else (1 - bar[n + 1]) / (1 - bar[n]) * beta
        if not last:
            z = torch.randn(x.shape, generator=rng, dtype=x.dtype)
            x = x + var.sqrt() * z
    return x


@EITHER
@pytest.mark.parametrize("name", ["vp", "trig", "cosine"])
def test_ancestral_is_ddpm_as_printed(name, variance):
    path = PATHS[name]
    world = worlds.World(path, laws.mixture(normal(3, D), 0.2))
    ts, x = tables.uniform(0.95, 0.0, 12), normal(5, D)
    table = tables.ancestral(path, ts, variance)
    got = solvers.solve(table, world.denoise, x, shapes.rng(1))
    large = variance == "forward"
    want = run_of_ddpm(path, ts, x, world.noise, shapes.rng(1), large)
    # (x - g eps) / a loses a digit at a = 0.05, in which the loop works
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_ddim_is_the_step_as_printed(eta):
    # Song, Meng and Ermon, eq. 12 with sigma of eq. 16
    path = PATHS["vp"]
    world = worlds.World(path, laws.mixture(normal(3, D), 0.2))
    ts, x = tables.uniform(0.9, 0.1, 8), normal(5, D)
    table = tables.ddim(path, ts, eta)
    got = solvers.solve(table, world.denoise, x, shapes.rng(1))
    rng, alpha = shapes.rng(1), path.at(ts).a ** 2
    for n in range(8):
        a, b = alpha[n], alpha[n + 1]
        sigma = eta * ((1 - b) / (1 - a)).sqrt() * (1 - a / b).sqrt()
        eps = world.noise(x, ts[n])
        guess = (x - (1 - a).sqrt() * eps) / a.sqrt()
        x = b.sqrt() * guess + (1 - b - sigma**2).sqrt() * eps
        if eta:
            x = x + sigma * torch.randn(x.shape, generator=rng, dtype=x.dtype)
    torch.testing.assert_close(got, x, rtol=1e-10, atol=1e-10)


def test_a_published_sampler_agrees():
    reason = "the samplers of diffusers are an optional extra"
    peers = pytest.importorskip("diffusers", reason=reason)
    path, ts = PATHS["vp"], tables.uniform(0.95, 0.0, 10)
    world = worlds.World(path, laws.mixture(normal(3, D), 0.2))
    bar = (path.at(ts).a ** 2).flip(0)[1:]
    names = {"posterior": "fixed_small", "forward": "fixed_large"}
    for variance, theirs in names.items():
        peer = peers.DDPMScheduler(10, variance_type=theirs, clip_sample=False)
        peer.alphas_cumprod = bar
        x, rng = normal(5, D), shapes.rng(1)
        for n in range(10):
            eps = world.noise(x, ts[n])
            x = peer.step(eps, 9 - n, x, generator=rng).prev_sample
        table = tables.ancestral(path, ts, variance)
        got = solvers.solve(table, world.denoise, normal(5, D), shapes.rng(1))
        torch.testing.assert_close(got, x, rtol=1e-6, atol=1e-6)


# ------------------------------------------------------------ the two variances


@named(PATHS)
def test_the_forward_variance_is_what_the_forward_step_adds(name):
    path, ts = PATHS[name], span(PATHS[name])
    c, table = path.at(ts), tables.ancestral(path, ts, "forward")
    posterior = tables.ancestral(path, ts)
    r = c.a[:-1] / c.a[1:]
    want = c.g2[:-1] - r**2 * c.g2[1:]
    torch.testing.assert_close(table.S[:-1] ** 2, want[:-1], **close)
    assert table.S[-1] == 0 and (table.S[:-1] > posterior.S[:-1]).all()
    for u, v in ((table.A, posterior.A), (table.B, posterior.B)):
        assert torch.equal(u, v)


def end_law(path, lam, ts, variance):
    """Mean and variance after the chain, for data N(1, lam), by hand in one dimension.

    D = 1 + a lam / (a^2 lam + g^2) (x - a), so mean and variance follow the rows.
    """
    table, c = tables.ancestral(path, ts, variance), path.at(ts)
    psi = c.a**2 * lam + c.g2
    m, v = c.a[0], psi[0]
    for n in range(len(table)):
        K = c.a[n] * lam / psi[n]
        gain = table.A[n, 0] + table.B[n, 0] * K
        m = gain * m + table.B[n, 0] * (1 - K * c.a[n])
        v = gain**2 * v + table.S[n] ** 2
    return m, v


@named(PATHS)
def test_the_posterior_variance_is_exact_for_a_point(name):
    path, ts = PATHS[name], span(PATHS[name])
    for n in range(2, 6):
        m, v = end_law(path, 0.0, ts[:n], "posterior")
        c = path.at(ts[n - 1])
        torch.testing.assert_close(m, c.a, **close)
        torch.testing.assert_close(v, c.g2, **close)
    # and too small for wider data
    assert end_law(path, 1.0, ts[:4], "posterior")[1] < path.at(ts[3]).a ** 2 * 0.999


@pytest.mark.parametrize("name", ["vp", "cosine", "trig", "zero terminal", "straight"])
def test_the_forward_variance_is_exact_for_one_variance_of_the_data(name):
    path, ts = PATHS[name], span(PATHS[name])[:2]
    c = path.at(ts)
    lam = (c.g2[0] - c.g2[1]) / (c.a[1] ** 2 - c.a[0] ** 2)
    _, v = end_law(path, lam, ts, "forward")
    torch.testing.assert_close(v, c.a[1] ** 2 * lam + c.g2[1], **close)
    if name != "straight":  # variance preserving: that variance is 1 in every step
        _, v = end_law(path, 1.0, span(path)[:4], "forward")
        torch.testing.assert_close(v, torch.ones_like(v), **close)


# ----------------------------------------------------------------- the clock


@EITHER
@named(PATHS)
def test_in_its_own_coordinate_the_ancestral_step_adds_noise_and_guess(name, variance):
    # y = x a / g^2: y_s = y_t + (c_s - c_t) D + noise of variance c_s - c_t
    path, ts = PATHS[name], span(PATHS[name])
    table, c = tables.ancestral(path, ts, variance), path.at(ts)
    scale, tick = (c.a / c.g2)[:-1], table.clock[:-1].diff()
    torch.testing.assert_close(
        table.A[:-1, 0] * scale[1:] / scale[:-1], torch.ones(3).double(), **close
    )
    # relative: the clock runs up to 1e4
    torch.testing.assert_close(
        table.B[:-1, 0] * scale[1:], tick, rtol=1e-10, atol=1e-12
    )
    if variance == "posterior":
        level = (table.S[:-1] * scale[1:]) ** 2
        torch.testing.assert_close(level, tick, rtol=1e-10, atol=1e-12)
    assert table.clock[-1] == float("inf")
    assert tables.ddim(path, ts).clock is None


# ------------------------------------------------------------- singular steps


@EITHER
@named(PATHS)
def test_the_last_step_to_the_data_is_the_denoiser(name, variance):
    path = PATHS[name]
    for table in (
        tables.ddim(path, span(path)),
        tables.ancestral(path, span(path), variance),
    ):
        assert table.A[-1] == 0 and table.S[-1] == 0
        # a(0) is 1 to rounding: cosine and zero terminal compute a quotient there
        assert table.B[-1, 0].item() == pytest.approx(1, rel=1e-15, abs=0)


@named(PATHS)
def test_ddim_steps_back_where_it_came_from(name):
    path = PATHS[name]
    ts = span(path)[:-1]
    there, back = tables.ddim(path, ts), tables.ddim(path, ts.flip(0))
    torch.testing.assert_close(there.A * back.A.flip(0), torch.ones(3, 1).double())
    B = there.B + there.A * back.B.flip(0)
    torch.testing.assert_close(B, torch.zeros(3, 1).double(), **close)


@EITHER
def test_steps_from_the_end_without_signal(variance):
    path = paths.one_sided()
    up = tables.ddim(path, tables.uniform(0.5, 1.0, 2))
    want = torch.tensor([[1.5], [4 / 3]], dtype=torch.float64)
    torch.testing.assert_close(up.A, want, **close)
    down = tables.ancestral(path, tables.uniform(1.0, 0.5, 2), variance)
    # from all noise the ancestral step forgets x, and draws from the path; the whole
    # of the noise at T is what a forward step adds that forgets all
    level = path.at(0.75).g if variance == "posterior" else path.at(1.0).g
    assert down.A[0] == 0 and down.S[0] == pytest.approx(level.item(), rel=1e-14)
    assert down.clock[0] == 0


def test_tiny_ratios_give_no_nan():
    path = paths.edm(1e4)
    ts = torch.tensor([1e4, 1.0, 1e-6, 0.0], dtype=torch.float64)
    made = [tables.ddim(path, ts, eta) for eta in (0.0, 0.5, 1.0)]
    for table in (*made, tables.ancestral(path, ts, "forward")):
        assert all(torch.isfinite(u).all() for u in (table.A, table.B, table.S))


@EITHER
@named(PATHS)
def test_the_numbers_have_slopes_in_the_grid(name, variance):
    path = PATHS[name]
    inner = span(path)[1:4]

    def numbers(inner):
        ts = torch.cat([span(path)[:1], inner, span(path)[4:]])
        table = tables.ancestral(path, ts, variance)
        return torch.cat([table.A[:, 0], table.B[:, 0], table.S])

    got = torch.autograd.functional.jacobian(numbers, inner)
    h = 1e-6 * path.T
    eye = h * torch.eye(3).double()
    want = [(numbers(inner + e) - numbers(inner - e)) / (2 * h) for e in eye]
    # central differences: h^2 times a third derivative, and rounding over h
    torch.testing.assert_close(got, torch.stack(want, 1), rtol=1e-5, atol=1e-7)


def test_precision_follows_the_grid():
    table = tables.ancestral(PATHS["vp"], DOWN.float(), "forward")
    parts = (table.A, table.B, table.S, table.clock)
    assert all(u.dtype == torch.float32 for u in parts)


def test_the_score_and_the_denoiser_sample_alike():
    path = PATHS["cosine"]
    world = worlds.World(path, laws.mixture(normal(3, D), 0.2))
    table = tables.ancestral(path, span(path))
    guess = fields.convert(world.score, path, "score", "denoise")
    x = normal(5, D)
    got, want = (
        solvers.solve(table, F, x, shapes.rng(2)) for F in (guess, world.denoise)
    )
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


# ----------------------------------------------------------------- refusals

V, T = ValueError, TypeError
nan = float("nan")
VP = PATHS["vp"]
order = "at least two times, all increasing or all decreasing"
WRONG = {
    "grid": (V, order, lambda: tables.ddim(VP, DOWN[[0, 2, 1]])),
    "one time": (V, order, lambda: tables.ancestral(VP, DOWN[:1])),
    "ints": (T, "ts is torch.int64", lambda: tables.ddim(VP, torch.arange(3))),
    "nan": (V, "ts holds NaN", lambda: tables.ancestral(VP, DOWN * nan)),
    "late": (V, r"lives on \[0, 1\]", lambda: tables.ddim(VP, DOWN + 0.5)),
    "from 0": (V, "leaves from noise level 0", lambda: tables.ddim(VP, DOWN.flip(0))),
    "ancestral from 0": (
        V,
        "leaves from noise level 0",
        lambda: tables.ancestral(VP, DOWN.flip(0)),
    ),
    "eta < 0": (V, "eta is -0.1.*between 0 and 1", lambda: tables.ddim(VP, DOWN, -0.1)),
    "eta > 1": (V, "eta is 1.1", lambda: tables.ddim(VP, DOWN, 1.1)),
    "eta nan": (V, "eta is nan", lambda: tables.ddim(VP, DOWN, nan)),
    "upwards": (
        V,
        "from noise to data",
        lambda: tables.ddim(VP, DOWN[:4].flip(0), 0.5),
    ),
    "ancestral upwards": (
        V,
        "from noise to data",
        lambda: tables.ancestral(VP, DOWN[:4].flip(0), "forward"),
    ),
    "two ends": (V, "second end", lambda: tables.ddim(TWO_ENDS, DOWN[1:])),
    "ancestral two ends": (
        V,
        "second end",
        lambda: tables.ancestral(TWO_ENDS, DOWN[1:]),
    ),
    "variance": (
        V,
        "variance is 'fixed_large'; it must be one of",
        lambda: tables.ancestral(VP, DOWN, "fixed_large"),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
