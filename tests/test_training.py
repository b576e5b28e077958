"""training: Adam against torch's, averages against plain sums, members against one.

The nets here are stand-ins: a small perceptron with noise from each member's own
generator, and a point that is drawn to the data, of which all is known.
"""

import math

import pytest
import torch
from examples import cuda, named, normal, refuses

from diffkit import shapes
from diffkit.learning import training
from diffkit.learning.training import Adam, fit, schedule, until

F64 = torch.float64
LR, DECAY, EMA = (1e-2, 3e-3, 1e-3), (0.1, 0.0, 0.5), (0.9, 0.0, 0.99)


class Tiny(torch.nn.Module):
    """K perceptrons of one hidden layer; member k from seeds[k] alone."""

    def __init__(self, seeds=(0,), d=3, dtype=F64):
        super().__init__()
        self.seeds = tuple(seeds)
        plan = {"V": (d, 8), "b": (1, 8), "W": (8, d)}
        for i, (name, shape) in enumerate(plan.items()):
            rows = [normal(*shape, seed=10 * seed + i) for seed in self.seeds]
            value = torch.nn.Parameter(torch.stack(rows).to(dtype) / 2)
            self.register_parameter(name, value)

    def forward(self, x):
        return torch.baddbmm(self.b, x, self.V).tanh() @ self.W


class Denoising:
    """|net(x0 + z) - x0|^2 with z from each member's own generator; it remembers."""

    def __init__(self, scale=1.0):
        self.scale, self.batches, self.means = scale, [], []

    def loss(self, model, x0, rngs):
        like = {"dtype": x0.dtype, "device": x0.device}
        z = [torch.randn(x0.shape[1:], generator=own, **like) for own in rngs]
        z = self.scale * torch.stack(z)
        loss = (model(x0 + z) - x0).square().sum(-1)
        self.batches.append((x0.clone(), z))
        self.means.append(loss.detach().mean(1))
        return loss


class Point(torch.nn.Module):
    """K points."""

    def __init__(self, K=1, d=3, dtype=F64):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(K, d, dtype=dtype))


class Distance:
    """|w - x0|^2."""

    def loss(self, model, x0, rngs):
        return (model.w.unsqueeze(1) - x0).square().sum(-1)


class Bad:
    """Distance, with something wrong from its n-th call on."""

    def __init__(self, n, wrong):
        self.n, self.wrong, self.calls = n, wrong, 0

    def loss(self, model, x0, rngs):
        self.calls += 1
        loss = Distance().loss(model, x0, rngs)
        return self.wrong(loss, model) if self.calls >= self.n else loss


LOOKS = 2  # calls of the loss with which fit begins


def cloud(n, rng):
    """n correlated points in three dimensions."""
    device = rng.device
    z = torch.randn(n, 3, generator=rng, dtype=F64, device=device)
    return z.cumsum(-1) + 1


def drain(progresses):
    """All that is yielded."""
    return list(progresses)


def flat(model):
    """All weights (K, P)."""
    return torch.cat([p.detach().flatten(1) for p in model.parameters()], 1).clone()


# ---------------------------------------------------------------------- schedules

TORCH = {
    "cosine": lambda own: torch.optim.lr_scheduler.CosineAnnealingLR(own, 40),
    "linear": lambda own: torch.optim.lr_scheduler.LinearLR(own, 1.0, 0.0, 40),
    "none": lambda own: torch.optim.lr_scheduler.ConstantLR(own, 1.0),
}


