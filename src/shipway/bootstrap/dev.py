"""Engine and worker in one process, as developers like it."""

from __future__ import annotations

from collections.abc import Callable

from shipway.bootstrap.engines import make_engine
from shipway.bootstrap.system import close, connect, log_as_set
from shipway.bootstrap.workers import make_worker
from shipway.config import Settings
from shipway.config import prepare as prepare_directories
from shipway.config.reload import Live
from shipway.engine.engine import Engine
from shipway.engine.places import Places
from shipway.engine.queries import Queries
from shipway.errors import ConflictError
from shipway.lifecycle import Lifecycle, Part
from shipway.store.artifacts import ArtifactStore


def develop(settings: Settings, ready: Callable[[str], None]) -> int:
    """Be an engine, and in a fleet a worker too, until a signal asks for the end."""
    places = Places(settings.home)
    prepare_directories(settings)
    live = Live(settings)
    log_as_set(live, places)
    live.listen()
    database, bus = connect(settings)
    artifacts = ArtifactStore(places.artifacts)
    queries = Queries(database, settings.home, artifacts)
    engine = make_engine(live, database, artifacts, queries, bus)
    parts = [Part("engine", lambda: _own(engine), lambda _left: engine.stop())]
    if database.kind == "postgresql":
        worker = make_worker(settings, database, (), settings.max_attempts_at_once, bus)
        parts.append(Part("worker", worker.start, worker.stop, worker.drain))
    life = Lifecycle(*parts, drain_seconds=settings.worker_grace_s)
    with life.signals():
        life.start()
        ready(database.name)
        life.wait()
        life.stop()
    close(database, bus)
    return life.exit_code


def _own(engine: Engine) -> None:
    if not engine.start():
        raise ConflictError(
            "another process carries the runs of this SHIPWAY_HOME already",
            hint="it ends by itself when nothing moves; then try again",
        )
