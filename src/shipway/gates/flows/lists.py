"""Reading lists page by page, however the plan says that they are paged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shipway.gates.flows.client import Answer, Failed, Json
from shipway.gates.flows.world import Row, World, expect

PAGES = 200


def items(operation: Json, answer: Answer) -> list[Any]:
    """The items of one page; raises Failed when the answer does not have the plan's shape."""
    page = operation["page"]
    where = page["items"] if page else None
    found = at(answer.body, where) if where else answer.body
    if not isinstance(found, list):
        raise Failed(f"{operation['id']} did not answer with a list")
    return found


def at(body: Any, name: str) -> Any:
    """A member by its dotted name; None where there is none."""
    for part in name.split("."):
        body = body.get(part) if isinstance(body, dict) else None
    return body


def parameter(operation: Json, role: str) -> Json | None:
    """The query parameter that plays a role, by its field."""
    for one in operation["parameters"]:
        if one["location"] == "query" and one["role"] == role:
            found: Json = one["field"]
            return found
    return None


def required(operation: Json, world: World) -> Json:
    """Values for query parameters that the list cannot do without."""
    given = world.plan["samples"].get(f"{operation['id']}#query", [])
    known = given[0] if given else {}
    names = [
        one["field"]["name"]
        for one in operation["parameters"]
        if one["location"] == "query" and one["field"]["required"]
    ]
    return {name: known[name] for name in names if name in known}


def pages(
    world: World, operation: Json, path: Json, query: Json, limit: int
) -> Iterator[list[Any]]:
    """All pages of a list, one after the other, until one is empty or the list is at its end."""
    page = operation["page"]
    asked = {**required(operation, world), **query}
    sized = parameter(operation, "limit")
    if page and sized is not None:
        asked[sized["name"]] = limit
    turn = next((r for r in ("offset", "page", "cursor") if parameter(operation, r)), None)
    seen = 0
    for number in range(PAGES):
        if turn in {"offset", "page"}:
            name = (parameter(operation, turn) or {})["name"]
            asked[name] = seen if turn == "offset" else page["first_page"] + number
        answer = world.client.send(operation, path, asked)
        expect(answer, operation["success"], operation["id"])
        found = items(operation, answer)
        seen += len(found)
        yield found
        if not found or turn is None:
            return
        if turn == "cursor":
            following = _next_cursor(page, answer)
            if following is None:
                return
            asked[(parameter(operation, "cursor") or {})["name"]] = following
        elif sized is not None and len(found) < limit:
            return
    raise Failed(f"{operation['id']} never came to its last page")


def _next_cursor(page: Json, answer: Answer) -> Any:
    name = next((one for one, holds in page["echo"].items() if holds == "next_cursor"), None)
    return at(answer.body, name) if name else None


def page_size(operation: Json) -> int:
    """A large page, within what the document allows."""
    page = operation["page"]
    sized = parameter(operation, "limit")
    most = (sized or {"limits": {"maximum": None}})["limits"]["maximum"]
    return int(most if most is not None else page["max_limit"] if page else 50)


def everything(world: World, operation: Json, path: Json, query: Json | None = None) -> list[Any]:
    """Every item of a list."""
    size = page_size(operation)
    return [one for page in pages(world, operation, path, query or {}, size) for one in page]


def same_row(world: World, item: Any, row: Row) -> bool:
    """Whether a list's item is the row: by its key, or by all that was sent where no key is shown."""
    if not isinstance(item, dict):
        return False
    name = world.key_field(row.entity)["name"]
    if name in item:
        return str(item[name]) == str(row.key)
    return bool(row.sent) and all(
        item.get(one) == value for one, value in row.sent.items() if one in item
    )
