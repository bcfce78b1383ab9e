"""The models of the project: classes for bodies, answers, pages and query strings, by module."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from shipway.agents.scaffolding import words
from shipway.agents.scaffolding.kinds import Aliases, Use, annotation, default
from shipway.agents.scaffolding.layout import Call, Part, flat, lay
from shipway.agents.scaffolding.names import Names, attribute
from shipway.contracts.service_plan import FieldPlan, ModelPlan, OperationPlan

FIELDS = (
    "Integer", "Date", "Moment", "Time", "Uuid", "Email", "Uri", "HostName", "Ipv4", "Ipv6",
    "IntegerText", "NumberText", "BooleanText", "IntegerWord", "BooleanWord", "Omittable",
    "Distinct", "Multiple", "Matches", "OneOf", "Fits", "Split",
)  # fmt: skip


@dataclass
class Module:
    """One file of models: its named types and its classes, in an order that needs no forward look."""

    name: str
    aliases: Aliases = field(default_factory=Aliases)
    classes: list[dict[str, Any]] = field(default_factory=list)

    def source_of_types(self) -> list[str]:
        """The types that need no class of this module; they stand at its top."""
        late = {name for one in self.classes for name in one["before"]}
        return [self._source(name) for name in self.aliases.code if name not in late]

    def source_before(self, names: list[str]) -> list[str]:
        return [self._source(name) for name in names]

    def _source(self, name: str) -> str:
        return lay(_assigned(name, self.aliases.code[name]))

    def settle(self) -> None:
        """Give each type that names a class of this module its place, before its first user."""
        late = {one["name"] for one in self.classes}
        for one in self.classes:
            one["before"] = []
        for name, part in self.aliases.code.items():
            if not late & set(_WORD.findall(flat(part))):
                continue
            late.add(name)
            user = next(
                (one for one in self.classes if name in _WORD.findall("\n".join(one["fields"]))),
                self.classes[-1],
            )
            user["before"].append(name)

    def words_used(self) -> set[str]:
        text = "\n".join(map(self._source, self.aliases.code))
        text += "\n".join(line for one in self.classes for line in one["fields"])
        text += "\n".join(one["base"] for one in self.classes)
        return set(_WORD.findall(re.sub(r"r?\"[^\"\n]*\"", "", text)))


_WORD = re.compile(r"[A-Za-z_]\w*")


def _assigned(name: str, part: Part) -> Part:
    if isinstance(part, Call):
        return Call(f"{name} = {part.head}", part.parts, part.tail)
    return f"{name} = {flat(part)}"


class Wire:
    """Assigns each model to a module and turns it into classes, as they are used."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.modules: dict[str, Module] = {}
        self.inputs: dict[str, str] = {}
        self.outputs: dict[str, str] = {}
        self.queries: dict[str, str] = {}
        self._asked: set[str] = set()
        self._answered: set[str] = set()
        self._homes: dict[str, set[str]] = {}
        self._in_sets = {
            one.items.model
            for model in names.plan.models
            for one in _all_fields(model)
            if one.limits.unique_items and one.items
        }
        self._survey()
        self._name_classes()
        for model in _inner_first(names.plan.models):
            self._add(model)

    # -- who uses what ------------------------------------------------------------------------

    def _survey(self) -> None:
        for operation in self.names.plan.operations:
            if operation.behaviour == "unimplemented" or operation.entity is None:
                continue
            home = self.names.modules[operation.entity]
            if operation.request_model:
                self._mark(operation.request_model, home, self._asked)
            if operation.response_model:
                self._mark(operation.response_model, home, self._answered)

    def _mark(self, name: str, home: str, seen: set[str]) -> None:
        if name in seen and home in self._homes.get(name, ()):
            return
        seen.add(name)
        self._homes.setdefault(name, set()).add(home)
        for inner in _inner_models(self.names.model(name)):
            self._mark(inner, home, seen)

    def home(self, name: str) -> str:
        homes = self._homes[name]
        return next(iter(homes)) if len(homes) == 1 else "shared"

    def _name_classes(self) -> None:
        tops = {operation.request_model for operation in self.names.plan.operations}
        tops |= {operation.response_model for operation in self.names.plan.operations}
        taken: set[str] = set()
        for model in self.names.plan.models:
            asked, answered = model.name in self._asked, model.name in self._answered
            if not asked and not answered:
                continue
            name = words.unused(words.pascal(model.name), taken)
            taken.add(name)
            if asked and answered and (model.name in tops or self._is_split(model, set())):
                self.outputs[model.name] = name
                self.inputs[model.name] = words.unused(f"{name}Input", taken)
                taken.add(self.inputs[model.name])
            else:
                if asked:
                    self.inputs[model.name] = name
                if answered:
                    self.outputs[model.name] = name

    def _is_split(self, model: ModelPlan, seen: set[str]) -> bool:
        """Whether what is sent and what is answered differ."""
        if model.name in seen:
            return False
        seen.add(model.name)
        return any(one.read_only or one.write_only for one in _all_fields(model)) or any(
            self._is_split(self.names.model(inner), seen) for inner in _inner_models(model)
        )

    # -- classes ------------------------------------------------------------------------------

    def module(self, name: str) -> Module:
        if name not in self.modules:
            taken = {*words.CLASSES, *self.inputs.values(), *self.outputs.values()}
            taken |= {*self.names.rows.values()}
            self.modules[name] = Module(name, Aliases(taken=taken))
        return self.modules[name]

    def _add(self, model: ModelPlan) -> None:
        if model.name not in self._homes:
            return
        module = self.module(self.home(model.name))
        asked, answered = self.inputs.get(model.name), self.outputs.get(model.name)
        if asked:
            fields = [one for one in model.fields if not one.read_only or asked == answered]
            module.classes.append(self._class(module, asked, model, fields, "input"))
        if answered and answered != asked:
            fields = [one for one in model.fields if not one.write_only]
            module.classes.append(self._class(module, answered, model, fields, "output"))

    def _class(
        self, module: Module, name: str, model: ModelPlan, fields: list[FieldPlan], use: Use
    ) -> dict[str, Any]:
        classes = self.inputs if use == "input" else self.outputs
        least = model.min_properties if use == "input" else None
        extra = self._strangers(model, use)
        return {
            "name": name,
            "base": "Wire",
            "doc": words.docstring(words.sentence(model.description, f"{model.name}"), 4),
            "config": f'ConfigDict(extra="{extra}")' if extra else None,
            "least": least or None,
            "fields": [self.field(module, one, use, classes) for one in fields],
        }

    def _strangers(self, model: ModelPlan, use: Use) -> str | None:
        """What becomes of properties that the model does not name; None leaves them out.

        They are refused where the document says so. Inside stored objects they are kept where it
        says so, and where leaving them out would make the things of a set alike.
        """
        if model.extra == "forbid":
            return "forbid" if use == "input" else None
        top = model.name in {one.request_model for one in self.names.plan.operations}
        kept = model.extra == "allow" or model.name in self._in_sets
        return "allow" if kept and not top else None

    def field(self, module: Module, plan: FieldPlan, use: Use, classes: dict[str, str]) -> str:
        attr = attribute(plan)
        kind = annotation(plan, use, module.aliases, classes)
        nullable = plan.nullable or (plan.type == "any" and not plan.json_schema)
        settings = [] if attr == plan.name else [f"alias={words.literal(plan.name)}"]
        value: str | None = None
        if plan.nullable and kind != "Any" and use != "text":
            kind = f"{kind} | None"
        if not plan.required:
            has_default = plan.has_default and use != "output" and plan.default is not None
            value = default(plan) if has_default else "None"
            if value == "None" and not (nullable and use != "text"):
                kind = f"Omittable[{kind}]"
        return lay(_field_code(attr, kind, settings, value), 4)

    # -- query strings ------------------------------------------------------------------------

    def query(self, operation: OperationPlan) -> str | None:
        """The class of an operation's query string; None when it has no parameters there."""
        plans = [one for one in operation.parameters if one.location == "query"]
        if not plans or operation.entity is None:
            return None
        if operation.id not in self.queries:
            module = self.module(self.names.modules[operation.entity])
            name = words.pascal(self.names.handlers[operation.id]) + "Query"
            name = words.unused(name, module.aliases.taken)
            module.aliases.taken.add(name)
            self.queries[operation.id] = name
            fields = []
            for one in plans:
                code = self.field(module, one.field, "text", {})
                if one.field.type == "array" and one.style != "repeat":
                    code = _split(code, one.style)
                fields.append(code)
            doc = f"The query string of {operation.method.upper()} {words.plain(operation.path)}."
            module.classes.append(
                {"name": name, "base": "Wire", "doc": words.docstring(doc, 4), "config": None,
                 "least": None, "fields": fields}
            )  # fmt: skip
        return self.queries[operation.id]

    def path_type(self, operation: OperationPlan, plan: FieldPlan) -> tuple[str, str]:
        """The type of a path parameter, and the module of models that names it."""
        module = self.module(self.names.modules[str(operation.entity)])
        return annotation(plan, "text", module.aliases, {}), module.name


