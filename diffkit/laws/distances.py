"""Distances: squares of differences, never differences of squares."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def squares(u: Tensor, v: Tensor) -> Tensor:
    """|u_i - v_k|^2 of shape (*n, K), for u (*n, d) and v (K, d)."""
    flat = _Squares.apply(u.reshape(-1, u.shape[-1]), v)
    return flat.reshape(*u.shape[:-1], len(v))


class _Squares(torch.autograd.Function):
    """|u_i - v_k|^2 of the rows of u and v, by differences and in O(n K) memory.

    The derivative of cdist itself is silently wrong under vmap, so in `jacobian`.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(u: Tensor, v: Tensor) -> Tensor:
        return torch.cdist(u, v, compute_mode="donot_use_mm_for_euclid_dist") ** 2

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        u, v = ctx.saved_tensors
        rows, columns = grad.sum(1, keepdim=True), grad.sum(0).unsqueeze(1)
        return 2 * (rows * u - grad @ v), 2 * (columns * v - grad.mT @ u)

    @staticmethod
    def jvp(ctx: Any, du: Tensor, dv: Tensor) -> Tensor:
        u, v = ctx.saved_tensors
        rows, columns = (u * du).sum(1, keepdim=True), (v * dv).sum(1)
        return 2 * (rows - du @ v.mT - u @ dv.mT + columns)
