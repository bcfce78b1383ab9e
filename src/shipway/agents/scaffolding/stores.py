"""What the store modules do: functions that find, create, change and remove rows of one entity."""

from __future__ import annotations

from typing import Any

from shipway.agents.scaffolding import words
from shipway.agents.scaffolding.imports import Imports
from shipway.agents.scaffolding.kinds import typed
from shipway.agents.scaffolding.layout import Call, Part, lay
from shipway.agents.scaffolding.names import Names, article, attribute, parameter, spoken
from shipway.agents.scaffolding.tables import filled, is_null, kept_as, order_column
from shipway.agents.scaffolding.wire import Wire
from shipway.contracts.service_plan import (
    ColumnPlan,
    EntityPlan,
    FieldPlan,
    ModelPlan,
    OperationPlan,
    PagePlan,
    ParameterPlan,
)
from shipway.errors import UnimplementedError

_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


class Store:
    """The store module of one entity."""

    def __init__(self, names: Names, wire: Wire, entity: EntityPlan) -> None:
        self.names, self.wire, self.entity = names, wire, entity
        self.row = names.rows[entity.name]
        self.noun = spoken(entity.name)
        self.key = names.key(entity)
        self.key_attr = attribute(self.key.field)
        self.imports = Imports(names.package)
        self.imports.module("sqlalchemy as sa")
        self.imports.add("sqlalchemy.orm", "Session")
        self.imports.own("problems", "NotFound")
        self.imports.own("store.tables", self.row)
        self.constants: list[str] = []
        self.python_type(self.key)

    def view(self) -> dict[str, Any]:
        operations = self.names.operations(self.entity)
        by_verb = {
            verb: [one for one in operations if one.behaviour == verb]
            for verb in ("list", "create", "replace", "patch", "delete")
        }
        functions = [self._find(one) for one in by_verb["list"]]
        functions += [self._create(one) for one in by_verb["create"]]
        replaces = self._distinct(by_verb["replace"])
        functions += [self._replace(one) for one in replaces]
        functions += [self._put(one) for one in replaces if one.created]
        functions += [self._patch(one) for one in self._distinct(by_verb["patch"])]
        if by_verb["delete"]:
            functions.append(self._delete())
        below = self._below(operations)
        if below:
            functions.insert(0, below)
        return {
            "module": self.names.modules[self.entity.name],
            "title": words.docstring(f"{self.noun.capitalize()}: finding, making and changing rows."),
            "noun": self.noun,
            "row": self.row,
            "key": self.key_attr,
            "key_type": self.python_type(self.key),
            "lookup": lay(Call(f"def lookup(session: Session, key: {self.python_type(self.key)}",
                               [], f") -> {self.row} | None:")),
            "select": lay(
                Call(
                    "return session.scalar(",
                    [Call(f"sa.select({self.row}).where(", [f"{self.row}.{self.key_attr} == key"], ")")],
                    ")",
                ),
                4,
            ),
            "constants": self.constants,
            "functions": functions,
            "imports": self.imports.source(),
        }  # fmt: skip

    # -- names --------------------------------------------------------------------------------

    def verb(self, operation: OperationPlan) -> str:
        """The store function behind an operation; the plain verb while it is the only one."""
        verbs = {"list": "find", "create": "create", "replace": "replace", "patch": "patch"}
        verb = verbs[operation.behaviour]
        same = [
            one
            for one in self.names.operations(self.entity)
            if one.behaviour == operation.behaviour
        ]
        if operation.behaviour in {"replace", "patch"}:
            same = self._distinct(same)
            operation = next(one for one in same if one.request_model == operation.request_model)
        taken = {"lookup", "get", "get_below", "delete", "put", *verbs.values()}
        name = self.names.handlers[operation.id]
        return verb if len(same) == 1 else words.unused(name, taken)

    def _distinct(self, operations: list[OperationPlan]) -> list[OperationPlan]:
        """One operation per request model: they do the same to a row."""
        return list({one.request_model: one for one in reversed(operations)}.values())[::-1]

    def python_type(self, column: ColumnPlan) -> str:
        python = kept_as(column.field)[1]
        if python == "UUID":
            self.imports.add("uuid", "UUID")
        if python.startswith("dt."):
            self.imports.module("datetime as dt")
        if python == "Any":
            self.imports.add("typing", "Any")
        return python

    def parent(self, operation: OperationPlan) -> tuple[ParameterPlan, ColumnPlan] | None:
        """The path parameter that names the parent row, and our column that holds it."""
        for one in operation.parameters:
            if one.role == "parent":
                name = self.entity.parent_column or one.column
                if name is None:
                    raise UnimplementedError(f"{operation.id}: no column holds the parent's key")
                return one, self.names.column(self.entity, name)
        return None

    def store_of(self, entity: str) -> str:
        if entity == self.entity.name:
            return ""
        module = self.names.modules[entity]
        self.imports.own("store", f"{module} as {module}_store")
        return f"{module}_store."

    # -- one row ------------------------------------------------------------------------------

    def _below(self, operations: list[OperationPlan]) -> dict[str, Any] | None:
        """Reading a row by its own key and its parent's, where some operation does."""
        nested = [
            one for one in operations
            if self.parent(one) and one.behaviour in {"read", "replace", "patch", "delete"}
        ]  # fmt: skip
        if not nested:
            return None
        found = self.parent(nested[0])
        assert found is not None  # noqa: S101 - it was chosen for having one
        column = found[1]
        parts: list[Part] = ["session: Session", f"parent: {self.python_type(column)}"]
        parts.append(f"key: {self.python_type(self.key)}")
        return {
            "head": lay(Call("def get_below(", parts, f") -> {self.row}:")),
            "doc": '"""The row, if it belongs to that parent; raises NotFound."""',
            "lines": [
                "row = get(session, key)",
                f"if row.{attribute(column.field)} != parent:",
                f'    raise NotFound("there is no such {self.noun} here")',
                "return row",
            ],
        }

    def _delete(self) -> dict[str, Any]:
        lines = []
        for other in self.names.plan.entities:
            for column in other.columns:
                reference = column.reference
                if not reference or reference.entity != self.entity.name:
                    continue
                if reference.on_delete == "refuse":
                    lines += self._refuse_while(other, column)
        doc = f"Raises Conflict while something refers to the {self.noun}."
        return {
            "head": lay(
                Call("def delete(", ["session: Session", f"row: {self.row}"], ") -> None:")
            ),
            "doc": words.docstring(doc, 4) if lines else '"""Remove the row."""',
            "lines": [*lines, "session.delete(row)", "session.flush()"],
        }

    def _refuse_while(self, other: EntityPlan, column: ColumnPlan) -> list[str]:
        row, noun = self.names.rows[other.name], spoken(other.name)
        self.imports.own("store.tables", row)
        self.imports.own("problems", "Conflict")
        where = f"{row}.{attribute(column.field)} == row.{self.key_attr}"
        line = f"if session.scalar(sa.select(sa.exists().where({where}))):"
        if len(line) + 4 > words.WIDTH:
            return [
                f"referring = sa.exists().where({where})", "if session.scalar(sa.select(referring)):",
                f'    raise Conflict("{article(noun)} still refers to this {self.noun}")',
            ]  # fmt: skip
        return [line, f'    raise Conflict("{article(noun)} still refers to this {self.noun}")']

    # -- writing ------------------------------------------------------------------------------

    def _sources(self, model: ModelPlan) -> dict[str, FieldPlan]:
        return {one.name: one for one in model.fields if not one.read_only}

    def _body(self, operation: OperationPlan) -> ModelPlan:
        if operation.request_model is None:
            raise UnimplementedError(f"{operation.id}: a body without a model cannot be stored")
        return self.names.model(operation.request_model)

    def _body_type(self, operation: OperationPlan) -> str:
        model = self._body(operation)
        name = self.wire.inputs[model.name]
        self.imports.own(f"models.{self.wire.home(model.name)}", name)
        return name

    def _create(self, operation: OperationPlan) -> dict[str, Any]:
        parts: list[Part] = ["session: Session"]
        lines, raises = [], []
        parent = self.parent(operation)
        given: dict[str, str] = {}
        if parent:
            name = parameter(parent[0])
            parts.append(f"{name}: {self.python_type(parent[1])}")
            given[parent[1].column] = name
            reference = parent[1].reference or self.entity.parent
            if reference:
                lines.append(f"{self.store_of(reference.entity)}get(session, {name})")
                raises.append(f"NotFound without the {spoken(reference.entity)}")
        parts.append(f"body: {self._body_type(operation)}")
        checks = self._reference_checks(operation, set(given))
        raises += ["MissingReference without what it refers to"] if checks else []
        values = self._new_values(operation, given)
        made = lay(Call(f"row = {self.row}(", values, ")"), 4)
        return {
            "head": lay(Call(f"def {self.verb(operation)}(", parts, f") -> {self.row}:")),
            "doc": words.docstring(self._made_doc(raises), 4),
            "lines": [*lines, *checks, made, "session.add(row)", "session.flush()", "return row"],
        }

    def _made_doc(self, raises: list[str]) -> str:
        return (
            f"Add {article(self.noun)}"
            + (f"; raises {' and '.join(raises)}" if raises else "")
            + "."
        )

    def _new_values(self, operation: OperationPlan, given: dict[str, str]) -> list[Part]:
        fields = self._sources(self._body(operation))
        values: list[Part] = []
        for column in self.entity.columns:
            attr = attribute(column.field)
            if column.column in given:
                values.append(f"{attr}={given[column.column]}")
            elif column.field.name in fields and column.field.server == "none":
                values.append(f"{attr}={self._value(fields[column.field.name], column)}")
            elif column.field.server != "none" or (
                column.column == self.entity.key and self.entity.key_kind != "client"
            ):
                continue
            elif column.field.has_default and column.field.default is not None:
                self.python_type(column)
                values.append(f"{attr}={typed(column.field, column.field.default)}")
            elif not is_null(column):
                raise UnimplementedError(
                    f"{operation.id}: nothing says what {column.field.name} of a new row is",
                    hint="give the property a default, or let the client send it",
                )
        return values

    def _value(self, given: FieldPlan, column: ColumnPlan) -> str:
        """What the body says; the column's default where the body may say nothing."""
        attr = f"body.{attribute(given)}"
        default = column.field.default
        if given.required or given.has_default or default is None or not column.field.has_default:
            return attr
        return f"{typed(column.field, default)} if {attr} is None else {attr}"

    def _reference_checks(self, operation: OperationPlan, known: set[str]) -> list[str]:
        fields = self._sources(self._body(operation))
        lines: list[str] = []
        for column in self.entity.columns:
            given = fields.get(column.field.name)
            if column.reference is None or given is None or column.column in known:
                continue
            store = self.store_of(column.reference.entity)
            self.imports.own("problems", "MissingReference")
            value = f"body.{attribute(given)}"
            missing = f"{store}lookup(session, {value}) is None"
            may_lack = operation.behaviour == "patch" or not given.required or given.nullable
            test = f"if {value} is not None and {missing}:" if may_lack else f"if {missing}:"
            noun = spoken(column.reference.entity)
            text = words.literal(words.plain(f"{given.name}: there is no such {noun}"))
            if len(test) + 4 <= words.WIDTH:
                lines += [test, f"    raise MissingReference({text})"]
            else:
                both = [f"    {value} is not None", f"    and {missing}"] if may_lack else []
                lines += ["if (", *(both or [f"    {missing}"]), "):"]
                lines.append(f"    raise MissingReference({text})")
        return lines

    def _touched(self) -> list[str]:
        lines = []
        for column in self.entity.columns:
            if column.field.server == "updated":
                self.imports.own("store.columns", filled(column))
                lines.append(f"row.{attribute(column.field)} = {filled(column)}()")
        return lines

    def _replace(self, operation: OperationPlan) -> dict[str, Any]:
        body = self._body_type(operation)
        checks = self._reference_checks(operation, set())
        fields = self._sources(self._body(operation))
        lines = [
            lay(
                f"row.{attribute(column.field)} = {self._value(fields[column.field.name], column)}",
                4,
            )
            for column in self.entity.columns
            if column.field.name in fields
            and column.field.server == "none"
            and column.column != self.entity.key
        ]
        parts: list[Part] = ["session: Session", f"row: {self.row}", f"body: {body}"]
        return {
            "head": lay(Call(f"def {self.verb(operation)}(", parts, f") -> {self.row}:")),
            "doc": words.docstring(f"All that a client may say about the {self.noun} anew.", 4),
            "lines": [*checks, *lines, *self._touched(), "session.flush()", "return row"],
        }

    def _put(self, operation: OperationPlan) -> dict[str, Any]:
        key = "key"
        values = self._new_values(operation, {self.key.column: key})
        checks = self._reference_checks(operation, set())
        parts: list[Part] = ["session: Session", f"key: {self.python_type(self.key)}"]
        parts.append(f"body: {self._body_type(operation)}")
        made = lay(Call(f"row = {self.row}(", values, ")"), 4)
        return {
            "head": lay(Call("def put(", parts, f") -> tuple[{self.row}, bool]:")),
            "doc": words.docstring(f"Replace the {self.noun}, or add it; True when it is new.", 4),
            "lines": [
                "found = lookup(session, key)",
                "if found is not None:",
                f"    return {self.verb(operation)}(session, found, body), False",
                *checks, made, "session.add(row)", "session.flush()", "return row, True",
            ],
        }  # fmt: skip

    def _patch(self, operation: OperationPlan) -> dict[str, Any]:
        checks = self._reference_checks(operation, set())
        known = {one.field.name for one in self.entity.columns if one.field.server == "none"}
        fields = self._sources(self._body(operation))
        skipped = sorted(
            attribute(one) for one in fields.values()
            if one.name not in known or one.name == self.key.field.name
        )  # fmt: skip
        loop = ["for name, value in body.given().items():", "    setattr(row, name, value)"]
        if skipped:
            kept = "{" + ", ".join(words.literal(one) for one in skipped) + "}"
            loop[1:] = [f"    if name not in {kept}:", "        setattr(row, name, value)"]
        parts: list[Part] = ["session: Session", f"row: {self.row}"]
        parts.append(f"body: {self._body_type(operation)}")
        return {
            "head": lay(Call(f"def {self.verb(operation)}(", parts, f") -> {self.row}:")),
            "doc": '"""Only what the client sent changes."""',
            "lines": [*checks, *loop, *self._touched(), "session.flush()", "return row"],
        }

    # -- finding ------------------------------------------------------------------------------

    def _find(self, operation: OperationPlan) -> dict[str, Any]:
        return Finder(self, operation).view()


