"""Finds out what each parameter of an operation is for: key, filter, page, order, or nothing known."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from shipway.agents.planning.doubts import Doubts, NotPlannable
from shipway.agents.planning.entities import Column, Entity
from shipway.agents.planning.fields import Models
from shipway.agents.planning.places import Place
from shipway.agents.planning.wording import speaks_of
from shipway.contracts.service_plan import FieldPlan, ParameterPlan, SortKey
from shipway.specs.document import Document, Node, Operation
from shipway.specs.names import Names, folded, words
from shipway.specs.shapes import shape

Comparison = Literal["eq", "ne", "contains", "prefix", "lt", "le", "gt", "ge", "in"]
Style = Literal["repeat", "comma", "space", "pipe"]
LIMIT = frozenset("limit pagesize perpage size maxresults pagelimit itemsperpage take top".split())
OFFSET = frozenset("offset skip start startindex".split())
PAGE = frozenset("page pagenumber pageno pageindex".split())
CURSOR = frozenset("cursor pagetoken nexttoken startingafter continuationtoken after".split())
SORT = frozenset("sort sortby orderby ordering order".split())
DIRECTION = frozenset("direction sortorder sortdirection sortdir orderdirection dir order".split())
SEARCH = frozenset("q query search searchterm keyword keywords text term".split())
_BOUNDS: dict[str, Comparison] = {
    "from": "ge", "min": "ge", "since": "ge", "gte": "ge", "minimum": "ge", "start": "ge",
    "to": "le", "max": "le", "until": "le", "lte": "le", "maximum": "le", "end": "le",
    "after": "gt", "gt": "gt", "before": "lt", "lt": "lt", "ne": "ne", "not": "ne",
    "contains": "contains", "like": "contains", "prefix": "prefix", "in": "in",
}  # fmt: skip
_ORDERED = frozenset({"integer", "number", "date", "datetime", "time"})
_STYLES: dict[tuple[str, bool], Style] = {
    ("form", True): "repeat", ("form", False): "comma", ("spaceDelimited", False): "space",
    ("pipeDelimited", False): "pipe",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """One parameter on its way to a plan."""

    node: Node
    location: Literal["path", "query", "header"]
    plan: FieldPlan
    style: Style
    text: str

    def as_plan(self, role: str, **more: object) -> ParameterPlan:
        return ParameterPlan.model_validate(
            {
                "location": self.location,
                "field": self.plan,
                "role": role,
                "style": self.style,
                **more,
            }
        )


class Parameters:
    """Plans the parameters of operations."""

    def __init__(self, document: Document, models: Models, doubts: Doubts) -> None:
        self._document = document
        self._models = models
        self._doubts = doubts

    def plan(
        self,
        operation: Operation,
        where: Place | None,
        entity: Entity | None,
        parent: Column | None,
    ) -> list[ParameterPlan]:
        """All parameters with their roles; raises NotPlannable for a required one with none."""
        attributes = Names()
        result = []
        for node in operation.parameters:
            asked = self._asked(operation, node, attributes)
            if asked is not None:
                result.append(self._role(operation, asked, where, entity, parent))
        return _one_of_each(result)

    def _asked(self, operation: Operation, node: Node, attributes: Names) -> Asked | None:
        inner = self._document.resolve(node)
        location, name = inner.value["in"], inner.value["name"]
        required = bool(inner.value.get("required"))
        if location == "cookie" or inner.get("schema") is None:
            what = "a cookie" if location == "cookie" else "described by a media type"
            self._without_effect(operation, inner, f"is {what}", required=required)
            return None
        if location == "header" and folded(name) in {"accept", "contenttype", "authorization"}:
            return None  # OpenAPI says that such parameters are to be ignored
        schema = inner.at("schema")
        plan = self._models.field(name, schema, required, "request", operation.id, attributes)
        default_style = "form" if location == "query" else "simple"
        style = inner.value.get("style", default_style)
        explode = inner.value.get("explode", style == "form")
        if plan.type == "object" or style == "deepObject" or (
            plan.type == "array" and (style, explode) not in _STYLES
        ):  # fmt: skip
            self._without_effect(operation, inner, "is an object or list", required=required)
            return None
        text = f"{inner.text('description')} {shape(self._document, schema).description}"
        if inner.text("description"):
            plan = plan.model_copy(update={"description": inner.text("description")})
        return Asked(inner, location, plan, _STYLES.get((style, explode), "repeat"), text)

    def _without_effect(
        self, operation: Operation, node: Node, why: str, *, required: bool
    ) -> None:
        name = node.text("name")
        if required:
            raise NotPlannable(f"the required parameter {name!r} {why}")
        self._doubts.note(
            f"{operation.name} {name}",
            f"The parameter {name!r} {why}. What does it do?",
            "It has no effect.",
        )

    def _role(
        self,
        operation: Operation,
        asked: Asked,
        where: Place | None,
        entity: Entity | None,
        parent: Column | None,
    ) -> ParameterPlan:
        if asked.location == "path":
            return self._path_role(asked, where, entity, parent)
        is_list = where is not None and where.kind == "collection" and operation.method == "get"
        if asked.location == "query" and is_list and entity is not None:
            found = self._list_role(operation, asked, entity)
            if found is not None:
                return found
        why = "asks for something that nothing kept here answers"
        self._without_effect(operation, asked.node, why, required=asked.plan.required)
        return asked.as_plan("ignored")

    def _path_role(
        self, asked: Asked, where: Place | None, entity: Entity | None, parent: Column | None
    ) -> ParameterPlan:
        if where is not None and asked.plan.name == where.key and entity is not None:
            return asked.as_plan("key", column=entity.key)
        if where is not None and asked.plan.name == where.parent_key and parent is not None:
            return asked.as_plan("parent", column=parent.name)
        return asked.as_plan("ignored")

    def _list_role(
        self, operation: Operation, asked: Asked, entity: Entity
    ) -> ParameterPlan | None:
        name = folded(asked.plan.name)
        own = entity.column_of(asked.plan.name)
        if own is not None and name not in LIMIT | OFFSET | PAGE:
            return self._filter(operation, asked, own, entity)
        for names, role in ((LIMIT, "limit"), (OFFSET, "offset"), (PAGE, "page")):
            if name in names and asked.plan.type == "integer":
                return asked.as_plan(role)
        if name in CURSOR and asked.plan.type in {"string", "uuid"}:
            return asked.as_plan("cursor")
        tries: tuple[Callable[..., ParameterPlan | None], ...] = (
            self._direction, self._sort, self._search, self._bounded,
        )  # fmt: skip
        for attempt in tries:
            found = attempt(operation, asked, entity)
            if found is not None:
                return found
        return None

    def _direction(
        self, operation: Operation, asked: Asked, entity: Entity
    ) -> ParameterPlan | None:
        values = [str(value).lower() for value in asked.plan.enum]
        if folded(asked.plan.name) not in DIRECTION or not values:
            return None
        if any(not value.startswith(("asc", "desc")) for value in values):
            return None
        return asked.as_plan("direction")

    def _sort(self, operation: Operation, asked: Asked, entity: Entity) -> ParameterPlan | None:
        if folded(asked.plan.name) not in SORT or asked.plan.type not in {"string", "enum"}:
            return None
        visible = [one for one in entity.columns.values() if one.wire and _sortable(one)]
        if asked.plan.type == "string":
            self._doubts.note(
                f"{operation.name} {asked.plan.name}",
                "What may this parameter say to order the list?",
                "The name of a property, with a minus sign for the reverse order; "
                "anything else leaves the order as it is.",
            )
            keys = [SortKey(value=one.wire, column=one.name) for one in visible]
            return asked.as_plan("sort", sort=[*keys, *map(_reversed, keys)])
        found = [_sort_key(str(value), visible) for value in asked.plan.enum]
        known = [key for key in found if key is not None]
        if len(known) != len(found):
            return None
        return asked.as_plan("sort", sort=known)

    def _search(self, operation: Operation, asked: Asked, entity: Entity) -> ParameterPlan | None:
        if folded(asked.plan.name) not in SEARCH or asked.plan.type != "string":
            return None
        texts = [
            one for one in entity.columns.values()
            if one.wire and one.field.type == "string" and not one.field.write_only
        ]  # fmt: skip
        named = [one for one in texts if speaks_of(asked.text, one.wire)]
        if not texts:
            return None
        if not named:
            names = ", ".join(one.wire for one in texts)
            self._doubts.note(
                f"{operation.name} {asked.plan.name}",
                "In which properties does this parameter search?",
                f"In {names}: any of them may contain it, in any case of letters.",
            )
        columns = [one.name for one in named or texts]
        return asked.as_plan("filter", columns=columns, comparison="contains")

    def _bounded(self, operation: Operation, asked: Asked, entity: Entity) -> ParameterPlan | None:
        """``publishedFrom``, ``min_price``, ``due_before``; and a column's name in other spelling."""
        parts = words(asked.plan.name)
        plain = _column("".join(parts), entity)
        if plain is not None:
            return self._filter(operation, asked, plain, entity)
        for bound, stem in ((parts[-1:], parts[:-1]), (parts[:1], parts[1:])):
            comparison = _BOUNDS.get("".join(bound))
            one = _column("".join(stem), entity) if stem else None
            if comparison is None or one is None or not _comparable(asked.plan, one, comparison):
                continue
            comparison = self._settle(operation, asked, comparison)
            return asked.as_plan("filter", column=one.name, comparison=comparison)
        return None

    def _settle(self, operation: Operation, asked: Asked, comparison: Comparison) -> Comparison:
        """Whether "after" and "before" include the day itself."""
        if "".join(words(asked.plan.name)[-1:]) not in {"after", "before"} and "".join(
            words(asked.plan.name)[:1]
        ) not in {"after", "before"}:
            return comparison
        if re.search(
            r"(?i)\bon or (after|before)\b|\binclusive\b|\bat or\b|\bincluding\b", asked.text
        ):
            return "ge" if comparison == "gt" else "le"
        if not re.search(r"(?i)\bexclusive\b|\bnot count\b|\bstrictly\b|\bitself\b", asked.text):
            self._doubts.note(
                f"{operation.name} {asked.plan.name}",
                "Does this bound include the value itself?",
                "No: only what lies strictly beyond it is listed.",
            )
        return comparison

    def _filter(
        self, operation: Operation, asked: Asked, one: Column, entity: Entity
    ) -> ParameterPlan | None:
        plan = asked.plan
        if plan.type == "array":
            inner = plan.items
            if inner is None or not _alike(inner, one.field):
                return None
            return asked.as_plan("filter", column=one.name, comparison="in")
        if one.field.type == "array":
            if one.field.items is None or not _alike(plan, one.field.items):
                return None
            return asked.as_plan("filter", column=one.name, comparison="contains")
        if one.field.type in {"object", "any"} or not _alike(plan, one.field):
            return None
        return asked.as_plan("filter", column=one.name, comparison=_text_comparison(asked, one))


