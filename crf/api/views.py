"""The forms over REST: patients, their instances, each form over all patients, the dictionary."""

import re
from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils.translation import gettext as _
from rest_framework.request import Request

from crf import entry as service
from crf.api.pages import EntryPages, entry_page, filters_of, list_parameters
from crf.api.representation import entry_component, entry_json, problem_json, submission_component
from crf.dictionary import COLUMNS, dictionary_csv, dictionary_rows
from crf.disclosures import note_reading
from crf.forms import Form, patient_form
from crf.reading import Submission, read_json
from crf.refusals import (
    Locked,
    NotAllowed,
    NotDeleted,
    NotFound,
    PatientDeleted,
    ReasonNeeded,
    Refused,
    Stale,
)
from crf.storage import Entry
from registry.acting import Door, acting
from registry.api import ApiView, answer, caller, change_reason, read_body
from registry.openapi import IDEMPOTENCY_KEY, Operation, header, listing
from registry.preconditions import tag_to_match
from registry.problems import Problem, bad_request, not_found, request_error
from registry.rights import Right, anywhere, there

IF_MATCH = header("If-Match", "The ETag of the version that is changed.", required=True)
REASON = header(
    "X-Change-Reason",
    "Why a complete form is changed, a value cleared without a missing-value reason, an entry deleted or brought back.",
)
VERSION = re.compile(r'"([1-9]\d{0,9})"', re.ASCII)
"""How `Entry.etag` writes a version."""
CONFLICT_CODES = frozenset({"record_exists", "entry_exists"})


class EntryView(ApiView):
    """A view of one form: translates what the entry service raises into problems."""

    form: type[Form] = Form  # type: ignore[type-abstract]  # each address gives its own
    reads_first = True

    def problem_of(self, exc: Exception) -> Problem | None:
        """Return the problem that a refusal of the entry service stands for."""
        note_what_is_told(exc, to=self.request)
        return refusal(exc) or super().problem_of(exc)


class EntryListView(EntryView):
    """A list of entries of one form, with its filters."""

    def takes_parameter(self, name: str) -> bool:
        """Return whether the list can be filtered by `name`."""
        listed = self.request.method in ("GET", "HEAD")
        return listed and (name in EntryPages.parameters or name in filters_of(self.form))


class PatientList(EntryListView):
    """The patients the caller may see, and new ones."""

    needs: ClassVar = {"get": there(Right.READ), "post": anywhere(Right.ENTER)}

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            return _listed(self.form, "Patients I may see")
        return _created(self.form, "Enrol a patient")

    def get(self, request: Request) -> HttpResponse:
        """Return a page of patients."""
        visible = self.form.objects.visible_to(caller(request))
        return entry_page(self.form, visible, request=request, view=self)

    def post(self, request: Request) -> HttpResponse:
        """Save a new patient; the record id is given by the registry when it is left out."""
        submission = read_json(self.form, read_body(request), creating=True)
        saved = service.create_entry(submission, by=caller(request), with_commit=True)
        return _saved(saved, list_address=request.path, name=saved.record_id)


class InstanceList(EntryListView):
    """The instances of one form of a patient, and new ones."""

    needs: ClassVar = {"get": there(Right.READ), "post": there(Right.ENTER)}

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            return _listed(self.form, f"{self.form.title()}: the instances of a patient")
        return _created(self.form, f"{self.form.title()}: add an instance")

    def get(self, request: Request, record_id: str) -> HttpResponse:
        """Return a page of instances."""
        by = caller(request)
        if not patient_form().objects.visible_to(by).filter(record_id=record_id).exists():
            raise not_found()
        entries = self.form.objects.visible_to(by).filter(patient_id=record_id)
        return entry_page(self.form, entries, request=request, view=self)

    def post(self, request: Request, record_id: str) -> HttpResponse:
        """Save a new instance under the next number."""
        by = caller(request)
        submission = read_json(self.form, read_body(request), creating=True)
        submission.record_id = record_id
        saved = service.create_entry(submission, by=by, with_commit=True)
        return _saved(saved, list_address=request.path, name=saved.instance)

    def problem_of(self, exc: Exception) -> Problem | None:
        """Return a 404 for a patient that is not there: here it is named by the address."""
        if isinstance(exc, Refused) and exc.problems[0].code == "patient_not_found":
            missing = not_found()
            missing.errors = [request_error("record_id", "patient_not_found", exc.problems[0].message)]
            return missing
        return super().problem_of(exc)


