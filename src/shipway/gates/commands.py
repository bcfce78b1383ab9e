"""Gates that the policy declares: a command, and how its output or its report says what it saw."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from shipway.contracts.evidence import Finding, GateEvidence, Measurement
from shipway.domain.gates import Verdict
from shipway.domain.policy import PolicyCommand
from shipway.errors import Category
from shipway.gates import toolchains
from shipway.gates.baseline import split
from shipway.gates.bench import TESTS, Bench
from shipway.gates.comparison import Comparison, Side
from shipway.gates.gate import Rule
from shipway.gates.look import Doubt, Look, Record, check_ended, evidence, keep, read_report
from shipway.gates.parsers import summary
from shipway.gates.parsers.foreign import READERS, Report
from shipway.gates.parsers.lines import Covered
from shipway.gates.parsers.reading import Reading, UnreadableReportError
from shipway.workspace.fence import Finished

MISSING = frozenset({126, 127})
TAIL = 256 * 1024


def rule(command: PolicyCommand) -> Rule:
    """The rule of one declared command."""

    def select(comparison: Comparison) -> tuple[bool, str]:
        return True, f"the base's policy declares it: {shlex.join(command.run)}"

    def judge(comparison: Comparison) -> GateEvidence:
        return _judge(comparison, command)

    return Rule(select, judge)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One run: where it was, how it ended, and its report where it writes one."""

    bench: Bench
    finished: Finished
    report: Report | None


def _judge(comparison: Comparison, command: PolicyCommand) -> GateEvidence:
    record = Record(command.gate, Path(command.run[0]).name)
    seen = _look(comparison, comparison.head, command, record)
    if seen.report is None:
        return _by_output(seen, command, record)
    if seen.report.covered is not None:
        return _by_lines(comparison, seen, seen.report.covered, record)
    return _by_findings(comparison, seen, seen.report, command, record)


def _look(
    comparison: Comparison, side: Side, command: PolicyCommand, record: Record
) -> _Seen:  # fmt: skip
    """Run it in a fresh checkout; raises Doubt when there is nothing to believe."""
    bench = comparison.ready(comparison.fresh(comparison.prepared(side), side.commit))
    finished = _run(bench, command, record)
    if finished.exit_code in MISSING:
        said = toolchains.where(command.run[0]) if finished.missing else "its log says what"
        raise Doubt(f"{shlex.join(command.run)} is not installed here: {said}", Category.DEPENDENCY)
    check_ended(finished, frozenset(range(256)))
    if command.report is None or command.format is None:
        return _Seen(bench, finished, None)
    path = bench.tree / command.report
    if not path.parent.resolve().is_relative_to(bench.tree.resolve()):
        raise UnreadableReportError(f"the report {command.report} is not in the tree")
    data = read_report(path, finished)
    keep(record, report=data)
    return _Seen(bench, finished, READERS[command.format](data, str(bench.tree)))


def _run(bench: Bench, command: PolicyCommand, record: Record) -> Finished:
    place = bench.place(command.gate)
    record.command = list(command.run)
    record.reproduce = shlex.join(command.run)
    known, own = toolchains.found(), bench.candidate
    path = [*([str(own.path / "bin")] if own is not None else []), *known.programs]
    record.finished = bench.run(
        record.command, writable=place, cwd=bench.tree,
        limits=replace(TESTS, seconds=command.seconds),
        readable=(*known.readable, *(() if own is None else (own.path,))),
        env={
            **toolchains.caches(bench.tree), **known.env,
            "PATH": ":".join([*path, "/usr/local/bin", "/usr/bin", "/bin"]),
        },
    )  # fmt: skip
    return record.finished


# -- by what it prints ------------------------------------------------------------------------


def _by_output(seen: _Seen, command: PolicyCommand, record: Record) -> GateEvidence:
    bench, finished = seen.bench, seen.finished
    examined = _examined(finished, command)
    reading = Reading(examined, [], {"examined": examined})
    if finished.exit_code:
        return evidence(bench, record, Verdict.FAIL, f"the command {finished.why()}", reading)
    if examined == 0:
        return evidence(bench, record, Verdict.ERROR, "it says that it examined nothing", reading)
    return evidence(bench, record, Verdict.PASS, f"{examined} examined", reading)


def _examined(finished: Finished, command: PolicyCommand) -> int:
    """The number that the command says it examined; a failure needs none."""
    text = finished.output[-TAIL:].decode("utf-8", "replace")
    if command.counts is not None:
        numbers = [one for one in re.findall(command.counts, text) if one.isdigit()]
        if numbers:
            return sum(map(int, numbers))
        if finished.exit_code:
            return 0
        raise Doubt("its output has no number where the policy's `counts` looks for one")
    try:
        return summary.read(finished.output).examined
    except UnreadableReportError:
        if finished.exit_code:
            return 0
    raise Doubt(
        "its output does not say how much it examined; give the command a `counts` pattern in the "
        "base's .shipway/policy.yaml"
    )


