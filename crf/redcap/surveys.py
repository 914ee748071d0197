"""What needs surveys, a file repository or randomisation: refused as a project without them does."""

from django.http import HttpResponse

from crf.forms import forms_by_name
from crf.redcap.calls import Call
from crf.redcap.contents import Need, answers
from crf.redcap.errors import ApiError
from crf.redcap.selection import refuse_unknown_record


@answers("participantList")
def participant_list(call: Call) -> HttpResponse:
    """Refuse: no instrument is a survey."""
    raise _not_a_survey(call, quote="'")


@answers("surveyLink")
@answers("surveyAccessCode")
def survey_link(call: Call) -> HttpResponse:
    """Refuse: no instrument is a survey."""
    refuse_unknown_record(call)
    raise _not_a_survey(call, quote="'")


@answers("surveyReturnCode")
def survey_return_code(call: Call) -> HttpResponse:
    """Refuse: no instrument is a survey."""
    refuse_unknown_record(call)
    raise _not_a_survey(call, quote='"')


@answers("surveyQueueLink")
def survey_queue_link(call: Call) -> HttpResponse:
    """Refuse: there is no survey queue."""
    refuse_unknown_record(call)
    raise ApiError("The survey queue is not enabled in this project.")


@answers("fileRepository")
@answers("fileRepository", "list")
@answers("fileRepository", "import")
@answers("fileRepository", "delete")
@answers("fileRepository", "createFolder")
def file_repository(_call: Call) -> HttpResponse:
    """Refuse: there is no file repository."""
    raise ApiError("There is no file repository in this project.")


@answers("record", "randomize", need=Need.IMPORT)
def randomize(_call: Call) -> HttpResponse:
    """Refuse: nobody is randomised."""
    raise ApiError("Randomization is not enabled in this project.")


def _not_a_survey(call: Call, *, quote: str) -> ApiError:
    name = call.text("instrument")
    if not name:
        return ApiError("The parameter 'instrument' is missing")
    if name not in forms_by_name():
        return ApiError("Invalid instrument")
    return ApiError(f"The instrument {quote}{name}{quote} has not been enabled as a survey")