class Finder:
    """One function that lists rows: its filters, its order and its page."""

    def __init__(self, store: Store, operation: OperationPlan) -> None:
        self.store, self.operation = store, operation
        self.names, self.row = store.names, store.row
        self.imports = store.imports
        self.page = operation.page or PagePlan(style="none")
        self.counts = counts(operation)
        self.imports.add("collections.abc", "Sequence")

    def view(self) -> dict[str, Any]:
        store, operation = self.store, self.operation
        parts: list[Part] = ["session: Session"]
        lines: list[str] = []
        statement = f"statement = sa.select({self.row})"
        parent = store.parent(operation)
        if parent:
            name, column = parameter(parent[0]), parent[1]
            parts.append(f"{name}: {store.python_type(column)}")
            reference = column.reference or store.entity.parent
            if reference:
                lines.append(f"{store.store_of(reference.entity)}get(session, {name})")
            statement += f".where({self.row}.{attribute(column.field)} == {name})"
        query = store.wire.query(operation)
        if query:
            module = self.names.modules[store.entity.name]
            self.imports.own(f"models.{module}", query)
            parts.append(f"query: {query}")
        rows = f"Sequence[{self.row}]"
        result = f"tuple[{rows}, int]" if self.counts else rows
        lines += [statement, *self._filters()]
        if self.counts:
            self.imports.own("pagination", "count")
            lines.append("total = count(session, statement)")
        lines += self._order() + self._cut()
        doc = f"The rows of one page{', and how many match in all' if self.counts else ''}"
        doc += "; raises NotFound without the parent." if parent else "."
        return {
            "head": lay(Call(f"def {store.verb(operation)}(", parts, f") -> {result}:")),
            "doc": words.docstring(doc, 4),
            "lines": lines,
        }

    def _filters(self) -> list[str]:
        lines = []
        for one in self.operation.parameters:
            if one.role != "filter" or one.location != "query":
                continue
            value = f"query.{attribute(one.field)}"
            conditions = [
                self._condition(self.names.column(self.store.entity, name), one, value)
                for name in (one.columns or [str(one.column)])
            ]
            if len(conditions) == 1:
                where: Part = Call("statement = statement.where(", conditions, ")")
            else:
                inner = Call("sa.or_(", conditions, ")")
                where = Call("statement = statement.where(", [inner], ")")
            sure = one.field.required or (one.field.has_default and one.field.default is not None)
            if sure:
                lines.append(lay(where, 4))
            else:
                lines += [f"if {value} is not None:", "    " + lay(where, 8)]
        return lines

    def _condition(self, column: ColumnPlan, one: ParameterPlan, value: str) -> str:
        place = f"{self.row}.{attribute(column.field)}"
        if column.field.type == "array":
            self.imports.own("store.matching", "has_element")
            return f"has_element({place}, {value})"
        if one.comparison in {"contains", "prefix"}:
            name = "contains" if one.comparison == "contains" else "begins"
            self.imports.own("store.matching", name)
            return f"{name}({place}, {value})"
        if one.comparison == "in":
            return f"{place}.in_({value})"
        return f"{place} {_COMPARE[one.comparison]} {value}"

    # -- order --------------------------------------------------------------------------------

    def _order(self) -> list[str]:
        last = f"{self.row}.{order_column(self.store.entity)}"
        default = [self._key(one.column, descending=one.descending) for one in
                   self.operation.default_sort]  # fmt: skip
        sort = next((one for one in self.operation.parameters if one.role == "sort"), None)
        if sort is None or not sort.sort:
            return [lay(Call("statement = statement.order_by(", [*default, last], ")"), 4)]
        constant = f"{self.names.handlers[self.operation.id].upper()}_ORDERS"
        self._orders(constant, sort)
        value = f"query.{attribute(sort.field)}"
        start = f"[{', '.join(default)}]"
        if sort.field.type == "array":
            lines = [f"order = [{constant}[one] for one in {value} or () if one in {constant}]"]
        elif len(default) == 1:
            known = Call(f"{constant}.get(", [value, default[0]], ")")
            lines = [lay(Call("order = [", [known], "]"), 4)]
        else:
            lines = [f"order = [{constant}[{value}]] if {value} in {constant} else {start}"]
        if sort.field.type == "array" and default:
            lines.append(f"order = order or {start}")
        lines += self._direction()
        return [*lines, f"statement = statement.order_by(*order, {last})"]

    def _orders(self, constant: str, sort: ParameterPlan) -> None:
        self.imports.add("typing", "Any")
        parts: list[Part] = [
            f"{words.literal(one.value)}: {self._key(one.column, descending=one.descending)}"
            for one in sort.sort
        ]
        head = f"{constant}: dict[str | None, sa.ColumnElement[Any]] = {{"
        self.store.constants.append(lay(Call(head, parts, "}")))

    def _direction(self) -> list[str]:
        found = next((one for one in self.operation.parameters if one.role == "direction"), None)
        if found is None:
            return []
        value = f"query.{attribute(found.field)}"
        return [
            f'if str({value}).lower().startswith("desc"):',
            "    order = [sa.desc(one) for one in order]",
        ]

    def _key(self, name: str, *, descending: bool) -> str:
        column = self.names.column(self.store.entity, name)
        has_direction = any(one.role == "direction" for one in self.operation.parameters)
        place = f"{self.row}.{attribute(column.field)}"
        if descending:
            return f"{place}.desc()"
        return f"sa.type_coerce({place}, {place}.type)" if has_direction else f"{place}.asc()"

    # -- pages --------------------------------------------------------------------------------

    def _cut(self) -> list[str]:
        if self.page.style == "none" and self._role("limit") is None:
            rows = "session.scalars(statement).all()"
            return [f"return {rows}, total" if self.counts else f"return {rows}"]
        self.imports.own("pagination", "cut")
        limit, offset = page_limits(self.operation)
        if self.page.style == "cursor":
            self.imports.own("pagination", "after")
        if self.page.style == "page":
            self.imports.own("pagination", "skipped")
        parts: list[Part] = ["session", "statement", limit, offset]
        if self.counts:
            return [lay(Call("rows = cut(", parts, ")"), 4), "return rows, total"]
        return [lay(Call("return cut(", parts, ")"), 4)]

    def _role(self, role: str) -> ParameterPlan | None:
        return next((one for one in self.operation.parameters if one.role == role), None)


