"""The multistep samplers of the literature, under their names.

Each is `exponential` or differs from it in one number, which its docstring tells.
With r_0 = h_{n-1} / h_n, r_1 = h_{n-2} / h_n the papers' differences are

    D1_0 = (F_n - F_{n-1}) / r_0,    D1_1 = (F_{n-1} - F_{n-2}) / r_1,
    D2 = (D1_0 - D1_1) / (r_0 + r_1),    D1 = D1_0 + r_0 D2,

and P = F_n + D1 theta + D2 theta^2 is the polynomial through the three: D2 is its
coefficient, half of its second derivative, and wants the whole of W_2.
"""

from __future__ import annotations

from ..paths import Path
from .exponentials import denoising, exponential, ordered
from .grids import Grid
from .table import Table


def deis(path: Path, ts: Grid, order: int) -> Table:
    """The diffusion exponential integrator: the noise as a polynomial in log nsr.

    x_s = a_s / a_t x_t + a_s int P(log nsr) d nsr, order 1 to 3: `exponential` of the
    noise, and what public code calls log-rho. The paper's rho-AB is ``by="nsr"``.
    A step to noise 0 is of order 1. Raises: as `exponential`.
    Source: zhang2023deis. Checked: tests/test_exponentials_orders.py,
    tests/test_peers_diffusers.py
    """
    return exponential(path, ts, ordered(order, 3), "noise")


def dpmpp(path: Path, ts: Grid, order: int) -> Table:
    """DPM-Solver++ multistep: DDIM, 2M and 3M, to the last digit of public code.

    x_s = g_s / g_t x_t + W_0 (F_n + D1_0 / 2), the 2M of the paper, has W_0 / 2 for
    W_1 = W_0 / 2 + O(h^2): still order 2. 3M multiplies D2 by W_2 / 2 where it wants
    W_2, and so is of order 2 as well, also after a fine start; the one of order 3 is
    `exponential`. A step to noise 0 is of order 1. Raises: as `exponential`.
    Source: lu2022dpmpp, algorithm 2. Checked: tests/test_exponentials_orders.py,
    tests/test_peers_diffusers.py
    """
    return denoising(path, ts, ordered(order, 3), 0, published=True)


def dpmpp_sde(path: Path, ts: Grid, order: int) -> Table:
    """SDE-DPM-Solver++: 1 and 2M, for the reverse process.

    x_s = g_s / g_t e^{-h} x_t + W_0 (F_n + D1_0 / 2) + g_s sqrt(1 - e^{-2h}) z with
    W_0 = a_s (1 - e^{-2h}): `exponential_sde` with W_0 / 2 for W_1. Order 1 is `ddim`
    with eta = 1. A step to noise 0 returns D. Raises: as `exponential_sde`.
    Source: lu2022dpmpp. Checked: tests/test_exponentials_orders.py,
    tests/test_peers_diffusers.py
    """
    return denoising(path, ts, ordered(order, 2), 1, published=True)
