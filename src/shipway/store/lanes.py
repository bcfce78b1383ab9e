"""What only so many attempts of a fleet may do at once: who is inside, and how fast others follow.

Statements for PostgreSQL only. A lane is a name; whoever counts and enters does so alone, until its
commit. Who dies is taken out with its claim.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from shipway.store import fleet
from shipway.store.database import Connection
from shipway.store.fleet import Key

#: Rung when somebody has left a lane.
ROOM = "room"
#: The turn of those who enter: what was counted is still so when they commit.
ENTER = 0x51_0003


def alone(connection: Connection) -> float:
    """Wait until nobody else is about to enter; returns the time on the database's clock."""
    connection.take_turns(ENTER)
    return fleet.now(connection)


def inside(connection: Connection, lanes: Collection[str]) -> Counter[str]:
    """How many attempts each of the lanes holds."""
    rows = connection.execute(
        "SELECT lane, count(*) FROM lanes WHERE lane = ANY(?) GROUP BY lane", (list(lanes),)
    )
    return Counter({row[0]: row[1] for row in rows})


def entered(connection: Connection, key: Key) -> bool:
    """Whether the attempt is inside already: its worker asked before, and did not hear the answer."""
    row = connection.execute(
        "SELECT 1 FROM lanes WHERE run = ? AND stage = ? AND attempt = ?",
        (key.run, key.stage, key.attempt),
    ).fetchone()
    return row is not None


def enter(connection: Connection, worker: str, key: Key, lanes: Collection[str]) -> bool:
    """Put an attempt into lanes, if it is still the worker's."""
    return bool(
        connection.execute(
            "INSERT INTO lanes (run, stage, attempt, lane)"
            " SELECT c.run, c.stage, c.attempt, l.lane FROM claims c, unnest(?::text[]) AS l (lane)"
            " WHERE c.run = ? AND c.stage = ? AND c.attempt = ? AND c.token = ? AND c.worker = ?"
            " AND c.state = 'held'",
            (list(lanes), key.run, key.stage, key.attempt, key.token, worker),
        ).rowcount
    )


def leave(connection: Connection, keys: Iterable[Key]) -> None:
    """Take attempts out of every lane, and tell those who wait for room."""
    gone = 0
    for key in keys:
        gone += connection.execute(
            "DELETE FROM lanes WHERE run = ? AND stage = ? AND attempt = ?",
            (key.run, key.stage, key.attempt),
        ).rowcount
    if gone:
        fleet.ring(connection, ROOM)


def paces(connection: Connection, names: Collection[str]) -> dict[str, float]:
    """When the next of each kind would come if all came evenly."""
    rows = connection.execute("SELECT name, next FROM paces WHERE name = ANY(?)", (list(names),))
    return {row[0]: row[1] for row in rows}


def pace(connection: Connection, name: str, after: float) -> None:
    connection.execute(
        "INSERT INTO paces (name, next) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET next = excluded.next",
        (name, after),
    )
