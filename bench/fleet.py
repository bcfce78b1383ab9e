"""Times a fleet: from commit to another process, what idle workers cost, how soon the dead are replaced."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS / "fleet"), str(TESTS), str(TESTS / "engine")]

import psutil  # noqa: E402 - the paths above come first
from crew import LEASE, Crew  # noqa: E402
from scripted import pipeline, stage  # noqa: E402

from servers import Postgres, Redis  # noqa: E402
from shipway.secrets import Secret  # noqa: E402

ONE = pipeline(stage("plan"))
SIX = ("plan", "scaffold", "implement", "validate", "e2e", "integrate")


def dispatch(crew: Crew, rounds: int) -> tuple[float, float]:
    """From the commit of a submission until the agent in another process begins: (p50, p99), seconds."""
    times = []
    for _ in range(rounds):
        run = crew.submit(ONE)
        committed = time.monotonic()
        crew.until(run)
        times.append(crew.ledger.of("begin", run)[0]["at"] - committed)
    times.sort()
    return statistics.median(times), times[int(len(times) * 0.99) - 1]


def idle(home: Path, url: str, seconds: float, **given: str) -> float:
    """The share of a core that a worker with six capabilities and nothing to do takes."""
    words = [word for name in SIX for word in ("--capability", name)]
    with subprocess.Popen(
        [sys.executable, "-m", "shipway", "worker", *words],
        env={**os.environ, "SHIPWAY_HOME": str(home), "SHIPWAY_DATABASE_URL": url, **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        if process.stdout is not None:
            process.stdout.readline()
        watched = psutil.Process(process.pid)
        time.sleep(2.0)
        before = watched.cpu_times()
        time.sleep(seconds)
        after = watched.cpu_times()
        process.terminate()
    return (after.user + after.system - before.user - before.system) / seconds


def connections(process: subprocess.Popen[bytes], port: int) -> int:
    """How many a process holds to the server at a port of this machine."""
    found = psutil.Process(process.pid).net_connections("tcp")
    return sum(bool(one.raddr) and one.raddr.port == port for one in found)


def in_hand(crew: Crew) -> tuple[subprocess.Popen[bytes], str]:
    """A worker that is at a run's only stage, which the others there would take as well."""
    for view in crew.roll.workers():
        if view.kind == "worker":
            crew.roll.drain(view.id, draining=True)
    busy = crew.worker(pause=60)
    crew.ready(busy)
    run = crew.submit(ONE)
    crew.eventually(lambda: bool(crew.ledger.of("begin", run)))
    for view in crew.roll.workers():
        if view.kind == "worker" and view.pid != busy.pid:
            crew.roll.drain(view.id, draining=False)
    return busy, run


def again(crew: Crew, run: str) -> float:
    """When the run's stage is begun by the next worker."""
    crew.eventually(lambda: len(crew.ledger.of("begin", run)) == 2, within=60)
    return float(crew.ledger.of("begin", run)[1]["at"])


def take_over(crew: Crew) -> float:
    """Seconds from the kill of a worker until another begins what it had in hand."""
    dying, run = in_hand(crew)
    dying.kill()
    killed = time.monotonic()
    return again(crew, run) - killed


def hand_back(crew: Crew) -> float:
    """Seconds from the end of a worker's grace until another begins what it could not finish."""
    leaving, run = in_hand(crew)
    leaving.send_signal(signal.SIGTERM)
    crew.eventually(
        lambda: any(one.pid == leaving.pid and one.draining for one in crew.roll.workers())
    )
    leaving.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    return again(crew, run) - asked


def main() -> None:
    with (
        Postgres() as server,
        Redis() as cache,
        tempfile.TemporaryDirectory(prefix="shipway-bench-") as place,
        tempfile.TemporaryDirectory() as sockets,
    ):
        home = Path(place) / "home"
        home.mkdir()
        url = server.create()
        given = {"redis_url": Secret(cache.url)}
        with Crew(home, Path(place) / "cache", url, Path(sockets), **given) as crew:
            crew.started = True
            engine, worker = crew.engine(), crew.worker()
            crew.ready(engine, worker)
            named = {"engine": engine, "worker of two capabilities": worker}

            def held() -> str:
                return ", ".join(
                    f"{name} {connections(one, server.port)} + {connections(one, cache.port)}"
                    for name, one in named.items()
                )

            idle_held = held()
            dispatch(crew, 10)
            middle, late = dispatch(crew, 200)
            busy_held = held()
            replaced = take_over(crew)
            handed = sorted(hand_back(crew) for _ in range(3))
        share = idle(home, url, 15.0)
        shared = idle(home, url, 15.0, SHIPWAY_REDIS_URL=cache.url)
    print(f"commit to begin elsewhere  p50 {middle * 1000:.1f} ms  p99 {late * 1000:.1f} ms")
    print(f"idle worker, six capabilities  {share * 100:.2f} % of a core")
    print(f"the same with Redis  {shared * 100:.2f} % of a core")
    print(f"connections to PostgreSQL + Redis, before any work  {idle_held}")
    print(f"connections to PostgreSQL + Redis, after 210 stages  {busy_held}")
    print(f"take-over after kill -9  {replaced:.1f} s with a lease of {LEASE:g} s")
    print(f"hand-back when the grace is over  {handed[1]:.2f} s  (promised: within 2)")


if __name__ == "__main__":
    main()
