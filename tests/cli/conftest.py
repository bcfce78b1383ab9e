"""Runs as the command line shows them: real views, built by name."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from shipway.contracts.envelope import ErrorReport
from shipway.contracts.model import ArtifactRef
from shipway.contracts.views import AskView, GateView, RunDetail, RunSummary, StageView, StopView
from shipway.domain.states import Claim, RunStatus, StageStatus

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


@pytest.fixture
def make_run() -> Callable[..., RunDetail]:
    """Builds runs: ``make_run("failed", [stage("plan", "passed")], asks=[...])``."""

    def make(
        status: str = "running", stages: list[StageView] | None = None, **given: Any
    ) -> RunDetail:
        stages = [stage(name) for name in STAGES] if stages is None else stages
        summary = RunSummary(
            id=given.pop("id", "01RUN"),
            number=given.pop("number", 12),
            status=RunStatus(status),
            pipeline="service",
            title=given.pop("title", "Library API"),
            claim=Claim.FEATURE,
            repository=given.pop("repository", "/home/ada/library"),
            created_at=START,
            ended_at=None,
            seconds=given.pop("seconds", 102.0),
            stages={one.id: one.status for one in stages},
        )
        values: dict[str, Any] = {
            "summary": summary,
            "pipeline_version": 1,
            "pipeline_digest": "0" * 64,
            "requirement": ArtifactRef(
                name="api.yaml", sha256="0" * 64, size=10, media_type="application/yaml"
            ),
            "requirement_kind": "specification",
            "target": "main",
            "trace": "4bf92f3577b34da6a3ce929d0e0e4736",
            "submission": {},
            "stages": stages,
            "asks": [],
            "stop": None,
            "artifacts": [],
        }
        return RunDetail(**(values | given))

    return make


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
