"""flow: log-determinants by autograd of closed forms, exact densities, statistics.

The test problem is that of test_tableaus: x' = -2 t x^2 and y' = (cos t - 2 t x) y.
Its divergence is cos t - 6 t x, so zero nowhere but on a curve.
"""

import math

import pytest
import torch
from examples import LAWS, PATHS, named, normal, refuses, uniform

from diffkit import fields, laws, shapes, solvers, tables, worlds

START, END = 0.3, 1.3


def problem(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """(x', y')."""
    u, v = x.unbind(-1)
    return torch.stack([-2 * t * u**2, (math.cos(t) - 2 * t * u) * v], -1)


def spreading(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Its divergence."""
    return math.cos(t) - 6 * t * x[..., 0]


def solution(x: torch.Tensor, t: float, s: float) -> torch.Tensor:
    """From time t to time s, exactly."""
    u, v = x.unbind(-1)
    w = 1 / (1 / u + s**2 - t**2)
    return torch.stack([w, v * w / u * math.exp(math.sin(s) - math.sin(t))], -1)


def logdet(x: torch.Tensor, t: float, s: float) -> torch.Tensor:
    """log |det| of the Jacobian of the solution, by autograd, at points (n, d)."""
    J = torch.func.vmap(torch.func.jacrev(lambda y: solution(y, t, s)))(x)
    return torch.linalg.slogdet(J).logabsdet


def adams_bashforth(ts: torch.Tensor) -> tables.Table:
    """x + h (3/2 F_n - 1/2 F_{n-1}) on equal steps, begun by Euler: a memory."""
    h = ts.diff()
    B = torch.stack([1.5 * h, -0.5 * h], 1)
    B[0] = torch.stack([h[0], 0 * h[0]])
    A = torch.ones_like(h).unsqueeze(1)
    return tables.Table("velocity", ts, A, B, torch.zeros_like(h))


def steady(t: float, s: float) -> solvers.Adaptive:
    return solvers.Adaptive(t, s, 1e-7, 1e-7)


def uniformly(build, n: int):
    return lambda t, s: build(tables.uniform(t, s, n))


RUNS = {  # what goes from t to s, and how exact it is here
    "euler": (uniformly(tables.euler, 200), 5e-2),
    "heun": (uniformly(tables.heun, 50), 2e-3),
    "rk4": (uniformly(tables.rk4, 20), 2e-5),
    "dormand prince": (uniformly(tables.dormand_prince, 10), 2e-5),
    "adams bashforth": (uniformly(adams_bashforth, 100), 2e-3),
    "reversible heun": (uniformly(tables.reversible_heun, 50), 2e-3),
    "adaptive": (steady, 1e-6),
}
BEGIN = 0.5 + uniform(4, 2)
WAYS = {
    "up": (BEGIN, START, END),
    "down": (solution(BEGIN, START, END), END, START),
}


@pytest.mark.parametrize("way", list(WAYS))
@named(RUNS)
def test_logdet_is_that_of_the_jacobian_of_the_exact_flow(name, way):
    begin, t, s = WAYS[way]
    run, off = RUNS[name]
    div = "exact" if name in ("dormand prince", "adaptive") else spreading
    end, got = solvers.flow(run(t, s), problem, begin, div)
    torch.testing.assert_close(end, solution(begin, t, s), rtol=0, atol=off)
    want = logdet(begin, t, s)
    torch.testing.assert_close(got, want, rtol=0, atol=off)
    assert want.abs().min() > 0.1  # twice what the worst of them may err


@named(["rk4", "adams bashforth", "adaptive"])
def test_a_formula_for_the_divergence_will_do(name):
    build = uniformly(adams_bashforth, 5) if "adams" in name else RUNS[name][0]
    run = build(START, END)
    exact = solvers.flow(run, problem, BEGIN)
    given = solvers.flow(run, problem, BEGIN, spreading)
    # the same numbers but for rounding, so the same steps
    torch.testing.assert_close(given, exact, rtol=1e-9, atol=1e-9)
    _, wrong = solvers.flow(run, problem, BEGIN, lambda x, t: 1.1 * spreading(x, t))
    assert (wrong - exact[1]).abs().min() > 1e-3


@pytest.mark.parametrize(
    "name,run,way",
    [
        ("isotropic", "rk4", "to data"),
        ("isotropic", "adaptive", "to noise"),
        ("data", "adaptive", "to data"),
    ],
)
def test_densities_agree_along_the_flow(name, run, way):
    path = PATHS["trig"]
    world = worlds.World(path, LAWS[name])
    t, s = (0.9, 0.4) if way == "to data" else (0.4, 0.9)
    x = world.draw(6, t, shapes.rng(4))[2]
    end, got = solvers.flow(RUNS[run][0](t, s), world.velocity, x)
    want = world.log_prob(x, t) - world.log_prob(end, s)
    # rk4 at h = 1/40: fifth derivatives of about 4 times h^4
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)
    assert got.abs().max() > 0.05


def test_densities_agree_along_a_flow_that_is_no_gradient():
    # adding J score keeps every law and changes the paths, for J = -J'
    world = worlds.World(PATHS["trig"], laws.mixture(normal(3, 2), 0.5))
    J = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)

    def swirling(x, t):
        return world.velocity(x, t) + 2 * world.score(x, t) @ J.mT

    table = solvers.Adaptive(0.9, 0.4, 1e-6, 1e-6)
    x = world.draw(6, 0.9, shapes.rng(4))[2]
    end, got = solvers.flow(table, swirling, x)
    plain = solvers.solve(table, world.velocity, x)
    want = world.log_prob(x, 0.9) - world.log_prob(end, 0.4)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)
    assert (end - plain).norm(dim=-1).min() > 0.05
    assert fields.asymmetry(swirling, x, 0.9).min() > 0.1
    assert want.abs().max() > 0.1


@named(["rk4", "adaptive"])
def test_a_rotation_keeps_volume_exactly(name):
    # J is antisymmetric, its diagonal a sum of zeros
    end, got = solvers.flow(
        RUNS[name][0](0.0, 1.0),
        lambda x, t: x @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]]).to(x),
        BEGIN,
    )
    assert torch.equal(got, torch.zeros(4, dtype=torch.float64))
    assert (end - BEGIN).abs().min() > 0.05


@named(["rk4", "reversible heun", "adaptive"])
def test_a_constant_spreading_is_its_rate_times_the_time(name):
    # div = d for u = x + anything of t; the tables are exact where F is constant
    _, got = solvers.flow(RUNS[name][0](1.3, 0.3), lambda x, t: x + t, BEGIN)
    torch.testing.assert_close(got, torch.full((4,), -2.0).double(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("run", ["rk4", "adaptive"])
@pytest.mark.parametrize("shape", [(2,), (1, 2), (6, 2), (2, 3, 2), (0, 2), (3, 0, 2)])
def test_points_may_come_in_any_shape(shape, run):
    x = 0.5 + uniform(*shape)
    ts, own = tables.uniform(START, END, 5), solvers.Adaptive(START, END, 1e-4, 1e-4)
    table = tables.rk4(ts) if run == "rk4" else own
    end, got = solvers.flow(table, problem, x)
    assert end.shape == shape and got.shape == shape[:-1]
    for y, one in zip(x.reshape(-1, 2), got.flatten(), strict=True):
        want = logdet(y[None], START, END)[0]
        torch.testing.assert_close(one, want, rtol=0, atol=1e-3)


@pytest.mark.parametrize("div", ["exact", spreading, "probed"])
def test_single_precision_stays_single(div):
    if div == "probed":
        div = solvers.probed(problem, shapes.rng(0))
    x = BEGIN.float()
    for table in (tables.heun(DOWN), solvers.Adaptive(START, END, 1e-4, 1e-4)):
        end, got = solvers.flow(table, problem, x, div)
        assert end.dtype == got.dtype == torch.float32


def test_the_log_determinant_can_be_differentiated():
    # d/dc of c d (s - t) for u = c x, as a likelihood is trained
    c = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    for table in (tables.heun(tables.uniform(START, END, 2)), steady(START, END)):
        _, got = solvers.flow(table, lambda x, t: c * x, BEGIN)
        (grad,) = torch.autograd.grad(got.sum(), c)
        assert grad.item() == pytest.approx(4 * 2 * (END - START), rel=1e-9, abs=0)


# ------------------------------------------------------------------- probes

# x' = A(t) x with A = A0 + t A1 between 0 and 1: M = A0 + A1 / 2 at every point
A0, A1 = normal(3, 3, seed=1), normal(3, 3, seed=2)
M = A0 + A1 / 2


def linear(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return x @ (A0 + t * A1).mT


@named(fields.derivatives.PROBES)
def test_probes_have_no_bias_and_the_variance_that_is_said(name):
    n, m = 4000, 3
    div = solvers.probed(linear, shapes.rng(7), m, name)
    table = tables.heun(tables.uniform(0.0, 1.0, 2))  # exact for what is linear in t
    _, got = solvers.flow(table, linear, torch.zeros(n, 3, dtype=torch.float64), div)
    S = (M + M.mT) / 2
    off = S - S.diagonal().diag() if name == "rademacher" else S
    var = 2 * off.square().sum() / m
    assert (got.mean() - M.trace()).abs() <= 6 * (var / n).sqrt()
    # the error of a variance, by the fourth moment of what was drawn
    fourth = ((got - M.trace()) ** 4).mean()
    assert (got.var() - var).abs() <= 6 * ((fourth - var**2) / n).sqrt()
    assert var > 0.5


def test_probes_stay_so_that_no_order_is_lost():
    # fresh probes at every stage would leave noise of the order of one step, and no
    # step short enough for an adaptive run
    div, errors = solvers.probed(problem, shapes.rng(3)), []
    fine = solvers.flow(steady(START, END), problem, BEGIN, div)[1]
    for n in (4, 8, 16):
        table = tables.rk4(tables.uniform(START, END, n))
        off = solvers.flow(table, problem, BEGIN, div)[1] - fine
        errors.append(off.abs().max())
    assert errors[0] > 9 * errors[1] > 81 * errors[2] > 0
    assert (fine - logdet(BEGIN, START, END)).abs().max() > 1e-3  # an estimate


def test_rademacher_probes_are_exact_where_no_coordinate_feels_another():
    def apart(x, t):
        return torch.sin(x) * t

    div = solvers.probed(apart, shapes.rng(0))
    table = RUNS["rk4"][0](START, END)
    exact = solvers.flow(table, apart, BEGIN)
    probed = solvers.flow(table, apart, BEGIN, div)
    torch.testing.assert_close(probed, exact, rtol=1e-12, atol=1e-12)


def test_probes_repeat_with_their_generator_and_differ_else():
    rng = shapes.rng(0)
    x, table = BEGIN, tables.rk4(tables.uniform(START, END, 4))
    one, two = solvers.probed(problem, rng), solvers.probed(problem, rng)
    again = solvers.probed(problem, shapes.rng(0))
    a, b, c, d = (
        solvers.flow(table, problem, x, div)[1] for div in (one, two, again, one)
    )
    assert torch.equal(a, c) and torch.equal(a, d) and not torch.equal(a, b)
    copies = solvers.flow(table, problem, x[:1].expand(50, 2), one)[1]
    assert len(copies.unique()) > 1  # every point has its own


# ----------------------------------------------------------------- refusals

V, T = ValueError, TypeError
nan = float("nan")
DOWN = tables.uniform(0.9, 0.4, 4)
RK, x = tables.rk4(DOWN), BEGIN


def weighed(a: float) -> tables.Table:
    """An Euler table whose state is multiplied by a."""
    h = DOWN.diff().unsqueeze(1)
    return tables.Table("velocity", DOWN, a + 0 * h, h, 0 * h[:, 0])


def fresh(kind: str, probes: int = 2):
    return solvers.probed(problem, shapes.rng(0), probes, kind)


WRONG = {
    "a denoiser": (
        V,
        "eats denoise; flow needs",
        lambda: solvers.flow(tables.ddim(PATHS["vp"], DOWN), problem, x),
    ),
    "noise": (
        V,
        "eats denoise and adds noise; flow",
        lambda: solvers.flow(tables.ddim(PATHS["vp"], DOWN, 1.0), problem, x),
    ),
    "decay": (
        V,
        "a row of A does not sum to 1",
        lambda: solvers.flow(weighed(0.9), problem, x),
    ),
    "growth": (V, "does not sum to 1", lambda: solvers.flow(weighed(1.1), problem, x)),
    "x number": (V, r"x has shape \(\)", lambda: solvers.flow(RK, problem, x[0, 0])),
    "x nan": (V, "x holds NaN", lambda: solvers.flow(RK, problem, x * nan)),
    "x ints": (T, "x is torch.int64", lambda: solvers.flow(RK, problem, x.long())),
    "div word": (
        V,
        "div is 'hutch'; it must be 'exact' or a function",
        lambda: solvers.flow(RK, problem, x, "hutch"),
    ),
    "div vector": (
        V,
        r"div returned \(4, 2\); it must return one number per point, \(4,\)",
        lambda: solvers.flow(RK, problem, x, problem),
    ),
    "div number": (
        V,
        r"div returned \(\)",
        lambda: solvers.flow(RK, problem, x, lambda x, t: t),
    ),
    "field shape": (
        V,
        "the field returned",
        lambda: solvers.flow(RK, lambda x, t: x[..., :1], x, spreading),
    ),
    "div nan": (
        V,
        "blew up to NaN or inf",
        lambda: solvers.flow(RK, problem, x, lambda x, t: nan * x[:, 0]),
    ),
    "adaptive div nan": (
        V,
        "gives NaN or inf at t = 0.9",
        lambda: solvers.flow(steady(0.9, 0.4), problem, x, lambda x, t: nan * x[:, 0]),
    ),
    "one probe": (
        V,
        "probes is 1",
        lambda: solvers.flow(RK, problem, x, fresh("gaussian", 1)),
    ),
    "probe kind": (
        V,
        "kind is 'uniform'",
        lambda: solvers.flow(RK, problem, x, fresh("uniform")),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
