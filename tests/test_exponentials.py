"""exponential: weights by quadrature, samplers in worlds where they are exact.

Tolerances: 1e-12 relative where both sides are some operations of float64, 1e-10 for
weights against quadrature, whose own estimate of its error stays below that.
"""

import dataclasses
import functools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from examples import LAWS, PATHS, TWO_ENDS, D, cuda, named, normal, refuses
from scipy.integrate import quad

from diffkit import fields, laws, paths, solvers, tables, worlds

tight = {"rtol": 1e-12, "atol": 1e-12}
DOWN = torch.tensor([0.9, 0.7, 0.4, 0.1, 0.0], dtype=torch.float64)
VARIABLES = [
    ("denoise", "logsnr"),
    ("denoise", "nsr"),
    ("noise", "logsnr"),
    ("noise", "nsr"),
    ("v", "angle"),
    ("velocity", "time"),
]
variables = pytest.mark.parametrize("target,by", VARIABLES)


def grid(name: str, start: float = 3.0, end: float = 0.05) -> torch.Tensor:
    """A few times of a path, with steps in lam from 0.002 to 1.6."""
    parts = torch.tensor([0, 0.02, 0.3, 0.3005, 0.7, 0.95, 1.0], dtype=torch.float64)
    return PATHS[name].when(start * (end / start) ** parts)


# --------------------------------------------- weights, against quadrature


@functools.cache
def integrals(way, target, by):
    """c_s int theta^k dw of every step and k < 4, by quadrature in w.

    With c_s / c_t, c and u on the grid; w is a/g, g/a, phi or t, and u made of it.
    """
    path, ts = directed(way)
    c = path.at(ts)
    a, g = c.a.numpy(), c.g.numpy()
    scale, w = {
        "denoise": (g, a / g),
        "noise": (a, g / a),
        "v": (np.hypot(a, g), np.arctan2(g, a)),
        "velocity": (np.ones_like(a), ts.numpy()),
    }[target]
    sign = 1 if target == "denoise" else -1
    u = {
        "logsnr": lambda w: sign * np.log(w),
        "nsr": lambda w: w**-sign,
        "angle": lambda w: w,
        "time": lambda w: w,
    }[by]
    found = np.empty((len(ts) - 1, 4))
    for n, k in np.ndindex(found.shape):
        start, h = u(w[n]), u(w[n + 1]) - u(w[n])
        got, error = quad(
            lambda y, start=start, h=h, k=k: ((u(y) - start) / h) ** k,
            w[n],
            w[n + 1],
            epsabs=0,
            epsrel=1e-12,
        )
        assert error <= 1e-10 * abs(got)
        found[n, k] = scale[n + 1] * got
    return found, scale[1:] / scale[:-1], scale, u(w)


def directed(way):
    """The straight path up, another down."""
    name = {"down": "vp", "up": "straight"}[way]
    return PATHS[name], grid(name) if way == "down" else grid(name).flip(0)


@pytest.mark.parametrize("way", ["down", "up"])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@variables
def test_a_polynomial_target_is_integrated_exactly(target, by, order, way):
    table = tables.exponential(*directed(way), order, target, by)
    want, gain, scale, u = integrals(way, target, by)
    assert table.eats == target and table.B.shape == (6, order)
    np.testing.assert_allclose(table.A[:, 0], gain, rtol=1e-13)
    for n in range(6):
        p = min(n + 1, order)
        theta = (u[: n + 1][::-1][:p] - u[n]) / (u[n + 1] - u[n])  # newest first
        # it is v / r that is a polynomial
        unit = scale[: n + 1][::-1][:p] if target == "v" else np.ones(p)
        for k in range(p):
            terms = table.B[n, :p].numpy() * theta**k * unit
            # as far as terms that cancel allow: the past is up to 600 steps long
            allowed = 1e-10 * abs(want[n, k]) + 1e-13 * abs(terms).sum()
            assert abs(terms.sum() - want[n, k]) <= allowed
        assert (table.B[n, p:] == 0).all()


