"""Record import. Rows 30 to 38 of the checklist."""

import csv
import io
import json

import pytest
from django.db import connection

from crf.forms import all_forms
from registry.rights import Role
from tests.conftest import as_owner
from tests.crf.examples import COMPLETE, saved
from tests.crf.redcap.conftest import locked

pytestmark = pytest.mark.django_db

PATIENT = {
    "birth_date": "1970-05-01",
    "sex": "M",
    "cle_subtype___dle": "1",
    "systemic_lupus": "0",
    "neuropathy_history": "0",
    "thrombosis_history": "0",
    "non_opposition_date": "2018-11-12",
}
DOSE = {
    "dose_start": "2020-01-01",
    "dose_mg": "5",
    "dose_schedule": "daily",
    "dose_reason": "initiation",
    "antithrombotic": "aspirin",
}


def base(record_id, **cells):
    return {"record_id": record_id, **cells}


def dose(record_id, instance, **cells):
    place = {"redcap_repeat_instrument": "dosing", "redcap_repeat_instance": instance}
    return {"record_id": record_id, **place, **cells}


def sent(caller, rows, **fields):
    """Import rows as PyCap does."""
    return caller("record", format="json", data=json.dumps(rows), **{"returnFormat": "json", **fields})


def as_csv(rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def one(caller, record_id, fields, **more):
    rows = caller("record", format="json", records=[record_id], fields=fields, **more).json
    return rows[0] if rows else None


def history():
    """Return how many rows each history has."""
    with connection.cursor() as cursor:
        counts = {}
        for form in all_forms():
            cursor.execute(f"SELECT count(*) FROM {form._meta.db_table}history")  # noqa: S608 -- from the declaration
            counts[form.form_name()] = cursor.fetchone()[0]
    return counts


# What comes back


@pytest.mark.parametrize(
    ("content", "bodies"),
    [
        (
            "count",
            {"json": '{"count": 2}', "csv": "2", "xml": '<?xml version="1.0" encoding="UTF-8" ?><count>2</count>'},
        ),
        (
            "ids",
            {
                "json": '["MTP-001","MTP-002"]',
                "csv": "id\nMTP-001\nMTP-002",
                "xml": '<?xml version="1.0" encoding="UTF-8" ?><ids><id>MTP-001</id><id>MTP-002</id></ids>',
            },
        ),
        ("nothing", {"json": "", "csv": "", "xml": '<?xml version="1.0" encoding="UTF-8" ?>'}),
        ("auto_ids", {"json": '{"count": 2}', "csv": "2"}),
    ],
)
def test_the_body_of_a_success(manager, content, bodies):
    """Rows 30 and 34: records are counted, not rows."""
    rows = [base("MTP-001"), dose("MTP-001", 1, **DOSE), base("MTP-002")]

    for form, body in bodies.items():
        answer = sent(manager, rows, returnContent=content, returnFormat=form)
        assert (answer.status, answer.text) == (200, body)
        assert "charset=utf-8" in answer.headers["Content-Type"]


def test_two_instances_of_one_record_count_once(manager, cohort):
    """Row 31."""
    rows = [
        dose("MTP-002", 1, **DOSE, dose_end="2020-02-01"),
        dose("MTP-002", 2, **DOSE | {"dose_start": "2020-03-01"}),
    ]

    assert sent(manager, rows).json == {"count": 1}


def test_work_in_the_background_is_done_at_once(manager):
    answer = sent(manager, [base("MTP-001")], backgroundProcess="1")

    assert answer.text == '{"success":true}'
    assert one(manager, "MTP-001", ["record_id"]) is not None


# What is saved


@pytest.mark.parametrize("form", ["json", "csv", "xml", "odm"])
@pytest.mark.parametrize("kind", ["flat", "eav"])
@pytest.mark.parametrize("mode", ["normal", "overwrite"])
def test_a_full_export_sent_back_changes_nothing(manager, cohort, form, kind, mode):
    """Row 32: not even a row of the history."""
    reasons = {"race": "NASK", "patient_notes": "NA", "cle_subtype": "UNK"}
    blank = {**dict.fromkeys(reasons), "sex": "U"}
    saved("patient", blank, by=manager.by, record_id="MTP-003", site="MTP", missing=reasons, status="incomplete")
    saved("adverse_event", {"ae_notes": " \tx\r\ny\n", "ae_term": "NA"}, by=manager.by, record_id="MTP-003")
    saved("adverse_event", {"ae_notes": "UNK"}, by=manager.by, record_id="MTP-003")
    before, exported = history(), manager("record", format=form, type=kind).text

    answer = manager("record", format=form, type=kind, data=exported, overwriteBehavior=mode, returnFormat="json")

    assert (answer.status, answer.text) == (200, '{"count": 4}')
    assert history() == before


@pytest.mark.slow
def test_an_export_of_one_project_can_be_loaded_into_an_empty_one(transactional_db, manager, cohort):
    exported = manager("record", format="json").json
    with as_owner() as owner:
        owner.execute("TRUNCATE crf_patient CASCADE")  # and whatever refers to patients

    answer = sent(manager, exported)

    assert answer.json == {"count": 3}
    assert manager("record", format="json").json == exported


def test_new_entries_come_as_csv_with_their_ids_told(manager):
    """Row 33: what the R client sends."""
    rows = [base("MTP-001", **PATIENT, patient_complete="2"), dose("MTP-001", "1", **DOSE, dosing_complete="2")]

    answer = manager(
        "record",
        format="csv",
        type="flat",
        data=as_csv(rows),
        overwriteBehavior="overwrite",
        returnContent="ids",
        returnFormat="csv",
    )

    assert answer.text == "id\nMTP-001"
    assert one(manager, "MTP-001", ["sex", "patient_complete"]) == {"sex": "M", "patient_complete": "2"}
    assert one(manager, "MTP-001", ["dose_mg", "dosing_complete"]) == {"dose_mg": "5", "dosing_complete": "2"}


def test_a_csv_with_a_byte_order_mark_short_rows_and_blank_lines_is_read(manager):
    data = "\ufeffrecord_id,sex,race\nMTP-001,M\n\n,,\nMTP-002,F,ASIAN,more\n"

    answer = manager("record", format="csv", data=data, returnFormat="json")

    assert answer.json == {"count": 2}
    assert one(manager, "MTP-002", ["sex", "race"]) == {"sex": "F", "race": "ASIAN"}


def test_a_new_entry_without_a_status_is_incomplete(manager):
    sent(manager, [base("MTP-001", **PATIENT), dose("MTP-001", 1, **DOSE)])

    assert one(manager, "MTP-001", ["patient_complete"]) == {"patient_complete": "0"}
    assert one(manager, "MTP-001", ["dosing_complete"]) == {"dosing_complete": "0"}


def test_new_takes_the_next_number(manager, cohort):
    """Row 35."""
    later = DOSE | {"dose_start": "2021-01-01"}
    latest = DOSE | {"dose_start": "2022-01-01"}
    sent(manager, [dose("MTP-001", 2, dose_end="2020-12-31")])

    answer = sent(manager, [dose("MTP-001", "new", **later, dose_end="2021-12-31"), dose("MTP-001", "new", **latest)])

    assert answer.json == {"count": 1}
    rows = manager("record", format="json", fields=["record_id", "dose_start"], records=["MTP-001"]).json
    assert [(row["redcap_repeat_instance"], row["dose_start"]) for row in rows[3:]] == [
        (3, "2021-01-01"),
        (4, "2022-01-01"),
    ]


def test_blank_cells_are_ignored_or_clear(manager, cohort):
    asked = ["sex", "smoking_status", "patient_notes"]
    sent(manager, [base("NIM-001", smoking_status="never")])

    sent(manager, [base("NIM-001", smoking_status="", patient_notes="")])
    after_normal = one(manager, "NIM-001", asked)
    sent(manager, [base("NIM-001", smoking_status="", patient_notes=None)], overwriteBehavior="overwrite")

    assert after_normal == {"sex": "M", "smoking_status": "never", "patient_notes": 'Élan, "vital"\nligne 2'}
    assert one(manager, "NIM-001", asked) == {"sex": "M", "smoking_status": "", "patient_notes": ""}


def boxes(caller, record_id):
    row = one(caller, record_id, ["cle_subtype"])
    return [name.removeprefix("cle_subtype___") for name, value in row.items() if value == "1"]


def test_single_boxes_are_ticked_and_unticked(manager, cohort):
    sent(manager, [base("MTP-001", cle_subtype___scle="1", cle_subtype___acle="0", cle_subtype___lep="")])

    assert boxes(manager, "MTP-001") == ["scle", "dle"]


def test_a_blank_box_is_unticked_when_overwriting(manager, cohort):
    sent(manager, [base("MTP-001", cle_subtype___acle="")], overwriteBehavior="overwrite")

    assert boxes(manager, "MTP-001") == ["dle"]


def test_a_missing_data_code_takes_the_place_of_a_value_and_a_value_that_of_a_code(manager, cohort):
    codes = {"race": "UNK", "birth_date": "NAV", "patient_notes": "NASK"}
    unticked = {f"cle_subtype___{code}": "UNK" for code in ("acle", "dle")}

    first = sent(manager, [base("MTP-001", **codes, **unticked, patient_complete="0")])
    told = one(manager, "MTP-001", [*codes, "cle_subtype"])
    sent(manager, [base("MTP-001", race="ASIAN", patient_notes="seen", cle_subtype___dle="1")])

    assert first.json == {"count": 1}
    assert told == codes | {name: "UNK" for name in told if name.startswith("cle_")}
    after = one(manager, "MTP-001", ["race", "birth_date", "patient_notes"])
    assert after == {"race": "ASIAN", "birth_date": "NAV", "patient_notes": "seen"}
    assert boxes(manager, "MTP-001") == ["dle"]


@pytest.mark.parametrize(
    ("order", "text", "day"),
    [
        ("MDY", "03/12/2024", "2024-03-12"),
        ("DMY", "03/12/2024", "2024-12-03"),
        ("DMY", "03-12-2024", "2024-12-03"),
        ("MDY", "2024-03-12", "2024-03-12"),
        ("YMD", "2024-03-12", "2024-03-12"),
        ("", "2024-03-12", "2024-03-12"),
    ],
)
def test_dates_come_in_the_announced_order(manager, cohort, order, text, day):
    answer = sent(manager, [base("MTP-001", last_contact_date=text, diagnosis_date=text)], dateFormat=order)

    assert answer.json == {"count": 1}
    asked = ["last_contact_date", "diagnosis_date"]
    assert one(manager, "MTP-001", asked) == dict.fromkeys(asked, day)


@pytest.mark.parametrize(("order", "text"), [("YMD", "03/12/2024"), ("MDY", "13/12/2024"), ("DMY", "30/02/2024")])
def test_dates_in_another_order_are_refused(manager, cohort, order, text):
    status, error = sent(manager, [base("MTP-001", last_contact_date=text)], dateFormat=order).error

    assert status == 400
    assert error.startswith(f'"MTP-001","last_contact_date","{text}","Date of last news is not a date')


def test_eav_rows_make_the_same_entries(manager):
    facts = [("", "", name, value) for name, value in PATIENT.items() if not name.startswith("cle")]
    facts += [("", "", "cle_subtype", "dle"), ("", "", "cle_subtype___lep", "1")]
    facts += [("dosing", "1", name, value) for name, value in DOSE.items()]
    columns = ("redcap_repeat_instrument", "redcap_repeat_instance", "field_name", "value")
    rows = [{"record": "MTP-001", **dict(zip(columns, fact, strict=True))} for fact in facts]

    answer = manager("record", format="csv", type="eav", data=as_csv(rows), returnFormat="json")

    assert answer.json == {"count": 1}
    assert boxes(manager, "MTP-001") == ["dle", "lep"]
    assert one(manager, "MTP-001", ["dose_mg"]) == {"dose_mg": "5"}


def test_numbers_in_json_are_read_as_they_are_written(manager, cohort):
    answer = manager(
        "record",
        format="json",
        data='[{"record_id":"MTP-001","redcap_repeat_instrument":"dosing","redcap_repeat_instance":2,"dose_mg":7.50}]',
    )

    assert answer.json == {"count": 1}
    rows = manager("record", format="json", records=["MTP-001"], fields=["dose_mg"]).json
    assert [row["dose_mg"] for row in rows] == ["5", "7.5"]


def test_later_rows_of_the_same_entry_win(manager, cohort):
    sent(manager, [base("MTP-001", race="ASIAN"), base(" mtp-001 ", race="BLACK")])

    assert one(manager, "MTP-001", ["race"]) == {"race": "BLACK"}


def test_what_redcap_ignores_is_ignored(manager, cohort):
    row = base(
        "MTP-001",
        race="ASIAN",
        redcap_survey_identifier="x",
        redcap_event_name="event_1_arm_1",
        patient_timestamp="2020",
        lesion_photo="a.jpg",
    )

    answer = sent(manager, [{**row, "lesion_photo": ""}])
    instance = {"redcap_repeat_instrument": "lesion_assessment", "redcap_repeat_instance": "1"}
    with_file = sent(manager, [{"record_id": "MTP-001", **instance, "lesion_photo": "a.jpg"}])

    assert (answer.json, with_file.json) == ({"count": 1}, {"count": 1})


def test_new_identifiers_are_given_and_told(manager, redcap, cohort):
    coordinator = redcap(Role.COORDINATOR, site="MTP")
    rows = [base("a", **PATIENT), dose("a", 1, **DOSE), base("b", **PATIENT)]

    answer = sent(coordinator, rows, forceAutoNumber="true", returnContent="auto_ids")
    as_table = coordinator(
        "record", format="csv", data=as_csv(rows), forceAutoNumber="1", returnContent="auto_ids", returnFormat="csv"
    )

    assert answer.json == ["MTP-003,A", "MTP-004,B"]
    assert as_table.text == "id,original_id\nMTP-005,A\nMTP-006,B"
    assert one(manager, "MTP-003", ["dose_mg"]) == {"dose_mg": "5"}


def test_who_enters_at_several_sites_names_the_group_of_a_new_record(manager, cohort):
    row = base("x", **PATIENT)

    refused = sent(manager, [row], forceAutoNumber="true")
    answer = sent(manager, [{**row, "redcap_data_access_group": "str"}], forceAutoNumber="true", returnContent="ids")

    assert refused.status == 400
    assert answer.json == ["STR-001"]


def test_periods_can_all_move_the_same_way(manager, cohort):
    forward = [
        dose("MTP-001", 1, dose_start="2020-01-15", dose_end="2020-02-14"),
        dose("MTP-001", 2, dose_start="2020-02-15"),
    ]
    back = [
        dose("MTP-001", 1, dose_start="2020-01-01", dose_end="2020-01-31"),
        dose("MTP-001", 2, dose_start="2020-02-01"),
    ]

    assert sent(manager, forward).json == {"count": 1}
    assert sent(manager, back).json == {"count": 1}


def test_the_history_tells_door_person_and_reason(manager, cohort):
    sent(manager, [base("MTP-001", race="ASIAN")])
    sent(manager, [base("MTP-001", race="BLACK")], change_reason="Corrected at the visit")

    with connection.cursor() as cursor:
        cursor.execute("SELECT pgh_context::text FROM crf_patienthistory ORDER BY pgh_id DESC LIMIT 2")
        last, first = (json.loads(row[0]) for row in cursor.fetchall())
    assert {first["door"], last["door"]} == {"redcap"}
    assert first["username"] == "manager"
    assert (first["reason"], last["reason"]) == ("REDCap API: record import", "Corrected at the visit")


@pytest.mark.parametrize("reason", ["x" * 1001, "a\nb"])
def test_a_reason_that_cannot_be_kept_is_refused(manager, cohort, reason):
    assert sent(manager, [base("MTP-001", race="ASIAN")], change_reason=reason).status == 400


# What is refused: nothing is saved, whatever else is right


def refused(caller, rows, **fields):
    """Send rows with a good one before them; return the error, and see that nothing was saved."""
    before = history()
    status, error = sent(caller, [base("MTP-001", race="ASIAN"), *rows], **fields).error
    assert (status, history()) == (400, before)
    return error


def lines(error):
    return list(csv.reader(io.StringIO(error)))


VALUES = {
    "number": (dose("MTP-001", 1, dose_mg="abc"), "dose_mg", "abc"),
    "number with a comma": (dose("MTP-001", 1, dose_mg="2,5"), "dose_mg", "2,5"),
    "beyond the limit": (dose("MTP-001", 1, dose_mg="26"), "dose_mg", "26"),
    "code": (base("MTP-001", sex="7"), "sex", "7"),
    "yes or no": (base("MTP-001", systemic_lupus="yes"), "systemic_lupus", "yes"),
    "date": (base("MTP-001", last_contact_date="2024-02-30"), "last_contact_date", "2024-02-30"),
    "partial date": (base("MTP-001", diagnosis_date="2024-13"), "diagnosis_date", "2024-13"),
    "box": (base("MTP-001", cle_subtype___dle="yes"), "cle_subtype", ""),
    "status": (base("MTP-001", patient_complete="3"), "patient_complete", "3"),
    "required": (base("MTP-001", sex="UNK", birth_date="x"), "birth_date", "x"),
    "hidden": (base("MTP-002", childbearing_potential="1"), "childbearing_potential", "1"),
    "overlap": (dose("MTP-001", 3, **DOSE), "dose_start", "2020-01-01"),
    "foreign field on a base row": (base("MTP-001", dose_mg="5"), "dose_mg", "5"),
    "foreign field on an instance": (dose("MTP-001", 1, sex="F"), "sex", "F"),
    "no such instrument": (
        {"record_id": "MTP-001", "redcap_repeat_instrument": "visits", "redcap_repeat_instance": "1"},
        "redcap_repeat_instrument",
        "visits",
    ),
    "an instrument that does not repeat": (
        {"record_id": "MTP-001", "redcap_repeat_instrument": "patient", "redcap_repeat_instance": "1"},
        "redcap_repeat_instrument",
        "patient",
    ),
    "instance 0": (dose("MTP-001", "0"), "redcap_repeat_instance", "0"),
    "instance too high": (dose("MTP-001", "32768"), "redcap_repeat_instance", "32768"),
    "instance missing": (dose("MTP-001", ""), "redcap_repeat_instance", ""),
    "a record of no site": (base("1001", sex="M"), "record_id", "1001"),
    "a dose of an unknown record": (dose("MTP-099", 1, **DOSE), "record_id", "MTP-099"),
    "another group": (base("MTP-002", redcap_data_access_group="nim"), "redcap_data_access_group", ""),
}


@pytest.mark.parametrize(("row", "field", "value"), VALUES.values(), ids=VALUES)
def test_a_value_is_refused_with_record_field_value_and_words(manager, cohort, row, field, value):
    """Row 36."""
    told = lines(refused(manager, [row]))

    assert [line[:3] for line in told] == [[row["record_id"], field, value]]
    assert len(told[0]) == 4


def test_every_refused_value_is_told_in_one_answer(manager, cohort):
    rows = [base("MTP-001", sex="7"), dose("MTP-001", 1, dose_mg='a"b\tc'), base("NIM-001", race="x")]

    error = refused(manager, rows)

    assert [line[:2] for line in lines(error)] == [["MTP-001", "sex"], ["MTP-001", "dose_mg"], ["NIM-001", "race"]]
    assert error.splitlines()[1].startswith('"MTP-001","dose_mg","a""b c","')


def test_an_answer_repeats_only_so_much_of_what_was_sent(manager, cohort):
    many = [dose("MTP-002", number, dose_mg="x" * 2_000) for number in range(1, 1_101)]
    columns = {f"column_{number}": "" for number in range(200)}

    told = lines(sent(manager, many).error[1])
    unknown = sent(manager, [base("MTP-001", **columns)]).error[1]

    assert (len(told), {len(line[2]) for line in told}) == (1_000, {1_000})
    assert unknown.endswith("column_99")


def test_the_lines_as_csv(manager, cohort):
    answer = sent(manager, [base("MTP-001", sex="7")], returnFormat="csv")

    assert answer.text.startswith('ERROR: "MTP-001","sex","7","Sex has no such code.')


SENTENCES = {
    "unknown columns": (
        [base("MTP-001", nope="1", cle_subtype="dle", sex="M")],
        "The following fields were not found in the project as real data fields: nope, cle_subtype",
    ),
    "no record id": ([{"sex": "M"}], "The record id field (record_id) is missing."),
    "blank record id": ([base("  ", sex="M")], "The record id field (record_id) is missing."),
    "unknown group": (
        [base("MTP-001", redcap_data_access_group="xyz")],
        "The following Data Access Groups do not exist: xyz",
    ),
}


@pytest.mark.parametrize(("rows", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_a_call_that_is_wrong_as_a_whole_gets_one_sentence(manager, cohort, rows, sentence):
    """Row 36."""
    assert refused(manager, rows) == sentence


@pytest.mark.parametrize("name", ["MTP+001", "MTP&001", "MTP#001", "MTP'001", "x" * 101, "MTP\n001"])
def test_a_record_id_with_what_it_must_not_hold_is_refused(manager, cohort, name):
    assert refused(manager, [base(name)]).startswith("The record id ")


def test_an_instance_without_an_instrument_is_refused(manager, cohort):
    assert "MTP-001" in refused(manager, [{"record_id": "MTP-001", "redcap_repeat_instance": "1"}])


def test_a_new_instance_in_eav_is_refused(manager, cohort):
    fact = {"record": "MTP-001", "field_name": "dose_mg", "value": "5", "redcap_repeat_instrument": "dosing"}

    answer = sent(manager, [{**fact, "redcap_repeat_instance": "new"}], type="eav")

    assert answer.error[0] == 400
    assert "MTP-001" in answer.error[1]


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("json", "{"),
        ("json", '{"record_id": "MTP-001"}'),
        ("json", "[1]"),
        ("json", '[{"record_id": ["MTP-001"]}]'),
        ("json", '[{"record_id": true}]'),
        ("json", '[{"record_id": "MTP-001", "record_id": "MTP-002"}]'),
        ("json", '[{"record_id": "MTP-001", "\\ud800": "x"}]'),
        ("json", '[{"record_id": "MTP-001", "patient_notes": "\\ud800"}]'),
        ("json", '[{"record_id": "MTP-001", "dose_mg": NaN}]'),
        ("json", "[" * 100_000),
        ("json", '[{"record_id": "MTP-001", "dose_mg": 1e999999999}]'),
        ("csv", 'record_id,sex\n"MTP-001'),
        ("csv", "record_id,sex,sex\nMTP-001,M,F\n"),
        ("xml", "<records>"),
        ("xml", "<other/>"),
        ("xml", "<records><item><record_id><b>MTP-001</b></record_id></item></records>"),
        ("xml", '<!DOCTYPE x [<!ENTITY a "b">]><records><item><record_id>&a;</record_id></item></records>'),
        ("xml", '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><records/>'),
        ("odm", "no xml"),
        ("json", ""),
        ("csv", " \n"),
        ("xml", "\x00"),
        ("csv", "record_id,patient_notes\nMTP-001,a\x00b\n"),
    ],
)
def test_what_cannot_be_read_is_refused_and_saved_nowhere(manager, cohort, form, data):
    before = history()

    answer = manager("record", format=form, data=data, returnFormat="json")

    assert answer.error[0] == 400
    assert history() == before


def test_entities_in_xml_are_not_expanded(manager, cohort):
    bomb = '<!DOCTYPE r [<!ENTITY a "aaaa">' + "".join(
        f'<!ENTITY {new} "{f"&{old};" * 50}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    data = f"{bomb}]><records><item><record_id>MTP-001</record_id><patient_notes>&i;</patient_notes></item></records>"

    assert manager("record", format="xml", data=data, returnFormat="json").status == 400


def test_a_locked_entry_is_refused_but_may_come_back_unchanged(manager, cohort):
    locked("MTP-001", form=all_forms()[0], by=manager.by)
    exported = manager("record", format="json", records=["MTP-001"]).json

    unchanged = sent(manager, exported)
    (line,) = lines(sent(manager, [base("MTP-001", race="ASIAN")]).error[1])

    assert unchanged.json == {"count": 1}
    assert (line[0], line[3]) == ("MTP-001", "The form is locked. Ask the data manager to unlock it.")


# Who may


def test_a_record_of_another_site_is_refused_and_not_told_of(redcap, cohort):
    """Row 37."""
    coordinator = redcap(Role.COORDINATOR, site="MTP")
    before = history()

    for row in (base("NIM-001", race="ASIAN"), dose("NIM-001", 1, dose_mg="7"), base("NIM-099", sex="M")):
        status, error = sent(coordinator, [base("MTP-001", race="ASIAN"), row]).error
        assert status == 400
        assert [line[0] for line in lines(error)] == [row["record_id"]]
    assert history() == before


def test_a_member_of_a_group_cannot_assign_groups(redcap, cohort):
    coordinator = redcap(Role.COORDINATOR, site="MTP")

    assert sent(coordinator, [base("MTP-001", redcap_data_access_group="mtp")]).status == 400
    assert sent(coordinator, [base("MTP-001", redcap_data_access_group="", race="ASIAN")]).status == 200


@pytest.mark.parametrize("role", [Role.INVESTIGATOR, Role.MONITOR])
def test_who_only_reads_may_not_import(redcap, cohort, role):
    """Row 38."""
    reader = redcap(role, site="MTP")

    answer = reader("record", format="csv", data="record_id,race\nMTP-001,ASIAN\n")

    assert (answer.status, answer.text) == (403, "ERROR: You do not have API Import/Update privileges")


def test_somebody_who_enters_at_one_site_and_reads_at_another_changes_the_first_only(redcap, cohort):
    from registry.models import Membership, Person  # noqa: PLC0415 -- only here
    from tests.conftest import SINCE  # noqa: PLC0415 -- the same

    both = redcap(Role.COORDINATOR, site="MTP", username="both")
    person = Person.objects.get(username="both")
    Membership.objects.create(person=person, role=Role.INVESTIGATOR, site_id="NIM", starts_on=SINCE)

    own, other = sent(both, [base("MTP-001", race="ASIAN")]), sent(both, [base("NIM-001", race="ASIAN")])

    assert own.json == {"count": 1}
    assert lines(other.error[1])[0][3] == "You may read this patient, but not enter data."


def test_the_examples_are_those_of_the_other_doors():
    assert set(DOSE) == set(COMPLETE["dosing"])
