"""Ruff's JSON report, and the list of files that it looks at."""

from __future__ import annotations

from shipway.contracts.evidence import Finding
from shipway.gates.parsers.reading import (
    Reading,
    decode,
    inside,
    line_number,
    load_json,
    mapping,
    sequence,
    short,
    text,
)


def findings(data: bytes, root: str) -> list[Finding]:
    """The objections of ``ruff check --output-format json``; raises UnreadableReportError."""
    found = []
    for item in sequence(load_json(data), "ruff's report"):
        entry = mapping(item, "a ruff finding")
        location = mapping(entry.get("location"), "a ruff location")
        found.append(
            Finding(
                # Files that do not parse have no rule code of their own in every version.
                rule=text(entry.get("code") or "invalid-syntax", "a ruff rule"),
                message=short(text(entry.get("message"), "a ruff message")),
                path=inside(text(entry.get("filename"), "a ruff file name"), root),
                line=line_number(location.get("row")),
            )
        )
    return found


def files(data: bytes) -> int:
    """How many files ``ruff check --show-files`` lists."""
    return sum(1 for line in decode(data).splitlines() if line.strip())


def read(report: bytes, shown: bytes, root: str) -> Reading:
    found = findings(report, root)
    examined = files(shown)
    return Reading(examined, found, {"files": examined, "findings": len(found)})
