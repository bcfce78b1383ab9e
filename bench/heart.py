"""Times the heart alone: no-op stages through contracts, events and evidence, against raw commits."""

from __future__ import annotations

import argparse
import json
import os
import queue
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from shipway.agents.agent import Desk
from shipway.agents.registry import Registry
from shipway.config import load_settings
from shipway.contracts.evidence import GateReport
from shipway.contracts.model import Model
from shipway.contracts.registry import Contract
from shipway.domain.pipeline import Dependency, InputRef, Pipeline, Stage
from shipway.domain.run.events import RunEnded
from shipway.engine.advance import Committed
from shipway.engine.engine import Engine
from shipway.engine.ids import run_id
from shipway.engine.intake import Ready
from shipway.engine.pipelines.codec import sealed
from shipway.engine.places import Places
from shipway.lifecycle import settle_memory
from shipway.store.artifacts import ArtifactStore
from shipway.store.opening import prepare
from shipway.telemetry.logs import configure
from shipway.telemetry.trace import new

TREE = "1" * 40
AT = "2026-01-01T00:00:00.000000Z"
REPORT = {
    "tree": TREE,
    "selections": [
        {"gate": "noop", "selected": True, "reason": "always", "enforcement": "required"}
    ],
    "evidence": [
        {
            "gate": "noop",
            "verdict": "PASS",
            "summary": "1 looked at",
            "examined": 1,
            "command": ["true"],
            "tool": "true",
            "tool_version": "1",
            "exit_code": 0,
            "started_at": AT,
            "ended_at": AT,
            "tree": TREE,
            "fence": None,
        }
    ],
}


class NoopRequest(Model):
    seen: str = ""


class NoopResult(Model):
    said: str
    report: GateReport


NOOP = {"noop": Contract("noop", 1, NoopRequest, NoopResult)}


class Noop:
    """Does nothing and brings evidence of it."""

    capability = "noop"
    name = "noop"

    def __init__(self) -> None:
        self._result = NoopResult(
            said="done", report=GateReport.model_validate_json(json.dumps(REPORT))
        )

    async def perform(self, _request: NoopRequest, _desk: Desk) -> NoopResult:
        return self._result


def _stage(name: str, *needs: str) -> Stage:
    return Stage(
        id=name,
        capability="noop",
        agent="builtin",
        needs=tuple(Dependency(need) for need in needs),
        inputs={"seen": InputRef(needs[0], ("said",))} if needs else {},
        gates=("noop",),
    )


SEVEN = sealed(
    Pipeline(
        name="seven",
        version=1,
        digest="",
        stages=(
            _stage("plan"),
            _stage("scaffold", "plan"),
            _stage("implement", "scaffold"),
            _stage("validate", "implement"),
            _stage("e2e", "implement"),
            _stage("integrate", "validate", "e2e"),
            _stage("deploy", "integrate"),
        ),
    )
)


def raw_commits(folder: Path, seconds: float) -> tuple[float, float]:
    """Single-row commits of a bare SQLite in the same mode: (per second, median seconds)."""
    connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x TEXT)")
    times = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t (x) VALUES (?)", ("x" * 200,))
        connection.execute("COMMIT")
        times.append(time.perf_counter() - began)
    connection.close()
    return len(times) / sum(times), statistics.median(times)


def fsync_time(folder: Path) -> float:
    """Median seconds of one 4 KiB append and fsync."""
    times = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times)


class Heart:
    """An engine over a fresh database with no-op agents."""

    def __init__(self, folder: Path) -> None:
        settings = load_settings(home=folder / "home", max_attempts_at_once=64)
        settings.home.mkdir(mode=0o700)
        places = Places(settings.home)
        self.database = prepare(places.database)
        self.artifacts = ArtifactStore(places.artifacts)
        self.agent = Noop()
        self.engine = Engine(
            settings, self.database, Registry([self.agent]), self.artifacts, contracts=NOOP
        )
        requirement = self.artifacts.put(b"nothing", "requirement.md", "text/markdown")
        self.values: dict[str, Any] = {
            "requirement": requirement.model_dump(mode="json"),
            "kind": "change",
            "target": "main",
            "answers": {},
        }
        self._ended: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()
        self.engine.observers.append(self._observe)
        self.engine.start()

    def _observe(self, results: list[Committed]) -> None:
        at = time.perf_counter()
        for committed in results:
            events = () if committed.decision is None else committed.decision.events
            if events and type(events[-1]) is RunEnded:
                self._ended.put((committed.run, at))

    def many(self, at_once: int, seconds: float) -> tuple[float, float]:
        """Keep ``at_once`` runs under way: (stages per second, median seconds per stage)."""
        under_way: dict[str, float] = {}
        finished: list[float] = []
        began = time.perf_counter()
        while time.perf_counter() < began + seconds:
            while len(under_way) < at_once:
                ready = Ready(run_id(time.time()), new(), "bench", SEVEN, self.values)
                under_way[ready.run] = time.perf_counter()
                self.engine.writer.submit(ready)
            self.wait(under_way, finished)
        while under_way:
            self.wait(under_way, finished)
        total = time.perf_counter() - began
        return len(finished) * 7 / total, statistics.median(finished) / 7

    def wait(self, under_way: dict[str, float], finished: list[float]) -> None:
        run, at = self._ended.get(timeout=10.0)
        finished.append(at - under_way.pop(run))

    def close(self) -> None:
        self.engine.stop()
        self.database.close()


def measure(at_once: tuple[int, ...], seconds: float) -> dict[str, Any]:
    """The heart and raw commits in turns, so that a machine that slows down slows both."""
    with tempfile.TemporaryDirectory(prefix="shipway-bench-") as name:
        configure("info", Path(name) / "shipway.jsonl")  # as an engine process has it
        folder = Path(name)
        heart = Heart(folder)
        rows = []
        try:
            heart.many(1, 0.5)
            settle_memory()  # as an engine process does
            for count in at_once:
                before, middle_before = raw_commits(folder, seconds / 3)
                rate, per_stage = heart.many(count, seconds)
                after, middle_after = raw_commits(folder, seconds / 3)
                raw = (before + after) / 2
                commit = (middle_before + middle_after) / 2
                rows.append(
                    {
                        "at_once": count,
                        "stages_per_s": round(rate, 1),
                        "raw_commits_per_s": round(raw, 1),
                        "rate_ratio": round(rate / raw, 2),
                        "stage_p50_ms": round(per_stage * 1000, 3),
                        "commit_p50_ms": round(commit * 1000, 3),
                        "latency_ratio": round(per_stage / commit, 2),
                    }
                )
        finally:
            heart.close()
        return {"fsync_p50_ms": round(fsync_time(folder) * 1000, 3), "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    figures = measure((1, 10, 100), options.seconds)
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"fsync p50 {figures['fsync_p50_ms']} ms")
    print("at once  stages/s  raw commits/s  ratio   stage p50 ms  commit p50 ms  ratio")
    for row in figures["rows"]:
        print(
            f"{row['at_once']:7}  {row['stages_per_s']:8}  {row['raw_commits_per_s']:13}"
            f"  {row['rate_ratio']:5}   {row['stage_p50_ms']:12}  {row['commit_p50_ms']:13}"
            f"  {row['latency_ratio']:5}"
        )


if __name__ == "__main__":
    main()
