"""Room for orders, on a loop of its own: branches, suspects, and every one is let in at last."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.contracts.envelope import Task
from shipway.domain.limits import Limits
from shipway.engine.dispatch.room import Room


def task(run: str, capability: str, **given: object) -> Task:
    values = {
        "capability": capability,
        "version": 1,
        "run": run,
        "stage": capability,
        "attempt": 1,
        "token": 1,
        "agent": "any",
        "key": run,
        "traceparent": "",
        "deadline": None,
        "request": {"repository": "r", "target": "main"},
    }
    return Task.model_validate(values | given)


class Hall:
    """Orders that are inside, by run."""

    def __init__(self, at_once: int = 9, **limits: Any) -> None:
        self.at_once = at_once
        clock = asyncio.get_running_loop().time
        self.room = Room(Limits(**limits), lambda: self.at_once, clock)
        self.inside: dict[str, Task] = {}
        self.held: dict[str, str] = {}

    async def work(self, one: Task, done: asyncio.Event) -> None:
        lanes = self.room.lanes(one)
        await self.room.enter(one, lanes, lambda why: self.held.update({one.run: why}))
        self.inside[one.run] = one
        await done.wait()
        del self.inside[one.run]
        self.room.leave(one, lanes)


async def _turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_two_runs_never_integrate_into_one_branch_at_once() -> None:
    async def play() -> None:
        hall, done = Hall(), asyncio.Event()
        other = task("c", "integrate", request={"repository": "r", "target": "next"})
        works = [
            asyncio.create_task(hall.work(one, done))
            for one in (task("a", "integrate"), task("b", "integrate"), other)
        ]
        await _turns()
        assert set(hall.inside) == {"a", "c"}
        assert hall.held["b"] == "waits for another run that is merged into main"
        done.set()
        await asyncio.gather(*works)

    asyncio.run(play())


def test_suspects_work_alone_with_others_of_their_kind() -> None:
    async def play() -> None:
        hall, done = Hall(), asyncio.Event()
        orders = [task("a", "work", suspicions=2), task("b", "work", suspicions=4)]
        orders += [task("c", "work"), task("d", "work", suspicions=1)]
        works = [asyncio.create_task(hall.work(one, done)) for one in orders]
        await _turns()
        assert set(hall.inside) == {"a", "c", "d"}
        done.set()
        await asyncio.gather(*works)

    asyncio.run(play())


def test_a_limit_that_changes_counts_for_those_who_wait() -> None:
    async def play() -> None:
        hall = Hall(1)
        orders = [task(str(number), "work") for number in range(5)]
        ends = [asyncio.Event() for _ in orders]
        works = [asyncio.create_task(hall.work(*one)) for one in zip(orders, ends, strict=True)]
        await _turns()
        assert set(hall.inside) == {"0"}
        hall.at_once = 3
        ends[0].set()
        await _turns(5)
        assert set(hall.inside) == {"1", "2", "3"}
        hall.at_once = 0  # nobody is starved for ever
        for end in ends:
            end.set()
        await asyncio.gather(*works)

    asyncio.run(play())


@pytest.mark.parametrize("let_in", [False, True])
def test_whoever_is_called_off_while_waiting_takes_no_room(let_in: bool) -> None:
    async def play() -> None:
        hall, done = Hall(1), asyncio.Event()
        first = asyncio.create_task(hall.work(task("a", "work"), done))
        await _turns()
        waiting = asyncio.create_task(hall.work(task("b", "work"), done))
        await _turns()
        if let_in:
            hall.room.leave(task("a", "work"), hall.room.lanes(task("a", "work")))
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        if let_in:  # it came in and was called off in one moment: the room is free again
            hall.room._inside["work"] += 1
        done.set()
        await first
        await asyncio.wait_for(hall.work(task("c", "work"), done), 5)

    asyncio.run(play())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_lane_is_ever_too_full_and_everybody_is_let_in(data: st.DataObject) -> None:
    async def play() -> None:
        hall = Hall(2, capabilities={"deploy": 1})
        orders = [
            task(
                f"{number:02}",
                data.draw(st.sampled_from(["work", "deploy", "integrate"])),
                priority=data.draw(st.integers(-1, 2)),
                suspicions=data.draw(st.sampled_from([0, 0, 3])),
            )
            for number in range(data.draw(st.integers(1, 12)))
        ]
        ends = {one.run: asyncio.Event() for one in orders}
        works = {one.run: asyncio.create_task(hall.work(one, ends[one.run])) for one in orders}
        while any(not work.done() for work in works.values()):
            await _turns()
            inside = list(hall.inside.values())
            assert inside, "nobody is inside, and somebody waits"
            for capability, most in (("work", 2), ("deploy", 1), ("integrate", 1)):
                assert sum(one.capability == capability for one in inside) <= most
            assert sum(one.suspicions >= 2 for one in inside) <= 1
            leaving = data.draw(st.sampled_from(sorted(works)))
            if data.draw(st.booleans()) and leaving not in hall.inside:
                works[leaving].cancel()
            ends[data.draw(st.sampled_from(sorted(hall.inside)))].set()
            await _turns()
        await asyncio.gather(*works.values(), return_exceptions=True)
        assert not hall.inside

    asyncio.run(play())
