"""Nets: K members of one architecture, evaluated as one batch.

A net F(x, u) takes points x (K, n, d) and a number u per point, the time on the
scale that the caller likes (`models.clock` gives a quarter of log nsr), and returns
(K, n, d). Row k of the batch meets the weights of member k alone: every parameter
has a leading axis K, and a layer is one batched product with

    h (K, n, i)    W (K, i, o)    b (K, 1, o)    h <- silu(h W + b)

While a step costs its number of kernels more than its arithmetic, more seeds cost
little more than one: `training` says up to which size. Member k is drawn from
seeds[k] alone, in float64, and rounded: it is the net that ``seeds=(seeds[k],)``
makes, bit for bit.

Time enters through features, a trigonometric basis on the range of the clock:

    phi(u) = (u, sin(j w u), cos(j w u)),  j = 1 ... features,  w = pi / 5

w is a whole turn on |u| <= 5, the clock staying within 2.4. Weights start as normal
numbers of variance G^2 / fan-in, G^2 = 1 / E silu(e)^2 with e ~ N(0, 1), which keeps
the mean square from layer to layer; biases and the last layer start at zero, so that
a preconditioned net starts as the exact denoiser of one Gaussian.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, silu

from ..shapes import Float, rng

Batch = Float[Tensor, "K n d"]
Clock = Float[Tensor, "K n"]
SLOWEST = math.pi / 5  # w
GAIN = 1.6765325  # G, by quadrature in the test


class Net(torch.nn.Module):
    """K members of one architecture: F(x, u), x (K, n, d), u (K, n) -> (K, n, d).

    d: dimension; features: pairs of time features; seeds: one per member. A kind of
    net plants its parameters, all with a leading axis K, and defines ``forward``.
    Raises: ValueError for sizes that are no whole numbers, no seed, or a dtype that
    is not of floats. Checked: tests/test_nets.py
    """

    def __init__(self, d: int, features: int, seeds: Sequence[int]) -> None:
        super().__init__()
        _whole(d=(d, 1), features=(features, 0))
        if not len(seeds) or not all(isinstance(s, int) and s >= 0 for s in seeds):
            raise ValueError(
                f"seeds is {seeds!r}; it must be whole numbers, one or more"
            )
        self.d, self.features, self.seeds = d, features, tuple(seeds)
        j = torch.arange(1, features + 1, dtype=torch.float64).repeat(2)
        phase = torch.zeros_like(j)
        phase[features:] = math.pi / 2
        self.register_buffer("omega", SLOWEST * j, persistent=False)
        self.register_buffer("phase", phase, persistent=False)

    @property
    def members(self) -> int:
        """K, the number of members."""
        return len(self.seeds)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return self.weights()[0].dtype

    def weights(self, k: int | None = None) -> list[Tensor]:
        """All parameters, or those of member k: detached, with K = 1."""
        own = list(self._parameters.values())
        return own if k is None else [p.detach()[k : k + 1] for p in own]

    def phi(self, u: Clock) -> Float[Tensor, "K n m"]:
        """The time features (u, sin(j w u), cos(j w u)), m = 1 + 2 features."""
        u = u.unsqueeze(-1)
        return torch.cat([u, torch.addcmul(self.phase, u, self.omega).sin()], -1)

    def _plant(self, dtype: torch.dtype, plan: dict[str, tuple]) -> None:
        """Parameters name: (gain, fan-in, shape), member k drawn from seeds[k]."""
        if not dtype.is_floating_point:
            raise ValueError(f"dtype is {dtype}; it must be one of floats")
        members = []
        for seed in self.seeds:
            like = {"generator": rng(seed), "dtype": torch.float64}
            members.append(
                [
                    torch.randn(shape, **like) * (gain / math.sqrt(fan))
                    for gain, fan, shape in plan.values()
                ]
            )
        for name, *drawn in zip(plan, *members, strict=True):
            value = torch.stack(drawn).to(dtype)
            self.register_parameter(name, torch.nn.Parameter(value))
        self.to(dtype)

    def _fits(self, x: Tensor, u: Tensor, k: int | None) -> None:
        K = self.members if k is None else 1
        if (
            x.ndim != 3
            or (len(x), x.shape[-1]) != (K, self.d)
            or u.shape != x.shape[:2]
        ):
            raise ValueError(
                f"x has shape {tuple(x.shape)} and u {tuple(u.shape)}; this net takes "
                f"x ({K}, n, {self.d}) and u ({K}, n)"
            )


class MLP(Net):
    """A multilayer perceptron on (x, phi(u)): ``depth`` hidden layers of ``width``.

    Parameters a member: (d + 1 + 2 features) width + (depth - 1) width^2 + width d
    and the biases. Raises: as `Net` does. Checked: tests/test_nets.py
    """

    def __init__(
        self,
        d: int,
        width: int = 128,
        depth: int = 3,
        features: int = 4,
        seeds: Sequence[int] = (0,),
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(d, features, seeds)
        _whole(width=(width, 1), depth=(depth, 1))
        sizes = [d + 1 + 2 * features, *[width] * depth, d]
        gains = [1.0, *[GAIN] * (depth - 1), 0.0]
        plan = {}
        for i, gain in enumerate(gains):
            plan[f"W{i}"] = gain, sizes[i], (sizes[i], sizes[i + 1])
            plan[f"b{i}"] = 0.0, 1, (1, sizes[i + 1])
        self._plant(dtype, plan)

    def forward(self, x: Batch, u: Clock, k: int | None = None) -> Batch:
        """F(x, u) of all members; of member k alone, without gradient to its weights.

        Raises: ValueError for shapes that do not fit. Checked: tests/test_nets.py
        """
        self._fits(x, u, k)
        *hidden, W, b = self.weights(k)
        h = torch.cat([x, self.phi(u)], -1)
        for i in range(0, len(hidden), 2):
            h = silu(torch.baddbmm(hidden[i + 1], h, hidden[i]))
        return torch.baddbmm(b, h, W)


class Linear(Net):
    """A field affine in x at every time: F = W(u) x + b(u), from zero at the start.

    W(u) = sum_j psi_j(u) W_j and b(u) = sum_j psi_j(u) b_j with psi = (1, phi): linear
    in all parameters, so that the best ones solve a linear system.
    Raises: as `Net` does. Checked: tests/test_nets.py, tests/test_objectives.py
    """

    def __init__(
        self,
        d: int,
        features: int = 4,
        seeds: Sequence[int] = (0,),
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(d, features, seeds)
        self._plant(dtype, {"W": (0.0, 1, (2 + 2 * features, d + 1, d))})

    def regressors(self, x: Batch, u: Clock) -> Float[Tensor, "K n p"]:
        """What F is linear in: psi(u) times (x, 1), p = (2 + 2 features)(d + 1)."""
        one = torch.ones_like(x[..., :1])
        psi, y = torch.cat([one, self.phi(u)], -1), torch.cat([x, one], -1)
        return (psi.unsqueeze(-1) * y.unsqueeze(-2)).flatten(-2)

    def forward(self, x: Batch, u: Clock, k: int | None = None) -> Batch:
        """F(x, u) of all members; of member k alone, without gradient to its weights.

        Raises: ValueError for shapes that do not fit. Checked: tests/test_nets.py
        """
        self._fits(x, u, k)
        (W,) = self.weights(k)
        return torch.bmm(self.regressors(x, u), W.flatten(1, 2))


class ConvNet(Net):
    """A residual convolutional net on images of side x side, zeros around them.

    h = x * W + b;  h <- h + silu(silu(h) * U + shift(u)) * V, ``blocks`` times;
    F = silu(h) * out, where * is a 3 x 3 convolution, h has ``width`` channels and
    shift is affine in phi(u). Members are the groups of one convolution; d = side^2,
    rows of pixels one after the other. Width 32 and 3 blocks: 56 864 parameters a
    member. Raises: as `Net` does. Checked: tests/test_nets.py
    """

    def __init__(
        self,
        width: int = 32,
        blocks: int = 3,
        side: int = 8,
        features: int = 4,
        seeds: Sequence[int] = (0,),
        dtype: torch.dtype = torch.float32,
    ) -> None:
        _whole(width=(width, 1), blocks=(blocks, 1), side=(side, 1))
        super().__init__(side * side, features, seeds)
        self.side, m, C = side, 1 + 2 * features, width
        plan = {
            "W": (1.0, 9, (C, 1, 3, 3)),
            "b": (0.0, 1, (C,)),
            "A": (1.0, m, (m, blocks * C)),
            "c": (0.0, 1, (1, blocks * C)),
        }
        for i in range(blocks):  # the mean square grows by (1 + 1/blocks)^blocks < e
            plan[f"U{i}"] = GAIN, 9 * C, (C, C, 3, 3)
            plan[f"V{i}"] = GAIN, 9 * C * blocks, (C, C, 3, 3)
        plan["out"] = 0.0, 1, (1, C, 3, 3)
        self._plant(dtype, plan)

    def forward(self, x: Batch, u: Clock, k: int | None = None) -> Batch:
        """F(x, u) of all members; of member k alone, without gradient to its weights.

        Raises: ValueError for shapes that do not fit. Checked: tests/test_nets.py
        """
        self._fits(x, u, k)
        W, b, A, c, *pairs, out = self.weights(k)
        W, b, out = W.flatten(0, 1), b.flatten(), out.flatten(0, 1)
        K, n, side = *x.shape[:2], self.side
        shift = torch.baddbmm(c, self.phi(u), A)  # (K, n, blocks C)
        shift = shift.unflatten(-1, (len(pairs) // 2, -1)).permute(2, 1, 0, 3)
        shift = shift.flatten(2)[..., None, None]  # (n, K C, 1, 1) for each block
        image = x.transpose(0, 1).reshape(n, K, side, side)
        h = conv2d(image, W, b, padding=1, groups=K)
        for i, more in enumerate(shift):
            U, V = (p.flatten(0, 1) for p in pairs[2 * i : 2 * i + 2])
            r = conv2d(silu(h), U, padding=1, groups=K) + more
            h = h + conv2d(silu(r), V, padding=1, groups=K)
        y = conv2d(silu(h), out, padding=1, groups=K)
        return y.flatten(2).transpose(0, 1)


class Energy(Net):
    """A conservative field -grad_x E, with E(x, u) = -x . net(x, u) / 2.

    F = (net + J' x) / 2, J the Jacobian of the net, by one reverse sweep; a linear
    net with a symmetric matrix is its own energy's field. The weights are those of
    the net inside. Raises: TypeError for what is no `Net`.
    Checked: tests/test_nets.py
    """

    def __init__(self, net: Net) -> None:
        if not isinstance(net, Net):
            raise TypeError(f"net is {type(net).__name__}; it must be a Net")
        super().__init__(net.d, net.features, net.seeds)
        self.net = net

    def weights(self, k: int | None = None) -> list[Tensor]:
        """All parameters, or those of member k: detached, with K = 1."""
        return self.net.weights(k)

    def forward(self, x: Batch, u: Clock, k: int | None = None) -> Batch:
        """-grad_x E of all members, or of member k; under torch.no_grad as well.

        Raises: ValueError for shapes that do not fit. Checked: tests/test_nets.py
        """
        y, pull = torch.func.vjp(lambda x: self.net(x, u, k), x)
        return (y + pull(x)[0]) / 2


def _whole(**sizes: tuple[int, int]) -> None:
    """A ValueError unless every size is a whole number, not below the least one."""
    for name, (size, least) in sizes.items():
        if not isinstance(size, int) or size < least:
            raise ValueError(
                f"{name} is {size!r}; it must be a whole number >= {least}"
            )
