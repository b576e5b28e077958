"""paths: coefficients against 50-digit arithmetic, slopes against differences.

Chains of steps against products in exact arithmetic. Tolerances: 4e-16 is two
roundings; a coefficient of float64 time may carry a few.
"""

import math
from fractions import Fraction

import mpmath
import pytest
import sympy
import torch
from examples import PATHS, TWO_ENDS, cuda, named, refuses, uniform
from hypothesis import given, settings
from hypothesis import strategies as st

from diffkit import paths

mpmath.mp.dps = 50
t = paths.t
LETTERS = ("a", "b", "g2", "da", "db", "gdg")
BRIDGE = paths.Path(1 - t, t, 2 * t * (1 - t), pinned=True)
TENTHS = paths.Path(1 - sympy.Rational(3, 10) * t, 0, t / 10)
MORE = {  # one end; all but the mirror rise
    "cosine": paths.cosine(),
    "short cosine": paths.cosine(0.1, 0.9),
    "mirror": paths.mirror(),
    "zero terminal": paths.zero_terminal(paths.vp()),
    "slow start": paths.reparametrise(paths.vp(), t**2),
    "log clock": paths.reparametrise(paths.edm(5.0), sympy.exp(t) - 1, T=1.5),
    "scaled": paths.rescale(paths.one_sided(), 1 + t),
}
PAIRS = {  # two ends
    "bridge": BRIDGE,
    "straight line": paths.straight(),
    "circle": paths.circle(),
    "noisy circle": paths.circle(t * (1 - t)),
    "brownian": paths.brownian(0.3),
    "encoding": paths.encoding_decoding(),
}
ALL = PATHS | {"tenths": TENTHS} | MORE | PAIRS
RISING = {k: p for k, p in (PATHS | MORE).items() if k != "mirror"}


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def papers() -> dict:
    """The coefficients a and g in 50 digits, from the papers and not from sympy."""
    m = mpmath
    low, ratio = m.mpf("0.01"), m.mpf(5) / m.mpf("0.01")

    def area(t: mpmath.mpf) -> mpmath.mpf:
        return m.quad(lambda u: m.mpf("0.1") + m.mpf("19.9") * u, [0, t])

    def vp(t: mpmath.mpf) -> tuple:
        return m.exp(-area(t) / 2), m.sqrt(1 - m.exp(-area(t)))

    def cosine(t: mpmath.mpf, s: mpmath.mpf) -> tuple:
        a = m.cos((t + s) / (1 + s) * m.pi / 2) / m.cos(s / (1 + s) * m.pi / 2)
        return a, m.sqrt(1 - a**2)

    def zero_terminal(t: mpmath.mpf) -> tuple:
        a, end = vp(t)[0], vp(m.mpf(1))[0]
        a = (a - end) / (1 - end)
        return a, m.sqrt(1 - a**2)

    return {
        "vp": vp,
        "trig": lambda t: (m.cos(m.pi * t / 2), m.sin(m.pi * t / 2)),
        "edm": lambda t: (1, t),
        "ve": lambda t: (1, low * m.sqrt(ratio ** (2 * t) - 1)),
        "straight": lambda t: (1 - t, t),
        "cosine": lambda t: cosine(t, m.mpf("0.008")),
        "short cosine": lambda t: cosine(t, m.mpf("0.1")),
        "mirror": lambda t: (1, m.sqrt(2 * t * (1 - t))),
        "zero terminal": zero_terminal,
        "slow start": lambda t: vp(t**2),
        "log clock": lambda t: (1, m.exp(t) - 1),
        "scaled": lambda t: ((1 + t) * (1 - t), (1 + t) * t),
    }


@pytest.mark.parametrize("time", [1e-12, 1e-6, 1e-3, 0.3, 0.9])
@named(PATHS | MORE)
def test_coefficients_are_the_papers_to_every_digit(name, time):
    a, g = papers()[name](mpmath.mpf(time))
    path = (PATHS | MORE)[name]
    c = path.at(time)
    assert c.a.item() == pytest.approx(float(a), rel=2e-15, abs=0)
    # relative: 1 - a^2 by subtraction would have no digit left at 1e-12
    assert c.g2.item() == pytest.approx(float(g**2), rel=4e-15, abs=0)
    assert c.g.item() == pytest.approx(float(g), rel=2e-15, abs=0)
    assert path.nsr(time).item() == pytest.approx(float(g / a), rel=4e-15, abs=0)
    want = float(2 * mpmath.log(a / g))
    assert path.logsnr(time).item() == pytest.approx(want, rel=1e-14, abs=4e-15)


