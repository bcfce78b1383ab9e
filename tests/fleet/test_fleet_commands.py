"""The commands of a fleet as operators type them: worker, agent, and what a submission is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from nursery import COMMANDS, Process, started_process

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def fleet(postgres_url: str, tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    return {
        "SHIPWAY_HOME": str(home),
        "SHIPWAY_CACHE": str(tmp_path / "cache"),
        "SHIPWAY_DATABASE_URL": postgres_url,
        "SHIPWAY_WORKER_BEAT_S": "0.5",
        "SHIPWAY_WORKER_GRACE_S": "5",
        "PYTHONPATH": str(ROOT / "src"),
    }


@contextmanager
def started(
    fleet: dict[str, str], *words: str, start: Callable[..., Process] = COMMANDS.start
) -> Iterator[Process]:
    """The command while it runs, once it has said its first line."""
    process = start(
        ["-m", "shipway", *words],
        env=os.environ | fleet,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def first_line(process: Process) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    return line


def first_document(process: Process) -> str:
    """What a command says with --json, which takes several lines."""
    said = first_line(process)
    while not said.endswith("}\n"):
        said += first_line(process)
    return said


def eventually_ready(health: str) -> bool:
    """Whether a worker's own endpoint says that it lives, and soon that it may have work."""
    with httpx.Client(trust_env=False, timeout=10) as http:
        assert http.get(health).json() == {"status": "pass"}
        deadline = time.monotonic() + 20
        while (ready := http.get(f"{health}/ready")).status_code != 200:
            assert time.monotonic() < deadline, ready.text
            time.sleep(0.05)
        checks = http.get(f"{health}/detailed").json()["checks"]
        assert {"agents:registry", "process:event_loop"} <= checks.keys()
        return "shipway_event_loop_lag" in http.get(health.replace("health", "metrics")).text


def workers_seen(shipway: Run, fleet: dict[str, str]) -> int:
    """How many workers the health of the whole counts."""
    done = shipway("health", "--json", env=fleet)
    seen: int = json.loads(done.stdout)["checks"]["workers:alive"][0]["observedValue"]
    return seen


def listed(shipway: Run, fleet: dict[str, str], *words: str) -> list[dict[str, Any]]:
    done = shipway(*words, "--json", env=fleet)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_workers_are_listed_drained_and_resumed_and_end_in_good_order(
    shipway: Run, fleet: dict[str, str], git_repository: Callable[..., Path]
) -> None:
    words = ("worker", "--capability", "plan", "--concurrency", "2", "--json")
    with started(fleet, *words, start=started_process) as worker:
        told = json.loads(first_document(worker))
        assert told["serves"] == ["plan"]
        assert eventually_ready(told["health"])
        assert workers_seen(shipway, fleet) == 1
        (one,) = listed(shipway, fleet, "worker", "list")
        assert (one["kind"], one["alive"], one["draining"]) == ("worker", True, False)
        assert one["serves"][0]["capability"] == "plan"
        assert one["serves"][0]["limit"] == 2
        assert {agent["name"] for agent in listed(shipway, fleet, "agent", "list")} >= {
            "openapi",
            "repository",
        }
        (drained,) = listed(shipway, fleet, "agent", "drain", "plan")
        assert drained["draining"]
        (resumed,) = listed(shipway, fleet, "agent", "resume", one["id"][:8])
        assert not resumed["draining"]
        repository = git_repository({"a.txt": "a\n"})
        patch = repository.parent / "p.patch"
        patch.write_text("--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+b\n")
        submitted = shipway(
            *("run", "--repo", str(repository), "--requirement", "b", "--claim", "chore"),
            *("--patch", str(patch), "--detach"),
            env=fleet,
        )
        assert submitted.returncode == 0, submitted.stderr
        assert "no engine is there now" in submitted.stderr
        assert "no worker for implement" in submitted.stderr
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 143
    assert workers_seen(shipway, fleet) == 0
    assert listed(shipway, fleet, "worker", "list") == []


def test_an_engine_and_its_workers_in_one_process(shipway: Run, fleet: dict[str, str]) -> None:
    with started(fleet, "dev") as dev:
        assert "carrying the runs of PostgreSQL" in first_line(dev)
        kinds = [one["kind"] for one in listed(shipway, fleet, "worker", "list")]
        assert sorted(kinds) == ["engine", "worker"]
        dev.send_signal(signal.SIGINT)
        assert dev.wait(20) == 130


def test_another_state_directory_is_refused_with_the_remedy(
    shipway: Run, fleet: dict[str, str], tmp_path: Path
) -> None:
    assert shipway("worker", "list", env=fleet).returncode == 0
    with started(fleet, "worker") as worker:
        first_line(worker)
        other = tmp_path / "other"
        other.mkdir()
        refused = shipway("worker", env={**fleet, "SHIPWAY_HOME": str(other)})
        assert refused.returncode == 78
        assert "shared directory" in refused.stderr


def test_what_cannot_be_is_said_with_what_to_do(shipway: Run, fleet: dict[str, str]) -> None:
    unknown = shipway("worker", "--capability", "fly", env=fleet)
    assert unknown.returncode == 2
    assert "choose from: plan" in unknown.stderr
    alone = shipway("worker")
    assert alone.returncode == 78
    assert "SHIPWAY_DATABASE_URL" in alone.stderr
    nobody = shipway("agent", "drain", "deploy", env=fleet)
    assert nobody.returncode == 6
    assert "shipway worker list" in nobody.stderr
