"""One state directory for all processes of a fleet: whoever has another one is refused at once."""

from __future__ import annotations

from pathlib import Path

from shipway.engine.dispatch.fleet.queue import Placing
from shipway.engine.owner import mark
from shipway.errors import ConfigurationError
from shipway.store import fleet
from shipway.store.database import Database


def enter(database: Database, home: Path) -> Placing:
    """Install what hand-out needs, once, and check that ``home`` is the fleet's.

    Raises ConfigurationError: hubs and artifacts travel by that directory.
    """
    placing, ours = Placing(), mark(home)
    with database.writing() as connection:
        placing.install(connection.raw)
        known = fleet.home(connection, ours)
    if known != ours:
        raise ConfigurationError(
            "this SHIPWAY_HOME is not the state directory that the fleet of this database shares",
            hint="mount the shared directory on this machine and point SHIPWAY_HOME at it;"
            " repositories and artifacts travel by it",
        )
    return placing
