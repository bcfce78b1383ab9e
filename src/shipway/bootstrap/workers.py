"""A worker of the fleet with all that it needs, and the process that is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from shipway.agents.wiring import registry
from shipway.bootstrap.health import common_checks
from shipway.bootstrap.system import close, connect, enter
from shipway.bus.link import Link
from shipway.config import Settings
from shipway.config import prepare as prepare_directories
from shipway.engine.places import Places
from shipway.errors import ConfigurationError, UsageError
from shipway.lifecycle import Lifecycle, Part
from shipway.store.artifacts import ArtifactStore
from shipway.store.database import Database
from shipway.telemetry.logs import configure

if TYPE_CHECKING:
    from shipway.engine.dispatch.fleet.worker import Worker

_LOOK_AGAIN = 0.2


def make_worker(
    settings: Settings,
    database: Database,
    capabilities: Sequence[str],
    at_once: int,
    bus: Link | None = None,
) -> Worker:
    """A worker with the agents of this installation, not started; no capability means all.

    Raises UsageError for a capability that nobody here has.
    """
    from shipway.engine.dispatch.fleet.worker import Worker

    agents = registry(settings)
    known = agents.capabilities()
    for name in capabilities:
        if name not in known:
            raise UsageError(
                f"no agent here serves {name[:40]!r}", hint=f"choose from: {', '.join(known)}"
            )
    enter(database, settings.home)
    artifacts = ArtifactStore(Places(settings.home).artifacts)
    limits = dict.fromkeys(capabilities or known, at_once)
    return Worker(settings, database, agents, artifacts, limits, link=bus)


def work(
    settings: Settings,
    capabilities: Sequence[str],
    concurrency: int | None,
    ready: Callable[[str, list[str], str], None],
) -> int:
    """Be a worker of the fleet until a signal asks for the end; returns the exit code.

    ``ready`` is told the worker's name, what it serves, and where its health is asked. A worker
    that the others took for dead begins anew under another name.
    """
    from shipway.engine.dispatch.fleet.watched import Watched

    configure(settings.log_level)
    if settings.database_url is None:
        raise ConfigurationError(
            "a worker needs the PostgreSQL database of a fleet",
            hint="set SHIPWAY_DATABASE_URL; without a fleet every command carries runs itself",
        )
    prepare_directories(settings)
    database, bus = connect(settings)
    at_once = concurrency or settings.max_attempts_at_once
    while True:
        worker = make_worker(settings, database, capabilities, at_once, bus)
        checks = common_checks(settings, database, bus)
        watched = Watched(worker, checks, settings.worker_health_port)
        life = Lifecycle(
            Part("worker", watched.start, watched.stop, watched.drain),
            drain_seconds=settings.worker_grace_s,
        )
        with life.signals():
            life.start()
            ready(worker.member.name, worker.serves, watched.address)
            while not life.wait(_LOOK_AGAIN) and not worker.lost.is_set():
                continue
            asked = life.ending.is_set()
            if not asked:
                life.hurried.set()
            life.stop()
        if asked:
            close(database, bus)
            return life.exit_code
