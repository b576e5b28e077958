"""laws.line: against mpmath with 60 digits, scipy, enumeration and an ODE.

Tolerances: 1e-12 relative for probabilities and quantiles where they are well
conditioned (a tail of 1e-300 has log 700, and eps 700 is 1.5e-13).
"""

import math

import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.special
import torch
from examples import LAWS as SOLID
from examples import cuda, named, refuses
from hypothesis import given, settings
from hypothesis import strategies as st

from diffkit import laws, shapes
from diffkit.laws import line

few = settings(max_examples=25, deadline=None, derandomize=True)
close = {"rtol": 1e-12, "atol": 1e-12}
mpmath.mp.dps = 60


def vector(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def law_of(w: tuple, m: tuple, s: tuple) -> laws.Mixture:
    """A mixture on the line from weights, means and standard deviations."""
    cov = (vector(*s) ** 2).reshape(-1, 1, 1)
    return laws.mixture(vector(*m).unsqueeze(1), cov, vector(*w))


def rows(*values: float) -> torch.Tensor:
    """Points on the line, (n, 1)."""
    return vector(*values).unsqueeze(1)


DENSE = {
    "gaussian": law_of((1,), (1.5,), (2.0,)),
    "three": law_of((0.3, 0.3, 0.4), (1, 2, 3), (0.05, 0.05, 0.05)),
    "uneven": law_of((0.2, 0.5, 0.3), (-4, 0.5, 9), (0.01, 1, 3)),
    "rare": law_of((1e-20, 1), (-30, 0), (0.5, 1)),
    "symmetric": law_of((0.5, 0.5), (-1, 1), (0.1, 0.1)),
    "coincident": law_of((0.5, 0.5), (1, 1), (0.3, 2)),
}
JUMPS = {
    "data": laws.dataset(rows(3.0, -1.0, 0.5, 0.5)),
    "both": law_of((0.3, 0.4, 0.3), (0, 5, -3), (0, 1, 0)),
    "one point": laws.gaussian(vector(2.0), 0.0),
}
LAWS = DENSE | JUMPS


def exact_tail(law: laws.Mixture, x: float, upper: bool = False):
    """P(X <= x) or P(X > x) with 60 digits, from the floats that the law holds."""
    total, side = mpmath.mpf(0), -1 if upper else 1
    for logw, m, v in zip(
        law.logw.tolist(), law.means[:, 0].tolist(), law.covs().flatten().tolist(),
        strict=True,
    ):  # fmt: skip
        off = side * (mpmath.mpf(x) - m)
        above = (off >= 0) if side == 1 else (off > 0)
        part = mpmath.ncdf(off / mpmath.sqrt(v)) if v else mpmath.mpf(int(above))
        total += mpmath.exp(logw) * part
    return total


def relative(got, want) -> float:
    """|got / want - 1| in 60 digits, 0 / 0 being right."""
    want = mpmath.mpf(want)
    return float(abs(mpmath.mpf(float(got)) / want - 1)) if want else float(got != 0)


def spread(law: laws.Mixture) -> torch.Tensor:
    """Points in the modes, between them and far out; (n, 1)."""
    m, s = law.means[:, 0], law.covs().flatten().sqrt()
    steps = vector(-37, -9, -3, -1, -0.3, 0, 0.4, 2, 8, 36)
    each = m.unsqueeze(1) + steps * s.unsqueeze(1)
    between = m.sort().values[:-1] + m.sort().values.diff() * 0.45
    return torch.cat([each.flatten(), between, m + 0.5]).unsqueeze(1)


# ------------------------------------------------------- distribution functions


@named(LAWS)
def test_both_tails_keep_their_digits(name):
    law = LAWS[name]
    x = spread(law)
    for upper in (False, True):
        got, logs = (line.cdf(law, x, upper, log) for log in (False, True))
        for i, y in enumerate(x.flatten().tolist()):
            want = exact_tail(law, y, upper)
            # x - m is rounded: relative error eps z^2, and z < 4000 s only far out
            if want > 1e-290:
                assert relative(got[i], want) < 2e-12
                off = abs(float(logs[i]) - float(mpmath.log(want)))
                assert off < 1e-13 * max(1, abs(float(mpmath.log(want))))


def test_logs_go_on_where_probabilities_end():
    law = DENSE["gaussian"]
    got = line.cdf(law, rows(-1e6, -1e3, 1e3), log=True)
    want = scipy.special.log_ndtr((np.array([-1e6, -1e3, 1e3]) - 1.5) / 2)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-13)
    assert line.cdf(law, rows(-1e6)).item() == 0
    assert line.cdf(law, rows(-1e200), log=True).item() == -math.inf


