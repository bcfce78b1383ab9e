"""Times a stage, its hand-out and pages of lists beside many finished runs, against beside few."""

from __future__ import annotations

import argparse
import json
import queue
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from heart import SEVEN, Heart, NoopRequest, NoopResult

from shipway.agents.agent import Desk
from shipway.engine.ids import run_id
from shipway.engine.intake import Ready
from shipway.store import listing, runs
from shipway.store.listing import Filter
from shipway.telemetry.logs import configure
from shipway.telemetry.trace import new

FEW, MANY = 1_000, 100_000
ASKED = {"stage": 1.25, "dispatch": 1.25, "page": 2.0}
_COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
_NAME = "'0bench' || (10000000 + i)"


def fill(heart: Heart, count: int) -> None:
    """Make ``count`` finished runs out of one that really ran, with all its events and orders."""
    with heart.database.writing() as connection:
        (pattern,) = connection.execute("SELECT id FROM runs ORDER BY number LIMIT 1").fetchone()
        connection.execute(
            f"{_COUNT} INSERT INTO runs (id, number, status, pipeline, pipeline_name, title, trace,"  # noqa: S608 - our own words
            " submission, state, due, created_at, ended_at, seq)"
            f" SELECT {_NAME}, 1000000 + i, CASE WHEN i % 50 = 0 THEN 'failed' ELSE status END,"
            " pipeline, pipeline_name, title, trace, submission, state, due, created_at, ended_at + i,"
            " seq FROM n, runs WHERE id = ?",
            (count, pattern),
        )
        connection.execute(
            f"{_COUNT} INSERT INTO events (run, seq, at, type, data)"  # noqa: S608 - our own words
            f" SELECT {_NAME}, seq, at, type, data FROM n, events WHERE run = ? ORDER BY i, seq",
            (count, pattern),
        )
        connection.execute(
            f"{_COUNT} INSERT INTO orders (run, stage, attempt, token, status, deliveries, task,"  # noqa: S608 - our own words
            f" outcome) SELECT {_NAME}, stage, attempt, token, status, deliveries, task, outcome"
            " FROM n, orders WHERE run = ? ORDER BY i",
            (count, pattern),
        )
        connection.set_sequences()


class Stopwatch:
    """Notes when the agent of a heart begins to work."""

    def __init__(self, heart: Heart) -> None:
        self._heart = heart
        self._began: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._work = heart.agent.perform
        heart.agent.perform = self._perform  # type: ignore[method-assign]

    async def _perform(self, request: NoopRequest, desk: Desk) -> NoopResult:
        self._began.put(time.perf_counter())
        return await self._work(request, desk)

    def dispatch(self, times: int) -> float:
        """Median seconds from handing a run in to its first stage at work."""
        took = []
        for _ in range(times):
            while not self._began.empty():
                self._began.get()
            ready = Ready(run_id(time.time()), new(), "bench", SEVEN, self._heart.values)
            began = time.perf_counter()
            self._heart.engine.writer.submit(ready)
            took.append(self._began.get(timeout=10.0) - began)
            self._heart.wait({ready.run: began}, [])
        return statistics.median(took)


def pages(heart: Heart) -> dict[str, Callable[[], Any]]:
    """Ways to ask for fifty: at the head, deep in the list, filtered, and of all events."""

    def list_of(wanted: Filter, after: str | None, sort: Any = "newest") -> Callable[[], Any]:
        def ask() -> None:
            with heart.database.reading() as connection:
                listing.page(connection, wanted, sort=sort, after=after)

        return ask

    def feed(after: int) -> Callable[[], Any]:
        def ask() -> None:
            with heart.database.reading() as connection:
                runs.feed(connection, after, 50)

        return ask

    deep = f"{1_000_000 + FEW // 2}:{1_000_000 + FEW // 2}"
    with heart.database.reading() as connection:
        (last,) = connection.execute("SELECT max(position) FROM events").fetchone()
    return {
        "page: newest": list_of(Filter(), None),
        "page: deep in the list": list_of(Filter(), deep),
        "page: of a pipeline": list_of(Filter(pipeline="seven"), deep),
        "page: of two states": list_of(Filter(statuses=("failed", "succeeded")), deep),
        "page: by their end": list_of(Filter(), None, "last ended"),
        "page: events of all runs": feed(last - 1000),
    }


def median(ask: Callable[[], Any], times: int) -> float:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def measure(few: Heart, many: Heart, seconds: float) -> list[dict[str, Any]]:
    """Both in turns, so that a machine that slows down slows both."""
    samples: dict[str, tuple[list[float], list[float]]] = {}

    def take(name: str, which: int, value: float) -> None:
        samples.setdefault(name, ([], []))[which].append(value)

    both = (few, many)
    asked = [pages(heart) for heart in both]
    watches = [Stopwatch(heart) for heart in both]
    for turn in range(6):
        for which in (0, 1) if turn % 2 else (1, 0):
            heart = both[which]
            take("stage", which, heart.many(1, seconds / 6)[1])
            take("dispatch", which, watches[which].dispatch(15))
            for name, ask in asked[which].items():
                take(name, which, median(ask, 20))
    rows = []
    for name, (small, large) in samples.items():
        a, b = statistics.median(small), statistics.median(large)
        rows.append(
            {
                "what": name,
                "few_ms": round(a * 1000, 3),
                "many_ms": round(b * 1000, 3),
                "ratio": round(b / a, 2),
                "asked": ASKED[name.split(":")[0]],
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=MANY, help="finished runs in the large one")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of each measurement")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shipway-bench-") as name:
        configure("info", Path(name) / "shipway.jsonl")
        hearts = []
        for folder, count in (("few", FEW), ("many", options.runs)):
            (Path(name) / folder).mkdir()
            heart = Heart(Path(name) / folder)
            heart.many(1, 0.3)
            fill(heart, count)
            hearts.append(heart)
        try:
            rows = measure(*hearts, options.seconds)
        finally:
            for heart in hearts:
                heart.close()
    if options.json:
        print(json.dumps({"runs": options.runs, "rows": rows}, indent=2))
        return
    print(f"{'':26}  {FEW} runs  {options.runs} runs  ratio  asked")
    for row in rows:
        print(
            f"{row['what']:26}  {row['few_ms']:6} ms  {row['many_ms']:8} ms  {row['ratio']:5}"
            f"  {row['asked']:5}"
        )


if __name__ == "__main__":
    main()
