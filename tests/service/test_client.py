"""The same commands against a server, with the same output; and a client that tries again safely."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from serving import PATCH, ROOT, Served, settled

from nursery import COMMANDS
from shipway.client import AsyncClient, Client, calls
from shipway.errors import (
    ConflictError,
    NetworkError,
    NotFoundError,
    NotSignedInError,
    ValidationError,
)
from shipway.secrets import Secret


def said(served: Served, *words: str, at_server: bool) -> tuple[int, str, str]:
    """What a command says, here or by way of the server; both see the same home."""
    env = os.environ | {"SHIPWAY_HOME": str(served.home), "PYTHONPATH": str(ROOT / "src")}
    if at_server:
        env["SHIPWAY_URL"] = served.url
    done = COMMANDS.run(["-m", "shipway", *words], env=env, timeout=90)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def finished(server: Served, repository: Path) -> str:
    """A run that has ended."""
    new = server.http.post(
        "/api/v1/runs",
        json={
            "kind": "change",
            "repository": str(repository),
            "requirement": {"text": "Write two"},
            "claim": "fix",
            "pipeline": "small",
            "patch": {"text": PATCH},
        },
    )
    run = settled(server.http, new.json()["id"])
    return str(run["summary"]["number"])


@pytest.mark.parametrize(
    "words",
    [
        ("run", "view", "{run}", "--json"),
        ("run", "view", "{run}"),
        ("run", "logs", "{run}", "--stage", "implement", "--raw"),
        ("run", "watch", "{run}", "--quiet"),
        ("dead", "list", "--json"),
        ("run", "view", "no-such-run"),
        ("run", "cancel", "{run}"),
    ],
)
def test_a_command_says_the_same_here_and_by_way_of_a_server(server, finished, words):
    typed = [word.format(run=finished) for word in words]
    here = said(server, *typed, at_server=False)
    there = said(server, *typed, at_server=True)
    assert there == here


def test_a_change_is_run_from_the_command_line_by_way_of_a_server(
    server, repository, tmp_path: Path
):
    patch = tmp_path / "two.patch"
    patch.write_text(PATCH)
    words = ["run", "--repo", str(repository), "--requirement", "Write two", "--claim", "fix"]
    words += ["--patch", str(patch), "--pipeline", "small", "--json"]
    code, out, err = said(server, *words, at_server=True)
    assert code == 0, err
    run = json.loads(out)
    assert run["summary"]["status"] == "succeeded"
    assert server.http.get(f"/api/v1/runs/{run['summary']['id']}").status_code == 200


def test_no_server_and_no_token_are_told(tmp_path: Path, shipway):
    said = shipway("run", "list", env={"SHIPWAY_URL": "http://127.0.0.1:9", "SHIPWAY_TOKEN": "t"})
    assert (said.returncode, "does not answer" in said.stderr) == (5, True)
    said = shipway("run", "list", env={"SHIPWAY_URL": "http://127.0.0.1:9"})
    assert (said.returncode, "no token" in said.stderr) == (4, True)


def test_errors_of_a_server_are_those_of_our_tree(server):
    with Client(server.url, Secret(server.token)) as client:
        with pytest.raises(NotFoundError):
            client.send(calls.run("999999"))
        with pytest.raises(ValidationError, match="/body/nonsense there is no such field"):
            client.send(calls.submit({"nonsense": 1}))
    with Client(server.url, Secret("wrong")) as client, pytest.raises(NotSignedInError):
        client.send(calls.runs())


def test_both_clients_read_the_same(server, finished):
    async def ask() -> object:
        async with AsyncClient(server.url, Secret(server.token)) as client:
            return await client.send(calls.run(finished))

    with Client(server.url, Secret(server.token)) as client:
        assert client.send(calls.run(finished)).stages == asyncio.run(ask()).stages


class Moody(http.server.BaseHTTPRequestHandler):
    """Answers as ``moods`` say, one after the other, and remembers the keys that came."""

    moods: ClassVar[list[int]] = []
    keys: ClassVar[list[str | None]] = []
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self.keys.append(self.headers.get("idempotency-key"))
        status = self.moods.pop(0)
        if status == 0:
            self.close_connection = True
            return
        code = {409: "IN_PROGRESS", 412: "CHANGED"}.get(status, "OVERLOAD")
        body = b"[]" if status == 200 else json.dumps({"code": code, "detail": "no"}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("retry-after", "3")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 - the names that it is called by

    def log_message(self, *_: object) -> None:
        """Nothing: the test says what came."""


@contextmanager
def moody(*moods: int) -> Iterator[str]:
    Moody.moods, Moody.keys = list(moods), []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Moody) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


def test_a_call_is_sent_again_with_its_key_after_the_time_that_was_asked_for():
    slept: list[float] = []
    with moody(503, 0, 409, 200) as url, Client(url, Secret("t"), sleep=slept.append) as client:
        assert client.send(calls.settle_letters("replay", [1], "again")) == []
    assert len(set(Moody.keys)) == 1
    assert Moody.keys[0]
    assert [wait >= 3 for wait in slept] == [True, False, True]


def test_it_gives_up_in_the_end_and_does_not_repeat_what_was_refused():
    with (
        moody(*[0] * 9) as url,
        Client(url, Secret("t"), sleep=lambda _seconds: None) as client,
        pytest.raises(NetworkError),
    ):
        client.send(calls.asks())
    assert len(Moody.keys) == 4
    with moody(412) as url, Client(url, Secret("t")) as client, pytest.raises(ConflictError):
        client.send(calls.asks())
