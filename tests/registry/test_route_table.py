"""Every address and method against the matrix of rights, walked from the route table.

An address that nobody decided about fails here: a view of the API without `needs` cannot be defined, and a page that is
not in PAGES fails the first test. What each call needs is written out once more in AGREED, as design and guide have it.
"""

from typing import ClassVar

import pytest
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone

from crf.models.data_query import DataQuery
from crf.models.import_file import Import
from crf.models.lock import Lock
from crf.models.report import Report
from exports.models import Job, Kind, State
from registry import page_views
from registry.api import METHODS, ApiView
from registry.callers import create_token
from registry.models import Membership, Token
from registry.page_views import PageView
from registry.rights import MATRIX, Right, Role, anywhere
from tests.conftest import SINCE, Api, Browser, make_person, see_everything
from tests.crf.examples import COMPLETE, REPEATING, saved
from tests.crf.photographs import stored
from tests.registry.test_api import problem

ANYBODY, SIGNED_IN, NOBODY = "anybody", "signed in", "nobody"
PAGES = {
    "language": ANYBODY,
    "sign-in": ANYBODY,
    "sign-out": ANYBODY,
    "account_login": ANYBODY,
    **dict.fromkeys(["account_reauthenticate", "account_change_password"], SIGNED_IN),
    "account_reset_password": ANYBODY,
    "account_reset_password_done": ANYBODY,
    "account_reset_password_from_key": ANYBODY,
    "account_reset_password_from_key_done": ANYBODY,
    "mfa_authenticate": SIGNED_IN,  # half way: the password was right
    "mfa_index": SIGNED_IN,
    "mfa_reauthenticate": SIGNED_IN,
    "mfa_activate_totp": SIGNED_IN,
    "mfa_deactivate_totp": SIGNED_IN,
    "mfa_view_recovery_codes": SIGNED_IN,
    "mfa_generate_recovery_codes": SIGNED_IN,
    "openid_connect_login": ANYBODY,
    "openid_connect_callback": ANYBODY,
    "socialaccount_login_cancelled": ANYBODY,
    "schema": ANYBODY,
    "redcap": ANYBODY,  # its token is in the form
    "redcap-without-slash": ANYBODY,
    "docs": ANYBODY,
    "healthz": ANYBODY,
    "readyz": ANYBODY,
    "metrics": NOBODY,  # but who sends METRICS_TOKEN, see test_measures.py
}
"""Who may open the addresses that are neither of the API nor pages of ours."""

