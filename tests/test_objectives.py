"""learning.objectives and levels: losses by loops, minimisers by dense algebra.

Tolerances: 1e-9 relative where a conversion of targets (condition up to 1e4) or a
weight over many decades is in between, 1e-12 else. Statistics: 6 standard errors that
are computed, fixed seeds.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from examples import PATHS, TWO_ENDS, D, W, cuda, eigen, named, normal, refuses, uniform
from test_models import SD, TARGETS, UNIT, every_target, times, trained
from test_nets import SEEDS, close, double, stirred

from diffkit import fields, laws, metrics, paths, shapes, worlds
from diffkit.learning import (
    MLP,
    Excess,
    Linear,
    Model,
    Objective,
    edm,
    independent,
    lognormal_levels,
    min_snr,
    objectives,
    stratified,
    uniform_logsnr,
    uniform_times,
)

WEIGHTS = ("plain", *objectives.WEIGHTS)
LAW = laws.mixture(normal(3, D), eigen(0.5, 0.3, 0.1), W)


def rngs(n: int = 3, seed: int = 0) -> list[torch.Generator]:
    return [shapes.rng(seed + i) for i in range(n)]


def sample(path: paths.Path, n: int = 9) -> tuple[torch.Tensor, ...]:
    """x0 (3, n, D), z (3, n, D), t (3, n), and the points x they make."""
    x0, z, t = normal(3, n, D), normal(3, n, D, seed=1), times(path, 3 * n).view(3, n)
    c = path.at(t)
    return x0, z, t, c.a[..., None] * x0 + c.g[..., None] * z


# ------------------------------------------------------------------- losses


@every_target
@named(PATHS)
def test_the_plain_loss_is_the_error_of_the_fields(name, target):
    """|A' - A|^2 from the model's field in that target, and from the target of x0."""
    path = PATHS[name]
    x0, z, t, x = sample(path)
    for own in {target, "v"}:
        for sd in (SD, None):
            model = trained(path, own, sd)
            got = Objective(path, target).losses(model, x0, z, t)
            for k in range(3):
                made = fields.convert(lambda x, t, k=k: x0[k], path, "denoise", target)(
                    x[k], t[k]
                )
                off = model.as_target(target, k)(x[k], t[k]) - made
                close(got[k], (off**2).sum(-1), 1e-8)


@pytest.mark.parametrize("weight", WEIGHTS)
@named(PATHS)
def test_a_loss_is_the_same_in_every_target(name, weight):
    path = PATHS[name]
    x0, z, t, _ = sample(path)
    for sd in (SD, None):
        model = trained(path, "v", sd)
        for have in ("score", "velocity"):
            one = Objective(path, have, weight)
            want = one.losses(model, x0, z, t)
            for other in TARGETS:
                got = one.as_target(other).losses(model, x0, z, t)
                torch.testing.assert_close(got, want, rtol=1e-11, atol=0)


@named(PATHS)
def test_the_errors_of_score_noise_and_denoiser_differ_by_the_levels(name):
    """g^2 |S' - S|^2 = |N' - N|^2 = (a/g)^2 |D' - D|^2."""
    path = PATHS[name]
    x0, z, t, _ = sample(path)
    model, c = trained(path), path.at(t)
    S, N, E = (
        Objective(path, target).losses(model, x0, z, t)
        for target in ("score", "noise", "denoise")
    )
    torch.testing.assert_close(c.g2 * S, N, rtol=1e-11, atol=0)
    torch.testing.assert_close((c.a / c.g) ** 2 * E, N, rtol=1e-11, atol=0)
    for target, w in (("score", lambda c: c.g2), ("denoise", lambda c: c.a**2 / c.g2)):
        got = Objective(path, target, w).losses(model, x0, z, t)
        torch.testing.assert_close(got, N, rtol=1e-11, atol=0)


