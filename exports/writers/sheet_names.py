"""Sheet names that Excel accepts.

Source: ECMA-376-1, 18.2.19 `sheet`, and Excel's own rules: 1 to 31 characters, none of []:*?/\\, no apostrophe at
either end, not "History" (kept for tracked changes), unique without regard to case.
"""

import re
import unicodedata

from exports.writers.cell_text import units

MAX_LENGTH = 31
_FORBIDDEN = re.compile(r"[\[\]:*?/\\\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_LOOKS_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")


class SheetNames:
    """The names of one workbook's sheets."""

    def __init__(self) -> None:
        self._taken = {_folded("History")}

    def take(self, wanted: str) -> str:
        """Return `wanted` made valid, with a number behind it if a sheet has that name already, and keep it."""
        valid = _valid(wanted)
        name, number = valid, 1
        while _folded(name) in self._taken:
            number += 1
            suffix = f"_{number}"
            name = _shortened(valid, MAX_LENGTH - len(suffix)) + suffix
        self._taken.add(_folded(name))
        return name

    def free(self, name: str) -> None:
        """Give a name back that no sheet got."""
        self._taken.remove(_folded(name))


def _valid(wanted: str) -> str:
    cleaned = _LOOKS_ESCAPED.sub("-", _FORBIDDEN.sub("_", wanted)).strip("' ")
    # Shortening can leave an apostrophe or a space at the new end.
    return _shortened(cleaned, MAX_LENGTH).rstrip("' ") or "sheet"


def _shortened(name: str, length: int) -> str:
    while units(name) > length:
        name = name[:-1]
    return name


def _folded(name: str) -> str:
    # Full-width letters and composed accents count as the same, as in the strictest of Excel's locales.
    return unicodedata.normalize("NFKC", name).casefold()
