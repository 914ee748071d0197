"""A site's home: its patients by forms as a grid, its counts, and what waits for the person there."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from crf.deletions import deleted_entries
from crf.forms import all_forms
from crf.overview import (
    PAGE,
    QUERIES,
    RECORD_ID,
    STATE_WORDS,
    Asked,
    Cell,
    CellState,
    Grid,
    GridRow,
    grid_of_site,
    totals_of_sites,
)
from crf.pages import addresses
from crf.pages.finding import MAX_SEARCH, patient_named
from crf.pages.views import DataPage, wants_a_part
from crf.pages.work import work_of
from crf.standing import standing_of_site
from registry.models import Site
from registry.rights import Right, there
from registry.way_back import see_other

MAX_PAGE = 100_000


class SiteHome(DataPage):
    """The patients of a site by forms. What is sorted and filtered stands in the address; a search is posted."""

    needs: ClassVar = {"get": there(Right.READ), "post": there(Right.READ)}

    def get(self, request: HttpRequest, code: str) -> HttpResponse:
        """Return the page, or for htmx the grid alone."""
        return self._answer(request, self._site(code), read_asked(request.GET))

    def post(self, request: HttpRequest, code: str) -> HttpResponse:
        """Search: send on to the patient who is named, else return the grid of those in whose record id the text is."""
        site, asked = self._site(code), read_asked(request.POST, searching=True)
        if not wants_a_part(request):
            found = patient_named(asked.search, sites=[code]) if asked.search else None
            if found is not None:
                return see_other(addresses.of_patient(found))
            if not asked.search:
                return see_other(_address(code, asked))
        return self._answer(request, site, asked)

    def _site(self, code: str) -> Site:
        site = Site.objects.filter(code=code).first()
        if site is None or not self.by.may(Right.READ, at=code):
            raise Http404
        return site

    def _answer(self, request: HttpRequest, site: Site, asked: Asked) -> HttpResponse:
        shown = {"site": site, "grid": _shown(grid_of_site(site.code, asked), site.code)}
        if wants_a_part(request):
            part = render(request, "crf/site_grid.html", {**shown, "part": True})
            # The address says what is sorted and filtered, never what was searched.
            part["HX-Replace-Url"] = _address(site.code, asked)
            return part
        standing = standing_of_site(site.code, by=self.by)
        adds = self.by.may(Right.ENTER, at=site.code) and not standing.locks_in_force
        shown |= {
            "standing": standing,
            "totals": totals_of_sites([site.code])[site.code],
            "work": work_of(self.by, sites=[site.code]),
            "new_patient": addresses.of_new_patient(site.code) if adds else "",
            "states": [(state.value, word) for state, word in STATE_WORDS.items()],
            "forms": [(form.form_name(), _(form.title())) for form in all_forms()],
            "legend": [(state.value, STATE_WORDS[state]) for state in CellState],
            "several_sites": len(self.by.sites_with(Right.READ)) > 1,
        }
        return render(request, "crf/site.html", shown)


class SiteDeleted(DataPage):
    """What was deleted at a site, the latest first, with who, when and why."""

    needs: ClassVar = {"get": there(Right.READ)}

    def get(self, request: HttpRequest, code: str) -> HttpResponse:
        """Return the latest deletions."""
        site = Site.objects.filter(code=code).first()
        if site is None or not self.by.may(Right.READ, at=code):
            raise Http404
        shown = {
            "site": site,
            "deleted": shown_deletions(deleted_entries(by=self.by, site=code)),
            "may_restore": self.by.may(Right.ENTER, at=code),
        }
        return render(request, "crf/site_deleted.html", shown)


def shown_deletions(deleted: Any) -> list[dict[str, Any]]:
    """Return deleted entries as templates show them."""
    titles = {form.form_name(): (_(form.title()), form.repeating) for form in all_forms()}
    return [
        {
            "record_id": entry.record_id,
            "title": titles[entry.form][0],
            "instance": entry.instance if titles[entry.form][1] else None,
            "at": entry.deleted_at,
            "by": entry.actor.get("username") or entry.actor.get("database_role"),
            "reason": entry.actor.get("reason"),
            "with_patient": entry.with_patient,
            "locked": entry.locked,
            "restore": addresses.of_restore(entry.record_id, entry.form, entry.instance),
        }
        for entry in deleted
    ]


def read_asked(sent: Mapping[str, str], *, searching: bool = False) -> Asked:
    """Return what is asked of the grid; what no grid of ours would ask is left out. Only a post can search."""
    forms = {form.form_name() for form in all_forms()}
    sort, state, form, page = (sent.get(name, "") for name in ("sort", "state", "form", "page"))
    number = int(page) if page.isascii() and page.isdigit() and len(page) <= 6 else 1
    return Asked(
        sort=sort if sort in forms | {QUERIES} else RECORD_ID,
        descending=sent.get("order") == "desc",
        state=CellState(state) if state in set(CellState) else None,
        form=form if form in forms else None,
        search=_searched(sent.get("search", "")) if searching else "",
        page=min(max(number, 1), MAX_PAGE),
    )


def _searched(text: str) -> str:
    """Return what is searched; what cannot be printed is in no record id, and no text for the database."""
    return "".join(sign if sign.isprintable() else "?" for sign in text.strip()[:MAX_SEARCH])


def _query(asked: Asked, **other: Any) -> str:
    """Return the part of an address that asks the same, or something `other`; the search is not in it."""
    sent = {
        "sort": "" if asked.sort == RECORD_ID else asked.sort,
        "order": "desc" if asked.descending else "",
        "state": asked.state.value if asked.state else "",
        "form": asked.form or "",
        "page": "" if asked.page == 1 else asked.page,
    }
    return urlencode([(name, value) for name, value in {**sent, **other}.items() if value])


def _address(code: str, asked: Asked) -> str:
    query = _query(asked)
    return reverse("page-site", args=[code]) + (f"?{query}" if query else "")


def _shown(grid: Grid, code: str) -> dict[str, Any]:
    """Return a page of a grid as its template shows it."""
    asked, here = grid.asked, reverse("page-site", args=[code])
    names = [(RECORD_ID, _("Record id")), *((form.form_name(), _(form.title())) for form in all_forms())]
    return {
        "asked": asked,
        "matched": grid.matched,
        "range": (grid.first, grid.last),
        "columns": [_column(name, title, asked, here) for name, title in (*names, (QUERIES, _("Queries")))],
        "rows": [_row(row) for row in grid.rows],
        "previous": {"page": asked.page - 1, "href": f"{here}?{_query(asked, page=asked.page - 1)}"}
        if asked.page > 1
        else None,
        "next": {"page": asked.page + 1, "href": f"{here}?{_query(asked, page=asked.page + 1)}"}
        if asked.page * PAGE < grid.matched
        else None,
        "filtered": bool(asked.search or asked.state),
        "everything": here,
    }


def _column(name: str, title: str, asked: Asked, here: str) -> dict[str, Any]:
    current = asked.sort == name
    order = "desc" if current and not asked.descending else ""
    query = _query(asked, sort="" if name == RECORD_ID else name, order=order, page="")
    return {
        "name": name,
        "title": title,
        "sorted": ("descending" if asked.descending else "ascending") if current else "",
        "order": order,
        "href": f"{here}?{query}" if query else here,
    }


def _row(row: GridRow) -> dict[str, Any]:
    """Return a patient of the grid. The cells are put together here: a page has hundreds, of a few kinds."""
    language = get_language() or ""
    cells = (
        f'<td><a href="{addresses.of_form(row.record_id, name)}">{_cell(cell, name, language)}</a></td>'
        for name, cell in row.cells.items()
    )
    return {
        "record_id": row.record_id,
        "href": addresses.of_patient(row.record_id),
        # Addresses are ours and hold nothing but letters, digits and hyphens; the cells are escaped.
        "cells": SafeString("".join(cells)),
        "queries": row.queries,
    }


@lru_cache(maxsize=5_000)
def _cell(cell: Cell, form: str, _language: str) -> SafeString:
    """Return what stands in a cell: icons for eyes, words for ears; the number where a form repeats."""
    (kind,) = [known for known in all_forms() if known.form_name() == form]
    icons = [cell.state.value]
    words = [str(STATE_WORDS[cell.state])]
    for state, number in (
        (CellState.LOCKED, cell.locked),
        (CellState.VERIFIED, cell.verified),
        (CellState.SIGNED, cell.signed),
    ):
        if number and number >= cell.number:
            icons.append(state.value)
            words.append(str(STATE_WORDS[state]))
        elif number:
            words.append(_("%(number)d %(state)s") % {"number": number, "state": STATE_WORDS[state]})
    if cell.queries:
        icons.append(CellState.QUERIES.value)
        words.append(ngettext("%(n)d open query", "%(n)d open queries", cell.queries) % {"n": cell.queries})
    shown = str(cell.number) if kind.repeating and cell.number else ""
    return format_html(
        '<span class="visually-hidden">{}: {}</span>{}<span class="number">{}</span>{}',
        _(kind.title()),
        ", ".join(words),
        icon(icons[0]),
        shown,
        format_html_join("", "{}", ((icon(name),) for name in icons[1:])),
    )


def icon(name: str) -> SafeString:
    """Return the icon of a state; the words stand beside it or are hidden for ears."""
    return format_html('<i class="icon icon-{}" aria-hidden="true"></i>', name)
