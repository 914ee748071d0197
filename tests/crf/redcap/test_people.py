"""Groups, users and roles. Rows 44 to 49 of the checklist."""

import pytest
from lxml import etree

from registry.models import Membership, Person, Site
from registry.rights import Role
from tests.conftest import SINCE, make_person

pytestmark = pytest.mark.django_db

IN_A_GROUP = (
    "You do not have permission to export/import/delete Data Access Groups because you have been assigned to a "
    "Data Access Group."
)
USER = [
    "username",
    "email",
    "firstname",
    "lastname",
    "expiration",
    "data_access_group",
    "data_access_group_id",
    "design",
    "alerts",
    "user_rights",
    "data_access_groups",
    "reports",
    "stats_and_charts",
    "manage_survey_participants",
    "calendar",
    "data_import_tool",
    "data_comparison_tool",
    "logging",
    "email_logging",
    "file_repository",
    "data_quality_create",
    "data_quality_execute",
    "api_export",
    "api_import",
    "api_modules",
    "mobile_app",
    "mobile_app_download_data",
    "record_create",
    "record_rename",
    "record_delete",
    "lock_records_all_forms",
    "lock_records",
    "lock_records_customization",
    "forms",
    "forms_export",
]
FORMS = ["patient", "prior_treatment", "dosing", "lesion_assessment", "adverse_event"]


def ids(caller):
    return [row["record_id"] for row in caller("record", format="json", fields=["record_id"]).json]


# Groups


def test_the_sites_are_the_groups(manager):
    """Row 44."""
    rows = manager("dag", format="json").json

    assert list(rows[0]) == ["data_access_group_name", "unique_group_name", "data_access_group_id"]
    assert [(row["data_access_group_name"], row["unique_group_name"]) for row in rows] == [
        ("Montpellier", "mtp"),
        ("Nîmes", "nim"),
        ("Strasbourg", "str"),
    ]
    assert len({row["data_access_group_id"] for row in rows}) == 3
    assert all(0 < row["data_access_group_id"] < 2**31 for row in rows)
    assert manager("dag", format="csv", csvDelimiter=";").text.splitlines()[0].count(";") == 2


@pytest.mark.parametrize("action", ["export", "import", "delete", ""])
def test_a_member_of_a_group_is_refused_in_the_exact_words(redcap, action):
    """Row 44: the R client knows by them that there are groups."""
    answer = redcap(Role.COORDINATOR, site="MTP")("dag", action=action, format="csv", data="", dags=["mtp"])

    assert (answer.status, answer.text) == (403, f"ERROR: {IN_A_GROUP}")


def test_in_a_study_of_one_site_nobody_is_in_a_group(redcap, sites):
    coordinator = redcap(Role.COORDINATOR, site="MTP")
    Site.objects.exclude(code="MTP").delete()

    assert len(coordinator("dag", format="json").json) == 1


@pytest.mark.parametrize("action", ["import", "delete"])
def test_groups_are_changed_elsewhere(manager, action):
    answer = manager("dag", action=action, format="json", data="[]", dags=["mtp"])

    assert answer.error == (403, "You do not have API Import/Update privileges")


def test_a_token_switches_to_a_group_and_back(manager, cohort):
    """Row 45."""
    assert manager("dag", action="switch", dag="nim").text == "1"
    assert ids(manager) == ["NIM-001"]
    assert manager("record", action="delete", records=["MTP-001"], format="json").status == 400
    assert manager("dag", format="json").error == (403, IN_A_GROUP)

    assert manager("dag", action="switch", dag="mtp").text == "1"
    assert ids(manager) == ["MTP-001", "MTP-002"]

    assert manager("dag", action="switch", dag="").text == "1"
    assert ids(manager) == ["MTP-001", "MTP-002", "NIM-001"]


@pytest.mark.parametrize("name", ["xyz", "MTP-001", "str' OR 1=1"])
def test_an_unknown_group_is_told_with_status_200(manager, cohort, name):
    """Row 45: where clients look for it."""
    answer = manager("dag", action="switch", dag=name, returnFormat="csv")

    assert answer.status == 200
    assert answer.text.startswith("ERROR:")
    assert len(ids(manager)) == 3


def test_a_switch_never_widens_a_token(redcap, cohort):
    narrow = redcap(Role.DATA_MANAGER, token_site="NIM", username="narrow")

    assert narrow("dag", action="switch", dag="mtp").text.startswith("ERROR:")
    assert narrow("dag", action="switch", dag="").text == "1"
    assert ids(narrow) == ["NIM-001"]


