"""What a run has come to: one frozen value, rebuilt from its events at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Literal, TypeVar

from shipway.domain.pipeline import Pipeline
from shipway.domain.states import RunStatus, StageStatus
from shipway.errors import NoWorkerError

#: Changes when the stored form of RunState does; a run with another number is quarantined.
STATE_FORMAT = 1

#: A run that is paused and that nobody resumes within this time is cancelled.
PAUSE_LIMIT_S = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class AskState:
    """A question to a person: open until ``choice`` is set. Times are seconds since the epoch.

    A decision is bound to ``subject``, the digest of what is decided; a clarification is not.
    """

    id: str
    kind: Literal["decision", "clarification"]
    question: str
    options: tuple[str, ...]
    default: str | None
    deadline: float
    why: str = ""
    subject: str | None = None
    accept: str | None = None
    choice: str | None = None
    by: str | None = None
    at: float | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class SentBack:
    """What is known of a stage that a person sent back.

    ``since`` is its last attempt before its budget began anew, ``generation`` the last attempt of
    work that no longer counts; ``bound`` is the request that the result kept aside answers.
    """

    since: int
    generation: int
    bound: str | None = None


@dataclass(frozen=True, slots=True)
class Filled:
    """Who of a slot has the stage: number ``at`` of its agents, after those that ``failed``.

    After the last agent it is a person.
    """

    at: int = 0
    failed: tuple[str, ...] = ()


# StageState and RunState have no slots: a changed copy of a dictionary is one step in C.


@dataclass(frozen=True)
class StageState:
    """``token`` fences the attempt in hand; ``due`` is when the timer of the present state fires.

    ``failures`` counts failed attempts (for retries), ``interruptions`` attempts whose process
    died (for poison protection); ``unneeded`` marks a skip by the stage's own condition.
    """

    status: StageStatus = StageStatus.PENDING
    attempt: int = 0
    token: int = 0
    failures: int = 0
    interruptions: int = 0
    reason: str | None = None
    due: float | None = None
    queued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    unneeded: bool = False
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    asks: tuple[AskState, ...] = ()

    def to_json(self) -> tuple[Any, ...]:
        """Every field but the result, in the order of ``_STORED``; asks as dataclasses.

        Made once: a run is written at every step, and most of its stages are as they were.
        """
        memory = self.__dict__
        made: tuple[Any, ...] | None = memory.get(_MADE)
        if made is None:
            made = memory[_MADE] = _stored(self)
        return made

    @property
    def in_hand(self) -> bool:
        """Whether an order for it is out."""
        status = self.status
        return status is _QUEUED or status is _RUNNING or (status is _WAITING and self.unserved)

    @property
    def unserved(self) -> bool:
        """Whether its order waits for somebody who could do it."""
        return self.status is _WAITING and (self.error or {}).get("code") == NoWorkerError.code

    @property
    def held(self) -> bool:
        """Whether its order waits for room."""
        return self.status is _QUEUED and self.reason is not None

    @property
    def open_asks(self) -> tuple[AskState, ...]:
        if self.status is not _WAITING:
            return ()
        return tuple(ask for ask in self.asks if ask.choice is None)


# Looked up once: a member of an enum is slow to reach, and these are asked for at every step.
_QUEUED, _RUNNING, _WAITING = StageStatus.QUEUED, StageStatus.RUNNING, StageStatus.WAITING
_PASSED = StageStatus.PASSED
_STORED = tuple(each.name for each in fields(StageState) if each.name != "result")
_MADE = "_made"
_stored: Callable[[StageState], tuple[Any, ...]] = attrgetter(*_STORED)


@dataclass(frozen=True)
class RunState:
    """``tokens`` is the last fencing token given out; ``seq`` the number of the last event.

    ``deadline`` is the pipeline's timeout; time spent at rest (``rested_at``) does not count.
    """

    id: str
    pipeline: Pipeline
    submission: Mapping[str, Any]
    stages: Mapping[str, StageState]
    status: RunStatus = RunStatus.RUNNING
    reason: str | None = None
    seq: int = 0
    tokens: int = 0
    created_at: float = 0.0
    ended_at: float | None = None
    deadline: float = 0.0
    rested_at: float | None = None
    paused: bool = False
    answers: Mapping[str, str] = field(default_factory=dict)
    sent_back: Mapping[str, SentBack] = field(default_factory=dict)
    filled: Mapping[str, Filled] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """What inputs and conditions can refer to: the submission and the passed stages' results."""
        known: dict[str, Any] = {
            name: stage.result for name, stage in self.stages.items() if stage.status is _PASSED
        }
        known["run"] = self.source("run")
        return known

    def source(self, name: str) -> Mapping[str, Any] | None:
        """The same by its name alone; None for a stage that has not passed."""
        if name == "run":
            answers = {**self.submission.get("answers", {}), **self.answers}
            return {**self.submission, "answers": answers}
        stage = self.stages.get(name)
        return stage.result if stage is not None and stage.status is _PASSED else None

    def asks(self) -> Iterator[tuple[str, AskState]]:
        """Every question that is open, with its stage."""
        for name, stage in self.stages.items():
            for ask in stage.open_asks:
                yield name, ask

    def due(self) -> float | None:
        """When the next timer fires, or None when nothing is timed."""
        if self.status.is_final:
            return None
        first: float | None = self.deadline
        if self.rested_at is not None:
            first = self.rested_at + PAUSE_LIMIT_S if self.paused else None
        for stage in self.stages.values():
            due = stage.due
            if due is not None and (first is None or due < first):
                first = due
        return first

    def to_json(self) -> dict[str, Any]:
        """The state as data, without the pipeline it is pinned to and without results.

        Results stay in the events that brought them: a state is written at every step, and they
        are most of its size.
        """
        return {
            "format": STATE_FORMAT,
            "stages": {name: stage.to_json() for name, stage in self.stages.items()},
            "status": self.status,
            "reason": self.reason,
            "seq": self.seq,
            "tokens": self.tokens,
            "created_at": self.created_at,
            "ended_at": self.ended_at,
            "deadline": self.deadline,
            "rested_at": self.rested_at,
            "paused": self.paused,
            "answers": self.answers,
            **({"sent_back": self.sent_back} if self.sent_back else {}),
            **({"filled": self.filled} if self.filled else {}),
        }


