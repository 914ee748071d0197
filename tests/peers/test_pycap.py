"""PyCap against our server: every method that applies, as its users call it. Numbers are rows of the checklist."""

import io
from datetime import datetime, timedelta

import pytest
import redcap

from registry.rights import Role
from tests.crf.photographs import opened, picture
from tests.crf.redcap.test_import import DOSE, PATIENT, dose

pytestmark = pytest.mark.slow

FORMS = ["patient", "prior_treatment", "dosing", "lesion_assessment", "adverse_event"]
SYSTEM = ["redcap_repeat_instrument", "redcap_repeat_instance"]


@pytest.fixture
def project(address, token):
    """PyCap's project, opened by a data manager."""
    return redcap.Project(address, token())


def test_opening_a_project_calls_nobody(db):
    """Row 1."""
    assert redcap.Project("http://127.0.0.1:1/redcap/api/", "A" * 32) is not None


def test_the_project_and_what_it_consists_of(project, cohort):
    """Rows 2, 6, 9 to 13."""
    assert str(project.export_version()) == "14.5.0"
    assert project.is_longitudinal is False
    assert (project.def_field, set(project.forms)) == ("record_id", set(FORMS))
    assert len(project.export_metadata()[0]) == 18
    assert list(project.export_metadata(format_type="df").index)[:2] == ["record_id", "birth_date"]
    assert {row["form_name"] for row in project.export_metadata(forms=["dosing"])} == {"dosing"}
    assert "<records>" in project.export_metadata(format_type="xml")
    assert project.export_field_names(field="sex")[0]["export_field_name"] == "sex"
    assert project.export_field_names(format_type="df").loc["cle_subtype", "choice_value"].iloc[0] == "acle"
    assert [row["instrument_name"] for row in project.export_instruments()] == FORMS
    assert [row["form_name"] for row in project.export_repeating_instruments_events()] == FORMS[1:]
    assert list(project.export_repeating_instruments_events(format_type="df").columns) == [
        "form_name",
        "custom_form_label",
    ]
    told = project.export_project_info()
    assert (told["is_longitudinal"], told["has_repeating_instruments_or_events"]) == (0, 1)


def test_what_a_classic_project_has_not(project):
    """Rows 8, 50, 59 and 60."""
    refused = [
        project.export_arms,
        project.export_events,
        project.export_instrument_event_mappings,
        lambda: project.import_metadata([{"field_name": "x"}]),
        lambda: project.export_survey_participant_list(instrument="patient"),
        project.export_file_repository,
    ]
    for method in refused:
        with pytest.raises(redcap.RedcapError):
            method()


def test_records_as_json_frame_csv_and_xml(project, cohort):
    """Rows 15 and 16."""
    rows = project.export_records()
    frame = project.export_records(format_type="df")

    assert [(row["record_id"], *(row[name] for name in SYSTEM)) for row in rows][:3] == [
        ("MTP-001", "", ""),
        ("MTP-001", "prior_treatment", 1),
        ("MTP-001", "dosing", 1),
    ]
    assert frame.index.name == "record_id"
    assert frame.loc["NIM-001", "patient_notes"].iloc[0] == 'Élan, "vital"\nligne 2'
    assert project.export_records(format_type="csv").count("\n") == len(rows) + 2
    assert project.export_records(format_type="xml").count("<item>") == len(rows)


def test_parts_of_records(project, cohort):
    """Rows 17, 20, 22 to 24 and 26."""
    rows = project.export_records(forms=["dosing"])
    assert list(rows[0]) == ["record_id", *SYSTEM, *DOSE_COLUMNS]
    assert [row["record_id"] for row in project.export_records(records=["NIM-001"], fields=["sex"])] == ["NIM-001"] * 1

    labels = project.export_records(
        fields=["sex", "cle_subtype"],
        raw_or_label="label",
        export_checkbox_labels=True,
        export_data_access_groups=True,
        export_survey_fields=True,
    )
    assert (labels[0]["sex"], labels[0]["cle_subtype___dle"]) == ("Female", "Chronic discoid")
    assert labels[0]["redcap_data_access_group"] == "Montpellier"

    assert [row["redcap_repeat_instance"] for row in project.export_records(filter_logic="[dose_mg] < 3")] == [2]
    assert project.export_records(filter_logic="[sex] = 'X'") == []
    assert project.export_records(filter_logic="[sex] = 'X'", format_type="df").empty
    with pytest.raises(redcap.RedcapError, match="filterLogic"):
        project.export_records(filter_logic="[sex] =")

    facts = project.export_records(record_type="eav")
    assert set(facts[0]) == {"record", *SYSTEM, "field_name", "value"}
    assert list(project.export_records(record_type="eav", format_type="df").columns) == list(EAV)


