"""The report of our own acceptance driver."""

from __future__ import annotations

from shipway.contracts.evidence import Finding
from shipway.gates.parsers.reading import (
    Reading,
    UnreadableReportError,
    load_json,
    mapping,
    sequence,
    short,
    text,
)

VERDICTS = frozenset({"passed", "failed", "error", "impossible"})


def read(data: bytes) -> tuple[Reading, list[str]]:
    """The reading, and the flows that could not be judged, each with its reason."""
    report = mapping(load_json(data), "the report of the acceptance flows")
    if report.get("complete") is not True:
        raise UnreadableReportError("the acceptance flows did not come to their end")
    found, unjudged = [], []
    counts = {"flows": 0, "passed": 0, "failed": 0, "error": 0, "impossible": 0, "requests": 0}
    for item in sequence(report.get("checks"), "the flows"):
        entry = mapping(item, "a flow")
        name = text(entry.get("id"), "a flow's id")
        verdict = text(entry.get("verdict"), "a flow's verdict")
        if verdict not in VERDICTS:
            raise UnreadableReportError(f"the verdict of flow {short(name)} is unknown")
        counts["flows"] += 1
        counts[verdict] += 1
        counts["requests"] += len(sequence(entry.get("requests"), "a flow's requests"))
        said = short(f"{name}: {text(entry.get('message'), 'a message')}")
        if verdict == "failed":
            reproduce = entry.get("reproduce")
            found.append(
                Finding(
                    rule=text(entry.get("kind"), "a flow's kind"),
                    message=said,
                    path=name,
                    reproduce=None if reproduce is None else text(reproduce, "a command"),
                )
            )
        elif verdict != "passed":
            unjudged.append(said)
    return Reading(counts["passed"] + counts["failed"], found, counts), unjudged
