"""Reads for the faces: runs by reference, lists of runs, their events and progress."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from shipway.errors import NotFoundError, UsageError
from shipway.store.ledger import RunRow, load_run


@dataclass(frozen=True, slots=True)
class EventRow:
    seq: int
    at: float
    type: str
    data: bytes


def resolve(connection: sqlite3.Connection, ref: str) -> str:
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
        raise UsageError("several runs begin like that", hint="give more characters of the id")
    raise _unknown(connection, ref)


def _unknown(connection: sqlite3.Connection, ref: str) -> NotFoundError:
    row = connection.execute("SELECT max(number) FROM runs").fetchone()
    newest = f"; the newest is {row[0]}" if row[0] else ""
    return NotFoundError(
        f"no run {ref[:40]!r}{newest}", hint='list the runs with "shipway run list"'
    )


def get(connection: sqlite3.Connection, run: str) -> RunRow:
    """Raises NotFoundError."""
    row = load_run(connection, run)
    if row is None:
        raise _unknown(connection, run)
    return row


def newest(
    connection: sqlite3.Connection,
    *,
    limit: int,
    before: int | None = None,
    status: str | None = None,
) -> list[RunRow]:
    """A page of runs, newest first; ``before`` is the number that the last page ended with."""
    rows = connection.execute(
        "SELECT r.id, r.number, r.status, r.pipeline, p.definition, r.title, r.trace,"
        " r.submission, r.state, r.created_at, r.ended_at"
        " FROM runs r JOIN pipelines p ON p.digest = r.pipeline"
        " WHERE (? IS NULL OR r.number < ?) AND (? IS NULL OR r.status = ?)"
        " ORDER BY r.number DESC LIMIT ?",
        (before, before, status, status, limit),
    )
    return [RunRow(*row) for row in rows]


def events(connection: sqlite3.Connection, run: str, after: int = 0) -> list[EventRow]:
    rows = connection.execute(
        "SELECT seq, at, type, data FROM events WHERE run = ? AND seq > ? ORDER BY seq",
        (run, after),
    )
    return [EventRow(*row) for row in rows]


def progress(connection: sqlite3.Connection, run: str) -> dict[str, tuple[int, str]]:
    """Stage to (attempt, what its agent said last)."""
    rows = connection.execute(
        "SELECT stage, attempt, doing FROM progress WHERE run = ?", (run,)
    ).fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}


def interrupted(connection: sqlite3.Connection) -> int:
    """How many runs could go on by themselves."""
    count: int = connection.execute(
        "SELECT count(*) FROM runs WHERE status IN ('queued', 'running')"
    ).fetchone()[0]
    return count


def data_version(connection: sqlite3.Connection) -> int:
    """Changes whenever another connection has committed."""
    version: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return version