DRAFTING = ("live", "live-new", "draft", "draft-new")
READ, ENTER, MANAGE = {"read"}, {"enter"}, {"manage"}
EXPORT = {"export_with_identifiers", "export_pooled_deidentified", "export_pooled_with_identifiers"}
POOLED = {"see_pooled_endpoints"}
PHOTOGRAPH = "lesion_assessment-lesion_photo"
AGREED = {
    "me": {"get": set()},
    "sites": {"get": set(), "post": MANAGE},
    "site": {"get": READ, "patch": MANAGE},
    "people": {"get": MANAGE, "post": MANAGE},
    "person": {"get": MANAGE, "patch": MANAGE},
    "memberships": {"get": MANAGE, "post": MANAGE},
    "membership": {"get": MANAGE, "patch": MANAGE, "delete": MANAGE},
    "tokens": {"get": set(), "post": set()},
    "token": {"get": set(), "delete": set()},
    "audit": {"get": READ | MANAGE},
    "dictionary": {"get": READ},
    "patients": {"get": READ, "post": ENTER},
    "patient": {"get": READ, "patch": ENTER, "delete": ENTER},
    **{f"{form}-instances": {"get": READ, "post": ENTER} for form in REPEATING},
    **{f"{form}-instance": {"get": READ, "patch": ENTER, "delete": ENTER} for form in REPEATING},
    PHOTOGRAPH: {"get": {"export_with_identifiers"}, "post": ENTER, "delete": ENTER},
    f"{PHOTOGRAPH}-stored": {"get": {"export_with_identifiers"}},
    f"{PHOTOGRAPH}-one": {"get": {"export_with_identifiers"}},
    "deleted": {"get": READ},
    **{f"{form}-restore": {"post": ENTER} for form in COMPLETE},
    **{f"{form}-pooled": {"get": READ} for form in COMPLETE},
    "entries": {"post": ENTER},
    "reports": {"get": READ, "post": READ},
    "report": {"get": READ, "delete": READ},
    "queries": {"get": READ, "post": {"open_query"}},
    "query-counts": {"get": READ},
    "query": {"get": READ},
    "query-answer": {"post": {"answer_query"}},
    "query-close": {"post": {"close_query"}},
    "query-reopen": {"post": {"open_query"}},
    "locks": {"get": READ, "post": {"lock"}},
    "lock": {"get": READ},
    "unlock": {"post": {"lock"}},
    "verifications": {"get": READ, "post": {"verify"}},
    "signatures": {"get": READ, "post": {"sign"}},
    "exports": {"get": READ, "post": EXPORT},
    "export": {"get": READ, "delete": READ},
    "export-file": {"get": EXPORT},
    "endpoints": {"get": POOLED},
    "endpoint-patients": {"get": READ},
    "endpoint-recompute": {"post": POOLED},
    "recomputation": {"get": READ},
    "imports": {"get": ENTER, "post": ENTER},
    "import": {"get": ENTER, "delete": ENTER},
    "import-rows": {"get": ENTER},
    "import-choices": {"post": ENTER},
    "import-apply": {"post": ENTER},
    "import-undo": {"post": ENTER},
    "import-template": {"get": ENTER},
    # Pages
    "home": {"get": set(), "post": READ},
    "page-site": {"get": READ, "post": READ},
    "page-site-deleted": {"get": READ},
    "page-patient": {"get": READ},
    **{f"page-delete-{form}": {"get": ENTER, "post": ENTER} for form in COMPLETE},
    **{f"page-restore-{form}": {"get": ENTER, "post": ENTER} for form in COMPLETE},
    "page-imports": {"get": ENTER},
    "page-import-new": {"get": ENTER, "post": ENTER},
    "page-import-template": {"get": ENTER},
    "page-import": {"get": ENTER, "post": ENTER},
    "account": {"get": set()},
    **{f"page-beside-{form}": {"get": READ, "post": {"open_query"}} for form in COMPLETE},
    **{f"page-standing-{form}": {"get": READ} for form in COMPLETE},
    **{f"page-lock-{form}": {"post": {"lock"}} for form in COMPLETE},
    **{f"page-verify-{form}": {"post": {"verify"}} for form in COMPLETE},
    **{f"page-sign-{form}": {"post": {"sign"}} for form in COMPLETE},
    "page-standing": {"get": READ},
    "page-standing-site": {"get": READ},
    "page-lock": {"post": {"lock"}},
    "page-lock-site": {"post": {"lock"}},
    "page-unlock": {"post": {"lock"}},
    "page-sign": {"post": {"sign"}},
    "page-queries": {"get": READ, "post": {"close_query"}},
    "page-query": {"get": READ},
    "page-query-answer": {"post": {"answer_query"}},
    "page-query-close": {"post": {"close_query"}},
    "page-query-reopen": {"post": {"open_query"}},
    "page-audit": {"get": READ | MANAGE, "post": READ | MANAGE},
    "page-audit-file": {"post": READ | MANAGE},
    "page-patient-new": {"get": ENTER, "post": ENTER},
    "page-entry-patient": {"get": READ, "post": ENTER},
    **{f"page-entries-{form}": {"get": READ} for form in REPEATING},
    **{f"page-entry-new-{form}": {"get": ENTER, "post": ENTER} for form in REPEATING},
    **{f"page-entry-{form}": {"get": READ, "post": ENTER} for form in REPEATING},
    **{f"page-{what}-{form}": {"post": ENTER} for what in DRAFTING for form in COMPLETE},
    "page-exports": {"get": READ, "post": EXPORT},
    "page-export-preview": {"post": EXPORT},
    "page-export": {"get": READ},
    "page-export-file": {"get": EXPORT},
    "page-export-cancel": {"post": READ},
    "page-export-again": {"post": EXPORT},
    "page-export-discard": {"post": READ},
    "page-endpoints": {"get": POOLED},
    "page-endpoints-recompute": {"post": POOLED},
    "page-endpoint-patients": {"get": READ},
    "page-endpoint-patients-at": {"get": READ},
    "page-outcome": {"get": READ},
    "page-jobs": {"get": MANAGE},
    "page-job-cancel": {"post": MANAGE},
    "page-job-restart": {"post": MANAGE},
    "page-photographs": {"get": READ},
    "page-photograph-lesion_assessment": {"get": READ, "post": ENTER},
    "page-photograph-picture-lesion_assessment": {"get": {"export_with_identifiers"}},
    "page-photograph-thumbnail-lesion_assessment": {"get": {"export_with_identifiers"}},
    "account-sessions": {"post": set()},
    "looks": {"post": set()},
    "page-people": {"get": MANAGE},
    "page-person-new": {"get": MANAGE, "post": MANAGE},
    "page-person": {"get": MANAGE, "post": MANAGE},
    "page-person-roles": {"post": MANAGE},
    "page-role": {"get": MANAGE, "post": MANAGE},
    "page-sites": {"get": MANAGE, "post": MANAGE},
    "page-site-settings": {"get": MANAGE, "post": MANAGE},
    "page-tokens": {"get": set(), "post": set()},
    "page-token": {"post": set()},
    "page-health": {"get": MANAGE},
}
"""The rights of which a caller needs one, by name of the address and method."""


