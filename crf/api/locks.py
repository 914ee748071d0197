"""Locks over REST: list, lock, unlock."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.request import Request

from crf import locks as service
from crf import problems
from crf.api import members
from crf.api.views import refusal
from crf.models.lock import Lock
from registry.api import ApiView, answer, caller, read_body
from registry.bodies import Reader, one_of, or_null, read_members
from registry.openapi import IDEMPOTENCY_KEY, Operation, listing
from registry.problems import Problem, bad_request, not_found
from registry.rights import Right, anywhere, there

NULLABLE_TEXT = {"type": ["string", "null"]}
NULLABLE_TIME = {"type": ["string", "null"], "format": "date-time"}
STATES = ("in_force", "lifted")
LOCK = members.object_schema(
    {
        "id": {"type": "integer"},
        "site": {"type": "string"},
        "record_id": NULLABLE_TEXT,
        "form": NULLABLE_TEXT,
        "instance": {"type": ["integer", "null"]},
        "reason": {"type": "string"},
        "state": {"type": "string", "enum": list(STATES)},
        "locked_at": {"type": "string", "format": "date-time"},
        "locked_by": NULLABLE_TEXT,
        "unlocked_at": NULLABLE_TIME,
        "unlocked_by": NULLABLE_TEXT,
        "unlock_reason": NULLABLE_TEXT,
    }
)
TARGET: Mapping[str, Reader] = {
    "site": or_null(members.text),
    "record_id": or_null(members.text),
    "form": or_null(members.form),
    "instance": or_null(members.INSTANCE),
}
CHANGING = (400, 401, 403, 404, 409, 413, 415, 422)


def _in_state(rows: QuerySet[Any], value: str) -> QuerySet[Any]:
    return rows.filter(unlocked_at__isnull=one_of(STATES)(value) == "in_force")


FILTERS: Mapping[str, members.Narrowed] = {
    "site": members.equals("site_id"),
    "record_id": members.equals("patient_id"),
    "form": members.equals("form"),
    "state": _in_state,
}


class LockView(ApiView):
    """A view of locks: translates what the service raises into problems."""

    def problem_of(self, exc: Exception) -> Problem | None:
        """Return the problem that a refusal stands for."""
        return problems.of_a_lock(exc) or refusal(exc) or super().problem_of(exc)


class Locks(LockView):
    """The locks the caller may see, and new ones."""

    needs: ClassVar = {"get": there(Right.READ), "post": anywhere(Right.LOCK)}

    def takes_parameter(self, name: str) -> bool:
        """Return whether the list can be filtered by `name`."""
        return members.takes(FILTERS, self.request, name)

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            parameters = members.list_parameters(FILTERS)
            return Operation("Locks I may see", responses={200: listing(LOCK)}, parameters=parameters)
        places = {name: LOCK["properties"][name] for name in TARGET}
        return Operation(
            "Lock a site, a patient, a form of a patient or an instance",
            request=members.object_schema({**places, "reason": {"type": "string"}}, optional=list(TARGET)),
            responses={201: LOCK},
            parameters=(IDEMPOTENCY_KEY,),
            problems=CHANGING,
        )

    def get(self, request: Request) -> HttpResponse:
        """Return a page of locks."""
        rows = _with_people(service.visible_locks(caller(request)))
        return members.page(rows, FILTERS, read=lock_json, request=request, view=self)

    def post(self, request: Request) -> HttpResponse:
        """Lock a place."""
        asked = read_members(read_body(request), {**TARGET, "reason": members.text}, required=["reason"])
        reason = asked.pop("reason")
        placed = service.lock(_target(asked), reason=reason, by=caller(request), now=timezone.now())
        return _read(placed.pk, request, status=201, headers={"Location": f"{request.path}{placed.pk}/"})


class LockDetail(LockView):
    """One lock."""

    needs: ClassVar = {"get": there(Right.READ)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation("One lock", responses={200: LOCK})

    def get(self, request: Request, lock_id: int) -> HttpResponse:
        """Return the lock."""
        return _read(lock_id, request)


class Unlock(LockView):
    """A lock is lifted."""

    needs: ClassVar = {"post": there(Right.LOCK)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation(
            "Lift a lock",
            request=members.object_schema({"reason": {"type": "string"}}),
            responses={200: LOCK},
            parameters=(IDEMPOTENCY_KEY,),
            problems=CHANGING,
        )

    def post(self, request: Request, lock_id: int) -> HttpResponse:
        """Lift the lock."""
        service.refuse_unless_allowed(lock_id, by=caller(request))
        given = read_members(read_body(request), {"reason": members.text}, required=["reason"])
        service.unlock(lock_id, reason=given["reason"], by=caller(request), now=timezone.now())
        return _read(lock_id, request)


def _target(asked: Mapping[str, Any]) -> service.Target:
    """Return the place that was asked for; refuse one that hangs in the air."""
    asked = dict.fromkeys(TARGET) | dict(asked)
    if asked["record_id"] is None and asked["site"] is None:
        raise bad_request("record_id", "required", _("Name a patient, or a site to lock as a whole."))
    if asked["form"] is not None and asked["record_id"] is None:
        raise bad_request("record_id", "required", _("Name the patient whose form it is."))
    if asked["instance"] is not None and asked["form"] is None:
        raise bad_request("form", "required", _("Name the form whose instance it is."))
    return service.Target(**asked)


def _with_people(rows: QuerySet[Lock]) -> QuerySet[Lock]:
    return rows.select_related("locked_by", "unlocked_by")


def _read(
    lock_id: int, request: Request, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    found = _with_people(service.visible_locks(caller(request))).filter(pk=lock_id).first()
    if found is None:
        raise not_found()
    return answer(lock_json(found), status=status, headers=headers)


def lock_json(lock: Lock) -> dict[str, Any]:
    """Return a lock."""
    return {
        "id": lock.pk,
        "site": lock.site_id,
        "record_id": lock.patient_id,
        "form": lock.form,
        "instance": lock.instance,
        "reason": lock.reason,
        "state": "in_force" if lock.unlocked_at is None else "lifted",
        "locked_at": lock.locked_at,
        "locked_by": lock.locked_by.username if lock.locked_by else None,
        "unlocked_at": lock.unlocked_at,
        "unlocked_by": lock.unlocked_by.username if lock.unlocked_by else None,
        "unlock_reason": lock.unlock_reason,
    }
