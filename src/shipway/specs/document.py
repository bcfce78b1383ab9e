"""An OpenAPI document that has been read and checked, and how to find one's way in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from shipway.errors import SpecificationError

METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")
FILES = "x-files"
"""Where the contents of other files stand once a document has been made self-contained."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the document and the JSON pointer that leads to it."""

    value: Any
    pointer: str

    def at(self, *keys: str | int) -> Node:
        """The node below; raises KeyError or IndexError when it is not there."""
        value, pointer = self.value, self.pointer
        for key in keys:
            value = value[key]
            pointer = f"{pointer}/{escaped(str(key))}"
        return Node(value, pointer)

    def get(self, key: str) -> Node | None:
        """The node below, or None."""
        if isinstance(self.value, Mapping) and key in self.value:
            return self.at(key)
        return None

    def members(self) -> Iterator[tuple[str, Node]]:
        """The members of a mapping; nothing for anything else."""
        if isinstance(self.value, Mapping):
            for key in self.value:
                yield key, self.at(key)

    def elements(self) -> Iterator[Node]:
        """The elements of a list; nothing for anything else."""
        if isinstance(self.value, list):
            for index in range(len(self.value)):
                yield self.at(index)

    def text(self, key: str) -> str:
        """A text member, or the empty string."""
        value = self.value.get(key) if isinstance(self.value, Mapping) else None
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, with what the path says for all its methods merged in."""

    id: str
    method: str
    path: str
    node: Node
    parameters: tuple[Node, ...]

    @property
    def name(self) -> str:
        """What people call it: the method and the path."""
        return f"{self.method.upper()} {self.path}"


@dataclass(frozen=True, slots=True)
class Document:
    """A self-contained OpenAPI document: every ``$ref`` in ``data`` starts with ``#`` and has a target.

    ``sha256`` is that of the bytes that were read; ``operations`` are in the document's order.
    """

    name: str
    data: dict[str, Any]
    sha256: str
    openapi: Literal["3.0", "3.1"]
    operations: tuple[Operation, ...] = ()
    shapes: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def root(self) -> Node:
        return Node(self.data, "#")

    @property
    def title(self) -> str:
        return str(self.data["info"]["title"])

    @property
    def version(self) -> str:
        return str(self.data["info"]["version"])

    @property
    def description(self) -> str:
        return self.root.at("info").text("description")

    @property
    def prefix(self) -> str:
        """The path of the first server, without a slash at its end."""
        servers = self.data.get("servers") or [{}]
        path = urlsplit(servers[0].get("url", "")).path.rstrip("/")
        return path if path.startswith("/") and "{" not in path else ""

    def resolve(self, node: Node) -> Node:
        """Follow ``$ref`` until something else stands there (loops were refused when reading)."""
        while isinstance(node.value, Mapping) and isinstance(node.value.get("$ref"), str):
            node = find(self.data, node.value["$ref"])
        return node


def find(data: Any, pointer: str) -> Node:
    """What a pointer such as ``#/components/schemas/Book`` leads to; raises KeyError."""
    node = Node(data, "#")
    for key in keys(pointer):
        value = node.value
        try:
            node = node.at(int(key)) if isinstance(value, list) else node.at(key)
        except (IndexError, ValueError, TypeError):
            raise KeyError(pointer) from None
    return node


def keys(pointer: str) -> tuple[str, ...]:
    """The keys of a pointer, unescaped."""
    body = pointer.removeprefix("#").lstrip("/")
    if not pointer.removeprefix("#"):
        return ()
    return tuple(unquote(key).replace("~1", "/").replace("~0", "~") for key in body.split("/"))


def escaped(key: str) -> str:
    """A key as it is written in a pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def refuse(message: str, hint: str, **details: Any) -> SpecificationError:
    """The error for a document that cannot be used as it is."""
    return SpecificationError(message, hint=hint, details=details)
