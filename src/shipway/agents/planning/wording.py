"""Recognises what plain descriptions say: which names they mention and which rules they state."""

from __future__ import annotations

import re
from collections.abc import Iterable

from shipway.specs.names import folded, singular, words

_TAKEN = re.compile(
    r"(?i)\b(already|unique|uniqueness|duplicates?|in use|taken|same|another|exists|registered|"
    r"occupied|more than once|twice)\b"
)


def mentions(text: str, names: Iterable[str]) -> bool:
    """Whether a text has one of the names (folded, singular or plural) as words of its own."""
    return position(text, names) is not None


def position(text: str, names: Iterable[str]) -> int | None:
    """Where the first of the names stands in the text, counted in words."""
    return next((start for start, _ in spans(text, names)), None)


def spans(text: str, names: Iterable[str]) -> list[tuple[int, int]]:
    """Every place in the text, from word to word, that says one of the names."""
    spoken = words(text)
    wanted = {name for name in names if name}
    longest = max((len(name) for name in wanted), default=0)
    found = []
    for start in range(len(spoken)):
        joined = ""
        for end in range(start, min(start + 6, len(spoken))):
            joined += spoken[end]
            if joined in wanted or singular(joined) in wanted:
                found.append((start, end + 1))
            if len(joined) > longest + 3:
                break
    return found


def named(text: str, wires: Iterable[str]) -> list[str]:
    """The properties that a text mentions; ``short name`` is not also a mention of ``name``."""
    found = {wire: spans(text, {folded(wire)}) for wire in wires}
    every = [span for places in found.values() for span in places]

    def stands_alone(span: tuple[int, int]) -> bool:
        start, end = span
        return not any(one <= start and end <= two and (one, two) != span for one, two in every)

    return [wire for wire, places in found.items() if any(map(stands_alone, places))]


def speaks_of(text: str, wire: str) -> bool:
    """Whether a text mentions a property, by its name or by its words (``lastName``: last name)."""
    return mentions(text, {folded(wire)})


def says_taken(text: str) -> bool:
    """Whether a text says that something may be there only once."""
    return bool(_TAKEN.search(text))


def says_missing(text: str) -> bool:
    """Whether a text says that something it refers to is not there."""
    return bool(
        re.search(
            r"(?i)\b(no such|not exist|doesn't exist|unknown|not found|missing|does not refer|"
            r"no \w+ with)\b",
            text,
        )
    )


def quoted(text: str) -> list[str]:
    """The words that a text sets in code or quotation marks."""
    return [
        next(filter(None, match)) for match in re.findall(r"`([^`]+)`|'([^']+)'|\"([^\"]+)\"", text)
    ]
