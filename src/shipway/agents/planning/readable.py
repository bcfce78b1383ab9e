"""Writes a service plan as Markdown that a product person can read and object to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shipway.contracts.service_plan import (
    EntityPlan,
    FieldPlan,
    Limits,
    OperationPlan,
    ServicePlan,
)

_BEHAVIOURS = {
    "create": "creates", "list": "lists", "read": "reads", "replace": "replaces",
    "patch": "changes", "delete": "deletes",
}  # fmt: skip
_COMPARISONS = {
    "eq": "equals", "ne": "differs from", "contains": "contains", "prefix": "starts with",
    "lt": "before or below", "le": "up to", "gt": "after or above", "ge": "from",
    "in": "is one of",
}  # fmt: skip


def write(plan: ServicePlan) -> str:
    """The whole plan, in the order in which a reader asks."""
    sections = (
        _head(plan), _doubts(plan), _left_out(plan), _entities(plan), _operations(plan),
        _lists(plan), _security(plan), _checks(plan), _overlay(plan),
    )  # fmt: skip
    return "\n".join(line for section in sections for line in section).rstrip() + "\n"


def text(value: str) -> str:
    """Words of the document, safe in a Markdown table: they can neither end a cell nor draw."""
    plain = " ".join(value.split())
    for character in "\\`*_[]<>|#":
        plain = plain.replace(character, f"\\{character}" if character != "<" else "&lt;")
    return plain


def code(value: str) -> str:
    """A word of the document as code, safe in a Markdown table."""
    plain = " ".join(value.split()).replace("`", "'").replace("|", "\\|")
    return f"`{plain}`" if plain else ""


def _head(plan: ServicePlan) -> Iterator[str]:
    done = [one for one in plan.operations if one.behaviour != "unimplemented"]
    yield f"# Plan: {text(plan.title)} {text(plan.version)}"
    yield ""
    if plan.description:
        yield "\n".join(f"> {text(line)}" for line in plan.description.strip().splitlines())
        yield ""
    names = ", ".join(text(entity.name) for entity in plan.entities) or "nothing"
    yield (
        f"A service that keeps {names}. {len(done)} of {len(plan.operations)} operations will work"
        + (f" below the path {code(plan.prefix)}" if plan.prefix else "")
        + f". It will be shown to do so by {len(plan.checks)} acceptance checks and by testing it "
        f"against the document (OpenAPI {plan.openapi}, sha256 {plan.document_sha256[:12]})."
    )
    yield ""


def _doubts(plan: ServicePlan) -> Iterator[str]:
    yield "## What the document leaves open"
    yield ""
    if not plan.ambiguities:
        yield "Nothing that matters was found."
    else:
        yield "These defaults were taken. If one is wrong, say so in the document and run again."
        yield ""
        yield "| where | question | taken |"
        yield "|---|---|---|"
        for one in plan.ambiguities:
            yield f"| {code(one.where)} | {text(one.question)} | {text(one.default)} |"
    yield ""


def _left_out(plan: ServicePlan) -> Iterator[str]:
    yield "## What will not be built"
    yield ""
    if not plan.unimplemented:
        yield "Every operation of the document will be built."
    else:
        yield "These operations answer 501 and do nothing."
        yield ""
        yield "| operation | why |"
        yield "|---|---|"
        for one in plan.unimplemented:
            yield f"| {code(one.operation)} | {text(one.reason)} |"
    yield ""


def _entities(plan: ServicePlan) -> Iterator[str]:
    yield "## What is kept"
    yield ""
    for entity in plan.entities:
        yield f"### {text(entity.name)}"
        yield ""
        if entity.description:
            yield text(entity.description)
            yield ""
        yield f"Told apart by {code(_shown(entity, entity.key))}, {_key(entity)}."
        yield ""
        yield "| property | kind | required | limits and defaults |"
        yield "|---|---|---|---|"
        for column in entity.columns:
            yield from _rows(plan, column.field)
        yield ""
        yield from _rules(entity)


def _key(entity: EntityPlan) -> str:
    return {
        "uuid": "which the service makes (a random identifier)",
        "integer": "which the service counts up",
        "client": "which the client chooses",
    }[entity.key_kind]


def _shown(entity: EntityPlan, column: str) -> str:
    return next(one.field.name for one in entity.columns if one.column == column)


def _rows(plan: ServicePlan, field: FieldPlan, above: str = "", depth: int = 0) -> Iterator[str]:
    """A property, and below it those inside it, as far as two levels down."""
    yield _row(field, above)
    inside = field.model or (field.items.model if field.items else None)
    for model in plan.models:
        if model.name == inside and depth < 2:
            mark = "[]" if field.type == "array" else ""
            for inner in model.fields:
                yield from _rows(plan, inner, f"{above}{field.name}{mark}.", depth + 1)


def _row(field: FieldPlan, above: str) -> str:
    needed = "by the service" if field.server != "none" else "yes" if field.required else "no"
    return f"| {code(above + field.name)} | {_kind(field)} | {needed} | {_limits(field)} |"


def _kind(field: FieldPlan) -> str:
    if field.type == "array":
        return "list of " + (_kind(field.items) if field.items else "anything")
    if field.type == "enum":
        return "one of " + ", ".join(code(str(value)) for value in field.enum)
    word = field.type if field.format is None else f"{field.type} ({text(field.format)})"
    return f"{word} or null" if field.nullable else word


_LIMITS = {
    "min_length": "at least {} characters", "max_length": "at most {} characters",
    "minimum": "at least {}", "maximum": "at most {}", "exclusive_minimum": "more than {}",
    "exclusive_maximum": "less than {}", "multiple_of": "a multiple of {}",
    "min_items": "at least {} of them", "max_items": "at most {} of them",
}  # fmt: skip


def _limits(field: FieldPlan) -> str:
    parts = _said(field.limits)
    if field.has_default:
        parts.append(f"{code(str(field.default))} by default")
    if field.write_only:
        parts.append("never shown")
    return "; ".join(parts)


def _said(limits: Limits) -> list[str]:
    said = limits.model_dump(exclude_none=True)
    parts = [words.format(said[name]) for name, words in _LIMITS.items() if name in said]
    if limits.pattern:
        parts.append(f"of the form {code(limits.pattern)}")
    if limits.unique_items:
        parts.append("no two alike")
    return parts


def _rules(entity: EntityPlan) -> Iterator[str]:
    found = [*_unique(entity), *_references(entity)]
    if found:
        yield "Rules:"
        yield ""
        yield from found
        yield ""


def _unique(entity: EntityPlan) -> Iterator[str]:
    for rule in entity.unique:
        names = " and ".join(code(_shown(entity, column)) for column in rule.columns)
        limit = ""
        if rule.while_field:
            values = " or ".join(
                "empty" if value is None else code(str(value)) for value in rule.while_values
            )
            limit = f" while {code(_shown(entity, rule.while_field))} is {values}"
        yield f"- No two have the same {names}{limit}. (from {code(rule.reason)})"


def _references(entity: EntityPlan) -> Iterator[str]:
    actions = {
        "refuse": "which cannot be deleted as long as this is there",
        "cascade": "and is deleted with it",
        "clear": "and is cleared when that is deleted",
    }
    for column in entity.columns:
        if column.reference is not None:
            yield (
                f"- {code(column.field.name)} names a {text(column.reference.entity)} that exists, "
                f"{actions[column.reference.on_delete]}. (from {code(column.reference.reason)})"
            )


def _operations(plan: ServicePlan) -> Iterator[str]:
    yield "## Operations"
    yield ""
    yield "| operation | what it does | answers | who may |"
    yield "|---|---|---|---|"
    for one in plan.operations:
        name = code(f"{one.method.upper()} {one.path}")
        yield f"| {name} | {_does(one)} | {_answers(one)} | {_who(one)} |"
    yield ""


def _does(one: OperationPlan) -> str:
    if one.behaviour == "unimplemented":
        return f"not built: {text(one.reason or '')}"
    summary = f" ({text(one.summary)})" if one.summary else ""
    return f"{_BEHAVIOURS[one.behaviour]} {text(one.entity or '')}{summary}"


def _answers(one: OperationPlan) -> str:
    good = [str(status) for status in (one.success, one.created) if status is not None]
    bad: dict[int, list[str]] = {}
    for error in one.errors:
        bad.setdefault(error.status, []).append(error.reason.replace("_", " "))
    told = [f"{status} {' or '.join(reasons)}" for status, reasons in bad.items()]
    if one.behaviour == "unimplemented":
        return ", ".join(told)
    return ", ".join([*good, *told])


def _who(one: OperationPlan) -> str:
    if not one.security or [] in one.security:
        return "everybody"
    return " or ".join(" and ".join(code(name) for name in names) for names in one.security)


def _lists(plan: ServicePlan) -> Iterator[str]:
    lists = [one for one in plan.operations if one.behaviour == "list"]
    if not lists:
        return
    yield "## Lists"
    yield ""
    shown = {
        (entity.name, column.column): column.field.name
        for entity in plan.entities
        for column in entity.columns
    }
    for one in lists:
        yield f"- {code(f'GET {one.path}')}: {_paged(one)}{_filters(one, shown)}"
    yield ""


def _paged(one: OperationPlan) -> str:
    page = one.page
    if page is None or page.style == "none":
        return "all rows at once"
    shape = "a bare array" if page.items is None else f"an object with {code(page.items)}"
    return (
        f"pages by {page.style}, {page.default_limit} at a time unless asked otherwise, at most "
        f"{page.max_limit}, as {shape}"
    )


def _filters(one: OperationPlan, shown: Mapping[tuple[str, str], str]) -> str:
    found = []
    for parameter in one.parameters:
        if parameter.role != "filter":
            continue
        names = [parameter.column] if parameter.column else parameter.columns
        what = " or ".join(code(shown[one.entity or "", name] or name) for name in names)
        found.append(f"{code(parameter.field.name)} ({what} {_COMPARISONS[parameter.comparison]})")
    sorts = [key.value for parameter in one.parameters for key in parameter.sort]
    ordered = f"; ordered by {', '.join(code(value) for value in sorts)}" if sorts else ""
    return (f"; filtered by {', '.join(found)}" if found else "") + ordered


def _security(plan: ServicePlan) -> Iterator[str]:
    if not plan.security_schemes:
        return
    yield "## Who may call"
    yield ""
    for one in plan.security_schemes:
        kind = {"api_key": "a key", "basic": "a user and password", "bearer": "a bearer token"}
        yield (
            f"- {code(one.id)}: {kind[one.kind]} in the {one.location} {code(one.name)}; accepted "
            f"secrets are read from the setting {code(one.setting)}. With none configured nobody "
            "is let in."
        )
    yield ""


def _checks(plan: ServicePlan) -> Iterator[str]:
    yield "## Acceptance checks"
    yield ""
    for number, one in enumerate(plan.checks, start=1):
        yield f"{number}. {text(one.title)}"
    yield ""


def _overlay(plan: ServicePlan) -> Iterator[str]:
    yield "## Error answers that are added to the document"
    yield ""
    if not plan.overlay:
        yield "None: the document describes every error that its operations can come to."
        return
    yield (
        "The document does not describe these, but its operations come to them. They are added for "
        "testing only; the document itself stays as it is."
    )
    yield ""
    for action in plan.overlay:
        update = action["update"]
        added = update.get("responses", update) if isinstance(update, dict) else {}
        statuses = ", ".join(added) if isinstance(added, dict) else ""
        yield f"- {code(str(action['target']))}: {statuses}"
