"""The sweep: a table read from its last row to its first."""

from __future__ import annotations

from collections.abc import Callable

from ..shapes import Tensor
from ..tables import Table


def swept(
    table: Table, J: dict[int, Tensor], one: Tensor, times: Callable
) -> tuple[list[Tensor], list[Tensor]]:
    """(P, R): the changes of the end per change of state n, and per change of F_n.

    J: the slope of the field at each state where it is asked. one, times: the unit
    and the product, of numbers per mode or of matrices. P has M + 1 entries, R has M.
    Formulas: docstring of `chains`. Checked: tests/test_chains.py
    """
    A, B, m = table.A.to(one), table.B.to(one), len(table)
    P, R = [one], []
    for n in reversed(range(m)):  # P[i] is P_{n + 1 + i}
        below = range(min(m - n, B.shape[1]))
        r = sum((B[n + j, j] * P[j] for j in below), 0 * one)
        above = range(min(m - n, A.shape[1]))
        p = sum((A[n + i, i] * P[i] for i in above), 0 * one)
        P.insert(0, p + times(r, J[n]) if n in J else p)
        R.insert(0, r)
    return P, R


def asked(table: Table) -> list[int]:
    """The states at which the field is asked."""
    return [n for n, row in enumerate(table.rows) if row.asks]
