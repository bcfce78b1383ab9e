"""Runs as the command line shows them."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from shipway.cli.boundary import obey
from shipway.contracts.model import ArtifactRef
from shipway.contracts.views import RunDetail, RunSummary, StageView
from shipway.domain.states import Claim, RunStatus

sys.path.insert(0, str(Path(__file__).parent))

from shown import STAGES, START, stage


class Said(NamedTuple):
    """What a command said and its exit code, by the names of a finished process."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Runs a command line in this process, for tests that say many: ``here("run", "list")``."""

    def say(*words: str) -> Said:
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", out)
            patch.setattr("sys.stderr", err)
            code = obey(words)
        return Said(code, _text(out), _text(err))

    return say


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


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
            repository=given.pop("repository", "/srv/ada/library"),
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
