"""Long answers, sent while they are read: memory does not grow with them, and the transaction ends with the last line.

The first part is made before the answer begins, so that what is wrong with a call is still told as an error.
"""

from collections.abc import Callable, Generator, Iterator

from django.http import StreamingHttpResponse

from crf.redcap.errors import CONTENT_TYPES, ErrorFormat
from crf.redcap.stored import one_moment
from registry.rights import Caller

Parts = Iterator[str]


class _Begun:
    """An iterator whose first element has been taken already; closing it closes the source, read or not."""

    def __init__(self, source: Generator[bytes, None, None]) -> None:
        self.source = source
        self.first: bytes | None = next(source, None)

    def __iter__(self) -> "_Begun":
        return self

    def __next__(self) -> bytes:
        if self.first is None:
            return next(self.source)
        first, self.first = self.first, None
        return first

    def close(self) -> None:
        """End the transaction of the source, also when the client went away."""
        self.source.close()


def streamed(make: Callable[[], Parts], *, by: Caller, reason: str, form: ErrorFormat) -> StreamingHttpResponse:
    """Return an answer whose parts `make` yields inside one transaction that sees a single moment."""
    return StreamingHttpResponse(_Begun(_encoded(make, by=by, reason=reason)), content_type=CONTENT_TYPES[form])


def _encoded(make: Callable[[], Parts], *, by: Caller, reason: str) -> Generator[bytes, None, None]:
    with one_moment(by, reason=reason):
        for part in make():
            yield part.encode()
