"""Reports: one for each form, numbered in their order."""

from django.http.response import HttpResponseBase

from crf.forms import all_forms
from crf.redcap.calls import Call
from crf.redcap.columns import everything_of
from crf.redcap.contents import Need, answers
from crf.redcap.errors import ApiError
from crf.redcap.records import stream_rows


@answers("report", need=Need.EXPORT, own_transaction=True)
def report(call: Call) -> HttpResponseBase:
    """Stream the rows of one report, laid out as records."""
    number = call.text("report_id")
    forms = {str(index): form for index, form in enumerate(all_forms(), start=1)}
    if number not in forms:
        words = f"The API request cannot complete because report_id={number[:20]} does not belong to this project."
        raise ApiError(words, status=403)
    return stream_rows(call, everything_of((forms[number],)))
