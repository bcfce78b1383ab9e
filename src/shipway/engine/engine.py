"""The engine in one process: owns the state directory, advances runs, hands out their orders."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from shipway.agents.agent import Artifacts
from shipway.agents.registry import Registry
from shipway.bus.local import bell, bells, heard
from shipway.config import Settings
from shipway.contracts.registry import CONTRACTS, Contract
from shipway.domain.run import events as e
from shipway.domain.run.decide import Decision
from shipway.domain.states import RunStatus
from shipway.engine.admission import limits_of
from shipway.engine.advance import Committed, Writer, refusal
from shipway.engine.budgets import Budgets
from shipway.engine.clock import SteadyClock
from shipway.engine.codec import decode, encode
from shipway.engine.commands import COMMANDS
from shipway.engine.desks import Desks
from shipway.engine.dispatch.carrying import Around
from shipway.engine.dispatch.local import LocalDispatch
from shipway.engine.dispatch.room import Room
from shipway.engine.housekeeping import Housekeeping, Swept
from shipway.engine.owner import Ownership, refuse_shared
from shipway.engine.places import Places
from shipway.engine.quarantine import give_up
from shipway.engine.timers import Timers
from shipway.errors import ShipwayError, UsageError
from shipway.flags.evaluate import Context
from shipway.flags.flags import Flags
from shipway.flags.known import PARALLELISM
from shipway.store import ledger
from shipway.store.artifacts import ArtifactStore
from shipway.store.database import Connection, Database
from shipway.store.ledger import CommandRow, OrderRow

if TYPE_CHECKING:
    from shipway.engine.fleet import Fleet

_PROGRESS_EVERY = 0.25
_STOP_LIMIT = 30.0
_LOOK_FOR_DUST_EVERY = 3600.0
_LOOK_FOR_ROOM_EVERY = 15.0
_LOOK_FOR_LOST_RINGS_EVERY = 2.0
_BREATH = 0.02
_CLOCK_MAY_DIFFER = 30.0


class Engine:
    """``rested`` is called in a thread when a run ended or rests, to write its report."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        registry: Registry,
        artifacts: Artifacts,
        rested: Callable[[str], None] | None = None,
        now: Callable[[], float] | None = None,
        contracts: Mapping[str, Contract] = CONTRACTS,
        fleet: Fleet | None = None,
    ) -> None:
        self._flags = Flags()
        self.adopt(settings)
        self._database = database
        self._now = now = now or SteadyClock()
        self._rested = rested
        self._log = structlog.get_logger("engine")
        self._housekeeping = Housekeeping(
            settings, database, ArtifactStore(Places(settings.home).artifacts), now
        )
        self._owner = Ownership(Places(settings.home).lock)
        self._fleet = fleet
        place = None if fleet is None else fleet.place
        limits = limits_of(settings)
        self.writer = Writer(database, now, self._after_commit, contracts, limits, place)
        self._desks = Desks(
            settings, artifacts, self._note, Budgets(database, settings.run_budget, now)
        )
        self._dispatch = (
            LocalDispatch(
                registry,
                self._desks,
                self.writer.tell,
                Room(limits, self._at_once, time.monotonic),
                contracts,
                distrust=self.writer.distrust,
                around=Around(self.writer.expect, self.writer.flush),
            )
            if fleet is None
            else fleet.dispatch
        )
        self.writer.handing_out = fleet is None
        self._loop: asyncio.AbstractEventLoop
        self._timers: Timers
        self._next_look: asyncio.TimerHandle
        self._next_listen: asyncio.TimerHandle | None = None
        self._mark: object = None
        self._thread = threading.Thread(target=self._run_loop, name="engine", daemon=True)
        self._flushing = self._admitting = self._some_queued = False
        self._look_for_room: asyncio.TimerHandle | None = None
        self._chores: set[asyncio.Task[Any]] = set()
        self._bell: socket.socket | None = None
        self._ready: Future[None] = Future()
        #: Called on the engine's loop after every commit; must return at once.
        self.observers: list[Callable[[list[Committed]], None]] = []

    def adopt(self, settings: Settings) -> None:
        """Work with settings of which some have changed."""
        self._settings = settings
        self._here = Context(environment=settings.environment)
        self._weigh()

    @property
    def flags(self) -> Flags:
        """What operators may turn while it runs; as declared until somebody hands in others."""
        return self._flags

    @flags.setter
    def flags(self, flags: Flags) -> None:
        self._flags = flags
        flags.changed.append(self._weigh)
        self._weigh()

    def _weigh(self) -> None:
        """Worked out when something changes, and not for each order."""
        share = self._flags.value(PARALLELISM, self._here)
        self._may_work = self._settings.max_attempts_at_once * int(share) // 100

    def _at_once(self) -> int:
        """Attempts of a capability that may work now: a share of what the settings allow."""
        return self._may_work

    # Life

    def start(self) -> bool:
        """Take the state directory and carry on what is open; False if another engine has it.

        In a fleet nobody has it: the database lets any number of engines advance runs.
        """
        if self._fleet is None and not self._own():
            return False
        self._loop = asyncio.new_event_loop()
        self._timers = Timers(
            self._loop, self._now, lambda run: self.writer.tell(run, e.Tick()), self._look_ahead
        )
        self._thread.start()
        self._ready.result()
        self.flags.start()
        return True

    def _own(self) -> bool:
        """Take the state directory, and where the database is a server's, that too."""
        if not self._owner.acquire():
            return False
        if self._database.kind == "postgresql":
            try:
                refuse_shared(self._database, self._settings.home)
            except BaseException:
                self._owner.release()
                raise
        return True

    def stop(self, why: str = "the engine was stopped") -> None:
        """Hand back what is in hand, finish writing, release the state directory."""
        self.flags.stop()
        closing = asyncio.run_coroutine_threadsafe(self._close(why), self._loop)
        with contextlib.suppress(TimeoutError):
            closing.result(_STOP_LIMIT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._owner.release()

    def busy(self) -> bool:
        """Whether there is anything to do now or soon that needs no person."""
        if self._dispatch.in_hand or self._chores:
            return True
        return asyncio.run_coroutine_threadsafe(self._work_left(), self._loop).result()

    async def _work_left(self) -> bool:
        return bool(self.writer.run(_work_left))

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.create_task(self._begin())
        self._loop.run_forever()
        self._loop.close()

    async def _begin(self) -> None:
        try:
            self.writer.open()
            self._bell = bell(self._bell_path())
            self._loop.add_reader(self._bell.fileno(), self._rung)
            if self._fleet is None:
                await self._recover()
            else:
                await self._fleet.begin(self.writer, self._collect, self._chore)
            await self._collect()
            if self._fleet is None:
                self._listen_for_lost_rings()
            self._mind_the_clock()
            self._tidy_if_due()
        except BaseException as error:  # noqa: BLE001 - start() raises it
            self._ready.set_exception(error)
        else:
            self._ready.set_result(None)

    async def _close(self, why: str) -> None:
        if self._bell is not None:
            self._loop.remove_reader(self._bell.fileno())
            self._bell.close()
            self._bell_path().unlink(missing_ok=True)
        self._timers.stop()
        self._next_look.cancel()
        if self._next_listen is not None:
            self._next_listen.cancel()
        self.writer.handing_out = False
        self._dispatch.closed = True
        self._dispatch.give_back(None, why)
        await self._dispatch.close()
        if self._fleet is not None:
            await self._fleet.end(why)
        await self._settle_chores()
        self.writer.close()

    async def _settle_chores(self) -> None:
        chores = self._chores - {asyncio.current_task()}
        if chores:
            await asyncio.wait(chores, timeout=_STOP_LIMIT / 2)

    def _chore(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something beside the orders, with an owner for what goes wrong in it."""
        task = self._loop.create_task(work, name=name)
        self._chores.add(task)
        task.add_done_callback(self._chore_done)

    def _chore_done(self, task: asyncio.Task[Any]) -> None:
        self._chores.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("chore.failed", chore=task.get_name(), error=repr(error))

    # Recovery: the normal path after any stop

    async def _recover(self) -> None:
        """Whatever was handed out and has no outcome was interrupted; it is ordered anew."""
        lost: list[OrderRow] = self.writer.run(ledger.handed_out)
        # All of it before anything is ordered anew: a new attempt works where these lie.
        for run in {order.run for order in lost}:
            self._desks.clear_run(run)
        for order in lost:
            why = "the engine that worked on it died"
            given = e.Interrupted(order.stage, order.attempt, order.token, why, suspect=True)
            try:
                await asyncio.wrap_future(self.writer.ask(order.run, given))
            except ShipwayError as error:
                # One order that cannot be taken back must not keep the engine from all others.
                self._log.error("order.lost", run=order.run, stage=order.stage, error=error.message)
        self._read_timers()

    async def _collect(self) -> None:
        """Take up what other processes put into the database: new runs' orders, commands."""
        if self._fleet is None:
            orders: list[OrderRow] = self.writer.run(ledger.deliver)
            for order in orders:
                self._dispatch.hand_out(order)
        self._read_timers()
        self._admit()
        commands: list[CommandRow] = self.writer.run(ledger.open_commands)
        for command in commands:
            await self._obey(command)

    def _admit(self) -> None:
        """A run ended or rests: another one may begin."""
        self._admitting = False
        if self._dispatch.closed:
            return
        self._some_queued = self.writer.admit()
        if self._some_queued and self._look_for_room is None:
            # Where many engines serve one database, the room may become free elsewhere.
            self._look_for_room = self._loop.call_later(_LOOK_FOR_ROOM_EVERY, self._look_again)

    def _look_again(self) -> None:
        self._look_for_room = None
        self._admit()

    # Tidying

    def _tidy_if_due(self) -> None:
        if self._housekeeping.is_due():
            self._chore(self._tidy(), "tidy")
        self._next_look = self._loop.call_later(_LOOK_FOR_DUST_EVERY, self._tidy_if_due)

    async def _tidy(self) -> None:
        """Records in small steps on the loop, files in a thread; what waits goes first."""
        total = Swept()
        for swept in self._housekeeping.records(self.writer.run):
            total += swept
            await asyncio.sleep(_BREATH)
        total += await asyncio.to_thread(self._tidy_files)
        self._housekeeping.note_done()
        if total != Swept():
            self._log.info("engine.tidied", **dataclasses.asdict(total))

    def _tidy_files(self) -> Swept:
        total = Swept()
        for swept in self._housekeeping.files():
            total += swept
            if self._dispatch.closed:
                break  # the next engine goes on
        return total

    def _read_timers(self) -> None:
        until = self._timers.horizon()
        near, after = self.writer.run(lambda connection: ledger.timers(connection, until))
        for run, due in near:
            self._timers.set(run, due)
        self._timers.later(after)

    def _look_ahead(self) -> None:
        try:
            self._read_timers()
        except ShipwayError as error:
            self._log.warning("timers not read", code=error.code)

    def _mind_the_clock(self) -> None:
        """What is to be tried again must not wait for as long as the clock was set back."""
        newest: float | None = self.writer.run(ledger.newest)
        if newest is None or newest < self._now() + _CLOCK_MAY_DIFFER:
            return
        self._log.warning("the clock was set back", seconds=round(newest - self._now()))
        every, _ = self.writer.run(lambda connection: ledger.timers(connection, math.inf))
        for run, _due in every:
            self.writer.tell(run, e.Tick())

    def _rung(self) -> None:
        assert self._bell is not None  # noqa: S101 - the reader exists only while the bell does
        if any(ring.topic == COMMANDS for ring in heard(self._bell)):
            self._chore(self._collect(), "collect")

    def _listen_for_lost_rings(self) -> None:
        """Who died between a commit and its ring costs a moment, not the work."""
        every = _LOOK_FOR_LOST_RINGS_EVERY
        self._next_listen = self._loop.call_later(every, self._listen_for_lost_rings)
        try:
            mark = self.writer.run(lambda connection: connection.change_mark())
        except ShipwayError as error:
            self._log.warning("changes not seen", code=error.code)
            return
        if mark != self._mark:
            self._mark = mark
            self._chore(self._collect(), "collect")

    def _bell_path(self) -> Path:
        folder = bells(self._settings.home)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder / ("engine" if self._fleet is None else f"engine-{os.getpid()}-{id(self):x}")

    # Commands of other processes

    async def _obey(self, command: CommandRow) -> None:
        try:
            if command.kind == "discard":
                self.writer.run(lambda db: self._give_up(db, command))
                return
            given = _input_of(command)
            committed = await asyncio.wrap_future(
                self.writer.ask(
                    command.run or "",
                    given,
                    command.id,
                    once=lambda connection: ledger.is_open_command(connection, command.id),
                )
            )
        except ShipwayError as error:
            self._refuse(command, error)
            return
        if isinstance(given, e.Pause) and committed.decision is not None:
            grace = float(decode(command.data).get("grace", 0.0))
            self._loop.call_later(grace, self._dispatch.give_back, command.run, given.reason)

    def _give_up(self, connection: Connection, command: CommandRow) -> None:
        data, now = decode(command.data), self._now()
        give_up(connection, command.run or "", data["by"], data["reason"], now)
        ledger.finish_command(connection, command.id, encode({"ok": True}), now)

    def _refuse(self, command: CommandRow, error: ShipwayError) -> None:
        answer, now = refusal(error), self._now()
        self.writer.run(lambda db: ledger.finish_command(db, command.id, answer, now))

    # After a commit

    def _after_commit(self, results: list[Committed]) -> None:
        for committed in results:
            if not committed.taken:
                continue
            if committed.decision is None:
                self._timers.set(committed.run, None)
                continue
            for stage, attempt in committed.decision.cancels:
                self._dispatch.call_off(committed.run, stage, attempt)
            for order in committed.orders:
                self._dispatch.hand_out(order)
            self._follow_up(committed.run, committed.decision)
        for observer in self.observers:
            observer(results)

    def _follow_up(self, run: str, decision: Decision) -> None:
        self._timers.set(run, decision.due)
        status = decision.state.status
        if status is RunStatus.QUEUED:
            self._some_queued = True
        elif status is not RunStatus.RUNNING and self._may_wait() and not self._admitting:
            self._admitting = True
            self._loop.call_soon(self._admit)
        at_rest = (e.RunEnded, e.RunRested)
        if self._rested and any(isinstance(event, at_rest) for event in decision.events):
            self._chore(asyncio.to_thread(self._rested, run), "report")

    def _may_wait(self) -> bool:
        """Whether some run may wait to begin; in a fleet another engine may have held it."""
        return self._some_queued or self._fleet is not None

    # What agents say they do

    def _note(self, run: str, stage: str, attempt: int, doing: str) -> None:
        self.writer.note(run, stage, attempt, doing)
        self._loop.call_soon_threadsafe(self._flush_soon)

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_later(_PROGRESS_EVERY, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        self.writer.flush_progress()


def _work_left(connection: Any) -> bool:
    return bool(ledger.moving(connection) or ledger.open_commands(connection))


def _input_of(command: CommandRow) -> e.Input:
    """Raises UsageError for a command that this engine cannot read."""
    try:
        return _read(command.kind, decode(command.data))
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError("what is stored of that command cannot be read") from error


def _read(kind: str, data: dict[str, Any]) -> e.Input:
    match kind:
        case "cancel":
            return e.Cancel(data["by"], data["reason"])
        case "pause":
            return e.Pause(data["by"], data["reason"])
        case "resume":
            return e.Resume(data["by"])
        case "retry":
            return e.Retry(data["by"], data["reason"], data["stage"], data.get("attempt"))
        case "repair":
            return e.Repaired(data["by"], data["reason"])
        case "rewind":
            return e.Rewind(data["stage"], data["by"], data["reason"], data["changes"])
        case "answer":
            return e.Answer(
                data["ask"], data["choice"], data["by"], data.get("subject"), data.get("comment")
            )
        case _:
            raise UsageError("this engine does not know that command")
