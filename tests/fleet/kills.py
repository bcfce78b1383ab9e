"""kill -9 at each named point, by each process that can come there, on each database."""

from __future__ import annotations

import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path

from crew import Process, maker
from points import POINTS, Role
from scene import (
    HELD,
    PAUSE,
    FleetScene,
    LoneScene,
    Row,
    Scene,
    beside,
    fleet,
    lone,
    place,
)

from servers import Postgres
from shipway.domain.states import RunStatus
from shipway.errors import ShipwayError

_GRACE = "0.2"


@dataclass(frozen=True)
class Kill:
    """One combination: who dies at which point, on which database."""

    point: str
    role: Role
    where: str

    @property
    def name(self) -> str:
        return f"kill -9 {self.role} at {self.point}"


def combinations() -> list[Kill]:
    """Every point of every role that comes there, the two databases by turns."""
    found: list[Kill] = []
    for name, point in POINTS.items():
        for role in point.roles:
            places = {
                "engine": ["postgresql"],
                "worker": ["postgresql"],
                "alone": ["sqlite"],
                "client": ["sqlite", "postgresql"],
                "maker": ["sqlite", "postgresql"],
            }[role]
            found += [Kill(name, role, where) for where in places]
    return found


def suffer(scene: Scene, kill: Kill, row: Row, parent: Path, server: Postgres) -> None:
    """One round: the crew is whole, somebody is killed, everything ends as if nothing had happened."""
    if kill.role == "maker":
        _migration(kill, row, parent, server)
        return
    before = scene.kills
    runs: list[str] = []
    scene.man()
    if isinstance(scene, FleetScene):
        _in_a_fleet(scene, kill, runs)
    else:
        assert isinstance(scene, LoneScene)
        _alone(scene, kill, runs)
    scene.man()
    if not runs:
        runs.append(scene.submit())
    row.kills += scene.kills - before
    row.runs += len(runs)
    row.rounds += 1
    scene.judge(runs, row)


def _in_a_fleet(scene: FleetScene, kill: Kill, runs: list[str]) -> None:
    scenario = POINTS[kill.point].scenario
    if scenario == "submit":
        _submission(scene, kill, runs)
    elif scenario == "drain":
        with scene.resting():
            dying = scene.crew.start(
                *("worker", "2", str(HELD), str(scene.crew.ledger_path)),
                at=kill.point,
                SHIPWAY_WORKER_GRACE_S=_GRACE,
            )
            scene.hold(dying, runs)
            dying.send_signal(signal.SIGTERM)
            scene.wait_dead(dying)
    elif scenario == "takeover":
        with scene.resting():
            victim = scene.crew.worker(1, HELD)  # full: the queue knows its job as begun
            scene.hold(victim, runs)
        scene.without_engines()
        dying = scene.crew.engine(kill.point)
        scene.crew.ready(dying)
        scene.kill(victim)
        scene.wait_dead(dying)
    elif scenario == "command":
        scene.without_engines()
        _command(scene, scene.crew.engine(kill.point), runs)
    elif kill.role == "engine":
        scene.until_dead(scene.crew.engine(kill.point), runs)
    else:
        with scene.resting():
            scene.until_dead(scene.crew.worker(2, PAUSE, kill.point), runs)


def _alone(scene: LoneScene, kill: Kill, runs: list[str]) -> None:
    scenario = POINTS[kill.point].scenario
    if scenario == "submit":
        _submission(scene, kill, runs)
        return
    scene.rest()
    if scenario == "drain":
        dying = scene.crew.start(
            *("alone", str(HELD), str(scene.crew.ledger_path)),
            at=kill.point,
            SHIPWAY_WORKER_GRACE_S=_GRACE,
        )
        scene.hold(dying, runs)
        dying.send_signal(signal.SIGTERM)
        scene.wait_dead(dying)
    elif scenario == "recover":
        victim = scene.crew.alone(HELD)
        scene.hold(victim, runs)
        scene.kill(victim)
        scene.wait_dead(scene.crew.alone(PAUSE, kill.point))
    elif scenario == "command":
        _command(scene, scene.crew.alone(PAUSE, kill.point), runs)
    else:
        scene.until_dead(scene.crew.alone(PAUSE, kill.point), runs)


def _submission(scene: Scene, kill: Kill, runs: list[str]) -> None:
    """A run is there whole or not at all; who was not told that it is must not count on it."""
    dying = scene.crew.start("client", str(scene.repository), at=kill.point)
    assert dying.stdout is not None
    run = dying.stdout.readline().decode().strip()
    scene.wait_dead(dying)
    written = run in {one.id for one in scene.crew.queries.runs()}
    assert written == (kill.point == "submit.committed"), "half of a submission"
    if written:
        runs.append(run)


def _command(scene: Scene, dying: Process, runs: list[str]) -> None:
    """Somebody pauses a run and resumes it; the engine dies on the way, the next one obeys."""
    run = scene.submit()
    runs.append(run)

    def ask() -> None:
        with contextlib.suppress(ShipwayError):  # nobody may answer while nobody is there
            scene.crew.commands.pause(run, by="ada")

    asking = beside(ask)
    scene.wait_dead(dying)
    scene.man()
    asking.join(60)
    scene.crew.until(run, RunStatus.PAUSED, *_FINAL, within=60)
    if scene.crew.queries.status(run) is RunStatus.PAUSED:
        scene.crew.commands.resume(run, by="ada")


_FINAL = [status for status in RunStatus if status.is_final]


def _migration(kill: Kill, row: Row, parent: Path, server: Postgres) -> None:
    """A process dies while it makes the tables; the next one makes them, and a run goes through."""
    url = server.create() if kill.where == "postgresql" else None
    with place(parent) as (where, _sockets):
        dying = maker(where, url, kill.point)
        assert dying.wait(60) == -signal.SIGKILL
        row.kills += 1
        opened = fleet(parent, server, url=url, where=where) if url else lone(parent, where)
        with opened as scene:
            scene.man()
            runs = [scene.submit()]
            row.runs += 1
            row.rounds += 1
            scene.judge(runs, row)
            scene.settle(row)
