"""Addresses. The layers above are named by string only."""

from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern, URLResolver, include, path, register_converter
from django.urls.converters import StringConverter
from django.views.i18n import set_language
from drf_spectacular.views import SpectacularJSONAPIView

from registry.audit_page import AuditFile, AuditPage
from registry.audit_views import Audit
from registry.health import Alive, Metrics, Ready
from registry.health_page import HealthPage
from registry.models import SITE_CODE
from registry.pages import Account, ApiDocs, Looks, OtherSessions
from registry.people_pages import NewPerson, PersonPage, PersonRoles, RoleEnd
from registry.people_pages import People as PeoplePage
from registry.people_views import MembershipDetail, Memberships, People, PersonDetail, SiteDetail, Sites
from registry.site_pages import Sites as SitesPage
from registry.site_pages import SiteSettings
from registry.token_pages import TokenEnd
from registry.token_pages import Tokens as TokensPage
from registry.token_views import TokenDetail, Tokens
from registry.views import Me


class UsernameConverter(StringConverter):
    """A user name in an address."""

    regex = "[A-Za-z0-9_][A-Za-z0-9._@+-]{0,149}"


class SiteCodeConverter(StringConverter):
    """The code of a site in an address."""

    regex = SITE_CODE.strip("^$")


register_converter(UsernameConverter, "username")
register_converter(SiteCodeConverter, "site_code")

# Addresses are tried in this order: those that programs ask for again and again come first.
api_patterns: list[URLPattern | URLResolver] = [
    path("", include("crf.api.urls")),
    path("me/", Me.as_view(), name="me"),
    path("sites/", Sites.as_view(), name="sites"),
    path("sites/<site_code:code>/", SiteDetail.as_view(), name="site"),
    path("people/", People.as_view(), name="people"),
    path("people/<username:username>/", PersonDetail.as_view(), name="person"),
    path("people/<username:username>/memberships/", Memberships.as_view(), name="memberships"),
    path("memberships/<int:membership_id>/", MembershipDetail.as_view(), name="membership"),
    path("tokens/", Tokens.as_view(), name="tokens"),
    path("tokens/<int:token_id>/", TokenDetail.as_view(), name="token"),
    path("audit/", Audit.as_view(), name="audit"),
    path("", include("exports.api.urls")),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include(api_patterns)),
    path("", include("crf.pages.urls")),
    path("", include("exports.pages.urls")),
    path("audit/", AuditPage.as_view(), name="page-audit"),
    path("audit/file/", AuditFile.as_view(), name="page-audit-file"),
    path("account/", Account.as_view(), name="account"),
    path("account/sessions/", OtherSessions.as_view(), name="account-sessions"),
    path("account/looks/", Looks.as_view(), name="looks"),
    path("people/", PeoplePage.as_view(), name="page-people"),
    path("new-person/", NewPerson.as_view(), name="page-person-new"),
    path("people/<username:username>/", PersonPage.as_view(), name="page-person"),
    path("people/<username:username>/roles/", PersonRoles.as_view(), name="page-person-roles"),
    path("roles/<int:membership_id>/", RoleEnd.as_view(), name="page-role"),
    path("places/", SitesPage.as_view(), name="page-sites"),
    path("places/<site_code:code>/", SiteSettings.as_view(), name="page-site-settings"),
    path("tokens/", TokensPage.as_view(), name="page-tokens"),
    path("tokens/<int:token_id>/", TokenEnd.as_view(), name="page-token"),
    path("health/", HealthPage.as_view(), name="page-health"),
    path("language/", login_not_required(set_language), name="language"),
    path("", include("registry.accounts.urls")),
    path("healthz", Alive.as_view(), name="healthz"),
    path("readyz", Ready.as_view(), name="readyz"),
    path("metrics", Metrics.as_view(), name="metrics"),
    path("", include("crf.redcap.urls")),
    path("api/schema/", SpectacularJSONAPIView.as_view(), name="schema"),
    path("api/docs/", ApiDocs.as_view(url_name="schema"), name="docs"),
]

handler400 = "registry.error_pages.bad_request"
handler403 = "registry.error_pages.not_allowed"
handler404 = "registry.error_pages.address_not_found"
handler429 = "registry.error_pages.too_many_requests"
handler500 = "registry.error_pages.server_error"
