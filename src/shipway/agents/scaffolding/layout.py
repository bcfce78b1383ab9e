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


@dataclass(frozen=True, slots=True)
class Noted:
    """A line of its own in a collection, with a comment behind its comma."""

    part: str
    comment: str


Part = str | Call | Noted


def flat(part: Part) -> str:
    if isinstance(part, Noted):
        return part.part
    return part if isinstance(part, str) else part.flat()


def is_noted(part: Part) -> bool:
    """Whether a comment inside keeps the code from going on one line."""
    if isinstance(part, Call):
        return any(is_noted(one) for one in part.parts)
    return isinstance(part, Noted)


def lay(part: Part, indent: int = 0, room: int = 0) -> str:
    """The code on one line if it fits, else its bracket opened up, step by step.

    ``indent`` is where the code starts; ``room`` is kept free at the end. The first line is not
    indented. Arguments and subscripts go on one inner line if they fit, collections never do.
    """
    one = flat(part)
    if not isinstance(part, Call) or not part.parts:
        return one
    noted = is_noted(part)
    if indent + len(one) + room <= WIDTH and not noted:
        return one
    inner, margin = " " * (indent + STEP), " " * indent
    together = ", ".join(flat(one) for one in part.parts)
    if not noted and _TRAILER.search(part.head) and len(inner) + len(together) <= WIDTH:
        return f"{part.head}\n{inner}{together}\n{margin}{part.tail}"
    return _one_per_line(part, inner, margin)


_TRAILER = re.compile(r"[\w)\]][\[(]$")


def _one_per_line(part: Call, inner: str, margin: str) -> str:
    lines = [
        f"{inner}{lay(one, len(inner), 1)},"
        + (f"  # {one.comment}" if isinstance(one, Noted) else "")
        for one in part.parts
    ]
    return "\n".join([part.head, *lines, margin + part.tail])


def json_code(value: JsonValue, head: str = "", tail: str = "") -> Part:
    """A JSON value as code that can be opened up; ``head`` and ``tail`` stand around it."""
    if isinstance(value, dict) and value:
        parts = [_member(name, one) for name, one in value.items()]
        return Call(head + "{", parts, "}" + tail)
    if isinstance(value, list) and value:
        return Call(head + "[", [json_code(one) for one in value], "]" + tail)
    return head + literal(value) + tail


# Made-up values under such names would alarm those who look for real secrets.
_SECRETIVE = re.compile(
    r"(api|auth|service|account|db|database|priv|private|client)_?key|pass|pwd|secret|contrase",
    re.IGNORECASE,
)


def _member(name: str, value: JsonValue) -> Part:
    code = json_code(value, f"{literal(name)}: ")
    if isinstance(code, str) and isinstance(value, str) and _SECRETIVE.search(name):
        return Noted(code, "pragma: allowlist secret")
    return code
