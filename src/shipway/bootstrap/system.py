"""What a command works with: the database, reads at once, and the rest when it is asked for.

Most commands only read: what starts runs, carries them or looks after a fleet is imported where it is
made, so that a command answers soon.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from shipway.bus.wiring import link, sharing, wire
from shipway.config import Settings
from shipway.config import prepare as prepare_directories
from shipway.config.reload import Live
from shipway.engine.host import EmbeddedEngine, EngineProcess, Host, Keeps
from shipway.engine.places import Places
from shipway.engine.queries import Queries
from shipway.release.releases import Releases
from shipway.store.artifacts import ArtifactStore
from shipway.store.database import Database
from shipway.store.opening import prepare
from shipway.telemetry.logs import configure

if TYPE_CHECKING:
    from pathlib import Path

    from shipway.agents.registry import Registry
    from shipway.bus.link import Link
    from shipway.engine.alone import Alone
    from shipway.engine.commands import Commands
    from shipway.engine.dispatch.fleet.queue import Placing
    from shipway.engine.engine import Engine
    from shipway.engine.keeper import Keeper
    from shipway.engine.letters import Letters
    from shipway.engine.once import Answers
    from shipway.engine.roll import Roll
    from shipway.flags.editing import Switchboard


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
        from shipway.bootstrap.engines import make_engine
        from shipway.engine.measures import Measures

        engine = make_engine(self.live, self.database, self.artifacts, self.queries, self.link)
        engine.observers.append(Measures())
        return engine

    @cached_property
    def commands(self) -> Commands:
        from shipway.engine.admission import limits_of
        from shipway.engine.commands import Commands
        from shipway.engine.intake import Intake

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
        from shipway.flags.editing import Switchboard
        from shipway.flags.opening import keeping

        return Switchboard(keeping(self.settings, self.database))

    @cached_property
    def agents(self) -> Registry:
        from shipway.agents.wiring import registry

        return registry(self.settings)

    @cached_property
    def crew(self) -> Roll | Alone:
        """Who does the work: the fleet, or this installation on its own."""
        from shipway.engine.alone import Alone

        return self.roll or Alone(self.agents, self.settings.max_attempts_at_once)

    @cached_property
    def answers(self) -> Answers:
        from shipway.engine.once import Answers

        return Answers(self.database)

    @cached_property
    def letters(self) -> Letters:
        from shipway.engine.letters import Letters

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
        from shipway.resilience.ports import share

        bus.ending = share(sharing(bus))
    return found, bus


def close(database: Database, bus: Link | None) -> None:
    """Let go of both, at the very end: what was committed last is still to be heard by others."""
    if bus is not None:
        bus.close()
    database.close()


def open_keeper(settings: Settings) -> Keeper:
    """Who looks after the database; raises ConfigurationError as ``open_system`` does."""
    from shipway.engine.keeper import Keeper

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
