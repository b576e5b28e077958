"""The package: imported lazily, in one direction, with no surprises in its names."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from examples import refuses

import diffkit

HOME = Path(diffkit.__file__).parent
MODULES = {p.stem for p in HOME.iterdir() if not p.stem.startswith("__")}


def test_the_package_hands_out_its_modules():
    assert sorted(diffkit.__all__) == sorted(MODULES)
    assert set(dir(diffkit)) >= MODULES
    for name in MODULES:
        assert getattr(diffkit, name) is importlib.import_module(f"diffkit.{name}")
    refuses(AttributeError, "no module 'utils'; it has chains,", lambda: diffkit.utils)


SCRIPT = """
import sys, time
start = time.perf_counter()
import diffkit
lazy = time.perf_counter() - start
assert not {"torch", "sympy", "numpy", "matplotlib"} & set(sys.modules)
import torch
import sympy, jaxtyping
start = time.perf_counter()
for name in diffkit.__all__:
    getattr(diffkit, name)
print(lazy, time.perf_counter() - start)
late = {"matplotlib", "scipy", "sklearn", "IPython", "safetensors"} & set(sys.modules)
assert not late, late
"""


def test_importing_costs_little_more_than_torch():
    where = {**os.environ, "PYTHONPATH": str(HOME.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=where
    )
    assert not done.returncode, done.stderr
    lazy, modules = map(float, done.stdout.split())
    assert lazy < 0.2 and modules < 2  # seconds; about 0.01 and 0.3 on an idle core


@pytest.mark.parametrize("page", ["README.md", "book/index.md"])
def test_the_examples_of_the_front_pages_run(page, capsys):
    text = (HOME.parent / page).read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    found = {"network": lambda x, t: x}
    for code in blocks:
        exec(code, found)
    assert blocks
    assert found["x"].shape[-1] == found["world"].d
    # a network that returns its input has something left to learn
    assert found.get("excess", 1) > 0.1
    if "samples" in found:
        law, names = found["world"].joint, ("x0", "samples", "noise")
        real, drawn, noise = (law.log_prob(found[k]).mean() for k in names)
        # samples of a trained net are a nat or so less likely than draws of the law;
        # the noise that they were made of is less likely by dozens
        assert abs(real - drawn) < 2 and real - noise > 20
