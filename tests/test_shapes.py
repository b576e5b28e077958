"""shapes: broadcasting by appended axes, generators of their own, entry checks."""

import pytest
import torch
from examples import normal, refuses

from diffkit import shapes


def test_trailing_multiplies_rows_even_where_n_equals_d():
    x, t = normal(4, 4), normal(4, seed=1)
    rows = torch.stack([s * row for s, row in zip(t, x, strict=True)])
    assert torch.equal(shapes.trailing(t, x) * x, rows)


def test_trailing_leaves_numbers_numbers():
    assert shapes.trailing(torch.tensor(2.0), normal(3, 2)).shape == (1, 1)


def test_generators_repeat_and_leave_the_global_one_alone():
    before = torch.get_rng_state()
    first, again = (torch.randn(5, generator=shapes.rng(3)) for _ in range(2))
    other = torch.randn(5, generator=shapes.rng(4))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


NAN = torch.tensor([0.0, float("nan")])
WRONG = {
    "nan": (ValueError, "x holds NaN or inf.*finite", lambda: shapes.points(NAN, 2)),
    "inf": (ValueError, "x holds NaN or inf", lambda: shapes.points(1 / (NAN * 0), 2)),
    "ints": (TypeError, "x is torch.int64.*floats", lambda: shapes.points(_ints(), 2)),
    "list": (TypeError, "y is list.*floats", lambda: shapes.points([0.0], 1, "y")),
    "complex": (TypeError, "torch.complex64", lambda: shapes.points(NAN * 1j, 2)),
    "last axis": (
        ValueError,
        r"x has shape \(2,\); it must be \(\.\.\., 3\)",
        lambda: shapes.points(torch.ones(2), 3),
    ),
    "number": (
        ValueError,
        r"x has shape \(\)",
        lambda: shapes.points(torch.tensor(1.0), 1),
    ),
}


def _ints() -> torch.Tensor:
    return torch.zeros(2, dtype=torch.long)


@pytest.mark.parametrize("name", list(WRONG))
def test_refuses(name):
    refuses(*WRONG[name])
