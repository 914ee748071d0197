"""People, memberships and sites: who may change them, and what nobody may do to them.

The data manager manages them. One with a membership at all sites manages everything. One with memberships at some
sites manages the memberships of these sites, and the people all of whose memberships are there; they see, besides, who
else has a role at their sites. The functions run in the transaction of their caller.
"""

import secrets
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, TypeVar

from django.db import IntegrityError, transaction
from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _

from registry.accounts.sessions import end_sessions
from registry.database import fetch_row
from registry.models import Membership, Person, Site
from registry.rights import MATRIX, Caller, Right, Role

ModelT = TypeVar("ModelT", bound=Model)
LAST_DATA_MANAGER_LOCK = 7_301_924_551
"""Any number that no other advisory lock has."""
PASSWORD_BYTES = 16
"""Random bytes of a first password: nobody guesses it, and the person replaces it."""


class NotThere(LookupError):
    """There is no such person, membership or site, or none that the caller may see: the two are not told apart."""


class NotManaged(PermissionError):
    """The caller sees it but does not manage it; the message says who does."""


class Contradiction(Exception):
    """What is asked for cannot be: a stable code, the member of the request that is to blame, and what to do."""

    def __init__(self, code: str, message: str, *, field: str | None = None) -> None:
        super().__init__(code)
        self.code, self.message, self.field = code, message, field


def visible_people(by: Caller) -> QuerySet[Person]:
    """Return the people whom the caller, a data manager, may see."""
    if by.may_everywhere(Right.MANAGE):
        return Person.objects.all()
    return Person.objects.filter(pk__in=visible_memberships(by).values("person"))


def visible_memberships(by: Caller) -> QuerySet[Membership]:
    """Return the memberships that give a role at the sites which the caller manages."""
    if by.may_everywhere(Right.MANAGE):
        return Membership.objects.all()
    return Membership.objects.filter(Q(site__in=by.sites_with(Right.MANAGE)) | _at_all_sites(by))


def manages_person(by: Caller, person: Person) -> bool:
    """Return whether the caller may change a person: every membership, of whatever time, is at sites they manage."""
    if by.may_everywhere(Right.MANAGE):
        return True
    sites = set(Membership.objects.filter(person=person).values_list("site_id", flat=True))
    return bool(sites) and sites <= by.sites_with(Right.MANAGE)


def person_named(username: str, *, by: Caller) -> Person:
    """Return a person whom the caller may see. Raises NotThere."""
    return _only(visible_people(by).filter(username=username))


def hold_person(username: str, *, by: Caller) -> Person:
    """Return a person whom the caller may change, and keep others from changing them until the transaction ends.

    Raises NotThere, and NotManaged for one who has a role elsewhere too.
    """
    person = _only(visible_people(by).filter(username=username).select_for_update())
    if not manages_person(by, person):
        raise NotManaged(_("This person has a role at other sites too. Ask the data manager of all sites."))
    return person


def hold_membership(membership_id: int, *, by: Caller) -> Membership:
    """Return a membership that the caller manages, and keep others from changing it. Raises NotThere and NotManaged."""
    membership = _only(visible_memberships(by).filter(pk=membership_id).select_for_update(of=("self",)))
    _refuse_unless_managed(membership.site_id, by=by)
    return membership


def create_person(
    *, username: str, full_name: str = "", email: str = "", memberships: Iterable[Mapping[str, Any]] = (), by: Caller
) -> tuple[Person, str]:
    """Save a person with their first memberships; return them and their first password, which is not kept.

    Raises NotManaged when a data manager of some sites gives no membership, or one at another site; Contradiction
    when the user name is taken.
    """
    wanted = list(memberships)
    if not wanted and not by.may_everywhere(Right.MANAGE):
        raise NotManaged(_("Give the person a membership at your site, or ask the data manager of all sites."))
    password = first_password()
    try:
        with transaction.atomic():
            person = Person.objects.create_user(
                username, password, full_name=full_name, email=email, must_change_password=True
            )
    except IntegrityError:
        message = _("There is a person of this user name already. Choose another one.")
        raise Contradiction("person_exists", message, field="username") from None
    for membership in wanted:
        give_membership(person, **membership, by=by)
    return person, password


