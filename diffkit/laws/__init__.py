"""Laws: mixtures of Gaussians, closed under everything the book does."""

from .families import dataset, fit_gaussian, gaussian, mixture
from .mixture import Mixture, SingularLaw, nonzero

__all__ = [
    "Mixture",
    "SingularLaw",
    "dataset",
    "fit_gaussian",
    "gaussian",
    "mixture",
    "nonzero",
]
