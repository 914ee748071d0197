"""The pages that a person may go to, in the bar at the top of each. The layers above are named by string only."""

from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from registry.accounts.second_factor import is_held_back
from registry.rights import Caller, Right
from registry.signed_in import caller_behind


@dataclass(frozen=True)
class Item:
    """One link: the name of its address, its words, the rights of which a person needs one, and what stands under it.

    `under` are names of addresses, or beginnings of them that end in `*`, at which the item is the current one.
    """

    name: str
    label: Any
    rights: frozenset[Right] = frozenset()
    under: tuple[str, ...] = ()

    def is_for(self, by: Caller) -> bool:
        """Return whether the person may go there."""
        return not self.rights or any(by.may_anywhere(right) for right in self.rights)

    def holds(self, name: str) -> bool:
        """Return whether the address with this name is the item's, or stands under it."""
        return name == self.name or any(
            name.startswith(part[:-1]) if part.endswith("*") else name == part for part in self.under
        )


EXPORTING: Final = frozenset(
    {Right.EXPORT_WITH_IDENTIFIERS, Right.EXPORT_POOLED_DEIDENTIFIED, Right.EXPORT_POOLED_WITH_IDENTIFIERS}
)
WORK: Final = (
    Item(
        "home",
        _("Patients"),
        frozenset({Right.READ}),
        under=("page-site", "page-patient*", "page-entr*", "page-photograph*"),
    ),
    Item("page-imports", _("Import"), frozenset({Right.ENTER}), under=("page-import*",)),
    Item("page-queries", _("Queries"), frozenset({Right.READ}), under=("page-query*", "page-beside*")),
    Item(
        "page-endpoints",
        pgettext_lazy("in the bar", "Endpoints"),
        frozenset({Right.SEE_POOLED_ENDPOINTS}),
        under=("page-endpoint*", "page-outcome"),
    ),
    Item("page-exports", _("Exports"), EXPORTING, under=("page-export*",)),
)
"""What the day's work is done with."""
SETTINGS: Final = (
    Item("account", _("My account"), under=("account_*", "mfa_*")),
    Item("page-audit", _("Audit trail"), frozenset({Right.READ, Right.MANAGE}), under=("page-audit*",)),
    Item("page-jobs", _("Jobs"), frozenset({Right.MANAGE})),
    Item("page-tokens", _("Tokens"), under=("page-token",)),
    Item("page-people", _("People"), frozenset({Right.MANAGE}), under=("page-person*", "page-role")),
    Item("page-sites", _("Sites"), frozenset({Right.MANAGE}), under=("page-site-settings",)),
    Item("page-health", _("Health"), frozenset({Right.MANAGE})),
    Item("docs", _("REST API")),
)
"""What is looked after now and then."""


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Return, for every template, the links for the person who is signed in; asked for when a template reads them."""
    return {"navigation": SimpleLazyObject(lambda: _links(request))}


def _links(request: HttpRequest) -> dict[str, list[dict[str, Any]]]:
    by = caller_behind(request)
    match = request.resolver_match
    name = match.view_name if match else ""
    # Who must do something first would only be sent back.
    groups = {"work": WORK, "settings": SETTINGS} if by and not is_held_back(request, by) else {}
    return {
        group: [
            {"href": reverse(item.name), "label": item.label, "current": item.holds(name)}
            for item in items
            if by and item.is_for(by)
        ]
        for group, items in groups.items()
    }
