"""Whole commands over PostgreSQL: ``shipway serve`` with workers, and agents of other packages."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from nursery import COMMANDS, Process

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]

PIPELINE = """
name: look
version: 1
title: Look at a repository, change nothing
takes: change
stages:
  - id: plan
    capability: plan
    agent: {agent}
    inputs:
      requirement: run.requirement
      kind: run.kind
      claim: run.claim
      base: run.base
      target: run.target
"""
AGENT = """
from shipway.agents.agent import Desk
from shipway.contracts.plan import PlanRequest, PlanResult
from shipway.domain.states import Claim


class Looker:
    capability = "plan"
    name = "looker"

    def perform(self, request: PlanRequest, desk: Desk) -> PlanResult:
        kept = desk.artifacts.put(b"looked at", "plan.md", "text/markdown")
        return PlanResult(
            kind="change", plan=kept, readable=kept, digest=kept.sha256, name="looked",
            title="by somebody else's agent", claim=Claim.CHORE,
        )
"""


@pytest.fixture
def fleet(shipway_postgres_url: str, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "home").mkdir(exist_ok=True)
    return {
        "SHIPWAY_HOME": str(tmp_path / "home"),
        "SHIPWAY_CACHE": str(tmp_path / "cache"),
        "SHIPWAY_DATABASE_URL": shipway_postgres_url,
        "SHIPWAY_WORKER_BEAT_S": "0.5",
        "SHIPWAY_WORKER_GRACE_S": "2",
        "PYTHONPATH": str(ROOT / "src"),
    }


@contextmanager
def started(fleet: Mapping[str, str], *words: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A command that stays, and the JSON that it says once it is ready."""
    process = COMMANDS.start(
        ["-m", "shipway", *words, "--json"],
        env=os.environ | dict(fleet),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process, _said(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _said(process: Process) -> dict[str, Any]:
    """The first document on its output."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        with contextlib.suppress(json.JSONDecodeError):
            said: dict[str, Any] = json.loads(text)
            return said
    raise AssertionError(f"it ended: {text}")


def submitted(
    shipway: Run, fleet: Mapping[str, str], repository: Path, agent: str = "repository"
) -> str:
    pipeline = repository.parent / f"{agent}.yaml"
    pipeline.write_text(PIPELINE.format(agent=agent))
    done = shipway(
        *("run", "--repo", str(repository), "--requirement", "look", "--claim", "chore"),
        *("--agent", "implement=command:true", "--pipeline", str(pipeline), "--detach", "--json"),
        env=fleet,
    )
    assert done.returncode == 0, done.stderr
    run: str = json.loads(done.stdout)["summary"]["id"]
    return run


def ended(shipway: Run, fleet: Mapping[str, str], run: str) -> dict[str, Any]:
    give_up = time.monotonic() + 60
    while True:
        found: dict[str, Any] = json.loads(shipway("run", "view", run, "--json", env=fleet).stdout)
        if found["summary"]["status"] in {"succeeded", "failed", "cancelled"}:
            return found
        assert time.monotonic() < give_up, found
        time.sleep(0.2)


@pytest.mark.slow
def test_servers_over_postgresql_carry_runs_one_after_the_other_was_killed(
    shipway: Run, fleet: dict[str, str], git_repository: Callable[..., Path]
) -> None:
    repository = git_repository({"a.py": "A = 1\n"})
    with started(fleet, "serve", "--port", "0") as (first, _), started(fleet, "worker"):
        run = submitted(shipway, fleet, repository)
        found = ended(shipway, fleet, run)
        assert found["summary"]["status"] == "succeeded", found["stop"]
        first.send_signal(signal.SIGKILL)
        first.wait()
        left = submitted(shipway, fleet, repository)
        with started(fleet, "serve", "--port", "0") as (second, _):
            found = ended(shipway, fleet, left)
            assert found["summary"]["status"] == "succeeded", found["stop"]
            second.send_signal(signal.SIGTERM)
            assert second.wait(30) in {0, 143}


def test_an_agent_of_another_package_does_the_stages_that_name_it(
    shipway: Run, fleet: dict[str, str], git_repository: Callable[..., Path], tmp_path: Path
) -> None:
    """The package is installed as pip leaves it: a module, and its entry points beside it."""
    installed = tmp_path / "site"
    about = installed / "looker-1.0.dist-info"
    about.mkdir(parents=True)
    (installed / "looker.py").write_text(AGENT)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: looker\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[shipway.agents]\nlooker = looker:Looker\n")
    repository = git_repository({"a.py": "A = 1\n"})
    theirs = fleet | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{installed}"}
    with ExitStack() as stack:
        stack.enter_context(started(theirs, "dev"))
        listed = json.loads(shipway("agent", "list", "--json", env=fleet).stdout)
        assert ("plan", "looker") in {(one["capability"], one["name"]) for one in listed}
        found = ended(shipway, fleet, submitted(shipway, theirs, repository, "looker"))
        assert found["summary"]["status"] == "succeeded", found["stop"]
        assert found["stages"][0]["result"]["title"] == "by somebody else's agent"
