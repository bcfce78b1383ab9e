"""From verdicts to what becomes of the change: accepted, rejected, or a person has to decide."""

from __future__ import annotations

from collections.abc import Sequence

from shipway.contracts.check import Decision, Outcome
from shipway.contracts.evidence import GateEvidence, GateSelection
from shipway.domain.gates import Enforcement, Verdict, passes, sound


def decide(
    selections: Sequence[GateSelection], evidence: Sequence[GateEvidence]
) -> tuple[Outcome, str, list[Decision]]:
    """The outcome, one sentence for it, and what a person would have to decide.

    Only PASS passes: what cannot be judged goes to a person, and so does a change that no
    required gate looked at.
    """
    required = [one for one in evidence if one.enforcement is Enforcement.REQUIRED]
    against = [one for one in required if _verdict(one) is Verdict.FAIL and one.ask is None]
    open_ones = [
        one for one in required if _verdict(one) is not Verdict.PASS and one not in against
    ]
    decisions = [_decision(one) for one in open_ones]
    if against:
        others = f" and {len(against) - 1} more" if len(against) > 1 else ""
        return (
            Outcome.REJECTED,
            f"{against[0].gate}{others} failed: {against[0].summary}",
            decisions,
        )
    if open_ones:
        names = ", ".join(one.gate for one in open_ones)
        return Outcome.PERSON, f"not decided by gates alone: {names}", decisions
    if not passes((one.selection() for one in selections), (one.judgement() for one in evidence)):
        return Outcome.PERSON, "no required gate judged this change", [_unjudged(selections)]
    return Outcome.ACCEPTED, f"{len(required)} required gates passed", decisions


def _verdict(one: GateEvidence) -> Verdict:
    return sound(one.judgement()).verdict


def _decision(one: GateEvidence) -> Decision:
    if one.ask is not None:
        return Decision(
            gate=one.gate,
            question=one.ask,
            how=[
                "merge it if that is meant, after somebody other than the author has looked at it"
            ],
        )
    return Decision(
        gate=one.gate,
        question=f"{one.gate} could not judge ({one.verdict.value}): {one.summary}",
        how=[
            "mend the reason and check again",
            f"or say in the base's .shipway/policy.yaml that {one.gate} is advisory",
        ],
    )


def _unjudged(selections: Sequence[GateSelection]) -> Decision:
    reasons = "; ".join(f"{one.gate}: {one.reason}" for one in selections if not one.selected)
    return Decision(
        gate="policy",
        question=f"no required gate applies ({reasons}); is the change good?",
        how=["name commands that judge it in the base's .shipway/policy.yaml"],
    )