@named(PATHS)
def test_weightings_are_those_in_print(name):
    path = PATHS[name]
    x0, z, t, _ = sample(path)
    model, s = trained(path), path.nsr(t)
    S, N, E = (
        Objective(path, target).losses(model, x0, z, t)
        for target in ("score", "noise", "denoise")
    )
    printed = {
        "snr": N,
        "truncated snr": torch.maximum(E, N),
        "min snr": torch.clamp(s**-2, max=5) * E,
        "edm": (s**2 + 1) / s**2 * E,
        edm(0.4): (s**2 + 0.16) / (s * 0.4) ** 2 * E,
        min_snr(1.5): torch.clamp(s**-2, max=1.5) * E,
        "elbo": path.sde(t).h2 / 2 * S,
    }
    for weight, want in printed.items():
        for target in TARGETS:
            got = Objective(path, target, weight).losses(model, x0, z, t)
            torch.testing.assert_close(got, want, rtol=1e-9, atol=0)


@named(UNIT)
def test_min_snr_in_noise_and_v_as_printed_and_not_as_in_public_code(name):
    """min(snr, 5) / snr on the noise, / (snr + 1) on v; not min(snr + 1, 5) there."""
    path = UNIT[name]
    x0, z, t, _ = sample(path)
    model, snr = trained(path), path.nsr(t) ** -2
    want = Objective(path, "denoise", "min snr").losses(model, x0, z, t)
    N, v = (Objective(path, own).losses(model, x0, z, t) for own in ("noise", "v"))
    torch.testing.assert_close(snr.clamp(max=5) / snr * N, want, rtol=1e-9, atol=0)
    torch.testing.assert_close(
        snr.clamp(max=5) / (snr + 1) * v, want, rtol=1e-9, atol=0
    )
    wrong = (snr + 1).clamp(max=5) / (snr + 1) * v
    assert (wrong / want - 1).max() > 1


@named(PATHS)
def test_edm_s_weight_makes_the_loss_plain_in_what_the_net_says(name):
    path = PATHS[name]
    x0, z, t, x = sample(path)
    model, c = trained(path, sd=SD), path.at(t)
    assert (Objective(path, "denoise", edm(SD)).weigh(model, c) == 1).all()
    got = Objective(path, "score", edm(SD)).losses(model, x0, z, t)
    for k in range(3):  # F by EDM's own words: (D - c_skip y) / c_out, in y = x / a
        s = path.nsr(t[k])[:, None]
        y, root = x[k] / c.a[k][:, None], (s**2 + SD**2).sqrt()
        c_skip, c_out = SD**2 / root**2, s * SD / root
        said = (model.field(k)(x[k], t[k]) - c_skip * y) / c_out
        close(got[k], ((said - (x0[k] - c_skip * y) / c_out) ** 2).sum(-1), 1e-9)


def test_a_weight_is_finite_where_noise_or_signal_is_not_there():
    path, ends = paths.trig(), torch.tensor([[0.0, 1.0]], **double)
    c = path.at(ends)
    for weight in ("snr", "truncated snr", "min snr", "edm"):
        w = Objective(path, "noise", weight).weigh(trained(path), c)
        assert w.isfinite().all() and (w >= 0).all()
    for target in TARGETS:  # what the net says itself is weighed as it is
        model = trained(path, target, None)
        assert (Objective(path, target).weigh(model, c) == 1).all()


def test_one_row_of_levels_and_noise_may_serve_all_members():
    path = paths.vp()
    x0, z, t, _ = sample(path)
    model, objective = trained(path), Objective(path, "v")
    many = (3, -1, -1)
    want = objective.losses(
        model, x0[:1].expand(many), z[:1].expand(many), t[:1].expand(3, -1)
    )
    close(objective.losses(model, x0[0], z[:1], t[:1]), want)
    got = objective.losses(model, x0, z[:1], t[:1])
    assert got.shape == (3, 9) and (got[0] == want[0]).all()


# ----------------------------------------------------------------- minimisers


