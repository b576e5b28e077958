"""Random worlds, each with a twin of dense matrices that shares no code with it.

The ends (x0, x1) of a twin are a mixture of Gaussians in R^2d with weights w_k, means
m_k and covariances C_k, kept as they were drawn. With M = [a I, b I] the law of
x_t = M (x0, x1) + g z is sum_k w_k N(M m_k, S_k), S_k = M C_k M' + g^2 I: its density
is torch's, and everything else is a derivative of its logarithm, by autograd.

Posterior means as well. Let w = W (x0, x1) + v z be anything linear in the ends and
the noise. Weigh the law by exp(h . w): each component stays Gaussian, w_k becomes
w_k exp(h . W m_k + O(h^2)), the mean M m_k + cov(x_t, w) h, and

    E[w | x_t = x] = d/dh log p_h(x) at h = 0,    cov(x_t, w) = M C_k W' + g v I.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from diffkit import laws, paths, shapes, worlds

FLOAT = torch.float64
t = paths.t
ONE_END = {
    "VP": paths.vp(),
    "trigonometric": paths.trig(),
    "EDM": paths.edm(5.0),
    "VE": paths.ve(0.01, 5.0),
    "straight to noise": paths.one_sided(),
}
TWO_ENDS = {
    "straight": paths.Path(1 - t, t, 0),
    "bridge": paths.Path(1 - t, t, t * (1 - t)),
    "curved": paths.Path((1 - t) ** 2, t * (2 - t), t * (1 - t) / 2),
}
FULL = ("isotropic", "shared", "own", "pushed")  # storages of full rank
STORAGES = ("points", "flat", *FULL)
SIZES = ((1, 3), (2, 1), (3, 5), (8, 4))  # (d, K)


class End(NamedTuple):
    """A law of diffkit, and the weights, means and covariances it was made of."""

    law: laws.Mixture
    w: Tensor  # (K)
    m: Tensor  # (K, d)
    C: Tensor  # (K, d, d)


class Twin(NamedTuple):
    """A world of diffkit, and the dense law of both ends; x1 = 0 if there is one."""

    name: str
    world: worlds.World
    logw: Tensor  # (K)
    m: Tensor  # (K, 2d)
    C: Tensor  # (K, 2d, 2d)

    def law(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """M (n, d, 2d), the means M m_k (n, K, d) and S_k (n, K, d, d) at n times."""
        c, d = self.world.path.at(t), self.m.shape[1] // 2
        M = ends(c.a, c.b, d)
        means = torch.einsum("nij,kj->nki", M, self.m)
        S = torch.einsum("nij,kjl,nml->nkim", M, self.C, M)
        return M, means, S + c.g2[:, None, None, None] * torch.eye(d, dtype=FLOAT)

    def log_prob(self, x: Tensor, t: Tensor) -> Tensor:
        """log p_t(x), (n), at one time per point; differentiable in both."""
        _, means, S = self.law(t)
        return _log_density(x, self.logw, means, S)

    def mean(self, x: Tensor, t: Tensor, W: Tensor, gv: Tensor) -> Tensor:
        """E[W (x0, x1) + v z | x_t = x]. W: (n, d, 2d); gv: g v, (n)."""
        h = torch.zeros_like(x, requires_grad=True)
        M, means, S = self.law(t)
        cov = torch.einsum("nij,kjl,nml->nkim", M, self.C, W)
        cov = cov + gv[:, None, None, None] * torch.eye(x.shape[1], dtype=FLOAT)
        means = means + torch.einsum("nkij,nj->nki", cov, h)
        logw = self.logw + torch.einsum("ni,nij,kj->nk", h, W, self.m)
        return slope(_log_density(x, logw, means, S), h)

    def draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """n points of the path, with their times (away from its very ends)."""
        share = torch.rand(n, generator=rng, dtype=FLOAT)
        t = self.world.path.T * (0.1 + 0.8 * share)
        _, means, S = self.law(t)
        k = torch.multinomial(self.logw.exp(), n, replacement=True, generator=rng)
        z = torch.randn(n, means.shape[-1], 1, generator=rng, dtype=FLOAT)
        row = torch.arange(n)
        noise = torch.linalg.cholesky(S[row, k]) @ z
        return means[row, k] + noise.squeeze(-1), t


def _log_density(x: Tensor, logw: Tensor, means: Tensor, S: Tensor) -> Tensor:
    normal = MultivariateNormal(means, S, validate_args=False)
    return (logw + normal.log_prob(x.unsqueeze(1))).logsumexp(-1)


def ends(u: Tensor, v: Tensor, d: int) -> Tensor:
    """[u I, v I], (n, d, 2d)."""
    eye = torch.eye(d, dtype=FLOAT)
    return torch.cat([u[:, None, None] * eye, v[:, None, None] * eye], -1)


def slope(value: Tensor, at: Tensor) -> Tensor:
    """The derivative of value_i with respect to at_i, for every point i."""
    if not value.requires_grad:  # a coefficient that is constant
        return torch.zeros_like(at)
    (found,) = torch.autograd.grad(value.sum(), at, create_graph=True)
    return found


# ------------------------------------------------------------------- drawing


def end(storage: str, d: int, w: Tensor, rng: torch.Generator) -> End:
    """A random law with these weights, stored in one of the ways that diffkit knows."""
    K = len(w)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng, dtype=FLOAT)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=FLOAT)

    m, eye = 2 * normal(K, d), torch.eye(d, dtype=FLOAT)
    if storage in ("points", "isotropic"):
        v = 0.0 if storage == "points" else 0.05 + uniform(1).item()
        return End(laws.mixture(m, v, w), w, m, (v * eye).expand(K, d, d))
    n = 1 if storage == "shared" else K
    U = torch.linalg.qr(normal(n, d, d))[0]
    size = 0.05 * torch.exp(math.log(80) * uniform(n, d))  # 0.05 to 4
    if storage == "flat":  # no extent in half the directions, the same in the others
        size = torch.where(torch.arange(d) < (d + 1) // 2, 0.0, 0.7).expand(n, d)
    C = (U * size.unsqueeze(1)) @ U.mT
    law = laws.mixture(m, C[0] if storage == "shared" else C, w)
    if storage == "pushed":
        A, c = normal(d, d), normal(d)
        law, m, C = law.push(A, c), m @ A.mT + c, A @ C @ A.mT
    return End(law, w, m, C.expand(K, d, d))


def one_end(name: str, storage: str, d: int, K: int, rng: torch.Generator) -> Twin:
    """A world whose path ends in noise; the second end is not used."""
    x0 = end(storage, d, weights(K, 1, rng).squeeze(1), rng)
    m, C = torch.zeros(K, 2 * d, dtype=FLOAT), torch.zeros(K, 2 * d, 2 * d, dtype=FLOAT)
    m[:, :d], C[:, :d, :d] = x0.m, x0.C
    world = worlds.World(ONE_END[name], x0.law)
    return Twin(f"{name}, {storage}, d = {d}, K = {K}", world, x0.w.log(), m, C)


def two_ends(
    name: str,
    stores: tuple[str, str],
    coupled: bool,
    d: int,
    K: int,
    rng: torch.Generator,
) -> Twin:
    """A world between two laws: independent, or coupled in every way there is."""
    w, L = weights(K, K + 1, rng), K + 1
    x0, x1 = end(stores[0], d, w.sum(1), rng), end(stores[1], d, w.sum(0), rng)
    cross = torch.zeros(K, L, d, d, dtype=FLOAT)
    if coupled:  # C0^1/2 R C1^1/2 with |R| < 1 is what a covariance can be
        R = torch.randn(K, L, d, d, generator=rng, dtype=FLOAT)
        R = R / (1.2 * torch.linalg.matrix_norm(R, 2)[..., None, None])
        cross = root(x0.C).unsqueeze(1) @ R @ root(x1.C)
        joint = x0.law.pair(x1.law, cross, w)
    else:
        w, joint = x0.w.unsqueeze(1) * x1.w, x0.law.pair(x1.law)
    k, n = torch.cartesian_prod(torch.arange(K), torch.arange(L)).unbind(-1)
    above = torch.cat([x0.C[k], cross[k, n]], -1)
    below = torch.cat([cross[k, n].mT, x1.C[n]], -1)
    m, C = torch.cat([x0.m[k], x1.m[n]], -1), torch.cat([above, below], -2)
    world = worlds.World(TWO_ENDS[name], joint)
    kind = "coupled" if coupled else "independent"
    said = f"{name}, {stores[0]} to {stores[1]}, {kind}, d = {d}, K = {K}"
    return Twin(said, world, w.flatten().log(), m, C)


def weights(K: int, L: int, rng: torch.Generator) -> Tensor:
    """Random positive weights (K, L) with the sum one."""
    w = 0.1 + torch.rand(K, L, generator=rng, dtype=FLOAT)
    return w / w.sum()


def root(C: Tensor) -> Tensor:
    """The symmetric root of covariances, some of them flat."""
    size, U = torch.linalg.eigh(C)
    return (U * size.clamp_min(0).sqrt().unsqueeze(-2)) @ U.mT


def all_twins(seed: int = 0, few: bool = False) -> Iterator[Twin]:
    """Random worlds over every path, storage and size; few: one size for each."""
    rng = shapes.rng(seed)
    for i, name in enumerate([*ONE_END, *TWO_ENDS]):
        for j, storage in enumerate(STORAGES):
            for d, K in [SIZES[(i + j) % len(SIZES)]] if few else SIZES:
                if name in ONE_END:
                    yield one_end(name, storage, d, K, rng)
                else:  # a second end of full rank, as one path adds no noise
                    stores = (storage, FULL[(i + j) % len(FULL)])
                    yield two_ends(name, stores, j % 2 == 0, d, K, rng)
