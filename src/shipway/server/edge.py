"""The edge of the server: what every request passes on its way in, and every answer on its way out.

One pass of plain ASGI: ids, limits, who may, how much, headers, the log line and the figures.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from shipway.api.app import ALWAYS, OPEN
from shipway.api.backend import ASKED
from shipway.api.problems import Asked, Problem, body, of_refusal, of_status, refusal
from shipway.errors import OverloadError
from shipway.health.check import Answer
from shipway.server.doorkeeper import Doorkeeper, Porter, Told
from shipway.server.headers import SECURITY
from shipway.server.turns import Turns
from shipway.telemetry.failures import MEDIA_TYPE
from shipway.telemetry.logs import bound
from shipway.telemetry.metrics import ACTIVE_REQUESTS, SHED
from shipway.telemetry.trace import parse

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = structlog.get_logger("http")
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_PORT = re.compile(rb":[0-9]{1,5}$")
#: Logged for a caller that went away; nothing is answered.
_GONE = 499
_BODIES = frozenset({b"content-length", b"transfer-encoding"})
_NO_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a request may be; sizes in bytes, times in seconds; ``bodies`` is of all together."""

    body: int = 1024 * 1024
    upload: int = 16 * 1024 * 1024
    upload_path: str = "/api/v1/uploads"
    header_count: int = 64
    header_bytes: int = 16 * 1024
    address: int = 4 * 1024
    body_seconds: float = 20.0
    bodies: int = 64 * 1024 * 1024
    linger_bytes: int = 8 * 1024 * 1024
    linger_seconds: float = 2.0


@dataclass(slots=True)
class Traffic:
    """What the server is doing with requests now; the drain reads it and steers it."""

    closing: bool = False
    in_flight: int = 0
    held: int = 0
    """Bytes of bodies that are in memory."""
    hosts: frozenset[bytes] = frozenset()


@dataclass(slots=True)
class _Exchange:
    """One request and its answer, as the log line tells it."""

    scope: Scope
    asked: Asked
    began: float
    headers: dict[bytes, bytes] = field(default_factory=dict)
    status: int = 0
    sent: int = 0
    held: int = 0
    """Bytes of its body that are in memory."""
    unread: bool = False
    """More of it may be on its way in."""


class Admission(Protocol):
    """How many requests may be served at once; it learns from how long they take."""

    def enter(self, share: float = 1.0) -> float:
        """When it begins; raises OverloadError."""
        ...

    def leave(self, began: float, *, counts: bool = True) -> None: ...
    def full(self, coming: int = 0) -> bool: ...
    def refuse(self) -> None: ...


