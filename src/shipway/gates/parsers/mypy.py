"""Mypy's JSON lines, or its words, and its summary as the number of files that it checked."""

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
LINE = re.compile(
    r"(?P<file>[^:\n]+):(?P<line>\d{1,9}): (?P<severity>error|warning|note): "
    r"(?P<message>.*?)(?:  \[(?P<code>[\w-]+)\])?"
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


def in_words(data: bytes, root: str) -> list[Finding]:
    """The same from what a mypy prints that writes no JSON yet."""
    return [
        Finding(
            rule=one["code"] or "misc",
            message=short(one["message"]),
            path=inside(one["file"], root),
            line=line_number(int(one["line"])),
            severity=SEVERITIES[one["severity"]],
        )
        for one in map(LINE.fullmatch, decode(data).splitlines())
        if one is not None
    ]


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


def read(report: bytes | None, words: bytes, root: str) -> Reading:
    """The findings, which must be as many as mypy's own summary counts; without a report, in words."""
    found = in_words(words, root) if report is None else findings(report, root)
    errors = sum(1 for one in found if one.severity == "error")
    examined, counted = summary(words)
    if errors != counted:
        raise UnreadableReportError("mypy's report and its summary count different errors")
    return Reading(examined, found, {"files": examined, "errors": errors})
