"""What every bus promises, shown by both: rings arrive early, are bounded, and are never needed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shipway.bus import Bus, Listener, Ring
from shipway.bus.doorbell import KEPT
from shipway.bus.local import LocalBus
from shipway.bus.redis import RedisBus

Make = Callable[[], Bus]
SOURCE = Path(__file__).parents[2] / "src"
OTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
from shipway.bus import Ring
from shipway.bus.local import LocalBus
from shipway.bus.redis import RedisBus

async def main():
    kind, where = sys.argv[1:]
    bus = LocalBus(Path(where)) if kind == "local" else RedisBus(where)
    await bus.open()
    await bus.ring(Ring("runs", b"from elsewhere"))
    await bus.close()

asyncio.run(main())
"""


@pytest.fixture(params=["local", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def where(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if kind == "local" else str(request.getfixturevalue("redis_url"))


@pytest.fixture
def make(kind: str, where: str) -> Make:
    def made() -> Bus:
        return LocalBus(Path(where)) if kind == "local" else RedisBus(where)

    return made


@asynccontextmanager
async def opened(*buses: Bus) -> AsyncIterator[None]:
    for bus in buses:
        await bus.open()
    try:
        yield
    finally:
        for bus in buses:
            await bus.close()


async def until(hears: Callable[[], Awaitable[bool]], within: float = 10.0) -> None:
    """Listening begins a moment after it was asked for where there is a server in between."""
    give_up = time.monotonic() + within
    while not await hears():
        assert time.monotonic() < give_up, "it was never heard"


async def settled(bus: Bus, *listeners: Listener) -> None:
    """Ring until all hear, then forget those rings."""

    async def all_hear() -> bool:
        for listener in listeners:
            await bus.ring(*(Ring(topic, b"probe") for topic in listener.topics))
        return all([await listener.wait(0.3) for listener in listeners])

    await until(all_hear)
    for listener in listeners:
        while await listener.wait(0.1):
            pass


def test_a_ring_wakes_who_listens_to_its_topic_with_its_data(make: Make) -> None:
    async def scene() -> None:
        one, other = make(), make()
        async with opened(one, other):
            with one.listener("runs") as runs, one.listener("asks") as asks:
                await settled(other, runs, asks)
                assert await other.ring(Ring("runs", b"7"))
                assert await runs.wait(5) == [Ring("runs", b"7")]
                assert await asks.wait(0.2) == []

    asyncio.run(scene())


def test_everybody_who_listens_hears_in_the_order_of_ringing(make: Make) -> None:
    async def scene() -> None:
        one, other = make(), make()
        async with opened(one, other):
            with one.listener("runs") as first, other.listener("runs") as second:
                await settled(one, first, second)
                await one.ring(*(Ring("runs", str(n).encode()) for n in range(8)))
                for listener in (first, second):
                    heard: list[bytes] = []
                    while len(heard) < 8:
                        rings = await listener.wait(5)
                        assert rings
                        heard += [ring.data for ring in rings]
                    assert heard == [str(n).encode() for n in range(8)]

    asyncio.run(scene())


def test_a_ring_that_nobody_hears_is_no_fault_and_is_not_kept(make: Make) -> None:
    async def scene() -> None:
        bus = make()
        async with opened(bus):
            await bus.ring(Ring("runs", b"early"))
            with bus.listener("runs") as late:
                await settled(bus, late)
                assert await late.wait(0.1) == []

    asyncio.run(scene())


def test_a_listener_that_is_far_behind_is_bounded_and_knows_it(make: Make) -> None:
    async def scene() -> None:
        one, other = make(), make()
        async with opened(one, other):
            with one.listener("runs") as slow:
                await settled(other, slow)
                for _ in range(20):
                    await other.ring(*(Ring("runs", b"x" * 10) for _ in range(200)))
                    await asyncio.sleep(0.005)
                rings = await slow.wait(5)
                assert 0 < len(rings) <= KEPT

    asyncio.run(scene())


def test_a_ring_comes_from_another_process(make: Make, kind: str, where: str) -> None:
    async def scene() -> None:
        bus = make()
        async with opened(bus):
            with bus.listener("runs") as listener:
                await settled(bus, listener)
                ringing = await asyncio.to_thread(
                    subprocess.run,
                    [sys.executable, "-c", OTHER_PROCESS, kind, where],
                    env={"PYTHONPATH": str(SOURCE)},
                    check=False,
                )
                assert ringing.returncode == 0
                assert await listener.wait(5) == [Ring("runs", b"from elsewhere")]

    asyncio.run(scene())


def test_waiting_ends_in_time_and_after_the_block_nothing_is_kept(make: Make) -> None:
    async def scene() -> None:
        bus = make()
        async with opened(bus):
            with bus.listener("runs") as listener:
                assert await listener.wait(0.05) == []
            await bus.ring(Ring("runs"))
            assert await listener.wait(0.2) == []

    asyncio.run(scene())
