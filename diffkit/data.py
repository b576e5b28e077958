"""Data: small data sets that need no download, and curved laws to draw from.

Real data, as shipped with scikit-learn: handwritten `digits` and natural `patches`.
Laws with no exact world, drawn by a generator: `checkerboard`, `moons`, `spiral`,
`swiss_roll`, `sphere`. Each is stated exactly, as a density or as a parametrisation
by a uniform variable, so tests and chapters can ask for its moments, its support and
its intrinsic dimension m. ``noise`` adds N(0, noise^2 I) in the space around it, so
the law of the drawn points has then a density in every direction. Rings and grids of
Gaussians are not here: they are exact mixtures, `laws.ring` and `laws.grid`.

    law             d   m      support
    checkerboard    2   2      the black squares of a board
    moons           2   1      two half circles
    spiral          2   1      arms of an Archimedean spiral
    swiss_roll      3   2      a rolled-up sheet
    sphere          d   d - 1  |x| = 1

The digits are the test part of the "Optical Recognition of Handwritten Digits" set of
E. Alpaydin and C. Kaynak (UCI Machine Learning Repository, 1998, CC BY 4.0). The
photographs behind the patches are china.jpg by danielbuechele and flower.jpg by
vultilion, both from Flickr and CC BY 2.0 (the note shipped with them names
danielbuechele for both; its link for the flower leads to vultilion); here they are
turned to grey and cut to pieces.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .shapes import Float, Int

# --------------------------------------------------------------- real data


def digits() -> tuple[Float[Tensor, "1797 64"], Int[Tensor, " 1797"]]:
    """1,797 handwritten digits of 8 x 8 pixels, and their labels.

    Pixels run from -1 (paper) to 1 (ink), in float64, row by row.
    Source: alpaydin1998digits, through pedregosa2011sklearn.
    Checked: tests/test_data.py
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    x = torch.tensor(found.data, dtype=torch.float64) / 8 - 1
    return x, torch.tensor(found.target, dtype=torch.int64)


def patches(stride: int = 16) -> Float[Tensor, "n 256"]:
    """Grey patches of 16 x 16 pixels, cut from two photographs of 427 x 640.

    All whose corner lies on a grid of this stride, first the temple, then the
    flower: 2,080 that do not overlap, 8,216 at stride 8. Pixels run from -1 (black)
    to 1 (white), in float64, row by row: the luma 0.299 R + 0.587 G + 0.114 B of the
    stored values, which are not linear in light. No mean is removed: the first
    principal axis is the brightness, with 0.9 of the variance.
    Raises: ValueError for a stride below 1.
    Source: pedregosa2011sklearn. Checked: tests/test_data.py
    """
    from sklearn.datasets import load_sample_images

    if stride < 1:
        raise ValueError(f"stride is {stride}; it must be at least 1 pixel")
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    found = []
    for image in load_sample_images().images:
        grey = torch.tensor(image, dtype=torch.float64) @ luma / 127.5 - 1
        cut = grey.unfold(0, 16, stride).unfold(1, 16, stride)
        found.append(cut.reshape(-1, 256))
    return torch.cat(found)


# ------------------------------------------------------------- curved laws


def checkerboard(
    n: int, rng: torch.Generator, noise: float | int = 0.0, cells: int = 4
) -> Float[Tensor, "n 2"]:
    """Uniform on the black squares, of side 1, of a board around the origin.

    Square (i, j) = [i, i + 1) x [j, j + 1) - cells / 2 is black if i + j is even:
    p = 1 / ceil(cells^2 / 2) there, 0 elsewhere. m = 2.
    Raises: ValueError for n < 0, noise < 0, cells < 1. Checked: tests/test_data.py
    """
    if cells < 1:
        raise ValueError(f"cells is {cells}; a board has at least 1")
    u = _uniform(n, 2, rng)
    black = [(i, j) for i in range(cells) for j in range(cells) if (i + j) % 2 == 0]
    corner = torch.tensor(black, dtype=u.dtype, device=u.device) - cells / 2
    which = torch.randint(len(black), (n,), generator=rng, device=rng.device)
    return _noisy(corner[which] + u, noise, rng)


