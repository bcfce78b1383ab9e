"""Tests of other stacks, whose single outcomes nobody knows: a run of all of them, tree by tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shipway.contracts.evidence import GateEvidence, Measurement
from shipway.domain.gates import Verdict
from shipway.domain.states import Claim
from shipway.gates.comparison import Comparison
from shipway.gates.look import Doubt, Record, evidence
from shipway.gates.parsers.reading import Reading
from shipway.gates.runners import tests
from shipway.gates.tamper.trick import Level, Trick
from shipway.gates.trees import parts, with_old_tests, without_cause

KEEPING = frozenset({Claim.REFACTOR, Claim.CHORE})


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the test command. ``tests`` is 0 where it failed before it said a number."""

    tests: int
    failed: int
    record: Record
    why: str

    @property
    def good(self) -> bool:
        return self.tests > 0 and not self.failed

    def __str__(self) -> str:
        return f"{self.failed} of {self.tests} tests fail" if self.tests else self.why


def run(comparison: Comparison, name: str, commit: str) -> Run:
    """The base's command on a tree, made once; raises Doubt where it says nothing either way."""
    return comparison.once(f"command:{name}", lambda: _run(comparison, name, commit))


def _run(comparison: Comparison, name: str, commit: str) -> Run:
    record = Record("tests", "test command")
    bench = comparison.ready(comparison.fresh(comparison.head.bench, commit))
    bench.say(f"running {name}")
    try:
        reading = tests.command(bench, record)
    except Doubt as doubt:
        finished = record.finished
        ended = finished is not None and finished.exit_code in range(1, 126)
        if finished is None or not ended or finished.timed_out or finished.exceeded:
            raise
        return Run(0, 0, record, f"{doubt.reason} ({finished.why()})")
    why = "" if reading.examined else "it says that no test ran"
    return Run(reading.examined, reading.counts["failed"], record, why)


def head(comparison: Comparison) -> Run:
    return run(comparison, "the head's tests", comparison.head.commit)


def base(comparison: Comparison) -> Run:
    return run(comparison, "the base's tests", comparison.base.commit)


def old(comparison: Comparison) -> Run:
    """The base's tests, run as the base runs them, on the head's source."""
    return run(comparison, "the base's tests on the head's source", with_old_tests(comparison))


def red(comparison: Comparison) -> Run:
    """The head's tests where the change to the source is taken back."""
    what = "the head's tests without the change to the source"
    return run(comparison, what, without_cause(comparison))


# -- tamper -----------------------------------------------------------------------------------


def tricks(comparison: Comparison) -> Iterator[Trick]:
    """What the runs show of a change to tests, or to how they are run."""
    known = parts(comparison)
    mine, theirs = head(comparison), base(comparison)
    if not mine.good or not theirs.good:
        return  # the gate ``tests`` has its say
    place = next((one.path for one in (*known.testing, *known.runner)), ".")
    if known.testing or known.runner:
        before = old(comparison)
        if not before.good:
            yield _lost(comparison, before, place)
        elif known.runner:
            said = "how tests are run was changed; as the base runs them they pass as well"
            yield Trick(Level.NOTE, "runner-changed", said, known.runner[0].path)
    if mine.tests < theirs.tests:
        said = f"{theirs.tests} tests ran on the base, and {mine.tests} run on the head"
        yield Trick(Level.ASK, "fewer-tests", said, place)


def _lost(comparison: Comparison, before: Run, place: str) -> Trick:
    """The base's tests fail on the head's source, and the head's do not."""
    known = parts(comparison)
    said = f"the base's tests fail on the head's source ({before})"
    if not known.testing:
        level = Level.REJECT if before.tests else Level.ASK
        why = f"{said}, and pass only as the head runs them"
        return Trick(level, "runner-changed", why, place)
    if known.cause and red(comparison).good:
        why = f"{said}, and the head's pass with the change and without it"
        return Trick(Level.REJECT, "expectation-replaced", why, place)
    if comparison.claim in KEEPING:
        why = f"a {comparison.claim.value} keeps behaviour, but {said}"
        return Trick(Level.ASK, "expectation-changed", why, place)
    return Trick(Level.NOTE, "expectation-changed", f"{said}; the change explains it", place)


# -- proof ------------------------------------------------------------------------------------


def prove(comparison: Comparison, record: Record, *, needed: bool) -> GateEvidence:
    """The head's tests fail without the change to the source, and pass with it."""
    mine = head(comparison)
    _describe(record, mine)
    bench = comparison.head.bench
    if not mine.tests and not mine.failed:
        raise Doubt(mine.why)  # whether that is the change's doing, the gate ``tests`` says
    if not mine.good:
        return evidence(
            bench, record, Verdict.FAIL, f"the head's tests: {mine}", Reading(mine.tests)
        )
    known = parts(comparison)
    other = base(comparison) if not known.testing or not known.cause else red(comparison)
    _describe(record, other)
    shown = not other.good
    reading = Reading(
        mine.tests, [], {"proving": int(shown), "run": mine.tests},
        [Measurement(name="runs that fail without the change", value=int(shown), unit="runs")],
    )  # fmt: skip
    if shown:
        said = f"{mine.tests} tests pass with the change; without it: {other}"
        return evidence(bench, record, Verdict.PASS, said, reading)
    claim = comparison.claim.value
    if not needed:
        said = f"no test depends on the change; a {claim} needs none"
        return evidence(bench, record, Verdict.PASS, said, reading)
    said = f"the {claim} is not proven: {other.tests} tests pass without the change too"
    found = evidence(bench, record, Verdict.FAIL, said, reading)
    ask = _question(comparison, mine, other)
    return found if ask is None else found.model_copy(update={"ask": ask})


def _question(comparison: Comparison, mine: Run, other: Run) -> str | None:
    if not parts(comparison).testing and mine.tests > other.tests:
        return (
            f"{mine.tests - other.tests} tests came in files that hold source too, and cannot be "
            "run without the change: do they fail without it?"
        )
    if comparison.claimed_by == "default":
        return (
            "nobody said what this change is, and no test depends on it: if it changes behaviour, "
            "it needs one; if it does not, say so with --claim refactor or a commit type"
        )
    return None


def _describe(record: Record, run_: Run) -> None:
    seen = run_.record
    record.tool, record.command, record.finished = seen.tool, seen.command, seen.finished
    record.reproduce = seen.reproduce


# -- tests ------------------------------------------------------------------------------------


def judge(comparison: Comparison) -> GateEvidence:
    """All tests of the head; where those of the base fail too, nobody can tell them apart."""
    mine = head(comparison)
    record, bench = mine.record, comparison.head.bench
    reading = Reading(mine.tests, [], {"tests": mine.tests, "failed": mine.failed})
    if mine.good:
        said = f"{mine.tests} tests passed"
        return evidence(bench, record, Verdict.PASS, said, reading)
    if not mine.tests and not mine.failed and not _compares(comparison):
        raise Doubt(mine.why)
    found = evidence(bench, record, Verdict.FAIL, str(mine), reading)
    theirs = base(comparison)
    if theirs.good:
        return found
    ask = f"on the base it is: {theirs}; here: {mine}. Does the change make it worse?"
    return found.model_copy(update={"ask": ask})


def _compares(comparison: Comparison) -> bool:
    """Whether the base's run says a number, so that one without any is the change's doing."""
    return base(comparison).good