@named(TORCH)
def test_schedules_are_those_of_torch(name):
    own = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    clock, found = TORCH[name](own), []
    for _ in range(41):
        found.append(own.param_groups[0]["lr"])
        own.step()
        clock.step()
    ours = [schedule(n, 40, name) for n in range(41)]
    # torch multiplies its way along: some tens of roundings
    assert ours == pytest.approx(found, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", ["cosine", "linear"])
def test_schedules_fall_from_one_to_zero_with_a_known_area(name):
    N = 37
    shares = [schedule(n, N, name) for n in range(N + 1)]
    assert shares[0] == 1 and shares[-1] == 0
    assert shares == sorted(shares, reverse=True)
    # f(u) + f(1 - u) = 1, so the sum is (N + 1) / 2 to rounding
    assert math.fsum(shares) == pytest.approx((N + 1) / 2, rel=1e-14, abs=0)


@named(TORCH)
def test_warmup_rises_in_equal_steps_to_the_full_rate(name):
    rises = [schedule(n, 30, name, warmup=9) for n in range(10)]
    assert rises == pytest.approx([(n + 1) / 10 for n in range(10)], rel=1e-15, abs=0)
    rest = [schedule(n, 30, name, warmup=9) for n in range(9, 31)]
    assert rest == [schedule(n, 21, name) for n in range(22)]


# ------------------------------------------------------------------ the optimiser


@pytest.mark.parametrize("K", [1, 3])
def test_fifty_steps_are_those_of_torch(K):
    """Each member against AdamW on a net of its own, with its own rate and decay."""
    together, x, z = Tiny(range(K)), normal(K, 16, 3), normal(K, 16, 3, seed=1)
    adam = Adam(together, LR[:K], weight_decay=DECAY[:K], betas=(0.8, 0.95))
    alone = [Tiny((k,)) for k in range(K)]
    theirs = [
        torch.optim.AdamW(
            net.parameters(), r, (0.8, 0.95), 1e-8, weight_decay=c, foreach=False
        )
        for net, r, c in zip(alone, LR, DECAY, strict=False)
    ]
    clocks = [torch.optim.lr_scheduler.CosineAnnealingLR(own, 50) for own in theirs]
    for n in range(50):
        with adam.moving():
            off = (together(x + z) - x).square().sum(-1).mean(1)
            adam.step(off, schedule(n, 50))
        for k, (net, own, clock) in enumerate(zip(alone, theirs, clocks, strict=True)):
            own.zero_grad()
            (net(x[k : k + 1] + z[k : k + 1]) - x[k]).square().sum(-1).mean().backward()
            own.step()
            clock.step()
    moved = (adam.weights - flat(Tiny(range(K)))).abs().max()
    assert moved > 0.01
    want = torch.cat([flat(net) for net in alone])
    # 50 steps of about ten roundings each
    torch.testing.assert_close(adam.weights, want, rtol=1e-12, atol=1e-13)


def test_a_small_gradient_meets_the_eps_of_torch():
    """Gradients of 1e-8: there eps is half of the denominator."""
    model, other = Point(), torch.zeros(1, 3, dtype=F64, requires_grad=True)
    adam, theirs = Adam(model, 0.1), torch.optim.AdamW([other], 0.1, weight_decay=0.0)
    slope = torch.tensor([1e-8, -3e-9, 2e-7], dtype=F64)
    for _ in range(3):
        with adam.moving():
            adam.step(model.w @ slope)
        other.grad = slope.expand(1, 3).clone()
        theirs.step()
    torch.testing.assert_close(adam.weights, other.detach(), rtol=1e-12, atol=0)


def test_gradients_are_clipped_member_by_member():
    model, x = Tiny((0, 1, 2)), normal(3, 16, 3)
    limits = (1e-3, 0.5, 1e3)
    adam = Adam(model, clip=limits, betas=(0.0, 0.0))
    with adam.moving():
        adam.step((model(x) - x).square().sum(-1).mean(1))
    for k, limit in enumerate(limits):
        net = Tiny((k,))
        (net(x[k : k + 1]) - x[k]).square().sum(-1).mean().backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), limit)
        want = torch.cat([p.grad.flatten() for p in net.parameters()])
        # torch adds 1e-6 to the norm, which is above 0.5 here
        torch.testing.assert_close(adam.m[k], want, rtol=3e-6, atol=0)
    assert adam.m[0].norm() == pytest.approx(1e-3, rel=1e-12, abs=0)


def test_a_gradient_of_zero_is_not_divided_by():
    model = Point(2)
    adam = Adam(model, clip=1.0)
    with adam.moving():
        adam.step((model.w * torch.zeros(2, 3, dtype=F64)).sum(1))
    assert torch.equal(adam.weights, torch.zeros(2, 3, dtype=F64))


def test_the_average_is_the_sum_over_all_weights_so_far():
    model, history = Tiny((0, 1, 2)), []
    adam = Adam(model, 0.05, ema=EMA)
    for t in range(1, 31):
        x = normal(3, 4, 3, seed=t)
        with adam.moving():
            adam.step((model(x) - x).square().sum(-1).mean(1))
        history.append(adam.weights.clone())
        for k, B in enumerate(EMA):
            share = torch.tensor([float(B) ** (t - i) for i in range(1, t + 1)])
            past = torch.stack([w[k] for w in history])
            want = (share.to(F64) / share.sum()).to(F64) @ past
            # float32 has rounded the shares; sums of at most 30 terms
            torch.testing.assert_close(adam.average[k], want, rtol=1e-6, atol=1e-7)
        assert torch.equal(flat(model), adam.average)
    assert torch.equal(adam.average[1], adam.weights[1])  # B = 0 has no memory


