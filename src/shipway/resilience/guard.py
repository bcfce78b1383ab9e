"""The one wrapper of every outbound call: deadline, then retry, breaker, bulkhead, time-out of a try."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from shipway.domain.retries import RetryPolicy
from shipway.errors import NetworkError
from shipway.resilience import deadline
from shipway.resilience.breaker import Breaker, BreakerPolicy
from shipway.resilience.bulkhead import Bulkhead
from shipway.resilience.retry import Attempts, Observer, Quota, capped

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """Times in seconds: ``per_try`` for one attempt, ``total`` for all with the waits between them.

    ``patient``: a server's hint to come back later is honoured in full, within the deadline.
    ``shared``: processes that share a state share the breaker's open time and its probe.
    """

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    per_try: float | None = 10.0
    total: float | None = 60.0
    at_once: int = 64
    queue: int = 64
    patient: bool = False
    shared: bool = True


class Guard:
    """Stands before one dependency; all callers of the process share it.

    ``repeatable`` says that the call may be made twice: it only reads, or carries a key by which the
    other side knows it again. Only such calls are tried again. Errors must be of our tree, or of the
    system (``OSError``, ``TimeoutError``). A cancellation passes through, and counts for nothing.
    """

    def __init__(
        self,
        name: str,
        policy: GuardPolicy | None = None,
        *,
        breaker: Breaker | None = None,
        observe: Observer | None = None,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.policy = policy or GuardPolicy()
        self.breaker = breaker or Breaker(name, self.policy.breaker, clock=clock, chance=chance)
        self.bulkhead = Bulkhead(name, self.policy.at_once, self.policy.queue)
        self.quota = Quota()
        self._total, self._per_try = self.policy.total, self.policy.per_try
        self._observe = observe
        self._chance = chance
        self._clock = clock

    async def call(
        self, work: Callable[[], Awaitable[Answer]], *, repeatable: bool = False
    ) -> Answer:
        """Do ``work``, again if need be; inside it ``deadline.remaining`` is what this try has."""
        token = None if self._total is None else deadline.start(self._total)
        try:
            answer = await self._once(work)
        except Exception as error:  # noqa: BLE001 - decided below, raised if not tried again
            return await self._again(work, error, repeatable=repeatable)
        finally:
            if token is not None:
                deadline.end(token)
        if self.quota.left < Quota.CAPACITY:
            self.quota.give()
        return answer

    async def _again(
        self, work: Callable[[], Awaitable[Answer]], error: Exception, *, repeatable: bool
    ) -> Answer:
        attempts = self._attempts()
        while True:
            await asyncio.sleep(attempts.after(error, repeatable=repeatable))
            try:
                answer = await self._once(work)
            except Exception as again:  # noqa: BLE001 - the next turn decides
                error = again
            else:
                attempts.succeeded()
                return answer

    async def _once(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        breaker, bulkhead = self.breaker, self.bulkhead
        began = self._clock()
        if breaker.alone or breaker.quiet(began):
            generation = breaker.enter()
        else:
            generation = await breaker.admit()
            began = self._clock()
        failed: BaseException | None = None
        try:
            if not bulkhead.free():
                await bulkhead.wait()
            try:
                if self._per_try is None and deadline.at() == math.inf:
                    return await work()
                return await self._in_time(work, capped(self._per_try))
            finally:
                bulkhead.leave()
        except BaseException as error:
            failed = error
            raise
        finally:
            elapsed = self._clock() - began
            if failed is None and (breaker.alone or breaker.calm(elapsed)):
                breaker.success(generation, elapsed)
            elif breaker.alone:
                breaker.report(generation, elapsed, failed)
            else:
                await breaker.settle(generation, elapsed, failed)

    async def _in_time(self, work: Callable[[], Awaitable[Answer]], seconds: float) -> Answer:
        try:
            async with asyncio.timeout(seconds) as limit:
                with deadline.within(seconds):
                    return await work()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise self._late(seconds) from error

    def call_blocking(self, work: Callable[[], Answer], *, repeatable: bool = False) -> Answer:
        """The same for work that blocks its thread, and keeps to ``deadline.remaining`` itself."""
        with deadline.within(self.policy.total):
            attempts = self._attempts()
            while True:
                try:
                    answer = self._once_blocking(work)
                except Exception as error:  # noqa: BLE001 - decided here, raised if not tried again
                    time.sleep(attempts.after(error, repeatable=repeatable))
                else:
                    attempts.succeeded()
                    return answer

    def _once_blocking(self, work: Callable[[], Answer]) -> Answer:
        deadline.check(self.name)
        generation = self.breaker.admit_blocking()
        began = self._clock()
        failed: BaseException | None = None
        try:
            self.bulkhead.enter()
            try:
                with deadline.within(capped(self.policy.per_try)):
                    return work()
            finally:
                self.bulkhead.leave()
        except BaseException as error:
            failed = error
            raise
        finally:
            self.breaker.settle_blocking(generation, self._clock() - began, failed)

    def _attempts(self) -> Attempts:
        return Attempts(
            self.name,
            self.policy.retry,
            self.quota,
            self._chance,
            patient=self.policy.patient,
            clock=self._clock,
            observe=self._observe,
        )

    def _late(self, seconds: float) -> Exception:
        if deadline.remaining() <= 0:
            return deadline.over(self.name)
        return NetworkError(
            f"{self.name} did not answer within {seconds:g} s",
            hint="it may be overloaded or out of reach",
        )