class EntryDetail(EntryView):
    """One entry: a patient form, or one instance of a repeating form."""

    needs: ClassVar = {"get": there(Right.READ), "patch": there(Right.ENTER), "delete": there(Right.ENTER)}

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        name = self.form.title()
        read = {200: entry_component(self.form, warnings=True)}
        if method == "get":
            return Operation(f"{name}: one entry", responses=read)
        guarded = (400, 401, 403, 404, 409, 412, 413, 415, 428)
        if method == "delete":
            return Operation(f"{name}: delete", responses={204: None}, parameters=(IF_MATCH, REASON), problems=guarded)
        return Operation(
            f"{name}: change; absent keeps, null clears",
            request=submission_component(self.form, creating=False),
            responses=read,
            parameters=(IF_MATCH, REASON),
            problems=guarded,
        )

    def get(self, request: Request, record_id: str, instance: int = 1) -> HttpResponse:
        """Return the entry with its ETag and what the soft checks say of it."""
        entry = service.get_entry(self.form, record_id, instance, by=caller(request))
        note_reading(self.form, [entry])
        return read_entry(entry)

    def patch(self, request: Request, record_id: str, instance: int = 1) -> HttpResponse:
        """Change the entry by a JSON merge patch."""
        changed = service.change_entry(
            self.form,
            record_id,
            instance,
            read_json(self.form, read_body(request), creating=False),
            by=caller(request),
            version=version_to_match(request),
            reason=change_reason(request),
        )
        note_reading(self.form, [changed])
        return read_entry(changed)

    def delete(self, request: Request, record_id: str, instance: int = 1) -> HttpResponse:
        """Hide the entry; a patient is hidden with all entries."""
        service.delete_entry(
            self.form,
            record_id,
            instance,
            by=caller(request),
            version=version_to_match(request),
            reason=change_reason(request),
        )
        gone = HttpResponse(status=204)
        del gone["Content-Type"]
        return gone