def test_a_long_memory_is_the_plain_mean():
    model, history = Tiny(), []
    adam = Adam(model, 0.05, ema=1 - 1e-9)
    for t in range(12):
        x = normal(1, 4, 3, seed=t)
        with adam.moving():
            adam.step((model(x) - x).square().sum(-1).mean(1))
        history.append(adam.weights.clone())
    # B^12 = 1 - 1.2e-8, and (1 - B) / (1 - B^t) has lost eight digits
    torch.testing.assert_close(
        adam.average, torch.stack(history).mean(0), rtol=1e-6, atol=1e-7
    )


def test_what_is_frozen_stays_and_what_is_unused_moves_by_decay_alone():
    model = Tiny()
    model.b.requires_grad_(False)
    model.idle = torch.nn.Parameter(torch.ones(1, 4, dtype=F64))
    before = model.b.clone()
    drain(fit(model, Denoising(), cloud, 5, ema=0.0, weight_decay=0.5, decay="none"))
    assert torch.equal(model.b, before)
    want = torch.full((1, 4), (1 - 2e-3 * 0.5) ** 5, dtype=F64)
    torch.testing.assert_close(model.idle.detach(), want, rtol=1e-14, atol=0)


# --------------------------------------------------------------------- the members


def test_a_member_meets_the_very_chance_that_it_meets_alone():
    seeds, together = (5, 3, 8), Denoising()
    net = Tiny(seeds)
    drain(fit(net, together, cloud, 200, batch=8, lr=LR, weight_decay=DECAY))
    worst = 0.0
    for k, seed in enumerate(seeds):
        alone, own = Denoising(), Tiny((seed,))
        drain(fit(own, alone, cloud, 200, batch=8, lr=LR[k], weight_decay=DECAY[k]))
        for (x0, z), (y0, y) in zip(together.batches, alone.batches, strict=True):
            assert torch.equal(x0[k], y0[0]) and torch.equal(z[k], y[0])
        worst = max(worst, (flat(net)[k] - flat(own)[0]).abs().max().item())
    # equal to the last bit where this was written; another library of products may
    # round a batch in another way, and 200 steps let that grow
    assert worst < 1e-11
    x0, z = together.batches[-1]
    assert not torch.equal(x0[0], x0[1]) and not torch.equal(z[0], z[1])


def test_seeds_are_those_of_the_net_unless_others_are_given():
    batches = []
    for given in ({}, {"seeds": (7, 7)}, {"seeds": (4, 9)}):
        seen = Denoising()
        drain(fit(Tiny((4, 9)), seen, cloud, 1, batch=4, **given))
        batches.append(seen.batches[-1][0])
    assert torch.equal(batches[0], batches[2])
    assert torch.equal(batches[1][0], batches[1][1])
    assert not torch.equal(batches[0][0], batches[0][1])


def test_training_does_not_repeat_what_the_weights_were_drawn_from():
    """A net drawn from seed 4 and data from seed 4 must have nothing in common."""
    seen = Denoising()
    drain(fit(Tiny((4,)), seen, cloud, 1, batch=4))
    naive = cloud(4, shapes.rng(4))
    assert not torch.isclose(seen.batches[-1][0][0], naive).any()


# ------------------------------------------------------------------------- the run


def test_a_run_finds_the_point_that_all_data_are_at():
    model, at = Point(2), torch.tensor([0.3, -1.0, 0.7], dtype=F64)
    run = fit(
        model,
        Distance(),
        lambda n, rng: at.expand(n, 3),
        400,
        batch=1,
        lr=(0.05, 0.02),
        ema=0.9,
    )
    losses = [progress.loss for progress in run]
    assert (losses[-1] < 1e-6).all() and (losses[0] > 0.1).all()
    # the rate has fallen to zero; at a fixed rate of 0.02 the steps are of that size
    assert (model.w - at).abs().max() < 1e-4


