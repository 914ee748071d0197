"""What stands beside the data, in templates of the pages of entries and patients."""

from typing import Any

from django import template
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crf.locks import Target
from crf.models.lock import Lock
from crf.pages import addresses
from crf.pages.links import beside_address, standing_address
from crf.standing import ENTRY, FORM, PATIENT, SITE, Standing, reach_of
from registry.rights import Right

register = template.Library()

REACHES = {
    ENTRY: gettext_lazy("this form"),
    FORM: gettext_lazy("every such form of the patient"),
    PATIENT: gettext_lazy("the patient"),
    SITE: gettext_lazy("the whole site"),
}


@register.simple_tag
def beside_url(form: str, record_id: str, instance: int, variable: str) -> str:
    """Return the address of the panel of a variable."""
    return beside_address(form, record_id, instance or 1, variable)


@register.simple_tag
def standing_url(standing: Standing) -> str:
    """Return the address of how a place stands, for the version of the entry that is shown."""
    version = standing.entry.version if standing.entry and standing.target.form else None
    return standing_address(standing.target, version=version)


@register.simple_tag
def standing_url_of(record_id: str = "", site: str = "") -> str:
    """Return the address of how a patient or a site stands."""
    return standing_address(Target(record_id=record_id) if record_id else Target(site=site))


@register.filter
def reach(lock: Lock) -> str:
    """Return what a lock covers."""
    return str(REACHES[reach_of(lock)])


@register.filter
def holds(standing: Standing, right: str) -> bool:
    """Return whether the person holds the right at the place."""
    return Right(right) in standing.may


@register.filter
def username_in(actor: dict[str, Any] | None) -> str:
    """Return who acted, from an actor of the history."""
    return (actor or {}).get("username") or (actor or {}).get("database_role") or ""


@register.simple_tag
def labels_of(standing: Standing, names: list[str] | None) -> str:
    """Return the labels of variables of the entry; what is none stands for itself."""
    form = standing.target.form
    variables = form.variables() if form else {}
    return ", ".join(_(variables[name].label) if name in variables else name for name in names or ())


@register.filter
def unlock_deed(lock: Lock) -> str:
    """Return the name of the form that lifts a lock."""
    return f"unlock-{lock.pk}"


@register.simple_tag
def delete_url(standing: Standing) -> str:
    """Return the address at which the entry of a standing is deleted."""
    target = standing.target
    form = target.form.form_name() if target.form else ""
    return addresses.of_deletion(str(target.record_id), form, target.instance or 1)
