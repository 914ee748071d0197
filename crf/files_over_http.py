"""Photographs in requests and answers, for every door that speaks HTTP."""

from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from crf.attachments import StoredFile, Upload
from registry.problems import Problem

SANDBOX: Final = "default-src 'none'; sandbox"


def picture_answer(stored: StoredFile) -> HttpResponse:
    """Answer with a picture as what it is, never as a page: to be saved, or to be shown by an <img> of ours."""
    return HttpResponse(
        stored.content,
        content_type=stored.content_type,
        headers={
            "Content-Disposition": f'attachment; filename="{stored.download_name}"',
            "Content-Security-Policy": SANDBOX,
            "X-Content-Type-Options": "nosniff",
        },
    )


def upload_of(http: HttpRequest, *, part: str) -> Upload:
    """Return the file that a request brings: its body, or a part of a form. Raises a 413 problem."""
    if int(http.META.get("CONTENT_LENGTH") or 0) > settings.MAX_UPLOAD_BYTES:
        raise too_large()
    if http.content_type != "multipart/form-data":
        return Upload(http.read(settings.MAX_UPLOAD_BYTES), content_type=http.content_type or "")
    file = http.FILES.get(part)
    if file is None:
        return Upload(b"")
    return Upload(file.read(), file_name=file.name or "", content_type=file.content_type or "")


def too_large() -> Problem:
    """Return the problem of a photograph with too many bytes."""
    message = _("The photograph has more than %(max)d MB. Make it smaller.")
    return Problem(413, "too_large", message % {"max": settings.MAX_PHOTOGRAPH_BYTES // 1_000_000})
