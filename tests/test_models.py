"""learning.models: preconditioning by exact second moments, fields in exact worlds.

Tolerances: 1e-12 relative where both sides are float64 and a few operations; 1e-9
where a 2 x 2 solve of condition up to 1e4 is in between.
"""

import math

import numpy as np
import pytest
import torch
from examples import PATHS, TWO_ENDS, D, cuda, named, normal, refuses, uniform
from test_nets import SEEDS, close, double, stirred

from diffkit import fields, laws, paths, solvers, tables, worlds
from diffkit.learning import MLP, ConvNet, Energy, Linear, Model, clock, stretch

TARGETS = paths.TARGETS
SD = 0.7
every_target = pytest.mark.parametrize("target", TARGETS)
UNIT = {name: PATHS[name] for name in ("vp", "cosine", "trig", "zero terminal")}


def times(path: paths.Path, n: int = 9) -> torch.Tensor:
    """Times of the path, its ends left out."""
    return path.T * (0.03 + 0.94 * uniform(n, seed=3))


def trained(path: paths.Path, target: str = "denoise", sd: float | None = SD) -> Model:
    """A model of three members with weights unlike those of the start."""
    net = stirred(MLP(D, width=8, depth=2, seeds=SEEDS, **double), 0.4)
    return Model(net, path, target, sd)


# ------------------------------------------------------------------- targets


@every_target
@named(PATHS)
def test_the_target_of_a_sample_is_what_the_denoiser_x0_would_mean(name, target):
    """fields.convert, with E[x0 | x] put at x0 itself, gives the same p x0 + q z."""
    path = PATHS[name]
    t, x0, z = times(path), normal(9, D), normal(9, D, seed=1)
    c = path.at(t)
    x = c.a[:, None] * x0 + c.g[:, None] * z
    p, q = paths.combination(c, target)
    want = fields.convert(lambda x, t: x0, path, "denoise", target)(x, t)
    close(p[:, None] * x0 + q[:, None] * z, want, 1e-9)


@every_target
@named(PATHS)
def test_all_targets_are_off_by_one_vector_times_their_stretch(name, target):
    path = PATHS[name]
    t, x, e = times(path), normal(9, D), normal(9, D, seed=1)
    c = path.at(t)
    means = [x / 2, x / 2 + c.g[:, None] * e]
    ends = [
        fields.convert(lambda x, t, D=D: D, path, "denoise", target)(x, t)
        for D in means
    ]
    close(ends[1] - ends[0], stretch(c, target)[:, None] * e, 1e-9)


# ----------------------------------------------------------- preconditioning


@every_target
@named(PATHS)
def test_what_the_net_says_has_variance_one_and_the_rest_is_least_squares(name, target):
    """In units (x0 / sd, z) all second moments are inner products in the plane."""
    path = PATHS[name]
    model, c = trained(path, target), path.at(times(path))
    s, (skip, out), (p, q) = (
        model.scales(c),
        model.parts(c, target),
        paths.combination(c, target),
    )
    for i in range(len(c.a)):
        x = np.array([c.a[i] * SD, c.g[i]])
        F = np.array([s.p[i] * SD, s.q[i]])
        A = np.array([p[i] * SD, q[i]])
        assert abs(s.shrink[i].item() ** 2 * x @ x - 1) < 1e-12  # what it sees
        assert abs(F @ F - 1) < 1e-12 and abs(F @ x) < 1e-12 * math.sqrt(x @ x)
        best, least, *_ = np.linalg.lstsq(x[:, None], A, rcond=None)
        scale = math.sqrt(A @ A)
        assert abs(best[0] - skip[i].item()) <= 1e-12 * scale / math.sqrt(x @ x)
        # the residual's square has rounding eps A^2, so its root sqrt(eps) A
        assert abs(math.sqrt(least[0]) - abs(out[i].item())) < 1e-7 * scale
        made = skip[i].item() * x + out[i].item() * F
        np.testing.assert_allclose(made, A, atol=1e-12 * scale)


