"""Sorts the paths of a document into collections, their items and everything else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from shipway.agents.planning.doubts import NotPlannable
from shipway.specs.document import Document, Node, Operation
from shipway.specs.shapes import Shape, shape

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Place:
    """A path that may be a collection (``/books``) or an item (``/books/{id}``) of one.

    ``collection`` is the path of the collection; ``parent`` that of the item it is nested below.
    """

    kind: Literal["collection", "item"]
    collection: str
    word: str
    key: str | None
    parent: str | None
    parent_key: str | None


def place(path: str) -> Place:
    """Where a path belongs; raises NotPlannable when it is neither a collection nor an item."""
    steps = [step for step in path.split("/") if step]
    if any("{" in step and not re.fullmatch(r"\{[^{}]+\}", step) for step in steps):
        raise NotPlannable("a part of the path mixes a parameter with other text")
    marks = "".join("P" if step.startswith("{") else "L" for step in steps)
    match = re.fullmatch(r"(L*?)(LP)?(LP?)", marks)
    if match is None:
        raise NotPlannable(
            "the path is nested more than one level deep"
            if marks.count("P") > 1
            else "the path is neither a collection nor an item of one"
        )
    is_item = marks.endswith("P")
    end = len(steps) - 1 if is_item else len(steps)
    below = match[2] is not None
    if not below and "P" in match[1]:
        raise NotPlannable("the path is neither a collection nor an item of one")
    return Place(
        kind="item" if is_item else "collection",
        collection="/" + "/".join(steps[:end]),
        word=steps[end - 1],
        key=steps[-1][1:-1] if is_item else None,
        parent="/" + "/".join(steps[: end - 2]) if below else None,
        parent_key=steps[end - 2][1:-1] if below else None,
    )


def success(document: Document, operation: Operation) -> tuple[int, Node]:
    """The status and the answer of success; raises NotPlannable when the document has none."""
    responses = operation.node.get("responses")
    found = [
        (int(code), document.resolve(node))
        for code, node in (responses.members() if responses else ())
        if re.fullmatch(r"2\d\d", code)
    ]
    if not found:
        raise NotPlannable("the document describes no answer of success with a status of its own")
    return min(found, key=lambda pair: pair[0])


def body(document: Document, operation: Operation) -> tuple[Node | None, str | None, bool]:
    """The schema of the JSON request body, its media type and whether it must be sent."""
    node = operation.node.get("requestBody")
    if node is None:
        return None, None, False
    holder = document.resolve(node)
    content = holder.get("content") or Node({}, "")
    for media_type in (JSON, MERGE_PATCH):
        found = content.get(media_type) or _with_parameters(content, media_type)
        if found is not None:
            return found.get("schema"), media_type, bool(holder.value.get("required"))
    kinds = ", ".join(content.value) or "nothing"
    raise NotPlannable(f"the request body is not JSON ({kinds})")


def answer(document: Document, response: Node) -> tuple[Node | None, str | None]:
    """The schema and media type of an answer's JSON; None, None for an answer without a body."""
    content = response.get("content")
    if content is None or not content.value:
        return None, None
    for media_type, node in content.members():
        plain = media_type.split(";")[0].strip().lower()
        if plain == JSON or plain.endswith("+json"):
            schema = node.get("schema")
            if schema is None:
                raise NotPlannable(f"the answer at {response.pointer} has no schema")
            return schema, media_type
    raise NotPlannable(f"the answer is not JSON ({', '.join(content.value)})")


def _with_parameters(content: Node, media_type: str) -> Node | None:
    for key, node in content.members():
        if key.split(";")[0].strip().lower() == media_type:
            return node
    return None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list answers with: the schema of one item, and the wrapper around the array if any."""

    item: Node
    wrapper: Shape | None
    member: str | None


def listing(document: Document, schema: Node) -> Listing | None:
    """How a schema is a list: an array of objects, or an object with exactly one such array."""
    form = shape(document, schema)
    if form.type == "array" and form.items is not None:
        is_list = shape(document, form.items).is_object
        return Listing(form.items, None, None) if is_list else None
    if not form.is_object:
        return None
    arrays = []
    for name, node in form.properties.items():
        inner = shape(document, node)
        if inner.type == "array" and inner.items and shape(document, inner.items).is_object:
            arrays.append((name, inner.items))
    if len(arrays) != 1:
        return None
    return Listing(arrays[0][1], form, arrays[0][0])
