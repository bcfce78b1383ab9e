"""Why a stage's gates do not pass, as the error that a run shows: gate, finding, log, command."""

from __future__ import annotations

from collections.abc import Callable

from shipway.contracts.envelope import ErrorReport
from shipway.contracts.evidence import GateEvidence, GateReport
from shipway.contracts.model import ArtifactRef
from shipway.domain.gates import Enforcement, Verdict, passes
from shipway.errors import RETRYABLE, Category, GateError

TAIL = 2000


def passed(report: GateReport) -> bool:
    """Whether the report lets a candidate through; ``domain.gates.passes`` decides."""
    return passes(
        (one.selection() for one in report.selections),
        (one.judgement() for one in report.evidence),
    )


def doubtful(report: GateReport) -> bool:
    """Whether nothing stands against the candidate but what only a person can decide."""
    asking = {one.gate for one in report.evidence if one.verdict is Verdict.FAIL and one.ask}
    judged = [
        one.judgement()._replace(verdict=Verdict.PASS, examined=max(1, one.examined))
        if one.gate in asking
        else one.judgement()
        for one in report.evidence
    ]
    return bool(asking) and passes((one.selection() for one in report.selections), judged)


def explain(report: GateReport, read: Callable[[ArtifactRef], bytes]) -> ErrorReport:
    """The error of a report that does not pass; ``read`` fetches a log from the shelf."""
    against = [
        one
        for one in report.evidence
        if one.verdict is not Verdict.PASS and one.enforcement is Enforcement.REQUIRED
    ]
    # A failure says more than a doubt, and that more than a gate that could not judge.
    against.sort(key=lambda one: (one.verdict is not Verdict.FAIL, one.ask is not None))
    if not against:
        return _nothing(report)
    first = against[0]
    others = "".join(f"; also {one.gate} {one.verdict.value}" for one in against[1:])
    category = _category(against)
    return ErrorReport(
        code=GateError.code,
        category=category.value,
        message=f"gate {first.gate} {first.verdict.value}: {first.summary}{others}",
        recovery="retry" if category in RETRYABLE else GateError.recovery.value,
        hint=_hint(first, category),
        step=first.gate,
        log_tail=None if first.log is None else tail(read(first.log)),
        reproduce=next((one.reproduce for one in first.findings if one.reproduce), first.reproduce),
        details={"gates": {one.gate: one.verdict.value for one in report.evidence}},
    )


def tail(log: bytes) -> str:
    """The end of a log, whole lines where it can be."""
    text = log.decode("utf-8", "replace").strip()
    if len(text) <= TAIL:
        return text
    return text[-TAIL:].split("\n", 1)[-1]


def _category(against: list[GateEvidence]) -> Category:
    """What the attempt failed of: a FAIL is final, trouble with the machine may pass."""
    if any(one.verdict is Verdict.FAIL for one in against):
        return Category.PERMANENT
    seen = [Category(one.category) if one.category else Category.PERMANENT for one in against]
    if Category.CANCELLED in seen:
        return Category.CANCELLED
    return seen[0] if all(one in RETRYABLE for one in seen) else Category.PERMANENT


def _hint(first: GateEvidence, category: Category) -> str:
    if category in RETRYABLE:
        return "nothing was judged; the attempt can be made again as it is"
    if first.verdict is Verdict.FAIL:
        return "correct what the gate found and run again; the log holds all of it"
    return "the gate could not judge, and that never passes; the log says why"


def _nothing(report: GateReport) -> ErrorReport:
    reasons = "; ".join(f"{one.gate}: {one.reason}" for one in report.selections)
    return ErrorReport(
        code=GateError.code,
        category=Category.PERMANENT.value,
        message=f"no required gate judged this tree ({reasons or 'no gate is known'})",
        recovery=GateError.recovery.value,
        hint="a tree that nothing has judged is not merged; give the project tests",
    )
