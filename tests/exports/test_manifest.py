import tomllib
from datetime import UTC, datetime
from pathlib import Path

from exports.cuts import Cut, Privacy
from exports.manifest import LEVELS, SOFTWARE, Origin, manifest
from exports.writers.workbook import Written, WrittenSheet

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
TAKEN_AT = datetime(2025, 6, 1, 12, 30, 14, 123_456, tzinfo=UTC)


def rows(*, privacy=Privacy.FULL, notes=(), sheets=(), counted=None, as_of=None, stale=False):
    """Return (part, item) -> the other cells of the manifest of a cut of the dosing form."""
    cut = Cut(forms=("dosing",), sites=("MTP",), privacy=privacy)
    origin = Origin(taken_at=TAKEN_AT, asked_by="somebody", endpoints_as_of=as_of, endpoints_stale=stale)
    sheet = manifest(cut, origin, Written(sheets=sheets, notes=notes), counted=counted or {})
    return {(part, item): told for part, item, *told in sheet.rows}


def test_the_version_of_the_software_is_that_of_the_project():
    assert f"eCRF {tomllib.loads(PYPROJECT.read_text())['project']['version']}" == SOFTWARE


def test_the_moment_of_the_cut_is_told_to_the_millisecond_that_excel_keeps():
    assert rows()["cut", "data as of"][0] == TAKEN_AT.replace(microsecond=123_000)


def test_every_level_of_privacy_is_explained():
    assert {rows(privacy=privacy)["cut", "privacy level"][0] for privacy in Privacy} == {
        f"{privacy}: {words}" for privacy, words in LEVELS.items()
    }


def test_each_sheet_has_the_rows_counted_and_written_and_the_names_it_got():
    sheets = (WrittenSheet("dosing", ("dosing", "dosing_2"), 3), WrittenSheet("codebook", ("codebook",), 9))

    told = rows(sheets=sheets, counted={"dosing": 3})

    assert told["rows", "dosing"] == ["dosing, dosing_2", 3, 3]
    assert told["rows", "codebook"] == ["codebook", None, 9]


def test_whatever_is_not_stored_as_it_was_given_is_told_and_so_is_that_all_is():
    assert rows(notes=("One thing.", "Another."))["note", "2"][0] == "Another."
    assert rows()["note", "1"][0] == "Everything is stored exactly as it was given."


def test_stale_endpoints_are_told():
    assert rows(as_of=TAKEN_AT, stale=True)["cut", "endpoints"][0].startswith("older than the data")
    assert ("cut", "endpoints") not in rows(as_of=TAKEN_AT)
