"""What the tests share: example laws and paths, and how a refusal must read."""

import re
from collections.abc import Callable

import pytest
import torch
from jaxtyping import config
from torch import Tensor

from diffkit import laws, paths, shapes

D = 3
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, the same every time."""
    return torch.randn(*shape, generator=shapes.rng(seed), dtype=torch.float64)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    """Numbers in [0, 1), the same every time."""
    return torch.rand(*shape, generator=shapes.rng(seed), dtype=torch.float64)


def wishart(*batch: int, seed: int = 0) -> Tensor:
    """Dense positive definite matrices (*batch, D, D)."""
    root = normal(*batch, D, D, seed=seed)
    return root @ root.mT + 0.1 * torch.eye(D, dtype=torch.float64)


def rotation(seed: int = 0) -> Tensor:
    """An orthogonal matrix (D, D)."""
    return torch.linalg.qr(normal(D, D, seed=seed))[0]


def eigen(*values: float, seed: int = 0) -> Tensor:
    """A covariance with these eigenvalues in random directions."""
    U = rotation(seed)
    return (U * torch.tensor(values, dtype=torch.float64)) @ U.mT


def _low_rank(k: int, components: int) -> laws.Mixture:
    """Two explicit directions, a floor on the third."""
    bases = torch.stack([rotation(seed)[:, :2] for seed in range(components)])
    return laws.Mixture(
        normal(k, seed=1),
        normal(k, D, seed=2),
        laws.Spectral(
            bases,
            0.5 + uniform(components, 2, seed=3),
            0.2 + uniform(components, seed=4),
        ),
    )


W = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
SMOOTH = {  # laws with a density, in every way of storing them
    "gaussian": laws.gaussian(normal(D), wishart()),
    "repeated": laws.gaussian(normal(D), eigen(2.0, 2.0, 0.5)),
    "isotropic": laws.mixture(2 * normal(3, D), 0.3, W),
    "shared": laws.mixture(2 * normal(3, D), wishart(seed=5), W),
    "mixture": laws.mixture(2 * normal(3, D), wishart(3, seed=6), W),
    "coincident": laws.mixture(normal(1, D).expand(2, D), wishart(2, seed=7)),
    "pushed": laws.mixture(normal(3, 5), wishart(seed=1)[0, 0] * torch.eye(5).double())
    .push(normal(D, 5, seed=12))
    .blur(0.1),
    "factored": laws.mixture(2 * normal(3, D), wishart(3, seed=9), W).push(
        torch.eye(D, dtype=torch.float64)
    ),
    "low rank": _low_rank(3, 1),
    "low ranks": _low_rank(3, 3),
}
ROUGH = {  # laws with a zero eigenvalue
    "flat": laws.gaussian(normal(D), eigen(2.0, 0.5, 0.0)),
    "point": laws.gaussian(normal(D), 0.0),
    "data": laws.dataset(normal(4, D, seed=8)),
    "flats": laws.mixture(
        normal(2, D), torch.stack([eigen(2.0, 0.0, 0.0), eigen(1.0, 1.0, 0.0, seed=1)])
    ),
    "lifted": laws.mixture(normal(3, 2), wishart()[:2, :2]).push(normal(D, 2, seed=13)),
}
LAWS = SMOOTH | ROUGH
PATHS = {
    "vp": paths.vp(),
    "cosine": paths.cosine(),
    "trig": paths.trig(),
    "edm": paths.edm(5.0),
    "ve": paths.ve(0.01, 5.0),
    "straight": paths.one_sided(),
    "zero terminal": paths.zero_terminal(paths.vp()),
}
TWO_ENDS = paths.straight()
BRIDGES = {  # paths with two ends
    "straight": TWO_ENDS,
    "bridge": paths.brownian(0.4),
    "circle": paths.circle(),
    "there": paths.encoding_decoding(),
    "open": paths.Path(1 - paths.t, paths.t**2, paths.t / 2),  # noise at the far end
}
JOINTS = {  # of (x0, x1), in every way of making them
    "gaussians": laws.gaussian(normal(D), wishart()).pair(
        laws.gaussian(normal(D, seed=1), wishart(seed=1))
    ),
    "correlated": laws.gaussian(normal(D), wishart()).pair(
        laws.gaussian(normal(D, seed=1), wishart(seed=1)), 0.1 * normal(D, D, seed=2)
    ),
    "mixtures": laws.mixture(2 * normal(3, D), wishart(3, seed=6), W).pair(
        laws.mixture(2 * normal(2, D, seed=3), wishart(2, seed=7))
    ),
    "repeated": laws.mixture(normal(2, D), eigen(2.0, 2.0, 0.5)).pair(
        laws.gaussian(normal(D), eigen(1.0, 1.0, 1.0))
    ),
    "data and noise": laws.dataset(normal(4, D, seed=8)).pair(
        laws.gaussian(torch.zeros(D).double(), 1.0)
    ),
    "data": laws.dataset(normal(4, D, seed=8)).pair(
        laws.dataset(normal(4, D, seed=9)), weights=torch.eye(4).double()
    ),
    "flat": laws.gaussian(normal(D), eigen(2.0, 0.5, 0.0)).pair(
        laws.gaussian(normal(D), eigen(1.0, 0.0, 0.0, seed=3))
    ),
}


def named(table: dict) -> Callable:
    """Parametrise a test over the entries of a table, by name."""
    return pytest.mark.parametrize("name", list(table))


def refuses(kind: type, says: str, call: Callable) -> None:
    """The call raises exactly this kind, in one sentence that matches."""
    was = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)  # what a user without the hook meets
    try:
        with pytest.raises(kind) as caught:
            call()
    finally:
        config.update("jaxtyping_disable", was)
    text = str(caught.value)
    assert type(caught.value) is kind
    assert "\n" not in text and len(text) < 250
    assert re.search(says, text), text
