"""The pages on the way in and out that are not allauth's as they stand."""

from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.mixins import LogoutFunctionalityMixin
from allauth.account.views import PasswordChangeView, PasswordResetFromKeyView, PasswordResetView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.socialaccount.providers.openid_connect import views as openid_connect
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views import View
from requests import RequestException

from registry.accounts.events import Kind, record
from registry.accounts.second_factor import set_up
from registry.accounts.sessions import end_sessions
from registry.models import Person


@method_decorator(login_not_required, name="dispatch")
class SignOut(LogoutFunctionalityMixin, View):  # type: ignore[misc]  # allauth has no types
    """Ends this session and all others of the person, and a sign-in that waits for its code. Only a POST does."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        """End the sessions; return to the sign-in page."""
        if isinstance(request.user, Person):
            end_sessions(request.user)
        self.logout()
        return redirect("sign-in")


class ChangePassword(PasswordChangeView):  # type: ignore[misc]  # allauth has no types
    """A new password, for who knows the present one; ends the person's other sessions."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Send back who has no password because an issuer vouches for them."""
        if isinstance(request.user, Person) and not request.user.has_usable_password():
            messages.info(request, _("You sign in without a password here, so there is none to change."))
            return redirect("home")
        response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return response

    def form_valid(self, form: Any) -> HttpResponse:
        """Change it. The sessions end because each carries a digest of the password it began with."""
        response: HttpResponse = super().form_valid(form)
        _chosen_by(form.user)
        # The present password was typed here: what comes next need not ask for it again.
        record_authentication(self.request, form.user, method="password", reauthenticated=True)
        record(Kind.PASSWORD_CHANGED, request=self.request, person=form.user)
        return response


class AskForReset(PasswordResetView):  # type: ignore[misc]  # allauth has no types
    """Asks for the address that a link to a new password goes to, or says whom to ask where no e-mail is sent."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Send the link, and say the same whoever asked."""
        answer = super().post if settings.MAIL_IS_SENT else self.get
        response: HttpResponse = answer(request, *args, **kwargs)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return what the page shows."""
        return {**super().get_context_data(**kwargs), "mail_is_sent": settings.MAIL_IS_SENT}


class ChooseNewPassword(PasswordResetFromKeyView):  # type: ignore[misc]  # allauth has no types
    """A new password, for who followed the link; signs nobody in."""

    def form_valid(self, form: Any) -> HttpResponse:
        """Set it."""
        response: HttpResponse = super().form_valid(form)
        _chosen_by(form.user)
        record(Kind.PASSWORD_RESET, request=self.request, person=form.user)
        return response


def _chosen_by(person: Person) -> None:
    """Note that nobody but the person knows the password."""
    Person.objects.filter(pk=person.pk).update(must_change_password=False)
    person.must_change_password = False


class SetUpCodes(ActivateTOTPView):  # type: ignore[misc]  # allauth has no types
    """Shows a new secret and takes the first code made with it."""

    def form_valid(self, form: Any) -> HttpResponse:
        """Save the second factor and count it as proven here."""
        response: HttpResponse = super().form_valid(form)
        set_up(self.request, form.user)
        return response


class RemoveCodes(DeactivateTOTPView):  # type: ignore[misc]  # allauth has no types
    """Does away with the second factor, where it is not required."""

    def form_valid(self, form: Any) -> HttpResponse:
        """Remove it, with its recovery codes."""
        response: HttpResponse = super().form_valid(form)
        assert isinstance(self.request.user, Person)  # noqa: S101 -- the view lets nobody else in
        record(Kind.CODES_REMOVED, request=self.request, person=self.request.user)
        return response


@login_not_required
def to_the_issuer(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Lead to the OpenID Connect issuer, or say that it cannot be reached; the way back says so by itself."""
    try:
        response: HttpResponse = openid_connect.login(request, provider_id)
    except RequestException:
        return render(request, "socialaccount/authentication_error.html", status=503)
    return response
