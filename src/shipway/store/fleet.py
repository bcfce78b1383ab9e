"""Who works on what in a fleet: workers and their beats, claims on attempts, reports of outcomes.

Statements for PostgreSQL only; time is the database's, so that no machine's clock matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shipway.store.database import Connection

#: The channel that engines and workers listen on; what is said there is only a hint.
CHANNEL = "shipway"
#: The advisory locks of the fleet: one process at a time takes over, or installs the queue.
TAKE_OVER, INSTALL, JOIN = 0x51_0001, 0x51_0002, 0x51_0003


@dataclass(frozen=True, slots=True)
class Key:
    """One attempt as it was ordered."""

    run: str
    stage: str
    attempt: int
    token: int


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """``serves`` and ``busy`` are JSON; ``silent`` is seconds since the last beat."""

    id: str
    kind: str
    name: str
    host: str
    pid: int
    version: str
    serves: str
    busy: str
    draining: bool
    seconds: float
    silent: float


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a worker is to know of an attempt in its hands: whose it is, and what is asked of it."""

    key: Key
    ours: bool
    give_back: str | None


def now(connection: Connection) -> float:
    """The time on the database's clock, in seconds since the epoch."""
    seconds: float = connection.execute("SELECT fleet_now()").fetchone()[0]
    return seconds


def ring(connection: Connection, what: str) -> None:
    """Tell every process of the fleet, once this commits."""
    told = connection.bell.marked(what)
    connection.rung.add(told)
    connection.execute("SELECT pg_notify(?, ?)", (CHANNEL, told))


# Homes: every process of a fleet has the same state directory


def home(connection: Connection, mark: str) -> str:
    """The mark of the fleet's state directory; the first who asks says which it is."""
    connection.execute(
        "INSERT INTO fleet_homes (id, mark) VALUES (1, ?) ON CONFLICT (id) DO NOTHING", (mark,)
    )
    known: str = connection.execute("SELECT mark FROM fleet_homes WHERE id = 1").fetchone()[0]
    return known


# Workers


def join(connection: Connection, row: WorkerRow) -> None:
    connection.execute(
        "INSERT INTO workers (id, kind, name, host, pid, version, serves, busy, draining,"
        " started_at, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, fleet_now(), fleet_now())",
        (row.id, row.kind, row.name, row.host, row.pid, row.version, row.serves, row.busy),
    )
    ring(connection, "workers")


def beat(connection: Connection, worker: str, busy: str) -> bool | None:
    """Say that it lives; whether it is to drain, or None when it is taken for dead."""
    row = connection.execute(
        "UPDATE workers SET seen_at = fleet_now(), busy = ? WHERE id = ? AND ended_at IS NULL"
        " RETURNING draining",
        (busy, worker),
    ).fetchone()
    return None if row is None else bool(row[0])


def drain(connection: Connection, worker: str, draining: bool) -> int:
    """Let a worker take nothing new, or take work again; how many rows that concerned."""
    changed = connection.execute(
        "UPDATE workers SET draining = ? WHERE ended_at IS NULL AND id = ?",
        (int(draining), worker),
    ).rowcount
    ring(connection, "workers")
    return changed


def leave(connection: Connection, worker: str, why: str) -> None:
    connection.execute(
        "UPDATE workers SET ended_at = fleet_now(), why = ? WHERE id = ? AND ended_at IS NULL",
        (why, worker),
    )
    ring(connection, "workers")


def workers(connection: Connection) -> list[WorkerRow]:
    """Who has not left and was not taken for dead, the longest serving first."""
    rows = connection.execute(
        "SELECT id, kind, name, host, pid, version, serves, busy, draining <> 0,"
        " fleet_now() - started_at, fleet_now() - seen_at FROM workers WHERE ended_at IS NULL"
        " ORDER BY started_at, id"
    ).fetchall()
    return [WorkerRow(*row) for row in rows]


def forget(connection: Connection, seconds: float) -> None:
    """Remove workers that ended longer ago, so that the list does not grow for ever."""
    connection.execute("DELETE FROM workers WHERE ended_at < fleet_now() - ?", (seconds,))


