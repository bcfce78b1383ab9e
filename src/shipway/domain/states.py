"""The one vocabulary of states: database, API, command line and pages all use these words."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """``is_final``: nothing moves a run out of it but a person who sends it back."""

    is_final: bool

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"


class StageStatus(StrEnum):
    """``is_final``: the stage is over, unless its run is sent back."""

    is_final: bool

    PENDING = "pending"
    READY = "ready"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    INVALIDATED = "invalidated"


class Claim(StrEnum):
    """What a change says it is; the words are those of Conventional Commits."""

    FIX = "fix"
    FEATURE = "feature"
    REFACTOR = "refactor"
    CHORE = "chore"


FINAL_RUN = frozenset(
    {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.QUARANTINED}
)
FINAL_STAGE = frozenset(
    {StageStatus.PASSED, StageStatus.FAILED, StageStatus.SKIPPED, StageStatus.CANCELLED}
)
# Set once on the members: the reducer asks at every step, and asking a set hashes in Python.
for _run in RunStatus:
    _run.is_final = _run in FINAL_RUN
for _stage in StageStatus:
    _stage.is_final = _stage in FINAL_STAGE

# One icon for each word, the same in terminal, report and pages; a word always stands beside it.
ICONS: dict[str, str] = {
    "pending": "·",
    "ready": "…",
    "queued": "…",
    "running": "▶",
    "waiting": "✋",
    "paused": "‖",
    "passed": "✓",
    "succeeded": "✓",
    "failed": "✕",
    "skipped": "–",  # noqa: RUF001 - the dash of the glossary
    "cancelled": "⊘",
    "invalidated": "↺",
    "quarantined": "⚠",
}
