"""splits: the grid's decomposition against least squares, and against known fields.

The second route knows no cells: dense least squares on the differences, by numpy. On
the grid both are exact, to 1e-9 with weights over many decades. Against fields whose
split is known in the plane the error is O(h^2).
"""

import math

import numpy as np
import pytest
import torch
from examples import refuses

from diffkit import fields, laws

LAW = laws.mixture(
    torch.tensor([[-0.8, 0.3], [0.9, -0.2]]).double(),
    torch.tensor([[[0.4, 0.1], [0.1, 0.3]], [[0.3, 0.0], [0.0, 0.5]]]).double(),
)
J = torch.tensor([[0.0, -1.0], [1.0, 0.0]]).double()


def score(x: torch.Tensor, t: float = 0.0) -> torch.Tensor:
    return LAW.score(x)


def crooked(x: torch.Tensor) -> torch.Tensor:
    return torch.stack([torch.sin(x[..., 1]) - 0.3, x[..., 0] * x[..., 1]], -1)


def grid(n: int = 24, half: float = 3.5) -> fields.Splitter:
    return fields.Splitter(LAW.log_prob, n, half)


def test_the_gradient_is_the_least_squares_one():
    at = grid(10)
    unit = torch.eye(100, dtype=torch.float64).view(-1, 10, 10)
    D, root = at.slope(unit).numpy().T, at.weights.sqrt().numpy()
    f = at.across(crooked)
    best = np.linalg.lstsq(root[:, None] * D, root * f.numpy(), rcond=None)[0]
    parts = at.split(crooked)
    off = D @ best - parts.gradient.numpy()
    assert np.abs(root * off).max() < 1e-9  # in L2(p): corners have no weight
    assert (sum(parts) - f).abs().max() < 1e-14


def test_parts_are_orthogonal_and_the_potential_is_its_gradient():
    at = grid()
    gradient, gauge = at.split(crooked)
    inner = (at.weights * gradient * gauge).sum()
    assert abs(inner) < 1e-12 * at.power(gradient).sqrt() * at.power(gauge).sqrt()
    phi = at.potential(at.across(crooked))
    assert phi[12, 12] == 0 and torch.equal(at.slope(phi), gradient)


def test_known_parts_are_found_with_order_two():
    def slope(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.cos(x[..., 0]), -0.5 * torch.sin(x[..., 1])], -1)

    r = fields.gauge(score, J, lambda x, t: 1 + 0.5 * torch.sin(x[..., 0] - x[..., 1]))
    errors = []
    for n in (40, 80):
        at = grid(n, 4.5)
        found = at.split(lambda x: slope(x) + r(x, 0.0)).gradient
        off = at.power(found - at.across(slope)) / at.power(at.across(slope))
        errors.append(off.sqrt().item())
    assert abs(math.log2(errors[0] / errors[1]) - 2) < 0.1


def test_power_is_a_mean_over_the_density():
    at = grid(80, 6.0)
    ones = at.across(lambda x: torch.ones_like(x))
    assert abs(at.power(ones).item() - 2) < 1e-3  # E |(1, 1)|^2
    linear = at.across(lambda x: x)
    want = LAW.cov().trace() + (LAW.mean() ** 2).sum()
    assert abs(at.power(linear) / want - 1) < 1e-3


def test_several_fields_at_once():
    at = grid(12)
    both = at.split(lambda x: torch.stack([crooked(x), LAW.score(x)]))
    for i, field in enumerate((crooked, LAW.score)):
        one = at.split(field)
        assert (both.gradient[i] - one.gradient).abs().max() < 1e-12
        assert (both.gauge[i] - one.gauge).abs().max() < 1e-12


def test_a_rule_of_ones_makes_the_textbooks_split():
    at = fields.Splitter(LAW.log_prob, 20, 3.0, lambda x, h: 1 + 0 * x[:, 0])
    assert torch.allclose(at.weights, torch.full_like(at.weights, at.width**2))
    assert at.cells.shape == (20, 20, 2) and at.faces.shape == (2 * 20 * 19, 2)


@pytest.mark.parametrize(
    ("says", "call"),
    [
        ("n is 1; it must be a whole number", lambda: grid(1)),
        ("half is 0; it must be positive", lambda: grid(4, 0)),
        ("make the box smaller, half is 200", lambda: grid(10, 200)),
        (
            "the field returned .4,.; it must",
            lambda: grid(4).across(lambda x: x[:4, 0]),
        ),
    ],
)
def test_bad_input_is_named(says, call):
    refuses(ValueError, says, call)
