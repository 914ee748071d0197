"""PostgreSQL itself keeps the sites apart: what the application's role sees, and what it may not do.

Generated from the declarations on the models and from the catalogue of the database: a new table is covered by being
declared, and one that is not declared fails here. Negative test 4.
"""

import pgtrigger
import psycopg
import pytest
from django.db import NotSupportedError, ProgrammingError, connection, connections, models, transaction
from django.test.utils import isolate_apps

from crf.drafts import keep_draft
from crf.forms import all_forms, forms_by_name
from crf.judging import Place
from exports import jobs
from exports.models import Kind
from exports.recompute import recompute_stale
from registry import row_security
from registry.acting import Door, acting
from registry.callers import caller_of, create_token
from registry.management.commands import migrate
from registry.models import Person
from registry.rights import Role
from registry.row_security import UndecidedTable, access_to
from registry.settings import OWNER
from tests.conftest import SITES, Api, as_owner, caller_now, make_person, seeing
from tests.crf.examples import REPEATING, body, saved
from tests.crf.photographs import stored

TABLES = dict(row_security.tables())
OF_PEOPLE_NOT_PATIENTS = {"registry_membership", "registry_token"}
"""Tables with a site that say who may do what there; whoever is connected has to read them first."""
GUARDED = [table for table, access in TABLES.items() if access.condition]
OF_A_SITE = [table for table in GUARDED if "site_id" in TABLES[table].condition]
OF_A_PERSON = [table for table in GUARDED if table not in OF_A_SITE]


def fill():
    """Have rows of every site in every table that holds patients' data; return a person of each site."""
    people = {}
    for site in SITES:
        person = make_person(Role.COORDINATOR, site=site)
        people[site], record_id = person.pk, f"{site}-001"
        by = caller_now(person)
        key = {"Idempotency_Key": "first-patient"}
        assert Api(create_token(person)[0]).send("POST", "/api/v1/patients/", body(), **key).status_code == 201
        for form in REPEATING:
            saved(form, by=by, record_id=record_id)
        stored(record_id=record_id, by=by, reason="photograph came late")
        with acting(by, door=Door.REST):
            jobs.enqueue(Kind.ENDPOINTS, parameters={}, by=by, sites=[site])
    with seeing(",".join(SITES)):
        recompute_stale()
    for site, person_id in people.items():
        by = caller_of(person_id, now=jobs.database_time())
        saved("adverse_event", by=by, record_id=f"{site}-001")
        with acting(by, door=Door.PAGE):
            at = Place(all_forms()[0], site=site)
            keep_draft(at, {"texts": {}}, site=site, version=None, by=by, now=jobs.database_time())
    return people


@pytest.fixture
def people(sites):
    """The key of a coordinator of each site, with patients' data of each in every table."""
    return fill()


def count(connection, table, where="true"):
    return connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0]  # noqa: S608


def raw():
    """Return a connection of the application's role, as psql would make one."""
    database = connections["default"].settings_dict
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    return psycopg.connect(**{ours: database[theirs] for ours, theirs in names.items()})


def begin(connection, *, person="", sites=""):
    """Tell the database who acts, as every request does."""
    connection.execute("SELECT ecrf_begin('{}', %s, %s, NULL)", [str(person), sites])


# What is declared


def test_every_table_of_the_database_is_declared_and_guarded_as_it_is_declared(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, relrowsecurity FROM pg_class"
            " WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'm', 'v', 'f')"
        )
        found = dict(cursor.fetchall())

    assert found == {table: access.condition is not None for table, access in TABLES.items()}


def test_every_table_with_something_of_a_patient_is_guarded(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = current_schema()"
            " AND (column_name IN ('site_id', 'record_id', 'patient_id') OR column_name LIKE '%body')"
        )
        found = {table for (table,) in cursor.fetchall()}

    unguarded = OF_PEOPLE_NOT_PATIENTS | {f"{table}history" for table in OF_PEOPLE_NOT_PATIENTS}
    assert found - set(GUARDED) == unguarded | {"crf_chosengroup"}  # the site that a token was switched to
    assert {form._meta.db_table + end for form in all_forms() for end in ("", "history")} <= found


