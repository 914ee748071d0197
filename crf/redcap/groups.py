"""Data access groups: the sites, and to which of them a token is confined."""

import zlib
from dataclasses import replace

from django.http import HttpResponse

from crf.models.chosen_group import ChosenGroup
from crf.redcap.calls import Call
from crf.redcap.contents import Need, answers
from crf.redcap.errors import ApiError
from crf.redcap.tables import Row, plain, table
from registry.models import Site, Token
from registry.rights import Caller, Right, rights_of

HIGHEST_ID = 2_000_000_000
IN_A_GROUP = (
    "You do not have permission to export/import/delete Data Access Groups because you have been assigned to a "
    "Data Access Group."
)


def unique_name(site: str) -> str:
    """Return the unique group name of the site with this code: MTP is mtp."""
    return site.lower()


def group_id(site: str) -> int:
    """Return a positive number for a site, the same everywhere and for ever."""
    return zlib.crc32(site.encode()) % HIGHEST_ID + 1


def site_named(name: str, *, by: Caller) -> str | None:
    """Return the code of the site with this unique group name among those that the caller may read."""
    found = [site for site in by.sites_with(Right.READ) if unique_name(site) == name.strip().lower()]
    return found[0] if found else None


def group_of(by: Caller) -> str | None:
    """Return the site that the caller is confined to, None for one who may see several."""
    readable = by.sites_with(Right.READ)
    return next(iter(readable)) if len(readable) == 1 and len(by.sites) > 1 else None


def within_group(by: Caller) -> Caller:
    """Return the caller with the rights at the site that the token was switched to, if it was."""
    chosen = ChosenGroup.objects.filter(token_id=_token(by)).values_list("site_id", flat=True).first()
    if chosen is None:
        return by
    return replace(by, rights={right: held & {chosen} for right, held in by.rights.items() if chosen in held})


@answers("dag")
def export_groups(call: Call) -> HttpResponse:
    """Return the sites as data access groups."""
    _refuse_members(call)
    readable = Site.objects.filter(code__in=call.by.sites_with(Right.READ))
    columns = ["data_access_group_name", "unique_group_name", "data_access_group_id"]
    rows: list[Row] = [
        dict(zip(columns, (s.name, unique_name(s.code), group_id(s.code)), strict=True)) for s in readable
    ]
    return table(rows, columns=columns, form=call.format, root="dags", delimiter=call.delimiter)


@answers("dag", "import", need=Need.NOTHING)
@answers("dag", "delete", need=Need.NOTHING)
def change_groups(call: Call) -> HttpResponse:
    """Refuse: sites are managed in the application."""
    _refuse_members(call)
    raise ApiError("You do not have API Import/Update privileges", status=403)


@answers("dag", "switch")
def switch_group(call: Call) -> HttpResponse:
    """Confine the token to one site of its person, or with a blank name to none but its own limits.

    REDCap answers a failure with status 200, and clients look for it there.
    """
    name = call.text("dag")
    site = _switchable(name, call=call)
    if name and site is None:
        return plain("ERROR: The unique group name is not one of those that you are assigned to.")
    ChosenGroup.objects.filter(token_id=_token(call.by)).delete()
    if site is not None:
        ChosenGroup.objects.create(token_id=_token(call.by), site_id=site)
    return plain(1)


def _switchable(name: str, *, call: Call) -> str | None:
    """Return the site among those of the token itself, whatever it is confined to at the moment."""
    return next((site for site in sorted(_sites_of_the_token(call)) if unique_name(site) == name.lower()), None)


def _sites_of_the_token(call: Call) -> frozenset[str]:
    only = Token.objects.values_list("site_id", flat=True).get(pk=_token(call.by))
    return rights_of(call.by.roles, sites=call.by.sites, only_site=only).get(Right.READ, frozenset())


def _refuse_members(call: Call) -> None:
    if group_of(call.by) is not None:
        raise ApiError(IN_A_GROUP, status=403)


def _token(by: Caller) -> int:
    assert by.token_id is not None  # noqa: S101 -- this door knows callers by their token only
    return by.token_id
