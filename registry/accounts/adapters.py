"""Where allauth asks us: who may sign in, with which words it refuses, how secrets of the second factor are kept."""

import base64
import hashlib
from functools import cache
from typing import Any, Final

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.auth import authenticate
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from qrcode.image.svg import SvgPathImage
from qrcode.main import QRCode

from registry.accounts.events import Kind, record
from registry.accounts.second_factor import is_required
from registry.addresses import address_of
from registry.callers import caller_of
from registry.models import Person

UNSAID: Final = {
    "account/messages/logged_in.txt",
    "account/messages/logged_out.txt",
    "mfa/messages/recovery_codes_generated.txt",
}
"""Messages about what the page shows anyway."""


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Signing in with user name and password."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": _("User name and password do not go together. Check both and try again."),
        "incorrect_password": _("This is not your password. Check it and try again."),
        "enter_current_password": _("This is not your present password. Check it and try again."),
        "too_many_login_attempts": _("That was too often. Wait five minutes and try again."),
        "rate_limited": _("That was too often. Wait five minutes and try again."),
    }

    def is_open_for_signup(self, _request: HttpRequest) -> bool:
        """Return False: people are entered by the data manager."""
        return False

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Person | None:
        """Return who has this name and password, None for nobody and for who is not active: the two look the same.

        How often is counted by axes and not, as allauth would, a second time in its own way.
        """
        found = authenticate(request, **credentials)
        AuthenticationBackend.unstash_authenticated_user()
        return found if isinstance(found, Person) else None

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address that attempts are counted by."""
        return address_of(request) or "0.0.0.0"  # noqa: S104 -- no address of ours: a caller without one

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """Leave out what the page shows anyway."""
        if message_template not in UNSAID:
            super().add_message(request, level, message_template, *args, **kwargs)

    def get_password_change_redirect_url(self, _request: HttpRequest) -> str:
        """Return where to go after a password was changed."""
        return resolve_url("home")

    def respond_user_inactive(self, request: HttpRequest, user: Person) -> HttpResponse:
        """Answer a deactivated person for whom an issuer vouches."""
        return _refused(request, person=user)

    def send_password_reset_mail(self, user: Person, email: str, context: dict[str, Any]) -> None:
        """Write the e-mail, and send it unless it is for nobody: writing takes its time either way."""
        message = self.render_mail("account/email/password_reset_key", email, {"email": email, **context})
        if user.pk:
            message.send()


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """Codes from an app (TOTP), and recovery codes."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": _("This code is not right or was used before. Wait for the next one and type that."),
        "cannot_delete_authenticator": _("With your roles you cannot sign in without codes."),
    }

    def get_totp_label(self, user: Person) -> str:
        """Return what the app shows beside the code."""
        return user.username

    def build_totp_svg(self, url: str) -> str:
        """Return the address of a secret as a QR code, an `svg` element."""
        code = QRCode(border=2)
        code.add_data(url)
        return str(code.make_image(image_factory=SvgPathImage).to_string(encoding="unicode"))

    def encrypt(self, text: str) -> str:
        """Return a secret as it is kept: a copy of the database alone makes no codes."""
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return a kept secret."""
        return _cipher().decrypt(encrypted_text.encode()).decode()

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Return whether the person may do without."""
        return not is_required(caller_of(authenticator.user_id, now=timezone.now()))


class OpenIdAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Signing in through the one OpenID Connect issuer of the settings, for people who are here already."""

    def list_apps(self, _request: HttpRequest, provider: Any = None, client_id: Any = None) -> list[SocialApp]:
        """Return the issuer of the settings. One in the database would be a door that nobody looks at."""
        configured = settings.SOCIALACCOUNT_PROVIDERS.get("openid_connect", {}).get("APPS", [])
        apps = [SocialApp(provider="openid_connect", **app) for app in configured]
        return [app for app in apps if provider in (None, app.provider, app.provider_id)]

    def is_open_for_signup(self, _request: HttpRequest, _sociallogin: SocialLogin) -> bool:
        """Return False: people are entered by the data manager."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Let in who is linked to the issuer's account, or link who has its verified e-mail address; refuse others."""
        if sociallogin.state.get("process") != AuthProcess.LOGIN:
            raise ImmediateHttpResponse(_refused(request, person=None))
        if sociallogin.is_existing:
            return
        person = _person_meant(sociallogin)
        if person is None:
            raise ImmediateHttpResponse(_refused(request, person=None))
        sociallogin.connect(request, person)


def _person_meant(sociallogin: SocialLogin) -> Person | None:
    """Return the one active person with an e-mail address that the issuer has verified."""
    verified = {address.email.lower() for address in sociallogin.email_addresses if address.verified is True}
    people = [person for email in verified for person in Person.objects.filter(email__iexact=email, is_active=True)]
    return people[0] if len(people) == 1 else None


def _refused(request: HttpRequest, *, person: Person | None) -> HttpResponse:
    record(Kind.REFUSED, request=request, person=person)
    return render(request, "registry/refused.html", status=403)


@cache
def _cipher() -> Fernet:
    key = hashlib.sha256(b"secrets of second factors " + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))
