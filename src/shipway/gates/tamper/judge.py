"""Gate ``tamper``: what the base's tests say of the head's source, and how the two trees' tests differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from shipway.contracts.evidence import GateEvidence
from shipway.domain.gates import Verdict
from shipway.gates import whole
from shipway.gates.cases import plain
from shipway.gates.comparison import Comparison
from shipway.gates.gate import Rule
from shipway.gates.look import Doubt, Record, evidence
from shipway.gates.parsers.reading import Reading, UnreadableReportError
from shipway.gates.suite import asking, describe
from shipway.gates.tamper.golden import golden
from shipway.gates.tamper.hooks import hooks
from shipway.gates.tamper.measured import Measured, measure
from shipway.gates.tamper.outcomes import gone, lost
from shipway.gates.tamper.relaxed import relaxed
from shipway.gates.tamper.suppressions import suppressions
from shipway.gates.tamper.trick import Level, Trick
from shipway.gates.tamper.unheard import stand_ins, unheard
from shipway.gates.tamper.weakened import weakened

READ_ONLY: tuple[Callable[[Comparison], Iterable[Trick]], ...] = (hooks, relaxed, suppressions)
ASKED = 3


def select(comparison: Comparison) -> tuple[bool, str]:
    """Every change may tamper; what cannot be run is at least read."""
    if not comparison.changes:
        return False, "nothing changed"
    return True, "a change may not decide how it is judged"


def judge(comparison: Comparison) -> GateEvidence:
    """Run the base's tests on the head's source, compare the trees, and weigh what is found."""
    bench = comparison.head.bench
    record = Record("tamper", "shipway")
    record.inputs["base"] = comparison.base.tree
    tricks = [trick for look in READ_ONLY for trick in look(comparison)]
    counts = {"files": len(comparison.changes), "tests": 0, "on the base": 0}
    doubt: Doubt | UnreadableReportError | None = None
    if not comparison.policy.no_tests:
        try:
            if bench.project.stack != "python":
                tricks += whole.tricks(comparison) if bench.project.test else ()
            else:
                seen = measure(comparison)
                tricks += _measured(comparison, seen)
                counts |= _told(record, seen)
        except (Doubt, UnreadableReportError) as error:
            doubt = error
    return _weigh(comparison, record, tricks, counts, doubt)


def _measured(comparison: Comparison, seen: Measured) -> Iterator[Trick]:
    """What the runs show, worst first; a run that was cut short says nothing else."""
    if seen.tricks:
        yield from seen.tricks
        return
    yield from lost(comparison, seen)
    yield from gone(comparison, seen)
    yield from unheard(comparison, seen)
    yield from stand_ins(comparison, seen)
    yield from weakened(seen)
    yield from golden(comparison, seen)
    yield from _forced(seen)


def _forced(seen: Measured) -> Iterator[Trick]:
    """Outcomes on the head that are not what the test did, where the base's were."""
    for node in sorted(seen.forced):
        said = f"{node}: what is reported of it is not what its call did"
        yield Trick(Level.REJECT, "outcome-forced", said, plain(node).split("::", maxsplit=1)[0])


def _told(record: Record, seen: Measured) -> dict[str, int]:
    """The counts, and the run that the evidence shows."""
    describe(record, seen.old)
    record.outputs |= {"head": seen.head.digest, "old tests": seen.old.digest}
    if seen.base is not None:
        record.outputs["base"] = seen.base.digest
    ran = seen.old.ran if seen.old is seen.head else seen.old.ran + seen.head.ran
    return {"tests": ran, "on the base": seen.base.ran if seen.base else 0}


def _weigh(
    comparison: Comparison, record: Record, tricks: list[Trick], counts: dict[str, int],
    doubt: Doubt | UnreadableReportError | None,
) -> GateEvidence:  # fmt: skip
    """A clear trick rejects, what only looks like one is a person's, the rest is told."""
    bench = comparison.head.bench
    tricks.sort(key=lambda one: (-one.level, one.rule, one.path, one.line or 0))
    by_level = {level: [one for one in tricks if one.level is level] for level in Level}
    counts |= {
        "tricks": len(by_level[Level.REJECT]),
        "to decide": len(by_level[Level.ASK]),
        "routine": len(by_level[Level.NOTE]),
    }
    reading = Reading(
        examined=counts["files"] + counts["tests"],
        findings=[one.finding() for one in tricks],
        counts=counts,
    )
    if by_level[Level.REJECT]:
        said = _summary(by_level[Level.REJECT], "trick")
        return evidence(bench, record, Verdict.FAIL, said, reading)
    if doubt is not None:
        category = doubt.category if isinstance(doubt, Doubt) else None
        said = f"the base's tests could not be run on the head's source: {doubt}"
        return evidence(bench, record, Verdict.ERROR, said, reading, category)
    if by_level[Level.ASK]:
        asked = by_level[Level.ASK]
        said = _summary(asked, "thing for a person to decide")
        return asking(evidence(bench, record, Verdict.FAIL, said, reading), _question(asked))
    ran = f"{counts['tests']} tests run, " if counts["tests"] else ""
    said = f"{ran}{counts['files']} changed files compared, nothing was tampered with"
    return evidence(bench, record, Verdict.PASS, said, reading)


def _summary(tricks: list[Trick], noun: str) -> str:
    first = tricks[0]
    where = f"{first.path}:{first.line}" if first.line else first.path
    many = noun.replace("thing", "things") if "thing" in noun else f"{noun}s"
    return f"{len(tricks)} {noun if len(tricks) == 1 else many}; first: {where} {first.message}"


def _question(tricks: list[Trick]) -> str:
    told = "; ".join(one.message for one in tricks[:ASKED])
    more = f"; and {len(tricks) - ASKED} more" if len(tricks) > ASKED else ""
    return f"Is this meant, and right? {told}{more}"


RULE = Rule(select, judge)
