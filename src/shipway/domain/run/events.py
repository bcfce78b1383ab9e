"""What happened to a run (events, kept for ever) and what it is told (inputs to the reducer)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shipway.domain.run.state import AskState
from shipway.domain.states import RunStatus

# Events: facts in the past tense; each changes the state through ``evolve`` and nothing else does.


@dataclass(frozen=True, slots=True)
class RunSubmitted:
    """``held`` says why it cannot begin yet; it waits for that until ``deadline``."""

    pipeline: str
    deadline: float
    held: str | None = None


@dataclass(frozen=True, slots=True)
class RunAdmitted:
    """There is room for it: it begins, and has until ``deadline``."""

    deadline: float


@dataclass(frozen=True, slots=True)
class StageReadied:
    """It may start as soon as there is room."""

    stage: str


@dataclass(frozen=True, slots=True)
class StageQueued:
    """An attempt was ordered."""

    stage: str
    attempt: int
    token: int
    due: float


@dataclass(frozen=True, slots=True)
class StageStarted:
    stage: str
    attempt: int
    due: float


@dataclass(frozen=True, slots=True)
class StageUnserved:
    """Its attempt is ordered, but nobody is there who could do it; it is kept until ``due``."""

    stage: str
    attempt: int
    reason: str
    due: float


@dataclass(frozen=True, slots=True)
class StageHeld:
    """Its attempt is ordered, but there is no room for it now; it waits until ``due``."""

    stage: str
    attempt: int
    reason: str
    due: float


@dataclass(frozen=True, slots=True)
class StageServed:
    """Somebody has come who can do the attempt that is ordered; it is in line again."""

    stage: str
    attempt: int
    due: float


@dataclass(frozen=True, slots=True)
class StagePassed:
    stage: str
    attempt: int
    result: Mapping[str, Any]
    started_at: float | None


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """``retry_at`` says when it is tried again; None when it failed for good."""

    stage: str
    attempt: int
    error: Mapping[str, Any]
    retry_at: float | None
    result: Mapping[str, Any] | None = None
    started_at: float | None = None


@dataclass(frozen=True, slots=True)
class SlotFilled:
    """Another agent of its slot does the stage from now on: number ``filling``, after the last a person.

    ``failed`` is the one whose attempt failed for good, with its ``error``; None when a person
    lets the first one begin again.
    """

    stage: str
    attempt: int
    filling: int
    agent: str
    failed: str | None = None
    error: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None
    started_at: float | None = None


@dataclass(frozen=True, slots=True)
class AttemptInterrupted:
    """Its process died or was drained; the stage goes back to where it was before the order.

    ``suspect``: the attempt itself may be what killed the process, so it counts.
    """

    stage: str
    attempt: int
    why: str
    suspect: bool


@dataclass(frozen=True, slots=True)
class StageSkipped:
    stage: str
    reason: str
    unneeded: bool


@dataclass(frozen=True, slots=True)
class StageAsked:
    stage: str
    asks: tuple[AskState, ...]


@dataclass(frozen=True, slots=True)
class AskAnswered:
    """``by`` is a person, or "deadline" when the default was taken."""

    stage: str
    ask: str
    choice: str
    by: str
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class StageCancelled:
    stage: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class RunSentBack:
    """A person wants work done again; ``changes`` are what the submission says from now on.

    ``before`` is what it said. The run gets its whole time again: until ``deadline``.
    """

    by: str
    reason: str
    deadline: float
    changes: Mapping[str, Any]
    before: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StageInvalidated:
    """What it passed for, or was about to, has changed; a result it had is kept aside.

    ``bound`` is the digest of the request that the result answers; None if it is to be done
    again even for the same request.
    """

    stage: str
    attempt: int
    reason: str
    bound: str | None


@dataclass(frozen=True, slots=True)
class StageReset:
    """It had come to nothing that could be kept; it begins anew with all its attempts."""

    stage: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class StageReinstated:
    """It was invalidated, but its request came out the same: its result still stands."""

    stage: str


@dataclass(frozen=True, slots=True)
class RunPaused:
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunResumed:
    by: str


@dataclass(frozen=True, slots=True)
class RunRested:
    """Nothing can move until a person acts."""

    reason: str


@dataclass(frozen=True, slots=True)
class RunWoke:
    pass


@dataclass(frozen=True, slots=True)
class RunEnded:
    status: RunStatus
    reason: str | None


@dataclass(frozen=True, slots=True)
class RunQuarantined:
    """Its stored state could not be trusted: the engine put it aside."""

    error: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunRepaired:
    """It was rebuilt from its events, and goes on."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class InputIgnored:
    """A stale, repeated or impossible input: recorded, and nothing else."""

    what: str
    why: str
    stage: str | None = None
    attempt: int | None = None


Event = (
    RunSubmitted
    | RunAdmitted
    | StageReadied
    | StageQueued
    | StageStarted
    | StageUnserved
    | StageServed
    | StageHeld
    | StagePassed
    | AttemptFailed
    | SlotFilled
    | AttemptInterrupted
    | StageSkipped
    | StageAsked
    | AskAnswered
    | StageCancelled
    | RunSentBack
    | StageInvalidated
    | StageReset
    | StageReinstated
    | RunPaused
    | RunResumed
    | RunRested
    | RunWoke
    | RunEnded
    | RunQuarantined
    | RunRepaired
    | InputIgnored
)

# Inputs: what the reducer is told.


@dataclass(frozen=True, slots=True)
class Started:
    stage: str
    attempt: int
    token: int


@dataclass(frozen=True, slots=True)
class Completed:
    """An attempt's outcome, already checked against its contract by the engine."""

    stage: str
    attempt: int
    token: int
    status: Literal["succeeded", "failed", "asks"]
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    asks: tuple[AskState, ...] = ()
    started_at: float | None = None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The process that worked on the attempt is gone (suspect), or was asked to hand it back."""

    stage: str
    attempt: int
    token: int
    why: str
    suspect: bool


@dataclass(frozen=True, slots=True)
class Unserved:
    """Nobody who could do the attempt is there; if that stays so for ``limit_s``, it fails."""

    stage: str
    attempt: int
    token: int
    reason: str
    limit_s: float


@dataclass(frozen=True, slots=True)
class Served:
    """Somebody who could do an attempt that nobody served has come."""

    stage: str
    attempt: int
    token: int


@dataclass(frozen=True, slots=True)
class Held:
    """There is no room for the attempt now, for this reason."""

    stage: str
    attempt: int
    token: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; timers that are due fire."""


@dataclass(frozen=True, slots=True)
class Admit:
    """There is room for a run that waits to begin."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``subject`` None means: whatever the question is bound to now."""

    ask: str
    choice: str
    by: str
    subject: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pause:
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resume:
    by: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Do again what failed or was cancelled, or everything from ``stage`` on.

    With ``attempt`` only if that is still the stage's last one, and failed.
    """

    by: str
    reason: str
    stage: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Rewind:
    """Do ``stage`` again, and whatever depends on what changes by that or by ``changes``."""

    stage: str
    by: str
    reason: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Repaired:
    """The state is the one that the events make; whoever worked on it when it was put aside is gone."""

    by: str
    reason: str


Input = (
    Started
    | Completed
    | Interrupted
    | Unserved
    | Served
    | Held
    | Tick
    | Admit
    | Answer
    | Cancel
    | Pause
    | Resume
    | Retry
    | Rewind
    | Repaired
)
