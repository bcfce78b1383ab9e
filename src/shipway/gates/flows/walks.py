"""One function for each kind of acceptance check: what a client does, and what it must see."""

from __future__ import annotations

from typing import Any

from shipway.gates.flows.client import Answer, Failed, Impossible, Json
from shipway.gates.flows.lists import (
    everything,
    items,
    page_size,
    pages,
    parameter,
    required,
    same_row,
)
from shipway.gates.flows.values import fits, fresh, same, unknown
from shipway.gates.flows.world import Row, World, expect

Check = Json


def agree(world: World, operation: Json, sent: Json, got: Any, what: str) -> None:
    """Raises Failed unless what came back holds what was sent."""
    if not isinstance(got, dict):
        raise Failed(f"{what} did not answer with an object")
    shown = world.fields(operation["response_model"])
    given = world.fields(operation["request_model"])
    for name, value in sent.items():
        field = given.get(name)
        if name not in shown or (field and (field["write_only"] or field["read_only"])):
            continue
        if name not in got and value is None:
            continue
        if not same(shown[name], value, got.get(name)):
            raise Failed(f"{what} does not give back what was sent as {name}")


def subject(world: World, check: Check, *behaviours: str) -> Json:
    """The operation of the check that it is about."""
    for name in check["operations"]:
        operation = world.operations.get(name)
        if operation is not None and operation["behaviour"] in behaviours:
            return operation
    raise Impossible(f"the check names no operation to {' or '.join(behaviours)}")


def read_back(world: World, row: Row, among: list[str]) -> Json | None:
    """The row as a read gives it; None when the service has no way to read one."""
    operation = world.find(row.entity, "read", among)
    if operation is None:
        return None
    answer = world.client.send(operation, world.at(operation, row))
    expect(answer, operation["success"], f"{operation['id']} of a row that was made")
    if not isinstance(answer.body, dict):
        raise Failed(f"{operation['id']} did not answer with an object")
    return answer.body


def create_read(world: World, check: Check) -> None:
    """What POST stored GET returns, and two inputs give two outputs."""
    create = subject(world, check, "create", "replace")
    entity = world.entity_of(create)
    rows = [world.make(entity, check["operations"], sample=number) for number in (0, 1)]
    if str(rows[0].key) == str(rows[1].key):
        raise Failed(f"two {entity['name']} rows got the same key")
    reading = world.find(entity, "read", check["operations"])
    for row in rows:
        if create["response_model"]:
            agree(world, create, row.sent, row.got, create["id"])
        got = read_back(world, row, check["operations"])
        if got is not None and reading is not None:
            agree(world, reading, row.sent, got, reading["id"])


def list_contains(world: World, check: Check) -> None:
    listing = subject(world, check, "list")
    row = world.make(world.entity_of(listing), check["operations"])
    found = everything(world, listing, world.at(listing, row))
    hits = sum(same_row(world, item, row) for item in found)
    if hits != 1:
        raise Failed(f"{listing['id']} lists the new row {hits} times, not once")


def changed(world: World, check: Check, behaviour: str) -> None:
    operation = subject(world, check, behaviour)
    row = world.make(world.entity_of(operation), check["operations"])
    before = read_back(world, row, check["operations"])
    body = world.body(operation, 0)
    answer = world.client.send(operation, world.at(operation, row), body=body)
    expect(answer, operation["success"], f"{operation['id']} with a well-formed body")
    if operation["response_model"]:
        agree(world, operation, body, answer.body, operation["id"])
    after = read_back(world, row, check["operations"])
    reading = world.find(row.entity, "read", check["operations"])
    if after is None or before is None or reading is None:
        return
    agree(world, reading, body, after, f"{reading['id']} after {operation['id']}")
    if behaviour == "patch":
        _untouched(row, before, after, body)


def _untouched(row: Row, before: Json, after: Json, body: Json) -> None:
    """A patch leaves alone what it does not name, but for what the service fills in itself."""
    filled = {c["field"]["name"] for c in row.entity["columns"] if c["field"]["server"] != "none"}
    for name in row.sent:
        if (
            name in before
            and name not in body
            and name not in filled
            and before[name] != after.get(name)
        ):
            raise Failed(f"a patch that did not name {name} changed it")


