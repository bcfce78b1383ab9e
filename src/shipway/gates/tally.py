"""A run of the tests as findings, counts and measurements; or the reason why it counts for nothing."""

from __future__ import annotations

from shipway.contracts.evidence import Finding, GateEvidence, Measurement
from shipway.domain.gates import Verdict
from shipway.errors import Category
from shipway.gates.bench import Bench
from shipway.gates.look import Doubt, Record, check_ended, evidence
from shipway.gates.parsers import coverage
from shipway.gates.parsers.reading import Reading, short
from shipway.gates.suite import ERROR, FAILED, PASSED, SKIPPED, XFAILED, XPASSED, Suite

# pytest: 0 all passed, 1 some failed, 5 nothing collected.
ENDS = frozenset({0, 1, 5})
NOTHING = 5


def tally(suite: Suite) -> Reading:
    """What the run says; raises Doubt for one that broke off, ran nothing, or contradicts itself."""
    _believed(suite)
    failed, errors = suite.having(FAILED) | suite.made_up, suite.having(ERROR)
    broken = len(suite.broken)
    passed = len(suite.having(PASSED, XPASSED) - suite.made_up)
    skipped = len(suite.having(SKIPPED, XFAILED)) + len(suite.passed_over)
    counts = {
        "collected": len(suite.outcomes), "passed": passed, "failed": len(failed),
        "errors": len(errors) + broken, "skipped": skipped,
    }  # fmt: skip
    found = [_finding(suite, node) for node in sorted(failed | errors)]
    found += [_broken(place, said) for place, said in sorted(suite.broken.items())]
    return Reading(passed + len(failed) + len(errors) + broken, found, counts, _measured(suite))


def _believed(suite: Suite) -> None:
    finished = suite.finished
    during = f" while {suite.hung} was running" if suite.hung else ""
    if finished is not None and (not suite.whole or finished.truncated):
        try:
            check_ended(finished, ENDS)
        except Doubt as doubt:
            more = "; `thresholds: {seconds: N}` in the base's policy allows more"
            said = f"{doubt.reason}{during}{more if finished.timed_out else ''}"
            raise Doubt(said, doubt.category) from None
    if not suite.whole:
        raise Doubt(f"{suite.why}{during}")
    if suite.exit_code not in ENDS:
        raise Doubt(f"pytest ended with exit code {suite.exit_code}", Category.PERMANENT)
    if suite.exit_code == NOTHING and not suite.outcomes:
        raise Doubt("no test was collected")
    if suite.unrun:
        first = min(suite.unrun)
        raise Doubt(f"{len(suite.unrun)} tests were collected and not run, such as {first}")
    bad = bool(suite.having(FAILED, ERROR) or suite.broken)
    if suite.exit_code != NOTHING and (suite.exit_code == 0) == bad:
        raise Doubt("its exit code and what became of the tests do not agree")


def _finding(suite: Suite, node: str) -> Finding:
    forced = node in suite.made_up
    said = "its call did not do what is reported of it" if forced else suite.messages.get(node, "")
    rule = "test-error" if suite.outcomes[node] == ERROR else "test-failed"
    line = suite.lines.get(node)
    return Finding(
        rule="outcome-forced" if forced else rule,
        message=short(f"{node}: {said or 'no message'}"),
        path=node.split("::", maxsplit=1)[0],
        line=line,
        reproduce=command(node),
    )


def command(node: str) -> str:
    """The one command that runs a test again."""
    return "python -m pytest '" + node.replace("'", "'\\''") + "'"


def _broken(place: str, said: str) -> Finding:
    return Finding(
        rule="test-error",
        message=short(f"{place or 'the tests'}: {said or 'it does not load'}"),
        path=place or None,
        reproduce=f"python -m pytest {place}".strip(),
    )


def _measured(suite: Suite) -> list[Measurement]:
    if suite.coverage is None:
        return []
    return coverage.read(suite.coverage, suite.least or None)


def decide(bench: Bench, record: Record, reading: Reading) -> GateEvidence:
    """The verdict on what a run of tests said."""
    bad = reading.counts["failed"] + reading.counts.get("errors", 0)
    if reading.examined == 0:
        return evidence(bench, record, Verdict.ERROR, f"{record.tool}: no test was run", reading)
    lacking = f", without {', '.join(bench.without)}, which cannot be had" if bench.without else ""
    covered = next((one for one in reading.measurements if one.name == "coverage"), None)
    said = f"{reading.examined} tests" + (f", coverage {covered.value} %" if covered else "")
    if bad:
        first = f"; first: {reading.findings[0].message}" if reading.findings else ""
        return evidence(
            bench, record, Verdict.FAIL, f"{bad} of {said} failed{lacking}{first}", reading
        )
    if covered and covered.threshold is not None and covered.value < covered.threshold:
        below = f"coverage {covered.value} % is below the project's own {covered.threshold} %"
        said = f"{reading.examined} tests passed, but {below}"
        return evidence(bench, record, Verdict.FAIL, said, reading)
    skipped = reading.counts.get("skipped", 0)
    said = f"{said} passed" + (f", {skipped} skipped" if skipped else "") + lacking
    return evidence(bench, record, Verdict.PASS, said, reading)