# -- by its report ----------------------------------------------------------------------------


def _by_findings(
    comparison: Comparison, seen: _Seen, report: Report, command: PolicyCommand, record: Record
) -> GateEvidence:
    """Only what the base's report does not have counts; a base without one excuses nothing."""
    reading, failed = report.reading, bool(seen.finished.exit_code)
    examined = reading.examined or (_examined(seen.finished, command) if not failed else 0)
    if not examined and not reading.findings:
        raise Doubt(f"the command {seen.finished.why()}, and its report lists nothing")
    if (failed and not reading.findings) or (report.failed and not failed):
        raise Doubt(f"the command {seen.finished.why()}, which its report does not agree with")
    fresh, known = (
        _told_apart(comparison, seen, report, command, record) if reading.findings else ([], 0)
    )
    counts = {**reading.counts, "known": known, "new": len(fresh)}
    told = Reading(max(examined, len(reading.findings)), fresh, counts)
    bad = fresh if failed else [one for one in fresh if one.severity == "error"]
    old = f", {known} on the base already" if known else ""
    if bad:
        first = bad[0]
        where = f"{first.path}:{first.line} " if first.line else ""
        said = f"{len(bad)} new{old}; first: {where}{first.rule} {first.message}"
        return evidence(seen.bench, record, Verdict.FAIL, said, told)
    said = f"{told.examined} examined, nothing new found{old}"
    return evidence(seen.bench, record, Verdict.PASS, said, told)


def _told_apart(
    comparison: Comparison, seen: _Seen, report: Report, command: PolicyCommand, record: Record
) -> tuple[list[Finding], int]:
    try:
        before = _look(comparison, comparison.base, command, Record(command.gate, record.tool))
    except (Doubt, UnreadableReportError) as error:
        record.inputs["base"] = f"{comparison.base.tree} could not be judged: {error}"
        return report.reading.findings, 0
    record.inputs["base"] = comparison.base.tree
    if before.report is None:
        return report.reading.findings, 0
    if report.failed:
        known = set(before.report.failed)
        named = zip(report.reading.findings, report.failed, strict=True)
        fresh = [one for one, name in named if name not in known]
        return fresh, len(report.reading.findings) - len(fresh)
    return split(
        seen.bench.tree, Look(report.reading), before.bench.tree, Look(before.report.reading),
        comparison.renamed(),
    )  # fmt: skip


def _by_lines(
    comparison: Comparison, seen: _Seen, covered: Covered, record: Record
) -> GateEvidence:
    """The whole against the policy's ``coverage``, the changed lines against ``changed_coverage``."""
    if seen.finished.exit_code:
        said = f"the command {seen.finished.why()}"
        return evidence(seen.bench, record, Verdict.FAIL, said, Reading(covered.lines))
    missed = list(_missed(comparison, covered))
    run = sum(len(lines & covered.files[path].run) for path, lines in _changed(comparison, covered))
    policy = comparison.policy
    total = next(one.value for one in covered.measurements if one.name == "coverage")
    measured = [
        Measurement(name="coverage", value=total, unit="%", threshold=policy.threshold("coverage"))
    ]
    if run + len(missed):
        share = round(100.0 * run / (run + len(missed)), 2)
        least = policy.threshold("changed_coverage")
        measured.append(
            Measurement(name="changed coverage", value=share, unit="%", threshold=least)
        )
    low = [one for one in measured if one.value < (one.threshold or 0.0)]
    counts = {"lines": covered.lines, "run": run, "missed": len(missed)}
    reading = Reading(covered.lines, missed, counts, measured)
    said = ", ".join(f"{one.name} {one.value:g} %" for one in measured)
    if low:
        said += f": {low[0].name} is below {low[0].threshold:g} %"
    return evidence(seen.bench, record, Verdict.FAIL if low else Verdict.PASS, said, reading)


def _changed(comparison: Comparison, covered: Covered) -> Iterator[tuple[str, frozenset[int]]]:
    for one in comparison.changes:
        if not one.is_gone and one.path in covered.files:
            yield one.path, one.added_lines


def _missed(comparison: Comparison, covered: Covered) -> Iterator[Finding]:
    for path, lines in _changed(comparison, covered):
        for line in sorted(lines & covered.files[path].missed):
            yield Finding(
                rule="line-not-run", message="no test runs this changed line", path=path,
                line=line, severity="warning",
            )  # fmt: skip
