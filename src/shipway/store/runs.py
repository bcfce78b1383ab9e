"""Reads for the faces: runs by reference, their events and progress, and the feed of all events.

Every event of every run has a position. To follow them all: take ``position_now`` (or 0 for the
beginning), then again and again ``feed(connection, after)`` with the position of the last event
that came, whenever somebody rings or a moment has passed. Nothing is skipped and nothing comes
twice, also while many engines commit at once: an event is given out only once no transaction that
is still open can bring one with a lower position. Positions grow, with gaps; within a run they
follow ``seq``. They stay the same for as long as the events are kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from shipway.errors import ConflictError, NotFoundError
from shipway.store.database import Connection
from shipway.store.ledger import RunRow, load_run


@dataclass(frozen=True, slots=True)
class EventRow:
    seq: int
    at: float
    type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class PlacedEvent:
    """An event with its place among those of all runs."""

    position: int
    run: str
    seq: int
    at: float
    type: str
    data: bytes


_ALL = 2**62


def resolve(connection: Connection, ref: str) -> str:
    """The id for a number, a unique prefix of an id, or ``@last``; raises NotFoundError."""
    if ref in {"@last", "last", "latest"}:
        row = connection.execute("SELECT id FROM runs ORDER BY number DESC LIMIT 1").fetchone()
        if row is None:
            raise NotFoundError("there is no run yet", hint='start one: "shipway run --help"')
        return str(row[0])
    if ref.isdigit() and len(ref) <= 9:
        row = connection.execute("SELECT id FROM runs WHERE number = ?", (int(ref),)).fetchone()
        if row is not None:
            return str(row[0])
    rows = connection.execute(
        "SELECT id FROM runs WHERE id >= ? AND id < ? LIMIT 2", (ref, ref + "\x7f")
    ).fetchall()
    if len(rows) == 1 and ref:
        return str(rows[0][0])
    if rows and ref:
        raise ConflictError("several runs begin like that", hint="give more characters of the id")
    raise _unknown(connection, ref)


def _unknown(connection: Connection, ref: str) -> NotFoundError:
    row = connection.execute("SELECT max(number) FROM runs").fetchone()
    newest = f"; the newest is {row[0]}" if row[0] else ""
    return NotFoundError(
        f"no run {ref[:40]!r}{newest}", hint='list the runs with "shipway run list"'
    )


def get(connection: Connection, run: str) -> RunRow:
    """Raises NotFoundError."""
    row = load_run(connection, run)
    if row is None:
        raise _unknown(connection, run)
    return row


def events(
    connection: Connection, run: str, after: int = 0, limit: int | None = None
) -> list[EventRow]:
    """The events of a run after number ``after``."""
    rows = connection.execute(
        "SELECT seq, at, type, data FROM events WHERE run = ? AND seq > ? ORDER BY seq LIMIT ?",
        (run, after, _ALL if limit is None else limit),
    )
    return [EventRow(*row) for row in rows]


def feed(connection: Connection, after: int, limit: int = 500) -> list[PlacedEvent]:
    """The next events of all runs after position ``after``; see the head of this module."""
    horizon = connection.horizon()
    rows = connection.execute(
        "SELECT position, run, seq, at, type, data FROM events"
        " WHERE position > ? AND position <= ? ORDER BY position LIMIT ?",
        (after, _ALL if horizon is None else horizon, limit),
    )
    return [PlacedEvent(*row) for row in rows]


def position_now(connection: Connection) -> int:
    """Where somebody begins who only wants what comes from now on."""
    horizon = connection.horizon()
    if horizon is not None:
        return horizon
    position: int = connection.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()[
        0
    ]
    return position


def progress(connection: Connection, run: str) -> dict[str, tuple[int, str]]:
    """Stage to (attempt, what its agent said last)."""
    rows = connection.execute(
        "SELECT stage, attempt, doing FROM progress WHERE run = ?", (run,)
    ).fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}


def interrupted(connection: Connection) -> int:
    """How many runs could go on by themselves."""
    count: int = connection.execute(
        "SELECT count(*) FROM runs WHERE status IN ('queued', 'running')"
    ).fetchone()[0]
    return count


def change_mark(connection: Connection) -> object:
    """Differs from the last one of this thread whenever another connection has committed."""
    return connection.change_mark()
