"""Looks whether what is in a database fits together, and whether its tables are this version's."""

from __future__ import annotations

from shipway.store.database import Connection, Database

#: A question that has no rows as its answer, and what it means when there are some.
_QUESTIONS = (
    (
        (
            "SELECT number FROM (SELECT r.number, r.status, r.seq, coalesce("
            "(SELECT max(e.seq) FROM events e WHERE e.run = r.id), 0) AS last FROM runs r) AS one"
            " WHERE seq > last OR (status <> 'running' AND seq < last) LIMIT 5"
        ),
        "runs whose last event is not the one that their state stands at",
    ),
    (
        (
            "SELECT r.number FROM runs r WHERE (SELECT count(*) <> max(e.seq) FROM events e"
            " WHERE e.run = r.id) LIMIT 5"
        ),
        "runs that lack an event",
    ),
    (
        (
            "SELECT r.number FROM orders o JOIN runs r ON r.id = o.run WHERE o.status = 'open'"
            " AND r.status IN ('succeeded', 'failed', 'cancelled', 'quarantined') LIMIT 5"
        ),
        "runs that ended with an order open",
    ),
)


def unsound(connection: Connection) -> list[str]:
    """What does not fit together, in words; empty when everything does."""
    found = []
    for question, meaning in _QUESTIONS:
        rows = connection.execute(question).fetchall()
        if rows:
            found.append(f"{meaning}: {', '.join(str(row[0]) for row in rows)}")
    return found


def examine(database: Database) -> list[str]:
    """Everything that is wrong with a database, in words: migrations, tables, contents."""
    from shipway.store.migrate import drift, pending

    waiting = pending(database)
    if waiting:
        return [f"migrations are missing: {', '.join(waiting)}"]
    found = [f"the tables are not this version's: {difference}" for difference in drift(database)]
    with database.reading() as connection:
        found += connection.damage()
        found += unsound(connection)
    return found
