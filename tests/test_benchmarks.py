"""The benchmarks run, at smoke size, and what they compare agrees."""

import importlib.util
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "benchmarks" / "worlds.py"


def test_worlds_agree_with_torch_in_the_benchmark():
    spec = importlib.util.spec_from_file_location("worlds_benchmark", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = module.table(points=5, repeat=1)
    apart = [number for _, what, number in rows if what == "relative difference"]
    assert len(apart) == 2
    # float64; torch sums 1,797 exponentials of distances of some hundreds
    assert max(apart) < 1e-10
