"""Pipelines: the denoiser inside a pixel model in the format of ``diffusers``.

Such a model is a pair: a ``unet``, which is asked as unet(y, n).sample, and a
``scheduler``, which holds abar_n for the steps n = 0 .. N-1 it was trained on. Its
images are on y = sqrt(abar) x0 + sqrt(1 - abar) z. Here they are on the path of EDM,
whose clock is the noise-to-signal ratio sigma_n = sqrt(1 / abar_n - 1):

    x = x0 + sigma z,    y = x / sqrt(1 + sigma^2),    D(x, sigma) = E[x0 | x]

    prediction_type    the net's F(y, n)    D
    epsilon            E[z | y]             x - sigma F
    sample             E[x0 | y]            F
    v_prediction       a N - g D            (x / sqrt(1 + sigma^2) - sigma F) / r

with r = sqrt(1 + sigma^2), a = 1 / r, g = sigma / r, so that the last line is
a y - g F. A net knows its N levels and no others, and so does the field.

The field is the bare net. ``clip_sample``, ``thresholding`` and what else a scheduler
does to a guess on the way are parts of a sampler, and left out. diffusers is never
imported: whatever answers like a pipeline is one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from ..paths import Path, edm
from ..shapes import Float, Points, Times, finite, floating, points

PREDICTIONS = ("epsilon", "sample", "v_prediction")
NEAR = 1e-6  # relative: a level in float32 is still that level


@dataclass(frozen=True, eq=False)
class Pipeline:
    """What `pipeline` makes: the ladder of a model, and its denoiser as a field.

    nsr: sigma_n, (N,), increasing, float64; shape: of an image, (channels, height,
    width); predicts: the prediction_type; batch: points per call of the net.
    """

    unet: Any
    nsr: Float[Tensor, " N"]
    shape: tuple[int, int, int]
    predicts: str
    batch: int = 256

    @property
    def d(self) -> int:
        """The dimension of the points: channels x height x width."""
        return math.prod(self.shape)

    @property
    def path(self) -> Path:
        """EDM's path up to the last level that has some signal; for `convert`."""
        return edm(self.nsr[self.nsr.isfinite()][-1].item())

    def snap(self, t: Times) -> Tensor:
        """The levels of the ladder nearest to t > 0, in the ratio; float64.

        Raises: ValueError for levels that are not positive and finite.
        Checked: tests/test_pipelines.py
        """
        return self.nsr[self._nearest(torch.as_tensor(t, dtype=torch.float64))]

    def denoise(self, x: Points, t: Times) -> Points:
        """E[x0 | x] as the net has it, at x = x0 + t z; a field on `path`.

        x: (*n, d), flat images; t: levels of the ladder, a number or (*n). In the
        precision of x but for the net itself, which runs in its own type, where it
        is, and without gradients. Raises: TypeError where the net returns no
        ``.sample``, ValueError for other shapes and a t between the levels.
        Source: ho2020ddpm; salimans2022distillation.
        Checked: pipelines/adapter, tests/test_pipelines.py
        """
        points(x, self.d)
        t = torch.as_tensor(t, dtype=torch.float64, device="cpu")
        if t.shape not in ((), x.shape[:-1]):
            raise ValueError(
                f"t has shape {tuple(t.shape)}; it must be a number or one per point, "
                f"{tuple(x.shape[:-1])}"
            )
        steps = self._nearest(t.reshape(-1))
        sigma = self.nsr[steps]
        off = (sigma / t.reshape(-1) - 1).abs() > NEAR
        if off.any():
            raise ValueError(
                f"t = {t.reshape(-1)[off][0]:g} is no level of this model, the nearest "
                f"is {sigma[off][0]:g}; give snap(t)"
            )
        flat = x.reshape(-1, self.d)
        steps, sigma = steps.expand(len(flat)), sigma.expand(len(flat)).unsqueeze(-1)
        sigma = sigma.to(flat)
        r = (1 + sigma**2).sqrt()
        F = self._asked(flat / r, steps)
        if self.predicts == "epsilon":
            D = flat - sigma * F
        else:
            D = F if self.predicts == "sample" else (flat / r - sigma * F) / r
        return D.reshape(x.shape)

    def _nearest(self, t: Tensor) -> Tensor:
        """The steps whose levels are nearest to t in the ratio."""
        if not ((t > 0) & t.isfinite()).all():
            raise ValueError(
                "a level is not positive and finite; this model knows "
                f"{self.nsr[0]:g} to {self.path.T:g}"
            )
        log = self.nsr.log()
        middles = (log[1:] + log[:-1]) / 2
        return torch.bucketize(t.to(log).log(), middles)

    @torch.no_grad()
    def _asked(self, y: Tensor, steps: Tensor) -> Tensor:
        """The net's own answer, in the precision of y: its first channels."""
        like = {
            "dtype": getattr(self.unet, "dtype", y.dtype),
            "device": getattr(self.unet, "device", y.device),
        }
        answers = []
        for some, n in zip(y.split(self.batch), steps.split(self.batch), strict=True):
            seen = some.reshape(-1, *self.shape).to(**like)
            out = getattr(self.unet(seen, n.to(like["device"])), "sample", None)
            if not isinstance(out, Tensor):
                raise TypeError("the unet returned no .sample; it must hold a tensor")
            c = self.shape[0]  # the rest is a learned variance
            if out.ndim != 4 or out[:, :c].shape != seen.shape:
                raise ValueError(
                    f"the unet returned {tuple(out.shape)} for images "
                    f"{tuple(seen.shape)}; it must return an image for each"
                )
            answers.append(out[:, :c].flatten(1).to(y))
        return torch.cat(answers) if answers else y


