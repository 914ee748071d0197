"""The page of tokens: one's own, for scripts and programs, and those of the people whom one manages."""

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from registry import tokens
from registry.callers import TOKEN_LIFETIME
from registry.managed_pages import DayField, ManagedPage, PageForm, ReadField, is_done, see_other, shown_again
from registry.models import Site, Token
from registry.repeats import ShownOncePage
from registry.rights import READING, SIGNED_IN, Caller, Right
from registry.rights_in_words import WORDS
from registry.token_views import NAME

MOST = 200
"""Tokens that are listed, the latest; the REST API lists all."""


class TokenForm(PageForm):
    """A new token of one's own."""

    name = ReadField(
        NAME,
        label=gettext_lazy("What it is for"),
        note=gettext_lazy("Such as: nightly export to the statistician."),
        attributes={"maxlength": "100"},
    )
    extent = forms.ChoiceField(
        label=gettext_lazy("What it may do"),
        choices=[
            ("read", gettext_lazy("Read and export, change nothing")),
            ("all", gettext_lazy("Everything that I may do, now and later")),
            ("some", gettext_lazy("Only what I tick")),
        ],
        widget=forms.RadioSelect,
        initial="read",
    )
    rights = forms.MultipleChoiceField(
        label=gettext_lazy("Rights"), widget=forms.CheckboxSelectMultiple, required=False
    )
    site = forms.ChoiceField(label=gettext_lazy("Site"), required=False)
    expires_at = DayField(label=gettext_lazy("Last day"), required=False)

    def __init__(self, data: QueryDict | None = None, *, by: Caller, today: date) -> None:
        super().__init__(data, initial={"expires_at": (today + TOKEN_LIFETIME).isoformat()})
        held = [(right.value, WORDS[right]) for right in Right if by.may_anywhere(right)]
        self.fields["rights"].choices = held  # type: ignore[attr-defined]  # a MultipleChoiceField
        sites = Site.objects.filter(code__in=by.sites_with(Right.READ)).order_by("code")
        self.fields["site"].choices = [("", _("All my sites")), *((site.code, str(site)) for site in sites)]  # type: ignore[attr-defined]
        self.by = by

    def clean(self) -> dict[str, Any]:
        """Refuse a token that may do nothing."""
        given = self.cleaned_data
        if given.get("extent") == "some" and not given.get("rights") and "rights" not in self.errors:
            self.add_error("rights", _("Tick what the token may do."))
        return given

    def token(self) -> dict[str, Any]:
        """Return the token that was asked for, as the service takes it."""
        given = self.cleaned_data
        rights: Collection[str] | None = {
            "read": sorted(right.value for right in READING if self.by.may_anywhere(right)),
            "some": given["rights"],
        }.get(given["extent"])
        return {
            "name": given["name"],
            "site": given["site"] or None,
            "rights": rights,
            "expires_at": _end_of(given["expires_at"]),
        }


def _end_of(last_day: date | None) -> datetime | None:
    """Return the moment after a whole day, None for the usual time."""
    if last_day is None:
        return None
    if last_day == date.max:
        return datetime.max.replace(tzinfo=UTC)
    return datetime.combine(last_day + timedelta(days=1), time(), tzinfo=UTC)


class Tokens(ManagedPage):
    """The tokens, and new ones."""

    needs: ClassVar = {"get": SIGNED_IN, "post": SIGNED_IN}
    template: ClassVar = "registry/tokens.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return one's own tokens, and those of the people whom one manages."""
        return render(request, self.template, self._shown(TokenForm(by=self.by, today=timezone.localdate())))

    def post(self, request: HttpRequest) -> HttpResponse:
        """Save a token, and show it this once."""
        now = timezone.now()
        form = TokenForm(request.POST, by=self.by, today=timezone.localdate())
        made: list[tuple[str, Token]] = []
        if not form.is_valid() or not is_done(
            form, lambda: made.append(tokens.make_token(**form.token(), by=self.by, now=now))
        ):
            return shown_again(request, self.template, self._shown(form))
        text, token = made[0]
        shown = {"token": token, "text": text, "address": request.build_absolute_uri(reverse("me"))}
        page = render_to_string("registry/tokens_new.html", shown, request=request)
        return ShownOncePage(page, instead=reverse("page-tokens"))

    def _shown(self, form: TokenForm) -> dict[str, Any]:
        now, own = timezone.now(), {"person": self.by.person_id}
        visible = tokens.visible_tokens(self.by).select_related("person").order_by("-created_at", "-pk")
        mine, others = (found[:MOST] for found in (visible.filter(**own), visible.exclude(**own)))
        return {
            "form": form,
            "mine": [token_row(token, now=now) for token in mine],
            "others": [token_row(token, now=now) for token in others],
            "manages": self.by.may_anywhere(Right.MANAGE),
        }


class TokenEnd(ManagedPage):
    """Revokes a token."""

    needs: ClassVar = {"post": SIGNED_IN}

    def post(self, request: HttpRequest, token_id: int) -> HttpResponse:
        """End the token, at once and for ever."""
        tokens.revoke_token(tokens.token_numbered(token_id, by=self.by), now=timezone.now())
        messages.success(request, _("The token is revoked. Whoever has it gets in no more."))
        return see_other("page-tokens")


def token_row(token: Token, *, now: datetime) -> dict[str, Any]:
    """Return how the page shows a token: what it may do in words, and whether it still works."""
    state = "revoked" if token.revoked_at else "expired" if token.expires_at <= now else "works"
    rights = None if token.rights is None else set(token.rights)
    reads = rights is not None and rights <= {right.value for right in READING}
    words = [WORDS[right] for right in Right if rights is not None and right.value in rights]
    return {
        "token": token,
        "state": state,
        "rights": words,
        "extent": "all" if rights is None else "read" if reads else "some",
    }
