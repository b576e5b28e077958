"""Optima: the grid on which a sampler errs least, for a given spectrum."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from ..paths import Path
from ..shapes import Float, Scalar, Tensor, finite, floating
from ..tables import Table, by_angle, by_nsr, by_rho, to_data
from .gains import gain, variances
from .modes import spread, variance

Make = Callable[[Tensor], Table]
DETACHED = "no gradient in the grid: compute all its numbers and times from ts by torch"
SMALLEST = 1e-12  # share of a step in all the time: none vanishes


def spread_error(
    table: Table, path: Path, lam: Float[Tensor, "*k"], weights: Tensor | None = None
) -> Scalar:
    """sum_k w_k (1 - G_k)^2, G_k the spread of a mode after a run over the exact one.

    The run starts from the exact law. weights: (*k), default psi_k^2 at the last time:
    then the sum is E|x_M - x|^2 against the exact flow, for G_k >= 0 the squared W2
    distance of the laws; ones count relative errors. Of a table that adds noise the
    spread is the root of `variances`.
    Raises: ValueError for weights that do not fit, or on a mode that ends at psi = 0.
    Source: li2023autodiffusion, of which this is the Gaussian case.
    Checked: angles/spectrum, tests/test_chains.py
    """
    first, last = (spread(path, lam, table.ts[i]) for i in (0, -1))
    if table.random:
        end = variances(table, path, lam, first**2).sqrt()
    else:
        end = gain(table, path, lam) * first
    if weights is None:
        return ((end - last) ** 2).sum()
    weights = finite("weights", floating("weights", weights)).to(lam)
    if weights.shape != lam.shape or not (weights >= 0).all():
        raise ValueError(
            f"weights have shape {tuple(weights.shape)}; they must be >= 0, one per "
            f"mode, {tuple(lam.shape)}"
        )
    if ((last == 0) & (weights > 0)).any():
        raise ValueError(
            "a mode ends without spread, so its relative error is infinite: give it "
            "weight 0"
        )
    off = (end / last.where(last > 0, 1.0) - 1).where(last > 0, 0.0)
    return (weights * off**2).sum()


def optimal_grid(
    make: Make,
    path: Path,
    lam: Float[Tensor, " k"],
    n: int,
    high: float | int,
    low: float | int = 0.0,
    weights: Tensor | None = None,
) -> Float[Tensor, " m"]:
    """The n steps from nsr high down to low with the least `spread_error`.

    make: grid -> Table, differentiable in the grid, seen by one difference. Minimised
    by BFGS over the logs of the steps in time, with gradients by autograd, from equal
    angles of five variances, equal log nsr and rho = 7; the best end is returned. A
    local search: samplers with errors of both signs have several optima.
    Raises: ValueError, TypeError for arguments that do not fit. Times are float64.
    Source: li2023autodiffusion; sabour2024steps.
    Checked: shortest/best-grid, angles/spectrum, angles/density, tests/test_chains.py
    """
    from scipy.optimize import minimize

    if n < 1 or not 0 <= low < high:
        raise ValueError(
            f"{n} steps from nsr {high} to {low}; it must be n >= 1 and high > low >= 0"
        )
    if floating("lam", lam).ndim != 1 or not len(lam):
        raise ValueError(f"lam has shape {tuple(lam.shape)}; it must be (k,), k >= 1")
    device, lam = lam.device, variance(lam.detach().double().cpu())
    error = _Error(make, path, lam, weights, path.when(lam.new_tensor([high, low])))
    starts = [_shares(ts) for ts in _starts(path, lam, n, high, low)]
    best = min(starts, key=lambda w: error(w)[0])
    error.size = error(best)[0]
    if error.size == math.inf:
        raise ValueError(
            "the table that make returned has NaN or inf, or such a slope in the grid"
        )
    if n > 1 and error.size > 0:
        error.seen_by_differences(starts)
        search = partial(minimize, error, jac=True, method="BFGS")
        rough = [search(w, options={"gtol": 1e-3}) for w in starts]
        best = min(rough, key=lambda end: end.fun).x
        best = search(best, options={"gtol": 1e-9}).x
    return error.times(torch.as_tensor(best)).to(device)


def _shares(ts: Tensor) -> np.ndarray:
    """The logs of the steps of a grid, against its last; none is -inf."""
    logs = ts.diff().abs().clamp(min=SMALLEST * abs(ts[0] - ts[-1])).log()
    return (logs[:-1] - logs[-1]).numpy()


@dataclass
class _Error:
    """The error and its gradient in w, in units of ``size``, as scipy wants them."""

    make: Make
    path: Path
    lam: Tensor
    weights: Tensor | None
    ends: Tensor
    size: float = 1.0

    def times(self, w: Tensor) -> Tensor:
        """The grid whose steps are to each other as exp(w, 0)."""
        last = torch.cat([w, w.new_zeros(1)])
        share = SMALLEST + (1 - len(last) * SMALLEST) * last.softmax(0)
        first, end = self.ends
        # summed from the end: small times keep their digits
        rest = share.flip(0).cumsum(0).flip(0)[1:]
        return torch.cat([first[None], end + (first - end) * rest, end[None]])

    def __call__(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        w = torch.tensor(w, requires_grad=True)
        table = self.make(self.times(w))
        if not isinstance(table, Table):
            raise TypeError(f"make returned {type(table).__name__}; it must be a Table")
        error = spread_error(table, self.path, self.lam, self.weights) / self.size
        if not error.requires_grad:
            raise ValueError(f"the table that make returned has {DETACHED}")
        (slope,) = torch.autograd.grad(error, w)
        if not torch.isfinite(torch.cat([error[None], slope])).all():
            return math.inf, 0 * w.detach().numpy()  # a wall, where steps vanish
        return error.item(), slope.numpy()

    def seen_by_differences(self, starts: list[np.ndarray]) -> None:
        """A ValueError unless the steepest slope is that of a central difference."""
        w = max(starts, key=lambda w: np.linalg.norm(self(w)[1]))
        steep = np.linalg.norm(self(w)[1])
        step = 1e-4 * self(w)[1] / (steep or 1.0)
        rise = (self(w + step)[0] - self(w - step)[0]) / 2e-4
        # of second order in the step; a part that is missing shows at once
        if not abs(rise - steep) <= 0.01 * steep:
            raise ValueError(f"some of the table that make returned has {DETACHED}")


def _starts(
    path: Path, lam: Tensor, n: int, high: float, low: float
) -> Iterator[Tensor]:
    """Equal angles of five variances over the spectrum, equal log nsr, rho = 7."""
    logs = lam[lam > 0].log()
    ends = [u.item() for u in logs.aminmax()] if len(logs) else [0.0, 0.0]
    for log in torch.linspace(*ends, 5, dtype=torch.float64).tolist():
        yield by_angle(path, math.exp(log), high, low, n)
    if high < math.inf and (low > 0 or n > 1):
        bottom = low or min(math.exp(ends[0] / 2), high) / 2
        for make in (by_nsr, by_rho):
            ts = make(path, high, bottom, n if low else n - 1)
            yield ts if low else to_data(ts)
