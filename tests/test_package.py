"""The package: imported lazily, in one direction, with no surprises in its names."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

from examples import refuses

import diffkit

HOME = Path(diffkit.__file__).parent
# all that a module may import besides shapes: the table of the design
MAY = {
    "shapes": set(),
    "claims": set(),
    "figures": set(),
    "data": set(),
    "laws": set(),
    "paths": set(),
    "worlds": {"laws", "paths"},
    "tables": {"paths"},
    "fields": {"paths"},
    "metrics": {"laws"},
    "solvers": {"tables", "fields"},
    "chains": {"paths", "laws", "tables"},
}
LATE = {"matplotlib", "scipy", "sklearn", "IPython"}  # only inside functions


def imports(module: str) -> tuple[set[str], set[str]]:
    """The sisters a module imports anywhere, and the others at its top."""
    tree = ast.parse((HOME / f"{module}.py").read_text())
    sisters = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            sisters |= {node.module} if node.module else {a.name for a in node.names}
    top = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            top |= {a.name.split(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            top.add(node.module.split(".")[0])
    return sisters, top


def test_modules_import_in_one_direction():
    assert {p.stem for p in HOME.glob("*.py")} - {"__init__"} == set(MAY)
    for module, may in MAY.items():
        sisters, top = imports(module)
        assert sisters <= may | {"shapes"}, module
        assert "diffkit" not in top and not top & LATE, module


def test_the_package_hands_out_its_modules():
    assert sorted(diffkit.__all__) == sorted(MAY)
    assert set(MAY) <= set(dir(diffkit))
    for name in MAY:
        assert getattr(diffkit, name) is importlib.import_module(f"diffkit.{name}")
    refuses(AttributeError, "no module 'utils'; it has chains,", lambda: diffkit.utils)


def test_every_public_function_says_what_it_does():
    for name in MAY:
        module = getattr(diffkit, name)
        assert module.__doc__ and module.__doc__.strip().split("\n")[0][-1] in ".,:"
        for public, thing in vars(module).items():
            own = getattr(thing, "__module__", "") == module.__name__
            if own and callable(thing) and not public.startswith("_"):
                assert thing.__doc__, f"{name}.{public}"


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
late = {"matplotlib", "scipy", "sklearn", "IPython"} & set(sys.modules)
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
