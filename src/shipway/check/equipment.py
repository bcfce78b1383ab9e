"""What a check works with: fence, environments, a shelf for logs, and who is told how it goes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from shipway.config import Settings, prepare
from shipway.contracts.model import ArtifactRef
from shipway.flags.flags import Flags
from shipway.store.artifacts import ArtifactStore
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Fence, Limits


class Logs(Protocol):
    """Where logs are kept, and read again to be shown."""

    def put(self, data: bytes, name: str, media_type: str) -> ArtifactRef: ...

    def read(self, ref: ArtifactRef) -> bytes: ...

    def verify(self, ref: ArtifactRef) -> bool: ...


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a check works with. ``place`` is a directory of ours that it may fill and clear.

    ``python`` is what environments are built with; ``at_once`` how many gates run side by side;
    ``patience`` what one run of the tests may use, None for the usual.
    ``flags`` may switch a new gate off.
    """

    fence: Fence
    environments: Environments
    shelf: Logs
    place: Path
    python: Path
    at_once: int = 2
    patience: Limits | None = None
    flags: Flags = field(default_factory=Flags)


def equipment(settings: Settings) -> Equipment:
    """What the settings describe; all that checks keep lies below ``checks`` in the state directory.

    Raises ConfigurationError when that cannot be used.
    """
    prepare(settings)
    place = settings.home / "checks"
    fence = Fence(settings.fence, hidden=(settings.home,))
    return Equipment(
        fence=fence,
        environments=Environments(settings.cache, fence, settings.python),
        shelf=ArtifactStore(place / "logs"),
        place=place,
        python=settings.python,
        at_once=max(1, min(settings.max_attempts_at_once, len(os.sched_getaffinity(0)))),
    )


@dataclass(frozen=True, slots=True)
class Ears:
    """Who is told in a few words what goes on, and how to stop it."""

    say: Callable[[str], None] = lambda _line: None
    cancel: threading.Event = field(default_factory=threading.Event)
