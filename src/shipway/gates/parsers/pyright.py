"""Pyright's JSON report, whose summary must count what it lists."""

from __future__ import annotations

from typing import Literal

from shipway.contracts.evidence import Finding
from shipway.gates.parsers.reading import (
    Reading,
    UnreadableReportError,
    count,
    inside,
    load_json,
    mapping,
    sequence,
    short,
    text,
)

SEVERITIES: dict[str, Literal["error", "warning", "note"]] = {
    "error": "error", "warning": "warning", "information": "note",
}  # fmt: skip


def read(data: bytes, root: str) -> Reading:
    """The findings; lines are counted from one here, and from nought in the report."""
    report = mapping(load_json(data), "pyright's report")
    summary = mapping(report.get("summary"), "pyright's summary")
    found = [
        _finding(mapping(one, "a pyright finding"), root)
        for one in sequence(report.get("generalDiagnostics"), "pyright's findings")
    ]
    errors = sum(one.severity == "error" for one in found)
    if errors != count(summary.get("errorCount"), "pyright's number of errors"):
        raise UnreadableReportError("pyright's report and its summary count different errors")
    examined = count(summary.get("filesAnalyzed"), "pyright's number of files")
    return Reading(examined, found, {"files": examined, "errors": errors})


def _finding(entry: dict[str, object], root: str) -> Finding:
    severity = SEVERITIES.get(text(entry.get("severity"), "a pyright severity"))
    if severity is None:
        raise UnreadableReportError("a pyright severity is unknown")
    line = None
    if "range" in entry:
        start = mapping(mapping(entry["range"], "a range").get("start"), "the start of a range")
        line = count(start.get("line"), "a line") + 1
    return Finding(
        rule=text(entry.get("rule") or "syntax", "a pyright rule"),
        message=short(text(entry.get("message"), "a pyright message")),
        path=inside(text(entry.get("file"), "a pyright file name"), root),
        line=line,
        severity=severity,
    )