def routes(patterns, prefix=""):
    """Yield every address: name, view class, names of its arguments."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            callback = pattern.callback
            view = getattr(callback, "view_class", None) or getattr(callback, "cls", callback)
            yield pattern.name or route, view, list(pattern.pattern.converters)
        else:
            yield from routes(pattern.url_patterns, route)


ROUTES = {name: (view, arguments) for name, view, arguments in routes(get_resolver().url_patterns)}
CLASSES = {name: view for name, (view, _arguments) in ROUTES.items() if isinstance(view, type)}
OF_THE_API = {name: view for name, view in CLASSES.items() if issubclass(view, ApiView)}
OF_OURS = {name: view for name, view in CLASSES.items() if issubclass(view, PageView)}
SHOWN = [(name, method) for name, view in OF_OURS.items() for method in page_views.METHODS if method in view.needs]
CALLS = [(name, method) for name, view in OF_THE_API.items() for method in METHODS if method in view.needs]
OF_A_THING = [(name, method) for name, method in CALLS if OF_THE_API[name].needs[method].there and ROUTES[name][1]]


def test_somebody_decided_who_may_use_each_address():
    assert {name for name in ROUTES if name not in OF_THE_API | OF_OURS} == PAGES.keys()
    assert len(ROUTES) == len(list(routes(get_resolver().url_patterns)))  # no two share a name


def test_what_each_call_needs_is_what_was_agreed():
    declared = {
        name: {method: set(need.rights) for method, need in view.needs.items()}
        for name, view in (OF_THE_API | OF_OURS).items()
    }

    assert declared == AGREED


def test_each_method_that_a_view_has_says_what_it_needs_and_the_other_way_round():
    for views, methods in ((OF_THE_API, METHODS), (OF_OURS, page_views.METHODS)):
        for view in views.values():
            assert {method for method in methods if hasattr(view, method)} == view.needs.keys()


def test_a_method_that_says_nothing_cannot_be_defined():
    with pytest.raises(TypeError, match=r"Silent.needs does not say who may post\."):

        class Silent(ApiView):
            needs: ClassVar = {"get": anywhere(Right.READ)}

            def post(self, request):
                raise NotImplementedError


def test_a_method_of_a_page_that_says_nothing_cannot_be_defined():
    with pytest.raises(TypeError, match=r"Silent.needs does not say who may post\."):

        class Silent(PageView):
            def post(self, request):
                raise NotImplementedError


@pytest.mark.parametrize("name", PAGES)
def test_a_page_lets_in_whom_it_says(name, client, sites):
    response = client.get(reverse(name, kwargs=OF_PAGES.get(name)))

    if PAGES[name] == SIGNED_IN:
        assert (response.status_code, response["Location"].split("?")[0]) == (302, reverse("sign-in"))
    elif PAGES[name] == NOBODY:
        assert response.status_code == 404
    else:
        assert response.status_code in (200, 302, 404, 405, 501)
        assert reverse("sign-in") not in response.headers.get("Location", "")


OF_PAGES = {
    "openid_connect_login": {"provider_id": "nobody"},
    "openid_connect_callback": {"provider_id": "nobody"},
    "account_reset_password_from_key": {"uidb36": "1", "key": "x-y"},
}
"""What stands in the addresses of pages."""


OF_AN_ENTRY = ("entry", "live", "draft", "beside", "standing", "lock", "verify", "sign")
"""Pages at whose address there is a saved entry."""


def make_query_and_lock(by):
    """Save a query on a patient of NIM, and a lock there, and return their keys."""
    saved("patient", by=by, site="NIM")
    at = {"site_id": "NIM", "patient_id": "NIM-001", "form": "patient", "instance": 1}
    asked = {"variable": "sex", "text": "Is it so?", "origin": "manual", "opened_at": timezone.now()}
    lock = Lock.objects.create(**at, reason="cleaned", locked_at=timezone.now())
    return {"query_id": DataQuery.objects.create(**at, **asked).pk, "lock_id": lock.pk}


def photograph_at_nim(by):
    """Save an assessment at NIM with a photograph, and return its name."""
    saved("lesion_assessment", by=by, record_id="NIM-001", status="incomplete")
    return {"name": stored(record_id="NIM-001", by=by).values["lesion_photo"], "file_variable": "lesion_photo"}


@pytest.fixture
def somebody(sites):
    """Return a function that makes a person of a role at a site, and what is at the address of a route."""

    def make(role, site, data_manager, name):
        person = make_person(role, site=site, username="somebody")
        arguments = {"record_id": "NIM-001", "instance": 1, "code": "NIM", "username": "other", "key": "cr"}
        if "record_id" in ROUTES[name][1]:
            saved("patient", by=data_manager, site="NIM")
        for form in REPEATING:
            if name in (f"{form}-instance", f"{form}-restore", *(f"page-{page}-{form}" for page in OF_AN_ENTRY)):
                saved(form, by=data_manager, record_id="NIM-001")
        if name.startswith((PHOTOGRAPH, "page-photograph")):
            arguments |= photograph_at_nim(data_manager)
        own = {"kind": Kind.EXPORT, "requested_by": person, "sites": ["NIM"], "state": State.WAITING}
        cut = {"forms": ["patient"], "sites": ["NIM"], "privacy": "full", "labels": True, "filter": None}
        kind = Kind.ENDPOINTS if name == "recomputation" else Kind.EXPORT
        other = make_person(Role.COORDINATOR, site="NIM", username="other")
        see_everything()
        arguments |= {
            "variable": next((next(iter(COMPLETE[form])) for form in COMPLETE if name.endswith(f"-{form}")), None),
            "job_id": Job.objects.create(**{**own, "kind": kind}, parameters=cut).pk,
            "report_id": Report.objects.create(name="mine", title="Mine", made_by=person).pk,
            "membership_id": Membership.objects.get(person=other).pk,
        }
        if "import_id" in ROUTES[name][1]:
            arguments["import_id"] = Import.objects.create(site_id="NIM", file_name="f.csv", brought_by=other).pk
        if {"query_id", "lock_id"} & set(ROUTES[name][1]):
            arguments |= make_query_and_lock(data_manager)
        text, _row = create_token(person)
        arguments["token_id"] = Token.objects.get(person=person).pk
        client = Api(text)
        if name in OF_OURS:
            client = Browser()
            client.sign_in(person)
        return client, reverse(name, kwargs={key: arguments[key] for key in ROUTES[name][1]})

    return make


@pytest.mark.parametrize("role", [*Role, None])
@pytest.mark.parametrize(("name", "method"), CALLS)
def test_each_call_is_refused_to_each_role_whose_rights_do_not_allow_it_and_to_no_other(
    name, method, role, somebody, data_manager
):
    client, address = somebody(role, "NIM", data_manager, name)
    needed = {Right(right) for right in AGREED[name][method]}
    allowed = not needed or bool(role and MATRIX[role] & needed)
    sees = role is not None  # every role reads

    response = client.send(method, address, {}, If_Match='"1"', X_Change_Reason="r")

    if allowed:
        assert response.status_code in (200, 201, 202, 204, 400, 409, 412, 415)
    elif OF_THE_API[name].needs[method].there and not sees:
        assert response.status_code == 404 if ROUTES[name][1] else response.json()["results"] == []
    else:
        found = problem(response)
        assert response.status_code == 403
        assert {found["code"], *(error["code"] for error in found["errors"])} <= {"refused", "not_allowed"}


@pytest.mark.parametrize("name", [name for name, method in CALLS if method == "get"])
def test_what_is_read_over_the_api_is_the_same_for_a_french_browser(name, somebody, data_manager):
    client, address = somebody(Role.DATA_MANAGER, None, data_manager, name)

    english, french = client.get(address), client.get(address, headers={"Accept-Language": "fr"})

    assert french.status_code == english.status_code
    if english.status_code == 200:
        assert french.getvalue() == english.getvalue()


@pytest.mark.parametrize("role", [*Role, None])
@pytest.mark.parametrize(("name", "method"), OF_A_THING)
def test_what_is_of_another_site_does_not_exist(name, method, role, somebody, data_manager):
    client, address = somebody(role, "MTP", data_manager, name)

    response = client.send(method, address, {}, If_Match='"1"', X_Change_Reason="r")

    assert (response.status_code, problem(response)["code"]) == (404, "not_found")


@pytest.mark.parametrize("role", [*Role, None])
@pytest.mark.parametrize(("name", "method"), SHOWN)
def test_each_page_is_refused_to_each_role_whose_rights_do_not_allow_it_and_to_no_other(
    name, method, role, somebody, data_manager
):
    client, address = somebody(role, "NIM", data_manager, name)
    needed = {Right(right) for right in AGREED[name][method]}
    allowed = not needed or bool(role and MATRIX[role] & needed)
    there = OF_OURS[name].needs[method].there and ROUTES[name][1]

    response = getattr(client, method)(address)

    if allowed:
        assert response.status_code in (200, 302, 303, 400, 404, 409, 422)
    else:
        assert response.status_code == (404 if there and role is None else 403)


@pytest.mark.parametrize("role", [*Role, None])
@pytest.mark.parametrize(
    ("name", "method"),
    [(name, method) for name, method in SHOWN if OF_OURS[name].needs[method].there and ROUTES[name][1]],
)
def test_a_page_of_another_site_does_not_exist(name, method, role, somebody, data_manager):
    client, address = somebody(role, "MTP", data_manager, name)

    assert getattr(client, method)(address).status_code == 404


@pytest.mark.parametrize(("name", "method"), SHOWN)
def test_a_page_sends_who_is_not_signed_in_to_the_sign_in_page(name, method, somebody, data_manager):
    client, address = somebody(Role.DATA_MANAGER, "NIM", data_manager, name)
    client.logout()

    response = getattr(client, method)(address)

    assert (response.status_code, response["Location"].split("?")[0]) == (302, reverse("sign-in"))


ENDS = {"over": {"ends_on": SINCE}, "to come": {"starts_on": "2999-01-01"}, "site gone": None}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(("name", "method"), [call for call in CALLS if AGREED[call[0]][call[1]]])
def test_a_membership_that_is_over_or_to_come_or_whose_site_is_gone_gives_nothing(
    name, method, end, somebody, data_manager, sites
):
    client, address = somebody(Role.DATA_MANAGER, "STR", data_manager, name)
    if ENDS[end] is None:
        sites["STR"].delete()
    else:
        Membership.objects.filter(person__username="somebody").update(**ENDS[end])

    response = client.send(method, address, {}, If_Match='"1"', X_Change_Reason="r")

    if response.status_code == 200:
        assert (method, response.json()["results"]) == ("get", [])
    else:
        assert response.status_code in (403, 404)
