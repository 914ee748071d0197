import errno
import hashlib
from datetime import UTC, datetime

import pytest
from django.conf import settings
from openpyxl import load_workbook
from python_calamine import CalamineWorkbook

from crf.forms import all_forms, forms_by_name
from exports import job_files, jobs, pooled_workbook
from exports.cuts import Cut, Privacy
from exports.datasets import columns_of, snapshot
from exports.endpoints.store import recompute_all
from exports.models import Job, Kind, State
from exports.pseudonyms import Pseudonyms
from registry.models import Membership
from registry.rights import Role
from tests.conftest import caller_now, make_person
from tests.crf.examples import REPEATING, saved
from tests.crf.photographs import stored

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ALL_FORMS = tuple(form.form_name() for form in all_forms())
AFTER_THE_FORMS = ["codebook", "endpoints", "outcomes", "manifest"]
FORMULA = "=HYPERLINK(1)"


@pytest.fixture
def entered(data_manager):
    """Two patients at two sites, the first with an entry of each form."""
    saved("patient", {"patient_notes": FORMULA}, by=data_manager, record_id="MTP-001", site="MTP")
    saved("patient", by=data_manager, record_id="NIM-001", site="NIM")
    for form in REPEATING:
        saved(form, by=data_manager, record_id="MTP-001")


@pytest.fixture
def export(data_manager, export_folder, rung):
    """Runs an export and returns its job."""

    def run(*, by=data_manager, forms=ALL_FORMS, sites=("MTP", "NIM", "STR"), privacy=Privacy.FULL, labels=True):
        cut = Cut(forms=forms, sites=sites, privacy=privacy, labels=labels)
        job = jobs.enqueue(Kind.EXPORT, parameters=cut.parameters(), by=by, sites=sites)
        jobs.run(job.pk)
        job.refresh_from_db()
        return job

    return run


@pytest.fixture
def rung(monkeypatch):
    """Keeps the doorbell from the broker."""
    monkeypatch.setattr(jobs, "ring", lambda _job_id: True)


def sheets_of(job):
    """Return the cells of each sheet, row by row, as openpyxl reads them."""
    book = load_workbook(job_files.file_of(job))
    return {sheet.title: list(sheet.values) for sheet in book}


def manifest_of(job):
    """Return (part, item) -> (value, counted, written) of the manifest."""
    _header, *rows = sheets_of(job)["manifest"]
    return {(part, item): tuple(told) for part, item, *told in rows}


@pytest.mark.parametrize(("privacy", "shown"), [(privacy, privacy is Privacy.FULL) for privacy in Privacy])
def test_of_a_photograph_a_full_cut_has_the_name_and_every_other_not_even_its_column(
    privacy, shown, entered, export, data_manager
):
    """Negative test 27: no pixel and no name of one leaves a cut that withholds identifiers."""
    name = stored(by=data_manager, reason="photograph came late").values["lesion_photo"]

    job = export(forms=("lesion_assessment",), privacy=privacy)

    header, row, *_more = sheets_of(job)["lesion_assessment"]
    assert (dict(zip(header, row, strict=True)).get("lesion_photo") == name) is shown
    assert ("lesion_photo" in header) is shown
    assert (name in everything_in(job)) is shown


def everything_in(job):
    """Return all the texts of a file, its properties included."""
    book = load_workbook(job_files.file_of(job))
    cells = [str(cell) for sheet in book for row in sheet.values for cell in row if cell is not None]
    return " ".join([*cells, *map(str, vars(book.properties).values()), *book.sheetnames, job.file_name])


def test_the_workbook_has_a_sheet_for_each_form_and_the_manifest_last(entered, export):
    job = export()

    assert (job.state, job.error) == (State.DONE, "")
    assert list(sheets_of(job)) == [*ALL_FORMS, *AFTER_THE_FORMS]


def test_two_readers_find_the_rows_that_were_entered(entered, export):
    job = export(labels=False)

    header, *rows = sheets_of(job)["dosing"]
    assert list(header) == [
        c.name for c in columns_of(forms_by_name()["dosing"], cut=Cut.from_parameters(job.parameters))
    ]
    assert [row[:7] for row in rows] == [("MTP", "MTP-001", 1, "complete", datetime(2020, 1, 1), None, 5)]  # noqa: DTZ001 -- openpyxl reads a date as a time without zone
    calamine = CalamineWorkbook.from_path(job_files.file_of(job))
    assert calamine.sheet_names == [*ALL_FORMS, *AFTER_THE_FORMS]
    assert [row[1] for row in calamine.get_sheet_by_name("patient").to_python()] == ["record_id", "MTP-001", "NIM-001"]


