"""laws: the named families stand where they should."""

import math

import pytest
import torch
from examples import named, refuses

from diffkit import data, laws, shapes


@pytest.mark.parametrize("k", [1, 2, 8])
def test_a_ring_is_evenly_spaced_on_its_circle(k):
    law = laws.ring(k, 2.0, 0.3)
    roots = torch.linalg.eigvals(torch.eye(k).roll(1, 0).double())  # z^k = 1
    got = torch.view_as_complex(law.means.contiguous()) / 2
    apart = (got.unsqueeze(1) - roots).abs()
    assert apart.min(0).values.max() < 1e-12 and apart.min(1).values.max() < 1e-12
    torch.testing.assert_close(law.means[0], torch.tensor([2.0, 0.0]).double())
    # cov = radius^2 / 2 + sd^2 in each direction, for three and more
    if k > 2:
        want = (2 + 0.09) * torch.eye(2, dtype=torch.float64)
        torch.testing.assert_close(law.cov(), want)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("side", [1, 2, 5])
def test_a_grid_is_centred_with_its_spacing(side, d):
    law = laws.grid(side, 2.0, 0.05, d)
    assert law.k == side**d and law.d == d
    assert law.mean().abs().max() < 1e-12
    gaps = torch.cdist(law.means, law.means)
    if side > 1:
        assert gaps[gaps > 0].min() == pytest.approx(2.0)
        assert gaps.max() == pytest.approx(2.0 * (side - 1) * math.sqrt(d))
    # a uniform grid of n knots has the variance (n^2 - 1) / 12 spacing^2
    want = (side**2 - 1) / 3 + 0.05**2
    torch.testing.assert_close(law.cov(), want * torch.eye(d, dtype=torch.float64))


def test_moons_stand_on_the_arcs_of_the_data():
    k = 16
    law, drawn = laws.moons(k, 0.2), data.moons(4000, shapes.rng(0))
    apart = torch.cdist(drawn, law.means).min(1)
    # every point of an arc is within half a cell of a mode: the arc is pi long
    assert apart.values.max() <= math.pi / (2 * k)
    counts = torch.bincount(apart.indices, minlength=2 * k)
    # each with probability 1 / 32, six standard errors
    assert (counts - 125).abs().max() < 6 * math.sqrt(125)
    # by the point symmetry about it, the middle is the mean
    middle = torch.tensor([0.5, 0.25], dtype=torch.float64)
    torch.testing.assert_close(law.mean(), middle)
    assert law.covs()[0, 0, 0].item() == pytest.approx(0.04, rel=1e-12, abs=0)


def test_without_width_they_are_points():
    for law in (laws.ring(4, 1.0, 0.0), laws.grid(3, 1.0, 0.0), laws.moons(2, 0.0)):
        assert law.singular


V, nan = ValueError, float("nan")
WRONG = {
    "ring of none": (V, "k is 0; it must be >= 1", lambda: laws.ring(0)),
    "ring radius": (V, "radius is -1.0", lambda: laws.ring(3, -1.0)),
    "ring sd": (V, "sd is nan", lambda: laws.ring(3, 1.0, nan)),
    "moons of none": (V, "k is 0", lambda: laws.moons(0)),
    "moons sd": (V, "sd is inf", lambda: laws.moons(2, math.inf)),
    "grid side": (V, "side is 0", lambda: laws.grid(0)),
    "grid d": (V, "d is 0", lambda: laws.grid(3, d=0)),
    "grid spacing": (V, "spacing is inf", lambda: laws.grid(3, math.inf)),
    "grid sd": (V, "sd is -0.1", lambda: laws.grid(3, 1.0, -0.1)),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
