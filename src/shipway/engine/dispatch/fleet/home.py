"""One state directory for all processes of a fleet: whoever has another one is refused at once."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from shipway.engine.dispatch.fleet.queue import Placing
from shipway.errors import ConfigurationError
from shipway.store import fleet
from shipway.store.database import Database


def enter(database: Database, home: Path) -> Placing:
    """Install what hand-out needs, once, and check that ``home`` is the fleet's.

    Raises ConfigurationError: hubs and artifacts travel by that directory.
    """
    placing = Placing()
    with database.writing() as connection:
        placing.install(connection.raw)
        known = fleet.home(connection, _mark(home))
    if known != _mark(home):
        raise ConfigurationError(
            "this SHIPWAY_HOME is not the state directory that the fleet of this database shares",
            hint="mount the shared directory on this machine and point SHIPWAY_HOME at it;"
            " repositories and artifacts travel by it",
        )
    return placing


def _mark(home: Path) -> str:
    """What tells one directory from another, wherever it is mounted."""
    path = home / "fleet-mark"
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(16))
        file.flush()
        os.fsync(file.fileno())
    return path.read_text().strip()
