"""Runs as the command line shows them."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

import pytest

from shipway.cli.boundary import carry
from shipway.contracts.model import ArtifactRef
from shipway.contracts.views import RunDetail, RunSummary, StageView
from shipway.domain.states import Claim, RunStatus
from shipway.errors import ExitCode

sys.path.insert(0, str(Path(__file__).parent))

from shown import STAGES, START, stage


class Said(NamedTuple):
    """What a command said and its exit code, by the names of a finished process."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def here(home: Path) -> Callable[..., Said]:
    """Runs a command line in a copy of this process: ``here("run", "list")``.

    It is the command with its own streams and signals, without the second that its imports take:
    for tests that say many.
    """

    def say(*words: str) -> Said:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = os.fork()
            if child == 0:
                _become(words, out.fileno(), err.fileno())
            _, status = os.waitpid(child, 0)
            return Said(os.waitstatus_to_exitcode(status), _text(out), _text(err))

    return say


def _become(words: Sequence[str], out: int, err: int) -> NoReturn:
    code = ExitCode.BUG
    try:
        for number, stream in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
            os.dup2(number, stream)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
        code = carry(words)
    except BaseException:  # noqa: BLE001 - whatever it is must not go on as a second pytest
        traceback.print_exc()
    finally:
        os._exit(code)


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode()


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
