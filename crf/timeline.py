"""A patient's course as a drawing: prior treatments, doses, clearance and adverse events against one axis of time.

Pure geometry: from plain rows to shapes, no words but those it is given, no database, no clock. Places across are
percentages of the plot, so that the drawing fits every width while its text keeps its size; places down are pixels.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from crf.derivations import DAYS_IN_A_MONTH, index_date, months_between
from crf.partial_dates import PartialDate

MONTHS_BEFORE: Final = 24
"""How much of what was before the first dose is drawn; what began earlier is cut there."""
LEFT, RIGHT = 1.0, 98.0
"""Where the plot begins and ends, in % of its width."""
HEADING, ROW, BAR = 26, 22, 12
"""Heights in pixels: of the heading of a lane, of a row of it, of a bar."""
DOSES, TALLEST_DOSE, CLEARANCE = 60, 40, 104
MOST_TICKS: Final = 9
STEPS_IN_MONTHS: Final = (1, 2, 3, 6, 12, 24, 36, 60, 120, 240)
STEPS_IN_YEARS: Final = (1, 2, 5, 10, 20)
NARROW: Final = 4.5
"""Room in % that a label needs."""
THIN: Final = 0.4
"""Width in % of what lasted no longer than a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something with a beginning and an end: a prior treatment or an adverse event. `words` say all of it."""

    instance: int
    label: str
    words: str
    href: str = ""
    start: PartialDate | None
    end: PartialDate | None
    days: str = ""
    """Begin and end as they are written, for what lies beyond the plot."""
    goes_on: bool = False
    """Whether it has no end because it goes on, not because nobody knows it."""
    mark: str = ""
    """A character or two at its beginning: the grade."""
    serious: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose:
    """One dosing period; `dose_mg` on a dosing day; `label` is written on it where there is room."""

    instance: int
    label: str
    words: str
    href: str = ""
    dose_start: date | None
    dose_end: date | None
    dose_mg: Decimal | None
    every_day: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One visit; `lesion_clearance` in %, `response` CR, PR or NR, or "" where it does not follow from the values."""

    instance: int
    words: str
    href: str = ""
    lesion_date: date | None
    lesion_clearance: Decimal | None
    response: str = ""
    lesion_new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is drawn; `until` is the last day of which something is known beside the rows."""

    before: Sequence[Span] = ()
    doses: Sequence[Dose] = ()
    assessments: Sequence[Assessment] = ()
    events: Sequence[Span] = ()
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A period in the plot: from `x`, `width` wide, both in %; `y` and `height` in pixels.

    `sure_x` and `sure_width` are the part of which the days are certain. An end that is open goes on beyond the plot,
    or to nobody knows when.
    """

    row: Span | Dose
    x: float
    width: float
    y: int
    height: int
    sure_x: float
    sure_width: float
    open_left: bool = False
    open_right: bool = False
    kind: str = ""
    fits: bool = True
    """Whether there is room for its label."""
    drawn: bool = True
    """Whether any day of it is in the plot."""

    @property
    def middle(self) -> int:
        """The height of its middle."""
        return self.y + self.height // 2

    @property
    def end(self) -> float:
        """Where it ends, in %."""
        return round(self.x + self.width, 2)

    @property
    def centre(self) -> float:
        """Its middle across, in %."""
        return round(self.x + self.width / 2, 2)


@dataclass(frozen=True, slots=True)
class Point:
    """An assessment: `x` in %, `y` in pixels; `kind` is its response in small letters, "none" without one."""

    row: Assessment
    x: float
    y: int
    kind: str


@dataclass(frozen=True, slots=True)
class Line:
    """A piece of the line between two assessments."""

    x1: float
    y1: int
    x2: float
    y2: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Level:
    """A line across a lane: at a clearance in %."""

    y: int
    label: str


