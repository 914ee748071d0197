"""Waiting for something that another program does."""

import time
from collections.abc import Callable
from typing import Final

PAUSE_SECONDS: Final = 0.1


def within(seconds: float, happened: Callable[[], bool]) -> bool:
    """Ask until something has happened, for so many seconds at most; return whether it has."""
    end = time.monotonic() + seconds
    while not (found := happened()) and time.monotonic() < end:
        time.sleep(PAUSE_SECONDS)
    return found
