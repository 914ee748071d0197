"""A synthetic cohort of any size: plausible patients whom nobody ever met, on the forms of docs/data-dictionary.csv.

Each patient is first a `Course`, what happened and when, and then rows of cells as a coordinator would enter them:
some values unknown, with or without a reason, some dates known to the month or the year, and now and then a row that
is odd enough for a soft check. Every row passes the hard checks. Pure: the same seed gives the same cohort.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Literal, NamedTuple

Cells = dict[str, str]
"""One row of a CSV file by column; a column that is not there is blank."""
Best = Literal["CR", "PR", "NR", "NE"]

FIRST_STARTS = date(2008, 1, 1)
DAYS_OF_STARTS = 3650
LONGEST_FOLLOW_UP = 2000
"""In days; the last patient to start was then last seen in 2023."""
INFORMED = date(2023, 9, 1)


class SyntheticPatient(NamedTuple):
    """One patient: rows of cells by form name."""

    record_id: str
    rows: Mapping[str, Sequence[Cells]]


class Period(NamedTuple):
    """What began on a day after the first dose: a dose in mg (0: an interruption), its schedule and the reason."""

    day: int
    mg: str
    schedule: str
    reason: str


class Event(NamedTuple):
    """An adverse event that changed the treatment."""

    day: int
    action: str


@dataclass
class Course:
    """What happened to a patient; days count from the first dose."""

    random: Random
    sex: str
    birth: date
    start: date
    followed: int
    best: Best
    best_day: int
    worse_day: int | None
    stop_day: int | None
    stop_reason: str
    died: bool
    periods: list[Period]
    events: list[Event]

    def on(self, day: int) -> date:
        """Return the date of a day after the first dose."""
        return self.start + timedelta(days=day)

    def happens(self, share: float) -> bool:
        """Return True in this share of the calls."""
        return self.random.random() < share


def synthetic_cohort(
    patients: int, *, seed: int, sites: Sequence[str], first_number: Mapping[str, int] | None = None
) -> Iterator[SyntheticPatient]:
    """Yield this many patients, numbered at each of `sites` from 1 or from its `first_number`.

    Patient k depends on the seed and on k alone, so that a longer cohort begins with the shorter one.
    """
    numbers = {site: (first_number or {}).get(site, 1) for site in sites}
    for k in range(patients):
        random = Random(f"{seed}/{k}")  # noqa: S311 -- made-up patients, not secrets
        site = random.choice(sites)
        record_id = f"{site}-{numbers[site]:03d}"
        numbers[site] += 1
        yield SyntheticPatient(record_id, rows_of(course_of(random), record_id=record_id, site=site))


def rows_of(course: Course, *, record_id: str, site: str) -> dict[str, list[Cells]]:
    """Return the rows of all forms, with the columns that say whose they are."""
    forms = {
        "prior_treatment": prior_treatments(course),
        "dosing": doses(course),
        "lesion_assessment": assessments(course),
        "adverse_event": adverse_events(course),
    }
    for rows in forms.values():
        for number, row in enumerate(rows, start=1):
            row["record_id"], row["redcap_repeat_instance"] = record_id, str(number)
    return {"patient": [patient_form(course) | {"record_id": record_id, "site": site}], **forms}


# What happens


def course_of(random: Random) -> Course:
    """Return the course of one patient."""
    start = FIRST_STARTS + timedelta(days=random.randrange(DAYS_OF_STARTS))
    age_in_days = random.triangular(18, 85, 43) if random.random() > 0.005 else random.uniform(14, 17.9)
    best: Best = random.choices(["CR", "PR", "NR", "NE"], [58, 25, 11, 6])[0]  # type: ignore[assignment]  # one of the four
    followed = int(random.triangular(120, LONGEST_FOLLOW_UP, 600))
    best_day = min(int(random.triangular(25, 280, 75)), followed - 30)
    course = Course(
        random=random,
        sex=random.choices(["F", "M", "U"], [78, 21.7, 0.3])[0],
        birth=start - timedelta(days=int(age_in_days * 365.25)),
        start=start,
        followed=followed,
        best=best,
        best_day=best_day,
        worse_day=random.randrange(best_day + 1, followed) if random.random() < 0.3 else None,
        stop_day=None,
        stop_reason="",
        died=random.random() < 0.004,
        periods=[],
        events=[],
    )
    plan_treatment(course)
    return course


def plan_treatment(course: Course) -> None:
    """Fill in the periods, the end of the treatment and the events behind them; 2 % are never treated."""
    random = course.random
    if course.happens(0.02):
        course.best = "NE"
        return
    first = random.choices(["5", "10", "2.5", "15"], [95, 2.5, 2, 0.5])[0]
    course.periods.append(Period(0, first, "daily", "initiation"))
    if course.best == "NE":
        stop(course, random.randrange(4, 25), "adverse_event")
    else:
        plan_changes(course)
    course.periods = [period for period in course.periods if period.day < (course.stop_day or course.followed)]


def plan_changes(course: Course) -> None:
    """Add what changed under a longer treatment: raised, reduced, interrupted, stopped."""
    random, day = course.random, 0
    if course.happens(0.25):
        day = random.randrange(50, 150)
        course.periods.append(Period(day, "10", "daily", "insufficient_response"))
    if course.happens(0.08):
        day += random.randrange(30, 200)
        course.periods.append(Period(day, "0", "daily", random.choice(["adverse_event", "patient_decision", "other"])))
        day += random.randrange(14, 60)
        course.periods.append(Period(day, "5", "daily", "resumption"))
    if course.happens(0.07):
        day += random.randrange(20, 200)
        reduce(course, day, "adverse_event")
        course.events.append(Event(day, "dose_reduced"))
    elif course.best in ("CR", "PR") and course.happens(0.4):
        day = max(day, course.best_day) + random.randrange(60, 300)
        reduce(course, day, "sustained_response")
    if course.happens(0.25):
        reasons = {"CR": "sustained_response", "PR": "patient_decision", "NR": "inefficacy"}
        usual = reasons.get(course.best, "other")
        reason = random.choice([usual, usual, "adverse_event", "pregnancy" if course.sex == "F" else "other", "lost"])
        stop(course, random.randrange(60, max(course.followed, 61)), reason)


def reduce(course: Course, day: int, reason: str) -> None:
    """Lower the dose from this day on."""
    mg, schedule = course.random.choice([("2.5", "daily"), ("5", "alternate_days"), ("5", "d21_28")])
    course.periods.append(Period(day, mg, schedule, reason))


def stop(course: Course, day: int, reason: str) -> None:
    """End the treatment on this day."""
    course.stop_day, course.stop_reason = day, reason
    if reason == "adverse_event":
        course.events.append(Event(day, "discontinued"))


# The patient form


def patient_form(course: Course) -> Cells:
    """Return the patient form."""
    random = course.random
    subtypes = random.choices(SUBTYPES, [8, 22, 55, 4, 6, 8, 2], k=random.choice([1, 1, 1, 2]))
    neuropathy = course.happens(0.15)
    return {
        "birth_date": course.birth.isoformat(),
        "sex": course.sex,
        "race": random.choices(["WHITE", "BLACK", "ASIAN", "OTHER", "UNKNOWN", ""], [70, 12, 5, 4, 5, 4])[0],
        "cle_subtype": "|".join(code for code in SUBTYPES if code in subtypes),
        "cle_subtype_other": "bullous, “Rowell-like”" if "other" in subtypes else "",
        "diagnosis_date": partial(random, course.on(-random.randrange(200, 365 * 9))),
        "systemic_lupus": yes(course.happens(0.25)),
        "smoking_status": random.choices(["never", "former", "current", "unknown", ""], [35, 20, 38, 4, 3])[0],
        "neuropathy_history": yes(neuropathy),
        "neuropathy_cause": random.choice(["thalidomide", "thalidomide", "other", "unknown"]) if neuropathy else "",
        "thrombosis_history": yes(course.happens(0.08)),
        "antiphospholipid": random.choices(["positive", "negative", "not_done", ""], [15, 60, 20, 5])[0],
        **pregnancy_prevention(course),
        "non_opposition_date": INFORMED.isoformat(),
        **last_news(course),
        "patient_notes": random.choices(["", *NOTES], [95, 2, 1, 1, 1])[0],
    }


def pregnancy_prevention(course: Course) -> Cells:
    """Return what is asked of women; now and then it was not recorded."""
    if course.sex != "F" or course.happens(0.02):
        return {}
    if course.start - course.birth > timedelta(days=50 * 365) or course.happens(0.1):
        return {"childbearing_potential": "0"}
    test = course.on(-course.random.randrange(1, 8)).isoformat()
    return {
        "childbearing_potential": "1",
        "pregnancy_prevention": yes(course.happens(0.97)),
        "pregnancy_test_date": test,
    }


def last_news(course: Course) -> Cells:
    """Return the end of the observation: not always recorded, and once in a hundred before the last visit."""
    if course.died:
        return {"last_contact_date": course.on(course.followed).isoformat(), "vital_status": "dead"}
    if course.happens(0.03):
        return {"missing": f"last_contact_date={course.random.choice(REASONS)}"}
    days_off = -60 if course.happens(0.01) else course.random.randrange(30)
    status = course.random.choices(["alive", "lost", ""], [88, 8, 4])[0]
    return {"last_contact_date": course.on(course.followed + days_off).isoformat(), "vital_status": status}


# Prior treatments


def prior_treatments(course: Course) -> list[Cells]:
    """Return 2 to 12 treatments, one after the other, hydroxychloroquine first."""
    random = course.random
    others = random.sample(PRIOR_DRUGS, random.choices(range(1, 12), [4, 8, 12, 16, 18, 14, 10, 6, 4, 2, 1])[0])
    begins = course.on(-random.randrange(700, 365 * 8))
    years_each = (course.start - begins).days // (len(others) + 1)
    rows = []
    for number, (drug, routes) in enumerate([("hydroxychloroquine", "oral"), *others]):
        first = begins + timedelta(days=number * years_each)
        rows.append(prior_treatment(course, drug, routes, first, first + timedelta(days=int(years_each * 0.9))))
    return rows


def prior_treatment(course: Course, drug: str, routes: str, first: date, last: date) -> Cells:
    """Return one treatment; now and then a route, a date or a reason is not known."""
    random = course.random
    if drug == "thalidomide" and course.happens(0.02):
        last = course.on(120)
    ongoing = drug != "thalidomide" and course.happens(0.06)
    reason = random.choices(
        ["inefficacy", "loss_of_response", "adverse_event", "remission", "unknown"], [55, 15, 18, 5, 7]
    )
    row = {
        "prior_drug": drug,
        "prior_drug_other": random.choice(["Leflunomide", "leflunomide ", "Clofazimine", "Gold salts"])
        if drug == "other"
        else "",
        "prior_route": random.choice(routes.split("|")),
        "prior_dose": random.choice(["", "", "400 mg/d", "≤ 5 mg/kg", "15 mg/week"]),
        "prior_start": partial(random, first),
        "prior_end": "" if ongoing else partial(random, last),
        "prior_response": random.choices(["complete", "partial", "none", "unknown", ""], [10, 35, 45, 7, 3])[0],
        "prior_stop_reason": "ongoing" if ongoing else reason[0],
        "prior_neuropathy": yes(course.happens(0.3)) if drug == "thalidomide" else "",
    }
    if course.happens(0.02):
        row |= {"prior_start": "", "missing": f"prior_start={random.choice(REASONS)}"}
    return row


# Dosing


def doses(course: Course) -> list[Cells]:
    """Return the periods, each up to the day before the next; the last one is open unless the drug was stopped."""
    rows = []
    for number, period in enumerate(course.periods):
        last = number == len(course.periods) - 1
        end = course.stop_day if last else course.periods[number + 1].day - 1
        rows.append(dose(course, period, end, course.stop_reason if last else "dose_change"))
    return rows


def dose(course: Course, period: Period, end: int | None, stop_reason: str) -> Cells:
    """Return one period; now and then its first day or its dose is not known."""
    random = course.random
    row = {
        "dose_start": course.on(period.day).isoformat(),
        "dose_end": "" if end is None else course.on(end).isoformat(),
        "dose_mg": period.mg,
        "dose_schedule": period.schedule,
        "dose_reason": period.reason,
        "dose_stop_reason": "" if end is None or course.happens(0.02) else stop_reason,
        "antithrombotic": random.choices(
            ["aspirin", "clopidogrel", "anticoagulant", "other", "none"], [80, 5, 11, 1, 3]
        )[0],
    }
    if course.happens(0.004):
        blank = random.choice(["dose_start", "dose_mg"])
        row |= {blank: "", "missing": f"{blank}={random.choice(REASONS)}"}
    return row


# Assessments


def assessments(course: Course) -> list[Cells]:
    """Return the baseline and the visits, at first monthly and then every three to six months."""
    random, rows, day = course.random, [assessment(course, 0)], 0
    if course.best == "NE":
        return rows
    while (day := day + next_visit(random, day)) <= course.followed:
        rows.append(assessment(course, day))
    return rows


def next_visit(random: Random, day: int) -> int:
    """Return the days until the next visit."""
    if day < 60:
        return random.randrange(24, 40)
    return random.randrange(75, 100) if day < 300 else random.randrange(90, 220)


def assessment(course: Course, day: int) -> Cells:
    """Return one visit; values that were not recorded have a reason or, as often, none."""
    random = course.random
    clearance, new = lesions(course, day)
    row = {
        "lesion_date": course.on(day).isoformat(),
        "lesion_clearance": f"{clearance:g}",
        "lesion_new": yes(new),
        "clasi_activity": str(max(0, round((100 - clearance) / 9 + random.uniform(-2, 2))))
        if course.happens(0.9)
        else "",
        "clasi_damage": str(random.randrange(0, 15)) if course.happens(0.85) else "",
        "lesion_response": judged(course, clearance, new) if day else "",
        "systemic_flare": yes(course.happens(0.01)),
        "lesion_notes": random.choices(["", *NOTES], [96, 1, 1, 1, 1])[0],
    }
    if course.happens(0.03):
        blank = random.choice(["lesion_clearance", "lesion_clearance", "lesion_new"])
        why = f"{blank}={random.choice(REASONS)}" if course.happens(0.5) else ""
        row |= {blank: "", "lesion_response": "NE", "lesion_not_evaluable": "Photographs only", "missing": why}
    return row


def lesions(course: Course, day: int) -> tuple[float, bool]:
    """Return the clearance in %, one decimal at most, and whether there are new lesions."""
    random = course.random
    if day == 0:
        return (20.0 if course.happens(0.005) else 0.0), False
    if course.worse_day is not None and day >= course.worse_day:
        return random.choice([0, 20, 30, 45, 70, 90]), course.happens(0.4)
    if course.best == "NR":
        return random.choice([0, 10, 20, 30, 40]), course.happens(0.2)
    if day < course.best_day:
        return float(round(45 * day / course.best_day)), course.happens(0.1)
    if course.best == "PR":
        return random.choice([50, 60, 70, 75, 80, 90, 95]), False
    return random.choice([96, 97.5, 98, 99, 100]), course.happens(0.02)


def judged(course: Course, clearance: float, new: bool) -> str:
    """Return the investigator's judgement: nearly always what the figures say."""
    if course.happens(0.02):
        return course.random.choice(["CR", "PR", "SD", "PD"])
    if course.happens(0.05):
        return ""
    if new or clearance < 50:
        return "PD" if new else "SD"
    return "CR" if clearance > 95 else "PR"


