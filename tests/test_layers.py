"""The layers of the code: exports may know crf, crf may know registry, never back."""

import subprocess
import sys
from pathlib import Path

import pytest

from registry.environment import PROJECT


@pytest.mark.slow
def test_no_layer_imports_from_one_above_it():
    program = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run([program, "--no-cache"], cwd=PROJECT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout
