"""What is taken through REDCap's API is in the audit trail (negative test 22)."""

import pytest

from registry.audit import Trail, read_trail


@pytest.fixture
def trail(data_manager):
    """Return a function that gives the accesses: kind, site, record id and details, sorted."""

    def read():
        found = read_trail(Trail(form="access"), by=data_manager)
        return sorted((record.action, record.site, record.record_id, record.details) for record in found)

    return read


def exported(content, site, rows, *, forms, identifiers=True, record_id=None):
    details = {"content": content, "forms": forms, "identifiers": identifiers, "rows": rows}
    return "exported_records", site, record_id, details


EVERYTHING = ["patient", "prior_treatment", "dosing", "lesion_assessment", "adverse_event"]


@pytest.mark.parametrize(
    ("call", "forms", "identifiers"),
    [
        ({"content": "record", "format": "csv"}, EVERYTHING, True),
        ({"content": "record", "format": "odm"}, EVERYTHING, True),
        ({"content": "project_xml"}, EVERYTHING, True),
        ({"content": "record", "format": "json", "type": "eav", "fields": "birth_date"}, ["patient"], True),
        ({"content": "record", "format": "json", "fields": "sex"}, ["patient"], False),
        ({"content": "report", "format": "json", "report_id": "3"}, ["dosing"], False),
    ],
)
def test_an_export_is_noted_at_each_site_with_its_patients(call, forms, identifiers, manager, cohort, trail):
    call = dict(call)
    assert manager(call.pop("content"), **call).status == 200

    found = trail()

    assert {site for _kind, site, _record, _details in found} == {"MTP", "NIM"}
    for kind, site, record_id, details in found:
        content = details["content"]
        rows = len([record for record in cohort_of(manager) if record.startswith(site)])
        expected = exported(content, site, rows, forms=forms, identifiers=identifiers)
        assert (kind, site, record_id, details) == expected


def cohort_of(manager):
    return {row["record_id"] for row in manager("record", format="json", fields="record_id").json}


def test_one_record_is_named(manager, cohort, trail):
    manager("record", format="json", records=["MTP-001"])

    (found,) = trail()
    assert found == exported("record", "MTP", 1, forms=EVERYTHING, record_id="MTP-001")


def test_a_filtered_export_is_noted_without_a_number(manager, cohort, trail):
    manager("record", format="json", filterLogic="[sex] = 'M'")

    assert {(site, details["rows"]) for _kind, site, _record, details in trail()} == {
        ("MTP", 0),
        ("NIM", 0),
        ("STR", 0),
    }


def test_a_filled_form_is_noted_and_a_blank_one_is_not(manager, cohort, trail):
    manager("pdf")
    assert trail() == []

    manager("pdf", record="MTP-001", instrument="patient")

    (found,) = trail()
    assert found == exported("pdf", "MTP", 1, forms=["patient"], record_id="MTP-001")


def test_the_log_is_noted(manager, cohort, trail):
    manager("log", format="json")

    assert {kind for kind, *_rest in trail()} == {"read_audit_trail"}


@pytest.mark.parametrize("content", ["metadata", "instrument", "version", "project"])
def test_what_is_not_about_patients_is_not_noted(content, manager, cohort, trail):
    manager(content, format="json")

    assert trail() == []


def test_a_call_that_is_refused_is_not_noted(manager, cohort, trail):
    assert manager("record", format="json", filterLogic="[nothing] = 1").status == 400

    assert trail() == []
