"""What a file holds, whatever its format: tables of cells, and the limits of all of them together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext as _

from crf.imports.refusals import FileRefused

MAX_FILE_BYTES: Final = 10_000_000
MAX_ROWS: Final = 50_000
MAX_CELLS: Final = 1_000_000
MAX_COLUMNS: Final = 500
MAX_TEXT: Final = 200_000
"""Characters of one cell; what its variable takes is less."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A cell that holds no value: a formula, an error."""

    code: str
    message: str


Content = str | Wrong


@dataclass(slots=True)
class Table:
    """A sheet, or a whole CSV file. `rows` gives the line and the cells by column number (from 0), blank ones left out.

    The first row that names `record_id` is the header, what stands above it is for people.
    """

    name: str
    rows: Iterator[tuple[int, Mapping[int, Content]]]


@dataclass(slots=True)
class Counted:
    """How much of a file was read so far."""

    rows: int = 0
    cells: int = 0

    def row(self, cells: int) -> None:
        """Count a row with so many cells. Raises FileRefused beyond the limits."""
        self.rows += 1
        self.cells += cells
        if self.rows > MAX_ROWS:
            message = _("The file has more than %(max)d rows. Bring it in parts.")
            raise FileRefused("too_many_rows", message % {"max": MAX_ROWS})
        if self.cells > MAX_CELLS:
            message = _("The file has more than %(max)d cells. Bring it in parts.")
            raise FileRefused("too_many_cells", message % {"max": MAX_CELLS})