@named(PATHS)
def test_it_is_the_preconditioning_of_edm_as_printed(name):
    """D = c_skip y + c_out F(c_in y, c_noise) in y = x / a, at sigma = g / a."""
    path, t, x = PATHS[name], times(PATHS[name]), normal(9, D)
    model = trained(path)
    sigma, y = path.nsr(t), x / path.at(t).a[:, None]
    root = (sigma**2 + SD**2).sqrt()
    c_skip, c_out, c_in = SD**2 / root**2, sigma * SD / root, 1 / root
    noise = sigma.log() / 4
    for k in range(3):
        F = model.net((c_in[:, None] * y)[None], noise[None], k)[0]
        want = c_skip[:, None] * y + c_out[:, None] * F
        got = model.field(k)(x, t)
        # the clock is bent by 1e-8 max(sigma^2, sigma^-2) / 8, the nets' slope is ~ 1
        bend = 1e-8 * torch.maximum(sigma**2, sigma**-2).max().item()
        assert (got - want).abs().max() < 1e-12 + bend * c_out.max() * 10


@named(UNIT)
def test_with_unit_variance_the_net_says_minus_v(name):
    path, t, x = UNIT[name], times(UNIT[name]), normal(9, D)
    model = trained(path, "v", 1.0)
    c = path.at(t)
    skip, out = model.parts(c, "v")
    assert skip.abs().max() < 1e-12
    torch.testing.assert_close(out, -torch.ones(9, **double))
    F = model.net((x * (c.a**2 + c.g2).rsqrt()[:, None])[None], clock(c)[None], 1)[0]
    close(model.field(1)(x, t), -F)
    # and EDM's denoiser made of it is that of v-prediction: D = a x - g v
    want = c.a[:, None] * x - c.g[:, None] * model.field(1)(x, t)
    close(model.as_target("denoise", 1)(x, t), want)


@every_target
@named(PATHS)
def test_a_fresh_model_is_the_exact_field_of_one_gaussian(name, target):
    path, t, x = PATHS[name], times(PATHS[name]), normal(9, D)
    world = worlds.World(path, laws.gaussian(torch.zeros(D, **double), SD**2))
    model = Model(MLP(D, width=4, **double), path, target, SD)
    want = fields.convert(world.denoise, path, "denoise", target)(x, t)
    close(model.field()(x, t), want, 1e-9)


@every_target
@named(PATHS)
def test_any_model_gives_any_target(name, target):
    """Directly with sd, by conversion without; both against the conversion of D."""
    path, t, x = PATHS[name], times(PATHS[name]), normal(9, D)
    for sd in (SD, None):
        model = trained(path, "denoise", sd)
        want = fields.convert(model.field(2), path, "denoise", target)(x, t)
        close(model.as_target(target, 2)(x, t), want, 1e-9)
        other = Model(model.net, path, target, sd)
        F = other.field(2)(x, t)
        if sd:  # the same net says the same F, whatever it is asked for
            close(F, want, 1e-9)
        else:  # it says the target itself
            said = model.net(x[None], clock(path.at(t))[None], 2)[0]
            close(F, said)


# -------------------------------------------------------------------- limits


@named(PATHS)
def test_without_noise_the_denoiser_gives_the_point_itself(name):
    path, x = PATHS[name], normal(4, D)
    for sd in (0.3, 1.0, 20.0):
        field = trained(path, sd=sd).field(1)
        torch.testing.assert_close(field(x, 0.0), x, rtol=1e-15, atol=0)
        t = path.when(1e-6)
        assert (field(x, t) - x).abs().max() < 1e-4  # out = 1e-6, |F| some tens


@every_target
@pytest.mark.parametrize("name", ["straight", "trig", "cosine", "zero terminal"])
def test_where_no_signal_is_left_every_target_is_finite_and_right(name, target):
    """At a = 0: D = s F, N = x / g, S = -x / g^2, all others made of them."""
    path, x, T = PATHS[name], normal(4, D), PATHS[name].T
    model = trained(path)
    c = path.at(T)
    assert c.a == 0
    F = model.net((x / c.g)[None], clock(c).expand(1, 4), 0)[0]
    D0, N = SD * F, x / c.g
    want = {
        "denoise": D0,
        "noise": N,
        "score": -N / c.g,
        "velocity": c.da * D0 + c.gdg / c.g * N,
        "v": -c.g * D0,
    }
    close(model.as_target(target)(x, T), want[target])


