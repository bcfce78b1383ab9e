"""Where faults happen: processes that are kept up over one database, and what must hold afterwards."""

from __future__ import annotations

import itertools
import signal
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import river
from crew import Crew, Process

from servers import Postgres, Redis
from shipway.domain.states import RunStatus
from shipway.release.releases import Releases
from shipway.store import fleet as claims

PAUSE = 0.08  # long enough to be announced as running
HELD = 60.0  # an attempt that somebody else has to end
DIES_WITHIN = 150.0
ENDS_WITHIN = 240.0
_LOOK_EVERY = 0.05
_SUBMIT_EVERY = 20.0


@dataclass
class Row:
    """What a fault came to: ``lost``, ``doubled`` and ``stuck`` must be 0.

    ``repeated`` counts messages that came again under their key, which their receiver knows.
    """

    fault: str
    where: str
    rounds: int = 0
    kills: int = 0
    runs: int = 0
    lost: int = 0
    doubled: int = 0
    stuck: int = 0
    repeated: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not (self.lost or self.doubled or self.stuck)


class Scene(ABC):
    """A crew on a home of its own, with a repository to merge into and a service to deploy."""

    where = "sqlite"
    server: Postgres | None = None
    redis: Redis | None = None

    def __init__(self, crew: Crew, repository: Path) -> None:
        self.crew = crew
        crew.around["RIVER"] = "yes"
        self.repository = repository
        self.kills = 0

    @abstractmethod
    def man(self) -> None:
        """Whoever died is started again."""

    @abstractmethod
    def processes(self) -> list[Process]:
        """Those that carry runs now."""

    def submit(self) -> str:
        return self.crew.submit(river.RIVER, self.repository)

    # What faults are made of

    def until_dead(self, dying: Process, runs: list[str]) -> None:
        """Give it runs to carry until it has come to its point."""
        give_up = time.monotonic() + DIES_WITHIN
        while dying.poll() is None:
            assert time.monotonic() < give_up, "it did not come to its point"
            run = self.submit()
            runs.append(run)
            next_at = time.monotonic() + _SUBMIT_EVERY
            while dying.poll() is None and time.monotonic() < next_at:
                if self.crew.queries.status(run).is_final:
                    break  # it was not the one that came to the point: once more
                time.sleep(_LOOK_EVERY)
        self._died(dying)

    def wait_dead(self, dying: Process, within: float = DIES_WITHIN) -> None:
        dying.wait(within)
        self._died(dying)

    def _died(self, dying: Process) -> None:
        assert dying.returncode == -signal.SIGKILL, f"it ended by itself: {dying.returncode}"
        self.kills += 1

    def kill(self, process: Process) -> None:
        process.kill()
        process.wait()
        self.kills += 1

    def hold(self, holder: Process, runs: list[str]) -> str:
        """Let a process whose work takes long begin a run."""
        run = self.submit()
        runs.append(run)
        self.crew.eventually(
            lambda: any(line["pid"] == holder.pid for line in self.crew.ledger.of("begin", run)),
            within=DIES_WITHIN,
        )
        return run

    # What must hold

    def judge(self, runs: list[str], row: Row) -> None:
        """Wait for the runs, then count what was lost, doubled or stuck."""
        ended = [run for run in runs if self._ends(run, row)]
        merged, switched = river.merges(self.repository), river.switches(self.crew.settings.home)
        told = self.crew.ledger.effects()
        for run in ended:
            counts = (merged[run], switched[run], told[run, "notify"])
            row.lost += sum(count == 0 for count in counts)
            row.doubled += sum(count > 1 for count in counts)
            row.doubled += self._doubled_inside(run)
            if min(counts) < 1 or max(counts) > 1:
                row.notes.append(f"{run}: merges, switches, messages {counts}")
        for run in ended:
            repeated = [line["key"] for line in self.crew.ledger.of("effect", run)]
            row.repeated += len(repeated) - len(set(repeated))

    def _ends(self, run: str, row: Row) -> bool:
        try:
            detail = self.crew.until(run, within=ENDS_WITHIN)
        except AssertionError:
            row.stuck += 1
            row.notes.append(f"{run} did not end: {self.crew.queries.status(run)}")
            sys.stderr.write(f"{row.fault}: {run} is stuck\n{self.crew.logs()}\n")
            return False
        if detail.summary.status is not RunStatus.SUCCEEDED:
            row.lost += 1
            why = detail.stop.message if detail.stop else "?"
            row.notes.append(f"{run} {detail.summary.status}: {why}")
            return False
        return True

    def _doubled_inside(self, run: str) -> int:
        """Stages that passed more than once, and events that are not one history."""
        events = self.crew.queries.events(run)
        passed = Counter(event.stage for event in events if event.type == "StagePassed")
        gaps = [event.seq for event in events] != list(range(1, len(events) + 1))
        return sum(count > 1 for count in passed.values()) + gaps

    def settle(self, row: Row) -> None:
        """At the end nothing is left open, and the branch moved once for each commit on it."""
        give_up = time.monotonic() + ENDS_WITHIN
        while (left := self._left_open()) and time.monotonic() < give_up:
            time.sleep(_LOOK_EVERY)
        row.stuck += len(left)
        row.notes += [f"left open: {one}" for one in left]
        extra = river.moves(self.repository) - sum(river.merges(self.repository).values())
        if extra:
            row.doubled += abs(extra)
            row.notes.append(f"the branch moved {extra} times more than it has commits")

    def _left_open(self) -> list[str]:
        with self.crew.database.reading() as connection:
            asked = ["SELECT 'order', run FROM orders WHERE status = 'open'"]
            if self.crew.database.kind == "postgresql":
                asked += ["SELECT 'claim', run FROM claims", "SELECT 'report', run FROM reports"]
            return [f"{a} of {b}" for one in asked for a, b in connection.execute(one).fetchall()]