def hermite(dims: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Nodes (n^dims, dims) and weights that integrate N(0, I), to degree 2 n - 1."""
    e, w = np.polynomial.hermite_e.hermegauss(n)
    grid = np.stack(np.meshgrid(*[e] * dims, indexing="ij"), -1).reshape(-1, dims)
    mass = np.stack(np.meshgrid(*[w] * dims, indexing="ij"), -1).reshape(-1, dims)
    return torch.tensor(grid), torch.tensor(mass.prod(-1) / mass.prod(-1).sum())


@every_target
@pytest.mark.parametrize("sd", [None, SD])
@named(PATHS)
def test_least_squares_of_an_affine_net_finds_the_exact_field(name, sd, target):
    """In a Gaussian world; the loss is quadratic in the weights and in (x0, z).

    So 3 nodes a dimension give it exactly, and one Newton step its minimum.
    """
    path = PATHS[name]
    mean, root = normal(2), torch.tensor([[0.8, 0.0], [0.5, 0.3]], **double)
    world = worlds.World(path, laws.gaussian(mean, root @ root.mT))
    e, mass = hermite(4, 3)
    x0, z = mean + e[:, :2] @ root.mT, e[:, 2:]
    t = torch.full((1, len(e)), 0.6 * path.T, **double)
    model = Model(Linear(2, features=0, **double), path, target, sd)
    weights = model.net.W

    def risk(w):
        with torch.no_grad():
            weights.copy_(w.view_as(weights))
        total = Objective(path, target).losses(model, x0, z[None], t)[0] @ mass
        return total, torch.autograd.grad(total, weights, create_graph=True)[0].view(-1)

    start = normal(weights.numel())
    slope = risk(start)[1]
    H = torch.stack(
        [torch.autograd.grad(g, weights, retain_graph=True)[0].view(-1) for g in slope]
    )
    least = torch.linalg.pinv(H, hermitian=True) @ slope.detach()
    risk(start - least)
    x = normal(5, 2, seed=3)
    want = fields.convert(world.denoise, path, "denoise", target)(x, 0.6 * path.T)
    close(model.field()(x, 0.6 * path.T), want, 1e-8)


LINE = laws.mixture(
    torch.tensor([[-1.0], [0.4], [1.5]], **double),
    torch.tensor([0.3, 0.2, 0.5], **double)[:, None, None] ** 2,
    W,
)


@every_target
@pytest.mark.parametrize("weight", ["plain", "edm", "elbo"])
def test_the_risk_is_the_excess_and_the_minimum_by_quadrature(weight, target):
    """L = E w |A' - A*|^2 + E w |A - A*|^2 in a mixture on the line, no sampling."""
    path = paths.vp()
    world = worlds.World(path, LINE)
    e, mass = hermite(2, 60)  # of (x0, z) in every component
    sds = LINE.covs()[:, 0, 0].sqrt()
    x0 = torch.cat([m + s * e[:, :1] for m, s in zip(LINE.means, sds, strict=True)])
    mass = torch.cat([w * mass for w in W])
    z = e[:, 1:].repeat(3, 1)
    t = torch.full((1, len(z)), 0.35, **double)
    objective = Objective(path, target, weight)
    model = Model(stirred(MLP(1, width=6, depth=2, **double), 0.4), path, "v", SD)
    risk = objective.losses(model, x0, z[None], t)[0] @ mass

    c = path.at(0.35)
    x = c.a * x0 + c.g * z
    w = objective.omega(c) / objectives.stretch(c, target) ** 2
    best = fields.convert(world.denoise, path, "denoise", target)(x, 0.35)
    made = fields.convert(lambda x, t: x0, path, "denoise", target)(x, 0.35)
    off = model.as_target(target)(x, 0.35) - best
    excess, least = (w * mass @ u[:, 0] ** 2 for u in (off, made - best))
    assert excess > 0.01 * least
    # 60 nodes over features of width 0.2 in z: the quadrature is good to 1e-8
    close(risk, excess + least, 1e-6)


# -------------------------------------------------------------------- levels


@named(PATHS)
def test_lognormal_levels_are_the_normal_quantiles_of_log_nsr(name):
    path, u = PATHS[name], uniform(200)
    for mean, sd in ((-1.2, 1.2), (0.5, 0.4)):
        top = min((math.log(path.nsr(path.T)) - mean) / sd, 6.0)
        want = scipy.stats.truncnorm(-6, top, mean, sd).ppf(u.numpy())
        t = lognormal_levels(path, mean, sd)(u)
        exact = path.when(torch.tensor(want).exp())
        assert ((t / exact - 1).abs() < 1e-6).all()  # the table's cells


@named(PATHS)
def test_uniform_levels_of_log_snr_are_uniform(name):
    path, u = PATHS[name], uniform(200)
    least = max(path.logsnr(path.T).item(), -12.0)
    for low, high in ((None, 12.0), (-1.0, 3.0)):
        t = uniform_logsnr(path, low, high)(u)
        want = high - (high - (least if low is None else low)) * u
        assert ((t / path.when_logsnr(want) - 1).abs() < 1e-6).all()


def test_levels_reach_their_ends_and_no_further():
    ends = torch.tensor([1e-20, 1.0], **double)
    for path in PATHS.values():
        top = min(path.nsr(path.T).item(), math.exp(6.0))
        got = path.nsr(lognormal_levels(path)(ends))
        want = torch.tensor([math.exp(-8.4), top], **double)
        torch.testing.assert_close(got, want, rtol=1e-5, atol=0)
    got = uniform_times(paths.edm(80), 0.5)(ends)
    torch.testing.assert_close(got, torch.tensor([0.5, 80.0], **double))
    assert (uniform_times(paths.vp(), 0.1, 0.3)(ends) <= 0.3).all()


def test_one_draw_falls_in_each_cell_whatever_the_order():
    n, many = 16, 4000
    u = stratified(n, rngs(many))
    cells = (u * n).floor()
    assert (cells.sort(1).values == torch.arange(n)).all()
    assert (u > 0).all() and (u < 1).all()
    # each place of the batch has the uniform law, and knows nothing of its neighbour
    for j in (0, 7, 15):
        assert scipy.stats.kstest(u[:, j].numpy(), "uniform").pvalue > 1e-6
    off = u - 0.5
    pair = shapes.Estimate.of(off[:, 0] * off[:, 1])
    # sampling cells without replacement: -1/12 of a cell's share to each other place
    assert abs(pair.z(-(1 - n**-2) / 12 / (n - 1))) < 6
    inside = u * n - cells
    assert scipy.stats.kstest(inside.flatten().numpy(), "uniform").pvalue > 1e-6


def test_stratified_means_have_no_bias_and_the_variance_inside_the_cells():
    """Var = E f'^2 / (12 n^3) for smooth f, against Var f / n of independent draws."""
    many = 4000
    for n in (4, 32):
        f = [
            torch.sin(5 * how(n, rngs(many))).mean(1)
            for how in (stratified, independent)
        ]
        truth = (1 - math.cos(5)) / 5
        assert all(abs(shapes.Estimate.of(v).z(truth)) < 6 for v in f)
        cells = np.linspace(0, 1, n + 1)
        inside = [
            scipy.stats.uniform(a, b - a).expect(lambda u: math.sin(5 * u) ** 2)
            - scipy.stats.uniform(a, b - a).expect(lambda u: math.sin(5 * u)) ** 2
            for a, b in zip(cells, cells[1:], strict=False)
        ]
        whole = 0.5 - math.sin(10) / 20 - truth**2
        for v, want in zip(f, (sum(inside) / n**2, whole / n), strict=True):
            square = shapes.Estimate.of((v - truth) ** 2)
            assert abs(square.z(want)) < 6
        assert sum(inside) / n**2 < 0.2 * whole / n


def test_levels_are_stratified_unless_that_is_turned_off():
    path, n = paths.edm(5.0), 64
    own = Objective(path, levels=uniform_times(path, 0.0, 5.0))
    cells = (own.draw(n, rngs(3)) / 5.0 * n).floor().sort(1).values
    assert torch.equal(cells, torch.arange(n).double().expand(3, n))
    loose = Objective(path, levels=own.levels, stratified=False)
    cells = (loose.draw(n, rngs(3)) / 5.0 * n).floor()
    # that all 64 fall in cells of their own has the probability 64! / 64^64 < 1e-26
    assert all(len(row.unique()) < n for row in cells)


def test_stratified_levels_make_the_loss_less_uncertain():
    """1000 batches of 16: the same mean, a smaller variance, beyond 6 errors.

    Points of one length, so that it is the level that makes the loss large or small.
    """
    path, many, n = paths.edm(), 1000, 16
    model = Model(MLP(2, width=4, seeds=range(many), **double), path, "denoise", 1.0)
    x0 = torch.nn.functional.normalize(normal(many, n, 2), dim=-1)
    means, squares = [], []
    for way in (True, False):
        objective = Objective(path, "denoise", levels="lognormal", stratified=way)
        loss = objective.loss(model, x0, rngs(many, 50_000 * way)).mean(1).detach()
        means.append(shapes.Estimate.of(loss))
        squares.append(shapes.Estimate.of((loss - loss.mean()) ** 2))
    (m, em), (k, ek) = means
    assert abs(m - k) < 6 * math.hypot(em, ek)
    (v, ev), (w, ew) = squares
    assert w - v > 6 * math.hypot(ev, ew)


# ------------------------------------------------------------ chance, members


def test_a_member_s_loss_is_of_its_own_generator_alone():
    path = paths.cosine()
    model, x0 = trained(path), normal(3, 7, D)
    objective = Objective(path, "noise", "min snr", "lognormal")
    got = objective.loss(model, x0, rngs())
    for k in range(3):
        net = stirred(MLP(D, width=8, depth=2, seeds=SEEDS[k : k + 1], **double), 0.4)
        alone = Model(net, path, "denoise", SD)
        close(got[k], objective.loss(alone, x0[k : k + 1], [shapes.rng(k)])[0])
        close(got[k], objective.loss(alone, x0[k], shapes.rng(k))[0])


def test_one_generator_gives_all_members_the_same_levels_and_noise():
    path, x0 = paths.cosine(), normal(7, D)
    net = MLP(D, width=8, depth=2, seeds=(4, 4), **double)
    with torch.no_grad():
        net.W2.copy_(normal(*net.W2.shape[1:]))
    model = Model(net, path)
    for objective in (Objective(path), Objective(path, stratified=False)):
        got = objective.loss(model, x0, shapes.rng(0))
        assert got.shape == (2, 7) and (got[0] == got[1]).all()
        other = objective.loss(model, x0, rngs(2))
        assert (other[0] == got[0]).all() and (other[1] != got[1]).all()


def test_the_loss_is_in_the_type_of_the_net():
    path, x0 = paths.vp(), normal(7, D)
    low = Model(
        stirred(MLP(D, width=8, depth=2, seeds=SEEDS), 0.4), path, "denoise", SD
    )
    for weight in WEIGHTS:
        objective = Objective(path, "denoise", weight, uniform_times(path, 0.01))
        args = torch.zeros(1, 7, D), uniform(1, 7)
        got = objective.losses(low, x0.float(), *args)
        assert got.dtype == torch.float32
        want = objective.losses(trained(path), x0, args[0].double(), args[1])
        close(got.double(), want, 1e-4)  # 1 - a^2 and F, some roundings of 6e-8 each
    assert Objective(path).loss(low, x0, rngs()).dtype == torch.float32


# -------------------------------------------------------------------- excess


def moment(path: paths.Path, want: Callable[[float], float]) -> float:
    """The mean of a function of t over the path."""
    return scipy.integrate.quad(want, 0, path.T, epsabs=1e-12)[0] / path.T


@pytest.mark.parametrize("way", [True, False])
@pytest.mark.parametrize("sd", [None, SD])
def test_the_excess_of_a_wrong_gaussian_is_known_in_closed_form(sd, way):
    """A net that says 0 in N(0, v): E |D' - D|^2 = d (share' - share)^2 E x^2 / d."""
    path, v, n = paths.cosine(), 2.0, 4000
    law = laws.gaussian(torch.zeros(D, **double), v)
    world = worlds.World(path, law)
    model = Model(MLP(D, width=4, seeds=(0, 1), **double), path, "denoise", sd)

    def off(t):
        c = path.at(t)
        a, g2 = c.a.item(), c.g2.item()
        guess = 0.0 if sd is None else a * sd**2 / (a**2 * sd**2 + g2)
        return D * (a * v / (a**2 * v + g2) - guess) ** 2 * (a**2 * v + g2)

    objective = Objective(path, "denoise", stratified=way)
    x0 = law.sample(n, shapes.rng(1))
    got = objective.excess(model, world.denoise, x0, shapes.rng(2))
    assert got.value.shape == (2,) and (got.value[0] == got.value[1]).all()
    assert (got.z(moment(path, off)).abs() < 6).all()
    assert (got.error < 0.1 * got.value).all()


@every_target
def test_the_excess_of_what_is_exact_is_zero(target):
    path = paths.vp()
    law = laws.gaussian(torch.zeros(D, **double), SD**2)
    world = worlds.World(path, law)
    exact = fields.convert(world.denoise, path, "denoise", target)
    x0 = law.sample(500, shapes.rng(1))
    levels = uniform_times(path, 0.01)
    model = Model(MLP(D, width=4, **double), path, "noise", SD)
    got = Objective(path, target, levels=levels).excess(model, exact, x0, shapes.rng(0))
    plain = Objective(path, target, levels=levels).loss(model, x0, shapes.rng(0))
    assert got.value < 1e-20 * plain.mean()


@pytest.mark.parametrize("sd", [None, SD])
@pytest.mark.parametrize("weight", ["plain", "edm", "elbo"])
def test_the_excess_in_any_target_is_that_of_the_fields(weight, sd):
    """Asked for one target, told in another: the mean over the same points."""
    path, n = paths.vp(), 40
    world = worlds.World(path, LAW)
    model = trained(path, "v", sd)
    x0, levels = LAW.sample(n, shapes.rng(1)), uniform_times(path, 0.05)
    want = None
    for target in TARGETS:
        objective = Objective(path, target, weight, levels)
        exact = fields.convert(world.denoise, path, "denoise", target)
        known = Excess(objective, model, exact, x0, shapes.rng(2))
        t = objective.draw(n, [shapes.rng(2)])[0].sort().values
        c = path.at(t)
        w = objective.omega(c) / objectives.stretch(c, target) ** 2
        x = known.x[0]
        mean = [
            (w * ((model.as_target(target, k)(x, t) - exact(x, t)) ** 2).sum(-1)).mean()
            for k in range(3)
        ]
        close(known().value, torch.stack(mean), 1e-8)
        if weight != "plain":
            want = known().value if want is None else want
            close(known().value, want, 1e-8)


def test_the_excess_is_of_the_weights_as_they_are_and_leaves_no_tape():
    path = paths.vp()
    model = trained(path)
    known = Excess(
        Objective(path),
        model,
        worlds.World(path, LAW).denoise,
        normal(50, D),
        shapes.rng(0),
    )
    first = known()
    assert (known().value == first.value).all() and not first.value.requires_grad
    with torch.no_grad():
        for p in model.parameters():
            p[1] = 0
    again = known().value
    assert again[1] != first.value[1] and (again[::2] == first.value[::2]).all()


ERRORS = {  # what the squared error told is of the true one
    "independent": (False, lambda x, t: torch.sin(5 * t), 1),
    "noise": (True, lambda x, t: torch.sin(1e4 * x[..., 0]), 1),
    "level": (True, lambda x, t: torch.sin(5 * t), 7),
}


@named(ERRORS)
def test_the_excess_tells_its_error(name):
    """Right for what changes from point to point, safe for what the level decides.

    There neighbours differ by f'^2 / n^2 more than twice the f'^2 / 12 n^2 in a cell:
    (1 + 2 / 12) / (2 / 12) = 7. 200 draws of 40 points.
    """
    way, off, told = ERRORS[name]
    model = Model(MLP(1, width=1, **double), paths.cosine(), sd=None)  # says 0
    objective = Objective(paths.cosine(), stratified=way)

    def exact(x, t):
        return off(x, t).unsqueeze(-1)

    x0 = normal(40, 1)
    many = [objective.excess(model, exact, x0, own) for own in rngs(200)]
    value, error = (torch.cat(v) for v in zip(*many, strict=True))
    spread = shapes.Estimate.of((value - value.mean()) ** 2)
    assert abs((error**2).mean() / told - spread.value) < 6 * spread.error


def test_the_elbo_s_excess_is_a_divergence_in_nats():
    """T E h^2 |S' - S|^2 / 2 = KL(p_s || q_s) - KL(p_T || q_T), s the first time."""
    path, start, n = paths.vp(), 0.05, 20_000
    p, q = (laws.gaussian(torch.zeros(D, **double), v) for v in (2.0, SD**2))
    real, wrong = worlds.World(path, p), worlds.World(path, q)
    model = Model(MLP(D, width=4, **double), path, "score", SD)
    objective = Objective(path, "score", "elbo", uniform_times(path, start))
    x0 = p.sample(n, shapes.rng(1))
    got = objective.excess(model, real.score, x0, shapes.rng(2))
    ends = [metrics.gaussian_kl(real.law(t), wrong.law(t)) for t in (start, path.T)]
    want = (ends[0] - ends[1]) / (path.T - start)
    assert abs(got.z(want)) < 6 and got.error < 0.02 * got.value


@cuda
def test_a_gpu_gives_the_same():
    path = paths.vp()
    x0, z, t, _ = sample(path)
    objective = Objective(path, "noise", "elbo")
    want = objective.losses(trained(path), x0, z, t)
    model = trained(path).cuda()
    close(objective.losses(model, x0.cuda(), z.cuda(), t.cuda()).cpu(), want)
    objective = Objective(path, "noise", "edm", "lognormal")
    own = [shapes.rng(k, "cuda") for k in range(3)]
    got = objective.loss(model, x0.cuda(), own)
    assert got.is_cuda and got.isfinite().all()


# ----------------------------------------------------------------- bad input

V, T = ValueError, TypeError
vp, mirror = paths.vp(), paths.mirror()
model = Model(MLP(D, width=4, seeds=(0, 1), **double), vp)
good, x0, nan = Objective(vp), torch.zeros(5, D, **double), math.nan


def ask(*shape: int, many: int = 2) -> Callable:
    return lambda: good.loss(model, torch.zeros(shape), rngs(many))


def measure(objective: Objective, x0: torch.Tensor, exact=lambda x, t: x) -> Callable:
    return lambda: objective.excess(model, exact, x0, shapes.rng(0))


WRONG = {
    "two ends": (V, "the path has a second end", lambda: Objective(TWO_ENDS)),
    "target": (V, "target 'x0' is unknown", lambda: Objective(vp, "x0")),
    "weight": (
        V,
        "weight 'vlb' is unknown; it is one of plain, snr, truncated snr, min snr, edm",
        lambda: Objective(vp, weight="vlb"),
    ),
    "weight number": (
        T,
        "weight is 1.0; it must be",
        lambda: Objective(vp, weight=1.0),
    ),
    "levels": (
        V,
        "levels 'cosine' is unknown; it is one of uniform, lognormal",
        lambda: Objective(vp, levels="cosine"),
    ),
    "no diffusion": (
        V,
        "the noise-to-signal ratio falls along this path",
        lambda: Objective(mirror, "score", "elbo"),
    ),
    "levels number": (T, "levels is 0.5", lambda: Objective(vp, levels=0.5)),
    "edm": (V, "sd is 0; it must be a positive finite number", lambda: edm(0)),
    "gamma": (V, "gamma is nan", lambda: min_snr(nan)),
    "dimension": (
        V,
        r"x0 has shape \(5, 2\); it must be \(n, 3\) or \(2, n, 3\)",
        ask(5, 2),
    ),
    "point": (V, r"x0 has shape \(3,\)", ask(3)),
    "members": (V, r"x0 has shape \(3, 5, 3\)", ask(3, 5, 3)),
    "generators": (
        V,
        "there are 3 generators; it must be one, or 2",
        ask(5, 3, many=3),
    ),
    "no generator": (V, "there are 0 generators", ask(5, 3, many=0)),
    "empty": (V, "n is 0; there must be at least one draw", ask(0, 3)),
    "other path": (
        V,
        "the model is on the path VP, the objective on EDM; it must be the same",
        lambda: Objective(paths.edm()).loss(model, x0, rngs(2)),
    ),
    "excess path": (
        V,
        "the model is on the path VP",
        measure(Objective(paths.edm()), x0),
    ),
    "time": (
        V,
        "t runs from 2 to 2; this path lives on",
        lambda: Objective(vp, levels=lambda u: 0 * u + 2).loss(model, x0, rngs(2)),
    ),
    "low": (
        V,
        "t from -1 to 1; it must be 0 <= low < high <= 1",
        lambda: uniform_times(vp, -1),
    ),
    "high": (V, "t from 0 to 2", lambda: uniform_times(vp, 0, 2)),
    "turned": (V, "t from 0.5 to 0.2", lambda: uniform_times(vp, 0.5, 0.2)),
    "low nan": (V, "t from nan", lambda: uniform_times(vp, nan)),
    "lognormal sd": (
        V,
        "mean is 0 and sd 0; they must be",
        lambda: lognormal_levels(vp, 0, 0),
    ),
    "lognormal mean": (V, "mean is nan", lambda: lognormal_levels(vp, nan)),
    "beyond": (
        V,
        "the path ends at log nsr = 1.61; it must be above 3, the least",
        lambda: lognormal_levels(PATHS["edm"], 9.0, 1.0),
    ),
    "falling": (V, "log nsr = -inf", lambda: lognormal_levels(mirror)),
    "snr": (V, "log snr from 3 to 1; this path has", lambda: uniform_logsnr(vp, 3, 1)),
    "snr low": (
        V,
        "log snr from -20 to 12; .* -10 and above",
        lambda: uniform_logsnr(vp, -20),
    ),
    "snr inf": (
        V,
        "to inf; .* must be finite",
        lambda: uniform_logsnr(vp, high=math.inf),
    ),
    "one row": (
        V,
        r"x0 has shape \(1, 3\); it must be \(n, 3\), n >= 2",
        measure(good, x0[:1]),
    ),
    "no row": (V, r"x0 has shape \(3,\)", measure(good, x0[0])),
    "columns": (V, r"x0 has shape \(5, 2\)", measure(good, x0[:, :2])),
    "data nan": (V, "x0 holds NaN", measure(good, x0 + nan)),
    "exact": (V, "the field returned", measure(good, x0, lambda x, t: x[..., 0])),
    "exact nan": (
        V,
        "the exact denoise leaves open",
        measure(good, x0, lambda x, t: x * nan),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
