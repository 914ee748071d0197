"""Deleted entries over REST: who deleted what and why, and bringing it back."""

from datetime import datetime
from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils.translation import gettext as _
from rest_framework.request import Request

from crf import deletions as service
from crf.api.members import object_schema
from crf.api.representation import entry_component
from crf.api.views import IF_MATCH, REASON, EntryView, read_entry, version_to_match
from crf.deletions import DeletedEntry, Place
from crf.disclosures import note_reading
from crf.forms import forms_by_name
from registry.api import ApiView, caller, change_reason, raw_body, read_body
from registry.bodies import read_members
from registry.cursors import PAGE_PARAMETERS, page_by_place
from registry.openapi import IDEMPOTENCY_KEY, NULLABLE_TEXT, Operation, listing, parameter
from registry.problems import bad_request
from registry.rights import Right, there

FILTERS = ("site", "record_id", "form")
DELETED = object_schema(
    {
        "form": {"type": "string"},
        "record_id": {"type": "string"},
        "instance": {"type": "integer"},
        "site": {"type": "string"},
        "version": {"type": "integer"},
        "locked": {"type": "boolean"},
        "with_patient": {"type": "boolean"},
        "deleted_at": {"type": "string", "format": "date-time"},
        "deleted_by": NULLABLE_TEXT,
        "door": NULLABLE_TEXT,
        "reason": NULLABLE_TEXT,
    }
)


class DeletedEntries(ApiView):
    """The deleted entries of the caller's sites."""

    needs: ClassVar = {"get": there(Right.READ)}
    parameters: ClassVar = frozenset({"cursor", "limit", *FILTERS})

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        narrowed = tuple(parameter(name, "Filter") for name in FILTERS)
        return Operation(
            "What was deleted, the latest first: by whom, when and why",
            responses={200: listing(DELETED)},
            parameters=(*PAGE_PARAMETERS, *narrowed),
            problems=(400, 401, 403),
        )

    def get(self, request: Request) -> HttpResponse:
        """Return a page of deleted entries, without their values."""
        by, asked = caller(request), {name: request.query_params.get(name) for name in FILTERS}
        for name, text in asked.items():
            if text is not None and not text.isprintable():
                raise bad_request(name, "unprintable", _("Write the code or identifier as it is shown."))
        if asked["form"] is not None and asked["form"] not in forms_by_name():
            message = _("form: choose from %(names)s.") % {"names": ", ".join(forms_by_name())}
            raise bad_request("form", "unknown_code", message)
        return page_by_place(
            lambda before, most: service.deleted_entries(by=by, **asked, before=before, most=most),
            request=request,
            kind=tuple[datetime, str, str, int],
            place_of=_place,
            shown=_deleted_json,
        )


class Restore(EntryView):
    """A deleted entry that is brought back."""

    needs: ClassVar = {"post": there(Right.ENTER)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        what = "an entry" if self.form.repeating else "a patient with the entries that were deleted together"
        return Operation(
            f"{self.form.title()}: bring back {what}",
            responses={200: entry_component(self.form, warnings=True)},
            parameters=(IF_MATCH, REASON, IDEMPOTENCY_KEY),
            problems=(400, 401, 403, 404, 409, 412, 413, 415, 422, 428),
        )

    def post(self, request: Request, record_id: str, instance: int = 1) -> HttpResponse:
        """Bring the entry back; `If-Match` names the version of the deleted one."""
        restored = service.restore_entry(
            self.form,
            record_id,
            instance,
            by=caller(request),
            version=version_to_match(request),
            reason=change_reason(request),
        )
        if raw_body(
            request
        ):  # looked at last: what is of another site is a 404 whatever the body; a refusal undoes all
            read_members(read_body(request), {})
        note_reading(self.form, [restored])
        return read_entry(restored)


def _place(entry: DeletedEntry) -> Place:
    return entry.place


def _deleted_json(entry: DeletedEntry) -> dict[str, Any]:
    return {
        "form": entry.form,
        "record_id": entry.record_id,
        "instance": entry.instance,
        "site": entry.site,
        "version": entry.version,
        "locked": entry.locked,
        "with_patient": entry.with_patient,
        "deleted_at": entry.deleted_at,
        "deleted_by": entry.actor.get("username") or entry.actor.get("database_role"),
        "door": entry.actor.get("door"),
        "reason": entry.actor.get("reason"),
    }