def test_it_yields_after_every_so_many_steps_and_at_the_end(capfd):
    seen = Denoising()
    run = drain(fit(Tiny((0, 1)), seen, cloud, 25, batch=4, every=10))
    assert [progress.step for progress in run] == [10, 20, 25]
    means = torch.stack(seen.means[LOOKS:])
    for progress, part in zip(run, means.split(10), strict=True):
        torch.testing.assert_close(progress.loss, part.mean(0), rtol=1e-13, atol=0)
    seconds = [progress.seconds for progress in run]
    assert 0 < seconds[0] < seconds[1] < seconds[2]
    assert capfd.readouterr() == ("", "")


def test_nothing_moves_before_the_first_step_is_asked_for():
    model, seen = Tiny(), Denoising()
    before = flat(model)
    run = fit(model, seen, cloud, 10)
    assert torch.equal(flat(model), before) and len(seen.batches) == LOOKS
    next(run)
    assert not torch.equal(flat(model), before)


def averages(steps, every, lr=0.01):
    """The average after each step, by the optimiser itself."""
    model, seen = Tiny((0, 1)), Denoising()
    adam, found = Adam(model, lr, ema=0.9), []
    rngs = [shapes.rng((s + training.STREAM) % training.SEEDS) for s in (0, 1)]
    for n in range(steps):
        with adam.moving():
            x0 = torch.stack([cloud(4, own) for own in rngs])
            adam.step(seen.loss(model, x0, rngs).mean(1), schedule(n, steps))
        found.append(flat(model))
    return found[every - 1 :: every]


@pytest.mark.parametrize("how", ["at yields", "break", "error", "interrupt", "close"])
def test_the_model_holds_the_average_whenever_the_caller_has_the_word(how):
    want = averages(20, 5)
    model, seen = Tiny((0, 1)), Denoising()
    run = fit(model, seen, cloud, 20, batch=4, lr=0.01, ema=0.9, every=5)
    if how == "at yields":
        for average, _ in zip(want, run, strict=True):
            assert torch.equal(flat(model), average)
        return
    next(run)
    if how == "break":
        for progress in run:
            assert progress.step == 10
            break
        assert torch.equal(flat(model), want[1])
        return
    if how == "close":
        run.close()
        assert torch.equal(flat(model), want[0])
        return
    kind = {"error": ZeroDivisionError, "interrupt": KeyboardInterrupt}[how]

    def stop(*_):
        raise kind

    seen.loss = stop
    with pytest.raises(kind):
        next(run)
    assert torch.equal(flat(model), want[0])


def test_how_often_it_yields_changes_nothing():
    found = []
    for every in (1, 7, 100):
        model = Tiny((0, 1))
        drain(fit(model, Denoising(), cloud, 30, batch=4, every=every))
        found.append(flat(model))
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


@pytest.mark.parametrize("how", ["edited", "moved", "trained by another run"])
def test_weights_that_are_changed_between_yields_are_not_lost_in_silence(how):
    model = Tiny()
    run = fit(model, Denoising(), cloud, 20, batch=4, every=5)
    next(run)
    if how == "edited":
        with torch.no_grad():
            model.W.mul_(2)
    elif how == "moved":
        model.float()
    else:
        next(fit(model, Denoising(), cloud, 20, batch=4, every=5))
    after = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(RuntimeError, match="changed between two steps of its run"):
        next(run)
    assert all(map(torch.equal, after, model.parameters()))


def slope(loss, model):
    """Losses that are finite and have none but an infinite derivative, in member 1."""
    w = model.w[1:].unsqueeze(1)
    return torch.cat([loss[:1], loss[1:] + (w - w.detach()).abs().sqrt().sum(-1)])


BROKEN = {
    "nan": (
        lambda u, m: u * torch.tensor([[1.0], [math.nan]]),
        "loss of member 1.*nan",
    ),
    "inf": (lambda u, m: u + torch.tensor([[math.inf], [0]]), "loss of member 0.*inf"),
    "slope": (slope, "gradient of member 1.*(nan|inf)"),
}


@named(BROKEN)
def test_a_run_that_diverges_says_where_and_keeps_what_was_good(name):
    wrong, says = BROKEN[name]
    healthy, model = Point(2), Point(2)
    for _ in fit(healthy, Distance(), cloud, 50, every=1):
        if _.step == 6:
            break
    run = fit(model, Bad(LOOKS + 7, wrong), cloud, 50, every=100)
    refuses(FloatingPointError, f"in step 7 the {says}", lambda: next(run))
    assert torch.equal(model.w, healthy.w)


