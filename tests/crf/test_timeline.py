"""Tests of crf.timeline: geometry of plain rows."""

from datetime import date
from decimal import Decimal

import pytest

from crf.partial_dates import PartialDate
from crf.timeline import LEFT, RIGHT, Assessment, Course, Dose, Span, Tick, draw

FIRST_DOSE = date(2020, 1, 1)


def dose(start=FIRST_DOSE, end=None, mg="5", instance=1, **other):
    return Dose(
        instance=instance,
        label=f"{mg} mg",
        words="",
        dose_start=start,
        dose_end=end,
        dose_mg=None if mg is None else Decimal(mg),
        **other,
    )


def visit(on, clearance, response="", instance=1, **other):
    cleared = None if clearance is None else Decimal(clearance)
    return Assessment(instance=instance, words="", lesion_date=on, lesion_clearance=cleared, response=response, **other)


def span(start=None, end=None, instance=1, **other):
    return Span(
        instance=instance,
        label="Fatigue",
        words="",
        start=start and PartialDate.parse(start),
        end=end and PartialDate.parse(end),
        **other,
    )


def test_nothing_is_drawn_of_a_patient_without_a_date():
    course = Course(doses=[dose(start=None)], before=[span()], until=date(2024, 1, 1))

    assert draw(course) is None


def test_the_plot_begins_with_what_was_first_and_ends_with_what_was_last():
    drawing = draw(Course(doses=[dose(end=date(2020, 12, 30))]))

    assert (drawing.doses[0].x, drawing.doses[0].end) == (LEFT, RIGHT)
    assert drawing.first_dose == LEFT


@pytest.mark.parametrize(("before", "open_left", "drawn"), [("2018-01-03", False, True), ("2017-12-01", True, True)])
def test_what_began_more_than_24_months_before_the_first_dose_is_cut_there(before, open_left, drawn):
    drawing = draw(Course(doses=[dose(end=date(2020, 12, 31))], before=[span(before, "2019-01-01")]))

    (bar,) = drawing.before
    assert (bar.x, bar.open_left, bar.drawn) == (LEFT, open_left, drawn)


@pytest.mark.parametrize(("end", "drawn"), [("2017", False), ("2018-12-31", True)])
def test_what_ended_before_the_plot_begins_is_not_drawn_but_has_its_row(end, drawn):
    drawing = draw(Course(doses=[dose(end=date(2020, 12, 31))], before=[span("2015", end)]))

    assert [bar.drawn for bar in drawing.before] == [drawn]


def test_without_a_dose_there_is_no_month_and_nothing_is_cut():
    drawing = draw(Course(before=[span("2001-01-01", "2003-12-31")]))

    assert (drawing.first_dose, drawing.months) == (None, [])
    assert [tick.label for tick in drawing.dates] == ["2001", "2002", "2003"]


def test_a_partial_date_makes_a_bar_that_is_sure_only_where_every_reading_agrees():
    drawing = draw(Course(doses=[dose(end=date(2021, 1, 1))], events=[span("2020-02", "2020-05")]))

    (bar,) = drawing.events
    scale = (RIGHT - LEFT) / 366
    assert bar.x == pytest.approx(LEFT + 31 * scale, abs=0.01)
    assert bar.sure_x == pytest.approx(LEFT + 59 * scale, abs=0.01)
    assert bar.sure_x + bar.sure_width == pytest.approx(LEFT + 121 * scale, abs=0.02)
    assert bar.end == pytest.approx(LEFT + 151 * scale, abs=0.02)


def test_nothing_is_sure_of_an_event_of_which_only_the_year_is_known():
    drawing = draw(Course(doses=[dose(end=date(2021, 1, 1))], events=[span("2020", "2020")]))

    assert drawing.events[0].sure_width == 0


@pytest.mark.parametrize("goes_on", [True, False])
def test_an_event_without_an_end_is_open_and_sure_to_last_only_when_it_goes_on(goes_on):
    drawing = draw(Course(doses=[dose(end=date(2021, 1, 1))], events=[span("2020-06-01", goes_on=goes_on)]))

    (bar,) = drawing.events
    assert (bar.open_right, bar.end) == (True, RIGHT)
    assert (bar.sure_width == pytest.approx(bar.width, abs=0.01)) == goes_on


def test_events_stand_in_the_order_of_their_begin_and_those_without_one_last():
    events = [span(instance=1), span("2020-06", instance=2), span("2020-02-03", instance=3)]

    drawing = draw(Course(doses=[dose()], events=events, until=date(2021, 1, 1)))

    assert [bar.row.instance for bar in drawing.events] == [3, 2, 1]
    assert [bar.drawn for bar in drawing.events] == [True, True, False]


