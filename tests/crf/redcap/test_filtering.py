"""filterLogic and saved reports. Rows 22 to 24 and 57 of the checklist."""

import pytest

from crf.models.report import Report
from crf.reports import Wanted, save_report
from registry.rights import Role

pytestmark = pytest.mark.django_db

SYSTEM = ["record_id", "redcap_repeat_instrument", "redcap_repeat_instance"]


def keys(rows):
    return [tuple(row[name] for name in SYSTEM) for row in rows]


def kept(caller, logic, **asked):
    return keys(caller("record", format="json", filterLogic=logic, **asked).json)


@pytest.mark.parametrize(
    ("logic", "rows"),
    [
        ("[sex] = 'F'", [("MTP-001", "", "")]),
        ("[dose_mg] < 3", [("MTP-001", "dosing", 2)]),
        ("[sex] = 'M' and [dose_mg] = 5", [("NIM-001", "dosing", 1)]),
        (
            "[dose_mg] = 5 or [sex] = 'F'",
            [("MTP-001", "", ""), ("MTP-001", "dosing", 1), ("MTP-001", "dosing", 2), ("NIM-001", "dosing", 1)],
        ),
        ("[cle_subtype(acle)] = '1'", [("MTP-001", "", "")]),
        ("[dosing_complete] = '2' and [dose_end] <> ''", [("MTP-001", "dosing", 1)]),
        ("[record-dag-name] = 'nim'", [("NIM-001", "", "")]),
        ("[user-name] = 'manager' and [record_id] = 'MTP-002'", [("MTP-002", "", "")]),
        ("  ", None),
    ],
)
def test_a_filter_keeps_rows_one_by_one(manager, cohort, logic, rows):
    """Row 23: a field of the patient form keeps base rows, one of an instrument its instances."""
    everything = keys(manager("record", format="json").json)

    assert kept(manager, logic) == (everything if rows is None else rows)


def test_with_the_record_id_alone_every_matching_instance_is_a_row(manager, cohort):
    """Row 23: the R client's first call."""
    answer = manager("record", format="csv", fields="record_id", filterLogic="[dose_mg] > 0")

    assert answer.text.splitlines() == [",".join(SYSTEM), "MTP-001,dosing,1", "MTP-001,dosing,2", "NIM-001,dosing,1"]


def test_a_row_that_is_kept_still_needs_what_was_asked_for(manager, cohort):
    assert kept(manager, "[dose_mg] > 0", forms=["adverse_event"], fields=["record_id"]) == []


def test_in_eav_and_odm_whole_records_are_kept(manager, cohort):
    logic = "[dose_mg] < 3"

    everything = manager("record", format="json", type="eav", records=["MTP-001"]).json
    assert manager("record", format="json", type="eav", filterLogic=logic).json == everything
    odm = manager("record", format="odm", filterLogic=logic).text
    assert ("MTP-001" in odm, "NIM-001" in odm) == (True, False)


@pytest.mark.parametrize(("form", "body"), [("json", "[]"), ("csv", "\n")])
def test_a_filter_that_nothing_matches(manager, cohort, form, body):
    """Row 22."""
    assert manager("record", format=form, filterLogic="[sex] = 'X'").text == body


@pytest.mark.parametrize(
    "logic",
    [
        "[sex",
        "[sex] =",
        "[nope] = 1",
        "nope(1)",
        "[event_1_arm_1][sex] = 'F'",
        "[sex]",
        "1; DROP TABLE crf_patient",
        "[sex] = 'F' or " * 10_000 + "[sex] = 'M'",
        "(" * 10_000,
        "[sex] = '\u0663' and [dose_mg] > 1e999",
    ],
    ids=range(10),
)
def test_what_is_no_filter_is_refused_in_words(manager, cohort, logic):
    """Row 24, and a filter of 10,000 terms."""
    status, text = manager("record", format="json", filterLogic=logic).error

    assert status == 400
    assert text.startswith("The filterLogic could not be evaluated: ")


def test_a_filter_shows_nobody_another_site(redcap, cohort):
    assert kept(redcap(Role.COORDINATOR, site="NIM"), "[dose_mg] > 0") == [("NIM-001", "dosing", 1)]


def test_a_filter_may_name_what_is_not_asked_for(manager, cohort):
    rows = manager("record", format="json", filterLogic="[sex] = 'F'", fields=["race", "birth_date"]).json

    assert rows == [{"birth_date": "1970-05-01", "race": ""}]


def test_a_saved_report_has_its_variables_and_its_filter(manager, redcap, cohort):
    """Row 57."""
    wanted = Wanted(name="low", title="Low doses", variables=("dose_mg", "sex"), filter="[dose_mg] < 3")
    report = save_report(wanted, by=manager.by)

    rows = manager("report", report_id=str(1_000 + report.pk), format="json").json

    assert [list(row.values()) for row in rows] == [["MTP-001", "dosing", 2, "", "2.5"]]
    assert redcap(Role.COORDINATOR, site="NIM")("report", report_id=str(1_000 + report.pk), format="csv").text == "\n"


def test_a_deleted_report_belongs_to_no_project(manager, sites):
    report = save_report(Wanted(name="all", title="All"), by=manager.by)
    Report.objects.all().delete()

    assert manager("report", report_id=str(1_000 + report.pk), format="json").status == 403
