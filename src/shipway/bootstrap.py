"""Settings in, a wired system out: the only room that knows every other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from shipway.agents.registry import Registry as AgentRegistry
from shipway.config import Settings
from shipway.config import prepare as prepare_directories
from shipway.config.reload import Live
from shipway.engine.admission import limits_of
from shipway.engine.commands import Commands
from shipway.engine.engine import Engine
from shipway.engine.host import (
    EmbeddedEngine,
    Ended,
    EngineProcess,
    Host,
    Keeps,
    serve_until_idle,
)
from shipway.engine.intake import Intake
from shipway.engine.keeper import Keeper
from shipway.engine.letters import Letters
from shipway.engine.once import Answers
from shipway.engine.places import Places
from shipway.engine.queries import Queries
from shipway.engine.record import Reporter
from shipway.flags.editing import Switchboard
from shipway.flags.opening import flags_of, keeping
from shipway.health.check import Status
from shipway.health.ground import Check, CheckResult, doctor_checks
from shipway.health.registry import Registry
from shipway.release.releases import Releases
from shipway.store import figures
from shipway.store.artifacts import ArtifactStore
from shipway.store.database import Database
from shipway.store.opening import REVISION, database, prepare, revision_for_us
from shipway.telemetry.logs import configure


class System:
    """What a command works with; ``embedded`` has the engine in this process, not beside it."""

    def __init__(self, settings: Settings, *, embedded: bool = False) -> None:
        self.settings = settings
        prepare_directories(settings)
        self._places = Places(settings.home)
        self.live = Live(settings)
        log_as_set(self.live, self._places)
        self.database = prepare(self._places.database, settings)
        self.artifacts = ArtifactStore(self._places.artifacts)
        self.queries = Queries(self.database, settings.home, self.artifacts)
        self.embedded = EmbeddedEngine(settings.home, self._make_engine) if embedded else None
        self._engine: Keeps = self.embedded or EngineProcess(settings.home)

    def _make_engine(self) -> Engine:
        from shipway.engine.measures import Measures

        engine = make_engine(self.live, self.database, self.artifacts, self.queries)
        engine.observers.append(Measures())
        return engine

    @cached_property
    def commands(self) -> Commands:
        intake = Intake(self.settings.home, self.artifacts)
        return Commands(
            self.database,
            self.settings.home,
            intake,
            self._engine.ensure,
            limits=limits_of(self.settings),
        )

    @cached_property
    def board(self) -> Switchboard:
        return Switchboard(keeping(self.settings, self.database))

    @cached_property
    def agents(self) -> AgentRegistry:
        from shipway.agents.wiring import registry

        return registry(self.settings)

    @cached_property
    def answers(self) -> Answers:
        return Answers(self.database)

    @cached_property
    def letters(self) -> Letters:
        return Letters(self.database, self.queries)

    @cached_property
    def releases(self) -> Releases:
        return Releases(self.settings.home)

    @contextmanager
    def host(self) -> Iterator[Host]:
        with Host(self._engine, self.commands, self.queries, self._places) as host:
            yield host

    def detach(self, _run: str) -> None:
        """Make sure that the run goes on without anybody watching."""
        self._engine.ensure()

    def ensure_progress(self) -> int:
        """Carry on runs that were left in the middle; returns how many an engine had to be started for."""
        left = self.queries.interrupted()
        if left and not self._engine.starting() and not self._engine.alive():
            self._engine.ensure()
            return left
        return 0

    def close(self) -> None:
        self.database.close()


def open_keeper(settings: Settings) -> Keeper:
    """Who looks after the database; raises ConfigurationError as ``open_system`` does."""
    prepare_directories(settings)
    configure(settings.log_level, Places(settings.home).log_lines)
    return Keeper(settings)


def open_system(settings: Settings, *, embedded: bool = False) -> System:
    """Raises ConfigurationError when the state directory cannot be used."""
    return System(settings, embedded=embedded)


def log_as_set(live: Live, places: Places) -> None:
    """Log lines as the settings say, also when those change."""

    def act(settings: Settings) -> None:
        configure(settings.log_level, places.log_lines)

    act(live.settings)
    live.when_changed("log_level", act)


def make_engine(
    live: Live, database: Database, artifacts: ArtifactStore, queries: Queries
) -> Engine:
    """An engine with every agent there is, not started."""
    from shipway.agents.wiring import registry

    settings = live.settings
    reporter = Reporter(settings.home, queries, artifacts)
    engine = Engine(settings, database, registry(settings), artifacts, reporter.write)
    engine.flags = flags_of(settings, database)
    live.when_changed("max_attempts_at_once", engine.adopt)
    return engine


def serve(settings: Settings) -> Ended:
    """Be the engine of a state directory until nothing moves, unless there is one already."""
    places = Places(settings.home)
    live = Live(settings)
    log_as_set(live, places)
    live.listen()
    database = prepare(places.database, settings)
    artifacts = ArtifactStore(places.artifacts)
    queries = Queries(database, settings.home, artifacts)
    while True:
        engine = make_engine(live, database, artifacts, queries)
        ended = serve_until_idle(engine)
        # What was submitted while we let go of the directory counted on us to be there.
        if ended is not Ended.IDLE or not queries.interrupted():
            return ended


def health_of(system: System) -> Registry:
    """What is asked again and again while a process serves, with how each thing is asked."""
    from shipway.agents.wiring import registry
    from shipway.health import standard
    from shipway.telemetry.metrics import breaker_states

    found = Registry(system.settings.health_required)
    database, home = system.database, system.settings.home
    agents = registry(system.settings)
    found.add(
        standard.database(database.revision),
        standard.migrations(lambda: revision_for_us(database), REVISION),
        standard.agents(agents.capabilities),
        standard.filesystem(home),
        standard.disk(home),
        standard.pools(lambda: _pool(database)),
        standard.queue(lambda: _waiting(database)),
        standard.breakers(breaker_states),
        standard.dead_letters(lambda: _dead(system.letters)),
    )
    found.add_plugins()
    found.check_required()
    return found


def _waiting(database: Database) -> tuple[int, float, int]:
    """Also says how many runs there are of each status, for the metrics."""
    from shipway.telemetry import metrics

    with database.reading() as connection:
        found = figures.waiting(connection)
        by_status = figures.runs_by_status(connection)
    metrics.RUNS.keep_only({(status,): float(count) for status, count in by_status.items()})
    age = 0.0 if found.oldest is None else max(0.0, time.time() - found.oldest)
    return found.runs, age, found.orders


def _dead(letters: Letters) -> tuple[int, float | None]:
    now = letters.depth()
    return now.depth, now.oldest


def _pool(database: Database) -> dict[str, tuple[int, int, int]]:
    now = database.figures()
    return {"database": (now.open - now.idle, now.limit, now.waiting)}


def doctor(settings: Settings) -> list[CheckResult]:
    """Whether this machine is ready: the ground's own checks, then the fence really tried."""

    from shipway.workspace.fence import Fence

    def fence() -> tuple[Status, str]:
        report = Fence(settings.fence).probe()
        walls = [name for name, stands in report.model_dump().items() if stands is True]
        missing = [name for name in ("user", "pids", "mounts", "network") if name not in walls]
        if missing:
            weak = Status.FAIL if settings.fence == "strict" else Status.WARN
            return weak, f"{report.mechanism}: no wall for {', '.join(missing)}"
        return Status.PASS, f"{report.mechanism}: {', '.join(walls)}"

    def stored() -> tuple[Status, str]:
        found = database(Places(settings.home).database, settings)
        began = time.monotonic()
        try:
            present, (release, fits) = revision_for_us(found), found.release()
            took = (time.monotonic() - began) * 1000
        finally:
            found.close()
        if not fits:
            return Status.FAIL, f"{release} is too old: {found.name}"
        if present not in {None, REVISION}:
            return Status.WARN, f"tables of another version ({present}): {found.name}"
        state = "no tables yet" if present is None else "up to date"
        return Status.PASS, f"{release}, {state}, answered in {took:.0f} ms: {found.name}"

    remedy = "apt install util-linux and allow user namespaces, or set SHIPWAY_FENCE=degraded"
    mend = "see what is wrong with: shipway db check"
    return doctor_checks(settings, [Check("database", stored, mend), Check("fence", fence, remedy)])