def test_losses_that_only_sum_to_infinity_are_no_divergence():
    model = Point(2, dtype=torch.float32)
    adam = Adam(model)
    with adam.moving():
        adam.step(model.w.sum(1) * 0 + 3e38)
    assert adam.steps == 1


@cuda
def test_on_a_gpu_a_run_is_resumed_to_the_same_weights(tmp_path):
    found = []
    for stops in (False, True):
        kept = {"checkpoint": tmp_path / "run", "batch": 4, "every": 5} if stops else {}
        for _ in range(1 + stops):
            model = Tiny((0, 1)).to("cuda")
            for progress in fit(model, Denoising(), cloud, 20, **{"batch": 4, **kept}):
                if stops and progress.step == 10:
                    stops = False
                    break
        found.append(flat(model))
    assert torch.equal(*found)


# -------------------------------------------------------------------------- until


def test_until_stops_at_the_first_yield_that_is_low_enough():
    model, asked = Point(2), []

    def excess():
        asked.append((model.w - 1).square().sum(1).detach())
        return asked[-1]

    run = fit(
        model,
        Distance(),
        lambda n, rng: torch.ones(n, 3, dtype=F64),
        900,
        ema=0.9,
        lr=0.02,
        every=10,
    )
    reached = until(run, excess, 0.5)
    assert reached.step == 10 * len(asked) and reached.seconds > 0
    assert torch.equal(reached.excess, asked[-1]) and (asked[-1] < 0.5).all()
    assert all((e >= 0.5).any() for e in asked[:-1]) and len(asked) > 2
    further = until(run, excess, 0.1)
    assert further.step > reached.step and (further.excess < 0.1).all()


def test_until_waits_for_the_last_member():
    falls = iter([[3.0, 0.1], [0.1, 3.0], [0.1, 0.1], [0.0, 0.0]])
    steps = (training.Progress(n, torch.zeros(2), 0.0) for n in range(1, 5))
    reached = until(steps, lambda: torch.tensor(next(falls)), 0.2)
    assert reached.step == 3


@pytest.mark.parametrize(("every", "asked"), [(1, 7), (3, 3), (7, 1), (50, 1)])
def test_until_asks_at_every_so_manyth_yield_and_at_the_last(every, asked):
    calls = []
    steps = (training.Progress(n, torch.zeros(1), 0.0) for n in range(1, 8))
    with pytest.raises(training.NotReached) as caught:
        until(steps, lambda: calls.append(1) or 0.25, 0.2, every)
    assert len(calls) == asked
    assert caught.value.reached.step == 7 and caught.value.reached.excess == 0.25
    assert str(caught.value) == "7 steps ended at an excess risk of 0.25, not below 0.2"


def test_until_is_content_with_the_last_yield():
    steps = [training.Progress(n, torch.zeros(1), 0.0) for n in (1, 2, 3)]
    falls = iter([0.3, 0.1])
    assert until(steps, lambda: next(falls), 0.2, every=2).step == 3


# ----------------------------------------------------------------------- bad input

nan, inf = math.nan, math.inf


def mixed():
    model = Tiny()
    model.W.data = model.W.data.float()
    return model


def apart():
    model = Tiny((0, 1))
    model.extra = torch.nn.Parameter(torch.ones(3, 2))
    return model


def bare():
    model = Tiny()
    model.extra = torch.nn.Parameter(torch.tensor(1.0))
    return model


def frozen():
    return Tiny().requires_grad_(False)


class Other:
    """An objective made of one function."""

    def __init__(self, loss):
        self.loss = lambda model, x0, rngs: loss(model, x0)


def call(model=None, objective=None, draw=cloud, steps=10, **more):
    model = Tiny((0, 1)) if model is None else model
    objective = Denoising() if objective is None else objective
    return lambda: fit(model, objective, draw, steps, **{"batch": 4, **more})


def shaped(*shape, dtype=F64):
    return lambda n, rng: torch.ones(shape, dtype=dtype)


def asks(excess, **more):
    steps = [training.Progress(1, torch.zeros(1), 0.0)]
    return lambda: until(steps, lambda: excess, **{"below": 0.1, **more})


def outside():
    model = Point()
    Adam(model).step(model.w.sum(1))


def used_up():
    run = fit(Tiny(), Denoising(), cloud, 1, batch=4)
    drain(run)
    return until(run, lambda: 0.0, 0.1)


