"""Gate ``mutants``: whether the tests notice small faults in the lines that were changed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from shipway.contracts.evidence import Finding, GateEvidence, Measurement
from shipway.domain.gates import Verdict
from shipway.gates.cases import read
from shipway.gates.comparison import Comparison
from shipway.gates.coverage import Lines, covered, touched
from shipway.gates.coverage import select as has_code
from shipway.gates.gate import Rule
from shipway.gates.look import Doubt, Record, evidence
from shipway.gates.mutants.mutate import Mutant, mutants, spread
from shipway.gates.parsers.reading import Reading, UnreadableReportError
from shipway.gates.suite import Suite, describe, head_suite, run_suite
from shipway.gates.trees import parts

# Seconds: for one mutant at least, as a multiple of what its tests take, and for all together.
LEAST, TIMES, ALL = 15.0, 4.0, 240.0
WHOLE_SUITE = 15.0


@dataclass(slots=True)
class Score:
    """What became of the mutants; ``left`` are those that there was no time for."""

    killed: int = 0
    survived: list[Mutant] = field(default_factory=list)
    unreached: list[Mutant] = field(default_factory=list)
    left: int = 0

    @property
    def tried(self) -> int:
        return self.killed + len(self.survived) + len(self.unreached)

    @property
    def share(self) -> float:
        return round(100.0 * self.killed / self.tried, 2) if self.tried else 0.0


def select(comparison: Comparison) -> tuple[bool, str]:
    """Whether code changed that could hold a fault."""
    selected, reason = has_code(comparison)
    return selected, reason


def judge(comparison: Comparison) -> GateEvidence:
    """Plant one fault after the other, bounded in number and time, and run the tests."""
    record = Record("mutants", "shipway")
    head = head_suite(comparison)
    describe(record, head, "shipway")
    if not head.whole or not head.passed:
        raise Doubt("the head's own tests do not pass, so no fault could be noticed")
    most = int(comparison.policy.threshold("mutants"))
    all_ = _planted(comparison)
    chosen = spread(all_, most)
    score = _score(comparison, head, chosen)
    return _told(comparison, record, score, len(all_))


def _planted(comparison: Comparison) -> list[Mutant]:
    tree = comparison.head.bench.tree
    return [
        mutant
        for path, lines in touched(comparison).items()
        for mutant in mutants(path, read(tree, path), lines)
    ]


def _score(comparison: Comparison, head: Suite, chosen: list[Mutant]) -> Score:
    """Mutants on lines that no test runs survive without being tried."""
    missed = {(one.path, line) for one in _lines(comparison, head) for line in one.missed}
    score = Score()
    ends = time.monotonic() + min(ALL, comparison.policy.threshold("seconds"))
    for mutant in chosen:
        if (mutant.path, mutant.line) in missed:
            score.unreached.append(mutant)
        elif time.monotonic() > ends or comparison.cancel.is_set():
            score.left += 1
        elif any(_noticed(head, suite) for suite in _runs(comparison, head, mutant)):
            score.killed += 1
        else:
            score.survived.append(mutant)
    return score


def _lines(comparison: Comparison, head: Suite) -> list[Lines]:
    return covered(comparison, head) if head.coverage is not None else []


def _runs(comparison: Comparison, head: Suite, mutant: Mutant) -> Iterator[Suite]:
    """The change's own tests first, then all of them when they are quick.

    Each mutant has a checkout of its own, written before anything runs there: what tests leave
    behind, links among it, is never written through.
    """
    bench = comparison.fresh(comparison.candidate(comparison.head), comparison.head.commit)
    target = bench.tree / mutant.path
    target.write_bytes(mutant.apply(target.read_bytes()))
    seconds = max(LEAST, TIMES * head.seconds)
    own = tuple(one.path for one in parts(comparison).tests if not one.is_gone)
    quick = head.seconds <= WHOLE_SUITE
    try:
        for files in (*([own] if own else []), *([None] if quick or not own else [])):
            place = replace(comparison.apart(bench), say=_quiet)
            yield run_suite(place, files=files, seconds=seconds, stop=1, say=str(mutant))
    except UnreadableReportError:
        yield Suite({}, whole=False)
    finally:
        shutil.rmtree(bench.tree.parent, ignore_errors=True)


def _quiet(_line: str) -> None:
    """Forty mutants are forty lines that nobody reads."""


def _noticed(head: Suite, suite: Suite) -> bool:
    """A test that passed on the head no longer does, or the run does not come to its end."""
    if not suite.whole or suite.broken.keys() - head.broken.keys():
        return True
    return bool(head.passed & suite.having("failed", "error"))


def _told(comparison: Comparison, record: Record, score: Score, planted: int) -> GateEvidence:
    least = comparison.policy.threshold("mutation")
    reading = Reading(
        examined=score.tried,
        findings=[_finding(one, "a fault here is noticed by no test") for one in score.survived]
        + [_finding(one, "no test runs this line") for one in score.unreached],
        counts={
            "planted": planted, "tried": score.tried, "killed": score.killed,
            "survived": len(score.survived), "unreached": len(score.unreached), "left": score.left,
        },
        measurements=[
            Measurement(name="mutation", value=score.share, unit="% killed", threshold=least)
        ],
    )  # fmt: skip
    bench = comparison.head.bench
    if not score.tried:
        said = (
            "no fault could be planted in the changed lines" if not planted else "no time for any"
        )
        return evidence(bench, record, Verdict.NOT_RUN, said, reading)
    verdict = Verdict.PASS if score.share >= least else Verdict.FAIL
    left = f", {score.left} not tried for want of time" if score.left else ""
    of = f" of {planted}" if planted > score.tried else ""
    said = f"{score.killed} of {score.tried} mutants killed ({score.share} %, at least {least:g} %)"
    return evidence(bench, record, verdict, f"{said}, {score.tried}{of} planted{left}", reading)


def _finding(mutant: Mutant, said: str) -> Finding:
    return Finding(
        rule=f"mutant-{mutant.kind}", message=f"{said}: {mutant}", path=mutant.path,
        line=mutant.line, severity="warning",
    )  # fmt: skip


RULE = Rule(select, judge)
