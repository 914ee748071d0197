# ruff: noqa: RUF001 -- digits and signs of other scripts are what is tested

import csv
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from crf.forms import Status, all_forms, forms_by_name
from crf.loading import NotLoaded, load_folder
from registry.acting import Door, acting, the_system
from tests.crf.examples import COMPLETE, cell

COHORT = Path(settings.BASE_DIR) / "docs" / "cohort19"


def text(form, *rows):
    """Return the CSV text of rows of one form: the smallest complete entry, changed as each row says."""
    full = [{key: cell(value) for key, value in COMPLETE[form].items()} | row for row in rows]
    columns = list(dict.fromkeys(["record_id", *(key for row in full for key in row)]))
    file = StringIO(newline="")
    writer = csv.DictWriter(file, columns, restval="")
    writer.writeheader()
    writer.writerows(full)
    return file.getvalue()


@pytest.fixture
def load(sites, tmp_path):
    """Write files, named like their forms, and load them; return what was loaded."""

    def run(**files):
        for name, content in files.items():
            content = content if isinstance(content, bytes) else content.encode()
            (tmp_path / f"{name}.csv").write_bytes(content)
        by = the_system()
        with acting(by, door=Door.COMMAND):
            return load_folder(tmp_path, by=by)

    return run


@pytest.fixture
def problems(load, count):
    """Load files that cannot be loaded; return file, line, column and code of each problem."""

    def run(**files):
        with pytest.raises(NotLoaded) as caught:
            load(**files)
        assert [count(form._meta.db_table) for form in all_forms()] == [0] * len(all_forms())
        return [(problem.file, problem.line, problem.column, problem.code) for problem in caught.value.problems]

    return run


PATIENT = text("patient", {"record_id": "MTP-001", "site": "MTP"})


def entries(form):
    """Return the saved entries of a form."""
    return list(forms_by_name()[form].objects.order_by("id"))


@pytest.mark.slow
def test_the_cohort_of_19_cases_is_loaded_whole(sites, count):
    out = StringIO()

    call_command("load_forms", str(COHORT), stdout=out)

    expected = {}
    for form in all_forms():
        with (COHORT / f"{form.form_name()}.csv").open(encoding="utf-8", newline="") as file:
            expected[form.form_name()] = sum(1 for _row in csv.reader(file)) - 1
    loaded = dict(
        line.removesuffix(" entries").split(": ") for line in out.getvalue().splitlines() if "entries" in line
    )
    assert {name: int(number) for name, number in loaded.items()} == expected
    assert {form.form_name(): count(form._meta.db_table) for form in all_forms()} == expected


@pytest.mark.slow
def test_every_cell_of_the_cohort_is_kept_as_it_stands(sites):
    call_command("load_forms", str(COHORT), stdout=StringIO())

    for form in all_forms():
        with (COHORT / f"{form.form_name()}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                instance = int(row.get("redcap_repeat_instance") or 1)
                record = "patient_id" if form.repeating else "record_id"
                entry = form.objects.get(**{record: row["record_id"]}, instance=instance)
                for name, kind in form.variables().items():
                    kept, written = kind.to_text(getattr(entry, name)), row.get(name, "")
                    # The codes of a checkbox are kept in the order of the dictionary.
                    assert sorted(kept.split("|")) == sorted(written.split("|")), name


def test_a_patient_and_the_forms_that_belong_to_it_are_loaded_together(load):
    dosing = text("dosing", {"record_id": "MTP-001"}, {"record_id": "MTP-001", "dose_start": "", "dose_mg": "2.5"})

    loaded = load(patient=PATIENT, dosing=dosing)

    assert loaded.entries == {"patient": 1, "dosing": 2}
    assert [(dose.instance, dose.status) for dose in entries("dosing")] == [
        (1, Status.COMPLETE),
        (2, Status.INCOMPLETE),
    ]


def test_the_status_column_is_followed_and_a_blank_one_left_to_the_registry(load):
    rows = [
        {"record_id": f"MTP-00{number}", "status": status}
        for number, status in enumerate(["unverified", "", " complete "], 1)
    ]

    load(patient=text("patient", *rows))

    assert [entry.status for entry in entries("patient")] == [Status.UNVERIFIED, Status.COMPLETE, Status.COMPLETE]


def test_a_reason_may_stand_in_the_cell_of_what_is_not_free_text(load):
    load(
        patient=text("patient", {"record_id": "MTP-001", "race": "NASK", "last_contact_date": "UNK"}),
        adverse_event=text("adverse_event", {"record_id": "MTP-001", "ae_term": "NA"}),
    )

    patient, event = entries("patient")[0], entries("adverse_event")[0]
    assert patient.missing == {"race": "NASK", "last_contact_date": "UNK"}
    assert (patient.race, patient.last_contact_date) == (None, None)
    assert (event.missing, event.ae_term) == ({}, "NA")


def test_the_missing_column_gives_reasons(load):
    load(patient=text("patient", {"record_id": "MTP-001", "race": "", "missing": "race=NASK | smoking_status=UNK"}))

    assert entries("patient")[0].missing == {"race": "NASK", "smoking_status": "UNK"}


def test_warnings_are_counted(load):
    loaded = load(patient=PATIENT, dosing=text("dosing", {"record_id": "MTP-001", "dose_mg": "15"}))

    assert loaded.warnings == {"dose_over_10_mg": 1, "first_dose_not_5_mg": 1}


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + PATIENT.encode(),
        PATIENT.replace("\r\n", "\n").encode(),
        PATIENT.encode() + b"\r\n\r\n",
        PATIENT.rstrip("\r\n").encode(),
    ],
    ids=["byte order mark", "line feeds only", "blank lines at the end", "no line end at the end"],
)
def test_files_as_programs_write_them_are_read(content, load):
    assert load(patient=content).entries == {"patient": 1}


