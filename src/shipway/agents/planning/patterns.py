"""Makes texts that match a regular expression, a different one for each number."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from re import _parser as grammar  # type: ignore[attr-defined]  # the only reader of patterns there is
from typing import Any

_CATEGORIES = {
    "CATEGORY_DIGIT": "0123456789",
    "CATEGORY_WORD": "abcdefghijklmnopqrstuvwxyz0123456789_",
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_DIGIT": "abcdefghijklmnopqrstuvwxyz",
    "CATEGORY_NOT_WORD": "-",
    "CATEGORY_NOT_SPACE": "abcdefghijklmnopqrstuvwxyz0123456789",
}
_USUAL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_.@/:#+"
_TRIES = 60


def matching(
    pattern: str, number: int, shortest: int = 0, longest: int | None = None
) -> str | None:
    """A text in which the pattern is found and whose length fits, or None when none is found."""
    try:
        tree = grammar.parse(pattern)
    except (re.error, RecursionError, OverflowError):
        return None
    most = sys.maxsize if longest is None else longest
    for stretch in range(_TRIES):
        text = _Writer(number, stretch).write(tree)
        if text is None or len(text) > most:
            continue
        if len(text) < shortest and not pattern.endswith("$"):
            text += "a" * (shortest - len(text))
        if len(text) >= shortest and re.search(pattern, text):
            return text
    return None


class _Writer:
    """Writes one text; each choice uses up a part of the number, so that numbers differ in result."""

    def __init__(self, number: int, stretch: int) -> None:
        self._number = number
        self._stretch = stretch
        self._groups: dict[int, str] = {}

    def write(self, tree: Any) -> str | None:
        parts = []
        # From the end: the last place changes first, as when counting.
        for op, argument in reversed(list(tree)):
            part = self._part(str(op), argument)
            if part is None:
                return None
            parts.append(part)
        return "".join(reversed(parts))

    def _part(self, op: str, argument: Any) -> str | None:  # noqa: PLR0911 - one way for each kind
        match op:
            case "LITERAL":
                return chr(argument)
            case "NOT_LITERAL":
                return self._pick([one for one in _USUAL if one != chr(argument)])
            case "ANY":
                return self._pick(list(_USUAL[:26]))
            case "AT":
                return ""
            case "IN":
                return self._pick(list(_members(argument)))
            case "BRANCH":
                branches = argument[1]
                return self.write(branches[self._take(len(branches))])
            case "SUBPATTERN":
                text = self.write(argument[3])
                self._groups[argument[0] or 0] = text or ""
                return text
            case "ATOMIC_GROUP":
                return self.write(argument)
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                return self._repeat(*argument)
            case "ASSERT" | "ASSERT_NOT":
                return ""  # the whole text is tried against the pattern afterwards
            case _:
                return None

    def _repeat(self, least: int, most: int, tree: Any) -> str | None:
        count = min(max(least, min(least + self._stretch, least + 40)), int(most))
        if least == 0 and self._stretch == 0:
            count = 0
        parts = [self.write(tree) for _ in range(count)]
        if any(part is None for part in parts):
            return None
        return "".join(part for part in reversed(parts) if part is not None)

    def _pick(self, choices: list[str]) -> str | None:
        return choices[self._take(len(choices))] if choices else None

    def _take(self, size: int) -> int:
        self._number, chosen = divmod(self._number, size)
        return chosen


def _members(members: list[tuple[Any, Any]]) -> Iterator[str]:
    if members and str(members[0][0]) == "NEGATE":
        refused = set(_members(members[1:]))
        yield from (one for one in _USUAL if one not in refused)
        return
    for op, argument in members:
        match str(op):
            case "LITERAL":
                yield chr(argument)
            case "RANGE":
                low, high = argument
                yield from map(chr, range(low, min(high, low + 100) + 1))
            case "CATEGORY":
                yield from _CATEGORIES[str(argument)]
