"""Everything that the project template is given: plain data, made from the plan alone."""

from __future__ import annotations

import json
from typing import Any

from shipway.agents.scaffolding import addresses, fieldtrials, tables, words
from shipway.agents.scaffolding.imports import Imports
from shipway.agents.scaffolding.layout import Call, flat, lay
from shipway.agents.scaffolding.names import Names
from shipway.agents.scaffolding.problems import Problems
from shipway.agents.scaffolding.routes import Routes, media_class
from shipway.agents.scaffolding.rowmaking import RowMaking
from shipway.agents.scaffolding.security import Security
from shipway.agents.scaffolding.stores import Store
from shipway.agents.scaffolding.trials import Trials
from shipway.agents.scaffolding.wire import FIELDS, Module, Wire
from shipway.contracts.service_plan import OperationPlan, ServicePlan


def view(plan: ServicePlan, document: str) -> dict[str, Any]:
    """The template's data; ``document`` is the file name under which the project keeps it."""
    names = Names.of(plan)
    wire, problems, security = Wire(names), Problems(names), Security(names)
    stores = [Store(names, wire, entity).view() for entity in plan.entities]
    groups = _groups(names)
    routes = _routes(names, wire, problems, security, groups)
    models = [_models(names, module) for module in wire.modules.values() if module.classes]
    making = RowMaking(names, security)
    trials = Trials(names, problems, making).view()
    used = _used_fields(wire, routes)
    table_view = _tables(names, stores)
    columns = set(table_view["columns"])
    return {
        "project": _project(plan, names, document) | {"needs_jsonschema": "Fits" in used},
        "models": models,
        "stores": stores,
        "routes": routes,
        "router_order": addresses.in_order(groups),
        "tables": table_view,
        "migration": tables.migration(names),
        "problems": problems.view(),
        "security": security.view(),
        "fields": sorted(used),
        "media": _media(plan),
        "matching": sorted(
            {
                word
                for store in stores
                for word in ("contains", "begins", "has_element")
                if word in store["imports"]
            }
        ),
        "paging": sorted(
            {
                word
                for source in [one["imports"] for one in (*stores, *routes)]
                for line in source.splitlines()
                if ".pagination import" in line
                for word in line.split("import", 1)[1].replace(",", " ").split()
            }
        ),
        "rows": making.view(),
        "samples": making.sample_source(),
        "trials": [one | {"imports": _trial_imports(names, one)} for one in trials],
        "passes": security.passes(),
        "field_trials": fieldtrials.table(used),
        "app_imports": _app_imports(names, routes),
        "columns_imports": _columns_imports(names, columns),
        "operations": [_listed(names, one) for one in plan.operations],
    }


def _project(plan: ServicePlan, names: Names, document: str) -> dict[str, Any]:
    paths = {plan.prefix + one.path for one in plan.operations}
    title = words.plain(plan.title) or "Service"
    first = words.sentence(plan.description, f"The service {title}")
    return {
        "name": words.snake(plan.name, fallback="service").replace("_", "-"),
        "package": names.package,
        "title": title.replace("`", "'"),
        "title_literal": words.literal(title),
        "title_doc": words.docstring(f"{title}: a service made from its OpenAPI document."),
        "version_literal": words.literal(words.plain(plan.version) or "0"),
        "description": first.replace("`", "'").replace("<", "&lt;"),
        "description_literal": json.dumps(first),
        "title_json": json.dumps(title),
        "document": document,
        "document_path": _free(f"/{document}", paths),
        "document_literal": words.literal(_free(f"/{document}", paths)),
        "media_type": "application/json" if document.endswith(".json") else "application/yaml",
        "health": _free("/healthz", paths),
        "prefix": words.literal(plan.prefix),
        "has_prefix": bool(plan.prefix),
    }


def _free(path: str, taken: set[str]) -> str:
    """A path that the document does not use, not even by a parameter."""
    shapes = [one.strip("/").split("/") for one in taken]
    parts = path.strip("/").split("/")

    def clashes(shape: list[str]) -> bool:
        return len(shape) == len(parts) and all(
            "{" in theirs or theirs == ours for theirs, ours in zip(shape, parts, strict=True)
        )

    while any(clashes(shape) for shape in shapes):
        parts = ["service", *parts]
    return "/" + "/".join(parts)


def _models(names: Names, module: Module) -> dict[str, Any]:
    module.settle()
    for one in module.classes:
        one["before_source"] = module.source_before(one["before"])
    used = module.words_used()
    imports = Imports(names.package)
    imports.own("wire", "Wire")
    source = "\n".join(flat(part) for part in module.aliases.code.values())
    source += "\n".join(line for one in module.classes for line in one["fields"])
    for word in ("Annotated", "Any", "Literal"):
        if word in used:
            imports.add("typing", word)
    if any(one["config"] for one in module.classes):
        imports.add("pydantic", "ConfigDict")
    if "Field" in used:
        imports.add("pydantic", "Field")
    if "dt." in source:
        imports.module("datetime as dt")
    if "UUID(" in source:
        imports.add("uuid", "UUID")
    own = {one["name"] for one in module.classes}
    for word in FIELDS:
        if word in used and word not in own:
            imports.own("fields", word)
    if any(one["least"] for one in module.classes):
        imports.add("typing", "ClassVar")
    return {
        "module": module.name,
        "title": words.docstring(f"{_noun(module.name)}: bodies, answers and query strings."),
        "types": module.source_of_types(),
        "classes": module.classes,
        "imports": imports.source(),
    }