# Claims


def claim(connection: Connection, worker: str, key: Key) -> tuple[bytes, int, float] | None:
    """Take an attempt: its task, how often it was delivered with this time, and what time it is.

    None if it is gone.

    The delivery counts even if the worker dies the moment after. Asked again by the worker that has
    it, it is the same claim: its commit may have come through unseen when the database was lost.
    """
    row = connection.execute(
        "UPDATE orders SET deliveries = deliveries + 1 WHERE run = ? AND stage = ? AND attempt = ?"
        " AND token = ? AND status = 'open' RETURNING task, deliveries, fleet_now()",
        (key.run, key.stage, key.attempt, key.token),
    ).fetchone()
    if row is None:
        return None
    taken = connection.execute(
        "INSERT INTO claims (run, stage, attempt, token, worker, state, claimed_at)"
        " SELECT ?, ?, ?, ?, id, 'held', fleet_now() FROM workers WHERE id = ? AND ended_at IS NULL"
        " ON CONFLICT (run, stage, attempt) DO NOTHING",
        (key.run, key.stage, key.attempt, key.token, worker),
    ).rowcount
    return (row[0], row[1], row[2]) if taken or holds(connection, worker, key) else None


def holds(connection: Connection, worker: str, key: Key) -> bool:
    """Whether the attempt is still this worker's, and still wanted."""
    row = connection.execute(
        "SELECT 1 FROM claims c JOIN orders o USING (run, stage, attempt)"
        " WHERE c.run = ? AND c.stage = ? AND c.attempt = ? AND c.token = ? AND c.worker = ?"
        " AND c.state = 'held' AND o.status = 'open'",
        (key.run, key.stage, key.attempt, key.token, worker),
    ).fetchone()
    return row is not None


def held(connection: Connection, worker: str) -> list[Claimed]:
    """Every attempt that a worker claimed and has not reported, as things stand."""
    rows = connection.execute(
        "SELECT c.run, c.stage, c.attempt, c.token, c.state = 'held' AND o.status = 'open', c.asked"
        " FROM claims c JOIN orders o USING (run, stage, attempt) WHERE c.worker = ?"
        " AND c.state <> 'reported'",
        (worker,),
    ).fetchall()
    return [Claimed(Key(*row[:4]), row[4], row[5]) for row in rows]


def ask_back(connection: Connection, run: str, why: str) -> None:
    """Ask the workers that hold attempts of a run to hand them back."""
    connection.execute("UPDATE claims SET asked = ? WHERE run = ? AND state = 'held'", (why, run))
    ring(connection, "claims")


# Reports: what workers say, until an engine has taken it in


def report(connection: Connection, worker: str, key: Key, data: bytes, *, last: bool) -> bool:
    """Leave word of an attempt, if it is still the worker's; the last word gives the claim up.

    This is the fence: who was taken for dead, or has reported already, changes nothing here.
    """
    state = "reported" if last else "held"
    mine = connection.execute(
        "UPDATE claims SET state = ? WHERE run = ? AND stage = ? AND attempt = ? AND token = ?"
        " AND worker = ? AND state = 'held'",
        (state, key.run, key.stage, key.attempt, key.token, worker),
    ).rowcount
    if mine:
        _leave_word(connection, key, data)
        ring(connection, "reports")
    return bool(mine)


def _leave_word(connection: Connection, key: Key, data: bytes) -> None:
    connection.execute(
        "INSERT INTO reports (run, stage, attempt, at, data) VALUES (?, ?, ?, fleet_now(), ?)",
        (key.run, key.stage, key.attempt, data),
    )


def reports(connection: Connection, limit: int) -> list[tuple[int, str, bytes]]:
    """Reports that no engine has taken in: (id, run, data), oldest first."""
    rows = connection.execute("SELECT id, run, data FROM reports ORDER BY id LIMIT ?", (limit,))
    return [(row[0], row[1], row[2]) for row in rows]


