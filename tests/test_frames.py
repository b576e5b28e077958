"""frames and the recommended table: what stands still, what moves, and how fast.

The second route knows no frame: z by hand from dense square roots, dz/dtheta by
differences of an adaptive run in x, and ends by that run. Tolerances: 1e-12 for
algebra, 1e-6 for differences of step 1e-4, 1e-8 for runs at relative tolerance 1e-11.
"""

import math

import pytest
import torch
from examples import cuda, eigen, named, normal, refuses

from diffkit import fields, laws, paths, shapes, solvers, tables, worlds

PATHS = {"edm": paths.edm(40.0), "vp": paths.vp(), "straight": paths.one_sided()}
MEAN, COV = normal(3, seed=5), eigen(2.0, 0.5, 0.0)
LAW = laws.mixture(torch.tensor([[1.5, 0.0], [-1.0, 0.8], [0.0, -1.2]]).double(), 0.15)


def frame(path: paths.Path, law: laws.Mixture = LAW) -> fields.Frame:
    return fields.Frame(path, law.mean(), law.cov())


@named(PATHS)
def test_a_gaussian_stands_still(name):
    path = PATHS[name]
    world = worlds.World(path, laws.gaussian(MEAN, COV))
    at = frame(path, world.joint)
    x = world.draw(5, 0.6, shapes.rng(0))[2]
    moved = at.field(world.denoise)(
        at.into(x, 0.6), torch.tensor(0.6, dtype=torch.float64)
    )
    assert moved.abs().max() < 1e-12
    z = at.into(x, 0.6)
    run = solvers.Adaptive(0.6, 0.2, rtol=1e-11, atol=1e-13)
    there = solvers.solve(run, world.velocity, x)
    assert (at.into(there, 0.2) - z).abs().max() < 1e-8


@named(PATHS)
def test_out_undoes_into_and_z_is_white(name):
    path = PATHS[name]
    at = fields.Frame(path, MEAN, COV)
    x = worlds.World(path, laws.gaussian(MEAN, COV)).law(0.5).sample(9, shapes.rng(0))
    z = at.into(x, 0.5)
    assert (at.out(z, 0.5) - x).abs().max() < 1e-12 * x.abs().max()
    c = path.at(torch.tensor(0.5, dtype=torch.float64))
    root = torch.linalg.inv(c.a**2 * COV + c.g2 * torch.eye(3, dtype=torch.float64))
    off = x - c.a * MEAN
    want = torch.einsum("ni,ij,nj->n", off, root, off)
    assert ((z**2).sum(1) - want).abs().max() < 1e-10


@named(PATHS)
def test_the_velocity_is_that_of_the_flow(name):
    path, h = PATHS[name], 1e-4
    world, at = worlds.World(path, LAW), frame(PATHS[name])
    t = path.when(0.4).item()
    x = world.draw(6, t, shapes.rng(0))[2]

    def angle(s: float) -> float:
        return math.atan(
            float(path.nsr(torch.tensor(s, dtype=torch.float64))) / at.length
        )

    ends = []
    for s in (t * (1 + h), t * (1 - h)):
        run = solvers.Adaptive(t, s, rtol=1e-12, atol=1e-14)
        ends.append((angle(s), at.into(solvers.solve(run, world.velocity, x), s)))
    (up, high), (down, low) = ends
    want = (high - low) / (up - down)
    got = at.field(world.denoise)(at.into(x, t), torch.tensor(t, dtype=torch.float64))
    assert (got - want).abs().max() < 1e-6 * want.abs().max()


@pytest.mark.parametrize("order", (1, 2, 3))
def test_the_recommended_table_has_its_order(order):
    path = PATHS["straight"]  # at pure noise the velocity of the frame is zero
    world, at = worlds.World(path, LAW), frame(path)
    t1 = path.when(0.05).item()
    x = world.draw(20, 1.0, shapes.rng(0))[2]
    run = solvers.Adaptive(1.0, t1, rtol=1e-11, atol=1e-13)
    want = solvers.solve(run, world.velocity, x)
    errors = []
    for n in (160, 320):
        table = tables.recommended(path, at.length, n, math.inf, 0.05, order)
        z = solvers.solve(table, at.field(world.denoise), at.into(x, 1.0))
        errors.append((at.out(z, t1) - want).square().mean().sqrt())
    assert abs(math.log2(errors[0] / errors[1]) - order) < 0.15


def test_the_first_step_is_free_and_the_rest_are_counted():
    path = PATHS["edm"]
    for n in (1, 2, 5, 12):
        table = tables.recommended(path, 0.4, n, 40.0)
        assert table.evaluations == n and len(table) == n + 1
        assert not table.B[0].any() and not table.rows[0].asks
        assert table.ts[0] == 40 and table.ts[-1] == 0


def test_weights_are_those_of_the_polynomial_through_a_zero():
    path = PATHS["edm"]
    table = tables.recommended(path, 0.4, 6, 40.0, 0.1, 3)
    theta = torch.atan(path.nsr(table.ts) / 0.4)
    for n in range(2, 7):
        for power in (0, 1, 2):
            f = (theta - theta[0]) ** power * (theta != theta[0])  # zero at the start
            if n == 2 and power == 0:
                continue  # the zero at the start is one of the three nodes
            ages = range(min(3, n + 1))
            got = sum(table.B[n, j] * f[n - j] for j in ages)
            p = power + 1
            want = ((theta[n + 1] - theta[0]) ** p - (theta[n] - theta[0]) ** p) / p
            assert abs(got - want) < 1e-12


def test_bad_input_is_named():
    path, one = PATHS["edm"], torch.ones(2, dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    flat = fields.Frame(path, one, torch.diag(torch.tensor([1.0, 0.0]).double()))
    for says, call in {
        "they must be .d,. and .d, d.": lambda: fields.Frame(path, one, eye[:1]),
        "cov is not symmetric": lambda: fields.Frame(
            path, one, eye + eye[[1, 0]].tril()
        ),
        "none may be negative": lambda: fields.Frame(path, one, -eye),
        "length is 0; it must": lambda: fields.Frame(path, one, eye, 0),
        "z is not defined": lambda: flat.into(one.unsqueeze(0), 0.0),
        "no velocity where g = 0": lambda: flat.field(lambda x, t: x)(one[None], 0.0),
        "x has shape .1, 3.": lambda: flat.into(torch.ones(1, 3).double(), 1.0),
        "n is 0; there must": lambda: tables.recommended(path, 1.0, 0, 40.0),
        "length is -1": lambda: tables.recommended(path, -1, 3, 40.0),
        "nsr runs from 1 to 2": lambda: tables.recommended(path, 1.0, 3, 1, 2),
        "order is 5": lambda: tables.recommended(path, 1.0, 3, 40.0, order=5),
    }.items():
        refuses(ValueError, says, call)


@cuda
def test_on_a_gpu():
    path = PATHS["edm"]
    at, x = frame(path), normal(4, 2)
    there = at.out(at.into(x.cuda(), 1.0), 1.0)
    assert there.is_cuda and (there.cpu() - x).abs().max() < 1e-12
