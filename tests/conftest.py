"""Tests see this checkout's packages, on one thread, with shapes checked."""

import os
import sys
from pathlib import Path

for name in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{name}_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pytest  # noqa: E402
from jaxtyping import config, install_import_hook  # noqa: E402

# Before the first import of diffkit: its annotations are executed from here on.
# Not when reach is measured: a decorated function inside another looks like a jump.
if not os.environ.get("UNCHECKED"):
    install_import_hook("diffkit", "beartype.beartype")


@pytest.fixture
def unchecked():
    """As readers run it, no annotation executed: the package must refuse by itself."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