def counts(operation: OperationPlan) -> bool:
    """Whether a list says how many match in all."""
    page = operation.page
    needs = {"pages", "has_more", "next_cursor"}
    return bool(
        (page and (page.total or needs & set(page.echo.values())))
        or "X-Total-Count" in operation.response_headers
    )


def page_limits(operation: OperationPlan) -> tuple[str, str]:
    """Source of the page's limit and offset."""
    page = operation.page or PagePlan(style="none")
    roles = {one.role: one.field for one in operation.parameters if one.location == "query"}
    limit = str(page.default_limit)
    if "limit" in roles:
        limit = _number(roles["limit"], page.default_limit)
        if roles["limit"].limits.maximum is None:
            limit = f"min({limit}, {page.max_limit})"
    offset = "0"
    if page.style == "page" and "page" in roles:
        number = _number(roles["page"], page.first_page)
        offset = f"skipped({number}, {limit}, {page.first_page})"
    elif page.style == "cursor" and "cursor" in roles:
        offset = f"after(query.{attribute(roles['cursor'])})"
    elif "offset" in roles:
        offset = _number(roles["offset"], 0)
    return limit, offset


def _number(plan: FieldPlan, default: int) -> str:
    value = f"query.{attribute(plan)}"
    sure = plan.required or (plan.has_default and plan.default is not None)
    return value if sure else f"({default} if {value} is None else {value})"
