"""Gates that only read the tree: one verdict rule for all of them, with the base told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType

from shipway.contracts.evidence import GateEvidence
from shipway.domain.gates import Verdict
from shipway.gates.baseline import split
from shipway.gates.bench import Bench
from shipway.gates.look import Doubt, Look, Record, evidence
from shipway.gates.parsers.reading import Reading, UnreadableReportError
from shipway.gates.runners import bandit, detect_secrets, flake8, mypy, pylint, pyright, ruff

RUNNERS: dict[str, ModuleType] = {
    one.GATE: one for one in (ruff, mypy, bandit, detect_secrets, pylint)
}


def _runner(gate: str, bench: Bench) -> ModuleType:
    """The tool of a gate; another one than usual where the project configures only that."""
    project = bench.project
    if gate == pyright.GATE and project.has_pyright and not project.has_mypy:
        return pyright
    if gate == flake8.GATE and project.by_flake8:
        return flake8
    return RUNNERS[gate]


def judge(
    gate: str, bench: Bench, base: Bench | None, renamed: Mapping[str, str] | None = None,
    *, held_to: bool = True,
) -> GateEvidence:  # fmt: skip
    """Run the gate's tool on the tree, and on the base when there is something to excuse.

    ``renamed`` maps paths of the base to those of the tree. With ``held_to`` False a rule that the
    base breaks as well only informs: in this version of the tool nobody holds the project to it.
    """
    runner = _runner(gate, bench)
    record = Record(gate, runner.TOOL)
    bench.say(f"{gate}: {runner.TOOL}")
    try:
        seen: Look = runner.look(bench, record)
    except Doubt as doubt:
        return evidence(
            bench, record, Verdict.ERROR, f"{runner.TOOL}: {doubt.reason}", category=doubt.category
        )
    except UnreadableReportError as error:
        return evidence(bench, record, Verdict.ERROR, f"{runner.TOOL}: {error}")
    if not seen.reading.findings or base is None:
        return _decide(bench, record, seen.reading, 0)
    return _against(gate, bench, record, seen, base, renamed or {}, held_to=held_to)


def _against(
    gate: str, bench: Bench, record: Record, seen: Look, base: Bench, renamed: Mapping[str, str],
    *, held_to: bool,
) -> GateEvidence:  # fmt: skip
    """The verdict on what the base does not have; a base that cannot be judged excuses nothing."""
    runner = _runner(gate, bench)
    try:
        before: Look = runner.look(base, Record(gate, runner.TOOL))
    except (Doubt, UnreadableReportError):
        record.inputs["base"] = f"{base.tree_id} could not be judged"
        return _decide(bench, record, seen.reading, 0)
    record.inputs["base"] = base.tree_id
    fresh, known = split(bench.tree, seen, base.tree, before, renamed)
    if not held_to:
        broken = {one.rule for one in before.reading.findings}
        fresh = [
            one.model_copy(update={"severity": "warning"}) if one.rule in broken else one
            for one in fresh
        ]
    reading = replace(
        seen.reading,
        findings=fresh,
        counts={**seen.reading.counts, "known": known, "new": len(fresh)},
    )
    return _decide(bench, record, reading, known)


def _decide(bench: Bench, record: Record, reading: Reading, known: int) -> GateEvidence:
    if reading.examined == 0:
        return evidence(bench, record, Verdict.ERROR, f"{record.tool} examined nothing", reading)
    blocking = [one for one in reading.findings if one.severity == "error"]
    what = f"{reading.examined} files"
    old = f", {known} on the base already" if known else ""
    if not blocking:
        return evidence(bench, record, Verdict.PASS, f"{what}, nothing found{old}", reading)
    first = blocking[0]
    where = f"{first.path}:{first.line}" if first.line else first.path or "the tree"
    noun = "finding" if len(blocking) == 1 else "findings"
    summary = f"{len(blocking)} {noun}{old}; first: {where} {first.rule} {first.message}"
    return evidence(bench, record, Verdict.FAIL, summary, reading)
