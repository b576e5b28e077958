"""data: pixels against scikit-learn and Pillow, curved laws against what defines them.

Statistics: fixed seeds and 6 standard errors, or a Kolmogorov-Smirnov p above 1e-8,
which is as rare. Supports: to 1e-14, a few roundings of numbers below 3.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import torch
from examples import cuda, named, refuses
from PIL import Image
from scipy import stats
from sklearn.datasets import load_digits

from diffkit import data, shapes

N = 20000
SAMPLERS = {
    "checkerboard": data.checkerboard,
    "moons": data.moons,
    "spiral": data.spiral,
    "swiss_roll": lambda *args: data.swiss_roll(*args)[0],
    "sphere": data.sphere,
}
PHOTOS = Path(sklearn.datasets.__file__).parent / "images"


def draw(name: str, n: int = N, *args: float, seed: int = 0) -> torch.Tensor:
    return SAMPLERS[name](n, shapes.rng(seed), *args)


def is_uniform(x: torch.Tensor, low: float, high: float) -> bool:
    return stats.kstest(x.numpy(), "uniform", (low, high - low)).pvalue > 1e-8


def has_mean(x: torch.Tensor, want: torch.Tensor | float) -> bool:
    """Every mean over the points is within 6 of its standard errors."""
    return bool(((x.mean(0) - want).abs() <= 6 * x.std(0) / math.sqrt(len(x))).all())


# --------------------------------------------------------------- real data


def test_digits_are_the_images_in_order_between_paper_and_ink():
    x, labels = data.digits()
    raw = load_digits()
    assert x.dtype == torch.float64 and labels.dtype == torch.int64
    ink = (x.numpy().reshape(-1, 8, 8) + 1) * 8  # 0 to 16, exact in binary
    assert np.array_equal(ink, raw.images)
    assert np.array_equal(labels.numpy(), raw.target)
    assert (x.min(), x.max(), len(x)) == (-1, 1, 1797)


def test_three_pixels_are_never_inked():
    x, _ = data.digits()
    assert int((x.std(0) == 0).sum()) == 3
    assert np.linalg.matrix_rank(np.cov(x.numpy().T)) == 61


@pytest.mark.parametrize("stride", [16, 100])
def test_patches_are_pillows_grey_cut_by_hand(stride):
    found = data.patches(stride)
    wanted = []
    for name in ("china.jpg", "flower.jpg"):
        grey = np.asarray(Image.open(PHOTOS / name).convert("L"), dtype=float)
        rows, columns = (range(0, n - 15, stride) for n in grey.shape)
        wanted += [grey[i : i + 16, j : j + 16].ravel() for i in rows for j in columns]
    assert found.dtype == torch.float64 and found.shape == (len(wanted), 256)
    off = (found.numpy() + 1) * 127.5 - np.array(wanted)
    # Pillow rounds to a whole grey level, by integers of 16 bits
    assert np.abs(off).max() < 0.51
    assert found.min() >= -1 and found.max() <= 1


def test_the_photographers_are_named():
    note = (PHOTOS / "README.txt").read_text()
    assert "creativecommons.org/licenses/by/2.0" in note
    for name in ("danielbuechele", "vultilion"):
        assert name in note and name in data.__doc__


def spectrum(x: np.ndarray) -> np.ndarray:
    return np.linalg.eigvalsh(np.cov(x.T))[::-1]


def slope(lam: np.ndarray) -> float:
    """Of log eigenvalue against log rank, over ranks 2 to 100."""
    k = np.arange(2, 101)
    return np.polyfit(np.log(k), np.log(lam[1:100]), 1)[0]


def test_spectrum_of_patches_falls_like_a_power():
    """A power spectrum f^-2 (scale invariance) gives the rank k ~ f^2 the slope -1.

    Two photographs are not all of nature: within 0.3 of it. With the pixels of each
    patch shuffled the rest of the spectrum is flat but for the brightness.
    """
    x = data.patches(8).numpy()
    assert abs(slope(spectrum(x)) + 1) < 0.3
    shuffled = np.random.default_rng(0).permuted(x, axis=1)
    assert slope(spectrum(shuffled)) > -0.3


@pytest.mark.parametrize("half", [0, 1])
def test_spectrum_of_patches_is_half_the_power_of_the_photograph(half):
    """By the Fourier transform of the whole: |F|^2 ~ f^-p, so eigenvalues ~ k^-p/2.

    Patches of 16 pixels see frequencies only to 1/16, smeared: within 0.35.
    """
    photo = sklearn.datasets.load_sample_images().images[half] @ [0.299, 0.587, 0.114]
    window = np.multiply.outer(*(np.hanning(n) for n in photo.shape))
    power = np.abs(np.fft.fft2((photo - photo.mean()) * window)) ** 2
    f = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, photo.shape), indexing="ij"))
    edges = np.geomspace(1 / 16, 1 / 2, 12)
    rings = [
        power[(f >= a) & (f < b)].mean() for a, b in zip(edges, edges[1:], strict=False)
    ]
    p = -np.polyfit(np.log(edges[1:]), np.log(rings), 1)[0]
    x = data.patches(8).numpy()
    x = x[: len(x) // 2] if half == 0 else x[len(x) // 2 :]
    assert abs(slope(spectrum(x)) + p / 2) < 0.35


def test_the_mean_of_patches_is_kept_and_is_most_of_them():
    x = data.patches().numpy()
    lam, U = np.linalg.eigh(np.cov(x.T))
    assert 0.85 < lam[-1] / lam.sum() < 0.95
    assert abs(U[:, -1].sum()) / 16 > 0.999  # the cosine to the constant patch


# ------------------------------------------------------------- curved laws


@pytest.mark.parametrize("cells", [1, 3, 4])
def test_checkerboard_is_uniform_on_the_black_squares(cells):
    x = data.checkerboard(N, shapes.rng(0), 0.0, cells) + cells / 2
    square = x.floor()
    assert square.min() == 0 and square.max() == cells - 1
    assert (square.sum(-1) % 2 == 0).all()
    _, counts = (square @ torch.tensor([1.0, cells]).double()).unique(
        return_counts=True
    )
    assert len(counts) == math.ceil(cells**2 / 2)
    assert len(counts) == 1 or stats.chisquare(counts.numpy()).pvalue > 1e-8
    for inside in (x - square).T:
        assert is_uniform(inside, 0, 1)
    assert abs(np.corrcoef((x - square).T.numpy())[0, 1]) < 6 / math.sqrt(N)


def test_moons_are_two_half_circles_walked_evenly():
    x = draw("moons")
    to_one = x
    to_other = torch.tensor([1.0, 0.5]).double() - x  # turned by half a circle
    sizes = torch.stack([(y**2).sum(-1).sqrt() for y in (to_one, to_other)])
    off = (sizes - 1).abs()
    assert off.amin(0).max() < 1e-14
    other = (off[1] < off[0]).double()
    assert has_mean(other, 0.5)
    for y, mine in ((to_one, other == 0), (to_other, other == 1)):
        angle = torch.atan2(y[mine, 1], y[mine, 0])
        assert angle.min() >= 0 and is_uniform(angle, 0, math.pi)
    assert has_mean(x, torch.tensor([0.5, 0.25]).double())


@pytest.mark.parametrize("turns,arms", [(1.5, 2), (0.75, 1), (2.0, 5)])
def test_spiral_turns_with_its_radius_and_fills_rings_evenly(turns, arms):
    x = data.spiral(N, shapes.rng(0), 0.0, turns, arms)
    r = (x**2).sum(-1).sqrt()
    assert is_uniform(r**2, 0, 1)
    straight = (torch.atan2(x[:, 1], x[:, 0]) / (2 * math.pi) - turns * r) * arms
    arm = straight.round()
    # the angle of a point at radius r is known to 1e-16 / r, and r > 1e-4 here
    assert (straight - arm).abs().max() < 1e-11
    counts = (arm % arms).unique(return_counts=True)[1]
    assert len(counts) == arms
    assert arms == 1 or stats.chisquare(counts.numpy()).pvalue > 1e-8


def test_swiss_roll_unrolls_to_its_parameters():
    x, sheet = data.swiss_roll(N, shapes.rng(0))
    s, h = sheet.T
    assert is_uniform(s, 1.5 * math.pi, 4.5 * math.pi) and is_uniform(h, -1, 1)
    assert torch.equal(x[:, 1], h)
    z = torch.complex(x[:, 0], x[:, 2])
    torch.testing.assert_close(z.abs(), s / (4.5 * math.pi), rtol=1e-14, atol=0)
    turned = z * torch.exp(-1j * s)  # on the positive axis again
    assert turned.imag.abs().max() < 1e-14 and turned.real.min() > 0
    noisy, same = data.swiss_roll(N, shapes.rng(0), 0.1)
    assert torch.equal(same, sheet) and not torch.equal(noisy, x)


@pytest.mark.parametrize("d", [1, 2, 3, 7])
def test_sphere_is_round_and_isotropic(d):
    x = data.sphere(N, shapes.rng(0), 0.0, d)
    torch.testing.assert_close(
        (x**2).sum(-1), torch.ones(N).double(), rtol=1e-14, atol=0
    )
    assert has_mean(x, 0.0)
    moment = (x.unsqueeze(-1) * x.unsqueeze(-2)).flatten(1)
    if d > 1:
        assert has_mean(moment, torch.eye(d).double().flatten() / d)
        assert has_mean(x**4, 3 / (d * (d + 2)))
    else:
        assert set(x.flatten().tolist()) == {-1.0, 1.0}


def test_sphere_in_known_directions():
    angle = torch.atan2(*data.sphere(N, shapes.rng(0), 0.0, 2).T)
    assert is_uniform(angle, -math.pi, math.pi)
    e = torch.tensor([2.0, -3, 6]).double() / 7  # Archimedes: its height is uniform
    assert is_uniform(draw("sphere") @ e, -1, 1)


@named(SAMPLERS)
def test_noise_is_isotropic_and_comes_on_top(name):
    z = (draw(name, N, 0.3) - draw(name, N)) / 0.3
    assert has_mean(z, 0.0)
    moment = (z.unsqueeze(-1) * z.unsqueeze(-2)).flatten(1)
    assert has_mean(moment, torch.eye(z.shape[1]).double().flatten())
    assert stats.kstest(z.flatten().numpy(), "norm").pvalue > 1e-8


@named(SAMPLERS)
def test_draws_are_the_generators(name):
    one, same, other = (draw(name, 50, 0.1, seed=s) for s in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert one.dtype == torch.float64 and torch.isfinite(one).all()
    assert draw(name, 0).shape == (0, one.shape[1])


@cuda
@named(SAMPLERS)
def test_draws_are_on_the_generators_device(name):
    x = SAMPLERS[name](100, shapes.rng(0, "cuda"), 0.1)
    assert x.is_cuda and x.dtype == torch.float64 and torch.isfinite(x).all()


# ---------------------------------------------------------------- refusals

V, rng = ValueError, shapes.rng(0)
less = "-1 points were asked for"
nan = float("nan")
WRONG = {
    "board": (V, less, lambda: data.checkerboard(-1, rng)),
    "cells": (V, "cells is 0", lambda: data.checkerboard(1, rng, 0.0, 0)),
    "moons": (V, less, lambda: data.moons(-1, rng)),
    "spiral": (V, less, lambda: data.spiral(-1, rng)),
    "turns": (V, "turns is 0 and arms 2", lambda: data.spiral(1, rng, 0.0, 0)),
    "turns inf": (V, "turns is inf", lambda: data.spiral(1, rng, 0.0, math.inf)),
    "arms": (V, "turns is 1.5 and arms 0", lambda: data.spiral(1, rng, 0.0, arms=0)),
    "roll": (V, less, lambda: data.swiss_roll(-1, rng)),
    "sphere": (V, less, lambda: data.sphere(-1, rng)),
    "dimension": (V, "d is 0", lambda: data.sphere(1, rng, d=0)),
    "noise": (V, "noise is -0.1; it must be", lambda: data.moons(1, rng, -0.1)),
    "noise nan": (V, "noise is nan", lambda: data.sphere(1, rng, nan)),
    "noise inf": (V, "noise is inf", lambda: data.spiral(1, rng, math.inf)),
    "stride": (V, "stride is 0; it must be", lambda: data.patches(0)),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
