"""Every change leaves a history row with its actor, whichever way it came; history is only added to."""

import json

import psycopg
import pytest
from django.apps import apps
from django.db import connection, transaction
from django.db.utils import ProgrammingError

from crf.forms import all_forms, forms_by_name
from registry.acting import Door, acting
from registry.models import Membership, Person, Site, Token
from registry.rights import Role
from tests.conftest import as_owner, make_person
from tests.crf.examples import COMPLETE, REPEATING, body, saved

FORMS = [form.form_name() for form in all_forms()]
TRACKED = [*FORMS, "site", "person", "membership", "token"]
PATIENT = forms_by_name()["patient"]
EVENT = forms_by_name()["adverse_event"]


def model_of(name):
    return forms_by_name().get(name) or {"site": Site, "person": Person, "membership": Membership, "token": Token}[name]


def history(model):
    """Return the history of a model, oldest first: what happened, to which row, and who acted."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pgh_label, pgh_obj_id, pgh_context FROM {model._meta.db_table}history ORDER BY pgh_id")  # noqa: S608
        rows = cursor.fetchall()
    return [(label, key, json.loads(actor) if isinstance(actor, str) else actor) for label, key, actor in rows]


def labels(model):
    return [label for label, _key, _actor in history(model)]


@pytest.fixture
def events(coordinator, patient):
    """Three adverse events of one patient, and no history before them."""
    for _number in range(3):
        saved("adverse_event", by=coordinator, record_id="MTP-001")
    return EVENT.objects.order_by("id")


@pytest.mark.parametrize("name", TRACKED)
def test_everything_that_is_tracked_has_a_history_table_with_each_of_its_columns(name):
    model = model_of(name)
    past = apps.get_model(model._meta.app_label, f"{model.__name__}History")
    left_out = {
        "person": {"password", "last_login", "session_generation", "must_change_password"},
        "token": {"digest", "last_used_at"},
    }.get(name, set())

    kept = {field.column for field in past._meta.local_fields if not field.name.startswith("pgh_")}

    assert kept == {field.column for field in model._meta.local_fields if field.name not in left_out}
    assert past._meta.get_field("pgh_context").null is False


def test_a_change_over_rest_names_person_token_door_and_reason(api):
    client = api(username="typist")
    client.send("POST", "/api/v1/patients/", body())
    client.send("PATCH", "/api/v1/patients/MTP-001/", {"sex": "F"}, If_Match='"1"', X_Change_Reason="typing error")
    client.send("DELETE", "/api/v1/patients/MTP-001/", If_Match='"2"', X_Change_Reason="entered twice")

    found = history(PATIENT)

    assert [label for label, _key, _actor in found] == ["insert", "update", "update"]
    assert [actor["reason"] for _label, _key, actor in found] == [None, "typing error", "entered twice"]
    for _label, _key, actor in found:
        assert (actor["username"], actor["door"]) == ("typist", "rest")
        assert actor["person"] == Person.objects.get(username="typist").pk
        assert actor["token"] == Token.objects.get().pk
    assert len({actor["request"] for _label, _key, actor in found}) == 3


@pytest.mark.parametrize("how_many", [1, 30])
def test_a_bulk_call_leaves_a_row_with_its_person_for_each_entry(how_many, api, patient):
    client = api(username="typist")
    items = [{"form": "adverse_event", "record_id": "MTP-001", "values": COMPLETE["adverse_event"]}] * how_many

    client.send("POST", "/api/v1/entries/", {"entries": items})

    assert [(label, actor["username"]) for label, _key, actor in history(EVENT)] == [("insert", "typist")] * how_many


def orm_save(events):
    event = events[0]
    event.ae_term = "Rash"
    event.save()


def orm_update(events):
    events.model.objects.filter(pk=events[0].pk).update(ae_term="Rash")


def orm_bulk_update(events):
    event = events[0]
    event.ae_term = "Rash"
    events.model.objects.bulk_update([event], ["ae_term"])


def orm_update_or_create(events):
    events.model.objects.update_or_create(pk=events[0].pk, defaults={"ae_term": "Rash"})


def raw_update(events):
    execute("UPDATE crf_adverseevent SET ae_term = 'Rash' WHERE id = %s", events[0].pk)


def raw_upsert(events):
    columns = ", ".join(f'"{field.column}"' for field in EVENT._meta.local_fields)
    execute(
        f"INSERT INTO crf_adverseevent ({columns}) SELECT {columns} FROM crf_adverseevent WHERE id = %s"  # noqa: S608
        " ON CONFLICT (id) DO UPDATE SET ae_term = 'Rash'",
        events[0].pk,
    )


def raw_merge(events):
    execute(
        "MERGE INTO crf_adverseevent e USING (SELECT %s AS id) s ON e.id = s.id"
        " WHEN MATCHED THEN UPDATE SET ae_term = 'Rash'",
        events[0].pk,
    )


def execute(sql, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


@pytest.mark.parametrize(
    "change",
    [orm_save, orm_update, orm_bulk_update, orm_update_or_create, raw_update, raw_upsert, raw_merge],
    ids=lambda way: way.__name__,
)
def test_every_way_to_change_a_row_leaves_one_history_row_with_its_actor(change, events, coordinator):
    before = len(history(EVENT))

    with acting(coordinator, door=Door.COMMAND, reason="source document"):
        change(events)

    new = history(EVENT)[before:]
    assert [(label, key, actor["username"], actor["reason"]) for label, key, actor in new] == [
        ("update", events[0].pk, coordinator.username, "source document")
    ]


def new_event(number):
    return EVENT(patient_id="MTP-001", site_id="MTP", instance=number, ae_term="Rash")


def orm_create(_copy):
    new_event(11).save()
    new_event(12).save()


def orm_bulk_create(_copy):
    EVENT.objects.bulk_create([new_event(11), new_event(12)])


def raw_insert(_copy):
    execute(
        "INSERT INTO crf_adverseevent (record_id, site_id, instance, status, version, missing, locked)"
        " SELECT 'MTP-001', 'MTP', n, 0, 1, '{}', false FROM generate_series(11, 12) n"
    )


@pytest.mark.parametrize("create", [orm_create, orm_bulk_create, raw_insert], ids=lambda way: way.__name__)
def test_every_way_to_create_rows_leaves_one_history_row_each_with_its_actor(create, patient, coordinator):
    with acting(coordinator, door=Door.COMMAND):
        create(None)

    found = history(EVENT)
    assert [(label, actor["username"]) for label, _key, actor in found] == [("insert", coordinator.username)] * 2
    assert {key for _label, key, _actor in found} == set(EVENT.objects.values_list("pk", flat=True))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_rows_that_the_owner_copies_in_and_deletes_are_in_the_history_too(patient):
    columns = "record_id, site_id, instance, status, version, missing, locked"
    with as_owner() as owner:
        name = owner.info.user
        with owner.cursor() as cursor, cursor.copy(f"COPY crf_adverseevent ({columns}) FROM STDIN") as copy:
            for number in (11, 12):
                copy.write_row(("MTP-001", "MTP", number, 0, 1, "{}", False))
        owner.execute("DELETE FROM crf_adverseevent WHERE instance = 12")

    assert [(label, actor) for label, _key, actor in history(EVENT)] == [
        (label, {"door": "sql", "database_role": name}) for label in ("insert", "insert", "delete")
    ]


def orm_delete(events):
    events[0].delete()


def orm_delete_all(events):
    events.model.objects.filter(pk=events[0].pk).delete()


def raw_delete(events):
    execute("DELETE FROM crf_adverseevent WHERE id = %s", events[0].pk)


@pytest.mark.parametrize("delete", [orm_delete, orm_delete_all, raw_delete], ids=lambda way: way.__name__)
def test_no_way_to_remove_a_row_is_open_to_the_application(delete, events):
    with pytest.raises(ProgrammingError, match="permission denied for table crf_adverseevent"), transaction.atomic():
        delete(events)

    assert (labels(EVENT), EVENT.objects.count()) == (["insert"] * 3, 3)


def test_a_cascade_leaves_a_row_for_each_row_that_went(sites):
    person = make_person(Role.MONITOR)

    person.delete()

    assert labels(Person)[-1] == labels(Membership)[-1] == "delete"


@pytest.mark.django_db(transaction=True)
def test_what_is_written_past_the_application_names_the_database_role(sites):
    execute("UPDATE registry_site SET name = 'Elsewhere' WHERE code = 'MTP'")

    label, _key, actor = history(Site)[-1]
    assert (label, actor) == ("update", {"door": "sql", "database_role": connection.settings_dict["USER"]})


@pytest.mark.parametrize("name", FORMS)
def test_an_update_that_changes_nothing_leaves_nothing(name, coordinator, patient):
    if name in REPEATING:
        saved(name, by=coordinator, record_id="MTP-001")
    table = forms_by_name()[name]._meta.db_table

    execute(f"UPDATE {table} SET site_id = site_id, version = version")  # noqa: S608 -- from the declaration

    assert labels(forms_by_name()[name]) == ["insert"]


def test_the_history_has_every_value_as_it_was(coordinator, patient):
    PATIENT.objects.update(sex="F")
    PATIENT.objects.update(sex="U", cle_subtype=["acle", "let"], diagnosis_date="2003-01")

    with connection.cursor() as cursor:
        cursor.execute("SELECT sex, cle_subtype, diagnosis_date, record_id FROM crf_patienthistory ORDER BY pgh_id")
        found = cursor.fetchall()

    assert found == [
        ("M", ["dle"], None, "MTP-001"),
        ("F", ["dle"], None, "MTP-001"),
        ("U", ["acle", "let"], "2003-01", "MTP-001"),
    ]


@pytest.fixture
def something(coordinator, patient, sites):
    """A row in the history of everything that is tracked."""
    for name in REPEATING:
        saved(name, by=coordinator, record_id="MTP-001")
    Token.objects.create(person=Person.objects.get(), digest=b"x" * 32, hint="x", expires_at="2030-01-01T00:00:00Z")
    Site.objects.filter(code="STR").update(name="Elsewhere")


CHANGES_OF_HISTORY = [
    "UPDATE {table} SET pgh_label = 'x'",
    "UPDATE {table} SET pgh_context = '{{}}'",
    "DELETE FROM {table}",
    "INSERT INTO {table} SELECT * FROM {table} ON CONFLICT (pgh_id) DO UPDATE SET pgh_label = 'x'",
]


@pytest.mark.parametrize("name", TRACKED)
@pytest.mark.parametrize(
    "statement", [*CHANGES_OF_HISTORY, "INSERT INTO {table} SELECT * FROM {table}", "TRUNCATE {table}"]
)
def test_history_is_not_the_applications_to_write(statement, name, something):
    model = model_of(name)
    table = f"{model._meta.db_table}history"
    before = history(model)
    assert before

    with pytest.raises(ProgrammingError, match=f"permission denied for table {table}"), transaction.atomic():
        execute(statement.format(table=table))

    assert history(model) == before


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statement", CHANGES_OF_HISTORY)
def test_history_is_neither_changed_nor_removed_by_its_owner(statement, something):
    for name in TRACKED:
        model = model_of(name)
        before = history(model)
        assert before

        with pytest.raises(psycopg.DatabaseError, match="Cannot update or delete"), as_owner() as owner:
            owner.execute(statement.format(table=f"{model._meta.db_table}history"))

        assert history(model) == before


@pytest.mark.parametrize("name", TRACKED)
def test_no_history_row_is_without_an_actor(name, db):
    table = f"{model_of(name)._meta.db_table}history"

    with as_owner() as owner, pytest.raises(psycopg.errors.NotNullViolation, match="pgh_context"):
        owner.execute(
            f"INSERT INTO {table} (pgh_created_at, pgh_label, pgh_chain, pgh_seq, pgh_digest)"  # noqa: S608
            " VALUES (now(), 'insert', 'x', 1, '')"
        )


def test_no_secret_is_in_the_history():
    columns = {
        field.column
        for model in (Person, Token)
        for field in apps.get_model("registry", f"{model.__name__}History")._meta.local_fields
    }

    assert columns & {"password", "digest"} == set()
