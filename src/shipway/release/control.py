"""How commands reach a supervisor: one JSON line asks, JSON lines answer, over a Unix socket.

An answer is any number of ``{"say": text}`` lines and then one ``{"ok": ...}`` or
``{"error": ...}``. The socket stands in the service's own directory with mode 0600. It is reached
through /proc/self/fd, because the path of a Unix socket may have 107 bytes only.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shipway import errors
from shipway.telemetry.failures import revived, told

SOCKET = "control.sock"
_LINE_LIMIT = 1 << 20
_CONNECT_SECONDS = 5.0

Handler = Callable[[dict[str, Any], Callable[[str], None]], Awaitable[dict[str, Any]]]


class UnreachableError(Exception):
    """Nobody answers on the control socket."""


@contextmanager
def _short_path(directory: Path) -> Iterator[str]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)


# -- in the supervisor ----------------------------------------------------------------------------


def listen(directory: Path) -> socket.socket:
    """The listening control socket; an earlier, dead one is replaced (the caller holds the lock)."""
    (directory / SOCKET).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with _short_path(directory) as path:
            listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(64)
    return listener


class Desk:
    """Answers requests with ``handler``; a broken or over-long line only ends its own connection."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def open(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_unix_server(
            self._converse, sock=listener, limit=_LINE_LIMIT
        )

    async def close(self) -> None:
        """Take no more requests, and let the answers out that are ready."""
        if self._server is not None:
            self._server.close()
        if self._talks:
            await asyncio.wait(self._talks, timeout=1.0)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        if talk is not None:
            self._talks.add(talk)
            talk.add_done_callback(self._talks.discard)

        def send(message: dict[str, Any]) -> None:
            if not writer.is_closing():
                writer.write(json.dumps(message).encode() + b"\n")

        try:
            send(await self._reply(reader, lambda text: send({"say": text})))
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except ConnectionError:
            return  # who asked does not wait for the answer any more; the work is done all the same

    async def _reply(
        self, reader: asyncio.StreamReader, say: Callable[[str], None]
    ) -> dict[str, Any]:
        try:
            request = json.loads(await asyncio.wait_for(reader.readline(), _CONNECT_SECONDS))
        except (ValueError, TimeoutError):
            request = None
        if not isinstance(request, dict):
            return {"error": told(errors.UsageError("this is not a request"))}
        return await _answer(request, self._handler, say)


async def _answer(
    request: dict[str, Any], handler: Handler, say: Callable[[str], None]
) -> dict[str, Any]:
    try:
        return {"ok": await handler(request, say)}
    except errors.ShipwayError as error:
        return {"error": told(error)}


# -- in the client --------------------------------------------------------------------------------


def call(
    directory: Path,
    request: dict[str, Any],
    *,
    say: Callable[[str], None] | None = None,
    cancel: threading.Event | None = None,
    timeout: float = 120.0,
) -> dict[str, Any]:
    """Ask and wait for the answer, which may take ``timeout`` s.

    Raises the supervisor's own error, or UnreachableError when nobody is there or it died on the
    way. When ``cancel`` is set, the supervisor is told to give the operation up.
    """
    deadline = time.monotonic() + timeout
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_CONNECT_SECONDS)
            with _short_path(directory) as path:
                connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            for line in _lines(connection, deadline, directory, request, cancel):
                message = json.loads(line)
                if "say" in message and say is not None:
                    say(message["say"])
                if "error" in message:
                    raise revived(message["error"])
                if "ok" in message:
                    return dict(message["ok"])
    except (OSError, ValueError) as error:
        raise UnreachableError(str(error)) from error
    raise UnreachableError("it left without an answer")


def _lines(
    connection: socket.socket,
    deadline: float,
    directory: Path,
    request: dict[str, Any],
    cancel: threading.Event | None,
) -> Iterator[bytes]:
    pending, aborted = b"", False
    while time.monotonic() < deadline:
        if cancel is not None and cancel.is_set() and not aborted:
            aborted = True
            call(directory, {"op": "abort", "release": request.get("release")}, timeout=10)
        if not select.select([connection], [], [], 0.1)[0]:
            continue
        data = connection.recv(1 << 16)
        if not data:
            return
        *whole, pending = (pending + data).split(b"\n")
        yield from whole
        if len(pending) > _LINE_LIMIT:
            return
    raise errors.AgentTimeoutError(
        "the supervisor of the service did not answer in time",
        hint="its log is supervisor.log in the service's directory; ask again",
    )
