"""A small endpoint for processes that serve nothing else: health over HTTP on a loopback port."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from http import HTTPStatus

import structlog

from shipway.health.check import Answer
from shipway.health.monitor import Monitor

_READ_WITHIN = 2.0
_LONGEST_REQUEST = 8192
_MOST_AT_ONCE = 32

_log = structlog.get_logger("health")

Page = Callable[[], Answer]


class Endpoint:
    """``/health``, ``/health/ready``, ``/health/detailed`` and what else is given, in a thread.

    It watches its process from outside: a loop that stands still cannot keep it from answering.
    Only loopback: who may know more than that a worker lives asks on its machine.
    """

    def __init__(self, monitor: Monitor, port: int, pages: dict[str, Page] | None = None) -> None:
        self._monitor = monitor
        self._port = port
        self._pages: dict[str, Page] = {
            "/health": monitor.live,
            "/health/ready": monitor.ready,
            "/health/detailed": monitor.detailed,
            **(pages or {}),
        }
        self._open = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._started = threading.Event()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._work, name="health endpoint", daemon=True)

    @property
    def port(self) -> int:
        """The port that it got, when 0 was asked for."""
        return self._port

    def start(self) -> None:
        """Listen and begin to ask; raises OSError when the port is taken."""
        self._thread.start()
        self._started.wait(5)
        if self._failure is not None:
            raise self._failure

    def stop(self, seconds: float = 1.0) -> None:
        if self._loop is not None and self._task is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(seconds)

    def _work(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            server = await asyncio.start_server(
                self._answer, "127.0.0.1", self._port, limit=_LONGEST_REQUEST
            )
        except OSError as error:
            self._failure = error
            self._started.set()
            return
        self._port = server.sockets[0].getsockname()[1]
        async with server:
            self._started.set()
            await self._monitor.run()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= _MOST_AT_ONCE:
                async with asyncio.timeout(_READ_WITHIN):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._response(head))
                    await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            _log.debug("a caller of the health endpoint did not end its request")
        finally:
            self._open -= 1
            writer.close()

    def _response(self, head: bytes) -> bytes:
        method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
        page = self._pages.get(rest.split(" ")[0].split("?")[0])
        if method not in {"GET", "HEAD"}:
            return _written(HTTPStatus.METHOD_NOT_ALLOWED, b"", {"Allow": "GET, HEAD"})
        if page is None:
            return _written(HTTPStatus.NOT_FOUND, b"", {})
        found = page()
        body = b"" if method == "HEAD" else found.body
        return _written(HTTPStatus(found.status_code), body, dict(found.headers))


def _written(status: HTTPStatus, body: bytes, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Length: {len(body)}"]
    lines += ["Connection: close", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
