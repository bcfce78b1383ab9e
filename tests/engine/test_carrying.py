"""Loads that wait keep nobody else, are cancelled alone, and leave nothing behind for others."""

from __future__ import annotations

import asyncio

from shipway.engine.dispatch.carrying import Around, Carriers
from shipway.resilience import deadline


class Yard:
    """Carries loads of which some wait until they are freed."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.told: list[str] = []
        self.free = asyncio.Event()
        self.tasks: dict[str, asyncio.Task] = {}
        around = Around(lambda: self.seen.append("begin"), self.rest)
        self.carriers: Carriers[str] = Carriers(self.carry, around)

    def rest(self) -> None:
        """What was told is committed; what it brings is in the same time that all others have."""
        assert deadline.remaining() == float("inf")
        self.seen.append(f"rest {' '.join(self.told)}".strip())
        told, self.told = self.told, []
        for one in told:
            if one.startswith("chain"):
                self.carriers.put("after " + one)

    async def carry(self, load: str, task: asyncio.Task) -> None:
        assert asyncio.current_task() is task
        assert deadline.remaining() == float("inf")
        self.tasks[load] = task
        with deadline.within(60.0):
            if load.startswith("slow"):
                await self.free.wait()
            if load.startswith("broken"):
                raise RuntimeError(load)
        self.told.append(load)


async def settled(yard: Yard) -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_loads_that_do_not_wait_share_a_task_and_one_rest():
    async def main() -> None:
        yard = Yard()
        for name in ("a", "chain", "c"):
            yard.carriers.put(name)
        await settled(yard)
        assert yard.seen[:4] == ["begin", "rest a chain c", "begin", "rest after chain"]
        assert len(set(yard.tasks.values())) == 1
        await yard.carriers.end()

    asyncio.run(main())


def test_one_that_waits_keeps_nobody_and_is_cancelled_alone():
    async def main() -> None:
        yard = Yard()
        for name in ("slow 1", "slow 2", "a", "slow 3"):
            yard.carriers.put(name)
        await settled(yard)
        assert "rest a" in yard.seen
        yard.tasks["slow 2"].cancel()
        yard.carriers.put("b")
        await settled(yard)
        assert yard.told == []
        yard.free.set()
        await yard.carriers.end()
        assert sorted(yard.told) == ["slow 1", "slow 3"]
        assert yard.tasks["slow 2"].cancelled()

    asyncio.run(main())


def test_the_line_goes_on_behind_one_that_breaks():
    async def main() -> None:
        yard = Yard()
        for name in ("slow", "broken", "a"):
            yard.carriers.put(name)
        await settled(yard)
        assert "rest a" in yard.seen
        assert isinstance(yard.tasks["broken"].exception(), RuntimeError)
        yard.free.set()
        await yard.carriers.end()

    asyncio.run(main())
