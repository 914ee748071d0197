"""Taking data: an export from its first choice to the opened workbook, and a figure followed down to its rows."""

import pytest
from django.core.management import call_command
from openpyxl import load_workbook
from playwright.sync_api import expect

from exports import jobs, pooled_workbook  # noqa: F401 -- does the jobs of its kind
from exports.endpoints.published import PUBLISHED
from exports.models import Job, State
from exports.recompute import recompute_stale
from registry.rights import Role
from tests.browser.conftest import violations
from tests.conftest import see_everything
from tests.exports.endpoints.cohort19 import FOLDER


@pytest.fixture
def cohort19(live_server, sites):
    """The nineteen cases, computed."""
    call_command("load_forms", str(FOLDER))
    recompute_stale()


def run_the_job():
    """Do what a worker would do."""
    see_everything()
    jobs.run(Job.objects.get(state=State.WAITING).pk)


@pytest.mark.parametrize("javascript", [True, False])
def test_an_investigator_exports_downloads_and_opens_the_workbook(at, cohort19, tmp_path, javascript):
    tab = at(Role.INVESTIGATOR, java_script_enabled=javascript)
    tab.goto("/exports/")

    tab.get_by_role("radio", name="Limited", exact=True).check()
    if javascript:
        expect(tab.locator("#preview")).to_contain_text("Date of birth, Notes")
    tab.get_by_role("button", name="Ask for this export").click()
    if not javascript:
        expect(tab.get_by_role("heading", name="Ask for this export?")).to_be_visible()
        expect(tab.locator("main")).to_contain_text("Date of birth, Notes")
        tab.get_by_role("button", name="Ask for this export").click()
    expect(tab.locator("#progress")).to_contain_text("Waiting for its turn.")
    run_the_job()
    if not javascript:
        tab.get_by_role("link", name="Look again").click()
    expect(tab.locator("#progress")).to_contain_text("Done")
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download").click()

    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    book = load_workbook(file, read_only=True)
    header, *rows = book["patient"].iter_rows(values_only=True)
    assert len(rows) == 11
    assert "birth_date" not in header
    assert ("withheld", "patient.birth_date", "marked as identifier in the data dictionary") in [
        row[:3] for row in book["manifest"].iter_rows(values_only=True)
    ]
    book.close()


def test_a_figure_is_followed_down_to_the_rows_that_decided_it(at, cohort19):
    tab = at(Role.INVESTIGATOR)

    tab.goto("/endpoints/")
    table = tab.get_by_role("region", name="Figures, overall and by site")
    for line in PUBLISHED:
        row = table.get_by_role("row").filter(has=tab.get_by_text(line.label, exact=True)).first
        expect(row).to_contain_text(line.published_text)
    table.get_by_role("link", name="12 (63.2%)").click()
    expect(tab.get_by_text("At other sites are 4 who are counted and 4 who are not.")).to_be_visible()
    tab.get_by_role("link", name="MTP-002").click()

    row = tab.locator("#bor")
    expect(row).to_contain_text("98 % clearance, no new lesions on 2012-07-13 (assessment 2): above 95 %")
    expect(row).to_contain_text("Lesion assessment 2")


def test_figures_that_are_recomputed_come_by_themselves(at, cohort19):
    tab = at(Role.MONITOR)
    tab.goto("/endpoints/")

    tab.get_by_role("button", name="Recompute").click()
    expect(tab.locator("#freshness")).to_contain_text("Being recomputed")
    run_the_job()

    expect(tab.locator("#freshness")).to_contain_text("Up to date")
    expect(tab.locator("#said")).to_have_text("Up to date")


@pytest.mark.parametrize("role", Role)
def test_each_role_sees_only_what_it_may(at, cohort19, role):
    tab = at(role)
    tab.goto("/endpoints/cr/")
    patients = tab.get_by_role("region", name="Patients").get_by_role("link").all_inner_texts()
    tab.goto("/exports/")

    assert {record_id[:3] for record_id in patients} == {"MTP"}
    expect(tab.get_by_role("button", name="Ask for this export")).to_have_count(0 if role == Role.MONITOR else 1)
    expect(tab.locator("input[name=sites]")).to_have_count(0 if role == Role.MONITOR else 1)
    assert tab.request.get("/patients/NIM-001/outcome/").status == 404
    assert tab.request.get("/endpoints/cr/NIM/").status == 404
    assert tab.request.get("/jobs/").status == (200 if role == Role.DATA_MANAGER else 403)


@pytest.mark.parametrize(("size", "dark"), [("desk", False), ("desk", True), ("tablet", False)])
def test_axe_finds_nothing_on_pages_that_have_something_to_show(at, cohort19, size, dark):
    tab = at(Role.DATA_MANAGER, site=None, size=size, dark=dark)
    tab.goto("/exports/")
    tab.get_by_role("button", name="Ask for this export").click()
    tab.wait_for_selector("#progress")
    export = tab.url
    run_the_job()

    for address in (export, "/exports/", "/endpoints/", "/endpoints/cr/", "/patients/MTP-002/outcome/", "/jobs/"):
        tab.goto(address)
        assert (address, violations(tab)) == (address, [])
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
