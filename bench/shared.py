"""Times what processes share: rings, breakers and rates over Redis, room over PostgreSQL, and its memory."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS)]

import redis  # noqa: E402 - the paths above come first

from servers import Postgres, Redis  # noqa: E402
from shipway.bootstrap.system import close, connect  # noqa: E402
from shipway.bus import Ring  # noqa: E402
from shipway.bus.link import Link  # noqa: E402
from shipway.bus.shared import SharedState  # noqa: E402
from shipway.bus.wiring import link, sharing  # noqa: E402
from shipway.config import Settings, load_settings  # noqa: E402
from shipway.domain.limits import Rate  # noqa: E402
from shipway.resilience.ports import guard, share  # noqa: E402
from shipway.secrets import Secret  # noqa: E402
from shipway.store import lanes  # noqa: E402

PROCESSES = 20


def until(happened: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 10
    while not happened():
        if time.monotonic() > give_up:
            raise SystemExit("the Redis server was never heard")
        time.sleep(0.02)


@contextlib.contextmanager
def links(settings: Settings, count: int) -> Iterator[list[Link]]:
    made = [one for one in (link(settings) for _ in range(count)) if one is not None]
    try:
        yield made
    finally:
        for one in made:
            one.close()


def wake(settings: Settings, rounds: int) -> tuple[float, float]:
    """From a ring of one process's bus until the other's listener is called: (p50, p99), seconds."""
    rung = threading.Event()
    with links(settings, 2) as (ringing, hearing):
        hearing.hear("fleet", lambda _told: rung.set())
        until(lambda: hearing.up)
        times = []
        for number in range(rounds):
            rung.clear()
            began = time.perf_counter()
            ringing.ring(Ring("fleet", str(number).encode()))
            rung.wait(5)
            times.append(time.perf_counter() - began)
    times.sort()
    return statistics.median(times), times[int(len(times) * 0.99) - 1]


async def rates(state: SharedState) -> tuple[float, float]:
    """Seconds for one take of a rate: alone, and among a hundred that are asked for at once."""
    rate = Rate(1_000_000, 3600.0)
    await state.take("warm", rate, 1)
    began = time.perf_counter()
    for _ in range(200):
        await state.take("one", rate, 1)
    alone = (time.perf_counter() - began) / 200
    began = time.perf_counter()
    for _ in range(20):
        await asyncio.gather(*(state.take("many", rate, 1) for _ in range(100)))
    return alone, (time.perf_counter() - began) / 2000


async def guarded(calls: int) -> float:
    """Seconds for a call through a closed breaker."""
    port = guard("model")

    async def work() -> None:
        return None

    began = time.perf_counter()
    for _ in range(calls):
        await port.call(work)
    return (time.perf_counter() - began) / calls


def breakers(settings: Settings) -> tuple[float, float]:
    """A closed breaker's call where nothing is shared, and where it is."""
    alone = asyncio.run(guarded(200_000))
    with links(settings, 1) as (bus,):
        end = share(sharing(bus))
        shared = asyncio.run(guarded(200_000))
        end()
    return alone, shared


def room(settings: Settings, rounds: int) -> float:
    """Seconds for one transaction that counts who is inside, under the fleet's one turn."""
    database, bus = connect(settings)
    with database.writing() as connection:
        lanes.alone(connection)
    began = time.perf_counter()
    for _ in range(rounds):
        with database.writing() as connection:
            lanes.alone(connection)
            lanes.inside(connection, ["work", "integrate"])
            lanes.pace(connection, "work", 1.0)
    took = (time.perf_counter() - began) / rounds
    close(database, bus)
    return took


def memory(server: Redis, settings: Settings) -> tuple[int, int, int]:
    """Bytes of the server for a process that listens, for a breaker, and for a rate."""
    with redis.Redis.from_url(server.url) as client, links(settings, PROCESSES) as made:
        before = int(client.info("memory")["used_memory"])
        for one in made:
            one.hear("fleet", lambda _told: None)
            SharedStateNow(one).fill()
        until(lambda: all(one.up for one in made))
        each = (int(client.info("memory")["used_memory"]) - before) // PROCESSES
        usage: Callable[[str], int] = lambda key: int(client.memory_usage(key) or 0)  # noqa: E731
        return each, usage("shipway:breaker:model"), usage("shipway:rate:capability:work")


class SharedStateNow:
    """What a process keeps there: a breaker that opened, and a rate."""

    def __init__(self, bus: Link) -> None:
        self._state = SharedState(bus)

    def fill(self) -> None:
        async def both() -> None:
            await self._state.trip("model", None, 60.0)
            await self._state.take("capability:work", Rate(30, 60.0), 1)

        asyncio.run(both())


def main() -> None:
    with Redis() as server, Postgres() as database, tempfile.TemporaryDirectory() as place:
        url = Secret(database.create())
        settings = load_settings(
            home=Path(place), redis_url=Secret(server.url), database_url=url, redis_patience_s=5.0
        )
        half, most = wake(settings, 500)
        say("ring to another process", f"p50 {half * 1000:.2f} ms, p99 {most * 1000:.2f} ms")
        with links(settings, 1) as (bus,):
            alone, together = asyncio.run(rates(SharedState(bus)))
        say(
            "a rate's take",
            f"{alone * 1e6:.0f} us alone, {together * 1e6:.0f} us among 100 at once",
        )
        plain, shared = breakers(settings)
        say("call through a closed breaker", f"{plain * 1e6:.2f} us, shared {shared * 1e6:.2f} us")
        took = room(settings, 200)
        say("entering a lane", f"{took * 1000:.2f} ms, {1 / took:.0f} a second for the fleet")
        process, breaker, rate = memory(server, settings)
        say(
            "Redis memory",
            f"{process / 1024:.0f} KiB a process, {breaker} B a breaker, {rate} B a rate",
        )


def say(what: str, found: str) -> None:
    sys.stdout.write(f"{what:<32}{found}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
