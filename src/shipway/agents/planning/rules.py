"""Recognises uniqueness and conflict rules, each with the place in the document that states it.

A rule is recognised from, in this order:

1. ``x-unique: true`` on a property, or on an object schema a list whose members are property names,
   lists of names (unique together), or ``{properties: [...], while: {property: [values]}}``.
2. A property's own description that calls it unique.
3. A 409 answer of a create, replace or patch whose description says that something is there already
   and names a property (``isbn``), or another entity that this one refers to, with a value of an
   enum ("already on loan: it has a loan with the status `active`"). Where it names several
   properties joined by "and", they are unique together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import JsonValue

from shipway.agents.planning.doubts import Doubts
from shipway.agents.planning.entities import Column, Entity
from shipway.agents.planning.wording import (
    mentions,
    named,
    position,
    quoted,
    says_missing,
    says_taken,
    speaks_of,
)
from shipway.contracts.service_plan import UniqueRule
from shipway.specs.document import Document, Node
from shipway.specs.names import folded, words
from shipway.specs.shapes import shape


def find_rules(document: Document, entities: list[Entity], doubts: Doubts) -> None:
    """Set the unique rules of all entities."""
    for entity in entities:
        for rule in (*_extended(document, entity, doubts), *_described(entity),
                     *_answered(document, entity, entities, doubts)):  # fmt: skip
            _add(entity, rule)


def _add(entity: Entity, rule: UniqueRule) -> None:
    if any(one.columns == rule.columns and one.while_values == rule.while_values
           for one in entity.unique):  # fmt: skip
        return
    entity.unique.append(rule)
    if len(rule.columns) == 1 and rule.while_field is None:
        for one in entity.columns.values():
            if one.name == rule.columns[0]:
                one.unique = True


def _extended(document: Document, entity: Entity, doubts: Doubts) -> Iterator[UniqueRule]:
    for one in entity.columns.values():
        said = one.shape.extensions.get("x-unique") if one.shape else None
        if said is not None and said.value is True:
            yield UniqueRule(columns=[one.name], reason=said.pointer)
    schemas = [*entity.thing.shown, *(node for _, node in entity.thing.told.values())]
    for node in schemas:
        said = shape(document, node).extensions.get("x-unique")
        for member in said.elements() if said is not None else ():
            rule = _from_extension(entity, member)
            if rule is None:
                doubts.note(
                    member.pointer,
                    "x-unique names something that is no property here. What is meant?",
                    "The rule is not applied.",
                )
            else:
                yield rule


def _from_extension(entity: Entity, member: Node) -> UniqueRule | None:
    value: Any = member.value
    condition: dict[str, Any] = {}
    if isinstance(value, dict):
        condition = value.get("while") or {}
        value = value.get("properties")
    wires = [value] if isinstance(value, str) else value
    if not isinstance(wires, list) or not isinstance(condition, dict):
        return None
    found = [entity.columns.get(str(wire)) for wire in (*wires, *condition)]
    columns = [one.name for one in found if one is not None]
    if len(columns) != len(found) or not wires or len(condition) > 1:
        return None
    values: Any = next(iter(condition.values()), [])
    return UniqueRule(
        columns=columns[: len(wires)],
        while_field=columns[len(wires)] if condition else None,
        while_values=values if isinstance(values, list) else [values],
        reason=member.pointer,
    )


def _described(entity: Entity) -> Iterator[UniqueRule]:
    for one in entity.columns.values():
        if one.shape is None or one.name == entity.key or one.field.type in {"array", "object"}:
            continue
        text = one.shape.description
        if re.search(r"(?i)\bunique\b", text) and not re.search(r"(?i)\bnot (\w+ )?unique\b", text):
            yield UniqueRule(
                columns=[one.name], reason=f"{one.shape.pointer}/description calls it unique"
            )


def _answered(
    document: Document, entity: Entity, entities: list[Entity], doubts: Doubts
) -> Iterator[UniqueRule]:
    for resource in entity.thing.resources:
        for operation, where in resource.places:
            if (operation.method, where.kind) not in _WRITES:
                continue
            answers = operation.node.get("responses")
            conflict = answers.get("409") if answers is not None else None
            if conflict is None:
                continue
            answer = document.resolve(conflict)
            rules = _from_words(entity, entities, answer.text("description"), answer.pointer)
            yield from rules
            if not rules and not _about_key(entity, answer.text("description")):
                doubts.note(
                    answer.pointer,
                    f"{operation.name} answers 409, but its description names no property that "
                    "may be there only once. When does it?",
                    "Only for the rules that are recognised elsewhere.",
                )


_WRITES = frozenset({("post", "collection"), ("put", "item"), ("patch", "item")})


def _about_key(entity: Entity, text: str) -> bool:
    return entity.key_kind == "client" and says_taken(text)


def _from_words(
    entity: Entity, entities: list[Entity], text: str, pointer: str
) -> list[UniqueRule]:
    text = _about_taken(text)
    if not text:
        return []
    reason = f"{pointer}/description"
    conditional = _conditional(entity, entities, text, reason)
    if conditional is not None:
        return [conditional]
    told = [entity.columns[wire] for wire in named(text, _wires(entity))]
    if not told:
        return []
    # "... with this title already exists in this project": unique within what it belongs to.
    scope = [one for one in _subjects(entity, entities, text) if one not in told]
    together = bool(scope) or re.search(r"(?i)\b(and|combination|pair|together)\b", text)
    if together:
        return [UniqueRule(columns=[one.name for one in (*told, *scope)], reason=reason)]
    return [UniqueRule(columns=[one.name], reason=reason) for one in told]


def _about_taken(text: str) -> str:
    """The parts of a text that say what is there already, without those about what is missing."""
    parts = re.split(r"[.;]\s|,\s+(?:or|and)\s", text + " ")
    return ". ".join(part for part in parts if says_taken(part) and not says_missing(part))


def _wires(entity: Entity) -> list[str]:
    return [
        one.wire
        for one in entity.columns.values()
        if one.wire and one.name != entity.key and _may_be_unique(one)
    ]


def _may_be_unique(one: Column) -> bool:
    return (
        one.field.type not in {"array", "object", "any", "boolean"} and one.field.server == "none"
    )


def _conditional(
    entity: Entity, entities: list[Entity], text: str, reason: str
) -> UniqueRule | None:
    """A rule that holds only while a column has a value that the text names."""
    subjects = _subjects(entity, entities, text)
    if not subjects:
        return None
    marked = quoted(text)
    for one in entity.columns.values():
        if one.field.type != "enum" or one in subjects:
            continue
        values: list[JsonValue] = [value for value in one.field.enum if value in marked]
        if not values and speaks_of(text, one.wire):
            values = [v for v in one.field.enum if mentions(text, {folded(str(v))})]
        if values:
            return UniqueRule(
                columns=[subject.name for subject in subjects],
                while_field=one.name,
                while_values=values,
                reason=reason,
            )
    return _while_open(entity, subjects, text, reason)


def _while_open(
    entity: Entity, subjects: list[Column], text: str, reason: str
) -> UniqueRule | None:
    """A rule that holds until a date is filled in: "is on loan and has not been returned"."""
    if not re.search(r"(?i)\b(not|until|un\w+)\b", text):
        return None
    for one in entity.columns.values():
        first = words(one.wire)[:1]
        if one.field.type not in {"date", "datetime"} or one.field.required or not first:
            continue
        if mentions(text, {first[0], f"un{first[0]}"}):
            return UniqueRule(
                columns=[subject.name for subject in subjects],
                while_field=one.name,
                while_values=[None],
                reason=reason,
            )
    return None


def _subjects(entity: Entity, entities: list[Entity], text: str) -> list[Column]:
    """The references whose entity the text speaks of first."""
    found: list[tuple[int, Column]] = []
    for one in entity.columns.values():
        if one.reference is None:
            continue
        target = next(other for other in entities if other.name == one.reference.entity)
        at = position(text, target.words | {folded(one.wire)})
        if at is not None:
            found.append((at, one))
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]
