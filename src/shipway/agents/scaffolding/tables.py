"""The tables of the project: mapped rows, rules that the database keeps, and the first migration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shipway.agents.scaffolding import words
from shipway.agents.scaffolding.kinds import typed
from shipway.agents.scaffolding.layout import Call, Part, flat, lay
from shipway.agents.scaffolding.names import Names, article, attribute, spoken
from shipway.contracts.service_plan import ColumnPlan, EntityPlan, FieldPlan, UniqueRule

_TYPES = {
    "number": ("sa.Float", "float"),
    "boolean": ("sa.Boolean", "bool"),
    "date": ("sa.Date", "dt.date"),
    "datetime": ("Moment", "dt.datetime"),
    "uuid": ("sa.Uuid", "UUID"),
    "integer": ("Whole", "int"),
    "object": ("Document", "Any"),
    "array": ("Document", "Any"),
    "any": ("Document", "Any"),
}
_MIGRATED = {"Moment": "sa.DateTime", "Whole": "sa.Integer", "Document": "sa.JSON"}
_FILLED = {
    "date": "today", "datetime": "now", "integer": "epoch", "string": "written_now",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """A uniqueness rule as an index: over which columns, while what holds, and what to say."""

    table: str
    name: str
    columns: list[str]
    condition: Part | None
    broken: str
    says: str


def kept_as(plan: FieldPlan) -> tuple[str, str]:
    """The column type and the Python type of a field."""
    if plan.type == "enum":
        values = [value for value in plan.enum if value is not None]
        if values and all(isinstance(value, bool) for value in values):
            return "sa.Boolean", "bool"
        if values and all(
            isinstance(value, int) and not isinstance(value, bool) for value in values
        ):
            return "Whole", "int"
        if not all(isinstance(value, str) for value in values):
            return "Document", "Any"
        return "sa.String", "str"
    if plan.type in _TYPES:
        return _TYPES[plan.type]
    return (
        f"sa.String({plan.limits.max_length})" if plan.limits.max_length else "sa.String"
    ), "str"


def is_null(column: ColumnPlan) -> bool:
    return not column.field.required or column.field.nullable


def order_column(entity: EntityPlan) -> str:
    """What keeps lists in order of creation: the counted key, or a column of its own."""
    if entity.key_kind == "integer":
        return attribute(next(one for one in entity.columns if one.column == entity.key).field)
    taken = {attribute(one.field) for one in entity.columns} | {
        one.column for one in entity.columns
    }
    return words.unused("position", taken)


def rules(names: Names, entity: EntityPlan) -> list[Rule]:
    """Every uniqueness rule of an entity, once."""
    wanted = list(entity.unique)
    said = {tuple(rule.columns) for rule in wanted if rule.while_field is None}
    wanted += [
        UniqueRule(columns=[column.column], reason="")
        for column in entity.columns
        if column.unique and (column.column,) not in said and column.column != entity.key
    ]
    wanted = [rule for rule in wanted if rule.while_field or rule.columns != [entity.key]]
    found: list[Rule] = []
    for rule in wanted:
        name = words.unused(f"{entity.table}_one_{'_'.join(rule.columns)}", {r.name for r in found})
        found.append(_rule(names, entity, rule, name))
    return found


def _rule(names: Names, entity: EntityPlan, rule: UniqueRule, name: str) -> Rule:
    fields = [names.column(entity, one).field for one in rule.columns]
    noun = spoken(entity.name)
    says = f"there is already {article(noun)} with this {' and this '.join(f.name for f in fields)}"
    condition = None
    if rule.while_field:
        while_field = names.column(entity, rule.while_field).field
        condition = _condition(rule, while_field)
        values = " or ".join("nothing" if v is None else str(v) for v in rule.while_values)
        says += f" whose {while_field.name} is {values}"
    broken = ", ".join(f"{entity.table}.{column}" for column in rule.columns)
    return Rule(entity.table, name, rule.columns, condition, broken, words.plain(says))


def _condition(rule: UniqueRule, plan: FieldPlan) -> Part:
    column = f"sa.column({words.literal(rule.while_field)})"
    values = [typed(plan, value) for value in rule.while_values if value is not None]
    listed = f"{column}.in_([{', '.join(values)}])"
    if None not in rule.while_values:
        return listed
    empty = f"{column}.is_(None)"
    return Call("sa.or_(", [empty, listed], ")") if values else empty


def key_rule(entity: EntityPlan, key: ColumnPlan) -> tuple[str, str]:
    """What SQLite says when a key is taken, and what we say then."""
    noun = spoken(entity.name)
    says = f"there is already {article(noun)} with this {key.field.name}"
    return f"{entity.table}.{entity.key}", words.plain(says)


# -- mapped rows ------------------------------------------------------------------------------


def row(names: Names, entity: EntityPlan) -> dict[str, Any]:
    """The mapped class of an entity."""
    arguments: list[Part] = [_index(rule, ()) for rule in rules(names, entity)]
    arguments.append('{"sqlite_autoincrement": True}')
    table_args = Call("__table_args__ = (", arguments, ")")
    source = lay(table_args, 4)
    if len(arguments) == 1:
        source = '__table_args__ = {"sqlite_autoincrement": True}'
    fields = [_mapped(names, entity, column) for column in entity.columns]
    order = order_column(entity)
    if entity.key_kind != "integer":
        fields.insert(0, f"{order}: Mapped[int] = mapped_column(primary_key=True)")
    return {
        "name": names.rows[entity.name],
        "table": words.literal(entity.table),
        "arguments": source,
        "fields": fields,
        "order": order,
    }


def _index(rule: Rule, table: tuple[str, ...]) -> Call:
    parts: list[Part] = [words.literal(rule.name), *map(words.literal, (*table, *rule.columns))]
    parts.append("unique=True")
    if rule.condition is not None:
        parts.append(_named("sqlite_where", rule.condition))
    return Call("sa.Index(", parts, ")")


def _named(name: str, value: Part) -> Part:
    if isinstance(value, Call):
        return Call(f"{name}={value.head}", value.parts, value.tail)
    return f"{name}={flat(value)}"


def _mapped(names: Names, entity: EntityPlan, column: ColumnPlan) -> str:
    attr, (kind, python) = attribute(column.field), kept_as(column.field)
    is_key = column.column == entity.key
    parts: list[Part] = [words.literal(column.column)] if attr != column.column else []
    parts.append(kind)
    if column.reference:
        parts.append(_foreign_key(names, column))
    if is_key and entity.key_kind == "integer":
        parts.append("primary_key=True")
    elif is_key:
        parts += ["unique=True", *(_made_key(column, entity))]
    elif column.index or column.reference:
        parts.append("index=True")
    if column.field.server in {"created", "updated"}:
        parts.append(f"default={_FILLED.get(column.field.type, 'now')}")
    empty = is_null(column) and not is_key
    annotated = f"{python} | None" if empty and python != "Any" else python
    nullable = ["nullable=True"] if empty and python == "Any" else []
    return lay(Call(f"{attr}: Mapped[{annotated}] = mapped_column(", [*parts, *nullable], ")"), 4)


def _made_key(column: ColumnPlan, entity: EntityPlan) -> list[str]:
    if entity.key_kind != "uuid":
        return []
    return ["default=uuid4" if column.field.type == "uuid" else "default=written_uuid"]


def _foreign_key(names: Names, column: ColumnPlan) -> Part:
    assert column.reference is not None  # noqa: S101 - the caller has looked
    target = names.entity(column.reference.entity)
    parts: list[Part] = [words.literal(f"{target.table}.{target.key}")]
    on_delete = {"cascade": "CASCADE", "clear": "SET NULL"}.get(column.reference.on_delete)
    parts += [f'ondelete="{on_delete}"'] if on_delete else []
    return Call("sa.ForeignKey(", parts, ")")


# -- the first migration ----------------------------------------------------------------------


def migration(names: Names) -> dict[str, list[str]]:
    """Statements that make the tables, and those that remove them again."""
    up: list[str] = []
    for entity in names.plan.entities:
        up.append(lay(_create_table(names, entity), 4))
        for column in entity.columns:
            if (column.index or column.reference) and column.column != entity.key:
                name = words.literal(f"ix_{entity.table}_{column.column}")
                parts: list[Part] = [name, words.literal(entity.table)]
                parts.append(f"[{words.literal(column.column)}]")
                up.append(lay(Call("op.create_index(", parts, ")"), 4))
        up += [lay(_create_index(rule), 4) for rule in rules(names, entity)]
    down = [f"op.drop_table({words.literal(one.table)})" for one in reversed(names.plan.entities)]
    return {"up": up, "down": down}


def _create_table(names: Names, entity: EntityPlan) -> Call:
    parts: list[Part] = [words.literal(entity.table)]
    if entity.key_kind != "integer":
        order = words.literal(order_column(entity))
        parts.append(f"sa.Column({order}, sa.Integer, primary_key=True)")
    for column in entity.columns:
        kind = kept_as(column.field)[0]
        inner: list[Part] = [words.literal(column.column), _MIGRATED.get(kind, kind)]
        if column.reference:
            inner.append(_foreign_key(names, column))
        if column.column == entity.key:
            counted = entity.key_kind == "integer"
            inner += ["primary_key=True"] if counted else ["nullable=False", "unique=True"]
        else:
            inner += [] if is_null(column) else ["nullable=False"]
        parts.append(Call("sa.Column(", inner, ")"))
    return Call("op.create_table(", [*parts, "sqlite_autoincrement=True"], ")")


def _create_index(rule: Rule) -> Call:
    columns = "[" + ", ".join(map(words.literal, rule.columns)) + "]"
    parts: list[Part] = [
        words.literal(rule.name),
        words.literal(rule.table),
        columns,
        "unique=True",
    ]
    if rule.condition is not None:
        parts.append(_named("sqlite_where", rule.condition))
    return Call("op.create_index(", parts, ")")


def filled(column: ColumnPlan) -> str:
    """The function that fills a timestamp."""
    return _FILLED.get(column.field.type, "now")
