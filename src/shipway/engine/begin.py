"""Writes a new run: its pinned pipeline, its first state, events and orders, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from shipway.contracts.registry import Contract
from shipway.domain.run import submit
from shipway.domain.run.decide import Decision
from shipway.engine.codec import encode
from shipway.engine.intake import Ready
from shipway.engine.pipelines.codec import to_json
from shipway.engine.writing import order_row, write_events
from shipway.store import ledger
from shipway.store.ledger import OrderRow, RunRow


def begin(
    connection: sqlite3.Connection,
    ready: Ready,
    now: float,
    contracts: Mapping[str, Contract],
    *,
    deliveries: int,
) -> tuple[Decision, tuple[OrderRow, ...]]:
    """Insert the run; ``deliveries`` is 1 when its orders are handed out right after the commit."""
    pipeline = ready.pipeline
    decision = submit(ready.run, pipeline, ready.values, now)
    definition = encode(to_json(pipeline))
    ledger.insert_pipeline(
        connection, pipeline.digest, pipeline.name, pipeline.version, definition
    )
    state = decision.state
    row = RunRow(
        id=ready.run,
        number=0,
        status=state.status,
        pipeline=pipeline.digest,
        definition=definition,
        title=ready.title,
        trace=ready.trace,
        submission=encode(ready.values),
        state=encode(state.to_json()),
        created_at=now,
        ended_at=state.ended_at,
    )
    ledger.insert_run(connection, row, state.due())
    write_events(connection, ready.run, 0, now, decision)
    rows = tuple(
        order_row(ready.run, ready.trace, order, deliveries=deliveries, contracts=contracts)
        for order in decision.orders
    )
    for order in rows:
        ledger.insert_order(connection, order)
    return decision, rows
