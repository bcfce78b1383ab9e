"""How a setting is declared: once, with its type, bounds, defaults and what it is for."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from shipway.secrets import Secret

PREFIX = "SHIPWAY_"
ENVIRONMENTS = ("development", "test", "production")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a declaration says beside name and type."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Defaults of single environments, where they differ."""
    shown: str | None = None
    """The default in words, where it depends on the machine."""
    expects: str | None = None
    """What it takes, in words, where the type does not say it."""
    reloadable: bool = False
    """Whether a running process takes it over on SIGHUP."""
    required: bool = False
    """Whether production does not start without it."""
    example: str | None = None
    """What a value may look like; never a secret that works."""


def setting(
    doc: str,
    *bare: Any,
    default_factory: Callable[[], Any] | None = None,
    shown: str | None = None,
    expects: str | None = None,
    differs: Mapping[str, Any] | None = None,
    reloadable: bool = False,
    required: bool = False,
    example: str | None = None,
    **bounds: Any,
) -> Any:
    """Declare one: ``port: int = setting("what it is for", 8080, ge=1, le=65535)``.

    ``differs`` holds the defaults of environments that have another one.
    ``bounds`` are those of Pydantic's Field (``ge``, ``le``, ``min_length``, ``pattern`` ...).
    A type of ``Secret`` makes it a secret: masked everywhere, and readable from ``*_FILE``.
    """
    facts = Facts(
        dict(differs or {}),
        shown=shown,
        expects=expects,
        reloadable=reloadable,
        required=required,
        example=example,
    )
    start: dict[str, Any] = (
        {"default_factory": default_factory} if default_factory else {"default": bare[0]}
    )
    return Field(**start, **bounds, description=doc, json_schema_extra={"facts": facts})  # type: ignore[dict-item]  # no schema is made of settings


class Section(BaseModel):
    """Settings that belong together; its docstring is the heading of their reference."""

    model_config = ConfigDict(
        defer_build=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_default=True,
        allow_inf_nan=False,
    )


@dataclass(frozen=True, slots=True)
class Declared:
    """One setting as the rest of the room sees it."""

    name: str
    section: str
    info: FieldInfo
    facts: Facts

    @property
    def variable(self) -> str:
        return f"{PREFIX}{self.name.upper()}"

    @property
    def doc(self) -> str:
        return self.info.description or ""

    @property
    def types(self) -> tuple[Any, ...]:
        """What a value may be, without None."""
        return tuple(kind for kind in _alternatives(self.info.annotation) if kind is not type(None))

    @property
    def secret(self) -> bool:
        return Secret in self.types

    @property
    def many(self) -> bool:
        """Whether it is a list; in a variable its items have commas between them."""
        return any(get_origin(kind) in {tuple, frozenset} for kind in self.types)

    @property
    def optional(self) -> bool:
        return type(None) in _alternatives(self.info.annotation)

    def default(self, environment: str) -> Any:
        if environment in self.facts.defaults:
            return self.facts.defaults[environment]
        found = self.info.get_default(call_default_factory=True, validated_data={})
        return None if found is PydanticUndefined else found

    def default_in_words(self, environment: str) -> str:
        if self.facts.shown and environment not in self.facts.defaults:
            return self.facts.shown
        return as_text(self.default(environment))

    @property
    def expectation(self) -> str:
        """What it takes, as the end of a sentence: "should be ..."."""
        if self.facts.expects:
            return self.facts.expects
        return f"{_kind(self.types[0])}{_bounds(self.info)}"


def declared(tree: type[BaseModel]) -> Iterator[Declared]:
    """Every setting of a tree, section by section in the order in which they are declared."""
    for section in reversed([kind for kind in tree.__mro__ if _is_section(kind)]):
        heading = (section.__doc__ or section.__name__).split("\n")[0].strip().rstrip(".")
        for name in section.__annotations__:
            info = tree.model_fields.get(name)
            if info is not None:
                extra = info.json_schema_extra
                facts = extra["facts"] if isinstance(extra, dict) else Facts()
                yield Declared(name, heading, info, facts)  # type: ignore[arg-type]  # set above


def as_text(value: Any) -> str:
    """A value as it would be written into a variable."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case tuple() | frozenset() | list():
            return ",".join(map(str, value))
        case float() if value.is_integer():
            return str(int(value))
    return str(value)


def _is_section(kind: type) -> bool:
    return issubclass(kind, Section) and kind is not Section and "__annotations__" in vars(kind)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in {Union, types.UnionType}:
        return get_args(annotation)
    return (annotation,)


def _kind(kind: Any) -> str:
    if get_origin(kind) is Literal:
        *most, last = map(str, get_args(kind))
        return f"{', '.join(most)} or {last}" if most else last
    if get_origin(kind) in {tuple, frozenset}:
        items = {str: "texts", int: "whole numbers", Path: "paths"}.get(get_args(kind)[0], "values")
        return f"{items} with commas between them"
    return _KINDS.get(kind, "a text")


_KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
    Secret: "a secret text",
}


def _bounds(info: FieldInfo) -> str:
    """The bounds in words, from whatever carries one."""
    found = {
        name: as_text(getattr(one, name))
        for one in info.metadata
        for name in ("ge", "le", "gt", "lt", "min_length", "max_length")
        if getattr(one, name, None) is not None
    }
    if {"ge", "le"} <= found.keys():
        return f" from {found['ge']} to {found['le']}"
    return "".join(
        f" {words} {found[name]}{unit}" for name, words, unit in _BOUNDS if name in found
    )


_BOUNDS = (
    ("ge", "of at least", ""),
    ("gt", "above", ""),
    ("le", "of at most", ""),
    ("lt", "below", ""),
    ("min_length", "of at least", " characters"),
    ("max_length", "of at most", " characters"),
)
