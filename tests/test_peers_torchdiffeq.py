"""torchdiffeq and these tables: the same methods give the same numbers.

Fixed steps agree to rounding. Adaptive runs choose other steps (another controller,
and for order 5 another embedded method), so they agree as their tolerances allow.
"""

import math

import pytest
import torch
from examples import named, uniform

from diffkit import solvers, tables

torchdiffeq = pytest.importorskip(
    "torchdiffeq", reason="a peer, of the optional extra: torchdiffeq is not installed"
)

BEGIN = 0.2 + 0.3 * uniform(4, 2)
WAYS = {"up": (0.3, 1.3), "down": (0.9, 0.3)}
THEIRS = {  # their name for the method, whose fixed steps are the same
    "euler": "euler",
    "midpoint": "midpoint",
    "heun": "heun2",
    "heun3": "heun3",
    "rk38": "rk4",  # the 3/8 rule, not the classical method
}


def problem(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """x' = -2 t x^2 and y' = (cos t - 2 t x) y."""
    u, v = x.unbind(-1)
    return torch.stack([-2 * t * u**2, (math.cos(t) - 2 * t * u) * v], -1)


def theirs(ts: torch.Tensor, method: str, **options) -> torch.Tensor:
    """All states at the times ts."""
    return torchdiffeq.odeint(
        lambda t, x: problem(x, t), BEGIN, ts, method=method, **options
    )


@pytest.mark.parametrize("way", list(WAYS))
@named(THEIRS)
def test_fixed_steps_are_the_same(name, way):
    t, s = WAYS[way]
    u = torch.linspace(0, 1, 12, dtype=torch.float64)
    ts = t + (s - t) * u * (1.3 - 0.3 * u)
    ours = solvers.solve(getattr(tables, name)(ts), problem, BEGIN, keep=True)
    torch.testing.assert_close(ours, theirs(ts, THEIRS[name]), rtol=1e-12, atol=1e-12)


def test_their_rk4_is_not_the_classical_method():
    ts = tables.uniform(*WAYS["up"], 8)
    ours = solvers.solve(tables.rk4(ts), problem, BEGIN, keep=True)
    assert (ours - theirs(ts, "rk4")).abs().max() > 1e-7


@pytest.mark.parametrize("way", list(WAYS))
@named({"dormand_prince": "dopri5", "ralston3": "bosh3"})
def test_one_step_of_the_pairs_is_the_same(name, way):
    t, s = WAYS[way]
    ts = torch.tensor([t, t + 0.2 * (s - t)], dtype=torch.float64)
    # a tolerance so large that the first step is taken, and it is the whole way
    options = {"first_step": abs(ts[1] - ts[0])}
    method = {"dormand_prince": "dopri5", "ralston3": "bosh3"}[name]
    end = theirs(ts, method, rtol=1e6, atol=1e6, options=options)[-1]
    ours = solvers.solve(getattr(tables, name)(ts), problem, BEGIN)
    torch.testing.assert_close(ours, end, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("way", list(WAYS))
@named({"dormand_prince": "dopri5", "bogacki_shampine": "bosh3"})
def test_adaptive_runs_end_at_the_same_point(name, way):
    t, s = WAYS[way]
    tol = 1e-8
    method = {"dormand_prince": "dopri5", "bogacki_shampine": "bosh3"}[name]
    ts = torch.tensor([t, s], dtype=torch.float64)
    # step_t: their last step ends at s; else it goes beyond, and what is given is
    # interpolated, for bosh3 with a hundred times the error
    end = theirs(ts, method, rtol=tol, atol=tol, options={"step_t": ts})[-1]
    adaptive = solvers.Adaptive(t, s, tol, tol, tableau=getattr(tables, name.upper()))
    ours = solvers.solve(adaptive, problem, BEGIN)
    torch.testing.assert_close(ours, end, rtol=0, atol=1e-6)


def test_log_determinants_end_at_the_same_number():
    def augmented(t, state):
        x, _ = state
        spread = math.cos(t) - 6 * t * x[:, 0]
        return problem(x, t), spread

    ts = torch.tensor(WAYS["up"], dtype=torch.float64)
    begin = BEGIN, torch.zeros(4, dtype=torch.float64)
    x, logdet = torchdiffeq.odeint(augmented, begin, ts, rtol=1e-9, atol=1e-9)
    run = solvers.Adaptive(*WAYS["up"], 1e-9, 1e-9)
    end, ours = solvers.flow(run, problem, BEGIN)
    torch.testing.assert_close(end, x[-1], rtol=0, atol=1e-6)
    torch.testing.assert_close(ours, logdet[-1], rtol=0, atol=1e-6)
