"""The wrapper of outbound calls: what is tried again, for how long, and what passes through."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from shipway.domain.retries import RetryPolicy, delay, hinted
from shipway.errors import (
    CircuitOpenError,
    DeadlineError,
    DependencyError,
    NetworkError,
    NotFoundError,
    OverloadError,
    RateLimitError,
)
from shipway.resilience import deadline
from shipway.resilience.breaker import BreakerPolicy, State
from shipway.resilience.bulkhead import Bulkhead
from shipway.resilience.guard import Guard, GuardPolicy
from shipway.resilience.retry import Attempts, Quota

QUICK = RetryPolicy(base=0.001, maximum=0.002)


def guard(**given):
    return Guard("db", GuardPolicy(**{"retry": QUICK, **given}))


class Flaky:
    """Fails as often as it is told, then answers."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self):
        return self.blocking()

    def blocking(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def run(guarded, work, *, blocking, **given):
    if blocking:
        return guarded.call_blocking(work.blocking, **given)
    return asyncio.run(guarded.call(work, **given))


both = pytest.mark.parametrize("blocking", [False, True], ids=["async", "blocking"])


@both
def test_a_call_that_may_be_repeated_is(blocking):
    work = Flaky(NetworkError("x"), ConnectionResetError())
    assert run(guard(), work, blocking=blocking, repeatable=True) == "answer"
    assert work.calls == 3


@both
def test_a_call_that_may_not_be_repeated_is_not(blocking):
    work = Flaky(NetworkError("x"))
    with pytest.raises(NetworkError):
        run(guard(), work, blocking=blocking)
    assert work.calls == 1


@both
def test_three_retries_and_all_are_noted_on_the_last_error(blocking):
    last = NetworkError("the fourth")
    work = Flaky(NetworkError("1"), NetworkError("2"), NetworkError("3"), last)
    with pytest.raises(NetworkError) as raised:
        run(guard(), work, blocking=blocking, repeatable=True)
    assert raised.value is last
    assert work.calls == 4
    assert len([note for note in last.__notes__ if note.startswith("attempt ")]) == 4


@both
def test_an_answer_that_is_a_refusal_is_not_tried_again(blocking):
    work = Flaky(NotFoundError("no"))
    with pytest.raises(NotFoundError):
        run(guard(), work, blocking=blocking, repeatable=True)
    assert work.calls == 1


def test_delays_at_every_attempt_are_uniform_below_the_cap():
    policy, chance = RetryPolicy(), random.Random(7)
    for failures in range(1, 9):
        cap = min(30.0, 2.0 ** (failures - 1))
        drawn = sorted(delay(policy, failures, chance.random()) / cap for _ in range(10_000))
        gap = max(abs(value - index / 10_000) for index, value in enumerate(drawn))
        assert gap < 0.0163  # Kolmogorov and Smirnov at p = 0.01


def test_a_hint_is_honoured():
    assert hinted(1.0, None) == 1.0
    assert hinted(1.0, 3.0) == 3.0
    assert hinted(1.0, 60.0) == 6.0
    assert hinted(1.0, 60.0, patient=True) == 60.0
    assert hinted(4.0, 2.0) == 4.0


def attempts(quota=None, **given):
    quota = quota or Quota()
    return Attempts("db", RetryPolicy(), quota, lambda: 0.5, clock=lambda: 100.0, **given)


def test_no_wait_crosses_the_deadline():
    with deadline.within(0.6, now=100.0):
        assert attempts().after(NetworkError("x"), repeatable=True) == 0.5
    cause = RateLimitError("x", retry_after=7.0)
    with deadline.within(5.0, now=100.0), pytest.raises(DeadlineError) as raised:
        attempts(patient=True).after(cause, repeatable=True)
    assert raised.value.__cause__ is cause


def test_the_quota_is_shared_and_refunded_by_its_rules():
    quota = Quota()
    one, two = attempts(quota), attempts(quota)
    one.after(NetworkError("x"), repeatable=True)
    two.after(RateLimitError("x"), repeatable=True)
    assert quota.left == 500 - 14 - 5
    one.after(NetworkError("x"), repeatable=True)
    one.succeeded()
    assert quota.left == 500 - 14 - 5
    attempts(quota).succeeded()
    assert quota.left == 500 - 14 - 5 + 1
    quota.left = 13
    error = NetworkError("x")
    with pytest.raises(NetworkError):
        attempts(quota).after(error, repeatable=True)
    assert "quota of db is used up" in error.__notes__[-1]
    assert quota.left == 13


def test_in_a_total_outage_the_quota_ends_the_retries():
    guarded = guard(retry=RetryPolicy(base=1e-6), breaker=BreakerPolicy(minimum=10**9))
    work = Flaky(*[NetworkError("down") for _ in range(10_000)])

    async def storm():
        for _ in range(1000):
            with pytest.raises(NetworkError):
                await guarded.call(work, repeatable=True)

    asyncio.run(storm())
    assert work.calls == 1000 + 500 // 14


def test_neither_a_try_nor_the_whole_can_be_overshot():
    async def hangs():
        await asyncio.sleep(60)

    began = time.monotonic()
    with pytest.raises(DeadlineError):
        asyncio.run(guard(per_try=0.2, total=0.5).call(hangs, repeatable=True))
    assert time.monotonic() - began < 5
    with pytest.raises(NetworkError, match="did not answer within"):
        asyncio.run(guard(per_try=0.05, total=None, retry=RetryPolicy(retries=0)).call(hangs))


def test_deadlines_shrink_hop_by_hop():
    async def inner():
        return deadline.remaining()

    async def outer():
        with deadline.within(5):
            left = await guard(per_try=30, total=60).call(inner)
            with deadline.within(50):
                assert deadline.remaining() <= 5
            wall = deadline.to_wall(now=1_000.0)
        return left, deadline.from_wall(wall, now=1_000.0)

    left, next_hop = asyncio.run(outer())
    assert next_hop < left <= 5
    assert deadline.from_wall(None, 0) is None
    assert deadline.to_wall(0) is None


@both
def test_an_open_breaker_is_not_called_and_not_waited_for(blocking):
    guarded = guard(
        breaker=BreakerPolicy(window=2, minimum=2), retry=RetryPolicy(retries=1, base=0)
    )
    down = Flaky(DependencyError("x"), DependencyError("x"))
    with pytest.raises(DependencyError):
        run(guarded, down, blocking=blocking, repeatable=True)
    assert guarded.breaker.state is State.OPEN
    work = Flaky()
    with pytest.raises(CircuitOpenError) as refused:
        run(guarded, work, blocking=blocking, repeatable=True)
    assert work.calls == 0
    assert 59 < refused.value.retry_after <= 60


def test_a_cancellation_passes_through_and_counts_for_nothing():
    guarded = guard(breaker=BreakerPolicy(window=1, minimum=1))

    async def cancelled():
        hangs = asyncio.ensure_future(guarded.call(lambda: asyncio.sleep(60), repeatable=True))
        await asyncio.sleep(0)
        hangs.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hangs

    asyncio.run(cancelled())
    assert guarded.breaker.state is State.CLOSED
    assert guarded.bulkhead.details.active == 0


def test_what_the_bulkhead_refuses_is_no_fault_of_the_other_side():
    policy = BreakerPolicy(window=1, minimum=1)
    guarded = guard(at_once=1, queue=0, breaker=policy, retry=RetryPolicy(retries=0))

    async def crowd():
        gate = asyncio.Event()
        first = asyncio.ensure_future(guarded.call(gate.wait))
        await asyncio.sleep(0)
        with pytest.raises(OverloadError):
            await guarded.call(gate.wait)
        gate.set()
        await first

    asyncio.run(crowd())
    assert guarded.breaker.state is State.CLOSED


def test_a_bulkhead_admits_in_order_and_loses_no_place():
    async def crowd():
        bulkhead, inside, order, most = Bulkhead("x", 3, queue=100), 0, [], 0

        async def one(number):
            nonlocal inside, most
            await bulkhead.wait()
            order.append(number)
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
            bulkhead.leave()

        tasks = [asyncio.ensure_future(one(number)) for number in range(50)]
        await asyncio.sleep(0)
        for task in tasks[10:20]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return bulkhead.details, order, most

    details, order, most = asyncio.run(crowd())
    assert (details.active, details.waiting, most) == (0, 0, 3)
    assert order == [number for number in range(50) if not 10 <= number < 20]
