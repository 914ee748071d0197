"""Photographs over REST (negative tests 1, 5, 11, 12 and 32)."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from crf.models.attachment import Attachment
from registry.rights import Role
from tests.crf.examples import saved
from tests.crf.photographs import halves, opened, picture, telephone
from tests.registry.test_api import problem

pytestmark = pytest.mark.django_db

ENTRY = "/api/v1/patients/MTP-001/lesion_assessment/1/"
ADDRESS = f"{ENTRY}files/lesion_photo/"
FIRST = {"If-Match": '"1"'}


@pytest.fixture
def assessment(patient, coordinator):
    """An assessment of MTP-001, incomplete."""
    return saved("lesion_assessment", by=coordinator, record_id="MTP-001", status="incomplete")


@pytest.fixture
def typist(api, assessment):
    """A client of a coordinator of MTP."""
    return api(username="typist")


def put(client, content, *, kind="image/jpeg", address=ADDRESS, **headers):
    """Send a photograph as the body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.generic("POST", address, content, content_type=kind, headers={**FIRST, **named})


def put_in_a_form(client, content, *, name="a.jpg", kind="image/jpeg", part="file"):
    file = SimpleUploadedFile(name, content, content_type=kind)
    return client.post(ADDRESS, {part: file}, headers=FIRST)


@pytest.mark.parametrize(("send", "kind"), [(put, "JPEG"), (put_in_a_form, "PNG")])
def test_a_photograph_is_stored_and_comes_back_as_what_it_is_and_nothing_else(send, kind, typist):
    answer = send(typist, halves(kind), kind=f"image/{kind.lower()}")

    found = typist.get(ADDRESS)
    name = answer.json()["lesion_photo"]
    assert (answer.status_code, answer["ETag"], answer.json()["version"]) == (200, '"2"', 2)
    assert found.status_code == 200
    assert {header: found[header] for header in ("Content-Type", "X-Content-Type-Options", "Cache-Control")} == {
        "Content-Type": f"image/{kind.lower()}",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    assert found["Content-Disposition"] == f'attachment; filename="MTP-001_lesion_assessment_1_{name}"'
    assert found["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert found["Cross-Origin-Resource-Policy"] == "same-origin"
    assert opened(found.content).format == kind


def test_what_a_telephone_wrote_beside_the_pixels_is_gone_when_it_is_read_back(typist):
    put(typist, telephone())

    assert dict(opened(typist.get(ADDRESS).content).getexif()) == {}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png"),
        (b"<html><script>alert(1)</script>", "text/html"),
        (picture(), "text/html"),
        (picture(), "image/svg+xml"),
        (picture("GIF"), "image/gif"),
        (b"{}", "application/json"),
        (b"", "image/jpeg"),
    ],
)
def test_what_is_no_photograph_is_refused_in_the_body_and_in_a_form(content, kind, typist):
    for answer in (put(typist, content, kind=kind), put_in_a_form(typist, content, kind=kind)):
        (error,) = problem(answer)["errors"]
        assert (answer.status_code, error["field"], error["code"]) == (400, "lesion_photo", "not_a_photograph")
    assert typist.get(ADDRESS).status_code == 404


@pytest.mark.parametrize("name", ["photo.svg", "photo.jpg.html", "x.exe"])
def test_a_photograph_that_is_called_something_else_is_refused(name, typist):
    assert put_in_a_form(typist, picture(), name=name).status_code == 400


@pytest.mark.parametrize(
    "name", ["../../etc/passwd.jpg", "Marta Zwyx.jpg", 'a";\r\nX-Evil: 1.jpg', "é\u202egpj.png", "<b>.jpg"]
)
def test_what_a_photograph_was_called_is_in_no_answer(name, typist):
    put_in_a_form(typist, picture(), name=name)

    told = typist.get(ADDRESS)
    assert told["Content-Disposition"].startswith('attachment; filename="MTP-001_lesion_assessment_1_lesion_photo_')
    assert "X-Evil" not in told.headers
    assert Attachment.objects.get().name in told["Content-Disposition"]


def test_a_form_without_the_part_brings_no_photograph(typist):
    assert put_in_a_form(typist, picture(), part="photo").status_code == 400


def test_two_photographs_of_one_name_do_not_meet(typist, coordinator):
    saved("lesion_assessment", by=coordinator, record_id="MTP-001", status="incomplete")
    other = ADDRESS.replace("/1/files", "/2/files")

    put(typist, picture(colour="red"))
    put(typist, picture(colour="blue"), address=other)

    assert typist.get(ADDRESS).content != typist.get(other).content


