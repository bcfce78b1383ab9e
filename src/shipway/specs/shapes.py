"""The shape of a schema: references followed, ``allOf`` merged, both ways of saying null understood."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shipway.specs.document import Document, Node, keys

_LIMITS = {
    "minLength": max, "maxLength": min, "minimum": max, "maximum": min, "minItems": max,
    "maxItems": min, "minProperties": max, "maxProperties": min, "exclusiveMinimum": max,
    "exclusiveMaximum": min,
}  # fmt: skip
_UNSUPPORTED = (
    "not", "if", "then", "else", "patternProperties", "propertyNames", "dependentRequired",
    "dependentSchemas", "dependencies", "prefixItems", "contains", "minContains", "maxContains",
    "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "contentSchema",
)  # fmt: skip
_NOTHING: Any = object()


@dataclass(frozen=True, slots=True)
class Shape:
    """What a schema says, in one place.

    ``name`` is the component's name and ``source`` its pointer when the schema is one; ``types``
    are JSON types without null (empty: any). ``properties`` are the schemas still to be looked at,
    so that a schema may contain itself. ``unsupported`` lists keywords that change what is valid
    and have no place here.
    """

    pointer: str
    name: str | None = None
    source: str | None = None
    types: tuple[str, ...] = ()
    nullable: bool = False
    format: str | None = None
    enum: tuple[Any, ...] | None = None
    default: Any = _NOTHING
    limits: dict[str, Any] = field(default_factory=dict)
    pattern: tuple[str, ...] = ()
    multiple_of: float | int | None = None
    unique_items: bool = False
    properties: dict[str, Node] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    additional: Node | bool | None = None
    items: Node | None = None
    read_only: bool = False
    write_only: bool = False
    deprecated: bool = False
    description: str = ""
    examples: tuple[Any, ...] = ()
    extensions: dict[str, Node] = field(default_factory=dict)
    alternatives: tuple[Node, ...] = ()
    unsupported: tuple[str, ...] = ()

    @property
    def has_default(self) -> bool:
        return self.default is not _NOTHING

    @property
    def type(self) -> str | None:
        """The one JSON type, or None when it may be anything or several."""
        return self.types[0] if len(self.types) == 1 else None

    @property
    def is_object(self) -> bool:
        return self.type == "object" and not self.alternatives


def shape(document: Document, node: Node) -> Shape:
    """The shape of the schema at ``node``; computed once for each place."""
    found = document.shapes.get(node.pointer)
    if found is None:
        found = _shape(document, node, ())
        document.shapes[node.pointer] = found
    return found


def _shape(document: Document, node: Node, passed: tuple[str, ...]) -> Shape:
    value = node.value
    if not isinstance(value, Mapping):
        refused = ("false",) if value is False else ()
        return Shape(node.pointer, unsupported=refused)
    if node.pointer in passed:  # allOf that contains itself adds nothing to itself
        return Shape(node.pointer)
    passed = (*passed, node.pointer)
    parts = []
    if isinstance(value.get("$ref"), str):
        target = Document.resolve(document, node)
        referred = _shape(document, target, passed)
        name = _component(value["$ref"])
        if name is not None:
            referred = replace(referred, name=name, source=target.pointer)
        if document.openapi == "3.0" or len(value) == 1:
            return referred
        parts.append(referred)
    parts += [_shape(document, part, passed) for part in _list(node, "allOf")]
    own = _own(document, node)
    choices, or_null = _choices(document, node)
    if len(choices) == 1:
        parts.append(_shape(document, choices[0], passed))
        choices = ()
    merged = _merge(parts, own) if parts else own
    return replace(
        merged,
        nullable=merged.nullable or or_null,
        alternatives=(*merged.alternatives, *choices),
    )


def _component(reference: str) -> str | None:
    parts = keys(reference)
    if len(parts) == 3 and parts[:2] == ("components", "schemas"):
        return parts[2]
    if parts and parts[0] == "x-files":
        return parts[-1].rsplit("/", 1)[-1].split(".")[0]
    return None


def _list(node: Node, key: str) -> list[Node]:
    inner = node.get(key)
    return [] if inner is None else list(inner.elements())


def _choices(document: Document, node: Node) -> tuple[tuple[Node, ...], bool]:
    """The alternatives of oneOf or anyOf that are not null, and whether one was null."""
    choices: list[Node] = []
    or_null = False
    for key in ("oneOf", "anyOf"):
        for choice in _list(node, key):
            value = Document.resolve(document, choice).value
            if isinstance(value, Mapping) and _says_null(value):
                or_null = True
            else:
                choices.append(choice)
    return tuple(choices), or_null


def _says_null(value: Mapping[str, Any]) -> bool:
    return (
        value.get("type") in ("null", ["null"])
        or value.get("enum") == [None]
        or ("const" in value and value["const"] is None)
    )


def _own(document: Document, node: Node) -> Shape:
    """What the schema says itself, without its references and alternatives."""
    value = node.value
    types, nullable = _types(value)
    enum = _enum(value)
    if enum is not None and None in enum:
        nullable = nullable or not types or "null" in _strings(value.get("type"))
        enum = tuple(one for one in enum if one is not None)
    inner = node.get("properties")
    additional = node.get("additionalProperties")
    return Shape(
        pointer=node.pointer,
        types=types or _implied(value, enum),
        nullable=nullable,
        format=value.get("format"),
        enum=enum,
        default=value.get("default", _NOTHING),
        limits=_limits(value),
        pattern=(value["pattern"],) if "pattern" in value else (),
        multiple_of=value.get("multipleOf"),
        unique_items=bool(value.get("uniqueItems")),
        properties={} if inner is None else dict(inner.members()),
        required=tuple(value.get("required") or ()),
        additional=_additional(additional),
        items=node.get("items"),
        read_only=bool(value.get("readOnly")),
        write_only=bool(value.get("writeOnly")),
        deprecated=bool(value.get("deprecated")),
        description=node.text("description"),
        examples=_examples(value),
        extensions={key: one for key, one in node.members() if key.startswith("x-")},
        unsupported=tuple(key for key in _UNSUPPORTED if key in value),
    )


def _strings(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _types(value: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
    said = _strings(value.get("type"))
    nullable = "null" in said or value.get("nullable") is True
    return tuple(one for one in said if one != "null"), nullable


def _implied(value: Mapping[str, Any], enum: tuple[Any, ...] | None) -> tuple[str, ...]:
    """The type that a schema means when it does not say it."""
    if enum:
        kinds = dict.fromkeys(json_type(one) for one in enum)
        return tuple(kinds)
    if "properties" in value or "additionalProperties" in value:
        return ("object",)
    return ("array",) if "items" in value else ()


def json_type(value: Any) -> str:
    """The JSON type of a value."""
    if isinstance(value, bool):
        return "boolean"
    for kind, name in (
        (str, "string"), (int, "integer"), (float, "number"), (list, "array"), (dict, "object"),
    ):  # fmt: skip
        if isinstance(value, kind):
            return name
    return "null"


def _enum(value: Mapping[str, Any]) -> tuple[Any, ...] | None:
    if "const" in value:
        return (value["const"],)
    return tuple(value["enum"]) if isinstance(value.get("enum"), list) else None


def _limits(value: Mapping[str, Any]) -> dict[str, Any]:
    limits = {key: value[key] for key in _LIMITS if key in value}
    for side in ("Minimum", "Maximum"):  # 3.0 writes exclusiveMinimum: true beside minimum
        exclusive, plain = f"exclusive{side}", side.lower()
        if not isinstance(limits.get(exclusive), bool):
            continue
        if limits.pop(exclusive) and plain in limits:
            limits[exclusive] = limits.pop(plain)
    return limits


def _additional(node: Node | None) -> Node | bool | None:
    if node is None:
        return None
    if isinstance(node.value, bool):
        return node.value
    return node if node.value else True


def _examples(value: Mapping[str, Any]) -> tuple[Any, ...]:
    first = (value["example"],) if "example" in value else ()
    more = value.get("examples")
    return (*first, *more) if isinstance(more, list) else first


def _merge(parts: list[Shape], own: Shape) -> Shape:
    """``allOf``: all of them hold; what the schema says itself wins where only one can."""
    result = parts[0]
    for part in parts[1:]:
        result = _both(result, part)
    alone = len(parts) == 1 and not own.properties
    both = replace(_both(result, own), pointer=own.pointer)
    return both if alone else replace(both, name=None, source=None)


def _both(one: Shape, two: Shape) -> Shape:
    return Shape(
        pointer=two.pointer,
        name=two.name or one.name,
        source=two.source or one.source,
        types=_common(one.types, two.types),
        nullable=_both_nullable(one, two),
        format=two.format or one.format,
        enum=_common_enum(one.enum, two.enum),
        default=two.default if two.has_default else one.default,
        limits=_tightest(one.limits, two.limits),
        pattern=tuple(dict.fromkeys((*one.pattern, *two.pattern))),
        multiple_of=two.multiple_of if two.multiple_of is not None else one.multiple_of,
        unique_items=one.unique_items or two.unique_items,
        properties=_properties(one.properties, two.properties),
        required=tuple(dict.fromkeys((*one.required, *two.required))),
        additional=_stricter(one.additional, two.additional),
        items=two.items or one.items,
        read_only=one.read_only or two.read_only,
        write_only=one.write_only or two.write_only,
        deprecated=one.deprecated or two.deprecated,
        description=two.description or one.description,
        examples=two.examples or one.examples,
        extensions={**one.extensions, **two.extensions},
        alternatives=(*one.alternatives, *two.alternatives),
        unsupported=tuple(dict.fromkeys((*one.unsupported, *two.unsupported))),
    )


def _common(one: tuple[str, ...], two: tuple[str, ...]) -> tuple[str, ...]:
    if not one or not two:
        return one or two
    if set(one) | set(two) == {"integer", "number"}:
        return ("integer",)
    return tuple(kind for kind in one if kind in two)


def _both_nullable(one: Shape, two: Shape) -> bool:
    """Null is allowed when no part forbids it; a part without a type says nothing about it."""
    speaking = [part for part in (one, two) if part.types or part.enum is not None]
    if not speaking:
        return one.nullable or two.nullable
    # 3.0 documents write {allOf: [$ref], nullable: true} and mean what they write.
    return all(part.nullable for part in speaking) or two.nullable


def _common_enum(
    one: tuple[Any, ...] | None, two: tuple[Any, ...] | None
) -> tuple[Any, ...] | None:
    if one is None or two is None:
        return two if one is None else one
    return tuple(value for value in one if value in two)


def _tightest(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    result = dict(one)
    for key, value in two.items():
        choose: Callable[..., Any] = _LIMITS[key]
        result[key] = choose(result[key], value) if key in result else value
    return result


def _properties(one: dict[str, Node], two: dict[str, Node]) -> dict[str, Node]:
    result = dict(one)
    for key, node in two.items():
        before = result.get(key)
        if before is None or before.value == node.value:
            result[key] = node
        else:
            both = {"allOf": [before.value, node.value]}
            result[key] = Node(both, f"{node.pointer}&{before.pointer}")
    return result


def _stricter(one: Node | bool | None, two: Node | bool | None) -> Node | bool | None:
    if one is False or two is False:
        return False
    return two if two is not None else one
