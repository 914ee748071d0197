"""How gunicorn serves us: `gunicorn -c python:registry.web_server --bind ADDRESS registry.wsgi`.

How many workers is gunicorn's own setting, `WEB_CONCURRENCY` or `--workers`.
"""

import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

# Threads keep connections open between requests, so that a client who sends many does not connect for each.
worker_class = "gthread"
threads = 4

# Loaded once before the workers are made: a wrong setting stops the start instead of every worker again and again.
preload_app = True


def post_fork(_server: object, _worker: object) -> None:
    """Spare each worker three waits.

    What was loaded before the fork never becomes garbage, so no collection has to look at it. A call with a thousand
    entries makes tens of thousands of objects that go by themselves when it ends: looking through them again and again
    took a tenth of its time. And a thread that comes back from the database, as each does several times in a request,
    gets its turn after half a millisecond, not five.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    sys.setswitchinterval(0.0005)


# A folder in memory: on a slow disk the sign of life that a worker writes there could come too late.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 -- gunicorn makes its own file there

# What the processes count goes to a folder of this server's own: process numbers are unique here only. It is set before
# the application is loaded, which decides then how it counts.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="ecrf-metrics-", dir=worker_tmp_dir)

# Every request has a line of our own, which tells no address; gunicorn's other lines go where ours go.
accesslog = None
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": []},
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True, "qualname": "gunicorn.error"}},
}


def child_exit(_server: object, worker: Any) -> None:
    """Forget what only a living process measures; what it counted stays."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 -- it reads the folder when imported

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # it has no types


def on_exit(_server: object) -> None:
    """Remove the counts with the server."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


# A second way to steer the server that nobody here uses.
control_socket_disable = True