def first_password() -> str:
    """Return a new password that nobody guesses; whoever gets it replaces it."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def change_person(person: Person, changes: Mapping[str, Any], *, today: date) -> Person:
    """Save changes of a held person; who is deactivated is out at once.

    Raises Contradiction for the last data manager of all sites.
    """
    if changes.get("is_active") is False:
        _refuse_to_lose_the_last_data_manager(Q(person=person), until=None, today=today)
    for name, value in changes.items():
        setattr(person, name, value)
    person.save(update_fields=list(changes))
    if changes.get("is_active") is False:
        end_sessions(person)
    return person


def give_membership(
    person: Person, *, role: str, site: str | None, starts_on: date, ends_on: date | None = None, by: Caller
) -> Membership:
    """Save and return a role of a person at a site, None for all sites.

    Raises NotManaged for a site that the caller does not manage and for rights that they would give themself, and
    Contradiction for a site that they do not see, an end before the start, and what is there already.
    """
    if site is not None and not by.may(Right.READ, at=site):
        known = ", ".join(sorted(by.sites_with(Right.READ)))
        raise Contradiction("unknown_site", _("Choose a site from %(known)s.") % {"known": known}, field="site")
    _refuse_unless_managed(site, by=by)
    if person.pk == by.person_id:
        _refuse_more_than_held(role, site=site, by=by)
    _refuse_an_end_before(starts_on, ends_on=ends_on)
    try:
        with transaction.atomic():
            return Membership.objects.create(
                person=person, role=role, site_id=site, starts_on=starts_on, ends_on=ends_on
            )
    except IntegrityError:
        message = _("The person has this role there from this day already. Change when that one ends.")
        raise Contradiction("membership_exists", message, field="role") from None


def end_membership(membership: Membership, *, ends_on: date | None, by: Caller, today: date) -> Membership:
    """Save the last day of a held membership, None for no end.

    Raises NotManaged when the caller would prolong a role of their own, and Contradiction for an end before the start
    and for the last data manager of all sites.
    """
    _refuse_an_end_before(membership.starts_on, ends_on=ends_on)
    longer = (ends_on or date.max) > (membership.ends_on or date.max)
    if longer and membership.person_id == by.person_id:
        _refuse_more_than_held(membership.role, site=None, by=by)
    _refuse_to_lose_the_last_data_manager(Q(pk=membership.pk), until=ends_on or date.max, today=today)
    membership.ends_on = ends_on
    membership.save(update_fields=["ends_on"])
    return membership


def take_back_membership(membership: Membership, *, today: date) -> None:
    """Delete a held membership that has not started; raise Contradiction for one that has: it was used."""
    if membership.starts_on <= today:
        raise Contradiction("membership_has_started", _("It has started. Give it a last day instead of deleting it."))
    membership.delete()


def create_site(*, code: str, name: str, by: Caller) -> Site:
    """Save and return a site. Raises NotManaged, and Contradiction when the code is taken."""
    if not by.may_everywhere(Right.MANAGE):
        raise NotManaged(_("A site is added by the data manager of all sites."))
    try:
        with transaction.atomic():
            return Site.objects.create(code=code, name=name)
    except IntegrityError:
        message = _("There is a site of this code already. Choose another one.")
        raise Contradiction("site_exists", message, field="code") from None


def rename_site(site: Site, *, name: str) -> Site:
    """Save another name of a held site."""
    site.name = name
    site.save(update_fields=["name"])
    return site


def hold_site(code: str, *, by: Caller) -> Site:
    """Return a site that the caller manages, and keep others from changing it. Raises NotThere and NotManaged."""
    site = _only(Site.objects.filter(code=code, pk__in=by.sites_with(Right.READ)).select_for_update())
    _refuse_unless_managed(site.code, by=by)
    return site


def _only(found: QuerySet[ModelT]) -> ModelT:
    row = found.first()
    if row is None:
        raise NotThere
    return row


def _at_all_sites(by: Caller) -> Q:
    """Return the condition of a membership at all sites, for who manages at least one; of nothing for others."""
    return Q(site=None) if by.may_anywhere(Right.MANAGE) else Q(pk=None)


def _refuse_unless_managed(site: str | None, *, by: Caller) -> None:
    managed = by.may_everywhere(Right.MANAGE) if site is None else by.may(Right.MANAGE, at=site)
    if not managed:
        raise NotManaged(_("You do not manage this site. Ask its data manager, or the data manager of all sites."))


def _refuse_more_than_held(role: str, *, site: str | None, by: Caller) -> None:
    """Refuse a role of one's own that gives more than one has at the site; without a site, any."""
    if by.may_everywhere(Right.MANAGE):
        return
    if site is None or not all(by.may(right, at=site) for right in MATRIX[Role(role)]):
        raise NotManaged(_("You cannot give yourself more rights than you have. Ask the data manager of all sites."))


def _refuse_an_end_before(starts_on: date, *, ends_on: date | None) -> None:
    if ends_on is not None and ends_on < starts_on:
        message = _("The last day is before the first, %(day)s. Correct one of them.") % {"day": starts_on}
        raise Contradiction("end_before_start", message, field="ends_on")


def _refuse_to_lose_the_last_data_manager(affected: Q, *, until: date | None, today: date) -> None:
    """Refuse a change after which data managers of all sites would be there for a shorter time than before it.

    `affected` are the memberships that the change lets end on `until`, None for at once. Such changes wait here for
    one another, so that two data managers cannot deactivate each other at the same moment. (Locks on the rows of the
    others would be waited for in a circle, because each has locked its own row before.)
    """
    fetch_row("SELECT pg_advisory_xact_lock(%s)", [LAST_DATA_MANAGER_LOCK])
    managers = Membership.objects.filter(
        Q(ends_on=None) | Q(ends_on__gte=today),
        role=Role.DATA_MANAGER,
        site=None,
        starts_on__lte=today,
        person__is_active=True,
    )
    ends = {pk: ends_on or date.max for pk, ends_on in managers.values_list("pk", "ends_on")}
    changed = set(managers.filter(affected).values_list("pk", flat=True))
    others = [ends_on for pk, ends_on in ends.items() if pk not in changed]
    if changed and max([*others, until or date.min]) < max(ends.values()):
        message = _("Nobody else is data manager of all sites for as long. Give somebody that role first.")
        raise Contradiction("last_data_manager", message)
