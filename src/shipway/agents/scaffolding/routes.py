"""What the route modules do: one handler per operation, thin between the wire and the store."""

from __future__ import annotations

import re
from typing import Any

from shipway.agents.scaffolding import addresses, words
from shipway.agents.scaffolding.imports import Imports
from shipway.agents.scaffolding.layout import Call, Part, flat, lay
from shipway.agents.scaffolding.names import Names, attribute, parameter, spoken
from shipway.agents.scaffolding.problems import Problems
from shipway.agents.scaffolding.security import Security
from shipway.agents.scaffolding.stores import Store, counts, page_limits
from shipway.agents.scaffolding.wire import FIELDS, Wire
from shipway.contracts.service_plan import EntityPlan, OperationPlan, ParameterPlan

_NO_BODY = 204


class Routes:
    """The route module of one entity, or of the operations that belong to none."""

    def __init__(
        self, names: Names, wire: Wire, problems: Problems, security: Security,
        entity: EntityPlan | None, module: str,
    ) -> None:  # fmt: skip
        self.names, self.wire, self.problems, self.security = names, wire, problems, security
        self.entity, self.module = entity, module
        self.store = Store(names, wire, entity) if entity else None
        self.imports = Imports(names.package)
        self.imports.add("fastapi", "APIRouter")
        self.imports.own("bodies", "StrictRoute")
        self.pages: list[dict[str, Any]] = []

    def view(self, operations: list[OperationPlan]) -> dict[str, Any]:
        ordered = sorted(operations, key=_openness)
        handlers = [self._handler(one) for one in ordered]
        for path, methods in self.problems.fixed.items():
            mine = [number for number, one in enumerate(ordered) if one.path == path]
            if mine:
                handlers[mine[-1]]["refused"] = self._refused(ordered[mine[-1]], methods)
        noun = spoken(self.entity.name) if self.entity else "other"
        return {
            "module": self.module,
            "title": words.docstring(f"{noun.capitalize()}: operations over HTTP."),
            "handlers": handlers,
            "imports": self.imports.source(),
        }

    # -- one handler --------------------------------------------------------------------------

    def _handler(self, operation: OperationPlan) -> dict[str, Any]:
        name = self.names.handlers[operation.id]
        build = {
            "list": self._list, "create": self._create, "read": self._read,
            "replace": self._replace, "patch": self._patch, "delete": self._delete,
            "unimplemented": self._unimplemented,
        }[operation.behaviour]  # fmt: skip
        parts, result, lines = build(operation)
        summary = operation.summary or operation.id
        return {
            "name": name,
            "decorators": self._decorators(operation, result),
            "head": lay(Call(f"def {name}(", parts, f") -> {result}:")),
            "doc": words.docstring(words.sentence(summary, operation.attr), 4),
            "lines": lines,
        }

    def _decorators(self, operation: OperationPlan, result: str) -> list[str]:
        known = {"get", "post", "put", "patch", "delete", "head", "options", "trace"}
        parts: list[Part] = []
        method = operation.method if operation.method in known - {"trace"} else "api_route"
        if method == "api_route":
            parts.append(f'methods=["{operation.method.upper()}"]')
        if operation.success != 200 and operation.behaviour != "unimplemented":
            parts.append(f"status_code={operation.success}")
        media = operation.response_media_type
        if result == "Response" and operation.success != _NO_BODY:
            parts.append("response_class=Response")
        elif media not in {None, "application/json"} and operation.response_model:
            self.imports.own("media", media_class(str(media)))
            parts.append(f"response_class={media_class(str(media))}")
        guard = self.security.guard(operation)
        if guard:
            self.imports.own("security", guard)
            parts.append(f"dependencies=[{guard}]")
        found = [
            lay(Call(f"@router.{method}(", [words.literal(path), *parts], ")"))
            for path in self.paths(operation)
        ]
        answers = self.problems.answers(operation)
        if answers:
            self.imports.own("problems", "answers")
            if any("Answer(" in str(one) for one in answers):
                self.imports.own("problems", "Answer")
            found.append(lay(Call("@answers(", answers, ")")))
        return found

    def _refused(self, operation: OperationPlan, methods: list[str]) -> str:
        """What a path with parameters beside this one serves is not for this path."""
        self.imports.own("problems", "only")
        path = words.literal(self.paths(operation)[0])
        allowed = Call("only(", [words.literal(one) for one in methods], ")")
        others = [words.literal(one) for one in addresses.METHODS if one not in methods]
        refused = Call("methods=[", others, "]")
        return lay(Call("router.add_api_route(", [path, allowed, refused], ")"))

    def paths(self, operation: OperationPlan) -> list[str]:
        """The document's path with the names that the handler's arguments have.

        Most clients resolve dots before they ask, so a path with dots is served as both.
        """
        path = operation.path
        for one in operation.parameters:
            if one.location == "path":
                path = path.replace(f"{{{one.field.name}}}", f"{{{parameter(one)}}}")
        return list(dict.fromkeys([words.reachable(path), path]))

    # -- arguments ----------------------------------------------------------------------------

    def _path_arguments(self, operation: OperationPlan) -> list[Part]:
        by_name = {one.field.name: one for one in operation.parameters if one.location == "path"}
        found: list[Part] = []
        for name in re.findall(r"\{([^{}]+)\}", operation.path):
            if name in by_name:
                kind = self._kind(operation, by_name[name])
                found.append(f"{parameter(by_name[name])}: {kind}")
        return found

    def _kind(self, operation: OperationPlan, one: ParameterPlan) -> str:
        if operation.entity is None:
            return "str"
        kind, module = self.wire.path_type(operation, one.field)
        self._import_kind(kind, module)
        return kind

    def _import_kind(self, kind: str, module: str) -> None:
        for word in re.findall(r"[A-Za-z_]\w*", kind):
            if word in FIELDS:
                self.imports.own("fields", word)
            elif word in self.wire.modules[module].aliases.code:
                self.imports.own(f"models.{module}", word)
            elif word in {"Any", "Annotated"}:
                self.imports.add("typing", word)

    def _header_arguments(self, operation: OperationPlan) -> list[Part]:
        found: list[Part] = []
        for one in operation.parameters:
            if one.location != "header" or operation.entity is None:
                continue
            kind, module = self.wire.path_type(operation, one.field)
            self._import_kind(kind, module)
            self.imports.add("fastapi", "Header")
            self.imports.add("typing", "Annotated")
            setting = f"Header(alias={words.literal(one.field.name)})"
            if one.field.required:
                found.append(Call(f"{parameter(one)}: Annotated[", [kind, setting], "]"))
            else:
                call = Call(
                    f"{parameter(one)}: Annotated[", [f"{kind} | None", setting], "] = None"
                )
                found.append(call)
        return found

    def _arguments(
        self, operation: OperationPlan, *, body: bool = False, response: bool = False
    ) -> list[Part]:
        parts = self._path_arguments(operation)
        if operation.behaviour == "list":
            query = self.wire.query(operation)
            if query:
                self.imports.own(f"models.{self._home()}", query)
                self.imports.add("fastapi", "Query")
                self.imports.add("typing", "Annotated")
                parts.append(f"query: Annotated[{query}, Query()]")
        elif self.wire.query(operation):
            query = str(self.wire.query(operation))
            self.imports.own(f"models.{self._home()}", query)
            self.imports.add("fastapi", "Query")
            self.imports.add("typing", "Annotated")
            parts.append(f"_query: Annotated[{query}, Query()]")
        if body:
            parts.append(self._body(operation))
        if response:
            self.imports.add("fastapi", "Response")
            parts.append("response: Response")
        self.imports.own("database", "Db")
        parts.append("database: Db")
        return [*parts, *self._header_arguments(operation)]

    def _home(self) -> str:
        assert self.entity is not None  # noqa: S101 - only operations on entities get here
        return self.names.modules[self.entity.name]

    def _body(self, operation: OperationPlan) -> Part:
        model = self.names.model(str(operation.request_model))
        kind = self.wire.inputs[model.name]
        self.imports.own(f"models.{self.wire.home(model.name)}", kind)
        optional = not any(one.required and not one.read_only for one in model.fields)
        if operation.request_required or not optional or model.min_properties:
            return f"body: {kind}"
        self.imports.add("fastapi", "Body")
        self.imports.add("typing", "Annotated")
        return Call("body: Annotated[", [kind, f"Body(default_factory={kind})"], "]")

    # -- answers ------------------------------------------------------------------------------

    def _answer(self, operation: OperationPlan) -> str | None:
        """The class of the answer; None when it has no body."""
        if operation.response_model is None:
            return None
        name = self.wire.outputs[operation.response_model]
        self.imports.own(f"models.{self.wire.home(operation.response_model)}", name)
        return name

    def _empty(self, operation: OperationPlan) -> tuple[str, list[str]]:
        if operation.success == _NO_BODY:
            return "None", []
        self.imports.add("fastapi", "Response")
        return "Response", [f"return Response(status_code={operation.success})"]

    def _use_store(self) -> Store:
        assert self.store is not None  # noqa: S101 - only operations on entities get here
        module = self.names.modules[self.store.entity.name]
        self.imports.own("store", f"{module} as store")
        return self.store

    def _key_arguments(self, operation: OperationPlan) -> str:
        roles = {one.role: parameter(one) for one in operation.parameters if one.location == "path"}
        key = roles["key"]
        return (
            f"store.get_below(session, {roles['parent']}, {key})"
            if "parent" in roles
            else (f"store.get(session, {key})")
        )

    def _read(self, operation: OperationPlan) -> tuple[list[Part], str, list[str]]:
        self._use_store()
        parts = self._arguments(operation)
        answer = self._answer(operation)
        row = self._key_arguments(operation)
        if answer is None:
            result, last = self._empty(operation)
            return parts, result, ["with database.reading() as session:", f"    {row}", *last]
        lines = ["with database.reading() as session:", f"    return {answer}.from_row({row})"]
        return parts, answer, lines

    def _create(self, operation: OperationPlan) -> tuple[list[Part], str, list[str]]:
        store = self._use_store()
        located = "Location" in operation.response_headers
        parent = store.parent(operation)
        given = ["session", *([parameter(parent[0])] if parent else []), "body"]
        call = f"store.{store.verb(operation)}({', '.join(given)})"
        answer = self._answer(operation)
        parts = self._arguments(operation, body=True, response=located and answer is not None)
        return self._written(operation, parts, answer, call, located=located)

    def _written(
        self, operation: OperationPlan, parts: list[Part], answer: str | None, call: str, *,
        located: bool,
    ) -> tuple[list[Part], str, list[str]]:  # fmt: skip
        if answer is None:
            result, last = self._empty(operation)
            if not located or result == "None":
                return parts, result, ["with database.writing() as session:", f"    {call}", *last]
            place = self._location(operation, "row")
            lines = ["with database.writing() as session:", f"    row = {call}"]
            status = f"status_code={operation.success}"
            bare = Call("return Response(", [status, f'headers={{"Location": {place}}}'], ")")
            return parts, result, [*lines, lay(bare, 4)]
        if not located:
            made = f"    return {answer}.from_row({call})"
            return parts, answer, ["with database.writing() as session:", made]
        lines = [
            "with database.writing() as session:",
            f"    row = {call}",
            lay(f'response.headers["Location"] = {self._location(operation, "row")}', 4),
            f"return {answer}.from_row(row)",
        ]
        return parts, answer, lines

    def _location(self, operation: OperationPlan, row: str) -> str:
        """The address of a row as an f-string: where it is read, else below the collection."""
        store = self._use_store()
        reads = [
            one for one in self.names.operations(store.entity) if one.behaviour == "read"
        ]  # fmt: skip
        flat = [one for one in reads if not store.parent(one)]
        key = self._quoted(f"{row}.{store.key_attr}")
        for read in flat or reads:
            path = read.path
            for one in read.parameters:
                if one.location != "path":
                    continue
                value = key if one.role == "key" else None
                if one.role == "parent":
                    found = store.parent(read)
                    value = self._quoted(f"{row}.{attribute(found[1].field)}") if found else None
                if value is not None:
                    path = path.replace(f"{{{one.field.name}}}", f"{{{value}}}")
            return self._f_string(path)
        path = re.sub(r"\{[^{}]*\}", "", operation.path).rstrip("/")
        return self._f_string(f"{path}/{{{key}}}")

    def _quoted(self, value: str) -> str:
        store = self._use_store()
        if store.key.field.type in {"uuid", "integer"}:
            return value
        self.imports.add("urllib.parse", "quote")
        return f"quote(str({value}), safe='')"

    def _f_string(self, path: str) -> str:
        return 'f"' + self.names.plan.prefix + path.replace('"', "%22") + '"'

    def _replace(self, operation: OperationPlan) -> tuple[list[Part], str, list[str]]:
        store = self._use_store()
        answer = self._answer(operation)
        creates = operation.created is not None
        parts = self._arguments(operation, body=True, response=creates and answer is not None)
        if not creates:
            call = f"store.{store.verb(operation)}(session, {self._key_arguments(operation)}, body)"
            return self._changed(operation, parts, answer, call)
        key = next(parameter(one) for one in operation.parameters if one.role == "key")
        lines = ["with database.writing() as session:"]
        lines.append(f"    row, is_new = store.put(session, {key}, body)")
        if answer is None:
            self.imports.add("fastapi", "Response")
            status = f"{operation.created} if is_new else {operation.success}"
            return parts, "Response", [*lines, f"return Response(status_code={status})"]
        lines += ["if is_new:", f"    response.status_code = {operation.created}"]
        if "Location" in operation.response_headers:
            lines.append(f'response.headers["Location"] = {self._location(operation, "row")}')
        return parts, answer, [*lines, f"return {answer}.from_row(row)"]

    def _patch(self, operation: OperationPlan) -> tuple[list[Part], str, list[str]]:
        store = self._use_store()
        call = f"store.{store.verb(operation)}(session, {self._key_arguments(operation)}, body)"
        parts = self._arguments(operation, body=True)
        return self._changed(operation, parts, self._answer(operation), call)

    def _changed(
        self, operation: OperationPlan, parts: list[Part], answer: str | None, call: str
    ) -> tuple[list[Part], str, list[str]]:
        head = "with database.writing() as session:"
        if answer is None:
            result, last = self._empty(operation)
            return parts, result, [head, f"    {call}", *last]
        one = f"    return {answer}.from_row({call})"
        if len(one) + 4 <= words.WIDTH:
            return parts, answer, [head, one]
        return parts, answer, [head, f"    row = {call}", f"    return {answer}.from_row(row)"]

    def _delete(self, operation: OperationPlan) -> tuple[list[Part], str, list[str]]:
        self._use_store()
        answer = self._answer(operation)
        parts = self._arguments(operation)
        row = self._key_arguments(operation)
        head = "with database.writing() as session:"
        if answer is None:
            result, last = self._empty(operation)
            return parts, result, [head, f"    store.delete(session, {row})", *last]
        lines = [head, f"    row = {row}", f"    answer = {answer}.from_row(row)"]
        return parts, answer, [*lines, "    store.delete(session, row)", "return answer"]

    def _unimplemented(self, operation: OperationPlan) -> tuple[list[Part], str, list[str]]:
        self.imports.own("problems", "Unimplemented")
        reason = words.plain(operation.reason or "no stored entity answers it")
        detail: list[Part] = [words.literal(f"{operation.id} is not implemented: {reason}")]
        line = lay(Call("raise Unimplemented(", detail, ")"), 4)
        return self._path_arguments(operation), "None", [line]

    # -- lists --------------------------------------------------------------------------------

    def _list(self, operation: OperationPlan) -> tuple[list[Part], str, list[str]]:
        store = self._use_store()
        item = str(self._answer(operation))
        totalled = "X-Total-Count" in operation.response_headers
        parts = self._arguments(operation, response=totalled)
        given = ["session"]
        parent = store.parent(operation)
        given += [parameter(parent[0])] if parent else []
        given += ["query"] if self.wire.query(operation) else []
        call = f"store.{store.verb(operation)}({', '.join(given)})"
        found = "rows, total" if counts(operation) else "rows"
        lines = ["with database.reading() as session:", f"    {found} = {call}"]
        if totalled:
            lines.append('response.headers["X-Total-Count"] = str(total)')
        items = f"[{item}.from_row(row) for row in rows]"
        page = operation.page
        if page is None or page.items is None:
            return parts, f"list[{item}]", [*lines, f"return {items}"]
        result = self._page_class(operation, item)
        values = self._page_values(operation)
        values[page.items] = items
        return parts, result, [*lines, lay(_tree_call("return ", result, values, self.pages), 4)]

    def _page_class(self, operation: OperationPlan, item: str) -> str:
        """The class around the items; lists that answer alike share one."""
        page = operation.page
        assert page is not None  # noqa: S101 - the caller has looked
        members = {str(page.items): f"list[{item}]"}
        members |= {page.total: "int"} if page.total else {}
        kinds = {"next_cursor": "str | None", "has_more": "bool"}
        members |= {name: kinds.get(what, "int") for name, what in page.echo.items()}
        module = self.wire.module(self._home())
        return page_class(module, f"{item}Page", members, self.imports)

    def _page_values(self, operation: OperationPlan) -> dict[str, str]:
        page = operation.page
        assert page is not None  # noqa: S101 - the caller has looked
        limit, offset = page_limits(operation)
        roles = {one.role: f"query.{attribute(one.field)}" for one in operation.parameters}
        number = roles.get("page", str(page.first_page))
        sources = {
            "limit": limit, "offset": offset, "page": number, "count": "len(rows)",
            "pages": f"-(-total // max({limit}, 1))",
            "next_cursor": f"cursor({offset} + len(rows), total)",
            "has_more": f"{offset} + len(rows) < total",
        }  # fmt: skip
        values = {name: sources[what] for name, what in page.echo.items()}
        used = "".join(values.values())
        self.imports_for(used)
        return values | ({page.total: "total"} if page.total else {})

    def imports_for(self, source: str) -> None:
        for name in ("cursor", "after", "skipped"):
            if f"{name}(" in source:
                self.imports.own("pagination", name)


