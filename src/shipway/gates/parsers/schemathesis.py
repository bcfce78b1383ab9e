"""Schemathesis: its JSON report for the counts, its JUnit report for what it objects to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from shipway.contracts.evidence import Finding, Measurement
from shipway.gates.parsers import junit
from shipway.gates.parsers.reading import (
    Reading,
    UnreadableReportError,
    count,
    load_json,
    mapping,
    sequence,
    short,
    text,
)

CASE = re.compile(r"^\d+\. Test Case ID: \S+$", re.MULTILINE)
HEADLINE = re.compile(r"^- (?:(ST\d+) )?(.+)$", re.MULTILINE)
REPRODUCE = re.compile(
    r"^Reproduce with:\s*\n\s*\n\s*(curl .+?)\s*(?:\n\s*\n|\Z)", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Run:
    """The reading, and whether the tool itself says that it went through to the end."""

    reading: Reading
    complete: bool
    exit_code: int
    failures: int
    errors: list[str]
    warnings: dict[str, list[str]]
    phases: dict[str, str]
    version: str


def _detail(block: str, start: int) -> str:
    """The indented lines under a headline, as one line."""
    lines = []
    for line in block[start:].splitlines():
        if line and not line.startswith("    "):
            break
        if line.strip():
            lines.append(line.strip())
    return " ".join(lines)


def _findings(case: junit.Case) -> list[Finding]:
    found = []
    for outcome in case.outcomes:
        if outcome.kind not in {"failure", "error"}:
            continue
        blocks = CASE.split(outcome.text)
        for block in blocks[1:] or blocks:
            command = REPRODUCE.search(block)
            headlines = list(HEADLINE.finditer(block))
            found += [
                Finding(
                    rule=headline[1] or "schemathesis",
                    message=short(f"{case.name}: {headline[2]}. {_detail(block, headline.end())}"),
                    path=case.name,
                    reproduce=command[1] if command else None,
                )
                for headline in headlines
            ]
            if not headlines:
                message = outcome.message or block.strip() or "no message"
                found.append(
                    Finding(
                        rule=outcome.kind,
                        message=short(f"{case.name}: {message}"),
                        path=case.name,
                        reproduce=command[1] if command else None,
                    )
                )
    return found


def _counts(report: dict[str, Any]) -> dict[str, int]:
    operations = mapping(report.get("operations"), "the operations")
    cases = mapping(report.get("test_cases"), "the test cases")
    return {
        "operations": count(operations.get("selected"), "the selected operations"),
        "tested": count(operations.get("tested"), "the tested operations"),
        "errored": count(operations.get("errored"), "the operations with errors"),
        "cases": count(cases.get("generated"), "the generated cases"),
        "unchecked": count(cases.get("without_checks"), "the cases without checks"),
        "failures": count(cases.get("unique_failures"), "the unique failures"),
    }


def _phases(report: dict[str, Any]) -> dict[str, str]:
    phases = mapping(report.get("phases") or {}, "the phases")
    return {
        name: text(mapping(phase, "a phase").get("status"), "a phase's status")
        for name, phase in phases.items()
    }


def read(report: bytes, suite: bytes) -> Run:
    """Both reports, which must agree on whether there are failures."""
    document = mapping(load_json(report), "the report of schemathesis")
    if not isinstance(document.get("complete"), bool):
        raise UnreadableReportError("the report does not say whether it is complete")
    counts = _counts(document) if document.get("operations") is not None else {}
    cases = junit.read(suite).cases
    found = [finding for case in cases for finding in _findings(case)]
    errors = [
        text(mapping(error, "an error").get("title"), "an error's title")
        for error in sequence(document.get("errors"), "the errors")
    ]
    failures = counts.get("failures", 0)
    if failures and not found:
        raise UnreadableReportError("there are failures that the JUnit report does not list")
    warnings = {
        name: [str(one) for one in sequence(labels, "a warning")]
        for name, labels in mapping(document.get("warnings"), "the warnings").items()
    }
    reading = Reading(
        max(counts.get("cases", 0) - counts.get("unchecked", 0), 0),
        found,
        counts,
        [
            Measurement(name="operations tested", value=counts.get("tested", 0), unit="operations"),
            Measurement(name="test cases", value=counts.get("cases", 0), unit="cases"),
        ],
    )
    return Run(
        reading,
        document["complete"],
        count(document.get("exit_code"), "the exit code"),
        failures,
        errors,
        {name: labels for name, labels in warnings.items() if labels},
        _phases(document),
        text(document.get("schemathesis_version"), "the version"),
    )
