"""Solvers: ``solve`` folds a table over a field; ``flow`` carries the density along.

`Adaptive` stands where a table stands and chooses its own steps.
"""

from .adaptive import Adaptive, Run
from .brownian import Brownian
from .flows import flow, probed
from .fold import solve

__all__ = ["Adaptive", "Brownian", "Run", "flow", "probed", "solve"]
