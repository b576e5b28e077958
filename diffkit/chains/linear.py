"""Linear chains in d dimensions: a table, and a field that is affine in x."""

from __future__ import annotations

import math

import torch

from ..fields import Field, value
from ..laws import Mixture
from ..shapes import Float, Points, Tensor, finite, points, rng
from ..tables import Table
from .sweep import asked, swept

TRIED = 16  # points on the way at which the field must be affine


def moments(table: Table, field: Field, law: Mixture) -> Mixture:
    """The exact law after a run from x ~ law, for a field affine in x.

    x_M = P_0 x_0 + sum_n R_n k_n + sum_n S_n P_{n+1} z_n with F_n = K_n x + k_n, found
    at 0 and at the unit vectors at each time asked; a Gaussian stays one, a mixture a
    mixture. law: without batch. The result is stored by its eigenvalues.
    Raises: ValueError for a field that is not affine at points on the way, to
    sqrt(eps) of the terms. Checked: tests/test_chains.py
    """
    if law.batch:
        raise ValueError(
            f"the law has batch shape {tuple(law.batch)}; a chain starts from one law"
        )
    noise = rng(0, law.means.device)
    probe = _Probe(field)
    _run(table, probe, law.blur(1.0).sample(TRIED, noise), noise)
    one = torch.eye(law.d, dtype=law.means.dtype, device=law.means.device)
    J = dict(zip(asked(table), probe.K, strict=True))
    P, R = swept(table, J, one, torch.matmul)
    shift = sum((R[n] @ k for n, k in zip(J, probe.k, strict=True)), 0 * one[0])
    end = law.push(P[0], shift)
    if table.random:
        S = table.S.to(one)
        root = torch.cat([s * p for s, p in zip(S, P[1:], strict=True) if s], -1)
        end = Mixture(end.logw, end.means, end.covariance.factored().widen(root))
    return end.spectral()


def responses(
    table: Table, field: Field, x: Points, noise: torch.Generator | None = None
) -> Float[Tensor, "m *n d d"]:
    """R_n = d x_M / d F_n along the run from x, for every state and any field.

    A run on the field F + e ends sum_n R_n e_n further, to first order in e, and
    exactly if F is affine. J_n is the Jacobian of the field, d reverse sweeps each.
    x: (*n, d). noise: a generator, from which `solvers.solve` draws the same.
    Raises: ValueError without noise where the table adds some.
    Checked: tests/test_chains.py
    """
    points(x)
    if table.random and noise is None:
        raise ValueError("this table adds noise: give a generator, noise")
    slopes = _Slopes(field)
    _run(table, slopes, x, noise)
    one = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    one = one.expand(*x.shape, x.shape[-1])
    J = dict(zip(asked(table), slopes.J, strict=True))
    return torch.stack(swept(table, J, one, torch.matmul)[1])


def _run(table: Table, field: Field, x: Tensor, noise: torch.Generator | None) -> None:
    """The fold of the table over a field that takes notes."""
    states, past = [x], []
    for n, row in enumerate(table.rows):
        z = None
        if row.noise:
            z = torch.randn(x.shape, generator=noise, dtype=x.dtype, device=x.device)
        table.step(n, field, states, past, z)


class _Probe:
    """A field that notes K and k of F = K x + k, and refuses if that is not F."""

    def __init__(self, field: Field) -> None:
        self.field, self.K, self.k = field, [], []

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        d = x.shape[-1]
        one = torch.eye(d, dtype=x.dtype, device=x.device)
        y = _vectors(self.field, torch.cat([0 * one[:1], one, x]), t)
        k = y[0]
        K = (y[1 : d + 1] - k).mT
        off = (y[d + 1 :] - (x @ K.mT + k)).abs()
        room = x.abs() @ K.abs().mT + y[: d + 1].abs().amax()
        if not (off <= math.sqrt(torch.finfo(x.dtype).eps) * room).all():
            raise ValueError(
                f"the field is not affine in x at t = {t:g}; moments follow for F = "
                "K(t) x + k(t) alone"
            )
        self.K.append(K)
        self.k.append(k)
        return y[d + 1 :]


class _Slopes:
    """A field that notes its Jacobian at every point (*n, d, d)."""

    def __init__(self, field: Field) -> None:
        self.field, self.J = field, []

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        J = torch.func.jacrev(lambda y: _vectors(self.field, y, t).sum(0))(flat)
        self.J.append(J.movedim(0, -2).reshape(*x.shape, x.shape[-1]))
        return self.field(x, t)


def _vectors(field: Field, x: Tensor, t: Tensor) -> Tensor:
    """F(x, t), one finite vector per point."""
    return finite("F(x, t)", value(field, x, t))
