"""What a bus promises, the same for every adapter: to wake early, and never to be needed.

The database is the truth. A ring says "look there now"; who missed it looks a little later anyway.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

#: Rings that a listener keeps at most: who is that far behind looks at everything anyway.
KEPT = 1024
#: The longest text that may travel with a ring.
LONGEST = 8 * 1024


@dataclass(frozen=True, slots=True)
class Ring:
    """``data`` is a hint (an id, a small JSON), for people who watch; never the only copy."""

    topic: str
    data: bytes = b""


class Listener:
    """Rings of some topics, oldest first; bounded.

    ``missed`` grows with each ring that was let go, and with each time when rings may have been lost.
    """

    def __init__(self, topics: frozenset[str], close: Callable[[Listener], None]) -> None:
        self.topics = topics
        self.missed = 0
        self._close = close
        self._kept: deque[Ring] = deque()
        self._some = asyncio.Event()

    async def wait(self, seconds: float) -> list[Ring]:
        """What rang since the last call, as soon as there is something.

        Empty when time is up, or when something may have been missed.
        """
        if not self._kept:
            try:
                async with asyncio.timeout(seconds):
                    await self._some.wait()
            except TimeoutError:
                return []
        rings = list(self._kept)
        self._kept.clear()
        self._some.clear()
        return rings

    def hear(self, ring: Ring) -> None:
        """Keep a ring; on the loop."""
        if ring.topic not in self.topics:
            return
        if len(self._kept) == KEPT:
            self._kept.popleft()
            self.missed += 1
        self._kept.append(ring)
        self._some.set()

    def was_deaf(self, topic: str) -> None:
        """Only from now on is a topic heard: something may have rung before; on the loop."""
        if topic in self.topics:
            self.missed += 1
            self._some.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close(self)


class Bus(Protocol):
    """Lives on one event loop; opened once, closed once. No method raises because of a peer."""

    async def open(self) -> None:
        """Begin; what cannot be reached is tried again in the background."""
        ...

    async def close(self) -> None: ...

    def listener(self, *topics: str) -> Listener:
        """Rings of these topics from now on, until the ``with`` block of it ends."""
        ...

    async def ring(self, *rings: Ring) -> bool:
        """Wake who listens, all in one go; False when nobody could be told (look later)."""
        ...
