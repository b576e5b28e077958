"""laws: both ways of keeping covariances say the same, in every method they share."""

import pytest
import torch
from examples import (
    LAWS,
    SMOOTH,
    D,
    W,
    cuda,
    eigen,
    named,
    normal,
    refuses,
    rotation,
    uniform,
    wishart,
)

from diffkit import laws, paths, shapes, worlds

close = {"rtol": 1e-10, "atol": 1e-10}
eye = torch.eye(D, dtype=torch.float64)


@named(LAWS)
def test_a_factor_and_a_spectrum_are_the_same_matrices(name):
    cov = LAWS[name].covariance
    for other in (cov.factored(), cov.spectral(), cov.factored().spectral()):
        torch.testing.assert_close(other.dense(), cov.dense(), **close)
    root = cov.factored().whole()
    torch.testing.assert_close(root @ root.mT, cov.dense(), **close)


@named(LAWS)
def test_the_law_does_not_depend_on_its_storage(name):
    law, x = LAWS[name].blur(0.2), normal(6, D)
    t = 0.1 + uniform(6)
    kinds = [laws.Mixture(law.logw, law.means, law.covariance.factored()), law]
    kinds[1] = law.spectral()
    for what in ("log_prob", "score", "responsibilities"):
        one, two = (getattr(kind, what)(x) for kind in kinds)
        torch.testing.assert_close(one, two, **close)
    for L, v in (((0.7,), 0.3), ((t,), t)):
        one, two = (kind.posterior(x, L, v) for kind in kinds)
        torch.testing.assert_close(one.means, two.means, **close)
        torch.testing.assert_close(one.covs(), two.covs(), **close)
        torch.testing.assert_close(one.logw, two.logw, **close)
        one, two = (kind.expect(x, L, v, (t,), 0.4) for kind in kinds)
        torch.testing.assert_close(one, two, **close)
        one, two = (kind.log_seen(x, L, v) for kind in kinds)
        torch.testing.assert_close(one, two, **close)


@named(LAWS)
def test_rank_is_seen_in_both_storages(name):
    law = LAWS[name]
    flat = bool((torch.linalg.matrix_rank(law.covs()) < D).any())
    assert law.covariance.spectral().singular is flat
    assert law.covariance.factored().singular is flat


@pytest.mark.parametrize("v", [1e-20, 1e-12, 1e-6, 1.0, 1e12])
def test_a_flat_law_with_a_little_noise_keeps_its_digits(v):
    # variances 2, 1/2 and v: by squaring, v would drown at 1e-16
    law = laws.gaussian(normal(D), eigen(2.0, 0.5, 0.0))
    lifted = laws.Mixture(law.logw, law.means, law.covariance.factored()).blur(v)
    y = rotation()[:, 2] * v**0.5  # one standard deviation off the span
    want = -y / v
    # the direction itself is known to 1e-16, against one standard deviation v^1/2
    slack = 1e-15 * v**-0.5 * want.norm() + 1e-9 * want.norm()
    assert (lifted.score(law.mean() + y) - want).norm() <= slack


def test_a_density_may_be_differentiated_where_eigenvalues_coincide():
    A = torch.eye(D, dtype=torch.float64).requires_grad_()
    law = laws.gaussian(torch.zeros(D, dtype=torch.float64), eigen(1.0, 1.0, 1.0))
    x = normal(D)
    (slope,) = torch.autograd.grad(law.push(A).log_prob(x), A)
    # d/dA of -|x|^2 / 2 - log det A at the identity
    torch.testing.assert_close(slope, torch.outer(x, x) - eye, **close)