def test_the_role_has_the_declared_rights_on_every_table_and_no_other(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, string_agg(privilege_type, ', ' ORDER BY privilege_type)"
            " FROM information_schema.role_table_grants WHERE grantee IN (current_user, 'PUBLIC')"
            " AND table_schema = current_schema() GROUP BY table_name"
        )
        found = dict(cursor.fetchall())

    assert found == {table: ", ".join(sorted(access.grants.split(", "))) for table, access in TABLES.items()}


@isolate_apps("registry")
def test_a_model_that_says_nothing_is_refused_by_its_name():
    class Undecided(models.Model):  # noqa: DJ008 -- never shown
        class Meta:
            app_label = "registry"

    with pytest.raises(UndecidedTable, match=r"registry\.Undecided does not say who sees its rows"):
        access_to(Undecided)


def test_migrate_begins_nothing_while_a_table_is_undecided(monkeypatch):
    def undecided():
        raise UndecidedTable("registry.Undecided does not say who sees its rows.")
        yield

    monkeypatch.setattr(row_security, "tables", undecided)

    with pytest.raises(migrate.CommandError, match=r"registry\.Undecided does not say"):
        migrate.Command().handle(database=OWNER)


# What is seen


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_connection_sees_the_rows_of_its_transaction_and_nothing_before_or_after(people):
    with raw() as other:
        for table in GUARDED:
            assert count(other, table) == 0, table
        other.rollback()

        begin(other, person=people["MTP"], sites="MTP")
        for table in OF_A_SITE:
            with as_owner() as owner:
                there = count(owner, table, "site_id = 'MTP'")
            assert count(other, table) == count(other, table, "site_id = 'MTP'") == there, table
        for table in OF_A_PERSON:
            assert count(other, table) == 1, table
        other.commit()

        for table in GUARDED:
            assert count(other, table) == 0, table

        other.rollback()
        begin(other, person=people["MTP"], sites="MTP")
        other.rollback()
        assert [count(other, table) for table in GUARDED] == [0] * len(GUARDED)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_system_sees_every_row(people):
    with raw() as other:
        begin(other, person="system", sites=",".join(SITES))

        for table in OF_A_SITE:
            sites = f"SELECT DISTINCT site_id FROM {table}"  # noqa: S608
            with as_owner() as owner:
                assert set(other.execute(sites)) == set(owner.execute(sites)), table
        assert {count(other, table) for table in OF_A_PERSON} == {len(SITES)}


@pytest.mark.parametrize("seen", ["", "NIM", "nim,mtp", "%", "M", "MTP ", " MTP", "{MTP}", "'MTP'", ",", "NULL"])
@pytest.mark.parametrize("form", [form.form_name() for form in all_forms()])
def test_only_the_exact_code_of_the_site_shows_a_row(form, seen, coordinator):
    saved("patient", by=coordinator, record_id="MTP-001")
    if form in REPEATING:
        saved(form, by=coordinator, record_id="MTP-001")

    with seeing(seen):
        assert forms_by_name()[form].objects.count() == 0
    with seeing("STR,MTP"):
        assert forms_by_name()[form].objects.count() == 1


# What is written


@pytest.mark.parametrize("table", [table for table in OF_A_SITE if "INSERT" in TABLES[table].grants])
def test_no_row_is_put_at_changed_to_or_copied_for_another_site(table, people):
    with seeing("MTP"):
        # Policies are asked before constraints.
        statements = [f"INSERT INTO {table} (site_id) VALUES ('NIM')"]  # noqa: S608
        if "UPDATE" in TABLES[table].grants:
            if execute(f"SELECT FROM {table}"):
                statements.append(f"UPDATE {table} SET site_id = 'NIM'")  # noqa: S608
            assert execute(f"UPDATE {table} SET site_id = site_id WHERE site_id = 'NIM'") == 0  # noqa: S608
        for statement in statements:
            with pytest.raises(ProgrammingError, match="violates row-level security policy"), transaction.atomic():
                execute(statement)
        with pytest.raises(NotSupportedError, match="COPY FROM not supported with row-level security"):
            copy_into(table)


def columns_of(table):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = %s AND is_generated = 'NEVER'",
            [table],
        )
        return [f'"{name}"' if name != "site_id" else name for (name,) in cursor.fetchall() if name != "id"]


def execute(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.rowcount


def copy_into(table):
    with (
        transaction.atomic(),
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} (site_id) FROM STDIN") as copy,
    ):
        copy.write_row(("MTP",))


