"""The address `/redcap/api/`: one POST a call, checked in REDCap's order, answered or refused in its own format."""

import logging

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from crf.redcap import (  # noqa: F401 -- each registers what it answers
    files,
    groups,
    importing,
    log,
    metadata,
    pdf,
    people,
    project,
    project_xml,
    records,
    reports,
    surveys,
)
from crf.redcap.calls import Call, FormData, Unreadable, read_form
from crf.redcap.contents import find_entry
from crf.redcap.errors import ApiError, error_response
from crf.redcap.groups import within_group
from registry.acting import Door, acting
from registry.api import TOKEN
from registry.callers import caller_with_token
from registry.rights import Caller

logger = logging.getLogger(__name__)


@csrf_exempt
@login_not_required  # the token of the form says who calls
def redcap_api(request: HttpRequest) -> HttpResponseBase:
    """Answer one call. Whatever is wrong with it is said in REDCap's shapes, never as a page."""
    if request.method != "POST":
        return error_response(ApiError("The requested method is not implemented.", status=501), form="xml")
    try:
        data = read_form(request)
    except Unreadable as unreadable:
        return error_response(unreadable.error, form=unreadable.form)
    try:
        return _answer(data)
    except ApiError as error:
        return error_response(error, form=data.error_format)
    except Exception:
        logger.exception("A call of content %s failed", ascii(data.fields.get("content", "")[:40]))
        failed = ApiError("The error was logged. Try again, or tell the administrator.", status=500)
        return error_response(failed, form=data.error_format)


def _answer(data: FormData) -> HttpResponseBase:
    by = _caller(data)
    content, action, entry = find_entry(data)
    entry.need.require(by)
    call = Call(by=by, data=data, content=content, action=action)
    if entry.own_transaction:
        return entry.answer(call)
    with acting(by, door=Door.REDCAP, reason=call.reason):
        return entry.answer(call)


def _caller(data: FormData) -> Caller:
    token = data.fields.get("token", "").strip()
    by = caller_with_token(token, now=timezone.now()) if TOKEN.fullmatch(token) else None
    if by is None:
        raise ApiError("You do not have permissions to use the API", status=403)
    return within_group(by)
