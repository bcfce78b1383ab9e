"""Rings for each run when its next timer is due; only a convenience: the database has the truth."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

#: The wall clock may be set while we sleep; look at it at least this often.
_LONGEST_SLEEP = 60.0


class Timers:
    """One alarm for all runs, on one event loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, now: Callable[[], float], ring: Callable[[str], None]
    ) -> None:
        self._loop = loop
        self._now = now
        self._ring = ring
        self._due: dict[str, float] = {}
        #: When the heap looks at a run: never too late, and too early if its timer was put off.
        self._looks: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_due = 0.0

    def set(self, run: str, due: float | None) -> None:
        """The run's next timer; None for none."""
        if due is None:
            self._due.pop(run, None)
            return
        self._due[run] = due
        look = self._looks.get(run)
        if look is None or due < look:
            self._look(run, due)

    def _look(self, run: str, due: float) -> None:
        self._looks[run] = due
        heapq.heappush(self._heap, (due, run))
        if self._alarm is None or due < self._alarm_due:
            self._set_alarm()

    def stop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _set_alarm(self) -> None:
        self.stop()
        while self._heap and self._looks.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        if self._heap:
            self._alarm_due = self._heap[0][0]
            wait = min(max(self._alarm_due - self._now(), 0.0), _LONGEST_SLEEP)
            self._alarm = self._loop.call_later(wait, self._fire)

    def _fire(self) -> None:
        self._alarm = None
        now = self._now()
        while self._heap and self._heap[0][0] <= now:
            look, run = heapq.heappop(self._heap)
            if self._looks.get(run) != look:
                continue
            del self._looks[run]
            due = self._due.get(run)
            if due is not None and due > now:
                self._looks[run] = due
                heapq.heappush(self._heap, (due, run))
            elif due is not None:
                del self._due[run]
                self._ring(run)
        self._set_alarm()
