"""adaptive: errors against tolerances, and every decision replayed by scipy's numbers.

The problems are solved in closed form; "two" is that of test_tableaus.
"""

import math

import numpy as np
import pytest
import scipy.integrate
import torch
from examples import LAWS, PATHS, cuda, named, refuses, uniform
from scipy.integrate._ivp.common import select_initial_step

from diffkit import chains, fields, shapes, solvers, tables, worlds
from diffkit.solvers import Adaptive

close = {"rtol": 1e-12, "atol": 1e-12}


def two(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """x' = -2 t x^2, y' = (cos t - 2 t x) y."""
    u, v = x.unbind(-1)
    return torch.stack([-2 * t * u**2, (math.cos(t) - 2 * t * u) * v], -1)


def two_solved(x: torch.Tensor, t: float, s: float) -> torch.Tensor:
    u, v = x.unbind(-1)
    w = 1 / (1 / u + s**2 - t**2)
    return torch.stack([w, v * w / u * math.exp(math.sin(s) - math.sin(t))], -1)


def bump(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """x = tanh((t - 1/2) / 0.02) + a constant: slow, fast, slow."""
    return torch.cosh((t - 0.5) / 0.02) ** -2 / 0.02 + 0 * x


def bump_solved(x: torch.Tensor, t: float, s: float) -> torch.Tensor:
    return x + math.tanh((s - 0.5) / 0.02) - math.tanh((t - 0.5) / 0.02)


def turn(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """A rotation: one turn in a unit of time."""
    return 2 * math.pi * x @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]]).to(x)


def turn_solved(x: torch.Tensor, t: float, s: float) -> torch.Tensor:
    c, o = math.cos(2 * math.pi * (s - t)), math.sin(2 * math.pi * (s - t))
    return x @ torch.tensor([[c, o], [-o, c]], dtype=x.dtype)


