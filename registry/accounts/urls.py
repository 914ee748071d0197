"""Addresses on the way in and out: of allauth's only those that are used, under the names by which it asks for them."""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.socialaccount import views as social
from allauth.socialaccount.providers.openid_connect import views as openid_connect
from django.urls import path, re_path

from registry.accounts.pages import (
    AskForReset,
    ChangePassword,
    ChooseNewPassword,
    RemoveCodes,
    SetUpCodes,
    SignOut,
    to_the_issuer,
)

urlpatterns = [
    path("sign-in/", account.login, name="sign-in"),
    path("sign-in/", account.login, name="account_login"),
    path("sign-out/", SignOut.as_view(), name="sign-out"),
    path("accounts/again/", account.reauthenticate, name="account_reauthenticate"),
    path("accounts/password/", ChangePassword.as_view(), name="account_change_password"),
    path("accounts/password/reset/", AskForReset.as_view(), name="account_reset_password"),
    path("accounts/password/reset/sent/", account.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^accounts/password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        ChooseNewPassword.as_view(),
        name="account_reset_password_from_key",
    ),
    path(
        "accounts/password/reset/done/",
        account.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("accounts/codes/", mfa.index, name="mfa_index"),
    path("accounts/codes/sign-in/", mfa.authenticate, name="mfa_authenticate"),
    path("accounts/codes/again/", mfa.reauthenticate, name="mfa_reauthenticate"),
    path("accounts/codes/set-up/", SetUpCodes.as_view(), name="mfa_activate_totp"),
    path("accounts/codes/remove/", RemoveCodes.as_view(), name="mfa_deactivate_totp"),
    path("accounts/codes/recovery/", recovery_codes.view_recovery_codes, name="mfa_view_recovery_codes"),
    path("accounts/codes/recovery/new/", recovery_codes.generate_recovery_codes, name="mfa_generate_recovery_codes"),
    path("accounts/<slug:provider_id>/login/", to_the_issuer, name="openid_connect_login"),
    path("accounts/<slug:provider_id>/login/callback/", openid_connect.callback, name="openid_connect_callback"),
    path("accounts/cancelled/", social.login_cancelled, name="socialaccount_login_cancelled"),
]
