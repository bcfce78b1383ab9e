"""Turns schemas into field and model plans: one wire model for each schema and direction."""

from __future__ import annotations

import re
from typing import Any, Literal

from shipway.agents.planning.doubts import Doubts, NotPlannable
from shipway.contracts.service_plan import FieldPlan, FieldType, Limits, ModelPlan
from shipway.specs.contained import contained
from shipway.specs.document import Document, Node
from shipway.specs.names import Names, pascal, snake
from shipway.specs.shapes import Shape, json_type, shape

Direction = Literal["request", "response"]
_FORMATS: dict[str, FieldType] = {
    "date": "date", "date-time": "datetime", "time": "time", "uuid": "uuid", "email": "email",
    "uri": "uri", "url": "uri",
}  # fmt: skip
_PLAIN: dict[str, FieldType] = {
    "string": "string", "integer": "integer", "number": "number", "boolean": "boolean",
}  # fmt: skip
MAX_NESTING = 12


class Models:
    """Builds the models of a plan on demand, each only once."""

    def __init__(self, document: Document, doubts: Doubts, classes: Names) -> None:
        self._document = document
        self._doubts = doubts
        self._classes = classes
        self._names: dict[tuple[str, str], str] = {}
        self._plans: dict[str, ModelPlan] = {}
        self._depth = 0

    def all(self) -> list[ModelPlan]:
        return list(self._plans.values())

    def named(self, name: str) -> ModelPlan:
        return self._plans[name]

    def model(self, node: Node, direction: Direction, fallback: str) -> str:
        """The name of the model of an object schema; raises NotPlannable for anything else."""
        form = shape(self._document, node)
        self._check_object(form)
        directed = direction if self._is_directed(node, set()) else "both"
        identity = (form.source or node.pointer, directed)
        if identity not in self._names:
            name = pascal(form.name or fallback)
            if directed == "request" and form.name:
                name += "Input"
            self._names[identity] = self._classes.unique(name)
            self._build(self._names[identity], form, direction)
        return self._names[identity]

    def _check_object(self, form: Shape) -> None:
        if form.alternatives:
            raise NotPlannable(f"the body at {form.pointer} is a choice (oneOf or anyOf)")
        if form.unsupported:
            raise NotPlannable(f"the body at {form.pointer} uses {', '.join(form.unsupported)}")
        if not form.is_object:
            raise NotPlannable(f"the body at {form.pointer} is no JSON object")

    def _build(self, name: str, form: Shape, direction: Direction) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise NotPlannable(f"the schema at {form.pointer} is nested too deeply")
        self._plans[name] = ModelPlan(name=name, fields=[])  # holds the place if it contains itself
        attributes = Names()
        fields = [
            self.field(key, node, key in form.required, direction, name, attributes)
            for key, node in form.properties.items()
            if not self._is_hidden(node, direction)
        ]
        self._plans[name] = ModelPlan(
            name=name,
            fields=[*fields, *self._undescribed(form, attributes)],
            extra=_extra(form),
            min_properties=form.limits.get("minProperties"),
            description=form.description,
        )
        self._depth -= 1

    def _undescribed(self, form: Shape, attributes: Names) -> list[FieldPlan]:
        """Names that are required but not described: anything may stand there."""
        return [
            FieldPlan(name=key, attr=attributes.unique(snake(key)), type="any", required=True)
            for key in form.required
            if key not in form.properties
        ]

    def _is_hidden(self, node: Node, direction: Direction) -> bool:
        form = shape(self._document, node)
        return form.read_only if direction == "request" else form.write_only

    def _is_directed(self, node: Node, seen: set[str]) -> bool:
        """Whether request and response differ: something inside is read-only or write-only."""
        form = shape(self._document, node)
        if form.pointer in seen:
            return False
        seen.add(form.pointer)
        if form.read_only or form.write_only:
            return True
        inner = [*form.properties.values(), *([form.items] if form.items else [])]
        if isinstance(form.additional, Node):
            inner.append(form.additional)
        return any(self._is_directed(one, seen) for one in inner)

    def field(
        self,
        name: str,
        node: Node,
        required: bool,
        direction: Direction,
        owner: str,
        attributes: Names,
    ) -> FieldPlan:
        """The plan of one property or parameter."""
        form = shape(self._document, node)
        kind = _kind(form)
        return FieldPlan(
            name=name,
            attr=attributes.unique(snake(name)),
            type=kind,
            required=required,
            nullable=form.nullable or (kind == "any" and not form.types and not form.alternatives),
            read_only=form.read_only,
            write_only=form.write_only,
            enum=list(form.enum or ()) if kind == "enum" else [],
            default=form.default if form.has_default else None,
            has_default=form.has_default,
            limits=self._limits(form),
            description=form.description,
            format=form.format if form.format and form.format not in _FORMATS else None,
            **self._inside(kind, form, node, direction, owner + pascal(name)),
        )

    def _inside(
        self, kind: FieldType, form: Shape, node: Node, direction: Direction, fallback: str
    ) -> dict[str, Any]:
        if kind == "any" and (form.types or form.alternatives or form.unsupported or form.enum):
            return {"json_schema": contained(self._document, node)}
        if kind == "array" and form.items is not None:
            return {"items": self._inner(form.items, direction, fallback)}
        if kind == "object" and form.properties:
            return {"model": self.model(node, direction, fallback)}
        if kind == "object" and isinstance(form.additional, Node):
            return {"values": self._inner(form.additional, direction, fallback)}
        return {}

    def _inner(self, node: Node, direction: Direction, owner: str) -> FieldPlan:
        return self.field("item", node, True, direction, owner, Names())

    def _limits(self, form: Shape) -> Limits:
        said = form.limits
        return Limits(
            min_length=_whole(said.get("minLength")),
            max_length=_whole(said.get("maxLength")),
            pattern=self._pattern(form),
            minimum=said.get("minimum"),
            maximum=said.get("maximum"),
            exclusive_minimum=said.get("exclusiveMinimum"),
            exclusive_maximum=said.get("exclusiveMaximum"),
            multiple_of=form.multiple_of,
            # A map counts its members as a list counts its elements.
            min_items=_whole(said.get("minItems", said.get("minProperties"))),
            max_items=_whole(said.get("maxItems", said.get("maxProperties"))),
            unique_items=form.unique_items,
        )

    def _pattern(self, form: Shape) -> str | None:
        if not form.pattern:
            return None
        pattern = form.pattern[0] if len(form.pattern) == 1 else _all_of(form.pattern)
        try:
            re.compile(pattern)
        except re.error:
            self._doubts.note(
                form.pointer,
                "The pattern is no regular expression that Python understands. What does it allow?",
                "Any text that the other limits allow is accepted.",
            )
            return None
        return pattern


def _all_of(patterns: tuple[str, ...]) -> str:
    """One pattern that finds a match only where every one of them does."""
    return "^" + "".join(f"(?=[\\s\\S]*(?:{pattern}))" for pattern in patterns)


def _whole(number: Any) -> int | None:
    return None if number is None else int(number)


def _extra(form: Shape) -> Literal["forbid", "ignore", "allow"]:
    if form.additional is None:
        return "ignore"
    return "forbid" if form.additional is False else "allow"


def _kind(form: Shape) -> FieldType:
    """The one word for what a value is; ``any`` where no other word says it all."""
    if form.alternatives or form.unsupported or not form.type:
        return "any"
    if form.enum is not None:
        is_scalar = all(json_type(one) in {"string", "integer", "boolean"} for one in form.enum)
        return "enum" if form.enum and is_scalar else "any"
    if form.type == "string":
        return _FORMATS.get(form.format or "", "string")
    if form.type == "object":
        named = bool(form.properties) and isinstance(form.additional, Node)
        return "any" if named else "object"
    return "array" if form.type == "array" else _PLAIN[form.type]
