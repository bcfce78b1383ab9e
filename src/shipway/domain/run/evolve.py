"""How an event changes the state of a run; replaying all of them gives the same state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from shipway.domain.pipeline import Pipeline
from shipway.domain.run import events as e
from shipway.domain.run.state import AskState, Filled, RunState, SentBack, StageState, changed
from shipway.domain.states import RunStatus, StageStatus
from shipway.errors import NoWorkerError

_UNTOUCHED = StageState()


def begin(
    run: str, pipeline: Pipeline, submission: Mapping[str, Any], event: e.RunSubmitted, at: float
) -> RunState:
    """The state right after submission."""
    return RunState(
        id=run,
        pipeline=pipeline,
        submission=submission,
        stages=dict.fromkeys((stage.id for stage in pipeline.stages), _UNTOUCHED),
        status=RunStatus.RUNNING if event.held is None else RunStatus.QUEUED,
        reason=event.held,
        seq=1,
        created_at=at,
        deadline=event.deadline,
    )


def replay(
    run: str,
    pipeline: Pipeline,
    submission: Mapping[str, Any],
    history: Iterable[tuple[float, e.Event]],
) -> RunState:
    """Rebuild a state from its whole history; raises ValueError if that does not begin properly."""
    past = iter(history)
    at, first = next(past, (0.0, None))
    if not isinstance(first, e.RunSubmitted):
        raise ValueError("the history does not begin with the submission")  # noqa: TRY004
    state = begin(run, pipeline, submission, first, at)
    for at, event in past:
        apply(state, event, at)
    return state


def evolve(state: RunState, event: e.Event, at: float) -> RunState:
    """The state after one more event, which happened ``at`` (seconds since the epoch)."""
    after = opened(state)
    apply(after, event, at)
    return after


def opened(state: RunState) -> RunState:
    """A copy to ``apply`` events to, for as long as nobody else has seen it."""
    return changed(state, stages=dict(state.stages))


def apply(state: RunState, event: e.Event, at: float) -> None:
    """Change a state in the making; what was taken from it before, such as a stage, stays as it was."""
    fields = vars(state)
    fields["seq"] += 1
    kind = type(event)
    of_stage = _OF_STAGE.get(kind)
    if of_stage is not None:
        name, stages = event.stage, fields["stages"]  # type: ignore[union-attr] # those have one
        stages[name] = of_stage(stages[name], event, at)
        if kind is e.StageQueued:
            fields["tokens"] = event.token  # type: ignore[union-attr] # it has one
    elif kind in _OF_RUN:
        fields.update(_OF_RUN[kind](state, event, at))
    else:
        raise ValueError(f"{kind.__name__} is no event of a run that has begun")


# Changes of the run: the fields that an event changes


def _nothing(_state: RunState, _event: e.Event, _at: float) -> dict[str, Any]:
    return {}


def _paused(_state: RunState, event: e.RunPaused, at: float) -> dict[str, Any]:
    return {"paused": True, "status": RunStatus.PAUSED, "reason": event.reason, "rested_at": at}


def _resumed(state: RunState, event: e.RunResumed, at: float) -> dict[str, Any]:
    return {**_awake(state, event, at), "paused": False}


def _rested(_state: RunState, event: e.RunRested, at: float) -> dict[str, Any]:
    return {"status": RunStatus.WAITING, "reason": event.reason, "rested_at": at}


def _ended(_state: RunState, event: e.RunEnded, at: float) -> dict[str, Any]:
    return {"status": event.status, "reason": event.reason, "ended_at": at, "rested_at": None}


def _awake(state: RunState, _event: e.Event, at: float) -> dict[str, Any]:
    """Running again; the time at rest is given back to the deadline."""
    rested = 0.0 if state.rested_at is None else max(0.0, at - state.rested_at)
    return {
        "status": RunStatus.RUNNING,
        "reason": None,
        "rested_at": None,
        "deadline": state.deadline + rested,
    }


def _admitted(_state: RunState, event: e.RunAdmitted, _at: float) -> dict[str, Any]:
    return {"status": RunStatus.RUNNING, "reason": None, "deadline": event.deadline}


def _sent_back(state: RunState, event: e.RunSentBack, _at: float) -> dict[str, Any]:
    """Open, perhaps again and with another submission; paused if it rested so."""
    paused = state.paused and not state.status.is_final
    changes = dict(event.changes)
    answers = {**state.answers, **changes.pop("answers", {})}
    return {
        "status": RunStatus.PAUSED if paused else RunStatus.RUNNING,
        "paused": paused,
        "reason": state.reason if paused else None,
        "rested_at": state.rested_at if paused else None,
        "ended_at": None,
        "deadline": event.deadline,
        "submission": {**state.submission, **changes} if changes else state.submission,
        "answers": answers,
    }


def _invalidated(state: RunState, event: e.StageInvalidated, _at: float) -> dict[str, Any]:
    back = SentBack(event.attempt, event.attempt, event.bound)
    return _redone(state, event, StageStatus.INVALIDATED, back)


def _reset(state: RunState, event: e.StageReset, _at: float) -> dict[str, Any]:
    before = state.sent_back.get(event.stage)
    back = SentBack(event.attempt, 0 if before is None else before.generation)
    return _redone(state, event, StageStatus.PENDING, back)


def _redone(
    state: RunState, event: e.StageInvalidated | e.StageReset, status: StageStatus, back: SentBack
) -> dict[str, Any]:
    anew = _anew(state.stages[event.stage])
    _put(state, event.stage, changed(anew, status=status, reason=event.reason))
    return {
        "sent_back": {**state.sent_back, event.stage: back},
        "filled": {one: who for one, who in state.filled.items() if one != event.stage},
    }


def _filled(state: RunState, event: e.SlotFilled, at: float) -> dict[str, Any]:
    """The next agent begins as if it were the first: with all its attempts."""
    stage, why = state.stages[event.stage], None
    failed: tuple[str, ...] = ()
    if event.error is not None:
        why = f"{event.failed}: {event.error.get('message', '')}"
        failed = (*state.filled.get(event.stage, Filled()).failed, why)
    ready = changed(
        stage,
        status=StageStatus.READY,
        failures=0,
        interruptions=0,
        due=None,
        error=None,
        result=event.result,
        started_at=stage.started_at if event.started_at is None else event.started_at,
        ended_at=at,
        reason=why,
    )
    _put(state, event.stage, ready)
    return {"filled": {**state.filled, event.stage: Filled(event.filling, failed)}}


def _answered(state: RunState, event: e.AskAnswered, at: float) -> dict[str, Any]:
    stage = state.stages[event.stage]
    asks = tuple(_choose(ask, event, at) for ask in stage.asks)
    due = min((ask.deadline for ask in asks if ask.choice is None), default=None)
    _put(state, event.stage, changed(stage, asks=asks, due=due))
    if any(ask.id == event.ask and ask.kind == "clarification" for ask in asks):
        return {"answers": {**state.answers, event.ask: event.choice}}
    return {}


def _put(state: RunState, name: str, stage: StageState) -> None:
    """In the dictionary that is there: others hold on to it while a decision is made."""
    vars(state)["stages"][name] = stage


def _choose(ask: AskState, event: e.AskAnswered, at: float) -> AskState:
    if ask.id != event.ask or ask.choice is not None:
        return ask
    return replace(ask, choice=event.choice, by=event.by, at=at, comment=event.comment)


# Changes of a stage: the stage after an event


def _readied(stage: StageState, _event: e.StageReadied, _at: float) -> StageState:
    return changed(stage, status=StageStatus.READY, due=None, reason=None)


def _queued(stage: StageState, event: e.StageQueued, at: float) -> StageState:
    return changed(
        stage,
        status=StageStatus.QUEUED,
        attempt=event.attempt,
        token=event.token,
        due=event.due,
        queued_at=at,
        started_at=None,
        ended_at=None,
        reason=None,
    )


def _started(stage: StageState, event: e.StageStarted, at: float) -> StageState:
    error = None if stage.unserved else stage.error
    return changed(
        stage,
        status=StageStatus.RUNNING,
        started_at=at,
        due=event.due,
        error=error,
        reason=None,
    )


def _passed(stage: StageState, event: e.StagePassed, at: float) -> StageState:
    return changed(
        stage,
        status=StageStatus.PASSED,
        result=event.result,
        error=None,
        started_at=stage.started_at if event.started_at is None else event.started_at,
        # A result that waited for a person's word was made when its attempt ended.
        ended_at=at if stage.in_hand or stage.ended_at is None else stage.ended_at,
        due=None,
        reason=None,
    )


def _interrupted(stage: StageState, event: e.AttemptInterrupted, _at: float) -> StageState:
    return changed(
        stage,
        status=StageStatus.READY,
        reason=event.why,
        error=None if stage.unserved else stage.error,  # the next attempt may find a worker
        due=None,
        interruptions=stage.interruptions + event.suspect,
    )


def _reinstated(stage: StageState, _event: e.StageReinstated, _at: float) -> StageState:
    return changed(stage, status=StageStatus.PASSED, reason=None)


def _skipped(stage: StageState, event: e.StageSkipped, at: float) -> StageState:
    return changed(
        stage,
        status=StageStatus.SKIPPED,
        reason=event.reason,
        unneeded=event.unneeded,
        ended_at=at,
        due=None,
    )


def _cancelled(stage: StageState, event: e.StageCancelled, at: float) -> StageState:
    return changed(
        stage,
        status=StageStatus.CANCELLED,
        reason=event.reason,
        unneeded=False,
        ended_at=at,
        due=None,
    )


def _held(stage: StageState, event: e.StageHeld, _at: float) -> StageState:
    return changed(stage, reason=event.reason, due=event.due)


def _served(stage: StageState, event: e.StageServed, _at: float) -> StageState:
    return changed(stage, status=StageStatus.QUEUED, reason=None, error=None, due=event.due)


def _unserved(stage: StageState, event: e.StageUnserved, _at: float) -> StageState:
    error = NoWorkerError(
        event.reason,
        hint="start a worker for it: shipway worker --capability NAME; then retry the run",
    ).report()
    return changed(
        stage, status=StageStatus.WAITING, reason=event.reason, error=error, due=event.due
    )


def _anew(stage: StageState) -> StageState:
    """With all its attempts; decisions that were made in its favour are still there to compare."""
    made = tuple(ask for ask in stage.asks if ask.choice is not None)
    return changed(
        stage,
        failures=0,
        interruptions=0,
        due=None,
        error=None,
        unneeded=False,
        asks=tuple(ask for ask in made if ask.accept in {None, ask.choice}),
    )


def _failed(stage: StageState, event: e.AttemptFailed, at: float) -> StageState:
    began = stage.started_at if event.started_at is None else event.started_at
    failed = changed(
        stage,
        failures=stage.failures + 1,
        error=event.error,
        result=event.result,
        started_at=began,
        reason=str(event.error.get("message", "")),
    )
    if event.retry_at is None:
        return changed(failed, status=StageStatus.FAILED, ended_at=at, due=None)
    return changed(failed, status=StageStatus.WAITING, due=event.retry_at)


def _asked(stage: StageState, event: e.StageAsked, _at: float) -> StageState:
    new = {ask.id for ask in event.asks}
    return changed(
        stage,
        error=None if stage.unserved else stage.error,  # somebody took it up: it asks
        status=StageStatus.WAITING,
        asks=(*(ask for ask in stage.asks if ask.id not in new), *event.asks),
        due=min(ask.deadline for ask in event.asks),
        reason="; ".join(ask.question for ask in event.asks),
    )


#: By the type of the event: one look instead of one question for each type that there is.
_OF_STAGE: Mapping[type, Callable[[StageState, Any, float], StageState]] = {
    e.StageReadied: _readied,
    e.StageQueued: _queued,
    e.StageStarted: _started,
    e.StageUnserved: _unserved,
    e.StageServed: _served,
    e.StageHeld: _held,
    e.StagePassed: _passed,
    e.AttemptFailed: _failed,
    e.AttemptInterrupted: _interrupted,
    e.StageSkipped: _skipped,
    e.StageAsked: _asked,
    e.StageCancelled: _cancelled,
    e.StageReinstated: _reinstated,
}
_OF_RUN: Mapping[type, Callable[[RunState, Any, float], dict[str, Any]]] = {
    e.RunAdmitted: _admitted,
    e.AskAnswered: _answered,
    e.RunSentBack: _sent_back,
    e.StageInvalidated: _invalidated,
    e.StageReset: _reset,
    e.SlotFilled: _filled,
    e.RunPaused: _paused,
    e.RunResumed: _resumed,
    e.RunRested: _rested,
    e.RunWoke: _awake,
    e.RunEnded: _ended,
    e.RunQuarantined: _nothing,
    e.RunRepaired: _nothing,
    e.InputIgnored: _nothing,
}
