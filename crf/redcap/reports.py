"""Reports: one for each form, numbered in their order, and the saved ones."""

import re
from collections.abc import Mapping

from django.http.response import HttpResponseBase

from crf.forms import Form, all_forms
from crf.models.report import Report
from crf.redcap.calls import Call
from crf.redcap.columns import everything_of, some_of
from crf.redcap.contents import Need, answers
from crf.redcap.errors import ApiError
from crf.redcap.records import stream_rows
from crf.reports import variables_of

SAVED_FROM = 1_000
"""Saved reports have the number of their row above this one."""
NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@answers("report", need=Need.EXPORT, own_transaction=True)
def report(call: Call) -> HttpResponseBase:
    """Stream the rows of one report, laid out as records."""
    number = call.text("report_id")
    asked = int(number) if NUMBER.fullmatch(number) else 0
    if asked in _of_forms():
        return stream_rows(call, everything_of((_of_forms()[asked],)), filter_logic="")
    saved = Report.objects.visible_to(call.by).filter(pk=asked - SAVED_FROM).first()
    if saved is None:
        words = f"The API request cannot complete because report_id={number[:20]} does not belong to this project."
        raise ApiError(words, status=403)
    return stream_rows(call, some_of(variables_of(saved)), filter_logic=saved.filter)


def _of_forms() -> Mapping[int, type[Form]]:
    return dict(enumerate(all_forms(), start=1))
