"""Health of a process while it serves: asked in the background, answered from what is known."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

from shipway.health.check import Answer, Status
from shipway.health.documents import Told, answer, detailed_document, ready_document
from shipway.health.probing import Prober
from shipway.health.pulse import Pulse
from shipway.health.registry import Registry
from shipway.health.standard import event_loop

RETRY_AFTER = 5
_ALIVE = b'{"status":"pass"}'
_DEAD = b'{"status":"fail","output":"the event loop does not turn"}'

_log = structlog.get_logger("health")


class Monitor:
    """``await monitor.run()`` beside the server; the three answers never wait for anything.

    ``live()`` looks at the process and its event loop only. ``ready()`` says whether traffic is
    welcome. ``detailed()`` tells everything and is for those who have a token.
    """

    def __init__(
        self,
        registry: Registry,
        release: str,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._registry = registry
        self._release = release
        self._began = time.time()
        self._draining: float | None = None
        self._thread: threading.Thread | None = None
        self._end: Callable[[], object] | None = None
        self.pulse = Pulse(loop)
        registry.add(event_loop(self.pulse.finding))
        self._probers = [Prober(check) for check in registry]

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.pulse.run(), name="pulse")
            for prober in self._probers:
                group.create_task(prober.run(), name=f"ask {prober.check.name}")

    async def once(self) -> None:
        """Ask everything once, for a command that then ends."""
        await asyncio.gather(*(prober.ask() for prober in self._probers))
        for prober in self._probers:
            prober.close()

    def start(self) -> None:
        """Ask from a thread with a loop of its own, for a process without one."""
        started = threading.Event()

        async def asking() -> None:
            task = asyncio.current_task()
            loop = asyncio.get_running_loop()
            if task is not None:
                self._end = lambda: loop.call_soon_threadsafe(task.cancel)
            started.set()
            await self.run()

        def work() -> None:
            try:
                asyncio.run(asking())
            except asyncio.CancelledError:
                _log.debug("health is not watched any longer")

        self._thread = threading.Thread(target=work, name="health", daemon=True)
        self._thread.start()
        started.wait(5)

    def stop(self, seconds: float = 1.0) -> None:
        if self._end is not None and self._thread is not None and self._thread.is_alive():
            self._end()
            self._thread.join(seconds)

    def drain(self) -> None:
        """From now on no traffic is welcome; what is here is still served."""
        self._draining = self._draining or time.time()

    @property
    def draining(self) -> bool:
        return self._draining is not None

    # Answers

    def live(self) -> Answer:
        """Alive: the process and its event loop, never what they depend on."""
        alive = self.pulse.is_alive()
        return answer(_ALIVE if alive else _DEAD, Status.PASS if alive else Status.FAIL)

    def ready(self) -> Answer:
        """May I have traffic: 200, or 503 with a time to try again."""
        document, status = ready_document(self._told())
        more = {"Retry-After": str(RETRY_AFTER)} if status is Status.FAIL else {}
        return answer(document, status, more)

    def detailed(self) -> Answer:
        """Everything that is known, with the parts that others added."""
        details = {name: _part(tell) for name, tell in self._registry.details.items()}
        document, status = detailed_document(self._told(), details)
        return answer(document, status)

    def _told(self) -> Told:
        return Told(
            checks=[(prober.check, prober.standing) for prober in self._probers],
            release=self._release,
            began=self._began,
            draining=self._draining,
            now=time.monotonic(),
        )


def _part(tell: Callable[[], Any]) -> Any:
    try:
        return tell()
    except Exception as error:  # noqa: BLE001 - the rest is still worth telling
        return {"error": type(error).__name__}
