"""laws: squared distances and all their derivatives, in both arguments."""

import torch
from examples import normal

from diffkit.laws.distances import squares

u, v = normal(2, 3, 4), normal(5, 4, seed=1)


def slowly(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return ((u.unsqueeze(-2) - v) ** 2).sum(-1)


def test_they_are_the_squares_of_differences_and_exact_at_zero():
    torch.testing.assert_close(squares(u, v), slowly(u, v), rtol=1e-14, atol=0)
    assert squares(v, v).diagonal().count_nonzero() == 0


def test_both_arguments_have_both_kinds_of_derivatives():
    for turn in (torch.func.jacrev, torch.func.jacfwd):
        for i in (0, 1):
            got, want = turn(squares, argnums=i)(u, v), turn(slowly, argnums=i)(u, v)
            torch.testing.assert_close(got, want, rtol=1e-13, atol=1e-13)
    got, want = (
        torch.func.hessian(lambda x, f=f: f(x, v).sum())(u) for f in (squares, slowly)
    )
    torch.testing.assert_close(got, want, rtol=1e-13, atol=1e-13)


def test_rows_may_be_mapped():
    got = torch.func.vmap(squares, (0, None))(u, v)
    torch.testing.assert_close(got, slowly(u, v), rtol=1e-13, atol=1e-13)
