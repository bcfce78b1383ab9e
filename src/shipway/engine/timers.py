"""Rings for each run when its next timer is due; only a convenience: the database has the truth."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable

#: The wall clock may be set while we sleep; look at it at least this often.
_LONGEST_SLEEP = 60.0
#: What is due later than this lies in the database only: a run that rests for days costs nothing.
HORIZON = 900.0


class Timers:
    """One alarm for all runs, on one event loop.

    ``read`` is called when it is time to ``set`` anew all timers until the ``horizon``, and to
    say what comes ``later``; at once when who set a timer did not know how late it is.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        now: Callable[[], float],
        ring: Callable[[str], None],
        read: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._now = now
        self._ring = ring
        self._read = read
        self._until = now() + HORIZON
        #: When the first of the timers that are not kept here is near enough to be read.
        self._read_at = math.inf
        self._due: dict[str, float] = {}
        #: When the heap looks at a run: never too late, and too early if its timer was put off.
        self._looks: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_due = 0.0

    def set(self, run: str, due: float | None) -> None:
        """The run's next timer; None for none."""
        if due is None or due > self._until:
            self._due.pop(run, None)
            if due is not None and due - HORIZON / 2 < self._read_at:
                self.later(due)
            return
        self._due[run] = due
        look = self._looks.get(run)
        if look is None or due < look:
            self._look(run, due)

    @property
    def kept(self) -> int:
        return len(self._looks)

    def horizon(self) -> float:
        """Timers until then are kept here from now on."""
        self._until = self._now() + HORIZON
        return self._until

    def later(self, due: float | None) -> None:
        """The first timer beyond the horizon, if there is any: it is read when it is nearer."""
        self._read_at = math.inf if due is None else due - HORIZON / 2
        if self._alarm is None or self._read_at < self._alarm_due:
            self._set_alarm()

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
        self._alarm_due = min(self._read_at, self._heap[0][0] if self._heap else math.inf)
        if self._alarm_due < math.inf:
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
        if self._read_at <= now:
            self._read_at = now + _LONGEST_SLEEP  # unless the database can be read
            self._read()
        self._set_alarm()
