"""From verdicts to what becomes of the change: accepted, rejected, or a person has to decide."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from shipway.check.waivers import digest
from shipway.contracts.check import Decision, Outcome
from shipway.contracts.evidence import GateEvidence, GateSelection
from shipway.domain.gates import Enforcement, Judgement, Verdict, passes, sound

POLICY = "the base's .shipway/policy.yaml"


def decide(
    selections: Sequence[GateSelection],
    evidence: Sequence[GateEvidence],
    waived: Collection[str] = (),
) -> tuple[Outcome, str, list[Decision]]:
    """The outcome, one sentence for it, and what a person would have to decide.

    Only PASS passes, or a FAIL of a gate in ``waived``. What cannot be judged goes to a person,
    and so does a change that no required gate looked at.
    """
    required = [one for one in evidence if one.enforcement is Enforcement.REQUIRED]
    bad = [one for one in required if one.gate not in waived and not passed(one)]
    against = [one for one in bad if one.verdict is Verdict.FAIL and one.ask is None]
    decisions = list(_decisions([one for one in bad if one not in against]))
    if against:
        others = f" and {len(against) - 1} more" if len(against) > 1 else ""
        summary = f"{against[0].gate}{others} failed: {against[0].summary}"
        return Outcome.REJECTED, summary, decisions
    if bad:
        names = ", ".join(one.gate for one in bad)
        return Outcome.PERSON, f"gates alone cannot decide: {names}", decisions
    if not passes(
        (one.selection() for one in selections), (_judgement(one, waived) for one in evidence)
    ):
        return Outcome.PERSON, "no required gate judged this change", [_unjudged(selections)]
    excused = f", {len(waived)} waived" if waived else ""
    return Outcome.ACCEPTED, f"{_count(len(required))} passed{excused}", decisions


def _count(number: int) -> str:
    return f"{number} required gate{'' if number == 1 else 's'}"


def passed(one: GateEvidence) -> bool:
    """Whether the verdict is a pass with something examined."""
    return sound(one.judgement()).verdict is Verdict.PASS


def _judgement(one: GateEvidence, waived: Collection[str]) -> Judgement:
    if one.gate not in waived:
        return one.judgement()
    return Judgement(one.gate, Verdict.PASS, max(one.examined, 1), one.summary, one.enforcement)


def _decisions(undecided: Sequence[GateEvidence]) -> Iterator[Decision]:
    """One for each question; gates that could not judge for one and the same reason share one."""
    told: set[str] = set()
    for one in undecided:
        if one.ask is not None:
            yield _asked(one, one.ask)
        elif one.gate not in told:
            alike = [
                other for other in undecided
                if other.ask is None and other.verdict is one.verdict
                and other.summary.endswith(one.summary)
            ]  # fmt: skip
            names = [other.gate for other in alike]
            told.update(names)
            yield _unable(one, names)


def _asked(one: GateEvidence, question: str) -> Decision:
    waiver = f"gate: {one.gate}, digest: {digest(one)}, approver, reason, expires"
    return Decision(
        gate=one.gate,
        question=question,
        how=[
            "if it is not meant: change it and check again",
            f"if it is: merge it by hand, or write a waiver into {POLICY} ({waiver})",
        ],
    )


def _unable(one: GateEvidence, names: Sequence[str]) -> Decision:
    listed = ", ".join(names)
    then = "it only informs" if len(names) == 1 else "they only inform"
    return Decision(
        gate=one.gate,
        question=f"{listed} could not judge ({one.verdict.value}): {one.summary}",
        how=[
            "mend the reason and check again",
            f"or write `advisory: [{listed}]` into {POLICY}, so that {then}",
        ],
    )


def _unjudged(selections: Sequence[GateSelection]) -> Decision:
    reasons = "; ".join(f"{one.gate}: {one.reason}" for one in selections if not one.selected)
    return Decision(
        gate="policy",
        question=f"no required gate applies ({reasons}); is the change good?",
        how=[f"name commands that judge it in {POLICY}, under `commands:`"],
    )
