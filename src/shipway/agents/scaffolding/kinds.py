"""Field plans as Python types: what a client may send, what a row is, what an answer holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter
from pydantic_core import SchemaError

from shipway.agents.scaffolding.layout import Call, Part, flat, json_code
from shipway.agents.scaffolding.words import literal, pascal, raw, unused
from shipway.contracts.service_plan import FieldPlan

Use = Literal["input", "output", "text"]
"""input: a JSON body; output: an answer made from a row; text: a parameter, written as text."""

_NAMED = {
    "date": "Date", "datetime": "Moment", "time": "Time", "uuid": "Uuid",
    "email": "Email", "uri": "Uri",
}  # fmt: skip
_FORMATS = {"hostname": "HostName", "ipv4": "Ipv4", "ipv6": "Ipv6"}
_TEXT = {"integer": "IntegerText", "number": "NumberText", "boolean": "BooleanText"}
_BITS = {"int32": 2**31, "int64": 2**63}


@dataclass
class Aliases:
    """The named types of one module: each constraint is written down once and has a name."""

    names: dict[str, str] = field(default_factory=dict)
    code: dict[str, Part] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def name(self, part: Part, wish: str) -> str:
        """The alias for ``part``; an expression that was named before keeps its name."""
        text = flat(part)
        if text not in self.names:
            name = unused(pascal(wish), self.taken).replace("_", "")
            self.taken.add(name)
            self.names[text] = name
            self.code[name] = part
        return self.names[text]


def annotation(plan: FieldPlan, use: Use, aliases: Aliases, classes: dict[str, str]) -> str:
    """The type of a value that is there and not null; ``classes`` names nested models."""
    bare = _bare(plan, use, aliases, classes)
    extras = _constraints(plan, use) if use != "output" else []
    if extras:
        return aliases.name(Call("Annotated[", [bare, *extras], "]"), plan.attr)
    if isinstance(bare, Call):
        return aliases.name(bare, plan.attr)
    return flat(bare)


def _bare(plan: FieldPlan, use: Use, aliases: Aliases, classes: dict[str, str]) -> Part:
    if plan.type == "enum":
        return _enumeration(plan, use)
    if plan.type == "array":
        item = annotation(plan.items, use, aliases, classes) if plan.items else "Any"
        if plan.items and plan.items.nullable and item != "Any":
            item += " | None"
        return f"list[{item}]"
    if plan.type == "object":
        return _object(plan, use, aliases, classes)
    if plan.type == "any":
        return "Any"
    if use == "text" and plan.type in _TEXT:
        return _TEXT[plan.type]
    if plan.type in _NAMED and not (use == "output" and plan.type in {"email", "uri"}):
        return _NAMED[plan.type]
    return {"integer": "Integer", "number": "float", "boolean": "bool"}.get(plan.type, "str")


def _object(plan: FieldPlan, use: Use, aliases: Aliases, classes: dict[str, str]) -> str:
    if plan.model:
        return classes[plan.model]
    if plan.values is None:
        return "dict[str, Any]"
    value = annotation(plan.values, use, aliases, classes)
    return f"dict[str, {value}{' | None' if plan.values.nullable and value != 'Any' else ''}]"


def _enumeration(plan: FieldPlan, use: Use) -> Part:
    values = [value for value in plan.enum if value is not None]
    if not values or not all(isinstance(value, str | int) for value in values):
        return "Any" if use == "output" else Call("Annotated[", ["Any", _one_of(values)], "]")
    choices = Call("Literal[", [literal(value) for value in values], "]")
    if use == "text" and all(isinstance(value, bool) for value in values):
        return Call("Annotated[", [choices, "BooleanWord"], "]")
    if use == "text" and all(isinstance(value, int) for value in values):
        return Call("Annotated[", [choices, "IntegerWord"], "]")
    return choices


def _one_of(values: Sequence[JsonValue]) -> Part:
    return Call("OneOf(", [literal(value) for value in values], ")")


def _constraints(plan: FieldPlan, use: Use) -> list[Part]:
    limits, found, settings = plan.limits, [], []
    if plan.type == "array":
        settings = _settings(min_length=limits.min_items, max_length=limits.max_items)
        found = ["Distinct"] if limits.unique_items else []
    elif plan.type in {"integer", "number"}:
        settings, found = _numbers(plan)
    elif plan.type in {"string", "email", "uri"}:
        settings = _settings(min_length=limits.min_length, max_length=limits.max_length)
        pattern, extra = _pattern(limits.pattern)
        settings += pattern
        found = extra + ([_FORMATS[plan.format]] if plan.format in _FORMATS else [])
    elif plan.type == "object" and not plan.model:
        settings = _settings(min_length=limits.min_items, max_length=limits.max_items)
    elif plan.type == "any" and plan.json_schema:
        return [Call("Fits(", [json_code(plan.json_schema)], ")")]
    return [*([Call("Field(", settings, ")")] if settings else []), *found]


def _settings(**values: float | None) -> list[str]:
    return [f"{name}={value!r}" for name, value in values.items() if value is not None]


def _numbers(plan: FieldPlan) -> tuple[list[str], list[str]]:
    limits = plan.limits
    lowest, highest = limits.minimum, limits.maximum
    if plan.type == "integer" and plan.format in _BITS:
        bound = _BITS[plan.format]
        lowest = -bound if lowest is None else max(lowest, -bound)
        highest = bound - 1 if highest is None else min(highest, bound - 1)
    settings = _settings(
        ge=lowest, le=highest, gt=limits.exclusive_minimum, lt=limits.exclusive_maximum
    )
    step = limits.multiple_of
    return settings, [f"Multiple({step!r})"] if step is not None else []


def _pattern(pattern: str | None) -> tuple[list[str], list[str]]:
    """As a setting where Pydantic's own engine reads it, else as a check by Python's."""
    if pattern is None:
        return [], []
    translated = ecma(pattern)
    try:
        TypeAdapter(Annotated[str, Field(pattern=translated)])
    except SchemaError:
        return [], [f"Matches({raw(_python(translated))})"]
    return [f"pattern={raw(translated)}"], []


def ecma(pattern: str) -> str:
    """ECMAScript's meaning of digits and word characters, which are ASCII there."""
    inside, out, position = False, [], 0
    while position < len(pattern):
        char = pattern[position]
        pair = pattern[position : position + 2]
        position += 1
        if char == "\\" and len(pair) == 2:
            position += 1
            out.append(_escape(pair[1], inside=inside))
            continue
        inside = (inside or char == "[") and char != "]"
        out.append(char)
    return "".join(out)


