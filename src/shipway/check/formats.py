"""The report for other programs and for reviews: SARIF, JUnit XML and a Markdown comment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

from shipway import __version__
from shipway.contracts.check import CheckReport, Outcome
from shipway.contracts.evidence import Finding, GateEvidence
from shipway.domain.gates import Enforcement, Verdict

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "note": "note"}
_SIGNS = {"PASS": "✅", "FAIL": "❌", "ERROR": "💥", "NOT_RUN": "⚪"}
_OUTCOMES = {
    Outcome.ACCEPTED: "✅ Accepted",
    Outcome.REJECTED: "❌ Rejected",
    Outcome.PERSON: "✋ A person has to decide",
    Outcome.NOTHING: "⚪ Nothing to judge",
}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FINDINGS = 10


# -- SARIF ------------------------------------------------------------------------------------


def sarif(report: CheckReport) -> dict[str, Any]:
    """SARIF 2.1.0: every finding, and each gate that did not pass without one."""
    results = [_result(one, finding) for one in report.evidence for finding in _told(one)]
    rules = sorted({str(result["ruleId"]) for result in results})
    run = {
        "tool": {
            "driver": {
                "name": "shipway",
                "version": __version__,
                "rules": [{"id": rule} for rule in rules],
            }
        },
        "invocations": [
            {
                "executionSuccessful": report.outcome is Outcome.ACCEPTED,
                "exitCodeDescription": report.outcome.value,
                "startTimeUtc": report.started_at,
                "endTimeUtc": report.ended_at,
            }
        ],
        "results": results,
        "properties": {"outcome": report.outcome.value, "tree": report.head.tree},
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _told(one: GateEvidence) -> list[Finding]:
    """The gate's findings; its summary where it has none and still does not pass."""
    if one.verdict is Verdict.PASS:
        return []
    said = Finding(rule=one.verdict.value.lower(), message=one.summary)
    return one.findings or [said]


def _result(one: GateEvidence, finding: Finding) -> dict[str, Any]:
    level = _LEVELS[finding.severity]
    if one.enforcement is Enforcement.ADVISORY and level == "error":
        level = "warning"
    result: dict[str, Any] = {
        "ruleId": f"{one.gate}/{finding.rule}",
        "level": level,
        "message": {"text": finding.message},
    }
    if finding.path is not None:
        place: dict[str, Any] = {"artifactLocation": {"uri": quote(finding.path)}}
        if finding.line is not None:
            place["region"] = {"startLine": finding.line}
        result["locations"] = [{"physicalLocation": place}]
    return result


# -- JUnit ------------------------------------------------------------------------------------


def junit(report: CheckReport) -> bytes:
    """JUnit XML: one test case for each gate, as continuous integration shows them."""
    suite = ET.Element("testsuite", {"name": "shipway check"})
    counts = {"tests": 1, "failures": 0, "errors": 0, "skipped": 0}
    whole = ET.SubElement(suite, "testcase", {"classname": "shipway", "name": "outcome"})
    if report.outcome is not Outcome.ACCEPTED:
        # Whoever only counts failures must not take a change for accepted that is not.
        told = {"message": _xml(report.summary), "type": report.outcome.value}
        ET.SubElement(whole, "failure", told)
        counts["failures"] += 1
    for one in report.evidence:
        kind = _case(suite, one)
        counts["tests"] += 1
        if kind is not None:
            counts[kind] += 1
    for left in report.selections:
        if not left.selected:
            case = ET.SubElement(suite, "testcase", {"classname": "shipway", "name": left.gate})
            ET.SubElement(case, "skipped", {"message": _xml(left.reason)})
            counts["tests"] += 1
            counts["skipped"] += 1
    suite.attrib |= {name: str(count) for name, count in counts.items()}
    suite.set("time", f"{report.seconds:.3f}")
    text: bytes = ET.tostring(suite, encoding="utf-8", xml_declaration=True)
    return text


def _case(suite: ET.Element, one: GateEvidence) -> str | None:
    case = ET.SubElement(suite, "testcase", {"classname": "shipway", "name": one.gate})
    if one.verdict is Verdict.PASS:
        return None
    text = _xml("\n".join(_line(finding) for finding in one.findings))
    if one.enforcement is Enforcement.ADVISORY:
        said = {"message": _xml(f"advisory {one.verdict.value}: {one.summary}")}
        ET.SubElement(case, "skipped", said).text = text
        return "skipped"
    tag, kind = ("failure", "failures") if one.verdict is Verdict.FAIL else ("error", "errors")
    told = {"message": _xml(one.summary), "type": one.verdict.value}
    ET.SubElement(case, tag, told).text = text
    return kind


def _xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _line(finding: Finding) -> str:
    where = f"{finding.path}:{finding.line}: " if finding.line else ""
    where = where or (f"{finding.path}: " if finding.path else "")
    return f"{where}{finding.rule} {finding.message}"


# -- Markdown ---------------------------------------------------------------------------------


def markdown(report: CheckReport) -> str:
    """A comment for a review; what comes from the candidate cannot break out of its cell."""
    return "\n".join(_comment(report)) + "\n"


def _comment(report: CheckReport) -> Iterator[str]:
    yield f"### {_OUTCOMES[report.outcome]}"
    yield ""
    yield _plain(report.summary)
    yield ""
    if report.evidence:
        yield "| | gate | verdict | what it saw |"
        yield "|--|--|--|--|"
    for one in report.evidence:
        advisory = " (advisory)" if one.enforcement is Enforcement.ADVISORY else ""
        yield (
            f"| {_SIGNS[one.verdict.value]} | {one.gate}{advisory} | {one.verdict.value} | "
            f"{_plain(one.summary)} |"
        )
    for one in report.evidence:
        if one.verdict is not Verdict.PASS:
            yield from _details(one)
    for decision in report.decisions:
        yield ""
        yield f"**To decide:** {_plain(decision.question)}"
        for way in decision.how:
            yield f"- {_plain(way)}"
    for used in report.waivers:
        yield ""
        yield _plain(f"Waiver for {used.gate} by {used.approver} until {used.expires}: {used.why}")
    yield ""
    yield (
        f"<sub>{_plain(report.base.said)} → {_plain(report.head.said)} · claim {report.claim.value} · "
        f"tree `{report.head.tree[:12]}` · {report.seconds:.0f} s · shipway {__version__}</sub>"
    )


def _details(one: GateEvidence) -> Iterator[str]:
    if not one.findings:
        return
    yield ""
    yield f"<details><summary>{one.gate}: {len(one.findings)} findings</summary>"
    yield ""
    for finding in one.findings[:_FINDINGS]:
        yield f"- {_plain(_line(finding))}"
    if len(one.findings) > _FINDINGS:
        yield f"- and {len(one.findings) - _FINDINGS} more"
    yield ""
    yield f"Repeat it: `shipway check --gate {one.gate}`"
    yield ""
    yield "</details>"


def _plain(text: str) -> str:
    """Text from elsewhere on one line, with nothing that Markdown or HTML would act on."""
    shown = " ".join(text.split())
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|#~@!])", r"\\\1", shown)