def test_a_text_that_looks_like_a_formula_is_a_text(entered, export):
    book = load_workbook(job_files.file_of(export()))

    cells = [cell for row in book["patient"].iter_rows() for cell in row if cell.value == FORMULA]
    assert [cell.data_type for cell in cells] == ["s"]


def test_an_empty_cut_has_every_sheet_and_every_column(sites, export):
    job = export()

    assert job.state == State.DONE
    for name in ALL_FORMS:
        (header,) = sheets_of(job)[name]
        assert list(header) == [
            c.name for c in columns_of(forms_by_name()[name], cut=Cut.from_parameters(job.parameters))
        ]


def test_only_the_forms_and_sites_of_the_cut_are_in_the_file(entered, export):
    job = export(forms=("patient",), sites=("NIM",))

    assert list(sheets_of(job)) == ["patient", *AFTER_THE_FORMS]
    assert [row[1] for row in sheets_of(job)["patient"]] == ["record_id", "NIM-001"]
    assert "MTP-001" not in everything_in(job)


def test_the_manifest_tells_the_cut_and_as_many_rows_written_as_counted(entered, export):
    job = export(privacy=Privacy.LIMITED)

    told = manifest_of(job)
    assert told["cut", "asked for by"][0] == "data_manager.all"
    assert told["cut", "sites"][0] == "MTP, NIM, STR"
    assert told["cut", "privacy level"][0] == "limited: no identifiers, no free text"
    assert told["rows", "patient"][1:] == (2, 2)
    assert told["rows", "outcomes"][1:] == (0, 0)
    assert told["withheld", "patient.birth_date"][0] == "marked as identifier in the data dictionary"
    assert told["software", "version"][0] == "eCRF 0.1.0"
    assert job.rows == {
        **{name: {"counted": 1, "written": 1} for name in REPEATING},
        "patient": {"counted": 2, "written": 2},
        "outcomes": {"counted": 0, "written": 0},
    }


def test_the_endpoints_are_those_of_the_whole_cohort_and_of_the_sites_of_the_cut(entered, export):
    recompute_all()

    job = export(sites=("MTP",))

    _header, *rows = sheets_of(job)["endpoints"]
    enrolled = [(cohort, n) for cohort, figure, n, *_more in rows if figure == "enrolled"]
    assert enrolled == [("overall", 2), ("MTP", 1)]
    assert [row[1] for row in sheets_of(job)["outcomes"]] == ["record_id", "MTP-001"]
    assert isinstance(manifest_of(job)["cut", "endpoints as of"][0], datetime)
    assert ("cut", "endpoints") not in manifest_of(job)


def test_endpoints_that_are_older_than_the_data_are_said_to_be(entered, export, data_manager):
    recompute_all()
    saved("patient", by=data_manager, record_id="MTP-002", site="MTP")

    assert manifest_of(export())["cut", "endpoints"][0].startswith("older than the data")


def test_without_a_computation_the_endpoints_are_empty_and_said_to_be(entered, export):
    job = export()

    assert len(sheets_of(job)["endpoints"]) == 1
    assert manifest_of(job)["cut", "endpoints as of"][0] == "not computed yet"


def test_a_deidentified_file_tells_no_record_id_birth_date_note_or_original_date(entered, export):
    job = export(privacy=Privacy.DEIDENTIFIED)

    told = everything_in(job)
    assert Pseudonyms(settings.PSEUDONYM_KEY).of("MTP-001") in told
    for secret in ("MTP-001", "NIM-001", FORMULA, "1970-05-01", "2020-01-01", "2018-11-12", "Fatigue"):
        assert secret in everything_in(export())
        assert secret not in told


