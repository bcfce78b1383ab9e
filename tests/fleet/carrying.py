"""An engine or a worker of a fleet in a process of its own, with agents that write down what they do.

``carrying.py engine`` or ``carrying.py worker LIMIT PAUSE LEDGER``: every merge and deploy is told to
the ledger, a process that nobody kills, over its socket.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading

from points import arm
from scripted import WORK, WorkRequest, WorkResult

from shipway.agents.agent import Desk
from shipway.agents.registry import Registry
from shipway.bootstrap import connect
from shipway.config import Settings, load_settings
from shipway.engine.dispatch.fleet.home import enter
from shipway.engine.dispatch.fleet.worker import Worker
from shipway.engine.engine import Engine
from shipway.engine.fleet import Fleet
from shipway.engine.places import Places
from shipway.lifecycle import Lifecycle, Part
from shipway.store.artifacts import ArtifactStore
from shipway.telemetry.logs import configure

EFFECTS = {"integrate", "deploy"}


class Teller:
    """Works for a while, then tells the ledger what it is about to do, as who, and once more after."""

    capability = "work"
    name = "teller"

    def __init__(self, pause: float, ledger: str) -> None:
        self._pause = pause
        self._ledger = ledger

    def perform(self, request: WorkRequest, desk: Desk) -> WorkResult:
        task = desk.task
        self._tell("begin", desk)
        desk.cancel.wait(self._pause)
        if task.stage in EFFECTS:
            desk.confirm()
            self._tell("effect", desk)
        self._tell("end", desk)
        return WorkResult(said=f"{request.seen}>{task.stage}")

    def _tell(self, what: str, desk: Desk) -> None:
        task = desk.task
        line = {
            "what": what,
            "run": task.run,
            "stage": task.stage,
            "attempt": task.attempt,
            "token": task.token,
            "key": task.key,
            "pid": os.getpid(),
        }
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as told:
            told.connect(self._ledger)
            told.sendall(json.dumps(line).encode() + b"\n")
            told.recv(1)


class Merger(Teller):
    """The same for a capability that has a lane for each branch."""

    capability = "integrate"


def engine(settings: Settings) -> Part:
    database, bus = connect(settings)
    enter(database, settings.home)
    artifacts = ArtifactStore(Places(settings.home).artifacts)
    made = Engine(
        settings,
        database,
        Registry([]),
        artifacts,
        contracts=WORK,
        fleet=Fleet(settings, database, bus),
    )
    return Part("engine", lambda: _started(made.start()), lambda _left: made.stop())


def _started(started: bool) -> None:
    assert started


def worker(settings: Settings, limit: int, pause: float, ledger: str) -> Part:
    database, bus = connect(settings)
    enter(database, settings.home)
    artifacts = ArtifactStore(Places(settings.home).artifacts)
    registry = Registry([Teller(pause, ledger), Merger(pause, ledger)])
    serves = dict.fromkeys(WORK, limit)
    made = Worker(settings, database, registry, artifacts, serves, WORK, bus)
    lost = threading.Thread(target=lambda: (made.lost.wait(), os._exit(75)), daemon=True)

    def start() -> None:
        made.start()
        lost.start()

    return Part("worker", start, made.stop, made.drain)


def main() -> None:
    kind, *rest = sys.argv[1:]
    settings = load_settings()
    configure("info", None)
    if "KILL_AT" in os.environ:
        arm(os.environ["KILL_AT"])
    part = (
        engine(settings)
        if kind == "engine"
        else worker(settings, int(rest[0]), float(rest[1]), rest[2])
    )
    life = Lifecycle(part, drain_seconds=settings.worker_grace_s)
    with life.signals():
        life.start()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        life.wait()
        life.stop()
    sys.exit(life.exit_code)


if __name__ == "__main__":
    main()
