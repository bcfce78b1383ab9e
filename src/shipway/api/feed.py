"""What happens, as it happens: one thread looks at the database for all readers of live events.

Nothing is pushed at a reader. Each keeps its own place and takes what follows it, from the tail
that is kept in memory or, further back, from the database; so none can miss an event, get one
twice, or slow anybody down, and a reader that comes back with its place goes on from there.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from shipway.bus.link import Link
from shipway.bus.wiring import EVENTS
from shipway.contracts.views import FeedEvent
from shipway.engine.queries import Queries
from shipway.errors import OverloadError, ShipwayError
from shipway.telemetry.metrics import STREAMS

_log = structlog.get_logger("events")

PAGE = 200
_TAIL = 2_000
_LOOK_EVERY = 0.05
_LOOK_AGAIN = 0.5
_LOOK_ANYWAY = 0.5
_BREATH = 0.01
_MOST_READERS = 256


def _nothing() -> None:
    return None


class Feed:
    """Started with the server's loop; looks at nothing while nobody reads."""

    def __init__(
        self,
        queries: Queries,
        link: Link | None = None,
        *,
        tail: int = _TAIL,
        most: int = _MOST_READERS,
    ) -> None:
        self._queries = queries
        self._link = link
        self._rung = threading.Event()
        self._tail: deque[FeedEvent] = deque(maxlen=tail)
        self._floor = 0
        self._head: int | None = None
        self._readers: dict[asyncio.Event, str | None] = {}
        self._most = most
        self._wanted = threading.Event()
        self._over = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.closing = False

    # Readers

    @contextmanager
    def reader(self, run: str | None = None) -> Iterator[asyncio.Event]:
        """An event that is set whenever there may be something new, of one run or of any.

        Raises OverloadError when there are too many.
        """
        if len(self._readers) >= self._most:
            raise OverloadError(
                "there are as many readers of events as there may be",
                hint="close one, or read the history instead",
            )
        self._begin()
        bell = asyncio.Event()
        self._readers[bell] = run
        STREAMS.set(len(self._readers))
        self._wanted.set()
        try:
            yield bell
        finally:
            del self._readers[bell]
            STREAMS.set(len(self._readers))
            if not self._readers:
                self._wanted.clear()

    async def since(self, position: int) -> list[FeedEvent]:
        """At most a page of what follows a position in the feed of all runs."""
        if self._tail and position >= self._floor:
            if position >= self._tail[-1].position:
                return []
            return [event for event in self._tail if event.position > position][:PAGE]
        return await asyncio.to_thread(self._queries.feed, position, PAGE)

    def close(self) -> None:
        """The readers are to say good-bye."""
        self.closing = True
        self._ring()

    def stop(self) -> None:
        """Nobody looks any more."""
        self._over = True
        self._wanted.set()
        self._rung.set()
        if self._thread is not None:
            self._thread.join(2.0)

    # The thread that looks

    def _begin(self) -> None:
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._look, name="events", daemon=True)
            self._thread.start()

    def _hear(self) -> Callable[[], None]:
        if self._link is None or self._over:
            return _nothing
        return self._link.hear(EVENTS, lambda _told: self._rung.set())

    def _rest(self) -> None:
        """Until it rings, where somebody would ring; never for long, for no ring is sure to come."""
        hears = self._link is not None and self._link.up
        self._rung.wait(_LOOK_ANYWAY if hears else _LOOK_EVERY)
        time.sleep(_BREATH)

    def _look(self) -> None:
        mark: object = None
        unhear = self._hear() if self._wanted.is_set() else _nothing
        while not self._over:
            if not self._wanted.is_set():
                mark = self._head = None
                unhear()
                self._wanted.wait()
                unhear = self._hear()
                continue
            self._rung.clear()
            try:
                now = self._queries.change_mark()
                if now != mark:
                    self._take()
                    mark = now
                self._rest()
            except ShipwayError as error:
                _log.warning("events.waiting", code=error.code)
                time.sleep(_LOOK_AGAIN)

    def _take(self) -> None:
        """Everything new, a page at a time; the first look only finds where now is."""
        if self._head is None:
            self._head = self._queries.position_now()
            self._post(self._began_at, self._head)
        while not self._over:
            found = self._queries.feed(self._head, PAGE)
            if found:
                self._head = found[-1].position
                self._post(self._arrived, found)
            if len(found) < PAGE:
                return

    def _post(self, tell: Callable[[Any], None], what: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(tell, what)

    def _began_at(self, position: int) -> None:
        """The tail begins anew; whoever read before that reads again."""
        self._tail.clear()
        self._floor = position
        self._ring()

    def _arrived(self, found: list[FeedEvent]) -> None:
        for event in found:
            if len(self._tail) == self._tail.maxlen:
                self._floor = self._tail[0].position
            self._tail.append(event)
        self._ring({event.run for event in found})

    def _ring(self, runs: Collection[str] | None = None) -> None:
        for bell, run in self._readers.items():
            if run is None or runs is None or run in runs:
                bell.set()
