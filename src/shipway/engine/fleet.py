"""The engine's side of a fleet: takes in what workers report, takes over from those that died."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from shipway.bus.link import Link
from shipway.config import Settings
from shipway.contracts.envelope import Task
from shipway.contracts.registry import CONTRACTS, Contract
from shipway.domain.run import events as e
from shipway.engine.advance import Committed, Writer
from shipway.engine.codec import encode
from shipway.engine.commands import COMMANDS
from shipway.engine.dispatch.fleet import reports
from shipway.engine.dispatch.fleet.member import Member, Pace
from shipway.engine.dispatch.fleet.queue import Consumer, Placing, queue_name
from shipway.engine.dispatch.fleet.speaking import (
    admitted,
    queues_served,
    refitted,
    spoken_by_engine,
)
from shipway.engine.writing import Place
from shipway.errors import (
    ConflictError,
    ContractError,
    CorruptRunError,
    NotFoundError,
    ShipwayError,
)
from shipway.store import fleet, lanes
from shipway.store.database import Connection, Database
from shipway.store.fleet import Key
from shipway.store.ledger import OrderRow

_AT_ONCE = 256
#: Beats for which an engine must have seen the database without a gap before it judges others.
_SEEN_FOR = 2.5
_FORGET_AFTER = 86_400.0
_DIED = "the worker that did it died"


class Chores(Protocol):
    """Runs something on the engine's loop, with an owner for what goes wrong in it."""

    def __call__(self, work: Coroutine[Any, Any, None], name: str) -> None: ...


@dataclass(slots=True)
class _Sweep:
    """What a look over the fleet found: orders that nobody could take, and those that somebody can."""

    alone: dict[Key, str] = field(default_factory=dict)
    served: set[Key] = field(default_factory=set)
    corrupt: list[Key] = field(default_factory=list)


class FleetDispatch:
    """Hands orders to whichever worker of the fleet fetches them: the commit itself does it."""

    def __init__(self, fleet_side: Fleet) -> None:
        self._fleet = fleet_side
        self.closed = False
        self.in_hand = 0

    def hand_out(self, order: OrderRow) -> None:
        """Nothing: a job was deferred in the transaction that wrote the order."""

    def call_off(self, run: str, stage: str, attempt: int) -> None:
        """Let the worker look at once; that the order is closed is what stops it."""
        self._fleet.say("claims")

    def give_back(self, run: str | None, why: str) -> None:
        """Ask for the attempts of a run; when only the engine stops (None), workers go on."""
        if run is not None:
            self._fleet.ask_back(run, why)

    async def close(self) -> None:
        self.closed = True


