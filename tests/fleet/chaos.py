"""``make chaos``: real processes over a real PostgreSQL, faults as data, and what must hold after each.

``N=`` rounds of kill -9, each at the next named point; then the faults of the table, once each. The
ledger of effects is kept by this process, to which nothing is done.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [
    str(HERE),
    str(HERE.parent),
    str(HERE.parent / "engine"),
    str(HERE.parents[1] / "src"),
]

from crew import LEASE, Crew  # noqa: E402 - the paths above come first
from points import POINTS  # noqa: E402

from servers import Postgres  # noqa: E402
from shipway.domain.states import RunStatus  # noqa: E402

_DIES_WITHIN = 60.0
_ENDS_WITHIN = 120.0


@dataclass
class Scene:
    """A fleet that is kept up: whoever died is started again."""

    crew: Crew
    server: Postgres
    engines: list[subprocess.Popen[bytes]] = field(default_factory=list)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def man(self) -> None:
        """Two engines and two workers, whatever happened to those before."""
        self.engines = [one for one in self.engines if one.poll() is None]
        self.workers = [one for one in self.workers if one.poll() is None]
        new = [self.crew.engine() for _ in range(2 - len(self.engines))]
        self.engines += new
        more = [self.crew.worker(2, 0.05) for _ in range(2 - len(self.workers))]
        self.workers += more
        self.crew.ready(*new, *more)

    @contextmanager
    def resting(self, processes: list[subprocess.Popen[bytes]]) -> Iterator[None]:
        """These workers take nothing new meanwhile: the one that is to die gets the work."""
        pids = {one.pid for one in processes}
        names = [view.name for view in self.crew.roll.workers() if view.pid in pids]
        for name in names:
            self.crew.roll.drain(name, draining=True)
        try:
            yield
        finally:
            for name in names:
                self.crew.roll.drain(name, draining=False)


def kill_at(point: str) -> Callable[[Scene, list[str]], None]:
    """A process that dies at a point while it carries a run."""

    def act(scene: Scene, runs: list[str]) -> None:
        if POINTS[point].who == "engine":
            dying = scene.crew.engine(point)
            _until_dead(scene, dying, runs)
            return
        with scene.resting(scene.workers):
            dying = scene.crew.worker(2, 0.05, point)
            _until_dead(scene, dying, runs)

    return act


def _until_dead(scene: Scene, dying: subprocess.Popen[bytes], runs: list[str]) -> None:
    give_up = time.monotonic() + _DIES_WITHIN
    while dying.poll() is None:
        assert time.monotonic() < give_up, f"it did not come to its point\n{scene.crew.logs()}"
        runs.append(scene.crew.submit())
        next_at = time.monotonic() + 3.0
        while dying.poll() is None and time.monotonic() < next_at:
            time.sleep(0.05)


def stand_still(scene: Scene, runs: list[str]) -> None:
    """A worker stops for longer than its lease, and wakes up with work that is not its own any more."""
    runs += [scene.crew.submit() for _ in range(3)]
    still = scene.workers[0]
    still.send_signal(signal.SIGSTOP)
    time.sleep(LEASE * 2)
    still.send_signal(signal.SIGCONT)


def restart_database(scene: Scene, runs: list[str]) -> None:
    runs += [scene.crew.submit() for _ in range(3)]
    scene.server.stop()
    scene.server.start()


def freeze_database(scene: Scene, runs: list[str]) -> None:
    runs += [scene.crew.submit() for _ in range(3)]
    scene.server.freeze()
    time.sleep(LEASE * 1.5)
    scene.server.thaw()


def kill_everybody(scene: Scene, runs: list[str]) -> None:
    runs += [scene.crew.submit() for _ in range(3)]
    for process in (*scene.engines, *scene.workers):
        process.kill()
        process.wait()


def roll_over(scene: Scene, runs: list[str]) -> None:
    """Everybody is stopped and started again, one after the other, under load."""
    for process in (*scene.workers, *scene.engines):
        runs.append(scene.crew.submit())
        process.terminate()
        process.wait(60)
        scene.man()


@dataclass(frozen=True)
class Fault:
    name: str
    act: Callable[[Scene, list[str]], None]


KILLS = tuple(Fault(f"kill -9 {name}", kill_at(name)) for name in POINTS)
OTHERS = (
    Fault("a worker stands still beyond its lease", stand_still),
    Fault("the database is restarted", restart_database),
    Fault("the database is frozen beyond the lease", freeze_database),
    Fault("everybody is killed at once", kill_everybody),
    Fault("everybody is stopped and started in turn", roll_over),
)


@dataclass
class Row:
    """What a fault came to: all but ``rounds``, ``runs`` and ``repeated`` must be 0."""

    fault: str
    rounds: int = 0
    runs: int = 0
    lost: int = 0
    doubled: int = 0
    stuck: int = 0
    repeated: int = 0


def suffer(scene: Scene, fault: Fault, row: Row) -> None:
    """One round: the fleet is whole, the fault happens, everything must end as if nothing had."""
    scene.man()
    before = scene.crew.ledger.repeated()
    runs: list[str] = []
    fault.act(scene, runs)
    scene.man()
    row.rounds += 1
    row.runs += len(runs)
    for run in runs:
        try:
            ended = scene.crew.until(run, within=_ENDS_WITHIN).summary.status
        except AssertionError as error:
            row.stuck += 1
            sys.stderr.write(f"{fault.name}: {error}\n")
            continue
        row.lost += ended is not RunStatus.SUCCEEDED
    effects = scene.crew.ledger.effects()
    for run in runs:
        counts = [effects[run, stage] for stage in ("integrate", "deploy")]
        row.lost += sum(count == 0 for count in counts)
        row.doubled += sum(count > 1 for count in counts)
    row.repeated += scene.crew.ledger.repeated() - before


def table(rows: list[Row]) -> str:
    heads = ("fault", "rounds", "runs", "lost", "doubled", "stuck", "repeated under their key")
    lines = [f"{heads[0]:44} {'  '.join(heads[1:])}"]
    for row in rows:
        figures = (row.rounds, row.runs, row.lost, row.doubled, row.stuck, row.repeated)
        widths = (len(head) for head in heads[1:])
        told = "  ".join(f"{n:>{width}}" for n, width in zip(figures, widths, strict=True))
        lines.append(f"{row.fault:44} {told}")
    return "\n".join(lines)


@contextmanager
def scene() -> Iterator[Scene]:
    with (
        Postgres() as server,
        tempfile.TemporaryDirectory(prefix="shipway-chaos-") as place,
        tempfile.TemporaryDirectory() as sockets,
    ):
        home = Path(place) / "home"
        home.mkdir()
        with Crew(home, Path(place) / "cache", server.create(), Path(sockets)) as crew:
            yield Scene(crew, server)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=len(KILLS), help="rounds of kill -9")
    options = parser.parse_args()
    rows = {fault.name: Row(fault.name) for fault in (*KILLS, *OTHERS)}
    with scene() as fleet:
        for number in range(options.kills):
            fault = KILLS[number % len(KILLS)]
            suffer(fleet, fault, rows[fault.name])
        for fault in OTHERS:
            suffer(fleet, fault, rows[fault.name])
    sys.stdout.write(table(list(rows.values())) + "\n")
    return int(any(row.lost or row.doubled or row.stuck for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
