"""Lock, verify and sign, through pages."""

import html

import pytest
from axes.models import AccessAttempt
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from crf.forms import Status
from crf.locks import Target, lock
from crf.models.attestation import Signature, Verification
from crf.models.dosing import Dosing
from crf.models.lock import Lock
from registry.acting import Door, acting
from registry.rights import MATRIX, Right, Role
from tests.conftest import Browser, make_person
from tests.crf.examples import saved
from tests.crf.pages.doses import DOSING, of_dose, words
from tests.crf.pages.test_beside import change
from tests.registry.test_hostile_texts import TEXTS

PASSWORD = "an iron lotus at noon"
STANDING = of_dose("page-standing")


@pytest.fixture(autouse=True)
def _quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def signer(sites):
    """An investigator of MTP with a password."""
    person = make_person(Role.INVESTIGATOR, site="MTP", username="signs")
    person.full_name = "Iris Nguyen"
    person.set_password(PASSWORD)
    person.save()
    client = Browser()
    client.sign_in(person)
    return client


def sign(client, **changes):
    """Post the form that signs the dosing period."""
    given = {"version": 1, "meaning": "approved", "password": PASSWORD, **changes}
    return client.post(of_dose("page-sign"), given)


def lock_dose(by, **place):
    """Lock the dosing period, or what `place` says."""
    target = Target(**(place or {"record_id": "MTP-001", "form": DOSING, "instance": 1}))
    with acting(by, door=Door.REST):
        return lock(target, reason="cleaned", by=by, now=timezone.now())


DEEDS = {
    "lock": (Right.LOCK, {"reason": "cleaned"}),
    "verify": (Right.VERIFY, {"version": 1}),
    "sign": (Right.SIGN, {"version": 1, "meaning": "approved", "password": PASSWORD}),
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("deed", DEEDS)
def test_each_deed_is_for_who_may_do_it(deed, role, dose, sites):
    person = make_person(role, site="MTP", username="does")
    person.set_password(PASSWORD)
    person.save()
    client = Browser()
    client.sign_in(person)
    right, given = DEEDS[deed]
    allowed = right in MATRIX[role]

    offered = of_dose(f"page-{deed}") in client.get(STANDING).content.decode()
    response = client.post(of_dose(f"page-{deed}"), given)

    assert offered is allowed
    assert response.status_code == (303 if allowed else 403)
    done = {
        "lock": Lock.objects.exists(),
        "verify": Verification.objects.exists(),
        "sign": Signature.objects.exists(),
    }
    assert done == {name: name == deed and allowed for name in DEEDS}


def test_a_signature_shows_name_time_and_meaning_and_keeps_no_password(dose, signer):
    response = sign(signer, meaning="responsible", next="/queries/", once="k")

    assert (response.status_code, response["Location"]) == (303, "/queries/")
    said = words(signer.get(STANDING))
    signature = Signature.objects.get()
    assert f"Signed Iris Nguyen · {signature.at:%Y-%m-%d %H:%M} I am responsible for these data." in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"password": "not this one"}, "This is not your password."),
        ({"password": ""}, "Give your password to sign."),
        ({"meaning": "no such"}, "Choose what the signature says."),
        ({"version": "x"}, "Load the page again"),
        ({"version": 7}, "Somebody changed the entry after you opened the page."),
    ],
)
def test_nothing_is_signed_with(given, said, dose, signer):
    response = sign(signer, **given)

    assert response.status_code in (409, 422)
    assert said in words(response)
    assert PASSWORD not in response.content.decode()
    assert not Signature.objects.exists()


def test_wrong_passwords_are_counted_as_at_the_sign_in(dose, signer):
    for _attempt in range(2):
        sign(signer, password="not this one")

    assert AccessAttempt.objects.get(username="signs").failures_since_start == 2


def test_who_has_failed_too_often_waits(dose, signer):
    for _attempt in range(10):
        response = sign(signer, password="not this one")

    assert response.status_code == 429
    assert "Too many passwords were wrong." in words(response)
    assert sign(signer).status_code == 429


def test_who_must_sign_in_with_a_second_factor_signs_nothing_without(dose, signer):
    session = signer.session
    session.pop("second_factor_of")
    session.save()

    with override_settings(REQUIRE_TOTP="everybody"):
        response = sign(signer)

    assert (response.status_code, response["Location"]) == (302, reverse("mfa_activate_totp"))
    assert not Signature.objects.exists()


def test_only_complete_forms_are_signed(patient, coordinator, signer):
    saved("dosing", by=coordinator, record_id="MTP-001", status="incomplete")
    assert Dosing.objects.get().status == Status.INCOMPLETE

    response = signer.post(reverse("page-sign", args=["MTP-001"]), {"meaning": "approved", "password": PASSWORD})

    assert response.status_code == 409
    assert "Complete these first: MTP-001 · Dosing 1." in words(response)


def test_a_patient_is_signed_with_all_forms(dose, signer):
    response = signer.post(reverse("page-sign", args=["MTP-001"]), {"meaning": "approved", "password": PASSWORD})

    assert response.status_code == 303
    assert set(Signature.objects.values_list("form", flat=True)) == {"patient", "dosing"}


