"""The single writer: takes inputs of many runs and commits each batch in one transaction."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import structlog

from shipway.contracts.registry import CONTRACTS, Contract
from shipway.domain.limits import Limits
from shipway.domain.run import decide
from shipway.domain.run import events as e
from shipway.domain.run.decide import Decision
from shipway.domain.run.state import RunState
from shipway.domain.states import RunStatus
from shipway.engine.admission import Admission, Door
from shipway.engine.begin import begin
from shipway.engine.codec import encode
from shipway.engine.intake import Ready
from shipway.engine.pinned import pinned
from shipway.engine.quarantine import put_aside, rebuilt, trusted
from shipway.engine.writing import Page, Place
from shipway.errors import ConflictError, CorruptRunError, NotFoundError, ShipwayError
from shipway.store import ledger
from shipway.store.database import Connection, Database, StoreFault, came_through, transaction
from shipway.store.ledger import OrderRow
from shipway.telemetry.failures import told

#: Inputs taken into one transaction at most; more wait for the next, which follows at once.
BATCH = 256
_CACHED_RUNS = 1024
_TRY_AGAIN_AFTER = 1.0
_TRY_AGAIN_SOON = 0.05
_MOVING = (RunStatus.RUNNING, RunStatus.QUEUED)


#: Takes an input for this transaction alone; False when another one has it or had it.
Once = Callable[[Connection], bool]


class Committed(NamedTuple):
    """What one input came to, after it is durable. ``decision`` is None for a quarantined run.

    ``taken`` is False when somebody else had taken the input already: nothing came of it here.
    """

    run: str
    decision: Decision | None
    orders: tuple[OrderRow, ...]
    taken: bool = True


@dataclass(slots=True)
class _Asked:
    run: str
    given: e.Input | Ready | CorruptRunError
    outcome: bytes | None = None
    future: Future[Committed] | None = None
    command: str | None = None
    once: Once | None = None


class Writer:
    """Owns the writing connection, on one event loop; every method may be called from any thread.

    It commits on the loop itself: a commit takes a fraction of a millisecond, and a thread of its
    own would fight with the loop for the interpreter at each statement. ``committed`` is called
    after a commit.
    """

    def __init__(
        self,
        database: Database,
        now: Callable[[], float],
        committed: Callable[[list[Committed]], None],
        contracts: Mapping[str, Contract] = CONTRACTS,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        place: Place | None = None,
    ) -> None:
        self._place = place
        self._contracts = contracts
        self._admission = Admission(limits)
        self._database = database
        self._now = now
        self._committed = committed
        self._log = structlog.get_logger("writer")
        self._inbox: deque[_Asked] = deque()
        self._states: OrderedDict[str, tuple[RunState, str]] = OrderedDict()
        self._progress: dict[tuple[str, str], tuple[int, str]] = {}
        self._loop: asyncio.AbstractEventLoop
        self._connection: Connection
        self._thread = 0
        self._flushing = False
        #: What was being committed when the database was lost, until it says what became of it.
        self._doubt: tuple[list[_Asked], list[Committed]] | None = None
        self._lost: ShipwayError | None = None
        #: What the runs that begin in the transaction at hand pass through.
        self._door: Door | None = None
        #: False while the engine stops: orders are then left in the database for the next one.
        self.handing_out = True

    def open(self) -> None:
        """Begin to write, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._connection = self._database.writer()

    def close(self) -> None:
        """Write what is left, then close the connection; on the loop.

        What a lost database cannot take any more is done again by whoever comes next.
        """
        while self._inbox and self._lost is None:
            self._flush()
        if self._lost is not None:
            for asked in self._inbox:
                if asked.future is not None:
                    asked.future.set_exception(self._lost)
        self._connection.close()

    def tell(self, run: str, given: e.Input, outcome: bytes | None = None) -> None:
        """Advance a run; what comes of it reaches ``committed`` only."""
        self._put(_Asked(run, given, outcome))

    def ask(
        self,
        run: str,
        given: e.Input,
        command: str | None = None,
        *,
        outcome: bytes | None = None,
        once: Once | None = None,
    ) -> Future[Committed]:
        """Advance a run and learn what came of it; the same commit answers ``command``.

        Where several engines hear of the same input, ``once`` takes it in that commit.
        """
        future: Future[Committed] = Future()
        self._put(_Asked(run, given, outcome, future, command, once))
        return future

    def distrust(self, run: str, error: CorruptRunError) -> None:
        """Put a run aside: something that is stored of it cannot be read."""
        self._put(_Asked(run, error))

    def submit(self, ready: Ready) -> Future[Committed]:
        """Write a new run; its first orders are handed out after the commit."""
        future: Future[Committed] = Future()
        self._put(_Asked(ready.run, ready, None, future))
        return future

    def admit(self) -> bool:
        """Let runs begin that wait for it, as there is room; whether others have to wait; on the loop."""
        runs, others = self.run(self._admission.next)
        for run in runs:
            self._put(_Asked(run, e.Admit(), once=partial(self._may_begin, run)))
        return bool(others)

    def _may_begin(self, run: str, connection: Connection) -> bool:
        """Other engines look for room as well: it is looked at again in the commit that uses it."""
        return self._admission.may(connection, run)

    def run(self, work: Callable[[Connection], Any]) -> Any:
        """Do other work on the writing connection, on the loop, in a transaction of its own."""
        value = None
        try:
            with transaction(self._connection):
                value = work(self._connection)
        except StoreFault as fault:
            if not (fault.in_doubt and came_through(self._connection)):
                raise fault.problem from fault
        return value

    def note(self, run: str, stage: str, attempt: int, doing: str) -> None:
        """Keep what an agent says it does; written with the next commit or ``flush_progress``."""
        self._progress[run, stage] = (attempt, doing)

    def flush_progress(self) -> None:
        """Write what was noted, if anything was; on the loop."""
        if self._progress:
            self.run(self._write_progress)

    def _put(self, asked: _Asked) -> None:
        self._inbox.append(asked)
        if not self._flushing:
            self._flush_soon()

    def _flush_soon(self) -> None:
        """Gather what arrives in this turn of the loop into one commit.

        A flush that is coming takes what other threads put in before it; they need not ring again.
        """
        if self._flushing:
            return
        self._flushing = True
        try:
            if threading.get_ident() == self._thread:
                self._loop.call_soon(self._flush)
            else:
                self._loop.call_soon_threadsafe(self._flush)
        except RuntimeError:  # the loop is closed: the next one is to be told, too
            self._flushing = False
            raise

    def expect(self) -> None:
        """A ``flush`` is sure to come in this turn of the loop: nobody need ring for it; on the loop."""
        self._flushing = True

    def flush(self) -> None:
        """Commit what has arrived without waiting for the next turn of the loop; on the loop."""
        if self._lost is None:
            self._flush()

    def _flush(self) -> None:
        self._flushing = False  # before the inbox is read: who comes later rings again
        if self._doubt is not None and not self._settle_doubt(*self._doubt):
            return
        batch = [self._inbox.popleft() for _ in range(min(len(self._inbox), BATCH))]
        if self._inbox:
            self._flush_soon()
        self._advance(batch)

    def _advance(self, batch: list[_Asked]) -> None:
        if not batch:
            return
        results: list[Committed] = []
        try:
            with transaction(self._connection):
                if self._connection.shared:
                    self._hold(batch)
                self._lost = self._door = None
                page = self._page()
                results = [self._one(asked, page) for asked in batch]
                page.write(self._connection)
                if self._progress:
                    self._write_progress(self._connection)
        except StoreFault as fault:
            self._states.clear()
            if fault.lost:
                self._keep(batch, results, fault)
            else:
                self._fail(batch, fault.problem, again=fault.again)
        except ShipwayError as error:
            self._states.clear()
            self._fail(batch, error)
        else:
            self._done(batch, results)

    def _page(self) -> Page:
        return Page(
            self._contracts,
            self._now(),
            handing_out=self.handing_out,
            place=self._place,
            shared=self._connection.shared,
        )

    def _hold(self, batch: list[_Asked]) -> None:
        """Hold the runs until the commit, and forget the states that others have changed."""
        runs = {asked.run for asked in batch if not isinstance(asked.given, Ready)}
        stored = self._connection.lock_runs(runs) if runs else None
        for run, seq in (stored or {}).items():
            known = self._states.get(run)
            if known is not None and known[0].seq != seq:
                del self._states[run]

    def _done(self, batch: list[_Asked], results: list[Committed]) -> None:
        self._committed(results)
        for asked, result in zip(batch, results, strict=True):
            if asked.future is not None:
                asked.future.set_result(result)

    def _keep(self, batch: list[_Asked], results: list[Committed], fault: StoreFault) -> None:
        """Nothing can be written until the database is back; nothing is lost either."""
        self._lost = fault.problem
        if fault.in_doubt:
            self._doubt = batch, results
        else:
            self._inbox.extendleft(reversed(batch))
        self._flush_later()

    def _flush_later(self) -> None:
        self._flushing = True
        self._loop.call_later(_TRY_AGAIN_AFTER, self._flush)

    def _settle_doubt(self, batch: list[_Asked], results: list[Committed]) -> bool:
        """Whether it is known now what became of the commit in which the database was lost."""
        try:
            came_through = self._connection.was_committed()
        except StoreFault:
            self._flush_later()
            return False
        self._doubt = None
        if came_through:
            self._done(batch, results)
        else:
            self._inbox.extendleft(reversed(batch))
        return True

    def _fail(self, batch: list[_Asked], problem: ShipwayError, *, again: bool = False) -> None:
        """A batch that could not be committed is split, so that one input cannot fail others."""
        if len(batch) > 1:
            for number, asked in enumerate(batch, start=1):
                self._advance([asked])
                if self._lost is not None:
                    self._inbox.extend(batch[number:])
                    break
            return
        if again:  # others were in the way
            self._loop.call_later(_TRY_AGAIN_SOON, self._put, batch[0])
        elif batch[0].future is not None:
            batch[0].future.set_exception(problem)
        elif not isinstance(problem, NotFoundError):
            # An outcome must not be lost because the disk is full for a while: keep trying.
            self._loop.call_later(_TRY_AGAIN_AFTER, self._put, batch[0])

    def _one(self, asked: _Asked, page: Page) -> Committed:
        given = asked.given
        if isinstance(given, Ready):
            return self._begin(given, page)
        if isinstance(given, CorruptRunError):
            return self._distrusted(asked, given, page.now)
        if asked.once is not None and not asked.once(self._connection):
            return Committed(asked.run, None, (), taken=False)
        try:
            state, trace = self._load(asked.run, given)
        except CorruptRunError as error:
            return self._distrusted(asked, error, page.now)
        try:
            if type(given) is e.Completed:
                given = pinned(self._connection, self._contracts, state, given)
            decision = decide(state, given, page.now)
        except (ConflictError, StoreFault):
            raise
        except CorruptRunError as error:
            return self._distrusted(asked, error, page.now)
        except Exception as error:  # noqa: BLE001 - what one state makes impossible must not fail others
            unsound = CorruptRunError(
                f"the run cannot go on from its state: {type(error).__name__}"
            )
            self._log.exception("run.unsound", run=asked.run)
            return self._distrusted(asked, unsound, page.now)
        finished = given.stage if isinstance(given, e.Completed) else None
        orders = page.add(state, decision, trace, finished, asked.outcome)
        if asked.command is not None:
            self._reply(asked, _answer(decision))
        self._remember(asked.run, decision.state, trace)
        return Committed(asked.run, decision, orders)

    def _begin(self, ready: Ready, page: Page) -> Committed:
        if self._door is None:
            self._door = self._admission.door(self._connection)
        decision, orders = begin(ready, page, self._door)
        self._remember(ready.run, decision.state, ready.trace)
        return Committed(ready.run, decision, orders)

    def _reply(self, asked: _Asked, answer: bytes) -> None:
        if asked.command is not None:
            ledger.finish_command(self._connection, asked.command, answer, self._now())

    def _load(self, run: str, given: e.Input) -> tuple[RunState, str]:
        if isinstance(given, e.Repaired):
            return rebuilt(self._connection, run)
        known = self._states.get(run)
        return trusted(self._connection, run) if known is None else known

    def _distrusted(self, asked: _Asked, error: CorruptRunError, now: float) -> Committed:
        put_aside(self._connection, asked.run, error, now)
        self._states.pop(asked.run, None)
        self._reply(asked, refusal(error))
        return Committed(asked.run, None, ())

    def _remember(self, run: str, state: RunState, trace: str) -> None:
        if state.status not in _MOVING:  # one that rests for days is read again when it goes on
            self._states.pop(run, None)
            return
        self._states[run] = (state, trace)
        self._states.move_to_end(run)
        if len(self._states) > _CACHED_RUNS:
            self._states.popitem(last=False)

    def _write_progress(self, connection: Connection) -> None:
        noted, self._progress = self._progress, {}
        ledger.note_progress(
            connection, [(run, stage, *rest) for (run, stage), rest in noted.items()]
        )


def refusal(error: ShipwayError) -> bytes:
    """The answer to a command that was not carried out."""
    return encode({"error": told(error)})


def _answer(decision: Decision) -> bytes:
    ignored = [event for event in decision.events if isinstance(event, e.InputIgnored)]
    if ignored:
        return refusal(ConflictError(ignored[0].why))
    return encode({"ok": True})
