"""The pages of photographs without JavaScript."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crf.locks import Target, lock
from crf.models.attachment import Attachment
from crf.models.lesion_assessment import LesionAssessment
from registry.acting import Door, acting
from registry.models import AccessEvent
from registry.rights import Role
from tests.conftest import see_everything
from tests.crf.examples import saved
from tests.crf.photographs import halves, picture, stored

pytestmark = pytest.mark.django_db

PAGE = "/patients/MTP-001/lesion_assessment/1/photograph/lesion_photo/"
ALL = "/patients/MTP-001/photographs/"


@pytest.fixture
def assessment(patient, coordinator):
    """An assessment of MTP-001, incomplete."""
    return saved("lesion_assessment", by=coordinator, record_id="MTP-001", status="incomplete")


@pytest.fixture
def typist(browser, assessment):
    """A browser of a coordinator of MTP."""
    return browser(username="typist")


def sent(client, content=None, *, version=1, do="store", page=PAGE, name="Marta Zwyx.jpg", headers=None, **fields):
    file = SimpleUploadedFile(name, picture() if content is None else content, content_type="image/jpeg")
    given = {"photograph": file} if do == "store" else {}
    return client.post(page, {**given, "version": version, "do": do, **fields}, headers=headers)


def value():
    see_everything()
    return LesionAssessment.objects.values_list("lesion_photo", "version").get(instance=1)


def pictures_on(response):
    return re.findall(r'<img[^>]* src="([^"]+)"', response.content.decode())


def test_a_photograph_is_added_replaced_and_removed(typist):
    added = sent(typist)
    first = value()
    sent(typist, halves(), version=2)
    second = value()
    removed = sent(typist, do="remove", version=3, reason="of another patient")

    assert (added.status_code, removed.status_code) == (303, 303)
    assert first[0] != second[0]
    assert value() == (None, 4)


def test_the_page_shows_it_large_and_those_before_it_small(typist):
    sent(typist)
    sent(typist, halves(), version=2)

    shown = [typist.get(address) for address in pictures_on(typist.get(PAGE))]

    assert [(one.status_code, one["Content-Type"]) for one in shown] == [(200, "image/jpeg")] * 2
    assert [one["Content-Disposition"].partition(";")[0] for one in shown] == ["attachment"] * 2
    assert [one["Content-Security-Policy"] for one in shown] == ["default-src 'none'; sandbox"] * 2


def test_each_picture_that_is_shown_leaves_a_trace(typist):
    sent(typist)
    (address,) = pictures_on(typist.get(PAGE))
    before = AccessEvent.objects.count()

    typist.get(address)

    assert AccessEvent.objects.count() == before + 1


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"<svg/>", "no JPEG or PNG photograph"), (picture()[:300], "damaged or not whole"), (b"", "no JPEG or PNG")],
)
def test_what_is_refused_is_said_beside_the_form(content, words, typist):
    answer = sent(typist, content)

    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert value() == (None, 1)


def test_without_a_file_the_form_says_so(typist):
    assert typist.post(PAGE, {"version": 1, "do": "store"}).status_code == 422


def test_a_photograph_with_too_many_bytes_is_refused_on_the_page(typist, settings):
    settings.MAX_PHOTOGRAPH_BYTES = 1_000

    assert sent(typist, picture() + b"\0" * 1_000).status_code == 422


@pytest.mark.parametrize("wrong", [{"version": ""}, {"version": "-1"}, {"version": "9" * 10}, {"do": "paint"}])
def test_a_form_that_was_changed_on_its_way_is_refused(wrong, typist):
    assert sent(typist, **wrong).status_code == 400


def test_who_was_second_sees_the_photograph_that_was_first(typist):
    sent(typist)

    answer = sent(typist, halves(), version=1)

    assert answer.status_code == 409
    assert "Somebody else has changed the form" in answer.content.decode()
    assert len(pictures_on(answer)) == 1
    assert 'name="version" value="2"' in answer.content.decode()


def test_removing_asks_why_and_keeps_the_page(typist):
    sent(typist)

    answer = sent(typist, do="remove", version=2)

    assert answer.status_code == 422
    assert 'id="photograph-why-remove-error"' in answer.content.decode()


def test_a_complete_form_asks_why_before_it_is_sent(typist, coordinator):
    saved("lesion_assessment", by=coordinator, record_id="MTP-001", status="complete")
    page = PAGE.replace("/1/", "/2/")

    assert 'id="photograph-why"' in typist.get(page).content.decode()
    assert sent(typist, page=page).status_code == 422
    assert sent(typist, page=page, reason="came late").status_code == 303


def test_a_second_click_counts_once_and_another_file_under_it_is_refused(typist):
    twice = [sent(typist, once="a") for _click in range(2)]
    other = sent(typist, halves(), once="a")

    assert [answer.status_code for answer in (*twice, other)] == [303, 303, 422]
    assert value()[1] == 2


def test_a_script_gets_parts_and_is_told_the_version(typist):
    part = {"HX-Request": "true"}

    form, refused, done = (
        typist.get(PAGE, headers=part),
        sent(typist, b"no", headers=part),
        sent(typist, headers=part),
    )

    assert [answer.status_code for answer in (form, refused, done)] == [200, 422, 200]
    assert not any(b"<html" in answer.content for answer in (form, refused, done))
    assert done["ETag"] == '"2"'
    assert len(pictures_on(done)) == 1


def test_a_locked_form_is_not_offered_and_refuses(typist, data_manager):
    with acting(data_manager, door=Door.REST):
        lock(Target(record_id="MTP-001"), reason="cleaned", by=data_manager, now=timezone.now())

    page = typist.get(PAGE).content.decode()

    assert ("locked" in page, 'type="file"' in page) == (True, False)
    assert sent(typist).status_code == 409


def test_the_monitor_reads_that_it_is_there_and_sees_nothing(typist, browser, coordinator):
    sent(typist)
    (address,) = pictures_on(typist.get(PAGE))
    monitor = browser(Role.MONITOR)

    for page in (PAGE, ALL):
        shown = monitor.get(page)
        assert (shown.status_code, pictures_on(shown)) == (200, [])
        assert "photograph is stored" in shown.content.decode()
        assert "lesion_photo_" not in shown.content.decode()
    assert [monitor.get(address).status_code, sent(monitor, version=2).status_code] == [403, 403]


def test_at_another_site_there_is_nothing(typist, browser):
    sent(typist)
    (address,) = pictures_on(typist.get(PAGE))
    elsewhere = browser(site="NIM")

    answers = [elsewhere.get(PAGE), elsewhere.get(ALL), elsewhere.get(address), sent(elsewhere, version=2)]

    assert [answer.status_code for answer in answers] == [404] * 4


@pytest.mark.parametrize("variable", ["lesion_notes", "nope"])
def test_a_variable_that_holds_no_file_has_no_page(variable, typist):
    assert typist.get(PAGE.replace("lesion_photo", variable)).status_code == 404


# All of a patient


@pytest.fixture
def three(patient, coordinator):
    """Photographs of three days."""
    for number, day in enumerate(("2020-06-01", "2020-01-01", "2021-01-01"), start=1):
        values = {"lesion_date": day, "lesion_clearance": 10 * number, "lesion_response": "PR"}
        saved("lesion_assessment", values, by=coordinator, record_id="MTP-001", status="incomplete")
        stored(by=coordinator, instance=number, content=picture(colour=(number, 0, 0)))
    see_everything()
    return list(Attachment.objects.order_by("instance"))


def large(response):
    """Return the instances that are compared, left first."""
    return [int(address.split("/")[4]) for address in pictures_on(response) if "/picture/" in address]


def test_the_first_and_the_last_day_are_compared_unless_others_are_chosen(three, browser):
    typist = browser(username="typist")
    june, january, _later = three

    assert large(typist.get(ALL)) == [2, 3]
    assert large(typist.get(f"{ALL}?left={june.pk}")) == [1, 3]
    assert large(typist.get(f"{ALL}?left={june.pk}&right={january.pk}")) == [1, 2]
    assert large(typist.get(f"{ALL}?left=x&right=0")) == [2, 3]


def test_each_photograph_has_its_day_clearance_and_response(three, browser):
    page = browser(username="typist").get(ALL).content.decode()

    strip = page[page.index('id="all"') :]
    days = re.findall(r'photograph-day">([^<]+)<', strip)
    values = re.findall(r"<dd>([^<]+)</dd>", strip)
    assert days == ["2020-01-01", "2020-06-01", "2021-01-01"]
    assert values == ["20 %", "Partial", "10 %", "Partial", "30 %", "Partial"]


def test_a_patient_without_photographs_is_told_where_they_come_from(assessment, browser):
    page = browser(username="typist").get(ALL).content.decode()

    assert "There are none yet" in page


@pytest.mark.parametrize("hostile", ['"><script>alert(1)</script>', "1 OR 1=1", "\0", "²"])
def test_what_is_no_photograph_of_the_patient_is_not_compared(hostile, three, browser):
    answer = browser(username="typist").get(ALL, {"left": hostile})

    assert (answer.status_code, large(answer)) == (200, [2, 3])
    assert b"alert(1)" not in answer.content


def test_the_number_of_queries_does_not_grow_with_the_photographs(three, browser, coordinator):
    typist = browser(username="typist")
    typist.get(ALL)
    counts = []
    for instance in (4, 5, 6):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            typist.get(ALL)
        counts.append(len(queries))
        saved("lesion_assessment", by=coordinator, record_id="MTP-001", status="incomplete")
        stored(by=coordinator, instance=instance)

    assert len(set(counts)) == 1
