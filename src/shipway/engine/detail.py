"""Turns a stored run into the views that people see: stages with attempts, asks, why it stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from shipway.contracts.envelope import ErrorReport
from shipway.contracts.model import ArtifactRef, timestamp
from shipway.contracts.views import (
    AskView,
    AttemptView,
    EventView,
    FeedEvent,
    GateView,
    RunDetail,
    RunSummary,
    StageView,
    StopView,
    WaitView,
)
from shipway.domain.pipeline import Stage
from shipway.domain.run.slots import agents_left, filling, line
from shipway.domain.run.state import AskState, RunState, StageState
from shipway.domain.run.waits import waits
from shipway.domain.states import Claim, RunStatus, StageStatus
from shipway.engine.codec import decode
from shipway.engine.effects import effects
from shipway.errors import CorruptRunError
from shipway.store.artifacts import named_in
from shipway.store.ledger import RunRow
from shipway.store.runs import EventRow, PlacedEvent

Progress = Mapping[str, tuple[int, str]]


def detail(
    row: RunRow, state: RunState, history: Sequence[EventRow], progress: Progress
) -> RunDetail:
    """Everything about one run."""
    given = state.submission
    told = summary(row, state)
    attempts = _attempts(history, state)
    return RunDetail(
        summary=told,
        pipeline_version=state.pipeline.version,
        pipeline_digest=state.pipeline.digest,
        requirement=ArtifactRef.model_validate(given["requirement"]),
        requirement_kind=given["kind"],
        target=given["target"],
        trace=row.trace,
        submission=dict(given),
        stages=[
            _stage(stage, state, attempts.get(stage.id, []), progress)
            for stage in state.pipeline.stages
        ],
        asks=_asks(row, state, history),
        stop=_aside(row, None, history)
        if status_of(row) is RunStatus.QUARANTINED
        else _stop(row, state),
        artifacts=_artifacts(state),
        effects=effects(state.pipeline, history),
        waits=[
            WaitView(
                kind=wait.kind, stage=wait.stage, reason=wait.reason, until=timestamp(wait.until)
            )
            for wait in waits(state)
        ],
    )


def summary(row: RunRow, state: RunState) -> RunSummary:
    given = state.submission
    claim = (state.values().get("plan") or {}).get("claim") or given.get("claim")
    ended = row.ended_at if row.ended_at is not None else time.time()
    return RunSummary(
        id=row.id,
        number=row.number,
        status=status_of(row),
        pipeline=state.pipeline.name,
        title=row.title,
        claim=None if claim is None else Claim(claim),
        repository=given.get("repository"),
        created_at=timestamp(row.created_at),
        ended_at=_time(row.ended_at),
        seconds=max(0.0, ended - row.created_at),
        stages={name: stage.status for name, stage in state.stages.items()},
        reason=state.reason,
    )


def status_of(row: RunRow) -> RunStatus:
    """The state that a row names; one that this version does not know is not to be trusted."""
    return RunStatus(row.status) if row.status in _KNOWN else RunStatus.QUARANTINED


_KNOWN = frozenset(RunStatus)


def quarantined(row: RunRow, error: CorruptRunError, history: Sequence[EventRow]) -> RunDetail:
    """What can be shown of a run whose state cannot be read: that it is out of play, and why."""
    status = status_of(row)
    stop = _given_up(row, history) if status is RunStatus.CANCELLED else _aside(row, error, history)
    told = RunSummary(
        id=row.id,
        number=row.number,
        status=status if status is RunStatus.CANCELLED else RunStatus.QUARANTINED,
        pipeline="unknown",
        title=row.title,
        claim=None,
        repository=None,
        created_at=timestamp(row.created_at),
        ended_at=_time(row.ended_at),
        seconds=0.0,
        stages={},
        reason=stop.message,
    )
    return RunDetail(
        summary=told,
        pipeline_version=0,
        pipeline_digest=row.pipeline,
        requirement=ArtifactRef(name="unknown", sha256="0" * 64, size=0, media_type="unknown"),
        requirement_kind="unknown",
        target="unknown",
        trace=row.trace,
        submission={},
        stages=[],
        asks=[],
        stop=stop,
        artifacts=[],
    )


def _aside(row: RunRow, error: CorruptRunError | None, history: Sequence[EventRow]) -> StopView:
    """Why a run is out of play, and the two ways out."""
    told = _last(history, "RunQuarantined").get("error", {}).get("message")
    found = "its stored state cannot be trusted" if error is None else error.message
    return StopView(
        code=CorruptRunError.code,
        message=str(told or found),
        hint="nothing else is affected; repair rebuilds it from its events if these are whole,"
        " discard gives it up",
        next_commands=[
            f"shipway run repair {row.number}",
            f"shipway run discard {row.number} -m WHY",
        ],
    )


def _given_up(row: RunRow, history: Sequence[EventRow]) -> StopView:
    reason = _last(history, "RunEnded").get("reason")
    return StopView(
        code="DISCARDED",
        message=str(reason or "it was quarantined, and then discarded"),
        hint="start the requirement again as a new run",
        next_commands=[f"shipway run logs {row.number}"],
    )


def _last(history: Sequence[EventRow], kind: str) -> dict[str, Any]:
    """The data of the last event of a kind; nothing if there is none that can be read."""
    for event in reversed(history):
        if event.type == kind:
            try:
                data: dict[str, Any] = decode(event.data)
            except ValueError:
                return {}
            return data
    return {}


def _time(at: float | None) -> str | None:
    return None if at is None else timestamp(at)


# Stages


def _stage(
    stage: Stage, run: RunState, attempts: list[AttemptView], progress: Progress
) -> StageView:
    state = run.stages[stage.id]
    has, *others = agents_left(run, stage.id)
    attempt, doing = progress.get(stage.id, (0, None))
    error = None if state.error is None else ErrorReport.model_validate(_known(state.error))
    # What an attempt before brought no longer counts while the stage is to be done again.
    result = state.result if state.status in _SHOWS_RESULT else None
    return StageView(
        id=stage.id,
        capability=stage.capability,
        agent=has,
        fallbacks=others,
        status=state.status,
        attempt=state.attempt,
        needs=[need.stage for need in stage.needs],
        started_at=_time(state.started_at),
        ended_at=_time(state.ended_at),
        seconds=_seconds(state),
        doing=doing if state.in_hand and attempt == state.attempt else None,
        reason=state.reason,
        error=error,
        gates=_gates(result),
        attempts=attempts,
        result=None if result is None else dict(result),
    )


_SHOWS_RESULT = frozenset({StageStatus.PASSED, StageStatus.FAILED, StageStatus.WAITING})


def _known(error: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in error.items() if name in ErrorReport.model_fields}


def _seconds(state: StageState) -> float | None:
    if state.started_at is None:
        return None
    ended = state.ended_at
    if ended is None:
        ended = time.time() if state.status is StageStatus.RUNNING else state.started_at
    return max(0.0, ended - state.started_at)


def _gates(result: Mapping[str, Any] | None) -> list[GateView]:
    report = (result or {}).get("report")
    if report is None:
        return []
    seen = {one["gate"]: one for one in report["evidence"]}
    return [_gate(one, seen.get(one["gate"])) for one in report["selections"]]


def _gate(selection: Mapping[str, Any], seen: Mapping[str, Any] | None) -> GateView:
    return GateView(
        gate=selection["gate"],
        selected=selection["selected"],
        verdict=None if seen is None else seen["verdict"],
        enforcement=selection["enforcement"],
        examined=0 if seen is None else seen["examined"],
        summary=selection["reason"] if seen is None else seen["summary"],
    )


def _attempts(history: Sequence[EventRow], state: RunState) -> dict[str, list[AttemptView]]:
    """Every attempt of every stage, told from the events."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for row in history:
        if row.type not in _ATTEMPT_EVENTS:
            continue
        data = decode(row.data)
        attempts = found.setdefault(data["stage"], {})
        if row.type == "SlotFilled":
            _name(attempts, data["failed"])
            if data["error"] is None:
                continue
        _tell_attempt(attempts.setdefault(data["attempt"], {}), row, data)
    for stage in state.pipeline.stages:
        if len(line(stage, state.submission)) > 1:
            _name(found.get(stage.id, {}), str(filling(state, stage)))
    return {
        stage: [AttemptView(**attempt) for attempt in attempts.values() if "token" in attempt]
        for stage, attempts in found.items()
    }


