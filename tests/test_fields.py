"""fields: every conversion against the exact world, Jacobians against loops.

Tolerances: 1e-9 relative, the condition of the 2 x 2 solve at the times tried
being below 1e4.
"""

import pytest
import torch
from examples import LAWS, PATHS, TWO_ENDS, D, named, normal, refuses, uniform

from diffkit import fields, paths, worlds

close = {"rtol": 1e-9, "atol": 1e-9}
TARGETS = ("denoise", "noise", "score", "velocity", "v")


def exact(world: worlds.World, target: str) -> fields.Field:
    """The field by the world's own formula; v by its definition."""
    if target != "v":
        return getattr(world, target)

    def v(x, t):
        c = world.path.at(t)
        a, g = c.a.unsqueeze(-1), c.g.unsqueeze(-1)
        return a * world.noise(x, t) - g * world.denoise(x, t)

    return v


@pytest.mark.parametrize("want", TARGETS)
@pytest.mark.parametrize("have", TARGETS)
@named(PATHS)
def test_any_target_gives_any_other(name, have, want):
    world = worlds.World(PATHS[name], LAWS["mixture"])
    got = fields.convert(exact(world, have), world.path, have, want)
    x, truth = normal(D, D), exact(world, want)
    for t in (0.2, torch.tensor(0.9).double(), 0.05 + 0.9 * uniform(D)):
        t = torch.as_tensor(t).double() * world.path.T
        torch.testing.assert_close(got(x, t), truth(x, t), **close)


@pytest.mark.parametrize(
    "have,want",
    [("noise", "score"), ("score", "noise"), ("denoise", "velocity"), ("v", "noise")],
)
def test_where_no_signal_is_left_what_is_determined_is_given(have, want):
    world = worlds.World(PATHS["straight"], LAWS["mixture"])
    got = fields.convert(exact(world, have), world.path, have, want)
    x = normal(4, D)
    if have == "v":  # v = -D there: no news of the noise but x itself
        torch.testing.assert_close(got(x, 1.0), x, **close)
    else:
        one = torch.tensor(1.0).double()
        torch.testing.assert_close(got(x, one), exact(world, want)(x, one), **close)


def test_without_noise_the_noise_field_still_gives_the_data():
    path = PATHS["vp"]
    world = worlds.World(path, LAWS["mixture"])
    got = fields.convert(world.noise, path, "noise", "denoise")
    x = normal(4, D)
    torch.testing.assert_close(got(x, 0.0), x, **close)


def test_the_type_of_the_points_is_kept():
    got = fields.convert(lambda x, t: x, paths.vp(), "noise", "velocity")
    assert got(normal(2, D).float(), 0.5).dtype == torch.float32


def swirl(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Neither a gradient nor linear, and different at every time."""
    t = torch.as_tensor(t).double()
    a, b, c = x.unbind(-1)
    return torch.stack([t * b * c, torch.sin(a) - t**2 * b, a * a * b + c**3 * t], -1)


def test_jacobian_is_row_by_row_what_torch_finds_point_by_point():
    x, t = normal(2, D, D), uniform(2, D)
    got = fields.jacobian(swirl, x, t)
    div = fields.divergence(swirl, x, t)
    for i in range(2):
        for j in range(D):
            want = torch.autograd.functional.jacobian(
                lambda y, s=t[i, j]: swirl(y, s), x[i, j]
            )
            torch.testing.assert_close(got[i, j], want)
            torch.testing.assert_close(div[i, j], want.trace())
            one = fields.jacobian(swirl, x[i, j], t[i, j])
            torch.testing.assert_close(one, want)


def test_divergence_of_the_swirl_by_hand():
    x = normal(6, D)
    want = -(0.3**2) + 3 * 0.3 * x[:, 2] ** 2
    torch.testing.assert_close(fields.divergence(swirl, x, 0.3), want)


@named(LAWS)
def test_jacobian_of_every_world_is_a_difference(name):
    world, x, h = worlds.World(PATHS["vp"], LAWS[name]), normal(4, D), 1e-5
    got, eye = fields.jacobian(world.velocity, x, 0.4), torch.eye(D).double()
    for j in range(D):
        up, down = (world.velocity(x + s * h * eye[j], 0.4) for s in (1, -1))
        # central: error h^2 f''' / 6, and rounding 1e-16 / h
        want = (up - down) / (2 * h)
        torch.testing.assert_close(got[..., j], want, rtol=1e-6, atol=1e-6)


V = ValueError
W = worlds.World(PATHS["edm"], LAWS["gaussian"])
x = normal(3, D)


def at(have: str, want: str, t: float, path: paths.Path = W.path):
    """Convert something, somewhere."""
    return lambda: fields.convert(lambda x, t: x, path, have, want)(x, t)


unknown = "target 'eps' is unknown; it is one of denoise, noise, score, velocity, v"
WRONG = {
    "have": (V, unknown, at("eps", "noise", 1.0)),
    "want": (V, unknown, at("noise", "eps", 1.0)),
    "neither": (V, unknown, at("eps", "eps", 1.0)),
    "two ends": (V, "second end, b = t", at("noise", "score", 0.5, TWO_ENDS)),
    "t": (V, r"lives on \[0, 5\]", at("noise", "score", 6.0)),
    "t nan": (V, "t holds NaN", at("noise", "score", float("nan"))),
    "denoise at 0": (
        V,
        "denoise does not determine noise",
        at("denoise", "noise", 0.0),
    ),
    "score at 0": (V, "noise does not determine score", at("noise", "score", 0.0)),
    "velocity at 0": (
        V,
        "velocity does not determine v at this time",
        at("velocity", "v", 0.0),
    ),
    "noise at the end": (
        V,
        "noise does not determine denoise",
        at("noise", "denoise", 1.0, PATHS["straight"]),
    ),
    "score at the end": (
        V,
        "score does not determine velocity",
        at("score", "velocity", 1.0, PATHS["straight"]),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
