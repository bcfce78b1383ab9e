"""Mypy's JSON lines, and its line count report as the number of modules that it checked."""

from __future__ import annotations

from typing import Literal

from shipway.contracts.evidence import Finding
from shipway.gates.parsers.reading import (
    Reading,
    UnreadableReportError,
    decode,
    inside,
    line_number,
    load_json,
    mapping,
    short,
    text,
)

SEVERITIES: dict[str, Literal["error", "warning", "note"]] = {
    "error": "error", "warning": "warning", "note": "note",
}  # fmt: skip


def findings(data: bytes, root: str) -> list[Finding]:
    """The lines of ``mypy --output json``; anything else among them is unreadable."""
    found = []
    for line in decode(data).splitlines():
        if not line.strip():
            continue
        entry = mapping(load_json(line.encode()), "a mypy finding")
        severity = SEVERITIES.get(text(entry.get("severity"), "a mypy severity"))
        if severity is None:
            raise UnreadableReportError("a mypy severity is unknown")
        number = entry.get("line")
        found.append(
            Finding(
                rule=text(entry.get("code") or "misc", "a mypy code"),
                message=short(text(entry.get("message"), "a mypy message")),
                path=inside(text(entry.get("file"), "a mypy file name"), root),
                line=None if number == -1 else line_number(number),
                severity=severity,
            )
        )
    return found


def modules(data: bytes) -> int:
    """How many modules ``--linecount-report`` counted: one line each after the total."""
    lines = decode(data).splitlines()
    if not lines or not lines[0].endswith(" total"):
        raise UnreadableReportError("mypy's line count report has no total")
    return sum(1 for line in lines[1:] if line.strip())


def read(report: bytes, counted: bytes, root: str) -> Reading:
    found = findings(report, root)
    errors = sum(1 for one in found if one.severity == "error")
    examined = modules(counted)
    return Reading(examined, found, {"modules": examined, "errors": errors})
