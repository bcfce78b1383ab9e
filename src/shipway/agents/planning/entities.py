"""Makes entities of the things a document keeps: their columns, their keys and who fills what."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from shipway.agents.planning.doubts import Doubts, NotPlannable
from shipway.agents.planning.fields import Models
from shipway.agents.planning.places import success
from shipway.agents.planning.resources import Thing
from shipway.contracts.service_plan import FieldPlan, Reference, UniqueRule
from shipway.specs.document import Document, Node, Operation
from shipway.specs.names import Names, column, folded, singular, snake
from shipway.specs.shapes import Shape, shape

_CREATED = frozenset(
    "created createdat createdon createddate creationdate creationtime datecreated timecreated "
    "insertedat registeredat addedat createtime".split()
)
_UPDATED = frozenset(
    "updated updatedat updatedon updateddate dateupdated timeupdated modified modifiedat modifiedon "
    "lastmodified lastmodifiedat lastupdated lastupdatedat changedat updatetime".split()
)
KeyKind = Literal["uuid", "integer", "client"]


@dataclass(slots=True)
class Column:
    """A column while the plan is made; ``wire`` is the property's name, "" for a hidden one."""

    wire: str
    name: str
    field: FieldPlan
    shape: Shape | None
    unique: bool = False
    reference: Reference | None = None


@dataclass
class Entity:
    """An entity while the plan is made; ``columns`` by wire name (or by column name if hidden).

    ``impossible`` says, by wire name, why a property that answers must have cannot be filled.
    """

    name: str
    attr: str
    table: str
    thing: Thing
    key: str
    key_kind: KeyKind
    columns: dict[str, Column] = field(default_factory=dict)
    unique: list[UniqueRule] = field(default_factory=list)
    impossible: dict[str, str] = field(default_factory=dict)
    parent: Reference | None = None
    parent_column: str | None = None
    description: str = ""

    @property
    def key_column(self) -> Column:
        return next(one for one in self.columns.values() if one.name == self.key)

    def column_of(self, wire: str) -> Column | None:
        return self.columns.get(wire)

    @cached_property
    def words(self) -> frozenset[str]:
        """Names that people may use for it, without case and separators."""
        word = folded(self.thing.word)
        return frozenset({folded(self.name), word, singular(word)})


