"""The bulkhead: at most so many calls at once, so that one slow dependency cannot take all there is."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass

from shipway.errors import OverloadError


class FullError(OverloadError):
    """No place is left; it says nothing about the other side."""


@dataclass(frozen=True, slots=True)
class BulkheadDetails:
    """How full it is."""

    name: str
    limit: int
    active: int
    waiting: int
    refused: int


class Bulkhead:
    """``limit`` at once and ``queue`` more that wait; the next is refused at once.

    Blocking callers do not wait: they are refused when it is full.
    """

    def __init__(self, name: str, limit: int, queue: int = 0) -> None:
        self.name = name
        self.limit = limit
        self._queue = queue
        self._refused = 0
        self._places = deque([None] * limit)  # taking one and giving one back need no lock
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._lock = threading.Lock()

    @property
    def details(self) -> BulkheadDetails:
        active = self.limit - len(self._places)
        return BulkheadDetails(self.name, self.limit, active, len(self._waiting), self._refused)

    def free(self) -> bool:
        """Take a place if there is one and nobody waits for it."""
        if self._waiting:
            return False
        try:
            self._places.pop()
        except IndexError:
            return False
        return True

    def enter(self) -> None:
        """Take a place, or raise FullError."""
        if not self.free():
            self._refused += 1
            raise self._full()

    async def wait(self) -> None:
        """Take a place, waiting in line for it if there is room to wait."""
        if self.free():
            return
        if len(self._waiting) >= self._queue:
            self._refused += 1
            raise self._full()
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._hand_on()  # one may have come free meanwhile
        try:
            await place
        except asyncio.CancelledError:
            with self._lock:
                given = place not in self._waiting
                if not given:
                    self._waiting.remove(place)
            if given:
                self.leave()  # the place was ours just as we were cancelled
            raise

    def leave(self) -> None:
        """Give the place back, or to who waits longest."""
        self._places.append(None)
        if self._waiting:
            self._hand_on()

    def _hand_on(self) -> None:
        with self._lock:
            while self._waiting and self._places:
                self._places.pop()
                place = self._waiting.popleft()
                place.get_loop().call_soon_threadsafe(_give, place)

    def _full(self) -> FullError:
        return FullError(
            f"{self.limit} calls to {self.name} are under way, and no more are made",
            hint="try again in a moment",
            details={"bulkhead": self.name, "limit": self.limit},
            retry_after=1.0,
        )


def _give(place: asyncio.Future[None]) -> None:
    if not place.done():
        place.set_result(None)