T, V = TypeError, ValueError
chance = torch.Generator()
WRONG = {
    "no module": (T, "model is function; it must be a torch", call(lambda x: x)),
    "frozen": (V, "no parameter to train", call(frozen())),
    "members": (V, r"V and extra have shapes \(2, 3, 8\) and \(3, 2\)", call(apart())),
    "no axis": (V, r"V and extra have shapes .* and \(\); all must", call(bare())),
    "dtypes": (V, "V and W are torch.float64 on cpu and torch.float32", call(mixed())),
    "no loss": (T, "objective is function; it must have loss", call(objective=cloud)),
    "loss shape": (
        V,
        r"the loss has shape \(2,\); it must be \(2, 4\)",
        call(objective=Other(lambda model, x0: model.V.sum((1, 2)))),
    ),
    "loss is a number": (
        V,
        "the loss has shape <class 'float'>",
        call(objective=Other(lambda model, x0: 1.0)),
    ),
    "loss of nothing": (
        V,
        "does not depend on the weights",
        call(objective=Other(lambda model, x0: x0.sum(-1))),
    ),
    "chance elsewhere": (
        V,
        "one state of the generators gave two losses",
        call(draw=lambda n, rng: cloud(n, chance)),
    ),
    "draw of one point": (V, r"draw returned shape \(4,\)", call(draw=shaped(4))),
    "draw too many": (V, r"must be \(4, d\)", call(draw=shaped(5, 3))),
    "draw batches": (V, r"must be \(4, d\)", call(draw=shaped(4, 1, 3))),
    "draw ints": (
        T,
        "what draw returned is torch.int64",
        call(draw=shaped(4, 3, dtype=torch.int64)),
    ),
    "draw nan": (
        V,
        "draw returned holds NaN",
        call(draw=lambda n, rng: cloud(n, rng) * nan),
    ),
    "no steps": (V, "steps is 0; it must be at least 1", call(steps=0)),
    "half a step": (T, "steps is 0.5; it must be a whole number", call(steps=0.5)),
    "batch": (V, "batch is -1", call(batch=-1)),
    "every": (T, "every is True", call(every=True)),
    "lr": (V, "lr is 0; it must be above 0", call(lr=0)),
    "lr nan": (V, "lr is nan", call(lr=nan)),
    "lr text": (V, "lr is 'f'", call(lr="fast")),
    "lrs": (V, "lr has 3 values; 2 are wanted", call(lr=LR)),
    "ema one": (V, "ema is 1.0; it must be at least 0 and below 1", call(ema=1.0)),
    "ema below": (V, r"ema is -0.1", call(ema=(0.5, -0.1))),
    "weight decay": (V, "weight_decay is -1", call(weight_decay=-1)),
    "turning": (
        V,
        "lr 0.1 times weight_decay 10 is not below 1",
        call(lr=0.1, weight_decay=10),
    ),
    "clip": (V, "clip is 0.0; it must be above 0", call(clip=0.0)),
    "betas": (V, "betas is 1.0", call(betas=(0.9, 1.0))),
    "three betas": (V, "betas has 3 values; 2", call(betas=(0.9, 0.9, 0.9))),
    "decay": (
        V,
        "decay is 'sine'; it is one of cosine, linear, none",
        call(decay="sine"),
    ),
    "warmup": (V, "warmup is 10; it must be from 0 to 9", call(warmup=10)),
    "late": (V, "n is 11; it must be from 0 to 10", lambda: schedule(11, 10)),
    "early": (V, "n is -1", lambda: schedule(-1, 10)),
    "seeds": (V, "seeds has 1 values; 2 are wanted", call(seeds=(1,))),
    "seed": (
        V,
        "seeds is -1; it must be a whole number from 0 to",
        call(seeds=(1, -1)),
    ),
    "half a seed": (V, "seeds is 0.5", call(seeds=(1, 0.5))),
    "seed too large": (V, "seeds is 4294967296", call(seeds=(1, 2**32))),
    "below 0": (V, "below is 0; it must be a finite excess", asks(0.0, below=0)),
    "below nan": (V, "below is nan", asks(0.0, below=nan)),
    "until every": (V, "every is 0", asks(0.0, every=0)),
    "nan excess": (V, "excess risk after 1 steps is NaN", asks(nan)),
    "step outside": (RuntimeError, "holds the average: step inside", outside),
    "used up": (V, "yields nothing: it has been used up", used_up),
    "not reached": (
        training.NotReached,
        "1 steps ended at an excess risk of 1",
        asks(1),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
