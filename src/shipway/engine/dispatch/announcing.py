"""Says once of each attempt that takes longer that it runs; one timer serves all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar


class Working(Protocol):
    """``since`` is when it began to work, by the monotonic clock; None while it waits for room."""

    since: float | None
    announced: bool


One = TypeVar("One", bound=Working)


class Announcer(Generic[One]):
    """Lives on one event loop. ``at_work`` tells what is in hand at the moment."""

    def __init__(
        self, after: float, at_work: Callable[[], Iterable[One]], say: Callable[[One], None]
    ) -> None:
        self._after = after
        self._at_work = at_work
        self._say = say
        self._alarm: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Something began to work; it is announced unless it ends soon."""
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(self._after, self._look)

    def stop(self) -> None:
        """Announce nothing any more."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _look(self) -> None:
        self._alarm = None
        began = time.monotonic() - self._after
        later: list[float] = []
        for one in list(self._at_work()):
            if one.since is None or one.announced:
                continue
            if one.since > began:
                later.append(one.since)
                continue
            one.announced = True
            self._say(one)
        if later:
            wait = min(later) - began
            self._alarm = asyncio.get_running_loop().call_later(wait, self._look)
