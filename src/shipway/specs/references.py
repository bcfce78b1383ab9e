"""Where ``$ref`` leads: into the document, into files beside it, or nowhere it may lead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from shipway.specs.document import FILES, escaped, find
from shipway.specs.source import MAX_BYTES, parse

MAX_FILES = 200
_DATA = frozenset({"example", "examples", "default", "enum", "const"})
"""Keywords whose values are data: a ``$ref`` in them is a word like any other."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at a place (keys from the root) of the document, and what to do."""

    place: tuple[str, ...]
    message: str
    hint: str


def references(data: Any) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every object with a ``$ref`` and its place, without descending into example data."""
    stack: list[tuple[tuple[str, ...], Any, bool]] = [((), data, False)]
    seen: set[int] = set()
    while stack:
        place, value, named = stack.pop()
        if not isinstance(value, dict | list) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, list):
            stack.extend(((*place, str(index)), inner, False) for index, inner in enumerate(value))
            continue
        if isinstance(value.get("$ref"), str) and not named:
            yield place, value
        stack.extend(
            ((*place, key), inner, _names(key) and not named)
            for key, inner in value.items()
            if named or (key not in _DATA and not _is_extension(key))
        )


def _names(key: str) -> bool:
    """Whether the keys below are names that the author chose, not keywords."""
    return key in {"properties", "patternProperties", "$defs", "definitions"}


def _is_extension(key: str) -> bool:
    return key.startswith("x-") and key != FILES


def faults(
    data: dict[str, Any], found: list[tuple[tuple[str, ...], dict[str, Any]]]
) -> list[Fault]:
    """References inside a self-contained document that lead nowhere or round in a circle."""
    result = []
    for place, holder in found:
        fault = _fault(data, place, holder["$ref"])
        if fault is not None:
            result.append(fault)
    return result


def _fault(data: dict[str, Any], place: tuple[str, ...], target: str) -> Fault | None:
    if not target.startswith("#"):
        return _foreign(place, target)
    passed = [target]
    while True:
        try:
            node = find(data, target)
        except KeyError:
            return Fault(
                place,
                f"$ref {_quoted(target)} has no target",
                "Define it, or correct the reference.",
            )
        following = node.value.get("$ref") if isinstance(node.value, dict) else None
        if not isinstance(following, str):
            return None
        if following in passed:
            return Fault(
                place,
                f"$ref {_quoted(passed[0])} leads back to itself",
                "Let one of the references in the circle define something.",
            )
        passed.append(following)
        target = following


def _foreign(place: tuple[str, ...], target: str) -> Fault:
    if urlsplit(target).scheme or target.startswith("//"):
        return Fault(
            place,
            f"$ref {_quoted(target)} is a URL: nothing is fetched from the network",
            "Copy what it refers to into the document, under components.",
        )
    return Fault(
        place,
        f"$ref {_quoted(target)} is another file, and only the document itself was handed in",
        "Hand in the path of the document, so that files beside it can be read, or bundle it.",
    )


def _quoted(target: str) -> str:
    return f"'{target[:80]}'"


class Bundle:
    """Takes the files that a document refers to into the document, if they lie beside or below it."""

    def __init__(self, path: Path, data: dict[str, Any]) -> None:
        self._root = path.resolve().parent
        self._main = path.resolve()
        self._data = data
        self._files: dict[Path, str] = {}
        self._bytes = 0
        self.faults: list[Fault] = []
        self.contents: dict[str, Any] = {}

    def take(self) -> dict[str, Any]:
        """The document with every reference leading inside; ``faults`` says which could not."""
        self._rewrite(self._data, self._main, None)
        if self.contents:
            return {**self._data, FILES: self.contents}
        return self._data

    def _rewrite(self, data: Any, file: Path, key: str | None) -> None:
        for place, holder in list(references(data)):
            target: str = holder["$ref"]
            if target.startswith("#"):
                if key is not None:
                    holder["$ref"] = f"#/{FILES}/{escaped(key)}{target[1:]}"
                continue
            where = (FILES, key, *place) if key is not None else place
            self._take_file(where, holder, file)

    def _take_file(self, place: tuple[str, ...], holder: dict[str, Any], file: Path) -> None:
        target: str = holder["$ref"]
        name, _, fragment = target.partition("#")
        if urlsplit(target).scheme or target.startswith("//"):
            self.faults.append(_foreign(place, target))
            return
        path = (file.parent / unquote(name)).resolve()
        if path == self._main:
            holder["$ref"] = f"#{fragment}"
            return
        key = self._files.get(path) or self._load(place, target, path)
        if key is not None:
            holder["$ref"] = f"#/{FILES}/{escaped(key)}{fragment}"

    def _load(self, place: tuple[str, ...], target: str, path: Path) -> str | None:
        if not path.is_relative_to(self._root):
            self._refuse(place, target, "lies outside the document's directory")
            return None
        if not path.is_file():
            self._refuse(place, target, "has no target: there is no such file")
            return None
        self._bytes += path.stat().st_size
        if self._bytes > MAX_BYTES or len(self._files) >= MAX_FILES:
            self._refuse(place, target, "is one file too many, or too much")
            return None
        key = path.relative_to(self._root).as_posix()
        self._files[path] = key
        content = parse(path.read_bytes(), key)
        self.contents[key] = content
        self._rewrite(content, path, key)
        return key

    def _refuse(self, place: tuple[str, ...], target: str, why: str) -> None:
        self.faults.append(
            Fault(
                place,
                f"$ref {_quoted(target)} {why}",
                "Copy what it refers to into the document's directory and refer to it there.",
            )
        )
