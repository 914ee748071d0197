"""The nineteen cases posted over HTTP, one entry at a time and in bulk: the published table, and every value back."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import transaction

from exports.endpoints.published import table_lines
from exports.recompute import recompute_stale
from registry.rights import Role
from tests.conftest import SITES

DOCS = Path(__file__).parents[2] / "docs"
INSTANCE = "redcap_repeat_instance"
PATIENTS = "/api/v1/patients/"
REPEATING = ["prior_treatment", "dosing", "lesion_assessment", "adverse_event"]
ENTRIES_OF_EACH_SITE = {"MTP": 166, "NIM": 61, "STR": 54}

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


# The files, as the JSON that a site would send


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# What REDCap's dictionary says of each variable, so that nothing here leans on the forms.
DICTIONARY = {row["Variable / Field Name"]: row for row in rows(DOCS / "data-dictionary.csv")}


def json_value(name, text):
    """The JSON value of one CSV cell, null for a blank one."""
    kind = DICTIONARY[name]["Field Type"], DICTIONARY[name]["Text Validation Type OR Show Slider Number"]
    match kind:
        case _ if text == "":
            return None
        case "yesno", _:
            return {"1": True, "0": False}[text]
        case "checkbox", _:
            return text.split("|")
        case _, "integer":
            return int(text)
        case _, validation if validation.startswith("number"):
            return float(text)
    return text


def entries_of(form):
    """Yield (record id, site of the patient, instance, values) of each row of the file of a form, in its order."""
    for row in rows(DOCS / "cohort19" / f"{form}.csv"):
        record_id, site, instance = row.pop("record_id"), row.pop("site", None), row.pop(INSTANCE, "1")
        values = {name: json_value(name, text) for name, text in row.items()}
        yield record_id, site or record_id[:3], int(instance), values


# The doors


def post(client, path, body):
    response = client.send("post", path, body)
    assert response.status_code == 201, response.content
    return response.json()


def one_at_a_time(coordinators):
    """Post every entry by itself, through the coordinator of its site."""
    for record_id, site, _instance, values in entries_of("patient"):
        post(coordinators[site], PATIENTS, {"record_id": record_id, "site": site, **values})
    for form in REPEATING:
        for record_id, site, instance, values in entries_of(form):
            assert post(coordinators[site], f"{PATIENTS}{record_id}/{form}/", values)["instance"] == instance


def in_bulk(coordinators):
    """Post all entries of a site in one call, as its coordinator."""
    calls = {site: [] for site in coordinators}
    for form in ["patient", *REPEATING]:
        for record_id, site, instance, values in entries_of(form):
            entry = {"form": form, "record_id": record_id, "instance": instance, "values": values}
            calls[site].append(entry | ({"site": site} if form == "patient" else {}))
    for site, entries in calls.items():
        answer = post(coordinators[site], "/api/v1/entries/", {"entries": entries})
        assert (answer["saved"], answer["refused"]) == (len(entries), 0)


def from_files(_coordinators):
    """Load the folder from a shell."""
    call_command("load_forms", str(DOCS / "cohort19"))


# What comes out


@pytest.fixture
def coordinators(api):
    """The client of the coordinator of each site."""
    return {site: api(Role.COORDINATOR, site=site) for site in SITES}


@pytest.fixture
def reader(api):
    """The client of a monitor of all sites."""
    return api(Role.MONITOR, site=None)


def plain(value):
    """The value, a list of codes as a set: the registry keeps them in the order of the dictionary."""
    return set(value) if isinstance(value, list) else value


def read_back(client):
    """Return every entry that the client may see, by (form, record id, instance), with its codes in any order."""
    entries = {}
    for form in ["patient", *REPEATING]:
        page = client.get(f"/api/v1/forms/{form}/", {"limit": 100}).json()
        while page is not None:
            for entry in page["results"]:
                entries[form, entry["record_id"], entry["instance"]] = {
                    name: plain(value) for name, value in entry.items()
                }
            page = client.get(page["next"]).json() if page["next"] else None
    return entries


def figures(client):
    """Compute, and return the summary as the API gives it, without the time of its making."""
    recompute_stale()
    answer = client.get("/api/v1/endpoints/").json()
    return answer["overall"], answer["by_site"]


def outcomes(client):
    """Return the outcomes of all patients by record id."""
    answer = client.get("/api/v1/endpoints/patients/").json()
    return {outcome["record_id"]: outcome for outcome in answer["results"]}


def everything(client):
    """Return whatever is said of the cohort, but for the time of entry."""
    entries = {key: {**entry, "updated_at": None} for key, entry in read_back(client).items()}
    return figures(client), outcomes(client), entries


@pytest.fixture
def as_loaded(reader, coordinators):
    """What is said of the cohort when the files are loaded; afterwards they never were."""
    with transaction.atomic():
        from_files(coordinators)
        found = everything(reader)
        transaction.set_rollback(True)
    assert read_back(reader) == {}
    return found


@pytest.mark.parametrize("door", [one_at_a_time, in_bulk, from_files])
def test_the_published_table_comes_out_whichever_door_the_cohort_took(reader, coordinators, door):
    door(coordinators)

    overall, by_site = figures(reader)

    assert [line for line in table_lines(overall) if not line.matches] == []
    assert {site: cohort["enrolled"] for site, cohort in by_site.items()} == {"MTP": 11, "NIM": 4, "STR": 4}


@pytest.mark.parametrize("door", [one_at_a_time, in_bulk])
def test_what_was_posted_is_in_all_that_is_said_like_what_was_loaded(as_loaded, reader, coordinators, door):
    door(coordinators)

    assert everything(reader) == as_loaded


@pytest.mark.parametrize("door", [one_at_a_time, in_bulk])
def test_every_entry_reads_back_as_it_went_in(reader, coordinators, door):
    door(coordinators)

    found = read_back(reader)

    sent = {
        (form, record_id, instance): (site, values)
        for form in ["patient", *REPEATING]
        for record_id, site, instance, values in entries_of(form)
    }
    assert found.keys() == sent.keys()
    for key, (site, values) in sent.items():
        form = key[0]
        variables = [name for name, row in DICTIONARY.items() if row["Form Name"] == form and name != "record_id"]
        entry = found[key]
        assert {name: entry[name] for name in variables} == dict.fromkeys(variables) | {
            name: plain(value) for name, value in values.items()
        }
        assert (entry["site"], entry["status"], entry["version"], entry["missing"]) == (site, "complete", 1, {})


@pytest.mark.parametrize("door", [one_at_a_time, in_bulk])
def test_each_coordinator_reads_the_entries_of_their_own_site_and_no_other(coordinators, door):
    door(coordinators)

    seen = {site: Counter(entry["site"] for entry in read_back(of).values()) for site, of in coordinators.items()}
    assert seen == {site: {site: count} for site, count in ENTRIES_OF_EACH_SITE.items()}