class PooledForm(EntryListView):
    """One form over all patients that the caller may see."""

    needs: ClassVar = {"get": there(Right.READ)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return _listed(self.form, f"{self.form.title()}: over all patients I may see")

    def get(self, request: Request) -> HttpResponse:
        """Return a page of entries."""
        visible = self.form.objects.visible_to(caller(request))
        return entry_page(self.form, visible, request=request, view=self)


class Dictionary(ApiView):
    """The data dictionary, as JSON or as REDCap's CSV file."""

    parameters: ClassVar = frozenset({"format"})
    needs: ClassVar = {"get": anywhere(Right.READ)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        row = {
            "type": "object",
            "required": list(COLUMNS),
            "properties": {name: {"type": "string"} for name in COLUMNS},
        }
        return Operation(
            "The data dictionary; ?format=csv gives REDCap's CSV file",
            responses={200: {"type": "array", "items": row}},
            problems=(400, 401, 403),
        )

    def get(self, request: Request) -> HttpResponse:
        """Return a row for each variable of each form."""
        wanted = request.query_params.get("format", "json")
        if wanted not in ("json", "csv"):
            raise bad_request("format", "unknown_code", _("format: choose json or csv."))
        if wanted == "csv":
            named = {"Content-Disposition": 'attachment; filename="data-dictionary.csv"'}
            return HttpResponse(dictionary_csv(), content_type="text/csv; charset=utf-8", headers=named)
        return answer(dictionary_rows())


def note_what_is_told(exc: Exception, *, to: Request) -> None:
    """Note that the caller is shown the entry as it is saved, if that is what an exception stands for.

    In a transaction of its own: that of the request is undone.
    """
    if isinstance(exc, Stale):
        with acting(caller(to), door=Door.REST):
            note_reading(exc.current.form, [exc.current])


def refusal(exc: Exception) -> Problem | None:
    """Return the problem that a refusal of the entry service stands for, None for another exception."""
    match exc:
        case Refused():
            return refused(exc.problems, [problem_json(problem) for problem in exc.problems])
        case NotFound():
            return not_found()
        case NotAllowed():
            return Problem(403, "not_allowed", _("You may read the patients of this site, but not enter data."))
        case Locked():
            return Problem(409, "locked", _("The entry is locked. Ask the data manager to unlock it."))
        case NotDeleted():
            return Problem(
                409, "not_deleted", _("The entry is there. It was not deleted, or was brought back already.")
            )
        case PatientDeleted():
            message = _("The patient is deleted too. Bring the patient back first.")
            return Problem(409, "patient_deleted", message)
        case ReasonNeeded():
            message = _(
                "Say why in the header X-Change-Reason. Changing what is complete, taking away "
                "and bringing back need it."
            )
            error = request_error("X-Change-Reason", "reason_needed", message)
            return Problem(400, "reason_needed", message, errors=[error])
        case Stale():
            return _stale(exc)
    return None


def refused(problems: list[Any], errors: list[dict[str, Any]]) -> Problem:
    """Return the problem of submissions that broke hard checks: 400, 403 without the right, 409 for what exists."""
    codes = {problem.code for problem in problems}
    if codes == {"locked"}:
        return Problem(409, "locked", problems[0].message, errors=errors)
    status = 403 if codes == {"not_allowed"} else 409 if codes <= CONFLICT_CODES else 400
    return Problem(
        status, "refused", _("Nothing was saved. Mend what `errors` names and send it again."), errors=errors
    )


def _stale(exc: Stale) -> Problem:
    """Return a 412 with both values of everything that differs."""
    current = exc.current
    message = _("The entry is at version %(version)d by now. Compare both values of each field and send yours again.")
    return Problem(
        412,
        "stale",
        message % {"version": current.version},
        headers={"ETag": current.etag},
        current=entry_json(current),
        conflicts=_conflicts(current, exc.yours) if exc.yours else [],
    )


def _conflicts(current: Entry, yours: Submission) -> list[dict[str, Any]]:
    """Return both values of each variable, of the status and of the missing-value reasons that differ."""
    pairs = [(name, value, current.values[name]) for name, value in yours.values.items()]
    if yours.status is not None:
        pairs.append(("status", str(yours.status.label), str(current.status.label)))
    reasons = {name: why for name, why in yours.missing.items() if why != current.missing.get(name)}
    pairs.append(("missing", reasons, {name: current.missing.get(name) for name in reasons}))
    return [{"field": name, "yours": value, "current": saved} for name, value, saved in pairs if value != saved]


def version_to_match(request: Request) -> int:
    """Return the version that `If-Match` names, 0 for an ETag that no entry ever had.

    Raises a 428 problem without one, a 400 problem for what is no ETag.
    """
    version = VERSION.fullmatch(tag_to_match(request))
    return int(version.group(1)) if version else 0


def read_entry(entry: Entry) -> HttpResponse:
    """Answer with an entry, its warnings and its ETag."""
    return answer(entry_json(entry, warnings=True), headers={"ETag": entry.etag})


def _saved(entry: Entry, *, list_address: str, name: str | int) -> HttpResponse:
    """Answer with a new entry; its address is that of its list and its own name there."""
    headers = {"ETag": entry.etag, "Location": f"{list_address}{name}/"}
    return answer(entry_json(entry, warnings=True), status=201, headers=headers)


def _listed(form: type[Form], summary: str) -> Operation:
    page = listing(entry_component(form))
    return Operation(summary, responses={200: page}, parameters=list_parameters(form))


def _created(form: type[Form], summary: str) -> Operation:
    return Operation(
        summary,
        request=submission_component(form, creating=True),
        responses={201: entry_component(form, warnings=True)},
        parameters=(IDEMPOTENCY_KEY,),
        problems=(400, 401, 403, 404, 409, 413, 415, 422),
    )
