"""The smallest charts that mean something, and random ones; a test states each value it relies on.

Days are numbers: day 0 is 2020-01-01, the first dose of `treated_chart`.
"""

from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

from hypothesis import strategies as st

from exports.endpoints import rules
from exports.endpoints.chart import AdverseEvent, Assessment, Chart, Dose, PatientFacts, PriorTreatment
from exports.endpoints.outcome import Member, OutcomeWithEvidence

DAY_0 = date(2020, 1, 1)


def day(number: int) -> date:
    return DAY_0 + timedelta(days=number)


def iso(number: int) -> str:
    return day(number).isoformat()


def patient(**values: Any) -> PatientFacts:
    known = {
        "record_id": "MTP-001",
        "site": "MTP",
        "birth_date": None,
        "sex": "F",
        "cle_subtype": ["dle"],
        "last_contact_date": day(2000),
    }
    return PatientFacts(**(known | values))


def dose(
    start: int | None = 0,
    end: int | None = None,
    mg: str | None = "5",
    *,
    schedule: str | None = "daily",
    reason: str | None = "initiation",
    stop: str | None = None,
    instance: int = 1,
) -> Dose:
    return Dose(
        instance,
        None if start is None else day(start),
        None if end is None else day(end),
        None if mg is None else Decimal(mg),
        schedule,
        reason,
        stop,
    )


def visit(on: int | None, clearance: str | None, *, new: bool | None = False, instance: int = 1) -> Assessment:
    return Assessment(instance, None if on is None else day(on), None if clearance is None else Decimal(clearance), new)


def visits(*seen: tuple[int, str]) -> list[Assessment]:
    """Assessments without new lesions, numbered from 1."""
    return [visit(on, clearance, instance=number) for number, (on, clearance) in enumerate(seen, start=1)]


def event(
    *,
    grade: str | None = "1",
    serious: bool | None = False,
    action: str | None = "none",
    interest: str | None = "none",
    instance: int = 1,
) -> AdverseEvent:
    return AdverseEvent(instance, grade, serious, action, interest)


def prior(
    drug: str | None, *, route: str | None = "oral", other: str | None = None, instance: int = 1
) -> PriorTreatment:
    return PriorTreatment(instance, drug, other, route)


def treated_chart(
    *,
    doses: list[Dose] | None = None,
    assessments: list[Assessment] | None = None,
    events: list[AdverseEvent] | None = None,
    priors: list[PriorTreatment] | None = None,
    **facts: Any,
) -> Chart:
    """A patient on 5 mg a day since day 0, unless other doses are given."""
    return Chart(patient(**facts), priors or [], [dose()] if doses is None else doses, assessments or [], events or [])


def outcome(**rows: Any) -> OutcomeWithEvidence:
    return rules.outcome_of(treated_chart(**rows))


def member_of(chart: Chart) -> Member:
    return rules.member_of(chart, course=rules.course_of(chart))


def random_chart(seed: int) -> Chart:
    """A patient of any kind: most of them treated and seen often, a few values missing, dosing rows that may overlap.

    Whole charts come from one number: drawn value by value, hardly one in a hundred would respond and relapse.
    """
    random = Random(seed)  # noqa: S311 -- test data
    maybe = partial(one_or_none, random)
    start = random.choice([0, 0, 0, -30, 20])
    facts = patient(
        birth_date=maybe(date(1930, 1, 1) + timedelta(days=random.randrange(29000))),
        sex=random.choice(["M", "F", "U", None]),
        cle_subtype=random.choice([None, [], ["dle"], ["scle", "dle"], ["scle"]]),
        last_contact_date=random.choice([None, day(random.randrange(300)), day(random.randrange(300, 500))]),
    )
    routes = ["oral", "oral", "intravenous", "subcutaneous", "intramuscular", "topical", "light", None]
    drugs = ["thalidomide", "methotrexate", "dapsone", "other", "other", None]
    others = [None, "", "Leflunomide", " leflunomide ", "ustekinumab"]
    priors = [
        prior(random.choice(drugs), route=random.choice(routes), other=random.choice(others), instance=number)
        for number in instances(random, most=7)
    ]
    assessments = [
        visit(
            maybe(start + random.choice([0, 0, 30, 60, random.randrange(-20, 400)])),
            maybe(random.choice(["0", "49.9", "50", "70", "95", "95.1", "98", "100"])),
            new=maybe(random.random() < 0.2),
            instance=number,
        )
        for number in instances(random, most=9)
    ]
    events = [
        event(
            grade=maybe(random.choice("12345")),
            serious=maybe(random.random() < 0.3),
            action=maybe(random.choice(["none", "none", "dose_reduced", "discontinued", "interrupted"])),
            interest=maybe(random.choice(SPECIAL_INTERESTS)),
            instance=number,
        )
        for number in instances(random, most=3)
    ]
    return Chart(facts, priors, random_doses(random, start), assessments, events)


def random_doses(random: Random, start: int) -> list[Dose]:
    """Periods one after the other, with gaps, breaks and now and then an overlap, a blank or a row of nothing."""
    maybe, doses = partial(one_or_none, random), []
    for number in instances(random, most=5):
        end = start + random.randrange(90)
        doses.append(
            dose(
                maybe(start),
                random.choice([end, end, end, None]),
                maybe(random.choice(["0", "2.5", "5", "5", "10"])),
                schedule=maybe(random.choice(["daily", "daily", "alternate_days", "d21_28", "other"])),
                reason=maybe(random.choice(["initiation", "insufficient_response", "adverse_event"])),
                stop=maybe(random.choice(["dose_change", "adverse_event", "sustained_response"])),
                instance=number,
            )
        )
        start = end + random.choice([1, 1, 1, 20, 0, -30])
    return doses


SPECIAL_INTERESTS = [
    "none",
    "peripheral_neuropathy",
    "venous_thrombosis",
    "arterial_thrombosis",
    "lupus_flare",
    "cytopenia",
]


def one_or_none(random: Random, value: Any) -> Any:
    """The value, seldom nothing."""
    return None if random.random() < 0.05 else value


def instances(random: Random, *, most: int) -> list[int]:
    """Instance numbers in any order."""
    return random.sample(range(1, 20), random.randrange(most + 1))


charts = partial(st.builds, random_chart, st.integers(0, 2**64 - 1))
