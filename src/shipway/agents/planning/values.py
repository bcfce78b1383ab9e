"""Makes valid values for fields: the same number always gives the same value."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from shipway.agents.planning.patterns import matching
from shipway.contracts.service_plan import FieldPlan, ModelPlan

_FORMATS = {
    "ipv4": "192.0.2.{n}", "ipv6": "2001:db8::{n}", "hostname": "host{n}.example.org",
    "idn-hostname": "host{n}.example.org", "byte": "ZGF0YQ==", "duration": "P{n}D",
    "uri-reference": "/things/{n}", "iri": "https://example.org/{n}", "password": "pass-word-{n}",
    "json-pointer": "/a/{n}", "idn-email": "person{n}@example.org", "regex": "^a{n}$",
}  # fmt: skip
_START = datetime(2024, 1, 8, 9, 30, tzinfo=UTC)
MAX_DEPTH = 2


class NoValueError(Exception):
    """There is no value known that fits a field that must have one."""


class Values:
    """Values for the fields of a plan's models."""

    def __init__(self, models: Mapping[str, ModelPlan]) -> None:
        self._models = models

    def model(self, name: str, number: int, depth: int = 0) -> dict[str, Any]:
        """A whole object of a model; optional fields that would nest too deeply are left out."""
        result = {}
        for position, field in enumerate(self._models[name].fields):
            try:
                result[field.name] = self.field(field, number, position, depth)
            except NoValueError:
                if field.required:
                    raise
        return result

    def field(self, field: FieldPlan, number: int, position: int = 0, depth: int = 0) -> Any:
        """A value for one field; raises NoValueError."""
        match field.type:
            case "enum":
                return field.enum[number % len(field.enum)]
            case "integer" | "number":
                return _number(field, number)
            case "boolean":
                return number % 2 == 0
            case "array":
                return self._array(field, number, depth)
            case "object":
                return self._object(field, number, depth)
            case "any":
                return self._any(field)
            case _:
                return _text(field, number, position)

    def _array(self, field: FieldPlan, number: int, depth: int) -> list[Any]:
        count = max(field.limits.min_items or 0, 1)
        if field.limits.max_items is not None:
            count = min(count, field.limits.max_items)
        if field.items is None:
            return [f"{field.attr}-{number + index}" for index in range(count)]
        if depth > MAX_DEPTH:
            if field.limits.min_items:
                raise NoValueError(field.name)
            return []
        return [self.field(field.items, number + index, 0, depth + 1) for index in range(count)]

    def _object(self, field: FieldPlan, number: int, depth: int) -> dict[str, Any]:
        if field.model is not None:
            if depth > MAX_DEPTH:
                raise NoValueError(field.name)
            return self.model(field.model, number, depth + 1)
        if field.values is not None:
            return {"one": self.field(field.values, number, 0, depth + 1)}
        return {"note": f"{field.attr} {number + 1}"}

    def _any(self, field: FieldPlan) -> Any:
        if field.json_schema is None:
            return "anything"
        return _from_schema(field.json_schema, field.json_schema, 0)


def _text(field: FieldPlan, number: int, position: int) -> str:
    limits = field.limits
    if limits.pattern is not None:
        text = matching(limits.pattern, number, limits.min_length or 0, limits.max_length)
        if text is None:
            raise NoValueError(field.name)
        return text
    day = _START + timedelta(days=number % 20_000 + 7 * position)
    match field.type:
        case "date":
            return day.strftime("%Y-%m-%d")
        case "datetime":
            return day.strftime("%Y-%m-%dT%H:%M:%SZ")
        case "time":
            return f"{9 + number % 10:02d}:30:00Z"
        case "uuid":
            return _uuid(f"{field.name} {number}")
        case "email":
            return f"{field.attr}.{number + 1}@example.org"[-(limits.max_length or 254) :]
        case "uri":
            return f"https://example.org/{field.attr}/{number + 1}"
        case _:
            return _plain(field, number)


def _plain(field: FieldPlan, number: int) -> str:
    if field.format in _FORMATS:
        return _FORMATS[field.format].format(n=number + 1)
    limits = field.limits
    text = f"{field.attr.replace('_', ' ').strip().capitalize()} {number + 1}"
    if limits.max_length is not None and len(text) > limits.max_length:
        text = _short(number, limits.max_length)
    return text + "x" * ((limits.min_length or 0) - len(text))


def _short(number: int, length: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    text = ""
    for _ in range(length):
        number, digit = divmod(number, 26)
        text = letters[digit] + text
    return text[-length:] if length else ""


def _uuid(seed: str) -> str:
    raw = bytearray(hashlib.sha256(seed.encode()).digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _number(field: FieldPlan, number: int) -> int | float:
    limits = field.limits
    whole = field.type == "integer"
    step = limits.multiple_of or (1 if whole else 0.5)
    low, high = limits.minimum, limits.maximum
    if limits.exclusive_minimum is not None:
        low = limits.exclusive_minimum + step
    if limits.exclusive_maximum is not None:
        high = limits.exclusive_maximum - step
    start = low if low is not None else min(1, high) if high is not None else 1
    first = math.ceil(start / step)
    span = 10**12 if high is None else int((high - first * step) // step) + 1
    if span < 1:
        raise NoValueError(field.name)
    value = (first + number % span) * step
    if whole:
        if value != int(value):
            raise NoValueError(field.name)
        return int(value)
    return round(float(value), 6)


def _from_schema(schema: Any, root: dict[str, Any], depth: int) -> Any:  # noqa: C901, PLR0911, PLR0912 - one way for each keyword
    """A value for a self-contained schema; the caller checks it against the schema."""
    if not isinstance(schema, Mapping) or depth > 2 * MAX_DEPTH:
        raise NoValueError
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    if "$ref" in schema:
        return _from_schema(root["$defs"][schema["$ref"].split("/")[-1]], root, depth + 1)
    for key in ("oneOf", "anyOf"):
        if schema.get(key):
            return _from_schema(schema[key][0], root, depth + 1)
    if schema.get("allOf"):
        parts = [_from_schema(part, root, depth + 1) for part in schema["allOf"]]
        if all(isinstance(part, dict) for part in parts):
            return {key: value for part in parts for key, value in part.items()}
        return parts[0]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    match kind or ("object" if "properties" in schema else "string"):
        case "object":
            inner = schema.get("properties") or {}
            return {
                key: _from_schema(inner.get(key, {"type": "string"}), root, depth + 1)
                for key in schema.get("required") or inner
            }
        case "array":
            count = schema.get("minItems", 1)
            return [_from_schema(schema.get("items", {}), root, depth + 1) for _ in range(count)]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            text = "text"
            if "pattern" in schema:
                text = matching(schema["pattern"], 0) or text
            return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength", 999)]
