"""Laws: mixtures of Gaussians, closed under everything the book does.

One class, `Mixture`, is a Gaussian (one component), a Gaussian mixture, a finite
data set (zero covariance), the exact posterior of an inverse problem, a class
conditional, and the joint law of the two ends of a path. It is closed under

    push    A x + c                  given   x, when A x + noise was observed
    blur    x + noise                select  some of the components
    blend   sum_e L_e X_e + noise    pair    two laws, jointly

Its entropy is exact or bounded (`entropy`, `entropy_bounds`); on the line it has
quantiles, masses and the `monotone` map between two laws.
Zero eigenvalues are first class; what needs a density then raises `SingularLaw`.
"""

from .covariance import Factored, SingularLaw, Spectral
from .cumulants import third_cumulant
from .entropies import (
    Bounds,
    component_bounds,
    entropy,
    entropy_bounds,
    pairwise_bounds,
)
from .families import dataset, fit_gaussian, gaussian, grid, mixture, moons, ring
from .line import cdf, mass, monotone, quantile
from .mixtures import Mixture

__all__ = [
    "Bounds",
    "Factored",
    "Mixture",
    "SingularLaw",
    "Spectral",
    "cdf",
    "component_bounds",
    "dataset",
    "entropy",
    "entropy_bounds",
    "fit_gaussian",
    "gaussian",
    "grid",
    "mass",
    "mixture",
    "monotone",
    "moons",
    "pairwise_bounds",
    "quantile",
    "ring",
    "third_cumulant",
]