def test_quotes_commas_and_line_breaks_in_a_cell_belong_to_it(load):
    notes = 'first, "line"\r\nsecond\tline'

    load(patient=text("patient", {"record_id": "MTP-001", "patient_notes": notes}))

    assert entries("patient")[0].patient_notes == notes


def test_an_error_names_file_line_and_column(problems):
    patients = text(
        "patient",
        {"record_id": "MTP-001", "patient_notes": "over\ntwo lines"},
        {"record_id": "MTP-002", "sex": "X"},
        {"record_id": "NIM-001", "site": "MTP"},
    )
    doses = text(
        "dosing",
        {"record_id": "MTP-001", "redcap_repeat_instance": "1", "dose_mg": "2,5"},
        {"record_id": "MTP-003", "redcap_repeat_instance": "one"},
        {"record_id": "MTP-001", "redcap_repeat_instance": "one", "dose_start": "2021-01-01"},
    )

    assert problems(patient=patients, dosing=doses) == [
        ("patient.csv", 4, "sex", "unknown_code"),
        ("patient.csv", 5, "record_id", "record_id_of_site"),
        ("dosing.csv", 2, "dose_mg", "wrong_type"),
        ("dosing.csv", 3, "record_id", "patient_not_found"),
        ("dosing.csv", 4, "redcap_repeat_instance", "not_an_integer"),
    ]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", [(1, "record_id", "missing_column")]),
        (b"site,sex\r\nMTP,M\r\n", [(1, "record_id", "missing_column")]),
        (b"record_id,sexe\r\nMTP-001,M\r\n", [(1, "sexe", "unknown_field")]),
        (b"record_id,sex,sex\r\nMTP-001,M,F\r\n", [(1, "sex", "repeated_column")]),
        (
            b"record_id;sex\r\nMTP-001;M\r\n",
            [(1, "record_id", "missing_column"), (1, "record_id;sex", "unknown_field")],
        ),
        (b"record_id,sex\r\nMTP-001\r\n", [(2, None, "wrong_cell_count")]),
        (b"record_id,sex\r\nMTP-001,M,\r\n", [(2, None, "wrong_cell_count")]),
        (b'record_id,sex\r\nMTP-001,"M\r\n', [(2, None, "not_csv")]),
        (b'record_id,sex\r\nMTP-001,"M"F\r\n', [(2, None, "not_csv")]),
        (b"record_id,patient_notes\r\nMTP-001," + b"x" * 500_000 + b"\r\n", [(2, None, "not_csv")]),
        (b"record_id,sex\r\nMTP-001,\xff\r\n", [(None, None, "not_utf8")]),
        ("record_id,sex\r\nMTP-001,M\r\n".encode("utf-16"), [(None, None, "not_utf8")]),
        (b"record_id,sex\r\nMTP-001,M\x00\r\n", [(2, "sex", "unknown_code")]),
        (b"record_id,sex\r\nMTP-\x00001,M\r\n", [(2, "site", "required"), (2, "record_id", "unprintable")]),
        (b"record_id,site\r\nMTP-001,M\x00P\r\n", [(2, "site", "unknown_site")]),
        (b"record_id,redcap_repeat_instance\r\nMTP-001,1\r\n", [(1, "redcap_repeat_instance", "unknown_field")]),
        (b"record_id,instance\r\nMTP-001,1\r\n", [(1, "instance", "unknown_field")]),
        (b"record_id,\r\nMTP-001,1\r\n", [(1, "", "unknown_field")]),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused(content, found, problems):
    assert problems(patient=content) == [("patient.csv", *place) for place in found]


