"""Triggers of every form that hold whichever way a change comes: locks, and what is attested of exact values."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pgtrigger

if TYPE_CHECKING:
    from crf.forms import Form

NOT_LOCKED = "entry_is_not_locked"
"""The name under which the triggers refuse, as if it were a constraint."""
BESIDE_THE_VALUES = frozenset({"id", "number", "version", "locked", "created_at", "updated_at"})
"""Columns that an attestation does not cover: what the registry counts and notes by itself."""

_REFUSE = (
    f"RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = '{NOT_LOCKED}', TABLE = TG_TABLE_NAME,"
    " MESSAGE = 'entry is locked';"
)


def guards_of(form: "type[Form]") -> Iterator[pgtrigger.Trigger]:
    """Yield the triggers of `form`."""
    yield _locked_rows_stay(form)
    yield _locked_rows_are_not_deleted()
    yield _locked_places_take_no_rows(form)
    yield from _changes_drop_attestations(form)


def _locked_rows_stay(form: "type[Form]") -> pgtrigger.Trigger:
    """Refuse a change of a locked row, and a mark that says other than the locks do: only they can lock and unlock."""
    name = form.form_name()
    return pgtrigger.Trigger(
        name="locked_rows_stay",
        operation=pgtrigger.Update,
        when=pgtrigger.Before,
        condition=pgtrigger.Condition("OLD.locked OR NEW.locked"),
        func=pgtrigger.Func(
            "IF (OLD.locked AND to_jsonb(OLD) - 'locked' IS DISTINCT FROM to_jsonb(NEW) - 'locked')"
            " OR (OLD.locked <> NEW.locked"
            f" AND NEW.locked <> crf_is_locked(NEW.site_id, NEW.record_id, '{name}', NEW.instance))"
            f" THEN {_REFUSE} END IF; RETURN NEW;"
        ),
    )


def _locked_rows_are_not_deleted() -> pgtrigger.Trigger:
    return pgtrigger.Trigger(
        name="locked_rows_are_not_deleted",
        operation=pgtrigger.Delete,
        when=pgtrigger.Before,
        condition=pgtrigger.Condition("OLD.locked"),
        func=pgtrigger.Func(f"{_REFUSE} RETURN OLD;"),
    )


def _locked_places_take_no_rows(form: "type[Form]") -> pgtrigger.Composer:
    """Refuse new rows where a lock covers them; once for the statement, after it.

    A patient who comes waits for whoever locks the site: its foreign key is looked at too late, at the commit. An
    instance waits at its own key, for whoever locks the patient.
    """
    wait = "" if form.repeating else _WAIT_FOR_WHO_LOCKS_THE_SITE
    return pgtrigger.Composer(
        name="locked_places_take_no_rows",
        operation=pgtrigger.Insert,
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        func=pgtrigger.Func(
            f"{wait}IF EXISTS (SELECT FROM new_values n JOIN crf_lock l ON l.record_id = n.record_id"  # noqa: S608 -- constants and the name of a class
            f" WHERE l.unlocked_at IS NULL AND (l.form IS NULL OR l.form = '{form.form_name()}')"
            " AND (l.instance IS NULL OR l.instance = n.instance))"
            " OR EXISTS (SELECT FROM new_values n JOIN crf_lock l ON l.site_id = n.site_id"
            " WHERE l.unlocked_at IS NULL AND l.record_id IS NULL)"
            " OR EXISTS (SELECT FROM new_values n WHERE n.locked)"
            f" THEN {_REFUSE} END IF; RETURN NULL;"
        ),
    )


_WAIT_FOR_WHO_LOCKS_THE_SITE = (
    "PERFORM FROM registry_site WHERE code IN (SELECT site_id FROM new_values) ORDER BY code FOR KEY SHARE; "
)


def _changes_drop_attestations(form: "type[Form]") -> Iterator[pgtrigger.Trigger]:
    columns = [column for field in form._meta.local_fields if (column := field.column) not in BESIDE_THE_VALUES]
    changed = " OR ".join(f'OLD."{column}" IS DISTINCT FROM NEW."{column}"' for column in columns)
    yield pgtrigger.Trigger(
        name="changes_drop_attestations",
        operation=pgtrigger.Update,
        when=pgtrigger.After,
        condition=pgtrigger.Condition(changed),
        func=_drop(form, after="to_jsonb(NEW)", patients="OLD.record_id, NEW.record_id"),
    )
    yield pgtrigger.Trigger(
        name="deletion_drops_attestations",
        operation=pgtrigger.Delete,
        when=pgtrigger.After,
        func=_drop(form, after="NULL", patients="OLD.record_id"),
    )


def _drop(form: "type[Form]", *, after: str, patients: str) -> pgtrigger.Func:
    name = form.form_name()
    there = " OR ".join(
        f"EXISTS (SELECT FROM {table} WHERE record_id IN ({patients}) AND form = '{name}'"
        " AND instance = OLD.instance AND dropped_at IS NULL)"
        for table in ("crf_verification", "crf_signature")
    )
    return pgtrigger.Func(
        f"IF {there} THEN PERFORM crf_drop_attestations('{name}', to_jsonb(OLD), {after}); END IF; RETURN NULL;"
    )