def test_a_jump_belongs_to_the_lower_tail():
    law = JUMPS["both"]
    x = rows(-3.0, math.nextafter(-3.0, -9.0), 0.0)
    got = line.cdf(law, x), line.cdf(law, x, upper=True)
    # besides the atoms 0.4 Phi(x - 5), at most 1.2e-7
    torch.testing.assert_close(got[0], vector(0.3, 0, 0.6), rtol=0, atol=2e-7)
    torch.testing.assert_close(got[1], vector(0.7, 1, 0.4), rtol=0, atol=2e-7)


@named(LAWS)
def test_the_level_between_the_tails_is_the_same_probability(name):
    law = LAWS[name]
    x, parts = spread(law), line.Line.of(law)
    for left in (False, True):
        got = parts.off_half(x.flatten(), left) + 0.5
        want = parts.log_tail(x.flatten(), left=left).exp()
        torch.testing.assert_close(got, want, rtol=1e-13, atol=1e-15)


def test_many_components_in_pieces_are_those_at_once(monkeypatch):
    law, x = DENSE["uneven"], spread(DENSE["uneven"])
    want = line.cdf(law, x)
    monkeypatch.setattr(line, "ENTRIES", 12)
    assert torch.equal(line.cdf(law, x), want)


# ------------------------------------------------------------------------- mass


def test_the_mass_of_a_gap_has_all_its_digits():
    cases = [("three", 1.3, 1.7), ("symmetric", -0.2, 0.2), ("uneven", -3.9, -3.0)]
    cases += [("gaussian", 70, 71), ("gaussian", -70, 3), ("rare", -20, -10)]
    for name, a, b in cases:
        law = DENSE[name]
        with mpmath.workdps(400):
            want = exact_tail(law, b) - exact_tail(law, a)
        assert relative(line.mass(law, a, b), want) < 1e-12, name
        logs = line.mass(law, rows(a), rows(b), log=True)
        assert logs.item() == pytest.approx(float(mpmath.log(want)), rel=1e-13)
    assert 1e-11 < line.mass(DENSE["three"], 1.3, 1.7).item() < 1e-8


def test_masses_add_up_and_see_jumps():
    law = JUMPS["both"]
    ends = vector(-9, -3, -1, 0, 5, 30)
    parts = line.mass(law, ends[:-1].unsqueeze(1), ends[1:].unsqueeze(1))
    torch.testing.assert_close(parts[0], vector(0.3)[0], rtol=1e-6, atol=0)
    torch.testing.assert_close(parts.sum(), vector(1.0)[0], **close)
    assert line.mass(law, 0.0, 0.0).item() == 0
    assert line.mass(law, 1e200, 2e200).item() == 0
    assert line.mass(JUMPS["data"], 0.4, 0.5).item() == pytest.approx(0.5, rel=1e-15)


# -------------------------------------------------------------------- quantiles

U = vector(1e-300, 1e-100, 1e-15, 1e-9, 1e-3, 0.1, 0.2499, 0.25, 0.37, 0.5, 0.6, 0.75)


@named(DENSE)
def test_quantile_has_the_probability_it_was_asked_for(name):
    law = DENSE[name]
    for upper in (False, True):
        x = line.quantile(law, U, upper)
        slope = law.log_prob(x).exp()
        for u, y, f in zip(U.tolist(), x.flatten().tolist(), slope, strict=True):
            off = abs(exact_tail(law, y, upper) - mpmath.mpf(u))
            # a few eps of u (times log u in a tail) and of x
            assert off < 4e-15 * (u * max(1, -math.log(u)) + abs(y) * f.item())