Changed = TypeVar("Changed", StageState, RunState)


def changed(value: Changed, **changes: Any) -> Changed:
    """``dataclasses.replace`` without its checks, which are most of the cost of an event."""
    new = object.__new__(type(value))
    known = value.__dict__ | changes
    known.pop(_MADE, None)
    object.__setattr__(new, "__dict__", known)
    return new


def from_json(
    run: str,
    pipeline: Pipeline,
    submission: Mapping[str, Any],
    data: Mapping[str, Any],
    results: Mapping[str, Mapping[str, Any]],
) -> RunState:
    """Rebuild a state; raises ValueError, KeyError or TypeError on anything unknown."""
    if data["format"] != STATE_FORMAT:
        raise ValueError(f"state format {data['format']!r} is unknown")
    stages = {name: _stage(stage, results.get(name)) for name, stage in data["stages"].items()}
    if set(stages) != {stage.id for stage in pipeline.stages}:
        raise ValueError("the stages are not those of the pipeline")
    plain = {name: data[name] for name in _PLAIN}
    sent_back = {name: SentBack(**one) for name, one in data.get("sent_back", {}).items()}
    filled = {
        name: Filled(one["at"], tuple(one["failed"]))
        for name, one in data.get("filled", {}).items()
    }
    return RunState(
        id=run,
        pipeline=pipeline,
        submission=submission,
        stages=stages,
        status=RunStatus(data["status"]),
        sent_back=sent_back,
        filled=filled,
        **plain,
    )


_PLAIN = (
    "reason",
    "seq",
    "tokens",
    "created_at",
    "ended_at",
    "deadline",
    "rested_at",
    "paused",
    "answers",
)


def _stage(data: Sequence[Any], result: Mapping[str, Any] | None) -> StageState:
    stored = dict(zip(_STORED, data, strict=True))
    stored["status"] = StageStatus(stored["status"])
    stored["asks"] = tuple(ask_from_json(ask) for ask in stored["asks"])
    return StageState(**stored, result=result)


def ask_from_json(data: Mapping[str, Any]) -> AskState:
    return AskState(**{**data, "options": tuple(data["options"])})
