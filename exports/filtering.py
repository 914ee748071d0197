"""The filter of a data cut: which variables it may name, and the rows and patients that it leaves in.

What a level of privacy withholds, a filter may not name either: who may choose by a value can find it out.
"""

from typing import Any

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from crf.fields import DateField, PartialDateField
from crf.filters import Filter, FilterError, parse_filter
from crf.forms import Form, all_forms, patient_form
from exports.cuts import Cut, Privacy
from exports.withheld import withheld_variables

NOT_AS_IT_IS = gettext_noop("shown only in disguise at this level of privacy")


def read_filter(text: str, *, privacy: Privacy) -> Filter:
    """Return the filter of a cut at a level of privacy.

    Raises FilterError when it is no filter, names what is withheld at that level, or would give other rows tomorrow or
    to somebody else: the same cut asked for again gives the same data.
    """
    found = parse_filter(text)
    if found.depends_on_who_asks:
        message = _("A data cut cannot depend on today or on who asks. Write a date, or the name.")
        raise FilterError("not_in_a_cut", 0, message)
    hidden = withheld_from(privacy)
    for name in sorted(found.reads & hidden.keys()):
        if hidden[name] != NOT_AS_IT_IS or name not in found.reads_only_how_far_apart:
            message = _("%(name)s may not be in this filter: it is %(reason)s. Leave it out, or choose a fuller level.")
            raise FilterError("withheld_variable", 0, message % {"name": f"[{name}]", "reason": _(hidden[name])})
    return found


def withheld_from(privacy: Privacy) -> dict[str, str]:
    """Return the variables whose values a cut of this level does not tell, and why."""
    hidden = {of.variable: of.reason for form in all_forms() for of in withheld_variables(form, privacy=privacy)}
    if privacy is Privacy.DEIDENTIFIED:
        hidden["record_id"] = NOT_AS_IT_IS
        for form in all_forms():
            for name, variable in form.variables().items():
                if isinstance(variable, DateField | PartialDateField):
                    hidden.setdefault(name, NOT_AS_IT_IS)
    return hidden


def rows_kept(form: type[Form], cut: Cut) -> tuple[str, list[Any]]:
    """Return the SQL condition on the rows of a form that are in a cut, and its parameters."""
    condition, parameters = "deleted_at IS NULL AND site_id = ANY(%s)", [list(cut.sites)]
    if cut.filter is None:
        return condition, parameters
    kept = form.objects.filter(parse_filter(cut.filter).in_cut(form)).order_by()
    ids, values = kept.values("pk").query.sql_with_params()
    return f"{condition} AND id IN ({ids})", [*parameters, *values]


def patients_kept(cut: Cut) -> tuple[str, list[Any]]:
    """Return the SQL condition on rows that name a patient by `site_id` and `record_id`, and its parameters."""
    if cut.filter is None:
        return "site_id = ANY(%s)", [list(cut.sites)]
    condition, parameters = rows_kept(patient_form(), cut)
    patients = connection.ops.quote_name(patient_form()._meta.db_table)
    of_the_cut = f"SELECT record_id FROM {patients} WHERE {condition}"  # noqa: S608 -- identifiers of the declaration
    return f"site_id = ANY(%s) AND record_id IN ({of_the_cut})", [list(cut.sites), *parameters]
