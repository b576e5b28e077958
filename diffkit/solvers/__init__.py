"""Solvers: ``solve`` folds a table over a field; ``flow`` carries the density along;
``rewind`` and ``log_density`` run a chain with noise back from its end, to weigh it;
on the line ``preimages``, ``propagate`` and ``masses`` tell its law without samples.

`Adaptive` stands where a table stands and chooses its own steps.
"""

from .adaptive import Adaptive, Run
from .brownian import Brownian
from .flows import flow, probed
from .fold import solve
from .line import masses, panels, preimages, propagate
from .reversal import log_density, rewind

__all__ = [
    "Adaptive",
    "Brownian",
    "Run",
    "flow",
    "log_density",
    "masses",
    "panels",
    "preimages",
    "probed",
    "propagate",
    "rewind",
    "solve",
]
