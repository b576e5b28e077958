"""tableaus: orders by rooted trees, by rational power series and by regression.

The test problem is nonlinear, coupled and depends on time: x' = -2 t x^2 and
y' = (cos t - 2 t x) y, so x = 1 / (1/x_0 + t^2) and y = x e^{sin t} up to a factor.
The grids are uneven, so a step that is not its own shows. Tolerance 1e-12 where both
sides are some dozens of operations on numbers of order one.
"""

import itertools
import math
import random
import re
from fractions import Fraction as F

import numpy as np
import pytest
import scipy.integrate
import sympy
import torch
from examples import named, normal, refuses, uniform
from sympy.polys.domains import QQ
from sympy.polys.ring_series import rs_integrate, rs_trunc
from sympy.polys.rings import ring

from diffkit import solvers, tables

close = {"rtol": 1e-12, "atol": 1e-12}
ORDERS = {
    "euler": 1,
    "midpoint": 2,
    "heun": 2,
    "ralston": 2,
    "heun3": 3,
    "kutta3": 3,
    "ralston3": 3,
    "rk4": 4,
    "rk38": 4,
    "dormand_prince": 5,
}
METHODS = {name: getattr(tables, name.upper()) for name in ORDERS}
PAIRS = {"dormand_prince": 4, "bogacki_shampine": 2}  # the order of the lower one
PATIENT = {"euler", "midpoint", "ralston", "heun3", "ralston3"}  # no stage at the end
START, END = 0.3, 3.3


