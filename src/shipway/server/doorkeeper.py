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
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol

import structlog

from shipway.api.problems import Asked, body, of_refusal, refusal
from shipway.health.check import Answer
from shipway.server.headers import SECURITY
from shipway.telemetry.failures import MEDIA_TYPE
from shipway.telemetry.metrics import SHED
from shipway.telemetry.trace import SPAN_ID, TRACE_ID, new

_log = structlog.get_logger("http")
_LINE = re.compile(rb"[A-Z]{3,7} /api/v1/([!-~]*) HTTP/1\.1\r\n")
#: What names a request, says how long its body is, or more about body and connection than we want to
#: know unread.
_SAYS = re.compile(
    rb"\r\n(x-request-id:|content-length:|connection:|transfer-encoding|expect|upgrade)"
    rb"[ \t]*([^\r\n]*)",
    re.IGNORECASE,
)
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_LENGTH = re.compile(rb"[0-9]{1,7}")
_HEALTH = re.compile(
    rb"GET (/health(?:/ready)?) HTTP/1\.1\r\n(?:[A-Za-z0-9-]{1,64}:[ -~]{0,512}\r\n){1,32}\r\n"
)
_HOST = re.compile(rb"\r\nhost:[ \t]*([!-~]*?)(?::[0-9]{1,5})?[ \t]*(?=\r\n)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close[ \t]*(?=\r\n)", re.IGNORECASE)
_CLOSES = b"\r\nconnection: close\r\n"
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
        said = _written(found.status_code, {**found.headers, **close}, found.body, _named(data))
        self._told("GET", route, found.status_code, time.perf_counter() - began)
        return said


def closes(answer: bytes) -> bool:
    """Whether this answer is the last one on its connection."""
    return _CLOSES in answer


def _named(data: bytes) -> bytes:
    """The name that the caller gave its request; empty if there is none that we take."""
    names = [value for name, value in _SAYS.findall(data) if name.lower() == b"x-request-id:"]
    return _id_in(names[0]) if len(names) == 1 else b""


def _id_in(value: bytes) -> bytes:
    value = value.rstrip(b" \t")
    return value if _ID.fullmatch(value) else b""


def _written(status: int, headers: Mapping[str, str], body: bytes, request_id: bytes) -> bytes:
    parent = new().encode()
    head = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers.items())
    return (
        b"HTTP/1.1 %d %s\r\ndate: %s\r\n%scontent-length: %d\r\nx-request-id: %s\r\n"
        b"traceresponse: %s\r\n%s%s"
        % (
            status,
            HTTPStatus(status).phrase.encode(),
            formatdate(usegmt=True).encode(),
            head.encode(),
            len(body),
            request_id or parent[SPAN_ID],
            parent,
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
        request_id = look(data)
        if request_id is None:
            return None
        self._room.refuse()
        if not self._count:
            asyncio.get_running_loop().call_later(_TOLD_EVERY, self._tell)
        self._count += 1
        return self._answer(request_id)

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

    def _answer(self, request_id: bytes) -> bytes:
        """No system is asked for chance: each call may cost the turn."""
        parent = new().encode()
        request_id = request_id or parent[SPAN_ID]
        return self._said % {
            b"length": self._length + 2 * len(request_id),
            b"request": request_id,
            b"parent": parent,
            b"trace": parent[TRACE_ID],
        }

    def _tell(self) -> None:
        """All of a moment at once: told one by one they would cost half as much again."""
        SHED.of("concurrency").inc(self._count)
        _log.warning("requests.turned_away", count=self._count, why="there is no room")
        self._count = 0


def look(data: bytes) -> bytes | None:
    """None unless this is one whole request to the API and nothing else; streams are not meant.

    Otherwise the name that its caller gave it, or nothing: all that is to be known, in one pass.
    """
    line = _LINE.match(data)
    end = data.find(b"\r\n\r\n")
    if line is None or end < 0 or line[1].partition(b"?")[0].endswith(b"events"):
        return None
    request_id, length = b"", None
    for name, value in _SAYS.findall(data, 0, end + 2):
        kind = name.lower()
        if kind == b"x-request-id:":
            request_id = _id_in(value)
        elif kind == b"content-length:" and length is None and _LENGTH.fullmatch(value.rstrip()):
            length = int(value)
        elif kind != b"connection:" or value.rstrip().lower() != b"keep-alive":
            return None
    return request_id if len(data) == end + 4 + (length or 0) else None


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
