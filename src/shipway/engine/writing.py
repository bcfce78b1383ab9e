"""What decisions become in the store: rows of events, runs and orders, written a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shipway import __version__
from shipway.contracts.model import timestamp
from shipway.contracts.registry import Contract
from shipway.domain.pipeline import Pipeline
from shipway.domain.run import events as e
from shipway.domain.run.dead import is_dead
from shipway.domain.run.decide import Decision, Order
from shipway.domain.run.state import RunState
from shipway.engine.codec import decode, definition_of, encode, encode_event
from shipway.store import dead, ledger
from shipway.store.database import Connection
from shipway.store.dead import DeadLetterRow
from shipway.store.ledger import NewRun, OrderRow
from shipway.telemetry.trace import child

#: Wakes whoever does orders elsewhere, in the transaction that writes the orders.
Place = Callable[[Connection, Sequence[OrderRow]], None]


class Page:
    """The rows of one transaction; few large statements cost a fraction of many small ones."""

    def __init__(
        self,
        contracts: Mapping[str, Contract],
        now: float,
        *,
        handing_out: bool,
        place: Place | None = None,
        shared: bool = True,
    ) -> None:
        self.now = now
        self._shared = shared
        self._place = place
        self._contracts = contracts
        self._deliveries = int(handing_out)
        self._events: list[tuple[str, int, float, str, bytes]] = []
        self._orders: list[OrderRow] = []
        self._closed: list[tuple[str, str, str, int]] = []
        self._broken: list[tuple[bytes, str, str, int]] = []
        self._pipelines: dict[str, tuple[str, str, int, bytes]] = {}
        self._runs: list[NewRun] = []
        self._latest: dict[str, Decision] = {}
        self._turned: set[str] = set()
        self._submissions: list[tuple[bytes, str]] = []
        self._dead: list[DeadLetterRow] = []
        self._renewed: list[tuple[float, str, str, int]] = []
        self._revived: list[tuple[str, str, float, str, str]] = []

    def begin(self, run: str, trace: str, title: str, decision: Decision) -> tuple[OrderRow, ...]:
        """A new run with all that its submission came to."""
        state = decision.state
        pipeline = state.pipeline
        if pipeline.digest not in self._pipelines:
            known = pipeline.digest, pipeline.name, pipeline.version, definition_of(pipeline)
            self._pipelines[pipeline.digest] = known
        row = NewRun(
            id=run,
            status=state.status,
            pipeline=pipeline.digest,
            title=title,
            trace=trace,
            submission=encode(state.submission),
            state=encode(state.to_json()),
            due=decision.due,
            created_at=self.now,
            pipeline_name=pipeline.name,
            seq=state.seq,
        )
        self._runs.append(row)
        if state.ended_at is not None:
            self._latest[run] = decision
            self._turned.add(run)
        self._keep(run, 0, decision)
        return self._order(run, trace, decision)

    def add(
        self,
        before: RunState,
        decision: Decision,
        trace: str,
        finished: str | None,
        outcome: bytes | None,
    ) -> tuple[OrderRow, ...]:
        """What a decision changed; ``finished`` is the stage whose attempt has come to its end.

        ``outcome`` is what went wrong with it. An order that was done keeps its length, so that its
        page is changed in place; what it came to is in the events.
        """
        state = decision.state
        self._keep(before.id, before.seq, decision)
        for stage, attempt in decision.cancels:
            if stage != finished:
                self._closed.append(("cancelled", before.id, stage, attempt))
            elif outcome is None:
                self._closed.append(("done", before.id, stage, attempt))
            else:
                self._broken.append((outcome, before.id, stage, attempt))
        if self._shared or before.id in self._latest or not _is_plain(before, decision):
            self._latest[before.id] = decision
        if state.status is not before.status or state.ended_at != before.ended_at:
            self._turned.add(before.id)
        first = decision.events[0] if decision.events else None
        if type(first) is e.RunSentBack:
            self._revive(before.id, first, decision)
        elif type(first) is e.RunRepaired:
            self._turned.add(before.id)  # its row says that it is quarantined
        if state.submission is not before.submission:
            self._submissions.append((encode(state.submission), before.id))
        return self._order(before.id, trace, decision)

    def _keep(self, run: str, seq: int, decision: Decision) -> None:
        """The decision's events, after number ``seq``."""
        for event in decision.events:
            seq += 1
            self._events.append((run, seq, self.now, *encode_event(event)))
            if type(event) is e.StageServed:
                self._renewed.append((event.due, run, event.stage, event.attempt))
            if type(event) is e.AttemptFailed and is_dead(event):
                self._dead.append(self._letter(run, event, decision.state))

    def _letter(self, run: str, event: e.AttemptFailed, state: RunState) -> DeadLetterRow:
        return DeadLetterRow(
            run=run,
            stage=event.stage,
            attempt=event.attempt,
            capability=state.pipeline.stage(event.stage).capability,
            code=str(event.error.get("code", "")),
            message=str(event.error.get("message", "")),
            at=self.now,
            shipway=__version__,
        )

    def _revive(self, run: str, back: e.RunSentBack, decision: Decision) -> None:
        """Letters of stages that are done again are replayed by that."""
        for event in decision.events:
            if isinstance(event, e.StageReset | e.StageInvalidated):
                self._revived.append((back.by, back.reason, self.now, run, event.stage))

    def _order(self, run: str, trace: str, decision: Decision) -> tuple[OrderRow, ...]:
        """Keep a decision's orders; returns those that are to be handed out after the commit."""
        if not decision.orders:
            return ()
        pinned = decision.state.submission.get("contracts", {})
        rows = tuple([self._row(run, trace, order, pinned) for order in decision.orders])
        self._orders += rows
        return rows if self._deliveries else ()

    def write(self, connection: Connection) -> None:
        """Write everything; a repeated event or order is an IntegrityError."""
        if self._runs:
            ledger.insert_pipelines(connection, self._pipelines.values())
            ledger.insert_runs(connection, self._runs)
        with connection.together():
            if self._orders:
                ledger.insert_orders(connection, self._orders)
            if self._closed:
                ledger.close_orders(connection, self._closed)
            if self._broken:
                ledger.break_orders(connection, self._broken)
            ledger.append_events(connection, self._events)
            self._save(connection)
            if self._revived:
                dead.revive(connection, self._revived)
            if self._dead:
                dead.bury(connection, self._dead)
            if self._submissions:
                ledger.save_submissions(connection, self._submissions)
        for due, run, stage, attempt in self._renewed:
            self._renew(connection, due, run, stage, attempt)
        if self._place is not None and self._orders:
            self._place(connection, self._orders)

    def _save(self, connection: Connection) -> None:
        """Most steps leave the status, and all that is sorted by it, as it was."""
        steps: list[tuple[bytes, float | None, int, str]] = []
        turns: list[tuple[str, float | None, bytes, float | None, int, str]] = []
        for run, decision in self._latest.items():
            state = decision.state
            step = encode(state.to_json()), decision.due, state.seq, run
            if run in self._turned:
                turns.append((state.status, state.ended_at, *step))
            else:
                steps.append(step)
        if steps:
            ledger.save_steps(connection, steps)
        if turns:
            ledger.save_turns(connection, turns)

    def _renew(
        self, connection: Connection, due: float, run: str, stage: str, attempt: int
    ) -> None:
        """Time that an order waited for somebody who could do it is no time at work."""
        data = ledger.task(connection, run, stage, attempt)
        if data is not None:
            task = {**decode(data), "deadline": timestamp(due)}
            ledger.put_task(connection, run, stage, attempt, encode(task))

    def versions(self, pipeline: Pipeline) -> dict[str, int]:
        """The versions of contracts that a run which begins now keeps to its end."""
        capabilities = {stage.capability for stage in pipeline.stages}
        return {
            one: self._contracts[one].version
            for one in sorted(capabilities)
            if one in self._contracts
        }

    def _row(self, run: str, trace: str, order: Order, pinned: Mapping[str, int]) -> OrderRow:
        """The order with its task, as an agent will receive it."""
        version = pinned.get(order.capability)
        task: dict[str, Any] = {
            "capability": order.capability,
            "version": version or self._contracts[order.capability].version,
            "run": run,
            "stage": order.stage,
            "attempt": order.attempt,
            "token": order.token,
            "agent": order.agent,
            "key": f"{run}:{order.stage}:{order.generation}",
            "traceparent": child(trace),
            "deadline": timestamp(order.due),
            "request": order.request,
        }
        if order.priority:
            task["priority"] = order.priority
        if order.suspicions:
            task["suspicions"] = order.suspicions
        given = encode(task)
        return OrderRow(run, order.stage, order.attempt, order.token, self._deliveries, given)


#: What nearly every step consists of.
_PLAIN = frozenset({e.StageQueued, e.StageStarted, e.StagePassed})


def _is_plain(before: RunState, decision: Decision) -> bool:
    """Whether the row of the run may stay behind its events, which say all that there is to say.

    What others find runs by, such as its status, is as it was, and no timer is due earlier than
    the row has it.
    """
    state = decision.state
    if state.status is not before.status or not _PLAIN.issuperset(map(type, decision.events)):
        return False
    due, known = decision.due, before.due()
    return due is not None and known is not None and due >= known