def test_quantile_is_the_root_that_scipy_finds():
    law = DENSE["uneven"]
    for u in (0.05, 0.2, 0.30001, 0.5, 0.7, 0.9, 0.999):
        want = scipy.optimize.brentq(
            lambda x, u=u: float(exact_tail(law, x)) - u,
            -10,
            50,
            xtol=1e-14,
            rtol=1e-14,
        )
        assert line.quantile(law, u).item() == pytest.approx(want, rel=1e-11, abs=1e-13)


def test_quantile_of_tiny_logs_is_the_root_in_many_digits():
    unit, logs = law_of((1,), (0,), (1,)), vector(-1e8, -1e5, -800, -30, -0.5, -1e-5)
    got = line.quantile(unit, logs, log=True).flatten()
    for u, x in zip(logs.tolist(), got.tolist(), strict=True):
        f = lambda z, u=u: mpmath.log(mpmath.erfc(-z / mpmath.sqrt(2)) / 2) - u  # noqa: E731
        assert relative(x, mpmath.findroot(f, x)) < 1e-13
    np.testing.assert_allclose(
        got.numpy(), scipy.special.ndtri_exp(logs.numpy()), rtol=1e-12
    )
    upper = line.quantile(unit, logs, upper=True, log=True).flatten()
    torch.testing.assert_close(upper, -got, rtol=1e-14, atol=0)


def test_quantile_of_data_is_numpys_inverted_cdf():
    x = torch.randn(37, generator=shapes.rng(0), dtype=torch.float64)
    u = torch.cat([torch.arange(1, 38) / vector(37.0), vector(0.001, 0.5, 0.77, 1)])
    got = line.quantile(laws.dataset(x.unsqueeze(1)), u).flatten()
    want = np.quantile(x.numpy(), u.numpy() - 1e-9, method="inverted_cdf")
    np.testing.assert_array_equal(got.numpy(), want)
    for law in JUMPS.values():  # every atom is its own quantile
        at = line.Line.of(law).at.unsqueeze(1)
        for upper in (False, True):
            u = line.cdf(law, at, upper)
            keep = (u > 0) & ((u < 1) | (law.k > 3))
            assert torch.equal(line.quantile(law, u[keep], upper), at[keep])


def test_quantile_of_atoms_and_a_density_is_the_definition():
    law = JUMPS["both"]  # F jumps by 0.3 at -3, and at 0 from 0.3 + 1.1e-7
    u = vector(1e-300, 0.15, 0.3 - 1e-9, 0.3 + 2e-7, 0.5, 0.6 + 1e-9, 0.8, 1 - 1e-12)
    got = line.quantile(law, u).flatten()
    ndtri = scipy.special.ndtri
    low = 5 + ndtri(1e-300 / 0.4)
    want = [low, -3, -3, 0, 0, 0, 5 + ndtri(0.5), 5 - ndtri(1e-12 / 0.4)]
    # at 0.8 u is (0.8 - 0.6) / 0.4 = 0.5 to eps, and 1 - 1e-12 keeps four digits
    np.testing.assert_allclose(got[:-1].numpy(), want[:-1], rtol=1e-13, atol=1e-14)
    assert got[-1].item() == pytest.approx(want[-1], rel=1e-5)
    upper = line.quantile(law, vector(1e-12), upper=True).item()
    assert upper == pytest.approx(want[-1], rel=1e-13)


def test_the_middle_of_a_gap_is_found_by_symmetry():
    for far in (1, 30, 1e5):
        law = law_of((0.5, 0.5), (-far, far), (0.1, 0.1))
        assert line.quantile(law, 0.5).item() == 0


@few
@given(
    st.lists(
        st.tuples(st.floats(0.01, 1), st.floats(-9, 9), st.floats(-3, 1)),
        min_size=1,
        max_size=4,
    ),
    st.floats(-300, -1e-3),
)
def test_round_trips_rise_and_reflect(parts, log10_u):
    w, m, s = zip(*parts, strict=True)
    law = law_of(w, m, tuple(10**v for v in s))
    u = torch.cat([vector(10**log10_u), U]).sort().values
    for upper in (False, True):
        x = line.quantile(law, u, upper)
        back = line.cdf(law, x, upper)
        # the rounding of x times its slope, and eps log u in the tail
        slack = 4e-15 * (x.abs().squeeze(1) * law.log_prob(x).exp())
        assert ((back - u).abs() <= slack + 4e-13 * u).all()
        assert ((x.diff(dim=0) >= 0) ^ upper).all() or (x.diff(dim=0) == 0).any()
        other = -line.quantile(law.push(-1.0), u, not upper)
        torch.testing.assert_close(other, x, rtol=1e-12, atol=1e-12)


