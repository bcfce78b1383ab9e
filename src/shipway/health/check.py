"""What a check of a serving process is, and what it finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """What a check found; a warning does not stop anybody."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    WARN = "warn"
    FAIL = "fail"

    @property
    def rank(self) -> int:
        """The higher, the worse."""
        return ("pass", "warn", "fail").index(self.value)


def worst(statuses: list[Status]) -> Status:
    return max(statuses, key=lambda one: one.rank, default=Status.PASS)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe saw; ``output`` says in words what is not as it should be."""

    status: Status = Status.PASS
    output: str = ""
    value: float | int | str | None = None
    unit: str = ""


Probe = Callable[[], Finding] | Callable[[], Awaitable[Finding]]


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A question that is asked again and again in the background, never by who asks for health.

    ``probe`` may be a coroutine function, which runs on the loop of the monitor, or a plain one,
    which runs in a thread; either is given up after ``timeout`` seconds. An exception is a failure.
    ``required_for_ready`` says whether traffic is kept away while it fails, and ``reason`` why.
    """

    name: str
    """``component:measurement``, such as ``database:ping``."""
    probe: Probe
    component_type: str
    """``datastore``, ``component`` or ``system``, as in health+json."""
    required_for_ready: bool
    reason: str
    remedy: str
    timeout: float = 0.4
    every: float = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint sends: a status, a document and its headers, ready to be written."""

    status_code: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    status: Status = Status.PASS
