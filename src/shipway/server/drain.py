"""The HTTP server that leaves no request behind: how it stops listening, and what it waits for."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from uvicorn import Config, Server

from shipway.errors import ExitCode
from shipway.server.edge import Traffic
from shipway.server.protocol import CONNECTIONS_AT_MOST, HEADERS_AT_MOST, Crowd, Protocol
from shipway.server.sockets import notify

_log = structlog.get_logger("serve")


@dataclass(frozen=True, slots=True)
class Times:
    """The seconds of a shutdown; all of them together stay below ``total``."""

    deregister: float = 1.0
    linger: float = 0.3
    drain: float = 22.0
    total: float = 28.5


class DrainServer(Server):
    """uvicorn's server with an orderly end.

    Asked to stop, it first serves on and closes each connection after its answer, so that callers
    and balancers go elsewhere; then it stops listening; what was accepted is still answered; and
    when the time is up, whatever still runs is cancelled. A second signal skips the waiting.
    """

    def __init__(
        self,
        app: object,
        traffic: Traffic,
        times: Times,
        *,
        asked: Callable[[], None],
        closed: Callable[[], None],
        connections: int = CONNECTIONS_AT_MOST,
    ) -> None:
        """``asked`` is called once when the end is asked for, ``closed`` when nothing new comes in."""
        super().__init__(
            Config(
                app,  # type: ignore[arg-type]  # an ASGI application by shape
                http=Protocol,
                ws="none",
                lifespan="off",
                loop="asyncio",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=75,
                h11_max_incomplete_event_size=HEADERS_AT_MOST,
            )
        )
        self.server_state = Crowd(connections)
        self._traffic = traffic
        self._times = times
        self._asked, self._closed = asked, closed
        self._hurry = asyncio.Event()
        self.asked_at: float | None = None
        self.listening = asyncio.Event()

    def handle_exit(self, sig: int, frame: object) -> None:
        """The first signal asks for the end, the second one hurries it."""
        del sig, frame
        if self.asked_at is None:
            self.asked_at = time.monotonic()
            self._traffic.closing = True
            threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
            self._asked()
        else:
            self.force_exit = True
            asyncio.get_running_loop().call_soon_threadsafe(self._hurry.set)
        self.should_exit = True

    def _watch(self) -> None:
        """The end comes in any case; what was not written is what the next start recovers."""
        time.sleep(self._times.total)
        faulthandler.dump_traceback(sys.__stderr__ or 2)
        os._exit(ExitCode.DONE)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's, and say so."""
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """The sequence of HARDENING 7.4, as far as HTTP is concerned."""
        began = self.asked_at or time.monotonic()
        self._traffic.closing = True
        notify("STOPPING=1")
        _log.info("serve.draining", in_flight=self._traffic.in_flight)
        await self._pause(began + self._times.deregister)
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        self._closed()
        await self._pause(time.monotonic() + self._times.linger)
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self._finish(began + self._times.drain)

    async def _pause(self, until: float) -> None:
        left = until - time.monotonic()
        if left > 0 and not self._hurry.is_set():
            try:
                await asyncio.wait_for(self._hurry.wait(), left)
            except TimeoutError:
                return

    async def _finish(self, deadline: float) -> None:
        while self.server_state.connections or self.server_state.tasks:
            if time.monotonic() > deadline or self._hurry.is_set():
                break
            await asyncio.sleep(0.02)
        tasks = list(self.server_state.tasks)
        if tasks:
            _log.warning("serve.cut_short", requests=len(tasks))
            for task in tasks:
                task.cancel("the server stops")
            await asyncio.wait(tasks, timeout=1.0)
        for connection in list(self.server_state.connections):
            connection.transport.close()
