"""learning.nets: each net against a plain loop over its members, written again.

Tolerances: 1e-12 relative to the largest entry where both sides are float64 and a few
hundred sums; bit for bit where the same numbers are only copied.
"""

import math

import numpy as np
import pytest
import scipy.integrate
import torch
from examples import cuda, named, normal, refuses

from diffkit import fields
from diffkit.learning import MLP, ConvNet, Energy, Linear, nets

SEEDS = (5, 0, 7)
double = {"dtype": torch.float64}
KINDS = {
    "mlp": lambda **o: MLP(3, width=7, depth=2, features=2, **o),
    "shallow": lambda **o: MLP(1, width=4, depth=1, features=0, **o),
    "linear": lambda **o: Linear(3, features=2, **o),
    "conv": lambda **o: ConvNet(width=4, blocks=2, side=4, features=2, **o),
    "energy": lambda **o: Energy(MLP(3, width=7, depth=2, **o)),
}


def stirred(net: nets.Net, size: float = 0.5) -> nets.Net:
    """The net with other weights, none of them zero; each member its own."""
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            for k, seed in enumerate(net.seeds):
                p[k] = size * normal(*p.shape[1:], seed=100 * seed + i)
    return net


def batch(net: nets.Net, n: int = 6, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Points (K, n, d) and clocks (K, n), different for every member."""
    return normal(net.members, n, net.d, seed=seed), normal(net.members, n, seed=1)


def close(got, want, rtol: float = 1e-12) -> None:
    got, want = (torch.as_tensor(v).detach() for v in (got, want))
    assert got.shape == want.shape
    assert (got - want).abs().max() <= rtol * want.abs().max()


# ----------------------------------------------------------------- the members


@named(KINDS)
def test_a_member_is_the_net_of_its_seed_alone(name):
    net = KINDS[name](seeds=SEEDS)
    assert net.members == 3 and net.dtype == torch.float32
    drawn = [p for p in net.parameters() if p.abs().sum() > 0]
    assert drawn or name == "linear"
    for k, seed in enumerate(SEEDS):
        alone = KINDS[name](seeds=(seed,))
        for p, own in zip(net.parameters(), alone.parameters(), strict=True):
            assert (p[k] == own[0]).all()
    for p in drawn:
        assert not (p[0] == p[1]).any()


@named(KINDS)
def test_single_precision_is_the_double_net_rounded(name):
    low, high = (
        KINDS[name](seeds=SEEDS, dtype=t) for t in (torch.float32, torch.float64)
    )
    for p, q in zip(low.parameters(), high.parameters(), strict=True):
        assert q.dtype == torch.float64 and (p == q.float()).all()
    stirred(low), stirred(high)
    x, u = batch(high)
    got = low(x.float(), u.float())
    assert got.dtype == torch.float32
    close(got.double(), high(x, u), 1e-5)  # some hundred roundings of 6e-8


@named(KINDS)
def test_members_know_nothing_of_each_other(name):
    net = stirred(KINDS[name](seeds=SEEDS, **double))
    x, u = batch(net)
    together = net(x, u)
    grads = torch.autograd.grad((together**2).sum(), list(net.parameters()))
    for k, seed in enumerate(SEEDS):
        alone = stirred(KINDS[name](seeds=(seed,), **double))
        own = alone(x[k : k + 1], u[k : k + 1])
        close(together[k], own[0])
        close(net(x[k : k + 1], u[k : k + 1], k)[0], own[0])
        apart = torch.autograd.grad((own**2).sum(), list(alone.parameters()))
        for g, mine in zip(grads, apart, strict=True):
            close(g[k], mine[0], 1e-11)


@named(KINDS)
def test_one_member_is_asked_without_gradient_to_its_weights(name):
    net = stirred(KINDS[name](seeds=SEEDS, **double))
    x, u = batch(net)
    assert not net(x[:1], u[:1], 2).requires_grad
    assert net(x[:1].requires_grad_(), u[:1], 2).requires_grad


@named(KINDS)
def test_weights_may_be_views_of_one_buffer(name):
    net = stirred(KINDS[name](seeds=SEEDS, **double))
    x, u = batch(net)
    before = net(x, u)
    flat = torch.cat([p.detach().flatten(1) for p in net.parameters()], 1)
    at = 0
    for p in net.parameters():
        size = p[0].numel()
        p.data = flat[:, at : at + size].view(p.shape)
        at += size
    close(net(x, u), before)
    flat.zero_()
    assert (net(x, u) == 0).all()


@named(KINDS)
def test_the_order_of_the_points_is_kept(name):
    net = stirred(KINDS[name](seeds=SEEDS, **double))
    x, u = batch(net)
    turn = torch.tensor([3, 1, 0, 5, 4, 2])
    close(net(x[:, turn], u[:, turn]), net(x, u)[:, turn])
    assert net(x[:, :0], u[:, :0]).shape == (3, 0, net.d)


@named(KINDS)
def test_a_fresh_net_says_zero(name):
    net = KINDS[name](seeds=SEEDS)
    x, u = batch(net)
    assert (net(x.float(), u.float()) == 0).all()


@cuda
@named(KINDS)
def test_a_gpu_gives_the_same(name):
    net = stirred(KINDS[name](seeds=SEEDS, **double))
    x, u = batch(net)
    here = net(x, u)
    close(net.cuda()(x.cuda(), u.cuda()).cpu(), here)


# --------------------------------------------------------------- plain loops


def loop_phi(u: float, features: int) -> list[float]:
    turns = [np.exp(1j * math.pi / 5 * j * u) for j in range(1, features + 1)]
    return [u, *(w.imag for w in turns), *(w.real for w in turns)]


def loop_silu(h: np.ndarray) -> np.ndarray:
    return h / (1 + np.exp(-h))


def test_features_are_a_trigonometric_basis():
    net, u = MLP(1, features=3, **double), normal(1, 5)
    want = [loop_phi(v, 3) for v in u[0].tolist()]
    close(net.phi(u)[0], torch.tensor(want, **double))


@pytest.mark.parametrize("name", ["mlp", "shallow"])
def test_mlp_is_the_plain_loop(name):
    net = stirred(KINDS[name](seeds=SEEDS, **double))
    x, u = batch(net)
    got = net(x, u)
    for k in range(3):
        W = [p[k].detach().numpy() for p in net.parameters()]
        for i in range(x.shape[1]):
            h = np.array([*x[k, i].tolist(), *loop_phi(u[k, i].item(), net.features)])
            for A, b in zip(W[:-2:2], W[1:-2:2], strict=True):
                h = loop_silu(h @ A + b[0])
            close(got[k, i], torch.tensor(h @ W[-2] + W[-1][0]))


def test_linear_is_affine_with_a_matrix_for_every_time():
    net = stirred(KINDS["linear"](seeds=SEEDS, **double))
    x, u = batch(net)
    got = net(x, u)
    for k in range(3):
        W = net.W[k].detach().numpy()
        for i in range(x.shape[1]):
            psi = [1.0, *loop_phi(u[k, i].item(), 2)]
            M = sum(p * w for p, w in zip(psi, W, strict=True))
            close(got[k, i], torch.tensor(x[k, i].numpy() @ M[:3] + M[3]))


def test_convnet_is_the_loop_over_plain_convolutions():
    """Each member by torch.nn.Conv2d modules that hold copies of its weights."""
    net = stirred(KINDS["conv"](seeds=SEEDS, **double), 0.3)
    x, u = batch(net)
    got = net(x, u)
    for k in range(3):
        W, b, A, c, *pairs, out = (p[k].detach() for p in net.parameters())

        def conv(h, kernel, bias=None):
            plain = torch.nn.Conv2d(*kernel.shape[1::-1], 3, padding=1, **double)
            plain.weight.data = kernel
            plain.bias.data = (
                torch.zeros(len(kernel), **double) if bias is None else bias
            )
            return plain(h)

        phi = torch.tensor([loop_phi(v, 2) for v in u[k].tolist()], **double)
        shift = (phi @ A + c)[..., None, None]
        h = conv(x[k].view(-1, 1, 4, 4), W, b)
        for i in range(2):
            r = conv(h * torch.sigmoid(h), pairs[2 * i]) + shift[:, 4 * i : 4 * i + 4]
            h = h + conv(r * torch.sigmoid(r), pairs[2 * i + 1])
        close(got[k], conv(h * torch.sigmoid(h), out).flatten(1))


def test_convnet_moves_with_the_image_and_does_not_wrap_around():
    """One block sees 4 pixels far: inside, a moved image gives the moved answer."""
    net = stirred(ConvNet(width=3, blocks=1, side=12, **double), 0.3)
    assert net.d == 144
    image, u = torch.zeros(1, 1, 12, 12, **double), normal(1, 1)
    rest = net(image.flatten(2), u).view(12, 12)
    image[..., 4:7, 5:7] = normal(3, 2)
    moved = image.roll((1, 2), (-2, -1))
    F, G = ((net(v.flatten(2), u).view(12, 12) - rest) for v in (image, moved))
    assert F.abs().max() > 0.1
    # rows 4 - 4 ... 6 + 4 and columns 5 - 4 ... 6 + 4 answer, before the move
    assert (F[11:] == 0).all() and (F[:, :1] == 0).all() and (F[:, 11:] == 0).all()
    close(G[4:8, 6:8], F[3:7, 4:6])  # what no border has seen of either
    corner = torch.zeros(1, 1, 12, 12, **double)
    corner[..., 0, 0] = 1.0
    far = net(corner.flatten(2), u).view(12, 12) - rest
    assert far[0, 0].abs() > 1e-3 and (far[5:] == 0).all() and (far[:, 5:] == 0).all()


# -------------------------------------------------------------------- energy


def as_field(net: nets.Net, k: int = 0) -> fields.Field:
    def field(x, t):
        u = torch.full((1, x.shape[:-1].numel()), 0.3, **double)
        return net(x.reshape(1, -1, net.d), u, k).reshape(x.shape)

    return field


INSIDE = {name: KINDS[name] for name in ("mlp", "linear", "conv")}


@named(INSIDE)
def test_energy_is_the_slope_of_its_scalar(name):
    """Central differences of E = -x . net(x) / 2, with an error of h^2."""
    net = stirred(INSIDE[name](seeds=SEEDS, **double), 0.3)
    x, u = batch(net, 2)
    got, h = Energy(net)(x, u), 1e-5
    for i in range(net.d):
        e = torch.zeros(net.d, **double)
        e[i] = h
        up, down = (-(y * net(y, u)).sum(-1) / 2 for y in (x + e, x - e))
        assert ((down - up) / (2 * h) - got[..., i]).abs().max() < 1e-8


@named(INSIDE)
def test_energy_has_no_curl_and_its_net_has(name):
    net, x = stirred(INSIDE[name](seeds=SEEDS, **double)), normal(3, INSIDE[name]().d)
    for k in range(3):
        assert fields.asymmetry(as_field(Energy(net), k), x, 0.0).max() < 1e-12
        assert fields.asymmetry(as_field(net, k), x, 0.0).max() > 0.1


def test_a_symmetric_linear_net_is_its_own_energy_s_field():
    net = stirred(KINDS["linear"](seeds=SEEDS, **double))
    with torch.no_grad():
        net.W[:, :, :3] += net.W[:, :, :3].mT.clone()
        net.W[:, :, 3] = 0
    x, u = batch(net)
    close(Energy(net)(x, u), net(x, u))


def test_energy_needs_no_tape_and_can_be_trained():
    """The same without gradients; and the loss falls as its gradient says."""
    net = Energy(stirred(KINDS["mlp"](seeds=SEEDS, **double)))
    x, u = batch(net)
    got = net(x, u)
    with torch.no_grad():
        close(net(x, u), got)
    weights = list(net.parameters())
    grads = torch.autograd.grad((got**2).sum(), weights)
    way = [normal(*p.shape, seed=50 + i) for i, p in enumerate(weights)]
    slope, h = sum((g * v).sum() for g, v in zip(grads, way, strict=True)), 1e-6

    def moved(step: float) -> torch.Tensor:
        with torch.no_grad():
            for p, v in zip(weights, way, strict=True):
                p += step * v
            return (net(x, u) ** 2).sum()

    difference = (moved(h) - moved(-2 * h)) / (2 * h)  # error h^2, rounding 1e-15 / h
    assert abs(difference / slope - 1) < 1e-6


# ---------------------------------------------------------------------- size


def test_the_gain_keeps_the_mean_square():
    def integrand(e):
        return (e / (1 + math.exp(-e))) ** 2 * math.exp(-e * e / 2)

    area = scipy.integrate.quad(integrand, -30, 30, epsabs=1e-13)[0]
    kept = nets.GAIN**2 * area / math.sqrt(2 * math.pi)
    assert abs(kept - 1) < 1e-7  # the digits it is written with


@named({n: KINDS[n] for n in ("mlp", "conv")})
def test_drawn_weights_have_their_variance(name):
    """fan-in times the mean square is G^2, or 1 where no silu stands before it."""
    wide = {"mlp": lambda s: MLP(3, 64, 3, seeds=s), "conv": lambda s: ConvNet(seeds=s)}
    net = wide[name](range(20))
    first = {"mlp": ["W0"], "conv": ["W", "A"]}[name]
    for label, p in net.named_parameters():
        if not p.abs().sum():
            continue
        fan = p[0, 0].numel() if p.ndim == 5 else p.shape[1]
        want = 1.0 if label in first else nets.GAIN**2
        want /= 3 if label.startswith("V") else 1  # blocks
        square = fan * p.detach().double().flatten() ** 2 / want
        z = (square.mean() - 1) / (square.std() / math.sqrt(square.numel()))
        assert abs(z) < 6


def test_depth_keeps_the_mean_square_of_what_is_seen():
    """Seven layers of width 256: it wanders by some sqrt(5 * 7 / 256) = 0.37 a seed."""
    net = MLP(256, 256, 7, features=0, seeds=range(16))
    with torch.no_grad():
        net.W7.copy_(torch.eye(256).expand(16, -1, -1))
        y = net(normal(16, 16, 256).float(), torch.zeros(16, 16))
    size = (nets.GAIN**2 * y**2).mean()
    assert abs(size - 1) < 6 * 0.37 / math.sqrt(16)


def test_sizes_are_those_that_are_told():
    count = lambda net: sum(p.numel() for p in net.parameters())  # noqa: E731
    assert count(ConvNet(seeds=(0, 1))) == 2 * 56_864
    plain = MLP(2, width=64, depth=3, features=4)
    assert count(plain) == (2 + 9) * 64 + 2 * 64**2 + 64 * 2 + (3 * 64 + 2)


# ----------------------------------------------------------------- bad input

V, T = ValueError, TypeError
net = MLP(3, width=4, seeds=(0, 1))
x, u = torch.zeros(2, 5, 3), torch.zeros(2, 5)
fits = r"this net takes x \(2, n, 3\) and u \(2, n\)"
WRONG = {
    "no dimension": (V, "d is 0; it must be a whole number >= 1", lambda: MLP(0)),
    "half a dimension": (V, "d is 1.5", lambda: Linear(1.5)),
    "width": (V, "width is 0", lambda: MLP(2, width=0)),
    "depth": (V, "depth is 0", lambda: MLP(2, depth=0)),
    "features": (V, "features is -1; .* >= 0", lambda: MLP(2, features=-1)),
    "no seed": (
        V,
        r"seeds is \(\); it must be whole numbers",
        lambda: MLP(2, seeds=()),
    ),
    "seed": (V, r"seeds is \(0.5,\)", lambda: ConvNet(seeds=(0.5,))),
    "negative seed": (V, r"seeds is \(-1,\)", lambda: MLP(2, seeds=(-1,))),
    "dtype": (V, "dtype is torch.int64", lambda: MLP(2, dtype=torch.int64)),
    "blocks": (V, "blocks is 0", lambda: ConvNet(blocks=0)),
    "side": (V, "side is 0", lambda: ConvNet(side=0)),
    "energy": (
        T,
        "net is Linear; it must be a Net",
        lambda: Energy(torch.nn.Linear(2, 2)),
    ),
    "one member": (V, fits, lambda: net(x[:1], u[:1])),
    "no member": (V, fits, lambda: net(x[0], u[0])),
    "dimension": (V, fits, lambda: net(x[..., :2], u)),
    "clock": (V, fits, lambda: net(x, u[:, :4])),
    "clock linear": (V, fits, lambda: Linear(3, seeds=(0, 1))(x, u[:1])),
    "image": (V, r"x \(1, n, 64\)", lambda: ConvNet()(x[:1], u[:1])),
    "member": (V, r"this net takes x \(1, n, 3\)", lambda: net(x, u, 0)),
    "energy member": (V, fits, lambda: Energy(net)(x[:1], u[:1])),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