def _text_comparison(asked: Asked, one: Column) -> Comparison:
    if one.field.type == "string" and asked.plan.type == "string":
        if re.search(
            r"(?i)\b(contain|contains|containing|substring|partial|part of)\b", asked.text
        ):
            return "contains"
        if re.search(
            r"(?i)\b(start|starts|starting|begin|begins|beginning) with\b|\bprefix\b", asked.text
        ):
            return "prefix"
    return "eq"


def _alike(asked: FieldPlan, kept: FieldPlan) -> bool:
    """Whether a parameter's value can be compared with a column."""
    texts = {"string", "enum", "uuid", "email", "uri"}
    numbers = {"integer", "number"}
    return (
        asked.type == kept.type
        or {asked.type, kept.type} <= texts
        or ({asked.type, kept.type} <= numbers)
    )


def _comparable(asked: FieldPlan, one: Column, comparison: Comparison) -> bool:
    if comparison in {"contains", "prefix"}:
        return one.field.type == "string" and asked.type == "string"
    if comparison == "in":
        return asked.type == "array" and asked.items is not None and _alike(asked.items, one.field)
    if comparison == "ne":
        return _alike(asked, one.field)
    days = {"date", "datetime"}
    same = _alike(asked, one.field) or {asked.type, one.field.type} <= days
    return one.field.type in _ORDERED and same