class Fleet:
    """Lives on the engine's loop from ``begin`` to ``end``."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        link: Link | None = None,
        contracts: Mapping[str, Contract] = CONTRACTS,
    ) -> None:
        self._contracts = contracts
        self._pace = Pace(settings.worker_beat_s, settings.worker_lease_s)
        self._deadline = settings.no_worker_s
        self._placing = Placing()
        speaks = spoken_by_engine(contracts)
        admit = admitted(contracts, "engine", speaks, self._pace.lease)
        self.member = Member(database, database.conninfo, "engine", speaks, self._pace, link, admit)
        self._consumer = Consumer(database.conninfo, self._pace.beat, self._pace.lease)
        self.dispatch = FleetDispatch(self)
        self._writer: Writer
        self._collect: Callable[[], Coroutine[Any, Any, None]]
        self._chore: Chores
        self._taking: set[int] = set()
        self._again = False
        self._reading = False
        self._suspected: set[Key] = set()
        self._alone: set[Key] = set()
        self._said: set[str] = set()
        self._log = structlog.get_logger("fleet")
        self._sweeping = False

    @property
    def place(self) -> Place:
        """Wakes workers for new orders, once the transaction that writes them commits."""
        return self._placing.orders

    async def begin(
        self, writer: Writer, collect: Callable[[], Coroutine[Any, Any, None]], chore: Chores
    ) -> None:
        self._writer, self._collect, self._chore = writer, collect, chore
        self.member.heard = self._hear
        self.member.beaten = self._beaten
        await self._consumer.open()
        await self.member.join()

    async def end(self, why: str) -> None:
        await self.member.leave(why)
        await self._consumer.close()

    # What it says

    def say(self, what: str) -> None:
        """Ring the fleet, once for all that is said in this turn of the loop."""
        if not self._said:
            asyncio.get_running_loop().call_soon(self._say_all)
        self._said.add(what)

    def _say_all(self) -> None:
        said, self._said = self._said, set()

        def ring(connection: Connection) -> None:
            for what in said:
                fleet.ring(connection, what)

        self._chore(self._try(ring), "ring")

    def ask_back(self, run: str, why: str) -> None:
        self._chore(self._try(lambda connection: fleet.ask_back(connection, run, why)), "ask back")

    async def _try(self, work: Callable[[Connection], None]) -> None:
        """What is lost with the database here is found at the next beat of those it concerns."""
        try:
            await self.member.ask(work)
        except ShipwayError as error:
            self._log.warning("not said", code=error.code)

    # What it hears

    def _hear(self, what: str) -> None:
        if what in {"", "reports"}:
            self._take_in_soon()
        if what in {"", COMMANDS}:
            self._chore(self._collect(), "collect")

    def _beaten(self) -> None:
        """What a lost ring would have said is found now."""
        self._take_in_soon()
        self._chore(self._collect(), "collect")
        if not self._sweeping:
            self._sweeping = True
            self._chore(self._sweep(), "sweep")

    def _take_in_soon(self) -> None:
        self._again = True
        if not self._reading:
            self._reading = True
            self._chore(self._take_in(), "reports")

    async def _take_in(self) -> None:
        try:
            while self._again:
                self._again = False
                found = await self.member.ask(lambda c: fleet.reports(c, _AT_ONCE))
                for report, run, data in found:
                    if report not in self._taking:
                        self._take(report, run, data)
                self._again |= len(found) == _AT_ONCE
        except ShipwayError as error:
            self._log.warning("reports not read", code=error.code)
        finally:
            self._reading = False

    def _take(self, report: int, run: str, data: bytes) -> None:
        """Advance the run by a report; the same commit removes it, in one engine only."""
        try:
            found = reports.unpack(data)
        except ContractError as error:
            self._log.error("report.unreadable", report=report, run=run, error=error.message)
            self._chore(self._try(lambda c: _drop(c, report)), "drop")
            return
        if found.given is None:
            self._writer.distrust(run, CorruptRunError(found.corrupt or "an order cannot be read"))
            self._chore(self._try(lambda c: _drop(c, report)), "drop")
            return
        self._taking.add(report)
        future = self._writer.ask(
            run,
            found.given,
            outcome=found.outcome,
            once=lambda connection: fleet.take_report(connection, report),
        )
        future.add_done_callback(lambda done: self._taken(report, run, done))

    def _taken(self, report: int, run: str, done: Future[Committed]) -> None:
        self._taking.discard(report)
        if isinstance(done.exception(), ConflictError):
            self._log.info("report.left", report=report, run=run, why=str(done.exception()))
        if isinstance(done.exception(), NotFoundError):
            self._log.warning("report.of_no_run", report=report, run=run)
            self._chore(self._try(lambda c: _drop(c, report)), "drop")

    # Looking over the fleet

    async def _sweep(self) -> None:
        try:
            found = await self.member.ask(self._look_over)
            await self._consumer.reap()
        except ShipwayError as error:
            self._log.warning("sweep missed", code=error.code)
            return
        except self._consumer.faults as error:
            self._log.warning("jobs not looked at", error=type(error).__name__)
            return
        finally:
            self._sweeping = False
        self._tell_unserved(found)

    def _look_over(self, connection: Connection) -> _Sweep:
        """Runs in a thread: take over from the dead, wake for what was forgotten, see who is alone."""
        if not fleet.only_one(connection, fleet.TAKE_OVER):
            return _Sweep()
        # After a gap everybody seems silent: they get the time to be seen first.
        if time.monotonic() - self.member.seen_since > _SEEN_FOR * self._pace.beat:
            for worker in fleet.lost(connection, self._pace.lease):
                self._log.warning("worker.lost", worker=worker)
        fenced = fleet.fence(connection)
        lanes.leave(connection, [key for _, key in fenced])
        fleet.say_lost(connection, [(key, reports.lost(key, _DIED)) for _, key in fenced])
        for worker, key in fenced:
            self._log.warning("attempt.taken_over", worker=worker, run=key.run, stage=key.stage)
        fleet.forget(connection, _FORGET_AFTER)
        found = _Sweep()
        waiting = fleet.unclaimed(connection)
        known = [(key, data, task) for key, data in waiting if (task := _read(key, data, found))]
        forgotten = self._placing.missing(connection.raw, [(key, data) for key, data, _ in known])
        self._placing.place(connection.raw, forgotten)
        served = queues_served(fleet.workers(connection), self._pace.lease)
        for key, _, task in known:
            queue = queue_name(task.capability, task.version, task.agent)
            if queue in served or self._refit(connection, key, task, served):
                found.served.add(key)
            else:
                found.alone[key] = _nobody(task)
        return found

    def _refit(self, connection: Connection, key: Key, task: Task, served: Collection[str]) -> bool:
        """Cast an order to a version that somebody speaks who is there; whether there is one."""
        other = refitted(self._contracts, task, served)
        if other is None:
            return False
        data = encode(other.model_dump(mode="json"))
        if fleet.refit(connection, key, data):
            self._placing.place(connection.raw, [(key, data)])
        return True

    def _tell_unserved(self, found: _Sweep) -> None:
        """An order that is alone at two looks in a row is said to be; a worker may just be starting."""
        for key in found.corrupt:
            why = f"the order of {key.stage}, attempt {key.attempt}, cannot be read"
            self._writer.distrust(key.run, CorruptRunError(why))
        for key, why in found.alone.items():
            if key in self._suspected and key not in self._alone:
                self._alone.add(key)
                given = e.Unserved(key.stage, key.attempt, key.token, why, self._deadline)
                self._writer.tell(key.run, given)
        for key in self._alone & found.served:
            self._writer.tell(key.run, e.Served(key.stage, key.attempt, key.token))
        if found.alone or found.served:
            self._alone &= found.alone.keys()
        self._suspected = set(found.alone)


def _read(key: Key, data: bytes, found: _Sweep) -> Task | None:
    try:
        return Task.model_validate_json(data)
    except ValueError:
        found.corrupt.append(key)
        return None


def _nobody(task: Task) -> str:
    agent = "" if task.agent == "builtin" else f" with the agent {task.agent}"
    version = "" if task.version == 1 else f" version {task.version}"
    return f"no worker for {task.capability}{version}{agent}"


def _drop(connection: Connection, report: int) -> None:
    fleet.take_report(connection, report)
