"""Opens the database that the settings name, with its tables at this version's."""

from __future__ import annotations

import threading
from pathlib import Path

from shipway.config import Settings
from shipway.errors import ConfigurationError
from shipway.store.database import Database
from shipway.store.sqlite import SqliteDatabase

#: The revision that this code reads and writes; ``migrate`` brings a database there.
REVISION = "0011"


def database(path: Path, settings: Settings | None = None) -> Database:
    """The database that the settings name, or else the file at ``path``; nothing is touched yet."""
    if settings is None:
        return SqliteDatabase(path)
    slow_after = settings.slow_query_ms / 1000
    if settings.database_url is None:
        return SqliteDatabase(path, slow_after)
    try:
        from shipway.store.postgres import Limits, PostgresDatabase
    except ImportError as error:
        raise ConfigurationError(
            "SHIPWAY_DATABASE_URL names PostgreSQL, and its driver is not installed",
            hint="install Shipway with its extra: pip install 'shipway[fleet]'",
        ) from error
    limits = Limits(
        settings.database_connections,
        settings.database_wait_s,
        settings.database_patience_s,
        slow_after,
    )
    return PostgresDatabase(settings.database_url, limits)


def prepare(path: Path, settings: Settings | None = None) -> Database:
    """The same, migrated if needed.

    Tables of a later version are used if they say that we may: others are upgraded before us.
    Raises ConfigurationError if they do not.
    """
    found = database(path, settings)
    if revision_for_us(found) != REVISION:
        # Imported here: alembic and SQLAlchemy cost half a second, once a release.
        from shipway.store.migrate import migrate

        migrate(found)
    return found


def revision_for_us(found: Database) -> str | None:
    """The revision of the tables; our own if they are later and say that we may use them."""
    present = found.revision()
    if present is None or present <= REVISION:
        return present
    with found.reading() as connection:
        row = connection.execute("SELECT oldest FROM compatibility").fetchone()
    return REVISION if row is not None and row[0] <= REVISION else present


class Look:
    """Asks a database where its tables are, again and again, and keeps what it said last."""

    def __init__(self, found: Database) -> None:
        self._database = found
        self._said: str | None = None
        self._turn = threading.Lock()

    def once(self) -> None:
        with self._turn:
            self._said = revision_for_us(self._database)

    def revision(self) -> str | None:
        """What the last answer said; before there was one, it asks."""
        if self._said is None:
            self.once()
        return self._said
