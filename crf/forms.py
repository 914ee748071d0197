"""What a form is: a Django model, declared once, from which every door and every output is derived.

A form is a subclass of `RepeatingForm` in its own file of `crf/models/` (or of another app). Its variables are the
fields of `crf.fields`; its edit checks stand beside them as `hard_checks` and `soft_checks`. Nothing else names it:
the database constraints, history table, REST addresses, dictionary, codebook and workbook are made from the class.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import pgtrigger
from django.apps import apps
from django.db import models
from django.db.models import Q
from django.db.models.base import ModelBase
from django.db.models.constraints import BaseConstraint
from django.db.models.functions import Now

from crf.constraints import OfPatientAtSite, patient_key, site_key
from crf.fields import Variable
from crf.guards import guards_of
from crf.logic import Logic, parse
from registry.history import keep_history
from registry.models import Site
from registry.rights import Caller, Right
from registry.row_security import OF_A_SITE, Access

if TYPE_CHECKING:
    from crf.checks import Check, Derived


class Status(models.IntegerChoices):
    """How far the entry of a form has come (REDCap's form status)."""

    INCOMPLETE = 0, "incomplete"
    UNVERIFIED = 1, "unverified"
    COMPLETE = 2, "complete"


class MissingReason(models.TextChoices):
    """Why a variable has no value."""

    UNKNOWN = "UNK", "Unknown"
    NOT_ASKED = "NASK", "Not asked"
    NOT_AVAILABLE = "NAV", "Not available"
    NOT_APPLICABLE = "NA", "Not applicable"


class FormBase(ModelBase):
    """Completes a form class: constraints from its variables, history, list of changed charts, and guards."""

    def __new__(mcs, name: str, bases: tuple[type, ...], attrs: dict[str, Any], **kwargs: Any) -> Any:
        """Return the form; an abstract one is returned as written."""
        meta = attrs.get("Meta")
        if getattr(meta, "abstract", False):
            return super().__new__(mcs, name, bases, attrs, **kwargs)
        attrs["Meta"] = _completed(meta, name=snake_case(name), attrs=attrs, bases=bases)
        form: Any = super().__new__(mcs, name, bases, attrs, **kwargs)
        keep_history(form)
        for operation in (pgtrigger.Insert, pgtrigger.Update, pgtrigger.Delete):
            pgtrigger.register(_notes_changed_charts(operation))(form)
        pgtrigger.register(*guards_of(form))(form)
        return form


def _completed(meta: type | None, *, name: str, attrs: Mapping[str, Any], bases: tuple[type, ...]) -> type:
    """Return `meta` with the constraints and indexes that the declaration of the form implies."""
    implied: list[BaseConstraint] = [
        constraint
        for variable, field in attrs.items()
        if isinstance(field, Variable)
        for constraint in field.constraints(variable)
    ]
    for base in bases:
        if hasattr(base, "implied_constraints"):
            implied += base.implied_constraints(name)
    own = list(getattr(meta, "constraints", ()))
    indexes = [index for base in bases if hasattr(base, "implied_indexes") for index in base.implied_indexes(name)]
    completed = {
        "constraints": implied + own,
        "indexes": indexes + list(getattr(meta, "indexes", ())),
        "default_permissions": (),
    }
    return type("Meta", (meta,) if meta else (), completed)


def _notes_changed_charts(operation: pgtrigger.Operation) -> pgtrigger.Composer:
    """Return the trigger that lists the patients whose rows a statement changed, whichever way it came.

    The endpoints of those patients are stale until a worker has taken them from the list.
    """
    tables = {pgtrigger.Insert: ["new_values"], pgtrigger.Delete: ["old_values"]}.get(
        operation, ["old_values", "new_values"]
    )
    rows = " UNION ".join(f"SELECT record_id, site_id FROM {table}" for table in tables)  # noqa: S608 -- two constants
    body = f"INSERT INTO crf_chartchange (record_id, site_id) {rows}; RETURN NULL;"
    name = f"chart_changes_on_{operation}".lower()
    return pgtrigger.Composer(
        name=name, operation=operation, level=pgtrigger.Statement, when=pgtrigger.After, func=pgtrigger.Func(body)
    )


class FormQuerySet(models.QuerySet[Any]):
    """Entries of one form."""

    def visible_to(self, caller: Caller) -> "FormQuerySet":
        """Return the entries that `caller` may read: those of their sites, without the deleted ones."""
        return self.filter(site_id__in=caller.sites_with(Right.READ), deleted_at__isnull=True)


class Form(models.Model, metaclass=FormBase):
    """What every entry of every form has beside its variables."""

    access: ClassVar[Access] = OF_A_SITE
    order: ClassVar[int]
    """Place among the forms in dictionary and workbook, ascending."""
    repeating: ClassVar[bool] = False
    hard_checks: ClassVar[Sequence["Check"]] = ()
    soft_checks: ClassVar[Sequence["Check"]] = ()
    derived: ClassVar[Sequence["Derived"]] = ()

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+", db_index=False)
    instance = models.PositiveSmallIntegerField(default=1)
    status = models.PositiveSmallIntegerField(choices=Status.choices, default=Status.INCOMPLETE)
    version = models.PositiveIntegerField(default=1)
    missing = models.JSONField(default=dict)
    locked = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[FormQuerySet] = FormQuerySet.as_manager()  # type: ignore[assignment]  # a manager has its queryset's methods

    class Meta:
        abstract = True

    @classmethod
    def implied_constraints(cls, name: str) -> list[BaseConstraint]:
        """Return the constraints that every form has."""
        return [
            models.CheckConstraint(name=f"{name}_status_is_known", condition=Q(status__in=Status.values)),
            models.CheckConstraint(name=f"{name}_instance_counts_from_1", condition=Q(instance__gte=1)),
        ]

    @classmethod
    def implied_indexes(cls, name: str) -> list[models.Index]:
        """Return the indexes that every form has: how far a site has come is told without reading the rows."""
        patient = "patient" if cls.repeating else "record_id"
        there = Q(deleted_at__isnull=True)
        return [
            models.Index(fields=["site", patient, "status", "locked"], condition=there, name=f"{name[:22]}_of_site"),
            models.Index(
                fields=["site", patient, "instance"],
                condition=there & Q(status__lt=Status.COMPLETE),
                name=f"{name[:19]}_unfinished",
            ),
            models.Index(
                fields=["site", "deleted_at"], condition=Q(deleted_at__isnull=False), name=f"{name[:22]}_deleted"
            ),
        ]

    @classmethod
    def form_name(cls) -> str:
        """Return the instrument name: the class name in small letters, `adverse_event`."""
        return snake_case(cls.__name__)

    @classmethod
    def title(cls) -> str:
        """Return the name of the form for people: "Adverse event"."""
        return str(cls._meta.verbose_name).capitalize()

    @classmethod
    def variables(cls) -> Mapping[str, Variable]:
        """Return the variables by name, in the order of their declaration."""
        return _variables(cls)


class RepeatingForm(Form):
    """A form that a patient can have any number of, each an instance numbered from 1."""

    repeating: ClassVar[bool] = True

    site = site_key()
    patient = patient_key()

    class Meta:
        abstract = True

    @classmethod
    def implied_constraints(cls, name: str) -> list[BaseConstraint]:
        """Return the constraints of every repeating form."""
        return [
            *super().implied_constraints(name),
            models.UniqueConstraint(
                fields=["patient", "instance"], name=f"{name}_instance_is_unique", violation_error_code="entry_exists"
            ),
            OfPatientAtSite(name=f"{name}_is_at_the_site_of_its_patient"),
        ]


@cache
def snake_case(name: str) -> str:
    """Return a class name as instrument name: AdverseEvent is adverse_event."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@cache
def _variables(form: type[Form]) -> Mapping[str, Variable]:
    return {field.name: field for field in form._meta.local_fields if isinstance(field, Variable)}


@cache
def blank_values(form: type[Form]) -> dict[str, Any]:
    """Return an entry of `form` without a value: None for each variable. To be copied, not to be changed."""
    return dict.fromkeys(form.variables())


@cache
def all_forms() -> tuple[type[Form], ...]:
    """Return every form of every installed app, the patient form first."""
    forms = [model for model in apps.get_models() if issubclass(model, Form)]
    return tuple(sorted(forms, key=lambda form: form.order))


@cache
def forms_by_name() -> Mapping[str, type[Form]]:
    """Return the forms by instrument name."""
    return {form.form_name(): form for form in all_forms()}


@cache
def repeating_forms() -> tuple[type[RepeatingForm], ...]:
    """Return every form but the patient form."""
    return tuple(form for form in all_forms() if issubclass(form, RepeatingForm))


@cache
def patient_form() -> type[Form]:
    """Return the form that makes a patient: the one that does not repeat."""
    (patient,) = [form for form in all_forms() if not form.repeating]
    return patient


@cache
def branching(form: type[Form]) -> Mapping[str, Logic]:
    """Return the branching logic of the variables of `form` that are not always shown."""
    return {name: parse(variable.show_if) for name, variable in form.variables().items() if variable.show_if}