CLASSICAL = {  # of Bashforth and Adams, newest first
    1: "1",
    2: "3/2 -1/2",
    3: "23/12 -16/12 5/12",
    4: "55/24 -59/24 37/24 -9/24",
}


@named(CLASSICAL)
def test_equal_steps_give_the_classical_rationals(name):
    table = tables.adams_bashforth(torch.arange(8).double() / 8, name)
    for n in range(7):
        p = min(n + 1, name)
        want = [float(Fraction(w)) / 8 for w in CLASSICAL[p].split()]
        got = table.B[n, :p].tolist()
        assert got == pytest.approx(want, rel=1e-13, abs=0)
    assert (table.A == 1).all() and table.eats == "velocity"


def test_velocity_on_a_path_is_adams_bashforth():
    ts = grid("vp")
    got = tables.exponential(PATHS["vp"], ts, 3, "velocity")
    assert torch.equal(got.B, tables.adams_bashforth(ts, 3).B)


def unlike(builder: str, *args) -> tables.Table:
    return getattr(tables, builder)(PATHS["vp"], grid("vp"), *args)


def test_what_public_code_prints_differs_from_the_exact_weights_as_told():
    """2M: (1 - e^-h) / 2 for W_1; 3M: half of W_2, the rest exact."""
    exact = {p: unlike("exponential", p).B for p in (2, 3)}
    lam = -PATHS["vp"].nsr(grid("vp")).log()
    h, a = lam.diff(), PATHS["vp"].at(grid("vp")).a[1:]
    two, three = unlike("dpmpp", 2).B, unlike("dpmpp", 3).B
    for n in range(1, 6):
        s = h[n].item()
        W = quad(lambda u, s=s: s * math.exp(-s * (1 - u)) * (u - 0.5), 0, 1)[0]
        want = -a[n].item() * W / (h[n - 1] / h[n]).item()
        off = (exact[2] - two)[n, 1].item()
        assert off == pytest.approx(want, rel=1e-9, abs=0)
    torch.testing.assert_close(three[:2, :2], two[:2], **tight)
    for n in range(2, 6):
        F = torch.stack([lam[n - j] - lam[n] for j in range(3)]) / h[n]
        # of the powers 1, theta, theta^2 the last alone counts half
        for k, share in ((0, 1.0), (1, 1.0), (2, 0.5)):
            got, right = (B[n] @ F**k for B in (three, exact[3]))
            torch.testing.assert_close(got, share * right, rtol=1e-9, atol=1e-12)


def test_bh_is_seen_only_where_two_values_are():
    one, two = (unlike("unipc", 3, "denoise", b).B for b in ("bh1", "bh2"))
    same = (one == two).all(1).tolist()
    # p_1, x_1 (two values), p_2 (two values), x_2, ...
    assert same == [True, False, False, *[True] * 8]
    plain = tables.unipc(PATHS["vp"], grid("vp"), 3, corrector=False).B
    exact = unlike("exponential", 3).B
    torch.testing.assert_close(plain[2:], exact[2:], **tight)
    half = (
        PATHS["vp"].at(grid("vp")).a[1]
        * -PATHS["vp"].nsr(grid("vp")).log().diff()[0]
        / 2
    )
    torch.testing.assert_close(one[1, 0], half, **tight)


# ----------------------------------------------------- exact in known worlds


@named(PATHS)
def test_of_order_one_all_are_ddim(name):
    path, ts = PATHS[name], DOWN * PATHS[name].T
    world, x = worlds.World(path, LAWS["mixture"]), normal(4, D)
    want = tables.ddim(path, ts)
    for got in (
        tables.exponential(path, ts, 1),
        tables.exponential(path, ts, 1, "denoise", "nsr"),
        tables.dpmpp(path, ts, 1),
        tables.exponential_sde(path, ts, 1, 0),
        tables.unipc(path, ts, 1, corrector=False),
    ):
        torch.testing.assert_close(got.A, want.A, **tight)
        torch.testing.assert_close(got.B, want.B, **tight)
        assert not got.random
    end = solvers.solve(want, world.denoise, x)
    for got in (
        tables.exponential(path, ts, 1, "noise"),
        tables.exponential(path, ts, 1, "noise", "nsr"),
        tables.deis(path, ts, 1),
        tables.dpm_solver(path, ts, 1),
    ):
        torch.testing.assert_close(solvers.solve(got, world.noise, x), end, **tight)


