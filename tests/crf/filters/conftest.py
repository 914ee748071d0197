"""Rows to filter: written past the entry service, which would refuse many of their odd values."""

import random
from datetime import date
from decimal import Decimal

import pytest

from crf.forms import forms_by_name
from crf.partial_dates import PartialDate

WORDS = [None, "5", "05", "5.0", "-1", "1e5", "abc", "ABC", "a b", "2020-03-05", "2020-02-30", "it's", "100 %", "é\\n"]
DATES = [None, date(1970, 5, 1), date(2020, 2, 29), date(2020, 3, 1)]
PARTIAL = [None, PartialDate.parse("2019"), PartialDate.parse("2020-03"), PartialDate.parse("2020-03-05")]


@pytest.fixture
def cohort(sites):
    """Fifteen patients with up to three dosing periods and adverse events, all values drawn at random but the same."""
    draw = random.Random(7)  # noqa: S311 -- test data
    patient, dosing, event = (forms_by_name()[name] for name in ("patient", "dosing", "adverse_event"))
    for number in range(1, 16):
        one = _patient(patient, number, draw)
        for instance in range(1, draw.randint(1, 4)):
            dosing.objects.create(
                patient=one,
                site_id=one.site_id,
                instance=instance,
                dose_start=date(2020, instance, 1),
                dose_end=date(2020, instance, draw.randint(1, 28)),
                dose_mg=draw.choice([None, Decimal(0), Decimal("2.5"), Decimal(5), Decimal(10)]),
                dose_schedule=draw.choice([None, "daily", "other"]),
                status=draw.choice([0, 2]),
            )
        for instance in range(1, draw.randint(1, 4)):
            event.objects.create(
                patient=one,
                site_id=one.site_id,
                instance=instance,
                ae_grade=draw.choice([None, "1", "3", "5"]),
                ae_term=draw.choice(WORDS),
                status=draw.choice([0, 2]),
            )


def _patient(form, number, draw):
    site = draw.choice(["MTP", "NIM"])
    return form.objects.create(
        site_id=site,
        number=number,
        record_id=f"{site}-{number:03d}",
        sex=draw.choice([None, "M", "F"]),
        cle_subtype=draw.choice([None, ["dle"], ["scle", "dle"]]),
        birth_date=draw.choice(DATES),
        diagnosis_date=draw.choice(PARTIAL),
        systemic_lupus=draw.choice([None, True, False]),
        patient_notes=draw.choice(WORDS),
        status=draw.choice([0, 1, 2]),
    )
