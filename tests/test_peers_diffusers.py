"""tables against the schedulers of diffusers 0.42, on the exact targets of a mixture.

The noise levels of a scheduler are those of the grid: ``sigmas`` = nsr is set by hand,
in float64, after ``set_timesteps``. lower_order_final=False, because the tables keep
their order to the end but for a step to noise 0, which is of order 1 with either
(final_sigmas_type="zero"); solver_type="midpoint" where it is not named.

Tolerances: 1e-12 where a scheduler keeps float64; 1e-6 where it casts the sample to
float32 at every step (DPMSolverMultistep, Euler, FlowMatch), nine steps being of
6e-8 each.
"""

import functools
import logging

import numpy as np
import pytest
import torch
from examples import normal

from diffkit import fields, laws, paths, tables, worlds

pytest.importorskip("diffusers", reason="peers are an optional extra")
from diffusers import (
    DDIMScheduler,
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    EDMDPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
)

logging.getLogger("diffusers").setLevel(logging.ERROR)
pytestmark = [  # theirs
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

VP, EDM, STRAIGHT = paths.vp(), paths.edm(20.0), paths.one_sided()
LAW = laws.mixture(
    torch.tensor([[2.0, 0.5], [-1.0, 1.0], [0.3, -1.5]]).double(),
    0.2,
    torch.tensor([0.2, 0.5, 0.3]).double(),
)
PARTS = torch.tensor([0, 1, 3, 4, 7, 8, 9.5, 11.5, 12.5, 13.5]).double() / 13.5
N = len(PARTS) - 1
X, Z = normal(5, 2), normal(N, 5, 2, seed=1)


def grid(path: paths.Path, zero: bool = False) -> torch.Tensor:
    """Nine uneven steps in lam, the last to noise 0 if asked."""
    ts = path.when((1.5 - 4 * PARTS).exp())
    return torch.cat([ts[:-1], ts.new_zeros(1)]) if zero else ts


def field(path: paths.Path, target: str) -> fields.Field:
    world = worlds.World(path, LAW)
    return fields.convert(world.denoise, path, "denoise", target)


def ours(table: tables.Table, path: paths.Path) -> torch.Tensor:
    """The end point with the noise Z."""
    states, past, F = [X * path.at(table.ts[0]).g], [], field(path, table.eats)
    for n in range(len(table)):
        table.step(n, F, states, past, Z[n] if table.random else None)
    return states[0]


def theirs(scheduler, path, ts, target, sigmas=None, noise=False, hook=None):
    """The end point of a scheduler that walks the grid ts and is fed a target."""
    n, F = len(ts) - 1, field(path, target)
    scheduler.set_timesteps(n)
    scheduler.sigmas = path.nsr(ts) if sigmas is None else sigmas
    scheduler.timesteps = torch.arange(n, 0, -1)
    scheduler.set_begin_index(0)
    if hasattr(scheduler, "order_list"):
        scheduler.order_list = scheduler.get_order_list(n)
    x = X * path.at(ts[0]).g
    for i in range(n):
        if hook:
            hook(scheduler, i)
        y = F(x, ts[i])[..., None, None]  # the schedulers want images
        more = {"variance_noise": Z[i][..., None, None]} if noise else {}
        step = scheduler.step(y, scheduler.timesteps[i], x[..., None, None], **more)
        x = step.prev_sample[..., 0, 0]
    return x


def agree(got: torch.Tensor, want: torch.Tensor, tol: float) -> None:
    assert ((got - want).abs().max() <= tol * want.abs().max()).item()


KEEP = {"prediction_type": "sample", "lower_order_final": False}
multistep = functools.partial(DPMSolverMultistepScheduler, **KEEP)
singlestep = functools.partial(
    DPMSolverSinglestepScheduler, **KEEP, final_sigmas_type="sigma_min"
)
orders = pytest.mark.parametrize("order", [1, 2, 3])
last = pytest.mark.parametrize("zero", [False, True])


@last
@orders
def test_dpmpp(order, zero):
    ends = "zero" if zero else "sigma_min"
    peer = multistep(solver_order=order, final_sigmas_type=ends)
    ts = grid(VP, zero)
    want = theirs(peer, VP, ts, "denoise")
    agree(ours(tables.dpmpp(VP, ts, order), VP), want, 1e-6)
    if order == 3:  # the exact weights are others
        off = ours(tables.exponential(VP, ts, 3), VP) - want
        assert off.abs().max() > 1e-4


@orders
def test_dpmpp_on_the_straight_path(order):
    """use_flow_sigmas: a = 1 - sigma, g = sigma."""
    peer = DPMSolverMultistepScheduler(
        solver_order=order,
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        lower_order_final=False,
        final_sigmas_type="sigma_min",
    )
    ts = grid(STRAIGHT)
    want = theirs(peer, STRAIGHT, ts, "velocity", sigmas=ts)
    agree(ours(tables.dpmpp(STRAIGHT, ts, order), STRAIGHT), want, 1e-6)


@orders
def test_dpmpp_of_edm(order):
    """Its own preconditioning of the network; a = 1, g = sigma."""
    peer = EDMDPMSolverMultistepScheduler(
        solver_order=order, lower_order_final=False, final_sigmas_type="sigma_min"
    )
    ts, F, s = grid(EDM), field(EDM, "denoise"), peer.config.sigma_data
    peer.set_timesteps(N)
    peer.sigmas, peer.timesteps = ts, torch.arange(N, 0, -1)
    peer.set_begin_index(0)
    x = X * ts[0]
    for t, label in zip(ts[:-1], peer.timesteps, strict=True):
        skip, out = s**2 / (t**2 + s**2), t * s / (t**2 + s**2).sqrt()
        x = peer.step((F(x, t) - skip * x) / out, label, x).prev_sample
    agree(ours(tables.dpmpp(EDM, ts, order), EDM), x, 1e-6)


@last
@pytest.mark.parametrize("order", [1, 2])
def test_dpmpp_sde(order, zero):
    """With the same noise."""
    peer = multistep(
        solver_order=order,
        algorithm_type="sde-dpmsolver++",
        final_sigmas_type="zero" if zero else "sigma_min",
    )
    ts = grid(VP, zero)
    want = theirs(peer, VP, ts, "denoise", noise=True)
    agree(ours(tables.dpmpp_sde(VP, ts, order), VP), want, 1e-6)


def test_the_third_order_of_the_sde_is_of_order_one_there():
    """It has (1 - e^-H - H) / H^2 - 1/2 for + 1/2, H = 2 h; seen without noise.

    Against `exponential_sde`, whose orders on the same problem are 1, 2 and 3.
    """
    zeros = torch.zeros(64, 5, 2).double()

    def end(table):
        states, past, F = [X], [], field(VP, "denoise")
        for n in range(len(table)):
            table.step(n, F, states, past, zeros[0])
        return states[0]

    def times(n):
        return VP.when((1.5 - 3 * torch.arange(n + 1).double() / n).exp())

    truth = end(tables.exponential_sde(VP, times(400), 3))
    their, our, numbers = [], [], (16, 32, 64)
    for n in numbers:
        peer = multistep(
            solver_order=3,
            algorithm_type="sde-dpmsolver++",
            final_sigmas_type="sigma_min",
        )
        peer.set_timesteps(n)
        peer.sigmas, peer.timesteps = VP.nsr(times(n)), torch.arange(n, 0, -1)
        peer.set_begin_index(0)
        x, F = X[..., None, None], field(VP, "denoise")
        for i in range(n):
            y = F(x[..., 0, 0], times(n)[i])[..., None, None]
            z = zeros[0][..., None, None]
            x = peer.step(y, peer.timesteps[i], x, variance_noise=z).prev_sample
        their.append((x[..., 0, 0] - truth).norm())
        our.append((end(tables.exponential_sde(VP, times(n), 3)) - truth).norm())
    slopes = [-np.polyfit(np.log(numbers), np.log(e), 1)[0] for e in (their, our)]
    assert slopes[0] < 1.6 and slopes[1] > 2.5


def test_dpmpp_2s():
    """Its grid holds the stages: every other time is a middle."""
    table = tables.dpmpp_2s(VP, grid(VP))
    want = theirs(singlestep(solver_order=2), VP, table.ts, "denoise")
    agree(ours(table, VP), want, 1e-12)


def noisy(order, **options):
    return singlestep(
        solver_order=order,
        **options | {"prediction_type": "epsilon", "algorithm_type": "dpmsolver"},
    )


def test_dpm_solver_2():
    table = tables.dpm_solver(VP, grid(VP), 2)
    want = theirs(noisy(2), VP, table.ts, "noise")
    agree(ours(table, VP), want, 1e-12)


def test_dpm_solver_3_is_the_heun_stage_with_the_midpoint_step():
    """No solver_type is the paper's: its u_2 is that of one, its x_s of the other."""
    table = tables.dpm_solver(VP, grid(VP), 3)
    got = ours(table, VP)

    def switch(scheduler, i):
        kind = "heun" if i % 3 == 1 else "midpoint"
        scheduler.register_to_config(solver_type=kind)

    agree(got, theirs(noisy(3), VP, table.ts, "noise", hook=switch), 1e-12)
    for kind in ("midpoint", "heun"):
        want = theirs(noisy(3, solver_type=kind), VP, table.ts, "noise")
        assert (got - want).abs().max() > 1e-4


@orders
def test_deis(order):
    peer = DEISMultistepScheduler(
        solver_order=order, prediction_type="epsilon", lower_order_final=False
    )
    ts = grid(VP)
    got = ours(tables.deis(VP, ts, order), VP)
    agree(got, theirs(peer, VP, ts, "noise"), 1e-12)


@pytest.mark.parametrize("corrector", [True, False])
@pytest.mark.parametrize("target", ["denoise", "noise"])
@pytest.mark.parametrize("b", ["bh1", "bh2"])
@orders
def test_unipc(order, b, target, corrector):
    peer = UniPCMultistepScheduler(
        solver_order=order,
        solver_type=b,
        predict_x0=target == "denoise",
        prediction_type="sample" if target == "denoise" else "epsilon",
        disable_corrector=[] if corrector else list(range(N)),
        lower_order_final=False,
        final_sigmas_type="sigma_min",
    )
    ts = grid(VP)
    got = ours(tables.unipc(VP, ts, order, target, b, corrector), VP)
    agree(got, theirs(peer, VP, ts, target), 1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_unipc_to_noise_0(order):
    """With lower_order_final, else NaN; of order 3 that lowers the step before, too."""
    peer = UniPCMultistepScheduler(solver_order=order, prediction_type="sample")
    ts = grid(VP, True)
    want = theirs(peer, VP, ts, "denoise")
    agree(ours(tables.unipc(VP, ts, order), VP), want, 1e-12)


@last
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim(eta, zero):
    """The chain is the grid: alphas_cumprod = a^2 at its times; clip_sample=False."""
    peer = DDIMScheduler(
        num_train_timesteps=N, prediction_type="sample", clip_sample=False
    )
    ts = grid(VP, zero)
    peer.set_timesteps(N)
    peer.alphas_cumprod = (VP.at(ts).a ** 2)[:-1].flip(0)
    peer.final_alpha_cumprod = VP.at(ts).a[-1] ** 2
    x, F = X * VP.at(ts[0]).g, field(VP, "denoise")
    for i, label in enumerate(peer.timesteps):
        more = {"eta": eta, "variance_noise": Z[i]} if eta else {}
        x = peer.step(F(x, ts[i]), label, x, **more).prev_sample
    agree(ours(tables.ddim(VP, ts, eta), VP), x, 1e-12)
    if eta == 1:
        agree(ours(tables.exponential_sde(VP, ts, 1), VP), x, 1e-12)


@last
def test_euler_in_sigma_is_ddim(zero):
    peer = EulerDiscreteScheduler(prediction_type="epsilon")
    ts = grid(EDM, zero)
    peer.set_timesteps(N)
    peer.sigmas, peer.timesteps = ts, ts[:-1]
    peer.set_begin_index(0)
    x, F = X * ts[0], field(EDM, "noise")
    for t, label in zip(ts[:-1], peer.timesteps, strict=True):
        peer.is_scale_input_called = True  # the field takes x as it is
        x = peer.step(F(x, t), label, x).prev_sample
    for table in (tables.ddim(EDM, ts), tables.deis(EDM, ts, 1), tables.euler(ts)):
        agree(ours(table, EDM), x, 1e-6)


@last
def test_flow_matching_is_euler(zero):
    peer = FlowMatchEulerDiscreteScheduler()
    ts = grid(STRAIGHT, zero)
    peer.set_timesteps(N)
    peer.sigmas, peer.timesteps = ts, ts[:-1]
    peer.set_begin_index(0)
    x, F = X * ts[0], field(STRAIGHT, "velocity")
    for t, label in zip(ts[:-1], peer.timesteps, strict=True):
        x = peer.step(F(x, t), label, x).prev_sample
    agree(ours(tables.adams_bashforth(ts, 1), STRAIGHT), x, 1e-6)
    agree(ours(tables.ddim(STRAIGHT, ts), STRAIGHT), x, 1e-6)
