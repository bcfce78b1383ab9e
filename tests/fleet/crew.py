"""Engines and workers as processes over a real database, and a ledger of the messages they send."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from river import CONTRACTS_HERE
from scripted import SEVEN

from nursery import PROGRAMS, Process
from shipway.bootstrap.system import close, connect
from shipway.config import Settings, load_settings
from shipway.contracts.registry import Contract
from shipway.contracts.views import RunDetail
from shipway.domain.pipeline import Pipeline
from shipway.domain.states import RunStatus
from shipway.engine.admission import limits_of
from shipway.engine.commands import Commands
from shipway.engine.dispatch.fleet.home import enter
from shipway.engine.ids import run_id
from shipway.engine.intake import Intake, Ready
from shipway.engine.places import Places
from shipway.engine.queries import Queries
from shipway.engine.roll import Roll
from shipway.secrets import Secret
from shipway.store.artifacts import ArtifactStore
from shipway.store.database import Database
from shipway.telemetry.trace import new
from shipway.workspace.hub import Hub

HERE = Path(__file__).parent
NOWHERE = "nowhere"
BEAT, LEASE = 0.4, 3.0
#: Only so that what hangs ends: on a machine that is busy with other things a start takes a minute.
PATIENCE = 100.0
#: What runs migrations knows one of them at a time in a process.
_MIGRATING = threading.Lock()


class Ledger:
    """Whoever has an effect to make tells it here, and waits for the receipt: what is kept happened.

    It lives in a process that nothing is done to. An effect that comes again under its key is the
    same one, and is counted: once is right, twice with different keys is a fault of ours.
    """

    def __init__(self, path: Path) -> None:
        self.lines: list[dict[str, Any]] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line, line.makefile("rb") as file:
                told = file.readline()
                if told.endswith(b"\n"):
                    self.lines.append({"at": time.monotonic(), **json.loads(told)})
                    line.sendall(b"k")

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def of(
        self, what: str, run: str | None = None, stage: str | None = None
    ) -> list[dict[str, Any]]:
        return [
            line
            for line in list(self.lines)
            if line["what"] == what
            and run in {None, line["run"]}
            and stage in {None, line["stage"]}
        ]

    def effects(self) -> Counter[tuple[str, str]]:
        """How often each stage had an effect that its receiver could not know already."""
        keys = {(line["run"], line["stage"], line["key"]) for line in self.of("effect")}
        return Counter((run, stage) for run, stage, _ in keys)

    def repeated(self) -> int:
        """Effects that came again under their key: recognised, and not made again."""
        return len(self.of("effect")) - sum(self.effects().values())


def ready(plan: Pipeline, repository: str, artifacts: ArtifactStore) -> Ready:
    """A run as the intake would have made it."""
    requirement = artifacts.put(b"do it", "requirement.md", "text/markdown")
    values = {
        "requirement": requirement.model_dump(mode="json"),
        "kind": "change",
        "target": "main",
        "repository": repository,
        "answers": {},
    }
    return Ready(run_id(time.time()), new(), "do it", plan, values)


def submit(settings: Settings, commands: Commands, made: Ready) -> None:
    """As the intake does it: the run's own repository is there before the run is."""
    if made.values["repository"] != NOWHERE:
        Hub.create(Places(settings.home).hub(made.run))
    commands.start(made)


def commands_of(
    settings: Settings,
    database: Database,
    artifacts: ArtifactStore,
    contracts: Mapping[str, Contract] = CONTRACTS_HERE,
) -> Commands:
    place = enter(database, settings.home).orders if database.kind == "postgresql" else None
    return Commands(
        database,
        settings.home,
        Intake(settings.home, artifacts),
        lambda: None,
        contracts=contracts,
        limits=limits_of(settings),
        place=place,
    )


def environment(home: Path, cache: Path, url: str | None, **more: str) -> dict[str, str]:
    """What a process of ``carrying.py`` finds around itself."""
    tests = HERE.parent
    paths = [HERE, tests, tests / "engine", tests / "contracts", tests.parent / "src"]
    return {
        **os.environ,
        **({} if url is None else {"SHIPWAY_DATABASE_URL": url}),
        "SHIPWAY_HOME": str(home),
        "SHIPWAY_CACHE": str(cache),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        **more,
    }


def maker(place: Path, url: str | None, at: str) -> Process:
    """A process that makes the tables of a new home, before there is any crew."""
    around = environment(place / "home", place / "cache", url, FAULT_AT=at)
    return PROGRAMS.start([str(HERE / "carrying.py"), "maker"], env=around)


