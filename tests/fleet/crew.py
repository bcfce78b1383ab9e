"""A fleet for tests: engines and workers as processes over a real PostgreSQL, and a ledger of effects."""

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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from scripted import SEVEN, WORK

from shipway.bootstrap import close, connect
from shipway.config import load_settings
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
from shipway.telemetry.trace import new

HERE = Path(__file__).parent
EFFECTS = {"integrate", "deploy"}
BEAT, LEASE = 0.4, 3.0


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


class Crew:
    """Starts and stops processes of one fleet; whatever still runs at the end is killed."""

    def __init__(self, home: Path, cache: Path, url: str, sockets: Path, **given: Any) -> None:
        self.settings = load_settings(
            home=home,
            cache=cache,
            database_url=Secret(url),
            **{"worker_beat_s": BEAT, "worker_lease_s": LEASE, **given},
        )
        self._url = url
        self.places = Places(home)
        self.database, self.bus = connect(self.settings)
        self.artifacts = ArtifactStore(self.places.artifacts)
        self.queries = Queries(self.database, home, self.artifacts)
        self.roll = Roll(self.database, self.settings.worker_lease_s)
        placing = enter(self.database, home)
        self.commands = Commands(
            self.database,
            home,
            Intake(home, self.artifacts),
            lambda: None,
            contracts=WORK,
            limits=limits_of(self.settings),
            place=placing.orders,
        )
        self.ledger_path = sockets / "ledger"
        self.ledger = Ledger(self.ledger_path)
        self.processes: list[subprocess.Popen[bytes]] = []

    def patient(self, lease: float) -> None:
        """For tests where nobody dies: a busy machine is not to look like a dead one."""
        self.settings = self.settings.model_copy(update={"worker_lease_s": lease})

    def engine(self, kill_at: str = "") -> subprocess.Popen[bytes]:
        return self._start("engine", kill_at=kill_at)

    def worker(
        self, limit: int = 4, pause: float = 0.0, kill_at: str = ""
    ) -> subprocess.Popen[bytes]:
        words = ("worker", str(limit), str(pause), str(self.ledger_path))
        return self._start(*words, kill_at=kill_at)

    def _start(self, *words: str, kill_at: str) -> subprocess.Popen[bytes]:
        with (self.settings.home / f"{words[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(HERE / "carrying.py"), *words],
                env={**self._environment(), **({"KILL_AT": kill_at} if kill_at else {})},
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def _environment(self) -> Mapping[str, str]:
        engine = HERE.parent / "engine"
        return {
            **os.environ,
            "SHIPWAY_HOME": str(self.settings.home),
            "SHIPWAY_CACHE": str(self.settings.cache),
            "SHIPWAY_DATABASE_URL": self._url,
            "SHIPWAY_WORKER_BEAT_S": str(self.settings.worker_beat_s),
            "SHIPWAY_WORKER_LEASE_S": str(self.settings.worker_lease_s),
            "SHIPWAY_WORKER_GRACE_S": str(self.settings.worker_grace_s),
            "SHIPWAY_NO_WORKER_S": str(self.settings.no_worker_s),
            "SHIPWAY_CAPABILITY_LIMITS": self.settings.capability_limits,
            "SHIPWAY_CAPABILITY_RATES": self.settings.capability_rates,
            "SHIPWAY_MAX_RUNS": str(self.settings.max_runs),
            "SHIPWAY_MAX_RUNS_PER_REPOSITORY": str(self.settings.max_runs_per_repository),
            **self._redis(),
            "PYTHONPATH": os.pathsep.join([str(HERE), str(engine), str(HERE.parents[1] / "src")]),
        }

    def _redis(self) -> Mapping[str, str]:
        url = self.settings.redis_url
        return {} if url is None else {"SHIPWAY_REDIS_URL": url.reveal()}

    def ready(self, *processes: subprocess.Popen[bytes], within: float = 40.0) -> None:
        """Wait until each process has joined."""
        give_up = time.monotonic() + within
        names = {process.pid for process in processes}
        while not names <= {view.pid for view in self.roll.workers()}:
            for process in processes:
                assert process.poll() is None, self.logs()
            assert time.monotonic() < give_up, self.logs()
            time.sleep(0.02)

    def submit(self, plan: Pipeline = SEVEN, repository: str = "somewhere") -> str:
        requirement = self.artifacts.put(b"do it", "requirement.md", "text/markdown")
        values = {
            "requirement": requirement.model_dump(mode="json"),
            "kind": "change",
            "target": "main",
            "repository": repository,
            "answers": {},
        }
        ready = Ready(run_id(time.time()), new(), "do it", plan, values)
        self.commands.start(ready)
        return ready.run

    def until(self, run: str, *statuses: RunStatus, within: float = 30.0) -> RunDetail:
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

    def eventually(self, happened: Callable[[], bool], within: float = 30.0) -> None:
        give_up = time.monotonic() + within
        while not happened():
            assert time.monotonic() < give_up, f"it never happened\n{self.logs()}"
            time.sleep(0.02)

    def logs(self) -> str:
        """The end of what the processes said, for a test that fails."""
        return "\n".join(
            f"{path.name}: {path.read_text()[-6000:]}"
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