def _split(code: str, style: str) -> str:
    """The field's list read from one value that is joined by a separator."""
    name, rest = code.split(": ", 1)
    kind, value = rest.rsplit(" = ", 1) if " = " in rest else (rest, "")
    separator = {"comma": ",", "space": " ", "pipe": "|"}[style]
    kind = re.sub(r"^Omittable\[(.*)\]$", r"\1", kind)
    inner = f"Annotated[{kind}, Split({words.literal(separator)})]"
    return (
        f"{name}: Omittable[{inner}] = {value}"
        if value == "None"
        else (f"{name}: {inner}" + (f" = {value}" if value else ""))
    )


def _field_code(attr: str, kind: str, settings: list[str], value: str | None) -> Part:
    if not settings:
        return f"{attr}: {kind}" + (f" = {value}" if value is not None else "")
    if value is not None and value.startswith("Field("):
        settings = [*settings, value.removeprefix("Field(").removesuffix(")")]
    elif value is not None:
        settings = [*settings, f"default={value}"]
    return Call(f"{attr}: {kind} = Field(", settings, ")")


def _all_fields(model: ModelPlan) -> list[FieldPlan]:
    found, todo = [], list(model.fields)
    while todo:
        one = todo.pop()
        found.append(one)
        todo += [inner for inner in (one.items, one.values) if inner]
    return found


def _inner_models(model: ModelPlan) -> list[str]:
    return [one.model for one in reversed(_all_fields(model)) if one.model]


def _inner_first(models: list[ModelPlan]) -> list[ModelPlan]:
    by_name = {model.name: model for model in models}
    ordered: dict[str, ModelPlan] = {}
    entered: set[str] = set()

    def visit(model: ModelPlan) -> None:
        if model.name in entered:
            return
        entered.add(model.name)
        for inner in _inner_models(model):
            if inner in by_name:
                visit(by_name[inner])
        ordered[model.name] = model

    for model in models:
        visit(model)
    return list(ordered.values())
