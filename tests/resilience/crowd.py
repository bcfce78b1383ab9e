"""One process of a crowd: many callers at an open breaker, and many takers of one rate, all at once."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from redis import asyncio as aioredis

from shipway.bus.shared import SharedState
from shipway.domain.limits import Rate
from shipway.errors import CircuitOpenError
from shipway.resilience.breaker import Breaker, BreakerPolicy
from shipway.resilience.limiter import Limiter


class Patient:
    """Scripts without the bus's short time-outs: a slow machine is no outage here."""

    def __init__(self, url: str) -> None:
        self.client = aioredis.Redis.from_url(url, socket_timeout=60, max_connections=200)

    async def evaluate(self, script: str, keys: list[str], *values: object) -> object:
        return await self.client.eval(script, len(keys), *keys, *values)


async def main(url: str, start: float, rounds: int) -> None:
    scripts = Patient(url)
    state = SharedState(scripts)
    probes, taken = [0] * rounds, 0
    for number in range(rounds):
        breaker = Breaker(
            f"db{number}", BreakerPolicy(window=1, minimum=1, lease_s=600), shared=state
        )
        breaker.failure(breaker.enter())  # every process has found out for itself
        breaker._until = 0.0  # and its own time is up
        await asyncio.sleep(max(0.0, start + number * 0.3 - time.time()))

        async def caller(one: Breaker = breaker, turn: int = number) -> None:
            try:
                await one.admit()
            except CircuitOpenError:
                return
            probes[turn] += 1

        await asyncio.gather(*(caller() for _ in range(100)))
    limiter = Limiter("crowd", Rate(100, 3600.0), shared=state)
    for answer in await asyncio.gather(*(limiter.take("k") for _ in range(63))):
        taken += answer.allowed
    await scripts.client.aclose()
    print(json.dumps({"probes": probes, "taken": taken}))  # noqa: T201 - read by the test


asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
