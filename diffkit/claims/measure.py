"""The measurement: how far a formula is from the truth, for each kind of claim."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import sympy
import torch

from .claim import Claim, ClaimError


def arguments(claim: Claim) -> tuple[tuple, dict]:
    """``claim.at`` as positional and named arguments."""
    if isinstance(claim.at, Mapping):
        return (), dict(claim.at)
    return (claim.at if isinstance(claim.at, tuple) else (claim.at,)), {}


def values(formula: Any, claim: Claim) -> torch.Tensor:
    """The formula's values at ``claim.at``, as one tensor."""
    args, named = arguments(claim)
    value = formula(*args, **named) if callable(formula) else formula
    return torch.as_tensor(value)


def finite(error: float, what: str = "the measurement") -> float:
    """error as a float; ClaimError if it is NaN or inf."""
    error = float(error)
    if not math.isfinite(error):
        raise ClaimError(f"{what} is {error}; a measurement must be finite")
    return error


def distance(got: torch.Tensor, want: torch.Tensor) -> float:
    """max |got - want| / max |want|; ClaimError where that has no meaning."""
    if got.shape != want.shape:
        raise ClaimError(
            f"the formula has shape {tuple(got.shape)}, the truth {tuple(want.shape)}"
        )
    if not torch.isfinite(got).all():
        raise ClaimError("the formula gives NaN or inf")
    top = want.abs().max()
    if not 0 < top < math.inf:
        raise ClaimError("the truth is zero or not finite: nothing to be relative to")
    return float((got - want).abs().max() / top)


def _residue(expr: Any) -> float:
    """0 for an expression that is zero, else its size at random rational points."""
    parts = list(expr) if isinstance(expr, sympy.MatrixBase) else [sympy.sympify(expr)]
    parts = [sympy.simplify(part) for part in parts]
    if all(part == 0 for part in parts):
        return 0.0
    draw, worst = torch.Generator().manual_seed(0), 0.0
    for _ in range(3):
        for part in map(_jets, parts):
            names = sorted(part.free_symbols, key=lambda s: s.name)
            ks = torch.randint(1, 97, (len(names),), generator=draw).tolist()
            at = {s: sympy.Rational(k, 97) for s, k in zip(names, ks, strict=True)}
            size = abs(complex(part.subs(at).evalf(40, chop=True)))
            worst = max(worst, finite(size, "the residual at a rational point"))
    return worst if worst > 1e-30 else 0.0


def _jets(expr: sympy.Expr) -> sympy.Expr:
    """Unknown functions and their derivatives as independent symbols."""
    known = sympy.core.function.AppliedUndef
    jets = sorted(expr.atoms(sympy.Derivative) | expr.atoms(known), key=str)
    return expr.xreplace({j: sympy.Symbol(f"jet{i}") for i, j in enumerate(jets)})


def errors(claim: Claim, formula: Any) -> torch.Tensor:
    """The errors of a formula: one, or one for each seed of a trained claim."""
    if claim.kind == "symbolic":
        expr = claim.measure(formula) if claim.measure else formula - claim.truth
        found = [_residue(expr)]
    elif claim.kind == "exact":
        if claim.measure is not None:
            found = [finite(claim.measure(formula))]
            if found[0] < 0:  # a signed difference would pass whatever it is
                raise ClaimError("the measurement is negative; give its size")
        else:
            found = [distance(values(formula, claim), values(claim.truth, claim))]
    elif claim.kind == "statistical":
        found = []
        for seed in claim.seeds:
            rng = torch.Generator().manual_seed(seed)
            zs = torch.as_tensor(claim.measure(formula, rng), dtype=torch.float64)
            found += zs.reshape(-1).abs().tolist()
    else:
        excess = torch.as_tensor(claim.measure(formula, claim.seeds))
        found = excess.double().reshape(-1).tolist()
        if len(found) != len(claim.seeds):
            raise ClaimError(f"{len(claim.seeds)} seeds gave {len(found)} excesses")
        if min(found) < -claim.tol:
            raise ClaimError("an excess is below the exact minimum, by more than tol")
    if not found:
        raise ClaimError("the measurement gave no number")
    return torch.tensor([finite(e) for e in found], dtype=torch.float64)