class Crew:
    """Starts and stops processes of one state directory; whatever still runs at the end is killed.

    With ``url`` they are a fleet over PostgreSQL, without it one engine on SQLite. ``started``: each
    process begins with its own interpreter, instead of being forked from one that has imported it all.
    """

    started = False

    def __init__(
        self, home: Path, cache: Path, url: str | None, sockets: Path, **given: Any
    ) -> None:
        self.settings = load_settings(
            home=home,
            cache=cache,
            database_url=None if url is None else Secret(url),
            **{"worker_beat_s": BEAT, "worker_lease_s": LEASE, **given},
        )
        self._url = url
        self.places = Places(home)
        with _MIGRATING:
            self.database, self.bus = connect(self.settings)
        self.artifacts = ArtifactStore(self.places.artifacts)
        self.queries = Queries(self.database, home, self.artifacts)
        self.roll = Roll(self.database, self.settings.worker_lease_s)
        self.commands = commands_of(self.settings, self.database, self.artifacts)
        self.ledger_path = sockets / "ledger"
        self.ledger = Ledger(self.ledger_path)
        self.processes: list[Process] = []
        #: What every process that is started from now on finds in its environment, too.
        self.around: dict[str, str] = {}

    def patient(self, lease: float) -> None:
        """For tests where nobody dies: a busy machine is not to look like a dead one."""
        self.settings = self.settings.model_copy(update={"worker_lease_s": lease})

    def engine(self, at: str = "") -> Process:
        return self.start("engine", at=at)

    def worker(self, limit: int = 4, pause: float = 0.0, at: str = "") -> Process:
        return self.start("worker", str(limit), str(pause), str(self.ledger_path), at=at)

    def alone(self, pause: float = 0.0, at: str = "") -> Process:
        return self.start("alone", str(pause), str(self.ledger_path), at=at)

    def speaks(self, version: int, kind: str, pause: float = 0.0) -> Process:
        """A member of another version; its agent is called by it."""
        words = (kind, str(version), str(pause), str(self.ledger_path))
        return self.start(*words, program="speaking.py")

    def start(
        self,
        *words: str,
        at: str = "",
        before: Sequence[str] = (),
        program: str = "carrying.py",
        **around: str,
    ) -> Process:
        """A process of ``program``; ``at`` is where a fault comes, ``before`` starts it."""
        with (self.settings.home / f"{words[0]}.log").open("ab") as log:
            given: dict[str, Any] = {
                "env": {**self._environment(), **self.around, **around, "FAULT_AT": at},
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": log,
            }
            line = [str(HERE / program), *words]
            process = (
                subprocess.Popen([*before, sys.executable, *line], **given)
                if before or self.started
                else PROGRAMS.start(line, **given)
            )
        self.processes.append(process)
        return process

    def _environment(self) -> dict[str, str]:
        settings, redis = self.settings, self.settings.redis_url
        return environment(
            settings.home,
            settings.cache,
            self._url,
            SHIPWAY_WORKER_BEAT_S=str(settings.worker_beat_s),
            SHIPWAY_WORKER_LEASE_S=str(settings.worker_lease_s),
            SHIPWAY_WORKER_GRACE_S=str(settings.worker_grace_s),
            SHIPWAY_NO_WORKER_S=str(settings.no_worker_s),
            SHIPWAY_CAPABILITY_LIMITS=settings.capability_limits,
            SHIPWAY_CAPABILITY_RATES=settings.capability_rates,
            SHIPWAY_MAX_RUNS=str(settings.max_runs),
            SHIPWAY_MAX_RUNS_PER_REPOSITORY=str(settings.max_runs_per_repository),
            **({} if redis is None else {"SHIPWAY_REDIS_URL": redis.reveal()}),
        )

    def ready(self, *processes: Process, within: float = PATIENCE) -> None:
        """Wait until each process has joined."""
        give_up = time.monotonic() + within
        names = {process.pid for process in processes}
        while not names <= {view.pid for view in self.roll.workers()}:
            for process in processes:
                assert process.poll() is None, self.logs()
            assert time.monotonic() < give_up, self.logs()
            time.sleep(0.02)

    def submit(
        self,
        plan: Pipeline = SEVEN,
        repository: Path | None = None,
        contracts: Mapping[str, Contract] | None = None,
    ) -> str:
        """A run; with ``contracts`` as an installation that knows these would submit it."""
        made = ready(plan, str(repository or NOWHERE), self.artifacts)
        commands = self.commands
        if contracts is not None:
            commands = commands_of(self.settings, self.database, self.artifacts, contracts)
        submit(self.settings, commands, made)
        return made.run

    def until(self, run: str, *statuses: RunStatus, within: float = PATIENCE) -> RunDetail:
        """The run once it has one of the statuses (any final one if none is named)."""
        found: list[RunDetail] = []

        def there() -> bool:
            status = self.queries.status(run)
            if status in statuses or (not statuses and status.is_final):
                found.append(self.queries.run(run))
            return bool(found)

        self.eventually(there, within)
        return found[0]

    def inside(self) -> int:
        """How many attempts are in a lane of which only so many may be at once."""
        with self.database.reading() as connection:
            count: int = connection.execute("SELECT count(*) FROM lanes").fetchone()[0]
        return count

    def eventually(self, happened: Callable[[], bool], within: float = PATIENCE) -> None:
        give_up = time.monotonic() + within
        while not happened():
            assert time.monotonic() < give_up, f"it never happened\n{self.logs()}"
            time.sleep(0.02)

    def logs(self) -> str:
        """The end of what the processes said, for a test that fails."""
        return "\n".join(
            f"{path.name}: {path.read_bytes()[-6000:].decode(errors='replace')}"
            for path in sorted(self.settings.home.glob("*.log"))
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self.ledger.close()
        close(self.database, self.bus)
