"""Who may do what: the one table of rights that permissions, API, pages and tests read.

Source: docs/architecture.md, "Roles". A right not listed for a role is refused.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What a membership makes of a person at a site."""

    COORDINATOR = "coordinator", _("Site coordinator")
    INVESTIGATOR = "investigator", _("Investigator")
    DATA_MANAGER = "data_manager", _("Data manager")
    MONITOR = "monitor", _("Monitor")


class Right(StrEnum):
    """One thing a person may do at a site."""

    READ = "read"
    ENTER = "enter"
    OPEN_QUERY = "open_query"
    ANSWER_QUERY = "answer_query"
    CLOSE_QUERY = "close_query"
    LOCK = "lock"
    VERIFY = "verify"
    SIGN = "sign"
    SEE_POOLED_ENDPOINTS = "see_pooled_endpoints"
    EXPORT_WITH_IDENTIFIERS = "export_with_identifiers"
    EXPORT_POOLED_DEIDENTIFIED = "export_pooled_deidentified"
    EXPORT_POOLED_WITH_IDENTIFIERS = "export_pooled_with_identifiers"
    MANAGE = "manage"


MATRIX: Mapping[Role, frozenset[Right]] = {
    Role.COORDINATOR: frozenset(
        {
            Right.READ,
            Right.ENTER,
            Right.ANSWER_QUERY,
            Right.SEE_POOLED_ENDPOINTS,
            Right.EXPORT_WITH_IDENTIFIERS,
        }
    ),
    Role.INVESTIGATOR: frozenset(
        {
            Right.READ,
            Right.OPEN_QUERY,
            Right.SIGN,
            Right.SEE_POOLED_ENDPOINTS,
            Right.EXPORT_WITH_IDENTIFIERS,
            Right.EXPORT_POOLED_DEIDENTIFIED,
        }
    ),
    Role.DATA_MANAGER: frozenset(Right) - {Right.VERIFY, Right.SIGN},
    Role.MONITOR: frozenset(
        {Right.READ, Right.OPEN_QUERY, Right.CLOSE_QUERY, Right.VERIFY, Right.SEE_POOLED_ENDPOINTS}
    ),
}


READING = frozenset(
    {
        Right.READ,
        Right.SEE_POOLED_ENDPOINTS,
        Right.EXPORT_WITH_IDENTIFIERS,
        Right.EXPORT_POOLED_DEIDENTIFIED,
        Right.EXPORT_POOLED_WITH_IDENTIFIERS,
    }
)
"""The rights that change no data: what a read-only token keeps."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a call needs of its caller: one of `rights`; none of them is needed when there are none.

    `there`: the rights count at the site of what is addressed. What lies at another site does not exist for the
    caller (404), and it takes a look at it to say so; without `there` holding the right anywhere is enough to begin.
    """

    rights: frozenset[Right] = frozenset()
    there: bool = False

    def held_by(self, by: "Caller") -> bool:
        """Return whether the caller holds one of the rights at one site at least."""
        return not self.rights or any(by.may_anywhere(right) for right in self.rights)

    def __str__(self) -> str:
        names = " or ".join(f"`{right}`" for right in Right if right in self.rights)
        where = ", at the site of what is addressed" if self.there else ""
        return f"Needs {names}{where}." if names else "For everybody who is signed in."


SIGNED_IN = Need()


def anywhere(*rights: Right) -> Need:
    """Return the need of one of `rights` at one site at least."""
    return Need(frozenset(rights))


def there(*rights: Right) -> Need:
    """Return the need of one of `rights` at the site of what is addressed."""
    return Need(frozenset(rights), there=True)


@dataclass(frozen=True, slots=True)
class Caller:
    """The person behind one request, job or command, with the rights in force at this moment.

    `rights` maps each right to the codes of the sites it holds at. A token narrows them before they get here:
    to one site with `only_site`, to some rights with `only_rights`.
    """

    person_id: int | None
    username: str
    rights: Mapping[Right, frozenset[str]]
    roles: tuple[tuple[str, str | None], ...] = ()
    token_id: int | None = None
    sites: frozenset[str] = frozenset()
    only_site: str | None = None
    only_rights: frozenset[str] | None = None
    is_authenticated: ClassVar[bool] = True
    """For REST framework, whose user a caller with a token is."""

    def may(self, right: Right, *, at: str) -> bool:
        """Return whether the caller holds `right` at the site with code `at`."""
        return at in self.rights.get(right, frozenset())

    def may_anywhere(self, right: Right) -> bool:
        """Return whether the caller holds `right` at one site at least."""
        return bool(self.rights.get(right))

    def may_everywhere(self, right: Right) -> bool:
        """Return whether a membership at all sites gives the right, those to come included."""
        given = any(site is None and right in MATRIX[Role(role)] for role, site in self.roles)
        return given and self.only_site is None and self.may_anywhere(right)

    def sites_with(self, right: Right) -> frozenset[str]:
        """Return the codes of the sites at which the caller holds `right`."""
        return self.rights.get(right, frozenset())


def rights_of(
    roles: tuple[tuple[str, str | None], ...],
    *,
    sites: frozenset[str],
    only_site: str | None = None,
    only_rights: Collection[str] | None = None,
) -> dict[Right, frozenset[str]]:
    """Return the sites of each right that `roles` (role, site code or None for all) give.

    `sites` are the codes of all sites; `only_site` narrows the answer to one site and `only_rights` to some rights,
    as a token can.
    """
    held: dict[Right, set[str]] = {}
    for role, site in roles:
        at = sites if site is None else {site} & sites
        if only_site is not None:
            at = at & {only_site}
        for right in MATRIX[Role(role)]:
            held.setdefault(right, set()).update(at)
    kept = held if only_rights is None else held.keys() & set(only_rights)
    return {right: frozenset(held[right]) for right in Right if right in kept and held[right]}


def everything(*, sites: frozenset[str]) -> dict[Right, frozenset[str]]:
    """Return every right at every one of `sites`: for the system itself, never for a person."""
    return dict.fromkeys(Right, sites)
