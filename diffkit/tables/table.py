"""The table: a sampler, whatever its name, and the one form that all are read in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ..paths import Path, combination
from ..paths.targets import known
from ..shapes import Points, finite, floating

Field = Callable[[Tensor, Tensor], Tensor]
Terms = tuple[tuple[int, float], ...]


class Row(NamedTuple):
    """One row as numbers: the weights that are not zero, each with its age."""

    t: Tensor
    asks: bool
    states: Terms
    past: Terms
    noise: float


@dataclass(frozen=True, eq=False)
class Table:
    """M rows, each of which makes the next state.

        x_{n+1} = sum_i A_ni x_{n-i} + sum_j B_nj F_{n-j} + S_n z_n

    F_n = F(x_n, t_n) is the field that the table ``eats``, asked only where a row
    uses it; z_n ~ N(0, I) is fresh. ts: (M + 1,), A: (M, I), B: (M, J), newest first,
    S: (M,). ``lands``: (M + 1,), which states lie on the way (default all): stages of
    a Runge-Kutta step do not. ``clock``: (M + 1,), if the noise is that of a Brownian
    motion, its times: z_n = (W(c_{n+1}) - W(c_n)) / sqrt|c_{n+1} - c_n|.
    Raises: ValueError for what does not fit. Checked: tests/test_tables.py
    """

    eats: str
    ts: Tensor
    A: Tensor
    B: Tensor
    S: Tensor
    lands: Tensor | None = None
    clock: Tensor | None = None

    def __post_init__(self) -> None:
        known(self.eats)
        m = len(self.ts) - 1 if floating("ts", self.ts).ndim == 1 else 0
        if m < 1:
            raise ValueError(
                f"ts has shape {tuple(self.ts.shape)}; it must hold two times or more"
            )
        shapes = self.A.shape[:1], self.B.shape[:1], self.S.shape
        if {self.A.ndim, self.B.ndim} != {2} or any(s != (m,) for s in shapes):
            raise ValueError(
                f"A, B, S must have {m} rows, one for each state to be made; "
                "A and B two axes, S one"
            )
        for name in ("ts", "A", "B", "S"):
            finite(name, getattr(self, name))
        for name, weights in (("A", self.A), ("B", self.B)):
            if weights.triu(1).any():
                raise ValueError(f"{name} reaches back beyond the first state")
        if self.lands is None:
            object.__setattr__(self, "lands", torch.ones(m + 1, dtype=torch.bool))
        if self.lands.shape != (m + 1,) or not (self.lands[0] and self.lands[-1]):
            raise ValueError(
                f"lands must mark {m + 1} states, the first and the last among them"
            )
        if self.clock is not None and self.clock.shape != (m + 1,):
            raise ValueError(f"clock must hold {m + 1} times, one for each state")

    def __len__(self) -> int:
        return len(self.S)

    @property
    def random(self) -> bool:
        """Whether some row adds noise."""
        return bool((self.S != 0).any())

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The rows as Python numbers, which a step multiplies by fastest."""
        A, B, S = (u.tolist() for u in (self.A, self.B, self.S))
        asked = {n - j for n, row in enumerate(B) for j, b in enumerate(row) if b}
        return tuple(
            Row(t, n in asked, _terms(A[n]), _terms(B[n]), S[n])
            for n, t in enumerate(self.ts.unbind()[:-1])
        )

    @property
    def evaluations(self) -> int:
        """How often a run asks the field (NFE)."""
        return sum(row.asks for row in self.rows)

    def step(
        self, n: int, field: Field, states: list, past: list, z: Tensor | None = None
    ) -> Points:
        """State n + 1, from what came before, newest first; states[0] is state n.

        Both lists are brought up to date and kept no longer than the table looks back.
        """
        row = self.rows[n]
        past.insert(0, field(states[0], row.t) if row.asks else None)
        new = None
        for i, a in row.states:
            new = a * states[i] if new is None else torch.add(new, states[i], alpha=a)
        for j, b in row.past:
            new = b * past[j] if new is None else torch.add(new, past[j], alpha=b)
        if row.noise:
            new = row.noise * z if new is None else torch.add(new, z, alpha=row.noise)
        states.insert(0, torch.zeros_like(states[0]) if new is None else new)
        del states[self.A.shape[1] :], past[self.B.shape[1] :]
        return states[0]


def _terms(weights: list[float]) -> Terms:
    return tuple((age, w) for age, w in enumerate(weights) if w)


def eating(table: Table, path: Path, target: str) -> Table:
    """The same sampler, rewritten to eat another target of the same network.

    With x = a D + g N every target is p D + q N, so F = alpha x + beta F': the part of
    a row on F moves onto the state that F was asked at, and onto F'. Exact.
    target: velocity, denoise, noise, score or v. Raises: ValueError for another, for
    two ends, and where a row uses F at noise level 0 or F' does not determine F.
    Source: salimans2022distillation, karras2022edm. Checked: tests/test_stochastic.py
    """
    known(target)
    c = path.one_ended().at(table.ts[:-1])
    if target == table.eats:
        return table
    (p, q), (u, v) = (combination(c, name) for name in (table.eats, target))
    det = c.a * v - c.g * u  # of x and F' as combinations of D and N
    alpha, beta = (p * v - q * u) / det, (c.a * q - c.g * p) / det
    if {target, table.eats} == {"noise", "score"}:  # parallel: true at a = 0 as well
        alpha, beta = torch.zeros_like(q), q / v
    m, j = table.B.shape
    n = torch.arange(max(m, j), device=table.ts.device)
    asked = (n[:m].unsqueeze(1) - n[:j]).clamp(min=0)
    alpha, beta = (torch.where(table.B != 0, w[asked], 0.0) for w in (alpha, beta))
    fits = torch.isfinite(alpha) & torch.isfinite(beta)
    if not (fits & (c.g[asked] > 0) | (table.B == 0)).all():
        raise ValueError(
            f"{target} does not determine {table.eats} at a time where the table asks"
        )
    A = table.A.new_zeros(m, max(j, table.A.shape[1]))
    A[:, : table.A.shape[1]] = table.A
    A[:, :j] += table.B * alpha
    return Table(target, table.ts, A, table.B * beta, table.S, table.lands, table.clock)