def replace(world: World, check: Check) -> None:
    changed(world, check, "replace")


def patch(world: World, check: Check) -> None:
    changed(world, check, "patch")


def delete(world: World, check: Check) -> None:
    operation = subject(world, check, "delete")
    row = world.make(world.entity_of(operation), check["operations"])
    where = world.at(operation, row)
    expect(world.client.send(operation, where), operation["success"], operation["id"])
    gone = world.status(operation, "not_found", 404)
    expect(world.client.send(operation, where), gone, f"{operation['id']} of a row that is gone")
    reading = world.find(row.entity, "read", check["operations"])
    if reading is not None:
        answer = world.client.send(reading, world.at(reading, row))
        expect(
            answer,
            world.status(reading, "not_found", 404),
            f"{reading['id']} of a row that is gone",
        )


def rules(entity: Json) -> list[Json]:
    """Every rule of uniqueness of an entity, single columns included."""
    single = [
        {"columns": [c["column"]], "while_field": None, "while_values": []}
        for c in entity["columns"]
        if c["unique"] and not c["field"]["read_only"] and c["field"]["server"] == "none"
    ]
    known = [one["columns"] for one in entity["unique"] if one["while_field"] is None]
    return [*entity["unique"], *(one for one in single if one["columns"] not in known)]


def unique(world: World, check: Check) -> None:
    operation = subject(world, check, "create", "replace", "patch")
    entity = world.entity_of(operation)
    tried = 0
    for rule in rules(entity):
        names = [c["field"]["name"] for c in entity["columns"] if c["column"] in rule["columns"]]
        first = world.make(entity, check["operations"], change=_while(world, entity, rule))
        copied = {name: first.sent[name] for name in names if first.sent.get(name) is not None}
        above = entity["parent_column"] in rule["columns"]
        if not copied and not above:
            continue
        answer = _again(world, operation, entity, first, copied, above=above, rule=rule)
        conflict = world.status(operation, "conflict", 409)
        expect(
            answer,
            conflict,
            f"{operation['id']} with a {', '.join(names) or 'place'} that is taken",
        )
        tried += 1
    if not tried:
        raise Impossible(f"no client can set what is unique of {entity['name']}")


def _again(
    world: World, operation: Json, entity: Json, first: Row, copied: Json, *, above: bool, rule: Json
) -> Answer:  # fmt: skip
    """The same unique values a second time, by a create, or by a change of another row."""
    if operation["behaviour"] == "create":
        body = {**world.body(operation, 1), **_while(world, entity, rule), **copied}
        where = first.path if above else world.parents(operation)
        return world.client.send(operation, where, body=body)
    other = world.make(entity, sample=1, path=first.path if above else None)
    body = {**world.body(operation, 0), **copied} if operation["behaviour"] == "replace" else copied
    return world.client.send(operation, world.at(operation, other), body=body)


def _while(world: World, entity: Json, rule: Json) -> Json:
    """What a body must say for a conditional rule to hold, when a client can say it on creation."""
    column = world.column(entity, rule["while_field"])
    create = world.find(entity, "create")
    if (
        column is None
        or create is None
        or column["field"]["name"] not in world.fields(create["request_model"])
    ):
        return {}
    return {column["field"]["name"]: rule["while_values"][0]} if rule["while_values"] else {}


def reference(world: World, check: Check) -> None:
    """A key that no row has is refused, and a row that others refer to is kept or taken along."""
    tried = 0
    for name in check["operations"]:
        operation = world.operations.get(name)
        if operation is None:
            continue
        if operation["behaviour"] in {"create", "replace", "patch"}:
            tried += _dangling(world, operation)
        elif operation["behaviour"] == "delete":
            tried += _referred(world, operation)
    if not tried:
        raise Impossible("no client can set a reference")


def _dangling(world: World, operation: Json) -> int:
    entity = world.entity_of(operation)
    fields = world.fields(operation["request_model"])
    tried = 0
    for column in entity["columns"]:
        name = column["field"]["name"]
        if not column["reference"] or name not in fields:
            continue
        body = world.body(operation)
        body[name] = unknown(fields[name], body.get(name), world.chance)
        if operation["behaviour"] == "create":
            where = world.parents(operation)
        else:
            where = world.at(operation, world.make(entity))
        answer = world.client.send(operation, where, body=body)
        refused = world.status(operation, "reference", world.status(operation, "not_found", 404))
        expect(answer, refused, f"{operation['id']} with a {name} that no row has")
        tried += 1
    return tried


