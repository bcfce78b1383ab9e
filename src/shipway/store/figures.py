"""How much there is and waits, for health and metrics: a few counts, each from an index."""

from __future__ import annotations

from dataclasses import dataclass

from shipway.store.database import Connection
from shipway.store.ledger import open_orders


@dataclass(frozen=True, slots=True)
class Waiting:
    """Runs that wait to begin, when the oldest of them was accepted, and orders that are open."""

    runs: int
    oldest: float | None
    orders: int


def waiting(connection: Connection) -> Waiting:
    row = connection.execute(
        "SELECT count(*), min(created_at) FROM runs WHERE status = 'queued'"
    ).fetchone()
    return Waiting(int(row[0]), row[1], open_orders(connection))


def runs_by_status(connection: Connection) -> dict[str, int]:
    rows = connection.execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall()
    return {status: int(count) for status, count in rows}