def moons(
    n: int, rng: torch.Generator, noise: float | int = 0.0
) -> Float[Tensor, "n 2"]:
    """Two half circles of radius 1, one in the other's mouth, each half of the time.

    (cos s, sin s) or (1 - cos s, 1/2 - sin s), s uniform on [0, pi]. m = 1.
    Raises: ValueError for n < 0, noise < 0. Checked: tests/test_data.py
    """
    u = _uniform(n, 2, rng)
    s, upper = math.pi * u[:, 0], u[:, 1] < 0.5
    one = torch.stack([s.cos(), s.sin()], -1)
    other = torch.stack([1 - s.cos(), 0.5 - s.sin()], -1)
    return _noisy(one.where(upper.unsqueeze(-1), other), noise, rng)


def spiral(
    n: int,
    rng: torch.Generator,
    noise: float | int = 0.0,
    turns: float | int = 1.5,
    arms: int = 2,
) -> Float[Tensor, "n 2"]:
    """Arms of an Archimedean spiral, equally likely, from the origin to radius 1.

    r (cos s, sin s) with r^2 uniform on [0, 1] and s = 2 pi (turns r + k / arms), k
    uniform on 0 to arms - 1: as many points in every ring of equal area. m = 1.
    Raises: ValueError for n < 0, noise < 0, turns <= 0, arms < 1.
    Checked: tests/test_data.py
    """
    if not 0 < turns < math.inf or arms < 1:
        raise ValueError(
            f"turns is {turns} and arms {arms}; it must be turns > 0 and arms >= 1"
        )
    r = _uniform(n, 1, rng).squeeze(-1).sqrt()
    k = torch.randint(arms, (n,), generator=rng, device=rng.device).to(r)
    s = 2 * math.pi * (turns * r + k / arms)
    return _noisy(torch.stack([r * s.cos(), r * s.sin()], -1), noise, rng)


def swiss_roll(
    n: int, rng: torch.Generator, noise: float | int = 0.0
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 2"]]:
    """A sheet rolled up once and a half, in a cylinder of radius 1, and its own (s, h).

    (s cos s / S, h, s sin s / S), s uniform on [S / 3, S], S = 9 pi / 2, and h on
    [-1, 1]: the density per area is not uniform, but as 1 / sqrt(1 + s^2). The
    parameters are those before the noise. m = 2.
    Raises: ValueError for n < 0, noise < 0. Checked: tests/test_data.py
    """
    u, S = _uniform(n, 2, rng), 4.5 * math.pi
    s, h = S * (1 + 2 * u[:, 0]) / 3, 2 * u[:, 1] - 1
    x = torch.stack([s * s.cos() / S, h, s * s.sin() / S], -1)
    return _noisy(x, noise, rng), torch.stack([s, h], -1)


def sphere(
    n: int, rng: torch.Generator, noise: float | int = 0.0, d: int = 3
) -> Float[Tensor, "n d"]:
    """Uniform on the sphere |x| = 1 in d dimensions: E x = 0, E x x' = I / d.

    m = d - 1; the circle is d = 2, and d = 1 are the points -1 and 1.
    Raises: ValueError for n < 0, noise < 0, d < 1. Checked: tests/test_data.py
    """
    if d < 1:
        raise ValueError(f"d is {d}; the space has at least 1 dimension")
    z = _normal(_count(n), d, rng)
    return _noisy(z / torch.linalg.vector_norm(z, dim=-1, keepdim=True), noise, rng)


def _count(n: int) -> int:
    if n < 0:
        raise ValueError(f"{n} points were asked for; n must be >= 0")
    return n


def _uniform(n: int, d: int, rng: torch.Generator) -> Tensor:
    """Numbers in [0, 1), on the generator's device."""
    return torch.rand(
        _count(n), d, generator=rng, dtype=torch.float64, device=rng.device
    )


def _normal(n: int, d: int, rng: torch.Generator) -> Tensor:
    return torch.randn(n, d, generator=rng, dtype=torch.float64, device=rng.device)


def _noisy(x: Tensor, noise: float | int, rng: torch.Generator) -> Tensor:
    """x + noise z; drawn last, so the points below are those without noise."""
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise is {noise}; it must be a finite number >= 0")
    return x + noise * _normal(*x.shape, rng)
