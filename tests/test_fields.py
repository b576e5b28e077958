"""fields: conversions against exact worlds, derivatives against differences and loops.

Tolerances: 1e-9 relative where a 2 x 2 solve is in between, its condition at the
times tried being below 1e4; 1e-12 where both sides are a few operations of float64.
"""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import torch
from examples import (
    LAWS,
    PATHS,
    SMOOTH,
    TWO_ENDS,
    D,
    cuda,
    named,
    normal,
    refuses,
    uniform,
    wishart,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from diffkit import fields, laws, paths, shapes, solvers, tables, worlds

close = {"rtol": 1e-9, "atol": 1e-9}
tight = {"rtol": 1e-12, "atol": 1e-12}
TARGETS = ("denoise", "noise", "score", "velocity", "v")
property_based = settings(max_examples=25, deadline=None, derandomize=True)


# ----------------------------------------------------------------- targets


def exact(world: worlds.World, target: str) -> fields.Field:
    """The field by the world's own formula; v by its definition."""
    if target != "v":
        return getattr(world, target)

    def v(x, t):
        c = world.path.at(t)
        a, g = c.a.unsqueeze(-1), c.g.unsqueeze(-1)
        return a * world.noise(x, t) - g * world.denoise(x, t)

    return v


@pytest.mark.parametrize("want", TARGETS)
@pytest.mark.parametrize("have", TARGETS)
@named(PATHS)
def test_any_target_gives_any_other(name, have, want):
    world = worlds.World(PATHS[name], LAWS["mixture"])
    got = fields.convert(exact(world, have), world.path, have, want)
    x, truth = normal(D, D), exact(world, want)
    for t in (0.2, torch.tensor(0.9).double(), 0.05 + 0.9 * uniform(D)):
        t = torch.as_tensor(t).double() * world.path.T
        torch.testing.assert_close(got(x, t), truth(x, t), **close)


@pytest.mark.parametrize(
    "have,want",
    [("noise", "score"), ("score", "noise"), ("denoise", "velocity"), ("v", "noise")],
)
def test_where_no_signal_is_left_what_is_determined_is_given(have, want):
    world = worlds.World(PATHS["straight"], LAWS["mixture"])
    got = fields.convert(exact(world, have), world.path, have, want)
    x = normal(4, D)
    if have == "v":  # v = -D there: no news of the noise but x itself
        torch.testing.assert_close(got(x, 1.0), x, **close)
    else:
        one = torch.tensor(1.0).double()
        torch.testing.assert_close(got(x, one), exact(world, want)(x, one), **close)


def test_without_noise_the_noise_field_still_gives_the_data():
    path = PATHS["vp"]
    world = worlds.World(path, LAWS["mixture"])
    got = fields.convert(world.noise, path, "noise", "denoise")
    x = normal(4, D)
    torch.testing.assert_close(got(x, 0.0), x, **close)


@pytest.mark.parametrize("want", TARGETS)
@named(PATHS)
def test_without_noise_the_score_gives_everything(name, want):
    """g = 0 divides nothing: the flow of VP starts with -beta (x + score) / 2."""
    world = worlds.World(PATHS[name], LAWS["mixture"])
    x, zero = normal(4, D), torch.tensor(0.0).double()
    truth = exact(world, want)(x, zero)
    got = fields.convert(world.score, world.path, "score", want)
    torch.testing.assert_close(got(x, zero), truth, **tight)
    if name == "vp":  # g dg = beta / 2 > 0: the velocity knows the score as well
        got = fields.convert(world.velocity, world.path, "velocity", want)
        torch.testing.assert_close(got(x, zero), truth, **tight)


DETERMINED = {  # at the ends of the straight path; the rest is refused
    "data": {
        "denoise": {"denoise"},
        "noise": {"noise", "denoise", "v"},
        "score": set(TARGETS),
        "velocity": {"velocity"},
        "v": {"v", "noise", "denoise"},
    },
    "noise": {
        "denoise": set(TARGETS),
        "noise": {"noise", "score"},
        "score": {"noise", "score"},
        "velocity": set(TARGETS),
        "v": set(TARGETS),
    },
}


@pytest.mark.parametrize("have", TARGETS)
@pytest.mark.parametrize("end", list(DETERMINED))
def test_at_the_ends_nothing_else_is_given(end, have):
    t = {"data": 0.0, "noise": 1.0}[end]
    given_ = set()
    for want in TARGETS:
        got = fields.convert(lambda x, t: x, PATHS["straight"], have, want)
        try:
            assert torch.isfinite(got(normal(2, D), t)).all()
        except ValueError:
            continue
        given_.add(want)
    assert given_ == DETERMINED[end][have]


@pytest.mark.parametrize("nsr", [1e-6, 1e4])
@pytest.mark.parametrize("want", TARGETS)
@pytest.mark.parametrize("have", TARGETS)
def test_conversions_at_extreme_noise_lose_what_the_solve_must(have, want, nsr):
    """Up to 100 roundings of the larger of the two terms, whose sum is the answer."""
    world = worlds.World(paths.edm(1e5), LAWS["mixture"])
    F, t = exact(world, have), torch.tensor(nsr).double()
    x = math.hypot(1, nsr) * normal(4, D)
    got = fields.convert(F, world.path, have, want)(x, t)
    on_x = fields.convert(lambda x, t: 0 * x, world.path, have, want)(x, t)
    terms = on_x.abs().max() + (got - on_x).abs().max()
    off = (got - exact(world, want)(x, t)).abs().max()
    assert off <= 100 * torch.finfo(x.dtype).eps * terms


def test_the_type_of_the_points_is_kept():
    got = fields.convert(lambda x, t: x, paths.vp(), "noise", "velocity")
    assert got(normal(2, D).float(), 0.5).dtype == torch.float32


# ------------------------------------------------------------- derivatives


def swirl(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Neither a gradient nor linear, and different at every time."""
    t = torch.as_tensor(t).double()
    a, b, c = x.unbind(-1)
    return torch.stack([t * b * c, torch.sin(a) - t**2 * b, a * a * b + c**3 * t], -1)


def test_jacobian_is_row_by_row_what_torch_finds_point_by_point():
    x, t = normal(2, D, D), uniform(2, D)
    got = fields.jacobian(swirl, x, t)
    div = fields.divergence(swirl, x, t)
    for i in range(2):
        for j in range(D):
            want = torch.autograd.functional.jacobian(
                lambda y, s=t[i, j]: swirl(y, s), x[i, j]
            )
            torch.testing.assert_close(got[i, j], want)
            torch.testing.assert_close(div[i, j], want.trace())
            one = fields.jacobian(swirl, x[i, j], t[i, j])
            torch.testing.assert_close(one, want)


def test_jacobian_is_the_complex_step():
    """Im F(x + i h e_j) / h: no difference is taken, so h may be 1e-30."""
    x, t, h = normal(D, D), uniform(D), 1e-30
    got = fields.jacobian(swirl, x, t)
    for j, e in enumerate(torch.eye(D).double()):
        step = swirl(torch.complex(x, (h * e).expand(D, D)), t).imag / h
        torch.testing.assert_close(got[..., j], step, **tight)


def test_divergence_of_the_swirl_by_hand():
    x = normal(6, D)
    want = -(0.3**2) + 3 * 0.3 * x[:, 2] ** 2
    torch.testing.assert_close(fields.divergence(swirl, x, 0.3), want)


@named(LAWS)
def test_jacobian_of_every_world_is_a_difference(name):
    world, x, h = worlds.World(PATHS["vp"], LAWS[name]), normal(4, D), 1e-5
    got, eye = fields.jacobian(world.velocity, x, 0.4), torch.eye(D).double()
    for j in range(D):
        up, down = (world.velocity(x + s * h * eye[j], 0.4) for s in (1, -1))
        # central: error h^2 f''' / 6, and rounding 1e-16 / h
        want = (up - down) / (2 * h)
        torch.testing.assert_close(got[..., j], want, rtol=1e-6, atol=1e-6)


def linear(M: torch.Tensor) -> fields.Field:
    return lambda x, t: x @ M.mT


@property_based
@given(d=st.integers(1, 5), n=st.integers(0, 3), seed=st.integers(0, 99))
def test_a_linear_field_by_dense_algebra(d, n, seed):
    M, x = normal(d, d, seed=seed), normal(n, d, seed=seed + 1)
    A = M.numpy()
    share = np.sqrt(((A - A.T) ** 2).sum() / (A**2).sum()) / 2
    wanted = {
        "jacobian": M,
        "curl": torch.tensor(A - A.T),
        "divergence": torch.tensor(np.trace(A)),
        "asymmetry": torch.tensor(share),
    }
    for name, want in wanted.items():
        got = getattr(fields, name)(linear(M), x, 0.5)
        assert got.shape == (n, *want.shape)
        torch.testing.assert_close(got, want.expand(got.shape), **tight)


def test_curl_is_that_of_the_plane_and_of_space():
    x = normal(4, 2)
    turn = torch.tensor([[0.0, -1], [1, 0]]).double()
    assert (fields.curl(linear(turn), x, 0.0)[:, 1, 0] == 2).all()
    w = normal(3)  # a solid that turns: the curl is twice its angular velocity
    W = fields.curl(lambda x, t: torch.linalg.cross(w.expand_as(x), x), normal(4, 3), 0)
    got = torch.stack([W[:, 2, 1], W[:, 0, 2], W[:, 1, 0]], -1)
    torch.testing.assert_close(got, (2 * w).expand(4, 3), **tight)


def test_curl_over_a_patch_is_the_integral_around_it():
    """Stokes on a tilted parallelogram: circulation = int v' (J - J') u."""
    corner, u, v = normal(3, D)
    # 16 nodes integrate polynomials to degree 31, and the sine to rounding
    nodes, weights = (torch.tensor(w) for w in np.polynomial.legendre.leggauss(16))
    nodes, weights = (nodes + 1) / 2, (weights / 2)
    rows, columns = torch.meshgrid(nodes, nodes, indexing="ij")
    x = corner + rows[..., None] * u + columns[..., None] * v
    W = fields.curl(swirl, x, 0.7)
    inside = torch.einsum("a,b,i,abij,j->", weights, weights, v, W, u)
    around = 0.0
    for start, way in ((0 * u, u), (u, v), (u + v, -u), (v, -v)):
        y = corner + start + nodes[:, None] * way
        around = around + weights @ swirl(y, 0.7) @ way
    assert abs(inside) > 0.1
    torch.testing.assert_close(inside, around, **tight)


@named(SMOOTH)
def test_a_score_has_no_curl_and_what_turns_it_has(name):
    world, x = worlds.World(PATHS["vp"], SMOOTH[name]), normal(5, D)
    scale = fields.jacobian(world.score, x, 0.3).abs().max()
    assert fields.curl(world.score, x, 0.3).abs().max() < 1e-12 * scale
    assert fields.asymmetry(world.score, x, 0.3).max() < 1e-12
    turned = fields.mix([world.score, linear(A)], [1.0, 1.0])
    assert fields.asymmetry(turned, x, 0.3).min() > 0.01


def test_asymmetry_at_its_ends_and_in_all_units():
    x = normal(4, D)
    torch.testing.assert_close(
        fields.asymmetry(linear(A), x, 0.0), torch.ones(4).double(), **tight
    )
    assert (fields.asymmetry(lambda x, t: 0 * x, x, 0.0) == 0).all()
    assert (fields.asymmetry(lambda x, t: torch.ones_like(x), x, 0.0) == 0).all()
    want = fields.asymmetry(swirl, x, 0.5)
    for unit in (1e-200, 1e200):  # whose squares are 0 and inf
        got = fields.asymmetry(lambda x, t, u=unit: u * swirl(x, t), x, 0.5)
        torch.testing.assert_close(got, want, **tight)


# -------------------------------------------------------------- hutchinson

M = normal(D, D, seed=11)
A = M - M.mT
KINDS = ("rademacher", "gaussian")


def spread(kind: str) -> float:
    """The variance of e'M e: over all 2^D probes, or by the fourth moments."""
    if kind == "rademacher":
        probes = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=D))).double()
        each = ((probes @ M) * probes).sum(-1)
        assert abs(each.mean() - M.trace()) < 1e-12
        return each.var(correction=0).item()
    # E e_i e_j e_k e_l = the three pairings
    eye = torch.eye(D).double()
    pairs = sum(
        torch.einsum(f"{p}->ijkl", eye, eye) for p in ("ij,kl", "ik,jl", "il,jk")
    )
    return (torch.einsum("ij,kl,ijkl->", M, M, pairs) - M.trace() ** 2).item()