def problem(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """(x', y')."""
    u, v = x.unbind(-1)
    return torch.stack([-2 * t * u**2, (math.cos(t) - 2 * t * u) * v], -1)


def solution(x: torch.Tensor, t: float, s: float) -> torch.Tensor:
    """From time t to time s, exactly."""
    u, v = x.unbind(-1)
    w = 1 / (1 / u + s**2 - t**2)
    return torch.stack([w, v * w / u * math.exp(math.sin(s) - math.sin(t))], -1)


BEGIN = 0.1 + 0.2 * uniform(4, 2)
WAYS = {
    "up": (BEGIN, START, END),
    "down": (solution(BEGIN, START, END), END, START),
}


def uneven(t: float, s: float, n: int) -> torch.Tensor:
    """n steps from t to s, the first nearly twice as long as the last."""
    u = torch.linspace(0, 1, n + 1, dtype=torch.float64)
    return t + (s - t) * (u + 0.3 * u * (1 - u))


def slope(steps: list[int], errors: list[float]) -> float:
    """Of log error against log step."""
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


# ------------------------------------------------------------------------ trees


def test_there_are_as_many_trees_as_cayley_counted():
    # n r_{n+1} = sum_k (sum_{d | k} d r_d) r_{n-k+1}, the recurrence of Euler's product
    r = [0, 1]
    for n in range(1, 8):
        powers = [
            sum(d * r[d] for d in range(1, k + 1) if k % d == 0) for k in range(n)
        ]
        powers.append(sum(d * r[d] for d in range(1, n + 1) if n % d == 0))
        r.append(sum(powers[k] * r[n - k + 1] for k in range(1, n + 1)) // n)
    assert r[1:] == [1, 1, 2, 4, 9, 20, 48, 115]
    assert [len(tables.trees(n)) for n in range(1, 9)] == r[1:]
    assert all(len(set(tables.trees(n))) == r[n] for n in range(1, 9))


def symmetry(tree: tuple) -> int:
    """How many ways there are to turn the tree into itself."""
    groups = [(u, len(list(same))) for u, same in itertools.groupby(tree)]
    return math.prod(math.factorial(m) * symmetry(u) ** m for u, m in groups)


@pytest.mark.parametrize("n", range(1, 8))
def test_labels_that_grow_from_the_root_are_counted_by_density(n):
    # n! / (symmetry gamma) labellings each; vertex k + 1 may hang on any of k: (n - 1)!
    ways = (
        F(math.factorial(n), symmetry(u) * tables.density(u)) for u in tables.trees(n)
    )
    assert sum(ways) == math.factorial(n - 1)


H, h = ring("h", QQ)


def exact(field, start: list, n: int) -> list:
    """The solution as a power series in h up to h^n, by n integrations."""
    y = [H(v) for v in start]
    for _ in range(n):
        slopes = [rs_trunc(H(u), h, n) for u in field(y)]
        y = [v + rs_integrate(u, h) for v, u in zip(start, slopes, strict=True)]
    return y


def one_step(method: tables.Tableau, field, start: list, n: int) -> list:
    """A step of length h as a power series, up to h^n."""
    slopes = []

    def moved(row):
        return [
            v + h * sum(QQ(w.numerator, w.denominator) * k[i] for w, k in terms)
            for i, v in enumerate(start)
            for terms in [list(zip(row, slopes, strict=False))]
        ]

    for row in method.a:
        slopes.append([rs_trunc(H(u), h, n) for u in field(moved(row))])
    return [rs_trunc(H(u), h, n + 1) for u in moved(method.b)]


def system(tree: tuple):
    """One equation for each vertex, y' = the product of its branches' y; y(0) = 0."""
    branches = []

    def visit(vertex: tuple) -> int:
        mine = len(branches)
        branches.append([])
        branches[mine] = [visit(u) for u in vertex]
        return mine

    visit(tree)
    return lambda y: [math.prod((y[j] for j in js), start=H(1)) for js in branches]


@named(METHODS | {"pair": None})
def test_every_tree_is_a_differential_equation(name):
    # of whose solution it is the only term, so both sides of its condition are read off
    method = METHODS.get(name) or tables.DORMAND_PRINCE.embedded
    for n in range(1, 7):
        for tree in tables.trees(n):
            field = system(tree)
            root = exact(field, [QQ(0)] * n, n)[0]
            assert root == h**n / tables.density(tree)
            weight = method.weight(tree)
            step = one_step(method, field, [QQ(0)] * n, n)[0]
            assert step == h**n * QQ(weight.numerator, weight.denominator)


def series_order(method: tables.Tableau) -> int:
    """How many terms agree on a system of three polynomials of degree five."""
    draw = random.Random(0)
    terms = [
        [
            (QQ(draw.randint(-9, 9), draw.randint(1, 9)), draw.choices(range(3), k=k))
            for k in range(6)
        ]
        for _ in range(3)
    ]

    def field(y):
        return [
            sum(c * math.prod((y[i] for i in picked), start=H(1)) for c, picked in row)
            for row in terms
        ]

    start = [QQ(1), QQ(1, 2), QQ(-1, 3)]
    pairs = zip(exact(field, start, 6), one_step(method, field, start, 6), strict=True)
    off = [u - v for u, v in pairs]
    return min(min(p for (p,) in u.monoms()) for u in off if u) - 1


@named(METHODS)
def test_order_by_trees_is_order_by_power_series_and_no_more(name):
    method = METHODS[name]
    assert method.order == ORDERS[name] == series_order(method)


@named(PAIRS)
def test_the_embedded_method_is_of_lower_order(name):
    method = getattr(tables, name.upper())
    assert method.embedded.order == PAIRS[name] == series_order(method.embedded)
    assert method.order == PAIRS[name] + 1


def some_tableau(stages: int, seed: int) -> tables.Tableau:
    """Rational weights without any design."""
    draw = random.Random(seed)

    def row(k: int) -> list[F]:
        return [F(draw.randint(-9, 9), draw.randint(1, 9)) for _ in range(k)]

    b = row(stages - 1)
    return tables.Tableau(tuple(map(tuple, map(row, range(stages)))), (*b, 1 - sum(b)))


@pytest.mark.parametrize("seed", range(4))
def test_order_of_any_tableau_is_that_of_its_power_series(seed):
    method = some_tableau(3, seed)
    c, a, (b1, b2) = method.c, method.a[2][1], (method.b[1], method.b[2])
    assert method.order == series_order(method)
    # two conditions more, solved for the last two weights: order 2 for any stages
    if c[1] != c[2]:
        b1 = F(1, 2) / c[1]
        other = tables.Tableau(method.a, (1 - b1, b1, F(0)))
        assert other.order == series_order(other) >= 2
    assert a != 0 and b2 != 0


# ------------------------------------------------------------------- the numbers


@named(METHODS)
def test_a_linear_problem_multiplies_by_the_stability_polynomial(name):
    method, z = METHODS[name], sympy.Symbol("z")
    s = len(method.b)
    A = sympy.zeros(s)
    for i, row in enumerate(method.a):
        for j, w in enumerate(row):
            A[i, j] = sympy.Rational(w.numerator, w.denominator)
    b = sympy.Matrix([sympy.Rational(w.numerator, w.denominator) for w in method.b])
    ones, eye = sympy.ones(s, 1), sympy.eye(s)
    R = sympy.Poly((eye - z * A + z * ones * b.T).det() / (eye - z * A).det(), z)
    assert R.all_coeffs()[::-1][: ORDERS[name] + 1] == [
        1 / sympy.factorial(k) for k in range(ORDERS[name] + 1)
    ]
    lam, ts = torch.tensor([-1.3, 0.4, 2.0], dtype=torch.float64), uneven(0.0, 1.0, 3)
    got = solvers.solve(getattr(tables, name)(ts), lambda x, t: lam * x, lam * 0 + 1)
    by = [math.prod(float(R.eval(u * v)) for v in ts.diff().tolist()) for u in lam]
    torch.testing.assert_close(got, torch.tensor(by, dtype=torch.float64), **close)


def rational(row: np.ndarray) -> list[float]:
    return [float(w) for w in row]


def test_the_pairs_are_those_of_scipy():
    for method, theirs in (
        (tables.DORMAND_PRINCE, scipy.integrate.RK45),
        (tables.BOGACKI_SHAMPINE, scipy.integrate.RK23),
    ):
        s = len(method.b)
        for row, their in zip(method.a, theirs.A, strict=True):
            np.testing.assert_allclose(rational(row), their[: len(row)], rtol=1e-15)
        np.testing.assert_allclose(rational(method.b), theirs.B, rtol=1e-15)
        error = [v - u for u, v in zip((*method.b, 0), method.low, strict=True)]
        np.testing.assert_allclose(
            np.abs(rational(error)), np.abs(theirs.E), rtol=1e-13
        )
        np.testing.assert_allclose(rational(method.c), theirs.C[:s], rtol=1e-15)


def test_the_rules_of_integration_behind_them():
    """Where F depends on t alone: Newton and Cotes, Gauss and Radau nodes."""
    simpson = scipy.integrate.newton_cotes(2)[0] / 2
    np.testing.assert_allclose(rational(tables.KUTTA3.b), simpson, rtol=1e-15)
    b = rational(tables.RK4.b)
    np.testing.assert_allclose([b[0], b[1] + b[2], b[3]], simpson, rtol=1e-15)
    assert tables.RK4.c == (0, F(1, 2), F(1, 2), 1) and b[1] == b[2]
    three = scipy.integrate.newton_cotes(3)[0] / 3
    np.testing.assert_allclose(rational(tables.RK38.b), three, rtol=1e-15)
    assert tables.RK38.c == (0, F(1, 3), F(2, 3), 1)
    # of two stages Ralston's, and of three Heun's, are the rules of Radau: they
    # integrate t^2, where the others of their order have an error
    for name in ("midpoint", "heun", "ralston", "heun3"):
        method = METHODS[name]
        second = sum(b * c**2 for b, c in zip(method.b, method.c, strict=True))
        assert (second == F(1, 3)) == (name in ("ralston", "heun3"))
    assert tables.HEUN3.a[2] == (0, F(2, 3)) and tables.MIDPOINT.c == (0, F(1, 2))


def test_ralston_has_the_least_bound_on_the_error():
    # |f| <= M and |d_x^i d_y^j f| <= L^(i + j) / M^(j - 1), and D = d_x + f d_y, bound
    # the terms of h^4: D^3 f, (D f)(D f_y), f_y D^2 f, f_y^2 D f, by 8, 4, 4, 2 M L^3
    def bound(method: tables.Tableau) -> F:
        return sum(
            size * abs(method.weight(u) - F(1, tables.density(u))) / symmetry(u)
            for u, size in sizes.items()
        )

    sizes = {((), (), ()): 8, ((), ((),)): 4, (((), ()),): 4, ((((),),),): 2}
    assert set(sizes) == set(tables.trees(4))
    found = {}
    for p, q in itertools.permutations(range(1, 13), 2):
        c2, c3 = F(p, 12), F(q, 12)  # b . c = 1/2, b . c^2 = 1/3, b3 a32 c2 = 1/6
        b3 = (F(1, 3) - c2 / 2) / (c3 * (c3 - c2))
        b2 = (F(1, 2) - b3 * c3) / c2
        if b3:
            a32 = F(1, 6) / (b3 * c2)
            rows = ((), (c2,), (c3 - a32, a32))
            found[c2, c3] = tables.Tableau(rows, (1 - b2 - b3, b2, b3))
    assert all(m.order == 3 for m in found.values()) and len(found) > 100
    best = min(found, key=lambda c: bound(found[c]))
    assert found[best] == tables.RALSTON3 and bound(found[best]) == F(1, 9)


def test_the_array_that_is_shown_is_the_tableau():
    number = re.compile(r"(-?)\\tfrac\{(\d+)\}\{(\d+)\}|(-?\d+)")

    def read(cell: str) -> F:
        sign, top, under, whole = number.fullmatch(cell).groups()
        return F(whole) if whole else F(int(sign + top), int(under))

    for method in (*METHODS.values(), tables.BOGACKI_SHAMPINE):
        text = method._repr_latex_()
        form = r"\$\\begin\{array\}\{c\|(c+)\} (.*) \\end\{array\}\$"
        columns, body = re.fullmatch(form, text).groups()
        above, below = body.split(r" \\ \hline ")
        rows = [
            [[read(u) for u in map(str.strip, line.split("&")) if u] for line in lines]
            for lines in (above.split(r" \\ "), below.split(r" \\ "))
        ]
        shown = method.embedded if method.low else method
        assert [row[0] for row in rows[0]] == list(shown.c)
        assert [tuple(row[1:]) for row in rows[0]] == list(shown.a)
        assert [tuple(row) for row in rows[1]] == [
            weights for weights in (method.b, method.low) if weights
        ]
        assert len(columns) == len(shown.b)
        assert all(line.count("&") == len(columns) for line in body.split(r" \\ "))


# ------------------------------------------------------------------- the tables


def loop(methods: list[tables.Tableau], field, x, ts: torch.Tensor) -> list:
    """Step by step as the textbooks print it, one method for each step."""
    states = [x]
    for method, t, s in zip(methods, ts[:-1], ts[1:], strict=True):
        h, k = s - t, []
        for c, row in zip(method.c, method.a, strict=True):
            inner = sum((float(w) * u for w, u in zip(row, k, strict=True)), 0 * x)
            k.append(field(states[-1] + h * inner, t + float(c) * h))
        moves = (float(w) * u for w, u in zip(method.b, k, strict=True))
        states.append(states[-1] + h * sum(moves))
    return states


@pytest.mark.parametrize("way", list(WAYS))
@named(METHODS | {f"any {seed}": some_tableau(4, seed) for seed in range(3)})
def test_the_table_is_the_loop_of_the_textbooks(name, way):
    x, t, s = WAYS[way]
    method = METHODS.get(name) or some_tableau(4, int(name[-1]))
    ts = uneven(t, s, 5)
    table = tables.runge_kutta(method, ts)
    if name in METHODS:
        named_one = getattr(tables, name)(ts)
        assert torch.equal(named_one.B, table.B) and torch.equal(named_one.ts, table.ts)
    trail = solvers.solve(table, lambda x, t: problem(x, t) / 9, x, keep=True)
    want = loop([method] * 5, lambda x, t: problem(x, t) / 9, x, ts)
    # weights up to 9 to the power of the stages
    torch.testing.assert_close(trail, torch.stack(want), rtol=1e-10, atol=1e-10)
    assert torch.equal(table.ts[table.lands], ts)


SLOPES = {1: [128, 256, 512], 2: [64, 128, 256], 3: [48, 96, 192], 4: [32, 64, 128]}
SLOPES[5] = [64, 128, 256]


@pytest.mark.parametrize("way", list(WAYS))
@named(ORDERS)
def test_runge_kutta_converges_with_its_order_and_no_other(name, way):
    x, t, s = WAYS[way]
    errors = []
    for n in SLOPES[ORDERS[name]]:
        end = solvers.solve(getattr(tables, name)(uneven(t, s, n)), problem, x)
        errors.append((end - solution(x, t, s)).square().mean().sqrt().item())
    # the next term of the error is h smaller: 0.1 in the slope at these steps
    assert abs(slope(SLOPES[ORDERS[name]], errors) - ORDERS[name]) < 0.1


def asked(table: tables.Table) -> list[float]:
    """The times at which a run asks its field."""
    times = []
    solvers.solve(table, lambda x, t: times.append(t.item()) or 0 * x, normal(1, 2))
    return times


@named(ORDERS)
def test_the_last_time_is_asked_only_by_methods_that_say_so(name):
    ts = tables.uniform(1.0, 0.0, 49)
    times, stages = asked(getattr(tables, name)(ts)), len(METHODS[name].b)
    assert (min(times) > 0) == (name in PATIENT)
    # and no time falls outside the grid, by a rounding error or else
    assert min(times) >= 0 and max(times) <= 1 and len(times) == 49 * stages


def test_the_end_of_a_step_is_the_time_of_the_grid():
    ts = (uniform(100).sort().values ** 8).flip(0)  # steps of very different lengths
    assert set(asked(tables.heun(ts))) == set(ts.tolist())
    assert not torch.equal(ts[:-1] + ts.diff(), ts[1:])  # which rounding would miss


@named([n for n in ORDERS if n != "euler"])
def test_the_last_step_may_be_eulers(name):
    x, t, s = WAYS["down"]
    ts, method = uneven(t, s, 6), METHODS[name]
    table = getattr(tables, name)(ts, last=tables.EULER)
    want = loop([method] * 5 + [tables.EULER], problem, x, ts)
    trail = solvers.solve(table, problem, x, keep=True)
    torch.testing.assert_close(trail, torch.stack(want), **close)
    assert min(asked(table)) == ts[-2] and torch.equal(table.ts[table.lands], ts)
    assert table.evaluations == 5 * len(method.b) + 1


def test_the_last_step_may_be_any():
    ts, x = uneven(0.3, 1.3, 3), BEGIN
    table = tables.runge_kutta(tables.EULER, ts, tables.RK4)
    want = loop([tables.EULER, tables.EULER, tables.RK4], problem, x, ts)
    torch.testing.assert_close(solvers.solve(table, problem, x), want[-1], **close)
    one = tables.heun(ts[:2], last=tables.EULER)  # no other step than the last
    torch.testing.assert_close(one.B, tables.euler(ts[:2]).B)
    same = tables.heun(ts, last=tables.HEUN)
    assert torch.equal(same.B, tables.heun(ts).B)


def test_heun_with_a_last_step_of_euler_is_the_sampler_of_edm():
    # algorithm 1 with sigma(t) = t and s(t) = 1, as printed: d = (x - D) / t
    def denoise(x, t):
        return x / (1 + t**2)  # of standard normal data

    ts = torch.tensor([5.0, 2.0, 0.7, 0.1, 0.0], dtype=torch.float64)
    x = normal(4, 3)
    for t, s in zip(ts[:-1], ts[1:], strict=True):
        d = (x - denoise(x, t)) / t
        x, last = x + (s - t) * d, x
        if s != 0:
            x = last + (s - t) * (d / 2 + (x - denoise(x, s)) / s / 2)
    table = tables.heun(ts, last=tables.EULER)
    got = solvers.solve(table, lambda x, t: (x - denoise(x, t)) / t, normal(4, 3))
    torch.testing.assert_close(got, x, **close)


def test_single_precision_stays_single():
    ts = uneven(1.0, 0.2, 3).float()
    for table in (tables.dormand_prince(ts, tables.EULER), tables.reversible_heun(ts)):
        assert {table.ts.dtype, table.A.dtype, table.B.dtype} == {torch.float32}
        assert solvers.solve(table, problem, BEGIN.float()).dtype == torch.float32


@named({"dormand_prince": 0, "heun and euler": 0, "reversible_heun": 0})
def test_the_weights_are_linear_in_the_steps(name):
    # so their derivative in the grid, which chapters take, is a difference
    def weigh(ts: torch.Tensor) -> torch.Tensor:
        if name == "heun and euler":
            table = tables.heun(ts, tables.EULER)
        else:
            table = getattr(tables, name)(ts)
        return (table.B * normal(*table.B.shape)).sum()

    ts = uneven(1.0, 0.2, 4).requires_grad_()
    (grad,) = torch.autograd.grad(weigh(ts), ts)
    for i, e in enumerate(0.01 * torch.eye(5, dtype=torch.float64)):
        off = weigh(ts.detach() + e) - weigh(ts.detach() - e)
        torch.testing.assert_close(off / 0.02, grad[i], **close)


# -------------------------------------------------------------- reversible Heun


def pairs(field, x: torch.Tensor, ts: torch.Tensor) -> list[tuple]:
    """All (y, y^), the printed recursion."""
    y, hat = x, x
    found = [(y, hat)]
    for t, s in zip(ts[:-1], ts[1:], strict=True):
        h = s - t
        new = 2 * y - hat + h * field(hat, t)
        y, hat = y + h / 2 * (field(hat, t) + field(new, s)), new
        found.append((y, hat))
    return found


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("way", list(WAYS))
def test_reversible_heun_is_the_printed_recursion(way, n):
    x, t, s = WAYS[way]
    ts = uneven(t, s, n)
    table = tables.reversible_heun(ts)
    trail = solvers.solve(table, problem, x, keep=True)
    want = torch.stack([y for y, _ in pairs(problem, x, ts)])
    torch.testing.assert_close(trail, want, **close)
    assert torch.equal(table.ts[table.lands], ts)
    assert table.evaluations == n + 1 and asked(table) == ts.tolist()


@pytest.mark.parametrize("way", list(WAYS))
def test_reversible_heun_converges_with_order_two(way):
    x, t, s = WAYS[way]
    steps, errors = [64, 128, 256], []
    for n in steps:
        end = solvers.solve(tables.reversible_heun(uneven(t, s, n)), problem, x)
        errors.append((end - solution(x, t, s)).abs().max().item())
    assert abs(slope(steps, errors) - 2) < 0.1


def test_reversible_heun_grows_where_the_flow_decays():
    # on x' = -x the pair is multiplied by a matrix of determinant -1
    z = -0.1
    M = np.array([[1 + z, z**2 / 2], [2, z - 1]])
    want = np.linalg.matrix_power(M, 100) @ np.ones(2)
    ts = tables.uniform(0.0, 10.0, 100)
    start = torch.ones(1, 1, dtype=torch.float64)
    end = solvers.solve(tables.reversible_heun(ts), lambda x, t: -x, start)
    assert end.item() == pytest.approx(want[0], rel=1e-9, abs=0)
    assert abs(end.item()) > 1000 * math.exp(-10) and abs(np.linalg.det(M) + 1) < 1e-12


def test_reversible_heun_goes_back_to_rounding_and_heun_does_not():
    ts = uneven(START, END, 20)
    states, past = [BEGIN], []
    table = tables.reversible_heun(ts)
    for n in range(len(table)):
        table.step(n, problem, states, past)
    end, hat = states
    # back: a grid that begins one step further out, and from its third row on the
    # pair is all that counts
    out = (2 * ts[-1] - ts[-2]).unsqueeze(0)
    back = tables.reversible_heun(torch.cat([out, ts.flip(0)]))
    states, past = [end, hat], [problem(hat, ts[-1])]
    for n in range(2, len(back)):
        back.step(n, problem, states, past)
    for start in states:
        torch.testing.assert_close(start, BEGIN, rtol=0, atol=1e-13)
    assert (end - hat).abs().min() > 1e-5  # the companion is one of its own
    there = solvers.solve(tables.heun(ts), problem, BEGIN)
    off = solvers.solve(tables.heun(ts.flip(0)), problem, there) - BEGIN
    assert off.abs().max() > 1e-6


# ----------------------------------------------------------------- refusals

V, T = ValueError, TypeError
of = tables.Tableau.of
WRONG = {
    "no vertices": (V, "n is 0; a rooted tree has", lambda: tables.trees(0)),
    "b": (V, "b sums to 1/2; it must sum to 1", lambda: of("", "1/2")),
    "low": (V, "low sums to 2", lambda: of("", "1", "1 1")),
    "low short": (V, "low has 1 weights and b 1", lambda: of("", "1", "1")),
    "implicit": (
        V,
        "row i of a must have i entries",
        lambda: tables.Tableau(((F(1),),), (F(1),)),
    ),
    "b long": (V, "one row for each of b", lambda: of("", "1 0")),
    "rows": (V, "row i of a must have i entries", lambda: of("1; 1", "0 0 1")),
    "floats": (
        T,
        "0.5 is no Fraction or int",
        lambda: tables.Tableau(((), (0.5,)), (F(0), F(1))),
    ),
    "no number": (V, "'1/2 x' is no row of rational", lambda: of("1", "1/2 x")),
    "1/0": (V, "'1/0' is no row of rational", lambda: of("1/0", "0 1")),
    "no pair": (V, "has no embedded one", lambda: tables.HEUN.embedded),
    "one time": (V, "ts must be at least two", lambda: tables.rk4(BEGIN[0, :1])),
    "last and one": (
        V,
        "ts must be at least two",
        lambda: tables.heun(BEGIN[0, :1], tables.EULER),
    ),
    "up and down": (
        V,
        "all increasing or all decreasing",
        lambda: tables.midpoint(torch.tensor([0.0, 1.0, 0.5])),
    ),
    "twice": (
        V,
        "all increasing or all decreasing",
        lambda: tables.reversible_heun(torch.tensor([0.0, 1.0, 1.0])),
    ),
    "ts nan": (
        V,
        "ts holds NaN",
        lambda: tables.runge_kutta(tables.RK38, torch.tensor([0.0, float("nan")])),
    ),
    "ts ints": (T, "ts is torch.int64", lambda: tables.kutta3(torch.arange(3))),
    "ts list": (T, "ts is list", lambda: tables.ralston3([0.0, 1.0])),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
