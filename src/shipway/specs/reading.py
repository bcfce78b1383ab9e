"""Reads an OpenAPI 3.0 or 3.1 document and refuses, with all its faults at once, what is not one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from shipway.errors import SpecificationError
from shipway.specs.document import METHODS, Document, Node, Operation
from shipway.specs.positions import lines
from shipway.specs.references import Bundle, Fault, faults, references
from shipway.specs.source import MAX_BYTES, parse, unusable

MAX_FAULTS = 20
MAX_OPERATIONS = 2000
_NEXT = "Write an OpenAPI 3.0 or 3.1 document: see https://spec.openapis.org/oas/v3.1.0"


def read(source: Path | bytes, name: str | None = None) -> Document:
    """The document at a path, or in bytes that ``name`` names in messages.

    From a path, files beside or below the document may be referred to. Raises SpecificationError,
    whose ``details["faults"]`` has every fault (at most 20) with file, line, pointer and remedy.
    """
    data, name = _bytes(source, name)
    tree = parse(data, name)
    version = _version(tree, data, name)
    tree = _bundled(tree, source, data, name)
    _check(tree, version, data, name)
    return Document(name, tree, hashlib.sha256(data).hexdigest(), version, _operations(tree))


def bundled(path: Path) -> bytes:
    """The document in one piece: its own bytes, or JSON when files beside it had to be taken in.

    Raises SpecificationError. What it returns can be read again from bytes alone.
    """
    data, name = _bytes(path, None)
    before = parse(data, name)
    _version(before, data, name)
    document = read(path)
    if "x-files" not in document.data:
        return data
    return json.dumps(document.data, ensure_ascii=False, indent=1).encode()


def _bytes(source: Path | bytes, name: str | None) -> tuple[bytes, str]:
    if isinstance(source, bytes):
        return source, name or "document"
    try:
        if source.stat().st_size > MAX_BYTES:
            raise unusable(
                source.name,
                None,
                f"the document is larger than {MAX_BYTES // 1024 // 1024} MB",
                "Move long examples and unused schemas out of the document.",
            )
        return source.read_bytes(), name or source.name
    except OSError as error:
        raise SpecificationError(
            f"{source}: cannot be read: {error.strerror}",
            hint="Check the path and that you may read it.",
            details={"file": str(source)},
        ) from None


def _version(tree: Any, data: bytes, name: str) -> Literal["3.0", "3.1"]:
    if not isinstance(tree, dict):
        raise unusable(name, 1, "it is not an OpenAPI document, but a list or a word", _NEXT)
    if "swagger" in tree:
        line = lines(data, [("swagger",)]).get(("swagger",))
        raise unusable(
            name,
            line,
            "it is Swagger 2.0, and OpenAPI 3.0 or 3.1 is needed",
            "Convert it: open it in https://editor.swagger.io and choose Edit, Convert to OpenAPI "
            "3, or run: npx swagger2openapi FILE",
        )
    if "openapi" not in tree:
        raise unusable(name, None, "it is not an OpenAPI document: 'openapi' is missing", _NEXT)
    match = re.fullmatch(r"3\.([01])(?:\.\d+)?(?:-\w+)?", str(tree["openapi"]))
    if match is None:
        line = lines(data, [("openapi",)]).get(("openapi",))
        raise unusable(
            name, line, "this version of OpenAPI is not supported", "Use OpenAPI 3.0.x or 3.1.x."
        )
    return "3.0" if match[1] == "0" else "3.1"


def _bundled(tree: dict[str, Any], source: Path | bytes, data: bytes, name: str) -> dict[str, Any]:
    if isinstance(source, bytes):
        return tree
    bundle = Bundle(source, tree)
    whole = bundle.take()
    if bundle.faults:
        raise _refused(bundle.faults, data, name)
    return whole


def _check(tree: dict[str, Any], version: str, data: bytes, name: str) -> None:
    count = sum(
        1
        for item in _mapping(tree.get("paths")).values()
        for key in _mapping(item)
        if key in METHODS
    )
    if count > MAX_OPERATIONS:
        raise unusable(
            name,
            None,
            f"it has {count} operations, and at most {MAX_OPERATIONS} are read",
            "Split it into one document for each service.",
        )
    found = list(references(tree))
    wrong = [*faults(tree, found), *islice(_structure(tree, version), MAX_FAULTS)]
    if not wrong:
        wrong = list(islice(_meaning(tree), MAX_FAULTS))
    if wrong:
        raise _refused(wrong, data, name)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _refused(wrong: list[Fault], data: bytes, name: str) -> SpecificationError:
    first = list(dict.fromkeys(wrong))[:MAX_FAULTS]
    where = lines(data, [fault.place for fault in first])
    told = [_told(fault, where.get(fault.place), name) for fault in first]
    more = "" if len(wrong) <= len(first) else " (and more)"
    head = "1 fault" if len(told) == 1 else f"{len(told)} faults{more}"
    text = "\n".join(f"  {one['at']}: {one['message']}" for one in told)
    if len(told) == 1:
        message = f"{told[0]['at']}: {told[0]['message']}"
    else:
        message = f"{name}: the document has {head}\n{text}"
    return SpecificationError(message, hint=first[0].hint, details={"file": name, "faults": told})


def _told(fault: Fault, line: int | None, name: str) -> dict[str, Any]:
    pointer = "#" + "".join(f"/{key.replace('~', '~0').replace('/', '~1')}" for key in fault.place)
    at = f"{name}:{line} {pointer}" if line is not None else f"{name} {pointer}"
    return {
        "at": at,
        "file": name,
        "line": line,
        "pointer": pointer,
        "message": fault.message,
        "remedy": fault.hint,
    }


def _structure(tree: dict[str, Any], version: str) -> Iterator[Fault]:
    """What the OpenAPI schema objects to, deepest cause first where alternatives fail."""
    from jsonschema.exceptions import best_match

    for error in _validator(version).iter_errors(tree):
        cause = best_match([error]) or error
        place = tuple(str(key) for key in cause.absolute_path)
        yield Fault(place, _reason(cause), "Correct it as the OpenAPI specification says.")


@cache
def _validator(version: str) -> Any:
    from jsonschema import Draft4Validator, Draft202012Validator

    text = (
        files("openapi_spec_validator") / f"resources/schemas/v{version}/schema.json"
    ).read_text(encoding="utf-8")
    from referencing import Registry  # slow to import
    from referencing.jsonschema import DRAFT4, DRAFT202012

    schema = json.loads(text)
    kind, form = (
        (Draft4Validator, DRAFT4) if version == "3.0" else (Draft202012Validator, DRAFT202012)
    )
    # Without a registry that has been crawled, every dynamic reference is searched for anew.
    registry = Registry().with_resource(schema.get("$id", ""), form.create_resource(schema))
    return kind(schema, registry=registry.crawl())


def _reason(error: Any) -> str:
    """The fault in words, without repeating parts of the document."""
    value = error.validator_value
    match error.validator:
        case "required":
            missing = [key for key in value if key not in _mapping(error.instance)]
            return f"{', '.join(repr(key) for key in missing)} is missing"
        case "type":
            wanted = value if isinstance(value, str) else " or ".join(map(str, value))
            return f"must be of type {wanted}"
        case "enum":
            return "must be one of " + ", ".join(map(str, value))
        case "additionalProperties" | "unevaluatedProperties":
            return error.message if len(error.message) < 160 else "has members that are not known"
        case "pattern":
            return f"does not have the form {value}"
        case other:
            return f"does not fit the rule {other} of the OpenAPI schema"


def _meaning(tree: dict[str, Any]) -> Iterator[Fault]:
    """Faults that the schema cannot see."""
    if not any(
        key in METHODS for item in _mapping(tree.get("paths")).values() for key in _mapping(item)
    ):
        yield Fault(
            ("paths",), "there is no operation in it", "Describe at least one path and method."
        )
    seen: dict[str, str] = {}
    templates: dict[str, str] = {}
    for operation in _operations(tree):
        place = tuple(operation.node.pointer.split("/")[1:])
        where = tuple(key.replace("~1", "/").replace("~0", "~") for key in place)
        declared = operation.node.value.get("operationId")
        if declared in seen and declared is not None:
            yield Fault(
                (*where, "operationId"),
                f"the operationId is already that of {seen[declared]}",
                "Give every operation an operationId of its own.",
            )
        seen.setdefault(declared, operation.name)
        yield from _path_faults(tree, operation, where)
        plain = re.sub(r"\{[^}]*\}", "{}", operation.path)
        if templates.setdefault(plain, operation.path) != operation.path:
            yield Fault(
                where[:2],
                f"the path is the same as {templates[plain]} but for parameter names",
                "Merge the two paths.",
            )


def _path_faults(
    tree: dict[str, Any], operation: Operation, where: tuple[str, ...]
) -> Iterator[Fault]:
    document = Document("", tree, "", "3.1")
    resolved = [document.resolve(parameter).value for parameter in operation.parameters]
    declared = {one.get("name") for one in resolved if one.get("in") == "path"}
    for missing in sorted(set(re.findall(r"\{([^}]*)\}", operation.path)) - declared):
        yield Fault(
            where,
            f"the path parameter {missing!r} is not described",
            "Add it to parameters with in: path and required: true.",
        )


def _operations(tree: dict[str, Any]) -> tuple[Operation, ...]:
    document = Document("", tree, "", "3.1")
    found = []
    taken: set[str] = set()
    for path, item in document.root.at("paths").members():
        whole = document.resolve(item)
        shared = list((whole.get("parameters") or Node([], "")).elements())
        for method in METHODS:
            node = whole.get(method)
            if node is None:
                continue
            name = _operation_id(node, method, path, taken)
            own = list((node.get("parameters") or Node([], "")).elements())
            found.append(Operation(name, method, path, node, _merged(document, shared, own)))
    return tuple(found)


def _operation_id(node: Node, method: str, path: str, taken: set[str]) -> str:
    name = node.text("operationId") or f"{method} {path}"
    taken.add(name)
    return name


def _merged(document: Document, shared: list[Node], own: list[Node]) -> tuple[Node, ...]:
    """The path's parameters, each replaced by the operation's own of the same name and place."""
    result: dict[tuple[Any, Any], Node] = {}
    for node in (*shared, *own):
        value = document.resolve(node).value
        result[value.get("in"), value.get("name")] = node
    return tuple(result.values())
