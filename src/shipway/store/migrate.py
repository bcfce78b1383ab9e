"""Brings a database to this version's tables, one process at a time, and checks that they are."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.pool import NullPool

from shipway.errors import ConfigurationError
from shipway.store.database import Database
from shipway.store.schema import metadata
from shipway.store.sqlite import SqliteDatabase

#: Held by whoever migrates a PostgreSQL database.
_MIGRATING = 0x5A17_0001


def migrate(database: Database) -> list[str]:
    """Run the missing migrations and say which; all of them or none.

    Raises ConfigurationError for a database of a later version.
    """
    return migrate_to(database, "head")


def migrate_to(database: Database, revision: str) -> list[str]:
    """The same, no further than ``revision``."""
    with _alone(database):
        config = _config()
        scripts = ScriptDirectory.from_config(config)
        known = [script.revision for script in scripts.walk_revisions()][::-1]
        present = database.revision()
        if present is not None and present not in known:
            raise ConfigurationError(
                f"{database.name} was written by a later version of Shipway",
                hint="upgrade Shipway, or point it at another database",
            )
        with _engine(database) as engine, engine.begin() as connection:
            if database.kind == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
            present = _present(connection)
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            now = _present(connection)
        return known[known.index(present) + 1 if present else 0 : known.index(str(now)) + 1]


def _present(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def drift(database: Database) -> list[str]:
    """In what the tables differ from those of this version, in words; empty when they do not."""
    with _engine(database) as engine, engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_object": _is_ours}
        )
        return [_in_words(difference) for difference in compare_metadata(context, metadata)]


def _is_ours(_thing: Any, _name: str | None, kind: str, reflected: bool, match: Any) -> bool:
    """Tables that others keep beside ours, such as those of a queue, are their affair."""
    return not (kind == "table" and reflected and match is None)


def pending(database: Database) -> list[str]:
    """The revisions that ``migrate`` would run."""
    known = [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()][
        ::-1
    ]
    present = database.revision()
    return (
        known if present is None else known[known.index(present) + 1 :] if present in known else []
    )


def _in_words(difference: Any) -> str:
    if isinstance(difference, list):
        return "; ".join(map(_in_words, difference))
    what, *rest = difference
    names = [str(getattr(one, "name", one)) for one in rest if one is not None]
    return f"{what.replace('_', ' ')}: {' '.join(names)}"


@contextlib.contextmanager
def _alone(database: Database) -> Iterator[None]:
    """One process at a time. PostgreSQL has a lock for it, taken with the transaction."""
    if not isinstance(database, SqliteDatabase):
        yield
        return
    path = database.path
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.with_suffix(".migrating").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.closing(sqlite3.connect(path)) as plain:
            plain.execute("PRAGMA journal_mode=WAL")  # not possible inside a transaction
        yield


@contextlib.contextmanager
def _engine(database: Database) -> Iterator[Engine]:
    """All of the migrations or none: SQLite's own driver leaves CREATE TABLE out of transactions."""
    if isinstance(database, SqliteDatabase):
        engine = create_engine(
            f"sqlite:///{database.path}", poolclass=NullPool, connect_args={"isolation_level": None}
        )
        event.listen(engine, "begin", _begin)
    else:
        from shipway.store.postgres import PostgresDatabase

        assert isinstance(database, PostgresDatabase)  # noqa: S101 - there are two
        engine = create_engine(
            "postgresql+psycopg://", poolclass=NullPool, creator=database.connect_plainly
        )
    try:
        yield engine
    finally:
        engine.dispose()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config
