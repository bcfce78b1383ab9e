"""SARIF 2.1.0: the findings of any analyser, and how many files it says that it looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from shipway.contracts.evidence import Finding
from shipway.gates.parsers.reading import (
    Reading,
    UnreadableReportError,
    inside,
    line_number,
    load_json,
    mapping,
    sequence,
    short,
    text,
)

MOST = 100_000
_SEVERITY: dict[str, Literal["error", "warning", "note"]] = {
    "error": "error", "warning": "warning", "note": "note", "none": "note",
}  # fmt: skip


def read(data: bytes, root: str) -> Reading:
    """All runs of a log; ``examined`` is 0 where none of them lists its files."""
    log = mapping(load_json(data), "the SARIF log")
    if not text(log.get("version"), "the SARIF version").startswith("2."):
        raise UnreadableReportError("the report is no SARIF 2")
    runs = [mapping(one, "a SARIF run") for one in sequence(log.get("runs"), "the SARIF runs")]
    if not runs:
        raise UnreadableReportError("the SARIF log has no run")
    found = [finding for run in runs for finding in _run(run, root)]
    if len(found) > MOST:
        raise UnreadableReportError(f"the SARIF log has more than {MOST} results")
    examined = sum(_artifacts(run) for run in runs)
    return Reading(examined, found, {"files": examined, "findings": len(found)})


def _run(run: dict[str, Any], root: str) -> Iterator[Finding]:
    driver = mapping(mapping(run.get("tool"), "a SARIF tool").get("driver"), "a SARIF driver")
    text(driver.get("name"), "the name of a SARIF driver")
    for said in sequence(run.get("invocations", []), "the SARIF invocations"):
        if mapping(said, "a SARIF invocation").get("executionSuccessful") is False:
            raise UnreadableReportError("the SARIF log says that its tool did not succeed")
    if run.get("results") is None:
        raise UnreadableReportError("a SARIF run without results is one that did not look")
    levels = _levels(driver)
    for one in sequence(run["results"], "the SARIF results"):
        result = mapping(one, "a SARIF result")
        kind = text(result.get("kind", "fail"), "the kind of a SARIF result")
        if kind == "fail" and not result.get("suppressions"):
            yield _finding(result, levels, root)


def _levels(driver: dict[str, Any]) -> dict[str, str]:
    """What each rule is by default."""
    found = {}
    for one in sequence(driver.get("rules", []), "the SARIF rules"):
        rule = mapping(one, "a SARIF rule")
        said = mapping(rule.get("defaultConfiguration", {}), "a rule's configuration")
        found[text(rule.get("id"), "the id of a SARIF rule")] = text(
            said.get("level", "warning"), "a rule's level"
        )
    return found


def _finding(result: dict[str, Any], levels: dict[str, str], root: str) -> Finding:
    rule = text(result.get("ruleId", "rule"), "the rule of a SARIF result")
    level = text(result.get("level", levels.get(rule, "warning")), "the level of a SARIF result")
    if level not in _SEVERITY:
        raise UnreadableReportError("a SARIF result has a level that there is not")
    message = mapping(result.get("message"), "the message of a SARIF result")
    said = message.get("text", message.get("id", ""))
    path, line = _place(result, root)
    return Finding(
        rule=short(rule),
        message=short(text(said, "the text of a SARIF message")),
        path=path,
        line=line,
        severity=_SEVERITY[level],
    )


def _place(result: dict[str, Any], root: str) -> tuple[str | None, int | None]:
    places = sequence(result.get("locations", []), "the locations of a SARIF result")
    if not places:
        return None, None
    first = mapping(places[0], "a SARIF location")
    physical = mapping(first.get("physicalLocation", {}), "a SARIF location")
    artifact = mapping(physical.get("artifactLocation", {}), "a SARIF artifact")
    region = mapping(physical.get("region", {}), "a SARIF region")
    uri = artifact.get("uri")
    path = None if uri is None else _path(text(uri, "the address of a SARIF artifact"), root)
    return path, line_number(region.get("startLine"))


def _path(uri: str, root: str) -> str:
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise UnreadableReportError("a SARIF artifact has no usable address") from None
    return inside(unquote(parts.path or uri), root)


def _artifacts(run: dict[str, Any]) -> int:
    return len(sequence(run.get("artifacts", []), "the SARIF artifacts"))
