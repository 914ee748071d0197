"""What a role may not export is refused here as through REST, whatever the form is made to send."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from exports import jobs
from exports.models import Job, State
from exports.own_exports import has_file
from registry.models import AccessEvent, Membership
from registry.rights import Role
from tests.conftest import see_everything
from tests.crf.examples import saved

pytestmark = pytest.mark.django_db

EXPORTS = "/exports/"
PREVIEW = "/exports/preview/"
ALL_FORMS = ["patient", "prior_treatment", "dosing", "lesion_assessment", "adverse_event"]
CONTENT = b"a workbook"
EXPORTING = [
    (Role.COORDINATOR, "MTP", {"full", "limited", "deidentified"}),
    (Role.INVESTIGATOR, "MTP", {"full", "limited", "deidentified"}),
    (Role.INVESTIGATOR, None, {"deidentified"}),
    (Role.DATA_MANAGER, None, {"full", "limited", "deidentified"}),
]


def asked(**changes):
    """What the form sends: all forms of MTP, full."""
    return {"forms": ALL_FORMS, "sites": ["MTP"], "privacy": "full", "labels": "1", "filter": "", **changes}


def seen_in(response):
    """The digest of what the page said it leaves out."""
    return re.search(r'name="seen" value="([0-9a-f]{64})"', response.content.decode())[1]


def allowed_in(response):
    """The levels that the page offers as allowed at the sites that are chosen."""
    labels = re.findall(
        r'<label class="choice( not-now)?"><input type="radio" [^>]*value="(\w+)"', response.content.decode()
    )
    return {level for not_now, level in labels if not not_now}


def ask(client, **changes):
    """Ask for an export as a browser without JavaScript: what it leaves out is shown first, then it is asked for."""
    confirmation = client.post(EXPORTS, asked(**changes))
    return client.post(EXPORTS, asked(**changes, seen=seen_in(confirmation)))


@pytest.fixture
def done(browser, export_folder, runner):
    """A client of a coordinator of MTP and their finished export."""

    def deliver(work):
        work.draft.write_bytes(CONTENT)
        work.report(50, rows={"patient": {"counted": 1, "written": 1}})
        work.deliver(name="cut.xlsx", sha256="0" * 64, size=len(CONTENT))

    runner(deliver)
    client = browser(Role.COORDINATOR)
    ask(client)
    jobs.run(Job.objects.get().pk)
    return client, Job.objects.get()


# Before asking


@pytest.mark.parametrize(("role", "site", "levels"), EXPORTING)
def test_the_levels_offered_are_those_that_the_role_allows_at_the_sites(browser, role, site, levels):
    response = browser(role, site=site).get(EXPORTS)

    assert allowed_in(response) == levels


def test_sites_that_go_together_at_one_level_only_change_the_levels_and_the_choice(browser):
    investigator = browser(Role.INVESTIGATOR, site=None)

    one = investigator.post(PREVIEW, asked(privacy="full"))
    two = investigator.post(PREVIEW, asked(sites=["MTP", "NIM"], privacy="full"))

    assert allowed_in(one) == {"full", "limited", "deidentified"}
    assert allowed_in(two) == {"deidentified"}
    assert 'value="deidentified" checked' in two.content.decode()


def test_it_is_said_what_is_left_out_and_why_and_how_many_rows_there_are(browser, data_manager):
    saved("patient", by=data_manager, site="MTP")
    saved("patient", by=data_manager, site="NIM")

    page = browser(Role.COORDINATOR).post(PREVIEW, asked(forms=["patient"], privacy="limited")).content.decode()

    assert "Marked as identifier in the data dictionary" in page
    assert "Date of birth, Notes" in page
    assert "Free text, which may name a person" in page
    assert "Patient <b>1</b>" in page
    assert "Nothing is left out" not in page


def test_a_full_export_says_that_nothing_is_left_out(browser):
    page = browser(Role.COORDINATOR).get(EXPORTS).content.decode()

    assert "Nothing is left out: identifiers and free text are in the file." in page


def test_a_deidentified_export_says_what_is_shown_in_disguise(browser):
    page = browser(Role.COORDINATOR).post(PREVIEW, asked(privacy="deidentified")).content.decode()

    assert "Shown only in disguise at this level of privacy" in page
    assert "Dosing:</span> First day at this dose, Last day at this dose" in page


def test_who_may_not_export_is_told_so_and_offered_nothing(browser):
    response = browser(Role.MONITOR, site=None).get(EXPORTS)

    assert "None of your roles allows exports." in response.content.decode()
    assert allowed_in(response) == set()


@pytest.mark.parametrize("address", [EXPORTS, PREVIEW])
def test_who_may_not_export_cannot_ask(browser, address):
    assert browser(Role.MONITOR, site=None).post(address, asked()).status_code == 403


def test_rows_that_a_filter_leaves_are_not_counted_before(browser):
    page = browser(Role.COORDINATOR).post(PREVIEW, asked(filter="[dose_mg] > 5")).content.decode()

    assert "How many rows the filter leaves is counted when the export is made." in page
    assert 'class="counts"' not in page


# Asking


def test_what_has_not_been_shown_is_shown_before_anything_is_asked_for(browser):
    coordinator = browser(Role.COORDINATOR)
    shown = seen_in(coordinator.get(EXPORTS))

    response = coordinator.post(EXPORTS, asked(privacy="limited", seen=shown))

    assert response.status_code == 200
    assert "Ask for this export?" in response.content.decode()
    assert not Job.objects.exists()


def test_what_has_been_shown_is_asked_for_at_once(browser):
    coordinator = browser(Role.COORDINATOR)

    response = coordinator.post(EXPORTS, asked(seen=seen_in(coordinator.get(EXPORTS))))

    job = Job.objects.get()
    assert (response.status_code, response["Location"]) == (303, reverse("page-export", args=[job.pk]))
    assert job.parameters == {
        "forms": ALL_FORMS,
        "sites": ["MTP"],
        "privacy": "full",
        "labels": True,
        "filter": None,
    }


def test_the_confirmation_asks_for_exactly_what_it_shows(browser):
    wanted = {"forms": ["dosing"], "privacy": "limited", "filter": "[dose_mg] > 5"}

    ask(browser(Role.COORDINATOR), **wanted)

    assert {name: Job.objects.get().parameters[name] for name in wanted} == wanted


def test_a_second_click_asks_for_nothing_twice(browser):
    coordinator = browser(Role.COORDINATOR)
    sent = asked(seen=seen_in(coordinator.get(EXPORTS)), once="a-number-of-the-page")

    first, second = coordinator.post(EXPORTS, sent), coordinator.post(EXPORTS, sent)

    assert (first["Location"], Job.objects.count()) == (second["Location"], 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"forms": []}, "Choose one form or more."),
        ({"sites": []}, "Choose one site or more."),
        ({"sites": ["NIM"]}, "sites: choose from MTP."),
        ({"forms": ["nothing"]}, "forms: choose from"),
        ({"filter": "[sex] ="}, "filter-error"),
        ({"filter": "[birth_date] <> ''", "privacy": "limited"}, "may not be in this filter"),
    ],
)
def test_a_wish_that_makes_no_export_comes_back_with_what_is_wrong_beside_its_field(browser, changes, words):
    response = browser(Role.COORDINATOR).post(EXPORTS, asked(**changes))

    assert response.status_code == 422
    assert words in response.content.decode()
    assert not Job.objects.exists()


def test_a_level_that_the_role_does_not_allow_is_refused_and_what_was_chosen_stays(browser):
    response = browser(Role.INVESTIGATOR, site=None).post(
        EXPORTS, asked(sites=["MTP", "NIM"], forms=["dosing"], privacy="full")
    )

    page = response.content.decode()
    assert response.status_code == 422
    assert "Of these sites together you may export de-identified data only." in page
    assert re.findall(r'name="forms" value="(\w+)" checked', page) == ["dosing"]
    assert re.findall(r'name="sites" value="(\w+)" checked', page) == ["MTP", "NIM"]
    assert not Job.objects.exists()


# Watching


def test_a_waiting_export_is_asked_for_again_by_the_page_until_it_has_ended(browser):
    coordinator = browser(Role.COORDINATOR)
    address = ask(coordinator)["Location"]

    waiting = coordinator.get(address, headers={"HX-Request": "true"}).content.decode()
    Job.objects.update(state=State.FAILED, error="The disk is full.", finished_at=Job.objects.get().created_at)
    failed = coordinator.get(address, headers={"HX-Request": "true"}).content.decode()

    assert 'hx-trigger="every 2s"' in waiting
    assert "hx-trigger" not in failed
    assert "The disk is full." in failed
    assert "Try again" in failed


def test_a_part_that_did_not_change_is_left_alone(browser):
    coordinator = browser(Role.COORDINATOR)
    page = coordinator.get(ask(coordinator)["Location"]).content.decode()
    watched = re.search(r'hx-get="([^"]+)"', page)[1].replace("&amp;", "&")

    assert coordinator.get(watched, headers={"HX-Request": "true"}).status_code == 204


def test_an_export_that_was_called_off_is_so_at_once(browser):
    coordinator = browser(Role.COORDINATOR)
    address = ask(coordinator)["Location"]

    response = coordinator.post(f"{address}cancel/")

    assert (response.status_code, response["Location"]) == (303, address)
    assert Job.objects.get().state == State.CANCELLED
    assert "Called off. Nothing of it was kept." in coordinator.get(address).content.decode()


def test_calling_off_what_has_ended_changes_nothing_and_says_so(done):
    client, job = done

    response = client.post(f"{EXPORTS}{job.pk}/cancel/", follow=True)

    assert "The export had ended already." in response.content.decode()
    assert Job.objects.get().state == State.DONE


def test_trying_again_asks_for_the_same_cut_as_a_new_export(browser):
    coordinator = browser(Role.COORDINATOR)
    address = ask(coordinator, privacy="limited")["Location"]
    first = Job.objects.get()
    jobs.cancel(first.pk)

    response = coordinator.post(f"{address}again/")

    again = Job.objects.exclude(pk=first.pk).get()
    assert response["Location"] == reverse("page-export", args=[again.pk])
    assert (again.parameters, again.state) == (first.parameters, State.WAITING)


# The file


def test_the_file_is_downloaded_and_that_is_noted(done):
    client, job = done

    response = client.get(f"{EXPORTS}{job.pk}/file/")

    assert b"".join(response.streaming_content) == CONTENT
    assert response["Content-Disposition"] == 'attachment; filename="cut.xlsx"'
    assert response["X-Content-Type-Options"] == "nosniff"
    see_everything()
    kinds = list(AccessEvent.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == ["asked_for_export", "fetched_export"]


def test_rights_are_looked_up_again_when_the_file_is_fetched(done):
    client, job = done
    Membership.objects.update(role=Role.MONITOR)

    response = client.get(f"{EXPORTS}{job.pk}/file/")

    assert response.status_code == 403
    assert CONTENT not in response.content


def test_who_has_left_the_site_finds_no_export_of_it(done):
    client, job = done
    Membership.objects.update(site="NIM")

    addresses = ["", "file/"]

    assert [client.get(f"{EXPORTS}{job.pk}/{end}").status_code for end in addresses] == [404, 404]
    assert "You have not asked for an export yet." in client.get(EXPORTS).content.decode()


@pytest.mark.parametrize("role", [Role.COORDINATOR, Role.DATA_MANAGER])
def test_the_export_of_somebody_else_does_not_exist(done, browser, role):
    _client, job = done
    other = browser(role, username="other")

    pages = [other.get(f"{EXPORTS}{job.pk}/{end}").status_code for end in ("", "file/")]
    forms = [other.post(f"{EXPORTS}{job.pk}/{end}/").status_code for end in ("cancel", "again", "discard")]

    assert (pages, forms) == ([404, 404], [404, 404, 404])
    assert str(job.pk) not in other.get(EXPORTS).content.decode()


def test_a_file_is_deleted_and_what_was_asked_for_stays(done):
    client, job = done

    response = client.post(f"{EXPORTS}{job.pk}/discard/", follow=True)

    page = response.content.decode()
    assert not has_file(job)
    assert "The file is deleted." in page
    assert "0" * 64 in page
    assert client.get(f"{EXPORTS}{job.pk}/file/").status_code == 410


def test_a_file_that_is_being_written_is_not_deleted(browser):
    coordinator = browser(Role.COORDINATOR)
    address = ask(coordinator)["Location"]

    assert coordinator.post(f"{address}discard/").status_code == 409


def test_a_done_export_says_what_its_manifest_says(done):
    client, job = done

    page = client.get(f"{EXPORTS}{job.pk}/").content.decode()

    for told in ("cut.xlsx", "0" * 64, "MTP", "Full", "Patient, Prior treatment, Dosing", str(job.pk)):
        assert told in page
    assert "hx-trigger" not in page


# The list


def test_the_list_asks_the_database_as_often_for_three_exports_as_for_one(browser):
    coordinator = browser(Role.COORDINATOR)
    ask(coordinator)
    with CaptureQueriesContext(connection) as of_one:
        coordinator.get(EXPORTS)
    ask(coordinator)
    ask(coordinator)

    with CaptureQueriesContext(connection) as of_three:
        page = coordinator.get(EXPORTS).content.decode()

    assert len(of_three) == len(of_one)
    assert page.count("Waiting") == 3


def test_the_list_goes_on_on_other_pages(browser):
    coordinator = browser(Role.COORDINATOR)
    ask(coordinator)
    first = Job.objects.get()
    for days in range(1, 26):
        Job.objects.create(
            kind=first.kind,
            parameters=first.parameters,
            requested_by=first.requested_by,
            sites=first.sites,
            created_at=first.created_at - timedelta(days=days),
        )

    pages = [coordinator.get(f"{EXPORTS}?page={page}").content.decode() for page in ("1", "2", "x")]

    assert [page.count('id="export-') for page in pages] == [25, 1, 25]
    assert ['href="?page=2"' in page for page in pages] == [True, False, True]
