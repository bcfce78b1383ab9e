"""Sends a run back: what a retry or a rewind invalidates, and what it leaves as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from shipway.domain.conditions import holds, lookup
from shipway.domain.pipeline import Pipeline, Stage, binding
from shipway.domain.run import events as e
from shipway.domain.run.draft import Draft
from shipway.domain.run.state import RunState, changed
from shipway.domain.states import StageStatus

_CAME_TO_NOTHING = frozenset(
    {StageStatus.FAILED, StageStatus.SKIPPED, StageStatus.CANCELLED, StageStatus.READY}
)
_TO_RETRY = frozenset({StageStatus.FAILED, StageStatus.CANCELLED})


def retry(draft: Draft, given: e.Retry) -> None:
    """Do again what failed or was cancelled, from ``given.stage`` if that is named."""
    state = draft.state
    failed = [name for name, stage in state.stages.items() if stage.status in _TO_RETRY]
    if not failed:
        draft.ignore("Retry", "nothing in this run has failed or was cancelled")
    elif given.stage is not None and given.stage not in state.stages:
        draft.ignore("Retry", f"the pipeline has no stage {given.stage!r}")
    elif given.attempt is not None and not _failed_there(state, given):
        draft.ignore("Retry", "the stage has been done again since", given.stage, given.attempt)
    else:
        begin = failed if given.stage is None else [given.stage]
        _send_back(draft, given, begin, {})


def _failed_there(state: RunState, given: e.Retry) -> bool:
    stage = state.stages[given.stage or ""]
    return stage.status is StageStatus.FAILED and stage.attempt == given.attempt


def rewind(draft: Draft, given: e.Rewind) -> None:
    """Do a stage again, and with ``given.changes`` everything that reads what they change."""
    state = draft.state
    if given.stage not in state.stages:
        draft.ignore("Rewind", f"the pipeline has no stage {given.stage!r}")
        return
    begin = [given.stage, *_readers(state, given.changes)]
    _send_back(draft, given, begin, given.changes)


def _send_back(
    draft: Draft, given: e.Retry | e.Rewind, begin: list[str], changes: Mapping[str, Any]
) -> None:
    state = draft.state
    affected = downstream(state.pipeline, begin)
    begun = [name for name in affected if state.stages[name].status is not StageStatus.PENDING]
    if not begun:
        draft.ignore(type(given).__name__, f"{begin[0]} has not begun yet", begin[0])
        return
    # What a submission accepted beforehand was said of what it asked for then.
    new = {**changes, "accept": []} if changes and state.submission.get("accept") else changes
    before = {name: state.submission.get(name) for name in new}
    bound = {name: _bound(state, name, begin) for name in begun}  # as things still stand
    deadline = draft.now + state.pipeline.timeout_s
    draft.emit(e.RunSentBack(given.by, given.reason, deadline, dict(new), before))
    for name in begun:
        _stage_back(draft, name, begin, bound[name])


def _stage_back(draft: Draft, name: str, begin: list[str], bound: str | None) -> None:
    stage = draft.state.stages[name]
    why = "it is to be done again" if name in begin else f"{begin[0]} is done again"
    if stage.status in _CAME_TO_NOTHING:
        draft.emit(e.StageReset(name, stage.attempt, why))
    elif stage.status is not StageStatus.INVALIDATED or name in begin:
        draft.emit(e.StageInvalidated(name, stage.attempt, why, bound))


def _bound(state: RunState, name: str, begin: Iterable[str]) -> str | None:
    """What the result of a stage is bound to, as things stood; None if it has to be redone."""
    if state.stages[name].status is not StageStatus.PASSED or name in begin:
        return None
    return binding(state.pipeline.stage(name), state.values())


def downstream(pipeline: Pipeline, begin: Iterable[str]) -> list[str]:
    """These stages and all that depend on them, in the pipeline's order."""
    found = set(begin)
    grown = True
    while grown:
        more = {
            stage.id
            for stage in pipeline.stages
            if stage.id not in found and any(need.stage in found for need in stage.needs)
        }
        found |= more
        grown = bool(more)
    return [stage.id for stage in pipeline.stages if stage.id in found]


def _readers(state: RunState, changes: Mapping[str, Any]) -> list[str]:
    """Stages whose own request or condition comes out differently with these changes."""
    if not changes:
        return []
    given = dict(changes)
    answers = {**state.answers, **given.pop("answers", {})}
    after = changed(state, submission={**state.submission, **given}, answers=answers).values()
    before = state.values()
    return [
        stage.id for stage in state.pipeline.stages if _reads(stage, before) != _reads(stage, after)
    ]


def _reads(stage: Stage, values: dict[str, Any]) -> tuple[Any, ...]:
    """All that a stage takes from elsewhere: its request, its condition, what is to be decided."""
    decided = [
        lookup(values, (ref.source, *ref.path)) for rule in stage.asks for ref in rule.subject
    ]
    return binding(stage, values), stage.when is None or holds(stage.when, values), decided
