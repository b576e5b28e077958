"""Fields: functions (x, t) -> vector, and what can be asked of any of them.

A field F takes points x (*n, d) and a time t, a number or one per point (*n), and
returns one vector per point, (*n, d). An exact world's score is one, so is a trained
network, and so is what the literature makes of them by guiding, caching, rounding
and superposing. They need no class: a plain function will do.

**Targets.** On a path x_t = a x0 + g z the targets of the literature are linear
images of one another, through one 2 x 2 solve: `convert`.

**Derivatives.** With J = dF/dx at a point: `jacobian` is J, `divergence` tr J,
`hutchinson` an unbiased estimate of it with its standard error, `curl` J - J', and
`asymmetry` the share of J that is no gradient's. A field is a gradient (in a simply
connected region) exactly where J = J'.

**Gauges.** r changes no marginal law of a process with density p_t if
div(p_t r) = 0, that is div r + r . score = 0: `gauge` builds such fields exactly,
`gauge_residual` measures the left side. In the plane a `Splitter` finds both parts of
any field, the gradient and the gauge.

**Pipelines.** `pipeline` makes such a field of a pixel model in the format of
diffusers: the denoiser on the path of EDM, at the noise levels that the model knows.

**Combinators** take fields and return a field: `mix`, `guided`, `clipped`,
`quantised`, `cast`, `retimed`, `recorded`, `cached`, `counted`. They compose, and keep
shape, dtype and device. All weights and clocks may depend on the point and the time.
"""

from .combinators import (
    cached,
    cast,
    clipped,
    counted,
    guided,
    mix,
    quantised,
    recorded,
    retimed,
)
from .derivatives import asymmetry, curl, divergence, hutchinson, jacobian
from .field import Field, value
from .frames import Frame
from .gauges import gauge, gauge_residual
from .pipelines import Pipeline, pipeline
from .splits import Parts, Splitter
from .targets import convert

__all__ = [
    "Field",
    "Frame",
    "Parts",
    "Pipeline",
    "Splitter",
    "asymmetry",
    "cached",
    "cast",
    "clipped",
    "convert",
    "counted",
    "curl",
    "divergence",
    "gauge",
    "gauge_residual",
    "guided",
    "hutchinson",
    "jacobian",
    "mix",
    "pipeline",
    "quantised",
    "recorded",
    "retimed",
    "value",
]
