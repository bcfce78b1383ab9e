"""Room for so many at once, where how many may change while some wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Room:
    """``async with room``: waits while ``limit()`` are inside; first come, first in.

    A limit that was raised is noticed when somebody leaves, and whoever waits waits for somebody.
    """

    __slots__ = ("_inside", "_limit", "_waiting")

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if not self._waiting and self._inside < self._most():
            self._inside += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove(turn)
            else:
                self._leave()  # it was let in just when it was called off
            raise

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _most(self) -> int:
        return max(1, self._limit())

    def _leave(self) -> None:
        self._inside -= 1
        while self._waiting and self._inside < self._most():
            turn = self._waiting.popleft()
            if not turn.done():
                self._inside += 1
                turn.set_result(None)
