"""The JSON report of detect-secrets: where something like a secret stands, never the secret."""

from __future__ import annotations

from shipway.contracts.evidence import Finding
from shipway.gates.parsers.reading import (
    UnreadableReportError,
    inside,
    line_number,
    load_json,
    mapping,
    sequence,
    short,
    text,
)


def findings(data: bytes, root: str) -> list[Finding]:
    """One finding for each place; raises UnreadableReportError."""
    report = mapping(load_json(data), "the report of detect-secrets")
    if not sequence(report.get("plugins_used"), "the list of detectors"):
        raise UnreadableReportError("detect-secrets ran without a detector")
    found = []
    for path, items in mapping(report.get("results"), "the results").items():
        for item in sequence(items, "the results of a file"):
            entry = mapping(item, "a result")
            kind = text(entry.get("type"), "a result's type")
            found.append(
                Finding(
                    rule=kind.lower().replace(" ", "-"),
                    message=short(f"{kind}: this looks like a secret"),
                    path=inside(path, root),
                    line=line_number(entry.get("line_number")),
                )
            )
    return found


def marks(data: bytes, root: str) -> dict[tuple[str, str | None, int | None], str]:
    """For each place the one-way mark that detect-secrets gives it: the same secret, the same mark."""
    report = mapping(load_json(data), "the report of detect-secrets")
    made: dict[tuple[str, str | None, int | None], str] = {}
    for path, items in mapping(report.get("results"), "the results").items():
        for item in sequence(items, "the results of a file"):
            entry = mapping(item, "a result")
            rule = text(entry.get("type"), "a result's type").lower().replace(" ", "-")
            place = (rule, inside(path, root), line_number(entry.get("line_number")))
            made[place] = text(entry.get("hashed_secret"), "a result's mark")
    return made
