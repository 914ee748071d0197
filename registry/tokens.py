"""Tokens of one's own, and what the data manager sees and revokes of others'."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from registry.callers import TOKEN_LIFETIME, create_token
from registry.models import Membership, Person, Site, Token
from registry.people import Contradiction, NotThere
from registry.rights import Caller, Right

LONGEST_LIFETIME = timedelta(days=3650)


def visible_tokens(by: Caller) -> QuerySet[Token]:
    """Return the tokens that the caller may see and revoke: their own, and those of the people they manage.

    To a token for one site the others of its person do not exist.
    """
    if by.may_everywhere(Right.MANAGE):
        return Token.objects.all()
    own = Q(person=by.person_id)
    if by.only_site is not None:
        own &= Q(site=by.only_site)
    managed = by.sites_with(Right.MANAGE)
    if not managed:
        return Token.objects.filter(own)
    elsewhere = Membership.objects.filter(~Q(site__in=managed) | Q(site=None))
    theirs = Person.objects.filter(memberships__site__in=managed).exclude(memberships__in=elsewhere)
    return Token.objects.filter(own | Q(person__in=theirs))


def token_numbered(token_id: int, *, by: Caller) -> Token:
    """Return a token that the caller may see. Raises NotThere."""
    found = visible_tokens(by).select_related("person").filter(pk=token_id).first()
    if found is None:
        raise NotThere
    return found


def make_token(
    *,
    name: str = "",
    site: str | None = None,
    rights: Collection[str] | None = None,
    expires_at: datetime | None = None,
    by: Caller,
    now: datetime,
) -> tuple[str, Token]:
    """Save a token of the caller; return its text, which is not kept, and its row.

    Raises Contradiction for a site that they do not see, for an end in the past or beyond ten years, and, when they
    come with a token themselves, for more than that one gives: site, rights and time.
    """
    if site is not None and not by.may(Right.READ, at=site):
        known = ", ".join(sorted(by.sites_with(Right.READ)))
        raise Contradiction("unknown_site", _("Choose a site from %(known)s.") % {"known": known}, field="site")
    last = _last_moment(by, now=now)
    expires = min(now + TOKEN_LIFETIME, last) if expires_at is None else expires_at
    if not now < expires <= now + LONGEST_LIFETIME:
        raise Contradiction("out_of_range", _("Choose an end that is to come, within ten years."), field="expires_at")
    _refuse_wider(by, site=site, rights=rights, later=expires > last)
    person = Person.objects.get(username=by.username)
    only = Site(pk=site) if site is not None else None
    return create_token(person, site=only, rights=rights, expires_at=expires, name=name)


def revoke_token(token: Token, *, now: datetime) -> None:
    """End a token at once and for ever."""
    Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now)


def _last_moment(by: Caller, *, now: datetime) -> datetime:
    """Return the moment until which a new token may last: that of the token which the caller came with."""
    if by.token_id is None:
        return now + LONGEST_LIFETIME
    return Token.objects.values_list("expires_at", flat=True).get(pk=by.token_id)


def _refuse_wider(by: Caller, *, site: str | None, rights: Collection[str] | None, later: bool) -> None:
    wider = {
        "site": by.only_site is not None and site != by.only_site,
        "rights": by.only_rights is not None and (rights is None or not by.only_rights >= set(rights)),
        "expires_at": later,
    }
    for field, too_much in wider.items():
        if too_much:
            message = _("A token makes no token that may more than itself, or for longer. Ask for less.")
            raise Contradiction("wider_than_token", message, field=field)
