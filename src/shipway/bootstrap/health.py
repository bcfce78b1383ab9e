"""What is asked again and again while a process serves, with how each thing is asked."""

from __future__ import annotations

import time

from shipway.agents.wiring import registry
from shipway.bootstrap.system import System
from shipway.bus.link import Link
from shipway.config import Settings
from shipway.engine.letters import Letters
from shipway.health import standard
from shipway.health.registry import Registry
from shipway.store import figures
from shipway.store.database import Database
from shipway.store.opening import REVISION, Look
from shipway.telemetry import metrics


def health_of(system: System) -> Registry:
    """What is asked again and again while a process serves, with how each thing is asked."""
    database, crew = system.database, system.roll
    found = common_checks(system.settings, database, system.link)
    found.add(
        standard.queue(lambda: _waiting(database)),
        standard.dead_letters(lambda: _dead(system.letters)),
    )
    if crew is not None:
        found.add(standard.workers(lambda: (crew.working(), _waiting(database)[2])))
    found.add_plugins()
    found.check_required()
    return found


def common_checks(settings: Settings, database: Database, bus: Link | None) -> Registry:
    """What every process that lives for a while is asked, a server and a worker alike."""
    found = Registry(settings.health_required)
    look = Look(database.lookout())
    found.add(
        standard.database(look.once),
        standard.migrations(look.revision, REVISION),
        standard.agents(registry(settings).capabilities),
        standard.filesystem(settings.home),
        standard.disk(settings.home),
        standard.pools(lambda: _pools(database, bus)),
        standard.breakers(metrics.breaker_states),
    )
    if bus is not None:
        found.add(standard.redis(bus.ping))
    return found


def _waiting(database: Database) -> tuple[int, float, int]:
    """Also says how many runs there are of each status, for the metrics."""
    with database.reading() as connection:
        found = figures.waiting(connection)
        by_status = figures.runs_by_status(connection)
    metrics.RUNS.keep_only({(status,): float(count) for status, count in by_status.items()})
    age = 0.0 if found.oldest is None else max(0.0, time.time() - found.oldest)
    return found.runs, age, found.orders


def _dead(letters: Letters) -> tuple[int, float | None]:
    now = letters.depth()
    return now.depth, now.oldest


def _pools(database: Database, bus: Link | None) -> dict[str, tuple[int, int, int]]:
    now = database.figures()
    shared = {} if bus is None else {"redis": bus.usage()}
    return {"database": (now.open - now.idle, now.limit, now.waiting), **shared}