@named(PATHS)
def test_with_all_its_noise_the_first_order_is_ancestral(name):
    path, ts = PATHS[name], DOWN * PATHS[name].T
    want = tables.ddim(path, ts, 1.0)
    sde = tables.exponential_sde(path, ts, 1)
    for got in (sde, tables.dpmpp_sde(path, ts, 1)):
        for part in ("A", "B", "S"):
            torch.testing.assert_close(getattr(got, part), getattr(want, part), **tight)
    # y = x a / g^2 moves by W(1 / nsr^2), whose clock stands at the end
    snr = path.nsr(ts[:-1]) ** -2
    torch.testing.assert_close(
        sde.clock, torch.cat([snr, snr[-1:]]), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("eta", [0.3, 1.0, 2.0])
@named(PATHS)
def test_every_eta_solves_the_linear_process_exactly(name, eta):
    """For a point at 0: dx = (f + (1 + eta^2) h2 / (2 g^2)) x dt, by quadrature."""
    path, ts = PATHS[name], grid(name)
    for order in (1, 3):
        table, c = tables.exponential_sde(path, ts, order, eta), path.at(ts)
        level = table.A[:, 0] ** 2 * c.g2[:-1] + table.S**2
        torch.testing.assert_close(level, c.g2[1:], **tight)
        torch.testing.assert_close(
            table.A[:, 0] * c.a[:-1] + table.B.sum(1), c.a[1:], **tight
        )
    for n in range(6):

        def rate(time):
            sde, g2 = path.sde(time), path.at(time).g2
            return (sde.f + (1 + eta**2) * sde.h2 / (2 * g2)).item()

        t, s = ts[n].item(), ts[n + 1].item()
        want = math.exp(quad(rate, t, s, epsrel=1e-11)[0])
        assert table.A[n, 0].item() == pytest.approx(want, rel=1e-8, abs=0)


def test_the_ancestral_step_is_exact_in_the_mean():
    """E[x_s | x_t] for any law: the bridge is linear in its end."""
    path, ts = PATHS["vp"], grid("vp")[2:4]
    world, x = worlds.World(path, LAWS["mixture"]), normal(4, D)
    table = tables.exponential_sde(path, ts, 1)
    got = table.A[0] * x + table.B[0] * world.denoise(x, ts[0])
    # x_s = x_t r + noise k: the posterior law of the data, then the bridge, by hand
    a, g2 = (getattr(path.at(ts), k) for k in ("a", "g2"))
    r = a[0] / a[1] * g2[1] / g2[0]
    want = r * x + (a[1] - r * a[0]) * world.posterior(x, ts[0]).mean()
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_nested_grids_share_one_brownian_motion(eta):
    """With a denoiser that is constant both end in the same points, to rounding."""
    path = PATHS["vp"]
    fine = tables.by_nsr(path, 3.0, 0.05, 8)
    guess, W = normal(D, seed=3), [normal(D, seed=4)]
    small = tables.exponential_sde(path, fine, 2, eta)
    big = tables.exponential_sde(path, fine[::2], 2, eta)
    torch.testing.assert_close(big.clock, small.clock[::2], rtol=1e-12, atol=0)
    for n, c in enumerate(small.clock.diff()):
        W.append(W[-1] + c.sqrt() * normal(D, seed=5 + n))
    ends = []
    for table, w in ((small, W), (big, W[::2])):
        states, past = [normal(D)], []
        for n in range(len(table)):
            z = (w[n + 1] - w[n]) / (table.clock[n + 1] - table.clock[n]).sqrt()
            table.step(n, lambda x, t: guess, states, past, z)
        ends.append(states[0])
    torch.testing.assert_close(*ends, **tight)


DETERMINISTIC = {
    "exponential": tables.exponential,
    "noise": lambda *args: tables.exponential(*args, "noise"),
    "noise in nsr": lambda *args: tables.exponential(*args, "noise", "nsr"),
    "denoise in nsr": lambda *args: tables.exponential(*args, "denoise", "nsr"),
    "v": lambda *args: tables.exponential(*args, "v"),
    "deis": tables.deis,
    "dpmpp": tables.dpmpp,
    "dpm_solver": tables.dpm_solver,
    "dpmpp_2s": lambda path, ts, order: tables.dpmpp_2s(path, ts),
    "unipc": tables.unipc,
    "unipc in noise": lambda *args: tables.unipc(*args, "noise", "bh1"),
}


IN_LAM = [name for name in DETERMINISTIC if "nsr" not in name and name != "v"]


def field(world: worlds.World, target: str) -> fields.Field:
    return fields.convert(world.denoise, world.path, "denoise", target)


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("name", [name for name in DETERMINISTIC if name != "v"])
def test_a_point_is_found_in_any_number_of_steps(name, order):
    """x_t = a m + g z with z constant: D = m and N = z all along; v is not constant."""
    path, ts = PATHS["cosine"], grid("cosine")
    m, z, c = normal(D), normal(D, seed=1), path.at(ts)
    table = DETERMINISTIC[name](path, ts, order)
    F = {"denoise": m, "noise": z}[table.eats]
    x = c.a[0] * m + c.g[0] * z
    trail = solvers.solve(table, lambda x, t: F, x, keep=True)
    want = c.a[:, None] * m + c.g[:, None] * z
    torch.testing.assert_close(trail, want, **tight)


@named(DETERMINISTIC)
def test_the_scale_and_the_clock_of_the_path_do_not_matter(name):
    """The same nsr on other paths gives the same x / a."""
    nsr, law, ends = PATHS["vp"].nsr(grid("vp")), LAWS["mixture"], []
    for path in (PATHS["vp"], PATHS["edm"], PATHS["straight"]):
        ts, world = path.when(nsr), worlds.World(path, law)
        table = DETERMINISTIC[name](path, ts, 3)
        x = path.at(ts[0]).a * normal(4, D)
        end = solvers.solve(table, field(world, table.eats), x)
        ends.append(end / path.at(ts[-1]).a)
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ends[2], ends[0], rtol=1e-10, atol=1e-10)


