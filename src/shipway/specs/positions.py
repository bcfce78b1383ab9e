"""Finds the line of a place in a document, by reading it again: only a faulty one pays for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import yaml

Path = tuple[str, ...]


def lines(data: bytes, places: Iterable[Path]) -> dict[Path, int]:
    """The line of each place that can be found; a place is the keys and indices that lead to it."""
    wanted = set(places)
    found: dict[Path, int] = {}
    try:
        for place, line in _places(yaml.parse(data, Loader=yaml.CSafeLoader)):
            if place in wanted and place not in found:
                found[place] = line
                if len(found) == len(wanted):
                    break
    except (yaml.YAMLError, UnicodeDecodeError):
        # JSON that is no YAML (tabs): the pointer alone has to do.
        return found
    return found


def _places(events: Iterable[Any]) -> Iterator[tuple[Path, int]]:
    """Every place of the document with its line, in order."""
    stack: list[list[Any]] = []  # [is mapping, next index or pending key]
    path: list[Any] = []
    for event in events:
        kind = type(event)
        if kind in {yaml.MappingEndEvent, yaml.SequenceEndEvent}:
            stack.pop()
            _leave(stack, path)
            continue
        if kind not in _STARTS:
            continue
        if stack and stack[-1][0] and stack[-1][1] is None:
            stack[-1][1] = getattr(event, "value", "")
            path.append(stack[-1][1])
            yield tuple(path), event.start_mark.line + 1
            continue
        if stack and not stack[-1][0]:
            path.append(str(stack[-1][1]))
            yield tuple(path), event.start_mark.line + 1
        if kind in {yaml.MappingStartEvent, yaml.SequenceStartEvent}:
            is_mapping = kind is yaml.MappingStartEvent
            stack.append([is_mapping, None if is_mapping else 0])
        else:
            _leave(stack, path)


_STARTS = frozenset(
    {yaml.MappingStartEvent, yaml.SequenceStartEvent, yaml.ScalarEvent, yaml.AliasEvent}
)


def _leave(stack: list[list[Any]], path: list[str]) -> None:
    if not stack:
        return
    path.pop()
    stack[-1][1] = None if stack[-1][0] else stack[-1][1] + 1