_ATTEMPT_EVENTS = {
    "StageQueued": "queued",
    "StageStarted": "running",
    "StagePassed": "passed",
    "AttemptFailed": "failed",
    "SlotFilled": "failed",
    "AttemptInterrupted": "interrupted",
    "StageCancelled": "cancelled",
    "StageInvalidated": "invalidated",
}


def _name(attempts: Mapping[int, dict[str, Any]], agent: str | None) -> None:
    """Those of which nobody has said yet whose they were."""
    for attempt in attempts.values():
        attempt.setdefault("agent", agent)


def _tell_attempt(attempt: dict[str, Any], row: EventRow, data: Mapping[str, Any]) -> None:
    if row.type == "StageQueued":
        attempt.update(
            attempt=data["attempt"],
            token=data["token"],
            queued_at=timestamp(row.at),
            started_at=None,
            ended_at=None,
        )
    elif row.type == "StageStarted":
        attempt["started_at"] = timestamp(row.at)
    elif attempt.get("ended_at") is None:
        attempt["ended_at"] = timestamp(row.at)
        if data.get("started_at") is not None:
            attempt["started_at"] = timestamp(data["started_at"])
        if data.get("error") is not None:
            attempt["error"] = ErrorReport.model_validate(_known(data["error"]))
    if "status" not in attempt or attempt["status"] in {"queued", "running"}:
        attempt["status"] = _ATTEMPT_EVENTS[row.type]


