"""The pages of sites."""

import pytest
from django.utils import timezone

from registry.models import Membership, Person, Site
from registry.rights import Role
from tests.conftest import SINCE, make_person
from tests.registry.pages.conftest import errors_of


def test_a_site_is_added_and_renamed(manager):
    added = manager.post("/places/", {"code": "PAR", "name": "Paris", "once": "1"})
    renamed = manager.post("/places/PAR/", {"name": "Paris, Saint-Louis"})

    assert [(answer.status_code, answer["Location"]) for answer in (added, renamed)] == [(303, "/places/")] * 2
    assert Site.objects.get(code="PAR").name == "Paris, Saint-Louis"


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ({"code": "", "name": "Paris"}, ["This field is required."]),
        ({"code": "par", "name": "Paris"}, ["Write 2 to 8 capitals and digits, a capital first."]),
        ({"code": "PAR", "name": " "}, ["This field is required."]),
        ({"code": "NIM", "name": "Other"}, ["There is a site of this code already. Choose another one."]),
    ],
)
def test_a_site_that_cannot_be_is_refused_at_its_field(site, expected, manager):
    response = manager.post("/places/", site)

    assert (response.status_code, errors_of(response)) == (422, expected)
    assert Site.objects.count() == 3


def test_the_data_manager_of_a_site_renames_it_and_no_other(of_nim):
    assert of_nim.post("/places/NIM/", {"name": "Nîmes CHU"}).status_code == 303
    assert of_nim.post("/places/MTP/", {"name": "x"}).status_code == 404
    assert of_nim.post("/places/", {"code": "PAR", "name": "Paris"}).status_code == 422
    assert "Add a site" not in of_nim.get("/places/").content.decode()


def test_active_people_with_a_role_today_are_counted(manager):
    for number in range(2):
        make_person(Role.COORDINATOR, site="NIM", username=f"person{number}")
    make_person(Role.MONITOR, username="monitor")
    gone = make_person(Role.COORDINATOR, site="NIM", username="gone")
    Person.objects.filter(pk=gone.pk).update(is_active=False)
    over = make_person(username="over")
    Membership.objects.create(person=over, role=Role.COORDINATOR, site_id="NIM", starts_on=SINCE, ends_on=SINCE)
    Membership.objects.create(
        person=over, role=Role.MONITOR, site_id="NIM", starts_on=timezone.localdate().replace(year=2999)
    )

    rows = manager.get("/places/").context["rows"]

    assert [(row["site"].code, row["numbers"]) for row in rows] == [
        ("MTP", [(0, 0), (0, 0), (0, 1), (0, 1)]),
        ("NIM", [(2, 0), (0, 0), (0, 1), (0, 1)]),
        ("STR", [(0, 0), (0, 0), (0, 1), (0, 1)]),
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_sites_takes_the_same_queries(count, manager, django_assert_num_queries):
    for number in range(count):
        Site.objects.create(code=f"X{number}", name="x")
    manager.get("/places/")

    with django_assert_num_queries(6):
        assert len(manager.get("/places/").context["rows"]) == 3 + count
