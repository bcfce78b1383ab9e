"""Backups that are verified when they are made, and restored only into a place that is free.

SQLite is copied by its own backup API, page by page, while others write. PostgreSQL, and SQLite
when it is to move to PostgreSQL, is copied row by row in one snapshot (``store.copies``).
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from shipway.errors import ConfigurationError, ConflictError, ResourceError
from shipway.store.check import unsound
from shipway.store.copies import Contents, count_rows, read_copy, verify_copy, write_copy
from shipway.store.database import Database
from shipway.store.migrate import migrate, migrate_to
from shipway.store.sqlite import SqliteDatabase

_SQLITE_HEAD = b"SQLite format 3\x00"


def backup(database: Database, target: Path, *, portable: bool = False) -> Contents:
    """Write a new file with everything in the database, and read it again before it counts.

    Raises ConflictError when there is such a file, ResourceError when it cannot be written.
    """
    with fresh_file(target) as fresh:
        return copy_database(database, fresh, portable=portable)


def copy_database(database: Database, target: Path, *, portable: bool) -> Contents:
    if isinstance(database, SqliteDatabase) and not portable:
        return _copy_pages(database.path, target)
    write_copy(database, target, time.time())
    return verify_copy(target)


@contextmanager
def fresh_file(target: Path) -> Iterator[Path]:
    """A file to write, which is durable and at ``target`` once the block ends well.

    Raises ConflictError when there is such a file, ResourceError when it cannot be written.
    """
    if target.exists():
        raise ConflictError(f"there is a file already: {target}", hint="name another one")
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        os.close(handle)
        fresh = Path(name)
        try:
            yield fresh
            _make_durable(fresh)
            fresh.rename(target)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise ResourceError(
            f"the backup could not be made: {error.strerror}",
            hint="free space, or name a place that you may write",
        ) from error


def restore(database: Database, source: Path) -> Contents:
    """Fill the database, which holds no run yet, from a backup of either kind; then look at it.

    Raises ConflictError when there is something in the way, ConfigurationError for a file that is
    not a whole backup.
    """
    if not source.is_file():
        raise ConfigurationError(f"there is no file {source}", hint="name the backup to restore")
    with source.open("rb") as file:
        pages = file.read(len(_SQLITE_HEAD)) == _SQLITE_HEAD
    if pages and isinstance(database, SqliteDatabase):
        contents = _restore_pages(database, source)
    elif pages:
        with closing(SqliteDatabase(source)) as there:
            return _restore_rows_of(there, database)
    else:
        contents = verify_copy(source)
        _restore_rows(database, source, contents)
    with database.reading() as connection:
        faults = unsound(connection)
    if faults:
        raise ConfigurationError(
            f"what was restored is not sound: {faults[0]}", hint="restore another backup"
        )
    return contents


def _restore_rows_of(there: SqliteDatabase, database: Database) -> Contents:
    """A file of SQLite into PostgreSQL, by way of a copy."""
    with tempfile.TemporaryDirectory(prefix="shipway-restore-") as folder:
        copy = Path(folder) / "copy.gz"
        write_copy(there, copy, time.time())
        return restore(database, copy)


def _restore_rows(database: Database, source: Path, contents: Contents) -> None:
    refuse_if_in_use(database)
    migrate_to(database, contents.revision)
    with database.writing() as connection:
        read_copy(connection, source)
        connection.set_sequences()
        found = {name: count for name, count in count_rows(connection).items() if count}
        if found != {name: count for name, count in contents.rows.items() if count}:
            raise ConfigurationError(
                "fewer rows arrived than were copied", hint="nothing was changed; try again"
            )
    migrate(database)


def _restore_pages(database: SqliteDatabase, source: Path) -> Contents:
    """The file beside the place, looked at, and then in one step in the place."""
    refuse_if_in_use(database)
    fresh = database.path.with_name(f".{database.path.name}.restored")
    fresh.unlink(missing_ok=True)
    try:
        contents = _copy_pages(source, fresh)
        database.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{database.path}{suffix}").unlink(missing_ok=True)
        _make_durable(fresh)
        fresh.rename(database.path)
    finally:
        fresh.unlink(missing_ok=True)
    migrate(database)
    return contents


def has_runs(database: Database) -> bool:
    if database.revision() is None:
        return False
    with database.reading() as connection:
        return connection.execute("SELECT 1 FROM runs LIMIT 1").fetchone() is not None


def refuse_if_in_use(database: Database) -> None:
    """Raises ConflictError when it holds a run."""
    if has_runs(database):
        raise ConflictError(
            f"the database has runs already: {database.name}",
            hint="point SHIPWAY_HOME or SHIPWAY_DATABASE_URL at a new one; nothing is overwritten",
        )


def _copy_pages(source: Path, target: Path) -> Contents:
    """Page by page through SQLite's own API, then every page of the copy is looked at."""
    try:
        with closing(sqlite3.connect(source)) as there, closing(sqlite3.connect(target)) as copy:
            there.backup(copy, pages=2048, sleep=0.005)
            (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
            if verdict != "ok":
                raise ConfigurationError(
                    f"{source} is not a sound database", hint="take another backup"
                )
            (revision,) = copy.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise ConfigurationError(
            f"{source} is not a database of Shipway", hint="name a backup that Shipway made"
        ) from error
    with closing(SqliteDatabase(target)) as found, found.reading() as connection:
        return Contents(revision, count_rows(connection))


def _make_durable(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    path.chmod(0o600)
