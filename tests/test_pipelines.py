"""pipelines: a pipeline with an exact Gaussian world inside gives the world's field.

The net inside knows nothing of EDM: it is asked at y = sqrt(abar) x0 + sqrt(1 - abar) z
and answers by the world on the circle a = cos, g = sin of an angle. 1e-12 relative,
float64; at the first levels the noise is 1/100 of the data, at the last 157 times.
"""

import copy
import math
from types import SimpleNamespace

import pytest
import torch
from examples import normal, refuses

from diffkit import fields, laws, paths, solvers, tables, worlds

SHAPE, N = (2, 2, 3), 1000
D = math.prod(SHAPE)
ROOT = normal(D, D) / 3
LAW = laws.gaussian(normal(D, seed=1), ROOT @ ROOT.mT)
PREDICTIONS = ("epsilon", "sample", "v_prediction")
BETAS = paths.linear_betas(N)


def answer(kind: str, y: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
    """The net's exact answer at flat y (m, d), by the path of the angle."""
    world = worlds.World(paths.trig(), LAW)
    t = paths.embed(world.path, BETAS)[n]
    D, E = world.denoise(y, t), world.noise(y, t)
    a, g = (u.unsqueeze(-1) for u in (world.path.at(t).a, world.path.at(t).g))
    return {"epsilon": E, "sample": D, "v_prediction": a * E - g * D}[kind]


def fake(kind: str = "epsilon", variance: bool = False, call=None, **config):
    """What answers like a pipeline of diffusers, with LAW in it."""

    def exact(y, n):
        out = answer(kind, y.flatten(1), n).reshape(y.shape)
        out = torch.cat([out, 7 + out], 1) if variance else out
        return SimpleNamespace(sample=out)

    class Unet:
        def __call__(self, y, n):
            assert y.shape == (len(n), *SHAPE) and not torch.is_grad_enabled()
            return (call or exact)(y, n)

    unet = Unet()
    sizes = {
        "sample_size": SHAPE[1:],
        "in_channels": SHAPE[0],
        "out_channels": SHAPE[0] * (1 + variance),
    }
    unet.config = SimpleNamespace(**sizes | config)
    scheduler = SimpleNamespace(
        alphas_cumprod=paths.log_abar(BETAS).exp(),
        config=SimpleNamespace(prediction_type=kind, clip_sample=True),
    )
    return SimpleNamespace(unet=unet, scheduler=scheduler)


def spots(pipe: fields.Pipeline) -> tuple[torch.Tensor, torch.Tensor]:
    """Seven levels from the first to the last, and a point of the world at each."""
    t = pipe.nsr[[0, 10, 100, 300, 600, 900, N - 1]]
    return LAW.sample(7, torch.Generator().manual_seed(3)) + t.unsqueeze(-1) * normal(
        7, D, seed=4
    ), t


@pytest.mark.parametrize("kind", PREDICTIONS)
def test_the_field_is_that_of_the_world_inside(kind):
    """LAW by the trigonometric path inside, by a dense solve here."""
    pipe = fields.pipeline(fake(kind))
    x, t = spots(pipe)
    C, m = LAW.cov(), LAW.mean()
    eye = torch.eye(D, dtype=torch.float64)
    off = torch.linalg.solve(C + t[:, None, None] ** 2 * eye, (x - m).unsqueeze(-1))
    want = m + (C @ off).squeeze(-1)
    world = worlds.World(pipe.path, LAW)
    for got in (pipe.denoise(x, t), world.denoise(x, t)):
        assert ((got - want).abs().max() <= 1e-12 * want.abs().max()).item()
    # asked at one level for all, and for points in a table
    torch.testing.assert_close(pipe.denoise(x[2:3], t[2]), want[2:3])
    assert pipe.denoise(x.reshape(7, 1, D), t.reshape(7, 1)).shape == (7, 1, D)
    assert pipe.denoise(x[:0], t[0]).shape == (0, D)


def test_the_ladder_is_that_of_the_chain():
    pipe = fields.pipeline(fake())
    want = paths.chain_nsr(BETAS)
    torch.testing.assert_close(pipe.nsr, want, rtol=1e-11, atol=0)
    assert (pipe.shape, pipe.d, pipe.path.T) == (SHAPE, D, pipe.nsr[-1].item())
    # a float32 scheduler, as they are: 1 - abar keeps four digits at the first step
    single = fake()
    single.scheduler.alphas_cumprod = single.scheduler.alphas_cumprod.float()
    torch.testing.assert_close(fields.pipeline(single).nsr, want, rtol=1e-3, atol=0)


def test_snap_finds_the_nearest_level_in_the_ratio():
    pipe = fields.pipeline(fake())
    t = (12 * torch.rand(200, generator=torch.Generator().manual_seed(0)) - 6).exp()
    t = t.double()
    by_search = (pipe.nsr.log() - t.log().unsqueeze(-1)).abs().argmin(-1)
    assert torch.equal(pipe.snap(t), pipe.nsr[by_search])
    assert pipe.snap(1e-9) == pipe.nsr[0] and pipe.snap(1e9) == pipe.nsr[-1]
    assert torch.equal(pipe.snap(pipe.nsr), pipe.nsr)


def test_a_net_is_not_asked_between_its_levels():
    pipe = fields.pipeline(fake())
    x, t = spots(pipe)
    torch.testing.assert_close(pipe.denoise(x, t.float()), pipe.denoise(x, t))
    refuses(ValueError, "no level of this model", lambda: pipe.denoise(x, t * 1.001))
    refuses(ValueError, "positive and finite", lambda: pipe.denoise(x, t - t))


def test_a_learned_variance_is_left_out():
    pipe = fields.pipeline(fake(variance=True))
    x, t = spots(pipe)
    assert torch.equal(pipe.denoise(x, t), fields.pipeline(fake()).denoise(x, t))


def test_batches_do_not_change_the_answer_and_no_gradient_flows():
    x, t = spots(fields.pipeline(fake()))
    want = fields.pipeline(fake()).denoise(x, t)
    sizes = []

    def call(y, n):
        sizes.append(len(y))
        out = answer("epsilon", y.flatten(1), n).reshape(y.shape)
        return SimpleNamespace(sample=out)

    pipe = fields.pipeline(fake(call=call), batch=3)
    torch.testing.assert_close(pipe.denoise(x, t), want, rtol=1e-12, atol=1e-12)
    assert sizes == [3, 3, 1]


def test_a_net_in_float32_is_asked_in_float32():
    single = fake()
    single.unet.dtype = torch.float32
    exact = single.unet.__class__.__call__

    def call(self, y, n):
        assert y.dtype == torch.float32
        out = exact(self, y.double(), n).sample
        return SimpleNamespace(sample=out.float())

    single.unet.__class__.__call__ = call
    pipe = fields.pipeline(single)
    x, t = spots(pipe)
    got, want = pipe.denoise(x, t), fields.pipeline(fake()).denoise(x, t)
    assert got.dtype == torch.float64
    # float32 has 6e-8, which D = x - sigma F multiplies by sigma up to 157
    off = (got - want).abs().amax(1) / want.abs().max() / (1 + t)
    assert 0 < off.max() < 1e-6


def test_the_book_s_tables_walk_on_the_ladder():
    """DDIM from level to level, against its gain on a Gaussian, in closed form."""
    pipe = fields.pipeline(fake("v_prediction"))
    ts = pipe.nsr[torch.arange(N - 1, 0, -50)]
    x = LAW.mean() + ts[0] * normal(4, D)
    got = solvers.solve(tables.ddim(pipe.path, ts), pipe.denoise, x)
    world = worlds.World(pipe.path, LAW)
    want = solvers.solve(tables.ddim(pipe.path, ts), world.denoise, x)
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)
    noise = fields.convert(pipe.denoise, pipe.path, "denoise", "noise")
    torch.testing.assert_close(noise(x, ts[0]), world.noise(x, ts[0]))


