"""The pure heart: from a run's state, one input and the time to the events and orders that follow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from shipway.domain import retries
from shipway.domain.limits import HOLD_LIMIT_S, QUEUE_LIMIT_S
from shipway.domain.pipeline import Pipeline, gather
from shipway.domain.run import events as e
from shipway.domain.run.draft import Draft
from shipway.domain.run.evolve import begin, opened
from shipway.domain.run.redo import retry, rewind
from shipway.domain.run.settle import settle
from shipway.domain.run.slots import filling, given_up, pass_on, refill, source
from shipway.domain.run.state import PAUSE_LIMIT_S, AskState, RunState, StageState
from shipway.domain.run.verdict import doubts, gate_error, overruled
from shipway.domain.states import RunStatus, StageStatus
from shipway.errors import (
    RETRYABLE,
    AgentTimeoutError,
    AskExpiredError,
    GateError,
    OverloadError,
    PoisonError,
    RejectedError,
)

#: An attempt whose process died this often is poison: it is not handed out again.
MAX_INTERRUPTIONS = 5


class Order(NamedTuple):
    """Do this attempt: with its request filled in from earlier results.

    ``generation`` changes when earlier work no longer counts; attempts of one generation are the
    same work, and share the key that others recognise its effects by.
    """

    stage: str
    attempt: int
    token: int
    capability: str
    agent: str
    due: float
    request: Mapping[str, Any]
    generation: int = 0
    priority: int = 0
    suspicions: int = 0


class Decision(NamedTuple):
    """``cancels`` are attempts (stage, attempt) whose work must stop; ``due`` is the next timer."""

    state: RunState
    events: tuple[e.Event, ...]
    orders: tuple[Order, ...]
    cancels: tuple[tuple[str, int], ...]
    due: float | None


def submit(
    run: str,
    pipeline: Pipeline,
    submission: Mapping[str, Any],
    now: float,
    held: str | None = None,
) -> Decision:
    """The beginning of a run; ``held`` says why there is no room for it now."""
    limit = pipeline.timeout_s if held is None else QUEUE_LIMIT_S
    first = e.RunSubmitted(pipeline.digest, now + limit, held)
    draft = Draft(begin(run, pipeline, submission, first, now), now)
    draft.events.append(first)
    settle(draft)
    return _decision(draft, None)


#: What may be said to a run that has ended.
_OPENS = e.Retry | e.Rewind | e.Repaired


def decide(state: RunState, given: e.Input, now: float) -> Decision:
    """What follows from one input. Never raises for an input that does not fit: it is recorded."""
    draft = Draft(opened(state), now)
    if state.status.is_final and not isinstance(given, _OPENS):
        draft.ignore(type(given).__name__, f"the run is {state.status}")
    else:
        _apply(draft, given)
        settle(draft)
    return _decision(draft, state)


def _decision(draft: Draft, before: RunState | None) -> Decision:
    orders = tuple(
        [_order(draft.state, event) for event in draft.events if type(event) is e.StageQueued]
    )
    cancels: list[tuple[str, int]] = []
    if before is not None:
        after = draft.state.stages
        for name, stage in before.stages.items():
            now = after[name]
            if now is stage or not stage.in_hand or (now.in_hand and now.token == stage.token):
                continue
            cancels.append((name, stage.attempt))
    state = draft.state
    return Decision(state, tuple(draft.events), orders, tuple(cancels), state.due())


def _order(state: RunState, event: e.StageQueued) -> Order:
    stage = state.pipeline.stage(event.stage)
    back = state.sent_back.get(event.stage)
    filled = filling(state, stage)
    return Order(
        stage=stage.id,
        attempt=event.attempt,
        token=event.token,
        capability=stage.capability,
        agent=filled.agent,
        due=event.due,
        request=gather(stage, source(state, filled)),
        generation=0 if back is None else back.generation,
        priority=state.submission.get("priority", 0),
        suspicions=state.stages[event.stage].interruptions,
    )


def _apply(draft: Draft, given: e.Input) -> None:
    if isinstance(given, _OfAttempt):  # first: nearly all are
        _attempt(draft, given)
        return
    match given:
        case e.Tick():
            _tick(draft)
        case e.Admit():
            _admit(draft)
        case e.Answer():
            _answer(draft, given)
        case e.Cancel(by, reason):
            _end_all(draft, f"cancelled by {by}: {reason}")
        case e.Pause() | e.Resume():
            _pausing(draft, given)
        case e.Retry():
            retry(draft, given)
        case e.Rewind():
            rewind(draft, given)
        case e.Repaired(by, reason):
            _repaired(draft, by, reason)


# Attempts


_OfAttempt = e.Completed | e.Started | e.Interrupted | e.Unserved | e.Served | e.Held


def _attempt(draft: Draft, given: _OfAttempt) -> None:
    stage = draft.state.stages.get(given.stage)
    if stage is None:
        draft.ignore(type(given).__name__, "there is no such stage", given.stage, given.attempt)
    elif not stage.in_hand or stage.token != given.token or stage.attempt != given.attempt:
        why = "the attempt is over or was replaced"
        draft.ignore(type(given).__name__, why, given.stage, given.attempt)
    elif isinstance(given, e.Completed):
        _completed(draft, given)
    elif isinstance(given, e.Started):
        due = draft.now + draft.state.pipeline.stage(given.stage).timeout_s
        draft.emit(e.StageStarted(given.stage, given.attempt, due))
    elif isinstance(given, e.Interrupted):
        _interrupted(draft, given, stage)
    elif isinstance(given, e.Held):
        _held(draft, given, stage)
    else:
        _served(draft, given, stage)


def _held(draft: Draft, given: e.Held, stage: StageState) -> None:
    if stage.status is StageStatus.QUEUED:
        due = draft.now + HOLD_LIMIT_S
        draft.emit(e.StageHeld(given.stage, given.attempt, given.reason, due))
    else:
        draft.ignore("Held", f"the stage is {stage.status}", given.stage, given.attempt)


def _served(draft: Draft, given: e.Unserved | e.Served, stage: StageState) -> None:
    """An order that nobody can take waits by a deadline of its own; once somebody can, in line."""
    if isinstance(given, e.Unserved) and stage.status is StageStatus.QUEUED:
        due = draft.now + given.limit_s
        draft.emit(e.StageUnserved(given.stage, given.attempt, given.reason, due))
    elif isinstance(given, e.Served) and stage.unserved:
        due = draft.now + draft.state.pipeline.stage(given.stage).timeout_s
        draft.emit(e.StageServed(given.stage, given.attempt, due))
    else:
        draft.ignore(type(given).__name__, f"the stage is {stage.status}", given.stage)


def _repaired(draft: Draft, by: str, reason: str) -> None:
    draft.emit(e.RunRepaired(by, reason))
    for name, stage in draft.state.stages.items():
        if stage.in_hand:
            why = "the run was put aside while it worked"
            draft.emit(e.AttemptInterrupted(name, stage.attempt, why, suspect=False))


def _interrupted(draft: Draft, given: e.Interrupted, stage: StageState) -> None:
    # What was held back had not begun: it cannot be what killed the process.
    suspect = given.suspect and not stage.held
    draft.emit(e.AttemptInterrupted(given.stage, given.attempt, given.why, suspect))
    if stage.interruptions + suspect >= MAX_INTERRUPTIONS:
        error = PoisonError(
            f"its process died {MAX_INTERRUPTIONS} times while it worked on this stage",
            hint="look at the end of the stage's log for what uses up memory or crashes",
        ).report()
        if not pass_on(draft, given.stage, error, None, None):
            draft.emit(e.AttemptFailed(given.stage, given.attempt, error, None))


def _completed(draft: Draft, given: e.Completed) -> None:
    if given.status == "asks":
        draft.emit(e.StageAsked(given.stage, given.asks))
        _answer_beforehand(draft, given.stage)
        return
    error = given.error
    if given.status == "succeeded":
        error = gate_error(draft.state.pipeline.stage(given.stage), given.result)
        if error is not None and _doubted(draft, given, error):
            return
    if error is None:
        result = given.result or {}
        draft.emit(e.StagePassed(given.stage, given.attempt, result, given.started_at))
    else:
        _failed(draft, given.stage, given.attempt, error, given.result, given.started_at)


def _doubted(draft: Draft, given: e.Completed, error: Mapping[str, Any]) -> bool:
    """Ask a person whether what the gates found is meant; False if that is not for a person to say.

    The attempt has failed its gates and its result is kept: only a person's word lets it pass.
    """
    name, attempt = given.stage, given.attempt
    asks = doubts(draft.state.pipeline.stage(name), given.result, draft.now)
    if not asks:
        return False
    made = draft.state.stages[name].asks
    draft.emit(e.AttemptFailed(name, attempt, error, None, given.result, given.started_at))
    if overruled(asks, made):
        draft.emit(e.StagePassed(name, attempt, given.result or {}, None))
    else:
        draft.emit(e.StageAsked(name, asks))
    return True


def _is_doubted(stage: StageState) -> bool:
    """Whether it waits for a person's word about what its gates found."""
    return stage.result is not None and (stage.error or {}).get("code") == GateError.code


