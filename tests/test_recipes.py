"""recipes: what ships reaches what is claimed of it, and is what was made.

Untrained nets are the control: they must not reach it.
"""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from examples import named, refuses

from diffkit import laws, learning, metrics, recipes, shapes, solvers, tables
from diffkit.recipes import digests, moons
from diffkit.recipes import recipe as made

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import retrain

RECIPES = recipes.RECIPES


@named(RECIPES)
def test_what_ships_reaches_what_is_claimed(name):
    recipe = recipes.find(name)
    found = recipe.measure(recipes.load(name))
    # six standard errors of the measurement inside the claim
    assert (found.value + 6 * found.error < recipe.below).all()
    assert (recipe.measure(recipe.model()).value > recipe.below).all()


@named(RECIPES)
def test_weights_are_few_and_their_recipe_is_beside_them(name):
    recipe = recipes.find(name)
    assert recipe.file.stat().st_size < 1_000_000  # bytes
    assert learning.load(recipe.file, recipe.model()) == recipe.record()
    assert made.digest(recipe.file) == digests.DIGESTS[name]
    assert set(digests.DIGESTS) == set(RECIPES)


@named(RECIPES)
def test_a_run_begins_as_the_recipe_says(name):
    recipe = recipes.find(name)
    model = recipe.model()
    first = next(recipe.train(model, None))
    assert first.step == 100 and torch.isfinite(first.loss).all()
    # a hundred steps on it is on its way: below what it was without any
    assert (recipe.measure(model).value < recipe.measure(recipe.model()).value).all()


def test_a_net_that_ships_samples_its_law():
    # 20 steps of Heun in the trained field against fresh draws of the law: the
    # energy distance tells the two apart no better than noise does, up to the
    # excess risk; from an untrained net it is ten times as large
    world = moons.world()
    ts = tables.by_rho(world.path, 80.0, 0.02, 20)
    start = 80 * torch.randn(1000, 2, generator=shapes.rng(3), dtype=torch.float64)
    real = world.joint.sample(1000, shapes.rng(4))
    off = []
    for model in (recipes.load("moons"), moons.model()):
        drawn = solvers.solve(tables.heun(ts), model.as_target("velocity"), start)
        off.append(metrics.energy_distance(drawn, real).value.item())
    assert off[0] < off[1] / 10


# ------------------------------------------------------------------- retrain


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A recipe of a second, and a place for what it makes."""
    source = tmp_path / "digests.py"
    shutil.copy(retrain.DIGESTS, source)
    (tmp_path / "weights").mkdir()
    monkeypatch.setattr(made, "FOLDER", tmp_path / "weights")
    monkeypatch.setattr(retrain, "DIGESTS", source)
    monkeypatch.setattr(retrain, "ROOT", tmp_path)
    quick = {"net": {"width": 8, "depth": 1, "seeds": [0]}}
    quick["fit"] = {"steps": 200, "batch": 32, "lr": 0.01}
    monkeypatch.setattr(moons, "SETTINGS", quick)
    monkeypatch.setattr(moons, "POINTS", 1000)
    recipe = replace(recipes.find("moons"), settings=quick, below=2.0)
    monkeypatch.setitem(RECIPES, "moons", recipe)
    return recipe


def test_retraining_writes_what_loads(small, monkeypatch, capsys):
    assert retrain.main(["moons"]) == 0
    assert "moons.safetensors is written" in capsys.readouterr().out
    found = {}
    exec(retrain.DIGESTS.read_text(), found)
    assert found["DIGESTS"]["moons"] == made.digest(small.file)
    assert set(found["DIGESTS"]) == set(digests.DIGESTS) | {"moons"}
    assert not list(retrain.ROOT.rglob("*.run"))
    monkeypatch.setitem(digests.DIGESTS, "moons", made.digest(small.file))
    assert (small.measure(small.shipped()).value < 2.0).all()


def test_a_net_that_misses_does_not_ship(small, monkeypatch, capsys):
    monkeypatch.setitem(RECIPES, "moons", replace(small, below=1e-9))
    assert retrain.main(["moons"]) == 1
    assert "it is not" in capsys.readouterr().out
    assert not small.file.exists()


def test_a_run_that_was_stopped_goes_on(small, capsys):
    folder = retrain.ROOT / "_build" / "retrain"
    folder.mkdir(parents=True)
    assert next(small.train(small.model(), folder / "moons.run")).step == 100
    assert retrain.main(["moons"]) == 0
    straight = small.model()
    for _ in small.train(straight, None):
        pass
    again = small.model()
    learning.load(small.file, again)
    for u, v in zip(straight.parameters(), again.parameters(), strict=True):
        assert torch.equal(u, v)


def test_retrain_says_what_there_is(capsys):
    assert retrain.main([]) == 2 and retrain.main(["cats"]) == 2
    out = capsys.readouterr().out
    assert "one of moons, digits" in out and "no net ships as 'cats'" in out


# ------------------------------------------------------------------ refusals


def changed(tmp: Path) -> made.Recipe:
    """A recipe whose file is not the one it made."""
    return replace(recipes.find("moons"), name=str(tmp / "other"))


def test_another_file_is_refused(tmp_path):
    recipe = recipes.find("moons")
    other = changed(tmp_path)
    shutil.copy(recipe.file, other.file)
    refuses(ValueError, "is not the file that was shipped", other.shipped)


def test_unknown_nets_are_refused():
    says = "no net ships as 'cats'; recipes.RECIPES has the names"
    refuses(ValueError, says, lambda: recipes.load("cats"))
    assert laws.moons(16, 0.1).k == moons.world().joint.k