DOSE_COLUMNS = [
    "dose_start",
    "dose_end",
    "dose_mg",
    "dose_schedule",
    "dose_reason",
    "dose_stop_reason",
    "antithrombotic",
    "dosing_complete",
]
EAV = ["record", "field_name", "value", *SYSTEM]


def test_records_changed_in_a_span(project, cohort):
    """Row 25."""
    now = datetime.now()  # noqa: DTZ005 -- the client writes it without a zone

    assert len(project.export_records(date_begin=now - timedelta(days=2), date_end=now + timedelta(days=2))) > 3
    assert project.export_records(date_end=now - timedelta(days=2)) == []


def test_import_tells_what_it_did(project):
    """Rows 30, 31, 35 and 36."""
    patients = [{"record_id": "MTP-001", **PATIENT}, {"record_id": "MTP-002", **PATIENT}]

    assert project.import_records(patients) == {"count": 2}
    assert project.import_records(patients[:1], return_content="ids") == ["MTP-001"]
    assert project.import_records(patients[:1], return_content="nothing") == [{}]
    prefix = '<?xml version="1.0" encoding="UTF-8" ?>'
    assert project.import_records(patients[:1], return_format_type="xml") == f"{prefix}<count>1</count>"
    assert project.import_records(patients[:1], return_format_type="csv", return_content="ids") == "id\nMTP-001"

    later = DOSE | {"dose_start": "2021-01-01"}
    doses = [dose("MTP-001", 1, **DOSE, dose_end="2020-12-31"), dose("MTP-001", "new", **later)]
    assert project.import_records(doses) == {"count": 1}
    with pytest.raises(redcap.RedcapError, match=r"not found in the project"):
        project.import_records([{"record_id": "MTP-001", "nope": "1"}])
    with pytest.raises(redcap.RedcapError, match="dose_mg"):
        project.import_records([dose("MTP-001", 1, dose_mg="abc")])
    assert [row["dose_mg"] for row in project.export_records(forms=["dosing"]) if row["dose_mg"]] == ["5", "5"]


def test_a_full_export_comes_back_and_changes_nothing(project, cohort):
    """Row 32: as a list, as a frame, as CSV and as XML, in both modes."""
    before = project.export_records()
    log = project.export_logging()

    for mode in ("normal", "overwrite"):
        assert project.import_records(before, overwrite=mode) == {"count": 3}
        for form in ("csv", "xml"):
            exported = project.export_records(format_type=form)
            assert project.import_records(exported, import_format=form, overwrite=mode) == {"count": 3}
    frame = project.export_records(format_type="df", df_kwargs={"dtype": str, "index_col": "record_id"})
    assert project.import_records(frame, import_format="df") == {"count": 3}

    assert project.export_records() == before
    assert project.export_logging() == log


def test_new_identifiers_are_given(address, token):
    """Row 43."""
    project = redcap.Project(address, token(Role.COORDINATOR, site="STR", username="str"))

    assert project.generate_next_record_name() == "STR-001"
    given = project.import_records([{"record_id": "1", **PATIENT}], force_auto_number=True, return_content="auto_ids")
    assert given == ["STR-001,1"]
    assert project.generate_next_record_name() == "STR-002"


def test_records_and_instances_are_deleted(project, cohort):
    """Rows 39 to 41."""
    assert project.delete_records(["MTP-001"], instrument="dosing", repeat_instance=2) == 1
    assert [row["redcap_repeat_instance"] for row in project.export_records(fields=["dose_mg"])].count(2) == 0
    assert project.delete_records(["MTP-001", "MTP-002"]) == 2
    with pytest.raises(redcap.RedcapError, match="MTP-777"):
        project.delete_records(["NIM-001", "MTP-777"])
    assert {row["record_id"] for row in project.export_records()} == {"NIM-001"}


