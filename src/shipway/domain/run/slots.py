"""Who does a stage: the agents of its slot, one after the other, and after the last one a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from shipway.domain.pipeline import InputRef, Stage, digest
from shipway.domain.run import events as e
from shipway.domain.run.draft import Draft
from shipway.domain.run.state import AskState, Filled, RunState
from shipway.errors import (
    AskExpiredError,
    Category,
    EndlessError,
    GateError,
    NoAgentLeftError,
    OverloadError,
    RejectedError,
)

#: What a person may decide when no agent is left, and what is taken when nobody does.
AGAIN, GIVE_UP = "again", "give-up"
_DECIDE_WITHIN_S = 7 * 86400.0

#: These are answers, or would be the same with any other agent.
_STANDS = frozenset(
    one.code
    for one in (
        GateError, RejectedError, AskExpiredError, EndlessError, NoAgentLeftError, OverloadError,
    )
)  # fmt: skip
_CLIPPED = 80


class Filling(NamedTuple):
    """An agent of a slot by its name, with the source of change it is given if there are several."""

    agent: str
    change: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        if self.change is None:
            return self.agent
        what = self.change.get("model") or " ".join(self.change.get("command", ()))
        source = f"{self.change.get('kind')}:{what}"
        if len(source) > _CLIPPED:
            source = f"{source[: _CLIPPED - 3]}..."
        return source if self.agent == "builtin" else f"{self.agent} with {source}"


def line(stage: Stage, submission: Mapping[str, Any]) -> tuple[Filling, ...]:
    """The agents of the slot in the order in which they are tried; almost always one.

    The first is tried with each source of change that was handed in, the others with the first.
    """
    others = submission.get("fallbacks") or ()
    if not others or _CHANGE not in stage.inputs.values():
        return (Filling(stage.agent), *map(Filling, stage.fallbacks))
    first, *more = (Filling(stage.agent, one) for one in (submission["change"], *others))
    rest = (Filling(one, submission["change"]) for one in stage.fallbacks)
    return (first, *more, *rest)


_CHANGE = InputRef("run", ("change",))


def filling(state: RunState, stage: Stage) -> Filling:
    """Who does the stage now; when that is a person, the agent who failed last."""
    filled = state.filled.get(stage.id)
    if filled is None and not state.submission.get("fallbacks"):
        return Filling(stage.agent)  # nearly always; the line need not be made for it
    agents = line(stage, state.submission)
    return agents[0 if filled is None else min(filled.at, len(agents) - 1)]


def agents_left(state: RunState, name: str) -> list[str]:
    """Who does the stage now, and who would take over from it."""
    agents = line(state.pipeline.stage(name), state.submission)
    filled = state.filled.get(name, Filled())
    return [str(one) for one in agents[min(filled.at, len(agents) - 1) :]]


def source(state: RunState, filled: Filling) -> Callable[[str], Mapping[str, Any] | None]:
    """What the agent's request is gathered from."""
    if filled.change is None:
        return state.source
    of_run = {**(state.source("run") or {}), "change": filled.change}
    return lambda name: of_run if name == "run" else state.source(name)


def pass_on(
    draft: Draft,
    name: str,
    error: Mapping[str, Any],
    result: Mapping[str, Any] | None,
    started_at: float | None,
) -> bool:
    """Let the next of the slot take over from one that failed for good; False if there is none."""
    state = draft.state
    agents = line(state.pipeline.stage(name), state.submission)
    filled = state.filled.get(name, Filled())
    stands = error.get("code") in _STANDS or error.get("category") == Category.CANCELLED
    if len(agents) == 1 or stands or filled.at >= len(agents):
        return False
    following = filled.at + 1
    left = following < len(agents)
    draft.emit(
        e.SlotFilled(
            stage=name,
            attempt=state.stages[name].attempt,
            filling=following,
            agent=str(agents[following]) if left else "a person",
            failed=str(agents[filled.at]),
            error=error,
            result=result,
            started_at=started_at,
        )
    )
    if not left:
        draft.emit(e.StageAsked(name, (_ask(draft, name),)))
    return True


def refill(draft: Draft, name: str) -> bool:
    """A person wants the agents of the slot to try again, from the first on; False if none waits."""
    if not _waits_for_person(draft.state, name):
        return False
    agents = line(draft.state.pipeline.stage(name), draft.state.submission)
    attempt = draft.state.stages[name].attempt
    draft.emit(e.SlotFilled(name, attempt, 0, str(agents[0])))
    return True


def given_up(state: RunState, name: str, ask: AskState) -> dict[str, Any] | None:
    """The error of a slot that a person gave up; None if this question is about something else."""
    if not _waits_for_person(state, name) or ask.id != _ask_id(name):
        return None
    return NoAgentLeftError(
        f"every agent of {name} failed, and {ask.by} gave it up: {ask.why}",
        hint="take it up with another agent: shipway run rewind RUN STAGE --agent ...",
    ).report()


def _waits_for_person(state: RunState, name: str) -> bool:
    filled = state.filled.get(name)
    return filled is not None and filled.at >= len(
        line(state.pipeline.stage(name), state.submission)
    )


def _ask_id(name: str) -> str:
    return f"{name}-agents"


def _ask(draft: Draft, name: str) -> AskState:
    failed = draft.state.filled[name].failed
    return AskState(
        id=_ask_id(name),
        kind="decision",
        question=f"All {len(failed)} agents of {name} failed. Let them try again, from the first on?",
        options=(AGAIN, GIVE_UP),
        default=GIVE_UP,
        deadline=draft.now + _DECIDE_WITHIN_S,
        why="; ".join(failed),
        subject=digest([name, draft.state.stages[name].attempt, failed]),
        accept=AGAIN,
    )
