"""The circuit breaker: leaves alone what fails too often, then sends one probe to see whether it is back.

Decided here, from the calls of this process. Where processes share a state (``shared``), they also
share the open time and the one probe; when the shared state is down, each decides for itself.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from shipway.errors import Category, CircuitOpenError, NetworkError, ShipwayError
from shipway.resilience.bulkhead import FullError
from shipway.resilience.shared import Breakers, Seen, Sharing, at_once
from shipway.resilience.window import LastCalls, LastSeconds, Window

#: A process looks this often, at most, at what its peers found.
LOOK_EVERY = 1.0


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"
    FORCED_OPEN = "forced-open"
    DISABLED = "disabled"
    METRICS_ONLY = "metrics-only"


_CLOSED = State.CLOSED  # looked up once: it is on the way of every call
_ADMITTING = frozenset({State.CLOSED, State.DISABLED, State.METRICS_ONLY})


@dataclass(frozen=True, slots=True)
class Trip:
    """Why it opens: what the length of the break may depend on."""

    ratio: float
    failures: int
    half_open_attempts: int


def counts(error: BaseException) -> bool:
    """Whether an error says that the other side does not work: a refusal is an answer, not a fault."""
    if isinstance(error, ShipwayError):
        return error.retryable or error.category is Category.INTERNAL
    return isinstance(error, Exception)


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """``window`` is a number of calls, or of seconds with ``by_time``; ratios are from 0 to 1.

    ``counts`` says of an error whether it is a failure; what it denies is ignored.
    """

    window: float = 10
    by_time: bool = False
    minimum: int = 10
    ratio: float = 0.5
    slow_s: float = 60.0
    slow_ratio: float = 1.0
    open_s: float = 60.0
    longest_s: float = 3600.0
    growth: float = 1.0
    jitter: float = 0.0
    break_for: Callable[[Trip], float] | None = None
    permits: int = 1
    lease_s: float | None = None
    counts: Callable[[BaseException], bool] = counts

    @property
    def lease(self) -> float:
        return self.open_s if self.lease_s is None else self.lease_s


@dataclass(frozen=True, slots=True)
class BreakerDetails:
    """All that an observer learns of one change; ``ratio`` is -1 while there are too few calls."""

    name: str
    before: State
    after: State
    generation: int
    ratio: float
    slow_ratio: float
    calls: int
    open_for: float


Observer = Callable[[BreakerDetails], None]


class Breaker:
    """Ask ``enter``, do the call, then say what came of it with the generation that was given.

    Every change of state begins a generation: what a call of an older one reports changes nothing.
    Safe in threads; ``admit`` and ``settle`` are the same for those who share a state.
    """

    def __init__(
        self,
        name: str,
        policy: BreakerPolicy | None = None,
        *,
        shared: Breakers | None = None,
        observe: Observer | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = lambda: 0.5,
    ) -> None:
        self.name = name
        self.policy = policy or BreakerPolicy()
        self.state = State.CLOSED
        self.generation = 0
        self._window: Window = (
            LastSeconds(self.policy.window)
            if self.policy.by_time
            else LastCalls(int(self.policy.window))
        )
        self._counted = not self.policy.by_time
        self._slow_s = self.policy.slow_s
        self._shared = shared
        self._waited: Breakers | None = None
        self.alone = shared is None
        self._observe = observe
        self._clock = clock
        self._chance = chance
        self._lock = threading.RLock()
        self._until = 0.0
        self._issued = self._over = self._failed = self._attempts = 0
        self._lease_until = 0.0
        self._looked = -math.inf
        self._known = 0
        self._token: str | None = None

    # -- one call -----------------------------------------------------------------------------

    def enter(self) -> int:
        """May a call be made? Its generation, or CircuitOpenError with the time to come back."""
        if self.state is _CLOSED:
            return self.generation
        with self._lock:
            return self._enter()

    def check(self) -> None:
        """Raises CircuitOpenError while no call may be made; takes no part in any."""
        wait = self.retry_after()
        if wait > 0:
            raise self._refusal(wait)

    def success(self, generation: int, elapsed: float = 0.0) -> None:
        self._record(generation, False, elapsed >= self._slow_s)

    def failure(self, generation: int, elapsed: float = 0.0) -> None:
        self._record(generation, True, elapsed >= self._slow_s)

    def neutral(self, generation: int) -> None:
        """The call said nothing about the other side: cancelled, or an error that is ignored."""
        with self._lock:
            if generation == self.generation and self.state is State.HALF_OPEN:
                self._issued -= 1

    def report(self, generation: int, elapsed: float, error: BaseException | None) -> None:
        """What came of a call, by its error."""
        if error is None:
            self.success(generation, elapsed)
        elif not isinstance(error, FullError) and self.policy.counts(error):
            self.failure(generation, elapsed)
        else:
            self.neutral(generation)

    # -- by hand ------------------------------------------------------------------------------

    def switch(self, state: State) -> None:
        """Put it into a state by hand: forced open, disabled, metrics only, or closed again."""
        with self._lock:
            self._change(state, math.inf if state is State.FORCED_OPEN else 0.0)

    def ratio(self) -> float:
        """The share of failures, or -1 while there are too few calls to tell."""
        with self._lock:
            tally = self._window.tally(self._clock())
            return tally.failures / tally.calls if tally.calls >= self.policy.minimum else -1.0

    def retry_after(self) -> float:
        """Seconds until the next probe may be made; 0 when calls are admitted."""
        until = self._lease_until if self.state is State.HALF_OPEN else self._until
        return 0.0 if self.state in _ADMITTING else max(0.0, until - self._clock())

    # -- with others --------------------------------------------------------------------------

    def share(self, sharing: Sharing | None) -> None:
        """Share its state from now on; None: decide alone again."""
        self._shared = None if sharing is None else sharing.asked
        self._waited = None if sharing is None else sharing.waited
        self.alone = sharing is None

    def quiet(self, now: float) -> bool:
        """Closed, and others were asked a moment ago: nothing is to be asked for this call."""
        return self.state is _CLOSED and now - self._looked < LOOK_EVERY

    def calm(self, elapsed: float) -> bool:
        """Closed, and nothing failed or was slow lately: one more success is no news for anybody."""
        return self.state is _CLOSED and elapsed < self._slow_s and self._window.calm()

    async def admit(self) -> int:
        """``enter`` for those who share a state: at most one probe among all of them."""
        return self.enter() if self._shared is None else await self._admit(self._shared)

    async def settle(self, generation: int, elapsed: float, error: BaseException | None) -> None:
        """``report`` for those who share a state."""
        if self._shared is None:
            self.report(generation, elapsed, error)
        else:
            await self._settle(self._shared, generation, elapsed, error)

    def admit_blocking(self) -> int:
        """``admit`` for a thread that may wait for the answer."""
        return self.enter() if self._waited is None else at_once(self._admit(self._waited))

    def settle_blocking(self, generation: int, elapsed: float, error: BaseException | None) -> None:
        """``settle`` for a thread that may wait for the answer."""
        if self._waited is None:
            self.report(generation, elapsed, error)
        else:
            at_once(self._settle(self._waited, generation, elapsed, error))

    async def _admit(self, shared: Breakers) -> int:
        if self._clock() - self._looked >= LOOK_EVERY:
            await self._look(shared)
        generation = self.enter()
        if self.state is State.HALF_OPEN and generation == self.generation:
            return await self._probe(shared, generation)
        return generation

    async def _settle(
        self, shared: Breakers, generation: int, elapsed: float, error: BaseException | None
    ) -> None:
        before, token = self.generation, self._token
        self.report(generation, elapsed, error)
        if self.generation != before and generation == before:
            self._token = None
            await self._tell(shared, token)
        elif token is not None and self.state is State.HALF_OPEN and generation == before:
            self._token = None
            await self._ask(shared.free(self.name, token))

    async def _look(self, shared: Breakers) -> None:
        self._looked = self._clock()
        seen = await self._ask(shared.look(self.name))
        if seen is None or seen.generation <= self._known:
            return
        self._known = seen.generation
        with self._lock:
            if seen.state == "open" and seen.wait > 0 and self.state is State.CLOSED:
                self._change(State.OPEN, seen.wait)
            elif seen.state == "closed" and self.state is State.OPEN:
                self._change(State.CLOSED)

    async def _probe(self, shared: Breakers, generation: int) -> int:
        token = secrets.token_hex(8)
        try:
            seen = await self._ask(shared.enter(self.name, self._known, token, self.policy.lease))
        except BaseException:
            self.neutral(generation)
            raise
        if seen is None:  # nobody to ask: it is decided here alone
            return generation
        self._known = seen.generation
        if seen.state == "granted":
            self._token = token
            return generation
        with self._lock:
            if generation == self.generation:
                self._change(State.CLOSED if seen.state == "closed" else State.OPEN, seen.wait)
            if self.state is State.CLOSED:
                return self.generation
        raise self._refusal(seen.wait)

    async def _tell(self, shared: Breakers, token: str | None) -> None:
        """Others learn what this process found; ``token`` is there if it held the probe."""
        if self.state is State.OPEN:
            wait = self.retry_after()
            seen = await self._ask(shared.trip(self.name, token, wait))
        elif self.state is State.CLOSED and token is not None:
            seen = await self._ask(shared.close(self.name, token))
        else:
            return
        self._known = 0 if seen is None else seen.generation

    async def _ask(self, asked: Awaitable[Seen]) -> Seen | None:
        """The answer of the shared state; None when it is down."""
        try:
            return await asked
        except NetworkError:
            return None

    # -- inside -------------------------------------------------------------------------------

    def _enter(self) -> int:
        now = self._clock()
        if self.state in _ADMITTING:
            return self.generation
        if self.state is State.OPEN and now >= self._until:
            self._change(State.HALF_OPEN)
        if self.state is State.HALF_OPEN and self._issued >= self.policy.permits:
            if now < self._lease_until:
                raise self._refusal(self._lease_until - now)
            self._change(State.OPEN)  # the probe never reported
            self._change(State.HALF_OPEN)
        if self.state is State.HALF_OPEN:
            self._issued += 1
            self._lease_until = now + self.policy.lease
            return self.generation
        raise self._refusal(self._until - now)

    def _record(self, generation: int, failed: bool, slow: bool) -> None:
        if generation != self.generation:
            return
        if self._counted and self.state is _CLOSED:
            if self._window.add(0.0, failed, slow):  # no lock while nothing has failed lately
                with self._lock:
                    self._weigh(generation, 0.0)
            return
        with self._lock:
            if generation != self.generation:
                return
            if self.state is State.HALF_OPEN:
                self._probed(failed=failed or slow)
            elif self.state is _CLOSED or self.state is State.METRICS_ONLY:
                now = self._clock()
                self._window.add(now, failed, slow)
                self._weigh(generation, now)

    def _weigh(self, generation: int, now: float) -> None:
        tally = self._window.tally(now)
        if tally.calls < self.policy.minimum or generation != self.generation:
            return
        if self.state is not _CLOSED:
            return
        failing = tally.failures and tally.failures / tally.calls >= self.policy.ratio
        crawling = tally.slow and tally.slow / tally.calls >= self.policy.slow_ratio
        if failing or crawling:
            self._open(Trip(tally.failures / tally.calls, tally.failures, 0))

    def _probed(self, *, failed: bool) -> None:
        self._over += 1
        self._failed += failed
        if self._over < self.policy.permits:
            return
        if self._failed / self._over >= self.policy.ratio:
            self._attempts += 1
            self._open(Trip(self._failed / self._over, self._failed, self._attempts))
        else:
            self._attempts = 0
            self._change(State.CLOSED)

    def _open(self, trip: Trip) -> None:
        policy = self.policy
        if policy.break_for is not None:
            seconds = policy.break_for(trip)
        else:
            seconds = policy.open_s * policy.growth ** min(trip.half_open_attempts, 64)
        seconds *= 1 + policy.jitter * (2 * self._chance() - 1)
        self._change(State.OPEN, min(max(0.0, seconds), policy.longest_s))

    def _change(self, after: State, wait: float = 0.0) -> None:
        before, now = self.state, self._clock()
        tally = self._window.tally(now)
        self._until = now + wait
        if after is before:
            return
        self.state = after
        self.generation += 1
        self._issued = self._over = self._failed = 0
        if after in {State.CLOSED, State.HALF_OPEN}:
            self._window.clear()
        if self._observe is not None:
            enough = tally.calls >= self.policy.minimum
            self._observe(
                BreakerDetails(
                    self.name,
                    before,
                    after,
                    self.generation,
                    tally.failures / tally.calls if enough else -1.0,
                    tally.slow / tally.calls if enough else -1.0,
                    tally.calls,
                    wait,
                )
            )

    def _refusal(self, wait: float) -> CircuitOpenError:
        return CircuitOpenError(
            f"{self.name} failed too often: it is left alone for now",
            hint="wait until it is tried again, or see what is wrong with it",
            details={"breaker": self.name, "state": self.state.value},
            retry_after=None if wait == math.inf else max(0.0, wait),
        )
