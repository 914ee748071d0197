"""The installation's own checks, on the live system: what an installer runs, reads and signs.

Each app may have a module of this name with `CHECKS`. A check does what its `test` says and returns what it saw;
it raises NotMet, saying what to do, if the requirement is not met. Nothing is left behind but heartbeats and the one
export that is asked for.
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

import pgtrigger
from celery import current_app
from django.apps import apps
from django.conf import settings
from django.core import checks
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from django.utils.module_loading import module_has_submodule
from kombu.exceptions import OperationalError

from registry import vital_signs
from registry.acting import Door, acting_as_the_system
from registry.backup import make_backup
from registry.history import history_models
from registry.history_chain import broken_chains
from registry.models import Heart, Heartbeat, HistoryChain
from registry.patience import within
from registry.restore import opened, rehearse
from registry.row_security import POLICY, tables
from registry.vital_signs import Sign, Status

WORKER_SECONDS: Final = 30
PRIVILEGES: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")


class NotMet(Exception):
    """The requirement is not met; the message says what was seen and what to do."""


@dataclass(frozen=True, slots=True)
class Check:
    """A requirement, how it is tested, and the function that does so and returns what it saw."""

    requirement: str
    test: str
    run: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the sheet."""

    requirement: str
    test: str
    seen: str
    met: bool


def results(*, rehearsal: bool) -> Iterator[Result]:
    """Run the checks of all apps and yield what each gave; with `rehearsal` a backup is made and restored too."""
    for check in [*_checks(), *([REHEARSAL] if rehearsal else [])]:
        yield _result_of(check)


def _result_of(check: Check) -> Result:
    try:
        seen, met = check.run(), True
    except NotMet as error:
        seen, met = str(error), False
    except Exception as error:  # whatever a check meets, the sheet has its line, and the others theirs
        connection.close()
        seen, met = f"It could not be tested: {type(error).__name__}", False
    return Result(check.requirement, check.test, seen, met)


def _checks() -> Iterator[Check]:
    for app in apps.get_app_configs():
        if module_has_submodule(app.module, "installation_checks"):
            yield from import_module(f"{app.name}.installation_checks").CHECKS


def settings_are_safe() -> str:
    """Run Django's own checks."""
    found = [
        message
        for message in checks.run_checks(include_deployment_checks=True)
        if not message.is_silenced() and (message.level >= checks.ERROR or (message.id or "").startswith("security"))
    ]
    if found:
        raise NotMet(f"manage.py check --deploy reports {', '.join(sorted(str(message.id) for message in found))}")
    return "nothing is reported"


def is_reached_by_https() -> str:
    """Look at the settings of cookies and redirects."""
    if settings.DEBUG:
        raise NotMet("DEBUG is on: set it to false")
    if not (settings.SECURE_SSL_REDIRECT and settings.SESSION_COOKIE_SECURE and settings.SECURE_HSTS_SECONDS):
        raise NotMet("HTTPS is false: put a proxy in front that ends TLS, and set it to true")
    return "redirects to https, secure cookies, HSTS; DEBUG is off"


def role_is_bound() -> str:
    """Try what the application's role sees outside of any request."""
    _of_a_sign(vital_signs.role())
    guarded = [table for table, access in tables() if access.condition is not None and "SELECT" in access.grants]
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        (role,) = cursor.fetchone()
        for table in guarded:
            name = connection.ops.quote_name(table)
            cursor.execute(f"SELECT EXISTS (SELECT FROM {name} t WHERE to_jsonb(t)->>'site_id' IS NOT NULL)")  # noqa: S608 -- names of tables
            if cursor.fetchone()[0]:
                raise NotMet(f"the role {role} sees rows of {table} without acting for anybody")
    return f"the role {role} owns no table, passes no policy by, and sees no row of {len(guarded)} tables"


def rows_are_guarded() -> str:
    """Compare policies and grants with what the tables declare."""
    declared = list(tables())
    with connection.cursor() as cursor:
        for table, access in declared:
            cursor.execute(
                "SELECT relrowsecurity AND EXISTS (SELECT FROM pg_policy WHERE polrelid = t.oid AND polname = %s)"
                " FROM pg_class t WHERE t.oid = to_regclass(%s)",
                [POLICY, connection.ops.quote_name(table)],
            )
            if cursor.fetchone() != (access.condition is not None,):
                raise NotMet(f"row-level security of {table} is not what it declares: run manage.py migrate")
            cursor.execute(
                "SELECT array_agg(p) FROM unnest(%s::text[]) p WHERE has_table_privilege(%s, p)",
                [list(PRIVILEGES), connection.ops.quote_name(table)],
            )
            if set(cursor.fetchone()[0] or ()) != set(access.grants.split(", ")):
                raise NotMet(f"the rights on {table} are not what it declares: run manage.py migrate")
    return f"{len(declared)} tables, {sum(access.condition is not None for _table, access in declared)} with policies"


