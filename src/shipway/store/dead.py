"""Dead letters as stored: which orders nobody could do, and what a person did about each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from shipway.store.database import Connection


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """``state`` is dead, replayed or discarded; ``by``, ``reason`` and ``resolved_at`` say how.

    What the order asked for is in its order row, and what became of each attempt in the events.
    """

    run: str
    stage: str
    attempt: int
    capability: str
    code: str
    message: str
    at: float
    shipway: str
    state: str = "dead"
    by: str | None = None
    reason: str | None = None
    resolved_at: float | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class Which:
    """Which letters are meant; None means any."""

    state: str | None = "dead"
    run: str | None = None
    stage: str | None = None
    code: str | None = None
    capability: str | None = None


_FIELDS = (
    "run, stage, attempt, capability, code, message, at, shipway, state, by, reason,"
    " resolved_at, number"
)


def bury(connection: Connection, rows: Iterable[DeadLetterRow]) -> None:
    """A second letter for one attempt is an IntegrityError."""
    connection.executemany(
        "INSERT INTO dead_letters (run, stage, attempt, capability, code, message, at, shipway,"
        " state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'dead')",
        [
            (
                row.run,
                row.stage,
                row.attempt,
                row.capability,
                row.code,
                row.message,
                row.at,
                row.shipway,
            )
            for row in rows
        ],
    )


def revive(connection: Connection, rows: Iterable[tuple[str, str, float, str, str]]) -> None:
    """Rows are (by, reason, at, run, stage): that stage is done anew."""
    connection.executemany(
        "UPDATE dead_letters SET state = 'replayed', by = ?, reason = ?, resolved_at = ?"
        " WHERE run = ? AND stage = ? AND state = 'dead'",
        rows,
    )


def discard(connection: Connection, number: int, *, by: str, reason: str, at: float) -> bool:
    """False if the letter is no longer open."""
    done = connection.execute(
        "UPDATE dead_letters SET state = 'discarded', by = ?, reason = ?, resolved_at = ?"
        " WHERE number = ? AND state = 'dead'",
        (by, reason, at, number),
    )
    return done.rowcount == 1


def letter(connection: Connection, number: int) -> DeadLetterRow | None:
    row = connection.execute(
        f"SELECT {_FIELDS} FROM dead_letters WHERE number = ?",  # noqa: S608 - names of columns
        (number,),
    ).fetchone()
    return DeadLetterRow(*row) if row else None


def letters(
    connection: Connection, which: Which, limit: int, after: int = 0
) -> list[DeadLetterRow]:
    """Oldest first, from the number after ``after`` on."""
    wanted = {name: value for name, value in asdict(which).items() if value is not None}
    conditions = "".join(f" AND {name} = ?" for name in wanted)
    rows = connection.execute(
        f"SELECT {_FIELDS} FROM dead_letters WHERE number > ?{conditions}"  # noqa: S608 - names of columns
        " ORDER BY number LIMIT ?",
        (after, *wanted.values(), limit),
    )
    return [DeadLetterRow(*row) for row in rows]


def depth(connection: Connection) -> tuple[int, float | None]:
    """How many letters are open, and when the oldest of them died."""
    row = connection.execute(
        "SELECT count(*), min(at) FROM dead_letters WHERE state = 'dead'"
    ).fetchone()
    return row[0], row[1]
