"""worlds: every field against dense densities, quadrature and the continuity equation.

Tolerances: 1e-9 relative; the covariances at the times tried have condition
numbers below 1e4 and the second routes are dense float64. Samples: 6 sigma.
"""

import math

import numpy as np
import pytest
import torch
from examples import (
    BRIDGES,
    JOINTS,
    LAWS,
    PATHS,
    ROUGH,
    SMOOTH,
    D,
    cuda,
    named,
    normal,
    refuses,
    rotation,
    uniform,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from diffkit import laws, paths, shapes, worlds

close = {"rtol": 1e-9, "atol": 1e-9}
FIELDS = ("score", "velocity", "denoise", "noise")
EDM, STRAIGHT = PATHS["edm"], PATHS["straight"]


def dense(world: worlds.World, t: torch.Tensor) -> MixtureSameFamily:
    """The law of x_t by torch.distributions, from a, g and dense covariances."""
    c, j = world.path.at(t), world.joint
    eye = torch.eye(j.d, dtype=torch.float64)
    covs = c.a**2 * j.covs() + c.g2 * eye
    return MixtureSameFamily(
        Categorical(logits=j.logw), MultivariateNormal(c.a * j.means, covs)
    )


def times(world: worlds.World) -> torch.Tensor:
    """From nearly data to all noise."""
    return world.path.T * torch.tensor([0.1, 0.45, 0.8, 1.0]).double()


def around(world: worlds.World, t: torch.Tensor, n: int = 12) -> torch.Tensor:
    """Points where x_t is likely."""
    return world.draw(n, t.item(), shapes.rng(7))[2]


everywhere = [
    pytest.param(worlds.World(PATHS[p], LAWS[j]), id=f"{p}-{j}")
    for p in PATHS
    for j in LAWS
]
between = [
    pytest.param(worlds.World(BRIDGES[p], JOINTS[j]), id=f"{p}-{j}")
    for p in BRIDGES
    for j in JOINTS
    if BRIDGES[p].g2 != 0 or j != "data"  # else points move along, without a density
]


@pytest.mark.parametrize("world", everywhere)
def test_log_prob_and_score_are_those_of_the_dense_law(world):
    for t in times(world):
        x = around(world, t).requires_grad_()
        want = dense(world, t).log_prob(x)
        (slope,) = torch.autograd.grad(want.sum(), x)
        torch.testing.assert_close(world.log_prob(x.detach(), t), want, **close)
        torch.testing.assert_close(world.score(x.detach(), t), slope, **close)


@pytest.mark.parametrize("world", everywhere)
def test_velocity_solves_the_continuity_equation(world):
    for t in times(world)[:-1]:
        t = t.clone().requires_grad_()
        fokker_planck(world, dense(world, t), t, 0.0)


def slopes(law: MixtureSameFamily, x: torch.Tensor, t: torch.Tensor) -> tuple:
    """d/dt, gradient and Laplacian of log p at the points x, by autograd."""
    x = x.detach().requires_grad_()
    value = law.log_prob(x)
    rate = [torch.autograd.grad(v, t, retain_graph=True)[0] for v in value]
    (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    second = [
        torch.autograd.grad(slope[:, i].sum(), x, retain_graph=True)[0][:, i]
        for i in range(D)
    ]
    return torch.stack(rate), slope.detach(), sum(second)


def fokker_planck(world: worlds.World, law, t: torch.Tensor, eps: float) -> None:
    """d/dt log p + div b + b . grad log p = eps (lap log p + |grad log p|^2).

    b = velocity + eps score, for the process with noise sqrt(2 eps) dW.
    """
    x = world.draw(4, t.item(), shapes.rng(7))[-1]
    rate, slope, second = slopes(law, x, t)

    def drift(y: torch.Tensor) -> torch.Tensor:
        return world.velocity(y, t.detach()) + eps * world.score(y, t.detach())

    J = torch.stack([torch.autograd.functional.jacobian(drift, y) for y in x])
    terms = [
        rate,
        J.diagonal(dim1=-2, dim2=-1).sum(-1),
        (drift(x) * slope).sum(-1),
        -eps * second,
        -eps * (slope**2).sum(-1),
    ]
    size = 1 + sum(term.abs() for term in terms)
    assert (sum(terms).abs() < 1e-9 * size).all()


@pytest.mark.parametrize("world", everywhere)
def test_noise_of_any_size_has_its_fokker_planck_equation(world):
    t = (0.4 * torch.tensor(world.path.T, dtype=torch.float64)).requires_grad_()
    fokker_planck(world, dense(world, t), t, 0.7)


@named(LAWS)
@pytest.mark.parametrize("t", [0.3, 0.5, 0.8])
def test_a_mirror_stirs_by_its_score_alone(name, t):
    # there and back through noise: u = g dg (-score), none at the turning point
    world = worlds.World(paths.mirror(), LAWS[name])
    t = torch.tensor(t, dtype=torch.float64, requires_grad=True)
    fokker_planck(world, dense(world, t), t, 0.7)
    x, t = around(world, t.detach()), t.detach()
    want = -(1 - 2 * t) * dense_score(world, x, t)
    torch.testing.assert_close(world.velocity(x, t), want, **close)


@pytest.mark.parametrize("world", everywhere)
def test_fields_are_one_another_by_tweedie(world):
    for t in times(world)[:-1]:
        x, c = around(world, t), world.path.at(t)
        s = dense_score(world, x, t)
        D0, N = (x + c.g2 * s) / c.a, -c.g * s
        torch.testing.assert_close(world.denoise(x, t), D0, **close)
        torch.testing.assert_close(world.noise(x, t), N, **close)
        # E[da x0 + dg z | x_t] leaves no freedom, the continuity equation does
        u = c.da * D0 + c.gdg / c.g * N
        torch.testing.assert_close(world.velocity(x, t), u, **close)


def dense_score(world: worlds.World, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(dense(world, t).log_prob(x).sum(), x)[0]


@pytest.mark.parametrize("world", everywhere)
def test_posterior_has_the_moments_that_the_denoiser_gives(world):
    # second-order Tweedie: cov[x0 | x] = (g^2 / a) dD/dx, by autograd
    for t in times(world)[:-1]:
        x, c = around(world, t).requires_grad_(), world.path.at(t)
        D0, post = world.denoise(x, t), world.posterior(x.detach(), t)
        rows = [
            torch.autograd.grad(D0[:, i].sum(), x, retain_graph=True)[0]
            for i in range(D)
        ]
        torch.testing.assert_close(post.mean(), D0.detach(), **close)
        cov = c.g2 / c.a * torch.stack(rows, 1)
        torch.testing.assert_close(post.cov(), cov, **close)


@named(PATHS)
def test_fields_are_posterior_means_by_quadrature(name):
    path = PATHS[name]
    means = torch.tensor([[-1.0], [1.5]], dtype=torch.float64)
    w = torch.tensor([0.3, 0.7], dtype=torch.float64)
    world = worlds.World(path, laws.mixture(means, 0.2, w))
    x0 = torch.linspace(-9, 9, 20001, dtype=torch.float64)  # smooth: exact rule
    prior = sum(
        v * torch.exp(-((x0 - m) ** 2) / 0.4) for v, m in zip(w, means, strict=True)
    )
    for t in (0.3, 0.7):
        t = t * path.T
        c, x = path.at(t), torch.tensor([[-0.7], [0.4], [2.0]], dtype=torch.float64)
        z = (x - c.a * x0) / c.g
        p = prior * torch.exp(-(z**2) / 2)
        p = p / p.sum(-1, keepdim=True)

        def mean(values, p=p):
            return (p * values).sum(-1, keepdim=True)

        slope = path.at(t + 1e-6).g - path.at(t - 1e-6).g
        torch.testing.assert_close(world.denoise(x, t), mean(x0), **close)
        torch.testing.assert_close(world.noise(x, t), mean(z), **close)
        u = mean(c.da * x0 + slope / 2e-6 * z)
        # the slope of g is a central difference: 1e-12 g''' + 1e-16 / 1e-6
        torch.testing.assert_close(world.velocity(x, t), u, rtol=1e-7, atol=1e-7)
        spread = mean(x0**2) - mean(x0) ** 2
        got = world.posterior(x, t).cov().squeeze(-1)
        torch.testing.assert_close(got, spread, **close)


def test_at_all_noise_the_best_guess_is_the_mean():
    for law in LAWS.values():
        world, x = worlds.World(STRAIGHT, law), normal(4, D)
        want = law.mean().expand(4, D)
        torch.testing.assert_close(world.denoise(x, 1.0), want, **close)
        torch.testing.assert_close(world.noise(x, 1.0), x, **close)
        # dx/dt = z - x0 on the straight path
        torch.testing.assert_close(world.velocity(x, 1.0), x - want, **close)


@named(SMOOTH)
def test_without_noise_the_data_is_seen(name):
    for path in PATHS.values():
        world, x = worlds.World(path, SMOOTH[name]), normal(4, D)
        torch.testing.assert_close(world.denoise(x, 0.0), x, **close)
        assert world.noise(x, 0.0).abs().max() == 0
        c = path.at(0.0)
        u = c.da * x - c.gdg * world.score(x, 0.0)
        torch.testing.assert_close(world.velocity(x, 0.0), u, **close)
        post = world.posterior(x, 0.0)
        torch.testing.assert_close(post.mean(), x, **close)
        assert post.cov().abs().max() < 1e-12


# -------------------------------------------------------------- two ends


def blocks(world: worlds.World, t: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """L m, L cov L' + g^2 and cov L' of every pair, by dense matrices."""
    c, eye = world.path.at(t), torch.eye(D, dtype=torch.float64)
    L = torch.cat([c.a * eye, c.b * eye], 1)
    cross = world.joint.covs() @ L.mT
    return world.joint.means @ L.mT, L @ cross + c.g2 * eye, cross


def mixed(world: worlds.World, t: torch.Tensor) -> MixtureSameFamily:
    """The law of x_t by torch.distributions."""
    means, covs, _ = blocks(world, t)
    return MixtureSameFamily(
        Categorical(logits=world.joint.logw), MultivariateNormal(means, covs)
    )


@pytest.mark.parametrize("world", between)
def test_between_two_ends_fields_are_dense_regressions(world):
    for t in (0.15, 0.5, 0.9):
        t = torch.tensor(t, dtype=torch.float64)
        x, c, law = world.draw(6, t.item(), shapes.rng(7))[-1], world.path.at(t), None
        law, (means, covs, cross) = mixed(world, t), blocks(world, t)
        each = law.component_distribution.log_prob(x.unsqueeze(1))
        r = (world.joint.logw + each).softmax(-1)
        off = torch.linalg.solve(covs, (x.unsqueeze(1) - means).unsqueeze(-1))
        guess = world.joint.means + (cross @ off).squeeze(-1)
        x0, x1 = torch.einsum("nk,nkd->nd", r, guess).split(D, -1)
        s = -torch.einsum("nk,nkd->nd", r, off.squeeze(-1))
        torch.testing.assert_close(world.log_prob(x, t), law.log_prob(x), **close)
        torch.testing.assert_close(world.score(x, t), s, **close)
        torch.testing.assert_close(world.denoise(x, t), x0, **close)
        torch.testing.assert_close(world.end(x, t), x1, **close)
        torch.testing.assert_close(world.noise(x, t), -c.g * s, **close)
        u = c.da * x0 + c.db * x1 - c.gdg * s
        torch.testing.assert_close(world.velocity(x, t), u, **close)


@pytest.mark.parametrize("world", between)
def test_between_two_ends_velocity_solves_the_continuity_equation(world):
    for t in (0.3, 0.8):
        t = torch.tensor(t, dtype=torch.float64, requires_grad=True)
        fokker_planck(world, mixed(world, t), t, 0.0)


@pytest.mark.parametrize("world", between)
def test_between_two_ends_noise_has_its_fokker_planck_equation(world):
    t = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    fokker_planck(world, mixed(world, t), t, 0.7)


@pytest.mark.parametrize("world", between)
def test_between_two_ends_density_may_be_differentiated_in_time(world):
    # repeated eigenvalues would make the slope of an eigenvector NaN
    t = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    x = world.draw(1, 0.4, shapes.rng(7))[-1]
    (got,) = torch.autograd.grad(world.log_prob(x, t).sum(), t)
    (want,) = torch.autograd.grad(mixed(world, t).log_prob(x).sum(), t)
    torch.testing.assert_close(got, want, **close)


@pytest.mark.parametrize("world", between)
def test_between_two_ends_posterior_is_dense_conditioning(world):
    for t in (0.3, torch.full((4,), 0.3, dtype=torch.float64)):
        x = normal(4, D, seed=3)
        one = torch.tensor(0.3, dtype=torch.float64)
        means, covs, cross = blocks(world, one)
        gain = torch.linalg.solve(covs, cross.mT).mT
        off = (x.unsqueeze(1) - means).unsqueeze(-1)
        got = world.posterior(x, t)
        want = world.joint.means + (gain @ off).squeeze(-1)
        torch.testing.assert_close(got.means, want, **close)
        left = (world.joint.covs() - gain @ cross.mT).expand_as(got.covs())
        torch.testing.assert_close(got.covs(), left, **close)
        want = mixed(world, one).component_distribution.log_prob(x.unsqueeze(1))
        want = (want + world.joint.logw).log_softmax(-1)
        torch.testing.assert_close(got.logw, want, **close)


@pytest.mark.parametrize("world", between)
def test_between_two_ends_one_time_per_point_is_the_points_one_by_one(world):
    x, t = 2 * normal(D, D), 0.1 + 0.8 * uniform(D)  # as many points as dimensions
    for what in (*FIELDS, "end", "log_prob"):
        got = getattr(world, what)(x, t)
        for i in range(D):
            one = getattr(world, what)(x[i], t[i])
            torch.testing.assert_close(got[i], one, **close)
    torch.testing.assert_close(world.law(t).score(x), world.score(x, t), **close)


@pytest.mark.parametrize("world", between)
def test_between_two_ends_draws_fit_the_fields(world):
    n = 20_000
    x0, x1, z, x = world.draw(n, 0.3, shapes.rng(8))
    c = world.path.at(0.3)
    torch.testing.assert_close(x, c.a * x0 + c.b * x1 + c.g * z)
    zero, test = torch.zeros(D, D, dtype=x.dtype), torch.sin(x).unsqueeze(-1)
    six_sigma(x, world.law(0.3).mean())
    for got, want in ((world.denoise, x0), (world.end, x1), (world.noise, z)):
        six_sigma(test * (want - got(x, 0.3)).unsqueeze(-2), zero)


few = settings(max_examples=20, deadline=None, derandomize=True)
inner = st.floats(0.05, 0.95)


@few
@given(
    st.sampled_from(sorted(set(BRIDGES) - {"open"})),
    st.sampled_from(sorted(JOINTS)),
    inner,
)
def test_read_from_its_other_end_a_world_runs_backwards(name, ends, t):
    path, joint, x = BRIDGES[name], JOINTS[ends].blur(0.01), normal(4, D)
    eye = torch.eye(2 * D, dtype=torch.float64)
    back = worlds.World(paths.reverse(path), joint.push(eye.roll(D, 0)))
    world, s = worlds.World(path, joint), 1 - t
    loose = {"rtol": 1e-8, "atol": 1e-8}  # 1 - t and t are rounded apart
    for what in ("score", "noise"):
        got, want = getattr(back, what)(x, s), getattr(world, what)(x, t)
        torch.testing.assert_close(got, want, **loose)
    torch.testing.assert_close(back.velocity(x, s), -world.velocity(x, t), **loose)
    torch.testing.assert_close(back.denoise(x, s), world.end(x, t), **loose)


@few
@given(st.sampled_from(sorted(PATHS)), st.sampled_from(sorted(LAWS)), inner)
def test_another_clock_only_changes_the_pace(name, law, t):
    # tau = T (t + t^2) / 2, so the pace is T (1/2 + t)
    path, x = PATHS[name], normal(4, D)
    clock = path.T * (paths.t + paths.t**2) / 2
    other = worlds.World(paths.reparametrise(path, clock, 1.0), LAWS[law])
    world, tau = worlds.World(path, LAWS[law]), path.T * (t + t**2) / 2
    loose = {"rtol": 1e-8, "atol": 1e-8}  # tau is rounded
    for what in ("score", "denoise", "log_prob"):
        got, want = getattr(other, what)(x, t), getattr(world, what)(x, tau)
        torch.testing.assert_close(got, want, **loose)
    want = path.T * (0.5 + t) * world.velocity(x, tau)
    torch.testing.assert_close(other.velocity(x, t), want, **loose)


@pytest.mark.parametrize("world", between)
def test_between_two_ends_nothing_is_nan_close_to_either(world):
    for t in (1e-6, 1 - 1e-6):
        x = torch.cat([world.draw(3, t, shapes.rng(2))[-1], 1e3 * normal(1, D)])
        if world.path.g2 == 0 and world.law(t).singular:
            continue  # a flat end, and no noise: refused by name elsewhere
        for what in (*FIELDS, "end", "log_prob"):
            assert torch.isfinite(getattr(world, what)(x, t)).all(), (what, t)
        assert torch.isfinite(world.posterior(x, t).cov()).all()


def test_one_draw_and_none():
    for joint, path in ((JOINTS["mixtures"], "bridge"), (JOINTS["data"], "there")):
        world = worlds.World(BRIDGES[path], joint)
        for n in (0, 1):
            x = world.draw(n, 0.3, shapes.rng(0))[-1]
            assert world.velocity(x, 0.3).shape == (n, D)
            assert world.posterior(x, 0.3).cov().shape == (n, 2 * D, 2 * D)


@named(LAWS)
def test_a_second_end_of_noise_is_noise(name):
    law, x, t = LAWS[name], normal(5, D), 0.1 + 0.8 * uniform(5)
    noise = laws.gaussian(torch.zeros(D, dtype=torch.float64), 1.0)
    two, one = worlds.World(BRIDGES["straight"], law.pair(noise)), None
    one = worlds.World(STRAIGHT, law)
    for what in ("log_prob", "score", "velocity", "denoise"):
        got, want = getattr(two, what)(x, t), getattr(one, what)(x, t)
        torch.testing.assert_close(got, want, **close)
    torch.testing.assert_close(two.end(x, t), one.noise(x, t), **close)


# ---------------------------------------------------------- times per point


@pytest.mark.parametrize("shape", [(D,), (5,), (5, D), (D, D), (0,)], ids=str)
@named(LAWS)
def test_one_time_per_point_is_the_points_one_by_one(name, shape):
    # n = d, and a trajectory of d points, are where axes get mixed up in silence
    world = worlds.World(PATHS["vp"], LAWS[name])
    x, t = 2 * normal(*shape, D), 0.05 + 0.9 * uniform(*shape)
    for what in (*FIELDS, "log_prob"):
        got = getattr(world, what)(x, t)
        assert got.shape == (shape if what == "log_prob" else x.shape)
        for i in np.ndindex(*shape):
            one = getattr(world, what)(x[i], t[i])
            torch.testing.assert_close(got[i], one, **close)
    post, mean = world.posterior(x, t), world.denoise(x, t)
    torch.testing.assert_close(post.mean(), mean, **close)
    law = world.law(t)
    torch.testing.assert_close(law.log_prob(x), world.log_prob(x, t), **close)


def test_a_trajectory_at_one_time_is_its_rows():
    world, x = worlds.World(EDM, SMOOTH["mixture"]), normal(4, D, D)
    for what in FIELDS:
        got = getattr(world, what)(x, 2)
        for i in range(4):
            torch.testing.assert_close(got[i], getattr(world, what)(x[i], 2.0))


# ------------------------------------------------------------------ samples


def six_sigma(values: torch.Tensor, want: torch.Tensor) -> None:
    """The mean over the first axis, within six of its own standard errors."""
    error = values.std(0) / math.sqrt(len(values))
    assert ((values.mean(0) - want).abs() <= 6 * error + 1e-12).all()


@pytest.mark.parametrize("name", ["gaussian", "mixture", "data"])
def test_draws_are_of_the_law_and_of_the_posterior(name):
    for path in PATHS.values():
        world, n = worlds.World(path, LAWS[name]), 20_000
        t = 0.4 * path.T
        x0, z, x = world.draw(n, t, shapes.rng(8))
        c = path.at(t)
        torch.testing.assert_close(x, c.a * x0 + c.g * z, rtol=1e-14, atol=1e-14)
        law, zero = world.law(t), torch.zeros(D, D, dtype=x.dtype)
        six_sigma(x, law.mean())
        off = x - law.mean()
        six_sigma(off.unsqueeze(-1) * off.unsqueeze(-2), law.cov())
        test = torch.sin(x).unsqueeze(-1)  # any function of x_t
        six_sigma(test * (z - world.noise(x, t)).unsqueeze(-2), zero)
        six_sigma(test * (x0 - world.denoise(x, t)).unsqueeze(-2), zero)


def test_draws_take_one_time_each():
    world, t = worlds.World(PATHS["vp"], SMOOTH["mixture"]), uniform(D)
    x0, z, x = world.draw(D, t, shapes.rng(1))
    for i in range(D):
        c = world.path.at(t[i])
        torch.testing.assert_close(x[i], c.a * x0[i] + c.g * z[i])


# -------------------------------------------------------------- invariances


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(LAWS)), st.floats(0.01, 0.99))
def test_vp_is_ve_in_other_coordinates(name, t):
    path = PATHS["vp"]
    vp, ve = worlds.World(path, LAWS[name]), worlds.World(EDM, LAWS[name])
    c, sigma = path.at(t), path.nsr(t).item()
    if sigma > EDM.T:
        return
    x = normal(5, D, seed=3)
    y = x / c.a
    got, want = vp.denoise(x, t), ve.denoise(y, sigma)
    # at small noise both are 1 / sigma^2 times a difference of neighbours
    torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(
        c.a * vp.score(x, t), ve.score(y, sigma), rtol=1e-8, atol=1e-8
    )
    jac = D * c.a.log()
    torch.testing.assert_close(
        vp.log_prob(x, t) + jac, ve.log_prob(y, sigma), rtol=1e-8, atol=1e-8
    )


@named(LAWS)
def test_fields_turn_with_the_space(name):
    law, U = LAWS[name], rotation(40)
    world, turned = (worlds.World(STRAIGHT, j) for j in (law, law.push(U)))
    x = normal(5, D)
    for what in FIELDS:
        got = getattr(turned, what)(x @ U.mT, 0.5)
        torch.testing.assert_close(got, getattr(world, what)(x, 0.5) @ U.mT, **close)


# ------------------------------------------------------------------ extremes


@named(LAWS)
def test_nothing_is_nan_between_no_and_all_noise(name):
    world = worlds.World(paths.edm(1e4), LAWS[name])
    for t in (1e-6, 1e-3, 1.0, 1e4):
        x = torch.cat([world.draw(5, t, shapes.rng(2))[2], 1e3 * normal(2, D)])
        for what in (*FIELDS, "log_prob"):
            assert torch.isfinite(getattr(world, what)(x, t)).all(), (what, t)
        assert torch.isfinite(world.posterior(x, t).cov()).all()


def test_hardly_any_noise_gives_back_the_nearest_datum():
    law = ROUGH["data"]
    world = worlds.World(EDM, law)
    x = law.means + 1e-6 * normal(law.k, D)
    torch.testing.assert_close(world.denoise(x, 1e-6), law.means, rtol=0, atol=1e-15)


def test_much_noise_shrinks_to_the_mean_as_the_linear_filter():
    # E[x0 | x] = m + C x / sigma^2 + O(sigma^-2), here to 1e-6 of x = sigma z
    law, z = LAWS["mixture"], normal(4, D)
    got = worlds.World(paths.edm(1e4), law).denoise(1e4 * z, 1e4)
    want = law.mean() + z @ law.cov() / 1e4
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)


@named(SMOOTH)
def test_the_type_is_that_of_the_law(name):
    law = SMOOTH[name]
    single = law.to(torch.float32)
    x = normal(5, D)
    for path in PATHS.values():
        for t in (0.5, torch.tensor(0.5).double(), 0.5 * torch.ones(5)):
            for what in FIELDS:
                got = getattr(worlds.World(path, single), what)(x.float(), t)
                want = getattr(worlds.World(path, law), what)(x, 0.5)
                assert got.dtype == torch.float32
                # eps 1e-7 times condition numbers below 1e3
                torch.testing.assert_close(got.double(), want, rtol=1e-3, atol=1e-3)


@cuda
@named(LAWS)
def test_worlds_on_the_gpu_agree(name):
    law, x, t = LAWS[name], normal(5, D), uniform(5) + 1e-3
    far = worlds.World(PATHS["vp"], law.to("cuda"))
    near = worlds.World(PATHS["vp"], law)
    for what in FIELDS:
        got = getattr(far, what)(x.cuda(), t.cuda())
        torch.testing.assert_close(got.cpu(), getattr(near, what)(x, t), **close)


# ------------------------------------------------------------------ refusals

V, S, T = ValueError, laws.SingularLaw, TypeError
W = worlds.World(PATHS["vp"], SMOOTH["mixture"])
FLAT = worlds.World(PATHS["vp"], ROUGH["flat"])
x, nan = normal(4, D), float("nan")
BATCH = SMOOTH["gaussian"].scale(torch.ones(2).double())
per_point = r"t has shape \(3,\).*one time per point, \(4,\)"
WRONG = {
    "two ends": (
        V,
        "joint has 3 dimensions.*two ends.*from `pair`",
        lambda: worlds.World(BRIDGES["straight"], SMOOTH["mixture"]),
    ),
    "no end": (V, "one end, b = 0: there is no x1", lambda: W.end(x, 0.5)),
    "two ends, start": (
        S,
        "zero eigenvalue",
        lambda: worlds.World(BRIDGES["straight"], JOINTS["flat"]).velocity(x, 0.0),
    ),
    "batch": (V, r"joint has batch shape \(2,\)", lambda: worlds.World(EDM, BATCH)),
    "x shape": (V, r"x has shape \(4, 2\)", lambda: W.score(x[:, :2], 0.5)),
    "x ints": (T, "x is torch.int64", lambda: W.score(x.long(), 0.5)),
    "x nan": (V, "x holds NaN", lambda: W.denoise(x * nan, 0.5)),
    "x number": (V, r"x has shape \(\)", lambda: W.denoise(x[0, 0], 0.5)),
    "posterior x": (V, r"x has shape \(4, 2\)", lambda: W.posterior(x[:, :2], 0.5)),
    "posterior nan": (V, "x holds NaN", lambda: W.posterior(x * nan, 0.5)),
    "t late": (V, r"this path lives on \[0, 1\]", lambda: W.score(x, 1.5)),
    "t early": (V, "t runs from -0.1", lambda: W.law(-0.1)),
    "t nan": (V, "t holds NaN", lambda: W.velocity(x, nan)),
    "t ints": (T, "t is torch.int64", lambda: W.noise(x, torch.tensor(1))),
    "t per point": (V, per_point, lambda: W.score(x, uniform(3))),
    "t per point, posterior": (V, per_point, lambda: W.posterior(x, uniform(3))),
    "t per point, draw": (V, per_point, lambda: W.draw(4, uniform(3), shapes.rng(0))),
    "t one for all in an axis": (V, r"\(1,\)", lambda: W.score(x, uniform(1))),
    "t a column": (V, r"\(4, 1\)", lambda: W.velocity(x, uniform(4, 1))),
    "n < 0": (V, "n must be >= 0", lambda: W.draw(-1, 0.5, shapes.rng(0))),
    "flat score": (S, "take t > 0", lambda: FLAT.score(x, 0.0)),
    "flat velocity": (S, "zero eigenvalue", lambda: FLAT.velocity(x, 0.0)),
    "flat denoise": (S, "take t > 0", lambda: FLAT.denoise(x, 0.0)),
    "flat log_prob": (S, "take t > 0", lambda: FLAT.log_prob(x, 0.0)),
    "flat posterior": (S, "take t > 0", lambda: FLAT.posterior(x, 0.0)),
    "one flat among many": (
        S,
        "take t > 0",
        lambda: FLAT.score(x, torch.tensor([0.5, 0.5, 0.0, 0.5])),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