def test_a_switch_is_of_one_token_only(manager, redcap, cohort):
    manager("dag", action="switch", dag="nim")

    assert len(ids(redcap(username="another"))) == 3


def test_a_group_that_a_person_has_left_gives_nothing(redcap, cohort):
    both = redcap(Role.COORDINATOR, site="MTP", username="both")
    person = Person.objects.get(username="both")
    second = Membership.objects.create(person=person, role=Role.COORDINATOR, site_id="NIM", starts_on=SINCE)
    both("dag", action="switch", dag="nim")

    second.delete()

    assert both("record", format="json").error == (403, "You do not have API Export privileges")


# People


@pytest.fixture
def people(sites):
    """A coordinator of MTP, an investigator of all sites and somebody whose role has ended."""
    coordinator = make_person(Role.COORDINATOR, site="MTP", username="anne")
    Person.objects.filter(pk=coordinator.pk).update(full_name="Anne Éluard", email="anne@example.org")
    make_person(Role.INVESTIGATOR, username="ines")
    make_person(Role.MONITOR, username="gone").memberships.update(ends_on=SINCE)


def test_people_with_their_rights(manager, people):
    """Row 47."""
    anne, ines, me = manager("user", format="json").json

    assert list(anne) == USER
    assert [anne[name] for name in USER[:6]] == ["anne", "anne@example.org", "Anne", "Éluard", "", "mtp"]
    rights = ("user_rights", "api_export", "api_import", "record_delete", "lock_records")
    assert [[row[name] for name in rights] for row in (anne, ines, me)] == [
        [0, 1, 1, 1, 0],
        [0, 1, 0, 0, 0],
        [1, 1, 1, 1, 1],
    ]
    assert anne["forms"] == dict.fromkeys(FORMS, 1)
    assert ines["forms"] == dict.fromkeys(FORMS, 2)
    assert ines["forms_export"] == dict.fromkeys(FORMS, 1)


def test_people_as_csv_and_xml(manager, people):
    """Row 47: what the R client parses."""
    (anne, *_others) = manager("user", format="csv").csv

    assert anne["forms"] == ",".join(f"{name}:1" for name in FORMS)
    root = etree.fromstring(manager("user").body)
    assert (root.tag, root[0].findtext("forms/dosing")) == ("users", "1")


def test_roles(manager):
    """Row 48: flags are texts here; the export rights are filled."""
    rows = manager("userRole", format="json").json

    assert [row["role_label"] for row in rows] == ["Site coordinator", "Investigator", "Data manager", "Monitor"]
    assert list(rows[0])[2:25] == USER[7:30]
    assert list(rows[0])[25:] == [*reversed(USER[30:33]), "forms", "forms_export"]
    assert {len(row["unique_role_name"]) for row in rows} == {12}
    assert [row["api_export"] for row in rows] == ["1", "1", "1", "0"]
    assert manager("userRole", format="csv").csv[3]["forms_export"] == ",".join(f"{name}:0" for name in FORMS)


def test_who_is_in_which_group_and_role(manager, people):
    """Rows 46 and 49."""
    groups = manager("userDagMapping", format="json").json
    roles = manager("userRoleMapping", format="csv").csv

    assert groups == [
        {"username": "anne", "redcap_data_access_group": "mtp"},
        {"username": "ines", "redcap_data_access_group": ""},
        {"username": "manager", "redcap_data_access_group": ""},
    ]
    names = {row["role_label"]: row["unique_role_name"] for row in manager("userRole", format="json").json}
    assert [row["unique_role_name"] for row in roles] == [
        names["Site coordinator"],
        names["Investigator"],
        names["Data manager"],
    ]
    assert list(roles[0]) == ["username", "unique_role_name", "data_access_group"]


def test_somebody_in_a_group_sees_its_members_only(redcap, people):
    narrow = redcap(Role.DATA_MANAGER, token_site="MTP", username="narrow")

    assert [row["username"] for row in narrow("user", format="json").json] == ["anne"]


@pytest.mark.parametrize("content", ["user", "userRole", "userRoleMapping", "userDagMapping"])
def test_only_who_manages_people_sees_them_and_nobody_changes_them_here(redcap, manager, content):
    for role in (Role.COORDINATOR, Role.INVESTIGATOR, Role.MONITOR):
        assert redcap(role, site="MTP")(content, format="json").status == 403
    refused = (403, "You do not have API Import/Update privileges")
    assert manager(content, format="json", data="[]").error == refused
    assert manager(content, format="json", action="import", data="[]").error == refused
