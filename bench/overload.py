"""Offers a server 4 and 10 times what it can do: what it still does, as a share of its capacity.

The server has a core of its own, and so have the callers, also when its capacity is found: the share
speaks of the server alone. The callers send on at the rate that they were told, whatever is answered; an
answer counts when it is a 200 within the deadline. What connecting them costs is not counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS / "service"), str(TESTS)]

import psutil  # noqa: E402 - the paths above come first
from serving import Served, serving  # noqa: E402 - the paths above come first

from gitcalls import git  # noqa: E402

DEADLINE, SECONDS, ROUNDS, RUNS = 1.0, 3.0, 1, 40
ASKED = "/api/v1/runs?limit=40"
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_TICK, _HEALTH_EVERY = 0.002, 0.02
_CONNECTED = "connected\n"


@dataclass
class Counts:
    """What became of the requests, and after how many seconds."""

    good: list[float] = field(default_factory=list)
    late: int = 0
    shed: list[float] = field(default_factory=list)
    without_hint: int = 0
    other: int = 0
    unsent: int = 0
    health: list[float] = field(default_factory=list)
    health_bad: int = 0
    processor: float = 0.0
    """Seconds of it that the server took."""

    @property
    def rate(self) -> float:
        return len(self.good) / SECONDS

    @property
    def cheapness(self) -> float:
        """Good answers for a second of the processor: also right where others take their share of it."""
        return len(self.good) / self.processor

    def took(self, status: bytes, head: bytes, seconds: float) -> None:
        if status == b"200":
            if seconds <= DEADLINE:
                self.good.append(seconds)
            else:
                self.late += 1
        elif status == b"503":
            self.shed.append(seconds)
            self.without_hint += b"retry-after: " not in head.lower()
        else:
            self.other += 1


class Line(asyncio.Protocol):
    """One connection with one request at a time; ``done`` hears of each answer."""

    def __init__(self, done: Any) -> None:
        self._done = done
        self._got = b""
        self.since = 0.0
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, request: bytes, since: float) -> None:
        self.since = since
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return
        found = _LENGTH.search(self._got, 0, end)
        length = int(found[1]) if found else 0
        if len(self._got) - end - 4 < length:
            return
        head, self._got = self._got[:end], b""
        self._done(self, head, time.monotonic() - self.since)

    def connection_lost(self, exc: Exception | None) -> None:
        self._done(self, None, 0.0)


class Callers:
    """``lines`` connections to the server; ``rate`` None asks again as soon as it is answered."""

    def __init__(self, given: dict[str, Any]) -> None:
        place = urlsplit(given["url"])
        self._place = (str(place.hostname), int(place.port or 80))
        head = f" HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {given['token']}\r\n\r\n"
        self._request = f"GET {ASKED}{head}".encode()
        self._rate, self._lines = given["rate"], given["lines"]
        self._until = 0.0
        self.counts = Counts()
        self._idle: list[Line] = []
        self._waiting: deque[float] = deque()

    async def connect(self) -> None:
        await asyncio.gather(*(self._connect() for _ in range(self._lines)))

    async def work(self, seconds: float) -> Counts:
        began = time.monotonic()
        self._until = began + seconds
        sent = 0
        if self._rate is None:
            for line in [self._idle.pop() for _ in range(len(self._idle))]:
                line.ask(self._request, time.monotonic())
            await asyncio.sleep(seconds)
        else:
            while (now := time.monotonic()) < self._until:
                due = int((now - began) * self._rate)
                self._waiting.extend([now] * (due - sent))
                sent = due
                self._send(now)
                await asyncio.sleep(_TICK)
        self.counts.unsent += len(self._waiting)
        return self.counts

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(lambda: Line(self._answered), *self._place)
        self._idle.append(line)

    def _send(self, now: float) -> None:
        waiting = self._waiting
        while waiting and now - waiting[0] > DEADLINE:
            waiting.popleft()  # whoever waited so long has gone
            self.counts.unsent += 1
        while waiting and self._idle:
            self._idle.pop().ask(self._request, waiting.popleft())

    def _answered(self, line: Line, head: bytes | None, seconds: float) -> None:
        now = time.monotonic()
        if now >= self._until:
            return
        if head is None:
            asyncio.get_running_loop().create_task(self._connect())
            return
        self.counts.took(head[9:12], head, seconds)
        if b"connection: close" in head.lower():
            line.transport.close()
        elif self._rate is None:
            line.ask(self._request, now)
        else:
            self._idle.append(line)
            self._send(now)


class Prober(threading.Thread):
    """Asks ``/health`` on a connection that is kept, as a balancer does it, and is busy with nothing else."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        place = urlsplit(url)
        self._place = (str(place.hostname), int(place.port or 80))
        self.over = threading.Event()
        self.times: list[float] = []
        self.bad = 0

    def run(self) -> None:
        with socket.create_connection(self._place, timeout=10) as line:
            while not self.over.wait(_HEALTH_EVERY):
                began = time.monotonic()
                line.sendall(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
                answer = b""
                while not answer.endswith(b"}"):
                    answer += line.recv(4096)
                self.times.append(time.monotonic() - began)
                self.bad += not answer.startswith(b"HTTP/1.1 200")

    def end(self) -> None:
        self.over.set()
        self.join(10)


class Bench:
    """Lets a process of callers work on a server."""

    def __init__(self, served: Served) -> None:
        self._given = {"url": served.url, "token": served.token}
        self._server = psutil.Process(served.process.pid)

    def call(self, rate: float | None, lines: int) -> Counts:
        prober = Prober(self._given["url"])
        prober.start()
        with subprocess.Popen(
            [sys.executable, __file__, json.dumps(self._given | {"rate": rate, "lines": lines})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as callers:
            psutil.Process(callers.pid).cpu_affinity([max(os.sched_getaffinity(0))])
            found, before = self._told_to_begin(callers)
            after = self._server.cpu_times()
        prober.end()
        counts = Counts(**json.loads(found))
        counts.health, counts.health_bad = prober.times, prober.bad
        counts.processor = after.user + after.system - before.user - before.system
        return counts

    def _told_to_begin(self, callers: subprocess.Popen[str]) -> tuple[str, Any]:
        """What they found in the end, and what the server had used of the processor when they began."""
        if callers.stdin is None or callers.stdout is None:
            raise RuntimeError("the callers cannot be spoken to")
        if callers.stdout.readline() != _CONNECTED:
            raise RuntimeError("the callers did not connect")
        before = self._server.cpu_times()
        callers.stdin.write("\n")
        callers.stdin.flush()
        return callers.stdout.readline(), before


async def be_callers(given: dict[str, Any]) -> None:
    """Connect, wait until told to begin, work, and say what came of it."""
    callers = Callers(given)
    await callers.connect()
    print(_CONNECTED, end="", flush=True)
    sys.stdin.readline()
    print(json.dumps(vars(await callers.work(SECONDS))), flush=True)


def p(times: list[float], share: float) -> float:
    """That percentile, in milliseconds."""
    return sorted(times)[int(len(times) * share)] * 1000 if times else float("nan")


def told(name: str, counts: Counts, most: Counts) -> tuple[float, float]:
    """Print it; returns the good answers as a share of capacity, by the clock and by the processor."""
    share, cheap = counts.rate / most.rate, counts.cheapness / most.cheapness
    print(
        f"  {name:8} {counts.rate:5.0f} /s good in time, {share:.2f} of capacity"
        f" ({cheap:.2f} for the same processor time), p99 {p(counts.good, 0.99):.0f} ms\n"
        f"           {len(counts.shed) / SECONDS:5.0f} /s shed, p50 {p(counts.shed, 0.5):.1f}"
        f" p99 {p(counts.shed, 0.99):.0f} ms, {counts.without_hint} without a hint;"
        f" late {counts.late}, unsent {counts.unsent}, other {counts.other};"
        f" /health p50 {p(counts.health, 0.5):.1f} p99 {p(counts.health, 0.99):.1f} ms"
    )
    return share, cheap


def fill(served: Served, place: Path) -> None:
    """One run that really was, and copies of it: what a page of runs is made from."""
    root = place / "repository"
    root.mkdir()
    git(root, "init", "--quiet", "--template=", "--initial-branch=main")
    (root / "a.txt").write_text("one\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "first")
    body = {
        "kind": "change",
        "repository": str(root),
        "requirement": {"text": "nothing"},
        "claim": "chore",
        "command": ["true"],
    }
    run = served.http.post("/api/v1/runs", json=body).raise_for_status().json()["id"]
    served.http.post(f"/api/v1/runs/{run}/cancel", json={"reason": "one is enough"})
    with sqlite3.connect(served.home / "shipway.db", timeout=30) as database:
        found = database.execute("SELECT * FROM runs")
        names = [column[0] for column in found.description]
        row = dict(zip(names, found.fetchone(), strict=True))
        marks = ", ".join("?" * len(names))
        database.executemany(
            f"INSERT INTO runs ({', '.join(names)}) VALUES ({marks})",  # noqa: S608 - the columns it has itself
            [
                tuple((row | {"id": f"0bench{n:014}", "number": 1000 + n}).values())
                for n in range(RUNS)
            ],
        )
    database.close()


@contextlib.contextmanager
def pinned(home: Path) -> Iterator[Served]:
    """A server that keeps to the core that this process had when it started; then we leave it."""
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(every)})
    try:
        with serving(home, started=True) as served:
            os.sched_setaffinity(0, every)
            yield served
    finally:
        os.sched_setaffinity(0, every)


def main() -> int:
    print(f"overload: GET {ASKED}, good within {DEADLINE:g} s, against the capacity found before")
    shares: dict[int, list[tuple[float, float]]] = {4: [], 10: []}
    with tempfile.TemporaryDirectory() as folder, pinned(Path(folder) / "home") as served:
        fill(served, Path(folder))
        bench = Bench(served)
        bench.call(None, 4)  # it warms up
        for _ in range(ROUNDS):
            most = max((bench.call(None, lines) for lines in (4, 8, 16)), key=lambda one: one.rate)
            told("capacity", most, most)
            for times, found in shares.items():
                found.append(told(f"{times} times", bench.call(times * most.rate, 400), most))
    middle = {
        times: tuple(statistics.median(one) for one in zip(*found, strict=True))
        for times, found in shares.items()
    }
    for times, (share, cheap) in middle.items():
        print(
            f"  {times} times, median: {share:.2f} of capacity, {cheap:.2f} for the same processor time"
        )
    print("  wanted: at least 0.90 of capacity at both")
    return 0 if min(share for share, _ in middle.values()) >= 0.9 else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(be_callers(json.loads(sys.argv[1])))
        sys.exit()
    sys.exit(main())
