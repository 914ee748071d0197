"""A dosing period, and what is asked about it: for the tests of the pages beside the data."""

import html
import re

from django.urls import reverse
from django.utils import timezone

from crf import data_queries
from crf.forms import forms_by_name
from registry.acting import Door, acting

DOSING = forms_by_name()["dosing"]
PLACE = {"record_id": "MTP-001", "instance": 1}


def ask(by, text="Is it so?", *, variable="dose_mg", form=DOSING, instance=1, record_id="MTP-001", at=None):
    """Open a query."""
    with acting(by, door=Door.REST):
        return data_queries.open_query(
            form, record_id, instance, variable=variable, text=text, by=by, now=at or timezone.now()
        )


def step(query, kind, by, text="It is."):
    """Take a step of a query."""
    with acting(by, door=Door.REST):
        return data_queries.take_step(query.pk, kind, text=text, by=by, now=timezone.now())


def of_dose(page, **more):
    """Return the address of a page about the dosing period."""
    return reverse(f"{page}-dosing", kwargs={**PLACE, **more})


def panel(variable="dose_mg"):
    """Return the address of the panel of a variable of the dosing period."""
    return of_dose("page-beside", variable=variable)


def words(response):
    """Return the text of a page without its markup, blanks run together."""
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
