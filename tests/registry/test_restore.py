"""Backup, wipe, restore: all comes back, or nothing was touched (negative test 41; 42 as far as there are versions)."""

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import zipfile
from io import StringIO
from urllib.parse import quote

import pytest
from django.conf import settings as ours
from django.core.management import CommandError, call_command
from django.db import connection, connections
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from crf.forms import all_forms
from crf.models.attachment import Attachment, AttachmentContent
from exports import jobs
from exports.endpoints.store import recompute_all
from exports.job_files import file_of
from exports.models import CohortOutcome, Job, Kind, PatientOutcome, State
from registry import backup as backups
from registry import restore as restores
from registry.callers import create_token
from registry.environment import PROJECT
from registry.history import history_models
from registry.models import AccessEvent, HistoryChain, Membership, Person, Token
from registry.other_databases import scratch_database
from registry.postgres_tools import ToolError, owner_connection, owner_settings, program
from registry.restore import BackupError, opened, tables_with_data
from registry.rights import Role
from registry.settings import OWNER
from tests.conftest import SITES, Api, caller_now, make_person, see_everything
from tests.crf.examples import saved
from tests.crf.photographs import picture, stored
from tests.registry.houses import house

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True, databases=["default", OWNER])]

WORKBOOK = b"a workbook" * 1000


@pytest.fixture
def home(transactional_db, tmp_path, settings):
    """A database and a folder of its own; return the folder."""
    settings.VAR_DIR = tmp_path / "var"
    settings.VAR_DIR.mkdir()
    with house():
        yield settings.VAR_DIR


@pytest.fixture
def token(home, sites):
    """An installation with people, data, history, an endpoint table, an export and a photograph; return a token."""
    person = make_person(Role.DATA_MANAGER, username="manager")
    by = caller_now(person)
    for number in (1, 2, 3):
        saved("patient", by=by, record_id=f"MTP-00{number}", site="MTP")
    for form in ("dosing", "lesion_assessment", "adverse_event"):
        saved(form, by=by, record_id="MTP-001")
    stored(by=by, reason="photograph came late")
    see_everything()
    recompute_all()
    job = jobs.enqueue(Kind.EXPORT, parameters={}, by=by, sites=["MTP"], doorbell=False)
    file_of(job).write_bytes(WORKBOOK)
    return create_token(person)[0]


@pytest.fixture
def file(token, tmp_path):
    """A backup of it."""
    path = tmp_path / "backup.ecrf"
    backup(path)
    return path


def backup(path):
    out = StringIO()
    call_command("backup", str(path), stdout=out)
    return out.getvalue()


def restored(path, *options):
    out = StringIO()
    call_command("restore", str(path), *options, stdout=out)
    return out.getvalue()


def everything(home):
    """Return all that must come back: rows of every table that matters, and files."""
    models = [
        *all_forms(),
        *history_models(),
        Person,
        Membership,
        Token,
        HistoryChain,
        PatientOutcome,
        CohortOutcome,
        Job,
        Attachment,
        AttachmentContent,
    ]
    rows = {model.__name__: list(model.objects.order_by("pk").values()) for model in models}
    found = {
        path.relative_to(home).as_posix(): path.read_bytes() for path in (home / "exports").rglob("*") if path.is_file()
    }
    return rows | {"files": found}


def wipe(home):
    """Lose all data, as a new installation begins."""
    tables = [name for name in connection.introspection.table_names() if name != "django_migrations"]
    with owner_connection() as owner:
        owner.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(map(sql.Identifier, tables))))
    for path in (home / "exports").rglob("*"):
        if path.is_file():
            path.unlink()


# What comes back


def test_after_backup_wipe_and_restore_everything_is_equal_and_the_token_works(home, token, file):
    before = everything(home)
    wipe(home)
    assert everything(home) != before

    said = restored(file)

    assert everything(home) == before
    assert before["CohortOutcome"][0]["summary_json"] is not None
    compared = ("Patient", "DosingHistory", "Person", "Membership", "Token", "HistoryChain", "PatientOutcome", "files")
    compared += ("Attachment", "AttachmentHistory", "AttachmentContent")
    assert [name for name in compared if not before[name]] == []
    assert Api(token).get("/api/v1/patients/MTP-001/").status_code == 200
    assert said.splitlines()[1:3] == ["migrations: none came after the backup", history_line()]
    call_command("verify_history", stdout=StringIO())


