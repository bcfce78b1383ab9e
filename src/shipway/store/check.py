"""Looks whether what is in a database fits together, and whether its tables are this version's."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

import orjson

from shipway.contracts.model import ArtifactRef
from shipway.store.artifacts import ArtifactStore, named_in
from shipway.store.database import Connection, Database

_SOME = 1000

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


def lost_artifacts(
    connection: Connection, artifacts: ArtifactStore, bent: AbstractSet[str] = frozenset()
) -> Iterator[str]:
    """What a run names and is not there, or is among the ``bent`` by its digest, in words."""
    told = set()
    for run, data in _said(connection):
        # Few of the many rows name one; those that do not are not read.
        for ref in _named(data) if b'"media_type"' in data else ():
            is_bent = ref.sha256 in bent
            if (is_bent or not artifacts.has(ref)) and (run, ref.sha256) not in told:
                told.add((run, ref.sha256))
                what = "was altered on disk" if is_bent else "is gone"
                yield f"{ref.name} of run {run} {what} (sha256 {ref.sha256})"


def _named(data: bytes) -> list[ArtifactRef]:
    try:
        return list(named_in(orjson.loads(data)))
    except ValueError:
        return []  # a run that cannot be read is put aside by whoever carries it


def _said(connection: Connection) -> Iterator[tuple[int, bytes]]:
    """Number of the run and JSON of every submission and event, some at a time."""
    last = 0
    while rows := connection.execute(
        "SELECT number, submission FROM runs WHERE number > ? ORDER BY number LIMIT ?",
        (last, _SOME),
    ).fetchall():
        yield from rows
        last = rows[-1][0]
    last = 0
    while rows := connection.execute(
        "SELECT e.position, r.number, e.data FROM events e JOIN runs r ON r.id = e.run"
        " WHERE e.position > ? ORDER BY e.position LIMIT ?",
        (last, _SOME),
    ).fetchall():
        yield from ((row[1], row[2]) for row in rows)
        last = rows[-1][0]