# ----------------------------------------------------------------- monotone map


def test_between_gaussians_the_map_is_affine():
    p, q = law_of((1,), (1.0,), (2.0,)), law_of((1,), (-3.0,), (0.5,))
    x = spread(p)
    torch.testing.assert_close(line.monotone(p, q, x), -3 + (x - 1) / 4, **close)
    u = law_of((1,), (0.0,), (1.0,))
    tiny = rows(1e-200, -1e-30, 1e-9)  # no digit is lost beside the median
    got = line.monotone(u, law_of((1,), (0.0,), (3.0,)), tiny)
    torch.testing.assert_close(got, 3 * tiny, rtol=1e-12, atol=0)


@named(DENSE)
def test_the_map_carries_one_density_to_the_other(name):
    q, p = DENSE[name], law_of((0.6, 0.4), (-1, 1), (1, 0.7))
    x = torch.linspace(-5, 5, 41, dtype=torch.float64).unsqueeze(1).requires_grad_()
    y = line.monotone(p, q, x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    # log q(T x) + log T'(x) = log p(x); in a gap of q the image is as sharp as F_p(x)
    got = q.log_prob(y) + slope.squeeze(1).log()
    torch.testing.assert_close(got, p.log_prob(x), rtol=1e-10, atol=1e-10)
    assert (y.diff(dim=0) > 0).all()
    back = line.cdf(q, y), line.cdf(q, y, upper=True)
    torch.testing.assert_close(back[0], line.cdf(p, x), rtol=1e-10, atol=0)
    torch.testing.assert_close(back[1], line.cdf(p, x, upper=True), rtol=1e-10, atol=0)


def test_the_probability_flow_ends_in_the_map():
    # variance exploding: dx / ds = -s score(x) of the law blurred by s^2
    s0, s1, x = 0.02, 4.0, np.array([-6.0, -1.0, 1.2, 2.05, 3.4, 9.0])
    w, m = np.array([0.3, 0.3, 0.4]), np.array([1.0, 2.0, 3.0])

    def flow(s: float, y: np.ndarray) -> np.ndarray:
        v, off = 0.05**2 + s * s, m - y[:, None]
        r = w * np.exp(((off**2).min(1)[:, None] - off**2) / (2 * v))
        return -s * (r * off).sum(1) / r.sum(1) / v

    law, tight = DENSE["three"], {"rtol": 1e-11, "atol": 1e-12}
    end = scipy.integrate.solve_ivp(flow, (s1, s0), x, "DOP853", **tight).y[:, -1]
    got = line.monotone(law.blur(s1**2), law.blur(s0**2), rows(*x)).flatten()
    np.testing.assert_allclose(got.numpy(), end, rtol=1e-9)


def test_into_a_gap_of_mass_far_below_eps():
    p, q = law_of((1,), (0,), (1,)), law_of((0.5, 0.5), (-1, 1), (0.0625, 0.0625))
    for x in (1e-56, 1e-40, 1e-20):  # the gap holds 1e-57
        y = line.monotone(p, q, rows(x)).item()
        with mpmath.workdps(120):
            want = mpmath.ncdf(mpmath.mpf(x)) - 0.5
            got = sum(mpmath.ncdf((mpmath.mpf(y) + m) * 16) for m in (-1, 1)) / 2 - 0.5
        assert 0 < y < 0.9
        assert relative(got, want) < 1e-12  # z = 16 costs 256 eps


@few
@given(st.sampled_from(sorted(DENSE)), st.sampled_from(sorted(DENSE)))
def test_there_and_on_is_the_direct_map(one, two):
    p, q, r = law_of((1,), (0.3,), (1.5,)), DENSE[one], DENSE[two]
    x = torch.linspace(-8, 8, 9, dtype=torch.float64).unsqueeze(1)
    on = line.monotone(q, r, line.monotone(p, q, x))
    direct = line.monotone(p, r, x)
    # the stop in q costs a rounding of its x: compare probabilities, not places
    slack = 1e-13 + 4e-15 * (
        q.log_prob(line.monotone(p, q, x)).exp() * line.monotone(p, q, x).abs()[:, 0]
    )
    for upper in (False, True):
        u, v = (line.cdf(r, y, upper) for y in (on, direct))
        assert ((u - v).abs() <= slack).all()


# -------------------------------------------------------------------- gradients


def test_quantile_moves_with_the_law_and_with_u():
    w, m, s = vector(0.3, 0.5, 0.2), vector(-1, 0.4, 2), vector(0.3, 1, 0.5)
    u = vector(1e-6, 0.2, 0.4, 0.7, 0.999)

    def ask(w, m, s, u):
        law = laws.mixture(m.unsqueeze(1), (s**2).reshape(-1, 1, 1), w)
        return line.quantile(law, u).squeeze(1)

    # autograd against central differences of the same map: 1e-6 is their own error
    got = torch.autograd.functional.jacobian(ask, (w, m, s, u))
    for i, (slope, start) in enumerate(zip(got, (w, m, s, u), strict=True)):
        for j in range(len(start)):
            e = torch.zeros_like(start)
            e[j] = 1e-6 * start[j]
            ends = []
            for move in (start + e, start - e):
                args = [w, m, s, u]
                args[i] = move
                ends.append(ask(*args))
            want = (ends[0] - ends[1]) / (2 * e[j])
            torch.testing.assert_close(slope[:, j], want, rtol=1e-5, atol=1e-6)
    x = line.quantile(law_of((0.3, 0.5, 0.2), (-1, 0.4, 2), (0.3, 1, 0.5)), u)
    density = law_of((0.3, 0.5, 0.2), (-1, 0.4, 2), (0.3, 1, 0.5)).log_prob(x).exp()
    torch.testing.assert_close(got[3].diagonal(), 1 / density, rtol=1e-10, atol=0)


def test_an_atom_moves_its_own_quantile_alone():
    at = rows(0.0, 2.0).requires_grad_()
    u = vector(0.3, 0.8).requires_grad_()
    x = line.quantile(laws.dataset(at), u)
    (slope,) = torch.autograd.grad(x[1], at)
    assert slope.flatten().tolist() == [0, 1]
    law = JUMPS["both"]
    (slope,) = torch.autograd.grad(line.quantile(law, u).sum(), u)
    density = 0.4 * math.exp(-(0.0**2) / 2) / math.sqrt(2 * math.pi)
    torch.testing.assert_close(slope, vector(0, 1 / density), rtol=1e-10, atol=0)


# ---------------------------------------------------------------------- extremes


def test_nothing_is_nan_at_the_extremes():
    law = law_of((1, 1e-300, 0), (0, 1e6, 5), (1e-6, 1e4, 1))
    u = vector(5e-324, 1e-300, 0.25, 0.5, 1 - 2**-53)
    for upper in (False, True):
        assert torch.isfinite(line.quantile(law, u, upper)).all()
    x = rows(-1e300, -1.0, 0.0, 1e6, 1e300)
    for log in (False, True):
        assert not line.cdf(law, x, log=log).isnan().any()
    none = x[:0]
    assert line.cdf(law, none).shape == (0,)
    assert line.quantile(law, none.flatten()).shape == (0, 1)
    assert line.monotone(law, law, none).shape == (0, 1)
    assert line.quantile(law, vector(0.2, 0.3).reshape(2, 1, 1)).shape == (2, 1, 1, 1)
    assert line.quantile(law, 0.5).shape == (1,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_and_digits_follow_the_law(dtype):
    p, q = (laws.mixture(v.means.to(dtype), v.covs().to(dtype), v.logw.exp().to(dtype))
            for v in (DENSE["gaussian"], DENSE["three"]))  # fmt: skip
    eps = torch.finfo(dtype).eps
    x = spread(DENSE["gaussian"]).to(dtype)
    y = line.monotone(p, q, x[::3])
    assert y.dtype == dtype and torch.isfinite(y).all()
    low = x[x < 3].unsqueeze(1)  # above, the lower tail is near 1
    back = line.quantile(p, line.cdf(p, low, log=True), log=True)
    torch.testing.assert_close(back, low, rtol=50 * eps, atol=50 * eps)
    assert line.mass(q, 1.3, 1.7).dtype == dtype


@cuda
def test_on_the_gpu_as_on_the_cpu():
    p, q = DENSE["uneven"], JUMPS["both"]
    on = [
        laws.mixture(v.means.cuda(), v.covs().cuda(), v.logw.exp().cuda())
        for v in (p, q)
    ]
    x = spread(p)
    got = line.monotone(*on, x.cuda())
    assert got.is_cuda
    torch.testing.assert_close(got.cpu(), line.monotone(p, q, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_quantiles_do_not_depend_on_the_unit_of_length(unit):
    law = laws.mixture(vector(-1.0, 2.0, 2.5).unsqueeze(1), 0.01)
    u = vector(1e-12, 0.1, 0.3333, 0.5, 0.9, 1 - 1e-9)
    got, want = laws.quantile(law.scale(unit), u), unit * laws.quantile(law, u)
    torch.testing.assert_close(got, want, rtol=1e-13, atol=0)


# ---------------------------------------------------------------------- refusals

V, S, T = ValueError, laws.SingularLaw, TypeError
G, nan = DENSE["gaussian"], float("nan")
plane = "one dimension and no batch"
BATCH = G.scale(vector(1, 2))
WRONG = {
    "plane": (V, plane, lambda: line.cdf(SOLID["gaussian"], rows(0.0))),
    "batch": (V, r"batch shape \(2,\).*no batch", lambda: line.quantile(BATCH, 0.5)),
    "map from plane": (
        V,
        plane,
        lambda: line.monotone(SOLID["gaussian"], G, rows(0.0)),
    ),
    "map to plane": (
        V,
        plane,
        lambda: line.monotone(G, SOLID["gaussian"], rows(0.0)),
    ),
    "points": (
        V,
        r"x has shape \(3,\); it must be \(..., 1\)",
        lambda: line.cdf(G, U[:3]),
    ),
    "points nan": (V, "x holds NaN", lambda: line.cdf(G, rows(nan))),
    "points inf": (V, "x holds NaN or inf", lambda: line.cdf(G, rows(math.inf))),
    "points ints": (
        T,
        "x is torch.int64",
        lambda: line.cdf(G, torch.zeros(2, 1).long()),
    ),
    "u = 0": (V, r"u leaves \(0, 1\)", lambda: line.quantile(G, 0.0)),
    "u = 1": (V, r"u leaves \(0, 1\)", lambda: line.quantile(G, 1)),
    "u = 1 of both": (V, "strictly between", lambda: line.quantile(JUMPS["both"], 1.0)),
    "u = 0 of data": (V, "strictly between", lambda: line.quantile(JUMPS["data"], 0.0)),
    "u > 1": (V, r"u leaves \(0, 1\)", lambda: line.quantile(G, 1.5)),
    "u nan": (V, r"u leaves \(0, 1\)", lambda: line.quantile(G, nan)),
    "u ints": (T, "u is torch.int64", lambda: line.quantile(G, torch.tensor([0]))),
    "log u > 0": (V, r"u leaves \(0, 1\)", lambda: line.quantile(G, 0.5, log=True)),
    "mass turned": (V, "a > b; it must have a <= b", lambda: line.mass(G, 1.0, 0.0)),
    "mass nan": (V, "b holds NaN", lambda: line.mass(G, 0.0, nan)),
    "mass shape": (V, r"a has shape \(12,\)", lambda: line.mass(G, U, 1.0)),
    "atoms split": (
        S,
        "p has atoms, which no map can split",
        lambda: line.monotone(JUMPS["both"], G, rows(0.0)),
    ),
    "too far": (
        V,
        "log of its tail overflows",
        lambda: line.monotone(G, G, rows(1e200)),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
