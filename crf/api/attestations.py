"""Source data verification and signatures over REST."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from rest_framework.request import Request

from crf import attestations as service
from crf import problems
from crf.api import members
from crf.api.representation import problem_json
from crf.api.views import note_what_is_told, refusal
from crf.models.attestation import Attestation, Meaning, Signature, Verification
from crf.reading import Problem as EntryProblem
from registry.accounts.password_again import require_password
from registry.api import ApiView, answer, caller, read_body
from registry.bodies import Reader, one_of, or_null, read_members
from registry.openapi import IDEMPOTENCY_KEY, Operation, listing
from registry.problems import Problem, bad_request
from registry.rights import Right, anywhere, there

TEXT = {"type": "string"}
TIME = {"type": "string", "format": "date-time"}
STATES = ("in_force", "dropped")
DROPPED = members.object_schema(
    {
        "at": TIME,
        "variables": {"type": "array", "items": TEXT},
        "version": {"type": ["integer", "null"]},
        "by": {"type": ["string", "null"]},
        "door": TEXT,
        "reason": {"type": ["string", "null"]},
    }
)
VERIFICATION = {
    "id": {"type": "integer"},
    "site": TEXT,
    "record_id": TEXT,
    "form": TEXT,
    "instance": {"type": "integer"},
    "version": {"type": "integer"},
    "sha256": TEXT,
    "username": TEXT,
    "name": TEXT,
    "at": TIME,
    "state": {"type": "string", "enum": list(STATES)},
    "dropped": {"oneOf": [DROPPED, {"type": "null"}]},
}
SIGNATURE = {**VERIFICATION, "meaning": {"type": "string", "enum": Meaning.values}, "statement": TEXT}
SIGNED = members.object_schema({"signatures": {"type": "array", "items": members.object_schema(SIGNATURE)}})
ENTRY: Mapping[str, Reader] = {
    "form": members.form,
    "record_id": members.text,
    "instance": or_null(members.INSTANCE),
    "version": members.VERSION,
}
WHOLE_OR_ENTRY: Mapping[str, Reader] = {
    **ENTRY,
    "form": or_null(members.form),
    "version": or_null(members.VERSION),
    "meaning": one_of(Meaning.values),
    "password": members.text,
}
ATTESTING = (400, 401, 403, 404, 409, 412, 413, 415, 422)


def _in_state(rows: QuerySet[Any], value: str) -> QuerySet[Any]:
    return rows.filter(dropped_at__isnull=one_of(STATES)(value) == "in_force")


FILTERS: Mapping[str, members.Narrowed] = {
    "site": members.equals("site_id"),
    "record_id": members.equals("patient_id"),
    "form": members.equals("form"),
    "instance": members.equals("instance", members.digits),
    "username": members.equals("person__username"),
    "state": _in_state,
}


class AttestationView(ApiView):
    """A list of attestations, and new ones."""

    model: ClassVar[type[Attestation]]

    def takes_parameter(self, name: str) -> bool:
        """Return whether the list can be filtered by `name`."""
        return members.takes(FILTERS, self.request, name)

    def problem_of(self, exc: Exception) -> Problem | None:
        """Return the problem that a refusal stands for."""
        if isinstance(exc, service.NotComplete):
            return _not_complete(exc)
        if found := problems.of_an_attestation(exc):
            return found
        note_what_is_told(exc, to=self.request)
        return refusal(exc) or super().problem_of(exc)

    def listed(self, request: Request) -> HttpResponse:
        """Return a page of those the caller may see."""
        rows: QuerySet[Any] = self.model._default_manager.filter(site_id__in=caller(request).sites_with(Right.READ))
        rows = rows.select_related("person")
        return members.page(rows, FILTERS, read=attestation_json, request=request, view=self)


class Verifications(AttestationView):
    """Source data verification of entries."""

    model = Verification
    needs: ClassVar = {"get": there(Right.READ), "post": anywhere(Right.VERIFY)}

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        item = members.object_schema(VERIFICATION)
        if method == "get":
            return _listing("Source data verifications I may see", item)
        body = {name: VERIFICATION[name] for name in ENTRY}
        return Operation(
            "Attest that a version of an entry was compared with the source",
            request=members.object_schema(body, optional=("instance",)),
            responses={201: item},
            parameters=(IDEMPOTENCY_KEY,),
            problems=ATTESTING,
        )

    def get(self, request: Request) -> HttpResponse:
        """Return a page of verifications."""
        return self.listed(request)

    def post(self, request: Request) -> HttpResponse:
        """Verify an entry."""
        asked = read_members(read_body(request), ENTRY, required=["form", "record_id", "version"])
        verification = service.verify(
            asked["form"],
            asked["record_id"],
            asked.get("instance") or 1,
            version=asked["version"],
            by=caller(request),
            now=timezone.now(),
        )
        return answer(attestation_json(verification), status=201)


class Signatures(AttestationView):
    """Signatures under entries."""

    model = Signature
    needs: ClassVar = {"get": there(Right.READ), "post": anywhere(Right.SIGN)}

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            return _listing("Signatures I may see", members.object_schema(SIGNATURE))
        body = {name: SIGNATURE[name] for name in (*ENTRY, "meaning")} | {"password": TEXT}
        return Operation(
            "Sign a version of an entry, or a patient with all entries; the password is given again",
            request=members.object_schema(body, optional=("form", "instance", "version")),
            responses={201: SIGNED},
            parameters=(IDEMPOTENCY_KEY,),
            problems=ATTESTING,
        )

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Ask for the password before the transaction begins, so that a wrong one is counted and not undone."""
        super().initial(request, *args, **kwargs)
        if request.method == "POST":
            _check_password(request)

    def told_apart_by(self, request: Request) -> bytes:
        """Leave the password out of what is kept of a request: a quick digest would give it away."""
        body = read_body(request)
        return json.dumps({**body, "password": None}, sort_keys=True, default=str).encode()

    def get(self, request: Request) -> HttpResponse:
        """Return a page of signatures."""
        return self.listed(request)

    def post(self, request: Request) -> HttpResponse:
        """Sign."""
        required = ["record_id", "meaning", "password"]
        asked: dict[str, Any] = dict.fromkeys(WHOLE_OR_ENTRY) | read_members(
            read_body(request), WHOLE_OR_ENTRY, required=required
        )
        by, now, meaning = caller(request), timezone.now(), Meaning(asked["meaning"])
        form, record_id, version = asked["form"], asked["record_id"], asked["version"]
        if form is None:
            _refuse_beside_a_patient(asked)
            signatures = service.sign_patient(record_id, meaning=meaning, by=by, now=now)
        elif version is None:
            raise bad_request("version", "required", _("version: name the version that is signed."))
        else:
            instance = asked["instance"] or 1
            signatures = [
                service.sign_entry(form, record_id, instance, version=version, meaning=meaning, by=by, now=now)
            ]
        return answer({"signatures": [attestation_json(signature) for signature in signatures]}, status=201)