@pytest.mark.parametrize(
    "record_id", ["MTP-\x00001", "", " ", "MTP-009", "x" * 1000, "MTP-001,MTP-002", "{MTP-001}", "é"]
)
def test_a_record_id_of_nobody_is_refused_however_it_is_written(record_id, problems):
    dosing = text("dosing", {"record_id": record_id})

    assert problems(patient=PATIENT, dosing=dosing) == [("dosing.csv", 2, "record_id", "patient_not_found")]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("0", "out_of_range"),
        ("40000", "out_of_range"),
        ("-1", "not_an_integer"),
        ("1.0", "not_an_integer"),
        ("١", "not_an_integer"),
        ("9" * 30, "not_an_integer"),
    ],
)
def test_an_instance_is_a_number_from_1(number, code, problems):
    dosing = text("dosing", {"record_id": "MTP-001", "redcap_repeat_instance": number})

    assert problems(patient=PATIENT, dosing=dosing) == [("dosing.csv", 2, "redcap_repeat_instance", code)]


def test_the_same_row_twice_is_refused_the_second_time(problems):
    patients = text("patient", {"record_id": "MTP-001"}, {"record_id": "MTP-001"})

    assert problems(patient=patients) == [("patient.csv", 3, "record_id", "record_exists")]


def test_a_site_column_stands_in_the_patient_form_only(problems):
    dosing = text("dosing", {"record_id": "MTP-001", "site": "MTP"})

    assert problems(patient=PATIENT, dosing=dosing) == [("dosing.csv", 1, "site", "unknown_field")]


def test_a_file_of_no_form_is_refused(problems):
    assert problems(patient=PATIENT, biopsies="record_id\n") == [("biopsies.csv", None, None, "unknown_form")]


def test_a_folder_without_files_is_refused_by_name(load, tmp_path):
    with pytest.raises(NotLoaded) as caught:
        load()

    assert [(problem.file, problem.code) for problem in caught.value.problems] == [(str(tmp_path), "no_files")]


def test_what_was_loaded_once_is_not_loaded_twice(load):
    load(patient=PATIENT)

    with pytest.raises(NotLoaded, match="record_exists"):
        load()
    assert len(entries("patient")) == 1


def test_the_command_shows_the_problems_and_loads_nothing(sites, tmp_path, count):
    rows = [{"record_id": f"MTP-{number:03d}", "sex": "X"} for number in range(1, 62)]
    (tmp_path / "patient.csv").write_text(text("patient", *rows))

    with pytest.raises(CommandError) as caught:
        call_command("load_forms", str(tmp_path))

    first, *shown, last = str(caught.value).splitlines()
    assert first == "Nothing was loaded."
    assert shown[0].startswith("patient.csv, line 2, column sex: Sex has no such code.")
    assert shown[0].endswith("[unknown_code]")
    assert (len(shown), last) == (50, "... and 11 more")
    assert count("crf_patient") == 0


def test_a_folder_that_is_not_there_is_refused_in_words(sites, tmp_path):
    with pytest.raises(CommandError, match="There is no CSV file here"):
        call_command("load_forms", str(tmp_path / "nowhere"))


def test_who_loads_is_in_the_history(load, count):
    load(patient=PATIENT)

    history = forms_by_name()["patient"].objects.model._meta.apps.get_model("crf", "PatientHistory")
    assert [row.pgh_context["door"] for row in history.objects.all()] == ["command"]
