"""What the checks of this book are worth: planted faults, each of them caught."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import faults

ROOT = Path(__file__).resolve().parents[1]
STAGES = sorted({fault.make for fault in faults.FAULTS.values()})


@pytest.fixture
def tree(tmp_path):
    """A copy of what git would commit."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    shown = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    for name in shown.stdout.decode().splitlines():
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("stage", STAGES, ids=" ".join)
def test_stage_passes_without_a_fault(tree, stage):
    ran = faults.make(tree, sys.prefix, *stage)
    assert ran.returncode == 0, ran.stdout[-3000:]


@pytest.mark.parametrize("name", faults.FAULTS)
def test_fault_is_caught(tree, name):
    fault = faults.FAULTS[name]
    fault.plant(tree)
    ran = faults.make(tree, sys.prefix, *fault.make)
    assert ran.returncode != 0, f"nobody saw {name}"
    assert fault.says in ran.stdout, ran.stdout[-3000:]
