"""Groups operations around the collections of a document and finds which thing each one keeps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from shipway.agents.planning.doubts import NotPlannable
from shipway.agents.planning.places import Place, answer, body, listing, place, success
from shipway.specs.document import Document, Node, Operation
from shipway.specs.names import folded, pascal, singular, words
from shipway.specs.shapes import shape

_SUFFIX = re.compile(
    r"(?<=[a-z0-9])(?:Response|Read|Output|Out|Dto|DTO|View|Model|Resource|Entity|Details?|Full"
    r"|Representation|Summary)$"
)


@dataclass(slots=True)
class Resource:
    """One collection path with its item path and all their operations."""

    path: str
    word: str
    parent: str | None
    places: list[tuple[Operation, Place]] = field(default_factory=list)

    def find(self, method: str, kind: str) -> Operation | None:
        for operation, where in self.places:
            if operation.method == method and where.kind == kind:
                return operation
        return None


@dataclass(slots=True)
class Thing:
    """Resources that show the same stored rows, the first being the one that is named after them.

    ``shown`` are the schemas that answers show it with, the best one first; ``told`` the schemas
    that requests describe it with, by operation id.
    """

    name: str
    word: str
    resources: list[Resource]
    shown: list[Node]
    told: dict[str, tuple[Operation, Node]]

    @property
    def nested_only(self) -> bool:
        return all(resource.parent for resource in self.resources)


def resources(document: Document) -> tuple[list[Resource], dict[str, str]]:
    """The collections of a document, and why some operations belong to none, by operation id."""
    found: dict[str, Resource] = {}
    reasons: dict[str, str] = {}
    for operation in document.operations:
        try:
            where = place(operation.path)
        except NotPlannable as why:
            reasons[operation.id] = str(why)
            continue
        resource = found.setdefault(
            where.collection, Resource(where.collection, where.word, where.parent)
        )
        resource.places.append((operation, where))
    return list(found.values()), reasons


def things(document: Document, found: list[Resource]) -> list[Thing]:
    """What is kept, in the document's order; resources that keep nothing are left out."""
    result: list[Thing] = []
    collections = {resource.path for resource in found}
    for resource in sorted(found, key=lambda one: one.parent is not None):
        if _is_action(resource, collections, found):
            continue
        shown = list(_shown(document, resource))
        told = dict(_told(document, resource))
        if not shown and not any(
            operation.method in {"post", "put"} for operation, _ in told.values()
        ):
            continue
        thing = Thing("", resource.word, [resource], shown, told)
        same = next((one for one in result if _same(document, one, thing)), None)
        if same is None:
            result.append(thing)
        else:
            same.resources.append(resource)
            same.shown.extend(shown)
            same.told.update(told)
    order = {resource.path: number for number, resource in enumerate(found)}
    return sorted(result, key=lambda one: order[one.resources[0].path])


def _is_action(resource: Resource, collections: set[str], found: list[Resource]) -> bool:
    """Whether the path only names something to do with another collection (``/books/search``)."""
    above = resource.path.rsplit("/", 1)[0]
    if resource.parent is not None or above not in collections:
        return False
    siblings = [one for one in found if one.path == above]
    return any(where.kind == "item" for one in siblings for _, where in one.places)


def _shown(document: Document, resource: Resource) -> Iterator[Node]:
    """Schemas that answers show one row with: of the item first, then create, then the list."""
    order = (("get", "item"), ("post", "collection"), ("put", "item"), ("patch", "item"))
    for method, kind in order:
        operation = resource.find(method, kind)
        if operation is None:
            continue
        schema = _answered(document, operation)
        if schema is not None and shape(document, schema).is_object:
            yield schema
    operation = resource.find("get", "collection")
    schema = None if operation is None else _answered(document, operation)
    found = None if schema is None else listing(document, schema)
    if found is not None:
        yield found.item


def _answered(document: Document, operation: Operation) -> Node | None:
    try:
        return answer(document, success(document, operation)[1])[0]
    except NotPlannable:
        return None


def _told(document: Document, resource: Resource) -> Iterator[tuple[str, tuple[Operation, Node]]]:
    wanted = {("post", "collection"), ("put", "item"), ("patch", "item")}
    for operation, where in resource.places:
        if (operation.method, where.kind) not in wanted:
            continue
        try:
            schema = body(document, operation)[0]
        except NotPlannable:
            continue
        if schema is not None and shape(document, schema).is_object:
            yield operation.id, (operation, schema)


def _same(document: Document, one: Thing, two: Thing) -> bool:
    """Whether a nested resource shows rows of a thing that is known already."""
    resource = two.resources[0]
    if folded(singular(resource.word)) == folded(singular(one.word)) and not one.nested_only:
        return resource.parent is not None
    names = {shape(document, node).name for node in one.shown} - {None}
    shares = any(shape(document, node).name in names for node in two.shown)
    return shares and not one.nested_only and resource.parent is not None


def name_of(document: Document, thing: Thing) -> str:
    """What to call a thing: the name of its schema if that fits the path's word, else that word."""
    word = pascal(
        "_".join([*words(thing.word)[:-1], singular((words(thing.word) or [thing.word])[-1])])
    )
    for node in thing.shown:
        known = shape(document, node).name
        plain = _SUFFIX.sub("", pascal(known)) if known else ""
        if plain and folded(plain) == folded(word):
            return plain
    known = shape(document, thing.shown[0]).name if thing.shown else None
    return _SUFFIX.sub("", pascal(known)) if known else word
