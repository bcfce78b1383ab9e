"""How the project's tests make rows: through the service itself, what they refer to first."""

from __future__ import annotations

import re
from typing import Any

from pydantic import JsonValue

from shipway.agents.scaffolding import words
from shipway.agents.scaffolding.layout import Part, json_code, lay
from shipway.agents.scaffolding.names import Names
from shipway.agents.scaffolding.security import Security
from shipway.contracts.service_plan import (
    ColumnPlan,
    EntityPlan,
    OperationPlan,
    ParameterPlan,
)


class RowMaking:
    """Which entities tests can make, and the requests that make them."""

    def __init__(self, names: Names, security: Security) -> None:
        self.names, self.security = names, security
        self.makers: dict[str, OperationPlan] = {}
        self._constants: dict[str, str] = {}
        candidates = {entity.name: self._maker(entity) for entity in names.plan.entities}
        grew = True
        while grew:
            grew = False
            for name, maker in candidates.items():
                if maker is None or name in self.makers:
                    continue
                if self._needs(maker) <= set(self.makers):
                    self.makers[name] = maker
                    grew = True

    def _maker(self, entity: EntityPlan) -> OperationPlan | None:
        """The operation that creates rows, if it has samples and answers with the key."""
        key = self.names.key(entity).field.name
        for one in self.names.operations(entity):
            if one.behaviour != "create" and not (one.behaviour == "replace" and one.created):
                continue
            if not self.names.plan.samples.get(one.id):
                continue
            if one.behaviour == "replace" and not self._keys(one):
                continue
            if one.response_model and key in self._names_in(one.response_model):
                return one
        return None

    def _keys(self, operation: OperationPlan) -> list[dict[str, JsonValue]]:
        """Sample keys that the client chooses in the path."""
        return self.names.plan.samples.get(f"{operation.id}#path", [])

    def _names_in(self, model: str) -> set[str]:
        return {one.name for one in self.names.model(model).fields if not one.write_only}

    def _needs(self, maker: OperationPlan) -> set[str]:
        entity = self.names.entity(str(maker.entity))
        needs = set()
        for column, required in self.references(maker):
            if required and column.reference:
                needs.add(column.reference.entity)
        parent = self.parent(maker)
        if parent and entity.parent:
            needs.add(entity.parent.entity)
        return needs

    def references(self, operation: OperationPlan) -> list[tuple[ColumnPlan, bool]]:
        """The columns of the body that refer to other rows, and whether they have to."""
        if not operation.request_model or not operation.entity:
            return []
        fields = {one.name: one for one in self.names.model(operation.request_model).fields}
        return [
            (column, fields[column.field.name].required)
            for column in self.names.entity(operation.entity).columns
            if column.reference and column.field.name in fields
        ]

    def parent(self, operation: OperationPlan) -> ParameterPlan | None:
        return next((one for one in operation.parameters if one.role == "parent"), None)

    def samples(self, entity: EntityPlan) -> int:
        maker = self.makers[entity.name]
        number = len(self.names.plan.samples[maker.id])
        return min(number, len(self._keys(maker))) if maker.behaviour == "replace" else number

    # -- source -------------------------------------------------------------------------------

    def view(self) -> list[dict[str, Any]]:
        return [self._view(name, maker) for name, maker in self.makers.items()]

    def _view(self, name: str, maker: OperationPlan) -> dict[str, Any]:
        sample = f"samples.{self.constant(maker.id)}[number]"
        lines = [f"body = copy.deepcopy({sample})", *self.reference_lines(maker, "number", "self")]
        lines.append(f"return {self.address(maker, 'number', 'self')}, body")
        return {
            "attr": self.names.modules[name],
            "noun": words.plain(self.names.modules[name].replace("_", " ")),
            "method": maker.method.upper(),
            "guard": self.guard(maker),
            "success": maker.created or maker.success,
            "lines": lines,
        }

    def guard(self, operation: OperationPlan) -> str:
        guard = self.security.guard(operation)
        return "" if guard is None else f', guard="{guard}"'

    def constant(self, sample: str) -> str:
        """The constant that holds an operation's samples; ``sample`` is a key of the plan's."""
        if sample not in self._constants:
            name = words.snake(sample.replace("#", "_")).upper()
            self._constants[sample] = words.unused(name, set(self._constants.values()))
        return self._constants[sample]

    def reference_lines(
        self, operation: OperationPlan, number: str, rows: str, leave: str | None = None
    ) -> list[str]:
        """Puts the keys of real rows where the sample has placeholders."""
        lines = []
        for column, required in self.references(operation):
            assert column.reference is not None  # noqa: S101 - chosen for having one
            if column.column == leave:
                continue
            name, target = words.literal(column.field.name), column.reference.entity
            if target in self.makers and target != operation.entity:
                lines.append(f"body[{name}] = {self.key_of(target, number, rows)}")
            elif not required:
                lines.append(f"body.pop({name}, None)")
        return lines

    def key_of(self, entity: str, number: str, rows: str) -> str:
        key = words.literal(self.names.key(self.names.entity(entity)).field.name)
        call = f"{rows}.{self.names.modules[entity]}"
        return f"{call}({'' if number == '0' else number})[{key}]"

    def address(
        self, operation: OperationPlan, number: str, rows: str, key: str | None = None
    ) -> str:
        """The path as an f-string; ``key`` is the source of the row's own key."""
        values: dict[str, str] = {}
        for one in operation.parameters:
            if one.location != "path":
                continue
            if one.role == "key" and key is not None:
                values[one.field.name] = key
            elif one.role == "key" and self.makers.get(str(operation.entity)) is operation:
                constant = f"samples.{self.constant(operation.id + '#path')}[{number}]"
                values[one.field.name] = f"{constant}[{words.literal(one.field.name)}]"
            elif one.role == "parent" and operation.entity:
                parent = self.names.entity(operation.entity).parent
                if parent and parent.entity in self.makers:
                    values[one.field.name] = self.key_of(parent.entity, number, rows)
        return self.f_string(operation, values)

    def f_string(self, operation: OperationPlan, values: dict[str, str]) -> str:
        path = self.names.plan.prefix + words.reachable(operation.path)
        used = False

        def put(match: re.Match[str]) -> str:
            nonlocal used
            if match[1] not in values:
                return "unknown"
            used = True
            return "{" + values[match[1]].replace('"', "'") + "}"

        text = re.sub(r"\{([^{}]+)\}", put, path).replace('"', "%22")
        return f'f"{text}"' if used else f'"{text}"'

    def sample_source(self) -> list[str]:
        """The document's samples as constants."""
        lines = []
        for name, values in self.names.plan.samples.items():
            head = f"{self.constant(name)}: list[dict[str, Any]] = "
            code: Part = json_code(list(values), head)
            lines.append(lay(code))
        return lines