def test_a_photograph_comes_back_with_the_database_and_so_do_those_before_it(home, token, tmp_path):
    stored(by=caller_now(Person.objects.get(username="manager")), version=2, content=picture("PNG"), reason="r")
    address = "/api/v1/patients/MTP-001/lesion_assessment/1/files/lesion_photo/"
    names = [one["name"] for one in Api(token).get(f"{address}stored/").json()["results"]]
    before = [Api(token).get(f"{address}stored/{name}/").content for name in names]
    backup(tmp_path / "photographs.ecrf")
    wipe(home)

    restored(tmp_path / "photographs.ecrf")

    assert len(before) == 2
    assert [Api(token).get(f"{address}stored/{name}/").content for name in names] == before


def history_line():
    links = sum(model.objects.count() for model in history_models())
    return f"history: {links} rows in {HistoryChain.objects.count()} chains, each whole"


def test_a_backup_and_its_restore_are_in_the_trail_of_each_site(home, token, file):
    made = AccessEvent.objects.values_list("kind", "site_id", "actor__username")
    assert set(made) == {("made_backup", site, "system") for site in SITES}

    restored(file, "--replace")

    # What was noted after the backup was made is not in it.
    assert set(made.all()) == {("restored_backup", site, "system") for site in SITES}


def test_row_level_security_holds_after_a_restore(home, token, file):
    restored(file, "--replace")

    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('ecrf.sites', '', false)")
        cursor.execute("SELECT count(*) FROM crf_patient")
        seen = cursor.fetchone()
    connection.close()
    assert seen == (0,)


def test_a_restored_database_can_be_backed_up_and_restored_again(home, token, file, tmp_path):
    before = everything(home)
    restored(file, "--replace")
    backup(tmp_path / "second.ecrf")

    restored(tmp_path / "second.ecrf", "--replace")

    assert everything(home) == before


def test_data_are_not_replaced_unless_that_is_said(home, token, file):
    before = everything(home)

    with pytest.raises(CommandError, match=r"Nothing was restored\. There are data in the database"):
        restored(file)

    assert everything(home) == before


def test_replacing_takes_what_came_after_the_backup_away(home, token, file):
    before = everything(home)
    saved("patient", by=caller_now(Person.objects.get(username="manager")), record_id="MTP-009", site="MTP")
    (home / "exports" / "later.xlsx").write_bytes(WORKBOOK)

    restored(file, "--replace")

    assert everything(home) == before


def test_a_new_installation_counts_as_empty(home, sites):
    with owner_connection() as owner:
        assert tables_with_data(owner) == []


def test_a_backup_of_an_earlier_version_is_brought_up_to_date(home, token, tmp_path):
    with owner_connection() as owner:  # the version before it had sessions
        owner.execute("DROP TABLE django_session; DELETE FROM django_migrations WHERE app = 'sessions'")
    before = everything(home)
    backup(tmp_path / "old.ecrf")
    call_command("migrate", verbosity=0)
    wipe(home)

    said = restored(tmp_path / "old.ecrf")

    assert everything(home) == before
    assert "migrations: 1 that came after the backup were run" in said
    assert "django_session" in connection.introspection.table_names()


def test_a_backup_of_a_newer_version_is_refused(home, token, file, monkeypatch):
    known = restores.known_migrations() - {"sessions.0001_initial"}
    monkeypatch.setattr(restores, "known_migrations", lambda: known)

    with pytest.raises(CommandError, match="made by a newer version"):
        restored(file, "--replace")


# What is in the file


def test_the_file_is_for_its_owner_alone_and_no_draft_is_left(file):
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir() if path.is_file()] == [file.name]


def test_no_key_is_in_the_backup_and_the_manifest_tells_one_from_another(file):
    with zipfile.ZipFile(file) as archive:
        held = b"".join(archive.read(name) for name in archive.namelist())
        manifest = json.loads(archive.read("manifest.json"))

    for key in (ours.SECRET_KEY, ours.PSEUDONYM_KEY):
        assert key.encode() not in held
    assert sorted(manifest["keys"]) == ["PSEUDONYM_KEY", "SECRET_KEY"]
    assert len(set(manifest["keys"].values())) == 2


