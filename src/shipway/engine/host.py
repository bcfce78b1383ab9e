"""Keeps an engine alive for a state directory and lets a person watch what it does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from shipway.contracts.views import RunDetail
from shipway.domain.states import RunStatus
from shipway.engine.owner import Ownership, is_owned
from shipway.engine.places import Places
from shipway.engine.queries import Queries
from shipway.errors import OverloadError
from shipway.lifecycle import Lifecycle, Part, settle_memory

if TYPE_CHECKING:
    from shipway.engine.commands import Commands
    from shipway.engine.engine import Engine

_LOOK_EVERY = 0.05
_IDLE_FOR = 1.0
_LOOK_AGAIN = 0.25
_START_TRIES = 3
_STOPS_WITHIN = 30.0
_REPORT_WITHIN = 5.0
_RESTING = {RunStatus.WAITING, RunStatus.PAUSED}


class Keeps(Protocol):
    """What keeps an engine alive for a state directory, in this process or beside it."""

    def alive(self) -> bool: ...
    def starting(self) -> bool: ...
    def ensure(self) -> None: ...


class EngineProcess:
    """The background process that owns a state directory; started when needed, ends when idle."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._places = Places(home)
        self._started: subprocess.Popen[bytes] | None = None
        self._failures = 0

    def alive(self) -> bool:
        return is_owned(self._places.lock)

    def starting(self) -> bool:
        """Whether some process has just started one that does not own the directory yet."""
        return is_owned(self._places.starting)

    def ensure(self) -> None:
        """Start an engine unless one lives or starts; returns at once.

        Raises OverloadError when engines keep failing to start.
        """
        if self.alive():
            self._failures = 0
            return
        if self._started is not None:
            code = self._started.poll()
            if code is None:
                return
            self._started = None
            self._failures += code != 0
        if self._failures >= _START_TRIES:
            raise OverloadError(
                "the engine does not start",
                hint=f"the end of {self._places.engine_log} says why",
            )
        with Ownership(self._places.starting) as starting:
            if starting.acquire():
                self._started = self._spawn(starting)

    def _spawn(self, starting: Ownership) -> subprocess.Popen[bytes]:
        """The new process holds ``starting`` as its input until it owns the directory.

        So nobody else starts one beside it, and nobody waits for one that is on its way out.
        """
        log = self._places.engine_log
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "shipway", "engine"],
                stdin=starting.fileno(),
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
                env={**os.environ, "SHIPWAY_HOME": str(self._home)},
            )


class EmbeddedEngine:
    """An engine in this process, for as long as it lives; waits while another process owns the home.

    It has the face of EngineProcess, so that commands need not know where the engine is.
    """

    def __init__(self, home: Path, make: Callable[[], Engine]) -> None:
        self._places = Places(home)
        self._make = make
        self._look = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._engine: Engine | None = None

    def start(self) -> None:
        self._thread.start()

    def alive(self) -> bool:
        return is_owned(self._places.lock)

    def starting(self) -> bool:
        return False

    def ensure(self) -> None:
        """Look at once whether the home has an owner."""
        self._look.set()

    @property
    def owns(self) -> bool:
        """Whether the engine of this home is this one."""
        return self._engine is not None

    def rest(self) -> None:
        """Hand out nothing new: what is ordered from now on is left to the next owner."""
        if self._engine is not None:
            self._engine.writer.handing_out = False

    def stop(self, why: str) -> None:
        """Hand back what is in hand and let go of the home."""
        self._ending.set()
        self._look.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._engine is not None:
            self._engine.stop(why)

    def _keep(self) -> None:
        while not self._ending.is_set():
            if self._engine is None and not self.alive():
                engine = self._make()
                if engine.start():
                    self._engine = engine
                    return
            self._look.wait(_LOOK_AGAIN)
            self._look.clear()


class Host:
    """A person's view of the engine: it lives as long as there is something to wait for."""

    def __init__(self, engine: Keeps, commands: Commands, queries: Queries, places: Places) -> None:
        self._engine = engine
        self._places = places
        self._commands = commands
        self._queries = queries
        self._watched: str | None = None

    def wait(
        self, run: str, on_change: Callable[[RunDetail], None], timeout: float | None = None
    ) -> RunDetail:
        """Watch a run until it ends, waits for a person or is paused; raises TimeoutError."""
        self._watched = run
        give_up = None if timeout is None else time.monotonic() + timeout
        seen = None
        while True:
            version = self._queries.change_mark()
            status = self._queries.status(run)
            if version != seen:
                seen = version
                on_change(self._queries.run(run))
            if status.is_final or status in _RESTING:
                return self._reported(run)
            self._engine.ensure()
            if give_up is not None and time.monotonic() > give_up:
                raise TimeoutError
            time.sleep(_LOOK_EVERY)

    def _reported(self, run: str) -> RunDetail:
        """The run as it stands, once its report says so too (or after a while without it)."""
        detail = self._queries.run(run)
        if detail.summary.status is RunStatus.PAUSED:
            return detail
        changed = detail.summary.ended_at or detail.summary.created_at
        since = datetime.fromisoformat(changed).timestamp()
        report = self._places.report(run)
        give_up = time.monotonic() + _REPORT_WITHIN
        while time.monotonic() < give_up:
            if report.exists() and report.stat().st_mtime >= since:
                break
            self._engine.ensure()
            time.sleep(_LOOK_EVERY)
        return detail

    def drain(self, grace: float = 10.0) -> None:
        """Pause the watched run: what is in hand may finish within ``grace`` seconds."""
        if self._watched is not None:
            self._commands.pause(self._watched, by="Ctrl-C", reason="interrupted", grace=grace)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watched = None


class Ended(StrEnum):
    """Why an engine process does not serve any longer."""

    NOT_OWNER = "another process owns the state directory"
    ASKED = "it was asked to stop"
    IDLE = "nothing moves"


def serve_until_idle(engine: Engine, *, stop: threading.Event | None = None) -> Ended:
    """Run an engine in this process until nothing moves any more, or until SIGTERM or SIGINT."""
    settle_memory()
    life = Lifecycle(
        Part("engine", _is_running, stop=lambda _left: engine.stop()),
        stop_seconds=_STOPS_WITHIN,
        ending=stop,
    )
    # Signals first: from its first order on, the engine has something to hand back.
    with life.signals():
        if not engine.start():
            return Ended.NOT_OWNER
        _let_go_of_starting()
        life.start()
        ended = _serve(engine, life)
        life.stop()
    return ended


def _serve(engine: Engine, life: Lifecycle) -> Ended:
    idle_since: float | None = None
    while not life.wait(_LOOK_AGAIN):
        if engine.busy():
            idle_since = None
        elif idle_since is None:
            idle_since = time.monotonic()
        elif time.monotonic() - idle_since > _IDLE_FOR:
            return Ended.IDLE
    return Ended.ASKED


def _let_go_of_starting() -> None:
    """The directory is owned now: a command that finds it free again may start another engine."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _is_running() -> None:
    """The engine was started before: whether it owns the directory decides if there is a life."""
