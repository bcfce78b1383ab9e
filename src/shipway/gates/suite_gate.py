"""Gate ``tests``: the head's own tests, with failures of the base told apart and flaky ones classified."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

from shipway.contracts.evidence import Finding, GateEvidence, Measurement
from shipway.domain.gates import Enforcement, Verdict
from shipway.errors import Category
from shipway.gates.comparison import Comparison, Side
from shipway.gates.gate import Gate
from shipway.gates.project import is_test, python_files
from shipway.gates.runners import tests

AGAIN = 2
"""How often a failing test is tried once more, to tell a flaky one from a broken one."""
MANY = 20
# In the fence nobody listens but what a test itself started.
_MISSING = re.compile(
    r"Connection ?refused|Name or service not known|Temporary failure in name resolution|"
    r"Network is unreachable|[Cc]ould not connect to|[Cc]annot connect to the Docker daemon"
)


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
    if seen.verdict is Verdict.ERROR and not _has_tests(comparison.head):
        return _none(comparison, seen)
    if seen.verdict is not Verdict.FAIL or not seen.findings:
        return seen
    return _against(comparison, seen)


def _has_tests(side: Side) -> bool:
    if side.bench.project.stack != "python":
        return side.bench.project.test is not None
    return any(is_test(path) for path in python_files(side.bench.tree))


def _none(comparison: Comparison, seen: GateEvidence) -> GateEvidence:
    """Without tests nothing is judged; whoever took them away is told so."""
    if _has_tests(comparison.base):
        said = "the base has tests, and the head has none"
        return seen.model_copy(update={"verdict": Verdict.FAIL, "summary": said, "category": None})
    said = (
        "there are no tests; add some, or say `tests: none` with `tests_reason:` in the base's "
        ".shipway/policy.yaml"
    )
    return seen.model_copy(update={"verdict": Verdict.NOT_RUN, "summary": said, "category": None})


def _against(comparison: Comparison, seen: GateEvidence) -> GateEvidence:
    """What fails on the base too does not count; a base without a verdict excuses nothing."""
    base = comparison.prepared(comparison.base)
    before = tests.judge(comparison.fresh(base, comparison.base.commit))
    known: set[object] = set()
    if before.verdict in {Verdict.PASS, Verdict.FAIL}:
        known = {_name(one) for one in before.findings}
    excused = _quarantined(comparison)
    fresh = [one for one in seen.findings if _name(one) not in known and _node(one) not in excused]
    counts = {
        **seen.counts,
        "known": sum(_name(one) in known for one in seen.findings),
        "quarantined": sum(_node(one) in excused for one in seen.findings),
        "new": len(fresh),
    }
    seen = seen.model_copy(update={"counts": counts})
    bad = counts.get("failed", 0) + counts.get("errors", 0)
    if bad > len(seen.findings):
        return seen  # more failed than evidence holds: nothing can be told apart
    if fresh:
        return _classified(comparison, seen, fresh)
    said = f"{seen.examined} tests, {counts['known']} fail on the base as well"
    said += f", {counts['quarantined']} are in quarantine" if counts["quarantined"] else ""
    return seen.model_copy(update={"verdict": Verdict.PASS, "summary": said, "findings": []})


def _name(finding: Finding) -> tuple[str | None, str]:
    """Which test it was; lines and messages may differ."""
    return finding.path, finding.reproduce or finding.message


def _node(finding: Finding) -> str:
    """The test as pytest names it; "" when it is not known."""
    words = shlex.split(finding.reproduce or "")
    return words[-1] if words[:3] == ["python", "-m", "pytest"] else ""


def _quarantined(comparison: Comparison) -> frozenset[str]:
    return frozenset(one.test for one in comparison.policy.quarantine if one.expires >= today())


def today() -> str:
    return date.isoformat(datetime.now(UTC).date())


# -- flaky tests ------------------------------------------------------------------------------


def _classified(
    comparison: Comparison, seen: GateEvidence, fresh: Sequence[Finding]
) -> GateEvidence:
    """The failures once more, alone: one that then passes is reported as flaky, and still counts."""
    nodes = [_node(one) for one in fresh]
    seen = seen.model_copy(update={"findings": list(fresh)})
    if all(_MISSING.search(one.message) for one in fresh):
        said = f"{len(fresh)} tests need a service that is not here: {fresh[0].message}"
        update = {"verdict": Verdict.ERROR, "summary": said, "category": Category.DEPENDENCY.value}
        return seen.model_copy(update=update)
    if not all(nodes) or len(nodes) > MANY:
        return seen
    head = comparison.prepared(comparison.head)
    failures = Counter(nodes)
    for _ in range(AGAIN):
        project = replace(head.project, test=("python", "-m", "pytest", *nodes))
        bench = replace(comparison.fresh(head, comparison.head.commit), project=project)
        again = tests.judge(bench)
        if again.verdict not in {Verdict.PASS, Verdict.FAIL}:
            return seen
        failures.update(_node(one) for one in again.findings if _node(one) in failures)
        if again.verdict is Verdict.FAIL and len(again.findings) == len(nodes):
            return seen  # as broken as before: there is nothing to classify
    flaky = [node for node in nodes if failures[node] <= AGAIN]
    return _told(seen, fresh, flaky, failures)


def _told(
    seen: GateEvidence, fresh: Sequence[Finding], flaky: list[str], failures: Counter[str]
) -> GateEvidence:
    rates = [
        Measurement(
            name=f"flaky {node}", value=round(failures[node] / (AGAIN + 1), 2), unit="of its runs"
        )
        for node in flaky
    ]
    update: dict[str, object] = {
        "measurements": [*seen.measurements, *rates],
        "counts": {**seen.counts, "flaky": len(flaky)},
    }
    if len(flaky) == len(fresh):
        update["ask"] = (
            f"{flaky[0]} failed in {failures[flaky[0]]} of {AGAIN + 1} runs on the same files: mend "
            "it, or put it into the base's policy under `quarantine:` with an owner and a day"
        )
    return seen.model_copy(update=update)


TESTS = Gate(
    "tests", 1, 10.0, Enforcement.REQUIRED,
    "all tests of the head pass, but for those that fail on the base as well", _select, _judge,
)  # fmt: skip
