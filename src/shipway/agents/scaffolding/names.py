"""One Python name for everything in the plan, chosen once and the same in every module."""

from __future__ import annotations

from dataclasses import dataclass, field

from shipway.agents.scaffolding import words
from shipway.contracts.service_plan import (
    ColumnPlan,
    EntityPlan,
    FieldPlan,
    ModelPlan,
    OperationPlan,
    ParameterPlan,
    ServicePlan,
)
from shipway.errors import SpecificationError


@dataclass
class Names:
    """Looks up the plan's parts and the names that the project gives them."""

    plan: ServicePlan
    package: str
    modules: dict[str, str] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=dict)
    schemes: dict[str, str] = field(default_factory=dict)
    handlers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: ServicePlan) -> Names:
        names = cls(plan, words.package(plan.package))
        for entity in plan.entities:
            module = words.snake(entity.attr, words.MODULES)
            names.modules[entity.name] = words.unused(module, set(names.modules.values()))
            row = words.pascal(entity.name) + "Row"
            names.rows[entity.name] = words.unused(row, set(names.rows.values()))
        for scheme in plan.security_schemes:
            attr = words.snake(scheme.attr, words.PARAMETERS | {"require", "hmac"})
            names.schemes[scheme.id] = words.unused(attr, set(names.schemes.values()))
        for operation in plan.operations:
            attr = words.snake(operation.attr, words.PARAMETERS, "operation")
            names.handlers[operation.id] = words.unused(attr, set(names.handlers.values()))
        return names

    def entity(self, name: str) -> EntityPlan:
        for entity in self.plan.entities:
            if entity.name == name:
                return entity
        raise SpecificationError(f"the plan names an entity that it does not have: {name}")

    def model(self, name: str) -> ModelPlan:
        for model in self.plan.models:
            if model.name == name:
                return model
        raise SpecificationError(f"the plan names a model that it does not have: {name}")

    def key(self, entity: EntityPlan) -> ColumnPlan:
        return self.column(entity, entity.key)

    def column(self, entity: EntityPlan, name: str) -> ColumnPlan:
        for column in entity.columns:
            if column.column == name:
                return column
        raise SpecificationError(f"{entity.name} has no column {name}")

    def operations(self, entity: EntityPlan) -> list[OperationPlan]:
        return [
            operation
            for operation in self.plan.operations
            if operation.entity == entity.name and operation.behaviour != "unimplemented"
        ]


def attribute(plan: FieldPlan) -> str:
    """The attribute of a model or a row; the same field has the same one everywhere."""
    return words.snake(plan.attr, words.ATTRIBUTES, "field")


def parameter(plan: ParameterPlan) -> str:
    """The argument of a handler that a path or header parameter becomes."""
    return words.snake(plan.field.attr, words.PARAMETERS, "parameter")


def spoken(text: str) -> str:
    """An entity's name in a sentence: ``LoanItem`` is a loan item."""
    return words.snake(text).strip("_").replace("_", " ")


def article(noun: str) -> str:
    return f"{'an' if noun[:1] in 'aeio' else 'a'} {noun}"
