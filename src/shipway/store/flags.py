"""Feature flags as stored: each flag as a document with a version, and every change that was made."""

from __future__ import annotations

from dataclasses import dataclass

from shipway.store.database import Connection


@dataclass(frozen=True, slots=True)
class FlagChangeRow:
    """What a flag became, by whom, when and why."""

    key: str
    version: int
    at: float
    by: str
    why: str
    data: bytes


def all_flags(connection: Connection) -> list[tuple[str, bytes]]:
    rows = connection.execute("SELECT key, data FROM flags").fetchall()
    return [(key, bytes(data)) for key, data in rows]


def mark(connection: Connection) -> tuple[int, int]:
    """Differs after every change: versions only grow."""
    row = connection.execute("SELECT count(*), coalesce(sum(version), 0) FROM flags").fetchone()
    return int(row[0]), int(row[1])


def put(connection: Connection, change: FlagChangeRow) -> bool:
    """Keep the next version of a flag; False if another one was kept meanwhile."""
    if change.version == 1:
        done = connection.execute(
            "INSERT INTO flags (key, version, data) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (change.key, change.version, change.data),
        )
    else:
        done = connection.execute(
            "UPDATE flags SET version = ?, data = ? WHERE key = ? AND version = ?",
            (change.version, change.data, change.key, change.version - 1),
        )
    if done.rowcount != 1:
        return False
    connection.execute(
        'INSERT INTO flag_changes (key, version, at, "by", why, data) VALUES (?, ?, ?, ?, ?, ?)',
        (change.key, change.version, change.at, change.by, change.why, change.data),
    )
    return True


def changes(connection: Connection, key: str) -> list[FlagChangeRow]:
    """Newest first."""
    rows = connection.execute(
        'SELECT key, version, at, "by", why, data FROM flag_changes WHERE key = ?'
        " ORDER BY version DESC",
        (key,),
    ).fetchall()
    return [FlagChangeRow(row[0], row[1], row[2], row[3], row[4], bytes(row[5])) for row in rows]
