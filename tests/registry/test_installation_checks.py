"""The installation's own checks: each finds what it is there for, and the sheet says so."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from exports import installation_checks as of_exports
from exports import jobs
from exports.job_files import file_of
from exports.models import Job, State
from exports.tasks import run_job
from registry import installation_checks as validation
from registry.heartbeats import beat
from registry.installation_checks import CHECKS, Check, NotMet
from registry.models import Heart
from registry.settings import OWNER
from tests.conftest import as_owner, seeing
from tests.crf.examples import saved
from tests.registry.houses import house

pytestmark = [pytest.mark.slow]


@pytest.fixture
def home(transactional_db, tmp_path, settings):
    """A database of its own, to break."""
    settings.VAR_DIR = tmp_path
    with house():
        yield tmp_path


BREAKS = {
    "rows_are_guarded": [
        "ALTER TABLE crf_dosing DISABLE ROW LEVEL SECURITY",
        "DROP POLICY ecrf_rows ON crf_dosing",
        "GRANT DELETE ON crf_dosing TO {role}",
        "GRANT TRUNCATE ON crf_dosinghistory TO {role}",
        "REVOKE UPDATE ON crf_dosing FROM {role}",
    ],
    "role_is_bound": ["ALTER TABLE crf_patient DISABLE ROW LEVEL SECURITY"],
    "triggers_are_on": [
        "ALTER TABLE crf_dosing DISABLE TRIGGER USER",
        "DO $$ BEGIN EXECUTE 'DROP TRIGGER ' || (SELECT quote_ident(tgname) FROM pg_trigger"
        " WHERE tgrelid = 'registry_person'::regclass AND NOT tgisinternal LIMIT 1) || ' ON registry_person'; END $$",
    ],
    "history_is_append_only": ["GRANT INSERT ON crf_dosinghistory TO {role}"],
    "history_is_whole": ["UPDATE registry_historychain SET length = length + 1 WHERE chain = 'MTP-001'"],
    "migrations_are_applied": ["DELETE FROM django_migrations WHERE app = 'sessions'"],
}


@pytest.mark.django_db(transaction=True, databases=["default", OWNER])
@pytest.mark.parametrize(("check", "statement"), [(check, one) for check, all_ in BREAKS.items() for one in all_])
def test_a_check_passes_until_what_it_looks_for_is_broken(home, coordinator, check, statement):
    saved("patient", by=coordinator, record_id="MTP-001")
    run = getattr(validation, check)
    with seeing(""):
        before = run()

    with as_owner() as owner:
        owner.execute(statement.format(role=connection.settings_dict["USER"]))

    with seeing(""), pytest.raises(NotMet):
        run()
    assert before


@pytest.mark.django_db(transaction=True, databases=["default", OWNER])
def test_trying_to_change_the_history_leaves_no_trace(home, coordinator, count):
    saved("patient", by=coordinator, record_id="MTP-001")
    before = count("crf_patienthistory")

    seen = validation.history_is_append_only()

    assert seen.endswith("were refused")
    assert count("crf_patienthistory") == before == 1


@pytest.mark.parametrize(
    ("changed", "met"),
    [
        ({}, True),
        ({"DEBUG": True}, False),
        ({"SECURE_SSL_REDIRECT": False}, False),
        ({"SECURE_HSTS_SECONDS": 0}, False),
    ],
)
def test_https_is_looked_for_in_the_settings(settings, changed, met):
    safe = {"SECURE_SSL_REDIRECT": True, "SESSION_COOKIE_SECURE": True, "SECURE_HSTS_SECONDS": 1, "DEBUG": False}
    for name, value in (safe | changed).items():
        setattr(settings, name, value)

    if met:
        assert validation.is_reached_by_https()
    else:
        with pytest.raises(NotMet):
            validation.is_reached_by_https()


def test_a_message_that_a_worker_answers_is_seen(db, monkeypatch):
    monkeypatch.setattr(validation.current_app, "send_task", lambda _name, **_: beat(Heart.WORKER))

    assert validation.message_reaches_a_worker().startswith("answered in 0.")


def test_a_message_that_no_worker_answers_is_seen_although_one_lived_before(db, monkeypatch):
    beat(Heart.WORKER)
    monkeypatch.setattr(validation.current_app, "send_task", lambda _name, **_: None)
    monkeypatch.setattr(validation, "WORKER_SECONDS", 0.2)

    with pytest.raises(NotMet, match="no worker answered"):
        validation.message_reaches_a_worker()


def test_a_broker_that_is_not_there_is_seen(db, monkeypatch):
    def refuse(_name, **_options):
        raise ConnectionRefusedError

    monkeypatch.setattr(validation.current_app, "send_task", refuse)

    with pytest.raises(NotMet, match="BROKER_URL"):
        validation.message_reaches_a_worker()


@pytest.fixture
def worker(transactional_db, sites, settings, tmp_path, monkeypatch):
    """Does a job as soon as it is rung for."""
    settings.VAR_DIR = tmp_path
    monkeypatch.setattr(jobs.app, "send_task", lambda _name, kwargs, **_: run_job(**kwargs))


def test_an_export_is_asked_for_and_compared_with_its_digest(worker):
    seen = of_exports.export_is_written()

    job = Job.objects.get()
    assert job.state == State.DONE
    assert f"{job.size} bytes" in seen
    assert job.sha256.startswith(seen.partition("SHA-256 ")[2].rstrip("."))


def test_an_export_whose_file_was_changed_is_seen(worker, monkeypatch):
    finish = jobs._finish

    def changed(work):
        finish(work)
        file_of(work.job).write_bytes(b"other")

    monkeypatch.setattr(jobs, "_finish", changed)

    with pytest.raises(NotMet, match="is not the one that the worker wrote"):
        of_exports.export_is_written()


def test_an_export_that_nobody_does_is_cancelled(transactional_db, sites, monkeypatch):
    monkeypatch.setattr(jobs.app, "send_task", lambda _name, **_: None)
    monkeypatch.setattr(of_exports, "JOB_SECONDS", 0.2)

    with pytest.raises(NotMet, match="was not done within"):
        of_exports.export_is_written()

    assert Job.objects.get().state == State.CANCELLED


@pytest.mark.django_db(transaction=True, databases=["default", OWNER])
def test_the_rehearsal_says_what_was_compared(home, coordinator):
    saved("patient", by=coordinator, record_id="MTP-001")

    assert validation.restore_is_rehearsed().startswith("rows: ")
    assert list(home.iterdir()) == []


# The sheet


def sheet(monkeypatch, *checks, **options):
    monkeypatch.setattr(validation, "_checks", lambda: iter(checks))
    out = StringIO()
    try:
        call_command("validate", stdout=out, **options)
    except CommandError as error:
        return out.getvalue(), str(error)
    return out.getvalue(), None


def not_met():
    raise NotMet("nothing holds <it>")


def broken():
    raise RuntimeError("born 1970-05-01")


MET = Check("It stands", "a look at it", lambda: "it was seen standing")


def test_the_sheet_says_requirement_test_and_result_and_is_to_be_signed(db, monkeypatch, settings):
    settings.INSTALLATION_NAME = "Department of Dermatology"

    text, error = sheet(monkeypatch, MET)

    assert error is None
    assert "Installation: Department of Dermatology on " in text
    assert "Result:       1 of 1 requirements are met" in text
    assert "[met] It stands\n    test:   a look at it\n    result: it was seen standing\n" in text
    assert [line.partition(":")[0] for line in text.splitlines()[-3:]] == ["Name", "Date", "Signature"]


def test_one_requirement_that_is_not_met_is_an_error_and_the_others_are_tested_all_the_same(db, monkeypatch):
    text, error = sheet(monkeypatch, Check("It holds", "a pull", not_met), MET)

    assert error == "1 of 2 requirements are not met."
    assert "[NOT MET] It holds" in text
    assert "[met] It stands" in text


def test_a_check_that_breaks_is_not_met_and_tells_no_data(transactional_db, monkeypatch):
    text, error = sheet(monkeypatch, Check("It works", "a try", broken))

    assert error == "1 of 1 requirements are not met."
    assert "result: It could not be tested: RuntimeError" in text
    assert "1970" not in text


def test_the_page_to_print_says_the_same_and_escapes_it(db, monkeypatch, tmp_path):
    sheet(monkeypatch, MET, Check("It holds", "a pull", not_met), html=tmp_path / "sheet.html")

    page = (tmp_path / "sheet.html").read_text()
    assert "it was seen standing" in page
    assert "nothing holds &lt;it&gt;" in page
    assert "NOT MET" in page


def test_without_a_rehearsal_the_sheet_says_that_it_was_not_tested(db, monkeypatch):
    assert "Not tested:   the restore of a backup" in sheet(monkeypatch, MET)[0]


def test_every_check_has_words_of_its_own():
    checks = [*validation._checks(), validation.REHEARSAL]

    assert {*CHECKS, *of_exports.CHECKS} <= {*checks}
    assert len({check.requirement for check in checks}) == len(checks)
