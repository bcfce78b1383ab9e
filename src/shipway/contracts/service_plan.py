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
    "string",
    "integer",
    "number",
    "boolean",
    "date",
    "datetime",
    "time",
    "uuid",
    "email",
    "uri",
    "enum",
    "object",
    "array",
    "any",
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
    """A column that holds the key of another entity: ``field`` is that entity's key column.

    ``on_delete`` says what becomes of this row when that one is deleted.
    """

    entity: str
    field: str
    on_delete: Literal["refuse", "cascade", "clear"] = "refuse"
    reason: str = ""


class FieldPlan(Model):
    """One property. ``items`` describes an array's element, ``model`` names a nested object's model.

    ``server``: filled by the service, never by the client: key (generated identifier), created,
    updated (timestamps), none. ``format`` is the document's own word where ``type`` does not say
    it (ipv4, hostname, int64). An ``object`` has a ``model``, or ``values`` (a map from any name
    to such a value), or neither (any object). ``json_schema`` belongs to type ``any``: a
    self-contained JSON Schema that the stored value must satisfy.
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
    values: FieldPlan | None = None
    format: str | None = None
    json_schema: dict[str, JsonValue] | None = None
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
    """One stored column of an entity; ``column`` is its SQL name and what others refer to.

    ``field.required`` here means: every row has a value. ``field.default`` is what a row gets
    when the client says nothing.
    """

    field: FieldPlan
    column: str
    unique: bool = False
    index: bool = False
    reference: Reference | None = None


class UniqueRule(Model):
    """No two rows agree on ``columns`` (while column ``while_field`` has one of ``while_values``).

    Without ``while_field`` it always holds. Rows with null in ``columns`` never collide; null among
    ``while_values`` means "has no value". ``reason`` says where in the document the rule stands.
    """

    columns: list[str]
    while_field: str | None = None
    while_values: list[JsonValue] = Field(default_factory=list)
    reason: str


class EntityPlan(Model):
    """A thing with a life of its own; ``key`` is the column of its identifier.

    ``key_kind``: the service generates a uuid or counts integers, or the client chooses the key (in
    the body of a create, or in the path of a replace that creates). ``parent`` is set when rows are
    created below another entity's path; ``parent_column`` is the column filled from that path. It
    may be a column that no model shows.
    """

    name: str
    attr: str
    table: str
    key: str
    key_kind: Literal["uuid", "integer", "client"]
    columns: list[ColumnPlan]
    unique: list[UniqueRule] = Field(default_factory=list)
    parent: Reference | None = None
    parent_column: str | None = None
    description: str = ""


class SortKey(Model):
    """One value of a sort parameter and the order it asks for."""

    value: str
    column: str
    descending: bool = False


class ParameterPlan(Model):
    """One path, query or header parameter; ``type`` and limits in ``field``.

    A filter compares ``column``, or asks whether any of ``columns`` fits. ``sort`` lists what a sort
    parameter may say; ``direction`` is a second parameter that says ascending or descending (by a
    value that starts with "asc" or "desc"). ``ignored``: its value is checked like all others, but
    has no effect; the plan's ambiguities say so. ``style`` is how an array is written in a query:
    repeated name, or one value joined by comma, space or pipe.
    """

    location: Literal["path", "query", "header"]
    field: FieldPlan
    role: Literal[
        "key",
        "parent",
        "filter",
        "limit",
        "offset",
        "page",
        "cursor",
        "sort",
        "direction",
        "ignored",
    ]
    column: str | None = None
    columns: list[str] = Field(default_factory=list)
    sort: list[SortKey] = Field(default_factory=list)
    style: Literal["repeat", "comma", "space", "pipe"] = "repeat"
    comparison: Literal["eq", "ne", "contains", "prefix", "lt", "le", "gt", "ge", "in"] = "eq"


class PagePlan(Model):
    """How a list answers: a bare array (``items`` is None), or an object around the items.

    ``total`` and the keys of ``echo`` are wire names, dotted where nested ("meta.total"). ``echo``
    says what each other member holds: limit, offset, page, pages, count (items on this page),
    next_cursor (null on the last page), has_more. ``first_page`` is the number of the first page.
    A style other than none always has a parameter with role limit or one of offset, page, cursor.
    """

    style: Literal["none", "offset", "page", "cursor"]
    items: str | None = None
    total: str | None = None
    echo: dict[str, str] = Field(default_factory=dict)
    default_limit: int = 50
    max_limit: int = 200
    first_page: int = 1


class ErrorPlan(Model):
    """One error answer; ``declared`` is False when only the overlay adds it.

    Look errors up by ``reason``; two reasons may share one status. ``model`` None means problem
    details (RFC 9457). Else ``fill`` says what each member of that model holds (dotted where
    nested): type, title, status, detail, instance, code (a word for the reason), timestamp, path,
    errors (a list whose members ``errors[].x`` hold field or message).
    """

    status: int
    reason: Literal[
        "invalid",
        "unauthorised",
        "not_found",
        "conflict",
        "reference",
        "unimplemented",
        "forbidden",
        "other",
    ]
    media_type: str = "application/problem+json"
    model: str | None = None
    declared: bool = True
    fill: dict[str, str] = Field(default_factory=dict)
    description: str = ""


class OperationPlan(Model):
    """One operation of the document and the behaviour that implements it.

    ``path`` is as in the document; the service answers at the plan's ``prefix`` + ``path``.
    ``security`` lists alternatives, each a list of scheme ids that are all needed; no alternatives,
    or one that is empty, means open. ``created`` is the status when a replace creates (else it
    never does). ``response_headers`` are Location (of the new row) and X-Total-Count (of a list).
    ``response_model`` is the item's model for a list. ``default_sort`` orders a list unless a
    parameter says otherwise; after it, and without it, lists are in order of creation.
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
    created: int | None = None
    response_model: str | None = None
    response_media_type: str | None = None
    response_headers: list[str] = Field(default_factory=list)
    page: PagePlan | None = None
    default_sort: list[SortKey] = Field(default_factory=list)
    errors: list[ErrorPlan] = Field(default_factory=list)
    security: list[list[str]] = Field(default_factory=list)
    reason: str | None = None


