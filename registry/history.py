"""The history of every change, written by database triggers whichever way a change came.

django-pghistory makes one history table for each tracked table, with a full copy of the row after an insert or an
update and before a delete. Each history row carries its actor beside it, as JSON: person, token, door, reason and
request, or the database role when nobody said who acts. It is set once in a transaction, by `registry.acting`.

Inserts are recorded by a trigger for the whole statement (one of a thousand rows calls it once), updates and
deletes by one for each row, so that an update which changes nothing leaves no trace.

History rows are links of chains: each carries a digest over itself and the digest before it, so that whoever edits,
removes or slips one in, a superuser included, breaks the chain there (`registry.history_chain`). Everything about a
patient is one chain, anything else tracked has a chain of its own: writers of different patients never wait for each
other.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import pghistory
import pgtrigger
from django.apps import apps
from django.db import models
from pghistory.core import create_event_model
from pghistory.trigger import Event as EventTrigger

from registry.row_security import access_to, history_of

ACTOR = "ecrf_actor()"
"""SQL function (registry/database_functions.py) that returns who acts in this transaction, never null."""

# Chains are locked in one order, made where they are new, and their ends read once, by the order of the chains. Nothing
# is joined: plans are kept, and one made for two rows must be as good for a thousand.
LINK_MANY = """
    SELECT array_agg(DISTINCT {chain}) INTO ecrf_chains FROM {source} AS changed;
    FOR attempt IN 1..2 LOOP
        SELECT array_agg(length), array_agg(digest) INTO ecrf_lengths, ecrf_digests
          FROM (SELECT * FROM registry_historychain WHERE chain = ANY(ecrf_chains)
                 ORDER BY chain COLLATE "C" FOR UPDATE) AS held;
        EXIT WHEN cardinality(ecrf_lengths) = cardinality(ecrf_chains);
        INSERT INTO registry_historychain (chain, site_id, length, digest)
            SELECT DISTINCT {chain}, {site}, 0, ''::bytea FROM {source} AS changed ORDER BY 1 ON CONFLICT DO NOTHING;
    END LOOP;
    IF cardinality(ecrf_lengths) <> cardinality(ecrf_chains) THEN
        RAISE EXCEPTION 'The ends of % chains were looked for, and % found.',
            cardinality(ecrf_chains), cardinality(ecrf_lengths);
    END IF;
    ecrf_moment := clock_timestamp();
    WITH kept AS (
        INSERT INTO "{history}" ({columns}, pgh_seq, pgh_digest)
        SELECT {said}, ecrf_lengths[ecrf_nth] + row_number() OVER chain,
               ecrf_link(ecrf_digests[ecrf_nth], {content}) OVER chain
          FROM (SELECT changed.*, dense_rank() OVER (ORDER BY {chain} COLLATE "C") AS ecrf_nth
                  FROM {source} AS changed) AS changed
        WINDOW chain AS (PARTITION BY ecrf_nth ORDER BY {key} ROWS UNBOUNDED PRECEDING)
        RETURNING pgh_chain, pgh_seq, pgh_digest)
    INSERT INTO registry_historychain (chain, length, digest)
        SELECT DISTINCT ON (pgh_chain) * FROM kept ORDER BY pgh_chain, pgh_seq DESC
        ON CONFLICT (chain) DO UPDATE SET length = excluded.length, digest = excluded.digest;
"""
# The same for one row, which nearly every statement has: no sorting and no windows, about half of what the chain
# costs. The lock comes before the moment is noted, so that moments follow the order of the chain.
LINK_ONE = """
    FOR attempt IN 1..2 LOOP
        SELECT length, digest INTO ecrf_place, ecrf_digest FROM registry_historychain
         WHERE chain = (SELECT {chain} FROM {source} AS changed) FOR UPDATE;
        EXIT WHEN FOUND;
        INSERT INTO registry_historychain (chain, site_id, length, digest)
            SELECT {chain}, {site}, 0, ''::bytea FROM {source} AS changed ON CONFLICT DO NOTHING;
    END LOOP;
    ecrf_place := ecrf_place + 1;
    ecrf_moment := clock_timestamp();
    INSERT INTO "{history}" ({columns}, pgh_seq, pgh_digest)
        SELECT {said}, ecrf_place, ecrf_link_step(NULL, ecrf_digest, {content}) FROM {source} AS changed
        RETURNING pgh_chain, pgh_digest INTO ecrf_chain, ecrf_digest;
    UPDATE registry_historychain SET length = ecrf_place, digest = ecrf_digest WHERE chain = ecrf_chain;