def test_a_schedule_that_ends_in_pure_noise_has_one_level_less():
    last = fake("v_prediction")
    abar = last.scheduler.alphas_cumprod.clone()
    abar[-1] = 0.0
    last.scheduler.alphas_cumprod = abar
    pipe = fields.pipeline(last)
    assert pipe.nsr[-1] == math.inf and pipe.nsr[-2].item() == pipe.path.T
    assert pipe.snap(1e9) == pipe.nsr[-2]
    x, t = spots(fields.pipeline(fake()))
    torch.testing.assert_close(
        pipe.denoise(x[:6], t[:6]), fields.pipeline(fake()).denoise(x[:6], t[:6])
    )


def without(name: str, holder: str = "scheduler"):
    """A fake that lacks an attribute."""
    pipe = fake()
    delattr(getattr(pipe, holder), name)
    return pipe


def given(value, name: str, holder: str | None = None):
    """A fake with another attribute."""
    pipe = fake()
    setattr(getattr(pipe, holder) if holder else pipe, name, value)
    return pipe


def abar(*values: float):
    return given(torch.tensor(values).double(), "alphas_cumprod", "scheduler")


@pytest.mark.parametrize(
    "says,pipe",
    [
        ("not both unet and scheduler", SimpleNamespace(transformer=1)),
        ("has a vae.*latents", given(object(), "vae")),
        ("has a movq.*latents", given(object(), "movq")),
        ("training mode", given(True, "training", "unet")),
        ("num_class_embeds = 10", fake(num_class_embeds=10)),
        ("class_embed_type = timestep", fake(class_embed_type="timestep")),
        ("cross_attention_dim = 768", fake(cross_attention_dim=768)),
        ("no alphas_cumprod", without("alphas_cumprod")),
        (
            "prediction_type is 'flow_prediction'",
            given(
                SimpleNamespace(prediction_type="flow_prediction"),
                "config",
                "scheduler",
            ),
        ),
        ("lacks sample_size", fake(sample_size=None)),
        ("takes 2 channels and gives 3", fake(out_channels=3)),
        ("falling", abar(0.5, 0.5)),
        ("falling", abar(1.0, 0.5)),
        ("falling", abar()),
        ("falling", abar(0.0)),
        ("NaN or inf", abar(0.5, math.nan)),
    ],
)
def test_what_is_no_denoiser_of_pixels_is_refused(says, pipe):
    refuses(ValueError, says, lambda: fields.pipeline(pipe))


