"""What the demo says when it cannot start; that it can is shown by running it."""

import fcntl
import socket
from unittest.mock import MagicMock

import django
import pytest

from registry.demo import STEPS, Demo, DemoError


@pytest.fixture
def said():
    return []


@pytest.fixture
def demo(tmp_path, said):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return Demo(folder=tmp_path, port=port, say=said.append)


def test_a_second_demo_on_the_same_folder_is_refused(demo):
    with (demo.folder / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("process 42 at http://127.0.0.1:8000/\n")
        lock.flush()

        with pytest.raises(DemoError, match=r"already running on .*: process 42 at .* set VAR_DIR"):
            demo.run(servers="ours", once=True)


def test_a_port_in_use_is_named_with_what_to_do(demo, said, monkeypatch):
    monkeypatch.setattr("registry.demo.PORT_SECONDS", 0)
    with (
        socket.create_server(("127.0.0.1", demo.port)),
        pytest.raises(DemoError, match=f"^Port {demo.port} is used by another program.*PORT="),
    ):
        demo.run(servers="ours", once=True)

    assert said == [f"[1/{STEPS}] Servers: ours ..."]


@pytest.mark.slow
def test_a_command_that_fails_is_named_with_the_end_of_its_log(demo):
    with pytest.raises(DemoError, match=r"(?s)^manage.py no_such_command failed.*Unknown command"):
        demo._manage("no_such_command")


@pytest.mark.slow
def test_a_command_that_succeeds_is_quoted(demo):
    printed = demo._manage("version")

    assert printed == f"{django.__version__}\n"


@pytest.mark.parametrize(("once", "expected"), [(True, ()), (False, ("--other-data",))])
def test_only_a_demo_that_is_to_prove_the_figures_fails_when_they_differ(demo, monkeypatch, once, expected):
    """Whoever has changed the data of a demo and starts it again is served."""
    asked = {}
    monkeypatch.setattr(demo, "_manage", lambda command, *given: asked.update({command: given}) or "")
    for step in ("_start_children", "_export", "_finish", "_wait_for_port"):
        monkeypatch.setattr(demo, step, MagicMock())

    demo._steps("ours", once=once)

    assert asked["endpoint_table"] == expected
