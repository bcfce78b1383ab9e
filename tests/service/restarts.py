"""Rolling restarts under load on one inherited socket: ``restarts.py RESTARTS REQUESTS``.

Callers keep connections alive or open one for each request. They never try again: whatever is not
answered counts as dropped, whoever cannot connect as refused.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from serving import ROOT, slow

_BECOME = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3);"
    "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1');"
    "os.execv(sys.argv[2], sys.argv[2:])"
)


def start(home: Path, listener: socket.socket) -> subprocess.Popen[str]:
    """A server on the socket, once it answers."""
    command = [sys.executable, "-P", "-m", "shipway", "serve", "--socket", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", _BECOME, str(listener.fileno()), *command],
        env=os.environ | {"SHIPWAY_HOME": str(home), "PYTHONPATH": str(ROOT / "src")},
        pass_fds=(listener.fileno(),),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line == "}\n":
            return process
    raise AssertionError("the server did not start")


@dataclass
class Load:
    """Callers in threads; ``counts`` says what became of their requests."""

    port: int
    path: str = "/health"
    headers: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)

    def caller(self, *, keep: bool) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self.over.is_set():
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                    connection.connect()
            except OSError as error:
                self.counts[f"refused {type(error).__name__}"] += 1
                connection = None
                continue
            connection = self._ask(connection, keep=keep)
        if connection is not None:
            connection.close()

    def _ask(
        self, connection: http.client.HTTPConnection, *, keep: bool
    ) -> http.client.HTTPConnection | None:
        began = time.monotonic()
        try:
            connection.request("GET", self.path, headers=self.headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.counts[f"dropped {'kept' if keep else 'new'} {type(error).__name__}"] += 1
            connection.close()
            return None
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.counts["answered" if answer.status == 200 else f"status {answer.status}"] += 1
        if answer.will_close or not keep:
            connection.close()
            return None
        return connection


@contextlib.contextmanager
def under(load: Load, kept: int = 4, new: int = 2) -> Iterator[Load]:
    threads = [
        threading.Thread(target=load.caller, kwargs={"keep": number < kept}, daemon=True)
        for number in range(kept + new)
    ]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.over.set()
        for thread in threads:
            thread.join(30)


def roll(home: Path, restarts: int, requests: int) -> tuple[Load, list[int]]:
    """Replace the server again and again under load; the counts, and how each one ended."""
    codes = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2048)
        server = start(home, listener)
        with under(Load(listener.getsockname()[1])) as load:
            for number in range(1, restarts + 1):
                after = start(home, listener)
                server.send_signal(signal.SIGTERM)
                codes.append(server.wait(40))
                assert server.stdout is not None
                server.stdout.close()
                server = after
                while sum(load.counts.values()) < requests * number / restarts:
                    time.sleep(0.05)
        server.terminate()
        codes.append(server.wait(40))
        assert server.stdout is not None
        server.stdout.close()
    return load, codes


def end(callers: int = 8) -> tuple[float, int]:
    """Seconds until a server is gone that is told to end while requests of 60 s run, and its code."""
    with slow() as (process, url):
        load = Load(int(url.rpartition(":")[2]), "/slow/60")
        for _ in range(callers):
            threading.Thread(target=load.caller, kwargs={"keep": True}, daemon=True).start()
        time.sleep(1.0)
        load.over.set()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        return time.monotonic() - began, code


def main() -> int:
    restarts, requests = int(sys.argv[1]), int(sys.argv[2])
    took, code = end()
    with tempfile.TemporaryDirectory() as folder:
        load, codes = roll(Path(folder) / "home", restarts, requests)
    sys.stdout.write(
        json.dumps(
            {"end_with_60_s_in_flight_s": round(took, 1), "restarts": restarts}
            | {"ended": [code, *codes], "slowest_s": round(load.slowest, 2)}
            | dict(load.counts)
        )
        + "\n"
    )
    good = set(load.counts) == {"answered"} and {code, *codes} == {0} and took < 30
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
