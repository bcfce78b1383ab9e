"""Turns the bytes of a YAML or JSON document into plain data.

YAML is read as the JSON subset that OpenAPI asks for (YAML 1.2 core): every mapping key is a
string, dates stay strings, and ``no`` is a word. Events are consumed as the parser makes them, so
memory follows the data and not the parser's own tree.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from shipway.errors import SpecificationError

MAX_BYTES = 10 * 1024 * 1024
MAX_DEPTH = 100
MAX_VALUES = 300_000
"""How many values a document may hold: some 3 MB of dense schemas, or 10 MB with long texts."""
MAX_REPEATED = 200_000
"""How many values aliases may repeat in all: stops documents that explode when expanded."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]{1,4000}|0o[0-7]{1,100}|0x[0-9a-fA-F]{1,100}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TAG = "tag:yaml.org,2002:"
_SAVE = "Save it as UTF-8 text in YAML or JSON."


class SourceFault(Exception):  # noqa: N818 - turned into a SpecificationError with the file's name
    """The text is not usable; ``line`` counts from 1."""

    def __init__(self, message: str, hint: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message, self.hint, self.line = message, hint, line


def parse(data: bytes, name: str) -> Any:
    """The document as dicts, lists and scalars; raises SpecificationError naming file and line."""
    try:
        return _parse(data)
    except SourceFault as fault:
        raise unusable(name, fault.line, fault.message, fault.hint) from None


def unusable(name: str, line: int | None, message: str, hint: str) -> SpecificationError:
    """One fault of a document as an error that names the place."""
    place = name if line is None else f"{name}:{line}"
    return SpecificationError(
        f"{place}: {message}", hint=hint, details={"file": name, "line": line}
    )


def _parse(data: bytes) -> Any:
    if len(data) > MAX_BYTES:
        raise SourceFault(
            f"the document is larger than {MAX_BYTES // 1024 // 1024} MB",
            "Move long examples and unused schemas out of the document.",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SourceFault("it is not UTF-8 text", _SAVE, line) from None
    if not text.strip():
        raise SourceFault("the document is empty", "Write an OpenAPI 3.0 or 3.1 document.")
    if text.lstrip()[:1] in "{[":
        return _parse_json(text)
    return _parse_yaml(text)


def _parse_json(text: str) -> Any:
    try:
        value = json.loads(
            text,
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_float=_json_float,
        )
    except json.JSONDecodeError as error:
        if text.lstrip()[0] == "{" and not re.match(r'\s*\{\s*("|\})', text):
            return _parse_yaml(text)  # flow style YAML also starts with a bracket
        raise SourceFault(f"it is not JSON: {error.msg}", _SAVE, error.lineno) from None
    except RecursionError:
        raise _too_deep(None) from None
    _check_size(value)
    if "\\ud" in text.lower():
        _check_characters(value)
    return value


def _json_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise SourceFault("a number is too large", "Use a smaller number.")
    return number


def _check_characters(value: Any) -> None:
    """Half of a surrogate pair can be written in JSON, but not be stored or sent anywhere."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise SourceFault("it holds half of a surrogate pair (\\ud...)", _SAVE) from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise SourceFault(f"the key {shown(twice)} is there twice", "Keep one of the two.")
    return result


def _no_constant(word: str) -> Any:
    raise SourceFault(f"{word} is not a JSON number", "Use a finite number.")


def _check_size(value: Any) -> None:
    level, count = [value], 0
    for _ in range(MAX_DEPTH):
        count += len(level)
        if count > MAX_VALUES:
            raise _too_many(None)
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise _too_deep(None)


def _too_many(line: int | None) -> SourceFault:
    return SourceFault(
        f"the document holds more than {MAX_VALUES} values",
        "Split it into one document for each service, or leave out what no operation uses.",
        line,
    )


def _too_deep(line: int | None) -> SourceFault:
    return SourceFault(
        f"it is nested more than {MAX_DEPTH} levels deep",
        "Name inner schemas under components and refer to them with $ref.",
        line,
    )


def shown(text: str) -> str:
    """A word of the document, quoted and short enough for a message."""
    return json.dumps(text if len(text) <= 60 else text[:57] + "...", ensure_ascii=False)


def _parse_yaml(text: str) -> Any:
    try:
        return _Builder().build(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.reader.ReaderError:
        raise SourceFault("it holds characters that no YAML may hold", _SAVE) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise SourceFault(
            f"it is not YAML: {error.problem or error.context}", _SAVE, line
        ) from None
    except yaml.YAMLError:
        raise SourceFault("it is not YAML", _SAVE) from None


@dataclass(slots=True)
class _Frame:
    """An open mapping or list while events come in; ``size`` counts the values inside."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    size: int = 1
    key: str | None = None
    merges: list[dict[str, Any]] = field(default_factory=list)

    @property
    def members(self) -> dict[str, Any]:
        """What a mapping holds so far."""
        return self.value if isinstance(self.value, dict) else {}


class _Builder:
    """Builds plain data from YAML events, with keys unique and aliases bounded."""

    def __init__(self) -> None:
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._open: list[str] = []
        self._repeated = 0
        self._values = 0
        self._documents = 0
        self._root: Any = None

    def build(self, events: Iterable[Any]) -> Any:
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._add(_scalar(event), event, 1)
            elif kind is yaml.MappingStartEvent:
                self._begin({}, event)
            elif kind is yaml.SequenceStartEvent:
                self._begin([], event)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._end(event)
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                self._documents += 1
                if self._documents > 1:
                    raise SourceFault(
                        "there is more than one YAML document in it",
                        "Keep one document; remove the second --- line.",
                        _line(event),
                    )
        return self._root

    def _begin(self, value: dict[str, Any] | list[Any], event: Any) -> None:
        self._refuse_tag(event)
        if len(self._stack) >= MAX_DEPTH:
            raise _too_deep(_line(event))
        if event.anchor:
            self._open.append(event.anchor)
        self._stack.append(_Frame(value, event.anchor))

    def _end(self, event: Any) -> None:
        frame = self._stack.pop()
        for merged in frame.merges:
            for key, value in merged.items():
                frame.members.setdefault(key, value)
        if frame.anchor:
            self._open.remove(frame.anchor)
        self._place(frame.value, event, frame.size, frame.anchor)

    def _add(self, value: Any, event: Any, size: int) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is None:
            self._begin_pair(frame, event.value, event)
            return
        self._place(value, event, size, event.anchor)

    def _begin_pair(self, frame: _Frame, key: str, event: Any) -> None:
        if key in frame.value and key != "<<":
            raise SourceFault(
                f"the key {shown(key)} is there twice", "Keep one of the two.", _line(event)
            )
        frame.key = key

    def _alias(self, event: Any) -> None:
        if event.anchor in self._open:
            raise SourceFault(
                f"the alias *{event.anchor} stands inside what it repeats",
                "Use $ref for a schema that refers to itself.",
                _line(event),
            )
        if event.anchor not in self._anchors:
            raise SourceFault(
                f"the alias *{event.anchor} has no anchor before it", _SAVE, _line(event)
            )
        value, size = self._anchors[event.anchor]
        self._repeated += size
        if self._repeated > MAX_REPEATED:
            raise SourceFault(
                "its aliases repeat far too much",
                "Use $ref instead of YAML aliases.",
                _line(event),
            )
        self._place(value, event, size, None)

    def _place(self, value: Any, event: Any, size: int, anchor: str | None) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise _too_many(_line(event))
        if anchor:
            self._anchors[anchor] = (value, size)
        if not self._stack:
            self._root = value
            return
        frame = self._stack[-1]
        frame.size += size
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.key is None:
            raise SourceFault("a key is a list or a mapping", "Use a word as key.", _line(event))
        else:
            self._pair(frame, frame.key, value, event)

    def _pair(self, frame: _Frame, key: str, value: Any, event: Any) -> None:
        frame.key = None
        if key != "<<":
            frame.members[key] = value
            return
        merged = value if isinstance(value, list) else [value]
        if not all(isinstance(one, dict) for one in merged):
            raise SourceFault("<< merges something that is no mapping", _SAVE, _line(event))
        frame.merges.extend(merged)

    def _refuse_tag(self, event: Any) -> None:
        if event.tag and event.tag not in {_TAG + "map", _TAG + "seq"}:
            raise _strange_tag(event)


def _strange_tag(event: Any) -> SourceFault:
    return SourceFault("a YAML tag is not allowed here", "Remove the ! tag.", _line(event))


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.tag and event.tag != "!":
        return _tagged(event)
    if not event.implicit[0]:
        return text
    return _plain(text, event)


def _tagged(event: Any) -> Any:
    text: str = event.value
    if event.tag == _TAG + "str":
        return text
    plain = _plain(text, event)
    wanted = {"int": int, "float": int | float, "bool": bool, "null": type(None)}
    kind = wanted.get(event.tag.removeprefix(_TAG))
    if kind is None or not isinstance(plain, kind):
        raise _strange_tag(event)
    return plain


def _plain(text: str, event: Any) -> Any:
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _finite(float(text), event)
    if _INFINITE.fullmatch(text):
        return _finite(math.inf, event)
    return text


def _integer(text: str) -> int:
    if text[:2] in {"0o", "0x"}:
        return int(text, 0)
    return int(text)


def _finite(number: float, event: Any) -> float:
    if not math.isfinite(number):
        raise SourceFault("a number is not finite", "Use a finite number.", _line(event))
    return number