def test_more_than_the_limit_is_a_413_before_it_is_read(typist, settings):
    settings.MAX_PHOTOGRAPH_BYTES, settings.MAX_UPLOAD_BYTES = 70_000, 80_000

    answers = [put(typist, picture() + b"\0" * more) for more in (80_000, 70_000)]
    answers.append(put_in_a_form(typist, picture() + b"\0" * 70_000))

    assert [(answer.status_code, problem(answer)["code"]) for answer in answers] == [(413, "too_large")] * 3
    assert put(typist, picture()).status_code == 200


def test_a_file_that_django_does_not_hold_in_memory_is_no_photograph(typist, settings):
    """Nothing is put on a disk beside the database."""
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 100

    assert put_in_a_form(typist, picture()).status_code == 400


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [({}, 428, "version_needed"), ({"If-Match": '"9"'}, 412, "stale"), ({"If-Match": "1"}, 400, "invalid")],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_storing_and_taking_off_name_the_version(method, headers, status, code, typist):
    put(typist, picture())

    answer = typist.generic(method, ADDRESS, picture(), content_type="image/jpeg", headers=headers)

    assert (answer.status_code, problem(answer)["code"]) == (status, code)


def test_a_repeat_with_the_same_key_counts_once_and_another_photograph_is_refused(typist):
    key = {"Idempotency_Key": "photo"}
    first, again = put(typist, picture(), **key), put(typist, picture(), **key)
    other = put(typist, halves(), **key)

    assert (first.content, again["Idempotency-Replayed"]) == (again.content, "true")
    assert (other.status_code, Attachment.objects.count()) == (422, 1)


def test_taking_it_off_needs_a_reason_and_answers_with_the_entry(typist):
    put(typist, picture())
    version = {"If-Match": '"2"'}

    without = typist.delete(ADDRESS, headers=version)
    gone = typist.delete(ADDRESS, headers={**version, "X-Change-Reason": "of another patient"})

    assert (without.status_code, problem(without)["code"]) == (400, "reason_needed")
    assert (gone.status_code, gone["ETag"], gone.json()["lesion_photo"]) == (200, '"3"', None)
    assert typist.get(ADDRESS).status_code == 404
    assert typist.delete(ADDRESS, headers={"If-Match": '"3"', "X-Change-Reason": "r"}).status_code == 404


def test_what_was_stored_before_is_listed_and_read_by_its_name(typist):
    put(typist, picture())
    put(typist, halves("PNG"), If_Match='"2"')

    second, first = typist.get(f"{ADDRESS}stored/").json()["results"]

    assert (second["current"], first["current"]) == (True, False)
    assert (second["content_type"], second["width"], second["stored_by"]) == ("image/png", 60, "typist")
    assert typist.get(f"{ADDRESS}stored/{first['name']}/")["Content-Type"] == "image/jpeg"
    assert typist.get(f"{ADDRESS}stored/lesion_photo_0123456789abcdef.jpg/").status_code == 404


@pytest.mark.parametrize(
    "name", ["..%2f..%2fetc%2fpasswd", "lesion_photo_1.jpg", "%00", "lesion_photo_0123456789abcdef.svg"]
)
def test_no_path_leads_anywhere_else(name, typist):
    put(typist, picture())

    assert typist.get(f"{ADDRESS}stored/{name}/").status_code == 404


def test_a_variable_that_holds_no_file_has_no_such_address(typist):
    assert typist.get(f"{ENTRY}files/lesion_notes/").status_code == 404


def test_the_monitor_is_told_and_another_site_sees_nothing(typist, api):
    put(typist, picture())
    monitor, elsewhere = api(Role.MONITOR), api(site="NIM")

    for address in (ADDRESS, f"{ADDRESS}stored/", f"{ADDRESS}stored/{Attachment.objects.get().name}/"):
        assert (monitor.get(address).status_code, elsewhere.get(address).status_code) == (403, 404)
    assert problem(monitor.get(ADDRESS))["code"] == "not_allowed"
    assert put(elsewhere, picture()).status_code == 404


def test_nobody_gets_anything_without_a_token(typist):
    put(typist, picture())

    assert [Client().get(ADDRESS).status_code, put(Client(), picture()).status_code] == [401, 401]


@pytest.mark.parametrize("of", [ENTRY, "/api/v1/entries/"])
def test_a_name_is_refused_as_a_value_by_every_other_door(of, typist):
    name = put(typist, picture()).json()["lesion_photo"]
    item = {"form": "lesion_assessment", "record_id": "MTP-001", "values": {"lesion_photo": name}}

    if of == ENTRY:
        answer = typist.send("PATCH", of, {"lesion_photo": name}, If_Match='"2"')
    else:
        answer = typist.send("POST", of, {"entries": [item]})

    assert [error["code"] for error in problem(answer)["errors"]] == ["file_not_a_value"]
