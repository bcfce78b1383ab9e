"""How an event changes the state of a run; replaying all of them gives the same state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from shipway.domain.pipeline import Pipeline
from shipway.domain.run import events as e
from shipway.domain.run.state import AskState, RunState, SentBack, StageState, changed
from shipway.domain.states import RunStatus, StageStatus
from shipway.errors import NoWorkerError


def begin(
    run: str, pipeline: Pipeline, submission: Mapping[str, Any], event: e.RunSubmitted, at: float
) -> RunState:
    """The state right after submission."""
    return RunState(
        id=run,
        pipeline=pipeline,
        submission=submission,
        stages={stage.id: StageState() for stage in pipeline.stages},
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
        state = evolve(state, event, at)
    return state


def evolve(state: RunState, event: e.Event, at: float) -> RunState:
    """The state after one more event, which happened ``at`` (seconds since the epoch)."""
    if isinstance(event, _OfOneStage):
        changes = _in_stage(state, event.stage, event, at)
    else:
        changes = _changes(state, event, at)
    changes["seq"] = state.seq + 1
    return changed(state, **changes)


#: They change nothing but their stage; asked for first, because most events are of these.
_OfOneStage = (
    e.StagePassed
    | e.StageStarted
    | e.StageUnserved
    | e.StageServed
    | e.StageReadied
    | e.AttemptFailed
    | e.AttemptInterrupted
    | e.StageSkipped
    | e.StageAsked
    | e.StageCancelled
    | e.StageUnserved
    | e.StageServed
    | e.StageHeld
)


def _changes(state: RunState, event: e.Event, at: float) -> dict[str, Any]:  # noqa: PLR0911 - one arm an event
    """The fields of the run that an event changes."""
    match event:
        case e.StageQueued(name, _, token):
            return {**_in_stage(state, name, event, at), "tokens": token}
        case e.StageInvalidated() | e.StageReset() | e.StageReinstated():
            return _redone(state, event)
        case e.RunAdmitted() | e.RunSentBack():
            return _opened(state, event)
        case e.RunPaused(reason=reason):
            return {"paused": True, "status": RunStatus.PAUSED, "reason": reason, "rested_at": at}
        case e.RunResumed():
            return {**_awake(state, at), "paused": False}
        case e.RunRested(reason):
            return {"status": RunStatus.WAITING, "reason": reason, "rested_at": at}
        case e.RunWoke():
            return _awake(state, at)
        case e.RunEnded(status, reason):
            return {"status": status, "reason": reason, "ended_at": at, "rested_at": None}
        case e.InputIgnored() | e.RunQuarantined() | e.RunRepaired():
            return {}
        case e.RunSubmitted():
            raise ValueError("a run is submitted once")
        case e.AskAnswered():
            return _answered(state, event, at)
        case _:
            raise ValueError(f"{type(event).__name__} is no event of a run")


def _awake(state: RunState, at: float) -> dict[str, Any]:
    """Running again; the time at rest is given back to the deadline."""
    rested = 0.0 if state.rested_at is None else max(0.0, at - state.rested_at)
    return {
        "status": RunStatus.RUNNING,
        "reason": None,
        "rested_at": None,
        "deadline": state.deadline + rested,
    }


def _opened(state: RunState, event: e.RunAdmitted | e.RunSentBack) -> dict[str, Any]:
    """Open, perhaps again and with another submission; paused if it rested so."""
    if isinstance(event, e.RunAdmitted):
        return {"status": RunStatus.RUNNING, "reason": None, "deadline": event.deadline}
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


def _redone(
    state: RunState, event: e.StageInvalidated | e.StageReset | e.StageReinstated
) -> dict[str, Any]:
    name, stage = event.stage, state.stages[event.stage]
    match event:
        case e.StageReinstated():
            stands = changed(stage, status=StageStatus.PASSED, reason=None)
            return {"stages": {**state.stages, name: stands}}
        case e.StageInvalidated(_, attempt, reason, bound):
            status, back = StageStatus.INVALIDATED, SentBack(attempt, attempt, bound)
        case e.StageReset(_, attempt, reason):
            before = state.sent_back.get(name)
            generation = 0 if before is None else before.generation
            status, back = StageStatus.PENDING, SentBack(attempt, generation)
    anew = changed(_anew(stage), status=status, reason=reason)
    return {
        "stages": {**state.stages, name: anew},
        "sent_back": {**state.sent_back, name: back},
    }


def _in_stage(state: RunState, name: str, event: e.Event, at: float) -> dict[str, Any]:
    return {"stages": {**state.stages, name: _stage(state.stages[name], event, at)}}


def _answered(state: RunState, event: e.AskAnswered, at: float) -> dict[str, Any]:
    stage = state.stages[event.stage]
    asks = tuple(_choose(ask, event, at) for ask in stage.asks)
    due = min((ask.deadline for ask in asks if ask.choice is None), default=None)
    stages = {**state.stages, event.stage: changed(stage, asks=asks, due=due)}
    if any(ask.id == event.ask and ask.kind == "clarification" for ask in asks):
        return {"stages": stages, "answers": {**state.answers, event.ask: event.choice}}
    return {"stages": stages}


def _choose(ask: AskState, event: e.AskAnswered, at: float) -> AskState:
    if ask.id != event.ask or ask.choice is not None:
        return ask
    return replace(ask, choice=event.choice, by=event.by, at=at, comment=event.comment)


def _stage(stage: StageState, event: e.Event, at: float) -> StageState:  # noqa: PLR0911 - one arm an event
    match event:
        case e.StageReadied():
            return changed(stage, status=StageStatus.READY, due=None, reason=None)
        case e.StageQueued(_, attempt, token, due):
            return changed(
                stage,
                status=StageStatus.QUEUED,
                attempt=attempt,
                token=token,
                due=due,
                queued_at=at,
                started_at=None,
                ended_at=None,
                reason=None,
            )
        case e.StageStarted(_, _, due):
            error = None if stage.unserved else stage.error
            return changed(
                stage,
                status=StageStatus.RUNNING,
                started_at=at,
                due=due,
                error=error,
                reason=None,
            )
        case e.StageUnserved() | e.StageServed() | e.StageHeld():
            return _attended(stage, event)
        case e.StagePassed(_, _, result, started_at):
            began = stage.started_at if started_at is None else started_at
            return changed(
                stage,
                status=StageStatus.PASSED,
                result=result,
                error=None,
                started_at=began,
                ended_at=at,
                due=None,
                reason=None,
            )
        case e.AttemptFailed():
            return _failed(stage, event, at)
        case e.AttemptInterrupted(_, _, why, suspect):
            return changed(
                stage,
                status=StageStatus.READY,
                reason=why,
                due=None,
                interruptions=stage.interruptions + suspect,
            )
        case e.StageSkipped() | e.StageCancelled():
            return _over(stage, event, at)
        case e.StageAsked(_, asks):
            return _asked(stage, asks)
        case _:
            raise ValueError(f"{type(event).__name__} is no event of a stage")


def _over(stage: StageState, event: e.StageSkipped | e.StageCancelled, at: float) -> StageState:
    skipped = isinstance(event, e.StageSkipped)
    return changed(
        stage,
        status=StageStatus.SKIPPED if skipped else StageStatus.CANCELLED,
        reason=event.reason,
        unneeded=isinstance(event, e.StageSkipped) and event.unneeded,
        ended_at=at,
        due=None,
    )


def _attended(
    stage: StageState, event: e.StageUnserved | e.StageServed | e.StageHeld
) -> StageState:
    """Whether anybody is there who could do the attempt that is ordered, and has room for it."""
    if isinstance(event, e.StageHeld):
        return changed(stage, reason=event.reason, due=event.due)
    if isinstance(event, e.StageServed):
        return changed(stage, status=StageStatus.QUEUED, reason=None, error=None, due=event.due)
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


def _asked(stage: StageState, asks: tuple[AskState, ...]) -> StageState:
    new = {ask.id for ask in asks}
    return changed(
        stage,
        status=StageStatus.WAITING,
        asks=(*(ask for ask in stage.asks if ask.id not in new), *asks),
        due=min(ask.deadline for ask in asks),
        reason="; ".join(ask.question for ask in asks),
    )
