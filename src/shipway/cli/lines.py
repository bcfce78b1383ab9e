"""A small shape for words on a screen: lines of styled parts, independent of any terminal library."""

from __future__ import annotations

from typing import NamedTuple


class Part(NamedTuple):
    """A piece of text; ``width`` pads or cuts it to so many cells (0: as it is)."""

    text: str
    style: str = ""
    width: int = 0


Line = list[Part]


class Field(NamedTuple):
    """A labelled line. ``prose`` wraps at words; anything else stays whole, so that it can be copied."""

    label: str
    value: Line
    prose: bool = False


def plain(line: Line) -> str:
    """The words of a line without their styles."""
    return "".join(part.text for part in line)