def pipeline(pipe: Any, batch: int = 256) -> Pipeline:
    """The denoiser of a loaded, unconditional pixel pipeline of ``diffusers``.

    pipe: has ``unet`` and ``scheduler``; batch: images per call of the net. The first
    channels are the answer where there are twice as many, a learned variance.
    Raises: ValueError for a latent or conditional model, a schedule without
    alphas_cumprod, another prediction_type, a net in training mode, other sizes.
    Source: ho2020ddpm; nichol2021improved. Checked: tests/test_pipelines.py
    """
    if not isinstance(batch, Integral) or batch < 1:
        raise ValueError(f"batch is {batch!r}; it must be a whole number >= 1")
    _in_pixels(pipe)
    _unconditional(pipe)
    return Pipeline(
        pipe.unet,
        _ladder(pipe.scheduler),
        _shape(pipe.unet.config),
        _predicts(pipe.scheduler),
        int(batch),
    )


def _in_pixels(pipe: Any) -> None:
    if getattr(pipe, "unet", None) is None or getattr(pipe, "scheduler", None) is None:
        raise ValueError(
            f"a {type(pipe).__name__} has not both unet and scheduler; give a "
            "pipeline such as DDPMPipeline"
        )
    for name in ("vae", "vqvae", "movq"):
        if getattr(pipe, name, None) is not None:
            raise ValueError(
                f"the pipeline has a {name}, so its net sees latents; give a model "
                "of pixels"
            )
    if getattr(pipe.unet, "training", False):
        raise ValueError("the unet is in training mode; call pipe.unet.eval() first")


def _unconditional(pipe: Any) -> None:
    config = pipe.unet.config
    for name in ("num_class_embeds", "class_embed_type", "cross_attention_dim"):
        value = getattr(config, name, None)
        if value is not None:
            raise ValueError(
                f"the unet has {name} = {value}, it is told what to draw; wrap it so "
                "that it takes (x, timestep) alone, with a config that says so"
            )


def _shape(config: Any) -> tuple[int, int, int]:
    """(channels, height, width), or an error where the net is no denoiser of it."""
    size, c = getattr(config, "sample_size", None), getattr(config, "in_channels", None)
    out = getattr(config, "out_channels", c)
    if size is None or c is None:
        raise ValueError("the unet's config lacks sample_size or in_channels")
    if out not in (c, 2 * c):
        raise ValueError(
            f"the unet takes {c} channels and gives {out}; a denoiser gives as many, "
            "or twice as many with a learned variance"
        )
    height, width = (size, size) if isinstance(size, Integral) else size
    return int(c), int(height), int(width)


def _predicts(scheduler: Any) -> str:
    kind = getattr(scheduler.config, "prediction_type", None)
    if kind not in PREDICTIONS:
        raise ValueError(
            f"prediction_type is {kind!r}; it must be {', '.join(PREDICTIONS)}"
        )
    return kind


def _ladder(scheduler: Any) -> Float[Tensor, " N"]:
    """sigma_n = sqrt(1 / abar_n - 1) of the chain the net was trained on."""
    abar = getattr(scheduler, "alphas_cumprod", None)
    if abar is None:
        raise ValueError(
            f"the scheduler {type(scheduler).__name__} has no alphas_cumprod; give a "
            "model of a variance-preserving chain, such as DDPM"
        )
    abar = finite("alphas_cumprod", floating("alphas_cumprod", abar)).cpu().double()
    if (
        abar.ndim != 1
        or not len(abar)
        or not ((abar >= 0) & (abar < 1)).all()
        or not abar[0] > 0
        or not (abar.diff() < 0).all()
    ):
        raise ValueError(
            "alphas_cumprod must be (N,), falling, from below 1 to 0 or above"
        )
    return ((1 - abar) / abar).sqrt()
