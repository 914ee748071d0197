"""Photographs of entries: stored, replaced and taken off as values are, and shown to who may see identifiers."""

import hashlib

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from crf import attachments
from crf.attachments import NoFile, Upload
from crf.attestations import verify
from crf.entry import delete_entry, get_entry
from crf.forms import forms_by_name
from crf.locks import Target, lock
from crf.models.attachment import Attachment, AttachmentContent
from crf.models.attestation import Verification
from crf.numbering import rename_patient
from crf.refusals import Locked, NotAllowed, NotFound, ReasonNeeded, Refused, Stale
from registry.acting import Door, acting
from registry.models import AccessEvent
from registry.rights import Role
from tests.conftest import caller_now, make_person, see_everything
from tests.crf.examples import patch, saved
from tests.crf.photographs import halves, opened, picture, stored
from tests.registry.test_history import history

pytestmark = pytest.mark.django_db

LESIONS = forms_by_name()["lesion_assessment"]
PLACE = (LESIONS, "MTP-001", 1, "lesion_photo")


@pytest.fixture
def assessment(patient, coordinator):
    """An assessment of MTP-001, incomplete."""
    return saved(
        "lesion_assessment", {"lesion_clearance": 40}, by=coordinator, record_id="MTP-001", status="incomplete"
    )


def photograph(by, *, name=None, thumbnail=False, place=PLACE):
    with acting(by, door=Door.REST):
        return attachments.get_file(*place, by=by, name=name, thumbnail=thumbnail)


def removed(by, *, version, reason="of another patient"):
    with acting(by, door=Door.REST, reason=reason):
        return attachments.remove_file(*PLACE, by=by, version=version, reason=reason)


def codes(refused):
    return [problem.code for problem in refused.value.problems]


def test_a_photograph_becomes_the_value_of_its_variable(assessment, coordinator):
    entry = stored(by=coordinator, content=halves())

    found = photograph(coordinator)
    row = Attachment.objects.get()
    assert (entry.version, entry.values["lesion_photo"]) == (2, row.name)
    assert (row.width, row.height, row.size, row.stored_by_id) == (60, 40, len(found.content), coordinator.person_id)
    assert row.sha256 == hashlib.sha256(found.content).hexdigest()
    assert row.name == f"lesion_photo_{row.sha256[:16]}.jpg"
    assert found.download_name == f"MTP-001_lesion_assessment_1_{row.name}"
    assert opened(photograph(coordinator, thumbnail=True).content).format == "JPEG"


def test_the_history_tells_who_stored_it_and_the_name_it_came_with_is_nowhere(assessment, coordinator):
    upload = Upload(picture(), file_name="Marta Zwyx 1943.jpg")
    with acting(coordinator, door=Door.REST, reason="first photograph"):
        attachments.store_file(*PLACE, upload, by=coordinator, version=1)

    (_label, _key, actor), (kept, *_more) = history(LESIONS)[-1], history(Attachment)
    assert (actor["username"], actor["reason"]) == ("coordinator.mtp", "first photograph")
    assert kept[0] == "insert"
    rows = [*Attachment.objects.values(), *AttachmentContent.objects.values()]
    assert not any("Zwyx" in str(value) for row in rows for value in row.values())


def test_the_same_photograph_again_is_no_change(assessment, coordinator):
    stored(by=coordinator)

    again = stored(by=coordinator, version=2)

    assert (again.version, Attachment.objects.count()) == (2, 1)


def test_an_earlier_photograph_stays_and_can_be_stored_again(assessment, coordinator):
    first = stored(by=coordinator, content=picture(colour="red")).values["lesion_photo"]
    second = stored(by=coordinator, content=picture("PNG", colour="blue"), version=2).values["lesion_photo"]
    before = photograph(coordinator, name=first).content

    assert photograph(coordinator).content_type == "image/png"
    with acting(coordinator, door=Door.REST):
        _entry, all_of_them = attachments.stored_files(*PLACE, by=coordinator)
    assert [one.name for one in all_of_them] == [second, first]
    assert stored(by=coordinator, content=picture(colour="red"), version=3).values["lesion_photo"] == first
    assert (photograph(coordinator).content, Attachment.objects.count()) == (before, 2)


