"""What every parser shares: the error they raise, bounded JSON, and paths made relative to the tree."""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass, field
from typing import Any

from shipway.contracts.evidence import Finding, Measurement

LIMIT = 64 * 1024 * 1024
MESSAGE = 500


class UnreadableReportError(ValueError):
    """A report is missing, truncated, hostile or not in the tool's format: never a verdict."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a report says. ``examined`` is the number of things that the tool looked at."""

    examined: int = 0
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)


def decode(data: bytes) -> str:
    if len(data) > LIMIT:
        raise UnreadableReportError(f"the report is larger than {LIMIT} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise UnreadableReportError("the report is not UTF-8") from None


def load_json(data: bytes) -> Any:
    """One JSON document, or UnreadableReportError."""
    text = decode(data)
    if not text.strip():
        raise UnreadableReportError("the report is empty")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableReportError("the report is not JSON, or was cut off") from None


def mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnreadableReportError(f"{what} is not an object")
    return value


def sequence(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise UnreadableReportError(f"{what} is not a list")
    return value


def text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise UnreadableReportError(f"{what} is not text")
    return value


def count(value: Any, what: str) -> int:
    """A whole number that is not negative (JSON's true and 1.5 are neither)."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UnreadableReportError(f"{what} is not a count")
    return value


def line_number(value: Any) -> int | None:
    """A line a person can open; tools say 0 or nothing when they mean the whole file."""
    if value is None:
        return None
    number = count(value, "a line number")
    return number or None


def inside(path: str, root: str) -> str:
    """``path`` as seen from ``root``; a place outside the tree keeps its full name."""
    if not posixpath.isabs(path):
        return posixpath.normpath(path)
    relative = posixpath.relpath(path, root)
    return path if relative.startswith("../") else relative


def short(message: str) -> str:
    """One bounded message without control characters: it ends up on a terminal and on a page."""
    clean = "".join(
        one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in message
    )
    return clean if len(clean) <= MESSAGE else clean[: MESSAGE - 1] + "\N{HORIZONTAL ELLIPSIS}"
