"""Lists the acceptance checks of a service: flows over its operations that show that it keeps its word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shipway.contracts.service_plan import Check, EntityPlan, OperationPlan, ServicePlan


def checks_of(plan: ServicePlan) -> list[Check]:
    """Every check that can be run from the plan's samples, in the order of entities."""
    found = [
        *(check for entity in plan.entities for check in _Flows(plan, entity).all()),
        *_guarded(plan),
        *_unimplemented(plan),
    ]
    return [
        check.model_copy(update={"id": f"{check.kind}-{number + 1}"})
        for number, check in enumerate(found)
    ]


class _Flows:
    """The checks of one entity."""

    def __init__(self, plan: ServicePlan, entity: EntityPlan) -> None:
        self._plan = plan
        self._entity = entity
        self._own = [one for one in plan.operations if one.entity == entity.name]
        self._create = self._creating()

    def all(self) -> Iterator[Check]:
        read = self._first("read")
        if read is not None:
            yield self._check("not_found", f"An unknown {self._name} is answered with 404", [read])
        if self._create is None or not self._plan.samples.get(self._create.id):
            return
        if read is not None:
            yield self._check("create_read", f"A new {self._name} can be read back", [read])
            yield self._check("persists", f"A {self._name} is still there after a restart", [read])
        yield from self._lists()
        yield from self._changes(read)
        yield from self._rules()
        if self._create.request_model is not None:
            yield self._check("invalid", f"A {self._name} that does not fit is refused", [])

    @property
    def _name(self) -> str:
        return self._entity.name

    def _creating(self) -> OperationPlan | None:
        creates = [one for one in self._own if one.behaviour == "create"]
        puts = [one for one in self._own if one.behaviour == "replace" and one.created]
        return next(iter([*creates, *puts]), None)

    def _first(self, behaviour: str, *, nested: bool = False) -> OperationPlan | None:
        for one in self._own:
            if one.behaviour == behaviour and _is_nested(one) is nested:
                return one
        return self._first(behaviour, nested=True) if not nested else None

    def _check(self, kind: str, title: str, then: list[OperationPlan], **more: Any) -> Check:
        first = [] if self._create is None or kind == "not_found" else [self._create]
        operations = [one.id for one in (*first, *then)]
        return Check.model_validate(
            {"id": kind, "title": title, "operations": operations, "kind": kind, **more}
        )

    def _lists(self) -> Iterator[Check]:
        for one in self._own:
            if one.behaviour != "list":
                continue
            if _is_nested(one):
                yield self._check(
                    "nested", f"{one.summary or one.id}: only what belongs there", [one]
                )
            else:
                yield self._check("list_contains", f"A new {self._name} is in the list", [one])
            if one.page is not None and one.page.style != "none":
                yield self._check("page", f"{one.summary or one.id}: one page after another", [one])
            for parameter in one.parameters:
                if parameter.role == "filter" and parameter.location == "query":
                    name = parameter.field.name
                    title = f"{one.summary or one.id}: {name!r} leaves out what does not fit"
                    yield self._check("filter", title, [one], parameter=name)

    def _changes(self, read: OperationPlan | None) -> Iterator[Check]:
        shows = [read] if read is not None else []
        for behaviour, title in (
            ("replace", "is replaced as a whole"), ("patch", "is changed in part only"),
        ):  # fmt: skip
            one = self._first(behaviour)
            if one is not None and self._plan.samples.get(one.id):
                yield self._check(behaviour, f"A {self._name} {title}", [one, *shows])
        one = self._first("delete")
        if one is not None:
            yield self._check("delete", f"A deleted {self._name} is gone", [one, *shows])

    def _rules(self) -> Iterator[Check]:
        shown = {one.column: one.field.name for one in self._entity.columns}
        for rule in self._entity.unique:
            names = " and ".join(shown[column] for column in rule.columns)
            values = ", ".join("nothing" if v is None else str(v) for v in rule.while_values)
            limit = f" while {shown[rule.while_field]} is {values}" if rule.while_field else ""
            yield self._check(
                "unique", f"No two of {self._name} have the same {names}{limit}", [],
                columns=rule.columns,
            )  # fmt: skip
        told = self._told()
        for one in self._entity.columns:
            if one.reference is not None and one.field.name in told:
                title = f"A {self._name} must name a {one.reference.entity} that exists"
                yield self._check("reference", title, [], columns=[one.column])

    def _told(self) -> set[str]:
        name = self._create.request_model if self._create else None
        return {
            field.name
            for model in self._plan.models
            if model.name == name
            for field in model.fields
        }


def _is_nested(operation: OperationPlan) -> bool:
    return any(one.role == "parent" for one in operation.parameters)


def _guarded(plan: ServicePlan) -> Iterator[Check]:
    for one in plan.operations:
        if one.security and [] not in one.security and one.behaviour != "unimplemented":
            yield Check(
                id="", kind="unauthorised", operations=[one.id],
                title=f"{one.summary or one.id}: refused without a valid secret",
            )  # fmt: skip


def _unimplemented(plan: ServicePlan) -> Iterator[Check]:
    for one in plan.operations:
        if one.behaviour == "unimplemented":
            yield Check(
                id="", kind="unimplemented", operations=[one.id],
                title=f"{one.summary or one.id}: says 501 and does nothing",
            )  # fmt: skip
