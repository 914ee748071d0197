"""What the pages of people, sites and tokens stand on: forms that read as the REST API does."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from registry.bodies import Reader, WrongMember, day
from registry.managed_problems import managed_problem
from registry.page_views import PageView
from registry.people import Contradiction, NotManaged
from registry.problems import Problem

UNPROCESSABLE = 422


class ReadField(forms.CharField):
    """A field that is read by the same function as the member of the REST API."""

    def __init__(
        self, read: Reader, *, note: Any = "", attributes: dict[str, str] | None = None, **options: Any
    ) -> None:
        attributes = {"autocomplete": "off", **(attributes or {})}
        # Blanks at the ends are what is typed by mistake; a program that sends them means them.
        super().__init__(help_text=note, widget=forms.TextInput(attrs=attributes), strip=True, **options)
        self.read = read

    def clean(self, value: Any) -> Any:
        """Return what was read; blank gives an empty text."""
        text = super().clean(value)
        try:
            return self.read(text) if text else ""
        except WrongMember as wrong:
            raise ValidationError(capfirst(wrong.message)) from None


class DayField(forms.CharField):
    """A day as ISO 8601; blank gives None."""

    def __init__(self, **options: Any) -> None:
        attributes = {"autocomplete": "off", "inputmode": "numeric", "class": "short", "placeholder": _("YYYY-MM-DD")}
        super().__init__(widget=forms.TextInput(attrs=attributes), **options)

    def clean(self, value: Any) -> Any:
        """Return the day."""
        text = super().clean(value)
        try:
            return day(text) if text else None
        except WrongMember:
            raise ValidationError(_("Write a date such as 2024-03-12.")) from None


class PageForm(forms.Form):
    """A form of a page: nothing that the browser checks in words of its own."""

    use_required_attribute = False


class ManagedPage(PageView):
    """A page of what is managed: translates what the services raise."""

    def problem_of(self, error: Exception) -> Problem | None:
        """Return the problem that a refusal stands for."""
        return managed_problem(error) or super().problem_of(error)


def is_done(form: forms.Form, act: Callable[[], object]) -> bool:
    """Run `act` in a savepoint; return whether it was done, and note a refusal at the field that is to blame."""
    try:
        with transaction.atomic():
            act()
    except Contradiction as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, refusal.message)
    except NotManaged as refusal:
        form.add_error(None, str(refusal))
    return form.is_valid()


def shown_again(request: HttpRequest, template: str, shown: dict[str, Any]) -> HttpResponse:
    """Return the page with what was typed and what is wrong with it."""
    return render(request, template, shown, status=UNPROCESSABLE)


def see_other(name: str, *arguments: Any) -> HttpResponse:
    """Return the redirect after a form was saved."""
    response: HttpResponse = redirect(name, *arguments)
    response.status_code = 303
    return response
