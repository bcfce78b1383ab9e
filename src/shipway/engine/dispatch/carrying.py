"""Runs coroutines in as few asyncio tasks as there are of them that wait for something."""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, NamedTuple, TypeVar

Load = TypeVar("Load")


def _nothing() -> None:
    """Who is told takes it up in its own time."""


class Around(NamedTuple):
    """``begin`` is called before loads are begun, ``rest`` once each of them is done or waits."""

    begin: Callable[[], None] = _nothing
    rest: Callable[[], None] = _nothing


class Carriers(Generic[Load]):
    """Lives on one event loop. ``carry`` does one load, in the task that it is given.

    A task does one load after another for as long as none of them waits. One that waits keeps its
    task to itself, so that it can be cancelled alone, and another task goes on with the rest.
    What is put while ``around.rest`` is called is begun when everybody else had a turn.
    """

    def __init__(
        self,
        carry: Callable[[Load, asyncio.Task[Any]], Coroutine[Any, Any, None]],
        around: Around,
    ) -> None:
        self._carry = carry
        self._around = around
        self._line: deque[Load] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._coming = False
        #: Nothing of what one load sets around itself, such as its deadline, may reach another.
        self._clean = contextvars.copy_context()

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
        self._coming = True
        task = asyncio.get_running_loop().create_task(self._go(), context=self._clean.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _go(self) -> None:
        me = asyncio.current_task()
        assert me is not None  # noqa: S101 - a coroutine of ours runs in a task
        hand = _Hand(self._let_go)
        begin, rest = self._around
        try:
            while self._line and not hand.empty:
                begin()
                while self._line and not hand.empty:
                    await hand.carry(self._carry(self._line.popleft(), me))
                if not hand.empty:
                    rest()
                    if self._line:
                        await asyncio.sleep(0)
        finally:
            hand.let_go()

    def _let_go(self) -> None:
        asyncio.get_running_loop().call_soon(self._go_on, context=self._clean)

    def _go_on(self) -> None:
        """A task does no more: another one goes on with the line, if there is any."""
        self._coming = False
        if self._line:
            self._come()
        else:
            self._around.rest()


class _Hand:
    """What a task carries loads with, for as long as none of them waits."""

    __slots__ = ("_let_go", "empty")

    def __init__(self, let_go: Callable[[], None]) -> None:
        self._let_go = let_go
        self.empty = False

    def let_go(self) -> None:
        if not self.empty:
            self.empty = True
            self._let_go()

    @types.coroutine
    def carry(self, load: Coroutine[Any, Any, None]) -> Generator[Any, None, None]:
        """As ``await load`` does it; the first time that the load waits, the hand lets go."""
        wrong: BaseException | None = None
        while True:
            try:
                upon = load.send(None) if wrong is None else load.throw(wrong)
            except StopIteration:
                return
            self.let_go()
            wrong = None
            try:
                yield upon
            except BaseException as error:  # noqa: BLE001 - it is the load's to deal with
                wrong = error
