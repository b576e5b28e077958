"""Objectives: what is minimised, per sample, and how far it is from its minimum.

    L = E w(t) |A' - A|^2,    A = p x0 + q z the target of the sample,  A' the guess

over data x0, noise z and a law of levels t. The minimiser is A* = E[A | x_t], and as
A - A* is not correlated with any function of x_t,

    L = E w |A' - A*|^2 + E w |A* - A|^2        excess risk + minimum

In an exact world A* is known, so the excess risk is: `Excess` measures it.

**One error, many weights.** The targets stand for one guess (see `models`): with the
stretch kappa of each, the vector e = (A' - A) / kappa is the same for all. So a loss
is its weight omega = w kappa^2 on |e|^2, whatever the target is called:

    plain, in A           kappa_A^2          denoise g^2, noise a^2, ...
    snr                   a^2                (a/g)^2 |x0 - D|^2 = |z - N|^2
    truncated snr         max(a^2, g^2)      the larger of both errors
    min snr               min(a^2, 5 g^2)    min(snr, 5) |x0 - D|^2
    edm (s = 1)           a^2 + g^2 / s^2    plain in F, what the net itself says
    elbo                  a (a g dg - da g^2) / g^2

The last is h^2 |score error|^2 / 2 with the diffusion h of `Path.sde`: its integral
over time is a divergence in nats. An objective can so be written in any target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..fields import Field, convert, value
from ..paths import Coef, Path
from ..paths.targets import known
from ..shapes import Estimate, Float, points
from .levels import (
    Levels,
    independent,
    lognormal_levels,
    stratified,
    uniform_times,
)
from .models import Model, positive, stretch

Data = Float[Tensor, "n d"] | Float[Tensor, "K n d"]
Rngs = torch.Generator | Sequence[torch.Generator]


class Weight(NamedTuple):
    """A weighting by its name, and omega(c) on the error that all targets share."""

    name: str
    omega: Callable[[Coef], Tensor]


def edm(sd: float | int = 1.0) -> Weight:
    """(nsr^2 + s^2) / (nsr s)^2 on |x0 - D|^2: the plain loss of F, for data of sd s.

    omega = a^2 + g^2 / s^2. Raises: ValueError unless sd is positive and finite.
    Source: karras2022edm, table 1. Checked: tests/test_objectives.py
    """
    s = positive("sd", sd)
    return Weight("edm", lambda c: torch.addcmul(c.g2 / s**2, c.a, c.a))


def min_snr(gamma: float | int = 5.0) -> Weight:
    """min(snr, gamma) on |x0 - D|^2. omega = min(a^2, gamma g^2).

    Raises: ValueError unless gamma is positive and finite.
    Source: hang2023minsnr. Checked: tests/test_objectives.py
    """
    most = positive("gamma", gamma)
    return Weight("min snr", lambda c: torch.minimum(c.a * c.a, most * c.g2))


def _elbo(c: Coef) -> Tensor:
    return c.a * (c.a * c.gdg - c.da * c.g2) / c.g2


WEIGHTS = {
    "snr": Weight("snr", lambda c: c.a * c.a),
    "truncated snr": Weight("truncated snr", lambda c: torch.maximum(c.a * c.a, c.g2)),
    "min snr": min_snr(),
    "edm": edm(),
    "elbo": Weight("elbo", _elbo),
}
LEVELS = {"uniform": uniform_times, "lognormal": lognormal_levels}


@dataclass(frozen=True, eq=False)
class Objective:
    """E w |A' - A|^2 for one target A of `paths.TARGETS`, per sample.

    weight: "plain", w = 1; a function w(Coef) on the target's error; a `Weight`
    (`edm(0.5)`, `min_snr(3)`) or its name, which mean the same loss in every target.
    levels: "uniform" in t, "lognormal" in nsr, or any u -> t, such as `uniform_logsnr`
    gives. stratified: one level in each of n cells, else independent ones.
    Raises: ValueError for an unknown name, a path with two ends, and for "elbo" one
    along which nsr falls; TypeError for a weight or levels of another kind.
    Source: salimans2022distillation, karras2022edm, kingma2021vdm.
    Checked: tests/test_objectives.py
    """

    path: Path
    target: str = "denoise"
    weight: str | Weight | Callable[[Coef], Tensor] = "plain"
    levels: str | Levels = "uniform"
    stratified: bool = True

    def __post_init__(self) -> None:
        self.path.one_ended()
        known(self.target)
        if isinstance(self.weight, str) and self.weight != "plain":
            found = _named("weight", self.weight, WEIGHTS, "plain, ")
            object.__setattr__(self, "weight", found)
        if self.weight is WEIGHTS["elbo"]:
            self.path.when(0.0)  # refuses a path that takes noise away: no diffusion
        if isinstance(self.levels, str):
            found = _named("levels", self.levels, LEVELS)(self.path)
            object.__setattr__(self, "levels", found)
        if not isinstance(self.weight, str | Weight) and not callable(self.weight):
            raise TypeError(
                f"weight is {self.weight!r}; it must be a name or a function"
            )
        if not callable(self.levels):
            raise TypeError(
                f"levels is {self.levels!r}; it must be a name or a function"
            )

    def omega(self, c: Coef) -> Tensor:
        """The weight of |e|^2, the squared error that all targets share."""
        if isinstance(self.weight, Weight):
            return self.weight.omega(c)
        return self._own(c) * stretch(c, self.target) ** 2

    def as_target(self, target: str) -> Objective:
        """The same loss, sample by sample, written in another target."""
        same = Weight("as " + self.target, self.omega)
        return Objective(self.path, target, same, self.levels, self.stratified)

    def draw(self, n: int, rngs: Sequence[torch.Generator]) -> Float[Tensor, "K n"]:
        """Levels t, a row per generator, float64 on its device."""
        how = stratified if self.stratified else independent
        return self.levels(how(n, rngs, rngs[0].device))

    def loss(self, model: Model, x0: Data, rng: Rngs) -> Float[Tensor, "K n"]:
        """w |A' - A|^2 at levels and noise from the generators, per member and sample.

        x0: (n, d) for all members, or (K, n, d). rng: one for each member, from which
        alone its levels and noise come; or one for all, who then share them.
        Raises: ValueError for shapes or generators that do not fit the members.
        Checked: tests/test_objectives.py
        """
        rngs = [rng] if isinstance(rng, torch.Generator) else rng
        K, d, shape = model.members, model.d, x0.shape
        if len(rngs) not in (1, K):
            raise ValueError(
                f"there are {len(rngs)} generators; it must be one, or {K}, one for "
                "each member"
            )
        if len(shape) not in (2, 3) or shape[-1] != d or shape[:-2] not in ((), (K,)):
            raise ValueError(
                f"x0 has shape {tuple(shape)}; it must be (n, {d}) or ({K}, n, {d})"
            )
        n = shape[-2]
        t = self.draw(n, rngs)
        z = torch.empty(len(rngs), n, d, dtype=model.dtype, device=t.device)
        for own, e in zip(rngs, z, strict=True):
            e.normal_(generator=own)
        return self.losses(model, x0.to(z), z, t)

    def losses(
        self, model: Model, x0: Data, z: Float[Tensor, "J n d"], t: Float[Tensor, "J n"]
    ) -> Float[Tensor, "K n"]:
        """w |A' - A|^2 at given noise and levels, one row for each member or for all.

        x0: (n, d) or (K, n, d); z: (J, n, d), t: (J, n), J = 1 or K.
        Raises: ValueError for a model on another path, and a time off the path.
        Checked: tests/test_objectives.py
        """
        self._carries(model)
        c = Coef(*(u.to(z) for u in self.path.at(t)))
        x = torch.addcmul(c.g.unsqueeze(-1) * z, c.a.unsqueeze(-1), x0)
        s = model.scales(c)
        F = torch.addcmul(s.q.unsqueeze(-1) * z, s.p.unsqueeze(-1), x0)
        off = model.answer(x, s) - F
        return self.weigh(model, c) * (off * off).sum(-1)

    def weigh(self, model: Model, c: Coef) -> Tensor:
        """The weight of |F' - F|^2, the squared error of what the net itself says."""
        if model.sd is not None:
            r2 = torch.addcmul(c.g2 / model.sd**2, c.a, c.a)
            return self.omega(c) / r2
        if model.target == self.target and not isinstance(self.weight, Weight):
            return self._own(c)  # where a = 0 or g = 0 as well
        return self.omega(c) / stretch(c, model.target) ** 2

    def excess(
        self, model: Model, exact: Field, x0: Float[Tensor, "n d"], rng: torch.Generator
    ) -> Estimate:
        """The excess risk of every member, (K,), and its standard error; see `Excess`.

        Checked: tests/test_objectives.py
        """
        return Excess(self, model, exact, x0, rng)()

    def _carries(self, model: Model) -> None:
        if model.path is not self.path and model.path != self.path:
            raise ValueError(
                f"the model is on the path {model.path.name}, the objective on "
                f"{self.path.name}; it must be the same"
            )

    def _own(self, c: Coef) -> Tensor:
        """w, of a weight on the target's own error."""
        return torch.ones_like(c.a) if self.weight == "plain" else self.weight(c)


