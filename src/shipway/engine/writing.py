"""What a decision becomes in the store: event rows, the run's row, tasks for its orders."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from shipway.contracts.model import timestamp
from shipway.contracts.registry import CONTRACTS, Contract
from shipway.domain.run.decide import Decision, Order
from shipway.domain.run.state import RunState
from shipway.engine.codec import encode, encode_event
from shipway.store import ledger
from shipway.store.ledger import OrderRow
from shipway.telemetry.trace import child


def write_events(
    connection: sqlite3.Connection, run: str, seq: int, at: float, decision: Decision
) -> None:
    """Append a decision's events after number ``seq``."""
    ledger.append_events(
        connection,
        [
            (run, seq + index, at, *encode_event(event))
            for index, event in enumerate(decision.events, start=1)
        ],
    )


def save_state(connection: sqlite3.Connection, state: RunState) -> None:
    ledger.save_run(
        connection,
        state.id,
        status=state.status,
        state=encode(state.to_json()),
        due=state.due(),
        ended_at=state.ended_at,
    )


def order_row(
    run: str,
    trace: str,
    order: Order,
    *,
    deliveries: int,
    contracts: Mapping[str, Contract] = CONTRACTS,
) -> OrderRow:
    """The order with its task, as an agent will receive it."""
    contract = contracts[order.capability]
    key = f"{run}:{order.stage}:{order.attempt}"
    task = encode(
        {
            "capability": order.capability,
            "version": contract.version,
            "run": run,
            "stage": order.stage,
            "attempt": order.attempt,
            "token": order.token,
            "agent": order.agent,
            "key": key,
            "traceparent": child(trace),
            "deadline": timestamp(order.due),
            "request": order.request,
        }
    )
    return OrderRow(run, order.stage, order.attempt, order.token, deliveries, task)
