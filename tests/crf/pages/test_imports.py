"""The pages of imports without JavaScript."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from crf.models.import_file import Import
from crf.models.patient import Patient
from registry.rights import Role

pytestmark = pytest.mark.django_db

FILE = b"record_id,sex,patient_notes\nMTP-001,F,<script>alert(1)</script>\n"


def bring(client, content=FILE, name="file.csv", **said):
    return client.post(reverse("page-import-new"), {"file": SimpleUploadedFile(name, content), "site": "MTP", **said})


def test_a_file_is_brought_applied_and_undone(browser, patient):
    client = browser(username="typist")

    brought = bring(client)
    preview = client.get(brought["Location"])
    apply = {"step": "apply", "preview": Import.objects.get().preview}

    assert brought.status_code == 303
    assert b"&lt;script&gt;alert(1)&lt;/script&gt;" in preview.content
    assert b"<script>alert" not in preview.content

    unsaid = client.post(brought["Location"], apply)
    assert (unsaid.status_code, b"Say why" in unsaid.content) == (422, True)
    assert client.post(brought["Location"], {**apply, "reason": "Abstracted"}).status_code == 303
    assert Patient.objects.get().sex == "F"

    assert client.post(brought["Location"], {"step": "undo", "reason": ""}).status_code == 422
    assert client.post(brought["Location"], {"step": "undo", "reason": "Wrong file"}).status_code == 303
    assert Patient.objects.get().sex == "M"
    assert b"Wrong file" in client.get(brought["Location"]).content


def test_the_audit_trail_names_the_import_behind_a_change(browser, api, patient):
    client = browser(username="typist")
    brought = bring(client)
    number = Import.objects.get().pk
    client.post(brought["Location"], {"step": "apply", "preview": Import.objects.get().preview, "reason": "Abstracted"})
    asked = {"record_id": "MTP-001", "form": "patient"}

    changed, created = api(Role.MONITOR).get("/api/v1/audit/", asked).json()["results"]
    page = client.post(reverse("page-audit"), asked).content.decode()

    assert (changed["door"], changed["import"]) == ("import", number)
    assert created["import"] is None
    assert f"import of a file {number}<" in page


def test_of_a_refused_entry_the_corrected_file_is_the_next_step(browser, patient):
    client = browser(username="typist")

    page = client.get(bring(client, b"record_id,sex\nMTP-001,X\n")["Location"]).content.decode()

    assert '<a class="button primary" href="/imports/new/">Bring the corrected file</a>' in page


def test_a_refused_file_is_told_beside_its_field_with_what_was_chosen(browser, patient):
    response = bring(browser(username="typist"), b"PK\x03\x04", name="file.csv", form="dosing", encoding="cp1252")

    assert response.status_code == 422
    assert b'id="file-error"' in response.content
    assert b'<option value="dosing" selected>' in response.content
    assert b'<option value="cp1252" selected>' in response.content


def test_no_file_is_asked_for(browser):
    response = browser().post(reverse("page-import-new"), {"site": "MTP"})

    assert (response.status_code, b"Choose the file" in response.content) == (422, True)


def test_a_second_click_brings_nothing_twice(browser, patient):
    client = browser(username="typist")

    first, second = (bring(client, once="12345") for _click in range(2))

    assert first["Location"] == second["Location"]
    assert Import.objects.count() == 1


def test_what_changed_since_the_preview_is_shown_instead(browser, api, patient):
    client = browser(username="typist")
    address = bring(client)["Location"]
    seen = Import.objects.get().preview
    api(username="other").send("PATCH", "/api/v1/patients/MTP-001/", {"sex": "U"}, If_Match='"1"', X_Change_Reason="r")

    response = client.post(address, {"step": "apply", "preview": seen, "reason": "Abstracted"})

    assert (response.status_code, b"the data have changed since the preview" in response.content) == (409, True)
    assert b"Unknown" in response.content
    assert Patient.objects.get().sex == "U"


def test_undo_says_what_stands_against_it(browser, api, patient):
    client = browser(username="typist")
    address = bring(client)["Location"]
    client.post(address, {"step": "apply", "preview": Import.objects.get().preview, "reason": "Abstracted"})
    api(username="other").send("PATCH", "/api/v1/patients/MTP-001/", {"sex": "U"}, If_Match='"2"', X_Change_Reason="r")

    response = client.post(address, {"step": "undo", "reason": "Wrong"})

    assert (response.status_code, b"MTP-001 \xc2\xb7 patient" in response.content) == (409, True)
    assert Patient.objects.get().sex == "U"


@pytest.mark.parametrize("step", ["", "other"])
def test_a_step_that_is_none_is_refused(step, browser, patient):
    client = browser(username="typist")
    address = bring(client)["Location"]

    assert client.post(address, {"step": step}).status_code == 400


def test_a_preview_is_thrown_away(browser, patient):
    client = browser(username="typist")
    address = bring(client)["Location"]

    assert client.post(address, {"step": "discard"})["Location"] == reverse("page-imports")
    assert b"file.csv" not in client.get(reverse("page-imports")).content


def test_the_list_and_a_preview_ask_a_fixed_number_of_questions(browser, patient, django_assert_num_queries):
    client = browser(username="typist")
    client.get(reverse("page-imports"))
    for rows in (1, 3):
        lines = b"".join(b"MTP-00%d,F\n" % number for number in range(1, 1 + rows))
        address = bring(client, b"record_id,sex\n" + lines)["Location"]
        with django_assert_num_queries(7):
            client.get(reverse("page-imports"))
        with django_assert_num_queries(7):
            client.get(address)


@pytest.mark.parametrize("role", [Role.MONITOR, Role.INVESTIGATOR])
def test_who_enters_no_data_has_no_link_to_it(role, browser):
    assert reverse("page-imports").encode() not in browser(role).get(reverse("account")).content
    assert reverse("page-imports").encode() in browser(username="typist").get(reverse("account")).content


@pytest.mark.parametrize("query", ["", "?show=problems", "?show=nothing&page=99", "?page=x"])
def test_any_filter_and_page_is_answered(query, browser, patient):
    client = browser(username="typist")
    address = bring(client)["Location"]

    assert client.get(f"{address}{query}").status_code == 200
