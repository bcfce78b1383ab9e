"""One process of a crowd, wired as the product is: many callers of a dependency that is ill, all at once."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace

from redis import asyncio as aioredis

from shipway.bus.shared import SharedState
from shipway.bus.wiring import link, sharing
from shipway.config import load_settings
from shipway.domain.limits import Rate
from shipway.errors import CircuitOpenError, NetworkError
from shipway.resilience import ports
from shipway.resilience.breaker import BreakerPolicy

CALLERS = 100


class Crowd:
    """``together`` waits until every process of the crowd has come to the same point."""

    def __init__(self, url: str, processes: int) -> None:
        self._server = aioredis.Redis.from_url(url)
        self._processes = processes

    async def together(self, point: str) -> None:
        arrived = await self._server.incr(f"test:{point}")
        await self._server.pexpire(f"test:{point}", 600_000)
        while arrived < self._processes:
            await asyncio.sleep(0.02)
            arrived = int(await self._server.get(f"test:{point}"))

    async def close(self) -> None:
        await self._server.aclose()


async def turn(number: int, crowd: Crowd) -> int:
    """How many of this process's callers were let through to a dependency that had failed for all."""
    ill = BreakerPolicy(window=10, minimum=10, open_s=1.0, lease_s=600)
    ports.PORTS[name := f"model{number}"] = replace(ports.PORTS["model"], breaker=ill, at_once=200)
    guard, probes, refused = ports.guard(name), 0, 0

    async def fails() -> None:
        raise NetworkError("down")

    for _ in range(10):
        try:
            await guard.call(fails)
        except (NetworkError, CircuitOpenError):
            continue
    await crowd.together(f"open{number}")
    await asyncio.sleep(1.2)  # its break is over, and one may look

    async def probe() -> None:
        nonlocal probes
        probes += 1
        everybody_else.set()
        await crowd.together(f"refused{number}")

    everybody_else = asyncio.Event()

    async def caller() -> None:
        nonlocal refused
        try:
            await guard.call(probe)
        except CircuitOpenError:
            refused += 1
            if refused == CALLERS:
                everybody_else.set()
                await crowd.together(f"refused{number}")

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    await crowd.together(f"over{number}")
    return probes


async def main(rounds: int, processes: int) -> None:
    settings = load_settings()
    bus = link(settings)
    assert bus is not None
    assert settings.redis_url is not None
    ports.share(sharing(bus))
    crowd = Crowd(settings.redis_url.reveal(), processes)
    probes = [await turn(number, crowd) for number in range(rounds)]
    shared, rate = SharedState(bus), Rate(100, 3600.0)
    answers = await asyncio.gather(*(shared.take("crowd", rate, 1) for _ in range(63)))
    await crowd.close()
    bus.close()
    taken = sum(answer.allowed for answer in answers)
    print(json.dumps({"probes": probes, "taken": taken}))  # noqa: T201 - read by the test


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
