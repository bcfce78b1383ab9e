"""Pylint's JSON: what it objects to, with the rule by its name."""

from __future__ import annotations

from shipway.contracts.evidence import Finding
from shipway.gates.parsers.reading import (
    Reading,
    inside,
    line_number,
    load_json,
    mapping,
    sequence,
    short,
    text,
)

#: What breaks a program; the rest is taste, which counts where pylint itself says that it failed.
_BREAKS = frozenset({"fatal", "error"})


def read(data: bytes, root: str, files: int, *, failed: bool) -> Reading:
    """The messages of ``--output-format=json``; they only inform where pylint says that all is well."""
    found = []
    for item in sequence(load_json(data), "pylint's report"):
        entry = mapping(item, "a message of pylint")
        kind = text(entry.get("type"), "the kind of a message")
        found.append(
            Finding(
                rule=text(entry.get("symbol"), "a rule of pylint"),
                message=short(text(entry.get("message"), "a message of pylint")),
                path=inside(text(entry.get("path"), "a path of pylint"), root),
                line=line_number(entry.get("line")),
                severity="error" if failed or kind in _BREAKS else "warning",
            )
        )
    return Reading(files, found, {"files": files, "findings": len(found)})
