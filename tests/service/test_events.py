"""Live events: nothing is missed and nothing comes twice, however often the line is torn."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from serving import Served, serving, settled


def streamed(served: Served, path: str, after: int | None, most: int | None = None) -> list[dict]:
    """Read a stream until it ends, or until so many events came; as a browser would."""
    headers = {} if after is None else {"last-event-id": str(after)}
    found: list[dict[str, Any]] = []
    with served.http.stream("GET", path, headers=headers, timeout=30) as answer:
        if answer.status_code == 204:
            return [{"event": "over"}]
        assert answer.headers["content-type"].startswith("text/event-stream")
        for event in parsed(answer.iter_lines()):
            found.append(event)
            if len(found) == most:
                break
    return found


def parsed(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    for line in lines:
        if line.startswith("data: "):
            event["data"] = json.loads(line.removeprefix("data: "))
        elif line.startswith(("id: ", "event: ")):
            name, _, value = line.partition(": ")
            event[name] = value
        elif not line and "data" in event:
            yield event
            event = {}


def test_a_run_is_followed_from_its_first_event_to_its_end(server, change):
    run = server.http.post("/api/v1/runs", json=change()).json()["id"]
    events = streamed(server, f"/api/v1/runs/{run}/events", None)
    assert events[-1]["event"] == "end"
    history = server.http.get(f"/api/v1/runs/{run}/history?limit=1000").json()
    assert [event["data"] for event in events[:-1]] == history
    last = history[-1]["seq"]
    assert streamed(server, f"/api/v1/runs/{run}/events", last) == [{"event": "over"}]
    assert streamed(server, f"/api/v1/runs/{run}/events", last - 1)[0]["id"] == str(last)
    assert server.http.get("/api/v1/runs/999999/events").status_code == 404


def test_a_reader_who_is_torn_off_again_and_again_misses_nothing_and_sees_nothing_twice(
    server, change
):
    place = newest(server)
    runs: list[str] = []
    torn = threading.Event()

    def work() -> None:
        while not torn.is_set():
            new = server.http.post("/api/v1/runs", json=change(command=["sleep", "60"]))
            runs.append(new.json()["id"])
            server.http.post(f"/api/v1/runs/{runs[-1]}/cancel")

    worker = threading.Thread(target=work)
    worker.start()
    seen: list[dict[str, Any]] = []
    for tear in range(100):
        came = streamed(server, "/api/v1/events", place, 1 + tear % 3)
        seen += [event["data"] for event in came]
        place = int(came[-1]["id"])
    torn.set()
    worker.join()
    for run in runs:
        settled(server.http, run, "cancelled")
    while place < newest(server):
        came = streamed(server, "/api/v1/events", place, 1)
        seen += [event["data"] for event in came]
        place = int(came[-1]["id"])
    positions = [event["position"] for event in seen]
    assert positions == sorted(set(positions))
    for run in runs:
        history = server.http.get(f"/api/v1/runs/{run}/history?limit=1000").json()
        mine = [event["seq"] for event in seen if event["run"] == run]
        assert mine == [event["seq"] for event in history]


def newest(served: Served) -> int:
    """The position of the last event that there is, by reading all of them."""
    from shipway.store.opening import database
    from shipway.store.runs import position_now

    store = database(served.home / "shipway.db")
    with store.reading() as connection:
        return position_now(connection)


def test_a_second_server_goes_on_where_the_first_one_stopped(tmp_path: Path, change):
    home = tmp_path / "home"
    with serving(home) as one, serving(home) as two:
        run = one.http.post("/api/v1/runs", json=change(command=["sleep", "60"])).json()["id"]
        before = streamed(one, "/api/v1/events", None, 2)
        place = int(before[-1]["id"])
        told: list[dict[str, Any]] = []
        reader = threading.Thread(
            target=lambda: told.extend(streamed(one, "/api/v1/events", place)), daemon=True
        )
        reader.start()
        settled(two.http, run, "running")
        assert one.stop() == 0
        reader.join(20)
        assert told[-1]["event"] == "bye"
        place = int(told[-2]["id"]) if len(told) > 1 else place
        done = two.http.post(f"/api/v1/runs/{run}/cancel")
        assert done.status_code == 200, done.text
        rest = streamed(two, f"/api/v1/runs/{run}/events", None)[:-1]
        seen = [event["data"]["seq"] for event in before + told[:-1]]
        seen += [
            event["data"]["seq"]
            for event in streamed(two, "/api/v1/events", place, len(rest) - len(seen))
        ]
        assert seen == [event["data"]["seq"] for event in rest]


def test_a_reader_who_takes_nothing_is_told_and_dropped_and_holds_nobody_up(tmp_path: Path):
    home = tmp_path / "home"
    with serving(home) as served:
        fill(home, 40_000)
        place = urlsplit(served.url)
        lazy = socket.socket()
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.settimeout(30)
        lazy.connect((place.hostname, place.port))
        head = ["GET /api/v1/events HTTP/1.1", "host: 127.0.0.1", "connection: close"]
        head += [f"authorization: Bearer {served.token}", "", ""]
        lazy.sendall("\r\n".join(head).encode())
        began = time.monotonic()
        while time.monotonic() - began < 7:
            assert served.http.get("/health").elapsed.total_seconds() < 5
        received = bytearray()
        while part := lazy.recv(1 << 20):
            received += part
        lazy.close()
        text = received.decode()
        assert "event: slow" in text
        place_told = json.loads(text.rpartition("data: ")[2].splitlines()[0])["after"]
        assert f"id: {place_told}\n" in text
        assert place_told < 40_000
        assert httpx.get(served.url + "/health", trust_env=False).status_code == 200


def fill(home: Path, count: int) -> None:
    """Many events of one run, written as the engine would write them."""
    import sqlite3

    with sqlite3.connect(home / "shipway.db") as db:
        db.execute("PRAGMA foreign_keys=OFF")
        rows = (
            ("run", seq, 0.0, "RunNoted", b'{"text": "%s"}' % (b"x" * 200))
            for seq in range(1, count + 1)
        )
        db.executemany("INSERT INTO events (run, seq, at, type, data) VALUES (?, ?, ?, ?, ?)", rows)
    db.close()
