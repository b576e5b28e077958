"""surfaces: densities and guesses against sums over many points of the surface.

The second route knows no Bessel functions: the surface is cut into cells of equal
weight, and sums over their middles replace the means. Both rules are periodic or
smooth, so that they converge faster than any power; 1e-10 leaves room for rounding.
"""

import math

import numpy as np
import pytest
import torch
from examples import cuda, named, refuses
from scipy import integrate

from diffkit import data, shapes, surfaces

FRAME = torch.linalg.qr(
    torch.randn(5, 3, generator=shapes.rng(0), dtype=torch.float64)
).Q
SURFACES = {
    "circle": surfaces.Sphere(1),
    "circle in space": surfaces.Sphere(1, 3),
    "sphere": surfaces.Sphere(2),
    "sphere, turned": surfaces.Sphere(2, frame=FRAME),
    "roll": surfaces.Roll(),
    "roll, turned": surfaces.Roll(frame=FRAME),
}
LEVELS = (0.02, 0.3, 5.0)


def cells(surface: surfaces.Surface) -> tuple[torch.Tensor, torch.Tensor]:
    """Points of the surface and their weights, by product rules."""
    node, weight = np.polynomial.legendre.leggauss(240)
    turn = (torch.arange(200, dtype=torch.float64) + 0.5) * (2 * math.pi / 200)
    node, weight = torch.from_numpy(node), torch.from_numpy(weight)
    if isinstance(surface, surfaces.Roll):
        s = 4.5 * math.pi * (2 + node) / 3
        u = torch.cartesian_prod(s, node)
        y = torch.stack(
            [u[:, 0] * u[:, 0].cos(), 4.5 * math.pi * u[:, 1], u[:, 0] * u[:, 0].sin()],
            -1,
        ) / (4.5 * math.pi)
        w = torch.outer(weight, weight).flatten() / 4
    elif surface.dim == 1:
        y, w = (
            torch.stack([turn.cos(), turn.sin()], -1),
            torch.full((200,), 0.005, dtype=torch.float64),
        )
    else:
        u = torch.cartesian_prod(node, turn)
        flat = (1 - u[:, 0] ** 2).sqrt()
        y = torch.stack([flat * u[:, 1].cos(), flat * u[:, 1].sin(), u[:, 0]], -1)
        w = weight.repeat_interleave(200) / 400
    return y @ surface.frame.mT, w


def spots(surface: surfaces.Surface, v: float, n: int = 20) -> torch.Tensor:
    y = surface.sample(n, shapes.rng(1))
    z = torch.randn(n, surface.d, generator=shapes.rng(2), dtype=torch.float64)
    return y + math.sqrt(v) * z


@named(SURFACES)
@pytest.mark.parametrize("v", LEVELS)
def test_density_and_guess_are_means_over_the_surface(name, v):
    surface = SURFACES[name]
    x, (y, w) = spots(surface, v), cells(surface)
    terms = w.log() - (x.unsqueeze(1) - y).square().sum(-1) / (2 * v)
    want = terms.logsumexp(-1) - surface.d / 2 * math.log(2 * math.pi * v)
    assert (surface.log_prob(x, v) - want).abs().max() < 1e-10
    guess = terms.softmax(-1) @ y
    assert (surface.denoise(x, v) - guess).abs().max() < 1e-10


@named(SURFACES)
@pytest.mark.parametrize("v", (1e-4, *LEVELS))
def test_score_is_the_slope_of_the_density(name, v):
    surface = SURFACES[name]
    x = spots(surface, v).requires_grad_()
    (slope,) = torch.autograd.grad(surface.log_prob(x, v).sum(), x)
    score = surface.score(x, v)
    assert (score - slope).abs().max() < 1e-12 * score.abs().max()