def test_taking_it_off_needs_a_reason_and_keeps_it(assessment, coordinator):
    name = stored(by=coordinator).values["lesion_photo"]
    with pytest.raises(ReasonNeeded):
        removed(coordinator, version=2, reason=None)

    entry = removed(coordinator, version=2)

    assert (entry.version, entry.values["lesion_photo"]) == (3, None)
    with pytest.raises(NoFile):
        photograph(coordinator)
    assert photograph(coordinator, name=name).content
    with pytest.raises(NoFile):
        removed(coordinator, version=3)


def test_a_complete_form_asks_why_and_what_was_verified_is_so_no_longer(assessment, coordinator):
    """Negative test 17."""
    entry = saved("lesion_assessment", by=coordinator, record_id="MTP-001", status="complete")
    monitor = caller_now(make_person(Role.MONITOR, site="MTP"))
    with acting(monitor, door=Door.REST):
        verify(LESIONS, "MTP-001", 2, version=1, by=monitor, now=timezone.now())
    with pytest.raises(ReasonNeeded):
        stored(by=coordinator, instance=entry.instance)
    assert (Attachment.objects.count(), Verification.objects.get().dropped_at) == (0, None)

    stored(by=coordinator, instance=entry.instance, reason="photograph came late")

    assert Verification.objects.get().dropped_variables == ["lesion_photo"]


def test_it_takes_the_place_of_the_reason_why_there_was_none(patient, coordinator):
    saved("lesion_assessment", by=coordinator, record_id="MTP-001", missing={"lesion_photo": "NASK"})

    assert stored(by=coordinator, reason="r").missing == {}


def test_who_was_second_is_told_and_nothing_is_kept(assessment, coordinator):
    stored(by=coordinator)

    with pytest.raises(Stale):
        stored(by=coordinator, version=1, content=halves())

    assert Attachment.objects.count() == 1


def test_a_locked_entry_keeps_its_photograph(assessment, coordinator, data_manager):
    """Negative test 10."""
    stored(by=coordinator)
    with acting(data_manager, door=Door.REST):
        lock(Target(record_id="MTP-001"), reason="cleaned", by=data_manager, now=timezone.now())

    with pytest.raises(Locked):
        stored(by=coordinator, version=2, content=halves())
    with pytest.raises(Locked):
        removed(coordinator, version=2)
    assert photograph(coordinator).content


@pytest.mark.parametrize("role", [Role.MONITOR, Role.INVESTIGATOR])
def test_who_enters_no_data_stores_and_removes_nothing(role, assessment, coordinator):
    """Negative test 7."""
    stored(by=coordinator)
    by = caller_now(make_person(role, site="MTP"))

    with pytest.raises(NotAllowed):
        stored(by=by, version=2, content=halves())
    with pytest.raises(NotAllowed):
        removed(by, version=2)


def test_who_may_not_see_identifiers_sees_no_photograph_and_leaves_no_trace_of_one(assessment, coordinator):
    stored(by=coordinator)
    before = AccessEvent.objects.count()
    monitor = caller_now(make_person(Role.MONITOR, site="MTP"))

    for call in (photograph, lambda by: photograph(by, thumbnail=True), lambda by: listed(by)):
        with pytest.raises(NotAllowed):
            call(monitor)
    assert AccessEvent.objects.count() == before


def listed(by):
    with acting(by, door=Door.REST):
        return attachments.stored_files(*PLACE, by=by)


def test_of_another_site_there_is_nothing(assessment, coordinator):
    """Negative tests 1 and 5."""
    stored(by=coordinator)
    elsewhere = caller_now(make_person(Role.COORDINATOR, site="NIM"))

    for call in (photograph, listed, lambda by: stored(by=by, version=2), lambda by: removed(by, version=2)):
        with pytest.raises(NotFound):
            call(elsewhere)


def test_each_look_leaves_a_trace_that_names_the_file(assessment, coordinator):
    name = stored(by=coordinator).values["lesion_photo"]
    before = AccessEvent.objects.count()

    photograph(coordinator)
    photograph(coordinator, thumbnail=True)

    events = AccessEvent.objects.order_by("pk")[before:]
    assert {(event.kind, event.record_id, event.details["file"]) for event in events} == {
        ("read_identifiers", "MTP-001", name)
    }
    assert len(events) == 2


