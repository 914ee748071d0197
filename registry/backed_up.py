"""What a backup holds beside the database, and what is compared when one was restored.

Each app may have a module of this name with `FOLDERS`, `FIGURES` and `compute`. Files in the folders are named by an id
and never changed, so that they can be copied after the database's moment.
"""

from collections.abc import Mapping
from typing import Final

FOLDERS: Final[tuple[str, ...]] = ()
"""Folders under VAR_DIR."""
FIGURES: Final[Mapping[str, str]] = {}
"""SQL by name: each gives one text, the digest of what was computed from the data, null while that is out of date."""


def compute() -> None:
    """Compute the figures anew from the data."""
