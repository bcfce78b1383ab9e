"""Turns whole requests away at the wire while there is no room: unread, at a fraction of their price.

Under ten times the load that can be carried nine of ten requests are refused. Parsed, bound to a trace
and logged like all others, the refusals alone would eat what is left for those who are let in.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from shipway.api.problems import Asked, body, of_refusal, refusal
from shipway.server.headers import SECURITY
from shipway.telemetry.failures import MEDIA_TYPE
from shipway.telemetry.metrics import SHED
from shipway.telemetry.trace import Trace

_log = structlog.get_logger("http")
_LINE = re.compile(rb"([A-Z]{3,7}) /api/v1/([!-~]*) HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,7})[ \t]*(?=\r\n)", re.IGNORECASE)
_ID = re.compile(rb"\r\nx-request-id:[ \t]*([A-Za-z0-9._-]{1,64})[ \t]*(?=\r\n)", re.IGNORECASE)
#: What says more about the body or the connection than we want to know unread.
_OTHERWISE = re.compile(
    rb"\r\n(?:transfer-encoding|expect|upgrade|connection:(?![ \t]*keep-alive))", re.IGNORECASE
)
_TOLD_EVERY = 1.0


class Room(Protocol):
    """Whether one more can be served; it is told of each who could not."""

    def full(self, coming: int = 0) -> bool: ...
    def refuse(self) -> None: ...


class Doorkeeper:
    """``told`` hears of every request that is turned away: its method, and after how long."""

    def __init__(self, room: Room, told: Callable[[str, float], None]) -> None:
        self._room = room
        self._told = told
        self._before, self._between, self._after = _parts()
        self._count, self._count_at = 0, 0.0
        self._coming = 0

    def turned_away(self, data: bytes) -> bytes | None:
        """The answer to what came in, or None: there is room, or it has to be read to be refused."""
        if not self._room.full(self._coming):
            self._one_more()
            return None
        method = whole(data)
        if method is None:
            return None
        began = time.perf_counter()
        self._room.refuse()
        SHED.of("concurrency").inc()
        given = _ID.search(data)
        answer = self._answer(given[1] if given else secrets.token_hex(8).encode())
        self._told(method, time.perf_counter() - began)
        self._tell_now_and_then()
        return answer

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
        span = Trace.begin()
        data = self._between.replace(_REQUEST, request_id).replace(_TRACE, span.trace_id.encode())
        return b"%s%d\r\nx-request-id: %s\r\ntraceresponse: %s\r\n%s%s" % (
            self._before,
            len(data),
            request_id,
            span.traceparent.encode(),
            self._after,
            data,
        )

    def _tell_now_and_then(self) -> None:
        self._count += 1
        now = time.monotonic()
        if now - self._count_at >= _TOLD_EVERY:
            _log.warning("requests.turned_away", count=self._count, why="there is no room")
            self._count, self._count_at = 0, now


def whole(data: bytes) -> str | None:
    """The method, if this is one whole request to the API and nothing else; streams are not meant."""
    line = _LINE.match(data)
    end = data.find(b"\r\n\r\n")
    if line is None or end < 0 or line[2].partition(b"?")[0].endswith(b"events"):
        return None
    head = data[: end + 2]
    if _OTHERWISE.search(head) is not None:
        return None
    lengths = _LENGTH.findall(head)
    if len(lengths) > 1 or len(data) != end + 4 + int(lengths[0] if lengths else 0):
        return None
    return line[1].decode()


#: Stand in the template where each answer has its own.
_REQUEST, _TRACE = b"request-id-of-its-own", b"trace-id-of-its-own"


def _parts() -> tuple[bytes, bytes, bytes]:
    """The answer up to its length, its body, and the headers after its ids; made once."""
    asked = Asked(_REQUEST.decode(), _TRACE.decode())
    data = body(of_refusal(refusal(503, retry_after=1.0), asked))
    before = (
        b"HTTP/1.1 503 Service Unavailable\r\n"
        b"content-type: %s\r\nretry-after: 1\r\ncache-control: no-store\r\ncontent-length: "
    ) % MEDIA_TYPE.encode()
    after = b"".join(b"%s: %s\r\n" % header for header in SECURITY) + b"\r\n"
    return before, data, after
