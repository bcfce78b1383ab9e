"""What a stage's gates say about its result: anything but a sound PASS of each is a failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipway.domain.gates import Enforcement, Judgement, Selection, Verdict, passes, sound
from shipway.domain.pipeline import Stage
from shipway.errors import GateError


def gate_error(stage: Stage, result: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """None if the result shows what the stage's gates ask for, else why it does not."""
    if not stage.gates:
        return None
    try:
        report = (result or {})["report"]
        selections = [
            Selection(
                one["gate"], one["selected"], one["reason"], _ENFORCEMENTS[one["enforcement"]]
            )
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
    except (KeyError, TypeError, ValueError):
        return _error(f"{stage.id} brought no readable report of its gates")
    said = {one.gate for one in selections}
    if not said.issuperset(stage.gates):
        missing = sorted(set(stage.gates) - said)
        return _error(f"nothing was said about: {', '.join(missing)}")
    if passes(selections, judgements):
        return None
    return _error(_summary(judgements))


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
