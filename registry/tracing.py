"""What a log line and a row of the history name alike: the request or the job that is going on."""

import re
from contextvars import ContextVar
from typing import Final
from uuid import uuid4

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that this thread answers."""
job_id: ContextVar[str | None] = ContextVar("job_id", default=None)
"""The key of the job that this thread does."""

door: ContextVar[str | None] = ContextVar("door", default=None)
"""The way in of the transaction that this thread is in (`registry.acting.Door`)."""

# Letters, digits and three signs: nothing that could break a log line, a header or a query.
_SAFE: Final = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)


def id_of_a_request(given: str | None) -> str:
    """Return the id that a caller gave a request if it is safe to repeat (8 to 64 of A-Za-z0-9._-), else make one."""
    return given if given is not None and _SAFE.fullmatch(given) else str(uuid4())
