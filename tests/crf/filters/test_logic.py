import time
from datetime import datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crf.expressions import MAX_LENGTH
from crf.filters import Asked, FilterError, parse_filter
from crf.filters.logic import MAX_OTHER_INSTANCES, MAX_REPLACEMENTS
from crf.forms import all_forms, forms_by_name
from tests.crf.examples import saved

PATIENT, DOSING, EVENT = (forms_by_name()[name] for name in ("patient", "dosing", "adverse_event"))
ASKED = Asked(
    now=datetime(2024, 2, 29),  # noqa: DTZ001 -- a filter knows no time zones
    user_name="someone",
    user_site="NIM",
    groups={"MTP": "montpellier", "NIM": "nimes"},
)


@pytest.fixture
def charts(data_manager):
    """A man with doses of 5, 10 (deleted) and 2.5 mg, and two events; a woman with a dose of 5 mg."""
    saved("patient", {"sex": "M"}, by=data_manager, record_id="MTP-001", site="MTP")
    saved("patient", {"sex": "F"}, by=data_manager, record_id="NIM-001", site="NIM")
    days = ("2020-01-01", "2020-02-01", "2020-03-01")
    for day, dose in zip(days, (5, 10, Decimal("2.5")), strict=True):
        end = {"dose_end": f"{day[:8]}28"}
        saved("dosing", {"dose_start": day, "dose_mg": dose, **end}, by=data_manager, record_id="MTP-001")
    DOSING.objects.filter(patient_id="MTP-001", instance=2).update(deleted_at="2024-01-01T00:00Z")
    saved("dosing", by=data_manager, record_id="NIM-001")
    for grade in ("1", "3"):
        saved("adverse_event", {"ae_grade": grade}, by=data_manager, record_id="MTP-001")


def rows(condition):
    """Return form name, record id and instance of the rows that are not deleted and that a condition keeps."""
    kept = []
    for form in (PATIENT, DOSING, EVENT):
        record = "patient_id" if form.repeating else "record_id"
        entries = form.objects.filter(condition(form), deleted_at__isnull=True).order_by(record, "instance")
        kept += [(form.form_name(), *row) for row in entries.values_list(record, "instance")]
    return kept


def flat(text):
    found = parse_filter(text)
    return rows(lambda form: found.condition(form, asked=ASKED))


MAN, WOMAN = ("patient", "MTP-001", 1), ("patient", "NIM-001", 1)
DOSES = [("dosing", "MTP-001", 1), ("dosing", "MTP-001", 3)]
EVENTS = [("adverse_event", "MTP-001", 1), ("adverse_event", "MTP-001", 2)]
HER_DOSE = ("dosing", "NIM-001", 1)


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("[sex] = 'F'", [WOMAN]),
        ("[ae_grade] = '3'", [EVENTS[1]]),
        ("[sex] = 'M' and [dose_mg] = 5", [DOSES[0]]),
        ("[sex] = 'M' and [dose_mg] <> 5", [MAN, DOSES[1]]),
        ("[dose_mg] > 0 or [ae_grade] > 0", [*DOSES, HER_DOSE, *EVENTS]),
        ("[dose_mg] > 0 and [ae_grade] > 0", []),
        ("[dose_mg] = '' and [ae_grade] = ''", [MAN, WOMAN]),
        ("[dosing_complete] = '2'", [*DOSES, HER_DOSE]),
        ("[ae_serious_criteria(death)] = '0'", EVENTS),
        ("[cle_subtype(dle)] = 1 and [cle_subtype(scle)] = 0", [MAN, WOMAN]),
        ("[cle_subtype] = 'dle'", [MAN, WOMAN]),
        ("[dose_mg][1] = 5", [MAN, WOMAN, *DOSES, HER_DOSE]),
        ("[dose_mg][2] = ''", [MAN, WOMAN, *DOSES, HER_DOSE]),
        ("[dose_mg][3] = 2.5", [MAN, *DOSES]),
        ("[dose_mg][first-instance] <> [dose_mg][last-instance]", [MAN, *DOSES]),
        ("[dose_mg][previous-instance] = 5", [DOSES[1]]),
        ("[dose_mg][next-instance] = 2.5", [DOSES[0]]),
        ("[dose_mg][current-instance] = 2.5", [DOSES[1]]),
        ("[dose_start][last-instance] = '2020-03-01' and [current-instance] = 3", [DOSES[1]]),
        ("[cle_subtype(dle)] = [ae_serious_criteria(death)][2]", []),
        ("[ae_serious_criteria(death)][2] = 0", [MAN, *EVENTS]),
        ("[record_id] = 'NIM-001'", [WOMAN]),
        ("[record-name] = 'MTP-001' and [dose_mg] > 2.5", [DOSES[0]]),
        ("[record-dag-name] = 'montpellier'", [MAN]),
        ("[user-dag-name] = [record-dag-name] and [user-name] = 'someone'", [WOMAN]),
        ("datediff([dose_start], 'today', 'd') < 1461", DOSES[1:]),
        ("true", [MAN, WOMAN]),
        ("false", []),
    ],
)
def test_a_filter_keeps_the_rows_of_the_flat_export_for_which_it_holds(charts, text, kept):
    assert flat(text) == kept


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("[sex] = 'F'", [WOMAN, HER_DOSE]),
        ("[ae_grade] = '3'", [MAN, *DOSES, EVENTS[1]]),
        ("[dose_mg] = 10", []),
        ("[dose_mg] = 2.5", [MAN, DOSES[1], *EVENTS]),
        ("[sex] = 'F' or [dose_mg] = 2.5", [MAN, WOMAN, DOSES[1], HER_DOSE, *EVENTS]),
    ],
)
def test_a_data_cut_keeps_patients_with_a_row_and_of_named_forms_the_rows_for_which_it_holds(charts, text, kept):
    assert rows(parse_filter(text).in_cut) == kept


