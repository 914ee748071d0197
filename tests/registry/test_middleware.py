"""Middlewares that work when somebody needs them."""

import pytest
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse
from django.urls import reverse

from registry.middleware import LoginRequired, Messages

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("said", "cookies"), [(None, []), ("Saved.", ["messages"])])
def test_messages_are_kept_for_the_next_page_if_there_are_any(said, cookies, rf):
    def view(request):
        request.session = {}
        if said:
            messages.info(request, said)
        return HttpResponse()

    response = Messages(view)(rf.get("/"))

    assert list(response.cookies) == cookies


def test_a_message_is_shown_once(rf):
    def say(request):
        request.session = {}
        messages.info(request, "Saved.")
        return HttpResponse()

    def show(request):
        request.session = {}
        return HttpResponse(",".join(str(message) for message in messages.get_messages(request)))

    said = Messages(say)(rf.get("/"))
    rf.cookies["messages"] = said.cookies["messages"].value
    shown = Messages(show)(rf.get("/"))

    assert shown.content == b"Saved."
    assert shown.cookies["messages"].value == ""


def test_who_looks_at_what_is_for_everybody_is_not_looked_up(rf):
    request = rf.get("/")  # without a user, which is looked up when it is asked for

    @login_not_required
    def view(_request):
        return HttpResponse()

    assert LoginRequired(view).process_view(request, view, (), {}) is None


def test_a_page_that_is_not_sends_a_stranger_to_sign_in(client):
    response = client.get("/")

    assert response.status_code == 302
    assert response["Location"].startswith(reverse("sign-in"))
