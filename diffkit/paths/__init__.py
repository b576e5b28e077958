"""Paths: three functions of time, x_t = a(t) x0 + b(t) x1 + g(t) z.

A path is written once, in sympy. Its LaTeX, its time derivatives and its torch
code all come from that one expression, so they cannot disagree. Noise enters as
g^2, because the derivative of g may be infinite where that of g^2 is not:

    Coef(a, b, g2, da, db, gdg)      gdg = g dg/dt = (g^2)' / 2

Data sits at t = 0, where (a, b, g2) = (1, 0, 0). At t = T a path with one end
(b = 0) has noise, a pinned path with two ends the other point x1: (0, 1, 0). The
noise-to-signal ratio is nsr = g / a; two one-ended paths are the same world when
their nsr agree (see ``painters/same-world``), so a path may change its clock and
its scale, and a chain of steps (betas) sits on every path that reaches its nsr:

    reparametrise   a, b, g2 at tau(t)      rescale   c a, c b, c^2 g2
    reverse         a <-> b at T - t        zero_terminal   a(T) = 0

    abar_n = prod_m (1 - beta_m),    nsr_n^2 = 1 / abar_n - 1,    log abar throughout
"""

from .changes import reparametrise, rescale, reverse, zero_terminal
from .discrete import (
    betas_on,
    chain_nsr,
    cosine_betas,
    embed,
    linear_betas,
    log_abar,
    zero_terminal_betas,
)
from .families import (
    brownian,
    circle,
    cosine,
    edm,
    encoding_decoding,
    mirror,
    one_sided,
    straight,
    trig,
    ve,
    vp,
)
from .path import Coef, Path, Sde, t
from .targets import TARGETS, combination

__all__ = [
    "Coef",
    "Path",
    "Sde",
    "TARGETS",
    "betas_on",
    "brownian",
    "chain_nsr",
    "circle",
    "combination",
    "cosine",
    "cosine_betas",
    "edm",
    "embed",
    "encoding_decoding",
    "linear_betas",
    "log_abar",
    "mirror",
    "one_sided",
    "reparametrise",
    "rescale",
    "reverse",
    "straight",
    "t",
    "trig",
    "ve",
    "vp",
    "zero_terminal",
    "zero_terminal_betas",
]
