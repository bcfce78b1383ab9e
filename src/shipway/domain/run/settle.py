"""Moves a run on as far as it goes without anything new: what may start, is skipped, asks, ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipway.domain.conditions import holds, lookup
from shipway.domain.pipeline import AskRule, Dependency, Stage, When, binding, digest
from shipway.domain.run import events as e
from shipway.domain.run.draft import Draft
from shipway.domain.run.state import AskState, RunState, StageState
from shipway.domain.states import RunStatus, StageStatus
from shipway.errors import EndlessError

_PENDING, _READY, _PASSED = StageStatus.PENDING, StageStatus.READY, StageStatus.PASSED
_INVALIDATED, _WAITING = StageStatus.INVALIDATED, StageStatus.WAITING

#: A stage is not ordered more often, whatever the reason: questions, hand-backs, failures.
MAX_ATTEMPTS = 100
_ENDLESS = EndlessError(
    f"it was ordered {MAX_ATTEMPTS} times and did not come to an end",
    hint="the stage's attempts say why each ended: an agent may ask again and again",
).report()


def settle(draft: Draft) -> None:
    """Let every stage that can move do so, then end the run or say why it rests."""
    if draft.state.status.is_final or draft.state.status is RunStatus.QUEUED:
        return
    if not draft.state.paused:
        while _move_one_round(draft):
            pass
    _conclude(draft)


def _move_one_round(draft: Draft) -> bool:
    """Visit each stage once; True if one is over by that, which may free a stage visited before."""
    skipped = False
    stages = draft.state.stages
    for stage in draft.state.pipeline.stages:
        status = stages[stage.id].status
        if status is _READY:
            _start(draft, stage)
        elif status is _PENDING or status is _INVALIDATED:
            for need in stage.needs:
                if not stages[need.stage].status.is_final:
                    break
            else:
                skipped |= _consider(draft, stage)
    return skipped


def _consider(draft: Draft, stage: Stage) -> bool:
    """Start or skip a stage whose dependencies are over; True if it is over by that."""
    stages = draft.state.stages
    for need in stage.needs:
        upon = stages[need.stage]
        if not _met(need, upon):
            why = f"{need.stage} is {upon.status}, and {stage.id} needs its {need.on}"
            draft.emit(e.StageSkipped(stage.id, why, unneeded=False))
            return True
    if stage.when is not None and not holds(stage.when, draft.state.values()):
        draft.emit(e.StageSkipped(stage.id, "its condition does not hold", unneeded=True))
        return True
    return _start(draft, stage)


def _met(need: Dependency, stage: StageState) -> bool:
    """Whether the dependency on a stage that is over is met."""
    if stage.status is _PASSED or stage.unneeded or need.on is When.ALWAYS:
        return True
    return need.on is When.COMPLETED and stage.status is StageStatus.FAILED


def _start(draft: Draft, stage: Stage) -> bool:
    """Order an attempt if every decision is made and there is room; else say what it waits for.

    True if there is nothing to do, because the result of before still stands.
    """
    if stage.asks and not _allowed(draft, stage):
        return False
    state = draft.state
    before = state.stages[stage.id]
    if before.status is _INVALIDATED and _still_stands(state, stage):
        draft.emit(e.StageReinstated(stage.id))
        return True
    if before.attempt >= MAX_ATTEMPTS and _endless(state, stage, before):
        draft.emit(e.AttemptFailed(stage.id, before.attempt, _ENDLESS, None))
        return True
    if _has_room(state):
        attempt = before.attempt + 1
        due = draft.now + stage.timeout_s
        draft.emit(e.StageQueued(stage.id, attempt, state.tokens + 1, due))
    elif before.status is not _READY:
        draft.emit(e.StageReadied(stage.id))
    return False


def _endless(state: RunState, stage: Stage, before: StageState) -> bool:
    """Whether it was ordered as often as it may be since it began, or since it was sent back."""
    back = state.sent_back.get(stage.id)
    return before.attempt - (0 if back is None else back.since) >= MAX_ATTEMPTS


def _still_stands(state: RunState, stage: Stage) -> bool:
    bound = state.sent_back[stage.id].bound
    return bound is not None and bound == binding(stage, state.values())


def _has_room(state: RunState) -> bool:
    """Whether one more stage may be in hand beside those that are."""
    room = state.pipeline.parallelism
    if len(state.stages) <= room:
        return True
    for stage in state.stages.values():
        status = stage.status
        if status is not _PENDING and status is not _PASSED and stage.in_hand:
            room -= 1
    return room > 0


def _allowed(draft: Draft, stage: Stage) -> bool:
    """Whether every decision that the stage needs has been made, for exactly what stands now."""
    values = draft.state.values()
    state = draft.state.stages[stage.id]
    asks = [
        _ask(rule, values, draft.now)
        for rule in stage.asks
        if rule.when is None or holds(rule.when, values)
    ]
    open_asks = [ask for ask in asks if not _decided(state, ask)]
    if not open_asks:
        return True
    draft.emit(e.StageAsked(stage.id, tuple(open_asks)))
    accepted = draft.state.submission.get("accept", ())
    for ask in open_asks:
        if ask.id in accepted and ask.accept is not None:
            draft.emit(e.AskAnswered(stage.id, ask.id, ask.accept, "submission"))
    if draft.state.stages[stage.id].open_asks:
        return False
    draft.emit(e.StageReadied(stage.id))
    return True


def _ask(rule: AskRule, values: Mapping[str, Any], now: float) -> AskState:
    bound = [lookup(values, (ref.source, *ref.path)) for ref in rule.subject]
    return AskState(
        id=rule.id,
        kind="decision",
        question=rule.question,
        options=rule.options,
        default=rule.default,
        deadline=now + rule.deadline_s,
        subject=digest([rule.id, bound]),
        accept=rule.accept,
    )


def _decided(stage: StageState, ask: AskState) -> bool:
    return any(
        made.id == ask.id and made.subject == ask.subject and made.choice == made.accept
        for made in stage.asks
    )


def _conclude(draft: Draft) -> None:
    state = draft.state
    over = True
    for stage in state.stages.values():
        if not stage.status.is_final:
            over = False
            if _moves(stage):
                break
    else:
        if over:
            draft.emit(_ending(state))
        elif state.status is RunStatus.RUNNING and not state.paused:
            draft.emit(e.RunRested(_waits_for(state)))
        return
    if state.status is RunStatus.WAITING and not state.paused:
        draft.emit(e.RunWoke())


def _moves(stage: StageState) -> bool:
    """It needs no person and no worker: it is in hand, may start, or waits for its next attempt."""
    status = stage.status
    if status is _WAITING:
        return not stage.unserved and not stage.open_asks
    return status is _READY or stage.in_hand


def _waits_for(state: RunState) -> str:
    asks = [ask.id for _, ask in state.asks()]
    unserved = [stage.reason or "" for stage in state.stages.values() if stage.unserved]
    person = [f"a person: {', '.join(asks)}"] if asks else []
    return "; ".join([*person, *dict.fromkeys(unserved)])


def _ending(state: RunState) -> e.RunEnded:
    for stage in state.pipeline.stages:
        come_to = state.stages[stage.id]
        if come_to.status is StageStatus.FAILED and not stage.continue_on_failure:
            return e.RunEnded(RunStatus.FAILED, f"{stage.id}: {come_to.reason}")
    return e.RunEnded(RunStatus.SUCCEEDED, None)