class Edge:
    """``may`` decides on the Authorization header; ``told`` hears of every finished request.

    ``health`` are questions that are answered before anything else of a request is looked at;
    ``at_once`` of those who were let in are served at a time, so many that read and so many that
    write; the others stand in line. Who takes long is not counted.
    """

    def __init__(
        self,
        app: App,
        traffic: Traffic,
        may: Callable[[bytes | None], bool],
        *,
        limits: Limits | None = None,
        told: Told | None = None,
        admission: Admission | None = None,
        at_once: tuple[int, int] = (sys.maxsize, sys.maxsize),
        health: Mapping[str, Callable[[], Answer]] | None = None,
    ) -> None:
        self._app = app
        self._traffic = traffic
        self._may = may
        self._limits = limits or Limits()
        self._told = told or _untold
        self._admission = admission
        self._reading, self._writing = (Turns(most) for most in at_once)
        self._door = None if admission is None else Doorkeeper(admission)
        self._porter = Porter(health or {}, traffic.hosts, self._told)

    def at_the_wire(self, data: bytes) -> bytes | None:
        """The answer to a request that is not even read: to a question of health, or no room; or None."""
        if self._traffic.closing:
            return None
        answer = self._porter.answer(data)
        return answer if answer is not None or self._door is None else self._door.turned_away(data)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; other kinds of connection go straight to the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _single(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if _ID.fullmatch(given) else secrets.token_hex(8)
        parent = parse(
            [value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"]
        )
        self._traffic.in_flight += 1
        ACTIVE_REQUESTS.inc()
        try:
            with bound(traceparent=parent, request=request_id) as span:
                asked = Asked(request_id, span.trace_id)
                exchange = _Exchange(scope, asked, time.perf_counter(), headers)
                exchange.unread = scope["method"] not in _NO_BODY or not _BODIES.isdisjoint(headers)
                scope[ASKED] = asked
                await self._serve(exchange, receive, self._dressed(exchange, send, span))
                self._finish(exchange)
        finally:
            self._traffic.in_flight -= 1
            ACTIVE_REQUESTS.dec()

    async def _serve(self, exchange: _Exchange, receive: Receive, send: Send) -> None:
        refused = self._objection(exchange)
        if refused is not None:
            await self._refuse(exchange, refused, receive, send)
            return
        if exchange.scope["method"] in _NO_BODY:
            await self._admitted(exchange, receive, send)
            return
        try:
            again = await self._received(exchange, receive)
            exchange.unread = isinstance(again, int)
            if isinstance(again, int):
                await self._refuse(exchange, again, receive, send)
            else:
                await self._admitted(exchange, again, send)
        except ConnectionResetError:
            exchange.status = _GONE
        finally:
            self._traffic.held -= exchange.held

    async def _admitted(self, exchange: _Exchange, receive: Receive, send: Send) -> None:
        """A slow caller takes nobody's place: what it sends is here before it is let in."""
        path = exchange.scope["path"]
        if self._admission is None or path in ALWAYS or path.endswith("/events"):
            await self._answer(exchange, receive, send)
            return
        try:
            began = self._admission.enter()
        except OverloadError:
            SHED.of("concurrency").inc()
            await self._refuse(exchange, 503, receive, send)
            return
        try:
            reads = exchange.scope["method"] in _NO_BODY
            turn = await (self._reading if reads else self._writing).take()
            try:
                await self._answer(exchange, receive, send)
            finally:
                turn.end()
        finally:
            self._admission.leave(began, counts=exchange.status < 400)

    async def _received(self, exchange: _Exchange, receive: Receive) -> Receive | int:
        """The whole body for whoever reads it, or the status to refuse it with."""
        limit = self._limit_of(exchange.scope["path"])
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                async for part in _parts(receive):
                    exchange.held += len(part)
                    self._traffic.held += len(part)
                    if exchange.held > limit:
                        return 413
                    if self._traffic.held > self._limits.bodies:
                        SHED.of("memory").inc()
                        return 503
                    parts.append(part)
        except TimeoutError:
            return 408
        return _again(parts[0] if len(parts) == 1 else b"".join(parts), receive)

    async def _answer(self, exchange: _Exchange, receive: Receive, send: Send) -> None:
        try:
            await self._app(exchange.scope, receive, send)
        except Exception:  # noqa: BLE001 - the last resort: it is logged, and the caller gets an answer
            _log.exception("request.failed", path=_template(exchange.scope))
            if not exchange.status:
                await _say(of_status(500, exchange.asked), send)

    def _objection(self, exchange: _Exchange) -> int | None:
        """The status to refuse with before anything of the body is read, or None."""
        scope, headers, limits = exchange.scope, exchange.headers, self._limits
        path = scope["path"]
        size = headers.get(b"content-length", b"0")
        length = sum(len(name) + len(value) for name, value in scope["headers"])
        checks: Iterable[tuple[bool, int]] = (
            (len(scope["headers"]) > limits.header_count or length > limits.header_bytes, 431),
            (len(scope.get("raw_path") or b"") + len(scope["query_string"]) > limits.address, 414),
            (_PORT.sub(b"", headers.get(b"host", b"")) not in self._traffic.hosts, 421),
            (path not in OPEN and not self._may(headers.get(b"authorization")), 401),
            (b"content-encoding" in headers, 415),
            (not size.isdigit() or int(size) > self._limit_of(path), 413),
        )
        return next((status for wrong, status in checks if wrong), None)

    def _limit_of(self, path: str) -> int:
        return self._limits.upload if path == self._limits.upload_path else self._limits.body

    async def _refuse(self, exchange: _Exchange, status: int, receive: Receive, send: Send) -> None:
        """Answer; where more is coming, read on for a little so that the answer is not lost in a reset."""
        stays = (
            status == 503 and not exchange.unread
        )  # it asks again: a new connection would cost both more
        headers = [] if stays else [(b"connection", b"close")]
        if status == 503:
            headers.append((b"retry-after", b"1"))
        if status == 401:
            headers.append((b"www-authenticate", b'Bearer realm="shipway"'))
        problem = of_refusal(refusal(status), exchange.asked)
        if not exchange.unread:
            await _say(problem, send, headers)
            return
        data = body(problem)
        await send(_start(problem.status, [*headers, (b"content-length", b"%d" % len(data))]))
        await send({"type": "http.response.body", "body": data, "more_body": True})
        try:
            async with asyncio.timeout(self._limits.linger_seconds):
                await _discard(receive, self._limits.linger_bytes)
        except TimeoutError:
            _log.debug("request.lingered", status=status)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _dressed(self, exchange: _Exchange, send: Send, span: Any) -> Send:
        own = [
            *SECURITY,
            (b"x-request-id", exchange.asked.request_id.encode()),
            (b"traceresponse", span.traceparent.encode()),
        ]

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                headers = list(message.get("headers", ()))
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                if self._traffic.closing and (b"connection", b"close") not in headers:
                    headers.append((b"connection", b"close"))
                message["headers"] = headers + own
            elif message["type"] == "http.response.body":
                exchange.sent += len(message.get("body", b""))
            await send(message)

        return dressed

    def _finish(self, exchange: _Exchange) -> None:
        seconds = time.perf_counter() - exchange.began
        method, route = exchange.scope["method"], _template(exchange.scope)
        self._told(method, route, exchange.status, seconds)
        _log.info(
            "request",
            method=method,
            route=route,
            status=exchange.status,
            ms=round(seconds * 1000, 2),
            bytes=exchange.sent,
        )


def _untold(_method: str, _route: str, _status: int, _seconds: float) -> None:
    """For a server whose figures nobody wants."""


def _template(scope: Scope) -> str:
    """The template of the route that served it, never the address itself."""
    return str(getattr(scope.get("route"), "path", None) or "unmatched")


def _single(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    return dict(pairs)


async def _parts(receive: Receive) -> AsyncIterator[bytes]:
    """A body as it comes in; ConnectionResetError when the caller went away."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def _discard(receive: Receive, limit: int) -> None:
    left = limit
    while left > 0:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return
        left -= len(message.get("body", b""))


def _again(data: bytes, receive: Receive) -> Receive:
    """A body that was read once, for an application that wants to read it; then the real thing."""
    parts = [data]

    async def again() -> Message:
        if parts:
            return {"type": "http.request", "body": parts.pop(), "more_body": False}
        return await receive()

    return again


def _start(status: int, headers: list[tuple[bytes, bytes]]) -> Message:
    kind = (b"content-type", MEDIA_TYPE.encode())
    return {"type": "http.response.start", "status": status, "headers": [kind, *headers]}


async def _say(problem: Problem, send: Send, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    data = body(problem)
    await send(_start(problem.status, [*headers, (b"content-length", b"%d" % len(data))]))
    await send({"type": "http.response.body", "body": data})