def _refuse_beside_a_patient(asked: Mapping[str, Any]) -> None:
    for name in ("instance", "version"):
        if asked[name] is not None:
            raise bad_request(name, "form_needed", _("Name the form as well, or leave this out to sign the patient."))


def _check_password(request: Request) -> None:
    """Raise a problem unless the password is that of the caller."""
    by = caller(request)
    if not by.may_anywhere(Right.SIGN):
        return  # refused by the service, in the words of the address: nobody tries passwords here
    password = read_members({"password": read_body(request).get("password")}, {"password": members.text})["password"]
    require_password(request._request, username=by.username, password=password)


def _not_complete(exc: service.NotComplete) -> Problem:
    message = _("Only complete forms are signed. Complete those that `errors` names first.")
    words = _("The form is not complete.")
    errors = [
        problem_json(
            EntryProblem(entry.form.form_name(), entry.record_id, entry.instance, "status", "not_complete", words)
        )
        for entry in exc.entries
    ]
    return Problem(409, "not_complete", message, errors=errors)


def _listing(summary: str, item: Mapping[str, Any]) -> Operation:
    parameters = members.list_parameters(FILTERS)
    return Operation(summary, responses={200: listing(item)}, parameters=parameters)


def attestation_json(attestation: Attestation) -> dict[str, Any]:
    """Return a verification or a signature; `dropped` says when, by which change and at which variables it ended."""
    found = {
        "id": attestation.pk,
        "site": attestation.site_id,
        "record_id": attestation.patient_id,
        "form": attestation.form,
        "instance": attestation.instance,
        "version": attestation.version,
        "sha256": attestation.sha256,
        "username": attestation.person.username,
        "name": attestation.name,
        "at": attestation.at,
        "state": "in_force" if attestation.dropped_at is None else "dropped",
        "dropped": _dropped(attestation),
    }
    if isinstance(attestation, Signature):
        with translation.override(settings.LANGUAGE_CODE):  # what was signed, in the one language of data
            statement = str(Meaning(attestation.meaning).label)
        found |= {"meaning": attestation.meaning, "statement": statement}
    return found


def _dropped(attestation: Attestation) -> dict[str, Any] | None:
    if attestation.dropped_at is None:
        return None
    actor = attestation.dropped_by or {}
    return {
        "at": attestation.dropped_at,
        "variables": attestation.dropped_variables,
        "version": attestation.dropped_version,
        "by": actor.get("username") or actor.get("database_role"),
        "door": actor.get("door"),
        "reason": actor.get("reason"),
    }
