"""Addresses of what pages lead to: entries, and what stands beside them."""

from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from crf.forms import Form, forms_by_name
from crf.locks import Target
from crf.pages import addresses


def entry_title(form: type[Form], record_id: str, instance: int) -> str:
    """Return what an entry is called: "MTP-001 · Dosing 2"."""
    title = _(form.title())
    return f"{record_id} · {title} {instance}" if form.repeating else f"{record_id} · {title}"


def beside_address(form: str, record_id: str, instance: int, variable: str) -> str:
    """Return the address of the panel of a variable."""
    return addresses.of_beside(record_id, form, instance, variable)


def of_entry(page: str, form: str, record_id: str, instance: int) -> str:
    """Return the address of a page that each form has, such as `page-entry` or `page-verify`."""
    return reverse(f"{page}-{form}", kwargs=_place(form, record_id, instance))


def entry_address(form: str, record_id: str, instance: int) -> str | None:
    """Return the address of the page of an entry, None where the installation has none."""
    try:
        return of_entry("page-entry", form, record_id, instance)
    except NoReverseMatch:
        return None


def standing_address(target: Target, *, version: int | None = None) -> str:
    """Return the address of how a place stands; `version` is the one of the entry that the person has before them."""
    if target.record_id is None:
        return reverse("page-standing-site", kwargs={"code": target.site})
    if target.form is None:
        return reverse("page-standing", kwargs={"record_id": target.record_id})
    address = of_entry("page-standing", target.form.form_name(), target.record_id, target.instance or 1)
    return f"{address}?{urlencode({'version': version})}" if version else address


def _place(form: str, record_id: str, instance: int) -> dict[str, str | int]:
    place: dict[str, str | int] = {"record_id": record_id}
    return {**place, "instance": instance} if forms_by_name()[form].repeating else place