def _referred(world: World, operation: Json) -> int:
    """Delete a row that another one refers to."""
    tried = 0
    target = world.entity_of(operation)
    for entity in world.entities.values():
        for column in entity["columns"]:
            refers = column["reference"]
            if not refers or refers["entity"] != target["name"] or entity is target:
                continue
            child = world.make(entity)
            key = child.sent.get(column["field"]["name"])
            if entity["parent_column"] == column["column"]:
                key = next(iter(child.path.values()), key)
            if key is None:
                continue
            parent = Row(target, key, {}, None, {})
            answer = world.client.send(operation, world.at(operation, parent))
            _kept_or_taken(world, operation, refers["on_delete"], answer, child)
            tried += 1
    return tried


def _kept_or_taken(world: World, operation: Json, rule: str, answer: Answer, child: Row) -> None:
    if rule == "refuse":
        kept = world.status(operation, "reference", world.status(operation, "conflict", 409))
        allowed = {kept, world.status(operation, "conflict", kept)}
        if answer.status not in allowed:
            expect(answer, kept, f"{operation['id']} of a row that others refer to")
        return
    expect(answer, operation["success"], f"{operation['id']} of a row that others refer to")
    reading = world.find(child.entity, "read")
    if rule == "cascade" and reading is not None:
        gone = world.client.send(reading, world.at(reading, child))
        expect(
            gone, world.status(reading, "not_found", 404), f"{reading['id']} of a row taken along"
        )


def not_found(world: World, check: Check) -> None:
    for name in check["operations"]:
        operation = world.operations.get(name)
        keys = [p for p in (operation or {}).get("parameters", []) if p["role"] == "key"]
        if operation is None or not keys or operation["created"] is not None:
            continue
        row = world.make(world.entity_of(operation))
        missing = unknown(keys[-1]["field"], row.key, world.chance)
        bodied = operation["behaviour"] in {"replace", "patch"}
        body = world.body(operation) if bodied else None
        answer = world.client.send(operation, world.at(operation, row, missing), body=body)
        expect(answer, world.status(operation, "not_found", 404), f"{operation['id']} of no row")


def invalid(world: World, check: Check) -> None:
    tried = 0
    for name in check["operations"]:
        operation = world.operations.get(name)
        if operation is None or operation["behaviour"] == "unimplemented":
            continue
        refused = world.status(operation, "invalid", 422)
        if operation["request_model"]:
            tried += _invalid_bodies(world, operation, refused)
        tried += _invalid_queries(world, operation, refused)
    if not tried:
        raise Impossible("the operations accept everything")


def _place(world: World, operation: Json) -> Json:
    if operation["behaviour"] == "create":
        return world.parents(operation)
    return world.at(operation, world.make(world.entity_of(operation)))


def _invalid_bodies(world: World, operation: Json, refused: int) -> int:
    where = _place(world, operation)
    good = world.body(operation)
    bad: dict[str, Any] = {"a list instead of an object": [good]}
    for name, field in world.fields(operation["request_model"]).items():
        if field["read_only"]:
            continue
        if field["required"] and operation["behaviour"] != "patch" and name in good:
            bad.setdefault("a missing field", {k: v for k, v in good.items() if k != name})
        if field["type"] != "any" and name in good:
            wrong: Any = "text" if field["type"] == "object" else {"not": "this"}
            bad.setdefault("a field of the wrong type", {**good, name: wrong})
        if field["enum"]:
            bad.setdefault("a word that is not offered", {**good, name: "no-such-word"})
        most = field["limits"]["max_length"]
        if most is not None and most < 10_000 and name in good:
            bad.setdefault("a text that is too long", {**good, name: "x" * (most + 1)})
    for what, body in bad.items():
        answer = world.client.send(operation, where, body=body)
        expect(answer, refused, f"{operation['id']} with {what}")
    cut = world.client.send(operation, where, raw=b'{"cut off": ')
    if not 400 <= cut.status < 500:
        expect(cut, refused, f"{operation['id']} with a body that is cut off")
    return len(bad) + 1


