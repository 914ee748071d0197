"""The settings a person can make, read from environment variables and checked before anything starts."""

import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

PROJECT: Final = Path(__file__).resolve().parent.parent

# Long enough that nobody guesses it: 32 characters from `secrets` carry 190 bits.
SECRET_CHARACTERS: Final = 32

HostList = Annotated[str, Meta(pattern=r"^[^\s,/]+(,[^\s,/]+)*$")]
Secret = Annotated[str, Meta(min_length=SECRET_CHARACTERS)]
# Without TLS only on this machine, for trying it out: the client secret goes there.
OidcIssuer = Annotated[str, Meta(pattern=r"^(https://[^\s/?#]+|http://(127\.0\.0\.1|localhost)(:\d+)?)(/[^\s?#]*)?$")]


class SettingError(Exception):
    """A setting is missing or wrong; the message names the variable and says what to write."""


class Environment(msgspec.Struct, frozen=True, kw_only=True, rename="upper"):
    """Every setting of the project, one field a variable of the same name in capitals."""

    secret_key: Secret
    pseudonym_key: Secret
    database_url: Annotated[str, Meta(pattern=r"^postgres(ql)?://.*/[^/?]+")] | None = None
    database_owner_url: Annotated[str, Meta(pattern=r"^(none|postgres(ql)?://.*/[^/?]+)")] | None = None
    prepare_statements: bool = True
    broker_url: Annotated[str, Meta(pattern=r"^(redis|rediss|valkey)://.")] | None = None
    var_dir: str = "var"
    static_dir: str | None = None
    port: Annotated[int, Meta(ge=1, le=65535)] = 8000
    job_lease_seconds: Annotated[int, Meta(ge=1, le=3600)] = 15
    max_body_bytes: Annotated[int, Meta(ge=65_536)] = 20_000_000
    max_photograph_bytes: Annotated[int, Meta(ge=65_536)] = 20_000_000
    max_photograph_pixels: Annotated[int, Meta(ge=1_000_000, le=250_000_000)] = 50_000_000
    rate_per_token: Annotated[int, Meta(ge=1)] = 1_200
    rate_per_address: Annotated[int, Meta(ge=1)] = 6_000
    rate_failures_per_address: Annotated[int, Meta(ge=1)] = 30
    trusted_proxies: Annotated[int, Meta(ge=0, le=9)] = 0
    allowed_hosts: HostList = "127.0.0.1,localhost"
    https: bool = False
    debug: bool = False
    log_level: Annotated[str, Meta(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    log_format: Annotated[str, Meta(pattern="^(json|line)$")] = "json"
    metrics_token: Secret | None = None
    installation_name: Annotated[str, Meta(pattern=r"^[^\x00-\x1f]{1,100}$")] = "eCRF"
    make_secrets: bool = False
    session_idle_minutes: Annotated[int, Meta(ge=1, le=720)] = 30
    require_totp: Annotated[str, Meta(pattern="^(several_sites|everybody|nobody)$")] = "several_sites"
    email_url: Annotated[str, Meta(pattern=r"^(smtp|smtp\+tls|smtps)://[^/?#]+$")] | None = None
    email_from: Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+$")] = "ecrf@localhost"
    oidc_issuer: OidcIssuer | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: str | None = None
    oidc_name: str = "OpenID Connect"

    @property
    def var(self) -> Path:
        """The folder of everything that is made while running; relative ones are under the project."""
        return PROJECT / self.var_dir

    @property
    def hosts(self) -> list[str]:
        return self.allowed_hosts.split(",")


SECRETS: Final = ("secret_key", "pseudonym_key")

# What to write, for the one line a person reads when a setting is missing or wrong.
EXPECTED: Final = {
    "secret_key": f"at least {SECRET_CHARACTERS} random characters, as `openssl rand -hex 32` prints them",
    "pseudonym_key": f"at least {SECRET_CHARACTERS} random characters, as `openssl rand -hex 32` prints them",
    "database_url": "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or nothing to have a server started here",
    "broker_url": "redis://:PASSWORD@HOST:PORT/0, or nothing to have a server started here",
    "database_owner_url": "the address of the role that owns the tables, which only `migrate` uses and DATABASE_URL is "
    "another role than; `none` where nothing migrates; or nothing, and `migrate` makes the application's role itself",
    "prepare_statements": "false where a pooler such as PgBouncer before 1.21 stands before the database, else true",
    "var_dir": "the path of a folder",
    "static_dir": "the path of the folder that `manage.py collectstatic` fills, or nothing",
    "port": "a port from 1 to 65535, such as 8000",
    "job_lease_seconds": "the seconds, 1 to 3600, after which the job of a silent worker is taken over, such as 15",
    "max_body_bytes": "a number of bytes from 65536, such as 20000000",
    "max_photograph_bytes": "a number of bytes from 65536, such as 20000000",
    "max_photograph_pixels": "a number of pixels from 1000000 to 250000000, such as 50000000",
    "rate_per_token": "the calls a minute, from 1, that are answered to one token or session, such as 1200",
    "rate_per_address": "the calls a minute, from 1, that are answered to one address, such as 6000",
    "rate_failures_per_address": "the wrong tokens a minute, from 1, that one address may send, such as 30",
    "trusted_proxies": "how many proxies of yours, 0 to 9, each add the caller's address to X-Forwarded-For",
    "allowed_hosts": "the host names that people use, with commas and no spaces, such as ecrf.example.org",
    "https": "true where people reach the site by https, else false",
    "debug": "true or false; true shows settings to whoever causes an error",
    "log_level": "DEBUG, INFO, WARNING or ERROR",
    "log_format": "json for one JSON object a line, or line for plain text",
    "metrics_token": f"at least {SECRET_CHARACTERS} random characters that whoever reads /metrics sends; without "
    "them nobody reads it",
    "installation_name": "what this installation is called on the sheet of `manage.py validate`, up to 100 characters",
    "make_secrets": "true to have missing secrets made and kept under VAR_DIR, else false",
    "session_idle_minutes": "the minutes, 1 to 720, after which a session without a request ends, such as 30",
    "require_totp": "several_sites, everybody or nobody: who must sign in with a second factor",
    "email_url": "smtp+tls://USER:PASSWORD@HOST:587, smtps:// or smtp:// likewise, or nothing to send no e-mail",
    "email_from": "the address that e-mail comes from, such as ecrf@example.org",
    "oidc_issuer": "the https:// address of the issuer, with OIDC_CLIENT_ID and OIDC_CLIENT_SECRET, or nothing",
    "oidc_client_id": "the client id that the OpenID Connect issuer gave, with OIDC_ISSUER and OIDC_CLIENT_SECRET",
    "oidc_client_secret": "the client secret that the OpenID Connect issuer gave, with OIDC_ISSUER and OIDC_CLIENT_ID",
    "oidc_name": "what the button on the sign-in page calls the OpenID Connect issuer, such as Hospital account",
}

# All or none: with some of them the button on the sign-in page would lead nowhere.
TOGETHER: Final = ("oidc_issuer", "oidc_client_id", "oidc_client_secret")


def read_environment(variables: Mapping[str, str] = os.environ) -> Environment:
    """Return the checked settings; makes missing secrets where the rules below allow it.

    Secrets must be given with `DATABASE_URL`, because data that outlive this folder need keys that do too. Without
    it, or with `MAKE_SECRETS`, missing ones are made at the first start and kept in the file `secrets` of `VAR_DIR`.

    Raises SettingError for the first variable that is missing or wrong.
    """
    given = {name: _value(name, variables) for name in EXPECTED if variables.get(name.upper(), "").strip()}
    if "database_url" not in given or given.get("make_secrets"):
        folder = PROJECT / given.get("var_dir", "var")
        given = kept_secrets(folder) | given
    for name in SECRETS:
        if name not in given:
            raise SettingError(f"{name.upper()} is missing. Write {EXPECTED[name]}.")
    missing = [name for name in TOGETHER if name not in given]
    if missing and len(missing) < len(TOGETHER):
        raise SettingError(f"{missing[0].upper()} is missing. Write {EXPECTED[missing[0]]}.")
    return Environment(**given)


def kept_secrets(folder: Path) -> dict[str, str]:
    """Return the secrets kept in `folder`, made now if there are none yet; only the owner can read the file."""
    file = folder / "secrets"
    try:
        if not file.exists():
            _write_once(file, msgspec.json.encode({name: secrets.token_urlsafe(48) for name in SECRETS}))
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        raise SettingError(
            f"The secrets in {file} cannot be read or made by this user. "
            "Start as the owner of that folder, or set VAR_DIR to another folder."
        ) from None


def _value(name: str, variables: Mapping[str, str]) -> Any:
    """Convert one variable. The value never gets into the message: it may be a secret."""
    kind = next(field.type for field in msgspec.structs.fields(Environment) if field.name == name)
    try:
        return msgspec.convert(variables[name.upper()].strip(), kind, strict=False)
    except msgspec.ValidationError:
        raise SettingError(f"{name.upper()} is not what it should be. Write {EXPECTED[name]}.") from None


def _write_once(file: Path, content: bytes) -> None:
    """Write a whole private file, or leave the one that another process wrote first."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=file.parent)  # mkstemp makes it readable by its owner only
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()
