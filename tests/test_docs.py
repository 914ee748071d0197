"""The documentation against the code: what is there is described, and what is described is there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands

from crf.forms import all_forms
from registry.environment import EXPECTED, PROJECT

PACKAGES = ("registry", "crf", "exports")
DOCS = PROJECT / "docs"

# Where a call says its code: the place among the arguments, by the name that is called.
PLACE_OF_CODE = {
    "Unreadable": 0,
    "Finding": 1,
    "Problem": 1,
    "refuse": 1,
    "bad_request": 1,
    "WrongMember": 0,
    "Contradiction": 0,
    "request_error": 1,
    "ExpressionError": 0,
    "FilterError": 0,
    "_unreadable": 0,
    "_error": 1,
    "FileRefused": 0,
    "Wrong": 0,
}
PLACE_IN_FILES = {"FileProblem": 3}
KEYWORDS_OF_CODE = {"code", "violation_error_code"}
CODE = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
SAY_NO_MORE_THAN_THE_STATUS = {"not_found", "server_error", "invalid", "refused"}


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (path for path in (PROJECT / package).rglob("*.py") if "migrations" not in path.parts)


def codes(places: dict[str, int]) -> set[str]:
    """Return the literal error codes of all sources."""
    calls = (node for path in sources() for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return {code for call in calls for code in codes_of(call, places)}


def codes_of(call: ast.Call, places: dict[str, int]) -> Iterator[str]:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    said = [*call.args[places[name] : places[name] + 1]] if name in places else []
    said += [keyword.value for keyword in call.keywords if keyword.arg in KEYWORDS_OF_CODE and places is PLACE_OF_CODE]
    for value in said:
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and CODE.fullmatch(value.value):
            yield value.value


def table_names(text: str, heading: str) -> list[str]:
    """Return what stands between backquotes in the first column of the table after a heading."""
    section = text.split(f"\n{heading}\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_the_settings_in_the_docs_are_those_that_are_read():
    described = table_names(read("docs/operations.md"), "## Settings")

    assert sorted(described) == sorted(name.upper() for name in EXPECTED)


@pytest.mark.parametrize("command", [name for name, app in get_commands().items() if app in PACKAGES])
def test_every_command_of_ours_is_described(command):
    texts = [read("README.md"), *(path.read_text(encoding="utf-8") for path in DOCS.glob("*.md"))]

    assert any(re.search(rf"\b{command}\b", text) for text in texts)


@pytest.mark.parametrize("form", [form.form_name() for form in all_forms()])
def test_every_form_is_named_in_the_guide_to_the_api(form):
    assert re.search(f'[`"]{form}[`"]', read("docs/api.md"))


def test_the_codes_in_the_guide_to_the_api_are_those_of_errors_and_warnings():
    guide = read("docs/api.md")

    described = table_names(guide, "## Errors") + table_names(guide, "## Warnings")

    assert sorted(described) == sorted(codes(PLACE_OF_CODE) - SAY_NO_MORE_THAN_THE_STATUS)


def test_the_warnings_in_the_guide_to_the_api_are_those_of_the_soft_checks():
    described = set(table_names(read("docs/api.md"), "## Warnings"))

    assert described == {check.code for form in all_forms() for check in form.soft_checks} | {"before_birth"}


def test_the_codes_of_files_are_described_where_loading_is():
    described = set(table_names(read("docs/operations.md"), "## Data in and out from a shell"))

    assert described == codes(PLACE_IN_FILES)


# Validation


def test_every_test_that_the_validation_page_names_is_there():
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", read("docs/validation.md"))

    missing = [(file, name) for file, name in named if not _is_there(file, name)]

    assert len(named) > 50
    assert missing == []


def _is_there(file: str, name: str) -> bool:
    path = PROJECT / file
    return path.is_file() and (not name or f"def {name}(" in path.read_text(encoding="utf-8"))


def test_the_validation_page_names_every_section_it_is_about():
    page = read("docs/validation.md")
    sections = [f"11.10({letter})" for letter in "abcdefghijk"]
    sections += ["11.30", "11.50", "11.70", "11.100", "11.200", "11.300", "4.2", "25(1)", "25(2)", "32(1)"]

    assert [section for section in sections if section not in page] == []
    assert "built to support" in page


@pytest.mark.parametrize("path", [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *DOCS.glob("*.md")], ids=str)
def test_no_page_claims_what_only_an_installation_can_show(path):
    claims = r"(?i)\b\w*complian\w*\b|\bcompl(?:y|ies)\b|\bcertified\b"
    assert re.findall(claims, path.read_text(encoding="utf-8")) == []


def test_every_row_of_the_checklist_of_redcap_clients_has_its_test():
    listed = [int(number) for number in re.findall(r"^\| (\d+) \|", read("docs/redcap.md"), re.MULTILINE)]
    tests = [path.read_text(encoding="utf-8") for name in ("crf/redcap", "peers") for path in sources_of_tests(name)]

    named = {int(number) for text in tests for said in QUOTED_ROWS.findall(text) for number in numbers_in(said)}

    assert listed == list(range(1, 61))
    assert set(listed) - named == set()


QUOTED_ROWS = re.compile(r"Rows? (\d[\d, toand]*)")


def sources_of_tests(folder: str) -> Iterator[Path]:
    return (PROJECT / "tests" / folder).glob("test_*.py")


def numbers_in(said: str) -> Iterator[str]:
    """Yield the numbers of a list such as "2, 6, 9 to 13"."""
    for part in re.split(r",|and", said):
        first, *last = re.findall(r"\d+", part) or ["0"]
        yield from (str(number) for number in range(int(first), int(last[0] if last else first) + 1))