@pytest.mark.django_db
def test_whole_records_are_those_of_patients_with_any_row_that_is_kept(charts):
    found = PATIENT.objects.filter(parse_filter("[dose_mg] < 5").of_records())

    assert [patient.record_id for patient in found] == ["MTP-001"]


@pytest.mark.parametrize(
    ("text", "reads", "forms"),
    [
        ("true", set(), set()),
        ("[sex] = 'F'", {"sex"}, set()),
        ("[record-name] = 'x' and [dosing_complete] = 2", {"record_id", "dosing_complete"}, {"dosing"}),
        ("contains([ae_term], [cle_subtype(dle)])", {"ae_term", "cle_subtype"}, {"adverse_event"}),
        (
            "not (-[dose_mg][2] ^ 2 * [clasi_damage] + 1 = 3)",
            {"dose_mg", "clasi_damage"},
            {"dosing", "lesion_assessment"},
        ),
    ],
)
def test_a_filter_knows_what_it_reads(text, reads, forms):
    found = parse_filter(text)

    assert (found.reads, found.forms) == (reads, forms)


@pytest.mark.parametrize(
    ("text", "only_apart"),
    [
        ("datediff([dose_start], [dose_end], 'd') > 5", {"dose_start", "dose_end"}),
        ("datediff([dose_start], [dose_end], 'd') > 5 and [dose_end] <> ''", {"dose_start"}),
        ("datediff([dose_start], '2020-01-01', 'd') > 5", set()),
        ("age_at_date([dose_start], [dose_end]) > 5", set()),
    ],
)
def test_a_filter_knows_which_dates_it_asks_only_how_far_they_are_apart(text, only_apart):
    assert parse_filter(text).reads_only_how_far_apart == only_apart


@pytest.mark.parametrize(
    "text", ["datediff([dose_start], 'TODAY', 'd') = 1", "year('now') = 1", "[user-name] = 'x'", "[user-dag-name] = ''"]
)
def test_a_filter_that_names_the_day_or_the_user_needs_to_know_them(text):
    found = parse_filter(text)

    with pytest.raises(ValueError, match="say who asks"):
        found.condition(PATIENT)
    assert found.condition(PATIENT, asked=ASKED)


