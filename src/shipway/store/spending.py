"""What runs spend on models: reserved before it is spent, so that no crash makes a cap forget."""

from __future__ import annotations

from shipway.store.database import Connection

# One row a request; amounts are millionths of a dollar. Until it is settled a request counts with
# all that was reserved for it.
_LEFT = "SELECT coalesce(sum(coalesce(cost, reserved)), 0) FROM spending WHERE run = ?"


def used(connection: Connection, run: str) -> int:
    """What the run has spent or reserved."""
    amount: int = connection.execute(_LEFT, (run,)).fetchone()[0]
    return amount


def reserve(
    connection: Connection, ticket: str, run: str, stage: str, model: str, most: int, at: float
) -> None:
    connection.execute(
        "INSERT INTO spending (ticket, run, stage, model, at, reserved) VALUES (?, ?, ?, ?, ?, ?)",
        (ticket, run, stage, model, at, most),
    )


def settle(connection: Connection, ticket: str, cost: int, read: int, written: int) -> None:
    """What a request did cost; a second word about it changes nothing."""
    connection.execute(
        "UPDATE spending SET cost = ?, tokens_in = ?, tokens_out = ? WHERE ticket = ? AND cost IS NULL",
        (cost, read, written, ticket),
    )
