"""Settings in, a wired system out: the only room that knows every other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.agents.registry import Registry as AgentRegistry
from shipway.bus.link import Link
from shipway.bus.wiring import link, sharing, wire
from shipway.config import Settings
from shipway.config import prepare as prepare_directories
from shipway.config.reload import Live
from shipway.engine.admission import limits_of
from shipway.engine.alone import Alone
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
from shipway.errors import ConfigurationError, ConflictError, NetworkError, UsageError
from shipway.flags.editing import Switchboard
from shipway.flags.opening import flags_of, keeping
from shipway.health.check import Status
from shipway.health.ground import Check, CheckResult, doctor_checks
from shipway.health.registry import Registry
from shipway.lifecycle import Lifecycle, Part
from shipway.release.releases import Releases
from shipway.resilience.ports import share
from shipway.store import figures
from shipway.store.artifacts import ArtifactStore
from shipway.store.database import Database
from shipway.store.opening import REVISION, Look, database, prepare, revision_for_us
from shipway.telemetry.logs import configure

if TYPE_CHECKING:
    from shipway.engine.dispatch.fleet.queue import Placing
    from shipway.engine.dispatch.fleet.worker import Worker
    from shipway.engine.fleet import Fleet
    from shipway.engine.roll import Roll

_LOOK_AGAIN = 0.2


class System:
    """What a command works with; ``embedded`` has the engine in this process, not beside it."""

    def __init__(self, settings: Settings, *, embedded: bool = False) -> None:
        self.settings = settings
        prepare_directories(settings)
        self._places = Places(settings.home)
        self.live = Live(settings)
        log_as_set(self.live, self._places)
        self.database, self.link = connect(settings)
        self.artifacts = ArtifactStore(self._places.artifacts)
        self.queries = Queries(self.database, settings.home, self.artifacts)
        self.roll = roll(settings, self.database)
        self.embedded = EmbeddedEngine(settings.home, self._make_engine) if embedded else None
        self._engine: Keeps = self.embedded or self.roll or EngineProcess(settings.home)

    def _make_engine(self) -> Engine:
        from shipway.engine.measures import Measures

        engine = make_engine(self.live, self.database, self.artifacts, self.queries, self.link)
        engine.observers.append(Measures())
        return engine

    @cached_property
    def commands(self) -> Commands:
        intake = Intake(self.settings.home, self.artifacts)
        place = None if self.roll is None else enter(self.database, self.settings.home).orders
        return Commands(
            self.database,
            self.settings.home,
            intake,
            self._engine.ensure,
            limits=limits_of(self.settings),
            place=place,
        )

    @cached_property
    def board(self) -> Switchboard:
        return Switchboard(keeping(self.settings, self.database))

    @cached_property
    def agents(self) -> AgentRegistry:
        from shipway.agents.wiring import registry

        return registry(self.settings)

    @cached_property
    def crew(self) -> Roll | Alone:
        """Who does the work: the fleet, or this installation on its own."""
        return self.roll or Alone(self.agents, self.settings.max_attempts_at_once)

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

    def objections(self, run: str) -> list[str]:
        """What keeps a run from going on now, as far as the fleet is concerned."""
        if self.roll is None:
            return []
        stages = self.queries.run(run).stages
        alone = self.roll.unserved((stage.capability, stage.agent) for stage in stages)
        found = [f"no worker for {', '.join(alone)} is there now"] if alone else []
        return found if self.roll.alive() else ["no engine is there now", *found]

    def ensure_progress(self) -> int:
        """Carry on runs that were left in the middle; returns how many an engine had to be started for."""
        if self.roll is not None:
            return 0  # engines of a fleet are started by those who run it
        left = self.queries.interrupted()
        if left and not self._engine.starting() and not self._engine.alive():
            self._engine.ensure()
            return left
        return 0

    def close(self) -> None:
        close(self.database, self.link)


def connect(settings: Settings) -> tuple[Database, Link | None]:
    """The database with its tables, and the bus that its commits ring on, if there is one."""
    found, bus = prepare(Places(settings.home).database, settings), link(settings)
    if bus is not None:
        found.bell.wire = wire(bus)
        bus.ending = share(sharing(bus))
    return found, bus


def close(database: Database, bus: Link | None) -> None:
    """Let go of both, at the very end: what was committed last is still to be heard by others."""
    if bus is not None:
        bus.close()
    database.close()


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
    live: Live,
    database: Database,
    artifacts: ArtifactStore,
    queries: Queries,
    bus: Link | None = None,
) -> Engine:
    """An engine with every agent there is, not started."""
    from shipway.agents.wiring import registry

    settings = live.settings
    reporter = Reporter(settings.home, queries, artifacts)
    side = fleet_side(settings, database, bus)
    engine = Engine(settings, database, registry(settings), artifacts, reporter.write, fleet=side)
    engine.flags = flags_of(settings, database)
    live.when_changed("max_attempts_at_once", engine.adopt)
    return engine


def roll(settings: Settings, database: Database) -> Roll | None:
    """Who is there, where the database is one that a fleet shares."""
    if database.kind != "postgresql":
        return None
    from shipway.engine.roll import Roll

    return Roll(database, settings.worker_lease_s)


def enter(database: Database, home: Path) -> Placing:
    """Begin to take part in a fleet; raises ConfigurationError when ``home`` is another one."""
    from shipway.engine.dispatch.fleet.home import enter

    return enter(database, home)


def fleet_side(settings: Settings, database: Database, bus: Link | None) -> Fleet | None:
    """What an engine needs beside itself where the database is one that a fleet shares."""
    if database.kind != "postgresql":
        return None
    from shipway.engine.fleet import Fleet

    enter(database, settings.home)
    return Fleet(settings, database, bus)


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
    from shipway.agents.wiring import registry
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
        checks = _common_checks(settings, database, bus)
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


def health_of(system: System) -> Registry:
    """What is asked again and again while a process serves, with how each thing is asked."""
    from shipway.health import standard

    database, crew = system.database, system.roll
    found = _common_checks(system.settings, database, system.link)
    found.add(
        standard.queue(lambda: _waiting(database)),
        standard.dead_letters(lambda: _dead(system.letters)),
    )
    if crew is not None:
        found.add(standard.workers(lambda: (crew.working(), _waiting(database)[2])))
    found.add_plugins()
    found.check_required()
    return found


def _common_checks(settings: Settings, database: Database, bus: Link | None) -> Registry:
    """What every process that lives for a while is asked, a server and a worker alike."""
    from shipway.agents.wiring import registry
    from shipway.health import standard
    from shipway.telemetry.metrics import breaker_states

    found = Registry(settings.health_required)
    look = Look(database.lookout())
    found.add(
        standard.database(look.once),
        standard.migrations(look.revision, REVISION),
        standard.agents(registry(settings).capabilities),
        standard.filesystem(settings.home),
        standard.disk(settings.home),
        standard.pools(lambda: _pools(database, bus)),
        standard.breakers(breaker_states),
    )
    if bus is not None:
        found.add(standard.redis(bus.ping))
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


def _pools(database: Database, bus: Link | None) -> dict[str, tuple[int, int, int]]:
    now = database.figures()
    shared = {} if bus is None else {"redis": bus.usage()}
    return {"database": (now.open - now.idle, now.limit, now.waiting), **shared}


def doctor(settings: Settings) -> list[CheckResult]:
    """Whether this machine is ready: the ground's own checks, then the fence really tried."""

    from shipway.workspace.fence import Fence

    configure("error")  # what a check finds is in its own line

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
    more = [Check("database", stored, mend), Check("fence", fence, remedy)]
    bus = link(settings)
    if bus is not None:
        more.append(_redis_check(bus, needed="redis:ping" in settings.health_required))
    try:
        return doctor_checks(settings, more)
    finally:
        if bus is not None:
            bus.close()


def _redis_check(bus: Link, *, needed: bool) -> Check:
    """It is not needed unless somebody said so; who uses one wants to know that it is there."""

    def probe() -> tuple[Status, str]:
        away = Status.FAIL if needed else Status.WARN
        began = time.monotonic()
        try:
            server = bus.about()
        except NetworkError as error:
            return away, error.message
        took = (time.monotonic() - began) * 1000
        if not server.fits:
            return away, f"Redis {server.version} is too old: 6.2 or later is needed"
        most = f" of {server.limit / 2**20:.0f}" if server.limit else ""
        memory = f"{server.used / 2**20:.1f}{most} MiB used"
        return Status.PASS, f"Redis {server.version}, {memory}, answered in {took:.0f} ms"

    return Check("redis", probe, "see that Redis runs and that SHIPWAY_REDIS_URL names it")