@pytest.mark.parametrize("table", OF_A_PERSON)
def test_no_row_is_given_to_another_person(table, people):
    column = "person_id" if "person_id" in TABLES[table].condition else "requested_by_id"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('ecrf.person', %s, true)", [str(people["MTP"])])

        with pytest.raises(ProgrammingError, match="violates row-level security policy"), transaction.atomic():
            execute(f"UPDATE {table} SET {column} = {people['NIM']}")  # noqa: S608
        assert execute(f"UPDATE {table} SET {column} = {column}") == 1  # noqa: S608


@pytest.mark.parametrize("how", ["pgtrigger", "setting"])
def test_nobody_switches_the_history_off(how, coordinator, patient):
    form = forms_by_name()["patient"]
    if how == "setting":
        execute("SELECT set_config('pgtrigger.ignore', '{crf_patient:update_update}', true)")
        form.objects.update(sex="F")
    else:
        with pgtrigger.ignore():
            form.objects.update(sex="F")

    with connection.cursor() as cursor:
        cursor.execute("SELECT pgh_label, sex FROM crf_patienthistory ORDER BY pgh_id")
        assert cursor.fetchall() == [("insert", "M"), ("update", "F")]


# What the role is


def test_the_role_has_no_power_over_policies_and_owns_nothing(db):
    with raw() as other:
        powers = "rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication"
        role = other.execute(f"SELECT {powers} FROM pg_roles WHERE rolname = current_user").fetchone()  # noqa: S608
        owned = other.execute(
            "SELECT relname::text FROM pg_class WHERE pg_has_role(relowner, 'MEMBER')"
            " UNION SELECT proname FROM pg_proc WHERE pg_has_role(proowner, 'MEMBER')"
            " UNION SELECT nspname FROM pg_namespace WHERE pg_has_role(nspowner, 'MEMBER')"
            " UNION SELECT typname FROM pg_type WHERE pg_has_role(typowner, 'MEMBER')"
            " UNION SELECT datname FROM pg_database WHERE pg_has_role(datdba, 'MEMBER')"
        ).fetchall()
        memberships = other.execute("SELECT FROM pg_auth_members WHERE pg_has_role(member, 'MEMBER')").fetchall()

    assert role == (False,) * 5
    assert (owned, memberships) == ([], [])


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (a int)",
        "CREATE TEMPORARY TABLE mine (a int)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION ecrf_sites() RETURNS text[] LANGUAGE sql AS 'SELECT NULL::text[]'",
        "CREATE EXTENSION pg_trgm",
        "CREATE ROLE mine",
        "CREATE TRIGGER mine AFTER INSERT ON crf_patient EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE POLICY mine ON crf_patient USING (true)",
        "DROP POLICY ecrf_rows ON crf_patient",
        "DROP TABLE crf_patient",
        "ALTER TABLE crf_patient DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE crf_patient DISABLE TRIGGER ALL",
        "ALTER TABLE crf_patient DISABLE TRIGGER USER",
        "ALTER ROLE CURRENT_USER BYPASSRLS",
        "SET ROLE {owner}",
        "SET SESSION AUTHORIZATION {owner}",
        "SET session_replication_role = replica",
        "SET log_min_error_statement = 'error'",
        "TRUNCATE crf_patient",
        "TRUNCATE crf_patienthistory",
        "DELETE FROM crf_patient",
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/hostname')",
    ],
)
def test_the_role_cannot(statement, db):
    owner = psycopg.sql.Identifier(connections[OWNER].settings_dict["USER"])

    with raw() as other, pytest.raises(psycopg.errors.InsufficientPrivilege):
        other.execute(psycopg.sql.SQL(statement).format(owner=owner))


def test_without_a_policy_that_hides_their_rows_a_setting_that_shows_all_is_refused(people):
    """`row_security = off` asks for an error in place of hidden rows, never for the rows."""
    execute("SET LOCAL row_security = off")

    for table in GUARDED:
        with pytest.raises(ProgrammingError, match="would be affected by row-level security"), transaction.atomic():
            execute(f"SELECT FROM {table}")


def test_people_are_there_to_be_asked_before_anything_is_set(people):
    with seeing(""):
        assert Person.objects.count() == len(SITES)
