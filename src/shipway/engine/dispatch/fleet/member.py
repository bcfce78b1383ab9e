"""One process among those of a fleet: it joins, says that it lives, and learns what the others say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from shipway import __version__
from shipway.bus.link import Link
from shipway.bus.wiring import FLEET
from shipway.engine.dispatch.fleet.listening import listen
from shipway.engine.dispatch.fleet.speaking import Admit
from shipway.errors import ShipwayError
from shipway.store import fleet
from shipway.store.database import Connection, Database
from shipway.store.fleet import WorkerRow

_T = TypeVar("_T")
_AGAIN = 0.2
#: How many words are remembered that were heard once already.
_MARKS = 1024
#: What makes a member look at once whether something is asked of it; empty: it may have missed all.
_BEATS = {"", "workers", "claims"}


@dataclass(frozen=True, slots=True)
class Pace:
    """``lease`` seconds of silence make a process dead; it says that it lives every ``beat``."""

    beat: float = 2.0
    lease: float = 15.0


class Member:
    """``heard`` gets what is said on the channel, ``beaten`` is called after each beat that counted.

    Lives on one event loop; the database is asked in threads, so that it never holds the loop.
    """

    def __init__(
        self,
        database: Database,
        conninfo: str,
        kind: str,
        serves: list[Mapping[str, Any]],
        pace: Pace,
        link: Link | None = None,
        admitted: Admit = lambda _there: {},
    ) -> None:
        self._database = database
        self._conninfo = conninfo
        self._kind = kind
        self._serves = serves
        self._admitted = admitted
        self._pace = pace
        self.id = secrets.token_hex(8)
        self.name = f"{kind}-{socket.gethostname()}-{os.getpid()}"
        #: Asked by somebody to take nothing new; it stays, and may be asked to resume.
        self.draining = False
        self._leaving = False
        #: Set once the others take this worker for dead: what it has in hand is not its own any more.
        self.lost = asyncio.Event()
        #: Since when, by our own clock, each beat has counted.
        self.seen_since = time.monotonic()
        self._beaten_at = time.monotonic()
        self._log = structlog.get_logger("fleet").bind(member=self.id)
        self.busy: Callable[[], Mapping[str, int]] = dict
        self.heard: Callable[[str], None] = lambda _what: None
        self.beaten: Callable[[], None] = lambda: None
        self._tasks: list[asyncio.Task[None]] = []
        self._beat_now = asyncio.Event()
        self._link = link
        self._unhear: Callable[[], None] = lambda: None
        self._marks: dict[str, None] = {}

    async def ask(self, work: Callable[[Connection], _T]) -> _T:
        """Do something in a transaction of its own; raises what a person is told of its faults."""
        return await asyncio.to_thread(self._do, work)

    def insist_for(self, seconds: float, work: Callable[[Connection], _T]) -> _T:
        """The same for those who are in a thread already; tried again for so long."""
        give_up = time.monotonic() + seconds
        while True:
            try:
                return self._do(work)
            except ShipwayError as error:
                if not error.retryable or time.monotonic() > give_up:
                    raise
            time.sleep(_AGAIN)

    def _do(self, work: Callable[[Connection], _T]) -> _T:
        with self._database.writing() as connection:
            return work(connection)

    async def insist(self, work: Callable[[Connection], _T]) -> _T:
        """The same, again and again until the database takes it."""
        wait = 0.1
        while True:
            try:
                return await self.ask(work)
            except ShipwayError as error:
                if not error.retryable:
                    raise
                self._log.warning("the database cannot be asked", code=error.code)
            await asyncio.sleep(wait)
            wait = min(wait * 2, 1.0)

    async def join(self) -> None:
        await self._sign_in()
        self._tasks = [
            asyncio.create_task(self._beats(), name="beats"),
            asyncio.create_task(listen(self._conninfo, self._hear), name="listening"),
        ]
        if self._link is not None:
            loop = asyncio.get_running_loop()

            def hear(told: str) -> None:
                loop.call_soon_threadsafe(self._hear, told)

            self._unhear = self._link.hear(FLEET, hear)
        self._log.info("joined", name=self.name)

    async def _sign_in(self) -> None:
        row = WorkerRow(
            id=self.id,
            kind=self._kind,
            name=self.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=__version__,
            serves=json.dumps(self._serves),
            busy="{}",
            draining=False,
            seconds=0.0,
            silent=0.0,
        )
        await self.ask(lambda connection: self._join(connection, row))

    def _join(self, connection: Connection, row: WorkerRow) -> None:
        """One at a time, so that of two that do not understand each other the second is refused."""
        fleet.one_after_the_other(connection, fleet.JOIN)
        for worker, why in self._admitted(fleet.workers(connection)).items():
            self._log.warning("worker.refused", worker=worker, why=why)
            fleet.leave(connection, worker, why)
        fleet.join(connection, row)

    async def leave(self, why: str) -> None:
        self._unhear()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []
        try:
            await self.ask(lambda connection: fleet.leave(connection, self.id, why))
        except ShipwayError as error:  # the others notice by the silence
            self._log.warning("could not say goodbye", code=error.code)
        self._log.info("left", why=why)

    def drain(self) -> None:
        """Say that nothing new is taken, at once."""
        self._leaving = True
        self._beat_now.set()

    def _hear(self, told: str) -> None:
        """What the database and the bus both said counts once."""
        what, _, mark = told.partition(" ")
        if mark and self._is_known(mark):
            return
        if what in _BEATS:
            self._beat_now.set()
        self.heard(what)

    def _is_known(self, mark: str) -> bool:
        if mark in self._marks:
            return True
        self._marks[mark] = None
        if len(self._marks) > _MARKS:
            del self._marks[next(iter(self._marks))]
        return False

    async def _beats(self) -> None:
        while not self.lost.is_set():
            await self._beat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace.beat):
                    await self._beat_now.wait()
            self._beat_now.clear()

    async def _beat(self) -> None:
        busy = json.dumps(dict(self.busy()))
        try:
            draining = await self.ask(lambda connection: fleet.beat(connection, self.id, busy))
            if self._leaving and draining is False:
                await self.ask(lambda connection: fleet.drain(connection, self.id, draining=True))
        except ShipwayError as error:
            self._missed(error)
            return
        now = time.monotonic()
        if now - self._beaten_at > self._pace.lease / 2:
            self.seen_since = now
        self._beaten_at = now
        if draining is None:
            await self._taken_for_dead()
            return
        self.draining = draining
        self.beaten()

    async def _taken_for_dead(self) -> None:
        """Work in hand is not ours any more. An engine has none: it signs in anew, and goes on."""
        if self._kind != "engine":
            self._log.warning("taken for dead: what it had in hand was given to others")
            self.lost.set()
            return
        before, self.id = self.id, secrets.token_hex(8)
        self.seen_since = time.monotonic()
        try:
            await self._sign_in()
        except ShipwayError as error:  # nobody knows the new name either: at the next beat again
            self._missed(error)
            return
        self._log.warning("taken for dead, and back", before=before, member=self.id)

    def _missed(self, error: ShipwayError) -> None:
        silent = time.monotonic() - self._beaten_at
        self._log.warning("beat missed", code=error.code, silent=round(silent, 1))
        self.seen_since = time.monotonic()
        if self._kind != "engine" and silent > self._pace.lease * 4:
            self.lost.set()
