"""Claims: measurements that take the formula as their argument.

A claim measures the right formula and some named wrong ones, the *controls*.
It holds when the right formula is within the tolerance, every control is
beyond it by a margin, and a planted error of one part in a thousand is seen:

    kind         the measurement                               tol     control beyond
    symbolic     simplified difference, or its size at random   0       not zero
                 rational points
    exact        max |formula - truth| / max |truth|, or the    stated  100 tol
                 float that ``measure`` returns
    statistical  |estimate - truth| / standard error            6       12
    trained      excess over the exact minimum, for each seed   stated  tol + 3 spreads,
                                                                        for every seed

A claim that no wrong formula can fail is not a claim.
"""

from .claim import KINDS, PROBE, SIGMAS, Claim, ClaimError, scaled
from .exercise import Hint, attempt
from .verdict import ClaimFails, Verdict, check, judge

__all__ = [
    "KINDS",
    "PROBE",
    "SIGMAS",
    "Claim",
    "ClaimError",
    "ClaimFails",
    "Hint",
    "Verdict",
    "attempt",
    "check",
    "judge",
    "scaled",
]