def test_a_dose_is_as_high_as_its_share_of_the_highest():
    doses = [dose(end=date(2020, 6, 30)), dose(date(2020, 7, 1), date(2020, 12, 31), "10", 2)]

    low, high = draw(Course(doses=doses)).doses

    assert (2 * low.height, low.y + low.height) == (high.height, high.y + high.height)


@pytest.mark.parametrize(("mg", "kind"), [("0", "no-dose"), (None, "no-dose"), ("2.5", "dose")])
def test_an_interruption_is_no_dose(mg, kind):
    doses = [dose(end=date(2020, 6, 30)), dose(date(2020, 7, 1), date(2020, 12, 31), mg, 2)]

    assert draw(Course(doses=doses)).doses[1].kind == kind


def test_periods_that_follow_each_other_touch():
    doses = [dose(end=date(2020, 6, 30)), dose(date(2020, 7, 1), date(2020, 12, 31), "10", 2)]

    first, second = draw(Course(doses=doses)).doses

    assert first.end == pytest.approx(second.x, abs=0.01)


def test_a_dose_that_goes_on_is_drawn_to_the_last_known_day():
    (bar,) = draw(Course(doses=[dose()], until=date(2021, 1, 1))).doses

    assert (bar.end, bar.open_right) == (RIGHT, True)


def test_labels_of_short_doses_do_not_cover_each_other():
    days = [(1, 2), (3, 4), (200, 300)]
    doses = [
        dose(date.fromordinal(FIRST_DOSE.toordinal() + a), date.fromordinal(FIRST_DOSE.toordinal() + b), instance=a)
        for a, b in days
    ]

    assert [bar.fits for bar in draw(Course(doses=doses)).doses] == [True, False, True]


def test_clearance_is_a_line_in_the_order_of_time_that_passes_visits_without_a_value_by():
    visits = [
        visit(date(2020, 3, 1), "100", "CR", 2),
        visit(date(2020, 1, 1), "0", "NR", 1),
        visit(date(2020, 2, 1), None, "", 3),
    ]

    drawing = draw(Course(doses=[dose(end=date(2020, 3, 1))], assessments=visits))

    assert [(point.row.instance, point.kind) for point in drawing.points] == [(1, "nr"), (3, "none"), (2, "cr")]
    start, _unknown, end = drawing.points
    assert [(line.x1, line.y1, line.x2, line.y2) for line in drawing.lines] == [(start.x, start.y, end.x, end.y)]
    assert start.y == drawing.levels[0].y > drawing.levels[1].y > drawing.levels[2].y > end.y


@pytest.mark.parametrize(
    ("days", "labels"),
    [
        (30, ["0"]),
        (273, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]),
        (275, ["0", "2", "4", "6", "8"]),
        (400, ["0", "2", "4", "6", "8", "10", "12"]),
        (3653, ["0", "24", "48", "72", "96", "120"]),
    ],
)
def test_months_are_counted_from_the_first_dose_in_steps_that_leave_room(days, labels):
    drawing = draw(Course(doses=[dose()], until=date.fromordinal(FIRST_DOSE.toordinal() + days)))

    assert [tick.label for tick in drawing.months] == labels
    assert drawing.months[0] == Tick(drawing.first_dose, "0")


def test_months_before_the_first_dose_are_negative():
    drawing = draw(Course(doses=[dose(end=date(2020, 12, 31))], before=[span("2019-01-01", "2019-12-01")]))

    assert [tick.label for tick in drawing.months] == ["-9", "-6", "-3", "0", "3", "6", "9"]


@pytest.mark.parametrize(("until", "labels"), [(date(2021, 12, 31), "2020-01"), (date(2022, 1, 2), "2020")])
def test_dates_are_quarters_within_two_years_and_years_beyond(until, labels):
    assert draw(Course(doses=[dose()], until=until)).dates[0].label == labels


def test_lanes_are_only_those_of_which_there_are_rows_and_lie_below_each_other():
    course = Course(doses=[dose()], events=[span("2020-02")], until=date(2021, 1, 1))

    drawing = draw(course)

    assert list(drawing.lanes) == ["doses", "events"]
    assert drawing.lanes["doses"] < drawing.lanes["events"] < drawing.events[0].y < drawing.axis < drawing.height


def test_every_place_across_is_within_the_plot():
    course = Course(
        before=[span("1999"), span(None, "2019-12")],
        doses=[dose(), dose(date(2020, 7, 1), date(2020, 7, 1), "10", 2)],
        assessments=[visit(date(2020, 3, 1), "50", "PR")],
        events=[span("2019", "2023"), span(None, "2020-02-01")],
    )

    drawing = draw(course)

    bars = [*drawing.before, *drawing.doses, *drawing.events]
    assert all(LEFT <= bar.x <= bar.end <= RIGHT + 0.5 for bar in bars)
    assert all(LEFT <= tick.x <= RIGHT for tick in [*drawing.months, *drawing.dates])