def _noun(module: str) -> str:
    return module.strip("_").replace("_", " ").capitalize()


def _groups(names: Names) -> dict[str, list[OperationPlan]]:
    """The operations of each route module."""
    groups: dict[str, list[OperationPlan]] = {}
    for entity in names.plan.entities:
        own = [one for one in names.plan.operations if one.entity == entity.name]
        if own:
            groups[names.modules[entity.name]] = own
    lost = [one for one in names.plan.operations if one.entity is None]
    return groups | ({"other": lost} if lost else {})


def _routes(
    names: Names,
    wire: Wire,
    problems: Problems,
    security: Security,
    groups: dict[str, list[OperationPlan]],
) -> list[dict[str, Any]]:
    entities = {names.modules[entity.name]: entity for entity in names.plan.entities}
    return [
        Routes(names, wire, problems, security, entities.get(module), module).view(operations)
        for module, operations in groups.items()
    ]


def _tables(names: Names, stores: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [tables.row(names, entity) for entity in names.plan.entities]
    source = "\n".join(line for one in rows for line in [one["arguments"], *one["fields"]])
    imports = Imports(names.package)
    imports.add("sqlalchemy.orm", "DeclarativeBase")
    if rows:
        imports.module("sqlalchemy as sa")
        imports.add("sqlalchemy.orm", "Mapped", "mapped_column")
    if "dt." in source:
        imports.module("datetime as dt")
    if "Any" in source:
        imports.add("typing", "Any")
    for word in ("UUID", "uuid4"):
        if f"[{word}" in source or f"={word}" in source:
            imports.add("uuid", word)
    makers = ("now", "today", "epoch", "written_now", "written_uuid")
    touched = {one for one in makers if any(one in store["imports"].split() or f" {one}," in
               store["imports"] for store in stores)}  # fmt: skip
    used = {one for one in makers if f"default={one})" in source or f"default={one}," in source}
    kinds = {one for one in ("Moment", "Whole", "Document") if f"({one}" in source or f", {one}" in
             source}  # fmt: skip
    if used | kinds:
        imports.own("store.columns", *used, *kinds)
    says = {}
    for entity in names.plan.entities:
        broken, text = tables.key_rule(entity, names.key(entity))
        if entity.key_kind == "client":
            says[broken] = text
        says |= {rule.broken: rule.says for rule in tables.rules(names, entity)}
    pairs = [f"{words.literal(broken)}: {words.literal(text)}" for broken, text in says.items()]
    return {
        "rows": rows,
        "imports": imports.source(),
        "columns": sorted(used | touched | kinds),
        "rules": lay(Call("UNIQUE_RULES: dict[str, str] = {", pairs, "}")),
    }


def _used_fields(wire: Wire, routes: list[dict[str, Any]]) -> set[str]:
    used: set[str] = {"Omittable"}
    for module in wire.modules.values():
        used |= module.words_used() & set(FIELDS)
    for one in routes:
        used |= {word for word in FIELDS if word in one["imports"].replace(",", " ").split()}
    return used


def _media(plan: ServicePlan) -> list[dict[str, str]]:
    kinds = {
        str(one.response_media_type)
        for one in plan.operations
        if one.response_media_type not in {None, "application/json"} and one.response_model
        and one.behaviour != "unimplemented"
    }  # fmt: skip
    return [{"name": media_class(one), "literal": words.literal(one)} for one in sorted(kinds)]


def _listed(names: Names, operation: OperationPlan) -> dict[str, str]:
    path = words.plain(names.plan.prefix + operation.path).replace("|", "\\|").replace("`", "'")
    implemented = operation.behaviour != "unimplemented"
    return {
        "method": operation.method.upper(),
        "path": path,
        "summary": words.sentence(operation.summary, operation.id).replace("|", "\\|"),
        "behaviour": operation.behaviour if implemented else "answers 501",
    }


def _app_imports(names: Names, routes: list[dict[str, Any]]) -> str:
    imports = Imports(names.package)
    imports.own("", "__version__", "problems")
    imports.own("bodies", "BodyLimit")
    imports.own("database", "Database")
    imports.own("routes", "service", *(one["module"] for one in routes))
    imports.own("settings", "Settings")
    return imports.source()


def _columns_imports(names: Names, columns: set[str]) -> str:
    imports = Imports(names.package)
    kinds = {"Moment", "Whole", "Document"} & columns
    if {"Moment", "now", "today", "epoch", "written_now"} & columns:
        imports.module("datetime as dt")
    if {"Whole", "Document"} & columns:
        imports.add("typing", "Any")
    if "written_uuid" in columns:
        imports.add("uuid", "uuid4")
    if kinds:
        imports.module("sqlalchemy as sa")
        imports.add("sqlalchemy.engine", "Dialect")
        imports.add("sqlalchemy.types", "TypeDecorator")
    if "Document" in columns:
        imports.add("pydantic_core", "to_jsonable_python")
    return imports.source()


def _trial_imports(names: Names, module: dict[str, Any]) -> str:
    imports = Imports(names.package)
    fixtures = {kind for one in module["trials"] for kind in one["fixtures"]}
    if module["uses_copy"]:
        imports.module("copy")
    if module["uses_samples"]:
        imports.add("tests", "samples")
    if fixtures & {"Call", "Restart"}:
        imports.add("tests.conftest", *(fixtures & {"Call", "Restart"}))
    if "Rows" in fixtures:
        imports.add("tests.rows", "Rows")
    return imports.source()
