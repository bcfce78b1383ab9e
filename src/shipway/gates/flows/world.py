"""Makes the rows that flows need: bodies from the plan's samples, parents and references first."""

from __future__ import annotations

import copy
import random
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

from shipway.gates.flows.client import Answer, Client, Failed, Impossible, Json
from shipway.gates.flows.values import fresh, unknown

SEED = 20_240_501


@dataclass
class Row:
    """A row that was made: its entity, its key, what was sent, what came back, and its parents."""

    entity: Json
    key: Any
    sent: Json
    got: Any
    path: Json


@dataclass
class World:
    """The plan with an index, a client, and chance with a fixed seed."""

    plan: Json
    client: Client
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311
    making: list[str] = field(default_factory=list)
    used: dict[str, set[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.operations: dict[str, Json] = {one["id"]: one for one in self.plan["operations"]}
        self.entities: dict[str, Json] = {one["name"]: one for one in self.plan["entities"]}
        self.models: dict[str, Json] = {one["name"]: one for one in self.plan["models"]}

    # -- looking things up ------------------------------------------------------------------------

    def entity_of(self, operation: Json) -> Json:
        name = operation["entity"]
        if name not in self.entities:
            raise Impossible(f"operation {operation['id']} has no entity")
        return self.entities[name]

    def find(self, entity: Json, behaviour: str, among: list[str] | None = None) -> Json | None:
        """An operation of the entity with a behaviour; those of the check at hand come first."""
        named = [self.operations[one] for one in among or () if one in self.operations]
        for operation in (*named, *self.operations.values()):
            if operation["entity"] == entity["name"] and operation["behaviour"] == behaviour:
                return operation
        return None

    def need(self, entity: Json, behaviour: str, among: list[str] | None = None) -> Json:
        found = self.find(entity, behaviour, among)
        if found is None:
            raise Impossible(f"{entity['name']} has no operation to {behaviour}")
        return found

    def column(self, entity: Json, name: str | None) -> Json | None:
        return next((one for one in entity["columns"] if one["column"] == name), None)

    def key_field(self, entity: Json) -> Json:
        column = self.column(entity, entity["key"])
        if column is None:
            raise Impossible(f"{entity['name']} has no key")
        found: Json = column["field"]
        return found

    def fields(self, model: str | None) -> dict[str, Json]:
        """The fields of a model by their names on the wire."""
        found = self.models.get(model or "")
        return {one["name"]: one for one in found["fields"]} if found else {}

    def status(self, operation: Json, reason: str, fallback: int) -> int:
        """The status that the plan gives an error of the operation."""
        return next(
            (int(e["status"]) for e in operation["errors"] if e["reason"] == reason), fallback
        )

    # -- making rows ------------------------------------------------------------------------------

    def make(
        self, entity: Json, among: list[str] | None = None, *, sample: int = 0,
        change: Json | None = None, path: Json | None = None,
    ) -> Row:  # fmt: skip
        """A new row through the service; raises Failed when a well-formed create is refused."""
        if entity["name"] in self.making:
            raise Impossible(f"{entity['name']} refers to itself")
        self.making.append(entity["name"])
        try:
            return self._make(entity, among, sample, change or {}, path)
        finally:
            self.making.pop()

    def _make(
        self, entity: Json, among: list[str] | None, sample: int, change: Json, path: Json | None
    ) -> Row:
        operation = self.find(entity, "create", among)
        if operation is None:
            return self._make_by_replace(entity, among, sample, change)
        body = {**self.body(operation, sample), **change}
        where = self.parents(operation) if path is None else path
        answer = self.client.send(operation, where, body=body)
        expect(answer, operation["success"], f"{operation['id']} with a well-formed body")
        return Row(entity, self.key_of(entity, answer, body), body, answer.body, where)

    def _make_by_replace(
        self, entity: Json, among: list[str] | None, sample: int, change: Json
    ) -> Row:
        operation = self.need(entity, "replace", among)
        if operation["created"] is None:
            raise Impossible(f"{entity['name']} has no operation that creates")
        body = {**self.body(operation, sample), **change}
        where = {**self.parents(operation), **self.new_key(operation, sample)}
        answer = self.client.send(operation, where, body=body)
        expect(answer, operation["created"], f"{operation['id']} with a new key")
        return Row(
            entity,
            next(iter(self.new_key_names(operation, where).values())),
            body,
            answer.body,
            where,
        )

    def new_key_names(self, operation: Json, where: Json) -> Json:
        names = [p["field"]["name"] for p in operation["parameters"] if p["role"] == "key"]
        return {name: where[name] for name in names if name in where}

    def new_key(self, operation: Json, sample: int) -> Json:
        """Path values for a key that the client chooses, changed so that it is new."""
        given = self.plan["samples"].get(f"{operation['id']}#path", [])
        made = {}
        for parameter in operation["parameters"]:
            if parameter["role"] == "key":
                known = (
                    given[sample % len(given)].get(parameter["field"]["name"]) if given else None
                )
                used = self.used.setdefault(f"{operation['entity']}#{operation['path']}", set())
                made[parameter["field"]["name"]] = unknown(
                    parameter["field"], known, self.chance, used
                )
        return made

    def body(self, operation: Json, sample: int = 0) -> Json:
        """A body that the operation accepts: fresh where it must be unique, references to new rows."""
        samples = self.plan["samples"].get(operation["id"], [])
        if not samples:
            if operation["request_model"] is None:
                return {}
            raise Impossible(f"the plan has no sample for {operation['id']}")
        body: Json = copy.deepcopy(samples[sample % len(samples)])
        entity = self.entity_of(operation)
        unique = {name for rule in entity["unique"] for name in rule["columns"]}
        for column in entity["columns"]:
            name = column["field"]["name"]
            if name not in body:
                continue
            if column["reference"]:
                self._refer(body, name, column)
            elif (
                column["unique"] or column["column"] in unique or column["column"] == entity["key"]
            ):
                used = self.used.setdefault(f"{entity['name']}.{name}", set())
                body[name] = fresh(column["field"], body[name], self.chance, used)
        return body

    def _refer(self, body: Json, name: str, column: Json) -> None:
        """The key of a new row in the place of a placeholder; an optional circle is left open."""
        if body[name] is None:
            return
        target = column["reference"]["entity"]
        if target in self.making:
            if column["field"]["required"]:
                raise Impossible(f"{target} needs a row that needs it in turn")
            del body[name]
            return
        body[name] = self.make(self.entities[target]).key

    def parents(self, operation: Json) -> Json:
        """Path values for the rows above: each a new one."""
        made: Json = {}
        for parameter in operation["parameters"]:
            if parameter["location"] == "path" and parameter["role"] == "parent":
                parent = self.entity_of(operation)["parent"]
                if parent is None:
                    raise Impossible(
                        f"{operation['id']} names a parent that the plan does not know"
                    )
                made[parameter["field"]["name"]] = self.make(self.entities[parent["entity"]]).key
        return made

    def at(self, operation: Json, row: Row, key: Any = None) -> Json:
        """The path values with which an operation reaches a row, or one beside it with another key."""
        found: Json = {}
        for parameter in operation["parameters"]:
            name = parameter["field"]["name"]
            if parameter["location"] != "path":
                continue
            if parameter["role"] == "key":
                found[name] = row.key if key is None else key
            elif parameter["role"] == "parent":
                found[name] = self._above(row, name)
        return found

    def _above(self, row: Row, name: str) -> Any:
        """The key of the row's parent: from its path, or from the column that holds it."""
        if name in row.path:
            return row.path[name]
        if row.path:
            return next(iter(row.path.values()))
        column = self.column(row.entity, row.entity["parent_column"])
        if column and column["field"]["name"] in row.sent:
            return row.sent[column["field"]["name"]]
        raise Impossible(f"the parent of this {row.entity['name']} is not known")

    def key_of(self, entity: Json, answer: Answer, body: Json) -> Any:
        """The new row's key: from the answer, from Location, or what the client chose."""
        name = self.key_field(entity)["name"]
        if isinstance(answer.body, dict) and name in answer.body:
            return answer.body[name]
        if "location" in answer.headers:
            last = (
                urllib.parse.urlsplit(answer.headers["location"])
                .path.rstrip("/")
                .rpartition("/")[2]
            )
            return urllib.parse.unquote(last)
        if name in body:
            return body[name]
        raise Failed(f"the answer does not say which {entity['name']} was made")


def expect(answer: Answer, status: int, what: str) -> None:
    """Raises Failed unless the answer has the status."""
    if answer.status != status:
        said = answer.raw[:200].decode("utf-8", "replace")
        raise Failed(f"{what} answered {answer.status}, not {status}: {said}")
