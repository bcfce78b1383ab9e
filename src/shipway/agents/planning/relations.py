"""Finds which columns hold the key of another entity, from names, descriptions and nested paths."""

from __future__ import annotations

import re
from typing import Literal

from shipway.agents.planning.doubts import Doubts
from shipway.agents.planning.entities import Column, Entity
from shipway.agents.planning.wording import mentions
from shipway.contracts.service_plan import FieldPlan, Reference
from shipway.specs.document import Document
from shipway.specs.names import Names, column, folded, singular, snake, words

OnDelete = Literal["refuse", "cascade", "clear"]


def relate(document: Document, entities: list[Entity], doubts: Doubts) -> None:
    """Set the references and parents of all entities."""
    for entity in entities:
        for one in entity.columns.values():
            if one.name != entity.key or entity.key_kind == "client":
                one.reference = _reference(document, entity, one, entities, doubts)
        _nest(document, entity, entities, doubts)
    for entity in entities:
        for one in entity.columns.values():
            if one.reference is not None:
                action = _on_delete(document, entity, one, entities, doubts)
                one.reference = one.reference.model_copy(update={"on_delete": action})
                if one.name == entity.parent_column:
                    entity.parent = one.reference


def _reference(
    document: Document, entity: Entity, one: Column, entities: list[Entity], doubts: Doubts
) -> Reference | None:
    if not one.wire or one.shape is None:
        return None
    said = one.shape.extensions.get("x-references")
    if said is not None:
        named = [other for other in entities if folded(str(said.value)) in other.words]
        if named:
            return _to(named[0], f"{said.pointer}")
        doubts.note(said.pointer, f"x-references names {said.value!r}, which is not kept. What is "
                    "meant?", "Nothing is checked.")  # fmt: skip
        return None
    if folded(one.wire).endswith("ids") and one.field.type == "array":
        target = _by_words(words(one.wire)[:-1], entities)
        if target is not None:
            doubts.note(
                one.shape.pointer,
                f"{one.wire!r} holds several keys of {target.name}. Must each of them exist?",
                "They are kept as they are, without a check.",
            )
        return None
    target = _by_name(entity, one, entities) or _by_description(entity, one, entities, doubts)
    if target is None or not _fits(one.field, target):
        return None
    return _to(target, f"{one.shape.pointer}: {one.wire!r} is the key of {target.name}")


def _to(target: Entity, reason: str) -> Reference:
    return Reference(entity=target.name, field=target.key, reason=reason)


def _by_name(entity: Entity, one: Column, entities: list[Entity]) -> Entity | None:
    """``bookId``, ``book_id``, ``bookIsbn`` (the key's own name), ``originalBookId``."""
    parts = words(one.wire)
    for cut in range(1, len(parts)):
        ending = "".join(parts[cut:])
        endings = {"id", "uuid", "key", "ref", "code"}
        target = _by_words(parts[:cut], entities)
        if target is None and len(parts[:cut]) > 1:
            target = _by_words(parts[cut - 1 : cut], entities)
        if target is None:
            continue
        key = folded(target.key_column.field.name)
        if ending == key or (ending in endings and ending in {"id", "uuid", "key", "ref"}):
            return None if target is entity and one.name == entity.key else target
    return None


def _by_words(parts: list[str], entities: list[Entity]) -> Entity | None:
    word = "".join(parts)
    names = {word, singular(word)}
    return next((one for one in entities if not names.isdisjoint(one.words)), None)


def _by_description(
    entity: Entity, one: Column, entities: list[Entity], doubts: Doubts
) -> Entity | None:
    """``borrowerId``: "the identifier of the member who borrowed it"."""
    if one.shape is None or not re.search(r"(?i)(id|key|code)$", one.wire):
        return None
    match = re.search(
        r"(?i)\b(?:id|identifier|key|code|number) of (?:the|a|an|another|its|their) ([\w -]{2,40})",
        one.shape.description,
    )
    if match is None:
        return None
    for other in entities:
        if other is not entity and mentions(" ".join(match[1].split()[:3]), other.words):
            doubts.note(
                one.shape.pointer,
                f"Is {one.wire!r} of {entity.name} the key of {other.name}?",
                f"Yes, as its description says: it must be that of a {other.name} that exists.",
            )
            return other
    return None


