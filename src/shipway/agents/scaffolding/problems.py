"""How errors look: the document's own shapes, and which status each operation gives to what."""

from __future__ import annotations

from collections import Counter
from typing import Any

from shipway.agents.scaffolding import addresses, words
from shipway.agents.scaffolding.layout import Call, Part, lay
from shipway.agents.scaffolding.names import Names
from shipway.contracts.service_plan import ErrorPlan, FieldPlan, OperationPlan

KINDS = {
    "invalid": 422, "malformed": 400, "address": 404, "unauthorised": 401, "not_found": 404,
    "conflict": 409, "reference": 409, "unimplemented": 501,
}  # fmt: skip

Shape = tuple[str, str | None, tuple[tuple[str, str], ...]]

_DETAILS: dict[str, str] = {
    "type": "type", "title": "title", "status": "status", "detail": "detail",
    "errors[].pointer": "field", "errors[].detail": "message",
}  # fmt: skip


class Problems:
    """The statuses and shapes of error answers: what is usual, and where operations differ."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.fixed = addresses.swallowed(names.plan.operations)
        operations = names.plan.operations
        shapes = Counter(_shape(one) for operation in operations for one in operation.errors)
        ordered = [shape for shape, _ in shapes.most_common()]
        self.shapes: dict[Shape, str] = {}
        for shape in ordered or [("application/problem+json", None, ())]:
            wish = words.snake(shape[1] or "problem_details", words.PARAMETERS)
            name = words.unused(wish, set(self.shapes.values()))
            self.shapes[shape] = name
        self.main = next(iter(self.shapes))
        found: dict[str, Counter[int]] = {}
        for operation in operations:
            for kind, error in self.errors(operation).items():
                if kind not in _possible(operation):
                    continue
                found.setdefault(kind, Counter())[error.status] += 1
        self.usual = {
            kind: found[kind].most_common(1)[0][0] if kind in found else status
            for kind, status in KINDS.items()
        }

    def errors(self, operation: OperationPlan) -> dict[str, ErrorPlan]:
        """The answer of an operation to each kind of problem, where the document has one."""
        errors: dict[str, ErrorPlan] = {}
        for one in sorted(operation.errors, key=lambda error: not error.declared):
            errors.setdefault(one.reason, one)
        invalid = sorted(
            (one for one in operation.errors if one.reason == "invalid"),
            key=lambda error: (not error.declared, error.status),
        )
        if invalid:
            declared = [one for one in invalid if one.declared] or invalid
            errors["malformed"], errors["invalid"] = declared[0], declared[-1]
        if "invalid" in errors and (errors["invalid"].declared or "not_found" not in errors):
            errors["address"] = errors["invalid"]
        elif "not_found" in errors:
            errors["address"] = errors["not_found"]
        return {kind: errors[kind] for kind in KINDS if kind in errors}

    def status(self, operation: OperationPlan, kind: str) -> int:
        """The status by which an operation tells of a kind of problem."""
        errors = self.errors(operation)
        return errors[kind].status if kind in errors else self.usual[kind]

    def answers(self, operation: OperationPlan) -> list[Part]:
        """What the operation says differently, as arguments of ``@answers``."""
        found: list[Part] = []
        for kind, error in self.errors(operation).items():
            if kind not in _possible(operation):
                continue
            shape = _shape(error)
            if shape != self.main:
                found.append(f"{kind}=Answer({error.status}, {words.literal(self.shapes[shape])})")
            elif error.status != self.usual[kind]:
                found.append(f"{kind}=Answer({error.status})")
        return found

    def view(self) -> dict[str, Any]:
        shapes = [self._shape_view(shape, name) for shape, name in self.shapes.items()]
        source = "".join(one["body"] for one in shapes)
        return {
            "usual": self.usual,
            "fixed": bool(self.fixed),
            "shapes": shapes,
            "main": self.shapes[self.main],
            "main_media": words.literal(self.main[0]),
            "differ": any(self.answers(one) for one in self.names.plan.operations),
            "uses_time": "now(" in source,
            "uses_code": "code(" in source,
        }

    def _shape_view(self, shape: Shape, name: str) -> dict[str, Any]:
        media_type, model, fill = shape
        members = dict(fill) or (_DETAILS if model is None else {})
        fields = {one.name: one for one in self.names.model(model).fields} if model else {}
        return {
            "name": name,
            "doc": words.docstring(f"{words.plain(model or 'Problem details (RFC 9457)')}.", 4),
            "media_type": words.literal(media_type),
            "body": lay(_body(members, fields, "return "), 4),
        }


def _possible(operation: OperationPlan) -> set[str]:
    """The kinds of problem that an operation can run into at all."""
    places = {one.location for one in operation.parameters}
    found = {"unauthorised", "not_found", "conflict", "reference", "unimplemented"}
    if operation.behaviour == "unimplemented":
        return found
    found |= {"malformed", "invalid"} if operation.request_model else set()
    found |= {"invalid"} if places & {"query", "header"} else set()
    return found | ({"address"} if "path" in places else set())


def _shape(error: ErrorPlan) -> Shape:
    return error.media_type, error.model, tuple(error.fill.items())


def _body(members: dict[str, str], fields: dict[str, FieldPlan], head: str) -> Part:
    """The dictionary that holds each member, nested where their names are dotted."""
    groups: dict[str, dict[str, str]] = {}
    for path, what in members.items():
        first, _, rest = path.partition(".")
        groups.setdefault(first, {})[rest] = what
    parts: list[Part] = []
    for first, inner in groups.items():
        name = first.removesuffix("[]")
        key = f"{words.literal(name)}: "
        if first.endswith("[]"):
            parts.append(_listed(key, inner))
        elif "" in inner:
            if f"{first}[]" not in groups:
                parts.append(key + _value(inner[""], fields.get(name)))
        else:
            parts.append(_body(inner, {}, key))
    return Call(head + "{", parts, "}")


def _listed(key: str, inner: dict[str, str]) -> Part:
    words_of = {"field": "fault.field", "message": "fault.message", "code": '"invalid"'}
    pairs = [f"{words.literal(name)}: {words_of.get(what, 'fault.message')}"
             for name, what in inner.items()]  # fmt: skip
    if list(inner) == [""]:
        return f"{key}[fault.message for fault in problem.faults]"
    return f"{key}[{{{', '.join(pairs)}}} for fault in problem.faults]"


def _value(what: str, plan: FieldPlan | None) -> str:
    kind = plan.type if plan else "string"
    if what in {"status", "code"} and kind == "integer":
        return "problem.status"
    sources = {
        "type": '"about:blank"', "title": "problem.title", "status": "problem.status",
        "detail": "problem.detail", "instance": "problem.path", "path": "problem.path",
        "code": "problem.kind", "timestamp": "problem.at", "errors": "[]",
    }  # fmt: skip
    if what == "status" and kind == "string" and plan is not None:
        return "str(problem.status)"
    if what == "errors" and kind == "array":
        return "[fault.message for fault in problem.faults]"
    return sources.get(what, "problem.detail")