@pytest.mark.parametrize("kind", KINDS)
def test_hutchinson_has_no_bias_and_tells_its_error(kind):
    n, m, var = 20000, 4, spread(kind)
    x = normal(n, D)
    got, error = fields.hutchinson(linear(M), x, 0.0, shapes.rng(0), m, kind)
    off = got - M.trace()
    # 6 standard errors each, those of the squares measured
    assert abs(off.mean()) < 6 * math.sqrt(var / m / n)
    for square in (off**2, error**2):
        assert abs(square.mean() - var / m) < 6 * square.std() / math.sqrt(n)
    S = (M + M.mT) / 2
    part = S - S.diag().diag() if kind == "rademacher" else S
    assert var == pytest.approx(2 * (part**2).sum().item(), rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_hutchinson_of_a_world_is_its_divergence(kind):
    world, x = worlds.World(PATHS["vp"], LAWS["mixture"]), normal(D, D)
    t = 0.1 + 0.8 * uniform(D)
    want = fields.divergence(world.velocity, x, t)
    got, error = fields.hutchinson(world.velocity, x, t, shapes.rng(1), 400, kind)
    assert (error > 0).all() and ((got - want).abs() < 6 * error).all()
    assert (error < 0.2 * want.abs().max()).all()


def test_hutchinson_is_exact_where_theory_says_so():
    x = normal(5, D)
    got, error = fields.hutchinson(lambda x, t: x**3, x, 0.0, shapes.rng(0), 2)
    torch.testing.assert_close(got, 3 * (x**2).sum(-1), **tight)  # diagonal
    assert error.max() < 1e-12
    for kind in KINDS:  # a pure turning: e'A e = 0 for every probe
        got, error = fields.hutchinson(linear(A), x, 0.0, shapes.rng(0), 2, kind)
        assert got.abs().max() < 1e-12 and error.max() < 1e-12


def test_hutchinson_probes_are_the_generators_and_new_at_every_point():
    x = normal(1, D).expand(50, D)
    runs = [
        fields.hutchinson(linear(M), x, 0.0, shapes.rng(s), 2)[0] for s in (3, 3, 4)
    ]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])
    assert len(runs[0].unique()) > 2
    got, error = fields.hutchinson(linear(M), x[:0], 0.0, shapes.rng(0))
    assert got.shape == error.shape == (0,)


