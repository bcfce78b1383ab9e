"""Laying out code the way the project's formatter would, so that formatting it changes nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from shipway.agents.scaffolding.words import WIDTH, literal

STEP = 4


@dataclass(frozen=True, slots=True)
class Call:
    """Something in brackets: what stands before, between commas, and after."""

    head: str
    parts: Sequence[Part]
    tail: str

    def flat(self) -> str:
        return self.head + ", ".join(flat(part) for part in self.parts) + self.tail


Part = str | Call


def flat(part: Part) -> str:
    return part if isinstance(part, str) else part.flat()


def lay(part: Part, indent: int = 0, room: int = 0) -> str:
    """The code on one line if it fits, else its bracket opened up, step by step.

    ``indent`` is where the code starts; ``room`` is kept free at the end. The first line is not
    indented. Arguments and subscripts go on one inner line if they fit, collections never do.
    """
    one = flat(part)
    if isinstance(part, str) or not part.parts or indent + len(one) + room <= WIDTH:
        return one
    inner, margin = " " * (indent + STEP), " " * indent
    together = ", ".join(flat(one) for one in part.parts)
    if _TRAILER.search(part.head) and len(inner) + len(together) <= WIDTH:
        return f"{part.head}\n{inner}{together}\n{margin}{part.tail}"
    return _one_per_line(part, inner, margin)


_TRAILER = re.compile(r"[\w)\]][\[(]$")


def _one_per_line(part: Call, inner: str, margin: str) -> str:
    lines = [f"{inner}{lay(one, len(inner), 1)}," for one in part.parts]
    return "\n".join([part.head, *lines, margin + part.tail])


def json_code(value: JsonValue, head: str = "", tail: str = "") -> Part:
    """A JSON value as code that can be opened up; ``head`` and ``tail`` stand around it."""
    if isinstance(value, dict) and value:
        parts: list[Part] = [json_code(one, f"{literal(name)}: ") for name, one in value.items()]
        return Call(head + "{", parts, "}" + tail)
    if isinstance(value, list) and value:
        return Call(head + "[", [json_code(one) for one in value], "]" + tail)
    return head + literal(value) + tail
