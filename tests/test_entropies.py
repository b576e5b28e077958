"""laws.entropy: against scipy's quadrature, torch.distributions and draws.

Tolerances: quadrature agrees with scipy to 1e-11, ten times what scipy promises;
closed forms to 1e-10; draws to six standard errors.
"""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from examples import LAWS, ROUGH, SMOOTH, D, cuda, named, normal, refuses, uniform
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal

from diffkit import laws, shapes
from diffkit.laws import entropies as E
from diffkit.laws import quadrature as Q

close = {"rtol": 1e-10, "atol": 1e-10}


def line(means, widths, weights):
    """A mixture on the line, from lists."""
    m, s, w = (torch.tensor(u, dtype=torch.float64) for u in (means, widths, weights))
    return laws.mixture(m[:, None], s[:, None, None] ** 2, w)


LINES = {
    "overlap": ([0.0, 3.0], [1.0, 1.0], [0.5, 0.5]),
    "spike": ([0.0, 3.0], [1e-3, 1.0], [0.5, 0.5]),
    "scales": ([0.0, 1e3, 5.0], [1e-3, 1e3, 1.0], [0.2, 0.5, 0.3]),
    "far": ([0.0, 12.0], [1.0, 1.0], [0.3, 0.7]),
    "faint": ([0.0, 3.0], [1.0, 1.0], [1.0, 1e-300]),
    "coincident": ([1.0, 1.0], [0.5, 2.0], [0.6, 0.4]),
}


def pieces(f, means, widths):
    """scipy's integral of f over pieces cut at every component."""
    cuts = {
        m + s * j for m, s in zip(means, widths, strict=True) for j in range(-14, 15, 2)
    }
    ends = sorted(cuts)
    return sum(
        scipy.integrate.quad(f, a, b, epsabs=1e-13, epsrel=1e-12, limit=200)[0]
        for a, b in zip(ends, ends[1:], strict=False)
    )


def density(x, means, widths, weights):
    """The density of a mixture on the line, by scipy."""
    return sum(
        w * scipy.stats.norm.pdf(x, m, s)
        for m, s, w in zip(means, widths, weights, strict=True)
    )


@named(LINES)
def test_on_the_line_it_is_the_integral_by_scipy(name):
    means, widths, weights = LINES[name]
    want = pieces(
        lambda x: scipy.special.entr(density(x, means, widths, weights)), means, widths
    )
    got = E.entropy(line(*LINES[name])).item()
    assert got == pytest.approx(want, abs=1e-11 * (1 + abs(want)))


@named(LINES)
def test_bounds_hold_on_the_line(name):
    law = line(*LINES[name])
    truth, slack = E.entropy(law), 1e-12
    for bounds in (
        E.component_bounds(law),
        E.pairwise_bounds(law),
        E.pairwise_bounds(law, 0.1),
        E.pairwise_bounds(law, 0.9),
        E.entropy_bounds(law),
    ):
        assert bounds.lower - slack <= truth <= bounds.upper + slack


