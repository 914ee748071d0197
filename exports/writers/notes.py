"""Sentences on whatever a file does not hold exactly as it was given."""

from dataclasses import dataclass, field

PLACES_NAMED = 10


@dataclass(slots=True)
class _Places:
    """The first places something happened at, and how many there were."""

    named: list[str] = field(default_factory=list)
    count: int = 0

    def __str__(self) -> str:
        more = self.count - len(self.named)
        return ", ".join(self.named) + (f" and {more:,} more" if more else "")


class Notes:
    """Collects what happened where; memory stays flat however often the same happens in a column."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str, str], _Places] = {}

    def of_sheet(self, sheet: str, what: str) -> None:
        """Note something about a sheet as a whole."""
        self._places[(sheet, "", what)] = _Places()

    def of_cell(self, sheet: str, column: str, place: str, what: str) -> None:
        """Note something about one cell; the same in one column becomes one sentence that names its first rows."""
        places = self._places.setdefault((sheet, column, what), _Places())
        places.count += 1
        if len(places.named) < PLACES_NAMED:
            places.named.append(place)

    def sentences(self) -> tuple[str, ...]:
        """Return a sentence for each sheet, column and happening, in the order they first happened."""
        return tuple(
            f"Sheet {sheet}, column {column}, {places}: {what}" if places.count else f"Sheet {sheet}: {what}"
            for (sheet, column, what), places in self._places.items()
        )