@dataclass(slots=True)
class Drawing:
    """The whole drawing, `height` pixels high. `first_dose` is where month 0 lies, None without a dose."""

    height: int = 0
    first_dose: float | None = None
    months: list[Tick] = field(default_factory=list)
    dates: list[Tick] = field(default_factory=list)
    lanes: dict[str, int] = field(default_factory=dict)
    """Where each lane that there is begins, by name: before, doses, clearance, events."""
    before: list[Bar] = field(default_factory=list)
    doses: list[Bar] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    events: list[Bar] = field(default_factory=list)

    @property
    def axis(self) -> int:
        """Where the axis lies."""
        return self.height - 2 * ROW


@dataclass(frozen=True, slots=True)
class Scale:
    """From days to places across: the plot shows `first` to `last`."""

    first: date
    last: date

    def x(self, day: date) -> float:
        """Return the place of a day in % of the width; days beyond the plot lie on its edge."""
        days = min(max((day - self.first).days, 0), (self.last - self.first).days)
        return round(LEFT + (RIGHT - LEFT) * days / (self.last - self.first).days, 2)


def draw(course: Course) -> Drawing | None:
    """Return the drawing of a patient's course, None when no day of it is known."""
    start = index_date((dose.dose_start, dose.dose_mg) for dose in course.doses)
    scale = _scale(course, start=start)
    if scale is None:
        return None
    drawing = Drawing(first_dose=None if start is None else scale.x(start))
    y = 0
    for lane, rows, place in (
        ("before", course.before, _draw_before),
        ("doses", course.doses, _draw_doses),
        ("clearance", course.assessments, _draw_clearance),
        ("events", course.events, _draw_events),
    ):
        if rows:
            drawing.lanes[lane] = y
            y = place(drawing, course, scale, y + HEADING)
    drawing.height = y + 2 * ROW + ROW // 2
    drawing.dates = list(_dates(scale))
    drawing.months = [] if start is None else list(_months(scale, start))
    return drawing


def _scale(course: Course, *, start: date | None) -> Scale | None:
    """Return the days that are drawn: from what was first, but not long before the first dose, to what was last."""
    known = [day for dose in course.doses for day in (dose.dose_start, dose.dose_end) if day]
    known += [visit.lesion_date for visit in course.assessments if visit.lesion_date]
    known += [day for span in course.events for day in _days(span)]
    before = [day for span in course.before for day in _days(span)]
    if start is not None:
        earliest = start - timedelta(days=round(MONTHS_BEFORE * DAYS_IN_A_MONTH))
        before = [min(max(day, earliest), start) for day in before]
    every = [*known, *before, *([course.until] if course.until and (known or before) else [])]
    if not every:
        return None
    first, last = min(every), max(every)
    return Scale(first, max(last, first + timedelta(days=30)))


def _days(span: Span) -> Iterator[date]:
    for partial in (span.start, span.end):
        if partial is not None:
            yield partial.earliest
            yield partial.latest


def _draw_before(drawing: Drawing, course: Course, scale: Scale, y: int) -> int:
    for span in sorted(course.before, key=_by_start):
        drawing.before.append(_bar(span, scale, y, kind="before"))
        y += ROW
    return y


def _draw_events(drawing: Drawing, course: Course, scale: Scale, y: int) -> int:
    for span in sorted(course.events, key=_by_start):
        drawing.events.append(
            _bar(span, scale, y, kind=f"grade-{span.mark or 'none'}{' serious' if span.serious else ''}")
        )
        y += ROW
    return y


def _by_start(span: Span) -> tuple[date, int]:
    return (span.start.earliest if span.start else date.max, span.instance)


def _bar(span: Span, scale: Scale, y: int, *, kind: str) -> Bar:
    """Return the bar of a span: as long as it may have been, and surely as long as it was."""
    start, end = span.start, span.end
    begins = start.earliest if start else scale.first
    ends = max(end.latest if end else scale.last, begins)
    x, right = scale.x(begins), scale.x(ends)
    sure_from = start.latest if start else begins
    sure_to = end.earliest if end else ends if span.goes_on else sure_from
    sure_x, sure_right = scale.x(sure_from), scale.x(sure_to)
    return Bar(
        row=span,
        x=x,
        width=round(max(right - x, THIN), 2),
        y=y + (ROW - BAR) // 2,
        height=BAR,
        sure_x=sure_x,
        sure_width=round(max(sure_right - sure_x, THIN), 2) if sure_from <= sure_to else 0.0,
        open_left=start is None or start.earliest < scale.first,
        open_right=end is None or end.latest > scale.last,
        kind=kind,
        drawn=(start is not None or end is not None) and ends >= scale.first,
    )


