"""What happened lately: the last calls of a breaker, by number or by time."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Protocol

_BUCKETS = 10
_FINE = (False, False)


class Tally(NamedTuple):
    """Calls in a window, and how many of them failed and were slow."""

    calls: int
    failures: int
    slow: int


class Window(Protocol):
    def add(self, now: float, failed: bool, slow: bool) -> bool:
        """Whether there is anything to weigh: no failure and nothing slow needs no arithmetic."""
        ...

    def calm(self) -> bool:
        """Whether nothing in it failed or was slow, as far as that is known at once."""
        ...

    def tally(self, now: float) -> Tally: ...

    def clear(self) -> None: ...


class LastCalls:
    """The last ``size`` calls; while all is well a call costs one append and takes no lock."""

    __slots__ = ("_kept", "_watch", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept: deque[tuple[bool, bool]] = deque(maxlen=size)
        self._watch = 0

    def add(self, now: float, failed: bool, slow: bool) -> bool:
        if failed or slow:
            self._watch = self.size
            self._kept.append((failed, slow))
            return True
        self._kept.append(_FINE)
        if self._watch:
            self._watch -= 1
            return True
        return False

    def calm(self) -> bool:
        return not self._watch

    def tally(self, now: float) -> Tally:
        kept = tuple(self._kept)
        return Tally(len(kept), sum(one[0] for one in kept), sum(one[1] for one in kept))

    def clear(self) -> None:
        self._kept.clear()
        self._watch = 0


class LastSeconds:
    """The calls of the last ``seconds``, in ten buckets."""

    __slots__ = ("_buckets", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._buckets: deque[list[float]] = deque()

    def add(self, now: float, failed: bool, slow: bool) -> bool:
        buckets = self._buckets
        if not buckets or now - buckets[-1][0] >= self.seconds / _BUCKETS:
            buckets.append([now, 0, 0, 0])
        bucket = buckets[-1]
        bucket[1] += 1
        bucket[2] += failed
        bucket[3] += slow
        return True

    def calm(self) -> bool:
        return False

    def tally(self, now: float) -> Tally:
        buckets = self._buckets
        while buckets and now - buckets[0][0] >= self.seconds:
            buckets.popleft()
        return Tally(*(int(sum(bucket[column] for bucket in buckets)) for column in (1, 2, 3)))

    def clear(self) -> None:
        self._buckets.clear()