def take_report(connection: Connection, report: int) -> bool:
    """Take a report into this transaction; False when another engine has it or had it.

    The claim goes with the last word of its attempt only: without it the order, still open, would
    look as if nobody had taken it, and be done again.
    """
    row = connection.execute(
        "DELETE FROM reports WHERE id ="
        " (SELECT id FROM reports WHERE id = ? FOR UPDATE SKIP LOCKED)"
        " RETURNING run, stage, attempt",
        (report,),
    ).fetchone()
    if row is None:
        return False
    connection.execute(
        "DELETE FROM claims c WHERE run = ? AND stage = ? AND attempt = ? AND state <> 'held'"
        " AND NOT EXISTS (SELECT 1 FROM reports r WHERE r.id > ? AND r.run = c.run"
        " AND r.stage = c.stage AND r.attempt = c.attempt)",
        (*row, report),
    )
    return True


# Taking over


def only_one(connection: Connection, what: int) -> bool:
    """Whether this transaction is the one that may do it now."""
    return bool(connection.execute("SELECT pg_try_advisory_xact_lock(?)", (what,)).fetchone()[0])


def one_after_the_other(connection: Connection, what: int) -> None:
    """Wait until nobody else is in a transaction that does the same."""
    connection.execute("SELECT pg_advisory_xact_lock(?)", (what,))


def lost(connection: Connection, lease: float) -> list[str]:
    """Workers that were silent for longer than their lease; they are taken for dead from now on."""
    rows = connection.execute(
        "UPDATE workers SET ended_at = fleet_now(), why = 'it was silent for longer than its lease'"
        " WHERE ended_at IS NULL AND seen_at < fleet_now() - ? RETURNING id",
        (lease,),
    ).fetchall()
    return [row[0] for row in rows]


def fence(connection: Connection) -> list[tuple[str, Key]]:
    """Fence every attempt held by a worker that has ended: (worker, attempt)."""
    rows = connection.execute(
        "UPDATE claims c SET state = 'fenced' FROM workers w WHERE w.id = c.worker"
        " AND c.state = 'held' AND w.ended_at IS NOT NULL"
        " RETURNING w.id, c.run, c.stage, c.attempt, c.token"
    ).fetchall()
    return [(row[0], Key(*row[1:])) for row in rows]


def say_lost(connection: Connection, words: Sequence[tuple[Key, bytes]]) -> None:
    """Leave word of attempts whose worker cannot any more."""
    for key, data in words:
        _leave_word(connection, key, data)
    if words:
        ring(connection, "reports")


def refit(connection: Connection, key: Key, task: bytes) -> bool:
    """Write an order anew for others who could take it; False when somebody just has."""
    mine = connection.execute(
        "SELECT 1 FROM orders WHERE run = ? AND stage = ? AND attempt = ? AND token = ?"
        " AND status = 'open' FOR UPDATE SKIP LOCKED",
        (key.run, key.stage, key.attempt, key.token),
    ).fetchone()
    # A statement of its own: it sees the claim of whoever held the row until now.
    taken = connection.execute(
        "SELECT 1 FROM claims WHERE run = ? AND stage = ? AND attempt = ?",
        (key.run, key.stage, key.attempt),
    ).fetchone()
    if mine is None or taken is not None:
        return False
    connection.execute(
        "UPDATE orders SET task = ? WHERE run = ? AND stage = ? AND attempt = ?",
        (task, key.run, key.stage, key.attempt),
    )
    return True


def unclaimed(connection: Connection) -> list[tuple[Key, bytes]]:
    """Open orders that nobody has taken: (attempt, task)."""
    rows = connection.execute(
        "SELECT o.run, o.stage, o.attempt, o.token, o.task FROM orders o"
        " LEFT JOIN claims c USING (run, stage, attempt)"
        " WHERE o.status = 'open' AND c.run IS NULL ORDER BY o.run, o.stage LIMIT 1000"
    ).fetchall()
    return [(Key(*row[:4]), row[4]) for row in rows]
