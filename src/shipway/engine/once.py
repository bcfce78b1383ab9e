"""A request that may come twice and is carried out once: what it is known by, and its kept answer."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

from shipway.contracts.views import RunSummary
from shipway.errors import ConflictError
from shipway.store import keys
from shipway.store.database import Connection, Database
from shipway.store.keys import KeptAnswer


class AnsweredError(ConflictError):
    """The same request was carried out a moment ago; its answer is kept."""


@dataclass(frozen=True, slots=True)
class Once:
    """``scope`` is who asks for what, ``fingerprint`` is of the whole request.

    ``answer`` makes what a new run is answered with; it is kept in the transaction that writes it.
    """

    scope: str
    key: str
    fingerprint: str
    answer: Callable[[RunSummary], KeptAnswer]

    def name(self, *parts: bytes | str) -> str:
        """The same for the same request: what it does is found under this name when it comes again."""
        words = [self.scope, self.key, self.fingerprint, *parts]
        raw = b"\0".join(one.encode() if isinstance(one, str) else one for one in words)
        return hashlib.sha256(raw).hexdigest()[:32]

    def keep(self, connection: Connection, answer: KeptAnswer, now: float) -> None:
        """Raises AnsweredError if there is one already, so that the transaction comes to nothing."""
        keys.forget(connection, now)
        if not keys.keep(connection, self.scope, self.key, answer, now):
            raise AnsweredError("the same request was carried out already")


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question to the database, and who waits for what it says; no ``answer``: what is kept?"""

    scope: str
    key: str
    answer: KeptAnswer | None
    future: asyncio.Future[KeptAnswer | None]


class Answers:
    """The kept answers, for one event loop.

    One thread asks the database: what comes in meanwhile goes there together.

    An answer on its own costs a thread's turn and a commit, which is more than most requests do
    beside it; those of many requests at once share both.
    """

    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now
        self._asked: SimpleQueue[_Asked | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def find(self, scope: str, key: str) -> KeptAnswer | None:
        return await self._ask(scope, key, None)

    async def keep(self, scope: str, key: str, answer: KeptAnswer) -> KeptAnswer:
        """Keep an answer, unless there is one; returns the one that counts."""
        return await self._ask(scope, key, answer) or answer

    def close(self) -> None:
        """Ask no more; who asked before is still answered."""
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join(_ENDS_WITHIN)
            self._thread = None

    async def _ask(self, scope: str, key: str, answer: KeptAnswer | None) -> KeptAnswer | None:
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work, args=(loop,), name="kept answers", daemon=True
            )
            self._thread.start()
        asked = _Asked(scope, key, answer, loop.create_future())
        self._asked.put(asked)
        return await asked.future

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        more = True
        while more:
            batch = [self._asked.get()]
            while len(batch) < _TOGETHER and not self._asked.empty():
                batch.append(self._asked.get())
            more = None not in batch
            asked = [one for one in batch if one is not None]
            finding = [one for one in asked if one.answer is None]
            keeping = [one for one in asked if one.answer is not None]
            for some, look in ((finding, self._find), (keeping, self._keep)):
                if some:
                    told = functools.partial(_settle, some, *_looked(look, some))
                    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                        loop.call_soon_threadsafe(told)

    def _find(self, some: list[_Asked]) -> list[KeptAnswer | None]:
        now = self._now()
        with self._database.reading() as connection:
            return [keys.find(connection, one.scope, one.key, now) for one in some]

    def _keep(self, some: list[_Asked]) -> list[KeptAnswer | None]:
        now = self._now()
        with self._database.writing() as connection:
            keys.forget(connection, now)
            return [_kept(connection, one, now) for one in some]


#: More than these wait for the next transaction.
_TOGETHER = 64
_ENDS_WITHIN = 1.0


def _kept(connection: Connection, asked: _Asked, now: float) -> KeptAnswer | None:
    assert asked.answer is not None  # noqa: S101 - it is one of those to keep
    if keys.keep(connection, asked.scope, asked.key, asked.answer, now):
        return asked.answer
    return keys.find(connection, asked.scope, asked.key, now)


def _looked(
    look: Callable[[list[_Asked]], list[KeptAnswer | None]], some: list[_Asked]
) -> tuple[list[KeptAnswer | None], Exception | None]:
    """What goes wrong goes wrong for all who asked together; they may ask again."""
    try:
        return look(some), None
    except Exception as error:  # noqa: BLE001 - handed to whoever asked
        return [None] * len(some), error


def _settle(some: list[_Asked], found: list[KeptAnswer | None], error: Exception | None) -> None:
    for one, answer in zip(some, found, strict=True):
        if one.future.done():
            continue  # whoever asked has gone
        if error is None:
            one.future.set_result(answer)
        else:
            one.future.set_exception(error)
