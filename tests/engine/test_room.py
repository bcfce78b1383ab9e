"""Room for so many at once: never more, in order, and never lost when somebody is called off."""

from __future__ import annotations

import asyncio

import pytest

from shipway.engine.dispatch.room import Room


def test_never_more_than_the_limit_and_in_the_order_of_arrival():
    async def story():
        limit, inside, most, order = 2, 0, 0, []

        async def visit(number):
            nonlocal inside, most
            async with room:
                inside += 1
                most = max(most, inside)
                order.append(number)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                inside -= 1

        room = Room(lambda: limit)
        await asyncio.gather(*(visit(number) for number in range(20)))
        assert (most, order) == (2, list(range(20)))

    asyncio.run(story())


def test_a_limit_that_changes_counts_for_those_who_wait():
    async def story():
        limit, inside, gates = 1, [], [asyncio.Event() for _ in range(5)]
        room = Room(lambda: limit)

        async def visit(number):
            async with room:
                inside.append(number)
                await gates[number].wait()
            inside.remove(number)

        tasks = [asyncio.create_task(visit(number)) for number in range(5)]
        await asyncio.sleep(0)
        assert inside == [0]
        limit = 3
        gates[0].set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert inside == [1, 2, 3]
        limit = 0  # nobody is starved for ever
        for gate in gates:
            gate.set()
        await asyncio.gather(*tasks)

    asyncio.run(story())


@pytest.mark.parametrize("let_in", [False, True])
def test_whoever_is_called_off_while_waiting_takes_no_room(let_in):
    async def story():
        room = Room(lambda: 1)

        async def visit():
            async with room:
                await asyncio.sleep(0)

        await room.__aenter__()
        waiting = asyncio.create_task(visit())
        await asyncio.sleep(0)
        if let_in:
            await room.__aexit__(None, None, None)
            waiting.cancel()
        else:
            waiting.cancel()
            await asyncio.sleep(0)
            await room.__aexit__(None, None, None)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(visit(), 5)

    asyncio.run(story())