def test_groups_users_and_roles(project, cohort):
    """Rows 44 to 49."""
    assert [row["unique_group_name"] for row in project.export_dags()] == ["mtp", "nim", "str"]
    assert project.switch_dag("nim") == "1"
    assert {row["record_id"] for row in project.export_records()} == {"NIM-001"}
    assert project.switch_dag("") == "1"
    with pytest.raises(redcap.RedcapError):
        project.switch_dag("nowhere")
    assert project.export_user_dag_assignment()[0] == {"username": "manager", "redcap_data_access_group": ""}
    assert [user["username"] for user in project.export_users()] == ["manager", "typist"]
    assert list(project.export_users(format_type="df")["api_import"]) == [1, 1]
    assert len(project.export_user_roles()) == 4
    assert project.export_user_role_assignment()[0]["unique_role_name"].startswith("U-")
    for change in (
        lambda: project.import_dags([{"data_access_group_name": "x", "unique_group_name": ""}]),
        lambda: project.delete_dags(["mtp"]),
        lambda: project.import_users([{"username": "x"}]),
        lambda: project.delete_users(["typist"]),
        lambda: project.import_user_dag_assignment([{"username": "typist", "redcap_data_access_group": "mtp"}]),
        lambda: project.import_user_roles([{"role_label": "x"}]),
        lambda: project.import_user_role_assignment([{"username": "typist", "unique_role_name": ""}]),
    ):
        with pytest.raises(redcap.RedcapError):
            change()


def test_paper_log_and_reports(project, cohort):
    """Rows 55 to 57."""
    content, headers = project.export_pdf(record="MTP-001", instrument="dosing")
    assert content.startswith(b"%PDF-")
    assert headers["name"] == "dosing_MTP-001.pdf"
    assert project.export_pdf(all_records=True)[0].startswith(b"%PDF-")

    log = project.export_logging(log_type="record", begin_time=datetime.now() - timedelta(days=2))  # noqa: DTZ005
    assert len(log) == 8
    assert all("manage/design" in row["action"].lower() for row in project.export_logging(log_type="manage"))

    assert len(project.export_report("3")) == 6
    with pytest.raises(redcap.RedcapError, match="report_id=99"):
        project.export_report("99")


def test_a_photograph_goes_in_comes_back_and_goes(project, cohort):
    """Rows 51 to 53."""
    place = {"record": "MTP-001", "field": "lesion_photo", "repeat_instance": 1}
    row = {"record_id": "MTP-001", "redcap_repeat_instrument": "lesion_assessment", "redcap_repeat_instance": 1}
    project.import_records([{**row, "lesion_date": "2020-02-01"}])
    with pytest.raises(redcap.RedcapError, match="no file to download"):
        project.export_file(**place)

    project.import_file(**place, file_name="Marta Zwyx.jpg", file_object=io.BytesIO(picture()))
    content, headers = project.export_file(**place)
    (saved,) = [row for row in project.export_records() if row["lesion_photo"]]

    assert opened(content).size == (60, 40)
    assert headers == {"name": f"MTP-001_lesion_assessment_1_{saved['lesion_photo']}"}
    project.delete_file("MTP-001", "lesion_photo")
    with pytest.raises(redcap.RedcapError, match="no file to download"):
        project.export_file(**place)
    with pytest.raises(ValueError, match="not a 'file' field"):
        project.export_file("MTP-001", "sex")


def test_a_wrong_token_is_told(address, sites):
    """Row 4."""
    project = redcap.Project(address, "0" * 32)

    for call in (project.export_metadata, project.export_version, lambda: project.export_records(format_type="csv")):
        with pytest.raises(redcap.RedcapError, match="permissions to use the API"):
            call()


def test_who_only_reads_is_told(address, token, cohort):
    """Row 38."""
    project = redcap.Project(address, token(Role.INVESTIGATOR, site="MTP", username="ines"))

    with pytest.raises(redcap.RedcapError, match="API Import/Update"):
        project.import_records([{"record_id": "MTP-001", "race": "ASIAN"}])
    assert {row["record_id"] for row in project.export_records()} == {"MTP-001", "MTP-002"}
