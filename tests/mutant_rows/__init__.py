"""Wrong formulas, each planted alone, and the test that must then fail.

One file a module, each with its ROWS: (module, text that occurs once, text in its
place, test).
"""

from importlib import import_module
from pkgutil import iter_modules

ROWS = [
    row
    for found in iter_modules(__path__)
    for row in import_module(f"{__name__}.{found.name}").ROWS
]
