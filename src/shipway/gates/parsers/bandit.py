"""Bandit's JSON report."""

from __future__ import annotations

from typing import Any, Literal

from shipway.contracts.evidence import Finding
from shipway.gates.parsers.reading import (
    Reading,
    UnreadableReportError,
    count,
    inside,
    line_number,
    load_json,
    mapping,
    sequence,
    short,
    text,
)

SEVERITIES: dict[str, Literal["error", "warning", "note"]] = {
    "HIGH": "error", "MEDIUM": "error", "LOW": "note", "UNDEFINED": "error",
}  # fmt: skip


def _finding(item: Any, root: str) -> Finding:
    entry = mapping(item, "a bandit result")
    severity = SEVERITIES.get(text(entry.get("issue_severity"), "a bandit severity"))
    if severity is None:
        raise UnreadableReportError("a bandit severity is unknown")
    return Finding(
        rule=text(entry.get("test_id"), "a bandit rule"),
        message=short(text(entry.get("issue_text"), "a bandit message")),
        path=inside(text(entry.get("filename"), "a bandit file name"), root),
        line=line_number(entry.get("line_number")),
        severity=severity,
    )


def read(data: bytes, root: str) -> Reading:
    """Results of severity low are notes; a file that bandit could not read is unreadable evidence."""
    report = mapping(load_json(data), "bandit's report")
    errors = sequence(report.get("errors"), "bandit's errors")
    if errors:
        first = mapping(errors[0], "a bandit error")
        where = short(inside(str(first.get("filename", "a file")), root))
        raise UnreadableReportError(f"bandit could not read {len(errors)} files, first {where}")
    metrics = mapping(report.get("metrics"), "bandit's metrics")
    totals = mapping(metrics.get("_totals"), "bandit's totals")
    results = sequence(report.get("results"), "bandit's results")
    found = [_finding(item, root) for item in results]
    examined = len(metrics) - 1
    return Reading(
        examined,
        found,
        {
            "files": examined,
            "lines": count(totals.get("loc"), "bandit's lines"),
            "findings": sum(1 for one in found if one.severity == "error"),
            "notes": sum(1 for one in found if one.severity == "note"),
        },
    )
