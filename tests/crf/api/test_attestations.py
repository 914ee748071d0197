"""Source data verification and signatures over REST."""

import pytest

from crf.models.attestation import Signature
from registry.callers import create_token
from registry.models import IdempotentAnswer
from registry.rights import Role
from tests.conftest import Api, make_person
from tests.crf.examples import saved
from tests.registry.test_api import codes, problem

VERIFICATIONS, SIGNATURES = "/api/v1/verifications/", "/api/v1/signatures/"
DOSE = {"form": "dosing", "record_id": "MTP-001", "instance": 1, "version": 1}
PASSWORD = "a lesion a day"
SIGNED = {**DOSE, "meaning": "approved", "password": PASSWORD}


@pytest.fixture
def dose(coordinator, patient):
    """The dosing period of MTP-001."""
    return saved("dosing", by=coordinator, record_id="MTP-001")


@pytest.fixture
def investigator(sites):
    """An investigator of MTP with a token and a password."""
    person = make_person(Role.INVESTIGATOR, site="MTP", username="investigator.mtp")
    person.full_name = "Investigator of Montpellier"
    person.set_password(PASSWORD)
    person.save()
    return Api(create_token(person)[0])


@pytest.fixture
def monitor(api):
    """A monitor of MTP."""
    return api(Role.MONITOR, username="monitor.mtp")


def change(api, changes):
    """Change the dosing period."""
    typist = api(Role.COORDINATOR, username="typist")
    path = "/api/v1/patients/MTP-001/dosing/1/"
    assert typist.send("PATCH", path, changes, If_Match='"1"', X_Change_Reason="source").status_code == 200


def test_a_verification_is_shown_with_name_time_and_digest_and_drops_with_its_trace(monitor, api, dose):
    posted = monitor.send("POST", VERIFICATIONS, DOSE)
    assert posted.status_code == 201
    (shown,) = monitor.get(VERIFICATIONS).json()["results"]
    assert shown == posted.json()
    assert (shown["username"], shown["version"], shown["state"], shown["dropped"]) == (
        "monitor.mtp",
        1,
        "in_force",
        None,
    )
    assert len(shown["sha256"]) == 64

    change(api, {"dose_mg": 10})

    (shown,) = monitor.get(VERIFICATIONS).json()["results"]
    assert shown["state"] == "dropped"
    assert {**shown["dropped"], "at": None} == {
        "at": None,
        "variables": ["dose_mg"],
        "version": 2,
        "by": "typist",
        "door": "rest",
        "reason": "source",
    }


def test_a_signature_shows_name_time_and_meaning(investigator, dose):
    posted = investigator.send("POST", SIGNATURES, SIGNED)

    assert posted.status_code == 201
    (signature,) = posted.json()["signatures"]
    assert investigator.get(SIGNATURES).json()["results"] == [signature]
    shown = {name: signature[name] for name in ("name", "meaning", "statement", "state")}
    assert shown == {
        "name": "Investigator of Montpellier",
        "meaning": "approved",
        "statement": "I approve these data.",
        "state": "in_force",
    }


def test_a_patient_is_signed_as_a_whole(investigator, dose):
    posted = investigator.send(
        "POST", SIGNATURES, {"record_id": "MTP-001", "meaning": "responsible", "password": PASSWORD}
    )

    assert [signature["form"] for signature in posted.json()["signatures"]] == ["patient", "dosing"]


@pytest.mark.parametrize("password", ["another", PASSWORD.upper()])
def test_a_token_without_the_password_signs_nothing(password, investigator, dose):
    refused = investigator.send("POST", SIGNATURES, {**SIGNED, "password": password})

    assert (refused.status_code, problem(refused)["code"]) == (403, "wrong_password")
    assert not Signature.objects.exists()


def test_wrong_passwords_lock_out_like_those_of_the_sign_in(investigator, dose):
    refused = [investigator.send("POST", SIGNATURES, {**SIGNED, "password": "another"}) for _time in range(5)]
    right = investigator.send("POST", SIGNATURES, SIGNED)

    assert [response.status_code for response in refused] == [403] * 4 + [429]
    assert (right.status_code, problem(right)["code"], right["Retry-After"]) == (429, "locked_out", "900")
    assert not Signature.objects.exists()


@pytest.mark.parametrize("password", [None, "", 5])
def test_a_password_has_to_be_a_text(password, investigator, dose):
    refused = investigator.send("POST", SIGNATURES, {**SIGNED, "password": password})

    assert [field for field, _code in codes(refused)] == ["password"]


