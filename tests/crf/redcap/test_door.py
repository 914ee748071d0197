"""The address: who may call, in which order a call is checked, and how errors read. Rows 2 to 5 of the checklist."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from registry.models import Membership, Token
from registry.rights import Role
from tests.crf.redcap.conftest import ADDRESS, URLENCODED

pytestmark = pytest.mark.django_db

NOBODY = "You do not have permissions to use the API"
WRONG = "0123456789ABCDEF0123456789ABCDEF"
IN_FORMATS = {
    "json": ("application/json; charset=utf-8", '{"error":"%s"}'),
    "csv": ("text/csv; charset=utf-8", "ERROR: %s"),
    "xml": (
        "text/xml; charset=utf-8",
        '<?xml version="1.0" encoding="UTF-8" ?><hash><error>%s</error></hash>',
    ),
}


@pytest.mark.parametrize("address", ["/redcap/api/", "/redcap/api"])
def test_the_version_is_a_bare_number_with_and_without_the_slash(manager, address):
    """Rows 2 and 3."""
    answer = manager.multipart("version", address=address, format="csv")

    assert (answer.status, answer.text) == (200, "14.5.0")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"


@pytest.mark.parametrize("form", IN_FORMATS)
@pytest.mark.parametrize("named", ["format", "returnFormat"])
def test_a_wrong_token_is_refused_before_anything_else_in_each_format(manager, form, named):
    """Row 4: also when the content is unknown."""
    manager.token = WRONG
    kind, shape = IN_FORMATS[form]

    answer = manager("no such content", **{named: form})

    assert (answer.status, answer.text) == (403, shape % NOBODY)
    assert answer.headers["Content-Type"] == kind


@pytest.mark.parametrize("token", ["", "A", WRONG + "A", "G" * 32, "٣" * 32, "\x00" * 32])
def test_what_is_no_token_is_refused(manager, token):
    manager.token = token

    assert manager("version", returnFormat="json").status in (400, 403)


def test_a_token_may_come_in_small_letters_and_with_a_line_end(manager):
    manager.token = f"{manager.token.lower()}\n"

    assert manager("version").status == 200


@pytest.mark.parametrize("change", [{"expires_at": timezone.now() - timedelta(1)}, {"revoked_at": timezone.now()}])
def test_a_token_that_has_ended_is_refused(manager, change):
    Token.objects.update(**change)

    assert manager("version", format="json").error == (403, NOBODY)


def test_somebody_without_a_role_may_read_nothing(manager):
    Membership.objects.all().delete()

    assert manager("metadata", format="json").error == (403, "You do not have API Export privileges")
    assert manager("record", format="json").error == (403, "You do not have API Export privileges")
    assert manager("record", format="json", data="[]").error == (403, "You do not have API Import/Update privileges")


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "options"])
def test_only_post_is_implemented(db, method):
    """Row 5."""
    response = getattr(Client(), method)(ADDRESS)

    text = IN_FORMATS["xml"][1] % "The requested method is not implemented."
    assert (response.status_code, response.content.decode()) == (501, text)
    assert response.headers["Content-Type"] == "text/xml; charset=utf-8"


def test_content_is_checked_before_the_action_and_the_action_before_the_right(redcap):
    reader = redcap(Role.INVESTIGATOR, site="MTP")

    unknown = 'The value of the parameter "%s" is not valid'
    assert reader("nothing", action="nothing", format="json").error == (400, unknown % "content")
    assert reader("record", action="nothing", format="json").error == (400, unknown % "action")
    assert reader("file", format="json").error == (400, unknown % "action")
    assert reader("record", action="delete", format="json").error == (403, "You do not have Delete Record privileges")


def test_an_error_is_escaped_in_xml(manager):
    answer = manager("record", fields="<a>&b")

    assert "'&lt;a&gt;&amp;b'" in answer.text


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"format": "csv"}, "ERROR: "),
        ({"format": "CSV"}, "ERROR: "),
        ({"format": "json", "returnFormat": "csv"}, "ERROR: "),
        ({"format": "json", "returnFormat": ""}, '{"error":'),
        ({"format": "odm"}, "<?xml"),
        ({"format": "yaml"}, "<?xml"),
        ({}, "<?xml"),
    ],
)
def test_the_format_of_errors_follows_that_of_the_data(manager, sent, expected):
    assert manager("nothing", **sent).text.startswith(expected)


ARRAYS = [
    "fields[0]=sex&fields[1]=race",
    "fields[1]=sex&fields[2]=race",
    "fields[7]=race&fields[3]=sex",
    "fields[]=sex&fields[]=race",
    "fields=sex,race",
    "fields=%20sex%20,%20race",
    "fields%5B0%5D=sex&fields%5B1%5D=%20race%20",
]


@pytest.mark.parametrize("array", ARRAYS)
def test_arrays_come_in_every_encoding_that_clients_use(manager, cohort, array):
    answer = manager.raw(f"token={manager.token}&content=record&format=csv&{array}")

    assert answer.text.splitlines()[0] == "sex,race"


def test_an_empty_array_is_absent_and_unknown_parameters_are_ignored(manager, cohort):
    everything = manager("record", format="csv")

    answer = manager("record", format="csv", fields="", forms="", records="", eventName="label", outputFormat="x")

    assert answer.body == everything.body


# Hostile use


def test_bytes_that_are_not_utf_8_are_refused_and_nothing_is_saved(manager, cohort, count):
    data = b'[{"record_id":"MTP-001","patient_notes":"\xe9lan"}]'
    before = count("crf_patienthistory")
    fields = f"token={manager.token}&content=record&format=json&data=".encode()

    answer = manager.raw(fields + b"".join(b"%%%02x" % byte for byte in data))

    assert answer.error == (400, "The request is not in UTF-8. Save the data as UTF-8 and send them again.")
    assert count("crf_patienthistory") == before


def test_bytes_that_are_not_utf_8_are_refused_in_multipart_too(manager, cohort):
    part = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    fields = {b"token": manager.token.encode(), b"content": b"record", b"returnFormat": b"csv", b"data": b"\xff\xfe"}
    body = b"".join(part % pair for pair in fields.items()) + b"--x--\r\n"

    answer = manager.raw(body, "multipart/form-data; boundary=x")

    assert answer.text == "ERROR: The request is not in UTF-8. Save the data as UTF-8 and send them again."


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "multipart/form-data", "application/json", ""])
@pytest.mark.parametrize("body", [b"", b"token", b"--x\r\n\r\n", b'{"token": "x"}'])
def test_a_body_of_another_kind_is_refused(db, manager, kind, body):
    assert manager.raw(body, kind).status in (400, 403)


def test_a_nul_in_a_parameter_is_refused(manager):
    assert manager("log", format="json", user="a\x00b").error[0] == 400


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        (URLENCODED, b"content=record&format=csv&data=", b"&returnFormat=json"),
        (URLENCODED, b"content=record&format=json&data=", b""),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="data"\r\n\r\n',
            b'\r\n--x\r\nContent-Disposition: form-data; name="returnFormat"\r\n\r\njson\r\n--x--\r\n',
        ),
    ],
)
def test_a_body_of_100_mb_is_refused_in_the_format_asked_for(manager, kind, before, after):
    answer = manager.raw(before + b"x" * 100_000_000 + after, kind)

    assert answer.error == (400, "The request has more than 20000000 bytes. Send it in parts.")


def test_as_many_fields_as_a_client_may_name_are_read_and_more_are_refused(manager, cohort, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 5
    few, many = ["MTP-001"] * 2, ["MTP-001"] * 3

    assert manager("record", format="json", records=few).status == 200
    assert manager("record", format="json", records=many).status == 400


def test_an_error_of_our_own_is_told_in_the_format_asked_for_and_not_as_a_page(manager, monkeypatch, caplog):
    def fail():
        raise RuntimeError

    monkeypatch.setattr("crf.redcap.project.project_settings", fail)

    answer = manager("project", format="csv")

    assert (answer.status, answer.text[:7]) == (500, "ERROR: ")
    assert "RuntimeError" in caplog.text


def test_what_a_french_browser_gets_is_what_every_client_gets(manager, cohort):
    calls = [
        ("metadata", {}),
        ("record", {"rawOrLabel": "label", "rawOrLabelHeaders": "label"}),
        ("userRole", {}),
        ("project_xml", {"returnMetadataOnly": "true"}),
        ("nothing", {}),
    ]

    def answers():
        texts = [manager(content, format="csv", **fields).text for content, fields in calls]
        return [re.sub(r'DateTime="[^"]+"', "", text) for text in texts]

    english = answers()
    manager.client.defaults["HTTP_ACCEPT_LANGUAGE"] = "fr"
    french = answers()

    assert french == english