def test_single_precision_keeps_the_digits_of_the_score_at_small_noise():
    """(a D - x) / g^2 would lose them: D is rounded at 6e-8, and g^2 = 1e-8."""
    x, path = normal(4, D).float(), paths.edm()
    net = stirred(MLP(D, width=8, depth=2, seeds=SEEDS), 0.4)
    low = Model(net, path, "denoise", SD).as_target("score")(x, 1e-4)
    want = trained(path).as_target("score")(x.double(), 1e-4)
    assert low.dtype == torch.float32
    close(low.double(), want, 1e-5)
    by_denoiser = fields.convert(
        Model(net, path, "denoise", SD).field(), path, "denoise", "score"
    )
    assert (by_denoiser(x, 1e-4) - want).abs().max() > 1e-4 * want.abs().max()


# --------------------------------------------------------------------- clock


@named(PATHS)
def test_the_clock_is_a_quarter_of_log_nsr(name):
    path, t = PATHS[name], times(PATHS[name], 200).sort().values
    u, nsr = clock(path.at(t)), path.nsr(t)
    bend = 1e-8 * torch.maximum(nsr**2, nsr**-2) / 8 + 1e-12
    assert ((u - nsr.log() / 4).abs() <= bend).all()
    assert (u.diff() > 0).all()
    ends = clock(path.at(torch.tensor([0.0, path.T], **double)))
    assert math.isclose(ends[0], math.log(1e-4) / 4, rel_tol=1e-12)
    assert ends[1] <= -math.log(1e-4) / 4 + 1e-12


def test_the_clock_knows_the_level_alone():
    """Another scale of the path is the same world, so the same clock."""
    path, t = paths.vp(), times(paths.vp())
    scaled = paths.rescale(path, 1 + paths.t)
    close(clock(scaled.at(t)), clock(path.at(t)))


# -------------------------------------------------------------------- fields


NETS = {
    "mlp": lambda **o: MLP(4, width=5, depth=2, **o),
    "linear": lambda **o: Linear(4, **o),
    "conv": lambda **o: ConvNet(width=3, blocks=1, side=2, **o),
    "energy": lambda **o: Energy(MLP(4, width=5, depth=2, **o)),
}


@named(NETS)
@pytest.mark.parametrize("sd", [None, SD])
def test_all_members_at_once_say_what_their_fields_say(name, sd):
    path = paths.cosine()
    model = Model(stirred(NETS[name](seeds=SEEDS, **double)), path, "v", sd)
    assert (model.d, model.members, model.dtype) == (4, 3, torch.float64)
    x, t = normal(3, 7, 4), uniform(3, 7)
    for time in (t, 0.4, torch.tensor(0.4, **double)):
        got = model(x, time)
        for k in range(3):
            own = time[k] if time is t else time
            close(model.field(k)(x[k], own), got[k])


def test_a_field_takes_points_of_any_shape():
    field = trained(paths.vp()).as_target("velocity", 1)
    x, t = normal(2, 5, D), 0.1 + 0.8 * uniform(2, 5)
    got = field(x, t)
    for i in range(2):
        close(field(x[i], t[i]), got[i])
        for j in range(5):
            close(field(x[i, j], t[i, j]), got[i, j])
            close(field(x[i, j], t[i, j].item()), got[i, j])
    assert field(x[:0], t[:0]).shape == (0, 5, D)


def test_a_field_can_be_differentiated_and_leaves_no_tape():
    model = trained(paths.vp())
    field, x, h = model.as_target("score"), normal(4, D), 1e-5
    assert not field(x, 0.3).requires_grad
    J = fields.jacobian(field, x, 0.3)
    for j, e in enumerate(torch.eye(D, **double)):
        want = (field(x + h * e, 0.3) - field(x - h * e, 0.3)) / (2 * h)
        assert (J[..., j] - want).abs().max() < 1e-7
    assert model(x.expand(3, -1, -1), 0.3).requires_grad


def test_a_field_is_of_the_weights_as_they_are_when_asked():
    model, x = trained(paths.vp()), normal(4, D)
    field = model.field(1)
    before = field(x, 0.3)
    with torch.no_grad():
        for p in model.parameters():
            p[1] = 0
    assert (field(x, 0.3) - before).abs().max() > 0.01
    fresh = Model(MLP(D, **double), model.path, "denoise", SD).field()
    close(field(x, 0.3), fresh(x, 0.3))


