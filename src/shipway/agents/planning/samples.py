"""Valid request bodies for every operation: the document's examples first, made values otherwise."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from shipway.agents.planning.places import JSON, MERGE_PATCH
from shipway.agents.planning.values import NoValueError, Values
from shipway.contracts.change_plan import Ambiguity
from shipway.contracts.service_plan import EntityPlan, FieldPlan, OperationPlan, ServicePlan
from shipway.specs.contained import contained
from shipway.specs.document import Document, Node
from shipway.specs.shapes import shape

CREATES = 3
CHANGES = 2


class Samples:
    """Makes the samples of a plan; ``doubts`` says where none could be made."""

    def __init__(self, document: Document, plan: ServicePlan) -> None:
        self._document = document
        self._plan = plan
        self._models = {model.name: model for model in plan.models}
        self._entities = {entity.name: entity for entity in plan.entities}
        self._nodes = {operation.id: operation.node for operation in document.operations}
        self._values = Values(self._models)
        self.doubts: list[Ambiguity] = []

    def all(self) -> dict[str, list[dict[str, Any]]]:
        result = {}
        for operation in self._plan.operations:
            if operation.behaviour == "unimplemented":
                continue
            if operation.request_model is not None:
                result[operation.id] = self._bodies(operation)
            for location in ("path", "query"):
                values = self._parameters(operation, location)
                if values:
                    result[f"{operation.id}#{location}"] = values
        return result

    def _bodies(self, operation: OperationPlan) -> list[dict[str, Any]]:
        entity = self._entities[str(operation.entity)]
        validator = self._validator(operation)
        taken: dict[str, list[Any]] = {}
        result: list[dict[str, Any]] = []
        count = CREATES if operation.behaviour == "create" else CHANGES
        for number, body in enumerate(self._candidates(operation, entity)):
            varied = self._varied(operation, entity, body, number, taken)
            if (
                varied is not None
                and varied not in result
                and self._fits(operation, varied, validator)
            ):
                result.append(varied)
            if len(result) == count:
                break
        if not result:
            self.doubts.append(
                Ambiguity(
                    where=f"{operation.method.upper()} {operation.path}",
                    question="Which request body does this operation accept? None could be made.",
                    default="Its acceptance flows are left out.",
                )
            )
        return result

    def _fits(self, operation: OperationPlan, body: dict[str, Any], validator: Any) -> bool:
        """Whether the document accepts the body; what is read-only need not be sent."""
        told = {field.name for field in self._models[str(operation.request_model)].fields}
        for error in validator.iter_errors(body):
            missing = set(error.validator_value) - set(error.instance) if (
                error.validator == "required" and not error.absolute_path
            ) else set()  # fmt: skip
            if not missing or missing & told:
                return False
        return True

    def _candidates(self, operation: OperationPlan, entity: EntityPlan) -> Iterator[dict[str, Any]]:
        for example in self._examples(operation):
            if isinstance(example, dict):
                yield copy.deepcopy(example)
        # Changes start from other numbers than creates, so that they really change something.
        first = 0 if operation.behaviour == "create" else 11
        for number in range(first, first + 12):
            try:
                made = self._values.model(str(operation.request_model), number)
            except NoValueError:
                return
            if operation.behaviour == "patch":
                yield from self._smaller(entity, made)
            yield made

    def _smaller(self, entity: EntityPlan, made: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """One harmless field: neither key, nor reference, nor part of a rule."""
        ruled = {name for rule in entity.unique for name in (*rule.columns, rule.while_field)}
        for one in entity.columns:
            name = one.field.name
            if name in made and one.column not in ruled and one.reference is None:
                yield {name: made[name]}
                return

    def _examples(self, operation: OperationPlan) -> Iterator[Any]:
        content = self._content(operation)
        if content is None:
            return
        if "example" in content.value:
            yield content.value["example"]
        named = content.get("examples")
        for _, node in named.members() if named else ():
            holder = self._document.resolve(node)
            if "value" in holder.value:
                yield holder.value["value"]
        schema = content.get("schema")
        if schema is not None:
            yield from shape(self._document, schema).examples

    def _content(self, operation: OperationPlan) -> Node | None:
        holder = self._nodes[operation.id].get("requestBody")
        content = self._document.resolve(holder).get("content") if holder else None
        for key, node in content.members() if content else ():
            if key.split(";")[0].strip().lower() in {JSON, MERGE_PATCH}:
                return node
        return None

    def _validator(self, operation: OperationPlan) -> Any:
        from jsonschema import Draft202012Validator

        content = self._content(operation)
        schema = content.get("schema") if content else None
        return Draft202012Validator(contained(self._document, schema) if schema else {})

    def _varied(
        self,
        operation: OperationPlan,
        entity: EntityPlan,
        body: dict[str, Any],
        number: int,
        taken: dict[str, list[Any]],
    ) -> dict[str, Any] | None:
        """The body without read-only members, and with new values where no two rows may agree."""
        fields = {field.name: field for field in self._models[str(operation.request_model)].fields}
        allowed = self._models[str(operation.request_model)].extra != "forbid"
        body = {key: value for key, value in body.items() if key in fields or not allowed}
        for one in entity.columns:
            name = one.field.name
            if name not in body or not one.unique or name not in fields:
                continue
            if one.column == entity.key and not fields[name].required and (
                entity.key_kind != "client" or operation.behaviour != "create"
            ):  # fmt: skip
                del body[name]  # the service, or the path, says what the key is
                continue
            seen = taken.setdefault(name, [])
            for attempt in range(number, number + 200):
                if body[name] not in seen:
                    break
                try:
                    body[name] = self._values.field(fields[name], 100 + attempt)
                except NoValueError:
                    return None
            if body[name] in seen:
                return None
            seen.append(body[name])
        return body

    def _parameters(self, operation: OperationPlan, location: str) -> list[dict[str, Any]]:
        wanted = [one for one in operation.parameters if one.location == location]
        result = []
        for number in (0, 1) if location == "path" else (0,):
            values = {}
            for one in wanted:
                if one.role == "cursor":
                    continue
                # A counted key is far from those that will be handed out.
                is_counted = one.role in {"key", "parent"} and one.field.type == "integer"
                far = 1_000_000_000 if is_counted else 0
                value = self._parameter(operation, one.field, far + number)
                if value is not None:
                    values[one.field.name] = value
            if values:
                result.append(values)
        return result

    def _parameter(self, operation: OperationPlan, field: FieldPlan, number: int) -> Any:
        try:
            return self._values.field(field, number)
        except NoValueError:
            return None
