"""Which release of a service is live: proves, switches, restarts, rolls back, stops.

Everything that must survive a crash is written to the ledger before it is done. One operation at
a time changes what is live; a live release that dies is started again beside them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from shipway.errors import (
    ConflictError,
    NotFoundError,
    ServiceUnhealthyError,
    ShipwayError,
)
from shipway.release import logfile, probe
from shipway.release.ledger import ServiceLedger, now
from shipway.release.port import SLOTS, Port
from shipway.release.record import Health, Release, Status, Timing
from shipway.release.running import Running

Say = Callable[[str], None]


class Service:
    """The running side of one service, inside its supervisor."""

    def __init__(self, ledger: ServiceLedger, port: Port, note: Say) -> None:
        self._ledger = ledger
        self._port = port
        self._note = note
        self._turn = asyncio.Lock()
        self._slots: dict[int, Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._watcher: asyncio.Task[None] | None = None
        self._live: Running | None = None
        self._asked = 0
        self.is_broken = False
        self.idle = asyncio.Event()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is live and nobody wants to change that."""
        return self._live is None and self._asked == 0

    @property
    def timing(self) -> Timing:
        return self._ledger.state().timing

    def children(self) -> set[int]:
        """Our own processes that have not been waited for yet."""
        return {one.pid for one in self._slots.values() if one.is_running}

    def status(self) -> dict[str, Any]:
        """What runs now."""
        return {
            "live": None if self._live is None else self._live.id,
            "pid": None if self._live is None else self._live.pid,
            "port": self._port.number,
            "running": {str(slot): one.id for slot, one in sorted(self._slots.items())},
        }

    # -- operations -------------------------------------------------------------------------------

    async def deploy(self, identity: str, say: Say) -> Release:
        """Start the release, prove its health, switch to it; whatever fails, the live one stays."""
        async with self._operation():
            release = self._ledger.get(identity)
            if release.live_at is not None:
                return release
            line = self._ledger.state().line
            previous = self._live.id if self._live is not None else None
            self._ledger.change(
                identity, status=Status.STARTING, reason=None, ended_at=None, previous=previous
            )
            return await self._bring_up(release, (*line, identity), Status.STANDBY, None, say)

    async def restore(self, say: Say) -> Release:
        """Bring back the last good release, or the one before it if that cannot run any more."""
        async with self._operation():
            if self._live is not None:
                return self._ledger.get(self._live.id)
            restored = await self._fall_back("it could not be started again", say)
            if restored is None:
                raise ServiceUnhealthyError(
                    "no release of the service could be restored", hint="deploy a new one"
                )
            return restored

    async def rollback(self, say: Say) -> Release:
        """Go back to the recorded good release before the live one; NotFoundError without one."""
        async with self._operation():
            line = self._ledger.state().line
            if len(line) < 2:
                raise NotFoundError(
                    "there is no earlier good release to go back to",
                    hint="`shipway release list` shows what there is",
                )
            target = self._ledger.get(line[-2])
            return await self._bring_up(
                target, line[:-1], Status.ROLLED_BACK, "rolled back on request", say
            )

    async def stop(self) -> None:
        """Let the live release finish its requests and end everything; the port stays until exit."""
        async with self._operation():
            await self._forget_watch()
            self._ledger.change_state(stopped=True, reason="stopped on request")
            self._port.steer(0)
            live, self._live = self._live, None
            await self._end_all()
            if live is not None:
                self._ledger.change(live.id, status=Status.STOPPED, pid=None, ended_at=now())

    async def leave(self) -> None:
        """End all processes without changing what must be so: somebody stops the supervisor itself."""
        await self._forget_watch()
        self._port.steer(0)
        await self._end_all()

    # -- bringing a release up --------------------------------------------------------------------

    async def _bring_up(
        self, release: Release, line: tuple[str, ...], old_status: Status, why: str | None, say: Say
    ) -> Release:
        slot = await self._free_slot(say)
        running = Running(self._ledger, release, self._port, slot)
        self._slots[slot] = running
        try:
            say("starting the release")
            health = await self._prove(running, say)
            return await self._switch(running, health, line, (old_status, why), say)
        except probe.UnhealthyError as error:
            raise await self._refused(running, str(error)) from error
        except asyncio.CancelledError:
            await self._refused(running, "the deploy was cancelled")
            raise
        finally:
            if self._live is not running:
                await running.kill()
                self._slots.pop(slot, None)

    async def _refused(self, running: Running, reason: str) -> ServiceUnhealthyError:
        """Record that a candidate never went live; the error carries the end of its log."""
        await running.kill()
        release = self._ledger.get(running.id)
        if release.live_at is None:
            self._ledger.change(
                running.id, status=Status.FAILED, reason=reason, pid=None, ended_at=now()
            )
        self._note(f"{running.id} never went live: {reason}")
        log = self._ledger.release_directory(running.id) / "service.log"
        stays = "nothing else was live" if self._live is None else f"{self._live.id} stays live"
        return ServiceUnhealthyError(
            f"release {running.id} of {self._ledger.service} never became healthy: {reason}; {stays}",
            hint=f"read the end of its log, {log}",
            details={"release": running.id, "reason": reason, "log": logfile.tail(log)},
        )

    async def _prove(self, running: Running, say: Say) -> Health:
        """Start and ask until healthy, then watch that it stays so; raises UnhealthyError."""
        timing = self.timing
        try:
            running.start()
        except (OSError, ShipwayError) as error:
            raise probe.UnhealthyError(f"it could not be started: {error}") from error
        self._ledger.change(running.id, pid=running.pid)
        deadline = time.monotonic() + timing.healthy_within
        await self._first_health(running, timing, deadline)
        say("healthy; watching that it stays so")
        settled = time.monotonic() + timing.observe
        while True:
            health = await self._ask(running, timing, running.slot)
            if time.monotonic() >= settled:
                return health
            await _either(running.ended, timing.probe_every)

    async def _first_health(self, running: Running, timing: Timing, deadline: float) -> None:
        seen = "no answer"
        while time.monotonic() < deadline:
            if running.ended.is_set():
                raise probe.UnhealthyError(f"its process {running.describe_exit()}")
            try:
                await self._ask(running, timing, running.slot)
            except probe.UnhealthyError as error:
                seen = str(error)
                await _either(running.ended, timing.probe_every)
            else:
                return
        raise probe.UnhealthyError(f"not healthy within {timing.healthy_within:g} s, {seen}")

    async def _ask(self, running: Running, timing: Timing, slot: int | None) -> Health:
        question = probe.Question(
            self._port.number, running.health_path, running.pid, slot, timing.probe_timeout
        )
        while True:
            repairs = self._port.repairs
            try:
                return await asyncio.to_thread(probe.ask, question)
            except probe.UnhealthyError as error:
                if running.ended.is_set():
                    raise probe.UnhealthyError(f"its process {running.describe_exit()}") from error
                if self._port.repairs == repairs:
                    raise
                # A release that ends had shut down a socket: the question was led astray by that,
                # and its answer says nothing. It ends once, so this does not go on for long.

    async def _switch(
        self,
        running: Running,
        health: Health,
        line: tuple[str, ...],
        old_end: tuple[Status, str | None],
        say: Say,
    ) -> Release:
        """Send new connections to ``running``; the old release finishes what it has."""
        old, before = self._live, self._ledger.state()
        self._ledger.change_state(line=line, stopped=False, reason=None)
        self._port.steer(running.slot)
        try:
            health = await self._ask(running, self.timing, None)
        except probe.UnhealthyError:
            self._port.steer(0 if old is None else old.slot)
            self._ledger.change_state(line=before.line, stopped=before.stopped)
            raise
        release = self._ledger.change(
            running.id,
            status=Status.LIVE,
            reason=None,
            pid=running.pid,
            port=self._port.number,
            url=f"http://127.0.0.1:{self._port.number}",
            health=health,
            live_at=now(),
            ended_at=None,
        )
        self._note(f"{running.id} is live")
        say("switched: new connections go to the new release")
        await self._forget_watch()
        self._live = running
        self._watcher = self._spawn(self._keep(running))
        if old is not None:
            status, reason = old_end
            self._ledger.change(old.id, status=status, reason=reason, pid=None, ended_at=now())
            self._spawn(self._retire(old))
        return release

    async def _retire(self, old: Running) -> None:
        clean = await old.drain(self.timing.drain)
        ending = "drained" if clean else "had to be ended, requests may have been cut off"
        self._note(f"{old.id} {ending}; {old.describe_exit()}")
        self._slots.pop(old.slot, None)

    async def _free_slot(self, say: Say) -> int:
        """A slot that no process is on; waits for the oldest drain when all are taken."""
        deadline = time.monotonic() + self.timing.drain + 10
        while True:
            free = [slot for slot in range(1, SLOTS + 1) if slot not in self._slots]
            if free:
                return free[0]
            if time.monotonic() > deadline:
                raise ConflictError(
                    "earlier releases are still finishing their requests", hint="try again later"
                )
            say("waiting for an earlier release to finish its requests")
            await asyncio.sleep(0.1)

    # -- keeping the live one alive ---------------------------------------------------------------

    async def _keep(self, running: Running) -> None:
        """Start the live release again when it dies, with growing pauses; give up on a crash loop."""
        timing, crashes = self.timing, list[float]()
        while True:
            why = await self._until_dead(running, timing)
            while True:
                crashes = [at for at in crashes if at > time.monotonic() - timing.crash_window]
                crashes.append(time.monotonic())
                self._note(f"{running.id} failed while live: {why}")
                if len(crashes) > timing.restarts:
                    self._spawn(self._give_up(running, f"failed {len(crashes)} times: {why}"))
                    return
                await running.kill()
                await asyncio.sleep(
                    min(timing.backoff_cap, timing.backoff * 2 ** (len(crashes) - 1))
                )
                try:
                    health = await self._prove(running, _silent)
                except probe.UnhealthyError as error:
                    why = str(error)
                else:
                    break
            restarts = self._ledger.get(running.id).restarts + 1
            self._ledger.change(running.id, restarts=restarts, pid=running.pid, health=health)
            self._note(f"{running.id} was started again after it had failed: {why}")

    async def _until_dead(self, running: Running, timing: Timing) -> str:
        """Returns what happened once the process has ended, or stopped answering for too long."""
        failures = 0
        while not await _either(running.ended, timing.watch_every):
            try:
                await self._ask(running, timing, running.slot)
                failures = 0
            except probe.UnhealthyError as error:
                failures += 1
                if failures >= timing.watch_failures:
                    return f"unhealthy {failures} times in a row: {error}"
        return f"its process {running.describe_exit()}"

    async def _give_up(self, running: Running, reason: str) -> None:
        """Take a release that keeps dying out of the line and return to the last good one."""
        async with self._operation():
            if self._live is not running:
                return
            self._port.steer(0)
            await running.kill()
            self._live = None
            self._slots.pop(running.slot, None)
            line = tuple(one for one in self._ledger.state().line if one != running.id)
            status = Status.ROLLED_BACK if line else Status.FAILED
            self._ledger.change_state(line=line, reason=f"{running.id} {reason}")
            self._ledger.change(running.id, status=status, reason=reason, pid=None, ended_at=now())
            self._note(f"{running.id} is given up: {reason}")
            await self._fall_back(f"after {running.id} {reason}, it did not start either", _silent)

    async def _fall_back(self, why: str, say: Say) -> Release | None:
        """Bring up the newest release of the line that still runs; None when none does."""
        while line := self._ledger.state().line:
            release = self._ledger.get(line[-1])
            try:
                return await self._bring_up(release, line, Status.STANDBY, None, say)
            except ServiceUnhealthyError as error:
                reason = f"{why}: {error.details['reason']}"
                self._ledger.change_state(line=line[:-1], reason=f"{release.id}: {reason}")
                self._ledger.change(
                    release.id, status=Status.FAILED, reason=reason, pid=None, ended_at=now()
                )
        self._ledger.change_state(stopped=True)
        return None

    # -- small parts ------------------------------------------------------------------------------

    @asynccontextmanager
    async def _operation(self) -> AsyncIterator[None]:
        """One turn at changing what is live."""
        self._asked += 1
        try:
            async with self._turn:
                yield
        finally:
            self._asked -= 1
            if self.is_idle:
                self.idle.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._note(f"a task of the supervisor failed: {error!r}")
            self.is_broken = True
            self.idle.set()  # it cannot keep its promise any more: leave, and be healed

    async def _forget_watch(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None and not watcher.done():
            watcher.cancel()
            await asyncio.wait([watcher])

    async def _end_all(self) -> None:
        timing = self.timing
        await asyncio.gather(*(one.stop(timing.stop) for one in self._slots.values()))
        self._slots.clear()


def _silent(_: str) -> None:
    """Nobody listens: the supervisor's own log says what matters."""


async def _either(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event, but not longer; true when it has happened."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
