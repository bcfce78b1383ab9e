"""Writes and reads of the hot path: a run, its events and its orders, in plain SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shipway.store.bell import EVENTS
from shipway.store.database import Connection


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as stored; the byte fields are JSON. ``definition`` None: its pipeline is gone."""

    id: str
    number: int
    status: str
    pipeline: str
    definition: bytes | None
    title: str
    trace: str
    submission: bytes
    state: bytes
    created_at: float
    ended_at: float | None


class OrderRow(NamedTuple):
    run: str
    stage: str
    attempt: int
    token: int
    deliveries: int
    task: bytes


@dataclass(frozen=True, slots=True)
class CommandRow:
    id: str
    kind: str
    run: str | None
    data: bytes


RUN = """
SELECT r.id, r.number, r.status, r.pipeline, p.definition, r.title, r.trace, r.submission,
       r.state, r.created_at, r.ended_at
FROM runs r LEFT JOIN pipelines p ON p.digest = r.pipeline
"""


def load_run(connection: Connection, run: str) -> RunRow | None:
    row = connection.execute(RUN + "WHERE r.id = ?", (run,)).fetchone()
    return RunRow(*row) if row else None


def insert_pipelines(connection: Connection, rows: Iterable[tuple[str, str, int, bytes]]) -> None:
    """Rows are (digest, name, version, definition); one that is there stays as it is."""
    connection.executemany(
        "INSERT INTO pipelines (digest, name, version, definition) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (digest) DO NOTHING",
        rows,
    )


def mend_pipeline(
    connection: Connection, digest: str, name: str, version: int, definition: bytes
) -> None:
    """Put a pipeline back whose definition was lost or is no longer readable."""
    connection.execute(
        "INSERT INTO pipelines (digest, name, version, definition) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (digest) DO UPDATE SET definition = excluded.definition",
        (digest, name, version, definition),
    )


class NewRun(NamedTuple):
    """A run that is to be written for the first time; its number is given then."""

    id: str
    status: str
    pipeline: str
    title: str
    trace: str
    submission: bytes
    state: bytes
    due: float | None
    created_at: float
    pipeline_name: str
    seq: int


def insert_runs(connection: Connection, rows: Sequence[NewRun]) -> list[int]:
    """Insert runs and give them the next numbers, which are returned."""
    numbers = connection.next_run_numbers(len(rows))
    connection.executemany(
        "INSERT INTO runs (number, id, status, pipeline, title, trace, submission, state, due,"
        " created_at, pipeline_name, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(number, *row) for number, row in zip(numbers, rows, strict=True)],
    )
    return numbers


def save_steps(
    connection: Connection, rows: Sequence[tuple[bytes, float | None, int, str]]
) -> None:
    """Rows are (state, due, seq, run), of runs whose status stays: no index has to be touched."""
    connection.executemany("UPDATE runs SET state = ?, due = ?, seq = ? WHERE id = ?", rows)


def save_turns(
    connection: Connection,
    rows: Sequence[tuple[str, float | None, bytes, float | None, int, str]],
) -> None:
    """Rows are (status, ended_at, state, due, seq, run)."""
    connection.executemany(
        "UPDATE runs SET status = ?, ended_at = ?, state = ?, due = ?, seq = ? WHERE id = ?", rows
    )


def save_submissions(connection: Connection, rows: Iterable[tuple[bytes, str]]) -> None:
    """Rows are (submission, run)."""
    connection.executemany("UPDATE runs SET submission = ? WHERE id = ?", rows)


def quarantine_run(connection: Connection, run: str, at: float, seq: int) -> None:
    """Take a run out of play without touching the state that could not be read."""
    connection.execute(
        "UPDATE runs SET status = 'quarantined', due = NULL, ended_at = ?, seq = ? WHERE id = ?",
        (at, seq, run),
    )
    connection.execute(
        "UPDATE orders SET status = 'cancelled' WHERE run = ? AND status = 'open'", (run,)
    )


def discard_run(connection: Connection, run: str, at: float, seq: int) -> None:
    """End a run that is quarantined, without a look at its state."""
    connection.execute(
        "UPDATE runs SET status = 'cancelled', ended_at = ?, seq = ? WHERE id = ?", (at, seq, run)
    )


def append_events(
    connection: Connection, rows: Iterable[tuple[str, int, float, str, bytes]]
) -> None:
    """Rows are (run, seq, at, type, data); a repeated (run, seq) is an IntegrityError."""
    connection.executemany(
        "INSERT INTO events (run, seq, at, type, data) VALUES (?, ?, ?, ?, ?)", rows
    )
    connection.rung.add(EVENTS)


def next_seq(connection: Connection, run: str) -> int:
    row = connection.execute("SELECT max(seq) FROM events WHERE run = ?", (run,)).fetchone()
    return (row[0] or 0) + 1


def insert_orders(connection: Connection, orders: Iterable[OrderRow]) -> None:
    """A second order for an attempt is an IntegrityError."""
    connection.executemany(
        "INSERT INTO orders (run, stage, attempt, token, status, deliveries, task)"
        " VALUES (?, ?, ?, ?, 'open', ?, ?)",
        [
            (order.run, order.stage, order.attempt, order.token, order.deliveries, order.task)
            for order in orders
        ],
    )


def close_orders(connection: Connection, rows: Sequence[tuple[str, str, str, int]]) -> None:
    """Rows are (status, run, stage, attempt); an order that is closed stays as it is."""
    connection.executemany(
        "UPDATE orders SET status = ? WHERE run = ? AND stage = ? AND attempt = ?"
        " AND status = 'open'",
        rows,
    )


