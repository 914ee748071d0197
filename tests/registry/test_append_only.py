"""What says who did what is added to and nothing else: every table of it, whatever comes next (negative test 21)."""

import pytest
from django.db import ProgrammingError, connection, connections, migrations, transaction
from django.db.migrations.state import ProjectState

from crf.forms import forms_by_name
from registry.history import history_models
from registry.models import AccessEvent, SignInEvent
from registry.settings import OWNER
from tests.conftest import as_owner
from tests.crf.examples import saved
from tests.registry.test_history import execute, history

HISTORIES = [history._meta.db_table for history in history_models()]
EVENTS = [AccessEvent._meta.db_table, SignInEvent._meta.db_table]
DOSING = forms_by_name()["dosing"]


def refused(statement, table):
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), transaction.atomic():
        execute(statement.format(table=table))


@pytest.mark.parametrize("table", [*HISTORIES, *EVENTS, "registry_historychain"])
def test_the_application_neither_changes_nor_removes_nor_empties(table, db):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} LIMIT 0")  # noqa: S608 -- names of our tables
        column = cursor.description[0].name

    for statement in (f"UPDATE {{table}} SET {column} = DEFAULT", "DELETE FROM {table}", "TRUNCATE {table}"):  # noqa: S608 -- names of our tables
        refused(statement, table)


@pytest.mark.parametrize("table", [*HISTORIES, "registry_historychain"])
def test_the_application_adds_nothing_to_what_triggers_write(table, db):
    refused("INSERT INTO {table} DEFAULT VALUES", table)


@pytest.mark.parametrize("history_model", history_models(), ids=lambda model: model.__name__)
def test_the_application_switches_no_trigger_of_anything_tracked_off(history_model, db):
    tracked = history_model.pgh_tracked_model._meta.db_table
    for table in (tracked, history_model._meta.db_table):
        for which in ("USER", "ALL"):
            refused(f"ALTER TABLE {{table}} DISABLE TRIGGER {which}", table)


@pytest.mark.parametrize("history_model", history_models(), ids=lambda model: model.__name__)
def test_everything_tracked_has_its_three_triggers_and_each_is_on(history_model, db):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal"
            r" AND tgname ~ '^pgtrigger_(insert_insert|update_update|delete_delete)_'",
            [history_model.pgh_tracked_model._meta.db_table],
        )
        found = cursor.fetchall()

    assert (len(found), {enabled for _name, enabled in found}) == (3, {"O"})


@pytest.mark.slow
@pytest.mark.django_db(transaction=True, databases=["default", OWNER])
def test_a_data_migration_leaves_a_row_for_each_that_it_changed(coordinator, patient):
    """Negative test 20."""
    saved("dosing", by=coordinator, record_id="MTP-001")

    def double(_apps, schema_editor):
        DOSING.objects.using(schema_editor.connection.alias).update(dose_mg=10)

    with connections[OWNER].schema_editor(atomic=True) as schema_editor:
        migrations.RunPython(double).database_forwards("crf", schema_editor, ProjectState(), ProjectState())

    with as_owner() as owner:
        name = owner.info.user
    label, _key, actor = history(DOSING)[-1]
    assert (label, actor) == ("update", {"door": "sql", "database_role": name})