def test_the_manifest_says_what_is_there(home, file):
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("manifest.json"))

    assert manifest["contents"]["rows"]["crf_patient"] == 3
    assert manifest["contents"]["chains"] == HistoryChain.objects.count()
    assert list(manifest["contents"]["figures"]) == ["endpoint table"]
    (workbook,) = [found for name, found in manifest["members"].items() if name.endswith(".xlsx")]
    assert workbook == {"sha256": hashlib.sha256(WORKBOOK).hexdigest(), "size": len(WORKBOOK)}


def test_a_file_that_somebody_is_writing_is_not_in_the_backup(home, token, tmp_path):
    (home / "exports" / "half.part").write_bytes(b"half")

    backup(tmp_path / "backup.ecrf")

    with zipfile.ZipFile(tmp_path / "backup.ecrf") as archive:
        assert [name for name in archive.namelist() if "half" in name] == []


@pytest.mark.parametrize("key", ["SECRET_KEY", "PSEUDONYM_KEY"])
def test_a_restore_says_that_another_key_is_set(home, token, file, settings, key):
    errors = StringIO()
    setattr(settings, key, "another-key-of-another-installation-0")

    call_command("restore", str(file), "--replace", stdout=StringIO(), stderr=errors)

    assert errors.getvalue() == f"{key} is not the one of the installation that was backed up.\n"


# What is refused


def rewritten(file, change):
    """Write the backup anew with `change(name, content)` in the place of each member; None leaves one out."""
    with zipfile.ZipFile(file) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members:
            changed = change(name, content)
            if changed is not None:
                archive.writestr(name, changed)


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_truncated_backup_is_refused(home, token, file, share):
    before = everything(home)
    os.truncate(file, int(file.stat().st_size * share))

    with pytest.raises(CommandError, match="is not a whole backup"):
        restored(file, "--replace")

    assert everything(home) == before


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5])
def test_a_backup_with_one_bit_changed_is_refused(home, token, file, place):
    before = everything(home)
    with file.open("r+b") as stream:
        stream.seek(int(file.stat().st_size * place))
        (byte,) = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 1]))

    with pytest.raises(CommandError, match="Nothing was restored"):
        restored(file, "--replace")

    assert everything(home) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda name, content: flipped(content) if name == "database.dump" else content, "not as it was written"),
        (lambda name, content: None if name.endswith(".xlsx") else content, "other files than its manifest says"),
        (lambda name, content: None if name == "manifest.json" else content, "is not a whole backup"),
        (
            lambda name, content: content.replace(b'"crf_patient": 3', b'"crf_patient": 2'),
            "changed after it was sealed",
        ),
    ],
)
def test_a_backup_with_a_changed_member_is_refused(home, token, file, change, words):
    rewritten(file, change)

    with pytest.raises(CommandError, match=words):
        restored(file, "--replace")


@pytest.mark.parametrize(
    "name", ["files/../../evil", "files/elsewhere/x", "files/exports/../../x", "/etc/x", "files/x"]
)
def test_a_file_that_would_leave_our_folders_is_refused(home, token, file, name):
    def renamed(member, content):
        if member != "manifest.json":
            return content
        manifest = json.loads(content)
        manifest["members"][name] = {"sha256": hashlib.sha256(b"x").hexdigest(), "size": 1}
        # Whoever has the key could seal it: the path is refused all the same.
        told = backups.msgspec.json.decode(json.dumps(manifest), type=backups.Manifest)
        return backups.msgspec.json.encode(told.sealed())

    rewritten(file, renamed)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(name, b"x")

    with pytest.raises(CommandError, match="belongs to no folder of ours"):
        restored(file, "--replace")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a backup at all" * 100])
def test_what_is_no_backup_is_refused(home, tmp_path, content):
    (tmp_path / "other").write_bytes(content)

    with pytest.raises(CommandError, match="is not a whole backup"):
        restored(tmp_path / "other")


