"""laws.third_cumulant: against autograd, affine maps, sums and moments of digits.

Tolerances: float64, sums of some hundred products at the most; 1e-12 of the size.
"""

import pytest
import torch
from examples import LAWS, D, named, normal, refuses

from diffkit import data, laws

NO_THIRD = ["gaussian", "repeated", "isotropic one", "coincident", "flat", "point"]
ALSO = {"isotropic one": laws.gaussian(normal(D), 0.3)}
close = {"rtol": 1e-12, "atol": 1e-12}


def by_autograd(law):
    """The third derivative at zero of the logarithm of E exp(u . x)."""
    means, covs = law.means, law.covs()

    def log_mgf(u):
        square = torch.einsum("i,kij,j->k", u, covs, u) / 2
        return (law.logw + means @ u + square).logsumexp(0)

    zero = torch.zeros(law.d, dtype=torch.float64)
    return torch.func.jacfwd(torch.func.hessian(log_mgf))(zero)


@named(LAWS)
def test_it_is_the_third_derivative_of_the_log_moments(name):
    want = by_autograd(LAWS[name])
    torch.testing.assert_close(laws.third_cumulant(LAWS[name]), want, **close)


@named(LAWS)
def test_an_affine_map_acts_on_each_of_its_axes(name):
    law, A = LAWS[name], normal(2, D, seed=3)
    want = torch.einsum("ai,bj,cl,ijl->abc", A, A, A, laws.third_cumulant(law))
    got = laws.third_cumulant(law.push(A, normal(2, seed=4)))
    torch.testing.assert_close(got, want, **close)


@pytest.mark.parametrize("name", NO_THIRD)
def test_a_gaussian_has_none(name):
    third = laws.third_cumulant((LAWS | ALSO)[name])
    assert third.shape == (D, D, D)
    assert third.abs().max() < 1e-14


@named(LAWS)
def test_independent_terms_add(name):
    law, third = LAWS[name], laws.third_cumulant(LAWS[name])
    torch.testing.assert_close(laws.third_cumulant(law.blur(0.7)), third, **close)
    both = law.pair(LAWS["mixture"]).push(torch.eye(D).double().repeat(1, 2))
    want = third + laws.third_cumulant(LAWS["mixture"])
    torch.testing.assert_close(laws.third_cumulant(both), want, **close)


def test_digits_are_a_finite_set_like_another():
    x, _ = data.digits()
    third = laws.third_cumulant(laws.dataset(x))
    u, v = normal(5, 64, seed=1), normal(5, 64, seed=2)
    off = x - x.mean(0)
    want = ((off @ u.mT).square() * (off @ v.mT)).mean(0)
    got = torch.einsum("ai,aj,al,ijl->a", u, u, v, third)
    torch.testing.assert_close(got, want, **close)


def test_a_batch_has_one_for_each_law():
    law = LAWS["mixture"]
    many = law.given(1.0, normal(4, D, seed=5), 0.5)
    got = laws.third_cumulant(many)
    assert got.shape == (4, D, D, D)
    for i, y in enumerate(normal(4, D, seed=5)):
        want = laws.third_cumulant(law.given(1.0, y, 0.5))
        torch.testing.assert_close(got[i], want, **close)


def test_a_shared_law_has_one_for_each_of_its_batch():
    many = LAWS["data"].scale(torch.tensor([1.0, 2.0]).double())
    third = laws.third_cumulant(LAWS["data"])
    want = torch.stack([third, 8 * third])
    torch.testing.assert_close(laws.third_cumulant(many), want, **close)


WRONG = {
    "points": (TypeError, "law is Tensor", lambda: laws.third_cumulant(normal(5, D))),
    "nothing": (TypeError, "law is NoneType", lambda: laws.third_cumulant(None)),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
