"""More than can be served, too large, too slow: it is refused in time, and the others are served."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from serving import slow

from shipway.api.app import make_app
from shipway.api.backend import Backend
from shipway.health import standard
from shipway.health.check import Answer, Finding
from shipway.health.monitor import Monitor
from shipway.health.registry import Registry
from shipway.resilience.adaptive import AdaptiveLimit, AdaptivePolicy
from shipway.server.doorkeeper import Porter, look
from shipway.server.edge import Edge, Traffic
from shipway.server.turns import Turns


async def asked(edge: Edge, path: str) -> tuple[int, dict[bytes, bytes]]:
    """The status and the headers of a GET."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
    }
    await edge(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


def test_what_is_too_much_is_shed_early_and_health_answers():
    async def work() -> None:
        go = asyncio.Event()

        async def app(scope, _receive, send):
            if scope["path"] != "/health":
                await go.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        limit = AdaptiveLimit(AdaptivePolicy(initial=2, least=2, most=2))
        traffic = Traffic(hosts=frozenset({b"127.0.0.1"}))
        edge = Edge(app, traffic, lambda _header: True, admission=limit)
        served = [asyncio.create_task(asked(edge, "/api/v1/runs")) for _ in range(2)]
        while traffic.in_flight < 2:  # noqa: ASYNC110 - both have to be inside
            await asyncio.sleep(0)
        status, headers = await asked(edge, "/api/v1/runs")
        assert (status, headers[b"retry-after"]) == (503, b"1")
        assert headers[b"content-type"] == b"application/problem+json"
        assert (await asked(edge, "/health"))[0] == 200
        go.set()
        assert [one[0] for one in await asyncio.gather(*served)] == [200, 200]
        assert (await asked(edge, "/api/v1/runs"))[0] == 200
        assert traffic.in_flight == 0

    asyncio.run(work())


class Untouchable:
    """Whatever is asked of it was too much."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was looked at")


def test_whether_it_lives_is_answered_without_a_look_at_anything_else():
    async def hangs() -> Finding:
        await asyncio.sleep(60)
        raise AssertionError("nobody waits for so long")

    checks = Registry()
    checks.add(standard.database(hangs), standard.redis(hangs))

    async def work() -> None:
        monitor = Monitor(checks, "1.2.3")
        nothing: Any = Untouchable()
        app = make_app(Backend(nothing, nothing, "abc", monitor, nothing))
        watch = asyncio.create_task(monitor.run())
        full = AdaptiveLimit(AdaptivePolicy(initial=1, least=1, most=1))
        full.enter()
        edge = Edge(app, Traffic(hosts=frozenset({b"127.0.0.1"})), lambda _h: True, admission=full)
        await asyncio.sleep(0)
        for _ in range(3):
            assert (await asked(edge, "/health"))[0] == 200
        assert (await asked(edge, "/health/ready"))[0] == 503
        assert (await asked(edge, "/health/detailed"))[0] == 503
        assert (await asked(edge, "/metrics"))[0] == 200
        watch.cancel()

    asyncio.run(work())


SIMPLE = b"GET /api/v1/runs HTTP/1.1\r\nhost: a\r\nx-request-id: mine\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (SIMPLE, b"mine"),
        (SIMPLE.replace(b"mine", b"a b"), b""),
        (b"POST /api/v1/runs?a=1 HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}", b""),
        (SIMPLE.replace(b"x-", b"Connection: Keep-Alive \r\nx-"), b"mine"),
        (SIMPLE + SIMPLE, None),
        (SIMPLE[:-2], None),
        (SIMPLE.replace(b"runs", b"runs/1/events?after=1"), None),
        (SIMPLE.replace(b"/api/v1/runs", b"/health"), None),
        (SIMPLE.replace(b"1.1", b"1.0"), None),
        (SIMPLE.replace(b"x-", b"connection: close\r\nx-"), None),
        (SIMPLE.replace(b"x-", b"Transfer-Encoding: chunked\r\nx-"), None),
        (SIMPLE.replace(b"x-", b"content-length: 5\r\nx-"), None),
        (SIMPLE.replace(b"x-", b"content-length: +0\r\nx-"), None),
        (SIMPLE.replace(b"x-", b"content-length: 0\r\nContent-Length: 0\r\nx-"), None),
    ],
)
def test_only_one_whole_and_simple_request_is_turned_away_unread(data, found):
    assert look(data) == found


HEALTH = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:80\r\nx-request-id: mine\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (HEALTH, True),
        (HEALTH.replace(b"x-", b"Connection: keep-alive\r\nx-"), True),
        (HEALTH.replace(b"x-", b"connection: close\r\nx-"), True),
        (HEALTH.replace(b"/health", b"/health/ready"), True),
        (HEALTH.replace(b"/health", b"/health/detailed"), False),
        (HEALTH.replace(b"GET", b"HEAD"), False),
        (HEALTH.replace(b"/health", b"/health?a=1"), False),
        (HEALTH.replace(b"127.0.0.1", b"example.com"), False),
        (HEALTH.replace(b"Host: 127.0.0.1:80\r\n", b""), False),
        (HEALTH.replace(b"x-", b"host: localhost\r\nx-"), False),
        (HEALTH.replace(b"x-", b"traceparent: 00-1-1-00\r\nx-"), False),
        (HEALTH.replace(b"x-", b"content-length: 0\r\nx-"), False),
        (HEALTH.replace(b"x-", b"connection: upgrade\r\nx-"), False),
        (HEALTH.replace(b"x-", b"a b: c\r\nx-"), False),
        (HEALTH.replace(b"mine", b"\xff"), False),
        (HEALTH[:-2], False),
        (HEALTH + HEALTH, False),
    ],
)
def test_only_a_plain_question_of_health_is_answered_unread(data, found):
    told: list[tuple[str, str, int, float]] = []
    alive = Answer(200, b"{}", {"Content-Type": "text/plain"})
    answers = {"/health": lambda: alive, "/health/ready": lambda: alive}
    porter = Porter(answers, {b"127.0.0.1", b"localhost"}, lambda *one: told.append(one))
    answer = porter.answer(data)
    assert (answer is not None) == found == bool(told)
    if answer is not None:
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\n{}")
        assert b"\r\nx-request-id: mine\r\n" in answer
        assert (b"\r\nconnection: close\r\n" in answer) == (b"close" in data)


def test_health_says_at_the_wire_what_it_says_when_it_is_read(server):
    read = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    for path in ("/health", "/health/ready"):
        unread, usual = server.http.get(path), server.http.get(path, headers=read)
        assert (unread.status_code, unread.content) == (usual.status_code, usual.content)
        assert set(usual.headers) - set(unread.headers) == set()
        assert usual.headers["traceresponse"][3:35] == "a" * 32
    question = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    with opened(server.url, question + b"\r\n") as line:
        for _ in range(2):
            assert line.recv(4096).endswith(b'{"status":"pass"}')
            line.sendall(question + b"\r\n")
        assert line.recv(4096).endswith(b'{"status":"pass"}')
        line.sendall(question + b"connection: close\r\n\r\n")
        assert heard(line).endswith(b'{"status":"pass"}')


PATIENCE = 2.0
GIVEN = {
    "headers_within": PATIENCE,
    "connections": 1200,
    "limits": {"body_seconds": PATIENCE, "linger_seconds": 0.5},
}


@pytest.fixture(scope="module")
def under_pressure() -> Iterator[tuple[psutil.Process, str]]:
    """A server that serves four at once, and gives headers and bodies two seconds."""
    with slow(0.0, 0.0, 1.0, 5.0, **GIVEN) as (process, url):
        served(url)
        yield psutil.Process(process.pid), url


def served(url: str) -> None:
    answer = httpx.get(f"{url}/slow/0", timeout=20, trust_env=False)
    assert (answer.status_code, answer.text) == (200, "done")


def opened(url: str, sent: bytes) -> socket.socket:
    place = urlsplit(url)
    line = socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=20)
    line.sendall(sent)
    return line


def heard(line: socket.socket) -> bytes:
    """Everything until the server closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := line.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def grown(process: psutil.Process, before: int) -> float:
    """MiB that it took since."""
    return (process.memory_info().rss - before) / 2**20


def test_a_thousand_who_never_end_their_headers_cost_little_and_nobody_else_anything(
    under_pressure,
):
    process, url = under_pressure
    before = process.memory_info().rss
    began = time.monotonic()
    lines = [opened(url, b"GET /slow/0 HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ") for _ in range(1000)]
    try:
        served(url)
        assert grown(process, before) < 50
        while time.monotonic() - began < PATIENCE * 0.75:
            for line in lines[::100]:
                with contextlib.suppress(OSError):  # a busy machine may have closed it by now
                    line.send(b"a")  # whoever trickles has no more time than the others
            time.sleep(0.1)
        said = [heard(line) for line in lines]
        assert all(one.startswith(b"HTTP/1.1 408 ") for one in said)
        assert b"application/problem+json" in said[0]
        assert time.monotonic() - began < PATIENCE + 15
    finally:
        for line in lines:
            line.close()
    served(url)


def test_who_sends_a_body_slowly_holds_no_place_and_is_given_up(under_pressure):
    _, url = under_pressure
    head = b"POST /slow/0 HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n{"
    lines = [opened(url, head) for _ in range(40)]  # ten times as many as are served at once
    try:
        served(url)
        assert all(heard(line).startswith(b"HTTP/1.1 408 ") for line in lines)
    finally:
        for line in lines:
            line.close()


def test_a_burst_is_shed_on_connections_that_are_kept_and_those_let_in_are_served(under_pressure):
    _, url = under_pressure
    request = b"GET /api/v1/1 HTTP/1.1\r\nhost: 127.0.0.1\r\nx-request-id: mine\r\n\r\n"
    with contextlib.ExitStack() as open_:
        lines = [open_.enter_context(opened(url, request)) for _ in range(100)]
        said = [line.recv(4096) for line in lines]
        shed = [one for one in said if one.startswith(b"HTTP/1.1 503 ")]
        assert len(shed) >= 50
        assert all(b"\r\nretry-after: 1\r\n" in one for one in shed)
        assert all(b"\r\nx-request-id: mine\r\n" in one for one in shed)
        assert not any(b"connection: close" in one.lower() for one in shed)
        length, body = re.search(
            rb"content-length: (\d+)\r\n.*?\r\n\r\n(.*)", shed[0], re.DOTALL
        ).groups()
        told = json.loads(body)
        assert (len(body), told["status"], told["request_id"]) == (int(length), 503, "mine")
        assert said.count(b"") == 0
        assert sum(one.startswith(b"HTTP/1.1 200 ") for one in said) == 100 - len(shed) >= 4
        turned = lines[said.index(shed[0])]
        turned.sendall(request)
        assert turned.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_gigabyte_is_refused_before_it_is_read(under_pressure):
    process, url = under_pressure
    before = process.memory_info().rss
    head = b"POST /slow/0 HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    with opened(url, head + b"content-length: 1000000000\r\n\r\n") as line:
        assert heard(line).startswith(b"HTTP/1.1 413 ")
    sent, part = 0, b"100000\r\n" + b"0" * 2**20 + b"\r\n"
    with opened(url, head + b"transfer-encoding: chunked\r\n\r\n") as line:
        with contextlib.suppress(OSError):
            while sent < 1000:
                line.sendall(part)
                sent += 1
        assert heard(line).startswith(b"HTTP/1.1 413 ") or sent < 64
    assert (
        sent < 64
    )  # what the buffers of the system take, and what is read so that the answer arrives
    bomb = b"content-encoding: gzip\r\ncontent-length: 1000000\r\n\r\n\x1f\x8b"
    with opened(url, head + bomb) as line:
        assert heard(line).startswith(b"HTTP/1.1 415 ")
    assert grown(process, before) < 50
    served(url)


def test_who_is_silent_gives_way_when_there_are_too_many():
    with (
        slow(0.0, 0.0, 1.0, 5.0, connections=20, headers_within=60.0) as (_, url),
        opened(url, b"") as first,
        opened(url, b"") as balancer,
        contextlib.ExitStack() as others,
    ):
        for _ in range(3):
            for _ in range(10):
                others.enter_context(opened(url, b""))
            served(url)  # so all of them were taken in
            balancer.sendall(HEALTH)
            assert balancer.recv(4096).endswith(b"alive")
        assert heard(first) == b""


def test_who_takes_long_makes_nobody_wait_for_a_turn():
    async def work() -> None:
        turns = Turns(2, slow_after=0.01)
        slow = [await turns.take(), await turns.take()]
        async with asyncio.timeout(10):
            quick = await turns.take()
        quick.end()
        slow[0].end()  # its turn was over before: it does not count twice
        turns = Turns(1, slow_after=60)
        first = await turns.take()
        first.end()
        first.end()
        await turns.take()
        waits = asyncio.ensure_future(turns.take())
        await asyncio.sleep(0)
        assert not waits.done()
        waits.cancel()

    asyncio.run(work())