def triggers_are_on() -> str:
    """Look for every declared trigger in the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgenabled IN ('O', 'A')")
        there = {(table.strip('"'), name) for table, name in cursor.fetchall()}
    declared = {(model._meta.db_table, trigger.get_pgid(model)) for model, trigger in pgtrigger.registered()}
    missing = sorted(declared - there)
    if missing:
        raise NotMet(f"{len(missing)} are missing or off, the first on {missing[0][0]}: run manage.py migrate")
    return f"{len(declared)} triggers on {len({table for table, _name in declared})} tables are there and on"


def history_is_append_only() -> str:
    """Try to change the history as the application's role; whatever happens is undone."""
    attempts = 0
    with acting_as_the_system(door=Door.COMMAND):
        for model in history_models():
            table = connection.ops.quote_name(model._meta.db_table)
            for statement in (
                f"UPDATE {table} SET pgh_label = pgh_label",  # noqa: S608 -- names of tables
                f"DELETE FROM {table}",  # noqa: S608 -- names of tables
                f"TRUNCATE {table}",
                f"INSERT INTO {table} SELECT * FROM {table} LIMIT 1",  # noqa: S608 -- names of tables
            ):
                if not _is_refused(statement):
                    raise NotMet(f"{model._meta.db_table} lets {statement.split()[0]} through: run manage.py migrate")
                attempts += 1
        transaction.set_rollback(True)
    return f"{attempts} attempts at {len(history_models())} tables were refused"


def history_is_whole() -> str:
    """Verify every chain."""
    with acting_as_the_system(door=Door.COMMAND):
        broken = list(broken_chains())
        chains = HistoryChain.objects.count()
    if broken:
        raise NotMet(f"{len(broken)} of {chains} chains are broken: run manage.py verify_history")
    return f"{chains} chains are whole"


def migrations_are_applied() -> str:
    """Compare the database with this software."""
    missing = vital_signs.missing_migrations()
    if missing:
        raise NotMet(f"{', '.join(missing)} missing: run manage.py migrate")
    return f"all {len(vital_signs.known_migrations())} are applied"


def message_reaches_a_worker() -> str:
    """Send a worker a message through the broker, and wait for what it does."""
    worker = Heartbeat.objects.filter(kind=Heart.WORKER).values_list("at", flat=True)
    before, began = worker.first(), time.monotonic()
    try:
        current_app.send_task("registry.show_life", expires=WORKER_SECONDS, retry=False)
    except (OperationalError, OSError):
        raise NotMet("the broker does not take a message: see BROKER_URL") from None
    if not within(WORKER_SECONDS, lambda: worker.first() != before):
        raise NotMet(f"no worker answered within {WORKER_SECONDS} s: start one")
    return f"answered in {time.monotonic() - began:.1f} s"


def restore_is_rehearsed() -> str:
    """Make a backup and restore it into a scratch database."""
    said: list[str] = []
    settings.VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rehearsal-", dir=settings.VAR_DIR) as folder:
        file = Path(folder) / "backup"
        make_backup(file, now=timezone.now())
        with opened(file) as backup:
            rehearse(backup, say=said.append)
    return "; ".join(said)


def _of_a_sign(sign: Sign) -> str:
    if sign.status != Status.OK:
        raise NotMet(sign.detail or "it is not well")
    if sign.free_percent is not None:
        return f"{sign.free_percent} % free"
    return "well" if sign.seconds is None else f"well, {sign.seconds} s"


def _is_refused(statement: str) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    except DatabaseError:
        return True
    return False


def of_a_sign(look: Callable[[], Sign]) -> Callable[[], str]:
    """Return the test that a sign of the health page is well."""
    return lambda: _of_a_sign(look())


def as_text(rows: Iterable[Result], *, head: Iterable[str]) -> str:
    """Return the sheet as text, with lines to sign."""
    lines = [*head, ""]
    for row in rows:
        lines += [
            f"[{'met' if row.met else 'NOT MET'}] {row.requirement}",
            f"    test:   {row.test}",
            f"    result: {row.seen}",
            "",
        ]
    return "\n".join([*lines, *(f"{what + ':':<10} {'_' * 40}" for what in ("Name", "Date", "Signature"))])


CHECKS: Final = (
    Check("The settings are safe", "Django's deployment checks", settings_are_safe),
    Check("People reach the site by https alone", "the settings of cookies and redirects", is_reached_by_https),
    Check(
        "The database has the tables of this version", "its migrations against the software's", migrations_are_applied
    ),
    Check(
        "A site's rows are seen by nobody else",
        "what the application's role sees while acting for nobody",
        role_is_bound,
    ),
    Check("Every table is guarded as it declares", "policies and rights in the database", rows_are_guarded),
    Check("Every change leaves a trace", "the triggers of every table that is tracked", triggers_are_on),
    Check(
        "The history cannot be changed",
        "UPDATE, DELETE, TRUNCATE and INSERT on each history table, undone",
        history_is_append_only,
    ),
    Check("The history was not changed", "the digests of every chain", history_is_whole),
    Check("Moments are right", "this machine's clock against the database's", of_a_sign(vital_signs.clock)),
    Check("There is room for data", "the disk under VAR_DIR", of_a_sign(vital_signs.disk)),
    Check("The scheduler runs", "its heartbeat", of_a_sign(vital_signs.scheduler)),
    Check("Workers do what they are asked", "a message through the broker and back", message_reaches_a_worker),
)
REHEARSAL: Final = Check(
    "What is backed up can be restored", "a backup, restored into a scratch database and compared", restore_is_rehearsed
)
