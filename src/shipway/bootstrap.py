"""Settings in, a wired system out: the only room that knows every other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from shipway.config import Settings
from shipway.engine.commands import Commands
from shipway.engine.engine import Engine
from shipway.engine.host import EngineProcess, Host, serve_until_idle
from shipway.engine.intake import Intake
from shipway.engine.places import Places
from shipway.engine.queries import Queries
from shipway.engine.record import Reporter
from shipway.release.releases import Releases
from shipway.store.artifacts import ArtifactStore
from shipway.store.database import prepare
from shipway.telemetry.logs import configure


class System:
    """What a command works with; nothing runs in the background of this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._places = Places(settings.home)
        self._database = prepare(self._places.database)
        self._artifacts = ArtifactStore(self._places.artifacts)
        self._engine = EngineProcess(settings.home)
        self.queries = Queries(self._database, settings.home, self._artifacts)

    @cached_property
    def commands(self) -> Commands:
        intake = Intake(self.settings.home, self._artifacts)
        return Commands(self._database, self.settings.home, intake, self._engine.ensure)

    @cached_property
    def releases(self) -> Releases:
        return Releases(self.settings.home)

    @contextmanager
    def host(self) -> Iterator[Host]:
        with Host(self._engine, self.commands, self.queries) as host:
            yield host

    def detach(self, _run: str) -> None:
        """Make sure that the run goes on without anybody watching."""
        self._engine.ensure()

    def ensure_progress(self) -> int:
        """Carry on runs that were left in the middle; returns how many an engine had to be started for."""
        left = self.queries.interrupted()
        if left and not self._engine.alive():
            self._engine.ensure()
            return left
        return 0

    def close(self) -> None:
        self._database.close()


def open_system(settings: Settings) -> System:
    """Raises ConfigurationError when the state directory cannot be used."""
    return System(settings)


def serve(settings: Settings) -> bool:
    """Be the engine of a state directory until nothing moves; False if there is one already."""
    from shipway.agents.wiring import registry  # noqa: PLC0415 - agents load what commands never need

    configure(settings.log_level)
    places = Places(settings.home)
    database = prepare(places.database)
    artifacts = ArtifactStore(places.artifacts)
    queries = Queries(database, settings.home, artifacts)
    reporter = Reporter(settings.home, queries, artifacts)
    engine = Engine(settings, database, registry(settings), artifacts, reporter.write)
    return serve_until_idle(engine)