def _draw_doses(drawing: Drawing, course: Course, scale: Scale, y: int) -> int:
    highest = max([dose.dose_mg for dose in course.doses if dose.dose_mg] or [Decimal(1)])
    floor, written_to = y + DOSES, -NARROW
    dated = [(dose.dose_start, dose) for dose in course.doses if dose.dose_start is not None]
    for start, dose in sorted(dated, key=lambda pair: pair[0]):
        x = scale.x(start)
        width = round(max(scale.x(_day_after(dose.dose_end, scale)) - x, THIN), 2)
        height = round(TALLEST_DOSE * float(dose.dose_mg / highest)) if dose.dose_mg else 3
        fits = x + width / 2 - NARROW / 2 >= written_to
        written_to = x + width / 2 + NARROW / 2 if fits else written_to
        drawing.doses.append(
            Bar(
                row=dose,
                x=x,
                width=width,
                y=floor - height,
                height=height,
                sure_x=x,
                sure_width=width,
                open_right=dose.dose_end is None,
                kind="dose" if dose.dose_mg else "no-dose",
                fits=fits,
            )
        )
    return floor + ROW // 2


def _day_after(end: date | None, scale: Scale) -> date:
    """Return where a period ends in the plot: its last day is part of it."""
    return scale.last if end is None else end + timedelta(days=1)


def _draw_clearance(drawing: Drawing, course: Course, scale: Scale, y: int) -> int:
    floor = y + CLEARANCE

    def height_of(clearance: Decimal) -> int:
        return round(floor - float(clearance) / 100 * (CLEARANCE - 10))

    drawing.levels = [Level(height_of(Decimal(level)), f"{level} %") for level in (0, 50, 95)]
    former: Point | None = None
    dated = [visit for visit in course.assessments if visit.lesion_date is not None]
    for visit in sorted(dated, key=lambda visit: (visit.lesion_date or date.max, visit.instance)):
        assert visit.lesion_date is not None  # noqa: S101 -- see `dated`
        known = visit.lesion_clearance is not None
        at = height_of(visit.lesion_clearance) if visit.lesion_clearance is not None else floor
        kind = (visit.response.lower() or "unknown") if known else "none"
        point = Point(visit, scale.x(visit.lesion_date), at, kind)
        drawing.points.append(point)
        if known:
            if former is not None:
                drawing.lines.append(Line(former.x, former.y, point.x, point.y))
            former = point
    return floor + ROW // 2


def _months(scale: Scale, start: date) -> Iterator[Tick]:
    """Yield the marks of the months since the first dose, in steps that leave room for their labels."""
    before, after = months_between(start, scale.first), months_between(start, scale.last)
    step = next((step for step in STEPS_IN_MONTHS if (after - before) / step <= MOST_TICKS), STEPS_IN_MONTHS[-1])
    month = -int(-before // step) * step
    while month <= after:
        yield Tick(scale.x(start + timedelta(days=round(month * DAYS_IN_A_MONTH))), str(month))
        month += step


def _dates(scale: Scale) -> Iterator[Tick]:
    """Yield the first days of years, or of quarters when less than three years are drawn."""
    years = scale.last.year - scale.first.year + 1
    step = next((step for step in STEPS_IN_YEARS if years / step <= MOST_TICKS), STEPS_IN_YEARS[-1])
    quarters: Iterable[int] = (1, 4, 7, 10) if years <= 2 else (1,)
    for year in range(scale.first.year, scale.last.year + 1):
        for month in quarters:
            day = date(year, month, 1)
            if scale.first <= day <= scale.last and year % step == 0:
                yield Tick(scale.x(day), day.isoformat()[:7] if years <= 2 else str(year))
