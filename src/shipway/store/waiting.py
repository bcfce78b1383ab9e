"""Reads for admission: how many runs are at work and wait to begin, and how soon a place is free."""

from __future__ import annotations

from shipway.store.database import Connection

_RECENT = 10
#: The turn of those who let runs begin.
BEGINNING = 0x51_0004


def alone(connection: Connection) -> None:
    """Wait until nobody else decides which runs begin: what is counted then holds until the commit."""
    connection.take_turns(BEGINNING)


def counts(connection: Connection) -> tuple[int, int]:
    """Runs at work, and runs that wait to begin."""
    found = dict(
        connection.execute(
            "SELECT status, count(*) FROM runs WHERE status IN ('running', 'queued')"
            " GROUP BY status"
        ).fetchall()
    )
    return found.get("running", 0), found.get("queued", 0)


def submissions(connection: Connection, status: str) -> list[tuple[str, bytes]]:
    """Runs of a status with their submissions, the oldest first."""
    rows = connection.execute(
        "SELECT id, submission FROM runs WHERE status = ? ORDER BY number", (status,)
    )
    return [(row[0], row[1]) for row in rows]


def pace(connection: Connection, now: float) -> float | None:
    """Seconds in which one run ended lately, on average; None if none has."""
    ends = [
        row[0]
        for row in connection.execute(
            "SELECT ended_at FROM runs WHERE ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT ?",
            (_RECENT,),
        )
    ]
    return (now - ends[-1]) / len(ends) if ends else None
