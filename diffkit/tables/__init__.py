"""Tables: a sampler is a table of numbers, computed once from the grid of times.

    x_{n+1} = sum_i A_ni x_{n-i} + sum_j B_nj F_{n-j} + S_n z_n,   F_n = F(x_n, t_n)

F is the field that the table ``eats``. This one form holds every sampler of the book:
multistep methods look back at several F, the stages of a Runge-Kutta method are
states that lie off the way, a corrector remakes a state once its F is known, churn
is a row without F. `solvers.solve` is the fold of a table over a field, and `chains`
reads the same numbers. The order of the grid is the direction; there is no flag.
"""

from .bridges import ancestral, ddim
from .correctors import unipc
from .diffusions import diffusion
from .exponentials import adams_bashforth, exponential, exponential_sde
from .grids import by_angle, by_nsr, by_rho, steps, to_data, uniform
from .multistep import deis, dpmpp, dpmpp_sde
from .recommended import recommended
from .singlestep import dpm_solver, dpmpp_2s
from .stochastic import (
    edm,
    euler_maruyama,
    interleaved,
    langevin,
    stochastic_heun,
)
from .table import Row, Table, eating
from .tableaus import (
    BOGACKI_SHAMPINE,
    DORMAND_PRINCE,
    EULER,
    HEUN,
    HEUN3,
    KUTTA3,
    MIDPOINT,
    RALSTON,
    RALSTON3,
    RK4,
    RK38,
    Tableau,
    density,
    dormand_prince,
    euler,
    heun,
    heun3,
    kutta3,
    midpoint,
    ralston,
    ralston3,
    reversible_heun,
    rk4,
    rk38,
    runge_kutta,
    trees,
)

__all__ = [
    "BOGACKI_SHAMPINE",
    "DORMAND_PRINCE",
    "EULER",
    "HEUN",
    "HEUN3",
    "KUTTA3",
    "MIDPOINT",
    "RALSTON",
    "RALSTON3",
    "RK4",
    "RK38",
    "Row",
    "Table",
    "Tableau",
    "adams_bashforth",
    "ancestral",
    "by_angle",
    "by_nsr",
    "by_rho",
    "ddim",
    "deis",
    "density",
    "diffusion",
    "dormand_prince",
    "dpm_solver",
    "dpmpp",
    "dpmpp_2s",
    "dpmpp_sde",
    "eating",
    "edm",
    "euler",
    "euler_maruyama",
    "exponential",
    "exponential_sde",
    "heun",
    "heun3",
    "interleaved",
    "kutta3",
    "langevin",
    "midpoint",
    "ralston",
    "ralston3",
    "recommended",
    "reversible_heun",
    "rk4",
    "rk38",
    "runge_kutta",
    "steps",
    "stochastic_heun",
    "to_data",
    "trees",
    "uniform",
    "unipc",
]
