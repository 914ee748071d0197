"""The history of every change, written by database triggers whichever way a change came.

django-pghistory makes one history table for each tracked table, with a full copy of the row after an insert or an
update and before a delete. Each history row carries its actor beside it, as JSON: person, token, door, reason and
request, or the database role when nobody said who acts. It is set once in a transaction, by `registry.acting`.

Inserts are recorded by a trigger for the whole statement (a COPY of a thousand rows calls it once), updates and
deletes by one for each row, so that an update which changes nothing leaves no trace.
"""

from typing import Any, TypeVar

import pghistory
import pgtrigger
from django.db import models
from pghistory.core import create_event_model
from pghistory.trigger import Event as EventTrigger

from registry.row_security import access_to, history_of

ACTOR = "ecrf_actor()"
"""SQL function (registry migration) that returns who acts in this transaction, never null."""

ModelT = TypeVar("ModelT", bound=models.Model)


class HistoryTrigger(EventTrigger):
    """Copies the changed rows of a table to its history table, with the actor of the transaction."""

    def get_func(self, model: Any) -> pgtrigger.Func:
        """Return the body of the trigger function.

        pghistory's own body leaves the actor null where no context was opened, as under COPY.
        """
        whole_statement = self.level == pgtrigger.Statement
        row = "new_values" if whole_statement else self.row
        tracked = [field.column for field in model._meta.local_fields if field.name in self._tracked_names()]
        values = {column: f'{row}."{column}"' for column in tracked}
        values |= {
            "pgh_created_at": "clock_timestamp()",
            "pgh_label": f"'{self.label}'",
            "pgh_obj_id": f'{row}."{model._meta.pk.column}"',
            "pgh_context": "actor.value",
        }
        columns = ", ".join(f'"{column}"' for column in values)
        # Once for the statement, not for each row: it reads JSON.
        actor = f"WITH actor AS MATERIALIZED (SELECT {ACTOR} AS value)"
        rows = "new_values, actor" if whole_statement else "actor"
        source = f"SELECT {', '.join(values.values())} FROM {rows}"  # noqa: S608 -- columns of the model
        table = self._history_of().db_table
        return pgtrigger.Func(f'{actor} INSERT INTO "{table}" ({columns}) {source}; RETURN NULL;')

    def _tracked_names(self) -> set[str]:
        return {field.name for field in self._history_of().local_fields}

    def _history_of(self) -> Any:
        history: Any = self.event_model
        return history._meta


class _Recorded(pghistory.RowEvent):
    """A kind of change that the history records through `HistoryTrigger`."""

    def add_event_trigger(self, event_model: Any) -> None:
        """Register the trigger on the tracked table."""
        pgtrigger.register(
            HistoryTrigger(  # type: ignore[no-untyped-call]  # pghistory's base has no types for what it takes
                event_model=event_model,
                label=self.label,
                name=self.trigger_name,
                row=self.row,
                operation=self.operation,
                condition=self.condition,
                level=self.level,
            )
        )(event_model.pgh_tracked_model)


class Inserted(_Recorded, pghistory.InsertEvent):
    """Rows that came."""


class Updated(_Recorded, pghistory.UpdateEvent):
    """Rows that changed in a tracked column."""


class Deleted(_Recorded, pghistory.DeleteEvent):
    """Rows that went."""


def keep_history(model: type[ModelT], *, exclude: list[str] | None = None) -> type[ModelT]:
    """Make the history table of `model` (named `<Model>History`) and the triggers that write it."""
    history = create_event_model(
        model,
        Inserted(level=pgtrigger.Statement),
        Updated(level=pgtrigger.Row),
        Deleted(level=pgtrigger.Row),
        exclude=exclude,
        model_name=f"{model.__name__}History",
        context_field=pghistory.ContextJSONField(null=False),
        context_id_field=None,  # type: ignore[arg-type]  # None is documented: no key beside the actor
        append_only=True,
        abstract=False,
    )
    history.access = history_of(access_to(model))  # type: ignore[attr-defined]  # as every model of ours
    return model


def track(model: type[ModelT] | None = None, *, exclude: list[str] | None = None) -> Any:
    """Decorate a model whose changes are kept; `exclude` names columns that stay out (secrets, bookkeeping)."""
    if model is not None:
        return keep_history(model)

    def decorate(tracked: type[ModelT]) -> type[ModelT]:
        return keep_history(tracked, exclude=exclude)

    return decorate