class Excess:
    """E w |A' - A*|^2, known where the minimiser A* is: a fixed draw, asked often.

    exact: the field A* of the objective's target, such as `World.denoise`; x0: (n, d),
    n >= 2 independent draws of the data; levels and noise from rng, the same at each
    call and for all members. A call gives the Estimate (K,) for the weights of then,
    under no gradient. With stratified levels its error comes from neighbouring levels,
    error^2 = sum (f_i+1 - f_i)^2 / (2 n (n - 1)): right for what varies at one level,
    sqrt 7 too large for what the level alone decides.
    Raises: ValueError for points of another shape, or where exact leaves open what the
    net should say. Checked: tests/test_objectives.py
    """

    def __init__(
        self,
        objective: Objective,
        model: Model,
        exact: Field,
        x0: Float[Tensor, "n d"],
        rng: torch.Generator,
    ) -> None:
        if points(x0, model.d, "x0").ndim != 2 or len(x0) < 2:
            raise ValueError(
                f"x0 has shape {tuple(x0.shape)}; it must be (n, {model.d}), n >= 2"
            )
        objective._carries(model)
        n, path = len(x0), objective.path
        t = objective.draw(n, [rng]).sort().values  # (1, n)
        x0 = x0.double()[torch.randperm(n, generator=rng, device=rng.device)]
        z = torch.empty_like(x0).normal_(generator=rng)
        c = path.at(t)
        x = torch.addcmul(c.g.unsqueeze(-1) * z, c.a.unsqueeze(-1), x0)
        if model.sd is None:
            exact = convert(exact, path, objective.target, model.target)
            F = value(exact, x, t)
        else:
            skip, out = model.parts(c, objective.target)
            F = (value(exact, x, t) - skip.unsqueeze(-1) * x) / out.unsqueeze(-1)
        if not F.isfinite().all():
            raise ValueError(
                f"the exact {objective.target} leaves open what the net should say at "
                "some level; let the levels keep away from the ends of the path"
            )
        self.model, self.independent = model, not objective.stratified
        self.w, self.F = objective.weigh(model, c), F.to(model.dtype)
        self.x = x.to(model.dtype)
        self.scales = model.scales(Coef(*(u.to(model.dtype) for u in c)))

    @torch.no_grad()
    def __call__(self) -> Estimate:
        """The excess risk of every member as it is now, and its standard error."""
        off = self.model.answer(self.x, self.scales) - self.F
        f = (self.w * (off * off).sum(-1)).T  # (n, K), by level
        if self.independent:
            return Estimate.of(f)
        n = len(f)
        spread = (f.diff(dim=0) ** 2).sum(0) / (2 * n * (n - 1))
        return Estimate(f.mean(0), spread.sqrt())


def _named(what: str, name: str, table: dict, also: str = "") -> Weight | Callable:
    if name not in table:
        raise ValueError(
            f"{what} {name!r} is unknown; it is one of {also}{', '.join(table)}"
        )
    return table[name]