def test_derivatives_can_be_differentiated():
    theta = torch.tensor(2.0).double().requires_grad_()
    x = normal(4, D)

    def field(x, t):
        return theta**2 * x**3

    want = 4 * 3 * (x**2).sum()  # d theta^2 / d theta = 4
    for way in (
        lambda: fields.divergence(field, x, 0.0),
        lambda: fields.hutchinson(field, x, 0.0, shapes.rng(0))[0],
    ):
        (slope,) = torch.autograd.grad(way().sum(), theta)
        torch.testing.assert_close(slope, want, **tight)
    (slope,) = torch.autograd.grad(fields.asymmetry(field, x, 0.0).sum(), theta)
    assert slope == 0


# ------------------------------------------------------------------ gauges


def hill(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """One number per point, and not constant."""
    return 1 + torch.sin(x[..., 0] + t) * x[..., 1]


@pytest.mark.parametrize("h", [None, hill])
@named(SMOOTH)
def test_a_gauge_field_has_no_residual(name, h):
    world = worlds.World(PATHS["vp"], SMOOTH[name])
    x, t = normal(D, D), 0.1 + 0.5 * uniform(D)
    r = fields.gauge(world.score, A, h)
    scale = fields.jacobian(r, x, t).abs().max()
    assert scale > 0.1
    got = fields.gauge_residual(r, world.score, x, t)
    assert got.abs().max() < 1e-12 * scale
    # controls: a gradient, and for h the term that h's slope adds
    wrong = fields.mix([r, world.score], [1.0, 0.1])
    if h is not None:
        wrong = fields.mix([fields.gauge(world.score, A)], [h])
    assert fields.gauge_residual(wrong, world.score, x, t).abs().max() > 1e-3


def test_a_constant_gauge_has_no_divergence_and_follows_the_level_lines():
    world, x = worlds.World(PATHS["edm"], LAWS["mixture"]), normal(5, D)
    r = fields.gauge(world.score, A)
    assert fields.divergence(r, x, 0.7).abs().max() < 1e-12
    assert (r(x, 0.7) * world.score(x, 0.7)).sum(-1).abs().max() < 1e-12
    r = fields.gauge(world.score, A, hill)
    assert fields.divergence(r, x, 0.7).abs().max() > 0.1


def test_a_gauge_flow_keeps_a_gaussian():
    """x' = -A C^-1 x keeps C, by scipy's exponential; A C does not."""
    C = wishart(seed=3)
    law = laws.gaussian(torch.zeros(D).double(), C)
    r = fields.gauge(lambda x, t: law.score(x), A)
    G = fields.jacobian(r, normal(D), 0.0).numpy()
    R = scipy.linalg.expm(0.5 * G)
    np.testing.assert_allclose(R @ C.numpy() @ R.T, C.numpy(), rtol=1e-9, atol=1e-9)
    R = scipy.linalg.expm(-0.5 * (A @ C).numpy())
    assert np.abs(R @ C.numpy() @ R.T - C.numpy()).max() > 0.1


def test_a_gauge_moves_no_expectation():
    """E grad phi . r = 0 for every phi, though E |r|^2 is large."""
    law = LAWS["mixture"]
    x = law.sample(20000, shapes.rng(5))
    r = fields.gauge(lambda x, t: law.score(x), A, hill)(x, 0.2)
    for phi in (lambda x: x[:, 0] * x[:, 1], lambda x: torch.cos(x).prod(-1)):
        slope = torch.func.grad(lambda y, f=phi: f(y).sum())(x)
        each = (slope * r).sum(-1)
        assert abs(each.mean()) < 6 * each.std() / math.sqrt(len(x))
    assert (r**2).sum(-1).mean() > 1


# ------------------------------------------------------------- combinators

WORLD = worlds.World(PATHS["vp"], LAWS["mixture"])
PARTS = [worlds.World(WORLD.path, WORLD.joint.select([k])) for k in range(3)]


def test_weights_that_look_at_the_state_make_a_mixture():
    x, t = normal(D, D), 0.1 + 0.8 * uniform(D)

    def share(k):
        return lambda x, t: torch.stack(
            [WORLD.law(s).responsibilities(y)[k] for y, s in zip(x, t, strict=True)]
        )

    got = fields.mix([w.score for w in PARTS], [share(k) for k in range(3)])
    torch.testing.assert_close(got(x, t), WORLD.score(x, t), **close)


def test_the_sum_of_scores_is_the_score_of_the_product():
    C, E = wishart(seed=1), wishart(seed=2)
    m = normal(2, D)
    P = [laws.gaussian(m[0], C), laws.gaussian(m[1], E)]
    precisions = [np.linalg.inv(Q.numpy()) for Q in (C, E)]
    V = np.linalg.inv(sum(precisions))
    centre = V @ sum(Q @ u for Q, u in zip(precisions, m.numpy(), strict=True))
    want = laws.gaussian(torch.tensor(centre), torch.tensor((V + V.T) / 2))
    got = fields.mix([lambda x, t, p=p: p.score(x) for p in P], [1, 1])
    x = normal(4, D)
    torch.testing.assert_close(got(x, 0.0), want.score(x), **close)


@pytest.mark.parametrize("target", TARGETS)
def test_guidance_is_the_same_on_every_target_and_other_sums_are_not(target):
    x, t, path = normal(4, D), 0.4, WORLD.path
    t = torch.tensor(t).double()
    plain, part = (exact(w, target) for w in (WORLD, PARTS[0]))
    wanted = fields.guided(WORLD.score, PARTS[0].score, 3.0)(x, t)
    got = fields.convert(fields.guided(plain, part, 3.0), path, target, "score")
    torch.testing.assert_close(got(x, t), wanted, **close)
    wanted = fields.mix([WORLD.score, PARTS[0].score], [1.0, 1.0])(x, t)
    got = fields.convert(fields.mix([plain, part], [1.0, 1.0]), path, target, "score")
    same = torch.allclose(got(x, t), wanted, rtol=1e-3)
    assert same == (target in ("score", "noise"))  # multiples of one another


def test_what_is_recorded_is_what_the_caller_got_in_order():
    into, x = [], normal(4, D)
    F = fields.recorded(WORLD.denoise, into)
    got = [F(x, 0.3), F(x + 1, 0.6)]
    assert len(into) == 2 and all(a is b for a, b in zip(into, got, strict=True))
    torch.testing.assert_close(into[1], WORLD.denoise(x + 1, 0.6))


def test_guidance_in_both_conventions_and_in_an_interval():
    x, t = normal(D, D), 0.1 + 0.8 * uniform(D)
    u, c = WORLD.noise, PARTS[1].noise
    assert torch.equal(fields.guided(u, c, 0)(x, t), u(x, t))
    assert torch.equal(fields.guided(u, c, 1)(x, t), c(x, t))
    paper = 3.0 * c(x, t) - 2.0 * u(x, t)  # (1 + w) c - w u with w = 2
    torch.testing.assert_close(fields.guided(u, c, 3.0)(x, t), paper, **tight)
    gate = fields.guided(u, c, lambda x, t: 1 + 2 * (t > 0.4).double())
    for i in range(D):
        want = (paper if t[i] > 0.4 else c(x, t))[i]
        torch.testing.assert_close(gate(x, t)[i], want, **tight)
    per_point = fields.guided(u, c, torch.linspace(0, 2, D).double())
    torch.testing.assert_close(per_point(x, t)[0], u(x, t)[0], **tight)
    torch.testing.assert_close(per_point(x, t)[1], c(x, t)[1], **tight)


def test_clipping_changes_what_is_outside_and_stops_its_derivative():
    x = torch.tensor([[-3.0, 0.25, 5.0]]).double()
    F = fields.clipped(linear(torch.eye(D).double()), -1, 2)
    assert F(x, 0.0).tolist() == [[-1.0, 0.25, 2.0]]
    assert fields.jacobian(F, x, 0.0)[0].diagonal().tolist() == [0.0, 1.0, 0.0]
    twice = fields.clipped(F, -1, 2)
    assert torch.equal(twice(x, 0.0), F(x, 0.0))


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_quantising_rounds_to_the_nearest_of_two_to_the_bits(bits):
    limit, n = 1.5, 20000
    x = 2 * limit * uniform(n, 1) - limit
    F = fields.quantised(lambda x, t: x, bits, limit)
    y, h = F(x, 0.0), 2 * limit / 2**bits
    # 20000 points miss one of 256 cells with probability 256 exp(-78)
    middles = (np.arange(2**bits) + 0.5) * h - limit
    np.testing.assert_allclose(y.unique().numpy(), middles, rtol=1e-12)
    nearest = middles[np.abs(x.numpy() - middles).argmin(-1)]
    np.testing.assert_allclose(y[:, 0].numpy(), nearest, rtol=1e-12)
    square = ((y - x) ** 2).squeeze(-1)
    assert abs(square.mean() - h**2 / 12) < 6 * square.std() / math.sqrt(n)
    again = fields.quantised(F, bits, limit)
    assert torch.equal(again(x, 0.0), y)
    far = F(torch.tensor([[-9.0], [9.0]]).double(), 0.0)
    torch.testing.assert_close(far[:, 0], torch.tensor(middles[[0, -1]]))
    assert (fields.jacobian(F, x[:5], 0.0) == 0).all()


def test_cast_runs_a_float32_network_in_a_float64_solver():
    net = torch.nn.Linear(D + 1, D)

    def learned(x, t):  # as networks are: it wants one dtype throughout
        return net(torch.cat([x, t.expand(x.shape[:-1]).unsqueeze(-1)], -1))

    with torch.no_grad():
        W, b = (p.double() for p in (net.weight, net.bias))
        x, t = normal(4, D), uniform(4)
        with pytest.raises(RuntimeError):
            learned(x, t)
        F = fields.cast(learned, torch.float32)
        got = F(x, t)
        want = torch.cat([x, t.unsqueeze(-1)], -1) @ W.mT + b
        assert got.dtype == torch.float64
        # float32 keeps 24 bits; sums of four terms of size a few
        assert 0 < (got - want).abs().max() < 1e-6
        table = tables.euler(tables.uniform(1.0, 0.0, 2))
        assert solvers.solve(table, F, x).dtype == torch.float64


def test_retiming_composes_and_turns_back():
    F = WORLD.velocity
    x, t = normal(D, D), uniform(D)
    warp, back = (lambda t: t**2), (lambda t: 1 - t)
    got = fields.retimed(fields.retimed(F, warp), back)(x, t)
    torch.testing.assert_close(got, F(x, (1 - t) ** 2), **tight)
    twice = fields.retimed(fields.retimed(F, back), back)
    torch.testing.assert_close(twice(x, t), F(x, t), **close)
    # on the clock s^2 the same line is run with u(x, s^2) 2 s
    F = worlds.World(PATHS["straight"], LAWS["gaussian"]).velocity
    fast = fields.mix([fields.retimed(F, warp)], [lambda x, t: 2 * t])
    ends = [
        solvers.solve(tables.rk4(tables.uniform(0.5**p, 0.8**p, 40)), G, x)
        for p, G in ((2, F), (1, fast))
    ]
    # order 4: (0.4 / 40)^4 = 1e-8 for derivatives of order one
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-7, atol=1e-7)
    stopped = fields.retimed(F, lambda t: 0.5)
    torch.testing.assert_close(stopped(x, t), F(x, 0.5), **tight)