def test_a_file_that_is_not_there_is_said(home, tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        restored(tmp_path / "nothing")


# Broken off on the way


def test_a_backup_that_breaks_off_leaves_the_one_before_and_no_draft(home, file, monkeypatch):
    before = file.read_bytes()

    def breaks(*_arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr(backups, "_add", breaks)

    with pytest.raises(CommandError, match=r"No backup was made\. No space left"):
        backup(file)

    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir() if path.is_file()] == [file.name]


def test_the_draft_of_a_killed_backup_is_removed_by_the_next(home, file):
    draft = file.with_name(f".{file.name}.{'0' * 32}.part")
    draft.write_bytes(b"half")

    backup(file)

    assert not draft.exists()


def test_a_restore_that_breaks_off_before_its_end_changes_nothing(home, token, file, monkeypatch):
    saved("patient", by=caller_now(Person.objects.get(username="manager")), record_id="MTP-009", site="MTP")
    before = everything(home)

    def breaks(_extracted):
        raise OSError("No space left on device")

    monkeypatch.setattr(restores, "_put_in_place", breaks)

    with pytest.raises(CommandError, match="Nothing was restored"):
        restored(file, "--replace")

    assert everything(home) == before
    assert [path.name for path in home.iterdir() if path.name.startswith("restore-")] == []


def test_a_restore_that_is_killed_in_the_middle_changes_nothing(home, token, file):
    saved("patient", by=caller_now(Person.objects.get(username="manager")), record_id="MTP-009", site="MTP")
    before = everything(home)
    with owner_connection() as reader:
        reader.execute("LOCK TABLE crf_adverseevent IN ACCESS SHARE MODE")
        process = subprocess.Popen(
            [sys.executable, "manage.py", "restore", str(file), "--replace"],
            cwd=PROJECT,
            env=environment(home),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: sessions("wait_event_type = 'Lock' AND query LIKE '%DROP SCHEMA%'"))
        process.send_signal(signal.SIGKILL)
        process.wait()
    until(lambda: not sessions("application_name = 'psql'"))

    assert everything(home) == before


def environment(home):
    addresses = {
        variable: f"postgresql://{quote(given['USER'])}:{quote(given['PASSWORD'])}@{given['HOST']}:{given['PORT']}/{given['NAME']}"
        for variable, given in (
            ("DATABASE_URL", connections["default"].settings_dict),
            ("DATABASE_OWNER_URL", owner_settings()),
        )
    }
    keys = {name: getattr(ours, name) for name in ("SECRET_KEY", "PSEUDONYM_KEY")}
    return os.environ | addresses | keys | {"BROKER_URL": ours.BROKER_URL, "VAR_DIR": str(home)}


def sessions(which):
    with owner_connection() as owner:
        query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {which}"  # noqa: S608 -- a constant
        return owner.execute(query).fetchone()[0]


def until(happened, seconds=60):
    pause = threading.Event()
    for _attempt in range(seconds * 20):
        if happened():
            return
        pause.wait(0.05)
    raise AssertionError("it did not happen in time")


# Rehearsal


def rehearsed(path):
    out = StringIO()
    call_command("rehearse_restore", str(path), stdout=out)
    return out.getvalue().splitlines()


def databases():
    """Return the databases that are this test's, which are named after it."""
    with owner_connection() as owner:
        query = "SELECT datname FROM pg_database WHERE starts_with(datname, current_database())"
        return {name for (name,) in owner.execute(query)}


def test_a_rehearsal_compares_all_and_leaves_everything_as_it_was(home, token, file):
    before, there = everything(home), databases()

    said = rehearsed(file)

    assert [line.partition(":")[0] for line in said[:-1]] == [
        "rows",
        "migrations",
        "history",
        "endpoint table",
        "files",
    ]
    assert said[-1].endswith("can be restored.")
    assert everything(home) == before
    assert databases() == there


def test_a_rehearsal_fails_when_the_endpoint_table_comes_out_differently(home, token, file, monkeypatch):
    def changed():
        recompute_all()
        CohortOutcome.objects.update(summary_json="{}")

    monkeypatch.setattr("exports.backed_up.compute", changed)
    there = databases()

    with pytest.raises(CommandError, match="The endpoint table computed from the restored data is not the one"):
        rehearsed(file)

    assert databases() == there


def test_a_restored_history_that_is_not_whole_is_found(home, token, tmp_path):
    with owner_connection() as owner:
        owner.execute("ALTER TABLE crf_dosinghistory DISABLE TRIGGER USER")
        owner.execute("UPDATE crf_dosinghistory SET dose_mg = 3")
        owner.execute("ALTER TABLE crf_dosinghistory ENABLE TRIGGER USER")
    backup(tmp_path / "edited.ecrf")

    with pytest.raises(CommandError, match="The history is not whole: MTP-001"):
        rehearsed(tmp_path / "edited.ecrf")


def test_a_dump_with_other_rows_than_were_counted_is_found(home, token, file, monkeypatch):
    counted = backups.contents_of

    def one_less(owner):
        found = counted(owner)
        return backups.msgspec.structs.replace(found, rows=found.rows | {"crf_patient": 2})

    monkeypatch.setattr(restores, "contents_of", one_less)

    with pytest.raises(CommandError, match="The table crf_patient has 2 rows; at the backup there were 3"):
        rehearsed(file)


def test_an_owner_who_may_make_no_database_is_told_what_to_ask_for(home, monkeypatch):
    opened_connection = owner_connection()
    monkeypatch.setattr("registry.other_databases.owner_connection", lambda: _Refusing(opened_connection))

    with pytest.raises(ToolError, match="CREATEDB"), scratch_database():
        pass
    opened_connection.close()


class _Refusing:
    """A connection that may not make databases."""

    def __init__(self, real):
        self.real = real

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def __setattr__(self, name, value):
        object.__setattr__(self if name == "real" else self.real, name, value)

    def execute(self, query):
        if "CREATE DATABASE" in str(query):
            raise InsufficientPrivilege
        return self.real.execute(query)


def test_two_rehearsals_at_once_do_not_meet(home):
    with scratch_database(), pytest.raises(ToolError, match="Somebody else rehearses"), scratch_database():
        pass


# PostgreSQL's programs


def test_where_no_program_is_found_it_is_said_in_words(home, tmp_path, monkeypatch):
    monkeypatch.setattr("registry.postgres_tools._candidates", lambda _name: iter(()))

    with pytest.raises(
        CommandError, match=r"pg_dump of PostgreSQL \d+ or later is needed, and there is none\. Install"
    ):
        backup(tmp_path / "backup.ecrf")

    assert list(tmp_path.glob("*.ecrf")) == []


def test_a_program_older_than_the_server_is_passed_over(monkeypatch, tmp_path):
    for version in (15, 18):
        (tmp_path / str(version)).mkdir()
        script = tmp_path / str(version) / "pg_dump"
        script.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {version}.3'\n")
        script.chmod(0o700)
    paths = [tmp_path / "15" / "pg_dump", tmp_path / "18" / "pg_dump"]
    monkeypatch.setattr("registry.postgres_tools._candidates", lambda _name: iter(paths))

    assert [program("pg_dump", major=major) for major in (15, 16, 18)] == [paths[0], paths[1], paths[1]]
    with pytest.raises(ToolError, match=r"15/pg_dump is of version 15, .*18/pg_dump is of version 18"):
        program("pg_dump", major=19)


def test_without_the_owners_address_nothing_is_backed_up(tmp_path, monkeypatch):
    monkeypatch.delitem(ours.DATABASES, OWNER)

    with pytest.raises(CommandError, match="DATABASE_OWNER_URL is `none`"):
        backup(tmp_path / "backup.ecrf")


def test_a_checked_backup_knows_its_files(home, file):
    with opened(file) as found:
        assert sorted(path.split("/")[0] for path in found.files) == ["exports"]


def test_an_open_backup_is_an_error_of_ours_when_it_is_not_whole(tmp_path):
    (tmp_path / "other").write_bytes(b"")

    with pytest.raises(BackupError), opened(tmp_path / "other"):
        pass


def test_a_job_that_was_waiting_waits_again(home, token, file):
    wipe(home)

    restored(file)

    assert Job.objects.get().state == State.WAITING