@pytest.mark.parametrize("ends", [1, 2])
def test_a_blend_is_a_push_by_its_matrix(ends):
    law = laws.mixture(normal(3, 2 * D), 0.0, W).blur(cov=eigen_of(2 * D)).blur(0.3)
    L = [0.3, -1.2][:ends]
    A = torch.cat([u * torch.eye(2 * D // ends, dtype=torch.float64) for u in L], 1)
    one, two = law.blend(L, 0.4), law.push(A).blur(0.4)
    torch.testing.assert_close(one.means, two.means, **close)
    torch.testing.assert_close(one.covs(), two.covs(), **close)


def eigen_of(d: int) -> torch.Tensor:
    root = normal(d, d, seed=60)
    return root @ root.mT


@named(SMOOTH)
def test_parts_of_the_points_are_the_points(name, monkeypatch):
    law, x = SMOOTH[name], normal(7, 2, D)
    t = 0.2 + uniform(7, 2)
    calls = (
        lambda: law.log_prob(x),
        lambda: law.score(x),
        lambda: law.expect(x, (t,), t, (t,), t),
        lambda: law.log_seen(x, (t,), t),
        lambda: worlds.World(paths.vp(), law).velocity(x, t / 2),
    )
    whole = [call() for call in calls]
    monkeypatch.setattr("diffkit.laws.mixtures.ROOM", 4 * law.k)
    for call, want in zip(calls, whole, strict=True):
        torch.testing.assert_close(call(), want, rtol=1e-13, atol=1e-13)


@named(SMOOTH)
def test_no_part_holds_more_than_there_is_room_for(name, monkeypatch):
    law, x, t, held = SMOOTH[name], normal(40, D), 0.2 + uniform(40), []
    real = laws.Mixture._log_joint

    def watched(self, x, L, seen):
        alone = seen.k == 1 and not seen.batch
        held.append(len(x) * self.k * (1 if alone or seen.isotropic else D))
        return real(self, x, L, seen)

    monkeypatch.setattr("diffkit.laws.mixtures.ROOM", 5 * law.k * D)
    monkeypatch.setattr(laws.Mixture, "_log_joint", watched)
    for time in (0.3, t):
        law.log_seen(x, (time,), time)
        assert held and max(held) <= 5 * law.k * D
        assert len(held) < 20  # and no more parts than that needs
        held.clear()


def test_a_data_set_needs_no_array_of_points_and_data_and_pixels():
    # one time for each point: (n, K, d) would be 200 MB, what is held is below a third
    law, n = laws.dataset(normal(500, 50)), 1000
    x, t = normal(n, 50), 0.1 + 0.8 * uniform(n)
    world = worlds.World(paths.vp(), law)
    held = []
    real = torch.cdist

    def watched(u, v, **how):
        held.append(len(u) * len(v))
        return real(u, v, **how)

    torch.cdist = watched
    try:
        got = world.denoise(x, t)
    finally:
        torch.cdist = real
    assert held and max(held) <= 2**23
    one = torch.stack([world.denoise(x[i], t[i]) for i in range(0, n, 97)])
    torch.testing.assert_close(got[::97], one, **close)


def test_at_all_noise_each_point_of_a_data_set_forgets_the_data():
    law, x = laws.dataset(normal(5, D)), normal(4, D)
    path = paths.one_sided()
    t = torch.tensor([0.5, 1.0, 0.2, 1.0], dtype=torch.float64)
    got = worlds.World(path, law).denoise(x, t)
    torch.testing.assert_close(got[1], law.mean(), **close)
    torch.testing.assert_close(got[3], law.mean(), **close)
    got = worlds.World(path, law).log_prob(x, t)
    want = worlds.World(path, law).log_prob(x, 1.0)
    torch.testing.assert_close(got[1::2], want[1::2], **close)
    y = x.clone().requires_grad_()
    worlds.World(path, law).denoise(y, t).sum().backward()
    assert torch.isfinite(y.grad).all()


@named(LAWS)
def test_a_law_moves_between_types_and_back(name):
    law = LAWS[name]
    back = law.to(torch.float32).to(torch.float64)
    assert law.to(torch.float32).cov().dtype == torch.float32
    torch.testing.assert_close(back.cov(), law.cov(), rtol=1e-5, atol=1e-5)
    z = [u.sample(3, shapes.rng(0)) for u in (law.to(torch.float32), law)]
    assert z[0].dtype == torch.float32 and z[1].dtype == torch.float64


@cuda
@named(LAWS)
def test_both_storages_on_the_gpu_agree(name):
    law, x = LAWS[name].blur(0.2), normal(6, D)
    for kind in (law.covariance.factored(), law.covariance.spectral()):
        near = laws.Mixture(law.logw, law.means, kind)
        got = near.to("cuda").score(x.cuda())
        torch.testing.assert_close(got.cpu(), near.score(x), **close)


# ------------------------------------------------------------------ extremes


def test_four_thousand_dimensions():
    law = laws.mixture(normal(3, 4096), 0.5, W)
    world, x = worlds.World(paths.vp(), law), normal(2, 4096, seed=1)
    for what in ("score", "denoise", "velocity", "log_prob"):
        assert torch.isfinite(getattr(world, what)(x, 0.4)).all()
    # a mixture with coinciding means is one Gaussian, and that has a closed form
    one = laws.mixture(torch.zeros(2, 4096, dtype=torch.float64), 0.5)
    torch.testing.assert_close(one.score(x), -x / 0.5, **close)


@named(LAWS)
def test_hardly_any_and_very_much_noise_give_numbers(name):
    law = laws.Mixture(
        LAWS[name].logw, LAWS[name].means, LAWS[name].covariance.factored()
    )
    for v in (1e-12, 1e8):
        x = law.blur(v).sample(5, shapes.rng(0))
        for u in (law.blur(v).score(x), law.log_seen(x, (1.0,), v)):
            assert torch.isfinite(u).all()
        assert torch.isfinite(law.given(1.0, x, v).covs()).all()


# ------------------------------------------------------------------ refusals

V, T = ValueError, TypeError
F = SMOOTH["factored"].covariance
BATCH = SMOOTH["gaussian"].scale(torch.ones(4, dtype=torch.float64))
nan = float("nan")
WRONG = {
    "factor axis": (
        V,
        r"factor has shape \(3, 3\); it needs 3 axes",
        lambda: laws.Factored(eye, torch.ones(1)),
    ),
    "factor ints": (
        T,
        "factor is torch.int64",
        lambda: laws.Factored(torch.ones(1, 3, 3).long(), torch.ones(1)),
    ),
    "factor nan": (
        V,
        "factor holds NaN",
        lambda: laws.Factored(nan * F.factor, F.floor),
    ),
    "floor < 0": (V, "floor must be >= 0", lambda: laws.Factored(F.factor, -W)),
    "floor rows": (
        V,
        "do not belong together",
        lambda: laws.Factored(F.factor, W[:2]),
    ),
    "basis and spectrum": (
        V,
        "do not belong together",
        lambda: laws.Spectral(eye[None], torch.ones(1, 2), torch.ones(1)),
    ),
    "a basis for a batch": (
        V,
        r"batch shape \(4,\); one basis",
        lambda: BATCH.push(eye).spectral(),
    ),
    "blur by another size": (
        V,
        r"cov has shape \(2, 2\); it must be \(3, 3\)",
        lambda: SMOOTH["mixture"].blur(cov=wishart()[:2, :2]),
    ),
    "covariances of another law": (
        V,
        "3 covariances in 3 dimensions do not belong together",
        lambda: laws.Mixture(W[:2].log(), normal(2, D), F),
    ),
    "not orthonormal": (
        V,
        "columns of basis are not orthonormal",
        lambda: laws.Spectral(2 * eye[None], torch.ones(1, 3), torch.ones(1)),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
