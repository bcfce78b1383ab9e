"""Whether a change of a contract breaks anybody: who reads what the other side writes, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

Schema = Mapping[str, Any]
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


@dataclass(frozen=True, slots=True)
class Break:
    """One message that a reader would refuse: at which place, and why."""

    message: str
    place: str
    why: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """``forward``: who is still old cannot read the new; ``backward``: the new cannot read the old."""

    forward: tuple[Break, ...]
    backward: tuple[Break, ...]

    @property
    def compatible(self) -> bool:
        return not self.forward and not self.backward


def described(request: type[BaseModel], result: type[BaseModel]) -> dict[str, Any]:
    """A contract as its golden file has it: what is accepted and what is written of each message."""
    return {
        name: {
            "reads": _bare(model.model_json_schema(mode="validation")),
            "writes": _bare(model.model_json_schema(mode="serialization")),
        }
        for name, model in (("request", request), ("result", result))
    }


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Comparison:
    """What breaks between two contracts as ``described`` has them."""
    return Comparison(tuple(_breaks(old, new)), tuple(_breaks(new, old)))


def _breaks(reader: Mapping[str, Any], writer: Mapping[str, Any]) -> Iterator[Break]:
    for message in ("request", "result"):
        question = _Question(reader[message]["reads"], writer[message]["writes"])
        for place, why in question.refused(question.reader, question.writer, ""):
            yield Break(message, place or "/", why)


def _bare(value: Any, *, names: bool = False) -> Any:
    """A schema without what is only for people; ``names``: these keys are fields, not keywords."""
    if isinstance(value, dict):
        kept = {
            key: _bare(inner, names=not names and key in {"properties", "$defs"})
            for key, inner in value.items()
            if names or key not in {"title", "description", "examples"}
        }
        return dict(sorted(kept.items()))
    return [_bare(inner) for inner in value] if isinstance(value, list) else value


class _Question:
    """Would the reader refuse anything that the writer may write?"""

    def __init__(self, reader: Schema, writer: Schema) -> None:
        self.reader = reader
        self.writer = writer
        self._asked: set[tuple[str, str]] = set()

    def refused(self, reader: Schema, writer: Schema, place: str) -> Iterator[tuple[str, str]]:
        pair = (str(reader.get("$ref")), str(writer.get("$ref")))
        if pair != ("None", "None"):
            if pair in self._asked:
                return
            self._asked.add(pair)
        reader, writer = _resolved(reader, self.reader), _resolved(writer, self.writer)
        if alternatives := writer.get("anyOf") or writer.get("oneOf"):
            for one in alternatives:
                yield from self.refused(reader, one, place)
        elif choices := reader.get("anyOf") or reader.get("oneOf"):
            answers = [list(self.refused(one, writer, place)) for one in choices]
            if all(answers):
                yield min(answers, key=len)[0]
        else:
            yield from self._of_one_shape(reader, writer, place)

    def _of_one_shape(
        self, reader: Schema, writer: Schema, place: str
    ) -> Iterator[tuple[str, str]]:
        if (known := _values(reader)) is not None:
            written = _values(writer)
            unknown = None if written is None else [one for one in written if one not in known]
            if unknown is None:
                yield place, "any value is written, and only some are accepted"
            elif unknown:
                yield place, f"not accepted: {', '.join(map(str, unknown))}"
            return
        kinds, written_kind = reader.get("type"), writer.get("type", "anything")
        if kinds is None:
            return
        if written_kind != kinds and (kinds, written_kind) != ("number", "integer"):
            yield place, f"{written_kind} is written, and {kinds} is accepted"
            return
        yield from _bounds(reader, writer, place)
        if kinds == "object":
            yield from self._object(reader, writer, place)
        elif kinds == "array" and reader.get("items"):
            yield from self.refused(reader["items"], writer.get("items", {}), f"{place}/*")

    def _object(self, reader: Schema, writer: Schema, place: str) -> Iterator[tuple[str, str]]:
        known, written = reader.get("properties", {}), writer.get("properties", {})
        others = reader.get("additionalProperties", True)
        for name, schema in written.items():
            if name in known:
                yield from self.refused(known[name], schema, f"{place}/{name}")
            elif others is False:
                yield f"{place}/{name}", "this field is not known"
        for name in reader.get("required", ()):
            if name not in writer.get("required", ()):
                yield f"{place}/{name}", "this field is needed and may be missing"
        more = writer.get("additionalProperties", True)
        if isinstance(others, dict) and not written:
            yield from self.refused(others, more if isinstance(more, dict) else {}, f"{place}/*")


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values: list[Any] | None = schema.get("enum")
    return values


def _bounds(reader: Schema, writer: Schema, place: str) -> Iterator[tuple[str, str]]:
    for key in _LOWER:
        if key in reader and writer.get(key, float("-inf")) < reader[key]:
            yield place, f"{key} is {reader[key]}"
    for key in _UPPER:
        if key in reader and writer.get(key, float("inf")) > reader[key]:
            yield place, f"{key} is {reader[key]}"
    for key in ("pattern", "format"):
        if key in reader and writer.get(key) != reader[key]:
            yield place, f"another {key} is accepted"