class EntityMaker:
    """Makes one entity at a time; shares names and models with the whole plan."""

    def __init__(self, document: Document, models: Models, doubts: Doubts, tables: Names) -> None:
        self._document = document
        self._models = models
        self._doubts = doubts
        self._tables = tables

    def make(self, thing: Thing) -> Entity:
        """The entity with its columns and key; references and rules are found later."""
        properties, creating = self._properties(thing)
        entity = Entity(
            name=thing.name,
            attr=snake(thing.name),
            table=self._tables.unique(column(thing.word)),
            thing=thing,
            key="",
            key_kind="uuid",
            description=shape(self._document, thing.shown[0]).description if thing.shown else "",
        )
        attributes, names = Names(), Names()
        for wire, node in properties.items():
            self._add(entity, wire, node, attributes, names)
        self._choose_key(entity, creating, attributes, names)
        for one in entity.columns.values():
            self._choose_source(entity, one, creating)
        return entity

    def _properties(self, thing: Thing) -> tuple[dict[str, Node], list[Shape]]:
        """Every property with the schema that says most, and the shapes that rows are created from."""
        merged: dict[str, Node] = {}
        for node in thing.shown:
            for wire, one in shape(self._document, node).properties.items():
                merged.setdefault(wire, one)
        creating = []
        # Requests say more than answers: their limits are what a row was checked against.
        for operation, node in sorted(thing.told.values(), key=lambda one: _rank(one[0])):
            form = shape(self._document, node)
            if operation.method == "post" or _may_create(self._document, operation):
                creating.append(form)
            for wire, one in form.properties.items():
                known = merged.get(wire)
                if known is None or not shape(self._document, one).read_only:
                    merged[wire] = one
        order = list(merged)
        return {wire: merged[wire] for wire in order}, creating

    def _add(self, entity: Entity, wire: str, node: Node, attributes: Names, names: Names) -> None:
        try:
            plan = self._models.field(wire, node, False, "response", entity.name, attributes)
        except NotPlannable as why:
            entity.impossible[wire] = str(why)
            return
        form = shape(self._document, node)
        entity.columns[wire] = Column(wire, names.unique(column(wire)), plan, form)

    def _choose_key(
        self, entity: Entity, creating: list[Shape], attributes: Names, names: Names
    ) -> None:
        parameter = self._key_parameter(entity.thing)
        wire = _key_property(entity, parameter[0] if parameter else None)
        if wire is None:
            self._hidden_key(entity, parameter, attributes, names)
            return
        chosen = entity.columns[wire]
        entity.key = chosen.name
        entity.key_kind = self._key_kind(entity, chosen, creating)
        server: Literal["key", "none"] = "none" if entity.key_kind == "client" else "key"
        chosen.field = chosen.field.model_copy(
            update={"required": True, "nullable": False, "server": server, "has_default": False,
                    "default": None}
        )  # fmt: skip
        chosen.unique = True

    def _key_parameter(self, thing: Thing) -> tuple[str, Shape] | None:
        for resource in thing.resources:
            for operation, where in resource.places:
                if where.kind != "item":
                    continue
                for node in operation.parameters:
                    value = self._document.resolve(node)
                    if value.value.get("in") == "path" and value.value.get("name") == where.key:
                        schema = value.get("schema") or Node({}, value.pointer)
                        return str(where.key), shape(self._document, schema)
        return None

    def _hidden_key(
        self,
        entity: Entity,
        parameter: tuple[str, Shape] | None,
        attributes: Names,
        names: Names,
    ) -> None:
        """No property holds the key: it is only ever seen in paths."""
        word, form = parameter or ("id", Shape(""))
        kind: KeyKind = "integer" if form.type == "integer" else "uuid"
        creates = any(
            operation.method == "put" and _may_create(self._document, operation)
            for operation, _ in entity.thing.told.values()
        )
        entity.key_kind = "client" if creates else kind
        entity.key = names.unique(column(word))
        plan = FieldPlan(
            name=word,
            attr=attributes.unique(snake(word)),
            type="integer"
            if form.type == "integer"
            else "uuid"
            if form.format == "uuid"
            else "string",
            required=True,
            read_only=True,
            server="none" if creates else "key",
        )
        entity.columns[""] = Column("", entity.key, plan, None, unique=True)
        if parameter is not None and not creates:
            self._doubts.note(
                entity.thing.resources[0].path,
                f"No property of {entity.name} holds its key {word!r}. How does a client learn it?",
                "From the Location header of a create.",
            )

    def _key_kind(self, entity: Entity, chosen: Column, creating: list[Shape]) -> KeyKind:
        wire = chosen.wire
        by_path = any(
            operation.method == "put" and _may_create(self._document, operation)
            for operation, _ in entity.thing.told.values()
        )
        offered = [form for form in creating if wire in form.properties]
        settable = [
            form for form in offered if not shape(self._document, form.properties[wire]).read_only
        ]
        if by_path or any(wire in form.required for form in settable):
            return "client"
        if settable:
            self._doubts.note(
                settable[0].properties[wire].pointer,
                f"A client may send {wire!r}, the key of {entity.name}, but need not. Who chooses it?",
                "The service chooses it; what a client sends there is ignored.",
            )
        return self._generated(entity, chosen)

    def _generated(self, entity: Entity, chosen: Column) -> KeyKind:
        if chosen.field.type == "integer":
            return "integer"
        if chosen.field.type in {"uuid", "string"}:
            limits = chosen.field.limits
            fits = (limits.max_length or 36) >= 36 and (limits.min_length or 36) <= 36
            if limits.pattern and not re.search(limits.pattern, _UUID):
                fits = False
            if fits:
                return "uuid"
        entity.impossible[chosen.wire] = (
            f"nobody says how to make a key {chosen.wire!r} of the form that is described"
        )
        return "uuid"

    def _choose_source(self, entity: Entity, one: Column, creating: list[Shape]) -> None:
        """Say where the value of a new row comes from: the client, the service, or a default."""
        if one.name == entity.key:
            return
        plan = one.field
        settable = [
            form
            for form in creating
            if one.wire in form.properties
            and not shape(self._document, form.properties[one.wire]).read_only
        ]
        if not settable and plan.type in {"datetime", "date"}:
            server = _timestamp(one.wire)
            if server != "none":
                one.field = plan.model_copy(
                    update={"server": server, "required": True, "nullable": False}
                )
                return
        always = (
            bool(creating)
            and len(settable) == len(creating)
            and all(one.wire in form.required for form in settable)
        )
        if always:
            one.field = plan.model_copy(update={"required": not plan.nullable})
            return
        self._default(entity, one, offered=bool(settable))

    def _default(self, entity: Entity, one: Column, *, offered: bool) -> None:
        """What a row gets where the client says nothing, when answers must show something."""
        plan = one.field
        said = self._said_default(entity.thing, one.wire)
        if said is not None:
            one.field = plan.model_copy(
                update={"default": said[0], "has_default": True, "required": said[0] is not None}
            )
            return
        needed = self._needed(entity.thing, one.wire)
        if needed is None:
            one.field = plan.model_copy(update={"required": False})
            self._note_never_filled(entity, one, offered=offered)
            return
        one.field = plan.model_copy(update={"required": True})
        filling = _empty(plan, offered=offered)
        if filling is None:
            entity.impossible[one.wire] = (
                f"answers must have {one.wire!r}, but no request says it and it has no default"
            )
            return
        one.field = one.field.model_copy(update={"default": filling[0], "has_default": True})
        self._doubts.note(
            needed.pointer,
            f"Answers must have {one.wire!r}, but it may be left out of requests. What is it then?",
            f"It is {filling[0]!r} until a client says something else.",
        )

    def _said_default(self, thing: Thing, wire: str) -> tuple[Any] | None:
        for node in (*(schema for _, schema in thing.told.values()), *thing.shown):
            inner = shape(self._document, node).properties.get(wire)
            if inner is not None and shape(self._document, inner).has_default:
                return (shape(self._document, inner).default,)
        return None

    def _needed(self, thing: Thing, wire: str) -> Shape | None:
        """The answer that must have a value there, if one must."""
        for node in thing.shown:
            form = shape(self._document, node)
            if wire in form.required and wire in form.properties:
                inner = shape(self._document, form.properties[wire])
                if not inner.nullable and not inner.write_only:
                    return form
        return None

    def _note_never_filled(self, entity: Entity, one: Column, *, offered: bool) -> None:
        told = any(
            one.wire in shape(self._document, node).properties
            and not shape(
                self._document, shape(self._document, node).properties[one.wire]
            ).read_only
            for _, node in entity.thing.told.values()
        )
        if not told and not offered:
            self._doubts.note(
                one.shape.pointer if one.shape else entity.name,
                f"No request can set {one.wire!r} of {entity.name}. Where does it come from?",
                "Nobody fills it: answers leave it out, or show null where that is allowed.",
            )


