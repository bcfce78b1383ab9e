"""Answers at the wire, unread, what needs nobody inside: whether we live, and that there is no room.

Under ten times the load that can be carried nine of ten requests are refused. Parsed, bound to a trace
and logged like all others, the refusals alone would eat what is left for those who are let in; and who
asks whether we live would be told so late that it is taken for a no.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Container, Mapping
from http import HTTPStatus
from typing import Protocol

import structlog

from shipway.api.problems import Asked, body, of_refusal, refusal
from shipway.health.check import Answer
from shipway.server.headers import SECURITY
from shipway.telemetry.failures import MEDIA_TYPE
from shipway.telemetry.metrics import SHED
from shipway.telemetry.trace import Trace

_log = structlog.get_logger("http")
_LINE = re.compile(rb"[A-Z]{3,7} /api/v1/([!-~]*) HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,7})[ \t]*(?=\r\n)", re.IGNORECASE)
_ID = re.compile(rb"\r\nx-request-id:[ \t]*([A-Za-z0-9._-]{1,64})[ \t]*(?=\r\n)", re.IGNORECASE)
#: What says more about the body or the connection than we want to know unread.
_OTHERWISE = re.compile(
    rb"\r\n(?:transfer-encoding|expect|upgrade|connection:(?![ \t]*keep-alive))", re.IGNORECASE
)
_HEALTH = re.compile(
    rb"GET (/health(?:/ready)?) HTTP/1\.1\r\n(?:[A-Za-z0-9-]{1,64}:[ -~]{0,512}\r\n){1,32}\r\n"
)
_HOST = re.compile(rb"\r\nhost:[ \t]*([!-~]*?)(?::[0-9]{1,5})?[ \t]*(?=\r\n)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close[ \t]*(?=\r\n)", re.IGNORECASE)
#: What has to be read: a body, another protocol, or a trace to go on with.
_MORE = re.compile(
    rb"\r\n(?:content-length|transfer-encoding|expect|upgrade|traceparent"
    rb"|connection:(?![ \t]*(?:keep-alive|close)[ \t]*\r\n))",
    re.IGNORECASE,
)
_TOLD_EVERY = 1.0
_AFTER = b"".join(b"%s: %s\r\n" % header for header in SECURITY) + b"\r\n"


class Room(Protocol):
    """Whether one more can be served; it is told of each who could not."""

    def full(self, coming: int = 0) -> bool: ...
    def refuse(self) -> None: ...


#: Hears of every request that was answered here: its method, its route, the status and after how long.
Told = Callable[[str, str, int, float], None]


class Porter:
    """Says whether the process lives, and whether it is ready; ``answers`` never wait."""

    def __init__(
        self, answers: Mapping[str, Callable[[], Answer]], hosts: Container[bytes], told: Told
    ) -> None:
        self._answers = answers
        self._hosts = hosts
        self._told = told

    def answer(self, data: bytes) -> bytes | None:
        """The answer to what came in, or None if it is anything but this one simple question."""
        line = _HEALTH.fullmatch(data)
        if line is None or _MORE.search(data) is not None:
            return None
        hosts = _HOST.findall(data)
        route = line[1].decode()
        if len(hosts) != 1 or hosts[0] not in self._hosts or route not in self._answers:
            return None
        began = time.perf_counter()
        found = self._answers[route]()
        close = {"connection": "close"} if _CLOSE.search(data) else {}
        said = _written(found.status_code, {**found.headers, **close}, found.body, data)
        self._told("GET", route, found.status_code, time.perf_counter() - began)
        return said


def wants_to_close(data: bytes) -> bool:
    """Whether this was the last request on its connection."""
    return _CLOSE.search(data) is not None


def _id_of(data: bytes, span: Trace) -> bytes:
    """The caller's own, or one of ours: no system is asked for chance, as each call may lose the turn."""
    given = _ID.search(data)
    return given[1] if given else span.span_id.encode()


def _written(status: int, headers: Mapping[str, str], body: bytes, request: bytes) -> bytes:
    span = Trace.begin()
    head = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers.items())
    return (
        b"HTTP/1.1 %d %s\r\n%scontent-length: %d\r\nx-request-id: %s\r\ntraceresponse: %s\r\n%s%s"
        % (
            status,
            HTTPStatus(status).phrase.encode(),
            head.encode(),
            len(body),
            _id_of(request, span),
            span.traceparent.encode(),
            _AFTER,
            body,
        )
    )


class Doorkeeper:
    """Turns requests away while there is no room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._said, self._length = _template()
        self._count = self._coming = 0

    def turned_away(self, data: bytes) -> bytes | None:
        """The answer to what came in, or None: there is room, or it has to be read to be refused."""
        if not self._room.full(self._coming):
            self._one_more()
            return None
        if not is_whole(data):
            return None
        self._room.refuse()
        if not self._count:
            asyncio.get_running_loop().call_later(_TOLD_EVERY, self._tell)
        self._count += 1
        return self._answer(data)

    def _one_more(self) -> None:
        """What comes in at the same moment is counted before it is where it is counted otherwise.

        A turn of the loop takes in what has arrived on all connections, and only in the next one
        the requests of that begin, right after this is forgotten.
        """
        if not self._coming:
            asyncio.get_running_loop().call_soon(self._all_came)
        self._coming += 1

    def _all_came(self) -> None:
        self._coming = 0

    def _answer(self, request: bytes) -> bytes:
        span = Trace.begin()
        request_id = _id_of(request, span)
        return self._said % {
            b"length": self._length + 2 * len(request_id),
            b"request": request_id,
            b"parent": span.traceparent.encode(),
            b"trace": span.trace_id.encode(),
        }

    def _tell(self) -> None:
        """All of a moment at once: told one by one they would cost half as much again."""
        SHED.of("concurrency").inc(self._count)
        _log.warning("requests.turned_away", count=self._count, why="there is no room")
        self._count = 0


def is_whole(data: bytes) -> bool:
    """Whether this is one whole request to the API and nothing else; streams are not meant."""
    line = _LINE.match(data)
    end = data.find(b"\r\n\r\n")
    if line is None or end < 0 or line[1].partition(b"?")[0].endswith(b"events"):
        return False
    if _OTHERWISE.search(data, 0, end + 2) is not None:
        return False
    lengths = _LENGTH.findall(data, 0, end + 2)
    return len(lengths) <= 1 and len(data) == end + 4 + int(lengths[0] if lengths else 0)


def _template() -> tuple[bytes, int]:
    """The whole answer with a place for each name of its own; and how long its body is without ids."""
    marks = Asked("request-id-of-its-own", "trace-id-of-its-own")
    data = body(of_refusal(refusal(503, retry_after=1.0), marks)).replace(b"%", b"%%")
    for mark, name in zip(marks, (b"%(request)s", b"%(trace)s"), strict=True):
        data = data.replace(mark.encode(), name)
    head = (
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: %s\r\nretry-after: 1\r\n"
        b"cache-control: no-store\r\ncontent-length: %%(length)d\r\n"
        b"x-request-id: %%(request)s\r\ntraceresponse: %%(parent)s\r\n%s"
    ) % (MEDIA_TYPE.encode(), _AFTER)
    ids = {b"request": b"", b"trace": b"0" * 32}
    return head + data, len(data % ids)
