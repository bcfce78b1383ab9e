"""Runs coroutines in as few asyncio tasks as there are of them that wait for something."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

Load = TypeVar("Load")


class Carriers(Generic[Load]):
    """Lives on one event loop. ``carry`` does one load, in the task that it is given.

    ``rest`` is called whenever every load was begun, and is done or waits.

    A task does one load after another for as long as none of them waits. One that waits keeps its
    task to itself, so that it can be cancelled alone, and another task goes on with the rest.
    """

    def __init__(
        self,
        carry: Callable[[Load, asyncio.Task[Any]], Awaitable[None]],
        rest: Callable[[], None],
    ) -> None:
        self._carry = carry
        self._rest = rest
        self._line: deque[Load] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._coming = False
        self._turn = 0

    def put(self, load: Load) -> None:
        """Returns at once; the load is begun soon, in the order in which they were put."""
        self._line.append(load)
        if not self._coming:
            self._come()

    async def end(self) -> None:
        """Wait until every load is done."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _come(self) -> None:
        loop = asyncio.get_running_loop()
        self._coming = True
        task = loop.create_task(self._go())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        loop.call_soon(self._begun)

    def _begun(self) -> None:
        """Called when the new task is done or waits for the first time."""
        self._turn += 1
        self._coming = False
        if self._line:
            self._come()
        else:
            self._rest()

    async def _go(self) -> None:
        me, turn = asyncio.current_task(), self._turn
        assert me is not None  # noqa: S101 - a coroutine of ours runs in a task
        while self._line and self._turn == turn:
            await self._carry(self._line.popleft(), me)
