"""How many may be served at once, found from how long they take: Gradient2, as Netflix measured it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from shipway.errors import OverloadError


@dataclass(frozen=True, slots=True)
class AdaptivePolicy:
    """``queue`` is how many more than the limit found may stand in line inside the server."""

    initial: int = 20
    least: int = 20
    most: int = 200
    queue: int = 4
    smoothing: float = 0.2
    long_window: int = 600
    tolerance: float = 1.5


@dataclass(frozen=True, slots=True)
class AdaptiveDetails:
    limit: int
    in_flight: int
    refused: int
    usual_s: float


class AdaptiveLimit:
    """Ask ``enter`` before the work and say ``leave`` with the time it began when it is over.

    The limit shrinks when work takes longer than it usually does, because then it waits for itself,
    and grows while it does not. One event loop uses it: there is no lock.
    """

    def __init__(
        self,
        policy: AdaptivePolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy = policy or AdaptivePolicy()
        self._clock = clock
        self._limit = float(self.policy.initial)
        self._usual = 0.0
        self._seen = 0
        self.in_flight = self.refused = 0

    @property
    def limit(self) -> int:
        return int(self._limit)

    @property
    def details(self) -> AdaptiveDetails:
        return AdaptiveDetails(self.limit, self.in_flight, self.refused, self._usual)

    def full(self, coming: int = 0) -> bool:
        """Whether ``enter`` would refuse, once those have entered that are coming."""
        return self.in_flight + coming >= int(self._limit)

    def refuse(self) -> None:
        """Somebody was turned away without asking ``enter``."""
        self.refused += 1

    def enter(self, share: float = 1.0) -> float:
        """The time at which it begins, or OverloadError; what may be shed first has a smaller share."""
        if self.in_flight >= max(1, math.floor(self._limit * share)):
            self.refused += 1
            raise OverloadError(
                "more is asked than can be answered in time",
                hint="try again in a moment",
                retry_after=1.0,
            )
        self.in_flight += 1
        return self._clock()

    def leave(self, began: float, *, counts: bool = True) -> None:
        """It is over; ``counts`` is False for work whose time says nothing (a stream, a cancelled one)."""
        busy = self.in_flight
        self.in_flight -= 1
        if counts:
            self._learn(max(self._clock() - began, 1e-6), busy)

    def _learn(self, took: float, busy: int) -> None:
        policy = self.policy
        self._seen += 1
        weight = 1 / self._seen if self._seen <= 10 else 2 / (policy.long_window + 1)
        self._usual += (took - self._usual) * weight
        if self._usual / took > 2:
            self._usual *= 0.95
        if busy < self._limit / 2:
            return  # too little was asked to learn anything about the limit
        gradient = max(0.5, min(1.0, policy.tolerance * self._usual / took))
        wanted = self._limit * gradient + policy.queue
        smoothed = self._limit * (1 - policy.smoothing) + wanted * policy.smoothing
        self._limit = max(policy.least, min(policy.most, smoothed))