def break_orders(connection: Connection, rows: Sequence[tuple[bytes, str, str, int]]) -> None:
    """As ``close_orders``, of those that were done and failed; rows are (outcome, run, stage, attempt)."""
    connection.executemany(
        "UPDATE orders SET status = 'done', outcome = ?"
        " WHERE run = ? AND stage = ? AND attempt = ? AND status = 'open'",
        rows,
    )


def put_task(connection: Connection, run: str, stage: str, attempt: int, task: bytes) -> None:
    """Another task for an order that is open."""
    connection.execute(
        "UPDATE orders SET task = ? WHERE run = ? AND stage = ? AND attempt = ? AND status = 'open'",
        (task, run, stage, attempt),
    )


#: Found by way of their runs, of which few are active.
OPEN = (
    "status = 'open' AND run IN"
    " (SELECT id FROM runs WHERE status IN ('queued', 'running', 'waiting', 'paused'))"
)


def deliver(connection: Connection) -> list[OrderRow]:
    """Count the delivery of every order that was never handed out, and return those orders."""
    rows = connection.execute(
        "UPDATE orders SET deliveries = 1 WHERE status = 'open' AND deliveries = 0"
        " RETURNING run, stage, attempt, token, deliveries, task"
    ).fetchall()
    return [OrderRow(*row) for row in rows]


def handed_out(connection: Connection) -> list[OrderRow]:
    """Orders that were handed out and have no outcome."""
    rows = connection.execute(
        "SELECT run, stage, attempt, token, deliveries, task FROM orders"  # noqa: S608 - our words
        f" WHERE {OPEN} AND deliveries > 0 ORDER BY run, stage"
    ).fetchall()
    return [OrderRow(*row) for row in rows]


def task(connection: Connection, run: str, stage: str, attempt: int) -> bytes | None:
    """What an order asks for."""
    row = connection.execute(
        "SELECT task FROM orders WHERE run = ? AND stage = ? AND attempt = ?", (run, stage, attempt)
    ).fetchone()
    return row[0] if row else None


def open_orders(connection: Connection) -> int:
    sql = f"SELECT count(*) FROM orders WHERE {OPEN}"  # noqa: S608 - our words
    count: int = connection.execute(sql).fetchone()[0]
    return count


ACTIVE = ("queued", "running", "waiting", "paused")


def newest(connection: Connection) -> float | None:
    """When the last event was written, on the clock of who wrote it."""
    row = connection.execute("SELECT at FROM events ORDER BY position DESC LIMIT 1").fetchone()
    return None if row is None else float(row[0])


def timers(connection: Connection, until: float) -> tuple[list[tuple[str, float]], float | None]:
    """When the next timer of each run fires, of those that do until then; and the first one after."""
    near = connection.execute(
        "SELECT id, due FROM runs WHERE due <= ?"
        " AND status IN ('queued', 'running', 'waiting', 'paused')",
        (until,),
    )
    found = [(row[0], row[1]) for row in near]
    after = connection.execute(
        "SELECT min(due) FROM runs WHERE due > ?"
        " AND status IN ('queued', 'running', 'waiting', 'paused')",
        (until,),
    )
    return found, after.fetchone()[0]


def moving(connection: Connection) -> list[str]:
    """Runs that an engine has something to do for now or soon."""
    rows = connection.execute("SELECT id FROM runs WHERE status IN ('queued', 'running')")
    return [row[0] for row in rows]


def insert_command(connection: Connection, command: CommandRow, at: float) -> None:
    connection.execute(
        "INSERT INTO commands (id, at, kind, run, data) VALUES (?, ?, ?, ?, ?)",
        (command.id, at, command.kind, command.run, command.data),
    )


def insert_command_once(
    connection: Connection, command: CommandRow, at: float, forgotten: float
) -> None:
    """A command that is there already is not given twice, unless it was done before ``forgotten``."""
    connection.execute("DELETE FROM commands WHERE id = ? AND done_at < ?", (command.id, forgotten))
    connection.execute(
        "INSERT INTO commands (id, at, kind, run, data) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO NOTHING",
        (command.id, at, command.kind, command.run, command.data),
    )


def open_commands(connection: Connection) -> list[CommandRow]:
    rows = connection.execute(
        "SELECT id, kind, run, data FROM commands WHERE done_at IS NULL ORDER BY at, id"
    ).fetchall()
    return [CommandRow(*row) for row in rows]


def is_open_command(connection: Connection, command: str) -> bool:
    """Whether nobody has answered it yet; with its run locked, nobody else can meanwhile."""
    row = connection.execute(
        "SELECT 1 FROM commands WHERE id = ? AND done_at IS NULL", (command,)
    ).fetchone()
    return row is not None


def finish_command(connection: Connection, command: str, answer: bytes, at: float) -> None:
    connection.execute(
        "UPDATE commands SET done_at = ?, answer = ? WHERE id = ?", (at, answer, command)
    )


def command_answer(connection: Connection, command: str) -> bytes | None:
    row = connection.execute("SELECT answer FROM commands WHERE id = ?", (command,)).fetchone()
    return row[0] if row else None


def note_progress(connection: Connection, rows: Iterable[tuple[str, str, int, str]]) -> None:
    """Rows are (run, stage, attempt, doing)."""
    connection.executemany(
        "INSERT INTO progress (run, stage, attempt, doing) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (run, stage) DO UPDATE SET attempt = excluded.attempt, doing = excluded.doing",
        rows,
    )
