"""Gate ``tests``: the head's own tests, with failures of the base told apart and flaky ones classified."""

from __future__ import annotations

from shipway.contracts.evidence import Finding, GateEvidence
from shipway.domain.gates import Enforcement, Verdict
from shipway.gates.comparison import Comparison
from shipway.gates.gate import Gate
from shipway.gates.runners import tests


def _select(comparison: Comparison) -> tuple[bool, str]:
    reason = comparison.policy.no_tests
    if reason is not None:
        return False, f"the base's policy says that there are none: {reason}"
    if comparison.head.bench.project.stack == "python":
        return True, "a Python project is tested with pytest"
    if comparison.head.bench.project.test:
        return True, "the repository names a test command"
    return True, "no test command is known, and a change is not accepted untested"


def _judge(comparison: Comparison) -> GateEvidence:
    head = comparison.prepared(comparison.head)
    seen = tests.judge(comparison.fresh(head, comparison.head.commit))
    if seen.verdict is not Verdict.FAIL or not seen.findings:
        return seen
    return _against(comparison, seen)


def _against(comparison: Comparison, seen: GateEvidence) -> GateEvidence:
    """Failures that the base has too do not count; a base without a verdict excuses none."""
    base = comparison.prepared(comparison.base)
    before = tests.judge(comparison.fresh(base, comparison.base.commit))
    if before.verdict not in {Verdict.PASS, Verdict.FAIL}:
        return seen
    known = {_name(one) for one in before.findings}
    fresh = [one for one in seen.findings if _name(one) not in known]
    bad = seen.counts.get("failed", 0) + seen.counts.get("errors", 0)
    excused = len(seen.findings) - len(fresh)
    counts = {**seen.counts, "known": excused, "new": len(fresh)}
    if fresh or bad > len(seen.findings):
        return seen.model_copy(update={"findings": fresh or seen.findings, "counts": counts})
    said = f"{seen.examined} tests, {excused} fail on the base as well, none that did not"
    return seen.model_copy(
        update={"verdict": Verdict.PASS, "summary": said, "findings": [], "counts": counts}
    )


def _name(finding: Finding) -> tuple[str | None, str]:
    """Which test it was; lines and messages may differ."""
    return finding.path, finding.reproduce or finding.message


TESTS = Gate(
    "tests", 1, 10.0, Enforcement.REQUIRED,
    "all tests of the head pass, but for those that fail on the base as well", _select, _judge,
)  # fmt: skip
