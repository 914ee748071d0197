"""Constraints that PostgreSQL keeps and Django has no words for."""

from typing import Any

from django.contrib.postgres.fields import DateRangeField
from django.db import models
from django.db.models import BigIntegerField, Func, Value
from django.db.models.constraints import BaseConstraint

from registry.models import Site


def site_key() -> Any:
    """Return the field `site` of a row that belongs to a patient.

    The pair (record id, site) is one foreign key, made by OfPatientAtSite: neither half needs its own.
    """
    return models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)


def patient_key(*, null: bool = False) -> Any:
    """Return the field `patient` (column `record_id`) of a row that belongs to one; see `site_key`."""
    return models.ForeignKey(
        "crf.Patient",
        to_field="record_id",
        db_column="record_id",
        null=null,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )


class Period(Func):
    """The days from a first to a last one, both included; without a last day it goes on."""

    function = "DATERANGE"
    output_field = DateRangeField()


class SamePatient(Func):
    """A patient as a 64-bit number, to be compared in an exclusion constraint.

    GiST finds a number five times faster than a text. Two patients share one by chance once in 10^19 pairs.
    """

    function = "HASHTEXTEXTENDED"
    output_field = BigIntegerField()

    def __init__(self, patient: str) -> None:
        super().__init__(patient, Value(0))

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """Return how a migration makes it."""
        return f"{__name__}.SamePatient", ("patient",), {}


class OfPatientAtSite(BaseConstraint):
    """Foreign key on the pair (record id, site): an entry can only be at the site of its patient.

    When a patient is renamed or moves to another site, the entries follow.
    """

    TEMPLATE = (
        "CONSTRAINT {name} FOREIGN KEY (record_id, site_id)"
        " REFERENCES crf_patient (record_id, site_id) ON UPDATE CASCADE"
    )

    def constraint_sql(self, model: type[models.Model] | None, schema_editor: Any) -> str:
        """Return the clause inside CREATE TABLE."""
        return self.TEMPLATE.format(name=schema_editor.quote_name(self.name))

    def create_sql(self, model: type[models.Model] | None, schema_editor: Any) -> str:
        """Return the statement that adds it."""
        table = schema_editor.quote_name(model._meta.db_table if model else "")
        return f"ALTER TABLE {table} ADD {self.constraint_sql(model, schema_editor)}"

    def remove_sql(self, model: type[models.Model] | None, schema_editor: Any) -> str:
        """Return the statement that drops it."""
        table = schema_editor.quote_name(model._meta.db_table if model else "")
        return f"ALTER TABLE {table} DROP CONSTRAINT {schema_editor.quote_name(self.name)}"

    def validate(self, *_args: Any, **_kwargs: Any) -> None:
        """Leave it to the database: entries are saved by the entry service, which has the patient at hand."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OfPatientAtSite) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)
