"""Gate ``tests``: the head's own tests, with failures of the base told apart and flaky ones classified."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Sequence

from shipway.contracts.evidence import Finding, GateEvidence, Measurement
from shipway.contracts.model import today
from shipway.domain.gates import Verdict
from shipway.errors import Category
from shipway.gates import whole
from shipway.gates.comparison import Comparison, Side
from shipway.gates.gate import Rule
from shipway.gates.look import FINDINGS, Doubt, Record, evidence
from shipway.gates.parsers.reading import UnreadableReportError
from shipway.gates.project import python_files
from shipway.gates.runners import tests
from shipway.gates.scope import modules, tests_of
from shipway.gates.shape import is_test
from shipway.gates.suite import base_suite, chosen_files, head_suite
from shipway.gates.tally import decide, tally
from shipway.gates.testing import is_own
from shipway.gates.trees import failing_on_base, run

JUDGED = frozenset({Verdict.PASS, Verdict.FAIL})
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
    bench = comparison.prepared(comparison.head)
    record = Record("tests", "pytest")
    if bench.project.stack != "python" and bench.project.test:
        return whole.judge(comparison)
    if bench.project.stack != "python" or is_own(bench.project.test):
        seen = tests.judge(comparison.fresh(bench, comparison.head.commit))
        return seen if seen.verdict is not Verdict.ERROR or _has_tests(comparison.head) else _none(
            comparison, seen
        )  # fmt: skip
    try:
        suite = head_suite(comparison)
        reading = tests.read(bench, record, suite)
    except (Doubt, UnreadableReportError) as error:
        if not _has_tests(comparison.head):
            return _none(comparison, evidence(bench, record, Verdict.ERROR, str(error)))
        raise
    seen = decide(bench, record, reading)
    if seen.verdict is Verdict.FAIL and not seen.findings:
        return _below(comparison, seen)
    if seen.verdict is not Verdict.FAIL:
        return seen
    return _against(comparison, seen, reading.findings)


def _scoped(comparison: Comparison, seen: GateEvidence) -> GateEvidence:
    """Whether only a part was run is told with the verdict."""
    project = comparison.head.bench.project
    if project.stack != "python" or is_own(project.test) or seen.verdict not in JUDGED:
        return seen
    files = chosen_files(comparison)
    if files is None:
        return seen
    counts = {**seen.counts, "modules": len(files)}
    said = f"{seen.summary} ({_part(comparison, files)})"
    return seen.model_copy(update={"summary": said, "counts": counts})


def _part(comparison: Comparison, files: Sequence[str]) -> str:
    """Which part of the suite was run, and who chose it."""
    policy = comparison.policy
    if policy.suite == "whole" and not policy.within:
        return f"the suite is too large: {len(files)} modules that the change concerns"
    there = len(modules(comparison, comparison.head.bench.tree))
    whole = len(tests_of(comparison.head.bench.tree))
    left = f", which leaves {whole - there} out" if whole > there else ""
    if len(files) < there:
        return (
            f"by the policy {len(files)} of {there} modules, those that the change concerns{left}"
        )
    return f"by the policy all of {there} modules{left}"


def _below(comparison: Comparison, seen: GateEvidence) -> GateEvidence:
    """Too little coverage speaks against a change that had enough of it before."""
    suite = base_suite(comparison)
    before = tally(suite)
    share = next((one.value for one in before.measurements if one.name == "coverage"), None)
    if share is None or suite.least is None or share >= suite.least:
        return seen
    said = f"{seen.summary}, as it is on the base ({share} %)"
    return seen.model_copy(update={"verdict": Verdict.PASS, "summary": said})


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


def _against(
    comparison: Comparison, seen: GateEvidence, found: Sequence[Finding]
) -> GateEvidence:  # fmt: skip
    """What fails on the base too does not count; a base without a verdict excuses nothing."""
    known = _failing(comparison)
    excused = _quarantined(comparison)
    fresh = [one for one in found if _node(one) not in known and _node(one) not in excused]
    if fresh and len(fresh) <= MANY:
        known |= failing_on_base(comparison, frozenset(map(_node, fresh)))
        fresh = [one for one in fresh if _node(one) not in known]
    counts = {
        **seen.counts,
        "known": sum(_node(one) in known for one in found),
        "quarantined": sum(_node(one) in excused for one in found),
        "new": len(fresh),
    }
    seen = seen.model_copy(update={"counts": counts})
    if fresh:
        return _classified(comparison, seen, fresh)
    said = f"{seen.examined} tests, {counts['known']} fail on the base as well"
    said += f", {counts['quarantined']} are in quarantine" if counts["quarantined"] else ""
    return seen.model_copy(update={"verdict": Verdict.PASS, "summary": said, "findings": []})


def _failing(comparison: Comparison) -> frozenset[str]:
    try:
        before = tally(base_suite(comparison))
    except (Doubt, UnreadableReportError):
        return frozenset()
    return frozenset(_node(one) for one in before.findings)


def _node(finding: Finding) -> str:
    """The test or file as pytest names it."""
    return shlex.split(finding.reproduce or "-")[-1]


def _quarantined(comparison: Comparison) -> frozenset[str]:
    return frozenset(one.test for one in comparison.policy.quarantine if one.expires >= today())


# -- flaky tests ------------------------------------------------------------------------------


def _classified(
    comparison: Comparison, seen: GateEvidence, fresh: Sequence[Finding]
) -> GateEvidence:
    """The failures once more, alone: one that then passes is reported as flaky, and still counts."""
    nodes = [_node(one) for one in fresh]
    seen = seen.model_copy(update={"findings": list(fresh[:FINDINGS])})
    if all(_MISSING.search(one.message) for one in fresh):
        said = f"{len(fresh)} tests need a service that is not here: {fresh[0].message}"
        update = {"verdict": Verdict.ERROR, "summary": said, "category": Category.DEPENDENCY.value}
        return seen.model_copy(update=update)
    if len(nodes) > MANY or not all("::" in one for one in nodes):
        return seen
    failures = Counter(nodes)
    for _ in range(AGAIN):
        again = run(
            comparison, comparison.head.commit, None, only=frozenset(nodes),
            bench=comparison.candidate(comparison.head), say="failed tests once more",
        )  # fmt: skip
        bad = frozenset(nodes) - again.passed
        failures.update(bad)
        if len(bad) == len(nodes):
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


def _whole(comparison: Comparison) -> GateEvidence:
    return _scoped(comparison, _judge(comparison))


RULE = Rule(_select, _whole)
