"""Times readiness and liveness while PostgreSQL is frozen, refuses, or is slow: seconds to 503 and back."""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS / "service"), str(TESTS)]

import httpx  # noqa: E402 - the paths above come first
from serving import Served, serving  # noqa: E402

from servers import Postgres  # noqa: E402
from wire import Wire  # noqa: E402

ROUNDS, OUT_FOR = 5, 4.0


@contextlib.contextmanager
def frozen(server: Postgres, _wire: Wire) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextlib.contextmanager
def refused(server: Postgres, _wire: Wire) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()  # back when it answers again: what a start takes is PostgreSQL's own


@contextlib.contextmanager
def slow(_server: Postgres, wire: Wire) -> Iterator[None]:
    wire.delay = 1.0
    try:
        yield
    finally:
        wire.delay = 0.0


def until(http: httpx.Client, status: int) -> float:
    """Seconds until readiness answers with that status."""
    began = time.monotonic()
    while http.get("/health/ready").status_code != status:
        if time.monotonic() - began > 30:
            raise RuntimeError(f"readiness did not become {status} in 30 s")
        time.sleep(0.01)
    return time.monotonic() - began


class Alive(threading.Thread):
    """Asks ``/health`` on a connection of its own, a hundred times a second, and keeps the times."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self.over = threading.Event()
        self.times: list[float] = []

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=10, trust_env=False) as http:
            while not self.over.wait(0.01):
                began = time.monotonic()
                if http.get("/health").status_code != 200:
                    raise RuntimeError("a process that lives is told dead")
                self.times.append(time.monotonic() - began)

    def end(self) -> None:
        self.over.set()
        self.join(10)


def outages(
    served: Served, out: Callable[[], contextlib.AbstractContextManager[None]], alive: list[float]
) -> tuple[list[float], list[float]]:
    """Seconds until traffic is kept away, and until it is welcome again, one of each a round."""
    away, back = [], []
    for _ in range(ROUNDS):
        until(served.http, 200)
        time.sleep(0.3)
        with out():
            watch = Alive(served.url)
            watch.start()
            away.append(until(served.http, 503))
            with contextlib.suppress(httpx.HTTPError):  # somebody who waits for the database, too
                served.http.get("/api/v1/runs", timeout=OUT_FOR)
            watch.end()
            alive += watch.times
        back.append(until(served.http, 200))
    return away, back


def main() -> int:
    good = True
    alive: list[float] = []
    print("readiness: seconds until /health/ready is 503, and 200 again, after PostgreSQL is")
    with (
        tempfile.TemporaryDirectory() as folder,
        Postgres() as server,
        Wire(server.create()) as wire,
        serving(
            Path(folder) / "home", env={"SHIPWAY_DATABASE_URL": wire.url}, started=True
        ) as served,
    ):
        for out in (frozen, refused, slow):
            away, back = outages(served, lambda out=out: out(server, wire), alive)
            good = good and max(away) < 1.0 and max(back) < 2.0
            print(
                f"  {out.__name__:8} 503 after {statistics.median(away):.2f} (worst {max(away):.2f})"
                f"   200 after {statistics.median(back):.2f} (worst {max(back):.2f})"
            )
    alive.sort()
    p50, p99 = (alive[int(len(alive) * share)] * 1000 for share in (0.5, 0.99))
    good = good and p99 < 5.0
    print(f"  /health meanwhile: p50 {p50:.1f} ms, p99 {p99:.1f} ms, {len(alive)} asked")
    print("  wanted: 503 within 1 s, 200 within 2 s, /health p99 under 5 ms")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
