"""Says once of each attempt that takes longer that it runs; one timer serves all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from shipway.store.ledger import OrderRow


class Announcer:
    """Lives on one event loop. ``running`` tells whether an order is still in hand."""

    def __init__(
        self, after: float, running: Callable[[OrderRow], bool], say: Callable[[OrderRow], None]
    ) -> None:
        self._after = after
        self._running = running
        self._say = say
        self._began: deque[tuple[float, OrderRow]] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    def began(self, order: OrderRow) -> None:
        """An attempt starts to work now; it is announced unless it ends soon."""
        loop = asyncio.get_running_loop()
        self._began.append((loop.time() + self._after, order))
        if self._alarm is None:
            self._alarm = loop.call_later(self._after, self._look, loop)

    def stop(self) -> None:
        """Announce nothing any more."""
        self._began.clear()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._alarm = None
        while self._began and self._began[0][0] <= loop.time():
            _, order = self._began.popleft()
            if self._running(order):
                self._say(order)
        if self._began:
            self._alarm = loop.call_at(self._began[0][0], self._look, loop)
