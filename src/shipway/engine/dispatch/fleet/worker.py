"""A worker: takes orders of its capabilities from the fleet, does them, and says what came of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import structlog

from shipway.agents.agent import Artifacts
from shipway.agents.registry import Registry
from shipway.bus.link import Link
from shipway.bus.shared import SharedState
from shipway.config import Settings
from shipway.contracts.envelope import Task
from shipway.contracts.registry import CONTRACTS, Contract
from shipway.domain.run import events as e
from shipway.engine.admission import limits_of
from shipway.engine.budgets import Budgets
from shipway.engine.desks import Desks
from shipway.engine.dispatch.fleet.gate import Gate
from shipway.engine.dispatch.fleet.member import Member, Pace
from shipway.engine.dispatch.fleet.queue import WAITS, Consumer, queue_name
from shipway.engine.dispatch.fleet.reports import Word, corrupt, pack
from shipway.engine.dispatch.fleet.speaking import admitted, spoken
from shipway.engine.dispatch.local import LocalDispatch
from shipway.errors import ConflictError, CorruptRunError, ShipwayError
from shipway.store import fleet, ledger
from shipway.store.database import Database
from shipway.store.fleet import Key
from shipway.store.lanes import ROOM
from shipway.store.ledger import OrderRow

#: An order that was taken so often without any word of it kills whoever takes it.
MAX_DELIVERIES = 5
_PROGRESS_EVERY = 0.25
_GIVES_BACK_WITHIN = 5.0
_CONFIRMS_WITHIN = 20.0


@dataclass(slots=True)
class _Held:
    """An attempt in hand; ``done`` gets its last word, or None when nobody wants one."""

    capability: str
    done: asyncio.Future[tuple[Word, bytes | None] | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Worker:
    """``capabilities`` are those of ``registry`` that it serves, each with ``at_once`` attempts.

    It runs on an event loop in a thread of its own; ``start``, ``drain``, ``stop`` may be called
    from any other.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        registry: Registry,
        artifacts: Artifacts,
        capabilities: Mapping[str, int],
        contracts: Mapping[str, Contract] = CONTRACTS,
        link: Link | None = None,
    ) -> None:
        self._pace = Pace(settings.worker_beat_s, settings.worker_lease_s)
        self._limits = dict(capabilities)
        self._queues = _queues(registry, capabilities, contracts)
        conninfo = database.conninfo
        serves = _serves(registry, capabilities, contracts)
        admit = admitted(contracts, "worker", serves, self._pace.lease)
        self.member = Member(database, conninfo, "worker", serves, self._pace, link, admit)
        self.member.heard = self._hear
        self.member.busy = lambda: self._busy
        self.member.beaten = self._look_soon
        self._consumer = Consumer(conninfo, self._pace.beat, self._pace.lease)
        self._consumer.performs(self._begin)
        self._ending = False
        self.serves = list(capabilities)
        budgets = Budgets(database, settings.run_budget)
        desks = Desks(settings, artifacts, self._note, budgets, self._confirm)
        rates = None if link is None else SharedState(link)
        member = self.member
        self._gate = Gate(limits_of(settings), member.id, member.ask, member.insist, rates)
        self._dispatch = LocalDispatch(
            registry,
            desks,
            self._tell,
            self._gate,
            contracts,
            distrust=self._distrust,
            now=lambda: time.time() + self._ahead,
        )
        #: Seconds that the database's clock, by which a fleet goes, is ahead of ours.
        self._ahead = 0.0
        self._held: dict[Key, _Held] = {}
        self._busy: Counter[str] = Counter()
        self._room: dict[str, asyncio.Event] = {}
        self._progress: dict[tuple[str, str], tuple[int, str]] = {}
        self._chores: set[asyncio.Task[Any]] = set()
        self._log = structlog.get_logger("worker").bind(worker=self.member.id)
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=self._run_loop, name="worker", daemon=True)
        self._started: Future[None] = Future()
        self._flushing = False
        #: Set when it is over without having been asked to: the others took it for dead.
        self.lost = threading.Event()

    # Life

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it runs on, once it has started."""
        return self._loop

    def start(self) -> None:
        """Join the fleet and take work; raises what keeps it from that."""
        self._thread.start()
        self._started.result()

    def drain(self, left: float) -> None:
        """Take nothing new, and let what is in hand end within the seconds that are left."""
        self._call(self._drain(left), left + 1.0)

    def stop(self, left: float) -> None:
        """Hand back what is still in hand, leave the fleet, let go of everything."""
        if self._thread.is_alive():
            self._call(self._close(), max(left, 1.0))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(max(left, 1.0))

    def _call(self, work: Any, within: float) -> None:
        try:
            asyncio.run_coroutine_threadsafe(work, self._loop).result(within)
        except TimeoutError:
            self._log.warning("out of time", within=round(within, 1))

    def _run_loop(self) -> None:
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._loop.create_task(self._open())
        self._loop.run_forever()
        self._loop.close()

    async def _open(self) -> None:
        try:
            for capability in self._limits:
                self._room[capability] = asyncio.Event()
            await self._consumer.open()
            await self.member.join()
            self._consumer.resume()
            for capability, queues in self._queues.items():
                self._chore(self._consumer.consume(capability, queues), f"queue {capability}")
            self._chore(self._when_lost(), "lost")
        except BaseException as error:  # noqa: BLE001 - start() raises it
            self._started.set_exception(error)
        else:
            self._started.set_result(None)

    async def _drain(self, left: float) -> None:
        self._ending = True
        self._log.info("draining: taking nothing new", in_hand=len(self._held))
        self.member.drain()
        self._consumer.stop()
        self._make_room()
        waiting = [held.done for held in self._held.values()]
        if waiting:
            await asyncio.wait(waiting, timeout=left)
        self._log.info("drained", still_in_hand=len(self._held))

    async def _close(self) -> None:
        self._ending = True
        self._consumer.stop()
        self._dispatch.closed = True
        if self._held:
            self._log.info("handing back", attempts=len(self._held))
        self._dispatch.give_back(None, "its worker was stopped")
        self._make_room()
        ending = [chore for chore in self._chores if chore.get_name() == "attempt"]
        if ending:
            await asyncio.wait(ending, timeout=_GIVES_BACK_WITHIN)
        await self.member.leave("it was stopped")
        await self._dispatch.close()
        self._gate.close()
        for chore in self._chores:
            chore.cancel()
        if self._chores:
            await asyncio.wait(self._chores, timeout=1.0)
        await self._consumer.close()
        self._log.info("stopped")

    async def _when_lost(self) -> None:
        """What this process still has in hand is not its own any more: none of it counts."""
        await self.member.lost.wait()
        self._consumer.stop()
        for key in list(self._held):
            self._let_go(key)
        self.lost.set()

    def _chore(self, work: Awaitable[Any], name: str) -> None:
        task = asyncio.ensure_future(work)
        task.set_name(name)
        self._chores.add(task)
        task.add_done_callback(self._chore_done)

    def _chore_done(self, task: asyncio.Task[Any]) -> None:
        self._chores.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("chore.failed", chore=task.get_name(), error=repr(error))
            if task.get_name().startswith("queue "):
                self.member.lost.set()  # who takes nothing is no worker: begin anew

    # One order after the other

    async def _begin(self, key: Key) -> None:
        """Take an order and begin it; returns when there is room for another of its capability."""
        if self._closing():
            raise ConflictError("the worker takes nothing new")  # the job is offered to others
        if key in self._held:
            return  # a second job for what is in hand
        claimed = await self.member.insist(
            lambda connection: fleet.claim(connection, self.member.id, key)
        )
        if claimed is None or key in self._held:
            return  # somebody else has it, or nobody wants it any more
        task, deliveries, now = claimed
        self._ahead = now - time.time()
        try:
            capability = Task.model_validate_json(task).capability
        except ValueError:
            await self._unreadable(key)
            return
        self._held[key] = held = _Held(capability)
        self._busy[capability] += 1
        self._chore(self._follow(key, held), "attempt")
        if deliveries > MAX_DELIVERIES:
            self._put(key, _poison(key, deliveries - 1), None)
        else:
            row = OrderRow(key.run, key.stage, key.attempt, key.token, deliveries, task)
            self._dispatch.hand_out(row)
        while self._busy[capability] >= self._limits[capability]:
            self._room[capability].clear()
            await self._room[capability].wait()
            if self._closing():
                return

    async def _unreadable(self, key: Key) -> None:
        data = corrupt(f"the order of {key.stage}, attempt {key.attempt}, cannot be read")
        await self.member.insist(
            lambda connection: fleet.report(connection, self.member.id, key, data, last=True)
        )

    def _closing(self) -> bool:
        return self._ending or self.member.draining

    async def _follow(self, key: Key, held: _Held) -> None:
        """Wait for the last word and leave it where engines find it, if the attempt is still ours."""
        try:
            word = await held.done
            if word is not None:
                await self._report(key, *word)
        finally:
            self._held.pop(key, None)
            self._busy[held.capability] -= 1
            self._room[held.capability].set()

    async def _report(self, key: Key, given: Word, outcome: bytes | None) -> None:
        data, last = pack(given, outcome), not isinstance(given, e.Started | e.Held)
        ours = await self.member.insist(
            lambda connection: fleet.report(connection, self.member.id, key, data, last=last)
        )
        if not ours:
            self._log.warning(
                "attempt.fenced", run=key.run, stage=key.stage, attempt=key.attempt, token=key.token
            )
            self._let_go(key)

    def _tell(self, run: str, given: e.Input, outcome: bytes | None) -> None:
        """What the dispatch says of an attempt; from any thread."""
        assert isinstance(given, Word)  # noqa: S101
        key = Key(run, given.stage, given.attempt, given.token)
        self._loop.call_soon_threadsafe(self._put, key, given, outcome)

    def _put(self, key: Key, given: Word, outcome: bytes | None) -> None:
        held = self._held.get(key)
        if held is None or held.done.done():
            return
        if isinstance(given, e.Started | e.Held):
            self._chore(self._report(key, given, None), "announce")
        else:
            held.done.set_result((given, outcome))

    def _distrust(self, run: str, error: CorruptRunError) -> None:
        """The task was read before it was begun: this cannot come, and if it does, loudly."""
        self._log.error("order.unreadable", run=run, error=error.message)

    def _let_go(self, key: Key) -> None:
        """Stop an attempt that is not ours any more, or that nobody wants."""
        held = self._held.get(key)
        if held is not None and not held.done.done():
            held.done.set_result(None)
        self._dispatch.call_off(key.run, key.stage, key.attempt)

    def _make_room(self) -> None:
        for room in self._room.values():
            room.set()

    # What is asked of it meanwhile

    def _hear(self, what: str) -> None:
        if what.startswith(WAITS):
            self._consumer.nudge(what.removeprefix(WAITS))
        elif what in {"", ROOM}:
            self._gate.look()
        if not what:  # it may have been said that an order waits
            self._consumer.nudge()

    def _look_soon(self) -> None:
        self._gate.look()
        if self._held:
            self._chore(self._look(), "look")
        if self.member.draining:
            self._consumer.pause()
            self._make_room()
        elif not self._ending:
            self._consumer.resume()

    async def _look(self) -> None:
        """Stop what was cancelled or given to others, hand back what is asked back."""
        mine = await self.member.ask(lambda connection: fleet.held(connection, self.member.id))
        known = {claimed.key: claimed for claimed in mine}
        for key in list(self._held):
            claimed = known.get(key)
            if claimed is None:
                continue  # reported this moment
            if not claimed.ours:
                self._let_go(key)
            elif claimed.give_back is not None:
                given = e.Interrupted(
                    key.stage, key.attempt, key.token, claimed.give_back, suspect=False
                )
                self._put(key, given, None)
                self._dispatch.call_off(key.run, key.stage, key.attempt)

    def _confirm(self, task: Task) -> None:
        """Asked by agents right before what cannot be taken back; raises ConflictError."""
        key = Key(task.run, task.stage, task.attempt, task.token)
        if not self.member.insist_for(
            _CONFIRMS_WITHIN, lambda connection: fleet.holds(connection, self.member.id, key)
        ):
            raise ConflictError("this attempt was given to another worker: nothing was done")

    # What agents say they do

    def _note(self, run: str, stage: str, attempt: int, doing: str) -> None:
        self._progress[run, stage] = (attempt, doing)
        self._loop.call_soon_threadsafe(self._flush_soon)

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_later(_PROGRESS_EVERY, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        noted, self._progress = self._progress, {}
        rows = [(run, stage, *rest) for (run, stage), rest in noted.items()]
        self._chore(self._write_progress(rows), "progress")

    async def _write_progress(self, rows: list[tuple[str, str, int, str]]) -> None:
        try:
            await self.member.ask(lambda connection: ledger.note_progress(connection, rows))
        except ShipwayError as error:
            self._log.warning("progress not written", code=error.code)


def _poison(key: Key, deliveries: int) -> e.Completed:
    error = {
        "code": "POISON",
        "category": "permanent",
        "recovery": "report",
        "message": f"{deliveries} workers took it, and none of them said what came of it",
        "hint": "look at the end of the stage's log for what uses up memory or crashes",
    }
    return e.Completed(key.stage, key.attempt, key.token, "failed", error=error)


def _queues(
    registry: Registry, capabilities: Mapping[str, int], contracts: Mapping[str, Contract]
) -> dict[str, list[str]]:
    """Capability to the queues whose orders this installation can do."""
    known = registry.capabilities()
    return {
        name: [
            queue_name(name, version, agent)
            for version in spoken(contracts[name])
            for agent in ("builtin", *known[name])
        ]
        for name in capabilities
    }


def _serves(
    registry: Registry, capabilities: Mapping[str, int], contracts: Mapping[str, Contract]
) -> list[Mapping[str, Any]]:
    """The same for people and engines, as it stands in the registry of the fleet."""
    known = registry.capabilities()
    return [
        {
            "capability": name,
            "agents": known[name],
            "versions": list(spoken(contracts[name])),
            "limit": limit,
        }
        for name, limit in capabilities.items()
    ]
