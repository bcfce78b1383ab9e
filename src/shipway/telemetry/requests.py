"""Rates and percentiles of requests over the last minute, for people; Prometheus has its own."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from shipway.telemetry.metrics import ACTIVE_REQUESTS, REQUESTS, SECONDS

_SLOT_S = 5.0
_SLOTS = 12


class RequestLog:
    """``observe`` for each request that was answered; ``summary`` for the detailed health document.

    A ring of slots of five seconds; each holds how many answers fell into each bucket.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._began = now()
        self._slots = [_Slot() for _ in range(_SLOTS + 1)]

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """``route`` is the template, never the path: paths are without end."""
        REQUESTS.of(method, route, str(status)).observe(seconds)
        number = int(self._now() // _SLOT_S)
        with self._lock:
            slot = self._slots[number % len(self._slots)]
            if slot.number != number:
                slot.clear(number)
            slot.counts[bisect_left(SECONDS, seconds)] += 1
            slot.errors += status >= 500

    def summary(self) -> dict[str, Any]:
        """Requests per second, errors per second and percentiles of the last minute."""
        now = self._now()
        newest = int(now // _SLOT_S)
        with self._lock:
            live = [slot for slot in self._slots if newest - slot.number < _SLOTS]
            counts = [sum(column) for column in zip(*(slot.counts for slot in live), strict=True)]
            errors = sum(slot.errors for slot in live)
        total = sum(counts)
        window = max(_SLOT_S, min(_SLOT_S * _SLOTS, now - self._began))
        return {
            "window_s": round(window),
            "per_second": round(total / window, 2),
            "errors_per_second": round(errors / window, 2),
            "active": int(ACTIVE_REQUESTS._value.get()),  # noqa: SLF001 - the library's own number
            **{
                f"p{round(share * 100)}_ms": _milliseconds(percentile(SECONDS, counts, share))
                for share in (0.5, 0.95, 0.99)
            },
        }


class _Slot:
    __slots__ = ("counts", "errors", "number")

    def __init__(self) -> None:
        self.clear(-_SLOTS - 1)

    def clear(self, number: int) -> None:
        self.number = number
        self.errors = 0
        self.counts = [0] * (len(SECONDS) + 1)


def percentile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """The value below which this share lies, straight between the bounds of its bucket.

    ``counts`` has one more than ``bounds``: what was above the last, which is told as that bound.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, below, low = share * total, 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and below + count >= wanted:
            return low + (bound - low) * (wanted - below) / count
        below, low = below + count, bound
    return bounds[-1]


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