def _failed(
    draft: Draft,
    name: str,
    attempt: int,
    error: Mapping[str, Any],
    result: Mapping[str, Any] | None = None,
    started_at: float | None = None,
) -> None:
    policy = draft.state.pipeline.stage(name).retries
    failures = draft.state.stages[name].failures + 1
    retry_at = None
    if error.get("category") in RETRYABLE and retries.may_retry(policy, failures):
        chance = _chance(f"{draft.state.id}:{name}:{failures}")
        retry_at = draft.now + retries.delay(policy, failures, chance)
    elif pass_on(draft, name, error, result, started_at):
        return
    draft.emit(e.AttemptFailed(name, attempt, error, retry_at, result, started_at))


def _chance(seed: str) -> float:
    """A number in [0, 1) that looks random and is the same at every replay."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:6]) / 2**48


# Time


def _tick(draft: Draft) -> None:
    state, now = draft.state, draft.now
    if state.rested_at is None and now >= state.deadline:
        _time_out_run(draft)
        return
    if state.paused and state.rested_at is not None and now >= state.rested_at + PAUSE_LIMIT_S:
        days = PAUSE_LIMIT_S / 86400
        _end_all(draft, f"it was paused for {days:g} days, and nobody resumed it")
        return
    for name, stage in state.stages.items():
        if stage.due is None or (now < stage.due and not _waits_too_long(draft, name, stage)):
            continue
        if stage.in_hand:
            _time_out(draft, name, stage)
        elif stage.open_asks:
            _expire(draft, name, stage)
        elif not state.paused:
            draft.emit(e.StageReadied(name))


def _waits_too_long(draft: Draft, name: str, stage: StageState) -> bool:
    """Whether a retry would come later than any may: the clock was set back since it was decided."""
    if stage.due is None or stage.in_hand or stage.open_asks:
        return False
    return stage.due - draft.now > draft.state.pipeline.stage(name).retries.maximum


def _time_out(draft: Draft, name: str, stage: StageState) -> None:
    if stage.unserved and stage.error is not None:
        _failed(draft, name, stage.attempt, stage.error)
        return
    if stage.held:
        error = OverloadError(
            f"it did not begin within {HOLD_LIMIT_S / 3600:g} h: {stage.reason}"
        ).report()
        _failed(draft, name, stage.attempt, error)
        return
    limit = draft.state.pipeline.stage(name).timeout_s
    error = AgentTimeoutError(
        f"it did not finish within {limit:g} s",
        hint="raise the stage's timeout in the pipeline, or see in its log what it waited for",
    ).report()
    _failed(draft, name, stage.attempt, error)


def _time_out_run(draft: Draft) -> None:
    limit = draft.state.pipeline.timeout_s
    reason = f"the pipeline's timeout of {limit:g} s is over"
    if draft.state.status is RunStatus.QUEUED:
        reason = f"there was no room for it within {QUEUE_LIMIT_S / 86400:g} days"
    _stop_stages(draft, reason)
    draft.emit(e.RunEnded(RunStatus.FAILED, reason))


def _expire(draft: Draft, name: str, stage: StageState) -> None:
    for ask in stage.open_asks:
        if ask.deadline > draft.now:
            continue
        if ask.default is None:
            error = AskExpiredError(
                f"nobody answered {ask.id!r} before its deadline",
                hint="start the run again and answer in time",
            ).report()
            _failed(draft, name, stage.attempt, error)
            return
        draft.emit(e.AskAnswered(name, ask.id, ask.default, "deadline"))
    _go_on_if_answered(draft, name)


# People


def _answer(draft: Draft, given: e.Answer) -> None:
    found = [(name, ask) for name, ask in draft.state.asks() if ask.id == given.ask]
    if not found:
        draft.ignore("Answer", f"no question {given.ask!r} is open")
        return
    name, ask = found[0]
    if given.subject is not None and ask.subject not in {None, given.subject}:
        draft.ignore("Answer", "what is to be decided has changed since", name)
    elif ask.options and given.choice not in ask.options:
        draft.ignore("Answer", f"choose one of: {', '.join(ask.options)}", name)
    else:
        draft.emit(e.AskAnswered(name, ask.id, given.choice, given.by, given.comment))
        _go_on_if_answered(draft, name)


def _answer_beforehand(draft: Draft, name: str) -> None:
    """Answers given with the submission count as soon as their question is asked."""
    given = draft.state.submission.get("answers", {})
    for ask in draft.state.stages[name].open_asks:
        choice = given.get(ask.id)
        already = ask.id in draft.state.answers
        if choice is not None and not already and (not ask.options or choice in ask.options):
            draft.emit(e.AskAnswered(name, ask.id, choice, "submission"))
    _go_on_if_answered(draft, name)


def _go_on_if_answered(draft: Draft, name: str) -> None:
    stage = draft.state.stages[name]
    if stage.open_asks:
        return
    refused = next((ask for ask in stage.asks if ask.accept not in {None, ask.choice}), None)
    if refused is not None:
        error = given_up(draft.state, name, refused) or _refusal(refused)
        _failed(draft, name, stage.attempt, error, stage.result if _is_doubted(stage) else None)
    elif _is_doubted(stage):
        draft.emit(e.StagePassed(name, stage.attempt, stage.result or {}, None))
    elif not refill(draft, name):
        draft.emit(e.StageReadied(name))


def _refusal(ask: AskState) -> dict[str, Any]:
    return RejectedError(
        f"{ask.id} was answered {ask.choice!r} by {ask.by}"
        + (f": {ask.comment}" if ask.comment else ""),
        hint="change what was refused and start a new run",
    ).report()


def _admit(draft: Draft) -> None:
    if draft.state.status is RunStatus.QUEUED:
        draft.emit(e.RunAdmitted(draft.now + draft.state.pipeline.timeout_s))
    else:
        draft.ignore("Admit", "the run has begun already")


def _pausing(draft: Draft, given: e.Pause | e.Resume) -> None:
    pause = isinstance(given, e.Pause)
    if draft.state.status is RunStatus.QUEUED:
        draft.ignore(type(given).__name__, "the run has not begun yet; it can be cancelled")
    elif draft.state.paused is pause:
        what = "paused already" if pause else "not paused"
        draft.ignore(type(given).__name__, f"the run is {what}")
    elif isinstance(given, e.Pause):
        draft.emit(e.RunPaused(given.by, given.reason))
    else:
        draft.emit(e.RunResumed(given.by))


def _end_all(draft: Draft, reason: str) -> None:
    _stop_stages(draft, reason)
    draft.emit(e.RunEnded(RunStatus.CANCELLED, reason))


def _stop_stages(draft: Draft, reason: str) -> None:
    for name, stage in draft.state.stages.items():
        if not stage.status.is_final:
            draft.emit(e.StageCancelled(name, stage.attempt, reason))
