"""What a data cut covers, and who may have it at which level of privacy."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from django.utils.translation import gettext as _

from registry.rights import Caller, Right


class Privacy(StrEnum):
    """How much a cut tells of the patients, the fullest level first.

    Source: docs/architecture.md, "Privacy levels of an export".
    """

    FULL = "full"
    LIMITED = "limited"
    DEIDENTIFIED = "deidentified"


EXPORTING = (Right.EXPORT_WITH_IDENTIFIERS, Right.EXPORT_POOLED_DEIDENTIFIED, Right.EXPORT_POOLED_WITH_IDENTIFIERS)
"""The rights that each allow some cut."""


class CutNotAllowed(PermissionError):
    """The caller may not have this cut; the message says which they may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The forms (instrument names) and sites (codes) of a cut, its privacy level, and whether codes have labels.

    `filter` is in the expression language of docs/redcap-filters.md; None leaves nothing out.
    """

    forms: tuple[str, ...]
    sites: tuple[str, ...]
    privacy: Privacy
    labels: bool = True
    filter: str | None = None

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        """Return the cut that `parameters` gives, as a job keeps it."""
        return cls(
            forms=tuple(parameters["forms"]),
            sites=tuple(parameters["sites"]),
            privacy=Privacy(parameters["privacy"]),
            labels=parameters["labels"],
            filter=parameters["filter"],
        )

    def parameters(self) -> dict[str, Any]:
        """Return the cut as JSON values."""
        return asdict(self)


def allowed_levels(caller: Caller, *, sites: Collection[str]) -> tuple[Privacy, ...]:
    """Return the levels at which the caller may have a cut of these sites, the fullest first; none if refused.

    More than one site is a pooled export, which takes a right of its own at each of them.
    """

    def everywhere(right: Right) -> bool:
        return bool(sites) and caller.sites_with(right) >= frozenset(sites)

    own = len(sites) == 1 and everywhere(Right.EXPORT_WITH_IDENTIFIERS)
    if own or everywhere(Right.EXPORT_POOLED_WITH_IDENTIFIERS):
        return tuple(Privacy)
    return (Privacy.DEIDENTIFIED,) if everywhere(Right.EXPORT_POOLED_DEIDENTIFIED) else ()


def authorise_cut(caller: Caller, cut: Cut) -> None:
    """Raise CutNotAllowed unless the caller may have this cut, now.

    Asked when the cut is requested, when it is written out and whenever its file is fetched.
    """
    levels = allowed_levels(caller, sites=cut.sites)
    if cut.privacy in levels:
        return
    if levels:
        raise CutNotAllowed(_("Of these sites together you may export de-identified data only."))
    if exportable_sites(caller):
        raise CutNotAllowed(_("You may not export these sites together. Choose one site of yours."))
    raise CutNotAllowed(_("None of your roles allows exports. Ask the data manager."))


def exportable_sites(caller: Caller) -> frozenset[str]:
    """Return the sites that some export of the caller may cover."""
    return frozenset().union(*(caller.sites_with(right) for right in EXPORTING))
