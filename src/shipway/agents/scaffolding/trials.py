"""The tests of the project: one function for each acceptance check of the plan."""

from __future__ import annotations

from typing import Any

from shipway.agents.scaffolding import words
from shipway.agents.scaffolding.layout import Call, Part, lay
from shipway.agents.scaffolding.names import Names
from shipway.agents.scaffolding.problems import Problems
from shipway.agents.scaffolding.rowmaking import RowMaking
from shipway.agents.scaffolding.stores import counts
from shipway.contracts.service_plan import (
    Check,
    ColumnPlan,
    EntityPlan,
    FieldPlan,
    OperationPlan,
    ParameterPlan,
)

_OWN = frozenset({"eq", "ge", "le", "contains", "prefix", "in"})


class Trials:
    """Turns checks into test functions, grouped by entity."""

    def __init__(self, names: Names, problems: Problems, making: RowMaking) -> None:
        self.names, self.problems, self.making = names, problems, making
        self.by_id = {one.id: one for one in names.plan.operations}
        self.taken: set[str] = set()

    def view(self) -> list[dict[str, Any]]:
        files: dict[str, list[dict[str, Any]]] = {}
        for check in self.names.plan.checks:
            made = self._trial(check)
            if made is None:
                continue
            entity = self.by_id[check.operations[0]].entity
            module = self.names.modules[entity] if entity else "other"
            files.setdefault(module, []).append(made)
        return [
            {
                "module": module,
                "title": words.docstring(
                    f"{module.strip('_').replace('_', ' ').capitalize()}: what the document promises."
                ),
                "trials": trials,
                "uses_copy": any("copy." in line for one in trials for line in one["lines"]),
                "uses_samples": any("samples." in line for one in trials for line in one["lines"]),
            }
            for module, trials in files.items()
        ]

    def _trial(self, check: Check) -> dict[str, Any] | None:
        build = {
            "create_read": self._create_read, "persists": self._persists,
            "list_contains": self._list_contains, "nested": self._nested, "page": self._page,
            "filter": self._filter, "replace": self._change, "patch": self._change,
            "delete": self._delete, "unique": self._unique, "reference": self._reference,
            "not_found": self._not_found, "invalid": self._invalid,
            "unauthorised": self._unauthorised, "unimplemented": self._unimplemented,
        }[check.kind]  # fmt: skip
        lines = build(check, [self.by_id[one] for one in check.operations])
        if lines is None:
            return None
        wish = words.snake(check.title)[:70].strip("_")
        name = words.unused(f"test_{wish}", self.taken)
        self.taken.add(name)
        source = "\n".join(lines)
        fixtures: list[Part] = [
            f"{fixture}: {kind}"
            for fixture, kind in (("call", "Call"), ("rows", "Rows"), ("restart", "Restart"))
            if f"{fixture}(" in source or f"{fixture}." in source
        ]
        head = lay(Call(f"def {name}(", fixtures, ") -> None:"))
        return {
            "head": head,
            "lines": lines,
            "fixtures": [str(one).split(": ")[1] for one in fixtures],
        }

    # -- pieces -------------------------------------------------------------------------------

    def _makes(self, operation: OperationPlan, number: int = 1) -> EntityPlan | None:
        """The entity that an operation is about, if tests can make ``number`` rows of it."""
        if operation.entity is None or operation.entity not in self.making.makers:
            return None
        entity = self.names.entity(operation.entity)
        needed = [entity.name, *self._needed(entity.name, set())]
        enough = all(
            self.making.samples(self.names.entity(one)) >= number
            for one in needed if one in self.making.makers
        )  # fmt: skip
        return entity if enough else None

    def _needed(self, name: str, seen: set[str]) -> set[str]:
        if name in seen or name not in self.making.makers:
            return seen
        seen.add(name)
        maker = self.making.makers[name]
        for column, _ in self.making.references(maker):
            if column.reference:
                self._needed(column.reference.entity, seen)
        parent = self.names.entity(name).parent
        if parent:
            self._needed(parent.entity, seen)
        return seen

    def _row(self, entity: EntityPlan, number: int = 0) -> str:
        return f"rows.{self.names.modules[entity.name]}({number or ''})"

    def _key(self, entity: EntityPlan) -> str:
        return words.literal(self.names.key(entity).field.name)

    def _call(self, operation: OperationPlan, address: str, *more: str, guard: bool = True) -> Call:
        parts: list[Part] = [f'"{operation.method.upper()}"', address, *more]
        found = self.making.guard(operation).removeprefix(", ")
        return Call("call(", [*parts, *([found] if guard and found else [])], ")")

    def _said(self, call: Call, name: str = "answer", indent: int = 4) -> str:
        return lay(Call(f"{name} = {call.head}", call.parts, call.tail), indent)

    def _at(self, operation: OperationPlan, entity: EntityPlan, row: str = "made") -> str:
        return self.making.address(operation, "0", "rows", f"{row}[{self._key(entity)}]")

    def _status(self, operation: OperationPlan, kind: str) -> int:
        return self.problems.status(operation, kind)

    def _items(self, operation: OperationPlan, answer: str) -> str:
        source = f"{answer}.json()"
        inside = operation.page.items if operation.page else None
        for part in inside.split(".") if inside else ():
            source += f"[{words.literal(part)}]"
        return source

    def _found(self, operation: OperationPlan, answer: str) -> bool:
        return bool(operation.response_model) and bool(answer)

    def _shown(self, operation: OperationPlan) -> set[str]:
        if not operation.response_model:
            return set()
        model = self.names.model(operation.response_model)
        return {one.name for one in model.fields if not one.write_only}

    # -- rows come back -----------------------------------------------------------------------

    def _create_read(self, check: Check, operations: list[OperationPlan]) -> list[str] | None:
        entity = self._makes(operations[0])
        if entity is None or len(operations) < 2:
            return None
        read = operations[1]
        lines = [
            f"made = {self._row(entity)}",
            self._said(self._call(read, self._at(read, entity))),
        ]
        lines.append(f"assert answer.status_code == {read.success}, answer.text")
        same = read.response_model == operations[0].response_model
        if same:
            lines.append("assert answer.json() == made")
        elif read.response_model and self.names.key(entity).field.name in self._shown(read):
            lines.append(f"assert answer.json()[{self._key(entity)}] == made[{self._key(entity)}]")
        return [*lines, *self._what_was_sent(operations[0])]

    def _what_was_sent(self, create: OperationPlan) -> list[str]:
        """The sample's own values are in the answer, where the wire writes them only one way."""
        if create.id != self.making.makers[str(create.entity)].id or not create.request_model:
            return []
        fields = {one.name: one for one in self.names.model(create.request_model).fields}
        shown = {one.name: one for one in self.names.model(str(create.response_model)).fields}
        references = {column.field.name for column, _ in self.making.references(create)}
        plain = {"string", "integer", "number", "boolean", "date", "email", "uri", "enum", "array"}
        names = [
            name for name in self.names.plan.samples[create.id][0]
            if name in fields and name in shown and name not in references
            and fields[name].type in plain and not shown[name].write_only
            and not fields[name].read_only
            and _item_type(fields[name]) in plain
        ]  # fmt: skip
        if not names:
            return []
        sample = f"samples.{self.making.constant(create.id)}[0]"
        listed = lay(Call("for name in (", [words.literal(one) for one in names], "):"), 4)
        if len(names) == 1:
            listed = f"for name in ({words.literal(names[0])},):"
        return [listed, f"    assert made[name] == {sample}[name]"]

    def _persists(self, check: Check, operations: list[OperationPlan]) -> list[str] | None:
        entity = self._makes(operations[0])
        if entity is None or len(operations) < 2:
            return None
        read = operations[1]
        call = self._call(read, self._at(read, entity))
        again = Call("again(", call.parts, ")")
        lines = [f"made = {self._row(entity)}", self._said(call, "before"), "again = restart()"]
        lines.append(self._said(again, "after"))
        return [*lines, "assert after.status_code == before.status_code",
                "assert after.json() == before.json()"]  # fmt: skip

    # -- lists --------------------------------------------------------------------------------

    def _list_call(self, operation: OperationPlan, *query: str, address: str | None = None) -> Call:
        where = address or self.making.address(operation, "0", "rows")
        extra = [*self._required_query(operation), *query]
        given = [f"query={{{', '.join(extra)}}}"] if extra else []
        return self._call(operation, where, *given)

    def _required_query(self, operation: OperationPlan) -> list[str]:
        values = self.names.plan.samples.get(f"{operation.id}#query") or [{}]
        return [
            f"{words.literal(one.field.name)}: {_text(values[0].get(one.field.name))}"
            for one in operation.parameters
            if one.location == "query" and one.field.required and one.role != "limit"
        ]

    def _list_contains(self, check: Check, operations: list[OperationPlan]) -> list[str] | None:
        entity = self._makes(operations[0])
        listing = operations[-1]
        if entity is None or self.names.key(entity).field.name not in self._shown(listing):
            return None
        lines = [f"made = {self._row(entity)}", self._said(self._list_call(listing))]
        lines.append(f"assert answer.status_code == {listing.success}, answer.text")
        keys = f"[one[{self._key(entity)}] for one in {self._items(listing, 'answer')}]"
        lines.append(f"assert {keys} == [made[{self._key(entity)}]]")
        page = listing.page
        if page and page.total and "." not in page.total:
            lines.append(f"assert answer.json()[{words.literal(page.total)}] == 1")
        return lines

    def _nested(self, check: Check, operations: list[OperationPlan]) -> list[str] | None:
        entity = self._makes(operations[0], 2)
        listing = operations[-1]
        if entity is None or self.names.key(entity).field.name not in self._shown(listing):
            return None
        if entity.parent is None or entity.parent.entity not in self.making.makers:
            return None
        if self.making.parent(self.making.makers[entity.name]) is None:
            return None
        keys = f"[one[{self._key(entity)}] for one in {self._items(listing, 'answer')}]"
        unknown = self.making.f_string(listing, self._unknown(listing))
        return [
            f"made, _other = {self._row(entity)}, {self._row(entity, 1)}",
            self._said(self._list_call(listing)),
            f"assert {keys} == [made[{self._key(entity)}]]",
            self._said(self._list_call(listing, address=unknown), "missing"),
            f"assert missing.status_code == {self._status(listing, 'not_found')}",
        ]

    def _page(self, check: Check, operations: list[OperationPlan]) -> list[str] | None:
        entity = self._makes(operations[0], 2)
        listing = operations[-1]
        roles = {one.role: one for one in listing.parameters if one.location == "query"}
        page = listing.page
        if entity is None or page is None or "limit" not in roles:
            return None
        if page.style == "cursor" or self.making.parent(listing):
            return None
        step = roles.get("page" if page.style == "page" else "offset")
        if step is None or self.names.key(entity).field.name not in self._shown(listing):
            return None
        key, limit = self._key(entity), words.literal(roles["limit"].field.name)
        if (roles["limit"].field.limits.minimum or 0) > 1:
            return None
        first = page.first_page if page.style == "page" else 0
        lines = [f"made = [{self._row(entity)}, {self._row(entity, 1)}]", "seen = []"]
        query = [f"{limit}: 1", f"{words.literal(step.field.name)}: number"]
        call = self._list_call(listing, *query)
        span = f"{first}, {first + 3}" if first else "3"
        lines += [f"for number in range({span}):"]
        lines.append("    " + self._said(call, indent=8))
        lines.append(f"    seen += [one[{key}] for one in {self._items(listing, 'answer')}]")
        if page.total and "." not in page.total:
            lines.append(f"    assert answer.json()[{words.literal(page.total)}] == 2")
        if "X-Total-Count" in listing.response_headers and counts(listing):
            lines.append('    assert answer.headers["X-Total-Count"] == "2"')
        lines.append(f"assert sorted(seen) == sorted(one[{key}] for one in made)")
        return lines

    def _filter(self, check: Check, operations: list[OperationPlan]) -> list[str] | None:
        entity = self._makes(operations[0], 2)
        listing = operations[-1]
        parameter = next(one for one in listing.parameters if one.field.name == check.parameter)
        name = parameter.columns[0] if parameter.columns else parameter.column
        if entity is None or name is None:
            return None
        column = self.names.column(entity, name)
        value = self._value_of(entity, column)
        if value is None or self.names.key(entity).field.name not in self._shown(listing):
            return None
        keys = f"{{one[{self._key(entity)}] for one in {self._items(listing, 'answer')}}}"
        query = f"{words.literal(parameter.field.name)}: {_filtering(parameter, value)}"
        lines = [self._said(self._list_call(listing, query))]
        lines.append(f"assert answer.status_code == {listing.success}, answer.text")
        inside = "in" if parameter.comparison in _OWN else "not in"
        lines.append(f"found = {keys}")
        lines.append(f"assert made[{self._key(entity)}] {inside} found")
        if (
            parameter.comparison != "eq"
            or len(parameter.columns) > 1
            or self.making.parent(listing)
        ):
            return [f"made = {self._row(entity)}", *lines]
        field = words.literal(column.field.name)
        same = f"(other[{self._key(entity)}] in found) == (other[{field}] == made[{field}])"
        made = f"made, other = {self._row(entity)}, {self._row(entity, 1)}"
        return [made, *lines, f"assert {same}"]

    def _value_of(self, entity: EntityPlan, column: ColumnPlan) -> str | None:
        """Where a test finds the value that the first row has in a column."""
        maker = self.making.makers[entity.name]
        name = column.field.name
        if name not in self._shown(maker) or column.field.type in {"array", "object", "any"}:
            return None
        sample = self.names.plan.samples[maker.id][0]
        known = sample.get(name) is not None or column.field.required
        return f"made[{words.literal(name)}]" if known else None

    # -- changes ------------------------------------------------------------------------------

    def _change(self, check: Check, operations: list[OperationPlan]) -> list[str] | None:
        entity = self._makes(operations[0])
        if entity is None or len(operations) < 2:
            return None
        change = operations[1]
        sample = f"samples.{self.making.constant(change.id)}[0]"
        lines = [f"made = {self._row(entity)}", f"body = copy.deepcopy({sample})"]
        lines += self.making.reference_lines(change, "0", "rows")
        lines.append(self._said(self._call(change, self._at(change, entity), "body=body")))
        lines.append(f"assert answer.status_code == {change.success}, answer.text")
        plain = self._plain_names(change)
        if plain and change.response_model:
            listed = ", ".join(words.literal(one) for one in plain)
            lines += [lay(Call("for name in [", [words.literal(o) for o in plain], "]:"), 4)
                      if len(plain) > 1 else f"for name in [{listed}]:"]  # fmt: skip
            lines.append("    assert answer.json()[name] == body[name]")
        if len(operations) > 2 and change.response_model == operations[2].response_model:
            read = operations[2]
            lines.append(self._said(self._call(read, self._at(read, entity)), "read"))
            lines.append("assert read.json() == answer.json()")
        return lines

    def _plain_names(self, change: OperationPlan) -> list[str]:
        fields = {one.name: one for one in self.names.model(str(change.request_model)).fields}
        kinds = {"string", "integer", "boolean", "date", "email", "uri", "enum"}
        entity = self.names.entity(str(change.entity))
        stored = {one.field.name for one in entity.columns if one.column != entity.key}
        references = {column.field.name for column, _ in self.making.references(change)}
        return [
            name for name in self.names.plan.samples[change.id][0]
            if name in fields and fields[name].type in kinds and name in self._shown(change)
            and name in stored and name not in references and not fields[name].read_only
        ]  # fmt: skip

    def _delete(self, check: Check, operations: list[OperationPlan]) -> list[str] | None:
        entity = self._makes(operations[0])
        if entity is None or len(operations) < 2:
            return None
        delete = operations[1]
        at = self._at(delete, entity)
        lines = [f"made = {self._row(entity)}", self._said(self._call(delete, at))]
        lines.append(f"assert answer.status_code == {delete.success}, answer.text")
        lines.append(self._said(self._call(delete, at), "again"))
        lines.append(f"assert again.status_code == {self._status(delete, 'not_found')}")
        if len(operations) > 2:
            read = operations[2]
            lines.append(self._said(self._call(read, self._at(read, entity)), "read"))
            lines.append(f"assert read.status_code == {self._status(read, 'not_found')}")
        return lines

    # -- rules --------------------------------------------------------------------------------

    def _unique(self, check: Check, operations: list[OperationPlan]) -> list[str] | None:
        create = operations[0]
        entity = self._makes(create, 2)
        if entity is None or self.making.makers[entity.name].id != create.id:
            return None
        sample = self.names.plan.samples[create.id]
        names = [self.names.column(entity, one).field.name for one in check.columns]
        rule = next((one for one in entity.unique if one.columns == check.columns), None)
        if rule and rule.while_field:
            field = self.names.column(entity, rule.while_field).field
            values = [body.get(field.name, field.default) for body in sample[:2]]
            if any(value not in rule.while_values for value in values):
                return None
        module = self.names.modules[entity.name]
        parent_name = entity.parent_column and self.names.column(entity, entity.parent_column)
        lines = [f"{self._row(entity)}", f"first, body = rows.{module}_request()"]
        lines.append(f"address, other = rows.{module}_request(1)")
        for name in names:
            if parent_name and parent_name.field.name == name and name not in sample[0]:
                lines.append("address = first")
            elif name in sample[0] or name in {
                c.field.name for c, _ in self.making.references(create)
            }:
                lines.append(f"other[{words.literal(name)}] = body[{words.literal(name)}]")
            else:
                return None
        if "address = first" not in lines:
            lines[1] = f"_, body = rows.{module}_request()"
        elif not any("body[" in line for line in lines):
            lines[1] = f"first, _ = rows.{module}_request()"
            lines[2] = f"_, other = rows.{module}_request(1)"
        lines.append(self._said(self._call(create, "address", "body=other")))
        lines.append(
            f"assert answer.status_code == {self._status(create, 'conflict')}, answer.text"
        )
        return lines

    def _reference(self, check: Check, operations: list[OperationPlan]) -> list[str] | None:
        create = operations[0]
        entity = self._makes(create)
        if entity is None or self.making.makers[entity.name].id != create.id:
            return None
        name = self.names.column(entity, check.columns[0]).field.name
        if self.names.plan.samples[create.id][0].get(name) is None:
            return None
        module, constant = self.names.modules[entity.name], self.making.constant(create.id)
        field = words.literal(name)
        unknown = f"samples.{constant}[0][{field}]"
        column = self.names.column(entity, check.columns[0])
        if column.field.type == "integer":
            most = column.field.limits.maximum
            unknown = str(int(most) if most is not None else 2**40)
        return [
            f"address, body = rows.{module}_request()",
            f"body[{field}] = {unknown}",
            self._said(self._call(create, "address", "body=body")),
            f"assert answer.status_code == {self._status(create, 'reference')}, answer.text",
        ]

    # -- refusals -----------------------------------------------------------------------------

    def _unknown(self, operation: OperationPlan) -> dict[str, str]:
        values = self.names.plan.samples.get(f"{operation.id}#path") or []
        if not values:
            return {}
        constant = f"samples.{self.making.constant(operation.id + '#path')}[0]"
        return {name: f"{constant}[{words.literal(name)}]" for name in values[0]}

    def _not_found(self, check: Check, operations: list[OperationPlan]) -> list[str] | None:
        operation = operations[-1]
        values = self._unknown(operation)
        if not values:
            return None
        address = self.making.f_string(operation, values)
        return [
            self._said(self._call(operation, address)),
            f"assert answer.status_code == {self._status(operation, 'not_found')}",
            *self._is_problem(operation, "not_found"),
        ]

    def _is_problem(self, operation: OperationPlan, kind: str) -> list[str]:
        errors = self.problems.errors(operation)
        media = errors[kind].media_type if kind in errors else self.problems.main[0]
        return [f'assert answer.headers["Content-Type"].startswith({words.literal(media)})']

    def _invalid(self, check: Check, operations: list[OperationPlan]) -> list[str] | None:
        create = operations[0]
        values = self._unknown(create)
        address = self.making.f_string(create, values)
        entity = self._makes(create)
        if entity and self.making.parent(create):
            address = self.making.address(create, "0", "rows")
        lines = [
            self._said(self._call(create, address, "body=[]")),
            f"assert answer.status_code == {self._status(create, 'invalid')}",
            *self._is_problem(create, "invalid"),
            self._said(self._call(create, address, 'content=b"{"')),
            f"assert answer.status_code == {self._status(create, 'malformed')}",
        ]
        model = self.names.model(str(create.request_model))
        required = [one for one in model.fields if one.required and not one.read_only]
        if entity and required and self.making.makers[entity.name].id == create.id:
            module = self.names.modules[entity.name]
            lines += [f"address, body = rows.{module}_request()",
                      f"del body[{words.literal(required[0].name)}]",
                      self._said(self._call(create, "address", "body=body")),
                      f"assert answer.status_code == {self._status(create, 'invalid')}"]  # fmt: skip
        return lines

    def _unauthorised(self, check: Check, operations: list[OperationPlan]) -> list[str] | None:
        operation = operations[-1]
        address = self.making.f_string(operation, self._unknown(operation))
        return [
            self._said(self._call(operation, address, guard=False)),
            f"assert answer.status_code == {self._status(operation, 'unauthorised')}",
            'assert answer.headers["WWW-Authenticate"]',
            *self._is_problem(operation, "unauthorised"),
        ]

    def _unimplemented(self, check: Check, operations: list[OperationPlan]) -> list[str] | None:
        operation = operations[-1]
        address = self.making.f_string(operation, self._unknown(operation))
        return [
            self._said(self._call(operation, address)),
            f"assert answer.status_code == {self._status(operation, 'unimplemented')}",
        ]


def _item_type(plan: FieldPlan) -> str:
    return plan.items.type if plan.items else plan.type


def _text(value: object) -> str:
    if isinstance(value, bool):
        return words.literal(str(value).lower())
    return words.literal(str(value))


def _filtering(parameter: ParameterPlan, value: str) -> str:
    if parameter.field.type == "boolean":
        return f"str({value}).lower()"
    return value
