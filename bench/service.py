"""Times a POST with everything on (token, limits, key, log, metrics, trace) against bare FastAPI."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psutil

ROOT = Path(__file__).resolve().parent.parent
ROUNDS, SECONDS, CALLERS = 3, 3.0, 8
BODY = json.dumps({"text": "name: x"}).encode()
PATH = "/api/v1/pipelines/validate"
_BARE = ("bare, nothing", "bare, kept", "bare, ours")
#: FastAPI and uvicorn as they come, with three handlers for the same strict model: one that does nothing,
#: ours without anything around it, and one that keeps what it was given, as a POST that promises does.
BARE = """
import json, socket, sqlite3, threading, uvicorn
from fastapi import FastAPI
from shipway.api.pipelines import PipelineText, Verdict, validate
app, lock = FastAPI(), threading.Lock()
db = sqlite3.connect("kept.db", isolation_level=None, check_same_thread=False)
db.execute("PRAGMA journal_mode=WAL")
db.execute("PRAGMA synchronous=FULL")
db.execute("CREATE TABLE kept (number INTEGER PRIMARY KEY, answer TEXT)")
@app.post("/nothing")
def nothing(given: PipelineText) -> Verdict:
    return Verdict(valid=True, faults=[])
@app.post("/kept")
def kept(given: PipelineText) -> Verdict:
    with lock:
        db.execute("INSERT INTO kept (answer) VALUES (?)", (given.text,))
    return Verdict(valid=True, faults=[])
@app.post("/api/v1/pipelines/validate")
def bare(given: PipelineText) -> Verdict:
    return validate(given)
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listener.bind(("127.0.0.1", 0))
listener.listen(2048)
print("http://127.0.0.1:%d" % listener.getsockname()[1], flush=True)
config = uvicorn.Config(app, http="h11", ws="none", access_log=False, log_level="error")
uvicorn.Server(config).run(sockets=[listener])
"""


def caller(
    url: str, headers: dict[str, str], *, path: str, keyed: bool, until: float, done: list[int]
) -> None:
    """Ask again and again on one connection; count what was answered with 200."""
    place = urlsplit(url)
    count = 0
    with socket.create_connection((str(place.hostname), int(place.port or 80)), timeout=30) as line:
        while time.monotonic() < until:
            given = headers | ({"idempotency-key": uuid4().hex} if keyed else {})
            head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
            sent = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{head}\r\n".encode() + BODY
            line.sendall(sent)
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += line.recv(65_536)
            top, _, rest = answer.partition(b"\r\n\r\n")
            length = int(top.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            while len(rest) < length:
                rest += line.recv(65_536)
            count += top.startswith(b"HTTP/1.1 200")
    done.append(count)


def per_second(
    url: str, headers: dict[str, str], *, path: str = PATH, keyed: bool = False
) -> float:
    done: list[int] = []
    until = time.monotonic() + SECONDS
    threads = [
        threading.Thread(
            target=caller,
            args=(url, headers),
            kwargs={"path": path, "keyed": keyed, "until": until, "done": done},
        )
        for _ in range(CALLERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / SECONDS


def start(words: list[str], home: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, *words],
        env=os.environ | {"SHIPWAY_HOME": str(home), "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=home,
    )
    for line in process.stdout or ():
        if "http://" in line:
            return process, line[line.index("http://") :].strip().rstrip('",')
    raise RuntimeError("the server did not start")


def timed(process: subprocess.Popen[str], ask: Callable[[], float]) -> tuple[float, float]:
    """Answers a second, and how many the server gives for a second of the processor."""
    before = psutil.Process(process.pid).cpu_times()
    rate = ask()
    after = psutil.Process(process.pid).cpu_times()
    used = after.user + after.system - before.user - before.system
    return rate, rate * SECONDS / used


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        bare, bare_url = start(["-c", BARE], home)
        ours, url = start(["-m", "shipway", "serve", "--port", "0", "--json"], home)
        json_body = {"content-type": "application/json", "content-length": str(len(BODY))}
        token = (home / "token").read_text().strip()
        full = json_body | {"authorization": f"Bearer {token}", "x-request-id": "bench"}
        asked: dict[str, tuple[subprocess.Popen[str], Callable[[], float]]] = {
            "bare, nothing": (bare, lambda: per_second(bare_url, json_body, path="/nothing")),
            "bare, kept": (bare, lambda: per_second(bare_url, json_body, path="/kept")),
            "bare, ours": (bare, lambda: per_second(bare_url, json_body)),
            "without a key": (ours, lambda: per_second(url, full)),
            "full": (ours, lambda: per_second(url, full, keyed=True)),
        }
        rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for _ in range(ROUNDS):
            for name, (process, ask) in asked.items():
                rows[name].append(timed(process, ask))
        for process in (bare, ours):
            process.terminate()
            process.wait(40)
    by_clock, by_processor = (
        {name: statistics.median(one[which] for one in found) for name, found in rows.items()}
        for which in (0, 1)
    )
    print("service: POST with everything on (token, limits, key, log, metrics, trace)")
    print("  against FastAPI with a handler that does nothing, keeps what it got, or is ours")
    for name, value in by_clock.items():
        shares = "   ".join(f"{value / by_clock[one]:.2f} of {one}" for one in _BARE)
        cost = 1e6 / by_processor[name]
        print(f"  {name:15} {value:8.0f} /s   {shares}   {cost:5.0f} us of the processor each")
    share = by_clock["full"] / by_clock["bare, kept"]
    cheap = by_processor["full"] / by_processor["bare, kept"]
    print(
        f"  full is {share:.2f} of bare, kept by the clock, {cheap:.2f} for the same processor time"
    )
    print("  wanted: full at least 0.60 of bare, kept")
    return 0 if share >= 0.6 else 1


if __name__ == "__main__":
    sys.exit(main())