@named(SURFACES)
def test_points_lie_on_the_surface_and_are_those_of_data(name):
    surface = SURFACES[name]
    y = surface.sample(100, shapes.rng(3))
    u = y @ surface.frame
    assert (u @ surface.frame.mT - y).abs().max() < 1e-14
    if name.startswith("roll"):
        assert torch.equal(u.round(decimals=12), rolled(100).round(decimals=12))
    else:
        assert (torch.linalg.vector_norm(u, dim=-1) - 1).abs().max() < 1e-14


def rolled(n: int) -> torch.Tensor:
    return data.swiss_roll(n, shapes.rng(3))[0]


@named(["circle", "sphere"])
def test_the_middle_is_no_singular_point(name):
    surface = SURFACES[name]
    x = torch.zeros(1, surface.d, dtype=torch.float64, requires_grad=True)
    for v in (0.01, 1.0):
        D = surface.denoise(x, v)
        assert (D == 0).all()
        (slope,) = torch.autograd.grad(D[0, 0], x)  # 1 / ((m + 1) v)
        assert abs(slope[0, 0].item() * (surface.dim + 1) * v - 1) < 1e-12
    far = torch.zeros(2, surface.d, dtype=torch.float64)
    far[:, 0] = torch.tensor([1e3, 1e-3])
    assert surface.score(far, 1e-4).isfinite().all()


def test_the_series_meets_the_formula():
    kappa = torch.tensor([0.199999, 0.200001], dtype=torch.float64)
    near, far = surfaces._langevin(kappa).tolist()
    slope = (-2 * 0.2 / 45 + 8 * 0.2**3 / 945 - 6 * 0.2**5 / 4725) * 2e-6
    assert abs(far - near - slope) < 1e-12


def test_the_roll_integrates_to_one():
    roll = surfaces.Roll()
    v = torch.tensor(0.05, dtype=torch.float64)

    def along(h: float) -> float:
        u = torch.tensor([[0.3, h, 0.1]], dtype=torch.float64)
        return float(roll._log_mean(u, v).exp())

    # the segment's factor alone has mass sqrt(2 pi v), divided out of the density
    whole = integrate.quad(along, -6, 6, epsabs=1e-13, limit=200)[0]
    flat = torch.tensor([[0.3, 0.0, 0.1]], dtype=torch.float64)
    around = torch.logsumexp(roll._terms(flat, v), -1).exp().item()
    assert abs(whole / (around * math.sqrt(2 * math.pi * 0.05)) - 1) < 1e-10


def test_each_point_may_have_its_own_noise():
    sphere = surfaces.Sphere(2, 4)
    x, v = spots(sphere, 0.3, 3), torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    for f in (sphere.log_prob, sphere.denoise, sphere.score):
        one = torch.stack([f(x[i : i + 1], v[i].item())[0] for i in range(3)])
        assert torch.equal(f(x, v), one)


def test_bad_input_is_named():
    sphere, x = surfaces.Sphere(2), torch.zeros(2, 3, dtype=torch.float64)
    fine = torch.full((2,), 1e-5, dtype=torch.float64)
    for says, call in {
        "m is 3; it is 1": lambda: surfaces.Sphere(3),
        "d is 2; this surface needs at least 3": lambda: surfaces.Sphere(2, 2),
        "frame has shape .5, 3.": lambda: surfaces.Sphere(2, 4, FRAME),
        "not orthonormal": lambda: surfaces.Sphere(2, frame=2 * FRAME),
        "v must be positive": lambda: sphere.denoise(x, 0.0),
        "v has shape .3,.": lambda: sphere.log_prob(x, torch.ones(3)),
        "x has shape .2, 2.": lambda: sphere.log_prob(x[:, :2], 1.0),
        "the roll is resolved": lambda: surfaces.Roll().denoise(x, fine),
    }.items():
        refuses(ValueError, says, call)


@cuda
def test_on_a_gpu():
    for surface in SURFACES.values():
        x = spots(surface, 0.3)
        there = surface.score(x.cuda(), 0.3)
        assert there.is_cuda
        assert (there.cpu() - surface.score(x, 0.3)).abs().max() < 1e-12
