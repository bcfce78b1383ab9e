"""Makes the plan for a service from an OpenAPI document, the same bytes for the same document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shipway.agents.planning.checks import checks_of
from shipway.agents.planning.doubts import Doubts
from shipway.agents.planning.entities import Column, Entity, EntityMaker
from shipway.agents.planning.fields import Models
from shipway.agents.planning.operations import Operations
from shipway.agents.planning.relations import relate
from shipway.agents.planning.resources import name_of, resources, things
from shipway.agents.planning.rules import find_rules
from shipway.agents.planning.samples import Samples
from shipway.agents.planning.security import Security
from shipway.contracts.envelope import Question
from shipway.contracts.plan import Unimplemented
from shipway.contracts.service_plan import (
    ColumnPlan,
    EntityPlan,
    FieldPlan,
    ModelPlan,
    OperationPlan,
    ServicePlan,
)
from shipway.specs.document import Document
from shipway.specs.names import Names, snake, words


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and the questions that a person must answer before it may be used."""

    plan: ServicePlan
    questions: list[Question]


def plan_service(document: Document, answers: Mapping[str, str]) -> Planned:
    """Plan the service that a document describes; ``answers`` are by question id."""
    doubts = Doubts()
    classes = Names()
    models = Models(document, doubts, classes)
    package = _package(document)
    entities, reasons = _entities(document, models, doubts)
    relate(document, entities, doubts)
    find_rules(document, entities, doubts)
    security = Security(document, package, answers, doubts)
    operations = Operations(document, entities, models, security, doubts, reasons)
    planned = operations.all()
    _note_rowless(entities, doubts)
    plan = ServicePlan(
        name=package.replace("_", "-"),
        package=package,
        title=document.title,
        version=document.version,
        description=document.description,
        document_sha256=document.sha256,
        openapi=document.openapi,
        prefix=document.prefix,
        entities=[_entity_plan(entity) for entity in entities],
        models=_used(models.all(), planned, entities),
        operations=planned,
        security_schemes=security.schemes(),
        ambiguities=doubts.all(),
        unimplemented=[
            Unimplemented(operation=f"{one.method.upper()} {one.path}", reason=one.reason or "")
            for one in planned
            if one.behaviour == "unimplemented"
        ],
        overlay=operations.answers.overlay,
    )
    samples = Samples(document, plan)
    plan = plan.model_copy(update={"samples": samples.all(), "ambiguities": [
        *plan.ambiguities, *samples.doubts]})  # fmt: skip
    return Planned(plan.model_copy(update={"checks": checks_of(plan)}), security.questions)


def _package(document: Document) -> str:
    meant = [word for word in words(document.title) if word not in {"api", "the", "a", "service"}]
    return snake("_".join(meant) or document.title)


def _entities(
    document: Document, models: Models, doubts: Doubts
) -> tuple[list[Entity], dict[str, str]]:
    found, reasons = resources(document)
    maker = EntityMaker(document, models, doubts, Names())
    names = Names()
    made = []
    for thing in things(document, found):
        thing.name = names.unique(name_of(document, thing))
        made.append(maker.make(thing))
    return [entity for entity in made if entity.columns], reasons


def _note_rowless(entities: list[Entity], doubts: Doubts) -> None:
    for entity in entities:
        if not any(
            operation.method in {"post", "put"} for operation, _ in entity.thing.told.values()
        ):
            doubts.note(
                entity.thing.resources[0].path,
                f"No operation creates a {entity.name}. Where do its rows come from?",
                "From outside: the table stays empty until somebody fills it.",
            )


def _entity_plan(entity: Entity) -> EntityPlan:
    return EntityPlan(
        name=entity.name,
        attr=entity.attr,
        table=entity.table,
        key=entity.key,
        key_kind=entity.key_kind,
        columns=[_column_plan(one) for one in entity.columns.values()],
        unique=entity.unique,
        parent=entity.parent,
        parent_column=entity.parent_column,
        description=entity.description,
    )


def _column_plan(one: Column) -> ColumnPlan:
    return ColumnPlan(
        field=one.field,
        column=one.name,
        unique=one.unique,
        index=one.reference is not None,
        reference=one.reference,
    )


def _used(
    models: list[ModelPlan], operations: list[OperationPlan], entities: list[Entity]
) -> list[ModelPlan]:
    """The models that something of the plan shows or takes, and those inside them."""
    known = {model.name: model for model in models}
    waiting: list[str | None] = [
        name
        for one in operations
        for name in (one.request_model, one.response_model, *(error.model for error in one.errors))
    ]
    for entity in entities:
        for column in entity.columns.values():
            waiting += _inside(column.field)
    used: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name is None or name in used:
            continue
        used.add(name)
        for field in known[name].fields:
            waiting += _inside(field)
    return [model for model in models if model.name in used]


def _inside(field: FieldPlan | None) -> list[str | None]:
    if field is None:
        return []
    return [field.model, *_inside(field.items), *_inside(field.values)]