def _column(stem: str, entity: Entity) -> Column | None:
    """The column that a folded word means: its name, or its name without Date, At, On, Time."""
    visible = [one for one in entity.columns.values() if one.wire]
    exact = [one for one in visible if folded(one.wire) == stem]
    if exact:
        return exact[0]
    near = [
        one for one in visible
        if folded(one.wire) in {stem + ending for ending in ("date", "at", "on", "time", "day")}
        or folded(one.wire) == "date" + stem
    ]  # fmt: skip
    return near[0] if len(near) == 1 else None


def _sortable(one: Column) -> bool:
    return one.field.type not in {"array", "object", "any"} and not one.field.write_only


def _sort_key(value: str, visible: list[Column]) -> SortKey | None:
    match = re.fullmatch(
        r"([+-]?)(.+?)(?:[:_ .,-]?(asc|desc|ascending|descending))?", value, re.IGNORECASE
    )
    if match is None:
        return None
    stem = folded(match[2])
    one = next((one for one in visible if folded(one.wire) == stem), None)
    if one is None:
        return None
    down = match[1] == "-" or (match[3] or "").lower().startswith("desc")
    return SortKey(value=value, column=one.name, descending=down)


def _reversed(key: SortKey) -> SortKey:
    return SortKey(value=f"-{key.value}", column=key.column, descending=True)


def _one_of_each(found: list[ParameterPlan]) -> list[ParameterPlan]:
    """A direction without a sort has nothing to turn round, so it is left without effect."""
    if any(one.role == "sort" for one in found):
        return found
    return [
        one.model_copy(update={"role": "ignored"}) if one.role == "direction" else one
        for one in found
    ]