@pytest.mark.parametrize("every", [1, 3, 4])
def test_a_cached_branch_multiplies_as_the_lagged_scheme_must(every):
    """x' = a x + b (x of the last key): a cycle of m Euler steps of size h gives

    (1 + h a)^m + (b / a) ((1 + h a)^m - 1), a geometric series.
    """
    a, b, cycles = -0.7, 0.4, 5
    steps = every * cycles
    slow = fields.counted(lambda x, t: b * x)
    fast = fields.counted(lambda x, t: a * x)
    held = fields.cached(slow, every)
    F = fields.mix([fast, held], [1, 1])
    x = normal(4, D)
    table = tables.euler(tables.uniform(1.0, 0.0, steps))
    got = solvers.solve(table, F, x)
    q = (1 - a / steps) ** every
    want = (q + b / a * (q - 1)) ** cycles * x
    torch.testing.assert_close(got, want, **tight)
    assert (fast.calls, slow.calls) == (steps, cycles)
    held.reset()
    torch.testing.assert_close(solvers.solve(table, F, x), want, **tight)


def test_the_tape_goes_through_a_cache():
    table = tables.heun(tables.uniform(0.9, 0.1, 6))

    def end(x):
        return solvers.solve(table, fields.cached(WORLD.velocity, 3), x).sum(-1)

    x, h = normal(D), 1e-5
    got = torch.autograd.functional.jacobian(end, x)
    eye = h * torch.eye(D).double()
    want = torch.stack([(end(x + e) - end(x - e)) / (2 * h) for e in eye])
    torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6)


