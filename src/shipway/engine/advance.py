"""The single writer: takes inputs of many runs and commits each batch in one transaction."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from shipway.contracts.registry import CONTRACTS, Contract
from shipway.domain.run import decide
from shipway.domain.run import events as e
from shipway.domain.run.decide import Decision, Order
from shipway.domain.run.state import RunState
from shipway.engine.begin import begin
from shipway.engine.codec import encode, state_of
from shipway.engine.intake import Ready
from shipway.engine.writing import order_row, save_state, write_events
from shipway.errors import ConflictError, CorruptRunError, NotFoundError, ShipwayError
from shipway.store import ledger
from shipway.store.database import Database, transaction, trouble
from shipway.store.ledger import OrderRow

#: Inputs taken into one transaction at most; more wait for the next, which follows at once.
BATCH = 256
_CACHED_RUNS = 1024


@dataclass(frozen=True, slots=True)
class Committed:
    """What one input came to, after it is durable. ``decision`` is None for a quarantined run."""

    run: str
    decision: Decision | None
    orders: tuple[OrderRow, ...]


@dataclass(slots=True)
class _Asked:
    run: str
    given: e.Input | Ready
    outcome: bytes | None = None
    future: Future[Committed] | None = None
    command: str | None = None


class Writer:
    """One thread that owns the writing connection. ``committed`` is called on it after a commit."""

    def __init__(
        self,
        database: Database,
        now: Callable[[], float],
        committed: Callable[[list[Committed]], None],
        contracts: Mapping[str, Contract] = CONTRACTS,
    ) -> None:
        self._contracts = contracts
        self._database = database
        self._now = now
        self._committed = committed
        self._inbox: queue.SimpleQueue[_Asked | Callable[[sqlite3.Connection], None] | None] = (
            queue.SimpleQueue()
        )
        self._states: OrderedDict[str, tuple[RunState, str]] = OrderedDict()
        self._progress: dict[tuple[str, str], tuple[int, str]] = {}
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        #: False while the engine stops: orders are then left in the database for the next one.
        self.handing_out = True

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish what is in the inbox, then end the thread."""
        self._inbox.put(None)
        self._thread.join()

    def tell(self, run: str, given: e.Input, outcome: bytes | None = None) -> None:
        """Advance a run; what comes of it reaches ``committed`` only."""
        self._inbox.put(_Asked(run, given, outcome))

    def ask(self, run: str, given: e.Input, command: str | None = None) -> Future[Committed]:
        """Advance a run and learn what came of it; the same commit answers ``command``."""
        future: Future[Committed] = Future()
        self._inbox.put(_Asked(run, given, None, future, command))
        return future

    def submit(self, ready: Ready) -> Future[Committed]:
        """Write a new run; its first orders are handed out after the commit."""
        future: Future[Committed] = Future()
        self._inbox.put(_Asked(ready.run, ready, None, future))
        return future

    def run(self, work: Callable[[sqlite3.Connection], Any]) -> Future[Any]:
        """Do other work on the writing connection, in a transaction of its own."""
        future: Future[Any] = Future()

        def perform(connection: sqlite3.Connection) -> None:
            try:
                with transaction(connection):
                    result = work(connection)
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits for it
                future.set_exception(error)
            else:
                future.set_result(result)

        self._inbox.put(perform)
        return future

    def note(self, run: str, stage: str, attempt: int, doing: str) -> None:
        """Keep what an agent says it does; written with the next commit, or by ``run``."""
        self._progress[run, stage] = (attempt, doing)

    # On the writer's thread

    def _work(self) -> None:
        connection = self._database.writer()
        stopping = False
        while not stopping:
            batch: list[_Asked] = []
            item = self._inbox.get()
            while True:
                if item is None:
                    stopping = True
                elif isinstance(item, _Asked):
                    batch.append(item)
                else:
                    self._advance(connection, batch)
                    batch = []
                    item(connection)
                if len(batch) >= BATCH:
                    break
                try:
                    item = self._inbox.get_nowait()
                except queue.Empty:
                    break
            self._advance(connection, batch)
        connection.close()

    def _advance(self, connection: sqlite3.Connection, batch: list[_Asked]) -> None:
        if not batch:
            return
        try:
            with transaction(connection):
                results = [self._one(connection, asked) for asked in batch]
                self._write_progress(connection)
        except (sqlite3.Error, ShipwayError) as error:
            self._fail(connection, batch, error)
            return
        self._committed(results)
        for asked, result in zip(batch, results, strict=True):
            if asked.future is not None:
                asked.future.set_result(result)

    def _fail(
        self, connection: sqlite3.Connection, batch: list[_Asked], error: sqlite3.Error | ShipwayError
    ) -> None:
        """A batch that could not be committed is split, so that one input cannot fail others."""
        self._states.clear()
        if len(batch) > 1:
            for asked in batch:
                self._advance(connection, [asked])
            return
        problem = trouble(error, self._database.path) if isinstance(error, sqlite3.Error) else error
        if batch[0].future is not None:
            batch[0].future.set_exception(problem)
        else:
            self._retry_later(batch[0], problem)

    def _retry_later(self, asked: _Asked, problem: ShipwayError) -> None:
        """An outcome must not be lost because the disk is full for a while: keep trying."""
        if isinstance(problem, NotFoundError):
            return
        timer = threading.Timer(1.0, self._inbox.put, [asked])
        timer.daemon = True
        timer.start()

    def _one(self, connection: sqlite3.Connection, asked: _Asked) -> Committed:
        if isinstance(asked.given, Ready):
            return self._begin(connection, asked.given)
        try:
            state, trace = self._load(connection, asked.run)
        except CorruptRunError as error:
            self._quarantine(connection, asked.run, error)
            self._reply(connection, asked, refusal(error))
            return Committed(asked.run, None, ())
        decision = decide(state, asked.given, self._now())
        rows = self._write(connection, state, decision, trace, asked)
        self._reply(connection, asked, _answer(decision))
        self._remember(asked.run, decision.state, trace)
        return Committed(asked.run, decision, rows)

    def _begin(self, connection: sqlite3.Connection, ready: Ready) -> Committed:
        deliveries = int(self.handing_out)
        decision, rows = begin(
            connection, ready, self._now(), self._contracts, deliveries=deliveries
        )
        self._remember(ready.run, decision.state, ready.trace)
        return Committed(ready.run, decision, rows if self.handing_out else ())

    def _reply(self, connection: sqlite3.Connection, asked: _Asked, answer: bytes) -> None:
        if asked.command is not None:
            ledger.finish_command(connection, asked.command, answer, self._now())

    def _load(self, connection: sqlite3.Connection, run: str) -> tuple[RunState, str]:
        known = self._states.get(run)
        if known is not None:
            return known
        row = ledger.load_run(connection, run)
        if row is None:
            raise NotFoundError(f"there is no run {run}")
        if row.status == "quarantined":
            raise CorruptRunError("the run is quarantined")
        return state_of(row), row.trace

    def _remember(self, run: str, state: RunState, trace: str) -> None:
        self._states[run] = (state, trace)
        self._states.move_to_end(run)
        if state.status.is_final or len(self._states) > _CACHED_RUNS:
            self._states.pop(run if state.status.is_final else next(iter(self._states)))

    def _write(
        self,
        connection: sqlite3.Connection,
        before: RunState,
        decision: Decision,
        trace: str,
        asked: _Asked,
    ) -> tuple[OrderRow, ...]:
        write_events(connection, before.id, before.seq, self._now(), decision)
        for stage, attempt in decision.cancels:
            finished = isinstance(asked.given, e.Completed) and asked.given.stage == stage
            outcome = asked.outcome if finished else None
            ledger.close_order(connection, before.id, stage, attempt, outcome)
        rows = tuple(self._row(before.id, trace, order) for order in decision.orders)
        for row in rows:
            ledger.insert_order(connection, row)
        save_state(connection, decision.state)
        return rows if self.handing_out else ()

    def _row(self, run: str, trace: str, order: Order) -> OrderRow:
        deliveries = int(self.handing_out)
        return order_row(run, trace, order, deliveries=deliveries, contracts=self._contracts)

    def _quarantine(self, connection: sqlite3.Connection, run: str, error: CorruptRunError) -> None:
        now = self._now()
        row = ledger.load_run(connection, run)
        if row is not None and row.status == "quarantined":
            return
        ledger.quarantine_run(connection, run, now)
        seq = ledger.next_seq(connection, run)
        data = encode({"error": error.to_dict()})
        ledger.append_events(connection, [(run, seq, now, "RunQuarantined", data)])

    def _write_progress(self, connection: sqlite3.Connection) -> None:
        if self._progress:
            noted, self._progress = self._progress, {}
            ledger.note_progress(
                connection, [(run, stage, *rest) for (run, stage), rest in noted.items()]
            )

    def flush_progress(self) -> None:
        """Write what was noted, if anything was."""
        if self._progress:
            self.run(self._write_progress)


def refusal(error: ShipwayError) -> bytes:
    """The answer to a command that was not carried out."""
    return encode({"error": error.to_dict()})


def _answer(decision: Decision) -> bytes:
    ignored = [event for event in decision.events if isinstance(event, e.InputIgnored)]
    if ignored:
        return refusal(ConflictError(ignored[0].why))
    return encode({"ok": True})