@named(PATHS)
def test_the_type_of_the_points_is_kept(name):
    path, x = PATHS[name], normal(4, D)
    for sd in (SD, None):
        net = stirred(MLP(D, width=8, depth=2, seeds=SEEDS), 0.4)
        model = Model(net, path, "denoise", sd)
        got = model.field()(x, 0.5 * path.T)
        assert got.dtype == torch.float64
        close(got, trained(path, sd=sd).field()(x, 0.5 * path.T), 1e-5)
        assert model.field()(x.float(), 0.5 * path.T).dtype == torch.float32


def test_a_field_of_single_precision_is_sampled_in_double():
    """A fresh model carries its points to N(0, sd^2) as the exact flow does."""
    path = paths.edm(10.0)
    field = Model(MLP(D, width=8), path, "denoise", SD).as_target("velocity")
    x = math.hypot(10, SD) * normal(50, D)
    ts = tables.by_nsr(path, 10.0, 1e-3, 40)
    end = solvers.solve(tables.rk4(ts), field, x)
    assert end.dtype == torch.float64
    # order 4 at steps of 0.25 in log sigma, where the flow's own slope is at most 1
    close(end, x * math.hypot(ts[-1], SD) / math.hypot(10, SD), 0.25**4)


@cuda
def test_a_gpu_gives_the_same():
    model, x = trained(paths.vp()), normal(4, D)
    here = model.field(1)(x, 0.3)
    close(model.cuda().field(1)(x.cuda(), 0.3).cpu(), here)


# ----------------------------------------------------------------- bad input

V, T = ValueError, TypeError
net = MLP(D, width=4, seeds=(0, 1))
model = Model(net, paths.vp(), "score")
x, k = torch.zeros(5, D), torch.zeros(2, 5, D)
WRONG = {
    "no net": (
        T,
        "net is function; it must be a Net",
        lambda: Model(clock, paths.vp()),
    ),
    "two ends": (V, "the path has a second end", lambda: Model(net, TWO_ENDS)),
    "target": (
        V,
        "target 'x0' is unknown; it is",
        lambda: Model(net, paths.vp(), "x0"),
    ),
    "sd zero": (
        V,
        "sd is 0; it must be a positive",
        lambda: Model(net, paths.vp(), sd=0),
    ),
    "sd nan": (V, "sd is nan", lambda: Model(net, paths.vp(), sd=math.nan)),
    "sd word": (V, "sd is 'data'", lambda: Model(net, paths.vp(), sd="data")),
    "member": (V, "k is 2; there are members 0 to 1", lambda: model.field(2)),
    "last member": (V, "k is -1", lambda: model.field(-1)),
    "want": (V, "target 'eps' is unknown", lambda: model.as_target("eps")),
    "want raw": (
        V,
        "target 'eps' is unknown",
        lambda: Model(net, paths.vp(), sd=None).as_target("eps"),
    ),
    "row": (
        V,
        "target 'eps' is unknown",
        lambda: paths.combination(paths.vp().at(0.5), "eps"),
    ),
    "stretch": (V, "target 'x' is unknown", lambda: stretch(paths.vp().at(0.5), "x")),
    "dimension": (
        V,
        r"\(5, 2\); it must be \(..., 3\)",
        lambda: model.field()(x[:, :2], 0.5),
    ),
    "point": (V, r"x has shape \(\)", lambda: model.field()(x[0, 0], 0.5)),
    "whole": (T, "x is torch.int64", lambda: model.field()(x.long(), 0.5)),
    "time": (
        V,
        r"t has shape \(4,\); .* per point, \(5,\)",
        lambda: model.field()(x, x[:4, 0]),
    ),
    "off": (V, "t runs from 2 to 2", lambda: model.field()(x, 2.0)),
    "nan": (V, "t holds NaN", lambda: model.field()(x, math.nan)),
    "no noise": (
        V,
        "where g = 0 .* the score; ask for t > 0",
        lambda: model.field()(x, 0.0),
    ),
    "no speed": (V, "the velocity", lambda: model.as_target("velocity")(x, 0.0)),
    "batch": (
        V,
        r"x has shape \(2, 5, 2\); it must be \(2, n, 3\)",
        lambda: model(k[..., :2], 0.5),
    ),
    "members": (
        V,
        r"\(3, 5, 3\).* for each member",
        lambda: model(k.repeat(2, 1, 1)[:3], 0.5),
    ),
    "batch time": (V, r"t has shape \(5,\)", lambda: model(k, x[:, 0])),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
