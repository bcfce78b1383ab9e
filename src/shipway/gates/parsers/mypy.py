"""Mypy's JSON lines, and its summary in words as the number of files that it checked."""

from __future__ import annotations

import re
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

CLEAN = re.compile(r"Success: no issues found in (?P<files>\d{1,9}) source files?")
FOUND = re.compile(
    r"Found (?P<errors>\d{1,9}) errors? in \d{1,9} files? "
    r"\(checked (?P<files>\d{1,9}) source files?\)"
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


def summary(data: bytes) -> tuple[int, int]:
    """Files checked and errors found, as the last line of mypy's report in words says."""
    last = next(iter(reversed(decode(data).strip().splitlines())), "")
    found = CLEAN.fullmatch(last)
    if found:
        return int(found["files"]), 0
    found = FOUND.fullmatch(last)
    if not found:
        raise UnreadableReportError("mypy does not say how many files it checked")
    return int(found["files"]), int(found["errors"])


def read(report: bytes, words: bytes, root: str) -> Reading:
    """The findings, which must be as many as mypy's own summary counts."""
    found = findings(report, root)
    errors = sum(1 for one in found if one.severity == "error")
    examined, counted = summary(words)
    if errors != counted:
        raise UnreadableReportError("mypy's report and its summary count different errors")
    return Reading(examined, found, {"files": examined, "errors": errors})
