"""Brings a database to this version's tables, one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from shipway.errors import ConfigurationError
from shipway.store.database import revision


def migrate(path: Path) -> None:
    """Run the missing migrations; raises ConfigurationError for a database of a later version."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.with_suffix(".migrating").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        config = _config()
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        present = revision(path)
        if present is not None and present not in known:
            raise ConfigurationError(
                f"{path} was written by a later version of Shipway",
                hint="upgrade Shipway, or point SHIPWAY_HOME at another directory",
            )
        with contextlib.closing(sqlite3.connect(path)) as plain:
            plain.execute("PRAGMA journal_mode=WAL")  # not possible inside a transaction
        engine = _engine(path)
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        engine.dispose()


def _engine(path: Path) -> Engine:
    """All of the migrations or none: the driver's own transactions leave out CREATE TABLE."""
    engine = create_engine(
        f"sqlite:///{path}", poolclass=NullPool, connect_args={"isolation_level": None}
    )
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config
