"""The one envelope that carries a task to an agent and its outcome back to the engine."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue

from shipway.contracts.model import ArtifactRef, Model, Timestamp
from shipway.errors import ShipwayError
from shipway.telemetry.failures import told


class Task(Model):
    """One attempt of one stage, as an agent receives it.

    ``token`` fences: an outcome with a token that is not the attempt's own is recorded and
    ignored. ``traceparent`` is the W3C trace context. ``request`` is checked against the
    contract ``capability``/``version`` on both sides. ``suspicions`` counts attempts of the stage
    whose process died; of two tasks that wait for room the one with the higher ``priority`` begins.
    """

    capability: str
    version: int
    run: str
    stage: str
    attempt: int
    token: int
    agent: str
    key: str
    traceparent: str
    deadline: Timestamp | None
    request: dict[str, JsonValue]
    priority: int = 0
    suspicions: int = 0


class ErrorReport(Model):
    """Why an attempt failed: the failing step, the end of its log, how to see it again."""

    code: str
    category: Literal["transient", "throttled", "permanent", "cancelled", "dependency", "internal"]
    message: str
    recovery: str = "report"
    hint: str | None = None
    step: str | None = None
    log_tail: str | None = None
    reproduce: str | None = None
    details: dict[str, JsonValue] = Field(default_factory=dict)


def report_of(error: ShipwayError, step: str | None = None) -> ErrorReport:
    """The report of an error; what it says of step, log and reproduction has fields of its own."""
    data = told(error)
    details = data.pop("details")
    own = {key: details.pop(key, None) for key in ("step", "log_tail", "reproduce")}
    own = {key: None if value is None else str(value) for key, value in own.items()}
    own["step"] = step or own["step"]
    return ErrorReport(**data, **own, details=details)


class Question(Model):
    """Something only a person can answer; the attempt ends here and a later one gets the answer."""

    id: str
    text: str
    options: list[str]
    default: str | None
    deadline_s: float
    why: str = ""


class Outcome(Model):
    """What an agent hands back: a result that fits the contract, an error, or questions."""

    capability: str
    version: int
    run: str
    stage: str
    attempt: int
    token: int
    status: Literal["succeeded", "failed", "asks"]
    result: dict[str, JsonValue] | None = None
    error: ErrorReport | None = None
    questions: list[Question] = Field(default_factory=list)
    artifacts: list[ArtifactRef] = Field(default_factory=list)


def reply(task: Task, status: Literal["succeeded", "failed", "asks"], **fields: Any) -> Outcome:
    """An outcome that echoes the task's identity."""
    return Outcome(
        capability=task.capability,
        version=task.version,
        run=task.run,
        stage=task.stage,
        attempt=task.attempt,
        token=task.token,
        status=status,
        **fields,
    )
