"""The time as an engine sees it: the machine's clock, without its jumps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_SHARE = 0.05


def _since_boot() -> float:
    """Seconds that nobody can set; they pass while the machine sleeps, too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SteadyClock:
    """Follows ``wall``; when that jumps, it catches up by a twentieth of the time that passes.

    Whoever sets a machine's clock right may not make all attempts time out at once, nor keep a
    retry waiting for as long as the jump was. It never runs backwards. Safe in threads.
    """

    def __init__(
        self, wall: Callable[[], float] | None = None, steady: Callable[[], float] = _since_boot
    ) -> None:
        self._wall = wall or time.time
        self._steady = steady
        self._lock = threading.Lock()
        self._at, self._seen = self._wall(), steady()

    def __call__(self) -> float:
        with self._lock:
            seen = self._steady()
            passed = seen - self._seen
            ahead = self._wall() - (self._at + passed)
            most = passed * _SHARE
            self._at += passed + min(max(ahead, -most), most)
            self._seen = seen
            return self._at
