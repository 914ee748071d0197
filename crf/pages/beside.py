"""The panel of a variable: the queries on it with every step, and its history. A page, and a part of one for htmx."""

from typing import Any, ClassVar

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from crf import data_queries, problems
from crf.beside import Marks, history_of
from crf.disclosures import note_reading
from crf.fields import Variable
from crf.forms import Form
from crf.models.data_query import QueryState
from crf.pages.links import beside_address, entry_address, entry_title, standing_address
from crf.pages.shown_queries import shown, with_all_to_show
from crf.pages.texts import Unfit, text_of, typed
from crf.pages.views import DataPage, wants_a_part
from crf.refusals import NotAllowed
from crf.standing import Standing, standing_of_entry
from crf.words import words_of
from registry.problems import Problem
from registry.rights import Right, there
from registry.way_back import see_other


class Beside(DataPage):
    """What stands beside one variable of one entry; a POST opens a query on it."""

    form: type[Form] = Form  # type: ignore[type-abstract]  # each address gives its own
    needs: ClassVar = {"get": there(Right.READ), "post": there(Right.OPEN_QUERY)}

    def problem_of(self, error: Exception) -> Problem | None:
        """Return the problem that a refusal stands for."""
        return problems.of_a_query(error) or super().problem_of(error)

    def get(self, request: HttpRequest, record_id: str, variable: str, instance: int = 1) -> HttpResponse:
        """Return the panel."""
        return self._panel(request, self._standing(record_id, instance, variable), variable)

    def post(self, request: HttpRequest, record_id: str, variable: str, instance: int = 1) -> HttpResponse:
        """Open a query."""
        standing = self._standing(record_id, instance, variable)
        if Right.OPEN_QUERY not in standing.may:
            raise NotAllowed
        try:
            text = text_of(request, "text")
        except Unfit as unfit:
            return self._panel(request, standing, variable, error=str(unfit), typed=typed(request, "text"), status=422)
        data_queries.open_query(
            self.form, record_id, instance, variable=variable, text=text, by=self.by, now=timezone.now()
        )
        return see_other(beside_address(self.form.form_name(), record_id, instance, variable))

    def _standing(self, record_id: str, instance: int, variable: str) -> Standing:
        standing = standing_of_entry(self.form, record_id, instance, by=self.by)
        if variable not in self.form.variables():
            raise Http404
        return standing

    def _panel(
        self, request: HttpRequest, standing: Standing, variable: str, *, status: int = 200, **refused: str
    ) -> HttpResponse:
        found = {**self._found(standing, variable), **refused}
        template = "crf/beside_panel.html" if wants_a_part(request) else "crf/beside.html"
        response = render(request, template, found, status=status)
        if refused:
            response.headers["HX-Reswap"] = "outerHTML"  # refused forms come back in their place
        return response

    def _found(self, standing: Standing, name: str) -> dict[str, Any]:
        entry, now = standing.entry, timezone.now()
        assert entry is not None  # noqa: S101 -- the standing of an entry has it
        variable: Variable = self.form.variables()[name]
        if variable.identifier:
            note_reading(self.form, [entry])
        place = (self.form.form_name(), entry.record_id, entry.instance)
        asked = data_queries.visible_queries(self.by).filter(
            patient_id=entry.record_id, form=place[0], instance=entry.instance, variable=name
        )
        queries = shown(with_all_to_show(asked).order_by("-pk"), by=self.by, now=now)
        queries.sort(key=lambda query: query.query.state == QueryState.CLOSED)
        history = history_of(self.form, entry.record_id, entry.instance, name, by=self.by)
        states = [query.query.state for query in queries]
        return {
            "form": place[0],
            "record_id": entry.record_id,
            "instance": entry.instance,
            "variable": name,
            "label": _(variable.label),
            "unit": variable.unit,
            "title": entry_title(self.form, entry.record_id, entry.instance),
            "value": words_of(variable, entry.values[name], missing=entry.missing.get(name)),
            "queries": queries,
            "history": history,
            "may_open": Right.OPEN_QUERY in standing.may,
            "entry_address": entry_address(*place),
            "standing_address": standing_address(standing.target, version=entry.version),
            "marks": Marks(
                open=states.count(QueryState.OPEN),
                answered=states.count(QueryState.ANSWERED),
                changes=sum(change.action == "changed" for change in history),
            ),
        }
