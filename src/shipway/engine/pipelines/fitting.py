"""Types of contract fields: what a path leads to, and whether one value may stand for another."""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, StringConstraints, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from shipway.contracts.model import GitObject, Sha256, Timestamp


@dataclass(frozen=True, slots=True)
class Kind:
    """One alternative of a type, as JSON sees it.

    ``of`` is "text", "integer", "number", "boolean", "null", "anything", "list", "object" or
    "model"; ``values`` are the words of an enumeration; ``pattern`` holds for text; ``inner`` is
    what a list or object holds.
    """

    of: str
    model: type[BaseModel] | None = None
    values: tuple[Any, ...] | None = None
    pattern: str | None = None
    inner: tuple[Kind, ...] = ()


Kinds = tuple[Kind, ...]
NULL = Kind("null")
ANYTHING = Kind("anything")
_PLAIN: dict[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


def of_field(field: FieldInfo) -> Kinds:
    """The alternatives of a model's field."""
    return of_annotation(whole_annotation(field))


def whole_annotation(field: FieldInfo) -> Any:
    """The field's annotation with the constraints that pydantic keeps apart."""
    if field.metadata:
        return Annotated[(field.annotation, *field.metadata)]
    return field.annotation


def of_annotation(annotation: Any) -> Kinds:
    """The alternatives of an annotation: a union has several, an optional one has null too."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        found = tuple(_constrained(kind, arguments[1:]) for kind in of_annotation(arguments[0]))
    elif origin in (Union, types.UnionType):
        found = tuple(kind for part in arguments for kind in of_annotation(part))
    elif origin is Literal:
        found = tuple(_enumeration(arguments))
    elif origin is list:
        found = (Kind("list", inner=of_annotation(arguments[0])),)
    elif origin is dict:
        found = (Kind("object", inner=of_annotation(arguments[1])),)
    else:
        found = _simple(annotation)
    return found


def _simple(annotation: Any) -> Kinds:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(_enumeration(member.value for member in annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (Kind("model", model=annotation),)
    return (Kind(_PLAIN.get(annotation, "anything")),)


def follow(kinds: Kinds, path: Iterable[str]) -> Kinds | str:
    """What ``path`` leads to from ``kinds``; or, as text, the step that does not exist."""
    for step in path:
        found: list[Kind] = []
        for kind in kinds:
            found.extend(_step(kind, step))
        if all(kind == NULL for kind in found):
            return step
        kinds = tuple(dict.fromkeys(found))
    return kinds


def steps(kinds: Kinds) -> list[str]:
    """The names that may follow ``kinds`` in a path."""
    return [name for kind in kinds if kind.model for name in kind.model.model_fields]


def misfits(given: Kinds, wanted: Kinds) -> Kinds:
    """The alternatives of ``given`` that ``wanted`` has no room for."""
    return tuple(kind for kind in given if not any(_fits(kind, other) for other in wanted))


def literal_fault(value: Any, field: FieldInfo) -> str | None:
    """Why a written value is not one of the field's; None when it is."""
    try:
        TypeAdapter(whole_annotation(field)).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"{place}: {first['msg']}" if place else first["msg"]
    return None


def say(kinds: Kinds) -> str:
    """The type in words."""
    words = list(dict.fromkeys(_say(kind) for kind in kinds if kind != NULL))
    if NULL in kinds:
        words.append("null")
    return " or ".join(words)


def _say(kind: Kind) -> str:
    if kind.values is not None:
        return "one of " + ", ".join(json.dumps(value) for value in kind.values)
    if kind.model is not None:
        return kind.model.__name__
    if kind.pattern is not None:
        return _PATTERNS.get(kind.pattern, f"text like {kind.pattern}")
    if kind.of in {"list", "object"} and kind.inner:
        return f"{'a list' if kind.of == 'list' else 'a table'} of {say(kind.inner)}"
    return {"integer": "a whole number", "number": "a number", "boolean": "true or false"}.get(
        kind.of, kind.of
    )


def _constrained(kind: Kind, metadata: Iterable[Any]) -> Kind:
    for one in metadata:
        pattern = getattr(one, "pattern", None)
        if kind.of == "text" and isinstance(pattern, str):
            kind = replace(kind, pattern=pattern)
    return kind


def _enumeration(values: Iterable[Any]) -> Iterator[Kind]:
    """Literals and enumerations are words on the wire, one kind for each of their types."""
    by_type: dict[str, list[Any]] = {}
    for value in values:
        plain = value.value if isinstance(value, Enum) else value
        by_type.setdefault(_PLAIN[type(plain)], []).append(plain)
    for name, words in by_type.items():
        yield NULL if name == "null" else Kind(name, values=tuple(words))


def _step(kind: Kind, step: str) -> Kinds:
    if kind == NULL:
        return (NULL,)
    if kind.of == "object":
        return (*kind.inner, NULL)
    if kind == ANYTHING:
        return (ANYTHING, NULL)
    field = kind.model.model_fields.get(step) if kind.model else None
    return of_field(field) if field else ()


def _fits(given: Kind, wanted: Kind) -> bool:
    if wanted == ANYTHING or (given.of, wanted.of) == ("integer", "number"):
        return True
    if given.of != wanted.of:
        return False
    if wanted.values is not None:
        return given.values is not None and set(given.values) <= set(wanted.values)
    if wanted.pattern is not None:
        return given.pattern == wanted.pattern
    if given.model is not None and wanted.model is not None:
        return issubclass(given.model, wanted.model)
    return not misfits(given.inner, wanted.inner)


def _pattern_of(annotation: Any) -> str:
    (constraint,) = get_args(annotation)[1:]
    if not isinstance(constraint, StringConstraints) or not isinstance(constraint.pattern, str):
        raise TypeError("a named text type is made of one pattern")
    return constraint.pattern


_PATTERNS = {
    _pattern_of(GitObject): "a git object id",
    _pattern_of(Sha256): "a sha256",
    _pattern_of(Timestamp): "a time in UTC",
}
