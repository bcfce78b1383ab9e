"""Runs for tests of the store, written as the engine would."""

from __future__ import annotations

import itertools

from shipway.store import ledger
from shipway.store.database import Connection
from shipway.store.ledger import NewRun, RunRow

_count = itertools.count()


def run_row(**given: object) -> RunRow:
    """A run as the engine would write it; any field can be given."""
    values = {
        "id": f"0run{next(_count):08}",
        "number": 0,
        "status": "running",
        "pipeline": "digest-of-service",
        "definition": b"{}",
        "title": "shop",
        "trace": "00-trace",
        "submission": b"{}",
        "state": b"{}",
        "created_at": 1_000_000.0,
        "ended_at": None,
    }
    return RunRow(**{**values, **given})  # type: ignore[arg-type]


def insert(connection: Connection, row: RunRow, name: str = "service") -> int:
    """Write a run with its pipeline; returns its number."""
    ledger.insert_pipelines(connection, [(row.pipeline, name, 1, b"{}")])
    new = NewRun(
        row.id,
        row.status,
        row.pipeline,
        row.title,
        row.trace,
        row.submission,
        row.state,
        None,
        row.created_at,
        name,
        0,
    )
    [number] = ledger.insert_runs(connection, [new])
    if row.ended_at is not None:
        ledger.save_turns(connection, [(row.status, row.ended_at, row.state, None, 0, row.id)])
    return number