def _invalid_queries(world: World, operation: Json, refused: int) -> int:
    limit = parameter(operation, "limit")
    if limit is None or limit["limits"]["minimum"] is None or operation["behaviour"] != "list":
        return 0
    asked = {**required(operation, world), limit["name"]: int(limit["limits"]["minimum"]) - 1}
    where = world.parents(operation)
    answer = world.client.send(operation, where, asked)
    expect(answer, refused, f"{operation['id']} with a {limit['name']} that is too small")
    return 1


def unauthorised(world: World, check: Check) -> None:
    tried = 0
    for name in check["operations"]:
        operation = world.operations.get(name)
        if operation is None or not world.client.needed(operation):
            continue
        where, body = _guarded(world, operation)
        refused = world.status(operation, "unauthorised", 401)
        for auth, what in (("none", "without a proof"), ("wrong", "with a wrong proof")):
            answer = world.client.send(operation, where, body=body, auth=auth)
            expect(answer, refused, f"{operation['id']} {what} of who asks")
            tried += 1
    if not tried:
        raise Impossible("every operation is open")


def _guarded(world: World, operation: Json) -> tuple[Json, Json | None]:
    body = None
    if operation["behaviour"] in {"create", "replace", "patch"}:
        body = world.body(operation)
    if operation["behaviour"] in {"create", "list"}:
        return world.parents(operation), body
    return world.at(operation, world.make(world.entity_of(operation))), body


def filters(world: World, check: Check) -> None:
    listing = subject(world, check, "list")
    entity = world.entity_of(listing)
    first = world.make(entity, check["operations"], sample=0)
    rows = [first, world.make(entity, check["operations"], sample=1, path=first.path or None)]
    where = world.at(listing, first)
    known = {
        id(row): read_back(world, row, []) or _as_listed(world, listing, where, row) for row in rows
    }
    tried = 0
    for one in listing["parameters"]:
        if one["location"] == "query" and one["role"] == "filter":
            tried += _filtered(world, listing, where, one, [(row, known[id(row)]) for row in rows])
    if not tried:
        raise Impossible(f"no filter of {listing['id']} has a value to ask for")


def _as_listed(world: World, listing: Json, where: Json, row: Row) -> Json:
    for item in everything(world, listing, where):
        if same_row(world, item, row):
            found: Json = item
            return found
    raise Failed(f"{listing['id']} does not list a new row")


def _filtered(
    world: World, listing: Json, where: Json, one: Json, rows: list[tuple[Row, Json]]
) -> int:
    entity = rows[0][0].entity
    columns = [one["column"], *one["columns"]] if one["column"] else one["columns"]
    names = [c["field"]["name"] for c in entity["columns"] if c["column"] in columns]
    asked = next((rows[0][1][n] for n in names if rows[0][1].get(n) not in (None, "", [])), None)
    if isinstance(asked, list):
        asked = asked[0]
    if asked is None or isinstance(asked, dict):
        return 0
    if one["comparison"] in {"contains", "prefix"}:
        asked = str(asked)[: max(3, one["field"]["limits"]["min_length"] or 0)].strip()
    found = everything(world, listing, where, {one["field"]["name"]: asked})

    def belongs(item: Json) -> bool:
        return any(fits(one["comparison"], item.get(name), asked) for name in names)

    label = f"{listing['id']} filtered by {one['field']['name']}"
    for item in found:
        if isinstance(item, dict) and set(names) <= set(item) and not belongs(item):
            raise Failed(f"{label} lists a row that does not fit")
    for row, got in rows:
        listed = any(same_row(world, item, row) for item in found)
        if listed != belongs(got) and set(names) <= set(got):
            raise Failed(
                f"{label} {'lists a row that does not fit' if listed else 'leaves out a row that fits'}"
            )
    return 1