def test_a_cache_serves_times_that_go_up_and_down_within_a_run():
    held = fields.cached(fields.counted(lambda x, t: t * x), 2)
    x = normal(2, D)
    for t, want in ((1.0, 1.0), (0.5, 1.0), (0.8, 0.8), (0.2, 0.8), (0.3, 0.3)):
        torch.testing.assert_close(held(x, t), want * x, **tight)
    assert held.field.calls == 3
    up = fields.cached(WORLD.velocity, 2)
    for t in (0.1, 0.1, 0.5):
        up(x, torch.full((2,), t).double())


SCHEMES = {"euler": 1, "heun": 2, "rk4": 4}


@named(SCHEMES)
def test_counting_through_a_solver(name):
    F = fields.counted(WORLD.velocity)
    table = getattr(tables, name)(tables.uniform(0.9, 0.1, 7))
    got = solvers.solve(table, F, normal(2, 5, D))
    assert torch.equal(got, solvers.solve(table, WORLD.velocity, normal(2, 5, D)))
    assert (F.calls, F.points) == (7 * SCHEMES[name], 70 * SCHEMES[name])
    F.reset()
    F(normal(D), 0.5)
    assert (F.calls, F.points) == (1, 1)


def test_what_derivatives_cost():
    F = fields.counted(WORLD.velocity)
    fields.divergence(F, normal(5, D), 0.5)
    assert F.calls == 1
    fields.hutchinson(F, normal(5, D), 0.5, shapes.rng(0), probes=10)
    assert F.calls == 2


