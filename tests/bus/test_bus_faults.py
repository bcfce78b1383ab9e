"""A bus whose other end dies, stalls or fills up costs moments, and comes back by itself."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import pytest
import redis

from servers import Redis
from shipway.bus import Ring
from shipway.bus.link import Link
from shipway.bus.local import LocalBus, bell, bells
from shipway.bus.redis import RedisBus
from shipway.errors import NetworkError


async def _heard(bus: RedisBus, within: float = 15.0) -> None:
    with bus.listener("runs") as listener:
        give_up = time.monotonic() + within
        while not await listener.wait(0.2):
            assert time.monotonic() < give_up, "it never came back"
            await bus.ring(Ring("runs"))


def test_a_redis_that_dies_costs_a_moment_and_is_found_again() -> None:
    async def scene(server: Redis) -> None:
        bus = RedisBus(server.url)
        await bus.open()
        try:
            await _heard(bus)
            await asyncio.to_thread(server.stop, signal.SIGKILL)
            assert not await bus.ring(Ring("runs"))
            began = time.monotonic()
            for _ in range(200):  # nobody waits for it again and again
                assert not await bus.ring(Ring("runs"))
            assert time.monotonic() - began < 5
            with pytest.raises(NetworkError, match="Redis does not answer"):
                await bus.evaluate("return 1", [])
            await asyncio.to_thread(server.start)
            await _heard(bus)
        finally:
            await bus.close()

    with Redis() as server:
        asyncio.run(scene(server))


def test_who_begins_to_listen_or_listens_again_is_told_that_something_may_have_rung() -> None:
    async def told(heard: list[str], within: float = 15.0) -> None:
        give_up = time.monotonic() + within
        while "" not in heard:
            assert time.monotonic() < give_up, "nobody said that something may have been missed"
            await asyncio.sleep(0.02)
        heard.clear()

    async def scene(server: Redis) -> None:
        link, heard = Link(RedisBus(server.url), 0.5), list[str]()
        try:
            link.hear("runs", heard.append)
            await told(heard)
            await asyncio.to_thread(server.stop, signal.SIGKILL)
            await asyncio.to_thread(server.start)
            await told(heard)
        finally:
            link.close()

    with Redis() as server:
        asyncio.run(scene(server))


def test_a_redis_that_stalls_holds_nobody_for_longer_than_a_moment() -> None:
    async def scene(server: Redis) -> None:
        bus = RedisBus(server.url)
        await bus.open()
        try:
            await _heard(bus)
            server.freeze()
            began = time.monotonic()
            told = await asyncio.gather(*(bus.ring(Ring("runs")) for _ in range(100)))
            assert not any(told)
            assert time.monotonic() - began < 5  # redis-py's defaults: a minute for each
            server.thaw()
            await _heard(bus)
        finally:
            server.thaw()
            await bus.close()

    with Redis() as server:
        asyncio.run(scene(server))


def test_an_address_where_nobody_is_keeps_nobody_from_starting() -> None:
    async def scene() -> None:
        bus = RedisBus("redis://127.0.0.1:1/0")
        await bus.open()
        assert not await bus.ring(Ring("runs"))
        assert not await bus.reachable()
        await bus.close()

    asyncio.run(scene())


def test_a_script_runs_on_the_server_under_our_prefix_and_its_keys_expire(redis_url: str) -> None:
    async def scene() -> None:
        bus = RedisBus(redis_url, prefix="team")
        await bus.open()
        script = (
            "redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000) return redis.call('GET', KEYS[1])"
        )
        assert await bus.evaluate(script, ["limit:a"], "12") == b"12"
        await bus.close()

    asyncio.run(scene())
    with redis.Redis.from_url(redis_url) as client:
        assert [key.decode() for key in client.scan_iter()] == ["team:limit:a"]
        assert client.pttl("team:limit:a") > 0


def test_bells_of_dead_processes_are_taken_down(tmp_path: Path) -> None:
    async def scene() -> None:
        bus = LocalBus(tmp_path)
        await bus.open()
        left = bells(tmp_path) / "dead"
        bell(left).close()
        assert left.exists()
        with bus.listener("runs") as listener:
            assert await bus.ring(Ring("runs"))
            assert await listener.wait(5)
        assert not left.exists()
        await bus.close()
        assert list(bells(tmp_path).iterdir()) == []

    asyncio.run(scene())


def test_a_state_directory_with_a_long_name_has_its_bells_elsewhere(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 100)
    home.mkdir()
    assert home not in bells(home).parents
    assert bells(home) == bells(home)