@pytest.mark.parametrize(
    ("text", "code", "position"),
    [
        ("[nope] = 1", "unknown_variable", 0),
        ("1 = [__class__]", "syntax", 4),
        ("1 = [number]", "unknown_variable", 4),
        ("1 = [deleted_at]", "unknown_variable", 4),
        ("1 = [patient_id]", "unknown_variable", 4),
        ("1 = [redcap_repeat_instance]", "unknown_variable", 4),
        ("[cle_subtype(nope)] = 1", "unknown_code", 0),
        ("[sex(m)] = 1", "unknown_code", 0),
        ("[dosing_complete(2)] = 1", "unknown_code", 0),
        ("[sex][1] = 'F'", "not_supported", 0),
        ("[event-name] = 'x'", "not_supported", 0),
        ("[dose_mg][0] = 1", "out_of_range", 0),
        ("[dose_mg][32768] = 1", "out_of_range", 0),
        ("[ae_serious]", "not_a_condition", 0),
        ("[sex] = 'F' and [ae_serious]", "not_a_condition", 16),
        ("not [ae_serious]", "not_a_condition", 4),
        ("1", "not_a_condition", 0),
        ("[sex] =", "syntax", 7),
        ("[sex]='F' or " * 10_000 + "true", "too_long", MAX_LENGTH),
    ],
)
def test_what_is_no_filter_is_refused_at_its_place(text, code, position):
    with pytest.raises(FilterError) as caught:
        parse_filter(text)

    assert (caught.value.code, caught.value.position) == (code, position)
    assert caught.value.message


def test_an_instance_goes_up_to_the_greatest_and_starts_at_1():
    assert parse_filter("[dose_mg][1] = [dose_mg][32767]")


@pytest.mark.parametrize(
    ("make", "limit"),
    [
        (lambda n: " or ".join(["[dose_mg][2] = 1"] * n), MAX_OTHER_INSTANCES),
        (lambda n: "replace_text(" * n + "'a'" + ", 'a', 'b')" * n + " = ''", MAX_REPLACEMENTS),
    ],
)
def test_what_takes_time_with_every_row_is_limited(make, limit):
    assert parse_filter(make(limit))
    with pytest.raises(FilterError) as caught:
        parse_filter(make(limit + 1))
    assert caught.value.code == "too_many"


INJECTIONS = [
    "'); drop table crf_patient; --",
    "' or '1'='1",
    '" or ""="',
    "%s %(x)s {} {0} \\'",
    "$$ || pg_sleep(10) || $$",
    "x' union select 1 --",
    "***:(?i)(a+)+$",
]


@pytest.mark.django_db
@pytest.mark.parametrize("text", INJECTIONS)
def test_a_text_of_the_user_is_never_part_of_the_sql(charts, text):
    quote = '"' if "'" in text else "'"
    if quote in text:
        pytest.skip("not a text of the language")
    with CaptureQueriesContext(connection) as queries:
        said = f"{quote}{text}{quote}"
        kept = flat(f"concat([patient_notes], {said}) = {said} and contains({said}, 'x')")

    assert kept == ([MAN, WOMAN] if "x" in text else [])
    sql = parse_filter(f"[sex] = {quote}{text}{quote}").condition(PATIENT)
    assert text not in PATIENT.objects.filter(sql).query.sql_with_params()[0]
    assert len(queries) == 3


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize(
    "text",
    [
        " or ".join(["1=1"] * 500),
        "+".join(["[dose_mg]"] * 900) + " > 1",
        "*".join(["99"] * 98) + " = ''",
        "^".join(["9"] * 2) + " > 1",
        "(" * 49 + "9" + "^9)" * 49 + " = ''",
        "if(true, " * 40 + "1" + ", 2)" * 40 + " = 1",
        "replace_text(" * 5 + "'aaaa'" + f", 'a', '{'a' * 20}')" * 5 + " <> ''",
        "datediff(" * 30 + "'2020-01-01'" + ", '2020-01-01', 'd', true)" * 30 + " = ''",
        "concat(" * 45 + "[patient_notes], 'x'" + ")" * 45 + " <> ''",
        " and ".join(["[dose_mg][last-instance] > 0"] * 50),
        "contains('" + "a" * 4_000 + "', '" + "a" * 3_999 + "b') = false",
    ],
)
def test_the_largest_filters_are_answered_quickly(charts, text):
    started = time.perf_counter()

    for form in all_forms():
        list(form.objects.filter(parse_filter(text).condition(form, asked=ASKED)))

    assert time.perf_counter() - started < 60