def plain(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return 1.0 * x


MADE = {
    "mix": lambda: fields.mix([plain, plain], [0.1, lambda x, t: 0.2]),
    "guided": lambda: fields.guided(plain, plain, 2.0),
    "clipped": lambda: fields.clipped(plain, -1, 1),
    "quantised": lambda: fields.quantised(plain, 4, 1.0),
    "cast": lambda: fields.cast(plain, torch.float16),
    "retimed": lambda: fields.retimed(plain, lambda t: 1 - t),
    "cached": lambda: fields.cached(plain, 2),
    "counted": lambda: fields.counted(plain),
    "gauge": lambda: fields.gauge(
        plain, torch.zeros(1, 1).double(), lambda x, t: x[..., 0]
    ),
    "all": lambda: fields.counted(
        fields.cached(fields.clipped(fields.guided(plain, plain, 2.0), -1, 1), 2)
    ),
}
SHAPES = [(1,), (0, 1), (4, 1), (2, 3, 1)]


def keeps(name: str, device: str) -> None:
    """The made field returns what the points are: shape, dtype, device."""
    for shape, dtype in itertools.product(SHAPES, (torch.float32, torch.float64)):
        x = torch.ones(shape, dtype=dtype, device=device)
        for t in (0.5, torch.full(shape[:-1], 0.5, dtype=dtype, device=device)):
            y = MADE[name]()(x, t)
            assert (y.shape, y.dtype, y.device) == (x.shape, x.dtype, x.device)


@named(MADE)
def test_shape_and_type_are_kept(name):
    keeps(name, "cpu")


@cuda
@named(MADE)
def test_shape_and_type_are_kept_on_a_gpu(name):
    keeps(name, "cuda")


@cuda
def test_derivatives_on_a_gpu():
    x, t = normal(D, D).cuda(), uniform(D).cuda()

    def field(x, t):
        return t.unsqueeze(-1) * x**2

    got, error = fields.hutchinson(field, x, t, shapes.rng(0, "cuda"))
    want = (2 * t.unsqueeze(-1) * x).sum(-1)
    torch.testing.assert_close(got, want, **tight)
    torch.testing.assert_close(fields.divergence(field, x, t), want, **tight)


# ---------------------------------------------------------------- refusals

V, T = ValueError, TypeError
W = worlds.World(PATHS["edm"], LAWS["gaussian"])
x = normal(3, D)
nan = float("nan")


def at(have: str, want: str, t: float, path: paths.Path = W.path):
    """Convert something, somewhere."""
    return lambda: fields.convert(plain, path, have, want)(x, t)


def used(*times: float) -> fields.cached:
    """A cache in the middle of a run."""
    held = fields.cached(plain, 3)
    for t in times:
        held(x, t)
    return held


def ask(field: fields.Field, x: torch.Tensor = x, t: object = 0.5):
    return lambda: field(x, t)


rng = shapes.rng(0)
unknown = "target 'eps' is unknown; it is one of denoise, noise, score, velocity, v"
returned = r"the field returned \(3,\) for x of shape \(3, 3\)"
per_point = r"has shape \(2,\); it must be a number or one per point, \(3,\)"
torch_func = "torch.func can not differentiate or map it"
WRONG = {
    "have": (V, unknown, at("eps", "noise", 1.0)),
    "want": (V, unknown, at("noise", "eps", 1.0)),
    "neither": (V, unknown, at("eps", "eps", 1.0)),
    "two ends": (V, "second end, b = t", at("noise", "score", 0.5, TWO_ENDS)),
    "t": (V, r"lives on \[0, 5\]", at("noise", "score", 6.0)),
    "t nan": (V, "t holds NaN", at("noise", "score", nan)),
    "denoise at 0": (
        V,
        "denoise does not determine noise",
        at("denoise", "noise", 0.0),
    ),
    "score at 0": (V, "noise does not determine score", at("noise", "score", 0.0)),
    "velocity at 0": (
        V,
        "velocity does not determine v at this time",
        at("velocity", "v", 0.0),
    ),
    "noise at the end": (
        V,
        "noise does not determine denoise",
        at("noise", "denoise", 1.0, PATHS["straight"]),
    ),
    "score at the end": (
        V,
        "score does not determine velocity",
        at("score", "velocity", 1.0, PATHS["straight"]),
    ),
    "times": (V, "t " + per_point, at("noise", "v", 0.5 + uniform(2))),
    "one point, d times": (
        V,
        r"t has shape \(3,\); it must be a number or one per point, \(\)",
        ask(fields.convert(plain, W.path, "noise", "v"), x[0], uniform(D)),
    ),
    "number": (V, r"x has shape \(\)", lambda: fields.value(plain, x[0, 0], 0.5)),
    "ints": (T, "x is torch.int64", lambda: fields.value(plain, x.long(), 0.5)),
    "list": (T, "x is list", lambda: fields.value(plain, [0.0], 0.5)),
    "returns less": (V, returned, lambda: fields.jacobian(lambda x, t: x[:, 0], x, 0)),
    "returns float": (
        V,
        "the field returned float",
        lambda: fields.divergence(lambda x, t: 0.0, x, 0),
    ),
    "returns less to probes": (
        V,
        returned,
        lambda: fields.hutchinson(lambda x, t: x.sum(-1), x, 0, rng),
    ),
    "one probe": (
        V,
        "probes is 1; at least 2",
        lambda: fields.hutchinson(plain, x, 0, rng, 1),
    ),
    "probes": (
        V,
        "'cauchy'; it is one of rademacher, gaussian",
        lambda: fields.hutchinson(plain, x, 0, rng, 2, "cauchy"),
    ),
    "curl ints": (T, "x is torch.int64", lambda: fields.curl(plain, x.long(), 0)),
    "residual": (V, returned, lambda: fields.gauge_residual(plain, hill, x, 0)),
    "gauge symmetric": (V, "not antisymmetric", lambda: fields.gauge(plain, M)),
    "gauge nan": (V, "A holds NaN", lambda: fields.gauge(plain, A * nan)),
    "gauge shape": (V, r"A has shape \(2, 3\)", lambda: fields.gauge(plain, A[:2])),
    "gauge empty": (V, r"A has shape \(0, 0\)", lambda: fields.gauge(plain, A[:0, :0])),
    "gauge ints": (T, "A is torch.int64", lambda: fields.gauge(plain, A.long())),
    "gauge size": (
        V,
        "the points have 2 coordinates",
        ask(fields.gauge(plain, A), x[:, :2]),
    ),
    "gauge level": (
        V,
        r"h returned shape \(3, 3\); it must be one number per point, \(3,\)",
        ask(fields.gauge(plain, A, plain)),
    ),
    "no fields": (V, "0 fields and 0 weights", lambda: fields.mix([], [])),
    "weights": (V, "1 fields and 2 weights", lambda: fields.mix([plain], [1, 2])),
    "weight nan": (V, "weights holds NaN", lambda: fields.mix([plain], [nan])),
    "weight shape": (V, "a weight " + per_point, ask(fields.mix([plain], [x[:2, 0]]))),
    "weight of state": (
        V,
        "a weight " + per_point,
        ask(fields.mix([plain], [lambda x, t: x[:2, 0]])),
    ),
    "mix of shapes": (V, returned, ask(fields.mix([plain, hill], [1, 1]))),
    "clip": (V, "low is 1 and high 1", lambda: fields.clipped(plain, 1, 1)),
    "clip nan": (V, "low is nan", lambda: fields.clipped(plain, nan, 1)),
    "bits": (V, "bits is 0", lambda: fields.quantised(plain, 0, 1.0)),
    "limit": (V, "limit 0", lambda: fields.quantised(plain, 8, 0.0)),
    "limit inf": (V, "limit inf", lambda: fields.quantised(plain, 8, math.inf)),
    "cast": (T, "dtype is torch.int8", lambda: fields.cast(plain, torch.int8)),
    "clock": (V, "t " + per_point, ask(fields.retimed(plain, lambda t: x[:2, 0]))),
    "every": (V, "every is 0; it must be at least 1", lambda: fields.cached(plain, 0)),
    "cached run": (V, "t is back at the start", ask(used(1.0, 0.4), t=1.0)),
    "cached up": (V, "t is back at the start", ask(used(0.1, 0.4), t=0.0)),
    "cached points": (V, r"x has shape \(2, 3\), in this run", ask(used(1.0), x[:2])),
    "cached jacobian": (
        V,
        torch_func,
        lambda: fields.jacobian(fields.cached(plain, 2), x, 0.5),
    ),
    "cached probes": (
        V,
        torch_func,
        lambda: fields.hutchinson(fields.cached(plain, 2), x, 0.5, rng),
    ),
    "cached map": (
        V,
        torch_func,
        lambda: torch.func.vmap(lambda y: fields.cached(plain, 2)(y, 0.5))(x),
    ),
    "counted": (V, returned, ask(fields.counted(hill))),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])


def test_what_was_refused_is_not_counted():
    F = fields.counted(hill)
    with pytest.raises(ValueError):
        F(x, 0.5)
    assert (F.calls, F.points) == (0, 0)
