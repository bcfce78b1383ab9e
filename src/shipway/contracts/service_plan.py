"""What a plan for a service says: entities, models, operations and their behaviours, checks, doubts.

Made from an OpenAPI document by the plan agent, read by the scaffold template, the e2e gate and
people. Everything that the template needs stands here; it never reads the document itself.
Names: ``name`` is the word on the wire, ``attr`` the safe Python identifier for it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from shipway.contracts.change_plan import Ambiguity
from shipway.contracts.model import Model, Sha256
from shipway.contracts.plan import Unimplemented

FieldType = Literal[
    "string", "integer", "number", "boolean", "date", "datetime", "time", "uuid", "email", "uri",
    "enum", "object", "array", "any",
]
Behaviour = Literal["create", "list", "read", "replace", "patch", "delete", "unimplemented"]


class Limits(Model):
    """JSON Schema constraints of one field, as the document states them."""

    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    minimum: float | int | None = None
    maximum: float | int | None = None
    exclusive_minimum: float | int | None = None
    exclusive_maximum: float | int | None = None
    multiple_of: float | int | None = None
    min_items: int | None = None
    max_items: int | None = None
    unique_items: bool = False


class Reference(Model):
    """A field that holds the key of another entity; ``on_delete`` of that entity's row."""

    entity: str
    field: str
    on_delete: Literal["refuse", "cascade", "clear"] = "refuse"


class FieldPlan(Model):
    """One property. ``items`` describes an array's element, ``model`` names a nested object's model.

    ``server``: filled by the service, never by the client: key (generated identifier), created,
    updated (timestamps), none.
    """

    name: str
    attr: str
    type: FieldType
    required: bool
    nullable: bool = False
    read_only: bool = False
    write_only: bool = False
    enum: list[JsonValue] = Field(default_factory=list)
    default: JsonValue = None
    has_default: bool = False
    limits: Limits = Limits()
    items: FieldPlan | None = None
    model: str | None = None
    description: str = ""
    server: Literal["key", "created", "updated", "none"] = "none"


class ModelPlan(Model):
    """One wire model (request or response body, nested object, page)."""

    name: str
    fields: list[FieldPlan]
    extra: Literal["forbid", "ignore", "allow"] = "ignore"
    min_properties: int | None = None
    description: str = ""


class ColumnPlan(Model):
    """One stored column of an entity."""

    field: FieldPlan
    column: str
    unique: bool = False
    index: bool = False
    reference: Reference | None = None


class UniqueRule(Model):
    """No two rows agree on ``columns`` (while ``while_field`` has one of ``while_values``, if given)."""

    columns: list[str]
    while_field: str | None = None
    while_values: list[JsonValue] = Field(default_factory=list)
    reason: str


class EntityPlan(Model):
    """A thing with a life of its own; ``key`` is the column of its identifier."""

    name: str
    attr: str
    table: str
    key: str
    key_kind: Literal["uuid", "integer", "client"]
    columns: list[ColumnPlan]
    unique: list[UniqueRule] = Field(default_factory=list)
    parent: Reference | None = None
    description: str = ""


class ParameterPlan(Model):
    """One path, query or header parameter; ``type`` and limits in ``field``."""

    location: Literal["path", "query", "header"]
    field: FieldPlan
    role: Literal["key", "parent", "filter", "limit", "offset", "page", "cursor", "sort", "ignored"]
    column: str | None = None
    comparison: Literal["eq", "ne", "contains", "prefix", "lt", "le", "gt", "ge", "in"] = "eq"


class PagePlan(Model):
    """How a list answers: a bare array, or an object with the items and what surrounds them."""

    style: Literal["none", "offset", "page", "cursor"]
    items: str | None = None
    total: str | None = None
    echo: dict[str, str] = Field(default_factory=dict)
    default_limit: int = 50
    max_limit: int = 200


class ErrorPlan(Model):
    """One error answer; ``declared`` is False when only the overlay adds it."""

    status: int
    reason: Literal[
        "invalid", "unauthorised", "not_found", "conflict", "reference", "unimplemented",
        "forbidden", "other",
    ]
    media_type: str = "application/problem+json"
    model: str | None = None
    declared: bool = True


class OperationPlan(Model):
    """One operation of the document and the behaviour that implements it.

    ``security`` lists alternatives, each a list of scheme ids that are all needed; empty is open.
    """

    id: str
    attr: str
    method: Literal["get", "post", "put", "patch", "delete", "head", "options", "trace"]
    path: str
    summary: str = ""
    tags: list[str] = Field(default_factory=list)
    behaviour: Behaviour
    entity: str | None = None
    parameters: list[ParameterPlan] = Field(default_factory=list)
    request_model: str | None = None
    request_media_type: str | None = None
    request_required: bool = False
    success: int
    response_model: str | None = None
    response_media_type: str | None = None
    response_headers: list[str] = Field(default_factory=list)
    page: PagePlan | None = None
    errors: list[ErrorPlan] = Field(default_factory=list)
    security: list[list[str]] = Field(default_factory=list)
    reason: str | None = None


class SecurityScheme(Model):
    """How a client proves itself; ``setting`` names the variable with the accepted secrets."""

    id: str
    attr: str
    kind: Literal["api_key", "basic", "bearer"]
    location: Literal["header", "query", "cookie"] = "header"
    name: str = "Authorization"
    setting: str


class Check(Model):
    """One acceptance flow in words and as steps over operations; values come from the document."""

    id: str
    title: str
    operations: list[str]
    kind: Literal[
        "create_read", "list_contains", "replace", "patch", "delete", "unique", "reference",
        "not_found", "invalid", "unauthorised", "filter", "page", "nested", "unimplemented",
        "persists",
    ]


class ServicePlan(Model):
    """The whole plan. ``overlay`` is an OpenAPI Overlay-like list of additive error answers."""

    format: Literal[1] = 1
    name: str
    package: str
    title: str
    version: str
    description: str = ""
    document_sha256: Sha256
    openapi: Literal["3.0", "3.1"]
    prefix: str = ""
    entities: list[EntityPlan]
    models: list[ModelPlan]
    operations: list[OperationPlan]
    security_schemes: list[SecurityScheme] = Field(default_factory=list)
    checks: list[Check] = Field(default_factory=list)
    ambiguities: list[Ambiguity] = Field(default_factory=list)
    unimplemented: list[Unimplemented] = Field(default_factory=list)
    overlay: list[dict[str, JsonValue]] = Field(default_factory=list)
    samples: dict[str, list[dict[str, JsonValue]]] = Field(default_factory=dict)
