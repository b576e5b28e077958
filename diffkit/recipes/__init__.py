"""Recipes: the nets that ship with the book, how each was made, and what is claimed.

A net that needs minutes is not trained while a chapter runs. It ships as a small
safetensors file, and its `Recipe` says everything that retraining needs: the net, the
data, the loss, the settings, and the number that the trained net must reach. `load`
gives the net as it ships; ``make retrain NAME`` makes it anew, to be resumed after an
interrupt, and measures it again.
"""

from ..learning import Model, Regressor
from .columns import COLUMNS
from .conservative import CONSERVATIVE
from .digits import DIGITS
from .modes import MODES
from .moons import MOONS
from .pairs import PAIRS4, PAIRS64
from .penalties import PENALTIES
from .recipe import Recipe

RECIPES = {
    recipe.name: recipe
    for recipe in (
        *(MOONS, DIGITS, PAIRS4, PAIRS64),
        *MODES,
        *COLUMNS,
        *CONSERVATIVE,
        *PENALTIES,
    )
}
__all__ = ["RECIPES", "Recipe", "find", "load"]


def find(name: str) -> Recipe:
    """The recipe of that name. Raises: ValueError for an unknown one."""
    if name not in RECIPES:
        known = sorted({each.split("-")[0] for each in RECIPES})
        raise ValueError(
            f"no net ships as {name!r}; recipes.RECIPES has the names, and they begin "
            f"with {', '.join(known)}"
        )
    return RECIPES[name]


def load(name: str) -> Model | Regressor:
    """The net that ships under that name; its `field` asks it.

    Raises: ValueError for an unknown name, or a file that is not the one shipped.
    Checked: tests/test_recipes.py
    """
    return find(name).shipped()