_UUID = "0b7c9f0e-54a5-4f0c-9a3f-6f2f4f3b9d11"


def _rank(operation: Operation) -> int:
    """Patches first, creates last: the later overrides what is known of a property."""
    return {"patch": 0, "put": 1, "post": 2}.get(operation.method, 0)


def _may_create(document: Document, operation: Operation) -> bool:
    """Whether a PUT creates what is not there: the document has an answer 201 for it."""
    if operation.method != "put":
        return False
    responses = operation.node.get("responses")
    return responses is not None and "201" in responses.value and bool(success(document, operation))


def _key_property(entity: Entity, parameter: str | None) -> str | None:
    """Which property is the key that the path's parameter stands for."""
    by_folded = {folded(wire): wire for wire in reversed(entity.columns)}
    wanted = []
    if parameter is not None:
        word = folded(parameter)
        wanted.append(word)
        wanted += [
            word[len(own) :]
            for own in sorted(entity.words, key=len, reverse=True)
            if word.startswith(own) and word != own
        ]
        if not word.endswith("id") and word not in entity.words:
            return next((by_folded[one] for one in wanted if one in by_folded), None)
    wanted += ["id", "uuid", *(own + "id" for own in sorted(entity.words))]
    if parameter is None or folded(parameter) in entity.words:
        wanted += ["code", "slug", "name", "key"]
    return next((by_folded[one] for one in wanted if one in by_folded), None)


def _timestamp(wire: str) -> Literal["created", "updated", "none"]:
    word = folded(wire)
    if word in _CREATED:
        return "created"
    return "updated" if word in _UPDATED else "none"


def _empty(plan: FieldPlan, *, offered: bool) -> tuple[Any] | None:
    """A value that says "nothing yet" without inventing anything, if the limits allow one."""
    if plan.type == "enum":
        return (plan.enum[0],)
    if plan.type == "boolean":
        return (False,)
    if plan.type == "array" and not plan.limits.min_items:
        return ([],)
    if not offered:
        return None
    if plan.type == "string" and not plan.limits.min_length and not plan.limits.pattern:
        return ("",)
    if plan.type in {"integer", "number"}:
        low, high = plan.limits.minimum, plan.limits.maximum
        if (low is None or low <= 0) and (high is None or high >= 0):
            return (0,)
    return None
