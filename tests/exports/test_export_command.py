import hashlib
import re

import pytest
from django.core.management import CommandError, call_command
from openpyxl import load_workbook

from exports import job_files, jobs
from exports.models import Job, Kind, State
from registry.audit import Trail, read_trail
from tests.crf.examples import saved

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def out(data_manager, export_folder, tmp_path):
    """Where the file shall be, with a patient in the database."""
    saved("patient", by=data_manager, record_id="MTP-001", site="MTP")
    return tmp_path / "cut.xlsx"


def test_the_file_is_where_it_was_wanted_and_nowhere_else(out, capsys):
    call_command("export", "--format", "xlsx", "--out", str(out))

    assert load_workbook(out)["patient"]["B2"].value == "MTP-001"
    assert list(job_files.folder().iterdir()) == []
    job = Job.objects.get()
    assert (job.state, job.requested_by, job.parameters["privacy"]) == (State.DONE, None, "full")
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert capsys.readouterr().out.splitlines()[-1] == f"{out}: {out.stat().st_size} bytes, SHA-256 {digest}"


def test_asking_and_taking_the_file_are_in_the_trail_of_each_site(out, data_manager):
    call_command("export", "--out", str(out), "--site", "MTP")

    told = [(record.action, record.site, record.actor["door"], record.actor["username"])
            for record in read_trail(Trail(form="access"), by=data_manager)]  # fmt: skip
    assert told == [(kind, "MTP", "command", "system") for kind in ("fetched_export", "asked_for_export")]


def test_sites_forms_privacy_and_labels_can_be_chosen(out):
    chosen = ["--site", "NIM", "--site", "MTP", "--form", "dosing", "--privacy", "deidentified", "--no-labels"]

    call_command("export", "--out", str(out), *chosen)

    wanted = {"forms": ["dosing"], "sites": ["MTP", "NIM"], "privacy": "deidentified", "labels": False, "filter": None}
    assert Job.objects.get().parameters == wanted
    assert load_workbook(out).sheetnames == ["dosing", "codebook", "endpoints", "outcomes", "manifest"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--site", "ZZZ"], "--site ZZZ: there is no such one. Choose from: MTP, NIM, STR."),
        (["--form", "patients"], "--form patients: there is no such one. Choose from: patient, prior_treatment"),
    ],
)
def test_a_site_or_form_that_is_not_there_is_named_with_those_that_are(out, options, message):
    with pytest.raises(CommandError, match=re.escape(message)):
        call_command("export", "--out", str(out), *options)

    assert not Job.objects.exists()


def test_a_folder_that_is_not_there_is_named(out):
    with pytest.raises(CommandError, match=r"There is no folder .*nowhere\."):
        call_command("export", "--out", str(out.parent / "nowhere" / "cut.xlsx"))


def test_an_export_that_fails_says_why_and_leaves_no_file(out, monkeypatch):
    def fail(_work):
        raise jobs.JobFailed("No.", code="refused")

    monkeypatch.setitem(jobs.RUNNERS, Kind.EXPORT, fail)

    with pytest.raises(CommandError, match=r"The export is failed\. No\."):
        call_command("export", "--out", str(out))

    assert not out.exists()


def test_an_export_that_breaks_off_is_tried_again(out, monkeypatch):
    build, attempts = jobs.RUNNERS[Kind.EXPORT], []

    def break_off_once(work):
        attempts.append(work.job.attempts)
        if len(attempts) == 1:
            raise RuntimeError
        build(work)

    monkeypatch.setitem(jobs.RUNNERS, Kind.EXPORT, break_off_once)

    call_command("export", "--out", str(out))

    assert attempts == [1, 2]
    assert out.exists()


def test_an_export_that_is_interrupted_by_hand_is_not_left_to_a_worker(out, monkeypatch):
    def interrupt(_work):
        raise KeyboardInterrupt

    monkeypatch.setitem(jobs.RUNNERS, Kind.EXPORT, interrupt)

    with pytest.raises(KeyboardInterrupt):
        call_command("export", "--out", str(out))

    assert Job.objects.get().state == State.CANCELLED


def test_a_place_that_cannot_be_written_is_named_and_nothing_stays_behind(out):
    out.mkdir()

    with pytest.raises(CommandError, match="could not be written: Is a directory"):
        call_command("export", "--out", str(out))

    assert list(job_files.folder().iterdir()) == []
    assert not out.with_name("cut.xlsx.part").exists()