def test_the_password_of_somebody_else_signs_nothing(investigator, dose):
    other = make_person(Role.INVESTIGATOR, site="MTP", username="other")
    other.set_password("somebody else's")
    other.save()

    refused = investigator.send("POST", SIGNATURES, {**SIGNED, "password": "somebody else's"})

    assert problem(refused)["code"] == "wrong_password"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"meaning": "seen"}, ("meaning", "unknown_code")),
        ({"version": None}, ("version", "required")),
        ({"version": "1"}, ("version", "wrong_type")),
        ({"form": None}, ("instance", "form_needed")),
        ({"form": None, "instance": None}, ("version", "form_needed")),
        ({"signed": True}, ("signed", "unknown_field")),
    ],
)
def test_a_signature_that_cannot_be_read_is_a_400(changes, error, investigator, dose):
    assert codes(investigator.send("POST", SIGNATURES, {**SIGNED, **changes})) == [error]


def test_an_older_version_is_a_412_with_what_is_saved(investigator, monitor, api, dose):
    change(api, {"dose_mg": 10})

    for refused in (investigator.send("POST", SIGNATURES, SIGNED), monitor.send("POST", VERIFICATIONS, DOSE)):
        assert (refused.status_code, refused.json()["current"]["dose_mg"]) == (412, 10)


def test_only_complete_forms_are_signed(investigator, coordinator, patient):
    saved("dosing", by=coordinator, record_id="MTP-001", status="incomplete")

    refused = investigator.send("POST", SIGNATURES, SIGNED)

    assert (refused.status_code, problem(refused)["code"]) == (409, "not_complete")
    (error,) = refused.json()["errors"]
    assert (error["form"], error["instance"], error["field"], error["code"]) == ("dosing", 1, "status", "not_complete")


def test_the_same_is_attested_once(investigator, monitor, dose):
    for client, path, body in ((investigator, SIGNATURES, SIGNED), (monitor, VERIFICATIONS, DOSE)):
        assert client.send("POST", path, body).status_code == 201
        again = client.send("POST", path, body)
        assert (again.status_code, problem(again)["code"]) == (409, "already_attested")


@pytest.mark.parametrize("role", [Role.COORDINATOR, Role.DATA_MANAGER])
def test_others_attest_nothing(role, api, dose):
    client = api(role, username="somebody")

    for path, body in ((SIGNATURES, SIGNED), (VERIFICATIONS, DOSE)):
        refused = client.send("POST", path, body)
        assert (refused.status_code, problem(refused)["code"]) == (403, "not_allowed")


def test_what_another_site_has_is_not_there(investigator, monitor, data_manager):
    saved("patient", by=data_manager, site="NIM")
    saved("dosing", by=data_manager, record_id="NIM-001")

    for client, path, body in ((investigator, SIGNATURES, SIGNED), (monitor, VERIFICATIONS, DOSE)):
        foreign, unknown = [
            client.send("POST", path, {**body, "record_id": record_id}) for record_id in ("NIM-001", "NIM-002")
        ]
        assert (foreign.status_code, foreign.content) == (404, unknown.content)


def test_the_lists_are_filtered_and_show_nothing_of_another_site(investigator, monitor, api, dose):
    investigator.send("POST", SIGNATURES, SIGNED)
    change(api, {"dose_mg": 10})
    investigator.send("POST", SIGNATURES, {**SIGNED, "version": 2})

    def number(parameters, client=investigator):
        return len(client.get(f"{SIGNATURES}?{parameters}").json()["results"])

    assert [number(f"state={state}") for state in ("in_force", "dropped")] == [1, 1]
    filters = ("record_id=MTP-001", "form=dosing", "instance=1", "username=investigator.mtp", "form=patient")
    assert [number(text) for text in filters] == [2, 2, 2, 2, 0]
    assert number("", client=api(Role.MONITOR, site="NIM", username="other")) == 0


def test_a_repeat_with_the_same_key_signs_once_and_needs_the_password_again(investigator, dose):
    first, again = [investigator.send("POST", SIGNATURES, SIGNED, Idempotency_Key="k1") for _time in range(2)]
    wrong = investigator.send("POST", SIGNATURES, {**SIGNED, "password": "another"}, Idempotency_Key="k1")

    assert (first.status_code, again.content, again["Idempotency-Replayed"]) == (201, first.content, "true")
    assert wrong.status_code == 403
    assert Signature.objects.count() == 1


def test_a_wrong_password_uses_up_no_key_and_the_password_is_in_nothing_that_is_kept(investigator, dose):
    investigator.send("POST", SIGNATURES, {**SIGNED, "password": "another"}, Idempotency_Key="k1")
    signed = investigator.send("POST", SIGNATURES, SIGNED, Idempotency_Key="k1")
    other_body = investigator.send("POST", SIGNATURES, {**SIGNED, "meaning": "reviewed"}, Idempotency_Key="k1")

    assert (signed.status_code, other_body.status_code) == (201, 422)
    assert PASSWORD.encode() not in bytes(IdempotentAnswer.objects.get().body)
