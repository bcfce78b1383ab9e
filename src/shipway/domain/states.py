"""The one vocabulary of states: database, API, command line and pages all use these words."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"

    @property
    def is_final(self) -> bool:
        return self in FINAL_RUN


class StageStatus(StrEnum):
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

    @property
    def is_final(self) -> bool:
        return self in FINAL_STAGE


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
    {
        StageStatus.PASSED,
        StageStatus.FAILED,
        StageStatus.SKIPPED,
        StageStatus.CANCELLED,
        StageStatus.INVALIDATED,
    }
)

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