def test_the_digest_and_the_size_are_those_of_the_file(entered, export):
    job = export()

    content = job_files.file_of(job).read_bytes()
    assert (job.sha256, job.size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert job.file_name.startswith("cut-20")
    assert job.file_name.endswith("Z-full.xlsx")


def test_nobody_else_on_the_machine_can_read_the_file(entered, export):
    assert job_files.file_of(export()).stat().st_mode & 0o777 == 0o600


def test_the_same_cut_of_the_same_moment_has_the_same_digest(entered, export, monkeypatch):
    moment = datetime(2025, 6, 1, 12, tzinfo=UTC)
    monkeypatch.setattr(pooled_workbook, "snapshot", lambda by: _at(moment, by=by))

    assert export().sha256 == export().sha256


class _at:  # noqa: N801 -- stands for a function
    """The snapshot, with its moment set."""

    def __init__(self, moment, *, by):
        self._moment, self._snapshot = moment, snapshot(by)

    def __enter__(self):
        self._snapshot.__enter__()
        return self._moment

    def __exit__(self, *error):
        return self._snapshot.__exit__(*error)


def test_who_lost_the_right_while_the_job_waited_gets_nothing(entered, export, data_manager):
    Membership.objects.update(role=Role.MONITOR)

    job = export()

    assert (job.state, job.error) == (State.FAILED, "None of your roles allows exports. Ask the data manager.")
    assert (job.error_code, job.file_name) == ("not_allowed", "")
    assert list(job_files.folder().iterdir()) == []


def test_who_loses_the_right_while_the_file_is_written_gets_nothing(entered, export, monkeypatch):
    """Negative test 6."""
    write = pooled_workbook.write_workbook

    def write_and_lose_the_right(*arguments, **options):
        written = write(*arguments, **options)
        monkeypatch.setattr(pooled_workbook, "_authorised", _after_the_memberships_ended(pooled_workbook._authorised))
        return written

    monkeypatch.setattr(pooled_workbook, "write_workbook", write_and_lose_the_right)

    job = export()

    assert (job.state, job.attempts) == (State.FAILED, 1)
    assert list(job_files.folder().iterdir()) == []


def _after_the_memberships_ended(authorised):
    def ask(work, cut):
        Membership.objects.all().delete()
        return authorised(work, cut)

    return ask


def test_a_row_that_comes_to_nothing_on_the_way_fails_the_job(entered, export, monkeypatch):
    """Negative test 26."""
    monkeypatch.setattr(pooled_workbook, "rows_of", lambda _form, *, cut: iter(()))

    job = export()

    assert job.state == State.FAILED
    assert job.error == "The rows written are not those counted, so the file was thrown away. Ask again."
    assert list(job_files.folder().iterdir()) == []


def test_a_disk_that_fills_up_while_rows_are_written_fails_the_job_and_leaves_no_file(entered, export, monkeypatch):
    """Negative test 29."""

    def full(_form, *, cut):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooled_workbook, "rows_of", full)

    job = export()

    assert job.state == State.FAILED
    assert job.error.startswith("The server's disk is full.")
    assert list(job_files.folder().iterdir()) == []


def test_an_export_that_is_called_off_while_rows_are_written_stops(entered, export, monkeypatch):
    rows_of, written = pooled_workbook.rows_of, []
    monkeypatch.setattr(pooled_workbook, "ROWS_BETWEEN_REPORTS", 1)

    def call_off(form, *, cut):
        for row in rows_of(form, cut=cut):
            written.append(row)
            yield row

    def lose(work):
        work._heart.lost.set()
        pooled_workbook.build_dataset(work)

    monkeypatch.setattr(pooled_workbook, "rows_of", call_off)
    monkeypatch.setitem(jobs.RUNNERS, Kind.EXPORT, lose)

    job = export()

    assert len(written) == 1
    assert job.state == State.RUNNING
    assert list(job_files.folder().iterdir()) == []


def test_an_investigator_gets_the_pooled_data_deidentified(entered, export):
    investigator = caller_now(make_person(Role.INVESTIGATOR))

    refused = export(by=investigator)
    given = export(by=investigator, privacy=Privacy.DEIDENTIFIED)

    assert (refused.state, given.state) == (State.FAILED, State.DONE)
    assert refused.error == "Of these sites together you may export de-identified data only."


def test_a_job_can_be_done_again_after_the_file_is_gone(entered, export):
    first = export()
    job_files.file_of(first).unlink()

    second = export()

    assert Job.objects.filter(state=State.DONE).count() == 2
    assert sheets_of(second)["patient"]