def _escape(letter: str, *, inside: bool) -> str:
    plain = {"d": "0-9", "w": "0-9A-Za-z_"}
    if letter in plain:
        return plain[letter] if inside else f"[{plain[letter]}]"
    if letter in {"D", "W"} and not inside:
        return f"[^{plain[letter.lower()]}]"
    return letter if letter == "/" else "\\" + letter


def _python(pattern: str) -> str:
    """For Python's engine: ``$`` is the very end, and groups are named its way."""
    ended = re.sub(r"(?<!\\)\$(?=$|\))", r"\\Z", pattern)
    return re.sub(r"\(\?<(?![=!])", "(?P<", ended)


def default(plan: FieldPlan) -> str:
    """The default as source for the typed attribute; mutable ones are made anew each time."""
    value = plan.default
    if isinstance(value, list | dict) and not value:
        return f"Field(default_factory={type(value).__name__})"
    if isinstance(value, list | dict):
        return f"Field(default_factory=lambda: {literal(value)})"
    return typed(plan, value)


def typed(plan: FieldPlan, value: JsonValue) -> str:
    """A JSON value as source of the type that the field has in Python."""
    if isinstance(value, str):
        makers = {
            "date": "dt.date.fromisoformat", "datetime": "dt.datetime.fromisoformat", "uuid": "UUID",
        }  # fmt: skip
        maker = makers.get(plan.type)
        return f"{maker}({literal(value)})" if maker else literal(value)
    if plan.type == "number" and isinstance(value, int) and not isinstance(value, bool):
        return repr(float(value))
    return literal(value)