def page_class(module: Any, name: str, members: dict[str, str], imports: Imports) -> str:
    """Adds the class to its module unless one with the same members is there."""
    flat = {path: kind for path, kind in members.items() if "." not in path}
    nested: dict[str, dict[str, str]] = {}
    for path, kind in members.items():
        head, dot, rest = path.partition(".")
        if dot:
            nested.setdefault(head, {})[rest] = kind
    for head, inner in nested.items():
        inner_name = f"{name}{words.pascal(head, ())}"
        flat[head] = page_class(module, inner_name, inner, imports)
    fields = []
    for wire, kind in sorted(
        flat.items(), key=lambda one: list(members).index(_first(one[0], members))
    ):
        attr = words.snake(wire, words.ATTRIBUTES, "field")
        alias = "" if attr == wire else f" = Field(alias={words.literal(wire)})"
        fields.append(f"{attr}: {kind}{alias}")
    for known in module.classes:
        if known["fields"] == fields and known["name"].startswith(name):
            imports.own(f"models.{module.name}", known["name"])
            return str(known["name"])
    name = words.unused(name, module.aliases.taken)
    module.aliases.taken.add(name)
    imports.own(f"models.{module.name}", name)
    module.classes.append(
        {"name": name, "base": "Wire", "doc": words.docstring("One page, and what surrounds it.", 4),
         "config": None, "least": None, "fields": fields}
    )  # fmt: skip
    return name


