"""What the faces (command line, report, API, pages) see of runs: plain, frozen, JSON-safe."""

from __future__ import annotations

from typing import Any

from pydantic import Field, JsonValue

from shipway.contracts.envelope import ErrorReport
from shipway.contracts.model import ArtifactRef, Model, Sha256, Timestamp
from shipway.domain.states import Claim, RunStatus, StageStatus


class GateView(Model):
    """One line of the gate table."""

    gate: str
    selected: bool
    verdict: str | None
    enforcement: str
    examined: int
    summary: str


class AskView(Model):
    """A decision or clarification that waits for a person. ``subject`` is what it is bound to."""

    id: str
    run: str
    stage: str
    kind: str
    question: str
    why: str
    options: list[str]
    default: str | None
    deadline: Timestamp | None
    subject: str | None
    asked_at: Timestamp | None = None
    answered: str | None = None
    answered_by: str | None = None
    answered_at: Timestamp | None = None
    comment: str | None = None
    next_command: str = ""


class AttemptView(Model):
    """``agent`` says whose attempt it was where a slot has several agents."""

    attempt: int
    token: int
    status: str
    agent: str | None = None
    queued_at: Timestamp | None = None
    started_at: Timestamp | None
    ended_at: Timestamp | None
    error: ErrorReport | None = None


class StageView(Model):
    """``doing`` is what the agent said last; ``reason`` why it waits, was skipped or failed.

    ``agent`` has the stage, or had it last; ``fallbacks`` are those that take over after it.
    """

    id: str
    capability: str
    agent: str
    fallbacks: list[str] = Field(default_factory=list)
    status: StageStatus
    attempt: int
    needs: list[str]
    started_at: Timestamp | None = None
    ended_at: Timestamp | None = None
    seconds: float | None = None
    doing: str | None = None
    reason: str | None = None
    error: ErrorReport | None = None
    gates: list[GateView] = Field(default_factory=list)
    attempts: list[AttemptView] = Field(default_factory=list)
    result: dict[str, JsonValue] | None = None


class StopView(Model):
    """Why a run does not go on, and what to type next."""

    code: str
    message: str
    hint: str | None
    next_commands: list[str]


class WaitView(Model):
    """What a run waits for; ``until`` is when that ends by itself."""

    kind: str
    stage: str | None
    reason: str
    until: Timestamp


class EffectView(Model):
    """Something a run has done that stopping it does not undo; ``undo`` is what to type for that."""

    kind: str
    stage: str
    attempt: int
    at: Timestamp
    what: str
    undo: str | None = None


class RunSummary(Model):
    """One line of ``run list``; ``number`` is short and local, ``id`` is for ever."""

    id: str
    number: int
    status: RunStatus
    pipeline: str
    title: str
    claim: Claim | None
    repository: str | None
    created_at: Timestamp
    ended_at: Timestamp | None
    seconds: float
    stages: dict[str, StageStatus]
    reason: str | None = None


class RunDetail(Model):
    """Everything about one run; ``stages`` in the pipeline's order."""

    summary: RunSummary
    pipeline_version: int
    pipeline_digest: str
    requirement: ArtifactRef
    requirement_kind: str
    target: str
    trace: str
    submission: dict[str, JsonValue]
    stages: list[StageView]
    asks: list[AskView]
    stop: StopView | None
    artifacts: list[ArtifactRef]
    effects: list[EffectView] = Field(default_factory=list)
    waits: list[WaitView] = Field(default_factory=list)


class EventView(Model):
    """One event of a run, in order; ``data`` has no secrets."""

    seq: int
    at: Timestamp
    type: str
    stage: str | None
    attempt: int | None
    data: dict[str, Any]
    ignored: str | None = None


class DeadLetterView(Model):
    """An order that nobody could do; ``state`` is dead, replayed or discarded, ``age`` in seconds."""

    number: int
    state: str
    run: str
    run_number: int
    title: str
    stage: str
    attempt: int
    capability: str
    code: str
    message: str
    at: Timestamp
    age: float
    by: str | None = None
    reason: str | None = None
    resolved_at: Timestamp | None = None


class DeadLetterDetail(Model):
    """A letter with all that is known: what was asked for, and what became of each attempt.

    ``payload`` is the task as its agent received it, with secrets masked; ``versions`` those of
    Shipway and of the task's contract.
    """

    letter: DeadLetterView
    key: str
    trace: str
    versions: dict[str, str]
    payload: dict[str, JsonValue]
    history: list[AttemptView]
    next_commands: list[str]


class DeadDepth(Model):
    """How many letters are open, and the age of the oldest in seconds."""

    depth: int
    oldest: float | None


class ItemResult(Model):
    """What became of one item of a command over many; ``error`` as in every error document."""

    number: int
    ok: bool
    error: dict[str, JsonValue] | None = None


class FeedEvent(EventView):
    """One event among those of all runs: ``position`` orders them, and is where a reader goes on."""

    position: int
    run: str


class HealthView(Model):
    """Positive evidence of health: the answer, and the process that gave it."""

    url: str
    status: int
    body_sha256: Sha256
    pid: int
    at: str


class ReleaseView(Model):
    """One commit that was made ready to run as a service, and what became of it."""

    id: str
    service: str
    run: str
    commit: str
    tree: str
    status: str
    created_at: str
    start: list[str]
    health_path: str
    environment: list[str]
    python: str
    url: str | None
    port: int | None
    pid: int | None
    health: HealthView | None
    live_at: str | None
    ended_at: str | None
    previous: str | None
    reason: str | None
    restarts: int
