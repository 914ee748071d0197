"""`filterLogic` of a call: the rows that it keeps, as conditions of the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Q
from django.utils import timezone

from crf.filters import Asked as WhoAsks
from crf.filters import Filter, FilterError, parse_filter
from crf.forms import Form, forms_by_name, patient_form
from crf.redcap.errors import ApiError
from crf.redcap.groups import group_of, unique_name
from registry.rights import Caller

Condition = tuple[str, tuple[Any, ...]]
"""SQL that gives the keys of the rows that are kept, and its parameters."""


@dataclass(frozen=True)
class Filtering:
    """One filter as one caller asks it now."""

    filter: Filter
    asked: WhoAsks

    @cached_property
    def forms(self) -> tuple[type[Form], ...]:
        """The repeating forms of which instances are kept."""
        return tuple(forms_by_name()[name] for name in forms_by_name() if name in self.filter.forms)

    @cached_property
    def rows(self) -> Mapping[type[Form], Condition]:
        """The rows that a flat export keeps, by form; of forms that are not here it keeps none."""
        kept = (patient_form(), *self.forms)
        return {form: _keys(form, self.filter.condition(form, asked=self.asked)) for form in kept}

    @cached_property
    def records(self) -> Condition:
        """The patients of whom any row is kept."""
        return _keys(patient_form(), self.filter.of_records(asked=self.asked))


def read_filter(text: str, *, by: Caller) -> Filtering | None:
    """Return the filter of a call, None when it has none. Raises ApiError when it cannot be read."""
    if not text.strip():
        return None
    groups = {site: unique_name(site) for site in by.sites}
    asked = WhoAsks(now=timezone.now(), user_name=by.username, user_site=group_of(by) or "", groups=groups)
    try:
        return Filtering(parse_filter(text), asked)
    except FilterError as error:
        raise ApiError(f"The filterLogic could not be evaluated: {error.message}") from None


def _keys(form: type[Form], condition: Q) -> Condition:
    sql, parameters = form.objects.filter(condition).order_by().values("pk").query.sql_with_params()
    return sql, tuple(parameters)
