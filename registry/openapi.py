"""The OpenAPI document, made from what the views say of themselves.

A view describes each of its methods with an `Operation` in plain JSON Schema, because its fields come from the forms
and not from serializers. drf-spectacular does the rest.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter

from registry.problems import CONTENT_TYPE

JSON = "application/json"


@dataclass(frozen=True)
class Component:
    """A named schema of the document."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Operation:
    """What one method of a view takes and gives. `responses` has a schema for each status, None for no body.

    `request` is the schema of a JSON body, `uploads` are those of bodies of other types.
    """

    summary: str
    responses: Mapping[int, Component | Mapping[str, Any] | None]
    request: Component | Mapping[str, Any] | None = None
    parameters: tuple[OpenApiParameter, ...] = ()
    content_types: tuple[str, ...] = (JSON,)
    uploads: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problems: tuple[int, ...] = field(default=(400, 401, 403, 404))


NULLABLE_TEXT = {"type": ["string", "null"]}
PROBLEM = Component(
    "Problem",
    {
        "type": "object",
        "description": "RFC 9457 problem details; `errors` says what is wrong with each field.",
        "required": ["type", "title", "status", "code", "detail", "errors"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string"},
            "detail": {"type": "string"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["form", "record_id", "instance", "field", "code", "message"],
                    "properties": {
                        "form": NULLABLE_TEXT,
                        "record_id": NULLABLE_TEXT,
                        "instance": {"type": ["integer", "null"]},
                        "field": NULLABLE_TEXT,
                        "code": {"type": "string"},
                        "message": {"type": "string"},
                    },
                },
            },
        },
    },
)


def header(name: str, description: str, *, required: bool = False) -> OpenApiParameter:
    """Return a request header."""
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, required=required, description=description)


def parameter(name: str, description: str, kind: type = str) -> OpenApiParameter:
    """Return a parameter of the query string."""
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=description)


IDEMPOTENCY_KEY = header("Idempotency-Key", "A repeat with the same key and body gets the first answer.")


def listing(items: Component | Mapping[str, Any], *, ref: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of a cursor page of `items`."""
    link = {"type": ["string", "null"], "format": "uri"}
    schema = ref if ref is not None else items.schema if isinstance(items, Component) else items
    results = {"type": "array", "items": schema}
    properties = {"next": link, "previous": link, "results": results}
    return {"type": "object", "required": ["next", "previous", "results"], "properties": properties}


class ApiSchema(AutoSchema):
    """Reads the `Operation` of a view's method, where it gives one; else leaves it to drf-spectacular."""

    @property
    def described(self) -> Operation | None:
        """What the view says of the method at hand."""
        describe = getattr(self.view, "operation", None)
        found: Operation | None = describe(self.method.lower()) if describe else None
        return found

    def get_operation_id(self) -> str:
        """Return method, view and form: `get_instance_list_dosing`."""
        form = getattr(self.view, "form", None)
        view = re.sub(r"(?<!^)(?=[A-Z])", "_", type(self.view).__name__).lower()
        return "_".join(filter(None, (self.method.lower(), view, form.form_name() if form else "")))

    def get_summary(self) -> str | None:
        """Return one line on what the call does."""
        return self.described.summary if self.described else super().get_summary()

    def get_description(self) -> str:  # type: ignore[override]  # as drf-spectacular has it, REST framework not
        """Return what the view says of itself, and what the call needs of its caller."""
        need = getattr(self.view, "needs", {}).get(self.method.lower())
        return "\n\n".join(filter(None, (super().get_description(), str(need) if need else "")))

    def get_request_serializer(self) -> Any:
        """Return the schema of the body."""
        if self.described is None:
            return super().get_request_serializer()
        taken = {JSON: self._schema(self.described.request)} if self.described.request else {}
        return {**taken, **self.described.uploads} or None

    def get_response_serializers(self) -> Any:
        """Return the schema of each answer, the problems included."""
        if self.described is None:
            return super().get_response_serializers()
        answers: dict[Any, Any] = {}
        for status, schema in self.described.responses.items():
            answers[(status, *self.described.content_types) if schema else status] = self._schema(schema)
        for status in sorted({*self.described.problems, 401, 403, 429}):
            answers[(status, CONTENT_TYPE)] = self._schema(PROBLEM)
        return answers

    def get_override_parameters(self) -> list[Any]:
        """Return headers and parameters."""
        return list(self.described.parameters) if self.described else super().get_override_parameters()

    def get_filter_backends(self) -> list[Any]:
        """Return none: parameters are described by the view."""
        return []

    def _schema(self, schema: Component | Mapping[str, Any] | None) -> Any:
        if not isinstance(schema, Component):
            return dict(schema) if schema is not None else None
        found = ResolvedComponent(
            name=schema.name, type=ResolvedComponent.SCHEMA, schema=dict(schema.schema), object=schema.name
        )
        self.registry.register_on_missing(found)
        return found.ref


class BearerScheme(OpenApiAuthenticationExtension):
    """`Authorization: Bearer TOKEN` in the document."""

    target_class = "registry.api.BearerAuthentication"
    name = "token"

    def get_security_definition(self, _auto_schema: Any) -> dict[str, str]:
        """Return the scheme."""
        return {"type": "http", "scheme": "bearer"}


class BrowserScheme(OpenApiAuthenticationExtension):
    """The session cookie in the document."""

    target_class = "registry.api.BrowserAuthentication"
    name = "session"

    def get_security_definition(self, _auto_schema: Any) -> dict[str, str]:
        """Return the scheme."""
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