class LoneScene(Scene):
    """One engine on SQLite, which does everything."""

    engine: Process | None = None

    def man(self) -> None:
        if self.engine is None or self.engine.poll() is not None:
            self.engine = self.crew.alone(PAUSE)

    def processes(self) -> list[Process]:
        return [] if self.engine is None else [self.engine]

    def rest(self) -> None:
        """Nobody owns the home."""
        if self.engine is not None and self.engine.poll() is None:
            self.engine.terminate()
            self.engine.wait(60)


class FleetScene(Scene):
    """Engines and workers over PostgreSQL."""

    where = "postgresql"

    def __init__(self, crew: Crew, repository: Path, engines: int = 1, workers: int = 1) -> None:
        super().__init__(crew, repository)
        self._want = (engines, workers)
        self.engines: list[Process] = []
        self.workers: list[Process] = []

    def man(self) -> None:
        self.engines = [one for one in self.engines if one.poll() is None]
        self.workers = [one for one in self.workers if one.poll() is None]
        new = [self.crew.engine() for _ in range(self._want[0] - len(self.engines))]
        more = [self.crew.worker(2, PAUSE) for _ in range(self._want[1] - len(self.workers))]
        self.engines += new
        self.workers += more
        self.crew.ready(*new, *more, within=DIES_WITHIN)

    def processes(self) -> list[Process]:
        return [*self.workers, *self.engines]

    @contextmanager
    def resting(self) -> Iterator[None]:
        """The workers take nothing new meanwhile: the one that is to fall gets the work."""
        pids = {one.pid for one in self.workers}
        ids = [view.id for view in self.crew.roll.workers() if view.pid in pids]
        self._drain(ids, draining=True)
        try:
            yield
        finally:
            self._drain(ids, draining=False)

    def _drain(self, ids: list[str], *, draining: bool) -> None:
        with self.crew.database.writing() as connection:
            for one in ids:
                claims.drain(connection, one, draining=draining)

    def without_engines(self) -> None:
        for engine in self.engines:
            engine.terminate()
        for engine in self.engines:
            engine.wait(60)


_numbers = itertools.count(1)


@contextmanager
def place(parent: Path) -> Iterator[tuple[Path, Path]]:
    """A directory for a scene, and a short one for sockets."""
    made = parent / f"scene-{next(_numbers)}"
    (made / "home").mkdir(parents=True)
    with tempfile.TemporaryDirectory() as sockets:
        yield made, Path(sockets)


@contextmanager
def crewed(
    parent: Path, url: str | None, where: Path | None = None, **given: Any
) -> Iterator[tuple[Crew, Path]]:
    """A crew on a new home (or the one in ``where``) with a repository; services are stopped after it."""
    with ExitStack() as stack:
        made, sockets = stack.enter_context(place(parent))
        made = where or made
        crew = stack.enter_context(Crew(made / "home", made / "cache", url, sockets, **given))
        stack.callback(Releases(made / "home").stop, all=True)
        yield crew, river.repository(made, bare=url is not None)


@contextmanager
def lone(parent: Path, where: Path | None = None) -> Iterator[LoneScene]:
    with crewed(parent, None, where) as (crew, repository):
        yield LoneScene(crew, repository)


@contextmanager
def fleet(
    parent: Path, server: Postgres, engines: int = 1, workers: int = 1, url: str | None = None,
    where: Path | None = None, **given: Any,
) -> Iterator[FleetScene]:  # fmt: skip
    with crewed(parent, url or server.create(), where, **given) as (crew, repository):
        made = FleetScene(crew, repository, engines, workers)
        made.server = server
        yield made


def beside(work: Callable[[], None]) -> threading.Thread:
    """Something that waits for an answer, in a thread of its own."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
