"""diffkit: exact worlds, samplers and claims for diffusion and flow models.

Conventions, everywhere: data at t = 0, noise (or the second end) at t = T;
x_t = a(t) x0 + b(t) x1 + g(t) z with z ~ N(0, I); score = grad_x log p_t;
denoiser = E[x0 | x_t]; nsr = g / a; float64 for theory; explicit generators.
Modules are imported when they are first used.
"""

from importlib import import_module

__version__ = "0.1.0"
__all__ = [
    "chains",
    "claims",
    "couplings",
    "data",
    "fields",
    "figures",
    "information",
    "laws",
    "learning",
    "metrics",
    "paths",
    "recipes",
    "shapes",
    "solvers",
    "surfaces",
    "tables",
    "worlds",
]


def __getattr__(name: str):
    if name in __all__:
        return import_module(f"diffkit.{name}")
    raise AttributeError(f"diffkit has no module {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
