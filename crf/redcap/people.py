"""People and roles, read only: who they are and what they may do is managed in the application.

REDCap gives a user one role and one group. Of somebody with several the first role is told, in the order of our table
of roles, and a group only if there is one.
"""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpResponse
from django.utils import timezone

from crf.forms import all_forms
from crf.redcap.calls import Call
from crf.redcap.contents import Need, answers
from crf.redcap.errors import ApiError
from crf.redcap.groups import group_id, group_of, unique_name
from crf.redcap.tables import Row, table
from registry.models import Membership, Person
from registry.rights import MATRIX, Right, Role

NO_ACCESS, EDIT, READ_ONLY = 0, 1, 2
"""REDCap's codes of rights to a form."""
NOTHING, FULL = 0, 1
"""REDCap's codes of rights to export a form."""
IDENTITY = (
    "username",
    "email",
    "firstname",
    "lastname",
    "expiration",
    "data_access_group",
    "data_access_group_id",
)
FLAGS = (
    "design",
    "alerts",
    "user_rights",
    "data_access_groups",
    "reports",
    "stats_and_charts",
    "manage_survey_participants",
    "calendar",
    "data_import_tool",
    "data_comparison_tool",
    "logging",
    "email_logging",
    "file_repository",
    "data_quality_create",
    "data_quality_execute",
    "api_export",
    "api_import",
    "api_modules",
    "mobile_app",
    "mobile_app_download_data",
    "record_create",
    "record_rename",
    "record_delete",
)
LOCKS_OF_USERS = ("lock_records_all_forms", "lock_records", "lock_records_customization")
LOCKS_OF_ROLES = tuple(reversed(LOCKS_OF_USERS))
FORMS = ("forms", "forms_export")


@answers("user", need=Need.MANAGE)
def users(call: Call) -> HttpResponse:
    """Return the people of the study with what their roles allow."""
    rows = [_user(person) for person in _people(call)]
    return table(
        rows, columns=[*IDENTITY, *FLAGS, *LOCKS_OF_USERS, *FORMS], form=call.format, root="users", text=escape
    )


@answers("userRole", need=Need.MANAGE)
def user_roles(call: Call) -> HttpResponse:
    """Return the roles."""
    columns = ["unique_role_name", "role_label", *FLAGS, *LOCKS_OF_ROLES, *FORMS]
    rows = [_role(role) for role in Role]
    return table(rows, columns=columns, form=call.format, root="userRoles", text=escape)


@answers("userRoleMapping", need=Need.MANAGE)
def user_role_mapping(call: Call) -> HttpResponse:
    """Return each person's role and group."""
    rows = [
        {
            "username": person.username,
            "unique_role_name": role_name(role) if (role := _role_of(person)) else "",
            "data_access_group": _group(person)[0],
        }
        for person in _people(call)
    ]
    return table(rows, columns=["username", "unique_role_name", "data_access_group"], form=call.format, root="items")


@answers("userDagMapping", need=Need.MANAGE)
def user_group_mapping(call: Call) -> HttpResponse:
    """Return each person's group."""
    rows = [{"username": person.username, "redcap_data_access_group": _group(person)[0]} for person in _people(call)]
    return table(rows, columns=["username", "redcap_data_access_group"], form=call.format, root="items")


@answers("user", "import", need=Need.NOTHING)
@answers("user", "delete", need=Need.NOTHING)
@answers("userRole", "import", need=Need.NOTHING)
@answers("userRole", "delete", need=Need.NOTHING)
@answers("userRoleMapping", "import", need=Need.NOTHING)
@answers("userDagMapping", "import", need=Need.NOTHING)
def change_people(_call: Call) -> HttpResponse:
    """Refuse: people and their roles are managed in the application."""
    raise ApiError("You do not have API Import/Update privileges", status=403)


def role_name(role: Role) -> str:
    """Return the unique name of a role, made of its own so that it never changes."""
    return f"U-{base64.b32encode(hashlib.sha256(role.value.encode()).digest())[:10].decode()}"


def _people(call: Call) -> QuerySet[Person]:
    """Return those with a membership in force; somebody confined to a group sees only who is in it."""
    in_force = _memberships_in_force()
    people = Person.objects.filter(is_active=True, pk__in=in_force.values("person"))
    if group := group_of(call.by):
        people = people.filter(pk__in=in_force.filter(site=group).values("person"))
    return people.prefetch_related(Prefetch("memberships", queryset=in_force, to_attr="in_force")).order_by("username")


def _memberships_in_force() -> QuerySet[Membership]:
    today = timezone.localdate()
    return Membership.objects.filter(Q(ends_on__isnull=True) | Q(ends_on__gte=today), starts_on__lte=today)


def _held(person: Person) -> list[Membership]:
    held: list[Membership] = getattr(person, "in_force")  # noqa: B009 -- given by the prefetch
    return held


def _user(person: Person) -> Row:
    group, number = _group(person)
    rights = frozenset().union(*(MATRIX[Role(membership.role)] for membership in _held(person)))
    first, _space, last = person.full_name.rpartition(" ")
    ends = [membership.ends_on for membership in _held(person)]
    expires = max(end for end in ends if end) if all(ends) else None
    identity = (person.username, person.email, first, last, expires.isoformat() if expires else "", group, number)
    return dict(zip(IDENTITY, identity, strict=True)) | dict(_rights(rights))


def _role(role: Role) -> Row:
    """Return one role; its flags are texts, unlike those of a user."""
    told = {name: str(value) if isinstance(value, int) else value for name, value in _rights(MATRIX[role])}
    return {"unique_role_name": role_name(role), "role_label": str(role.label), **told}


def _role_of(person: Person) -> Role | None:
    held = {membership.role for membership in _held(person)}
    return next((role for role in Role if role in held), None)


def _group(person: Person) -> tuple[str, int | str]:
    """Return unique name and number of the only site of a person, blanks for somebody of several."""
    sites = {membership.site_id for membership in _held(person)}
    site = sites.pop() if len(sites) == 1 else None
    return (unique_name(site), group_id(site)) if site else ("", "")


def _rights(rights: frozenset[Right]) -> Iterator[tuple[str, Any]]:
    """Yield REDCap's columns of rights: flags, and codes by form."""
    manages, enters, exports = (
        int(right in rights) for right in (Right.MANAGE, Right.ENTER, Right.EXPORT_WITH_IDENTIFIERS)
    )
    locks = int(Right.LOCK in rights)
    given = {
        "user_rights": manages,
        "data_access_groups": manages,
        "reports": exports,
        "data_import_tool": enters,
        "logging": int(Right.READ in rights),
        "api_export": exports,
        "api_import": enters,
        "record_create": enters,
        "record_rename": enters,
        "record_delete": enters,
        "lock_records_all_forms": locks,
        "lock_records": locks,
    }
    for name in (*FLAGS, *LOCKS_OF_USERS):
        yield name, given.get(name, 0)
    names = [form.form_name() for form in all_forms()]
    yield "forms", dict.fromkeys(names, EDIT if enters else READ_ONLY if Right.READ in rights else NO_ACCESS)
    yield "forms_export", dict.fromkeys(names, FULL if exports else NOTHING)
