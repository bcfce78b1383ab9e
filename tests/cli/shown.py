"""Builders of what the command line shows: real views by name, and a stand-in for a terminal."""

from __future__ import annotations

import io
from typing import Any

from shipway.contracts.envelope import ErrorReport
from shipway.contracts.views import AskView, GateView, StageView, StopView
from shipway.domain.states import StageStatus

START = "2026-01-02T03:04:05Z"
STAGES = ("plan", "scaffold", "validate", "e2e", "integrate", "deploy")


def gate(name: str, verdict: str | None = "PASS", **given: Any) -> GateView:
    values = {
        "gate": name,
        "selected": True,
        "verdict": verdict,
        "enforcement": "required",
        "examined": 3,
        "summary": "3 files",
    }
    return GateView(**(values | given))


def stage(name: str, status: str = "pending", **given: Any) -> StageView:
    values: dict[str, Any] = {
        "id": name,
        "capability": name,
        "agent": "default",
        "status": StageStatus(status),
        "attempt": 0 if status == "pending" else 1,
        "needs": [],
    }
    return StageView(**(values | given))


def ask(**given: Any) -> AskView:
    values: dict[str, Any] = {
        "id": "accept-unimplemented",
        "run": "01RUN",
        "stage": "integrate",
        "kind": "decision",
        "question": "Deploy without 2 operations that cannot be implemented?",
        "why": "GET /search needs a full-text index",
        "options": ["approve", "reject"],
        "default": "reject",
        "deadline": "2099-01-01T00:00:00Z",
        "subject": "0" * 64,
    }
    return AskView(**(values | given))


def report(message: str, **given: Any) -> ErrorReport:
    return ErrorReport(**({"code": "GATE", "category": "permanent", "message": message} | given))


def stopped(code: str, message: str, *commands: str, hint: str | None = None) -> StopView:
    return StopView(code=code, message=message, hint=hint, next_commands=list(commands))


class Terminal(io.StringIO):
    """Text that is taken for a terminal of a given width; what was written can be read back."""

    encoding = "utf-8"  # type: ignore[assignment]  # StringIO has none

    def __init__(self, *, tty: bool = True, encoding: str = "utf-8") -> None:
        super().__init__()
        self._tty = tty
        self.encoding = encoding

    def isatty(self) -> bool:
        return self._tty
