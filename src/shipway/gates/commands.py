"""Gates that the policy declares: a command, and how its output says how much it examined."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

from shipway.contracts.evidence import GateEvidence
from shipway.domain.gates import Enforcement, Verdict
from shipway.domain.policy import PolicyCommand
from shipway.errors import Category
from shipway.gates.bench import TESTS, Bench
from shipway.gates.comparison import Comparison
from shipway.gates.gate import Gate
from shipway.gates.look import Doubt, Record, check_ended, evidence
from shipway.gates.parsers import summary
from shipway.gates.parsers.reading import Reading, UnreadableReportError
from shipway.workspace.fence import Finished

MISSING = frozenset({126, 127})
TAIL = 256 * 1024


def gate(command: PolicyCommand) -> Gate:
    """The gate of one declared command."""

    def select(comparison: Comparison) -> tuple[bool, str]:
        return True, f"the base's policy declares it: {shlex.join(command.run)}"

    def judge(comparison: Comparison) -> GateEvidence:
        return _judge(comparison, command)

    return Gate(
        id=command.gate,
        version=1,
        cost=20.0,
        enforcement=Enforcement.REQUIRED,
        about=shlex.join(command.run),
        select=select,
        judge=judge,
        lasting=False,
    )


def _judge(comparison: Comparison, command: PolicyCommand) -> GateEvidence:
    head = comparison.prepared(comparison.head)
    record = Record(command.gate, Path(command.run[0]).name)
    bench = comparison.fresh(head, comparison.head.commit)
    finished = _run(bench, command, record)
    if finished.exit_code in MISSING:
        raise Doubt(f"{shlex.join(command.run)} is not installed here", Category.DEPENDENCY)
    check_ended(finished, frozenset(range(256)))
    examined = _examined(finished, command)
    reading = Reading(examined, [], {"examined": examined})
    if finished.exit_code:
        return evidence(bench, record, Verdict.FAIL, f"the command {finished.why()}", reading)
    if examined == 0:
        return evidence(bench, record, Verdict.ERROR, "it says that it examined nothing", reading)
    return evidence(bench, record, Verdict.PASS, f"{examined} examined", reading)


def _run(bench: Bench, command: PolicyCommand, record: Record) -> Finished:
    place = bench.place(command.gate)
    record.command = list(command.run)
    record.reproduce = shlex.join(command.run)
    path = [str(bench.candidate.path / "bin")] if bench.candidate is not None else []
    record.finished = bench.run(
        record.command, writable=place, cwd=bench.tree,
        limits=replace(TESTS, seconds=command.seconds),
        readable=() if bench.candidate is None else (bench.candidate.path,),
        env={"PATH": ":".join([*path, "/usr/local/bin", "/usr/bin", "/bin"])},
    )  # fmt: skip
    return record.finished


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
