"""The pipeline: a versioned DAG of stages, as plain data that the reducer walks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shipway.domain.conditions import Condition, lookup
from shipway.domain.retries import RetryPolicy


class When(StrEnum):
    """What a dependency must have come to before the dependent stage may start.

    success: it passed, or was skipped because its own condition was false.
    completed: it passed, failed, or was skipped because its own condition was false.
    always: it is over, whatever became of it.
    """

    SUCCESS = "success"
    COMPLETED = "completed"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Dependency:
    stage: str
    on: When = When.SUCCESS


@dataclass(frozen=True, slots=True)
class InputRef:
    """A value taken from an earlier result or from the run's submission: ``plan.digest``.

    ``otherwise`` stands in when the source has no result (skipped, or failed); without it the
    field is left out then, and the contract's own default applies (checked at load).
    """

    source: str
    path: tuple[str, ...]
    otherwise: Literal | None = None

    def __str__(self) -> str:
        return ".".join((self.source, *self.path))


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written in the pipeline itself."""

    value: Any


@dataclass(frozen=True, slots=True)
class AskRule:
    """A decision that a person must make before the stage starts, if ``when`` holds.

    It is bound to the digest of the values of ``subject``: when they change, it is asked again.
    ``accept`` is the choice that lets the stage start; every other choice fails the stage.
    """

    id: str
    question: str
    when: Condition | None
    subject: tuple[InputRef, ...]
    options: tuple[str, ...] = ("approve", "reject")
    accept: str = "approve"
    deadline_s: float = 7 * 86400.0
    default: str = "reject"


@dataclass(frozen=True, slots=True)
class Stage:
    """One node. ``gates`` names what its result must show PASS for (empty: none of its own).

    ``fallbacks`` are the agents of its slot that take over, in their order, when ``agent`` failed
    for good.
    """

    id: str
    capability: str
    agent: str
    needs: tuple[Dependency, ...] = ()
    inputs: Mapping[str, InputRef | Literal] = field(default_factory=dict)
    gates: tuple[str, ...] = ()
    when: Condition | None = None
    asks: tuple[AskRule, ...] = ()
    timeout_s: float = 1800.0
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    continue_on_failure: bool = False
    fallbacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """``digest`` is the sha256 of the canonical definition; a run stays pinned to it.

    ``takes`` is the kind of requirement it is for (``specification``, ``change``); None: either.
    """

    name: str
    version: int
    digest: str
    stages: tuple[Stage, ...]
    timeout_s: float = 86400.0
    parallelism: int = 4
    title: str = ""
    takes: str | None = None
    _by_id: Mapping[str, Stage] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {stage.id: stage for stage in self.stages})

    def stage(self, stage_id: str) -> Stage:
        """Raises KeyError."""
        return self._by_id[stage_id]


def gather(stage: Stage, source: Callable[[str], Mapping[str, Any] | None]) -> dict[str, Any]:
    """The request of ``stage``; ``source`` knows the results so far and the submission (``run``)."""
    request: dict[str, Any] = {}
    for name, given in stage.inputs.items():
        if isinstance(given, Literal):
            request[name] = given.value
            continue
        found = source(given.source)
        if found is not None:
            request[name] = lookup(found, given.path)
        elif given.otherwise is not None:
            request[name] = given.otherwise.value
    return request


def binding(stage: Stage, values: Mapping[str, Mapping[str, Any]]) -> str:
    """The digest of the request of ``stage``: what a result of it is bound to."""
    return digest(gather(stage, values.get))


def digest(value: Any) -> str:
    """The sha256 of a JSON value in its canonical form."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
