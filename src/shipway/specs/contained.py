"""A schema of a document as one self-contained JSON Schema (2020-12), for validating stored values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipway.specs.document import Document, Node, find

_DROPPED = frozenset({"nullable", "discriminator", "xml", "externalDocs", "example"})
_NAMED = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})
_DATA = frozenset({"default", "enum", "const", "examples"})


def contained(document: Document, node: Node) -> dict[str, Any]:
    """The schema at ``node`` with all that it refers to under ``$defs``."""
    definitions: dict[str, str] = {}
    waiting: list[str] = []

    def reference(pointer: str) -> str:
        if pointer not in definitions:
            definitions[pointer] = f"s{len(definitions) + 1}"
            waiting.append(pointer)
        return f"#/$defs/{definitions[pointer]}"

    schema = _convert(node.value, document.openapi, reference)
    result: dict[str, Any] = schema if isinstance(schema, dict) else {"not": {}}
    inner: dict[str, Any] = {}
    while waiting:
        pointer = waiting.pop(0)
        target = find(document.data, pointer)
        inner[definitions[pointer]] = _convert(target.value, document.openapi, reference)
    return {**result, "$defs": inner} if inner else result


def _convert(value: Any, version: str, reference: Any) -> Any:
    if isinstance(value, list):
        return [_convert(one, version, reference) for one in value]
    if not isinstance(value, Mapping):
        return value
    if isinstance(value.get("$ref"), str) and version == "3.0":
        return {"$ref": reference(value["$ref"])}
    result: dict[str, Any] = {}
    for key, inner in value.items():
        if key in _DROPPED or key.startswith("x-"):
            continue
        if key == "$ref" and isinstance(inner, str):
            result[key] = reference(inner)
        elif key in _DATA:
            result[key] = inner
        elif key in _NAMED and isinstance(inner, Mapping):
            result[key] = {name: _convert(one, version, reference) for name, one in inner.items()}
        else:
            result[key] = _convert(inner, version, reference)
    return _modern(value, result) if version == "3.0" else result


def _modern(value: Mapping[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """3.0's own ways of saying null and exclusive, as JSON Schema says them now."""
    for side in ("Minimum", "Maximum"):
        exclusive = f"exclusive{side}"
        if isinstance(result.get(exclusive), bool) and result.pop(exclusive):
            plain = side.lower()
            if plain in result:
                result[exclusive] = result.pop(plain)
    if value.get("nullable") is True:
        return {"anyOf": [result, {"type": "null"}]}
    return result