def test_wrong_sizes_and_answers_are_refused():
    refuses(ValueError, "batch is 0", lambda: fields.pipeline(fake(), 0))
    x, t = spots(fields.pipeline(fake()))

    def asks(says, call, kind=ValueError):
        pipe = fields.pipeline(fake(call=call))
        refuses(kind, says, lambda: pipe.denoise(x, t))

    asks("returned no .sample", lambda y, n: (y,), TypeError)
    asks("returned no .sample", lambda y, n: y.numpy(), TypeError)
    asks("must return an image", lambda y, n: SimpleNamespace(sample=y[:, :1]))
    asks("must return an image", lambda y, n: SimpleNamespace(sample=y.flatten(1)))
    asks("must return an image", lambda y, n: SimpleNamespace(sample=y.sum()))
    pipe = fields.pipeline(fake())
    refuses(ValueError, r"x has shape", lambda: pipe.denoise(x[:, :5], t))
    refuses(ValueError, r"t has shape", lambda: pipe.denoise(x, t[:3]))
    refuses(ValueError, "positive and finite", lambda: pipe.snap(0.0))


def test_what_the_scheduler_does_to_a_guess_is_not_in_the_field():
    """clip_sample is on in the fake; the guess leaves [-1, 1] all the same."""
    pipe = fields.pipeline(fake())
    x, t = spots(pipe)
    assert pipe.denoise(x, t).abs().max() > 1.5
    off = copy.copy(fake())
    off.scheduler.config.clip_sample = False
    assert torch.equal(fields.pipeline(off).denoise(x, t), pipe.denoise(x, t))