def pull(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Stiff: a pull of 300 towards cos t."""
    return -300 * (x - torch.cos(t)) - torch.sin(t)


def pull_solved(x: torch.Tensor, t: float, s: float) -> torch.Tensor:
    return math.cos(s) + (x - math.cos(t)) * math.exp(-300 * (s - t))


BEGIN = 0.5 + uniform(4, 2)
PROBLEMS = {  # field, solution, begin, t, s
    "two": (two, two_solved, BEGIN, 0.3, 1.3),
    "two back": (two, two_solved, two_solved(BEGIN, 0.3, 1.3), 1.3, 0.3),
    "bump": (bump, bump_solved, BEGIN, 0.0, 1.0),
    "bump back": (bump, bump_solved, BEGIN, 1.0, 0.0),
    "turn": (turn, turn_solved, BEGIN, 0.0, 1.7),
    "pull": (pull, pull_solved, BEGIN, 0.0, 1.0),
}
TOLERANCES = [1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11]


def errors(name: str, tableau: tables.Tableau, tolerances: list[float]) -> list[float]:
    field, solution, x, t, s = PROBLEMS[name]
    found = []
    for tol in tolerances:
        end = solvers.solve(Adaptive(t, s, tol, tol, tableau=tableau), field, x)
        found.append((end - solution(x, t, s)).abs().max().item())
    return found


@named(PROBLEMS)
def test_the_error_is_the_tolerance_times_a_factor(name):
    # the tolerance is that of each step; these flows keep an error or forget it, and
    # few steps are large ones. Where all is flat nothing tells of the bump to come: a
    # step may land in it, and its own error is estimated by what it has seen
    most = 20 if "bump" in name else 5
    tolerances = TOLERANCES if name != "pull" else TOLERANCES[:3]  # stability rules
    found = errors(name, tables.DORMAND_PRINCE, tolerances)
    for tol, error in zip(tolerances, found, strict=True):
        assert tol / 100 < error < most * tol  # and no work was wasted


@named({"dormand_prince": TOLERANCES[2:], "bogacki_shampine": TOLERANCES[1:5]})
def test_the_error_is_proportional_to_the_tolerance(name):
    # h^k = tol for the method of lower order, and the other has global order k
    tols = TOLERANCES[2:] if name == "dormand_prince" else TOLERANCES[1:5]
    found = errors("two", getattr(tables, name.upper()), tols)
    slope = np.polyfit(np.log(tols), np.log(found), 1)[0]
    assert abs(slope - 1) < 0.1


# ------------------------------------------------------------ every decision


class Recorded:
    """The field, and all that it was asked and said."""

    def __init__(self, field) -> None:
        self.field, self.calls = field, []

    def __call__(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        F = self.field(x, t)
        self.calls.append((t.item(), x.numpy().copy(), F.numpy().copy()))
        return F


THEIRS = {
    "dormand_prince": scipy.integrate.RK45,
    "bogacki_shampine": scipy.integrate.RK23,
}


@named(THEIRS)
@pytest.mark.parametrize("problem", list(PROBLEMS))
def test_every_step_is_the_one_that_the_law_wants(name, problem):
    # from what the field was asked and said alone, with the numbers of scipy
    field, _, x, t, s = PROBLEMS[problem]
    rtol, atol, theirs = 1e-5, 1e-7, THEIRS[name]
    adaptive = Adaptive(t, s, rtol, atol, tableau=getattr(tables, name.upper()))
    run = adaptive.run(record := Recorded(field), x)
    start, _, *tries = record.calls  # the second is the guess
    assert start[0] == t and np.array_equal(start[1], x)
    k, stages = theirs.error_estimator_order + 1, theirs.n_stages
    y, F, taken, refused = x.numpy(), start[2], [t], 0
    h, before, limit = None, 0.5, 5.0
    for i in range(0, len(tries), stages):
        end, new, last = tries[i + stages - 1]
        step, left = end - taken[-1], abs(s - taken[-1])
        if h is not None:
            want = left if left <= 1.1 * h else h
            assert abs(step) == pytest.approx(want, rel=1e-8, abs=0)
        slopes = np.stack([F, *(call[2] for call in tries[i : i + stages])])
        moved = y + step * np.tensordot(theirs.B, slopes[:-1], 1)
        np.testing.assert_allclose(new, moved, rtol=1e-12, atol=1e-12)
        scale = atol + rtol * np.maximum(np.abs(y), np.abs(new))
        off = step * np.tensordot(theirs.E, slopes, 1) / scale
        e = max(np.sqrt((off**2).mean(-1)).max(), 1e-10)
        if e <= 1:
            factor = (0.5 / e) ** (0.7 / k) * (before / 0.5) ** (0.4 / k)
            h = abs(step) * min(limit, max(0.2, factor))
            before, limit, y, F = max(e, 1e-4), 5.0, new, last
            taken.append(end)
        else:
            h, limit = abs(step) * max(0.2, (0.5 / e) ** (1 / k)), 1.0
            refused += 1
    assert taken == run.ts.tolist() and taken[-1] == s
    assert refused == run.refused and run.evaluations == len(record.calls)
    assert refused > 0 or problem not in ("bump", "bump back", "pull")


def clock(t: float) -> torch.Tensor:
    return torch.tensor(t, dtype=torch.float64)


@pytest.mark.parametrize("problem", list(PROBLEMS))
def test_the_first_step_is_guessed_as_scipy_guesses_it(problem):
    field, _, x, t, s = PROBLEMS[problem]
    x = x[:1]  # of one point the norms are the same
    run = Adaptive(t, s, 1e-6, 1e-8).run(record := Recorded(field), x)
    want = select_initial_step(
        lambda time, y: field(torch.tensor(y)[None], clock(time)).numpy()[0],
        t,
        x.numpy()[0],
        s,
        math.inf,
        field(x, clock(t)).numpy()[0],
        np.sign(s - t),
        4,
        1e-6,
        1e-8,
    )
    first = record.calls[1 + 6][0] - t  # after the start, the guess and five stages
    assert abs(first) == pytest.approx(want, rel=1e-8) and run.evaluations > 8


def test_a_first_step_that_is_given_is_taken():
    run = Adaptive(0.3, 1.3, first=0.01).run(counted := fields.counted(two), BEGIN)
    assert run.ts[1] == 0.31
    assert run.evaluations == counted.calls == 1 + 6 * (len(run.ts) - 1 + run.refused)
    whole = Adaptive(0, 1, first=1).run(turn, BEGIN)  # integers will do
    assert torch.equal(whole.ts, Adaptive(0.0, 1.0, first=1.0).run(turn, BEGIN).ts)


# ------------------------------------------------------------------- the steps


@pytest.mark.parametrize("pair", ["dormand_prince", "bogacki_shampine"])
@named(PROBLEMS)
def test_a_table_on_its_times_repeats_the_run(name, pair):
    field, _, x, t, s = PROBLEMS[name]
    tableau = getattr(tables, pair.upper())
    adaptive = Adaptive(t, s, 1e-4, 1e-6, tableau=tableau)
    run = adaptive.run(field, x)
    table = tables.runge_kutta(tableau, run.ts)
    again = solvers.solve(table, field, x, keep=True)
    torch.testing.assert_close(run.states, again, **close)
    assert torch.equal(solvers.solve(adaptive, field, x, keep=True), run.states)
    assert torch.equal(solvers.solve(adaptive, field, x), run.states[-1])
    assert run.ts[0] == t and run.ts[-1] == s


def test_the_end_alone_is_held():
    whole = Adaptive(0.3, 1.3).run(two, BEGIN)
    run = Adaptive(0.3, 1.3).run(two, BEGIN, keep=False)
    assert torch.equal(run.states, whole.states[-1:]) and torch.equal(run.ts, whole.ts)


def test_steps_follow_the_solution():
    for name, way in (("bump", 1), ("bump back", -1)):
        field, _, x, t, s = PROBLEMS[name]
        ts = Adaptive(t, s).run(field, x).ts
        h, middle = way * ts.diff(), (ts[1:] + ts[:-1]) / 2
        assert (h > 0).all()
        fast = (middle - 0.5).abs() < 0.04
        assert h[fast].max() < h[~fast].max() / 10 and fast.any()


def test_a_stiff_pull_is_limited_by_stability_and_hardly_a_step_refused():
    # the region of stability reaches to -3.3 on the real line, and the controller
    # settles on its edge instead of falling over it again and again
    field, _, x, t, s = PROBLEMS["pull"]
    run = Adaptive(t, s, 1e-4, 1e-4).run(field, x)
    assert 300 / 3.31 <= len(run.ts) - 1 <= 1.2 * 300 / 3.31
    assert run.refused <= 0.03 * len(run.ts)


@pytest.mark.parametrize("way", [1.0, -1.0])
def test_no_crumb_is_left_for_the_last_step(way):
    ts = Adaptive(0.0, 2.0 * way).run(turn, BEGIN).ts.tolist()
    for k in (3, 6, 9):
        h = ts[k] - ts[k - 1]  # a twentieth of a step is taken along, a fifth is not
        for part, steps in ((0.05, k), (0.2, k + 1), (-0.05, k)):
            run = Adaptive(0.0, ts[k] + part * h).run(turn, BEGIN)
            assert run.ts.tolist()[:k] == ts[:k] and len(run.ts) - 1 == steps
            assert run.ts[-1] == ts[k] + part * h


@pytest.mark.parametrize("ends", [(0.0, 1.0), (1.0, 0.0), (0.1, 0.7), (-1.0, 1e-3)])
def test_no_time_falls_outside(ends):
    record = Recorded(turn)
    run = Adaptive(*ends).run(record, BEGIN)
    times = [call[0] for call in record.calls]
    assert min(times) == min(ends) and max(times) == max(ends)
    # the slope at the end of a step is asked at that very time, not a rounding beside
    assert set(run.ts.tolist()) <= set(times)


def test_the_other_direction_is_the_field_reversed():
    run = Adaptive(0.3, 1.3).run(two, BEGIN)
    back = Adaptive(-0.3, -1.3).run(lambda x, t: -two(x, -t), BEGIN)
    assert torch.equal(run.ts, -back.ts) and torch.equal(run.states, back.states)


def test_there_and_back_is_nothing():
    there = solvers.solve(Adaptive(0.3, 1.3, 1e-10, 1e-10), two, BEGIN)
    back = solvers.solve(Adaptive(1.3, 0.3, 1e-10, 1e-10), two, there)
    torch.testing.assert_close(back, BEGIN, rtol=0, atol=1e-8)


def test_a_field_that_does_not_move_takes_few_steps():
    run = Adaptive(0.0, 1.0).run(lambda x, t: 0 * x, BEGIN)
    # from the smallest guess, 1e-6 of the span, by steps five times as long
    assert torch.equal(run.states[-1], BEGIN)
    assert len(run.ts) - 1 <= 1 + math.log(4e6) / math.log(5) and run.refused == 0


@pytest.mark.parametrize("size", [1e-300, 1e-12, 1e12, 1e308])
def test_slopes_of_any_size_are_followed(size):
    # 1e308 / atol is inf, 1e-300 / scale^2 is 0
    end = solvers.solve(Adaptive(0.0, 1.0), lambda x, t: 0 * x + size, BEGIN)
    torch.testing.assert_close(end, BEGIN + size, rtol=1e-12, atol=0)


def test_a_jump_of_the_field_is_found():
    def field(x, t):
        return 0 * x + (1.0 if t > 1 / 3 else 0.0)

    run = Adaptive(0.0, 1.0, 1e-8, 1e-8).run(field, BEGIN)
    # a step over the jump is wrong by a part of its length, of which e sees a part
    torch.testing.assert_close(run.states[-1], BEGIN + 2 / 3, rtol=0, atol=1e-6)
    over = torch.searchsorted(run.ts, 1 / 3)
    assert run.refused > 5 and run.ts[over] - run.ts[over - 1] < 1e-5


# ------------------------------------------------------------------ neighbours


def test_a_point_does_not_depend_on_its_neighbours_beyond_the_tolerance():
    x = torch.tensor([[0.7, 0.9]], dtype=torch.float64)
    wild = torch.tensor([[90.0, 90.0]], dtype=torch.float64)
    tol = 1e-8
    alone = Adaptive(0.3, 1.3, tol, tol).run(two, x)
    together = Adaptive(0.3, 1.3, tol, tol).run(two, torch.cat([x, wild]))
    assert len(together.ts) > 1.5 * len(alone.ts)
    off = (together.states[-1, :1] - alone.states[-1]).abs().max()
    assert 0 < off < 2 * tol
    exact = (together.states[-1, :1] - two_solved(x, 0.3, 1.3)).abs().max()
    assert exact < 2 * tol  # many easy neighbours do not hide a hard one either
    crowd = torch.cat([wild, x.expand(1000, 2)])
    ts = Adaptive(0.3, 1.3, tol, tol).run(two, crowd).ts
    torch.testing.assert_close(ts, together.ts, rtol=1e-6, atol=0)


def test_copies_order_and_shape_of_the_points_change_nothing():
    run = Adaptive(0.3, 1.3).run(two, BEGIN)
    for x in (
        BEGIN.flip(0),
        torch.cat([BEGIN, BEGIN]),
        BEGIN.reshape(2, 2, 2),
        BEGIN.reshape(2, 1, 2, 1, 2),
    ):
        other = Adaptive(0.3, 1.3).run(two, x)
        torch.testing.assert_close(other.ts, run.ts, **close)
        assert other.states.shape[1:] == x.shape
    single = Adaptive(0.3, 1.3).run(two, BEGIN[0])
    assert torch.equal(
        single.states, Adaptive(0.3, 1.3).run(two, BEGIN[:1]).states[:, 0]
    )


@pytest.mark.parametrize("shape", [(0, 2), (3, 0, 2), (3, 0)])
def test_no_points_go_nowhere(shape):
    end = solvers.solve(Adaptive(0.3, 1.3), lambda x, t: 0 * x, torch.zeros(shape))
    assert end.shape == shape


def test_single_precision_stays_single():
    x = BEGIN.float()
    run = Adaptive(0.3, 1.3, 1e-4, 1e-4).run(two, x)
    assert run.states.dtype == torch.float32 and run.ts.dtype == torch.float64
    want = two_solved(BEGIN, 0.3, 1.3)
    torch.testing.assert_close(run.states[-1].double(), want, rtol=0, atol=1e-4)


@cuda
def test_on_a_gpu():
    run = Adaptive(0.3, 1.3).run(two, BEGIN.cuda())
    want = Adaptive(0.3, 1.3).run(two, BEGIN)
    torch.testing.assert_close(run.ts.cpu(), want.ts, rtol=1e-9, atol=0)
    torch.testing.assert_close(run.states.cpu(), want.states, rtol=1e-9, atol=0)


def test_the_end_can_be_differentiated():
    x = BEGIN.clone().requires_grad_()
    end = solvers.solve(Adaptive(0.3, 1.3, 1e-9, 1e-9), two, x)
    (got,) = torch.autograd.grad(end.sum(), x)
    (want,) = torch.autograd.grad(two_solved(x, 0.3, 1.3).sum(), x)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", ["vp", "edm", "straight"])
def test_a_gaussian_world_is_carried_as_the_calculus_says(name):
    path, law = PATHS[name], LAWS["gaussian"]
    world = worlds.World(path, law)
    x = world.draw(5, path.T, shapes.rng(0))[-1]
    end = solvers.solve(Adaptive(path.T, 0.0, 1e-9, 1e-9), world.velocity, x)
    want = chains.carry(law, path, x, path.T, 0.0)
    torch.testing.assert_close(end, want, rtol=0, atol=1e-7)


# ----------------------------------------------------------------- refusals

V, T = ValueError, TypeError
nan, inf = float("nan"), float("inf")


def burst(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """x = x_0 / (1 - x_0 t)."""
    return x**2


def hole(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """No number beyond t = 1/2."""
    return x * (nan if t > 0.5 else 1.0)


def walk(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """The same slope everywhere, of the largest numbers there are."""
    return torch.full_like(x, 1.7e308)


x = BEGIN
WRONG = {
    "no span": (V, "t is 1.0 and s 1.0; they must be two", lambda: Adaptive(1.0, 1.0)),
    "t nan": (V, "two different finite times", lambda: Adaptive(nan, 1.0)),
    "s inf": (V, "two different finite times", lambda: Adaptive(0.0, inf)),
    "rtol < 0": (V, "rtol is -1", lambda: Adaptive(0, 1, rtol=-1)),
    "rtol 1": (V, "0 <= rtol < 1", lambda: Adaptive(0, 1, rtol=1)),
    "rtol nan": (V, "rtol is nan", lambda: Adaptive(0, 1, rtol=nan)),
    "atol 0": (V, "and atol > 0", lambda: Adaptive(0, 1, atol=0)),
    "atol inf": (V, "atol inf", lambda: Adaptive(0, 1, atol=inf)),
    "first 0": (V, "first is 0; it must be a length", lambda: Adaptive(0, 1, first=0)),
    "first nan": (V, "first is nan", lambda: Adaptive(0, 1, first=nan)),
    "first < 0": (V, "first is -0.1", lambda: Adaptive(1, 0, first=-0.1)),
    "most": (V, "most is 0; it must be", lambda: Adaptive(0, 1, most=0)),
    "no pair": (V, "no embedded", lambda: Adaptive(0, 1, tableau=tables.RK4)),
    "x nan": (V, "x holds NaN", lambda: Adaptive(0, 1).run(two, x * nan)),
    "x ints": (T, "x is torch.int64", lambda: Adaptive(0, 1).run(two, x.long())),
    "x number": (V, r"shape \(\)", lambda: solvers.solve(Adaptive(0, 1), two, x[0, 0])),
    "field shape": (
        V,
        "the field returned",
        lambda: Adaptive(0, 1).run(lambda x, t: x[..., :1], x),
    ),
    "nan at the start": (
        V,
        "NaN or inf at t = 1, at the start",
        lambda: Adaptive(1.0, 0.0).run(hole, x),
    ),
    "nan later": (
        V,
        "NaN or inf right after t = 0.5",
        lambda: solvers.solve(Adaptive(0.0, 1.0), hole, x),
    ),
    "blow up": (
        V,
        "at t = 1 fell below the rounding of times",
        lambda: Adaptive(0.0, 2.0).run(burst, x / x),
    ),
    "overflow": (
        V,
        "the state overflowed on its way to t = 1",
        lambda: Adaptive(0.0, 1.0).run(walk, 0 * x + 1.7e308),
    ),
    "too many": (
        V,
        "20 steps came from 0 to 0.*, not to 1: allow more",
        lambda: Adaptive(0.0, 1.0, most=20).run(pull, x),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
