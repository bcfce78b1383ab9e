"""Who works at the same time: a few, since all share one interpreter, but nobody waits for the slow."""

from __future__ import annotations

import asyncio

#: Seconds after which somebody at work is taken for one that waits: for git, a disk, a database.
SLOW_AFTER = 0.05


class Turns:
    """``most`` work at a time; who takes longer than ``slow_after`` is not counted any more."""

    def __init__(self, most: int, *, slow_after: float = SLOW_AFTER) -> None:
        self._room = asyncio.Semaphore(most)
        self._slow_after = slow_after

    async def take(self) -> Turn:
        """Stand in line for one; whoever took it ends it."""
        await self._room.acquire()
        return Turn(self._room, self._slow_after)


class Turn:
    """One turn, from now until it ends or has taken too long."""

    __slots__ = ("_room", "_timer")

    def __init__(self, room: asyncio.Semaphore, slow_after: float) -> None:
        self._room = room
        self._timer: asyncio.TimerHandle | None = asyncio.get_running_loop().call_later(
            slow_after, self.end
        )

    def end(self) -> None:
        """The next one may begin; a second time it changes nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._room.release()
