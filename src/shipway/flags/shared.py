"""Flags kept in the database that all processes share."""

from __future__ import annotations

import json
from collections.abc import Callable

from shipway.flags.flag import Flag
from shipway.flags.keeping import Change, Kept, changed_meanwhile, read_all
from shipway.store import flags as rows
from shipway.store.database import Database


class DatabaseKeeping:
    """A change counts everywhere as soon as the others look again."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    @property
    def place(self) -> str:
        return self._database.name

    def mark(self) -> object:
        with self._database.reading() as connection:
            return rows.mark(connection)

    def load(self) -> Kept:
        with self._database.reading() as connection:
            found = rows.all_flags(connection)
        return read_all({key: json.loads(data) for key, data in found})

    def put(self, flag: Flag, by: str, why: str) -> Flag:
        after = flag.model_copy(update={"version": flag.version + 1})
        data = after.model_dump_json().encode()
        change = rows.FlagChangeRow(flag.key, after.version, self._now(), by, why, data)
        with self._database.writing() as connection:
            if not rows.put(connection, change):
                raise changed_meanwhile(flag.key)
        return after

    def history(self, key: str) -> list[Change]:
        with self._database.reading() as connection:
            found = rows.changes(connection, key)
        return [
            Change(one.at, one.by, one.why, Flag.model_validate_json(one.data)) for one in found
        ]
