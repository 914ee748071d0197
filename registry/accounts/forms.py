"""The forms on the way in: allauth's, in our words, with every guess counted at the one place."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import (
    ChangePasswordForm as AllauthChangePasswordForm,
)
from allauth.account.forms import (
    LoginForm,
    ReauthenticateForm,
    ResetPasswordForm,
    ResetPasswordKeyForm,
)
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.base.forms import ReauthenticateForm as CodeReauthenticateForm
from allauth.mfa.totp.forms import ActivateTOTPForm
from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from registry.accounts.lockout import count_wrong_code, is_locked_out
from registry.models import Person

RULES = _("At least 12 characters, not only digits, not your name and none of the passwords that everybody uses.")


def _say(form: forms.Form, name: str, label: Any, *, note: Any = "", **attributes: str) -> None:
    """Give a field its label and note, and none of the placeholders that vanish when one types."""
    field = form.fields[name]
    field.label, field.help_text = label, note
    field.widget.attrs.pop("placeholder", None)
    field.widget.attrs.update(attributes)


class SignInForm(LoginForm):  # type: ignore[misc]  # allauth has no types
    """User name and password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _say(self, "login", _("User name"), autofocus="", autocapitalize="none", spellcheck="false")
        _say(self, "password", _("Password"))


class PasswordAgainForm(ReauthenticateForm):  # type: ignore[misc]  # allauth has no types
    """The password of who is signed in, asked for again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _say(self, "password", _("Password"), autofocus="")


class ChangePasswordForm(AllauthChangePasswordForm):  # type: ignore[misc]  # allauth has no types
    """The present password, and a new one twice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _say(self, "oldpassword", _("Present password"), autofocus="")
        _say(self, "password1", _("New password"), note=RULES)
        _say(self, "password2", _("New password again"))

    def clean_oldpassword(self) -> str:
        """Return the present password; a wrong one counts as at the sign-in: a lent session cannot guess."""
        password: str = self.cleaned_data["oldpassword"]
        if not get_adapter().reauthenticate(self.user, password):
            raise get_adapter().validation_error("enter_current_password")
        return password

    def clean_password1(self) -> str:
        """Return the new password; refuse the present one, which somebody may know."""
        password: str = self.cleaned_data["password1"]
        if password == self.cleaned_data.get("oldpassword"):
            raise ValidationError(_("This is the present password. Choose another one."))
        return password


class NewPasswordForm(ResetPasswordKeyForm):  # type: ignore[misc]  # allauth has no types
    """A new password twice, after a link was followed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _say(self, "password1", _("New password"), note=RULES, autofocus="")
        _say(self, "password2", _("New password again"))


class AskForResetForm(ResetPasswordForm):  # type: ignore[misc]  # allauth has no types
    """The e-mail address that the link to a new password goes to."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _say(self, "email", _("E-mail address"), autofocus="")

    def clean_email(self) -> str:
        """Find the people with the address; nobody is written to like somebody, so that both take as long."""
        email: str = self.cleaned_data["email"]
        people = [person for person in Person.objects.filter(email__iexact=email, is_active=True)]
        self.users = [person for person in people if person.has_usable_password()] or [Person(pk=0, email=email)]
        return email


class _Code(forms.Form):
    """A code of the second factor: a wrong one counts as a wrong password does."""

    user: Person

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _say(self, "code", _("Code"), autofocus="", inputmode="numeric", autocomplete="one-time-code")

    def clean_code(self) -> str:
        """Return the code; refuse it, right or wrong, while the person is locked out."""
        request: HttpRequest = context.request
        if is_locked_out(request, self.user):
            raise get_adapter().validation_error("too_many_login_attempts")
        try:
            code: str = super().clean_code()  # type: ignore[misc]  # of the form it is mixed into
        except ValidationError:
            count_wrong_code(request, self.user)
            raise
        return code


class CodeForm(_Code, AuthenticateForm):  # type: ignore[misc]  # allauth has no types
    """The second step of signing in."""


class CodeAgainForm(_Code, CodeReauthenticateForm):  # type: ignore[misc]  # allauth has no types
    """The code of who is signed in, asked for again."""


class FirstCodeForm(_Code, ActivateTOTPForm):  # type: ignore[misc]  # allauth has no types
    """The first code of a new second factor, which shows that the app has the secret."""
