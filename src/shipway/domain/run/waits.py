"""What a run waits for, each with its reason and its deadline: nothing is ever just stuck."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shipway.domain.run.state import PAUSE_LIMIT_S, RunState, StageState
from shipway.domain.states import RunStatus, StageStatus


class WaitKind(StrEnum):
    """Everything that a run can wait for."""

    BEGIN = "room to begin"
    RESUME = "to be resumed"
    PERSON = "a person"
    RETRY = "its next attempt"
    TURN = "its turn in the run"
    LINE = "somebody who takes it up"
    ROOM = "room"
    WORKER = "a worker"
    AGENT = "its agent"


@dataclass(frozen=True, slots=True)
class Wait:
    """``until`` is when the wait ends by itself, in seconds since the epoch."""

    kind: WaitKind
    stage: str | None
    reason: str
    until: float


def waits(state: RunState) -> list[Wait]:
    """What has to happen for the run to go on; empty when it has ended.

    Stages that wait for other stages are not told: they wait for what these wait for.
    """
    if state.status.is_final:
        return []
    if state.status is RunStatus.QUEUED:
        return [Wait(WaitKind.BEGIN, None, state.reason or "", state.deadline)]
    found = [
        wait
        for name, stage in state.stages.items()
        if (wait := _of_stage(state, name, stage)) is not None
    ]
    if state.paused and state.rested_at is not None:
        until = state.rested_at + PAUSE_LIMIT_S
        found.insert(0, Wait(WaitKind.RESUME, None, state.reason or "it is paused", until))
    return found


def _of_stage(state: RunState, name: str, stage: StageState) -> Wait | None:
    if stage.due is not None:
        kind, reason = _timed(stage)
        return Wait(kind, name, reason, stage.due)
    if stage.status is StageStatus.READY and not state.paused:
        limit = state.pipeline.parallelism
        reason = f"{limit} stages of the run work at once"
        return Wait(WaitKind.TURN, name, reason, state.deadline)
    return None


def _timed(stage: StageState) -> tuple[WaitKind, str]:
    if stage.open_asks and not stage.unserved:
        return WaitKind.PERSON, ", ".join(ask.id for ask in stage.open_asks)
    if stage.unserved:
        return WaitKind.WORKER, stage.reason or ""
    if stage.held:
        return WaitKind.ROOM, stage.reason or ""
    if stage.status is StageStatus.QUEUED:
        return WaitKind.LINE, f"attempt {stage.attempt} is ordered"
    if stage.status is StageStatus.RUNNING:
        return WaitKind.AGENT, f"attempt {stage.attempt} works"
    return WaitKind.RETRY, f"attempt {stage.attempt} failed: {stage.reason or ''}"
