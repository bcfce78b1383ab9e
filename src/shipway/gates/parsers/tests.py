"""One test run: JUnit XML, our own count and coverage, which must tell the same story."""

from __future__ import annotations

from shipway.contracts.evidence import Finding
from shipway.gates.parsers import coverage, junit
from shipway.gates.parsers.reading import (
    Reading,
    UnreadableReportError,
    count,
    load_json,
    mapping,
    short,
)

BROKEN = "collection failure"
KINDS = {"failure": "test-failed", "error": "test-error"}


def _finding(case: junit.Case) -> Finding:
    outcome = next(one for one in case.outcomes if one.kind in KINDS)
    first = _message(outcome)
    where = case.file
    # pytest counts lines from 0; a person's editor does not.
    line = None if case.line is None or where is None else case.line + 1
    broken = outcome.message == BROKEN
    name = where if broken and where else f"{where}::{case.name}" if where else case.name
    return Finding(
        rule=KINDS[outcome.kind],
        message=short(f"{name}: {first}"),
        path=where,
        line=line,
        reproduce=f"python -m pytest {_node(case)}" if where else None,
    )


def _message(outcome: junit.Outcome) -> str:
    """What went wrong in a line; pytest hides it in the text when a file does not even load."""
    lines = [line.strip() for line in outcome.text.splitlines() if line.strip()]
    if outcome.message and outcome.message != BROKEN:
        return outcome.message
    said = [line.removeprefix("E").strip() for line in lines if line.startswith("E ")]
    return said[-1] if said else next(iter(lines), outcome.message or "no message")


def _node(case: junit.Case) -> str:
    """The identifier that pytest takes: the file, classes if any, and the name."""
    if any(one.message == BROKEN for one in case.outcomes):
        return case.file or ""
    module = (case.file or "").removesuffix(".py").replace("/", ".")
    classes = case.classname.removeprefix(module).strip(".")
    middle = [part for part in classes.split(".") if part]
    return "'" + "::".join([case.file or "", *middle, case.name]).replace("'", "'\\''") + "'"


def read(report: bytes, counted: bytes, covered: bytes | None) -> Reading:
    """``counted`` is what our own plug-in saw; raises UnreadableReportError when they differ."""
    suite = junit.read(report)
    own = mapping(load_json(counted), "our own count")
    counts = {
        name: count(own.get(name), f"our own count of {name}")
        for name in ("collected", "passed", "failed", "errors", "skipped")
    }
    failed, errors = suite.count("failure"), suite.count("error")
    if (failed, errors) != (counts["failed"], counts["errors"]):
        raise UnreadableReportError("the JUnit report and our own count disagree about failures")
    if suite.count("passed") != counts["passed"]:
        raise UnreadableReportError("the JUnit report and our own count disagree about passes")
    threshold = own.get("fail_under")
    if not isinstance(threshold, int | float) or not threshold:
        threshold = None
    measurements = coverage.read(covered, threshold) if covered is not None else []
    found = [_finding(case) for case in suite.cases if case.state in KINDS]
    return Reading(counts["passed"] + failed + errors, found, counts, measurements)
