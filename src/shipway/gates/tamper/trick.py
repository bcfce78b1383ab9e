"""What the tamper gate finds: a clear trick, something for a person to decide, or routine worth telling."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from shipway.contracts.evidence import Finding
from shipway.gates.parsers.reading import short


class Level(IntEnum):
    """How much a finding weighs, the heaviest last."""

    NOTE = 0
    ASK = 1
    REJECT = 2


SEVERITIES: dict[Level, Literal["error", "warning", "note"]] = {
    Level.REJECT: "error", Level.ASK: "warning", Level.NOTE: "note",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trick:
    """One place in the candidate, or on the base for what is gone, and what is odd about it."""

    level: Level
    rule: str
    message: str
    path: str
    line: int | None = None
    reproduce: str | None = None

    def finding(self) -> Finding:
        return Finding(
            rule=self.rule,
            message=short(self.message),
            path=self.path,
            line=self.line,
            severity=SEVERITIES[self.level],
            reproduce=self.reproduce,
        )
