"""An engine with all that it needs, and the process that is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.agents.wiring import registry
from shipway.bootstrap.system import close, connect, enter, log_as_set
from shipway.bus.link import Link
from shipway.config import Settings
from shipway.config.reload import Live
from shipway.engine.engine import Engine
from shipway.engine.host import Ended, serve_until_idle
from shipway.engine.places import Places
from shipway.engine.queries import Queries
from shipway.engine.record import Reporter
from shipway.flags.opening import flags_of
from shipway.store.artifacts import ArtifactStore
from shipway.store.database import Database

if TYPE_CHECKING:
    from shipway.engine.fleet import Fleet


def make_engine(
    live: Live,
    database: Database,
    artifacts: ArtifactStore,
    queries: Queries,
    bus: Link | None = None,
) -> Engine:
    """An engine with every agent there is, not started."""
    settings = live.settings
    reporter = Reporter(settings.home, queries, artifacts)
    side = fleet_side(settings, database, bus)
    engine = Engine(settings, database, registry(settings), artifacts, reporter.write, fleet=side)
    engine.flags = flags_of(settings, database)
    live.when_changed("max_attempts_at_once", engine.adopt)
    return engine


def fleet_side(settings: Settings, database: Database, bus: Link | None) -> Fleet | None:
    """What an engine needs beside itself where the database is one that a fleet shares."""
    if database.kind != "postgresql":
        return None
    from shipway.engine.fleet import Fleet

    enter(database, settings.home)
    return Fleet(settings, database, bus)


def serve(settings: Settings) -> Ended:
    """Be the engine of a state directory until nothing moves, unless there is one already."""
    places = Places(settings.home)
    live = Live(settings)
    log_as_set(live, places)
    live.listen()
    database, bus = connect(settings)
    artifacts = ArtifactStore(places.artifacts)
    queries = Queries(database, settings.home, artifacts)
    while True:
        engine = make_engine(live, database, artifacts, queries, bus)
        ended = serve_until_idle(engine)
        # What was submitted while we let go of the directory counted on us to be there.
        if ended is not Ended.IDLE or not queries.interrupted():
            close(database, bus)
            return ended
