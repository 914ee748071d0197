"""Many entries of any forms in one call."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpResponse
from django.utils.translation import gettext as _
from rest_framework.request import Request

from crf import entry as service
from crf.api.representation import MISSING, STATUS, WARNING, problem_json, warnings_json
from crf.api.views import EntryView, refused
from crf.batch import RECORD_ID, LookedUp, Result
from crf.forms import all_forms, forms_by_name
from crf.reading import Problem as EntryProblem
from crf.reading import Submission, read_json
from registry.api import answer, caller, read_body
from registry.openapi import IDEMPOTENCY_KEY, PROBLEM, Operation
from registry.problems import Problem, bad_request
from registry.rights import Caller, Right, anywhere

MEMBERS = frozenset({"form", "record_id", "instance", "site", "status", "missing", "values"})


class Entries(EntryView):
    """Many entries in one call: all or nothing, or with `"atomic": false` the good ones."""

    needs: ClassVar = {"post": anywhere(Right.ENTER)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation(
            "Save many entries of any forms",
            request=_request_schema(),
            responses={200: RESULTS, 201: RESULTS},
            parameters=(IDEMPOTENCY_KEY,),
            problems=(400, 401, 403, 409, 413, 415, 422),
        )

    def post(self, request: Request) -> HttpResponse:
        """Save the entries; the answer has a result for each, in order."""
        body = read_body(request)
        items, atomic = _read_call(body)
        looked_up = _patients_ahead(items, by=caller(request))
        answers = _Answers([_read_item(item) for item in items])
        submissions, write = answers.submissions, answers.write
        service.create_entries(submissions, by=caller(request), atomic=False, looked_up=looked_up, judged=write)
        refusals = sum(bool(result.problems) for result in answers.results)
        if atomic and refusals:
            raise _all_refused(answers.results)
        saved = len(answers.results) - refusals
        found = {"saved": saved, "refused": refusals, "results": answers.as_json}
        return answer(found, status=201 if atomic else 200)


class _Answers:
    """What is answered to the items of a call, in their order: those that name no form have no submission."""

    def __init__(self, read: Sequence[Submission | EntryProblem]) -> None:
        self._read = read
        self.submissions = [found for found in read if isinstance(found, Submission)]
        self.results: list[Result] = []
        self.as_json: list[dict[str, Any]] = []

    def write(self, made: Iterable[Result]) -> None:
        """Take the results of the submissions, and write what is answered while the database saves the entries."""
        of_submissions = iter(made)
        self.results = [
            next(of_submissions) if isinstance(found, Submission) else Result(problems=[found]) for found in self._read
        ]
        self.as_json = [_result(result) for result in self.results]


RESULTS: dict[str, Any] = {
    "type": "object",
    "required": ["saved", "refused", "results"],
    "properties": {
        "saved": {"type": "integer"},
        "refused": {"type": "integer"},
        "results": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "form": {"type": "string"},
                    "record_id": {"type": ["string", "null"]},
                    "instance": {"type": ["integer", "null"]},
                    "status": STATUS,
                    "version": {"type": "integer"},
                    "warnings": {"type": "array", "items": WARNING},
                    "errors": PROBLEM.schema["properties"]["errors"],
                },
            },
        },
    },
}


def _request_schema() -> dict[str, Any]:
    item = {
        "type": "object",
        "required": ["form", "values"],
        "additionalProperties": False,
        "properties": {
            "form": {"type": "string", "enum": [form.form_name() for form in all_forms()]},
            "record_id": {"type": ["string", "null"]},
            "instance": {"type": ["integer", "null"], "minimum": 1},
            "site": {"type": ["string", "null"]},
            "status": STATUS,
            "missing": MISSING,
            "values": {"type": "object"},
        },
    }
    return {
        "type": "object",
        "required": ["entries"],
        "additionalProperties": False,
        "properties": {"entries": {"type": "array", "items": item}, "atomic": {"type": "boolean", "default": True}},
    }


def _read_call(body: Mapping[str, Any]) -> tuple[list[Any], bool]:
    for name in body:
        if name not in ("entries", "atomic"):
            message = _("There is no member %(name)s here. Send `entries` and `atomic`.")
            raise bad_request(name[:60], "unknown_field", message % {"name": ascii(name[:60])})
    items, atomic = body.get("entries"), body.get("atomic", True)
    if not isinstance(items, list):
        raise bad_request("entries", "wrong_type", _("entries: send a list."))
    if not isinstance(atomic, bool):
        raise bad_request("atomic", "wrong_type", _("atomic: send true or false."))
    if len(items) > settings.MAX_BULK_ENTRIES:
        message = _("entries: send at most %(max)d in one call.") % {"max": settings.MAX_BULK_ENTRIES}
        raise Problem(413, "too_many", message)
    return items, atomic


def _patients_ahead(items: list[Any], *, by: Caller) -> LookedUp | None:
    """Have the database look for the patients while the entries are read.

    Not where there are new ones too: those are numbered before others are held, as every door does it.
    """
    known = forms_by_name()
    of_forms = [
        item for item in items if isinstance(item, dict) and isinstance(name := item.get("form"), str) and name in known
    ]
    forms = [known[name] for name in {item["form"] for item in of_forms}]
    if not all(form.repeating for form in forms):
        return None
    record_ids = {record_id for item in of_forms if isinstance(record_id := item.get("record_id"), str)}
    every_number = any(item.get("instance") is not None for item in of_forms)
    return service.patients_ahead(record_ids, forms=forms, by=by, every_number=every_number)


def _read_item(item: Any) -> Submission | EntryProblem:
    """Return the submission of one item, or the problem of one that names no form.

    What else cannot be read is noted on the submission, to be said with the rest.
    """
    if not isinstance(item, Mapping):
        return _unreadable("wrong_type", _("Send each entry as an object."), field=None)
    form = forms_by_name().get(item["form"]) if isinstance(item.get("form"), str) else None
    if form is None:
        known = ", ".join(forms_by_name())
        return _unreadable("unknown_code", _("form: choose from %(known)s.") % {"known": known}, field="form")
    values = item.get("values")
    if not isinstance(values, Mapping):
        submission = Submission(form=form)
        submission.refuse("values", "wrong_type", _("values: send an object with the variables of the form."))
    else:
        beside = {name: item[name] for name in ("status", "missing") if name in item}
        submission = read_json(form, {**values, **beside} if beside else values, creating=True)
    if not item.keys() <= MEMBERS:
        for name in item.keys() - MEMBERS:
            message = _("An entry has no member %(name)s.") % {"name": ascii(str(name)[:60])}
            submission.refuse(str(name)[:60], "unknown_field", message)
    _read_place(submission, item)
    return submission


def _read_place(submission: Submission, item: Mapping[str, Any]) -> None:
    """Read whose entry it is and which: record id, instance and site."""
    record_id, instance, site = item.get("record_id"), item.get("instance"), item.get("site")
    if instance is not None and (isinstance(instance, bool) or not isinstance(instance, int)):
        submission.refuse("instance", "wrong_type", _("instance: send a number from 1."))
    else:
        submission.instance = instance
    if site is not None:
        if isinstance(site, str) and submission.site in (None, site):
            submission.site = site
        else:
            submission.refuse("site", "wrong_type", _("site: send the code of one site, in quotes."))
    if record_id is None:
        return
    if not isinstance(record_id, str) or RECORD_ID.fullmatch(record_id) is None:
        code = "patient_not_found" if submission.form.repeating else "record_id_of_site"
        submission.refuse("record_id", code, _("record_id: send an identifier such as MTP-001."))
    elif submission.form.repeating:
        submission.record_id = record_id
    elif submission.values.get("record_id") in (None, record_id):
        submission.values["record_id"] = record_id
    else:
        submission.refuse("record_id", "read_only", _("The entry gives two identifiers. Keep one."))


def _unreadable(code: str, message: str, *, field: str | None) -> EntryProblem:
    return EntryProblem(form=None, record_id=None, instance=None, field=field, code=code, message=message)


def _all_refused(results: list[Result]) -> Problem:
    problems = [problem for result in results for problem in result.problems]
    errors = [problem_json(problem, index=index) for index, result in enumerate(results) for problem in result.problems]
    return refused(problems, errors)


def _result(result: Result) -> dict[str, Any]:
    if result.entry is None:
        return {"errors": [problem_json(problem) for problem in result.problems]}
    entry = result.entry
    return {
        "form": entry.form.form_name(),
        "record_id": entry.record_id,
        "instance": entry.instance,
        "status": str(entry.status.label),
        "version": entry.version,
        "warnings": warnings_json(entry.warnings),
    }