def _first(name: str, members: dict[str, str]) -> str:
    return next(path for path in members if path == name or path.startswith(f"{name}."))


def _tree_call(head: str, name: str, values: dict[str, str], pages: list[dict[str, Any]]) -> Call:
    """The construction of a page, with the objects inside it."""
    parts: list[Part] = []
    nested: dict[str, dict[str, str]] = {}
    for path, value in values.items():
        first, dot, rest = path.partition(".")
        if dot:
            nested.setdefault(first, {})[rest] = value
    done: set[str] = set()
    for path, value in values.items():
        first, dot, _ = path.partition(".")
        if first in done:
            continue
        done.add(first)
        if dot:
            inner = _tree_call("", f"{name}{words.pascal(first, ())}", nested[first], pages)
            parts.append(_keyword(first, inner))
        else:
            parts.append(_keyword(first, value))
    return Call(f"{head}{name}(", parts, ")")


def _keyword(name: str, value: Part) -> Part:
    if not name.isidentifier():
        return f"**{{{words.literal(name)}: {flat(value)}}}"
    if isinstance(value, Call):
        return Call(f"{name}={value.head}", value.parts, value.tail)
    return f"{name}={flat(value)}"


def media_class(media_type: str) -> str:
    """The response class for a JSON media type other than the usual one."""
    return words.pascal(media_type.rsplit("/", maxsplit=1)[-1]) + "Response"


def _openness(operation: OperationPlan) -> tuple[int, ...]:
    """Sorts fixed paths before those with parameters in the same place."""
    return tuple("{" in part for part in operation.path.split("/"))
