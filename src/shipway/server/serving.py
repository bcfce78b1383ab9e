"""One serving process from its start to its end: engine, API and socket, started and drained in order."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import structlog

from shipway import __version__
from shipway.api.app import make_app
from shipway.api.backend import Backend
from shipway.api.cursor import Cursors
from shipway.api.feed import Feed
from shipway.bootstrap.health import health_of
from shipway.bootstrap.system import open_system
from shipway.config import Settings
from shipway.errors import ExitCode
from shipway.health.monitor import Monitor
from shipway.lifecycle import settle_memory
from shipway.resilience.adaptive import AdaptiveLimit, AdaptivePolicy
from shipway.server.drain import DrainServer, Times
from shipway.server.edge import Edge, Traffic
from shipway.server.protocol import CONNECTIONS_AT_MOST
from shipway.server.sockets import (
    address_of,
    announce,
    connections_at_most,
    notify,
    watchdog_seconds,
    withdraw,
)
from shipway.server.token import TokenCheck, token_of
from shipway.telemetry.metrics import BUILD
from shipway.telemetry.requests import RequestLog

_log = structlog.get_logger("serve")
#: Twenty callers at once are no overload, though each makes the others later; more than there are
#: threads to work in only stand in line.
_ROOM = AdaptivePolicy(initial=20, least=20, most=40, queue=2)
#: So many at work that read, and that write. Reading is the interpreter's work: more threads make none
#: of them faster, and whoever is refused, or asks whether we live, waits for each to give way. Who
#: writes waits for a disk, and shares that with others who do.
_AT_ONCE = (2, 8)
_HOSTS = frozenset({b"127.0.0.1", b"localhost", b"[::1]"})


class Serving:
    """``started`` is told the address once requests are answered."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        started: Callable[[str], None],
        times: Times | None = None,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._started = started
        self._times = times or Times()
        self._traffic = Traffic(hosts=_HOSTS)
        self._system = open_system(settings, embedded=True)
        token = token_of(settings.home)
        requests = RequestLog()
        checks = health_of(self._system)
        checks.tell("requests", requests.summary)
        self._monitor = Monitor(checks, __version__)
        self._feed = Feed(self._system.queries, self._system.link)
        made_from = revision()
        BUILD.of(__version__, made_from).set(1)
        backend = Backend(
            system=self._system,
            cursors=Cursors(token),
            revision=made_from,
            monitor=self._monitor,
            feed=self._feed,
        )
        edge = Edge(
            make_app(backend),
            self._traffic,
            TokenCheck(token),
            told=requests.observe,
            admission=AdaptiveLimit(_ROOM),
            at_once=_AT_ONCE,
            health={"/health": self._monitor.live, "/health/ready": self._monitor.ready},
        )
        self._server = DrainServer(
            edge,
            self._traffic,
            self._times,
            asked=self._asked,
            closed=self._closed,
            connections=connections_at_most(CONNECTIONS_AT_MOST),
        )

    def run(self) -> int:
        """Serve until a signal asks for the end; returns the exit code."""
        embedded = self._system.embedded
        assert embedded is not None  # noqa: S101 - it was opened so
        embedded.start()
        self._system.live.listen()
        self._system.live.tell()
        address = address_of(self._listener)
        try:
            asyncio.run(self._serve(address))
        finally:
            self._feed.stop()
            embedded.stop("the server stops")
            self._system.answers.close()
            self._system.close()
            withdraw(self._settings.home, address)
        _log.info("serve.ended")
        return ExitCode.DONE

    async def _serve(self, address: str) -> None:
        beside = [
            asyncio.create_task(self._monitor.run()),
            asyncio.create_task(self._when_started(address)),
        ]
        await self._server.serve(sockets=[self._listener])
        for task in beside:
            task.cancel()

    async def _when_started(self, address: str) -> None:
        await self._server.listening.wait()
        settle_memory()
        announce(self._settings.home, address)
        notify("READY=1")
        _log.info("serve.started", address=address)
        self._started(address)
        patience = watchdog_seconds()
        while patience is not None:
            notify("WATCHDOG=1")
            await asyncio.sleep(patience / 3)

    def _asked(self) -> None:
        """The end was asked for: no traffic is welcome, and nothing new is begun."""
        self._monitor.drain()
        if self._system.embedded is not None:
            self._system.embedded.rest()

    def _closed(self) -> None:
        """Nothing new comes in any more: who follows events is told to come back elsewhere."""
        self._feed.close()


def revision() -> str:
    """The git revision that this code is from, if it is run from a checkout."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return "released"
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(root), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    return done.stdout.strip() or "unknown"