@given(
    st.lists(
        st.tuples(st.floats(-9, 9), st.floats(0.05, 4), st.floats(0.01, 1)),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_all_bounds_are_ordered(rows):
    law = line(*map(list, zip(*rows, strict=True)))
    loose, pairs, best = E.component_bounds(law), E.pairwise_bounds(law), None
    best, truth, slack = E.entropy_bounds(law), E.entropy(law), 1e-12
    lows = [loose.lower, pairs.lower, best.lower, truth]
    highs = [truth, best.upper, pairs.upper, loose.upper]
    for chain in (lows, highs):
        assert all(u <= v + slack for u, v in zip(chain, chain[1:], strict=False))


@named(SMOOTH)
def test_bounds_hold_in_space(name):
    law = SMOOTH[name]
    draws = -law.log_prob(law.sample(20_000, shapes.rng(1)))
    error = 6 * draws.std() / math.sqrt(len(draws))
    for bounds in (E.pairwise_bounds(law, 0.3), E.entropy_bounds(law)):
        assert bounds.lower - error <= draws.mean() <= bounds.upper + error


def test_a_gaussian_is_that_of_torch_and_its_bounds_are_equal():
    law = SMOOTH["gaussian"]
    want = MultivariateNormal(law.mean(), law.cov()).entropy()
    torch.testing.assert_close(E.entropy(law), want, **close)
    for bounds in (E.component_bounds, E.pairwise_bounds, E.entropy_bounds):
        torch.testing.assert_close(torch.stack(bounds(law)), want.expand(2), **close)
    many = E.entropy(law.scale(torch.tensor([1.0, 3.0], dtype=torch.float64)))
    shift = torch.tensor([0.0, D * math.log(3)], dtype=torch.float64)
    torch.testing.assert_close(many, want + shift, **close)


def test_pairs_are_exact_for_coincident_and_for_distant_components():
    one, w = SMOOTH["gaussian"], torch.tensor([0.2, 0.8], dtype=torch.float64)
    same = laws.mixture(one.means.expand(2, D), one.cov(), w)
    want = E.entropy(one).expand(2)
    torch.testing.assert_close(torch.stack(E.pairwise_bounds(same)), want, **close)
    covs = torch.stack([one.cov(), 2 * one.cov()])
    for C in (one.cov(), covs):
        far = laws.mixture(one.means + 1e3 * torch.eye(2, D).double(), C, w)
        bounds, loose = E.pairwise_bounds(far), E.component_bounds(far)
        truth = loose.lower + scipy.stats.entropy(w.numpy())
        torch.testing.assert_close(torch.stack(bounds), truth.expand(2), **close)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("widths", [[0.7, 0.7], [0.7, 1.9]])
def test_pairs_use_the_distances_that_integrals_give(alpha, widths):
    means, w = [0.0, 1.5], np.array([0.3, 0.7])
    norms = [scipy.stats.norm(m, s) for m, s in zip(means, widths, strict=True)]
    # the trapezoid rule is exact for what is smooth and vanishes at both ends
    x = np.linspace(-30, 30, 6001)
    logs, h = np.stack([p.logpdf(x) for p in norms]), 0.01
    far = -np.log(h * np.exp(alpha * logs[:, None] + (1 - alpha) * logs).sum(-1))
    kl = h * (np.exp(logs)[:, None] * (logs[:, None] - logs)).sum(-1)
    base = w @ [p.entropy() for p in norms]
    bounds = E.pairwise_bounds(line(means, widths, list(w)), alpha)
    for got, distance in zip(bounds, (far, kl), strict=True):
        want = base - w @ np.log(np.exp(-distance) @ w)
        assert got.item() == pytest.approx(want, abs=1e-10)


def test_shared_covariances_are_a_case_of_general_ones():
    m, C = normal(4, D, seed=3), LAWS["gaussian"].cov()
    w = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    nearly = C * (1 + 1e-9 * torch.arange(4).reshape(4, 1, 1))
    one, other = (laws.mixture(m, c, w) for c in (C, nearly))
    for alpha in (0.5, 0.2):
        got, want = (torch.stack(E.pairwise_bounds(u, alpha)) for u in (one, other))
        torch.testing.assert_close(got, want, rtol=0, atol=1e-7)  # moved by 1e-9


@named(SMOOTH)
def test_coordinates_move_it_by_their_jacobian(name):
    law, A = SMOOTH[name], normal(D, D, seed=5)
    moved = law.push(A, normal(D, seed=6))
    jacobian = torch.linalg.slogdet(A).logabsdet
    for bounds in (E.component_bounds, E.pairwise_bounds, E.entropy_bounds):
        got, want = (torch.stack(bounds(u)) for u in (moved, law))
        torch.testing.assert_close(got, want + jacobian, rtol=1e-8, atol=1e-8)


def test_chunks_and_batches_change_nothing(monkeypatch):
    for name in ("isotropic", "mixture"):
        law = SMOOTH[name]
        whole = torch.stack(E.pairwise_bounds(law, 0.3))
        scales = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
        many = torch.stack(E.entropy_bounds(law.scale(scales).blur(0.1)), -1)
        for a, got in zip(scales, many, strict=True):
            want = torch.stack(E.entropy_bounds(law.scale(a).blur(0.1)))
            torch.testing.assert_close(got, want, **close)
        monkeypatch.setattr(E, "CHUNK", 1)
        torch.testing.assert_close(
            torch.stack(E.pairwise_bounds(law, 0.3)), whole, **close
        )
        monkeypatch.undo()


def test_noise_raises_it_by_half_the_fisher_information():
    # de Bruijn: d H(p * N(0, v)) / dv = E|grad log p_v|^2 / 2, by differentiation
    law = line([-2.0, 0.0, 3.0], [0.5, 0.2, 1.0], [0.3, 0.2, 0.5])
    v = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    (got,) = torch.autograd.grad(E.entropy(law.blur(v)), v)
    x = torch.linspace(-20, 20, 4001, dtype=torch.float64)[:, None]
    seen = law.blur(0.7)
    square = seen.log_prob(x).exp() * seen.score(x)[:, 0] ** 2
    assert got.item() == pytest.approx(square.sum().item() * 0.01 / 2, rel=1e-9)


def test_bounds_can_be_differentiated():
    m = normal(3, D, seed=1).requires_grad_()
    for C in (LAWS["gaussian"].cov(), LAWS["mixture"].covs()):
        for bound in E.entropy_bounds(laws.mixture(m, C)):
            (grad,) = torch.autograd.grad(bound, m, retain_graph=True)
            step = 1e-5 * normal(3, D, seed=2)
            ends = [
                E.entropy_bounds(laws.mixture(m.detach() + e * step, C))
                for e in (1, -1)
            ]
            change = [a - b for a, b in zip(*ends, strict=True)]
            told = 2 * (grad * step).sum()
            assert min(abs(told - c) for c in change) < 1e-6 * abs(told)


def test_integrals_of_known_value():
    cuts = torch.linspace(-1, 2, 4, dtype=torch.float64)
    rows = {
        torch.exp: math.exp(2) - math.exp(-1),
        torch.abs: 2.5,  # a kink at a cut
        lambda x: (x - 0.3).abs(): (1.3**2 + 1.7**2) / 2,  # and inside a piece
        lambda x: 1 / (1e-4 + x**2): 1e2 * (math.atan(2e2) + math.atan(1e2)),
        torch.zeros_like: 0.0,
    }
    fs, want = [*rows], torch.tensor([*rows.values()], dtype=torch.float64)
    # beside a kink, halving stops at 64 roundings of x
    for f, value in rows.items():
        got = Q.integral(lambda x, _, f=f: f(x), [cuts])
        assert got.item() == pytest.approx(value, rel=1e-11)
    many = Q.integral(
        lambda x, q: torch.stack([f(x) for f in fs]).gather(0, q[None])[0],
        [cuts[[0, 3]], cuts, cuts, cuts, cuts[[0, 3]]],
    )
    torch.testing.assert_close(many, want, rtol=1e-11, atol=1e-12)


def test_rounding_is_no_roughness_once_its_floor_is_named():
    cuts = [torch.linspace(-1, 1, 3, dtype=torch.float64)]

    def noise(x, _):
        return (1 + x**2 - 1 - x**2) ** 2 + 1e-33 * torch.sin(1e9 * x)

    assert abs(Q.integral(noise, cuts, 1.0)) < 1e-30
    refuses(ValueError, "rough at every scale", lambda: Q.integral(noise, cuts))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_follows_the_law(dtype):
    fine = line(*LINES["overlap"])
    coarse = laws.mixture(fine.means.to(dtype), fine.covs().to(dtype))
    eps = torch.finfo(dtype).eps
    for got, want in zip(
        (E.entropy(coarse), *E.entropy_bounds(coarse)),
        (E.entropy(fine), *E.entropy_bounds(fine)),
        strict=True,
    ):
        assert got.dtype == dtype
        assert abs(got.double() - want) < 20 * eps


@cuda
def test_device_follows_the_law():
    fine = line(*LINES["spike"])
    there = laws.mixture(fine.means.cuda(), fine.covs().cuda())
    got = torch.stack([E.entropy(there), *E.entropy_bounds(there)])
    want = torch.stack([E.entropy(fine), *E.entropy_bounds(fine)])
    assert got.device.type == "cuda"
    torch.testing.assert_close(got.cpu(), want, **close)


def test_many_components_in_one_go():
    law = laws.mixture(normal(400, 64), 0.1)
    bounds, loose = E.entropy_bounds(law), E.component_bounds(law)
    # 64 dimensions keep 400 points far apart: nothing is left between the bounds
    torch.testing.assert_close(bounds.lower, loose.upper, **close)
    crowd = laws.mixture(normal(500, 1), uniform(500, 1, 1) + 0.01)
    assert E.entropy_bounds(crowd).lower <= E.entropy(crowd)


V, S = ValueError, laws.SingularLaw
HUGE = laws.mixture(
    torch.zeros(400_000, 1).double(),
    (1 + torch.arange(400_000)).double().reshape(-1, 1, 1),
)
WRONG = {
    "entropy in space": (
        V,
        "3 components in 3 dimensions has no closed form; take entropy_bounds",
        lambda: E.entropy(LAWS["mixture"]),
    ),
    "entropy of a batch": (
        V,
        r"batch shape \(2,\); quadrature",
        lambda: E.entropy(line(*LINES["far"]).scale(normal(2))),
    ),
    "edges in space": (V, "dimension 3 and batch", lambda: Q.edges(LAWS["mixture"])),
    "edges of points": (
        S,
        "zero eigenvalue",
        lambda: Q.edges(laws.dataset(normal(3, 1))),
    ),
    "alpha": (V, "alpha is 1; it", lambda: E.pairwise_bounds(LAWS["mixture"], 1)),
    "pairs": (
        V,
        "400000 components in 1 dim.*too many",
        lambda: E.entropy_bounds(HUGE),
    ),
    "infinite": (
        V,
        "not finite",
        lambda: Q.integral(lambda x, _: x.log(), [torch.tensor([-1.0, 1.0])]),
    ),
}
for name, law in ROUGH.items():
    WRONG |= {
        f"entropy {name}": (S, "entropy is -inf", lambda law=law: E.entropy(law)),
        f"parts {name}": (S, "is -inf", lambda law=law: E.component_bounds(law)),
        f"bounds {name}": (S, "is -inf", lambda law=law: E.entropy_bounds(law)),
    }


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
