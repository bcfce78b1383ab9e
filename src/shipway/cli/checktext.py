"""What is said about a check, as lines: the verdicts, each failure with how to repeat it, the outcome."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime

from shipway.cli.lines import Line, Part
from shipway.cli.output import clean, one_line
from shipway.cli.runtext import mark, word
from shipway.cli.words import duration
from shipway.contracts.check import CheckReport, Outcome
from shipway.contracts.evidence import GateEvidence
from shipway.contracts.model import ArtifactRef
from shipway.domain.gates import Enforcement, Verdict
from shipway.errors import NotFoundError
from shipway.gates.failure import tail

_STYLES = {
    Outcome.ACCEPTED: "bold green",
    Outcome.REJECTED: "bold red",
    Outcome.NOTHING: "bold yellow",
    Outcome.PERSON: "bold yellow",
}
_PINNED = re.compile(r"^[\w.-]+==[\w.+-]+: ")
_LOG_LINES = 12
_FINDINGS = 5

Read = Callable[[ArtifactRef], bytes]


def seconds(one: GateEvidence) -> float:
    return (
        datetime.fromisoformat(one.ended_at) - datetime.fromisoformat(one.started_at)
    ).total_seconds()


def heading(report: CheckReport) -> Iterator[Line]:
    """What is compared, before anything is judged."""
    yield [Part("head   ", "dim"), Part(one_line(report.head.said))]
    yield [Part("base   ", "dim"), Part(one_line(report.base.said))]
    yield [Part("claim  ", "dim"), Part(f"{report.claim.value} ({report.claimed_by})")]
    yield [Part("policy ", "dim"), Part(one_line(report.policy.source))]
    for note in report.notes:
        yield [Part("note   ", "dim"), Part(one_line(note), "yellow")]
    yield []


def verdict(one: GateEvidence, *, unicode: bool) -> Line:
    """One gate, as soon as it has judged."""
    said = one.verdict.value
    return [
        mark(said, unicode=unicode),
        Part(one.gate, "", 13),
        word(said, 8),
        Part(f"{duration(seconds(one)):>7}  ", "dim"),
        Part(one_line(one.summary)),
        Part("  (advisory)" if one.enforcement is Enforcement.ADVISORY else "", "red"),
    ]


def conclusion(report: CheckReport, read: Read) -> Iterator[Line]:
    """What did not apply, each failure, what to decide, and the outcome."""
    left = [one for one in report.selections if not one.selected]
    if left:
        names = ", ".join(one.gate for one in left)
        yield [Part(f"   not applicable: {names}  (--explain says why)", "dim")]
    if report.cached:
        yield [
            Part(f"   nothing changed since an earlier check for {len(report.cached)} gates", "dim")
        ]
    for one in report.evidence:
        if one.verdict is not Verdict.PASS:
            yield from failure(one, read)
    for used in report.waivers:
        style = "yellow" if used.counts else "dim"
        text = f"waiver for {used.gate} by {used.approver} until {used.expires}: {used.why}"
        yield [Part(one_line(text), style)]
    yield from decisions(report)
    yield []
    yield [
        Part(report.outcome.value, _STYLES[report.outcome]),
        Part(f"  {one_line(report.summary)}  "),
        Part(f"({duration(report.seconds)})", "dim"),
    ]
    for command in report.next:
        yield [Part("next: ", "dim"), Part(one_line(command))]


def explained(report: CheckReport) -> Iterator[Line]:
    """Every gate: whether it applies, whether it decides, and the rule's reason."""
    yield from heading(report)
    if report.outcome is Outcome.NOTHING:
        yield [Part(one_line(report.summary), "yellow")]
    for one in report.selections:
        how = one.enforcement.value if one.selected else "n/a"
        style = "" if one.selected else "dim"
        yield [
            Part("  "),
            Part(one.gate, style, 14),
            Part(how, style, 10),
            Part(one_line(one.reason), style),
        ]


def compared(said: CheckReport, differences: list[str]) -> Iterator[Line]:
    """Whether evidence holds."""
    names = len(said.evidence)
    if not differences:
        yield [
            Part("the evidence holds", "bold green"),
            Part(
                f"  {said.outcome.value}, {names} gates judged again for tree {said.head.tree[:12]}"
            ),
        ]
        return
    yield [Part("the evidence does not hold", "bold red"), Part(f"  tree {said.head.tree[:12]}")]
    for one in differences:
        yield [Part(f"  {one_line(one)}")]


def failure(one: GateEvidence, read: Read) -> Iterator[Line]:
    """What failed, the end of its log, and the one command that repeats it."""
    yield []
    yield [Part(f"{one.gate} {one.verdict.value}", "bold"), Part(f"  {one_line(one.summary)}")]
    for found in one.findings[:_FINDINGS]:
        where = f"{found.path}:{found.line}" if found.line else found.path or ""
        yield [
            Part(f"    {one_line(where)}  ", "cyan"),
            Part(one_line(f"{found.rule} {found.message}")),
        ]
    if len(one.findings) > _FINDINGS:
        yield [Part(f"    and {len(one.findings) - _FINDINGS} more", "dim")]
    for line in log_lines(one, read):
        yield [Part(f"  | {clean(line)}", "dim")]
    yield [Part("    repeat it: ", "dim"), Part(one_line(reproduce(one)), "bold")]


def reproduce(one: GateEvidence) -> str:
    """The one command that shows it again, as it can be typed."""
    command = next((found.reproduce for found in one.findings if found.reproduce), one.reproduce)
    # A tool of ours is named with its version in front; the user may not have it.
    if not command or _PINNED.match(command):
        return f"shipway check --gate {one.gate}"
    return command


def log_lines(one: GateEvidence, read: Read) -> list[str]:
    """The last lines of the gate's log; static tools say all in their findings."""
    if one.log is None or (one.findings and one.gate not in {"tests", "build"}):
        return []
    try:
        return tail(read(one.log)).splitlines()[-_LOG_LINES:]
    except NotFoundError:
        return ["(the log is gone)"]


def decisions(report: CheckReport) -> Iterator[Line]:
    """What a person has to decide, and how."""
    for one in report.decisions:
        yield []
        yield [Part("decide  ", "bold yellow"), Part(one_line(one.question))]
        for way in one.how:
            yield [Part(f"    {one_line(way)}")]
