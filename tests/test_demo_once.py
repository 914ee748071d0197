"""The demo as its user runs it: everything started for real, nineteen cases in, the published table out."""

import os
import socket
import subprocess
import sys

import pytest

from exports.endpoints.published import PUBLISHED
from registry.environment import PROJECT

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_demo_prints_every_published_figure_and_ends_well(tmp_path):
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "BROKER_URL")}
    env = kept | {"VAR_DIR": str(tmp_path / "var"), "PORT": str(free_port()), "MAKE_SECRETS": "true"}

    done = subprocess.run(
        [sys.executable, "manage.py", "demo", "--once"],
        cwd=PROJECT,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    printed = {tuple(line.split("  ")[0:1]) for line in done.stdout.splitlines()}
    assert {(line.label,) for line in PUBLISHED} - printed == set()
    assert "differs" not in done.stdout
    assert (tmp_path / "var" / "exports" / "demo.xlsx").stat().st_size > 0
