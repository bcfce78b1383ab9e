"""What is remembered of a release and of a service: plain records, safe to write as JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shipway.errors import UsageError

_SERVICE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_RELEASE = re.compile(r"r-[0-9a-f]{12}")


class Status(StrEnum):
    """Where a release is in its life; only ``live`` takes traffic, ``standby`` could again."""

    STARTING = "starting"
    LIVE = "live"
    STANDBY = "standby"
    FAILED = "failed"
    STOPPED = "stopped"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class Health:
    """Positive evidence of health: the answer, and the process that was seen holding the connection."""

    url: str
    status: int
    body_sha256: str
    pid: int
    at: str


@dataclass(frozen=True, slots=True)
class Release:
    """One commit made ready to run as a service.

    ``previous`` is what was live before it; ``reason`` says why it is not live (any more);
    ``live_at`` is set once it has taken traffic, and stays. ``environment`` holds names only.
    """

    id: str
    service: str
    run: str
    commit: str
    tree: str
    status: Status
    created_at: str
    start: tuple[str, ...] = ()
    health_path: str = "/health"
    environment: tuple[str, ...] = ()
    python: str = ""
    url: str | None = None
    port: int | None = None
    pid: int | None = None
    health: Health | None = None
    live_at: str | None = None
    ended_at: str | None = None
    previous: str | None = None
    reason: str | None = None
    restarts: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values, the same in the ledger and in ``--json``."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Release:
        """Read a record back; a field that is unknown here (a newer Shipway's) is left out."""
        known = {one.name for one in dataclasses.fields(cls)}
        values = {name: value for name, value in data.items() if name in known}
        values["status"] = Status(values["status"])
        values["start"] = tuple(values.get("start", ()))
        values["environment"] = tuple(values.get("environment", ()))
        if values.get("health") is not None:
            values["health"] = Health(**values["health"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient the supervisor is; all in seconds, ``restarts`` within ``crash_window``."""

    healthy_within: float = 30.0
    observe: float = 0.5
    probe_every: float = 0.1
    probe_timeout: float = 2.0
    drain: float = 30.0
    stop: float = 5.0
    restarts: int = 3
    crash_window: float = 60.0
    backoff: float = 0.2
    backoff_cap: float = 5.0
    watch_every: float = 5.0
    watch_failures: int = 3


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What must be so for a service, whether or not its supervisor lives.

    ``line`` holds the good releases, oldest first: the last one is live (unless ``stopped``), the
    one before it is where a rollback goes. A release that failed after its switch leaves the line.
    """

    port: int = 0
    line: tuple[str, ...] = ()
    stopped: bool = True
    reason: str | None = None
    timing: Timing = field(default_factory=Timing)

    @property
    def live(self) -> str | None:
        return self.line[-1] if self.line and not self.stopped else None

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ServiceState:
        return cls(
            port=int(data["port"]),
            line=tuple(data["line"]),
            stopped=bool(data["stopped"]),
            reason=data.get("reason"),
            timing=Timing(**data.get("timing", {})),
        )


def release_id(service: str, run: str, commit: str) -> str:
    """The same deploy always has the same id, so that repeating it cannot make a second release."""
    words = f"{service}\0{run}\0{commit}"
    return "r-" + hashlib.sha256(words.encode()).hexdigest()[:12]


def check_service(name: str) -> str:
    """The name, once it is known to be safe as a directory; raises UsageError."""
    if not _SERVICE.fullmatch(name):
        raise UsageError(
            "the name of the service cannot be used",
            hint="lower-case letters, digits, '.', '_' and '-', 63 at most, a letter or digit first",
        )
    return name


def is_release_id(text: str) -> bool:
    return _RELEASE.fullmatch(text) is not None