def _fits(plan: FieldPlan, target: Entity) -> bool:
    """Whether the types agree: a key that is kept as text may refer to a uuid."""
    key = target.key_column.field.type
    return plan.type == key or {plan.type, key} <= {"uuid", "string"}


def _nest(document: Document, entity: Entity, entities: list[Entity], doubts: Doubts) -> None:
    """Find, or make, the column that a nested path's parent goes to."""
    for resource in entity.thing.resources:
        if resource.parent is None:
            continue
        parent = parent_of(resource.parent, entities)
        if parent is None:
            continue
        creates = resource.find("post", "collection") or resource.find("put", "item")
        found = next(
            (one for one in entity.columns.values()
             if one.reference is not None and one.reference.entity == parent.name),
            None,
        )  # fmt: skip
        if found is None and creates is not None and entity.thing.nested_only:
            found = _hidden(entity, parent, resource.path)
        if found is None or creates is None:
            continue
        found.field = found.field.model_copy(
            update={"required": True, "nullable": False, "default": None, "has_default": False}
        )
        entity.impossible.pop(found.wire, None)
        if found.shape is not None:
            doubts.forget(found.shape.pointer, f"No request can set {found.wire!r}")
        if len(_creators(entity)) == 1:
            entity.parent, entity.parent_column = found.reference, found.name


def _creators(entity: Entity) -> list[str]:
    return [
        resource.path
        for resource in entity.thing.resources
        if resource.find("post", "collection") is not None
    ]


def parent_of(path: str, entities: list[Entity]) -> Entity | None:
    """The entity whose collection has that path."""
    for entity in entities:
        if any(resource.path == path for resource in entity.thing.resources):
            return entity
    return None


def _hidden(entity: Entity, parent: Entity, path: str) -> Column:
    taken = Names(one.name for one in entity.columns.values())
    attributes = Names(one.field.attr for one in entity.columns.values())
    word = f"{parent.attr.rstrip('_')}_{parent.key}"
    key = parent.key_column.field
    plan = FieldPlan(
        name=word, attr=attributes.unique(snake(word)), type=key.type, required=True,
        read_only=True, format=key.format, limits=key.limits,
    )  # fmt: skip
    made = Column("", taken.unique(column(word)), plan, None)
    made.reference = _to(parent, f"{path}: every {entity.name} belongs to a {parent.name}")
    entity.columns[f"\0{made.name}"] = made
    return made


def _on_delete(
    document: Document, entity: Entity, one: Column, entities: list[Entity], doubts: Doubts
) -> OnDelete:
    assert one.reference is not None  # noqa: S101 - the caller's condition, for the type checker
    target = next(other for other in entities if other.name == one.reference.entity)
    for resource in target.thing.resources:
        operation = resource.find("delete", "item")
        if operation is None:
            continue
        said = _deleting(document, operation.node.text("description"), entity)
        answers = operation.node.get("responses")
        conflict = answers.get("409") if answers else None
        if said:
            return said
        if conflict is not None:
            return "refuse"
        question = f"What becomes of {entity.name} when its {target.name} is deleted?"
        if one.name == entity.parent_column and entity.thing.nested_only:
            doubts.note(operation.node.pointer, question, "It is deleted with it.")
            return "cascade"
        if not one.field.required:
            doubts.note(operation.node.pointer, question, f"Its {one.field.name!r} is cleared.")
            return "clear"
        doubts.note(
            operation.node.pointer, question, f"A {target.name} that has any is not deleted (409)."
        )
    return "refuse"


def _deleting(document: Document, text: str, entity: Entity) -> OnDelete | None:
    if mentions(text, entity.words) and re.search(
        r"(?i)\b(also|too|as well|along with|together with|cascade|and (all )?(its|their))\b", text
    ):
        return "cascade"
    return None
