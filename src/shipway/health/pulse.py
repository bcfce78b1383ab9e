"""Whether an event loop still turns: a beat that it has to give, and how late it gave it."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from shipway.health.check import Finding, Status
from shipway.telemetry.metrics import LOOP_LAG

DEAD_AFTER = 10.0
"""Seconds without a beat after which the process had better be started again."""
_EVERY = 0.25
_REMEMBERED = 40
_LATE = 0.25


class Pulse:
    """Watches the loop it runs on, or another one (``loop``) from outside."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop
        self._last = time.monotonic()
        self._lags: deque[float] = deque(maxlen=_REMEMBERED)

    async def run(self) -> None:
        while True:
            asked = time.monotonic()
            if self._loop is None:
                await asyncio.sleep(_EVERY)
                self._beat(asked + _EVERY)
            else:
                self._loop.call_soon_threadsafe(self._beat, asked)
                await asyncio.sleep(_EVERY)

    def _beat(self, due: float) -> None:
        self._last = time.monotonic()
        self._lags.append(max(0.0, self._last - due))
        LOOP_LAG.set(self._lags[-1])

    def is_alive(self) -> bool:
        return time.monotonic() - self._last < DEAD_AFTER

    def finding(self) -> Finding:
        """The worst lag of the last seconds; a beat that is still owed counts too."""
        owed = max(0.0, time.monotonic() - self._last - 2 * _EVERY)
        lag = max([owed, *self._lags])
        status = Status.WARN if lag > _LATE else Status.PASS
        output = f"the event loop was held up for {lag:.2f} s" if status is Status.WARN else ""
        return Finding(status, output, round(lag * 1000, 1), "ms")
