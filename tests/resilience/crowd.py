"""A crowd of processes with many callers each before one dependency that is ill, and who may look at it.

As a command: ``crowd.py TRIPS`` trips the breaker so often over a Redis of its own (``make chaos``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from redis import asyncio as aioredis

from shipway.bus.shared import SharedState
from shipway.bus.wiring import link, sharing
from shipway.config import load_settings
from shipway.domain.limits import Rate
from shipway.domain.retries import RetryPolicy
from shipway.errors import CircuitOpenError, NetworkError
from shipway.resilience.breaker import BreakerPolicy, State
from shipway.resilience.guard import Guard, GuardPolicy

PROCESSES, CALLERS = 8, 100
TESTS = Path(__file__).resolve().parents[1]
OPEN_S = 0.05


class Clock:
    """The machine's, and as much later as the test wants: peers are asked once a second."""

    def __init__(self) -> None:
        self.shift = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.shift


class Crowd:
    """``together`` waits until every process of the crowd has come to the same point."""

    def __init__(self, url: str) -> None:
        self._server = aioredis.Redis.from_url(url)

    async def together(self, point: str) -> None:
        arrived = await self._server.incr(f"test:{point}")
        await self._server.pexpire(f"test:{point}", 600_000)
        while arrived < PROCESSES:
            await asyncio.sleep(0.01)
            arrived = int(await self._server.get(f"test:{point}"))

    async def close(self) -> None:
        await self._server.aclose()


class Member:
    """One process: its guard trips again and again, and counts who is let through afterwards."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd, self.clock = crowd, Clock()
        ill = BreakerPolicy(window=10, minimum=10, open_s=OPEN_S, lease_s=600)
        policy = GuardPolicy(retry=RetryPolicy(retries=0), breaker=ill, per_try=None, total=None)
        self.port = Guard("ill", policy, clock=self.clock)

    async def turn(self, number: int) -> int:
        """How many of this process's callers reached a dependency that had failed for all."""
        await self._until(State.CLOSED, self._answers)
        await self.crowd.together(f"closed{number}")
        await self._until(State.OPEN, self._fails)
        await self.crowd.together(f"open{number}")
        await asyncio.sleep(OPEN_S * 1.2)  # its break is over, and one may look
        self.probes = self.refused = 0
        await asyncio.gather(*(self._caller(number) for _ in range(CALLERS)))
        await self.crowd.together(f"over{number}")
        self.clock.shift += 2  # time enough to learn what became of it
        return self.probes

    async def _until(self, state: State, work: Any) -> None:
        while self.port.breaker.state is not state:
            with contextlib.suppress(NetworkError, CircuitOpenError):
                await self.port.call(work)

    async def _caller(self, number: int) -> None:
        async def probe() -> None:
            self.probes += 1
            await self.crowd.together(f"refused{number}")

        try:
            await self.port.call(probe)
        except CircuitOpenError:
            self.refused += 1
            if self.refused == CALLERS:
                await self.crowd.together(f"refused{number}")

    @staticmethod
    async def _fails() -> None:
        raise NetworkError("down")

    @staticmethod
    async def _answers() -> None:
        return None


async def belong(rounds: int) -> None:
    """Be one process of a crowd, and tell what was seen."""
    settings = load_settings()
    bus = link(settings)
    assert bus is not None
    assert settings.redis_url is not None
    crowd = Crowd(settings.redis_url.reveal())
    member = Member(crowd)
    member.port.breaker.share(sharing(bus))
    probes = [await member.turn(number) for number in range(rounds)]
    shared, rate = SharedState(bus), Rate(100, 3600.0)
    answers = await asyncio.gather(*(shared.take("crowd", rate, 1) for _ in range(63)))
    await crowd.close()
    bus.close()
    taken = sum(answer.allowed for answer in answers)
    print(json.dumps({"probes": probes, "taken": taken}))  # noqa: T201 - read by ``gather``


def gather(url: str, rounds: int, within: float) -> tuple[list[int], int]:
    """How many probes each trip had over all processes, and how much was taken of one rate."""
    env = {
        "PYTHONPATH": f"{TESTS.parent / 'src'}:{TESTS}",
        "SHIPWAY_REDIS_URL": url,
        "SHIPWAY_REDIS_PATIENCE_S": "30",  # a slow machine is no outage here
    }
    words = [sys.executable, __file__, "--belong", str(rounds)]
    crowd = [
        subprocess.Popen(words, stdout=subprocess.PIPE, env=os.environ | env)
        for _ in range(PROCESSES)
    ]
    try:
        told = [json.loads(one.communicate(timeout=within)[0]) for one in crowd]
    finally:
        for one in crowd:
            one.kill()
    probes = [sum(turn) for turn in zip(*(one["probes"] for one in told), strict=True)]
    return probes, sum(one["taken"] for one in told)


def main(rounds: int) -> int:
    from servers import Redis

    with Redis() as server:
        began = time.monotonic()
        probes, _ = gather(server.url, rounds, 60 + 5.0 * rounds)
    other = len([count for count in probes if count != 1])
    print(  # noqa: T201 - a command
        f"{len(probes):,} trips, {PROCESSES} processes x {CALLERS} callers: {sum(probes):,} probes,"
        f" {other} trips with another number than one; {time.monotonic() - began:.0f} s"
    )
    return 1 if other else 0


if __name__ == "__main__":
    if sys.argv[1] == "--belong":
        asyncio.run(belong(int(sys.argv[2])))
    else:
        sys.exit(main(int(sys.argv[1])))
