"""Plans the error answers of each operation, and the overlay with those that the document omits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydantic import JsonValue

from shipway.agents.planning.doubts import Doubts, NotPlannable
from shipway.agents.planning.entities import Entity
from shipway.agents.planning.fields import Models
from shipway.agents.planning.places import answer
from shipway.agents.planning.wording import mentions, says_missing
from shipway.contracts.service_plan import ErrorPlan, FieldPlan, OperationPlan
from shipway.specs.document import Document, Node, keys
from shipway.specs.names import folded
from shipway.specs.overlay import target

PROBLEM = "application/problem+json"
_FILL = {
    "type": "type", "title": "title", "status": "status", "statuscode": "status",
    "httpstatus": "status", "detail": "detail", "details": "detail", "message": "detail",
    "msg": "detail", "description": "detail", "errordescription": "detail", "reason": "detail",
    "instance": "instance", "path": "path", "timestamp": "timestamp", "time": "timestamp",
    "code": "code", "errorcode": "code", "error": "code", "kind": "code", "name": "title",
    "errors": "errors", "violations": "errors", "fields": "errors", "issues": "errors",
}  # fmt: skip
_FIELDS = {
    "field": "field", "path": "field", "pointer": "field", "name": "field", "loc": "field",
    "location": "field", "property": "field", "param": "field", "message": "message",
    "detail": "message", "reason": "message", "msg": "message", "error": "message",
    "code": "code", "type": "code",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Declared:
    """One answer that the document describes: as it stands, and what the plan makes of it."""

    status: str
    node: Node
    media_type: str
    model: str | None
    fill: dict[str, str]


class Answers:
    """Plans error answers; ``overlay`` grows with what had to be added."""

    def __init__(self, document: Document, models: Models, doubts: Doubts) -> None:
        self._document = document
        self._models = models
        self._doubts = doubts
        self._usual = self._most_common()
        self.overlay: list[dict[str, JsonValue]] = []

    def plan(
        self, operation: OperationPlan, node: Node, entity: Entity | None, entities: list[Entity]
    ) -> list[ErrorPlan]:
        """Every error that the behaviour can come to, in order of status."""
        declared = self._declared_if_known(operation, node)
        found = [
            self._error(reason, status, declared)
            for reason, status in self._needed(operation, declared, entity, entities)
        ]
        missing = {one.status for one in found if not one.declared}
        if missing:
            self._extend(node, sorted(missing))
        return sorted(found, key=lambda one: (one.status, one.reason))

    def _declared_if_known(self, operation: OperationPlan, node: Node) -> dict[str, Declared]:
        """What an operation declares; one that is not implemented needs no more than its 501."""
        if operation.behaviour != "unimplemented":
            return self._declared(node)
        try:
            return self._declared(node)
        except NotPlannable:
            return {}

    def _declared(self, node: Node) -> dict[str, Declared]:
        responses = node.get("responses")
        found = {}
        for status, holder in responses.members() if responses else ():
            if status[:1] in {"4", "5", "d"}:
                found[status] = self._read(status, self._document.resolve(holder))
        return found

    def _read(self, status: str, node: Node) -> Declared:
        schema, media_type = answer(self._document, node)
        if schema is None:
            return Declared(status, node, "", None, {})
        if media_type == PROBLEM and self._is_problem(schema):
            return Declared(status, node, PROBLEM, None, {})
        name = self._models.model(schema, "response", "Error")
        return Declared(status, node, media_type or "", name, self._fill(name))

    def _is_problem(self, schema: Node) -> bool:
        """Whether a schema accepts plain problem details, so that none of its own is needed."""
        name = self._models.model(schema, "response", "Problem")
        model = self._models.named(name)
        own = {"type", "title", "status", "detail", "instance"}
        return {field.name for field in model.fields} <= own and model.extra != "forbid"

    def _fill(self, name: str, above: str = "") -> dict[str, str]:
        """What each member of an error model holds; raises NotPlannable for one that is needed."""
        result: dict[str, str] = {}
        for field in self._models.named(name).fields:
            path = f"{above}{field.name}"
            if field.type == "object" and field.model and not above:
                result |= self._fill(field.model, f"{path}.")
                continue
            source = _source(field)
            if source == "errors":
                result |= {path: "errors", **self._members(field, path)}
            elif source is not None:
                result[path] = source
            elif field.required and not field.nullable and not field.has_default:
                raise NotPlannable(f"nothing says what {path!r} of an error answer holds")
        return result

    def _members(self, field: FieldPlan, path: str) -> dict[str, str]:
        inner = field.items
        if inner is None or inner.model is None:
            return {}
        return {
            f"{path}[].{member.name}": _FIELDS.get(folded(member.name), "message")
            for member in self._models.named(inner.model).fields
            if member.type in {"string", "any"}
            and (member.required or folded(member.name) in _FIELDS)
        }

    def _error(self, reason: str, status: int, declared: dict[str, Declared]) -> ErrorPlan:
        one = _of(declared, status)
        # An answer that is declared without a body may have one: it looks like the others then.
        shown = one if one is not None and one.media_type else self._usual
        return ErrorPlan.model_validate(
            {
                "status": status, "reason": reason, "declared": one is not None,
                "media_type": shown.media_type if shown else PROBLEM,
                "model": shown.model if shown else None,
                "fill": shown.fill if shown else {},
                "description": one.node.text("description") if one else "",
            }
        )  # fmt: skip

    def _needed(
        self,
        operation: OperationPlan,
        declared: dict[str, Declared],
        entity: Entity | None,
        entities: list[Entity],
    ) -> list[tuple[str, int]]:
        if operation.behaviour == "unimplemented":
            return [
                ("unimplemented", 501),
                *([("unauthorised", 401)] if operation.security else []),
            ]
        needed = [("invalid", _invalid(operation, declared))] if _checks(operation) else []
        if any(alternative for alternative in operation.security) and [] not in operation.security:
            needed.append(("unauthorised", 401))
        roles = {one.role for one in operation.parameters}
        if "parent" in roles or ("key" in roles and operation.created is None):
            needed.append(("not_found", 404))
        if entity is not None:
            model = operation.request_model
            told = [field.name for field in self._models.named(model).fields] if model else []
            needed += _conflicts(operation, entity, declared, entities, told)
        return list(dict.fromkeys(needed))

    def _extend(self, node: Node, statuses: list[int]) -> None:
        usual = self._usual
        content: dict[str, Any] = {PROBLEM: {"schema": _PROBLEM_SCHEMA}}
        if usual is not None:
            content = dict(usual.node.value.get("content") or {})
        update: dict[str, JsonValue] = {}
        for status in statuses:
            said: dict[str, JsonValue] = {"description": HTTPStatus(status).phrase}
            if content:
                said["content"] = content
            update[str(status)] = said
        place = keys(node.pointer)
        if node.get("responses") is None:
            self.overlay.append({"target": target(*place), "update": {"responses": update}})
        else:
            self.overlay.append({"target": target(*place, "responses"), "update": update})

    def _most_common(self) -> Declared | None:
        """The error answer that the document uses most: what it leaves out looks the same."""
        counted: Counter[tuple[str, str | None]] = Counter()
        first: dict[tuple[str, str | None], Declared] = {}
        for operation in self._document.operations:
            try:
                declared = self._declared(operation.node)
            except NotPlannable:
                continue
            for one in declared.values():
                identity = (one.media_type, one.model)
                counted[identity] += 1
                first.setdefault(identity, one)
        bodied = [identity for identity in counted if identity[0]]
        if not bodied:
            return None
        return first[max(bodied, key=lambda identity: counted[identity])]


_PROBLEM_SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
        "detail": {"type": "string"}, "instance": {"type": "string"},
    },
}  # fmt: skip


def _of(declared: dict[str, Declared], status: int) -> Declared | None:
    for key in (str(status), f"{status // 100}XX", f"{status // 100}xx", "default"):
        if key in declared:
            return declared[key]
    return None


def _source(field: FieldPlan) -> str | None:
    source = _FILL.get(folded(field.name))
    match field.type:
        case "integer" | "number":
            return "status" if source in {"status", "code"} else None
        case "array":
            return "errors" if source in {"errors", "detail"} and _holds_text(field) else None
        case "datetime":
            return "timestamp"
        case "string" | "uri" | "any":
            return source if source not in {"errors", "status"} else None
        case _:
            return None


def _holds_text(field: FieldPlan) -> bool:
    return field.items is not None and field.items.type in {"string", "object", "any"}


def _checks(operation: OperationPlan) -> bool:
    """Whether there is anything that a request can say wrongly."""
    return bool(operation.parameters) or operation.request_model is not None


def _invalid(operation: OperationPlan, declared: dict[str, Declared]) -> int:
    for status in (422, 400):
        if str(status) in declared:
            return status
    only_path = all(one.location == "path" for one in operation.parameters)
    if operation.request_model is None and only_path and "404" in declared:
        return 404
    return 422


def _conflicts(
    operation: OperationPlan,
    entity: Entity,
    declared: dict[str, Declared],
    entities: list[Entity],
    told: list[str],
) -> list[tuple[str, int]]:
    needed: list[tuple[str, int]] = []
    if operation.behaviour == "delete":
        kept = any(
            one.reference is not None
            and one.reference.entity == entity.name
            and one.reference.on_delete == "refuse"
            for other in entities
            for one in other.columns.values()
        )
        return [("conflict", 409)] if kept else []
    if operation.behaviour not in {"create", "replace", "patch"}:
        return []
    if entity.unique or (entity.key_kind == "client" and operation.behaviour == "create"):
        needed.append(("conflict", 409))
    others = _told(told, entity, entities)
    if others:
        needed.append(("reference", _reference_status(operation, others, declared)))
    return needed


def _told(wires: list[str], entity: Entity, entities: list[Entity]) -> list[Entity]:
    """The entities whose keys the request body holds."""
    named = {
        one.reference.entity
        for one in entity.columns.values()
        if one.reference is not None and one.wire in wires
    }
    return [other for other in entities if other.name in named]


def _reference_status(
    operation: OperationPlan, told: list[Entity], declared: dict[str, Declared]
) -> int:
    """The status for a key that leads nowhere: what the document says, or the nearest it has."""
    names = {word for one in told for word in one.words}
    for status in ("422", "404", "409", "400"):
        one = declared.get(status)
        text = one.node.text("description") if one else ""
        if mentions(text, names) and says_missing(text):
            return int(status)
    parents = any(parameter.role in {"parent", "key"} for parameter in operation.parameters)
    order = ("409", "422", "400") if parents else ("404", "409", "422", "400")
    return next((int(status) for status in order if status in declared), 409)
