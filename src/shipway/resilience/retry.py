"""Trying a call again: when, how long to wait, and when trying again would only add to the trouble."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from shipway.domain import retries
from shipway.domain.retries import RetryPolicy
from shipway.errors import Category, CircuitOpenError, DeadlineError, ShipwayError
from shipway.resilience import deadline


@dataclass(frozen=True, slots=True)
class RetryDetails:
    """All that an observer learns of one failure that is tried again: never what was sent."""

    name: str
    attempt: int
    wait: float
    error: str
    quota: int


Observer = Callable[[RetryDetails], None]


class Quota:
    """How many retries all callers of one dependency have together, so that they cannot bury it.

    A retry costs 14, after throttling 5. Success after retries gives back what the last one cost,
    success at once gives one; failure gives nothing back. Empty: no retries, fail at once.
    """

    CAPACITY, COST, COST_THROTTLED, SUCCESS = 500, 14, 5, 1

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = self.left = capacity
        self._lock = threading.Lock()

    def take(self, error: BaseException) -> int | None:
        """What a retry after ``error`` costs, taken; None when there is not enough."""
        throttled = isinstance(error, ShipwayError) and error.category is Category.THROTTLED
        cost = self.COST_THROTTLED if throttled else self.COST
        with self._lock:
            if self.left < cost:
                return None
            self.left -= cost
        return cost

    def give(self, amount: int = SUCCESS) -> None:
        if self.left < self.capacity:
            with self._lock:
                self.left = min(self.capacity, self.left + amount)


def retryable(error: BaseException) -> bool:
    """Whether an error may go away by itself, and before the deadline and the breaker allow a new call."""
    if isinstance(error, ShipwayError):
        return error.retryable and not isinstance(error, (DeadlineError, CircuitOpenError))
    return isinstance(error, (ConnectionError, TimeoutError))


class Attempts:
    """The tries of one call so far, and what follows from each failure; it never waits itself."""

    def __init__(
        self,
        name: str,
        policy: RetryPolicy,
        quota: Quota,
        chance: Callable[[], float],
        *,
        patient: bool = False,
        clock: Callable[[], float] = time.monotonic,
        observe: Observer | None = None,
    ) -> None:
        self._name = name
        self._policy = policy
        self._quota = quota
        self._chance = chance
        self._patient = patient
        self._clock = clock
        self._observe = observe
        self._notes: list[str] = []
        self._paid = 0
        self.failures = 0

    def after(self, error: Exception, *, repeatable: bool) -> float:
        """Seconds until the next try, or the error itself, with all tries noted on it."""
        self.failures += 1
        self._notes.append(f"attempt {self.failures}: {type(error).__name__}")
        if not repeatable or not retryable(error):
            raise self._noted(error)
        if not retries.may_retry(self._policy, self.failures):
            raise self._noted(error, f"no attempt is left of {self.failures}")
        hint = error.retry_after if isinstance(error, ShipwayError) else None
        drawn = retries.delay(self._policy, self.failures, self._chance())
        wait = retries.hinted(drawn, hint, patient=self._patient)
        if self._clock() + wait >= deadline.at():
            raise deadline.over(f"another attempt at {self._name}") from self._noted(error)
        cost = self._quota.take(error)
        if cost is None:
            raise self._noted(error, f"the retry quota of {self._name} is used up")
        self._paid = cost
        if self._observe is not None:
            kind = error.code if isinstance(error, ShipwayError) else type(error).__name__
            self._observe(RetryDetails(self._name, self.failures, wait, kind, self._quota.left))
        return wait

    def succeeded(self) -> None:
        self._quota.give(self._paid or Quota.SUCCESS)

    def _noted(self, error: Exception, *more: str) -> Exception:
        if self.failures > 1 or more:
            for note in (*self._notes, *more):
                error.add_note(note)
        return error


def capped(seconds: float | None) -> float:
    """A try's own time-out, or what the deadline leaves if that is less."""
    return min(math.inf if seconds is None else seconds, deadline.remaining())
