"""Maps each operation to the behaviour that implements it, or says why none does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shipway.agents.planning.answers import Answers
from shipway.agents.planning.doubts import Doubts, NotPlannable
from shipway.agents.planning.entities import Column, Entity
from shipway.agents.planning.fields import Models
from shipway.agents.planning.pages import default_sort, page_plan
from shipway.agents.planning.parameters import Parameters
from shipway.agents.planning.places import MERGE_PATCH, Place, answer, body, listing, place, success
from shipway.agents.planning.relations import parent_of
from shipway.agents.planning.security import Security
from shipway.contracts.service_plan import FieldPlan, OperationPlan
from shipway.specs.document import Document, Node, Operation
from shipway.specs.names import Names, folded, snake
from shipway.specs.shapes import shape

_BEHAVIOURS = {
    ("get", "collection"): "list", ("post", "collection"): "create", ("get", "item"): "read",
    ("put", "item"): "replace", ("patch", "item"): "patch", ("delete", "item"): "delete",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """An operation with the place, entity and parent column that it works on."""

    operation: Operation
    behaviour: str
    where: Place
    entity: Entity
    parent: Column | None


class Operations:
    """Plans all operations of a document."""

    def __init__(
        self,
        document: Document,
        entities: list[Entity],
        models: Models,
        security: Security,
        doubts: Doubts,
        reasons: dict[str, str],
    ) -> None:
        self._document = document
        self._entities = entities
        self._models = models
        self._security = security
        self._doubts = doubts
        self._reasons = reasons
        self._parameters = Parameters(document, models, doubts)
        self.answers = Answers(document, models, doubts)
        self._attributes = Names()

    def all(self) -> list[OperationPlan]:
        return [self._plan(operation) for operation in self._document.operations]

    def _plan(self, operation: Operation) -> OperationPlan:
        attr = self._attributes.unique(snake(operation.id))
        try:
            return self._implemented(operation, attr)
        except NotPlannable as why:
            return self._unimplemented(operation, attr, str(why))

    def _implemented(self, operation: Operation, attr: str) -> OperationPlan:
        self._refuse_odd(operation)
        found = self._find(operation)
        security = self._security.of(operation)
        parameters = self._parameters.plan(operation, found.where, found.entity, found.parent)
        plan = OperationPlan.model_validate(
            {
                **self._identity(operation, attr),
                "behaviour": found.behaviour, "entity": found.entity.name,
                "parameters": parameters, "security": security,
                **self._request(found), **self._response(found, parameters),
            }
        )  # fmt: skip
        if found.behaviour in {"create", "replace"}:
            self._check_creates(found)
        errors = self.answers.plan(plan, operation.node, found.entity, self._entities)
        return plan.model_copy(update={"errors": errors})

    def _identity(self, operation: Operation, attr: str) -> dict[str, Any]:
        tags = operation.node.value.get("tags")
        return {
            "id": operation.id, "attr": attr, "method": operation.method, "path": operation.path,
            "summary": operation.node.text("summary") or operation.node.text("description")[:120],
            "tags": [str(tag) for tag in tags or []],
        }  # fmt: skip

    def _refuse_odd(self, operation: Operation) -> None:
        if operation.node.value.get("callbacks"):
            raise NotPlannable("it calls the client back")
        if operation.method in {"head", "options", "trace"}:
            raise NotPlannable(f"the method {operation.method.upper()} has no behaviour here")

    def _find(self, operation: Operation) -> Found:
        if operation.id in self._reasons:
            raise NotPlannable(self._reasons[operation.id])
        where = place(operation.path)
        entity = parent_of(where.collection, self._entities)
        if entity is None:
            body(self._document, operation)  # says so itself when the body is no JSON
            raise NotPlannable(
                "it is an action, or shows something that is not kept as rows of its own"
            )
        behaviour = _BEHAVIOURS.get((operation.method, where.kind))
        if behaviour is None:
            kind = "a collection" if where.kind == "collection" else "an item"
            raise NotPlannable(
                f"the method {operation.method.upper()} on {kind} has no behaviour here"
            )
        return Found(operation, behaviour, where, entity, self._parent(where, entity))

    def _parent(self, where: Place, entity: Entity) -> Column | None:
        if where.parent is None:
            return None
        above = parent_of(where.parent, self._entities)
        if above is None:
            raise NotPlannable("it is nested below something that is not kept")
        for one in entity.columns.values():
            if one.reference is not None and one.reference.entity == above.name:
                return one
        raise NotPlannable(
            f"nothing says which {above.name} a {entity.name} belongs to "
            f"(a property such as '{snake(above.name)}Id' would)"
        )

    def _request(self, found: Found) -> dict[str, Any]:
        operation = found.operation
        schema, media_type, required = body(self._document, operation)
        if found.behaviour in {"create", "replace", "patch"}:
            if schema is None or media_type is None:
                raise NotPlannable("it has no JSON request body")
            if media_type == MERGE_PATCH and found.behaviour != "patch":
                raise NotPlannable("only a patch can be a merge patch")
            model = self._models.model(schema, "request", operation.id + "Request")
            self._check_kept(found, model)
            return {
                "request_model": model, "request_media_type": media_type,
                "request_required": required,
            }  # fmt: skip
        if schema is not None:
            raise NotPlannable(f"a {operation.method.upper()} with a request body has no behaviour")
        return {}

    def _check_kept(self, found: Found, model: str) -> None:
        """Whatever a client sends must be kept with the type that it was sent with."""
        for field in self._models.named(model).fields:
            if field.name in found.entity.impossible and field.name not in found.entity.columns:
                raise NotPlannable(found.entity.impossible[field.name])
            one = found.entity.column_of(field.name)
            if one is not None and not _compatible(field, one.field):
                raise NotPlannable(f"{field.name!r} is described in two ways that do not agree")

    def _check_creates(self, found: Found) -> None:
        if found.behaviour == "replace" and not self._creates(found):
            return
        entity = found.entity
        is_hidden = entity.columns.get(f"\0{entity.parent_column}") is not None
        if found.parent is None and is_hidden and entity.parent is not None:
            raise NotPlannable(f"nothing in it says which {entity.parent.entity} it belongs to")

    def _creates(self, found: Found) -> bool:
        responses = found.operation.node.get("responses")
        return responses is not None and "201" in responses.value

    def _response(self, found: Found, parameters: list[Any]) -> dict[str, Any]:
        status, response = success(self._document, found.operation)
        result: dict[str, Any] = {"success": status}
        if found.behaviour == "replace" and self._creates(found):
            result |= self._replace_that_creates(found)
            status = result["success"]
            response = self._response_of(found.operation, status)
        if status == 202:
            raise NotPlannable("it is answered before it is done (202)")
        schema, media_type = answer(self._document, response)
        result["response_media_type"] = media_type
        result["response_headers"] = self._headers(found, response)
        if found.behaviour == "list":
            return result | self._list(found, schema, parameters)
        if schema is not None:
            model = self._models.model(schema, "response", found.operation.id + "Response")
            self._check_shown(found.entity, model)
            result["response_model"] = model
        elif found.behaviour == "read":
            raise NotPlannable("it answers without a body")
        return result

    def _response_of(self, operation: Operation, status: int) -> Node:
        return self._document.resolve(operation.node.at("responses", str(status)))

    def _replace_that_creates(self, found: Found) -> dict[str, Any]:
        """A PUT that creates: 201 for what is new, and what it says for what was there."""
        codes = sorted(
            int(code) for code in found.operation.node.at("responses").value
            if code.isdigit() and code.startswith("2")
        )  # fmt: skip
        others = [code for code in codes if code != 201]
        if not others:
            raise NotPlannable("a PUT that answers 201 even for what is there already")
        models = {
            shape(self._document, schema).name if schema is not None else None
            for code in (201, others[0])
            for schema in [answer(self._document, self._response_of(found.operation, code))[0]]
        }
        if len(models) != 1:
            raise NotPlannable("a PUT that answers differently when it creates")
        return {"success": others[0], "created": 201}

    def _list(self, found: Found, schema: Node | None, parameters: list[Any]) -> dict[str, Any]:
        how = None if schema is None else listing(self._document, schema)
        if how is None:
            raise NotPlannable("it does not answer with a list of JSON objects")
        model = self._models.model(how.item, "response", found.entity.name)
        self._check_shown(found.entity, model)
        page = page_plan(self._document, found.operation, how, parameters, self._doubts)
        return {
            "response_model": model, "page": page, "default_sort": default_sort(parameters),
        }  # fmt: skip

    def _check_shown(self, entity: Entity, model: str) -> None:
        """An answer may only show what is kept."""
        for field in self._models.named(model).fields:
            if field.name in entity.impossible and (
                field.required or field.name == _key_wire(entity)
            ):
                raise NotPlannable(entity.impossible[field.name])
            one = entity.column_of(field.name)
            if one is None and field.required:
                raise NotPlannable(f"nothing says where {field.name!r} of the answer comes from")
            if one is not None and not _compatible(field, one.field):
                raise NotPlannable(f"{field.name!r} is described in two ways that do not agree")

    def _headers(self, found: Found, response: Node) -> list[str]:
        result = []
        headers = response.get("headers")
        for name, node in headers.members() if headers else ():
            if found.behaviour in _HEADERS.get(folded(name), ()):
                result.append(name)
            elif self._document.resolve(node).value.get("required"):
                raise NotPlannable(f"nothing says what the header {name!r} of the answer holds")
            else:
                self._doubts.note(
                    node.pointer, f"What does the header {name!r} hold?", "It is not sent."
                )
        return result

    def _unimplemented(self, operation: Operation, attr: str, reason: str) -> OperationPlan:
        try:
            security = self._security.of(operation)
        except NotPlannable:
            security = []
        plan = OperationPlan.model_validate(
            {
                **self._identity(operation, attr), "behaviour": "unimplemented", "success": 501,
                "reason": reason, "security": security,
            }
        )  # fmt: skip
        errors = self.answers.plan(plan, operation.node, None, self._entities)
        return plan.model_copy(update={"errors": errors})


_HEADERS = {"location": ("create", "replace"), "xtotalcount": ("list",)}
"""The headers that can be sent, by folded name, and the behaviours that know what they hold."""


def _key_wire(entity: Entity) -> str:
    return entity.key_column.wire


def _compatible(one: FieldPlan, two: FieldPlan) -> bool:
    """Whether two descriptions of a property can be served from one column."""
    texts = {"string", "enum", "uuid", "email", "uri", "date", "datetime", "time"}
    numbers = {"integer", "number"}
    if {one.type, two.type} <= texts or {one.type, two.type} <= numbers:
        return True
    if "any" in {one.type, two.type}:
        return True
    if one.type == two.type == "array" and one.items is not None and two.items is not None:
        return _compatible(one.items, two.items)
    return one.type == two.type
