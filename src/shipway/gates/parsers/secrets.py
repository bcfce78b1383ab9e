"""The JSON report of detect-secrets: where something like a secret stands, never the secret."""

from __future__ import annotations

import posixpath

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

Place = tuple[str, str | None, int | None]


def read(data: bytes, start: str, root: str) -> tuple[list[Finding], dict[Place, str]]:
    """One finding for each place, and the one-way mark that the same secret has everywhere.

    Names in the report are relative to ``start``, those of the findings to ``root``. Raises
    UnreadableReportError.
    """
    report = mapping(load_json(data), "the report of detect-secrets")
    if not sequence(report.get("plugins_used"), "the list of detectors"):
        raise UnreadableReportError("detect-secrets ran without a detector")
    found, marks = [], {}
    for path, items in mapping(report.get("results"), "the results").items():
        for item in sequence(items, "the results of a file"):
            entry = mapping(item, "a result")
            kind = text(entry.get("type"), "a result's type")
            one = Finding(
                rule=kind.lower().replace(" ", "-"),
                message=short(f"{kind}: this looks like a secret"),
                path=inside(posixpath.join(start, path), root),
                line=line_number(entry.get("line_number")),
            )
            found.append(one)
            marks[one.rule, one.path, one.line] = text(entry.get("hashed_secret"), "a mark")
    return found, marks
