"""Breakers and limits that processes share through a real Redis, and each alone when it is gone."""

from __future__ import annotations

import asyncio
import time

import pytest
import redis
from crowd import gather

from shipway.bus.redis import RedisBus
from shipway.bus.shared import SharedState
from shipway.bus.wiring import link, sharing
from shipway.config import load_settings
from shipway.domain.limits import Rate
from shipway.errors import CircuitOpenError, NetworkError
from shipway.resilience.breaker import Breaker, BreakerPolicy, State
from shipway.resilience.guard import Guard, GuardPolicy
from shipway.resilience.shared import Seen, Sharing
from shipway.secrets import Secret

ONE = BreakerPolicy(window=1, minimum=1, open_s=60, lease_s=30)


class Gone:
    """A shared state that cannot be reached."""

    def __getattr__(self, _name):
        async def refused(*_given):
            raise NetworkError("Redis does not answer")

        return refused


def test_one_probe_of_eight_processes_with_a_hundred_callers_each(redis_url):
    probes, taken = gather(redis_url, 10, within=120)
    assert probes == [1] * 10
    assert taken == 100
    with redis.Redis.from_url(redis_url) as server:
        keys = server.keys("*")
        assert keys
        assert all(server.pttl(key) > 0 for key in keys)


def with_redis(url, work):
    async def inside():
        bus = RedisBus(url)
        await bus.open()
        try:
            return await work(SharedState(bus))
        finally:
            await bus.close()

    return asyncio.run(inside())


def test_peers_learn_of_an_open_breaker_and_of_its_end(redis_url):
    async def work(state):
        now = [time.monotonic()]
        one, two = (Breaker("db", ONE, shared=state, clock=lambda: now[0]) for _ in range(2))
        await two.admit()
        await one.settle(await one.admit(), 0, NetworkError("down"))
        assert one.state is State.OPEN
        now[0] += 1
        with pytest.raises(CircuitOpenError) as refused:
            await two.admit()
        assert 50 < refused.value.retry_after <= 60
        # The break is over on the server: the first who asks has the probe, the other waits.
        await state.trip("db", None, 0)
        seen = await state.enter("db", 0, "nobody", 0)
        assert seen.state in {"granted", "open"}

    with_redis(redis_url, work)


def test_a_probe_that_succeeds_closes_it_for_all_and_one_cancelled_is_given_on(redis_url):
    async def work(state):
        opened = await state.trip("db", None, 0.0)
        assert (await state.enter("db", opened.generation, "a", 30)).state == "granted"
        assert (await state.enter("db", opened.generation, "b", 30)).state == "leased"
        await state.free("db", "b")
        assert (await state.enter("db", opened.generation, "b", 30)).state == "leased"
        await state.free("db", "a")
        assert (await state.enter("db", opened.generation, "b", 30)).state == "granted"
        assert (await state.close("db", "a")).state == "leased"
        closed = await state.close("db", "b")
        assert closed.state == "closed"
        assert closed.generation > opened.generation
        assert (await state.enter("db", opened.generation, "c", 30)).state == "closed"

    with_redis(redis_url, work)


def test_a_failed_probe_opens_it_again_for_all(redis_url):
    async def work(state):
        opened = await state.trip("db", None, 0.0)
        await state.enter("db", opened.generation, "a", 30)
        again = await state.trip("db", "a", 20)
        assert again.state == "open"
        assert 19 < again.wait <= 20
        assert (await state.trip("db", "late", 99)).wait <= 20

    with_redis(redis_url, work)


def test_who_only_looks_at_a_rate_takes_nothing_and_learns_when_to_come_back(redis_url):
    async def work(state):
        rate = Rate(2, 60.0)
        assert (await state.peek("implement", rate, 1)).remaining == 1
        answers = [await state.take("implement", rate, 1) for _ in range(2)]
        assert [one.allowed for one in answers] == [True, True]
        seen = [await state.peek("implement", rate, 1) for _ in range(2)]
        assert [one.allowed for one in seen] == [False, False]
        assert 25 < seen[0].retry_after <= 30

    with_redis(redis_url, work)


def test_threads_that_wait_share_a_breaker_as_loops_do(redis_url):
    bus = link(load_settings(redis_url=Secret(redis_url), redis_patience_s=20))
    try:
        one, two = Breaker("db", ONE), Breaker("db", ONE)
        for breaker in (one, two):
            breaker.share(sharing(bus))
        one.settle_blocking(one.admit_blocking(), 0, NetworkError("down"))
        with pytest.raises(CircuitOpenError) as refused:
            two.admit_blocking()
        assert 0 < refused.value.retry_after <= 60
        two.share(None)
        bus.close()
        with pytest.raises(CircuitOpenError):
            one.admit_blocking()
    finally:
        bus.close()


def test_calls_that_succeed_ask_nobody_but_now_and_then():
    class Counting(Gone):
        asked = 0

        async def look(self, _name):
            Counting.asked += 1
            return Seen("closed", 1, 0.0)

    async def work():
        port = Guard("db", GuardPolicy(breaker=ONE))
        port.breaker.share(Sharing(Counting(), Counting()))
        for _ in range(100):
            await port.call(nothing)

    async def nothing():
        return None

    asyncio.run(work())
    assert Counting.asked == 1


def test_without_the_shared_state_each_process_decides_alone():
    async def work():
        now = [1000.0]
        breaker = Breaker("db", ONE, shared=Gone(), clock=lambda: now[0])
        await breaker.settle(await breaker.admit(), 0, NetworkError("down"))
        with pytest.raises(CircuitOpenError):
            await breaker.admit()
        now[0] += 60
        probe = await breaker.admit()
        with pytest.raises(CircuitOpenError):
            await breaker.admit()
        await breaker.settle(probe, 0, None)
        assert breaker.state is State.CLOSED

    asyncio.run(work())