class SecurityScheme(Model):
    """How a client proves itself; ``setting`` names the variable with the accepted secrets.

    Accepted secrets are separated by commas; for basic each is ``user:password``.
    """

    id: str
    attr: str
    kind: Literal["api_key", "basic", "bearer"]
    location: Literal["header", "query", "cookie"] = "header"
    name: str = "Authorization"
    setting: str


class Check(Model):
    """One acceptance flow in words and as steps over operations; values come from ``samples``.

    ``operations`` are the ids to call, in order: what creates a row first (rows that it refers to
    are created before), then what is checked, then what shows the effect. ``columns`` are those of
    the unique rule or reference that is broken on purpose; ``parameter`` the filter that is used.
    """

    id: str
    title: str
    operations: list[str]
    columns: list[str] = Field(default_factory=list)
    parameter: str | None = None
    kind: Literal[
        "create_read",
        "list_contains",
        "replace",
        "patch",
        "delete",
        "unique",
        "reference",
        "not_found",
        "invalid",
        "unauthorised",
        "filter",
        "page",
        "nested",
        "unimplemented",
        "persists",
    ]


class ServicePlan(Model):
    """The whole plan. ``overlay`` is an OpenAPI Overlay-like list of additive error answers.

    ``samples`` has, per operation id, request bodies that the operation accepts: for a create two or
    three that differ in everything that must be unique, for replace and patch one or two that change
    something. A body holds a well-formed placeholder in every column with a ``reference``: put in
    the key of a row that was created first. ``<operation id>#path`` has two sets of well-formed path
    values: keys that the client chooses, or keys of rows that are not there; ``<operation id>#query``
    has one set of query values that are accepted.
    """

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