# Adverse events


def adverse_events(course: Course) -> list[Cells]:
    """Return the events behind changes of the treatment, the usual ones, and a fatal one."""
    random = course.random
    rows = [
        adverse_event(course, event.day, event.action, random.choices("234", [2, 5, 1])[0]) for event in course.events
    ]
    for _ in range(random.choices(range(6), [40, 30, 15, 9, 4, 2])[0]):
        action = random.choices(["none", "interrupted", "not_applicable", "unknown"], [90, 5, 3, 2])[0]
        day = random.randrange(1, course.followed)
        rows.append(adverse_event(course, day, action, random.choices("1234", [55, 33, 10, 2])[0]))
    if course.died:
        rows.append(adverse_event(course, course.followed, "not_applicable", "5"))
    return rows


def adverse_event(course: Course, day: int, action: str, grade: str) -> Cells:
    """Return one event; grade 5 is fatal and serious, grade 3 and 4 mostly serious."""
    random = course.random
    term, category, interest = random.choices(EVENTS, [weight for *_, weight in EVENTS])[0][:3]
    serious = grade == "5" or course.happens({"1": 0.0, "2": 0.02, "3": 0.85, "4": 0.97}[grade])
    lasting = grade != "5" and course.happens(0.1)
    recovered = random.choices(["recovered", "sequelae", "unknown"], [92, 4, 4])[0]
    outcome = "fatal" if grade == "5" else random.choice(["recovering", "not_recovered"]) if lasting else recovered
    return {
        "ae_term": term,
        "ae_category": category,
        "ae_grade": grade,
        "ae_start": partial(random, course.on(day)),
        "ae_end": "" if lasting else partial(random, course.on(day + random.choice([0, 2, 7, 14, 30, 60]))),
        "ae_serious": yes(serious),
        "ae_serious_criteria": SERIOUS_FOR.get(grade, "medically_important") if serious else "",
        "ae_related": random.choice(["unrelated", "unlikely", "possible", "possible", "probable", "definite"]),
        "ae_action": action,
        "ae_outcome": outcome,
        "ae_special_interest": interest,
        "ae_notes": random.choices(["", *NOTES], [96, 1, 1, 1, 1])[0],
    }


