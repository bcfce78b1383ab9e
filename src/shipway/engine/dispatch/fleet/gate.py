"""Room for a worker's orders where the whole fleet has to agree: the database counts, under one lock.

What needs no such room passes without a question. Whoever waits is asked for again when somebody
leaves, when its rate allows, and after a while anyway. A Redis that others told of a rate spares the
question until it is due; what it says is never the last word.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import structlog

from shipway.contracts.envelope import Task
from shipway.domain.limits import Limits, Rate
from shipway.engine.dispatch.room import Lane, lanes_of
from shipway.errors import NetworkError, ShipwayError
from shipway.resilience.limiter import gcra
from shipway.resilience.shared import Rates
from shipway.store import lanes
from shipway.store.database import Connection
from shipway.store.fleet import Key

_T = TypeVar("_T")
_AGAIN = 0.25
#: Of a rate that others have used up, it is asked again at least so often.
_LONGEST_WAIT = 5.0


class Ask(Protocol):
    """Does something in a transaction of its own."""

    def __call__(self, work: Callable[[Connection], _T], /) -> Awaitable[_T]: ...


@dataclass(order=True, slots=True)
class _Waiting:
    """Sorted: the higher priority first, then the older run."""

    place: tuple[int, str, str, int]
    key: Key = field(compare=False)
    capability: str = field(compare=False)
    lanes: tuple[Lane, ...] = field(compare=False)
    held: Callable[[str], None] = field(compare=False)
    let_in: asyncio.Future[None] = field(compare=False)
    told: bool = field(compare=False, default=False)


class _Answer(NamedTuple):
    """Why it has to wait (None: it is in), and for how long at least."""

    reason: str | None
    wait: float = 0.0


class Gate:
    """Lives on a worker's event loop; ``look`` is called whenever there may be room again."""

    def __init__(
        self,
        limits: Limits,
        worker: str,
        ask: Ask,
        insist: Ask,
        rates: Rates | None = None,
    ) -> None:
        self._limits = limits
        self._worker = worker
        self._ask = ask
        self._insist = insist
        self._rates = rates
        self._line: list[_Waiting] = []
        #: Until when, on the loop's clock, nobody of a capability needs to be asked for.
        self._not_before: dict[str, float] = {}
        self._busy: asyncio.Task[None] | None = None
        self._again = False
        self._alarm: asyncio.TimerHandle | None = None
        self._leaving: set[asyncio.Future[None]] = set()
        self._log = structlog.get_logger("gate")

    def lanes(self, task: Task) -> tuple[Lane, ...]:
        """What a task needs room in, all over the fleet; who is suspect is alone in this worker."""
        found = lanes_of(self._limits, task, own=f"suspect {self._worker}")
        return tuple(lane for lane in found if lane.limit is not None)

    def admits(self, task: Task, lanes: tuple[Lane, ...]) -> bool:
        """What has no limit in the fleet need not ask the database."""
        return not self._is_limited(task, lanes)

    async def enter(self, task: Task, lanes: tuple[Lane, ...], held: Callable[[str], None]) -> None:
        """Wait until there is room in every lane; ``held`` hears why if there is none now."""
        if not self._is_limited(task, lanes):
            return
        let_in = asyncio.get_running_loop().create_future()
        place = (-task.priority, task.run, task.stage, task.attempt)
        waiting = _Waiting(place, _key(task), task.capability, lanes, held, let_in)
        self._line.append(waiting)
        self.look()
        try:
            await let_in
        except asyncio.CancelledError:
            self.leave(task, lanes)  # it may have been let in and called off at once
            raise
        finally:
            self._line.remove(waiting)

    def leave(self, task: Task, lanes: tuple[Lane, ...]) -> None:
        """Make room, once the database takes it: it would anyway when the claim ends."""
        if lanes:
            self._leave(_key(task))

    def look(self) -> None:
        """There may be room; those who wait are asked for, once at a time."""
        self._again = True
        if self._busy is None and any(not one.let_in.done() for one in self._line):
            self._busy = asyncio.get_running_loop().create_task(self._serve(), name="gate")

    def close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        if self._busy is not None:
            self._busy.cancel()

    def _is_limited(self, task: Task, lanes: tuple[Lane, ...]) -> bool:
        return bool(lanes) or task.capability in self._limits.rates

    def _leave(self, key: Key) -> None:
        work = self._insist(lambda connection: lanes.leave(connection, [key]))
        leaving = asyncio.ensure_future(work)
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _serve(self) -> None:
        try:
            while self._again:
                self._again = False
                await self._ask_for_all()
        finally:
            self._busy = None
        self._set_alarm()

    async def _ask_for_all(self) -> None:
        line = [one for one in sorted(self._line) if not one.let_in.done()]
        for capability in {one.capability for one in line}:
            await self._hint(capability)
        due = [one for one in line if not self._must_wait(one)]
        if not due:
            return
        try:
            answers = await self._ask(lambda connection: self._decide(connection, due))
        except ShipwayError as error:
            self._log.warning("room cannot be asked for", code=error.code)
            self._again = True
            await asyncio.sleep(_AGAIN)
            return
        for waiting, answer in zip(due, answers, strict=True):
            await self._tell(waiting, answer)

    async def _tell(self, waiting: _Waiting, answer: _Answer) -> None:
        if answer.reason is not None:
            self._hold(waiting, answer.reason, answer.wait)
            return
        if waiting.let_in.done():
            self._leave(waiting.key)  # it was called off meanwhile
            return
        waiting.let_in.set_result(None)
        rate = self._limits.rates.get(waiting.capability)
        if rate is not None and self._rates is not None:
            try:
                await self._rates.take(f"{_PACE}{waiting.capability}", rate, 1)
            except NetworkError as error:
                self._log.debug("others are not told", code=error.code)

    def _hold(self, waiting: _Waiting, reason: str, wait: float) -> None:
        if wait:
            now = asyncio.get_running_loop().time()
            self._not_before[waiting.capability] = now + min(wait, _LONGEST_WAIT)
        if not waiting.told:
            waiting.told = True
            waiting.held(reason)

    def _must_wait(self, waiting: _Waiting) -> bool:
        now = asyncio.get_running_loop().time()
        if now >= self._not_before.get(waiting.capability, -math.inf):
            return False
        self._hold(waiting, _turn(self._limits.rates[waiting.capability], waiting.capability), 0)
        return True

    async def _hint(self, capability: str) -> None:
        """Whether others have used up a rate, as far as Redis knows."""
        rate = self._limits.rates.get(capability)
        if rate is None or self._rates is None:
            return
        try:
            seen = await self._rates.peek(f"{_PACE}{capability}", rate, 1)
        except NetworkError as error:
            self._log.debug("the database alone is asked", code=error.code)
            return
        if not seen.allowed:
            now = asyncio.get_running_loop().time()
            self._not_before[capability] = now + min(seen.retry_after, _LONGEST_WAIT)

    def _set_alarm(self) -> None:
        """Ask again when the first rate allows somebody who waits."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        loop = asyncio.get_running_loop()
        times = [
            self._not_before[one.capability]
            for one in self._line
            if not one.let_in.done() and one.capability in self._not_before
        ]
        due = [at for at in times if at > loop.time()]
        if times:
            self._alarm = loop.call_at(min(due, default=loop.time() + _AGAIN), self.look)

    # In the transaction

    def _decide(self, connection: Connection, line: Sequence[_Waiting]) -> list[_Answer]:
        """Runs in a thread: who of the line may go in now, each counted for those behind it."""
        now = lanes.alone(connection)
        names = {lane.name for one in line for lane in one.lanes}
        count = lanes.inside(connection, names)
        paces = lanes.paces(connection, {one.capability for one in line})
        return [self._one(connection, one, count, paces, now) for one in line]

    def _one(
        self,
        connection: Connection,
        one: _Waiting,
        count: Any,
        paces: dict[str, float],
        now: float,
    ) -> _Answer:
        if one.lanes and lanes.entered(connection, one.key):
            return _Answer(None)
        full = next((each for each in one.lanes if count[each.name] >= (each.limit or 1)), None)
        if full is not None:
            return _Answer(full.reason)
        rate = self._limits.rates.get(one.capability)
        if rate is not None:
            after, taken = gcra(paces.get(one.capability, 0.0), now, rate)
            if not taken.allowed:
                return _Answer(_turn(rate, one.capability), taken.retry_after)
            paces[one.capability] = after
            lanes.pace(connection, one.capability, after)
        names = [lane.name for lane in one.lanes]
        if names and lanes.enter(connection, self._worker, one.key, names):
            count.update(names)
        return _Answer(None)


_PACE = "capability:"


def _key(task: Task) -> Key:
    return Key(task.run, task.stage, task.attempt, task.token)


def _turn(rate: Rate, capability: str) -> str:
    return f"waits its turn: {rate} {capability} attempts may begin"
