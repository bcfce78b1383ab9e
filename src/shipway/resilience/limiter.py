"""How much may be asked in a time: GCRA, exact and smooth, with one timestamp for each key."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from shipway.domain.limits import Rate
from shipway.errors import NetworkError, RateLimitError
from shipway.resilience.shared import Rates, Taken

_MOST_KEYS = 100_000


def gcra(tat: float, now: float, rate: Rate, cost: int = 1) -> tuple[float, Taken]:
    """The new timestamp of a key, and whether ``cost`` is allowed now (else nothing changes)."""
    interval, whole = rate.interval, rate.seconds
    tat = max(tat, now)
    new = tat + interval * cost
    wait = new - whole - now
    if wait > 1e-9:
        return tat, Taken(False, _left(tat, now, rate), wait, tat - now)
    return new, Taken(True, _left(new, now, rate), 0.0, new - now)


def _left(tat: float, now: float, rate: Rate) -> int:
    return max(0, math.floor((rate.seconds - (tat - now)) / rate.interval + 1e-9))


@dataclass(frozen=True, slots=True)
class LimitDetails:
    """All that an observer learns of one question; the key may be a person's, so it stays here."""

    name: str
    allowed: bool
    remaining: int
    retry_after: float
    local: bool


Observer = Callable[[LimitDetails], None]


class LocalRates:
    """The state of one process; the keys that were not used for longest are forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, keys: int = _MOST_KEYS) -> None:
        self._clock = clock
        self._keys = keys
        self._tats: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, rate: Rate, cost: int = 1) -> Taken:
        tat, taken = gcra(self._tats.pop(key, 0.0), self._clock(), rate, cost)
        self._tats[key] = tat
        if len(self._tats) > self._keys:
            self._tats.popitem(last=False)
        return taken


class Limiter:
    """One rate for many keys; exact among all processes that share it.

    When the shared state is down each process keeps the rate for itself: never open to all.
    """

    def __init__(
        self,
        name: str,
        rate: Rate,
        *,
        shared: Rates | None = None,
        local: LocalRates | None = None,
        observe: Observer | None = None,
    ) -> None:
        self.name = name
        self.rate = rate
        self._shared = shared
        self._local = local or LocalRates()
        self._observe = observe

    async def take(self, key: str, cost: int = 1) -> Taken:
        """Whether it is allowed now; ``require`` raises instead."""
        taken, local = None, self._shared is None
        if self._shared is not None:
            try:
                taken = await self._shared.take(f"{self.name}:{key}", self.rate, cost)
            except NetworkError:
                local = True
        if taken is None:
            taken = self._local.take(f"{self.name}:{key}", self.rate, cost)
        if self._observe is not None:
            self._observe(
                LimitDetails(
                    self.name, taken.allowed, taken.remaining, taken.retry_after, local=local
                )
            )
        return taken

    async def require(self, key: str, cost: int = 1) -> Taken:
        """Take it, or raise RateLimitError with the time to come back."""
        taken = await self.take(key, cost)
        if not taken.allowed:
            raise RateLimitError(
                f"more than {self.rate.count} in {self.rate.seconds:g} s",
                hint=f"try again in {math.ceil(taken.retry_after)} s",
                details={"limit": self.name},
                retry_after=taken.retry_after,
            )
        return taken

    def headers(self, taken: Taken) -> dict[str, str]:
        """The fields RateLimit-Policy and RateLimit, and Retry-After when it was refused."""
        fields = {
            "RateLimit-Policy": f'"{self.name}";q={self.rate.count};w={math.ceil(self.rate.seconds)}',
            "RateLimit": f'"{self.name}";r={taken.remaining};t={math.ceil(taken.reset)}',
        }
        if not taken.allowed:
            fields["Retry-After"] = str(max(1, math.ceil(taken.retry_after)))
        return fields
