"""Derivatives: the Jacobian of a field, and what is read off it.

J_ij = d F_i / d x_j = S + W, symmetric and antisymmetric. The divergence tr J = tr S
moves the density; the curl 2 W is what no gradient has. Fields treat points one by
one, so one reverse sweep serves all points at once: d sweeps give J, one sweep
gives e'J for a probe e at every point.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..shapes import Estimate, Float, Points, Times, floating
from .field import Field, value

PROBES = ("rademacher", "gaussian")


def jacobian(field: Field, x: Points, t: Times) -> Float[Tensor, "*n d d"]:
    """J_ij = d F_i / d x_j at every point, by d reverse sweeps.

    x: (*n, d). The field must treat points one by one, as all fields here do, and
    its backward must be right under vmap (that of torch.cdist is not).
    Raises: as `value` does. Checked: tests/test_fields.py
    """

    def total(y: Tensor) -> Tensor:
        return value(field, y, t).reshape(-1, y.shape[-1]).sum(0)

    J = torch.func.jacrev(total)(floating("x", x))  # (d, *n, d)
    return J.movedim(0, -2)


def divergence(field: Field, x: Points, t: Times) -> Float[Tensor, "*n"]:
    """div F = sum_i d F_i / d x_i at every point, exactly: d reverse sweeps.

    Checked: painters/log-density, tests/test_fields.py
    """
    return jacobian(field, x, t).diagonal(dim1=-2, dim2=-1).sum(-1)


def hutchinson(
    field: Field,
    x: Points,
    t: Times,
    rng: torch.Generator,
    probes: int = 16,
    kind: str = "rademacher",
) -> Estimate:
    """The divergence by random probes, without bias, and its standard error.

    div F ~ mean of e'J e over m probes with E e e' = I, new ones at every point: one
    reverse sweep each. With S = (J + J') / 2 the variance is 2 |S|^2 / m for
    ``gaussian`` probes, and 2 |S - diag S|^2 / m for ``rademacher`` ones, which so
    are exact for a diagonal S. The error returned is the one measured, sd / sqrt(m).
    Raises: ValueError for m < 2 or another kind.
    Source: hutchinson1990trace. Checked: reverse/hutchinson, tests/test_fields.py
    """
    if probes < 2:
        raise ValueError(f"probes is {probes}; at least 2 tell their own error")
    if kind not in PROBES:
        raise ValueError(f"kind is {kind!r}; it is one of {', '.join(PROBES)}")
    _, pull = torch.func.vjp(lambda y: value(field, y, t), floating("x", x))
    like, found = {"dtype": x.dtype, "device": x.device, "generator": rng}, []
    for _ in range(probes):  # one by one: no vmap, and the memory of one
        if kind == "gaussian":
            e = torch.randn(x.shape, **like)
        else:
            e = 2 * torch.randint(0, 2, x.shape, **like) - 1
        found.append((e * pull(e)[0]).sum(-1))
    each = torch.stack(found)
    off = torch.linalg.vector_norm(each - each.mean(0), dim=0)
    return Estimate(each.mean(0), off / math.sqrt(probes * (probes - 1)))


def curl(field: Field, x: Points, t: Times) -> Float[Tensor, "*n d d"]:
    """J - J', the antisymmetric matrix that says how the field turns.

    In the plane its entry [1, 0] is the curl d_x F_y - d_y F_x; in space the curl
    vector is ([2, 1], [0, 2], [1, 0]). Zero exactly where F is locally a gradient.
    Checked: tests/test_fields.py
    """
    J = jacobian(field, x, t)
    return J - J.mT


def asymmetry(field: Field, x: Points, t: Times) -> Float[Tensor, "*n"]:
    """|J - J'| / (2 |J|) in Frobenius norms: from 0, a gradient, to 1, a turning.

    The share of J that is antisymmetric, at every point; 0 where J = 0. It measures
    no error of a score: a gauge field may have much and harm nothing, a gradient of
    a wrong law has none. Checked: tests/test_fields.py
    """
    J = jacobian(field, x, t)
    top = J.abs().amax((-2, -1), keepdim=True)
    J = J / top.where(top > 0, 1.0)  # so that no square overflows
    size = torch.linalg.matrix_norm(J)
    return torch.linalg.matrix_norm((J - J.mT) / 2) / size.where(
        top[..., 0, 0] > 0, 1.0
    )