def test_the_cosine_keeps_its_digits_where_it_vanishes():
    time = 1 - 2.0**-40
    a = mpmath.cos(mpmath.pi * mpmath.mpf(time) / 2)
    # cos(pi t/2) as it stands has four digits left
    assert paths.trig().at(time).a.item() == pytest.approx(float(a), rel=1e-15, abs=0)
    assert paths.circle().at(time).a.item() == pytest.approx(float(a), rel=1e-15, abs=0)


@pytest.mark.parametrize("name", ["trig", "straight", "cosine", "zero terminal"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_is_left_at_the_end(name, dtype):
    path = (PATHS | MORE)[name]
    time = torch.tensor([0.0, 0.5, 1.0], dtype=dtype)  # SIMD and scalar alike
    assert path.at(time.repeat(9)).a[2::3].abs().max() == 0
    assert path.nsr(time)[2] == math.inf and path.logsnr(time)[2] == -math.inf
    assert abs(path.at(time).a[0] - 1) <= 4 * torch.finfo(dtype).eps
    assert path.nsr(time)[0] == 0


@named(ALL)
def test_slopes_are_differences(name):
    path = ALL[name]
    time = (0.1 + 0.8 * uniform(6)) * path.T
    c, h = path.at(time), 1e-3 * path.T
    steps = [path.at(time + k * h) for k in (-2, -1, 1, 2)]
    for value, slope, scale in (("a", c.da, 1), ("b", c.db, 1), ("g2", c.gdg, 2)):
        u = [getattr(s, value) for s in steps]
        # central, fourth order: error h^4 f'''''/30, below 1e-7 relative
        want = (u[0] - 8 * u[1] + 8 * u[2] - u[3]) / (12 * h)
        torch.testing.assert_close(scale * slope, want, rtol=1e-7, atol=1e-9)


@named(ALL)
def test_the_start_is_the_data_and_slopes_stay_finite(name):
    c = ALL[name].at(0.0)
    assert c.a.item() == pytest.approx(1, abs=5e-16)  # two roundings
    assert c.b.item() == 0 and c.g2.item() == 0
    assert all(torch.isfinite(u) for u in c)


@named(PATHS)
def test_times_have_their_slope_in_the_ratio(name):
    path = PATHS[name]
    nsr = torch.tensor([0.05, 0.4, 1.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(path.when, nsr, eps=1e-6, rtol=1e-6, atol=1e-9)
    assert torch.equal(path.when(nsr), path.when(nsr.detach()))
    # at the data the slope of nsr may be infinite or 0: no gradient, and no NaN
    zero = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(path.when(zero).sum(), zero)
    assert torch.isfinite(slope).all()


@named(ALL)
def test_slopes_are_gradients_of_the_values(name):
    path = ALL[name]
    time = (0.02 + 0.96 * uniform(9)) * path.T
    time.requires_grad_()
    c = path.at(time)
    for value, slope, scale in ((c.a, c.da, 1), (c.b, c.db, 1), (c.g2, c.gdg, 2)):
        want = torch.zeros_like(time)
        if value.requires_grad:
            want = torch.autograd.grad(value.sum(), time, retain_graph=True)[0]
        # rounding, against slopes of up to 7
        torch.testing.assert_close(scale * slope.detach(), want, rtol=1e-13, atol=4e-14)


@named(PAIRS)
def test_the_second_end_is_x1(name):
    c = PAIRS[name].at(1.0)
    want = torch.tensor([0, 1, 0], dtype=torch.float64)
    torch.testing.assert_close(torch.stack(c[:3]), want, rtol=0, atol=1e-15)


def test_encoding_passes_through_noise_alone():
    path = PAIRS["encoding"]
    a, b, g2, da, db, gdg = path.at(tensor(0.5, 0.3, 0.7))
    assert [u[0].item() for u in (a, b, g2, da, db)] == [0, 0, 1, 0, 0]
    assert abs(gdg[0].item()) < 1e-15
    assert b[1] == 0 and a[2] == 0
    assert a[1].item() == pytest.approx(math.cos(0.3 * math.pi) ** 2, rel=1e-14, abs=0)
    assert g2[1].item() == pytest.approx(math.sin(0.3 * math.pi) ** 4, rel=1e-14, abs=0)
    assert b[2].item() == pytest.approx(math.cos(0.7 * math.pi) ** 2, rel=1e-14, abs=0)
    assert path.at(torch.tensor([0.2, 0.5])).a.dtype == torch.float32


def test_the_brownian_bridge_is_a_conditioned_walk():
    eps, n = 0.3, 10
    i = torch.arange(1, n + 1, dtype=torch.float64)
    walk = 2 * eps / n * torch.minimum(i, i[:, None])  # covariance of the walk
    mean = walk[:-1, -1] / walk[-1, -1]
    left = walk[:-1, :-1] - torch.outer(mean, walk[-1, :-1])  # given its last place
    c = paths.brownian(eps).at(i[:-1] / n)
    torch.testing.assert_close(c.b, mean, rtol=1e-14, atol=0)
    torch.testing.assert_close(c.a, 1 - mean, rtol=1e-14, atol=0)
    torch.testing.assert_close(c.g2, left.diagonal(), rtol=1e-14, atol=0)


def test_limits_are_other_paths():
    assert paths.brownian(0.0) == paths.straight() == paths.straight(g2=0)
    assert paths.brownian(1.0) == paths.straight(2 * t * (1 - t)) == BRIDGE
    assert paths.mirror(t * (1 - t)) == paths.mirror("t * (1 - t)")
    assert paths.vp(0.1, 20) == VP
    time = uniform(9)
    for u, v in zip(paths.cosine(0.0).at(time), PATHS["trig"].at(time), strict=True):
        torch.testing.assert_close(u, v, rtol=1e-14, atol=1e-15)
    for name in ("circle", "noisy circle"):
        c = PAIRS[name].at(time)
        torch.testing.assert_close(c.a**2 + c.b**2 + c.g2, torch.ones_like(time))


def test_conditions_of_sympy_become_torch():
    steep = sympy.Piecewise((t, (t < 0.25) | (t > 0.75)), (sympy.Min(t, 0.5), True))
    path = paths.Path(1 + sympy.Abs(t - 0.5) - 0.5, 0, steep)
    time = torch.tensor([0.1, 0.3, 0.5, 0.6, 0.9], dtype=torch.float64)
    c = path.at(time)
    want = torch.tensor([0.1, 0.3, 0.5, 0.5, 0.9], dtype=torch.float64)
    assert torch.equal(c.g2, want)
    torch.testing.assert_close(c.a, 0.5 + (time - 0.5).abs(), rtol=1e-15, atol=0)
    # at a corner the slope is the mean of both sides
    assert c.da.tolist() == [-1, -1, 0, 1, 1]
    assert c.gdg.tolist() == [0.5, 0.5, 0.25, 0, 0.5]


def test_gdg_is_finite_where_the_slope_of_g_is_not():
    assert paths.vp().at(0.0).gdg.item() == pytest.approx(0.05, rel=1e-15, abs=0)


def test_constants_have_all_their_digits_and_the_shape_of_time():
    c = TENTHS.at(uniform(2, 3))
    assert all(u.shape == (2, 3) and u.dtype == torch.float64 for u in c)
    assert c.da[0, 0].item() == -0.3 and c.gdg[1, 2].item() == 0.05


@named(PATHS)
def test_latex_and_code_are_the_same_expression(name):
    path = PATHS[name]
    time = sympy.Rational(1, 3)
    for letter in ("a", "g2"):
        want = getattr(path, letter).subs(t, time).evalf(30)
        got = getattr(path.at(float(time)), letter).item()
        assert got == pytest.approx(float(want), rel=1e-14, abs=0)
    text = path._repr_latex_()
    assert text.startswith("$x_t = ") and "x_0" in text and "z" in text
    assert "x_1" not in text and sympy.latex(path.a) in text
    assert "x_1" in BRIDGE._repr_latex_()


@named(RISING)
def test_when_inverts_nsr(name):
    path = RISING[name]
    time = path.T * torch.tensor([1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999]).double()
    torch.testing.assert_close(path.when(path.nsr(time)), time, rtol=1e-12, atol=0)
    assert path.when(0.0).item() == 0
    # the first time of this ratio: it may be a rounding before T
    assert path.when(path.nsr(path.T)).item() == pytest.approx(path.T, rel=4e-16, abs=0)


EXACT = settings(max_examples=25, deadline=None, derandomize=True)
FULL = ("vp", "trig", "straight", "zero terminal", "slow start", "scaled", "cosine")


@EXACT
@given(st.floats(-6, 4), st.sampled_from(FULL))
def test_nsr_inverts_when(log_nsr, name):
    path = RISING[name]
    nsr = min(10**log_nsr, path.nsr(path.T).item())
    time = path.when(nsr)
    # nsr is about 1 / (T - t) near the end: one bit of t is nsr roundings
    bits = max(1e-12, 4e-16 * nsr)
    assert path.nsr(time).item() == pytest.approx(nsr, rel=bits, abs=0)
    back = path.when_logsnr(path.logsnr(time)).item()
    assert back == pytest.approx(time.item(), rel=1e-12, abs=0)


@pytest.mark.parametrize("power", [1, 4])
def test_when_keeps_its_digits_at_tiny_times(power):
    # g^2 = 100 t: nsr 1e-6 is reached at 1e-14, which halving [0, 1] would not see
    path = paths.reparametrise(paths.Path(1, 0, 100 * t), t**power)
    nsr = torch.tensor([1e-6, 1e-3, 1.0, 9.0]).double()
    want = (nsr**2 / 100) ** (1 / power)
    torch.testing.assert_close(path.when(nsr), want, rtol=1e-14, atol=0)
    far = paths.edm(1e4)
    torch.testing.assert_close(far.when(1e3 * nsr), 1e3 * nsr, rtol=1e-15, atol=0)


def test_when_takes_a_table_of_ratios_to_the_noise_end():
    nsr = torch.tensor([[0.5, 1.0], [3.0, math.inf]])
    time = paths.one_sided().when(nsr)
    want = torch.tensor([[1 / 3, 0.5], [0.75, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(time, want, rtol=1e-14, atol=0)


def test_vp_and_trig_preserve_variance_and_ve_reaches_its_end():
    for name in ("vp", "trig"):
        c = PATHS[name].at(uniform(9))
        torch.testing.assert_close(c.a**2 + c.g2, torch.ones_like(c.a))
    # the top level is sigma_max^2 - sigma_min^2, because the data has no noise
    assert paths.ve(3.0, 5.0).at(1.0).g.item() == pytest.approx(4.0, rel=1e-14, abs=0)
    assert paths.edm(7.0).at(7.0).g.item() == 7 and paths.edm(7.0).T == 7


# --------------------------------------------------------------- changes


def same(one: tuple, other: tuple, rtol: float = 1e-13) -> None:
    for u, v in zip(one, other, strict=True):
        torch.testing.assert_close(u, v, rtol=rtol, atol=1e-14)


CLOCKS = (t, t**2, (t + t**3) / 2, sympy.sin(sympy.pi * t / 2), t / (2 - t))


@named({k: p for k, p in ALL.items() if p.T == 1})
def test_changes_that_change_nothing(name):
    path = ALL[name]
    assert paths.reparametrise(path, t) == path
    assert paths.rescale(path, 1) == path
    if path.b != 0:
        back = paths.reverse(path)
        assert paths.reverse(back) == path
        time = uniform(9)
        c, r = path.at(time), back.at(1 - time)
        same((c.a, c.b, c.g2), (r.b, r.a, r.g2))
        same((c.da, c.db, c.gdg), (-r.db, -r.da, -r.gdg), rtol=1e-11)


@EXACT
@given(st.sampled_from(CLOCKS), st.sampled_from(CLOCKS), st.sampled_from(list(ALL)))
def test_clocks_compose_and_carry_the_slopes(tau, rho, name):
    path = ALL[name] if ALL[name].T == 1 else BRIDGE
    time = 0.05 + 0.9 * uniform(5)
    once = paths.reparametrise(path, tau)
    twice = paths.reparametrise(once, rho)
    same(twice.at(time), paths.reparametrise(path, tau.subs(t, rho)).at(time), 1e-11)
    turn = sympy.lambdify(t, tau, modules=[{"sin": torch.sin}, "math"])
    value = turn(leaf := time.clone().requires_grad_())
    (slope,) = torch.autograd.grad(value.sum(), leaf)
    value = value.detach()
    c, now = path.at(value), once.at(time)
    same(now[:3], c[:3], 1e-12)
    same(now[3:], [slope * u for u in c[3:]], 1e-11)


@named({k: p for k, p in RISING.items() if p.T == 1})
def test_the_same_world_in_other_units_and_at_another_speed(name):
    path, time = RISING[name], 0.05 + 0.9 * uniform(5)
    other = paths.rescale(paths.reparametrise(path, t**2), sympy.exp(t))
    torch.testing.assert_close(other.nsr(time), path.nsr(time**2), rtol=1e-12, atol=0)
    want = time.exp() * path.at(time**2).a
    torch.testing.assert_close(other.at(time).a, want, rtol=1e-12, atol=0)
    c = path.at(time**2)
    want = (2 * time).exp() * (c.g2 + 2 * time * c.gdg)  # (e^2t g2(t^2))' / 2
    torch.testing.assert_close(other.at(time).gdg, want, rtol=1e-12, atol=0)


def test_zero_terminal_shifts_and_scales():
    path, time = paths.vp(0.1, 3.0), uniform(9)
    found = paths.zero_terminal(path)
    a, end = path.at(time).a, path.at(1.0).a
    torch.testing.assert_close(found.at(time).a, (a - end) / (1 - end))
    c = found.at(time)
    torch.testing.assert_close(c.a**2 + c.g2, torch.ones_like(a))
    assert paths.zero_terminal(paths.trig()) == paths.trig()
    assert paths.zero_terminal(found).at(0.3) == found.at(0.3)


def test_coefficients_may_be_long_rationals():
    # float64 numbers made exact: their products have more digits than an integer of
    # torch, and are numbers like others
    rate, bend = sympy.Rational(5.368723456789123), sympy.Rational(3.757316231893614)
    area = sympy.expand(rate * ((1 + (bend - 1) * paths.t) ** 3 - 1) / (bend**3 - 1))
    path = paths.Path(sympy.exp(-area / 2), 0, 1 - sympy.exp(-area))
    time, end = uniform(9), path.at(1.0).a
    want = (path.at(time).a - end) / (1 - end)
    found = paths.zero_terminal(path).at(time)
    torch.testing.assert_close(found.a, want, rtol=1e-12, atol=1e-15)


# ------------------------------------------------------------------- sde


@named(RISING)
def test_the_sde_has_the_laws_of_the_path(name):
    path = RISING[name]
    time = (0.05 + 0.9 * uniform(6)) * path.T
    f, h2 = path.sde(time)
    c = path.at(time)
    # the variance v of a x0 + g z, where x0 has variance 2.5: v' = 2 f v + h^2
    v, slope = 2.5 * c.a**2 + c.g2, 2 * (2.5 * c.a * c.da + c.gdg)
    torch.testing.assert_close(2 * f * v + h2, slope, rtol=1e-12, atol=1e-13)
    assert (h2 >= 0).all()


def test_the_sde_of_the_papers():
    time = uniform(5)
    beta = 0.1 + 19.9 * time
    same(paths.vp().sde(time), (-beta / 2, beta))
    same(paths.edm(5.0).sde(5 * time), (torch.zeros(5).double(), 10 * time))
    same(paths.one_sided().sde(time), (-1 / (1 - time), 2 * time / (1 - time)), 1e-12)
    assert paths.Path(1, 0, 0).sde(time).h2.tolist() == [0] * 5


# ---------------------------------------------------------------- chains

LINEAR, COSINE = paths.linear_betas(), paths.cosine_betas()
CHAINS = {
    "linear": LINEAR,
    "cosine": COSINE,
    "steep": paths.linear_betas(1000, 1e-3, 0.2),  # abar_N = e^-108
    "short": paths.linear_betas(7, 0.02, 0.4),
    "one": paths.linear_betas(1, 0.5, 0.5),
}


def fractions(betas: torch.Tensor) -> list[mpmath.mpf]:
    """abar_n of these very floats, in 50 digits."""
    abar, found = mpmath.mpf(1), []
    for beta in betas.tolist():
        left = 1 - Fraction(beta)
        abar *= mpmath.mpf(left.numerator) / left.denominator
        found.append(abar)
    return found


def test_the_lists_of_the_papers():
    m = mpmath.mp
    want = [m.mpf("1e-4") + n * m.mpf("0.0199") / 999 for n in range(1000)]
    assert LINEAR.tolist() == pytest.approx([float(w) for w in want], rel=1e-15, abs=0)
    s = m.mpf("0.008")
    f = [m.cos((m.mpf(n) / 1000 + s) / (1 + s) * m.pi / 2) ** 2 for n in range(1001)]
    want = [min(1 - f[n] / f[n - 1], m.mpf("0.999")) for n in range(1, 1001)]
    assert COSINE.tolist() == pytest.approx([float(w) for w in want], rel=2e-14, abs=0)
    # the clip touches the last step alone
    free = paths.cosine_betas(clip=1.0)
    assert free[-1] == 1 and torch.equal(free[:-1], COSINE[:-1]) and free[-2] < 0.76


@named(CHAINS)
def test_chains_are_products(name):
    abar = fractions(CHAINS[name])
    want = [float(mpmath.log(u)) for u in abar]
    # a running sum of N terms keeps all but log2 N bits, if unlucky
    got = paths.log_abar(CHAINS[name])
    assert got.tolist() == pytest.approx(want, rel=1e-13, abs=0)
    want = [float(mpmath.sqrt(1 / u - 1)) for u in abar]
    assert paths.chain_nsr(CHAINS[name]).tolist() == pytest.approx(
        want, rel=1e-12, abs=0
    )


def test_the_product_may_underflow():
    betas = torch.full((1400,), 0.6, dtype=torch.float64)
    assert (1 - betas).prod() == 0
    want = 1400 * math.log(0.4)
    assert paths.log_abar(betas)[-1].item() == pytest.approx(want, rel=1e-13, abs=0)
    assert paths.chain_nsr(betas)[-1].item() == pytest.approx(
        math.exp(-want / 2), rel=1e-10, abs=0
    )


@named(CHAINS)
@pytest.mark.parametrize("host", ["trig", "zero terminal"])
def test_the_path_passes_through_the_chain(name, host):
    path, betas, abar = (PATHS | MORE)[host], CHAINS[name], fractions(CHAINS[name])
    time = paths.embed(path, betas)
    assert time.shape == betas.shape and (time.diff() >= 0).all()
    c = path.at(time)
    # a signal of 1e-8 has half its digits left in t, one of 1e-16 none
    want = tensor(*(float(u) for u in abar))
    torch.testing.assert_close(c.a**2, want, rtol=1e-7, atol=1e-15)
    want = tensor(*(float(1 - u) for u in abar))
    torch.testing.assert_close(c.g2, want, rtol=1e-12, atol=0)
    if name in ("linear", "short", "one"):  # the others leave too little signal
        got = paths.betas_on(path, time)
        torch.testing.assert_close(got, betas, rtol=1e-9, atol=0)


def test_betas_on_the_cosine_path_are_the_list():
    time = torch.arange(1, 1001).double() / 1000
    got = paths.betas_on(paths.cosine(), time)
    torch.testing.assert_close(got, paths.cosine_betas(clip=1.0), rtol=1e-9, atol=0)
    # of any path of the same nsr: the scale does not matter
    scaled = paths.rescale(paths.cosine(), sympy.exp(-t))
    torch.testing.assert_close(paths.betas_on(scaled, time), got, rtol=1e-9, atol=0)


@named(CHAINS)
def test_zero_terminal_chains_are_shifted_roots(name):
    betas = CHAINS[name]
    roots = [mpmath.mpf(1)] + [mpmath.sqrt(u) for u in fractions(betas)]
    for keep in (0, 1)[: len(betas)]:
        scale = roots[keep] / (roots[keep] - roots[-1])
        moved = [(r - roots[-1]) * scale for r in roots]
        moved[0] = mpmath.mpf(1)
        want = [1 - (v / u) ** 2 for u, v in zip(moved, moved[1:], strict=False)]
        got = paths.zero_terminal_betas(betas, keep)
        # sums of N logarithms cancel in each step: N roundings of log abar
        assert got.tolist() == pytest.approx([float(w) for w in want], rel=1e-9, abs=0)
        assert got[-1] == 1 and torch.equal(paths.zero_terminal_betas(got), got)


def test_zero_terminal_of_the_path_and_of_its_chain_agree():
    path, time = paths.vp(), torch.arange(1, 101).double() / 100
    chain = paths.zero_terminal_betas(paths.betas_on(path, time), keep=0)
    want = paths.betas_on(paths.zero_terminal(path), time)
    torch.testing.assert_close(chain, want, rtol=1e-10, atol=0)


def test_chains_keep_the_type():
    low = LINEAR.float()
    found = (paths.log_abar(low), paths.chain_nsr(low), paths.zero_terminal_betas(low))
    assert all(u.dtype == torch.float32 and u.isfinite().all() for u in found)
    torch.testing.assert_close(
        found[0].double(), paths.log_abar(LINEAR), rtol=1e-5, atol=0
    )


# ---------------------------------------------------------- types, refusals


def test_the_type_of_time_is_the_type_of_the_coefficients():
    for path in ALL.values():
        c = path.at(torch.tensor([1e-6, 0.5]))
        assert all(u.dtype == torch.float32 and u.shape == (2,) for u in c)
        assert path.at(torch.zeros(0, 3).double()).gdg.shape == (0, 3)
    c = paths.vp().at(torch.tensor([1e-6, 0.5]))
    want = paths.vp().at(torch.tensor([1e-6, 0.5]).double())
    torch.testing.assert_close(c.g2.double(), want.g2, rtol=3e-7, atol=0)


@cuda
def test_coefficients_on_the_gpu():
    time = uniform(5)
    for path in ALL.values():
        far = path.at(time.cuda())
        same([u.cpu() for u in far], path.at(time))
    assert paths.vp().when(paths.vp().nsr(time.cuda())).is_cuda
    assert paths.zero_terminal_betas(LINEAR.cuda()).is_cuda


V, T = ValueError, TypeError
VP, nan, inf = paths.vp(), float("nan"), float("inf")
u = sympy.Symbol("u")
GAP = sympy.Piecewise((t, t < 0.5))
ROOT = paths.Path(1, 0, sympy.sqrt(t) * sympy.sin(t))  # slope sin(t) / 2 sqrt(t)
FAST = paths.Path(1, 0, sympy.sqrt(t))
span = r"t runs from .*; this path lives on \[0, 1\]"
WRONG = {
    "late": (V, span, lambda: VP.at(1.1)),
    "early": (V, span, lambda: VP.at(-1e-9)),
    "one late": (V, span, lambda: VP.at(torch.tensor([0.5, 1.5]))),
    "nan": (V, "t holds NaN", lambda: VP.at(nan)),
    "inf": (V, "t holds NaN or inf", lambda: VP.at(inf)),
    "ints": (T, "t is torch.int64", lambda: VP.at(torch.tensor([0, 1]))),
    "nsr late": (V, span, lambda: VP.nsr(2.0)),
    "logsnr nan": (V, "t holds NaN", lambda: VP.logsnr(nan)),
    "symbol": (T, "a = u depends on u.*paths.t alone", lambda: paths.Path(u, 0, t)),
    "start a": (V, r"at t = 0 .*must be \(1, 0, 0\)", lambda: paths.Path(t, 0, t)),
    "start b": (V, "at t = 0", lambda: paths.Path(1, 1 - t, t)),
    "start g2": (V, "at t = 0", lambda: paths.Path(1, 0, 1 + t)),
    "start nan": (V, "at t = 0", lambda: paths.Path(sympy.sin(t) / t, 0, t)),
    "start infinite": (V, "at t = 0", lambda: paths.Path(1, 0, sympy.log(t))),
    "T zero": (V, "T is 0.*positive finite", lambda: paths.Path(1, 0, t, 0.0)),
    "T inf": (V, "T is inf", lambda: paths.Path(1, 0, t, inf)),
    "T nan": (V, "T is nan", lambda: paths.Path(1, 0, t, nan)),
    "g2 < 0": (V, "g.2 negative.*g.2 = -t", lambda: paths.Path(1, 0, -t).at(0.5)),
    "pole": (V, "not finite", lambda: paths.Path(1 / (1 - t), 0, t).at(1.0)),
    "when < 0": (V, "nsr runs from -1.*reaches 0 to", lambda: VP.when(-1.0)),
    "when nan": (V, "nsr runs from nan", lambda: VP.when(nan)),
    "when beyond": (V, "reaches 0 to 152", lambda: VP.when(1e3)),
    "when falls": (V, "ratio falls along", lambda: paths.mirror().when(0.1)),
    "logsnr beyond": (V, "reaches 0 to 152", lambda: VP.when_logsnr(-40.0)),
    "string": (T, "a = '1 -'; it must be an expr", lambda: paths.Path("1 -", 0, t)),
    "no expression": (T, "it must be an expr", lambda: paths.Path([1], 0, t)),
    "imaginary": (T, "uses ImaginaryUnit", lambda: paths.Path(sympy.exp(1j * t), 0, t)),
    "function": (T, "uses zeta; it may", lambda: paths.Path(1, 0, sympy.zeta(t))),
    "unknown symbol": (T, "put numbers", lambda: paths.straight(u * t * (1 - t))),
    "T kind": (T, "T is str; it must be", lambda: paths.Path(1, 0, t, "1")),
    "time kind": (T, "t is list; it must be a tensor", lambda: VP.at([0.5])),
    "end": (V, r"t = T = 1 .*must have \(0, 1, 0\)", lambda: paths.straight(t)),
    "end one": (V, "a pinned path", lambda: paths.Path(1 - t, 0, t, pinned=True)),
    "mirror": (V, "is not 0 at t = 1; a mirror", lambda: paths.mirror(t)),
    "slope": (V, "0/0 at some t", lambda: ROOT.at(0.0)),
    "no case": (V, "not finite", lambda: paths.Path(1, 0, GAP).at(0.7)),
    "sde two ends": (V, "second end", lambda: BRIDGE.sde(0.5)),
    "sde end": (V, "a = 0 at some t; the rate", lambda: paths.trig().sde(1.0)),
    "sde falls": (V, "ratio falls at some t", lambda: paths.mirror().sde(0.7)),
    "sde slope": (V, "slope of the path is infinite", lambda: FAST.sde(0.0)),
    "clock start": (V, "must run from 0 to", lambda: paths.reparametrise(VP, 1 - t)),
    "clock end": (V, "at most 1", lambda: paths.reparametrise(VP, 2 * t)),
    "clock pole": (V, "runs from zoo", lambda: paths.reparametrise(VP, sympy.log(t))),
    "clock complex": (
        V,
        "runs from",
        lambda: paths.reparametrise(VP, 1 - (1 - 2 * t) ** 0.5),
    ),
    "clock back": (
        V,
        "does not increase",
        lambda: paths.reparametrise(VP, t**2 * (3 - 2.5 * t)),
    ),
    "clock late": (
        V,
        r"must have \(0, 1, 0\)",
        lambda: paths.reparametrise(BRIDGE, t / 2),
    ),
    "clock T": (V, "T is -1", lambda: paths.reparametrise(VP, t, -1)),
    "scale": (V, "is not positive", lambda: paths.rescale(VP, 1 - 2 * t)),
    "scale start": (V, "at t = 0", lambda: paths.rescale(VP, 2)),
    "scale end": (V, "a pinned path", lambda: paths.rescale(BRIDGE, 1 + t)),
    "reverse": (V, "is not pinned", lambda: paths.reverse(VP)),
    "terminal": (
        V,
        r"a.2 \+ g.2 is 26 at",
        lambda: paths.zero_terminal(paths.edm(5.0)),
    ),
    "terminal two": (V, "second end", lambda: paths.zero_terminal(BRIDGE)),
    "terminal odd": (V, "last bit", lambda: paths.zero_terminal(MORE["short cosine"])),
    "offset": (V, "offset s is -1", lambda: paths.cosine(-1)),
    "cosine T": (V, "T is 1.1; the cosine", lambda: paths.cosine(T=1.1)),
    "eps": (V, "eps is -1", lambda: paths.brownian(-1)),
    "N": (V, "N is 0; it must be a whole", lambda: paths.linear_betas(0)),
    "N half": (V, "N is 0.5", lambda: paths.cosine_betas(0.5)),
    "beta 1": (V, "last < 1", lambda: paths.linear_betas(10, 0.1, 1.0)),
    "chain offset": (V, "offset s is nan", lambda: paths.cosine_betas(9, nan)),
    "clip": (V, r"clip is 0; .*\(0, 1\]", lambda: paths.cosine_betas(9, clip=0)),
    "betas": (
        V,
        "betas run from -0.1 to 0.2",
        lambda: paths.log_abar(tensor(-0.1, 0.2)),
    ),
    "betas empty": (V, r"shape \(0,\)", lambda: paths.log_abar(tensor())),
    "betas nan": (V, "betas holds NaN", lambda: paths.chain_nsr(tensor(nan))),
    "betas ints": (
        T,
        "betas is torch.int64",
        lambda: paths.log_abar(torch.tensor([0])),
    ),
    "too noisy": (
        V,
        "reaches 0 to 152",
        lambda: paths.embed(VP, tensor(0.9, 0.9999999)),
    ),
    "times": (V, "increasing", lambda: paths.betas_on(VP, tensor(0.5, 0.4))),
    "times fall": (
        V,
        "betas run",
        lambda: paths.betas_on(paths.mirror(), tensor(0.5, 0.8)),
    ),
    "keep": (V, "keep is 2", lambda: paths.zero_terminal_betas(LINEAR, 2)),
    "keep one": (V, "add noise after", lambda: paths.zero_terminal_betas(tensor(0.5))),
    "last still": (V, "add noise", lambda: paths.zero_terminal_betas(tensor(0.5, 0.0))),
    "when two ends": (V, "second end, b = t", lambda: TWO_ENDS.when(0.5)),
    "beta": (V, "beta runs from 20.0 to 0.1", lambda: paths.vp(20.0, 0.1)),
    "beta zero": (V, "0 < beta_min", lambda: paths.vp(0.0, 0.1)),
    "beta nan": (V, "beta runs from nan", lambda: paths.vp(nan)),
    "beta inf": (V, "to inf", lambda: paths.vp(0.1, inf)),
    "sigma": (V, "sigma runs from 2.0 to 1.0", lambda: paths.ve(2.0, 1.0)),
    "sigma nan": (V, "sigma runs from nan", lambda: paths.ve(nan)),
    "sigma inf": (V, "to inf", lambda: paths.ve(1.0, inf)),
    "sigma_max": (V, "T is -1.0", lambda: paths.edm(-1.0)),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])


def test_a_long_path_may_be_rescaled_too():
    wide = paths.rescale(paths.edm(5.0), 1 + t)
    for time in (0.5, 4.5):
        assert wide.nsr(time).item() == pytest.approx(time, rel=1e-14, abs=0)
        assert wide.at(time).a.item() == pytest.approx(1 + time, rel=1e-14, abs=0)