# Cells


def yes(value: bool) -> str:
    """Return a yes/no as CSV carries it."""
    return "1" if value else "0"


def partial(random: Random, day: date) -> str:
    """Return the year, the month or the day of a date: what is remembered of it."""
    return day.isoformat()[: random.choice([4, 4, 7, 7, 10])]


SUBTYPES = ("acle", "scle", "dle", "lep", "chle", "let", "other")
REASONS = ("UNK", "NASK", "NAV")
NOTES = (
    "Seen with Dr. “Müller”; photographs on file",
    "= worse in summer",
    "first line\nsecond line",
    "+1 kg, tired 🌞",
)
PRIOR_DRUGS = (
    ("chloroquine", "oral"),
    ("mepacrine", "oral"),
    ("thalidomide", "oral"),
    ("methotrexate", "oral|subcutaneous|intramuscular"),
    ("mycophenolate", "oral"),
    ("azathioprine", "oral"),
    ("dapsone", "oral"),
    ("acitretin", "oral"),
    ("prednisone", "oral|intravenous"),
    ("ivig", "intravenous"),
    ("belimumab", "intravenous|subcutaneous"),
    ("topical_steroid", "topical"),
    ("topical_tacrolimus", "topical"),
    ("phototherapy", "light"),
    ("other", "oral"),
)
# Term as reported, system organ class, special interest, how often.
EVENTS = (
    ("Fatigue", "general", "none", 18),
    ("Muscle cramp", "musculoskeletal", "none", 14),
    ("Constipation", "gastrointestinal", "none", 12),
    ("Diarrhoea", "gastrointestinal", "none", 10),
    ("Headache", "nervous", "none", 8),
    ("Rash maculo-papular", "skin", "none", 8),
    ("Neutrophil count decreased", "investigations", "cytopenia", 8),
    ("Pneumonia", "infections", "none", 4),
    ("Hepatitis, drug-induced", "hepatobiliary", "none", 3),
    ("Peripheral sensory neuropathy", "nervous", "peripheral_neuropathy", 3),
    ("Thromboembolic event", "vascular", "venous_thrombosis", 2),
    ("Stroke", "nervous", "arterial_thrombosis", 1),
    ("Systemic lupus erythematosus flare", "immune", "lupus_flare", 4),
    ("Basal cell carcinoma", "neoplasms", "malignancy", 1),
    ("Insomnia", "psychiatric", "other", 4),
)
SERIOUS_FOR = {"3": "hospitalisation", "4": "life_threatening|hospitalisation", "5": "death"}