# Questions


def _asks(row: RunRow, state: RunState, history: Sequence[EventRow]) -> list[AskView]:
    asked = {}
    for event in history:
        if event.type == "StageAsked":
            for ask in decode(event.data)["asks"]:
                asked[ask["id"]] = timestamp(event.at)
    return [
        _ask(row, stage, ask, asked.get(ask.id))
        for stage, come_to in state.stages.items()
        for ask in come_to.asks
    ]


def _ask(row: RunRow, stage: str, ask: AskState, asked_at: str | None) -> AskView:
    verb = "decide" if ask.kind == "decision" else "answer"
    return AskView(
        id=ask.id,
        run=row.id,
        stage=stage,
        kind=ask.kind,
        question=ask.question,
        why=ask.why,
        options=list(ask.options),
        default=ask.default,
        deadline=timestamp(ask.deadline),
        subject=ask.subject,
        asked_at=asked_at,
        answered=ask.choice,
        answered_by=ask.by,
        answered_at=_time(ask.at),
        comment=ask.comment,
        next_command=f"shipway {verb} {row.number}/{ask.id} {'|'.join(ask.options) or 'VALUE'}",
    )


# Why it stopped


def _stop(row: RunRow, state: RunState) -> StopView | None:
    number = row.number
    match state.status:
        case RunStatus.FAILED:
            return _failure(number, state)
        case RunStatus.WAITING:
            return StopView(
                code="WAITING",
                message=f"it waits for {state.reason}",
                hint="it costs nothing while it waits",
                next_commands=[
                    f"shipway {'decide' if ask.kind == 'decision' else 'answer'}"
                    f" {number}/{ask.id} {option}"
                    for _, ask in state.asks()
                    for option in ask.options
                ],
            )
        case RunStatus.QUEUED:
            return StopView(
                code="QUEUED",
                message=f"it {state.reason}",
                hint="it begins by itself as soon as there is room",
                next_commands=[f"shipway run watch {number}", f"shipway run cancel {number}"],
            )
        case RunStatus.PAUSED:
            return StopView(
                code="PAUSED",
                message=state.reason or "it was paused",
                hint="what was finished is kept",
                next_commands=[f"shipway run resume {number}"],
            )
        case RunStatus.CANCELLED:
            return StopView(
                code="CANCELLED",
                message=state.reason or "it was cancelled",
                hint="nothing was integrated or deployed after that; what was finished is kept",
                next_commands=[f"shipway run retry {number}"],
            )
        case _:
            return None


def _failure(number: int, state: RunState) -> StopView:
    failed = [
        (name, stage)
        for name, stage in state.stages.items()
        if stage.status is StageStatus.FAILED and stage.error is not None
    ]
    if not failed:
        return StopView(
            code="TIMEOUT",
            message=state.reason or "it failed",
            hint="raise the pipeline's timeout, or see which stage took so long",
            next_commands=[f"shipway run view {number}", f"shipway run retry {number}"],
        )
    name, stage = failed[0]
    error = stage.error or {}
    return StopView(
        code=str(error.get("code", "INTERNAL")),
        message=f"{name}: {error.get('message', '')}",
        hint=error.get("hint"),
        next_commands=[
            *([str(error["reproduce"])] if error.get("reproduce") else []),
            f"shipway run logs {number} --stage {name}",
            f"shipway run retry {number}",
        ],
    )


def _artifacts(state: RunState) -> list[ArtifactRef]:
    """Every artifact that the submission or a result names, once each."""
    found: dict[tuple[str, str], ArtifactRef] = {}
    sources = [state.submission, *(s.result for s in state.stages.values() if s.result)]
    for source in sources:
        for ref in named_in(source):
            found[ref.name, ref.sha256] = ref
    return list(found.values())


# Events


def event_view(row: EventRow) -> EventView:
    return EventView(**_event(row))


def feed_event(row: PlacedEvent) -> FeedEvent:
    return FeedEvent(**_event(row), position=row.position, run=row.run)


def _event(row: EventRow | PlacedEvent) -> dict[str, Any]:
    data = decode(row.data)
    return {
        "seq": row.seq,
        "at": timestamp(row.at),
        "type": row.type,
        "stage": data.get("stage"),
        "attempt": data.get("attempt"),
        "data": data,
        "ignored": data.get("why") if row.type == "InputIgnored" else None,
    }