@pytest.mark.parametrize(("size", "code"), [(20_001, "too_large"), (20_000, "damaged_photograph")])
def test_a_file_with_too_many_bytes_is_refused(size, code, assessment, coordinator, settings):
    settings.MAX_PHOTOGRAPH_BYTES = 20_000

    with pytest.raises(Refused) as refused:
        stored(by=coordinator, content=b"\xff\xd8\xff".ljust(size, b"\0"))

    assert codes(refused) == [code]


def test_a_file_that_is_no_picture_is_refused_at_its_variable(assessment, coordinator):
    with pytest.raises(Refused) as refused:
        stored(by=coordinator, content=b"<svg/>")

    (problem,) = refused.value.problems
    assert (problem.form, problem.record_id, problem.instance, problem.field, problem.code) == (
        "lesion_assessment",
        "MTP-001",
        1,
        "lesion_photo",
        "not_a_photograph",
    )


def test_a_name_is_no_photograph_through_other_doors(assessment, coordinator):
    name = stored(by=coordinator).values["lesion_photo"]

    assert [code for _field, code, _message in patch("lesion_assessment", {"lesion_photo": name}).unread] == [
        "file_not_a_value"
    ]


def test_the_photograph_of_a_deleted_entry_is_not_shown(assessment, coordinator):
    stored(by=coordinator)
    with acting(coordinator, door=Door.REST, reason="r"):
        delete_entry(LESIONS, "MTP-001", 1, by=coordinator, version=2, reason="r")

    with pytest.raises(NotFound):
        photograph(coordinator)


def test_photographs_follow_a_patient_who_gets_another_record_id(assessment, coordinator, data_manager):
    stored(by=coordinator)
    with acting(data_manager, door=Door.REDCAP, reason="r"):
        rename_patient("MTP-001", to="MTP-007", by=data_manager)

    found = photograph(coordinator, place=(LESIONS, "MTP-007", 1, "lesion_photo"))

    assert found.download_name.startswith("MTP-007_lesion_assessment_1_lesion_photo_")
    assert AttachmentContent.objects.get().patient_id == "MTP-007"


def test_photographs_come_in_the_order_of_their_days_with_what_is_read_beside_them(patient, coordinator):
    values = {"lesion_clearance": 60, "lesion_response": "PR"}
    saved("lesion_assessment", {"lesion_date": "2021-05-01", **values}, by=coordinator, record_id="MTP-001")
    saved("lesion_assessment", {"lesion_date": "2020-05-01"}, by=coordinator, record_id="MTP-001")
    saved("lesion_assessment", {"lesion_date": "2020-01-01"}, by=coordinator, record_id="MTP-001")
    for instance in (1, 2):
        stored(by=coordinator, instance=instance, reason="r")
    stored(by=coordinator, instance=1, version=2, content=halves(), reason="r")

    with acting(coordinator, door=Door.PAGE):
        found = attachments.photographs_of("MTP-001", by=coordinator)

    assert [(str(one.taken_on), one.entry.instance) for one in found] == [("2020-05-01", 2), ("2021-05-01", 1)]
    assert [one.stored.name for one in found] == [one.entry.values["lesion_photo"] for one in found]
    assert [value for _label, value in found[1].beside] == ["60 %", "Partial"]
    assert [value for _label, value in found[0].beside] == ["", ""]


def test_of_a_patient_of_another_site_there_are_no_photographs(assessment, coordinator):
    elsewhere = caller_now(make_person(Role.COORDINATOR, site="NIM"))

    with acting(elsewhere, door=Door.PAGE), pytest.raises(NotFound):
        attachments.photographs_of("MTP-001", by=elsewhere)


def test_the_database_keeps_a_photograph_at_the_site_of_its_patient(assessment, coordinator):
    stored(by=coordinator)
    see_everything()
    row = Attachment.objects.values().get()

    with pytest.raises(IntegrityError), transaction.atomic():
        Attachment.objects.create(**{**row, "id": None, "site_id": "NIM", "name": "other"})


def test_the_value_in_the_entry_and_the_file_come_together_or_not_at_all(assessment, coordinator, monkeypatch):
    """A fault after the entry was changed."""
    monkeypatch.setattr(attachments, "_keep", lambda *_args, **_kwargs: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        stored(by=coordinator)

    with acting(coordinator, door=Door.REST):
        assert get_entry(LESIONS, "MTP-001", 1, by=coordinator).values["lesion_photo"] is None