"""
# A statement that came to no row has nothing to link, and goes the way of many.
LINK_STATEMENT = (
    "\n    IF (SELECT count(*) FROM (SELECT FROM new_values LIMIT 2) AS first_two) = 1 THEN"  # noqa: S608 -- no values
    f"{LINK_ONE}    ELSE{LINK_MANY}    END IF;\n    RETURN NULL;\n"
)
LINK_ROW = f"{LINK_ONE}    RETURN NULL;\n"
# Their prefix is ours, as that of the column `ecrf_nth`: no column of a form begins with it.
VARIABLES = [
    ("ecrf_who", f"jsonb := {ACTOR}"),
    ("ecrf_who_as_text", "text := ecrf_who::text"),
    ("ecrf_moment", "timestamptz"),
    ("ecrf_chain", "text"),
    ("ecrf_place", "bigint"),
    ("ecrf_digest", "bytea"),
    ("ecrf_chains", "text[]"),
    ("ecrf_lengths", "bigint[]"),
    ("ecrf_digests", "bytea[]"),
]
BESIDE_THE_CONTENT = frozenset({"pgh_id", "pgh_seq", "pgh_digest"})
"""Columns of a history row that its digest is not over: its digest, and what places it."""

ModelT = TypeVar("ModelT", bound=models.Model)


class HistoryTrigger(EventTrigger):
    """Copies the changed rows of a table to its history table, with the actor of the transaction."""

    def get_func(self, model: Any) -> pgtrigger.Func:
        """Return the body of the trigger function.

        pghistory's own body leaves the actor null where no context was opened, and knows no chains.
        """
        source = "new_values" if self.level == pgtrigger.Statement else f"(SELECT {self.row}.*)"
        tracked = [field.column for field in model._meta.local_fields if field.name in self._tracked_names()]
        key = f'changed."{model._meta.pk.column}"'
        values = {column: f'changed."{column}"' for column in tracked}
        values |= {
            "pgh_created_at": "ecrf_moment",
            "pgh_label": f"'{self.label}'",
            "pgh_obj_id": key,
            "pgh_context": "ecrf_who",
            "pgh_chain": chain_of(model, row="changed"),
        }
        texts = {column: f"({value})::text" for column, value in values.items()} | {"pgh_context": "ecrf_who_as_text"}
        template = LINK_STATEMENT if self.level == pgtrigger.Statement else LINK_ROW
        return pgtrigger.Func(
            template.format(
                source=source,
                history=self._history_of().db_table,
                columns=", ".join(f'"{column}"' for column in values),
                said=", ".join(values.values()),
                content=content_of(texts),
                chain=values["pgh_chain"],
                key=key,
                site='changed."site_id"' if "site_id" in tracked else "NULL",
            )
        )

    def get_declare(self, _model: Any) -> list[tuple[str, str]]:
        """Return the variables of the trigger function."""
        return VARIABLES

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


def history_models() -> list[type[models.Model]]:
    """Return the model of every history table."""
    return [model for model in apps.get_models() if hasattr(model, "pgh_tracked_model")]


def tracked_by(history: type[models.Model]) -> type[models.Model]:
    """Return the model whose changes a history table keeps."""
    tracked: type[models.Model] = history.pgh_tracked_model  # type: ignore[attr-defined]  # made by pghistory
    return tracked


def chain_of(model: type[models.Model], *, row: str) -> str:
    """Return the SQL of the chain that a row of `model` belongs to: its patient's, else one of its own."""
    columns = {field.column: field for field in model._meta.local_fields}
    own = f"'{model._meta.db_table}:' || {row}.\"{model._meta.pk.column}\""
    if "record_id" not in columns:
        return own
    of_patient = f'{row}."record_id"::text'
    return f"COALESCE({of_patient}, {own})" if columns["record_id"].null else of_patient


def content_of(columns: Mapping[str, str]) -> str:
    """Return the SQL of the text that the digest of a history row is over, given the SQL of each column as text.

    It says `name='value'` of every column that is not null, by the order of names: a column that a later version adds
    leaves the digests of older rows as they are. Values are literals of PostgreSQL (quotes doubled, E'...' where there
    is a backslash), so that no two rows of a table say the same.
    """
    said = (f"'{name}=' || quote_literal({text})" for name, text in sorted(columns.items()))
    return f"array_to_string(ARRAY[{', '.join(said)}], ',')"


def keep_history(model: type[ModelT], *, exclude: list[str] | None = None) -> type[ModelT]:
    """Make the history table of `model` (named `<Model>History`) and the triggers that write it."""
    history = create_event_model(
        model,
        Inserted(level=pgtrigger.Statement),
        Updated(level=pgtrigger.Row),
        Deleted(level=pgtrigger.Row),
        exclude=exclude,
        model_name=f"{model.__name__}History",
        attrs={
            "pgh_chain": models.TextField(),
            "pgh_seq": models.BigIntegerField(),
            "pgh_digest": models.BinaryField(max_length=32),
        },
        meta={
            "constraints": [
                models.UniqueConstraint(
                    fields=["pgh_chain", "pgh_seq"], name=f"{model._meta.db_table[:40]}_history_is_a_chain"
                )
            ],
            # For the audit trail, which is read by time.
            "indexes": [models.Index(name=f"{model.__name__.lower()[:20]}_hist_time", fields=["pgh_created_at"])],
        },
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
