"""paths: coefficients against 50-digit arithmetic, slopes against differences.

Tolerances: 4e-16 is two roundings; a coefficient of float64 time may carry a few.
"""

import math

import mpmath
import pytest
import sympy
import torch
from examples import PATHS, TWO_ENDS, cuda, named, refuses, uniform
from hypothesis import given, settings
from hypothesis import strategies as st

from diffkit import paths

t = paths.t
LETTERS = ("a", "b", "g2", "da", "db", "gdg")
BRIDGE = paths.Path(1 - t, t, 2 * t * (1 - t))
TENTHS = paths.Path(1 - sympy.Rational(3, 10) * t, 0, t / 10)
ALL = PATHS | {"bridge": BRIDGE, "tenths": TENTHS}


def papers() -> dict:
    """The coefficients a and g in 50 digits, from the papers and not from sympy."""
    m = mpmath
    m.mp.dps = 50
    low, ratio = m.mpf("0.01"), m.mpf(5) / m.mpf("0.01")

    def area(t: mpmath.mpf) -> mpmath.mpf:
        return m.quad(lambda u: m.mpf("0.1") + m.mpf("19.9") * u, [0, t])

    return {
        "vp": lambda t: (m.exp(-area(t) / 2), m.sqrt(1 - m.exp(-area(t)))),
        "trig": lambda t: (m.cos(m.pi * t / 2), m.sin(m.pi * t / 2)),
        "edm": lambda t: (1, t),
        "ve": lambda t: (1, low * m.sqrt(ratio ** (2 * t) - 1)),
        "straight": lambda t: (1 - t, t),
    }


@pytest.mark.parametrize("time", [1e-12, 1e-6, 1e-3, 0.3, 0.9])
@named(PATHS)
def test_coefficients_are_the_papers_to_every_digit(name, time):
    a, g = papers()[name](mpmath.mpf(time))
    c = PATHS[name].at(time)
    assert c.a.item() == pytest.approx(float(a), rel=2e-15, abs=0)
    # relative: 1 - a^2 by subtraction would have no digit left at 1e-12
    assert c.g2.item() == pytest.approx(float(g**2), rel=4e-15, abs=0)
    assert c.g.item() == pytest.approx(float(g), rel=2e-15, abs=0)
    assert PATHS[name].nsr(time).item() == pytest.approx(float(g / a), rel=4e-15)
    want = float(2 * mpmath.log(a / g))
    assert PATHS[name].logsnr(time).item() == pytest.approx(want, rel=1e-14)


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
    assert [u.item() for u in c[:3]] == [1, 0, 0]
    assert all(torch.isfinite(u) for u in c)


def test_gdg_is_finite_where_the_slope_of_g_is_not():
    assert paths.vp().at(0.0).gdg.item() == pytest.approx(0.05, rel=1e-15)


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
        assert got == pytest.approx(float(want), rel=1e-14)
    text = path._repr_latex_()
    assert text.startswith("$x_t = ") and "x_0" in text and "z" in text
    assert "x_1" not in text and sympy.latex(path.a) in text
    assert "x_1" in BRIDGE._repr_latex_()


@named(PATHS)
def test_when_inverts_nsr(name):
    path = PATHS[name]
    time = path.T * torch.tensor([1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999]).double()
    torch.testing.assert_close(path.when(path.nsr(time)), time, rtol=1e-12, atol=0)
    assert path.when(0.0).item() == 0
    assert path.when(path.nsr(path.T)).item() == path.T


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.floats(-6, 2), st.sampled_from(["vp", "trig", "straight"]))
def test_nsr_inverts_when(log_nsr, name):
    nsr = 10**log_nsr
    got = PATHS[name].nsr(PATHS[name].when(nsr)).item()
    # at nsr 1e2 the angle is 0.01 from a quarter turn: 1e2 roundings
    assert got == pytest.approx(nsr, rel=1e-12)


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
    assert paths.ve(3.0, 5.0).at(1.0).g.item() == pytest.approx(4.0, rel=1e-14)
    assert paths.edm(7.0).at(7.0).g.item() == 7 and paths.edm(7.0).T == 7


def test_the_type_of_time_is_the_type_of_the_coefficients():
    c = paths.vp().at(torch.tensor([1e-6, 0.5]))
    assert all(u.dtype == torch.float32 for u in c)
    want = paths.vp().at(torch.tensor([1e-6, 0.5]).double())
    torch.testing.assert_close(c.g2.double(), want.g2, rtol=3e-7, atol=0)


@cuda
def test_coefficients_on_the_gpu():
    time = uniform(5)
    far = paths.vp().at(time.cuda())
    for u, v in zip(far, paths.vp().at(time), strict=True):
        torch.testing.assert_close(u.cpu(), v, rtol=1e-14, atol=0)


V, T = ValueError, TypeError
VP, nan, inf = paths.vp(), float("nan"), float("inf")
u = sympy.Symbol("u")
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
