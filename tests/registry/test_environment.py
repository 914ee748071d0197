"""Settings from the environment: checked before anything starts, and never repeated in an error."""

import stat
import threading
from contextlib import nullcontext

import pytest

from registry.environment import EXPECTED, Environment, SettingError, kept_secrets, read_environment

SECRET = "s" * 32
GIVEN = {"DATABASE_URL": "postgresql://u:p@db/ecrf", "SECRET_KEY": SECRET, "PSEUDONYM_KEY": SECRET}


def test_with_a_database_and_secrets_everything_else_has_a_default():
    environment = read_environment(GIVEN)

    assert environment == Environment(
        database_url="postgresql://u:p@db/ecrf", secret_key=SECRET, pseudonym_key=SECRET, port=8000, var_dir="var"
    )


def test_each_setting_says_what_to_write():
    assert set(EXPECTED) == set(Environment.__struct_fields__)


@pytest.mark.parametrize(
    ("variable", "accepted", "refused"),
    [
        ("PORT", "1", "0"),
        ("PORT", "65535", "65536"),
        ("PORT", "8000", "http"),
        ("SECRET_KEY", "s" * 32, "s" * 31),
        ("PSEUDONYM_KEY", "s" * 32, "s" * 31),
        ("DATABASE_URL", "postgres://u:p@db/ecrf", "mysql://u:p@db/ecrf"),
        ("DATABASE_URL", "postgresql:///ecrf?host=/run/postgresql", "postgresql://u:p@db"),
        ("BROKER_URL", "valkey://:p@broker:6379/0", "amqp://broker"),
        ("ALLOWED_HOSTS", "ecrf.example.org,127.0.0.1", "ecrf.example.org, 127.0.0.1"),
        ("ALLOWED_HOSTS", "ecrf.example.org", "https://ecrf.example.org"),
        ("HTTPS", "true", "on"),
        ("DEBUG", "0", "maybe"),
        ("LOG_LEVEL", "WARNING", "LOUD"),
        ("SESSION_IDLE_MINUTES", "1", "0"),
        ("SESSION_IDLE_MINUTES", "720", "721"),
        ("REQUIRE_TOTP", "everybody", "somebody"),
        ("TRUSTED_PROXIES", "9", "10"),
        ("EMAIL_URL", "smtp+tls://u:p@mail.example.org:587", "http://mail.example.org"),
        ("EMAIL_FROM", "ecrf@example.org", "ecrf"),
    ],
)
def test_a_wrong_value_is_named_with_what_to_write_but_not_repeated(variable, accepted, refused):
    read_environment(GIVEN | {variable: accepted})

    with pytest.raises(SettingError) as error:
        read_environment(GIVEN | {variable: refused})

    assert str(error.value) == f"{variable} is not what it should be. Write {EXPECTED[variable.lower()]}."


OIDC = {"OIDC_ISSUER": "https://login.example.org", "OIDC_CLIENT_ID": "ecrf", "OIDC_CLIENT_SECRET": "secret"}


@pytest.mark.parametrize("missing", list(OIDC))
def test_openid_connect_is_set_up_as_a_whole_or_not_at_all(missing):
    assert read_environment(GIVEN | OIDC).oidc_client_id == "ecrf"

    with pytest.raises(SettingError, match=f"^{missing} is missing"):
        read_environment(GIVEN | {name: value for name, value in OIDC.items() if name != missing})


@pytest.mark.parametrize(
    ("issuer", "accepted"),
    [
        ("https://login.example.org/realms/one", True),
        ("http://127.0.0.1:8080", True),
        ("http://localhost.example.org", False),
        ("http://login.example.org", False),
        ("https://login.example.org?x=1", False),
    ],
)
def test_an_issuer_is_reached_by_https_unless_it_is_on_this_machine(issuer, accepted):
    variables = GIVEN | OIDC | {"OIDC_ISSUER": issuer}

    with nullcontext() if accepted else pytest.raises(SettingError, match=r"^OIDC_ISSUER is not"):
        assert read_environment(variables).oidc_issuer == issuer


@pytest.mark.parametrize("missing", ["SECRET_KEY", "PSEUDONYM_KEY"])
@pytest.mark.parametrize("absent", [{}, {"as empty": ""}])
def test_with_a_database_a_missing_secret_is_named(missing, absent):
    variables = {name: value for name, value in GIVEN.items() if name != missing}
    variables |= dict.fromkeys([missing] * len(absent), "")

    with pytest.raises(SettingError, match=f"^{missing} is missing"):
        read_environment(variables)


def test_without_a_database_secrets_are_made_once_and_kept_for_their_owner_only(tmp_path):
    first = read_environment({"VAR_DIR": str(tmp_path)})
    second = read_environment({"VAR_DIR": str(tmp_path)})

    assert first == second
    assert first.secret_key != first.pseudonym_key
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o600


def test_with_a_database_secrets_are_made_only_if_told_so(tmp_path):
    variables = {"DATABASE_URL": GIVEN["DATABASE_URL"], "VAR_DIR": str(tmp_path), "MAKE_SECRETS": "true"}

    environment = read_environment(variables)

    assert environment.secret_key == kept_secrets(tmp_path)["secret_key"]


def test_a_given_secret_is_stronger_than_a_kept_one(tmp_path):
    kept_secrets(tmp_path)

    environment = read_environment({"VAR_DIR": str(tmp_path), "SECRET_KEY": SECRET})

    assert environment.secret_key == SECRET


def test_processes_that_start_at_once_agree_on_the_secrets(tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(kept_secrets(tmp_path))) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [kept_secrets(tmp_path)] * 8
    assert [file.name for file in tmp_path.iterdir()] == ["secrets"]


def test_kept_secrets_that_cannot_be_read_are_named_not_replaced(tmp_path):
    (tmp_path / "secrets").write_text("half a fi")

    with pytest.raises(SettingError, match=str(tmp_path / "secrets")):
        read_environment({"VAR_DIR": str(tmp_path)})

    assert (tmp_path / "secrets").read_text() == "half a fi"
