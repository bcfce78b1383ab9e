"""Lets orders in as far as there is room: by capability, rate, branch and suspicion; the rest waits."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from shipway.contracts.envelope import Task
from shipway.domain.limits import Limits
from shipway.resilience.limiter import gcra

#: An order whose process died so often works alone with others of its kind, so that what is
#: poison cannot take the innocent with it.
SUSPECT_AFTER = 2


class Lane(NamedTuple):
    """Something of which only so much may go on at once, and what is said when it is full.

    ``limit`` None: as many as the engine allows any capability at the moment.
    """

    name: str
    limit: int | None
    reason: str


@dataclass(order=True, slots=True)
class _Waiting:
    """Sorted: the higher priority first, then the older run."""

    place: tuple[int, str, str, int]
    capability: str = field(compare=False)
    lanes: tuple[Lane, ...] = field(compare=False)
    let_in: asyncio.Future[None] = field(compare=False)


class Entrance(Protocol):
    """Where orders wait until they may be begun; who was let in leaves when its work is really over."""

    def lanes(self, task: Task) -> tuple[Lane, ...]: ...

    def admits(self, task: Task, lanes: tuple[Lane, ...]) -> bool:
        """Let in what need not wait, as nearly all need not; else ``enter`` is the way."""
        ...

    async def enter(
        self, task: Task, lanes: tuple[Lane, ...], held: Callable[[str], None]
    ) -> None: ...

    def leave(self, task: Task, lanes: tuple[Lane, ...]) -> None: ...


class Room:
    """Lives on one event loop, in memory only: after a restart the orders of the database come anew.

    An order that waits stands in the line of one lane that is full; when that has room again, it
    is let in, or stands in the line of the next lane that is full for it. ``at_once`` is asked
    each time: a limit that was raised is noticed when somebody leaves.
    """

    def __init__(
        self, limits: Limits, at_once: Callable[[], int], clock: Callable[[], float]
    ) -> None:
        self._limits = limits
        self._at_once = at_once
        self._clock = clock
        self._inside: dict[str, int] = {}
        self._usual: dict[tuple[str, int], tuple[Lane, ...]] = {}
        self._lines: dict[str, list[_Waiting]] = {}
        #: When the next order of a capability with a rate would come if all came evenly.
        self._next: dict[str, float] = {}
        self._alarms: dict[str, asyncio.TimerHandle] = {}

    def lanes(self, task: Task) -> tuple[Lane, ...]:
        """What a task needs room in."""
        many = max(1, self._at_once())
        if _is_special(task):
            return lanes_of(self._limits, task, many)
        usual = self._usual.get((task.capability, many))
        if usual is None:
            usual = lanes_of(self._limits, task, many)
            self._usual[task.capability, many] = usual
        return usual

    def admits(self, task: Task, lanes: tuple[Lane, ...]) -> bool:
        if self._blocked(task.capability, lanes) is not None:
            return False
        self._take(task.capability, lanes)
        return True

    async def enter(self, task: Task, lanes: tuple[Lane, ...], held: Callable[[str], None]) -> None:
        """Wait until there is room in every lane; ``held`` hears why if there is none now."""
        blocked = self._blocked(task.capability, lanes)
        if blocked is None:
            self._take(task.capability, lanes)
            return
        let_in = asyncio.get_running_loop().create_future()
        place = (-task.priority, task.run, task.stage, task.attempt)
        self._stand(blocked, _Waiting(place, task.capability, lanes, let_in))
        held(blocked.reason)
        try:
            await let_in
        except asyncio.CancelledError:
            if let_in.done() and not let_in.cancelled():
                self.leave(task, lanes)  # it was let in and called off in the same moment
            raise

    def leave(self, _task: Task, lanes: tuple[Lane, ...]) -> None:
        """Make room, and let in who waits for it."""
        for lane in lanes:
            self._inside[lane.name] -= 1
        if self._lines:
            for lane in lanes:
                self._let_in(lane.name)

    def _take(self, capability: str, lanes: tuple[Lane, ...]) -> None:
        for lane in lanes:
            self._inside[lane.name] = self._inside.get(lane.name, 0) + 1
        rate = self._limits.rates.get(capability)
        if rate is not None:
            self._next[capability], _ = gcra(self._earliest(capability), self._clock(), rate)

    def _blocked(self, capability: str, lanes: tuple[Lane, ...]) -> Lane | None:
        """The first lane that is full for it; a rate that is used up is one, too."""
        for lane in lanes:
            if self._inside.get(lane.name, 0) >= self._most(lane.limit):
                return lane
        rate = self._limits.rates.get(capability)
        if rate is None or self._wait(capability) <= 0:
            return None
        return Lane(
            f"rate {capability}", 0, f"waits its turn: {rate} {capability} attempts may begin"
        )

    def _most(self, limit: int | None) -> int:
        return max(1, self._at_once()) if limit is None else limit

    def _earliest(self, capability: str) -> float:
        """After a start the whole count is taken for used: a restart must not double a rate."""
        if capability not in self._next:
            self._next[capability] = self._clock() + self._limits.rates[capability].seconds
        return self._next[capability]

    def _wait(self, capability: str) -> float:
        """Seconds until the rate lets another one begin."""
        rate = self._limits.rates[capability]
        return gcra(self._earliest(capability), self._clock(), rate)[1].retry_after

    def _stand(self, lane: Lane, waiting: _Waiting) -> None:
        heapq.heappush(self._lines.setdefault(lane.name, []), waiting)
        if lane.limit == 0 and lane.name not in self._alarms:
            self._set_alarm(lane.name, waiting.capability)

    def _set_alarm(self, name: str, capability: str) -> None:
        def fire() -> None:
            self._alarms.pop(name, None)
            self._let_in(name)
            if self._lines.get(name):
                self._set_alarm(name, capability)

        after = max(0.0, self._wait(capability))
        self._alarms[name] = asyncio.get_running_loop().call_later(after, fire)

    def _let_in(self, name: str) -> None:
        """From the line of one lane, as many as have room everywhere."""
        line = self._lines.get(name)
        while line:
            first = line[0]
            if first.let_in.done():
                heapq.heappop(line)
                continue
            blocked = self._blocked(first.capability, first.lanes)
            if blocked is not None and blocked.name == name:
                return
            heapq.heappop(line)
            if blocked is not None:
                self._stand(blocked, first)
                continue
            self._take(first.capability, first.lanes)
            first.let_in.set_result(None)
        self._lines.pop(name, None)


def lanes_of(
    limits: Limits, task: Task, at_once: int = 1, own: str = "suspect"
) -> tuple[Lane, ...]:
    """What a task needs room in: its capability's, and those of branches and suspects.

    ``at_once`` holds for capabilities without a number of their own.
    """
    capability = task.capability
    limit = limits.capabilities.get(capability)
    many = at_once if limit is None else limit
    working = Lane(capability, limit, f"waits for room: {many} {capability} attempts work at once")
    return (working, *_special(task, own)) if _is_special(task) else (working,)


def _is_special(task: Task) -> bool:
    return task.capability == "integrate" or task.suspicions >= SUSPECT_AFTER


def _special(task: Task, own: str) -> list[Lane]:
    lanes = []
    if task.capability == "integrate":
        where = (str(task.request.get("repository")), str(task.request.get("target")))
        lanes.append(
            Lane(f"branch {where}", 1, f"waits for another run that is merged into {where[1]}")
        )
    if task.suspicions >= SUSPECT_AFTER:
        why = "waits its turn: its process died before, so it works alone"
        lanes.append(Lane(own, 1, why))
    return lanes
