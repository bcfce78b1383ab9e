"""The bus as a whole process uses it: from any thread, and whoever rings never waits for a server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol, TypeVar

import structlog

from shipway.bus.doorbell import KEPT, Bus, Ring
from shipway.errors import NetworkError
from shipway.telemetry.metrics import RINGS

_T = TypeVar("_T")
_TOLD, _LOST = RINGS.of("told"), RINGS.of("lost")

#: How long a ring that was not heard is waited for, in one go.
_LISTEN = 3600.0
Heard = Callable[[str], None]


class Server(NamedTuple):
    """What a server says of itself; memory in bytes, ``limit`` 0 is none."""

    version: str
    fits: bool
    used: int
    limit: int


class SharedBus(Bus, Protocol):
    """A bus with a server behind it, which can run scripts for all who share it."""

    @property
    def up(self) -> bool:
        """Whether it is being listened to, as far as anybody can know."""
        ...

    async def evaluate(self, script: str, keys: Sequence[str], *values: Any) -> Any: ...

    async def reachable(self) -> bool: ...

    async def about(self) -> Server: ...

    def usage(self) -> tuple[int, int, int]:
        """Connections in use, how many there may be, and who waits for one."""
        ...


class Link:
    """Keeps a bus on a loop and thread of its own, which begin with the first use of it.

    Rings that come while others are on their way travel together in the next go; there are never
    more than ``KEPT`` of them, and what a dead server did not take is forgotten.
    """

    def __init__(self, bus: SharedBus, patience: float) -> None:
        self._bus = bus
        self._patience = patience
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._over = False
        self._waiting: dict[Ring, None] = {}
        self._telling: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("bus")
        #: Called when it closes, before anything else.
        self.ending: Callable[[], None] = _nothing

    @property
    def up(self) -> bool:
        """Whether rings of others would be heard now, as far as anybody can know."""
        return not self._over and self._bus.up

    def open(self) -> None:
        """Begin, unless that was done; returns at once, whether or not the server is there."""
        with self._lock:
            if self._thread is None and not self._over:
                self._loop.create_task(self._bus.open())
                self._thread = threading.Thread(target=self._run, name="bus", daemon=True)
                self._thread.start()

    def close(self, left: float = 1.0) -> None:
        """Tell what is still to be told, then let go; takes no longer than it may."""
        with self._lock:
            thread, over, self._over = self._thread, self._over, True
        if over:
            return
        self.ending()
        if thread is None:
            self._loop.close()
            return
        ending = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        try:
            ending.result(left)
        except TimeoutError:
            self._log.warning("the bus did not close in time")
        self._loop.call_soon_threadsafe(self._loop.stop)
        thread.join(left)

    def ring(self, *rings: Ring) -> None:
        """Wake who listens elsewhere; from any thread, without waiting."""
        self.open()
        if not self._over:
            self._loop.call_soon_threadsafe(self._keep, rings)

    def hear(self, topic: str, heard: Heard) -> Callable[[], None]:
        """Call ``heard`` with each ring of a topic, on the bus's thread; returns what ends that.

        An empty text says that something may have been missed.
        """
        listening = self._ask(self._hear(topic, heard))

        def end() -> None:
            listening.cancel()

        return end

    async def evaluate(self, script: str, keys: Sequence[str], *values: Any) -> Any:
        """Run a script on the server, from any loop; raises NetworkError when it does not answer."""
        return await asyncio.wrap_future(self._ask(self._bus.evaluate(script, keys, *values)))

    def evaluate_blocking(self, script: str, keys: Sequence[str], *values: Any) -> Any:
        """The same for a thread that may wait for it."""
        asked = self._ask(self._bus.evaluate(script, keys, *values))
        try:
            return asked.result(self._patience * 2)
        except TimeoutError as error:
            asked.cancel()
            raise _gone() from error

    def usage(self) -> tuple[int, int, int]:
        """Connections in use for commands, how many there may be, and who waits for one."""
        return self._bus.usage()

    def about(self) -> Server:
        """What the server says of itself, for a thread that may wait; raises NetworkError."""
        asked = self._ask(self._bus.about())
        try:
            return asked.result(self._patience * 4)
        except TimeoutError as error:
            asked.cancel()
            raise _gone() from error

    async def ping(self) -> None:
        """Raises NetworkError when the server does not answer."""
        if not await asyncio.wrap_future(self._ask(self._bus.reachable())):
            raise _gone()

    def _ask(self, work: Coroutine[Any, Any, _T]) -> Future[_T]:
        self.open()
        if self._over:
            work.close()
            raise _gone()
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    # On its own loop

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _keep(self, rings: Sequence[Ring]) -> None:
        self._waiting.update(dict.fromkeys(rings))
        while len(self._waiting) > KEPT:
            del self._waiting[next(iter(self._waiting))]
        if self._telling is None:
            self._telling = self._loop.create_task(self._tell(), name="ring")

    async def _tell(self) -> None:
        try:
            while self._waiting:
                rings = list(self._waiting)
                self._waiting.clear()
                told = await self._bus.ring(*rings)
                (_TOLD if told else _LOST).inc(len(rings))
        finally:
            self._telling = None

    async def _hear(self, topic: str, heard: Heard) -> None:
        missed = 0
        with self._bus.listener(topic) as listener:
            while True:
                rings = await listener.wait(_LISTEN)
                if listener.missed > missed:
                    missed = listener.missed
                    heard("")
                for ring in rings:
                    heard(ring.data.decode(errors="replace"))

    async def _end(self) -> None:
        if self._telling is not None:
            await asyncio.wait([self._telling], timeout=self._patience)
        others = asyncio.all_tasks(self._loop) - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=self._patience)
        await self._bus.close()


def _nothing() -> None:
    return None


def _gone() -> NetworkError:
    return NetworkError(
        "Redis does not answer", hint="everything works without it, slower; see SHIPWAY_REDIS_URL"
    )
