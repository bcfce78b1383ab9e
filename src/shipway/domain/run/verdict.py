"""What a stage's gates say about its result: a sound PASS of each, a failure, or a person's business."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipway.domain.gates import Enforcement, Judgement, Selection, Verdict, passes, sound
from shipway.domain.pipeline import Stage, digest
from shipway.domain.run.state import AskState
from shipway.errors import GateError

#: How long a person has to say whether what a gate found is meant; nobody's answer is a no.
DOUBT_LIMIT_S = 7 * 86400.0
APPROVE, REJECT = "approve", "reject"


def gate_error(stage: Stage, result: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """None if the result shows what the stage's gates ask for, else why it does not."""
    if not stage.gates:
        return None
    try:
        selections, judgements = _read(result)
    except (KeyError, TypeError, ValueError):
        return _error(f"{stage.id} brought no readable report of its gates")
    said = {one.gate for one in selections}
    if not said.issuperset(stage.gates):
        missing = sorted(set(stage.gates) - said)
        return _error(f"nothing was said about: {', '.join(missing)}")
    if passes(selections, judgements):
        return None
    return _error(_summary(judgements))


def _read(result: Mapping[str, Any] | None) -> tuple[list[Selection], list[Judgement]]:
    """What the report of a result says; raises KeyError, TypeError or ValueError if it is none."""
    report = (result or {})["report"]
    selections = [
        Selection(one["gate"], one["selected"], one["reason"], _ENFORCEMENTS[one["enforcement"]])
        for one in report["selections"]
    ]
    judgements = [
        Judgement(
            one["gate"],
            _VERDICTS[one["verdict"]],
            one["examined"],
            one["summary"],
            _ENFORCEMENTS[one["enforcement"]],
        )
        for one in report["evidence"]
    ]
    return selections, judgements


def doubts(stage: Stage, result: Mapping[str, Any] | None, now: float) -> tuple[AskState, ...]:
    """What a person has to decide where the gates alone cannot; nothing if they pass or fail.

    A gate that found something which may be meant says so with its question. When nothing else
    stands against the result, each is asked about, bound to the tree and to what was found: for
    another tree, or another finding, it is asked again. A gate that could not judge is no doubt.
    """
    if gate_error(stage, result) is None:
        return ()
    try:
        selections, judgements = _read(result)
        asking = [one for one in (result or {})["report"]["evidence"] if _asks(one)]
    except (KeyError, TypeError, ValueError):
        return ()
    told = {one["gate"] for one in asking}
    said = {one.gate for one in selections}
    # As if a person had already said that what these found is meant.
    excused = [
        one._replace(verdict=Verdict.PASS, examined=max(1, one.examined))
        if one.gate in told
        else one
        for one in judgements
    ]
    if not asking or not said.issuperset(stage.gates) or not passes(selections, excused):
        return ()
    return tuple(_doubt(stage, one, now) for one in asking)


def _asks(evidence: Mapping[str, Any]) -> bool:
    return (
        evidence["verdict"] == Verdict.FAIL
        and evidence["enforcement"] == Enforcement.REQUIRED
        and bool(evidence.get("ask"))
    )


def _doubt(stage: Stage, evidence: Mapping[str, Any], now: float) -> AskState:
    gate = evidence["gate"]
    found = sorted(
        f"{one['rule']}\0{one.get('path')}\0{one['message']}"
        for one in evidence.get("findings", ())
    )
    return AskState(
        id=f"{stage.id}-{gate}",
        kind="decision",
        question=evidence["ask"],
        options=(APPROVE, REJECT),
        default=REJECT,
        deadline=now + DOUBT_LIMIT_S,
        why=f"gate {gate}: {evidence['summary']}",
        subject=digest([stage.id, gate, evidence["tree"], evidence["ask"], found]),
        accept=APPROVE,
    )


def overruled(asks: tuple[AskState, ...], made: tuple[AskState, ...]) -> bool:
    """Whether a person has approved each of ``asks`` before, for exactly what it is about."""
    approved = {(one.id, one.subject) for one in made if one.choice == APPROVE}
    return bool(asks) and all((one.id, one.subject) in approved for one in asks)


def _summary(judgements: list[Judgement]) -> str:
    sounded = [sound(one) for one in judgements if one.enforcement is Enforcement.REQUIRED]
    bad = [one for one in sounded if one.verdict is not Verdict.PASS]
    if not bad:
        return "no required gate gave evidence"
    return "; ".join(f"{one.gate} {one.verdict}: {one.summary}" for one in bad)


def _error(message: str) -> dict[str, Any]:
    return GateError(message, hint="see the gate's evidence in the report").report()


# By their words: to call an enum costs more than all else that is done here.
_VERDICTS = {one.value: one for one in Verdict}
_ENFORCEMENTS = {one.value: one for one in Enforcement}
