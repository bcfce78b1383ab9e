"""Reading YAML into a tree in which every key and value knows its line and column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from shipway.specs.placed.faults import Faults, Spot

MAX_BYTES = 256 * 1024
MAX_DEPTH = 24
_START = Spot(1, 1)
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Scalar:
    spot: Spot
    value: bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Sequence:
    spot: Spot
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping; ``keys`` holds where each key stands."""

    spot: Spot
    fields: Mapping[str, Node]
    keys: Mapping[str, Spot]


Node = Scalar | Sequence | Table


class _Loader(yaml.SafeLoader):
    """YAML 1.2's few implicit types, so that ``on``, ``no`` and ``12:30`` stay words."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _name, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?[0-9]{1,18}$", list("-+0123456789")),
    (
        "float",
        r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?$",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(_pattern), _first)


def read(text: str, faults: Faults, start: str) -> Node | None:
    """The tree of ``text``; None when there is none to speak of (the faults say why).

    ``start`` tells whoever wrote an empty file what it begins with.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        faults.add(
            _START, "the file is larger than 256 KiB", f"a {faults.noun} is a page or two of YAML"
        )
        return None
    try:
        if _refused(text, faults):
            return None
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        _syntax(error, faults)
        return None
    except yaml.reader.ReaderError as error:
        spot = _spot_of_character(text, error.position)
        faults.add(spot, "there is a character that YAML does not allow", "delete it")
        return None
    if root is None:
        faults.add(_START, "the file is empty", start)
        return None
    return _convert(root, faults)


def plain(node: Node) -> Any:
    """The value without its places."""
    match node:
        case Scalar(value=value):
            return value
        case Sequence(items=items):
            return [plain(item) for item in items]
        case Table(fields=fields):
            return {key: plain(value) for key, value in fields.items()}


def _refused(text: str, faults: Faults) -> bool:
    """Looks at the events alone: nothing is built before its size and depth are known."""
    depth = documents = 0
    refused = False
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            faults.add(
                _spot(event), f"aliases are not used in a {faults.noun}", "write the value out"
            )
            refused = True
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        if depth > MAX_DEPTH:
            faults.add(_spot(event), "the nesting is too deep", f"stay within {MAX_DEPTH} levels")
            return True
        if documents > 1:
            faults.add(
                _spot(event), "there is a second document", f"one file holds one {faults.noun}"
            )
            return True
    return refused


def _convert(node: yaml.Node, faults: Faults) -> Node:
    spot = _spot(node)
    if isinstance(node, yaml.MappingNode):
        return _table(node, faults)
    if isinstance(node, yaml.SequenceNode):
        return Sequence(spot, tuple(_convert(item, faults) for item in node.value))
    return Scalar(spot, _value(node, faults))


def _table(node: yaml.MappingNode, faults: Faults) -> Table:
    fields: dict[str, Node] = {}
    keys: dict[str, Spot] = {}
    for key, spot, value in _pairs(node, faults):
        if key in fields:
            faults.add(
                spot,
                f"`{key}` stands here a second time",
                f"keep one; the first is in line {keys[key].line}",
            )
            continue
        fields[key], keys[key] = _convert(value, faults), spot
    return Table(_spot(node), fields, keys)


def _pairs(node: yaml.MappingNode, faults: Faults) -> Iterator[tuple[str, Spot, yaml.Node]]:
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            yield key.value, _spot(key), value
        else:
            faults.add(_spot(key), "a key must be a word", "write `name: value`")


def _value(node: yaml.Node, faults: Faults) -> bool | int | float | str | None:
    text = str(node.value)
    match node.tag.removeprefix(_TAG):
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return _number(int, text, node, faults)
        case "float":
            return _number(float, text, node, faults)
        case "str":
            return text
        case _:
            faults.add(_spot(node), f"the tag {node.tag} is not used here", "write a plain value")
            return text


def _number(
    kind: type[int | float], text: str, node: yaml.Node, faults: Faults
) -> int | float | str:
    """An explicit tag (``!!int seven``) may stand on anything."""
    try:
        return kind(text)
    except ValueError:
        faults.add(_spot(node), f"`{text[:40]}` is no number", "write the number without a tag")
        return text


def _syntax(error: yaml.MarkedYAMLError, faults: Faults) -> None:
    mark = error.problem_mark or error.context_mark
    spot = Spot(mark.line + 1, mark.column + 1) if mark else _START
    problem = error.problem or error.context or "it cannot be read"
    remedy = "check the indentation, colons and quotes just before this place"
    if "'\\t'" in problem:
        remedy = "indent with spaces, never with tabs"
    faults.add(spot, f"this is not YAML: {problem}", remedy)


def _spot(marked: Any) -> Spot:
    return Spot(marked.start_mark.line + 1, marked.start_mark.column + 1)


def _spot_of_character(text: str, position: int) -> Spot:
    before = text[:position]
    return Spot(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)
