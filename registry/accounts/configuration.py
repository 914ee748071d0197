"""What Django, allauth and axes are told about getting in. Read by registry/settings.py, before Django is set up."""

from datetime import timedelta
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from registry.environment import Environment

OIDC: Final = "oidc"
"""How the one OpenID Connect issuer is called in addresses: /accounts/oidc/login/callback/."""

COOL_OFF: Final = timedelta(minutes=15)
LIMIT_AT_AN_ADDRESS: Final = 5
"""Failures of one person from one address within the cool-off after which that pair is locked out."""
LIMIT_OF_A_PERSON: Final = 20
"""The same for one person from all addresses together."""

# What a request may carry that should not be kept: axes keeps the rest of a failed one until the cool-off is over.
NOT_KEPT: Final = ["login", "username", "password", "oldpassword", "password1", "password2", "code", "email", "next"]


def account_settings() -> dict[str, Any]:
    """Return the settings of allauth and axes, in capitals."""
    return {
        "AUTHENTICATION_BACKENDS": [
            "axes.backends.AxesStandaloneBackend",
            "allauth.account.auth_backends.AuthenticationBackend",
        ],
        "ACCOUNT_ADAPTER": "registry.accounts.adapters.AccountAdapter",
        "ACCOUNT_EMAIL_VERIFICATION": "none",  # people and their addresses are entered by the data manager
        "ACCOUNT_FORMS": {
            "login": "registry.accounts.forms.SignInForm",
            "reauthenticate": "registry.accounts.forms.PasswordAgainForm",
            "change_password": "registry.accounts.forms.ChangePasswordForm",
            "reset_password": "registry.accounts.forms.AskForResetForm",
            "reset_password_from_key": "registry.accounts.forms.NewPasswordForm",
        },
        "ACCOUNT_LOGIN_METHODS": {"username"},
        "ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR": "django.contrib.auth.tokens.PasswordResetTokenGenerator",
        "ACCOUNT_SESSION_REMEMBER": False,
        "ACCOUNT_SIGNUP_FIELDS": ["username*", "password1*", "password2*"],
        "MFA_ADAPTER": "registry.accounts.adapters.SecondFactorAdapter",
        "MFA_FORMS": {
            "authenticate": "registry.accounts.forms.CodeForm",
            "reauthenticate": "registry.accounts.forms.CodeAgainForm",
            "activate_totp": "registry.accounts.forms.FirstCodeForm",
        },
        "MFA_RECOVERY_CODES_SHOW_ONCE": True,
        "MFA_SUPPORTED_TYPES": ["totp", "recovery_codes"],
        "MFA_TOTP_ISSUER": "eCRF",
        "SOCIALACCOUNT_ADAPTER": "registry.accounts.adapters.OpenIdAdapter",
        "AXES_CLIENT_IP_CALLABLE": "registry.addresses.address_of",
        "AXES_COOLOFF_TIME": COOL_OFF,
        "AXES_DISABLE_ACCESS_LOG": True,  # registry.accounts.events keeps the record
        "AXES_FAILURE_LIMIT": LIMIT_AT_AN_ADDRESS,
        "AXES_HANDLER": "registry.accounts.lockout.LockOut",
        "AXES_LOCKOUT_CALLABLE": "registry.accounts.lockout.locked_out",
        "AXES_LOCKOUT_PARAMETERS": [["username", "ip_address"], ["username"]],
        # Whoever keeps trying does not keep the person out for longer.
        "AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT": False,
        "AXES_RESET_ON_SUCCESS": True,
        "AXES_SENSITIVE_PARAMETERS": NOT_KEPT,
        "AXES_USERNAME_CALLABLE": "registry.accounts.lockout.name_kept",
        "AXES_VERBOSE": False,
    }


def openid_connect(environment: Environment) -> dict[str, Any]:
    """Return allauth's providers: the one issuer of the environment, or none, and then nothing is called outside."""
    if environment.oidc_issuer is None:
        return {}
    app = {
        "provider_id": OIDC,
        "name": environment.oidc_name,
        "client_id": environment.oidc_client_id,
        "secret": environment.oidc_client_secret,
        "settings": {"server_url": environment.oidc_issuer.rstrip("/"), "oauth_pkce_enabled": True},
    }
    return {"openid_connect": {"APPS": [app]}}


def mail_server(url: str | None) -> dict[str, Any]:
    """Return Django's settings for an `smtp://`, `smtp+tls://` (STARTTLS) or `smtps://` address."""
    parts = urlsplit(url or "")
    usual = {"smtp": 25, "smtp+tls": 587, "smtps": 465}.get(parts.scheme, 25)
    return {
        "EMAIL_HOST": parts.hostname or "localhost",
        "EMAIL_PORT": parts.port or usual,
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "smtp+tls",
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_TIMEOUT": 10,
    }
