"""A copy of everything in a database as one file, from either kind of database into either kind.

A gzip file of JSON lines: a head, a line for each row, and an end that counts them and holds the
digest of all lines before it. Nothing is restored from a file whose end is not as it says.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import LargeBinary, Table

from shipway.errors import ConfigurationError, ConflictError
from shipway.store.database import Connection, Database
from shipway.store.schema import metadata

FORMAT = 1
_CHUNK = 1000
_MADE_ANEW = {"compatibility", "workers", "claims", "lanes", "paces", "reports", "fleet_homes"}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a copy holds: the revision of its tables, and rows by table."""

    revision: str
    rows: dict[str, int]


def write_copy(database: Database, target: Path, now: float) -> Contents:
    """Copy every row as it is at one moment, while others go on working."""
    revision = database.revision()
    if revision is None:
        raise ConflictError("the database has no tables yet", hint="there is nothing to copy")
    digest, rows = hashlib.sha256(), Counter[str]()
    head = {"shipway": "copy", "format": FORMAT, "revision": revision, "made_at": now}
    with gzip.open(target, "wb", compresslevel=4) as file, database.snapshot() as connection:
        _line(file, digest, head)
        for table in _copied():
            name = str(table.name)
            rows[name] = 0
            for row in _rows(connection, table):
                _line(file, digest, [name, row])
                rows[name] += 1
        file.write(orjson.dumps({"rows": rows, "sha256": digest.hexdigest()}) + b"\n")
    return Contents(revision, dict(rows))


def verify_copy(source: Path) -> Contents:
    """Read the whole file; raises ConfigurationError unless it is a copy, and complete."""
    digest, rows, end = hashlib.sha256(), Counter[str](), None
    try:
        with gzip.open(source, "rb") as file:
            first = file.readline()
            head = orjson.loads(first)
            if head["shipway"] != "copy" or head["format"] != FORMAT:
                raise _unusable(source, "it is in a format that this version does not read")
            digest.update(first)
            for line in file:
                found = orjson.loads(line)
                if isinstance(found, dict):
                    end = found
                    break
                rows[found[0]] += 1
                digest.update(line)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise _unusable(source, "it is not a whole copy") from error
    if end is None or end["sha256"] != digest.hexdigest() or Counter(end["rows"]) != rows:
        raise _unusable(source, "its rows are not those that were written")
    return Contents(head["revision"], end["rows"])


def read_copy(connection: Connection, source: Path) -> None:
    """Write the rows of a verified copy into empty tables; in the caller's transaction."""
    tables = {table.name: table for table in _copied()}
    with gzip.open(source, "rb") as file:
        file.readline()
        lines = map(orjson.loads, file)
        rows = itertools.takewhile(lambda found: isinstance(found, list), lines)
        for name, some in itertools.groupby(rows, key=lambda found: str(found[0])):
            _insert(connection, tables[name], (row for _, row in some))


def count_rows(connection: Connection) -> dict[str, int]:
    return {
        str(table.name): connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]  # noqa: S608
        for table in _copied()
    }


def _copied() -> list[Table]:
    """What says how the tables are, and who works on what just now, is made anew and not copied."""
    return [table for table in metadata.sorted_tables if table.name not in _MADE_ANEW]


def _rows(connection: Connection, table: Table) -> Iterator[dict[str, Any]]:
    """Every row in the order of its key, a chunk at a time."""
    keys = [str(column.name) for column in table.primary_key]
    names = [str(column.name) for column in table.columns]
    binary = {column.name for column in table.columns if isinstance(column.type, LargeBinary)}
    key, places = ", ".join(keys), ", ".join("?" * len(keys))
    after: tuple[Any, ...] = ()
    while True:
        where = f"WHERE ({key}) > ({places})" if after else ""
        rows = connection.execute(
            f"SELECT {', '.join(names)} FROM {table.name} {where} ORDER BY {key} LIMIT {_CHUNK}",  # noqa: S608
            after,
        ).fetchall()
        for row in rows:
            found = dict(zip(names, row, strict=True))
            after = tuple(found[name] for name in keys)
            for name in binary & found.keys():
                if found[name] is not None:
                    found[name] = base64.b64encode(found[name]).decode()
            yield found
        if len(rows) < _CHUNK:
            return


def _insert(connection: Connection, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    """A copy of an earlier revision may lack a column: it then has its default."""
    binary = {column.name for column in table.columns if isinstance(column.type, LargeBinary)}
    while some := list(itertools.islice(rows, _CHUNK)):
        names = list(some[0])
        for row in some:
            for name in binary & row.keys():
                if row[name] is not None:
                    row[name] = base64.b64decode(row[name])
        places = ", ".join("?" * len(names))
        connection.executemany(
            f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({places})",  # noqa: S608
            [[row[name] for name in names] for row in some],
        )


def _line(file: gzip.GzipFile, digest: Any, value: Any) -> None:
    line = orjson.dumps(value) + b"\n"
    digest.update(line)
    file.write(line)


def _unusable(source: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{source} cannot be restored: {why}", hint="take another backup of the same database"
    )