def page(world: World, check: Check) -> None:
    listing = subject(world, check, "list")
    plan = listing["page"]
    if not plan or plan["style"] == "none":
        raise Impossible(f"{listing['id']} is not paged")
    entity = world.entity_of(listing)
    first = world.make(entity, check["operations"])
    beside = first.path or None
    rows = [
        first,
        *(world.make(entity, check["operations"], sample=n, path=beside) for n in (1, 2)),
    ]
    where = world.at(listing, first)
    sized = parameter(listing, "limit")
    limit = _small(sized, page_size(listing)) if sized else plan["default_limit"]
    seen: list[Any] = []
    for part in pages(world, listing, where, {}, limit):
        if sized and len(part) > limit:
            raise Failed(
                f"a page of {listing['id']} has {len(part)} items where {limit} were asked for"
            )
        seen += part
    for row in rows:
        hits = sum(same_row(world, item, row) for item in seen)
        if hits != 1:
            raise Failed(f"over all pages {listing['id']} lists a row {hits} times, not once")
    _total(world, listing, where, len(seen))


def _small(sized: Json, most: int) -> int:
    return max(2, int(sized["limits"]["minimum"] or 1)) if most >= 2 else most


def _total(world: World, listing: Json, where: Json, number: int) -> None:
    from shipway.gates.flows.lists import at

    name = listing["page"]["total"]
    answer = world.client.send(listing, where, required(listing, world))
    expect(answer, listing["success"], listing["id"])
    items(listing, answer)
    if name and at(answer.body, name) != number:
        raise Failed(
            f"{listing['id']} says that there are {at(answer.body, name)} rows; there are {number}"
        )


def nested(world: World, check: Check) -> None:
    """Rows below one parent are not seen below another, and there is nothing below no parent."""
    create = subject(world, check, "create", "list")
    entity = world.entity_of(create)
    if create["behaviour"] == "create":
        first, second = (
            world.make(entity, check["operations"]),
            world.make(entity, check["operations"], sample=1),
        )
    else:
        first, second = world.make(entity), world.make(entity, sample=1)
    listing = next(
        (
            o
            for n in check["operations"]
            if (o := world.operations.get(n)) and o["behaviour"] == "list"
        ),
        None,
    )
    if listing is not None:
        found = everything(world, listing, world.at(listing, first))
        if not any(same_row(world, item, first) for item in found):
            raise Failed(f"{listing['id']} does not list a row below its parent")
        if any(same_row(world, item, second) for item in found):
            raise Failed(f"{listing['id']} lists a row of another parent")
    for operation in filter(None, (listing, create if create["behaviour"] == "create" else None)):
        _below_nothing(world, operation, first)


def _below_nothing(world: World, operation: Json, row: Row) -> None:
    parents = [
        p for p in operation["parameters"] if p["role"] == "parent" and p["location"] == "path"
    ]
    if not parents:
        return
    where = world.at(operation, row)
    name = parents[-1]["field"]["name"]
    where[name] = unknown(parents[-1]["field"], where[name], world.chance)
    body = world.body(operation) if operation["behaviour"] == "create" else None
    answer = world.client.send(operation, where, body=body)
    expect(answer, world.status(operation, "not_found", 404), f"{operation['id']} below no row")


def unimplemented(world: World, check: Check) -> None:
    tried = 0
    for name in check["operations"]:
        operation = world.operations.get(name)
        if operation is None:
            continue
        where = {
            p["field"]["name"]: fresh(p["field"], _placeholder(p["field"]), world.chance)
            for p in operation["parameters"]
            if p["location"] == "path"
        }
        samples = world.plan["samples"].get(name, [])
        query = world.plan["samples"].get(f"{name}#query", [{}])
        answer = world.client.send(
            operation, where, query[0] if query else {}, samples[0] if samples else None
        )
        expect(answer, 501, f"{name}, which is not implemented,")
        tried += 1
    if not tried:
        raise Impossible("the check names no operation")


def _placeholder(field: Json) -> Any:
    return 1 if field["type"] in {"integer", "number"} else (field["enum"] or ["something"])[0]


WALKS = {
    "create_read": create_read,
    "list_contains": list_contains,
    "replace": replace,
    "patch": patch,
    "delete": delete,
    "unique": unique,
    "reference": reference,
    "not_found": not_found,
    "invalid": invalid,
    "unauthorised": unauthorised,
    "filter": filters,
    "page": page,
    "nested": nested,
    "unimplemented": unimplemented,
}
