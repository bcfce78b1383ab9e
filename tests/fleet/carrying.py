"""One process that carries runs, for tests to kill: an engine, a worker, or both in one on SQLite.

``carrying.py engine``, ``carrying.py worker LIMIT PAUSE LEDGER``, ``carrying.py alone PAUSE LEDGER``,
``carrying.py client REPOSITORY`` (submits one run and ends), ``carrying.py maker`` (makes the tables
and ends). The environment says what else: ``FAULT_AT`` where a fault comes, ``RIVER`` that the river's
agents are there, ``CLOCK_STEP`` how far the clock is off from the start, ``ECHO`` that outcomes come
late, twice and in any order, ``BAD`` and ``POISON`` how the agent behaves.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from types import FrameType

#: The machine's clock as this process sees it, an hour ahead or back when SIGUSR1 or SIGUSR2 asks.
_stepped = [0.0]
_true = time.time
time.time = lambda: _true() + _stepped[0]  # before anything of ours can take hold of the other one


def _step(number: int, _frame: FrameType | None) -> None:
    _stepped[0] += 3600.0 if number == signal.SIGUSR1 else -3600.0


import points  # noqa: E402
import river  # noqa: E402
from scripted import WORK  # noqa: E402
from teller import Merger, Teller  # noqa: E402

from shipway.agents.registry import Registry  # noqa: E402
from shipway.bootstrap.system import close, connect  # noqa: E402
from shipway.config import Settings, load_settings  # noqa: E402
from shipway.contracts.registry import Contract  # noqa: E402
from shipway.engine.dispatch.fleet.home import enter  # noqa: E402
from shipway.engine.dispatch.fleet.worker import Worker  # noqa: E402
from shipway.engine.engine import Engine  # noqa: E402
from shipway.engine.fleet import Fleet  # noqa: E402
from shipway.engine.places import Places  # noqa: E402
from shipway.lifecycle import Lifecycle, Part, ends  # noqa: E402
from shipway.store.artifacts import ArtifactStore  # noqa: E402
from shipway.telemetry.logs import configure  # noqa: E402

_AGAIN = 0.02


def _contracts() -> Mapping[str, Contract]:
    return river.CONTRACTS_HERE if "RIVER" in os.environ else WORK


def engine(
    settings: Settings, registry: Registry, contracts: Mapping[str, Contract] = WORK
) -> Part:
    database, bus = connect(settings)
    side = None
    if database.kind == "postgresql":
        enter(database, settings.home)
        side = Fleet(settings, database, bus, contracts)
    made = Engine(
        settings,
        database,
        registry,
        ArtifactStore(Places(settings.home).artifacts),
        contracts=contracts,
        fleet=side,
    )

    def start() -> None:
        while not made.start():
            time.sleep(_AGAIN)  # the one before has just died, or is about to

    return Part("engine", start, lambda _left: made.stop())


def worker(
    settings: Settings, registry: Registry, limit: int, contracts: Mapping[str, Contract] = WORK
) -> Part:
    database, bus = connect(settings)
    enter(database, settings.home)
    artifacts = ArtifactStore(Places(settings.home).artifacts)
    limits = dict.fromkeys(registry.capabilities(), limit)
    made = Worker(settings, database, registry, artifacts, limits, contracts, bus)
    lost = threading.Thread(target=lambda: (made.lost.wait(), os._exit(75)), daemon=True)

    def start() -> None:
        made.start()
        lost.start()

    return Part("worker", start, made.stop, made.drain)


def client(settings: Settings, repository: str) -> None:
    """Submit one run; its id is said before anything is written."""
    from crew import commands_of, ready, submit

    database, _bus = connect(settings)
    artifacts = ArtifactStore(Places(settings.home).artifacts)
    made = ready(river.RIVER, repository, artifacts)
    sys.stdout.write(f"{made.run}\n")
    sys.stdout.flush()
    submit(settings, commands_of(settings, database, artifacts), made)


def _part(kind: str, rest: list[str], settings: Settings) -> Part:
    if kind == "engine":
        return engine(settings, Registry([]), _contracts())
    pause, ledger = float(rest[-2]), rest[-1]
    real = "RIVER" in os.environ
    told = [Teller(pause, ledger), Merger(pause, ledger)]
    registry = Registry(river.agents(pause, ledger, settings.home) if real else told)
    if kind == "alone":
        return engine(settings, registry, _contracts())
    return worker(settings, registry, int(rest[0]), _contracts())


def main() -> None:
    signal.signal(signal.SIGUSR1, _step)
    signal.signal(signal.SIGUSR2, _step)
    _stepped[0] = float(os.environ.get("CLOCK_STEP", "0"))
    kind, *rest = sys.argv[1:]
    settings = load_settings()
    configure("info", None)
    points.arm_as_asked()
    if "ECHO" in os.environ:
        points.echo()
    if kind == "maker":
        close(*connect(settings))
        return
    if kind == "client":
        client(settings, rest[0])
        return
    serve(settings, _part(kind, rest, settings))


def serve(settings: Settings, part: Part) -> None:
    """Until a signal asks for the end."""
    life = Lifecycle(part, drain_seconds=settings.worker_grace_s)
    with life.signals():
        life.start()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        life.wait()
        life.stop()
    sys.exit(ends(life.exit_code))


if __name__ == "__main__":
    main()