def test_v_of_order_one_is_a_product_over_the_angle():
    """Data N(0, lam): x / r is multiplied by 1 + dphi (1 - lam) sin cos / spread."""
    lam, path = 0.3, PATHS["edm"]
    world = worlds.World(path, laws.gaussian(torch.zeros(1).double(), lam))
    ts = grid("edm")
    phi = path.nsr(ts).atan()
    s, c = phi.sin(), phi.cos()
    rate = (1 - lam) * s * c / (lam * c**2 + s**2)
    r = (1 + ts**2).sqrt()
    want = r[-1] / r[0] * (1 + rate[:-1] * phi.diff()).prod()
    got = solvers.solve(
        tables.exponential(path, ts, 1, "v"), field(world, "v"), torch.ones(1).double()
    )
    torch.testing.assert_close(got[0], want, **tight)


# --------------------------------------------------------------- the last step


@pytest.mark.parametrize("order", [1, 2, 3])
@named(PATHS)
def test_to_noise_0_a_step_in_lam_returns_the_denoiser(name, order):
    path, ts = PATHS[name], DOWN * PATHS[name].T
    made = {kind: DETERMINISTIC[kind](path, ts, order) for kind in IN_LAM}
    made["sde"] = tables.exponential_sde(path, ts, order)
    made["half the noise"] = tables.exponential_sde(path, ts, order, 0.5)
    made["dpmpp_sde"] = tables.dpmpp_sde(path, ts, min(order, 2))

    def guess(t):
        return (torch.arange(1, 1 + D) * t).cos()

    for kind, table in made.items():

        def F(x, t, table=table):
            c = path.at(t)
            return guess(t) if table.eats == "denoise" else (x - c.a * guess(t)) / c.g

        rng = torch.Generator().manual_seed(0)
        way = solvers.solve(
            dataclasses.replace(table, lands=None), F, normal(D), rng, True
        )
        want = guess(ts[-2])
        if kind == "unipc in noise":  # it asked at p, and goes on from the corrected x
            want = want + (way[-2] - way[-3]) / path.at(ts[-2]).a
        torch.testing.assert_close(way[-1], want, **tight)
        assert table.S[-1] == 0


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize(
    "target,by", [("denoise", "nsr"), ("noise", "nsr"), ("v", "angle")]
)
def test_to_noise_0_the_order_stays_in_nsr_and_angle(target, by, order):
    path = PATHS["edm"]
    ts = torch.tensor([4.0, 2.0, 1.5, 0.5, 0.2, 0.0], dtype=torch.float64)
    near = torch.cat([ts[:-1], ts.new_tensor([1e-9])])
    end, limit = (tables.exponential(path, u, order, target, by) for u in (ts, near))
    assert (end.B[-1] != 0).all()
    torch.testing.assert_close(end.B, limit.B, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(end.A, limit.A, rtol=1e-6, atol=1e-6)


def test_pure_noise_is_left_in_the_first_order_and_forgotten_in_lam():
    path, ts = PATHS["straight"], torch.tensor([1.0, 0.8, 0.5, 0.3, 0.1]).double()
    first = tables.ddim(path, ts).B[0, 0]
    for by in ("logsnr", "nsr"):
        table = tables.exponential(path, ts, 3, "denoise", by)
        torch.testing.assert_close(table.B[0, 0], first, **tight)
        # the value at lam = -inf is on no polynomial
        assert (table.B[1, 1:] == 0).all() and (table.B[2, 2:] == 0).all()
        assert (table.B[3] != 0).all()
    for table in (
        tables.dpmpp_2s(path, ts),
        tables.unipc(path, ts, 3),
        tables.exponential_sde(path, ts, 3),
        tables.exponential(path, ts, 3, "v"),
    ):
        world = worlds.World(path, LAWS["mixture"])
        F = field(world, table.eats) if table.eats == "v" else world.denoise
        end = solvers.solve(table, F, normal(4, D), torch.Generator().manual_seed(0))
        assert end.isfinite().all()
    assert tables.dpmpp_2s(path, ts).evaluations == 7


def test_the_noise_goes_up_from_the_data():
    path, ts = PATHS["straight"], torch.tensor([0.0, 0.2, 0.5, 0.8, 1.0]).double()
    for table in (tables.deis(path, ts, 3), tables.unipc(path, ts, 2, "noise")):
        x = solvers.solve(table, lambda x, t: normal(D, seed=1), normal(D))
        torch.testing.assert_close(x, normal(D, seed=1), **tight)


# ------------------------------------------------------------------- the form


@named(DETERMINISTIC)
def test_gradients_of_the_table_reach_the_times(name):
    path = PATHS["straight"]
    inner = torch.tensor([0.8, 0.7, 0.4, 0.3, 0.1], dtype=torch.float64)

    def number(ts, end):
        table = DETERMINISTIC[name](path, torch.cat([ts, end]), 3)
        return sum((u * normal(*u.shape)).sum() for u in (table.A, table.B))

    for end in ([], [0.0]):
        end, ts = torch.tensor(end, dtype=torch.float64), inner.clone().requires_grad_()
        if name in ("dpm_solver", "dpmpp_2s"):  # the stages hold still: finite, no more
            number(ts, end).backward()
            assert ts.grad.isfinite().all() and (ts.grad != 0).any()
        else:
            assert torch.autograd.gradcheck(number, (ts, end))


@named(DETERMINISTIC)
def test_the_type_of_the_grid_is_kept(name):
    table = DETERMINISTIC[name](PATHS["vp"], grid("vp").float(), 2)
    want = DETERMINISTIC[name](PATHS["vp"], grid("vp").float().double(), 2)
    for part in ("ts", "A", "B", "S"):
        assert getattr(table, part).dtype == torch.float32
        # steps of 1e-2 in lam keep four of the seven digits
        torch.testing.assert_close(
            getattr(table, part).double(), getattr(want, part), rtol=2e-3, atol=2e-3
        )


@cuda
@named(DETERMINISTIC)
def test_the_device_of_the_grid_is_kept(name):
    table = DETERMINISTIC[name](PATHS["vp"], grid("vp").cuda(), 3)
    want = DETERMINISTIC[name](PATHS["vp"], grid("vp"), 3)
    for part in ("ts", "A", "B", "S"):
        assert getattr(table, part).is_cuda
        torch.testing.assert_close(getattr(table, part).cpu(), getattr(want, part))


def test_how_often_the_field_is_asked():
    path, ts = PATHS["vp"], grid("vp")
    asked = {name: f(path, ts, 3).evaluations for name, f in DETERMINISTIC.items()}
    many = {"dpm_solver": 18, "dpmpp_2s": 12}
    assert asked == {name: many.get(name, 6) for name in DETERMINISTIC}
    table = tables.unipc(path, ts, 3)
    assert len(table) == 11 and table.lands.sum() == 7
    assert torch.equal(table.ts[table.lands], ts)
    assert torch.equal(tables.dpm_solver(path, ts, 3).ts[::3], ts)


def test_the_stages_stand_at_equal_parts_of_a_step_in_lam():
    path, ts = PATHS["edm"], torch.tensor([4.0, 2.0, 0.25, 0.0]).double()
    for parts, table in (
        ([1 / 2, 1], tables.dpmpp_2s(path, ts)),
        ([1 / 3, 2 / 3, 1], tables.dpm_solver(path, ts, 3)),
    ):
        got = table.ts[1:].reshape(3, -1)
        for n in range(2):
            want = [ts[n] ** (1 - r) * ts[n + 1] ** r for r in parts]
            torch.testing.assert_close(got[n], torch.stack(want), rtol=1e-12, atol=0)
        # the step to noise 0 has no middle: they stand still
        assert got[2].tolist() == [0.25] * (len(parts) - 1) + [0.0]


def test_tiny_steps_and_a_single_one_give_no_nan():
    path = PATHS["edm"]
    close = 1 - torch.tensor([0, 1e-13, 3e-13, 1e-12, 1e-6], dtype=torch.float64)
    for ts in (close, close[:2], torch.tensor([5.0, 1e-150]).double()):
        for name, build in DETERMINISTIC.items():
            table = build(path, ts, 3)
            assert table.B.isfinite().all(), name
            if table.eats == "denoise":
                # a = 1: what is constant stays, as far as weights that cancel allow
                off = table.A.sum(1) + table.B.sum(1) - 1
                assert (off.abs() <= 1e-15 * (4 + table.B.abs().sum(1))).all(), name


# ------------------------------------------------------------------- refusals

V = ValueError
VP, STRAIGHT, MIRROR = PATHS["vp"], PATHS["straight"], paths.mirror()
order = "order is {}; it is a whole number from 1 to {}"
WRONG = {
    "order 0": (V, order.format(0, 4), lambda: tables.exponential(VP, DOWN, 0)),
    "order 5": (V, order.format(5, 4), lambda: tables.exponential(VP, DOWN, 5)),
    "order 2.5": (V, "order is 2.5", lambda: tables.adams_bashforth(DOWN, 2.5)),
    "deis 4": (V, order.format(4, 3), lambda: tables.deis(VP, DOWN, 4)),
    "dpmpp 4": (V, order.format(4, 3), lambda: tables.dpmpp(VP, DOWN, 4)),
    "dpm_solver 4": (V, order.format(4, 3), lambda: tables.dpm_solver(VP, DOWN, 4)),
    "unipc 4": (V, order.format(4, 3), lambda: tables.unipc(VP, DOWN, 4)),
    "sde 4": (V, order.format(4, 3), lambda: tables.exponential_sde(VP, DOWN, 4)),
    "dpmpp_sde 3": (V, order.format(3, 2), lambda: tables.dpmpp_sde(VP, DOWN, 3)),
    "target": (
        V,
        "target 'x0' is unknown; it is one of denoise, noise, v, velocity",
        lambda: tables.exponential(VP, DOWN, 1, "x0"),
    ),
    "by time": (
        V,
        "denoise by 'time' has no weights in closed form; it goes by logsnr or nsr",
        lambda: tables.exponential(VP, DOWN, 1, "denoise", "time"),
    ),
    "v by nsr": (
        V,
        "v by 'nsr' has .* it goes by angle",
        lambda: tables.exponential(VP, DOWN, 1, "v", "nsr"),
    ),
    "velocity by angle": (
        V,
        "goes by time",
        lambda: tables.exponential(VP, DOWN, 1, "velocity", "angle"),
    ),
    "unipc v": (
        V,
        "target is 'v'; it must be denoise or noise",
        lambda: tables.unipc(VP, DOWN, 1, "v"),
    ),
    "bh3": (
        V,
        "b is 'bh3'; it is bh1 or bh2",
        lambda: tables.unipc(VP, DOWN, 1, b="bh3"),
    ),
    "eta": (V, "eta is -1", lambda: tables.exponential_sde(VP, DOWN, 1, -1)),
    "eta inf": (
        V,
        "eta is inf",
        lambda: tables.exponential_sde(VP, DOWN, 1, float("inf")),
    ),
    "eta nan": (
        V,
        "eta is nan; it must be >= 0 and finite",
        lambda: tables.exponential_sde(VP, DOWN, 1, float("nan")),
    ),
    "noise upwards": (
        V,
        "runs from noise to data",
        lambda: tables.exponential_sde(VP, DOWN[:4].flip(0), 1),
    ),
    "denoise from 0": (
        V,
        "leaves from g = 0, where x / g is infinite: the denoise",
        lambda: tables.dpmpp(VP, DOWN.flip(0), 2),
    ),
    "noise from a = 0": (
        V,
        "leaves from a = 0, where x / a is infinite: the noise",
        lambda: tables.deis(STRAIGHT, torch.tensor([1.0, 0.5]).double(), 2),
    ),
    "stages from a = 0": (
        V,
        "leaves from a = 0",
        lambda: tables.dpm_solver(STRAIGHT, torch.tensor([1.0, 0.5]).double(), 2),
    ),
    "nsr turns": (
        V,
        "turns or stands still",
        lambda: tables.exponential(MIRROR, DOWN, 2),
    ),
    "angle turns": (
        V,
        "turns or stands still",
        lambda: tables.exponential(MIRROR, DOWN, 2, "v"),
    ),
    "two ends": (V, "second end", lambda: tables.unipc(TWO_ENDS, DOWN[:3], 2)),
    "velocity, two ends": (
        V,
        "second end",
        lambda: tables.exponential(TWO_ENDS, DOWN, 2, "velocity"),
    ),
    "back and forth": (
        V,
        "all increasing or all decreasing",
        lambda: tables.deis(VP, DOWN[[0, 2, 1]], 2),
    ),
    "off the path": (V, r"lives on \[0, 1\]", lambda: tables.dpmpp(VP, DOWN + 0.5, 2)),
    "ints": (
        TypeError,
        "ts is torch.int64",
        lambda: tables.dpmpp(VP, torch.arange(3), 2),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