def test_a_change_drops_the_signature_and_the_page_says_which(dose, signer, coordinator):
    """Negative test 17."""
    sign(signer)
    change(dose, {"dose_mg": 7}, by=coordinator)

    said = words(signer.get(STANDING))

    assert "No longer signed Iris Nguyen" in said
    assert "since coordinator.mtp changed Lenalidomide dose on a dosing day" in said


def test_what_is_verified_twice_is_told(dose, browser):
    first, second = browser(Role.MONITOR, username="first"), browser(Role.MONITOR, username="second")
    assert first.post(of_dose("page-verify"), {"version": 1}).status_code == 303

    response = second.post(of_dose("page-verify"), {"version": 1})

    assert response.status_code == 409
    assert "You or somebody else attested this, and it is in force." in words(response)


def test_a_version_that_is_not_the_present_one_is_told_before(dose, coordinator, browser):
    change(dose, {"dose_mg": 7}, by=coordinator)
    client = browser(Role.MONITOR)

    assert "Somebody changed the entry after you opened the form." in words(client.get(f"{STANDING}?version=1"))
    assert "Somebody changed" not in words(client.get(f"{STANDING}?version=2"))


@pytest.mark.parametrize(
    ("reach", "place"),
    [
        ("entry", ("MTP-001", "dosing", 1)),
        ("form", ("MTP-001", "dosing", None)),
        ("patient", ("MTP-001", None, None)),
    ],
)
def test_a_lock_reaches_as_far_as_is_said(reach, place, dose, browser):
    client = browser(Role.DATA_MANAGER)

    assert client.post(of_dose("page-lock"), {"reach": reach, "reason": "cleaned"}).status_code == 303

    assert Lock.objects.values_list("patient_id", "form", "instance").get() == place
    assert "Locked" in words(client.get(STANDING))


def test_what_is_locked_is_unlocked_with_a_reason_and_both_are_told(dose, data_manager, browser):
    placed = lock_dose(data_manager)
    client = browser(Role.DATA_MANAGER, username="lifts")
    address = reverse("page-unlock", args=[placed.pk])

    assert client.post(address, {"reason": " "}).status_code == 422
    assert client.post(address, {"reason": "late letter"}).status_code == 303
    assert client.post(address, {"reason": "again"}).status_code == 409

    said = words(client.get(STANDING))
    assert "Not locked, not verified, not signed." in said
    assert "cleaned" in said
    assert "late letter" in said


def test_a_site_is_locked_as_a_whole(dose, browser):
    client = browser(Role.DATA_MANAGER, site=None)

    assert client.post(reverse("page-lock-site", args=["MTP"]), {"reason": "frozen"}).status_code == 303

    assert Dosing.objects.get().locked
    assert "Locked the whole site" in words(client.get(reverse("page-standing-site", args=["MTP"])))


def test_the_same_place_is_not_locked_twice(dose, data_manager, browser):
    lock_dose(data_manager)

    response = browser(Role.DATA_MANAGER, username="late").post(of_dose("page-lock"), {"reason": "cleaned"})

    assert response.status_code == 409
    assert "There is a lock on exactly this already." in words(response)
    assert 'value="cleaned"' in response.content.decode()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_hostile_reasons_are_refused_or_shown_as_they_are(text, dose, browser):
    """Negative test 30."""
    client = browser(Role.DATA_MANAGER)

    response = client.post(of_dose("page-lock"), {"reason": text})

    assert response.status_code in (303, 400, 422)
    if response.status_code == 303:
        kept = Lock.objects.get().reason
        assert kept == text.strip()
        assert html.escape(kept) in client.get(STANDING).content.decode()
    else:
        assert not Lock.objects.exists()


def test_one_is_led_back_to_the_page_one_came_from(dose, browser):
    client = browser(Role.MONITOR)

    ours = client.get(STANDING, headers={"Referer": "http://testserver/patients/?a=1"}).content.decode()
    elsewhere = client.get(STANDING, headers={"Referer": "http://elsewhere.example/x"}).content.decode()

    assert 'name="next" value="/patients/?a=1"' in ours
    assert "elsewhere" not in elsewhere


ROUTES = ["page-beside", "page-lock", "page-verify", "page-sign"]


@pytest.mark.parametrize("name", ROUTES)
def test_a_form_of_another_site_is_refused(name, dose, sites):
    """Negative test 35: CSRF."""
    client = Browser(enforce_csrf_checks=True)
    client.sign_in(make_person(Role.DATA_MANAGER, username="clicks"))
    more = {"variable": "dose_mg"} if name == "page-beside" else {}

    response = client.post(of_dose(name, **more), {"text": "x", "reason": "x", "version": 1})

    assert response.status_code == 403
    assert "The page was open for too long" in words(response)


@pytest.mark.parametrize("name", [name for name in ROUTES if name != "page-beside"])
def test_a_link_does_nothing(name, dose, browser):
    assert browser(Role.DATA_MANAGER).get(of_dose(name)).status_code == 405
